/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: how they begin and end, whoever has called. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- life -------------------------------------------------------------------------------- */

int session_new(struct stw_ua *ua, bool caller, struct stw_session **ret)
{
	struct stw_session *session;

	if (ua->session_count >= ua_max_sessions(ua))
		return -ENOBUFS;
	session = calloc(1, sizeof(*session));
	if (!session)
		return -ENOMEM;
	session->ua = ua;
	session->caller = caller;
	session->state = caller ? STW_SESSION_CALLING : STW_SESSION_INCOMING;
	session->min_se_s = ua->options.policy.min_se_s;
	session->glare.fired = change_fired;
	session->extend.fired = extend_fired;
	session->refresh.fired = refresh_fired;
	session->expiry.fired = expiry_fired;
	session->next = ua->sessions;
	session->link = &ua->sessions;
	if (ua->sessions)
		ua->sessions->link = &session->next;
	ua->sessions = session;
	ua->session_count++;
	*ret = session;
	return 0;
}

/* Requests of ours that are under way have no session any more, nor its dialog. */
static void session_leave_exchanges(struct stw_session *session)
{
	struct exchange *exchange, *next;

	for (exchange = session->ua->exchanges; exchange; exchange = next) {
		next = exchange->next;
		if (exchange->session == session)
			exchange_orphan(exchange);
	}
}

/* While something of it is at work it is not freed, whatever its user does meanwhile. */
void session_enter(struct stw_session *session)
{
	session->busy++;
}

void session_leave(struct stw_session *session)
{
	if (--session->busy == 0 && session->state == STW_SESSION_ENDED)
		session_free(session);
}

void session_free(struct stw_session *session)
{
	const struct stw_ua_options *options = &session->ua->options;
	struct stw_stack *stack = session->ua->stack;

	if (session->abilities && options->ops->media_done)
		options->ops->media_done(options->user, session);
	*session->link = session->next;
	if (session->next)
		session->next->link = session->link;
	session->ua->session_count--;
	stw_alarm_stop(stack, &session->ring);
	stw_alarm_stop(stack, &session->extend);
	stw_alarm_stop(stack, &session->glare);
	stw_alarm_stop(stack, &session->reserve);
	timer_stop(session);
	session_leave_exchanges(session);
	referrals_leave(session, session->dialog);
	if (session->asked)
		stw_request_forget(session->asked);
	earlies_free(&session->earlies);
	if (session->dialog)
		named_forget(session->ua, session->dialog);
	stw_dialog_free(session->dialog);
	stw_block_unref(session->invite_block);
	free(session->sdp);
	free(session->sdp_before);
	free(session);
}

int session_keep_invite(struct stw_session *session, const struct stw_msg *msg)
{
	return stw_msg_keep(msg, &session->invite_block, &session->invite);
}

struct stw_dialog *session_dialog_of(
	const struct stw_session *session, const struct stw_msg *request)
{
	const struct early *early = session->earlies;

	if (session->dialog && stw_dialog_has_request(session->dialog, request))
		return session->dialog;
	while (early && !stw_dialog_has_request(early->dialog, request))
		early = early->next;
	return early ? early->dialog : NULL;
}

struct stw_session *session_find(const struct stw_ua *ua, const struct stw_msg *request)
{
	struct stw_session *session = ua->sessions;

	while (session &&
		(session->state == STW_SESSION_ENDED || !session_dialog_of(session, request)))
		session = session->next;
	return session;
}

/* ---- telling -----------------------------------------------------------------------------------
 */

void session_tell(struct stw_session *session, struct stw_ua_event *event)
{
	event->session = session;
	ua_tell(session->ua, event);
}

void session_fault(
	struct stw_session *session, const struct stw_msg *msg, const struct stw_cause *cause)
{
	struct stw_ua_event event = { .kind = STW_UA_FAULT,
		.msg = msg,
		.cause = cause,
		.phrase = cause_phrase(cause),
		.code = cause->code };

	session_tell(session, &event);
}

void session_established(struct stw_session *session)
{
	struct stw_ua_event event = { .kind = STW_UA_ESTABLISHED };

	session->state = STW_SESSION_CONFIRMED;
	timer_start(session);
	if (session->media_waits) { /* whatever was demanded: the call stands */
		session->media_waits = false;
		session_media_is_there(session);
	}
	if (session->state != STW_SESSION_ENDED)
		session_tell(session, &event);
}

