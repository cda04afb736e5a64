/* SPDX-License-Identifier: Apache-2.0 */
/* What is to come: a heap by time. */
#include "simulate/internal.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 1024

static bool sooner(const struct happening *a, const struct happening *b)
{
	return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

void happening_free(struct happening *happening)
{
	free(happening->data);
	free(happening->whole);
	free(happening);
}

struct happening *agenda_make(struct agenda *agenda, enum happening_kind kind, uint64_t due_ms)
{
	struct happening *happening = must_alloc(sizeof(*happening));

	happening->kind = kind;
	happening->due_ms = due_ms;
	happening->order = ++agenda->order;
	return happening;
}

void agenda_add(struct agenda *agenda, struct happening *happening)
{
	unsigned at = agenda->count, capacity;
	struct happening **heap;

	if (at == agenda->capacity) {
		capacity = at ? 2 * at : CAPACITY_FIRST;
		heap = must_alloc(capacity * sizeof(struct happening *));
		if (at)
			memcpy(heap, agenda->heap, at * sizeof(struct happening *));
		free(agenda->heap);
		agenda->heap = heap;
		agenda->capacity = capacity;
	}
	agenda->count++;
	for (; at && sooner(happening, agenda->heap[(at - 1) / 2]); at = (at - 1) / 2)
		agenda->heap[at] = agenda->heap[(at - 1) / 2];
	agenda->heap[at] = happening;
}

uint64_t agenda_next(const struct agenda *agenda)
{
	return agenda->count ? agenda->heap[0]->due_ms : UINT64_MAX;
}

struct happening *agenda_first(const struct agenda *agenda)
{
	return agenda->heap[0];
}

struct happening *agenda_pop(struct agenda *agenda)
{
	struct happening *first = agenda->heap[0], *last = agenda->heap[--agenda->count];
	unsigned at = 0, child;

	while ((child = 2 * at + 1) < agenda->count) {
		if (child + 1 < agenda->count &&
			sooner(agenda->heap[child + 1], agenda->heap[child]))
			child++;
		if (!sooner(agenda->heap[child], last))
			break;
		agenda->heap[at] = agenda->heap[child];
		at = child;
	}
	agenda->heap[at] = last;
	return first;
}

void agenda_done(struct agenda *agenda)
{
	for (unsigned i = 0; i < agenda->count; i++)
		happening_free(agenda->heap[i]);
	free(agenda->heap);
}
