/* SPDX-License-Identifier: Apache-2.0 */
/* A real OPTIONS (RFC 3261 §11) with the transaction layer and the event loop of the server. */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <strowger/io.h>
#include <strowger/locate.h>
#include <strowger/transaction.h>

#include "server/decision/decision.h"

#define DEFAULT_TIMEOUT_S (STW_TIMER_B_MS / 1000)
#define TIMEOUT_MAX_S     3600
#define QUESTIONS_MAX     16
#define INPUT_MAX         65536

enum outcome { WAITING, ANSWERED, FAILED };

struct probe {
	struct stw_cli *cli;
	struct stw_uri uri;
	char uri_text[512];
	const char *from;
	struct stw_target target;
	struct stw_arena arena; /* of the look-up */
	struct stw_locate *locate;
	struct stw_hop hop;
	struct stw_listeners listeners; /* the one */
	struct stw_io *io;
	struct stw_wheel wheel;
	struct stw_tx_layer *layer;
	struct stw_tx *tx;
	struct stw_now now;
	uint64_t started_ms, deadline_ms;
	struct stw_random random;
	char branch[32], request_text[2048];
	struct stw_str request;
	char input[INPUT_MAX]; /* of a stream */
	size_t input_len;
	struct stw_framing framing;
	enum outcome outcome;
	char why[300]; /* FAILED */
	struct stw_hop from_hop;
	unsigned code;
	json_t *answer;
};

static void probe_fail(struct probe *probe, const char *format, ...) STW_PRINTF(2, 3);
static void probe_fail(struct probe *probe, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(probe->why, sizeof(probe->why), format, args);
	va_end(args);
	probe->outcome = FAILED;
}

static const char *transport_word(enum stw_transport transport)
{
	return transport == STW_TRANSPORT_UDP ? "udp" : "tcp";
}

/* "udp 192.0.2.1:5060" */
static const char *hop_words(const struct stw_hop *hop, char words[STW_ADDR_TEXT_MAX + 8])
{
	char address[STW_ADDR_TEXT_MAX];

	snprintf(words, STW_ADDR_TEXT_MAX + 8, "%s %.*s", transport_word(hop->transport),
		STW_STR_ARG(stw_addr_text(&hop->remote, address)));
	return words;
}

/* ---- the request ------------------------------------------------------------------------------
 */

static void request_write(struct probe *probe)
{
	char tag[12], call_id[24], sent_by[128];
	const struct stw_listener *listener = &probe->listeners.v[0];
	struct stw_str host = stw_listener_sent_by(listener, NULL, sent_by, sizeof(sent_by));
	struct stw_writer writer;

	memcpy(probe->branch, "z9hG4bK", 7); /* RFC 3261 §8.1.1.7 */
	stw_random_token(&probe->random, probe->branch + 7, 16);
	stw_random_token(&probe->random, tag, 10);
	stw_random_token(&probe->random, call_id, 20);
	stw_writer_init(&writer, probe->request_text, sizeof(probe->request_text));
	stw_write_format(&writer,
		"OPTIONS %s SIP/2.0\r\n"
		"Via: SIP/2.0/%s %.*s;branch=%.23s;rport\r\n"
		"Max-Forwards: 70\r\n"
		"From: <%s>;tag=%.10s\r\n"
		"To: <%s>\r\n"
		"Call-ID: %.20s\r\n"
		"CSeq: 1 OPTIONS\r\n"
		"Accept: application/sdp\r\n"
		"User-Agent: strowger/" STW_VERSION "\r\n"
		"Content-Length: 0\r\n\r\n",
		probe->uri_text, probe->hop.transport == STW_TRANSPORT_UDP ? "UDP" : "TCP",
		STW_STR_ARG(host), probe->branch, probe->from, tag, probe->uri_text, call_id);
	probe->request = stw_writer_text(&writer);
	if (writer.overflow)
		probe_fail(probe, "the request would be too long");
}

