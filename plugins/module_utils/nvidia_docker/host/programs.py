# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs on a host: releases beside each other, a link that names the current one, a launcher
per program, links to manual pages and completions, the units and the user of the plugin.

The release before the current one stays, with the launchers and units that it had, to go back to.

Every change is made beside and renamed; who changes holds a lock. A run that is killed leaves the
old release running, and the next run clears up.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InvalidInput
from ..version import Version
from . import formats, installation, owned_file, release
from .durable import sync_directory
from .installation import Previous
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

    Raises ProgramsError as ``look_at()``, and if the host has a newer release than ``target``.
    """
    _refuse_downgrade(layout, target)
    return look_at(layout, target)


def look_at(layout: Layout, target: State) -> State:
    """``look()`` for a release that may be older. Raises ProgramsError for a file of others."""
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


def previous(layout: Layout) -> State:
    """Return how the host was before the last switch of releases, or is if that was undone.

    Raises ProgramsError if there is no release to go back to, or if it would not understand what
    the current one keeps on the host.
    """
    found = installation.read(layout)
    now = _release(layout)
    if found.went_back and now is not None:
        return _state(now, _our_files(layout), _links_of(layout, now.digest))
    before = None
    if found.previous is not None:
        before = release.read(layout.releases / found.previous.release)
    if now is None or found.previous is None or before is None:
        raise ProgramsError("this host has no release of the programs to go back to")
    reasons = formats.unknown(now.formats, before.formats) if before.formats else ()
    if reasons:
        raise ProgramsError(
            f"release {before.version} can't read what {now.version} keeps on this host "
            f"({'; '.join(reasons)}): stay with {now.version}, or uninstall, then install "
            f"{before.version}"
        )
    return _state(before, found.previous.files, _links_of(layout, before.digest))


def _state(of: release.Release, files: tuple[TextFile, ...], links: tuple[Link, ...]) -> State:
    return State(of.digest, of.version, of.interpreter, None, files, links)


def _our_files(layout: Layout) -> tuple[TextFile, ...]:
    """Return the files of ours, those of the CDI specification too."""
    ours = filter(owned_file.is_ours, (*layout.files, *layout.cdi_units))
    return tuple(file for file in map(owned_file.read, ours) if file)


def _links_of(layout: Layout, digest: str) -> tuple[Link, ...]:
    """Return the links that lead to something in this release."""
    current = layout.at_run(layout.current)
    there = layout.releases / digest
    return tuple(
        link for link in layout.links if (there / os.path.relpath(link.target, current)).is_file()
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
    missing = _missing(layout, target)
    with _locked(layout):
        _refuse_downgrade(layout, target)
        _change(layout, target, files, in_use, missing)


def go_back(layout: Layout, target: State, in_use: str | None = None) -> None:
    """Make the host as ``previous()`` has said that it was. Raises ProgramsError as ``install``."""
    with _locked(layout):
        _change(layout, target, None, in_use, back=True)
        kept = {file.path for file in target.files}
        for path in layout.files:
            if path not in kept and owned_file.is_ours(path):
                path.unlink()
        for link in layout.links:
            if link.exists and link not in target.links:
                link.path.unlink()


def _change(
    layout: Layout,
    target: State,
    files: Mapping[str, bytes] | None,
    in_use: str | None,
    missing: tuple[str, ...] = (),
    back: bool = False,
) -> None:
    before = _current(layout)
    _refuse_foreign(layout, target)
    if problem(layout, target) is not None:
        if files is None:
            raise ProgramsError(f"release {target.release} is not on this host")
        _add(layout, target.release, target.interpreter, files)
    if not layout.staged:
        # Before it is true: a run that is killed now has made nothing that nobody knows of.
        _note(layout, target, before, missing, back)
    if before != target.release:
        _switch(layout, target.release)
    for file in target.files:
        if owned_file.read(file.path) != file:
            owned_file.write(file)
    for link in target.links:
        if not link.exists:
            link.make()
    _prune(layout, target.release, before, in_use)


def _missing(layout: Layout, target: State) -> tuple[str, ...]:
    paths = [file.path for file in target.files] + [link.path for link in target.links]
    return installation.missing_folders(layout, (*paths, layout.installation))


def _note(
    layout: Layout, target: State, before: str | None, missing: tuple[str, ...], back: bool
) -> None:
    found = installation.read(layout)
    user = any(file.path == layout.user for file in target.files)
    found = replace(
        found,
        folders=tuple(sorted({*found.folders, *missing})),
        user=found.user or (user and not installation.has_user()),
    )
    if before is not None and before != target.release and _release(layout) is not None:
        found = replace(found, previous=Previous(before, _our_files(layout)), went_back=back)
    installation.write(layout, found)


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
        made = installation.read(layout)
        mine = [path for path in layout.files if owned_file.is_ours(path)]
        mine += [link.path for link in layout.links if link.exists]
        for path in mine:
            path.unlink()
            sync_directory(path.parent)
        for path in (*layout.files, *(link.path for link in layout.links)):
            delete(beside(path))
        for path in (layout.current, beside(layout.current), layout.releases):
            delete(path)
        installation.remove_folders(layout, made.folders)
        delete(layout.installation)
        if not any(_of_others(layout)):
            layout.library.rmdir()
        installation.remove_folders(layout, made.folders)


def _of_others(layout: Layout) -> Iterator[Path]:
    mine = (
        layout.current,
        beside(layout.current),
        layout.releases,
        layout.installation,
        beside(layout.installation),
    )
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


def _refuse_downgrade(layout: Layout, target: State) -> None:
    now = _release(layout)
    if now is None or now.digest == target.release:
        return
    reasons = formats.unknown(now.formats)
    try:
        older = Version(target.version) < Version(now.version)
    except InvalidInput:  # a version of somebody's own
        older = False
    if older or reasons:
        more = f" ({'; '.join(reasons)})" if reasons else ""
        raise ProgramsError(
            f"this host has nvidia-docker {now.version}, which is newer than {target.version} of "
            f"this controller{more}: use gpufleet.nvidia {now.version} or later here, which goes "
            "back to the release before with state previous, if it can"
        )


def _release(layout: Layout) -> release.Release | None:
    """Return what the current release says of itself."""
    name = _current(layout)
    return None if name is None else release.read(layout.releases / name)


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
        release.write(new, files, interpreter, layout.at_run(final), formats.FORMATS)
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
        delete(beside(layout.installation))
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
