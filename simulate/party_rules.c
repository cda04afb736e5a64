/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of the messages of each agent, and of both ends of a session. */
#include "simulate/agents.h"

#include <stdlib.h>
#include <string.h>

/* A request as one party has sent or got it. */
struct watch {
	struct keyed keyed;
	uint64_t first_ms, final_ms, cancelled_ms; /* 0: not yet */
	unsigned final;                            /* code of the first final response */
	bool provisional;
	bool offer;    /* it has a description */
	bool initial;  /* it is outside of a dialog */
	bool crossed;  /* it came while one of ours was open: it cannot be accepted */
	bool answered; /* by a reliable provisional response */
};

/* A dialog as one party sees it. */
struct half {
	struct keyed keyed;
	unsigned cseq;     /* of its last request */
	struct watch *bye; /* that it has sent */
	bool bye_taken;
	uint64_t accepted_ms; /* when it has sent the 2xx that made it */
	bool acked;
	struct watch *asked;     /* its last re-INVITE */
	struct watch *was_asked; /* the last one that it got */
	struct watch *update;    /* its last UPDATE with an offer */
	unsigned rseq;           /* of the last reliable response that it got */
	bool gone;               /* 199 has come */
	bool described;          /* one of them had a description */
	bool offered;            /* the 2xx that made it has an offer, which waits for the ACK */
};

enum way { SENT = 1, GOT = 2 };

static uint64_t hash_add(uint64_t hash, struct stw_str text)
{
	struct {
		uint64_t before, text;
	} both = { hash, text_hash(text.ptr, text.len) };

	return text_hash(&both, sizeof(both));
}

static uint64_t request_key(
	const struct party *party, enum way way, const struct sip *sip, const char *method)
{
	uint64_t key = hash_add(party->index * 4 + way, sip->branch);

	return hash_add(hash_add(key, sip->sent_by), stw_str_from(method));
}

static uint64_t own_key(const struct party *party, enum way way, const struct sip *sip)
{
	uint64_t key = hash_add(party->index * 4 + way, sip->branch);

	return hash_add(hash_add(key, sip->sent_by), sip->method);
}

static struct watch *watch_find(const struct party *party, uint64_t key)
{
	return keyed_find(&party->scene->requests, key);
}

static struct watch *watch_make(struct party *party, uint64_t key, const struct sip *sip)
{
	struct watch *watch = must_alloc(sizeof(*watch));

	watch->first_ms = party->scene->now.mono_ms;
	watch->offer = sip->body.len > 0;
	watch->initial = !sip->to_tag.len;
	keyed_add(&party->scene->requests, key, &watch->keyed);
	return watch;
}

static struct half *half_need(
	struct party *party, struct stw_str call_id, struct stw_str local, struct stw_str remote)
{
	uint64_t key = hash_add(hash_add(hash_add(party->index + 100, call_id), local), remote);
	struct half *half = keyed_find(&party->scene->dialogs, key);

	if (!half) {
		half = must_alloc(sizeof(*half));
		keyed_add(&party->scene->dialogs, key, &half->keyed);
	}
	return half;
}

static bool method_is(const struct sip *sip, const char *method)
{
	return stw_str_equal(sip->method, stw_str_from(method));
}

static void fault(struct party *party, const struct sip *sip, const char *what)
{
	scene_wrong(party->scene, sip->call_id, "p%u %s (%.*s %u)", party->index, what,
		STW_STR_ARG(sip->method), sip->cseq);
}

/* Without a final response, and the time of its transaction is not over. */
static bool is_open(const struct party *party, const struct watch *watch)
{
	uint64_t now_ms = party->scene->now.mono_ms;

	if (!watch || watch->final)
		return false;
	if (watch->cancelled_ms)
		return now_ms < watch->cancelled_ms + TIMER_64T1_MS;
	return watch->provisional || now_ms < watch->first_ms + TIMER_64T1_MS;
}

/* ---- what is owed within a batch ---------------------------------------------------------------
 */

static void owe(struct party *party, const struct sip *sip, uint64_t key, const char *what)
{
	struct scene *scene = party->scene;
	struct owed *owed = &scene->owed[scene->owed_count];

	if (scene->owed_count == OWED_MAX)
		return;
	scene->owed_count++;
	owed->key = key;
	owed->what = what;
	snprintf(owed->call_id, sizeof(owed->call_id), "%.*s", STW_STR_ARG(sip->call_id));
}

