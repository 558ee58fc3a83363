# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Questions to the docker client, a stand-in of one line each."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DockerError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.docker import (
    Docker,
)


@pytest.fixture
def docker(tmp_path: Path):
    def make(script: str) -> Docker:
        path = tmp_path / "docker"
        path.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/log\n{script}\n')
        path.chmod(0o755)
        return Docker((str(path), "--context", "lab"))

    return make


@pytest.mark.parametrize(
    ("answer", "labels", "environment"),
    [
        (
            '{"Labels":{"a":"b"},"Env":["A=B=C","EMPTY=","odd"]}',
            {"a": "b"},
            {"A": "B=C", "EMPTY": ""},
        ),
        ('{"Labels":null,"Env":null}', {}, {}),
        ("{}", {}, {}),
        ("null", {}, {}),
    ],
)
def test_image(docker, answer, labels, environment) -> None:
    """Labels and environment; engines leave out what is empty."""
    image = docker(f"echo '{answer}'").image("cuda:12")
    assert (image.reference, image.labels, image.environment) == ("cuda:12", labels, environment)


def test_question(docker, tmp_path) -> None:
    """One query, after the global options; a reference can't be taken for an option."""
    docker("echo null").image("--config=x")
    query = "--context lab image inspect --format {{json .Config}} -- --config=x\n"
    assert (tmp_path / "log").read_text() == query


@pytest.mark.parametrize(
    "message",
    [
        "Error: No such image: x",
        "Error response from daemon: no such image: x: No such image: x",
    ],
)
def test_no_such_image(docker, message) -> None:
    """As docker 20.10 and 28 say it."""
    assert docker(f"echo '{message}' >&2; exit 1").image("x") is None


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "echo 'Error: Cannot connect to the daemon' >&2; exit 1",
            "^Cannot connect to the daemon$",
        ),
        (
            "echo 'no such image: X: invalid reference format' >&2; exit 1",
            "invalid reference format",
        ),
        ("exit 1", "docker image inspect failed: status 1"),
        ("echo text", "docker describes image x in a way that is not understood: 'text"),
        ("echo [1]", "not understood"),
    ],
)
def test_no_answer(docker, script, message) -> None:
    """Not knowing is not the same as not having."""
    with pytest.raises(DockerError, match=message):
        docker(script).image("x")


def test_output(docker) -> None:
    """What it prints; a failure is no output."""
    assert docker("echo text; echo noise >&2").output(["run", "--help"]) == "text\n"
    with pytest.raises(DockerError, match="docker run --help failed: status 3"):
        docker("echo text; exit 3").output(["run", "--help"])
    with pytest.raises(DockerError, match=r"^no$"):
        docker("echo no >&2; exit 1").output(["run"])


def test_no_client() -> None:
    """The sentence names the program."""
    with pytest.raises(
        DockerError, match="can't start the docker client 'no-such-docker': No such"
    ):
        Docker(("no-such-docker",)).image("x")
    with pytest.raises(
        DockerError, match="can't start the docker client 'no-such-docker': No such"
    ):
        Docker(("no-such-docker",)).exec(["ps"])


def test_pull(docker, tmp_path, capfd) -> None:
    """Progress on standard error."""
    docker("echo layer").pull("x", ["--quiet"])
    assert (tmp_path / "log").read_text() == "--context lab pull --quiet -- x\n"
    assert capfd.readouterr() == ("", "layer\n")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'Error: denied' >&2; exit 1", "^denied$"),
        ("exit 1", "docker pull x failed: status 1"),
    ],
)
def test_pull_fails(docker, script, message) -> None:
    """docker's own sentence if there is one."""
    with pytest.raises(DockerError, match=message):
        docker(script).pull("x")
