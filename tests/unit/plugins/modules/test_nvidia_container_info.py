# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is returned, and what is refused. The docker client here is a script."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DockerError,
    InvalidInput,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    Driver,
    Host,
)
from ansible_collections.gpufleet.nvidia.plugins.modules import nvidia_container_info as module

SOCKET = "unix:///run/docker.sock"
LISTED = (
    '{"id":"a1","name":"trainer","status":"exited","labels":{"io.gpufleet.nvidia.gpus":"GPU-a",'
    '"io.gpufleet.nvidia.injection":"0","io.gpufleet.nvidia.sharing":"exclusive"}}'
)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The docker client."""
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\necho '{LISTED}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return program


@pytest.mark.parametrize(("mounted", "stale"), [("570.1", True), ("550.1", False), (None, False)])
def test_the_loaded_driver_is_the_kernels(
    client: Path, monkeypatch: pytest.MonkeyPatch, mounted: str | None, stale: bool
) -> None:
    """NVML of an upgraded package does not work with it, a container that was started since
    neither."""
    upgraded = Driver(version=None, cuda_version=None, nvml_version=None, module_version="550.1")
    machine = Host(upgraded, (), (), (), (), "version mismatch")
    monkeypatch.setattr(module.discovery, "discover", lambda: machine)
    monkeypatch.setattr(module.usage.volume_users, "mounted_version", lambda pid: mounted)
    listed = LISTED.replace("exited", "running")
    client.write_text(f"#!/bin/sh\ncase $3 in ps) echo '{listed}' ;; *) echo 7 ;; esac\n")
    found = module.look(SOCKET)
    assert (found["driver"], found["reason"]) == ("550.1", "version mismatch")
    (container,) = found["containers"]
    assert (container["driver"], container["stale"]) == (mounted, stale)


@pytest.mark.usefixtures("client")
def test_the_containers_as_plain_data() -> None:
    """On a machine that does not have that GPU, with or without a driver."""
    found = module.look(SOCKET)
    assert set(found) == {"containers", "gpus", "driver", "reason"}
    assert found["containers"] == (
        {
            "name": "trainer",
            "id": "a1",
            "status": "exited",
            "gpus": ("GPU-a",),
            "gone": ("GPU-a",),
            "injection": "driver_volume",
            "sharing": "exclusive",
            "driver": None,
            "stale": False,
        },
    )


@pytest.mark.parametrize(
    ("labels", "injection"),
    [
        ({"gpus": "GPU-a", "injection": "0"}, "driver_volume"),
        ({"gpus": "GPU-a", "injection": "0", "kind": "cdi"}, "cdi"),
        ({"gpus": "GPU-a", "injection": "0", "kind": "device_request"}, "device_request"),
        ({"gpus": "GPU-a", "injection": "0", "kind": "runtime"}, "runtime"),
        ({"gpus": "", "injection": "0"}, None),
    ],
)
def test_the_kind_of_injection(client: Path, labels: dict[str, str], injection: str | None) -> None:
    """As its label has it; the first one has none."""
    ours = {f"io.gpufleet.nvidia.{name}": value for name, value in labels.items()}
    listed = {"id": "a1", "name": "trainer", "status": "exited", "labels": ours}
    client.write_text(f"#!/bin/sh\necho '{json.dumps(listed)}'\n")
    (container,) = module.look(SOCKET)["containers"]
    assert container["injection"] == injection


def test_the_labels_that_tell_are_asked_for(client: Path) -> None:
    client.write_text('#!/bin/sh\necho "$@" >>"$0.log"\n')
    module.look(SOCKET)
    asked = client.with_name("docker.log").read_text()
    for name in ("gpus", "injection", "kind", "sharing"):
        assert f'Label "io.gpufleet.nvidia.{name}"' in asked


def test_what_docker_says_is_passed_on(client: Path) -> None:
    client.write_text("#!/bin/sh\necho 'permission denied' >&2\nexit 1\n")
    with pytest.raises(DockerError, match=r"^permission denied$"):
        module.look(SOCKET)


def test_the_engine_of_another_machine_is_refused() -> None:
    with pytest.raises(InvalidInput, match="docker_host"):
        module.look("tcp://10.0.0.1:2375")
