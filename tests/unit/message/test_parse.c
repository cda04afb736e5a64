/* SPDX-License-Identifier: Apache-2.0 */
#include "guarded.h"

#include <stdio.h>
#include <stdlib.h>

#define REST "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\r\n"

/* One message a row: what stw_msg_parse() says of it. */
static const struct {
	const char *in;
	int err;
	const char *cause;
	unsigned line;
} cases[] = {
	{ "INVITE sip:a@b SIP/2.0\r\n" REST, 0, "", 0 },
	{ "INVITE sip:a@b sip/2.0\r\n" REST, 0, "", 0 },
	{ "\r\n\r\nINVITE sip:a@b SIP/2.0\r\n" REST, 0, "", 0 },
	{ "FOO.bar-1 tel:1 SIP/2.0\r\n" REST, 0, "", 0 },
	{ "SIP/2.0 200 OK\r\n" REST, 0, "", 0 },
	{ "SIP/2.0 699\r\n" REST, 0, "", 0 },
	{ "SIP/2.0 100 \r\n" REST, 0, "", 0 },
	/* no SIP at all */
	{ "", -EAGAIN, "not-sip", 1 },
	{ "\r\n", -EAGAIN, "not-sip", 1 },
	{ "\r\n\r\n", -EAGAIN, "not-sip", 1 },
	{ "GET / HTTP/1.1\r\nHost: x\r\n\r\n", -EAGAIN, "not-sip", 1 },
	{ "hello", -EAGAIN, "not-sip", 1 },
	{ "\x01\x02", -EAGAIN, "not-sip", 1 },
	{ "INVITE", -EBADMSG, "bad-header-syntax", 1 },
	/* start lines */
	{ "INVITE sip:a@b\r\n" REST, -EBADMSG, "bad-request-line", 1 },
	{ "INVITE  sip:a@b SIP/2.0\r\n" REST, -EBADMSG, "bad-request-line", 1 },
	{ "INVITE sip:a@b  SIP/2.0\r\n" REST, -EBADMSG, "bad-request-line", 1 },
	{ "INVITE sip:a@b SIP/2.0 \r\n" REST, -EBADMSG, "bad-request-line", 1 },
	{ "INVITE SIP/2.0\r\n" REST, -EBADMSG, "bad-request-line", 1 },
	{ "IN@VITE sip:a@b SIP/2.0\r\n" REST, -EBADMSG, "bad-request-line", 1 },
	{ "INVITE sip:a@b SIP/2\r\n" REST, -EBADMSG, "bad-request-line", 1 },
	{ "INVITE sip:a@b SIP/2.x\r\n" REST, -EBADMSG, "bad-request-line", 1 },
	{ "INVITE sip:a@b SIP/3.0\r\n" REST, -EBADMSG, "version-not-supported", 1 },
	{ "INVITE sip:a@b SIP/2.01\r\n" REST, -EBADMSG, "version-not-supported", 1 },
	{ "INVITE  sip:a@b  SIP/7.0  \r\nx\r\n" REST, -EBADMSG, "version-not-supported", 1 },
	{ "SIP/3.0 200 OK\r\n" REST, -EBADMSG, "version-not-supported", 1 },
	{ "SIP/2.0 99 OK\r\n" REST, -EBADMSG, "bad-status-line", 1 },
	{ "SIP/2.0 099 OK\r\n" REST, -EBADMSG, "bad-status-line", 1 },
	{ "SIP/2.0 700 OK\r\n" REST, -EBADMSG, "bad-status-line", 1 },
	{ "SIP/2.0 2000 OK\r\n" REST, -EBADMSG, "bad-status-line", 1 },
	{ "SIP/2.0 200OK\r\n" REST, -EBADMSG, "bad-status-line", 1 },
	{ "SIP/2.0  200 OK\r\n" REST, -EBADMSG, "bad-status-line", 1 },
	{ "SIP/2.0\r\n" REST, -EBADMSG, "bad-status-line", 1 },
	/* header fields */
	{ "SIP/2.0 200 OK\r\nA b: c\r\n\r\n", -EBADMSG, "bad-header-syntax", 2 },
	{ "SIP/2.0 200 OK\r\nA: b\r\nno colon\r\n\r\n", -EBADMSG, "bad-header-syntax", 3 },
	{ "SIP/2.0 200 OK\r\n: b\r\n\r\n", -EBADMSG, "bad-header-syntax", 2 },
	{ "SIP/2.0 200 OK\r\n A: b\r\n\r\n", -EBADMSG, "bad-header-syntax", 2 },
	{ "SIP/2.0 200 OK\r\nA: b\n\r\n", -EBADMSG, "bad-header-syntax", 2 },
	{ "SIP/2.0 200 OK\r\nA: b\rc\r\n\r\n", -EBADMSG, "bad-header-syntax", 2 },
	{ "SIP/2.0 200 OK\r\nA: b\r\n", -EBADMSG, "bad-header-syntax", 3 },
	{ "SIP/2.0 200 OK\r\nA: b", -EBADMSG, "bad-header-syntax", 2 },
	{ "SIP/2.0 200 OK\r\nA: b\r\n\n", -EBADMSG, "bad-header-syntax", 3 },
	{ "SIP/2.0 200 OK\r\nA:\r\nB :\t\r\n c\r\n\r\n", 0, "", 0 },
	{ "SIP/2.0 200 OK\r\nFrom: <sip:a@b>\r\nf: <sip:a@b>\r\n\r\n", -EBADMSG, "header-repeated",
		3 },
	{ "SIP/2.0 200 OK\r\nSubject: a\r\ns: b\r\nUser-Agent: a\r\nUser-Agent: b\r\n\r\n", 0, "",
		0 },
	{ "SIP/2.0 200 OK\r\nRoute: <sip:a>\r\nRoute: <sip:b>\r\n\r\n", 0, "", 0 },
	/* Content-Length and body */
	{ "SIP/2.0 200 OK\r\nl: 0\r\n\r\nmore", 0, "", 0 },
	{ "SIP/2.0 200 OK\r\nl:4\r\n\r\nmore", 0, "", 0 },
	{ "SIP/2.0 200 OK\r\nl: 5\r\n\r\nmore", -EBADMSG, "body-incomplete", 4 },
	{ "SIP/2.0 200 OK\r\nl: -1\r\n\r\n", -EBADMSG, "bad-content-length", 2 },
	{ "SIP/2.0 200 OK\r\nl:\r\n\r\n", -EBADMSG, "bad-content-length", 2 },
	{ "SIP/2.0 200 OK\r\nl: 4, 4\r\n\r\nmore", -EBADMSG, "bad-content-length", 2 },
	{ "SIP/2.0 200 OK\r\nl: 4\r\nContent-Length: 4\r\n\r\nmore", -EBADMSG,
		"content-length-twice", 3 },
	{ "SIP/2.0 200 OK\r\nl: 99999999999999999999999\r\n\r\n", -EBADMSG, "body-too-large", 4 },
	/* the graver fault wins, wherever it stands */
	{ "INVITE  sip:a@b SIP/2.0\r\nx\r\nl: 999999999\r\n\r\n", -EBADMSG, "body-too-large", 5 },
};

