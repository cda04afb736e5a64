/* SPDX-License-Identifier: Apache-2.0 */
#include "server/try.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/core_internal.h"

#define MESSAGE_MAX 16384

/* What each row of the lists asks, in their order (server/route). */
static const struct {
	const char *name, *about;
} rows[] = {
	{ "F1-F12", "the message can be read, and there is room for it" },
	{ "U4", "the server itself serves this method" },
	{ "U5", "the scheme of the Request-URI" },
	{ "U6", "no dialog that the server does not have" },
	{ "U9", "Require" },
	{ "U10", "type, encoding and language of the body" },
	{ "OPTIONS", "capabilities" },
	{ "R5", "Require" },
	{ "R6", "credentials" },
	{ "R7-R15", "whose bindings, which contacts, for how long" },
	{ "P2-P5", "scheme, Max-Forwards, loop, Proxy-Require" },
	{ "P7", "a caller of ours proves who he is" },
	{ "P8", "Route of a call that passed through us" },
	{ "P9", "a stranger may come in, but not out" },
	{ "P10", "Resource-Priority; how many calls the caller has; what the analytics server says "
		 "(it is not asked here)" },
	{ "P11", "the session interval is long enough" },
	{ "P12", "the dial plan, and names that several users go by" },
	{ "P12-P14", "who is called, and where he can be reached" },
};

struct
try {
	struct stw_trial trial; /* first: row() casts */
	struct stw_core *core;
	json_t *checks, *targets, *names, *result;
	bool answered, ok, waits;
	char message[MESSAGE_MAX];
};

/* ---- what happens --------------------------------------------------------------------- */

static const char *row_about(const char *name)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].about;
	}
	return "";
}

static void try_row(struct stw_trial *trial, const char *name, bool refused)
{
	struct try *try = (struct try *)trial;

	json_array_append_new(
		try->checks, json_pack("{s:s, s:s, s:s}", "name", name, "about", row_about(name),
				     "verdict", refused ? "refuse" : "pass"));
}

static void set_text(json_t *json, const char *key, const char *text)
{
	json_object_set_new(json, key, json_string(text));
}

static void try_cause(struct try *try, const struct stw_note *note, struct stw_str place)
{
	const struct stw_cause *cause = note->cause;
	json_t *facts = json_object();

	if (!cause) {
		json_decref(facts);
		return;
	}
	set_text(try->result, "cause", cause->id);
	set_text(try->result, "meaning", cause->meaning);
	set_text(try->result, "reason", cause->reason);
	set_text(try->result, "remedy", cause->remedy);
	set_text(try->result, "rfc", cause->rfc);
	for (unsigned i = 0; note->refusal && i < note->refusal->fact_count; i++)
		json_object_set_new(facts, note->refusal->facts[i].key,
			stw_json_text(note->refusal->facts[i].value));
	json_object_set_new(try->result, "facts", facts);
	if (note->refusal && note->refusal->option) {
		set_text(try->result, "option", note->refusal->option);
		json_object_set_new(try->result, "place", stw_json_text(place));
	}
}

static void try_target(struct try *try, struct stw_str uri, const struct stw_hop *hop)
{
	char address[STW_ADDR_TEXT_MAX];

	json_array_append_new(
		try->targets, json_pack("{s:o, s:o, s:o}", "uri", stw_json_text(uri), "transport",
				      stw_json_text(stw_transport_name(hop->transport)), "address",
				      stw_json_text(stw_addr_text(&hop->remote, address))));
}

/* The first final answer is what the caller would get. */
static void try_note(void *context, const struct stw_note *note, struct stw_str place)
{
	struct try *try = context;

	if (note->kind == STW_NOTE_REQUEST_OUT && note->hop) {
		try_target(try, note->uri, note->hop);
	} else if (note->kind == STW_NOTE_DROPPED && !try->answered) {
		try->answered = true;
		try_cause(try, note, place);
	} else if (note->kind == STW_NOTE_RESPONSE_OUT && note->code == 182 && !try->answered) {
		try->waits = true;
		json_object_set_new(try->result, "code", json_integer(note->code));
		json_object_set_new(try->result, "phrase", stw_json_text(note->phrase));
		try_cause(try, note, place);
	} else if (note->kind == STW_NOTE_RESPONSE_OUT && note->code >= 200 && !try->answered) {
		try->answered = true;
		try->ok = note->code < 300;
		json_object_set_new(try->result, "code", json_integer(note->code));
		json_object_set_new(try->result, "phrase", stw_json_text(note->phrase));
		try_cause(try, note, place);
	}
}

