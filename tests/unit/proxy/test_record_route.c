/* SPDX-License-Identifier: Apache-2.0 */
#include "forward_support.h"

static struct proxy proxy;

static const struct {
	const char *uri;
	struct stw_record_route_side in, out;
	const char *expected; /* # stands for the mark */
} cases[] = {
	{ "sip:b@y.com", { STW_TRANSPORT_UDP, { "p1.com:5060", sizeof("p1.com:5060") - 1 } },
		{ STW_TRANSPORT_UDP, { "p1.com:5060", sizeof("p1.com:5060") - 1 } },
		"Record-Route: <sip:p1.com:5060;lr;stw=#>\r\n" },
	{ "sip:b@y.com", { STW_TRANSPORT_TCP, { "p1.com:5060", sizeof("p1.com:5060") - 1 } },
		{ STW_TRANSPORT_TCP, { "p1.com:5060", sizeof("p1.com:5060") - 1 } },
		"Record-Route: <sip:p1.com:5060;transport=tcp;lr;stw=#>\r\n" },
	/* RFC 5658 §4 and §6.2: the side of the callee on top */
	{ "sip:b@y.com",
		{ STW_TRANSPORT_UDP, { "192.0.2.254:5060", sizeof("192.0.2.254:5060") - 1 } },
		{ STW_TRANSPORT_UDP, { "[2001:db8::1]:5060", sizeof("[2001:db8::1]:5060") - 1 } },
		"Record-Route: <sip:[2001:db8::1]:5060;lr;stw=#>\r\n"
		"Record-Route: <sip:192.0.2.254:5060;lr;stw=#>\r\n" },
	{ "sip:b@y.com", { STW_TRANSPORT_UDP, { "192.0.2.1:5060", sizeof("192.0.2.1:5060") - 1 } },
		{ STW_TRANSPORT_TCP, { "192.0.2.1:5062", sizeof("192.0.2.1:5062") - 1 } },
		"Record-Route: <sip:192.0.2.1:5062;transport=tcp;lr;stw=#>\r\n"
		"Record-Route: <sip:192.0.2.1:5060;lr;stw=#>\r\n" },
	/* two networks, one transport */
	{ "sip:b@y.com", { STW_TRANSPORT_UDP, { "10.0.0.1:5060", sizeof("10.0.0.1:5060") - 1 } },
		{ STW_TRANSPORT_UDP, { "192.0.2.1:5060", sizeof("192.0.2.1:5060") - 1 } },
		"Record-Route: <sip:192.0.2.1:5060;lr;stw=#>\r\n"
		"Record-Route: <sip:10.0.0.1:5060;lr;stw=#>\r\n" },
	{ "sip:b@y.com", { STW_TRANSPORT_WS, { "p1.com:80", sizeof("p1.com:80") - 1 } },
		{ STW_TRANSPORT_UDP, { "p1.com:5060", sizeof("p1.com:5060") - 1 } },
		"Record-Route: <sip:p1.com:5060;lr;stw=#>\r\n"
		"Record-Route: <sip:p1.com:80;transport=ws;lr;stw=#>\r\n" },
	{ "sip:b@y.com", { STW_TRANSPORT_TLS, { "p1.com:5061", sizeof("p1.com:5061") - 1 } },
		{ STW_TRANSPORT_UDP, { "p1.com:5060", sizeof("p1.com:5060") - 1 } },
		"Record-Route: <sip:p1.com:5060;lr;stw=#>\r\n"
		"Record-Route: <sips:p1.com:5061;lr;stw=#>\r\n" },
	/* §16.6 step 4: sips stays sips */
	{ "sips:b@y.com", { STW_TRANSPORT_WSS, { "p1.com:443", sizeof("p1.com:443") - 1 } },
		{ STW_TRANSPORT_TLS, { "p1.com:5061", sizeof("p1.com:5061") - 1 } },
		"Record-Route: <sips:p1.com:5061;lr;stw=#>\r\n"
		"Record-Route: <sips:p1.com:443;transport=ws;lr;stw=#>\r\n" },
};

static void request_parse(struct message *request, const char *uri, const char *tag)
{
	char text[1024];

	snprintf(text, sizeof(text),
		"INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP u1.example.com;branch=z9hG4bKu1\r\n"
		"From: <sip:a@x.com>%s\r\nTo: <sip:b@y.com>\r\nCall-ID: c1\r\nCSeq: 1 "
		"INVITE\r\n\r\n",
		uri, tag);
	message_parse(request, text);
}

static void assert_lines(struct stw_str lines, const char *expected)
{
	size_t at = 0;

	for (; *expected; expected++) {
		if (*expected != '#') {
			assert_true(at < lines.len);
			assert_int_equal(lines.ptr[at++], *expected);
			continue;
		}
		for (unsigned i = 0; i < 48; i++, at++) {
			assert_true(at < lines.len);
			assert_non_null(strchr("0123456789abcdef", lines.ptr[at]));
		}
	}
	assert_int_equal(at, lines.len);
}

static void exact_lines(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct message request;
		struct stw_arena arena;
		struct stw_record_route ours;

		stw_arena_init(&arena, 4096);
		request_parse(&request, cases[i].uri, ";tag=a");
		assert_int_equal(
			record_route(&proxy, &request, &cases[i].in, &cases[i].out, &arena, &ours),
			0);
		assert_lines(ours.lines, cases[i].expected);
		message_done(&request);
		stw_arena_done(&arena);
	}
}

/* The mark is of the dialog: it varies with the tag, and is the same each time. */
static void marks_differ(void **state)
{
	static const char *const tags[] = { "", ";tag=a", ";tag=b", ";tag=ab" };
	char text[STW_ARRAY_SIZE(tags)][200];

	for (size_t i = 0; i < STW_ARRAY_SIZE(tags); i++) {
		struct message request;
		struct stw_arena arena;
		struct stw_record_route ours, again;

		stw_arena_init(&arena, 4096);
		request_parse(&request, "sip:b@y.com", tags[i]);
		record_route(&proxy, &request, &cases[0].in, &cases[0].out, &arena, &ours);
		record_route(&proxy, &request, &cases[0].in, &cases[0].out, &arena, &again);
		assert_true(stw_str_equal(ours.lines, again.lines));
		snprintf(text[i], sizeof(text[i]), "%.*s", STW_STR_ARG(ours.lines));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(text[i], text[j]);
		message_done(&request);
		stw_arena_done(&arena);
	}
}

static void limits(void **state)
{
	struct stw_record_route_side side = cases[0].in;
	struct stw_record_route ours = {
		.lines = STW_STR("unset"), .mark = 1, .secret = "2", .proof = "3"
	};
	struct message request;
	struct stw_arena arena;
	char host[2000];

	memset(host, 'h', sizeof(host));
	stw_arena_init(&arena, 4096);
	request_parse(&request, "sip:b@y.com", ";tag=a");
	support_fail_allocation(1);
	assert_int_equal(record_route(&proxy, &request, &side, &side, &arena, &ours), -ENOMEM);
	support_fail_allocation(0);
	side.sent_by = (struct stw_str){ host, sizeof(host) };
	assert_int_equal(record_route(&proxy, &request, &side, &side, &arena, &ours), -ENOBUFS);
	assert_str(ours.lines, "unset");
	assert_true(ours.mark == 1 && ours.secret[0] == '2' && ours.proof[0] == '3');
	message_done(&request);
	stw_arena_done(&arena);
}

static int setup(void **state)
{
	proxy_init(&proxy, "p1.example.com", "192.0.2.1");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_lines),
		cmocka_unit_test(marks_differ),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
