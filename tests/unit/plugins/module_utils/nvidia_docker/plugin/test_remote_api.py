# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""remote_api.py against v1's recorded answers, and what we answer better on purpose."""

from __future__ import annotations

import dataclasses
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DockerError,
    InvalidInput,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    DeviceStatus,
    Driver,
    Host,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin import (
    monitoring,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.api import (
    Request,
    Response,
    respond,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.remote_api import (  # noqa: E501
    ROUTES,
    api,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.state import (
    State,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.requirement import (
    Image,
)

GOLDEN = Path(__file__).resolve().parents[5] / "golden" / "v1"
TEXT, JSON = "text/plain; charset=utf-8", "application/json"
ALL = (GOLDEN / "docker-cli.txt").read_text()
CONTROL = ALL[: ALL.index(" --device=/dev/nvidia2")]
P100, K80_A, K80_B = (f" --device=/dev/nvidia{minor}" for minor in (2, 0, 1))


def ask(state: State, target: str, method: str = "GET", host: str = "127.0.0.1:3476") -> Response:
    path, _dummy, query = target.partition("?")
    request = Request(method, path, query, {"host": host})
    return respond(api({"gpu1"}), state, request)


def test_gpu_info_is_v1s_where_v1_knew(state: State) -> None:
    """v1's tables ended at Pascal and PCI Express 4, so it knew less of the T4."""
    expected = (GOLDEN / "rest" / "zoo5.gpu-info-json.txt").read_text()
    for old, new in (
        ('"BAR1":256,"Bandwidth":0}', '"BAR1":256,"Bandwidth":63008}'),
        ('"Family":null,"Arch":"7.5","Cores":null', '"Family":"Turing","Arch":"7.5","Cores":2560'),
    ):
        assert expected.count(old) == 1
        expected = expected.replace(old, new)
    assert ask(state, "/gpu/info/json") == Response(200, expected.encode(), JSON)
    assert ask(state, "/v1.0/gpu/info/json?dev=0&x=%") == Response(200, expected.encode(), JSON)


def test_docker_cli_json(state: State) -> None:
    expected = Response(200, (GOLDEN / "docker-cli.json").read_bytes(), JSON)
    assert ask(state, "/docker/cli/json") == expected
    assert ask(state, "/v1.0/docker/cli/json?dev=*&vol=*") == expected
    one = ask(state, "/docker/cli/json?dev=0&vol=nvidia_driver")
    assert b'"/dev/nvidia-uvm-tools","/dev/nvidia2"]}\n' in one.body
    assert ask(state, "/docker/cli/json?dev=9").content_type == TEXT


SELECTED = [
    ("", ALL),
    ("dev=", ALL),
    ("dev", ALL),
    ("vol=", ALL),
    ("dev=&vol=", ALL),
    ("dev=*&vol=*", ALL),
    ("&dev=*&", ALL),
    ("vol=nvidia_driver", ALL),
    ("dev=0", CONTROL + P100),
    ("dev=%30", CONTROL + P100),
    ("d%65v=0", CONTROL + P100),
    ("dev=1", CONTROL + K80_A),
    ("dev=01", CONTROL + K80_A),
    ("dev=%2B1", CONTROL + K80_A),
    ("dev=-0", CONTROL + P100),
    ("dev=0+0", CONTROL + P100),
    ("dev=2+0%201", CONTROL + P100 + K80_A + K80_B),
    ("dev=GPU-836c0c09", CONTROL + P100),
    ("dev=GPU-b78a60a1-77", CONTROL + K80_B),
    ("dev=0&dev=1", CONTROL + P100),
    ("vol=nvidia_driver&dev=0", CONTROL + P100),
]


@pytest.mark.parametrize(("query", "body"), SELECTED)
@pytest.mark.parametrize("prefix", ["", "/v1.0"])
def test_docker_cli(state: State, prefix: str, query: str, body: str) -> None:
    answer = ask(state, f"{prefix}/docker/cli?{query}")
    assert answer == Response(200, body.encode(), TEXT)


def recorded_requests() -> list[str]:
    """What v1's command asked in remote mode, each once; and the form it gives to NV_GPU=0,1."""
    cases = json.loads((GOLDEN / "cli.json").read_text())["cases"]
    lines = {one["line"]: None for case in cases for one in case.get("http_requests", ())}
    return [line.split()[1] for line in lines] + ["/docker/cli?vol=nvidia_driver&dev=0+1"]


def test_v1s_command_is_served(state: State) -> None:
    """Which calls every host "plugin"."""
    answers = {target: ask(state, target, host="plugin") for target in recorded_requests()}
    assert {target: answer.status for target, answer in answers.items()} == {
        "/gpu/info/json": 200,
        "/docker/cli?vol=nvidia_driver&dev=": 200,
        "/docker/cli?vol=nvidia_driver+other_volume&dev=": 400,
        "/docker/cli?vol=nvidia_driver&dev=9": 400,
        "/docker/cli?vol=nvidia_driver&dev=0+1": 200,
    }
    two = answers["/docker/cli?vol=nvidia_driver&dev=0+1"].body.decode()
    assert two == CONTROL + P100 + K80_A


REFUSED = [
    ("dev=5", "invalid device: 5"),
    ("dev=-1", "invalid device: -1"),
    ("dev=0x1", "invalid device: 0x1"),
    ("dev=1.0", "invalid device: 1.0"),
    ("dev=0,1", "invalid device: 0,1"),
    ("dev=0++1", "invalid device: "),
    ("dev=0+", "invalid device: "),
    ("dev=%200", "invalid device: "),
    ("dev=all", "invalid device: all"),
    ("dev=none", "invalid device: none"),
    ("dev=*+0", "invalid device: *"),
    ("dev=9+all", "invalid device: 9"),
    ("dev=GPU-deadbeef", "invalid device: GPU-deadbeef"),
    ("dev=MIG-GPU-836c0c09", "invalid device: MIG-GPU-836c0c09"),
    ("dev=0000:04:00.0", "invalid device: 0000:04:00.0"),
    ("dev=" + "9" * 5000, "invalid device: " + "9" * 5000),
    ("dev=%D9%A1", "invalid device: \u0661"),
    ("vol=foo", "invalid volume: foo"),
    ("vol=nvidia_driver+foo", "invalid volume: foo"),
    ("vol=nvidia_driver_375.26", "invalid volume: nvidia_driver_375.26"),
    ("vol=%3Cb%3E", "invalid volume: <b>"),
    ("vol=+", "invalid volume: "),
    ("dev=9&vol=foo", "invalid device: 9"),
    ("dev=0;vol=nvidia_driver", "invalid device: 0;vol=nvidia_driver"),
    # v1 answered these with all GPUs.
    ("DEV=0", "unknown query parameter 'DEV': dev, vol and image are known"),
    ("devs=0", "unknown query parameter 'devs': dev, vol and image are known"),
    ("dev=%", "query part 'dev=%' can't be decoded: write %25 for a percent sign, and UTF-8"),
    ("dev=%zz", "query part 'dev=%zz' can't be decoded: write %25 for a percent sign, and UTF-8"),
    ("dev=%FF", "query part 'dev=%FF' can't be decoded: write %25 for a percent sign, and UTF-8"),
    ("dev=&dev=1", "query parameter dev is given twice, first for everything"),
]


@pytest.mark.parametrize(("query", "sentence"), REFUSED)
def test_what_is_not_understood_selects_nothing(state: State, query: str, sentence: str) -> None:
    assert ask(state, f"/docker/cli?{query}") == Response(400, f"{sentence}\n".encode(), TEXT)


def test_a_uuid_prefix_of_two_gpus_is_refused(state: State) -> None:
    answer = ask(state, "/docker/cli?dev=GPU-b78a60a1")
    assert answer.status == 400
    assert answer.body.startswith(b"invalid device: GPU-b78a60a1")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", ""),
        ("GET", "gpu//info"),
        ("GET", "/gpu/info/json/"),
        ("GET", "/v1.1/docker/cli"),
        ("GET", "/VolumeDriver.List"),
        ("POST", "/docker/cli"),
        ("HEAD", "/docker/cli"),
    ],
)
def test_anything_else_is_v1s_404(state: State, method: str, path: str) -> None:
    assert ask(state, path, method) == Response(404, b"404 page not found\n", TEXT)


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("//gpu/info", "/gpu/info"),
        ("/gpu/../gpu/info", "/gpu/info"),
        ("/docker//cli?dev=0", "/docker/cli?dev=0"),
        ("//evil.example/", "/evil.example/"),
        ("/../..", "/"),
        ("/./gpu/é\n", "/gpu/%C3%A9%0A"),
    ],
)
def test_a_path_with_detours_is_redirected(state: State, target: str, location: str) -> None:
    body = f'<a href="{location}">Moved Permanently</a>.\n\n'.encode()
    expected = Response(301, body, "text/html; charset=utf-8", location)
    assert ask(state, target) == expected
    assert ask(state, target, host="evil.example").status == 403
    assert ask(state, target, "POST").status == 404


