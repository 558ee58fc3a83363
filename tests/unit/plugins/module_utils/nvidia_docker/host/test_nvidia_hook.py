# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""host/nvidia_hook.py: the hook is dockerd's if it was there when dockerd started."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    NotInstalled,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    nvidia_hook,
)

NEWER = "was installed after Docker started, which looks for it only then: restart Docker"


class Machine:
    """A dockerd of this process, with a PATH of one directory; times are seconds around now."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.monkeypatch = monkeypatch
        self.used: float | None = None
        self.asked = 0
        monkeypatch.setattr(nvidia_hook.docker_daemon, "pid_of_file", lambda: 7)
        monkeypatch.setattr(nvidia_hook, "_path_of", lambda pid: ("", str(directory)))
        self.starts(-60)

    def starts(self, after: float | None) -> None:
        moment = None if after is None else time.time() + after
        self.monkeypatch.setattr(nvidia_hook, "_started", lambda pid: moment)

    def has_hook(self, mode: int = 0o755) -> None:
        path = self.directory / nvidia_hook.PROGRAM
        path.write_text("")
        path.chmod(mode)

    def last_start(self, driver: str) -> float | None:
        self.asked += 1
        assert driver == "nvidia"
        return None if self.used is None else time.time() + self.used

    def require(self) -> None:
        nvidia_hook.require(self)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize("mode", [None, 0o644])
def test_without_a_program_there_is_none(machine: Machine, mode: int | None) -> None:
    if mode is not None:
        machine.has_hook(mode)
    with pytest.raises(NotInstalled, match="is not in dockerd's PATH: install nvidia-container-"):
        machine.require()


@pytest.mark.parametrize("after", [60, None])
def test_one_that_was_there_before_is_dockerds(machine: Machine, after: float | None) -> None:
    """So is any where it is not known when dockerd started."""
    machine.has_hook()
    machine.starts(after)
    machine.require()
    assert machine.asked == 0


@pytest.mark.parametrize("used", [None, -120])
def test_one_that_came_later_is_not(machine: Machine, used: float | None) -> None:
    """Even if an earlier dockerd had it."""
    machine.has_hook()
    machine.used = used
    with pytest.raises(NotInstalled, match=NEWER):
        machine.require()


def test_a_link_that_came_later_is_not(
    machine: Machine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """To a program that was there before, of another name."""
    program = tmp_path_factory.mktemp("bin") / "nvidia-container-toolkit"
    program.write_text("")
    program.chmod(0o755)
    time.sleep(0.05)
    machine.starts(0)
    time.sleep(0.05)
    (machine.directory / nvidia_hook.PROGRAM).symlink_to(program)
    with pytest.raises(NotInstalled, match=NEWER):
        machine.require()


def test_one_that_was_replaced_since_is_known_by_its_use(machine: Machine) -> None:
    """As an upgrade of the toolkit does."""
    machine.has_hook()
    machine.used = -30
    machine.require()


def test_when_a_process_was_started() -> None:
    """To 10 ms, as the kernel counts."""
    before = time.time()
    child = os.posix_spawnp("sleep", ["sleep", "60"], os.environ)
    try:
        assert before - 0.02 <= (nvidia_hook._started(child) or 0) <= time.time() + 0.01
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert nvidia_hook._started(None) is None


def test_the_path_of_dockerd_is_that_of_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvidia_hook, "_PROC", tmp_path)
    usual: tuple[Any, ...] = nvidia_hook._path_of(None)
    assert "/usr/bin" in usual
    (tmp_path / "7").mkdir()
    (tmp_path / "7/environ").write_bytes(b"LANG=C\0PATH=/opt/bin:/bin\0")
    assert nvidia_hook._path_of(7) == ("/opt/bin", "/bin")
    (tmp_path / "7/environ").write_bytes(b"LANG=C\0")
    assert nvidia_hook._path_of(7) == usual
