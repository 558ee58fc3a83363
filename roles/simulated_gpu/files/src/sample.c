/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* What changes while a device works: memory, clocks, power, temperature, utilisation, settings. */
#include "device.h"

#include <stddef.h>

ANSWER_UINT(nvmlDeviceGetMaxPcieLinkGeneration, "pcie_gen")
ANSWER_UINT(nvmlDeviceGetGpuMaxPcieLinkGeneration, "pcie_gen")
ANSWER_UINT(nvmlDeviceGetMaxPcieLinkWidth, "pcie_width")
ANSWER_UINT(nvmlDeviceGetCurrPcieLinkGeneration, "pcie_gen_now")
ANSWER_UINT(nvmlDeviceGetCurrPcieLinkWidth, "pcie_width_now")
ANSWER_UINT(nvmlDeviceGetPcieReplayCounter, "pcie_replays")
ANSWER_UINT(nvmlDeviceGetPcieSpeed, "pcie_speed_mbps")
ANSWER_UINT(nvmlDeviceGetPcieLinkMaxSpeed, "pcie_max_speed")

ANSWER_UINT(nvmlDeviceGetPowerUsage, "power_mw")
ANSWER_UINT(nvmlDeviceGetPowerManagementMode, "power_management")
ANSWER_UINT(nvmlDeviceGetPowerManagementLimit, "power_limit_mw")
ANSWER_UINT(nvmlDeviceGetEnforcedPowerLimit, "power_limit_mw")
ANSWER_UINT(nvmlDeviceGetPowerManagementDefaultLimit, "power_default_mw")
ANSWER_UINT(nvmlDeviceGetPowerSource, "power_source")
ANSWER_ULL(nvmlDeviceGetTotalEnergyConsumption, "energy_mj")

ANSWER_UINT(nvmlDeviceGetPerformanceState, "pstate")
ANSWER_UINT(nvmlDeviceGetPowerState, "pstate")
ANSWER_UINT(nvmlDeviceGetFanSpeed, "fan")
ANSWER_UINT(nvmlDeviceGetNumFans, "fans")
ANSWER_UINT(nvmlDeviceGetPersistenceMode, "persistence")
ANSWER_UINT(nvmlDeviceGetComputeMode, "compute_mode")
ANSWER_UINT(nvmlDeviceGetDisplayMode, "display_mode")
ANSWER_UINT(nvmlDeviceGetDisplayActive, "display_active")
ANSWER_UINT(nvmlDeviceGetAccountingMode, "accounting")
ANSWER_UINT(nvmlDeviceGetAccountingBufferSize, "accounting_buffer")
ANSWER_ULL(nvmlDeviceGetCurrentClocksThrottleReasons, "throttle_reasons")
ANSWER_ULL(nvmlDeviceGetCurrentClocksEventReasons, "throttle_reasons")
ANSWER_ULL(nvmlDeviceGetSupportedClocksThrottleReasons, "throttle_reasons_supported")
ANSWER_ULL(nvmlDeviceGetSupportedClocksEventReasons, "throttle_reasons_supported")

EXPORT nvmlReturn_t nvmlDeviceGetFanSpeed_v2(nvmlDevice_t device, unsigned int fan, unsigned int *percent)
{
	unsigned int fans;
	nvmlReturn_t result = answer_uint(device, "fans", &fans);
	if (result != NVML_SUCCESS)
		return result;
	return fan < fans ? answer_uint(device, "fan", percent) : NVML_ERROR_INVALID_ARGUMENT;
}

EXPORT nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t device, unsigned int *least, unsigned int *most)
{
	nvmlReturn_t result = answer_uint(device, "power_min_mw", least);
	return result == NVML_SUCCESS ? answer_uint(device, "power_max_mw", most) : result;
}

static nvmlReturn_t used_and_total(nvmlDevice_t device, const char *used, const char *total, struct memory *memory)
{
	HOLD_STATE(state);
	if (!memory)
		return NVML_ERROR_INVALID_ARGUMENT;
	nvmlReturn_t result = field_number(state, device, total, &memory->total);
	if (result == NVML_SUCCESS)
		result = field_number(state, device, used, &memory->used);
	if (result == NVML_SUCCESS)
		memory->free = memory->total - memory->used;
	return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, struct memory *memory)
{
	return used_and_total(device, "mem_used", "mem_total", memory);
}

/* The first layout counts what the driver keeps for itself as used, this one apart. */
EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, struct memory_v2 *memory)
{
	struct memory plain;
	ull reserved = 0;
	if (!memory)
		return NVML_ERROR_INVALID_ARGUMENT;
	if (memory->version != STRUCT_VERSION(struct memory_v2, 2))
		return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	nvmlReturn_t result = nvmlDeviceGetMemoryInfo(device, &plain);
	if (result != NVML_SUCCESS)
		return result;
	if (answer_ull(device, "mem_reserved", &reserved) != NVML_SUCCESS || reserved > plain.used)
		reserved = 0;
	*memory = (struct memory_v2){memory->version, plain.total, reserved, plain.free, plain.used - reserved};
	return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, struct memory *memory)
{
	return used_and_total(device, "bar1_used", "bar1_total", memory);
}

enum { CLOCK_GRAPHICS, CLOCK_SM, CLOCK_MEMORY, CLOCK_VIDEO, CLOCKS };

