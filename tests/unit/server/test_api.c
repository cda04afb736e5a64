/* SPDX-License-Identifier: Apache-2.0 */
/* The administration, on a real core with a real store. */
#include "server/admin/api.h"

#include <strowger/io.h>

#include "store_fixture.h"

static const char yaml[] = "domains: [example.com]\n"
			   "listen: [\"udp:127.0.0.1:5060\"]\n"
			   "store: \"sqlite:/tmp/unused.db\"\n"
			   "queues:\n"
			   "  - {name: support, agents: [bob], max_length: 7, max_wait: 90s}\n"
			   "  - {name: sales, overflow: carol}\n";

struct server {
	struct fixture *fixture;
	struct stw_config *config;
	struct stw_io *io;
	struct stw_listeners listeners; /* none */
	struct stw_core *core;
	struct stw_api_reply reply;
	bool ends; /* nobody answers any more */
	atomic_bool stops;
	atomic_uint looked; /* users of a list */
	useconds_t look_us; /* so long takes each */
	bool read_rcu;
};

static void answered(struct stw_question *question)
{
	*(bool *)question->context = true;
}

/* The worker and the store thread, in this one. */
static int ask(void *context, struct stw_ask *ask)
{
	struct server *server = context;
	bool done = false;

	if (server->ends)
		return -ESHUTDOWN;
	ask->question.context = &done;
	ask->question.answered = answered;
	stw_core_begin(server->core, start);
	stw_core_question(server->core, &ask->question);
	stw_core_work(server->core);
	stw_core_end(server->core);
	assert_true(done);
	return 0;
}

static bool ended(void *context)
{
	struct server *server = context;

	if (server->look_us)
		usleep(server->look_us);
	atomic_fetch_add(&server->looked, 1);
	return atomic_load(&server->stops);
}

static void add_users(struct server *server)
{
	struct stw_user_row rows[2] = { { .user = STW_STR("bob"),
						.domain = STW_STR("example.com") },
		{ .user = STW_STR("carol"), .domain = STW_STR("example.com") } };
	struct stw_job job = {
		.kind = STW_JOB_USER_SET, .now = start, .users = rows, .user_count = 2
	};

	assert_null(run(server->fixture, &job)->cause);
}

static struct server *server_start_with(void **state, bool threaded)
{
	struct server *server = calloc(1, sizeof(*server));
	struct stw_config_errors errors = { .n = 0 };
	struct stw_io_options io = { .max_flows = 1 };
	struct stw_core_options options = { .io = stw_io_ops(), .seed = 1 };

	stw_rcu_register_thread();
	server->fixture = *state;
	assert_int_equal(fixture_open(server->fixture, threaded, start), 0);
	add_users(server);
	assert_int_equal(stw_config_parse("test", yaml, strlen(yaml), &errors, &server->config), 0);
	assert_int_equal(stw_io_new(&io, &server->io), 0);
	options.config = server->config;
	options.store = server->fixture->store;
	options.location = server->fixture->location;
	options.directory = server->fixture->directory;
	options.io_user = server->io;
	options.listeners = &server->listeners;
	assert_int_equal(stw_core_new(&options, start, &server->core), 0);
	return server;
}

static struct server *server_start(void **state)
{
	return server_start_with(state, false);
}

static void server_stop(struct server *server)
{
	json_decref(server->reply.json);
	server->fixture->store = stw_store_close(server->fixture->store);
	stw_core_free(server->core);
	stw_io_free(server->io);
	fixture_close(server->fixture);
	stw_config_unref(server->config);
	stw_rcu_unregister_thread();
	free(server);
}

/* @return the status of HTTP */
static unsigned call(struct server *server, const char *method, const char *path, const char *body)
{
	struct stw_api api = { .directory = server->fixture->directory,
		.location = server->fixture->location,
		.read_rcu = server->read_rcu,
		.ended = ended,
		.ask = ask,
		.context = server };
	json_t *json = body ? json_loads(body, 0, NULL) : NULL;
	struct stw_api_request request = {
		.method = method, .path = path, .body = json, .config = server->config
	};

	json_decref(server->reply.json);
	server->reply = (struct stw_api_reply){ 0 };
	stw_api_handle(&api, &request, &server->reply);
	json_decref(json);
	return server->reply.status;
}

static const char *error_of(const json_t *answer)
{
	return json_string_value(json_object_get(answer, "error"));
}

static const char *error(const struct server *server)
{
	return error_of(server->reply.json);
}

static const json_t *queue(const struct server *server, size_t index)
{
	return json_array_get(server->reply.json, index);
}

