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
    MissingDeviceNode,
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
    with pytest.raises(UnknownDevice, match=r"invalid device: 9: .* has 0 \(GPU-836c\)"):
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


def test_without_modprobe_a_complete_host_serves(host: Host, modprobe: Path) -> None:
    """Modules loaded at boot, all device nodes there: it would have nothing to do."""
    wanted = options(lambda: host, LABELLED, ("0",))
    modprobe.unlink()
    assert options(lambda: host, LABELLED, ("0",)) == wanted
    modprobe.write_text("")
    with pytest.raises(NvidiaDockerError, match="Permission denied"):
        options(lambda: host, LABELLED, ("0",))


@pytest.mark.parametrize("script", [None, "#!/bin/sh\necho no >&2; exit 1\n"])
def test_missing_nodes_and_no_modprobe(host: Host, modprobe: Path, script: str | None) -> None:
    """Both are told, as the one would have made the other."""
    modprobe.unlink()
    if script:
        modprobe.write_text(script)
        modprobe.chmod(0o755)
    bare = dataclasses.replace(host, missing_nodes=("/dev/nvidia-uvm", "/dev/nvidia1"))
    with pytest.raises(
        NvidiaDockerError,
        match=r"^missing device node /dev/nvidia-uvm, /dev/nvidia1: .*nvidia-modprobe -u -c=0",
    ):
        options(lambda: bare, LABELLED, ("0",))


def test_what_modprobe_made_is_looked_for(host: Host, modprobe: Path) -> None:
    """It has run when the machine is looked at again."""
    modprobe.write_text(f"#!/bin/sh\ntouch {modprobe}.made\n")

    def again() -> Host:
        assert Path(f"{modprobe}.made").exists()
        return host

    for bare in (
        dataclasses.replace(host, missing_nodes=("/dev/nvidia-uvm",)),
        dataclasses.replace(host, driver=NO_DRIVER, devices=(), reason="not loaded"),
    ):
        assert options(lambda: bare, LABELLED, ("0",), again) == options(  # noqa: B023
            lambda: host, LABELLED, ("0",)
        )


def test_nodes_that_are_still_missing(host: Host) -> None:
    """Only those of the selected GPUs matter."""
    bare = dataclasses.replace(host, missing_nodes=("/dev/nvidia2",))
    options(lambda: bare, LABELLED, ("1",), lambda: bare)
    with pytest.raises(MissingDeviceNode, match=r"/dev/nvidia2: .*'nvidia-modprobe -c=2'"):
        options(lambda: bare, LABELLED, ("0",), lambda: bare)
    bare = dataclasses.replace(host, missing_nodes=("/dev/nvidia-uvm",))
    with pytest.raises(NvidiaDockerError, match=r"^missing device node /dev/nvidia-uvm: "):
        options(lambda: bare, LABELLED, ("0",), lambda: bare)


def test_the_driver_does_not_come(host: Host) -> None:
    """nvidia-modprobe ran well, and NVML still says why it can't be used."""
    bare = dataclasses.replace(host, driver=NO_DRIVER, devices=(), reason="the module is missing")
    with pytest.raises(DriverUnavailable, match=r"^the module is missing"):
        options(lambda: bare, LABELLED, ("0",), lambda: bare)


def test_no_driver(host: Host, modprobe: Path) -> None:
    """The reason that discovery gave says more than a missing nvidia-modprobe."""
    modprobe.unlink()
    bare = dataclasses.replace(host, driver=NO_DRIVER, devices=(), reason="no libnvidia-ml.so.1")
    with pytest.raises(DriverUnavailable, match=r"no libnvidia-ml\.so\.1"):
        options(lambda: bare, LABELLED, ())
