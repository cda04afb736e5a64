/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Web servers are asked about a request, which waits meanwhile: an INVITE has got its 100 and may
 * be cancelled. With the answer the row that has asked is run again.
 */
#include <errno.h>
#include <stdlib.h>

#include "server/route/route.h"

/* A check that waits; lies in the request's arena. */
struct pause {
	struct stw_core *core;
	struct stw_check check;
	enum stw_purpose purpose;
	struct stw_str key; /* of the cache; empty: the answer is not kept */
	uint32_t cache_s;
};

struct stw_inquiry *stw_route_inquiry(struct stw_check *check, enum stw_purpose purpose)
{
	if (!check->inquiries)
		check->inquiries = stw_arena_zalloc(
			&check->request->arena, STW_PURPOSES * sizeof(*check->inquiries));
	return check->inquiries ? &check->inquiries[purpose] : NULL;
}

/* ---- what is asked ---------------------------------------------------------------------- */

static json_t *address_json(const struct stw_address *address)
{
	return json_pack("{s:o, s:o}", "uri", stw_json_text(address->uri.text), "display",
		stw_json_text(address->display));
}

static json_t *fields_json(const struct stw_msg *msg, enum stw_header header)
{
	const struct stw_field *field = stw_msg_find(msg, header);
	json_t *list = json_array();

	for (; field; field = stw_msg_find_next(msg, field))
		json_array_append_new(list, stw_json_text(stw_field_value(msg, field)));
	return list;
}

json_t *stw_route_ask_facts(struct stw_check *check, const char *about)
{
	const struct stw_request *request = check->request;
	const struct stw_msg *msg = request->msg;
	char address[STW_ADDR_TEXT_MAX];

	return json_pack("{s:i, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version",
		1, "about", about, "method", stw_json_text(stw_msg_method_name(msg)), "request_uri",
		stw_json_text(request->routing.uri_text), "from", address_json(&msg->from), "to",
		address_json(&msg->to), "user",
		check->user_aor.len ? stw_json_text(check->user_aor) : json_null(), "source",
		stw_json_text(stw_addr_ip_text(&request->source.remote, address)),
		"asserted_identity", fields_json(msg, STW_HDR_P_ASSERTED_IDENTITY), "identity",
		fields_json(msg, STW_HDR_IDENTITY), "privacy", fields_json(msg, STW_HDR_PRIVACY),
		"user_agent", fields_json(msg, STW_HDR_USER_AGENT));
}

/* What differs from call to call, and so does not count when an answer is used again. */
static void facts_of_call(struct stw_check *check, json_t *facts)
{
	const struct stw_request *request = check->request;

	json_object_set_new(facts, "call_id", stw_json_text(request->msg->call_id));
	json_object_set_new(facts, "source_port", json_integer(request->source.remote.port));
	json_object_set_new(
		facts, "transport", stw_json_text(stw_transport_name(request->source.transport)));
}

static int key_make(struct stw_check *check, const struct stw_hook_ask *ask, struct stw_str *ret)
{
	char *text = json_dumps(ask->facts, JSON_COMPACT);
	int err = text ? stw_arena_printf(&check->request->arena, ret, "%.*s %s",
				 STW_STR_ARG(ask->url), text)
		       : -ENOMEM;

	free(text);
	return err;
}

/* ---- what is answered ----------------------------------------------------------------------- */

static void inquiry_fail(struct stw_core *core, struct stw_arena *arena,
	struct stw_inquiry *inquiry, const struct stw_cause *cause, const char *why)
{
	inquiry->answered = true;
	inquiry->cause = cause;
	if (stw_arena_copy(arena, stw_str_from(why), &inquiry->why) < 0)
		inquiry->why = STW_STR_NONE;
	if (cause == &stw_cause_hook_late)
		core->hook_stats.late++;
	else if (cause == &stw_cause_hook_down)
		core->hook_stats.down++;
	else
		core->hook_stats.nonsense++;
}

static void inquiry_read(struct stw_core *core, struct stw_arena *arena, struct stw_str text,
	struct stw_inquiry *inquiry)
{
	const char *why;
	int err = stw_hook_reply_read(text, arena, &inquiry->reply, &why);

	if (err == 0)
		inquiry->answered = true;
	else
		inquiry_fail(core, arena, inquiry, &stw_cause_hook_nonsense,
			err == -ENOMEM ? "no memory is left to read it" : why);
}

enum stw_verdict stw_route_no_answer(struct stw_check *check, const struct stw_cause *cause,
	struct stw_str why, enum stw_on_failure on_failure)
{
	stw_refusal_fact(&check->refusal, "why", why);
	if (on_failure == STW_ON_FAILURE_CLOSED)
		return stw_route_refuse(check, cause);
	check->refusal.cause = cause;
	stw_request_note(check->request, &check->refusal);
	check->refusal = (struct stw_refusal){ .cause = NULL };
	return STW_PASS;
}

/* ---- to and fro --------------------------------------------------------------------------- */

