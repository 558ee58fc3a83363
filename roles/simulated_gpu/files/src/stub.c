/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* A driver library of which only name and file matter; linked once per library. */
#ifdef MODERN_TLS
/* The mark by which libnvidia-tls for current kernels is told from the one for old ones: needs Linux 2.3.99. */
struct {
	unsigned int name_size, size, type;
	char name[4];
	unsigned int system, version[3];
} const abi_tag __attribute__((section(".note.ABI-tag"), used, aligned(4))) = {4, 16, 1, "GNU", 0, {2, 3, 99}};
#endif

int simulated_gpu_stub(void) { return 0; }
