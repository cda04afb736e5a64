/* SPDX-License-Identifier: Apache-2.0 */
/* The real SQLite in a folder of its own, and jobs for it. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include "server/directory/location.h"
#include "server/directory/user.h"
#include "server/store/store.h"

#include <strowger/rcu.h>

#include "bindings.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS INT64_C(1700000000000)

static const struct stw_now start = { 0, START_MS };
static const struct stw_registrar_options registrar = { 60, 7200, 3600, 10, false, false };

/* ---- a store and its maps ------------------------------------------------------------------ */

struct fixture {
	char folder[64], path[96];
	struct stw_store_options options;
	unsigned queues; /* 0: one */
	bool held;       /* the disk hangs */
	struct stw_location *location;
	struct stw_directory *directory;
	struct stw_store *store;
	char error[256];
	atomic_uint wakes;
};

static inline void wake(void *context, unsigned queue)
{
	((struct fixture *)context)->wakes++;
}

static inline int fixture_open(struct fixture *fixture, bool threaded, struct stw_now now)
{
	const struct stw_hash_key key = { 3, 4 };

	assert_int_equal(stw_location_new(key, &fixture->location), 0);
	assert_int_equal(stw_directory_new(key, &fixture->directory), 0);
	fixture->store = NULL;
	fixture->error[0] = 0;
	fixture->options = (struct stw_store_options){
		.path = stw_str_from(fixture->path),
		.threaded = threaded,
		.queues = fixture->queues,
		.held = &fixture->held,
		.wake = wake,
		.wake_context = fixture,
		.location = fixture->location,
		.directory = fixture->directory,
	};
	return stw_store_open(
		&fixture->options, now, &fixture->store, fixture->error, sizeof(fixture->error));
}

static inline void fixture_close(struct fixture *fixture)
{
	fixture->store = stw_store_close(fixture->store);
	fixture->location = stw_location_free(fixture->location);
	fixture->directory = stw_directory_free(fixture->directory);
}

static inline void fixture_reopen(struct fixture *fixture, struct stw_now now)
{
	fixture_close(fixture);
	assert_int_equal(fixture_open(fixture, false, now), 0);
}

static inline int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->folder, "/tmp/strowger-store-XXXXXX");
	if (!mkdtemp(fixture->folder))
		return -1;
	snprintf(fixture->path, sizeof(fixture->path), "%s/s.db", fixture->folder);
	*state = fixture;
	return 0;
}

static inline int tear_down(void **state)
{
	static const char *const names[] = { "s.db", "s.db-wal", "s.db-shm", "s.db-journal",
		"s.db.lock" };
	struct fixture *fixture = *state;
	char path[128];
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", fixture->folder, names[i]);
		if (unlink(path) < 0)
			rmdir(path);
	}
	rmdir(fixture->folder);
	free(fixture);
	return 0;
}

/* ---- jobs --------------------------------------------------------------------------------------
 */

struct registration {
	struct stw_job job;
	struct stw_register want;
};

static inline struct registration *registration_new(
	unsigned aor, unsigned contact, uint32_t cseq, uint32_t expires_s)
{
	struct registration *registration = calloc(1, sizeof(*registration));
	struct stw_register *want = &registration->want;
	struct stw_binding *binding;

	stw_arena_init(&want->arena, 4096);
	want->contacts = stw_arena_zalloc(&want->arena, sizeof(*want->contacts));
	binding = &want->contacts[0].binding;
	stw_arena_printf(&want->arena, &want->aor, "sip:u%u@example.com", aor);
	stw_arena_printf(&want->arena, &want->call_id, "call-%u", contact);
	stw_arena_printf(
		&want->arena, &binding->uri, "sip:u%u@192.0.2.%u:5060;transport=udp", aor, contact);
	binding->params = STW_STR(";+sip.instance=\"<urn:uuid:1>\"");
	binding->path = STW_STR("<sip:edge.example.com;lr>");
	binding->user_agent = STW_STR("Phone 1.0");
	binding->instance = STW_STR("<urn:uuid:1>");
	binding->q = 500;
	binding->source = (struct stw_hop){
		.transport = STW_TRANSPORT_TLS,
		.remote = { .family = 4, .ip = { 192, 0, 2, 7 }, .port = 5099 },
		.local = { .family = 6, .ip = { [15] = 1 }, .port = 5061 },
		.listener = 3,
		.flow = { 1, 2, 3 },
	};
	want->n = 1;
	want->contacts[0].expires_s = expires_s;
	want->cseq = cseq;
	registration->job = (struct stw_job){
		.kind = STW_JOB_REGISTER,
		.context = registration,
		.now = start,
		.registration = want,
		.registrar = registrar,
	};
	return registration;
}

static inline void registration_free(struct registration *registration)
{
	stw_register_done(&registration->want);
	free(registration);
}

static inline struct stw_job *run(struct fixture *fixture, struct stw_job *job)
{
	struct stw_job *result;

	assert_int_equal(stw_store_submit(fixture->store, job), 0);
	if (fixture->options.threaded)
		while (!(result = stw_store_result(fixture->store, 0)))
			stw_rcu_quiescent();
	else {
		assert_null(stw_store_result(fixture->store, 0));
		stw_store_run(fixture->store);
		result = stw_store_result(fixture->store, 0);
	}
	assert_ptr_equal(result, job);
	assert_null(stw_store_result(fixture->store, 0));
	return job;
}

/* @return id of the cause, "good" */
static inline const char *run_register(
	struct fixture *fixture, unsigned aor, unsigned contact, uint32_t cseq, uint32_t expires_s)
{
	struct registration *registration = registration_new(aor, contact, cseq, expires_s);
	const struct stw_cause *cause = run(fixture, &registration->job)->cause;

	if (!cause)
		assert_non_null(registration->job.result);
	else
		assert_null(registration->job.result);
	registration_free(registration);
	return cause ? cause->id : "good";
}

static inline const struct stw_bindings *find(const struct fixture *fixture, unsigned aor)
{
	char name[40];

	return stw_location_find(fixture->location,
		(struct stw_str){ name, (size_t)sprintf(name, "sip:u%u@example.com", aor) });
}

static inline struct stw_user_row user_row(const char *user, uint8_t byte)
{
	struct stw_user_row row = { .user = stw_str_from(user), .domain = STW_STR("example.com") };

	memset(&row.ha1_user, byte, sizeof(row.ha1_user));
	memset(&row.ha1_user_domain, byte + 1, sizeof(row.ha1_user_domain));
	return row;
}

static inline void sql(const char *path, const char *text)
{
	sqlite3 *handle;

	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	assert_int_equal(sqlite3_exec(handle, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(handle);
}

#endif
