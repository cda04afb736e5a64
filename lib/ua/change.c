/* SPDX-License-Identifier: Apache-2.0 */
/* What changes a session that stands: re-INVITE (RFC 3261 §14), UPDATE (RFC 3311), and the timer
 * that it lives by (RFC 4028). */
#include "internal.h"

#include <errno.h>
#include <string.h>

#define BEFORE_EXPIRY_S 32 /* RFC 4028 §10: or a third of the interval */
#define REFRESH_AGAIN_S 10 /* after a refusal that does not say when */
#define OVERLAP_MAX_S   10 /* RFC 3261 §14.2 */

/* ---- session timer ------------------------------------------------------------------------- */

/* In requests of ours: what we ask for, or what was agreed on; `uac` is who sends the request. */
void timer_lines(const struct stw_session *session, struct stw_writer *writer)
{
	uint32_t expires_s = session->interval_s ? session->interval_s : session->expires_s;

	if (expires_s)
		stw_write_format(writer, "Session-Expires: %u%s\r\n", expires_s,
			!session->interval_s ? ""
			: session->refresher ? ";refresher=uac"
					     : ";refresher=uas");
	if (session->min_se_s > MIN_SE_S)
		stw_write_format(writer, "Min-SE: %u\r\n", session->min_se_s);
}

/* §5: there is none under 90 s. What says so all the same counts as if it said nothing: it would
 * have us send a request each moment, or end the session at once. */
static bool session_expires_read(
	const struct stw_msg *msg, uint32_t *ret_s, struct stw_str *ret_refresher)
{
	struct stw_str value = stw_msg_value(msg, STW_HDR_SESSION_EXPIRES);
	size_t end = stw_str_find(value, ';', 0);

	*ret_refresher = STW_STR_NONE;
	if (!value.len ||
		stw_delta_seconds_parse(stw_str_trim(stw_str_cut(value, 0, end)), ret_s) < 0)
		return false;
	(void)stw_param_find(
		stw_str_cut(value, end, value.len), STW_STR("refresher"), ret_refresher);
	return *ret_s >= MIN_SE_S;
}

/* §9: our own, not under what they or we take. */
static uint32_t own_expires_s(const struct stw_session *session, const struct stw_msg *request)
{
	uint32_t expires_s = session->ua->options.session_expires_s;
	uint64_t theirs_s = 0;

	if (!expires_s)
		return 0;
	(void)stw_msg_number(request, STW_HDR_MIN_SE, UINT32_MAX, &theirs_s);
	if (expires_s < session->min_se_s)
		expires_s = session->min_se_s;
	return expires_s < theirs_s ? (uint32_t)theirs_s : expires_s;
}

/* §9: in a 2xx of ours; who asks for nothing may still get a timer that we see to ourselves. */
void timer_answer(
	struct stw_session *session, const struct stw_msg *request, struct stw_writer *writer)
{
	bool supported = stw_msg_has_token(request, STW_HDR_SUPPORTED, STW_STR("timer"));
	struct stw_str refresher;
	uint32_t expires_s = 0;

	if (!session_expires_read(request, &expires_s, &refresher)) {
		expires_s = own_expires_s(session, request);
		refresher = STW_STR("uas");
	}
	session->interval_s = expires_s;
	if (!expires_s)
		return;
	session->refresher = !supported || stw_str_equal_nocase(refresher, STW_STR("uas"));
	stw_write_format(writer, "Session-Expires: %u;refresher=%s\r\n", expires_s,
		session->refresher ? "uas" : "uac");
	if (!session->refresher)
		stw_write_text(writer, "Require: timer\r\n");
}

/* §7.2: of a 2xx to a request of ours. */
void timer_agreed(struct stw_session *session, const struct stw_msg *response)
{
	struct stw_str refresher;
	uint32_t expires_s = 0;

	session->interval_s = 0;
	if (!session_expires_read(response, &expires_s, &refresher))
		return;
	session->interval_s = expires_s;
	session->refresher = !stw_str_equal_nocase(refresher, STW_STR("uas"));
}

void timer_stop(struct stw_session *session)
{
	stw_alarm_stop(session->ua->stack, &session->refresh);
	stw_alarm_stop(session->ua->stack, &session->expiry);
}

