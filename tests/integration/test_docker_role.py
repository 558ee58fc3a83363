# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Role docker on a host that others have prepared: they lose nothing, and Docker never stays down.

The tests run in this order, each on what the one before has left; the last one ends where the first
began.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = "/etc/docker/daemon.json"
DROP_IN = "/etc/systemd/system/docker.service.d/listen.conf"
REMEMBERED = "/var/lib/gpufleet-nvidia/docker_daemon_config /run/gpufleet-nvidia"
RUNTIME = "/usr/local/bin/nvidia-container-runtime"
RESTART = "systemctl daemon-reload; systemctl restart docker; docker start training"
SYSTEMCTL = "/usr/local/sbin/systemctl"
PLAY = [{"hosts": "gpus", "gather_facts": False, "roles": ["gpufleet.nvidia.docker"]}]

# What geerlingguy.docker makes of docker_daemon_options (to_nice_json), after `nvidia-ctk runtime
# configure --runtime=docker --set-as-default` of NVIDIA's toolkit 1.20 was run on it.
THEIR_OPTIONS = {
    "default-runtime": "nvidia",
    "exec-opts": ["native.cgroupdriver=cgroupfs"],
    "live-restore": True,
    "log-driver": "json-file",
    "log-opts": {"max-file": "5", "max-size": "100m"},
    "node-generic-resources": ["SSD=1"],
    "runtimes": {"nvidia": {"args": [], "path": "nvidia-container-runtime"}},
    "storage-driver": "overlay2",
}
THEIRS = json.dumps(THEIR_OPTIONS, indent=4, sort_keys=True)

LISTEN = """[Service]
ExecStart=
ExecStart=/usr/sbin/dockerd -H fd:// -H tcp://127.0.0.1:2375 --data-root /var/lib/docker
"""

NO_PROXY = 'a%b"c,d'
AIR_GAPPED = (Path(__file__).resolve().parents[2] / "docs" / "air-gapped.md").read_text()
(PROXIES,) = map(
    yaml.safe_load, re.findall(r"```yaml\n(docker_proxies:.*?)```", AIR_GAPPED, re.DOTALL)
)
HTTPS_PROXY = PROXIES["docker_proxies"]["https-proxy"]
PROXIES["docker_proxies"]["no-proxy"] = NO_PROXY

# What Docker has in use.
FOLLOWED = "{{len .GenericResources}} {{.HTTPSProxy}} {{.NoProxy}}"

# What a play that is killed leaves: the file is written, and Docker not restarted.
KILLER = """#!/bin/sh
case $* in *restart*) kill -9 $PPID ;; *) exec /usr/bin/systemctl "$@" ;; esac
"""


@pytest.fixture(scope="module")
def role(tmp_path_factory, on_controller):
    """Run role docker with some variables and return what Ansible says."""
    play = tmp_path_factory.mktemp("play") / "docker.yml"
    play.write_text(json.dumps(PLAY))

    def run(ok: bool = True, **variables: Any) -> str:
        line = f"ansible-playbook -i inventory {play} -e {shlex.quote(json.dumps(variables))}"
        done = on_controller(line, ok=False, ANSIBLE_INJECT_FACT_VARS="false")
        assert (done.returncode == 0) is ok, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="module", autouse=True)
def _prepared(host, on_host) -> Iterator[None]:
    """The demo's host as other roles would have left it; in the end it has none of that."""
    on_host(f"rm -rf {FILE} {REMEMBERED}; ln -sf $(command -v runc) {RUNTIME}")
    put(host, DROP_IN, LISTEN)
    put(host, FILE, THEIRS)
    on_host(f"chmod 600 {FILE}; {RESTART}")
    yield
    on_host(f"rm -f {RUNTIME} {DROP_IN} {SYSTEMCTL}; {RESTART}")


def put(host: str, path: str, text: str) -> None:
    """Write a file on the host."""
    line = f"mkdir -p $(dirname {path}) && cat >{path}"
    command = ["docker", "exec", "-i", host, "sh", "-c", line]
    subprocess.run(command, input=text, text=True, check=True)


@pytest.fixture
def processes(on_host):
    """Return the process of dockerd and that of the container."""

    def read() -> tuple[str, str]:
        container = on_host("docker inspect --format '{{.State.Pid}}' training").stdout.strip()
        return on_host("pidof dockerd").stdout.strip(), container

    return read


