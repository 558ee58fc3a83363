# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks the driver in a thread of its own, once for all who wait.

A sweep is one round of questions to the driver. Only the sweeping thread ever waits for NVML, which
can hang for as long as it likes: whoever wants an answer gets the last one while it is fresh, waits
for the next one with a limit, and is told how long the driver has been silent.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Callable, Generic, TypeVar

from ..errors import DriverUnavailable

PERIOD_S = 1.0
"""From the start of one sweep to that of the next, at least, while somebody asks."""
MAX_AGE_S = 1.2
"""Older answers are not given, counted from the start of their sweep. More than the period, so that
nobody waits while the next sweep is on its way."""
IDLE_S = 10.0
"""When nobody has asked for something for so long, it is swept no more."""
PATIENCE_S = 5.0
"""A sweep that takes so much longer than the last one did is taken to hang."""
SLOWEST_S = 30.0
"""What a sweep may take on a slow machine, at most: without persistence mode each GPU of it is
initialised anew. One that took longer did hang, and is no measure for the next one."""

_STOP_S = 1.0

_T = TypeVar("_T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Swept(Generic[_T]):
    """What a sweep has brought."""

    number: int
    parts: frozenset[Hashable]
    started: float
    took: float
    value: _T | None
    error: Exception | None

    def is_fresh(self, now: float) -> bool:
        """A slow driver's answer is good until there can be another one."""
        return now - self.started < max(MAX_AGE_S, 2 * min(self.took, SLOWEST_S))

    def answer(self) -> _T:
        if self.error is not None:
            # Raised by many threads: each time from here, or its traceback would grow.
            raise self.error.with_traceback(None)
        if self.value is None:
            raise AssertionError("a sweep ends with a value or an error")
        return self.value


class Sweeper(Generic[_T]):
    """Calls ``sweep`` with the parts that somebody has asked for lately, and hands out what it
    returns or raises."""

    def __init__(
        self,
        sweep: Callable[[frozenset[Hashable]], _T],
        clock: Callable[[], float] = time.monotonic,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._sweep = sweep
        self._clock = clock
        self._patience_s = patience_s
        lock = threading.Lock()
        self._due = threading.Condition(lock)
        """The sweeping thread waits here until the next sweep."""
        self._done = threading.Condition(lock)
        """All others wait here for the end of a sweep."""
        self._asked: dict[Hashable, float] = {}
        self._once: set[Hashable] = set()
        """Parts of the next sweep that nobody needs after it."""
        self._number = 0
        self._demanded = 0
        """Number of the sweep that somebody waits for, whatever the period says."""
        self._running_since: float | None = None
        self._running_parts: frozenset[Hashable] = frozenset()
        self._last: _Swept[_T] | None = None
        self._thread: threading.Thread | None = None
        self._stopped = False

    def latest(self, part: Hashable, newer: bool = False, once: bool = False) -> _T:
        """Return what a sweep has brought that ``part`` was asked in.

        With ``newer`` it begins after this call; with ``once`` the part is not swept again until
        somebody asks. Raises what the sweep raised, and DriverUnavailable when the driver does not
        answer.
        """
        with self._done:
            next_number = self._number + 1
            if newer:
                self._demanded = next_number
            while True:
                now = self._clock()
                if not once:
                    self._asked[part] = now
                last = self._last
                # One that began after this call is as new as can be, however slow it was.
                if (last and part in last.parts) and (
                    last.number >= next_number or (not newer and last.is_fresh(now))
                ):
                    break
                if once and part not in self._running_parts:
                    self._once.add(part)
                self._done.wait(self._wake(now))
        return last.answer()

    def glance(self, part: Hashable, max_age_s: float) -> _T | None:
        """Return what the last sweep has brought, ``None`` before the first one, without waiting.

        If it is older than ``max_age_s``, one more is on its way when this returns. Raises what
        the sweep raised, and DriverUnavailable when the driver does not answer.
        """
        with self._done:
            now, last = self._clock(), self._last
            if self._running_since is None and (not last or now - last.started >= max_age_s):
                self._once.add(part)
                self._wake(now)
            self._remaining(now)
        return last.answer() if last else None

    def last(self) -> _T | None:
        """Return what the last sweep has brought, however long ago; ``None`` if it raised."""
        with self._done:
            return self._last.value if self._last else None

    def stop(self) -> None:
        """End the thread, unless it hangs in the driver: then it ends with the process."""
        with self._done:
            self._stopped = True
            thread = self._thread
            self._due.notify_all()
            self._done.notify_all()
        if thread is not None:
            thread.join(timeout=_STOP_S)

    def _wake(self, now: float) -> float:
        """See to it that the sweeping thread looks at what is due; return how long to wait for it.
        Raises DriverUnavailable when that is no use."""
        remaining = self._remaining(now)
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
            thread.start()
            self._thread = thread
        self._due.notify()
        return remaining

    def _remaining(self, now: float) -> float:
        """Return how much longer the driver may take. Raises DriverUnavailable when it hangs."""
        if self._stopped:
            raise DriverUnavailable("the plugin is stopping")
        since = now if self._running_since is None else self._running_since
        patience = self._patience_s + (min(self._last.took, SLOWEST_S) if self._last else 0)
        if now - since >= patience:
            raise DriverUnavailable(
                f"the NVIDIA driver has not answered for {now - since:.0f} s: "
                "the kernel's log (dmesg) may say why"
            )
        return since + patience - now

    def _run(self) -> None:
        while True:
            with self._due:
                parts = self._next()
                if parts is None:
                    self._thread = None
                    return
                self._number += 1
                self._running_since = started = self._clock()
                self._running_parts = parts
            value, error = None, None
            try:
                value = self._sweep(parts)
            except Exception as raised:
                # Those who ask are told, without where it came from.
                logger.exception("Error: looking at the GPUs")
                error = raised
            with self._done:
                took = self._clock() - started
                self._last = _Swept(self._number, parts, started, took, value, error)
                self._running_since = None
                self._running_parts = frozenset()
                self._done.notify_all()

    def _next(self) -> frozenset[Hashable] | None:
        """Wait for the next sweep and return its parts; ``None`` when nobody wants one."""
        while not self._stopped:
            now = self._clock()
            lately = {part for part, at in self._asked.items() if now - at < IDLE_S}
            wanted = frozenset(lately | self._once)
            if not wanted:
                break
            due_in = 0.0
            if self._last and wanted <= self._last.parts and self._demanded <= self._number:
                due_in = self._last.started + PERIOD_S - now
            if due_in <= 0:
                self._once.clear()
                return wanted
            self._due.wait(due_in)
        return None
