/* SPDX-License-Identifier: Apache-2.0 */
/* The called side: an INVITE from its arrival to its ACK (RFC 3261 §13.3, RFC 3262 §3). */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define EXTEND_S          60
#define EXTEND_RELIABLE_S 150

static const struct stw_server_ops invite_ops_called;

/* ---- answering ------------------------------------------------------------------------------ */

/* Contact, and the lines that each response of a dialog has. */
static void answer_begin(struct stw_session *session, struct stw_answer *answer,
	struct stw_writer *writer, char *lines, size_t size)
{
	struct stw_ua *ua = session->ua;

	stw_writer_init(writer, lines, size);
	ua_write_abilities(ua, writer);
	if (ua->options.agent.len)
		stw_write_format(writer, "Server: %.*s\r\n", STW_STR_ARG(ua->options.agent));
	if (session->asked->msg->to.tag.ptr == NULL)
		answer->to_tag = session->dialog->local_tag;
	answer->contact_user = ua->contact_user;
	answer->contact_params = session_contact_params(session);
}

/* Our answer to their offer, made once and repeated; else our offer when they have sent none, until
 * it is answered: in a PRACK, so that nothing is left for the 2xx (RFC 3262 §5). An answer that
 * could not be taken has ended the exchange: the offer is made anew. Behind an UPDATE there is
 * nothing left to say, nor while ours is under way. */
static int answer_description(struct stw_session *session, struct stw_answer *answer)
{
	int err = 0;

	if (!session->sdp || session->described_anew || session->updating)
		return 0;
	if (!session->they_offered && session->sdp->state == STW_SDP_STABLE && session->agreed)
		return 0;
	if (!session->they_offered && session->sdp->state == STW_SDP_STABLE)
		err = stw_sdp_offer(session->sdp, &answer->body);
	else if (session->sdp->state == STW_SDP_OFFER_RECEIVED)
		err = stw_sdp_answer(session->sdp, &answer->body);
	else
		answer->body =
			(struct stw_str){ session->sdp->written, session->sdp->written_bytes };
	if (err < 0)
		return err;
	answer->content_type = STW_STR("application/sdp");
	session->we_answered = true;
	return 0;
}

static bool wants_reliable(const struct stw_session *session)
{
	const struct stw_msg *msg = session->asked->msg;

	if (session->suspended || stw_msg_has_token(msg, STW_HDR_REQUIRE, STW_STR("100rel")))
		return true;
	return session->ua->options.policy.reliable &&
	       stw_msg_has_token(msg, STW_HDR_SUPPORTED, STW_STR("100rel"));
}

/* §13.3.1.1, RFC 3262 §1: so that no proxy on the way takes the call for lost. */
static void extend_later(struct stw_session *session, unsigned code, bool reliable)
{
	session->rung = code;
	stw_alarm_start(session->ua->stack, &session->extend,
		(reliable ? EXTEND_RELIABLE_S : EXTEND_S) * UINT64_C(1000));
}

/* `describe`: with our answer, or offer; it is not repeated in a second reliable response. */
static int ring_send(struct stw_session *session, unsigned code, bool describe)
{
	struct stw_answer answer = { .code = code, .dialog = true };
	char lines[LINES_MAX];
	struct stw_writer writer;
	int err = 0;

	answer_begin(session, &answer, &writer, lines, sizeof(lines));
	answer.headers = stw_writer_text(&writer);
	answer.reliable = wants_reliable(session);
	if (answer.reliable && stw_request_awaits_prack(session->asked)) {
		session->ring_code = code; /* with the next PRACK; nothing is described before */
		return 0;
	}
	/* An offer of ours needs a PRACK to bring the answer (RFC 3262 §5). */
	if (code == 183 && (describe || !answer.reliable) &&
		(session->they_offered || (answer.reliable && session_has_media(session))))
		err = answer_description(session, &answer);
	if (err == 0)
		err = stw_request_answer(session->asked, &answer);
	session->ringing = session->ringing || err == 0;
	if (err == 0)
		extend_later(session, code, answer.reliable);
	if (err == 0 && describe && code == 183 && answer.body.len && session->they_offered)
		session_tell_media(session);
	return err;
}

int ring_now(struct stw_session *session, unsigned code)
{
	return ring_send(session, code, true);
}

void extend_fired(struct stw_alarm *alarm)
{
	struct stw_session *session = STW_CONTAINER_OF(alarm, struct stw_session, extend);

	session_enter(session);
	if (session->state == STW_SESSION_INCOMING && session->asked)
		(void)ring_send(session, session->rung, false);
	session_leave(session);
}

