/* SPDX-License-Identifier: Apache-2.0 */
/* The calling side: INVITE, its forks, ACK, CANCEL and their races (RFC 3261 §9.1, §13.2). */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- ACK ---------------------------------------------------------------------------------- */

/* §13.2.2.4: the CSeq number of the INVITE, its credentials, the way of the dialog. */
int session_ack(struct exchange *invite, struct stw_dialog *dialog, struct stw_str body)
{
	struct stw_ua *ua = invite->ua;
	char lines[LINES_MAX];
	struct stw_writer writer;
	struct stw_client_job job = { .uri = dialog->target, .route = dialog->route, .body = body };
	const struct stw_msg *sent = stw_client_request(invite->client);

	invite->acks++;
	stw_writer_init(&writer, lines, sizeof(lines));
	stw_dialog_write(dialog, &writer, STW_STR("ACK"), sent->cseq.number);
	for (unsigned i = 0; i < sent->field_count; i++) {
		const struct stw_field *field = &sent->fields[i];

		if (field->header == STW_HDR_AUTHORIZATION ||
			field->header == STW_HDR_PROXY_AUTHORIZATION)
			stw_write_str(&writer,
				stw_msg_text(sent, field->start, field->end - field->start));
	}
	if (writer.overflow)
		return -ENOBUFS;
	job.headers = stw_writer_text(&writer);
	if (body.len)
		job.content_type = STW_STR("application/sdp");
	if (!dialog->route.len)
		job.outbound = ua->options.outbound;
	return stw_client_ack(invite->client, dialog->remote_tag, &job);
}

static void bye_nothing(struct exchange *exchange, const struct stw_msg *response, unsigned code,
	const struct stw_cause *cause)
{
	(void)exchange;
	(void)response;
	(void)code;
	(void)cause;
}

/* ---- provisional responses --------------------------------------------------------------------
 */

static struct early *early_find(struct early *early, const struct stw_msg *response)
{
	while (early && !stw_dialog_has_response(early->dialog, response))
		early = early->next;
	return early;
}

static unsigned earlies_count(const struct early *early)
{
	unsigned count = 0;

	for (; early; early = early->next)
		count++;
	return count;
}

/* @return NULL: none begins, or there are so many that this one is only told */
static struct early *early_make(struct exchange *exchange, const struct stw_msg *response)
{
	struct stw_session *session = exchange->session;
	struct early *early = early_find(session->earlies, response);

	if (early || !response->to.tag.ptr || earlies_count(session->earlies) >= FORKS_MAX)
		return early;
	early = calloc(1, sizeof(*early));
	if (!early)
		return NULL;
	if (stw_dialog_new_uac(stw_client_request(exchange->client), response, &early->dialog) <
		0) {
		free(early);
		return NULL;
	}
	early->next = session->earlies;
	session->earlies = early;
	return early;
}

static void prack_final(struct exchange *exchange, const struct stw_msg *response, unsigned code,
	const struct stw_cause *cause)
{
	(void)response;
	(void)code;
	(void)cause;
	stw_dialog_free(exchange->dialog);
	exchange->dialog = NULL;
	exchange->owns_dialog = false;
}

/* RFC 3262 §4. The PRACK keeps the dialog, which may end before its answer comes. */
static void send_prack(
	struct exchange *invite, struct stw_dialog *dialog, uint32_t rseq, struct stw_str answer)
{
	static const struct exchange_ops ops = { .final = prack_final };
	char rack[80];
	struct exchange_options options = { .method = STW_STR("PRACK"),
		.headers = { rack, 0 },
		.body = answer,
		.dialog = stw_dialog_ref(dialog),
		.owns_dialog = true,
		.anonymous = invite->anonymous,
		.ops = &ops };

	if (answer.len)
		options.content_type = STW_STR("application/sdp");
	options.headers.len = (size_t)snprintf(rack, sizeof(rack), "RAck: %u %u INVITE\r\n", rseq,
		stw_client_request(invite->client)->cseq.number);
	if (exchange_begin(invite->ua, &options, NULL) < 0)
		stw_dialog_free(dialog);
}

