# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docker_daemon_config and a real Docker: followed, refused, taken back, killed on the way."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import pytest

FILE = "/etc/docker/daemon.json"
STATE = "/var/lib/gpufleet-nvidia /run/gpufleet-nvidia"
DROP_IN = "/run/systemd/system/docker.service.d/test.conf"
KEPT = {"live-restore": True}

Result = dict[str, Any]


def _line(options: Result, *flags: str) -> str:
    arguments = shlex.quote(json.dumps(options))
    return f"ansible -i inventory gpus -m docker_daemon_config -a {arguments} {' '.join(flags)}"


@pytest.fixture
def module(on_controller) -> Callable[..., Result]:
    """Run the module ad hoc and return its result."""

    def run(*flags: str, **options: Any) -> Result:
        done = on_controller(_line({"follow": True, **options}, *flags), ok=False)
        assert "Traceback" not in done.stdout + done.stderr
        result = json.loads(done.stdout.split("=>", 1)[1])
        return {**result, "failed": done.returncode != 0, "said": done.stdout + done.stderr}

    return run


@pytest.fixture(scope="module", autouse=True)
def _as_it_was(on_host) -> Iterator[None]:
    """The host's file, without what earlier tests or roles remember of it."""
    away = "docker rm -f daemon-test; mkdir -p /root/kept; "
    away += f"cp -a --parents {FILE} {STATE} /root/kept 2>/dev/null"
    on_host(f"{away}; rm -rf {STATE} {FILE}; systemctl restart docker", ok=False)
    yield
    on_host(f"docker rm -f daemon-test; rm -rf {STATE} {FILE}; cp -a /root/kept/. /", ok=False)
    on_host("rm -rf /root/kept; systemctl restart docker; docker start training", ok=False)


@pytest.fixture
def container(on_host) -> Iterator[Callable[[], str]]:
    """A running container; the function tells the process of it and of dockerd."""
    on_host("docker run -d --init --name daemon-test gpufleet/cuda:8.0 sleep infinity")

    def process() -> str:
        told = on_host("docker inspect --format '{{.State.Pid}}' daemon-test")
        return str(told.stdout.strip())

    yield process
    on_host("docker rm -f daemon-test")


def _dockerd(on_host) -> str:
    return str(on_host("systemctl show --property=MainPID --value docker").stdout.strip())


def _file(on_host) -> str:
    return str(on_host(f"cat {FILE}", ok=False).stdout)


def test_a_reload_and_back(module, on_host) -> None:
    """Docker is the same process, has the label, and then has not the file."""
    before = _dockerd(on_host)
    done = module(config={"labels": ["gpu=yes"]})
    assert (done["changed_keys"], done["followed"]) == ({"labels": "reload"}, True)
    assert on_host("docker info --format '{{.Labels}}'").stdout == "[gpu=yes]\n"
    assert _dockerd(on_host) == before
    # Docker keeps a label that its file no longer has until it is started anew.
    back = module(config={"labels": ["gpu=no"]}, state="absent")
    assert (back["restart"], back["followed"]) == ("restart", True)
    assert on_host(f"test -e {FILE}", ok=False).returncode == 1
    assert on_host("docker info --format '{{.Labels}}'").stdout == "[]\n"


def test_containers_run_on_where_the_same_change_switches_live_restore_on(
    module, on_host, container
) -> None:
    """Without follow the user is told that they would not; with it Docker is reloaded first."""
    config = {**KEPT, "log-opts": {"max-size": "10m"}}
    before = container()
    said = module("--check", config=config, follow=False)
    assert said["stops_containers"] >= 1
    told = (
        r"the restart of Docker stops \d+ running containers: live-restore is just being switched"
    )
    assert re.search(told, " ".join(said["said"].split()))
    done = module(config=config)
    assert (done["stops_containers"], done["followed"], done["restart"]) == (0, True, "restart")
    assert container() == before
    assert on_host("docker info --format '{{.LiveRestoreEnabled}}'").stdout == "true\n"


def test_a_docker_that_does_not_start_gets_its_file_back(module, on_host, container) -> None:
    """What only a start finds out: the reason is told, Docker runs, and the containers ran on."""
    module(config=KEPT)
    before, text = container(), _file(on_host)
    result = module(config={"storage-driver": "nope", "debug": True})
    assert result["failed"]
    assert re.search(
        rf"Docker refuses the new {FILE}: .*driver.*; the old one is back", result["msg"]
    )
    assert result["msg"].endswith("and Docker was started with it.")
    assert _file(on_host) == text
    assert container() == before


