/* SPDX-License-Identifier: Apache-2.0 */
#include "guarded.h"

#include <stdio.h>

#define START "SIP/2.0 200 OK\r\n"

/* Values of one kind, joined by "|" for the eye. */
static const struct {
	const char *fields;
	enum stw_header header;
	const char *values;
} cases[] = {
	{ "", STW_HDR_ROUTE, "" },
	{ "Route: <sip:a>\r\n", STW_HDR_ROUTE, "<sip:a>" },
	{ "Route: <sip:a>,<sip:b> , <sip:c>\r\n", STW_HDR_ROUTE, "<sip:a>|<sip:b>|<sip:c>" },
	{ "Route: <sip:a>\r\nTo: x\r\nRoute: <sip:b>\r\n", STW_HDR_ROUTE, "<sip:a>|<sip:b>" },
	{ "Route: ,, <sip:a>,\r\n ,\r\nRoute:\r\nRoute: ,<sip:b>\r\n", STW_HDR_ROUTE,
		"<sip:a>|<sip:b>" },
	{ "m: \"a,b\" <sip:x,y@z>;q=1,sip:q\r\n", STW_HDR_CONTACT,
		"\"a,b\" <sip:x,y@z>;q=1|sip:q" },
	{ "m: \"a\\\",b\" <sip:x>, sip:q\r\n", STW_HDR_CONTACT, "\"a\\\",b\" <sip:x>|sip:q" },
	{ "m: \"open, <sip:x>\r\n", STW_HDR_CONTACT, "\"open, <sip:x>" },
	{ "m: <sip:open, sip:x\r\n", STW_HDR_CONTACT, "<sip:open, sip:x" },
	{ "m: <sip:a(b@c>, <sip:d>\r\n", STW_HDR_CONTACT, "<sip:a(b@c>|<sip:d>" },
	{ "Supported: a\r\n ,b\r\nk: c\r\n", STW_HDR_SUPPORTED, "a|b|c" },
	/* no list: a line is a value */
	{ "Authorization: Digest a=b, c=d\r\nAuthorization: Digest e\r\n", STW_HDR_AUTHORIZATION,
		"Digest a=b, c=d|Digest e" },
	{ "Date: Sat, 13 Nov 2010 23:29:00 GMT\r\n", STW_HDR_DATE,
		"Sat, 13 Nov 2010 23:29:00 GMT" },
	{ "Server: a, b\r\n", STW_HDR_SERVER, "a, b" },
};

static void join(struct stw_writer *writer, struct stw_str value)
{
	if (writer->len)
		stw_write_char(writer, '|');
	stw_write_str(writer, value);
}

static void test_values(void **state)
{
	struct stw_values values;
	struct stw_writer writer;
	struct stw_str value;
	struct guarded_msg m;
	char text[1024], joined[1024];
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), START "%s\r\n", cases[i].fields);
		assert_int_equal(guarded_parse(&m, text), 0);
		stw_writer_init(&writer, joined, sizeof(joined));
		values = stw_msg_values(&m.msg, cases[i].header);
		while (stw_values_next(&values, &value)) {
			assert_true(value.ptr >= m.msg.data + values.field->value);
			assert_true(value.ptr + value.len <=
				    m.msg.data + values.field->value + values.field->value_len);
			join(&writer, value);
		}
		assert_false(stw_values_next(&values, &value));
		assert_str(stw_writer_text(&writer), cases[i].values);
		guarded_done(&m);
	}
}

/* The topmost Via is decoded; what is below it, wherever it stands. */
static void test_vias_below(void **state)
{
	static const struct {
		const char *vias, *below;
	} lines[] = {
		{ "Via: SIP/2.0/UDP a\r\n", "" },
		{ "Via: SIP/2.0/UDP a , \r\n", "" },
		{ "Via: SIP/2.0/UDP a,SIP/2.0/UDP b\r\n", "SIP/2.0/UDP b" },
		{ "Via: SIP/2.0/UDP a\r\nTo: <sip:t>\r\nv: SIP/2.0/UDP b, SIP/2.0/UDP c\r\n",
			"SIP/2.0/UDP b|SIP/2.0/UDP c" },
		{ "v: SIP/2.0/UDP a ,, SIP/2.0/UDP b\r\nVia: SIP/2.0/UDP c\r\n",
			"SIP/2.0/UDP b|SIP/2.0/UDP c" },
		{ "Via: ,\r\nVia: ,\r\nVia: SIP/2.0/UDP a\r\n", "" },
		{ "", "" },
		{ "Via: ,\r\n", "" },
		{ "Via: SIP/2.0/UDP\r\nVia: SIP/2.0/UDP a\r\n", "" },
		{ "Via: ,\r\nVia: SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b\r\n", "SIP/2.0/UDP b" },
	};
	struct stw_values values;
	struct stw_writer writer;
	struct stw_fault fault;
	struct stw_str value;
	struct guarded_msg m;
	char text[256], joined[256];

	for (size_t i = 0; i < STW_ARRAY_SIZE(lines); i++) {
		snprintf(text, sizeof(text), START "%s\r\n", lines[i].vias);
		assert_int_equal(guarded_parse(&m, text), 0);
		(void)stw_msg_check(&m.msg, &fault);
		stw_writer_init(&writer, joined, sizeof(joined));
		values = stw_msg_vias_below(&m.msg);
		while (stw_values_next(&values, &value))
			join(&writer, value);
		assert_str(stw_writer_text(&writer), lines[i].below);
		guarded_done(&m);
	}
}

