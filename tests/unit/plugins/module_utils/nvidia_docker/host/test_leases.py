# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leases as files: when they end, and what is not taken for one."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import LeaseError
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import leases
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.leases import (
    LIFETIME_SECONDS,
    Leases,
)

ROOT = Path(__file__).resolve().parents[6]
HOLD_LOCK = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import leases
with leases.Leases(Path(sys.argv[2])).locked():
    print("locked", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Not there yet."""
    return tmp_path / "leases"


@pytest.fixture
def store(directory: Path) -> Leases:
    return Leases(directory)


@pytest.fixture
def altered(store: Leases) -> Callable[..., Path]:
    """Write a lease with other values than its own, and return its file."""

    def alter(**more: Any) -> Path:
        with store.locked():
            path = store.write("trainer", ("GPU-a",))
        path.write_text(json.dumps({**json.loads(path.read_text()), **more}))
        return path

    return alter


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


def test_a_lease_is_read_until_it_ends(store: Leases) -> None:
    with store.locked():
        lease = store.write("trainer", ("GPU-a", "MIG-b"))
    (found,) = store.read()
    assert (found.container, found.uuids) == ("trainer", ("GPU-a", "MIG-b"))
    assert LIFETIME_SECONDS - 60 < found.seconds_left <= LIFETIME_SECONDS
    store.end(lease)
    assert store.read() == ()
    store.end(lease)


def test_a_lease_ends_older_ones_of_its_container_that_promise_nothing_more(store: Leases) -> None:
    """The end of a task with ``poll: 0`` is seen by nobody."""
    with store.locked():
        store.write("trainer", ("GPU-a",))
        store.write("trainer", ("GPU-c",))
        store.write("other", ("GPU-b",))
        store.write("trainer", ("GPU-a", "GPU-b"))
    found = sorted((one.container, one.uuids) for one in store.read())
    assert found == [
        ("other", ("GPU-b",)),
        ("trainer", ("GPU-a", "GPU-b")),
        ("trainer", ("GPU-c",)),
    ]


def test_without_a_directory_there_are_none_and_none_is_made(
    store: Leases, directory: Path
) -> None:
    assert store.read() == ()
    assert not directory.exists()


def now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


ENDED = [
    ("expired", lambda: {"written": now() - LIFETIME_SECONDS - 1}),
    ("written before this boot, by its number", lambda: {"boot": "another"}),
    ("written before this boot, by its time", lambda: {"written": now() + 1000}),
]


@pytest.mark.parametrize("how", [row[1] for row in ENDED], ids=[row[0] for row in ENDED])
def test_an_ended_lease_is_not_read_and_the_next_task_deletes_it(
    store: Leases, directory: Path, altered: Callable[..., Path], how: Callable[[], dict[str, Any]]
) -> None:
    path = altered(**how())
    assert store.read() == ()
    assert path.exists()
    with store.locked():
        assert names(directory) == [".lock"]


def test_a_lease_that_is_nearly_over_is_read(store: Leases, altered: Callable[..., Path]) -> None:
    altered(written=now() - LIFETIME_SECONDS + 60)
    assert [lease.container for lease in store.read()] == ["trainer"]


@pytest.mark.parametrize("version", [2, "1", None])
def test_another_format_is_refused_and_stays(
    store: Leases, altered: Callable[..., Path], version: object
) -> None:
    """It may hold a GPU."""
    path = altered(format=version)
    for use in (store.read, store.locked().__enter__):
        with pytest.raises(
            LeaseError, match=rf"{path} has format .*, this version of gpufleet.nvidia reads 1: use"
        ):
            use()
    assert path.exists()


BROKEN = ["", "{", "[]", "{}", "7", '"x"', "\udcff", "[" * 100_000]
BROKEN += [
    json.dumps({"format": 1, "boot": "", **one})
    for one in (
        {"container": "c", "written": 1},
        {"gpus": ["GPU-a"], "written": 1},
        {"container": "c", "gpus": ["GPU-a"]},
        {"container": "c", "gpus": "GPU-a", "written": 1},
        {"container": "c", "gpus": ["GPU-a"], "written": "soon"},
        {"container": "c", "gpus": ["GPU-a"], "written": float("inf")},
        {"container": "c", "gpus": ["GPU-a"], "written": float("nan")},
    )
]


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: repr(text[:60]))
def test_what_is_no_lease_is_refused(store: Leases, directory: Path, text: str) -> None:
    with store.locked():
        pass
    path = directory / "x.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(LeaseError, match=r"x\.json is no lease: delete it if no play runs"):
        store.read()


def test_what_a_killed_writer_left_is_deleted(store: Leases, directory: Path) -> None:
    with store.locked():
        pass
    (directory / ".0011223344556677.json").write_text("{")
    assert store.read() == ()
    with store.locked():
        assert names(directory) == [".lock"]


@pytest.fixture
def _no_room() -> Iterator[None]:
    """No file can get a byte: what a full disk does, without one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("_no_room")
def test_a_full_disk_leaves_no_lease(store: Leases, directory: Path) -> None:
    with store.locked():
        with pytest.raises(LeaseError, match=rf"in {directory} can't be written: File too large"):
            store.write("trainer", ("GPU-a",))
        assert names(directory) == [".lock"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.symlink_to("/tmp"), "must be a directory and no symbolic link"),
        (lambda path: path.write_text(""), "must be a directory and no symbolic link"),
        (lambda path: (path.mkdir(), path.chmod(0o777)), "can be written by others than root"),
    ],
    ids=["link", "file", "open"],
)
def test_a_directory_that_is_not_safe_is_refused(
    store: Leases, directory: Path, make: Callable[[Path], object], sentence: str
) -> None:
    make(directory)
    with pytest.raises(LeaseError, match=sentence), store.locked():
        pass


def test_the_lock_ends_with_its_holder(store: Leases, directory: Path) -> None:
    arguments = [sys.executable, "-c", HOLD_LOCK, str(ROOT / ".dev"), str(directory)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        holder.send_signal(signal.SIGKILL)
        with store.locked():
            pass


def test_who_waits_too_long_is_told_how_to_find_the_holder(
    store: Leases, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LOCK_SECONDS", 0)
    with (
        store.locked(),
        pytest.raises(LeaseError, match=rf"'fuser {directory}/\.lock'"),
        Leases(directory).locked(),
    ):
        pass


def test_no_two_are_promised_the_same(directory: Path) -> None:
    """Eight at once, each takes the first that no lease has."""
    start = threading.Barrier(8)
    taken = []

    def take(name: str) -> None:
        store = Leases(directory)
        start.wait()
        with store.locked():
            leased = {uuid for lease in store.read() for uuid in lease.uuids}
            uuid = next(f"GPU-{n}" for n in range(8) if f"GPU-{n}" not in leased)
            store.write(name, (uuid,))
            taken.append(uuid)

    threads = [threading.Thread(target=take, args=(f"c{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [f"GPU-{n}" for n in range(8)]
