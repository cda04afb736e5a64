/* SPDX-License-Identifier: Apache-2.0 */
#include "forward_support.h"

static struct proxy proxy;

/* ---- exact bytes ------------------------------------------------------------------------ */

#define U1   "Via: SIP/2.0/UDP u1.com;branch=z9hG4bKu1\r\n"
#define OURS "Via: " FORWARD_VIA "\r\n"
#define IDS  "From: <sip:a@x.com>;tag=a\r\nTo: <sip:b@y.com>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n"
#define END  "Content-Length: 0\r\n\r\n"
#define MF   "Max-Forwards: 70\r\n"
#define LESS "Max-Forwards: 69\r\n"
#define B    "INVITE sip:b@y.com SIP/2.0\r\n"
#define US   "<sip:p1.example.com;lr>"
#define RR   "Record-Route: <sip:p1.example.com;lr;stw=1>\r\n"

static const struct {
	const char *in, *uri, *path;
	const char *record_route;
	const char *out;
	const char *next_hop;
} cases[] = {
	/* step 3: Max-Forwards, wherever it stands */
	{ B U1 MF IDS END, NULL, "", "", B OURS U1 LESS IDS END, "sip:b@y.com" },
	{ B U1 IDS "MAX-forwards :\r\n 0255\r\n" END, NULL, "", "",
		B OURS U1 IDS "MAX-forwards :\r\n 254\r\n" END, "sip:b@y.com" },
	{ B U1 IDS "Max-Forwards: 256\r\n" END, NULL, "", "", B OURS U1 IDS MF END, "sip:b@y.com" },
	{ B U1 IDS END, NULL, "", "", B MF OURS U1 IDS END, "sip:b@y.com" },
	{ B U1 IDS "Max-Forwards: 1\r\n" END, NULL, "", "", B OURS U1 IDS "Max-Forwards: 0\r\n" END,
		"sip:b@y.com" },
	/* step 2: Request-URI; what Table 1 forbids there is left out */
	{ B U1 MF IDS END, "sip:b@192.0.2.9:5070;x=y", "", "",
		"INVITE sip:b@192.0.2.9:5070;x=y SIP/2.0\r\n" OURS U1 LESS IDS END,
		"sip:b@192.0.2.9:5070;x=y" },
	{ B U1 MF IDS END, "sip:b@h;method=BYE;lr?Route=%3Csip:e%3E&Subject=x", "", "",
		"INVITE sip:b@h;lr SIP/2.0\r\n" OURS U1 LESS IDS END, "sip:b@h;lr" },
	{ B U1 MF IDS END, "sip:b@[2001:db8::1]?Subject=x", "", "",
		"INVITE sip:b@[2001:db8::1] SIP/2.0\r\n" OURS U1 LESS IDS END,
		"sip:b@[2001:db8::1]" },
	{ B U1 MF IDS END, "tel:+1;method=x", "", "",
		"INVITE tel:+1;method=x SIP/2.0\r\n" OURS U1 LESS IDS END, "tel:+1;method=x" },
	/* step 4: Record-Route on top of others, else before Via */
	{ B U1 MF IDS END, NULL, "", RR, B RR OURS U1 LESS IDS END, "sip:b@y.com" },
	{ B U1 MF IDS "Record-Route: <sip:p0.com;lr>\r\n" END, NULL, "", RR,
		B OURS U1 LESS IDS RR "Record-Route: <sip:p0.com;lr>\r\n" END, "sip:b@y.com" },
	/* our Route is taken out: a line, of a list, over two lines, folded */
	{ B "Route: " US "\r\n" U1 MF IDS END, NULL, "", "", B OURS U1 LESS IDS END,
		"sip:b@y.com" },
	{ B U1 MF "ROUTE : " US ",<sip:p2.com;lr>\r\n" IDS END, NULL, "", "",
		B OURS U1 LESS "ROUTE : <sip:p2.com;lr>\r\n" IDS END, "sip:p2.com;lr" },
	{ B U1 MF "Route:\r\n " US " ,\r\n\t" US ",\r\n <sip:p2.com;lr>, <sip:p3.com>\r\n" IDS END,
		NULL, "", "", B OURS U1 LESS "Route:\r\n <sip:p2.com;lr>, <sip:p3.com>\r\n" IDS END,
		"sip:p2.com;lr" },
	{ B "Route: " US "\r\n" U1 "Route: " US ", <sip:p2.com;lr>\r\n" MF IDS
	    "Route: <sip:p3.com;lr>\r\n" END,
		NULL, "", "",
		B OURS U1 "Route: <sip:p2.com;lr>\r\n" LESS IDS "Route: <sip:p3.com;lr>\r\n" END,
		"sip:p2.com;lr" },
	/* RFC 3327 §5.3: Path becomes Route, before what is left */
	{ B U1 MF IDS END, "sip:b@h", "<sip:e1.com;lr>,<sip:e2.com;lr>", "",
		"INVITE sip:b@h SIP/2.0\r\nRoute: <sip:e1.com;lr>,<sip:e2.com;lr>\r\n" OURS U1 LESS
			IDS END,
		"sip:e1.com;lr" },
	{ B U1 "Route: " US ",<sip:p2.com;lr>\r\n" MF IDS END, "sip:b@h",
		"\"<, sip:x\" <sip:e1.com;lr>", "",
		"INVITE sip:b@h SIP/2.0\r\n" OURS U1
		"Route: \"<, sip:x\" <sip:e1.com;lr>\r\nRoute: <sip:p2.com;lr>\r\n" LESS IDS END,
		"sip:e1.com;lr" },
	{ B U1 "Route: " US "\r\n" MF IDS END, "sip:b@h", "<sip:e1.com;lr>", "",
		"INVITE sip:b@h SIP/2.0\r\n" OURS U1 "Route: <sip:e1.com;lr>\r\n" LESS IDS END,
		"sip:e1.com;lr" },
	/* step 6: a strict router comes next */
	{ B U1 MF "Route: <sip:p3.middle.com>\r\n" IDS END, NULL, "", "",
		"INVITE sip:p3.middle.com SIP/2.0\r\n" OURS U1 LESS
		"Route: <sip:b@y.com>\r\n" IDS END,
		"sip:p3.middle.com" },
	{ B U1 MF "Route: " US ", <sip:p3.com;method=x?a=b> , <sip:p2.com;lr>\r\n" IDS END,
		"sip:b@h;method=x?c=d", "", "",
		"INVITE sip:p3.com SIP/2.0\r\n" OURS U1 LESS
		"Route: <sip:p2.com;lr>\r\nRoute: <sip:b@h>\r\n" IDS END,
		"sip:p3.com;method=x?a=b" },
	{ B U1 MF IDS END, "sip:b@h", "<sip:strict.com>", "",
		"INVITE sip:strict.com SIP/2.0\r\nRoute: <sip:b@h>\r\n" OURS U1 LESS IDS END,
		"sip:strict.com" },
	{ B U1 MF "Route: <sip:p2.com;lr>\r\n" IDS END, "sip:b@h",
		"<sip:strict.com>, <sip:e2.com;lr>", "",
		"INVITE sip:strict.com SIP/2.0\r\n" OURS U1 LESS
		"Route: <sip:e2.com;lr>\r\nRoute: <sip:p2.com;lr>\r\nRoute: <sip:b@h>\r\n" IDS END,
		"sip:strict.com" },
	/* compact names and lists stay as they are */
	{ B "v : SIP/2.0/UDP u1.com;branch=z9hG4bKu1 , SIP/2.0/UDP u0.com\r\n" MF
	    "f: <sip:a@x.com>;tag=a\r\nt: <sip:b@y.com>\r\ni: c1\r\nCSeq: 1 INVITE\r\nl: "
	    "2\r\n\r\nab",
		NULL, "", "",
		B OURS "v : SIP/2.0/UDP u1.com;branch=z9hG4bKu1 , SIP/2.0/UDP u0.com\r\n" LESS
		       "f: <sip:a@x.com>;tag=a\r\nt: <sip:b@y.com>\r\ni: c1\r\nCSeq: 1 "
		       "INVITE\r\nl: 2\r\n\r\nab",
		"sip:b@y.com" },
};

