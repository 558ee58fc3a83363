# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that only the installed client knows: its help, and what is kept of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cli.client_options import (  # noqa: E501
    ask,
    read_help,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.docker import (
    Docker,
)

RUN_HELP = """\

Usage:  docker run [OPTIONS] IMAGE [COMMAND] [ARG...]

Create and run a new container from an image

Options:
  -a, --attach list                    Attach to STDIN, STDOUT or STDERR
      --cgroupns string                Cgroup namespace to use
                                       (host|private)
                                       'host':    Run the container in
                                       --bogus string   no option: a wrapped description
      --name string                    Assign a name to the container
      --progress string[="auto"]       Show progress
  -P, --publish-all                    Publish all exposed ports to
      --rm                             Automatically remove the container
      --shiny
  --short string                       No option of pflag's
  see --else string                    None either
"""


def test_run_help() -> None:
    """Values have their type behind the name; one that may be left out takes no word."""
    assert read_help(RUN_HELP, "run") == {
        "--attach": ("attach", True),
        "-a": ("attach", True),
        "--cgroupns": ("cgroupns", True),
        "--name": ("name", True),
        "--progress": ("progress", False),
        "--publish-all": ("publish-all", False),
        "-P": ("publish-all", False),
        "--rm": ("rm", False),
        "--shiny": ("shiny", False),
    }


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("", "run"),
        ("(docker output)\n", "run"),
        (RUN_HELP, ""),
        (RUN_HELP.replace("--name string", "--name       "), "run"),
        (RUN_HELP.replace("--rm ", "--rn "), "create"),
        ("  -H, --host list   Socket\n", ""),
    ],
)
def test_help_that_is_not_understood(text: str, command: str) -> None:
    """docker 1.9 to 1.12 show --name and --rm alike: kinds can't be read there."""
    assert read_help(text, command) is None


class Client:
    """A docker whose help can be changed, and the cache of its user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "docker"
        self.environ = {"HOME": str(folder)}
        self.cached = folder / ".cache/nvidia-docker/docker-options.json"
        self.install(RUN_HELP)

    def install(self, text: str, script: str = "") -> None:
        (self.folder / "help").write_text(text)
        self.path.write_text(
            f'#!/bin/sh\necho "$@" >> {self.folder}/log\n{script}\ncat {self.folder}/help\n'
        )
        self.path.chmod(0o755)

    def ask(self, option: str, command: str = "run") -> bool | None:
        """Whether the option takes a value, None if that is not known."""
        table = ask(Docker((str(self.path), "-D")), self.environ, command, option)
        return None if table is None or option not in table else table[option][1]

    @property
    def asked(self) -> int:
        log = self.folder / "log"
        return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path)


def test_asked_once(client: Client) -> None:
    """One start of the client, with no engine to wait for; then the cache, the user's alone."""
    assert client.ask("--shiny") is False
    assert (client.folder / "log").read_text() == "-D -H unix:///dev/null run --help\n"
    assert [client.ask("--attach"), client.ask("-P"), client.asked] == [True, False, 1]
    modes = [path.stat().st_mode & 0o777 for path in (client.cached, client.cached.parent)]
    assert modes == [0o600, 0o700]
    assert os.listdir(client.cached.parent) == [client.cached.name]


def test_commands_are_kept_apart(client: Client) -> None:
    """What create is asked for does not forget run."""
    client.ask("--shiny", "run")
    client.ask("--shiny", "create")
    client.ask("--shiny", "run")
    assert [line.split()[-2] for line in (client.folder / "log").read_text().splitlines()] == [
        "run",
        "create",
    ]


def test_another_client(client: Client) -> None:
    """Another program under that name is asked anew."""
    client.ask("--shiny")
    client.install(RUN_HELP.replace("--shiny", "--shiny string"), script="# newer")
    assert (client.ask("--shiny"), client.asked) == (True, 2)


def test_an_option_that_is_not_in_the_cache(client: Client) -> None:
    """The program may be a script in front of one that was replaced."""
    client.ask("--shiny")
    (client.folder / "help").write_text(RUN_HELP + "      --newest int   New\n")
    assert (client.ask("--newest"), client.asked) == (True, 2)
    assert (client.ask("--newest"), client.asked) == (True, 2)
    assert client.ask("--none") is None


def test_other_ways_to_the_client(client: Client) -> None:
    """NV_DOCKER's words may name an engine themselves, which docker refuses to hear twice."""
    client.install(RUN_HELP, script='[ "$2" != -H ] || exit 1')
    assert (client.ask("--shiny"), client.asked) == (False, 2)


@pytest.mark.parametrize("script", ["exit 1", "echo 'docker: no such command'; exit 0"])
def test_a_client_that_can_not_be_asked(client: Client, script: str) -> None:
    """It is not known, and nothing is kept."""
    client.install("", script)
    assert client.ask("--shiny") is None
    assert not client.cached.exists()
    client.path.unlink()
    assert client.ask("--shiny") is None


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "null",
        "[]",
        "{}",
        '{"client": 1, "options": {}}',
        '{"client": CLIENT, "options": 1}',
        '{"client": CLIENT, "options": {"run": []}}',
        '{"client": CLIENT, "options": {"run": {"--shiny": 1}}}',
        '{"client": CLIENT, "options": {"run": {"--shiny": ["shiny"]}}}',
        '{"client": CLIENT, "options": {"run": {"--shiny": ["shiny", 1]}}}',
        '{"client": CLIENT, "options": {"run": {"--shiny": [[], true]}}}',
        "[" * 100000,
        '"' + "x" * (1 << 20) + '"',
        "\udcff",
    ],
)
def test_a_damaged_cache(client: Client, damage: str) -> None:
    """The client is asked again, and the cache is good again."""
    client.ask("--shiny")
    kept = json.loads(client.cached.read_text())
    text = damage.replace("CLIENT", json.dumps(kept["client"]))
    client.cached.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert (client.ask("--shiny"), client.asked) == (False, 2)
    assert json.loads(client.cached.read_text()) == kept
