/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request of ours with its repetitions (RFC 3261 §8.1.3): with credentials after 401 and 407, to
 * another target after a 3xx, without what is not supported after 420. What 422, 423 and 491 ask
 * for is seen to by who waits for the answer.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void exchange_free(struct exchange *exchange)
{
	if (exchange->link) {
		*exchange->link = exchange->next;
		if (exchange->next)
			exchange->next->link = exchange->link;
	}
	if (exchange->client)
		stw_client_forget(exchange->client);
	if (exchange->owns_dialog)
		stw_dialog_free(exchange->dialog);
	free(exchange->text);
	free(exchange);
}

static void exchange_reap(struct exchange *exchange)
{
	if (!exchange->busy && !exchange->client && (exchange->finished || exchange->dead))
		exchange_free(exchange);
}

void exchange_free_all(struct stw_ua *ua)
{
	while (ua->exchanges)
		exchange_free(ua->exchanges);
}

/* Its session or registration is gone; what still comes is seen to (an INVITE is acknowledged). */
void exchange_orphan(struct exchange *exchange)
{
	exchange->session = NULL;
	exchange->registration = NULL;
	if (!exchange->owns_dialog)
		exchange->dialog = NULL;
	if (exchange->method == STW_METHOD_INVITE)
		return;
	exchange->dead = true;
	exchange_reap(exchange);
}

/* ---- text ------------------------------------------------------------------------------------ */

static struct stw_str text_take(char **at, struct stw_str text)
{
	struct stw_str kept = { *at, text.len };

	if (text.len)
		memcpy(*at, text.ptr, text.len);
	*at += text.len;
	return kept;
}

/* All text in one piece; what is borrowed from the old one stays good until it is replaced. */
static int text_keep(struct exchange *exchange, const struct exchange_options *options)
{
	size_t bytes = options->method.len + options->uri.len + options->to.len +
		       options->route.len + options->headers.len + options->content_type.len +
		       options->body.len + options->contact_params.len + 1;
	char *text = malloc(bytes), *at = text, *old = exchange->text;

	if (!text)
		return -ENOMEM;
	exchange->name = text_take(&at, options->method);
	exchange->uri = text_take(&at, options->uri);
	exchange->to = text_take(&at, options->to);
	exchange->route = text_take(&at, options->route);
	exchange->headers = text_take(&at, options->headers);
	exchange->content_type = text_take(&at, options->content_type);
	exchange->body = text_take(&at, options->body);
	exchange->contact_params = text_take(&at, options->contact_params);
	exchange->text = text;
	free(old);
	return 0;
}

int exchange_set(
	struct exchange *exchange, struct stw_str uri, struct stw_str route, struct stw_str headers)
{
	struct exchange_options options = { .method = exchange->name,
		.uri = uri,
		.to = exchange->to,
		.route = route,
		.headers = headers,
		.content_type = exchange->content_type,
		.body = exchange->body,
		.contact_params = exchange->contact_params };

	return text_keep(exchange, &options);
}

/* ---- sending -----------------------------------------------------------------------------------
 */

/* §8.1.1.2, §8.1.1.3; RFC 3323 §4.1.1.3 for who does not say who he is. */
static void write_parties(const struct exchange *exchange, struct stw_writer *writer)
{
	const struct stw_ua_options *options = &exchange->ua->options;

	if (exchange->anonymous)
		stw_write_text(
			writer, "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=");
	else
		stw_write_format(writer, "From: %.*s%s<%.*s>;tag=", STW_STR_ARG(options->display),
			options->display.len ? " " : "", STW_STR_ARG(options->aor));
	stw_write_text(writer, exchange->tag);
	stw_write_format(writer, "\r\nTo: <%.*s>\r\nCall-ID: %s\r\nCSeq: %u %.*s\r\n",
		STW_STR_ARG(exchange->to), exchange->call_id, exchange->cseq,
		STW_STR_ARG(exchange->name));
	if (exchange->anonymous)
		stw_write_text(writer, "Privacy: id\r\n");
}

/* In a dialog the Request-URI is the remote target; what is signed is what is sent. */
static void write_credentials(
	struct exchange *exchange, struct stw_str uri, struct stw_writer *writer)
{
	struct stw_ua *ua = exchange->ua;
	struct stw_msg body = { .data = exchange->body.ptr,
		.body_len = (uint32_t)exchange->body.len };
	struct stw_digest_request sign = { .request = &body,
		.method = exchange->name,
		.uri = uri,
		.random = stw_stack_random(ua->stack) };
	size_t before = writer->len;

	if (!ua->digest || !stw_digest_client_ready(ua->digest))
		return;
	if (stw_digest_client_write(ua->digest, writer, &sign) < 0)
		writer->len = before;
}

