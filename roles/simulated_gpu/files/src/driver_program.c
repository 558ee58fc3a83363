/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* A program of the driver of which only presence matters: says what it is. */
#include <stdio.h>

int main(void)
{
	puts(PROGRAM " of the simulated NVIDIA driver: does nothing");
	return 0;
}
