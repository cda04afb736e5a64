/* SPDX-License-Identifier: Apache-2.0 */
#include "server/decision/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int stw_decisions_new(size_t max_calls, struct stw_hash_key key, struct stw_decisions **ret)
{
	struct stw_decisions *decisions = calloc(1, sizeof(*decisions));

	if (!decisions)
		return -ENOMEM;
	decisions->key = key;
	decisions->max_calls = max_calls;
	decisions->max_bytes = max_calls * CALL_BYTES_MEAN + CALL_BYTES_MAX;
	stw_table_init(&decisions->table);
	TAILQ_INIT(&decisions->ages);
	TAILQ_INIT(&decisions->succeeded);
	TAILQ_INIT(&decisions->others);
	*ret = decisions;
	return 0;
}

static void call_free(struct call *call)
{
	stw_arena_done(&call->arena);
	stw_memory_give(call, sizeof(*call));
}

static void call_remove(struct stw_decisions *decisions, struct call *call)
{
	stw_table_remove(&decisions->table, &call->node);
	TAILQ_REMOVE(&decisions->ages, call, age);
	TAILQ_REMOVE(call->list, call, queue);
	decisions->bytes -= call->bytes;
	if (decisions->recent == call)
		decisions->recent = NULL;
	call_free(call);
}

struct stw_decisions *stw_decisions_free(struct stw_decisions *decisions)
{
	struct call *call;

	if (!decisions)
		return NULL;
	while ((call = TAILQ_FIRST(&decisions->ages)))
		call_remove(decisions, call);
	stw_table_done(&decisions->table);
	free(decisions);
	return NULL;
}

size_t stw_decisions_count(const struct stw_decisions *decisions)
{
	return decisions->table.count;
}

/* ---- which call ----------------------------------------------------------------- */

static struct call *call_find(
	const struct stw_decisions *decisions, struct stw_str call_id, uint64_t hash)
{
	struct stw_node *node = stw_table_first(&decisions->table, hash);
	struct call *call;

	for (; node; node = stw_table_next_same(node)) {
		call = STW_CONTAINER_OF(node, struct call, node);
		if (stw_str_equal(call->call_id, call_id))
			return call;
	}
	return NULL;
}

struct stw_str decision_method(const struct record *record)
{
	if (record->method != STW_METHOD_UNKNOWN)
		return stw_method_name(record->method);
	return record->more ? record->more->method : STW_STR_NONE;
}

static uint64_t message_hash(const struct stw_decisions *decisions, const struct stw_msg *msg)
{
	struct stw_str kept = stw_str_cut(msg->call_id, 0, CALL_ID_MAX);

	return msg->call_hash ? msg->call_hash : stw_hash(decisions->key, kept.ptr, kept.len);
}

void stw_decisions_expect(const struct stw_decisions *decisions, struct stw_msg *request)
{
	request->call_hash = message_hash(decisions, request);
	stw_table_expect(&decisions->table, request->call_hash);
}

struct call *decision_find(const struct stw_decisions *decisions, struct stw_str call_id)
{
	struct stw_str kept = stw_str_cut(call_id, 0, CALL_ID_MAX);

	return call_find(decisions, kept, stw_hash(decisions->key, kept.ptr, kept.len));
}

/* The next success that goes was not looked at for long. */
static void decisions_expect(const struct stw_decisions *decisions)
{
	const struct call *next = TAILQ_FIRST(&decisions->succeeded);

	if (!next)
		return;
	stw_table_expect(&decisions->table, next->node.hash);
	__builtin_prefetch(next->arena.chunk, 1);
	next = TAILQ_NEXT(next, queue);
	stw_fetch(next, sizeof(*next));
}

/* What is least missed goes first: the oldest success, else the oldest of the rest. */
static void decisions_make_room(struct stw_decisions *decisions, const struct call *keep)
{
	struct call *call;

	while (decisions->table.count > decisions->max_calls ||
		decisions->bytes > decisions->max_bytes) {
		call = TAILQ_FIRST(&decisions->succeeded);
		if (!call || call == keep)
			call = TAILQ_FIRST(&decisions->others);
		if (call == keep)
			call = call ? TAILQ_NEXT(call, queue) : NULL;
		if (!call)
			return;
		call_remove(decisions, call);
		decisions_expect(decisions);
	}
}

static void call_count_bytes(struct stw_decisions *decisions, struct call *call)
{
	size_t bytes = sizeof(*call) + call->arena.used_bytes;

	decisions->bytes = decisions->bytes - call->bytes + bytes;
	call->bytes = (uint32_t)bytes;
}

