# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which container engines this machine has, whether they run or not."""

from __future__ import annotations

import os
import re

from ..cdi_versions import InstalledEngine
from . import process
from .owned_cache import OwnedCache

_PROGRAMS = {"docker": "dockerd", "podman": "podman"}
_VERSION = re.compile(r"version v?([0-9][^\s,]*)")
_MEMORY, _FOLDER, _FILE = "/run", "nvidia-docker-cdi", "engines"
"""What engines have told lies there until the reboot."""
_LARGEST = 16 * 1024
_ELF = b"\x7fELF"


class Asked:
    """The programs of the engines, which were started to tell their versions.

    That takes them longer than all the rest of the work. So whoever asks does that rest meanwhile,
    and a program whose file is the one that has told its version before is not started.
    """

    def __init__(self, memory: str = _MEMORY) -> None:
        self._cache = OwnedCache(memory)
        self._known = dict(_lines(self._cache.read(_FOLDER, _FILE, _LARGEST)))
        self._found: dict[str, tuple[str, str]] = {}
        """By engine: identity of its file, "" if that says too little, and version."""
        self._started: list[tuple[str, str, process.Process]] = []
        for name, program in _PROGRAMS.items():
            identity = _identity(program)
            if identity in self._known:
                self._found[name] = (identity, self._known[identity])
                continue
            try:
                self._started.append((name, identity, process.start((program, "--version"))))
            except OSError:
                continue

    def installed(self) -> tuple[InstalledEngine, ...]:
        """Return the engines in PATH; one that does not tell its version is left out."""
        while self._started:
            name, identity, asked = self._started.pop(0)
            version = _VERSION.search(asked.wait()[1])
            if version is not None:
                self._found[name] = (identity, version[1])
        found = ((name, self._found[name]) for name in _PROGRAMS if name in self._found)
        return tuple(InstalledEngine(name, version) for name, (_identity, version) in found)

    def remember(self) -> None:
        """Write down what the engines have told, for those who ask later. Never raises."""
        self.installed()
        told = {identity: version for identity, version in self._found.values() if identity}
        if told != self._known:
            lines = (f"{version} {identity}\n" for identity, version in told.items())
            self._cache.write(_FOLDER, _FILE, "".join(lines))


def _identity(program: str) -> str:
    """Return what is another text once another program is started by this name.

    Empty if the file does not tell: a script, or a link to a program of another name, as snap's,
    starts whatever it likes.
    """
    for directory in os.get_exec_path():
        path = os.path.realpath(os.path.join(directory, program))
        if not os.access(path, os.X_OK) or not os.path.isfile(path):
            continue
        try:
            with open(path, "rb") as file:
                status = os.fstat(file.fileno())
                if file.read(len(_ELF)) != _ELF or os.path.basename(path) != program:
                    return ""
        except OSError:
            return ""
        numbers = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        return " ".join(map(str, (*numbers, status.st_ctime_ns, path)))
    return ""


def _lines(text: str) -> list[tuple[str, str]]:
    """Return (identity, version) of each line that is whole."""
    found = (line.partition(" ") for line in text.splitlines())
    return [(identity, version) for version, _space, identity in found if identity]
