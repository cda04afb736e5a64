/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a request, in the order of RFC 3261 §8.2: one row for each question. */
#include "internal.h"

#include <string.h>

static const struct stw_ua_policy *check_policy(const struct ua_check *check)
{
	return &check->ua->options.policy;
}

/* The lines go with the refusal; those that are not whole do not. */
static void check_line(struct ua_check *check)
{
	if (!check->writer.overflow)
		check->refusal.headers = stw_writer_text(&check->writer);
}

/* ---- who asks: RFC 3261 §22 --------------------------------------------------------------- */

static const struct stw_cause *challenge(
	struct ua_check *check, const struct stw_cause *cause, bool stale)
{
	static const enum stw_digest_algorithm algorithms[] = { STW_DIGEST_SHA_256,
		STW_DIGEST_MD5 };
	struct stw_ua *ua = check->ua;
	struct stw_str realm = check_policy(check)->auth_realm;
	char nonce[STW_NONCE_TEXT_MAX];
	struct stw_challenge challenge = { .header = STW_HDR_WWW_AUTHENTICATE,
		.realm = realm,
		.algorithms = algorithms,
		.algorithm_count = STW_ARRAY_SIZE(algorithms),
		.stale = stale };

	/* Of any peer: a request may come by one proxy now and by another one then. */
	challenge.nonce = stw_nonce_make(ua->nonces, (struct stw_nonce_scope){ .realm = realm },
		stw_random_next(stw_stack_random(ua->stack)), stw_stack_now(ua->stack), nonce);
	stw_challenge_write(&check->writer, &challenge);
	check_line(check);
	return cause;
}

static const struct stw_cause *check_auth(struct ua_check *check)
{
	const struct stw_ua_policy *policy = check_policy(check);
	struct stw_credentials credentials;
	struct stw_ha1 ha1;
	struct stw_auth_check verify = { .request = check->request->msg,
		.credentials = &credentials,
		.realm = policy->auth_realm,
		.offered = 1u << STW_DIGEST_SHA_256 | 1u << STW_DIGEST_MD5,
		.uri_ours = true };
	enum stw_auth_verdict verdict;
	int err;

	/* §22.1: a CANCEL cannot be submitted once more. */
	if (!policy->auth_realm.len || !check->ua->nonces || check->session ||
		check->request->msg->method == STW_METHOD_CANCEL)
		return NULL;
	err = stw_credentials_find(
		check->request->msg, STW_HDR_AUTHORIZATION, policy->auth_realm, &credentials);
	if (err < 0)
		return challenge(check, stw_credentials_cause(err, false), false);
	if (stw_str_equal(credentials.username, policy->auth_user) &&
		stw_ha1_make(policy->auth_user, policy->auth_realm, policy->auth_password, &ha1) ==
			0)
		verify.ha1 = &ha1;
	verdict = stw_auth_check(check->ua->nonces, &verify, stw_stack_now(check->ua->stack));
	if (verdict == STW_AUTH_OK)
		return NULL;
	return challenge(check, stw_auth_cause(verdict, &verify, false), verdict == STW_AUTH_STALE);
}

/* ---- what is asked ------------------------------------------------------------------------ */

static const struct stw_cause *check_method(struct ua_check *check)
{
	const struct stw_msg *msg = check->request->msg;
	struct stw_str name = stw_msg_method_name(msg);

	if (msg->method == STW_METHOD_CANCEL || stw_list_has(ua_methods(check->ua), name))
		return NULL;
	stw_write_format(&check->writer, "Allow: %.*s\r\n", STW_STR_ARG(ua_methods(check->ua)));
	check_line(check);
	return msg->method == STW_METHOD_UNKNOWN ? &stw_cause_ua_unknown_method
						 : &stw_cause_ua_method;
}

static const struct stw_cause *check_scheme(struct ua_check *check)
{
	enum stw_scheme scheme = check->request->msg->uri.scheme;

	return scheme == STW_SCHEME_SIP || scheme == STW_SCHEME_SIPS ? NULL : &stw_cause_ua_scheme;
}

