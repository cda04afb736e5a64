/* SPDX-License-Identifier: Apache-2.0 */
/* All keys of a map that changes between two parts of the walk. */
#include "server/directory/keys.h"

#include "server/directory/user.h"
#include "support.h"

#include <errno.h>
#include <stdio.h>

#define USERS 5000

struct world {
	struct stw_directory *directory;
	unsigned pauses, users;
	bool adds, moves; /* in each pause */
	unsigned ends_at; /* this pause; 0: none */
};

static struct stw_str name_of(unsigned number, char text[16])
{
	return (struct stw_str){ text, (size_t)sprintf(text, "u%06u", number) };
}

static void add(struct world *world, unsigned number)
{
	struct stw_ha1 ha1 = { 0 };
	char text[16];

	assert_int_equal(stw_directory_put(world->directory, name_of(number, text),
				 STW_STR("example.com"), &ha1, &ha1),
		0);
}

static void move(struct world *world, unsigned number)
{
	char text[40];

	assert_int_equal(stw_directory_remove(world->directory,
				 (struct stw_str){ text,
					 (size_t)sprintf(text, "sip:u%06u@example.com", number) }),
		0);
	add(world, number);
}

static bool pause_of(void *context)
{
	struct world *world = context;

	world->pauses++;
	for (unsigned i = 0; world->adds && i < 300; i++)
		add(world, world->users++);
	for (unsigned i = 0; world->moves && i < USERS; i += 100)
		move(world, i);
	return world->pauses != world->ends_at;
}

static void begin(struct world *world)
{
	const struct stw_hash_key key = { 3, 4 };

	assert_int_equal(stw_directory_new(key, &world->directory), 0);
	while (world->users < USERS)
		add(world, world->users++);
}

static int collect(struct world *world, struct stw_keys *keys)
{
	const struct stw_pause options = { pause_of, world };

	return stw_keys_collect(stw_directory_map(world->directory), &options, keys);
}

/* Who was there all the time is there once, and in order. */
static void check_and_end(struct world *world, struct stw_keys *keys)
{
	char text[40];

	assert_true(keys->n >= USERS && keys->n <= world->users);
	for (unsigned i = 0; i < USERS; i++) {
		sprintf(text, "sip:u%06u@example.com", i);
		assert_str(keys->v[i], text);
	}
	stw_keys_done(keys);
	stw_directory_free(world->directory);
}

static void test_nothing_changes(void **state)
{
	struct world world = { 0 };
	struct stw_keys keys;

	begin(&world);
	assert_int_equal(collect(&world, &keys), 0);
	assert_true(world.pauses > 4);
	check_and_end(&world, &keys);
}

/* The places become others in the midst of the walk: it begins anew. */
static void test_map_grows(void **state)
{
	struct world world = { .adds = true };
	struct stw_keys keys;

	begin(&world);
	assert_int_equal(collect(&world, &keys), 0);
	assert_true(world.users > 8192 * 13 / 16);
	check_and_end(&world, &keys);
}

static void test_comes_again(void **state)
{
	struct world world = { .moves = true };
	struct stw_keys keys;

	begin(&world);
	assert_int_equal(collect(&world, &keys), 0);
	check_and_end(&world, &keys);
}

static void test_given_up(void **state)
{
	struct world world = { .ends_at = 2 };
	struct stw_keys keys;

	begin(&world);
	assert_int_equal(collect(&world, &keys), -ECANCELED);
	assert_int_equal(world.pauses, 2);
	stw_keys_done(&keys);
	stw_directory_free(world.directory);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_changes),
		cmocka_unit_test(test_map_grows),
		cmocka_unit_test(test_comes_again),
		cmocka_unit_test(test_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
