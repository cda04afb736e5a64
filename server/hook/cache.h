/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * cache: answers of web servers for as long as they say. One thread; bounded in answers and bytes,
 * the one that was not used for the longest time goes first.
 */
#ifndef STW_HOOK_CACHE_H
#define STW_HOOK_CACHE_H

#include <strowger/base.h>

struct stw_hook_cache;

/** @param answers  at a time; 0: none is kept. @return 0, -ENOMEM */
int stw_hook_cache_new(
	size_t answers, size_t bytes, struct stw_hash_key key, struct stw_hook_cache **ret);
/** Borrowed until the next put. @return false: nothing is known that is still good */
bool stw_hook_cache_get(struct stw_hook_cache *cache, struct stw_str question, uint64_t now_ms,
	struct stw_str *ret);
/** Copies both; takes the place of what was known. Without memory nothing is kept. */
void stw_hook_cache_put(struct stw_hook_cache *cache, struct stw_str question,
	struct stw_str answer, uint64_t until_ms);
size_t stw_hook_cache_count(const struct stw_hook_cache *cache);
/** Accepts NULL; returns NULL. */
struct stw_hook_cache *stw_hook_cache_free(struct stw_hook_cache *cache);

#endif
