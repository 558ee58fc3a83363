# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP/1.1 on one connection: h11 reads the requests, the answers are written here."""

from __future__ import annotations

import re
import select
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from .api import Request, Response

MAX_HEADER_BYTES = 16 * 1024
"""Of the request line and the headers together."""
MAX_BODY_BYTES = 64 * 1024
"""Every body is shorter than this."""
MAX_PIECES = 4096
"""A body comes in fewer pieces than this: chunks of one byte cost time, not memory."""
RECEIVE_BYTES = 2048
"""Each connection that waits holds so much; a usual request is shorter."""
IDLE_S = 5
"""A connection on which nothing happens is closed; v1's limit too."""
REQUEST_S = 5
"""A request is complete so soon after its first byte, and an answer is taken so soon."""
LINGER_S = 1
"""A refused client may take so long to read why."""

_END = b"\r\n\r\n"
_ABSOLUTE = re.compile(r"(?i:http)://([^/?#]*)")
_TIMEOUT = struct.pack("ll", IDLE_S, 0)
_STATUS_LINE = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_DAYS = "Mon Tue Wed Thu Fri Sat Sun".split()
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


class Refused(Exception):
    """What came in is no request for an API: it is answered with a sentence, then cut off."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.response = Response.of(status, reason + "\n")


@dataclass(frozen=True)
class Received:
    """A request, and whether the client may send another one after it."""

    request: Request
    keep: bool


class Heads:
    """What h11 made of the last heads: whoever asks again sends the same bytes again.

    A head without a body means what its bytes say and nothing else, so that it is read once.
    Shared by all threads.
    """

    LIMIT = 256
    LONGEST = 1024

    def __init__(self) -> None:
        # Late: Ansible's checks import each file where h11 is not vendored.
        import h11

        self.h11: Any = h11
        self._known: dict[bytes, Received] = {}
        self.get = self._known.get

    def remember(self, head: bytes, received: Received) -> None:
        """Keep a request by its head, the empty line left out."""
        if len(head) <= self.LONGEST:
            if len(self._known) >= self.LIMIT:
                self._known.clear()
            self._known[head] = received


class Stream:
    """One client's requests, one after the other."""

    def __init__(self, connection: socket.socket, heads: Heads) -> None:
        # By the kernel: a timeout of Python's own costs one more system call per request.
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            connection.setsockopt(socket.SOL_SOCKET, option, _TIMEOUT)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._heads = heads
        self._rest = b""
        """What came in after the last request."""
        self._taken = b""
        """What was given to h11 for this one."""

    def next(self) -> Received | None:
        """Return the next request, or nothing when none comes. Raises Refused."""
        data = self._rest or self._receive()
        head, end, rest = data.partition(_END)
        known = self._heads.get(head) if end else None
        if known is None:
            return self._read(data) if data else None
        self._rest = rest
        return known

    def send(self, data: bytes) -> None:
        """Raises OSError if the client is gone or takes too long."""
        sent = self._socket.send(data)
        if sent < len(data):
            end = time.monotonic() + REQUEST_S
            while sent < len(data):
                if time.monotonic() > end:
                    raise TimeoutError("the answer is not taken")
                sent += self._socket.send(memoryview(data)[sent:])

    def leave(self) -> None:
        """Say that no more is sent, and let the client read it: closing a connection on which
        something unread came in would take the answer from it."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            end = time.monotonic() + LINGER_S
            while self._readable(end) and self._socket.recv(RECEIVE_BYTES):
                pass

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(RECEIVE_BYTES)
        except OSError:  # Nothing for IDLE_S, or the client is gone.
            return b""

    def _readable(self, end: float) -> bool:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(max(0, end - time.monotonic()) * 1000))

    def _read(self, data: bytes) -> Received | None:
        h11 = self._heads.h11
        parser = h11.Connection(h11.SERVER, MAX_HEADER_BYTES - 1)
        parser.receive_data(data)
        self._taken = data
        end = time.monotonic() + REQUEST_S
        try:
            head = self._event(parser, end)
            if head is None:
                return None
            length = len(self._taken) - len(parser.trailing_data[0])
            if length > MAX_HEADER_BYTES:
                raise Refused(431, _TOO_LONG)
            headers = _headers(head.headers)
            _check(head.http_version.decode(), headers)
            body = self._body(parser, end)
        except h11.RemoteProtocolError as error:
            raise _unreadable(error) from error
        if body is None:
            return None
        self._rest = parser.trailing_data[0]
        received = Received(_request(head, headers, body), parser.their_state is h11.DONE)
        if received.keep and length == len(self._taken) - len(self._rest):
            text = self._taken[:length]
            if text.find(_END) == length - len(_END):
                self._heads.remember(text[: -len(_END)], received)
        self._taken = b""
        return received

    def _event(self, parser: Any, end: float) -> Any:
        """Return the next thing that h11 sees, or nothing if the client is gone."""
        h11 = self._heads.h11
        while True:
            event = parser.next_event()
            if event is not h11.NEED_DATA:
                return event
            if parser.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
                self.send(parser.send(go_on))
            if not self._readable(end):
                raise Refused(408, f"the request was not complete within {REQUEST_S} seconds")
            data = self._receive()
            if not data:
                return None
            if len(self._taken) <= MAX_HEADER_BYTES:
                self._taken += data
            parser.receive_data(data)

    def _body(self, parser: Any, end: float) -> bytes | None:
        pieces: list[bytes] = []
        size = 0
        while True:
            event = self._event(parser, end)
            if event is None:
                return None
            if isinstance(event, self._heads.h11.EndOfMessage):
                return b"".join(pieces)
            size += len(event.data)
            if size >= MAX_BODY_BYTES or len(pieces) >= MAX_PIECES:
                raise Refused(413, _TOO_LARGE)
            pieces.append(bytes(event.data))


def answer(response: Response, close: bool = False, head_only: bool = False) -> bytes:
    """Return the bytes of an answer."""
    kind = place = nosniff = b""
    if response.content_type is not None:
        kind = b"Content-Type: %s\r\n" % response.content_type.encode()
    if response.location is not None:
        place = b"Location: %s\r\n" % response.location.encode("ascii")
    if response.status >= 400:
        nosniff = b"X-Content-Type-Options: nosniff\r\n"
    return b"%sContent-Length: %d\r\n%s%s%sDate: %s\r\n%s\r\n%s" % (
        _STATUS_LINE[response.status],
        len(response.body),
        kind,
        place,
        nosniff,
        _now(),
        b"Connection: close\r\n" if close else b"",
        b"" if head_only else response.body,
    )


_TOO_LONG = f"the request line and the headers are longer than {MAX_HEADER_BYTES} bytes"
_TOO_LARGE = f"the body is not shorter than {MAX_BODY_BYTES} bytes, or comes in too many pieces"


def _unreadable(error: Any) -> Refused:
    status = error.error_status_hint
    if status == 431:
        return Refused(431, _TOO_LONG)
    # Without what the client has sent.
    reason = re.sub(r": bytearray\(.*|: b['\"].*", "", str(error), flags=re.DOTALL)
    return Refused(status, f"the request can't be read: {reason}")


def _headers(pairs: Any) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _check(version: str, headers: dict[str, str]) -> None:
    """Refuse what others may read in another way than h11, and what is not served."""
    if version not in ("1.0", "1.1"):
        raise Refused(505, f"HTTP {version} is not spoken here: use HTTP/1.1")
    length = headers.get("content-length")
    if "transfer-encoding" in headers and (length is not None or version == "1.0"):
        raise Refused(400, "Transfer-Encoding is for HTTP/1.1, without a Content-Length")
    if headers.get("expect", "100-continue").lower() != "100-continue":
        raise Refused(417, "nothing but 100-continue can be expected here")
    if length is not None and int(length) >= MAX_BODY_BYTES:
        raise Refused(413, _TOO_LARGE)


def _request(head: Any, headers: dict[str, str], body: bytes) -> Request:
    method, target = head.method.decode(), head.target.decode("latin-1")
    absolute = _ABSOLUTE.match(target)
    if absolute is not None:
        # RFC 9112, 3.2.2: it counts, whatever Host says.
        headers["host"] = absolute[1]
        target = target[absolute.end() :]
        target = target if target.startswith("/") else "/" + target
    elif not target.startswith("/") and target != "*" and method != "CONNECT":
        raise Refused(400, "the target of a request is a path, for example /docker/cli")
    path, _mark, query = target.partition("?")
    return Request(method, unquote(path), query, headers, body)


_date = (0, b"")


def _now() -> bytes:
    """The time as the header Date has it, made once a second."""
    global _date
    second = int(time.time())
    made, text = _date
    if made != second:
        t = time.gmtime(second)
        day, month = _DAYS[t.tm_wday], _MONTHS[t.tm_mon - 1]
        clock = f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}"
        text = f"{day}, {t.tm_mday:02} {month} {t.tm_year} {clock} GMT".encode()
        _date = (second, text)
    return text
