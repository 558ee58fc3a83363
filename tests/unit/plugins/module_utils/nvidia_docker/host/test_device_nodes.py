# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes here lead to /dev/null, which everybody has: a character device of major number 1."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import device_nodes

NODES = ("nvidiactl", "nvidia0", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-caps/nvidia-cap1")

KERNELS = [
    ("1 nvidia-frontend|1 nvidia-uvm|1 nvidia-caps", NODES),
    ("1 nvidia|1 nvidia-uvm|1 nvidia-caps", NODES),
    ("1 nvidia|1 nvidiactl|2 nvidia-modeset|3 nvidia-uvm|4 nvidia-caps", NODES[:2]),
    ("195 nvidia-frontend|1 nvidia-uvm", NODES[2:4]),
    ("1 nvidia-frontend", NODES[:2]),
    ("1 nvidia-uvm", NODES[2:]),
    ("195 nvidia|195 nvidiactl|1 nvidia-caps|511 nvidia-uvm", NODES[4:]),
    ("1 mem|5 tty", NODES[2:]),
    ("1 mem||Block devices:|1 nvidia|2 nvidia-uvm", NODES[2:]),
    ("garbage|x nvidia|1 2 nvidia-uvm|", NODES[2:]),
    (None, NODES[2:]),
]


@pytest.mark.parametrize(("devices", "right"), KERNELS)
def test_the_major_number_is_the_kernels(tmp_path: Path, devices, right) -> None:
    """Where it tells of no GPU driver, GPUs have 195, and what it does not name is not known."""
    for name in NODES:
        path = tmp_path / "dev" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to("/dev/null")
    if devices is not None:
        (tmp_path / "proc").mkdir()
        text = "Character devices:\n" + devices.replace("|", "\n")
        (tmp_path / "proc/devices").write_text(text)
    nodes = device_nodes.DeviceNodes(tmp_path)
    assert tuple(name for name in NODES if nodes.is_right(f"/dev/{name}")) == right


def test_only_a_character_device_is_one(tmp_path: Path) -> None:
    """A file, a directory, a dangling link and nothing are none."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidia-uvm").touch()
    (tmp_path / "dev/nvidia-uvm-tools").mkdir()
    (tmp_path / "dev/nvidia-caps").symlink_to("nowhere")
    nodes = device_nodes.DeviceNodes(tmp_path)
    for name in ("nvidia-uvm", "nvidia-uvm-tools", "nvidia-caps", "nvidia-caps/nvidia-cap1", "x"):
        assert not nodes.is_right(f"/dev/{name}")
