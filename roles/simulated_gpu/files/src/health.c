/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* Memory errors, retired pages, remapped rows. */
#include "device.h"

#include <stddef.h>

ANSWER_UINT(nvmlDeviceGetDefaultEccMode, "ecc_mode")
ANSWER_UINT(nvmlDeviceGetRetiredPagesPendingStatus, "retired_pending")

EXPORT nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, unsigned int *now, unsigned int *pending)
{
	nvmlReturn_t result = answer_uint(device, "ecc_mode", now);
	if (result == NVML_SUCCESS && answer_uint(device, "ecc_mode_pending", pending) != NVML_SUCCESS)
		*pending = *now;
	return result;
}

enum { CORRECTED, UNCORRECTED };

/* The machine counts uncorrected errors per place, corrected ones as one number in device memory. */
static nvmlReturn_t errors_in(nvmlDevice_t device, unsigned int type, const char *place, ull *count)
{
	nvmlReturn_t result = answer_ull(device, place, count);
	if (result != NVML_SUCCESS || type == UNCORRECTED)
		return result;
	if (place != NULL && answer_ull(device, "ecc_corrected", count) != NVML_SUCCESS)
		*count = 0;
	return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t device, unsigned int type, unsigned int counter,
                                                    unsigned int location, ull *count)
{
	static const char *const places[] = {"ecc_l1", "ecc_l2", "ecc_mem"};
	if (type > UNCORRECTED || counter > 1)
		return NVML_ERROR_INVALID_ARGUMENT;
	if (location >= sizeof places / sizeof *places)
		return NVML_ERROR_NOT_SUPPORTED;
	nvmlReturn_t result = errors_in(device, type, places[location], count);
	if (result == NVML_SUCCESS && type == CORRECTED && location != 2)
		*count = 0;
	return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetDetailedEccErrors(nvmlDevice_t device, unsigned int type, unsigned int counter,
                                                   struct ecc_counts *counts)
{
	*counts = (struct ecc_counts){0, 0, 0, 0};
	nvmlReturn_t result = nvmlDeviceGetMemoryErrorCounter(device, type, counter, 2, &counts->memory);
	if (result == NVML_SUCCESS) {
		nvmlDeviceGetMemoryErrorCounter(device, type, counter, 0, &counts->l1);
		nvmlDeviceGetMemoryErrorCounter(device, type, counter, 1, &counts->l2);
	}
	return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, unsigned int type, unsigned int counter, ull *count)
{
	struct ecc_counts counts;
	nvmlReturn_t result = nvmlDeviceGetDetailedEccErrors(device, type, counter, &counts);
	if (result == NVML_SUCCESS)
		*count = counts.l1 + counts.l2 + counts.memory;
	return result;
}

/* The machine tells how many pages are retired for a cause; their addresses are made up. */
EXPORT nvmlReturn_t nvmlDeviceGetRetiredPages(nvmlDevice_t device, unsigned int cause, unsigned int *count, ull *addresses)
{
	unsigned int pages;
	if (cause > 1)
		return NVML_ERROR_INVALID_ARGUMENT;
	nvmlReturn_t result = answer_uint(device, cause ? "retired_double" : "retired_single", &pages);
	if (result != NVML_SUCCESS)
		return result;
	int room = *count >= pages && (addresses || !pages);
	*count = pages;
	for (unsigned int i = 0; room && i < pages; i++)
		addresses[i] = 0x10000ull * (i + 1);
	return room ? NVML_SUCCESS : NVML_ERROR_INSUFFICIENT_SIZE;
}

EXPORT nvmlReturn_t nvmlDeviceGetRetiredPages_v2(nvmlDevice_t device, unsigned int cause, unsigned int *count,
                                                 ull *addresses, ull *times)
{
	nvmlReturn_t result = nvmlDeviceGetRetiredPages(device, cause, count, addresses);
	for (unsigned int i = 0; result == NVML_SUCCESS && times && i < *count; i++)
		times[i] = 0;
	return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned int *corrected, unsigned int *uncorrected,
                                              unsigned int *pending, unsigned int *failed)
{
	nvmlReturn_t result = answer_uint(device, "remapped_corrected", corrected);
	if (result == NVML_SUCCESS)
		result = answer_uint(device, "remapped_uncorrected", uncorrected);
	if (result == NVML_SUCCESS)
		result = answer_uint(device, "remapped_pending", pending);
	return result == NVML_SUCCESS ? answer_uint(device, "remapped_failed", failed) : result;
}
