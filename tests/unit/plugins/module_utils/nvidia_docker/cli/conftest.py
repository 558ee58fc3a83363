# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program as a process, between a docker and a plugin that record what they are asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils import nvidia_docker

PACKAGE = Path(next(iter(nvidia_docker.__path__)))

LAUNCHER = """\
#!{python} -IS
import sys
sys.path.append({library!r})
from nvidia_docker.cli.main import main
sys.exit(main(sys.argv))
"""

DOCKER = """\
#!{python} -IS
import json, os, sys
log, answers = {log!r}, json.load(open({answers!r}))
environment = open("/proc/self/environ", "rb").read().decode("utf-8", "surrogateescape")
status = open("/proc/self/status").read()
with open(log, "a") as out:
    ignored = [line.split()[1] for line in status.splitlines() if line.startswith("SigIgn")]
    record = {{"argv": sys.argv, "env": environment.split("\\0")[:-1], "ignored": ignored[0]}}
    out.write(json.dumps(record) + "\\n")
words = [word for word in sys.argv[1:] if word not in answers.get("global options", ())]
if words[:2] == ["image", "inspect"]:
    image = words[-1]
    if "engine" in answers:
        sys.exit(answers["engine"])
    if image not in answers["images"]:
        sys.exit("Error: No such image: " + image)
    print(json.dumps(answers["images"][image]))
elif words[0:1] == ["pull"]:
    image = words[-1]
    if image not in answers["registry"]:
        sys.exit("Error response from daemon: pull access denied for " + image)
    print("Pulling " + image)
    answers["images"][image] = answers["registry"][image]
    json.dump(answers, open({answers!r}, "w"))
elif words[-1:] == ["--help"] and "help" in answers:
    print(answers["help"])
else:
    print("(docker output)")
    sys.exit(answers.get("status", 0))
"""


@dataclass
class Program:
    """nvidia-docker in a folder of its own, with the docker that it finds in PATH."""

    folder: Path

    def answers(self, **answers: object) -> None:
        (self.folder / "answers").write_text(json.dumps({"images": {}, "registry": {}, **answers}))

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / "nvidia-docker", *arguments],
            env={"PATH": f"{self.folder}:/usr/bin:/bin", **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    @property
    def calls(self) -> list[dict[str, object]]:
        log = self.folder / "log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    @property
    def commands(self) -> list[list[str]]:
        """Arguments of each docker that was started; the last one is what was become."""
        return [call["argv"][1:] for call in self.calls]

    def stand_in(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    made = Program(tmp_path)
    made.answers()
    python = os.path.realpath(sys.executable)
    made.stand_in("nvidia-docker", LAUNCHER.format(python=python, library=str(PACKAGE.parent)))
    names = {name: str(tmp_path / name) for name in ("log", "answers")}
    made.stand_in("docker", DOCKER.format(python=python, **names))
    return made


@dataclass
class Plugin:
    """Another machine's nvidia-docker-plugin: path, with or without query -> (status, body)."""

    port: int
    answers: dict[str, tuple[int, str]]
    requests: list[tuple[str, dict[str, str]]]


@pytest.fixture
def plugin() -> Iterator[Plugin]:
    made = Plugin(0, {}, [])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.requests.append((self.requestline, dict(self.headers.items())))
            path = self.path if self.path in made.answers else self.path.partition("?")[0]
            status, body = made.answers[path]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Nothing on the test's standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()
