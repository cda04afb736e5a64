/* SPDX-License-Identifier: Apache-2.0 */
#include "forward_support.h"

static struct proxy proxy;

#define TAIL                                                                                       \
	"From: <sip:a@x.com>;tag=a\r\nTo: <sip:b@y.com>;tag=b\r\nCall-ID: c1\r\nCSeq: 1 "          \
	"INVITE\r\n"
#define OURS  "SIP/2.0/UDP p1.example.com;branch=z9hG4bKp1"
#define UDP   "SIP/2.0/UDP u1.example.com;branch=z9hG4bKu1;received=192.0.2.7"
#define TCP   "SIP/2.0/TCP u1.example.com;branch=z9hG4bKu1"
#define START "SIP/2.0 200 OK\r\n"

#define REQUEST                                                                                    \
	"INVITE sip:b@y.com SIP/2.0\r\nVia: SIP/2.0/UDP u1.example.com;branch=z9hG4bKu1\r\n"       \
	"From: <sip:a@x.com>;tag=a\r\nTo: <sip:b@y.com>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n"

static const struct {
	const char *in, *lines, *out;
} cases[] = {
	{ START "Via: " OURS "\r\nVia: " UDP "\r\n" TAIL "\r\nbody", "",
		START "Via: " UDP "\r\n" TAIL "\r\nbody" },
	{ START "X: 1\r\nv:\r\n " OURS " ,\r\n\t" UDP "\r\n" TAIL "L: 0\r\n\r\n", "",
		START "X: 1\r\nv:\r\n " UDP "\r\n" TAIL "L: 0\r\n\r\n" },
	{ START "Via: " OURS "," UDP "," TCP "\r\n" TAIL "Content-Length: 0\r\n\r\n",
		"WWW-Authenticate: Digest a\r\nReason: SIP\r\n",
		START "Via: " UDP "," TCP "\r\n" TAIL
		      "Content-Length: 0\r\nWWW-Authenticate: Digest a\r\nReason: SIP\r\n\r\n" },
	{ START "Via: " OURS "\r\n" TAIL "\r\n", "", START TAIL "\r\n" },
	/* a stream needs Content-Length */
	{ START "Via: " OURS "\r\nVia: " TCP "\r\n" TAIL "\r\nbody", "A: b\r\n",
		START "Via: " TCP "\r\n" TAIL "A: b\r\nContent-Length: 4\r\n\r\nbody" },
	{ START "Via: " OURS "\r\nVia: " TCP "\r\n" TAIL "l: 4\r\n\r\nbody", "",
		START "Via: " TCP "\r\n" TAIL "l: 4\r\n\r\nbody" },
};

static void exact_bytes(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct message request, response;
		struct stw_arena arena;
		struct stw_relay_options options = { .proxy = &proxy.options,
			.response = &response.msg,
			.lines = stw_str_from(cases[i].lines) };
		struct stw_slices slices;
		char *text;

		stw_arena_init(&arena, 4096);
		message_parse(&request, REQUEST "\r\n");
		message_parse(&response, cases[i].in);
		options.record_routes = stw_record_route_count(&request.msg);
		assert_int_equal(stw_relay_build(&options, &arena, &slices), 0);
		text = joined(slices);
		assert_string_equal(text, cases[i].out);
		free(text);
		message_done(&request);
		message_done(&response);
		stw_arena_done(&arena);
	}
}

static void allocation_failure(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct message request, response;
		struct stw_arena arena;
		struct stw_relay_options options = { .proxy = &proxy.options,
			.response = &response.msg };
		struct stw_slices slices;

		stw_arena_init(&arena, 4096);
		message_parse(&request, REQUEST "\r\n");
		message_parse(&response, cases[i].in);
		options.record_routes = stw_record_route_count(&request.msg);
		support_fail_allocation(1);
		assert_int_equal(stw_relay_build(&options, &arena, &slices), -ENOMEM);
		support_fail_allocation(0);
		message_done(&request);
		message_done(&response);
		stw_arena_done(&arena);
	}
}

