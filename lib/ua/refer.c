/* SPDX-License-Identifier: Apache-2.0 */
/* Transfer: REFER and its NOTIFYs (RFC 3515, RFC 4488, RFC 7647, RFC 5589); and requests in a
 * session that change nothing. */
#include "internal.h"

#include <errno.h>
#include <string.h>

/* ---- requests of ours ------------------------------------------------------------------------ */

static void request_final(struct exchange *exchange, const struct stw_msg *response, unsigned code,
	const struct stw_cause *cause)
{
	struct stw_session *session = exchange->session;
	struct stw_ua_event event = { .code = code, .cause = cause, .msg = response };

	ua_tell_response(exchange, response, code, cause);
	if (!session || session->state != STW_SESSION_CONFIRMED || code < 300 ||
		stw_dialog_effect(code, false) == STW_DIALOG_STAYS)
		return;
	/* RFC 5057 §5.1: it says that the peer has lost the dialog. */
	event.phrase = response ? stw_msg_phrase(response) : stw_str_from(stw_status_phrase(code));
	session_bye(session, STW_STR_NONE, &event);
}

static const struct exchange_ops request_ops = { .final = request_final };

int stw_session_send(struct stw_session *session, struct stw_str method, struct stw_str headers,
	struct stw_str content_type, struct stw_str body, void *job)
{
	struct exchange_options options = { .method = method,
		.headers = headers,
		.content_type = content_type,
		.body = body,
		.session = session,
		.dialog = session->dialog,
		.ops = &request_ops,
		.job = job };
	int err;

	if (session->state != STW_SESSION_CONFIRMED || !session->dialog)
		return -EINVAL;
	session_enter(session);
	err = exchange_begin(session->ua, &options, NULL);
	session_leave(session);
	return err;
}

static int refer_send(struct stw_session *session, struct stw_str refer_to, void *job)
{
	char lines[LINES_MAX];
	struct stw_writer writer;

	stw_writer_init(&writer, lines, sizeof(lines));
	stw_write_format(&writer, "Refer-To: <%.*s>\r\nReferred-By: <%.*s>\r\n",
		STW_STR_ARG(refer_to), STW_STR_ARG(session->ua->options.aor));
	if (writer.overflow)
		return -ENOBUFS;
	return stw_session_send(session, STW_STR("REFER"), stw_writer_text(&writer), STW_STR_NONE,
		STW_STR_NONE, job);
}

int stw_session_refer(struct stw_session *session, struct stw_str uri, void *job)
{
	return refer_send(session, uri, job);
}

static void write_escaped(struct stw_writer *writer, struct stw_str text)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.ptr[i];

		if ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
			(byte >= 'A' && byte <= 'Z') || memchr("-_.!~*'()", byte, 9)) {
			stw_write_char(writer, (char)byte);
			continue;
		}
		stw_write_char(writer, '%');
		stw_write_char(writer, hex[byte >> 4]);
		stw_write_char(writer, hex[byte & 15]);
	}
}

/* RFC 5589 §7.3: the Contact of the target, and which of its dialogs is to be replaced. */
int stw_session_refer_to_session(struct stw_session *session, struct stw_session *other, void *job)
{
	char uri[2048];
	struct stw_writer writer;
	const struct stw_dialog *dialog = other->dialog;

	if (!dialog || other->state != STW_SESSION_CONFIRMED)
		return -EINVAL;
	stw_writer_init(&writer, uri, sizeof(uri));
	stw_write_str(&writer, dialog->target);
	stw_write_text(&writer, "?Replaces=");
	write_escaped(&writer, dialog->call_id);
	stw_write_text(&writer, "%3Bto-tag%3D");
	write_escaped(&writer, dialog->remote_tag);
	stw_write_text(&writer, "%3Bfrom-tag%3D");
	write_escaped(&writer, dialog->local_tag);
	if (writer.overflow)
		return -ENOBUFS;
	return refer_send(session, stw_writer_text(&writer), job);
}

