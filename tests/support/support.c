/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
int __real_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);

static _Thread_local unsigned fail_in, counted;
static _Thread_local bool sleepless;

/* Each allocation of a unit shall be one that can fail. */
__attribute__((constructor)) static void keep_no_memory(void)
{
	stw_memory_keep(0);
}

static bool allocation_fails(void)
{
	counted++;
	return fail_in && --fail_in == 0;
}

void *__wrap_malloc(size_t bytes)
{
	return allocation_fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return allocation_fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
	return allocation_fails() ? NULL : __real_realloc(old, bytes);
}

void support_fail_allocation(unsigned nth)
{
	fail_in = nth;
	counted = 0;
}

unsigned support_allocations(void)
{
	unsigned count = counted;

	counted = 0;
	return count;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
	return sleepless ? 0 : __real_nanosleep(time, left);
}

void support_sleepless(bool on)
{
	sleepless = on;
}

/* The mapping that was given back last, with its guard page: a test that feeds a stream byte by
   byte asks for the same size again and again, and a mapping costs more than what it tests. */
static struct {
	char *map;
	size_t total;
} spare;

static size_t guarded_bytes(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (len + page - 1) / page * page + page;
}

static char *guarded_map(size_t total)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *map = spare.map;

	if (map && spare.total == total) {
		spare.map = NULL;
		return map;
	}
	map = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(map != MAP_FAILED);
	assert_int_equal(mprotect(map + total - page, page, PROT_NONE), 0);
	return map;
}

char *support_guarded(const char *bytes, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), total = guarded_bytes(len);
	char *start = guarded_map(total) + total - page - len;

	if (len)
		memcpy(start, bytes, len);
	return start;
}

void support_guarded_free(char *guarded, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), total = guarded_bytes(len);

	if (spare.map)
		munmap(spare.map, spare.total);
	spare.map = guarded + len + page - total;
	spare.total = total;
}

char *support_read_file(const char *path, size_t *ret_len)
{
	char full[4096];
	FILE *file;
	char *data;
	long size;

	snprintf(full, sizeof(full), "%s", path);
	file = fopen(full, "rb");
	if (!file)
		fail_msg("%s: cannot be opened", full);
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	data = __real_malloc((size_t)size + 1);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, (size_t)size, file), (size_t)size);
	data[size] = '\0';
	fclose(file);
	*ret_len = (size_t)size;
	return data;
}

void support_assert_str(struct stw_str actual, const char *expected, const char *file, int line)
{
	if (actual.len == strlen(expected) &&
		(!actual.len || !memcmp(actual.ptr, expected, actual.len)))
		return;
	print_error("%s:%d: \"%.*s\" is not \"%s\"\n", file, line, STW_STR_ARG(actual), expected);
	_fail(file, line);
}
