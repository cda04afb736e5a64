/* SPDX-License-Identifier: Apache-2.0 */
/* The real SQLite in a folder of its own. */
#include "store_fixture.h"

#define JOBS 16384
#define MANY 10000

/* ---- what is kept
 * --------------------------------------------------------------------------------- */

static void reopen_keeps_all(void **state)
{
	struct fixture *fixture = *state;
	struct registration *registration = registration_new(1, 4, 7, 3600);
	const struct stw_hop *expected = &registration->want.contacts[0].binding.source;
	const struct stw_binding *binding;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	assert_null(run(fixture, &registration->job)->cause);
	assert_int_equal(registration->job.changed, 1);
	assert_int_equal(registration->job.result->n, 1);
	assert_true(stw_flow_id_set(binding_at(find(fixture, 1), 0)->source.flow));
	fixture_reopen(fixture, start);
	assert_int_equal(stw_location_count(fixture->location), 1);
	assert_str(stw_bindings_aor(find(fixture, 1)), "sip:u1@example.com");
	assert_int_equal(find(fixture, 1)->n, 1);
	binding = binding_at(find(fixture, 1), 0);
	assert_str(binding->uri, "sip:u1@192.0.2.4:5060;transport=udp");
	assert_str(binding->params, ";+sip.instance=\"<urn:uuid:1>\"");
	assert_str(binding->call_id, "call-4");
	assert_str(binding->path, "<sip:edge.example.com;lr>");
	assert_str(binding->user_agent, "Phone 1.0");
	assert_str(binding->instance, "<urn:uuid:1>");
	assert_int_equal(binding->cseq, 7);
	assert_int_equal(binding->q, 500);
	assert_int_equal(binding->expires_ms, START_MS + 3600000);
	assert_int_equal(binding->updated_ms, START_MS);
	assert_int_equal(binding->source.transport, STW_TRANSPORT_TLS);
	assert_memory_equal(&binding->source.remote, &expected->remote, sizeof(expected->remote));
	assert_memory_equal(&binding->source.local, &expected->local, sizeof(expected->local));
	assert_int_equal(binding->source.listener, 3);
	assert_false(stw_flow_id_set(binding->source.flow));
	/* The order of requests is kept too. */
	assert_string_equal(run_register(fixture, 1, 4, 7, 3600), "register-out-of-order");
	assert_string_equal(run_register(fixture, 1, 4, 8, 3600), "good");
	fixture_close(fixture);
	registration_free(registration);
}

static void refresh_updates_the_source(void **state)
{
	struct fixture *fixture = *state;
	struct registration *registration = registration_new(1, 4, 2, 3600);
	struct stw_hop *source = &registration->want.contacts[0].binding.source;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	assert_string_equal(run_register(fixture, 1, 4, 1, 3600), "good");
	source->remote.port = 6000;
	source->flow.generation = 9;
	assert_null(run(fixture, &registration->job)->cause);
	assert_int_equal(find(fixture, 1)->n, 1);
	assert_int_equal(binding_at(find(fixture, 1), 0)->source.remote.port, 6000);
	assert_int_equal(binding_at(find(fixture, 1), 0)->source.flow.generation, 9);
	fixture_reopen(fixture, start);
	assert_int_equal(binding_at(find(fixture, 1), 0)->source.remote.port, 6000);
	fixture_close(fixture);
	registration_free(registration);
}

static void remove_and_expire(void **state)
{
	struct fixture *fixture = *state;
	struct stw_now later = { 0, START_MS + 100 * 1000 };
	unsigned i;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	assert_string_equal(run_register(fixture, 1, 1, 1, 100), "good");
	assert_string_equal(run_register(fixture, 1, 2, 1, 3600), "good");
	assert_string_equal(run_register(fixture, 2, 1, 1, 100), "good");
	for (i = 0; i < 2; i++)
		assert_string_equal(run_register(fixture, 3, 1, 1 + i, i ? 0 : 3600), "good");
	assert_null(find(fixture, 3));
	fixture_reopen(fixture, start);
	assert_null(find(fixture, 3));
	assert_int_equal(find(fixture, 1)->n, 2);
	fixture_reopen(fixture, later);
	assert_int_equal(find(fixture, 1)->n, 1);
	assert_str(binding_at(find(fixture, 1), 0)->call_id, "call-2");
	assert_null(find(fixture, 2));
	/* They are gone from the file too. */
	fixture_reopen(fixture, start);
	assert_null(find(fixture, 2));
	fixture_close(fixture);
}

