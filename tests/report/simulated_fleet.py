# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Registered results of nvidia_facts for a fleet: healthy, sick, silent and hostile hosts."""

from __future__ import annotations

from typing import Any

HOSTILE = "</script><script>alert(1)</script><b>"
MODELS = (
    ("NVIDIA H100 80GB HBM3", "Hopper", 81559, 700),
    ("NVIDIA A100-SXM4-40GB", "Ampere", 40960, 400),
    ("Tesla V100-SXM2-16GB", "Volta", 16384, 300),
)
DRIVERS = ("570.86.15", "550.163.01", "535.261.03")


def results(count: int) -> dict[str, dict[str, Any]]:
    """Return C(count) hosts with eight GPUs each. Of each hundred the last is unreachable and the
    one before it has no driver; every seventh host has a sick GPU."""
    fleet: dict[str, dict[str, Any]] = {}
    for number in range(count):
        name = f"gpu-{number:04d}.example.org"
        if number % 100 == 99:
            fleet[name] = {"unreachable": True, "msg": "Failed to connect: timed out"}
        else:
            facts = _facts(number) if number % 100 != 98 else _without_driver()
            fleet[name] = {"changed": False, "ansible_facts": {"ansible_nvidia": facts}}
    return fleet


def hostile() -> dict[str, Any]:
    """Return the result of a host that answers with markup."""
    facts = _facts(0)
    facts["devices"][0]["name"] = HOSTILE
    facts["findings"] = [
        {"id": "x", "severity": HOSTILE, "gpu": None, "message": HOSTILE, "fix": "<img src=x>"}
    ]
    facts["driver"]["version"] = "<!--<script>"
    return {"ansible_facts": {"ansible_nvidia": facts}}


def _without_driver() -> dict[str, Any]:
    return {
        "reason": "libnvidia-ml.so.1 was not found: no NVIDIA driver is installed",
        "driver": {"version": None},
        "devices": [],
        "unreadable": [],
        "findings": [],
    }


def _facts(number: int) -> dict[str, Any]:
    model = number // 20 % 3
    findings = []
    if number % 7 == 3:
        findings.append(
            {
                "id": "row_remapping_pending",
                "severity": "warning",
                "gpu": "0000:2b:00.0",
                "message": "GPU 0000:2b:00.0 has memory rows that wait to be remapped",
                "fix": "Reset the GPU with nvidia-smi --gpu-reset, or reboot the host.",
            }
        )
    unreadable = []
    if number % 14 == 3:
        unreadable.append({"index": 7, "pci_bus_id": "0000:db:00.0", "reason": "GPU is lost"})
        findings.append(
            {
                "id": "gpu_unreadable",
                "severity": "critical",
                "gpu": "0000:db:00.0",
                "message": "GPU 0000:db:00.0 can't be read, NVML says GPU is lost",
                "fix": "Reboot the host; if it comes back, have the GPU replaced.",
            }
        )
    return {
        "gathered": ["min", "devices", "status", "processes", "topology", "health"],
        "count": 8 - len(unreadable),
        "reason": None,
        "driver": {
            "version": DRIVERS[model],
            "module_kind": "open" if model < 2 else "proprietary",
            "cuda_version": ("12.8", "12.4", "12.2")[model],
        },
        "container_toolkit": {"version": "1.17.8", "vulnerabilities": []},
        "docker": {"version": "26.1.5"},
        "devices": [_gpu(number, index, model, findings) for index in range(8 - len(unreadable))],
        "unreadable": unreadable,
        "findings": findings,
    }


BUSES = ("19", "2b", "3b", "5d", "9b", "ab", "bb", "db")


def _gpu(number: int, index: int, model: int, findings: list[dict[str, Any]]) -> dict[str, Any]:
    name, architecture, memory, watts = MODELS[model]
    bus = f"0000:{BUSES[index]}:00.0"
    load = (number * 37 + index * 53 + number * index * 11) % 101
    state = next((one["severity"] for one in findings if one["gpu"] == bus), "ok")
    return {
        "index": index,
        "uuid": f"GPU-{number:08x}-9f0d-5f33-b1b5-{index:012x}",
        "pci_bus_id": bus,
        "name": name,
        "architecture": architecture,
        "serial": f"16{number:06d}{index:03d}",
        "numa_node": index // 4,
        "memory_mib": memory,
        "mig_devices": [],
        "status": {
            "gpu_utilization_percent": load,
            "memory_used_mib": memory * (load + index) // 110,
            "temperature_celsius": 30 + load // 2,
            "power_milliwatts": 1000 * (60 + watts * load // 120),
            "power_limit_milliwatts": 1000 * watts,
            "throttle_reasons": ["sw_power_cap"] if load > 95 else [],
        },
        "processes": [
            {
                "pid": 4000 + index,
                "name": "python3",
                "memory_mib": memory * load // 110,
                "container_id": f"{number:08x}{index:04x}" + "5d1c" * 13,
            }
        ]
        if load
        else [],
        "topology": {
            "nvlink": {"active_links": 18, "inactive_links": 0, "version": 4},
            "peers": [
                {
                    "index": peer,
                    "pci_bus_id": f"0000:{BUSES[peer]}:00.0",
                    "link": 5 if peer // 2 == index // 2 else 2 if peer // 4 == index // 4 else 1,
                    "p2p": True,
                }
                for peer in range(8)
                if peer != index
            ],
        },
        "health": {"state": state, "temperature_celsius": 30 + load // 2},
    }