static void test_cases(void **state)
{
	struct guarded_msg m;
	size_t i;
	int err;

	for (i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		err = guarded_parse(&m, cases[i].in);
		if (err != cases[i].err || (err && strcmp(m.fault.cause->id, cases[i].cause)) ||
			(err && m.fault.line != cases[i].line))
			fail_msg("%s: %d %s line %u", cases[i].in, err,
				err ? m.fault.cause->id : "", m.fault.line);
		guarded_done(&m);
	}
}

static void test_index(void **state)
{
	static const char text[] = "INVITE sip:bob@b SIP/2.0\r\n"
				   "Subject :  a\r\n\t folded  \r\n"
				   "v: SIP/2.0/UDP one\r\n"
				   "X-Odd:\r\n"
				   "VIA: SIP/2.0/UDP two\r\n"
				   "l: 3\r\n"
				   "\r\n"
				   "abcdef";
	const struct stw_field *field;
	struct guarded_msg m;

	assert_int_equal(guarded_parse(&m, text), 0);
	assert_true(m.msg.is_request);
	assert_int_equal(m.msg.method, STW_METHOD_INVITE);
	assert_str(stw_msg_method_name(&m.msg), "INVITE");
	assert_str(stw_msg_text(&m.msg, m.msg.uri_at, m.msg.uri_len), "sip:bob@b");
	assert_int_equal(m.msg.start_len, 24);
	assert_int_equal(m.msg.headers_at, 26);
	assert_int_equal(m.msg.field_count, 5);
	assert_str(stw_msg_value(&m.msg, STW_HDR_SUBJECT), "a\r\n\t folded");
	field = stw_msg_find(&m.msg, STW_HDR_SUBJECT);
	assert_str(stw_field_name(&m.msg, field), "Subject");
	assert_int_equal(field->start, 26);
	assert_str(stw_msg_text(&m.msg, field->end, 2), "v:");
	field = stw_msg_find(&m.msg, STW_HDR_VIA);
	assert_str(stw_field_value(&m.msg, field), "SIP/2.0/UDP one");
	field = stw_msg_find_next(&m.msg, field);
	assert_str(stw_field_value(&m.msg, field), "SIP/2.0/UDP two");
	assert_null(stw_msg_find_next(&m.msg, field));
	field = stw_msg_find_name(&m.msg, STW_STR("x-odd"));
	assert_str(stw_field_value(&m.msg, field), "");
	assert_str(stw_msg_body(&m.msg), "abc");
	assert_int_equal(m.msg.len, sizeof(text) - 1 - 3);
	guarded_done(&m);

	assert_int_equal(guarded_parse(&m, "SIP/2.0 486 Busy Here\r\n\r\nrest"), 0);
	assert_false(m.msg.is_request);
	assert_int_equal(m.msg.code, 486);
	assert_str(stw_msg_phrase(&m.msg), "Busy Here");
	assert_str(stw_msg_body(&m.msg), "rest");
	guarded_done(&m);
}

