# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Change the programs on a host: releases beside each other, a link that names the current one, and
what belongs to it (programs_state.py).

The release before the current one stays, with the launchers and units that it had, to go back to.

Every change is made beside and renamed; who changes holds a lock. A run that is killed leaves the
old release running, and the next run clears up.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from . import formats, installation, owned_file, release
from .durable import sync_directory
from .installation import Previous
from .layout import Layout
from .owned_file import beside, delete
from .programs_state import (
    State,
    current,
    current_digest,
    our_files,
    problem,
    refuse_downgrade,
    refuse_foreign,
)
from .release import ProgramsError


def install(
    layout: Layout, target: State, files: Mapping[str, bytes] | None, in_use: str | None = None
) -> None:
    """Make the host as ``target`` says; ``files`` is the release, if the host does not have it.

    ``in_use`` is the digest of a release that a running plugin imports from; it is not removed.
    Raises ProgramsError if the release is missing or can't be written; then the old one stays.
    """
    missing = _missing(layout, target)
    with _locked(layout):
        refuse_downgrade(layout, target)
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
    before = current_digest(layout)
    refuse_foreign(layout, target)
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
    if before is not None and before != target.release and current(layout) is not None:
        found = replace(found, previous=Previous(before, our_files(layout)), went_back=back)
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
