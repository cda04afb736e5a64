/* SPDX-License-Identifier: Apache-2.0 */
#include "forward_support.h"

static struct proxy proxy;

struct made {
	char branch[STW_BRANCH_MAX + 1], stateless[STW_BRANCH_MAX + 1];
};

static const char *loop_part(const struct made *made)
{
	return strchr(made->branch, '.') + 1;
}

static struct made make(const char *start, const char *via, const char *lines, uint64_t seed)
{
	struct stw_proxy_routing routing;
	struct stw_random random;
	struct message request;
	struct made made = { 0 };
	char text[2048], buffer[STW_BRANCH_MAX];
	struct stw_str branch;

	snprintf(text, sizeof(text), "%s SIP/2.0\r\nVia: %s\r\n%s\r\n", start, via, lines);
	message_parse(&request, text);
	assert_int_equal(stw_proxy_preprocess(&proxy.options, &request.msg, NULL, &routing), 0);
	stw_random_seed(&random, seed);
	branch = stw_proxy_branch(&proxy.options, &request.msg, &routing, &random, buffer);
	assert_in_range(branch.len, 1, STW_BRANCH_MAX);
	assert_true(stw_is_token(branch));
	memcpy(made.branch, branch.ptr, branch.len);
	branch = stw_proxy_stateless_branch(&proxy.options, &request.msg, buffer);
	assert_in_range(branch.len, 1, STW_BRANCH_MAX);
	assert_true(stw_is_token(branch));
	memcpy(made.stateless, branch.ptr, branch.len);
	message_done(&request);
	return made;
}

#define IDS(cseq)                                                                                  \
	"From: <sip:a@x.com>;tag=a\r\nTo: <sip:b@y.com>\r\nCall-ID: c1\r\nCSeq: " cseq "\r\n"
#define VIA "SIP/2.0/UDP u1.com;branch=z9hG4bKu1"

static void two_parts(void **state)
{
	struct made a = make("INVITE sip:b@y.com", VIA, IDS("1 INVITE"), 1);
	struct made again = make("INVITE sip:b@y.com", VIA, IDS("1 INVITE"), 2);
	struct made via = make("INVITE sip:b@y.com", "SIP/2.0/UDP u2.com", IDS("1 INVITE"), 1);
	struct made cancel = make("CANCEL sip:b@y.com", VIA, IDS("1 CANCEL"), 1);
	struct made ack = make("ACK sip:b@y.com", VIA, IDS("1 ACK"), 1);
	struct made uri = make("INVITE sip:c@y.com", VIA, IDS("1 INVITE"), 1);
	struct made next = make("INVITE sip:b@y.com", VIA, IDS("2 INVITE"), 1);
	struct made route =
		make("INVITE sip:b@y.com", VIA, "Route: <sip:p2.com;lr>\r\n" IDS("1 INVITE"), 1);
	struct made ours = make(
		"INVITE sip:b@y.com", VIA, "Route: <sip:p1.example.com;lr>\r\n" IDS("1 INVITE"), 1);

	assert_int_equal(strlen(a.branch), 40);
	assert_memory_equal(a.branch, "z9hG4bK", 7);
	/* unique in the first part, the same in the second */
	assert_memory_not_equal(a.branch, again.branch, 23);
	assert_string_equal(loop_part(&a), loop_part(&again));
	/* RFC 5393 §4.2.1: not the method, not the topmost Via */
	assert_string_equal(loop_part(&a), loop_part(&via));
	assert_string_equal(loop_part(&a), loop_part(&cancel));
	assert_string_equal(loop_part(&a), loop_part(&ack));
	assert_string_equal(loop_part(&a), loop_part(&ours));
	/* but what decides the way */
	assert_string_not_equal(loop_part(&a), loop_part(&uri));
	assert_string_not_equal(loop_part(&a), loop_part(&route));
	assert_string_not_equal(loop_part(&a), loop_part(&next));
}

