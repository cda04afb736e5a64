/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/base.h>

#include <stdlib.h>
#include <string.h>
#include <threads.h>

#include "sanitize.h"

#define CLASS_BYTES 64u
#define CLASSES     64u /* up to 4 KiB */

struct piece {
	struct piece *next;
};

struct pieces {
	struct piece *first;
	unsigned n;
};

struct shelf {
	struct pieces classes[CLASSES];
	bool known; /* this thread's end will clear it */
};

static thread_local struct shelf shelf;
static tss_t shelf_end;
static once_flag shelf_once = ONCE_FLAG_INIT;
static bool shelf_works;
static unsigned pieces_max = 128; /* of one class kept by a thread */

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

/* A sanitizer has to see each piece end. */
static inline struct pieces *pieces_of(size_t bytes)
{
	size_t i = (bytes - 1) / CLASS_BYTES;

	return MEMORY_IS_WATCHED || i >= CLASSES ? NULL : &shelf.classes[i];
}

void stw_memory_keep(unsigned pieces)
{
	pieces_max = pieces;
}

void *stw_memory_take(size_t bytes)
{
	struct pieces *pieces = pieces_of(bytes);
	struct piece *piece;

	if (!pieces)
		return malloc(bytes);
	piece = pieces->first;
	if (!piece)
		return malloc((bytes + CLASS_BYTES - 1) / CLASS_BYTES * CLASS_BYTES);
	pieces->first = piece->next;
	pieces->n--;
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
	if (!pieces || pieces->n >= pieces_max || (!shelf.known && !shelf_begin())) {
		free(ptr);
		return;
	}
	piece->next = pieces->first;
	pieces->first = piece;
	pieces->n++;
}
