/* SPDX-License-Identifier: Apache-2.0 */
#include "guarded.h"

#include <stdio.h>
#include <string.h>

/* A NULL user or password means that the part is absent. */
static const struct {
	const char *in;
	enum stw_scheme scheme;
	const char *user, *password, *host;
	enum stw_host_kind kind;
	uint16_t port;
	const char *params, *headers;
} good[] = {
	{ "sip:example.com", STW_SCHEME_SIP, NULL, NULL, "example.com", STW_HOST_NAME, 0, "", "" },
	{ "SIPS:bob@example.com.", STW_SCHEME_SIPS, "bob", NULL, "example.com.", STW_HOST_NAME, 0,
		"", "" },
	{ "sip:bob:pw=1@h:5070", STW_SCHEME_SIP, "bob", "pw=1", "h", STW_HOST_NAME, 5070, "", "" },
	{ "sip:bob:@h", STW_SCHEME_SIP, "bob", "", "h", STW_HOST_NAME, 0, "", "" },
	{ "sip:a;b=c?d/e&f=g+h$i,j@h;x;y=z", STW_SCHEME_SIP, "a;b=c?d/e&f=g+h$i,j", NULL, "h",
		STW_HOST_NAME, 0, ";x;y=z", "" },
	{ "sip:%00%40@h", STW_SCHEME_SIP, "%00%40", NULL, "h", STW_HOST_NAME, 0, "", "" },
	{ "sip:*21#@h", STW_SCHEME_SIP, "*21#", NULL, "h", STW_HOST_NAME, 0, "", "" },
	{ "sip:+1-212-555-1212:1234@gateway.com;user=phone", STW_SCHEME_SIP, "+1-212-555-1212",
		"1234", "gateway.com", STW_HOST_NAME, 0, ";user=phone", "" },
	{ "sip:192.0.2.1:65535;lr", STW_SCHEME_SIP, NULL, NULL, "192.0.2.1", STW_HOST_IPV4, 65535,
		";lr", "" },
	{ "sip:u@[2001:db8::1]:5060;maddr=[::1]", STW_SCHEME_SIP, "u", NULL, "2001:db8::1",
		STW_HOST_IPV6, 5060, ";maddr=[::1]", "" },
	{ "sip:[::]", STW_SCHEME_SIP, NULL, NULL, "::", STW_HOST_IPV6, 0, "", "" },
	{ "sip:[1:2:3:4:5:6:7:8]", STW_SCHEME_SIP, NULL, NULL, "1:2:3:4:5:6:7:8", STW_HOST_IPV6, 0,
		"", "" },
	{ "sip:[::ffff:192.0.2.1]", STW_SCHEME_SIP, NULL, NULL, "::ffff:192.0.2.1", STW_HOST_IPV6,
		0, "", "" },
	{ "sip:[2001:db8:::192.0.2.1]", STW_SCHEME_SIP, NULL, NULL, "2001:db8:::192.0.2.1",
		STW_HOST_IPV6, 0, "", "" },
	{ "sip:h?Route=%3Csip:x%3E&a=", STW_SCHEME_SIP, NULL, NULL, "h", STW_HOST_NAME, 0, "",
		"Route=%3Csip:x%3E&a=" },
	{ "sip:h;a=b?c=d", STW_SCHEME_SIP, NULL, NULL, "h", STW_HOST_NAME, 0, ";a=b", "c=d" },
	{ "sip:3f2a9b:1", STW_SCHEME_SIP, NULL, NULL, "3f2a9b", STW_HOST_NAME, 1, "", "" },
	{ "sip:my_host.local", STW_SCHEME_SIP, NULL, NULL, "my_host.local", STW_HOST_NAME, 0, "",
		"" },
	{ "tel:+1-201-555-0123", STW_SCHEME_TEL, "+1-201-555-0123", NULL, "", STW_HOST_NAME, 0, "",
		"" },
	{ "tel:7042;phone-context=example.com", STW_SCHEME_TEL, "7042", NULL, "", STW_HOST_NAME, 0,
		";phone-context=example.com", "" },
	{ "tel:*21#", STW_SCHEME_TEL, "*21#", NULL, "", STW_HOST_NAME, 0, "", "" },
};