static void owed_given(struct party *party, uint64_t key)
{
	struct scene *scene = party->scene;
	unsigned n = 0;

	for (unsigned i = 0; i < scene->owed_count; i++) {
		if (scene->owed[i].key != key)
			scene->owed[n++] = scene->owed[i];
	}
	scene->owed_count = n;
}

void party_batch_end(struct party *party)
{
	struct scene *scene = party->scene;

	if (scene->owed_count && scene_strict(scene))
		scene_wrong(scene, stw_str_from(scene->owed[0].call_id), "p%u %s", party->index,
			scene->owed[0].what);
	scene->owed_count = 0;
}

static uint64_t ack_key(const struct party *party, const struct sip *sip)
{
	return hash_add(hash_add(party->index + 200 + (uint64_t)sip->cseq * 1000, sip->call_id),
		sip->to_tag);
}

/* ---- requests that it sends --------------------------------------------------------------------
 */

/* §9.1: not before a provisional response, nor behind a final one. */
static void sent_cancel(struct party *party, const struct sip *sip)
{
	struct watch *invite = watch_find(party, request_key(party, SENT, sip, "INVITE"));

	if (!invite || !invite->provisional)
		fault(party, sip, "sends CANCEL before a provisional response");
	else if (invite->final)
		fault(party, sip, "sends CANCEL behind a final response");
	else if (!invite->cancelled_ms)
		invite->cancelled_ms = party->scene->now.mono_ms;
}

/* §15: the called side waits for its ACK. */
static void sent_bye(
	struct party *party, const struct sip *sip, struct half *half, struct watch *watch)
{
	if (half->accepted_ms && !half->acked &&
		party->scene->now.mono_ms < half->accepted_ms + TIMER_64T1_MS)
		fault(party, sip, "sends BYE before the ACK has come");
	half->bye = watch;
}

/* §14.1 */
static void sent_reinvite(
	struct party *party, const struct sip *sip, struct half *half, struct watch *watch)
{
	if (is_open(party, half->asked))
		fault(party, sip, "sends a re-INVITE while its last one is open");
	if (half->was_asked && !half->was_asked->final)
		fault(party, sip, "sends a re-INVITE while one of the peer is open");
	half->asked = watch;
}

/* With credentials, or since another request has overtaken it (§12.2.2). */
static bool may_repeat(unsigned code)
{
	return code == 401 || code == 407 || code == 500;
}

static void sent_in_dialog(struct party *party, const struct sip *sip, struct watch *watch)
{
	struct half *half = half_need(party, sip->call_id, sip->from_tag, sip->to_tag);

	/* A subscription outlives the session, RFC 5057 §4.1. */
	bool notify = method_is(sip, "NOTIFY");

	if (half->bye && !notify && !may_repeat(half->bye->final))
		fault(party, sip, "goes on behind its BYE");
	if (half->bye_taken && !notify)
		fault(party, sip, "goes on behind a BYE of the peer");
	if (sip->cseq <= half->cseq)
		fault(party, sip, "does not count CSeq up");
	half->cseq = sip->cseq;
	if (method_is(sip, "BYE"))
		sent_bye(party, sip, half, watch);
	else if (method_is(sip, "INVITE"))
		sent_reinvite(party, sip, half, watch);
	else if (method_is(sip, "UPDATE") && watch->offer)
		half->update = watch;
}

/* §13.2.2.4: the answer to an offer of the 2xx. */
static void sent_ack(struct party *party, const struct sip *sip)
{
	struct half *half = half_need(party, sip->call_id, sip->from_tag, sip->to_tag);

	owed_given(party, ack_key(party, sip));
	if (half->offered && !sip->body.len)
		fault(party, sip, "leaves an offer of a 2xx without an answer");
	half->offered = false;
}

static void sent_request(struct party *party, const struct sip *sip)
{
	uint64_t key = own_key(party, SENT, sip);

	if (method_is(sip, "ACK")) {
		sent_ack(party, sip);
		return;
	}
	if (method_is(sip, "PRACK"))
		owed_given(party, hash_add(300, sip->call_id));
	if (watch_find(party, key))
		return; /* it is repeated */
	if (method_is(sip, "CANCEL"))
		sent_cancel(party, sip);
	watch_make(party, key, sip);
	if (sip->to_tag.len && !method_is(sip, "CANCEL"))
		sent_in_dialog(party, sip, watch_find(party, key));
}

/* ---- responses that it sends -------------------------------------------------------------------
 */