/* §13.2.2.4, RFC 3262 §5: ACK or PRACK answers an offer also when nothing of it can be taken. */
static struct stw_str offer_reject(const struct exchange *invite, const struct stw_msg *response,
	char body[STW_SDP_WRITTEN_MAX])
{
	uint64_t id = stw_random_next(stw_stack_random(invite->ua->stack)) >> 3;
	struct stw_writer writer;
	struct stw_str offer;

	stw_writer_init(&writer, body, STW_SDP_WRITTEN_MAX);
	if (stw_client_request(invite->client)->body_len ||
		!stw_body_description(response, &offer) || stw_sdp_reject(offer, id, &writer) < 0)
		return STW_STR_NONE;
	return stw_writer_text(&writer);
}

/* The answer to the first offer of a fork, when our INVITE has none: it goes with the PRACK. */
static struct stw_str late_answer(
	struct exchange *invite, const struct stw_msg *response, char body[STW_SDP_WRITTEN_MAX])
{
	struct stw_session *session = invite->session;
	struct offer_refusal refusal;
	struct stw_str answer = STW_STR_NONE;
	int err = session_receive_fork_offer(session, response, response->to.tag, &refusal);
	struct early *early = session_early(session, response->to.tag);

	if (err == -ENOENT || err == -EBUSY)
		return STW_STR_NONE;
	if (err == 0 && stw_sdp_answer(session->sdp, &answer) == 0) {
		session_tell_media(session);
		return answer;
	}
	if (session->sdp)
		stw_sdp_rollback(session->sdp);
	if (early)
		early->refused = true;
	return offer_reject(invite, response, body);
}

bool is_reliable(const struct stw_msg *response, uint32_t *ret_rseq)
{
	uint64_t rseq;

	if (!stw_msg_has_token(response, STW_HDR_REQUIRE, STW_STR("100rel")) ||
		stw_msg_number(response, STW_HDR_RSEQ, UINT32_MAX, &rseq) < 0 || !rseq)
		return false;
	*ret_rseq = (uint32_t)rseq;
	return true;
}

bool session_take_reliable(struct exchange *invite, struct stw_dialog *dialog, uint32_t *last,
	const struct stw_msg *response)
{
	struct stw_session *session = invite->session;
	struct stw_str answer = STW_STR_NONE;
	char body[STW_SDP_WRITTEN_MAX];
	uint32_t rseq;

	if (!is_reliable(response, &rseq))
		return true;
	if (*last && rseq != (uint64_t)*last + 1)
		return false;
	*last = rseq;
	(void)stw_dialog_refresh(dialog, response); /* RFC 6141 §4.7 */
	if (session->late_offer && !session->dialog)
		answer = late_answer(invite, response, body);
	send_prack(invite, dialog, rseq, answer);
	return true;
}

static void tell_progress(struct stw_session *session, const struct stw_msg *response)
{
	struct stw_ua_event event = { .kind = STW_UA_PROGRESS,
		.code = response->code,
		.phrase = stw_msg_phrase(response),
		.msg = response,
		.text = stw_msg_value(response, STW_HDR_REASON) };

	session_tell(session, &event);
}

static void invite_provisional(struct exchange *exchange, const struct stw_msg *response)
{
	struct stw_session *session = exchange->session;
	struct early *early = NULL;

	if (!session)
		return;
	if (session->dialog) /* of a fork that came too late */
		return;
	if (response->code > 100)
		early = early_make(exchange, response);
	if (early && early->ended)
		return; /* it was on its way for longer than the 199 */
	if (early && response->code == 199) {
		early->ended = true;
		early = NULL;
	}
	if (early && !session_take_reliable(exchange, early->dialog, &early->rseq, response))
		return;
	if (early && !session->late_offer &&
		session_receive_answer(session, response, response->to.tag) == -EBADMSG)
		session_fault(session, response, &stw_cause_ua_bad_answer);
	if (early && stw_msg_has_token(response, STW_HDR_ALLOW, STW_STR("UPDATE")))
		session->peer_update = true;
	if (session->agreed)
		qos_begin(session);
	tell_progress(session, response);
	if (session->referred_by)
		refer_progress(session, response->code, stw_msg_phrase(response));
}

/* ---- accepted ----------------------------------------------------------------------------------
 */

