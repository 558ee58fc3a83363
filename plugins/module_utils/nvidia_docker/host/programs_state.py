# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the programs on a host are, were and shall be: a release, a launcher per program, links to
manual pages and completions, the units and the user of the plugin."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import InvalidInput
from ..version import Version
from . import formats, installation, owned_file, release
from .layout import PROGRAMS, UNITS, USER, Layout
from .owned_file import MARK, Link, TextFile
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
    refuse_downgrade(layout, target)
    return look_at(layout, target)


def look_at(layout: Layout, target: State) -> State:
    """``look()`` for a release that may be older. Raises ProgramsError for a file of others."""
    refuse_foreign(layout, target)
    files = tuple(file for file in map(owned_file.read, (f.path for f in target.files)) if file)
    links = tuple(link for link in target.links if link.exists)
    name = current_digest(layout)
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
    now = current(layout)
    if found.went_back and now is not None:
        return _state(now, our_files(layout), _links_of(layout, now.digest))
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


def our_files(layout: Layout) -> tuple[TextFile, ...]:
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


def refuse_foreign(layout: Layout, target: State) -> None:
    """Raise ProgramsError if something of others is where ``target`` has a file or a link."""
    foreign = [file.path for file in target.files if owned_file.is_foreign(file.path)]
    foreign += [link.path for link in target.links if link.is_foreign]
    if os.path.lexists(layout.current) and not layout.current.is_symlink():
        foreign.append(layout.current)
    if foreign:
        raise ProgramsError(
            f"{foreign[0]} exists and was not made by this collection: move it away, "
            "or remove the software that it belongs to, then run again"
        )


def refuse_downgrade(layout: Layout, target: State) -> None:
    """Raise ProgramsError if the host has a newer release, or files that ``target`` can't read."""
    now = current(layout)
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


def current(layout: Layout) -> release.Release | None:
    """Return what the current release says of itself, ``None`` if there is none."""
    name = current_digest(layout)
    return None if name is None else release.read(layout.releases / name)


def current_digest(layout: Layout) -> str | None:
    """Return the digest that the link ``current`` names, ``None`` if there is none."""
    try:
        named = Path(os.readlink(layout.current))
    except OSError:
        return None
    ours = named.parent == Path(layout.releases.name) and release.is_digest(named.name)
    return named.name if ours else None
