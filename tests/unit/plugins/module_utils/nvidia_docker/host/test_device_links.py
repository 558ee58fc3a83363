# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes here lead to /dev/null and /dev/zero, 1:3 and 1:5."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import device_links


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "dev").mkdir()
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/devices").write_text("Character devices:\n1 nvidia-frontend\n1 nvidia-caps\n")
    return tmp_path


def node(root: Path, name: str, device: str = "/dev/null") -> None:
    path = root / "dev" / name
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(device)


def links(root: Path) -> dict[str, str]:
    return {path.name: os.readlink(path) for path in sorted((root / "dev/char").iterdir())}


def test_nodes_of_the_driver_are_linked_once(root: Path) -> None:
    """By their numbers; a second time there is nothing to do."""
    node(root, "nvidia0")
    node(root, "nvidia-caps/nvidia-cap1", "/dev/zero")
    assert device_links.make(root) == ("/dev/nvidia-caps/nvidia-cap1", "/dev/nvidia0")
    assert links(root) == {"1:3": "../nvidia0", "1:5": "../nvidia-caps/nvidia-cap1"}
    assert device_links.make(root) == ()


def test_a_link_of_another_device_is_replaced(root: Path) -> None:
    """As of a module that was loaded again with another number; a right one stays."""
    node(root, "nvidia0")
    node(root, "nvidiactl", "/dev/zero")
    (root / "dev/char").mkdir()
    (root / "dev/char/1:3").symlink_to("../gone")
    (root / "dev/char/1:5").symlink_to("/dev/zero")
    assert device_links.make(root) == ("/dev/nvidia0",)
    assert links(root) == {"1:3": "../nvidia0", "1:5": "/dev/zero"}


def test_what_was_made_is_removed(root: Path) -> None:
    """The links of others stay, and the folder with them."""
    node(root, "nvidia0")
    device_links.make(root)
    (root / "dev/char/1:5").symlink_to("/dev/nvidiactl")
    assert device_links.remove(root) == ("/dev/char/1:3",)
    assert links(root) == {"1:5": "/dev/nvidiactl"}
    (root / "dev/char/1:5").unlink()
    assert device_links.remove(root) == ()
    assert (root / "dev/char").is_dir()
    device_links.make(root)
    device_links.remove(root)
    assert not (root / "dev/char").exists()


def test_the_folder_is_everybody_s_to_look_at(root: Path) -> None:
    before = os.umask(0o077)
    try:
        node(root, "nvidia0")
        device_links.make(root)
    finally:
        os.umask(before)
    assert (root / "dev/char").stat().st_mode & 0o777 == 0o755


def test_what_is_not_the_driver_s_is_left_alone(root: Path) -> None:
    """A file, a node of another major number, other names; without driver there is no directory."""
    (root / "dev/nvidia1").touch()
    node(root, "nvidia-uvm")
    node(root, "nvidia-settings")
    node(root, "zero", "/dev/zero")
    assert device_links.make(root) == ()
    assert not (root / "dev/char").exists()
