# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The door to NVML through pynvml: no handle and no error code gets out of here.

"This GPU or this driver does not tell" becomes ``None`` in nvml_asker.py and nowhere else.
Reference: NVML API, https://docs.nvidia.com/deploy/nvml-api/
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ..model import ComputeProcess, Device, DeviceStatus, LinkType, sysfs_pci_bus_id
from . import nvml_status, pynvml_binding
from .nvml_asker import Asker, NvmlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .nvml_facts import CloseLook

# In the words of NVIDIA_REQUIRE_*'s brand, by nvmlBrandType_t.
_BRANDS = (
    *("unknown", "quadro", "tesla", "nvs", "grid", "geforce", "titan", "nvidiavapps"),
    *("nvidiavpc", "nvidiavcs", "nvidiavws", "nvidiacloudgaming", "quadrortx", "nvidiartx"),
    *("nvidia", "geforcertx", "titanrtx"),
)

# nvmlGpuTopologyLevel_t to v1's numbers.
_LINKS = {
    0: LinkType.SAME_BOARD,
    10: LinkType.SINGLE_PCI_SWITCH,
    20: LinkType.MULTIPLE_PCI_SWITCHES,
    30: LinkType.HOST_PCI_BRIDGE,
    40: LinkType.SAME_CPU_SOCKET,
    50: LinkType.CROSS_CPU_SOCKET,
}


@contextmanager
def session() -> Iterator[Nvml]:
    """Open NVML, give an ``Nvml``, close it. Raises DriverUnavailable with the reason."""
    with pynvml_binding.opened() as binding:
        yield Nvml(binding)


class Nvml:
    """NVML while it is open. A method returns ``None`` where the GPU or the driver does not tell,
    and raises NvmlError for any other refusal."""

    def __init__(self, binding: ModuleType) -> None:
        self._ask = Asker(binding)

    def driver_version(self) -> str | None:
        """nvmlSystemGetDriverVersion."""
        return self._ask.text("driver version", "nvmlSystemGetDriverVersion")

    def nvml_version(self) -> str | None:
        """nvmlSystemGetNVMLVersion."""
        return self._ask.text("NVML version", "nvmlSystemGetNVMLVersion")

    def cuda_version(self) -> str | None:
        """nvmlSystemGetCudaDriverVersion_v2 as ``12.4``; ``None`` without a usable libcuda."""
        try:
            number = self._ask.number("CUDA version", "nvmlSystemGetCudaDriverVersion_v2")
        except NvmlError:
            # NVML asks libcuda; a broken one costs this field only.
            return None
        return None if number is None else f"{number // 1000}.{number % 1000 // 10}"

    def devices(self) -> tuple[NvmlDevice, ...]:
        """One per GPU, in NVML index order; asking happens in NvmlDevice's methods."""
        count = self._ask.number("number of GPUs", "nvmlDeviceGetCount") or 0
        return tuple(NvmlDevice(self._ask, index) for index in range(count))

    def device(self, device: Device) -> NvmlDevice:
        """The GPU of that UUID, whatever its index is by now."""
        return NvmlDevice(self._ask, device.index, device.uuid)

    def compute_processes(self, uuid: str) -> tuple[ComputeProcess, ...] | None:
        """What computes on a GPU or MIG device; ``None`` also for any other refusal."""
        ask = self._ask.lenient()
        handle = ask.value(f"handle of {uuid}", "nvmlDeviceGetHandleByUUID", uuid)
        return None if handle is None else nvml_status.processes(ask, handle)


