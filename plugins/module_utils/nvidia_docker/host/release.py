# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release of the programs: this package as files, its digest, its archive, its folder on a host.

The digest names the content alone, so a host recomputes it from the files that it has, and a folder
that was changed by hand no longer has the name that it deserves.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import py_compile
import re
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import NvidiaDockerError
from .durable import sync_directory

PACKAGE = "nvidia_docker"
MANIFEST = "release.json"
FORMAT = 1
MAX_SIZE = 32 * 1024 * 1024
"""Bytes that an archive may hold unpacked; ours has less than one MiB."""

_NAME = re.compile(PACKAGE + r"(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(rb'^__version__ = "([^"]+)"$', re.MULTILINE)


class ProgramsError(NvidiaDockerError):
    """The programs can't be packed, installed or removed."""


@dataclass(frozen=True)
class Release:
    """What a release folder says of itself."""

    digest: str
    version: str
    interpreter: str
    formats: Mapping[str, int]
    """Of what this release keeps on a host (formats.py); empty if it does not say."""


def is_digest(text: str) -> bool:
    """Whether this is the name of a release: 64 hexadecimal digits, lower case."""
    return _DIGEST.fullmatch(text) is not None


def digest(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of names and contents, in order of names."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{_sha256(files[name])}  ".encode() + os.fsencode(name) + b"\n")
    return total.hexdigest()


def version(files: Mapping[str, bytes]) -> str:
    """Return ``__version__`` of the package in these files."""
    match = _VERSION.search(files.get(f"{PACKAGE}/__init__.py", b""))
    if match is None:
        raise ProgramsError(f"{PACKAGE}/__init__.py of the release does not say __version__")
    return match[1].decode()


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return the archive (zip) of these files: the same bytes for the same content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)  # dated 1980-01-01
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def unpack(archive: Path, wanted: str) -> dict[str, bytes]:
    """Return the files of an archive, which must be the release ``wanted`` (a digest).

    Nothing is written. Raises ProgramsError for anything that is not what ``pack`` makes.
    """
    files: dict[str, bytes] = {}
    left = MAX_SIZE
    try:
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                if entry.filename in files or _NAME.fullmatch(entry.filename) is None:
                    raise ProgramsError(f"bad name in the archive: {entry.filename!r}")
                with opened.open(entry) as stream:
                    files[entry.filename] = stream.read(left + 1)
                left -= len(files[entry.filename])
                if left < 0:
                    raise ProgramsError(f"the archive of the programs holds over {MAX_SIZE} bytes")
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ProgramsError(f"the archive of the programs can't be read: {error}") from error
    found = digest(files)
    if found != wanted:
        raise ProgramsError(f"the archive of the programs is release {found}, not {wanted}")
    return files


def write(
    folder: Path,
    files: Mapping[str, bytes],
    interpreter: str,
    final: str,
    formats: Mapping[str, int],
) -> None:
    """Write a release into an existing empty folder and byte-compile it for this interpreter.

    ``final`` is where the folder will lie; tracebacks say it. Everything is on disk on return.
    """
    compiled: dict[str, str] = {}
    for name in sorted(files):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_file(path, files[name])
        if path.suffix == ".py":
            cache = path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc"
            _compile(path, cache, f"{final}/{name}")
            _sync_file(cache)
            compiled[str(cache.relative_to(folder))] = _sha256(cache.read_bytes())
    manifest = {
        "format": FORMAT,
        "version": version(files),
        "interpreter": interpreter,
        "magic": importlib.util.MAGIC_NUMBER.hex(),
        "compiled": compiled,
        "formats": dict(formats),
    }
    _write_file(folder / MANIFEST, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
    for walked in os.walk(folder, topdown=False):
        Path(walked[0]).chmod(0o755)
        sync_directory(Path(walked[0]))


def _compile(source: Path, cache: Path, shown: str) -> None:
    try:
        # Unchecked: the release never changes, so an import need not look at the source.
        py_compile.compile(
            str(source),
            cfile=str(cache),
            dfile=shown,
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except py_compile.PyCompileError as error:
        raise ProgramsError(f"{shown} is not for this Python: {error.exc_value}") from error


def problem(folder: Path, wanted: str, interpreter: str) -> str | None:
    """Return why this is not the complete release ``wanted`` for the interpreter, or ``None``."""
    try:
        sources = {name: (folder / name).read_bytes() for name in _regular_files(folder)}
        manifest = json.loads(sources.pop(MANIFEST, b"null"))
    except (OSError, ValueError, ProgramsError) as error:
        return str(error)
    expected = manifest.get("compiled") if isinstance(manifest, dict) else None
    if not isinstance(expected, dict) or manifest.get("format") != FORMAT:
        return f"{MANIFEST} is missing or of another format"
    compiled = {name: sources.pop(name) for name in list(sources) if "/__pycache__/" in name}
    if digest(sources) != wanted:
        return "its files are not the ones that were installed"
    if (manifest.get("interpreter"), manifest.get("magic")) != (
        interpreter,
        importlib.util.MAGIC_NUMBER.hex(),
    ):
        return f"it is compiled for another interpreter than {interpreter}"
    for name, checksum in expected.items():
        if _sha256(compiled.get(name, b"")) != checksum:
            return f"{name} is missing or damaged"
    return None


def read(folder: Path) -> Release | None:
    """Return what the release folder says of itself, or ``None`` if it says nothing sensible."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        formats = {str(name): int(one) for name, one in manifest.get("formats", {}).items()}
        return Release(folder.name, str(manifest["version"]), str(manifest["interpreter"]), formats)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _regular_files(folder: Path) -> Iterator[str]:
    for base, folders, files in os.walk(folder):
        for name in [".", *folders, *files]:
            path = Path(base, name)
            status = path.lstat()
            if not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
                raise ProgramsError(f"{path} is neither a file nor a folder")
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                raise ProgramsError(f"{path} can be changed by others")
        yield from (str(Path(base, name).relative_to(folder)) for name in files)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write_file(path: Path, content: bytes) -> None:
    with path.open("xb") as stream:
        os.fchmod(stream.fileno(), 0o644)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_file(path: Path) -> None:
    with path.open("rb") as stream:
        os.fchmod(stream.fileno(), 0o644)
        os.fsync(stream.fileno())
