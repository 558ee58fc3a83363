# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that are newer than our table: the installed client's help is read once, and kept."""

from __future__ import annotations

import os

from ..errors import DockerError
from .docker_options import BOOLEAN, VALUE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..host.docker import Docker
    from .docker_options import Table

_FOLDER = "nvidia-docker"
_FILE = "docker-options.json"
_MAX_BYTES = 1 << 20
_SURE = {"": (("--host", VALUE), ("--debug", BOOLEAN)), "*": (("--name", VALUE), ("--rm", BOOLEAN))}
"""What every help shows that can be understood; those before docker 1.13 do not tell the kinds."""


def ask(docker: Docker, environ: Mapping[str, str], command: str, option: str) -> Table | None:
    """Return the installed client's options of ``run`` or ``create``, or docker's own for an empty
    ``command``; None if it can't be asked.

    They come from the cache in XDG_CACHE_HOME or ~/.cache if ``option`` is among them: one that is
    not may be newer than the cache.
    """
    from ..host.owned_cache import OwnedCache

    cache = OwnedCache.below(environ)
    client = _identity(docker.command)
    kept = _kept(cache.read(_FOLDER, _FILE, _MAX_BYTES) if cache else "", client)
    known = kept.get(command)
    if known is not None and option in known:
        return known
    told = read_help(_help(docker, command), command)
    if told is not None and cache is not None:
        import json

        options = {**kept, command: told}
        cache.write(_FOLDER, _FILE, json.dumps({"client": client, "options": options}))
    return told


def read_help(text: str, command: str) -> Table | None:
    """Read the options in what ``docker run --help`` prints; None if it is not understood.

    pflag prints ``  -a, --attach list   …`` and, for a boolean, ``      --rm   …``; a value that
    need not be given is ``string[="x"]``, and then takes no word of its own.
    """
    options = {}
    for line in text.splitlines():
        letter = line[2:4] if line[4:8] == ", --" else ""
        if line[:2] != "  " or line[6:8] != "--" or not (letter or line[2:6] == "    "):
            continue
        name, _dummy, rest = line[8:].partition(" ")
        kind = rest.split(" ")[0]
        entry = (name, bool(kind) and "[=" not in kind)
        options["--" + name] = entry
        if letter:
            options[letter] = entry
    for written, kind_known in _SURE["*" if command else ""]:
        if options.get(written) != (written[2:], kind_known):
            return None
    return options


def _help(docker: Docker, command: str) -> str:
    words = (command, "--help") if command else ("--help",)
    # An engine that does not answer costs no time, and one that is older hides no option.
    for nowhere in (("-H", "unix:///dev/null"), ()):
        try:
            return docker.output((*nowhere, *words))
        except DockerError:
            continue
    return ""


def _identity(command: Sequence[str]) -> list[list[object]]:
    """Return what changes when another docker is installed: path, size and mtime of the programs
    among these words (``sudo docker`` has two)."""
    import shutil

    found: list[list[object]] = []
    for word in command:
        path = shutil.which(word)
        try:
            status = os.stat(path) if path else None
        except OSError:
            status = None
        found.append([word, path, status.st_size, status.st_mtime_ns] if status else [word])
    return found


def _kept(text: str, client: list[list[object]]) -> dict[str, Table]:
    """Return the options in the cache, by command; empty if another client's or damaged."""
    import json

    try:
        data = json.loads(text) if text else {}
        if data["client"] != client:
            return {}
        tables = {
            command: {written: (name, kind) for written, (name, kind) in table.items()}
            for command, table in data["options"].items()
        }
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
    entries = [entry for table in tables.values() for entry in table.values()]
    sound = all(isinstance(name, str) and isinstance(kind, bool) for name, kind in entries)
    return dict(tables) if sound else {}