def test_what_others_wrote_stays(role, on_host, processes, facts) -> None:
    """Ours is added once; Docker follows, and the container goes on running."""
    _dockerd, container = processes()
    wanted = {"docker_gpu_resource": "NVIDIA-GPU", **PROXIES}
    role(**wanted)
    gpus = [f"NVIDIA-GPU={device['uuid']}" for device in facts()["devices"]]
    there = json.loads(on_host(f"cat {FILE}").stdout)
    assert there == {**there, **THEIR_OPTIONS, "node-generic-resources": ["SSD=1", *gpus]}
    # The last two depend on the engine.
    assert there.keys() - THEIR_OPTIONS.keys() <= {"default-shm-size", "features", "proxies"}
    assert there["default-shm-size"] == "1G"
    dockerd, *rest = processes()
    assert rest == [container]
    followed = on_host(f"docker info --format '{FOLLOWED}'").stdout
    assert followed == f"{len(gpus) + 1} {HTTPS_PROXY} {NO_PROXY}\n"

    assert "changed=0 " in role(**wanted)
    assert processes() == (dockerd, container)


def test_a_docker_that_refuses_runs_on_as_before(role, on_host, processes) -> None:
    """With the old file; its reason, which nothing but a start could tell, is the role's."""
    there, (_dockerd, container) = on_host(f"cat {FILE}").stdout, processes()
    said = role(ok=False, docker_daemon_config={"exec-root": "/proc/none"}, **PROXIES)
    message = json.loads(re.search(r"FAILED! => (\{.*\})", said)[1])["msg"]
    assert message.startswith(f"Docker refuses the new {FILE}: mkdir /proc/none: no such file")
    assert "\n" not in message
    assert on_host(f"cat {FILE}").stdout == there
    assert processes()[1] == container
    assert on_host("docker version --format '{{.Server.Version}}'").stdout


def test_a_module_killed_before_the_restart_is_made_good(
    host, role, on_host, on_controller, processes
) -> None:
    """The file is right already; Docker is what has not followed."""
    wanted = {"config": {"default-shm-size": "2G"}}
    running = processes()
    put(host, SYSTEMCTL, KILLER)
    on_host(f"chmod 755 {SYSTEMCTL}")
    arguments = shlex.quote(json.dumps({**wanted, "follow": True}))
    on_controller(f"ansible -i inventory gpus -m docker_daemon_config -a {arguments}", ok=False)
    on_host(f"rm {SYSTEMCTL}")
    assert '"2G"' in on_host(f"cat {FILE}").stdout
    assert processes() == running

    assert "changed=1 " in role(docker_daemon_config=wanted["config"], **PROXIES)
    dockerd, container = processes()
    assert dockerd != running[0]
    assert container == running[1]
    size = on_host("docker run --rm gpufleet/cuda:8.0 stat -fc '%b %S' /dev/shm").stdout
    blocks, block = size.split()
    assert int(blocks) * int(block) == 2 << 30


def test_it_is_given_back_to_the_byte(role, on_host, processes) -> None:
    """With its mode; Docker follows that too."""
    _dockerd, container = processes()
    role(docker_state="absent")
    assert on_host(f"cat {FILE}").stdout == THEIRS
    assert on_host(f"stat -c '%a %U' {FILE}").stdout == "600 root\n"
    assert on_host(f"docker info --format '{FOLLOWED}'").stdout == "1  \n"
    assert processes()[1] == container


def test_the_user_is_told_what_a_restart_stops(role, on_host) -> None:
    """On a host without live-restore, as the demo made it."""
    on_host(f"rm -f {FILE} {DROP_IN} {RUNTIME}; {RESTART}")
    said = " ".join(role().split())
    assert "the restart of Docker stops 1 running containers" in said


def test_no_mirror_is_asked_where_no_package_is_wanted(role, on_host) -> None:
    """The lists are old and no source answers: Docker was in the image of such a host."""
    stamps = "/var/lib/apt/lists /var/lib/apt/periodic/update-success-stamp"
    nowhere = "/etc/apt/apt.conf.d/99nowhere"
    on_host(f"touch -cd '3 days ago' {stamps}")
    on_host(f"echo 'Acquire::http::Proxy \"http://127.0.0.1:1\";' >{nowhere}")
    try:
        assert "changed=0 " in role(docker_packages=[])
    finally:
        on_host(f"rm {nowhere}; touch -c {stamps}")
