# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""host/docker_facts.py: what an engine tells, and whose GPUs a reload of systemd takes."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.facts import DeviceNode
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import docker_facts

INFO = {
    "ServerVersion": "26.1.5",
    "CgroupDriver": "systemd",
    "CgroupVersion": "2",
    "DefaultRuntime": "runc",
    "Containers": 3,
}
NODES = (
    DeviceNode("/dev/nvidia0", "present", 0, 0, "0666", 195, 0),
    DeviceNode("/dev/nvidia-uvm", "missing"),
    DeviceNode("/dev/nvidiactl", "present", 0, 0, "0666", 195, 255),
)


OK = b"HTTP/1.0 200 OK\r\nApi-Version: 1.45\r\n\r\n"


@contextmanager
def engine(root: Path, answers: dict[str, bytes]) -> Iterator[list[str]]:
    """An engine that gives these answers by path; yields the paths that were asked for."""
    path = root / "run/docker.sock"
    path.parent.mkdir(exist_ok=True)
    requests: list[str] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            while True:
                connection, _address = listener.accept()
                with connection:
                    request = connection.recv(65536).decode()
                    if not request:
                        return
                    asked = request.split(" ")[1]
                    requests.append(asked)
                    connection.sendall(answers.get(asked, b"HTTP/1.0 404 no\r\n\r\n{}"))

        thread = threading.Thread(target=serve)
        thread.start()
        yield requests
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(path))
        thread.join(20)


def ok(told: object) -> bytes:
    return OK + json.dumps(told).encode()


@pytest.mark.parametrize("driver", ["systemd", "cgroupfs"])
def test_an_engine(driver: str, tmp_path: Path) -> None:
    """Links are missing for present nodes only; containers are at risk with systemd only."""
    char = tmp_path / "dev/char"
    char.mkdir(parents=True)
    (char / "195:255").touch()
    answers = {
        "/info": ok({**INFO, "CgroupDriver": driver}),
        "/containers/json": ok([{"Id": "a1"}]),
        "/containers/a1/json": ok(container(DeviceRequests=GPUS)),
    }
    with engine(tmp_path, answers) as requests:
        told = docker_facts.read(tmp_path, NODES)
    assert told is not None
    assert (told.version, told.cgroup_driver, told.cgroup_version) == ("26.1.5", driver, "2")
    assert told.default_runtime == "runc"
    assert told.missing_char_links == ("/dev/nvidia0",)
    assert told.containers_at_risk == (("some",) if driver == "systemd" else ())
    assert len(requests) == (3 if driver == "systemd" else 1)


