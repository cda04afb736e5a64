/* SPDX-License-Identifier: Apache-2.0 */
#include "server/route/feature.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <strowger/dialog.h>
#include <strowger/sdp.h>
#include <strowger/uac.h>
#include <strowger/uas.h>

#include "server/queue/queue.h"
#include "server/try.h"

#define BYE_AFTER_MS  1000
#define CONTACT_BYTES 18
#define ANSWER_BYTES  2048

/* One call to a code. It lasts as long as one of request, job, alarm and BYE does. */
struct stw_feature_call {
	struct stw_feature_call *next, **link;
	struct stw_core *core;
	struct stw_request *request; /* NULL: it has ended */
	struct stw_hop source;
	struct stw_dialog *dialog;
	bool submitted; /* the job is in the store */
	bool answered;  /* finally */
	bool up;        /* 200 was sent, and nobody has hung up */
	struct stw_client *bye;
	struct stw_alarm alarm; /* until we hang up */
	struct stw_job job;
	struct stw_setting_error error;
	char contact[CONTACT_BYTES];
	char change_text[STW_FEATURE_CHANGE_MAX];
	struct stw_str change, aor, code, body;
	struct stw_queue_change queue_change; /* when an agent logs in, out or pauses */
	bool of_queue;
	char body_text[ANSWER_BYTES];
	char aor_text[];
};

static struct stw_stack *call_stack(const struct stw_feature_call *call)
{
	return call->core->stack;
}

static void call_free(struct stw_feature_call *call)
{
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	stw_dialog_free(call->dialog);
	free(call);
}

static void call_look(struct stw_feature_call *call)
{
	if (!call->request && !call->submitted && !call->bye &&
		!stw_timer_running(&call->alarm.timer))
		call_free(call);
}

/* ---- hanging up ------------------------------------------------------------------------------ */

static void bye_done(void *user, struct stw_client *client)
{
	struct stw_feature_call *call = user;

	call->bye = NULL;
	call_look(call);
}

static const struct stw_client_ops bye_ops = { .done = bye_done };

/* Where the phone is reached is seen from where it has called, unless others stand between. */
static void call_hang_up(struct stw_feature_call *call)
{
	struct stw_dialog *dialog = call->dialog;
	char buffer[STW_DIALOG_TEXT_MAX];
	struct stw_client_job job = { .method = STW_STR("BYE"),
		.uri = dialog->target,
		.route = dialog->route,
		.hop = dialog->route.len ? NULL : &call->source,
		.ops = &bye_ops,
		.user = call };
	struct stw_writer writer;

	if (!call->up)
		return;
	call->up = false;
	stw_alarm_stop(call_stack(call), &call->alarm);
	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_dialog_write(dialog, &writer, job.method, stw_dialog_next_cseq(dialog));
	job.headers = stw_writer_text(&writer);
	if (writer.overflow || stw_stack_originate(call_stack(call), &job, &call->bye) < 0)
		call->bye = NULL;
}

static void call_alarm(struct stw_alarm *alarm)
{
	struct stw_feature_call *call = STW_CONTAINER_OF(alarm, struct stw_feature_call, alarm);

	call_hang_up(call);
	call_look(call);
}

/* ---- what comes of the INVITE ------------------------------------------------------------------
 */

static void call_answer(struct stw_feature_call *call, const struct stw_refusal *refusal)
{
	struct stw_answer answer = { .code = refusal->cause->code,
		.cause = refusal->cause,
		.refusal = refusal,
		.phrase = refusal->phrase,
		.headers = refusal->headers };

	call->answered = true;
	(void)stw_request_answer(call->request, &answer);
}

/* What was changed meanwhile stays changed. */
static void call_cancelled(void *user, struct stw_request *request, const struct stw_msg *cancel)
{
	struct stw_feature_call *call = user;
	struct stw_refusal refusal = { .cause = &stw_cause_cancelled };

	if (!call->answered)
		call_answer(call, &refusal);
}

static void call_acked(void *user, struct stw_request *request, const struct stw_msg *ack)
{
	struct stw_feature_call *call = user;

	if (call->up)
		stw_alarm_start(call_stack(call), &call->alarm, BYE_AFTER_MS);
}

/* §13.3.1.4: nobody has acknowledged the 200. */
static void call_unanswered(void *user, struct stw_request *request, unsigned code)
{
	call_hang_up(user);
}

static void call_done(void *user, struct stw_request *request)
{
	struct stw_feature_call *call = user;

	call->request = NULL;
	call_look(call);
}

