/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a refused request is sent once more with: credentials (RFC 3261 §22), another target
 * (§8.1.3.4), or without what was not liked (§8.1.3.5 and the standards of the single codes). One
 * row for each code. What belongs to a session or a registration is seen to by who waits for the
 * answer: 422, 484, 488, 491 and 606 there, and 423 to a REGISTER.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHANGES_MAX 5  /* of one request; each row changes something, so that it ends anyhow */
#define TARGETS_MAX 10 /* of one request */

/* ---- lines of ours ----------------------------------------------------------------------------
 */

/* The next one of "Name: value\r\n…". */
static bool line_next(struct stw_str lines, size_t *at, struct stw_str *ret_line,
	struct stw_str *ret_name, struct stw_str *ret_value)
{
	size_t end, colon;

	if (*at >= lines.len)
		return false;
	end = stw_str_find(lines, '\n', *at);
	*ret_line = stw_str_cut(lines, *at, end + 1);
	colon = stw_str_find(*ret_line, ':', 0);
	*ret_name = stw_str_trim(stw_str_cut(*ret_line, 0, colon));
	*ret_value = stw_str_trim(stw_str_cut(*ret_line, colon + 1, ret_line->len));
	*at = end + 1;
	return true;
}

/* All lines but those of this name. @return the value of the first of those; empty: none */
static struct stw_str lines_without(
	struct stw_str lines, struct stw_str name, struct stw_writer *writer)
{
	struct stw_str line, this, value, found = STW_STR_NONE;
	size_t at = 0;

	while (line_next(lines, &at, &line, &this, &value)) {
		if (!stw_str_equal_nocase(this, name))
			stw_write_str(writer, line);
		else if (!found.len)
			found = value;
	}
	return found;
}

/* All lines; from the lists of this name the tags that `unwanted` has are taken out.
 * @return whether there were any */
static bool lines_without_tags(struct stw_str lines, struct stw_str name, struct stw_str unwanted,
	struct stw_writer *writer)
{
	struct stw_str line, this, value, tag;
	bool taken = false, first;
	size_t at = 0, from, end;

	while (line_next(lines, &at, &line, &this, &value)) {
		if (!stw_str_equal_nocase(this, name)) {
			stw_write_str(writer, line);
			continue;
		}
		first = true;
		for (from = 0; from < value.len; from = end + 1) {
			end = stw_str_find(value, ',', from);
			tag = stw_str_trim(stw_str_cut(value, from, end));
			if (stw_list_has(unwanted, tag)) {
				taken = true;
				continue;
			}
			stw_write_str(writer, first ? name : STW_STR_NONE);
			stw_write_text(writer, first ? ": " : ", ");
			stw_write_str(writer, tag);
			first = false;
		}
		if (!first)
			stw_write_text(writer, "\r\n");
	}
	return taken;
}

/* ---- once more --------------------------------------------------------------------------------
 */

static bool send_changed(struct exchange *exchange, const struct exchange_options *text)
{
	return exchange->changes++ < CHANGES_MAX && exchange_keep(exchange, text) == 0 &&
	       exchange_send(exchange) == 0;
}

static bool send_with_lines(struct exchange *exchange, const struct stw_writer *writer)
{
	struct exchange_options text = exchange_text(exchange);

	text.headers = stw_writer_text(writer);
	return !writer->overflow && send_changed(exchange, &text);
}

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

/* RFC 2543 §7.4.12: Content-Length is in all that we send, so that whoever misses it has lost the
 * framing of the connection, which it closes. The same goes over a new one, once. */
static bool send_the_same(struct exchange *exchange, const struct stw_msg *response)
{
	(void)response;
	return exchange->changes++ == 0 && exchange_send(exchange) == 0;
}

/* RFC 3903 §5: the entity-tag is forgotten, and the whole state published afresh. */
static bool publish_afresh(struct exchange *exchange, const struct stw_msg *response)
{
	char lines[LINES_MAX];
	struct stw_writer writer;

	(void)response;
	stw_writer_init(&writer, lines, sizeof(lines));
	return exchange->body.len &&
	       lines_without(exchange->headers, STW_STR("SIP-If-Match"), &writer).len &&
	       send_with_lines(exchange, &writer);
}

