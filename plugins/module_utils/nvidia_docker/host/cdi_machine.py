# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this machine has for containers beside GPUs: device nodes as they are, DRM nodes, sockets.

``root`` is where /dev, /run, /sys and /usr are looked up.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from ..driver_files import BINARY_DIRECTORIES, DriverCapability
from ..driver_mounts import link_directories
from ..errors import NotInstalled
from ..injection import FileMount, Hook
from ..model import CONTROL_NODES, MODESET_NODE, DeviceNode, Host

_DRM_NODE = re.compile(r"(card|renderD)[0-9]{1,6}")
_SOCKETS = (
    ("/run/nvidia-persistenced/socket", DriverCapability.UTILITY),
    ("/run/nvidia-fabricmanager/socket", DriverCapability.COMPUTE),
)
"""Of the host's services that libnvidia-ml and libcuda ask."""
_MPS = "/tmp/nvidia-mps"
"""Where clients of the multi-process service find it (CUDA_MPS_PIPE_DIRECTORY's default)."""
_X86_64_V2 = frozenset(("cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"))
"""What the x86-64 psABI demands of v2, in Linux's words; a virtual machine may lack some."""
_TOOLKIT_HOOK = "nvidia-cdi-hook"
LDCONFIG = "/sbin/ldconfig"


def nodes(host: Host, drm: Iterable[str], root: Path) -> tuple[DeviceNode, ...]:
    """Return the device nodes that containers may get, as they are; what is none is not there."""
    paths = [*CONTROL_NODES, MODESET_NODE, *drm]
    for device in host.devices:
        paths += device.device_nodes
        paths += [path for mig in device.mig_devices for path in mig.device_nodes]
    found = (node(path, root) for path in dict.fromkeys(paths))
    return tuple(one for one in found if one is not None)


def node(path: str, root: Path) -> DeviceNode | None:
    """Return a device node as it is; ``None`` if there is none or it is something else."""
    try:
        status = os.stat(_at(root, path))
    except (OSError, ValueError):
        return None
    if not stat.S_ISCHR(status.st_mode):
        return None
    return DeviceNode(
        path=path,
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
    )


def drm_nodes(host: Host, root: Path) -> dict[str, tuple[str, ...]]:
    """Return each GPU's nodes in /dev/dri by PCI bus id, as sysfs names them."""
    found = {}
    for device in host.devices:
        folder = root / "sys/bus/pci/devices" / device.pci_bus_id / "drm"
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        found[device.pci_bus_id] = tuple(
            f"/dev/dri/{name}" for name in names if _DRM_NODE.fullmatch(name)
        )
    return found


def sockets(capabilities: Iterable[DriverCapability], root: Path) -> tuple[FileMount, ...]:
    """Return the mounts of the services that run here and that these capabilities can use."""
    wanted = set(capabilities)
    found = [path for path, capability in _SOCKETS if capability in wanted and _is(path, root)]
    if DriverCapability.COMPUTE in wanted and _is_roots_directory(_at(root, _MPS)):
        found.append(_MPS)
    return tuple(FileMount(path, path, writable=True) for path in found)


def has_link_directories(machine: str, root: Path) -> bool:
    """Whether loaders look into ``link_directories(machine)`` on this processor."""
    if not link_directories(machine):
        return False
    try:
        with open(_at(root, "/proc/cpuinfo"), encoding="ascii", errors="replace") as file:
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return False
    return _X86_64_V2.issubset(flags.split())


def toolkit_hooks(version: str, directories: Iterable[str], root: Path) -> tuple[Hook, ...]:
    """Return the hooks of NVIDIA's toolkit that are of use beside our mounts.

    They list the libraries in the container's loader's cache, use the image's CUDA compatibility
    libraries where these are newer, and keep programs in it from making device nodes.
    ``directories`` are where the container sees the libraries. Raises
    NotInstalled if the toolkit, or the ldconfig that it runs, is not on this host.
    """
    places = (f"{place}/{_TOOLKIT_HOOK}" for place in BINARY_DIRECTORIES)
    path = next((one for one in places if os.access(_at(root, one), os.X_OK)), None)
    if path is None:
        raise NotInstalled(
            f"the toolkit's hooks are asked for, but {_TOOLKIT_HOOK} is not on this host: install "
            "nvidia-container-toolkit-base, or do without: containers find the driver all the same"
        )
    if not os.access(_at(root, LDCONFIG), os.X_OK):
        raise NotInstalled(
            f"the toolkit's hooks are asked for, but they run {LDCONFIG}, which is not on this "
            "host: no container could be started"
        )
    folders = [word for one in directories for word in ("--folder", one)]
    return (
        Hook(path, ("enable-cuda-compat", f"--host-driver-version={version}")),
        Hook(path, ("update-ldcache", *folders)),
        Hook(path, ("disable-device-node-modification",)),
    )


def _is(path: str, root: Path) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(_at(root, path)).st_mode)
    except OSError:
        return False


def _is_roots_directory(path: str) -> bool:
    """Anybody can make a directory of this name in /tmp, and with it listen to containers."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == 0


def _at(root: Path, path: str) -> str:
    return str(root / path.lstrip("/"))
