# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a number of GPUs to GPUs that nobody else uses: pure, and the same for the same machine.

What counts: each GPU, but GPUs in MIG mode only if all are; then each MIG device. So a number never
stands for GPUs and parts of GPUs at once, and does not turn into the other by what is in use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Union

from .container_labels import EXCLUSIVE, SHARED
from .errors import GpusInUse, InvalidInput
from .model import Device, Host, MigDevice
from .selection import NONE, Selected

PROCESS = "process"
"""Use by a compute process, whoever started it."""

Wanted = Union[int, tuple[str, ...]]
"""A number of GPUs, or identifiers for ``select()``."""


@dataclass(frozen=True)
class Use:
    """Somebody has a GPU or MIG device, or is about to have it."""

    uuid: str
    told: str
    """For the user, after the UUID: ``used by container trainer``."""
    sharing: str
    """``EXCLUSIVE``, ``SHARED`` or ``NAMED`` (container_labels.py), or ``PROCESS``."""
    container: str | None
    """Name; ``None`` for a process that is in no container of the engine."""


def read(gpus: object) -> Wanted:
    """Return what a user's value of ``gpus`` asks for.

    A number alone, or a text of digits, is a number of GPUs. A list, or a text with commas, is
    identifiers; numbers in it are indices. Raises InvalidInput for anything else, and for 0.
    """
    if isinstance(gpus, list):
        return tuple(_identifier(one) for one in gpus)
    text = _identifier(gpus).strip()
    if not re.fullmatch(r"[0-9]{1,9}", text):
        return tuple(one.strip() for one in text.split(","))
    if int(text) == 0:
        raise InvalidInput(
            "gpus: 0 asks for no GPU, as a number alone says how many: write [0] for the GPU of "
            f"index 0, or {NONE}"
        )
    return int(text)


def choose(
    host: Host,
    number: int,
    uses: Iterable[Use],
    container: str,
    shared: bool = False,
    unfit: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Selected, ...]:
    """Return so many GPUs or MIG devices for the container of this name, in NVML order.

    ``uses`` are everybody's, the container's own too: what it has it keeps, unless another one has
    it exclusively. Else GPUs that nobody uses come before those of shared containers, then NVML
    order decides. With ``shared``, compute processes and other shared containers are no obstacle,
    and the GPU with the fewest of these containers comes first. ``unfit`` tells by UUID why a GPU
    is never chosen.
    Raises GpusInUse, with who uses what, if there are too few.
    """
    units = units_of(host)
    everybody = list(uses)
    mine = [use for use in everybody if use.container == container and use.sharing != PROCESS]
    others = [use for use in everybody if use.container != container]
    of_others = {unit.uuid: [use for use in others if _covers(use, unit)] for unit in units}
    kept: list[Selected] = []
    free: list[Selected] = []
    obstacles: dict[str, list[str]] = {}
    for unit in units:
        had = any(_covers(use, unit) for use in mine)
        found = [use.told for use in of_others[unit.uuid] if _is_obstacle(use, had, shared)]
        if unit.uuid in unfit:
            obstacles[unit.uuid] = [unfit[unit.uuid]]
        elif found:
            obstacles[unit.uuid] = found
        else:
            (kept if had else free).append(unit)
    free.sort(key=lambda unit: len({use.container for use in _shared(of_others[unit.uuid])}))
    chosen = {unit.uuid for unit in (kept + free)[:number]}
    if len(chosen) < number:
        raise GpusInUse(_refusal(host, units, number, len(chosen), obstacles))
    return tuple(unit for unit in units if unit.uuid in chosen)


def _identifier(value: object) -> str:
    # A bool is an int to Python.
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise InvalidInput(
        f"gpus: {value!r} is no GPU: give all, none, a number of GPUs, or a list of indices, "
        "UUIDs or PCI bus ids"
    )


def units_of(host: Host) -> tuple[Selected, ...]:
    """Return what counts as a GPU on this host, in NVML order."""
    whole = tuple(device for device in host.devices if not device.mig_enabled)
    return whole or tuple(mig for device in host.devices for mig in device.mig_devices)


def is_free(host: Host, unit: Selected, uses: Iterable[Use]) -> bool:
    """Whether ``choose()`` could give it to a container that wants it exclusively and is not there
    yet."""
    counted = any(one.uuid == unit.uuid for one in units_of(host))
    return counted and not any(
        _covers(use, unit) and _is_obstacle(use, False, False) for use in uses
    )


def _covers(use: Use, unit: Selected) -> bool:
    """Whether it is a use of this one; what a container was given whole may be in parts now."""
    return use.uuid == unit.uuid or (isinstance(unit, MigDevice) and use.uuid == unit.gpu_uuid)


def _is_obstacle(use: Use, had: bool, shared: bool) -> bool:
    if had:
        return use.sharing == EXCLUSIVE
    return use.sharing != SHARED and not (shared and use.sharing == PROCESS)


def _shared(uses: Iterable[Use]) -> list[Use]:
    return [use for use in uses if use.sharing == SHARED]


def _refusal(
    host: Host,
    units: tuple[Selected, ...],
    number: int,
    available: int,
    obstacles: dict[str, list[str]],
) -> str:
    kind = "GPU" if any(isinstance(unit, Device) for unit in units) or not units else "MIG device"
    why = [
        f"{uuid} {' and '.join(dict.fromkeys(told)).replace(' and used by ', ' and ')}"
        for uuid, told in obstacles.items()
    ]
    if kind == "GPU":
        why += [f"{device.uuid} is in MIG mode" for device in host.devices if device.mig_enabled]
    why += [f"GPU {one.known_as} can't be given: {one.reason}" for one in host.unreadable]
    if number > len(units):
        why.append(f"this host has {len(units)}")
    plural = "" if number == 1 else "s"
    return f"{number} {kind}{plural} asked for, {available} free: {', '.join(why)}"
