/* SPDX-License-Identifier: Apache-2.0 */
#include "forward_support.h"

static struct proxy proxy;

static char *request_text(const char *uri, const char *route, const char *tags)
{
	static char text[8192];

	snprintf(text, sizeof(text),
		"BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP u1.example.com;branch=z9hG4bKu1\r\n%s%s"
		"Call-ID: c1\r\nCSeq: 2 BYE\r\n\r\n",
		uri, route, tags);
	return text;
}

#define INITIAL "From: <sip:a@x.com>;tag=a\r\nTo: <sip:b@y.com>\r\n"
#define CALLER  "From: <sip:a@x.com>;tag=a\r\nTo: <sip:b@y.com>;tag=b\r\n"
#define CALLEE  "From: <sip:b@y.com>;tag=b\r\nTo: <sip:a@x.com>;tag=a\r\n"
#define OTHERS  "From: <sip:b@y.com>;tag=e\r\nTo: <sip:a@x.com>;tag=f\r\n"

/* MARK stands for the mark of Call-ID c1 and From tag a, as the proxy wrote it. */
static const struct {
	const char *uri, *route, *tags;
	int err;
	const char *uri_text;
	unsigned own;
	const char *next; /* NULL: no Route is left */
	bool strict, in_dialog, forged;
} cases[] = {
	{ "sip:b@y.com", "", INITIAL, 0, "sip:b@y.com", 0, NULL, false, false, false },
	/* a preloaded Route without a mark */
	{ "sip:b@y.com", "Route: <sip:p1.example.com;lr>\r\n", INITIAL, 0, "sip:b@y.com", 1, NULL,
		false, false, false },
	{ "sip:b@y.com", "Route: <sip:192.0.2.1>\r\n", CALLER, 0, "sip:b@y.com", 1, NULL, false,
		false, false },
	{ "sip:b@y.com", "Route: \"Us, and\" <sip:P1.EXAMPLE.COM:5060;lr>;x=y, <sip:p2.com;lr>\r\n",
		INITIAL, 0, "sip:b@y.com", 1, "<sip:p2.com;lr>", false, false, false },
	/* other hosts, other ports, other schemes */
	{ "sip:b@y.com", "Route: <sip:p1.example.com:5070;lr>\r\n", INITIAL, 0, "sip:b@y.com", 0,
		"<sip:p1.example.com:5070;lr>", false, false, false },
	{ "sip:b@y.com", "Route: <tel:+1>\r\n", INITIAL, 0, "sip:b@y.com", 0, "<tel:+1>", false,
		false, false },
	/* a double Record-Route comes back as two values; a third stays */
	{ "sip:b@y.com",
		"Route: <sip:p1.example.com;lr;stw=MARK>,\r\n <sip:p1.example.com;lr;stw=MARK>\r\n",
		CALLER, 0, "sip:b@y.com", 2, NULL, false, true, false },
	{ "sip:b@y.com",
		"Route: <sip:p1.example.com;lr>\r\nRoute: "
		"<sip:192.0.2.1;lr>,<sip:192.0.2.1;lr;x>\r\n",
		CALLER, 0, "sip:b@y.com", 2, "<sip:192.0.2.1;lr;x>", false, false, false },
	/* the mark, from both sides; without a To tag there is no dialog */
	{ "sip:b@y.com", "Route: <sip:p1.example.com;lr;stw=MARK>\r\n", CALLER, 0, "sip:b@y.com", 1,
		NULL, false, true, false },
	{ "sip:b@y.com", "Route: <sip:p1.example.com;STW=MARK;LR>\r\n", CALLEE, 0, "sip:b@y.com", 1,
		NULL, false, true, false },
	{ "sip:b@y.com", "Route: <sip:p1.example.com;lr;stw=MARK>\r\n", INITIAL, 0, "sip:b@y.com",
		1, NULL, false, false, false },
	/* a wrong mark, no hexadecimal, the mark of another dialog, one right and one wrong */
	{ "sip:b@y.com", "Route: <sip:p1.example.com;lr;stw=0123456789abcdef>\r\n", CALLER, 0,
		"sip:b@y.com", 1, NULL, false, false, true },
	{ "sip:b@y.com", "Route: <sip:p1.example.com;lr;stw>\r\n", CALLER, 0, "sip:b@y.com", 1,
		NULL, false, false, true },
	{ "sip:b@y.com", "Route: <sip:p1.example.com;lr;stw=MARK>\r\n", OTHERS, 0, "sip:b@y.com", 1,
		NULL, false, false, true },
	{ "sip:b@y.com",
		"Route: <sip:p1.example.com;lr;stw=MARK>,<sip:p1.example.com;lr;stw=1>\r\n", CALLER,
		0, "sip:b@y.com", 2, NULL, false, false, true },
	/* a mark that is not on a URI of ours is none of our business */
	{ "sip:b@y.com", "Route: <sip:p2.com;lr;stw=1>\r\n", CALLER, 0, "sip:b@y.com", 0,
		"<sip:p2.com;lr;stw=1>", false, false, false },
	/* §16.4: from a strict router */
	{ "sip:p1.example.com;lr;stw=MARK", "Route: <sip:p0.com;lr>\r\nRoute: <sip:a@u1.com>\r\n",
		CALLEE, 0, "sip:a@u1.com", 0, "<sip:p0.com;lr>", true, true, false },
	{ "sip:p1.example.com;lr;stw=MARK",
		"Route: <sip:p1.example.com;lr;stw=MARK> , <sip:a@u1.com>\r\n", CALLEE, 0,
		"sip:a@u1.com", 1, NULL, true, true, false },
	{ "sip:p1.example.com;lr;stw=MARK", "Route: <sip:a@u1.com>\r\n", CALLEE, 0, "sip:a@u1.com",
		0, NULL, true, true, false },
	{ "sip:p1.example.com;lr;stw=MARK", "", CALLEE, 0, "sip:p1.example.com;lr;stw=MARK", 0,
		NULL, false, true, false },
	{ "sip:p1.example.com;lr;stw=0", "Route: <sip:a@u1.com>\r\n", CALLEE, 0,
		"sip:p1.example.com;lr;stw=0", 0, "<sip:a@u1.com>", false, false, true },
	{ "sip:p1.example.com;lr", "Route: <sip:a@u1.com>\r\n", CALLEE, 0, "sip:p1.example.com;lr",
		0, "<sip:a@u1.com>", false, false, false },
	{ "sip:p1.example.com;lr;stw=MARK", "Route: <sip:a@u1.com\r\n", CALLEE, -EBADMSG, NULL, 0,
		NULL, false, false, false },
	/* broken values: only the ones that decide matter */
	{ "sip:b@y.com", "Route: <sip:>\r\n", INITIAL, -EBADMSG, NULL, 0, NULL, false, false,
		false },
	{ "sip:b@y.com", "Route: *\r\n", INITIAL, -EBADMSG, NULL, 0, NULL, false, false, false },
	{ "sip:b@y.com", "Route: <sip:p1.example.com;lr>, <<\r\n", INITIAL, -EBADMSG, NULL, 0, NULL,
		false, false, false },
	{ "sip:b@y.com", "Route: <sip:p2.com;lr>, <<\r\n", INITIAL, 0, "sip:b@y.com", 0,
		"<sip:p2.com;lr>", false, false, false },
	{ "sip:b@y.com", "Route:\r\nRoute: ,\r\n", INITIAL, 0, "sip:b@y.com", 0, NULL, false, false,
		false },
	/* maddr of ours, of others */
	{ "sip:b@y.com;maddr=192.0.2.1", "", INITIAL, 0, "sip:b@y.com", 0, NULL, false, false,
		false },
	{ "sip:b@y.com:5060;transport=tcp;x=1;MADDR=192.0.2.1;lr", "", INITIAL, 0,
		"sip:b@y.com:5060;x=1;lr", 0, NULL, false, false, false },
	{ "sip:b@y.com;transport=udp;maddr=p1.example.com", "", INITIAL, 0,
		"sip:b@y.com;transport=udp", 0, NULL, false, false, false },
	{ "sip:b@y.com:5070;maddr=192.0.2.1", "", INITIAL, 0, "sip:b@y.com:5070;maddr=192.0.2.1", 0,
		NULL, false, false, false },
	{ "sip:b@y.com;maddr=192.0.2.9", "", INITIAL, 0, "sip:b@y.com;maddr=192.0.2.9", 0, NULL,
		false, false, false },
	{ "sip:b@y.com;maddr=Home.example", "", INITIAL, 0, "sip:b@y.com", 0, NULL, false, false,
		false },
	{ "sip:b@y.com:5060;maddr=home.example", "", INITIAL, 0, "sip:b@y.com:5060", 0, NULL, false,
		false, false },
	{ "sip:b@y.com:5070;maddr=home.example", "", INITIAL, 0,
		"sip:b@y.com:5070;maddr=home.example", 0, NULL, false, false, false },
	{ "sip:b@y.com;maddr=x.home.example", "", INITIAL, 0, "sip:b@y.com;maddr=x.home.example", 0,
		NULL, false, false, false },
	{ "sip:b@[2001:db8::1];maddr=192.0.2.1;x", "", INITIAL, 0, "sip:b@[2001:db8::1];x", 0, NULL,
		false, false, false },
	{ "tel:+1;maddr=192.0.2.1", "", INITIAL, 0, "tel:+1;maddr=192.0.2.1", 0, NULL, false, false,
		false },
};