static void binding_removed_by_hand(void **state)
{
	struct fixture *fixture = *state;
	struct stw_job job = {
		.kind = STW_JOB_BINDING_REMOVE, .now = start, .aor = STW_STR("sip:u1@example.com")
	};
	unsigned i;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	for (i = 1; i <= 4; i++)
		assert_string_equal(run_register(fixture, 1, i, 1, 3600), "good");
	job.contact_uri = STW_STR("sip:u1@192.0.2.2:5060;transport=UDP");
	assert_int_equal(run(fixture, &job)->changed, 1);
	assert_null(job.cause);
	assert_int_equal(find(fixture, 1)->n, 3);
	assert_int_equal(run(fixture, &job)->changed, 0);
	fixture_reopen(fixture, start);
	assert_int_equal(find(fixture, 1)->n, 3);
	job.contact_uri = STW_STR_NONE;
	assert_int_equal(run(fixture, &job)->changed, 3);
	assert_null(find(fixture, 1));
	assert_int_equal(run(fixture, &job)->changed, 0);
	assert_null(job.cause);
	fixture_close(fixture);
}

static void users(void **state)
{
	struct fixture *fixture = *state;
	struct stw_user_row rows[] = { user_row("u1", 1), user_row("a b", 3) };
	struct stw_job set = { .kind = STW_JOB_USER_SET, .users = rows, .user_count = 2 };
	struct stw_job by_aor = { .kind = STW_JOB_USER_REMOVE,
		.aor = STW_STR("sip:u1@example.com") };
	struct stw_job by_row = { .kind = STW_JOB_USER_REMOVE, .users = rows, .user_count = 2 };
	const struct stw_user *user;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	assert_int_equal(run(fixture, &set)->changed, 2);
	assert_string_equal(run_register(fixture, 1, 1, 1, 3600), "good");
	fixture_reopen(fixture, start);
	assert_int_equal(stw_directory_count(fixture->directory), 2);
	user = stw_directory_find(fixture->directory, STW_STR("sip:a%20b@example.com"));
	assert_str(user->user, "a b");
	assert_memory_equal(&user->ha1_user, &rows[1].ha1_user, sizeof(user->ha1_user));
	assert_memory_equal(
		&user->ha1_user_domain, &rows[1].ha1_user_domain, sizeof(user->ha1_user));
	/* With a user go his bindings. */
	assert_int_equal(run(fixture, &by_aor)->changed, 2);
	assert_null(stw_directory_find(fixture->directory, STW_STR("sip:u1@example.com")));
	assert_null(find(fixture, 1));
	/* A worker may have seen him before. */
	assert_string_equal(run_register(fixture, 1, 1, 2, 3600), "aor-unknown");
	assert_null(find(fixture, 1));
	assert_int_equal(run(fixture, &by_aor)->changed, 0);
	assert_int_equal(run(fixture, &by_row)->changed, 1);
	fixture_reopen(fixture, start);
	assert_int_equal(stw_directory_count(fixture->directory), 0);
	assert_int_equal(stw_location_count(fixture->location), 0);
	/* One bad row: none is kept. */
	rows[1].user = STW_STR_NONE;
	assert_ptr_equal(run(fixture, &set)->cause, &stw_cause_commit_failed);
	assert_int_equal(set.changed, 0);
	assert_int_equal(stw_directory_count(fixture->directory), 0);
	fixture_close(fixture);
}

static int settings_job(struct fixture *fixture, const char *user, const char *change, char *said)
{
	struct stw_str text = stw_str_from(change);
	struct stw_setting_error error = { "" };
	struct stw_job job = { .kind = STW_JOB_SETTINGS,
		.aor = stw_str_from(user),
		.settings = &text,
		.setting_count = 1,
		.setting_error = &error };

	assert_null(run(fixture, &job)->cause);
	assert_int_equal(job.changed, job.refused == 0);
	if (said)
		strcpy(said, error.text);
	return job.refused;
}

static const struct stw_user *user_of(struct fixture *fixture, const char *aor)
{
	return stw_directory_resolve(fixture->directory, stw_str_from(aor));
}

