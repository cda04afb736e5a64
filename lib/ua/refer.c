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

/* ---- REFER goes ---------------------------------------------------------------------------------
 */

/* RFC 4488 §4: there is no subscription when the 2xx says so. */
static bool is_without_subscription(const struct stw_msg *msg)
{
	const struct stw_field *field = stw_msg_find_name(msg, STW_STR("Refer-Sub"));
	struct stw_str value = field ? stw_field_value(msg, field) : STW_STR_NONE;

	value = stw_str_trim(stw_str_cut(value, 0, stw_str_find(value, ';', 0)));
	return stw_str_equal_nocase(value, STW_STR("false"));
}

static void refer_final(struct exchange *exchange, const struct stw_msg *response, unsigned code,
	const struct stw_cause *cause)
{
	struct referral *referral = exchange->referral;

	exchange->referral = NULL;
	if (referral && (code >= 300 || !response || is_without_subscription(response))) {
		referral_free(referral);
	} else if (referral) {
		referral->cseq = exchange->cseq;
		referral_await_first(referral);
	}
	request_final(exchange, response, code, cause);
}

static const struct exchange_ops refer_ops = { .final = refer_final };

/* `session` NULL: outside of dialogs. */
static int refer_begin(
	struct stw_ua *ua, struct stw_session *session, struct exchange_options *options, void *job)
{
	struct referral *referral = referral_new(ua, session, true);
	int err;

	if (!referral)
		return -ENOMEM;
	referral->job = job;
	options->method = STW_STR("REFER");
	options->referral = referral;
	options->ops = &refer_ops;
	options->job = job;
	if (session) {
		options->session = session;
		options->dialog = session->dialog;
	} else {
		stw_stack_call_id(ua->stack, referral->call_id);
		stw_stack_tag(ua->stack, referral->tag);
		options->call_id = referral->call_id;
		options->tag = referral->tag;
	}
	err = exchange_begin(ua, options, NULL);
	if (err < 0)
		referral_free(referral);
	return err;
}

int stw_ua_refer(struct stw_ua *ua, const struct stw_refer_options *refer)
{
	char lines[LINES_MAX];
	struct stw_writer writer;
	struct exchange_options options = { .uri = refer->uri, .to = refer->uri };

	stw_writer_init(&writer, lines, sizeof(lines));
	stw_write_format(&writer, "Refer-To: <%.*s>\r\nReferred-By: <%.*s>\r\n",
		STW_STR_ARG(refer->refer_to), STW_STR_ARG(ua->options.aor));
	if (refer->no_subscription)
		stw_write_text(&writer, "Refer-Sub: false\r\nSupported: norefersub\r\n");
	stw_write_str(&writer, refer->headers);
	if (writer.overflow)
		return -ENOBUFS;
	options.headers = stw_writer_text(&writer);
	return refer_begin(ua, NULL, &options, refer->job);
}

/* RFC 7647 §4: who has a GRUU is asked outside of the dialog, which Target-Dialog names. */
static int refer_outside(struct stw_session *session, struct stw_str refer_to, void *job)
{
	const struct stw_dialog *dialog = session->dialog;
	char line[TEXT_MAX];
	struct stw_writer writer;
	struct stw_refer_options refer = {
		.uri = dialog->target, .refer_to = refer_to, .job = job
	};

	stw_writer_init(&writer, line, sizeof(line));
	stw_write_format(&writer, "Target-Dialog: %.*s;local-tag=%.*s;remote-tag=%.*s\r\n",
		STW_STR_ARG(dialog->call_id), STW_STR_ARG(dialog->local_tag),
		STW_STR_ARG(dialog->remote_tag));
	stw_write_text(&writer, "Require: tdialog\r\n");
	if (writer.overflow)
		return -ENOBUFS;
	refer.headers = stw_writer_text(&writer);
	return stw_ua_refer(session->ua, &refer);
}

static bool has_gruu(const struct stw_dialog *dialog)
{
	struct stw_str ignored;
	struct stw_uri uri;

	return stw_uri_parse(dialog->target, &uri) == 0 &&
	       stw_uri_param(&uri, STW_STR("gr"), &ignored);
}

