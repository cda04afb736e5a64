/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * keys: all keys of a map for a reader with a lot to do. Whoever walks over the items themselves
 * holds back the writer for as long as it walks; with the keys it looks up one after the other, and
 * is quiescent between them.
 */
#ifndef STW_KEYS_H
#define STW_KEYS_H

#include "server/directory/map.h"

/** Copies, sorted, each once. */
struct stw_keys {
	struct stw_arena arena;
	struct stw_str *v;
	size_t n, capacity;
};

/** Called where the reader holds nothing: it says there that it is quiescent. @return false: the
 * answer is no longer wanted */
struct stw_pause {
	bool (*goes_on)(void *context);
	void *context;
};

/** What comes or goes meanwhile may be among them. stw_keys_done() in any case.
 *  @return 0; -ENOMEM; -ECANCELED by the pause */
int stw_keys_collect(
	const struct stw_map *map, const struct stw_pause *pause, struct stw_keys *ret);
void stw_keys_done(struct stw_keys *keys);

#endif