/* `text` with MARK replaced. */
static void put_mark(const char *text, char *ret)
{
	struct stw_record_route_side side = { STW_TRANSPORT_UDP, STW_STR("p1.example.com") };
	static char mark[49];
	const char *at;

	if (!mark[0]) {
		struct message invite;
		struct stw_arena arena;
		struct stw_record_route ours;

		stw_arena_init(&arena, 4096);
		message_parse(&invite, request_text("sip:b@y.com", "", INITIAL));
		assert_int_equal(record_route(&proxy, &invite, &side, &side, &arena, &ours), 0);
		memcpy(mark, strstr(ours.lines.ptr, "stw=") + 4, sizeof(mark) - 1);
		message_done(&invite);
		stw_arena_done(&arena);
	}
	for (*ret = '\0'; (at = strstr(text, "MARK")); text = at + 4) {
		strncat(ret, text, (size_t)(at - text));
		strcat(ret, mark);
	}
	strcat(ret, text);
}

static void check_case(size_t i)
{
	char text[8192], uri[1024];
	struct stw_proxy_routing routing;
	struct message request;
	struct stw_arena arena;
	struct stw_uri parsed;
	int err;

	stw_arena_init(&arena, 4096);
	put_mark(request_text(cases[i].uri, cases[i].route, cases[i].tags), text);
	message_parse(&request, text);
	support_allocations();
	err = stw_proxy_preprocess(&proxy.options, &request.msg, &arena, &routing);
	/* Of a request nothing is copied, but for a URI that lost its maddr. */
	assert_in_range(support_allocations(), 0, strcasestr(text, "maddr") != NULL);
	if (err != cases[i].err)
		fail_msg("case %zu: %d", i, err);
	if (err == 0) {
		put_mark(cases[i].uri_text, uri);
		assert_str(routing.uri_text, uri);
		assert_int_equal(stw_uri_parse(routing.uri_text, &parsed), 0);
		assert_true(stw_uri_equal(&parsed, &routing.uri));
		if (routing.own_routes != cases[i].own ||
			routing.strict_restored != cases[i].strict ||
			routing.in_dialog != cases[i].in_dialog ||
			routing.forged != cases[i].forged)
			fail_msg("case %zu: own %u strict %d in_dialog %d forged %d", i,
				routing.own_routes, routing.strict_restored, routing.in_dialog,
				routing.forged);
		assert_int_equal(routing.has_route, cases[i].next != NULL);
		if (cases[i].next)
			assert_str(routing.next_route, cases[i].next);
	}
	message_done(&request);
	stw_arena_done(&arena);
}

