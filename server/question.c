/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of the administration: the worker answers them with copies, at once or after a commit.
 */
#include <errno.h>
#include <string.h>

#include "server/core_internal.h"
#include "server/hook/delivery.h"
#include "server/route/route.h"
#include "server/try.h"

#define SOURCES_SHOWN 20

struct sources_walk {
	struct stw_core *core;
	json_t *list;
};

static json_t *question_overload(struct stw_core *core, const struct stw_stack_stats *stats);

/* Web servers that are asked about calls. */
static json_t *question_hook(const struct stw_core *core)
{
	const struct stw_hook_stats *stats = &core->hook_stats;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:i}", "asked", (json_int_t)stats->asked,
		"cached", (json_int_t)stats->cached, "late", (json_int_t)stats->late, "unreachable",
		(json_int_t)stats->down, "nonsense", (json_int_t)stats->nonsense, "waiting",
		(int)core->open_questions);
}

/* Call records: of the process, each worker says the same. */
static json_t *question_records(const struct stw_core *core)
{
	const struct stw_core_options *options = &core->options;
	struct stw_delivery_stats stats = { 0 };

	if (options->hook && options->hook->delivered)
		options->hook->delivered(options->hook_user, &stats);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "lost",
		(json_int_t)(options->records ? stw_records_lost(options->records) : 0),
		"unwritten",
		(json_int_t)(options->records ? stw_records_unwritten(options->records) : 0),
		"delivered", (json_int_t)stats.delivered, "undelivered", (json_int_t)stats.lost,
		"waiting", (json_int_t)stats.waiting, "failed_posts", (json_int_t)stats.failures);
}

static uint64_t log_lost(const struct stw_core *core)
{
	return core->options.log_lost ? core->options.log_lost(core->options.log_context) : 0;
}

static void question_status(struct stw_core *core, struct stw_question *question)
{
	struct stw_stack_stats stats;

	stw_stack_stats(core->stack, &stats);
	question->answer = json_pack(
		"{s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
		"s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}",
		"uptime_s", (json_int_t)((core->now.mono_ms - core->started.mono_ms) / 1000),
		"draining", core->draining, "users",
		(json_int_t)stw_directory_count(core->options.directory), "addresses_bound",
		(json_int_t)stw_location_count(core->options.location), "transactions",
		(json_int_t)stats.transactions, "room_used", (json_int_t)stats.room_used,
		"requests", (json_int_t)stats.requests, "connections", (json_int_t)stats.flows,
		"calls_remembered", (json_int_t)stw_decisions_count(core->decisions), "requests_in",
		(json_int_t)stats.requests_in, "requests_out", (json_int_t)stats.requests_out,
		"responses_in", (json_int_t)stats.responses_in, "responses_out",
		(json_int_t)stats.responses_out, "retransmissions",
		(json_int_t)stats.retransmissions, "dropped", (json_int_t)stats.dropped, "faults",
		(json_int_t)stats.faults, "workers", (json_int_t)1, "handed_in",
		(json_int_t)stats.handed_in, "handed_out", (json_int_t)stats.handed_out,
		"handed_lost", (json_int_t)stats.handed_lost, "log_lost",
		(json_int_t)log_lost(core), "overload", question_overload(core, &stats), "hook",
		question_hook(core), "records", question_records(core));
	if (core->registrations)
		json_object_set_new(question->answer, "trunks",
			stw_registrations_report(core->registrations, core->now));
}

static bool question_add_source(void *context, const struct stw_source_state *state)
{
	const struct sources_walk *walk = context;
	char address[STW_ADDR_TEXT_MAX];
	struct stw_str text = stw_addr_ip_text(&state->addr, address);

	return json_array_append_new(walk->list,
		       json_pack("{s:o, s:b, s:I, s:I, s:I}", "source", stw_json_text(text),
			       "known", state->known, "limited_for_ms",
			       (json_int_t)(state->until_ms - walk->core->now.mono_ms), "refused",
			       (json_int_t)state->refused, "dropped",
			       (json_int_t)state->dropped)) == 0 &&
	       json_array_size(walk->list) < SOURCES_SHOWN;
}

