# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The REST API at another address: sockets are replaced, and asked from this machine."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator

import pytest

SITE = "ansible-playbook -i inventory gpufleet.nvidia.site"


@pytest.fixture
def address(host, on_controller) -> Iterator[str]:
    """The demo host's address, at which the REST API listens during the test."""
    variables = {
        "nvidia_docker_listen": ":3476",
        "nvidia_docker_allowed_hosts": ["gpu7.example.org"],
    }
    on_controller(f"{SITE} -e '{json.dumps(variables)}'")
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    command = ["docker", "inspect", "--format", template, host]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    yield found.stdout.strip()
    on_controller(SITE)


def ask(address: str, name: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, 3476, timeout=10)
    connection.request("GET", "/docker/cli", headers={"Host": name})
    response = connection.getresponse()
    return response.status, response.read().decode()


def test_another_address_and_its_names(address, host, on_host, on_controller) -> None:
    """A second run changes nothing; afterwards the loopback address alone is served again."""
    for name in (address, f"{address}:3476", "gpu7.example.org", host):
        status, text = ask(address, name)
        assert (status, text.split()[0]) == (200, "--volume-driver=nvidia-docker")
    status, text = ask(address, "evil.example.org")
    assert status == 403
    assert "evil.example.org" in text
    assert on_host("curl -sf localhost:3476/docker/cli").stdout
    assert on_host("docker volume ls --quiet").stdout


def test_the_loopback_address_is_all_there_is_by_default(on_host) -> None:
    """What the test before has set is gone."""
    listening = on_host("ss --listening --tcp --numeric --no-header 'sport = :3476'").stdout
    assert listening.split()[3] == "127.0.0.1:3476"
    assert len(listening.splitlines()) == 1