static void probe_actions(struct probe *probe, unsigned actions)
{
	char words[STW_ADDR_TEXT_MAX + 8];
	int err;

	if (actions & STW_TX_SEND) {
		err = stw_io_ops()->send(probe->io, &probe->hop, probe->tx->message);
		if (err < 0)
			probe_fail(probe, "cannot send to %s: %s", hop_words(&probe->hop, words),
				strerror(-err));
	}
	if ((actions & STW_TX_TIMEOUT) && probe->outcome == WAITING)
		probe_fail(probe, "408 Request Timeout: no answer from %s",
			hop_words(&probe->hop, words));
}

static void request_send(struct probe *probe)
{
	struct stw_tx_client_options options = {
		.method = STW_METHOD_OPTIONS,
		.method_name = STW_STR("OPTIONS"),
		.branch = { probe->branch, 23 },
		.request = { &probe->request, 1 },
		.reliable = stw_transport_reliable(probe->hop.transport),
	};
	unsigned actions;

	if (stw_tx_client_new(probe->layer, &options, probe->now, &probe->tx, &actions) < 0)
		probe_fail(probe, "no memory is left");
	else
		probe_actions(probe, actions);
}

/* The address is known: bind where the system would send from, then send or connect. */
static void probe_begin(struct probe *probe, const struct stw_place *place)
{
	struct stw_listener *listener = &probe->listeners.v[0];
	char words[STW_ADDR_TEXT_MAX + 8];
	int err;

	probe->hop.transport = place->transport;
	probe->hop.remote = place->addr;
	listener->transport = place->transport;
	if (!listener->bind.family &&
		(err = stw_io_source_addr(&probe->hop.remote, &listener->bind)) < 0) {
		probe_fail(probe, "there is no way to %s: %s", hop_words(&probe->hop, words),
			strerror(-err));
		return;
	}
	err = stw_io_listen(probe->io, listener);
	if (err < 0) {
		probe_fail(probe, "cannot listen: %s", strerror(-err));
		return;
	}
	probe->listeners.n = 1;
	request_write(probe);
	if (probe->outcome != WAITING)
		return;
	if (probe->hop.transport == STW_TRANSPORT_UDP) {
		request_send(probe);
		return;
	}
	err = stw_io_ops()->open(probe->io, &probe->hop, &probe->hop.flow);
	if (err < 0)
		probe_fail(probe, "cannot connect to %s: %s", hop_words(&probe->hop, words),
			strerror(-err));
}

/* ---- the response
 * --------------------------------------------------------------------------------- */

static void answer_keep(struct probe *probe, const struct stw_msg *msg)
{
	static const enum stw_header shown[] = { STW_HDR_SERVER, STW_HDR_USER_AGENT, STW_HDR_ALLOW,
		STW_HDR_SUPPORTED, STW_HDR_ACCEPT, STW_HDR_CONTACT };
	json_t *headers = json_object();
	char words[STW_ADDR_TEXT_MAX + 8], name[32];

	for (size_t i = 0; i < STW_ARRAY_SIZE(shown); i++) {
		struct stw_str value = stw_msg_value(msg, shown[i]);

		snprintf(name, sizeof(name), "%.*s", STW_STR_ARG(stw_header_name(shown[i])));
		if (value.len)
			json_object_set_new(headers, name, stw_json_text(value));
	}
	probe->code = msg->code;
	probe->outcome = ANSWERED;
	probe->answer = json_pack("{s:s, s:i, s:o, s:s, s:I, s:o}", "uri", probe->uri_text, "code",
		(int)msg->code, "phrase", stw_json_text(stw_msg_phrase(msg)), "from",
		hop_words(&probe->from_hop, words), "after_ms",
		(json_int_t)(probe->now.mono_ms - probe->started_ms), "headers", headers);
}

static void message_receive(
	struct probe *probe, const struct stw_hop *hop, const char *data, size_t len)
{
	struct stw_field fields[STW_MSG_FIELDS_MAX];
	struct stw_msg msg = { .fields = fields, .field_capacity = STW_MSG_FIELDS_MAX };
	struct stw_fault fault;

	if (stw_msg_parse(&msg, data, len, NULL, &fault) < 0 || stw_msg_check(&msg, &fault) < 0 ||
		msg.is_request || !probe->tx ||
		stw_tx_match_response(probe->layer, &msg) != probe->tx)
		return;
	probe->from_hop = *hop;
	if (stw_tx_receive_response(probe->tx, &msg, probe->now) & STW_TX_PASS_UP &&
		msg.code >= 200 && probe->outcome == WAITING)
		answer_keep(probe, &msg);
}

