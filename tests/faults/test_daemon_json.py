# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""daemon.json: killed, starved and raced; and what the dockerd of this machine says to each key."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import daemon_json_keys
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DaemonJsonError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    daemon_file,
    daemon_state,
    docker_daemon,
)
from ansible_collections.gpufleet.nvidia.tests.faults import daemon_writer, tools

PROGRAM = Path(__file__).with_name("daemon_writer.py")
GOLDEN = Path(__file__).resolve().parents[1] / "golden/daemon_json"


def _start(folder: Path, state: Path, *command: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, str(PROGRAM), str(folder), str(state), *command]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("how", "least_steps"), [("present", 25), ("absent", 12)])
def test_killed_at_each_step(tmp_path: Path, how: str, least_steps: int) -> None:
    """The file is the old one or the new one, and nothing of what was there is forgotten."""
    (tmp_path / "etc").mkdir()
    with _start(tmp_path / "etc", tmp_path, "kill", how) as writer:
        output, errors = writer.communicate()
    assert writer.returncode == 0, errors
    steps = json.loads(output)
    print(len(steps), "steps:", dict(Counter(steps)))
    assert len(steps) >= least_steps


def test_two_writers_at_once(tmp_path: Path) -> None:
    """Each adds to what the other one wrote; together they can be given back."""
    (tmp_path / "etc").mkdir()
    writers = [_start(tmp_path / "etc", tmp_path, "label", name) for name in "ab"]
    for writer in writers:
        with writer:
            _output, errors = writer.communicate()
        assert writer.returncode == 0, errors
    labels = [f"{name}{number}=x" for name in "ab" for number in range(20)]
    file = tmp_path / "etc/daemon.json"
    assert sorted(json.loads(file.read_text())["labels"]) == sorted(labels)
    host = daemon_writer.Host(tmp_path / "etc", tmp_path)
    host.change({"labels": labels}, present=False)
    assert not file.exists()


@pytest.mark.parametrize(
    ("option", "step", "enough"), [("size={}k", 4, 64), ("nr_inodes={}", 1, 24)]
)
def test_a_full_file_system(
    tmpfs, mount, monkeypatch: pytest.MonkeyPatch, option: str, step: int, enough: int
) -> None:
    """It is full after one more step each time, until everything fits in."""
    device = tmpfs("full", option.format(enough))
    (device / "etc").mkdir()
    for place in ("STATE", "RUN"):
        monkeypatch.setattr(daemon_state, place, device)
    host = daemon_writer.Host(device / "etc", device)
    host.file.write_text(daemon_writer.BEFORE)
    status = os.statvfs(device)
    used = status.f_files - status.f_ffree
    if "size" in option:
        used = (status.f_blocks - status.f_bfree) * status.f_frsize // 1024
    refusals = 0
    for room in range(used, used + enough, step):
        mount("-o", f"remount,{option.format(room)}", device)
        try:
            host.change(daemon_writer.WANTED)
            break
        except DaemonJsonError as error:
            refusals += 1
            tools.assert_a_sentence(error)
            assert "can't be written: No space left on device" in str(error)
        assert host.file.read_text() == daemon_writer.BEFORE
        assert [path.name for path in host.file.parent.iterdir()] == ["daemon.json"]
    assert refusals >= 3
    host.change(daemon_writer.WANTED, present=False)
    assert host.file.read_text() == daemon_writer.BEFORE


def test_what_a_file_carries_is_kept(image) -> None:
    """Owner, mode, an access control list and a label, on a file system that has them all."""
    folder = image(64, "mkfs.ext4", "-q", "-I", "256")
    file = folder / "daemon.json"
    file.write_text("{}")
    os.chown(file, 1000, 1000)
    file.chmod(0o640)
    label = b"system_u:object_r:container_config_t:s0\0"
    # user::rw- user:65534:r-- group::r-- mask::r-- other::---, linux/posix_acl_xattr.h
    entries = [(1, 6, -1), (2, 4, 65534), (4, 4, -1), (16, 4, -1), (32, 0, -1)]
    acl = b"\2\0\0\0" + b"".join(
        tag.to_bytes(2, "little")
        + right.to_bytes(2, "little")
        + (who & 0xFFFFFFFF).to_bytes(4, "little")
        for tag, right, who in entries
    )
    os.setxattr(file, "security.selinux", label)
    os.setxattr(file, "system.posix_acl_access", acl)
    before = file.stat()
    daemon_file.replace(file, '{"debug": true}', b"{}")
    after = file.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (1000, 1000, 0o640)
    assert os.getxattr(file, "security.selinux") == label
    assert os.getxattr(file, "system.posix_acl_access") == acl


@pytest.fixture(scope="module")
def dockerd() -> docker_daemon.Daemon:
    found = docker_daemon.find(Path("/nowhere/daemon.json"))
    if found.program is None or found.version is None:
        pytest.skip("this machine has no dockerd")
    return found


def _values() -> dict[str, tuple[Any, Any]]:
    """For each key a value that it takes, and one of a type that no key takes in its place."""
    values = json.loads((GOLDEN / "keys.json").read_text())["values"]
    types = {"a boolean": True, "a number": 1, "a string": "x", "a list": ["x"], "an object": {}}
    return {
        name: (values.get(name, types[key.type]), "x" if key.type != "a string" else 1)
        for name, key in daemon_json_keys.KEYS.items()
        if key.type
    }


def test_the_dockerd_here_knows_the_keys_of_its_version(dockerd) -> None:
    """All of them in one file, but those that exclude each other or need files."""
    version = dockerd.version
    files = {"tlsverify", "userland-proxy-path", "cpu-rt-period", "cpu-rt-runtime", "graph"}
    apart = {"cluster-store", "cluster-advertise", "cluster-store-opts", "host-gateway-ips", *files}
    config = {
        name: value
        for name, (value, _wrong) in _values().items()
        if daemon_json_keys.KEYS[name].known(version) and name not in apart
    }
    assert len(config) > 60
    assert dockerd.refusal(json.dumps(config), "daemon.json") is None


@pytest.mark.parametrize("key", _values())
def test_the_dockerd_here_refuses_another_type(dockerd, key: str) -> None:
    """And each key that its version does not know."""
    said = dockerd.refusal(json.dumps({key: _values()[key][1]}), "daemon.json")
    unknown = not daemon_json_keys.KEYS[key].known(dockerd.version)
    assert said and ("don't match any configuration option" in said) is unknown


def test_a_dockerd_that_is_asked_starts_nothing(dockerd) -> None:
    """It is the installed one, and the file that it read is in memory."""
    before = _processes()
    assert dockerd.refusal("{}", "daemon.json") is None
    said = dockerd.refusal('{"of-no-engine": 1}', "/etc/docker/daemon.json")
    assert "of-no-engine" in said and "/proc/self/fd" not in said and "\n" not in said
    assert _processes() <= before


def _processes() -> set[str]:
    if shutil.which("pgrep") is None:
        pytest.skip("this machine has no pgrep")
    done = subprocess.run(["pgrep", "-x", "dockerd"], capture_output=True, text=True, check=False)
    return set(done.stdout.split())
