/* SPDX-License-Identifier: Apache-2.0 */
/* The agent: requests that come in, requests outside of sessions, what is told. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NONCE_LIFE_S 300
#define NONCE_SLOTS  256

static const char *const event_names[] = {
#define X(name, text) [STW_UA_##name] = text,
	STW_UA_EVENT_LIST(X)
#undef X
};

const char *stw_ua_event_name(enum stw_ua_event_kind kind)
{
	return event_names[kind];
}

enum stw_ua_retry stw_ua_retry(unsigned code)
{
	static const struct {
		const char *word;
		enum stw_ua_retry retry;
	} words[] = { { "never", STW_UA_RETRY_NEVER },
		{ "immediately-with-change", STW_UA_RETRY_WITH_CHANGE },
		{ "after-delay", STW_UA_RETRY_DELAY }, { "other-target", STW_UA_RETRY_OTHER },
		{ "after-fix", STW_UA_RETRY_FIX } };
	const struct stw_status *status = stw_status_or_class(code);

	for (size_t i = 0; status && i < STW_ARRAY_SIZE(words); i++) {
		if (strcmp(words[i].word, status->retry) == 0)
			return words[i].retry;
	}
	return STW_UA_RETRY_NEVER;
}

/* ---- small things -------------------------------------------------------------------------- */

struct stw_str cause_phrase(const struct stw_cause *cause)
{
	return stw_str_from(cause->phrase);
}

/* §8.1.3.1: silence is as good as a 408. */
unsigned cause_code(const struct stw_cause *cause)
{
	return cause->code ? cause->code : 408;
}

const struct stw_cause *dialog_cause(int err)
{
	switch (err) {
	case -EBADMSG:
		return &stw_cause_ua_no_contact_in_request;
	case -ENOBUFS:
		return &stw_cause_ua_dialog_large;
	default:
		return &stw_cause_out_of_memory;
	}
}

uint32_t retry_after_s(const struct stw_msg *response)
{
	struct stw_str value = stw_msg_value(response, STW_HDR_RETRY_AFTER);
	uint32_t seconds = 0;
	size_t end = 0;

	while (end < value.len && value.ptr[end] >= '0' && value.ptr[end] <= '9')
		end++;
	(void)stw_delta_seconds_parse(stw_str_cut(value, 0, end), &seconds);
	return seconds;
}

struct stw_str ua_methods(const struct stw_ua *ua)
{
	return ua->options.policy.methods.len ? ua->options.policy.methods
					      : STW_STR(STW_UA_METHODS);
}

struct stw_str ua_extensions(const struct stw_ua *ua)
{
	const struct stw_ua_policy *policy = &ua->options.policy;

	if (policy->extensions.len)
		return policy->extensions;
	return policy->qos || policy->qos_fails ? STW_STR(STW_UA_EXTENSIONS ", precondition")
						: STW_STR(STW_UA_EXTENSIONS);
}

/* Replaces and Join, and that they are to be understood. */
static bool is_target_header(struct stw_str name, struct stw_str value)
{
	if (stw_str_equal_nocase(name, STW_STR("Require")))
		return stw_str_equal_nocase(value, STW_STR("replaces")) ||
		       stw_str_equal_nocase(value, STW_STR("join"));
	return stw_str_equal_nocase(name, STW_STR("Replaces")) ||
	       stw_str_equal_nocase(name, STW_STR("Join"));
}

void ua_uri_headers(const struct stw_uri *uri, struct stw_writer *writer)
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
		if (!is_target_header(name, value) || value.len > sizeof(text))
			continue;
		len = stw_unescape(value, text);
		if (len > 0 && !memchr(text, '\r', (size_t)len) && !memchr(text, '\n', (size_t)len))
			stw_write_format(writer, "%.*s: %.*s\r\n", STW_STR_ARG(name), len, text);
	}
}