/* ---- NOTIFY comes: how far our transfer has got ------------------------------------------------
 */

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

void notify_asked(struct stw_session *session, struct stw_request *request)
{
	struct stw_str event_name = stw_msg_value(request->msg, STW_HDR_EVENT);
	struct stw_str state = stw_msg_value(request->msg, STW_HDR_SUBSCRIPTION_STATE);
	struct stw_answer answer = { .code = 200 };
	struct stw_ua_event event = { .kind = STW_UA_TRANSFERRED, .msg = request->msg };

	event_name = stw_str_trim(stw_str_cut(event_name, 0, stw_str_find(event_name, ';', 0)));
	if (!stw_str_equal_nocase(event_name, STW_STR("refer"))) {
		answer.code = 489;
		answer.cause = &stw_cause_ua_event;
		answer.headers = STW_STR("Allow-Events: refer\r\n");
		ua_answer(session->ua, request, &answer);
		return;
	}
	ua_answer(session->ua, request, &answer);
	event.final = stw_str_starts(state, STW_STR("terminated"));
	if (!sipfrag_read(stw_msg_body(request->msg), &event.code, &event.phrase))
		session_fault(session, request->msg, &stw_cause_ua_bad_sipfrag);
	else
		session_tell(session, &event);
}

/* ---- REFER comes ---------------------------------------------------------------------------- */

static void notify_final(struct exchange *exchange, const struct stw_msg *response, unsigned code,
	const struct stw_cause *cause)
{
	(void)response;
	(void)cause;
	if (exchange->session && code >= 300)
		exchange->session->refer_cseq = 0; /* nobody wants to know (RFC 6665 §4.2.2) */
}

static const struct exchange_ops notify_ops = { .final = notify_final };

static void notify_send(struct stw_session *session, unsigned code, struct stw_str phrase)
{
	char lines[TEXT_MAX], body[TEXT_MAX];
	struct stw_writer writer, frag;
	struct exchange_options options = { .method = STW_STR("NOTIFY"),
		.content_type = STW_STR("message/sipfrag"),
		.session = session,
		.dialog = session->dialog,
		.ops = &notify_ops };

	if (!session->refer_cseq || session->state == STW_SESSION_ENDED || !session->dialog)
		return;
	stw_writer_init(&writer, lines, sizeof(lines));
	stw_write_format(&writer, "Event: refer;id=%u\r\n", session->refer_cseq);
	if (code < 200)
		stw_write_format(
			&writer, "Subscription-State: active;expires=%d\r\n", SUBSCRIPTION_S);
	else
		stw_write_text(&writer, "Subscription-State: terminated;reason=noresource\r\n");
	stw_writer_init(&frag, body, sizeof(body));
	stw_write_format(&frag, "SIP/2.0 %u %.*s\r\n", code, STW_STR_ARG(phrase));
	if (writer.overflow || frag.overflow)
		return;
	options.headers = stw_writer_text(&writer);
	options.body = stw_writer_text(&frag);
	(void)exchange_begin(session->ua, &options, NULL);
	if (code >= 200)
		session->refer_cseq = 0;
}

/* Something has happened to the call that a REFER has made. */
void refer_progress(struct stw_session *referred, unsigned code, struct stw_str phrase)
{
	struct stw_session *session = referred->referred_by;

	notify_send(session, code, phrase);
	if (code < 200)
		return;
	referred->referred_by = NULL;
	session->refers = NULL;
}

/* "sip:x@y?Replaces=a%3Bto-tag%3Db": the headers of the URI become those of the INVITE. Only
 * Replaces and Join are taken: others would let the transferor write our request (§19.1.5). */
