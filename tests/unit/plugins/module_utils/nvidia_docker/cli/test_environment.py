# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The user's variables."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cli.environment import (
    read,
)


def test_defaults() -> None:
    """Nothing set: docker, all GPUs."""
    settings = read({})
    assert (settings.docker, settings.gpus, settings.docker_options) == (("docker",), (), ())


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
        ("+1,-0 -00", ("1", "0", "00")),
        ("-1,+,-,+-1,+²", ("-1", "+", "-", "+-1", "+²")),
    ],
)
def test_nv_gpu(text: str, gpus: tuple[str, ...]) -> None:
    """Blanks and commas separate, nothing else does; a sign is taken as v1 took it."""
    assert read({"NV_GPU": text}).gpus == gpus


@pytest.mark.parametrize(
    ("text", "docker", "options"),
    [
        ("", ("docker",), ()),
        ("  ", ("docker",), ()),
        ("sudo docker -D", ("sudo", "docker", "-D"), ("-D",)),
        ("sudo -u me /usr/bin/docker -D", ("sudo", "-u", "me", "/usr/bin/docker", "-D"), ("-D",)),
        (" /opt/podman\t-H x", ("/opt/podman", "-H", "x"), ("-H", "x")),
    ],
)
def test_nv_docker(text: str, docker: tuple[str, ...], options: tuple[str, ...]) -> None:
    """White space separates; blank means docker; what follows docker are its options."""
    settings = read({"NV_DOCKER": text})
    assert (settings.docker, settings.docker_options) == (docker, options)
