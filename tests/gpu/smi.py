# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nvidia-smi --query-gpu says of GPUs, beside what nvidia_facts tells. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ABSENT = ("", "N/A", "[N/A]", "[Not Supported]", "[Unknown Error]", "[GPU requires reset]")
"""What nvidia-smi writes where a GPU does not tell."""
COMPUTE_MODES = {
    "Default": "default",
    "Exclusive_Thread": "exclusive_thread",
    "Prohibited": "prohibited",
    "Exclusive_Process": "exclusive_process",
}
REASONS = (
    *("gpu_idle", "applications_clocks_setting", "sw_power_cap", "hw_slowdown", "sync_boost"),
    *("sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown"),
)
"""Of throttling; each is a field of its own."""


def text(said: str) -> str:
    return said


def number(said: str) -> float:
    return float(said)


def thousandths(said: str) -> float:
    return 1000 * float(said)


def flag(said: str) -> bool:
    return {"Enabled": True, "Yes": True, "Disabled": False, "No": False}[said]


def bus_id(said: str) -> str:
    """``00000000:3B:00.0`` as sysfs writes it."""
    domain, _colon, rest = said.lower().partition(":")
    return f"{int(domain, 16):04x}:{rest}"


@dataclass(frozen=True)
class Field:
    """A fact of a GPU, by the path to it, and how nvidia-smi says the same."""

    fact: tuple[str, ...]
    read: Callable[[str], object] = number
    moves: bool = False
    """It changes by the second: nvidia-smi is asked before and after."""
    slack: float = 0


def _of(part: str, fact: str, *more: Any, **named: Any) -> Field:
    return Field((part, fact) if part else (fact,), *more, **named)


FIELDS: dict[str, Field] = {
    "index": _of("", "index"),
    "uuid": _of("", "uuid", text),
    "name": _of("", "name", text),
    "pci.bus_id": _of("", "pci_bus_id", bus_id),
    "serial": _of("", "serial", text),
    "vbios_version": _of("", "vbios", text),
    "compute_cap": _of("", "compute_capability", text),
    "memory.total": _of("", "memory_mib", slack=1),
    "mig.mode.current": _of("", "mig_enabled", flag),
    "mig.mode.pending": _of("", "mig_pending", flag),
    "ecc.mode.current": _of("", "ecc_enabled", flag),
    "ecc.mode.pending": _of("", "ecc_pending", flag),
    "power.default_limit": _of("", "power_limit_default_milliwatts", thousandths, slack=10),
    "power.min_limit": _of("", "power_limit_min_milliwatts", thousandths, slack=10),
    "power.max_limit": _of("", "power_limit_max_milliwatts", thousandths, slack=10),
    "pcie.link.gen.max": _of("", "pcie_max_generation"),
    "pcie.link.width.max": _of("", "pcie_max_width"),
    "power.limit": _of("status", "power_limit_milliwatts", thousandths, slack=10),
    "clocks.max.sm": _of("status", "max_sm_clock_mhz"),
    "clocks.max.memory": _of("status", "max_memory_clock_mhz"),
    "compute_mode": _of("status", "compute_mode", lambda said: COMPUTE_MODES[said]),
    "persistence_mode": _of("status", "persistence_mode", flag),
    "utilization.gpu": _of("status", "gpu_utilization_percent", moves=True, slack=5),
    "utilization.memory": _of("status", "memory_utilization_percent", moves=True, slack=5),
    "temperature.gpu": _of("status", "temperature_celsius", moves=True, slack=2),
    "temperature.memory": _of("status", "memory_temperature_celsius", moves=True, slack=2),
    "power.draw": _of("status", "power_milliwatts", thousandths, moves=True, slack=20_000),
    "clocks.sm": _of("status", "sm_clock_mhz", moves=True, slack=100),
    "clocks.mem": _of("status", "memory_clock_mhz", moves=True, slack=100),
    "pstate": _of("status", "performance_state", text, moves=True),
    "pcie.link.gen.current": _of("status", "pcie_generation", moves=True),
    "pcie.link.width.current": _of("status", "pcie_width", moves=True),
    "fan.speed": _of("status", "fan_percent", moves=True, slack=5),
    "ecc.errors.corrected.volatile.total": _of("health", "ecc_corrected_volatile"),
    "ecc.errors.uncorrected.volatile.total": _of("health", "ecc_uncorrected_volatile"),
    "ecc.errors.corrected.aggregate.total": _of("health", "ecc_corrected_aggregate"),
    "ecc.errors.uncorrected.aggregate.total": _of("health", "ecc_uncorrected_aggregate"),
    "retired_pages.single_bit_ecc.count": _of("health", "retired_pages_single_bit"),
    "retired_pages.double_bit.count": _of("health", "retired_pages_double_bit"),
    "retired_pages.pending": _of("health", "retired_pages_pending", flag),
}
THROTTLING = {f"clocks_throttle_reasons.{name}": name for name in REASONS}
USED = ("memory.used", "memory.reserved")
"""nvidia-smi counts what the driver keeps for itself apart; NVML's first version does not."""
QUERY = (*FIELDS, *THROTTLING, *USED, "driver_version")


