# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flags that docker.service gives to dockerd, each with the file that has it.

Read from the disk as systemd.unit(5) and systemd.exec(5) say, not asked of systemd: it knows which
drop-ins there are, not which of them a flag is from.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..dockerd_flags import Flag, read

UNIT = "docker.service"
DIRECTORIES = tuple(
    map(
        Path,
        (
            "/etc/systemd/system",
            "/run/systemd/system",
            "/usr/local/lib/systemd/system",
            "/usr/lib/systemd/system",
            "/lib/systemd/system",
        ),
    )
)
"""Where systemd looks for units, the first one wins."""

_PROGRAM = "dockerd"
_PREFIXES = "@-:+!|"
_VARIABLE = re.compile(r"\$\{(\w+)\}")

Setting = tuple[str, str]
"""A value, and the file that it is from."""


def flags(directories: Sequence[Path]) -> tuple[Flag, ...]:
    """Return the flags of the next start, none if there is no unit or it does not start dockerd."""
    commands: list[Setting] = []
    environment: dict[str, Setting] = {}
    for path in _files(directories):
        for name, value in _service(path):
            source = str(path)
            if name == "ExecStart":
                commands = [*commands, (value, source)] if value else []
            elif name == "Environment":
                environment |= _assignments(_words(value), source)
            elif name == "EnvironmentFile" and value:
                environment |= _environment_file(Path(value.lstrip("-")))
    for value, source in commands:
        words = _words(value.lstrip(_PREFIXES))
        programs = [number for number, word in enumerate(words) if Path(word).name == _PROGRAM]
        if programs:
            rest = words[programs[0] + 1 :]
            return read(pair for word in rest for pair in _expand(word, source, environment))
    return ()


def _files(directories: Sequence[Path]) -> Iterator[Path]:
    units = [directory / UNIT for directory in directories if (directory / UNIT).exists()]
    yield from units[:1]
    drop_ins: dict[str, Path] = {}
    for directory in directories:
        for path in (directory / f"{UNIT}.d").glob("*.conf"):
            drop_ins.setdefault(path.name, path)
    for name in sorted(drop_ins):
        yield drop_ins[name]


def _service(path: Path) -> Iterator[tuple[str, str]]:
    """Give the settings of a unit file's section [Service]."""
    section = ""
    for line in _text(path).replace("\\\n", " ").splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == "[Service]" and line[:1] not in ("", "#", ";"):
            name, _separator, value = line.partition("=")
            yield name.strip(), value.strip()


def _environment_file(path: Path) -> dict[str, Setting]:
    lines = (line.strip() for line in _text(path).replace("\\\n", "").splitlines())
    words = ["".join(_words(line)[:1]) for line in lines if line[:1] not in ("", "#", ";")]
    return _assignments(words, str(path))


def _assignments(words: Sequence[str], source: str) -> dict[str, Setting]:
    pairs = (word.partition("=") for word in words)
    return {name: (value, source) for name, separator, value in pairs if separator}


def _expand(word: str, source: str, environment: dict[str, Setting]) -> Iterator[Setting]:
    """Give a word of a command as systemd does: ``$NAME`` is split, ``${NAME}`` is not."""
    if re.fullmatch(r"\$\w+", word):
        value, where = environment.get(word[1:], ("", source))
        yield from ((part, where) for part in value.split())
    else:
        yield _VARIABLE.sub(lambda found: environment.get(found[1], ("", ""))[0], word), source


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote that is not closed: systemd does not take it either
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # masked, or a file that may be missing
        return ""
