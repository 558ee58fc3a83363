# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""host/bounded.py: a process that may hang, crash or fail."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import bounded

PATIENCE_S = 20
FOR_EVER_S = 600


def test_items_come_in_order_whatever_their_size() -> None:
    """Also more than a pipe holds, and none at all."""
    made = [1, None, "x" * 300_000, {"a": (1, 2)}, b""]
    assert list(bounded.items(lambda: made, PATIENCE_S)) == made
    assert list(bounded.items(tuple, PATIENCE_S)) == []


def test_a_silent_process_is_left() -> None:
    """What it made before is there; it is gone afterwards."""

    def make() -> Iterator[int]:
        yield os.getpid()
        time.sleep(FOR_EVER_S)

    items = bounded.items(make, 0.3)
    pid = next(items)
    with pytest.raises(bounded.Silent):
        next(items)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_that_ignores_signals_is_ended() -> None:
    def make() -> Iterator[int]:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        yield os.getpid()
        time.sleep(FOR_EVER_S)

    items = bounded.items(make, PATIENCE_S)
    pid = next(items)
    items.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_each_item_has_its_own_time() -> None:
    """Many GPUs take long; that is no reason to give up."""

    def make() -> Iterator[int]:
        for number in range(5):
            time.sleep(0.4)
            yield number

    assert list(bounded.items(make, 1.5)) == [0, 1, 2, 3, 4]


def crash() -> Iterator[int]:
    yield 1
    os.kill(os.getpid(), signal.SIGKILL)
    yield 2


def fail() -> Iterator[int]:
    yield 1
    raise ValueError("ours")


@pytest.mark.parametrize(("make", "said"), [(crash, "ended early"), (fail, "ValueError: ours")])
def test_a_process_that_ends_early_is_told_from_one_that_is_done(make, said) -> None:
    """A library of the driver can take its process down; what we do wrong is said."""
    items = bounded.items(make, PATIENCE_S)
    assert next(items) == 1
    with pytest.raises(bounded.Ended, match=said):
        next(items)


def test_a_process_that_hangs_for_ever_holds_none_of_our_outputs() -> None:
    """Ansible waits until nobody has them open: a process in the driver may never let go."""

    def make() -> Iterator[list[str]]:
        yield [os.readlink(f"/proc/self/fd/{number}") for number in range(3)]

    assert list(bounded.items(make, PATIENCE_S)) == [["/dev/null"] * 3]


def test_nothing_is_left_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    list(bounded.items(lambda: [1], PATIENCE_S))
    with pytest.raises(bounded.Silent):
        list(bounded.items(lambda: iter(lambda: time.sleep(FOR_EVER_S), 1), 0.2))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
