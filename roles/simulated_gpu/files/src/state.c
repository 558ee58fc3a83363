/* Copyright (c) 2026 the gpufleet.nvidia authors
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads the state out of this library's own file.
 *
 * A container sees the driver's libraries (hard links, perhaps mounted read-only) and device nodes, nothing else of the
 * host: so the state lies behind the ELF data of libnvidia-ml itself, in two slots that are written in turn. The writer
 * holds an exclusive lock; a slot that it left half-written has a wrong checksum and the other one counts. */
#define _GNU_SOURCE
#include "state.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOT_SIZE (512 * 1024)
#define SLOTS 2
#define REGION_SIZE (SLOTS * SLOT_SIZE)
#define MAGIC "SIMGPU1"

struct slot_header {
	char magic[8];
	uint64_t generation;
	uint32_t length;
	uint32_t checksum;
};

struct entry {
	const char *key;
	const char *text;
};

struct state {
	char *buffer;
	struct entry *entries;
	size_t count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct state current;
static const volatile struct slot_header *mapped[SLOTS];
static uint64_t seen[SLOTS];
static int loaded;
static char library[4096];

static uint32_t crc32(const unsigned char *data, size_t length)
{
	uint32_t crc = 0xffffffffu;
	for (size_t i = 0; i < length; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1)));
	}
	return ~crc;
}

static int open_library(off_t *region)
{
	struct stat info;
	int fd = open(library, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &info) < 0 || info.st_size < REGION_SIZE) {
		close(fd);
		return -1;
	}
	*region = info.st_size - REGION_SIZE;
	return fd;
}

/* Maps the slot headers: a change by any process shows there without a system call. */
__attribute__((constructor)) static void map_headers(void)
{
	Dl_info info;
	off_t region;
	if (!dladdr((void *)state_hold, &info) || !info.dli_fname)
		return;
	snprintf(library, sizeof library, "%s", info.dli_fname);
	int fd = open_library(&region);
	if (fd < 0)
		return;
	for (int i = 0; i < SLOTS; i++) {
		void *at = mmap(NULL, sizeof(struct slot_header), PROT_READ, MAP_SHARED, fd, region + i * SLOT_SIZE);
		mapped[i] = at == MAP_FAILED ? NULL : at;
	}
	close(fd);
}

/* The text of a slot in fresh memory, NULL when the slot is not whole. */
static char *read_slot(int fd, off_t at, const struct slot_header *header)
{
	if (memcmp(header->magic, MAGIC, sizeof header->magic) != 0 || header->length > SLOT_SIZE - sizeof *header)
		return NULL;
	char *text = malloc(header->length + 1);
	if (!text)
		return NULL;
	if (pread(fd, text, header->length, at + (off_t)sizeof *header) != (ssize_t)header->length ||
	    crc32((unsigned char *)text, header->length) != header->checksum) {
		free(text);
		return NULL;
	}
	text[header->length] = '\0';
	return text;
}

/* Splits `key=text` lines, which the writer has sorted, in place. */
static void adopt(char *buffer)
{
	size_t lines = 0, count = 0;
	for (const char *c = buffer; *c; c++)
		lines += *c == '\n';
	struct entry *entries = calloc(lines + 1, sizeof *entries);
	if (!entries) {
		free(buffer);
		return;
	}
	for (char *line = buffer; *line;) {
		char *end = strchrnul(line, '\n');
		char *next = *end ? end + 1 : end;
		*end = '\0';
		char *equals = strchr(line, '=');
		if (equals && count < lines) {
			*equals = '\0';
			entries[count++] = (struct entry){line, equals + 1};
		}
		line = next;
	}
	free(current.entries);
	free(current.buffer);
	current = (struct state){buffer, entries, count};
}

static void reload(void)
{
	off_t region;
	struct slot_header headers[SLOTS];
	int fd = open_library(&region);
	if (fd < 0)
		return;
	flock(fd, LOCK_SH);
	for (int i = 0; i < SLOTS; i++)
		if (pread(fd, &headers[i], sizeof headers[i], region + i * SLOT_SIZE) != (ssize_t)sizeof headers[i])
			memset(&headers[i], 0, sizeof headers[i]);
	int newest = headers[1].generation > headers[0].generation;
	char *text = read_slot(fd, region + newest * SLOT_SIZE, &headers[newest]);
	if (!text)
		text = read_slot(fd, region + !newest * SLOT_SIZE, &headers[!newest]);
	close(fd);
	if (text)
		adopt(text);
	for (int i = 0; i < SLOTS; i++)
		seen[i] = headers[i].generation;
	loaded = 1;
}

/* A process that loads the library again and again keeps nothing of it. */
__attribute__((destructor)) static void forget(void)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < SLOTS; i++)
		if (mapped[i])
			munmap((void *)mapped[i], sizeof(struct slot_header));
	free(current.entries);
	free(current.buffer);
	memset(mapped, 0, sizeof mapped);
	current = (struct state){NULL, NULL, 0};
	loaded = 0;
	pthread_mutex_unlock(&lock);
}

const struct state *state_hold(void)
{
	pthread_mutex_lock(&lock);
	int stale = !loaded;
	for (int i = 0; i < SLOTS; i++)
		stale |= mapped[i] && mapped[i]->generation != seen[i];
	if (stale)
		reload();
	return &current;
}

void state_release(const struct state *const *held)
{
	(void)held;
	pthread_mutex_unlock(&lock);
}

static int compare(const void *key, const void *entry)
{
	return strcmp(key, ((const struct entry *)entry)->key);
}

const char *state_text(const struct state *state, const char *key)
{
	const struct entry *found = bsearch(key, state->entries, state->count, sizeof *state->entries, compare);
	return found ? found->text : NULL;
}

/* Not strtoull: newer C libraries give it a symbol version that the C library of an older container image lacks. */
int parse_number(const char *text, unsigned long long *value)
{
	unsigned long long number = 0;
	int negative = *text == '-';
	text += negative;
	if (!*text)
		return 0;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return 0;
		number = number * 10 + (unsigned long long)(*text - '0');
	}
	*value = negative ? 0 - number : number;
	return 1;
}

long long state_number(const struct state *state, const char *key, long long otherwise)
{
	unsigned long long value;
	const char *text = state_text(state, key);
	return text && parse_number(text, &value) ? (long long)value : otherwise;
}

/* For our other programs and libcuda: the text of a key; its length, or -1 when the key is absent. */
EXPORT int simulated_gpu_text(const char *key, char *buffer, unsigned int size)
{
	HOLD_STATE(state);
	const char *text = state_text(state, key);
	return text ? snprintf(buffer, size, "%s", text) : -1;
}