GPUS = [{"Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]]}]
NODE = {"PathOnHost": "/dev/nvidia0", "PathInContainer": "/dev/nvidia0", "CgroupPermissions": "rwm"}


def container(env: object = (), name: str = "/some", **host: Any) -> dict[str, Any]:
    """What docker inspect tells; of its HostConfig what is given."""
    config = {"Env": [*env] if isinstance(env, (list, tuple)) else env}
    return {"Name": name, "HostConfig": {"Runtime": "runc", **host}, "Config": config}


ALL = ["PATH=/bin", "NVIDIA_VISIBLE_DEVICES=all"]
RISKS = [
    ("--gpus all", container(DeviceRequests=GPUS), True),
    (
        "driver by name",
        container(DeviceRequests=[{"Driver": "nvidia", "DeviceIDs": ["0"], "Capabilities": None}]),
        True,
    ),
    ("runtime nvidia", container(ALL, Runtime="nvidia"), True),
    ("runtime nvidia, no GPU asked for", container(Runtime="nvidia"), False),
    ("runtime nvidia, void", container(["NVIDIA_VISIBLE_DEVICES=void"], Runtime="nvidia"), False),
    ("variable of an image, runc", container(ALL), False),
    ("runtime that names device nodes", container(ALL, Runtime="nvidia-cdi"), False),
    (
        "CDI",
        container(DeviceRequests=[{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0"]}]),
        False,
    ),
    ("another vendor", container(DeviceRequests=[{"Driver": "tpu", "Count": 1}]), False),
    ("device nodes named too", container(DeviceRequests=GPUS, Devices=[NODE]), False),
    (
        "another device node",
        container(DeviceRequests=GPUS, Devices=[{"PathOnHost": "/dev/fuse"}]),
        True,
    ),
    ("privileged", container(DeviceRequests=GPUS, Privileged=True), False),
    ("no GPU", container(), False),
    ("hardly a container", {"Name": 7, "HostConfig": [], "Config": None}, False),
]


def test_whose_gpus_a_reload_takes(tmp_path: Path) -> None:
    """One that ends meanwhile, or that says nonsense, hides no other."""
    numbered = {f"c{number:02}": told for number, (_why, told, _risk) in enumerate(RISKS)}
    answers = {
        f"/containers/{one}/json": ok({**t, "Name": f"/{one}"}) for one, t in numbered.items()
    }
    answers["/info"] = ok(INFO)
    answers["/containers/json"] = ok([{"Id": "gone"}, 7, *({"Id": one} for one in numbered)])
    answers["/containers/c00/json"] = ok(RISKS[0][1])
    with engine(tmp_path, answers):
        told = docker_facts.read(tmp_path, NODES)
    assert told is not None
    wanted = {f"c{number:02}" for number, (_why, _told, risk) in enumerate(RISKS) if risk}
    assert set(told.containers_at_risk) == (wanted - {"c00"}) | {"some"}


@pytest.mark.parametrize(
    ("allowed", "risk"),
    [
        ("DeviceAllow=\nDeviceAllow=/dev/char/195:0 rwm\nDeviceAllow=char-pts rwm\n", False),
        ("DeviceAllow=\nDeviceAllow=/dev/char/195:01 rwm\nDeviceAllow=char-pts rwm\n", True),
        (None, False),
    ],
)
def test_device_nodes_that_systemd_was_not_told_of(allowed, risk, tmp_path: Path) -> None:
    """A container of another kind of scope is not judged."""
    if allowed is not None:
        folder = tmp_path / "run/systemd/transient/docker-a1.scope.d"
        folder.mkdir(parents=True)
        (folder / "50-DeviceAllow.conf").write_text(allowed)
    answers = {
        "/info": ok(INFO),
        "/containers/json": ok([{"Id": "a1"}]),
        "/containers/a1/json": ok(container(Devices=[NODE])),
    }
    with engine(tmp_path, answers):
        told = docker_facts.read(tmp_path, NODES)
    assert told is not None
    assert told.containers_at_risk == (("some",) if risk else ())


def test_a_device_node_that_is_gone_is_not_lost_by_a_reload(tmp_path: Path) -> None:
    """It has another finding."""
    folder = tmp_path / "run/systemd/transient/docker-a1.scope.d"
    folder.mkdir(parents=True)
    (folder / "50-DeviceAllow.conf").write_text("DeviceAllow=\n")
    answers = {
        "/info": ok(INFO),
        "/containers/json": ok([{"Id": "a1"}]),
        "/containers/a1/json": ok(container(Devices=[NODE])),
    }
    gone = tuple(DeviceNode(node.path, "missing") for node in NODES)
    with engine(tmp_path, answers):
        told = docker_facts.read(tmp_path, gone)
    assert told is not None
    assert told.containers_at_risk == ()


def test_an_engine_that_falls_silent_is_told_so_far(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(docker_facts, "_PATIENCE_S", 0.5)
    path = tmp_path / "run/docker.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _address = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(ok(INFO))
            # The next one is taken by the kernel and never answered.

        thread = threading.Thread(target=serve)
        thread.start()
        told = docker_facts.read(tmp_path, NODES)
        thread.join(20)
    assert told is not None
    assert (told.version, told.containers_at_risk) == ("26.1.5", ())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n[1]",
        b"HTTP/1.0 200 OK\r\n\r\n{",
        b"HTTP/1.0 200 OK\r\n\r\n\xff\xfe",
        b'HTTP/1.0 500 no\r\n\r\n{"ServerVersion": "26.1.5"}',
        b"SSH-2.0\r\n",
    ],
)
def test_something_else_than_an_engine_is_none(answer, tmp_path: Path) -> None:
    with engine(tmp_path, {"/info": answer}):
        assert docker_facts.read(tmp_path, NODES) is None


def test_a_host_without_docker(tmp_path: Path) -> None:
    assert docker_facts.read(tmp_path, NODES) is None
