/* SPDX-License-Identifier: Apache-2.0 */
#include "guarded.h"

#include <stdio.h>

#define VIA   "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n"
#define FROM  "From: <sip:a@b>;tag=1\r\n"
#define TO    "To: <sip:c@d>\r\n"
#define ID    "Call-ID: x@y\r\n"
#define CSEQ  "CSeq: 1 OPTIONS\r\n"
#define START "OPTIONS sip:c@d SIP/2.0\r\n"

static const struct {
	const char *in, *cause;
} cases[] = {
	{ START VIA FROM TO ID CSEQ "\r\n", "" },
	{ START FROM TO ID CSEQ "\r\n", "missing-via" },
	{ START VIA TO ID CSEQ "\r\n", "missing-from" },
	{ START VIA FROM ID CSEQ "\r\n", "missing-to" },
	{ START VIA FROM TO CSEQ "\r\n", "missing-call-id" },
	{ START VIA FROM TO ID "\r\n", "missing-cseq" },
	{ START "Via: x\r\n" FROM TO ID CSEQ "\r\n", "bad-via" },
	{ START "Via: ,,\r\n" FROM TO ID CSEQ "\r\n", "bad-via" },
	{ START "Via:\r\n" FROM TO ID CSEQ "\r\n", "bad-via" },
	{ START "Via: ,"
		"SIP/2.0/UDP h, broken\r\n" FROM TO ID CSEQ "\r\n",
		"" },
	{ START "Via: SIP/2.0/UDP h;branch=Z9hG4bK\r\n" FROM TO ID CSEQ "\r\n", "bad-branch" },
	{ "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK\r\n" FROM TO ID CSEQ "\r\n", "" },
	{ START VIA "From: a b\r\n" TO ID CSEQ "\r\n", "bad-from" },
	{ START VIA "From: *\r\n" TO ID CSEQ "\r\n", "bad-from" },
	{ START VIA FROM "To: <sip:c@d\r\n" ID CSEQ "\r\n", "bad-to" },
	{ START VIA FROM "To: *\r\n" ID CSEQ "\r\n", "bad-to" },
	{ START VIA FROM TO "Call-ID: a b\r\n" CSEQ "\r\n", "bad-call-id" },
	{ START VIA FROM TO "Call-ID: a@b@c\r\n" CSEQ "\r\n", "bad-call-id" },
	{ START VIA FROM TO "Call-ID: a@\r\n" CSEQ "\r\n", "bad-call-id" },
	{ START VIA FROM TO "Call-ID: @a\r\n" CSEQ "\r\n", "bad-call-id" },
	{ START VIA FROM TO "Call-ID:\r\n" CSEQ "\r\n", "bad-call-id" },
	{ START VIA FROM TO "Call-ID: \"<>(){}[]/?:\\\r\n" CSEQ "\r\n", "" },
	{ START VIA FROM TO ID "CSeq: OPTIONS\r\n\r\n", "bad-cseq" },
	{ START VIA FROM TO ID "CSeq: 2147483648 OPTIONS\r\n\r\n", "bad-cseq" },
	{ START VIA FROM TO ID "CSeq: 1 INVITE\r\n\r\n", "cseq-method-mismatch" },
	{ START VIA FROM TO ID "CSeq: 1 options\r\n\r\n", "cseq-method-mismatch" },
	{ "SIP/2.0 200 OK\r\n" VIA FROM TO ID "CSeq: 1 INVITE\r\n\r\n", "" },
	{ "OPTIONS sip:a b SIP/2.0\r\n" VIA FROM TO ID CSEQ "\r\n", "bad-request-uri" },
	{ "OPTIONS * SIP/2.0\r\n" VIA FROM TO ID CSEQ "\r\n", "bad-request-uri" },
	{ "OPTIONS sip:c@d?a=b SIP/2.0\r\n" VIA FROM TO ID CSEQ "\r\n", "bad-request-uri" },
	{ START VIA FROM TO ID CSEQ "Max-Forwards: x\r\n\r\n", "bad-max-forwards" },
	{ START VIA FROM TO ID CSEQ "Max-Forwards: 256\r\n\r\n", "" },
	{ START VIA FROM TO ID CSEQ "Max-Forwards: 0\r\n\r\n", "" },
	{ "SIP/2.0 200 OK\r\n" VIA FROM TO ID CSEQ "Max-Forwards: x\r\n\r\n", "" },
	/* not needed, so not judged */
	{ START VIA FROM TO ID CSEQ "Date: yesterday\r\nContact: <<\r\nExpires: x\r\n\r\n", "" },
	/* the first fault stays */
	{ START VIA FROM FROM ID CSEQ "\r\n", "header-repeated" },
	{ "OPTIONS sip:c@d SIP/3.0\r\n" VIA FROM "\r\n", "version-not-supported" },
};

