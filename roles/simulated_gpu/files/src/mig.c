/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* MIG: GPU instances and compute instances, read-only. */
#include "device.h"

#include <fcntl.h>
#include <stdio.h>

ANSWER_UINT(nvmlDeviceGetGpuInstanceId, "gi")
ANSWER_UINT(nvmlDeviceGetComputeInstanceId, "ci")

EXPORT nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *now, unsigned int *pending)
{
	nvmlReturn_t result = answer_uint(device, "mig_mode", now);
	if (result == NVML_SUCCESS && answer_uint(device, "mig_mode_pending", pending) != NVML_SUCCESS)
		*pending = *now;
	return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *count)
{
	nvmlReturn_t result = answer_uint(device, "mig_max", count);
	if (result == NVML_ERROR_NOT_SUPPORTED) {
		*count = 0;
		return NVML_SUCCESS;
	}
	return result;
}

/* A process may use a MIG device when it may open the capability nodes of both of its instances. */
int mig_visible(const struct state *state, int gpu, int mig)
{
	static const char *const fields[] = {"gi_cap", "ci_cap"};
	char key[48], path[64];
	for (int i = 0; i < 2; i++) {
		snprintf(key, sizeof key, "gpu.%d.mig.%d.%s", gpu, mig, fields[i]);
		snprintf(path, sizeof path, "/dev/nvidia-caps/nvidia-cap%lld", state_number(state, key, 0));
		if (!node_usable(state, path, O_RDONLY))
			return 0;
	}
	return 1;
}

EXPORT nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index, nvmlDevice_t *mig_device)
{
	HOLD_STATE(state);
	ull mode, count;
	nvmlReturn_t result = field_number(state, device, "mig_mode", &mode);
	if (result != NVML_SUCCESS)
		return result;
	if (!mig_device || device->mig >= 0 || index >= MAX_MIG_DEVICES)
		return NVML_ERROR_INVALID_ARGUMENT;
	if (!mode || field_number(state, device, "migs", &count) != NVML_SUCCESS)
		return NVML_ERROR_NOT_FOUND;
	for (int mig = 0; mig < (int)count; mig++)
		if (mig_visible(state, device->gpu, mig) && index-- == 0) {
			*mig_device = mig_handle(device->gpu, mig);
			return NVML_SUCCESS;
		}
	return NVML_ERROR_NOT_FOUND;
}

EXPORT nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned int *is_mig)
{
	HOLD_STATE(state);
	nvmlReturn_t result = check_device(state, device);
	if (result == NVML_SUCCESS)
		*is_mig = device->mig >= 0;
	return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t mig_device, nvmlDevice_t *device)
{
	HOLD_STATE(state);
	nvmlReturn_t result = check_device(state, mig_device);
	if (result != NVML_SUCCESS)
		return result;
	if (mig_device->mig < 0)
		return NVML_ERROR_INVALID_ARGUMENT;
	*device = gpu_handle(mig_device->gpu);
	return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t device, struct mig_attributes *attributes)
{
	HOLD_STATE(state);
	struct {
		const char *field;
		unsigned int *value;
	} numbers[] = {
		{"sm_count", &attributes->multiprocessors},
		{"copy_engines", &attributes->copy_engines},
		{"decoders", &attributes->decoders},
		{"encoders", &attributes->encoders},
		{"jpeg_engines", &attributes->jpeg_engines},
		{"ofa_engines", &attributes->ofa_engines},
		{"gi_slices", &attributes->gpu_instance_slices},
		{"ci_slices", &attributes->compute_instance_slices},
	};
	ull number;
	nvmlReturn_t result = check_device(state, device);
	if (result != NVML_SUCCESS)
		return result;
	if (device->mig < 0)
		return NVML_ERROR_NOT_SUPPORTED;
	for (unsigned int i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		if ((result = field_number(state, device, numbers[i].field, &number)) != NVML_SUCCESS)
			return result;
		*numbers[i].value = (unsigned int)number;
	}
	if ((result = field_number(state, device, "mem_total", &number)) == NVML_SUCCESS)
		attributes->memory_mib = number >> 20;
	return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetAttributes(nvmlDevice_t device, struct mig_attributes *attributes)
{
	return nvmlDeviceGetAttributes_v2(device, attributes);
}