HOSTS = [
    ("127.0.0.1:3476", 200),
    ("10.1.2.3", 200),
    ("[::1]:3476", 200),
    ("localhost:3476", 200),
    ("LocalHost", 200),
    ("plugin", 200),
    ("GPU1:3476", 200),
    ("", 403),
    ("evil.example", 403),
    ("evil.example:3476", 403),
    ("127.0.0.1.evil.example", 403),
    ("127.0.0.1, evil.example", 403),
]


@pytest.mark.parametrize(("host", "status"), HOSTS)
def test_a_foreign_host_header_is_refused(state: State, host: str, status: int) -> None:
    """DNS rebinding: a page in a browser must not read what GPUs this machine has."""
    assert ask(state, "/docker/cli", host=host).status == status
    assert ask(state, "/no/such/path", host=host).status == (404 if status == 200 else 403)


def machine(tmp_path: Path, host: Host) -> State:
    return State(tmp_path, lambda: host, lambda host: ())


def test_without_a_driver(tmp_path: Path, zoo5: Host) -> None:
    host = dataclasses.replace(
        zoo5, driver=Driver(None, None, None, None), devices=(), reason="no libnvidia-ml.so.1"
    )
    state = machine(tmp_path, host)
    assert ask(state, "/docker/cli") == Response(503, b"no libnvidia-ml.so.1\n", TEXT)
    assert ask(state, "/gpu/info/json").body == (
        b'{"Version":{"Driver":null,"CUDA":null},"Devices":[]}\n'
    )


