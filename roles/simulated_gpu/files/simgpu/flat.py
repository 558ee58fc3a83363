# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine as the sorted ``key=text`` lines that the C libraries read.

What follows from something else is worked out here, so that the C side only looks up.
"""

from __future__ import annotations

from typing import Any

from .machine import Machine, bus_id_parts, check_machine, is_error, profile_parts

NOT_SUPPORTED = "err:3"
DRIVER_NOT_LOADED = "err:9"
LIBRARY_MISMATCH = "err:18"

UVM_MAJOR = 511
CAPS_MAJOR = 510

# Capability minors as the driver numbers them; 1 and 2 are config and monitor.
_FIRST_INSTANCE_CAP = 3
_CAPS_PER_GPU_INSTANCE = 9
GPU_INSTANCES = 15
COMPUTE_INSTANCES = 8

_ARCHITECTURES = {
    (3, 0): 2,
    (5, 0): 3,
    (6, 0): 4,
    (7, 0): 5,
    (7, 5): 6,
    (8, 0): 7,
    (8, 9): 8,
    (9, 0): 9,
    (10, 0): 10,
}
_CORES_PER_SM = {
    (2, 0): 32,
    (2, 1): 48,
    (3, 0): 192,
    (5, 0): 128,
    (6, 0): 64,
    (6, 1): 128,
    (7, 0): 64,
    (8, 6): 128,
}
_BRANDS = {"Quadro": 1, "Tesla": 2, "NVS": 3, "GRID": 4, "GeForce": 5, "TITAN": 6, "NVIDIA": 14}


def gpu_instance_cap(gpu_minor: int, gpu_instance: int) -> int:
    """The minor of the capability node that opens a GPU instance."""
    return _FIRST_INSTANCE_CAP + (gpu_minor * GPU_INSTANCES + gpu_instance) * _CAPS_PER_GPU_INSTANCE


def compute_instance_cap(gpu_minor: int, gpu_instance: int, compute_instance: int) -> int:
    """The minor of the capability node that opens a compute instance."""
    return gpu_instance_cap(gpu_minor, gpu_instance) + 1 + compute_instance


def flatten(machine: Machine, nodes: bool = True) -> str:
    """The state of a machine.

    :param nodes: whether a GPU counts only where its device node is usable, as on a real host
    :raises SimulationError: the machine is not right
    """
    check_machine(machine)
    driver = machine["driver"]
    cuda = machine.get("cuda")
    lines: dict[str, Any] = {
        "driver": driver,
        "branch": "r" + driver.split(".")[0] + "_00",
        "nvml": f"{cuda // 1000 if isinstance(cuda, int) and cuda else 8}.{driver}",
        "cuda": cuda,
        "nodes": "check" if nodes else "ignore",
        "gpus": len(machine["gpus"]),
        "uvm_major": machine.get("uvm_major", UVM_MAJOR),
        "caps_major": machine.get("caps_major", CAPS_MAJOR),
        "modprobe_rc": machine.get("modprobe_rc", 0),
    }
    lines.update(
        {key: machine[key] for key in ("hang", "delay_ms") if machine.get(key) is not None}
    )
    if machine.get("init") is not None:
        lines["init"] = machine["init"]
    elif machine.get("module_version", driver) != driver:
        lines["init"] = LIBRARY_MISMATCH
    for kind in ("topo", "p2p"):
        lines.update({f"{kind}.{pair}": value for pair, value in machine.get(kind, {}).items()})
    lines.update({f"proc.{pid}": name for pid, name in machine.get("procs", {}).items()})
    for number, gpu in enumerate(machine["gpus"]):
        whole = _whole_gpu(gpu, machine)
        lines.update({f"gpu.{number}.{field}": value for field, value in whole.items()})
        for place, mig in enumerate(gpu.get("migs", [])):
            lines.update(
                {f"gpu.{number}.mig.{place}.{f}": v for f, v in _whole_mig(mig, whole).items()}
            )
    return "".join(f"{key}={_text(value)}\n" for key, value in sorted(lines.items()))


def with_init_error(state: str, error: str) -> str:
    """The same state, but NVML cannot be started."""
    lines = [line for line in state.splitlines() if not line.startswith("init=")]
    return "".join(f"{line}\n" for line in sorted([*lines, f"init={error}"], key=_key))


def _key(line: str) -> str:
    return line.partition("=")[0]


def _text(value: object) -> str:
    if value is None:
        return NOT_SUPPORTED
    return str(int(value)) if isinstance(value, bool) else str(value)


def _at_least(table: dict[Any, int], wanted: Any) -> int | None:
    """The entry of the highest key that is not above the wanted one."""
    fitting = [key for key in table if key <= wanted]
    return table[max(fitting)] if fitting else None


def _whole_gpu(gpu: dict[str, Any], machine: Machine) -> dict[str, Any]:
    derived: dict[str, Any] = {
        "minor": None,
        "pcie_gen_now": gpu.get("pcie_gen"),
        "pcie_width_now": gpu.get("pcie_width"),
        "power_default_mw": gpu.get("power_limit_mw"),
        "power_max_mw": gpu.get("power_limit_mw"),
        "power_management": None if gpu.get("power_limit_mw") is None else 1,
        "video_clock": gpu.get("sm_clock"),
        "max_video_clock": gpu.get("max_sm_clock"),
        "pstate": None if gpu.get("sm_clock") is None else 0,
        "ecc_mode": None if gpu.get("ecc_mem") is None else gpu.get("ecc"),
        "ecc_mode_pending": gpu.get(
            "ecc_mode", None if gpu.get("ecc_mem") is None else gpu.get("ecc")
        ),
        **_ecc_totals(gpu),
        "persistence": 0,
        "compute_mode": 0,
        "display_mode": 0,
        "display_active": 0,
        "multi_gpu_board": 0,
        "virtualization_mode": 0,
        "event_types": 0,
        "throttle_reasons": 0,
        "throttle_reasons_supported": 0,
        "graphics_procs": None if gpu.get("procs") is None else "",
        "migs": len(gpu.get("migs", [])),
        "pci_device_id": 0x10DE,
        "pci_subsystem_id": 0x10DE,
        "numa_node": machine.get("numa", {}).get(gpu.get("busid")),
        "brand": _brand(gpu.get("name")),
    }
    derived.update(_compute(gpu))
    derived.update(_address(gpu.get("busid")))
    if isinstance(gpu.get("max_sm_clock"), int):
        derived["clock_khz"] = gpu["max_sm_clock"] * 1000
    if gpu.get("mig_mode") is not None:
        derived["mig_max"] = 7
    derived.update((field, value) for field, value in gpu.items() if field != "migs")
    return derived


def _ecc_totals(gpu: dict[str, Any]) -> dict[str, Any]:
    """What NVML sums up; a driver that was just loaded has seen what the GPU has in its life."""
    places = [gpu.get(place) for place in ("ecc_l1", "ecc_l2", "ecc_mem")]
    counted = [errors for errors in places if isinstance(errors, int)]
    uncorrected = None if places[-1] is None else sum(counted)
    return {
        "ecc_uncorrected": uncorrected,
        "ecc_uncorrected_aggregate": uncorrected,
        "ecc_corrected_aggregate": gpu.get("ecc_corrected"),
    }


def _compute(gpu: dict[str, Any]) -> dict[str, Any]:
    capability = (gpu.get("cc_major"), gpu.get("cc_minor"))
    if not all(isinstance(part, int) for part in capability):
        return {}
    cores = _at_least(_CORES_PER_SM, (7, 0) if capability == (8, 0) else capability)
    count = gpu.get("sm_count")
    return {
        "architecture": _at_least(_ARCHITECTURES, capability),
        "cores": cores * count if cores and isinstance(count, int) else None,
    }


def _brand(name: object) -> int | None:
    if not isinstance(name, str) or is_error(name):
        return None
    return _BRANDS.get(name.split(" ")[0], 0)


def _address(bus_id: Any) -> dict[str, Any]:
    names = ("pci_domain", "pci_bus", "pci_device")
    if bus_id is None or is_error(bus_id):
        return dict.fromkeys((*names, "busid_legacy", "busid_long"), bus_id)
    domain, bus, device, function = bus_id_parts(bus_id)
    address = dict(zip(names, (domain, bus, device)))
    return {
        **address,
        "busid_legacy": bus_id[-12:],
        "busid_long": f"{domain:08X}:{bus:02X}:{device:02X}.{function:X}",
    }


def _whole_mig(mig: dict[str, Any], gpu: dict[str, Any]) -> dict[str, Any]:
    compute, slices, gigabytes = profile_parts(mig["profile"])
    minor = gpu["minor"] if isinstance(gpu["minor"], int) else 0
    sm_count = gpu.get("sm_count")
    derived: dict[str, Any] = {
        "name": f"{gpu.get('name')} MIG {mig['profile']}",
        "gi_cap": gpu_instance_cap(minor, mig["gi"]),
        "ci_cap": compute_instance_cap(minor, mig["gi"], mig["ci"]),
        "gi_slices": slices,
        "ci_slices": compute,
        "mem_total": gigabytes * 2**30 - 256 * 2**20,
        "mem_used": 0,
        "sm_count": sm_count // 7 * compute if isinstance(sm_count, int) else None,
        "copy_engines": slices,
        "decoders": slices // 2,
        "encoders": 0,
        "jpeg_engines": 0,
        "ofa_engines": 0,
        "procs": "",
    }
    derived.update(mig)
    return derived