static int refer_send(struct stw_session *session, struct stw_str refer_to, void *job)
{
	char lines[LINES_MAX];
	struct stw_writer writer;
	struct exchange_options options = { 0 };
	int err;

	if (session->state != STW_SESSION_CONFIRMED || !session->dialog)
		return -EINVAL;
	stw_writer_init(&writer, lines, sizeof(lines));
	stw_write_format(&writer, "Refer-To: <%.*s>\r\n", STW_STR_ARG(refer_to));
	if (!session->anonymous)
		stw_write_format(
			&writer, "Referred-By: <%.*s>\r\n", STW_STR_ARG(session->ua->options.aor));
	if (writer.overflow)
		return -ENOBUFS;
	options.headers = stw_writer_text(&writer);
	session_enter(session);
	err = has_gruu(session->dialog) ? refer_outside(session, refer_to, job)
					: refer_begin(session->ua, session, &options, job);
	session_leave(session);
	return err;
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
	stw_write_text(&writer, "&Require=replaces");
	if (writer.overflow)
		return -ENOBUFS;
	return refer_send(session, stw_writer_text(&writer), job);
}

/* ---- NOTIFY comes: how far our transfer has got ------------------------------------------------
 */

static bool is_about_refer(const struct stw_msg *msg)
{
	struct stw_str event = stw_msg_value(msg, STW_HDR_EVENT);

	event = stw_str_trim(stw_str_cut(event, 0, stw_str_find(event, ';', 0)));
	return stw_str_equal_nocase(event, STW_STR("refer"));
}

/* Of which subscription a NOTIFY or SUBSCRIBE is the next request. @return NULL: of none, and it
 * has been refused */
static struct referral *referral_taken(struct stw_ua *ua, struct stw_session *session,
	struct stw_request *request, const struct stw_cause *none)
{
	struct referral *referral = referral_find(ua, request->msg);
	const struct stw_cause *cause = NULL;
	int err;

	if (!is_about_refer(request->msg)) {
		cause = &stw_cause_ua_event;
	} else if (!referral) {
		cause = none;
	} else {
		err = referral_receive(referral, request->msg);
		cause = err == -ESTALE ? &stw_cause_ua_cseq : err < 0 ? dialog_cause(err) : NULL;
	}
	if (!cause)
		return referral;
	ua_refuse(ua, request, cause,
		cause == &stw_cause_ua_event ? STW_STR("Allow-Events: refer\r\n") : STW_STR_NONE,
		session);
	return NULL;
}

void notify_asked(struct stw_ua *ua, struct stw_session *session, struct stw_request *request)
{
	struct referral *referral =
		referral_taken(ua, session, request, &stw_cause_ua_no_subscription);
	struct stw_answer answer = { .code = 200 };

	if (!referral)
		return;
	ua_answer(ua, request, &answer);
	referral_told(referral, request->msg);
}

/* ---- SUBSCRIBE comes: the subscription of a REFER of theirs goes on, or ends -------------------
 */

/* §2.4.4, RFC 6665 §4.2.1.4 */
void subscribe_asked(struct stw_ua *ua, struct stw_session *session, struct stw_request *request)
{
	struct referral *referral = referral_taken(ua, session, request, &stw_cause_ua_no_referral);
	struct stw_str expires = stw_msg_value(request->msg, STW_HDR_EXPIRES);
	struct stw_answer answer = {
		.code = 200, .dialog = true, .contact_user = ua->contact_user
	};
	uint32_t expires_s = SUBSCRIPTION_S;
	char line[TEXT_MAX];
	struct stw_writer writer;

	if (!referral)
		return;
	(void)stw_delta_seconds_parse(expires, &expires_s);
	if (expires_s > SUBSCRIPTION_S)
		expires_s = SUBSCRIPTION_S;
	stw_writer_init(&writer, line, sizeof(line));
	stw_write_format(&writer, "Expires: %u\r\n", expires_s);
	answer.headers = stw_writer_text(&writer);
	ua_answer(ua, request, &answer);
	referral_extend(referral, request->msg, expires_s);
}

/* ---- REFER comes ---------------------------------------------------------------------------- */

/* `referral` NULL: nobody wants to be told. */
static int refer_call(struct stw_ua *ua, struct stw_session *session, struct referral *referral,
	const struct stw_uri *uri, const struct stw_msg *refer)
{
	char lines[LINES_MAX], text[STW_DIALOG_URI_MAX];
	struct stw_writer writer;
	struct stw_str by = stw_msg_value(refer, STW_HDR_REFERRED_BY);
	struct stw_session_options options = { .uri = ua_request_uri(uri, text, sizeof(text)),
		.user = session ? session->user : NULL };
	struct stw_session *made = NULL;
	int err;

	stw_writer_init(&writer, lines, sizeof(lines));
	ua_uri_headers(uri, &writer);
	if (by.len)
		stw_write_format(&writer, "Referred-By: %.*s\r\n", STW_STR_ARG(by));
	if (writer.overflow)
		return -ENOBUFS;
	options.headers = stw_writer_text(&writer);
	err = stw_ua_call(ua, &options, &made);
	if (err == 0 && made)
		made->referrer = session;
	if (err == 0 && made && referral && !ua->stopping) {
		made->referred_by = referral;
		referral->made = made;
	}
	return err < 0 || !made ? -ECONNREFUSED : 0;
}