static nvmlReturn_t clock(nvmlDevice_t device, unsigned int type, int maximum, unsigned int *mhz)
{
	static const char *const now[CLOCKS] = {"sm_clock", "sm_clock", "mem_clock", "video_clock"};
	static const char *const most[CLOCKS] = {"max_sm_clock", "max_sm_clock", "max_mem_clock", "max_video_clock"};
	return type < CLOCKS ? answer_uint(device, maximum ? most[type] : now[type], mhz) : NVML_ERROR_INVALID_ARGUMENT;
}

EXPORT nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, unsigned int type, unsigned int *mhz)
{
	return clock(device, type, 0, mhz);
}

EXPORT nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, unsigned int type, unsigned int *mhz)
{
	return clock(device, type, 1, mhz);
}

EXPORT nvmlReturn_t nvmlDeviceGetApplicationsClock(nvmlDevice_t device, unsigned int type, unsigned int *mhz)
{
	return clock(device, type, 1, mhz);
}

EXPORT nvmlReturn_t nvmlDeviceGetDefaultApplicationsClock(nvmlDevice_t device, unsigned int type, unsigned int *mhz)
{
	return clock(device, type, 1, mhz);
}

EXPORT nvmlReturn_t nvmlDeviceGetMaxCustomerBoostClock(nvmlDevice_t device, unsigned int type, unsigned int *mhz)
{
	return clock(device, type, 1, mhz);
}

/* `which`: 0 is the clock now, the others are targets and limits. */
EXPORT nvmlReturn_t nvmlDeviceGetClock(nvmlDevice_t device, unsigned int type, unsigned int which, unsigned int *mhz)
{
	return which <= 3 ? clock(device, type, which != 0, mhz) : NVML_ERROR_INVALID_ARGUMENT;
}

static nvmlReturn_t one_clock(nvmlDevice_t device, const char *field, unsigned int *count, unsigned int *clocks)
{
	unsigned int mhz;
	nvmlReturn_t result = answer_uint(device, field, &mhz);
	if (result != NVML_SUCCESS)
		return result;
	int room = clocks && *count >= 1;
	*count = 1;
	if (!room)
		return NVML_ERROR_INSUFFICIENT_SIZE;
	*clocks = mhz;
	return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetSupportedMemoryClocks(nvmlDevice_t device, unsigned int *count, unsigned int *clocks)
{
	return one_clock(device, "max_mem_clock", count, clocks);
}

EXPORT nvmlReturn_t nvmlDeviceGetSupportedGraphicsClocks(nvmlDevice_t device, unsigned int memory_mhz, unsigned int *count,
                                                         unsigned int *clocks)
{
	unsigned int known;
	nvmlReturn_t result = answer_uint(device, "max_mem_clock", &known);
	if (result != NVML_SUCCESS)
		return result;
	return memory_mhz == known ? one_clock(device, "max_sm_clock", count, clocks) : NVML_ERROR_NOT_FOUND;
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, unsigned int sensor, unsigned int *degrees)
{
	return sensor == 0 ? answer_uint(device, "temp", degrees) : NVML_ERROR_INVALID_ARGUMENT;
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, struct temperature *temperature)
{
	if (temperature->version != STRUCT_VERSION(struct temperature, 1))
		return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	return nvmlDeviceGetTemperature(device, temperature->sensor, (unsigned int *)&temperature->degrees);
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device, unsigned int which, unsigned int *degrees)
{
	static const char *const fields[] = {"temp_shutdown", "temp_slowdown", "temp_mem_max", "temp_gpu_max"};
	if (which >= sizeof fields / sizeof *fields)
		return NVML_ERROR_NOT_SUPPORTED;
	return answer_uint(device, fields[which], degrees);
}

EXPORT nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, struct utilization *rates)
{
	if (!rates)
		return NVML_ERROR_INVALID_ARGUMENT;
	nvmlReturn_t result = answer_uint(device, "util_gpu", &rates->gpu);
	return result == NVML_SUCCESS ? answer_uint(device, "util_mem", &rates->memory) : result;
}

/* The period is what real GPUs commonly say, in microseconds. */
static nvmlReturn_t engine(nvmlDevice_t device, const char *field, unsigned int *percent, unsigned int *period_us)
{
	nvmlReturn_t result = answer_uint(device, field, percent);
	if (result == NVML_SUCCESS && period_us)
		*period_us = 167000;
	return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetEncoderUtilization(nvmlDevice_t device, unsigned int *percent, unsigned int *period_us)
{
	return engine(device, "util_enc", percent, period_us);
}

EXPORT nvmlReturn_t nvmlDeviceGetDecoderUtilization(nvmlDevice_t device, unsigned int *percent, unsigned int *period_us)
{
	return engine(device, "util_dec", percent, period_us);
}

EXPORT nvmlReturn_t nvmlDeviceGetJpgUtilization(nvmlDevice_t device, unsigned int *percent, unsigned int *period_us)
{
	return engine(device, "util_jpg", percent, period_us);
}

EXPORT nvmlReturn_t nvmlDeviceGetOfaUtilization(nvmlDevice_t device, unsigned int *percent, unsigned int *period_us)
{
	return engine(device, "util_ofa", percent, period_us);
}

EXPORT nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, unsigned int counter, unsigned int *kbs)
{
	if (counter > 1)
		return NVML_ERROR_INVALID_ARGUMENT;
	return answer_uint(device, counter ? "pcie_rx_kbs" : "pcie_tx_kbs", kbs);
}
