# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests, responses and the one place where a request is answered, whatever happens.

An ``Api`` is a table of handlers, each a function of a request and the state. It knows nothing of
sockets: server.py brings requests, tests make their own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable

from ..errors import InvalidInput, NvidiaDockerError, UnknownVolume
from .state import State

TEXT = "text/plain; charset=utf-8"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """One HTTP request, read completely."""

    method: str
    path: str
    """Decoded, without the query."""
    query: str = ""
    """As sent, not decoded."""
    headers: Mapping[str, str] | None = None
    """By lower-case name; repeated ones joined by ", "."""
    body: bytes = b""

    def header(self, name: str) -> str:
        """Return the header of this lower-case name, empty if it was not sent."""
        return (self.headers or {}).get(name, "")


@dataclass(frozen=True)
class Response:
    """What is sent back; ``content_type`` is ``None`` for an empty body."""

    status: int
    body: bytes
    content_type: str | None
    location: str | None = None
    """Where a redirect leads to."""

    @classmethod
    def of(cls, status: int, text: str, content_type: str = TEXT) -> Response:
        # A lone surrogate can come in through JSON's \ud800 and has no bytes of its own.
        return cls(status, text.encode("utf-8", errors="replace"), content_type)


Handler = Callable[[Request, State], Response]

NOT_FOUND = Response.of(404, "404 page not found\n")


@dataclass(frozen=True)
class Api:
    """What one listening socket serves."""

    routes: Mapping[tuple[str, str], Handler]
    """By (method, path)."""
    refuse: Callable[[Request], Response | None]
    """Asked first: the answer to a request that is not let in, or ``None``."""
    failure: Callable[[Request, Exception], Response]
    """The answer when a handler raised."""


def respond(api: Api, state: State, request: Request) -> Response:
    """Return the answer to a request. Nothing is raised, and no failure is without its reason."""
    try:
        refused = api.refuse(request)
        if refused is not None:
            return refused
        handler = api.routes.get((request.method, request.path))
        return NOT_FOUND if handler is None else handler(request, state)
    except (InvalidInput, UnknownVolume) as error:
        # Docker asks for each volume that it is about to make.
        return api.failure(request, error)
    except NvidiaDockerError as error:
        logger.error("Error: %s", error)
        return api.failure(request, error)
    except Exception as error:
        logger.exception("Error: %s %r", request.method, request.path)
        return api.failure(request, error)


def sentence(error: Exception) -> str:
    """Return the reason of a failure for the client; an error that is not ours with its kind."""
    if isinstance(error, NvidiaDockerError):
        return str(error)
    return f"internal error: {type(error).__name__}: {error}"