static void referred_headers(const struct stw_uri *uri, struct stw_writer *writer)
{
	struct stw_str headers = uri->headers, one, name, value;
	char text[TEXT_MAX];
	size_t at = 0, end, equals;
	int len;

	for (; at < headers.len; at = end + 1) {
		end = stw_str_find(headers, '&', at);
		one = stw_str_cut(headers, at, end);
		equals = stw_str_find(one, '=', 0);
		name = stw_str_cut(one, 0, equals);
		value = stw_str_cut(one, equals + 1, one.len);
		if ((!stw_str_equal_nocase(name, STW_STR("Replaces")) &&
			    !stw_str_equal_nocase(name, STW_STR("Join"))) ||
			value.len > sizeof(text))
			continue;
		len = stw_unescape(value, text);
		if (len > 0 && !memchr(text, '\r', (size_t)len) && !memchr(text, '\n', (size_t)len))
			stw_write_format(writer, "%.*s: %.*s\r\n", STW_STR_ARG(name), len, text);
	}
}

static int refer_call(
	struct stw_session *session, const struct stw_uri *uri, const struct stw_msg *refer)
{
	char lines[LINES_MAX];
	struct stw_writer writer;
	struct stw_str by = stw_msg_value(refer, STW_HDR_REFERRED_BY);
	size_t bare =
		uri->headers.len ? (size_t)(uri->headers.ptr - uri->text.ptr) - 1 : uri->text.len;
	struct stw_session_options options = { .uri = stw_str_cut(uri->text, 0, bare),
		.user = session->user };
	struct stw_session *made = NULL;
	int err;

	stw_writer_init(&writer, lines, sizeof(lines));
	referred_headers(uri, &writer);
	if (by.len)
		stw_write_format(&writer, "Referred-By: %.*s\r\n", STW_STR_ARG(by));
	if (writer.overflow)
		return -ENOBUFS;
	options.headers = stw_writer_text(&writer);
	err = stw_ua_call(session->ua, &options, &made);
	if (err == 0 && made) {
		made->referred_by = session;
		session->refers = made;
	}
	return err < 0 || !made ? -ECONNREFUSED : 0;
}

static const struct stw_cause *refer_refusal(
	const struct stw_session *session, const struct stw_msg *msg, struct stw_address *ret)
{
	const struct stw_field *field = stw_msg_find(msg, STW_HDR_REFER_TO);

	if (!field || stw_msg_find_next(msg, field) ||
		stw_address_parse(stw_field_value(msg, field), ret) < 0)
		return &stw_cause_ua_bad_refer;
	if (ret->uri.scheme != STW_SCHEME_SIP && ret->uri.scheme != STW_SCHEME_SIPS)
		return &stw_cause_ua_refer_scheme;
	if (session->ua->options.policy.refuse_transfer ||
		session->state != STW_SESSION_CONFIRMED || session->refers)
		return &stw_cause_ua_refer_declined;
	return NULL;
}

/* RFC 4488: without a subscription when that is asked for. */
void refer_asked(struct stw_session *session, struct stw_request *request)
{
	struct stw_str sub = STW_STR_NONE;
	const struct stw_field *field = stw_msg_find_name(request->msg, STW_STR("Refer-Sub"));
	struct stw_answer answer = {
		.code = 202, .dialog = true, .contact_user = session->ua->contact_user
	};
	struct stw_ua_event event = { .kind = STW_UA_TRANSFER, .msg = request->msg };
	struct stw_address target;

	answer.cause = refer_refusal(session, request->msg, &target);
	if (answer.cause) {
		answer.code = answer.cause->code;
		answer.dialog = false;
		ua_answer(session->ua, request, &answer);
		return;
	}
	if (field)
		sub = stw_str_trim(stw_field_value(request->msg, field));
	session->refer_cseq =
		stw_str_equal_nocase(sub, STW_STR("false")) ? 0 : request->msg->cseq.number;
	if (!session->refer_cseq)
		answer.headers = STW_STR("Refer-Sub: false\r\n");
	ua_answer(session->ua, request, &answer);
	event.text = target.uri.text;
	session_tell(session, &event);
	if (session->state == STW_SESSION_ENDED)
		return;
	notify_send(session, 100, STW_STR("Trying"));
	if (refer_call(session, &target.uri, request->msg) < 0)
		notify_send(session, 503, STW_STR("Service Unavailable"));
}