static void test_has_token(void **state)
{
	struct guarded_msg m;

	assert_int_equal(
		guarded_parse(&m, START "k: path, Outbound\r\nSupported: 100rel\r\n\r\n"), 0);
	assert_true(stw_msg_has_token(&m.msg, STW_HDR_SUPPORTED, STW_STR("path")));
	assert_true(stw_msg_has_token(&m.msg, STW_HDR_SUPPORTED, STW_STR("outbound")));
	assert_true(stw_msg_has_token(&m.msg, STW_HDR_SUPPORTED, STW_STR("100REL")));
	assert_false(stw_msg_has_token(&m.msg, STW_HDR_SUPPORTED, STW_STR("100")));
	assert_false(stw_msg_has_token(&m.msg, STW_HDR_REQUIRE, STW_STR("path")));
	guarded_done(&m);
}

static void test_accepts(void **state)
{
	static const struct {
		const char *accept;
		bool sdp;
	} asked[] = { { "", false }, { "Accept:\r\n", false }, { "Accept: text/plain\r\n", false },
		{ "Accept: text/plain, Application/SDP;q=0.5\r\n", true },
		{ "Accept: text/*\r\nAccept: application/*\r\n", true },
		{ "Accept: application/*+xml\r\n", false }, { "Accept: */*\r\n", true } };
	struct guarded_msg m;

	for (size_t i = 0; i < STW_ARRAY_SIZE(asked); i++) {
		char text[200];

		snprintf(text, sizeof(text), START "%s\r\n", asked[i].accept);
		assert_int_equal(guarded_parse(&m, text), 0);
		assert_int_equal(stw_msg_accepts(&m.msg, STW_STR("application/sdp")), asked[i].sdp);
		guarded_done(&m);
	}
}

static void test_number(void **state)
{
	struct guarded_msg m;
	uint64_t number = 0;

	assert_int_equal(guarded_parse(&m, START "Expires: 0060\r\nMax-Forwards: 256\r\nRSeq: "
						 "-1\r\nMin-SE: 9 0\r\nTimestamp:\r\n"
						 "Max-Breadth: 99999999999999999999999999\r\n\r\n"),
		0);
	assert_int_equal(stw_msg_number(&m.msg, STW_HDR_EXPIRES, 60, &number), 0);
	assert_int_equal(number, 60);
	assert_int_equal(stw_msg_number(&m.msg, STW_HDR_EXPIRES, 59, &number), -ERANGE);
	assert_int_equal(stw_msg_number(&m.msg, STW_HDR_MAX_FORWARDS, 255, &number), -ERANGE);
	assert_int_equal(stw_msg_number(&m.msg, STW_HDR_RSEQ, 255, &number), -EBADMSG);
	assert_int_equal(stw_msg_number(&m.msg, STW_HDR_MIN_SE, 255, &number), -EBADMSG);
	assert_int_equal(stw_msg_number(&m.msg, STW_HDR_TIMESTAMP, 255, &number), -EBADMSG);
	assert_int_equal(stw_msg_number(&m.msg, STW_HDR_MAX_BREADTH, UINT64_MAX, &number), -ERANGE);
	assert_int_equal(stw_msg_number(&m.msg, STW_HDR_RETRY_AFTER, 255, &number), -ENOENT);
	guarded_done(&m);
}

static void test_find(void **state)
{
	const struct stw_field *field;
	struct guarded_msg m;

	assert_int_equal(
		guarded_parse(&m, START "X-A: 1\r\nX-B: 2\r\nx-a: 3\r\nTo: <sip:t>\r\n\r\n"), 0);
	field = stw_msg_find_name(&m.msg, STW_STR("x-A"));
	assert_str(stw_field_value(&m.msg, field), "1");
	field = stw_msg_find_next(&m.msg, field);
	assert_str(stw_field_value(&m.msg, field), "3");
	assert_null(stw_msg_find_next(&m.msg, field));
	assert_null(stw_msg_find_name(&m.msg, STW_STR("X-C")));
	assert_ptr_equal(stw_msg_find_name(&m.msg, STW_STR("t")), stw_msg_find(&m.msg, STW_HDR_TO));
	assert_null(stw_msg_find(&m.msg, STW_HDR_UNKNOWN));
	assert_null(stw_msg_value(&m.msg, STW_HDR_FROM).ptr);
	guarded_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_vias_below),
		cmocka_unit_test(test_has_token),
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
