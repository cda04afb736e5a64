/* SPDX-License-Identifier: Apache-2.0 */
/* Registration: RFC 3261 §10.2, kept alive and begun again after failures (RFC 5626 §4.5). */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EXPIRES_S    3600
#define RETRY_S      30
#define RETRY_MAX_S  1800
#define MARGIN_MIN_S 5 /* before the end of a binding */

static int registration_send(struct stw_registration *registration);

void registration_free(struct stw_registration *registration)
{
	struct exchange *exchange, *next;

	*registration->link = registration->next;
	if (registration->next)
		registration->next->link = registration->link;
	stw_alarm_stop(registration->ua->stack, &registration->again);
	for (exchange = registration->ua->exchanges; exchange; exchange = next) {
		next = exchange->next;
		if (exchange->registration == registration)
			exchange_orphan(exchange);
	}
	free(registration);
}

/* ---- what came of it ---------------------------------------------------------------------------
 */

enum match { MATCH_NONE, MATCH_HOST, MATCH_PORT };

/* Another agent of the user may be at another port of this host; over a connection, or behind a
 * listener of any address, ours is not known. */
static enum match contact_match(const struct stw_registration *registration,
	const struct stw_address *address, const struct stw_hop *hop)
{
	uint16_t port =
		address->uri.port ? address->uri.port : stw_transport_default_port(hop->transport);
	struct stw_addr addr;

	if (!stw_str_equal(address->uri.user, registration->ua->contact_user) ||
		stw_addr_from_host(address->uri.host, port, &addr) < 0 ||
		!stw_addr_same_ip(&addr, &hop->local))
		return MATCH_NONE;
	return port == hop->local.port ? MATCH_PORT : MATCH_HOST;
}

/* §10.2.4: how long ours is bound; the registrar may have shortened it. */
static uint32_t bound_s(const struct stw_registration *registration, const struct stw_msg *response,
	const struct stw_hop *hop)
{
	struct stw_values values = stw_msg_values(response, STW_HDR_CONTACT);
	struct stw_str value, expires;
	struct stw_address address;
	uint64_t all_s = registration->expires_s;
	enum match best = MATCH_NONE, match;
	uint32_t seconds, bound = 0;

	(void)stw_msg_number(response, STW_HDR_EXPIRES, UINT32_MAX, &all_s);
	while (stw_values_next(&values, &value)) {
		if (stw_address_parse(value, &address) < 0 || address.wildcard)
			continue;
		match = contact_match(registration, &address, hop);
		if (match > best && stw_param_find(address.params, STW_STR("expires"), &expires) &&
			stw_delta_seconds_parse(expires, &seconds) == 0) {
			best = match;
			bound = seconds;
		}
	}
	return best == MATCH_NONE ? (uint32_t)all_s : bound;
}

static void refresh_later(struct stw_registration *registration, uint32_t expires_s)
{
	uint32_t margin_s = expires_s / 10;

	if (margin_s < MARGIN_MIN_S)
		margin_s = MARGIN_MIN_S;
	stw_alarm_start(registration->ua->stack, &registration->again,
		(expires_s > 2 * margin_s ? expires_s - margin_s : expires_s / 2 + 1) *
			UINT64_C(1000));
}

static void registered(
	struct stw_registration *registration, struct exchange *exchange, const struct stw_msg *msg)
{
	struct stw_ua_event event = { .kind = registration->fetch ? STW_UA_BINDINGS
								  : STW_UA_REGISTERED,
		.registration = registration,
		.code = msg->code,
		.phrase = stw_msg_phrase(msg),
		.msg = msg };

	registration->failures = 0;
	if (!registration->fetch)
		event.expires_s = bound_s(registration, msg, stw_client_hop(exchange->client));
	if (!registration->once && event.expires_s)
		refresh_later(registration, event.expires_s);
	ua_tell(registration->ua, &event);
}

/* RFC 3261 §10.2.8: 423 says how long it has to be at least. */
static bool interval_raised(struct stw_registration *registration, const struct stw_msg *response)
{
	uint64_t min_s;

	if (response->code != 423 ||
		stw_msg_number(response, STW_HDR_MIN_EXPIRES, UINT32_MAX, &min_s) < 0 ||
		min_s <= registration->expires_s)
		return false;
	registration->expires_s = (uint32_t)min_s;
	return registration_send(registration) == 0;
}

/* What a human has to repair is not tried again; the rest with growing pauses. */
static uint32_t retry_s(
	struct stw_registration *registration, const struct stw_msg *response, unsigned code)
{
	enum stw_ua_retry retry = stw_ua_retry(code);
	uint32_t seconds = RETRY_S;

	if (registration->once || registration->fetch || registration->ua->stopping ||
		retry == STW_UA_RETRY_NEVER || retry == STW_UA_RETRY_FIX ||
		retry == STW_UA_RETRY_WITH_CHANGE)
		return 0;
	if (response && retry_after_s(response))
		return retry_after_s(response);
	for (unsigned i = 0; i < registration->failures && seconds < RETRY_MAX_S; i++)
		seconds *= 2;
	registration->failures++;
	return seconds < RETRY_MAX_S ? seconds : RETRY_MAX_S;
}

static void unregistered(struct stw_registration *registration, const struct stw_msg *response,
	unsigned code, const struct stw_cause *cause)
{
	struct stw_ua *ua = registration->ua;
	struct stw_ua_event event = { .kind = STW_UA_UNREGISTERED,
		.registration = registration,
		.code = code,
		.phrase = response ? stw_msg_phrase(response) : cause_phrase(cause),
		.msg = response,
		.cause = cause };

	if (!registration->ending) {
		event.retry_s = retry_s(registration, response, code);
		if (event.retry_s)
			stw_alarm_start(
				ua->stack, &registration->again, event.retry_s * UINT64_C(1000));
	}
	if (registration->ending) {
		ua_tell(ua, &event);
		registration_free(registration);
		return;
	}
	ua_tell(ua, &event);
}

