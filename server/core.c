/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/core_internal.h"
#include "server/route/route.h"

#define NONCE_SLOTS       65536
#define SWEEP_INTERVAL_MS 30000
#define STORE_WAIT_MS     5000

/* ---- what the stack asks of us ---------------------------------------------------- */

static void core_request(void *user, struct stw_request *request)
{
	stw_route_request(user, request);
}

/* RFC 7339 §5.10.1: what belongs to running calls is never refused. */
static const struct stw_cause *core_admit(
	void *user, const struct stw_msg *request, struct stw_str *ret_headers)
{
	const struct stw_core *core = user;

	if (!core->draining || request->to.tag.ptr || request->method == STW_METHOD_BYE ||
		request->method == STW_METHOD_PRACK)
		return NULL;
	*ret_headers = STW_STR("Retry-After: 60\r\n");
	return &stw_cause_maintenance;
}

static void core_note(void *user, const struct stw_note *note)
{
	struct stw_core *core = user;
	const struct stw_refusal *refusal = note->refusal;
	struct stw_str place = STW_STR_NONE;
	char buffer[300];

	if (refusal && refusal->option)
		place = stw_config_place(core->config, refusal->option, buffer, sizeof(buffer));
	stw_decisions_note(core->decisions, note, place);
	if (core->options.log)
		core->options.log(core->options.log_context, note, place);
}

static const struct stw_core_ops core_ops = {
	.request = core_request,
	.admit = core_admit,
	.note = core_note,
};

static void core_results(struct stw_core *core);

/* ---- life ------------------------------------------------------------------------------ */

static void core_stack_options(const struct stw_core *core, struct stw_stack_options *ret)
{
	const struct stw_config *config = core->config;

	*ret = (struct stw_stack_options){
		.io = core->options.io,
		.io_user = core->options.io_user,
		.core = &core_ops,
		.core_user = (void *)(uintptr_t)core,
		.listeners = core->options.listeners,
		.local_addr_count = core->options.local_addr_count,
		.key = core->options.key,
		.seed = core->options.seed,
		.max_transactions = config->limits.max_transactions,
		.udp_oversize_tcp = config->udp_oversize == STW_UDP_OVERSIZE_TCP,
		.flows = { .max_flows = config->limits.max_connections,
			.max_per_source = config->limits.max_connections_per_source,
			.idle_ms = config->limits.connection_idle_ms,
			.message_ms = config->limits.message_timeout_ms,
			.message = config->limits.message },
		.proxy = { .domains = config->domains,
			.domain_count = config->domain_count,
			.max_breadth = config->proxy.max_breadth,
			.serial_fallback = config->proxy.serial_fallback,
			.recurse = config->proxy.recurse,
			.all_busy_600 = config->proxy.all_busy_600,
			.max_branches = config->limits.max_branches,
			.timer_c_ms = config->proxy.timer_c_ms },
	};
	memcpy(ret->local_addrs, core->options.local_addrs, sizeof(ret->local_addrs));
}

int stw_core_new(const struct stw_core_options *options, struct stw_now now, struct stw_core **ret)
{
	struct stw_core *core = calloc(1, sizeof(*core));
	struct stw_stack_options stack;
	int err;

	if (!core)
		return -ENOMEM;
	core->options = *options;
	core->config = stw_config_ref(options->config);
	core->now = core->started = now;
	core->sweep_due_ms = now.mono_ms + SWEEP_INTERVAL_MS;
	err = stw_decisions_new(core->config->decisions.keep_calls, options->key, &core->decisions);
	if (err == 0)
		err = stw_nonces_new(options->nonce_secret, core->config->auth.nonce_lifetime_s,
			NONCE_SLOTS, &core->nonces);
	if (err == 0) {
		stw_nonces_start(core->nonces, now);
		core_stack_options(core, &stack);
		err = stw_stack_new(&stack, now, &core->stack);
	}
	if (err < 0) {
		stw_core_free(core);
		return err;
	}
	*ret = core;
	return 0;
}

void stw_core_reload(struct stw_core *core, struct stw_config *config)
{
	struct stw_stack_options stack;

	stw_config_unref(core->config);
	core->config = stw_config_ref(config);
	core_stack_options(core, &stack);
	stw_stack_reconfigure(core->stack, &stack);
}

void stw_core_drain(struct stw_core *core)
{
	core->draining = true;
}

void stw_core_stop(struct stw_core *core)
{
	stw_core_drain(core);
	stw_stack_stop(core->stack, &stw_cause_maintenance);
}

bool stw_core_idle(const struct stw_core *core)
{
	struct stw_stack_stats stats;

	stw_stack_stats(core->stack, &stats);
	return stats.transactions == 0 && stats.requests == 0 && core->pending_jobs == 0;
}

