# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs other programs in the environment that the user gave, at the least cost.

Not subprocess: nvidia-docker starts docker as its first act, and importing subprocess takes longer
(10 ms) than everything else that is done before.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_POLL_SECONDS = 0.01
_IGNORED_BY_PYTHON = (_signal.SIGPIPE, _signal.SIGXFSZ)
"""Python starts with these ignored, and a child would inherit that."""


class Process:
    """A started program whose output is collected."""

    __slots__ = ("_errors", "_output", "_pid")

    def __init__(self, pid: int, output: int | None, errors: int) -> None:
        self._pid = pid
        self._output = output
        self._errors = errors

    def wait(self) -> tuple[int, str, str]:
        """Return exit status (-N: ended by signal N), standard output and standard error."""
        _dummy, status = os.waitpid(self._pid, 0)
        output = "" if self._output is None else _collect(self._output)
        return os.waitstatus_to_exitcode(status), output, _collect(self._errors)

    def end(self, seconds: float) -> tuple[int, str, str]:
        """Let it end by itself for so many seconds, then end it; return what wait() returns."""
        import time

        for number in (_signal.SIGTERM, _signal.SIGKILL):
            limit = time.monotonic() + seconds
            while time.monotonic() < limit:
                # Without WNOWAIT it would be reaped here, and its number could be another's.
                if os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
                    return self.wait()
                time.sleep(_POLL_SECONDS)
            os.kill(self._pid, number)
            seconds = 1
        return self.wait()


def start(
    arguments: tuple[str, ...], output: int | None = None, source: int | None = None
) -> Process:
    """Start a program; ``arguments[0]`` is looked up in PATH.

    ``output`` is a file descriptor that gets its standard output; without, that is collected.
    ``source`` is one that it reads as standard input; without, there is nothing to read.
    Raises OSError if the program can't be started.
    """
    # Files in memory, unlike pipes, never fill up: the two can be read one after the other.
    errors = os.memfd_create("errors")
    collected = os.memfd_create("output") if output is None else None
    try:
        pid = os.posix_spawnp(  # pylint: disable=ansible-bad-function  # no Ansible here
            arguments[0],
            arguments,
            user_environment(),
            file_actions=(
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
                if source is None
                else (os.POSIX_SPAWN_DUP2, source, 0),
                (os.POSIX_SPAWN_DUP2, output if collected is None else collected, 1),
                (os.POSIX_SPAWN_DUP2, errors, 2),
            ),
            setsigdef=_IGNORED_BY_PYTHON,
        )
    except OSError:
        for descriptor in (errors, collected):
            if descriptor is not None:
                os.close(descriptor)
        raise
    return Process(pid, collected, errors)


def replace(arguments: tuple[str, ...]) -> NoReturn:
    """Become another program: its exit status, signals and terminal are then its own.

    Raises OSError if the program can't be started; nothing has changed then.
    """
    handlers = [(number, _signal.getsignal(number)) for number in _IGNORED_BY_PYTHON]
    try:
        for number in _IGNORED_BY_PYTHON:
            _signal.signal(number, _signal.SIG_DFL)
        os.execvpe(arguments[0], arguments, user_environment())
    finally:
        for number, handler in handlers:
            _signal.signal(number, handler)


def user_environment() -> dict[str, str]:
    """Return the environment as this program got it.

    In the locale C Python adds LC_CTYPE to its own (PEP 538); the kernel keeps the original.
    """
    environment = dict(os.environ)
    if "LC_CTYPE" in environment:
        with open("/proc/self/environ", "rb") as original:
            if not any(entry.startswith(b"LC_CTYPE=") for entry in original.read().split(b"\0")):
                del environment["LC_CTYPE"]
    return environment


def _collect(descriptor: int) -> str:
    with open(descriptor, encoding="utf-8", errors="replace") as collected:
        collected.seek(0)
        return collected.read()