struct stw_str ua_request_uri(const struct stw_uri *uri, char *buffer, size_t size)
{
	size_t bare =
		uri->headers.len ? (size_t)(uri->headers.ptr - uri->text.ptr) - 1 : uri->text.len;
	struct stw_str text = stw_str_cut(uri->text, 0, bare), params = uri->params;
	struct stw_param param;
	struct stw_writer writer;
	size_t at = 0;

	stw_writer_init(&writer, buffer, size);
	if (!params.len)
		return text;
	stw_write_str(&writer, stw_str_cut(text, 0, (size_t)(params.ptr - text.ptr)));
	while (stw_param_next(params, &at, &param) == 1) {
		if (stw_str_equal_nocase(param.name, STW_STR("method")))
			continue;
		stw_write_char(&writer, ';');
		stw_write_str(&writer, param.name);
		if (param.value.ptr)
			stw_write_format(&writer, "=%.*s", STW_STR_ARG(param.value));
	}
	return writer.overflow ? STW_STR_NONE : stw_writer_text(&writer);
}

unsigned ua_max_sessions(const struct stw_ua *ua)
{
	return ua->options.max_sessions ? ua->options.max_sessions : SESSIONS_MAX;
}

void ua_write_abilities(const struct stw_ua *ua, struct stw_writer *writer)
{
	stw_write_format(writer, "Allow: %.*s\r\nSupported: %.*s%s\r\n",
		STW_STR_ARG(ua_methods(ua)), STW_STR_ARG(ua_extensions(ua)),
		ua->options.policy.priorities.len ? ", resource-priority" : "");
	if (ua->options.policy.recv_info.len)
		stw_write_format(
			writer, "Recv-Info: %.*s\r\n", STW_STR_ARG(ua->options.policy.recv_info));
}

void ua_tell(struct stw_ua *ua, const struct stw_ua_event *event)
{
	if (ua->options.ops->event)
		ua->options.ops->event(ua->options.user, event);
}

void ua_tell_response(struct exchange *exchange, const struct stw_msg *response, unsigned code,
	const struct stw_cause *cause)
{
	struct stw_ua_event event = { .kind = STW_UA_RESPONSE,
		.session = exchange->session,
		.job = exchange->job,
		.msg = response,
		.code = code,
		.cause = cause,
		.phrase = response ? stw_msg_phrase(response) : cause_phrase(cause),
		.retry_s = response ? retry_after_s(response) : 0 };

	ua_tell(exchange->ua, &event);
}

void ua_answer(struct stw_ua *ua, struct stw_request *request, const struct stw_answer *answer)
{
	static const struct stw_server_ops nothing = { 0 };
	struct stw_answer whole = *answer;
	char lines[LINES_MAX];
	struct stw_writer writer;

	if (!request->tx && stw_request_take(request, &nothing, NULL) < 0)
		return;
	stw_writer_init(&writer, lines, sizeof(lines));
	if (ua->options.agent.len)
		stw_write_format(&writer, "Server: %.*s\r\n", STW_STR_ARG(ua->options.agent));
	stw_write_str(&writer, answer->headers);
	whole.headers = stw_writer_text(&writer);
	(void)stw_request_answer(request, &whole);
}

/* ---- life ------------------------------------------------------------------------------------ */

static int nonces_new(struct stw_ua *ua)
{
	uint8_t secret[32];
	int err;

	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)stw_random_next(stw_stack_random(ua->stack));
	err = stw_nonces_new(secret, NONCE_LIFE_S, NONCE_SLOTS, &ua->nonces);
	if (err == 0)
		stw_nonces_start(ua->nonces, stw_stack_now(ua->stack));
	return err;
}

