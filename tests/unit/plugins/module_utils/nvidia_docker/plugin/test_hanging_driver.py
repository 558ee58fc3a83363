# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A driver that stops answering: Docker goes on, and the REST API says so."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    DeviceStatus,
    Host,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin import (
    remote_api,
    volume_driver,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.api import (
    Request,
    Response,
    respond,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.state import (
    State,
)

TIMEOUT_S = 20
PATIENCE_S = 0.3
TEXT = "text/plain; charset=utf-8"
PAGES = ["/gpu/status", "/gpu/status/json", "/gpu/info", "/docker/cli", "/mesos/cli"]
API = remote_api.api(set())


class Hanging:
    """NVML that does not return; the kernel module's version is known all the same."""

    def __init__(self, volumes: Path, host: Host, patience_s: float = PATIENCE_S) -> None:
        self.host = host
        self.answers = threading.Event()
        self.calls = 0
        self.state = State(
            volumes,
            self.discover,
            lambda host: (),
            module_version=lambda: host.driver.module_version,
            sample=lambda host: tuple(DeviceStatus() for _dummy in host.devices),
            patience_s=patience_s,
        )

    def discover(self) -> Host:
        self.calls += 1
        assert self.answers.wait(TIMEOUT_S)
        return self.host

    def get(self, path: str) -> Response:
        return respond(API, self.state, Request("GET", path, headers={"host": "localhost"}))

    def call(self, name: str, **body: str) -> dict:
        headers = {"accept": volume_driver.ACCEPTED[0]}
        request = Request("POST", name, headers=headers, body=json.dumps(body).encode())
        return dict(json.loads(respond(volume_driver.API, self.state, request).body))


@pytest.fixture
def hanging(tmp_path: Path, zoo5: Host) -> Iterator[Hanging]:
    hanging = Hanging(tmp_path / "volumes", zoo5)
    yield hanging
    hanging.answers.set()
    hanging.state.stop()


def test_rest_says_how_long_the_driver_has_been_silent(hanging: Hanging) -> None:
    """The first one waits for a while, nobody after it does."""
    for number, page in enumerate(PAGES):
        begin = time.monotonic()
        answer = hanging.get(page)
        took = time.monotonic() - begin
        assert (answer.status, answer.content_type) == (503, TEXT)
        assert answer.body.startswith(b"the NVIDIA driver has not answered for ")
        assert took < (TIMEOUT_S / 2 if number == 0 else PATIENCE_S)
    assert hanging.calls == 1, "one thread hangs, not one per request"


CALLS = [
    ("/Plugin.Activate", {}),
    ("/VolumeDriver.List", {}),
    ("/VolumeDriver.Get", {"Name": "nvidia_driver"}),
    ("/VolumeDriver.Get", {"Name": "nvidia_driver_375.26"}),
    ("/VolumeDriver.Path", {"Name": "nvidia_driver"}),
    ("/VolumeDriver.Mount", {"Name": "nvidia_driver_384.90"}),
    ("/VolumeDriver.Unmount", {"Name": "nvidia_driver"}),
    ("/VolumeDriver.Capabilities", {}),
]


def test_docker_does_not_wait(tmp_path: Path, zoo5: Host) -> None:
    """While a REST request does."""
    hanging = Hanging(tmp_path / "volumes", zoo5, TIMEOUT_S)
    waiting = threading.Thread(target=hanging.get, args=("/gpu/status",))
    waiting.start()
    try:
        for name, body in CALLS:
            answer = hanging.call(name, **body)
            assert "has not answered" not in str(answer)
        assert hanging.get("/no/such/page").status == 404
        assert waiting.is_alive()
    finally:
        hanging.answers.set()
        waiting.join(TIMEOUT_S)
        hanging.state.stop()


def test_it_comes_back_by_itself(hanging: Hanging) -> None:
    assert hanging.get("/gpu/status").status == 503
    hanging.answers.set()
    end = time.monotonic() + TIMEOUT_S
    while hanging.get("/gpu/status").status != 200:
        assert time.monotonic() < end
        time.sleep(0.01)
