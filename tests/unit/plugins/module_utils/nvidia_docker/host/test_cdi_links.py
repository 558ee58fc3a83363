# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""host/cdi_links.py"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import CdiError
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import cdi_links

LINKS = {"libcuda.so.1": "/d/lib64/libcuda.so.550.1", "libcuda.so": "/d/lib64/libcuda.so.550.1"}


@pytest.fixture
def directory(tmp_path) -> Path:
    return tmp_path / "run" / "links" / "550.1-0"


def test_links_are_made_for_everybody(directory) -> None:
    """Podman's users are not root; a mask of root's own must not matter."""
    before = os.umask(0o077)
    try:
        directory.parent.parent.mkdir(mode=0o700)
        cdi_links.make(directory, LINKS)
    finally:
        os.umask(before)
    assert cdi_links.are_right(directory, LINKS)
    assert {name: os.readlink(directory / name) for name in LINKS} == LINKS
    for one in (directory, directory.parent, directory.parent.parent):
        assert one.stat().st_mode & 0o777 == 0o755
    inode = directory.stat().st_ino
    cdi_links.make(directory, LINKS)
    assert directory.stat().st_ino == inode


@pytest.mark.parametrize("spoilt", ["other target", "one less", "one more", "mode", "file", "link"])
def test_what_is_not_right_is_made_again(directory, spoilt) -> None:
    cdi_links.make(directory, LINKS)
    one = directory / "libcuda.so"
    if spoilt in ("other target", "one less"):
        one.unlink()
    if spoilt == "other target":
        one.symlink_to("/tmp/x")
    elif spoilt == "one more":
        (directory / "x").write_text("")
    elif spoilt == "mode":
        directory.chmod(0o777)
    elif spoilt in ("file", "link"):
        directory.rename(directory.with_name("moved"))
        if spoilt == "file":
            directory.write_text("")
        else:
            directory.symlink_to("moved")
    assert not cdi_links.are_right(directory, LINKS)
    cdi_links.make(directory, LINKS)
    assert cdi_links.are_right(directory, LINKS)
    assert not [name for name in os.listdir(directory.parent) if name.startswith(".")]


def test_who_comes_second_finds_them_made(directory, monkeypatch) -> None:
    """The unit and a module may run at once."""
    rename = os.rename

    def other_first(source, target):
        monkeypatch.setattr(os, "rename", rename)
        cdi_links.make(directory, LINKS)
        rename(source, target)

    monkeypatch.setattr(os, "getpid", iter((1, 2)).__next__)
    monkeypatch.setattr(os, "rename", other_first)
    cdi_links.make(directory, LINKS)
    assert os.listdir(directory.parent) == [directory.name]


def test_what_can_not_be_made_is_one_sentence(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CdiError, match=r"can't make the links in .*: File exists"):
        cdi_links.make(tmp_path / "file" / "links" / "550.1-0", LINKS)


def test_a_specification_outside_run_outlives_a_reboot(tmp_path) -> None:
    """By whichever name."""
    (tmp_path / "here").symlink_to("/run/x")
    assert not cdi_links.outlives(Path("/run/cdi/nvidia.json"))
    assert not cdi_links.outlives(tmp_path / "here" / "nvidia.json")
    assert cdi_links.outlives(Path("/etc/cdi/nvidia.json"))
    assert cdi_links.outlives(Path("/running/cdi/nvidia.json"))