/* ---- a world in which nothing arrives --------------------------------------------------- */

static int try_send(void *io, const struct stw_hop *hop, struct stw_slices slices)
{
	return 0;
}

static int try_open(void *io, const struct stw_hop *hop, struct stw_flow_id *ret)
{
	struct try *try = io;

	try_target(try, STW_STR(""), hop);
	*ret = (struct stw_flow_id){ .slot = 0, .generation = 1 };
	return 0;
}

static void try_close(void *io, struct stw_flow_id flow)
{
}

static int try_resolve(void *io, struct stw_str name, unsigned type, uint64_t query)
{
	struct try *try = io;
	json_t *known;
	size_t i;

	json_array_foreach(try->names, i, known)
	{
		if (stw_str_equal(stw_str_from(json_string_value(known)), name))
			return 0;
	}
	json_array_append_new(try->names, stw_json_text(name));
	return 0;
}

static const struct stw_io_ops try_ops = {
	.send = try_send, .open = try_open, .close = try_close, .resolve = try_resolve
};

/* ---- the request ------------------------------------------------------------------------ */

static const char *ask_text(const json_t *ask, const char *key, const char *standard)
{
	const char *text = json_string_value(json_object_get(ask, key));

	return text && *text ? text : standard;
}

/* A header line of the asker takes the place of ours. */
static bool is_given(const json_t *headers, const char *name)
{
	const json_t *line;
	size_t i, length = strlen(name);

	json_array_foreach(headers, i, line)
	{
		const char *text = json_string_value(line);

		if (text && strlen(text) > length && text[length] == ':' &&
			stw_str_equal_nocase((struct stw_str){ text, length }, stw_str_from(name)))
			return true;
	}
	return false;
}

static int request_write(
	struct try *try, const json_t *ask, const char *source, struct stw_writer *writer)
{
	const char *method = ask_text(ask, "method", "INVITE"), *uri = ask_text(ask, "uri", "");
	const json_t *headers = json_object_get(ask, "headers"), *line;
	char as[600] = "sip:anonymous@anonymous.invalid";
	const char *to = strcmp(method, "REGISTER") == 0 ? "from" : "uri";
	const char *from;
	size_t i;

	if (try->trial.as.len)
		snprintf(as, sizeof(as), "%.*s", STW_STR_ARG(try->trial.as));
	from = ask_text(ask, "from", as);
	stw_writer_init(writer, try->message, sizeof(try->message));
	stw_write_format(writer, "%s %s SIP/2.0\r\n", method, uri);
	if (!is_given(headers, "Via"))
		stw_write_format(writer, "Via: SIP/2.0/UDP %s;branch=z9hG4bKtry\r\n", source);
	if (!is_given(headers, "Max-Forwards"))
		stw_write_text(writer, "Max-Forwards: 70\r\n");
	if (!is_given(headers, "From"))
		stw_write_format(writer, "From: <%s>;tag=try\r\n", from);
	if (!is_given(headers, "To"))
		stw_write_format(writer, "To: <%s>\r\n", strcmp(to, "from") == 0 ? from : uri);
	if (!is_given(headers, "Call-ID"))
		stw_write_text(writer, "Call-ID: try\r\n");
	if (!is_given(headers, "CSeq"))
		stw_write_format(writer, "CSeq: 1 %s\r\n", method);
	if (!is_given(headers, "Contact"))
		stw_write_format(writer, "Contact: <sip:%s>\r\n", source);
	json_array_foreach(headers, i, line) stw_write_format(
		writer, "%s\r\n", json_string_value(line) ? json_string_value(line) : "");
	stw_write_text(writer, "Content-Length: 0\r\n\r\n");
	return writer->overflow ? -ENOBUFS : 0;
}

int stw_try_source(const char *text, struct stw_addr *ret)
{
	struct stw_str host = stw_str_from(text);
	size_t from = *text == '[' ? stw_str_find(host, ']', 0) : 0;
	size_t colon = stw_str_find(host, ':', from);
	uint64_t port = 5060;

	if (colon < host.len &&
		stw_str_to_uint(stw_str_cut(host, colon + 1, host.len), 65535, &port) < 0)
		return -EINVAL;
	return stw_addr_from_host(stw_str_cut(host, 0, colon), (uint16_t)port, ret);
}

