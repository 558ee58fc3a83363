# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nvidia-modprobe, a stand-in found in PATH."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    NvidiaDockerError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.modprobe import (
    Loading,
    MissingModprobe,
    load_uvm,
    not_loaded,
)


@pytest.fixture
def modprobe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    def make(script: str, mode: int = 0o755) -> None:
        path = tmp_path / "nvidia-modprobe"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(mode)

    return make


def test_arguments(modprobe, tmp_path) -> None:
    """The unified memory module, and the device nodes of the first GPU."""
    modprobe(f'echo "$@" > {tmp_path}/log')
    load_uvm()
    assert (tmp_path / "log").read_text() == "-u -c=0\n"


def test_missing(modprobe) -> None:
    """Says what to install."""
    with pytest.raises(MissingModprobe, match="it is not in PATH; install nvidia-modprobe"):
        load_uvm()


def test_other_work_can_be_done_meanwhile(modprobe, tmp_path) -> None:
    """It waits for what is done after its start."""
    os.mkfifo(tmp_path / "meanwhile")
    modprobe(f"read -r word <{tmp_path}/meanwhile; echo $word >&2; exit 1")
    loading = Loading()
    (tmp_path / "meanwhile").write_text("done\n")
    with pytest.raises(NvidiaDockerError, match=r"done$"):
        loading.wait()


@pytest.mark.parametrize(
    ("script", "mode", "sentence"),
    [
        ("echo 'module not  found' >&2; exit 1", 0o755, r"\(status 1\): module not found$"),
        ("exit 2", 0o755, r"\(status 2\): it said nothing$"),
        ("exit 0", 0o644, "Permission denied$"),
    ],
)
def test_failed(modprobe, script, mode, sentence) -> None:
    """Says what it said."""
    modprobe(script, mode)
    with pytest.raises(NvidiaDockerError, match=f"nvidia-modprobe -u -c=0.*nvidia-uvm.*{sentence}"):
        load_uvm()


@pytest.mark.parametrize(
    ("loaded", "module", "there"),
    [
        ((), "nvidia", False),
        (("nvidia_uvm",), "nvidia", False),
        (("nvidia", "nvidia_drm"), "nvidia-uvm", False),
        (("nvidia", "nvidia_uvm"), "nvidia-uvm", True),
        (("nvidia",), "nvidia", True),
    ],
)
def test_a_module_that_is_not_loaded_is_named(tmp_path, loaded, module, there) -> None:
    """With what usually mends it."""
    for name in loaded:
        (tmp_path / "sys/module" / name).mkdir(parents=True)
    told = not_loaded(module, str(tmp_path))
    if there:
        assert told is None
    else:
        assert told.startswith(
            f"'nvidia-modprobe -u -c=0' ran, but the kernel module {module} is not loaded: install"
        )
