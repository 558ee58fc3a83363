# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machine files: which GPUs a simulated host has. Checked here; everything behind trusts them."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FORMAT = 1
"""Of machine files; one that does not say its format is of 1."""
MAX_GPUS = 64
MAX_MIG_DEVICES = 8

Machine = dict[str, Any]


class SimulationError(Exception):
    """One sentence for the user: what is wrong, which value, what would be right."""


_NUMBER, _TEXT, _PROCESSES = (
    "a whole number",
    "a line of text",
    'processes as "pid:bytes,pid:bytes"',
)

_TOP = set("format driver module_version cuda init gpus topo p2p procs numa".split())
_TOP_NUMBERS = (
    "uvm_major",
    "caps_major",
    "modprobe_rc",
    "hang",
    "delay_ms",
    "open_module",
    "nvswitches",
)
_TOP |= set(_TOP_NUMBERS)

_GPU_TEXTS = "uuid name busid serial vbios board_part_number inforom_image gsp_version"
_GPU_PROCESSES = "procs graphics_procs mps_procs"
_GPU_NUMBERS = """
    minor power_limit_mw power_mw power_default_mw power_min_mw power_max_mw power_management
    power_source energy_mj temp temp_mem temp_shutdown temp_slowdown temp_mem_max temp_gpu_max
    bar1_total bar1_used mem_total mem_used mem_reserved pcie_gen pcie_width pcie_gen_now
    pcie_width_now pcie_replays pcie_speed_mbps pcie_max_speed pcie_rx_kbs pcie_tx_kbs
    max_sm_clock max_mem_clock max_video_clock sm_clock mem_clock video_clock util_gpu util_mem
    util_enc util_dec util_jpg util_ofa ecc_l1 ecc_l2 ecc_mem ecc_corrected ecc_mode
    ecc_mode_pending retired_single retired_double retired_pending remapped_corrected
    remapped_uncorrected remapped_pending remapped_failed cc_major cc_minor sm_count ecc cuda_mem
    shmem_sm const_mem l2 mem_clock_khz bus_width clock_khz cuda_err brand architecture cores
    board_id multi_gpu_board module_id irq bus_type virtualization_mode memory_numa_node
    pci_device_id pci_subsystem_id pstate fan fans persistence compute_mode display_mode
    display_active accounting accounting_buffer throttle_reasons throttle_reasons_supported
    event_types cpu_mask gsp_mode nvlinks nvlink_version mig_mode mig_mode_pending mig_max handle
    lost hang delay_ms ecc_corrected_aggregate ecc_uncorrected_aggregate fabric_state fabric_status
"""
_MIG_NUMBERS = """
    gi ci mem_total mem_used sm_count copy_engines decoders encoders jpeg_engines ofa_engines
    gi_slices ci_slices
"""


def _kinds(numbers: str, texts: str, processes: str) -> dict[str, str]:
    kinds = dict.fromkeys(numbers.split(), _NUMBER)
    kinds.update(dict.fromkeys(texts.split(), _TEXT))
    kinds.update(dict.fromkeys(processes.split(), _PROCESSES))
    return kinds


GPU_FIELDS = _kinds(_GPU_NUMBERS, _GPU_TEXTS, _GPU_PROCESSES)
MIG_FIELDS = _kinds(_MIG_NUMBERS, "uuid name profile", "procs")

_VERSION = re.compile(r"[0-9]+(\.[0-9]+){1,2}")
_BUS_ID = re.compile(r"([0-9A-Fa-f]{4}|[0-9A-Fa-f]{8}):([0-9A-Fa-f]{2}):([0-9A-Fa-f]{2})\.([0-7])")
_PROCESS_LIST = re.compile(r"([0-9]+:[0-9]+(,[0-9]+:[0-9]+)*)?")
_ERROR = re.compile(r"err:[0-9]{1,3}")
_PROFILE = re.compile(r"(?:([1-7])c\.)?([1-7])g\.([0-9]+)gb")
_PAIR = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")


def is_error(value: object) -> bool:
    """Whether a value means "the question fails with this code"."""
    return isinstance(value, str) and _ERROR.fullmatch(value) is not None


def bus_id_parts(bus_id: str) -> tuple[int, int, int, int]:
    """Domain, bus, device and function of a PCI bus id such as ``0000:AF:00.0``."""
    match = _BUS_ID.fullmatch(bus_id)
    if match is None:
        raise SimulationError(f"busid {bus_id!r} is not a PCI bus id such as 0000:04:00.0")
    domain, bus, device, function = (int(part, 16) for part in match.groups())
    return domain, bus, device, function


def sysfs_bus_id(bus_id: str) -> str:
    """The name of the PCI device's directory in sysfs: four-digit domain, lower case."""
    return "{:04x}:{:02x}:{:02x}.{:x}".format(*bus_id_parts(bus_id))


def profile_parts(profile: str) -> tuple[int, int, int]:
    """Compute slices, GPU slices and memory in GB of a MIG profile: ``1g.5gb``, ``1c.3g.20gb``."""
    match = _PROFILE.fullmatch(profile)
    if match is None:
        raise SimulationError(f"profile {profile!r} is not a MIG profile such as 1g.5gb")
    compute, slices, memory = match.groups()
    return int(compute or slices), int(slices), int(memory)