/* §10: half of the time for who refreshes; the other ends it shortly before the time is over. */
void timer_start(struct stw_session *session)
{
	uint64_t interval_ms = (uint64_t)session->interval_s * 1000;
	uint64_t before_ms = interval_ms / 3;

	timer_stop(session);
	if (!interval_ms)
		return;
	if (before_ms > BEFORE_EXPIRY_S * 1000)
		before_ms = BEFORE_EXPIRY_S * 1000;
	if (session->refresher)
		stw_alarm_start(session->ua->stack, &session->refresh, interval_ms / 2);
	stw_alarm_start(session->ua->stack, &session->expiry, interval_ms - before_ms);
}

void expiry_fired(struct stw_alarm *alarm)
{
	struct stw_session *session = STW_CONTAINER_OF(alarm, struct stw_session, expiry);
	struct stw_ua_event event = { .by_us = true,
		.code = 408,
		.cause = &stw_cause_ua_session_expired,
		.phrase = cause_phrase(&stw_cause_ua_session_expired) };

	session_enter(session);
	session_bye(session, STW_STR("Reason: SIP;cause=408;text=\"Session Expired\"\r\n"), &event);
	session_leave(session);
}

static void tell_refreshed(struct stw_session *session)
{
	struct stw_ua_event event = { .kind = STW_UA_REFRESHED, .expires_s = session->interval_s };

	timer_start(session);
	if (session->interval_s)
		session_tell(session, &event);
}

/* ---- our re-INVITE and UPDATE ------------------------------------------------------------------
 */

static void tell_changed(struct stw_session *session, const struct stw_msg *response, unsigned code)
{
	struct stw_ua_event event = { .kind = STW_UA_CHANGED,
		.code = code,
		.msg = response,
		.phrase =
			response ? stw_msg_phrase(response) : stw_str_from(stw_status_phrase(code)),
		.retry_s = response ? retry_after_s(response) : 0 };

	session_tell(session, &event);
}

static int change_send(struct stw_session *session, bool update, bool offer);

/* §14.1: a time that is the other one's neither, in units of 10 ms. */
uint64_t glare_wait_ms(const struct stw_session *session)
{
	struct stw_random *random = stw_stack_random(session->ua->stack);

	return session->caller ? 2100 + 10 * stw_random_below(random, 191)
			       : 10 * stw_random_below(random, 201);
}

/* RFC 5057 §5.1, RFC 3261 §12.2.1.2. @return true: the session is over */
static bool change_ends(struct stw_session *session, const struct stw_msg *response, unsigned code,
	const struct stw_cause *cause)
{
	struct stw_ua_event event = { .code = code, .msg = response, .cause = cause };

	/* Our own failure to send counts as 503, which ends nothing; silence as 408. */
	if (stw_dialog_effect(code, true) == STW_DIALOG_STAYS)
		return false;
	event.phrase = response ? stw_msg_phrase(response) : stw_str_from(stw_status_phrase(code));
	session_bye(session, STW_STR_NONE, &event);
	return true;
}

/* What only says that the session lives is said again before its time is over. */
static void refresh_again(struct stw_session *session, const struct stw_msg *response)
{
	uint32_t after_s = response ? retry_after_s(response) : 0;

	if (session->interval_s && session->refresher)
		stw_alarm_start(session->ua->stack, &session->refresh,
			(after_s ? after_s : REFRESH_AGAIN_S) * UINT64_C(1000));
}

/* §14.2: an earlier request of ours was not answered yet over there; once, for a change. */
static bool wait_after_overlap(struct stw_session *session, const struct stw_msg *response)
{
	uint32_t after_s = retry_after_s(response);

	if (response->code != 500 || session->change == CHANGE_NONE || session->overlapped ||
		!stw_msg_find(response, STW_HDR_RETRY_AFTER) || after_s > OVERLAP_MAX_S)
		return false;
	session->overlapped = true;
	stw_alarm_start(
		session->ua->stack, &session->glare, after_s ? after_s * UINT64_C(1000) : 1);
	return true;
}