static void each_case(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++)
		check_case(i);
}

/* Without memory a URI with our maddr stays as it is. */
static void without_memory(void **state)
{
	struct stw_proxy_routing routing;
	struct message request;
	struct stw_arena arena;

	message_parse(&request, request_text("sip:b@y.com;maddr=192.0.2.1", "", INITIAL));
	for (size_t limit = 0; limit < 64; limit += 32) {
		stw_arena_init(&arena, limit);
		assert_int_equal(
			stw_proxy_preprocess(&proxy.options, &request.msg, &arena, &routing), 0);
		assert_str(routing.uri_text, limit ? "sip:b@y.com" : "sip:b@y.com;maddr=192.0.2.1");
		stw_arena_done(&arena);
	}
	message_done(&request);
}

/* After a restart with another key old marks are not ours. */
static void other_key(void **state)
{
	char text[8192];
	struct stw_proxy_routing routing;
	struct message request;
	struct proxy other = proxy;

	other.options.key.k0++;
	put_mark(request_text("sip:b@y.com", "Route: <sip:p1.example.com;lr;stw=MARK>\r\n", CALLER),
		text);
	message_parse(&request, text);
	assert_int_equal(stw_proxy_preprocess(&other.options, &request.msg, NULL, &routing), 0);
	assert_true(routing.forged);
	assert_false(routing.in_dialog);
	message_done(&request);
}