/* ---- bodies -----------------------------------------------------------------------------------
 */

/* One part of a body of several: that of a type in `accepts`. */
static bool body_part(const struct exchange *exchange, const struct stw_msg *accepts,
	struct exchange_options *text)
{
	struct stw_multipart multipart;
	struct stw_part part;
	struct stw_str type;

	if (stw_multipart_begin(exchange->content_type, exchange->body, &multipart) < 0)
		return false;
	while (stw_multipart_next(&multipart, &part) == 1) {
		type = stw_str_cut(part.content_type, 0, stw_str_find(part.content_type, ';', 0));
		type = stw_str_trim(type);
		if (accepts ? !stw_msg_accepts(accepts, type)
			    : !stw_str_equal_nocase(type, STW_STR("application/sdp")))
			continue;
		text->content_type = part.content_type;
		text->body = part.body;
		return true;
	}
	return false;
}

/* §8.1.3.5: a smaller body; of several parts the description alone. */
static bool send_less(struct exchange *exchange, const struct stw_msg *response)
{
	struct exchange_options text = exchange_text(exchange);

	(void)response;
	if (body_part(exchange, NULL, &text))
		return send_changed(exchange, &text);
	if (!text.other_body.len || text.other_body.len >= text.body.len)
		return false;
	text.content_type = text.other_type;
	text.body = text.other_body;
	return send_changed(exchange, &text);
}

/* §8.1.3.5: a type that Accept lists, if there is something of that type to be sent. */
static bool send_other_type(struct exchange *exchange, const struct stw_msg *response)
{
	struct exchange_options text = exchange_text(exchange);

	if (body_part(exchange, response, &text))
		return send_changed(exchange, &text);
	if (!text.other_body.len || stw_str_equal(text.content_type, text.other_type) ||
		!stw_msg_accepts(response, text.other_type))
		return false;
	text.content_type = text.other_type;
	text.body = text.other_body;
	return send_changed(exchange, &text);
}

/* ---- what was demanded, or not offered ---------------------------------------------------------
 */

/* §8.1.3.5, §19.1.6: a telephone number becomes a user of our domain. A sips URI never becomes a
 * sip URI by itself (RFC 5630 §5.1.1). */
static bool send_to_sip_uri(struct exchange *exchange, const struct stw_msg *response)
{
	struct exchange_options text = exchange_text(exchange);
	const struct stw_uri *aor = &exchange->ua->aor;
	char buffer[TEXT_MAX];
	struct stw_writer writer;
	struct stw_uri uri;
	bool ipv6 = aor->host_kind == STW_HOST_IPV6;

	(void)response;
	if (exchange->dialog || stw_uri_parse(exchange->uri, &uri) < 0 ||
		uri.scheme != STW_SCHEME_TEL)
		return false;
	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_write_format(&writer, "sip:%.*s@%s%.*s%s;user=phone",
		STW_STR_ARG(stw_str_cut(uri.text, 4, uri.text.len)), ipv6 ? "[" : "",
		STW_STR_ARG(aor->host), ipv6 ? "]" : "");
	text.uri = stw_writer_text(&writer);
	return !writer.overflow && send_changed(exchange, &text);
}

/* RFC 4412 §4.7.1: priority is asked for and not demanded any more; another value would need to be
 * one that the user may use. */
static bool drop_demanded_priority(struct exchange *exchange, const struct stw_msg *response)
{
	char lines[LINES_MAX];
	struct stw_writer writer;

	(void)response;
	stw_writer_init(&writer, lines, sizeof(lines));
	return lines_without_tags(exchange->headers, STW_STR("Require"),
		       STW_STR("resource-priority"), &writer) &&
	       send_with_lines(exchange, &writer);
}

/* §8.1.3.5: without the extensions that were demanded and are not supported. Not what Replaces and
 * Join need: ignored, they would leave another call than the one that was meant (RFC 5589 §7.7). */