/* They survive a restart and a new password, and go with the user. */
static void settings_are_kept(void **state)
{
	struct fixture *fixture = *state;
	struct stw_user_row rows[] = { user_row("u1", 1), user_row("u2", 3) };
	struct stw_job set = { .kind = STW_JOB_USER_SET, .users = rows, .user_count = 2 };
	struct stw_job gone = { .kind = STW_JOB_USER_REMOVE, .aor = STW_STR("sip:u1@example.com") };
	char said[300];

	assert_int_equal(fixture_open(fixture, false, start), 0);
	assert_int_equal(run(fixture, &set)->changed, 2);
	assert_null(user_of(fixture, "sip:u1@example.com")->settings);
	assert_int_equal(settings_job(fixture, "sip:none@example.com", "dnd=on", NULL), -ENOENT);
	assert_int_equal(
		settings_job(fixture, "sip:u1@example.com", "dnd=perhaps", said), -EBADMSG);
	assert_non_null(strstr(said, "allowed: on, off"));
	assert_int_equal(settings_job(fixture, "sip:u1@example.com", "dnd=on", NULL), 0);
	assert_int_equal(settings_job(fixture, "sip:u1@example.com", "alias=rob", NULL), 0);
	assert_str(user_of(fixture, "sip:rob@example.com")->aor, "sip:u1@example.com");
	assert_int_equal(settings_job(fixture, "sip:u2@example.com", "alias=rob", said), -EBADMSG);
	assert_non_null(strstr(said, "sip:rob@example.com is a name of sip:u1@example.com"));
	fixture_reopen(fixture, start);
	assert_true(user_of(fixture, "sip:rob@example.com")->settings->dnd);
	assert_int_equal(run(fixture, &set)->changed, 2);
	assert_true(user_of(fixture, "sip:rob@example.com")->settings->dnd);
	fixture_reopen(fixture, start);
	assert_true(user_of(fixture, "sip:rob@example.com")->settings->dnd);
	assert_int_equal(settings_job(fixture, "sip:u1@example.com", "dnd=", NULL), 0);
	assert_false(user_of(fixture, "sip:rob@example.com")->settings->dnd);
	assert_int_equal(run(fixture, &gone)->changed, 1);
	assert_null(user_of(fixture, "sip:rob@example.com"));
	assert_int_equal(run(fixture, &set)->changed, 2);
	assert_null(user_of(fixture, "sip:u1@example.com")->settings);
	assert_int_equal(settings_job(fixture, "sip:u2@example.com", "alias=rob", NULL), 0);
	assert_int_equal(settings_job(fixture, "sip:u2@example.com", "alias=", NULL), 0);
	assert_null(user_of(fixture, "sip:u2@example.com")->settings);
	fixture_close(fixture);
}

/* Jobs of several in one go: each sees what the one before has done. */
static void settings_see_each_other(void **state)
{
	struct stw_str changes[] = { STW_STR("dnd=on"), STW_STR("forward.dnd=sip:v@v.example") };
	struct fixture *fixture = *state;
	struct stw_user_row row = user_row("u1", 1);
	struct stw_job set = { .kind = STW_JOB_USER_SET, .users = &row, .user_count = 1 };
	struct registration *registration = registration_new(1, 1, 1, 3600);
	struct stw_setting_error error;
	struct stw_job first = { .kind = STW_JOB_SETTINGS,
		.aor = STW_STR("sip:u1@example.com"),
		.settings = changes,
		.setting_count = 1,
		.setting_error = &error };
	struct stw_job second = first, *const jobs[] = { &set, &first, &registration->job,
		&second };

	second.settings = changes + 1;
	assert_int_equal(fixture_open(fixture, false, start), 0);
	for (size_t i = 0; i < STW_ARRAY_SIZE(jobs); i++)
		assert_int_equal(stw_store_submit(fixture->store, jobs[i]), 0);
	stw_store_run(fixture->store);
	for (size_t i = 0; i < STW_ARRAY_SIZE(jobs); i++) {
		assert_ptr_equal(stw_store_result(fixture->store, 0), jobs[i]);
		assert_null(jobs[i]->cause);
		assert_int_equal(jobs[i]->changed, 1);
	}
	assert_str(user_of(fixture, "sip:u1@example.com")->settings->text,
		"dnd=on\nforward.dnd=sip:v@v.example\n");
	registration_free(registration);
	fixture_close(fixture);
}

static void settings_without_memory(void **state)
{
	struct fixture *fixture = *state;
	struct stw_user_row row = user_row("u1", 1);
	struct stw_job set = { .kind = STW_JOB_USER_SET, .users = &row, .user_count = 1 };
	struct stw_str change = STW_STR("alias=a,b");
	struct stw_setting_error error;
	struct stw_job job = { .kind = STW_JOB_SETTINGS,
		.aor = STW_STR("sip:u1@example.com"),
		.settings = &change,
		.setting_count = 1,
		.setting_error = &error };
	unsigned nth;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	assert_int_equal(run(fixture, &set)->changed, 1);
	for (nth = 1; nth < 100; nth++) {
		support_fail_allocation(nth);
		run(fixture, &job);
		support_fail_allocation(0);
		if (!job.cause)
			break;
		assert_ptr_equal(job.cause, &stw_cause_commit_failed);
		assert_null(user_of(fixture, "sip:a@example.com"));
	}
	assert_true(nth > 5 && nth < 100);
	assert_non_null(user_of(fixture, "sip:b@example.com"));
	fixture_close(fixture);
}

static void sweep_is_bounded(void **state)
{
	struct fixture *fixture = *state;
	struct stw_job sweep = { .kind = STW_JOB_SWEEP, .now = start };
	unsigned i, total = 0, rounds = 0;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	for (i = 0; i < 1000; i++)
		assert_string_equal(run_register(fixture, i, 1, 1, i < 700 ? 100 : 3600), "good");
	assert_int_equal(run(fixture, &sweep)->changed, 0);
	sweep.now.wall_ms += 100 * 1000;
	do {
		run(fixture, &sweep);
		assert_true(sweep.changed <= 256);
		assert_int_equal(sweep.more, sweep.changed == 256);
		total += sweep.changed;
		rounds++;
	} while (sweep.changed);
	assert_int_equal(total, 700);
	assert_int_equal(rounds, 4);
	assert_int_equal(stw_location_count(fixture->location), 300);
	fixture_reopen(fixture, start);
	assert_int_equal(stw_location_count(fixture->location), 300);
	fixture_close(fixture);
}

