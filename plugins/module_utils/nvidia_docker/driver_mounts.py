# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the files of a driver volume are seen by containers that get them one by one.

The loader looks in its default directories for what is not in the image's cache, so libraries that
are mounted there under every name that programs use are found without a variable and without
ldconfig. Images of either family of distributions have directories of their own, and nothing in the
other's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .driver_files import (
    ENTRIES,
    ConfigurationFile,
    DriverCapability,
    Library,
    driver_version_of,
    needed_for,
    with_implied,
)
from .injection import FileMount

_TRIPLETS = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}
_TWIN_DIRECTORIES = ("/usr/lib/i386-linux-gnu", "/usr/lib")
"""Of Debian and its kin, of RPM distributions."""
_LIB32 = "lib"
_GBM_BACK_END = ("libnvidia-allocator", "gbm/nvidia-drm_gbm.so")
"""The name that Mesa's GBM loads in a library directory."""
_DISPATCHERS = frozenset(
    ("libGL", "libEGL", "libGLESv1_CM", "libGLESv2", "libGLX", "libOpenGL", "libGLdispatch")
)
"""They load the driver's vendor libraries and are the image's own matter: the host's may need a
newer C library than the image has. Those of a driver before GLVND have its version in their names.
"""
_CONFIGURATION = {"OpenCL": "/etc", "vulkan": "/etc", "vulkansc": "/etc"}
"""By the first part of the name, where not below /usr/share."""


@dataclass(frozen=True)
class VolumeFile:
    """A file of a driver volume."""

    path: str
    """In the volume: ``lib64/libcuda.so.550.54.15``."""
    catalogue_name: str
    other_names: tuple[str, ...] = ()
    """Of links to it, in the same directory."""


def mounts(
    volume: str, files: Iterable[VolumeFile], capabilities: Iterable[DriverCapability], machine: str
) -> tuple[FileMount, ...]:
    """Return the mounts that give a container the driver files of these capabilities.

    ``volume`` is the driver volume's directory on the host, ``machine`` as ``uname -m`` says.
    """
    wanted = with_implied(capabilities)
    found = []
    for file in files:
        if not needed_for(file.catalogue_name) & wanted:
            continue
        if file.catalogue_name in _DISPATCHERS and driver_version_of(file.path) is None:
            continue
        if file.path.startswith(f"{_LIB32}/") and DriverCapability.COMPAT32 not in wanted:
            continue
        for target in _targets(file, machine):
            found.append(FileMount(f"{volume}/{file.path}", target))
    return tuple(found)


def library_directories(machine: str) -> tuple[str, ...]:
    """Return where containers see the 64-bit libraries: the loaders' default directories."""
    return (f"/usr/lib/{_TRIPLETS.get(machine, f'{machine}-linux-gnu')}", "/usr/lib64")


def _targets(file: VolumeFile, machine: str) -> list[str]:
    directory, _slash, name = file.path.partition("/")
    entry = ENTRIES[file.catalogue_name]
    if isinstance(entry, ConfigurationFile):
        first = entry.name.partition("/")[0]
        return [f"{_CONFIGURATION.get(first, '/usr/share')}/{entry.name}"]
    if not isinstance(entry, Library):
        return [f"/usr/bin/{name}"]
    names = [name, *file.other_names]
    if entry.name == _GBM_BACK_END[0]:
        names.append(_GBM_BACK_END[1])
    places = _TWIN_DIRECTORIES if directory == _LIB32 else library_directories(machine)
    return [f"{place}/{one}" for place in places for one in names]
