/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open addressing, so that who is not there is known from one cache line: a table of a million
 * transactions is cold. A place holds a hash and all nodes that have it. The places of a cluster
 * are sorted by where they belong ("Robin Hood"), so that removing moves the rest back and leaves
 * no mark, and a walk finds the others in the same order.
 */
#include <strowger/base.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define PLACES_FIRST 16u
/* From so many places on (1 MiB) a larger array is taken some time before it is needed. Until then
 * it is not touched: the server asks the kernel for large pages there after each batch. */
#define PLACES_EARLY 65536u

struct stw_table_place {
	struct stw_node *first; /* NULL: empty */
	uint64_t hash;
};

void stw_table_init(struct stw_table *table)
{
	*table = (struct stw_table){ 0 };
}

void stw_table_done(struct stw_table *table)
{
	free(table->places);
	free(table->larger);
	stw_table_init(table);
}

/* How far a place is behind the one where its hash belongs. */
static size_t place_distance(const struct stw_table *table, size_t at)
{
	return (at - table->places[at].hash) & table->mask;
}

/* Where the hash is, or where it would be put. */
static size_t place_find(const struct stw_table *table, uint64_t hash, bool *ret_found)
{
	size_t at = hash & table->mask, distance = 0;

	*ret_found = false;
	for (; table->places[at].first; at = (at + 1) & table->mask, distance++) {
		*ret_found = table->places[at].hash == hash;
		if (*ret_found || place_distance(table, at) < distance)
			break;
	}
	return at;
}

/* There is an empty place. Those behind it move on by one. */
static void place_put(struct stw_table *table, size_t at, struct stw_table_place place)
{
	while (place.first) {
		struct stw_table_place moved = table->places[at];

		table->places[at] = place;
		place = moved;
		at = (at + 1) & table->mask;
	}
	table->used++;
}

static void node_put(struct stw_table *table, struct stw_node *node)
{
	bool found;
	size_t at = place_find(table, node->hash, &found);

	if (found) {
		node->next = table->places[at].first;
		table->places[at].first = node;
		return;
	}
	node->next = NULL;
	place_put(table, at, (struct stw_table_place){ node, node->hash });
}

static void overflow_put(struct stw_table *table, struct stw_node *node)
{
	node->next = table->overflow;
	table->overflow = node;
}

/* At most three of four places are used. */
static int table_grow(struct stw_table *table)
{
	struct stw_table larger = { .count = table->count };
	size_t places = table->places ? 2 * (table->mask + 1) : PLACES_FIRST;
	struct stw_node *node, *next;

	if (table->larger && table->count <= places / 4 * 3) {
		larger.places = table->larger;
		table->larger = NULL;
	}
	while (table->count > places / 4 * 3)
		places *= 2;
	if (!larger.places && !(larger.places = calloc(places, sizeof(*larger.places))))
		return -ENOMEM;
	larger.mask = places - 1;
	for (size_t i = 0; table->places && i <= table->mask; i++) {
		struct stw_table_place place = table->places[i];
		bool found;

		if (place.first)
			place_put(&larger, place_find(&larger, place.hash, &found), place);
	}
	for (node = table->overflow; node; node = next) {
		next = node->next;
		node_put(&larger, node);
	}
	free(table->places);
	free(table->larger);
	*table = larger;
	return 0;
}

static void table_grow_soon(struct stw_table *table)
{
	size_t places = table->mask + 1;

	if (places >= PLACES_EARLY && !table->larger && table->count >= places / 8 * 5)
		table->larger = calloc(2 * places, sizeof(*table->larger));
}

/* Those of one hash are all in their place, or all in the overflow. */
static bool table_has_room(const struct stw_table *table, uint64_t hash)
{
	bool found;

	if (table->used < table->mask && !table->overflow)
		return true;
	place_find(table, hash, &found);
	return found;
}

int stw_table_insert(struct stw_table *table, struct stw_node *node, uint64_t hash)
{
	if (!table->places && table_grow(table) < 0)
		return -ENOMEM;
	/* Without memory for a larger array it fills up; the next insert tries again. */
	if (table->count >= (table->mask + 1) / 4 * 3)
		(void)table_grow(table);
	else
		table_grow_soon(table);
	node->hash = hash;
	if (table_has_room(table, hash))
		node_put(table, node);
	else
		overflow_put(table, node);
	table->count++;
	return 0;
}

static void list_remove(struct stw_node **link, struct stw_node *node)
{
	while (*link != node) {
		assert(*link);
		link = &(*link)->next;
	}
	*link = node->next;
	node->next = NULL;
}

/* Those behind an empty place move back, up to one that is where it belongs. */
static void place_close(struct stw_table *table, size_t at)
{
	size_t next = (at + 1) & table->mask;

	while (table->places[next].first && place_distance(table, next)) {
		table->places[at] = table->places[next];
		at = next;
		next = (next + 1) & table->mask;
	}
	table->places[at] = (struct stw_table_place){ 0 };
	table->used--;
}

void stw_table_remove(struct stw_table *table, struct stw_node *node)
{
	bool found;
	size_t at = place_find(table, node->hash, &found);

	list_remove(found ? &table->places[at].first : &table->overflow, node);
	if (found && !table->places[at].first)
		place_close(table, at);
	table->count--;
}

static struct stw_node *chain_find(struct stw_node *node, uint64_t hash)
{
	while (node && node->hash != hash)
		node = node->next;
	return node;
}

struct stw_node *stw_table_first(const struct stw_table *table, uint64_t hash)
{
	bool found;
	size_t at;

	if (!table->places)
		return NULL;
	at = place_find(table, hash, &found);
	return found ? table->places[at].first : chain_find(table->overflow, hash);
}

void stw_table_expect(const struct stw_table *table, uint64_t hash)
{
	if (table->places)
		__builtin_prefetch(&table->places[hash & table->mask], 1);
}

struct stw_node *stw_table_next_same(const struct stw_node *node)
{
	return chain_find(node->next, node->hash);
}

/* A cluster that begins at the end of the array goes on at its front: those come last. */
static bool place_is_wrapped(const struct stw_table *table, size_t at)
{
	return table->places[at].first && (table->places[at].hash & table->mask) > at;
}

/* From a place on, in the order of where they belong. */
static struct stw_node *walk_from(const struct stw_table *table, size_t at)
{
	for (; at <= table->mask; at++) {
		if (table->places[at].first && !place_is_wrapped(table, at))
			return table->places[at].first;
	}
	return place_is_wrapped(table, 0) ? table->places[0].first : table->overflow;
}

struct stw_node *stw_table_walk(const struct stw_table *table, const struct stw_node *after)
{
	bool found;
	size_t at;

	if (!table->places)
		return NULL;
	if (!after)
		return walk_from(table, 0);
	if (after->next)
		return after->next;
	at = place_find(table, after->hash, &found);
	if (!found)
		return NULL;
	if (!place_is_wrapped(table, at))
		return walk_from(table, at + 1);
	return place_is_wrapped(table, at + 1) ? table->places[at + 1].first : table->overflow;
}
