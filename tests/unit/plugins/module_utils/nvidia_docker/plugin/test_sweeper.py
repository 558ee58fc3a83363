# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""sweeper.py, with a clock that only the test moves, and with a driver that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverUnavailable,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.sweeper import (
    IDLE_S,
    MAX_AGE_S,
    PERIOD_S,
    SLOWEST_S,
    Sweeper,
)

TIMEOUT_S = 10
ONE, TWO = "one", "two"


class Driver:
    """Answers with the number of the sweep; hangs while the test wants it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.takes = 0.0
        self.sweeps: list[frozenset[Hashable]] = []
        self.threads: set[int] = set()
        self.error: Exception | None = None
        self.answers = threading.Event()
        self.answers.set()
        self.patience_s = 5.0

    def sweep(self, parts: frozenset[Hashable]) -> int:
        self.sweeps.append(parts)
        self.threads.add(threading.get_ident())
        assert self.answers.wait(TIMEOUT_S)
        self.now += self.takes
        if self.error is not None:
            raise self.error
        return len(self.sweeps)

    def sweeper(self) -> Sweeper[int]:
        return Sweeper(self.sweep, lambda: self.now, self.patience_s)

    def until(self, sweeps: int) -> None:
        end = time.monotonic() + TIMEOUT_S
        while len(self.sweeps) < sweeps:
            assert time.monotonic() < end, f"{len(self.sweeps)} sweeps instead of {sweeps}"
            time.sleep(0.001)

    def until_it_answers(self, sweeper: Sweeper[int], part: str) -> None:
        end = time.monotonic() + TIMEOUT_S
        while True:
            try:
                assert sweeper.latest(part) > 1
                return
            except DriverUnavailable:
                assert time.monotonic() < end
                time.sleep(0.001)


@pytest.fixture
def driver() -> Driver:
    return Driver()


@pytest.fixture
def sweeper(driver: Driver) -> Iterator[Sweeper[int]]:
    sweeper = driver.sweeper()
    yield sweeper
    driver.answers.set()
    sweeper.stop()


def test_an_answer_serves_until_it_is_too_old(driver: Driver, sweeper: Sweeper[int]) -> None:
    assert [sweeper.latest(ONE) for _dummy in range(3)] == [1, 1, 1]
    driver.now += MAX_AGE_S - 0.01
    assert sweeper.latest(ONE) == 1
    driver.now += 0.01
    assert sweeper.latest(ONE) == 2


def test_the_age_counts_from_the_start_of_the_sweep(driver: Driver, sweeper: Sweeper[int]) -> None:
    """What was asked first is the oldest."""
    driver.takes = 0.5
    assert sweeper.latest(ONE) == 1
    driver.now += MAX_AGE_S - 0.5 - 0.01
    assert sweeper.latest(ONE) == 1
    driver.now += 0.02
    assert sweeper.latest(ONE) == 2


def test_a_slow_driver_is_served_until_it_can_answer_again(
    driver: Driver, sweeper: Sweeper[int]
) -> None:
    """Its answers would be too old at once, and everybody would wait for ever."""
    driver.takes = 20.0
    assert sweeper.latest(ONE) == 1
    driver.now += 9
    assert sweeper.latest(ONE) == 1


def test_a_sweep_that_hung_is_no_measure(driver: Driver, sweeper: Sweeper[int]) -> None:
    """Who waited for it has it, nobody else."""
    driver.takes = 2 * SLOWEST_S
    assert sweeper.latest(ONE) == 1
    driver.takes = 0
    assert sweeper.latest(ONE) > 1


def test_many_threads_cause_one_sweep_in_no_thread_of_theirs(
    driver: Driver, sweeper: Sweeper[int]
) -> None:
    driver.answers.clear()
    with ThreadPoolExecutor(50) as pool:
        answers = [pool.submit(sweeper.latest, ONE) for _dummy in range(50)]
        idents = {thread.ident for thread in threading.enumerate() if "Pool" in thread.name}
        driver.until(1)
        driver.answers.set()
        assert {answer.result(TIMEOUT_S) for answer in answers} == {1}
    assert len(driver.sweeps) == 1
    assert len(driver.threads) == 1 and not driver.threads & idents


def test_only_what_is_asked_for_is_swept(driver: Driver, sweeper: Sweeper[int]) -> None:
    """A part that is new is swept at once, and goes on with the others."""
    assert (sweeper.latest(ONE), sweeper.latest(TWO), sweeper.latest(ONE)) == (1, 2, 2)
    assert driver.sweeps == [{ONE}, {ONE, TWO}]
    driver.now += IDLE_S
    assert sweeper.latest(TWO) == 3
    assert driver.sweeps[2] == {TWO}


def test_nobody_waits_while_the_next_sweep_is_on_its_way(
    driver: Driver, sweeper: Sweeper[int]
) -> None:
    assert sweeper.latest(ONE) == 1
    driver.answers.clear()
    driver.now += PERIOD_S
    with sweeper._due:
        sweeper._due.notify()
    driver.until(2)
    assert sweeper.latest(ONE) == 1


def test_one_sweep_a_second_on_a_real_clock() -> None:
    """And no answer is older than it may be."""
    starts: list[float] = []

    def sweep(parts: frozenset[Hashable]) -> float:
        starts.append(time.monotonic())
        time.sleep(0.1)
        return starts[-1]

    sweeper = Sweeper(sweep)
    sweeper.latest(ONE)
    end = time.monotonic() + 1.3
    while time.monotonic() < end:
        asked = time.monotonic()
        assert asked - sweeper.latest(ONE) <= MAX_AGE_S
        time.sleep(0.01)
    sweeper.stop()
    assert len(starts) == 2
    assert starts[1] - starts[0] >= PERIOD_S


def test_no_thread_is_left_when_nobody_asks(driver: Driver, sweeper: Sweeper[int]) -> None:
    sweeper.latest(ONE)
    thread = sweeper._thread
    assert thread is not None and thread.daemon
    driver.now += IDLE_S
    with sweeper._due:
        sweeper._due.notify()
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()
    assert len(driver.sweeps) == 1
    assert sweeper.latest(ONE) == 2


def test_newer_begins_after_the_call(driver: Driver, sweeper: Sweeper[int]) -> None:
    assert sweeper.latest(ONE, newer=True) == 1
    assert sweeper.latest(ONE, newer=True) == 2
    driver.answers.clear()
    driver.now += MAX_AGE_S
    with ThreadPoolExecutor(2) as pool:
        any_will_do = pool.submit(sweeper.latest, ONE)
        driver.until(3)
        newer = pool.submit(sweeper.latest, ONE, newer=True)
        time.sleep(0.05)
        driver.answers.set()
        assert any_will_do.result(TIMEOUT_S) in (3, 4)
        assert newer.result(TIMEOUT_S) == 4


def test_a_failure_is_everybodys_and_passes(driver: Driver, sweeper: Sweeper[int]) -> None:
    driver.error = DriverUnavailable("gone")
    for _dummy in range(3):
        with pytest.raises(DriverUnavailable, match="gone") as raised:
            sweeper.latest(ONE)
        depth = len(raised.traceback)
    assert (len(driver.sweeps), depth) == (1, len(raised.traceback))
    driver.error = None
    driver.now += MAX_AGE_S
    assert sweeper.latest(ONE) == 2


def test_a_driver_that_hangs_at_the_first_sweep(driver: Driver) -> None:
    """The first one waits, with a limit; the others are told at once."""
    sweeper = Sweeper(driver.sweep, patience_s=0.2)
    driver.answers.clear()
    begin = time.monotonic()
    with pytest.raises(DriverUnavailable, match="has not answered for 0 s"):
        sweeper.latest(ONE)
    assert 0.2 <= time.monotonic() - begin < 2
    begin = time.monotonic()
    with pytest.raises(DriverUnavailable, match="has not answered"):
        sweeper.latest(TWO)
    assert time.monotonic() - begin < 0.1
    driver.answers.set()
    driver.until_it_answers(sweeper, TWO)
    sweeper.stop()


def test_a_driver_that_begins_to_hang(driver: Driver, sweeper: Sweeper[int]) -> None:
    """The last answer is given while it is fresh; then how long there was none."""
    driver.takes = 0.1
    sweeper.latest(ONE)
    driver.answers.clear()
    driver.now += PERIOD_S
    with sweeper._due:
        sweeper._due.notify()
    driver.until(2)
    assert sweeper.latest(ONE) == 1
    driver.now += 30
    with pytest.raises(
        DriverUnavailable, match=r"NVIDIA driver has not answered for 30 s: .*dmesg"
    ):
        sweeper.latest(ONE)
    driver.answers.set()
    driver.until_it_answers(sweeper, ONE)
    assert len(driver.threads) == 1, "a second thread would hang too"


def test_stop_does_not_wait_for_a_driver_that_hangs(driver: Driver) -> None:
    sweeper = Sweeper(driver.sweep)
    driver.answers.clear()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(sweeper.latest, ONE)
        driver.until(1)
        begin = time.monotonic()
        sweeper.stop()
        assert time.monotonic() - begin < 2
        with pytest.raises(DriverUnavailable, match="stopping"):
            waiting.result(TIMEOUT_S)
    driver.answers.set()


def test_stop_ends_the_thread(driver: Driver) -> None:
    sweeper = driver.sweeper()
    sweeper.latest(ONE)
    thread = sweeper._thread
    sweeper.stop()
    assert thread is not None and not thread.is_alive()
