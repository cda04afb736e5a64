/* SPDX-License-Identifier: Apache-2.0 */
#include "forward_support.h"

#define TAIL                                                                                       \
	"From: <sip:a@x.com>;tag=a\r\nTo: <sip:b@y.com>;tag=b\r\nCall-ID: c1\r\nCSeq: 1 "          \
	"INVITE\r\n"
#define OURS  "SIP/2.0/UDP p1.example.com;branch=z9hG4bKp1"
#define UDP   "SIP/2.0/UDP u1.example.com;branch=z9hG4bKu1;received=192.0.2.7"
#define TCP   "SIP/2.0/TCP u1.example.com;branch=z9hG4bKu1"
#define START "SIP/2.0 200 OK\r\n"

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
		struct message response;
		struct stw_arena arena;
		struct stw_slices slices;
		char *text;

		stw_arena_init(&arena, 4096);
		message_parse(&response, cases[i].in);
		assert_int_equal(stw_relay_build(&response.msg, stw_str_from(cases[i].lines),
					 STW_STR_NONE, &arena, &slices),
			0);
		text = joined(slices);
		assert_string_equal(text, cases[i].out);
		free(text);
		message_done(&response);
		stw_arena_done(&arena);
	}
}

static void allocation_failure(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct message response;
		struct stw_arena arena;
		struct stw_slices slices;

		stw_arena_init(&arena, 4096);
		message_parse(&response, cases[i].in);
		support_fail_allocation(1);
		assert_int_equal(
			stw_relay_build(&response.msg, STW_STR_NONE, STW_STR_NONE, &arena, &slices),
			-ENOMEM);
		support_fail_allocation(0);
		message_done(&response);
		stw_arena_done(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_bytes),
		cmocka_unit_test(allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
