# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An injection as arguments of the docker command and as v1's REST answers.

v1's REST API and the command say the same in two ways. REST answers keep v1's bytes: they are
parsed by schedulers. The command names the volume driver on the mount itself, because a
``--volume-driver`` would be forced on the user's own volumes too.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import InvalidInput
from ..injection import MOUNT_POINT, VOLUME_DRIVER, Injection, Mount, VolumeName
from ..model import is_device_node


def rest_arguments(injection: Injection) -> list[str]:
    """Return the words of v1's ``/docker/cli``: volume driver, volumes, devices."""
    volumes = [f"--volume={volume}" for volume in _volumes(injection)]
    return [f"--volume-driver={VOLUME_DRIVER}", *volumes, *_devices(injection)]


def rest_json(injection: Injection) -> dict[str, object]:
    """Return the object of v1's ``/docker/cli/json``."""
    return {
        "VolumeDriver": VOLUME_DRIVER,
        "Volumes": _volumes(injection),
        "Devices": list(injection.device_nodes),
    }


def injection_of(words: Iterable[str]) -> Injection:
    """Read what rest_arguments writes, from a machine that is not trusted.

    Raises InvalidInput or UnknownVolume for any word that is no device node of the NVIDIA driver
    and no driver volume at its place, read-only, and where there is no device node at all.
    """
    nodes, mounts = [], []
    for word in words:
        option, _dummy, value = word.partition("=")
        name, _dummy, place = value.partition(":")
        if option == "--device" and is_device_node(value):
            nodes.append(value)
        elif option == "--volume" and place == f"{MOUNT_POINT}:ro":
            mounts.append(Mount(str(VolumeName.parse(name)), MOUNT_POINT, VOLUME_DRIVER))
        elif word != f"--volume-driver={VOLUME_DRIVER}":
            raise InvalidInput(f"unexpected option {word[:100]!r}")
    if not nodes:
        raise InvalidInput("there is no device node")
    # v1 mounts the volume twice for an image that names it twice; docker refuses that.
    return Injection() + Injection(device_nodes=tuple(nodes), mounts=tuple(mounts))


def run_arguments(injection: Injection) -> list[str]:
    """Return the options for ``docker run`` and ``docker create``, one word each."""
    mounts = [
        f"--mount=type=volume,source={mount.volume},target={mount.target},readonly,"
        f"volume-driver={mount.volume_driver}"
        for mount in injection.mounts
    ]
    variables = [f"--env={name}={value}" for name, value in injection.environment]
    return _devices(injection) + mounts + variables


def _devices(injection: Injection) -> list[str]:
    return [f"--device={path}" for path in injection.device_nodes]


def _volumes(injection: Injection) -> list[str]:
    return [f"{mount.volume}:{mount.target}:ro" for mount in injection.mounts]
