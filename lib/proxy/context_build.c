/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is sent upstream: challenges and contacts of several branches merged (RFC 3261 §16.7 steps 6
 * and 7), 503 turned into 500, a 3xx without the contacts that the proxy follows itself (§16.7 step
 * 4).
 */
#include "context.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a message with changes, as a message of its own ------------------------ */

static int bytes_keep(
	const char *bytes, size_t len, struct stw_block **ret_block, struct stw_msg **ret)
{
	struct stw_msg msg = { .field_capacity = stw_msg_lines(bytes, len) };
	struct stw_fault fault;
	int err = -EBADMSG;

	msg.fields = malloc((msg.field_capacity + 1u) * sizeof(*msg.fields));
	if (!msg.fields)
		return -ENOMEM;
	if (stw_msg_parse(&msg, bytes, len, &stw_msg_limits_none, &fault) == 0) {
		/* It came through the check before; what it could not read then it need not read
		 * now. */
		(void)stw_msg_check(&msg, &fault);
		err = stw_msg_keep(&msg, ret_block, ret);
	}
	free(msg.fields);
	return err;
}

static int edit_keep(
	const struct stw_edit *edit, struct stw_block **ret_block, struct stw_msg **ret)
{
	struct stw_str v[STW_EDIT_SLICES_MAX];
	struct stw_slices slices = { .v = v };
	char *bytes;
	int n, err;

	n = stw_edit_slices(edit, v);
	if (n < 0)
		return n;
	slices.n = (unsigned)n;
	bytes = malloc(stw_slices_bytes(slices) + 1);
	if (!bytes)
		return -ENOMEM;
	stw_slices_flatten(slices, bytes);
	err = bytes_keep(bytes, stw_slices_bytes(slices), ret_block, ret);
	free(bytes);
	return err;
}

/* ---- merging ------------------------ */

static bool is_challenge(unsigned code)
{
	return code == 401 || code == 407;
}

/* What of another candidate goes into the best one. */
static bool field_merges(unsigned code, const struct stw_field *field)
{
	if (is_challenge(code))
		return field->header == STW_HDR_WWW_AUTHENTICATE ||
		       field->header == STW_HDR_PROXY_AUTHENTICATE;
	return field->header == STW_HDR_CONTACT;
}

static bool candidate_merges(const struct candidate *best, const struct candidate *other)
{
	if (other == best || !other->msg)
		return false;
	if (is_challenge(best->code))
		return is_challenge(other->code);
	return best->code < 400 && other->code == best->code;
}

/* Lines of one message, unchanged and in its order; only counted when `to` is NULL. */
static size_t lines_take(const struct stw_msg *msg, unsigned code, char *to)
{
	size_t bytes = 0;
	unsigned i;

	for (i = 0; i < msg->field_count; i++) {
		const struct stw_field *field = &msg->fields[i];

		if (!field_merges(code, field))
			continue;
		if (to)
			memcpy(to + bytes, msg->data + field->start, field->end - field->start);
		bytes += field->end - field->start;
	}
	return bytes;
}

static size_t lines_gather(
	const struct stw_response_context *context, const struct candidate *best, char *to)
{
	const struct candidate *other = NULL;
	size_t bytes = 0;

	while ((other = context_candidate_next(context, other)))
		if (candidate_merges(best, other))
			bytes += lines_take(other->msg, best->code, to ? to + bytes : NULL);
	return bytes;
}

/* §16.7 step 7: a new To tag for what was merged, unless the request had one. */
static void merged_to_tag(struct stw_response_context *context)
{
	const struct stw_msg *msg = context->response;
	struct stw_str tag = msg->to.tag;
	char text[24];
	struct stw_edit edit;
	struct stw_msg *merged;
	uint64_t hash;

	if (context->request->to.tag.ptr || !tag.ptr)
		return;
	hash = stw_hash(context->options->key, tag.ptr, tag.len) ^
	       stw_hash(context->options->key, msg->call_id.ptr, msg->call_id.len);
	snprintf(text, sizeof(text), "%016llx", (unsigned long long)hash);
	stw_edit_init(&edit, msg);
	stw_edit_splice(
		&edit, (uint32_t)(tag.ptr - msg->data), (uint32_t)tag.len, stw_str_from(text));
	if (edit_keep(&edit, &context->merged_block, &merged) < 0)
		return;
	stw_block_count(context->merged_block, context->arena.large_bytes);
	context->response = merged;
}