static bool drop_extensions(struct exchange *exchange, const struct stw_msg *response)
{
	struct stw_values values = stw_msg_values(response, STW_HDR_UNSUPPORTED);
	char list[TEXT_MAX], lines[LINES_MAX], fewer[LINES_MAX];
	struct stw_writer unwanted, writer, second;
	struct stw_str tag;
	bool taken;

	stw_writer_init(&unwanted, list, sizeof(list));
	stw_writer_init(&writer, lines, sizeof(lines));
	stw_writer_init(&second, fewer, sizeof(fewer));
	while (stw_values_next(&values, &tag)) {
		if (stw_str_equal_nocase(tag, STW_STR("replaces")) ||
			stw_str_equal_nocase(tag, STW_STR("join")))
			return false;
		stw_write_format(&unwanted, "%.*s,", STW_STR_ARG(tag));
	}
	taken = lines_without_tags(
		exchange->headers, STW_STR("Require"), stw_writer_text(&unwanted), &writer);
	taken = lines_without_tags(stw_writer_text(&writer), STW_STR("Proxy-Require"),
			stw_writer_text(&unwanted), &second) ||
		taken;
	return taken && !writer.overflow && send_with_lines(exchange, &second);
}

/* §21.4.16: what the server needs, if we have it and have not said so. */
static bool add_extensions(struct exchange *exchange, const struct stw_msg *response)
{
	struct stw_values values = stw_msg_values(response, STW_HDR_REQUIRE);
	char lines[LINES_MAX], list[TEXT_MAX];
	struct stw_writer writer, more;
	struct stw_str said, tag;
	bool added = false;

	stw_writer_init(&writer, lines, sizeof(lines));
	stw_writer_init(&more, list, sizeof(list));
	said = lines_without(exchange->headers, STW_STR("Supported"), &writer);
	stw_write_str(&more, said);
	while (stw_values_next(&values, &tag)) {
		if (!stw_list_has(ua_extensions(exchange->ua), tag))
			return false;
		if (stw_list_has(said, tag))
			continue;
		stw_write_format(&more, "%s%.*s", more.len ? ", " : "", STW_STR_ARG(tag));
		added = true;
	}
	stw_write_format(&writer, "Supported: %.*s\r\n", STW_STR_ARG(stw_writer_text(&more)));
	return added && !more.overflow && send_with_lines(exchange, &writer);
}

/* §21.4.17, RFC 3903 §4: for as long as it has to be at least. */
static bool ask_longer(struct exchange *exchange, const struct stw_msg *response)
{
	char lines[LINES_MAX];
	struct stw_writer writer;
	struct stw_str value;
	uint32_t asked_s;
	uint64_t min_s;

	stw_writer_init(&writer, lines, sizeof(lines));
	value = lines_without(exchange->headers, STW_STR("Expires"), &writer);
	if (exchange->registration || !value.len || stw_delta_seconds_parse(value, &asked_s) < 0 ||
		stw_msg_number(response, STW_HDR_MIN_EXPIRES, UINT32_MAX, &min_s) < 0 ||
		min_s <= asked_s)
		return false;
	stw_write_format(&writer, "Expires: %u\r\n", (unsigned)min_s);
	return send_with_lines(exchange, &writer);
}

/* RFC 5079 §4: only because the user has said beforehand that it may be. */
static bool show_identity(struct exchange *exchange, const struct stw_msg *response)
{
	(void)response;
	if (!exchange->anonymous || !exchange->identity_allowed)
		return false;
	exchange->anonymous = false;
	if (exchange->session)
		exchange->session->anonymous = false;
	return exchange_send(exchange) == 0;
}

static const struct {
	uint16_t code;
	bool (*change)(struct exchange *exchange, const struct stw_msg *response);
} changes[] = {
	{ 401, answer_challenge },
	{ 407, answer_challenge },
	{ 411, send_the_same },
	{ 412, publish_afresh },
	{ 413, send_less },
	{ 415, send_other_type },
	{ 416, send_to_sip_uri },
	{ 417, drop_demanded_priority },
	{ 420, drop_extensions },
	{ 421, add_extensions },
	{ 423, ask_longer },
	{ 433, show_identity },
};

/* ---- other targets: §8.1.3.4
 * --------------------------------------------------------------------- */

/* A URI of the target set; each is tried once. */
struct target {
	struct target *next;
	unsigned q; /* thousandths */
	bool tried;
	size_t len;
	char uri[];
};

