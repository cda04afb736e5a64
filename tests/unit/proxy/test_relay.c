/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

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
	{ "", "", CONTACT, "180 Ringing", "sip:b@192.0.2.4:5070;a=b", "", false, true },
	{ UPPER, "", CONTACT, "200 OK", "sip:b@192.0.2.4:5070", "", false, true },
	{ UPPER, "", CONTACT, "200 OK", "sip:b@192.0.2.4:5070", "", true, true },
	{ "", LOWER, CONTACT, "200 OK", "sip:b@192.0.2.4:5070", ", <sip:down.COM:5080;lr>", false,
		true },
	{ UPPER, LOWER, CONTACT, "200 OK", "sip:b@192.0.2.9", ", <sip:down.com:5080;lr>", true,
		true },
	/* elsewhere */
	{ "", "", CONTACT, "200 OK", "sip:x@192.0.2.4:5070", "", false, false },
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
	assert_int_equal(
		record_route(&proxy, &request, &in, returns[i].two ? &out : &in, &arena, &ours), 0);
	snprintf(text, sizeof(text),
		"SIP/2.0 %s\r\nVia: " OURS "\r\nVia: " UDP "\r\n%s%.*s%s" TAIL "%s\r\n",
		returns[i].status, returns[i].lower, STW_STR_ARG(ours.lines), returns[i].upper,
		returns[i].contact);
	message_parse(&response, text);
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

/* ---- which side has sent it --------------------------------------------------------------------
 */

/* An INVITE as it leaves on a branch. */
static struct stw_record_route written_on(const char *branch, struct stw_arena *arena)
{
	struct stw_record_route_side side = { STW_TRANSPORT_UDP, STW_STR("p1.example.com") };
	struct stw_record_route_options options = {
		.in = side, .out = side, .branch = stw_str_from(branch)
	};
	struct stw_record_route ours;
	struct message request;

	message_parse(&request, REQUEST "Contact: <sip:a@192.0.2.3>\r\n\r\n");
	options.request = &request.msg;
	assert_int_equal(stw_record_route_write(&proxy.options, &options, arena, &ours), 0);
	message_done(&request);
	return ours;
}

/* The value of the mark that our first Record-Route has. */
static const char *mark_of(struct stw_str lines, char ret[49])
{
	const char *at = memmem(lines.ptr, lines.len, "stw=", 4);

	assert_non_null(at);
	memcpy(ret, at + 4, 48);
	ret[48] = '\0';
	return ret;
}

/* §7.3.1: a branch is the same in any case. */
#define SHOUTED "SIP/2.0/UDP p1.example.com;branch=Z9HG4BKP1"

/* What the caller gets when these lines are in the response to the first branch; free() it. */
static char *returned(const char *status, const char *lines, const struct stw_record_route *ours)
{
	struct message response;
	struct stw_relay_options options = {
		.proxy = &proxy.options, .response = &response.msg, .ours = ours
	};
	struct stw_slices slices;
	struct stw_arena arena;
	char text[4096], *out;

	stw_arena_init(&arena, 8192);
	snprintf(text, sizeof(text),
		"SIP/2.0 %s\r\nVia: %s\r\nVia: " UDP "\r\n%s" TAIL CONTACT "\r\n", status,
		ours ? OURS : SHOUTED, lines);
	message_parse(&response, text);
	assert_int_equal(stw_relay_build(&options, &arena, &slices), 0);
	out = joined(slices);
	message_done(&response);
	stw_arena_done(&arena);
	return out;
}

/* Of a mark on the first branch. */
static void mark_return(const char *status, const char *mark, char ret[49])
{
	char lines[200], *out;

	snprintf(lines, sizeof(lines), "Record-Route: <sip:p1.example.com;lr;stw=%s>\r\n", mark);
	out = returned(status, lines, NULL);
	mark_of(stw_str_from(out), ret);
	free(out);
}

/* What becomes of our value: * is its mark. */
static const struct {
	const char *lines;
	bool upper;
} rewritten[] = {
	{ "Record-Route: <sip:p1.example.com;lr;stw=*>\r\n", false },
	{ "Record-Route: <sip:p1.example.com;lr;stw=*>\r\n", true },
	{ "RECORD-ROUTE: <SIP:P1.EXAMPLE.COM;LR;STW=*>\r\n", true },
	{ "Record-Route: <sip:p1.example.com;transport=udp;stw=*;lr=on>;a=b\r\n", false },
	/* by a router that writes over what it takes for an address */
	{ "Record-Route: <sip:203.0.113.9:4711;lr;stw=*>\r\n", false },
	/* cut, by a phone with little room for it */
	{ "Record-Route: <sip:p1.example.com;lr;stw=*\r\n", false },
	/* others above, below, in front, and both of two */
	{ UPPER "Record-Route: <sip:a.com;lr>, <sip:p1.example.com;lr;stw=*>\r\n" LOWER, false },
	{ "Record-Route: <sip:p1.example.com;lr;stw=*>, "
	  "<sip:[2001:db8::1];transport=tcp;lr;stw=*>\r\n",
		false },
	{ "Record-Route: <sip:p1.example.com;lr;stw=*>\r\n" UPPER
	  "Record-Route: <sip:p1.example.com;lr;stw=*>\r\n",
		false },
};