static struct stw_str text_keep(struct call *call, struct stw_str text, size_t max)
{
	struct stw_str kept;

	if (!text.len || stw_arena_copy(&call->arena, stw_str_cut(text, 0, max), &kept) < 0)
		return STW_STR_NONE;
	return kept;
}

static int call_begin(struct call *call, const struct stw_note *note)
{
	const struct stw_msg *msg = note->msg;

	call->started = note->now;
	call->first = call->last = NULL;
	call->outcome = NULL;
	call->count = call->lost = 0;
	call->call_id = text_keep(call, msg->call_id, CALL_ID_MAX);
	if (msg->has_from)
		call->from = text_keep(call, msg->from.uri.text, TEXT_MAX);
	if (msg->has_to)
		call->to = text_keep(call, msg->to.uri.text, TEXT_MAX);
	return call->call_id.len ? 0 : -ENOMEM;
}

static void call_move(struct stw_decisions *decisions, struct call *call, struct call_list *list)
{
	if (call->list == list)
		return;
	TAILQ_REMOVE(call->list, call, queue);
	TAILQ_INSERT_TAIL(list, call, queue);
	call->list = list;
}

static struct call *call_new(
	struct stw_decisions *decisions, const struct stw_note *note, uint64_t hash)
{
	struct call *call = stw_memory_take_zeros(sizeof(*call));

	if (!call)
		return NULL;
	stw_arena_init(&call->arena, CALL_BYTES_MAX);
	call->arena.next_chunk_bytes = CALL_BYTES_FIRST;
	if (call_begin(call, note) < 0 ||
		stw_table_insert(&decisions->table, &call->node, hash) < 0) {
		call_free(call);
		return NULL;
	}
	call->list = &decisions->others;
	TAILQ_INSERT_TAIL(&decisions->others, call, queue);
	TAILQ_INSERT_TAIL(&decisions->ages, call, age);
	return call;
}

/*
 * A phone refreshes its registration with one Call-ID for days (RFC 3261 §10.2): when half the room
 * is used and the next request outside a dialog arrives, the call is told anew from there.
 */
static bool call_is_stale(const struct call *call, const struct stw_note *note)
{
	return note->kind == STW_NOTE_REQUEST_IN && call->count >= RECORDS_MAX / 2 &&
	       note->method != STW_METHOD_ACK && note->method != STW_METHOD_CANCEL &&
	       note->msg->has_to && !note->msg->to.tag.ptr;
}

static struct call *call_of_note(struct stw_decisions *decisions, const struct stw_note *note)
{
	struct stw_str kept = stw_str_cut(note->msg->call_id, 0, CALL_ID_MAX);
	struct call *call = decisions->recent;
	uint64_t hash;

	if (call && stw_str_equal(call->call_id, kept) && !call_is_stale(call, note))
		return call;
	hash = message_hash(decisions, note->msg);
	call = call_find(decisions, kept, hash);
	if (call && call_is_stale(call, note)) {
		call_remove(decisions, call);
		call = NULL;
	}
	decisions->recent = call ? call : call_new(decisions, note, hash);
	return decisions->recent;
}

/* ---- one record ------------------------------------------------------------------- */

static enum phrase phrase_of(const struct stw_note *note)
{
	if (!note->phrase.len)
		return PHRASE_NONE;
	if (stw_str_equal(note->phrase, stw_str_from(stw_status_phrase(note->code))))
		return PHRASE_STANDARD;
	if (note->cause && stw_str_equal(note->phrase, stw_str_from(note->cause->phrase)))
		return PHRASE_OF_CAUSE;
	return PHRASE_OWN;
}

static void facts_keep(
	struct call *call, const struct stw_refusal *refusal, struct record_more *more)
{
	struct stw_fact *facts;

	if (!refusal->fact_count)
		return;
	facts = stw_arena_zalloc(&call->arena, refusal->fact_count * sizeof(*facts));
	if (!facts)
		return;
	for (unsigned i = 0; i < refusal->fact_count; i++) {
		facts[i].key = refusal->facts[i].key;
		facts[i].value = text_keep(call, refusal->facts[i].value, TEXT_MAX);
	}
	more->facts = facts;
	more->fact_count = (uint8_t)refusal->fact_count;
}

