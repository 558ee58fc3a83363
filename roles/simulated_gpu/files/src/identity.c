/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* What a device is: names, PCI address, fixed properties. */
#include "device.h"

#include <stddef.h>
#include <string.h>

ANSWER_TEXT(nvmlDeviceGetName, "name")
ANSWER_TEXT(nvmlDeviceGetUUID, "uuid")
ANSWER_TEXT(nvmlDeviceGetSerial, "serial")
ANSWER_TEXT(nvmlDeviceGetVbiosVersion, "vbios")
ANSWER_TEXT(nvmlDeviceGetBoardPartNumber, "board_part_number")
ANSWER_TEXT(nvmlDeviceGetInforomImageVersion, "inforom_image")

ANSWER_UINT(nvmlDeviceGetMinorNumber, "minor")
ANSWER_UINT(nvmlDeviceGetBrand, "brand")
ANSWER_UINT(nvmlDeviceGetArchitecture, "architecture")
ANSWER_UINT(nvmlDeviceGetBoardId, "board_id")
ANSWER_UINT(nvmlDeviceGetMultiGpuBoard, "multi_gpu_board")
ANSWER_UINT(nvmlDeviceGetNumGpuCores, "cores")
ANSWER_UINT(nvmlDeviceGetMemoryBusWidth, "bus_width")
ANSWER_UINT(nvmlDeviceGetNumaNodeId, "memory_numa_node")
ANSWER_UINT(nvmlDeviceGetModuleId, "module_id")
ANSWER_UINT(nvmlDeviceGetIrqNum, "irq")
ANSWER_UINT(nvmlDeviceGetBusType, "bus_type")
ANSWER_UINT(nvmlDeviceGetVirtualizationMode, "virtualization_mode")

EXPORT nvmlReturn_t nvmlDeviceGetGspFirmwareVersion(nvmlDevice_t device, char *version)
{
	return answer_text(device, "gsp_version", version, 64);
}

EXPORT nvmlReturn_t nvmlDeviceGetGspFirmwareMode(nvmlDevice_t device, unsigned int *enabled, unsigned int *by_default)
{
	nvmlReturn_t result = answer_uint(device, "gsp_mode", enabled);
	if (result == NVML_SUCCESS)
		*by_default = *enabled;
	return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor)
{
	nvmlReturn_t result = answer_uint(device, "cc_major", (unsigned int *)major);
	return result == NVML_SUCCESS ? answer_uint(device, "cc_minor", (unsigned int *)minor) : result;
}

EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, struct pci_info_v3 *info)
{
	HOLD_STATE(state);
	struct {
		const char *field;
		unsigned int *value;
	} numbers[] = {
		{"pci_domain", &info->domain},       {"pci_bus", &info->bus},
		{"pci_device", &info->device},       {"pci_device_id", &info->device_id},
		{"pci_subsystem_id", &info->subsystem_id},
	};
	const char *text;
	ull number;
	if (!info)
		return NVML_ERROR_INVALID_ARGUMENT;
	nvmlReturn_t result = check_device(state, device);
	if (result != NVML_SUCCESS)
		return result;
	device = gpu_handle(device->gpu); /* a MIG device has the address of its GPU */
	memset(info, 0, sizeof *info);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		if ((result = field_number(state, device, numbers[i].field, &number)) != NVML_SUCCESS)
			return result;
		*numbers[i].value = (unsigned int)number;
	}
	if ((result = field_text(state, device, "busid_legacy", &text)) != NVML_SUCCESS ||
	    (result = copy_text(text, info->bus_id_legacy, sizeof info->bus_id_legacy)) != NVML_SUCCESS ||
	    (result = field_text(state, device, "busid_long", &text)) != NVML_SUCCESS)
		return result;
	return copy_text(text, info->bus_id, sizeof info->bus_id);
}

EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, struct pci_info_v2 *info)
{
	struct pci_info_v3 whole;
	nvmlReturn_t result = nvmlDeviceGetPciInfo_v3(device, &whole);
	if (result != NVML_SUCCESS)
		return result;
	memset(info, 0, sizeof *info);
	memcpy(info, &whole, offsetof(struct pci_info_v2, reserved));
	return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, struct pci_info_v2 *info)
{
	return nvmlDeviceGetPciInfo_v2(device, info);
}

EXPORT nvmlReturn_t nvmlDeviceGetPciInfoExt(nvmlDevice_t device, struct pci_info_ext *info)
{
	struct pci_info_v3 whole;
	if (info->version != STRUCT_VERSION(struct pci_info_ext, 1))
		return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	nvmlReturn_t result = nvmlDeviceGetPciInfo_v3(device, &whole);
	if (result != NVML_SUCCESS)
		return result;
	*info = (struct pci_info_ext){info->version,      whole.domain, whole.bus, whole.device, whole.device_id,
	                              whole.subsystem_id, 3,            2,         {0}};
	memcpy(info->bus_id, whole.bus_id, sizeof info->bus_id);
	return NVML_SUCCESS;
}