/* RFC 4538 §4, RFC 7647 §4: who names a session of ours may ask what could be asked in it. */
static struct stw_session *target_dialog(const struct stw_ua *ua, const struct stw_msg *refer)
{
	const struct stw_field *field = stw_msg_find_name(refer, STW_STR("Target-Dialog"));
	struct stw_str value = field ? stw_field_value(refer, field) : STW_STR_NONE, params;
	struct stw_str theirs, ours;
	struct stw_session *session = ua->sessions;
	size_t end = stw_str_find(value, ';', 0);

	params = stw_str_cut(value, end, value.len);
	value = stw_str_trim(stw_str_cut(value, 0, end));
	if (!field || !stw_param_find(params, STW_STR("local-tag"), &theirs) ||
		!stw_param_find(params, STW_STR("remote-tag"), &ours))
		return NULL;
	while (session && !(session->state == STW_SESSION_CONFIRMED && session->dialog &&
				  stw_dialog_is(session->dialog, value, ours, theirs)))
		session = session->next;
	return session;
}

static const struct stw_cause *refer_refusal(const struct stw_ua *ua,
	const struct stw_session *session, const struct stw_msg *msg, struct stw_address *ret)
{
	const struct stw_field *field = stw_msg_find(msg, STW_HDR_REFER_TO);
	struct stw_str method;

	if (!field || stw_msg_find_next(msg, field) ||
		stw_address_parse(stw_field_value(msg, field), ret) < 0)
		return &stw_cause_ua_bad_refer;
	if (ret->uri.scheme != STW_SCHEME_SIP && ret->uri.scheme != STW_SCHEME_SIPS)
		return &stw_cause_ua_refer_scheme;
	if (stw_uri_param(&ret->uri, STW_STR("method"), &method) &&
		!stw_str_equal(method, STW_STR("INVITE")))
		return &stw_cause_ua_refer_method;
	if (session ? ua->options.policy.refuse_transfer ||
				session->state != STW_SESSION_CONFIRMED || referral_is_open(session)
		    : !ua->options.policy.obey_refer)
		return &stw_cause_ua_refer_declined;
	return NULL;
}

/* The subscription, unless none is wanted (RFC 4488 §4). @return as stw_dialog_new_uas() */
static int refer_subscribe(struct stw_ua *ua, struct stw_session *session,
	struct stw_request *request, struct referral **ret)
{
	int err = 0;

	*ret = NULL;
	if (is_without_subscription(request->msg))
		return 0;
	*ret = referral_new(ua, session, false);
	if (!*ret)
		return -ENOMEM;
	(*ret)->cseq = request->msg->cseq.number;
	referral_await(*ret, SUBSCRIPTION_S);
	if (!session)
		err = stw_dialog_new_uas(request->msg, stw_request_tag(request), &(*ret)->dialog);
	if (err < 0)
		referral_free(*ret);
	return err;
}

void refer_asked(struct stw_ua *ua, struct stw_session *session, struct stw_request *request)
{
	static const struct stw_server_ops nothing = { 0 };
	struct stw_session *subject = session ? session : target_dialog(ua, request->msg);
	struct stw_answer answer = {
		.code = 200, .dialog = true, .contact_user = ua->contact_user
	};
	struct stw_ua_event event = {
		.kind = STW_UA_TRANSFER, .session = subject, .msg = request->msg
	};
	struct stw_address target;
	struct referral *referral = NULL;
	const struct stw_cause *cause = refer_refusal(ua, subject, request->msg, &target);
	int err = 0;

	if (!cause && (request->tx || stw_request_take(request, &nothing, NULL) == 0))
		err = refer_subscribe(ua, session, request, &referral);
	if (err < 0)
		cause = dialog_cause(err);
	if (cause) {
		ua_refuse(ua, request, cause, STW_STR_NONE, session);
		return;
	}
	if (!referral)
		answer.headers = STW_STR("Refer-Sub: false\r\n");
	ua_answer(ua, request, &answer);
	if (referral)
		referral_notify(referral, 100, STW_STR("Trying"));
	event.text = target.uri.text;
	if (subject)
		session_enter(subject);
	ua_tell(ua, &event);
	if (!ua->stopping)
		err = refer_call(ua, subject, referral, &target.uri, request->msg);
	/* Who was told has stopped all, before or now: the subscription is over too. */
	if (err < 0 && referral && !ua->stopping)
		referral_notify(referral, 503, STW_STR("Service Unavailable"));
	if (subject)
		session_leave(subject);
}
