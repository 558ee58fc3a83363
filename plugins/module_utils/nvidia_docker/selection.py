# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what a user wrote (``all``, ``0``, ``GPU-1f2e``, ``0000:3b:00.0``, ``0:1``) to devices.

Fronts split their own lists (NV_GPU at blanks and commas, the REST API at blanks); the meaning of
one identifier is decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Union

from .errors import InvalidInput, UnknownDevice
from .model import Device, Host, MigDevice, sysfs_pci_bus_id

Selected = Union[Device, MigDevice]
"""What a container can be given: a whole GPU or one MIG device."""

ALL = "all"
NONE = "none"
VOID = "void"

_INDEX = re.compile(r"[0-9]{1,9}")
_MIG_INDEX = re.compile(r"([0-9]{1,9}):([0-9]{1,9})")


def select(host: Host, identifiers: Iterable[str]) -> tuple[Selected, ...]:
    """Return the devices that the identifiers name, each once, in NVML order.

    An identifier is ``all``, ``none``, an index, a UUID or the start of one (``GPU-…``,
    ``MIG-…``), a PCI bus id, or ``<GPU index>:<MIG index>``. A GPU that has MIG devices stands for
    all of them: its own device node alone lets a container compute nothing.

    Raises UnknownDevice for an identifier that names nothing or more than one device, InvalidInput
    for ``none`` beside others.
    """
    wanted = list(identifiers)
    if NONE in wanted:
        if set(wanted) != {NONE}:
            raise InvalidInput(f"'none' can't be combined with other GPUs: {', '.join(wanted)}")
        return ()
    chosen: set[str] = set()
    for identifier in wanted:
        named = host.devices if identifier == ALL else (_find(host, identifier),)
        chosen.update(target.uuid for one in named for target in _targets(one))
    return tuple(
        target
        for device in host.devices
        for target in _choose(device, chosen)
        if target.uuid in chosen
    )


def is_index(identifier: str) -> bool:
    """Whether it names a GPU or MIG device by its place, which may be another one's after a
    reboot."""
    return bool(_INDEX.fullmatch(identifier) or _MIG_INDEX.fullmatch(identifier))


def visible_devices(value: str | None) -> tuple[str, ...] | None:
    """Return the identifiers for ``select()`` in a value of NVIDIA_VISIBLE_DEVICES.

    ``None``: hands off the container, as when the variable is unset, names nothing or has ``void``
    in it. ``("none",)``: the driver, without a GPU. As with NVIDIA's runtime, commas separate
    items, blanks around them do not count, and the first of ``all`` and ``none`` stands for the
    whole list; other than with its CDI mode, ``select()`` gives a GPU that is named twice once.
    """
    items = (item.strip() for item in (value or "").split(","))
    named = tuple(item for item in items if item)
    if not named or VOID in named:
        return None
    return next(((item,) for item in named if item in (ALL, NONE)), named)


def _choose(device: Device, chosen: set[str]) -> tuple[Selected, ...]:
    return (device,) if device.uuid in chosen else device.mig_devices


def _targets(named: Selected) -> tuple[Selected, ...]:
    if isinstance(named, Device) and named.mig_devices:
        return named.mig_devices
    return (named,)


def _find(host: Host, identifier: str) -> Selected:
    if _INDEX.fullmatch(identifier):
        matches: list[Selected] = [d for d in host.devices if d.index == int(identifier)]
    elif _MIG_INDEX.fullmatch(identifier):
        gpu, mig = (int(part) for part in identifier.split(":"))
        matches = [
            m for d in host.devices if d.index == gpu for m in d.mig_devices if m.index == mig
        ]
    elif identifier.startswith("GPU-"):
        matches = [d for d in host.devices if d.uuid.startswith(identifier)]
    elif identifier.startswith("MIG-"):
        matches = [m for d in host.devices for m in d.mig_devices if m.uuid.startswith(identifier)]
    else:
        bus_id = sysfs_pci_bus_id(identifier)
        matches = [d for d in host.devices if bus_id is not None and d.pci_bus_id == bus_id]
    if len(matches) == 1:
        return matches[0]
    known = tuple(f"{device.index} ({device.uuid})" for device in host.devices)
    hint = f"it is the start of {len(matches)} UUIDs, write more of it" if matches else ""
    raise UnknownDevice(identifier, known, hint)
