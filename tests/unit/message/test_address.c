/* SPDX-License-Identifier: Apache-2.0 */
#include "guarded.h"

#include <stdio.h>

static const struct {
	const char *in, *display, *uri;
	bool in_brackets;
	const char *params, *tag;
} good[] = {
	{ "sip:a@b", "", "sip:a@b", false, "", NULL },
	{ "sip:a@b;tag=1", "", "sip:a@b", false, ";tag=1", "1" },
	{ " sip:a@b  ;\r\n tag\t= 1 ", "", "sip:a@b", false, ";\r\n tag\t= 1", "1" },
	{ "<sip:a@b;x=y?z=1>;TAG=2;tag=3", "", "sip:a@b;x=y?z=1", true, ";TAG=2;tag=3", "2" },
	{ "caller<sip:a@b>", "caller", "sip:a@b", true, "", NULL },
	{ "A. B-c \t d <sip:a@b> ; q=0.5", "A. B-c \t d", "sip:a@b", true, "; q=0.5", NULL },
	{ "\"Quoted \\\"<x>\\\" string\"\r\n <sip:a@b>", "\"Quoted \\\"<x>\\\" string\"", "sip:a@b",
		true, "", NULL },
	{ "\"a\r\n \t\r\n \\\"b\\\r\n\t\" <sip:a@b>", "\"a\r\n \t\r\n \\\"b\\\r\n\t\"", "sip:a@b",
		true, "", NULL },
	{ "\"\"<sip:a@b>", "\"\"", "sip:a@b", true, "", NULL },
	{ "J\xc3\xb6rg <sip:a@b>", "J\xc3\xb6rg", "sip:a@b", true, "", NULL },
	{ "<tel:+1>;+sip.instance=\"<urn:uuid:1;2,3>\";expires=60", "", "tel:+1", true,
		";+sip.instance=\"<urn:uuid:1;2,3>\";expires=60", NULL },
	{ "http://a/b;tag=x", "", "http://a/b", false, ";tag=x", "x" },
	{ "<urn:service:sos>", "", "urn:service:sos", true, "", NULL },
};

static const char *const bad[] = {
	"",
	" ",
	"<>",
	"a",
	"a b",
	"\"",
	"\"a",
	"\"a\"",
	"\"a\" sip:a@b",
	"<sip:a@b",
	"sip:a@b>",
	"< sip:a@b>",
	"<sip:a@b >",
	"<sip:a b>",
	"a,b <sip:a@b>",
	"a@b <sip:a@b>",
	"\"a\" b <sip:a@b>",
	"sip:a@b?c=d",
	"sip:a,b@c",
	"sip:a@b c",
	"sip:a@b;",
	"<sip:a@b>;",
	"<sip:a@b>;;a",
	"<sip:a@b>;=a",
	"<sip:a@b>;a=",
	"<sip:a@b>;tag",
	"<sip:a@b>;tag=\"x\"",
	"<sip:a@b>;tag=a@b",
	"<sip:a@b> x",
	"<sip:a@b>,<sip:c@d>",
	"<sip:a@b>;a=\"open",
	"<sip:a@b>;a b",
	"*;a=b",
	"**",
	"<*>",
	"\"a\r\nb\" <sip:a@b>",
	"\"a\r\n \r\nb\" <sip:a@b>",
	"\"\r\n \r\n ",
	"\"\\\r",
};

static void test_good(void **state)
{
	struct stw_address address;
	struct stw_str text;
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(good); i++) {
		text = guard(good[i].in);
		if (stw_address_parse(text, &address) < 0)
			fail_msg("%s", good[i].in);
		assert_str(address.display, good[i].display);
		assert_str(address.uri.text, good[i].uri);
		assert_int_equal(address.in_brackets, good[i].in_brackets);
		assert_false(address.wildcard);
		assert_str(address.params, good[i].params);
		assert_int_equal(!address.tag.ptr, !good[i].tag);
		if (good[i].tag)
			assert_str(address.tag, good[i].tag);
		unguard(text);
	}
}

static void test_bad(void **state)
{
	struct stw_address address;
	struct stw_str text;
	size_t i;

	assert_int_equal(stw_address_parse(STW_STR_NONE, &address), -EBADMSG);
	for (i = 0; i < STW_ARRAY_SIZE(bad); i++) {
		text = guard(bad[i]);
		if (stw_address_parse(text, &address) != -EBADMSG)
			fail_msg("%s", bad[i]);
		unguard(text);
	}
}