static void exact_bytes(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct stw_proxy_target target = { .uri = stw_str_from(cases[i].uri),
			.path = stw_str_from(cases[i].path) };
		struct stw_proxy_routing routing;
		struct stw_forward_options options = {
			.proxy = &proxy.options, .routing = &routing, .target = &target
		};
		struct message request;
		struct stw_arena arena;
		struct stw_uri uri, expected;
		char *text;

		message_parse(&request, cases[i].in);
		text = forwarded(&proxy, &request, &target, stw_str_from(cases[i].record_route));
		assert_string_equal(text, cases[i].out);
		free(text);

		stw_arena_init(&arena, 4096);
		options.request = &request.msg;
		assert_int_equal(
			stw_proxy_preprocess(&proxy.options, &request.msg, NULL, &routing), 0);
		assert_int_equal(stw_forward_next_hop(&options, &arena, &uri), 0);
		assert_int_equal(stw_uri_parse(stw_str_from(cases[i].next_hop), &expected), 0);
		assert_true(stw_str_equal(uri.host, expected.host));
		assert_true(stw_str_equal(uri.user, expected.user));
		assert_int_equal(uri.port, expected.port);
		message_done(&request);
		stw_arena_done(&arena);
	}
}

/* By the Request-URI as it is when there is no target. */
static void without_target(void **state)
{
	struct message request;
	char *text;

	message_parse(&request, B U1 MF IDS END);
	text = forwarded(&proxy, &request, NULL, STW_STR_NONE);
	assert_string_equal(text, B OURS U1 LESS IDS END);
	free(text);
	message_done(&request);
}