int stw_ua_new(const struct stw_ua_options *options, struct stw_ua **ret)
{
	struct stw_ua *ua = calloc(1, sizeof(*ua));
	int err = 0;

	if (!ua)
		return -ENOMEM;
	ua->options = *options;
	ua->stack = options->stack;
	if (stw_uri_parse(options->aor, &ua->aor) < 0 ||
		(ua->aor.scheme != STW_SCHEME_SIP && ua->aor.scheme != STW_SCHEME_SIPS))
		err = -EINVAL;
	ua->gone_key = (struct stw_hash_key){ stw_random_next(stw_stack_random(ua->stack)),
		stw_random_next(stw_stack_random(ua->stack)) };
	ua->contact_user = options->contact_user.len ? options->contact_user : ua->aor.user;
	if (err == 0 && options->auth_password.len)
		err = stw_digest_client_new(
			options->auth_user.len ? options->auth_user : ua->aor.user,
			options->auth_password, STW_STR_NONE, &ua->digest);
	if (err == 0 && options->policy.auth_realm.len)
		err = nonces_new(ua);
	if (err < 0) {
		stw_ua_free(ua);
		return err;
	}
	*ret = ua;
	return 0;
}

void stw_ua_set_policy(struct stw_ua *ua, const struct stw_ua_policy *policy)
{
	ua->options.policy = *policy;
	if (policy->auth_realm.len && !ua->nonces)
		(void)nonces_new(ua);
}

/* Who hears of one end may bring about another: all of them stay until the last has been told. */
static void sessions_end(struct stw_ua *ua)
{
	struct stw_session *first = ua->sessions, *session, *next;

	for (session = first; session; session = session->next)
		session_enter(session);
	for (session = first; session; session = next) {
		stw_session_end(session, STW_STR_NONE);
		next = session->next;
		session_leave(session);
	}
}

/* Likewise; from the first one again after each. */
static void registrations_end(struct stw_ua *ua)
{
	struct stw_registration *registration = ua->registrations;

	while (registration) {
		if (registration->ending) {
			registration = registration->next;
			continue;
		}
		stw_registration_end(registration);
		registration = ua->registrations;
	}
}

void stw_ua_stop(struct stw_ua *ua)
{
	ua->stopping = true;
	sessions_end(ua);
	referrals_end(ua);
	registrations_end(ua);
}

bool stw_ua_idle(const struct stw_ua *ua)
{
	return !ua->sessions && !ua->registrations && !ua->referrals && !ua->exchanges;
}

unsigned stw_ua_sessions(const struct stw_ua *ua)
{
	return ua->session_count;
}

bool stw_ua_quiet(const struct stw_ua *ua)
{
	const struct exchange *exchange = ua->exchanges;

	while (exchange && (exchange->finished || exchange->dead))
		exchange = exchange->next;
	return !ua->sessions && !ua->registrations && !ua->referrals && !exchange;
}

struct stw_ua *stw_ua_free(struct stw_ua *ua)
{
	static const struct stw_ua_ops silent = { 0 };

	if (!ua)
		return NULL;
	ua->options.ops = &silent;
	while (ua->sessions) {
		ua->sessions->busy = 0;
		session_free(ua->sessions);
	}
	while (ua->referrals)
		referral_free(ua->referrals);
	while (ua->registrations)
		registration_free(ua->registrations);
	exchange_free_all(ua);
	stw_digest_client_free(ua->digest);
	stw_nonces_free(ua->nonces);
	free(ua);
	return NULL;
}

/* ---- requests that come in --------------------------------------------------------------------
 */

/* What is answered outside of sessions and in them alike. */
static void answer_message(struct stw_ua *ua, struct stw_request *request,
	struct stw_session *session, enum stw_ua_event_kind kind, struct stw_str text)
{
	struct stw_answer answer = { .code = 200 };
	struct stw_ua_event event = { .kind = kind,
		.session = session,
		.msg = request->msg,
		.code = 200,
		.phrase = STW_STR("OK"),
		.text = text };

	ua_answer(ua, request, &answer);
	ua_tell(ua, &event);
}

static void describe_abilities(const struct stw_ua *ua, const struct stw_session *session,
	struct stw_writer *writer, struct stw_answer *answer)
{
	const struct stw_sdp_abilities *abilities =
		session ? session->abilities : ua->options.abilities;

