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
    from collections.abc import Sequence

BOOLEAN = False
VALUE = True


def _table(boolean: str, value: str) -> dict[str, tuple[str, bool]]:
    """Return how each option is written -> (its long name, whether it takes a value)."""
    table = {}
    for words, takes_value in ((boolean, BOOLEAN), (value, VALUE)):
        for word in words.split():
            name, _dummy, letter = word.partition(",")
            table["--" + name] = (name, takes_value)
            if letter:
                table["-" + letter] = (name, takes_value)
    return table


# docker 17.03 to 28, with the hidden ones (--net, --dns-opt, Windows' own).
GLOBAL_OPTIONS = _table(
    boolean="debug,D help,h tls tlsverify version,v",
    value="config context,c host,H log-level,l tlscacert tlscert tlskey",
)
CONTAINER_OPTIONS = _table(
    boolean="""
        detach,d disable-content-trust help init interactive,i no-healthcheck oom-kill-disable
        privileged publish-all,P quiet,q read-only rm sig-proxy tty,t use-api-socket
    """,
    value="""
        add-host annotation attach,a blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent
        cgroupns cidfile cpu-count cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime
        cpu-shares,c cpus cpuset-cpus cpuset-mems detach-keys device device-cgroup-rule
        device-read-bps device-read-iops device-write-bps device-write-iops dns dns-opt dns-option
        dns-search domainname entrypoint env,e env-file expose gpus group-add health-cmd
        health-interval health-retries health-start-interval health-start-period health-timeout
        hostname,h io-maxbandwidth io-maxiops ip ip6 ipc isolation kernel-memory label,l label-file
        link link-local-ip log-driver log-opt mac-address memory,m memory-reservation memory-swap
        memory-swappiness mount name net net-alias network network-alias oom-score-adj pid
        pids-limit platform publish,p pull restart runtime security-opt shm-size stop-signal
        stop-timeout storage-opt sysctl tmpfs ulimit user,u userns uts volume,v volume-driver
        volumes-from workdir,w
    """,
)

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
"""What Go's strconv.ParseBool takes for true."""


class Command:
    """Where things are in docker's arguments.

    ``name``: the command (``run`` for ``container run``), empty if there is none.
    ``start``: index of the command; before it are docker's global options.
    ``image``: index of the image of a run or create, None if there is none to be found.
    ``insert``: index where options can be added, right before the image (and the ``--`` before it).
    ``options``: long name -> value, of the options of a run or create; the last one counts.
    """

    __slots__ = ("image", "insert", "name", "options", "start")

    def __init__(
        self,
        name: str,
        start: int,
        image: int | None = None,
        insert: int = 0,
        options: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.start = start
        self.image = image
        self.insert = insert
        self.options = options or {}


def find(arguments: Sequence[str]) -> Command:
    """Find command and image in docker's arguments (without the program's name).

    Raises InvalidInput if an unknown option stands before the image: whether the next word belongs
    to it can't be known, and a wrong guess would start a container without its GPU.
    """
    given, _dummy, start = _scan(arguments, 0, GLOBAL_OPTIONS, stoppers=("run", "create"))
    if given.get("help") in _TRUE or given.get("version") in _TRUE or start == len(arguments):
        return Command("", start)
    name, position = arguments[start], start
    if name == "container" and position + 1 < len(arguments):
        position += 1
        if arguments[position] in ("run", "create"):
            name = arguments[position]
    if name not in ("run", "create"):
        return Command(name, start)
    options, insert, image = _scan(arguments, position + 1, CONTAINER_OPTIONS)
    if options.get("help") in _TRUE or image == len(arguments) or not arguments[image]:
        return Command(name, start, options=options)
    return Command(name, start, image, insert, options)


def _scan(
    arguments: Sequence[str],
    position: int,
    table: dict[str, tuple[str, bool]],
    stoppers: Sequence[str] = (),
) -> tuple[dict[str, str], int, int]:
    """Return the options, the index where they end, and the index of the first other word.

    An unknown option is an error if one of ``stoppers`` is left (without stoppers: any word).
    """
    given: dict[str, str] = {}
    while position < len(arguments):
        word = arguments[position]
        if word == "--":
            return given, position, position + 1
        if len(word) < 2 or word[0] != "-":
            return given, position, position
        position += 1
        options, waiting, unknown = _read(word, table)
        given.update(options)
        if unknown:
            left = arguments[position:]
            if stoppers and not set(stoppers) & set(left):
                return given, len(arguments), len(arguments)
            if left:
                raise InvalidInput(
                    f"option {unknown} is not known to nvidia-docker, so the image can't be found: "
                    f"write its value into the same word, {unknown}=VALUE ({unknown}=true if it "
                    "takes none)"
                )
        elif waiting and position < len(arguments):
            given[waiting] = arguments[position]
            position += 1
    return given, position, position


def _read(word: str, table: dict[str, tuple[str, bool]]) -> tuple[dict[str, str], str, str]:
    """Return the options in one word, the one that waits for a value, and the unknown one."""
    if word.startswith("--"):
        written, equals, value = word.partition("=")
        name, takes_value = table.get(written, ("", False))
        if equals:
            return ({name: value} if name else {}), "", ""
        if not name:
            return {}, "", written
        return ({}, name, "") if takes_value else ({name: "true"}, "", "")
    given: dict[str, str] = {}
    for index in range(1, len(word)):
        written, rest = "-" + word[index], word[index + 1 :]
        # pflag takes a lone "=" at the end for a value of its own.
        attached = rest[1:] if rest.startswith("=") else ""
        name, takes_value = table.get(written, ("", False))
        if not name:
            return given, "", "" if attached else written
        if not takes_value and not attached:
            given[name] = "true"
            continue
        if not rest:
            return given, name, ""
        given[name] = attached or rest
        return given, "", ""
    return given, "", ""