/* Without memory the best response goes alone. */
static void build_relay(struct stw_response_context *context)
{
	const struct candidate *best = context->decision.best;
	size_t bytes = lines_gather(context, best, NULL);

	context->response = best->msg;
	if (!bytes || stw_block_new(bytes, &context->lines_block) < 0)
		return;
	stw_block_count(context->lines_block, context->arena.large_bytes);
	lines_gather(context, best, context->lines_block->data);
	context->lines = (struct stw_str){ context->lines_block->data, bytes };
	merged_to_tag(context);
}

/* §16.7 step 6: no 503 goes on. Retry-After only if every stored one had it, then the smallest. */
static void build_unavailable(struct stw_response_context *context)
{
	static const char warning[] = "Warning: 399 strowger \"downstream unavailable\"\r\n";
	const struct candidate *at = NULL;
	uint32_t retry_after_s = UINT32_MAX;
	bool all = true;

	while ((at = context_candidate_next(context, at))) {
		if (at->code != 503)
			continue;
		all = all && at->has_retry_after;
		if (at->retry_after_s < retry_after_s)
			retry_after_s = at->retry_after_s;
	}
	if (!all || stw_arena_printf(&context->arena, &context->lines, "%sRetry-After: %u\r\n",
			    warning, (unsigned)retry_after_s) < 0)
		context->lines = STW_STR(warning);
}

void context_build(struct stw_response_context *context)
{
	if (context->decision.kind == DECISION_RELAY)
		build_relay(context);
	else if (context->decision.cause == &stw_cause_downstream_unavailable)
		build_unavailable(context);
	else if (context->decision.cause == &stw_cause_name_not_found)
		context->lines = STW_STR("Warning: 399 strowger \"target name not found\"\r\n");
}

/* ---- recursion, §16.7 step 4 ------------------------ */

static struct stw_str without_headers(const struct stw_uri *uri)
{
	return stw_str_cut(uri->text, 0, stw_str_find(uri->text, '?', 0));
}

static unsigned contact_q(const struct stw_address *contact)
{
	struct stw_str value;
	unsigned q;

	if (!stw_param_find(contact->params, STW_STR("q"), &value) ||
		stw_qvalue_parse(value, &q) < 0)
		return 1000;
	return q;
}

/* Read when the first 3xx comes. What is wrong with them was refused before.
 * @return 0; -ENOMEM */
static int preferences_read(struct stw_response_context *context)
{
	if (context->preferences_known)
		return 0;
	if (stw_preferences_parse(context->request, &context->arena, &context->preferences) ==
		-ENOMEM)
		return -ENOMEM;
	context->preferences_known = true;
	return 0;
}

/* May it be tried? RFC 5630 §5.3: neither from sip to sips nor back. RFC 3841 §7.2.4: nor what the
 * caller does not want. */
static bool contact_read(const struct stw_response_context *context, const struct branch *branch,
	struct stw_str value, struct stw_address *ret)
{
	struct stw_uri from;
	unsigned score;

	if (stw_address_parse(value, ret) < 0 || ret->wildcard ||
		stw_uri_parse(branch->target.uri, &from) < 0)
		return false;
	if (context->preferences &&
		!stw_preferences_match(context->preferences, ret->params, &score))
		return false;
	return ret->uri.scheme == from.scheme &&
	       (from.scheme == STW_SCHEME_SIP || from.scheme == STW_SCHEME_SIPS);
}

/* True when it is in the target set now. */
static bool contact_follow(struct stw_response_context *context, const struct branch *branch,
	struct stw_str value, unsigned best_q)
{
	/* Who is on this machine itself leads there as whoever calls from it. */
	struct stw_proxy_target target = { .q = branch->target.q,
		.loopback = branch->target.loopback };
	struct stw_address contact;

	if (!contact_read(context, branch, value, &contact))
		return false;
	/* With the branch's group and q the best one takes the place of the branch, others come
	 * behind it. */
	target.uri = without_headers(&contact.uri);
	if (best_q)
		target.q = target.q * contact_q(&contact) / best_q;
	return context_target_add(context, &target, branch->group) >= 0;
}

/* Of a response; each is compared with all targets. */
#define CONTACTS_MAX 64

