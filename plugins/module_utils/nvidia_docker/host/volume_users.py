# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which driver volumes containers use: those that Docker has, running or not, and any that runs."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from ..errors import NotInstalled
from ..injection import VOLUME_KIND, VolumeName
from . import process_container, volume_store
from .engine import Engine, MountingContainer

_PROC = Path("/proc")
_ROOT_FIELD, _MOUNT_POINT_FIELD = 3, 4
"""Of a line in mountinfo, proc_pid_mountinfo(5): the mounted directory within its file system, and
where the process sees it."""
_VOLUME = re.compile(rf"(?:^|/){VOLUME_KIND}/([0-9.]+)(?:/|$)")
"""A volume, or a file of one, as CDI specifications mount them one by one."""
_LIBRARY = re.compile(r"/lib(?:cuda|nvidia-ml)\.so\.([0-9]{3,}(?:\.[0-9]+)+)(?://deleted)?$")
"""The host's own, as NVIDIA's programs mount them."""
_ESCAPE = re.compile(r"\\([0-7]{3})")


def users(root: Path, versions: Collection[str], engine: Engine) -> dict[str, tuple[str, ...]]:
    """Return, of these driver versions, those whose volume is in use, each with who uses it.

    A container that Docker has counts even if it is stopped, as its volume is looked for at the
    next start. Other engines' containers count while they run, by what they have mounted.
    Raises DockerError, or NotInstalled without a client, if there is a Docker that can't be asked.
    """
    containers = _containers(engine)
    # Dictionaries for their order.
    found: dict[str, dict[str, None]] = {}
    for container in containers:
        for version in versions:
            if any(_names(mount, version) for mount in container.mounts):
                found.setdefault(version, {})[f"container {container.name}"] = None
    names = {one.id: one.name for one in containers}
    seen = set()
    for pid, mounted, mount_point in _mounts():
        for version in versions:
            if _is_in(root, version, mounted, pid, mount_point):
                identifier = process_container.container_id(_PROC.parent, pid)
                if (version, identifier) not in seen:
                    seen.add((version, identifier))
                    found.setdefault(version, {})[_user(pid, identifier, names)] = None
    return {version: tuple(who) for version, who in found.items()}


def mounted_version(pid: int) -> str | None:
    """Return of which driver version a process has files mounted, ``None`` if none are to be seen.

    Of a driver volume, whole or file by file, else libraries of the host that tell their version.
    """
    mounted = [one for one, _mount_point in _mounts_of(_PROC / str(pid))]
    for pattern in (_VOLUME, _LIBRARY):
        found = (pattern.search(one) for one in mounted)
        version = next((match[1] for match in found if match is not None), None)
        if version is not None:
            return version
    return None


def _user(pid: int, container: str | None, names: Mapping[str, str]) -> str:
    """``names``: of Docker's containers, by identifier."""
    if container is None:
        return f"process {pid}"
    if container in names:
        return f"container {names[container]}"
    return f"process {pid} of container {container[:12]}"


def _containers(engine: Engine) -> tuple[MountingContainer, ...]:
    try:
        return engine.mounts()
    except NotInstalled:
        if engine.exists():
            raise
        return ()


def _names(mount: str, version: str) -> bool:
    """Whether a mount of Docker's is this volume, or a directory in it."""
    inside = rf"(^|/){VOLUME_KIND}/{re.escape(version)}(/|$)"
    return mount == str(VolumeName(version)) or re.search(inside, mount) is not None


def _mounts() -> Iterator[tuple[int, str, str]]:
    """Yield what is mounted in each mount namespace and where, with a process that has it."""
    seen = set()
    for folder in sorted(_PROC.glob("[0-9]*"), key=lambda one: int(one.name)):
        try:
            namespace = os.readlink(folder / "ns/mnt")
        except OSError:  # it ended meanwhile
            continue
        if namespace not in seen:
            seen.add(namespace)
            for mounted, mount_point in _mounts_of(folder):
                yield int(folder.name), mounted, mount_point


def _mounts_of(folder: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = (folder / "mountinfo").read_text(errors="surrogateescape").splitlines()
    except OSError:  # it ended meanwhile
        return
    for line in lines:
        fields = line.split(" ")
        yield _path(fields[_ROOT_FIELD]), _path(fields[_MOUNT_POINT_FIELD])


def _path(field: str) -> str:
    return _ESCAPE.sub(lambda octal: chr(int(octal[1], 8)), field)


def _is_in(root: Path, version: str, mounted: str, pid: int, mount_point: str) -> bool:
    """Whether a mount is this volume, or something in it: the same file, looked at from there."""
    parts = mounted.split("/")
    if version not in parts:
        return False
    below = "/".join(parts[len(parts) - parts[::-1].index(version) :])
    try:
        here = os.stat(volume_store.directory(root, version) / below)
    except OSError:  # a deleted file, or another file system's
        return False
    try:
        there = os.stat(f"{_PROC}/{pid}/root{mount_point}")
    except OSError:  # not to be seen from here: better keep one too many
        return True
    return os.path.samestat(here, there)