/* RFC 4475 §3.1.2.13–15: what is owed a 400 wherever the value is needed. */
static void test_torture(void **state)
{
	struct stw_address address;

	assert_int_equal(
		stw_address_parse(
			STW_STR("sip:user@example.com?Route=%3Csip:sip.example.com%3E"), &address),
		-EBADMSG);
	assert_int_equal(
		stw_address_parse(
			STW_STR("\"Watson, Thomas\" < sip:t.watson@example.org >"), &address),
		-EBADMSG);
	assert_int_equal(
		stw_address_parse(
			STW_STR("Bell, Alexander <sip:a.g.bell@example.com>;tag=43"), &address),
		-EBADMSG);
	assert_int_equal(stw_address_parse(STW_STR("\"Joe\" <sip:joe@example.org>;;;;"), &address),
		-EBADMSG);
}

static void test_wildcard(void **state)
{
	struct stw_address address;

	assert_int_equal(stw_address_parse(STW_STR(" * "), &address), 0);
	assert_true(address.wildcard);
	assert_int_equal(address.params.len, 0);
	assert_null(address.uri.text.ptr);
}

/* Values are read 64 bytes at a time: each part stands at each place once. */
static void test_places(void **state)
{
	struct stw_address address;
	char value[320];
	unsigned front;
	struct stw_str text;

	for (front = 0; front < 140; front++) {
		snprintf(value, sizeof(value),
			"\"%0*d\" <sip:a-lice@192.0.2.255:5060;lr>;x=\"y;z\";tag=a-b", front + 1,
			0);
		text = guard(value);
		assert_int_equal(stw_address_parse(text, &address), 0);
		assert_int_equal(address.display.len, front + 3);
		assert_str(address.uri.text, "sip:a-lice@192.0.2.255:5060;lr");
		assert_str(address.uri.user, "a-lice");
		assert_str(address.uri.host, "192.0.2.255");
		assert_int_equal(address.uri.host_kind, STW_HOST_IPV4);
		assert_int_equal(address.uri.port, 5060);
		assert_str(address.uri.params, ";lr");
		assert_str(address.params, ";x=\"y;z\";tag=a-b");
		assert_str(address.tag, "a-b");
		unguard(text);
		snprintf(value, sizeof(value), "%0*d <sips:some.ex-ample.org>;tag=%0*d", front + 1,
			0, front + 1, 0);
		text = guard(value);
		assert_int_equal(stw_address_parse(text, &address), 0);
		assert_str(address.uri.host, "some.ex-ample.org");
		assert_int_equal(address.tag.len, front + 1);
		unguard(text);
		snprintf(value, sizeof(value), "\"%0*d\" <sip:192.0.2.256>", front + 1, 0);
		text = guard(value);
		assert_int_equal(stw_address_parse(text, &address), -EBADMSG);
		unguard(text);
		snprintf(value, sizeof(value), "\"%0*d\" <sip:example.-org>", front + 1, 0);
		text = guard(value);
		assert_int_equal(stw_address_parse(text, &address), -EBADMSG);
		unguard(text);
	}
}

/* §7.3.1. The same for the usual forms, which are read first, and for those that they leave. */
static void test_repeated(void **state)
{
	static const struct {
		const char *in;
		bool repeated;
	} cases[] = {
		{ "<sip:alice@example.com>;tag=a", false },
		{ "<sip:alice@example.com>;tag=a;x=tag;tags=b", false },
		{ "<sip:alice@example.com>;tag=a;tag=b", true },
		{ "<sip:alice@example.com>;tag=a;x;TAG=a", true },
		{ "<sip:alice@example.com>;x;tag=a;tag", true },
		{ "sip:alice@example.com;tag=a;tag=b", true },
		{ "\"\\\"\" <sip:alice@example.com> ; tag = a ; tag = b", true },
	};
	struct stw_address address;
	struct stw_str text;

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		text = guard(cases[i].in);
		memset(&address, 0xff, sizeof(address));
		assert_int_equal(stw_address_parse(text, &address), 0);
		if (address.tag_repeated != cases[i].repeated)
			fail_msg("%s", cases[i].in);
		assert_str(address.tag, "a");
		unguard(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_torture),
		cmocka_unit_test(test_wildcard),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