static bool has_contact(enum stw_method method)
{
	return method == STW_METHOD_INVITE || method == STW_METHOD_UPDATE ||
	       method == STW_METHOD_REFER || method == STW_METHOD_NOTIFY ||
	       method == STW_METHOD_SUBSCRIBE || method == STW_METHOD_OPTIONS;
}

static const struct stw_client_ops client_ops;

int exchange_send(struct exchange *exchange)
{
	struct stw_ua *ua = exchange->ua;
	const struct stw_dialog *dialog = exchange->dialog;
	char lines[LINES_MAX];
	struct stw_writer writer;
	struct stw_client_job job = { .method = exchange->name,
		.uri = dialog ? dialog->target : exchange->uri,
		.route = dialog ? dialog->route : exchange->route,
		.content_type = exchange->content_type,
		.body = exchange->body,
		.contact = has_contact(exchange->method) || exchange->contact_params.len,
		.contact_user = exchange->anonymous ? STW_STR("anonymous") : ua->contact_user,
		.contact_params = exchange->contact_params,
		.outbound = dialog && dialog->route.len ? STW_STR_NONE : ua->options.outbound,
		.ops = &client_ops,
		.user = exchange };

	stw_writer_init(&writer, lines, sizeof(lines));
	if (dialog) {
		exchange->cseq = stw_dialog_next_cseq(exchange->dialog);
		stw_dialog_write(dialog, &writer, exchange->name, exchange->cseq);
	} else {
		exchange->cseq++;
		write_parties(exchange, &writer);
	}
	if (ua->options.agent.len)
		stw_write_format(&writer, "User-Agent: %.*s\r\n", STW_STR_ARG(ua->options.agent));
	if (exchange->session &&
		(exchange->method == STW_METHOD_INVITE || exchange->method == STW_METHOD_UPDATE))
		timer_lines(exchange->session, &writer);
	stw_write_str(&writer, exchange->headers);
	write_credentials(exchange, job.uri, &writer);
	if (writer.overflow)
		return -ENOBUFS;
	if (exchange->contact_params.len == 1) /* ";" alone: a Contact without parameters */
		job.contact_params = STW_STR_NONE;
	job.headers = stw_writer_text(&writer);
	if (exchange->client)
		stw_client_forget(exchange->client);
	exchange->client = NULL;
	return stw_stack_originate(ua->stack, &job, &exchange->client);
}

int exchange_begin(struct stw_ua *ua, const struct exchange_options *options, struct exchange **ret)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	int err;

	if (!exchange)
		return -ENOMEM;
	exchange->ua = ua;
	exchange->session = options->session;
	exchange->registration = options->registration;
	exchange->dialog = options->dialog;
	exchange->ops = options->ops;
	exchange->job = options->job;
	exchange->anonymous = options->anonymous;
	exchange->method = stw_method_from(options->method);
	exchange->cseq = options->cseq;
	if (options->call_id)
		memcpy(exchange->call_id, options->call_id, sizeof(exchange->call_id));
	else
		stw_stack_call_id(ua->stack, exchange->call_id);
	stw_stack_tag(ua->stack, exchange->tag);
	exchange->next = ua->exchanges;
	exchange->link = &ua->exchanges;
	if (ua->exchanges)
		ua->exchanges->link = &exchange->next;
	ua->exchanges = exchange;
	err = text_keep(exchange, options);
	if (err < 0) {
		exchange_free(exchange);
		return err;
	}
	exchange->owns_dialog = options->owns_dialog;
	exchange->busy++;
	if (ret)
		*ret = exchange;
	err = exchange_send(exchange);
	exchange->busy--;
	if (err < 0) {
		if (ret)
			*ret = NULL;
		exchange->owns_dialog = false;
		exchange_free(exchange);
		return err;
	}
	exchange_reap(exchange);
	return 0;
}

/* ---- what comes
 * ---------------------------------------------------------------------------------- */

/* §22.1: once for each realm that asks; again only when a nonce was too old. Credentials from
 * before may have lived on another nonce: the first challenge is answered in any case. */
static bool answer_challenge(struct exchange *exchange, const struct stw_msg *response)
{
	struct stw_ua *ua = exchange->ua;
	bool stale = false, refused;
	int err;

	if (!ua->digest)
		return false;
	err = stw_digest_client_challenged(ua->digest, response, &stale);
	if (err < 0)
		return false;
	refused = exchange->auth_tries && !stale &&
		  stw_digest_was_answered(stw_client_request(exchange->client), response);
	if (refused || exchange->auth_tries >= AUTH_TRIES + (stale ? 1u : 0u)) {
		stw_digest_client_refused(ua->digest, response);
		return false;
	}
	exchange->auth_tries++;
	return exchange_send(exchange) == 0;
}

