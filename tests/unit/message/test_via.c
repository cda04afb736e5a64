/* SPDX-License-Identifier: Apache-2.0 */
#include "guarded.h"

#include <stdio.h>

/* NULL: absent. rport -1: no such parameter. */
static const struct {
	const char *in, *transport, *host;
	uint16_t port;
	const char *branch, *received, *maddr;
	int rport;
} good[] = {
	{ "SIP/2.0/UDP h", "UDP", "h", 0, NULL, NULL, NULL, -1 },
	{ "sip / 2.0\r\n / TCP \t h : 5070 ; branch\r\n = z9hG4bK1", "TCP", "h", 5070, "z9hG4bK1",
		NULL, NULL, -1 },
	{ "SIP/2.0/TLS [2001:db8::1]:5061;branch=a;received=[::1];rport=9", "TLS", "2001:db8::1",
		5061, "a", "::1", NULL, 9 },
	{ "SIP/2.0/UDP 192.0.2.1;received=2001:db8::9:255;Rport;maddr=224.0.1.75;ttl=1", "UDP",
		"192.0.2.1", 0, NULL, "2001:db8::9:255", "224.0.1.75", 0 },
	{ "SIP/2.0/UDP h;branch=a;branch=b;rport=1;rport=2", "UDP", "h", 0, "a", NULL, NULL, 1 },
	{ "SIP/7.0/UDP h;x=\"a;b\";branch=c=d", "UDP", "h", 0, "c=d", NULL, NULL, -1 },
	{ "SIP/2.0/UDP h;received=120.", "UDP", "h", 0, NULL, NULL, NULL, -1 },
	{ "SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bK56sdasks", "WS", "df7jal23ls0d.invalid", 0,
		"z9hG4bK56sdasks", NULL, NULL, -1 },
};

static const char *const bad[] = {
	"",
	"x",
	"SIP",
	"SIP/",
	"SIP/2.0",
	"SIP/2.0/",
	"SIP/2.0/UDP",
	"SIP/2.0/UDP ",
	"SIP//UDP h",
	"/2.0/UDP h",
	"SIP/2.0 UDP h",
	"SIP/2.0/UDPh",
	"SIP/2.0/UDP;branch=a",
	"SIP/2.0/UDP[::1]",
	"SIP/2.0/UDP h h",
	"SIP/2.0/UDP h:",
	"SIP/2.0/UDP h:x",
	"SIP/2.0/UDP h:65536",
	"SIP/2.0/UDP ::1",
	"SIP/2.0/UDP [::1",
	"SIP/2.0/UDP h;",
	"SIP/2.0/UDP h;;branch=a",
	"SIP/2.0/UDP h;branch",
	"SIP/2.0/UDP h;branch=",
	"SIP/2.0/UDP h;branch=\"a\"",
	"SIP/2.0/UDP h;rport=x",
	"SIP/2.0/UDP h;rport=65536",
	"SIP/2.0/UDP h;rport=",
	"SIP/2.0/UDP h;maddr=a..b",
	"SIP/2.0/UDP h,SIP/2.0/UDP h",
	"1.1 proxy",
	"HTTP/1.1 proxy",
	"SIP/2.0/UDP 192.0.2.15;;",
};

static void assert_optional(struct stw_str actual, const char *expected)
{
	assert_int_equal(!actual.ptr, !expected);
	if (expected)
		assert_str(actual, expected);
}

static void test_good(void **state)
{
	struct stw_str text;
	struct stw_via via;
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(good); i++) {
		text = guard(good[i].in);
		if (stw_via_parse(text, &via) < 0)
			fail_msg("%s", good[i].in);
		assert_str(via.text, good[i].in);
		assert_str(via.transport, good[i].transport);
		assert_str(via.host, good[i].host);
		assert_int_equal(via.port, good[i].port);
		assert_optional(via.branch, good[i].branch);
		assert_optional(via.received, good[i].received);
		assert_optional(via.maddr, good[i].maddr);
		assert_int_equal(via.has_rport, good[i].rport >= 0);
		if (via.has_rport)
			assert_int_equal(via.rport, good[i].rport);
		unguard(text);
	}
}

