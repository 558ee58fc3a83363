# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each daemon.json that NVIDIA's tool was recorded with: merged, or refused in one sentence.

The tool failed or lost something in half of them. The files are those of the recording; what is
asked for is what the tool's arguments asked for.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.dockerd_flags import (
    Flag,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DaemonJsonError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    daemon_change,
    daemon_file,
    daemon_plan,
    daemon_state,
    docker_api,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.daemon_plan import (  # noqa: E501
    Change,
    Request,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.docker_daemon import (  # noqa: E501
    Daemon,
    Process,
)

ROOT = Path(__file__).resolve().parents[6]
INPUTS = json.loads((ROOT / "tests/golden/daemon_json/nvidia_ctk_inputs.json").read_text())
NOBODY = 65534

PATH = {"path": "nvidia-container-runtime"}
NVIDIA = {"runtimes": {"nvidia": PATH}}
CDI = {**NVIDIA, "features": {"cdi": True}}
DEFAULT = {**NVIDIA, "default-runtime": "nvidia"}
DEBUG = {"debug": True, **NVIDIA}

ASKED = {
    "set-as-default": DEFAULT,
    "set-as-default-over-crun": DEFAULT,
    "cdi-enabled": CDI,
    "cdi-enabled-existing-features": CDI,
    "cdi-enabled-features-cdi-false": CDI,
    "custom-name-path": {"runtimes": {"nv": {"path": "/opt/nv/nvidia-container-runtime"}}},
}
"""What other arguments than none ask for."""

EXPECTED: dict[str, Any] = {
    "absent": NVIDIA,
    "empty-file": NVIDIA,
    "whitespace-only": NVIDIA,
    "empty-object": NVIDIA,
    "other-keys": {
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "3"},
        "storage-driver": "overlay2",
        "live-restore": True,
        "exec-opts": ["native.cgroupdriver=systemd"],
        **NVIDIA,
    },
    "key-order": {"zeta": 1, "alpha": 2, **NVIDIA, "debug": True},
    "existing-nvidia": {"runtimes": {"nvidia": {**PATH, "runtimeArgs": []}}},
    "existing-nvidia-identical": "unchanged",
    "existing-nvidia-with-options": {
        "runtimes": {"nvidia": {**PATH, "runtimeArgs": ["--debug"], "options": {"a": 1}}}
    },
    "other-runtime": {
        "runtimes": {"kata": {"runtimeType": "io.containerd.kata.v2"}, "nvidia": PATH}
    },
    "default-runtime-other": {
        "default-runtime": "crun",
        "runtimes": {"crun": {"path": "/usr/bin/crun"}, "nvidia": PATH},
    },
    "set-as-default": DEFAULT,
    "set-as-default-over-crun": {"default-runtime": "nvidia", **NVIDIA},
    "cdi-enabled": CDI,
    "cdi-enabled-existing-features": {
        "features": {"buildkit": True, "containerd-snapshotter": True, "cdi": True},
        **NVIDIA,
    },
    "cdi-enabled-features-cdi-false": {"features": {"cdi": True, "buildkit": True}, **NVIDIA},
    "features-kept-without-cdi-flag": {"features": {"buildkit": True}, **NVIDIA},
    "custom-name-path": ASKED["custom-name-path"],
    "dry-run": DEBUG,
    "malformed-trailing-comma": r':1:15: a comma before "}" is not JSON: remove it',
    "malformed-truncated": r":1:11: here is 'tr', where a value is due",
    "comments": r":1:1: a comment is not JSON, dockerd refuses it: '// managed by ops'",
    "comments-inner": r":2:17: a comment is not JSON, dockerd refuses it: '// why'",
    "utf8-bom": r":1:1: the file starts with a byte order mark",
    "top-level-array": r":1:1: the file must hold an object, .* and holds a list",
    "top-level-string": r":1:1: the file must hold an object, .* and holds a string",
    "top-level-null": NVIDIA,
    "top-level-number": r":1:1: the file must hold an object, .* and holds a number",
    "runtimes-null": NVIDIA,
    "runtimes-array": r": runtimes is a list in the file and an object is wanted",
    "runtimes-string": r": runtimes is a string in the file and an object is wanted",
    "trailing-second-document": r":2:1: .* follows the end of the JSON value",
    "trailing-garbage": r":1:17: 'oops' follows the end of the JSON value",
    "duplicate-keys": r':1:17: the key "debug" is there twice',
    "big-integers": {
        "max-concurrent-downloads": 3,
        "x": 12345678901234567890,
        "y": 1000000000000000000000,
        "z": 1.0,
        "shutdown-timeout": 15,
        **NVIDIA,
    },
    "html-chars": {
        "proxies": {"http-proxy": "http://u:p@h/?a=1&b=<c>"},
        "labels": ["café"],
        **NVIDIA,
    },
    # About the tool's own arguments; the file is {}.
    "bad-runtime-flag": NVIDIA,
    "config-source-command": NVIDIA,
    "drop-in": NVIDIA,
    "symlink": DEBUG,
    "dangling-symlink": NVIDIA,
    "directory": r" is not a regular file: move it away",
    "mode-0600-owner-1000": DEBUG,
    "parent-missing": NVIDIA,
    "unreadable-as-nobody": r" can't be read: Permission denied",
    "readable-not-writable-as-nobody": r" can't be written: Permission denied",
    "second-run": "unchanged",
}
"""The configuration after it; a sentence that refuses it, of which the path is left out."""


