# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The user's options of docker_container joined with ours, or refused where the two are at odds."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from ..cdi_spec import GPU_KIND
from ..container_labels import LABEL_PREFIX
from ..errors import InvalidInput
from ..requirement import VISIBLE_DEVICES
from .docker_container import Options

_NVIDIA, _CDI = "nvidia", "cdi"
_GPU = "gpu"
_NO_GPUS = ("", "none", "void")
"""Values of NVIDIA_VISIBLE_DEVICES."""


def merge(wanted: Mapping[str, Any], ours: Mapping[str, Any]) -> Options:
    """Return the user's options with those of ``options()`` added; nothing of the user's is lost.

    An environment variable that the user sets keeps the user's value.
    Raises InvalidInput for an option of the user's that is at odds with ours.
    """
    _refuse_labels(wanted.get("labels") or {})
    _refuse_other_gpus(wanted, ours)
    _refuse_taken_targets(wanted, [mount["target"] for mount in ours["mounts"]])
    groups = [str(one) for one in wanted.get("groups") or ()]
    added = {
        "devices": [*ours["devices"], *_own_devices(wanted.get("devices") or (), ours["devices"])],
        "device_requests": [
            *ours["device_requests"],
            *map(_whole, wanted.get("device_requests") or ()),
        ],
        "mounts": [*ours["mounts"], *(wanted.get("mounts") or ())],
        "env": {**ours["env"], **(wanted.get("env") or {})},
        "groups": [*groups, *(one for one in ours["groups"] if one not in groups)],
        "runtime": ours["runtime"],
        "labels": {**(wanted.get("labels") or {}), **ours["labels"]},
    }
    # An option that is not given is not compared with the container, an empty one is.
    return {**wanted, **{key: value for key, value in added.items() if value}}


def _whole(request: Mapping[str, Any]) -> Options:
    """A request as Docker gives it back: docker_container takes what is left out for another."""
    return {**request, "driver": request.get("driver") or "", "count": request.get("count") or 0}


def _refuse_labels(labels: Mapping[str, Any]) -> None:
    for name in labels:
        if str(name).startswith(LABEL_PREFIX):
            raise InvalidInput(
                f"labels: {name!r} can't be set, {LABEL_PREFIX}* records what is injected"
            )


def _refuse_other_gpus(wanted: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Raise InvalidInput for what gives GPUs beside ours, or others than ours."""
    for device in wanted.get("devices") or ():
        if str(device).startswith(f"{GPU_KIND}="):
            raise InvalidInput(
                f"devices: {str(device)!r} is a CDI device, which Docker takes for a path: name "
                "the GPU in 'gpus', with 'injection: cdi'"
            )
    for request in wanted.get("device_requests") or ():
        if _asks_for_gpus(request):
            raise InvalidInput(
                f"device_requests: {dict(request)!r} asks for GPUs: name them in 'gpus', with "
                "'injection: device_request' or 'injection: cdi'"
            )
    runtime = wanted.get("runtime")
    if ours["runtime"] and runtime and runtime != ours["runtime"]:
        raise InvalidInput(
            f"runtime: {runtime!r} is another than {ours['runtime']!r}, which "
            "'injection: runtime' needs: leave 'runtime' out"
        )
    if not ours["runtime"] and runtime == _NVIDIA:
        raise InvalidInput(
            f"runtime: {runtime!r} gives GPUs beside those that 'gpus' names: use "
            "'injection: runtime', or leave 'runtime' out"
        )
    variables = wanted.get("env") or {}
    by_nvidia = ours["runtime"] or any(one["driver"] == _NVIDIA for one in ours["device_requests"])
    if by_nvidia and VISIBLE_DEVICES in variables:
        raise InvalidInput(
            f"env: {VISIBLE_DEVICES} is what gives the container its GPUs: leave it out and name "
            "them in 'gpus'"
        )
    given = str(variables.get(VISIBLE_DEVICES, ""))
    if VISIBLE_DEVICES in ours["env"] and given not in _NO_GPUS:
        raise InvalidInput(
            f"env: {VISIBLE_DEVICES}: {given!r} gives GPUs beside those that 'gpus' names, as "
            "NVIDIA's runtime is Docker's default: leave it out"
        )


def _asks_for_gpus(request: Mapping[str, Any]) -> bool:
    if request.get("driver") == _CDI:
        return any(name.startswith(f"{GPU_KIND}=") for name in _texts(request.get("device_ids")))
    return request.get("driver") == _NVIDIA or _GPU in _texts(request.get("capabilities"))


def _texts(value: Any) -> list[str]:
    """All texts in what may be a list of lists, or what Ansible makes such of: ``gpu,compute``."""
    if isinstance(value, (list, tuple)):
        return [text for one in value for text in _texts(one)]
    return [one.strip() for one in str(value or "").split(",")]


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