/* §8.1.3.4: the first Contact; 305 is for this one request, through that proxy (§21.3.4). */
static bool follow_redirect(struct exchange *exchange, const struct stw_msg *response)
{
	struct stw_values values = stw_msg_values(response, STW_HDR_CONTACT);
	struct stw_address address;
	struct stw_str value, route = exchange->route, uri;
	char text[TEXT_MAX];
	struct stw_writer writer;

	if (!exchange->ua->options.follow_redirects || exchange->dialog || response->code == 380 ||
		exchange->redirects >= REDIRECTS_MAX || !stw_values_next(&values, &value) ||
		stw_address_parse(value, &address) < 0 ||
		(address.uri.scheme != STW_SCHEME_SIP && address.uri.scheme != STW_SCHEME_SIPS) ||
		stw_uri_equal(&address.uri, &response->uri))
		return false;
	exchange->redirects++;
	uri = address.uri.text;
	if (response->code == 305) {
		stw_writer_init(&writer, text, sizeof(text));
		stw_write_format(&writer, "<%.*s;lr>", STW_STR_ARG(address.uri.text));
		if (writer.overflow)
			return false;
		route = stw_writer_text(&writer);
		uri = exchange->uri;
	}
	return exchange_set(exchange, uri, route, exchange->headers) == 0 &&
	       exchange_send(exchange) == 0;
}

/* §8.1.3.5: the same without the extensions that we demanded. */
static bool drop_require(struct exchange *exchange, const struct stw_msg *response)
{
	static const char name[] = "Require: ";
	const char *at = exchange->headers.len
				 ? memmem(exchange->headers.ptr, exchange->headers.len, name,
					   sizeof(name) - 1)
				 : NULL;
	size_t from, to;
	char *lines;
	bool sent;

	if (!at || !stw_msg_find(response, STW_HDR_UNSUPPORTED))
		return false;
	from = (size_t)(at - exchange->headers.ptr);
	to = stw_str_find(exchange->headers, '\n', from) + 1;
	lines = malloc(exchange->headers.len + 1);
	if (!lines)
		return false;
	memcpy(lines, exchange->headers.ptr, from);
	memcpy(lines + from, exchange->headers.ptr + to, exchange->headers.len - to);
	sent = exchange_set(exchange, exchange->uri, exchange->route,
		       (struct stw_str){ lines, exchange->headers.len - (to - from) }) == 0 &&
	       exchange_send(exchange) == 0;
	free(lines);
	return sent;
}

static bool send_again(struct exchange *exchange, const struct stw_msg *response)
{
	if (exchange->dead || (exchange->session && exchange->session->cancelled))
		return false;
	if (response->code == 401 || response->code == 407)
		return answer_challenge(exchange, response);
	if (response->code / 100 == 3)
		return follow_redirect(exchange, response);
	return response->code == 420 && drop_require(exchange, response);
}

static void tell_final(struct exchange *exchange, const struct stw_msg *response, unsigned code,
	const struct stw_cause *cause)
{
	struct stw_session *session = exchange->session;

	exchange->finished = true;
	if (exchange->dead)
		return;
	if (session)
		session_enter(session);
	exchange->ops->final(exchange, response, code, cause);
	if (session)
		session_leave(session);
}

static void tell_provisional(struct exchange *exchange, const struct stw_msg *response)
{
	struct stw_session *session = exchange->session;

	if (exchange->dead || !exchange->ops->provisional)
		return;
	if (session)
		session_enter(session);
	exchange->ops->provisional(exchange, response);
	if (session)
		session_leave(session);
}

static void client_response(void *user, struct stw_client *client, const struct stw_msg *response)
{
	struct exchange *exchange = user;

	(void)client;
	exchange->busy++;
	if (response->code < 200)
		tell_provisional(exchange, response);
	else if (exchange->finished || !send_again(exchange, response))
		tell_final(exchange, response, response->code, NULL);
	exchange->busy--;
	exchange_reap(exchange);
}

static void client_failed(void *user, struct stw_client *client, const struct stw_cause *cause)
{
	struct exchange *exchange = user;

	(void)client;
	exchange->busy++;
	tell_final(exchange, NULL, cause_code(cause), cause);
	exchange->busy--;
	exchange_reap(exchange);
}

static void client_done(void *user, struct stw_client *client)
{
	struct exchange *exchange = user;

	if (exchange->client != client)
		return;
	exchange->client = NULL;
	exchange_reap(exchange);
}

static const struct stw_client_ops client_ops = {
	.response = client_response, .failed = client_failed, .done = client_done
};