/* Jobs of a group see what those before them changed, and answer in their order. */
static void one_group(void **state)
{
	static const struct {
		unsigned aor, contact, cseq, expires_s;
		const char *then;
		unsigned n;
	} steps[] = {
		{ 1, 1, 1, 3600, "good", 1 },
		{ 1, 1, 1, 3600, "register-out-of-order", 0 },
		{ 1, 2, 1, 3600, "good", 2 },
		{ 2, 1, 1, 3600, "good", 1 },
		{ 1, 1, 2, 0, "good", 1 },
		{ 2, 1, 2, 0, "good", 0 },
		{ 2, 1, 1, 3600, "good", 1 },
	};
	struct fixture *fixture = *state;
	struct registration *registrations[STW_ARRAY_SIZE(steps)];
	size_t i;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	for (i = 0; i < STW_ARRAY_SIZE(steps); i++) {
		registrations[i] = registration_new(
			steps[i].aor, steps[i].contact, steps[i].cseq, steps[i].expires_s);
		assert_int_equal(stw_store_submit(fixture->store, &registrations[i]->job), 0);
	}
	assert_null(find(fixture, 1));
	stw_store_run(fixture->store);
	for (i = 0; i < STW_ARRAY_SIZE(steps); i++) {
		const struct stw_job *job = stw_store_result(fixture->store, 0);

		assert_ptr_equal(job, &registrations[i]->job);
		assert_string_equal(job->cause ? job->cause->id : "good", steps[i].then);
		if (!job->cause)
			assert_int_equal(job->result->n, steps[i].n);
		registration_free(registrations[i]);
	}
	assert_int_equal(find(fixture, 1)->n, 1);
	assert_int_equal(find(fixture, 2)->n, 1);
	fixture_reopen(fixture, start);
	assert_int_equal(find(fixture, 1)->n, 1);
	assert_str(binding_at(find(fixture, 1), 0)->call_id, "call-2");
	assert_int_equal(find(fixture, 2)->n, 1);
	fixture_close(fixture);
}

static void in_memory(void **state)
{
	struct fixture *fixture = *state;

	strcpy(fixture->path, ":memory:");
	assert_int_equal(fixture_open(fixture, false, start), 0);
	assert_string_equal(run_register(fixture, 1, 1, 1, 3600), "good");
	assert_int_equal(find(fixture, 1)->n, 1);
	fixture_reopen(fixture, start);
	assert_null(find(fixture, 1));
	fixture_close(fixture);
}

static void too_many_wait(void **state)
{
	struct fixture *fixture = *state;
	struct stw_job *jobs = calloc(JOBS + 1, sizeof(*jobs)), *job;
	unsigned i;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	for (i = 0; i <= JOBS; i++)
		jobs[i] = (struct stw_job){ .kind = STW_JOB_SWEEP, .now = start };
	for (i = 0; i < JOBS; i++)
		assert_int_equal(stw_store_submit(fixture->store, &jobs[i]), 0);
	assert_int_equal(stw_store_submit(fixture->store, &jobs[JOBS]), -ENOBUFS);
	stw_store_run(fixture->store);
	/* A result that is not taken is under way too. */
	assert_int_equal(stw_store_submit(fixture->store, &jobs[JOBS]), -ENOBUFS);
	for (i = 0; (job = stw_store_result(fixture->store, 0)); i++)
		assert_ptr_equal(job, &jobs[i]);
	assert_int_equal(i, JOBS);
	assert_int_equal(stw_store_submit(fixture->store, &jobs[JOBS]), 0);
	fixture_close(fixture);
	free(jobs);
}

/* ---- what goes wrong
 * --------------------------------------------------------------------------------- */

static void no_memory(void **state)
{
	struct fixture *fixture = *state;
	const char *then = NULL;
	unsigned nth, failed = 0;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	for (nth = 1; nth < 100; nth++) {
		struct registration *registration = registration_new(1, 1, nth, 3600);

		support_fail_allocation(nth);
		then = run(fixture, &registration->job)->cause ? registration->job.cause->id
							       : "good";
		support_fail_allocation(0);
		if (registration->job.cause) {
			failed++;
			assert_null(registration->job.result);
			assert_true(!strcmp(then, "register-out-of-memory") ||
				    !strcmp(then, "store-commit-failed"));
			assert_null(find(fixture, 1));
		}
		registration_free(registration);
		if (!strcmp(then, "good"))
			break;
	}
	assert_string_equal(then, "good");
	assert_true(failed >= 3);
	assert_int_equal(find(fixture, 1)->n, 1);
	fixture_close(fixture);
}