/* What the only agent of a queue does; NULL: there is none. */
static const char *agent_state(struct server *server, const char *path)
{
	const json_t *agents;

	assert_int_equal(call(server, "GET", path, NULL), 200);
	agents = json_object_get(queue(server, 0), "agents");
	return json_string_value(json_object_get(json_array_get(agents, 0), "state"));
}

static void queues_are_shown(void **state)
{
	struct server *server = server_start(state);

	assert_int_equal(call(server, "GET", "/v1/queues", NULL), 200);
	assert_int_equal(json_array_size(server->reply.json), 2);
	assert_string_equal(
		json_string_value(json_object_get(queue(server, 0), "name")), "support");
	assert_int_equal(json_integer_value(json_object_get(queue(server, 0), "max_length")), 7);
	assert_int_equal(json_integer_value(json_object_get(queue(server, 0), "max_wait_s")), 90);
	assert_true(json_is_null(json_object_get(queue(server, 0), "overflow")));
	assert_string_equal(
		json_string_value(json_object_get(queue(server, 1), "overflow")), "carol");
	assert_int_equal(call(server, "GET", "/v1/queues/sales", NULL), 200);
	assert_int_equal(json_array_size(server->reply.json), 1);
	assert_int_equal(json_array_size(json_object_get(queue(server, 0), "callers")), 0);
	assert_int_equal(call(server, "GET", "/v1/queues/none", NULL), 404);
	assert_string_equal(error(server), "there is no queue none");
	server->ends = true;
	assert_int_equal(call(server, "GET", "/v1/queues", NULL), 503);
	server_stop(server);
}

static void agents_log_in_and_out(void **state)
{
	struct server *server = server_start(state);
	const char *path = "/v1/queues/support";

	assert_null(agent_state(server, path));
	assert_int_equal(
		call(server, "POST", path, "{\"agent\": \"bob\", \"act\": \"login\"}"), 200);
	assert_string_equal(json_string_value(json_object_get(server->reply.json, "agent")),
		"sip:bob@example.com");
	assert_string_equal(
		json_string_value(json_object_get(server->reply.json, "queue")), "support");
	/* He has no phone, and is logged in all the same. */
	assert_string_equal(agent_state(server, path), "no phone");
	assert_int_equal(
		call(server, "POST", path, "{\"agent\": \"bob@example.com\", \"act\": \"pause\"}"),
		200);
	assert_string_equal(agent_state(server, path), "paused");
	assert_int_equal(
		call(server, "POST", path, "{\"agent\": \"bob\", \"act\": \"login\"}"), 200);
	assert_string_equal(agent_state(server, path), "no phone");
	assert_int_equal(
		call(server, "POST", path, "{\"agent\": \"bob\", \"act\": \"logout\"}"), 200);
	assert_null(agent_state(server, path));
	server_stop(server);
}

static void queues_of_a_user_are_there(void **state)
{
	static const struct {
		const char *path, *body, *error;
	} rows[] = {
		{ "/v1/users/bob", "{\"queues\": \"support, none\"}",
			"queues: there is no queue none" },
		{ "/v1/users/carol", "{\"queues\": \"sales,support\"}",
			"queues: carol is none of the agents of support" },
		{ "/v1/users/bob", "{\"queues_paused\": \"none\"}",
			"queues_paused: there is no queue none" },
		{ "/v1/users/bob", "{\"queues\": \"support\", \"queues_paused\": \"sales\"}",
			NULL },
		{ "/v1/users/bob", "{\"queues\": \"\", \"queues_paused\": \"\"}", NULL },
	};
	struct server *server = server_start(state);

	for (size_t i = 0; i < STW_ARRAY_SIZE(rows); i++) {
		unsigned status = call(server, "PATCH", rows[i].path, rows[i].body);

		if (status != (rows[i].error ? 400 : 200) ||
			(rows[i].error && !strstr(error(server), rows[i].error)))
			fail_msg("%s %s: %u %s", rows[i].path, rows[i].body, status, error(server));
	}
	server_stop(server);
}

/* RFC 9110 §15.5.6 */
static void what_a_path_takes(void **state)
{
	struct server *server = server_start(state);

	assert_int_equal(call(server, "PUT", "/v1/users", NULL), 405);
	assert_string_equal(server->reply.allow, "GET, HEAD, POST, PATCH, DELETE");
	assert_int_equal(call(server, "GET", "/v1/stop", NULL), 405);
	assert_string_equal(server->reply.allow, "POST");
	assert_int_equal(call(server, "GET", "/v1/none", NULL), 404);
	server_stop(server);
}

