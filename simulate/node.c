/* SPDX-License-Identifier: Apache-2.0 */
/* The servers: each with its own store, killed and started again, reloaded and asked. */
#include "simulate/internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <strowger/rcu.h>

#define TOLERANCE_MS 15000 /* between the store's clock and the moment the 200 left */

static struct stw_config *config_make(struct node *node)
{
	struct world *world = node->world;
	struct stw_config_errors errors = { .n = 0 };
	struct stw_config *config = NULL;
	bool required = chance(world, 500);
	char yaml[3500], groups[700], queues[700];
	int n;

	/* Once for all: a request that was refused without state, and whose repetition comes behind
	 * a reload that asks nobody any more, is rightly answered twice. */
	if (!node->auth_chosen)
		node->auth_required = required;
	node->auth_chosen = true;

	services_yaml(node, groups, sizeof(groups));
	queues_yaml(node, queues, sizeof(queues));
	n = snprintf(yaml, sizeof(yaml),
		"domains: [%s]\nlisten: [\"udp:192.0.2.%u:5060\", \"tcp:192.0.2.%u:5060\"]\n"
		"store: \"memory:\"\nauth: {required: %s, insecure_listen: true}\n"
		"udp_oversize: %s\nregistration: {use_source: %s, min_expires: 10s, max_bindings: "
		"20}\ncall: {ring_timeout: %llus}\n"
		"proxy: {recurse: %s, serial_fallback: %s, all_busy_600: %s, timer_c: %s}\n"
		"limits: {connection_idle: %s, max_transactions: %u}\n"
		"decisions: {keep_calls: 300}\n%s%s",
		node->domain, 100 + node->index, 100 + node->index,
		node->auth_required ? "true" : "false", chance(world, 700) ? "tcp" : "send",
		chance(world, 800) ? "auto" : "always", (unsigned long long)(5 + below(world, 40)),
		chance(world, 400) ? "true" : "false", chance(world, 500) ? "true" : "false",
		chance(world, 200) ? "true" : "false", chance(world, 700) ? "3m1s" : "5m",
		chance(world, 500) ? "1m" : "15m", world->calm ? 20000 : 2000, groups, queues);
	if (n < 0 || stw_config_parse("simulate", yaml, (size_t)n, &errors, &config) < 0)
		wrong(world, STW_STR_NONE, "configuration: %s", errors.v[0].text);
	return config;
}

static void users_add(struct node *node)
{
	struct stw_user_row rows[USERS] = { 0 };
	struct stw_job job = { .kind = STW_JOB_USER_SET,
		.now = node->world->now,
		.users = rows,
		.user_count = USERS };
	char names[USERS][8];
	unsigned i;

	for (i = 0; i < USERS; i++) {
		snprintf(names[i], sizeof(names[i]), "u%u", i);
		rows[i].user = stw_str_from(names[i]);
		rows[i].domain = stw_str_from(node->domain);
		stw_ha1_make(rows[i].user, rows[i].domain, STW_STR("secret"), &rows[i].ha1_user);
		rows[i].ha1_user_domain = rows[i].ha1_user;
	}
	stw_store_submit(node->store, &job);
	stw_store_run(node->store);
	if (stw_store_result(node->store, 0) != &job || job.cause)
		wrong(node->world, STW_STR_NONE, "the users cannot be stored");
}

static void node_log(void *context, const struct stw_note *note, struct stw_str place)
{
	trace_note(context, note);
	rules_note(context, note);
}

static int store_start(struct node *node)
{
	struct stw_hash_key key = { 1, node->world->options->seed };
	struct stw_store_options options = { .path = stw_str_from(node->path),
		.held = &node->held };
	char error[400] = "";
	int err;

	err = stw_location_new(key, &node->location);
	if (err == 0)
		err = stw_directory_new(key, &node->directory);
	options.location = node->location;
	options.directory = node->directory;
	if (err == 0)
		err = stw_store_open(
			&options, node->world->now, &node->store, error, sizeof(error));
	if (err < 0)
		wrong(node->world, STW_STR_NONE, "server%u: %s", node->index, error);
	return err;
}

int node_start(struct node *node)
{
	struct stw_core_options options = { .io = &network_ops,
		.io_user = node,
		.seed = stw_random_next(&node->world->random),
		.key = { 3, node->world->options->seed },
		.log = node_log,
		.log_context = node,
		.local_addrs = { node->addr },
		.local_addr_count = 1 };
	int err;

	node->disk = (struct disk){ .writes_left = UINT_MAX };
	err = store_start(node);
	if (err < 0)
		return err;
	if (!node->boots++) {
		users_add(node);
		services_begin(node);
		queues_begin(node);
	}
	services_adopt(node);
	queues_adopt(node);
	if (!node->config)
		node->config = config_make(node);
	if (!node->config)
		return -1;
	node->listeners = node->config->listen;
	options.config = node->config;
	options.store = node->store;
	options.location = node->location;
	options.directory = node->directory;
	options.listeners = &node->listeners;
	err = stw_core_new(&options, node->world->now, &node->core);
	node->leaving = node->changed = false;
	node->up = err == 0;
	if (node->up)
		node_check_bindings(node);
	if (node->up)
		services_check(node);
	return err;
}