static void open_without_memory(void **state)
{
	struct fixture *fixture = *state;
	const struct stw_hash_key key = { 3, 4 };
	struct stw_user_row row = user_row("u1", 1);
	struct stw_job set = { .kind = STW_JOB_USER_SET, .users = &row, .user_count = 1 };
	unsigned nth;
	int err = -1;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	assert_string_equal(run_register(fixture, 1, 1, 1, 3600), "good");
	assert_null(run(fixture, &set)->cause);
	fixture_close(fixture);
	for (nth = 1; nth < 100 && err < 0; nth++) {
		struct stw_store_options with = { .path = stw_str_from(fixture->path) };

		assert_int_equal(stw_location_new(key, &with.location), 0);
		assert_int_equal(stw_directory_new(key, &with.directory), 0);
		support_fail_allocation(nth);
		err = stw_store_open(
			&with, start, &fixture->store, fixture->error, sizeof(fixture->error));
		support_fail_allocation(0);
		if (err < 0)
			assert_non_null(strstr(fixture->error, "memory"));
		else
			stw_store_close(fixture->store);
		stw_location_free(with.location);
		stw_directory_free(with.directory);
	}
	assert_int_equal(err, 0);
	assert_true(nth > 5);
}

static void write_file(const char *path, const char *bytes, size_t len)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void refuses_to_open(struct fixture *fixture, int err, const char *words)
{
	assert_int_equal(fixture_open(fixture, false, start), err);
	print_message("%s\n", fixture->error);
	assert_non_null(strstr(fixture->error, fixture->path));
	assert_non_null(strstr(fixture->error, words));
	assert_null(fixture->store);
	fixture_close(fixture);
}

static void bad_files(void **state)
{
	struct fixture *fixture = *state;
	char text[8192], saved[96];

	memset(text, 'x', sizeof(text));
	write_file(fixture->path, text, sizeof(text));
	refuses_to_open(fixture, -EBADMSG, "is not a store or is damaged");
	unlink(fixture->path);
	mkdir(fixture->path, 0700);
	refuses_to_open(fixture, -EISDIR, "is a folder");
	rmdir(fixture->path);
	sql(fixture->path, "CREATE TABLE t(x)");
	refuses_to_open(fixture, -EBADMSG, "another program");
	unlink(fixture->path);
	strcpy(saved, fixture->path);
	snprintf(fixture->path, sizeof(fixture->path), "%s/none/s.db", fixture->folder);
	refuses_to_open(fixture, -ENOENT, "No such file or directory");
	strcpy(fixture->path, saved);
	/* A store of ours, made newer. */
	assert_int_equal(fixture_open(fixture, false, start), 0);
	fixture_close(fixture);
	sql(fixture->path, "PRAGMA user_version = 4");
	refuses_to_open(fixture, -EPROTONOSUPPORT, "newer");
	sql(fixture->path, "PRAGMA user_version = 3;"
			   "INSERT INTO users VALUES('sip:x@y','x','y',x'00',x'00','')");
	refuses_to_open(fixture, -EBADMSG, "damaged row for the user x@y");
	sql(fixture->path,
		"UPDATE users SET ha1_user = zeroblob(96), ha1_user_domain = zeroblob(96),"
		" settings = 'dnd=maybe'");
	refuses_to_open(fixture, -EBADMSG, "allowed: on, off");
	sql(fixture->path, "DELETE FROM users; INSERT INTO journal VALUES(1, x'0100')");
	refuses_to_open(fixture, -EBADMSG, "damaged row of bindings");
	sql(fixture->path, "DELETE FROM users; DROP TABLE bindings");
	refuses_to_open(fixture, -EIO, "no such table");
}

/* Pages in the middle are overwritten: found when the rows are read. */
static void damaged_pages(void **state)
{
	struct fixture *fixture = *state;
	char text[4096];
	unsigned i;
	int fd;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	for (i = 0; i < 200; i++)
		assert_string_equal(run_register(fixture, i, 1, 1, 3600), "good");
	fixture_close(fixture);
	memset(text, 0xA5, sizeof(text));
	fd = open(fixture->path, O_WRONLY);
	for (i = 3; i < 8; i++)
		assert_int_equal(pwrite(fd, text, sizeof(text), i * 4096), sizeof(text));
	close(fd);
	refuses_to_open(fixture, -EBADMSG, "damaged");
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes;
	setrlimit(RLIMIT_FSIZE, &limit);
}

static long file_bytes(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 ? (long)status.st_size : 0;
}