/* ---- stamp, Max-Breadth, Content-Length -------------------------------------------------- */

static int build(const char *in, const char *via, const char *source, uint32_t max_breadth,
	struct stw_arena *arena, char **ret)
{
	struct stw_proxy_routing routing;
	struct stw_via_stamp stamp;
	struct stw_forward_options options = { .proxy = &proxy.options,
		.routing = &routing,
		.stamp = &stamp,
		.via = stw_str_from(via),
		.max_breadth = max_breadth };
	struct message request;
	struct stw_slices slices;
	struct stw_addr addr;
	int err;

	message_parse(&request, in);
	options.request = &request.msg;
	assert_int_equal(stw_addr_from_host(stw_str_from(source), 4321, &addr), 0);
	stw_via_stamp(&request.msg.via, &addr, &stamp);
	assert_int_equal(stw_proxy_preprocess(&proxy.options, &request.msg, NULL, &routing), 0);
	err = stw_forward_build(&options, arena, &slices);
	if (err == 0)
		*ret = joined(slices);
	message_done(&request);
	return err;
}

static const struct {
	const char *in, *via, *source;
	uint32_t max_breadth;
	const char *out;
} further_cases[] = {
	{ B "Via: SIP/2.0/UDP 192.0.2.7;rport;branch=z9hG4bKu1, SIP/2.0/UDP u0.com\r\n" MF IDS END,
		FORWARD_VIA, "192.0.2.7", 0,
		B OURS "Via: SIP/2.0/UDP 192.0.2.7;rport=4321;branch=z9hG4bKu1;received=192.0.2.7,"
		       " SIP/2.0/UDP u0.com\r\n" LESS IDS END },
	{ B "Route: " US "\r\nVia:\r\n SIP/2.0/UDP u1.com\r\n" IDS END, FORWARD_VIA, "2001:db8::7",
		30,
		B "Max-Forwards: 70\r\nMax-Breadth: 30\r\n" OURS
		  "Via:\r\n SIP/2.0/UDP u1.com;received=2001:db8::7\r\n" IDS END },
	{ B "Via: SIP/2.0/UDP 192.0.2.7\r\n" MF IDS "max-breadth: 60\r\n" END, FORWARD_VIA,
		"192.0.2.7", 4294967295u,
		B OURS "Via: SIP/2.0/UDP 192.0.2.7\r\n" LESS IDS
		       "max-breadth: 4294967295\r\n" END },
	{ B "Via: SIP/2.0/UDP 192.0.2.7\r\n" MF IDS "Max-Breadth: 60\r\n" END, FORWARD_VIA,
		"192.0.2.7", 0,
		B OURS "Via: SIP/2.0/UDP 192.0.2.7\r\n" LESS IDS "Max-Breadth: 60\r\n" END },
	/* step 9 */
	{ B "Via: SIP/2.0/UDP 192.0.2.7\r\n" MF IDS "\r\nbody",
		"SIP/2.0/TCP p1.com;branch=z9hG4bK1", "192.0.2.7", 0,
		B
		"Via: SIP/2.0/TCP p1.com;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP 192.0.2.7\r\n" LESS IDS
		"Content-Length: 4\r\n\r\nbody" },
	{ B "Via: SIP/2.0/UDP 192.0.2.7\r\n" MF IDS "\r\nbody", FORWARD_VIA, "192.0.2.7", 0,
		B OURS "Via: SIP/2.0/UDP 192.0.2.7\r\n" LESS IDS "\r\nbody" },
};