static void stream_receive(struct probe *probe, const struct stw_io_event *event)
{
	struct stw_frame frame;

	if (event->len > sizeof(probe->input) - probe->input_len) {
		probe_fail(probe, "the answer is longer than %d bytes", INPUT_MAX);
		return;
	}
	memcpy(probe->input + probe->input_len, event->data, event->len);
	probe->input_len += event->len;
	for (;;) {
		frame = stw_framing_next(
			&probe->framing, probe->input, probe->input_len, &stw_msg_limits_default);
		if (frame.kind == STW_FRAME_MORE)
			return;
		if (frame.kind == STW_FRAME_BROKEN) {
			probe_fail(probe, "what came back is not SIP: %s", frame.cause->meaning);
			return;
		}
		if (frame.kind == STW_FRAME_MESSAGE)
			message_receive(probe, &event->hop, probe->input, frame.bytes);
		probe->input_len -= frame.bytes;
		memmove(probe->input, probe->input + frame.bytes, probe->input_len);
	}
}

static void transport_failed(struct probe *probe, int error)
{
	char words[STW_ADDR_TEXT_MAX + 8];

	if (probe->outcome != WAITING)
		return;
	if (error == ECONNREFUSED)
		probe_fail(probe, "nothing listens on %s", hop_words(&probe->hop, words));
	else
		probe_fail(probe, "%s: %s", hop_words(&probe->hop, words),
			error ? strerror(error) : "the connection was closed without an answer");
}

/* The first place of the list to which there is a way is the one that is probed. */
static void place_choose(struct probe *probe)
{
	struct stw_addr source;
	unsigned count, i = 0;
	const struct stw_place *places = stw_locate_places(probe->locate, &count);

	while (i + 1 < count && stw_io_source_addr(&places[i].addr, &source) < 0)
		i++;
	probe_begin(probe, &places[i]);
}

static void name_step(struct probe *probe)
{
	enum stw_dns_type type;
	struct stw_str name;
	unsigned question;

	while (stw_locate_ask(probe->locate, &question, &name, &type)) {
		if (stw_io_ops()->resolve(probe->io, name, type, question) < 0)
			probe_fail(probe, "the name server cannot be asked");
	}
	switch (stw_locate_state(probe->locate)) {
	case STW_LOCATE_ASKING:
		break;
	case STW_LOCATE_READY:
		place_choose(probe);
		break;
	case STW_LOCATE_FAILED:
		probe_fail(probe, "%.*s: %s", STW_STR_ARG(probe->target.host),
			stw_locate_cause(probe->locate)->meaning);
		break;
	}
}

static void name_resolved(struct probe *probe, const struct stw_io_event *event)
{
	if (stw_locate_state(probe->locate) != STW_LOCATE_ASKING)
		return;
	stw_locate_answer(probe->locate, (unsigned)event->query, event->answer);
	name_step(probe);
}

/* What could be sent from: any address of this machine. Who asks by hand may mean loopback. */
static int name_begin(struct probe *probe)
{
	static struct stw_listeners any = { .n = 6,
		.v = { { .transport = STW_TRANSPORT_UDP,
			       .bind = { .family = 4, .ip = { 127, 0, 0, 1 } } },
			{ .transport = STW_TRANSPORT_TCP,
				.bind = { .family = 4, .ip = { 127, 0, 0, 1 } } },
			{ .transport = STW_TRANSPORT_UDP, .bind.family = 4 },
			{ .transport = STW_TRANSPORT_UDP, .bind.family = 6 },
			{ .transport = STW_TRANSPORT_TCP, .bind.family = 4 },
			{ .transport = STW_TRANSPORT_TCP, .bind.family = 6 } } };
	struct stw_locate_options options = {
		.listeners = &any, .max_places = 8, .max_srv = 8, .max_questions = QUESTIONS_MAX
	};
	int err = stw_locate_new(
		&options, &probe->target, &probe->random, &probe->arena, &probe->locate);

	if (err == 0)
		name_step(probe);
	return err;
}

