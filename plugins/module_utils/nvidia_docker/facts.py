# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What more is known of a machine that is looked at closely: records of the module nvidia_facts.

``None`` means "this GPU, this driver or this kernel does not tell". Units are in the names, NVML's
functions in the module's RETURN. Records of subsets that are not gathered by default are in
subset_facts.py, as making a class takes longer than asking NVML.
"""

from __future__ import annotations

from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .model import Host
    from .subset_facts import (
        DeviceActivity,
        DeviceCondition,
        DeviceTopology,
        GpuProcess,
        Services,
    )


@dataclass(frozen=True)
class DeviceProperties:
    """What changes when a GPU is reconfigured, at most."""

    serial: str | None = None
    vbios: str | None = None
    gsp_firmware: str | None = None
    cuda_cores: int | None = None
    bar1_mib: int | None = None
    ecc_enabled: bool | None = None
    ecc_pending: bool | None = None
    """After the next reboot."""
    power_limit_default_milliwatts: int | None = None
    power_limit_min_milliwatts: int | None = None
    power_limit_max_milliwatts: int | None = None
    pcie_max_generation: int | None = None
    pcie_max_width: int | None = None
    numa_node: int | None = None
    cpu_affinity: str | None = None
    """As the kernel writes a list of CPUs: ``0-15,32-47``."""


@dataclass(frozen=True)
class DeviceFacts:
    """What was gathered of one GPU beyond its Device; ``None`` is a subset that was not wanted."""

    properties: DeviceProperties | None = None
    activity: DeviceActivity | None = None
    processes: tuple[GpuProcess, ...] | None = None
    topology: DeviceTopology | None = None
    condition: DeviceCondition | None = None


@dataclass(frozen=True)
class DeviceNode:
    """A device node that there is or should be."""

    path: str
    state: str
    """``present``, ``missing``, or ``wrong`` for one that is not the driver's."""
    owner: int | None = None
    group: int | None = None
    mode: str | None = None
    """Permissions, octal: ``0666``."""
    major: int | None = None
    minor: int | None = None


@dataclass(frozen=True)
class KernelFacts:
    """What the kernel has loaded for NVIDIA GPUs."""

    module_kind: str | None
    """``open`` or ``proprietary``."""
    modules: tuple[str, ...]
    nouveau_loaded: bool


@dataclass(frozen=True)
class HostFacts:
    """All that was gathered of a machine."""

    gathered: tuple[str, ...]
    host: Host
    libraries_match: bool | None
    """Whether the driver's libraries are of the version of the loaded kernel module."""
    kernel: KernelFacts
    device_nodes: tuple[DeviceNode, ...]
    devices: dict[str, DeviceFacts]
    """By UUID, of ``host.devices``."""
    services: Services | None
