# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this package knows of a machine: frozen records, filled by host/discovery.py.

``None`` means "this GPU or this driver does not tell"; identity fields are never ``None``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

_PCI_BUS_ID = re.compile(
    r"(?:(?P<domain>[0-9a-f]{1,8}):)?(?P<bus>[0-9a-f]{1,2}):(?P<device>[0-9a-f]{1,2})\.(?P<function>[0-7])",
    re.IGNORECASE,
)
_GRAPHICS_PROFILE = "+gfx"
"""End of the MIG profiles that can draw."""
_DEVICE_NODE = re.compile(
    r"/dev/nvidia([0-9]{1,4}|ctl|-uvm|-uvm-tools|-modeset|-caps/nvidia-cap[0-9]{1,9})"
)


def sysfs_pci_bus_id(text: str) -> str | None:
    """Return a PCI bus id as sysfs writes it, ``0000:af:00.0``, or ``None`` if it is none.

    Takes NVML's forms (``0000:AF:00.0``, ``00000000:AF:00.0``) and what people type (``af:0.0``).
    """
    match = _PCI_BUS_ID.fullmatch(text)
    if match is None:
        return None
    domain, bus, device = (int(match[key] or "0", 16) for key in ("domain", "bus", "device"))
    return f"{domain:04x}:{bus:02x}:{device:02x}.{match['function']}"


@dataclass(frozen=True)
class Driver:
    """The NVIDIA driver: user-space library (NVML), CUDA, and the loaded kernel module."""

    version: str | None
    """Of libnvidia-ml, e.g. ``550.163.01`` (nvmlSystemGetDriverVersion)."""
    cuda_version: str | None
    """Highest CUDA version that the driver serves, e.g. ``12.4``."""
    nvml_version: str | None
    """nvmlSystemGetNVMLVersion, e.g. ``12.550.163.01``."""
    module_version: str | None
    """Of the loaded kernel module (/sys/module/nvidia/version)."""


@dataclass(frozen=True)
class MigDevice:
    """A compute instance in a GPU instance; a container can be given it alone."""

    uuid: str
    """``MIG-…``."""
    index: int
    """NVML's MIG device index on its GPU: the ``1`` of ``0:1``."""
    gpu_index: int
    gpu_uuid: str
    gpu_instance_id: int
    compute_instance_id: int
    name: str | None
    """e.g. ``NVIDIA A100-SXM4-40GB MIG 1g.5gb``."""
    profile: str | None
    """e.g. ``1g.5gb``."""
    memory_mib: int | None
    node: str
    """Device node of the GPU that holds it, e.g. ``/dev/nvidia0``."""
    capability_nodes: tuple[str, ...]
    """``/dev/nvidia-caps/nvidia-capN`` of the GPU instance, then of the compute instance."""

    @property
    def device_nodes(self) -> tuple[str, ...]:
        """Every device node that a container needs beyond the control device nodes."""
        return (self.node, *self.capability_nodes)

    @property
    def draws(self) -> bool:
        """Whether its profile has graphics."""
        return (self.profile or "").endswith(_GRAPHICS_PROFILE)


@dataclass(frozen=True)
class Device:
    """One physical GPU, as far as a container needs to know it."""

    index: int
    """NVML's position; may change at reboot."""
    uuid: str
    """``GPU-…``, stable."""
    minor_number: int
    """The N of /dev/nvidiaN; not the index."""
    pci_bus_id: str
    """As in sysfs: ``0000:af:00.0`` (four-digit domain, lower case; longer domains as they are)."""
    name: str | None
    memory_mib: int | None
    compute_capability: str | None
    """e.g. ``8.0``."""
    brand: str | None
    """In NVIDIA_REQUIRE_*'s words, lower case: ``tesla``, ``geforce`` …"""
    mig_enabled: bool
    mig_devices: tuple[MigDevice, ...]
    mig_pending: bool | None = None
    """MIG mode after the next reset; ``None`` if the GPU can't do MIG."""

    @property
    def node(self) -> str:
        """The GPU's device node."""
        return device_node(self.minor_number)

    @property
    def device_nodes(self) -> tuple[str, ...]:
        """Every device node that a container needs beyond the control device nodes."""
        return (self.node,)

    @property
    def draws(self) -> bool:
        """A whole GPU has graphics."""
        return True


@dataclass(frozen=True)
class UnreadableDevice:
    """A GPU that NVML does not open or identify; the others are served all the same."""

    index: int | None
    """``None`` if NVML does not list it at all."""
    pci_bus_id: str | None
    reason: str

    @property
    def known_as(self) -> str:
        """What a user can find it by: PCI bus id, else index."""
        return self.pci_bus_id or str(self.index)


@dataclass(frozen=True)
class Host:
    """One machine as discovered."""

    driver: Driver
    devices: tuple[Device, ...]
    """In NVML index order, which is the order of PCI bus ids."""
    unreadable: tuple[UnreadableDevice, ...]
    control_nodes: tuple[str, ...]
    """Control device nodes that are there and the driver's, in the order of ``CONTROL_NODES``."""
    missing_nodes: tuple[str, ...]
    """Device nodes that the driver should have made but that are not there, or not the driver's."""
    reason: str | None
    """Why there is no usable GPU; ``None`` when there is one."""


DEVICE_NODES = "/dev/nvidia"
"""How the path of each of the driver's device nodes begins."""
CONTROL_NODES = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")
"""v1's control device nodes, in v1's order."""
REQUIRED_CONTROL_NODES = ("/dev/nvidiactl", "/dev/nvidia-uvm")
"""Without these no container can use a GPU; nvidia-uvm-tools is for profilers only."""


