/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the DNS for as long as they are good, and who waits for those that are still to come.
 */
#include <strowger/dns.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	struct stw_node by_name;
	struct stw_node by_query;       /* while it is being asked */
	TAILQ_ENTRY(entry) age;         /* while it is held: least recently used first */
	struct stw_dns_waiters waiters; /* while it is being asked */
	bool asking;
	uint64_t query, until_ms;
	struct stw_dns_answer answer; /* held */
	void *records;                /* one block: records and their text */
	size_t bytes;
	uint16_t type, name_len;
	char name[]; /* lower case, no final dot */
};
TAILQ_HEAD(entry_list, entry);

struct stw_dns_cache {
	struct stw_dns_limits limits;
	struct stw_hash_key key;
	struct stw_table names, queries;
	struct entry_list ages;
	struct stw_dns_waiters told;
	uint64_t next_query;
	size_t bytes, asking;
	uint64_t hits, questions;
};

int stw_dns_cache_new(
	const struct stw_dns_limits *limits, struct stw_hash_key key, struct stw_dns_cache **ret)
{
	struct stw_dns_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return -ENOMEM;
	cache->limits = *limits;
	cache->key = key;
	stw_table_init(&cache->names);
	stw_table_init(&cache->queries);
	TAILQ_INIT(&cache->ages);
	TAILQ_INIT(&cache->told);
	*ret = cache;
	return 0;
}

void stw_dns_cache_limit(struct stw_dns_cache *cache, const struct stw_dns_limits *limits)
{
	cache->limits = *limits;
}

/* ---- entries ------------------------------------------------------------------------- */

static uint64_t name_hash(
	const struct stw_dns_cache *cache, struct stw_str name, enum stw_dns_type type)
{
	return stw_hash_nocase(cache->key, name.ptr, name.len) + (uint64_t)type;
}

static struct entry *entry_find(
	const struct stw_dns_cache *cache, struct stw_str name, enum stw_dns_type type)
{
	struct stw_node *node = stw_table_first(&cache->names, name_hash(cache, name, type));

	for (; node; node = stw_table_next_same(node)) {
		struct entry *entry = STW_CONTAINER_OF(node, struct entry, by_name);

		if (entry->type == type &&
			stw_str_equal_nocase(
				(struct stw_str){ entry->name, entry->name_len }, name))
			return entry;
	}
	return NULL;
}

static struct entry *entry_of_query(const struct stw_dns_cache *cache, uint64_t query)
{
	struct stw_node *node = stw_table_first(&cache->queries, query);

	return node ? STW_CONTAINER_OF(node, struct entry, by_query) : NULL;
}

static void entry_drop(struct stw_dns_cache *cache, struct entry *entry)
{
	if (entry->asking)
		stw_table_remove(&cache->queries, &entry->by_query);
	else
		TAILQ_REMOVE(&cache->ages, entry, age);
	cache->asking -= entry->asking;
	stw_table_remove(&cache->names, &entry->by_name);
	cache->bytes -= entry->bytes;
	free(entry->records);
	free(entry);
}

/* Make room by forgetting what was used longest ago. */
static void cache_trim(struct stw_dns_cache *cache)
{
	struct entry *oldest;

	while ((cache->names.count > cache->limits.max_names ||
		       cache->bytes > cache->limits.max_bytes) &&
		(oldest = TAILQ_FIRST(&cache->ages)))
		entry_drop(cache, oldest);
}

static int entry_new(struct stw_dns_cache *cache, struct stw_str name, enum stw_dns_type type,
	struct entry **ret)
{
	struct entry *entry = calloc(1, sizeof(*entry) + name.len);

	if (!entry)
		return -ENOMEM;
	memcpy(entry->name, name.ptr, name.len);
	entry->name_len = (uint16_t)name.len;
	entry->type = (uint16_t)type;
	entry->bytes = sizeof(*entry) + name.len;
	TAILQ_INIT(&entry->waiters);
	if (stw_table_insert(&cache->names, &entry->by_name, name_hash(cache, name, type)) < 0) {
		free(entry);
		return -ENOMEM;
	}
	cache->bytes += entry->bytes;
	TAILQ_INSERT_TAIL(&cache->ages, entry, age);
	*ret = entry;
	return 0;
}

/* From held, or new, to being asked. */
static int entry_ask(struct stw_dns_cache *cache, struct entry *entry)
{
	if (cache->asking >= cache->limits.max_names)
		return -ENOBUFS;
	if (stw_table_insert(&cache->queries, &entry->by_query, cache->next_query + 1) < 0)
		return -ENOMEM;
	TAILQ_REMOVE(&cache->ages, entry, age);
	entry->query = ++cache->next_query;
	entry->asking = true;
	cache->asking++;
	cache->questions++;
	return 0;
}

/* ---- asking -------------------------------------------------------------------------------- */

static void waiter_join(struct stw_dns_waiter *waiter, struct stw_dns_waiters *list)
{
	stw_dns_waiter_withdraw(waiter);
	waiter->list = list;
	TAILQ_INSERT_TAIL(list, waiter, link);
}