/* What is refused because there is too much of it, and to whom. */
static json_t *question_overload(struct stw_core *core, const struct stw_stack_stats *stats)
{
	struct sources_walk walk = { core, json_array() };
	unsigned limited = 0;

	if (core->options.sources)
		limited = stw_sources_limited(
			core->options.sources, core->now, question_add_source, &walk);
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:i, s:i, s:I, s:I, s:I, s:I, s:i, s:o}",
		"overloaded", stats->overloaded, "refused", (json_int_t)stats->overload_refused,
		"dropped", (json_int_t)stats->overload_dropped, "lost_unread",
		(json_int_t)stw_stack_lost(core->stack), "unrecorded",
		(json_int_t)stats->unrecorded, "asked_to_keep_back_percent",
		(int)stats->overload_loss, "next_hops_overloaded", (int)stats->restraint_next_hops,
		"kept_back", (json_int_t)stats->restrained, "source_refused",
		(json_int_t)stats->source_refused, "source_dropped",
		(json_int_t)stats->source_dropped, "room_refused", (json_int_t)stats->room_refused,
		"sources_limited", (int)limited, "sources", walk.list);
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

int stw_bindings_report(const struct stw_bindings *bindings, struct stw_now now, json_t *list)
{
	json_t *contacts = json_array();
	struct stw_binding binding;
	size_t cursor = 0;

	while (stw_bindings_next(bindings, &cursor, &binding)) {
		if (binding.expires_ms > now.wall_ms)
			json_array_append_new(contacts, binding_json(&binding, now));
	}
	if (!json_array_size(contacts)) {
		json_decref(contacts);
		return 0;
	}
	return json_array_append_new(list,
		       json_pack("{s:o, s:o}", "aor", stw_json_text(stw_bindings_aor(bindings)),
			       "bindings", contacts)) < 0
		       ? -ENOMEM
		       : 0;
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
	const struct stw_bindings *bindings;
	struct stw_arena arena;
	struct stw_str aor;

	question->answer = json_array();
	stw_arena_init(&arena, 8192);
	question->error = question_aor(core, question->text, &arena, &aor);
	if (question->error == 0) {
		bindings = stw_location_find(core->options.location, aor);
		if (bindings)
			question->error =
				stw_bindings_report(bindings, core->now, question->answer);
		else if (!stw_directory_find(core->options.directory, aor))
			question->error = -ENOENT;
	}
	stw_arena_done(&arena);
}

static void question_submit(
	struct stw_core *core, struct stw_question *question, enum stw_job_kind kind)
{
	question->job.kind = kind;
	question->job.queue = core->options.worker;
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
static void question_submit_aor(
	struct stw_core *core, struct stw_question *question, enum stw_job_kind kind)
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
	question_submit(core, question, kind);
}

void core_question_committed(struct stw_core *core, struct stw_job *job)
{
	struct stw_question *question = job->context;

	if (job->cause)
		question->error = -EIO;
	else if (job->refused)
		question->error = job->refused;
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
	case STW_QUESTION_BINDINGS:
		question_bindings(core, question);
		break;
	case STW_QUESTION_QUEUES: {
		struct stw_queue_view view = stw_route_queue_view(core);

		question->answer = stw_queues_report(core->queues, &view, question->text);
		question->error = question->answer ? 0 : -ENOENT;
		break;
	}
	case STW_QUESTION_TRY:
		question->error =
			stw_try(core, question->ask, &question->answer, question->refusal);
		break;
	case STW_QUESTION_DRAIN:
		stw_core_drain(core);
		break;
	case STW_QUESTION_RELOAD:
		stw_core_reload(core, question->config);
		break;
	case STW_QUESTION_STOP:
		stw_core_stop(core);
		break;
	case STW_QUESTION_USER_SET:
		question_submit(core, question, STW_JOB_USER_SET);
		return;
	case STW_QUESTION_USER_REMOVE:
		question_submit(core, question, STW_JOB_USER_REMOVE);
		return;
	case STW_QUESTION_BINDING_REMOVE:
		question_submit_aor(core, question, STW_JOB_BINDING_REMOVE);
		return;
	case STW_QUESTION_SETTINGS:
		question_submit_aor(core, question, STW_JOB_SETTINGS);
		return;
	}
	question->answered(question);
}
