# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dockerd of this host: which one is installed, which one runs, and what it says to a file."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..daemon_json_keys import VALIDATES, Version, engine_version
from ..dockerd_flags import Flag
from ..dockerd_flags import read as read_flags
from ..errors import DaemonJsonError
from . import docker_unit

DEFAULT_FILE = "/etc/docker/daemon.json"
DEFAULT_SOCKET = "/var/run/docker.sock"
_PID_FILE = Path("/var/run/docker.pid")
_MORE_PATH = "/usr/local/sbin:/usr/sbin"
"""Where dockerd is, also for users whose PATH has no sbin."""
_NOBODY = 65534
_READ_ITS_FILE = "needs to be started with root"
_SECONDS = 30
"""For what takes dockerd or systemctl some milliseconds."""


@dataclass(frozen=True)
class Process:
    """A dockerd that runs; a later one may have its pid, not its start."""

    pid: int
    started: int
    """Clock ticks after boot, /proc/PID/stat."""


@dataclass(frozen=True)
class Daemon:
    """The dockerd that reads one daemon.json."""

    program: str | None
    version: Version | None
    """None if there is none, or it does not tell."""
    flags: tuple[Flag, ...] = ()
    """Of the next start; none if dockerd reads another file."""
    unit: bool = False
    """Whether systemd starts it, with the file."""
    process: Process | None = None

    def socket(self, config: Mapping[str, Any]) -> str | None:
        """Return the path of the API's socket, None if it has none."""
        given = config.get("hosts")
        hosts = [*(given if isinstance(given, list) else ())]
        hosts += [flag.value for flag in self.flags if flag.key == "hosts"]
        for host in hosts:
            if str(host).startswith("unix://"):
                return str(host)[len("unix://") :]
        return DEFAULT_SOCKET if not hosts or any(map(_is_activation, hosts)) else None

    def refusal(self, text: str, path: str) -> str | None:
        """Return what dockerd says against this content of ``path``, None if it takes it.

        Before 23 there is no ``--validate``, but a dockerd that is not root reads its file before
        it says so. One that only root can start is not asked.
        """
        if self.program is None or self.version is None:
            return None
        content = os.memfd_create("daemon.json")
        try:
            with open(content, "wb", closefd=False) as file:
                file.write(text.encode("utf-8"))
            return self._ask(f"/proc/self/fd/{content}", content, path)
        finally:
            os.close(content)

    def _ask(self, name: str, content: int, path: str) -> str | None:
        validates = self.version is not None and self.version >= VALIDATES
        command = [str(self.program), *(["--validate"] if validates else []), "--config-file", name]
        nobody = None if validates or os.geteuid() != 0 else _NOBODY
        try:
            done = subprocess.run(  # pylint: disable=ansible-bad-function  # no Ansible here
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_SECONDS,
                check=False,
                pass_fds=(content,),
                user=nobody,
                extra_groups=None if nobody is None else [],
            )
        except PermissionError:
            return None
        except (OSError, subprocess.SubprocessError) as error:
            raise DaemonJsonError(f"{self.program} can't be asked about {path}: {error}") from error
        said = done.stdout.decode(errors="replace").strip().replace(name, path)
        if done.returncode == 0 or (not validates and _READ_ITS_FILE in said):
            return None
        return said.splitlines()[-1] if said else f"exit status {done.returncode}"


def find(file: Path) -> Daemon:
    """Return the installed dockerd, with what is known of the one that reads ``file``."""
    program = shutil.which(
        "dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    )
    version = engine_version(_output(program, "--version")) if program else None
    loaded, pid = _systemd()
    flags = docker_unit.flags(docker_unit.DIRECTORIES) if loaded else ()
    if not loaded:
        pid = pid_of_file()
        flags = _flags_of(pid)
    named = [flag.value for flag in flags if flag.key == "config-file"]
    if os.path.realpath((named or [DEFAULT_FILE])[-1]) != str(file):
        return Daemon(program, version)
    return Daemon(program, version, flags, loaded, process(pid))


def process(pid: int | None) -> Process | None:
    """Return the process that has this pid now."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return Process(int(pid or 0), int(stat.rpartition(")")[2].split()[19]))


def _systemd() -> tuple[bool, int | None]:
    """Return whether systemd runs and has the unit, and the unit's main process."""
    told = _output("systemctl", "show", "--property=LoadState,MainPID", docker_unit.UNIT)
    properties = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    return properties.get("LoadState") == "loaded", int(properties.get("MainPID") or 0) or None


def pid_of_file() -> int | None:
    """Return the pid of the dockerd that runs, None if its file names none."""
    try:
        pid = int(_PID_FILE.read_text())
        return pid if Path(f"/proc/{pid}/comm").read_text().strip() == "dockerd" else None
    except (OSError, ValueError):
        return None


def _flags_of(pid: int | None) -> tuple[Flag, ...]:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ()
    return read_flags((word, f"the command line of process {pid}") for word in words[1:])


def _output(*command: str) -> str:
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function  # no Ansible here
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):  # not there, or it does not answer
        return ""
    return done.stdout.decode(errors="replace")


def _is_activation(host: object) -> bool:
    return str(host).startswith("fd://")