	if (!abilities || stw_sdp_abilities_write(abilities,
				  stw_random_next(stw_stack_random(ua->stack)) >> 3, writer) < 0)
		return;
	answer->content_type = STW_STR("application/sdp");
	answer->body = stw_writer_text(writer);
}

/* §11.2: the code that an INVITE would get, with all that we can do. */
static void answer_options(
	struct stw_ua *ua, struct stw_request *request, struct stw_session *session)
{
	char lines[LINES_MAX], body[2048];
	struct stw_writer writer, sdp;
	struct stw_answer answer = { .code = 200, .dialog = true };
	struct stw_ua_event event = {
		.kind = STW_UA_OPTIONS, .msg = request->msg, .session = session, .code = 200
	};

	stw_writer_init(&writer, lines, sizeof(lines));
	ua_write_abilities(ua, &writer);
	stw_write_text(&writer, "Accept: application/sdp, text/plain, message/sipfrag\r\n"
				"Accept-Encoding: " STW_BODY_ENCODINGS "\r\n"
				"Accept-Language: " STW_BODY_LANGUAGES "\r\n"
				"Allow-Events: refer\r\n");
	if (!session)
		answer.cause = called_refusal(ua, ua->session_count, request->msg, &writer);
	if (!session && !answer.cause && ua->session_count >= ua_max_sessions(ua))
		answer.cause = &stw_cause_ua_sessions;
	if (answer.cause) {
		answer.code = answer.cause->code;
		answer.dialog = false;
	}
	answer.headers = stw_writer_text(&writer);
	answer.contact_user = ua->contact_user;
	stw_writer_init(&sdp, body, sizeof(body));
	describe_abilities(ua, session, &sdp, &answer);
	ua_answer(ua, request, &answer);
	event.code = answer.code;
	ua_tell(ua, &event);
}

void ua_refuse(struct stw_ua *ua, struct stw_request *request, const struct stw_cause *cause,
	struct stw_str lines, struct stw_session *session)
{
	struct stw_answer answer = { .code = cause->code, .cause = cause, .headers = lines };
	struct stw_ua_event event = { .kind = STW_UA_REFUSED,
		.session = session,
		.msg = request->msg,
		.code = cause->code,
		.cause = cause,
		.phrase = cause_phrase(cause) };

	ua_answer(ua, request, &answer);
	ua_tell(ua, &event);
}

/* RFC 6086 §4.2.2: packages that were announced; without a package it is the use from before. */
static void answer_info(struct stw_ua *ua, struct stw_request *request, struct stw_session *session)
{
	const struct stw_field *field = stw_msg_find_name(request->msg, STW_STR("Info-Package"));
	struct stw_str package = field ? stw_field_value(request->msg, field) : STW_STR_NONE;
	struct stw_str name = stw_str_cut(package, 0, stw_str_find(package, ';', 0));
	char lines[TEXT_MAX];
	struct stw_writer writer;

	if (!package.len || stw_list_has(ua->options.policy.recv_info, stw_str_trim(name))) {
		answer_message(ua, request, session, STW_UA_INFO, package);
		return;
	}
	stw_writer_init(&writer, lines, sizeof(lines));
	stw_write_format(&writer, "Recv-Info: %.*s\r\n", STW_STR_ARG(ua->options.policy.recv_info));
	ua_refuse(ua, request, &stw_cause_ua_info_package, stw_writer_text(&writer), session);
}

/* §15.1.2; of an early dialog: the INVITE is answered 487. */
static void answer_bye(struct stw_ua *ua, struct stw_request *request, struct stw_session *session)
{
	struct stw_answer ok = { .code = 200 }, ended = { .code = 487 };

	ua_answer(ua, request, &ok);
	if (session->asked && session->state == STW_SESSION_INCOMING) {
		ended.to_tag = session->dialog->local_tag;
		(void)stw_request_answer(session->asked, &ended);
	}
	session_over_code(session, request->msg, 200, NULL, false);
}