static const struct stw_cause *check_dialog(struct ua_check *check)
{
	const struct stw_msg *msg = check->request->msg;

	if (msg->method == STW_METHOD_CANCEL)
		return &stw_cause_request_gone;
	if (check->session ||
		((msg->method == STW_METHOD_NOTIFY || msg->method == STW_METHOD_SUBSCRIBE) &&
			referral_find(check->ua, msg)) ||
		(!msg->to.tag.ptr && msg->method != STW_METHOD_BYE &&
			msg->method != STW_METHOD_PRACK && msg->method != STW_METHOD_INFO &&
			msg->method != STW_METHOD_UPDATE && msg->method != STW_METHOD_NOTIFY))
		return NULL;
	return msg->method == STW_METHOD_NOTIFY ? &stw_cause_ua_no_subscription
						: &stw_cause_ua_no_dialog;
}

static bool is_number(struct stw_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
	}
	return text.len > 0;
}

/* §21.4.22: digits with which one of our numbers begins. */
static bool is_begun(struct stw_str numbers, struct stw_str digits)
{
	struct stw_str number;
	size_t at = 0, end;

	for (; is_number(digits) && at < numbers.len; at = end + 1) {
		end = stw_str_find(numbers, ',', at);
		number = stw_str_trim(stw_str_cut(numbers, at, end));
		if (is_number(number) && number.len > digits.len &&
			stw_str_equal(stw_str_cut(number, 0, digits.len), digits))
			return true;
	}
	return false;
}

static const struct stw_cause *check_user(struct ua_check *check)
{
	struct stw_str users = check_policy(check)->users, user = check->request->msg->uri.user;

	if (check->session || !users.len || stw_list_has(users, user))
		return NULL;
	return is_begun(users, user) ? &stw_cause_ua_incomplete : &stw_cause_ua_not_me;
}

/* §8.2.2.2; it needs the transaction of the request. */
static const struct stw_cause *check_merged(struct ua_check *check)
{
	static const struct stw_server_ops nothing = { 0 };
	const struct stw_msg *msg = check->request->msg;

	if (msg->to.tag.ptr || check_policy(check)->no_merge_check ||
		stw_request_take(check->request, &nothing, NULL) < 0)
		return NULL;
	return stw_request_is_merged(check->request) ? &stw_cause_ua_merged : NULL;
}

/* §8.2.2.3: as many of them as there is room for, with the end of the line. */
static void unsupported_add(struct stw_writer *writer, struct stw_str tag)
{
	const char *before = writer->len ? ", " : "Unsupported: ";

	if (writer->capacity - writer->len < strlen(before) + tag.len + 2)
		return;
	stw_write_text(writer, before);
	stw_write_str(writer, tag);
}

static const struct stw_cause *check_require(struct ua_check *check)
{
	struct stw_values values = stw_msg_values(check->request->msg, STW_HDR_REQUIRE);
	struct stw_str tag;
	bool met = true;

	while (stw_values_next(&values, &tag)) {
		if (stw_list_has(ua_extensions(check->ua), tag) ||
			(check_policy(check)->priorities.len &&
				stw_str_equal_nocase(tag, STW_STR("resource-priority"))))
			continue;
		unsupported_add(&check->writer, tag);
		met = false;
	}
	if (met)
		return NULL;
	if (check->writer.len)
		stw_write_text(&check->writer, "\r\n");
	check_line(check);
	return &stw_cause_ua_extension;
}

/* ---- what it carries: §8.2.3 ------------------------------------------------------------- */

static struct stw_str check_accepts(const struct ua_check *check)
{
	if (check_policy(check)->accept.len)
		return check_policy(check)->accept;
	switch (check->request->msg->method) {
	case STW_METHOD_MESSAGE:
		return STW_STR("text/plain");
	case STW_METHOD_NOTIFY:
		return STW_STR("message/sipfrag");
	default:
		return STW_STR(STW_BODY_ACCEPT);
	}
}

static const struct stw_cause *check_body(struct ua_check *check)
{
	const struct stw_msg *msg = check->request->msg;
	struct stw_str accepts = check_accepts(check);

	if (check_policy(check)->max_body && msg->body_len > check_policy(check)->max_body)
		return &stw_cause_ua_body_large;
	if (msg->method == STW_METHOD_INFO)
		return NULL;
	switch (stw_body_check(msg, accepts)) {
	case STW_BODY_UNDERSTOOD:
		return NULL;
	case STW_BODY_BROKEN:
		return &stw_cause_ua_body_broken;
	case STW_BODY_TYPE:
		stw_write_format(&check->writer, "Accept: %.*s\r\n", STW_STR_ARG(accepts));
		break;
	case STW_BODY_ENCODING:
		stw_write_text(&check->writer, "Accept-Encoding: " STW_BODY_ENCODINGS "\r\n");
		break;
	case STW_BODY_LANGUAGE:
		/* What a person reads. */
		if (msg->method == STW_METHOD_MESSAGE)
			return NULL;
		stw_write_text(&check->writer, "Accept-Language: " STW_BODY_LANGUAGES "\r\n");
		break;
	}
	check_line(check);
	return &stw_cause_ua_body_type;
}