static const struct stw_server_ops call_ops = {
	.cancelled = call_cancelled,
	.acked = call_acked,
	.unanswered = call_unanswered,
	.done = call_done,
};

static void call_refuse(struct stw_feature_call *call, const struct stw_cause *cause)
{
	struct stw_refusal refusal = { .cause = cause };

	stw_refusal_fact(&refusal, "user", call->aor);
	stw_refusal_fact(&refusal, "code", call->code);
	stw_refusal_fact(&refusal, "set", call->change);
	if (call->job.refused == -EBADMSG)
		stw_refusal_fact(&refusal, "why", stw_str_from(call->error.text));
	call_answer(call, &refusal);
}

static void call_succeed(struct stw_feature_call *call)
{
	struct stw_refusal refusal = { .cause = &stw_cause_feature_done };
	struct stw_answer answer = { .code = 200,
		.cause = refusal.cause,
		.refusal = &refusal,
		.headers = STW_STR(ROUTE_CALL_ALLOW),
		.content_type = STW_STR("application/sdp"),
		.body = call->body,
		.dialog = true,
		.contact_user = { call->contact, CONTACT_BYTES - 1 } };

	stw_refusal_fact(&refusal, "user", call->aor);
	stw_refusal_fact(&refusal, "code", call->code);
	stw_refusal_fact(&refusal, "set", call->change);
	call->answered = true;
	call->up = true;
	stw_dialog_confirm_uas(call->dialog);
	if (stw_request_answer(call->request, &answer) < 0)
		call->up = false;
}

void stw_route_feature_committed(struct stw_core *core, struct stw_job *job)
{
	struct stw_feature_call *call = STW_CONTAINER_OF(job, struct stw_feature_call, job);

	call->submitted = false;
	if (!call->request || call->answered)
		call_look(call);
	else if (job->cause)
		call_refuse(call, job->cause);
	else if (job->refused)
		call_refuse(call, &stw_cause_feature_refused);
	else
		call_succeed(call);
}

/* ---- the session: nothing is ever sent or heard -------------------------------------------------
 */

static void media_write(struct stw_writer *writer, const struct stw_sdp_media *media, bool accept)
{
	stw_write_format(writer, "m=%.*s %u %.*s %.*s\r\n", STW_STR_ARG(media->type),
		accept ? 9u : 0u, STW_STR_ARG(media->protocol), STW_STR_ARG(media->formats));
	if (accept)
		stw_write_text(writer, "a=inactive\r\n");
}

/* RFC 3264 §6: the first audio stream, inactive; the others are rejected. Without an offer this is
 * one. @return 0; -EBADMSG: the offer cannot be read, or has no audio */
static int body_write(struct stw_feature_call *call, const struct stw_msg *invite, uint64_t id)
{
	static const struct stw_sdp_media plain = {
		.type = { "audio", 5 }, .protocol = { "RTP/AVP", 7 }, .formats = { "0 8", 3 }
	};
	struct stw_str offer = stw_msg_body(invite);
	struct stw_sdp_fault fault;
	struct stw_writer writer;
	struct stw_sdp sdp;
	bool accepted = false;

	stw_writer_init(&writer, call->body_text, sizeof(call->body_text));
	stw_write_format(&writer,
		"v=0\r\no=- %llu 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n",
		(unsigned long long)(id >> 2));
	if (!offer.len) {
		media_write(&writer, &plain, true);
		accepted = true;
	} else if (stw_sdp_parse(offer, &sdp, &fault) < 0) {
		return -EBADMSG;
	}
	for (unsigned i = 0; offer.len && i < sdp.media_count; i++) {
		bool accept = !accepted && sdp.media[i].port &&
			      stw_str_equal(sdp.media[i].type, STW_STR("audio"));

		media_write(&writer, &sdp.media[i], accept);
		accepted = accepted || accept;
	}
	call->body = stw_writer_text(&writer);
	return accepted && !writer.overflow ? 0 : -EBADMSG;
}

/* ---- a call begins
 * ------------------------------------------------------------------------------- */

static struct stw_feature_call *call_new(
	struct stw_check *check, const struct stw_feature *feature, struct stw_str number)
{
	struct stw_core *core = check->core;
	struct stw_feature_call *call = calloc(1, sizeof(*call) + check->user_aor.len + number.len);
	struct stw_writer writer;
	uint64_t random = stw_random_next(stw_request_random(check->request));