static void change_refused(struct stw_session *session, bool update, const struct stw_msg *response,
	unsigned code, const struct stw_cause *cause)
{
	if (session->sdp)
		stw_sdp_rollback(session->sdp);
	if (code == 491 && response) {
		stw_alarm_start(session->ua->stack, &session->glare, glare_wait_ms(session));
		return;
	}
	if (response && session_raise_interval(session, response) &&
		change_send(session, update, !update) == 0)
		return;
	if (response && wait_after_overlap(session, response))
		return;
	if (session->change != CHANGE_NONE && session->sdp)
		stw_sdp_session_wish(session->sdp, session->wish_before);
	if (session->change == CHANGE_NONE)
		refresh_again(session, response);
	session->change = CHANGE_NONE;
	if (!change_ends(session, response, code, cause))
		tell_changed(session, response, code);
}

/* §13.2.2.4: a 2xx with another To tag is one of another dialog. The peer has lost ours. */
static void tag_changed(
	struct exchange *exchange, const struct stw_msg *response, bool already_answered)
{
	struct stw_session *session = exchange->session;
	struct stw_ua_event event = { .by_us = true,
		.code = stw_cause_ua_tag_changed.code,
		.cause = &stw_cause_ua_tag_changed,
		.phrase = cause_phrase(&stw_cause_ua_tag_changed) };

	if (exchange->method == STW_METHOD_INVITE)
		ack_and_bye(exchange, response);
	session_fault(session, response, &stw_cause_ua_tag_changed);
	if (session->state == STW_SESSION_CONFIRMED && !already_answered)
		session_bye(session, STW_STR_NONE, &event);
}

static void change_final(struct exchange *exchange, const struct stw_msg *response, unsigned code,
	const struct stw_cause *cause)
{
	struct stw_session *session = exchange->session;
	bool invite = exchange->method == STW_METHOD_INVITE, asked_for, is_first;
	struct stw_ua_event event = { .by_us = true,
		.code = stw_cause_ua_bad_answer.code,
		.cause = &stw_cause_ua_bad_answer,
		.phrase = cause_phrase(&stw_cause_ua_bad_answer) };
	int err;

	if (!session) {
		if (invite && code / 100 == 2 && exchange->dialog)
			(void)session_ack(exchange, exchange->dialog, STW_STR_NONE);
		return;
	}
	is_first = exchange == (invite ? session->inviting : session->updating);
	if (invite)
		session->inviting = NULL;
	else
		session->updating = NULL;
	if (code / 100 == 2 && !stw_dialog_has_response(session->dialog, response)) {
		tag_changed(exchange, response, !is_first);
		return;
	}
	if (code / 100 != 2) {
		change_refused(session, !invite, response, code, cause);
		return;
	}
	(void)stw_dialog_refresh(session->dialog, response);
	if (invite) /* before anything is told: the user may end the session then */
		(void)session_ack(exchange, session->dialog, STW_STR_NONE);
	err = session_receive_answer(session, response, response->to.tag);
	if (!invite && !exchange->body.len)
		session_misplaced(session, response);
	timer_agreed(session, response);
	asked_for = session->change != CHANGE_NONE; /* not only that its timer be refreshed */
	if (session->state == STW_SESSION_ENDED)
		return;
	if (err == -EBADMSG ||
		(err == -ENOENT && session->sdp && session->sdp->state == STW_SDP_OFFER_SENT)) {
		session_fault(session, response, &stw_cause_ua_bad_answer);
		session_bye(session, STW_STR_NONE, &event);
		return;
	}
	tell_refreshed(session);
	session->change = CHANGE_NONE; /* until here the next one has to wait */
	if (session->state != STW_SESSION_ENDED && asked_for)
		tell_changed(session, response, code);
}

/* A 1xx to a re-INVITE begins nothing; a reliable one wants its PRACK, and may bring the answer.
 * What others describe is a preview (RFC 6337 §3.1.1): the re-INVITE may still be refused, and then
 * the session is as it was before (§14.1). */
static void change_provisional(struct exchange *exchange, const struct stw_msg *response)
{
	struct stw_session *session = exchange->session;
	uint32_t rseq;

	if (!session || !session->dialog || exchange->method != STW_METHOD_INVITE ||
		response->code == 100 || !is_reliable(response, &rseq) ||
		!session_take_reliable(exchange, session->dialog, &session->change_rseq, response))
		return;
	if (session_receive_answer(session, response, response->to.tag) == -EBADMSG)
		session_fault(session, response, &stw_cause_ua_bad_answer);
}

static const struct exchange_ops change_ops = { .provisional = change_provisional,
	.final = change_final };

