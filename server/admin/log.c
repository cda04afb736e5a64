/* SPDX-License-Identifier: Apache-2.0 */
#include "server/admin/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <strowger/io.h>

#include "server/cause.h"
#include "server/decision/decision.h"

#define GATES          256 /* a power of two, more than there are causes */
#define GATE_WINDOW_MS 10000
#define GATE_LINES     20  /* of one cause in one window */
#define GATE_AUTH      500 /* failed authentication: a tool counts them per address */
#define CALL_ID_KEPT   128

/* How many lines of a cause were written in this window, and how many were not. */
struct gate {
	const struct stw_cause *cause;
	uint64_t since_ms;
	unsigned lines, held;
};

struct stw_log {
	atomic_int level;
	struct stw_log_writer *writer;
	unsigned queue;
	struct gate gates[GATES];
	/* The request that is being handled: where it really came from. */
	struct stw_addr source;
	char call_id[CALL_ID_KEPT];
	size_t call_id_len;
};

int stw_log_new(enum stw_log_level level, struct stw_log_writer *writer, unsigned queue,
	struct stw_log **ret)
{
	struct stw_log *log = calloc(1, sizeof(*log));

	if (!log)
		return -ENOMEM;
	atomic_init(&log->level, (int)level);
	log->writer = writer;
	log->queue = queue;
	*ret = log;
	return 0;
}

uint64_t stw_log_lost(const void *log)
{
	return stw_log_writer_lost(((const struct stw_log *)log)->writer);
}

struct stw_log *stw_log_free(struct stw_log *log)
{
	free(log);
	return NULL;
}

void stw_log_set_level(struct stw_log *log, enum stw_log_level level)
{
	atomic_store(&log->level, (int)level);
}

static bool log_wants(struct stw_log *log, enum stw_log_level level)
{
	return (int)level <= atomic_load(&log->level);
}

static void log_write(struct stw_log *log, enum stw_log_level level, const char *text)
{
	static const int priorities[] = { 3, 4, 5, 7 }; /* syslog(3): err, warning, notice, debug */
	size_t size = strlen(text) + 8;
	struct stw_log_line *line = malloc(sizeof(*line) + size);
	int used;

	if (line && stw_log_writer_is_journal(log->writer))
		used = snprintf(line->text, size, "<%d>%s\n", priorities[level], text);
	else if (line)
		used = snprintf(line->text, size, "%s\n", text);
	if (line)
		line->len = (size_t)used;
	stw_log_writer_give(log->writer, log->queue, line);
}

void stw_log_event(
	struct stw_log *log, enum stw_log_level level, const char *event, json_t *members)
{
	static const char *const names[] = { "error", "warning", "notice", "debug" };
	json_t *object;
	char *text;

	if (log_wants(log, level)) {
		object = json_pack("{s:s, s:s}", "event", event, "level", names[level]);
		if (object && !stw_log_writer_is_journal(log->writer))
			json_object_set_new(object, "time", stw_json_time(stw_io_now().wall_ms));
		if (object && members)
			json_object_update(object, members);
		text = object ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
		if (text)
			log_write(log, level, text);
		free(text);
		json_decref(object);
	}
	json_decref(members);
}

/* ---- notes ---------------------------------------------------------------------------- */

static struct gate *gate_of(struct stw_log *log, const struct stw_cause *cause)
{
	size_t at = ((uintptr_t)cause >> 4) & (GATES - 1);

	for (size_t i = 0; i < GATES; i++, at = (at + 1) & (GATES - 1)) {
		if (log->gates[at].cause == cause || !log->gates[at].cause) {
			log->gates[at].cause = cause;
			return &log->gates[at];
		}
	}
	return &log->gates[0];
}

static bool gate_pass(
	struct stw_log *log, const struct stw_cause *cause, unsigned max, struct stw_now now)
{
	struct gate *gate = gate_of(log, cause);

	if (now.mono_ms - gate->since_ms >= GATE_WINDOW_MS) {
		if (gate->held)
			stw_log_event(log, STW_LOG_NOTICE, "log.held_back",
				json_pack("{s:s, s:i}", "cause", cause->id, "lines",
					(int)gate->held));
		gate->since_ms = now.mono_ms;
		gate->lines = gate->held = 0;
	}
	if (gate->lines < max) {
		gate->lines++;
		return true;
	}
	gate->held++;
	return false;
}

static void set_text(json_t *object, const char *key, struct stw_str text)
{
	if (text.len)
		json_object_set_new(object, key, stw_json_text(text));
}

static void set_address(json_t *object, const struct stw_addr *addr)
{
	char text[STW_ADDR_TEXT_MAX];

	if (!addr->family)
		return;
	set_text(object, "address", stw_addr_ip_text(addr, text));
	json_object_set_new(object, "port", json_integer(addr->port));
}

