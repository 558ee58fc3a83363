# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module nvidia_cdi, run as Ansible runs it, on a machine without GPU."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.gpufleet.nvidia.plugins.modules import nvidia_cdi as module

ROOT = Path(__file__).resolve().parents[4]
GOLDEN = ROOT / "tests" / "golden" / "ctk"
MODULE = "ansible_collections.gpufleet.nvidia.plugins.modules.nvidia_cdi"
OURS = {
    "cdiVersion": "0.5.0",
    "kind": "nvidia.com/gpu",
    "devices": [{"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/null"}]}}],
    "containerEdits": {"env": ["GPUFLEET_DRIVER_VERSION=550.1"]},
}


def run(tmp_path: Path, **arguments) -> dict:
    """Return the module's result, with no engine in PATH."""
    arguments.setdefault("path", str(tmp_path / "cdi/nvidia.json"))
    arguments.setdefault("volumes_path", str(tmp_path / "volumes"))
    arguments.setdefault("spec_directories", [str(tmp_path / "cdi")])
    file = tmp_path / "arguments.json"
    file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    process = subprocess.run(
        [sys.executable, "-m", MODULE, str(file)],
        cwd=ROOT / ".dev",
        env={**os.environ, "PATH": str(tmp_path / "none"), "LD_LIBRARY_PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.stderr == ""
    assert "Traceback" not in process.stdout
    return json.loads(process.stdout)


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A specification of ours."""
    path = tmp_path / "cdi/nvidia.json"
    path.parent.mkdir()
    path.write_text(json.dumps(OURS))
    return path


@pytest.fixture
def no_driver_here() -> None:
    if os.path.exists("/sys/module/nvidia/version"):
        pytest.skip("this machine has a driver")


def test_absent_says_what_it_would_remove_then_removes_it(tmp_path, ours) -> None:
    """A second time there is nothing to do."""
    text = ours.read_text()
    checked = run(tmp_path, state="absent", _ansible_check_mode=True, _ansible_diff=True)
    assert ours.read_text() == text
    done = run(tmp_path, state="absent", _ansible_diff=True)
    assert list(ours.parent.iterdir()) == []
    again = run(tmp_path, state="absent")
    for result in (checked, done):
        assert (result["changed"], result["path"]) == (True, str(ours))
        (diff,) = result["diff"]
        assert (diff["before"], diff["after"]) == (text, "")
    assert again["changed"] is False


@pytest.mark.parametrize("state", ["present", "absent"])
def test_what_others_made_stays(tmp_path, ours, state) -> None:
    foreign = (GOLDEN / "t4-flat-json.json").read_text()
    ours.write_text(foreign)
    result = run(tmp_path, state=state)
    assert result["failed"] is True
    assert "was not made by this module" in result["msg"]
    assert ours.read_text() == foreign


WRONG = [
    ({"path": "/etc/cdi/nvidia.yaml"}, "is no place for a CDI specification"),
    ({"cdi_version": "0.2.0"}, "value of cdi_version must be one of: 0.3.0, "),
    ({"capabilities": ["bogus"]}, "value of capabilities must be one or more of: all, "),
    ({"state": "gone"}, "value of state must be one of: present, absent, verified, "),
    ({"kind": "gpu"}, "'gpu' is no kind of CDI devices"),
    ({"units": {"nvidia-docker-cdi.service": ""}}, "units: give the text of nvidia-docker-cdi.s"),
    ({"state": "verified"}, "there is no CDI specification"),
    ({"state": "verified", "path": "/dev/null"}, "its name must end in .json or .yaml"),
]


@pytest.mark.parametrize(("arguments", "says"), WRONG)
def test_wrong_input_is_one_sentence(tmp_path, arguments, says) -> None:
    """Nothing is written."""
    result = run(tmp_path, **arguments)
    assert result["failed"] is True
    assert says in result["msg"]
    assert not (tmp_path / "cdi").exists()


@pytest.mark.usefixtures("no_driver_here")
def test_without_a_gpu_nothing_is_written_and_the_reason_is_told(tmp_path, ours) -> None:
    """What was there stays: it may be right again after a reboot."""
    text = ours.read_text()
    result = run(tmp_path, driver_root=str(tmp_path / "none"))
    assert result["msg"].startswith(f"found no NVIDIA driver in {tmp_path}/none: no 64-bit ")
    library = tmp_path / "driver/usr/lib64/libnvidia-ml.so.550.1"
    library.parent.mkdir(parents=True)
    shutil.copy("/bin/true", library)
    result = run(tmp_path, driver_root=str(tmp_path / "driver"))
    assert result["msg"].startswith("no GPU can be given to a container: ")
    assert ours.read_text() == text
    assert not (tmp_path / "volumes").exists()


@pytest.mark.usefixtures("no_driver_here")
def test_verified_names_each_problem_and_changes_nothing(tmp_path, ours) -> None:
    """Of a specification of ours and of nvidia-ctk's in YAML."""
    result = run(tmp_path, state="verified")
    assert result["failed"] is True
    assert len(result["problems"]) == 1
    assert result["problems"][0].startswith("no GPU of this machine can be used: ")
    assert result["msg"].endswith("; ".join(result["problems"]))
    assert (result["driver_version"], result["cdi_version"]) == ("550.1", "0.5.0")
    theirs = tmp_path / "cdi/theirs.yaml"
    theirs.write_text((GOLDEN / "t4-flat.yaml").read_text())
    result = run(tmp_path, state="verified", path=str(theirs))
    text = "\n".join(result["problems"])
    assert "/usr/bin/nvidia-smi is not there: containers would not start" in text
    assert "/dev/dri/card1, for device 0, " in text
    assert f"{ours} has nvidia.com/gpu=0 too: engines then resolve neither" in text
    assert "nvidia.com/gpu=GPU-00000074-0000-0000-0000-000000000003" in result["devices"]


def test_the_options_are_the_cores_words() -> None:
    """The module's documented choices are the driver capabilities, and the versions of CDI."""
    options = yaml.safe_load(module.DOCUMENTATION)["options"]
    for name, fields in module.ARGUMENTS.items():
        documented = options[name]
        assert documented.get("choices") == fields.get("choices"), name
        assert documented.get("default") == fields.get("default"), name
        assert documented["type"] == fields["type"], name
