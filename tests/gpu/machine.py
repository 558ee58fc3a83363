# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts of a real machine as a machine file of role simulated_gpu. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MIB = 1024 * 1024
NOT_TOLD = 2**64 - 1
"""As NVML gives the memory of a process that it does not know."""
LEVELS = {6: 0, 5: 10, 4: 20, 3: 30, 2: 40, 1: 50}
"""v1's number of a link to NVML's level of topology."""
COMPUTE_MODES = ("default", "exclusive_thread", "prohibited", "exclusive_process")
FABRIC_STATES = ("not_supported", "not_started", "in_progress", "completed")
REASONS = (
    *("gpu_idle", "applications_clocks_setting", "sw_power_cap", "hw_slowdown", "sync_boost"),
    *("sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown"),
    "display_clock_setting",
)
SAME = {
    # field of the machine file: path to the fact
    "uuid": ("uuid",),
    "minor": ("minor_number",),
    "name": ("name",),
    "serial": ("serial",),
    "vbios": ("vbios",),
    "gsp_version": ("gsp_firmware",),
    "cores": ("cuda_cores",),
    "power_default_mw": ("power_limit_default_milliwatts",),
    "power_min_mw": ("power_limit_min_milliwatts",),
    "power_max_mw": ("power_limit_max_milliwatts",),
    "pcie_gen": ("pcie_max_generation",),
    "pcie_width": ("pcie_max_width",),
    "ecc_mode": ("ecc_enabled",),
    "ecc_mode_pending": ("ecc_pending",),
    "ecc": ("ecc_enabled",),
    "util_gpu": ("status", "gpu_utilization_percent"),
    "util_mem": ("status", "memory_utilization_percent"),
    "util_enc": ("status", "encoder_utilization_percent"),
    "util_dec": ("status", "decoder_utilization_percent"),
    "temp": ("status", "temperature_celsius"),
    "temp_mem": ("status", "memory_temperature_celsius"),
    "power_mw": ("status", "power_milliwatts"),
    "power_limit_mw": ("status", "power_limit_milliwatts"),
    "sm_clock": ("status", "sm_clock_mhz"),
    "mem_clock": ("status", "memory_clock_mhz"),
    "max_sm_clock": ("status", "max_sm_clock_mhz"),
    "max_mem_clock": ("status", "max_memory_clock_mhz"),
    "pcie_gen_now": ("status", "pcie_generation"),
    "pcie_width_now": ("status", "pcie_width"),
    "fan": ("status", "fan_percent"),
    "persistence": ("status", "persistence_mode"),
    "temp_slowdown": ("health", "temperature_slowdown_celsius"),
    "temp_shutdown": ("health", "temperature_shutdown_celsius"),
    "ecc_corrected": ("health", "ecc_corrected_volatile"),
    "ecc_mem": ("health", "ecc_uncorrected_volatile"),
    "ecc_corrected_aggregate": ("health", "ecc_corrected_aggregate"),
    "ecc_uncorrected_aggregate": ("health", "ecc_uncorrected_aggregate"),
    "retired_single": ("health", "retired_pages_single_bit"),
    "retired_double": ("health", "retired_pages_double_bit"),
    "retired_pending": ("health", "retired_pages_pending"),
    "remapped_corrected": ("health", "remapped_rows_corrected"),
    "remapped_uncorrected": ("health", "remapped_rows_uncorrected"),
    "remapped_pending": ("health", "remapped_rows_pending"),
    "remapped_failed": ("health", "remapped_rows_failed"),
    "fabric_status": ("health", "fabric_error"),
}
MEMORY = {
    "mem_total": ("memory_mib",),
    "mem_used": ("status", "memory_used_mib"),
    "bar1_total": ("bar1_mib",),
    "bar1_used": ("status", "bar1_used_mib"),
}


