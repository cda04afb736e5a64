/* SPDX-License-Identifier: Apache-2.0 */
#include "forward_support.h"

static struct proxy proxy;

static char *request_text(const char *method, const char *uri, const char *lines)
{
	static char text[4096];

	snprintf(text, sizeof(text),
		"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP u1.example.com;branch=z9hG4bKu1\r\n%s"
		"From: <sip:a@u1.example.com>;tag=a\r\nTo: <isbn:123>\r\nCall-ID: c1\r\n"
		"CSeq: 1 %s\r\n\r\n",
		method, uri, lines, method);
	return text;
}

static const struct {
	const char *method, *uri, *lines;
	const struct stw_cause *cause;
	const char *headers;
} cases[] = {
	{ "INVITE", "sip:b@example.com", "", NULL, "" },
	{ "INVITE", "sips:b@example.com", "", NULL, "" },
	{ "NEWMETHOD", "SIP:b@example.com", "Require: foo\r\n", NULL, "" },
	/* P2 */
	{ "INVITE", "tel:+15551234", "", &stw_cause_scheme_unsupported, "" },
	{ "OPTIONS", "nobodyKnowsThisScheme:totallyopaquecontent", "Max-Forwards: 0\r\n",
		&stw_cause_scheme_unsupported, "" },
	{ "INVITE", "urn:service:counseling", "", &stw_cause_scheme_unsupported, "" },
	{ "INVITE", "urn:service:sos.fire", "", NULL, "" },
	{ "INVITE", "urn:service:sosx", "", &stw_cause_scheme_unsupported, "" },
	/* P3 */
	{ "INVITE", "sip:b@example.com", "Max-Forwards: 1\r\n", NULL, "" },
	{ "INVITE", "sip:b@example.com", "Max-Forwards: 255\r\n", NULL, "" },
	{ "INVITE", "sip:b@example.com", "Max-Forwards: 256\r\n", NULL, "" },
	{ "INVITE", "sip:b@example.com", "Max-Forwards: 18446744073709551616\r\n", NULL, "" },
	{ "INVITE", "sip:b@example.com", "Max-Forwards: 0\r\n", &stw_cause_too_many_hops, "" },
	{ "INVITE", "sip:b@example.com", "Max-Forwards: 00\r\nProxy-Require: x\r\n",
		&stw_cause_too_many_hops, "" },
	{ "ACK", "sip:b@example.com", "Max-Forwards: 0\r\n", &stw_cause_too_many_hops, "" },
	{ "OPTIONS", "sip:b@example.com", "Max-Forwards: 0\r\n", &stw_cause_options_final, "" },
	/* P5 */
	{ "INVITE", "sip:b@example.com", "Proxy-Require: foo\r\n", &stw_cause_proxy_require,
		"Unsupported: foo\r\n" },
	{ "INVITE", "sip:b@example.com", "Proxy-Require: foo,\r\n bar\r\nproxy-require: baz\r\n",
		&stw_cause_proxy_require, "Unsupported: foo, bar, baz\r\n" },
	{ "INVITE", "sip:b@example.com", "Proxy-Require: ,,foo , ;bad;\r\n",
		&stw_cause_proxy_require, "Unsupported: foo\r\n" },
	{ "INVITE", "sip:b@example.com", "Proxy-Require: @@\r\n", &stw_cause_proxy_require, "" },
	{ "INVITE", "sip:b@example.com", "Proxy-Require:\r\n", NULL, "" },
	{ "INVITE", "sip:b@example.com", "Proxy-Require: pref, PATH\r\n", NULL, "" },
	{ "INVITE", "sip:b@example.com", "Proxy-Require: pref, foo\r\nProxy-Require: path\r\n",
		&stw_cause_proxy_require, "Unsupported: foo\r\n" },
	{ "INVITE", "sip:b@example.com", "Proxy-Require: prefs\r\n", &stw_cause_proxy_require,
		"Unsupported: prefs\r\n" },
	{ "INVITE", "sip:b@example.com", "Proxy-Require: resource-priority\r\n",
		&stw_cause_proxy_require, "Unsupported: resource-priority\r\n" },
	{ "CANCEL", "sip:b@example.com", "Proxy-Require: foo\r\n", NULL, "" },
	{ "ACK", "sip:b@example.com", "Proxy-Require: foo\r\n", NULL, "" },
};

