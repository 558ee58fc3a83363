# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which driver capabilities a CDI specification serves, whoever wrote it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from .cdi_spec import Edits
from .driver_files import ENTRIES, DriverCapability, library_name
from .model import MODESET_NODE

_TWINS = ("/i386-linux-gnu/", "/lib32/")
"""In the paths of 32-bit libraries in containers."""


def served(
    edits: Iterable[Edits], linked: Iterable[str] = ()
) -> frozenset[DriverCapability] | None:
    """Return what the driver files and device nodes in these edits are for.

    ``linked``: names of driver files in directories of links that they mount. ``None`` if no driver
    file has a name in either, as in a mount of a whole directory: nothing tells then.
    """
    every = list(edits)
    paths = [mount.container_path for one in every for mount in one.mounts]
    names = [*(posixpath.basename(path) for path in paths), *linked]
    entries = [ENTRIES.get(library_name(name) or name) for name in names]
    found = {entry.capability for entry in entries if entry is not None}
    if not found:
        return None
    if any(twin in path for path in paths for twin in _TWINS):
        found.add(DriverCapability.COMPAT32)
    nodes = {node.path for one in every for node in one.nodes}
    if DriverCapability.GRAPHICS in found and MODESET_NODE in nodes:
        found.add(DriverCapability.DISPLAY)
    return frozenset(found)
