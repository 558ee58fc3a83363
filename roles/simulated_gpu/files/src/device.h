/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* Handles, and the answers that are one field of the machine each. */
#ifndef SIMULATED_GPU_DEVICE_H
#define SIMULATED_GPU_DEVICE_H

#include "nvml.h"
#include "state.h"

#define MAX_GPUS 64
#define MAX_MIG_DEVICES 8

struct nvmlDevice_st {
	int gpu; /* place in the machine's list; the index that clients see counts visible GPUs only */
	int mig; /* place among the GPU's MIG devices, -1: the handle means the GPU */
};

extern int initialized;

nvmlDevice_t gpu_handle(int gpu);
nvmlDevice_t mig_handle(int gpu, int mig);
int gpu_count(const struct state *state);

/* Whether this process may use the GPU: its device node can be opened, as the kernel demands. */
int gpu_visible(const struct state *state, int gpu);

int mig_visible(const struct state *state, int gpu, int mig);

/* Whether a node is there and may be opened (O_RDONLY, O_RDWR); ENXIO, no driver behind it, is the simulation's own doing. */
int node_usable(const struct state *state, const char *path, int how);

/* Never returns when the key is 1, as a driver whose GPU is stuck. */
void hang_if(const struct state *state, const char *key);

/* Waits the milliseconds of the key, once in each call of the library, as a driver that is slow. */
void delay_by(const struct state *state, const char *key);

/* NVML_SUCCESS when the handle can be asked at all. */
nvmlReturn_t check_device(const struct state *state, nvmlDevice_t device);

/* One field of a device, with NVML's meaning: absent or null = not supported, "err:N" = error N. */
nvmlReturn_t field_text(const struct state *state, nvmlDevice_t device, const char *field, const char **text);
nvmlReturn_t field_number(const struct state *state, nvmlDevice_t device, const char *field, ull *value);

/* Error N of the text "err:N", else 0. */
nvmlReturn_t error_of(const char *text);
nvmlReturn_t copy_text(const char *text, char *buffer, unsigned int size);

nvmlReturn_t answer_uint(nvmlDevice_t device, const char *field, unsigned int *value);
nvmlReturn_t answer_ull(nvmlDevice_t device, const char *field, ull *value);
nvmlReturn_t answer_text(nvmlDevice_t device, const char *field, char *buffer, unsigned int size);

#define ANSWER_UINT(function, field) \
	EXPORT nvmlReturn_t function(nvmlDevice_t device, unsigned int *value) { return answer_uint(device, field, value); }
#define ANSWER_ULL(function, field) \
	EXPORT nvmlReturn_t function(nvmlDevice_t device, ull *value) { return answer_ull(device, field, value); }
#define ANSWER_TEXT(function, field) \
	EXPORT nvmlReturn_t function(nvmlDevice_t device, char *buffer, unsigned int size) \
	{ return answer_text(device, field, buffer, size); }

#endif
