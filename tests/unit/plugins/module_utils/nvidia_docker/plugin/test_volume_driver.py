# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""volume_driver.py: v1's answers, request by request."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverVolumeError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.driver_candidates import (  # noqa: E501
    TOP_DIRECTORIES,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.manifest import (
    Manifest,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.volume_maker import (  # noqa: E501
    LocalVolumeMaker,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    Driver,
    Host,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.api import (
    Request,
    Response,
    respond,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.state import (
    State,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.volume_driver import (  # noqa: E501
    API,
)

CONTENT_TYPE = "application/vnd.docker.plugins.v1+json"
ACCEPT = "application/vnd.docker.plugins.v1.2+json"
STABLE = b'{"Name": "nvidia_driver"}'
V375, V367 = b'{"Name": "nvidia_driver_375.26"}', b'{"Name": "nvidia_driver_367.57"}'


def call(
    state: State, call: str, body: bytes = b"{}", accept: str = ACCEPT, method: str = "POST"
) -> Response:
    path = call if call.startswith("/") else f"/VolumeDriver.{call}"
    return respond(API, state, Request(method, path, "", {"accept": accept}, body))


def ok(text: str) -> Response:
    return Response(200, f"{text}\n".encode(), CONTENT_TYPE)


def make_volume(state: State, version: str) -> None:
    """A volume without files, which is right."""
    path = state.volumes / "nvidia_driver" / version
    for name in TOP_DIRECTORIES:
        (path / name).mkdir(parents=True, exist_ok=True)
    manifest = Manifest(version, frozenset(), (), (), ())
    (path / "manifest.json").write_text(manifest.to_json())


@pytest.fixture
def volumes(state: State) -> State:
    """Volumes of the loaded driver and of an older one."""
    for version in ("375.26", "367.57"):
        make_volume(state, version)
    return state


class Maker:
    """Makes volumes without files, or fails."""

    def __init__(self, problem: str | None = None) -> None:
        self.problem = problem
        self.asked: list[tuple[str, str]] = []
        self.state: State | None = None

    def make(self, version: str) -> tuple[str, ...]:
        self.asked.append(("make", version))
        if self.problem is not None:
            raise DriverVolumeError(self.problem)
        assert self.state is not None
        make_volume(self.state, version)
        return ("left out x",)

    def remove(self, version: str) -> None:
        self.asked.append(("remove", version))


@pytest.fixture
def maker(state: State) -> Maker:
    """The volume maker of ``state``."""
    made = Maker()
    made.state = state
    state.maker = made
    return made


ANSWERED = [
    ("/Plugin.Activate", b"", '{"Implements":["VolumeDriver"]}'),
    ("Capabilities", b"", '{"Capabilities":{"Scope":"local"}}'),
    ("List", b"x", '{"Volumes":null,"Err":null}'),
    ("Get", V375, '{"Volume":null,"Err":"no such volume: nvidia_driver_375.26"}'),
    ("Mount", V375, '{"Mountpoint":null,"Err":"no such volume: nvidia_driver_375.26"}'),
    ("Path", V375, '{"Mountpoint":null,"Err":"no such volume: nvidia_driver_375.26"}'),
    ("Unmount", V375, '{"Err":null}'),
    ("Remove", V375, '{"Err":null}'),
    (
        "Create",
        b'{"Name":"nvidia_driver_384.90"}',
        '{"Err":"invalid volume version: nvidia_driver_384.90"}',
    ),
    (
        "Create",
        b'{"Name":"nvidia_driver_375.26.0"}',
        '{"Err":"invalid volume version: nvidia_driver_375.26.0"}',
    ),
    ("Create", b"{}", '{"Err":"bad volume format: "}'),
    ("Create", b'{"Name":null}', '{"Err":"bad volume format: "}'),
    ("Create", b"null", '{"Err":"bad volume format: "}'),
    ("Create", b'{"Name":"cuda_1.0"}', '{"Err":"unsupported volume: cuda_1.0"}'),
    (
        "Get",
        b'{"Name":"nvidia_driver_%s"}' % (b"9" * 65),
        '{"Volume":null,"Err":"bad volume format: nvidia_driver_' + "9" * 65 + '"}',
    ),
    ("Create", b'{"Name":"a/b_1.0"}', '{"Err":"bad volume format: a/b_1.0"}'),
    ("Create", b'{"Name":"<x>"}', '{"Err":"bad volume format: \\u003cx\\u003e"}'),
    ("Create", b'{"Name":"\\ud800"}', '{"Err":"bad volume format: ?"}'),
    ("Create", b'{"Name":"a\\nb"}', '{"Err":"bad volume format: a\\nb"}'),
    ("Remove", b'{"Name":"foo"}', '{"Err":"bad volume format: foo"}'),
    ("Unmount", b'{"Name":"foo"}', '{"Err":"bad volume format: foo"}'),
    ("Mount", b'{"Name":"foo"}', '{"Mountpoint":null,"Err":"bad volume format: foo"}'),
    ("Path", b'{"Name":"foo"}', '{"Mountpoint":null,"Err":"bad volume format: foo"}'),
    ("Get", b'{"Name":"cuda_1.0"}', '{"Volume":null,"Err":"unsupported volume: cuda_1.0"}'),
]


@pytest.mark.parametrize(("path", "body", "answer"), ANSWERED)
def test_without_volumes(state: State, path: str, body: bytes, answer: str) -> None:
    assert call(state, path, body) == ok(answer)


def test_volumes_are_found(volumes: State) -> None:
    older, newer = (f"{volumes.volumes}/nvidia_driver/{v}" for v in ("367.57", "375.26"))
    assert call(volumes, "Get", V367) == ok(
        f'{{"Volume":{{"Name":"nvidia_driver_367.57","Mountpoint":"{older}"}},"Err":null}}'
    )
    assert call(volumes, "Path", V367) == ok(f'{{"Mountpoint":"{older}","Err":null}}')
    assert call(volumes, "Mount", V375) == ok(f'{{"Mountpoint":"{newer}","Err":null}}')
    assert call(volumes, "List") == ok(
        f'{{"Volumes":[{{"Name":"nvidia_driver","Mountpoint":"{newer}"}},'
        f'{{"Name":"nvidia_driver_367.57","Mountpoint":"{older}"}},'
        f'{{"Name":"nvidia_driver_375.26","Mountpoint":"{newer}"}}],"Err":null}}'
    )


def test_another_drivers_volume_is_not_mounted(volumes: State) -> None:
    assert call(volumes, "Mount", V367) == ok(
        '{"Mountpoint":null,"Err":"volume nvidia_driver_367.57 does not fit the loaded driver '
        '375.26: make the container anew, with nvidia_driver_375.26 or nvidia_driver"}'
    )


def without_driver(state: State) -> State:
    """The same volumes, and no driver is loaded."""
    host = dataclasses.replace(
        state.host(), driver=Driver(None, None, None, None), reason="no driver"
    )
    return State(state.volumes, lambda: host, lambda host: (), module_version=lambda: None)


def test_nothing_is_mounted_without_a_driver(volumes: State) -> None:
    state = without_driver(volumes)
    for name in (V375, STABLE):
        assert call(state, "Mount", name) == ok('{"Mountpoint":null,"Err":"no driver"}')
        assert call(state, "Create", name) == ok('{"Err":"no driver"}')
    assert call(state, "Remove", V375) == ok('{"Err":null}')


def test_the_stable_name_leads_to_the_loaded_driver(volumes: State) -> None:
    place = f"{volumes.volumes}/nvidia_driver/375.26"
    assert call(volumes, "Mount", STABLE) == ok(f'{{"Mountpoint":"{place}","Err":null}}')
    assert call(volumes, "Path", STABLE) == ok(f'{{"Mountpoint":"{place}","Err":null}}')
    assert call(volumes, "Get", STABLE) == ok(
        f'{{"Volume":{{"Name":"nvidia_driver","Mountpoint":"{place}"}},"Err":null}}'
    )
    assert call(volumes, "Unmount", STABLE) == ok('{"Err":null}')


def test_the_stable_name_is_there_before_its_volume(state: State, maker: Maker) -> None:
    """Docker looks for a container's volume before it mounts it, as after a driver upgrade."""
    assert call(state, "Get", STABLE) == ok('{"Volume":{"Name":"nvidia_driver"},"Err":null}')
    assert call(without_driver(state), "Get", STABLE) == call(state, "Get", STABLE)
    assert maker.asked == []
    place = f"{state.volumes}/nvidia_driver/375.26"
    assert call(state, "Mount", STABLE) == ok(f'{{"Mountpoint":"{place}","Err":null}}')
    assert maker.asked == [("make", "375.26")]


def test_the_stable_name_has_no_files_of_its_own(volumes: State, maker: Maker) -> None:
    """Removing it must not take the volume from the containers that use the versioned name."""
    assert call(volumes, "Remove", STABLE) == ok('{"Err":null}')
    assert maker.asked == []


@pytest.mark.parametrize("name", [V375, STABLE])
def test_create_asks_for_the_loaded_drivers_volume(
    state: State, maker: Maker, name: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert call(state, "Create", name) == ok('{"Err":null}')
    assert maker.asked == [("make", "375.26")]
    assert caplog.messages == ["Warning: left out x"]


def test_a_damaged_volume_is_made_again_before_it_is_mounted(volumes: State, maker: Maker) -> None:
    """Never half a volume."""
    path = volumes.volumes / "nvidia_driver/375.26"
    (path / "lib64").rmdir()
    assert call(volumes, "Mount", V375) == ok(f'{{"Mountpoint":"{path}","Err":null}}')
    assert maker.asked == [("make", "375.26")]
    assert (path / "lib64").is_dir()
    maker.problem = "the store is read-only"
    (path / "lib64").rmdir()
    assert call(volumes, "Mount", V375) == ok('{"Mountpoint":null,"Err":"the store is read-only"}')


@pytest.mark.parametrize("version", [".", "..", "...", "1..0", "1.", "../../etc", "375.26/.."])
@pytest.mark.parametrize("action", ["Create", "Remove", "Mount", "Path", "Unmount", "Get"])
def test_no_name_leads_out_of_the_volumes(volumes: State, action: str, version: str) -> None:
    """v1's Remove of nvidia_driver_.. deleted every volume."""
    name = f"nvidia_driver_{version}"
    answer = call(volumes, action, b'{"Name": "%s"}' % name.encode())
    assert answer.status == 200
    assert f'"Err":"bad volume format: {name}"' in answer.body.decode()
    assert len(list((volumes.volumes / "nvidia_driver").iterdir())) == 2


def test_remove(volumes: State) -> None:
    for _dummy in range(2):
        assert call(volumes, "Remove", V367) == ok('{"Err":null}')
    assert not (volumes.volumes / "nvidia_driver" / "367.57").exists()
    assert (volumes.volumes / "nvidia_driver" / "375.26").exists()


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"nvidia_driver_1.1"}',
        b'{"NAME":"nvidia_driver_1.1","ID":"b87d"}',
        b' \n{"Name":"nvidia_driver_1.1","Opts":null} trailing',
        b'{"Name":"foo","name":"nvidia_driver_1.1","Name2":"x"}',
    ],
)
def test_requests_are_read_as_go_does(state: State, body: bytes) -> None:
    assert call(state, "Unmount", body) == ok('{"Err":null}')


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"[1]", b'{"Name":1}', b'"x"', b"\xff", b"[" * 50000, b"1" * 9000],
)
def test_what_is_no_request_is_said(state: State, body: bytes) -> None:
    """v1 said "internal error, check logs for details"; Docker shows the text of Err."""
    answer = call(state, "Mount", body)
    assert (answer.status, answer.content_type) == (400, CONTENT_TYPE)
    assert answer.body.startswith(b'{"Mountpoint":null,"Err":"')