static bool has_line_end(const json_t *ask)
{
	static const char *const keys[] = { "method", "uri", "from" };
	const json_t *headers = json_object_get(ask, "headers"), *line;
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(keys); i++) {
		if (strpbrk(ask_text(ask, keys[i], ""), "\r\n"))
			return true;
	}
	json_array_foreach(headers, i, line)
	{
		if (json_string_value(line) && strpbrk(json_string_value(line), "\r\n"))
			return true;
	}
	return false;
}

/* ---- all of it ---------------------------------------------------------------------------- */

static int try_run(
	struct try *try, const json_t *ask, const struct stw_addr *source, const char *source_text)
{
	const json_t *at = json_object_get(ask, "at_ms");
	struct stw_core_options options = try->core->options;
	struct stw_io_event event = { .kind = STW_IO_DATAGRAM };
	struct stw_now now = try->core->now;
	struct stw_core *core;
	struct stw_writer writer;
	int err = request_write(try, ask, source_text, &writer);

	if (json_is_integer(at))
		try->trial.at_ms = json_integer_value(at);
	options.config = try->core->config;
	options.workers = NULL;
	options.queues = NULL; /* as if nobody else waited */
	options.worker = 0;
	options.nonces = try->core->nonces;
	options.sources = NULL;
	options.busy = try->core->busy;
	options.records = NULL;
	options.io = &try_ops;
	options.io_user = try;
	options.log = try_note;
	options.log_context = try;
	options.trial = &try->trial;
	if (!options.listeners->n)
		options.listeners = &try->core->config->listen;
	if (err == 0)
		err = stw_core_new(&options, now, &core);
	if (err < 0)
		return err;
	event.hop = (struct stw_hop){ .transport = STW_TRANSPORT_UDP, .remote = *source };
	for (uint16_t i = 0; i < options.listeners->n; i++) {
		if (options.listeners->v[i].transport == STW_TRANSPORT_UDP &&
			options.listeners->v[i].bind.family == source->family)
			event.hop.listener = i;
	}
	event.hop.local = options.listeners->v[event.hop.listener].bind;
	event.data = try->message;
	event.len = writer.len;
	if (try->core->draining)
		stw_core_drain(core);
	stw_core_begin(core, now);
	stw_core_event(core, &event);
	stw_core_end(core);
	stw_core_free(core);
	return 0;
}

/* Refused before the first row: by the common front. */
static void try_front(struct try *try)
{
	bool refused = try->answered && !json_array_size(try->checks);
	json_t *row = json_pack("{s:s, s:s, s:s}", "name", "F1-F12", "about", row_about("F1-F12"),
		"verdict", refused ? "refuse" : "pass");

	json_array_insert_new(try->checks, 0, row);
}

int stw_try(struct stw_core *core, const json_t *ask, json_t **ret, char error[200])
{
	const char *source_text = ask_text(ask, "source", "127.0.0.1:5060");
	struct try *try = calloc(1, sizeof(*try));
	struct stw_addr source;
	int err = 0;

	if (!try)
		return -ENOMEM;
	try->trial.row = try_row;
	try->core = core;
	try->trial.as = stw_str_from(ask_text(ask, "as", ""));
	if (stw_try_source(source_text, &source) < 0) {
		snprintf(error, 200, "%.80s is no IP address, with or without a port", source_text);
		err = -EINVAL;
	} else if (has_line_end(ask)) {
		snprintf(error, 200, "a line of the request cannot contain an end of line");
		err = -EINVAL;
	} else if (try->trial.as.len &&
		   !stw_directory_find(core->options.directory, try->trial.as)) {
		snprintf(error, 200, "there is no user %.100s", try->trial.as.ptr);
		err = -EINVAL;
	}
	if (err == 0) {
		try->checks = json_array();
		try->targets = json_array();
		try->names = json_array();
		try->result = json_object();
		err = try_run(try, ask, &source, source_text);
	}
	if (err == 0) {
		try_front(try);
		json_object_set_new(try->result, "passes",
			json_boolean(try->answered ? try->ok
						   : try->waits || json_array_size(try->targets) ||
							     json_array_size(try->names)));
		json_object_set(try->result, "checks", try->checks);
		json_object_set(try->result, "targets", try->targets);
		json_object_set(try->result, "names", try->names);
		*ret = json_incref(try->result);
	}
	json_decref(try->checks);
	json_decref(try->targets);
	json_decref(try->names);
	json_decref(try->result);
	free(try);
	return err;
}