static void node_free(struct node *node)
{
	node->up = node->held = false;
	node->core = stw_core_free(node->core);
	node->store = stw_store_close(node->store);
	node->location = stw_location_free(node->location);
	node->directory = stw_directory_free(node->directory);
}

void node_crash(struct node *node)
{
	struct world *world = node->world;
	struct happening *restart = happen(world, NODE_RESTART, 200 + below(world, 15000));
	unsigned i;

	restart->who = node->index;
	plan(world, restart);
	trace_line(world, STW_STR_NONE, "server%u is killed", node->index);
	node->disk.crashed = true;
	node_free(node);
	queues_forget(node);
	network_node_lost(node);
	world->result->crashes++;
	for (i = 0; i < DEVICES; i++) {
		struct device *device = &world->devices[i];

		if (device->node == node->index && device->pending) {
			device->uncertain = true;
			device->pending = 0;
		}
	}
}

void node_end(struct node *node)
{
	char path[sizeof(node->path) + 8];
	static const char *const ends[] = { "", "-wal", "-shm", "-journal" };
	unsigned i;

	node_free(node);
	node->config = stw_config_unref(node->config);
	for (i = 0; i < STW_ARRAY_SIZE(ends); i++) {
		snprintf(path, sizeof(path), "%s%s", node->path, ends[i]);
		unlink(path);
	}
}

void node_reload(struct node *node)
{
	struct stw_config *config = config_make(node);

	if (!config)
		return;
	stw_core_reload(node->core, config);
	stw_config_unref(node->config);
	node->config = config;
	node->changed = true;
}

static void answered(struct stw_question *question)
{
	json_decref(question->answer);
	free(question);
}

void node_ask(struct node *node)
{
	static const enum stw_question_kind kinds[] = { STW_QUESTION_STATUS, STW_QUESTION_WHY,
		STW_QUESTION_CALLS, STW_QUESTION_BINDINGS };
	struct stw_question *question;

	node_check_bindings(node);
	services_check(node);
	if (node->held || node->stalled_until_ms > node->world->now.mono_ms)
		return;
	question = must_alloc(sizeof(*question));
	question->kind = kinds[below(node->world, STW_ARRAY_SIZE(kinds))];
	question->text = question->kind == STW_QUESTION_WHY ? STW_STR("last") : STW_STR("u1");
	question->number = 10;
	question->answered = answered;
	stw_core_begin(node->core, node->world->now);
	stw_core_question(node->core, question);
	stw_core_work(node->core);
	stw_core_end(node->core);
	rules_batch_end(node);
	stw_rcu_quiescent();
}

/* @return false: there is none */
static bool binding_of(
	const struct node *node, const struct device *device, struct stw_binding *ret)
{
	const struct stw_bindings *bindings;
	char aor[80];
	size_t cursor = 0;

	snprintf(aor, sizeof(aor), "sip:u%u@%s", device->user, node->domain);
	bindings = stw_location_find(node->location, stw_str_from(aor));
	while (bindings && stw_bindings_next(bindings, &cursor, ret)) {
		if (stw_str_equal(ret->uri, stw_str_from(device->contact)))
			return true;
	}
	return false;
}

void node_check_bindings(struct node *node)
{
	struct world *world = node->world;
	struct stw_binding binding;
	bool bound;
	int64_t now = world->now.wall_ms, until;
	unsigned i;

	for (i = 0; i < DEVICES && strict(world); i++) {
		struct device *device = &world->devices[i];

		if (!device->contact[0] || device->node != node->index || device->pending ||
			device->uncertain)
			continue;
		bound = binding_of(node, device, &binding);
		until = device->bound_until_ms;
		if (until > now + TOLERANCE_MS && !bound)
			wrong(world, stw_str_from(device->register_call_id),
				"server%u: the binding %s was acknowledged and is lost",
				node->index, device->contact);
		else if (bound && binding.expires_ms > now && until < now - TOLERANCE_MS)
			wrong(world, stw_str_from(device->register_call_id),
				"server%u: the binding %s is there and should have gone",
				node->index, device->contact);
		else if (bound && until > now && llabs(binding.expires_ms - until) > TOLERANCE_MS)
			wrong(world, stw_str_from(device->register_call_id),
				"server%u: the binding %s lasts until %lld instead of %lld",
				node->index, device->contact, (long long)binding.expires_ms,
				(long long)until);
	}
}

void node_check_empty(struct node *node)
{
	struct world *world = node->world;
	struct stw_stack_stats stats;
	unsigned open = network_open_count(node);

	stw_stack_stats(node->core->stack, &stats);
	if (stats.transactions || stats.requests || !stw_core_idle(node->core))
		wrong(world, STW_STR_NONE,
			"server%u: left are %zu transactions, %zu requests, %u jobs", node->index,
			stats.transactions, stats.requests, node->core->pending_jobs);
	if (stats.flows != open)
		wrong(world, STW_STR_NONE, "server%u: left are %zu flows, but %u connections",
			node->index, stats.flows, open);
	if (stats.timers > 2 * stats.flows)
		wrong(world, STW_STR_NONE, "server%u: left are %zu timers", node->index,
			stats.timers);
	node_check_bindings(node);
	services_check(node);
	queues_check(node, true);
}
