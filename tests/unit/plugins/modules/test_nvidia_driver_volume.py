# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module nvidia_driver_volume, run as Ansible runs it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.modules import nvidia_driver_volume as module

ROOT = Path(__file__).resolve().parents[4]
MODULE = "ansible_collections.gpufleet.nvidia.plugins.modules.nvidia_driver_volume"


LIBRARY = "usr/lib64/libnvidia-ml.so.550.1"
FILE = "lib64/libnvidia-ml.so.550.1"


def run(tmp_path: Path, client: str = "", only: str | None = None, **arguments) -> dict:
    """Return the module's result; ``client`` is the folder of a docker client."""
    environment = {**os.environ, "PATH": only or f"{client}:/usr/bin:/bin"}
    arguments.setdefault("path", str(tmp_path / "volumes"))
    file = tmp_path / "arguments.json"
    file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    process = subprocess.run(
        [sys.executable, "-m", MODULE, str(file)],
        cwd=ROOT / ".dev",
        env=environment,
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
        (
            {"state": "gone"},
            "value of state must be one of: present, absent, verified, pruned, ",
        ),
    ],
)
def test_wrong_input_is_one_sentence(tmp_path, arguments, says) -> None:
    result = run(tmp_path, **arguments)
    assert result["failed"] is True
    assert says in result["msg"]
    assert "Traceback" not in json.dumps(result)


@pytest.mark.parametrize("state", ["present", "absent", "verified"])
def test_without_a_driver_the_reason_is_one_sentence(tmp_path, state) -> None:
    """Nothing is written."""
    result = run(tmp_path, state=state, driver_root=str(tmp_path / "none"))
    assert result["failed"] is True
    assert result["msg"].startswith(f"found no NVIDIA driver in {tmp_path}/none: no 64-bit ")
    assert not (tmp_path / "volumes").exists()


@pytest.fixture
def driver(tmp_path: Path) -> str:
    """A driver root with one library, which is a program of this machine, and no cache."""
    if os.path.exists("/sys/module/nvidia/version"):
        pytest.skip("this machine has a driver of another version")
    library = tmp_path / "driver" / LIBRARY
    library.parent.mkdir(parents=True)
    shutil.copy("/bin/true", library)
    return str(tmp_path / "driver")


def test_present_says_what_it_would_make_then_makes_it_once(tmp_path, driver) -> None:
    """Check mode lists the same files, and writes nothing."""
    arguments = {"driver_root": driver, "_ansible_diff": True}
    checked = run(tmp_path, **arguments, _ansible_check_mode=True)
    assert not (tmp_path / "volumes").exists()
    made = run(tmp_path, **arguments)
    again = run(tmp_path, **arguments)
    for result in (checked, made, again):
        assert result["volume"] == "nvidia_driver_550.1"
        assert result["files"] == [FILE]
    assert (checked["changed"], made["changed"], again["changed"]) == (True, True, False)
    assert (checked["link"], made["link"], again["link"]) == (None, "hard", "hard")
    assert checked["reasons"] == made["reasons"] == ["it does not exist"]
    assert FILE in checked["diff"]["after"]
    assert checked["diff"] == made["diff"]
    assert again["diff"]["before"] == again["diff"]["after"] == made["diff"]["after"]
    assert "the usual library directories were searched" in json.dumps(made["warnings"])


def test_firmware_is_named_and_not_in_the_volume(tmp_path, driver) -> None:
    """Of this version only."""
    for version in ("550.1", "535.1"):
        folder = Path(driver) / "lib/firmware/nvidia" / version
        folder.mkdir(parents=True)
        (folder / "gsp_ga10x.bin").write_text("")
    result = run(tmp_path, driver_root=driver)
    assert result["firmware"] == ["/lib/firmware/nvidia/550.1/gsp_ga10x.bin"]
    assert result["files"] == [FILE]


def test_verified_changes_nothing_and_fails_with_the_reasons(tmp_path, driver) -> None:
    """A volume that is missing, right, and damaged."""
    missing = run(tmp_path, driver_root=driver, state="verified")
    assert missing["failed"] is True
    assert missing["msg"].endswith("550.1 is not right: it does not exist")
    assert not (tmp_path / "volumes").exists()
    run(tmp_path, driver_root=driver)
    right = run(tmp_path, driver_root=driver, state="verified")
    assert (right["changed"], right["link"], right["files"]) == (False, "hard", [FILE])
    (tmp_path / "volumes/nvidia_driver/550.1" / FILE).unlink()
    damaged = run(tmp_path, driver_root=driver, state="verified")
    assert damaged["failed"] is True
    assert f"{FILE} is missing" in damaged["msg"]
    assert run(tmp_path, driver_root=driver)["reasons"] == [f"{FILE} is missing"]


def test_capabilities_choose_the_files(tmp_path, driver) -> None:
    """libnvidia-ml belongs to utility; a second run with others makes the volume anew."""
    for capabilities, files in ((["utility"], [FILE]), (["compute"], []), (["all"], [FILE])):
        result = run(tmp_path, driver_root=driver, capabilities=capabilities)
        assert (result["changed"], result["files"]) == (True, files)
    again = run(tmp_path, driver_root=driver, capabilities=["compute", "all"])
    assert again["changed"] is False


def test_another_version_than_the_hosts_is_refused(tmp_path, driver) -> None:
    """There are no files to make it from."""
    result = run(tmp_path, driver_root=driver, version="535.1")
    assert result["msg"] == (
        "can't make the driver volume of version 535.1: this host's driver is 550.1"
    )


