# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""host/services.py: programs that are scripts here."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import services
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.subset_facts import (
    FabricManager,
)


def program(root: Path, path: str, script: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


CTK = 'echo "NVIDIA Container Toolkit CLI version {}"; echo "commit: abc 1.2.3"'
CLI = 'echo "cli-version: {0}"; echo "lib-version: {0}"'


@pytest.mark.parametrize(
    ("programs", "wanted"),
    [
        ({}, None),
        ({"usr/bin/nvidia-ctk": CTK.format("1.17.8")}, "1.17.8"),
        ({"usr/local/nvidia/toolkit/nvidia-ctk": CTK.format("1.16.0-rc.1")}, "1.16.0-rc.1"),
        ({"usr/bin/nvidia-container-cli": CLI.format("1.17.3")}, "1.17.3"),
        (
            {
                "usr/bin/nvidia-container-cli": CLI.format("1.17.3"),
                "usr/bin/nvidia-ctk": CTK.format("1.17.8"),
            },
            "1.17.8",
        ),
        ({"usr/bin/nvidia-ctk": "exit 1"}, None),
        ({"usr/bin/nvidia-ctk": "echo what a nice day"}, None),
        (
            {"usr/bin/nvidia-ctk": "exit 1", "usr/bin/nvidia-container-cli": CLI.format("1.9.0")},
            "1.9.0",
        ),
    ],
)
def test_toolkit(programs, wanted, tmp_path: Path) -> None:
    """In the words of its programs; one that fails is none."""
    for path, script in programs.items():
        program(tmp_path, path, script)
    assert services.read(tmp_path, ()).toolkit_version == wanted


def test_a_file_that_is_no_program_is_no_toolkit(tmp_path: Path) -> None:
    program(tmp_path, "usr/bin/nvidia-ctk", "")
    (tmp_path / "usr/bin/nvidia-ctk").chmod(0o644)
    (tmp_path / "usr/bin/nvidia-container-cli").mkdir()
    assert services.read(tmp_path, ()).toolkit_version is None


def test_fabric_manager(tmp_path: Path) -> None:
    """Needed by NVSwitches, running by the kernel's list of processes."""
    assert services.read(tmp_path, ()).fabric_manager is None
    (tmp_path / "proc/driver/nvidia-nvswitch/devices/0000:c1:00.0").mkdir(parents=True)
    assert services.read(tmp_path, ()).fabric_manager == FabricManager(None, False, 1)
    version = 'echo "Fabric Manager version is : 570.86.15"'
    program(tmp_path, "usr/bin/nv-fabricmanager", version)
    assert services.read(tmp_path, ()).fabric_manager == FabricManager("570.86.15", False, 1)
    (tmp_path / "proc/77").mkdir()
    (tmp_path / "proc/77/comm").write_text("nv-fabricmanage\n")
    assert services.read(tmp_path, ()).fabric_manager == FabricManager("570.86.15", True, 1)


def test_persistenced(tmp_path: Path) -> None:
    assert not services.read(tmp_path, ()).persistenced_running
    (tmp_path / "run/nvidia-persistenced").mkdir(parents=True)
    (tmp_path / "run/nvidia-persistenced/socket").touch()
    assert services.read(tmp_path, ()).persistenced_running
