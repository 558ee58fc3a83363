# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directories of CDI specifications: read any, write and remove ours.

Engines watch these directories and read a file while it is written; dockerd 26 misses one that is
moved in from another directory. So a new one is prepared beside, under a name that engines do not
read, and renamed.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..cdi_plan import VERSION_VARIABLE
from ..cdi_reader import read, read_text
from ..cdi_spec import Spec
from ..errors import CdiError, InvalidInput
from . import owned_file
from .durable import sync_directory
from .owned_file import TextFile

DIRECTORIES = ("/etc/cdi", "/var/run/cdi")
"""Where engines look by default; of two files with one device the later directory's counts."""
DEFAULT_PATH = "/var/run/cdi/nvidia.json"
"""Gone at reboot, as are the device numbers that it tells."""
_SUFFIXES = (".json", ".yaml")
"""Engines read no others."""
_LARGEST = 16 * 1024 * 1024
_MODE = 0o644


def check_path(path: str) -> Path:
    """Return where a specification of ours may be, or raise InvalidInput."""
    checked = Path(path)
    if not checked.is_absolute() or ".." in checked.parts or checked.suffix != ".json":
        raise InvalidInput(
            f"{path!r} is no place for a CDI specification: give an absolute path that ends in "
            ".json"
        )
    return checked


def load(path: Path) -> Spec:
    """Return the specification in a file. Raises CdiError with why it is none."""
    if path.suffix not in _SUFFIXES:
        raise CdiError(f"{path} is no CDI specification: its name must end in .json or .yaml")
    try:
        text = _content(path).decode()
        if path.suffix == ".json":
            return read_text(text)
        # Specifications of ours are JSON: most hosts never need this.
        from .. import cdi_yaml

        return read(cdi_yaml.read(text))
    except FileNotFoundError:
        raise CdiError(
            f"there is no CDI specification {path}: apply role gpufleet.nvidia.nvidia_cdi, or make "
            "it with the module of this name"
        ) from None
    except OSError as error:
        raise CdiError(f"can't read {path}: {os.strerror(error.errno or 0)}") from None
    except UnicodeDecodeError:
        raise CdiError(f"{path} is no CDI specification: it is not UTF-8") from None
    except CdiError as error:
        raise CdiError(f"{path} is no CDI specification that engines read: {error}") from None


def files(directory: Path) -> tuple[Path, ...]:
    """Return what engines take for specifications in a directory; none if it can't be read."""
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return ()
    return tuple(directory / name for name in names if Path(name).suffix in _SUFFIXES)


def ours(path: Path) -> str | None:
    """Return the text of a specification of ours, ``None`` if nothing is there.

    Raises CdiError for what others made: that is not ours to replace or to remove.
    """
    try:
        status = os.lstat(path)
        if stat.S_ISREG(status.st_mode) and load(path).variable(VERSION_VARIABLE) is not None:
            return _content(path).decode()
        reason = f"it does not set {VERSION_VARIABLE}"
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CdiError(f"can't read {path}: {os.strerror(error.errno or 0)}") from None
    except CdiError as error:
        reason = str(error)
    raise CdiError(
        f"{path} was not made by this module ({reason}): move it away or choose another path"
    )


def conflicts(spec: Spec, path: Path, directories: Iterable[str]) -> tuple[str, ...]:
    """Return which other files keep engines from using devices of the specification at ``path``."""
    found = []
    names = {device.name for device in spec.devices}
    for other, rank in _others(path, directories):
        try:
            theirs = load(other)
        except CdiError:
            continue
        both = [device.name for device in theirs.devices if device.name in names]
        if theirs.kind != spec.kind or not both:
            continue
        shown = ", ".join(f"{spec.kind}={name}" for name in both)
        if rank == _SAME:
            found.append(f"{other} has {shown} too: engines then resolve neither")
        elif rank == _LATER:
            found.append(f"{other} has {shown} too, and engines prefer that directory")
    return tuple(found)


def doubts(path: Path, directories: Iterable[str]) -> tuple[str, ...]:
    """Return what may keep engines from a specification at ``path``, though nothing is known to."""
    order = {os.path.realpath(one) for one in directories}
    found = []
    if os.path.realpath(path.parent) not in order:
        found.append(
            f"engines look for specifications in {', '.join(sorted(order))}, not at {path}"
        )
    for other, _rank in _others(path, directories):
        try:
            load(other)
        except CdiError as error:
            found.append(f"it can't be told which devices another file has: {error}")
    return tuple(found)


def write(path: Path, text: str) -> None:
    """Put a specification in place at once. Raises CdiError if something foreign is there."""
    with _reported(f"write {path}"):
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with _locked(path.parent):
            ours(path)
            owned_file.write(TextFile(path, text, _MODE))


def remove(path: Path) -> None:
    """Remove a specification of ours. Raises CdiError if it is not."""
    with _reported(f"remove {path}"), _locked(path.parent):
        if ours(path) is not None:
            path.unlink()
            sync_directory(path.parent)


_EARLIER, _SAME, _LATER = range(3)


def _others(path: Path, directories: Iterable[str]) -> Iterator[tuple[Path, int]]:
    """Yield the other specifications with their directory's rank beside that of ``path``."""
    here = os.path.realpath(path.parent)
    order = list(dict.fromkeys(os.path.realpath(one) for one in directories))
    own = order.index(here) if here in order else len(order)
    for number, directory in enumerate(order):
        rank = _SAME if directory == here else _LATER if number > own else _EARLIER
        for other in files(Path(directory)):
            if os.path.join(here, path.name) != str(other):
                yield other, rank


def _content(path: Path) -> bytes:
    # A pipe in its place would keep whoever opens it waiting.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CdiError("it is no regular file")
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise CdiError(f"it has more than {_LARGEST} bytes")
    return content


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """The lock is the directory's own: engines look at every file that is made in it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _reported(action: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CdiError(f"can't {action}: {os.strerror(error.errno or 0)}") from error
