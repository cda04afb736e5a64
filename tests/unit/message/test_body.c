/* SPDX-License-Identifier: Apache-2.0 */
#include "guarded.h"

#include <stdio.h>

#define START  "INVITE sip:b@c SIP/2.0\r\n"
#define MIXED  "Content-Type: multipart/mixed;boundary=x\r\n"
#define CHOICE "Content-Type: multipart/alternative;boundary=x\r\n"
#define SDP    "--x\r\nContent-Type: application/sdp\r\n"
#define OTHER  "--x\r\nContent-Type: a/b\r\n"
#define MAYBE  "Content-Disposition: session;handling=optional\r\n"
#define EARLY  "Content-Disposition: early-session\r\n"
#define END    "\r\n--x--"

/* What must be understood and is not; and the description that is found nevertheless. */
static const struct {
	const char *fields, *body;
	enum stw_body_fault fault;
	const char *description;
} cases[] = {
	{ MIXED, "", STW_BODY_UNDERSTOOD, NULL },
	{ "", "v", STW_BODY_TYPE, NULL },
	{ "c: Application/SDP ; a=b\r\n", "v", STW_BODY_UNDERSTOOD, "v" },
	{ "c: application/sdp\r\n" MAYBE, "v", STW_BODY_UNDERSTOOD, "v" },
	{ "c: application/sdp\r\n" EARLY, "v", STW_BODY_TYPE, NULL },
	{ "c: application/sdp\r\ne: identity, gzip\r\n", "v", STW_BODY_ENCODING, NULL },
	{ "c: application/sdp\r\nContent-Language: en-GB, de\r\n", "v", STW_BODY_LANGUAGE, "v" },
	{ "c: a/b\r\n" MAYBE, "v", STW_BODY_UNDERSTOOD, NULL },
	{ MIXED, SDP "\r\none\r\n" SDP "\r\ntwo" END, STW_BODY_UNDERSTOOD, "one" },
	{ MIXED, OTHER "\r\none\r\n" SDP "\r\ntwo" END, STW_BODY_TYPE, "two" },
	{ MIXED, OTHER MAYBE "\r\none\r\n" SDP "\r\ntwo" END, STW_BODY_UNDERSTOOD, "two" },
	{ MIXED, SDP EARLY "\r\none\r\n" SDP MAYBE "\r\ntwo" END, STW_BODY_TYPE, "two" },
	{ MIXED, SDP "Content-Encoding: gzip\r\n\r\none" END, STW_BODY_ENCODING, NULL },
	{ MIXED, SDP "Content-Language: tlh\r\n\r\none" END, STW_BODY_LANGUAGE, NULL },
	{ CHOICE, SDP "\r\none\r\n" SDP "\r\ntwo\r\n" OTHER "\r\nthree" END, STW_BODY_UNDERSTOOD,
		"two" },
	{ CHOICE, OTHER MAYBE "\r\none" END, STW_BODY_TYPE, NULL },
	{ MIXED,
		"--x\r\nContent-Type: "
		"multipart/related;boundary=y\r\n\r\n--y\r\n\r\nx\r\n--y--" END,
		STW_BODY_TYPE, NULL },
	{ MIXED,
		"--x\r\nContent-Type: multipart/related;boundary=y\r\n\r\n"
		"--y\r\nContent-Type: application/sdp\r\n\r\none\r\n--y--" END,
		STW_BODY_UNDERSTOOD, "one" },
	{ MIXED, SDP "\r\none", STW_BODY_BROKEN, NULL },
	{ "Content-Type: multipart/mixed\r\n", "v", STW_BODY_BROKEN, NULL },
};

static void test_cases(void **state)
{
	char text[1024];
	struct guarded_msg m;
	struct stw_str description;
	bool found;

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), START "%s\r\n%s", cases[i].fields, cases[i].body);
		assert_int_equal(guarded_parse(&m, text), 0);
		assert_int_equal(stw_body_check(&m.msg, STW_STR(STW_BODY_ACCEPT)), cases[i].fault);
		found = stw_body_description(&m.msg, &description);
		assert_int_equal(found, cases[i].description != NULL);
		if (found)
			assert_str(description, cases[i].description);
		guarded_done(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
