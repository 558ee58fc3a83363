# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a host to docker's options. nvidia-modprobe is a stand-in found in PATH."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cli.local import (
    options,
    unknown_volumes,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverUnavailable,
    NvidiaDockerError,
    UnknownDevice,
    UnmetRequirement,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    Driver,
    Host,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.requirement import Image

CONTROL = ["--device=/dev/nvidiactl", "--device=/dev/nvidia-uvm", "--device=/dev/nvidia-uvm-tools"]
VOLUME = [
    "--mount=type=volume,source=nvidia_driver_375.26,target=/usr/local/nvidia,readonly,"
    "volume-driver=nvidia-docker"
]
LABELLED = Image("cuda", {"com.nvidia.volumes.needed": "nvidia_driver"}, {})
NO_DRIVER = Driver(None, None, None, None)


@pytest.fixture(autouse=True)
def modprobe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "nvidia-modprobe"
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return path


def labelled(volumes: str, cuda: str = "") -> Image:
    return Image(
        "cuda", {"com.nvidia.volumes.needed": volumes, "com.nvidia.cuda.version": cuda}, {}
    )


@pytest.mark.parametrize(
    ("gpus", "nodes"),
    [
        (("0", "1"), ["/dev/nvidia2", "/dev/nvidia0"]),
        (("1", "0", "1"), ["/dev/nvidia2", "/dev/nvidia0"]),
        (("GPU-836c",), ["/dev/nvidia2"]),
        (("0000:07:00.0",), ["/dev/nvidia0"]),
        (("none",), []),
    ],
)
def test_devices_then_volume(host: Host, gpus: tuple[str, ...], nodes: list[str]) -> None:
    """The control device nodes, the selected GPUs in NVML order, the driver volume."""
    devices = [f"--device={node}" for node in nodes]
    assert options(lambda: host, LABELLED, gpus) == CONTROL + devices + VOLUME


def test_no_selection_is_all(host: Host) -> None:
    """An empty NV_GPU: every GPU, here with the capability nodes of the last one's MIG devices."""
    assert options(lambda: host, LABELLED, ()) == options(lambda: host, LABELLED, ("all",))
    assert "--device=/dev/nvidia3" in options(lambda: host, LABELLED, ())


def test_modern_image(host: Host) -> None:
    """Without labels it needs the driver volume as well, and to find it."""
    image = Image("cuda", {}, {"NVIDIA_VISIBLE_DEVICES": "all"})
    paths = [
        "--env=PATH=/usr/local/nvidia/bin"
        ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "--env=LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
    ]
    assert options(lambda: host, image, ("0",))[-3:] == [*VOLUME, *paths]
    own = Image("cuda", {}, image.environment, frozenset({"PATH"}))
    assert options(lambda: host, own, ("0",))[-2:] == [*VOLUME, paths[1]]


def test_only_unknown_volumes(host: Host) -> None:
    """Devices without the driver volume, as v1; the front warns."""
    image = labelled("other_volume")
    assert unknown_volumes(image) == ("other_volume",)
    assert options(lambda: host, image, ("0",)) == [*CONTROL, "--device=/dev/nvidia2"]
    assert options(lambda: host, labelled("nvidia_driver nvidia_driver"), ("0",))[-1:] == VOLUME


def test_driver_without_gpu(host: Host) -> None:
    """A machine that has lost its GPUs still gives the driver, as v1."""
    bare = dataclasses.replace(host, devices=(), reason="the driver is loaded but reports no GPU")
    assert options(lambda: bare, LABELLED, ()) == CONTROL + VOLUME


def test_unknown_gpu(host: Host) -> None:
    """The sentence names it and what there is."""
    with pytest.raises(UnknownDevice, match=r"unknown GPU '9': .* has 0 \(GPU-836c\)"):
        options(lambda: host, LABELLED, ("9",))


def test_cuda_too_old(host: Host) -> None:
    """v1's sentence."""
    with pytest.raises(UnmetRequirement) as caught:
        options(lambda: host, labelled("nvidia_driver", "9.0.176"), ("0",))
    assert str(caught.value) == "unsupported CUDA version: driver 8.0 < image 9.0.176"


def test_modprobe_fails(host: Host, modprobe: Path) -> None:
    """The driver is there, the unified memory module can't be loaded."""
    modprobe.write_text("#!/bin/sh\necho no module >&2\nexit 1\n")
    with pytest.raises(NvidiaDockerError, match=r"nvidia-uvm \(status 1\): no module"):
        options(lambda: host, LABELLED, ("0",))


def test_no_driver(host: Host, modprobe: Path) -> None:
    """The reason that discovery gave says more than a missing nvidia-modprobe."""
    modprobe.unlink()
    bare = dataclasses.replace(host, driver=NO_DRIVER, devices=(), reason="no libnvidia-ml.so.1")
    with pytest.raises(DriverUnavailable, match=r"no libnvidia-ml\.so\.1"):
        options(lambda: bare, LABELLED, ())