/* ---- where the callee is, in our Record-Route ------------------------------------------------ */

#define CONTACT "Contact: <sip:b@192.0.2.4:5070>\r\n"
#define UPPER   "Record-Route: <sip:up.com;lr>\r\n"
#define LOWER   "Record-Route: <sip:Down.com:5080;lr>\r\n"

static const struct {
	const char *upper, *lower, *contact, *status; /* of the response */
	const char *uri, *route;                      /* where the caller then goes */
	bool two, known;
} returns[] = {
	{ "", "", CONTACT, "200 OK", "sip:b@192.0.2.4:5070", "", false, true },
	{ "", "", CONTACT, "180 Ringing", "sip:x@192.0.2.4:5070;a=b", "", false, true },
	{ UPPER, "", CONTACT, "200 OK", "sip:b@192.0.2.4:5070", "", false, true },
	{ UPPER, "", CONTACT, "200 OK", "sip:b@192.0.2.4:5070", "", true, true },
	{ "", LOWER, CONTACT, "200 OK", "sip:b@192.0.2.4:5070", ", <sip:down.COM:5080;lr>", false,
		true },
	{ UPPER, LOWER, CONTACT, "200 OK", "sip:b@192.0.2.9", ", <sip:down.com:5080;lr>", true,
		true },
	/* elsewhere */
	{ "", "", CONTACT, "200 OK", "sip:b@192.0.2.4", "", false, false },
	{ "", "", CONTACT, "200 OK", "sip:b@192.0.2.5:5070", "", false, false },
	{ "", "", CONTACT, "200 OK", "sip:b@192.0.2.4:5070;maddr=192.0.2.5", "", false, false },
	{ "", "", CONTACT, "200 OK", "sip:b@192.0.2.4:5070", ", <sip:192.0.2.5;lr>", false, false },
	{ "", LOWER, CONTACT, "200 OK", "sip:b@192.0.2.4:5070", "", false, false },
	{ "", "", CONTACT, "200 OK", "tel:+1", "", true, false },
	/* nothing is said */
	{ "", "", "", "200 OK", "sip:b@192.0.2.4:5070", "", false, false },
	{ "", "", "Contact: *\r\n", "200 OK", "sip:b@192.0.2.4:5070", "", false, false },
	{ "", "", CONTACT, "302 Moved", "sip:b@192.0.2.4:5070", "", false, false },
	{ "", "", CONTACT, "100 Trying", "sip:b@192.0.2.4:5070", "", false, false },
};

/* The Record-Route values of a message, last first, as a Route: the way of the caller. */
static void route_of(const struct stw_msg *response, const char *more, unsigned skip, char *ret)
{
	struct stw_values values = stw_msg_values(response, STW_HDR_RECORD_ROUTE);
	struct stw_str value, all[8];
	unsigned n = 0;

	while (stw_values_next(&values, &value))
		all[n++] = value;
	ret += sprintf(ret, "Route: ");
	for (n -= skip; n; n--) {
		if (stw_str_find(all[n - 1], '=', 0) == all[n - 1].len)
			break; /* below: `more` says it */
		ret += sprintf(ret, "%.*s,", STW_STR_ARG(all[n - 1]));
	}
	ret[-1] = '\0';
	sprintf(ret - 1, "%s\r\n", more);
}

