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
		struct stw_slices slices;
		char *text;

		stw_arena_init(&arena, 4096);
		message_parse(&request, REQUEST "\r\n");
		message_parse(&response, cases[i].in);
		assert_int_equal(
			stw_relay_build(&proxy.options, stw_record_route_count(&request.msg),
				&response.msg, stw_str_from(cases[i].lines), STW_STR_NONE, &arena,
				&slices),
			0);
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
		struct stw_slices slices;

		stw_arena_init(&arena, 4096);
		message_parse(&request, REQUEST "\r\n");
		message_parse(&response, cases[i].in);
		support_fail_allocation(1);
		assert_int_equal(
			stw_relay_build(&proxy.options, stw_record_route_count(&request.msg),
				&response.msg, STW_STR_NONE, STW_STR_NONE, &arena, &slices),
			-ENOMEM);
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

static void hop_in_return(size_t i)
{
	struct stw_record_route_side in = { STW_TRANSPORT_UDP, STW_STR("p1.example.com") },
				     out = { STW_TRANSPORT_UDP, STW_STR("192.0.2.1:5060") };
	struct message request, response, relayed, next;
	char text[4096], route[2048], *out_text;
	struct stw_proxy_routing routing;
	struct stw_slices slices;
	struct stw_arena arena;
	struct stw_str lines;

	stw_arena_init(&arena, 8192);
	snprintf(text, sizeof(text), REQUEST "Contact: <sip:a@192.0.2.3>\r\n%s\r\n",
		returns[i].upper);
	message_parse(&request, text);
	assert_int_equal(
		record_route(&proxy, &request, &in, returns[i].two ? &out : &in, &arena, &lines),
		0);
	snprintf(text, sizeof(text),
		"SIP/2.0 %s\r\nVia: " OURS "\r\nVia: " UDP "\r\n%s%.*s%s" TAIL "%s\r\n",
		returns[i].status, returns[i].lower, STW_STR_ARG(lines), returns[i].upper,
		returns[i].contact);
	message_parse(&response, text);
	assert_int_equal(stw_relay_build(&proxy.options, stw_record_route_count(&request.msg),
				 &response.msg, STW_STR_NONE, STW_STR_NONE, &arena, &slices),
		0);
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
	assert_int_equal(stw_proxy_preprocess(&proxy.options, &next.msg, &routing), 0);
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
	for (size_t i = 0; i < STW_ARRAY_SIZE(returns); i++)
		hop_in_return(i);
}

/* ---- which side has sent it --------------------------------------------------------------------
 */

/* The value of the mark that our first Record-Route has. */
static const char *mark_of(struct stw_str lines, char ret[49])
{
	const char *at = memmem(lines.ptr, lines.len, "stw=", 4);

	assert_non_null(at);
	memcpy(ret, at + 4, 48);
	ret[48] = '\0';
	return ret;
}

/* What the caller gets of the callee's mark in this response. */
static void mark_return(const char *status, const char *mark, char ret[49])
{
	struct message response;
	struct stw_slices slices;
	struct stw_arena arena;
	char text[2048], *out;

	stw_arena_init(&arena, 4096);
	snprintf(text, sizeof(text),
		"SIP/2.0 %s\r\nVia: " OURS "\r\nVia: " UDP
		"\r\nRecord-Route: <sip:p1.example.com;lr;stw=%s>\r\n" TAIL CONTACT "\r\n",
		status, mark);
	message_parse(&response, text);
	assert_int_equal(stw_relay_build(&proxy.options, 0, &response.msg, STW_STR_NONE,
				 STW_STR_NONE, &arena, &slices),
		0);
	out = joined(slices);
	mark_of(stw_str_from(out), ret);
	free(out);
	message_done(&response);
	stw_arena_done(&arena);
}

static struct stw_proxy_routing routing_of(
	const char *mark, const char *from, const char *to, const char *method)
{
	struct stw_proxy_routing routing;
	struct message request;
	char text[2048];

	snprintf(text, sizeof(text),
		"%s sip:b@192.0.2.4:5070 SIP/2.0\r\nVia: SIP/2.0/UDP u1;branch=z9hG4bKu2\r\n"
		"Route: <sip:p1.example.com;lr;stw=%s>\r\nFrom: <sip:a@x.com>;tag=%s\r\n"
		"To: <sip:b@y.com>;tag=%s\r\nCall-ID: c1\r\nCSeq: 2 %s\r\n\r\n",
		method, mark, from, to, method);
	message_parse(&request, text);
	assert_int_equal(stw_proxy_preprocess(&proxy.options, &request.msg, &routing), 0);
	message_done(&request);
	return routing;
}

static void sides_prove(void **state)
{
	struct stw_record_route_side side = { STW_TRANSPORT_UDP, STW_STR("p1.example.com") };
	struct stw_record_route record = { .in = side, .out = side };
	char callee[49], caller[49], other[49], refused[49];
	struct stw_proxy_routing routing;
	struct message request;
	struct stw_arena arena;
	struct stw_str lines;
	uint64_t dialog;

	stw_arena_init(&arena, 8192);
	message_parse(&request, REQUEST "Contact: <sip:a@192.0.2.3>\r\n\r\n");
	record.request = &request.msg;
	record.branch = STW_STR("z9hG4bK1");
	assert_int_equal(stw_record_route_write(&proxy.options, &record, &arena, &lines), 0);
	mark_return("200 OK", mark_of(lines, callee), caller);
	mark_return("486 Busy Here", callee, refused);

	routing = routing_of(caller, "a", "b", "BYE");
	dialog = routing.dialog;
	assert_true(routing.in_dialog && routing.hop_known && !routing.by_callee && dialog);
	routing = routing_of(callee, "b", "a", "BYE");
	assert_true(routing.in_dialog && routing.by_callee);
	assert_true(routing.dialog == dialog);
	/* The tags of the other side, and another phone of the fork. */
	assert_true(routing_of(caller, "b", "a", "BYE").dialog != dialog);
	assert_true(routing_of(callee, "a", "b", "BYE").dialog != dialog);
	assert_true(routing_of(caller, "a", "c", "BYE").dialog != dialog);
	/* What refused the call has the proof, but leads nowhere. */
	assert_memory_equal(refused + 32, caller + 32, 16);
	assert_false(routing_of(refused, "a", "b", "BYE").hop_known);
	/* The same INVITE, sent again. */
	record.branch = STW_STR("z9hG4bK2");
	assert_int_equal(stw_record_route_write(&proxy.options, &record, &arena, &lines), 0);
	mark_of(lines, other);
	assert_memory_equal(other, callee, 32);
	assert_true(routing_of(other, "b", "a", "BYE").dialog != dialog);
	/* Not worth a hash; and the mark of a version that had two parts. */
	assert_true(routing_of(caller, "a", "b", "INFO").dialog == 0);
	assert_true(routing_of(callee, "b", "a", "INFO").dialog == dialog);
	caller[32] = '\0';
	routing = routing_of(caller, "a", "b", "BYE");
	assert_true(routing.in_dialog && routing.hop_known && !routing.dialog);
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
		cmocka_unit_test(sides_prove),
		cmocka_unit_test(exact_bytes),
		cmocka_unit_test(allocation_failure),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
