# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What NVML says of one GPU or MIG device for the module nvidia_facts.

Many numbers come from one call (nvmlDeviceGetFieldValues), as each call into a busy driver takes
milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from ctypes import byref
from typing import Any

from ..facts import DeviceProperties
from .nvml_asker import Asker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..subset_facts import DeviceActivity, DeviceCondition, NvLinks

_MIB = 1024 * 1024

_COMPUTE_MODES = ("default", "exclusive_thread", "prohibited", "exclusive_process")
"""By nvmlComputeMode_t."""
_FABRIC_STATES = ("not_supported", "not_started", "in_progress", "completed")
"""By nvmlGpuFabricState_t."""
_THROTTLE_REASONS = (
    *("gpu_idle", "applications_clocks_setting", "sw_power_cap", "hw_slowdown", "sync_boost"),
    *("sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown"),
    "display_clock_setting",
)
"""By bit of nvmlClocksThrottleReasons."""
_P2P_READ = 0
"""nvmlGpuP2PCapsIndex_t; pynvml's constant of it is a tuple by mistake."""
_LISTS = (
    ("compute", "nvmlDeviceGetComputeRunningProcesses"),
    ("graphics", "nvmlDeviceGetGraphicsRunningProcesses"),
)


class CloseLook:
    """A GPU or MIG device of which nothing is taken for granted: a refusal costs its field."""

    def __init__(self, ask: Asker, handle: Any) -> None:
        self._ask = ask
        self._handle = handle

    def vbios(self) -> str | None:
        """One call."""
        return self._ask.text("VBIOS", "nvmlDeviceGetVbiosVersion", self._handle)

    def properties(self) -> DeviceProperties:
        """Four calls. What the kernel tells is left out."""
        ask, handle = self._ask, self._handle
        nvml = ask.nvml
        told = _fields(
            ask,
            handle,
            nvml.NVML_FI_DEV_ECC_CURRENT,
            nvml.NVML_FI_DEV_ECC_PENDING,
            nvml.NVML_FI_DEV_POWER_DEFAULT_LIMIT,
            nvml.NVML_FI_DEV_POWER_MIN_LIMIT,
            nvml.NVML_FI_DEV_POWER_MAX_LIMIT,
        )
        return DeviceProperties(
            serial=ask.text("serial number", "nvmlDeviceGetSerial", handle),
            cuda_cores=ask.number("number of cores", "nvmlDeviceGetNumGpuCores", handle),
            bar1_mib=ask.mib("BAR1 size", "nvmlDeviceGetBAR1MemoryInfo", "bar1Total", handle),
            ecc_enabled=_flag(told[nvml.NVML_FI_DEV_ECC_CURRENT]),
            ecc_pending=_flag(told[nvml.NVML_FI_DEV_ECC_PENDING]),
            power_limit_default_milliwatts=told[nvml.NVML_FI_DEV_POWER_DEFAULT_LIMIT],
            power_limit_min_milliwatts=told[nvml.NVML_FI_DEV_POWER_MIN_LIMIT],
            power_limit_max_milliwatts=told[nvml.NVML_FI_DEV_POWER_MAX_LIMIT],
        )

    def activity(self) -> DeviceActivity:
        """Twenty calls."""
        from ..subset_facts import DeviceActivity

        ask, handle = self._ask, self._handle
        nvml = ask.nvml
        rates = ask.value("utilization", "nvmlDeviceGetUtilizationRates", handle)
        encoder = ask.value("encoder utilization", "nvmlDeviceGetEncoderUtilization", handle)
        decoder = ask.value("decoder utilization", "nvmlDeviceGetDecoderUtilization", handle)
        memory = ask.value("memory", "nvmlDeviceGetMemoryInfo", handle)
        state = ask.number("performance state", "nvmlDeviceGetPerformanceState", handle)
        mode = ask.number("compute mode", "nvmlDeviceGetComputeMode", handle)
        memory_temperature = nvml.NVML_FI_DEV_MEMORY_TEMP

        def clock(name: str, kind: int) -> int | None:
            return ask.number("clock", name, handle, kind)

        return DeviceActivity(
            gpu_utilization_percent=None if rates is None else rates.gpu,
            memory_utilization_percent=None if rates is None else rates.memory,
            encoder_utilization_percent=None if encoder is None else encoder[0],
            decoder_utilization_percent=None if decoder is None else decoder[0],
            memory_used_mib=None if memory is None else memory.used // _MIB,
            memory_total_mib=None if memory is None else memory.total // _MIB,
            bar1_used_mib=ask.mib("BAR1", "nvmlDeviceGetBAR1MemoryInfo", "bar1Used", handle),
            temperature_celsius=_temperature(ask, handle),
            memory_temperature_celsius=_fields(ask, handle, memory_temperature)[memory_temperature],
            power_milliwatts=ask.number("power", "nvmlDeviceGetPowerUsage", handle),
            power_limit_milliwatts=ask.number(
                "power limit", "nvmlDeviceGetPowerManagementLimit", handle
            ),
            sm_clock_mhz=clock("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM),
            memory_clock_mhz=clock("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM),
            max_sm_clock_mhz=clock("nvmlDeviceGetMaxClockInfo", nvml.NVML_CLOCK_SM),
            max_memory_clock_mhz=clock("nvmlDeviceGetMaxClockInfo", nvml.NVML_CLOCK_MEM),
            throttle_reasons=_throttle_reasons(ask, handle),
            performance_state=f"P{state}" if state in range(16) else None,
            pcie_generation=ask.number(
                "PCIe generation", "nvmlDeviceGetCurrPcieLinkGeneration", handle
            ),
            pcie_width=ask.number("PCIe width", "nvmlDeviceGetCurrPcieLinkWidth", handle),
            fan_percent=ask.number("fan speed", "nvmlDeviceGetFanSpeed", handle),
            compute_mode=_name(_COMPUTE_MODES, mode),
            persistence_mode=_persistence_mode(ask, handle),
        )

    def condition(self) -> DeviceCondition:
        """Seven calls; ``errors`` are those of this look. What the kernel tells is left out."""
        from ..subset_facts import DeviceCondition

        ask, handle = self._ask, self._handle
        nvml = ask.nvml
        totals = {
            "ecc_corrected_volatile": nvml.NVML_FI_DEV_ECC_SBE_VOL_TOTAL,
            "ecc_uncorrected_volatile": nvml.NVML_FI_DEV_ECC_DBE_VOL_TOTAL,
            "ecc_corrected_aggregate": nvml.NVML_FI_DEV_ECC_SBE_AGG_TOTAL,
            "ecc_uncorrected_aggregate": nvml.NVML_FI_DEV_ECC_DBE_AGG_TOTAL,
            "retired_pages_single_bit": nvml.NVML_FI_DEV_RETIRED_SBE,
            "retired_pages_double_bit": nvml.NVML_FI_DEV_RETIRED_DBE,
            "remapped_rows_corrected": nvml.NVML_FI_DEV_REMAPPED_COR,
            "remapped_rows_uncorrected": nvml.NVML_FI_DEV_REMAPPED_UNC,
        }
        flags = {
            "ecc_enabled": nvml.NVML_FI_DEV_ECC_CURRENT,
            "ecc_pending": nvml.NVML_FI_DEV_ECC_PENDING,
            "retired_pages_pending": nvml.NVML_FI_DEV_RETIRED_PENDING,
            "remapped_rows_pending": nvml.NVML_FI_DEV_REMAPPED_PENDING,
            "remapped_rows_failed": nvml.NVML_FI_DEV_REMAPPED_FAILURE,
        }
        told = _fields(ask, handle, *totals.values(), *flags.values())
        known: dict[str, Any] = {name: told[field] for name, field in totals.items()}
        known.update((name, _flag(told[field])) for name, field in flags.items())
        state, error = _fabric(ask, handle)

        def threshold(kind: int) -> int | None:
            return ask.number("threshold", "nvmlDeviceGetTemperatureThreshold", handle, kind)

        return DeviceCondition(
            **known,
            temperature_celsius=_temperature(ask, handle),
            temperature_slowdown_celsius=threshold(nvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN),
            temperature_shutdown_celsius=threshold(nvml.NVML_TEMPERATURE_THRESHOLD_SHUTDOWN),
            throttle_reasons=_throttle_reasons(ask, handle),
            persistence_mode=_persistence_mode(ask, handle),
            fabric_state=state,
            fabric_error=error,
            errors=tuple(dict.fromkeys(ask.refused)),
        )

    def nvlinks(self) -> NvLinks | None:
        """One call per link and one for the version; ``None`` for a GPU without NVLink."""
        from ..subset_facts import NvLinks

        ask, handle = self._ask, self._handle
        states: list[bool] = []
        for link in range(ask.nvml.NVML_NVLINK_MAX_LINKS):
            active = ask.number("NVLink state", "nvmlDeviceGetNvLinkState", handle, link)
            if active is None:
                break
            states.append(active == 1)
        if not states:
            return None
        version = None
        if any(states):
            first = states.index(True)
            version = ask.number("NVLink version", "nvmlDeviceGetNvLinkVersion", handle, first)
        return NvLinks(version, states.count(True), states.count(False))

    def processes(self) -> list[tuple[str, int, str | None, int | None]] | None:
        """Type, PID, name and memory in MiB of what uses it: four calls at most, and one per
        process. ``None`` if NVML tells neither of the lists."""
        ask, handle = self._ask, self._handle
        lists = [(kind, _list(ask, name, handle)) for kind, name in _LISTS]
        if all(found is None for _kind, found in lists):
            return None
        return [
            (
                kind,
                one.pid,
                ask.text("process name", "nvmlSystemGetProcessName", one.pid),
                None if one.usedGpuMemory is None else one.usedGpuMemory // _MIB,
            )
            for kind, found in lists
            for one in found or ()
        ]

    def can_read(self, other: CloseLook) -> bool | None:
        """Whether the GPU can read the other's memory (nvmlDeviceGetP2PStatus)."""
        ask, handle = self._ask, self._handle
        status = ask.number(
            "P2P status", "nvmlDeviceGetP2PStatus", handle, other._handle, _P2P_READ
        )
        return None if status is None else status == ask.nvml.NVML_P2P_STATUS_OK


def _list(ask: Asker, name: str, handle: Any) -> Any:
    # Drivers before 510 have only the second version.
    found = ask.value("processes", f"{name}_v3", handle)
    return ask.value("processes", f"{name}_v2", handle) if found is None else found


def _fields(ask: Asker, handle: Any, *fields: int) -> dict[int, int | None]:
    """Return each field as a whole number; one call."""
    values = ask.value("fields", "nvmlDeviceGetFieldValues", handle, list(fields))
    if values is None:
        return dict.fromkeys(fields)
    return {
        value.fieldId: _whole(ask, value) if value.nvmlReturn == ask.nvml.NVML_SUCCESS else None
        for value in values
    }


def _whole(ask: Asker, value: Any) -> int | None:
    nvml, number = ask.nvml, value.value
    members = {
        nvml.NVML_VALUE_TYPE_DOUBLE: number.dVal,
        nvml.NVML_VALUE_TYPE_UNSIGNED_INT: number.uiVal,
        nvml.NVML_VALUE_TYPE_UNSIGNED_LONG: number.ulVal,
        nvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: number.ullVal,
        nvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: number.sllVal,
        nvml.NVML_VALUE_TYPE_SIGNED_INT: number.siVal,
    }
    found = members.get(value.valueType)
    return None if found is None else int(found)


def _temperature(ask: Asker, handle: Any) -> int | None:
    kind = ask.nvml.NVML_TEMPERATURE_GPU
    return ask.number("temperature", "nvmlDeviceGetTemperature", handle, kind)


def _throttle_reasons(ask: Asker, handle: Any) -> tuple[str, ...] | None:
    bits = ask.number("throttle reasons", "nvmlDeviceGetCurrentClocksThrottleReasons", handle)
    return None if bits is None else tuple(_names_of_bits(bits))


def _names_of_bits(bits: int) -> Iterator[str]:
    for bit in range(64):
        if bits >> bit & 1:
            yield _name(_THROTTLE_REASONS, bit) or f"bit_{bit}"


def _persistence_mode(ask: Asker, handle: Any) -> bool | None:
    return _flag(ask.number("persistence mode", "nvmlDeviceGetPersistenceMode", handle))


def _fabric(ask: Asker, handle: Any) -> tuple[str | None, int | None]:
    """State and error code of the NVLink fabric, which has no error before it is completed."""
    info = ask.nvml.c_nvmlGpuFabricInfo_t()
    if ask.value("fabric", "nvmlDeviceGetGpuFabricInfo", handle, byref(info)) is None:
        return None, None
    state = _name(_FABRIC_STATES, info.state)
    return state, int(info.status) if state == "completed" else None


def _flag(number: int | None) -> bool | None:
    return None if number is None else number == 1


def _name(names: tuple[str, ...], number: int | None) -> str | None:
    return names[number] if number is not None and 0 <= number < len(names) else None