static json_t *note_members(const struct stw_note *note, struct stw_str place)
{
	json_t *object = json_object();
	const struct stw_msg *msg = note->msg;

	if (note->code)
		json_object_set_new(object, "code", json_integer(note->code));
	if (note->cause)
		json_object_set_new(object, "cause", json_string(note->cause->id));
	set_text(object, "method", note->method_name);
	if (note->hop)
		set_address(object, &note->hop->remote);
	if (msg && msg->has_call_id)
		set_text(object, "call_id", msg->call_id);
	if (msg && msg->has_from)
		set_text(object, "from", msg->from.uri.text);
	if (msg && msg->has_to)
		set_text(object, "to", msg->to.uri.text);
	set_text(object, "uri", note->uri);
	for (unsigned i = 0; note->refusal && i < note->refusal->fact_count; i++)
		set_text(object, note->refusal->facts[i].key, note->refusal->facts[i].value);
	if (note->refusal && note->refusal->option)
		json_object_set_new(object, "option", json_string(note->refusal->option));
	set_text(object, "place", place);
	return object;
}

/* A response may be sent elsewhere (maddr, RFC 3261 §18.2.2); the request's source cannot be forged
 * so. */
static void source_keep(struct stw_log *log, const struct stw_note *note)
{
	struct stw_str call_id = stw_str_cut(note->msg->call_id, 0, CALL_ID_KEPT);

	log->call_id_len = 0;
	if (!note->hop || !note->msg->has_call_id)
		return;
	log->source = note->hop->remote;
	memcpy(log->call_id, call_id.ptr, call_id.len);
	log->call_id_len = call_id.len;
}

static const struct stw_addr *source_of(const struct stw_log *log, const struct stw_note *note)
{
	struct stw_str call_id = stw_str_cut(note->msg->call_id, 0, CALL_ID_KEPT);

	if (log->call_id_len &&
		stw_str_equal(call_id, (struct stw_str){ log->call_id, log->call_id_len }))
		return &log->source;
	return &note->hop->remote;
}

static void log_auth_failed(struct stw_log *log, const struct stw_note *note)
{
	json_t *object = json_object();

	if (note->hop)
		set_address(object, source_of(log, note));
	json_object_set_new(object, "cause", json_string(note->cause->id));
	set_text(object, "method", note->method_name);
	for (unsigned i = 0; note->refusal && i < note->refusal->fact_count; i++)
		set_text(object, note->refusal->facts[i].key, note->refusal->facts[i].value);
	set_text(object, "call_id", note->msg->call_id);
	stw_log_event(log, STW_LOG_NOTICE, "auth.failed", object);
}

/* Wrong or unknown credentials alone: who proves to be one user and names another in From or To is
 * no guesser of passwords. */
static bool is_auth_failure(const struct stw_cause *cause)
{
	return cause == &stw_cause_credentials_wrong || cause == &stw_cause_credentials_wrong_proxy;
}

/* A first challenge and a nonce that has aged are the normal course of Digest. */
static bool is_ordinary(const struct stw_note *note)
{
	return !note->cause || note->relayed || note->code < 300 ||
	       note->cause == &stw_cause_credentials_missing ||
	       note->cause == &stw_cause_credentials_missing_proxy ||
	       note->cause == &stw_cause_nonce_stale || note->cause == &stw_cause_nonce_stale_proxy;
}

static void log_response(struct stw_log *log, const struct stw_note *note, struct stw_str place)
{
	if (is_ordinary(note)) {
		if (log_wants(log, STW_LOG_DEBUG))
			stw_log_event(
				log, STW_LOG_DEBUG, "response.out", note_members(note, place));
		return;
	}
	if (!log_wants(log, STW_LOG_NOTICE))
		return;
	if (is_auth_failure(note->cause) && note->msg) {
		if (gate_pass(log, note->cause, GATE_AUTH, note->now))
			log_auth_failed(log, note);
		return;
	}
	if (gate_pass(log, note->cause, GATE_LINES, note->now))
		stw_log_event(log, STW_LOG_NOTICE, "request.refused", note_members(note, place));
}

void stw_log_note(void *context, const struct stw_note *note, struct stw_str place)
{
	static const char *const names[] = {
		[STW_NOTE_REQUEST_IN] = "request.in",
		[STW_NOTE_REQUEST_OUT] = "request.out",
		[STW_NOTE_RESPONSE_IN] = "response.in",
		[STW_NOTE_RESPONSE_OUT] = "response.out",
		[STW_NOTE_TIMEOUT] = "transaction.timeout",
		[STW_NOTE_FAILURE] = "send.failed",
		[STW_NOTE_DROPPED] = "message.dropped",
		[STW_NOTE_RETRANSMISSION] = "retransmission",
		[STW_NOTE_DECISION] = "decision",
	};
	struct stw_log *log = context;

	switch (note->kind) {
	case STW_NOTE_RESPONSE_OUT:
		log_response(log, note, place);
		return;
	case STW_NOTE_TIMEOUT:
	case STW_NOTE_FAILURE:
	case STW_NOTE_DROPPED:
		if (note->cause && log_wants(log, STW_LOG_NOTICE) &&
			gate_pass(log, note->cause, GATE_LINES, note->now))
			stw_log_event(
				log, STW_LOG_NOTICE, names[note->kind], note_members(note, place));
		return;
	case STW_NOTE_REQUEST_IN:
		if (note->msg)
			source_keep(log, note);
		break;
	case STW_NOTE_REQUEST_OUT:
	case STW_NOTE_RESPONSE_IN:
	case STW_NOTE_RETRANSMISSION:
	case STW_NOTE_DECISION:
		break;
	}
	if (log_wants(log, STW_LOG_DEBUG))
		stw_log_event(log, STW_LOG_DEBUG, names[note->kind], note_members(note, place));
}