static void refusals(void **state)
{
	static const struct {
		const char *path, *body;
		unsigned status;
		const char *error;
	} rows[] = {
		{ "/v1/queues/support", NULL, 400, "act" },
		{ "/v1/queues/support", "{\"agent\": \"bob\"}", 400, "act" },
		{ "/v1/queues/support", "{\"agent\": \"bob\", \"act\": \"dance\"}", 400, "act" },
		{ "/v1/queues/support", "{\"agent\": 7, \"act\": \"login\"}", 400, "agent" },
		{ "/v1/queues/support", "{\"agent\": \"\", \"act\": \"login\"}", 400, "" },
		{ "/v1/queues/none", "{\"agent\": \"bob\", \"act\": \"login\"}", 404,
			"no queue none" },
		{ "/v1/queues/sales", "{\"agent\": \"dave\", \"act\": \"login\"}", 404,
			"no user dave" },
		{ "/v1/queues/support", "{\"agent\": \"carol\", \"act\": \"login\"}", 403,
			"carol is none of the agents of support" },
		{ "/v1/queues/support", "{\"agent\": \"bob\", \"act\": \"pause\"}", 409,
			"bob is not logged in to support" },
	};
	struct server *server = server_start(state);

	for (size_t i = 0; i < STW_ARRAY_SIZE(rows); i++) {
		unsigned status = call(server, "POST", rows[i].path, rows[i].body);

		if (status != rows[i].status || !error(server) ||
			!strstr(error(server), rows[i].error))
			fail_msg("%s %s: %u %s", rows[i].path, rows[i].body, status, error(server));
	}
	assert_null(agent_state(server, "/v1/queues/support"));
	server->ends = true;
	assert_int_equal(call(server, "POST", "/v1/queues/sales",
				 "{\"agent\": \"bob\", \"act\": \"login\"}"),
		503);
	server_stop(server);
}

/* ---- lists of all users: nobody waits for them ------------------------------------------- */

#define CHAIN 3000 /* users, each forwarding to the next one */
#define JOBS  600  /* so many registrations replace more than the store keeps */

static void chain_add(struct server *server)
{
	struct stw_setting_error error;
	char names[2][16], text[32];

	for (unsigned i = 0; i < CHAIN; i++) {
		struct stw_user_row row = user_row(names[0], 1);
		struct stw_settings *settings;
		struct stw_user *user;
		struct stw_str change = { text,
			(size_t)sprintf(text, "forward.always=v%04u", i + 1) };

		row.user = (struct stw_str){ names[0], (size_t)sprintf(names[0], "v%04u", i) };
		assert_true(stw_user_new(row.user, row.domain, &row.ha1_user, &row.ha1_user_domain,
				    &user) == 0);
		assert_int_equal(stw_settings_change(NULL, &change, 1, &settings, &error), 0);
		assert_int_equal(stw_user_settle(user, settings), 0);
		assert_int_equal(stw_directory_publish(server->fixture->directory, user), 0);
	}
}

static void *rules_get(void *context)
{
	struct server *server = context;

	call(server, "GET", "/v1/rules", NULL);
	return NULL;
}

/* Each user takes 4 ms, all of them much longer than the commits. At the end nobody waits either.
 */
