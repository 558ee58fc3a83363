# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What there is in the place of each of a machine's NVIDIA device nodes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..facts import DeviceNode
from ..model import CONTROL_NODES, Host, device_node
from . import kernel
from .device_nodes import DeviceNodes


def read(root: Path, host: Host) -> tuple[DeviceNode, ...]:
    """Return the control nodes, then those of GPUs and MIG devices, there or not, each once.

    ``root`` is where /dev is looked up.
    """
    paths = [*CONTROL_NODES]
    for device in host.devices:
        paths += device.device_nodes
        paths += [path for mig in device.mig_devices for path in mig.device_nodes]
    paths += [device_node(gpu.minor_number) for gpu in kernel.gpus(root)]
    nodes = DeviceNodes(root)
    return tuple(
        _describe(root, nodes, path) for path in dict.fromkeys((*paths, *host.missing_nodes))
    )


def _describe(root: Path, nodes: DeviceNodes, path: str) -> DeviceNode:
    try:
        found = os.stat(root / path.lstrip("/"))
    except OSError:
        return DeviceNode(path, "missing")
    device = found.st_rdev if stat.S_ISCHR(found.st_mode) else None
    return DeviceNode(
        path,
        "present" if nodes.is_right(path) else "wrong",
        owner=found.st_uid,
        group=found.st_gid,
        mode=f"{stat.S_IMODE(found.st_mode):04o}",
        major=None if device is None else os.major(device),
        minor=None if device is None else os.minor(device),
    )