static void hop_in_return(size_t i, bool remembered)
{
	struct stw_record_route_side in = { STW_TRANSPORT_UDP, STW_STR("p1.example.com") },
				     out = { STW_TRANSPORT_UDP, STW_STR("192.0.2.1:5060") };
	struct message request, response, relayed, next;
	char text[4096], route[2048], *out_text;
	struct stw_proxy_routing routing;
	struct stw_slices slices;
	struct stw_arena arena;
	struct stw_record_route ours;
	struct stw_relay_options options = { .proxy = &proxy.options,
		.response = &response.msg,
		.ours = remembered ? &ours : NULL };

	stw_arena_init(&arena, 8192);
	snprintf(text, sizeof(text), REQUEST "Contact: <sip:a@192.0.2.3>\r\n%s\r\n",
		returns[i].upper);
	message_parse(&request, text);
	assert_int_equal(stw_record_route_write(&proxy.options, &request.msg, &in,
				 returns[i].two ? &out : &in, NULL, &arena, &ours),
		0);
	snprintf(text, sizeof(text),
		"SIP/2.0 %s\r\nVia: " OURS "\r\nVia: " UDP "\r\n%s%.*s%s" TAIL "%s\r\n",
		returns[i].status, returns[i].lower, STW_STR_ARG(ours.lines), returns[i].upper,
		returns[i].contact);
	message_parse(&response, text);
	options.record_routes = stw_record_route_count(&request.msg);
	assert_int_equal(stw_relay_build(&options, &arena, &slices), 0);
	out_text = joined(slices);
	message_parse(&relayed, out_text);
	assert_int_equal(relayed.len + strlen("Via: " OURS "\r\n"), response.len);
	route_of(&relayed.msg, returns[i].route, returns[i].upper[0] ? 1 : 0, route);
	snprintf(text, sizeof(text),
		"BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP u1.example.com;branch=z9hG4bKu2\r\n%sFrom: "
		"<sip:a@x.com>;tag=a\r\nTo: <sip:b@y.com>;tag=b\r\nCall-ID: c1\r\nCSeq: 2 "
		"BYE\r\n\r\n",
		returns[i].uri, route);
	message_parse(&next, text);
	assert_int_equal(stw_proxy_preprocess(&proxy.options, &next.msg, NULL, &routing), 0);
	if (!routing.in_dialog || routing.hop_known != returns[i].known)
		fail_msg("case %zu: in_dialog %d hop_known %d\n%s", i, routing.in_dialog,
			routing.hop_known, text);
	message_done(&next);
	message_done(&relayed);
	free(out_text);
	message_done(&response);
	message_done(&request);
	stw_arena_done(&arena);
}

static void hops_in_returns(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(returns); i++) {
		hop_in_return(i, false);
		hop_in_return(i, true);
	}
}

/* A value of another proxy, as long as what was written and with our mark, stays what it is. */
static void other_value(void **state)
{
	struct stw_record_route_side side = { STW_TRANSPORT_UDP, STW_STR("p1.example.com") };
	struct message request, response;
	struct stw_record_route ours;
	struct stw_relay_options options = {
		.proxy = &proxy.options, .response = &response.msg, .ours = &ours
	};
	struct stw_slices slices;
	struct stw_arena arena;
	char text[1024], *line, *out;

	stw_arena_init(&arena, 8192);
	message_parse(&request, REQUEST "Contact: <sip:a@192.0.2.3>\r\n\r\n");
	assert_int_equal(stw_record_route_write(
				 &proxy.options, &request.msg, &side, &side, NULL, &arena, &ours),
		0);
	snprintf(text, sizeof(text), "SIP/2.0 200 OK\r\nVia: " OURS "\r\n%.*s" TAIL CONTACT "\r\n",
		STW_STR_ARG(ours.lines));
	line = strstr(text, "Record-Route");
	memcpy(strstr(line, "p1"), "p9", 2);
	message_parse(&response, text);
	assert_int_equal(stw_relay_build(&options, &arena, &slices), 0);
	out = joined(slices);
	assert_string_equal(strstr(out, "Record-Route"), line);
	free(out);
	message_done(&response);
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
		cmocka_unit_test(hops_in_returns),
		cmocka_unit_test(other_value),
		cmocka_unit_test(exact_bytes),
		cmocka_unit_test(allocation_failure),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
