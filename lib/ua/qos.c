/* SPDX-License-Identifier: Apache-2.0 */
/* Preconditions: nobody is alerted before the network is ready on both sides (RFC 3312 §6, §7; RFC
 * 4032). What the descriptions say of it is lib/sdp's; when it is said stands here. */
#include "internal.h"

#include <errno.h>

#define PATIENCE_MS 60000 /* for what the caller has to do */

static void reserve_fired(struct stw_alarm *alarm);

static bool is_used(const struct stw_session *session)
{
	return session->sdp && session->sdp->qos.used;
}

/* Without a reservation that takes time ours is there from the beginning, and is told with our
 * first description. */
void qos_prepare(struct stw_session *session)
{
	const struct stw_ua_policy *policy = &session->ua->options.policy;

	if (session->sdp && policy->qos && !policy->qos_fails && !policy->reserve_ms)
		stw_sdp_qos_reserved(session->sdp, STW_SDP_SENDRECV);
}

/* §5.2: an offer was answered, reserving begins. Once. */
void qos_begin(struct stw_session *session)
{
	const struct stw_ua_policy *policy = &session->ua->options.policy;

	if (!is_used(session) || session->reserving || policy->qos_fails)
		return;
	session->reserving = true;
	session->reserve.fired = reserve_fired;
	if (policy->reserve_ms)
		stw_alarm_start(session->ua->stack, &session->reserve, policy->reserve_ms);
}

/* ---- our UPDATE -------------------------------------------------------------------------------
 */

/* RFC 3311 §5.1: not before what was offered has been answered, and reliably so. */
static struct stw_dialog *update_dialog(struct stw_session *session)
{
	struct early *early;

	if (session->updating || !session->peer_update || session->sdp->state != STW_SDP_STABLE)
		return NULL;
	if (session->asked && stw_request_awaits_prack(session->asked))
		return NULL;
	if (session->dialog)
		return session->dialog;
	early = session_early(session, session->answered_tag);
	return early ? early->dialog : NULL;
}

static void qos_failed(struct stw_session *session)
{
	if (session->caller)
		caller_end(session,
			STW_STR("Reason: SIP;cause=580;text=\"Precondition Failure\"\r\n"));
	else
		(void)stw_session_refuse(
			session, 580, cause_phrase(&stw_cause_ua_precondition), STW_STR_NONE);
}

/* RFC 6141 §4.7, §4.9: of the dialog that the request had a copy of. */
static void refresh_dialog(
	struct stw_session *session, const struct stw_dialog *copy, const struct stw_msg *response)
{
	struct early *early;

	if (session->dialog) {
		(void)stw_dialog_refresh(session->dialog, response);
		return;
	}
	early = session_early(session, copy->remote_tag);
	if (early)
		(void)stw_dialog_refresh(early->dialog, response);
}

static void update_final(struct exchange *exchange, const struct stw_msg *response, unsigned code,
	const struct stw_cause *cause)
{
	struct stw_session *session = exchange->session;

	(void)cause;
	if (!session)
		return;
	session->updating = NULL;
	if (code / 100 == 2)
		refresh_dialog(session, exchange->dialog, response);
	if (code / 100 == 2 && session_receive_answer(session, response, response->to.tag) == 0) {
		session->described_anew = true;
		qos_step(session);
		return;
	}
	stw_sdp_rollback(session->sdp);
	if (code == 491)
		stw_alarm_start(session->ua->stack, &session->reserve, glare_wait_ms(session));
	else if (session->state != STW_SESSION_CONFIRMED)
		qos_failed(session);
}

/* §7: ours is met and they have asked to be told. The request keeps the dialog, which may end
 * before its answer comes. */
static bool update_send(struct stw_session *session, struct stw_dialog *dialog)
{
	static const struct exchange_ops ops = { .final = update_final };
	char lines[LINES_MAX];
	struct stw_writer writer;
	struct exchange_options options = { .method = STW_STR("UPDATE"),
		.content_type = STW_STR("application/sdp"),
		.session = session,
		.owns_dialog = true,
		.ops = &ops };

	stw_writer_init(&writer, lines, sizeof(lines));
	ua_write_abilities(session->ua, &writer);
	options.headers = stw_writer_text(&writer);
	options.dialog = stw_dialog_ref(dialog);
	if (stw_sdp_offer(session->sdp, &options.body) == 0 &&
		exchange_begin(session->ua, &options, &session->updating) == 0)
		return true;
	stw_sdp_rollback(session->sdp);
	stw_dialog_free(options.dialog);
	return false;
}

/* ---- suspended -------------------------------------------------------------------------------
 */

static void qos_resume(struct stw_session *session)
{
	struct stw_ua_event event = { .kind = STW_UA_PRECONDITIONS };

	session->suspended = false;
	stw_alarm_stop(session->ua->stack, &session->ring);
	session_tell(session, &event);
	if (session->state == STW_SESSION_INCOMING)
		ring_by_policy(session);
}

/* Something has changed: is an UPDATE due, may it go on? */
void qos_step(struct stw_session *session)
{
	struct stw_dialog *dialog;

	if (!is_used(session) || session->state == STW_SESSION_ENDED)
		return;
	dialog = stw_sdp_qos_update_due(session->sdp) ? update_dialog(session) : NULL;
	if (dialog && update_send(session, dialog))
		return;
	if (session->media_waits && stw_sdp_qos_met(session->sdp))
		session_tell_media(session);
	if (session->suspended && session->state == STW_SESSION_INCOMING &&
		stw_sdp_qos_met(session->sdp))
		qos_resume(session);
}

static void reserve_fired(struct stw_alarm *alarm)
{
	struct stw_session *session = STW_CONTAINER_OF(alarm, struct stw_session, reserve);

	session_enter(session);
	stw_sdp_qos_reserved(session->sdp, STW_SDP_SENDRECV);
	qos_step(session);
	session_leave(session);
}

static void patience_fired(struct stw_alarm *alarm)
{
	struct stw_session *session = STW_CONTAINER_OF(alarm, struct stw_session, ring);

	session_enter(session);
	qos_failed(session);
	session_leave(session);
}

/* NULL: it may be suspended, if need be. */
const struct stw_cause *qos_refusal(
	struct stw_session *session, bool named, struct stw_str *ret_lines)
{
	const struct stw_msg *invite = session->asked->msg;

	if (!is_used(session) || stw_sdp_qos_met(session->sdp))
		return NULL;
	if (named) /* the call whose place it takes cannot wait */
		return &stw_cause_ua_precondition;
	session->suspended = true;
	if (stw_msg_has_token(invite, STW_HDR_SUPPORTED, STW_STR("100rel")) ||
		stw_msg_has_token(invite, STW_HDR_REQUIRE, STW_STR("100rel")))
		return NULL;
	*ret_lines = STW_STR("Require: 100rel\r\n");
	return &stw_cause_ua_require;
}

/* 183 with our answer, reliably; all else waits. */
void qos_suspend(struct stw_session *session)
{
	if (ring_now(session, 183) < 0 || session->state != STW_SESSION_INCOMING)
		return;
	session->ring.fired = patience_fired;
	stw_alarm_start(session->ua->stack, &session->ring, PATIENCE_MS);
	qos_begin(session);
}
