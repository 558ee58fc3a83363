# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel module would show in /proc and /sys, as the content of three directories."""

from __future__ import annotations

import platform
from typing import Any

from .flat import COMPUTE_INSTANCES, GPU_INSTANCES, compute_instance_cap, gpu_instance_cap
from .machine import Machine, is_error, sysfs_bus_id

Files = dict[str, str]

_MIG_MINORS_OF_GPUS = 32
_SPEEDS = {1: "2.5", 2: "5.0", 3: "8.0", 4: "16.0", 5: "32.0", 6: "64.0"}


def proc_driver(machine: Machine) -> Files:
    """Below /proc/driver: ``nvidia`` and, where GPUs can do MIG, ``nvidia-caps``."""
    version = machine.get("module_version", machine["driver"])
    arch = platform.machine()
    module = (
        f"Open Kernel Module for {arch}" if machine.get("open_module") else f"{arch} Kernel Module"
    )
    files = {
        "nvidia/version": f"NVRM version: NVIDIA UNIX {module}  {version}  (simulated)\n"
        "GCC version:  simulated\n",
        "nvidia/params": "ModifyDeviceFiles: 1\nDeviceFileUID: 0\nDeviceFileGID: 0\n"
        "DeviceFileMode: 438\n",
        "nvidia/registry": "",
    }
    for switch in range(machine.get("nvswitches") or 0):
        files[f"nvidia-nvswitch/devices/0000:{0xC0 + switch:02x}:00.0/information"] = (
            f"BIOS: simulated\nDevice Minor: {switch}\n"
        )
    able = False
    for gpu in machine["gpus"]:
        if _told(gpu.get("busid")):
            files[f"nvidia/gpus/{sysfs_bus_id(gpu['busid'])}/information"] = _information(gpu)
        if gpu.get("mig_mode") is not None and isinstance(gpu.get("minor"), int):
            able = True
            files.update(_capabilities(gpu))
    if able:
        files["nvidia/capabilities/mig/config"] = _capability(1, 0o400)
        files["nvidia/capabilities/mig/monitor"] = _capability(2)
        files["nvidia-caps/mig-minors"] = _mig_minors()
    return files


def sys_module(machine: Machine) -> Files:
    """Below /sys/module: the driver's modules."""
    version = machine.get("module_version", machine["driver"])
    files = {"nvidia/version": f"{version}\n"}
    for module in ("nvidia", "nvidia_uvm", "nvidia_modeset"):
        files[f"{module}/initstate"] = "live\n"
        files[f"{module}/refcnt"] = "0\n"
    return files


def pci_devices(machine: Machine) -> Files:
    """Below /sys/bus/pci/devices: a directory per GPU, ``numa_node`` where the machine tells."""
    files: Files = {}
    for gpu in machine["gpus"]:
        bus_id = gpu.get("busid")
        if not _told(bus_id):
            continue
        folder = sysfs_bus_id(bus_id)
        ids = gpu.get("pci_device_id")
        files[f"{folder}/vendor"] = "0x10de\n"
        files[f"{folder}/class"] = "0x030200\n"
        if isinstance(ids, int):
            files[f"{folder}/device"] = f"0x{ids >> 16:04x}\n"
        files.update({f"{folder}/{name}": text for name, text in _link(gpu).items()})
        if isinstance(gpu.get("cpu_mask"), int):
            files[f"{folder}/local_cpulist"] = _cpu_list(gpu["cpu_mask"]) + "\n"
        node = machine.get("numa", {}).get(bus_id)
        if node is not None:
            files[f"{folder}/numa_node"] = f"{node}\n"
    return files


def _link(gpu: dict[str, Any]) -> Files:
    """The PCIe link, now and at most."""
    files = {}
    for name, generation, width in (
        ("max", gpu.get("pcie_gen"), gpu.get("pcie_width")),
        (
            "current",
            gpu.get("pcie_gen_now", gpu.get("pcie_gen")),
            gpu.get("pcie_width_now", gpu.get("pcie_width")),
        ),
    ):
        if generation in _SPEEDS:
            files[f"{name}_link_speed"] = f"{_SPEEDS[generation]} GT/s PCIe\n"
        if isinstance(width, int):
            files[f"{name}_link_width"] = f"{width}\n"
    return files


def _cpu_list(mask: int) -> str:
    """0b1101 is ``0,2-3``."""
    cpus = [cpu for cpu in range(64) if mask >> cpu & 1]
    starts = [cpu for cpu in cpus if cpu - 1 not in cpus]
    ends = [cpu for cpu in cpus if cpu + 1 not in cpus]
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends))


def _told(value: object) -> bool:
    return value is not None and not is_error(value)


def _or_unknown(value: Any) -> Any:
    return value if _told(value) else "Unknown"


def _or_na(value: Any) -> Any:
    return value if _told(value) else "N/A"


def _information(gpu: dict[str, Any]) -> str:
    rows = (
        ("Model:", _or_unknown(gpu.get("name"))),
        ("IRQ:", gpu.get("irq") if _told(gpu.get("irq")) else 0),
        ("GPU UUID:", _or_unknown(gpu.get("uuid"))),
        ("Video BIOS:", _or_unknown(gpu.get("vbios"))),
        ("Bus Type:", "PCIe"),
        ("DMA Size:", "47 bits"),
        ("DMA Mask:", "0x7fffffffffff"),
        ("Bus Location:", sysfs_bus_id(gpu["busid"])),
        ("Device Minor:", _or_unknown(gpu.get("minor"))),
        ("GPU Firmware:", _or_na(gpu.get("gsp_version"))),
        ("GPU Excluded:", "No"),
    )
    return "".join(f"{name} \t {value}\n" for name, value in rows)


def _capability(minor: int, mode: int = 0o444) -> str:
    return f"DeviceFileMinor: {minor}\nDeviceFileMode: {mode}\nDeviceFileModify: 1\n"


def _capabilities(gpu: dict[str, Any]) -> Files:
    minor = gpu["minor"]
    files: Files = {}
    for mig in gpu.get("migs", []):
        folder = f"nvidia/capabilities/gpu{minor}/mig/gi{mig['gi']}"
        files[f"{folder}/access"] = _capability(gpu_instance_cap(minor, mig["gi"]))
        cap = compute_instance_cap(minor, mig["gi"], mig["ci"])
        files[f"{folder}/ci{mig['ci']}/access"] = _capability(cap)
    return files


def _mig_minors() -> str:
    """The driver lists all that there could be, not what there is."""
    lines = ["config 1", "monitor 2"]
    for gpu in range(_MIG_MINORS_OF_GPUS):
        for instance in range(GPU_INSTANCES):
            lines.append(f"gpu{gpu}/gi{instance}/access {gpu_instance_cap(gpu, instance)}")
            lines += [
                f"gpu{gpu}/gi{instance}/ci{part}/access {compute_instance_cap(gpu, instance, part)}"
                for part in range(COMPUTE_INSTANCES)
            ]
    return "\n".join(lines) + "\n"
