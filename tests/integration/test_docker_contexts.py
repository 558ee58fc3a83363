# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nvidia-docker knows where docker goes: every docker client in PATH is asked."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cli import (
    docker_command,
    engine,
)

# Nothing listens at these: the client names the one that it has tried.
CONTEXTS = {"lab": "tcp://127.0.0.11:1", "two": "tcp://127.0.0.12:1", "socket": "unix:///no/lab"}
A, B = "tcp://127.0.0.1:1", "tcp://127.0.0.2:1"
LOCAL = "unix:///no/socket"
"""In place of the default socket, at which there may be an engine that answers."""


def clients() -> list[str]:
    """Paths of different docker clients."""
    folders = os.environ["PATH"].split(os.pathsep)
    found = {os.path.realpath(path): path for path in (f"{folder}/docker" for folder in folders)}
    return sorted(path for real, path in found.items() if os.access(real, os.X_OK))


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A home with contexts."""
    made = tmp_path_factory.mktemp("home")
    for name, host in CONTEXTS.items():
        folder = made / ".docker/contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
        folder.mkdir(parents=True)
        meta = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host}}}
        (folder / "meta.json").write_text(json.dumps(meta))
    return made


def test_there_is_a_client() -> None:
    assert clients()


@pytest.mark.parametrize("client", clients())
@pytest.mark.parametrize(
    ("words", "environ", "in_use"),
    [
        ([], {}, "two"),
        ([], {"DOCKER_HOST": A}, "two"),
        ([], {"DOCKER_HOST": A, "DOCKER_CONTEXT": "lab"}, "two"),
        ([], {"DOCKER_CONTEXT": "lab"}, "two"),
        ([], {"DOCKER_CONTEXT": "socket"}, "two"),
        ([], {"DOCKER_CONTEXT": "default", "DOCKER_HOST": LOCAL}, "two"),
        (["--context=lab"], {"DOCKER_HOST": A, "DOCKER_CONTEXT": "two"}, "two"),
        (["-c", "lab"], {"DOCKER_HOST": ""}, ""),
        (["--context", "default"], {"DOCKER_HOST": A}, "two"),
        (["--context="], {"DOCKER_CONTEXT": "lab"}, ""),
        (["-H", B], {"DOCKER_HOST": A, "DOCKER_CONTEXT": "lab"}, "two"),
        ([f"-H{B}"], {}, "two"),
        (["--host=127.0.0.2"], {}, ""),
        (["-H", " tcp://127.0.0.2:1 "], {}, ""),
        (["-H", "tcp://::1"], {}, ""),
        (["-H", "tcp://[::1]:1"], {}, ""),
        (["-H", ":1"], {}, ""),
        (["-H", "tcp://user@127.0.0.2:1/path"], {}, ""),
        (["-H", LOCAL], {"DOCKER_HOST": A}, "two"),
        (["--config={home}/.docker"], {"HOME": "/nowhere"}, "two"),
        (["--config="], {}, "two"),
        ([], {"DOCKER_CONFIG": "{home}/.docker", "HOME": "/nowhere"}, "two"),
        ([], {"DOCKER_CONFIG": ""}, "two"),
    ],
)
def test_as_docker(home, client, words, environ, in_use) -> None:
    """The machine of the engine, or this one."""
    (home / ".docker/config.json").write_text(json.dumps({"currentContext": in_use}))
    words = [word.format(home=home) for word in words]
    environ = {"HOME": "{home}", **environ}
    environ = {name: text.format(home=home) for name, text in environ.items()}
    done = subprocess.run(
        [client, *words, "image", "inspect", "x"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    options = docker_command.find([*words, "ps"]).global_options
    plugin = engine.plugin(environ, options)
    expected = (
        "unix://" if plugin is None else str(plugin).replace("http", "tcp").rpartition(":")[0]
    )
    assert f"Docker daemon at {expected}" in done.stderr


@pytest.mark.parametrize("client", clients())
@pytest.mark.parametrize(
    "host",
    ["http://127.0.0.2:1", "https://h:443", "TCP://h:1", "fd://", "npipe://x", "tcp://[::1]:1x"],
)
def test_docker_takes_none_of_these(home, client, host) -> None:
    """So nvidia-docker refuses nothing that would work."""
    done = subprocess.run(
        [client, "-H", host, "image", "inspect", "x"],
        env={"HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Docker daemon at" not in done.stderr