/* ---- what is wanted of callers ------------------------------------------------------------ */

/* An INVITE that begins a session, and OPTIONS that asks what would become of one (§11.2). */
static bool is_of_caller(const struct ua_check *check)
{
	enum stw_method method = check->request->msg->method;

	return !check->session && (method == STW_METHOD_INVITE || method == STW_METHOD_OPTIONS);
}

static const struct stw_cause *check_demand(struct ua_check *check)
{
	struct stw_str require = check_policy(check)->require;

	if (!require.len || !is_of_caller(check) ||
		stw_msg_has_token(check->request->msg, STW_HDR_SUPPORTED, require) ||
		stw_msg_has_token(check->request->msg, STW_HDR_REQUIRE, require))
		return NULL;
	stw_write_format(&check->writer, "Require: %.*s\r\n", STW_STR_ARG(require));
	check_line(check);
	return &stw_cause_ua_require;
}

/* RFC 4412 §4.6.2: only who demands priority is refused when none of the values is known. */
static const struct stw_cause *check_priority(struct ua_check *check)
{
	const struct stw_msg *msg = check->request->msg;
	struct stw_values values = stw_msg_values(msg, STW_HDR_RESOURCE_PRIORITY);
	struct stw_str known = check_policy(check)->priorities, value;

	if (!known.len || !stw_msg_has_token(msg, STW_HDR_REQUIRE, STW_STR("resource-priority")))
		return NULL;
	while (stw_values_next(&values, &value)) {
		if (stw_list_has(known, value))
			return NULL;
	}
	stw_write_format(&check->writer, "Accept-Resource-Priority: %.*s\r\n", STW_STR_ARG(known));
	check_line(check);
	return &stw_cause_ua_priority;
}

/* RFC 5079 §4, RFC 3323 §4.1: by From, or because Privacy hides who it is. */
static const struct stw_cause *check_anonymous(struct ua_check *check)
{
	const struct stw_msg *msg = check->request->msg;
	struct stw_str privacy = stw_msg_value(msg, STW_HDR_PRIVACY), part;
	size_t at = 0, end;

	if (!check_policy(check)->reject_anonymous || !is_of_caller(check))
		return NULL;
	if (stw_str_equal_nocase(msg->from.uri.host, STW_STR("anonymous.invalid")))
		return &stw_cause_ua_anonymous;
	for (; at < privacy.len; at = end + 1) {
		end = stw_str_find(privacy, ';', at);
		part = stw_str_trim(stw_str_cut(privacy, at, end));
		if (stw_str_equal_nocase(part, STW_STR("id")) ||
			stw_str_equal_nocase(part, STW_STR("user")))
			return &stw_cause_ua_anonymous;
	}
	return NULL;
}

/* §21.3.4: who came by the proxy has left its Via, or its address is the source. */
static const struct stw_cause *check_proxy(struct ua_check *check)
{
	struct stw_str proxy = check_policy(check)->screen_via;
	struct stw_uri uri;
	struct stw_addr addr;

	if (!proxy.len || !is_of_caller(check) || stw_uri_parse(proxy, &uri) < 0)
		return NULL;
	if (stw_str_equal_nocase(check->request->msg->via.host, uri.host) ||
		(stw_addr_from_host(uri.host, 0, &addr) == 0 &&
			stw_addr_same_ip(&addr, &check->request->source.remote)))
		return NULL;
	stw_write_format(&check->writer, "Contact: <%.*s>\r\n", STW_STR_ARG(proxy));
	check_line(check);
	return &stw_cause_ua_use_proxy;
}

/* Nobody would end it. */
static const struct stw_cause *check_stopping(struct ua_check *check)
{
	bool begins = is_of_caller(check) ||
		      (!check->session && check->request->msg->method == STW_METHOD_REFER);

	return begins && check->ua->stopping ? &stw_cause_ua_stopping : NULL;
}

/* ---- what fits into the dialog -------------------------------------------------------------- */

static const struct stw_cause *check_cseq(struct ua_check *check)
{
	struct stw_dialog *dialog =
		check->session ? session_dialog_of(check->session, check->request->msg) : NULL;

	if (!dialog || check->request->msg->method == STW_METHOD_CANCEL)
		return NULL;
	return stw_dialog_receive(dialog, check->request->msg) < 0 ? &stw_cause_ua_cseq : NULL;
}

