# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Docker finds the plugin whatever stops and starts, and never waits its 15 s for it."""

from __future__ import annotations

import time

import pytest

CONTAINER = "training"
PLUGIN = "nvidia-docker-plugin.service"


def seconds(on_host, line: str) -> float:
    """How long a line takes that has to succeed."""
    started = time.monotonic()
    on_host(line)
    return time.monotonic() - started


def wait_for(on_host, line: str, limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while on_host(line, ok=False).returncode != 0:
        assert time.monotonic() < deadline, line
        time.sleep(0.5)


GONE = {
    "killed": f"systemctl kill --signal=KILL {PLUGIN}",
    "stopped": f"systemctl stop {PLUGIN}",
    "restarting": f"systemctl restart --no-block {PLUGIN}",
}


@pytest.mark.parametrize("how", GONE)
def test_docker_does_not_wait_for_a_plugin_that_is_away(how, on_host) -> None:
    """Its sockets stay: the request waits until the plugin is back, a second or so."""
    on_host(GONE[how])
    assert seconds(on_host, "docker volume ls") < 8
    assert on_host("curl -sf localhost:3476/docker/cli").stdout.startswith("--volume-driver")
    wait_for(on_host, f"systemctl is-active --quiet {PLUGIN}")


def test_sockets_go_with_their_units(on_host) -> None:
    """As by nvidia_docker_state: absent. Docker waits for each socket that it finds."""
    on_host("systemctl stop nvidia-docker-plugin.socket nvidia-docker-volume-maker.socket")
    try:
        assert on_host("ls /run/docker/plugins").stdout == ""
        assert "volume-maker.sock" not in on_host("ls /run/nvidia-docker").stdout
    finally:
        on_host(f"systemctl start {PLUGIN}")


def test_containers_come_back_when_docker_restarts(on_host) -> None:
    """Those with a restart policy, with their volume; no Ansible."""
    on_host(f"docker update --restart unless-stopped {CONTAINER}")
    on_host("systemctl restart docker")
    wait_for(on_host, f"docker exec {CONTAINER} nvidia-smi -L")


def test_the_plugin_is_there_before_docker(on_host) -> None:
    """systemd's own order of the units."""
    after = on_host("systemctl show --property=After --value docker.service").stdout.split()
    assert PLUGIN in after
    enabled = on_host(f"systemctl is-enabled {PLUGIN} nvidia-docker-plugin.socket").stdout.split()
    assert enabled == ["enabled", "enabled"]
