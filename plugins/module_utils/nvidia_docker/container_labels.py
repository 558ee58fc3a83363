# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The labels that record on a container what it was given. A managed container has them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from .container_capabilities import DEFAULT, words
from .container_plan import DRIVER_VOLUME, KINDS, ContainerPlan, index_of
from .driver_files import DriverCapability
from .errors import NewerLabels
from .format_number import refusal

LABEL_PREFIX = "io.gpufleet.nvidia."
GPUS_LABEL = LABEL_PREFIX + "gpus"
"""UUIDs, sorted, joined by commas; empty: none."""
INJECTION_LABEL = LABEL_PREFIX + "injection"
"""Digest of all that is injected; each managed container has it."""
SHARING_LABEL = LABEL_PREFIX + "sharing"
"""Whether others may use the same GPUs, see below."""
KIND_LABEL = LABEL_PREFIX + "kind"
"""Kind of injection; without it, ``driver_volume``."""
CAPABILITIES_LABEL = LABEL_PREFIX + "capabilities"
"""Driver capabilities that make a difference; without it, those of ``DEFAULT``."""
INDICES_LABEL = LABEL_PREFIX + "indices"
"""``0=GPU-…,1=GPU-…``: which GPUs the indices named by which the GPUs were asked for."""

FORMAT_LABEL = LABEL_PREFIX + "format"
"""Format of these labels; none: 1."""
FORMAT = 1

CHANGED = "device nodes, mounts or environment changed"
"""What is told of another injection of which nothing more is known."""

EXCLUSIVE = "exclusive"
"""GPUs were asked for by number: no other container that asks so gets them."""
SHARED = "shared"
"""Others may have the GPUs too."""
NAMED = "named"
"""GPUs were asked for by identifier, whoever else uses them."""


def join_uuids(uuids: list[str]) -> str:
    """Return the value of ``GPUS_LABEL``."""
    # Sorted: that GPUs are numbered anew at reboot does not change what a container has.
    return ",".join(sorted(uuids))


def split_uuids(value: str) -> tuple[str, ...]:
    """Return the UUIDs in a value of ``GPUS_LABEL``."""
    return tuple(filter(None, value.split(",")))


def check_format(container: str, labels: Mapping[str, str]) -> None:
    """Raise NewerLabels unless the labels are of a format that this version reads."""
    found = labels.get(FORMAT_LABEL, "1")
    if found not in [str(number) for number in range(1, FORMAT + 1)]:
        what = f"label {FORMAT_LABEL} of container {container}"
        raise NewerLabels(refusal(what, repr(found), FORMAT, "remove the container"))


def kind_of(labels: Mapping[str, str]) -> str | None:
    """Return by which kind of injection a managed container has its GPUs, ``None``: it has none."""
    if INJECTION_LABEL not in labels or not labels.get(GPUS_LABEL):
        return None
    kind = labels.get(KIND_LABEL, DRIVER_VOLUME)
    return kind if kind in KINDS else None


def labels(plan: ContainerPlan, of_image: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of a container that is made by this plan.
    Labels that say what is so without them are set only where the image has them, as one that was
    made from a container does: a container has its image's labels.
    """
    found = {
        GPUS_LABEL: join_uuids([device.uuid for device in plan.devices]),
        INJECTION_LABEL: _digest(plan),
        SHARING_LABEL: plan.sharing,
    }
    places = {index_of(device): device.uuid for device in plan.devices}
    optional = {
        KIND_LABEL: (plan.kind or DRIVER_VOLUME, DRIVER_VOLUME),
        CAPABILITIES_LABEL: (_joined(plan.effective), _joined(DEFAULT)),
        INDICES_LABEL: (
            ",".join(f"{one}={places[one]}" for one in plan.asked_indices if one in places),
            "",
        ),
    }
    for name, (value, without) in optional.items():
        if value != without or name in of_image:
            found[name] = value
    return found


def kept(planned: Mapping[str, str], current: Mapping[str, str]) -> dict[str, str]:
    """Return the planned labels of a container that stays as it is: what only informs stays too."""
    others = {name: value for name, value in planned.items() if name != INDICES_LABEL}
    return others | {name: current[name] for name in (INDICES_LABEL,) if name in current}


def differences(
    current: Mapping[str, str], planned: Mapping[str, str], changes: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return what makes the injection that a container's labels record another than the planned.
    Each is a short text for the user: ``GPU-… removed``. ``changes`` tells what labels do not: in
    what a container differs that has the same GPUs in the same way (container_changes.py).
    """
    if INJECTION_LABEL not in current:
        return ("not made by nvidia_container",)
    had, gets = (set(split_uuids(one.get(GPUS_LABEL, ""))) for one in (current, planned))
    found = _renumbered(current, planned) if had != gets else []
    found += [f"{uuid} removed" for uuid in sorted(had - gets)]
    found += [f"{uuid} added" for uuid in sorted(gets - had)]
    if had and gets:
        found += _ways(current, planned)
    if not found and current[INJECTION_LABEL] != planned[INJECTION_LABEL]:
        found += changes or (CHANGED,)
    was, becomes = (one.get(SHARING_LABEL, NAMED) for one in (current, planned))
    if was != becomes:
        found.append(f"sharing {was} -> {becomes}")
    return tuple(found)


def _renumbered(current: Mapping[str, str], planned: Mapping[str, str]) -> list[str]:
    had, gets = (_indices(one.get(INDICES_LABEL, "")) for one in (current, planned))
    return [
        f"index {index} is {uuid} now"
        for index, uuid in gets.items()
        if had.get(index, uuid) != uuid
    ]


def _indices(value: str) -> dict[str, str]:
    pairs = (one.partition("=") for one in split_uuids(value))
    return {index: uuid for index, _dummy, uuid in pairs}


def _ways(current: Mapping[str, str], planned: Mapping[str, str]) -> list[str]:
    """Return that GPUs come in another way, or with other capabilities."""
    was, becomes = (one.get(KIND_LABEL, DRIVER_VOLUME) for one in (current, planned))
    if was != becomes:
        return [f"injection {was} -> {becomes}"]
    had, gets = (
        set(split_uuids(one.get(CAPABILITIES_LABEL, _joined(DEFAULT))))
        for one in (current, planned)
    )
    found = [f"capability {one} removed" for one in sorted(had - gets)]
    return found + [f"capability {one} added" for one in sorted(gets - had)]


def _joined(capabilities: Iterable[DriverCapability]) -> str:
    return ",".join(words(capabilities))


def _digest(plan: ContainerPlan) -> str:
    """Of what the container gets only: not of its order, nor of parts that are not used."""
    injection = plan.injection
    parts = {
        "devices": sorted(injection.device_nodes),
        "mounts": sorted((mount.volume, mount.target) for mount in injection.mounts),
        "environment": sorted(injection.environment),
        "groups": sorted(injection.groups),
        "requests": [(one.driver, one.device_ids, one.capabilities) for one in plan.requests],
        "runtime": plan.runtime,
    }
    used = json.dumps({key: value for key, value in parts.items() if value}, sort_keys=True)
    return hashlib.sha256(used.encode()).hexdigest()[:16]