/* No file may grow: every job of the group fails and nothing changes, until there is room again. */
static void disk_full(void **state)
{
	struct fixture *fixture = *state;
	struct registration *registrations[40];
	struct stw_job *job;
	char wal[128];
	unsigned i;

	signal(SIGXFSZ, SIG_IGN);
	snprintf(wal, sizeof(wal), "%s-wal", fixture->path);
	assert_int_equal(fixture_open(fixture, false, start), 0);
	assert_string_equal(run_register(fixture, 1, 1, 1, 3600), "good");
	limit_files((rlim_t)file_bytes(wal));
	for (i = 0; i < 40; i++) {
		registrations[i] = registration_new(1 + i, 1, 2, 1800);
		assert_int_equal(stw_store_submit(fixture->store, &registrations[i]->job), 0);
	}
	stw_store_run(fixture->store);
	for (i = 0; i < 40; i++) {
		job = stw_store_result(fixture->store, 0);
		assert_ptr_equal(job->cause, &stw_cause_commit_failed);
		assert_null(job->result);
		assert_int_equal(job->changed, 0);
	}
	assert_int_equal(stw_location_count(fixture->location), 1);
	assert_int_equal(binding_at(find(fixture, 1), 0)->cseq, 1);
	assert_string_equal(run_register(fixture, 1, 1, 2, 0), "store-commit-failed");
	limit_files(RLIM_INFINITY);
	for (i = 0; i < 40; i++)
		assert_int_equal(stw_store_submit(fixture->store, &registrations[i]->job), 0);
	stw_store_run(fixture->store);
	while ((job = stw_store_result(fixture->store, 0)))
		assert_null(job->cause);
	assert_int_equal(stw_location_count(fixture->location), 40);
	fixture_reopen(fixture, start);
	assert_int_equal(stw_location_count(fixture->location), 40);
	assert_int_equal(binding_at(find(fixture, 1), 0)->cseq, 2);
	fixture_close(fixture);
	for (i = 0; i < 40; i++)
		registration_free(registrations[i]);
}

