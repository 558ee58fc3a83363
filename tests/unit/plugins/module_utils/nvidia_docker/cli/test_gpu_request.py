# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the options of a run say about GPUs."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cli import (
    docker_command,
    gpu_request,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.requirement import Image


@pytest.mark.parametrize(
    ("options", "own"),
    [
        ("", ""),
        ("--gpus all", "--gpus all"),
        ("--gpus=0 --gpus=1", "--gpus 1"),
        ("--runtime nvidia", "--runtime nvidia"),
        ("--runtime=nvidia-cdi", "--runtime nvidia-cdi"),
        ("--runtime nvidia --runtime runc", ""),
        ("--runtime runc", ""),
        ("--runtime nvidiafs", ""),
        ("--device /dev/nvidia0", "--device /dev/nvidia0"),
        ("--device=/dev/fuse --device /dev/nvidiactl:/dev/x:rw", None),
        ("--device /dev/fuse", ""),
        ("--device /dev/nvme0", ""),
        ("--device nvidia.com/gpu=all", "--device nvidia.com/gpu=all"),
        ("--device management.nvidia.com/gpu=all", "--device management.nvidia.com/gpu=all"),
        ("--device nvidia.com/imex-channel=0", "--device nvidia.com/imex-channel=0"),
        ("--device lab.example/gpu=0", "--device lab.example/gpu=0"),
        ("--device lab.example/gpu.coherent=0", "--device lab.example/gpu.coherent=0"),
        ("--device lab.example/net=0", ""),
        ("--device notnvidia.com/net=0", ""),
        ("--device gpu=0", ""),
        ("--device /gpu=0", ""),
        ("-e RUNTIME=nvidia --name nvidia", ""),
    ],
)
def test_gpus_asked_of_docker(options: str, own: str | None) -> None:
    """The option, as it is named in the warning."""
    expected = "--device /dev/nvidiactl:/dev/x:rw" if own is None else own
    found = docker_command.find(["run", *options.split(), "IMAGE", "--gpus", "all"])
    assert gpu_request.of_docker(found) == expected


IMAGE = Image("cuda", {"a": "b"}, {"PATH": "/bin", "NVIDIA_VISIBLE_DEVICES": "all"})


@pytest.mark.parametrize(
    ("given", "changed", "names"),
    [
        ((), {}, ""),
        (("A=1",), {"A": "1"}, "A"),
        (("A=1", "A=2"), {"A": "2"}, "A"),
        (("A=B=C", "D="), {"A": "B=C", "D": ""}, "A D"),
        (("PATH=/x",), {"PATH": "/x"}, "PATH"),
        (("HOME",), {"HOME": "/root"}, "HOME"),
        (("EMPTY",), {"EMPTY": ""}, "EMPTY"),
        (("PATH", "NEW"), {"PATH": None}, "PATH NEW"),
        (("PATH", "PATH=/y"), {"PATH": "/y"}, "PATH"),
        (("PATH=/y", "PATH"), {"PATH": None}, "PATH"),
    ],
)
def test_environment_in_the_container(given, changed, names) -> None:
    """As docker reads --env: the last one counts; the caller's value, or none, for a name alone."""
    image = gpu_request.in_container(IMAGE, given, {"HOME": "/root", "EMPTY": ""})
    expected = {**IMAGE.environment, **changed}
    assert image.environment == {key: text for key, text in expected.items() if text is not None}
    assert image.given == frozenset(names.split())
    assert (image.reference, image.labels) == (IMAGE.reference, IMAGE.labels)
    assert IMAGE.environment == {"PATH": "/bin", "NVIDIA_VISIBLE_DEVICES": "all"}


@pytest.mark.parametrize(
    ("nv_gpu", "value", "found"),
    [
        ((), None, ()),
        ((), "", None),
        ((), "all", ("all",)),
        ((), " 0, GPU-8,", ("0", "GPU-8")),
        ((), "0,void", None),
        (("1", "0:1"), None, ("1", "0:1")),
        (("1",), "void", ("1",)),
        (("void",), "all", None),
        (("none",), "all", ("none",)),
        (("0", "all"), None, ("all",)),
    ],
)
def test_identifiers(nv_gpu, value, found) -> None:
    """NV_GPU comes first; both are read by the one grammar that test_selection.py has in full."""
    environment = {} if value is None else {"NVIDIA_VISIBLE_DEVICES": value}
    assert gpu_request.identifiers(nv_gpu, Image("i", {}, environment)) == found
