/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* Calls of this library by the program. */
#ifndef SIMULATED_GPU_CALLS_H
#define SIMULATED_GPU_CALLS_H

/* How many calls this thread has made, the present one included; what the library calls in itself is none. */
unsigned long calls_made(void);

#endif
