# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""injection.py"""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    MissingDeviceNode,
    UnknownVolume,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.injection import (
    STABLE_NAME,
    Injection,
    Mount,
    VolumeName,
    plan,
)

CONTROL = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")
MOUNT = Mount("nvidia_driver_375.26", "/usr/local/nvidia", "nvidia-docker")


def test_a_plan_is_control_nodes_then_devices_then_the_volume(host) -> None:
    """Minor numbers, not indices, name the nodes."""
    injection = plan(host, host.devices[:2], VolumeName("375.26"))
    assert injection == Injection((*CONTROL, "/dev/nvidia2", "/dev/nvidia0"), (MOUNT,))


def test_mig_devices_of_one_gpu_share_its_node(host) -> None:
    """Nothing is there twice."""
    nodes = plan(host, host.devices[3].mig_devices, None).device_nodes[len(CONTROL) :]
    caps = tuple(f"/dev/nvidia-caps/nvidia-cap{n}" for n in ("01", "02", "11", "12"))
    assert nodes == ("/dev/nvidia3", *caps)


def test_no_device_still_gives_the_control_nodes(host) -> None:
    """As v1 on a machine without GPU."""
    assert plan(host, (), None) == Injection(CONTROL)


def test_uvm_tools_is_left_out_where_it_does_not_exist(host) -> None:
    """It serves profilers only; v1 checked this one node."""
    without = dataclasses.replace(host, control_nodes=CONTROL[:2])
    assert plan(without, (), None).device_nodes == CONTROL[:2]


@pytest.mark.parametrize("path", ["/dev/nvidia2", "/dev/nvidiactl"])
def test_a_missing_node_is_named(host, path) -> None:
    """Docker would say less, later."""
    broken = dataclasses.replace(host, missing_nodes=(path,))
    with pytest.raises(MissingDeviceNode, match=f"{path}: .* run 'nvidia-modprobe -"):
        plan(broken, host.devices[:1], None)


@pytest.mark.parametrize(
    ("paths", "commands"),
    [
        (("/dev/nvidiactl",), "'nvidia-modprobe -c=255'"),
        (("/dev/nvidia12",), "'nvidia-modprobe -c=12'"),
        (("/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"), "'nvidia-modprobe -u -c=0'"),
        (
            ("/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap11"),
            "'nvidia-modprobe -c=0' and 'nvidia-smi -L'",
        ),
    ],
)
def test_what_makes_a_missing_node_is_told(paths, commands) -> None:
    """Each command once."""
    assert f"{', '.join(paths)}: " in str(MissingDeviceNode(paths))
    assert f" run {commands} as root on this host" in str(MissingDeviceNode(paths))


def test_a_missing_node_of_another_gpu_does_not_matter(host) -> None:
    """Only what is asked for must be there."""
    broken = dataclasses.replace(host, missing_nodes=("/dev/nvidia1",))
    assert plan(broken, host.devices[:1], None)


@pytest.mark.parametrize("version", ["375.26", "550.163.01", "1"])
def test_volume_names_are_read_back(version) -> None:
    """Parse and print are inverse."""
    assert str(VolumeName.parse(f"nvidia_driver_{version}")) == f"nvidia_driver_{version}"


def test_the_stable_name_has_no_version() -> None:
    """v1 had none."""
    assert VolumeName.parse("nvidia_driver") == STABLE_NAME
    assert str(STABLE_NAME) == "nvidia_driver"


BAD_NAMES = [
    ("my_volume", "bad volume format: my_volume"),
    ("nvidia_driver_..", "bad volume format: nvidia_driver_.."),
    ("nvidia_driver_.", "bad volume format"),
    ("nvidia_driver_1..2", "bad volume format"),
    ("nvidia_driver_375.26\n", "bad volume format"),
    ("nvidia_driver_375.26/..", "bad volume format"),
    ("nvidia_driver_", "bad volume format"),
    ("nvidia", "bad volume format"),
    ("_375.26", "bad volume format"),
    ("", "bad volume format: "),
    ("other_375.26", "unsupported volume: other_375.26"),
    ("../nvidia_driver_375.26", "bad volume format"),
]


@pytest.mark.parametrize(("name", "sentence"), BAD_NAMES)
def test_other_names_are_refused_in_v1s_words(name, sentence) -> None:
    """A version is digits joined by single dots: v1 let '..' delete the volumes root."""
    with pytest.raises(UnknownVolume) as caught:
        VolumeName.parse(name)
    assert sentence in str(caught.value)
