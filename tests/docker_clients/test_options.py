# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of docker's options beside what real clients know."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cli import (
    client_options,
    docker_options,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.docker import (
    Docker,
)
from ansible_collections.gpufleet.nvidia.tests.docker_clients.conftest import CLIENTS, Client

HIDDEN = ("--net-alias", "--dns-opt")


def test_there_is_a_client() -> None:
    """Without one nothing here is tested."""
    assert CLIENTS


@pytest.mark.parametrize("command", ["", "run", "create"])
def test_the_table_has_all_that_docker_shows(client: Client, command: str) -> None:
    """Each option, its letter and its kind, as the client's help tells them."""
    docker = Docker((str(client.path),))
    told = client_options.ask(docker, {}, command, "--help")
    assert told is not None
    # The help does not show --help itself in some versions.
    assert len(told) > (15 if not command else 90)
    table = docker_options.table(command)
    assert {written: table.get(written) for written in told} == told


@pytest.mark.parametrize("option", HIDDEN)
def test_hidden_options(client: Client, option: str) -> None:
    """They are not in the help, and docker takes the next word for their value."""
    assert docker_options.table("run")[option] == (option[2:], docker_options.VALUE)
    client.run("create", "--network", "n", option, "x", "img")
    assert [body["Image"] for body in client.engine.creations()] == ["img"]
