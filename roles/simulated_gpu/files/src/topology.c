/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* How GPUs, and GPUs and processors, are connected. */
#include "device.h"

#include <stdio.h>
#include <string.h>

enum { P2P_OK = 0, P2P_NOT_SUPPORTED = 5 };

/* Keys name a pair with the smaller number first. */
static const char *pair(const struct state *state, const char *kind, int a, int b)
{
	char key[48];
	snprintf(key, sizeof key, "%s.%d.%d", kind, a < b ? a : b, a < b ? b : a);
	return state_text(state, key);
}

static nvmlReturn_t check_pair(const struct state *state, nvmlDevice_t one, nvmlDevice_t other)
{
	nvmlReturn_t result = check_device(state, one);
	return result == NVML_SUCCESS ? check_device(state, other) : result;
}

EXPORT nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t one, nvmlDevice_t other, unsigned int *level)
{
	HOLD_STATE(state);
	ull number = 0;
	nvmlReturn_t result = check_pair(state, one, other);
	if (result != NVML_SUCCESS)
		return result;
	if (one->gpu != other->gpu) {
		const char *text = pair(state, "topo", one->gpu, other->gpu);
		if (!text)
			return NVML_ERROR_NOT_SUPPORTED;
		if ((result = error_of(text)) != NVML_SUCCESS)
			return result;
		if (!parse_number(text, &number))
			return NVML_ERROR_UNKNOWN;
	}
	*level = (unsigned int)number;
	return NVML_SUCCESS;
}

static unsigned int nearest(const struct state *state, int of, unsigned int level, unsigned int room, nvmlDevice_t *devices)
{
	unsigned int total = 0;
	for (int gpu = 0; gpu < gpu_count(state); gpu++) {
		ull number;
		const char *text = gpu == of ? NULL : pair(state, "topo", of, gpu);
		if (!text || !parse_number(text, &number) || number != level || !gpu_visible(state, gpu))
			continue;
		if (devices && total < room)
			devices[total] = gpu_handle(gpu);
		total++;
	}
	return total;
}

EXPORT nvmlReturn_t nvmlDeviceGetTopologyNearestGpus(nvmlDevice_t device, unsigned int level, unsigned int *count,
                                                     nvmlDevice_t *devices)
{
	HOLD_STATE(state);
	nvmlReturn_t result = check_device(state, device);
	if (result == NVML_SUCCESS)
		*count = nearest(state, device->gpu, level, *count, devices);
	return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetP2PStatus(nvmlDevice_t one, nvmlDevice_t other, unsigned int capability, unsigned int *status)
{
	HOLD_STATE(state);
	ull number;
	(void)capability;
	nvmlReturn_t result = check_pair(state, one, other);
	if (result != NVML_SUCCESS)
		return result;
	const char *text = pair(state, "p2p", one->gpu, other->gpu);
	*status = text && parse_number(text, &number) && number ? P2P_OK : P2P_NOT_SUPPORTED;
	return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceOnSameBoard(nvmlDevice_t one, nvmlDevice_t other, int *same)
{
	HOLD_STATE(state);
	const char *text;
	nvmlReturn_t result = check_pair(state, one, other);
	if (result != NVML_SUCCESS)
		return result;
	text = pair(state, "topo", one->gpu, other->gpu);
	*same = one->gpu == other->gpu || (text && strcmp(text, "10") == 0);
	return NVML_SUCCESS;
}

/* The machine's mask covers the first 64 processors. */
EXPORT nvmlReturn_t nvmlDeviceGetCpuAffinity(nvmlDevice_t device, unsigned int size, unsigned long *mask)
{
	ull cpus;
	nvmlReturn_t result = answer_ull(device, "cpu_mask", &cpus);
	if (result != NVML_SUCCESS)
		return result;
	if (!size || !mask)
		return NVML_ERROR_INVALID_ARGUMENT;
	memset(mask, 0, size * sizeof *mask);
	*mask = cpus;
	return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetCpuAffinityWithinScope(nvmlDevice_t device, unsigned int size, unsigned long *mask,
                                                        unsigned int scope)
{
	return scope <= 1 ? nvmlDeviceGetCpuAffinity(device, size, mask) : NVML_ERROR_INVALID_ARGUMENT;
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryAffinity(nvmlDevice_t device, unsigned int size, unsigned long *mask, unsigned int scope)
{
	ull node;
	if (scope > 1 || !size || !mask)
		return NVML_ERROR_INVALID_ARGUMENT;
	nvmlReturn_t result = answer_ull(device, "numa_node", &node);
	if (result != NVML_SUCCESS)
		return result;
	if (node >= 64)
		return NVML_ERROR_NOT_SUPPORTED;
	memset(mask, 0, size * sizeof *mask);
	*mask = 1ul << node;
	return NVML_SUCCESS;
}

/* NVLink: links 0 to N-1 are active. */
static nvmlReturn_t link_of(nvmlDevice_t device, unsigned int link)
{
	unsigned int links;
	nvmlReturn_t result = answer_uint(device, "nvlinks", &links);
	if (result != NVML_SUCCESS)
		return result;
	return link < links ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

EXPORT nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned int link, unsigned int *active)
{
	nvmlReturn_t result = link_of(device, link);
	if (result == NVML_SUCCESS)
		*active = 1;
	return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetNvLinkVersion(nvmlDevice_t device, unsigned int link, unsigned int *version)
{
	nvmlReturn_t result = link_of(device, link);
	return result == NVML_SUCCESS ? answer_uint(device, "nvlink_version", version) : result;
}

/* The NVLink fabric that a fabric manager sets up. */
EXPORT nvmlReturn_t nvmlDeviceGetGpuFabricInfo(nvmlDevice_t device, struct fabric_info *info)
{
	unsigned int state, status;
	nvmlReturn_t result = answer_uint(device, "fabric_state", &state);
	if (result != NVML_SUCCESS)
		return result;
	*info = (struct fabric_info){.state = state};
	if (answer_uint(device, "fabric_status", &status) == NVML_SUCCESS)
		info->status = (nvmlReturn_t)status;
	return NVML_SUCCESS;
}