static void test_cases(void **state)
{
	struct guarded_msg m;
	size_t i;
	int err;

	for (i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		guarded_parse(&m, cases[i].in);
		err = stw_msg_check(&m.msg, &m.fault);
		if (err != (cases[i].cause[0] ? -EBADMSG : 0) ||
			(err && strcmp(m.fault.cause->id, cases[i].cause)))
			fail_msg("%s: %d %s", cases[i].in, err, err ? m.fault.cause->id : "");
		guarded_done(&m);
	}
}

static void test_decoded(void **state)
{
	struct guarded_msg m;

	assert_int_equal(guarded_parse(&m, START VIA FROM TO ID CSEQ "\r\n"), 0);
	assert_int_equal(stw_msg_check(&m.msg, &m.fault), 0);
	assert_true(m.msg.has_via && m.msg.has_from && m.msg.has_to && m.msg.has_call_id &&
		    m.msg.has_cseq && m.msg.has_uri);
	assert_str(m.msg.via.branch, "z9hG4bK1");
	assert_str(m.msg.from.tag, "1");
	assert_null(m.msg.to.tag.ptr);
	assert_str(m.msg.call_id, "x@y");
	assert_int_equal(m.msg.cseq.number, 1);
	assert_str(m.msg.uri.user, "c");
	guarded_done(&m);

	assert_int_equal(
		guarded_parse(&m, "SIP/2.0 200 OK\r\n" VIA FROM TO ID "CSeq: 7 BYE\r\n\r\n"), 0);
	assert_int_equal(m.msg.method, STW_METHOD_UNKNOWN);
	assert_int_equal(stw_msg_check(&m.msg, &m.fault), 0);
	assert_int_equal(m.msg.method, STW_METHOD_BYE);
	guarded_done(&m);
}

/* A 400 must be addressable: what can be decoded is, also after a failed parse. */
static void test_after_fault(void **state)
{
	struct guarded_msg m;

	assert_int_equal(guarded_parse(&m, "OPTIONS  sip:c@d SIP/2.0\r\nrubbish\r\n" VIA FROM
					   "To: <\r\n" ID "CSeq: 1 INVITE\r\n\r\n"),
		-EBADMSG);
	assert_int_equal(stw_msg_check(&m.msg, &m.fault), -EBADMSG);
	assert_cause(m.fault.cause, "bad-request-line");
	assert_int_equal(m.fault.line, 1);
	assert_true(m.msg.has_via && m.msg.has_from && m.msg.has_call_id && m.msg.has_cseq);
	assert_false(m.msg.has_to);
	guarded_done(&m);
}

/* The place of a fault: line, offset and field. */
static void test_place(void **state)
{
	struct guarded_msg m;

	assert_int_equal(guarded_parse(&m, START VIA FROM "To: <\r\n" ID CSEQ "\r\n"), 0);
	assert_int_equal(stw_msg_check(&m.msg, &m.fault), -EBADMSG);
	assert_int_equal(m.fault.line, 4);
	assert_int_equal(m.fault.header, STW_HDR_TO);
	assert_int_equal(m.msg.data[m.fault.offset], '<');
	guarded_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_decoded),
		cmocka_unit_test(test_after_fault),
		cmocka_unit_test(test_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
