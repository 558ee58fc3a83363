/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* Event sets: they can be made, registered for and waited on; nothing ever happens. */
#include "device.h"

#include <stdlib.h>
#include <time.h>

ANSWER_ULL(nvmlDeviceGetSupportedEventTypes, "event_types")

EXPORT nvmlReturn_t nvmlEventSetCreate(void **set)
{
	if (!initialized)
		return NVML_ERROR_UNINITIALIZED;
	*set = malloc(1);
	return *set ? NVML_SUCCESS : NVML_ERROR_MEMORY;
}

EXPORT nvmlReturn_t nvmlEventSetFree(void *set)
{
	free(set);
	return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, ull types, void *set)
{
	HOLD_STATE(state);
	ull supported;
	nvmlReturn_t result = field_number(state, device, "event_types", &supported);
	if (result != NVML_SUCCESS)
		return result;
	return set && !(types & ~supported) ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

EXPORT nvmlReturn_t nvmlEventSetWait_v2(void *set, struct event_data *data, unsigned int timeout_ms)
{
	struct timespec rest = {timeout_ms / 1000, (long)(timeout_ms % 1000) * 1000000};
	if (!set || !data)
		return NVML_ERROR_INVALID_ARGUMENT;
	nanosleep(&rest, NULL);
	return NVML_ERROR_TIMEOUT;
}

EXPORT nvmlReturn_t nvmlEventSetWait(void *set, struct event_data *data, unsigned int timeout_ms)
{
	return nvmlEventSetWait_v2(set, data, timeout_ms);
}