	if (!call)
		return NULL;
	call->core = core;
	call->alarm.fired = call_alarm;
	memcpy(call->aor_text, check->user_aor.ptr, check->user_aor.len);
	memcpy(call->aor_text + check->user_aor.len, number.ptr, number.len);
	call->aor = (struct stw_str){ call->aor_text, check->user_aor.len };
	call->code = (struct stw_str){ call->aor_text + call->aor.len, number.len };
	call->change = stw_feature_change(feature, number, call->change_text);
	call->of_queue = feature->queue.len > 0;
	call->source = check->request->source;
	stw_writer_init(&writer, call->contact, sizeof(call->contact));
	stw_write_char(&writer, 'f');
	stw_write_hex(&writer, &random, sizeof(random));
	call->next = core->feature_calls;
	call->link = &core->feature_calls;
	if (call->next)
		call->next->link = &call->next;
	core->feature_calls = call;
	return call;
}

static enum stw_verdict call_fail(
	struct stw_check *check, struct stw_feature_call *call, const struct stw_cause *cause)
{
	if (call)
		call_free(call);
	return stw_route_refuse(check, cause);
}

static void call_submit(struct stw_feature_call *call, uint64_t removed_users)
{
	struct stw_core *core = call->core;

	call->job = (struct stw_job){ .kind = STW_JOB_SETTINGS,
		.queue = core->options.worker,
		.now = core->now,
		.removed_users = removed_users,
		.by_user = true,
		.aor = call->aor,
		.settings = call->of_queue ? call->queue_change.settings : &call->change,
		.setting_count = call->of_queue ? STW_ARRAY_SIZE(call->queue_change.settings) : 1,
		.setting_error = &call->error };
	if (stw_store_submit(core->options.store, &call->job) < 0) {
		call_refuse(call, &stw_cause_store_unavailable);
		return;
	}
	call->submitted = true;
	core->pending_jobs++;
}

/* An agent logs in, out or pauses: may he? */
static bool queue_allows(
	struct stw_check *check, struct stw_feature_call *call, const struct stw_feature *feature)
{
	int err = stw_queue_change(check->config,
		stw_directory_find(check->core->options.directory, call->aor),
		(enum stw_queue_act)feature->queue_act, feature->queue, &call->queue_change);

	if (err == 0)
		return true;
	check->refusal.option = "feature_codes";
	stw_refusal_fact(&check->refusal, "set", feature->set);
	stw_refusal_fact(&check->refusal, "why",
		err == -EPERM ? STW_STR("he is none of the agents of the queue")
			      : STW_STR("he is not logged in to the queue"));
	return false;
}

static enum stw_verdict call_begin(
	struct stw_check *check, const struct stw_feature *feature, struct stw_str number)
{
	struct stw_request *request = check->request;
	struct stw_feature_call *call = call_new(check, feature, number);
	struct stw_trial *trial = check->core->options.trial;

	if (!call)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	if (call->of_queue && !queue_allows(check, call, feature))
		return call_fail(check, call, &stw_cause_feature_refused);
	if (body_write(call, request->msg, stw_random_next(stw_request_random(request))) < 0) {
		check->refusal.headers =
			STW_STR("Warning: 399 strowger \"no audio stream that can be read\"\r\n");
		return call_fail(check, call, &stw_cause_feature_media);
	}
	if (trial) {
		call_free(call);
		stw_request_respond(request, 200, STW_STR_NONE, &stw_cause_feature_done);
		return STW_DONE;
	}
	if (stw_request_take(request, &call_ops, call) < 0)
		return call_fail(check, call, &stw_cause_out_of_memory);
	call->request = request;
	if (stw_dialog_new_uas(request->msg, stw_request_tag(request), &call->dialog) < 0)
		call_refuse(call, &stw_cause_feature_contact);
	else
		call_submit(call, check->removed_users);
	return STW_DONE;
}

/* ---- whether it is one
 * ---------------------------------------------------------------------------- */

/* Only the owner of the settings, whatever auth.required says. */
static enum stw_verdict check_owner(struct stw_check *check)
{
	enum stw_verdict verdict;
	struct stw_str from;

	if (!check->caller_domain.len)
		return stw_route_refuse(check, &stw_cause_feature_stranger);
	if (!check->authenticated) {
		verdict = stw_route_authenticate(
			check, STW_HDR_PROXY_AUTHORIZATION, check->caller_domain);
		if (verdict != STW_PASS)
			return verdict;
	}
	if (stw_route_aor(check, &check->request->msg->from.uri, check->caller_domain, &from) < 0 ||
		!stw_str_equal(from, check->user_aor))
		return stw_route_refuse(check, &stw_cause_from_mismatch);
	return STW_PASS;
}

/* §21.4.7: the 200 holds a session description. */
static enum stw_verdict check_accept(struct stw_check *check)
{
	const struct stw_msg *msg = check->request->msg;