static void stamp_breadth_length(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(further_cases); i++) {
		struct stw_arena arena;
		char *text = NULL;

		stw_arena_init(&arena, 8192);
		assert_int_equal(
			build(further_cases[i].in, further_cases[i].via, further_cases[i].source,
				further_cases[i].max_breadth, &arena, &text),
			0);
		assert_string_equal(text, further_cases[i].out);
		free(text);
		stw_arena_done(&arena);
	}
}

/* ---- limits, errors and memory ------------------------------------------------------------ */

/* Two hundred header fields cost no more allocations than none: the arena's chunk. */
static void allocations(void **state)
{
	char *text = calloc(1, 32768), *out = NULL;
	struct stw_arena arena;
	unsigned few;

	strcpy(text, B U1 MF IDS);
	stw_arena_init(&arena, 8192);
	strcat(text, END);
	support_allocations();
	assert_int_equal(build(text, FORWARD_VIA, "192.0.2.7", 9, &arena, &out), 0);
	few = support_allocations();
	free(out);
	stw_arena_done(&arena);

	strcpy(text, B U1 MF IDS);
	for (unsigned i = 0; i < 200; i++)
		strcat(text, "X-Unknown: value\r\n");
	strcat(text, END);
	stw_arena_init(&arena, 8192);
	support_allocations();
	assert_int_equal(build(text, FORWARD_VIA, "192.0.2.7", 9, &arena, &out), 0);
	assert_int_equal(support_allocations(), few);
	assert_in_range(few, 1, 3); /* `joined` and the arena's chunks */
	free(out);
	stw_arena_done(&arena);
	free(text);
}

/* Whatever the arena can still give, the answer is -ENOMEM or a whole request. */
static void arena_limits(void **state)
{
	size_t limit;
	unsigned failed = 0, built = 0;

	for (limit = 0; limit < 2048; limit += 8) {
		struct stw_arena arena;
		char *text = NULL;
		int err;

		stw_arena_init(&arena, limit);
		err = build(further_cases[0].in, FORWARD_VIA, "192.0.2.7", 0, &arena, &text);
		if (err == 0) {
			assert_string_equal(text, further_cases[0].out);
			built++;
		} else {
			assert_int_equal(err, -ENOMEM);
			failed++;
		}
		free(text);
		stw_arena_done(&arena);
	}
	assert_true(failed > 3 && built > 3);
}

static void allocation_failure(void **state)
{
	struct stw_arena arena;
	char *text = NULL;

	stw_arena_init(&arena, 8192);
	support_fail_allocation(1);
	assert_int_equal(
		build(further_cases[0].in, FORWARD_VIA, "192.0.2.7", 0, &arena, &text), -ENOMEM);
	support_fail_allocation(0);
	stw_arena_done(&arena);
}

