/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* Counts the calls of each thread, and writes down which functions of NVML a process calls, one name a line, in the file
 * SIMULATED_GPU_CALLS.
 *
 * The compiler calls these two around every function of this library (-finstrument-functions). */
#define _GNU_SOURCE
#include "calls.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BARE __attribute__((no_instrument_function, visibility("hidden")))

void __cyg_profile_func_enter(void *function, void *caller) BARE;
void __cyg_profile_func_exit(void *function, void *caller) BARE;

static _Thread_local unsigned long calls, depth;

BARE unsigned long calls_made(void) { return calls; }

void __cyg_profile_func_enter(void *function, void *caller)
{
	static int looked;
	static const char *path;
	Dl_info called, calling;
	char line[128] = "";
	calls += depth++ == 0;
	if (!looked) {
		path = getenv("SIMULATED_GPU_CALLS");
		looked = 1;
	}
	if (!path || !dladdr(function, &called) || called.dli_saddr != function || strncmp(called.dli_sname, "nvml", 4) != 0)
		return;
	if (dladdr(caller, &calling) && calling.dli_fbase == called.dli_fbase)
		return; /* one of our functions asks another */
	strncat(strncat(line, called.dli_sname, sizeof line - 2), "\n", 1);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (write(fd, line, strlen(line)) < 0)
		path = NULL;
	close(fd);
}

void __cyg_profile_func_exit(void *function, void *caller)
{
	(void)function;
	(void)caller;
	depth--;
}
