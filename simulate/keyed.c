/* SPDX-License-Identifier: Apache-2.0 */
/* Things by a 64-bit key, and memory of the simulation itself. */
#include "simulate/internal.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 256

/* The allocation that is made to fail is one of the server's. */
void *must_alloc(size_t bytes)
{
	void *memory = calloc(1, bytes ? bytes : 1);

	if (!memory)
		memory = calloc(1, bytes ? bytes : 1);
	if (!memory)
		abort();
	return memory;
}

char *must_copy(const void *data, size_t len)
{
	char *copy = must_alloc(len + 1);

	if (len)
		memcpy(copy, data, len);
	return copy;
}

uint64_t text_hash(const void *data, size_t len)
{
	return stw_hash((struct stw_hash_key){ 5, 6 }, data, len) | 1;
}

static void keyed_grow(struct keyed_table *table)
{
	size_t capacity = table->capacity ? 2 * table->capacity : CAPACITY_FIRST, i;
	struct keyed **buckets = must_alloc(capacity * sizeof(struct keyed *)), *keyed;

	for (i = 0; i < table->capacity; i++) {
		while ((keyed = table->buckets[i])) {
			table->buckets[i] = keyed->next;
			keyed->next = buckets[(keyed->key >> 8) & (capacity - 1)];
			buckets[(keyed->key >> 8) & (capacity - 1)] = keyed;
		}
	}
	free(table->buckets);
	table->buckets = buckets;
	table->capacity = capacity;
}

void *keyed_find(const struct keyed_table *table, uint64_t key)
{
	struct keyed *keyed;

	if (!table->capacity)
		return NULL;
	keyed = table->buckets[(key >> 8) & (table->capacity - 1)];
	while (keyed && keyed->key != key)
		keyed = keyed->next;
	return keyed;
}

void keyed_add(struct keyed_table *table, uint64_t key, struct keyed *keyed)
{
	struct keyed **bucket;

	if (table->count >= table->capacity)
		keyed_grow(table);
	bucket = &table->buckets[(key >> 8) & (table->capacity - 1)];
	keyed->key = key;
	keyed->next = *bucket;
	*bucket = keyed;
	table->count++;
}

void keyed_remove(struct keyed_table *table, struct keyed *keyed)
{
	struct keyed **at = &table->buckets[(keyed->key >> 8) & (table->capacity - 1)];

	while (*at != keyed)
		at = &(*at)->next;
	*at = keyed->next;
	table->count--;
}

void keyed_done(struct keyed_table *table, void (*release)(void *item))
{
	struct keyed *keyed;
	size_t i;

	for (i = 0; i < table->capacity; i++) {
		while ((keyed = table->buckets[i])) {
			table->buckets[i] = keyed->next;
			release(keyed);
		}
	}
	free(table->buckets);
	*table = (struct keyed_table){ 0 };
}
