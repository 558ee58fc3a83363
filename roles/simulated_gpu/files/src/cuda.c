/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* libcuda.so.1: the few calls of the driver interface that describe devices. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef int CUresult;
typedef int CUdevice;

enum {
	CUDA_SUCCESS = 0,
	CUDA_ERROR_INVALID_VALUE = 1,
	CUDA_ERROR_NOT_INITIALIZED = 3,
	CUDA_ERROR_NO_DEVICE = 100,
	CUDA_ERROR_INVALID_DEVICE = 101,
	CUDA_ERROR_SHARED_OBJECT_INIT_FAILED = 303,
	CUDA_ERROR_NOT_SUPPORTED = 801,
	CUDA_ERROR_UNKNOWN = 999,
};

enum { NOT_TOLD = 3 }; /* a field of null, in NVML's code */

static int (*state_get)(const char *, char *, unsigned int);
static int (*state_visible)(int);
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int initialized;

/* The state belongs to libnvidia-ml: the one beside this library, else the one the loader finds. */
static void connect_state(void)
{
	Dl_info info;
	char path[4096] = "";
	if (dladdr((void *)connect_state, &info) && info.dli_fname) {
		const char *slash = strrchr(info.dli_fname, '/');
		int folder = slash ? (int)(slash - info.dli_fname + 1) : 0;
		snprintf(path, sizeof path, "%.*slibnvidia-ml.so.1", folder, info.dli_fname);
	}
	void *nvml = dlopen(path, RTLD_NOW);
	if (!nvml)
		nvml = dlopen("libnvidia-ml.so.1", RTLD_NOW);
	if (nvml) {
		state_get = (int (*)(const char *, char *, unsigned int))dlsym(nvml, "simulated_gpu_text");
		state_visible = (int (*)(int))dlsym(nvml, "simulated_gpu_visible");
	}
}

static int connected(void)
{
	pthread_once(&once, connect_state);
	return state_get && state_visible;
}

static CUresult number_of(const char *key, long long *value)
{
	char text[32];
	const char *c = text;
	int length = state_get(key, text, sizeof text);
	if (length < 0 || (unsigned int)length >= sizeof text)
		return CUDA_ERROR_INVALID_VALUE;
	int failure = strncmp(text, "err:", 4) == 0;
	long long sum = 0;
	for (c += failure ? 4 : 0; *c >= '0' && *c <= '9'; c++)
		sum = sum * 10 + (*c - '0');
	if (failure)
		return (CUresult)sum;
	*value = sum;
	return *c ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS;
}

EXPORT CUresult cuDriverGetVersion(int *version)
{
	long long value;
	if (!version)
		return CUDA_ERROR_INVALID_VALUE;
	if (!connected())
		return CUDA_ERROR_SHARED_OBJECT_INIT_FAILED;
	CUresult result = number_of("cuda", &value);
	if (result == CUDA_SUCCESS)
		*version = (int)value;
	return result;
}

EXPORT CUresult cuInit(unsigned int flags)
{
	int version;
	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult result = cuDriverGetVersion(&version);
	if (result == CUDA_SUCCESS && state_visible(0) < 0)
		result = CUDA_ERROR_NO_DEVICE;
	initialized |= result == CUDA_SUCCESS;
	return result;
}

/* The GPU's place in the machine's list; its "cuda_err" field fails the look-up. */
static CUresult find(CUdevice device, int *gpu)
{
	char key[48];
	long long failure;
	if (!initialized)
		return CUDA_ERROR_NOT_INITIALIZED;
	if (device < 0 || (*gpu = state_visible(device)) < 0)
		return CUDA_ERROR_INVALID_DEVICE;
	snprintf(key, sizeof key, "gpu.%d.cuda_err", *gpu);
	return number_of(key, &failure) == CUDA_SUCCESS ? (CUresult)failure : CUDA_SUCCESS;
}

static CUresult device_number(CUdevice device, const char *field, long long *value)
{
	int gpu;
	char key[64];
	CUresult result = find(device, &gpu);
	if (result != CUDA_SUCCESS)
		return result;
	snprintf(key, sizeof key, "gpu.%d.%s", gpu, field);
	result = number_of(key, value);
	return result == NOT_TOLD ? CUDA_ERROR_NOT_SUPPORTED : result;
}