/* §20.10: q compares the contacts of one response, and not those of other branches. */
static unsigned contacts_best_q(const struct stw_response_context *context,
	const struct branch *branch, const struct stw_msg *response)
{
	struct stw_values values = stw_msg_values(response, STW_HDR_CONTACT);
	struct stw_address contact;
	struct stw_str value;
	unsigned seen = 0, best = 0, q;

	while (seen++ < CONTACTS_MAX && stw_values_next(&values, &value)) {
		if (!contact_read(context, branch, value, &contact))
			continue;
		q = contact_q(&contact);
		best = q > best ? q : best;
	}
	return best;
}

/* Contacts are joined until a line is so long: neither many lines nor a long one shall be too much
 * for whoever reads them. */
#define CONTACT_LINE_BYTES 1000

/* The contacts that are left. @return how many were taken away */
static unsigned contacts_follow(struct stw_response_context *context, const struct branch *branch,
	const struct stw_msg *response, struct stw_writer *left)
{
	struct stw_values values = stw_msg_values(response, STW_HDR_CONTACT);
	unsigned seen = 0, taken = 0, best_q = contacts_best_q(context, branch, response);
	size_t line_at = 0;
	struct stw_str value;

	while (stw_values_next(&values, &value)) {
		if (seen++ < CONTACTS_MAX && contact_follow(context, branch, value, best_q)) {
			taken++;
			continue;
		}
		if (left->len && left->len - line_at + value.len < CONTACT_LINE_BYTES) {
			stw_write_text(left, ", ");
		} else {
			stw_write_text(left, left->len ? "\r\nContact: " : "Contact: ");
			line_at = left->len;
		}
		stw_write_str(left, value);
	}
	if (left->len)
		stw_write_text(left, "\r\n");
	return taken;
}

/* The response with these contacts in the place of its own. */
static int redirect_keep(
	const struct stw_msg *response, struct stw_str contacts, struct candidate *ret)
{
	const struct stw_field *field = stw_msg_find(response, STW_HDR_CONTACT);
	struct stw_edit edit;

	stw_edit_init(&edit, response);
	stw_edit_append_field(&edit, contacts);
	for (; field; field = stw_msg_find_next(response, field))
		stw_edit_remove_field(&edit, field);
	return edit_keep(&edit, &ret->block, &ret->msg);
}

int context_redirect(struct stw_response_context *context, const struct branch *branch,
	const struct stw_msg *response, struct candidate *ret)
{
	/* A value of one byte and its comma may become three; and the names of some lines. */
	size_t capacity = 2 * (size_t)response->len + 64;
	char *buffer = preferences_read(context) == 0 ? malloc(capacity) : NULL;
	struct stw_writer left;
	unsigned taken;
	int err;

	if (!buffer)
		return -ENOMEM;
	stw_writer_init(&left, buffer, capacity);
	taken = contacts_follow(context, branch, response, &left);
	if (!taken)
		err = stw_msg_keep(response, &ret->block, &ret->msg);
	else if (!left.len)
		err = -ENOENT;
	else
		err = redirect_keep(response, stw_writer_text(&left), ret);
	free(buffer);
	/* What cannot be cut down is passed on as it came. */
	return err < 0 && err != -ENOENT ? -ENOMEM : err;
}

/* §16.7 step 4 and §19.1.6: the number of a tel: URI at the host that was asked. */
bool context_add_sip_form(struct stw_response_context *context, const struct branch *branch)
{
	const struct stw_uri *asked = &context->request->uri;
	bool ipv6 = asked->host_kind == STW_HOST_IPV6;
	struct stw_proxy_target target = { .q = branch->target.q,
		.loopback = branch->target.loopback };
	char port[8] = "";
	struct stw_uri tried;

	if (!context->request->has_uri || asked->scheme != STW_SCHEME_SIP ||
		stw_uri_parse(branch->target.uri, &tried) < 0 || tried.scheme != STW_SCHEME_TEL)
		return false;
	if (asked->port)
		snprintf(port, sizeof(port), ":%u", (unsigned)asked->port);
	if (stw_arena_printf(&context->arena, &target.uri, "sip:%.*s%.*s@%s%.*s%s%s;user=phone",
		    STW_STR_ARG(tried.user), STW_STR_ARG(tried.params), ipv6 ? "[" : "",
		    STW_STR_ARG(asked->host), ipv6 ? "]" : "", port) < 0)
		return false;
	return context_target_add(context, &target, branch->group) > 0;
}