static void probe_event(struct probe *probe, const struct stw_io_event *event)
{
	switch (event->kind) {
	case STW_IO_DATAGRAM:
		message_receive(probe, &event->hop, event->data, event->len);
		break;
	case STW_IO_BYTES:
		stream_receive(probe, event);
		break;
	case STW_IO_OPENED:
		if (!event->incoming && !probe->tx)
			request_send(probe);
		break;
	case STW_IO_ENDED:
	case STW_IO_CLOSED:
	case STW_IO_SEND_FAILED:
		transport_failed(probe, event->error);
		break;
	case STW_IO_RESOLVED:
		name_resolved(probe, event);
		break;
	case STW_IO_WOKEN:
		break;
	}
}

/* ---- the loop
 * ------------------------------------------------------------------------------------------ */

static void probe_timers(struct probe *probe)
{
	struct stw_timer *timer;
	char words[STW_ADDR_TEXT_MAX + 8];

	while ((timer = stw_wheel_expire(&probe->wheel, probe->now.mono_ms)) && probe->tx)
		probe_actions(probe, stw_tx_timer(probe->tx, timer, probe->now));
	if (probe->outcome == WAITING && probe->now.mono_ms >= probe->deadline_ms)
		probe_fail(probe, "no answer from %s within %llu s",
			probe->hop.remote.family ? hop_words(&probe->hop, words) : probe->uri_text,
			(unsigned long long)((probe->deadline_ms - probe->started_ms) / 1000));
}

static void probe_loop(struct probe *probe)
{
	const struct stw_io_event *events;
	uint64_t next_ms;
	int count;

	while (probe->outcome == WAITING) {
		stw_io_flush(probe->io);
		next_ms = stw_wheel_next(&probe->wheel);
		if (next_ms > probe->deadline_ms)
			next_ms = probe->deadline_ms;
		count = stw_io_poll(probe->io, next_ms, &events);
		probe->now = stw_io_now();
		for (int i = 0; i < count && probe->outcome == WAITING; i++)
			probe_event(probe, &events[i]);
		if (count < 0)
			probe_fail(probe, "%s", strerror(-count));
		probe_timers(probe);
	}
}

static void probe_run(struct probe *probe)
{
	struct stw_io_options options = { .max_flows = 16 };
	struct stw_hash_key key = { stw_io_seed(), stw_io_seed() };
	int err = stw_io_new(&options, &probe->io);

	probe->now = stw_io_now();
	probe->started_ms = probe->now.mono_ms;
	probe->deadline_ms += probe->started_ms;
	stw_wheel_init(&probe->wheel, probe->now.mono_ms);
	stw_random_seed(&probe->random, stw_io_seed());
	stw_framing_init(&probe->framing);
	if (err == 0)
		err = stw_tx_layer_new(&probe->wheel, key, &probe->layer);
	stw_arena_init(&probe->arena, 65536);
	if (err == 0)
		err = name_begin(probe);
	if (err < 0)
		probe_fail(probe, "%s", strerror(-err));
	probe_loop(probe);
	stw_arena_done(&probe->arena);
	stw_io_free(probe->io);
	stw_tx_layer_free(probe->layer);
}

/* ---- what was asked, what is said
 * ------------------------------------------------------------------------ */

/* @return -1, else the exit status */
static int target_read(struct probe *probe, const char *text, const char *transport)
{
	bool scheme = strchr(text, ':') &&
		      (strncasecmp(text, "sip:", 4) == 0 || strncasecmp(text, "sips:", 5) == 0);
	int err;

	snprintf(probe->uri_text, sizeof(probe->uri_text), "%s%s", scheme ? "" : "sip:", text);
	if (strlen(text) + 5 > sizeof(probe->uri_text) || strpbrk(text, " \r\n\t<>") ||
		stw_uri_parse(stw_str_from(probe->uri_text), &probe->uri) < 0)
		return stw_cli_usage(
			probe->cli, "%s is no SIP URI, like sip:bob@example.com", text);
	err = stw_target_from_uri(&probe->uri, &probe->target);
	if (err == 0 && transport) {
		probe->target.transport = stw_transport_from(stw_str_from(transport));
		probe->target.transport_given = true;
	}
	if (err < 0 || (probe->target.transport != STW_TRANSPORT_UDP &&
			       probe->target.transport != STW_TRANSPORT_TCP))
		return stw_cli_usage(probe->cli, "transports are udp and tcp");
	return -1;
}

