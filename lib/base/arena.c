/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/base.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sanitize.h"

#ifdef ARENA_POISONED
#include <sanitizer/asan_interface.h>
#define ARENA_POISON(ptr, bytes)   ASAN_POISON_MEMORY_REGION(ptr, bytes)
#define ARENA_UNPOISON(ptr, bytes) ASAN_UNPOISON_MEMORY_REGION(ptr, bytes)
#else
#define ARENA_POISON(ptr, bytes)   ((void)(ptr), (void)(bytes))
#define ARENA_UNPOISON(ptr, bytes) ((void)(ptr), (void)(bytes))
#endif

#define CHUNK_BYTES_FIRST 1024u
#define CHUNK_BYTES_LAST  (256u << 10) /* the scratch of a full batch fits into one */

struct stw_arena_chunk {
	struct stw_arena_chunk *older;
	size_t capacity, used; /* bytes of data */
	_Alignas(max_align_t) char data[];
};

void stw_arena_init(struct stw_arena *arena, size_t limit_bytes)
{
	*arena = (struct stw_arena){
		.limit_bytes = limit_bytes,
		.next_chunk_bytes = CHUNK_BYTES_FIRST,
	};
}

/* A chunk for at least `bytes`: as large as the plan says, but never past the limit. */
static struct stw_arena_chunk *chunk_add(struct stw_arena *arena, size_t bytes)
{
	size_t capacity = arena->next_chunk_bytes, left = arena->limit_bytes - arena->used_bytes;
	struct stw_arena_chunk *chunk;

	if (capacity > left)
		capacity = left;
	if (capacity < bytes)
		capacity = bytes;
	if (capacity > SIZE_MAX - sizeof(*chunk))
		return NULL;
	chunk = stw_memory_take(sizeof(*chunk) + capacity);
	if (!chunk)
		return NULL;
	chunk->older = arena->chunk;
	chunk->capacity = capacity;
	chunk->used = 0;
	ARENA_POISON(chunk->data, capacity);
	arena->chunk = chunk;
	stw_large_add(arena->large_bytes, capacity);
	if (arena->next_chunk_bytes < CHUNK_BYTES_LAST)
		arena->next_chunk_bytes *= 2;
	return chunk;
}

static void chunk_free(struct stw_arena *arena, struct stw_arena_chunk *chunk)
{
	stw_large_remove(arena->large_bytes, chunk->capacity);
	ARENA_UNPOISON(chunk->data, chunk->capacity);
	stw_memory_give(chunk, sizeof(*chunk) + chunk->capacity);
}

/* As arena_take(), with a new chunk if need be. */
static __attribute__((noinline)) void *arena_grow(
	struct stw_arena *arena, size_t bytes, size_t alignment)
{
	struct stw_arena_chunk *chunk = arena->chunk;
	size_t left = arena->limit_bytes - arena->used_bytes;
	size_t padding = chunk ? -chunk->used & (alignment - 1) : 0;

	if (bytes > left)
		return NULL;
	if (!chunk || padding > chunk->capacity - chunk->used ||
		bytes > chunk->capacity - chunk->used - padding) {
		chunk = chunk_add(arena, bytes);
		padding = 0;
	}
	if (!chunk || padding > left - bytes)
		return NULL;
	chunk->used += padding + bytes;
	arena->used_bytes += padding + bytes;
	ARENA_UNPOISON(chunk->data + chunk->used - bytes, bytes);
	return chunk->data + chunk->used - bytes;
}

/* Mostly there is room in the newest chunk. */
static inline void *arena_take(struct stw_arena *arena, size_t bytes, size_t alignment)
{
	struct stw_arena_chunk *chunk = arena->chunk;
	size_t at, taken;

	if (!chunk)
		return arena_grow(arena, bytes, alignment);
	at = (chunk->used + alignment - 1) & ~(alignment - 1);
	taken = at - chunk->used + bytes;
	if (bytes > chunk->capacity || at > chunk->capacity - bytes ||
		taken > arena->limit_bytes - arena->used_bytes)
		return arena_grow(arena, bytes, alignment);
	chunk->used = at + bytes;
	arena->used_bytes += taken;
	ARENA_UNPOISON(chunk->data + at, bytes);
	return chunk->data + at;
}

void *stw_arena_alloc(struct stw_arena *arena, size_t bytes)
{
	return arena_take(arena, bytes, _Alignof(max_align_t));
}

void *stw_arena_zalloc(struct stw_arena *arena, size_t bytes)
{
	void *ptr = stw_arena_alloc(arena, bytes);

	return ptr ? memset(ptr, 0, bytes) : NULL;
}

char *stw_arena_bytes(struct stw_arena *arena, size_t bytes)
{
	return arena_take(arena, bytes, 1);
}

int stw_arena_copy(struct stw_arena *arena, struct stw_str text, struct stw_str *ret)
{
	char *copy = text.len < SIZE_MAX ? stw_arena_bytes(arena, text.len + 1) : NULL;

	if (!copy)
		return -ENOMEM;
	if (text.len)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	*ret = (struct stw_str){ copy, text.len };
	return 0;
}

int stw_arena_printf(struct stw_arena *arena, struct stw_str *ret, const char *format, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	text = len >= 0 ? stw_arena_bytes(arena, (size_t)len + 1) : NULL;
	if (!text)
		return -ENOMEM;

	va_start(args, format);
	vsnprintf(text, (size_t)len + 1, format, args);
	va_end(args);
	*ret = (struct stw_str){ text, (size_t)len };
	return 0;
}

void stw_arena_reset(struct stw_arena *arena)
{
	struct stw_arena_chunk *kept = NULL, *chunk = arena->chunk, *older;

	for (; chunk; chunk = older) {
		struct stw_arena_chunk *smaller = chunk;

		older = chunk->older;
		if (!kept || chunk->capacity > kept->capacity) {
			smaller = kept;
			kept = chunk;
		}
		if (smaller)
			chunk_free(arena, smaller);
	}
	if (kept) {
		kept->older = NULL;
		kept->used = 0;
		ARENA_POISON(kept->data, kept->capacity);
	}
	arena->chunk = kept;
	arena->used_bytes = 0;
}

void stw_arena_done(struct stw_arena *arena)
{
	struct stw_arena_chunk *chunk = arena->chunk, *older;

	for (; chunk; chunk = older) {
		older = chunk->older;
		chunk_free(arena, chunk);
	}
	arena->chunk = NULL;
	arena->used_bytes = 0;
	arena->next_chunk_bytes = CHUNK_BYTES_FIRST;
}

void stw_arena_wipe(struct stw_arena *arena)
{
	for (struct stw_arena_chunk *chunk = arena->chunk; chunk; chunk = chunk->older) {
		ARENA_UNPOISON(chunk->data, chunk->capacity);
		explicit_bzero(chunk->data, chunk->used);
	}
	stw_arena_done(arena);
}
