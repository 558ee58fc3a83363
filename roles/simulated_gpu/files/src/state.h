/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* The state of the simulated machine, as every process on the host and in its containers sees it. */
#ifndef SIMULATED_GPU_STATE_H
#define SIMULATED_GPU_STATE_H

#define EXPORT __attribute__((visibility("default")))

struct state;

/* Locks the process's copy of the state, brings it up to date and returns it. */
const struct state *state_hold(void);
void state_release(const struct state *const *held);

/* Declares `name` as the current state until the end of the block. */
#define HOLD_STATE(name) \
	const struct state *const name __attribute__((cleanup(state_release))) = state_hold()

/* The text of a key, NULL when the machine does not tell. */
const char *state_text(const struct state *state, const char *key);

/* 1 and the value of a decimal number (negative ones as two's complement), 0 when the text is none. */
int parse_number(const char *text, unsigned long long *value);

/* The number of a key, `otherwise` when the key is absent or no number. */
long long state_number(const struct state *state, const char *key, long long otherwise);

#endif