static void request_in_session(
	struct stw_ua *ua, struct stw_request *request, struct stw_session *session)
{
	switch (request->msg->method) {
	case STW_METHOD_INVITE:
		change_asked(session, request);
		break;
	case STW_METHOD_UPDATE:
		update_asked(session, request);
		break;
	case STW_METHOD_BYE:
		answer_bye(ua, request, session);
		break;
	case STW_METHOD_INFO:
		answer_info(ua, request, session);
		break;
	case STW_METHOD_REFER:
		refer_asked(ua, session, request);
		break;
	case STW_METHOD_NOTIFY:
		notify_asked(ua, session, request);
		break;
	case STW_METHOD_SUBSCRIBE:
		subscribe_asked(ua, session, request);
		break;
	case STW_METHOD_OPTIONS:
		answer_options(ua, request, session);
		break;
	case STW_METHOD_MESSAGE:
		answer_message(ua, request, session, STW_UA_MESSAGE, stw_msg_body(request->msg));
		break;
	default: /* PRACK that nothing waits for */
		ua_refuse(ua, request, &stw_cause_ua_no_dialog, STW_STR_NONE, session);
	}
}

static void request_outside(struct stw_ua *ua, struct stw_request *request)
{
	switch (request->msg->method) {
	case STW_METHOD_INVITE:
		called_invite(ua, request);
		break;
	case STW_METHOD_OPTIONS:
		answer_options(ua, request, NULL);
		break;
	case STW_METHOD_MESSAGE:
		answer_message(ua, request, NULL, STW_UA_MESSAGE, stw_msg_body(request->msg));
		break;
	case STW_METHOD_REFER:
		refer_asked(ua, NULL, request);
		break;
	case STW_METHOD_NOTIFY:
		notify_asked(ua, NULL, request);
		break;
	case STW_METHOD_SUBSCRIBE:
		subscribe_asked(ua, NULL, request);
		break;
	default:
		ua_refuse(ua, request, &stw_cause_ua_no_dialog, STW_STR_NONE, NULL);
	}
}

bool stw_ua_has_dialog(const struct stw_ua *ua, const struct stw_msg *request)
{
	return session_find(ua, request) != NULL;
}

bool stw_ua_request(struct stw_ua *ua, struct stw_request *request)
{
	struct ua_check check = { .ua = ua, .request = request };
	struct stw_session *session;

	if (request->msg->method == STW_METHOD_ACK)
		return false;
	session = check.session = session_find(ua, request->msg);
	if (session)
		session_enter(session);
	if (ua_check(&check))
		ua_refuse(ua, request, check.refusal.cause, check.refusal.headers, session);
	else if (session)
		request_in_session(ua, request, session);
	else
		request_outside(ua, request);
	if (session)
		session_leave(session);
	return true;
}

/* ---- requests outside of sessions ----------------------------------------------------------- */

static void message_final(struct exchange *exchange, const struct stw_msg *response, unsigned code,
	const struct stw_cause *cause)
{
	ua_tell_response(exchange, response, code, cause);
}

static const struct exchange_ops message_ops = { .final = message_final };

int stw_ua_send(struct stw_ua *ua, const struct stw_ua_message *message)
{
	char lines[LINES_MAX];
	struct stw_writer writer;
	struct exchange_options options = { .method = message->method,
		.uri = message->uri,
		.to = message->uri,
		.content_type = message->content_type,
		.body = message->body,
		.other_type = message->other_type,
		.other_body = message->other_body,
		.ops = &message_ops,
		.job = message->job };

	stw_writer_init(&writer, lines, sizeof(lines));
	if (stw_method_from(message->method) == STW_METHOD_OPTIONS)
		stw_write_text(&writer, "Accept: application/sdp\r\n");
	stw_write_str(&writer, message->headers);
	if (writer.overflow)
		return -ENOBUFS;
	options.headers = stw_writer_text(&writer);
	return exchange_begin(ua, &options, NULL);
}