int stw_session_ring(struct stw_session *session, unsigned code)
{
	int err;

	if (session->state != STW_SESSION_INCOMING || code < 101 || code > 199)
		return -EINVAL;
	if (session->suspended)
		return -EAGAIN;
	session_enter(session);
	err = ring_now(session, code);
	session_leave(session);
	return err;
}

static int accept_now(struct stw_session *session)
{
	struct stw_answer answer = { .code = 200, .dialog = true };
	struct stw_ua_event event = {
		.kind = STW_UA_ACCEPTED, .code = 200, .phrase = STW_STR("OK")
	};
	bool agreed = session->they_offered && !session->agreed;
	char lines[LINES_MAX];
	struct stw_writer writer;
	int err;

	answer_begin(session, &answer, &writer, lines, sizeof(lines));
	timer_answer(session, session->asked->msg, &writer);
	mode_write(session, &writer);
	answer.headers = stw_writer_text(&writer);
	if (!session->they_offered)
		(void)session_has_media(session);
	err = answer_description(session, &answer);
	if (err == 0)
		err = stw_request_answer(session->asked, &answer);
	if (err < 0)
		return err;
	stw_alarm_stop(session->ua->stack, &session->ring);
	stw_alarm_stop(session->ua->stack, &session->extend);
	stw_dialog_confirm_uas(session->dialog);
	session->state = STW_SESSION_ACCEPTED;
	session_tell(session, &event);
	if (agreed && session->sdp && session->state != STW_SESSION_ENDED)
		session_tell_media(session);
	return 0;
}

/* RFC 3262 §3: an answer or offer that waits for its PRACK comes before the 2xx. */
int stw_session_accept(struct stw_session *session)
{
	int err;

	if (session->state != STW_SESSION_INCOMING)
		return -EINVAL;
	if (session->suspended)
		return -EAGAIN;
	if (stw_request_awaits_prack(session->asked) && session->we_answered) {
		session->accept_waits = true;
		return 0;
	}
	session_enter(session);
	err = accept_now(session);
	session_leave(session);
	return err;
}

static void refuse_now(struct stw_session *session, const struct stw_answer *answer, bool by_us)
{
	struct stw_request *asked = session->asked;

	(void)stw_request_answer(asked, answer);
	stw_request_forget(asked);
	session->asked = NULL;
	session_over_code(session, NULL, answer->code, answer->cause, by_us);
}

/* RFC 6228 §5: only where proxies on the way are known not to do it. */
static void early_dialog_over(struct stw_session *session, unsigned code, struct stw_str phrase)
{
	const struct stw_msg *invite = session->asked->msg;
	struct stw_answer answer = { .code = 199, .to_tag = session->dialog->local_tag };
	char lines[TEXT_MAX];
	struct stw_writer writer;

	if (!session->ua->options.policy.send_199 || !session->ringing ||
		!stw_msg_has_token(invite, STW_HDR_SUPPORTED, STW_STR("199")))
		return;
	stw_writer_init(&writer, lines, sizeof(lines));
	stw_write_format(&writer, "Reason: SIP;cause=%u;text=\"%.*s\"\r\n", code,
		STW_STR_ARG(phrase.len ? phrase : stw_str_from(stw_status_phrase(code))));
	answer.headers = stw_writer_text(&writer);
	answer.reliable = stw_msg_has_token(invite, STW_HDR_REQUIRE, STW_STR("100rel"));
	(void)stw_request_answer(session->asked, &answer);
}

int stw_session_refuse(
	struct stw_session *session, unsigned code, struct stw_str phrase, struct stw_str headers)
{
	struct stw_answer answer = { .code = code, .phrase = phrase, .headers = headers };

	if (session->state != STW_SESSION_INCOMING || code < 300 || code > 699)
		return -EINVAL;
	session_enter(session);
	answer.to_tag = session->dialog->local_tag;
	early_dialog_over(session, code, phrase);
	refuse_now(session, &answer, true);
	session_leave(session);
	return 0;
}

void called_end(struct stw_session *session)
{
	struct stw_ua_event event = { .by_us = true, .code = 200, .phrase = STW_STR("OK") };

	session_bye(session, STW_STR_NONE, &event);
}

/* ---- what comes of it --------------------------------------------------------------------------
 */

