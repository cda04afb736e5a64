/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scenario [--verbose] FILE|FOLDER…     TAP, one line a file
 * scenario --workers N FILE|FOLDER…     the same with several workers that share the calls
 * scenario --causes FILE|FOLDER…        which causes the ladders asserted ("asserted ID") or only
 * met ("met ID") scenario --list-causes                the joined table: ID CODE
 */
#include "runner.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>

#include <strowger/rcu.h>

#include "server/cause.h"

#define FILES_MAX   4096
#define CAUSES_MAX  512
#define START_MS    1000000000u   /* of the monotonic clock: printed times start at 0 */
#define START_WALL  1767225600000 /* 2026-01-01 00:00:00 UTC */
#define ARENA_BYTES (256u << 20)

static unsigned worker_count = 1;
static char *files[FILES_MAX];
static unsigned file_count;

static struct {
	bool met, asserted;
} causes[CAUSES_MAX];

void cause_seen(const struct stw_cause *cause, bool asserted)
{
	size_t i, n;
	const struct stw_cause *const *all = stw_cause_all(&n);

	for (i = 0; i < n && i < CAUSES_MAX; i++) {
		if (all[i] != cause)
			continue;
		causes[i].met = true;
		causes[i].asserted |= asserted;
	}
}

static void causes_print(bool table)
{
	size_t i, n;
	const struct stw_cause *const *all = stw_cause_all(&n);

	for (i = 0; i < n && i < CAUSES_MAX; i++) {
		if (table)
			printf("%s %u\n", all[i]->id, all[i]->code);
		else if (causes[i].met)
			printf("%s %s\n", causes[i].asserted ? "asserted" : "met", all[i]->id);
	}
}

static int file_add(const char *path, const struct stat *info, int type, struct FTW *place)
{
	size_t len = strlen(path);

	if (type == FTW_F && file_count < FILES_MAX &&
		(place->level == 0 || (len > 4 && !strcmp(path + len - 4, ".scn"))))
		files[file_count++] = strdup(path);
	return 0;
}

static int file_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void failure_print(const struct scenario *s)
{
	struct stw_str rest = s->failure;

	if (s->at)
		printf("# %s:%u: %.*s\n", s->path, s->at->number, STW_STR_ARG(s->at->text));
	else
		printf("# %s: at the end\n", s->path);
	while (rest.len) {
		size_t end = stw_str_find(rest, '\n', 0);

		printf("#   %.*s\n", STW_STR_ARG(stw_str_trim(stw_str_cut(rest, 0, end))));
		rest = stw_str_cut(rest, end + 1, rest.len);
	}
}

static bool file_play(const char *path, bool verbose, struct scenario *s)
{
	*s = (struct scenario){ .path = path, .verbose = verbose };
	s->worker_count = worker_count;
	s->now = (struct stw_now){ START_MS, START_WALL };
	stw_arena_init(&s->arena, ARENA_BYTES);
	stw_random_seed(&s->random, 1);
	s->settings = STW_STR("");
	if (verbose)
		printf("# %s\n", path);
	if (play_read(s) == 0)
		play(s);
	server_stop(s);
	return !s->failed;
}

static int files_play(bool verbose, bool quiet)
{
	unsigned i, failures = 0;
	struct scenario s;

	if (!quiet)
		printf("1..%u\n", file_count);
	for (i = 0; i < file_count; i++) {
		bool good = file_play(files[i], verbose, &s);

		failures += !good;
		if (!quiet || !good)
			printf("%s %u - %s\n", good ? "ok" : "not ok", i + 1, files[i]);
		if (!good)
			failure_print(&s);
		stw_arena_done(&s.arena);
		free(files[i]);
	}
	return failures ? 1 : 0;
}

int main(int argc, char **argv)
{
	bool verbose = false, list = false;
	int i, status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--verbose")) {
			verbose = true;
		} else if (!strcmp(argv[i], "--causes")) {
			list = true;
		} else if (!strcmp(argv[i], "--workers") && i + 1 < argc) {
			worker_count = (unsigned)strtoul(argv[++i], NULL, 10);
		} else if (!strcmp(argv[i], "--list-causes")) {
			causes_print(true);
			return 0;
		} else if (nftw(argv[i], file_add, 16, FTW_PHYS) != 0) {
			fprintf(stderr, "scenario: %s cannot be read\n", argv[i]);
			return 2;
		}
	}
	if (!file_count || worker_count < 1 || worker_count > WORKERS_MAX) {
		fprintf(stderr, "usage: scenario [--workers N] [--verbose|--causes] FILE|FOLDER… | "
				"--list-causes\n");
		return 2;
	}
	qsort(files, file_count, sizeof(files[0]), file_compare);
	stw_rcu_register_thread();
	status = files_play(verbose, list);
	stw_rcu_unregister_thread();
	if (list)
		causes_print(false);
	return status;
}