def rows(output: str, names: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Return what nvidia-smi has written for these fields, without header and units, by UUID."""
    lines = csv.reader(io.StringIO(output), skipinitialspace=True)
    told = (dict(zip(names, (cell.strip() for cell in line))) for line in lines if line)
    return {row["uuid"]: row for row in told}


def differences(
    facts: Mapping[str, Any],
    before: Mapping[str, Mapping[str, str]],
    after: Mapping[str, Mapping[str, str]],
) -> Iterator[str]:
    """Yield what differs, as sentences. ``facts`` are of all subsets; the others as rows()."""
    told = {device["uuid"]: device for device in facts["devices"]}
    for uuid in sorted({*told} ^ {*after}):
        yield f"{uuid} is told by {'nvidia-smi' if uuid in after else 'nvidia_facts'} only"
    for uuid in told:
        if uuid in before and uuid in after:
            samples = (before[uuid], after[uuid])
            for sentence in _of_gpu(told[uuid], samples):
                yield f"GPU {told[uuid]['index']}: {sentence}"
            version = after[uuid].get("driver_version")
            if version not in (None, facts["driver"]["version"]):
                yield f"driver_version is {version}, the fact {facts['driver']['version']}"


def _of_gpu(
    device: Mapping[str, Any], samples: tuple[Mapping[str, str], Mapping[str, str]]
) -> Iterator[str]:
    for name, field in FIELDS.items():
        fact: Any = device
        for part in field.fact:
            fact = fact[part]
        said = [one[name] for one in samples if name in one][0 if field.moves else 1 :]
        if (
            said
            and not any(_same(fact, one, field) for one in said)
            and not _between(fact, said, field)
        ):
            yield f"{name} is {' then '.join(said)}, the fact {'.'.join(field.fact)} is {fact}"
    reasons = device["status"]["throttle_reasons"]
    for name, reason in THROTTLING.items():
        said = [one[name] for one in samples if one.get(name) in ("Active", "Not Active")]
        fact = "Active" if reason in (reasons or ()) else "Not Active"
        if said and fact not in said:
            yield f"{name} is {' then '.join(said)}, the facts say {reasons}"
    used, (low, high) = device["status"]["memory_used_mib"], _used(samples)
    if used is not None and low is not None and not low - 8 <= used <= high + 8:
        yield f"memory.used is {low:g} to {high:g} with what is reserved, the fact is {used}"


def _used(samples: tuple[Mapping[str, str], ...]) -> tuple[Any, Any]:
    """The least and the most that can be meant: without what is reserved before, with it after."""
    known = [
        [float(one[name]) for name in USED if one.get(name, "") not in ABSENT] for one in samples
    ]
    told = [one for one in known if one]
    return (min(one[0] for one in told), max(map(sum, told))) if told else (None, None)


def _same(fact: object, said: str, field: Field) -> bool:
    if said in ABSENT or fact is None:
        # "0" is how some drivers say that a board has no serial number.
        return fact is None and (said in ABSENT or field.fact == ("serial",))
    value = field.read(said)
    if isinstance(value, float) and isinstance(fact, (int, float)):
        return abs(value - fact) <= field.slack
    return value == fact


def _between(fact: object, said: list[str], field: Field) -> bool:
    if not isinstance(fact, (int, float)) or any(one in ABSENT for one in said):
        return False
    values = [value for value in map(field.read, said) if isinstance(value, float)]
    return len(values) == len(said) > 1 and min(values) <= fact <= max(values)