class Folder:
    """A directory for daemon.json, with places for what is kept beside it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.path = base / "docker/daemon.json"
        self.real = self.path

    def prepare(self, case: str, before: str | None) -> None:
        if case == "parent-missing":
            return
        self.path.parent.mkdir()
        text = '{"debug": true}\n'
        if case == "symlink":
            self.real = self.path.with_name("real.json")
            self.real.write_text(text)
            self.path.symlink_to("real.json")
        elif case == "dangling-symlink":
            self.real = self.path.with_name("real.json")
            self.path.symlink_to("real.json")
        elif case == "directory":
            self.path.mkdir()
        elif case == "second-run":
            self.path.write_text(json.dumps(NVIDIA))
        elif case in ("mode-0600-owner-1000", "unreadable-as-nobody") or "not-writable" in case:
            self.path.write_text(text)
            self.path.chmod({"m": 0o600, "u": 0o000, "r": 0o644}[case[0]])
            if case[0] == "m" and os.geteuid() == 0:
                os.chown(self.path, 1000, 1000)
        elif before is not None:
            self.path.write_bytes(before.encode())

    def change(self, config: dict[str, Any], present: bool = True) -> Change:
        """Plan and write, with no Docker on the machine."""
        file = daemon_file.target(str(self.path))
        with daemon_file.locked(file):
            change = self.plan(config, present)
            daemon_change.write(change)
        return change

    def plan(
        self, config: dict[str, Any], present: bool = True, daemon: Daemon | None = None
    ) -> Change:
        file = daemon_file.target(str(self.path))
        request = Request(str(self.path), config, present)
        return daemon_plan.plan(file, request, daemon or Daemon(None, None))


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        base.chmod(0o755)
        for place in ("STATE", "RUN"):
            monkeypatch.setattr(daemon_state, place, base / place)
        yield Folder(base)


@contextmanager
def _as_nobody(case: str, folder: Folder) -> Iterator[None]:
    if not case.endswith("-as-nobody"):
        yield
    elif os.geteuid() != 0:
        pytest.skip("only root can become nobody")
    else:
        # A record can be kept; it is the file that can't be written.
        (folder.base / "STATE").mkdir()
        os.chown(folder.base / "STATE", NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)


def test_every_recorded_case_has_its_outcome() -> None:
    assert list(EXPECTED) == [row["case"] for row in INPUTS]
    assert len(INPUTS) == 47


@pytest.mark.parametrize("row", INPUTS, ids=lambda row: str(row["case"]))
def test_a_recorded_file(row: dict[str, Any], folder: Folder) -> None:
    """Merged, a second time unchanged, and given back byte by byte; or left alone."""
    case, expected = row["case"], EXPECTED[row["case"]]
    folder.prepare(case, row["before"])
    before = _snapshot(folder.path.parent)
    asked = ASKED.get(case, NVIDIA)
    with _as_nobody(case, folder):
        if isinstance(expected, str) and expected != "unchanged":
            with pytest.raises(DaemonJsonError) as error:
                folder.change(asked)
            assert re.match(re.escape(str(folder.path)) + expected, str(error.value))
            assert len(str(error.value).splitlines()) == 1
        else:
            assert folder.change(asked).changed is (expected != "unchanged")
    if not isinstance(expected, str):
        text = folder.real.read_text()
        assert json.loads(text) == expected and list(json.loads(text)) == list(expected)
        assert "1.0" in text or "z" not in expected
        assert _shape(folder.path) == (before.get("daemon.json", (None,))[0] or _shape(folder.path))
        assert not folder.change(asked).changed
        if case == "set-as-default-over-crun":
            # What was there would keep Docker from starting.
            with pytest.raises(DaemonJsonError, match="default-runtime 'crun' is not defined"):
                folder.change(asked, present=False)
            return
        folder.change(asked, present=False)
    assert _snapshot(folder.path.parent) == before


def _snapshot(directory: Path) -> dict[str, Any]:
    if not directory.exists():
        return {}
    return {
        path.name: (_shape(path), path.read_bytes() if path.is_file() else None)
        for path in directory.iterdir()
    }


def _shape(path: Path) -> tuple[int, int, int]:
    facts = path.lstat()
    return stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid


def test_a_file_that_was_not_there_goes_again(folder: Folder) -> None:
    folder.change(CDI)
    assert folder.change(CDI, present=False).changed
    assert not folder.path.exists() and folder.path.parent.exists()
    assert not folder.change(CDI, present=False).changed


def test_a_setting_that_was_there_stays(folder: Folder) -> None:
    """However often it is given back."""
    folder.path.parent.mkdir()
    folder.path.write_text('{"debug":true}')
    assert not folder.change({"debug": True}).changed
    for _once_more in range(2):
        assert not folder.change({"debug": True}, present=False).changed
    assert folder.path.read_text() == '{"debug":true}'


def test_what_others_wrote_meanwhile_is_left_as_written(folder: Folder) -> None:
    """And so is what is again as it was."""
    folder.path.parent.mkdir()
    folder.path.write_text('{"features": { "buildkit":true }}')
    folder.change({**CDI, "mtu": 1400})
    text = folder.path.read_text().replace('"mtu": 1400', '"mtu": 1400,\n  "dns": [ "1.1.1.1" ]')
    folder.path.write_text(text)
    folder.change({**CDI, "mtu": 1400}, present=False)
    assert folder.path.read_text().splitlines() == [
        "{",
        '  "features": { "buildkit":true },',
        '  "dns": [ "1.1.1.1" ]',
        "}",
    ]


def test_a_record_is_of_one_file_and_private(folder: Folder) -> None:
    """By whatever link the file is named: passwords are in there."""
    folder.change({"proxies": {"http-proxy": "http://user:password@proxy"}})
    state = folder.base / "STATE"
    assert [stat.S_IMODE(path.stat().st_mode) for path in state.iterdir()] == [0o600]
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    real, folder.path = folder.path, folder.path.with_name("other.json")
    folder.path.symlink_to("daemon.json")
    assert folder.change({"proxies": {"http-proxy": "x"}}, present=False).changed
    assert folder.path.is_symlink() and not real.exists()
    (record,) = state.iterdir()
    assert "password" not in record.read_text()


@pytest.mark.parametrize("how", ["damaged", "of another file", "of somebody else", "a link"])
def test_a_record_that_can_t_be_trusted_is_refused(folder: Folder, how: str) -> None:
    folder.change(CDI)
    (record,) = (folder.base / "STATE").iterdir()
    if how == "damaged":
        record.write_text(record.read_text()[:-9])
    elif how == "of another file":
        record.write_text(record.read_text().replace("daemon.json", "other.json"))
    elif how == "of somebody else":
        record.chmod(0o666)
    else:
        record.rename(record.with_suffix(".moved"))
        record.symlink_to(record.with_suffix(".moved"))
    before = folder.path.read_text()
    for config, present in ((CDI, False), ({"debug": True}, True)):
        with pytest.raises(DaemonJsonError, match=re.escape(str(record))) as error:
            folder.change(config, present)
        assert len(str(error.value).splitlines()) == 1
    assert folder.path.read_text() == before


OLD = Process(1, 1)
"""No dockerd, but what a note may be about."""


NO_SOCKET = (Flag("hosts", "tcp://127.0.0.1:2375", "-H tcp://127.0.0.1:2375", "unit"),)
DOCKER = Daemon(None, (26, 1), NO_SOCKET, unit=True, process=OLD)


def _noted(folder: Folder, text: str | None, loaded: str | None, process: Process) -> None:
    folder.path.parent.mkdir(exist_ok=True)
    if text is not None:
        folder.path.write_text(text)
    daemon_state.write_note(folder.path, daemon_state.Note(process, loaded, 0.0))


def test_a_note_tells_what_dockerd_has_not_followed(folder: Folder) -> None:
    _noted(folder, '{"mtu": 1400, "labels": ["a=b"], "icc": true}', '{"icc": true}', OLD)
    change = folder.plan({"mtu": 1400}, daemon=DOCKER)
    assert (change.changed, change.need) == (False, "restart")
    assert change.needs == {"mtu": "restart", "labels": "reload"}
    assert folder.plan({"mtu": 1400}, present=False, daemon=DOCKER).needs == {"labels": "reload"}


def test_a_note_about_another_dockerd_says_nothing(folder: Folder) -> None:
    """It was started later, and has read the file."""
    _noted(folder, '{"mtu": 1400}', None, OLD)
    later = replace(DOCKER, process=Process(1, 2))
    change = folder.plan({"mtu": 1400}, daemon=later)
    assert (change.need, change.followable) == ("none", False)
    daemon_change.finish(change)
    assert daemon_state.read_note(folder.path) is None


def test_a_docker_that_was_stopped_to_follow_is_started(folder: Folder) -> None:
    _noted(folder, '{"mtu": 1400}', None, OLD)
    change = folder.plan({"mtu": 1400}, daemon=replace(DOCKER, process=None))
    assert (change.changed, change.stopped, change.need) == (False, True, "restart")
    assert change.followable and change.needs == {"mtu": "restart"}


def test_a_damaged_note_says_nothing(folder: Folder) -> None:
    _noted(folder, '{"mtu": 1400}', None, OLD)
    (note,) = (folder.base / "RUN").iterdir()
    note.write_text(note.read_text()[:-5])
    assert folder.plan({"mtu": 1400}, daemon=DOCKER).need == "none"


def test_a_change_is_noted_before_it_is_followed(folder: Folder) -> None:
    """With what dockerd has loaded, over several changes."""
    folder.path.parent.mkdir()
    folder.path.write_text('{"icc": true}')
    for config in ({"mtu": 1400}, {"debug": True}):
        change = folder.plan(config, daemon=DOCKER)
        daemon_change.write(change)
        daemon_change.finish(change)
        note = daemon_state.read_note(folder.path)
        assert note is not None and note.loaded == '{"icc": true}' and note.process == OLD
    assert change.needs == {"mtu": "restart", "debug": "reload"}


def test_a_docker_that_systemd_does_not_run_can_t_be_restarted(folder: Folder) -> None:
    folder.path.parent.mkdir()
    change = folder.plan({"mtu": 1400}, daemon=replace(DOCKER, unit=False))
    with pytest.raises(
        DaemonJsonError, match=r"was not changed: Docker would have to be restarted"
    ):
        daemon_change.check_follow(change)
    reload = folder.plan({"debug": True}, daemon=replace(DOCKER, unit=False))
    daemon_change.check_follow(reload)


@pytest.mark.parametrize(
    ("config", "loaded", "live_restore", "follow", "stops"),
    [
        ({"mtu": 1}, "{}", False, True, 3),
        ({"debug": True}, "{}", False, True, 0),
        ({"mtu": 1}, '{"live-restore": true}', True, True, 0),
        ({"mtu": 1, "live-restore": True}, "{}", False, True, 0),
        ({"mtu": 1, "live-restore": True}, "{}", False, False, 3),
        ({"mtu": 1, "live-restore": False}, '{"live-restore": true}', True, True, 3),
    ],
)
def test_how_many_containers_a_restart_stops(
    folder: Folder,
    config: dict[str, Any],
    loaded: str,
    live_restore: bool,
    follow: bool,
    stops: int,
) -> None:
    """live-restore has to be on before it and after it."""
    folder.path.parent.mkdir()
    folder.path.write_text(loaded)
    change = folder.plan(config, daemon=DOCKER)
    told = replace(change, info=docker_api.Info(3, live_restore, False))
    assert told.stops(follow) == stops