void targets_free(struct exchange *exchange)
{
	while (exchange->targets) {
		struct target *target = exchange->targets;

		exchange->targets = target->next;
		free(target);
	}
}

/* Will both have the same Request-URI? */
static bool same_place(struct stw_str one, struct stw_str other)
{
	char bare_one[TEXT_MAX], bare_other[TEXT_MAX];
	struct stw_uri a, b;

	return stw_uri_parse(one, &a) == 0 && stw_uri_parse(other, &b) == 0 &&
	       stw_uri_parse(ua_request_uri(&a, bare_one, sizeof(bare_one)), &a) == 0 &&
	       stw_uri_parse(ua_request_uri(&b, bare_other, sizeof(bare_other)), &b) == 0 &&
	       stw_uri_equal(&a, &b);
}

static bool target_known(const struct exchange *exchange, struct stw_str text, unsigned *ret)
{
	*ret = 0;
	for (const struct target *target = exchange->targets; target; target = target->next) {
		++*ret;
		if (same_place((struct stw_str){ target->uri, target->len }, text))
			return true;
	}
	return false;
}

/* Behind those of its q and above. Twice is once. */
static struct target *target_add(struct exchange *exchange, struct stw_str text, unsigned q)
{
	struct target **at = &exchange->targets, *target;
	unsigned count;

	if (target_known(exchange, text, &count) || count >= TARGETS_MAX)
		return NULL;
	target = malloc(sizeof(*target) + text.len);
	if (!target)
		return NULL;
	*target = (struct target){ .q = q, .len = text.len };
	memcpy(target->uri, text.ptr, text.len);
	while (*at && (*at)->q >= q)
		at = &(*at)->next;
	target->next = *at;
	*at = target;
	return target;
}

/* The Request-URI that the refused request had. */
static struct stw_str request_uri(const struct exchange *exchange)
{
	return exchange->dialog && !exchange->redirected ? exchange->dialog->target : exchange->uri;
}

/* From sips it does not go to sip: the user would have to be asked. */
static bool may_lead_to(struct stw_str from, const struct stw_address *address)
{
	struct stw_uri before;

	if (address->wildcard)
		return false;
	if (address->uri.scheme == STW_SCHEME_SIP)
		return stw_uri_parse(from, &before) < 0 || before.scheme != STW_SCHEME_SIPS;
	return address->uri.scheme == STW_SCHEME_SIPS;
}

static void targets_collect(struct exchange *exchange, const struct stw_msg *response)
{
	struct stw_values values = stw_msg_values(response, STW_HDR_CONTACT);
	struct stw_str value, q, from = request_uri(exchange);
	struct stw_address address;
	unsigned thousandths;
	struct target *first;

	if (!exchange->targets && (first = target_add(exchange, from, 1001)))
		first->tried = true;
	while (stw_values_next(&values, &value)) {
		if (stw_address_parse(value, &address) < 0)
			continue;
		thousandths = 1000;
		if (stw_param_find(address.params, STW_STR("q"), &q))
			(void)stw_qvalue_parse(q, &thousandths);
		if (may_lead_to(from, &address))
			target_add(exchange, address.uri.text, thousandths);
	}
}

/* Who wants to remember an address is to know it (§21.3.2). Not when it has failed meanwhile.
 * `response` NULL: none came. */
static void tell_redirected(struct exchange *exchange, const struct stw_msg *response,
	unsigned code, struct stw_str uri)
{
	struct stw_ua_event event = { .kind = STW_UA_REDIRECTED,
		.session = exchange->session,
		.registration = exchange->registration,
		.job = exchange->job,
		.msg = response,
		.code = code,
		.phrase =
			response ? stw_msg_phrase(response) : stw_str_from(stw_status_phrase(code)),
		.text = uri };

	if (exchange->client && !exchange->finished)
		ua_tell(exchange->ua, &event);
}

/* Its URI becomes the Request-URI. In a dialog the route set stays (§12.2.1.2), and nothing is
 * taken from the headers of the URI. */