/* The dialog of a 2xx, which goes on counting where an early one has come to. */
static int accepted_dialog(struct exchange *exchange, struct early *earlies,
	const struct stw_msg *response, struct stw_dialog **ret)
{
	struct early *early = early_find(earlies, response);

	if (!early)
		return stw_dialog_new_uac(stw_client_request(exchange->client), response, ret);
	stw_dialog_confirm_uac(early->dialog, response);
	*ret = stw_dialog_ref(early->dialog);
	return 0;
}

/* A 2xx that nobody wants: a further fork, or one that crossed our CANCEL. */
void ack_and_bye(struct exchange *invite, const struct stw_msg *response)
{
	static const struct exchange_ops ops = { .final = bye_nothing };
	struct exchange_options options = {
		.method = STW_STR("BYE"), .owns_dialog = true, .ops = &ops
	};
	struct stw_dialog *dialog;
	char body[STW_SDP_WRITTEN_MAX];

	if (accepted_dialog(invite, invite->forks, response, &dialog) < 0)
		return;
	(void)session_ack(invite, dialog, offer_reject(invite, response, body));
	options.dialog = dialog;
	if (exchange_begin(invite->ua, &options, NULL) < 0)
		stw_dialog_free(dialog);
}

/* @return 0; -EBADMSG: what they have said about the media cannot be, or cannot be done */
static int accepted_media(
	struct stw_session *session, const struct stw_msg *response, struct stw_str *ret_answer)
{
	const struct early *early = session_early(session, response->to.tag);
	struct offer_refusal refusal;
	int err;

	*ret_answer = STW_STR_NONE;
	session_other_fork(session, response->to.tag);
	if (!session->late_offer) {
		err = session_receive_answer(session, response, response->to.tag);
		if (err == -ENOENT && session->sdp && session->sdp->state == STW_SDP_OFFER_SENT)
			return -EBADMSG;
		return err == -EBADMSG ? err : 0;
	}
	if (session->agreed)
		return 0; /* in a reliable provisional response of this fork */
	err = session_receive_fork_offer(session, response, response->to.tag, &refusal);
	if (err == 0)
		err = stw_sdp_answer(session->sdp, ret_answer);
	if (err == 0)
		session_tell_media(session);
	return err < 0 && (err != -ENOENT || (early && early->refused)) ? -EBADMSG : 0;
}

static void end_accepted(
	struct stw_session *session, const struct stw_msg *response, const struct stw_cause *cause)
{
	struct stw_ua_event event = {
		.by_us = true, .code = cause->code, .phrase = cause_phrase(cause), .cause = cause
	};

	session_fault(session, response, cause);
	session_bye(session, STW_STR_NONE, &event);
}

/* NULL: requests can be sent in it */
static const struct stw_cause *dialog_fault(const struct stw_dialog *dialog)
{
	if (dialog && dialog->cut)
		return &stw_cause_ua_dialog_large;
	return dialog && dialog->no_target ? &stw_cause_ua_no_contact : NULL;
}

static void accepted(struct exchange *exchange, const struct stw_msg *response)
{
	struct stw_session *session = exchange->session;
	struct stw_ua_event event = { .kind = STW_UA_ACCEPTED,
		.code = response->code,
		.phrase = stw_msg_phrase(response),
		.msg = response,
		.text = mode_told(response) };
	struct stw_ua_event ended = { .by_us = true, .code = 487 };
	struct stw_str answer = STW_STR_NONE;
	const struct stw_cause *fault;
	char body[STW_SDP_WRITTEN_MAX];
	int err;

	session->inviting = NULL;
	if (accepted_dialog(exchange, session->earlies, response, &session->dialog) < 0) {
		session_over_code(session, response, 500, &stw_cause_out_of_memory, true);
		return;
	}
	err = accepted_media(session, response, &answer);
	/* The early dialogs are over (§13.2.2.4), but for what their forks may still accept. */
	exchange->forks = session->earlies;
	session->earlies = NULL;
	if (!answer.len && !session->agreed)
		answer = offer_reject(exchange, response, body);
	(void)session_ack(exchange, session->dialog, answer);
	session->state = STW_SESSION_CONFIRMED;
	if (session->cancelled) { /* §9.1: the 2xx was faster than the CANCEL */
		ended.phrase = stw_str_from(stw_status_phrase(487));
		session_bye(session, STW_STR_NONE, &ended);
		return;
	}
	session_tell(session, &event);
	if (session->state == STW_SESSION_ENDED)
		return;
	fault = dialog_fault(session->dialog);
	if (!fault && err < 0)
		fault = &stw_cause_ua_bad_answer;
	if (fault) {
		end_accepted(session, response, fault);
		return;
	}
	timer_agreed(session, response);
	session->peer_update = stw_msg_has_token(response, STW_HDR_ALLOW, STW_STR("UPDATE"));
	if (session->referred_by)
		refer_progress(session, response->code, stw_msg_phrase(response));
	session_established(session);
}