struct stw_str session_contact_params(const struct stw_session *session)
{
	return session->focus ? STW_STR(";isfocus") : STW_STR_NONE;
}

/* ---- the end --------------------------------------------------------------------------------- */

void session_over(struct stw_session *session, struct stw_ua_event *event)
{
	if (session->state == STW_SESSION_ENDED)
		return;
	session_enter(session);
	session->state = STW_SESSION_ENDED;
	event->kind = STW_UA_ENDED;
	if (session->referred_by)
		referral_notify(session->referred_by, event->code, event->phrase);
	session_tell(session, event);
	session_leave(session);
}

void session_over_code(struct stw_session *session, const struct stw_msg *msg, unsigned code,
	const struct stw_cause *cause, bool by_us)
{
	struct stw_ua_event event = { .code = code, .msg = msg, .cause = cause, .by_us = by_us };

	if (msg && !msg->is_request && msg->code == code) {
		event.phrase = stw_msg_phrase(msg);
		event.text = stw_msg_value(msg, STW_HDR_REASON);
		event.retry_s = retry_after_s(msg);
	} else if (cause && cause_code(cause) == code) {
		event.phrase = cause_phrase(cause);
	}
	if (msg && msg->is_request)
		event.text = stw_msg_value(msg, STW_HDR_REASON);
	if (!event.phrase.len)
		event.phrase = stw_str_from(stw_status_phrase(code));
	session_over(session, &event);
}

/* §15.1.1: whatever is answered to the BYE, the session is over. A 500 says that another request of
 * the dialog has overtaken it (§12.2.2), so that it is not over for the peer: another BYE is sent.
 */
static void bye_final(struct exchange *exchange, const struct stw_msg *response, unsigned code,
	const struct stw_cause *cause)
{
	(void)cause;
	if (!response || code != 500 || exchange->overtaken++ == BYES_MAX)
		return;
	exchange->finished = exchange_send(exchange) < 0;
}

static const struct exchange_ops bye_ops = { .final = bye_final };

void session_bye(struct stw_session *session, struct stw_str reason, struct stw_ua_event *event)
{
	struct exchange_options options = { .method = STW_STR("BYE"),
		.headers = reason,
		.dialog = session->dialog,
		.owns_dialog = true,
		.anonymous = session->anonymous,
		.ops = &bye_ops };
	struct stw_dialog *dialog = session->dialog;

	session_leave_exchanges(session);
	/* The dialog is that of the BYE from here on: what the peer still asks in it is 481. */
	session->dialog = NULL;
	if (dialog)
		named_forget(session->ua, dialog);
	referrals_leave(session, dialog);
	if (dialog && exchange_begin(session->ua, &options, NULL) < 0)
		stw_dialog_free(dialog);
	session_over(session, event);
}

void stw_session_end(struct stw_session *session, struct stw_str reason)
{
	struct stw_ua_event event = { .by_us = true, .code = 200, .phrase = STW_STR("OK") };

	switch (session->state) {
	case STW_SESSION_CALLING:
		caller_end(session, reason);
		break;
	case STW_SESSION_INCOMING:
		stw_session_refuse(session, 480, STW_STR_NONE, STW_STR_NONE);
		break;
	case STW_SESSION_ACCEPTED:
		/* §15: not before the ACK, or its time-out. */
		session->ending_by_us = true;
		break;
	case STW_SESSION_CONFIRMED:
		session_bye(session, reason, &event);
		break;
	case STW_SESSION_ENDED:
		break;
	}
}

/* ---- questions ----------------------------------------------------------------------------------
 */

enum stw_session_state stw_session_state(const struct stw_session *session)
{
	return session->state;
}

const struct stw_dialog *stw_session_dialog(const struct stw_session *session)
{
	return session->dialog;
}

const struct stw_sdp_stream *stw_session_stream(const struct stw_session *session)
{
	return session->agreed ? &session->sdp->stream : NULL;
}

bool stw_session_is_caller(const struct stw_session *session)
{
	return session->caller;
}

const struct stw_msg *stw_session_invite(const struct stw_session *session)
{
	return session->invite;
}

void stw_session_set_user(struct stw_session *session, void *user)
{
	session->user = user;
}

void *stw_session_user(const struct stw_session *session)
{
	return session->user;
}
