# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times something beside its baseline, in turns, so that both meet the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

RUNS = 31
_WARM_UP = 3


def nothing() -> None:
    """Nothing has to be done before a run."""


@dataclass(frozen=True)
class Work:
    """Something to time. Only ``run`` is."""

    name: str
    run: Callable[[], object]
    before: Callable[[], object] = nothing


@dataclass(frozen=True)
class Figure:
    """Medians in seconds, and what is aimed at, as text: nothing is judged here."""

    name: str
    seconds: float
    worst: float
    baseline: str
    baseline_seconds: float
    target: str
    remark: str = ""

    @property
    def ratio(self) -> float:
        return self.seconds / self.baseline_seconds


def figure(
    work: Work, baseline: Work, target: str = "", remark: str = "", runs: int = RUNS
) -> Figure:
    """Time ``work`` and ``baseline`` in turns, warm."""
    times: dict[str, list[float]] = {work.name: [], baseline.name: []}
    for number in range(_WARM_UP + runs):
        for one in (work, baseline):
            one.before()
            started = time.perf_counter()
            one.run()
            taken = time.perf_counter() - started
            if number >= _WARM_UP:
                times[one.name].append(taken)
    return Figure(
        name=work.name,
        seconds=statistics.median(times[work.name]),
        worst=max(times[work.name]),
        baseline=baseline.name,
        baseline_seconds=statistics.median(times[baseline.name]),
        target=target,
        remark=remark,
    )