/* ---- the last word ------------------------------------------------------------------------------
 */

/* RFC 4028 §7.4: each element on the way may ask for more; Min-SE is the largest seen. */
bool session_raise_interval(struct stw_session *session, const struct stw_msg *response)
{
	uint32_t asked_s = session->interval_s ? session->interval_s : session->expires_s;
	uint32_t least_s = session->min_se_s > MIN_SE_S ? session->min_se_s : MIN_SE_S;
	uint64_t min_se;

	if (response->code != 422 || session->intervals_raised >= INTERVALS_MAX ||
		stw_msg_number(response, STW_HDR_MIN_SE, UINT32_MAX, &min_se) < 0 ||
		(min_se <= least_s && min_se <= asked_s))
		return false;
	session->intervals_raised++;
	if (session->min_se_s < min_se)
		session->min_se_s = (uint32_t)min_se;
	if (session->expires_s < session->min_se_s)
		session->expires_s = session->min_se_s;
	if (session->interval_s && session->interval_s < session->min_se_s)
		session->interval_s = session->min_se_s;
	return true;
}

/* §21.4.26, §21.6.4: one more offer, within what the called side says it can do. */
static bool offer_again(struct exchange *exchange, const struct stw_msg *response)
{
	struct stw_session *session = exchange->session;
	struct exchange_options text = exchange_text(exchange);

	if ((response->code != 488 && response->code != 606) || session->raw_body ||
		session->late_offer || !session_narrow(session, response))
		return false;
	return stw_sdp_offer(session->sdp, &text.body) == 0 && exchange_keep(exchange, &text) == 0;
}

static bool call_again(struct exchange *exchange, const struct stw_msg *response)
{
	struct stw_session *session = exchange->session;

	if (session->cancelled ||
		(!session_raise_interval(session, response) && !offer_again(exchange, response)))
		return false;
	earlies_free(&session->earlies);
	exchange->finished = exchange_send(exchange) < 0;
	return !exchange->finished;
}

/* §21.4.22: the number may have more digits; the exchange is kept for them. */
static void call_incomplete(struct exchange *exchange, const struct stw_msg *response)
{
	struct stw_session *session = exchange->session;
	struct stw_ua_event event = { .kind = STW_UA_INCOMPLETE,
		.code = response->code,
		.msg = response,
		.phrase = stw_msg_phrase(response) };

	exchange->finished = false;
	session->incomplete = true;
	earlies_free(&session->earlies);
	session_tell(session, &event);
}

int stw_session_dial(struct stw_session *session, struct stw_str digits)
{
	struct exchange *exchange = session->inviting;
	struct exchange_options text;
	char buffer[TEXT_MAX];
	struct stw_writer writer;
	struct stw_uri uri;
	size_t at;
	int err;

	if (!session->incomplete || !exchange || stw_uri_parse(exchange->uri, &uri) < 0 ||
		!uri.user.ptr || !digits.len)
		return -EINVAL;
	at = (size_t)(uri.user.ptr + uri.user.len - uri.text.ptr);
	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_write_format(&writer, "%.*s%.*s%.*s", STW_STR_ARG(stw_str_cut(uri.text, 0, at)),
		STW_STR_ARG(digits), STW_STR_ARG(stw_str_cut(uri.text, at, uri.text.len)));
	text = exchange_text(exchange);
	text.uri = text.to = stw_writer_text(&writer);
	err = writer.overflow ? -ENOBUFS : exchange_keep(exchange, &text);
	if (err == 0)
		err = exchange_send(exchange);
	if (err == 0)
		session->incomplete = false;
	return err;
}

