# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a CDI specification depends on, told without the driver being asked.

Who looks often must neither wait for NVML nor wake up GPUs. /proc and /sys tell no one when they
change (inotify does not see it), so this is how a change of MIG devices and a reload of the driver
are noticed. Only ``os`` is imported: it is what a look costs.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_VERSION = "sys/module/nvidia/version"
_DEVICES = "dev"
_DRIVER = "nvidia"
"""How the names of the driver's device nodes and of their directories begin."""
_DIRECTORIES = (
    "dev/dri",
    "proc/driver/nvidia/gpus",
    "proc/driver/nvidia/capabilities",
    "run/nvidia-persistenced",
    "run/nvidia-fabricmanager",
)
_NUMBERED = ("sys/module/nvidia", "sys/bus/pci/drivers/nvidia")
"""The kernel numbers what it makes in /sys and never uses a number again: these are others when the
driver was loaded again, or took a GPU again, which may give GPUs each other's device nodes."""
_OPEN_TO_ALL = "tmp/nvidia-mps"
"""Not looked into: anybody could fill it."""
_ENGINES = ("dockerd", "podman")


def take(root: Path, files: Iterable[str]) -> str:
    """Return a text that is another one after something has changed that a specification tells.

    ``root`` is where /dev, /proc, /run, /sys and /tmp are looked up. ``files`` are more files whose
    replacement counts. What is not there is part of it: nothing is an error.
    """
    top = str(root)
    lines = [f"driver {_text(os.path.join(top, _VERSION))}"]
    for place in _NUMBERED:
        lines += _numbers(os.path.join(top, place))
    devices = os.path.join(top, _DEVICES)
    for name in _names(devices):
        if name.startswith(_DRIVER):
            lines += _tree(os.path.join(devices, name))
    for place in _DIRECTORIES:
        lines += _tree(os.path.join(top, place))
    lines += _entry(os.path.join(top, _OPEN_TO_ALL))
    return "\n".join(lines) + "\n" + versions((*_engines(), *files))


def versions(files: Iterable[str]) -> str:
    """Return a text that is another one after one of these files was replaced or written to."""
    return "".join(f"{path} {_version(path)}\n" for path in files)


def _tree(path: str) -> Iterator[str]:
    found = _entry(path)
    yield from found
    if found:
        for name in _names(path):
            yield from _tree(os.path.join(path, name))


def _entry(path: str) -> list[str]:
    """What is told of a device node or directory; its times change without a reason."""
    try:
        status = os.lstat(path)
    except OSError:
        return []
    return [f"{path} {status.st_mode} {status.st_rdev} {status.st_uid} {status.st_gid}"]


def _numbers(path: str) -> Iterator[str]:
    """The numbers of a directory and of what is in it."""
    for one in (path, *(os.path.join(path, name) for name in _names(path))):
        try:
            yield f"{one} {os.lstat(one).st_ino}"
        except OSError:
            # It has gone meanwhile.
            yield one


def _names(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(256).strip()
    except OSError:
        return ""


def _engines() -> Iterator[str]:
    """An engine that was upgraded may take another version of CDI."""
    for directory in os.get_exec_path():
        for name in _ENGINES:
            yield os.path.join(directory, name)


def _version(path: str) -> str:
    try:
        status = os.stat(path)
    except OSError:
        return "-"
    return f"{status.st_ino} {status.st_mtime_ns} {status.st_size}"
