/* SPDX-License-Identifier: Apache-2.0 */
/* Route information preprocessing, RFC 3261 §16.4. */
#include "internal.h"

#include <errno.h>
#include <limits.h>

/* A double Record-Route (RFC 5658 §4) comes back as two Route values of ours. */
#define OWN_ROUTES_MAX 2

struct preprocess {
	const struct stw_proxy_options *options;
	const struct stw_msg *request;
	bool verified;                           /* a mark of ours is right … */
	bool forged;                             /* … or wrong */
	uint64_t mark;                           /* the one that is right */
	bool by_callee;                          /* the tag in it is that of To */
	struct stw_str hops[OWN_ROUTES_MAX + 1]; /* where it says that the dialog goes */
	unsigned hop_count;
	struct stw_str side; /* proves which side has sent it */
	struct stw_str flow; /* that the last of them leads to */
};

/* Who sends the request is the caller or the callee: the mark holds the caller's tag. */
static bool mark_verifies(struct preprocess *pre, struct stw_str mark)
{
	const struct stw_msg *request = pre->request;

	pre->by_callee = false;
	pre->mark = proxy_mark(pre->options, request, request->from.tag);
	if (proxy_hash_equals(mark, pre->mark))
		return true;
	if (!request->to.tag.ptr)
		return false;
	pre->by_callee = true;
	pre->mark = proxy_mark(pre->options, request, request->to.tag);
	return proxy_hash_equals(mark, pre->mark);
}

/* Where the request that made the dialog has come to us twice, its sides have two marks each, in
 * opposite order: the one counts that the first time has made. */
static void side_note(struct preprocess *pre, struct stw_str side, bool by_callee_before)
{
	if (!pre->side.len || pre->by_callee || by_callee_before)
		pre->side = side.len == PROXY_HASH_TEXT ? side : STW_STR_NONE;
}

/* A URI of ours was used: note what its mark says. */
static bool mark_note(struct preprocess *pre, const struct stw_uri *uri)
{
	bool by_callee_before = pre->by_callee;
	struct proxy_mark_parts parts;

	if (!proxy_mark_find(uri, &parts))
		return false;
	if (!mark_verifies(pre, parts.dialog)) {
		pre->forged = true;
		return false;
	}
	pre->verified = true;
	if (pre->hop_count < STW_ARRAY_SIZE(pre->hops))
		pre->hops[pre->hop_count++] = parts.hop;
	side_note(pre, parts.side, by_callee_before);
	return true;
}

/* RFC 5626 §5.3: it may lead to a phone. The last one counts: it is next to the side that is meant.
 */
static void flow_note(struct preprocess *pre, const struct stw_uri *uri)
{
	struct proxy_flow flow;

	if (!proxy_flow_find(pre->options, uri, &flow))
		return;
	if (flow.genuine)
		pre->flow = flow.place;
	else
		pre->forged = true;
}

static unsigned routes_count(const struct stw_msg *request)
{
	struct stw_values values = stw_msg_values(request, STW_HDR_ROUTE);
	struct stw_str value;
	unsigned n = 0;

	while (stw_values_next(&values, &value))
		n++;
	return n;
}

/* A strict router took our Record-Route value as Request-URI: the true one is the last Route value.
 */
static int uri_restore(struct stw_msg const *request, struct stw_proxy_routing *ret)
{
	struct stw_values values = stw_msg_values(request, STW_HDR_ROUTE);
	struct stw_address address;
	struct stw_str value, last = STW_STR_NONE;

	while (stw_values_next(&values, &value))
		last = value;
	if (stw_address_parse(last, &address) < 0 || address.wildcard)
		return -EBADMSG;
	ret->uri = address.uri;
	ret->uri_text = address.uri.text;
	ret->strict_restored = true;
	return 0;
}

/* maddr of ours: the request has arrived where it should, the rest says who is meant. */
static void uri_strip_maddr(
	const struct preprocess *pre, struct stw_arena *arena, struct stw_proxy_routing *ret)
{
	const unsigned set = PROXY_STRIP_MADDR | PROXY_STRIP_PORT | PROXY_STRIP_TRANSPORT;
	struct stw_writer writer;
	struct stw_str maddr;
	struct stw_uri uri;
	char *buffer;

	if ((ret->uri.scheme != STW_SCHEME_SIP && ret->uri.scheme != STW_SCHEME_SIPS) ||
		!stw_uri_param(&ret->uri, STW_STR("maddr"), &maddr) ||
		!proxy_owns_host(pre->options, maddr, ret->uri.port))
		return;
	buffer = stw_arena_bytes(arena, ret->uri.text.len);
	/* Without memory it stays as it is: forwarded by its maddr it meets the loop check. */
	if (!buffer)
		return;
	stw_writer_init(&writer, buffer, ret->uri.text.len);
	proxy_write_stripped(&writer, &ret->uri, set);
	if (writer.overflow || stw_uri_parse(stw_writer_text(&writer), &uri) < 0)
		return;
	ret->uri = uri;
	ret->uri_text = uri.text;
}

/* Take our values off the top; what comes next decides the next hop. Values behind it are not ours
 * to judge (§16.3 step 1). */