MODESET_NODE = "/dev/nvidia-modeset"
"""For driver capability ``display``."""


def device_node(minor: int) -> str:
    """Return the device node of the GPU of that minor number."""
    return f"/dev/nvidia{minor}"


def capability_node(minor: int) -> str:
    """Return the capability device node of that minor number (/proc/driver/nvidia-caps)."""
    return f"/dev/nvidia-caps/nvidia-cap{minor}"


def node_driver(path: str) -> str:
    """Return whose device node it is: ``nvidia-uvm``, ``nvidia-caps``, or ``nvidia`` for GPUs."""
    if path.startswith("/dev/nvidia-uvm"):
        return "nvidia-uvm"
    return "nvidia-caps" if path.startswith("/dev/nvidia-caps/") else "nvidia"


def node_maker(path: str) -> str:
    """Return the command that makes a device node; nvidia-modprobe's -c takes a minor number."""
    driver = node_driver(path)
    if driver == "nvidia-uvm":
        return "nvidia-modprobe -u -c=0"
    if driver == "nvidia-caps":
        return "nvidia-smi -L"
    number = path[len("/dev/nvidia") :]
    return f"nvidia-modprobe -c={255 if number == 'ctl' else number}"


def is_device_node(path: str) -> bool:
    """Whether a path is one of the NVIDIA driver's, as another machine may name it."""
    return _DEVICE_NODE.fullmatch(path) is not None


@dataclass(frozen=True)
class DeviceNode:
    """A device node as it is on this host."""

    path: str
    major: int
    minor: int
    mode: int
    """The permission bits."""
    uid: int
    gid: int

    @property
    def needed_group(self) -> int | None:
        """The group that opens this node to others than its owner; ``None``: all may, or none."""
        for_group, for_all = self.mode >> 3 & _READ_WRITE, self.mode & _READ_WRITE
        return self.gid if self.gid and for_group & ~for_all else None


_READ_WRITE = 0o6


class LinkType(IntEnum):
    """How two GPUs are connected, numbered as in v1's JSON."""

    UNKNOWN = 0
    CROSS_CPU_SOCKET = 1
    SAME_CPU_SOCKET = 2
    HOST_PCI_BRIDGE = 3
    MULTIPLE_PCI_SWITCHES = 4
    SINGLE_PCI_SWITCH = 5
    SAME_BOARD = 6


@dataclass(frozen=True)
class P2PLink:
    """A peer that this GPU can access directly."""

    pci_bus_id: str
    link: LinkType


@dataclass(frozen=True)
class DeviceDetails:
    """What does not change while the driver is loaded (v1's /gpu/info)."""

    power_limit_watts: int | None
    numa_node: int
    """0 when sysfs does not say, as v1."""
    bar1_mib: int | None
    pcie_generation: int | None
    """Highest that GPU and slot can do."""
    pcie_width: int | None
    max_sm_clock_mhz: int | None
    max_memory_clock_mhz: int | None
    links: tuple[P2PLink, ...] | None
    compute_capability: tuple[int, int] | None
    """(major, minor)."""
    multiprocessors: int | None
    ecc_enabled: bool | None
    global_memory_mib: int | None
    shared_memory_kib: int | None
    """Per multiprocessor."""
    constant_memory_kib: int | None
    l2_cache_kib: int | None
    memory_clock_khz: int | None
    memory_bus_width_bits: int | None


@dataclass(frozen=True)
class ComputeProcess:
    """A process that computes on a GPU (nvmlDeviceGetComputeRunningProcesses)."""

    pid: int
    """In the PID namespace of the host."""
    name: str | None
    """``None`` when it has ended since, or is hidden from this process."""
    memory_bytes: int | None
    """GPU memory; ``None`` for example where the driver can't attribute it (MPS)."""


@dataclass(frozen=True)
class DeviceStatus:
    """What a GPU does at one moment, in NVML's units (v1's /gpu/status)."""

    power_milliwatts: int | None = None
    """Drawn (nvmlDeviceGetPowerUsage)."""
    power_limit_milliwatts: int | None = None
    """nvmlDeviceGetPowerManagementLimit; can be set while the driver is loaded."""
    temperature_celsius: int | None = None
    """Of the GPU's core (nvmlDeviceGetTemperature)."""
    gpu_utilization_percent: int | None = None
    """Of the time, in which a kernel ran (nvmlDeviceGetUtilizationRates)."""
    memory_utilization_percent: int | None = None
    """Of the time, in which memory was read or written; not how full it is."""
    encoder_utilization_percent: int | None = None
    decoder_utilization_percent: int | None = None
    memory_used_bytes: int | None = None
    """Device memory, with what the driver keeps for itself (nvmlDeviceGetMemoryInfo)."""
    memory_total_bytes: int | None = None
    bar1_used_bytes: int | None = None
    """Of the window through which the CPU reaches device memory (nvmlDeviceGetBAR1MemoryInfo)."""
    bar1_total_bytes: int | None = None
    pcie_received_kb_per_s: int | None = None
    """By the GPU, measured over 20 ms; 1 KB is 1000 bytes (nvmlDeviceGetPcieThroughput)."""
    pcie_sent_kb_per_s: int | None = None
    sm_clock_mhz: int | None = None
    """Now (nvmlDeviceGetClockInfo)."""
    memory_clock_mhz: int | None = None
    l1_ecc_errors: int | None = None
    """Uncorrected errors since the driver was loaded (nvmlDeviceGetMemoryErrorCounter)."""
    l2_ecc_errors: int | None = None
    memory_ecc_errors: int | None = None
    """In device memory."""
    processes: tuple[ComputeProcess, ...] | None = None
