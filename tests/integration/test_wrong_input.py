# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wrong input and broken hosts, met through Ansible: one sentence each, and nothing changes."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

IMAGE = "gpufleet/cuda:8.0"
CONTAINER = f"name=training image={IMAGE} command='sleep infinity' init=true"


@contextmanager
def broken(on_host, how: str, mend: str) -> Iterator[None]:
    """The host with something wrong, mended in the end."""
    on_host(how)
    try:
        yield
    finally:
        on_host(mend)


@pytest.fixture
def refused(on_controller):
    """Run a module ad hoc, expect it to fail, and return its message."""

    def run(module: str, arguments: str) -> str:
        line = f"ansible -i inventory gpus -m {module} -a {shlex.quote(arguments)}"
        done = on_controller(line, ok=False)
        assert done.returncode == 2, done.stdout
        assert "Traceback" not in done.stdout + done.stderr
        message = json.loads(done.stdout.split("=>", 1)[1])["msg"]
        assert "\n" not in message.strip()
        return message

    return run


@pytest.fixture(autouse=True)
def _the_container_stays(on_host) -> Iterator[None]:
    """Whatever is refused, the container that runs is not touched."""
    before = on_host("docker inspect --format '{{.Id}}' training").stdout
    yield
    assert on_host("docker inspect --format '{{.Id}}' training").stdout == before


def test_an_unknown_gpu(refused) -> None:
    """The sentence names it and what the host has."""
    message = refused("nvidia_container", f"{CONTAINER} gpus=99,0")
    assert message.startswith(
        "invalid device: 99: it names no device of this host; this host has 0"
    )


def test_more_gpus_than_there_are(refused) -> None:
    """A number alone is not an index. What the container has is free for it."""
    message = refused("nvidia_container", f"{CONTAINER} gpus=99")
    assert message == "99 GPUs asked for, 5 free: this host has 5"


def test_an_image_that_needs_a_newer_cuda(refused, newer_image) -> None:
    """In v1's words."""
    message = refused("nvidia_container", f"name=training image={newer_image}")
    assert re.fullmatch(r"unsupported CUDA version: driver \d+\.\d+ < image 99\.0", message)


def test_docker_is_down(refused, on_host) -> None:
    """How to start it is said."""
    start = "systemctl start docker.socket docker; docker start training"
    with broken(on_host, "systemctl stop docker.socket docker 2>/dev/null", start):
        message = refused("nvidia_container", CONTAINER)
    assert "no Docker engine answers at unix:///var/run/docker.sock" in message
    assert "systemctl start docker" in message


def test_requests_is_missing_on_the_host(refused, on_host) -> None:
    """Which package and which role bring it."""
    library = "/usr/lib/python3/dist-packages/requests"
    with broken(on_host, f"mv {library} {library}.away", f"mv {library}.away {library}"):
        message = refused("nvidia_container", CONTAINER)
    assert "has no module requests" in message
    assert "python3-requests" in message


def test_the_plugin_is_down(refused, on_host) -> None:
    """The unit and the role are named."""
    units = "nvidia-docker-plugin.socket nvidia-docker-plugin.service"
    with broken(on_host, f"systemctl stop {units}", f"systemctl start {units}"):
        message = refused("nvidia_container", CONTAINER)
    assert "start nvidia-docker-plugin.socket" in message


def test_the_port_is_taken(on_host, on_controller) -> None:
    """The role names the port and who has it."""
    take = (
        "systemctl stop nvidia-docker-plugin.socket; systemd-run -q --unit=squatter "
        "python3 -m http.server 3476 --bind 127.0.0.1; sleep 1"
    )
    give = "systemctl stop squatter; systemctl start nvidia-docker-plugin.service"
    with broken(on_host, take, give):
        done = on_controller("ansible-playbook -i inventory gpufleet.nvidia.site", ok=False)
    assert done.returncode == 2
    message = json.loads(re.search(r"FAILED! => (\{.*\})", done.stdout)[1])["msg"]
    assert "127.0.0.1:3476" in message
    assert "python3" in message
    assert len(message.splitlines()) == 1


MALFORMED = [
    ('{"debug": true,}', "/etc/docker/daemon.json:1:"),
    ('{"debug": true} {"debug": false}', "/etc/docker/daemon.json:1:"),
    ("[]", "/etc/docker/daemon.json"),
]


@pytest.mark.parametrize(("text", "sentence"), MALFORMED)
def test_a_malformed_daemon_json_is_left_as_it_is(text, sentence, refused, on_host) -> None:
    """Line and column are named."""
    path = "/etc/docker/daemon.json"
    with broken(on_host, f"cp -p {path} {path}.kept", f"mv {path}.kept {path}"):
        on_host(f"printf %s '{text}' >{path}")
        message = refused("docker_daemon_config", '{"config": {"debug": true}}')
        assert on_host(f"cat {path}").stdout == text
    assert sentence in message


def test_check_mode_changes_nothing(on_host, on_controller) -> None:
    """Another GPU set is announced, with the reason, and not made."""
    one = {"name": "training", "image": IMAGE, "gpus": [0], "init": True}
    extra = json.dumps({"gpufleet_containers": [one]})
    line = f"ansible-playbook -i inventory gpufleet.nvidia.site --check --diff -e '{extra}'"
    done = on_controller(line)
    assert "changed=1" in done.stdout
    assert re.search(r"GPU-\S+ removed", done.stdout)
