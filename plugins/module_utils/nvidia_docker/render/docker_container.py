# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An injection as options of community.docker.docker_container, joined with the user's own.

docker_container lets a container have more devices than it is given: taken-away GPUs go unnoticed.
So what is injected is recorded in labels of the container, and compared by these.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from ..container_labels import (
    GPUS_LABEL,
    INJECTION_LABEL,
    LABEL_PREFIX,
    NAMED,
    SHARING_LABEL,
    join_uuids,
    split_uuids,
)
from ..errors import InvalidInput
from ..injection import Injection, Mount
from ..selection import Selected

Options = dict[str, Any]


def options(injection: Injection, devices: Iterable[Selected], sharing: str = NAMED) -> Options:
    """Return the options that give a container this injection, with the labels that record it.

    ``devices`` are those that the injection was planned for, ``sharing`` is one of
    container_labels.py.
    """
    return {
        "devices": list(injection.device_nodes),
        "mounts": [_mount(mount) for mount in injection.mounts],
        "env": dict(injection.environment),
        "labels": {
            GPUS_LABEL: join_uuids([device.uuid for device in devices]),
            INJECTION_LABEL: _digest(injection),
            # Always: an image that was made from a container brings that one's labels.
            SHARING_LABEL: sharing,
        },
    }


def merge(wanted: Mapping[str, Any], ours: Mapping[str, Any]) -> Options:
    """Return the user's options with those of ``options()`` added; nothing of the user's is lost.

    An environment variable that the user sets keeps the user's value.
    Raises InvalidInput for an option of the user's that is at odds with ours.
    """
    devices = _own_devices(wanted.get("devices") or (), ours["devices"])
    _refuse_taken_targets(wanted, [mount["target"] for mount in ours["mounts"]])
    labels = wanted.get("labels") or {}
    for name in labels:
        if str(name).startswith(LABEL_PREFIX):
            raise InvalidInput(
                f"labels: {name!r} can't be set, {LABEL_PREFIX}* records what is injected"
            )
    added = {
        "devices": [*ours["devices"], *devices],
        "mounts": [*ours["mounts"], *(wanted.get("mounts") or ())],
        "env": {**ours["env"], **(wanted.get("env") or {})},
        "labels": {**labels, **ours["labels"]},
    }
    # An option that is not given is not compared with the container, an empty one is.
    return {**wanted, **{key: value for key, value in added.items() if value}}


def differences(current: Mapping[str, str], planned: Mapping[str, str]) -> tuple[str, ...]:
    """Return what makes the injection that a container's labels record another than the planned.

    Each is a short text for the user: ``GPU-… removed``.
    """
    if INJECTION_LABEL not in current:
        return ("not made by nvidia_container",)
    had, gets = (set(split_uuids(one.get(GPUS_LABEL, ""))) for one in (current, planned))
    found = [f"{uuid} removed" for uuid in sorted(had - gets)]
    found += [f"{uuid} added" for uuid in sorted(gets - had)]
    if not found and current[INJECTION_LABEL] != planned[INJECTION_LABEL]:
        found.append("device nodes, mounts or environment changed")
    was, becomes = (one.get(SHARING_LABEL, NAMED) for one in (current, planned))
    if was != becomes:
        found.append(f"sharing {was} -> {becomes}")
    return tuple(found)


def _mount(mount: Mount) -> Options:
    return {
        "type": "volume",
        "source": mount.volume,
        "target": mount.target,
        "read_only": True,
        # Without, Docker gives the volume the owner of what the image has at the target.
        "no_copy": True,
        "volume_driver": mount.volume_driver,
    }


def _digest(injection: Injection) -> str:
    """Of what the container gets only: not of its order, nor of kinds that are not used."""
    parts = {
        "devices": sorted(injection.device_nodes),
        "mounts": sorted((mount.volume, mount.target) for mount in injection.mounts),
        "environment": sorted(injection.environment),
    }
    used = json.dumps({key: value for key, value in parts.items() if value}, sort_keys=True)
    return hashlib.sha256(used.encode()).hexdigest()[:16]


def _own_devices(wanted: Iterable[str], ours: Iterable[str]) -> list[str]:
    """The user's devices that are not among ours. Raises InvalidInput if one is in ours' place."""
    taken = set(ours)
    own = []
    for device in wanted:
        on_host, in_container, permissions = [*str(device).split(":"), "", ""][:3]
        if (in_container or on_host) not in taken:
            own.append(device)
        elif in_container not in ("", on_host) or permissions not in ("", "rwm"):
            raise InvalidInput(
                f"devices: {device!r} is in the place of a device node that 'gpus' gives"
            )
    return own


def _refuse_taken_targets(wanted: Mapping[str, Any], ours: Iterable[str]) -> None:
    taken = set(ours)
    targets = [
        ("mounts", mount.get("target"))
        for mount in wanted.get("mounts") or ()
        if mount.get("target")
    ]
    targets += [("volumes", _volume_target(str(one))) for one in wanted.get("volumes") or ()]
    targets += [("tmpfs", str(one).partition(":")[0]) for one in wanted.get("tmpfs") or ()]
    for option, target in targets:
        if posixpath.normpath(target) in taken:
            raise InvalidInput(
                f"{option}: {target!r} is where the driver volume is mounted; "
                "choose another path in the container"
            )


def _volume_target(volume: str) -> str:
    """``source:target:mode``, ``source:target``, ``target:mode`` or ``target``."""
    parts = volume.split(":")
    return parts[1] if len(parts) > 1 and parts[1].startswith("/") else parts[0]
