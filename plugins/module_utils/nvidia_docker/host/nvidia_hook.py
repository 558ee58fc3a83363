# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether dockerd gives GPUs by NVIDIA's hook, as ``docker run --gpus`` wants it.

dockerd looks for the hook in its PATH once, when it starts (moby, daemon/nvidia_linux.go, since 29
devices_nvidia_linux.go), and no question to it tells what it found.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ..driver_files import BINARY_DIRECTORIES
from ..errors import NotInstalled
from . import docker_daemon
from .engine import Engine

PROGRAM = "nvidia-container-runtime-hook"
DRIVER = "nvidia"
"""dockerd's device driver that has the hook called."""
_PROC = Path("/proc")


def require(engine: Engine) -> None:
    """Raise NotInstalled unless dockerd found the hook when it started.

    A hook that is newer than dockerd's process was installed since, or replaced by an upgrade: then
    a container that was started with it since tells that dockerd has it. Raises DockerError.
    """
    pid = docker_daemon.pid_of_file()
    changed = tuple(_changed(_path_of(pid)))
    if not changed:
        raise NotInstalled(
            f"{PROGRAM} is not in dockerd's PATH: install nvidia-container-toolkit and restart "
            "Docker"
        )
    started = _started(pid)
    if started is None or min(changed) <= started:
        return
    used = engine.last_start(DRIVER)
    if used is None or used <= started:
        raise NotInstalled(
            f"{PROGRAM} was installed after Docker started, which looks for it only then: restart "
            "Docker"
        )


def _path_of(pid: int | None) -> tuple[str, ...]:
    """Return the directories of dockerd's PATH; the usual ones if it does not tell."""
    try:
        variables = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return BINARY_DIRECTORIES
    paths = [os.fsdecode(one[len(b"PATH=") :]) for one in variables if one.startswith(b"PATH=")]
    return tuple(paths[0].split(":")) if paths else BINARY_DIRECTORIES


def _changed(directories: Iterable[str]) -> Iterator[float]:
    """Yield when each hook there, or a link to it, came to its place, in s since the epoch."""
    for directory in filter(None, directories):
        path = os.path.join(directory, PROGRAM)
        with suppress(OSError):
            if os.access(path, os.X_OK):
                yield max(os.lstat(path).st_ctime, os.stat(path).st_ctime)


def _started(pid: int | None) -> float | None:
    """Return when a process was started, in s since the epoch of the clock as it goes now."""
    found = docker_daemon.process(pid)
    if found is None:
        return None
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - found.started / os.sysconf("SC_CLK_TCK")
    return time.time() - age