/* What the store still has in hand belongs to requests of ours: take it back first. */
static void core_wait_for_store(struct stw_core *core)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	unsigned i;

	for (i = 0; core->pending_jobs && i < STORE_WAIT_MS; i++) {
		stw_store_run(core->options.store);
		core_results(core);
		if (core->pending_jobs)
			nanosleep(&pause, NULL);
	}
}

struct stw_core *stw_core_free(struct stw_core *core)
{
	if (!core)
		return NULL;
	core_wait_for_store(core);
	stw_stack_free(core->stack);
	stw_decisions_free(core->decisions);
	stw_nonces_free(core->nonces);
	stw_config_unref(core->config);
	free(core);
	return NULL;
}

/* ---- a batch ------------------------------------------------------------------------------ */

void stw_core_begin(struct stw_core *core, struct stw_now now)
{
	core->now = now;
	stw_stack_begin(core->stack, now);
}

void stw_core_event(struct stw_core *core, const struct stw_io_event *event)
{
	stw_stack_event(core->stack, event);
}

static void core_question_done(struct stw_core *core, struct stw_job *job);

static void core_results(struct stw_core *core)
{
	struct stw_job *job;

	while ((job = stw_store_result(core->options.store))) {
		core->pending_jobs--;
		if (job == &core->sweep)
			core->sweeping = false;
		else if (job->kind == STW_JOB_REGISTER)
			stw_route_registered(core, job->context, job);
		else
			core_question_done(core, job);
	}
}

/* What has expired is deleted now and then; look-ups never see it anyway. */
static void core_sweep(struct stw_core *core)
{
	if (core->sweeping || core->now.mono_ms < core->sweep_due_ms)
		return;
	core->sweep_due_ms = core->now.mono_ms + SWEEP_INTERVAL_MS;
	core->sweep = (struct stw_job){ .kind = STW_JOB_SWEEP, .now = core->now };
	if (stw_store_submit(core->options.store, &core->sweep) < 0)
		return;
	core->sweeping = true;
	core->pending_jobs++;
}

void stw_core_work(struct stw_core *core)
{
	stw_stack_timers(core->stack);
	core_sweep(core);
	stw_store_run(core->options.store);
	core_results(core);
}

void stw_core_end(struct stw_core *core)
{
	stw_stack_end(core->stack);
}

uint64_t stw_core_next(const struct stw_core *core)
{
	uint64_t next = stw_stack_next(core->stack);

	return next < core->sweep_due_ms ? next : core->sweep_due_ms;
}

/* ---- questions of the administration -------------------------------------------------------- */

static void question_status(struct stw_core *core, struct stw_question *question)
{
	struct stw_stack_stats stats;

	stw_stack_stats(core->stack, &stats);
	question->answer = json_pack(
		"{s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"uptime_s", (json_int_t)((core->now.mono_ms - core->started.mono_ms) / 1000),
		"draining", core->draining, "users",
		(json_int_t)stw_directory_count(core->options.directory), "addresses_bound",
		(json_int_t)stw_location_count(core->options.location), "transactions",
		(json_int_t)stats.transactions, "requests", (json_int_t)stats.requests,
		"connections", (json_int_t)stats.flows, "calls_remembered",
		(json_int_t)stw_decisions_count(core->decisions), "requests_in",
		(json_int_t)stats.requests_in, "requests_out", (json_int_t)stats.requests_out,
		"responses_in", (json_int_t)stats.responses_in, "responses_out",
		(json_int_t)stats.responses_out, "retransmissions",
		(json_int_t)stats.retransmissions, "dropped", (json_int_t)stats.dropped, "faults",
		(json_int_t)stats.faults);
}

static bool question_add_user(void *context, const struct stw_user *user)
{
	return json_array_append_new(context, stw_json_text(user->aor)) == 0;
}

static json_t *binding_json(const struct stw_binding *binding, struct stw_now now)
{
	char address[STW_ADDR_TEXT_MAX];

	return json_pack("{s:o, s:f, s:I, s:o, s:o, s:o, s:o}", "contact",
		stw_json_text(binding->uri), "q", binding->q / 1000.0, "expires_in_s",
		(json_int_t)((binding->expires_ms - now.wall_ms) / 1000), "transport",
		stw_json_text(stw_transport_name(binding->source.transport)), "source",
		stw_json_text(stw_addr_text(&binding->source.remote, address)), "user_agent",
		stw_json_text(binding->user_agent), "path", stw_json_text(binding->path));
}

struct bindings_walk {
	struct stw_core *core;
	json_t *list;
};