static void loop_hash_read(void **state)
{
	static const char *const others[] = { "", "z9hG4bK", "z9hG4bK1",
		"z9hG4bK0123456789abcdef.0123456789abcde",
		"z9hG4bK0123456789abcdef.0123456789abcdeg",
		"x9hG4bK0123456789abcdef.0123456789abcdef" };
	struct made made = make("INVITE sip:b@y.com", VIA, IDS("1 INVITE"), 1);
	struct stw_proxy_routing routing;
	struct message request;
	uint64_t hash = 0;

	message_parse(
		&request, "INVITE sip:b@y.com SIP/2.0\r\nVia: " VIA "\r\n" IDS("1 INVITE") "\r\n");
	assert_int_equal(stw_proxy_preprocess(&proxy.options, &request.msg, NULL, &routing), 0);
	assert_true(stw_proxy_branch_loop_hash(stw_str_from(made.branch), &hash));
	assert_int_equal(hash, stw_proxy_loop_hash(&proxy.options, &request.msg, &routing));
	message_done(&request);
	assert_true(stw_proxy_branch_loop_hash(
		STW_STR("z9hG4bK0123456789abcdef.fedcBA9876543210"), &hash));
	assert_int_equal(hash, UINT64_C(0xfedcba9876543210));
	for (size_t i = 0; i < STW_ARRAY_SIZE(others); i++)
		assert_false(stw_proxy_branch_loop_hash(stw_str_from(others[i]), &hash));
}

/* §16.11: the same for each retransmission, and for CANCEL and ACK of the transaction. */
static void stateless(void **state)
{
	struct made a = make("INVITE sip:b@y.com", VIA, IDS("1 INVITE"), 1);
	struct made again = make("INVITE sip:b@y.com", VIA ";rport", IDS("1 INVITE"), 2);
	struct made cancel = make("CANCEL sip:b@y.com", VIA, IDS("1 CANCEL"), 3);
	struct made other = make(
		"INVITE sip:b@y.com", "SIP/2.0/UDP u1.com;branch=z9hG4bKu2", IDS("1 INVITE"), 1);
	struct made sender = make(
		"INVITE sip:b@y.com", "SIP/2.0/UDP u2.com;branch=z9hG4bKu1", IDS("1 INVITE"), 1);

	assert_string_equal(a.stateless, again.stateless);
	assert_string_equal(a.stateless, cancel.stateless);
	assert_string_not_equal(a.stateless, other.stateless);
	assert_string_not_equal(a.stateless, sender.stateless);
	assert_memory_equal(a.stateless, "z9hG4bK", 7);
	assert_null(strchr(a.stateless, '.'));
}

/* RFC 2543: no cookie, so all that tells transactions apart. */
static void stateless_without_cookie(void **state)
{
	static const struct {
		const char *start, *via, *lines;
	} differ[] = {
		{ "INVITE sip:b@y.com", "SIP/2.0/UDP u1.com", IDS("1 INVITE") },
		{ "INVITE sip:c@y.com", "SIP/2.0/UDP u1.com", IDS("1 INVITE") },
		{ "INVITE sip:b@y.com", "SIP/2.0/UDP u2.com", IDS("1 INVITE") },
		{ "INVITE sip:b@y.com", "SIP/2.0/UDP u1.com;branch=1", IDS("1 INVITE") },
		{ "INVITE sip:b@y.com", "SIP/2.0/UDP u1.com", IDS("2 INVITE") },
		{ "INVITE sip:b@y.com", "SIP/2.0/UDP u1.com",
			"From: <sip:a@x.com>;tag=c\r\nTo: <sip:b@y.com>\r\nCall-ID: c1\r\nCSeq: 1 "
			"INVITE\r\n" },
		{ "INVITE sip:b@y.com", "SIP/2.0/UDP u1.com",
			"From: <sip:a@x.com>;tag=a\r\nTo: <sip:b@y.com>;tag=b\r\nCall-ID: "
			"c1\r\nCSeq: 1 INVITE\r\n" },
		{ "INVITE sip:b@y.com", "SIP/2.0/UDP u1.com",
			"From: <sip:a@x.com>;tag=a\r\nTo: <sip:b@y.com>\r\nCall-ID: c2\r\nCSeq: 1 "
			"INVITE\r\n" },
	};
	struct made made[STW_ARRAY_SIZE(differ)];
	struct made cancel = make("CANCEL sip:b@y.com", "SIP/2.0/UDP u1.com", IDS("1 CANCEL"), 9);

	for (size_t i = 0; i < STW_ARRAY_SIZE(differ); i++) {
		made[i] = make(differ[i].start, differ[i].via, differ[i].lines, i);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(made[i].stateless, made[j].stateless);
	}
	assert_string_equal(made[0].stateless, cancel.stateless);
}

static int setup(void **state)
{
	proxy_init(&proxy, "p1.example.com", "192.0.2.1");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_parts),
		cmocka_unit_test(loop_hash_read),
		cmocka_unit_test(stateless),
		cmocka_unit_test(stateless_without_cookie),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