static const char *const bad[] = {
	"",
	":",
	"sip",
	"sip:",
	"1sip:h",
	"<sip:h>",
	"sip:@h",
	"sip:u@",
	"sip:u@@h",
	"sip:u@v@h",
	"sip:u ser@h",
	"sip:u@h ",
	" sip:u@h",
	"sip:u@h h",
	"sip:u@h; lr",
	"sip:u@h\r\n",
	"sip:u%4@h",
	"sip:u%4g@h",
	"sip:u%@h",
	"sip:u<@h",
	"sip:u\"@h",
	"sip:[u@h",
	"sip:u:p?@h",
	"sip:u@h:",
	"sip:u@h:0",
	"sip:u@h:65536",
	"sip:u@h:5a",
	"sip:u@h:-1",
	"sip:u@h:99999999999999999999",
	"sip:u@h;",
	"sip:u@h;;a",
	"sip:u@h;=a",
	"sip:u@h;a=",
	"sip:u@h;a=b=c",
	"sip:u@h;a=%zz",
	"sip:u@h?",
	"sip:u@h?a",
	"sip:u@h?=a",
	"sip:u@h?a=b&",
	"sip:u@h?a=b&&c=d",
	"sip:u@h?a=b=c",
	"sip:-h",
	"sip:h-",
	"sip:a..b",
	"sip:.a",
	"sip:.",
	"sip:a-.b",
	"sip:h%41",
	"sip:1.2.3",
	"sip:1.2.3.4.5",
	"sip:256.1.1.1",
	"sip:1.2.3.4444",
	"sip:1.2.3.256",
	"sip:1.2.3.",
	"sip:2001:db8::1",
	"sip:[2001:db8::1",
	"sip:[2001:db8::1]5060",
	"sip:[]",
	"sip:[:]",
	"sip:[1::2::3]",
	"sip:[12345::]",
	"sip:[1:2]",
	"sip:[1:2:3:4:5:6:7:8:9]",
	"sip:[1:2:3:4:5:6:7:8::]",
	"sip:[1:2:3:4:5:6:7:]",
	"sip:[:1::]",
	"sip:[::1.2.3]",
	"sip:[1:2:3:4:5:6:7:1.2.3.4]",
	"sip:[fe80::1%25eth0]",
	"sip:[g::]",
	"sip:[:::]",
	"tel:",
	"tel:+",
	"tel:+12a",
	"tel:--",
	"tel:+1;",
	"tel:12 3",
	"tel:x",
	"urn:",
	"http:",
	"http://a b",
	"http://a\"b",
	"x:%4",
	"sip:\xc3\xbc@h",
};

static void assert_good(size_t i, const struct stw_uri *uri)
{
	assert_int_equal(uri->scheme, good[i].scheme);
	assert_str(uri->text, good[i].in);
	assert_int_equal(!uri->user.ptr, !good[i].user);
	assert_int_equal(!uri->password.ptr, !good[i].password);
	if (good[i].user)
		assert_str(uri->user, good[i].user);
	if (good[i].password)
		assert_str(uri->password, good[i].password);
	assert_str(uri->host, good[i].host);
	assert_int_equal(uri->host_kind, good[i].kind);
	assert_int_equal(uri->port, good[i].port);
	assert_str(uri->params, good[i].params);
	assert_str(uri->headers, good[i].headers);
}

static void test_good(void **state)
{
	struct stw_uri uri;
	struct stw_str text;
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(good); i++) {
		text = guard(good[i].in);
		if (stw_uri_parse(text, &uri) < 0)
			fail_msg("%s", good[i].in);
		assert_good(i, &uri);
		unguard(text);
	}
}

/* The text anew, somewhere else, and one that is not the same. */
static void test_like(void **state)
{
	struct stw_uri first, uri;
	struct stw_str text, other;
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(good); i++) {
		text = guard(good[i].in);
		other = guard(good[i].in);
		assert_int_equal(stw_uri_parse(text, &first), 0);
		assert_int_equal(stw_uri_parse_like(text, &first, &uri), 0);
		assert_good(i, &uri);
		assert_int_equal(stw_uri_parse_like(other, &first, &uri), 0);
		unguard(text);
		assert_good(i, &uri);
		unguard(other);
	}
	assert_int_equal(stw_uri_parse(STW_STR("sip:a@b"), &first), 0);
	assert_int_equal(stw_uri_parse_like(STW_STR("sips:a@b"), &first, &uri), 0);
	assert_int_equal(uri.scheme, STW_SCHEME_SIPS);
	assert_int_equal(stw_uri_parse_like(STW_STR("sip:a@"), &first, &uri), -EBADMSG);
	assert_int_equal(stw_uri_parse_like(STW_STR_NONE, &(struct stw_uri){ 0 }, &uri), -EBADMSG);
}

static void test_bad(void **state)
{
	struct stw_uri uri;
	struct stw_str text;
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(bad); i++) {
		text = guard(bad[i]);
		if (stw_uri_parse(text, &uri) != -EBADMSG)
			fail_msg("%s", bad[i]);
		unguard(text);
	}
}