static void rules_hold_back_no_commit(void **state)
{
	struct server *server = server_start_with(state, true);
	pthread_t thread;

	chain_add(server);
	server->read_rcu = true;
	server->look_us = 4000;
	assert_int_equal(pthread_create(&thread, NULL, rules_get, server), 0);
	while (!atomic_load(&server->looked))
		usleep(1000);
	for (unsigned i = 0; i < JOBS; i++)
		assert_string_equal(run_register(server->fixture, 1, 1, i + 1, 3600), "good");
	assert_true(atomic_load(&server->looked) < CHAIN);
	atomic_store(&server->stops, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(atomic_load(&server->looked) < CHAIN);
	assert_int_equal(server->reply.status, 503);
	server_stop(server);
}

static void rules_are_told(void **state)
{
	struct server *server = server_start(state);

	chain_add(server);
	assert_int_equal(call(server, "GET", "/v1/rules", NULL), 200);
	assert_int_equal(json_array_size(server->reply.json), 1);
	assert_string_equal(json_string_value(json_object_get(queue(server, 0), "aor")),
		"sip:v2999@example.com");
	assert_string_equal(error_of(queue(server, 0)), "forward.always: there is no user v3000");
	assert_int_equal(call(server, "GET", "/v1/users", NULL), 200);
	assert_int_equal(json_array_size(server->reply.json), CHAIN + 2);
	assert_string_equal(json_string_value(queue(server, 0)), "sip:bob@example.com");
	assert_string_equal(json_string_value(queue(server, CHAIN + 1)), "sip:v2999@example.com");
	server_stop(server);
}

/* No worker has a part in it. */
static void bindings_are_listed(void **state)
{
	struct server *server = server_start(state);
	struct registration *registration;

	server->ends = true;
	for (unsigned i = 0; i < 2000; i++) {
		registration = registration_new(i, 1, 1, i == 7 ? 1 : 3600);
		registration->job.now = stw_io_now();
		if (i == 7)
			registration->job.now.wall_ms -= 5000;
		registration->job.registrar.min_expires_s = 1;
		assert_null(run(server->fixture, &registration->job)->cause);
		registration_free(registration);
	}
	assert_int_equal(call(server, "GET", "/v1/bindings", NULL), 200);
	assert_int_equal(json_array_size(server->reply.json), 1999);
	for (size_t i = 0; i < 1999; i++) {
		const json_t *list = json_object_get(queue(server, i), "bindings");

		assert_int_equal(json_array_size(list), 1);
		assert_true(
			i == 0 ||
			strcmp(json_string_value(json_object_get(queue(server, i - 1), "aor")),
				json_string_value(json_object_get(queue(server, i), "aor"))) < 0);
	}
	assert_int_equal(call(server, "GET", "/v1/bindings/u1", NULL), 503);
	server_stop(server);
}

/* A change of settings that the store has not done yet. */
static void submit_change(struct server *server, struct stw_question *question, bool *ret_done)
{
	static const struct stw_str change = { "dnd=on", 6 };
	static struct stw_setting_error error;

	*ret_done = false;
	*question = (struct stw_question){ .kind = STW_QUESTION_SETTINGS,
		.text = STW_STR("sip:bob@example.com"),
		.job = { .settings = &change, .setting_count = 1, .setting_error = &error },
		.answered = answered,
		.context = ret_done };
	stw_core_begin(server->core, start);
	stw_core_question(server->core, question);
	stw_core_end(server->core);
	assert_false(*ret_done);
}

/* What the store has in hand when a core ends is done, and who waits for it is told. */
static void jobs_are_done_at_the_end(void **state)
{
	struct server *server = server_start(state);
	const struct stw_user *bob;
	struct stw_question question;
	bool done;

	submit_change(server, &question, &done);
	server->core = stw_core_free(server->core);
	assert_true(done);
	assert_int_equal(question.error, 0);
	bob = stw_directory_find(server->fixture->directory, STW_STR("sip:bob@example.com"));
	assert_true(bob->settings && bob->settings->dnd);
	server_stop(server);
}

/* While the disk hangs a core does not wait for ever, but what the store will still look at stays:
 * here the sweep, which lies in the core. */
static void jobs_outlive_the_core(void **state)
{
	struct server *server = server_start(state);
	struct stw_now later = { start.mono_ms + 60000, start.wall_ms + 60000 };

	server->fixture->held = true;
	stw_core_begin(server->core, later);
	stw_core_work(server->core);
	stw_core_end(server->core);
	assert_false(stw_core_idle(server->core));
	assert_int_equal(server->config->refs, 2);
	support_sleepless(true);
	assert_null(stw_core_free(server->core));
	support_sleepless(false);
	assert_int_equal(server->config->refs, 2);
	server->fixture->held = false;
	server->core = stw_core_free(server->core);
	assert_int_equal(server->config->refs, 1);
	server_stop(server);
}

/* Turns of the worker until it would sleep. */
static unsigned turns(struct server *server, struct stw_now now)
{
	unsigned n = 0;

	do {
		stw_core_begin(server->core, now);
		stw_core_work(server->core);
		stw_core_end(server->core);
		n++;
	} while (stw_core_next(server->core) <= now.mono_ms && n < 100);
	return n;
}

/* Many phones vanish at once: status says so when the next sweep is due. A sweep that fails has to
 * wait for the one after. */
static void who_has_vanished(void **state)
{
	struct server *server = server_start(state);
	struct stw_now now = { 200000, START_MS + 200000 };

	for (unsigned i = 0; i < 1000; i++)
		assert_string_equal(run_register(server->fixture, i, 1, 1, 100), "good");
	assert_int_equal(turns(server, now), 4);
	assert_int_equal(stw_location_count(server->fixture->location), 0);
	for (unsigned i = 0; i < 300; i++)
		assert_string_equal(run_register(server->fixture, i, 1, 1, 100), "good");
	sql(server->fixture->path, "DROP TABLE journal");
	now.mono_ms += 200000;
	now.wall_ms += 200000;
	assert_int_equal(turns(server, now), 1);
	assert_int_equal(stw_location_count(server->fixture->location), 300);
	server_stop(server);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(queues_are_shown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(agents_log_in_and_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(queues_of_a_user_are_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_a_path_takes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refusals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rules_hold_back_no_commit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rules_are_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bindings_are_listed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(jobs_are_done_at_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(jobs_outlive_the_core, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_has_vanished, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
