# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which container engines this machine has, whether they run or not."""

from __future__ import annotations

import re

from ..cdi_versions import InstalledEngine
from . import process

_PROGRAMS = {"docker": "dockerd", "podman": "podman"}
_VERSION = re.compile(r"version v?([0-9][^\s,]*)")


class Asked:
    """The programs of the engines, which were started to tell their versions.

    That takes them as long as NVML takes: whoever asks does the rest of its work meanwhile.
    """

    def __init__(self) -> None:
        self._started = []
        for name, program in _PROGRAMS.items():
            try:
                self._started.append((name, process.start((program, "--version"))))
            except OSError:
                continue

    def installed(self) -> tuple[InstalledEngine, ...]:
        """Return the engines in PATH; one that does not tell its version is left out.

        To be called once.
        """
        found = []
        for name, asked in self._started:
            _status, output, _errors = asked.wait()
            version = _VERSION.search(output)
            if version is not None:
                found.append(InstalledEngine(name, version[1]))
        return tuple(found)
