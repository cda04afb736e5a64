/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/base.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define BUCKETS_FIRST 16u

void stw_table_init(struct stw_table *table)
{
	*table = (struct stw_table){ 0 };
}

void stw_table_done(struct stw_table *table)
{
	free(table->buckets);
	stw_table_init(table);
}

static void bucket_push(struct stw_table *table, struct stw_node *node)
{
	struct stw_node **bucket = &table->buckets[node->hash & table->mask];

	node->next = *bucket;
	*bucket = node;
}

static int table_resize(struct stw_table *table, size_t buckets)
{
	struct stw_table larger = {
		.buckets = calloc(buckets, sizeof(struct stw_node *)),
		.mask = buckets - 1,
		.count = table->count,
	};

	if (!larger.buckets)
		return -ENOMEM;
	for (size_t i = 0; table->buckets && i <= table->mask; i++) {
		struct stw_node *node = table->buckets[i], *next;

		for (; node; node = next) {
			next = node->next;
			bucket_push(&larger, node);
		}
	}
	free(table->buckets);
	*table = larger;
	return 0;
}

int stw_table_insert(struct stw_table *table, struct stw_node *node, uint64_t hash)
{
	if (!table->buckets && table_resize(table, BUCKETS_FIRST) < 0)
		return -ENOMEM;
	/* Without memory for a larger array the chains grow longer; the next insert tries again. */
	if (table->count > table->mask)
		(void)table_resize(table, (table->mask + 1) * 2);
	node->hash = hash;
	bucket_push(table, node);
	table->count++;
	return 0;
}

void stw_table_remove(struct stw_table *table, struct stw_node *node)
{
	struct stw_node **link = &table->buckets[node->hash & table->mask];

	while (*link != node) {
		assert(*link);
		link = &(*link)->next;
	}
	*link = node->next;
	node->next = NULL;
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
	return table->buckets ? chain_find(table->buckets[hash & table->mask], hash) : NULL;
}

struct stw_node *stw_table_next_same(const struct stw_node *node)
{
	return chain_find(node->next, node->hash);
}

struct stw_node *stw_table_walk(const struct stw_table *table, const struct stw_node *after)
{
	size_t bucket = after ? (after->hash & table->mask) + 1 : 0;

	if (after && after->next)
		return after->next;
	for (; table->buckets && bucket <= table->mask; bucket++) {
		if (table->buckets[bucket])
			return table->buckets[bucket];
	}
	return NULL;
}