static bool question_add_bindings(void *context, const struct stw_bindings *bindings)
{
	struct bindings_walk *walk = context;
	json_t *contacts = json_array();
	unsigned i;

	for (i = 0; i < bindings->n; i++) {
		if (bindings->v[i].expires_ms > walk->core->now.wall_ms)
			json_array_append_new(
				contacts, binding_json(&bindings->v[i], walk->core->now));
	}
	if (!json_array_size(contacts)) {
		json_decref(contacts);
		return true;
	}
	return json_array_append_new(
		       walk->list, json_pack("{s:o, s:o}", "aor", stw_json_text(bindings->aor),
					   "bindings", contacts)) == 0;
}

/* "bob", "bob@example.com" or "sip:bob@example.com" as an administrator writes it. @return 0,
 * -EINVAL, -ENOMEM */
static int question_aor(
	struct stw_core *core, struct stw_str text, struct stw_arena *arena, struct stw_str *ret)
{
	struct stw_str uri_text = text;
	struct stw_uri uri;
	int err = 0;

	if (!stw_str_starts(text, STW_STR("sip:")) && stw_str_find(text, '@', 0) == text.len)
		err = stw_arena_printf(arena, &uri_text, "sip:%.*s@%.*s", STW_STR_ARG(text),
			STW_STR_ARG(core->config->domains[0]));
	else if (!stw_str_starts(text, STW_STR("sip:")))
		err = stw_arena_printf(arena, &uri_text, "sip:%.*s", STW_STR_ARG(text));
	if (err < 0)
		return err;
	if (stw_uri_parse(uri_text, &uri) < 0)
		return -EINVAL;
	return stw_aor_canonical(&uri, arena, ret) < 0 ? -EINVAL : 0;
}

static void question_bindings(struct stw_core *core, struct stw_question *question)
{
	struct bindings_walk walk = { core, json_array() };
	const struct stw_bindings *bindings;
	struct stw_arena arena;
	struct stw_str aor;

	question->answer = walk.list;
	if (!question->text.len) {
		stw_location_walk(core->options.location, question_add_bindings, &walk);
		return;
	}
	stw_arena_init(&arena, 8192);
	question->error = question_aor(core, question->text, &arena, &aor);
	if (question->error == 0) {
		bindings = stw_location_find(core->options.location, aor);
		if (bindings)
			question_add_bindings(&walk, bindings);
		else if (!stw_directory_find(core->options.directory, aor))
			question->error = -ENOENT;
	}
	stw_arena_done(&arena);
}

static void question_submit(
	struct stw_core *core, struct stw_question *question, enum stw_job_kind kind)
{
	question->job.kind = kind;
	question->job.context = question;
	question->job.now = core->now;
	question->job.users = question->users;
	question->job.user_count = question->user_count;
	question->job.contact_uri = question->text2;
	if (question->error == 0)
		question->error = stw_store_submit(core->options.store, &question->job);
	if (question->error < 0)
		question->answered(question);
	else
		core->pending_jobs++;
}

/* The store knows addresses in their canonical form only. */
static void question_binding_remove(struct stw_core *core, struct stw_question *question)
{
	struct stw_arena arena;
	struct stw_str aor;

	stw_arena_init(&arena, 8192);
	question->error = question_aor(core, question->text, &arena, &aor);
	if (question->error == 0 && aor.len > sizeof(question->aor))
		question->error = -EINVAL;
	if (question->error == 0) {
		memcpy(question->aor, aor.ptr, aor.len);
		question->job.aor = (struct stw_str){ question->aor, aor.len };
	}
	stw_arena_done(&arena);
	question_submit(core, question, STW_JOB_BINDING_REMOVE);
}

static void core_question_done(struct stw_core *core, struct stw_job *job)
{
	struct stw_question *question = job->context;

	if (job->cause)
		question->error = -EIO;
	else if (!job->changed && job->kind != STW_JOB_USER_SET)
		question->error = -ENOENT;
	question->answered(question);
}

void stw_core_question(struct stw_core *core, struct stw_question *question)
{
	switch (question->kind) {
	case STW_QUESTION_STATUS:
		question_status(core, question);
		break;
	case STW_QUESTION_WHY:
		question->answer = stw_decisions_call(core->decisions, question->text);
		question->error = question->answer ? 0 : -ENOENT;
		break;
	case STW_QUESTION_CALLS:
		question->answer = stw_decisions_list(core->decisions, question->number);
		break;
	case STW_QUESTION_USERS:
		question->answer = json_array();
		stw_directory_walk(core->options.directory, question_add_user, question->answer);
		break;
	case STW_QUESTION_BINDINGS:
		question_bindings(core, question);
		break;
	case STW_QUESTION_DRAIN:
		stw_core_drain(core);
		break;
	case STW_QUESTION_USER_SET:
		question_submit(core, question, STW_JOB_USER_SET);
		return;
	case STW_QUESTION_USER_REMOVE:
		question_submit(core, question, STW_JOB_USER_REMOVE);
		return;
	case STW_QUESTION_BINDING_REMOVE:
		question_binding_remove(core, question);
		return;
	}
	question->answered(question);
}
