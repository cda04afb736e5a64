/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open addressing with linear probing. A place that has held an item keeps its hash and is never
 * used for another one, so a reader that meets it may trust what it reads; the writer clears such
 * places by building a new array, which readers see whole or not at all.
 */
#include "server/directory/map.h"

#include <strowger/rcu.h>

#include <errno.h>
#include <stdlib.h>

#define ARRAY_PLACES_MIN 64

struct place {
	void *item;    /* published; NULL: never used, probing ends here */
	uint64_t hash; /* written once, before the item */
};

struct stw_map_array {
	struct stw_map_array *older;
	uint64_t number; /* of its predecessors */
	size_t mask;     /* places - 1 */
	size_t used;     /* places that hold or held an item */
	struct place places[];
};

/* Stands where an item was. */
static char removed;

/* At most 13 of 16 places are used: probing stays short, and a contact has few bytes of them. */
static size_t places_room(size_t places)
{
	return places / 16 * 13;
}

static size_t array_room(const struct stw_map_array *array)
{
	return places_room(array->mask + 1);
}

static struct stw_map_array *array_new(size_t places)
{
	struct stw_map_array *array = calloc(1, sizeof(*array) + places * sizeof(struct place));

	if (array)
		array->mask = places - 1;
	return array;
}

static struct stw_map_array *array_free_all(struct stw_map_array *array)
{
	while (array) {
		struct stw_map_array *older = array->older;

		free(array);
		array = older;
	}
	return NULL;
}

static void array_add(struct stw_map_array *array, void *item, uint64_t hash)
{
	size_t at = hash & array->mask;

	while (array->places[at].item)
		at = (at + 1) & array->mask;
	array->places[at].hash = hash;
	STW_RCU_PUBLISH(array->places[at].item, item);
	array->used++;
}

static bool is_live(const void *item)
{
	return item && item != &removed;
}

int stw_map_init(struct stw_map *map, const struct stw_map_kind *kind, struct stw_hash_key key)
{
	*map = (struct stw_map){ .kind = kind, .key = key };
	map->array = array_new(ARRAY_PLACES_MIN);
	return map->array ? 0 : -ENOMEM;
}

static void map_free_retired(struct stw_map *map)
{
	while (map->retired_count)
		map->kind->free(map->retired[--map->retired_count]);
	map->old = array_free_all(map->old);
}

void stw_map_done(struct stw_map *map)
{
	size_t i;

	map_free_retired(map);
	free(map->retired);
	for (i = 0; map->array && i <= map->array->mask; i++)
		if (is_live(map->array->places[i].item))
			map->kind->free(map->array->places[i].item);
	free(map->array);
	map->array = NULL;
}

static struct place *map_place(const struct stw_map *map, struct stw_str key, uint64_t hash)
{
	struct stw_map_array *array = STW_RCU_READ(map->array);
	size_t at = hash & array->mask;
	void *item;

	while ((item = STW_RCU_READ(array->places[at].item))) {
		if (array->places[at].hash == hash && item != &removed &&
			stw_str_equal(map->kind->key(item), key))
			return &array->places[at];
		at = (at + 1) & array->mask;
	}
	return NULL;
}

uint64_t stw_map_hash(const struct stw_map *map, struct stw_str key)
{
	return stw_hash(map->key, key.ptr, key.len);
}

/* The place is read once more: what stands there now has the same key, or is gone. */
void *stw_map_find_hashed(const struct stw_map *map, struct stw_str key, uint64_t hash)
{
	struct place *place = map_place(map, key, hash);
	void *item = place ? STW_RCU_READ(place->item) : NULL;

	return is_live(item) ? item : NULL;
}

void *stw_map_find(const struct stw_map *map, struct stw_str key)
{
	return stw_map_find_hashed(map, key, stw_map_hash(map, key));
}

void stw_map_fetch_place(const struct stw_map *map, uint64_t hash)
{
	const struct stw_map_array *array = STW_RCU_READ(map->array);

	__builtin_prefetch(&array->places[hash & array->mask]);
}

void stw_map_fetch_item(const struct stw_map *map, uint64_t hash, size_t bytes)
{
	const struct stw_map_array *array = STW_RCU_READ(map->array);

	stw_fetch(STW_RCU_READ(array->places[hash & array->mask].item), bytes);
}

