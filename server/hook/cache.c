/* SPDX-License-Identifier: Apache-2.0 */
#include "server/hook/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

struct entry {
	struct stw_node node;
	TAILQ_ENTRY(entry) age; /* least recently used first */
	uint64_t until_ms;
	size_t question_len, answer_len;
	char text[]; /* the question, then the answer */
};

struct stw_hook_cache {
	struct stw_hash_key key;
	struct stw_table table;
	TAILQ_HEAD(, entry) ages;
	size_t max_answers, max_bytes, bytes;
};

int stw_hook_cache_new(
	size_t answers, size_t bytes, struct stw_hash_key key, struct stw_hook_cache **ret)
{
	struct stw_hook_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return -ENOMEM;
	cache->key = key;
	cache->max_answers = answers;
	cache->max_bytes = bytes;
	stw_table_init(&cache->table);
	TAILQ_INIT(&cache->ages);
	*ret = cache;
	return 0;
}

static size_t entry_bytes(const struct entry *entry)
{
	return sizeof(*entry) + entry->question_len + entry->answer_len;
}

static void entry_remove(struct stw_hook_cache *cache, struct entry *entry)
{
	cache->bytes -= entry_bytes(entry);
	stw_table_remove(&cache->table, &entry->node);
	TAILQ_REMOVE(&cache->ages, entry, age);
	free(entry);
}

static struct entry *entry_find(
	const struct stw_hook_cache *cache, struct stw_str question, uint64_t hash)
{
	struct stw_node *node = stw_table_first(&cache->table, hash);

	for (; node; node = stw_table_next_same(node)) {
		struct entry *entry = STW_CONTAINER_OF(node, struct entry, node);

		if (stw_str_equal((struct stw_str){ entry->text, entry->question_len }, question))
			return entry;
	}
	return NULL;
}

bool stw_hook_cache_get(
	struct stw_hook_cache *cache, struct stw_str question, uint64_t now_ms, struct stw_str *ret)
{
	uint64_t hash = stw_hash(cache->key, question.ptr, question.len);
	struct entry *entry = entry_find(cache, question, hash);

	if (!entry)
		return false;
	if (entry->until_ms <= now_ms) {
		entry_remove(cache, entry);
		return false;
	}
	TAILQ_REMOVE(&cache->ages, entry, age);
	TAILQ_INSERT_TAIL(&cache->ages, entry, age);
	*ret = (struct stw_str){ entry->text + entry->question_len, entry->answer_len };
	return true;
}

void stw_hook_cache_put(struct stw_hook_cache *cache, struct stw_str question,
	struct stw_str answer, uint64_t until_ms)
{
	uint64_t hash = stw_hash(cache->key, question.ptr, question.len);
	struct entry *entry = entry_find(cache, question, hash);
	size_t bytes = sizeof(*entry) + question.len + answer.len;

	if (entry)
		entry_remove(cache, entry);
	if (!cache->max_answers || bytes > cache->max_bytes)
		return;
	while (cache->table.count >= cache->max_answers || cache->bytes + bytes > cache->max_bytes)
		entry_remove(cache, TAILQ_FIRST(&cache->ages));
	entry = malloc(bytes);
	if (!entry)
		return;
	*entry = (struct entry){
		.until_ms = until_ms, .question_len = question.len, .answer_len = answer.len
	};
	memcpy(entry->text, question.ptr, question.len);
	memcpy(entry->text + question.len, answer.ptr, answer.len);
	if (stw_table_insert(&cache->table, &entry->node, hash) < 0) {
		free(entry);
		return;
	}
	TAILQ_INSERT_TAIL(&cache->ages, entry, age);
	cache->bytes += bytes;
}

size_t stw_hook_cache_count(const struct stw_hook_cache *cache)
{
	return cache->table.count;
}

struct stw_hook_cache *stw_hook_cache_free(struct stw_hook_cache *cache)
{
	struct entry *entry;

	if (!cache)
		return NULL;
	while ((entry = TAILQ_FIRST(&cache->ages)))
		entry_remove(cache, entry);
	stw_table_done(&cache->table);
	free(cache);
	return NULL;
}
