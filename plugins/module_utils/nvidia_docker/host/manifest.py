# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""manifest.json of a driver volume: what was looked at when it was made, and what became of it."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ..driver_files import DriverCapability
from ..errors import DriverVolumeError
from ..format_number import is_newer, refusal
from .driver_candidates import DIRECTORIES, Candidate
from .driver_choice import SAFE_NAME

FILE_NAME = "manifest.json"
FORMAT = 2
"""Changes with the layout and the rules of ``choose``: a volume of an older format is remade, one
of a newer format is refused."""
_LARGEST = 4 * 1024 * 1024


class NewerVolume(DriverVolumeError):
    """A newer version has made the volume."""


class Link(Enum):
    """How a file came into the volume."""

    HARD = "hard"
    REFLINK = "reflink"
    COPY = "copy"


@dataclass(frozen=True)
class Record:
    """One candidate; ``link`` is ``None`` if it was left out."""

    candidate: Candidate
    link: Link | None


@dataclass(frozen=True)
class Manifest:
    driver_version: str
    capabilities: frozenset[DriverCapability]
    records: tuple[Record, ...]
    symlinks: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]

    @property
    def files(self) -> tuple[Record, ...]:
        """The records of the files that are in the volume."""
        return tuple(record for record in self.records if record.link is not None)

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file and symbolic link, relative to the volume, sorted."""
        files = [record.candidate.path for record in self.files]
        return tuple(sorted(files + [path for path, _target in self.symlinks]))

    @property
    def link(self) -> str:
        """``hard``, ``reflink``, ``copy``, or ``mixed`` if not all files came in one way."""
        kinds = {record.link.value for record in self.records if record.link is not None}
        return kinds.pop() if len(kinds) == 1 else "mixed"

    def to_json(self) -> str:
        """Return the content of manifest.json."""
        data = {
            "format": FORMAT,
            "driver_version": self.driver_version,
            "capabilities": sorted(one.value for one in self.capabilities),
            "records": [
                {**asdict(record.candidate), "link": record.link and record.link.value}
                for record in self.records
            ],
            "symlinks": dict(self.symlinks),
            "warnings": list(self.warnings),
        }
        return json.dumps(data, indent=1) + "\n"


def read(directory: Path) -> Manifest:
    """Return the manifest of the volume in ``directory``.

    Raises ValueError with the reason if there is none that can be trusted, NewerVolume if a newer
    version has made the volume.
    """
    # A pipe in its place would keep whoever opens it waiting.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(directory / FILE_NAME, flags)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ValueError(f"{FILE_NAME} is no regular file")
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(_LARGEST + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ValueError(f"{FILE_NAME} can't be read: {os.strerror(error.errno or 0)}") from error
    try:
        data = json.loads(content)
        if is_newer(data["format"], FORMAT):
            or_else = "remove the volume with module nvidia_driver_volume"
            what = f"the driver volume {directory}"
            raise NewerVolume(refusal(what, data["format"], FORMAT, or_else))
        if data["format"] != FORMAT:
            raise ValueError("another format")
        return Manifest(
            driver_version=_of(str, data["driver_version"]),
            capabilities=frozenset(DriverCapability(one) for one in data["capabilities"]),
            records=tuple(_record(item) for item in data["records"]),
            symlinks=tuple((_path(name), _of(str, to)) for name, to in data["symlinks"].items()),
            warnings=tuple(_of(str, warning) for warning in data["warnings"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{FILE_NAME} is not one of format {FORMAT}") from error


def _path(name: str) -> str:
    directory, _separator, file_name = name.rpartition("/")
    if directory not in DIRECTORIES or not SAFE_NAME.fullmatch(file_name):
        raise ValueError(f"{name!r} is no path in a driver volume")
    return name


def _record(item: dict[str, Any]) -> Record:
    link = item["link"]
    candidate = Candidate(
        **{
            key: _of(str, item[key])
            for key in ("directory", "catalogue_name", "file_name", "origin")
        },
        **{key: _of(int, item[key]) for key in ("inode", "size", "modified_ns", "owner", "mode")},
    )
    if link is None:
        return Record(candidate, None)
    _path(candidate.path)
    return Record(candidate, Link(link))


def _of(kind: type, value: Any) -> Any:
    # True is an int for isinstance, but not for JSON.
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        raise ValueError(f"{value!r} is not of type {kind.__name__}")
    return value