/* Longer texts are read in another way: the same URIs in an address, and behind a longer user. */
static void test_long(void **state)
{
	struct stw_address address;
	struct stw_uri uri;
	struct stw_str text;
	char longer[256];
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(good); i++) {
		snprintf(
			longer, sizeof(longer), "Alice in Atlanta <%s>;tag=1928301774", good[i].in);
		text = guard(longer);
		if (stw_address_parse(text, &address) < 0)
			fail_msg("%s", longer);
		assert_good(i, &address.uri);
		assert_str(address.tag, "1928301774");
		unguard(text);
	}
	for (i = 0; i < STW_ARRAY_SIZE(bad); i++) {
		snprintf(longer, sizeof(longer), "Alice in Atlanta <%s>;tag=1928301774", bad[i]);
		text = guard(longer);
		if (stw_address_parse(text, &address) != -EBADMSG)
			fail_msg("%s", longer);
		unguard(text);
		if (strncmp(bad[i], "sip:", 4) != 0 || strchr(bad[i], '@'))
			continue;
		snprintf(longer, sizeof(longer), "sip:somebody.with.a.long.name@%s", bad[i] + 4);
		text = guard(longer);
		if (stw_uri_parse(text, &uri) != -EBADMSG)
			fail_msg("%s", longer);
		unguard(text);
	}
}

/* 64 parameters and 64 headers are read, no more. */
static void test_part_limit(void **state)
{
	char text[1024];
	struct stw_writer writer;
	struct stw_uri uri;
	unsigned count, i;

	for (count = 64; count <= 65; count++) {
		stw_writer_init(&writer, text, sizeof(text));
		stw_write_text(&writer, "sip:h");
		for (i = 0; i < count; i++)
			stw_write_text(&writer, ";a");
		assert_int_equal(
			stw_uri_parse(stw_writer_text(&writer), &uri), count > 64 ? -EBADMSG : 0);
		stw_writer_init(&writer, text, sizeof(text));
		stw_write_text(&writer, "sip:h");
		for (i = 0; i < count; i++)
			stw_write_text(&writer, i ? "&a=" : "?a=");
		assert_int_equal(
			stw_uri_parse(stw_writer_text(&writer), &uri), count > 64 ? -EBADMSG : 0);
	}
}

static void test_other_schemes(void **state)
{
	struct stw_uri uri;

	assert_int_equal(stw_uri_parse(STW_STR("urn:service:sos"), &uri), 0);
	assert_int_equal(uri.scheme, STW_SCHEME_URN);
	assert_str(uri.opaque, "service:sos");
	assert_int_equal(stw_uri_parse(STW_STR("soap.beep://192.0.2.103:3002"), &uri), 0);
	assert_int_equal(uri.scheme, STW_SCHEME_OTHER);
	assert_str(uri.scheme_name, "soap.beep");
	assert_str(uri.opaque, "//192.0.2.103:3002");
	assert_int_equal(
		stw_uri_parse(STW_STR("nobodyKnowsThisScheme:totallyopaquecontent"), &uri), 0);
}