static void each_row(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct stw_str headers = STW_STR("unset");
		struct message request;
		struct stw_arena arena;

		stw_arena_init(&arena, 4096);
		message_parse(
			&request, request_text(cases[i].method, cases[i].uri, cases[i].lines));
		if (stw_proxy_validate(&proxy.options, &request.msg, &arena, &headers) !=
			cases[i].cause)
			fail_msg("case %zu", i);
		assert_str(headers, cases[i].headers);
		message_done(&request);
		stw_arena_done(&arena);
	}
}

/* RFC 4412: where it is acted upon. */
static void priority_is_supported_where_it_counts(void **state)
{
	struct stw_proxy_options options = proxy.options;
	char buffer[STW_SUPPORTED_BYTES];
	struct stw_writer writer;
	struct stw_str headers;
	struct message request;
	struct stw_arena arena;

	options.priority = true;
	stw_arena_init(&arena, 4096);
	message_parse(&request, request_text("INVITE", "sip:b@example.com",
					"Proxy-Require: resource-priority\r\n"));
	assert_null(stw_proxy_validate(&options, &request.msg, &arena, &headers));
	message_done(&request);
	stw_arena_done(&arena);

	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_proxy_write_supported(&writer, false);
	assert_str(stw_writer_text(&writer), "Supported: path, pref\r\n");
	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_proxy_write_supported(&writer, true);
	assert_str(stw_writer_text(&writer), "Supported: path, pref, resource-priority\r\n");
	assert_false(writer.overflow);
}

static void without_memory_still_refused(void **state)
{
	struct stw_str headers = STW_STR("unset");
	struct message request;
	struct stw_arena arena;

	stw_arena_init(&arena, 4096);
	message_parse(
		&request, request_text("INVITE", "sip:b@example.com", "Proxy-Require: foo\r\n"));
	support_fail_allocation(1);
	assert_ptr_equal(stw_proxy_validate(&proxy.options, &request.msg, &arena, &headers),
		&stw_cause_proxy_require);
	support_fail_allocation(0);
	assert_int_equal(headers.len, 0);
	message_done(&request);
	stw_arena_done(&arena);
}

/* ---- P4, RFC 5393 §4 ------------------------------------------------------------------- */

static const struct stw_cause *judge(const char *text)
{
	struct stw_str headers;
	const struct stw_cause *cause;
	struct message request;
	struct stw_arena arena;

	stw_arena_init(&arena, 4096);
	message_parse(&request, text);
	cause = stw_proxy_validate(&proxy.options, &request.msg, &arena, &headers);
	message_done(&request);
	stw_arena_done(&arena);
	return cause;
}

/* Via value that we put into a request with this text. */
static void our_via(const char *text, uint64_t seed, char *ret, size_t size)
{
	struct stw_proxy_routing routing;
	struct stw_random random;
	struct message request;
	char buffer[STW_BRANCH_MAX];
	struct stw_str branch;

	message_parse(&request, text);
	stw_random_seed(&random, seed);
	assert_int_equal(stw_proxy_preprocess(&proxy.options, &request.msg, NULL, &routing), 0);
	branch = stw_proxy_branch(&proxy.options, &request.msg, &routing, &random, buffer);
	snprintf(ret, size, "SIP/2.0/UDP p1.example.com;branch=%.*s", STW_STR_ARG(branch));
	message_done(&request);
}

static char *with_vias(const char *uri, const char *method, const char *vias, const char *lines)
{
	static char text[8192];

	snprintf(text, sizeof(text),
		"%s %s SIP/2.0\r\n%sVia: SIP/2.0/UDP u1.example.com;branch=z9hG4bKu1\r\n%s"
		"From: <sip:a@u1.example.com>;tag=a\r\nTo: <sip:b@domain.com>\r\nCall-ID: c1\r\n"
		"CSeq: 7 %s\r\n\r\n",
		method, uri, vias, lines, method);
	return text;
}