# Pruning: the docker client is a script.


def docker(tmp_path: Path, lines: str, status: int = 0) -> str:
    """Return the folder of a docker client that lists these containers, or fails with the text."""
    program = tmp_path / "bin/docker"
    program.parent.mkdir(exist_ok=True)
    to = ">&2" if status else ""
    program.write_text(f"#!/bin/sh\nprintf %s {shlex.quote(lines)} {to}\nexit {status}\n")
    program.chmod(0o755)
    return str(program.parent)


def listed(**containers: str) -> str:
    return "".join(
        json.dumps({"id": f"id of {name}", "name": name, "mounts": mounts}) + "\n"
        for name, mounts in containers.items()
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Volumes of four old drivers."""
    folder = tmp_path / "volumes/nvidia_driver"
    for version in ("375.26", "384.90", "535.1", "535.10"):
        (folder / version / "bin").mkdir(parents=True)
        (folder / version / "bin/nvidia-smi").write_text("x")
    return folder


def versions(store: Path) -> list[str]:
    return sorted(path.name for path in store.iterdir() if not path.name.startswith("."))


def test_pruned_keeps_what_containers_and_the_host_need(tmp_path, driver, store) -> None:
    """By name, by path, and the driver's own; check mode and diff tell it before."""
    run(tmp_path, driver_root=driver)
    client = docker(
        tmp_path,
        listed(
            old="data,nvidia_driver_375.26",
            bound=f"{store}/535.1/lib64",
            stable="nvidia_driver",
            other="nvidia_driver_384.901,/x/384.90",
        ),
    )
    arguments = {"state": "pruned", "driver_root": driver, "_ansible_diff": True}
    checked = run(tmp_path, client, **arguments, _ansible_check_mode=True)
    assert versions(store) == ["375.26", "384.90", "535.1", "535.10", "550.1"]
    done = run(tmp_path, client, **arguments)
    again = run(tmp_path, client, **arguments)
    assert versions(store) == ["375.26", "535.1", "550.1"]
    for result in (checked, done):
        assert result["changed"] is True
        assert result["removed"] == ["nvidia_driver_384.90", "nvidia_driver_535.10"]
        assert "384.90/bin/nvidia-smi" in result["diff"]["before"]
        assert "384.90/bin/nvidia-smi" not in result["diff"]["after"]
        assert "375.26/bin/nvidia-smi" in result["diff"]["after"]
    assert done["kept"] == {
        "nvidia_driver_375.26": ["container old"],
        "nvidia_driver_535.1": ["container bound"],
        "nvidia_driver_550.1": ["the driver of this host"],
    }
    assert (again["changed"], again["removed"]) == (False, [])


def test_pruned_removes_nothing_if_docker_can_not_be_asked(tmp_path, driver, store) -> None:
    """Its containers may need every volume."""
    client = docker(tmp_path, "Cannot connect to the Docker daemon at unix:///x", status=1)
    result = run(tmp_path, client, state="pruned", driver_root=driver)
    assert "no Docker engine answers" in result["msg"]
    assert len(versions(store)) == 4


def test_pruned_without_a_client_asks_only_where_there_is_no_engine(
    tmp_path, driver, store
) -> None:
    """An engine without a client may have containers; no engine has none."""
    engine = tmp_path / "docker.sock"
    engine.write_text("")
    arguments = {"state": "pruned", "driver_root": driver, "docker_host": f"unix://{engine}"}
    nothing = tmp_path / "empty"
    nothing.mkdir()
    refused = run(tmp_path, only=str(nothing), **arguments)
    assert "can't start the docker client" in refused["msg"]
    engine.unlink()
    assert len(run(tmp_path, only=str(nothing), **arguments)["removed"]) == 4


def test_all_volumes_go_with_their_store(tmp_path, driver, store) -> None:
    """Locks and what killed runs have left too; the folder that the user named stays."""
    (store / ".535.1.lock").write_text("")
    (store / ".1.2.0123abcd").mkdir()
    client = docker(tmp_path, listed(other="data"))
    arguments = {"state": "absent", "version": "all", "_ansible_diff": True}
    checked = run(tmp_path, client, **arguments, _ansible_check_mode=True)
    assert len(versions(store)) == 4
    done = run(tmp_path, client, **arguments)
    for result in (checked, done):
        assert result["changed"] is True
        assert len(result["removed"]) == 4
        assert "384.90/bin/nvidia-smi" in result["diff"]["before"]
    assert list((tmp_path / "volumes").iterdir()) == []
    assert run(tmp_path, client, **arguments)["changed"] is False


def test_no_volume_goes_while_one_is_used(tmp_path, driver, store) -> None:
    """By a container that does not run, too."""
    client = docker(tmp_path, listed(old="nvidia_driver_375.26"))
    result = run(tmp_path, client, state="absent", version="all")
    assert result["msg"].endswith(
        "are in use, nvidia_driver_375.26 by container old: remove these first"
    )
    assert result["users"] == {"nvidia_driver_375.26": ["container old"]}
    assert len(versions(store)) == 4


def test_the_options_are_the_cores_words() -> None:
    """The module's choices are the driver capabilities, and all of them."""
    words = [one.value for one in module.driver_volume.DriverCapability]
    assert module.ARGUMENTS["capabilities"]["choices"] == ["all", *words]