/* `hop`: where the token of the Route leads; NULL: it is a forgery. */
static void check_flow(const char *route, const struct stw_hop *hop)
{
	struct stw_proxy_routing routing;
	struct message request;
	struct stw_hop got;

	message_parse(&request, request_text("sip:b@y.com", route, INITIAL));
	assert_int_equal(stw_proxy_preprocess(&proxy.options, &request.msg, NULL, &routing), 0);
	assert_int_equal(routing.forged, !hop);
	assert_int_equal(stw_proxy_flow(&routing, &got), hop != NULL);
	if (hop) {
		assert_int_equal(got.transport, hop->transport);
		assert_int_equal(got.listener, hop->listener);
		assert_true(stw_addr_equal(&got.remote, &hop->remote));
		assert_true(stw_addr_same_ip(&got.local, &hop->local));
	}
	message_done(&request);
}

/* What a flow token says comes back as it was; one changed character makes it a forgery. */
static void flow_tokens(void **state)
{
	const struct stw_record_route_side side = { STW_TRANSPORT_UDP, STW_STR("p1.example.com") };
	static const char *const hosts[] = { "203.0.113.7", "2001:db8::7" };

	for (size_t i = 0; i < STW_ARRAY_SIZE(hosts); i++) {
		struct stw_hop hop = { .transport = STW_TRANSPORT_TCP, .listener = 3 };
		struct stw_arena arena;
		struct stw_str line;
		char route[512], *at;

		assert_int_equal(stw_addr_from_host(stw_str_from(hosts[i]), 40001, &hop.remote), 0);
		assert_int_equal(stw_addr_from_host(stw_str_from(hosts[i]), 0, &hop.local), 0);
		stw_arena_init(&arena, 4096);
		assert_int_equal(
			stw_path_write(&proxy.options, &hop, &side, false, &arena, &line), 0);
		snprintf(route, sizeof(route), "Route: %.*s", (int)line.len - 6, line.ptr + 6);
		check_flow(route, &hop);
		for (at = strstr(route, "stw-flow=") + 9; *at != '>'; at++) {
			char kept = *at;

			*at = kept == '0' ? '1' : '0';
			check_flow(route, NULL);
			*at = kept;
		}
		stw_arena_done(&arena);
	}
}

static int setup(void **state)
{
	static const struct stw_str domain = { "home.example", 12 };

	proxy_init(&proxy, "p1.example.com", "192.0.2.1");
	proxy.options.domains = &domain;
	proxy.options.domain_count = 1;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_case),
		cmocka_unit_test(without_memory),
		cmocka_unit_test(other_key),
		cmocka_unit_test(flow_tokens),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
