# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many processes at one driver volume, and driver files that change while it is made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    NvidiaDockerError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_volume,
    manifest,
    volume_store,
)
from ansible_collections.gpufleet.nvidia.tests.faults import tools
from ansible_collections.gpufleet.nvidia.tests.faults.tools import LIB, LOCK, VERSION

PROGRAM = Path(__file__).with_name("race.py")
UPGRADES_S = 1.5


def race(roles: str, seconds: float, root: Path, driver_root: Path) -> Counter[str]:
    """Return how often each was done. Every process has to do its work without an error."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), roles, str(seconds), str(root), str(driver_root)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return Counter(json.loads(done.stdout))


# A tmpfs does not give the inode number of a directory that is gone to the next one.


def test_many_creators_make_one_volume(tmpfs) -> None:
    base = tmpfs("base")
    driver = tools.install(base / "driver")
    for number in range(8):
        root = base / str(number)
        done = race("create," * 7 + "create", 0, root, driver.root)
        assert done == {"made": 1, "found right": 7}
        assert driver_volume.unfit(root, VERSION) == ()
        assert tools.in_store(root) == [LOCK, VERSION]


def test_creators_against_removers(tmpfs) -> None:
    base = tmpfs("base")
    driver = tools.install(base / "driver")
    before = tools.snapshot(driver.root)
    root = base / "volumes"
    done = race("create,create,create,remove,remove,read,read,read", 5, root, driver.root)
    print(dict(done))
    for what in ("made", "removed", "read a whole one"):
        assert done[what] > 20, done
    driver_volume.create(root, VERSION, driver.root)
    assert driver_volume.unfit(root, VERSION) == ()
    assert tools.in_store(root) == [LOCK, VERSION]
    assert volume_store.remove(root, VERSION)
    assert tools.in_store(root) == []
    assert tools.snapshot(driver.root) == before


class Upgrade(threading.Thread):
    """Gives the driver's files other content all the time, as packages or a careless hand do."""

    def __init__(self, files: list[Path], how: str) -> None:
        super().__init__(daemon=True)
        self._files, self._how = files, how
        self._texts = {file: file.read_bytes() for file in files}
        self.ended = threading.Event()
        self.rounds = 0

    def run(self) -> None:
        while not self.ended.is_set():
            for file in self._files:
                # The second half of each file is the round; every other round is longer.
                half = self._texts[file][:1500]
                more = 0 if self._how == "same size" else self.rounds % 2
                self._change(file, half + b"%07d" % self.rounds * (200 + more))
            self.rounds += 1

    def _change(self, file: Path, data: bytes) -> None:
        if self._how == "in place":
            with open(file, "r+b") as stream:
                stream.write(data)
                stream.truncate()
            time.sleep(0.001)
            return
        new = file.with_name(f"{file.name}.dpkg-new")
        new.write_bytes(data)
        new.chmod(file.stat().st_mode & 0o7777)
        if self._how == "removed first":
            file.unlink()
            time.sleep(0.0002)
        new.replace(file)


@pytest.mark.parametrize("link", ["hard", "copy"])
@pytest.mark.parametrize("how", ["same size", "renamed", "removed first", "in place"])
def test_driver_files_change_while_a_volume_is_made(tmpfs, how: str, link: str) -> None:
    base = tmpfs("base")
    root = (base if link == "hard" else tmpfs("store")) / "volumes"
    driver = tools.install(base / "driver")
    files = [driver.path(f"{LIB}/{name}.so.{VERSION}") for name in tools.LIBRARIES]
    upgrade = Upgrade(files, how)
    outcomes: Counter[str] = Counter()
    upgrade.start()
    try:
        until = time.monotonic() + UPGRADES_S
        while time.monotonic() < until:
            outcomes[attempt(root, driver.root, how, link)] += 1
    finally:
        upgrade.ended.set()
        upgrade.join()
    print(upgrade.rounds, "rounds of upgrades;", dict(outcomes))
    assert outcomes["made"] > 0
    assert upgrade.rounds > 20
    assert driver_volume.create(root, VERSION, driver.root).link == link
    assert driver_volume.unfit(root, VERSION) == ()
    assert tools.in_store(root) == [LOCK, VERSION]


def attempt(root: Path, driver_root: Path, how: str, link: str) -> str:
    """Make the volume once; what is made must be fit, whatever changes meanwhile."""
    try:
        made = driver_volume.create(root, VERSION, driver_root)
    except NvidiaDockerError as error:
        tools.assert_a_sentence(error)
        return "refused"
    reasons = driver_volume.unfit(root, VERSION)
    if (how, link) == ("in place", "hard"):
        # Who writes to a linked file writes to the volume's: only later than it was made.
        when = os.stat(made.path / manifest.FILE_NAME).st_mtime_ns
        for reason in reasons:
            name, _separator, what = reason.partition(" was ")
            assert what == "changed"
            assert os.stat(made.path / name).st_mtime_ns >= when, reason
    else:
        assert reasons == ()
    return "made" if made.changed else "found right"