def read_machine(path: Path) -> Machine:
    """The checked machine of a file.

    :raises SimulationError: the file cannot be read, is not JSON or describes no machine
    """
    try:
        machine = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SimulationError(f"cannot read machine file {path}: {error.strerror}") from error
    except ValueError as error:
        raise SimulationError(f"machine file {path} is not JSON: {error}") from error
    check_machine(machine)
    return dict(machine)


def check_machine(machine: Any) -> None:
    """:raises SimulationError: a field is unknown, of a wrong kind, or names a missing GPU"""
    if not isinstance(machine, dict):
        raise SimulationError("a machine must be an object with the fields driver, cuda and gpus")
    found = machine.get("format", FORMAT)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 < found <= FORMAT:
        raise SimulationError(
            f"the machine file has format {found!r}, this version of gpufleet.nvidia reads "
            f"{FORMAT}: use a later version, or write the file for format {FORMAT}"
        )
    _check_names(machine, _TOP, "the machine")
    driver = machine.get("driver")
    for field in ("driver", "module_version"):
        value = machine.get(field, driver)
        if not isinstance(value, str) or not _VERSION.fullmatch(value):
            raise SimulationError(f"{field} must be a version such as 550.163.01, not {value!r}")
    for field in ("cuda", "init", *_TOP_NUMBERS):
        _check_value(machine.get(field), _NUMBER, field)
    gpus = machine.get("gpus")
    if not isinstance(gpus, list) or len(gpus) > MAX_GPUS:
        raise SimulationError(f"gpus must be a list of at most {MAX_GPUS} GPUs")
    for number, gpu in enumerate(gpus):
        _check_gpu(gpu, f"GPU {number}")
    for kind in ("topo", "p2p"):
        _check_pairs(_mapping(machine, kind), kind, len(gpus))
    for pid, name in _mapping(machine, "procs").items():
        if not pid.isdigit():
            raise SimulationError(f"procs must be names by PID, {pid!r} is none")
        _check_value(name, _TEXT, f"procs.{pid}")
    for bus_id, node in _mapping(machine, "numa").items():
        bus_id_parts(bus_id)
        _check_value(node, _TEXT, f"numa.{bus_id}")


def _mapping(machine: Machine, field: str) -> Mapping[str, Any]:
    value = machine.get(field, {})
    if not isinstance(value, dict):
        raise SimulationError(f"{field} must be an object, not {value!r}")
    return value


def _check_names(fields: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    names = set(known)
    for name in fields:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]
            raise SimulationError(f"{where} has an unknown field {name!r}; the nearest is {near!r}")


def _check_value(value: object, kind: str, where: str) -> None:
    """None (the hardware does not tell) and "err:N" are right for every field."""
    if value is None or is_error(value):
        return
    right = isinstance(value, str) and value.isprintable()
    if kind == _NUMBER:
        right = isinstance(value, int) and -(2**63) <= value < 2**64
    elif kind == _PROCESSES:
        right = isinstance(value, str) and _PROCESS_LIST.fullmatch(value) is not None
    if not right:
        raise SimulationError(f'{where} must be {kind}, null or "err:N", not {value!r}')


def _check_gpu(gpu: Any, where: str) -> None:
    if not isinstance(gpu, dict):
        raise SimulationError(f"{where} must be an object, not {gpu!r}")
    _check_names(gpu, [*GPU_FIELDS, "migs"], where)
    for field, value in gpu.items():
        if field != "migs":
            _check_value(value, GPU_FIELDS[field], f"{where}: {field}")
    bus_id = gpu.get("busid")
    if isinstance(bus_id, str) and not is_error(bus_id):
        bus_id_parts(bus_id)
    migs: list[Any] | None = gpu.get("migs", [])
    if not isinstance(migs, list) or len(migs) > MAX_MIG_DEVICES:
        raise SimulationError(
            f"{where}: migs must be a list of at most {MAX_MIG_DEVICES} MIG devices"
        )
    for number, mig in enumerate(migs):
        name = f"{where}, MIG device {number}"
        if not isinstance(mig, dict) or not all(
            mig.get(field) is not None for field in ("profile", "uuid", "gi", "ci")
        ):
            raise SimulationError(f"{name} must have profile, uuid, gi and ci")
        _check_names(mig, MIG_FIELDS, name)
        for field, value in mig.items():
            _check_value(value, MIG_FIELDS[field], f"{name}: {field}")
        profile_parts(str(mig["profile"]))


def _check_pairs(pairs: Mapping[str, Any], kind: str, gpus: int) -> None:
    for pair, value in pairs.items():
        match = _PAIR.fullmatch(pair)
        if match is None or not int(match.group(1)) < int(match.group(2)) < gpus:
            raise SimulationError(f'{kind} must name pairs "i.j" with i < j < {gpus}, not {pair!r}')
        _check_value(value, _NUMBER, f"{kind}.{pair}")
