# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A look at what a CDI specification depends on, on a machine below a root of the test's own."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.driver_files import (
    ALL_CAPABILITIES,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    cdi_fingerprint,
    cdi_machine,
)

GPU = "sys/bus/pci/drivers/nvidia/0000:01:00.0"
MIG = "proc/driver/nvidia/capabilities/gpu0/mig/gi1"


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with a driver, and one MIG device; its nodes are files."""
    root = tmp_path / "root"
    write(root / "sys/module/nvidia/version", "550.163.01\n")
    for name in ("nvidiactl", "nvidia0", "nvidia-caps/nvidia-cap12", "null", "dri/card0"):
        write(root / "dev" / name)
    (root / GPU).mkdir(parents=True)
    write(root / f"{MIG}/access", "DeviceFileMinor: 12\n")
    write(root / "proc/driver/nvidia/gpus/0000:01:00.0/information")
    write(root / "etc/ld.so.cache", "libraries")
    return root


def look(root: Path) -> str:
    return cdi_fingerprint.take(root, [str(root / "etc/ld.so.cache")])


def replaced(path: Path) -> None:
    write(path.with_name("new"), path.read_text())
    os.replace(path.with_name("new"), path)


def made_again(folder: Path) -> None:
    """With another number."""
    shutil.copytree(folder, folder.with_name("new"))
    shutil.move(folder, folder.parents[3] / "old")
    os.rename(folder.with_name("new"), folder)


COUNTS = {
    "another driver is loaded": lambda root: write(root / "sys/module/nvidia/version", "550.1"),
    "the same driver was loaded again": lambda root: made_again(root / "sys/module/nvidia"),
    "the driver took a GPU again": lambda root: made_again(root / GPU),
    "the driver is unloaded": lambda root: (root / "sys/module/nvidia/version").unlink(),
    "a GPU's node came": lambda root: write(root / "dev/nvidia1"),
    "a GPU's node went": lambda root: (root / "dev/nvidia0").unlink(),
    "a node has another mode": lambda root: (root / "dev/nvidia0").chmod(0o600),
    "a MIG device's node came": lambda root: write(root / "dev/nvidia-caps/nvidia-cap21"),
    "a MIG device went, its node stays": lambda root: shutil.rmtree(root / MIG),
    "a MIG device came, its node was there": lambda root: write(root / f"{MIG}/ci0/access"),
    "a GPU went": lambda root: shutil.rmtree(root / "proc/driver/nvidia/gpus/0000:01:00.0"),
    "a DRM node came": lambda root: write(root / "dev/dri/renderD128"),
    "libraries were installed": lambda root: replaced(root / "etc/ld.so.cache"),
    "MPS was started": lambda root: (root / "tmp/nvidia-mps").mkdir(parents=True),
}
DOES_NOT_COUNT = {
    "nothing": lambda root: None,
    "another device": lambda root: write(root / "dev/sda"),
    "somebody wrote to a node": lambda root: os.utime(root / "dev/nvidia0", (1, 1)),
    "a directory of the driver was touched": lambda root: os.utime(root / "dev/dri", (1, 1)),
}


@pytest.mark.parametrize("what", COUNTS)
def test_what_a_specification_depends_on_changes_it(root, what) -> None:
    before = look(root)
    COUNTS[what](root)
    assert look(root) != before


@pytest.mark.parametrize("what", DOES_NOT_COUNT)
def test_what_does_not_matter_leaves_it(root, what) -> None:
    before = look(root)
    DOES_NOT_COUNT[what](root)
    assert look(root) == before


def test_each_socket_of_a_specification_counts(root, monkeypatch) -> None:
    """A service that is stopped takes its socket along, and containers would not start."""
    for path, _capability in cdi_machine._SOCKETS:
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True)
        before = look(root)
        monkeypatch.chdir(place.parent)
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(place.name)
        assert path in [mount.source for mount in cdi_machine.sockets(ALL_CAPABILITIES, root)]
        assert look(root) != before


def test_an_engine_that_is_upgraded_counts(root, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(root / "bin"))
    before = look(root)
    write(root / "bin/dockerd", "26")
    installed = look(root)
    replaced(root / "bin/dockerd")
    assert len({before, installed, look(root)}) == 3


def test_nobody_can_make_it_read_much(root) -> None:
    """Anybody may make a directory of MPS' name."""
    (root / "tmp/nvidia-mps").mkdir(parents=True)
    before = look(root)
    for number in range(20):
        write(root / f"tmp/nvidia-mps/{number}")
    assert look(root) == before


def test_a_machine_without_driver_is_no_error(tmp_path) -> None:
    assert look(tmp_path).startswith("driver \n")