static void invite_final(struct exchange *exchange, const struct stw_msg *response, unsigned code,
	const struct stw_cause *cause)
{
	struct stw_session *session = exchange->session;
	struct stw_ua_event event = { .kind = STW_UA_FORKED, .msg = response, .code = code };

	if (!session) {
		if (response && code / 100 == 2)
			ack_and_bye(exchange, response);
		return;
	}
	if (code / 100 == 2 && session->dialog) {
		if (stw_dialog_has_response(session->dialog, response))
			return;
		ack_and_bye(exchange, response);
		session_tell(session, &event);
		return;
	}
	if (code / 100 == 2) {
		accepted(exchange, response);
		return;
	}
	if (response && call_again(exchange, response))
		return;
	if (response && code == 484 && session->overlap && !session->cancelled) {
		call_incomplete(exchange, response);
		return;
	}
	session->inviting = NULL;
	session_over_code(session, response, code, cause, session->cancelled);
}

const struct exchange_ops invite_ops = { .provisional = invite_provisional, .final = invite_final };

/* ---- what the user may ask ------------------------------------------------------------------- */

static void call_lines(struct stw_session *session, const struct stw_session_options *options,
	struct stw_writer *writer)
{
	ua_write_abilities(session->ua, writer);
	/* RFC 3312 §11 */
	if (session->sdp && session->abilities->qos == STW_SDP_QOS_MANDATORY)
		stw_write_text(writer, "Require: precondition\r\n");
	stw_write_str(writer, options->headers);
}

static int call_offer(struct stw_session *session, const struct stw_session_options *options,
	struct exchange_options *invite)
{
	session->late_offer = options->late_offer;
	session->raw_body = options->body.len > 0;
	if (session->raw_body) {
		invite->content_type = options->content_type;
		invite->body = options->body;
		return 0;
	}
	if (!session->sdp)
		return 0;
	qos_prepare(session);
	invite->content_type = STW_STR("application/sdp");
	return stw_sdp_offer(session->sdp, &invite->body);
}

int stw_ua_call(
	struct stw_ua *ua, const struct stw_session_options *options, struct stw_session **ret)
{
	char lines[LINES_MAX];
	struct stw_writer writer;
	struct exchange_options invite = { .method = STW_STR("INVITE"),
		.uri = options->uri,
		.to = options->uri,
		.anonymous = options->anonymous,
		.identity_allowed = options->identity_allowed,
		.ops = &invite_ops };
	struct stw_session *session;
	int err = session_new(ua, true, &session);

	if (err < 0)
		return err;
	session_enter(session);
	session->user = options->user;
	session->overlap = options->overlap;
	session->focus = options->focus;
	session->anonymous = options->anonymous;
	session->expires_s = ua->options.session_expires_s;
	if (!options->late_offer && !options->body.len)
		(void)session_has_media(session);
	if (session->expires_s && session->expires_s < session->min_se_s)
		session->expires_s = session->min_se_s; /* RFC 4028 §7.1 */
	stw_writer_init(&writer, lines, sizeof(lines));
	call_lines(session, options, &writer);
	err = writer.overflow ? -ENOBUFS : call_offer(session, options, &invite);
	invite.headers = stw_writer_text(&writer);
	invite.session = session;
	if (ret)
		*ret = session;
	if (err == 0)
		err = exchange_begin(ua, &invite, &session->inviting);
	if (session->inviting && session->inviting->client)
		(void)session_keep_invite(session, stw_client_request(session->inviting->client));
	if (err < 0)
		session->state = STW_SESSION_ENDED;
	if (ret && session->state == STW_SESSION_ENDED)
		*ret = NULL;
	session_leave(session);
	return err;
}

/* §9.1: what has not been answered is cancelled; what comes of it is told then. */
void caller_end(struct stw_session *session, struct stw_str reason)
{
	session->cancelled = true;
	if (session->incomplete) { /* nothing is under way */
		session->inviting->finished = true;
		session_over_code(session, NULL, 484, NULL, true);
		return;
	}
	if (session->inviting && session->inviting->client)
		stw_client_cancel(session->inviting->client, reason);
}
