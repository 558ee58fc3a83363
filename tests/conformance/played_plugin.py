# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recorded nvidia-docker-plugin of another machine: answers as it did, keeps what is asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Request = tuple[str, dict[str, str]]
"""The request line, and the headers."""

_NO_PAGE = {"status": 404, "body": "404 page not found\n"}
_POLL_S = 0.01


@contextmanager
def playing(answers: Mapping[str, Mapping[str, Any]], port: int) -> Iterator[list[Request]]:
    """Serve status and body by path on 127.0.0.1, and yield the requests as they come."""
    requests: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            requests.append((self.requestline, dict(self.headers.items())))
            answer = answers.get(self.path.partition("?")[0], _NO_PAGE)
            body = answer["body"].encode()
            self.send_response(answer["status"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Keep the output for what differs."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": _POLL_S})
    thread.start()
    try:
        yield requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
