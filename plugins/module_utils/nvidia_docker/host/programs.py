# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs on a host: releases beside each other, a link that names the current one, a launcher
per program, links to manual pages and completions, the units and the user of the plugin.

Every change is made beside and renamed; who changes holds a lock. A run that is killed leaves the
old release running, and the next run clears up.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import owned_file, release
from .durable import sync_directory
from .layout import PROGRAMS, UNITS, USER, Layout
from .owned_file import MARK, Link, TextFile, beside, delete
from .release import PACKAGE, ProgramsError

# -I: no environment variable, no user folder. -S: no site, a quarter of the interpreter's start-up.
# The link is read once: a program that runs during a switch goes on importing its own release. The
# path is appended: most imports are the standard library's.
_LAUNCHER = """\
#!{interpreter} -IS
{mark}
import os
import sys

release = os.path.join({library!r}, os.readlink({current!r}))
sys.path += [release, release + "/{package}/_vendor"]

from {package}.{part} import {function}

sys.exit({function}({arguments}))
"""
_USER_LINE = f'u {USER} - "NVIDIA Docker plugin" -'
_KERNEL_LINE = 127
"""Bytes of a ``#!`` line that every kernel reads (BINPRM_BUF_SIZE before Linux 5.1)."""


@dataclass(frozen=True)
class State:
    """What is on a host, or shall be."""

    release: str
    """Digest of the current release; this and the next two are empty if there is none."""
    version: str
    interpreter: str
    problem: str | None
    """Why the current release can't be trusted."""
    files: tuple[TextFile, ...]
    links: tuple[Link, ...]


def wanted(
    layout: Layout, digest: str, version: str, interpreter: str, units: Mapping[str, str] | None
) -> State:
    """Return how the host shall be; ``units`` are the units' texts, ``None`` leaves units alone.

    Raises ProgramsError for values that could not work.
    """
    if not release.is_digest(digest):
        raise ProgramsError(f"{digest!r} is not the digest of a release")
    if not interpreter.startswith("/") or not interpreter.isprintable() or " " in interpreter:
        raise ProgramsError(f"{interpreter!r} can't be the interpreter of a program")
    if len(os.fsencode(f"#!{interpreter} -IS")) > _KERNEL_LINE:
        raise ProgramsError(f"the path of the interpreter is too long for a program: {interpreter}")
    files = [_launcher(layout, path, interpreter) for path in layout.launchers]
    if units is not None:
        if set(units) != set(UNITS):
            raise ProgramsError(f"units: give the text of {', '.join(UNITS)}, and of no other")
        files.append(TextFile(layout.user, f"{MARK}\n{_USER_LINE}\n", 0o644))
        files += [TextFile(path, f"{MARK}\n{units[path.name]}", 0o644) for path in layout.units]
    return State(digest, version, interpreter, None, tuple(files), layout.links)


def _launcher(layout: Layout, path: Path, interpreter: str) -> TextFile:
    part, function, arguments = PROGRAMS[path.name]
    text = _LAUNCHER.format(
        interpreter=interpreter,
        mark=MARK,
        library=layout.at_run(layout.library),
        current=layout.at_run(layout.current),
        package=PACKAGE,
        part=part,
        function=function,
        arguments=arguments,
    )
    return TextFile(path, text, 0o755)


def look(layout: Layout, target: State) -> State:
    """Return how the host is, in what ``target`` speaks of. Changes nothing.

    Raises ProgramsError if a file that ``target`` has is there and not ours.
    """
    _refuse_foreign(layout, target)
    files = tuple(file for file in map(owned_file.read, (f.path for f in target.files)) if file)
    links = tuple(link for link in target.links if link.exists)
    name = _current(layout)
    if name is None:
        return State("", "", "", None, files, links)
    found = release.read(layout.releases / name)
    return State(
        release=name,
        version=found.version if found else "",
        interpreter=found.interpreter if found else "",
        problem=problem(layout, target) if name == target.release else None,
        files=files,
        links=links,
    )


def problem(layout: Layout, target: State) -> str | None:
    """Return why the host does not have the release that ``target`` names, or ``None``."""
    return release.problem(layout.releases / target.release, target.release, target.interpreter)


