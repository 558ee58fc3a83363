# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records of the subsets of nvidia_facts that are not gathered by default, as in facts.py."""

from __future__ import annotations

from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .model import LinkType


@dataclass(frozen=True)
class DeviceActivity:
    """What a GPU does now, and how it is set."""

    gpu_utilization_percent: int | None = None
    memory_utilization_percent: int | None = None
    encoder_utilization_percent: int | None = None
    decoder_utilization_percent: int | None = None
    memory_used_mib: int | None = None
    memory_total_mib: int | None = None
    bar1_used_mib: int | None = None
    temperature_celsius: int | None = None
    memory_temperature_celsius: int | None = None
    power_milliwatts: int | None = None
    power_limit_milliwatts: int | None = None
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    max_sm_clock_mhz: int | None = None
    max_memory_clock_mhz: int | None = None
    throttle_reasons: tuple[str, ...] | None = None
    performance_state: str | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    fan_percent: int | None = None
    compute_mode: str | None = None
    persistence_mode: bool | None = None


@dataclass(frozen=True)
class GpuProcess:
    """A process that uses a GPU."""

    pid: int
    """In the PID namespace of the host."""
    name: str | None
    type: str
    """``compute`` or ``graphics``."""
    memory_mib: int | None
    mig_uuid: str | None
    container_id: str | None


@dataclass(frozen=True)
class NvLinks:
    """The NVLinks of one GPU."""

    version: int | None
    active_links: int
    inactive_links: int


@dataclass(frozen=True)
class Peer:
    """Another GPU, as one GPU reaches it."""

    index: int
    pci_bus_id: str
    link: LinkType
    p2p: bool | None
    """Whether one can read the other's memory."""


@dataclass(frozen=True)
class DeviceTopology:
    """How a GPU is connected."""

    nvlink: NvLinks | None
    peers: tuple[Peer, ...]


@dataclass(frozen=True)
class DeviceCondition:
    """What tells whether a GPU is well."""

    ecc_corrected_volatile: int | None = None
    ecc_uncorrected_volatile: int | None = None
    ecc_corrected_aggregate: int | None = None
    ecc_uncorrected_aggregate: int | None = None
    ecc_enabled: bool | None = None
    ecc_pending: bool | None = None
    retired_pages_single_bit: int | None = None
    retired_pages_double_bit: int | None = None
    retired_pages_pending: bool | None = None
    remapped_rows_corrected: int | None = None
    remapped_rows_uncorrected: int | None = None
    remapped_rows_pending: bool | None = None
    remapped_rows_failed: bool | None = None
    temperature_celsius: int | None = None
    temperature_slowdown_celsius: int | None = None
    temperature_shutdown_celsius: int | None = None
    throttle_reasons: tuple[str, ...] | None = None
    persistence_mode: bool | None = None
    pcie_width: int | None = None
    pcie_max_width: int | None = None
    fabric_state: str | None = None
    fabric_error: int | None = None
    errors: tuple[str, ...] = ()
    """Questions that NVML refused with an error, and what it said."""


@dataclass(frozen=True)
class DockerEngine:
    """A Docker engine that answered."""

    version: str | None
    cgroup_driver: str | None
    cgroup_version: str | None
    default_runtime: str | None
    missing_char_links: tuple[str, ...]
    """Device nodes without a link below /dev/char."""
    containers_at_risk: tuple[str, ...] = ()
    """Running ones that lose their GPUs with ``systemctl daemon-reload``."""


@dataclass(frozen=True)
class FabricManager:
    """The program that sets up the NVSwitches of a machine."""

    version: str | None
    running: bool
    nvswitches: int


@dataclass(frozen=True)
class Services:
    """What runs on a host beside the driver."""

    toolkit_version: str | None
    docker: DockerEngine | None
    fabric_manager: FabricManager | None
    persistenced_running: bool
