/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <string.h>

/* z9hG4bK, unique part, ".", loop hash. */
#define UNIQUE_LEN PROXY_UNIQUE_LEN
static const char cookie[] = "z9hG4bK";
#define COOKIE_LEN (sizeof(cookie) - 1)
#define LOOP_AT    (COOKIE_LEN + UNIQUE_LEN + 1)

struct stw_str proxy_branch_unique_part(struct stw_str branch)
{
	return stw_str_cut(branch, COOKIE_LEN, COOKIE_LEN + UNIQUE_LEN);
}

static const char worker_marks[] = STW_WORKER_MARKS;

bool stw_proxy_branch_worker(struct stw_str branch, unsigned *ret)
{
	const char *at;

	if (branch.len != LOOP_AT + PROXY_HASH_TEXT || branch.ptr[LOOP_AT - 1] != '.' ||
		!branch.ptr[COOKIE_LEN])
		return false;
	at = strchr(worker_marks, branch.ptr[COOKIE_LEN]);
	if (at)
		*ret = (unsigned)(at - worker_marks);
	return at != NULL;
}

/* The Route values that remain: without ours, and without the one that became the Request-URI. */
static void routes_mix(struct stw_hasher *mix, const struct stw_msg *request,
	const struct stw_proxy_routing *routing)
{
	struct stw_values values = stw_msg_values(request, STW_HDR_ROUTE);
	struct stw_str value, next;
	bool more = stw_values_next(&values, &value);

	for (unsigned i = 0; more; i++) {
		more = stw_values_next(&values, &next);
		if (i >= routing->own_routes && (more || !routing->strict_restored))
			stw_hasher_text(mix, value);
		value = next;
	}
}

/*
 * RFC 5393 §4.2.1: all that decides where the request goes, and nothing that changes on a round
 * through a loop (the topmost Via of RFC 3261 does). Call-ID and CSeq number are there so that an
 * unlucky collision does not repeat (§4.2.4). The method is not: ACK and CANCEL have the branch of
 * their INVITE.
 */
uint64_t stw_proxy_loop_hash(const struct stw_proxy_options *options, const struct stw_msg *request,
	const struct stw_proxy_routing *routing)
{
	struct stw_hasher mix = proxy_mix_begin(options->key, PROXY_MIX_LOOP);

	stw_hasher_text(&mix, request->call_id);
	stw_hasher_number(&mix, request->cseq.number);
	stw_hasher_text(&mix, request->from.tag);
	stw_hasher_text(&mix, routing->uri_text);
	stw_hasher_number(&mix, routing->in_dialog);
	routes_mix(&mix, request, routing);
	return stw_hasher_value(&mix);
}

bool proxy_branch_loop_part(struct stw_str branch, struct stw_str *ret)
{
	if (branch.len != LOOP_AT + PROXY_HASH_TEXT || branch.ptr[LOOP_AT - 1] != '.' ||
		!stw_str_starts(branch, STW_STR("z9hG4bK")))
		return false;
	*ret = stw_str_cut(branch, LOOP_AT, branch.len);
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool stw_proxy_branch_loop_hash(struct stw_str branch, uint64_t *ret)
{
	struct stw_str part;
	uint64_t hash = 0;

	if (!proxy_branch_loop_part(branch, &part))
		return false;
	for (size_t i = 0; i < part.len; i++) {
		int digit = hex_digit(part.ptr[i]);

		if (digit < 0)
			return false;
		hash = hash << 4 | (uint64_t)digit;
	}
	*ret = hash;
	return true;
}

static void branch_begin(struct stw_writer *writer, const struct stw_proxy_options *options,
	struct stw_random *random)
{
	char unique[UNIQUE_LEN];

	stw_random_token(random, unique, sizeof(unique));
	if (options->marks_worker)
		unique[0] = worker_marks[options->worker % 64];
	stw_write_text(writer, cookie);
	stw_write_str(writer, (struct stw_str){ unique, sizeof(unique) });
	stw_write_char(writer, '.');
}

struct stw_str stw_proxy_branch(const struct stw_proxy_options *options,
	const struct stw_msg *request, const struct stw_proxy_routing *routing,
	struct stw_random *random, char buffer[STW_BRANCH_MAX])
{
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, STW_BRANCH_MAX);
	branch_begin(&writer, options, random);
	proxy_write_hash(&writer, stw_proxy_loop_hash(options, request, routing));
	return stw_writer_text(&writer);
}

/* Random where others have the hash: a request of ours that comes back to us is no loop. */
struct stw_str stw_proxy_own_branch(const struct stw_proxy_options *options,
	struct stw_random *random, char buffer[STW_BRANCH_MAX])
{
	uint64_t noise = stw_random_next(random);
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, STW_BRANCH_MAX);
	branch_begin(&writer, options, random);
	proxy_write_hash(&writer, noise);
	return stw_writer_text(&writer);
}

/* §16.11: the cookie promises that the sender's branch is unique; RFC 2543 promised nothing. */
struct stw_str stw_proxy_stateless_branch(const struct stw_proxy_options *options,
	const struct stw_msg *request, char buffer[STW_BRANCH_MAX])
{
	struct stw_hasher mix = proxy_mix_begin(options->key, PROXY_MIX_STATELESS);
	const struct stw_via *via = &request->via;
	struct stw_writer writer;

	if (stw_str_equal_nocase(stw_str_cut(via->branch, 0, COOKIE_LEN), stw_str_from(cookie))) {
		stw_hasher_text(&mix, via->sent_by);
		stw_hasher_text(&mix, via->branch);
	} else {
		stw_hasher_text(&mix, via->text);
		stw_hasher_text(&mix, request->to.tag);
		stw_hasher_text(&mix, request->from.tag);
		stw_hasher_text(&mix, request->call_id);
		stw_hasher_number(&mix, request->cseq.number);
		stw_hasher_text(&mix, stw_msg_text(request, request->uri_at, request->uri_len));
	}
	stw_writer_init(&writer, buffer, STW_BRANCH_MAX);
	stw_write_text(&writer, cookie);
	proxy_write_hash(&writer, stw_hasher_value(&mix));
	return stw_writer_text(&writer);
}
