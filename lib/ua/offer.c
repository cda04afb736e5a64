/* SPDX-License-Identifier: Apache-2.0 */
/* Where offers and answers travel (RFC 3261 §13.2.1, RFC 6337 §2); what is in them is lib/sdp's. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What we can do in this session; asked once. */
bool session_has_media(struct stw_session *session)
{
	struct stw_ua *ua = session->ua;
	uint64_t id;

	if (session->sdp)
		return true;
	if (!ua->options.ops->media)
		return false;
	session->abilities = ua->options.ops->media(ua->options.user, session);
	if (!session->abilities)
		return false;
	session->sdp = calloc(1, sizeof(*session->sdp));
	if (!session->sdp)
		return false;
	id = stw_random_next(stw_stack_random(ua->stack)) >> 3;
	stw_sdp_session_init(session->sdp, session->abilities, id);
	return true;
}

void session_media_is_there(struct stw_session *session)
{
	struct stw_ua_event event = { .kind = STW_UA_MEDIA, .stream = &session->sdp->stream };

	session_tell(session, &event);
}

/* RFC 3312 §6: nothing is sent over a stream whose preconditions are not met. */
void session_tell_media(struct stw_session *session)
{
	session->agreed = true;
	session->media_waits = session->state != STW_SESSION_CONFIRMED &&
			       session->state != STW_SESSION_ACCEPTED &&
			       !stw_sdp_qos_met(session->sdp);
	if (!session->media_waits)
		session_media_is_there(session);
}

/* ---- offers of the peer -----------------------------------------------------------------------
 */

static const struct stw_cause *refusal_cause(unsigned code)
{
	switch (code) {
	case 400:
		return &stw_cause_ua_bad_description;
	case 580:
		return &stw_cause_ua_precondition;
	case 606:
		return &stw_cause_ua_media_everywhere;
	default:
		return &stw_cause_ua_media;
	}
}

/* §20.43, §21.4.26: why, and what we could do. */
static void refusal_write(
	struct stw_session *session, const struct stw_sdp_refusal *why, struct offer_refusal *ret)
{
	struct stw_ua *ua = session->ua;
	struct stw_writer writer;
	struct stw_str answer;

	ret->code = why->code;
	ret->cause = refusal_cause(why->code);
	if (why->why[0])
		snprintf(ret->warning, sizeof(ret->warning), "Warning: %u %.*s \"%s\"\r\n",
			why->warning ? why->warning : 399, STW_STR_ARG(ua->aor.host), why->why);
	stw_writer_init(&writer, ret->body, sizeof(ret->body));
	if (why->code == 580) {
		if (stw_sdp_qos_failure(session->sdp, &answer) == 0)
			stw_write_str(&writer, answer);
	} else if (why->code != 400) {
		(void)stw_sdp_abilities_write(session->abilities, session->sdp->id, &writer);
	}
	ret->body_len = writer.overflow ? 0 : writer.len;
}

void refusal_answer(const struct offer_refusal *refusal, struct stw_answer *answer)
{
	answer->code = refusal->code;
	answer->cause = refusal->cause;
	answer->headers = stw_str_from(refusal->warning);
	answer->body = (struct stw_str){ refusal->body, refusal->body_len };
	if (refusal->body_len)
		answer->content_type = STW_STR("application/sdp");
}

int session_receive_offer(
	struct stw_session *session, const struct stw_msg *msg, struct offer_refusal *ret)
{
	struct stw_sdp_refusal why = { 0 };
	struct stw_str text;
	int err;

	memset(ret, 0, sizeof(*ret));
	if (!stw_body_description(msg, &text))
		return -ENOENT;
	if (!session_has_media(session)) {
		ret->code = 488;
		ret->cause = &stw_cause_ua_media;
		return -EBADMSG;
	}
	err = stw_sdp_receive_offer(session->sdp, text, &why);
	if (err == 0)
		qos_prepare(session);
	if (err == 0 &&
		(!stw_sdp_qos_possible(session->sdp) || (session->ua->options.policy.qos_fails &&
								!stw_sdp_qos_met(session->sdp)))) {
		why = (struct stw_sdp_refusal){ .code = 580 };
		err = -EBADMSG;
	}
	if (err == -EBUSY) {
		ret->code = 491;
		ret->cause = &stw_cause_ua_pending;
	} else if (err < 0) {
		refusal_write(session, &why, ret);
	}
	return err;
}

