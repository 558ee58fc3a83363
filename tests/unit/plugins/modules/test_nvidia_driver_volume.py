# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module nvidia_driver_volume, run as Ansible runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
MODULE = "ansible_collections.gpufleet.nvidia.plugins.modules.nvidia_driver_volume"


def run(tmp_path: Path, **arguments) -> dict:
    """Return the module's result."""
    file = tmp_path / "arguments.json"
    file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    process = subprocess.run(
        [sys.executable, "-m", MODULE, str(file)],
        cwd=ROOT / ".dev",
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.stderr == ""
    return json.loads(process.stdout)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """The volume of an old driver, with one file."""
    path = tmp_path / "volumes/nvidia_driver/535.1"
    (path / "bin").mkdir(parents=True)
    (path / "bin/nvidia-smi").write_text("x")
    return path


def test_absent_says_what_it_would_remove_then_removes_it(tmp_path, volume) -> None:
    arguments = {"state": "absent", "version": "535.1", "path": str(tmp_path / "volumes")}
    inode = (volume / "bin/nvidia-smi").stat().st_ino
    checked = run(tmp_path, **arguments, _ansible_check_mode=True, _ansible_diff=True)
    assert volume.exists()
    done = run(tmp_path, **arguments, _ansible_diff=True)
    assert not volume.exists()
    again = run(tmp_path, **arguments)
    for result in (checked, done):
        assert result["changed"] is True
        assert result["volume"] == "nvidia_driver_535.1"
        assert result["mount_point"] == str(volume)
        assert result["diff"]["before"] == f"bin/nvidia-smi (inode {inode}, 1 bytes)\n"
        assert result["diff"]["after"] == ""
    assert again["changed"] is False


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"state": "absent", "version": "../x"}, "invalid driver version '../x'"),
        ({"state": "absent", "version": "1.2", "path": "/../x"}, "give an absolute path"),
        ({"state": "gone"}, "value of state must be one of: present, absent, got: gone"),
    ],
)
def test_wrong_input_is_one_sentence(tmp_path, arguments, says) -> None:
    result = run(tmp_path, **arguments)
    assert result["failed"] is True
    assert says in result["msg"]
    assert "Traceback" not in json.dumps(result)


@pytest.mark.parametrize("state", ["present", "absent"])
def test_without_a_driver_the_reason_is_one_sentence(tmp_path, state) -> None:
    """The same reason as nvidia_facts gives; nothing is written."""
    if os.path.exists("/proc/driver/nvidia/version"):
        pytest.skip("this machine has a driver")
    result = run(tmp_path, state=state, path=str(tmp_path / "volumes"))
    assert result["failed"] is True
    assert "libnvidia-ml" in result["msg"] or "driver" in result["msg"]
    assert not (tmp_path / "volumes").exists()