/* Another process is within a transaction for longer than we wait. */
static void held_by_another(void **state)
{
	struct fixture *fixture = *state;
	sqlite3 *handle;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	assert_int_equal(sqlite3_open(fixture->path, &handle), SQLITE_OK);
	assert_int_equal(sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_string_equal(run_register(fixture, 1, 1, 1, 3600), "store-commit-failed");
	assert_null(find(fixture, 1));
	assert_int_equal(sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(handle);
	assert_string_equal(run_register(fixture, 1, 1, 1, 3600), "good");
	fixture_close(fixture);
}

static void lock(void **state)
{
	struct fixture *fixture = *state;
	struct stw_str path = stw_str_from(fixture->path);
	char name[128], text[32] = "";
	int fd, file;

	fd = stw_store_lock(path);
	assert_true(fd >= 0);
	assert_int_equal(stw_store_lock(path), -EBUSY);
	snprintf(name, sizeof(name), "%s.lock", fixture->path);
	file = open(name, O_RDONLY);
	assert_true(read(file, text, sizeof(text) - 1) > 0);
	close(file);
	assert_int_equal(atol(text), getpid());
	stw_store_unlock(fd);
	fd = stw_store_lock(path);
	assert_true(fd >= 0);
	stw_store_unlock(fd);
	assert_int_equal(stw_store_lock(STW_STR("/nowhere/at/all/s.db")), -ENOENT);
}

/* Nothing is written to what a link leads to. */
static void lock_of_a_link(void **state)
{
	struct fixture *fixture = *state;
	struct stw_str path = stw_str_from(fixture->path);
	char name[128], other[128], text[32] = "";
	int (*const links[])(const char *, const char *) = { symlink, link };
	FILE *file;

	snprintf(name, sizeof(name), "%s.lock", fixture->path);
	snprintf(other, sizeof(other), "%s.other", fixture->path);
	for (size_t i = 0; i < STW_ARRAY_SIZE(links); i++) {
		unlink(name);
		file = fopen(other, "w");
		assert_non_null(file);
		fputs("kept", file);
		fclose(file);
		assert_int_equal(links[i](other, name), 0);
		assert_int_equal(stw_store_lock(path), -ELOOP);
		file = fopen(other, "r");
		assert_non_null(fgets(text, sizeof(text), file));
		fclose(file);
		assert_string_equal(text, "kept");
	}
	unlink(name);
	unlink(other);
	assert_string_equal(stw_store_lock_error(-EACCES), strerror(EACCES));
}

/* ---- threads and kill -9
 * ----------------------------------------------------------------------------- */

struct race {
	struct fixture *fixture;
	atomic_bool stop;
	atomic_uint seen, wrong;
};

/* CSeq of u0 only grows, and what is seen is whole. */
static void *race_reader(void *context)
{
	struct race *race = context;
	unsigned last = 0;

	stw_rcu_register_thread();
	while (!atomic_load(&race->stop)) {
		const struct stw_bindings *bindings = find(race->fixture, 0);

		if (bindings) {
			if (bindings->n != 1 || binding_at(bindings, 0)->cseq < last ||
				!stw_str_equal(binding_at(bindings, 0)->uri,
					STW_STR("sip:u0@192.0.2.1:5060;transport=udp")))
				race->wrong++;
			last = binding_at(bindings, 0)->cseq;
			race->seen++;
		}
		stw_rcu_quiescent();
	}
	stw_rcu_unregister_thread();
	return NULL;
}

static void thread_mode(void **state)
{
	struct fixture *fixture = *state;
	struct race race = { .fixture = fixture };
	struct stw_job *job;
	unsigned sent = 0, done = 0;
	pthread_t reader;

	assert_int_equal(fixture_open(fixture, true, start), 0);
	assert_int_equal(pthread_create(&reader, NULL, race_reader, &race), 0);
	while (done < 3000) {
		if (sent < 3000 && sent - done < 700) {
			struct registration *registration =
				registration_new(sent % 50, 1, sent + 1, 3600);

			assert_int_equal(stw_store_submit(fixture->store, &registration->job), 0);
			sent++;
			continue;
		}
		while ((job = stw_store_result(fixture->store, 0))) {
			struct registration *registration = job->context;

			assert_null(job->cause);
			/* In order; and published before it is answered. */
			assert_int_equal(registration->want.cseq, ++done);
			registration_free(registration);
		}
	}
	assert_true(fixture->wakes > 0 && fixture->wakes <= 3000);
	assert_int_equal(binding_at(find(fixture, 49), 0)->cseq, 3000);
	while (!atomic_load(&race.seen))
		;
	atomic_store(&race.stop, true);
	pthread_join(reader, NULL);
	assert_int_equal(race.wrong, 0);
	/* A lone job wakes the sleeping thread. */
	usleep(20000);
	assert_string_equal(run_register(fixture, 60, 1, 1, 3600), "good");
	fixture_reopen(fixture, start);
	assert_int_equal(stw_location_count(fixture->location), 51);
	fixture_close(fixture);
}

static unsigned take_results(struct fixture *fixture)
{
	struct stw_job *job;
	unsigned n = 0;

	while ((job = stw_store_result(fixture->store, 0))) {
		assert_null(job->cause);
		registration_free(job->context);
		n++;
	}
	return n;
}

static uint64_t monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Those that follow each other share groups: one in 2 ms, or one for each 128 jobs. */
static void jobs_under_load_share_groups(void **state)
{
	struct fixture *fixture = *state;
	unsigned sent = 0, done = 0;
	uint64_t begin_us;

	assert_int_equal(fixture_open(fixture, true, start), 0);
	begin_us = monotonic_us();
	while (done < 400) {
		if (sent < 400) {
			struct registration *registration =
				registration_new(sent, 1, sent + 1, 3600);

			assert_int_equal(stw_store_submit(fixture->store, &registration->job), 0);
			sent++;
		}
		done += take_results(fixture);
		usleep(50);
	}
	/* Each group wakes the submitter once at most; the first two do not know of the load. */
	assert_true(fixture->wakes > 0);
	assert_true(fixture->wakes <= (monotonic_us() - begin_us) / 2000 + 400 / 128 + 2);
	fixture_close(fixture);
}

/* Closing commits what was submitted. */
static void close_empties_the_queue(void **state)
{
	struct fixture *fixture = *state;
	struct registration *registrations[600];
	unsigned i;

	assert_int_equal(fixture_open(fixture, true, start), 0);
	for (i = 0; i < 600; i++) {
		registrations[i] = registration_new(i, 1, 1, 3600);
		assert_int_equal(stw_store_submit(fixture->store, &registrations[i]->job), 0);
	}
	fixture_reopen(fixture, start);
	assert_int_equal(stw_location_count(fixture->location), 600);
	fixture_close(fixture);
	for (i = 0; i < 600; i++)
		registration_free(registrations[i]);
}

#define AORS        997
#define SWEEP_EVERY 500 /* registrations; behind a sweep the journal is folded */

/* Registers without end in groups of random size and says on the pipe what was acknowledged; AORS
 * is a sweep. */
static void register_for_ever(struct fixture *fixture, uint32_t cseq, int pipe_fd)
{
	struct stw_job *job, sweep = { .kind = STW_JOB_SWEEP, .now = start };
	unsigned aor = 0, waiting = 0;

	if (fixture_open(fixture, true, start) < 0)
		_exit(1);
	for (;;) {
		while (waiting < 64) {
			struct registration *registration =
				registration_new(aor++ % AORS, 1, ++cseq, 3600);

			if (stw_store_submit(fixture->store, &registration->job) < 0)
				_exit(2);
			waiting++;
			if (aor % SWEEP_EVERY == 0 && stw_store_submit(fixture->store, &sweep) < 0)
				_exit(4);
		}
		while ((job = stw_store_result(fixture->store, 0))) {
			struct registration *registration = job->context;
			uint32_t ack[2] = { AORS, cseq };

			if (job != &sweep) {
				sscanf(registration->want.aor.ptr, "sip:u%u@", &ack[0]);
				ack[1] = registration->want.cseq;
			}
			if (job->cause) {
				print_error("CSeq %u refused: %s\n", ack[1], job->cause->id);
				_exit(3);
			}
			if (write(pipe_fd, ack, sizeof(ack)) != sizeof(ack))
				_exit(5);
			if (job == &sweep)
				continue;
			registration_free(registration);
			waiting--;
		}
	}
}

static void read_acks(int fd, uint32_t *acked, uint32_t *highest)
{
	uint32_t ack[2];

	while (read(fd, ack, sizeof(ack)) == sizeof(ack)) {
		assert_true(ack[0] <= AORS);
		acked[ack[0]] = ack[1];
		if (ack[1] > *highest)
			*highest = ack[1];
	}
}

static void killed_at_any_moment(void **state)
{
	struct fixture *fixture = *state;
	uint32_t acked[AORS + 1] = { 0 }, highest = 0, first = 0;
	unsigned round, i, total = 0;
	int fds[2], status;
	pid_t child;

	srand(4711);
	for (round = 0; round < 20; round++) {
		/* Behind what an earlier child may have committed without telling, or told nothing
		 * of. */
		first = (highest > first ? highest : first) + 1000;
		assert_int_equal(pipe(fds), 0);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			close(fds[0]);
			register_for_ever(fixture, first, fds[1]);
		}
		close(fds[1]);
		/* However busy the machine is, something has been acknowledged. */
		assert_true(poll(&(struct pollfd){ .fd = fds[0], .events = POLLIN }, 1, 10000) > 0);
		usleep((unsigned)rand() % 60000);
		/* The pipe holds what is not read yet: the child may have to wait for us, so read
		 * on. */
		fcntl(fds[0], F_SETFL, O_NONBLOCK);
		read_acks(fds[0], acked, &highest);
		usleep((unsigned)rand() % 5000);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			fail_msg("round %u: the child ended by itself, status %#x", round,
				(unsigned)status);
		read_acks(fds[0], acked, &highest);
		close(fds[0]);
		assert_int_equal(fixture_open(fixture, false, start), 0);
		for (i = 0; i < AORS; i++) {
			if (!acked[i])
				continue;
			assert_non_null(find(fixture, i));
			assert_true(binding_at(find(fixture, i), 0)->cseq >= acked[i]);
			total++;
		}
		fixture_close(fixture);
	}
	print_message(
		"%u acknowledged registrations looked for, highest CSeq %u\n", total, highest);
	assert_true(total > AORS && acked[AORS]);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool add_bytes(void *context, const struct stw_bindings *bindings)
{
	*(size_t *)context += stw_bindings_bytes(bindings);
	return true;
}

static void many(void **state)
{
	struct fixture *fixture = *state;
	struct stw_job *job;
	unsigned i, sent;
	size_t bytes = 0;
	double begin = seconds(), registered, opened;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	for (i = 0; i < MANY; i = sent) {
		for (sent = i; sent < MANY && sent < i + 256; sent++)
			assert_int_equal(stw_store_submit(fixture->store,
						 &registration_new(sent, 1, 1, 3600)->job),
				0);
		stw_store_run(fixture->store);
		while ((job = stw_store_result(fixture->store, 0))) {
			assert_null(job->cause);
			registration_free(job->context);
		}
	}
	registered = seconds() - begin;
	begin = seconds();
	fixture_reopen(fixture, start);
	opened = seconds() - begin;
	assert_int_equal(stw_location_count(fixture->location), MANY);
	for (i = 0; i < MANY; i++)
		assert_int_equal(binding_at(find(fixture, i), 0)->cseq, 1);
	stw_location_walk(fixture->location, add_bytes, &bytes);
	print_message("%u bindings: %.0f/s stored, opened in %.0f ms, %zu bytes each in memory, "
		      "%ld in the file\n",
		MANY, MANY / registered, opened * 1000, bytes / MANY,
		file_bytes(fixture->path) / MANY);
	assert_true(bytes / MANY < 1024);
	fixture_close(fixture);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(reopen_keeps_all),
		TEST(refresh_updates_the_source),
		TEST(remove_and_expire),
		TEST(binding_removed_by_hand),
		TEST(users),
		TEST(settings_are_kept),
		TEST(settings_see_each_other),
		TEST(settings_without_memory),
		TEST(sweep_is_bounded),
		TEST(one_group),
		TEST(in_memory),
		TEST(too_many_wait),
		TEST(no_memory),
		TEST(open_without_memory),
		TEST(bad_files),
		TEST(damaged_pages),
		TEST(disk_full),
		TEST(held_by_another),
		TEST(lock),
		TEST(lock_of_a_link),
		TEST(thread_mode),
		TEST(jobs_under_load_share_groups),
		TEST(close_empties_the_queue),
		TEST(killed_at_any_moment),
		TEST(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
