# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The systemd units that keep a CDI specification true: written, replaced and removed if ours."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from ..errors import CdiError, InvalidInput
from . import owned_file, process
from .durable import sync_directory
from .layout import CDI_UNITS, Layout
from .owned_file import MARK, TextFile

_MODE = 0o644
_WATCHERS = ("nvidia-docker-cdi.timer", "nvidia-docker-cdi.path")
_SERVICE = "nvidia-docker-cdi.service"
_PROPERTIES = "--property=Id,ActiveState,UnitFileState,NeedDaemonReload"

Files = tuple[TextFile, ...]


def wanted(layout: Layout, units: Mapping[str, str] | None) -> Files:
    """Return the units as they have to be, none for ``None``; ``units`` are texts by name.

    Raises InvalidInput unless it is all of them, CdiError if a file of others has a unit's name.
    """
    if units is None:
        return ()
    if set(units) != set(CDI_UNITS):
        raise InvalidInput(f"units: give the text of {', '.join(CDI_UNITS)}, and of no other")
    files = tuple(TextFile(path, f"{MARK}\n{units[path.name]}", _MODE) for path in layout.cdi_units)
    for file in files:
        if owned_file.is_foreign(file.path):
            raise CdiError(
                f"{file.path} exists and was not made by this collection: move it away, then run "
                "again"
            )
    return files


def look(units: Files) -> Files:
    """Return the same files as they are; one that is not there is not among them."""
    return tuple(file for file in (owned_file.read(unit.path) for unit in units) if file)


def are_kept() -> bool:
    """Whether systemd has the units as their files are, enabled, and the watching ones active."""
    try:
        shown = process.start(("systemctl", "show", _PROPERTIES, *_WATCHERS, _SERVICE)).wait()[1]
    except OSError:
        return False
    return shows_kept(shown)


def shows_kept(shown: str) -> bool:
    """Return the answer for what ``systemctl show`` says: a paragraph of Name=value per unit."""
    units = {}
    for paragraph in shown.split("\n\n"):
        properties = dict(line.split("=", 1) for line in paragraph.splitlines() if "=" in line)
        units[properties.get("Id")] = properties
    return all(
        name in units
        and units[name].get("UnitFileState") == "enabled"
        and units[name].get("NeedDaemonReload") == "no"
        and (name == _SERVICE or units[name].get("ActiveState") == "active")
        for name in (*_WATCHERS, _SERVICE)
    )


def ours(layout: Layout) -> Files:
    """Return the units of ours that are there."""
    return look(
        tuple(TextFile(path, "", _MODE) for path in layout.cdi_units if owned_file.is_ours(path))
    )


def write(units: Files) -> None:
    """Write those that are not yet as they have to be. Raises CdiError."""
    for file in units:
        try:
            if owned_file.read(file.path) != file:
                owned_file.write(file)
        except OSError as error:
            raise CdiError(f"can't write {file.path}: {os.strerror(error.errno or 0)}") from error


def remove(units: Iterable[TextFile]) -> None:
    """Remove these units. Raises CdiError."""
    for file in units:
        try:
            file.path.unlink(missing_ok=True)
            sync_directory(file.path.parent)
        except OSError as error:
            raise CdiError(f"can't remove {file.path}: {os.strerror(error.errno or 0)}") from error
