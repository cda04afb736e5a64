/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * map: a hash map that many threads read without waiting and one thread changes (strowger/rcu.h).
 * It holds pointers to immutable items, each with its key inside.
 */
#ifndef STW_MAP_H
#define STW_MAP_H

#include <strowger/base.h>

struct stw_map_array;

/** What the map has to know about its items. */
struct stw_map_kind {
	struct stw_str (*key)(const void *item);
	void (*free)(void *item);
};

/** Embedded. All but find, walk and count is for the writer. */
struct stw_map {
	const struct stw_map_kind *kind;
	struct stw_hash_key key;
	struct stw_map_array *array; /* published */
	size_t count;                /* published */
	struct stw_map_array *old;   /* replaced arrays that readers may still hold */
	void **retired;              /* replaced items that readers may still hold */
	size_t retired_count, retired_capacity;
};

/** @return 0, -ENOMEM */
int stw_map_init(struct stw_map *map, const struct stw_map_kind *kind, struct stw_hash_key key);
/** No reader is left. Frees the items. */
void stw_map_done(struct stw_map *map);

uint64_t stw_map_hash(const struct stw_map *map, struct stw_str key);
/** NULL when there is none. Valid until the reader's next quiescent state. */
void *stw_map_find(const struct stw_map *map, struct stw_str key);
/** The same, with the hash of the key at hand. */
void *stw_map_find_hashed(const struct stw_map *map, struct stw_str key, uint64_t hash);
/** Tells the processor that the place for a hash will be read soon, or what stands there (of which
 *  the first `bytes` are meant). */
void stw_map_fetch_place(const struct stw_map *map, uint64_t hash);
void stw_map_fetch_item(const struct stw_map *map, uint64_t hash, size_t bytes);
/** Visits until the callback returns false. */
void stw_map_walk(
	const struct stw_map *map, bool (*visit)(void *context, const void *item), void *context);
/** Visits `max` places from *cursor on and moves it; begins again behind the last place. */
void stw_map_scan(const struct stw_map *map, size_t *cursor, size_t max,
	bool (*visit)(void *context, const void *item), void *context);
/** Where a walk stands between two parts of it; at first zeros. */
struct stw_map_cursor {
	uint64_t array; /* its number */
	size_t at;
};
/** The same part by part, so that the reader can be quiescent between them. @return 1: there are
 *  more places; 0: that was the last; -ECANCELED: by the callback; -EAGAIN: the places are others
 *  by now, begin with zeros */
int stw_map_part(const struct stw_map *map, struct stw_map_cursor *cursor, size_t max,
	bool (*visit)(void *context, struct stw_str key), void *context);
size_t stw_map_count(const struct stw_map *map);

/** Make room: the next `more` puts need no memory. @return 0, -ENOMEM */
int stw_map_reserve(struct stw_map *map, size_t more);
/** Takes the item, in the place of one with the same key. @return 0; -ENOMEM (the item is freed) */
int stw_map_put(struct stw_map *map, void *item);
int stw_map_put_hashed(struct stw_map *map, void *item, uint64_t hash);
/** @return 0, -ENOENT */
int stw_map_remove(struct stw_map *map, struct stw_str key);
/** Wait for a grace period and free what was replaced; at once when nothing was. */
void stw_map_reclaim(struct stw_map *map);

#endif