def machine(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the machine file of facts of all subsets.

    GPUs that can't be read are left out, and so is that a GPU refused a question with an error.
    """
    driver, devices = facts["driver"], facts["devices"]
    major, _dot, minor = (driver["cuda_version"] or "0.0").partition(".")
    pairs = {
        (device["index"], peer["index"]): peer
        for device in devices
        for peer in device["topology"]["peers"]
        if device["index"] < peer["index"]
    }
    made: dict[str, Any] = {
        "driver": driver["version"],
        "cuda": int(major) * 1000 + int(minor) * 10 if driver["cuda_version"] else None,
        "open_module": int(driver["module_kind"] == "open"),
        "nvswitches": (facts["fabric_manager"] or {"nvswitches": 0})["nvswitches"],
        "gpus": [_gpu(device) for device in devices],
        "topo": {f"{a}.{b}": LEVELS.get(peer["link"], 50) for (a, b), peer in pairs.items()},
        "p2p": {f"{a}.{b}": int(peer["p2p"] is True) for (a, b), peer in pairs.items()},
        "procs": {
            str(process["pid"]): process["name"]
            for device in devices
            for process in device["processes"] or ()
            if process["name"] is not None
        },
        "numa": {
            device["pci_bus_id"]: None if device["numa_node"] is None else str(device["numa_node"])
            for device in devices
        },
    }
    if driver["module_version"] not in (None, driver["version"]):
        made["module_version"] = driver["module_version"]
    return made


def _gpu(device: Mapping[str, Any]) -> dict[str, Any]:
    status, health = device["status"], device["health"]
    made = {name: _plain(_at(device, path)) for name, path in SAME.items()}
    for name, path in MEMORY.items():
        mib = _at(device, path)
        made[name] = None if mib is None else mib * MIB
    major, _dot, minor = (device["compute_capability"] or "").partition(".")
    state, reasons = status["performance_state"], status["throttle_reasons"]
    links = device["topology"]["nvlink"]
    made |= {
        "busid": device["pci_bus_id"],
        "cc_major": int(major) if major else None,
        "cc_minor": int(minor) if minor else None,
        "pstate": None if state is None else int(state[1:]),
        "compute_mode": _position(COMPUTE_MODES, status["compute_mode"]),
        "throttle_reasons": None if reasons is None else sum(map(_bit, reasons)),
        "nvlinks": 0 if links is None else links["active_links"],
        "nvlink_version": None if links is None else links["version"],
        "fabric_state": _position(FABRIC_STATES, health["fabric_state"]),
        "mig_mode": None if device["mig_pending"] is None else int(device["mig_enabled"]),
        "mig_mode_pending": _plain(device["mig_pending"]),
        "cpu_mask": _mask(device["cpu_affinity"]),
        "procs": _processes(device, "compute", None),
        "graphics_procs": _processes(device, "graphics", None),
        "migs": [
            {
                "profile": mig["profile"],
                "uuid": mig["uuid"],
                "gi": mig["gpu_instance_id"],
                "ci": mig["compute_instance_id"],
                "mem_total": None if mig["memory_mib"] is None else mig["memory_mib"] * MIB,
                "procs": _processes(device, "compute", mig["uuid"]),
            }
            for mig in device["mig_devices"]
        ],
    }
    return made


def _at(device: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = device
    for part in path:
        value = value[part]
    return value


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _position(names: tuple[str, ...], name: str | None) -> int | None:
    return None if name is None else names.index(name)


def _bit(reason: str) -> int:
    number = reason.removeprefix("bit_")
    return 1 << (int(number) if number.isdigit() else REASONS.index(reason))


def _mask(cpus: str | None) -> int | None:
    """``0-15,32`` as a bit mask; a machine file has the first 64."""
    if cpus is None:
        return None
    ranges = [part.partition("-") for part in cpus.split(",")]
    known = [range(int(first), int(last or first) + 1) for first, _dash, last in ranges]
    return sum(1 << number for one in known for number in one if number < 64)


def _processes(device: Mapping[str, Any], kind: str, mig: str | None) -> str | None:
    if device["processes"] is None:
        return None
    return ",".join(
        f"{one['pid']}:{NOT_TOLD if one['memory_mib'] is None else one['memory_mib'] * MIB}"
        for one in device["processes"]
        if (one["type"], one["mig_uuid"]) == (kind, mig)
    )
