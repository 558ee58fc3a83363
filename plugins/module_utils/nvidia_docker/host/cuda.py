# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A few calls into libcuda for what NVML does not tell (v1's /gpu/info fields).

No context is made, so nothing is allocated on a GPU. A machine without a usable libcuda costs these
fields only. Reference: CUDA driver API, device management.
"""

from __future__ import annotations

import ctypes
from enum import IntEnum


class Attribute(IntEnum):
    """CUdevice_attribute."""

    CONSTANT_MEMORY = 9
    MULTIPROCESSORS = 16
    ECC_ENABLED = 32
    MEMORY_CLOCK_KHZ = 36
    MEMORY_BUS_WIDTH = 37
    L2_CACHE = 38
    COMPUTE_CAPABILITY_MAJOR = 75
    COMPUTE_CAPABILITY_MINOR = 76
    SHARED_MEMORY_PER_MULTIPROCESSOR = 81


class Cuda:
    """libcuda after cuInit."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def device(self, pci_bus_id: str) -> CudaDevice | None:
        """cuDeviceGetByPCIBusId; ``None`` if CUDA does not know this GPU."""
        device = ctypes.c_int()
        if self._library.cuDeviceGetByPCIBusId(ctypes.byref(device), pci_bus_id.encode()) != 0:
            return None
        return CudaDevice(self._library, device.value)


class CudaDevice:
    """One GPU as CUDA sees it."""

    def __init__(self, library: ctypes.CDLL, device: int) -> None:
        self._library = library
        self._device = device

    def attribute(self, attribute: Attribute) -> int | None:
        """cuDeviceGetAttribute, in CUDA's unit (bytes, kHz, bits, counts)."""
        value = ctypes.c_int()
        status = self._library.cuDeviceGetAttribute(
            ctypes.byref(value), int(attribute), self._device
        )
        return value.value if status == 0 else None

    def memory_bytes(self) -> int | None:
        """cuDeviceTotalMem."""
        value = ctypes.c_size_t()
        status = self._library.cuDeviceTotalMem_v2(ctypes.byref(value), self._device)
        return value.value if status == 0 else None

    def can_access(self, peer: CudaDevice) -> bool:
        """cuDeviceCanAccessPeer."""
        value = ctypes.c_int()
        status = self._library.cuDeviceCanAccessPeer(
            ctypes.byref(value), self._device, peer._device
        )
        return status == 0 and value.value == 1


def load() -> Cuda | None:
    """Return CUDA, or ``None`` if this host has no usable libcuda.so.1."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    return Cuda(library) if library.cuInit(0) == 0 else None