	if (!stw_msg_find(msg, STW_HDR_ACCEPT) || stw_msg_accepts(msg, STW_STR("application/sdp")))
		return STW_PASS;
	if (stw_arena_printf(&check->request->arena, &check->refusal.headers,
		    "Warning: 399 %.*s \"Accept excludes application/sdp\"\r\n",
		    STW_STR_ARG(check->caller_domain)) < 0)
		check->refusal.headers = STW_STR_NONE;
	return stw_route_refuse(check, &stw_cause_feature_accept);
}

static enum stw_verdict feature_incomplete(
	struct stw_check *check, struct stw_str number, unsigned missing)
{
	if (stw_arena_printf(&check->request->arena, &check->refusal.phrase,
		    "Address Incomplete, %u More Symbol%s Needed", missing,
		    missing == 1 ? "" : "s") < 0)
		check->refusal.phrase = STW_STR_NONE;
	if (stw_arena_copy(&check->request->arena, number, &number) == 0)
		stw_refusal_fact(&check->refusal, "number", number);
	check->refusal.option = "feature_codes";
	return stw_route_refuse(check, &stw_cause_feature_incomplete);
}

static __attribute__((noinline)) enum stw_verdict feature_apply(struct stw_check *check)
{
	const struct stw_config *config = check->config;
	const struct stw_dial_table *table = &config->feature_table;
	const struct stw_proxy_routing *routing = &check->request->routing;
	const struct stw_dial_entry *entry;
	char buffer[STW_NUMBER_MAX];
	enum stw_verdict verdict;
	struct stw_str number;
	unsigned missing;

	if (!check->domain.len || routing->has_route || routing->in_dialog ||
		check->request->msg->method != STW_METHOD_INVITE ||
		stw_number_from_uri(check->called, buffer, &number) < 0)
		return STW_PASS;
	switch (stw_dialplan_find(table->v, table->n, number, &entry, &missing)) {
	case STW_PATTERN_YES:
		break;
	case STW_PATTERN_INCOMPLETE:
		if (number.ptr[0] == '*' || number.ptr[0] == '#')
			return feature_incomplete(check, number, missing);
		return STW_PASS;
	default:
		return STW_PASS;
	}
	check->refusal.option = "feature_codes";
	verdict = check_owner(check);
	if (verdict == STW_PASS)
		verdict = stw_route_require(check, NULL, &stw_cause_extension_required_here);
	if (verdict == STW_PASS)
		verdict = stw_route_body(check);
	if (verdict == STW_PASS)
		verdict = check_accept(check);
	return verdict == STW_PASS ? call_begin(check, &config->features[entry->value], number)
				   : verdict;
}

enum stw_verdict stw_route_feature(struct stw_check *check)
{
	return check->config->feature_count ? feature_apply(check) : STW_PASS;
}

/* ---- in its dialog
 * --------------------------------------------------------------------------------- */

/* BYE ends it. Nothing of a call of a second can be changed: §14.2. */
static enum stw_verdict dialog_request(struct stw_check *check, struct stw_feature_call *call)
{
	struct stw_request *request = check->request;
	enum stw_method method = request->msg->method;

	/* The ACK of a refusal must find it: it has the tag of the dialog. */
	if (method == STW_METHOD_INVITE && stw_request_wait(request) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	if (stw_dialog_receive(call->dialog, request->msg) < 0)
		return stw_route_refuse(check, &stw_cause_dialog_order);
	if (method == STW_METHOD_INVITE) {
		check->refusal.headers =
			STW_STR("Warning: 399 strowger \"the session cannot be changed\"\r\n");
		return stw_route_refuse(check, &stw_cause_feature_fixed);
	}
	if (method != STW_METHOD_BYE)
		return stw_route_in_dialog(check);
	stw_request_respond(request, 200, STW_STR_NONE, NULL);
	call->up = false;
	stw_alarm_stop(call_stack(call), &call->alarm);
	call_look(call);
	return STW_DONE;
}

enum stw_verdict stw_route_feature_dialog(struct stw_check *check)
{
	struct stw_str user = check->request->routing.uri.user;
	struct stw_feature_call *call = check->core->feature_calls;

	if (!call || !check->domain.len || user.len != CONTACT_BYTES - 1)
		return STW_PASS;
	for (; call; call = call->next) {
		if (call->dialog && stw_dialog_has_request(call->dialog, check->request->msg))
			return dialog_request(check, call);
	}
	return STW_PASS;
}

void stw_route_features_free(struct stw_core *core)
{
	while (core->feature_calls)
		call_free(core->feature_calls);
}