/* §13.2.1, RFC 3311 §5.2: an offer is answered in the 2xx. */
static void sent_success(struct party *party, const struct sip *sip, const struct watch *watch)
{
	bool changes = method_is(sip, "INVITE") || method_is(sip, "UPDATE");

	if (changes && watch->crossed)
		fault(party, sip, "accepts a change while one of its own is open");
	if (changes && watch->offer && !sip->body.len && !watch->answered)
		fault(party, sip, "accepts an offer without an answer");
}

static void sent_response(struct party *party, const struct sip *sip)
{
	struct watch *watch = watch_find(party, own_key(party, GOT, sip));
	struct half *half = half_need(party, sip->call_id, sip->to_tag, sip->from_tag);

	if (watch && sip->code < 200)
		watch->answered |= sip->rseq && sip->body.len;
	if (sip->code < 200)
		return;
	owed_given(party, own_key(party, GOT, sip));
	if (!watch || watch->final)
		return;
	watch->final = sip->code;
	watch->final_ms = party->scene->now.mono_ms;
	if (sip->code / 100 != 2)
		return;
	sent_success(party, sip, watch);
	if (method_is(sip, "BYE"))
		half->bye_taken = true;
	if (method_is(sip, "INVITE") && !half->accepted_ms && half->was_asked != watch)
		half->accepted_ms = party->scene->now.mono_ms;
}

void party_sent(struct party *party, struct stw_str text)
{
	struct sip sip;

	if (!scene_strict(party->scene) || !sip_read(text, &sip))
		return;
	if (sip.request)
		sent_request(party, &sip);
	else
		sent_response(party, &sip);
}

/* ---- requests that it gets ---------------------------------------------------------------------
 */

static void got_change(
	struct party *party, const struct sip *sip, struct half *half, struct watch *watch)
{
	bool invite = method_is(sip, "INVITE");

	watch->crossed =
		invite ? is_open(party, half->asked)
		       : watch->offer && ((is_open(party, half->asked) && half->asked->offer) ||
						 is_open(party, half->update));
	if (invite)
		half->was_asked = watch;
}

static void got_request(struct party *party, const struct sip *sip)
{
	uint64_t key = own_key(party, GOT, sip);
	struct half *half = half_need(party, sip->call_id, sip->to_tag, sip->from_tag);
	struct watch *watch = watch_find(party, key);

	if (method_is(sip, "ACK")) {
		half->acked = true;
		return;
	}
	if (!method_is(sip, "INVITE"))
		owe(party, sip, key, "leaves a request without an answer");
	if (watch)
		return;
	watch = watch_make(party, key, sip);
	if (sip->to_tag.len && (method_is(sip, "INVITE") || method_is(sip, "UPDATE")))
		got_change(party, sip, half, watch);
}

/* ---- responses that it gets --------------------------------------------------------------------
 */

/* §13.2.2.4: for each 2xx, as long as the transaction is there that takes it. */
static bool must_acknowledge(const struct party *party, const struct watch *invite)
{
	if (!invite->final)
		return is_open(party, invite);
	return invite->final / 100 == 2 &&
	       party->scene->now.mono_ms < invite->final_ms + TIMER_64T1_MS;
}

/* RFC 3262 §4: in order, each once. */
static void got_reliable(struct party *party, const struct sip *sip)
{
	struct half *half = half_need(party, sip->call_id, sip->from_tag, sip->to_tag);

	if (half->gone || (half->rseq && sip->rseq != half->rseq + 1))
		return;
	half->rseq = sip->rseq;
	half->described |= sip->body.len > 0;
	owe(party, sip, hash_add(300, sip->call_id), "sends no PRACK");
}

static void got_accepted(struct party *party, const struct sip *sip, const struct watch *invite)
{
	struct half *half = half_need(party, sip->call_id, sip->from_tag, sip->to_tag);

	half->offered = invite->initial && !invite->offer && sip->body.len && !half->described;
	owe(party, sip, ack_key(party, sip), "sends no ACK for a 2xx");
}

static void got_response(struct party *party, const struct sip *sip)
{
	struct watch *watch = watch_find(party, own_key(party, SENT, sip));

	if (!watch)
		return;
	if (sip->code < 200) {
		if (!is_open(party, watch))
			return;
		watch->provisional = true;
		if (sip->code == 199)
			half_need(party, sip->call_id, sip->from_tag, sip->to_tag)->gone = true;
		if (sip->code > 100 && sip->rseq)
			got_reliable(party, sip);
		return;
	}
	if (method_is(sip, "INVITE") && sip->code / 100 == 2 && must_acknowledge(party, watch))
		got_accepted(party, sip, watch);
	if (!is_open(party, watch))
		return;
	watch->final = sip->code;
	watch->final_ms = party->scene->now.mono_ms;
}

