/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>

#define ENTRIES 3000

struct entry {
	struct stw_node node;
	bool in, seen;
};

static struct entry entries[ENTRIES];

/* Every fourth hash is shared by four entries, so that chains have true and false neighbours. */
static uint64_t entry_hash(unsigned i)
{
	return (uint64_t)(i / 4) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool entry_find(const struct stw_table *table, unsigned i)
{
	struct stw_node *node = stw_table_first(table, entry_hash(i));

	for (; node; node = stw_table_next_same(node)) {
		assert_true(node->hash == entry_hash(i));
		if (node == &entries[i].node)
			return true;
	}
	return false;
}

static void check(const struct stw_table *table)
{
	size_t walked = 0, in = 0;

	for (unsigned i = 0; i < ENTRIES; i++)
		entries[i].seen = false;
	for (struct stw_node *node = NULL; (node = stw_table_walk(table, node)); walked++) {
		struct entry *entry = STW_CONTAINER_OF(node, struct entry, node);

		assert_false(entry->seen);
		assert_true(entry->in);
		entry->seen = true;
	}
	for (unsigned i = 0; i < ENTRIES; i++) {
		in += entries[i].in;
		assert_int_equal(entry_find(table, i), entries[i].in);
	}
	assert_int_equal(walked, in);
	assert_int_equal(table->count, in);
}

static void entry_insert(struct stw_table *table, unsigned i)
{
	assert_int_equal(stw_table_insert(table, &entries[i].node, entry_hash(i)), 0);
	entries[i].in = true;
}

static void entry_remove(struct stw_table *table, unsigned i)
{
	stw_table_remove(table, &entries[i].node);
	entries[i].in = false;
}

static int setup(void **state)
{
	for (unsigned i = 0; i < ENTRIES; i++)
		entries[i] = (struct entry){ 0 };
	return 0;
}

static void test_random_operations(void **state)
{
	struct stw_table table;
	struct stw_random random;

	stw_random_seed(&random, 1);
	stw_table_init(&table);
	check(&table);
	for (unsigned step = 0; step < 50000; step++) {
		unsigned i = (unsigned)stw_random_below(&random, ENTRIES);

		if (entries[i].in)
			entry_remove(&table, i);
		else
			entry_insert(&table, i);
		if (step % 5000 == 0)
			check(&table);
	}
	check(&table);
	assert_true(table.mask + 1 >= table.count);
	stw_table_done(&table);
	assert_int_equal(table.count, 0);
	assert_null(stw_table_walk(&table, NULL));
}

static void test_remove_while_walking(void **state)
{
	struct stw_table table;
	struct stw_node *node, *next;
	unsigned walked = 0;

	stw_table_init(&table);
	for (unsigned i = 0; i < 500; i++)
		entry_insert(&table, i);
	for (node = stw_table_walk(&table, NULL); node; node = next, walked++) {
		next = stw_table_walk(&table, node);
		entry_remove(
			&table, (unsigned)(STW_CONTAINER_OF(node, struct entry, node) - entries));
	}
	assert_int_equal(walked, 500);
	check(&table);
	stw_table_done(&table);
}

/* Others move when one is removed; each is still met once, at the end of the array too. */
static void test_walk_past_removed(void **state)
{
	for (unsigned start = 0; start < 60; start++) {
		struct stw_node *node, *next;
		struct stw_table table;
		unsigned met = 0;

		stw_table_init(&table);
		for (unsigned i = start; i < start + 44; i++)
			entry_insert(&table, i);
		for (unsigned i = 0; i < ENTRIES; i++)
			entries[i].seen = false;
		for (node = stw_table_walk(&table, NULL); node; node = next, met++) {
			struct entry *entry = STW_CONTAINER_OF(node, struct entry, node);

			assert_false(entry->seen);
			entry->seen = true;
			next = stw_table_walk(&table, node);
			if ((met + start) % 3)
				entry_remove(&table, (unsigned)(entry - entries));
		}
		assert_int_equal(met, 44);
		check(&table);
		stw_table_done(&table);
		setup(NULL);
	}
}

/* A large array is there before it is needed: the insert that grows takes no memory. */
static void test_large(void **state)
{
	static struct stw_node nodes[60000];
	struct stw_table table;

	stw_table_init(&table);
	for (uint64_t i = 0; i < STW_ARRAY_SIZE(nodes); i++) {
		uint64_t hash = i * UINT64_C(0x9e3779b97f4a7c15);

		if (i >= 48000) /* 65536 places are full at 49152 */
			support_fail_allocation(1);
		assert_int_equal(stw_table_insert(&table, &nodes[i], hash), 0);
		support_fail_allocation(0);
	}
	assert_int_equal(table.mask + 1, 131072);
	assert_null(table.overflow);
	for (uint64_t i = 0; i < STW_ARRAY_SIZE(nodes); i++) {
		uint64_t hash = i * UINT64_C(0x9e3779b97f4a7c15);

		assert_ptr_equal(stw_table_first(&table, hash), &nodes[i]);
		stw_table_expect(&table, hash);
		stw_table_remove(&table, &nodes[i]);
	}
	assert_int_equal(table.count, 0);
	stw_table_done(&table);
}

static void test_no_memory(void **state)
{
	struct stw_table table;

	stw_table_init(&table);
	support_fail_allocation(1);
	assert_int_equal(stw_table_insert(&table, &entries[0].node, 0), -ENOMEM);
	assert_int_equal(table.count, 0);
	assert_null(stw_table_first(&table, 0));

	/* Growing may fail, the insert does not. */
	for (unsigned i = 0; i < 400; i++) {
		entry_insert(&table, i);
		support_fail_allocation(1);
	}
	support_fail_allocation(0);
	assert_true(table.mask < 400);
	check(&table);
	/* What found no place is found, walked and removed like the rest. */
	for (unsigned i = 0; i < 400; i += 3)
		entry_remove(&table, i);
	check(&table);
	for (unsigned i = 0; i < 400; i += 3) {
		support_fail_allocation(1);
		entry_insert(&table, i);
	}
	support_fail_allocation(0);
	check(&table);
	entry_insert(&table, 400);
	assert_true(table.mask > 15);
	check(&table);
	stw_table_done(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_random_operations, setup),
		cmocka_unit_test_setup(test_remove_while_walking, setup),
		cmocka_unit_test_setup(test_walk_past_removed, setup),
		cmocka_unit_test(test_large),
		cmocka_unit_test_setup(test_no_memory, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
