# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts as values, for tests of what follows from them."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    CONTROL_NODES,
    Device,
    Driver,
    Host,
    MigDevice,
)


def gpu(index: int, minor: int, uuid: str, pci_bus_id: str, migs: tuple = (), cc: str = "6.0"):
    return Device(
        index=index,
        uuid=uuid,
        minor_number=minor,
        pci_bus_id=pci_bus_id,
        name="Tesla",
        memory_mib=16276,
        compute_capability=cc,
        brand="tesla",
        mig_enabled=bool(migs),
        mig_devices=migs,
    )


def mig(index: int, uuid: str) -> MigDevice:
    return MigDevice(
        uuid=uuid,
        index=index,
        gpu_index=3,
        gpu_uuid="GPU-dd",
        gpu_instance_id=7 + index,
        compute_instance_id=0,
        name="A100 MIG 1g.5gb",
        profile="1g.5gb",
        memory_mib=4864,
        node="/dev/nvidia3",
        capability_nodes=(
            f"/dev/nvidia-caps/nvidia-cap{index}1",
            f"/dev/nvidia-caps/nvidia-cap{index}2",
        ),
    )


@pytest.fixture
def host() -> Host:
    """Four GPUs: minor numbers differ from indices, two UUIDs share a start, the last has MIG."""
    return Host(
        driver=Driver("375.26", "8.0", "8.375.26", "375.26"),
        devices=(
            gpu(0, 2, "GPU-836c", "0000:04:00.0"),
            gpu(1, 0, "GPU-b78a-1", "0000:07:00.0"),
            gpu(2, 1, "GPU-b78a-2", "0001:08:00.0"),
            gpu(3, 3, "GPU-dd", "0000:af:00.0", (mig(0, "MIG-aa"), mig(1, "MIG-ab")), "8.0"),
        ),
        unreadable=(),
        control_nodes=CONTROL_NODES,
        missing_nodes=(),
        reason=None,
    )
