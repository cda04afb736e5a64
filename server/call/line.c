/* SPDX-License-Identifier: Apache-2.0 */
/* A call detail record: one line of JSON. */
#include "server/call/internal.h"

#include <stdlib.h>
#include <string.h>

#include "server/decision/decision.h"

/* Room for all that is not text: names of the members, times, numbers. */
#define LINE_BYTES 640u
#define LEG_BYTES  112u

static bool is_plain(struct stw_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c < ' ' || c >= 0x7f)
			return false;
	}
	return true;
}

/* What is not plain goes the long way: it may be no UTF-8, or hide what a reader should see. */
static void write_unusual(struct stw_writer *writer, struct stw_str text)
{
	json_t *json = stw_json_text(text);
	char *quoted = json ? json_dumps(json, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;

	stw_write_text(writer, quoted ? quoted : "null");
	free(quoted);
	json_decref(json);
}

static void write_value(struct stw_writer *writer, struct stw_str text)
{
	if (!is_plain(text)) {
		write_unusual(writer, text);
		return;
	}
	stw_write_char(writer, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '"' || text.ptr[i] == '\\')
			stw_write_char(writer, '\\');
		stw_write_char(writer, text.ptr[i]);
	}
	stw_write_char(writer, '"');
}

static void write_member(struct stw_writer *writer, const char *key, struct stw_str text)
{
	stw_write_format(writer, ",\"%s\":", key);
	if (text.ptr)
		write_value(writer, text);
	else
		stw_write_text(writer, "null");
}

static void write_time(struct stw_writer *writer, const char *key, uint64_t wall_ms)
{
	json_t *json;

	stw_write_format(writer, ",\"%s\":", key);
	if (!wall_ms) {
		stw_write_text(writer, "null");
		return;
	}
	json = stw_json_time((int64_t)wall_ms);
	stw_write_format(writer, "\"%s\"", json ? json_string_value(json) : "");
	json_decref(json);
}

static void write_number(struct stw_writer *writer, const char *key, bool known, uint64_t number)
{
	stw_write_format(writer, ",\"%s\":", key);
	if (known)
		stw_write_uint(writer, number);
	else
		stw_write_text(writer, "null");
}

static void write_legs(struct stw_writer *writer, const struct call *call)
{
	stw_write_text(writer, ",\"legs\":[");
	for (const struct leg *leg = call->legs; leg; leg = leg->next) {
		stw_write_text(writer, leg == call->legs ? "{\"target\":" : ",{\"target\":");
		write_value(writer, leg->target);
		write_member(writer, "user", leg->user);
		write_number(writer, "code", leg->code, leg->code);
		write_member(writer, "cause", leg->cause ? stw_str_from(leg->cause) : STW_STR_NONE);
		stw_write_char(writer, '}');
	}
	stw_write_char(writer, ']');
}

static void write_diverted(struct stw_writer *writer, const struct call *call)
{
	stw_write_text(writer, ",\"diverted\":[");
	for (const struct diversion *d = call->diverted; d; d = d->next) {
		if (d != call->diverted)
			stw_write_char(writer, ',');
		write_value(writer, d->aor);
	}
	stw_write_char(writer, ']');
}

static void write_call(struct stw_writer *writer, const struct call *call)
{
	bool talked = call->answer_ms && call->end_ms;

	stw_write_text(writer, "{\"call_id\":");
	write_value(writer, call->call_id);
	write_member(writer, "from", call->from);
	write_member(writer, "to", call->to);
	write_member(writer, "request_uri", call->request_uri);
	write_time(writer, "start", (uint64_t)call->began.wall_ms);
	write_time(writer, "ring", call->ring_ms);
	write_time(writer, "answer", call->answer_ms);
	write_time(writer, "end", call->end_ms);
	write_number(writer, "duration_ms", talked,
		call->end_ms > call->answer_ms ? call->end_ms - call->answer_ms : 0);
	write_number(writer, "code", call->code, call->code);
	write_member(writer, "cause", call->cause ? stw_str_from(call->cause) : STW_STR_NONE);
	write_member(
		writer, "ended_by", call->ended_by ? stw_str_from(call->ended_by) : STW_STR_NONE);
	write_diverted(writer, call);
	write_legs(writer, call);
	stw_write_text(writer, "}\n");
}

/* A byte takes six at the most. */
static size_t line_bytes(const struct call *call)
{
	size_t text = call->call_id.len + call->from.len + call->to.len + call->request_uri.len;
	size_t bytes = LINE_BYTES;

	for (const struct leg *leg = call->legs; leg; leg = leg->next) {
		text += leg->target.len + leg->user.len;
		bytes += LEG_BYTES + (leg->cause ? strlen(leg->cause) : 0);
	}
	for (const struct diversion *d = call->diverted; d; d = d->next) {
		text += d->aor.len;
		bytes += 4;
	}
	return bytes + 6 * text;
}

struct stw_record_line *call_line(const struct call *call)
{
	size_t bytes = line_bytes(call);
	struct stw_record_line *line = malloc(sizeof(*line) + bytes);
	struct stw_writer writer;

	if (!line)
		return NULL;
	stw_writer_init(&writer, line->text, bytes);
	write_call(&writer, call);
	line->len = writer.len;
	if (!writer.overflow)
		return line;
	free(line);
	return NULL;
}
