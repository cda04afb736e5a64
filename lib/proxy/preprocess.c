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
	struct stw_str hops[OWN_ROUTES_MAX + 1]; /* where it says that the dialog goes */
	unsigned hop_count;
	struct stw_str flow; /* that the last of them leads to */
};

/* Who sends the request is the caller or the callee: the mark holds the caller's tag. */
static bool mark_verifies(struct preprocess *pre, struct stw_str mark)
{
	const struct stw_msg *request = pre->request;

	pre->mark = proxy_mark(pre->options, request, request->from.tag);
	if (proxy_hash_equals(mark, pre->mark))
		return true;
	if (!request->to.tag.ptr)
		return false;
	pre->mark = proxy_mark(pre->options, request, request->to.tag);
	return proxy_hash_equals(mark, pre->mark);
}

/* A URI of ours was used: note what its mark says. */
static bool mark_note(struct preprocess *pre, const struct stw_uri *uri)
{
	struct stw_str mark, hop;

	if (!proxy_mark_find(uri, &mark, &hop))
		return false;
	if (!mark_verifies(pre, mark)) {
		pre->forged = true;
		return false;
	}
	pre->verified = true;
	if (pre->hop_count < STW_ARRAY_SIZE(pre->hops))
		pre->hops[pre->hop_count++] = hop;
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

/* Does the request go where the mark says: to the Contact of the other side, or to the proxy on the
 * way to it. */
static bool hop_verifies(const struct preprocess *pre, const struct stw_proxy_routing *routing)
{
	struct stw_address address;
	const struct stw_uri *uri = &routing->uri;
	uint64_t hop;

	if (routing->has_route) {
		if (stw_address_parse(routing->next_route, &address) < 0)
			return false;
		uri = &address.uri;
	}
	if (!uri->host.len)
		return false;
	hop = proxy_hop(pre->options, pre->mark, uri);
	for (unsigned i = 0; i < pre->hop_count; i++) {
		if (proxy_hash_equals(pre->hops[i], hop))
			return true;
	}
	return false;
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
	ret->hop_known = ret->in_dialog && hop_verifies(&pre, ret);
	return 0;
}

void stw_proxy_routing_move(
	struct stw_proxy_routing *routing, const struct stw_msg *from, const struct stw_msg *to)
{
	stw_uri_move(&routing->uri, from, to);
	stw_str_move(&routing->uri_text, from, to);
	stw_str_move(&routing->next_route, from, to);
	stw_str_move(&routing->flow, from, to);
}
