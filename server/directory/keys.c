/* SPDX-License-Identifier: Apache-2.0 */
#include "server/directory/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PART_PLACES 1024 /* looked at between two pauses */

static bool keys_grow(struct stw_keys *keys)
{
	size_t capacity = keys->capacity ? 2 * keys->capacity : 256;
	struct stw_str *v = realloc(keys->v, capacity * sizeof(*v));

	if (!v)
		return false;
	keys->v = v;
	keys->capacity = capacity;
	return true;
}

static bool keys_add(void *context, struct stw_str key)
{
	struct stw_keys *keys = context;

	if (keys->n == keys->capacity && !keys_grow(keys))
		return false;
	return stw_arena_copy(&keys->arena, key, &keys->v[keys->n]) == 0 && ++keys->n;
}

static int by_text(const void *a, const void *b)
{
	const struct stw_str *left = a, *right = b;
	size_t len = left->len < right->len ? left->len : right->len;
	int order = memcmp(left->ptr, right->ptr, len);

	return order ? order : (left->len > right->len) - (left->len < right->len);
}

/* Who was removed and came again meanwhile stands there twice. */
static void keys_sort(struct stw_keys *keys)
{
	size_t n = 0;

	if (keys->n)
		qsort(keys->v, keys->n, sizeof(keys->v[0]), by_text);
	for (size_t i = 0; i < keys->n; i++) {
		if (n == 0 || !stw_str_equal(keys->v[n - 1], keys->v[i]))
			keys->v[n++] = keys->v[i];
	}
	keys->n = n;
}

int stw_keys_collect(const struct stw_map *map, const struct stw_pause *pause, struct stw_keys *ret)
{
	struct stw_map_cursor cursor = { 0 };
	int part;

	*ret = (struct stw_keys){ 0 };
	stw_arena_init(&ret->arena, SIZE_MAX / 2);
	do {
		part = stw_map_part(map, &cursor, PART_PLACES, keys_add, ret);
		if (part == -ECANCELED)
			return -ENOMEM;
		if (part == -EAGAIN) {
			stw_arena_reset(&ret->arena);
			ret->n = 0;
			cursor = (struct stw_map_cursor){ 0 };
		}
		if (!pause->goes_on(pause->context))
			return -ECANCELED;
	} while (part);
	keys_sort(ret);
	return 0;
}

void stw_keys_done(struct stw_keys *keys)
{
	stw_arena_done(&keys->arena);
	free(keys->v);
	keys->v = NULL;
}
