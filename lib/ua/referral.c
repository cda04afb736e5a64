/* SPDX-License-Identifier: Apache-2.0 */
/* The subscription that a REFER makes, on both sides (RFC 3515 §2.4.4, RFC 6665 §4.1, §4.2): in the
 * dialog of a session, which it outlives (RFC 5057 §3), or in one of its own. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define PHRASE_MAX 200 /* bytes */

/* ---- life ------------------------------------------------------------------------------------ */

static void expiry_is_over(struct stw_alarm *alarm);

struct referral *referral_new(struct stw_ua *ua, struct stw_session *session, bool ours)
{
	struct referral *referral = calloc(1, sizeof(*referral));

	if (!referral)
		return NULL;
	referral->ua = ua;
	referral->session = session;
	referral->ours = ours;
	referral->code = 100;
	referral->expiry.fired = expiry_is_over;
	referral->next = ua->referrals;
	referral->link = &ua->referrals;
	if (ua->referrals)
		ua->referrals->link = &referral->next;
	ua->referrals = referral;
	return referral;
}

void referral_free(struct referral *referral)
{
	struct stw_ua *ua = referral->ua;

	*referral->link = referral->next;
	if (referral->next)
		referral->next->link = referral->link;
	stw_alarm_stop(ua->stack, &referral->expiry);
	for (struct exchange *exchange = ua->exchanges; exchange; exchange = exchange->next) {
		if (exchange->referral == referral)
			exchange->referral = NULL;
	}
	if (referral->made)
		referral->made->referred_by = NULL;
	stw_dialog_free(referral->dialog);
	free(referral);
}

static struct stw_dialog *referral_dialog(const struct referral *referral)
{
	return referral->session ? referral->session->dialog : referral->dialog;
}

/* The session is over, or about to say BYE: from here on the dialog is that of the subscription
 * as well. */
void referrals_leave(struct stw_session *session, struct stw_dialog *dialog)
{
	struct referral *referral, *next;
	struct stw_session *made;

	for (made = session->ua->sessions; made; made = made->next)
		if (made->referrer == session)
			made->referrer = NULL;
	for (referral = session->ua->referrals; referral; referral = next) {
		next = referral->next;
		if (referral->made == session)
			referral->made = NULL;
		if (referral->session != session)
			continue;
		referral->session = NULL;
		if (dialog)
			referral->dialog = stw_dialog_ref(dialog);
		else
			referral_free(referral);
	}
}

bool referral_is_open(const struct stw_session *session)
{
	const struct referral *referral = session->ua->referrals;
	const struct stw_session *made = session->ua->sessions;

	while (referral && (referral->ours || referral->session != session))
		referral = referral->next;
	while (made && (made->referrer != session || made->state != STW_SESSION_CALLING))
		made = made->next;
	return referral || made;
}

/* ---- we are told ------------------------------------------------------------------------------
 */

static bool is_its_dialog(const struct referral *referral, const struct stw_msg *request)
{
	const struct stw_dialog *dialog = referral_dialog(referral);

	if (dialog)
		return stw_dialog_has_request(dialog, request);
	/* The first NOTIFY brings the dialog; it may be here before the 2xx. */
	return stw_str_equal(request->call_id, stw_str_from(referral->call_id)) &&
	       stw_str_equal(request->to.tag, stw_str_from(referral->tag));
}

/* The number of the REFER that Event names; 0: none. */
static uint64_t event_id(const struct stw_msg *msg)
{
	struct stw_str event = stw_msg_value(msg, STW_HDR_EVENT), id;
	size_t end = stw_str_find(event, ';', 0);
	uint64_t number = 0;

	if (stw_param_find(stw_str_cut(event, end, event.len), STW_STR("id"), &id))
		(void)stw_str_to_uint(id, UINT32_MAX, &number);
	return number;
}

/* Of several in one dialog the one whose REFER had this number (§2.4.6). */
struct referral *referral_find(const struct stw_ua *ua, const struct stw_msg *request)
{
	bool ours = request->method == STW_METHOD_NOTIFY;
	struct referral *referral = ua->referrals, *found = NULL;
	uint64_t number = event_id(request);

