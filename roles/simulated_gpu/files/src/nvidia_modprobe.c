/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* nvidia-modprobe: makes device nodes for users that may not; -u, -c N, -m and -s as the real one takes them. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { GPU_MAJOR = 195, CONTROL = 255, MODESET = 254 };

static int make_node(const char *path, unsigned int major, unsigned int minor)
{
	struct stat info;
	if (stat(path, &info) == 0 && S_ISCHR(info.st_mode))
		return 0;
	if (mknod(path, S_IFCHR | 0666, makedev(major, minor)) < 0) {
		fprintf(stderr, "nvidia-modprobe: cannot make %s: %s\n", path, strerror(errno));
		return 1;
	}
	return chmod(path, 0666) < 0;
}

static unsigned int number(const char *text)
{
	unsigned int value = 0;
	for (; *text >= '0' && *text <= '9'; text++)
		value = value * 10 + (unsigned int)(*text - '0');
	return value;
}

/* A number of the machine, 0 when it does not tell. */
static unsigned int machine_number(const char *key)
{
	char text[32] = "";
	void *nvml = dlopen("libnvidia-ml.so.1", RTLD_NOW);
	int (*get)(const char *, char *, unsigned int) =
		nvml ? (int (*)(const char *, char *, unsigned int))dlsym(nvml, "simulated_gpu_text") : NULL;
	return get && get(key, text, sizeof text) > 0 ? number(text) : 0;
}

int main(int argc, char **argv)
{
	int option, uvm = 0, modeset = 0, failed = 0, any = 0;
	unsigned int minors[64], count = 0;
	unsigned int refusal = machine_number("modprobe_rc");
	if (refusal)
		return (int)refusal;
	while ((option = getopt(argc, argv, "usmlc:")) != -1) {
		any = 1;
		uvm |= option == 'u';
		modeset |= option == 'm';
		if (option == 'c' && count < sizeof minors / sizeof *minors)
			minors[count++] = number(*optarg == '=' ? optarg + 1 : optarg);
		if (option == '?')
			return 1;
	}
	umask(0);
	if (uvm) {
		unsigned int major = machine_number("uvm_major");
		failed |= make_node("/dev/nvidia-uvm", major, 0) | make_node("/dev/nvidia-uvm-tools", major, 1);
	} else if (any) {
		failed |= make_node("/dev/nvidiactl", GPU_MAJOR, CONTROL);
	}
	if (modeset)
		failed |= make_node("/dev/nvidia-modeset", GPU_MAJOR, MODESET);
	for (unsigned int i = 0; i < count && !uvm; i++) {
		char path[32];
		snprintf(path, sizeof path, "/dev/nvidia%u", minors[i]);
		failed |= make_node(path, GPU_MAJOR, minors[i]);
	}
	return failed;
}
