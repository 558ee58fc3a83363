/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* Starting and stopping NVML, and what it says about the whole host. */
#include "device.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
	HOLD_STATE(state);
	(void)flags;
	if (!node_usable(state, "/dev/nvidiactl", O_RDWR))
		return NVML_ERROR_DRIVER_NOT_LOADED;
	hang_if(state, "hang");
	delay_by(state, "delay_ms");
	const char *failure = state_text(state, "init");
	nvmlReturn_t result = failure ? error_of(failure) : NVML_SUCCESS;
	if (result == NVML_SUCCESS)
		initialized++;
	return result;
}

EXPORT nvmlReturn_t nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
EXPORT nvmlReturn_t nvmlInit(void) { return nvmlInitWithFlags(0); }

EXPORT nvmlReturn_t nvmlShutdown(void)
{
	HOLD_STATE(state);
	if (!initialized)
		return NVML_ERROR_UNINITIALIZED;
	initialized--;
	return NVML_SUCCESS;
}

EXPORT const char *nvmlErrorString(nvmlReturn_t result)
{
	static const char *const texts[] = {
		"Success", "Uninitialized", "Invalid Argument", "Not Supported", "Insufficient Permissions",
		"Already Initialized", "Not Found", "Insufficient Size", "Insufficient External Power", "Driver Not Loaded",
		"Timeout", "Interrupt Request Issue", "NVML Shared Library Not Found", "Function Not Found",
		"Corrupted infoROM", "GPU is lost", "GPU requires reset", "GPU access blocked by the operating system",
		"Driver/library version mismatch", "In use by another client", "Insufficient Memory", "No data",
		"The requested vgpu operation is not available on target device, because ECC is enabled",
		"Insufficient resources", "Frequency not supported", "The argument version is invalid",
		"Deprecated function", "Not ready", "GPU not found", "Invalid state", "Reset type not supported",
	};
	if (result >= 0 && result < (nvmlReturn_t)(sizeof texts / sizeof *texts))
		return texts[result];
	return "Unknown Error";
}

static nvmlReturn_t system_text(const char *key, char *buffer, unsigned int size)
{
	HOLD_STATE(state);
	if (!initialized)
		return NVML_ERROR_UNINITIALIZED;
	const char *text = state_text(state, key);
	if (!text)
		return NVML_ERROR_NOT_SUPPORTED;
	nvmlReturn_t result = error_of(text);
	return result == NVML_SUCCESS ? copy_text(text, buffer, size) : result;
}

EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *buffer, unsigned int size) { return system_text("driver", buffer, size); }
EXPORT nvmlReturn_t nvmlSystemGetNVMLVersion(char *buffer, unsigned int size) { return system_text("nvml", buffer, size); }

EXPORT nvmlReturn_t nvmlSystemGetDriverBranch(struct driver_branch *branch, unsigned int size)
{
	(void)size;
	if (branch->version != STRUCT_VERSION(struct driver_branch, 1))
		return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	return system_text("branch", branch->branch, sizeof branch->branch);
}

/* NVML asks libcuda for it: where that one fails, NVML says that it found no such library. */
EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version)
{
	HOLD_STATE(state);
	ull number;
	const char *text = state_text(state, "cuda");
	if (!version)
		return NVML_ERROR_INVALID_ARGUMENT;
	if (!text || !parse_number(text, &number))
		return NVML_ERROR_LIBRARY_NOT_FOUND;
	*version = (int)number;
	return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version) { return nvmlSystemGetCudaDriverVersion_v2(version); }

EXPORT nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int size)
{
	char key[32];
	snprintf(key, sizeof key, "proc.%u", pid);
	nvmlReturn_t result = system_text(key, name, size);
	return result == NVML_ERROR_NOT_SUPPORTED ? NVML_ERROR_NOT_FOUND : result;
}

static nvmlReturn_t none_of_them(unsigned int *count)
{
	if (!initialized)
		return NVML_ERROR_UNINITIALIZED;
	*count = 0;
	return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlUnitGetCount(unsigned int *count) { return none_of_them(count); }
EXPORT nvmlReturn_t nvmlGetExcludedDeviceCount(unsigned int *count) { return none_of_them(count); }
