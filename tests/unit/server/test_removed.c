/* SPDX-License-Identifier: Apache-2.0 */
/* Users who are removed: while a worker registers their phones, and from the file. */
#include "store_fixture.h"

static void submit(struct fixture *fixture, struct stw_job *job, unsigned queue)
{
	job->queue = queue;
	assert_int_equal(stw_store_submit(fixture->store, job), 0);
}

/* Worker 0 changes users while worker 1 waits: whom it has seen may have another by his name now.
 */
static void name_of_another(void **state)
{
	struct fixture *fixture = *state;
	struct stw_user_row row = user_row("u1", 1);
	struct stw_job set = { .kind = STW_JOB_USER_SET, .users = &row, .user_count = 1 };
	struct stw_job gone = { .kind = STW_JOB_USER_REMOVE, .users = &row, .user_count = 1 };
	struct stw_str change = STW_STR("dnd=on");
	struct stw_setting_error error;
	struct stw_job settings = { .kind = STW_JOB_SETTINGS,
		.aor = STW_STR("sip:u1@example.com"),
		.settings = &change,
		.setting_count = 1,
		.setting_error = &error };
	struct stw_job again = set;
	struct registration *seen = registration_new(1, 1, 1, 3600);

	fixture->queues = 2;
	assert_int_equal(fixture_open(fixture, false, start), 0);
	run(fixture, &set);
	submit(fixture, &gone, 0);
	submit(fixture, &again, 0);
	stw_store_run(fixture->store);
	submit(fixture, &seen->job, 1);
	stw_store_run(fixture->store);
	assert_ptr_equal(stw_store_result(fixture->store, 1), &seen->job);
	assert_ptr_equal(seen->job.cause, &stw_cause_aor_unknown);
	assert_null(find(fixture, 1));
	assert_ptr_equal(stw_store_result(fixture->store, 0), &gone);
	assert_ptr_equal(stw_store_result(fixture->store, 0), &again);
	registration_free(seen);
	settings.by_user = true;
	assert_int_equal(run(fixture, &settings)->refused, -ENOENT);
	settings.removed_users = stw_store_removed_users(fixture->store);
	assert_int_equal(run(fixture, &settings)->refused, 0);
	settings.by_user = false;
	settings.removed_users = 0;
	change = STW_STR("dnd=off");

	/* Who registers with the new password is the new one; a change makes him no other. */
	seen = registration_new(1, 1, 1, 3600);
	seen->job.removed_users = stw_store_removed_users(fixture->store);
	run(fixture, &set);
	row = user_row("u2", 1);
	run(fixture, &set);
	run(fixture, &gone);
	assert_int_equal(run(fixture, &settings)->changed, 1);
	assert_int_not_equal(seen->job.removed_users, stw_store_removed_users(fixture->store));
	assert_null(run(fixture, &seen->job)->cause);
	assert_int_equal(find(fixture, 1)->n, 1);
	registration_free(seen);
	fixture_close(fixture);
}

static bool file_holds(const char *path, const void *bytes, size_t len)
{
	static char file[1 << 20];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, file, sizeof(file));

	close(fd);
	assert_true(n > 0 && n < (ssize_t)sizeof(file));
	return memmem(file, (size_t)n, bytes, len);
}

/* Also of pages that are free then. */
static void leave_the_file(void **state)
{
	enum { USERS = 500 };
	struct stw_user_row *rows = calloc(USERS, sizeof(*rows)), gone;
	struct stw_job job = { .kind = STW_JOB_USER_SET, .users = rows, .user_count = USERS };
	struct fixture *fixture = *state;
	char names[USERS][8];
	unsigned i;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	for (i = 0; i < USERS; i++) {
		snprintf(names[i], sizeof(names[i]), "u%u", i);
		rows[i] = user_row(names[i], (char)('A' + i % 50));
	}
	assert_int_equal(run(fixture, &job)->changed, USERS);
	gone = rows[7];
	fixture_reopen(fixture, start);
	assert_true(file_holds(fixture->path, &gone.ha1_user, sizeof(gone.ha1_user)));
	job.kind = STW_JOB_USER_REMOVE;
	assert_int_equal(run(fixture, &job)->changed, USERS);
	fixture_close(fixture);
	assert_false(file_holds(fixture->path, &gone.ha1_user, sizeof(gone.ha1_user)));
	free(rows);
}

/* Also of pages that were his, and became free before. */
static void leave_no_settings(void **state)
{
	struct fixture *fixture = *state;
	struct stw_user_row row = user_row("u1", 1);
	struct stw_job set = { .kind = STW_JOB_USER_SET, .users = &row, .user_count = 1 };
	struct stw_job gone = { .kind = STW_JOB_USER_REMOVE, .users = &row, .user_count = 1 };
	struct stw_setting_error error;
	struct stw_str change;
	struct stw_job settings = { .kind = STW_JOB_SETTINGS,
		.aor = STW_STR("sip:u1@example.com"),
		.settings = &change,
		.setting_count = 1,
		.setting_error = &error };
	char text[4096];
	int len = snprintf(text, sizeof(text), "block=");

	for (unsigned i = 0; i < 100; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%snever-again-%u@h",
			i ? "," : "", i);
	assert_int_equal(fixture_open(fixture, false, start), 0);
	run(fixture, &set);
	change = (struct stw_str){ text, (size_t)len };
	assert_int_equal(run(fixture, &settings)->changed, 1);
	fixture_reopen(fixture, start);
	assert_true(file_holds(fixture->path, "never-again", 11));
	change = STW_STR("block=");
	assert_int_equal(run(fixture, &settings)->changed, 1);
	assert_int_equal(run(fixture, &gone)->changed, 1);
	fixture_close(fixture);
	assert_false(file_holds(fixture->path, "never-again", 11));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(name_of_another, set_up, tear_down),
		cmocka_unit_test_setup_teardown(leave_the_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(leave_no_settings, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