static void invite_cancelled(void *user, struct stw_request *request, const struct stw_msg *cancel)
{
	struct stw_session *session = user;
	struct stw_answer answer = { .code = 487, .cause = &stw_cause_ua_cancelled };

	(void)request;
	session_enter(session);
	answer.to_tag = session->dialog->local_tag;
	(void)stw_request_answer(session->asked, &answer);
	stw_request_forget(session->asked);
	session->asked = NULL;
	session_over_code(session, cancel, 487, &stw_cause_ua_cancelled, false);
	session_leave(session);
}

static void invite_acked(void *user, struct stw_request *request, const struct stw_msg *ack)
{
	struct stw_session *session = user;
	struct stw_ua_event event = { .by_us = true,
		.code = 488,
		.phrase = cause_phrase(&stw_cause_ua_bad_answer),
		.cause = &stw_cause_ua_bad_answer };
	/* That of an UPDATE is answered by its own response. */
	bool our_offer =
		session->sdp && session->sdp->state == STW_SDP_OFFER_SENT && !session->updating;
	int err = 0;

	session_enter(session);
	stw_request_forget(request);
	session->asked = NULL;
	if (our_offer)
		err = session_receive_answer(session, ack, ack->from.tag);
	else
		session_misplaced(session, ack);
	session->state = STW_SESSION_CONFIRMED;
	if (session->ending_by_us) {
		called_end(session);
	} else if (our_offer && err < 0) {
		session_fault(session, ack, &stw_cause_ua_bad_answer);
		session_bye(session, STW_STR_NONE, &event);
	} else {
		session_established(session);
	}
	session_leave(session);
}

/* A PRACK that counts is answered 2xx (RFC 3262 §3): an offer that cannot be taken gets an answer
 * with port 0 there, and the INVITE the refusal (RFC 6337 §2.2). `answer` borrows `body`. */
static void prack_reject(struct stw_session *session, const struct stw_msg *prack,
	struct stw_answer *answer, char body[STW_SDP_WRITTEN_MAX])
{
	struct stw_writer writer;
	struct stw_str offer;

	stw_writer_init(&writer, body, STW_SDP_WRITTEN_MAX);
	if (!stw_body_description(prack, &offer) ||
		stw_sdp_reject(offer, session->sdp->id, &writer) < 0)
		return;
	answer->body = stw_writer_text(&writer);
	answer->content_type = STW_STR("application/sdp");
}

/* An answer to our offer, or an offer of theirs (RFC 3262 §5).
 * @return false: `refusal` says why it cannot be taken */
static bool prack_description(struct stw_session *session, const struct stw_msg *prack,
	struct stw_answer *answer, struct offer_refusal *refusal)
{
	int err;

	if (!session->sdp)
		return true;
	if (session->sdp->state == STW_SDP_OFFER_SENT) {
		if (session_receive_answer(session, prack, prack->from.tag) == -EBADMSG)
			session_fault(session, prack, &stw_cause_ua_bad_answer);
		return true;
	}
	if (session->sdp->state == STW_SDP_OFFER_RECEIVED) {
		session_misplaced(session, prack);
		return true;
	}
	err = session_receive_offer(session, prack, refusal);
	if (err < 0)
		return err == -ENOENT;
	if (stw_sdp_answer(session->sdp, &answer->body) == 0) {
		answer->content_type = STW_STR("application/sdp");
		session_tell_media(session);
	}
	return true;
}

/* What follows a PRACK: the next one, or the 2xx. */
static void after_prack(struct stw_session *session)
{
	unsigned code = session->ring_code;

	session->ring_code = 0;
	qos_step(session);
	if (session->state == STW_SESSION_INCOMING && session->accept_waits)
		(void)accept_now(session);
	else if (session->state == STW_SESSION_INCOMING && code)
		(void)ring_now(session, code);
}

/* RFC 3261 §8.2.2.3, which holds for a PRACK too. It has done nothing then: the response is
 * repeated until another one comes. */
static bool prack_passes(void *user, struct stw_request *request, struct stw_request *prack)
{
	struct stw_session *session = user;
	struct ua_check check = { .ua = session->ua, .request = prack, .session = session };

	(void)request;
	if (!ua_check_require(&check))
		return true;
	session_enter(session);
	ua_refuse(session->ua, prack, check.refusal.cause, check.refusal.headers, session);
	session_leave(session);
	return false;
}