static const struct stw_cause *check_interval(struct ua_check *check)
{
	const struct stw_msg *msg = check->request->msg;
	struct stw_str value = stw_msg_value(msg, STW_HDR_SESSION_EXPIRES);
	uint32_t min_s = check_policy(check)->min_se_s, expires_s;

	if (!value.len || (msg->method != STW_METHOD_INVITE && msg->method != STW_METHOD_UPDATE) ||
		!stw_msg_has_token(msg, STW_HDR_SUPPORTED, STW_STR("timer")))
		return NULL;
	if (min_s < MIN_SE_S)
		min_s = MIN_SE_S;
	value = stw_str_trim(stw_str_cut(value, 0, stw_str_find(value, ';', 0)));
	if (stw_delta_seconds_parse(value, &expires_s) < 0 || expires_s >= min_s)
		return NULL;
	stw_write_format(&check->writer, "Min-SE: %u\r\n", min_s);
	check_line(check);
	return &stw_cause_ua_min_se;
}

/* §14.2, RFC 3311 §5.2: one exchange at a time. */
static const struct stw_cause *check_overlap(struct ua_check *check)
{
	struct stw_session *session = check->session;
	const struct stw_msg *msg = check->request->msg;
	bool offer = msg->body_len > 0;

	if (!session || (msg->method != STW_METHOD_INVITE && msg->method != STW_METHOD_UPDATE))
		return NULL;
	if (msg->method == STW_METHOD_INVITE ? session->inviting || session->updating
					     : session->updating != NULL)
		return &stw_cause_ua_pending;
	if (offer && session->sdp &&
		(session->sdp->state == STW_SDP_OFFER_SENT ||
			(session->earlies && !session_fork_agreed(session, msg->from.tag))))
		return &stw_cause_ua_pending;
	if ((msg->method == STW_METHOD_INVITE && session->asked) ||
		(offer && session->sdp && session->sdp->state == STW_SDP_OFFER_RECEIVED)) {
		stw_write_format(&check->writer, "Retry-After: %u\r\n",
			(unsigned)stw_random_below(stw_stack_random(check->ua->stack), 11));
		check_line(check);
		return &stw_cause_ua_overlap;
	}
	return NULL;
}

static const struct stw_cause *check_accept(struct ua_check *check)
{
	const struct stw_msg *msg = check->request->msg;

	if (msg->method != STW_METHOD_INVITE || !stw_msg_find(msg, STW_HDR_ACCEPT) ||
		stw_msg_accepts(msg, STW_STR("application/sdp")))
		return NULL;
	stw_write_format(&check->writer,
		"Warning: 399 %.*s \"Accept excludes application/sdp\"\r\n",
		STW_STR_ARG(check->ua->aor.host));
	check_line(check);
	return &stw_cause_ua_accept;
}

/* RFC 3891 §3, RFC 3911 §4: nowhere but in an INVITE; what that names is looked at in named.c. */
static const struct stw_cause *check_named(struct ua_check *check)
{
	return named_misplaced(check->request->msg);
}

static const struct stw_cause *(*const rows[])(struct ua_check *check) = {
	check_auth,      /* U2 */
	check_method,    /* U4 */
	check_scheme,    /* U5 */
	check_dialog,    /* U6 */
	check_user,      /* U7 */
	check_merged,    /* U8 */
	check_require,   /* U9 */
	check_body,      /* U10 */
	check_demand,    /* U11 */
	check_priority,  /* U12 */
	check_anonymous, /* U12 */
	check_proxy,     /* U12 */
	check_stopping,  /* U12 */
	check_cseq,      /* U13 */
	check_interval,  /* U14 */
	check_overlap,   /* U15 */
	check_accept,    /* U16 */
	check_named,     /* U18 */
};

const struct stw_cause *ua_check(struct ua_check *check)
{
	const struct stw_cause *cause = NULL;

	stw_writer_init(&check->writer, check->lines, sizeof(check->lines));
	for (size_t i = 0; !cause && i < STW_ARRAY_SIZE(rows); i++)
		cause = rows[i](check);
	check->refusal.cause = cause;
	return cause;
}

const struct stw_cause *ua_check_require(struct ua_check *check)
{
	stw_writer_init(&check->writer, check->lines, sizeof(check->lines));
	check->refusal.cause = check_require(check);
	return check->refusal.cause;
}