def install(
    layout: Layout, target: State, files: Mapping[str, bytes] | None, in_use: str | None = None
) -> None:
    """Make the host as ``target`` says; ``files`` is the release, if the host does not have it.

    ``in_use`` is the digest of a release that a running plugin imports from; it is not removed.
    Raises ProgramsError if the release is missing or can't be written; then the old one stays.
    """
    with _locked(layout):
        previous = _current(layout)
        _refuse_foreign(layout, target)
        if problem(layout, target) is not None:
            if files is None:
                raise ProgramsError(f"release {target.release} is not on this host")
            _add(layout, target.release, target.interpreter, files)
        if previous != target.release:
            _switch(layout, target.release)
        for file in target.files:
            if owned_file.read(file.path) != file:
                owned_file.write(file)
        for link in target.links:
            if not link.exists:
                link.make()
        _prune(layout, target.release, previous, in_use)


def ours(layout: Layout) -> tuple[Path, ...]:
    """Return what ``remove`` would remove: files and folders that this module made."""
    mine = [path for path in layout.files if owned_file.is_ours(path)]
    mine += [link.path for link in layout.links if link.exists]
    mine += [path for path in (layout.current, layout.releases) if os.path.lexists(path)]
    if layout.library.is_dir() and not any(_of_others(layout)):
        mine.append(layout.library)
    return tuple(mine)


def remove(layout: Layout) -> None:
    """Remove what this module made; files of others stay."""
    if not ours(layout):
        return
    with _locked(layout):
        mine = [path for path in layout.files if owned_file.is_ours(path)]
        mine += [link.path for link in layout.links if link.exists]
        for path in mine:
            path.unlink()
            sync_directory(path.parent)
        for path in (*layout.files, *(link.path for link in layout.links)):
            delete(beside(path))
        for path in (layout.current, beside(layout.current), layout.releases):
            delete(path)
        if not any(_of_others(layout)):
            layout.library.rmdir()


def _of_others(layout: Layout) -> Iterator[Path]:
    mine = (layout.current, beside(layout.current), layout.releases)
    return (path for path in layout.library.iterdir() if path not in mine)


def _refuse_foreign(layout: Layout, target: State) -> None:
    foreign = [file.path for file in target.files if owned_file.is_foreign(file.path)]
    foreign += [link.path for link in target.links if link.is_foreign]
    if os.path.lexists(layout.current) and not layout.current.is_symlink():
        foreign.append(layout.current)
    if foreign:
        raise ProgramsError(
            f"{foreign[0]} exists and was not made by this collection: move it away, "
            "or remove the software that it belongs to, then run again"
        )


def _current(layout: Layout) -> str | None:
    """Return the digest that the link ``current`` names."""
    try:
        named = Path(os.readlink(layout.current))
    except OSError:
        return None
    ours = named.parent == Path(layout.releases.name) and release.is_digest(named.name)
    return named.name if ours else None


def _add(layout: Layout, digest: str, interpreter: str, files: Mapping[str, bytes]) -> None:
    final = layout.releases / digest
    new, old = layout.releases / ".new", layout.releases / ".old"
    try:
        new.mkdir()
        release.write(new, files, interpreter, layout.at_run(final))
        reason = release.problem(new, digest, interpreter)
        if reason is not None:
            raise ProgramsError(f"release {digest} can't be installed: {reason}")
        if os.path.lexists(final):
            os.rename(final, old)
        os.rename(new, final)
        sync_directory(layout.releases)
    finally:
        delete(new)
    delete(old)


def _switch(layout: Layout, digest: str) -> None:
    new = beside(layout.current)
    delete(new)
    os.symlink(f"{layout.releases.name}/{digest}", new)
    os.replace(new, layout.current)
    sync_directory(layout.library)


def _prune(layout: Layout, digest: str, previous: str | None, in_use: str | None) -> None:
    kept = (digest, in_use)
    others = [path for path in layout.releases.iterdir() if path.name not in kept]
    others.sort(key=lambda path: (path.name == previous, path.lstat().st_mtime), reverse=True)
    for path in others[1:]:
        delete(path)


@contextlib.contextmanager
def _locked(layout: Layout) -> Iterator[None]:
    """Be the only one that changes this library, with nothing left over from a killed run."""
    descriptor = _lock(layout.library)
    try:
        _make_folder(layout.releases)
        for name in (".new", ".old"):
            delete(layout.releases / name)
        yield
    finally:
        os.close(descriptor)


def _lock(folder: Path) -> int:
    while True:
        _make_folder(folder)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.lstat(folder)):
                return descriptor
        # The one before us removed the programs: this folder is gone.
        os.close(descriptor)


def _make_folder(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir()
    except FileExistsError:
        if path.is_symlink() or not path.is_dir():
            raise ProgramsError(f"{path} exists and is not a folder") from None
    else:
        path.chmod(0o755)
