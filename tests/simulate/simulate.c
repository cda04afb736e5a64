/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays seeds of the simulation, also with memory that is refused. Without a seed: the fixed set
 * and the seeds of seeds.txt (agents.txt) that have found something once.
 *
 * usage: [SIMULATE_VERBOSE=1] [SIMULATE_WATCH=CALL-ID] simulate [agents] [SEED [COUNT [CALLS]]]
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <strowger/rcu.h>

#include "simulate/simulate.h"
#include "support.h"

/* What is played when no seed is given. */
static const struct fixed {
	bool agents;
	unsigned seeds, calls;
	const char *seeds_file;
} fixed_servers = { false, 24, 150, "tests/simulate/seeds.txt" },
  fixed_agents = { true, 150, 20, "tests/simulate/agents.txt" }, *fixed = &fixed_servers;

/* What malloc keeps for its thread, and libraries for the next time. */
#define KEPT_BYTES 131072

static char folder[200];

/* A run, and what it leaves in memory. */
static int run_measured(const struct stw_simulate_options *options, struct stw_simulate_result *ret,
	size_t *ret_bytes)
{
	size_t before = mallinfo2().uordblks, after;
	int err = stw_simulate_run(options, ret);

	after = mallinfo2().uordblks;
	*ret_bytes = after > before + KEPT_BYTES ? after - before : 0;
	return err;
}

static bool play(uint64_t seed, unsigned calls, struct stw_simulate_result *ret)
{
	struct stw_simulate_options options = { .seed = seed,
		.agents = fixed->agents,
		.calls = calls,
		.folder = folder,
		.watch = getenv("SIMULATE_WATCH"),
		.fail_allocation = support_fail_allocation };
	struct stw_simulate_result again;
	size_t left;
	int err;

	options.ladder = options.watch ? stdout : NULL;
	err = run_measured(&options, ret, &left);

	/* What libraries keep for the next time is kept once: the second run leaves nothing more.
	 */
	if (err == 0 && !ret->wrong[0] && left)
		run_measured(&options, &again, &left);
	if (err == 0 && !ret->wrong[0] && left)
		snprintf(ret->wrong, sizeof(ret->wrong), "%zu bytes of memory are left", left);
	if (err < 0)
		snprintf(ret->wrong, sizeof(ret->wrong), "cannot run: %s", strerror(-err));
	if (!ret->wrong[0])
		return true;
	stw_simulate_explain(&options, ret, stdout);
	fflush(stdout);
	return false;
}

static unsigned play_seeds(uint64_t first, uint64_t count, unsigned calls)
{
	struct stw_simulate_result result;
	unsigned failed = 0;
	uint64_t seed;

	for (seed = first; seed < first + count; seed++) {
		failed += !play(seed, calls, &result);
		if (getenv("SIMULATE_VERBOSE"))
			printf("seed %llu: %s: %llu messages, %llu answered, %llu crashes, trace "
			       "%016llx\n",
				(unsigned long long)seed, result.weather,
				(unsigned long long)result.messages,
				(unsigned long long)result.answered,
				(unsigned long long)result.crashes,
				(unsigned long long)result.trace);
	}
	return failed;
}

/* Lines "SEED CALLS", a comment behind #. */
static void test_seeds_that_found_something(void **state)
{
	size_t len;
	char *text = support_read_file(fixed->seeds_file, &len), *line, *rest = text;
	unsigned long long seed;
	unsigned calls, failed = 0;

	while ((line = strsep(&rest, "\n"))) {
		if (sscanf(line, "%llu %u", &seed, &calls) == 2)
			failed += play_seeds(seed, 1, calls);
	}
	free(text);
	assert_int_equal(failed, 0);
}

static void test_fixed_seeds(void **state)
{
	assert_int_equal(play_seeds(1, fixed->seeds, fixed->calls), 0);
}

/* All is from the seed: the same messages at the same times. */
static void test_same_seed_same_trace(void **state)
{
	struct stw_simulate_result first, second, other;
	uint64_t seed;

	for (seed = 1; seed < 4; seed++) {
		assert_true(play(seed, 60, &first));
		assert_true(play(seed, 60, &second));
		assert_true(play(seed + 1000, 60, &other));
		assert_true(first.messages > 500);
		assert_int_equal(first.messages, second.messages);
		assert_true(first.trace == second.trace);
		assert_true(first.trace != other.trace);
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_seed_same_trace),
		cmocka_unit_test(test_fixed_seeds),
		cmocka_unit_test(test_seeds_that_found_something),
	};
	int failed;

	if (argc > 1 && strcmp(argv[1], "agents") == 0) {
		fixed = &fixed_agents;
		argc--;
		argv++;
	}
	if (stw_simulate_folder_make(folder, sizeof(folder)) < 0)
		return 1;
	stw_rcu_register_thread();
	if (argc > 1)
		failed = (int)play_seeds(strtoull(argv[1], NULL, 10),
			argc > 2 ? strtoull(argv[2], NULL, 10) : 1,
			argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1000);
	else
		failed = cmocka_run_group_tests(tests, NULL, NULL);
	stw_rcu_unregister_thread();
	stw_simulate_folder_remove(folder);
	return failed != 0;
}