def test_an_old_file_that_was_never_followed_is_no_way_back(module, on_host) -> None:
    """Then it is the one with which Docker has run."""
    text = _file(on_host)
    assert module(config={"storage-driver": "nope"}, follow=False)["restart"] == "restart"
    result = module(config={"debug": True})
    assert result["failed"] and result["msg"].endswith("and Docker was started with it.")
    assert _file(on_host) == text


def test_a_reload_that_dockerd_refuses_is_taken_back(module, on_host) -> None:
    """systemd can't tell, and dockerd only logs it."""
    before, text = _dockerd(on_host), _file(on_host)
    result = module(config={"registry-mirrors": ["ftp://mirror.example"]})
    assert result["failed"], result
    assert re.search(r"refuses the new .*ftp.*and Docker goes on with it", result["msg"])
    assert (_dockerd(on_host), _file(on_host)) == (before, text)


def test_what_was_written_and_not_followed_is_made_good(module, on_host) -> None:
    """As after a play that was killed, or whose handlers never ran."""
    module(config=KEPT)
    before = _dockerd(on_host)
    wrote = module(config={"mtu": 1400}, follow=False)
    assert (wrote["changed"], wrote["restart"], wrote["followed"]) == (True, "restart", False)
    assert _dockerd(on_host) == before
    done = module(config={"mtu": 1400})
    assert (done["changed"], done["followed"]) == (True, True)
    assert done["changed_keys"] == {"mtu": "restart"}
    assert _dockerd(on_host) != before
    assert module(config={"mtu": 1400}, follow=False)["restart"] == "none"
    module(config={"mtu": 1400}, state="absent")


def test_a_reload_by_somebody_else_is_noticed(module, on_host) -> None:
    assert module(config={"labels": ["gpu=yes"]}, follow=False)["restart"] == "reload"
    on_host("systemctl reload docker; sleep 1")
    assert module(config={"labels": ["gpu=yes"]}, follow=False)["restart"] == "none"


def test_killed_while_docker_restarts(module, on_host, on_controller, container) -> None:
    """The next run starts Docker, though the file is right and dockerd is gone."""
    module(config=KEPT)
    before = container()
    on_host(
        f"mkdir -p $(dirname {DROP_IN}); systemctl daemon-reload; "
        f"printf '[Service]\\nExecStartPre=/bin/sleep 600\\nTimeoutStartSec=900\\n' >{DROP_IN}; "
        "systemctl daemon-reload"
    )
    restarting = "pgrep -xf 'systemctl restart docker.service'"
    killer = (
        f"for n in $(seq 600); do p=$({restarting}) && break; sleep 0.1; done; "
        "kill -9 $(ps -o ppid= -p $p); kill -9 $p; systemctl is-active docker; "
        f"rm {DROP_IN}; systemctl daemon-reload; systemctl stop docker.service docker.socket"
    )
    on_host(f"systemd-run -q --unit=killer bash -c {shlex.quote(killer)}")
    result = module(config={"mtu": 1400})
    assert result["failed"]
    on_host("while systemctl is-active -q killer; do sleep 0.2; done")
    assert json.loads(_file(on_host))["mtu"] == 1400
    done = module(config={"mtu": 1400})
    assert (done["changed"], done["followed"], done["restart"]) == (True, True, "restart")
    assert on_host("systemctl is-active docker").stdout == "active\n"
    assert container() == before
    module(config={"mtu": 1400}, state="absent")


def test_a_drop_in_with_the_same_flag_is_named(module, on_host) -> None:
    text = "[Service]\\nEnvironment=DOCKER_OPTS=--mtu=1400\\n"
    on_host(f"mkdir -p $(dirname {DROP_IN}); printf '{text}' >{DROP_IN}")
    try:
        result = module(config={"mtu": 1450})
    finally:
        on_host(f"rm {DROP_IN}")
    assert result["failed"] and DROP_IN in result["msg"], result["msg"]


def test_live_restore_on_a_node_of_a_swarm(module, on_host) -> None:
    module(config=KEPT, state="absent")
    on_host("docker swarm init --advertise-addr 127.0.0.1")
    try:
        before = _file(on_host)
        result = module(config=KEPT)
        assert _file(on_host) == before
    finally:
        on_host("docker swarm leave --force")
    assert result["failed"] and "node of a Swarm" in result["msg"]
