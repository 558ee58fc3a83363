# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What answers the real docker clients here: a socket that plays Docker's API and keeps what it is
asked. No container is made: every create ends in an error, after it was written down."""

from __future__ import annotations

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

# Newer than the newest client: each then speaks its own.
API_VERSION = "1.99"


class Engine:
    """``asked``: (method, path, body) of each request.

    ``images``: what it has, by reference; ``pulled``: what it has more after a pull;
    ``refusal``: why it pulls nothing.
    """

    def __init__(self, socket: Path) -> None:
        self.address = f"unix://{socket}"
        self.asked: list[tuple[str, str, Any]] = []
        self.images: dict[str, dict[str, Any]] = {}
        self.pulled: dict[str, dict[str, Any]] = {}
        self.refusal = ""
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                content = json.loads(body) if body else None
                engine.asked.append((self.command, self.path, content))
                status, answer = engine.answer(self.path)
                text = answer.encode()
                self.send_response(status)
                self.send_header("Api-Version", API_VERSION)
                self.send_header("OSType", "linux")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_GET = do_HEAD = do_POST = do_DELETE = handle_any

            def address_string(self) -> str:
                return "socket"

            def log_message(self, *_: object) -> None:
                """Nothing on the test's standard error."""

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        self._server = Server(str(socket), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def answer(self, path: str) -> tuple[int, str]:
        """Return status and body."""
        parts = path.partition("?")[0].split("/")
        if parts[-1] == "_ping":
            return 200, "OK"
        if parts[2:3] == ["images"] and parts[-1] == "json":
            image = self.images.get("/".join(parts[3:-1]))
            return (200, json.dumps(image)) if image else (404, '{"message":"No such image: x"}')
        if parts[2:] == ["images", "create"]:
            if self.refusal:
                return 404, json.dumps({"message": self.refusal})
            self.images = {**self.images, **self.pulled}
            return 200, '{"status":"Pulling"}\n'
        return 500, '{"message":"nothing is made here"}'

    def creations(self) -> list[Any]:
        """Return the containers that were asked for, and forget them."""
        found = [
            body
            for method, path, body in self.asked
            if method == "POST" and path.partition("?")[0].endswith("/containers/create")
        ]
        self.asked.clear()
        return found

    def __enter__(self) -> Engine:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