static const struct record_more *more_keep(
	struct call *call, const struct stw_note *note, struct stw_str place, enum phrase phrase)
{
	bool unknown = note->method == STW_METHOD_UNKNOWN && note->method_name.len;
	const struct stw_refusal *refusal = note->refusal;
	struct record_more *more;

	if (!(refusal && (refusal->option || refusal->fact_count)) && !unknown &&
		phrase != PHRASE_OWN && !place.len)
		return NULL;
	more = stw_arena_zalloc(&call->arena, sizeof(*more));
	if (!more)
		return NULL;
	if (unknown)
		more->method = text_keep(call, note->method_name, TEXT_MAX);
	if (phrase == PHRASE_OWN)
		more->phrase = text_keep(call, note->phrase, TEXT_MAX);
	more->place = text_keep(call, place, TEXT_MAX);
	if (refusal) {
		more->option = refusal->option;
		facts_keep(call, refusal, more);
	}
	return more;
}

static struct record *record_alloc(
	struct call *call, const struct stw_addr *peer, struct stw_str uri)
{
	size_t ip_bytes = record_ip_bytes(peer ? peer->family : 0);
	struct record *record = stw_arena_alloc(&call->arena, sizeof(*record) + ip_bytes + uri.len);

	if (!record)
		return NULL;
	*record = (struct record){ .uri_len = (uint16_t)uri.len };
	if (uri.len)
		memcpy(record->ip + ip_bytes, uri.ptr, uri.len);
	if (ip_bytes) {
		record->family = (uint8_t)peer->family;
		record->port = peer->port;
		memcpy(record->ip, peer->ip, peer->family == 4 ? 4 : sizeof(peer->ip));
	}
	if (ip_bytes > sizeof(peer->ip))
		memcpy(record->ip + sizeof(peer->ip), &peer->scope, sizeof(peer->scope));
	return record;
}

static struct record *record_new(
	struct call *call, const struct stw_note *note, struct stw_str place)
{
	struct record *record = record_alloc(
		call, note->hop ? &note->hop->remote : NULL, stw_str_cut(note->uri, 0, TEXT_MAX));

	if (!record)
		return NULL;
	record->kind = (uint8_t)note->kind;
	record->code = (uint16_t)note->code;
	record->at_ms = (uint32_t)(note->now.mono_ms - call->started.mono_ms);
	record->relayed = note->relayed;
	record->cause = note->cause;
	record->transport = note->hop ? (uint8_t)note->hop->transport : 0;
	/* The ACK and CANCEL of an INVITE are not it. */
	record->method =
		(uint8_t)(note->kind == STW_NOTE_REQUEST_OUT ? stw_method_from(note->method_name)
							     : note->method);
	record->phrase = phrase_of(note);
	record->more = more_keep(call, note, place, record->phrase);
	return record;
}

/* How the call stands: a final response to the caller, or what ended it without one. */
static void call_judge(
	struct stw_decisions *decisions, struct call *call, const struct record *record)
{
	bool response = record->kind == STW_NOTE_RESPONSE_OUT && record->code >= 200;
	bool end = record->kind == STW_NOTE_TIMEOUT || record->kind == STW_NOTE_FAILURE ||
		   record->kind == STW_NOTE_DROPPED;

	if (!response && !(end && record->cause && !(call->outcome && call->outcome->code)))
		return;
	/* A call that was once refused or has failed stays one to be looked at, but for a
	 * challenge. */
	if (call->outcome && call->outcome->code >= 300 && call->outcome->code != 401 &&
		call->outcome->code != 407 && response && record->code < 300)
		return;
	call->outcome = record;
	call_move(decisions, call,
		response && record->code < 300 ? &decisions->succeeded : &decisions->others);
}

void stw_decisions_note(
	struct stw_decisions *decisions, const struct stw_note *note, struct stw_str place)
{
	struct record *record = NULL;
	struct call *call;

	if (!decisions->max_calls || !note->msg || !note->msg->has_call_id ||
		!note->msg->call_id.len || note->kind == STW_NOTE_RETRANSMISSION)
		return;
	call = call_of_note(decisions, note);
	if (!call) {
		decisions->lost++;
		return;
	}
	if (call->count < RECORDS_MAX)
		record = record_new(call, note, place);
	if (!record) {
		call->lost++;
	} else {
		if (call->last)
			call->last->next = record;
		else
			call->first = record;
		call->last = record;
		call->count++;
		call_judge(decisions, call, record);
	}
	call_count_bytes(decisions, call);
	decisions_make_room(decisions, call);
}