static struct pause *pause_new(struct stw_check *check, const struct stw_hook_ask *ask)
{
	struct pause *pause = stw_arena_zalloc(&check->request->arena, sizeof(*pause));

	if (!pause || stw_route_check_keep(check, &pause->check) < 0)
		return NULL;
	pause->core = check->core;
	pause->purpose = ask->purpose;
	pause->cache_s = ask->cache_s;
	return pause;
}

static int submit(struct stw_check *check, const struct stw_hook_ask *ask, struct pause *pause)
{
	const struct stw_core_options *options = &check->core->options;
	struct stw_hook_question *question;
	char *body = json_dumps(ask->facts, JSON_COMPACT);
	int err = body ? stw_hook_question_new(ask->url, stw_str_from(body), &question) : -ENOMEM;

	free(body);
	if (err < 0)
		return err;
	question->queue = options->worker;
	question->purpose = ask->purpose;
	question->timeout_ms = ask->timeout_ms;
	question->context = pause;
	err = options->hook->submit(options->hook_user, question);
	if (err < 0)
		stw_hook_question_free(question);
	return err;
}

static enum stw_verdict ask_now(
	struct stw_check *check, const struct stw_hook_ask *ask, struct stw_inquiry *inquiry)
{
	struct stw_core *core = check->core;
	struct stw_arena *arena = &check->request->arena;
	struct stw_str key = STW_STR_NONE, known;
	struct pause *pause;

	if (ask->cache_s && key_make(check, ask, &key) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	if (key.len && stw_hook_cache_get(core->answers, key, core->now.mono_ms, &known)) {
		core->hook_stats.cached++;
		inquiry_read(core, arena, known, inquiry);
		return STW_PASS;
	}
	if (!core->options.hook) {
		inquiry_fail(
			core, arena, inquiry, &stw_cause_hook_down, "nobody can be asked here");
		return STW_PASS;
	}
	facts_of_call(check, ask->facts);
	core->hook_stats.asked++;
	if (stw_request_hold(check->request) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	pause = pause_new(check, ask);
	if (!pause) {
		stw_request_leave(check->request);
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	}
	pause->key = key;
	if (submit(check, ask, pause) < 0) {
		stw_request_leave(check->request);
		inquiry_fail(core, arena, inquiry, &stw_cause_hook_down,
			"too many questions wait for an answer");
		return STW_PASS;
	}
	core->open_questions++;
	return STW_DONE;
}

enum stw_verdict stw_route_ask(struct stw_check *check, const struct stw_hook_ask *ask)
{
	struct stw_inquiry *inquiry = stw_route_inquiry(check, ask->purpose);
	enum stw_verdict verdict;

	if (!inquiry || !ask->facts) {
		json_decref(ask->facts);
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	}
	verdict = ask_now(check, ask, inquiry);
	json_decref(ask->facts);
	return verdict;
}

static void inquiry_answer(
	struct pause *pause, const struct stw_hook_question *question, struct stw_inquiry *inquiry)
{
	struct stw_arena *arena = &pause->check.request->arena;
	struct stw_core *core = pause->core;
	struct stw_str text = { question->answer, question->answer_len };
	uint32_t ttl_s;

	switch (question->result) {
	case STW_HOOK_ANSWERED:
		inquiry_read(core, arena, text, inquiry);
		break;
	case STW_HOOK_LATE:
		inquiry_fail(core, arena, inquiry, &stw_cause_hook_late, question->why);
		break;
	case STW_HOOK_DOWN:
	case STW_HOOK_BUSY:
		inquiry_fail(core, arena, inquiry, &stw_cause_hook_down, question->why);
		break;
	case STW_HOOK_REFUSED:
	case STW_HOOK_TOO_LONG:
		inquiry_fail(core, arena, inquiry, &stw_cause_hook_nonsense, question->why);
		break;
	}
	ttl_s = inquiry->reply.ttl_s < pause->cache_s ? inquiry->reply.ttl_s : pause->cache_s;
	if (!inquiry->cause && pause->key.len && ttl_s)
		stw_hook_cache_put(core->answers, pause->key, text,
			core->now.mono_ms + (uint64_t)ttl_s * 1000);
}

/* In the place of the rows that are left. */
static const struct stw_check_row gone_rows[] = {
	{ "P7", stw_route_caller_gone },
	{ NULL, NULL },
};

/* Who has proven who he is and is no user any more; his name may be another's by now. */
static bool caller_is_gone(const struct stw_check *check)
{
	return check->user_aor.len && stw_directory_is_gone(check->core->options.directory,
					      check->user_aor, check->removed_users);
}

void stw_route_answered(struct stw_core *core, struct stw_hook_question *question)
{
	struct pause *pause = question->context;
	struct stw_check check = pause->check;

	check.config = core->config; /* it may have changed meanwhile */
	inquiry_answer(pause, question, &check.inquiries[pause->purpose]);
	stw_hook_question_free(question);
	stw_request_leave(check.request);
	if (!check.request->answered)
		stw_route_run(&check, caller_is_gone(&check) ? gone_rows : check.row);
}
