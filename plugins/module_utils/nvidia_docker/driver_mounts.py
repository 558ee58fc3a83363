# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where containers that have no driver volume of Docker's see the files of one.

The loader looks in its default directories for what is not in the image's cache, so libraries that
are mounted there under every name that programs use are found without a variable and without
ldconfig. Images of either family of distributions have directories of their own, and nothing in the
other's.

Each mount takes time when a container starts. On x86-64 the loader also looks into subdirectories
of these directories, which images do not have: one directory with a link for each name is enough.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Mapping
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
_LIB32, _LIB64 = "lib", "lib64"
_SUBDIRECTORIES = {"x86_64": ("glibc-hwcaps/x86-64-v2", "tls")}
"""By machine, where loaders look first, in any directory: glibc 2.33 and later on processors that
have what the x86-64 psABI calls v2; older ones (ld.so(8), "Hardware capabilities")."""
_SEEN_AT = "/usr/local/lib/nvidia-docker/driver"
"""The whole volume, for the links to lead to. Not where PATH and LD_LIBRARY_PATH of images lead:
they would find what was not asked for."""
_BY_PATH = {"libcuda.so", "libcuda.so.1", "libnvidia-ml.so.1"}
"""Linkers, and programs that only look whether these are there, know no subdirectory."""
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
    """Return the mounts that give a container the driver files of these capabilities, one by one.

    ``volume`` is the driver volume's directory on the host, ``machine`` as ``uname -m`` says.
    """
    return tuple(
        FileMount(f"{volume}/{file.path}", target)
        for file in _needed(files, capabilities)
        for target in _targets(file, machine)
    )


def few_mounts(
    volume: str,
    files: Iterable[VolumeFile],
    capabilities: Iterable[DriverCapability],
    machine: str,
    links: str,
) -> tuple[FileMount, ...]:
    """Return mounts of the same effect where there are ``link_directories(machine)``.

    ``links`` is the directory on the host that has ``library_links()`` of the same files.
    """
    found = [FileMount(volume, _SEEN_AT)]
    found += [FileMount(links, place) for place in link_directories(machine)]
    for one in mounts(volume, files, capabilities, machine):
        place, _slash, name = one.target.rpartition("/")
        if place not in library_directories(machine) or name in _BY_PATH:
            found.append(one)
    return tuple(found)


def library_links(
    files: Iterable[VolumeFile], capabilities: Iterable[DriverCapability]
) -> dict[str, str]:
    """Return the links by which loaders find the 64-bit libraries: name to what it leads to, in a
    container with ``few_mounts()``."""
    return {
        name: f"{_SEEN_AT}/{file.path}"
        for file in _needed(files, capabilities)
        if file.path.startswith(f"{_LIB64}/")
        for name in _names(file)
    }


def links_name(version: str, links: Mapping[str, str]) -> str:
    """Return how the directory of these links is called: other links, another name."""
    text = "".join(f"{name} {target}\n" for name, target in sorted(links.items()))
    return f"{version}-{binascii.crc32(text.encode()):08x}"


def link_directories(machine: str) -> tuple[str, ...]:
    """Return where containers see the links; empty if loaders of this machine look nowhere."""
    subdirectories = _SUBDIRECTORIES.get(machine, ())
    return tuple(f"{one}/{sub}" for one in library_directories(machine) for sub in subdirectories)


def library_directories(machine: str) -> tuple[str, ...]:
    """Return where containers see the 64-bit libraries: the loaders' default directories."""
    return (f"/usr/lib/{_TRIPLETS.get(machine, f'{machine}-linux-gnu')}", "/usr/lib64")


def _needed(
    files: Iterable[VolumeFile], capabilities: Iterable[DriverCapability]
) -> list[VolumeFile]:
    wanted = with_implied(capabilities)
    found = []
    for file in files:
        if not needed_for(file.catalogue_name) & wanted:
            continue
        if file.catalogue_name in _DISPATCHERS and driver_version_of(file.path) is None:
            continue
        if file.path.startswith(f"{_LIB32}/") and DriverCapability.COMPAT32 not in wanted:
            continue
        found.append(file)
    return found


def _names(file: VolumeFile) -> tuple[str, ...]:
    return (file.path.rpartition("/")[2], *file.other_names)


def _targets(file: VolumeFile, machine: str) -> list[str]:
    directory, _slash, name = file.path.partition("/")
    entry = ENTRIES[file.catalogue_name]
    if isinstance(entry, ConfigurationFile):
        first = entry.name.partition("/")[0]
        return [f"{_CONFIGURATION.get(first, '/usr/share')}/{entry.name}"]
    if not isinstance(entry, Library):
        return [f"/usr/bin/{name}"]
    names = [*_names(file)]
    if entry.name == _GBM_BACK_END[0]:
        names.append(_GBM_BACK_END[1])
    places = _TWIN_DIRECTORIES if directory == _LIB32 else library_directories(machine)
    return [f"{place}/{one}" for place in places for one in names]
