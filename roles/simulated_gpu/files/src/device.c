/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* Handles: which GPUs and MIG devices a process sees, and how it finds them. */
#define _GNU_SOURCE
#include "device.h"

#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int initialized;

static struct nvmlDevice_st gpus[MAX_GPUS];
static struct nvmlDevice_st migs[MAX_GPUS][MAX_MIG_DEVICES];

__attribute__((constructor)) static void number_handles(void)
{
	for (int gpu = 0; gpu < MAX_GPUS; gpu++) {
		gpus[gpu] = (struct nvmlDevice_st){gpu, -1};
		for (int mig = 0; mig < MAX_MIG_DEVICES; mig++)
			migs[gpu][mig] = (struct nvmlDevice_st){gpu, mig};
	}
}

nvmlDevice_t gpu_handle(int gpu) { return &gpus[gpu]; }
nvmlDevice_t mig_handle(int gpu, int mig) { return &migs[gpu][mig]; }

static int is_handle(nvmlDevice_t device)
{
	return (device >= gpus && device < gpus + MAX_GPUS) || (device >= migs[0] && device < migs[0] + MAX_GPUS * MAX_MIG_DEVICES);
}

int gpu_count(const struct state *state)
{
	return (int)state_number(state, "gpus", 0);
}

int node_usable(const struct state *state, const char *path, int how)
{
	struct stat info;
	const char *nodes = state_text(state, "nodes");
	if (nodes && strcmp(nodes, "ignore") == 0)
		return 1;
	if (stat(path, &info) < 0 || !S_ISCHR(info.st_mode))
		return 0;
	int fd = open(path, how | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENXIO || errno == ENODEV;
	close(fd);
	return 1;
}

int gpu_visible(const struct state *state, int gpu)
{
	char key[32], path[48];
	snprintf(key, sizeof key, "gpu.%d.minor", gpu);
	snprintf(path, sizeof path, "/dev/nvidia%lld", state_number(state, key, gpu));
	return node_usable(state, path, O_RDWR);
}

nvmlReturn_t error_of(const char *text)
{
	ull code;
	return strncmp(text, "err:", 4) == 0 && parse_number(text + 4, &code) ? (nvmlReturn_t)code : NVML_SUCCESS;
}

nvmlReturn_t check_device(const struct state *state, nvmlDevice_t device)
{
	if (!initialized)
		return NVML_ERROR_UNINITIALIZED;
	if (!is_handle(device))
		return NVML_ERROR_INVALID_ARGUMENT;
	return device->gpu < gpu_count(state) ? NVML_SUCCESS : NVML_ERROR_GPU_IS_LOST;
}

/* What is known of a GPU that has fallen off the bus. */
static int survives_loss(const char *field)
{
	static const char *const known[] = {"minor", "uuid", "pci_domain", "pci_bus", "pci_device", "pci_device_id",
	                                    "pci_subsystem_id", "busid_legacy", "busid_long"};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(field, known[i]) == 0)
			return 1;
	return 0;
}

void hang_if(const struct state *state, const char *key)
{
	while (state_number(state, key, 0))
		pause();
}

void delay_by(const struct state *state, const char *key)
{
	static _Thread_local unsigned long delayed;
	long long left = state_number(state, key, 0);
	if (left <= 0 || delayed == calls_made())
		return;
	delayed = calls_made();
	struct timespec time = {left / 1000, left % 1000 * 1000000};
	while (nanosleep(&time, &time) != 0 && errno == EINTR)
		;
}