	for (; referral; referral = referral->next) {
		if (referral->ours != ours || referral->unwanted ||
			!is_its_dialog(referral, request))
			continue;
		if (!ours && number && referral->cseq != number)
			continue;
		if (!found || !number || referral->cseq == number)
			found = referral;
	}
	return found;
}

/* @return 0; -EBADMSG; -ESTALE */
int referral_receive(struct referral *referral, const struct stw_msg *request)
{
	if (referral->session)
		return 0; /* was counted with the session */
	if (referral->dialog)
		return stw_dialog_receive(referral->dialog, request);
	return stw_dialog_new_uas(request, stw_str_from(referral->tag), &referral->dialog);
}

/* "SIP/2.0 180 Ringing": the first line of a message/sipfrag (RFC 3420). */
static bool sipfrag_read(struct stw_str body, unsigned *ret_code, struct stw_str *ret_phrase)
{
	size_t end = stw_str_find(body, '\n', 0);
	struct stw_str line = stw_str_trim(stw_str_cut(body, 0, end));
	uint64_t code;

	if (!stw_str_starts(line, STW_STR("SIP/2.0 ")) ||
		stw_str_to_uint(stw_str_cut(line, 8, 11), 699, &code) < 0 || code < 100)
		return false;
	*ret_code = (unsigned)code;
	*ret_phrase = stw_str_trim(stw_str_cut(line, 11, line.len));
	return true;
}

/* Who is told may end all: what is to be freed, is before. */
static void referral_tell(struct referral *referral, struct stw_ua_event *event)
{
	struct stw_ua *ua = referral->ua;

	event->session = referral->session;
	event->job = referral->job;
	if (event->final)
		referral_free(referral);
	ua_tell(ua, event);
}

void referral_await(struct referral *referral, uint32_t seconds)
{
	uint64_t wait_ms = (uint64_t)seconds * 1000;

	referral->expires_ms = stw_stack_now(referral->ua->stack).mono_ms + wait_ms;
	stw_alarm_start(referral->ua->stack, &referral->expiry, wait_ms);
}

void referral_await_first(struct referral *referral)
{
	if (!stw_timer_running(&referral->expiry.timer))
		referral_await(referral, NOTIFY_WAIT_S);
}

/* It was answered; now what it says. */
void referral_told(struct referral *referral, const struct stw_msg *notify)
{
	struct stw_str state = stw_msg_value(notify, STW_HDR_SUBSCRIPTION_STATE), text;
	size_t end = stw_str_find(state, ';', 0);
	struct stw_str value = stw_str_trim(stw_str_cut(state, 0, end));
	struct stw_ua_event event = { .kind = STW_UA_TRANSFERRED, .msg = notify };
	uint32_t expires_s = SUBSCRIPTION_S;

	event.final = stw_str_equal_nocase(value, STW_STR("terminated"));
	if (stw_param_find(stw_str_cut(state, end, state.len), STW_STR("expires"), &text))
		(void)stw_delta_seconds_parse(text, &expires_s);
	if (expires_s > SUBSCRIPTION_MAX_S)
		expires_s = SUBSCRIPTION_MAX_S;
	referral_await(referral, expires_s + NOTIFY_WAIT_S);
	if (!sipfrag_read(stw_msg_body(notify), &event.code, &event.phrase)) {
		event.kind = STW_UA_FAULT;
		event.cause = &stw_cause_ua_bad_sipfrag;
		event.code = event.cause->code;
		event.phrase = cause_phrase(event.cause);
	}
	referral_tell(referral, &event);
}

/* RFC 6665 §4.1.2.4 (Timer N), §4.1.3: nobody tells us any more. */
static void referral_is_silent(struct referral *referral)
{
	struct stw_ua_event event = { .kind = STW_UA_TRANSFERRED,
		.code = stw_cause_ua_no_notify.code,
		.cause = &stw_cause_ua_no_notify,
		.phrase = cause_phrase(&stw_cause_ua_no_notify),
		.final = true };

	referral_tell(referral, &event);
}

/* ---- we tell ------------------------------------------------------------------------------------
 */

/* RFC 6665 §4.2.2, and what RFC 5057 §5.1 adds to its list. */
static bool notify_ends(unsigned code)
{
	return code == 489 || stw_dialog_effect(code, true) != STW_DIALOG_STAYS;
}