/* RFC 3261 §19.1.4 gives most of these. */
static const struct {
	const char *a, *b;
	bool equal;
} pairs[] = {
	{ "sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true },
	{ "sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true },
	{ "sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", true },
	{ "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
		"sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true },
	{ "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
		"sip:alice@atlanta.com?priority=urgent&subject=project%20x", true },
	{ "SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false },
	{ "sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false },
	{ "sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false },
	{ "sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false },
	{ "sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false },
	{ "sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false },
	{ "sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false },
	{ "sip:a@b", "sips:a@b", false },
	{ "sip:b", "sip:a@b", false },
	{ "sip:a@b", "sip:a:@b", false },
	{ "sip:a:x@b", "sip:a:X@b", false },
	{ "sip:a%40b@c", "sip:a%40b@C", true },
	{ "sip:a%3bb@c", "sip:a;b@c", false },
	{ "sip:a%3bb@c", "sip:a%3Bb@c", true },
	{ "sip:a%00@c", "sip:a%00%00@c", false },
	{ "sip:a@b;user=phone", "sip:a@b", false },
	{ "sip:a@b", "sip:a@b;ttl=1", false },
	{ "sip:a@b;method=INVITE", "sip:a@b", false },
	{ "sip:a@b", "sip:a@b;maddr=192.0.2.1", false },
	{ "sip:a@b;%75ser=phone", "sip:a@b;user=phone", true },
	{ "sip:a@b;lr", "sip:a@b;lr=on", false },
	{ "sip:a@b;x=1;x=2", "sip:a@b;x=2;x=1", false }, /* none may appear twice */
	{ "sip:a@b;x=1;x=2", "sip:a@B;x=1;x=2", true },
	{ "sip:a@b;x=1;x=2", "sip:a@b;x=1", false },
	{ "sip:a@b?x=1", "sip:a@b?x=2", false },
	{ "sip:a@b?X=1", "sip:a@b?x=1", true },
	{ "sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0:0::1]", true },
	{ "sip:a@[::ffff:192.0.2.1]", "sip:a@[::ffff:c000:201]", true },
	{ "sip:a@[2001:db8::1]", "sip:a@[2001:db8::2]", false },
	{ "tel:+1-201-555-0123", "TEL:+1(201)5550123", true },
	{ "tel:+12015550123", "tel:+12015550124", false },
	{ "tel:+1201", "tel:+12015", false },
	{ "tel:1;phone-context=a;ext=2", "tel:1;ext=2;phone-context=A", true },
	{ "tel:1;ext=2", "tel:1", false },
	{ "tel:1;phone-context=+1-914", "tel:1;phone-context=+1914", true },
	{ "tel:1;phone-context=+1-914", "tel:1;phone-context=+1915", false },
	{ "tel:1;phone-context=a-b.example", "tel:1;phone-context=ab.example", false },
	{ "tel:+1;ext=2.3", "tel:+1;ext=23", true },
	{ "tel:+1;x=2.3", "tel:+1;x=23", false },
	{ "URN:service:sos", "urn:service:sos", true },
	{ "urn:service:sos", "urn:service:SOS", false },
	{ "HTTP://a", "http://a", true },
	{ "http://a", "ftp://a", false },
};

static void test_equal(void **state)
{
	struct stw_uri a, b;
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(pairs); i++) {
		assert_int_equal(stw_uri_parse(stw_str_from(pairs[i].a), &a), 0);
		assert_int_equal(stw_uri_parse(stw_str_from(pairs[i].b), &b), 0);
		if (stw_uri_equal(&a, &b) != pairs[i].equal ||
			stw_uri_equal(&b, &a) != pairs[i].equal)
			fail_msg("%s %s", pairs[i].a, pairs[i].b);
		assert_true(stw_uri_equal(&a, &a));
	}
}

static void test_param(void **state)
{
	struct stw_str value;
	struct stw_uri uri;

	assert_int_equal(stw_uri_parse(STW_STR("sip:a@b;LR;Transport=TCP"), &uri), 0);
	assert_true(stw_uri_param(&uri, STW_STR("lr"), &value));
	assert_null(value.ptr);
	assert_true(stw_uri_param(&uri, STW_STR("transport"), &value));
	assert_str(value, "TCP");
	assert_false(stw_uri_param(&uri, STW_STR("maddr"), &value));
}

static void test_unescape(void **state)
{
	char buffer[32];

	assert_int_equal(stw_unescape(STW_STR("a%41%2541%00z"), buffer), 7);
	assert_memory_equal(buffer, "aA%41\0z", 7);
	assert_int_equal(stw_unescape(STW_STR(""), buffer), 0);
	assert_int_equal(stw_unescape(STW_STR("a%4"), buffer), -EBADMSG);
	assert_int_equal(stw_unescape(STW_STR("%"), buffer), -EBADMSG);
	assert_int_equal(stw_unescape(STW_STR("%g0"), buffer), -EBADMSG);
}

static void test_host(void **state)
{
	enum stw_host_kind kind;
	struct stw_str host;

	assert_int_equal(stw_host_parse(STW_STR("[::1]"), &host, &kind), 0);
	assert_str(host, "::1");
	assert_int_equal(kind, STW_HOST_IPV6);
	assert_int_equal(stw_host_parse(STW_STR("192.0.2.1"), &host, &kind), 0);
	assert_int_equal(kind, STW_HOST_IPV4);
	assert_int_equal(stw_host_parse(STW_STR("host-1.example"), &host, &kind), 0);
	assert_int_equal(kind, STW_HOST_NAME);
	assert_int_equal(stw_host_parse(STW_STR("::1"), &host, &kind), -EBADMSG);
	assert_int_equal(stw_host_parse(STW_STR("["), &host, &kind), -EBADMSG);
	assert_int_equal(stw_host_parse(STW_STR(""), &host, &kind), -EBADMSG);
	assert_int_equal(stw_host_parse(STW_STR("a:1"), &host, &kind), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_like),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_other_schemes),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_param),
		cmocka_unit_test(test_unescape),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_part_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