nvmlReturn_t field_text(const struct state *state, nvmlDevice_t device, const char *field, const char **text)
{
	char key[96];
	nvmlReturn_t result = check_device(state, device);
	if (result != NVML_SUCCESS)
		return result;
	snprintf(key, sizeof key, "gpu.%d.hang", device->gpu);
	hang_if(state, key);
	snprintf(key, sizeof key, "gpu.%d.delay_ms", device->gpu);
	delay_by(state, key);
	snprintf(key, sizeof key, "gpu.%d.lost", device->gpu);
	if (state_number(state, key, 0) && !survives_loss(field))
		return NVML_ERROR_GPU_IS_LOST;
	if (device->mig < 0)
		snprintf(key, sizeof key, "gpu.%d.%s", device->gpu, field);
	else
		snprintf(key, sizeof key, "gpu.%d.mig.%d.%s", device->gpu, device->mig, field);
	*text = state_text(state, key);
	return *text ? error_of(*text) : NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t field_number(const struct state *state, nvmlDevice_t device, const char *field, ull *value)
{
	const char *text;
	nvmlReturn_t result = field_text(state, device, field, &text);
	if (result != NVML_SUCCESS)
		return result;
	return parse_number(text, value) ? NVML_SUCCESS : NVML_ERROR_UNKNOWN;
}

nvmlReturn_t copy_text(const char *text, char *buffer, unsigned int size)
{
	if (!buffer)
		return NVML_ERROR_INVALID_ARGUMENT;
	if (strlen(text) >= size)
		return NVML_ERROR_INSUFFICIENT_SIZE;
	strcpy(buffer, text);
	return NVML_SUCCESS;
}

nvmlReturn_t answer_ull(nvmlDevice_t device, const char *field, ull *value)
{
	HOLD_STATE(state);
	return value ? field_number(state, device, field, value) : NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t answer_uint(nvmlDevice_t device, const char *field, unsigned int *value)
{
	ull wide;
	nvmlReturn_t result = answer_ull(device, field, value ? &wide : NULL);
	if (result == NVML_SUCCESS)
		*value = (unsigned int)wide;
	return result;
}

nvmlReturn_t answer_text(nvmlDevice_t device, const char *field, char *buffer, unsigned int size)
{
	HOLD_STATE(state);
	const char *text;
	nvmlReturn_t result = field_text(state, device, field, &text);
	return result == NVML_SUCCESS ? copy_text(text, buffer, size) : result;
}

EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
	HOLD_STATE(state);
	if (!initialized)
		return NVML_ERROR_UNINITIALIZED;
	if (!count)
		return NVML_ERROR_INVALID_ARGUMENT;
	*count = 0;
	for (int gpu = 0; gpu < gpu_count(state); gpu++)
		*count += (unsigned int)gpu_visible(state, gpu);
	return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetCount(unsigned int *count) { return nvmlDeviceGetCount_v2(count); }

/* A GPU's "handle" field makes the look-up of its handle fail. */
static nvmlReturn_t give_handle(const struct state *state, int gpu, nvmlDevice_t *device)
{
	char key[32];
	snprintf(key, sizeof key, "gpu.%d.handle", gpu);
	const char *text = state_text(state, key);
	nvmlReturn_t result = text ? error_of(text) : NVML_SUCCESS;
	if (result == NVML_SUCCESS)
		*device = gpu_handle(gpu);
	return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
	HOLD_STATE(state);
	if (!initialized)
		return NVML_ERROR_UNINITIALIZED;
	for (int gpu = 0; device && gpu < gpu_count(state); gpu++)
		if (gpu_visible(state, gpu) && index-- == 0)
			return give_handle(state, gpu, device);
	return NVML_ERROR_INVALID_ARGUMENT;
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t *device)
{
	return nvmlDeviceGetHandleByIndex_v2(index, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index)
{
	HOLD_STATE(state);
	nvmlReturn_t result = check_device(state, device);
	if (result != NVML_SUCCESS)
		return result;
	if (!index)
		return NVML_ERROR_INVALID_ARGUMENT;
	*index = 0;
	for (int gpu = 0; device->mig < 0 && gpu < device->gpu; gpu++)
		*index += (unsigned int)gpu_visible(state, gpu);
	for (int mig = 0; mig < device->mig; mig++)
		*index += (unsigned int)mig_visible(state, device->gpu, mig);
	return NVML_SUCCESS;
}

/* The visible GPU whose field is `wanted`; with `migs`, also the MIG device. */
static nvmlReturn_t find(const char *field, const char *wanted, int with_migs, nvmlDevice_t *device)
{
	HOLD_STATE(state);
	char key[64];
	if (!initialized)
		return NVML_ERROR_UNINITIALIZED;
	if (!wanted || !device)
		return NVML_ERROR_INVALID_ARGUMENT;
	for (int gpu = 0; gpu < gpu_count(state); gpu++) {
		if (!gpu_visible(state, gpu))
			continue;
		snprintf(key, sizeof key, "gpu.%d.%s", gpu, field);
		const char *text = state_text(state, key);
		if (text && strcasecmp(text, wanted) == 0)
			return give_handle(state, gpu, device);
		snprintf(key, sizeof key, "gpu.%d.migs", gpu);
		long long count = with_migs ? state_number(state, key, 0) : 0;
		for (int mig = 0; mig < count; mig++) {
			snprintf(key, sizeof key, "gpu.%d.mig.%d.%s", gpu, mig, field);
			text = state_text(state, key);
			if (text && strcmp(text, wanted) == 0) {
				*device = mig_handle(gpu, mig);
				return NVML_SUCCESS;
			}
		}
	}
	return NVML_ERROR_NOT_FOUND;
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
	return find("uuid", uuid, 1, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUIDV(const struct uuid *uuid, nvmlDevice_t *device)
{
	if (!uuid)
		return NVML_ERROR_INVALID_ARGUMENT;
	if (uuid->version != STRUCT_VERSION(struct uuid, 1))
		return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	return uuid->type == 1 ? find("uuid", uuid->text, 1, device) : NVML_ERROR_NOT_SUPPORTED;
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleBySerial(const char *serial, nvmlDevice_t *device)
{
	return find("serial", serial, 0, device);
}

/* "0:4:0.0", "04:00.0", "0000:04:00.0" and "00000000:04:00.0" are the same. */
static int normal_bus_id(const char *text, char *normal, size_t size)
{
	unsigned int parts[4] = {0, 0, 0, 0}, count = 0, digits = 0;
	for (;; text++) {
		int c = *text | 0x20;
		int digit = *text >= '0' && *text <= '9' ? *text - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
		if (digit >= 0 && digits < 8) {
			parts[count] = parts[count] * 16 + (unsigned int)digit;
			digits++;
		} else if (digits && count < 3 && (*text == ':' || *text == '.')) {
			count++;
			digits = 0;
		} else if (digits && !*text) {
			break;
		} else {
			return 0;
		}
	}
	if (count == 3)
		snprintf(normal, size, "%08X:%02X:%02X.%X", parts[0], parts[1], parts[2], parts[3]);
	else if (count == 2)
		snprintf(normal, size, "%08X:%02X:%02X.%X", 0u, parts[0], parts[1], parts[2]);
	return count >= 2;
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *device)
{
	char normal[48];
	if (!bus_id || !normal_bus_id(bus_id, normal, sizeof normal))
		return initialized ? NVML_ERROR_INVALID_ARGUMENT : NVML_ERROR_UNINITIALIZED;
	return find("busid_long", normal, 0, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *bus_id, nvmlDevice_t *device)
{
	return nvmlDeviceGetHandleByPciBusId_v2(bus_id, device);
}

/* For libcuda: the place in the machine's list of the n-th visible GPU, -1 when there are fewer. */
EXPORT int simulated_gpu_visible(int n)
{
	HOLD_STATE(state);
	if (!node_usable(state, "/dev/nvidiactl", O_RDWR))
		return -1;
	for (int gpu = 0; gpu < gpu_count(state); gpu++)
		if (gpu_visible(state, gpu) && n-- == 0)
			return gpu;
	return -1;
}
