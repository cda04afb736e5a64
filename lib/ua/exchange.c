/* SPDX-License-Identifier: Apache-2.0 */
/* A request of ours (RFC 3261 §8.1.1, §8.1.2) until the last word about it; what it is sent once
 * more with is in again.c. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void earlies_free(struct early **earlies)
{
	struct early *early;

	while ((early = *earlies)) {
		*earlies = early->next;
		stw_dialog_free(early->dialog);
		free(early->sdp);
		free(early);
	}
}

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
	targets_free(exchange);
	earlies_free(&exchange->forks);
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

/* Its session or registration is gone; what still comes is seen to: a 2xx to an INVITE is
 * acknowledged, to a re-INVITE by the way of a dialog that is over (RFC 3261 §13.2.2.4). */
void exchange_orphan(struct exchange *exchange)
{
	struct stw_dialog *dialog = exchange->dialog;

	exchange->session = NULL;
	exchange->registration = NULL;
	if (!exchange->owns_dialog) {
		exchange->owns_dialog = dialog && exchange->method == STW_METHOD_INVITE;
		exchange->dialog = exchange->owns_dialog ? stw_dialog_ref(dialog) : NULL;
	}
	/* A peer that has ended the dialog may have forgotten the INVITE: not waited for without
	 * end. */
	if (exchange->method == STW_METHOD_INVITE && exchange->client && !exchange->finished)
		stw_client_cancel(exchange->client, STW_STR_NONE);
	/* Nobody waits for the answer to a REFER, but its subscription goes on (RFC 5057 §3). */
	if (exchange->referral && exchange->referral->ours)
		referral_await_first(exchange->referral);
	exchange->dead = exchange->method != STW_METHOD_INVITE;
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

struct exchange_options exchange_text(const struct exchange *exchange)
{
	return (struct exchange_options){ .method = exchange->name,
		.uri = exchange->uri,
		.to = exchange->to,
		.route = exchange->route,
		.headers = exchange->headers,
		.content_type = exchange->content_type,
		.body = exchange->body,
		.other_type = exchange->other_type,
		.other_body = exchange->other_body,
		.target_headers = exchange->target_headers,
		.contact_params = exchange->contact_params };
}

/* All text in one piece; what is borrowed from the old one stays good until it is replaced. */
int exchange_keep(struct exchange *exchange, const struct exchange_options *options)
{
	size_t bytes = options->method.len + options->uri.len + options->to.len +
		       options->route.len + options->headers.len + options->content_type.len +
		       options->body.len + options->other_type.len + options->other_body.len +
		       options->target_headers.len + options->contact_params.len + 1;
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
	exchange->other_type = text_take(&at, options->other_type);
	exchange->other_body = text_take(&at, options->other_body);
	exchange->target_headers = text_take(&at, options->target_headers);
	exchange->contact_params = text_take(&at, options->contact_params);
	exchange->text = text;
	free(old);
	return 0;
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
		.uri = dialog && !exchange->redirected ? dialog->target : exchange->uri,
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
	if (exchange->anonymous)
		stw_write_text(&writer, "Privacy: id\r\n");
	else if (ua->options.agent.len) /* RFC 3323 §4.1 */
		stw_write_format(&writer, "User-Agent: %.*s\r\n", STW_STR_ARG(ua->options.agent));
	if (exchange->session &&
		(exchange->method == STW_METHOD_INVITE || exchange->method == STW_METHOD_UPDATE))
		timer_lines(exchange->session, &writer);
	stw_write_str(&writer, exchange->headers);
	stw_write_str(&writer, exchange->target_headers);
	write_credentials(exchange, job.uri, &writer);
	if (writer.overflow)
		return -ENOBUFS;
	if (exchange->contact_params.len == 1) /* ";" alone: a Contact without parameters */
		job.contact_params = STW_STR_NONE;
	else if (exchange->session && !exchange->contact_params.len)
		job.contact_params = session_contact_params(exchange->session);
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
	exchange->referral = options->referral;
	exchange->dialog = options->dialog;
	exchange->ops = options->ops;
	exchange->job = options->job;
	exchange->anonymous =
		options->anonymous || (options->session && options->session->anonymous);
	exchange->identity_allowed = options->identity_allowed;
	exchange->method = stw_method_from(options->method);
	exchange->cseq = options->cseq;
	if (options->call_id)
		memcpy(exchange->call_id, options->call_id, sizeof(exchange->call_id));
	else
		stw_stack_call_id(ua->stack, exchange->call_id);
	if (options->tag)
		memcpy(exchange->tag, options->tag, sizeof(exchange->tag));
	else
		stw_stack_tag(ua->stack, exchange->tag);
	exchange->next = ua->exchanges;
	exchange->link = &ua->exchanges;
	if (ua->exchanges)
		ua->exchanges->link = &exchange->next;
	ua->exchanges = exchange;
	err = exchange_keep(exchange, options);
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

/* ---- what comes -------------------------------------------------------------------------------
 */

static void tell_final(struct exchange *exchange, const struct stw_msg *response, unsigned code,
	const struct stw_cause *cause)
{
	struct stw_session *session = exchange->session;

	exchange->finished = true;
	/* Each fork that accepts costs a dialog, an ACK and a BYE. */
	if (exchange->dead || exchange->acks >= FORKS_MAX)
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
	else if (!exchange_again(exchange, response, response->code))
		tell_final(exchange, response, response->code, NULL);
	exchange->busy--;
	exchange_reap(exchange);
}

static void client_failed(void *user, struct stw_client *client, const struct stw_cause *cause)
{
	struct exchange *exchange = user;

	(void)client;
	exchange->busy++;
	if (!exchange_again(exchange, NULL, cause_code(cause)))
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
