# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""GPUs of another machine, through its nvidia-docker-plugin: v1's remote mode."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

from ..errors import NvidiaDockerError, RemoteError
from ..image_environment import complete
from ..injection import Injection
from ..model import CONTROL_NODES, Device, Driver, Host, sysfs_pci_bus_id
from ..render.docker_cli import injection_of, run_arguments
from ..requirement import DRIVER_VOLUME, Image, check
from ..selection import ALL, NONE
from .address import Endpoint
from .connection import Connection, line

_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}")


def options(endpoint: Endpoint, image: Image, gpus: tuple[str, ...]) -> list[str]:
    """Ask the other machine's plugin what to add to docker's arguments for this image.

    ``gpus``: identifiers for selection.select, empty for all. Raises UnmetRequirement if that
    machine can't serve the image, RemoteError if the plugin can't be reached, refuses, or answers
    what is no GPU or driver volume.
    """
    connection = Connection(endpoint)
    try:
        host = _host(connection.get("/gpu/info/json"), endpoint)
        # v1's order: a driver that is too old is told before a GPU that is unknown.
        check(image, host, ())
        wanted = _query(image.volumes_needed or (DRIVER_VOLUME,))
        identifiers = () if ALL in gpus or gpus == (NONE,) else _known_to_plugin(gpus, host)
        answer = connection.get(f"/docker/cli?vol={wanted}&dev={_query(identifiers)}")
    finally:
        connection.close()
    try:
        injection = injection_of(answer.split())
    except NvidiaDockerError as error:
        raise RemoteError(
            f"the plugin at {endpoint} answered what are no GPUs and no driver volume: "
            f"{line(str(error))}"
        ) from None
    if gpus == (NONE,):
        injection = Injection(
            tuple(node for node in injection.device_nodes if node in CONTROL_NODES),
            injection.mounts,
        )
    # By node, as the position in the list is no index where a GPU can't be read.
    check(image, host, [gpu for gpu in host.devices if gpu.node in injection.device_nodes])
    return run_arguments(complete(injection, image))


def _query(items: tuple[str, ...]) -> str:
    return "+".join(quote(item, safe="", errors="surrogateescape") for item in items)


def _known_to_plugin(identifiers: tuple[str, ...], host: Host) -> tuple[str, ...]:
    """Return the identifiers with UUIDs for PCI bus ids, which plugins don't know."""
    uuids = {gpu.pci_bus_id: gpu.uuid for gpu in host.devices}
    return tuple(uuids.get(sysfs_pci_bus_id(word) or "", word) for word in identifiers)


def _host(info: str, endpoint: Endpoint) -> Host:
    """Read ``/gpu/info/json`` as far as requirements need it."""
    try:
        document = json.loads(info)
        version = document["Version"]
        driver = Driver(_version(version.get("Driver")), _version(version.get("CUDA")), None, None)
        gpus = [_gpu(index, gpu) for index, gpu in enumerate(document.get("Devices") or ())]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise RemoteError(
            f"the plugin at {endpoint} answered /gpu/info/json with {line(info)!r}: "
            "is it nvidia-docker-plugin that listens there?"
        ) from None
    devices = tuple(gpu for gpu in gpus if gpu is not None)
    return Host(driver, devices, (), (), (), None)


def _gpu(index: int, told: dict[str, object]) -> Device | None:
    """Return a GPU; None for one whose device node has no minor number."""
    node, pci = str(told["Path"]), told.get("PCI")
    minor = re.search(r"[0-9]{1,4}\Z", node)
    bus_id = sysfs_pci_bus_id(str(pci.get("BusID"))) if isinstance(pci, dict) else None
    gpu = Device(
        index=index,
        uuid=str(told["UUID"]),
        minor_number=int(minor[0]) if minor else -1,
        pci_bus_id=bus_id or "",
        name=str(told.get("Model")),
        memory_mib=None,
        compute_capability=_version(told.get("Arch")),
        brand=None,
        mig_enabled=False,
        mig_devices=(),
    )
    return gpu if gpu.node == node else None


def _version(value: object) -> str | None:
    """Return a version; None for null, as a plugin says of a driver that is not there."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _VERSION.fullmatch(value):
        raise ValueError(value)
    return value