static CUresult device_text(CUdevice device, const char *field, char *buffer, int size)
{
	int gpu;
	char key[64], text[4096];
	CUresult result = find(device, &gpu);
	if (result != CUDA_SUCCESS)
		return result;
	if (!buffer || size <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	snprintf(key, sizeof key, "gpu.%d.%s", gpu, field);
	if (state_get(key, text, sizeof text) < 0 || strncmp(text, "err:", 4) == 0)
		return CUDA_ERROR_UNKNOWN;
	snprintf(buffer, (size_t)size, "%s", text);
	return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetCount(int *count)
{
	if (!initialized)
		return CUDA_ERROR_NOT_INITIALIZED;
	if (!count)
		return CUDA_ERROR_INVALID_VALUE;
	for (*count = 0; state_visible(*count) >= 0;)
		++*count;
	return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
	int gpu;
	CUresult result = device ? find(ordinal, &gpu) : CUDA_ERROR_INVALID_VALUE;
	if (result == CUDA_SUCCESS)
		*device = ordinal;
	return result;
}

EXPORT CUresult cuDeviceGetName(char *name, int size, CUdevice device)
{
	return device_text(device, "name", name, size);
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The 16 bytes behind "GPU-". */
EXPORT CUresult cuDeviceGetUuid_v2(unsigned char uuid[16], CUdevice device)
{
	char text[80];
	int digits = 0;
	CUresult result = device_text(device, "uuid", text, sizeof text);
	if (result != CUDA_SUCCESS)
		return result;
	const char *c = strchr(text, '-');
	memset(uuid, 0, 16);
	for (; c && *c && digits < 32; c++)
		if (hex(*c) >= 0) {
			uuid[digits / 2] = (unsigned char)(uuid[digits / 2] << 4 | hex(*c));
			digits++;
		}
	return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetUuid(unsigned char uuid[16], CUdevice device) { return cuDeviceGetUuid_v2(uuid, device); }

EXPORT CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
	long long value;
	CUresult result = device_number(device, "cuda_mem", &value);
	if (result == CUDA_SUCCESS)
		*bytes = (size_t)value;
	return result;
}

EXPORT CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device) { return cuDeviceTotalMem_v2(bytes, device); }

EXPORT CUresult cuDeviceGetPCIBusId(char *bus_id, int size, CUdevice device)
{
	return device_text(device, "busid_legacy", bus_id, size);
}

static int same_bus_id(const char *one, const char *other)
{
	for (; *one && *other; one++, other++)
		if (*one != *other && (hex(*one) < 0 || hex(*one) != hex(*other)))
			return 0;
	return *one == *other;
}

/* "0000:04:00.0" and NVML's "00000000:04:00.0" name the same GPU. */
EXPORT CUresult cuDeviceGetByPCIBusId(CUdevice *device, const char *bus_id)
{
	char key[48], legacy[32], full[32];
	int gpu, failure;
	if (!initialized)
		return CUDA_ERROR_NOT_INITIALIZED;
	if (!device || !bus_id)
		return CUDA_ERROR_INVALID_VALUE;
	for (int ordinal = 0; (gpu = state_visible(ordinal)) >= 0; ordinal++) {
		snprintf(key, sizeof key, "gpu.%d.busid_legacy", gpu);
		failure = state_get(key, legacy, sizeof legacy) < 0;
		snprintf(key, sizeof key, "gpu.%d.busid_long", gpu);
		failure |= state_get(key, full, sizeof full) < 0;
		if (!failure && (same_bus_id(legacy, bus_id) || same_bus_id(full, bus_id))) {
			*device = ordinal;
			return find(ordinal, &gpu);
		}
	}
	return CUDA_ERROR_INVALID_VALUE;
}

static const struct {
	int attribute;
	const char *field; /* NULL: the number is the same on every GPU */
	int number;
} ATTRIBUTES[] = {
	{1, NULL, 1024},        {2, NULL, 1024},        {3, NULL, 1024},       {4, NULL, 64},
	{5, NULL, 2147483647},  {6, NULL, 65535},       {7, NULL, 65535},      {8, NULL, 49152},
	{9, "const_mem", 0},    {10, NULL, 32},         {12, NULL, 65536},     {13, "clock_khz", 0},
	{16, "sm_count", 0},    {18, NULL, 0},          {20, "compute_mode", 0}, {32, "ecc", 0},
	{33, "pci_bus", 0},     {34, "pci_device", 0},  {36, "mem_clock_khz", 0}, {37, "bus_width", 0},
	{38, "l2", 0},          {39, NULL, 2048},       {41, NULL, 1},         {50, "pci_domain", 0},
	{75, "cc_major", 0},    {76, "cc_minor", 0},    {81, "shmem_sm", 0},   {82, NULL, 65536},
	{84, "multi_gpu_board", 0},
};

EXPORT CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device)
{
	int gpu;
	long long number;
	CUresult result = find(device, &gpu);
	if (result != CUDA_SUCCESS)
		return result;
	for (size_t i = 0; i < sizeof ATTRIBUTES / sizeof *ATTRIBUTES; i++) {
		if (ATTRIBUTES[i].attribute != attribute)
			continue;
		number = ATTRIBUTES[i].number;
		if (ATTRIBUTES[i].field)
			result = device_number(device, ATTRIBUTES[i].field, &number);
		if (result == CUDA_SUCCESS)
			*value = (int)number;
		return result;
	}
	return CUDA_ERROR_INVALID_VALUE;
}

EXPORT CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device)
{
	CUresult result = cuDeviceGetAttribute(major, 75, device);
	return result == CUDA_SUCCESS ? cuDeviceGetAttribute(minor, 76, device) : result;
}

EXPORT CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer)
{
	int one, other;
	char key[48];
	long long value = 0;
	CUresult result = find(device, &one);
	if (result == CUDA_SUCCESS)
		result = find(peer, &other);
	if (result != CUDA_SUCCESS)
		return result;
	snprintf(key, sizeof key, "p2p.%d.%d", one < other ? one : other, one < other ? other : one);
	*can = number_of(key, &value) == CUDA_SUCCESS && value != 0;
	return CUDA_SUCCESS;
}

static const struct {
	CUresult code;
	const char *name;
	const char *text;
} ERRORS[] = {
	{CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
	{CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
	{CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
	{35, "CUDA_ERROR_INSUFFICIENT_DRIVER", "CUDA driver version is insufficient for CUDA runtime version"},
	{CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
	{CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
	{CUDA_ERROR_SHARED_OBJECT_INIT_FAILED, "CUDA_ERROR_SHARED_OBJECT_INIT_FAILED", "shared object initialization failed"},
	{CUDA_ERROR_UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

EXPORT CUresult cuGetErrorName(CUresult code, const char **name)
{
	*name = NULL;
	for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
		if (ERRORS[i].code == code)
			*name = ERRORS[i].name;
	return *name ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

EXPORT CUresult cuGetErrorString(CUresult code, const char **text)
{
	*text = NULL;
	for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
		if (ERRORS[i].code == code)
			*text = ERRORS[i].text;
	return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
