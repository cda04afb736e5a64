/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent says: events as words or JSON, messages as they go, the ladder. */
#include "cli/agent.h"

#include <string.h>
#include <unistd.h>

#include "cli/ladder.h"
#include "server/decision/decision.h"

#define GREEN "\033[32m"
#define CYAN  "\033[36m"
#define PLAIN "\033[0m"

static void put_escaped(FILE *out, struct stw_str character)
{
	for (size_t i = 0; i < character.len; i++) {
		unsigned char byte = (unsigned char)character.ptr[i];

		if (byte == '\n' || byte == '\t')
			fputs(byte == '\n' ? "\\n" : "\\t", out);
		else if (byte != '\r')
			fprintf(out, "\\x%02x", (unsigned)byte);
	}
}

/* What a peer writes must not steer the terminal. */
static void put_lines(FILE *out, struct stw_str text, const char *allowed)
{
	size_t bytes;
	bool plain;

	for (; text.len; text = stw_str_cut(text, bytes, text.len)) {
		bytes = stw_text_character(text, &plain);
		if (plain || (*text.ptr && strchr(allowed, *text.ptr)))
			fwrite(text.ptr, 1, bytes, out);
		else
			put_escaped(out, stw_str_cut(text, 0, bytes));
	}
}

/* A line of ours stays one: what follows could look like another. */
static void put_plainly(FILE *out, struct stw_str text)
{
	put_lines(out, text, "");
}

void agent_tell(struct agent *agent, const char *event, json_t *json, const char *text)
{
	long long ms = (long long)(agent->now.mono_ms - agent->started.mono_ms);
	json_t *all = json_pack("{s:s, s:I}", "event", event, "at_ms", (json_int_t)ms);

	if (all && json)
		json_object_update(all, json);
	if (agent->probe) {
		; /* the command says it */
	} else if (all && agent->cli->json) {
		json_dumpf(all, agent->cli->out, JSON_COMPACT);
		fputc('\n', agent->cli->out);
	} else if (text && *text) {
		fprintf(agent->cli->out, "%4lld.%03lld  ", ms / 1000, ms % 1000);
		put_plainly(agent->cli->out, stw_str_from(text));
		fputc('\n', agent->cli->out);
	}
	if (all && agent->json_file) {
		json_dumpf(all, agent->json_file, JSON_COMPACT);
		fputc('\n', agent->json_file);
		fflush(agent->json_file);
	}
	fflush(agent->cli->out);
	json_decref(all);
	json_decref(json);
}

/* From and user of a message: who it is about. */
static void party(const struct stw_msg *msg, enum stw_header header, char *buffer, size_t size)
{
	struct stw_address address;

	*buffer = '\0';
	if (msg && stw_address_parse(stw_msg_value(msg, header), &address) == 0)
		snprintf(buffer, size, "%.*s", STW_STR_ARG(address.uri.text));
}

static void stream_words(const struct stw_sdp_stream *stream, char *buffer, size_t size)
{
	static const char *const words[] = { "nothing flows", "we send", "we receive",
		"both ways" };

	if (!stream->active)
		snprintf(buffer, size, "no sound");
	else
		snprintf(buffer, size, "sound: %.*s with %s port %u, %s",
			STW_STR_ARG(stream->codec.codec.name), stream->address,
			(unsigned)stream->rtp_port, words[stream->direction]);
}

/* As Replaces and Join of another phone name the dialog to this one (RFC 3891 §3). */
static void dialog_words(const struct stw_session *session, char *buffer, size_t size)
{
	const struct stw_dialog *dialog = session ? stw_session_dialog(session) : NULL;

	*buffer = '\0';
	if (dialog)
		snprintf(buffer, size, "%.*s;to-tag=%.*s;from-tag=%.*s",
			STW_STR_ARG(dialog->call_id), STW_STR_ARG(dialog->local_tag),
			STW_STR_ARG(dialog->remote_tag));
}

/* What a refusal brings besides its code, for the user to see: what the remedy of the code speaks
 * of. Code 0: any. */