int stw_dns_cache_find(struct stw_dns_cache *cache, struct stw_str name, enum stw_dns_type type,
	struct stw_now now, struct stw_dns_waiter *waiter, struct stw_dns_answer *ret_answer,
	uint64_t *ret_query)
{
	struct entry *entry;
	int err;

	if (name.len && name.ptr[name.len - 1] == '.')
		name.len--;
	if (name.len > STW_DNS_NAME_MAX)
		return -ENOBUFS;
	entry = entry_find(cache, name, type);
	if (entry && entry->asking) {
		waiter_join(waiter, &entry->waiters);
		return STW_DNS_ASKED;
	}
	if (entry && now.mono_ms < entry->until_ms) {
		TAILQ_REMOVE(&cache->ages, entry, age);
		TAILQ_INSERT_TAIL(&cache->ages, entry, age);
		cache->hits++;
		*ret_answer = entry->answer;
		return STW_DNS_KNOWN;
	}
	err = entry ? 0 : entry_new(cache, name, type, &entry);
	if (err < 0)
		return err;
	err = entry_ask(cache, entry);
	if (err < 0) {
		entry_drop(cache, entry);
		return err;
	}
	waiter_join(waiter, &entry->waiters);
	*ret_query = entry->query;
	cache_trim(cache);
	return STW_DNS_ASK;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Copy into one block that the entry owns. */
static int entry_keep(
	struct stw_dns_cache *cache, struct entry *entry, const struct stw_dns_answer *answer)
{
	size_t bytes = answer->n * sizeof(*answer->records);
	struct stw_dns_record *records;
	char *text;

	for (unsigned i = 0; i < answer->n; i++)
		bytes += answer->records[i].target.len + answer->records[i].service.len;
	records = malloc(bytes ? bytes : 1);
	if (!records)
		return -ENOMEM;
	if (answer->n)
		memcpy(records, answer->records, answer->n * sizeof(*records));
	text = (char *)(records + answer->n);
	for (unsigned i = 0; i < answer->n; i++) {
		struct stw_str *const texts[] = { &records[i].target, &records[i].service };

		for (unsigned j = 0; j < STW_ARRAY_SIZE(texts); j++) {
			if (texts[j]->len)
				memcpy(text, texts[j]->ptr, texts[j]->len);
			texts[j]->ptr = text;
			text += texts[j]->len;
		}
	}
	free(entry->records);
	cache->bytes -= entry->bytes;
	entry->records = records;
	entry->answer = *answer;
	entry->answer.records = records;
	entry->bytes = sizeof(*entry) + entry->name_len + bytes;
	cache->bytes += entry->bytes;
	return 0;
}

void stw_dns_cache_answered(struct stw_dns_cache *cache, uint64_t query,
	const struct stw_dns_answer *answer, struct stw_now now)
{
	struct entry *entry = entry_of_query(cache, query);
	uint32_t ttl_s = answer->ttl_s < STW_DNS_TTL_MAX_S ? answer->ttl_s : STW_DNS_TTL_MAX_S;
	struct stw_dns_waiter *waiter;

	if (!entry)
		return;
	while ((waiter = TAILQ_FIRST(&entry->waiters)))
		waiter_join(waiter, &cache->told);
	stw_table_remove(&cache->queries, &entry->by_query);
	entry->asking = false;
	cache->asking--;
	TAILQ_INSERT_TAIL(&cache->ages, entry, age);
	if (!ttl_s || (answer->error && answer->error != -ENOENT) ||
		entry_keep(cache, entry, answer) < 0) {
		entry_drop(cache, entry);
		return;
	}
	entry->until_ms = now.mono_ms + (uint64_t)ttl_s * 1000;
	cache_trim(cache);
}

struct stw_dns_waiter *stw_dns_cache_told(struct stw_dns_cache *cache)
{
	struct stw_dns_waiter *waiter = TAILQ_FIRST(&cache->told);

	if (waiter)
		stw_dns_waiter_withdraw(waiter);
	return waiter;
}

void stw_dns_waiter_withdraw(struct stw_dns_waiter *waiter)
{
	if (waiter->list)
		TAILQ_REMOVE(waiter->list, waiter, link);
	waiter->list = NULL;
}

void stw_dns_cache_stats(const struct stw_dns_cache *cache, struct stw_dns_stats *ret)
{
	*ret = (struct stw_dns_stats){ .names = cache->names.count,
		.asking = cache->asking,
		.bytes = cache->bytes,
		.hits = cache->hits,
		.questions = cache->questions };
}

struct stw_dns_cache *stw_dns_cache_free(struct stw_dns_cache *cache)
{
	struct stw_node *node;

	if (!cache)
		return NULL;
	while ((node = stw_table_walk(&cache->names, NULL)))
		entry_drop(cache, STW_CONTAINER_OF(node, struct entry, by_name));
	stw_table_done(&cache->names);
	stw_table_done(&cache->queries);
	free(cache);
	return NULL;
}