static void notify_final(struct exchange *exchange, const struct stw_msg *response, unsigned code,
	const struct stw_cause *cause)
{
	(void)response;
	(void)cause;
	/* Nobody wants to know; the call goes on (RFC 3515 §2.4.4). */
	if (exchange->referral && notify_ends(code))
		exchange->referral->unwanted = true;
}

static const struct exchange_ops notify_ops = { .final = notify_final };

/* As much of a Reason-Phrase as is passed on, in whole characters. */
static struct stw_str phrase_cut(struct stw_str phrase)
{
	size_t end = PHRASE_MAX;

	if (phrase.len <= PHRASE_MAX)
		return phrase;
	while (end && ((unsigned char)phrase.ptr[end] & 0xc0) == 0x80)
		end--;
	return stw_str_cut(phrase, 0, end);
}

/* RFC 6665 §4.2.2: what remains; a NOTIFY does not lengthen it. */
static unsigned expires_in_s(const struct referral *referral)
{
	uint64_t now_ms = stw_stack_now(referral->ua->stack).mono_ms;

	return referral->expires_ms > now_ms ? (unsigned)((referral->expires_ms - now_ms) / 1000)
					     : 0;
}

/* `reason`: it is the last one. The NOTIFY keeps the dialog, which may end before its answer
 * comes. */
static void notify_send(
	struct referral *referral, unsigned code, struct stw_str phrase, const char *reason)
{
	struct stw_dialog *dialog = referral_dialog(referral);
	char lines[TEXT_MAX], body[TEXT_MAX];
	struct stw_writer writer, frag;
	struct exchange_options options = { .method = STW_STR("NOTIFY"),
		.content_type = STW_STR("message/sipfrag"),
		.referral = referral,
		.owns_dialog = true,
		.ops = &notify_ops };

	referral->code = code;
	if (referral->unwanted)
		return;
	phrase = phrase_cut(phrase);
	stw_writer_init(&writer, lines, sizeof(lines));
	stw_write_format(&writer, "Event: refer;id=%u\r\n", referral->cseq);
	if (reason)
		stw_write_format(&writer, "Subscription-State: terminated;reason=%s\r\n", reason);
	else
		stw_write_format(&writer, "Subscription-State: active;expires=%u\r\n",
			expires_in_s(referral));
	stw_writer_init(&frag, body, sizeof(body));
	stw_write_format(&frag, "SIP/2.0 %u %.*s\r\n", code, STW_STR_ARG(phrase));
	if (!dialog || writer.overflow || frag.overflow)
		return;
	options.dialog = stw_dialog_ref(dialog);
	options.headers = stw_writer_text(&writer);
	options.body = stw_writer_text(&frag);
	if (exchange_begin(referral->ua, &options, NULL) < 0)
		stw_dialog_free(dialog);
}

void referral_notify(struct referral *referral, unsigned code, struct stw_str phrase)
{
	notify_send(referral, code, phrase, code < 200 ? NULL : "noresource");
	if (code >= 200)
		referral_free(referral);
}

/* What was told last once more: the subscriber asks for it (RFC 6665 §4.2.1.2), or time is over. */
static void state_send(struct referral *referral, const char *reason)
{
	notify_send(
		referral, referral->code, stw_str_from(stw_status_phrase(referral->code)), reason);
}

void referral_extend(struct referral *referral, const struct stw_msg *subscribe, uint32_t seconds)
{
	(void)stw_dialog_refresh(referral_dialog(referral), subscribe);
	if (!seconds) {
		expiry_is_over(&referral->expiry);
		return;
	}
	referral_await(referral, seconds);
	state_send(referral, NULL);
}

void refer_progress(struct stw_session *made, unsigned code, struct stw_str phrase)
{
	if (code > 100)
		referral_notify(made->referred_by, code, phrase);
}

static void expiry_is_over(struct stw_alarm *alarm)
{
	struct referral *referral = STW_CONTAINER_OF(alarm, struct referral, expiry);

	if (referral->ours) {
		referral_is_silent(referral);
		return;
	}
	state_send(referral, "timeout");
	referral_free(referral);
}

void referrals_end(struct stw_ua *ua)
{
	while (ua->referrals) {
		struct referral *referral = ua->referrals;

		if (!referral->ours)
			state_send(referral, "giveup");
		referral_free(referral);
	}
}
