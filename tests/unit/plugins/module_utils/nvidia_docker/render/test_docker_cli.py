# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docker_cli.py"""

from __future__ import annotations

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
