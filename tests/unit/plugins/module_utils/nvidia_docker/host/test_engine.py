# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the docker client says, as answers and sentences. The client here is a script."""

from __future__ import annotations

import json
import re
import shlex
import socket
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_changes import (  # noqa: E501
    Given,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_labels import (  # noqa: E501
    FORMAT_LABEL,
    INJECTION_LABEL,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DockerError,
    DriverVolumeError,
    InvalidInput,
    NewerLabels,
    NotInstalled,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.engine import (
    Container,
    Engine,
    EngineInfo,
    ListedContainer,
    MountingContainer,
    require_volume_driver,
)

SOCKET = "unix:///run/docker.sock"


class Client:
    """A docker client that records its arguments and says what it is told to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def says(self, output: str = "", errors: str = "", status: int = 0) -> None:
        script = (
            f'#!/bin/sh\nprintf "%s\\n" "$*" >>{self.directory}/calls\n'
            f"printf %s {shlex.quote(output)}\nprintf %s {shlex.quote(errors)} >&2\nexit {status}\n"
        )
        program = self.directory / "docker"
        program.write_text(script)
        program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return (self.directory / "calls").read_text().splitlines()


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Client(tmp_path)


INFOS = [
    (
        '{"ServerVersion":"26.1.5+dfsg1","CDISpecDirs":["/etc/cdi","/var/run/cdi"],"Runtimes":'
        '{"runc":{"path":"runc"},"nvidia":{"path":"/usr/bin/nvidia-container-runtime"}},'
        '"DefaultRuntime":"nvidia"}',
        EngineInfo(
            "26.1.5+dfsg1",
            {"runc": "runc", "nvidia": "/usr/bin/nvidia-container-runtime"},
            ("/etc/cdi", "/var/run/cdi"),
            "nvidia",
        ),
    ),
    # CDI switched off, and an engine that has none.
    ('{"ServerVersion":"28.0","CDISpecDirs":null}', EngineInfo("28.0", {}, ())),
    ('{"ServerVersion":"20.10.24","Runtimes":{"x":{}}}', EngineInfo("20.10.24", {"x": ""}, ())),
]


@pytest.mark.parametrize(("answer", "info"), INFOS)
def test_what_an_engine_tells_of_itself(client: Client, answer: str, info: EngineInfo) -> None:
    client.says(answer)
    assert Engine(SOCKET).info() == info
    assert client.calls == ["--host unix:///run/docker.sock info --format {{json .}}"]


def test_a_container_is_its_image_and_labels(client: Client) -> None:
    client.says(
        '{"name":"/c","image":"sha256:ab","labels":{"a":"b"},"pid":7,"env":null,"host":{}}\n'
    )
    assert Engine(SOCKET).container("c") == Container("c", "sha256:ab", {"a": "b"}, 7)
    assert client.calls[0].startswith("--host unix:///run/docker.sock container inspect ")
    assert client.calls[0].endswith(" -- c")


def test_a_container_without_labels(client: Client) -> None:
    client.says('{"name":"/c","image":"sha256:ab","labels":null,"pid":0,"env":[],"host":{}}\n')
    assert Engine(SOCKET).container("c") == Container("c", "sha256:ab", {}, 0)


def test_what_a_container_is_given(client: Client) -> None:
    """As Docker 26 tells it, cut to what is read."""
    host = {
        "Devices": [
            {"PathOnHost": "/dev/nvidia3", "PathInContainer": "/dev/nvidia3"},
        ],
        "DeviceRequests": [
            {"Driver": "cdi", "Count": 0, "DeviceIDs": ["nvidia.com/gpu=0"], "Capabilities": None},
            {"Driver": "x", "Count": 1, "DeviceIDs": None},
        ],
        "Mounts": [{"Type": "volume", "Source": "v", "Target": "/t"}, {"Target": "/tmp"}],
        "GroupAdd": ["44"],
        "Runtime": "runc",
    }
    told = {"name": "/c", "image": "sha256:ab", "labels": {}, "pid": 0, "host": host}
    client.says(json.dumps({**told, "env": ["A=b=c", "PATH=/bin"]}))
    container = Engine(SOCKET).container("c")
    assert container is not None
    assert container.given == Given(
        device_nodes=("/dev/nvidia3",),
        mounts={"/t": "v", "/tmp": ""},
        environment={"A": "b=c", "PATH": "/bin"},
        groups=("44",),
        device_ids=("nvidia.com/gpu=0",),
        runtime="runc",
    )


STARTS = [
    ('{"at":"1970-01-01T00:01:07.123456789Z","requests":[{"Driver":"nvidia"}]}', 67),
    ('{"at":"1970-01-01T00:01:07.123456789Z","requests":[{"Driver":""}]}', 67),
    ('{"at":"1970-01-01T00:01:07.123456789Z","requests":[{"Driver":"cdi"}]}', None),
    ('{"at":"1970-01-01T00:01:07.123456789Z","requests":null}', None),
]


@pytest.mark.parametrize(("answer", "start"), STARTS)
def test_when_a_device_driver_last_gave_devices(
    client: Client, answer: str, start: float | None
) -> None:
    program = client.directory / "docker"
    program.write_text(
        f"#!/bin/sh\ncase $3 in ps) echo a1; echo b2 ;; *) echo '{answer}' ;; esac\n"
    )
    program.chmod(0o755)
    assert Engine(SOCKET).last_start("nvidia") == start


def test_a_container_that_never_ran_tells_nothing_of_its_device_driver(client: Client) -> None:
    """Nor does one that is removed meanwhile."""
    client.says("")
    assert Engine(SOCKET).last_start("nvidia") is None
    never = '{"at":"0001-01-01T00:00:00Z","requests":[{"Driver":"nvidia"}]}'
    gone = "Error: No such container: b2"
    program = client.directory / "docker"
    program.write_text(
        "#!/bin/sh\ncase $3$8 in ps*) echo a1; echo b2 ;; "
        f"*b2) echo {gone} >&2; exit 1 ;; *) echo '{never}' ;; esac\n"
    )
    found = Engine(SOCKET).last_start("nvidia")
    assert found is not None
    assert found < 0


@pytest.mark.parametrize(
    "errors",
    ["Error: No such container: c\n", "Error response from daemon: No such container: c\n"],
    ids=["Docker 20.10", "Docker 26"],
)
def test_no_container(client: Client, errors: str) -> None:
    client.says(errors=errors, status=1)
    assert Engine(SOCKET).container("c") is None


def test_an_image_identifier(client: Client) -> None:
    client.says("sha256:cd\n")
    assert Engine(SOCKET).image_id("i") == "sha256:cd"
    client.says(errors="Error: No such image: i\n", status=1)
    assert Engine(SOCKET).image_id("i") is None


@pytest.mark.parametrize(
    ("platform", "words"),
    [(None, "pull --quiet -- i"), ("linux/arm64", "pull --quiet --platform linux/arm64 -- i")],
)
def test_pull(client: Client, platform: str | None, words: str) -> None:
    client.says()
    Engine(SOCKET).pull("i", platform)
    assert client.calls == [f"--host {SOCKET} {words}"]


def test_what_can_not_be_pulled_is_named(client: Client) -> None:
    client.says(errors="Error response from daemon: no such host", status=1)
    with pytest.raises(DockerError, match=r"^image i can't be pulled: .*no such host$"):
        Engine(SOCKET).pull("i", None)


@pytest.mark.parametrize(
    "errors",
    [
        f"Cannot connect to the Docker daemon at {SOCKET}. Is the docker daemon running?",
        f"failed to connect to the docker API at {SOCKET}; check if the path is correct",
    ],
)
def test_no_engine_is_one_sentence(client: Client, errors: str) -> None:
    client.says(errors=errors, status=1)
    with pytest.raises(
        DockerError, match=r"no Docker engine answers at unix:///run/docker\.sock .*start"
    ):
        Engine(SOCKET).container("c")


def test_no_client_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalled, match="can't start the docker client: No such file"):
        Engine(SOCKET).container("c")


def test_what_else_docker_says_is_passed_on(client: Client) -> None:
    client.says(errors="permission denied while trying to connect\nmore", status=1)
    with pytest.raises(DockerError, match=r"^permission denied while trying to connect$"):
        Engine(SOCKET).container("c")


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:2375", "ssh://gpu1", "fd://", ""])
def test_engines_that_may_be_elsewhere_are_refused(address: str) -> None:
    with pytest.raises(InvalidInput, match="docker_host"):
        Engine(address)


def test_a_volume_driver_that_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "d.sock"))
        server.listen()
        require_volume_driver("d", tmp_path)


def test_a_volume_driver_that_does_not_listen(tmp_path: Path) -> None:
    with pytest.raises(NotInstalled, match=r"d\.sock \(No such file or directory\): start"):
        require_volume_driver("d", tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "d.sock"))
    with pytest.raises(DriverVolumeError, match=r"d\.sock \(Connection refused\): start"):
        require_volume_driver("d", tmp_path)


def test_mounts_of_every_container(client: Client) -> None:
    """Names of volumes and directories of the host, of stopped containers too."""
    client.says(
        '{"id":"1f","name":"a","mounts":"nvidia_driver_375.26,/data"}\n'
        '{"id":"2f","name":"b","mounts":""}\n'
    )
    assert Engine(SOCKET).mounts() == (
        MountingContainer("1f", "a", ("nvidia_driver_375.26", "/data")),
        MountingContainer("2f", "b", ("",)),
    )
    assert client.calls[0].startswith("--host unix:///run/docker.sock ps --all --no-trunc ")


LISTED = """\
{"id":"b2","name":"web","status":"exited","labels":{"io.gpufleet.nvidia.gpus":"","l":""}}
{"id":"a1","name":"web/db,db","status":"running","labels":{"io.gpufleet.nvidia.gpus":"GPU-a,GPU-b"}}
"""


def test_every_container_with_its_labels(client: Client) -> None:
    """A label that it does not have is listed empty; a link of another one is no name."""
    client.says(LISTED)
    assert Engine(SOCKET).containers() == (
        ListedContainer("a1", "db", "running", {"io.gpufleet.nvidia.gpus": "GPU-a,GPU-b"}),
        ListedContainer("b2", "web", "exited", {}),
    )
    assert client.calls[0].startswith("--host unix:///run/docker.sock ps --all --no-trunc ")


@pytest.mark.parametrize("number", ["2", "10", "0", "x", ""])
def test_a_container_of_a_newer_format_is_not_guessed_at(client: Client, number: str) -> None:
    """It is named; older ones have no number, and are of format 1."""
    labels = json.dumps({FORMAT_LABEL: number, INJECTION_LABEL: "ab"})
    client.says(f'{{"name":"/c","image":"sha256:ab","labels":{labels},"pid":7}}\n')
    known = re.escape(f"label {FORMAT_LABEL} of container c has format ")
    with pytest.raises(NewerLabels, match=f"^{known}.*, or remove the container$"):
        Engine(SOCKET).container("c")
    client.says(f'{{"id":"1","name":"c","status":"exited","labels":{labels}}}\n')
    if number:  # Docker lists a label that is not there as empty
        with pytest.raises(NewerLabels, match=f"^{known}"):
            Engine(SOCKET).containers()
    labels = json.dumps({FORMAT_LABEL: "1"})
    told = f'{{"name":"/c","image":"sha256:ab","labels":{labels},"pid":7,"env":[],"host":{{}}}}'
    client.says(told)
    assert Engine(SOCKET).container("c")


def test_processes_of_containers(client: Client) -> None:
    client.says("7\n")
    assert Engine(SOCKET).pids(["a1"]) == {"a1": 7}
    client.says(errors="Error: No such container: a1\n", status=1)
    assert Engine(SOCKET).pids(["a1"]) == {}