/* A request that changes the session, or with CHANGE_NONE only says that it lives. */
static int change_send(struct stw_session *session, bool update, bool offer)
{
	char lines[LINES_MAX];
	struct stw_writer writer;
	struct exchange_options options = { .method =
						    update ? STW_STR("UPDATE") : STW_STR("INVITE"),
		.session = session,
		.dialog = session->dialog,
		.ops = &change_ops };
	int err = 0;

	stw_writer_init(&writer, lines, sizeof(lines));
	ua_write_abilities(session->ua, &writer);
	options.headers = stw_writer_text(&writer);
	if (offer && session->sdp) {
		err = stw_sdp_offer(session->sdp, &options.body);
		options.content_type = STW_STR("application/sdp");
	}
	if (err < 0)
		return err;
	session->change_rseq = 0;
	err = exchange_begin(
		session->ua, &options, update ? &session->updating : &session->inviting);
	if (err < 0 && session->sdp)
		stw_sdp_rollback(session->sdp);
	return err;
}

static bool change_possible(const struct stw_session *session)
{
	return session->state == STW_SESSION_CONFIRMED && !session->inviting &&
	       !session->updating && !session->asked && !stw_timer_running(&session->glare.timer);
}

int change_begin(struct stw_session *session, enum change change)
{
	int err;

	if (session->state != STW_SESSION_CONFIRMED || !session->sdp)
		return -EINVAL;
	if (session->change != CHANGE_NONE || !change_possible(session))
		return -EBUSY;
	session->change = change;
	session->overlapped = false;
	session->wish_before = session->sdp->wish;
	if (change != CHANGE_RENEW)
		stw_sdp_session_wish(
			session->sdp, change == CHANGE_HOLD ? STW_SDP_SENDONLY : STW_SDP_SENDRECV);
	err = change_send(session, false, true);
	if (err < 0)
		session->change = CHANGE_NONE;
	return err;
}

int stw_session_hold(struct stw_session *session, bool hold)
{
	int err;

	session_enter(session);
	err = change_begin(session, hold ? CHANGE_HOLD : CHANGE_RESUME);
	session_leave(session);
	return err;
}

int stw_session_renew(struct stw_session *session)
{
	struct stw_ua *ua = session->ua;
	const struct stw_sdp_abilities *abilities;
	int err;

	if (session->state != STW_SESSION_CONFIRMED || !session->sdp)
		return -EINVAL;
	session_enter(session);
	abilities = ua->options.ops->media(ua->options.user, session);
	if (abilities)
		session->abilities = session->sdp->abilities = abilities;
	err = change_begin(session, CHANGE_RENEW);
	session_leave(session);
	return err;
}

int stw_session_focus(struct stw_session *session)
{
	int err = 0;

	if (session->state == STW_SESSION_ENDED)
		return -EINVAL;
	if (session->focus)
		return 0;
	session->focus = true;
	session_enter(session);
	if (session->state == STW_SESSION_CONFIRMED)
		err = change_begin(session, CHANGE_RENEW);
	session_leave(session);
	return err;
}

void change_fired(struct stw_alarm *alarm)
{
	struct stw_session *session = STW_CONTAINER_OF(alarm, struct stw_session, glare);
	bool asked_for = session->change != CHANGE_NONE;
	int err = 0;

	session_enter(session);
	if (session->state == STW_SESSION_CONFIRMED && !change_possible(session))
		stw_alarm_start(session->ua->stack, &session->glare, glare_wait_ms(session));
	else if (session->state == STW_SESSION_CONFIRMED && !asked_for)
		(void)change_send(session, session->peer_update, !session->peer_update);
	else if (session->state == STW_SESSION_CONFIRMED && session->sdp)
		err = change_send(session, false, true);
	if (err < 0) {
		session->change = CHANGE_NONE;
		tell_changed(session, NULL, 500);
	}
	session_leave(session);
}

void refresh_fired(struct stw_alarm *alarm)
{
	struct stw_session *session = STW_CONTAINER_OF(alarm, struct stw_session, refresh);

	session_enter(session);
	if (!change_possible(session))
		stw_alarm_start(session->ua->stack, &session->refresh, 1000);
	else
		(void)change_send(session, session->peer_update, !session->peer_update);
	session_leave(session);
}

/* ---- theirs
 * -------------------------------------------------------------------------------------- */

