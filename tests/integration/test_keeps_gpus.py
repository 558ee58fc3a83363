# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running containers keep GPUs that are part of their configuration, and lose those of a hook.

NVIDIA's hook opens the device cgroup of a container that runc has made: neither Docker nor systemd
hears of it, and what they apply again is without it. What stands in for the hook here does the
same, see tests/hosts/nvidia_toolkit.py.

The nested hosts show as much as their control groups have. On Debian 12 it is cgroup v1 with all
controllers: `docker update` and `systemctl daemon-reload` do what they do elsewhere. On Debian 13
it is cgroup v2 without controllers: `docker update` has nothing to update there, so systemd is told
in another way to apply the properties of the scope again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from toolkit_hosts import ON_HOST, Host

pytestmark = pytest.mark.suites("toolkit")

IMAGE = "gpufleet/cuda:8.0"
DENIED = "Operation not permitted"
NO_DRIVER = "No such device or address"
"""What the kernel says of a simulated node that may be opened."""
Makes = Callable[[Host, tuple[str, ...]], None]


@pytest.fixture
def made(hosts: tuple[Host, ...]) -> Iterator[Makes]:
    """Make a container ``keeps-KIND`` by each kind; they are removed in the end."""

    def make(host: Host, kinds: tuple[str, ...]) -> None:
        tasks = [
            {
                "gpufleet.nvidia.nvidia_container": {
                    "name": f"keeps-{kind}",
                    "image": IMAGE,
                    "command": "sleep infinity",
                    "gpus": "all",
                    "stop_timeout": 0,
                    "injection": kind,
                },
                "register": kind,
            }
            for kind in kinds
        ]
        results = host.play("keeps", tasks)
        assert not [one["msg"] for one in results.values() if one.get("failed")]

    yield make
    for host in hosts:
        host.run("docker ps --all --quiet --filter name=^keeps- | xargs -r docker rm --force")


@pytest.fixture
def systemd_cgroups(hosts: tuple[Host, ...]) -> Iterator[Host]:
    """The host of cgroup v1, whose Docker leaves the cgroups to systemd for once."""
    host, _other = hosts
    file = "/etc/docker/daemon.json"
    before = host.run(f"cat {file}").stdout
    host.put(file, json.dumps({**json.loads(before), "exec-opts": ["native.cgroupdriver=systemd"]}))
    host.run("systemctl restart docker")
    yield host
    host.put(file, before)
    host.run("systemctl restart docker")


def seen(host: Host, kind: str) -> tuple[int, str]:
    """Return how many GPUs a container lists, and what it is told when it opens one's node."""
    line = f"docker exec keeps-{kind} sh -c '{{}}' 2>&1"
    listed = host.run(line.format("nvidia-smi -L"), ok=False).stdout
    opened = host.run(line.format("cat /dev/nvidia0"), ok=False).stdout
    return listed.count("UUID: "), opened.strip().rpartition(": ")[2]


def rules(host: Host, kind: str) -> list[str]:
    """Return what a container's device cgroup allows, of cgroup v1."""
    pid = host.run(f"docker inspect --format '{{{{.State.Pid}}}}' keeps-{kind}").stdout.strip()
    place = host.run(f"sed -n 's/.*:devices://p' /proc/{pid}/cgroup").stdout.strip()
    return sorted(host.run(f"cat /sys/fs/cgroup/devices{place}/devices.list").stdout.splitlines())


ALL, LOST = (5, NO_DRIVER), (0, DENIED)


def looks(host: Host, kinds: tuple[str, ...]) -> dict[str, Any]:
    return {kind: seen(host, kind) for kind in kinds}


def test_where_docker_has_the_cgroups_nobody_takes_anything(
    hosts: tuple[Host, ...], made: Makes
) -> None:
    """Cgroup driver cgroupfs: no list that systemd could apply again."""
    host, kinds = hosts[0], ("driver_volume", "device_request")
    made(host, kinds)
    before = {kind: rules(host, kind) for kind in kinds}
    host.run("docker update --cpus 1 keeps-driver_volume keeps-device_request")
    host.run("systemctl daemon-reload")
    assert looks(host, kinds) == dict.fromkeys(kinds, ALL)
    assert {kind: rules(host, kind) for kind in kinds} == before


def test_where_systemd_has_them_the_hook_s_gpus_are_lost(
    systemd_cgroups: Host, made: Makes
) -> None:
    """By an update or a reload, which leave the device nodes of the container's configuration."""
    host, kinds = systemd_cgroups, ("driver_volume", "device_request", "runtime")
    made(host, kinds)
    assert looks(host, kinds) == dict.fromkeys(kinds, ALL)
    before = rules(host, "driver_volume")
    names = " ".join(f"keeps-{kind}" for kind in kinds)
    host.run(f"docker update --cpus 1 {names}")
    expected = {"driver_volume": ALL, "device_request": LOST, "runtime": LOST}
    assert looks(host, kinds) == expected
    host.run(f"docker restart --time 0 {names}")
    assert looks(host, kinds) == dict.fromkeys(kinds, ALL)
    host.run("systemctl daemon-reload")
    assert looks(host, kinds) == expected
    assert rules(host, "driver_volume") == before


def test_nodes_that_systemd_is_not_told_of_are_lost_too(systemd_cgroups: Host, made: Makes) -> None:
    """By runc of Debian 12, without a link in /dev/char; the unit of the plugin makes these."""
    host, kinds = systemd_cgroups, ("driver_volume",)
    host.run("rm -r /dev/char")
    made(host, kinds)
    assert looks(host, kinds) == {"driver_volume": ALL}
    host.run("systemctl daemon-reload; docker update --cpus 1 keeps-driver_volume")
    assert looks(host, kinds) == {"driver_volume": LOST}
    host.run("systemctl restart nvidia-docker-plugin; docker restart --time 0 keeps-driver_volume")
    host.run("systemctl daemon-reload; docker update --cpus 2 keeps-driver_volume")
    assert looks(host, kinds) == {"driver_volume": ALL}


def test_nodes_that_come_later_are_linked_too(hosts: tuple[Host, ...]) -> None:
    """Those of MIG devices, which are made while the plugin runs."""
    host, _other = hosts
    unlinked = (
        "for node in /dev/nvidia-caps/*; do "
        'test -e /dev/char/$((0x$(stat -c %t $node))):$((0x$(stat -c %T $node))) || echo "$node"; '
        "done"
    )
    try:
        host.run(f"simulated-gpu load {ON_HOST}/mig.json")
        assert int(host.run("ls /dev/nvidia-caps | wc -l").stdout) > 2
        host.run(f"timeout 20 sh -c 'while test \"$({unlinked})\"; do sleep 0.2; done'")
    finally:
        host.run(f"simulated-gpu load {ON_HOST}/usual.json")


def test_on_cgroup_v2_too(hosts: tuple[Host, ...], made: Makes) -> None:
    """CDI devices are part of the container's configuration as device nodes are."""
    host, kinds = hosts[1], ("driver_volume", "cdi", "device_request", "runtime")
    made(host, kinds)
    assert looks(host, kinds) == dict.fromkeys(kinds, ALL)
    for kind in kinds:
        scope = f"docker-$(docker inspect --format '{{{{.Id}}}}' keeps-{kind}).scope"
        host.run(f"systemctl set-property --runtime {scope} TasksMax=1000")
    assert looks(host, kinds) == {
        "driver_volume": ALL,
        "cdi": ALL,
        "device_request": LOST,
        "runtime": LOST,
    }
