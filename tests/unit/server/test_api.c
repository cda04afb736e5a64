/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/queues of the administration, on a real core with a real store. */
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

static void add_users(struct server *server)
{
	struct stw_user_row rows[2] = { { .user = STW_STR("bob"),
						.domain = STW_STR("example.com") },
		{ .user = STW_STR("carol"), .domain = STW_STR("example.com") } };
	struct stw_job job = {
		.kind = STW_JOB_USER_SET, .now = start, .users = rows, .user_count = 2
	};

	assert_int_equal(stw_store_submit(server->fixture->store, &job), 0);
	stw_store_run(server->fixture->store);
	assert_ptr_equal(stw_store_result(server->fixture->store, 0), &job);
	assert_null(job.cause);
}

static struct server *server_start(void **state)
{
	struct server *server = calloc(1, sizeof(*server));
	struct stw_config_errors errors = { .n = 0 };
	struct stw_io_options io = { .max_flows = 1 };
	struct stw_core_options options = { .io = stw_io_ops(), .seed = 1 };

	stw_rcu_register_thread();
	server->fixture = *state;
	assert_int_equal(fixture_open(server->fixture, false, start), 0);
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
	struct stw_api api = {
		.directory = server->fixture->directory, .ask = ask, .context = server
	};
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

static const char *error(const struct server *server)
{
	return json_string_value(json_object_get(server->reply.json, "error"));
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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(queues_are_shown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(agents_log_in_and_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refusals, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
