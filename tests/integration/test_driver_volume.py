# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The driver volume as Docker, the plugin and the volume maker see it on a host."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.suites("trixie")

IMAGE = "gpufleet/cuda:8.0"
STORE = "/var/lib/nvidia-docker/volumes/nvidia_driver"
PLUGIN = "$(systemctl show --property=MainPID --value nvidia-docker-plugin.service)"


@pytest.fixture
def container(on_host):
    """Make a container that mounts the driver volume under the given name; removed in the end."""
    names = []

    def create(name: str, volume: str) -> None:
        on_host(f"docker rm --force {name}")
        names.append(name)
        options = (
            f"$(curl -sf localhost:3476/docker/cli | sed 's/nvidia_driver_[0-9.]*:/{volume}:/')"
        )
        on_host(f"docker create --name {name} {options} {IMAGE} sleep infinity")

    yield create
    for name in names:
        on_host(f"docker rm --force {name}")


@pytest.fixture
def version(facts) -> str:
    return facts()["driver"]["version"]


def test_a_volume_made_through_the_plugin_is_hard_links(on_host, container, version) -> None:
    """The sandbox of the volume maker must not put driver files and store on two mounts."""
    container("stable", "nvidia_driver")
    on_host("docker stop --time 1 training")
    on_host(f"rm -rf {STORE}/{version}")
    on_host("docker start stable training")
    counts = on_host(f"find {STORE}/{version} -type f ! -name manifest.json -printf '%n\\n'")
    assert counts.stdout.split()
    assert min(map(int, counts.stdout.split())) >= 2
    manifest = json.loads(on_host(f"cat {STORE}/{version}/manifest.json").stdout)
    assert {record["link"] for record in manifest["records"]} <= {"hard", None}


def test_the_plugin_has_no_privilege(on_host) -> None:
    """It parses requests of strangers: no capability, and no write access, were it root."""
    status = on_host(f"cat /proc/{PLUGIN}/status").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[name], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    user = on_host("id -u nvidia-docker").stdout.strip()
    assert fields["Uid"].split() == [user] * 4
    for path, who in ((STORE, user), (STORE, "0"), ("/usr/local", "0"), ("/etc", "0")):
        line = f"nsenter --target {PLUGIN} --mount --setuid {who} touch {path}/x"
        assert "Read-only file system" in on_host(line, ok=False).stderr
    assert (
        on_host(f"readlink /proc/{PLUGIN}/ns/net").stdout
        != on_host("readlink /proc/1/ns/net").stdout
    )


def test_systemd_finds_the_plugin_safe(on_host) -> None:
    """2.0 at most."""
    text = on_host("systemd-analyze security --no-pager nvidia-docker-plugin.service").stdout
    score = text.rsplit("Overall exposure level for nvidia-docker-plugin.service: ", 1)[1]
    assert float(score.split()[0]) <= 2.0


def test_others_may_not_ask_the_volume_maker(on_host) -> None:
    """Whoever may could remove a volume that containers use."""
    path = "/run/nvidia-docker/volume-maker.sock"
    ask = f"import socket; socket.socket(socket.AF_UNIX).connect('{path}')"
    for user, group, status in (("nobody", "nogroup", 1), ("nvidia-docker", "nvidia-docker", 0)):
        line = f'setpriv --reuid={user} --regid={group} --clear-groups python3 -c "{ask}"'
        assert on_host(line, ok=False).returncode == status


def test_a_damaged_volume_is_mended_when_it_is_mounted(on_host, container, version) -> None:
    """v1 took whatever was there."""
    container("stable", "nvidia_driver")
    on_host(f"rm {STORE}/{version}/lib64/libnvidia-ml.so.1; touch {STORE}/{version}/bin/mine")
    on_host("docker start stable")
    assert "UUID" in on_host("docker exec stable nvidia-smi -L").stdout
    assert on_host(f"ls {STORE}/{version}/bin/mine", ok=False).returncode != 0


def test_what_can_not_be_mended_is_refused_with_the_reason(on_host, container, version) -> None:
    """Docker shows it; no container starts on half a volume."""
    container("stable", "nvidia_driver")
    on_host(f"chmod go+w {STORE} && rm {STORE}/{version}/lib64/libnvidia-ml.so.1")
    try:
        done = on_host("docker start stable", ok=False)
        assert done.returncode != 0
        assert f"{STORE} can be written by others than root" in done.stderr
        assert f"chmod go-w {STORE}" in done.stderr
    finally:
        on_host(f"chmod go-w {STORE} && docker start stable")


def test_verified_and_pruned(on_host, on_controller, container, version) -> None:
    """Old volumes go, except the one that a stopped container names."""
    line = "ansible -i inventory gpus -m nvidia_driver_volume -a state={}"
    on_controller(line.format("pruned"))
    for old in ("300.1", "300.2"):
        on_host(f"cp -al {STORE}/{version} {STORE}/{old}")
    container("old", "nvidia_driver_300.1")
    verified = on_controller(line.format("verified")).stdout
    assert '"changed": false' in verified
    done = on_controller(line.format("pruned") + " --diff").stdout
    assert '"removed": [\n        "nvidia_driver_300.2"\n    ]' in done
    assert "-300.2/lib64/libcuda.so.1 -> " in done
    assert '"nvidia_driver_300.1": [\n            "container old"\n' in done
    on_host("docker rm old")
    assert '"nvidia_driver_300.1"' in on_controller(line.format("pruned")).stdout
    assert on_host(f"ls {STORE}").stdout.split() == [version]


def test_a_container_survives_a_driver_upgrade(on_host, machine, container, facts) -> None:
    """By the stable name: no Ansible, no restart of the plugin. By version: refused, and why."""
    before = facts()["driver"]["version"]
    plugin = on_host(f"echo {PLUGIN}").stdout
    container("stable", "nvidia_driver")
    container("frozen", f"nvidia_driver_{before}")
    on_host("docker start stable frozen")
    machine("newdriver")
    after = facts()["driver"]["version"]
    assert after != before
    for name in ("stable", "training"):
        on_host(f"docker restart --time 1 {name}")
        assert "UUID" in on_host(f"docker exec {name} nvidia-smi -L").stdout
        inside = on_host(f"docker exec {name} ls /usr/local/nvidia/lib64").stdout
        assert f"libnvidia-ml.so.{after}" in inside
    refused = on_host("docker restart --time 1 frozen", ok=False)
    assert f"volume nvidia_driver_{before} does not fit the loaded driver {after}" in refused.stderr
    assert on_host(f"echo {PLUGIN}").stdout == plugin
    listed = on_host("docker volume ls --quiet --filter driver=nvidia-docker").stdout.split()
    assert listed == ["nvidia_driver", f"nvidia_driver_{before}", f"nvidia_driver_{after}"]


def test_site_restarts_a_container_on_old_files_and_does_not_recreate_it(
    on_host, on_controller, machine
) -> None:
    """Once: the next run changes nothing."""
    site = "ansible-playbook -i inventory gpufleet.nvidia.site"
    identity = "docker inspect --format '{{.Id}} {{.State.StartedAt}}' training"
    machine("zoo5")
    on_controller(site)
    before = on_host(identity).stdout.split()
    machine("newdriver")
    on_controller(site)
    after = on_host(identity).stdout.split()
    assert (after[0], after[1] != before[1]) == (before[0], True)
    assert "UUID" in on_host("docker exec training nvidia-smi -L").stdout
    assert "changed=0" in on_controller(site).stdout
    assert on_host(identity).stdout.split() == after
