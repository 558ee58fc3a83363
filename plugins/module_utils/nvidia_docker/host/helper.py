# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Helpers: programs that have a right which the plugin, who answers strangers, does not have.

systemd starts a helper for one connection to its unix socket. One question, one answer: a line of
JSON each way.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InvalidInput, NvidiaDockerError

LARGEST_QUESTION = 4096
_LARGEST_ANSWER = 4 * 1024 * 1024


@dataclass(frozen=True)
class Helper:
    """How a helper is reached."""

    path: Path
    """Of its socket."""
    program: str
    """Whose unit is called so too."""
    error: type[NvidiaDockerError]
    """What its failures are."""
    timeout_s: float

    def ask(self, question: Mapping[str, object]) -> dict[str, Any]:
        """Return the members of the answer.

        Raises ``error`` with what the helper said, or that it can't be asked.
        """
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(self.timeout_s)
                connection.connect(str(self.path))
                connection.sendall((json.dumps(question) + "\n").encode())
                with connection.makefile("rb") as stream:
                    line = stream.readline(_LARGEST_ANSWER)
        except OSError as error:
            raise self.error(
                f"{self.program} at {self.path} can't be asked ({error.strerror or error}): "
                f"start {self.program}.socket"
            ) from error
        try:
            answer = dict(json.loads(line))
            problem = answer.pop("error")
        except (ValueError, KeyError, TypeError) as error:
            raise self.error(
                f"{self.program} gave no answer: see journalctl --identifier={self.program}"
            ) from error
        if problem is not None:
            raise self.error(str(problem))
        return answer


def answer(question: bytes, act: Callable[[dict[str, Any]], Mapping[str, object]]) -> bytes:
    """Return the answer to a question: the members that ``act`` gives for its members, or why
    there are none. ``act`` raises NvidiaDockerError."""
    members: Mapping[str, object] = {}
    problem: str | None = None
    try:
        members = act(_read(question))
    except NvidiaDockerError as error:
        problem = str(error)
    return (json.dumps({"error": problem, **members}) + "\n").encode()


def _read(question: bytes) -> dict[str, Any]:
    try:
        members = json.loads(question)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"a request is one line of JSON, not {question[:80]!r}") from error
    if not isinstance(members, dict):
        raise InvalidInput(f"a request is an object of JSON, not {question[:80]!r}")
    return members
