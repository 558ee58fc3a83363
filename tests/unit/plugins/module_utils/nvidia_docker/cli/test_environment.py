# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The user's variables."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cli.environment import (
    read,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    InvalidInput,
)


def test_defaults() -> None:
    """Nothing set: docker, all GPUs, this machine."""
    settings = read({})
    assert (settings.docker, settings.gpus, settings.remote) == (("docker",), (), None)
    assert settings.warnings == ()


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("", ()),
        (",", ()),
        (" , ", ()),
        ("0", ("0",)),
        ("0,1 2", ("0", "1", "2")),
        ("0, ,1", ("0", "1")),
        ("GPU-1f2e,MIG-3", ("GPU-1f2e", "MIG-3")),
        ("all", ("all",)),
        ("0:1", ("0:1",)),
        ("0\t1", ("0\t1",)),
        ("0;1", ("0;1",)),
    ],
)
def test_nv_gpu(text: str, gpus: tuple[str, ...]) -> None:
    """Blanks and commas separate, nothing else does."""
    assert read({"NV_GPU": text}).gpus == gpus


@pytest.mark.parametrize(
    ("text", "docker"),
    [
        ("", ("docker",)),
        ("  ", ("docker",)),
        ("sudo docker -D", ("sudo", "docker", "-D")),
        (" /opt/docker\t", ("/opt/docker",)),
    ],
)
def test_nv_docker(text: str, docker: tuple[str, ...]) -> None:
    """White space separates; blank means docker."""
    assert read({"NV_DOCKER": text}).docker == docker


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({"NV_HOST": "http://10.0.0.1:"}, "http://10.0.0.1:3476"),
        ({"NV_HOST": "10.0.0.1:80"}, "http://10.0.0.1:80"),
        ({"NV_HOST": "tcp://gpu-1.lab_x:80"}, "http://gpu-1.lab_x:80"),
        ({"NV_HOST": "http://h:22:80/x?y=1"}, "http://h:80"),
        ({"NV_HOST": "http://:"}, "http://localhost:3476"),
        ({"NV_HOST": "/var/run/docker.sock"}, "http://localhost:3476"),
        ({"NV_HOST": "http://[fe80::1]:80"}, "http://[fe80::1]:80"),
        ({"NV_HOST": "ssh://me@h:2222:80"}, "ssh://h:80"),
        ({"DOCKER_HOST": "tcp://10.0.0.1:2375"}, "http://10.0.0.1:3476"),
        ({"DOCKER_HOST": "tcp://[::1]:2375"}, "http://[::1]:3476"),
        ({"DOCKER_HOST": "ssh://me@h"}, "ssh://h:3476"),
        ({"DOCKER_HOST": "tcp://a:1", "NV_HOST": "http://b:2"}, "http://b:2"),
        ({"DOCKER_HOST": "tcp://a:1", "NV_HOST": ""}, "http://a:3476"),
        ({"DOCKER_HOST": "tcp://a:1", "NV_HOST": "unix:///x"}, "None"),
        ({"DOCKER_HOST": "unix:///var/run/docker.sock"}, "None"),
        ({"DOCKER_HOST": "unix://"}, "None"),
    ],
)
def test_remote(environ: dict[str, str], address: str) -> None:
    """NV_HOST wins; DOCKER_HOST's machine has its plugin on the default port."""
    assert str(read(environ).remote) == address


@pytest.mark.parametrize(
    ("environ", "user", "port"),
    [
        ({"NV_HOST": "ssh://me@h:2222:80"}, "me", 2222),
        ({"NV_HOST": "ssh://h:80"}, "", 22),
        ({"DOCKER_HOST": "ssh://me:secret@h:2222"}, "me", 2222),
        ({"DOCKER_HOST": "ssh://me@h"}, "me", 22),
    ],
)
def test_ssh(environ: dict[str, str], user: str, port: int) -> None:
    """In DOCKER_HOST the only port is the SSH server's."""
    remote = read(environ).remote
    assert remote is not None
    assert (remote.scheme, remote.user, remote.host, remote.ssh_port) == ("ssh", user, "h", port)


@pytest.mark.parametrize("variable", ["NV_HOST", "DOCKER_HOST"])
@pytest.mark.parametrize(
    "uri",
    [
        "http://10.0.0.1",
        "10.0.0.1",
        "fd://",
        "npipe://x",
        "ftp://h:1",
        "https://h:443",
        "http://h::1",
        "http://h_x:a",
        "http://user:pw@h:1:2:3",
        "http://h:70000",
        "http://h:0",
        "http://[::1:80",
        "http://[::1]x:80",
        "http://a b:80",
        "http://h:²",
    ],
)
def test_no_address(variable: str, uri: str) -> None:
    """One sentence with the variable and the value, without a password in it."""
    with pytest.raises(InvalidInput, match=f"^invalid remote host URI in {variable}: ") as caught:
        read({variable: uri})
    assert "pw" not in str(caught.value)


def test_warning() -> None:
    """v1's: docker would start the container on another machine than the GPUs are from."""
    assert read({"NV_HOST": "http://h:"}).warnings == ("NV_HOST is set but DOCKER_HOST is not",)
    assert read({"NV_HOST": "http://h:", "DOCKER_HOST": "tcp://h:1"}).warnings == ()