#define LOOP_URI "sip:a@p1.example.com"

static void loops_and_spirals(void **state)
{
	char via[200], vias[1000];

	our_via(with_vias(LOOP_URI, "INVITE", "", ""), 1, via, sizeof(via));
	assert_null(judge(with_vias(LOOP_URI, "INVITE", "", "")));

	snprintf(vias, sizeof(vias),
		"Via: SIP/2.0/UDP x.example.com;branch=z9hG4bKx\r\nVia: %s\r\n", via);
	assert_ptr_equal(judge(with_vias(LOOP_URI, "INVITE", vias, "")), &stw_cause_loop);
	/* the method is no part of it */
	assert_ptr_equal(judge(with_vias(LOOP_URI, "OPTIONS", vias, "")), &stw_cause_loop);
	/* another Request-URI, or another Route: a spiral */
	assert_null(judge(with_vias("sip:b@p1.example.com", "INVITE", vias, "")));
	assert_null(judge(with_vias(LOOP_URI, "INVITE", vias, "Route: <sip:p9.com;lr>\r\n")));
	/* a Route of ours that is only removed changes nothing */
	assert_ptr_equal(
		judge(with_vias(LOOP_URI, "INVITE", vias, "Route: <sip:p1.example.com;lr>\r\n")),
		&stw_cause_loop);

	/* our Via may stand in a list, folded, with foreign ones that nobody can read */
	snprintf(vias, sizeof(vias),
		"v: SIP/2.0/UDP x.example.com;branch=z9hG4bKx, SIP/2.0/UDP ;;=\"\r\n"
		"Via: SIP/2.0/FOO y;a;b=\"q,\" ,\r\n SIP / 2.0 / UDP 192.0.2.1 ;branch=%s\r\n",
		strstr(via, "z9hG4bK"));
	assert_ptr_equal(judge(with_vias(LOOP_URI, "INVITE", vias, "")), &stw_cause_loop);

	/* the right branch behind another's sent-by, another port, another form */
	snprintf(vias, sizeof(vias), "Via: SIP/2.0/UDP x.example.com;branch=%s\r\n",
		strstr(via, "z9hG4bK"));
	assert_null(judge(with_vias(LOOP_URI, "INVITE", vias, "")));
	snprintf(vias, sizeof(vias), "Via: SIP/2.0/UDP p1.example.com:5070;branch=%s\r\n",
		strstr(via, "z9hG4bK"));
	assert_null(judge(with_vias(LOOP_URI, "INVITE", vias, "")));
	snprintf(vias, sizeof(vias), "Via: %sx\r\n", via);
	assert_null(judge(with_vias(LOOP_URI, "INVITE", vias, "")));
	assert_null(judge(with_vias(LOOP_URI, "INVITE",
		"Via: SIP/2.0/UDP p1.example.com;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP "
		"p1.example.com\r\n",
		"")));
}

/* RFC 5393 §3: a and b are forwarded to each other; the request comes home after two rounds. */
static void two_users_forward_to_each_other(void **state)
{
	static const char *const uri[] = { "sip:a@p1.example.com", "sip:b@p1.example.com" };
	char vias[2000] = "", via[200], longer[2000];
	unsigned round = 0;

	while (judge(with_vias(uri[round % 2], "INVITE", vias, "")) == NULL && round < 10) {
		our_via(with_vias(uri[round % 2], "INVITE", vias, ""), round, via, sizeof(via));
		snprintf(longer, sizeof(longer), "Via: %s\r\n%.1700s", via, vias);
		memcpy(vias, longer, sizeof(vias));
		round++;
	}
	assert_int_equal(round, 2);
	assert_ptr_equal(judge(with_vias(uri[0], "INVITE", vias, "")), &stw_cause_loop);
}

static int setup(void **state)
{
	proxy_init(&proxy, "p1.example.com", "192.0.2.1");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row),
		cmocka_unit_test(priority_is_supported_where_it_counts),
		cmocka_unit_test(without_memory_still_refused),
		cmocka_unit_test(loops_and_spirals),
		cmocka_unit_test(two_users_forward_to_each_other),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