static const struct {
	unsigned code;
	const char *header, *words;
} details[] = {
	{ 0, "Contact", "may be called instead" },
	{ 0, "Warning", "warning" },
	{ 0, "Error-Info", "more about it" },
	{ 401, "WWW-Authenticate", "wants a password" },
	{ 405, "Allow", "takes the methods" },
	{ 407, "Proxy-Authenticate", "wants a password" },
	{ 415, "Accept", "takes the types" },
	{ 415, "Accept-Encoding", "takes the encodings" },
	{ 415, "Accept-Language", "takes the languages" },
	{ 417, "Accept-Resource-Priority", "knows the priorities" },
	{ 420, "Unsupported", "does not have" },
	{ 421, "Require", "needs" },
	{ 422, "Min-SE", "shortest session timer in seconds" },
	{ 423, "Min-Expires", "shortest time in seconds" },
	{ 424, "Geolocation-Error", "what is wrong with the location" },
	{ 425, "AlertMsg-Error", "what is wrong with the alert" },
	{ 469, "Recv-Info", "takes the packages" },
	{ 470, "Permission-Missing", "have not agreed" },
	{ 489, "Allow-Events", "knows the packages" },
	{ 494, "Security-Server", "offers the protection" },
	{ 501, "Allow", "takes the methods" },
	{ 608, "Call-Info", "who has blocked it, as they say" },
};

static struct stw_str detail(const struct stw_ua_event *event, size_t i)
{
	const struct stw_field *field;

	if (details[i].code && details[i].code != event->code)
		return STW_STR_NONE;
	field = stw_msg_find_name(event->msg, stw_str_from(details[i].header));
	return field ? stw_field_value(event->msg, field) : STW_STR_NONE;
}

static bool is_refusal(const struct stw_ua_event *event)
{
	return event->msg && !event->msg->is_request && event->code >= 300 &&
	       (event->kind == STW_UA_ENDED || event->kind == STW_UA_RESPONSE ||
		       event->kind == STW_UA_INCOMPLETE || event->kind == STW_UA_CHANGED ||
		       event->kind == STW_UA_UNREGISTERED);
}

static struct stw_str refusal_text(const struct stw_ua_event *event)
{
	struct stw_str type = stw_msg_value(event->msg, STW_HDR_CONTENT_TYPE);
	struct stw_str text = stw_msg_body(event->msg);

	type = stw_str_trim(stw_str_cut(type, 0, stw_str_find(type, ';', 0)));
	if (!stw_str_equal_nocase(type, STW_STR("text/plain")))
		return STW_STR_NONE;
	while (text.len && strchr("\r\n", text.ptr[text.len - 1]))
		text.len--;
	return text;
}

static void details_json(const struct stw_ua_event *event, json_t *json)
{
	json_t *headers = json_object();

	for (size_t i = 0; i < STW_ARRAY_SIZE(details); i++) {
		if (detail(event, i).len)
			json_object_set_new(
				headers, details[i].header, stw_json_text(detail(event, i)));
	}
	json_object_set_new(json, "headers", headers);
	if (refusal_text(event).len)
		json_object_set_new(json, "body", stw_json_text(refusal_text(event)));
	if (event->retry_s)
		json_object_set_new(json, "retry_s", json_integer(event->retry_s));
}

static void say_plainly(FILE *out, const char *words, struct stw_str text)
{
	fprintf(out, "          %s: ", words);
	put_plainly(out, text);
	fputc('\n', out);
}

static void say_details(FILE *out, const struct stw_ua_event *event)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(details); i++) {
		if (detail(event, i).len)
			say_plainly(out, details[i].words, detail(event, i));
	}
	if (refusal_text(event).len)
		say_plainly(out, "they say", refusal_text(event));
	if (event->retry_s)
		fprintf(out, "          may be tried again after %u s\n", event->retry_s);
}

static json_t *event_json(const struct stw_ua_event *event)
{
	json_t *json = json_object();
	char uri[1024];

	if (event->code)
		json_object_set_new(json, "code", json_integer(event->code));
	if (event->phrase.len)
		json_object_set_new(json, "phrase", stw_json_text(event->phrase));
	if (event->cause)
		json_object_set_new(json, "cause", json_string(event->cause->id));
	if (event->text.len)
		json_object_set_new(json, "text", stw_json_text(event->text));
	if (event->msg)
		json_object_set_new(
			json, "call_id", stw_json_text(stw_msg_value(event->msg, STW_HDR_CALL_ID)));
	party(event->msg, STW_HDR_FROM, uri, sizeof(uri));
	if (*uri)
		json_object_set_new(json, "from", stw_json_text(stw_str_from(uri)));
	dialog_words(event->kind == STW_UA_ESTABLISHED ? event->session : NULL, uri, sizeof(uri));
	if (*uri)
		json_object_set_new(json, "dialog", stw_json_text(stw_str_from(uri)));
	if (event->kind == STW_UA_ENDED)
		json_object_set_new(json, "by_us", json_boolean(event->by_us));
	if (is_refusal(event))
		details_json(event, json);
	if (event->expires_s)
		json_object_set_new(json, "expires_s", json_integer(event->expires_s));
	if (event->stream && event->stream->active) {
		json_object_set_new(json, "codec", stw_json_text(event->stream->codec.codec.name));
		json_object_set_new(json, "direction", json_integer(event->stream->direction));
	}
	return json;
}