static int listen_read(struct probe *probe, const char *text)
{
	const char *colon = strrchr(text, ':');
	uint64_t port = 0;

	if (!colon || stw_str_to_uint(stw_str_from(colon + 1), 65535, &port) < 0 ||
		stw_addr_from_host((struct stw_str){ text, (size_t)(colon - text) }, (uint16_t)port,
			&probe->listeners.v[0].bind) < 0)
		return stw_cli_usage(
			probe->cli, "--listen takes ADDRESS:PORT, like 192.0.2.1:5062");
	return -1;
}

static int options_read(
	struct probe *probe, const char *transport, const char *timeout, const char *listen)
{
	struct stw_uri from;
	uint64_t seconds = DEFAULT_TIMEOUT_S;
	int status;

	if (timeout &&
		(stw_str_to_uint(stw_str_from(timeout), TIMEOUT_MAX_S, &seconds) < 0 || !seconds))
		return stw_cli_usage(probe->cli, "--timeout takes seconds, 1 to %d", TIMEOUT_MAX_S);
	probe->deadline_ms = seconds * 1000;
	if (stw_uri_parse(stw_str_from(probe->from), &from) < 0 || strpbrk(probe->from, "<> \r\n"))
		return stw_cli_usage(probe->cli, "--from %s is no SIP URI", probe->from);
	status = listen ? listen_read(probe, listen) : -1;
	return status >= 0 ? status : target_read(probe, probe->cli->operands[0], transport);
}

static int answer_print(struct probe *probe)
{
	const struct stw_status *row = stw_status_or_class(probe->code);
	int status = probe->code < 300 ? STW_EXIT_DONE : STW_EXIT_FAILED;
	FILE *out = probe->cli->out;
	const char *key;
	json_t *value;

	if (probe->cli->json) {
		stw_cli_json(probe->cli, probe->answer);
		return status;
	}
	json_object_foreach(json_object_get(probe->answer, "headers"), key, value)
		fprintf(out, "  %-14s %s\n", key, json_string_value(value));
	fprintf(out, "%u %s from %s after %lld ms", probe->code,
		json_string_value(json_object_get(probe->answer, "phrase")),
		json_string_value(json_object_get(probe->answer, "from")),
		(long long)json_integer_value(json_object_get(probe->answer, "after_ms")));
	if (status == STW_EXIT_DONE || !row)
		fputc('\n', out);
	else
		fprintf(out, ": %s\n", row->summary);
	json_decref(probe->answer);
	return status;
}

static int probe_print(struct probe *probe)
{
	if (probe->outcome == ANSWERED)
		return answer_print(probe);
	if (probe->cli->json) {
		stw_cli_json(probe->cli, json_pack("{s:s, s:o}", "uri", probe->uri_text, "error",
						 stw_json_text(stw_str_from(probe->why))));
		return STW_EXIT_FAILED;
	}
	return stw_cli_fail(probe->cli, "%s", probe->why);
}

int stw_cmd_options(struct stw_cli *cli)
{
	const char *transport = NULL, *timeout = NULL, *listen = NULL;
	const char *from = "sip:anonymous@anonymous.invalid"; /* RFC 3323 §4.1.1.3 */
	const struct stw_cli_option options[] = {
		{ "transport", 0, "udp|tcp", "instead of the one that the URI names", &transport,
			NULL },
		{ "timeout", 0, "SECONDS", "give up after so long; 32 unless given", &timeout,
			NULL },
		{ "from", 0, "URI", "who asks; anonymous unless given", &from, NULL },
		{ "listen", 0, "ADDRESS:PORT", "where to send from", &listen, NULL },
	};
	int status = stw_cli_parse(cli, options, STW_ARRAY_SIZE(options), 1, 1);
	struct probe *probe;

	if (status >= 0)
		return status;
	probe = calloc(1, sizeof(*probe));
	if (!probe)
		return stw_cli_fail(cli, "no memory is left");
	probe->cli = cli;
	probe->from = from;
	status = options_read(probe, transport, timeout, listen);
	if (status < 0) {
		probe_run(probe);
		status = probe_print(probe);
	}
	free(probe);
	return status;
}