static void invite_pracked(void *user, struct stw_request *request, struct stw_request *prack)
{
	struct stw_session *session = user;
	struct stw_answer answer = { .code = 200 }, refused = { 0 };
	struct offer_refusal refusal;
	char body[STW_SDP_WRITTEN_MAX];
	bool taken;

	(void)request;
	session_enter(session);
	(void)stw_dialog_receive(session->dialog, prack->msg);
	taken = prack_description(session, prack->msg, &answer, &refusal);
	if (!taken)
		prack_reject(session, prack->msg, &answer, body);
	ua_answer(session->ua, prack, &answer);
	if (taken) {
		after_prack(session);
	} else if (session->state == STW_SESSION_INCOMING) {
		refusal_answer(&refusal, &refused);
		refused.to_tag = session->dialog->local_tag;
		refuse_now(session, &refused, true);
	}
	session_leave(session);
}

/* §13.3.1.4: BYE; RFC 3262 §3: the INVITE is refused. */
static void invite_unanswered(void *user, struct stw_request *request, unsigned code)
{
	struct stw_session *session = user;
	struct stw_answer answer = { .code = 504, .cause = &stw_cause_prack_missing };
	struct stw_ua_event event = { .by_us = true,
		.code = 408,
		.phrase = cause_phrase(&stw_cause_ack_of_2xx_missing),
		.cause = &stw_cause_ack_of_2xx_missing };

	session_enter(session);
	if (code < 200) {
		refuse_now(session, &answer, true);
	} else {
		stw_request_forget(request);
		session->asked = NULL;
		session_bye(session, STW_STR_NONE, &event);
	}
	session_leave(session);
}

static void invite_done(void *user, struct stw_request *request)
{
	struct stw_session *session = user;

	if (session->asked == request)
		session->asked = NULL;
}

static const struct stw_server_ops invite_ops_called = { .cancelled = invite_cancelled,
	.acked = invite_acked,
	.prack_passes = prack_passes,
	.pracked = invite_pracked,
	.unanswered = invite_unanswered,
	.done = invite_done };

/* ---- an INVITE arrives -------------------------------------------------------------------------
 */

static void refuse_request(struct stw_ua *ua, struct stw_request *request, unsigned code,
	const struct stw_cause *cause)
{
	struct stw_answer answer = { .code = code, .cause = cause };
	struct stw_ua_event event = { .kind = STW_UA_REFUSED,
		.msg = request->msg,
		.code = code,
		.cause = cause,
		.phrase = cause_phrase(cause) };

	ua_answer(ua, request, &answer);
	ua_tell(ua, &event);
}

const struct stw_cause *called_refusal(const struct stw_ua *ua, unsigned others,
	const struct stw_msg *msg, struct stw_writer *writer)
{
	const struct stw_ua_policy *policy = &ua->options.policy;

	if (policy->dnd)
		return &stw_cause_ua_dnd;
	if (policy->lines && others >= policy->lines)
		return policy->busy_everywhere ? &stw_cause_ua_busy_everywhere : &stw_cause_ua_busy;
	if (!policy->redirect.len)
		return mode_refusal(ua, msg);
	stw_write_format(writer, "Contact: %.*s\r\n", STW_STR_ARG(policy->redirect));
	return &stw_cause_ua_redirect;
}

static void answer_by_policy(struct stw_session *session)
{
	const struct stw_ua_policy *policy = &session->ua->options.policy;

	session->automatic = true;
	if (!policy->then || policy->then / 100 == 2)
		(void)stw_session_accept(session);
	else
		(void)stw_session_refuse(
			session, policy->then, policy->then_phrase, policy->then_headers);
}

static void ring_fired(struct stw_alarm *alarm)
{
	struct stw_session *session = STW_CONTAINER_OF(alarm, struct stw_session, ring);

	session_enter(session);
	answer_by_policy(session);
	session_leave(session);
}

void ring_by_policy(struct stw_session *session)
{
	const struct stw_ua_policy *policy = &session->ua->options.policy;

	if (session->state != STW_SESSION_INCOMING)
		return;
	if (!policy->automatic && answers_at_once(session)) {
		session->automatic = true;
		(void)stw_session_accept(session);
	}
	if (!policy->automatic)
		return;
	if (!policy->ring_ms || answers_at_once(session)) {
		answer_by_policy(session);
		return;
	}
	(void)stw_session_ring(session, policy->early_media ? 183 : 180);
	session->ring.fired = ring_fired;
	stw_alarm_start(session->ua->stack, &session->ring, policy->ring_ms);
}