def test_without_a_gpu(tmp_path: Path, zoo5: Host) -> None:
    """v1 spun for ever here; its last fix answered so."""
    host = dataclasses.replace(zoo5, devices=(), reason="no GPU")
    assert ask(machine(tmp_path, host), "/docker/cli").body == CONTROL.encode()


def test_a_missing_device_node_is_said(tmp_path: Path, zoo5: Host) -> None:
    host = dataclasses.replace(zoo5, missing_nodes=("/dev/nvidia0",))
    answer = ask(machine(tmp_path, host), "/docker/cli?dev=1")
    assert answer.status == 503
    assert answer.body.startswith(b"missing device node /dev/nvidia0: ")
    assert ask(machine(tmp_path, host), "/docker/cli?dev=0").status == 200


def test_a_failure_of_ours_has_its_reason(tmp_path: Path) -> None:
    def broken() -> Host:
        raise RuntimeError("out of luck")

    state = State(tmp_path, broken, lambda host: ())
    answer = ask(state, "/docker/cli")
    state.stop()
    assert answer == Response(500, b"internal error: RuntimeError: out of luck\n", TEXT)


def test_fifty_clients_of_a_slow_driver(tmp_path: Path, zoo5: Host) -> None:
    """Eight GPUs at 20 ms: at least 1,000 answers a second from one sweep a second."""
    sweeps: list[float] = []

    def sample(host: Host) -> tuple[DeviceStatus, ...]:
        sweeps.append(time.monotonic())
        time.sleep(8 * 0.02)
        return tuple(DeviceStatus() for _dummy in host.devices)

    state = State(tmp_path, lambda: zoo5, lambda host: (), sample=sample)
    begin = time.monotonic()
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _n: ask(state, "/gpu/status").status, range(2000)))
    took = time.monotonic() - begin
    state.stop()
    assert answers == [200] * 2000
    assert took < 2
    assert len(sweeps) <= 1 + took


def test_every_path_of_v1_exists_twice() -> None:
    plain = {path for _dummy, path in ROUTES if not path.startswith("/v1.0/")}
    of_v1 = plain - set(monitoring.HANDLERS)
    assert {path for _dummy, path in ROUTES} == plain | {f"/v1.0{path}" for path in of_v1}


class Images:
    """An engine with one image that wants CUDA 9.0, and one for any."""

    def image(self, reference: str) -> Image | None:
        if reference == "broken":
            raise DockerError("no Docker engine answers")
        if reference == "bad reference":
            raise InvalidInput("invalid image reference 'bad reference'")
        versions = {"new": {"com.nvidia.cuda.version": "9.0"}, "old": {}}
        return Image(reference, versions[reference], {}) if reference in versions else None


IMAGES = [
    ("image=new", 409, "unsupported CUDA version: driver 8.0 < image 9.0\n"),
    ("dev=0&image=new", 409, "unsupported CUDA version: driver 8.0 < image 9.0\n"),
    ("image=none", 404, "image none is not on this host: pull it first\n"),
    ("image=broken", 503, "no Docker engine answers\n"),
    ("image=bad+reference", 400, "invalid image reference 'bad reference'\n"),
    ("image=old&image=new", 400, "query parameter image is given twice\n"),
    ("image=old&dev=99", 400, "invalid device: 99\n"),
]


@pytest.mark.parametrize(("query", "status", "says"), IMAGES)
def test_an_image_that_can_not_run_here_is_refused(
    state: State, query: str, status: int, says: str
) -> None:
    """The command's sentence, so that nothing starts."""
    state.images = Images()
    for path in ("/docker/cli", "/docker/cli/json"):
        answer = respond(api({"host"}), state, Request("GET", path, query, {"host": "localhost"}))
        assert (answer.status, answer.body.decode()) == (status, says)


@pytest.mark.parametrize("query", ["image=old", "image=", "dev=0&image=old"])
def test_an_image_that_can_run_here_changes_nothing(state: State, query: str) -> None:
    state.images = Images()
    plain = query.replace("image=old", "").strip("&")
    answers = [
        respond(api({"host"}), state, Request("GET", "/docker/cli", one, {"host": "localhost"}))
        for one in (query, plain)
    ]
    assert answers[0] == answers[1]
    assert answers[0].status == 200
