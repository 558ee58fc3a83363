# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which container engines this machine has, whether they run or not."""

from __future__ import annotations

import re

from ..cdi_versions import InstalledEngine
from . import process

_PROGRAMS = {"docker": "dockerd", "podman": "podman"}
_VERSION = re.compile(r"version v?([0-9][^\s,]*)")


def installed() -> tuple[InstalledEngine, ...]:
    """Return the engines, as their programs in PATH tell; one that does not tell is left out."""
    started = []
    for name, program in _PROGRAMS.items():
        try:
            started.append((name, process.start((program, "--version"))))
        except OSError:
            continue
    found = []
    for name, asked in started:
        _status, output, _errors = asked.wait()
        version = _VERSION.search(output)
        if version is not None:
            found.append(InstalledEngine(name, version[1]))
    return tuple(found)
