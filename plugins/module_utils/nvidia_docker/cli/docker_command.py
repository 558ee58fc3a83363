# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds the command and the image in docker's arguments, exactly as docker itself would.

docker reads its arguments with pflag: options end at the first word that is none or at ``--``; a
boolean takes no word after it (``--rm``, ``--rm=false``); any other option takes one unless it is
attached (``--name x``, ``--name=x``, ``-p80:80``, ``-itv/a:/b``).
"""

from __future__ import annotations

from ..errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .docker_options import Table

    Ask = Callable[[str, str], "Table | None"]
    """Given a command and an option of it that we do not know, gives the installed client's own
    options of that command; None if it can't be asked."""

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
"""What Go's strconv.ParseBool takes for true."""
_CONTAINER_OPTIONS = {"--help": ("help", False), "-h": ("help", False)}


class Command:
    """Where things are in docker's arguments.

    ``name``: the command (``run`` for ``container run``), empty if there is none.
    ``start``: index of the command; before it are docker's global options.
    ``image``: index of the image of a run or create, None if there is none to be found.
    ``insert``: index where options can be added, right before the image (and the ``--`` before it).
    ``global_options``: long name -> last value, of docker's own options.
    ``unknown``: an option before the image that neither we nor the installed client know.
    """

    __slots__ = ("_options", "global_options", "image", "insert", "name", "start", "unknown")

    def __init__(
        self,
        name: str,
        start: int,
        global_options: dict[str, str],
        image: int | None = None,
        insert: int = 0,
        options: dict[str, list[str]] | None = None,
        unknown: str = "",
    ) -> None:
        self.name = name
        self.start = start
        self.global_options = global_options
        self.image = image
        self.insert = insert
        self.unknown = unknown
        self._options = options or {}

    def values(self, name: str) -> tuple[str, ...]:
        """Return the values of an option of a run or create, by its long name, as typed.

        A boolean without a value is ``true``; an option that was not given has no value.
        """
        return tuple(self._options.get(name, ()))

    def value(self, name: str) -> str | None:
        """Return the last value, which is the one that counts for docker, or None."""
        values = self._options.get(name)
        return values[-1] if values else None

    def questions(self, arguments: Sequence[str]) -> tuple[str, ...]:
        """Return docker's own options for our questions to the same engine.

        Those that the user typed; --help and --version, which docker ignores before a run, would
        be the answer.
        """
        if not {"help", "version"} & set(self.global_options):
            return tuple(arguments[: self.start])
        return tuple(
            f"--{name}={value}"
            for name, value in self.global_options.items()
            if name not in ("help", "version")
        )


class _Unknown(Exception):
    """An option that docker will refuse."""


def find(arguments: Sequence[str], ask: Ask = lambda command, option: None) -> Command:
    """Find command and image in docker's arguments (without the program's name).

    ``ask`` is called for an option that is not in our table, where its kind matters.

    Raises InvalidInput if such an option stands before the image and the client can't be asked:
    whether the next word belongs to it can't be known, and a wrong guess would start a container
    without its GPU.
    """
    given: dict[str, list[str]] = {}
    try:
        end, start = _scan(arguments, 0, "", given, ask, stoppers=("run", "create"))
    except _Unknown as unknown:
        return Command("", len(arguments), _last(given), unknown=str(unknown))
    if start > end:
        # docker's second look at what is behind its "--" takes options again.
        start = _traverse(arguments, start, _table(""))
    global_options = _last(given)
    if start == len(arguments):
        return Command("", start, global_options)
    name, position = arguments[start], start
    if name == "container":
        position = _traverse(arguments, start + 1, _CONTAINER_OPTIONS)
        if position < len(arguments) and arguments[position] in ("run", "create"):
            name = arguments[position]
    if name not in ("run", "create"):
        return Command(name, start, global_options)
    options: dict[str, list[str]] = {}
    try:
        insert, image = _scan(arguments, position + 1, name, options, ask)
    except _Unknown as unknown:
        return Command(name, start, global_options, options=options, unknown=str(unknown))
    helped = options.get("help", ("",))[-1] in _TRUE
    if helped or image == len(arguments) or not arguments[image]:
        return Command(name, start, global_options, options=options)
    return Command(name, start, global_options, image, insert, options)


def _table(command: str) -> Table:
    # Imported late: most commands have no option in front of them.
    from . import docker_options

    return docker_options.table(command)


def _last(given: dict[str, list[str]]) -> dict[str, str]:
    return {name: values[-1] for name, values in given.items()}


def _traverse(arguments: Sequence[str], position: int, table: Table) -> int:
    """Return the index of the next word that is neither an option nor an option's value.

    As cobra (Command.Traverse) finds the command that an option stands in front of: no clusters, a
    lone ``--`` takes a value, and so does what it does not know.
    """
    waiting = False
    for index in range(position, len(arguments)):
        word = arguments[index]
        long = word.startswith("--")
        if "=" not in word and (long or (len(word) == 2 and word[0] == "-")):
            _dummy, waiting = table.get(word, ("", True))
        elif waiting:
            waiting = False
        elif not long and (len(word) < 2 or word[0] != "-"):
            return index
    return len(arguments)


def _scan(
    arguments: Sequence[str],
    position: int,
    command: str,
    given: dict[str, list[str]],
    ask: Ask,
    stoppers: Sequence[str] = (),
) -> tuple[int, int]:
    """Put the options into ``given``; return the index where they end, and that of the next word.

    An unknown option matters if one of ``stoppers`` is left (without stoppers: any word).
    """
    table: Table | None = None
    while position < len(arguments):
        word = arguments[position]
        if word == "--":
            return position, position + 1
        if len(word) < 2 or word[0] != "-":
            return position, position
        position += 1
        table = table or _table(command)
        options, waiting, unknown = _read(word, table)
        if unknown:
            left = arguments[position:]
            if not (set(stoppers) & set(left) if stoppers else left):
                return len(arguments), len(arguments)
            table = {**table, **_asked(ask, command, unknown)}
            options, waiting, unknown = _read(word, table)
            if unknown:
                raise _Unknown(unknown)
        if waiting and position < len(arguments):
            options.append((waiting, arguments[position]))
            position += 1
        for name, value in options:
            given.setdefault(name, []).append(value)
    return position, position


def _asked(ask: Ask, command: str, unknown: str) -> Table:
    table = ask(command, unknown)
    if table is None:
        raise InvalidInput(
            f"option {unknown} is not known to nvidia-docker, so the image can't be found: "
            f"write its value into the same word, {unknown}=VALUE ({unknown}=true if it "
            "takes none)"
        )
    return table


def _read(word: str, table: Table) -> tuple[list[tuple[str, str]], str, str]:
    """Return the options in one word, the one that waits for a value, and the unknown one."""
    if word.startswith("--"):
        written, equals, value = word.partition("=")
        name, takes_value = table.get(written, ("", False))
        if equals:
            return ([(name, value)] if name else []), "", ""
        if not name:
            return [], "", written
        return ([], name, "") if takes_value else ([(name, "true")], "", "")
    given: list[tuple[str, str]] = []
    for index in range(1, len(word)):
        written, rest = "-" + word[index], word[index + 1 :]
        # pflag takes a lone "=" at the end for a value of its own.
        attached = rest[1:] if rest.startswith("=") else ""
        name, takes_value = table.get(written, ("", False))
        if not name:
            return given, "", "" if attached else written
        if not takes_value and not attached:
            given.append((name, "true"))
            continue
        if not rest:
            return given, name, ""
        given.append((name, attached or rest))
        return given, "", ""
    return given, "", ""
