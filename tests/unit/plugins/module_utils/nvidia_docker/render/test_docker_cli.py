# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docker_cli.py"""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    NvidiaDockerError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.injection import (
    Injection,
    VolumeName,
    driver_volume,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render import docker_cli

DEVICES = Injection(device_nodes=("/dev/nvidiactl", "/dev/nvidia0"))
BOTH = DEVICES + driver_volume(VolumeName("375.26"))


def test_the_command_names_the_driver_on_the_mount_only() -> None:
    """--volume-driver would make the user's own new volumes ours too."""
    assert docker_cli.run_arguments(BOTH) == [
        "--device=/dev/nvidiactl",
        "--device=/dev/nvidia0",
        "--mount=type=volume,source=nvidia_driver_375.26,target=/usr/local/nvidia,readonly,"
        "volume-driver=nvidia-docker",
    ]
    assert docker_cli.run_arguments(DEVICES) == [
        "--device=/dev/nvidiactl",
        "--device=/dev/nvidia0",
    ]
    assert docker_cli.run_arguments(Injection()) == []


def test_variables_come_last() -> None:
    """One word each, whatever is in a value."""
    variables = Injection(environment=(("PATH", "/a b:/c"), ("B", "")))
    assert docker_cli.run_arguments(DEVICES + variables)[-2:] == ["--env=PATH=/a b:/c", "--env=B="]
    assert docker_cli.rest_arguments(BOTH + variables) == docker_cli.rest_arguments(BOTH)


def test_rest_answers_keep_v1s_order() -> None:
    assert docker_cli.rest_arguments(BOTH) == [
        "--volume-driver=nvidia-docker",
        "--volume=nvidia_driver_375.26:/usr/local/nvidia:ro",
        "--device=/dev/nvidiactl",
        "--device=/dev/nvidia0",
    ]
    assert list(docker_cli.rest_json(BOTH).items()) == [
        ("VolumeDriver", "nvidia-docker"),
        ("Volumes", ["nvidia_driver_375.26:/usr/local/nvidia:ro"]),
        ("Devices", ["/dev/nvidiactl", "/dev/nvidia0"]),
    ]


def test_rest_answers_are_read_back() -> None:
    """The volume driver is the mount's; what is there twice is taken once."""
    words = docker_cli.rest_arguments(BOTH)
    assert docker_cli.injection_of(words) == BOTH
    assert docker_cli.injection_of(words + words) == BOTH
    assert docker_cli.injection_of(docker_cli.rest_arguments(DEVICES)) == DEVICES
    caps = ("/dev/nvidia-modeset", "/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap21")
    assert docker_cli.injection_of([f"--device={node}" for node in caps]).device_nodes == caps


@pytest.mark.parametrize(
    "word",
    [
        "",
        "-v",
        "ubuntu",
        "--privileged",
        "--device",
        "--device=",
        "--device=/dev/sda",
        "--device=/dev/nvidia",
        "--device=/dev/nvidia-caps",
        "--device=/dev/nvidia0:/dev/sda",
        "--device=/dev/sda:/dev/nvidia0",
        "--device=/dev/nvidia0:rwm",
        "--device=/dev/nvidia0/../sda",
        "--device=/dev/nvidia0\n",
        "--device=/dev/nvidia\N{ARABIC-INDIC DIGIT ONE}",
        "--device=nvidia.com/gpu=all",
        "--volume=/:/usr/local/nvidia:ro",
        "--volume=/nvidia_driver_1:/usr/local/nvidia:ro",
        "--volume=../nvidia_driver_1:/usr/local/nvidia:ro",
        "--volume=nvidia_driver_..:/usr/local/nvidia:ro",
        "--volume=other_1:/usr/local/nvidia:ro",
        "--volume=nvidia_driver_1:/usr/local/nvidia",
        "--volume=nvidia_driver_1:/usr/local/nvidia:rw",
        "--volume=nvidia_driver_1:/usr/local/nvidia:ro,z",
        "--volume=nvidia_driver_1:/usr/local/bin:ro",
        "--volume=nvidia_driver_1,x=y:/usr/local/nvidia:ro",
        "--volume-driver=local",
        "--mount=type=bind,source=/,target=/host",
    ],
)
def test_hostile_rest_answers(word: str) -> None:
    """Nothing but driver nodes and the driver volume, read-only, at its place."""
    with pytest.raises(NvidiaDockerError):
        docker_cli.injection_of([*docker_cli.rest_arguments(BOTH), word])


def test_no_device_in_a_rest_answer() -> None:
    """A container without GPU would be no answer to who asks for one."""
    with pytest.raises(NvidiaDockerError, match="no device node"):
        docker_cli.injection_of(["--volume-driver=nvidia-docker"])