void stw_map_scan(const struct stw_map *map, size_t *cursor, size_t max,
	bool (*visit)(void *context, const void *item), void *context)
{
	struct stw_map_array *array = STW_RCU_READ(map->array);
	size_t left = max <= array->mask ? max : array->mask + 1;
	void *item;

	for (; left; left--) {
		item = STW_RCU_READ(array->places[(*cursor)++ & array->mask].item);
		if (is_live(item) && !visit(context, item))
			return;
	}
}

void stw_map_walk(
	const struct stw_map *map, bool (*visit)(void *context, const void *item), void *context)
{
	size_t cursor = 0;

	stw_map_scan(map, &cursor, SIZE_MAX, visit, context);
}

int stw_map_part(const struct stw_map *map, struct stw_map_cursor *cursor, size_t max,
	bool (*visit)(void *context, struct stw_str key), void *context)
{
	const struct stw_map_array *array = STW_RCU_READ(map->array);
	const void *item;

	if (cursor->at && cursor->array != array->number)
		return -EAGAIN;
	cursor->array = array->number;
	for (; max && cursor->at <= array->mask; max--) {
		item = STW_RCU_READ(array->places[cursor->at++].item);
		if (is_live(item) && !visit(context, map->kind->key(item)))
			return -ECANCELED;
	}
	return cursor->at <= array->mask;
}

size_t stw_map_count(const struct stw_map *map)
{
	return __atomic_load_n(&map->count, __ATOMIC_RELAXED);
}

static void map_set_count(struct stw_map *map, size_t count)
{
	__atomic_store_n(&map->count, count, __ATOMIC_RELAXED);
}

/* Without memory for the list, the wait is now instead of later. */
static void map_retire(struct stw_map *map, void *item)
{
	size_t capacity = map->retired_capacity ? 2 * map->retired_capacity : 64;
	void **retired;

	if (map->retired_count == map->retired_capacity) {
		retired = realloc(map->retired, capacity * sizeof(*retired));
		if (!retired) {
			stw_rcu_synchronize();
			map->kind->free(item);
			return;
		}
		map->retired = retired;
		map->retired_capacity = capacity;
	}
	map->retired[map->retired_count++] = item;
}

/* With room for a quarter more after it was made, so that the next one is far away. */
static int map_rebuild(struct stw_map *map, size_t items)
{
	struct stw_map_array *old = map->array, *array;
	size_t places = ARRAY_PLACES_MIN, i;

	while (places_room(places) < items + items / 4)
		places *= 2;
	array = array_new(places);
	if (!array)
		return -ENOMEM;
	array->number = old->number + 1;
	for (i = 0; i <= old->mask; i++)
		if (is_live(old->places[i].item))
			array_add(array, old->places[i].item, old->places[i].hash);
	STW_RCU_PUBLISH(map->array, array);
	old->older = map->old;
	map->old = old;
	return 0;
}

int stw_map_reserve(struct stw_map *map, size_t more)
{
	if (map->array->used + more <= array_room(map->array))
		return 0;
	return map_rebuild(map, map->count + more);
}

int stw_map_put(struct stw_map *map, void *item)
{
	return stw_map_put_hashed(map, item, stw_map_hash(map, map->kind->key(item)));
}

int stw_map_put_hashed(struct stw_map *map, void *item, uint64_t hash)
{
	struct place *place = map_place(map, map->kind->key(item), hash);
	void *old;

	if (place) {
		old = place->item;
		STW_RCU_PUBLISH(place->item, item);
		map_retire(map, old);
		return 0;
	}
	if (stw_map_reserve(map, 1) < 0) {
		map->kind->free(item);
		return -ENOMEM;
	}
	array_add(map->array, item, hash);
	map_set_count(map, map->count + 1);
	return 0;
}

int stw_map_remove(struct stw_map *map, struct stw_str key)
{
	struct place *place = map_place(map, key, stw_map_hash(map, key));
	void *old;

	if (!place)
		return -ENOENT;
	old = place->item;
	STW_RCU_PUBLISH(place->item, (void *)&removed);
	map_set_count(map, map->count - 1);
	map_retire(map, old);
	return 0;
}

void stw_map_reclaim(struct stw_map *map)
{
	if (!map->retired_count && !map->old)
		return;
	stw_rcu_synchronize();
	map_free_retired(map);
}