static void event_words(const struct stw_ua_event *event, char *buffer, size_t size)
{
	char uri[512], name[64];

	snprintf(name, sizeof(name), "%s", stw_ua_event_name(event->kind));
	switch (event->kind) {
	case STW_UA_INCOMING:
		party(event->msg, STW_HDR_FROM, uri, sizeof(uri));
		snprintf(buffer, size, "incoming call from %s", uri);
		break;
	case STW_UA_MESSAGE:
		party(event->msg, STW_HDR_FROM, uri, sizeof(uri));
		snprintf(buffer, size, "message from %s: %.*s", uri,
			STW_STR_ARG(stw_msg_body(event->msg)));
		break;
	case STW_UA_MEDIA:
		stream_words(event->stream, buffer, size);
		break;
	case STW_UA_ENDED:
		snprintf(buffer, size, "%s", event->by_us ? "ended by us" : "ended");
		if (event->code)
			snprintf(buffer, size, "%s: %u %.*s%s%.*s",
				event->by_us ? "ended by us" : "ended", event->code,
				STW_STR_ARG(event->phrase), event->text.len ? ", reason " : "",
				STW_STR_ARG(event->text));
		break;
	case STW_UA_REPLACED:
		snprintf(buffer, size, "another call takes its place");
		break;
	case STW_UA_JOINED:
		snprintf(buffer, size, "added to the conversation");
		break;
	case STW_UA_REDIRECTED:
		snprintf(buffer, size, "%u %.*s: now asking %.*s", event->code,
			STW_STR_ARG(event->phrase), STW_STR_ARG(event->text));
		break;
	case STW_UA_REGISTERED:
		snprintf(buffer, size, "registered for %u s", event->expires_s);
		break;
	case STW_UA_UNREGISTERED:
		/* refused: what was bound before is bound still */
		snprintf(buffer, size, "%s: %u %.*s",
			event->code < 300 ? name : "registration not done", event->code,
			STW_STR_ARG(event->phrase));
		break;
	case STW_UA_BINDINGS:
		snprintf(buffer, size, "%s",
			stw_msg_find(event->msg, STW_HDR_CONTACT) ? name : "there are no bindings");
		break;
	case STW_UA_REFUSED:
	case STW_UA_FAULT:
		snprintf(buffer, size, "%s: %s", name,
			event->cause ? event->cause->meaning : "no cause is known");
		break;
	default:
		if (event->code)
			snprintf(buffer, size, "%s: %u %.*s", name, event->code,
				STW_STR_ARG(event->phrase));
		else
			snprintf(buffer, size, "%s%s%.*s", name, event->text.len ? " " : "",
				STW_STR_ARG(event->text));
	}
}

void agent_say(struct agent *agent, const struct stw_ua_event *event)
{
	char words[2048];
	json_t *json = event_json(event), *sound;
	struct agent_line *line = agent_line_find(agent, event->session);

	event_words(event, words, sizeof(words));
	sound = event->kind == STW_UA_ENDED && line ? agent_line_json(line) : NULL;
	if (sound)
		json_object_set(json, "sound", sound);
	agent_tell(agent, stw_ua_event_name(event->kind), json, words);
	if (is_refusal(event) && !agent->cli->json)
		say_details(agent->cli->out, event);
	if (sound && !agent->cli->json)
		fprintf(agent->cli->out,
			"          sound: %lld packets sent, %lld received, %lld lost, jitter "
			"%.1f ms (at most %.1f ms)\n",
			(long long)json_integer_value(json_object_get(sound, "sent_packets")),
			(long long)json_integer_value(json_object_get(sound, "received_packets")),
			(long long)json_integer_value(json_object_get(sound, "lost_packets")),
			json_real_value(json_object_get(sound, "jitter_ms")),
			json_real_value(json_object_get(sound, "jitter_max_ms")));
	json_decref(sound);
}

void agent_digit(void *user, char digit)
{
	struct agent_line *line = user;
	char text[2] = { digit, '\0' }, words[16];

	snprintf(words, sizeof(words), "digit %c", digit);
	agent_tell(line->agent, "digit", json_pack("{s:s}", "digit", text), words);
}