static void refuse_offer(struct stw_session *session, struct stw_request *request,
	const struct offer_refusal *refusal)
{
	struct stw_answer answer = { 0 };

	refusal_answer(refusal, &answer);
	ua_answer(session->ua, request, &answer);
}

static void asked_acked(void *user, struct stw_request *request, const struct stw_msg *ack)
{
	struct stw_session *session = user;
	struct stw_ua_event event = { .by_us = true,
		.code = stw_cause_ua_bad_answer.code,
		.cause = &stw_cause_ua_bad_answer,
		.phrase = cause_phrase(&stw_cause_ua_bad_answer) };
	int err = 0;

	session_enter(session);
	stw_request_forget(request);
	session->asked = NULL;
	if (session->sdp && session->sdp->state == STW_SDP_OFFER_SENT)
		err = session_receive_answer(session, ack, ack->from.tag);
	else
		session_misplaced(session, ack);
	if (err < 0) {
		session_fault(session, ack, &stw_cause_ua_bad_answer);
		session_bye(session, STW_STR_NONE, &event);
	}
	session_leave(session);
}

static void asked_unanswered(void *user, struct stw_request *request, unsigned code)
{
	struct stw_session *session = user;
	struct stw_ua_event event = { .by_us = true,
		.code = 408,
		.cause = &stw_cause_ack_of_2xx_missing,
		.phrase = cause_phrase(&stw_cause_ack_of_2xx_missing) };

	(void)code;
	session_enter(session);
	stw_request_forget(request);
	session->asked = NULL;
	session_bye(session, STW_STR_NONE, &event);
	session_leave(session);
}

static void asked_done(void *user, struct stw_request *request)
{
	struct stw_session *session = user;

	if (session->asked == request)
		session->asked = NULL;
}

static const struct stw_server_ops asked_ops = {
	.acked = asked_acked, .unanswered = asked_unanswered, .done = asked_done
};

/* 200 with our answer, or to a re-INVITE without an offer with ours (§14.2). */
static void accept_change(
	struct stw_session *session, struct stw_request *request, bool offered, bool invite)
{
	struct stw_answer answer = { .code = 200,
		.dialog = true,
		.contact_user = session->ua->contact_user,
		.contact_params = session_contact_params(session) };
	bool stands = session->state == STW_SESSION_CONFIRMED;
	char lines[LINES_MAX];
	struct stw_writer writer;
	int err = 0;

	stw_writer_init(&writer, lines, sizeof(lines));
	ua_write_abilities(session->ua, &writer);
	if (stands)
		timer_answer(session, request->msg, &writer);
	answer.headers = stw_writer_text(&writer);
	if (offered)
		err = stw_sdp_answer(session->sdp, &answer.body);
	else if (invite && session->sdp)
		err = stw_sdp_offer(session->sdp, &answer.body);
	if (answer.body.len)
		answer.content_type = STW_STR("application/sdp");
	if (err == 0 && invite)
		err = stw_request_take(request, &asked_ops, session);
	if (err < 0)
		answer = (struct stw_answer){ .code = 500, .cause = &stw_cause_out_of_memory };
	if (err == 0)
		(void)stw_dialog_refresh(session_dialog_of(session, request->msg), request->msg);
	if (err == 0 && invite)
		session->asked = request;
	ua_answer(session->ua, request, &answer);
	if (answer.code != 200)
		return;
	if (stands)
		tell_refreshed(session);
	if (offered && session->state != STW_SESSION_ENDED)
		session_tell_media(session);
	session->described_anew |= offered && !stands;
	qos_step(session);
}

static void asked(struct stw_session *session, struct stw_request *request, bool invite)
{
	const struct stw_msg *msg = request->msg;
	struct offer_refusal refusal;
	int err;

	/* Before the 2xx each fork has a description of its own: what one asks for is not said of
	 * the one that is heard. */
	if (session->earlies)
		err = session_receive_fork_offer(session, msg, msg->from.tag, &refusal);
	else
		err = session_receive_offer(session, msg, &refusal);
	if (err < 0 && err != -ENOENT)
		refuse_offer(session, request, &refusal);
	else
		accept_change(session, request, err == 0, invite);
}

void change_asked(struct stw_session *session, struct stw_request *request)
{
	asked(session, request, true);
}

void update_asked(struct stw_session *session, struct stw_request *request)
{
	asked(session, request, false);
}