void party_got(struct party *party, struct stw_str text)
{
	struct sip sip;

	if (!scene_strict(party->scene) || !sip_read(text, &sip))
		return;
	if (sip.request)
		got_request(party, &sip);
	else
		got_response(party, &sip);
}

/* ---- both ends ----------------------------------------------------------------------------------
 */

static enum stw_sdp_direction mirrored(enum stw_sdp_direction direction)
{
	return (direction & STW_SDP_SENDONLY ? STW_SDP_RECVONLY : 0) |
	       (direction & STW_SDP_RECVONLY ? STW_SDP_SENDONLY : 0);
}

static void check_streams(const struct leg *leg, const struct leg *peer)
{
	struct scene *scene = leg->party->scene;
	const struct stw_sdp_stream *ours = stw_session_stream(leg->session);
	const struct stw_sdp_stream *theirs = stw_session_stream(peer->session);
	struct stw_str call_id = leg_call_id(leg);

	bool sounds = ours && ours->active;

	if (sounds != (theirs && theirs->active))
		scene_wrong(scene, call_id, "p%u and p%u do not agree whether there is sound",
			leg->party->index, peer->party->index);
	else if (!sounds)
		return;
	else if (ours->direction != mirrored(theirs->direction))
		scene_wrong(scene, call_id, "p%u has direction %d, p%u has %d", leg->party->index,
			ours->direction, peer->party->index, theirs->direction);
	else if (strcmp(ours->address, peer->party->address) != 0 || ours->rtp_port != peer->port)
		scene_wrong(scene, call_id, "p%u sends sound to %s:%u, not to p%u at port %u",
			leg->party->index, ours->address, ours->rtp_port, peer->party->index,
			peer->port);
	else if (!stw_str_equal_nocase(ours->codec.codec.name, theirs->codec.codec.name) ||
		 ours->codec.send_type != theirs->codec.receive_type)
		scene_wrong(scene, call_id, "p%u and p%u have different codecs", leg->party->index,
			peer->party->index);
}

void scene_check_standing(struct scene *scene)
{
	for (struct leg *leg = scene->legs; leg; leg = leg->next) {
		struct leg *peer = leg->session ? leg_peer(leg) : NULL;

		if (!leg->session)
			continue;
		if (stw_session_state(leg->session) != STW_SESSION_CONFIRMED)
			scene_wrong(scene, leg_call_id(leg),
				"p%u has a session in state %d when all is calm", leg->party->index,
				stw_session_state(leg->session));
		else if (leg->changing)
			scene_wrong(scene, leg_call_id(leg),
				"p%u was not told of the end of a change", leg->party->index);
		else if (!peer)
			scene_wrong(scene, leg_call_id(leg), "p%u has a session with nobody",
				leg->party->index);
		else
			check_streams(leg, peer);
	}
}

/* The only end of a call that was called; NULL: there is none, or several. */
static const struct leg *called_leg(const struct leg *caller)
{
	const struct leg *leg = caller->party->scene->legs, *found = NULL;

	for (; leg; leg = leg->next) {
		if (leg->caller || !stw_str_equal(leg_call_id(leg), leg_call_id(caller)))
			continue;
		if (found)
			return NULL;
		found = leg;
	}
	return found;
}

void scene_check_results(struct scene *scene)
{
	const struct leg *caller = scene->legs, *called;

	if (!scene_strict(scene) || scene->result->lost)
		return;
	for (; caller; caller = caller->next) {
		called = caller->caller && caller->direct ? called_leg(caller) : NULL;
		if (!called)
			continue;
		/* Or the call goes on elsewhere, or the 2xx is of no use. */
		if (caller->ended_by_user || called->ended_by_user || called->code / 100 == 3 ||
			(caller->accepted && !caller->established))
			continue;
		if (caller->established != called->established)
			scene_wrong(scene, leg_call_id(caller),
				"the call is established for p%u alone",
				(caller->established ? caller : called)->party->index);
		else if (!caller->established && caller->code != called->code)
			scene_wrong(scene, leg_call_id(caller),
				"the call has ended with %u for p%u and %u for p%u", caller->code,
				caller->party->index, called->code, called->party->index);
	}
}

void party_rules_done(struct scene *scene)
{
	keyed_done(&scene->requests, free);
	keyed_done(&scene->dialogs, free);
}