class NvmlDevice:
    """One GPU. Methods return and raise as Nvml's."""

    def __init__(self, ask: Asker, index: int, uuid: str | None = None) -> None:
        self.index = index
        self._ask = ask
        self._opened: Any = None
        self._by = (
            ("nvmlDeviceGetHandleByIndex", index)
            if uuid is None
            else ("nvmlDeviceGetHandleByUUID", uuid)
        )

    @property
    def _handle(self) -> Any:
        if self._opened is None:
            self._opened = self._ask.value(f"handle of GPU {self.index}", *self._by)
        return self._opened

    def status(self) -> DeviceStatus:
        """What the GPU does now. A field that NVML refuses for whatever reason is ``None``."""
        return nvml_status.read(self._ask.lenient(), self._handle)

    def uuid(self) -> str | None:
        """nvmlDeviceGetUUID, ``GPU-…``."""
        return self._ask.text("UUID", "nvmlDeviceGetUUID", self._handle)

    def minor_number(self) -> int | None:
        """nvmlDeviceGetMinorNumber: the N of /dev/nvidiaN."""
        return self._ask.number("minor number", "nvmlDeviceGetMinorNumber", self._handle)

    def pci_bus_id(self) -> str | None:
        """nvmlDeviceGetPciInfo as sysfs writes it."""
        info = self._ask.value("PCI bus id", "nvmlDeviceGetPciInfo", self._handle)
        text = "" if info is None else info.busId
        return sysfs_pci_bus_id(text.decode() if isinstance(text, bytes) else text)

    def name(self) -> str | None:
        """nvmlDeviceGetName."""
        return self._ask.text("name", "nvmlDeviceGetName", self._handle)

    def memory_mib(self) -> int | None:
        """nvmlDeviceGetMemoryInfo, total."""
        return self._ask.mib("memory size", "nvmlDeviceGetMemoryInfo", "total", self._handle)

    def compute_capability(self) -> str | None:
        """nvmlDeviceGetCudaComputeCapability as ``8.0``."""
        pair = self._ask.value(
            "compute capability", "nvmlDeviceGetCudaComputeCapability", self._handle
        )
        return None if pair is None else f"{pair[0]}.{pair[1]}"

    def brand(self) -> str | None:
        """nvmlDeviceGetBrand, lower case."""
        number = self._ask.number("brand", "nvmlDeviceGetBrand", self._handle)
        return _BRANDS[number] if number is not None and 0 < number < len(_BRANDS) else None

    def mig_mode(self) -> tuple[bool, bool | None]:
        """nvmlDeviceGetMigMode: now, and after the next reset; (False, None) if it can't do MIG."""
        mode = self._ask.value("MIG mode", "nvmlDeviceGetMigMode", self._handle)
        return (False, None) if mode is None else (mode[0] == 1, mode[1] == 1)

    def mig_devices(self) -> tuple[NvmlMigDevice, ...]:
        """nvmlDeviceGetMigDeviceHandleByIndex for every index that holds one."""
        found = []
        most = self._ask.number(
            "number of MIG devices", "nvmlDeviceGetMaxMigDeviceCount", self._handle
        )
        for index in range(most or 0):
            handle = self._ask.value(
                f"MIG device {self.index}:{index}",
                "nvmlDeviceGetMigDeviceHandleByIndex",
                self._handle,
                index,
                # A MIG device that was destroyed leaves its index empty.
                absent=(self._ask.nvml.NVML_ERROR_NOT_FOUND,),
            )
            if handle is not None:
                found.append(NvmlMigDevice(self._ask, handle, index))
        return tuple(found)

    def power_limit_watts(self) -> int | None:
        """nvmlDeviceGetPowerManagementLimit (mW), truncated."""
        limit = self._ask.number("power limit", "nvmlDeviceGetPowerManagementLimit", self._handle)
        return None if limit is None else limit // 1000

    def bar1_mib(self) -> int | None:
        """nvmlDeviceGetBAR1MemoryInfo, total."""
        return self._ask.mib("BAR1 size", "nvmlDeviceGetBAR1MemoryInfo", "bar1Total", self._handle)

    def pcie_generation(self) -> int | None:
        """nvmlDeviceGetMaxPcieLinkGeneration."""
        return self._ask.number(
            "PCIe generation", "nvmlDeviceGetMaxPcieLinkGeneration", self._handle
        )

    def pcie_width(self) -> int | None:
        """nvmlDeviceGetMaxPcieLinkWidth, lanes."""
        return self._ask.number("PCIe width", "nvmlDeviceGetMaxPcieLinkWidth", self._handle)

    def max_sm_clock_mhz(self) -> int | None:
        """nvmlDeviceGetMaxClockInfo, SM."""
        return self._max_clock("SM", self._ask.nvml.NVML_CLOCK_SM)

    def max_memory_clock_mhz(self) -> int | None:
        """nvmlDeviceGetMaxClockInfo, memory."""
        return self._max_clock("memory", self._ask.nvml.NVML_CLOCK_MEM)

    def _max_clock(self, what: str, kind: int) -> int | None:
        return self._ask.number(
            f"highest {what} clock", "nvmlDeviceGetMaxClockInfo", self._handle, kind
        )

    def link_to(self, other: NvmlDevice) -> LinkType:
        """nvmlDeviceGetTopologyCommonAncestor in v1's words."""
        level = self._ask.number(
            "topology", "nvmlDeviceGetTopologyCommonAncestor", self._handle, other._handle
        )
        return _LINKS.get(-1 if level is None else level, LinkType.UNKNOWN)

    def reach(self, other: NvmlDevice) -> tuple[LinkType, bool | None]:
        """How another GPU is connected, and whether its memory can be read."""
        return self.link_to(other), self.closely().can_read(other.closely())

    def closely(self) -> CloseLook:
        """What the module nvidia_facts tells beyond this; a refusal costs its field."""
        return _closely(self._ask, self._handle)


class NvmlMigDevice:
    """One MIG device. Methods return and raise as Nvml's."""

    def __init__(self, ask: Asker, handle: Any, index: int) -> None:
        self.index = index
        self._ask = ask
        self._handle = handle

    def uuid(self) -> str | None:
        """nvmlDeviceGetUUID, ``MIG-…``."""
        return self._ask.text("MIG UUID", "nvmlDeviceGetUUID", self._handle)

    def name(self) -> str | None:
        """nvmlDeviceGetName: the GPU's name and the MIG profile."""
        return self._ask.text("MIG name", "nvmlDeviceGetName", self._handle)

    def gpu_instance_id(self) -> int | None:
        """nvmlDeviceGetGpuInstanceId."""
        return self._ask.number("GPU instance", "nvmlDeviceGetGpuInstanceId", self._handle)

    def compute_instance_id(self) -> int | None:
        """nvmlDeviceGetComputeInstanceId."""
        return self._ask.number("compute instance", "nvmlDeviceGetComputeInstanceId", self._handle)

    def memory_mib(self) -> int | None:
        """nvmlDeviceGetMemoryInfo, total."""
        return self._ask.mib("MIG memory size", "nvmlDeviceGetMemoryInfo", "total", self._handle)

    def closely(self) -> CloseLook:
        """As NvmlDevice's."""
        return _closely(self._ask, self._handle)


def _closely(ask: Asker, handle: Any) -> CloseLook:
    # Here, as the programs import this module at their start and never look closely.
    from .nvml_facts import CloseLook

    return CloseLook(ask.lenient(), handle)
