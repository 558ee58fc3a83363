/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* Processes on a device. A machine lists them as "pid:bytes,pid:bytes". */
#include "device.h"

#include <stddef.h>
#include <string.h>

#define NO_INSTANCE 0xffffffffu

static const char *const MODES[] = {"procs", "graphics_procs", "mps_procs"};

/* Takes the number at *text and the separator behind it. */
static ull next_number(const char **text)
{
	ull number = 0;
	while (**text >= '0' && **text <= '9')
		number = number * 10 + (ull)(*(*text)++ - '0');
	if (**text)
		(*text)++;
	return number;
}

static nvmlReturn_t list(nvmlDevice_t device, const char *field, unsigned int *count, struct process *processes)
{
	HOLD_STATE(state);
	const char *text;
	ull gpu_instance = NO_INSTANCE, compute_instance = NO_INSTANCE;
	unsigned int total = 0;
	if (!count)
		return NVML_ERROR_INVALID_ARGUMENT;
	nvmlReturn_t result = field_text(state, device, field, &text);
	if (result != NVML_SUCCESS)
		return result;
	if (device->mig >= 0) {
		field_number(state, device, "gi", &gpu_instance);
		field_number(state, device, "ci", &compute_instance);
	}
	for (const char *c = text; *c; c++)
		total += *c == ':';
	unsigned int room = processes ? *count : 0;
	*count = total;
	if (total > room)
		return NVML_ERROR_INSUFFICIENT_SIZE;
	for (unsigned int i = 0; i < total; i++) {
		processes[i].pid = (unsigned int)next_number(&text);
		processes[i].used = next_number(&text);
		processes[i].gpu_instance = (unsigned int)gpu_instance;
		processes[i].compute_instance = (unsigned int)compute_instance;
	}
	return NVML_SUCCESS;
}

static nvmlReturn_t list_v1(nvmlDevice_t device, const char *field, unsigned int *count, struct process_v1 *processes)
{
	struct process whole[1024];
	unsigned int room = count && processes ? *count : 0;
	unsigned int total = sizeof whole / sizeof *whole;
	nvmlReturn_t result = list(device, field, &total, whole);
	if (result != NVML_SUCCESS)
		return result;
	*count = total;
	if (total > room)
		return NVML_ERROR_INSUFFICIENT_SIZE;
	for (unsigned int i = 0; i < total; i++)
		processes[i] = (struct process_v1){whole[i].pid, whole[i].used};
	return NVML_SUCCESS;
}

#define PROCESS_LIST(function, field) \
	EXPORT nvmlReturn_t function(nvmlDevice_t device, unsigned int *count, struct process_v1 *processes) \
	{ return list_v1(device, field, count, processes); } \
	EXPORT nvmlReturn_t function##_v2(nvmlDevice_t device, unsigned int *count, struct process *processes) \
	{ return list(device, field, count, processes); } \
	EXPORT nvmlReturn_t function##_v3(nvmlDevice_t device, unsigned int *count, struct process *processes) \
	{ return list(device, field, count, processes); }

PROCESS_LIST(nvmlDeviceGetComputeRunningProcesses, "procs")
PROCESS_LIST(nvmlDeviceGetGraphicsRunningProcesses, "graphics_procs")
PROCESS_LIST(nvmlDeviceGetMPSComputeRunningProcesses, "mps_procs")

EXPORT nvmlReturn_t nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t device, struct process_detail_list *details)
{
	struct process whole[1024];
	unsigned int total = sizeof whole / sizeof *whole;
	if (details->version != STRUCT_VERSION(struct process_detail_list, 1))
		return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	if (details->mode >= sizeof MODES / sizeof *MODES)
		return NVML_ERROR_INVALID_ARGUMENT;
	nvmlReturn_t result = list(device, MODES[details->mode], &total, whole);
	if (result != NVML_SUCCESS)
		return result;
	unsigned int room = details->processes ? details->count : 0;
	details->count = total;
	if (total > room)
		return NVML_ERROR_INSUFFICIENT_SIZE;
	for (unsigned int i = 0; i < total; i++)
		details->processes[i] = (struct process_detail){whole[i].pid, whole[i].used, whole[i].gpu_instance,
		                                                whole[i].compute_instance, 0};
	return NVML_SUCCESS;
}
