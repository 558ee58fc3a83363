# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nvidia-docker in front of real docker clients: what they ask of the engine, beside without it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils import nvidia_docker
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cli import (
    client_options,
    docker_command,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.docker import (
    Docker,
)
from ansible_collections.gpufleet.nvidia.tests.docker_clients.arguments import IMAGES, command_line
from ansible_collections.gpufleet.nvidia.tests.docker_clients.conftest import Client
from ansible_collections.gpufleet.nvidia.tests.docker_clients.test_arguments import (
    COUNT,
    SEED,
    in_order,
)

LAUNCHER = """\
#!{python} -IS
import sys
sys.path.append({library!r})
from nvidia_docker.cli.main import main
sys.exit(main(sys.argv))
"""
ANSWER = (
    "--volume-driver=nvidia-docker --volume=nvidia_driver_1:/usr/local/nvidia:ro "
    "--device=/dev/nvidiactl --device=/dev/nvidia0"
)
DOCKER = """\
#!/bin/sh
printf '%s\\0' "$#" "$@" >>'{log}'
exec '{docker}' "$@"
"""
GPU = {"Config": {"Labels": {"com.nvidia.volumes.needed": "nvidia_driver"}, "Env": ["PATH=/bin"]}}
NO_GPU = {"Config": {"Labels": None, "Env": ["PATH=/bin"]}}

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def plugin() -> Iterator[str]:
    """The address of another machine's nvidia-docker-plugin that gives our options."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            info = '{"Version":{"Driver":"1","CUDA":"8.0"},"Devices":[]}'
            body = info if self.path == "/gpu/info/json" else ANSWER
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Nothing on the test's standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def program(client: Client, plugin: str) -> Run:
    """nvidia-docker with this docker client."""
    launcher = client.home / "nvidia-docker"
    library = Path(next(iter(nvidia_docker.__path__))).parent
    python = os.path.realpath(sys.executable)
    launcher.write_text(LAUNCHER.format(python=python, library=str(library)))
    launcher.chmod(0o755)
    docker = client.home / "docker"
    docker.write_text(DOCKER.format(log=client.home / "log", docker=client.path))
    docker.chmod(0o755)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [launcher, *words],
            env={**client.environ, "NV_DOCKER": str(docker), "NV_HOST": plugin},
            stdin=client.terminal,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def started(client: Client) -> list[list[str]]:
    """Return the words of each docker that the program started, or became, and forget them."""
    log = client.home / "log"
    words = log.read_bytes().decode("utf-8", "surrogateescape").split("\0")[:-1]
    log.unlink()
    commands = []
    while words:
        end = 1 + int(words[0])
        commands.append(words[1:end])
        words = words[end:]
    return commands


def split(body: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a create request without ours, and which devices and volumes are ours in it."""
    host, kept, ours = body["HostConfig"], {}, []
    for key, name in (("Devices", "PathOnHost"), ("Mounts", "Source"), ("Binds", None)):
        entries = host.get(key) or []
        told = [(entry if name is None else entry.get(name) or "", entry) for entry in entries]
        mine = [text for text, _entry in told if text.startswith(("/dev/nvidia", "nvidia_driver_"))]
        kept[key] = [entry for text, entry in told if text not in mine]
        ours += [text.partition(":")[0] for text in mine]
    if host["VolumeDriver"] == "nvidia-docker":
        kept["VolumeDriver"] = ""
    return in_order({**body, "HostConfig": {**host, **kept}}), ours


@pytest.mark.parametrize("image", [GPU, NO_GPU], ids=["gpu", "no-gpu"])
def test_exactly_ours_more(client: Client, program: Run, image: dict[str, object]) -> None:
    """Status and output are docker's own; docker gets what was typed, with ours before a GPU image,
    and asks for the same container, with ours more."""
    made = 0
    ask = partial(client_options.ask, Docker((str(client.path),)), client.environ)
    for number in range(COUNT // 16):
        dice = random.Random(f"{SEED} program {number}")
        words = command_line(dice, client.engine.address, str(client.home))
        client.engine.images = dict.fromkeys(IMAGES, image)
        plain = client.run(*words)
        bodies = [split(body) for body in client.engine.creations()]
        done = program(*words)
        assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout), words
        became = started(client)[-1]
        place = docker_command.find(words, ask).insert
        added = became[place : place + len(became) - len(words)]
        assert [*words[:place], *added, *words[place:]] == became, words
        assert image is GPU or not added, words
        wanted = image is GPU and "asks docker itself for GPUs" not in done.stderr
        ours = ["/dev/nvidiactl", "/dev/nvidia0", "nvidia_driver_1"] if wanted else []
        expected = [(body, ours) for body, _none in bodies]
        assert added or not (wanted and bodies), words
        assert [split(body) for body in client.engine.creations()] == expected, words
        made += len(bodies)
    assert made > 0


@pytest.mark.parametrize("reference", ["", "-", "UP"])
def test_what_can_be_no_image_is_refused_by_docker(
    client: Client, program: Run, reference: str
) -> None:
    """With its status and message, though it is asked for the image first."""
    words = (f"--host={client.engine.address}", "run", reference)
    plain, done = client.run(*words), program(*words)
    assert plain.returncode == 125
    assert (done.returncode, done.stdout, done.stderr) == (
        plain.returncode,
        plain.stdout,
        plain.stderr,
    )


@pytest.mark.parametrize(
    "line",
    ["", "--help", "-v", "--version", "help run", "run --help", "ps --help", "nonsense", "-z"],
)
def test_what_docker_says_itself(client: Client, program: Run, line: str) -> None:
    """Status, output and messages, and one start of docker."""
    plain, done = client.run(*line.split()), program(*line.split())
    told = (done.returncode, done.stdout, done.stderr)
    assert told == (plain.returncode, plain.stdout, plain.stderr)
    assert started(client) == [line.split()]
    assert client.engine.creations() == []


def test_version(client: Client, program: Run) -> None:
    """Ours, an empty line, then docker's."""
    plain, done = client.run("version"), program("version")
    assert done.stdout == f"NVIDIA Docker: {nvidia_docker.__version__}\n\n{plain.stdout}"
    assert (done.returncode, done.stderr) == (plain.returncode, plain.stderr)


@pytest.mark.parametrize("option", [[], ["--pull=always"], ["--pull", "missing"]])
def test_pull(client: Client, program: Run, option: list[str]) -> None:
    """The image is pulled before it is looked at, and nothing of that is on standard output."""
    client.engine.images = dict.fromkeys(IMAGES, GPU) if option == ["--pull=always"] else {}
    words = ["create", *option, "--platform", "linux/amd64", "cuda:12"]
    client.engine.pulled = {"cuda:12": GPU}
    done = program(*words)
    pulls = [path for _method, path, _body in client.engine.asked if "/images/create?" in path]
    assert "fromImage=" in pulls[0] and "tag=12" in pulls[0] and "linux%2Famd64" in pulls[0]
    assert done.stdout == ""
    [body] = client.engine.creations()
    assert "nvidia_driver_1" in split(body)[1]


def test_pull_never(client: Client, program: Run) -> None:
    """docker is asked for the container at once, and says what is missing."""
    done = program("create", "--pull", "never", "cuda:12")
    assert done.returncode != 0
    asked = [(method, path) for method, path, _body in client.engine.asked]
    assert not [path for _method, path in asked if "/images/create" in path]
    assert len(client.engine.creations()) == 1


def test_pull_fails(client: Client, program: Run) -> None:
    """docker's message and v1's status; no container is asked for."""
    client.engine.refusal = "pull access denied for cuda"
    done = program("run", "cuda:12")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Error: " in done.stderr and "pull access denied for cuda" in done.stderr
    assert client.engine.creations() == []