static const struct stw_cause no_way = {
	.meaning =
		"This telephone cannot send by the transport, or to the address family, that the "
		"target needs.",
	.reason = "The target demands TLS or a WebSocket, which are not built yet, or --listen "
		  "names an "
		  "address of the other family.",
	.remedy = "Use a sip URI over udp or tcp, and --listen with an address of the target's "
		  "family "
		  "or none.",
};

const struct stw_cause *agent_cause(const struct stw_cause *cause)
{
	return cause == &stw_cause_no_listener ? &no_way : cause;
}

void agent_explain(struct agent *agent, unsigned code, const struct stw_cause *cause)
{
	const struct stw_status *row = code ? stw_status_or_class(code) : NULL;
	char words[2048];

	if (code < 300 && code != 202)
		return;
	cause = agent_cause(cause);
	if (cause)
		snprintf(words, sizeof(words), "%u: %s %s What helps: %s", code, cause->meaning,
			cause->reason, cause->remedy);
	else if (row)
		snprintf(words, sizeof(words), "%u: %s Usual reason: %s What helps: %s", code,
			row->summary, row->reason, row->remedy);
	else
		return;
	if (agent->cli->json || agent->json_file)
		agent_tell(agent, "explanation",
			json_pack("{s:i, s:s, s:s, s:s}", "code", (int)code, "meaning",
				cause ? cause->meaning : row->summary, "reason",
				cause ? cause->reason : row->reason, "remedy",
				cause ? cause->remedy : row->remedy),
			NULL);
	if (!agent->cli->json)
		stw_cli_wrap(agent->cli->out, 0, 0, words);
}

/* ---- messages as they go
 * ------------------------------------------------------------------------- */

void agent_trace(struct agent *agent, bool out, const struct stw_hop *hop, struct stw_slices text)
{
	struct stw_now now = stw_io_now();
	long long ms = (long long)(now.mono_ms - agent->started.mono_ms);
	char address[STW_ADDR_TEXT_MAX];

	if (!agent->options->trace)
		return;
	fprintf(agent->cli->err, "%s%4lld.%03lld %s %s %.*s\n",
		agent->colour ? (out ? GREEN : CYAN) : "", ms / 1000, ms % 1000,
		out ? "--->" : "<---", hop->transport == STW_TRANSPORT_UDP ? "udp" : "tcp",
		STW_STR_ARG(stw_addr_text(&hop->remote, address)));
	for (unsigned i = 0; i < text.n; i++)
		put_lines(
			agent->cli->err, (struct stw_str){ text.v[i].ptr, text.v[i].len }, "\n\t");
	fprintf(agent->cli->err, "%s\n", agent->colour ? PLAIN : "");
}

static const char *note_kind(enum stw_note_kind kind)
{
	switch (kind) {
	case STW_NOTE_REQUEST_IN:
		return "request-in";
	case STW_NOTE_REQUEST_OUT:
		return "request-out";
	case STW_NOTE_RESPONSE_IN:
		return "response-in";
	case STW_NOTE_RESPONSE_OUT:
		return "response-out";
	default:
		return NULL;
	}
}

void agent_note(void *core, const struct stw_note *note)
{
	struct agent *agent = core;
	const char *kind = note_kind(note->kind);
	char address[STW_ADDR_TEXT_MAX], peer[STW_ADDR_TEXT_MAX + 8];

	if (!kind || !note->hop || !agent->options->trace ||
		json_array_size(agent->records) >= AGENT_RECORDS)
		return;
	if (note->kind == STW_NOTE_REQUEST_IN && !*agent->first_uri)
		party(note->msg, STW_HDR_FROM, agent->first_uri, sizeof(agent->first_uri));
	snprintf(peer, sizeof(peer), "%s %.*s",
		note->hop->transport == STW_TRANSPORT_UDP ? "udp" : "tcp",
		STW_STR_ARG(stw_addr_text(&note->hop->remote, address)));
	json_array_append_new(agent->records,
		json_pack("{s:s, s:s, s:I, s:o, s:i, s:o, s:o}", "kind", kind, "peer", peer,
			"at_ms", (json_int_t)(note->now.mono_ms - agent->started.mono_ms), "method",
			stw_json_text(note->method_name), "code", (int)note->code, "phrase",
			stw_json_text(note->phrase), "uri", stw_json_text(note->uri)));
}