static int target_take(struct exchange *exchange, struct target *target)
{
	struct exchange_options text = exchange_text(exchange);
	char buffer[TEXT_MAX], lines[TEXT_MAX];
	struct stw_writer writer;
	struct stw_uri uri;
	int err = stw_uri_parse((struct stw_str){ target->uri, target->len }, &uri);

	if (err < 0)
		return err;
	stw_writer_init(&writer, lines, sizeof(lines));
	if (exchange->method == STW_METHOD_INVITE && !exchange->dialog)
		ua_uri_headers(&uri, &writer);
	text.uri = ua_request_uri(&uri, buffer, sizeof(buffer));
	text.target_headers = stw_writer_text(&writer);
	if (!text.uri.len || writer.overflow)
		return -ENOBUFS;
	exchange->target = target;
	exchange->redirected = true;
	exchange->auth_tries = 0;
	exchange->changes = 0;
	return exchange_keep(exchange, &text);
}

/* The best one that has not been tried. */
static bool target_next(struct exchange *exchange, const struct stw_msg *response, unsigned code)
{
	for (struct target *target = exchange->targets; target; target = target->next) {
		if (target->tried)
			continue;
		target->tried = true;
		if (target_take(exchange, target) < 0 || exchange_send(exchange) < 0)
			continue;
		if (exchange->target == target)
			tell_redirected(exchange, response, code, exchange->uri);
		return true;
	}
	return false;
}

/* §21.3.4: this one request through that proxy; once, and not remembered for later ones. */
static bool send_by_proxy(struct exchange *exchange, const struct stw_msg *response)
{
	struct stw_values values = stw_msg_values(response, STW_HDR_CONTACT);
	struct exchange_options text = exchange_text(exchange);
	struct stw_address address;
	struct stw_str value, lr;
	char route[TEXT_MAX];
	struct stw_writer writer;

	if (exchange->by_proxy || exchange->dialog || !stw_values_next(&values, &value) ||
		stw_address_parse(value, &address) < 0 || address.wildcard ||
		(address.uri.scheme != STW_SCHEME_SIP && address.uri.scheme != STW_SCHEME_SIPS))
		return false;
	stw_writer_init(&writer, route, sizeof(route));
	stw_write_format(&writer, "<%.*s%s>", STW_STR_ARG(address.uri.text),
		stw_uri_param(&address.uri, STW_STR("lr"), &lr) ? "" : ";lr");
	text.route = stw_writer_text(&writer);
	if (writer.overflow || exchange_keep(exchange, &text) < 0)
		return false;
	exchange->by_proxy = true;
	exchange->auth_tries = 0;
	if (exchange_send(exchange) < 0)
		return false;
	tell_redirected(exchange, response, response->code, address.uri.text);
	return true;
}

/* A 380 offers another service, which its user may want (§21.3.5). */
static bool follow_redirect(struct exchange *exchange, const struct stw_msg *response)
{
	if (!exchange->ua->options.follow_redirects || response->code == 380)
		return false;
	if (response->code == 305)
		return send_by_proxy(exchange, response);
	targets_collect(exchange, response);
	return false;
}

static bool send_again(struct exchange *exchange, const struct stw_msg *response)
{
	if (response->code / 100 == 3 && follow_redirect(exchange, response))
		return true;
	for (size_t i = 0; i < STW_ARRAY_SIZE(changes); i++) {
		if (changes[i].code == response->code && changes[i].change(exchange, response))
			return true;
	}
	return false;
}

/* What the refused INVITE has begun is over (§12.3). */
static void forget_early(struct exchange *exchange)
{
	if (exchange->session && !exchange->dialog && exchange->method == STW_METHOD_INVITE)
		earlies_free(&exchange->session->earlies);
}

bool exchange_again(struct exchange *exchange, const struct stw_msg *response, unsigned code)
{
	bool again;

	if (exchange->dead || exchange->finished || code / 100 == 2 ||
		(exchange->session && exchange->session->cancelled) ||
		(!exchange->session && exchange->method == STW_METHOD_INVITE))
		return false;
	again = response && send_again(exchange, response);
	/* As §16.7 has it for proxies: after a 6xx nobody else is asked. */
	again = again || (code / 100 != 6 && target_next(exchange, response, code));
	if (again)
		forget_early(exchange);
	return again;
}