static void register_final(struct exchange *exchange, const struct stw_msg *response, unsigned code,
	const struct stw_cause *cause)
{
	struct stw_registration *registration = exchange->registration;

	if (!registration)
		return;
	registration->cseq = exchange->cseq;
	registration->exchange = NULL;
	if (registration->ending || (code / 100 == 2 && registration->remove_all))
		unregistered(registration, response, code, cause);
	else if (code / 100 == 2)
		registered(registration, exchange, response);
	else if (!response || !interval_raised(registration, response))
		unregistered(registration, response, code, cause);
}

static const struct exchange_ops register_ops = { .final = register_final };

/* ---- asking
 * ---------------------------------------------------------------------------------------- */

/* §10.2: Request-URI is the registrar, To and From the AOR; one Call-ID, rising CSeq. */
static int registration_send(struct stw_registration *registration)
{
	struct stw_ua *ua = registration->ua;
	char lines[TEXT_MAX * 2], params[TEXT_MAX];
	struct stw_writer writer, contact;
	struct exchange_options options = { .method = STW_STR("REGISTER"),
		.uri = registration->registrar,
		.to = ua->options.aor,
		.registration = registration,
		.call_id = registration->call_id,
		.cseq = registration->cseq,
		.ops = &register_ops };
	uint32_t expires_s = registration->ending ? 0 : registration->expires_s;

	stw_writer_init(&writer, lines, sizeof(lines));
	stw_writer_init(&contact, params, sizeof(params));
	stw_write_format(
		&writer, "Allow: %.*s\r\nSupported: path\r\n", STW_STR_ARG(ua_methods(ua)));
	if (registration->remove_all) {
		stw_write_text(&writer, "Contact: *\r\nExpires: 0\r\n");
	} else if (!registration->fetch) {
		stw_write_format(&contact, ";expires=%u", expires_s);
		stw_write_str(&contact, registration->contact_params);
	}
	if (registration->contacts.len)
		stw_write_format(&writer, "Contact: %.*s\r\nExpires: %u\r\n",
			STW_STR_ARG(registration->contacts), expires_s);
	if (writer.overflow || contact.overflow)
		return -ENOBUFS;
	options.headers = stw_writer_text(&writer);
	options.contact_params = stw_writer_text(&contact);
	return exchange_begin(ua, &options, &registration->exchange);
}

static void again_fired(struct stw_alarm *alarm)
{
	struct stw_registration *registration =
		STW_CONTAINER_OF(alarm, struct stw_registration, again);

	if (!registration->exchange)
		(void)registration_send(registration);
}

static int registration_text(
	struct stw_registration *registration, const struct stw_registration_options *options)
{
	struct stw_ua *ua = registration->ua;
	struct stw_writer writer;
	size_t from;

	stw_writer_init(&writer, registration->text, sizeof(registration->text));
	if (options->registrar.len) {
		stw_write_str(&writer, options->registrar);
	} else {
		bool ipv6 = ua->aor.host_kind == STW_HOST_IPV6;

		stw_write_format(&writer, "%.*s:%s%.*s%s", STW_STR_ARG(ua->aor.scheme_name),
			ipv6 ? "[" : "", STW_STR_ARG(ua->aor.host), ipv6 ? "]" : "");
		if (ua->aor.port)
			stw_write_format(&writer, ":%u", ua->aor.port);
	}
	from = writer.len;
	registration->registrar = stw_writer_text(&writer);
	stw_write_str(&writer, options->contact_params);
	registration->contact_params = stw_str_cut(stw_writer_text(&writer), from, writer.len);
	from = writer.len;
	if (!options->fetch && !options->remove_all)
		stw_write_str(&writer, options->contacts);
	registration->contacts = stw_str_cut(stw_writer_text(&writer), from, writer.len);
	return writer.overflow ? -ENOBUFS : 0;
}

int stw_ua_register(struct stw_ua *ua, const struct stw_registration_options *options,
	struct stw_registration **ret)
{
	struct stw_registration *registration = calloc(1, sizeof(*registration));
	int err;

	if (!registration)
		return -ENOMEM;
	registration->ua = ua;
	registration->again.fired = again_fired;
	registration->expires_s = options->expires_s ? options->expires_s : EXPIRES_S;
	registration->fetch = options->fetch;
	registration->remove_all = options->remove_all;
	registration->once = options->once;
	stw_stack_call_id(ua->stack, registration->call_id);
	registration->next = ua->registrations;
	registration->link = &ua->registrations;
	if (ua->registrations)
		ua->registrations->link = &registration->next;
	ua->registrations = registration;
	if (ret)
		*ret = registration;
	err = registration_text(registration, options);
	if (err == 0)
		err = registration_send(registration);
	if (err < 0)
		registration_free(registration);
	return err;
}

void stw_registration_end(struct stw_registration *registration)
{
	struct stw_ua *ua = registration->ua;
	struct stw_ua_event event = { .kind = STW_UA_UNREGISTERED,
		.registration = registration,
		.code = 200,
		.phrase = STW_STR("OK") };

	if (registration->ending)
		return;
	stw_alarm_stop(ua->stack, &registration->again);
	if (registration->exchange) {
		registration->cseq = registration->exchange->cseq;
		exchange_orphan(registration->exchange);
		registration->exchange = NULL;
	}
	registration->ending = true;
	if (!registration->fetch && !registration->remove_all &&
		registration_send(registration) == 0)
		return;
	ua_tell(ua, &event);
	registration_free(registration);
}