static void rewrite(size_t which, const char *mark, char *ret)
{
	for (const char *from = rewritten[which].lines; *from; from++) {
		if (*from != '*')
			*ret++ = *from;
		for (size_t i = 0; *from == '*' && i < 48; i++)
			*ret++ = rewritten[which].upper ? (char)toupper((unsigned char)mark[i])
							: mark[i];
	}
	*ret = '\0';
}

/* The caller must not learn it, whatever the phone makes of its Record-Route, and in which
 * response.
 */
static void secret_stays(void **state)
{
	static const char *const statuses[] = { "100 Trying", "183 Session Progress", "200 OK",
		"302 Moved Temporarily", "401 Unauthorized", "486 Busy Here", "603 Decline" };
	struct stw_record_route ours;
	struct stw_arena arena;
	char mark[49], proof[17], lines[1024], *out;

	stw_arena_init(&arena, 8192);
	ours = written_on("z9hG4bKp1", &arena);
	snprintf(proof, sizeof(proof), "%.16s", ours.proof);
	for (size_t i = 0; i < STW_ARRAY_SIZE(rewritten) * STW_ARRAY_SIZE(statuses) * 2; i++) {
		size_t which = i / 2 % STW_ARRAY_SIZE(rewritten);

		rewrite(which, mark_of(ours.lines, mark), lines);
		out = returned(
			statuses[i / 2 / STW_ARRAY_SIZE(rewritten)], lines, i % 2 ? &ours : NULL);
		if (strcasestr(out, mark + 32) || !strstr(out, proof))
			fail_msg("%s", out);
		free(out);
	}
	stw_arena_done(&arena);
}

/* Of another proxy, of us in another branch: they stay what they are. */
static void other_values(void **state)
{
	struct stw_record_route ours, other;
	struct stw_arena arena;
	char text[1024], *line, *out;

	stw_arena_init(&arena, 8192);
	ours = written_on("z9hG4bKp1", &arena);
	other = written_on("z9hG4bKp2", &arena);
	assert_int_equal(other.lines.len, ours.lines.len);
	assert_true(other.mark == ours.mark);
	assert_memory_not_equal(other.secret, ours.secret, sizeof(ours.secret));
	assert_memory_not_equal(other.proof, ours.proof, sizeof(ours.proof));
	snprintf(text, sizeof(text),
		"Record-Route: <sip:p9.example.com;lr;stw=1;xstw=%048u>\r\n%.*s", 7,
		STW_STR_ARG(other.lines));
	for (unsigned i = 0; i < 2; i++) {
		out = returned("200 OK", text, i ? &ours : NULL);
		line = strstr(out, "Record-Route");
		assert_memory_equal(line, text, strlen(text));
		free(out);
	}
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
	assert_int_equal(stw_proxy_preprocess(&proxy.options, &request.msg, NULL, &routing), 0);
	message_done(&request);
	return routing;
}

static void sides_prove(void **state)
{
	char callee[49], caller[49], other[49], refused[49];
	struct stw_proxy_routing routing;
	struct stw_arena arena;
	uint64_t dialog;

	stw_arena_init(&arena, 8192);
	mark_of(written_on("z9hG4bKp1", &arena).lines, callee);
	mark_return("200 OK", callee, caller);
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
	mark_of(written_on("z9hG4bKp2", &arena).lines, other);
	assert_memory_equal(other, callee, 32);
	assert_true(routing_of(other, "b", "a", "BYE").dialog != dialog);
	/* It is no way to learn what the other side of a call has: this secret is of another
	 * branch. */
	mark_return("200 OK", other, refused);
	assert_string_equal(refused, other);
	/* Not worth a hash; and the mark of a version that had two parts. */
	assert_true(routing_of(caller, "a", "b", "INFO").dialog == 0);
	assert_true(routing_of(callee, "b", "a", "INFO").dialog == dialog);
	caller[32] = '\0';
	routing = routing_of(caller, "a", "b", "BYE");
	assert_true(routing.in_dialog && routing.hop_known && !routing.dialog);
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
		cmocka_unit_test(secret_stays),
		cmocka_unit_test(other_values),
		cmocka_unit_test(sides_prove),
		cmocka_unit_test(exact_bytes),
		cmocka_unit_test(allocation_failure),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