/* A Contact or Path that cannot be read, and more changes than an edit can hold. */
static void refused(void **state)
{
	static const struct {
		const char *uri, *path;
	} bad[] = { { "bob", "" }, { "sip:", "" }, { "sip:b@h", "<sip:" }, { "sip:b@h", "*" } };
	char text[8192];
	struct stw_arena arena;
	char *out;

	for (size_t i = 0; i < STW_ARRAY_SIZE(bad); i++) {
		struct stw_proxy_target target = { .uri = stw_str_from(bad[i].uri),
			.path = stw_str_from(bad[i].path) };
		struct stw_proxy_routing routing;
		struct stw_forward_options options = { .proxy = &proxy.options,
			.routing = &routing,
			.target = &target,
			.via = STW_STR(FORWARD_VIA) };
		struct message request;
		struct stw_slices slices;
		struct stw_uri uri;

		stw_arena_init(&arena, 4096);
		message_parse(&request, B U1 MF IDS END);
		options.request = &request.msg;
		stw_proxy_preprocess(&proxy.options, &request.msg, NULL, &routing);
		assert_int_equal(stw_forward_build(&options, &arena, &slices), -EBADMSG);
		assert_int_equal(stw_forward_next_hop(&options, &arena, &uri), -EBADMSG);
		message_done(&request);
		stw_arena_done(&arena);
	}

	snprintf(text, sizeof(text), B "Via: SIP/2.0/UDP u1.com");
	for (unsigned i = 0; i < STW_EDIT_MAX + 20; i++)
		strcat(text, ";received=-"); /* counts as none */
	strcat(text, "\r\n" MF IDS END);
	stw_arena_init(&arena, 8192);
	assert_int_equal(build(text, FORWARD_VIA, "192.0.2.7", 0, &arena, &out), -ENOBUFS);
	stw_arena_done(&arena);
}

/* Step 7: a sips Request-URI makes a sip Route sips. */
static void sips_next_hop(void **state)
{
	struct stw_proxy_routing routing;
	struct stw_forward_options options = { .proxy = &proxy.options, .routing = &routing };
	struct message request;
	struct stw_arena arena;
	struct stw_uri uri;

	stw_arena_init(&arena, 4096);
	message_parse(&request,
		"INVITE sips:b@y.com SIP/2.0\r\n" U1 "Route: <sip:p2.com;lr>\r\n" MF IDS END);
	options.request = &request.msg;
	stw_proxy_preprocess(&proxy.options, &request.msg, NULL, &routing);
	assert_int_equal(stw_forward_next_hop(&options, &arena, &uri), 0);
	assert_str(uri.host, "p2.com");
	assert_int_equal(uri.scheme, STW_SCHEME_SIPS);
	message_done(&request);
	stw_arena_done(&arena);
}

/* ---- RFC 3261 §16.12.1 --------------------------------------------------------------------- */

/* Value of the first line that starts with `name`, up to the end of the line. */
static void line_value(const char *text, const char *name, char *ret, size_t size)
{
	const char *at = strstr(text, name);

	assert_non_null(at);
	at += strlen(name);
	snprintf(ret, size, "%.*s", (int)strcspn(at, "\r"), at);
}

/* An INVITE through this proxy; *text is replaced by what it forwards. */
static void invite_through(const struct proxy *via, char **text, const char *target_uri)
{
	struct stw_record_route_side side = { STW_TRANSPORT_UDP, via->listeners.v[0].advertise };
	struct stw_proxy_target target = { .uri = stw_str_from(target_uri) };
	struct message request;
	struct stw_arena arena;
	struct stw_record_route ours;
	char *out;

	stw_arena_init(&arena, 4096);
	message_parse(&request, *text);
	assert_int_equal(record_route(via, &request, &side, &side, &arena, &ours), 0);
	out = forwarded(via, &request, &target, ours.lines);
	free(*text);
	*text = out;
	message_done(&request);
	stw_arena_done(&arena);
}

/* A request of the dialog, which the proxy must know as such. */
static void bye_through(const struct proxy *via, char **text)
{
	struct stw_proxy_routing routing;
	struct message request;
	char *out;

	message_parse(&request, *text);
	assert_int_equal(stw_proxy_preprocess(&via->options, &request.msg, NULL, &routing), 0);
	assert_true(routing.in_dialog);
	assert_false(routing.forged);
	out = forwarded(via, &request, NULL, STW_STR_NONE);
	free(*text);
	*text = out;
	message_done(&request);
}

#define DIALOG                                                                                     \
	"Max-Forwards: 70\r\nFrom: <sip:caller@u1.example.com>;tag=a\r\n"                          \
	"To: <sip:callee@domain.com>%s\r\nCall-ID: c1\r\nCSeq: 1 %s\r\nContent-Length: 0\r\n\r\n"

static char *request_new(const char *method, const char *uri, const char *routes, const char *tag)
{
	char *text = malloc(4096);

	assert_non_null(text);
	snprintf(text, 4096, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP u.com;branch=z9hG4bKu\r\n%s" DIALOG,
		method, uri, routes, tag, method);
	return text;
}