static int routes_remove_own(struct preprocess *pre, unsigned count, struct stw_proxy_routing *ret)
{
	struct stw_values values = stw_msg_values(pre->request, STW_HDR_ROUTE);
	struct stw_address address;
	struct stw_str value;

	for (unsigned i = 0; i < count && stw_values_next(&values, &value); i++) {
		if (stw_address_parse(value, &address) < 0 || address.wildcard)
			return -EBADMSG;
		if (i == OWN_ROUTES_MAX || !proxy_owns_uri(pre->options, &address.uri)) {
			ret->has_route = true;
			ret->next_route = value;
			return 0;
		}
		mark_note(pre, &address.uri);
		flow_note(pre, &address.uri);
		ret->own_routes++;
	}
	return 0;
}

/* To the Contact of the other side, or to the proxy on the way to it. */
static uint64_t hop_of(const struct preprocess *pre, const struct stw_proxy_routing *routing)
{
	struct proxy_sender sender = { pre->mark, pre->by_callee, &pre->request->from.uri };
	const struct stw_uri *uri = &routing->uri;
	struct stw_address address;

	if (routing->has_route) {
		if (stw_address_parse(routing->next_route, &address) < 0)
			return 0;
		uri = &address.uri;
	}
	return uri->host.len ? proxy_hop(pre->options, &sender, uri) : 0;
}

/* Does the request go where the mark says? */
static bool hop_verifies(const struct preprocess *pre, uint64_t hop)
{
	for (unsigned i = 0; hop && i < pre->hop_count; i++) {
		if (proxy_hash_equals(pre->hops[i], hop))
			return true;
	}
	return false;
}

/* What the callee proves by a secret, the caller has the proof of. The mark holds Call-ID and the
 * caller's tag. */
static uint64_t dialog_of(const struct preprocess *pre)
{
	struct stw_hasher mix = proxy_mix_begin(pre->options->key, PROXY_MIX_DIALOG);
	const struct stw_msg *request = pre->request;
	uint64_t proof = proxy_hash_read(pre->side);

	if (pre->by_callee)
		proof = proxy_proof(pre->options, pre->mark, proof);
	stw_hasher_number(&mix, pre->mark);
	stw_hasher_text(&mix, pre->by_callee ? request->from.tag : request->to.tag);
	stw_hasher_number(&mix, proof);
	return stw_hasher_value(&mix);
}

/* What is in the dialog mostly changes nothing of it and goes where it should. */
static void dialog_note(const struct preprocess *pre, struct stw_proxy_routing *ret)
{
	enum stw_method method = pre->request->method;

	ret->by_callee = pre->by_callee;
	ret->hop = hop_of(pre, ret);
	ret->hop_known = hop_verifies(pre, ret->hop);
	if (pre->side.len && (!ret->hop_known || method == STW_METHOD_INVITE ||
				     method == STW_METHOD_UPDATE || method == STW_METHOD_BYE))
		ret->dialog = dialog_of(pre);
}

int stw_proxy_preprocess(const struct stw_proxy_options *options, const struct stw_msg *request,
	struct stw_arena *arena, struct stw_proxy_routing *ret)
{
	struct preprocess pre = { .options = options, .request = request };
	unsigned count = UINT_MAX;
	int err = 0;

	*ret = (struct stw_proxy_routing){ .uri = request->uri, .uri_text = request->uri.text };
	if (proxy_owns_uri(options, &ret->uri) && mark_note(&pre, &ret->uri)) {
		flow_note(&pre, &ret->uri);
		count = routes_count(request);
		if (count > 0) {
			err = uri_restore(request, ret);
			count--;
		}
	}
	if (err == 0)
		err = routes_remove_own(&pre, count, ret);
	if (err < 0) {
		*ret = (struct stw_proxy_routing){ 0 };
		return err;
	}
	uri_strip_maddr(&pre, arena, ret);
	ret->forged = pre.forged;
	if (!pre.forged)
		ret->flow = pre.flow;
	ret->in_dialog = pre.verified && !pre.forged && request->to.tag.ptr;
	if (ret->in_dialog)
		dialog_note(&pre, ret);
	return 0;
}

bool stw_proxy_refresh_find(const struct stw_proxy_options *options, const struct stw_msg *request,
	const struct stw_proxy_routing *routing, const struct stw_msg *response,
	const struct stw_proxy_bar bars[2], struct stw_proxy_refresh *ret)
{
	struct proxy_sender requester = { .callee = routing->by_callee,
		.from = &request->from.uri },
			    answerer = { .callee = !routing->by_callee, .from = &request->to.uri };

	if (!routing->dialog || response->code / 100 != 2 ||
		(request->method != STW_METHOD_INVITE && request->method != STW_METHOD_UPDATE))
		return false;
	requester.mark = answerer.mark = proxy_mark(
		options, request, routing->by_callee ? request->to.tag : request->from.tag);
	*ret = (struct stw_proxy_refresh){ .routing = routing,
		.cseq = request->cseq.number,
		.requester = proxy_hop_said(options, &answerer, request, STW_STR_NONE, &bars[0]),
		.answerer = proxy_hop_said(options, &requester, response, STW_STR_NONE, &bars[1]) };
	return true;
}

void stw_proxy_routing_move(
	struct stw_proxy_routing *routing, const struct stw_msg *from, const struct stw_msg *to)
{
	stw_uri_move(&routing->uri, from, to);
	stw_str_move(&routing->uri_text, from, to);
	stw_str_move(&routing->next_route, from, to);
	stw_str_move(&routing->flow, from, to);
}
