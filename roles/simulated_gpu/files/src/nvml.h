/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* The part of NVML's binary interface that we answer: numbers and layouts as its clients know them. */
#ifndef SIMULATED_GPU_NVML_H
#define SIMULATED_GPU_NVML_H

typedef int nvmlReturn_t;
typedef struct nvmlDevice_st *nvmlDevice_t;
typedef unsigned long long ull;

enum {
	NVML_SUCCESS = 0,
	NVML_ERROR_UNINITIALIZED = 1,
	NVML_ERROR_INVALID_ARGUMENT = 2,
	NVML_ERROR_NOT_SUPPORTED = 3,
	NVML_ERROR_NOT_FOUND = 6,
	NVML_ERROR_INSUFFICIENT_SIZE = 7,
	NVML_ERROR_DRIVER_NOT_LOADED = 9,
	NVML_ERROR_TIMEOUT = 10,
	NVML_ERROR_LIBRARY_NOT_FOUND = 12,
	NVML_ERROR_GPU_IS_LOST = 15,
	NVML_ERROR_MEMORY = 20,
	NVML_ERROR_ARGUMENT_VERSION_MISMATCH = 25,
	NVML_ERROR_UNKNOWN = 999,
};

/* A versioned struct begins with its size and, in the top byte, the number of its layout. */
#define STRUCT_VERSION(type, number) ((unsigned int)sizeof(type) | (number) << 24)

struct pci_info_v2 {
	char bus_id[16];
	unsigned int domain, bus, device, device_id, subsystem_id;
	unsigned int reserved[4];
};

struct pci_info_v3 {
	char bus_id_legacy[16];
	unsigned int domain, bus, device, device_id, subsystem_id;
	char bus_id[32];
};

struct pci_info_ext {
	unsigned int version, domain, bus, device, device_id, subsystem_id, base_class, sub_class;
	char bus_id[32];
};

struct memory {
	ull total, free, used;
};

struct memory_v2 {
	unsigned int version;
	ull total, reserved, free, used;
};

struct utilization {
	unsigned int gpu, memory;
};

struct temperature {
	unsigned int version, sensor;
	int degrees;
};

struct ecc_counts {
	ull l1, l2, memory, registers;
};

struct process_v1 {
	unsigned int pid;
	ull used;
};

struct process {
	unsigned int pid;
	ull used;
	unsigned int gpu_instance, compute_instance;
};

struct process_detail {
	unsigned int pid;
	ull used;
	unsigned int gpu_instance, compute_instance;
	ull used_protected;
};

struct process_detail_list {
	unsigned int version, mode, count;
	struct process_detail *processes;
};

struct mig_attributes {
	unsigned int multiprocessors, copy_engines, decoders, encoders, jpeg_engines, ofa_engines;
	unsigned int gpu_instance_slices, compute_instance_slices;
	ull memory_mib;
};

struct field_value {
	unsigned int field, scope;
	long long timestamp, latency_us;
	unsigned int type;
	nvmlReturn_t result;
	ull value;
};

struct uuid {
	unsigned int version, type;
	union {
		char text[41];
		unsigned char binary[16];
	};
};

struct driver_branch {
	unsigned int version;
	char branch[80];
};

struct fabric_info {
	unsigned char cluster[16];
	nvmlReturn_t status;
	unsigned int clique, state;
};

struct event_data {
	nvmlDevice_t device;
	ull type, data;
	unsigned int gpu_instance, compute_instance;
};

#endif
