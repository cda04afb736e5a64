/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <string.h>

#include <strowger/rcu.h>

#include "simulate/simulate.h"

#define CALLS_MAX 1000000

static json_t *run_json(uint64_t seed, unsigned calls, const struct stw_simulate_result *result)
{
	char trace[20];

	snprintf(trace, sizeof(trace), "%016llx", (unsigned long long)result->trace);
	return json_pack("{s:I, s:i, s:b, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}",
		"seed", (json_int_t)seed, "calls", (int)calls, "passed", result->wrong[0] == 0,
		"broken", result->wrong, "call_id", result->call_id, "weather", result->weather,
		"trace", trace, "messages", (json_int_t)result->messages, "lost",
		(json_int_t)result->lost, "answered", (json_int_t)result->answered, "registrations",
		(json_int_t)result->registrations, "crashes", (json_int_t)result->crashes,
		"virtual_ms", (json_int_t)result->virtual_ms);
}

static void run_print(struct stw_cli *cli, uint64_t seed, const struct stw_simulate_result *result)
{
	fprintf(cli->out,
		"seed %llu: %llu messages in %llu s of virtual time, %llu lost; %llu calls "
		"answered, %llu registrations, %llu crashes (%s)\n",
		(unsigned long long)seed, (unsigned long long)result->messages,
		(unsigned long long)result->virtual_ms / 1000, (unsigned long long)result->lost,
		(unsigned long long)result->answered, (unsigned long long)result->registrations,
		(unsigned long long)result->crashes, result->weather);
}

/* @return how many seeds have broken an invariant; -1: could not run */
static int seeds_run(
	struct stw_cli *cli, struct stw_simulate_options *options, uint64_t count, json_t *runs)
{
	struct stw_simulate_result result;
	int failed = 0;

	for (; count; count--, options->seed++) {
		if (stw_simulate_run(options, &result) < 0)
			return -1;
		failed += result.wrong[0] != 0;
		if (cli->json)
			json_array_append_new(
				runs, run_json(options->seed, options->calls, &result));
		else if (result.wrong[0])
			stw_simulate_explain(options, &result, cli->out);
		else
			run_print(cli, options->seed, &result);
		fflush(cli->out);
	}
	return failed;
}

static int number_parse(
	struct stw_cli *cli, const char *name, const char *text, uint64_t max, uint64_t *ret)
{
	if (!text || stw_str_to_uint(stw_str_from(text), max, ret) == 0)
		return -1;
	return stw_cli_usage(cli, "--%s: %s is not a number from 0 to %llu", name, text,
		(unsigned long long)max);
}

static int seeds_report(struct stw_cli *cli, int failed, uint64_t count, json_t *runs)
{
	if (failed < 0) {
		json_decref(runs);
		return stw_cli_fail(cli, "the simulation could not start");
	}
	if (cli->json) {
		if (stw_cli_json(cli, runs) != STW_EXIT_DONE)
			return STW_EXIT_FAILED;
	} else {
		fprintf(cli->out, "%llu seeds, %d with a broken invariant\n",
			(unsigned long long)count, failed);
	}
	return failed ? STW_EXIT_FAILED : STW_EXIT_DONE;
}

int stw_cmd_simulate(struct stw_cli *cli)
{
	struct stw_simulate_options options = { 0 };
	const char *seed = NULL, *calls = NULL, *count = NULL;
	const struct stw_cli_option own[] = {
		{ "agents", 0, NULL, "user agents call each other, without servers and phones",
			NULL, &options.agents },
		{ "seed", 0, "N", "all that happens is made from this number (1)", &seed, NULL },
		{ "calls", 0, "N", "how many calls phones begin (1000)", &calls, NULL },
		{ "count", 0, "SEEDS", "so many seeds, from N on (1)", &count, NULL },
	};
	uint64_t first = 1, calls_n = 1000, count_n = 1;
	int status = stw_cli_parse(cli, own, STW_ARRAY_SIZE(own), 0, 0), failed;
	char folder[200];
	json_t *runs;

	if (status < 0)
		status = number_parse(cli, "seed", seed, INT64_MAX, &first);
	if (status < 0)
		status = number_parse(cli, "calls", calls, CALLS_MAX, &calls_n);
	if (status < 0)
		status = number_parse(cli, "count", count, INT32_MAX, &count_n);
	if (status >= 0)
		return status;
	if (stw_simulate_folder_make(folder, sizeof(folder)) < 0)
		return stw_cli_fail(cli, "no folder for the stores can be made");
	options.seed = first;
	options.calls = (unsigned)calls_n;
	options.folder = folder;
	runs = cli->json ? json_array() : NULL;
	stw_rcu_register_thread();
	failed = seeds_run(cli, &options, count_n, runs);
	stw_rcu_unregister_thread();
	stw_simulate_folder_remove(folder);
	return seeds_report(cli, failed, count_n, runs);
}
