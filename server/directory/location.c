/* SPDX-License-Identifier: Apache-2.0 */
#include "server/directory/location.h"

#include "server/directory/map.h"

#include <errno.h>
#include <stdlib.h>

#define USUAL_BYTES 256 /* of a snapshot with one contact */

struct stw_location {
	struct stw_map map;
};

static struct stw_str location_key(const void *item)
{
	return stw_bindings_aor(item);
}

static const struct stw_map_kind location_kind = { location_key, free };

struct stw_location *stw_location_free(struct stw_location *location)
{
	if (location)
		stw_map_done(&location->map);
	free(location);
	return NULL;
}

int stw_location_new(struct stw_hash_key key, struct stw_location **ret)
{
	struct stw_location *location = calloc(1, sizeof(*location));

	if (!location)
		return -ENOMEM;
	if (stw_map_init(&location->map, &location_kind, key) < 0) {
		stw_location_free(location);
		return -ENOMEM;
	}
	*ret = location;
	return 0;
}

const struct stw_bindings *stw_location_find(
	const struct stw_location *location, struct stw_str aor)
{
	return stw_map_find(&location->map, aor);
}

uint64_t stw_location_hash(const struct stw_location *location, struct stw_str aor)
{
	return stw_map_hash(&location->map, aor);
}

const struct stw_bindings *stw_location_find_hashed(
	const struct stw_location *location, struct stw_str aor, uint64_t hash)
{
	return stw_map_find_hashed(&location->map, aor, hash);
}

void stw_location_expect(const struct stw_location *location, const uint64_t *hashes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		stw_map_fetch_place(&location->map, hashes[i]);
	for (size_t i = 0; i < n; i++)
		stw_map_fetch_item(&location->map, hashes[i], USUAL_BYTES);
}

int stw_location_publish(struct stw_location *location, struct stw_bindings *bindings)
{
	return stw_location_publish_hashed(
		location, bindings, stw_location_hash(location, stw_bindings_aor(bindings)));
}

int stw_location_publish_hashed(
	struct stw_location *location, struct stw_bindings *bindings, uint64_t hash)
{
	if (bindings->n)
		return stw_map_put_hashed(&location->map, bindings, hash);
	stw_map_remove(&location->map, stw_bindings_aor(bindings));
	free(bindings);
	return 0;
}

int stw_location_reserve(struct stw_location *location, size_t more)
{
	return stw_map_reserve(&location->map, more);
}

void stw_location_reclaim(struct stw_location *location)
{
	stw_map_reclaim(&location->map);
}

struct visitor {
	bool (*visit)(void *context, const struct stw_bindings *bindings);
	void *context;
};

static bool visit_bindings(void *context, const void *item)
{
	struct visitor *visitor = context;

	return visitor->visit(visitor->context, item);
}

void stw_location_walk(const struct stw_location *location,
	bool (*visit)(void *context, const struct stw_bindings *bindings), void *context)
{
	struct visitor visitor = { visit, context };

	stw_map_walk(&location->map, visit_bindings, &visitor);
}

void stw_location_scan(const struct stw_location *location, size_t *cursor, size_t max,
	bool (*visit)(void *context, const struct stw_bindings *bindings), void *context)
{
	struct visitor visitor = { visit, context };

	stw_map_scan(&location->map, cursor, max, visit_bindings, &visitor);
}

const struct stw_map *stw_location_map(const struct stw_location *location)
{
	return &location->map;
}

size_t stw_location_count(const struct stw_location *location)
{
	return stw_map_count(&location->map);
}