def test_create_says_why_it_failed(state: State, tmp_path: Path) -> None:
    """An empty root has no driver files."""
    state.maker = LocalVolumeMaker(state.volumes, tmp_path / "empty")
    answer = call(state, "Create", V375)
    assert answer.status == 200
    assert answer.body.startswith(b'{"Err":"')
    assert answer.body != b'{"Err":""}\n'
    assert not (state.volumes / "nvidia_driver" / "375.26").exists()


def test_a_failure_of_ours_has_its_reason(state: State) -> None:
    def broken() -> Host:
        raise RuntimeError("out of luck")

    lost = State(state.volumes, broken, lambda host: (), module_version=lambda: None)
    answer = call(lost, "Create", V375)
    lost.stop()
    expected = b'{"Err":"internal error: RuntimeError: out of luck"}\n'
    assert answer == Response(500, expected, CONTENT_TYPE)


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (ACCEPT, 200),
        ("application/vnd.docker.plugins.v1.1+json", 200),
        ("application/vnd.docker.plugins.v1+json", 406),
        ("application/vnd.docker.plugins.v1.3+json", 406),
        ("application/json", 406),
        ("", 406),
    ],
)
def test_protocol_versions(state: State, accept: str, status: int) -> None:
    assert call(state, "/Plugin.Activate", accept=accept).status == status
    if status == 406:
        assert call(state, "/nowhere", accept=accept) == Response(406, b"", None)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/VolumeDriver.Create"),
        ("POST", "/VolumeDriver.Bogus"),
        ("POST", "/"),
        ("POST", "/Plugin.Activate/"),
        ("POST", "/docker/cli"),
    ],
)
def test_anything_else_is_v1s_404(state: State, method: str, path: str) -> None:
    answer = call(state, path, method=method)
    assert answer == Response(404, b"404 page not found\n", "text/plain; charset=utf-8")


def test_failures_are_logged_but_not_the_question_whether_a_volume_exists(
    state: State, caplog: pytest.LogCaptureFixture
) -> None:
    """Docker asks for each volume that it is about to make."""
    call(state, "Get", V375)
    assert caplog.messages == []
    call(state, "Create", b'{"Name":"nvidia_driver_1.1"}')
    assert caplog.messages == ["Error: invalid volume version: nvidia_driver_1.1"]
