/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/base.h>

#include <stdlib.h>
#include <string.h>
#include <threads.h>

#include "sanitize.h"

#define CLASS_BYTES 64u
#define CLASSES     64u /* up to 4 KiB */
/* The allocator keeps a word of its own with each piece: with that it has a round size. */
#define OWN_BYTES  8u
#define KEPT_BYTES (1u << 20)

struct piece {
	struct piece *next;
};

struct pieces {
	struct piece *first;
	size_t bytes; /* of all */
};

struct shelf {
	struct pieces classes[CLASSES];
	bool known; /* this thread's end will clear it */
};

static thread_local struct shelf shelf;
static tss_t shelf_end;
static once_flag shelf_once = ONCE_FLAG_INIT;
static bool shelf_works;
static size_t kept_bytes = KEPT_BYTES; /* of one class by a thread */

static void shelf_clear(void *ptr)
{
	struct shelf *mine = ptr;

	for (unsigned i = 0; i < CLASSES; i++) {
		for (struct piece *piece = mine->classes[i].first, *next; piece; piece = next) {
			next = piece->next;
			free(piece);
		}
		mine->classes[i] = (struct pieces){ 0 };
	}
	mine->known = false;
}

static void shelf_prepare(void)
{
	shelf_works = tss_create(&shelf_end, shelf_clear) == thrd_success;
}

static bool shelf_begin(void)
{
	call_once(&shelf_once, shelf_prepare);
	shelf.known = shelf_works && tss_set(shelf_end, &shelf) == thrd_success;
	return shelf.known;
}

/* With the word of the allocator. */
static inline size_t class_bytes(size_t bytes)
{
	return (bytes + OWN_BYTES + CLASS_BYTES - 1) / CLASS_BYTES * CLASS_BYTES;
}

/* A sanitizer has to see each piece end. */
static inline struct pieces *pieces_of(size_t bytes)
{
	if (MEMORY_IS_WATCHED || bytes > CLASSES * CLASS_BYTES - OWN_BYTES)
		return NULL;
	return &shelf.classes[(bytes + OWN_BYTES - 1) / CLASS_BYTES];
}

/* Of jemalloc, with which the executable may have been linked. */
__attribute__((weak)) int mallctl(const char *, void *, size_t *, void *, size_t);

/* A thread without work does not do it by itself. 4096 are all its arenas. */
void stw_memory_return(void)
{
	if (mallctl)
		mallctl("arena.4096.decay", NULL, NULL, NULL, 0);
}

void stw_memory_keep(size_t bytes)
{
	kept_bytes = bytes;
}

void *stw_memory_take(size_t bytes)
{
	struct pieces *pieces = pieces_of(bytes);
	struct piece *piece;

	if (!pieces)
		return malloc(bytes);
	piece = pieces->first;
	if (!piece)
		return malloc(class_bytes(bytes) - OWN_BYTES);
	pieces->first = piece->next;
	pieces->bytes -= class_bytes(bytes);
	/* It may have lain there for long. */
	__builtin_prefetch(pieces->first, 1);
	return piece;
}

void *stw_memory_take_zeros(size_t bytes)
{
	void *ptr = stw_memory_take(bytes);

	return ptr ? memset(ptr, 0, bytes) : NULL;
}

void stw_memory_give(void *ptr, size_t bytes)
{
	struct pieces *pieces = pieces_of(bytes);
	struct piece *piece = ptr;

	if (!ptr)
		return;
	if (!pieces || pieces->bytes + class_bytes(bytes) > kept_bytes ||
		(!shelf.known && !shelf_begin())) {
		free(ptr);
		return;
	}
	piece->next = pieces->first;
	pieces->first = piece;
	pieces->bytes += class_bytes(bytes);
}
