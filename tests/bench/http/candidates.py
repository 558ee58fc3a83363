# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP servers in pure Python that answer each request with the same 340 bytes.

candidates.py NAME PORT serves; compare.py measures them. docs/http-server.md has the outcome.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

BODY = b"x" * 340
TEXT = "text/plain; charset=utf-8"
HEADERS = [("Content-Length", str(len(BODY))), ("Content-Type", TEXT)]
MODULE_UTILS = Path(__file__).resolve().parents[3] / "plugins" / "module_utils"


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", HEADERS)
    return [BODY]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": BODY})


def http_server(port: int) -> None:
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in HEADERS:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(BODY)

        def log_message(self, *_dummy: object) -> None:
            pass

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def waitress(port: int) -> None:
    import logging

    import waitress

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    waitress.serve(wsgi, host="127.0.0.1", port=port, threads=4, ident=None)


def cheroot(port: int) -> None:
    from cheroot.wsgi import Server

    server = Server(("127.0.0.1", port), wsgi, numthreads=10)
    # Ten by default; the others are closed after each answer.
    server.keep_alive_conn_limit = 128
    server.start()


def uvicorn(port: int) -> None:
    import uvicorn

    settings: dict[str, Any] = {"http": "h11", "loop": "asyncio", "ws": "none", "lifespan": "off"}
    uvicorn.run(asgi, host="127.0.0.1", port=port, access_log=False, log_level="error", **settings)


def hypercorn(port: int) -> None:
    import asyncio

    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "ERROR"
    # A thousand by default, then the connection is closed.
    config.keep_alive_max_requests = 10**9
    asyncio.run(serve(asgi, config))  # type: ignore[arg-type]


def h11_asyncio(port: int) -> None:
    import asyncio

    import h11

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            self.connection = h11.Connection(h11.SERVER)

        def data_received(self, data: bytes) -> None:
            connection = self.connection
            connection.receive_data(data)
            while connection.next_event() is not h11.NEED_DATA:
                if connection.their_state is h11.DONE:
                    send = connection.send
                    answer = h11.Response(status_code=200, headers=HEADERS)
                    parts = [send(answer), send(h11.Data(data=BODY)), send(h11.EndOfMessage())]
                    self.transport.write(b"".join(parts))
                    connection.start_next_cycle()
                    break

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(serve())


def plugin(port: int, remember: bool = True) -> None:
    """plugin/server.py."""
    sys.path += [str(MODULE_UTILS), str(MODULE_UTILS / "nvidia_docker" / "_vendor")]
    from nvidia_docker.plugin import api, http1, server  # type: ignore[import-not-found]

    if not remember:
        http1.Heads.LONGEST = 0
    answer = api.Response(200, BODY, TEXT)
    routes = {("GET", "/"): lambda request, state: answer}
    table = api.Api(routes=routes, refuse=lambda request: None, failure=lambda *_dummy: answer)
    running = server.Server()
    running.add(server.listen_tcp(f"127.0.0.1:{port}"), table, None)
    running.run()


def plugin_forgetful(port: int) -> None:
    """The same, each head read anew."""
    plugin(port, remember=False)


CANDIDATES = {
    one.__name__: one
    for one in (
        *(http_server, waitress, cheroot, uvicorn, hypercorn, h11_asyncio),
        *(plugin_forgetful, plugin),
    )
}

if __name__ == "__main__":
    CANDIDATES[sys.argv[1]](int(sys.argv[2]))