/* The vectorised search finds a stop at each place of a block. */
static void test_line_lengths(void **state)
{
	char text[512];
	struct guarded_msg m;
	int pad, len;

	for (pad = 0; pad < 100; pad++) {
		len = snprintf(
			text, sizeof(text), "SIP/2.0 200 OK\r\nX:%0*d\r\nl: 0\r\n\r\n", pad + 1, 7);
		assert_int_equal(guarded_parse_bytes(&m, text, (size_t)len, NULL), 0);
		assert_int_equal(m.fields[0].value_len, pad + 1);
		assert_int_equal(m.msg.field_count, 2);
		guarded_done(&m);
		text[18 + pad] = '\n';
		assert_int_equal(guarded_parse_bytes(&m, text, (size_t)len, NULL), -EBADMSG);
		guarded_done(&m);
		text[18 + pad] = '\0';
		assert_int_equal(guarded_parse_bytes(&m, text, (size_t)len, NULL), -EBADMSG);
		assert_int_equal(m.fault.offset, 18 + pad);
		guarded_done(&m);
		if (!pad)
			continue;
		text[17 + pad] = '\\';
		assert_int_equal(guarded_parse_bytes(&m, text, (size_t)len, NULL), 0);
		guarded_done(&m);
	}
}

static void test_limits(void **state)
{
	struct stw_msg_limits limits = { 200, 20, 10, 3, 40, false };
	static const struct {
		const char *in, *cause;
	} rows[] = {
		{ "OPTIONS sip:a@b SIP/2.0\r\nA: b\r\n\r\n", "" },
		{ "OPTIONS sip:a@0123456789.0123456789 SIP/2.0\r\nA: b\r\n\r\n", "uri-too-long" },
		{ "OPTIONS sip:a@0123456789.0123456789 SIP/3.0\r\nA: b\r\n\r\n",
			"version-not-supported" },
		{ "OPTIONS sip:a@b SIP/2.0\r\nl: 11\r\n\r\n", "body-too-large" },
		{ "OPTIONS sip:a@b SIP/2.0\r\n\r\n01234567890", "body-too-large" },
		{ "OPTIONS sip:a@b SIP/2.0\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n\r\n",
			"too-many-headers" },
		{ "OPTIONS sip:a@b SIP/2.0\r\nA: 01234567890123456789012345678901234\r\n\r\n", "" },
		{ "OPTIONS sip:a@b SIP/2.0\r\nA: 012345678901234567890123456789012345\r\n\r\n",
			"header-too-large" },
		{ "OPTIONS sip:a@b SIP/2.0\r\n"
		  "A: 0123456789012345678901234567890123\r\nA: "
		  "0123456789012345678901234567890123\r\n"
		  "A: 0123456789012345678901234567890123\r\nA: "
		  "0123456789012345678901234567890123\r\n"
		  "A: 0123456789012345678901234567890123\r\n\r\n",
			"too-many-headers" },
	};
	struct guarded_msg m;
	size_t i;
	int err;

	for (i = 0; i < STW_ARRAY_SIZE(rows); i++) {
		err = guarded_parse_bytes(&m, rows[i].in, strlen(rows[i].in), &limits);
		assert_cause(err ? m.fault.cause : NULL, rows[i].cause);
		guarded_done(&m);
	}

	limits.max_headers = 30;
	assert_int_equal(
		guarded_parse_bytes(&m, rows[8].in, strlen(rows[8].in), &limits), -EBADMSG);
	assert_cause(m.fault.cause, "message-too-large");
	assert_int_equal(m.msg.len, 200);
	guarded_done(&m);
}

/* No room in the caller's index is the limit as well. */
static void test_capacity(void **state)
{
	struct guarded_msg m;
	struct stw_str text = guard("SIP/2.0 200 OK\r\nA: b\r\nC: d\r\n\r\n");

	m.msg.fields = m.fields;
	m.msg.field_capacity = 1;
	assert_int_equal(stw_msg_parse(&m.msg, text.ptr, text.len, NULL, &m.fault), -EBADMSG);
	assert_cause(m.fault.cause, "too-many-headers");
	assert_int_equal(m.msg.field_count, 1);
	unguard(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_line_lengths),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_capacity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
