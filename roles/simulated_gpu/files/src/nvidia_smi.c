/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* nvidia-smi: -L as the real one prints it, and a short table. All it knows comes from libnvidia-ml. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nvml.h"

#define TEXT 128

static void *library;

/* The address of a function of libnvidia-ml; the program ends when it lacks it. */
static void *function(const char *name)
{
	void *found = dlsym(library, name);
	if (!found) {
		fprintf(stderr, "NVIDIA-SMI: libnvidia-ml.so.1 has no function %s.\n", name);
		exit(13);
	}
	return found;
}

static nvmlReturn_t text_of(const char *name, nvmlDevice_t device, char *text)
{
	nvmlReturn_t (*get)(nvmlDevice_t, char *, unsigned int) = function(name);
	nvmlReturn_t result = get(device, text, TEXT);
	if (result == NVML_ERROR_NOT_SUPPORTED)
		snprintf(text, TEXT, "N/A");
	else if (result != NVML_SUCCESS)
		snprintf(text, TEXT, "Unknown Error");
	return result;
}

static nvmlReturn_t number_of(const char *name, nvmlDevice_t device, unsigned int *value)
{
	nvmlReturn_t (*get)(nvmlDevice_t, unsigned int *) = function(name);
	return get(device, value);
}

static void list_mig_devices(nvmlDevice_t gpu)
{
	nvmlReturn_t (*handle)(nvmlDevice_t, unsigned int, nvmlDevice_t *) = function("nvmlDeviceGetMigDeviceHandleByIndex");
	unsigned int most = 0;
	number_of("nvmlDeviceGetMaxMigDeviceCount", gpu, &most);
	for (unsigned int i = 0; i < most; i++) {
		nvmlDevice_t device;
		char name[TEXT], uuid[TEXT];
		if (handle(gpu, i, &device) != NVML_SUCCESS)
			continue;
		text_of("nvmlDeviceGetName", device, name);
		text_of("nvmlDeviceGetUUID", device, uuid);
		const char *profile = strstr(name, "MIG ");
		printf("  MIG %-10s Device %2u: (UUID: %s)\n", profile ? profile + 4 : name, i, uuid);
	}
}

static void print_row(unsigned int index, nvmlDevice_t device, const char *name)
{
	nvmlReturn_t (*memory_of)(nvmlDevice_t, struct memory *) = function("nvmlDeviceGetMemoryInfo");
	nvmlReturn_t (*temperature_of)(nvmlDevice_t, unsigned int, unsigned int *) = function("nvmlDeviceGetTemperature");
	nvmlReturn_t (*pci_of)(nvmlDevice_t, struct pci_info_v3 *) = function("nvmlDeviceGetPciInfo_v3");
	struct memory memory;
	struct pci_info_v3 pci;
	unsigned int degrees;
	char used[48] = "N/A", heat[16] = "N/A";
	if (pci_of(device, &pci) != NVML_SUCCESS)
		strcpy(pci.bus_id, "N/A");
	if (memory_of(device, &memory) == NVML_SUCCESS)
		snprintf(used, sizeof used, "%lluMiB / %lluMiB", memory.used >> 20, memory.total >> 20);
	if (temperature_of(device, 0, &degrees) == NVML_SUCCESS)
		snprintf(heat, sizeof heat, "%uC", degrees);
	printf("| %3u  %-28s %-16s %5s  %22s |\n", index, name, pci.bus_id, heat, used);
}

static void print_border(void)
{
	char dashes[82];
	memset(dashes, '-', sizeof dashes);
	printf("+%.*s+\n", (int)sizeof dashes, dashes);
}

static void print_head(void)
{
	nvmlReturn_t (*driver_of)(char *, unsigned int) = function("nvmlSystemGetDriverVersion");
	nvmlReturn_t (*cuda_of)(int *) = function("nvmlSystemGetCudaDriverVersion");
	char driver[TEXT] = "N/A", cuda[16] = "N/A";
	int version;
	driver_of(driver, sizeof driver);
	if (cuda_of(&version) == NVML_SUCCESS)
		snprintf(cuda, sizeof cuda, "%d.%d", version / 1000, version % 1000 / 10);
	print_border();
	printf("| NVIDIA-SMI %-14s Driver Version: %-16s CUDA Version: %-8s|\n", driver, driver, cuda);
	printf("| %3s  %-28s %-16s %5s  %22s |\n", "GPU", "Name", "Bus-Id", "Temp", "Memory-Usage");
}

static int failed(nvmlReturn_t result)
{
	const char *(*text)(nvmlReturn_t) = function("nvmlErrorString");
	if (result == NVML_ERROR_DRIVER_NOT_LOADED)
		puts("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest "
		     "NVIDIA driver is installed and running.\n");
	else
		printf("Failed to initialize NVML: %s\n", text(result));
	return result > 255 ? 255 : result;
}

int main(int argc, char **argv)
{
	int list = argc > 1 && (strcmp(argv[1], "-L") == 0 || strcmp(argv[1], "--list-gpus") == 0);
	unsigned int count = 0;
	if (argc > 1 + list) {
		printf("Invalid combination of input arguments. The simulated nvidia-smi knows -L and no argument.\n");
		return 2;
	}
	library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
	if (!library) {
		puts("NVIDIA-SMI couldn't find libnvidia-ml.so library in your system. Please make sure that the NVIDIA Display "
		     "Driver is properly installed and present in your system.\n"
		     "Please also try adding directory that contains libnvidia-ml.so to your system PATH.");
		return 12;
	}
	nvmlReturn_t (*start)(void) = function("nvmlInit_v2");
	nvmlReturn_t (*count_of)(unsigned int *) = function("nvmlDeviceGetCount_v2");
	nvmlReturn_t (*handle)(unsigned int, nvmlDevice_t *) = function("nvmlDeviceGetHandleByIndex_v2");
	nvmlReturn_t result = start();
	if (result != NVML_SUCCESS || (result = count_of(&count)) != NVML_SUCCESS)
		return failed(result);
	if (!count) {
		puts("No devices found.");
		return 6;
	}
	if (!list)
		print_head();
	for (unsigned int index = 0; index < count; index++) {
		nvmlDevice_t device;
		char name[TEXT], uuid[TEXT];
		if (handle(index, &device) != NVML_SUCCESS) {
			printf("Unable to determine the device handle for gpu %u\n", index);
			continue;
		}
		text_of("nvmlDeviceGetName", device, name);
		text_of("nvmlDeviceGetUUID", device, uuid);
		if (!list) {
			print_row(index, device, name);
			continue;
		}
		printf("GPU %u: %s (UUID: %s)\n", index, name, uuid);
		list_mig_devices(device);
	}
	if (!list)
		print_border();
	return 0;
}