bool session_narrow(struct stw_session *session, const struct stw_msg *response)
{
	struct stw_str text;
	unsigned all, common;

	if (!session->sdp || session->narrowed.codecs || !stw_body_description(response, &text))
		return false;
	common = stw_sdp_codecs_common(session->abilities, text, session->narrowed_codecs, &all);
	if (!common || common == all)
		return false;
	session->narrowed = *session->abilities;
	session->narrowed.codecs = session->narrowed_codecs;
	session->narrowed.codec_count = common;
	session->abilities = session->sdp->abilities = &session->narrowed;
	stw_sdp_rollback(session->sdp);
	free(session->sdp_before);
	session->sdp_before = NULL;
	session->answered_tag = STW_STR_NONE;
	return true;
}

void session_misplaced(struct stw_session *session, const struct stw_msg *msg)
{
	struct stw_str text;

	if (session->sdp && stw_body_description(msg, &text))
		session_fault(session, msg, &stw_cause_ua_misplaced);
}

/* ---- answers of the peer, and what forks say --------------------------------------------------
 */

static void fork_keep(struct stw_session *session, struct stw_str tag)
{
	if (tag.len > sizeof(session->answered_tag_text))
		return;
	if (tag.len)
		memcpy(session->answered_tag_text, tag.ptr, tag.len);
	session->answered_tag = (struct stw_str){ session->answered_tag_text, tag.len };
}

struct early *session_early(const struct stw_session *session, struct stw_str tag)
{
	struct early *early = session->earlies;

	while (early && !stw_str_equal(early->dialog->remote_tag, tag))
		early = early->next;
	return early;
}

bool session_fork_agreed(const struct stw_session *session, struct stw_str tag)
{
	const struct early *early = session_early(session, tag);

	return early && (early->sdp || stw_str_equal(session->answered_tag, tag));
}

/* The 2xx of a fork may come without the answer that it has given before (RFC 6337 §3.1). */
static void fork_set_aside(struct stw_session *session)
{
	struct early *early = session_early(session, session->answered_tag);

	if (early && !early->sdp)
		early->sdp = malloc(sizeof(*early->sdp));
	if (early && early->sdp)
		*early->sdp = *session->sdp;
}

void session_other_fork(struct stw_session *session, struct stw_str tag)
{
	const struct early *early;

	if (!session->sdp)
		return;
	if (!session->sdp_before && (session->sdp_before = malloc(sizeof(*session->sdp))))
		*session->sdp_before = *session->sdp;
	if (!session->sdp_before || stw_str_equal(session->answered_tag, tag))
		return;
	if (session->answered_tag.len)
		fork_set_aside(session);
	early = session_early(session, tag);
	if (early && early->sdp) {
		*session->sdp = *early->sdp;
		fork_keep(session, tag);
		session_tell_media(session);
		return;
	}
	if (!session->answered_tag.len)
		return;
	*session->sdp = *session->sdp_before;
	session->answered_tag = STW_STR_NONE;
	session->agreed = false;
}

int session_receive_fork_offer(struct stw_session *session, const struct stw_msg *msg,
	struct stw_str tag, struct offer_refusal *ret)
{
	struct stw_str text;
	int err;

	if (stw_body_description(msg, &text) && session_has_media(session))
		session_other_fork(session, tag);
	err = session_receive_offer(session, msg, ret);
	if (err == 0)
		fork_keep(session, tag);
	return err;
}

int session_receive_answer(
	struct stw_session *session, const struct stw_msg *msg, struct stw_str tag)
{
	struct stw_sdp_fault fault = { 0 };
	struct stw_str text;
	int err;

	if (!session->sdp || !stw_body_description(msg, &text))
		return -ENOENT;
	session_other_fork(session, tag);
	err = stw_sdp_receive_answer(session->sdp, text, &fault);
	if (err == -EINVAL)
		return 0; /* repeated, RFC 6337 §2.1 */
	/* What one fork has said is no answer: another one may still give one. */
	if (err < 0 && session->caller && !session->dialog && session->sdp_before)
		*session->sdp = *session->sdp_before;
	if (err < 0)
		return err;
	fork_keep(session, tag);
	session_tell_media(session);
	return 0;
}