static unsigned count(const char *text, const char *part)
{
	unsigned n = 0;

	for (; (text = strstr(text, part)); text++)
		n++;
	return n;
}

/* §16.12.1.1 */
static void basic_trapezoid(void **state)
{
	char *text = request_new("INVITE", "sip:callee@domain.com", "", ""), first[200],
	     second[200];
	char routes[600];
	struct proxy p1, p2;

	proxy_init(&p1, "p1.example.com", "192.0.2.1");
	proxy_init(&p2, "p2.domain.com", "192.0.2.2");
	invite_through(&p1, &text, "sip:callee@domain.com");
	line_value(text, "Record-Route: ", first, sizeof(first));
	invite_through(&p2, &text, "sip:callee@u2.domain.com");
	line_value(text, "Record-Route: ", second, sizeof(second));
	assert_memory_equal(text, "INVITE sip:callee@u2.domain.com SIP/2.0\r\n", 41);
	assert_memory_equal(first, "<sip:p1.example.com;lr;stw=", 27);
	assert_memory_equal(second, "<sip:p2.domain.com;lr;stw=", 26);
	assert_int_equal(count(text, "Record-Route: "), 2);
	assert_int_equal(count(text, "Via: "), 3);
	assert_non_null(strstr(text, "Max-Forwards: 68\r\n"));
	free(text);

	snprintf(routes, sizeof(routes), "Route: %s,%s\r\n", first, second);
	text = request_new("BYE", "sip:callee@u2.domain.com", routes, ";tag=b");
	bye_through(&p1, &text);
	line_value(text, "Route: ", routes, sizeof(routes));
	assert_string_equal(routes, second);
	bye_through(&p2, &text);
	assert_null(strstr(text, "Route:"));
	assert_memory_equal(text, "BYE sip:callee@u2.domain.com SIP/2.0\r\n", 38);
	free(text);
}

/* §16.12.1.2: P3 routes strictly; U2 hangs up. */
static void strict_router_on_the_way(void **state)
{
	char *text = request_new("INVITE", "sip:callee@domain.com", "", "");
	char rr1[200], rr2[200], rr4[200], routes[800], expected[4096];
	struct proxy p1, p2, p4;

	proxy_init(&p1, "p1.example.com", "192.0.2.1");
	proxy_init(&p2, "p2.example.com", "192.0.2.2");
	proxy_init(&p4, "p4.domain.com", "192.0.2.4");
	invite_through(&p1, &text, "sip:callee@domain.com");
	line_value(text, "Record-Route: ", rr1, sizeof(rr1));
	invite_through(&p2, &text, "sip:callee@domain.com");
	line_value(text, "Record-Route: ", rr2, sizeof(rr2));
	invite_through(&p4, &text, "sip:callee@u2.domain.com");
	line_value(text, "Record-Route: ", rr4, sizeof(rr4));
	free(text);

	snprintf(routes, sizeof(routes),
		"Route: %s\r\nRoute: <sip:p3.middle.com>\r\nRoute: %s\r\nRoute: %s\r\n", rr4, rr2,
		rr1);
	text = request_new("BYE", "sip:caller@u1.example.com", routes, ";tag=b");
	bye_through(&p4, &text);
	snprintf(expected, sizeof(expected),
		"BYE sip:p3.middle.com SIP/2.0\r\nVia: " FORWARD_VIA
		"\r\nVia: SIP/2.0/UDP u.com;branch=z9hG4bKu\r\nRoute: %s\r\nRoute: %s\r\n"
		"Route: <sip:caller@u1.example.com>\r\nMax-Forwards: 69\r\n",
		rr2, rr1);
	assert_memory_equal(text, expected, strlen(expected));
	free(text);

	/* what P3 makes of it */
	snprintf(
		routes, sizeof(routes), "Route: %s\r\nRoute: <sip:caller@u1.example.com>\r\n", rr1);
	snprintf(expected, sizeof(expected), "%.*s", (int)strlen(rr2) - 2, rr2 + 1);
	text = request_new("BYE", expected, routes, ";tag=b");
	bye_through(&p2, &text);
	assert_memory_equal(text, "BYE sip:caller@u1.example.com SIP/2.0\r\n", 39);
	line_value(text, "Route: ", routes, sizeof(routes));
	assert_string_equal(routes, rr1);
	assert_int_equal(count(text, "Route:"), 1);
	bye_through(&p1, &text);
	assert_memory_equal(text, "BYE sip:caller@u1.example.com SIP/2.0\r\n", 39);
	assert_null(strstr(text, "Route:"));
	free(text);
}

