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
	unsigned adds;         /* users in each pause */
	unsigned moves, mover; /* so often in the first one, this user */
	unsigned ends_at;      /* this pause; 0: none */
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

static struct stw_str aor_of(unsigned number, char text[40])
{
	return (struct stw_str){ text, (size_t)sprintf(text, "sip:u%06u@example.com", number) };
}

/* Each time to another place of the map, behind the one before. */
static void move(struct world *world, unsigned number)
{
	char text[40];

	assert_int_equal(stw_directory_remove(world->directory, aor_of(number, text)), 0);
	add(world, number);
}

static bool pause_of(void *context)
{
	struct world *world = context;

	world->pauses++;
	for (unsigned i = 0; i < world->adds; i++)
		add(world, world->users++);
	for (unsigned i = 0; world->pauses == 1 && i < world->moves; i++)
		move(world, world->mover);
	return world->pauses != world->ends_at;
}

/* Who was there all the time is there once, and in order; who was not, once at most. */
static void check(const struct world *world, const struct stw_keys *keys)
{
	size_t n = 0;
	char text[40];

	for (unsigned i = 0; i < USERS; i++) {
		bool there = n < keys->n && stw_str_equal(keys->v[n], aor_of(i, text));

		assert_true(there || (world->moves && i == world->mover));
		n += there;
	}
	assert_true(keys->n - n <= world->users - USERS);
}

/* The keys of a directory of USERS, and of those who come in the pauses. */
static void collect(struct world *world, int expected)
{
	const struct stw_pause options = { pause_of, world };
	const struct stw_hash_key key = { 3, 4 };
	struct stw_keys keys;

	assert_int_equal(stw_directory_new(key, &world->directory), 0);
	while (world->users < USERS)
		add(world, world->users++);
	assert_int_equal(
		stw_keys_collect(stw_directory_map(world->directory), &options, &keys), expected);
	if (expected == 0)
		check(world, &keys);
	stw_keys_done(&keys);
	stw_directory_free(world->directory);
}

static void test_nothing_changes(void **state)
{
	struct world world = { 0 };

	collect(&world, 0);
	assert_true(world.pauses > 4);
}

/* The places become others in the midst of the walk: it begins anew. */
static void test_map_grows(void **state)
{
	struct world world = { .adds = 300 };

	collect(&world, 0);
	assert_true(world.users > 8192 * 13 / 16);
}

/* Who was looked at has come again where nobody was looked for yet: one of eight of them, since so
 * many are the parts. */
static void test_comes_again(void **state)
{
	for (unsigned mover = 0; mover < 64; mover++) {
		struct world world = { .moves = 1000, .mover = mover };

		collect(&world, 0);
	}
}

static void test_given_up(void **state)
{
	struct world world = { .ends_at = 2 };

	collect(&world, -ECANCELED);
	assert_int_equal(world.pauses, 2);
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