static void test_bad(void **state)
{
	struct stw_str text;
	struct stw_via via;
	size_t i;

	assert_int_equal(stw_via_parse(STW_STR_NONE, &via), -EBADMSG);
	for (i = 0; i < STW_ARRAY_SIZE(bad); i++) {
		text = guard(bad[i]);
		if (stw_via_parse(text, &via) != -EBADMSG)
			fail_msg("%s", bad[i]);
		unguard(text);
	}
}

static void test_parts(void **state)
{
	struct stw_via via;

	assert_int_equal(stw_via_parse(STW_STR("SIP/2.0/UDP h:5 ;a;b=c"), &via), 0);
	assert_str(via.sent_by, "h:5");
	assert_str(via.params, ";a;b=c");
	assert_int_equal(via.host_kind, STW_HOST_NAME);
}

/* Values are read 64 bytes at a time: each part stands at each place once. */
static void test_places(void **state)
{
	struct stw_via via;
	struct stw_str text;
	char value[320];
	unsigned front;

	for (front = 1; front < 140; front++) {
		snprintf(value, sizeof(value),
			"SIP/2.0/%0*d 10.200.255.1:65535;x=\"y;z\";branch=z9hG4bK-a.1;rport=5060;"
			"received=198.51.100.255",
			front, 0);
		text = guard(value);
		assert_int_equal(stw_via_parse(text, &via), 0);
		assert_int_equal(via.transport.len, front);
		assert_str(via.sent_by, "10.200.255.1:65535");
		assert_str(via.host, "10.200.255.1");
		assert_int_equal(via.host_kind, STW_HOST_IPV4);
		assert_int_equal(via.port, 65535);
		assert_str(via.branch, "z9hG4bK-a.1");
		assert_int_equal(via.rport, 5060);
		assert_str(via.received, "198.51.100.255");
		unguard(text);
		snprintf(value, sizeof(value), "SIP/2.0/%0*d h.example.org;received=198.51.100.256",
			front, 0);
		text = guard(value);
		assert_int_equal(stw_via_parse(text, &via), 0);
		assert_str(via.host, "h.example.org");
		assert_null(via.received.ptr);
		unguard(text);
		snprintf(value, sizeof(value), "SIP/2.0/%0*d 1.2.3", front, 0);
		text = guard(value);
		assert_int_equal(stw_via_parse(text, &via), -EBADMSG);
		unguard(text);
	}
}

/* §7.3.1. The same for the usual forms, which are read first, and for those that they leave. */
static void test_repeated(void **state)
{
	static const char *const once[] = { ";branch=z9hG4bKa", ";rport", ";rport=5",
		";received=192.0.2.1", ";received=[2001:db8::1]", ";maddr=192.0.2.9" };
	static const char *const hosts[] = { "192.0.2.15:5060", "[2001:db8::2]" };
	struct stw_via via;
	struct stw_str text;
	char value[200];

	for (size_t i = 0; i < STW_ARRAY_SIZE(once); i++) {
		for (size_t k = 0; k < 2; k++) {
			snprintf(value, sizeof(value), "SIP/2.0/UDP %s%s;x;x", hosts[k], once[i]);
			text = guard(value);
			assert_int_equal(stw_via_parse(text, &via), 0);
			assert_false(via.repeated);
			unguard(text);
			snprintf(value, sizeof(value), "SIP/2.0/UDP %s%s;x=\"a\"%s", hosts[k],
				once[i], once[i]);
			text = guard(value);
			assert_int_equal(stw_via_parse(text, &via), 0);
			assert_true(via.repeated);
			unguard(text);
		}
	}
	assert_int_equal(
		stw_via_parse(STW_STR("SIP/2.0/UDP h;branch=z9hG4bK1;BRANCH=z9hG4bK2"), &via), 0);
	assert_true(via.repeated);
	assert_str(via.branch, "z9hG4bK1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
