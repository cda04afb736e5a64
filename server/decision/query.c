/* SPDX-License-Identifier: Apache-2.0 */
/* Decision records as JSON. */
#include "server/decision/internal.h"

#include <string.h>

static const char *kind_name(unsigned kind)
{
	static const char *const names[] = {
		[STW_NOTE_REQUEST_IN] = "request-in",
		[STW_NOTE_REQUEST_OUT] = "request-out",
		[STW_NOTE_RESPONSE_IN] = "response-in",
		[STW_NOTE_RESPONSE_OUT] = "response-out",
		[STW_NOTE_TIMEOUT] = "timeout",
		[STW_NOTE_FAILURE] = "failure",
		[STW_NOTE_DROPPED] = "dropped",
		[STW_NOTE_RETRANSMISSION] = "retransmission",
		[STW_NOTE_DECISION] = "decision",
	};

	return kind < STW_ARRAY_SIZE(names) ? names[kind] : "";
}

static void set_text(json_t *object, const char *key, struct stw_str text)
{
	if (text.len)
		json_object_set_new(object, key, stw_json_text(text));
}

static void set_peer(json_t *object, const struct record *record)
{
	struct stw_str transport = stw_transport_name(record->transport);
	char address[STW_ADDR_TEXT_MAX], text[STW_ADDR_TEXT_MAX + 16];
	struct stw_addr peer = { 0 };
	struct stw_str addr;
	size_t i;

	if (!record->family)
		return;
	peer.family = record->family;
	peer.port = record->port;
	memcpy(peer.ip, record->ip, peer.family == 4 ? 4 : sizeof(peer.ip));
	if (peer.family != 4)
		memcpy(&peer.scope, record->ip + sizeof(peer.ip), sizeof(peer.scope));
	addr = stw_addr_text(&peer, address);
	snprintf(text, sizeof(text), "%.*s %.*s", STW_STR_ARG(transport), STW_STR_ARG(addr));
	for (i = 0; i < transport.len; i++)
		text[i] = (char)(text[i] | 0x20);
	json_object_set_new(object, "peer", json_string(text));
}

static void set_cause(json_t *object, const struct stw_cause *cause)
{
	if (!cause)
		return;
	json_object_set_new(object, "cause", json_string(cause->id));
	json_object_set_new(object, "rfc", json_string(cause->rfc));
	json_object_set_new(object, "meaning", json_string(cause->meaning));
	json_object_set_new(object, "reason", json_string(cause->reason));
	json_object_set_new(object, "remedy", json_string(cause->remedy));
}

static struct stw_str phrase_of(const struct record *record)
{
	switch ((enum phrase)record->phrase) {
	case PHRASE_STANDARD:
		return stw_str_from(stw_status_phrase(record->code));
	case PHRASE_OF_CAUSE:
		return stw_str_from(record->cause->phrase);
	case PHRASE_OWN:
		return record->more ? record->more->phrase : STW_STR_NONE;
	default:
		return STW_STR_NONE;
	}
}

static void set_more(json_t *object, const struct record_more *more)
{
	json_t *facts;

	if (more->option)
		json_object_set_new(object, "option", json_string(more->option));
	set_text(object, "place", more->place);
	if (!more->fact_count)
		return;
	facts = json_object();
	for (unsigned i = 0; i < more->fact_count; i++)
		json_object_set_new(facts, more->facts[i].key, stw_json_text(more->facts[i].value));
	json_object_set_new(object, "facts", facts);
}

static json_t *record_json(const struct record *record)
{
	json_t *object = json_pack(
		"{s:I, s:s}", "at_ms", (json_int_t)record->at_ms, "kind", kind_name(record->kind));

	if (!object)
		return NULL;
	set_peer(object, record);
	set_text(object, "method", decision_method(record));
	if (record->code)
		json_object_set_new(object, "code", json_integer(record->code));
	set_text(object, "phrase", phrase_of(record));
	set_cause(object, record->cause);
	if (record->kind == STW_NOTE_RESPONSE_OUT)
		json_object_set_new(object, "relayed", json_boolean(record->relayed));
	set_text(object, "uri", record_uri(record));
	if (record->more)
		set_more(object, record->more);
	return object;
}

static bool is_side_matter(const struct call *call)
{
	return !call->first || call->first->kind == STW_NOTE_DROPPED ||
	       stw_str_equal(decision_method(call->first), stw_method_name(STW_METHOD_OPTIONS));
}

/* Phones and monitors send OPTIONS all the time, and anybody a stray response: who asks for the
 * last call means another. */
static const struct call *call_newest(const struct stw_decisions *decisions)
{
	const struct call *call;

	TAILQ_FOREACH_REVERSE(call, &decisions->ages, call_list, age)
	{
		if (!is_side_matter(call))
			return call;
	}
	return TAILQ_LAST(&decisions->ages, call_list);
}

json_t *stw_decisions_call(const struct stw_decisions *decisions, struct stw_str call_id)
{
	const struct call *call;
	json_t *object, *records;

	if (stw_str_equal(call_id, STW_STR("last")))
		call = call_newest(decisions);
	else
		call = decision_find(decisions, call_id);
	if (!call)
		return NULL;
	object = json_pack("{s:o, s:o, s:o, s:o, s:i}", "call_id", stw_json_text(call->call_id),
		"from", stw_json_text(call->from), "to", stw_json_text(call->to), "started",
		stw_json_time(call->started.wall_ms), "lost", (int)call->lost);
	records = json_array();
	for (const struct record *record = call->first; record; record = record->next)
		json_array_append_new(records, record_json(record));
	json_object_set_new(object, "records", records);
	return object;
}

json_t *stw_decisions_list(const struct stw_decisions *decisions, unsigned n)
{
	json_t *list = json_array(), *object;
	const struct call *call;

	TAILQ_FOREACH_REVERSE(call, &decisions->ages, call_list, age)
	{
		if (n-- == 0)
			break;
		object = json_pack("{s:o, s:o, s:o, s:o}", "call_id", stw_json_text(call->call_id),
			"from", stw_json_text(call->from), "to", stw_json_text(call->to), "started",
			stw_json_time(call->started.wall_ms));
		if (object && call->first)
			set_text(object, "method", decision_method(call->first));
		if (object && call->outcome && call->outcome->code)
			json_object_set_new(object, "code", json_integer(call->outcome->code));
		if (object && call->outcome && call->outcome->cause)
			json_object_set_new(object, "cause", json_string(call->outcome->cause->id));
		json_array_append_new(list, object);
	}
	return list;
}
