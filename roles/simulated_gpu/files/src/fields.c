/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* nvmlDeviceGetFieldValues: many numbers of a device in one call. */
#include "device.h"

#include <stddef.h>
#include <time.h>

enum { TYPE_UINT = 1, TYPE_ULL = 3 };

static const struct {
	unsigned int id;
	unsigned int type;
	const char *field;
} FIELDS[] = {
	{1, TYPE_UINT, "ecc_mode"},
	{2, TYPE_UINT, "ecc_mode_pending"},
	{3, TYPE_ULL, "ecc_corrected"},
	{4, TYPE_ULL, "ecc_uncorrected"},
	{5, TYPE_ULL, "ecc_corrected_aggregate"},
	{6, TYPE_ULL, "ecc_uncorrected_aggregate"},
	{29, TYPE_ULL, "retired_single"},
	{30, TYPE_ULL, "retired_double"},
	{31, TYPE_UINT, "retired_pending"},
	{82, TYPE_UINT, "temp_mem"},
	{83, TYPE_ULL, "energy_mj"},
	{91, TYPE_UINT, "nvlinks"},
	{94, TYPE_UINT, "pcie_replays"},
	{142, TYPE_UINT, "remapped_corrected"},
	{143, TYPE_UINT, "remapped_uncorrected"},
	{144, TYPE_UINT, "remapped_pending"},
	{145, TYPE_UINT, "remapped_failed"},
	{185, TYPE_UINT, "power_mw"},
	{186, TYPE_UINT, "power_mw"},
	{187, TYPE_UINT, "power_min_mw"},
	{188, TYPE_UINT, "power_max_mw"},
	{189, TYPE_UINT, "power_default_mw"},
	{190, TYPE_UINT, "power_limit_mw"},
	{192, TYPE_UINT, "power_limit_mw"},
};

static void fill(const struct state *state, nvmlDevice_t device, struct field_value *value)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	value->timestamp = (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	value->latency_us = 0;
	value->result = NVML_ERROR_NOT_SUPPORTED;
	for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++)
		if (FIELDS[i].id == value->field) {
			value->type = FIELDS[i].type;
			value->result = field_number(state, device, FIELDS[i].field, &value->value);
		}
}

EXPORT nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, struct field_value *values)
{
	HOLD_STATE(state);
	nvmlReturn_t result = check_device(state, device);
	if (result != NVML_SUCCESS)
		return result;
	for (int i = 0; i < count; i++)
		fill(state, device, &values[i]);
	return NVML_SUCCESS;
}
