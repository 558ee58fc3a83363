# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""installation.json beside the releases: what was made on the way, to take it away again, and what
was there before the last switch, to go back to it."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..format_number import is_newer, refusal
from . import owned_file
from .layout import USER, Layout
from .owned_file import TextFile
from .release import ProgramsError, is_digest

FORMAT = 1
_MODE = 0o644


@dataclass(frozen=True)
class Previous:
    """The release before the current one, and the files as they were with it."""

    release: str
    files: tuple[TextFile, ...]


@dataclass(frozen=True)
class Installation:
    """What is known of how this host came to its programs."""

    folders: tuple[str, ...] = ()
    """Folders of others' hierarchies that were not there, below the root of the layout."""
    user: bool = False
    """Whether the plugin's user was not there."""
    previous: Previous | None = None
    went_back: bool = False
    """Whether the current release is one that was gone back to."""


def read(layout: Layout) -> Installation:
    """Return the record, an empty one if there is none.

    Raises ProgramsError for one of a newer format, and for a damaged one.
    """
    path = layout.installation
    try:
        told = json.loads(path.read_bytes())
        found = told["format"]
        if is_newer(found, FORMAT):
            raise ProgramsError(refusal(str(path), found, FORMAT))
        previous = told["previous"]
        return Installation(
            tuple(map(str, told["folders"])),
            bool(told["user"]),
            None if previous is None else _previous(layout, previous),
            bool(told["went_back"]),
        )
    except FileNotFoundError:
        return Installation()
    except (ValueError, KeyError, TypeError) as error:
        raise ProgramsError(
            f"{path} is damaged: remove it; the folders and the user that were made then stay when "
            "the programs are removed, and there is no release to go back to"
        ) from error


def _previous(layout: Layout, told: dict[str, Any]) -> Previous:
    known = {str(path) for path in (*layout.files, *layout.cdi_units)}
    files = tuple(
        TextFile(Path(one["path"]), str(one["text"]), int(one["mode"])) for one in told["files"]
    )
    if not is_digest(told["release"]):
        raise ValueError(told["release"])
    # A file of a release that is no more has no place here any more either.
    return Previous(told["release"], tuple(file for file in files if str(file.path) in known))


def write(layout: Layout, installation: Installation) -> None:
    """Put the record in place of the last one, if it differs."""
    previous = installation.previous
    told = {
        "format": FORMAT,
        "folders": list(installation.folders),
        "user": installation.user,
        "previous": previous
        and {
            "release": previous.release,
            "files": [
                {"path": str(file.path), "text": file.text, "mode": file.mode}
                for file in previous.files
            ],
        },
        "went_back": installation.went_back,
    }
    file = TextFile(layout.installation, json.dumps(told, indent=1) + "\n", _MODE)
    if owned_file.read(file.path) != file:
        owned_file.write(file)


def missing_folders(layout: Layout, paths: Iterable[Path]) -> tuple[str, ...]:
    """Return the folders that ``paths`` need and that are not there, below the layout's root."""
    missing = {
        str(folder.relative_to(layout.root))
        for path in paths
        for folder in path.parents
        if layout.root in folder.parents and not folder.is_dir()
    }
    return tuple(sorted(missing))


def remove_folders(layout: Layout, folders: Iterable[str]) -> None:
    """Remove those that are empty."""
    for name in sorted(folders, reverse=True):
        with suppress(OSError):
            os.rmdir(layout.root / name)


def has_user() -> bool:
    """Whether this machine has the plugin's user."""
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True