/* Their offer, then the user's state. @return false: it was refused */
static bool invite_passes(struct stw_session *session, const struct named *named)
{
	struct offer_refusal refusal;
	struct stw_answer answer = { .to_tag = session->dialog->local_tag };
	struct stw_ua_event refused = { .kind = STW_UA_REFUSED, .msg = session->invite };
	char lines[TEXT_MAX];
	struct stw_writer writer;
	int err = session_receive_offer(session, session->asked->msg, &refusal);

	stw_writer_init(&writer, lines, sizeof(lines));
	session->they_offered = err != -ENOENT;
	if (err < 0 && err != -ENOENT) {
		refusal_answer(&refusal, &answer);
	} else {
		answer.cause = qos_refusal(session, named->session != NULL, &answer.headers);
		if (!answer.cause && (!named->session || named->join)) {
			answer.cause = called_refusal(session->ua, session->ua->session_count - 1,
				session->invite, &writer);
			answer.headers = stw_writer_text(&writer);
		}
		answer.code = answer.cause ? answer.cause->code : 0;
	}
	if (!answer.code)
		return true;
	refused.code = answer.code;
	refused.cause = answer.cause;
	refused.phrase = cause_phrase(answer.cause);
	ua_answer(session->ua, session->asked, &answer);
	stw_request_forget(session->asked);
	session->asked = NULL;
	session->state = STW_SESSION_ENDED; /* nobody has heard of it */
	ua_tell(session->ua, &refused);
	return false;
}

/* RFC 3891 §3: the new one is accepted at once, the old one ends. */
static void replace(struct stw_session *session, struct stw_session *old)
{
	struct stw_ua_event event = { .kind = STW_UA_REPLACED, .other = session };

	if (stw_session_accept(session) == 0) {
		session_tell(old, &event);
		stw_session_end(old, STW_STR_NONE);
	}
}

/* RFC 3911 §4: it belongs to the conversation of the other one. Who already talks need not be asked
 * again; what still rings here does not become heard by that. Both hear of the focus (RFC 4579 §4).
 */
static void join(struct stw_session *session, struct stw_session *other)
{
	struct stw_ua_event event = { .kind = STW_UA_JOINED, .other = other };

	session->focus = true;
	session_tell(session, &event);
	if (session->state == STW_SESSION_INCOMING && other->state == STW_SESSION_INCOMING)
		ring_by_policy(session);
	else if (session->state == STW_SESSION_INCOMING)
		(void)stw_session_accept(session);
	(void)stw_session_focus(other);
}

/* Nothing is wrong with it, and its user knows of it. */
static void incoming(struct stw_session *session, const struct named *named)
{
	if (session->state != STW_SESSION_INCOMING)
		return;
	if (session->suspended)
		qos_suspend(session);
	else if (!named->session || named->session->state == STW_SESSION_ENDED)
		ring_by_policy(session);
	else if (named->join)
		join(session, named->session);
	else
		replace(session, named->session);
}

static void invite_begin(struct stw_ua *ua, struct stw_request *request, const struct named *named)
{
	struct stw_ua_event event = { .kind = STW_UA_INCOMING, .msg = request->msg };
	struct stw_session *session;
	const struct stw_cause *cause;
	int err;

	if (session_new(ua, false, &session) < 0) {
		refuse_request(ua, request, 503, &stw_cause_ua_sessions);
		return;
	}
	session_enter(session);
	session->state = STW_SESSION_ENDED; /* until it is whole */
	err = stw_dialog_new_uas(request->msg, stw_request_tag(request), &session->dialog);
	if (err < 0) {
		cause = dialog_cause(err);
		refuse_request(ua, request, cause_code(cause), cause);
	} else if (session_keep_invite(session, request->msg) < 0 ||
		   stw_request_take(request, &invite_ops_called, session) < 0) {
		refuse_request(ua, request, 500, &stw_cause_out_of_memory);
	} else {
		session->state = STW_SESSION_INCOMING;
		session->asked = request;
		session->peer_update =
			stw_msg_has_token(request->msg, STW_HDR_ALLOW, STW_STR("UPDATE"));
		event.msg = session->invite;
		if (invite_passes(session, named)) {
			session_tell(session, &event);
			incoming(session, named);
		}
	}
	session_leave(session);
}

void called_invite(struct stw_ua *ua, struct stw_request *request)
{
	struct named named;

	named_find(ua, request->msg, &named);
	if (named.cause) {
		refuse_request(ua, request, named.cause->code, named.cause);
		return;
	}
	if (named.session) /* its user may end it in any event of the new one */
		session_enter(named.session);
	invite_begin(ua, request, &named);
	if (named.session)
		session_leave(named.session);
}
