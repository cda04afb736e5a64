/* SPDX-License-Identifier: Apache-2.0 */
/* Groups in the journal, and the rows that they become. */
#include "store_fixture.h"

/* ---- journal and rows ---------------------------------------------------------------------- */

static int64_t number_of(const char *path, const char *text)
{
	sqlite3_stmt *statement;
	sqlite3 *handle;
	int64_t number;

	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(handle, text, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(handle);
	return number;
}

static int64_t journal_rows(const struct fixture *fixture)
{
	return number_of(fixture->path, "SELECT count(*) FROM journal");
}

static int64_t binding_rows(const struct fixture *fixture)
{
	return number_of(fixture->path, "SELECT count(*) FROM bindings");
}

static void sweep(struct fixture *fixture)
{
	struct stw_job job = { .kind = STW_JOB_SWEEP, .now = start };

	assert_null(run(fixture, &job)->cause);
}

/* A group is an entry of the journal; now and then, and at the end, all become rows. */
static void journal_becomes_rows(void **state)
{
	struct fixture *fixture = *state;
	unsigned i;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	for (i = 0; i < 1300; i++)
		assert_string_equal(run_register(fixture, i, 1, 1, 3600), "good");
	assert_int_equal(journal_rows(fixture), 1300);
	assert_int_equal(binding_rows(fixture), 0);
	sweep(fixture);
	assert_int_equal(journal_rows(fixture), 0);
	assert_int_equal(binding_rows(fixture), 1300);
	assert_string_equal(run_register(fixture, 5, 1, 2, 3600), "good");
	assert_string_equal(run_register(fixture, 6, 1, 2, 0), "good");
	assert_string_equal(run_register(fixture, 2000, 1, 1, 3600), "good");
	assert_string_equal(run_register(fixture, 2000, 1, 2, 0), "good");
	assert_int_equal(journal_rows(fixture), 4);
	assert_int_equal(binding_rows(fixture), 1299);
	fixture_reopen(fixture, start);
	assert_int_equal(journal_rows(fixture), 0);
	assert_int_equal(binding_rows(fixture), 1299);
	assert_int_equal(stw_location_count(fixture->location), 1299);
	assert_int_equal(binding_at(find(fixture, 5), 0)->cseq, 2);
	assert_null(find(fixture, 6));
	assert_null(find(fixture, 2000));
	fixture_close(fixture);
}

/* The file as a crash leaves it: rows, and a journal that is newer. */
static void journal_after_a_crash(void **state)
{
	struct fixture *fixture = *state;
	struct stw_now later = { 0, START_MS + 100 * 1000 };
	char copy[128], command[160];
	unsigned i;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	for (i = 1; i <= 4; i++)
		assert_string_equal(run_register(fixture, i, 1, 1, 3600), "good");
	sweep(fixture);
	assert_string_equal(run_register(fixture, 1, 1, 2, 3600), "good");
	assert_string_equal(run_register(fixture, 1, 2, 1, 3600), "good");
	assert_string_equal(run_register(fixture, 2, 1, 2, 0), "good");
	assert_string_equal(run_register(fixture, 3, 1, 2, 90), "good");
	snprintf(copy, sizeof(copy), "%s/s.db.lock", fixture->folder);
	snprintf(command, sizeof(command), "VACUUM INTO '%s'", copy);
	sql(fixture->path, command);
	fixture_close(fixture);
	assert_int_equal(rename(copy, fixture->path), 0);
	assert_int_equal(journal_rows(fixture), 4);
	assert_int_equal(fixture_open(fixture, false, later), 0);
	assert_int_equal(stw_location_count(fixture->location), 2);
	assert_int_equal(find(fixture, 1)->n, 2);
	assert_int_equal(binding_at(find(fixture, 1), 0)->cseq, 2);
	assert_non_null(find(fixture, 4));
	/* What the journal shortened does not come back by its older row. */
	fixture_reopen(fixture, later);
	assert_int_equal(stw_location_count(fixture->location), 2);
	assert_int_equal(journal_rows(fixture), 0);
	fixture_close(fixture);
}

static const char form1[] =
	"ALTER TABLE users DROP COLUMN settings;"
	"DROP TABLE bindings; DROP TABLE journal; CREATE TABLE bindings("
	" aor TEXT NOT NULL, uri TEXT NOT NULL, params TEXT NOT NULL, q INTEGER NOT NULL,"
	" expires_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,"
	" call_id TEXT NOT NULL, cseq INTEGER NOT NULL,"
	" path TEXT NOT NULL, user_agent TEXT NOT NULL, instance TEXT NOT NULL,"
	" transport TEXT NOT NULL, remote_ip TEXT NOT NULL, remote_port INTEGER NOT NULL,"
	" remote_scope INTEGER NOT NULL, local_ip TEXT NOT NULL, local_port INTEGER NOT NULL,"
	" listener INTEGER NOT NULL, PRIMARY KEY(aor, uri)) WITHOUT ROWID;"
	"INSERT INTO bindings VALUES"
	"('sip:u1@example.com','sip:a@h','',700,1700000500000,1,'c',3,'','Bell','',"
	"'UDP','192.0.2.7',5099,0,'::1',5060,2),"
	"('sip:u1@example.com','sip:b@h',';x',1000,1700000500000,2,'d',4,'<sip:p;lr>','',"
	"'','TCP','2001:db8::7',5098,0,'',0,1),"
	"('sip:u2@example.com','sip:c@h','',1000,1700000500000,2,'d',4,'','','','',"
	"'',0,0,'',0,1);"
	"PRAGMA user_version = 1";

static void first_form(void **state)
{
	struct fixture *fixture = *state;
	struct stw_user_row row = user_row("u1", 1);
	struct stw_job set = { .kind = STW_JOB_USER_SET, .users = &row, .user_count = 1 };
	const struct stw_binding *binding;

	assert_int_equal(fixture_open(fixture, false, start), 0);
	assert_null(run(fixture, &set)->cause);
	fixture_close(fixture);
	sql(fixture->path, form1);
	assert_int_equal(fixture_open(fixture, false, start), 0);
	assert_int_equal(stw_directory_count(fixture->directory), 1);
	assert_int_equal(stw_location_count(fixture->location), 2);
	assert_int_equal(find(fixture, 1)->n, 2);
	binding = binding_at(find(fixture, 1), 0);
	assert_str(binding->uri, "sip:a@h");
	assert_int_equal(binding->q, 700);
	assert_int_equal(binding->expires_ms, START_MS + 500000);
	assert_int_equal(binding->source.transport, STW_TRANSPORT_UDP);
	assert_int_equal(binding->source.remote.port, 5099);
	assert_int_equal(binding->source.local.family, 6);
	assert_str(binding_at(find(fixture, 1), 1)->path, "<sip:p;lr>");
	fixture_reopen(fixture, start);
	assert_int_equal(find(fixture, 1)->n, 2);
	assert_int_equal(number_of(fixture->path, "PRAGMA user_version"), 3);
	fixture_close(fixture);
}

/* A store before there were settings keeps its users and can take some. */
static void second_form(void **state)
{
	struct fixture *fixture = *state;
	struct stw_user_row row = user_row("u1", 1);
	struct stw_job set = { .kind = STW_JOB_USER_SET, .users = &row, .user_count = 1 };
	struct stw_str change = STW_STR("dnd=on");
	struct stw_setting_error error;
	struct stw_job settings = { .kind = STW_JOB_SETTINGS,
		.aor = STW_STR("sip:u1@example.com"),
		.settings = &change,
		.setting_count = 1,
		.setting_error = &error };

	assert_int_equal(fixture_open(fixture, false, start), 0);
	assert_null(run(fixture, &set)->cause);
	fixture_close(fixture);
	sql(fixture->path, "ALTER TABLE users DROP COLUMN settings; PRAGMA user_version = 2");
	assert_int_equal(fixture_open(fixture, false, start), 0);
	assert_int_equal(run(fixture, &settings)->changed, 1);
	fixture_reopen(fixture, start);
	assert_true(stw_directory_find(fixture->directory, settings.aor)->settings->dnd);
	assert_int_equal(number_of(fixture->path, "PRAGMA user_version"), 3);
	fixture_close(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(journal_becomes_rows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(journal_after_a_crash, set_up, tear_down),
		cmocka_unit_test_setup_teardown(first_form, set_up, tear_down),
		cmocka_unit_test_setup_teardown(second_form, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
