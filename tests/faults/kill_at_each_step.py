# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill_at_each_step.py BASE STORE SCENARIO: does one thing to a volume, and dies on the way.

For N = 0, 1, 2, ... a fork kills itself right before its Nth step that could change a file system,
until one comes to its end. After each, what is left is looked at and the thing is done again. BASE
has driver roots ``driver`` and ``old``, and ``canary``, a tree that nobody may touch. A program of
its own since only a process with one thread can fork safely. Prints the steps as a list of JSON.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".dev"))

from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_volume,
    volume_builder,
    volume_store,
)
from ansible_collections.gpufleet.nvidia.tests.faults import tools
from ansible_collections.gpufleet.nvidia.tests.faults.tools import LOCK, VERSION

STEPS = {
    f"os.{name}"
    for name in "mkdir chmod link symlink rename remove rmdir utime chown truncate".split()
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Scenario:
    """What is there before, what is done, and what may be seen if that is interrupted."""

    def __init__(self, base: Path, root: Path) -> None:
        self.driver, self.old, self.canary = base / "driver", base / "old", base / "canary"
        self.base, self.root = base, root
        self.place = root / "nvidia_driver" / VERSION
        scratch = root.parent / "scratch"
        self.whole = tools.reference(scratch / "new", self.driver)
        self.whole_old = tools.reference(scratch / "old", self.old)
        shutil.rmtree(scratch)

    def prepare(self) -> None:
        """Make what is there before."""

    def leave_over(self) -> None:
        """Leave a tree as a killed maker does, but with a link to somebody's directory in it."""
        left = self.place.parent / f".{VERSION}.0123abcd"
        (left / "lib64").mkdir(parents=True)
        (left / "lib64/libcuda.so.1").symlink_to(self.canary)

    def act(self) -> None:
        """Do the thing; also again, after a kill."""
        driver_volume.create(self.root, VERSION, self.driver)

    def check_killed(self) -> None:
        """Of a volume that was not there before, nothing can be seen until it is whole."""
        assert tools.given_out(self.root, self.whole) == volume_store.list_volumes(self.root)

    def check_done(self) -> None:
        assert driver_volume.compare(self.root, VERSION, self.driver).differences == ()
        assert tools.given_out(self.root, self.whole) == (VERSION,)
        assert tools.in_store(self.root) == [LOCK, VERSION]


class First(Scenario):
    """There is nothing, not even the store."""


class Again(Scenario):
    """There is a damaged volume, and a tree left over: what is seen is refused, or whole."""

    def prepare(self) -> None:
        driver_volume.create(self.root, VERSION, self.driver)
        (self.place / "lib64/libcuda.so.1").unlink()
        (self.place / "lib").chmod(0o777)
        shutil.rmtree(self.place / "bin")
        for stray in ("stray", "lib64/stray"):
            (self.place / stray).mkdir()
            (self.place / stray / "file").write_text("x")
        self.leave_over()

    def check_killed(self) -> None:
        assert volume_store.list_volumes(self.root) == (VERSION,)
        tools.given_out(self.root, self.whole)


class Upgraded(Scenario):
    """There is a volume that is whole, of files that are no longer this machine's."""

    def prepare(self) -> None:
        driver_volume.create(self.root, VERSION, self.old)

    def check_killed(self) -> None:
        assert volume_store.list_volumes(self.root) == (VERSION,)
        tools.given_out(self.root, self.whole, self.whole_old)


class NoExchange(Upgraded):
    """The same on a system without renameat2."""

    def act(self) -> None:
        volume_builder._exchange = volume_builder.exchange_in_three_steps
        super().act()


class InTheWay(Scenario):
    """In the volume's place is a symbolic link to somebody's directory."""

    def prepare(self) -> None:
        self.place.parent.mkdir(parents=True)
        self.place.symlink_to(self.canary)


class Remove(Scenario):
    """There is a volume, and then none."""

    def prepare(self) -> None:
        driver_volume.create(self.root, VERSION, self.driver)

    def act(self) -> None:
        volume_store.remove(self.root, VERSION)

    def check_done(self) -> None:
        assert volume_store.list_volumes(self.root) == ()
        assert tools.in_store(self.root) in ([], [LOCK])


class RemoveLeftOver(Remove):
    """There is only the tree of a maker that was killed."""

    def prepare(self) -> None:
        self.leave_over()


SCENARIOS: dict[str, type[Scenario]] = {
    "first": First,
    "again": Again,
    "upgraded": Upgraded,
    "no exchange": NoExchange,
    "in the way": InTheWay,
    "remove": Remove,
    "remove left over": RemoveLeftOver,
}


def dies_at(number: int, report: int) -> None:
    """Let this process kill itself right before a step, and tell which one to ``report``."""
    count = itertools.count()
    write, fsync = os.write, os.fsync

    def step(name: str, just_before: Callable[[], object] = lambda: None) -> None:
        if next(count) == number:
            write(report, name.encode())
            just_before()
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in STEPS or event.startswith("fcntl."):
            step(event)
        elif event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
            step("open for writing")
        elif event == "ctypes.dlsym" and arguments[1] == "renameat2":
            step("renameat2")

    def half_written(descriptor: int, data: bytes) -> int:
        step("write")
        step("write in the middle", lambda: write(descriptor, data[: len(data) // 2]))
        return write(descriptor, data)

    def unsynced(descriptor: int) -> None:
        step("fsync")
        fsync(descriptor)

    # Neither has an audit event.
    os.write, os.fsync = half_written, unsynced
    sys.addaudithook(hook)


def in_fork(action: Callable[[], None], number: int) -> tuple[bool, str]:
    """Run in a fork that dies at a step; return whether it came to its end, and the step."""
    reading, report = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            dies_at(number, report)
            action()
            status = 0
        finally:
            if status:
                sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
            os._exit(status)
    os.close(report)
    with open(reading) as stream:
        name = stream.read()
    _dummy, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, f"failed by itself before step {number}"
        return True, name
    assert os.WTERMSIG(status) == signal.SIGKILL
    return False, name


def assert_free(lock: Path) -> None:
    """Nobody holds the lock; nobody has to have made it."""
    with contextlib.suppress(FileNotFoundError), open(lock) as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def main(base: Path, store: Path, scenario_name: str) -> list[str]:
    root = store / "volumes"
    scenario = SCENARIOS[scenario_name](base, root)
    outside = [scenario.driver, scenario.old, scenario.canary]
    before = tools.snapshot(*outside)
    steps = []
    for number in itertools.count():
        shutil.rmtree(root, ignore_errors=True)
        scenario.prepare()
        ended, step = in_fork(scenario.act, number)
        try:
            assert tools.snapshot(*outside) == before, "something outside changed"
            assert_free(root / "nvidia_driver" / LOCK)
            if not ended:
                scenario.check_killed()
                scenario.act()
                assert tools.snapshot(*outside) == before, "something outside changed"
            scenario.check_done()
        except Exception as error:
            left = tools.in_store(root)
            raise AssertionError(f"killed before step {number}, {step}; store: {left}") from error
        if ended:
            return steps
        steps.append(step)
    raise AssertionError


if __name__ == "__main__":
    json.dump(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]), sys.stdout)
