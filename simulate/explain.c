/* SPDX-License-Identifier: Apache-2.0 */
/* A failed run, readable: the seed, the broken invariant, the ladder. */
#include "simulate/simulate.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int stw_simulate_folder_make(char *buffer, size_t size)
{
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");

	if ((size_t)snprintf(buffer, size, "%s/strowger-simulate-XXXXXX", base ? base : "/tmp") >=
		size)
		return -ENAMETOOLONG;
	return mkdtemp(buffer) ? 0 : -errno;
}

void stw_simulate_folder_remove(const char *folder)
{
	rmdir(folder);
}

void stw_simulate_explain(const struct stw_simulate_options *options,
	const struct stw_simulate_result *result, FILE *out)
{
	struct stw_simulate_options again = *options;
	struct stw_simulate_result replayed;

	fprintf(out, "seed %llu with %u calls (%s): %s\n", (unsigned long long)options->seed,
		options->calls, result->weather, result->wrong);
	if (result->call_id[0])
		fprintf(out, "Call-ID %s, times in milliseconds:\n", result->call_id);
	else
		fprintf(out, "the last messages before it, times in milliseconds:\n");
	again.ladder = out;
	again.watch = result->call_id;
	stw_simulate_run(&again, &replayed);
	fprintf(out, "Play it again: strowger simulate%s --seed %llu --calls %u\n",
		options->agents ? " --agents" : "", (unsigned long long)options->seed,
		options->calls);
}