/* ---- RFC 4475: forwarded without a change in what is not ours (mpart01 has a strict router) ---
 */

static const char *const torture[] = { "rfc4475/wsinv", "rfc4475/longreq", "rfc4475/intmeth",
	"rfc4475/esc01", "rfc4475/escnull", "rfc4475/esc02", "rfc4475/lwsdisp", "rfc4475/dblreq",
	"rfc4475/semiuri", "rfc4475/transports", "rfc4475/baddate", "rfc4475/regbadct",
	"rfc4475/unksm2", "rfc4475/invut", "rfc4475/regaut01", "rfc4475/cparam01",
	"rfc4475/cparam02", "rfc4475/regescrt", "rfc4475/sdp01", "rfc4475/inv2543",
	"rfc5118/ipv6-good", "rfc5118/port-ambiguous", "rfc5118/port-unambiguous",
	"rfc5118/ipv6-in-sdp", "rfc5118/mult-ip-in-header", "rfc5118/ipv4-mapped-ipv6" };

/* All fields but the ones we may touch, byte for byte, in their order. */
static void assert_fields_kept(const struct stw_msg *before, const struct stw_msg *after)
{
	unsigned j = 0;

	for (unsigned i = 0; i < before->field_count; i++) {
		const struct stw_field *a = &before->fields[i], *b = NULL;

		if (a->header == STW_HDR_MAX_FORWARDS)
			continue;
		for (; j < after->field_count; j++) {
			b = &after->fields[j];
			if (b->end - b->start == a->end - a->start &&
				memcmp(before->data + a->start, after->data + b->start,
					a->end - a->start) == 0)
				break;
		}
		if (j == after->field_count)
			fail_msg(
				"changed: %.*s", (int)(a->end - a->start), before->data + a->start);
		j++;
	}
	assert_true(stw_str_equal(stw_msg_body(before), stw_msg_body(after)));
	assert_true(stw_str_equal(stw_msg_method_name(before), stw_msg_method_name(after)));
}

static void torture_forwarded(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(torture); i++) {
		struct stw_proxy_routing routing;
		struct stw_forward_options options = {
			.proxy = &proxy.options, .routing = &routing, .via = STW_STR(FORWARD_VIA)
		};
		static struct message before, after;
		struct stw_slices slices;
		struct stw_arena arena;
		char path[200], *data, *text;
		size_t len;

		snprintf(path, sizeof(path), STW_SOURCE_ROOT "/tests/torture/%s.dat", torture[i]);
		data = support_read_file(path, &len);
		message_take(&before, data, len);
		stw_arena_init(&arena, 65536);
		options.request = &before.msg;
		assert_int_equal(
			stw_proxy_preprocess(&proxy.options, &before.msg, NULL, &routing), 0);
		assert_int_equal(stw_forward_build(&options, &arena, &slices), 0);
		text = joined(slices);
		message_take(&after, text, stw_slices_bytes(slices));
		assert_fields_kept(&before.msg, &after.msg);
		assert_str(after.msg.via.branch, "z9hG4bKp1");
		assert_true(stw_str_equal(before.msg.uri.text, after.msg.uri.text));
		message_done(&before);
		message_done(&after);
		stw_arena_done(&arena);
		free(text);
		free(data);
	}
}

static int setup(void **state)
{
	proxy_init(&proxy, "p1.example.com", "192.0.2.1");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_bytes),
		cmocka_unit_test(without_target),
		cmocka_unit_test(stamp_breadth_length),
		cmocka_unit_test(allocations),
		cmocka_unit_test(arena_limits),
		cmocka_unit_test(allocation_failure),
		cmocka_unit_test(refused),
		cmocka_unit_test(sips_next_hop),
		cmocka_unit_test(basic_trapezoid),
		cmocka_unit_test(strict_router_on_the_way),
		cmocka_unit_test(torture_forwarded),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
