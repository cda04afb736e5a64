/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <strowger/transport.h>

#include <errno.h>
#include <string.h>

#define LOOPBACK 1u
#define ANY      2u
#define UNICAST  4u

static const struct {
	const char *in;
	int err;
	unsigned family;
	const char *ip, *text; /* with port 5060 */
	unsigned flags;
} cases[] = {
	{ "192.0.2.1", 0, 4, "192.0.2.1", "192.0.2.1:5060", UNICAST },
	{ "127.0.0.1", 0, 4, "127.0.0.1", "127.0.0.1:5060", UNICAST | LOOPBACK },
	{ "127.255.1.2", 0, 4, "127.255.1.2", "127.255.1.2:5060", UNICAST | LOOPBACK },
	{ "0.0.0.0", 0, 4, "0.0.0.0", "0.0.0.0:5060", ANY },
	{ "0.1.2.3", 0, 4, "0.1.2.3", "0.1.2.3:5060", 0 },
	{ "255.255.255.255", 0, 4, "255.255.255.255", "255.255.255.255:5060", 0 },
	{ "224.0.1.75", 0, 4, "224.0.1.75", "224.0.1.75:5060", 0 },
	{ "239.255.255.255", 0, 4, "239.255.255.255", "239.255.255.255:5060", 0 },
	{ "223.255.255.255", 0, 4, "223.255.255.255", "223.255.255.255:5060", UNICAST },
	{ "2001:db8::1", 0, 6, "2001:db8::1", "[2001:db8::1]:5060", UNICAST },
	{ "[2001:DB8:0:0::0:1]", 0, 6, "2001:db8::1", "[2001:db8::1]:5060", UNICAST },
	{ "[2001:db8::192.0.2.1]", 0, 6, "2001:db8::c000:201", "[2001:db8::c000:201]:5060",
		UNICAST },
	/* RFC 5118 §4.10 */
	{ "[2001:db8:::192.0.2.1]", 0, 6, "2001:db8::c000:201", "[2001:db8::c000:201]:5060",
		UNICAST },
	{ "::1", 0, 6, "::1", "[::1]:5060", UNICAST | LOOPBACK },
	{ "::", 0, 6, "::", "[::]:5060", ANY },
	{ "ff02::1", 0, 6, "ff02::1", "[ff02::1]:5060", 0 },
	{ "fe80::1", 0, 6, "fe80::1", "[fe80::1]:5060", UNICAST },
	/* RFC 5118 §4.9: a mapped address is the IPv4 address. */
	{ "::ffff:192.0.2.1", 0, 4, "192.0.2.1", "192.0.2.1:5060", UNICAST },
	{ "[::ffff:255.255.255.255]", 0, 4, "255.255.255.255", "255.255.255.255:5060", 0 },
	{ "2001:0db8:0000:0000:0000:0000:255.255.255.255", 0, 6, "2001:db8::ffff:ffff",
		"[2001:db8::ffff:ffff]:5060", UNICAST },
	{ "", -EBADMSG, 0, "", "", 0 },
	{ "[]", -EBADMSG, 0, "", "", 0 },
	{ "[", -EBADMSG, 0, "", "", 0 },
	{ "[192.0.2.1]", -EBADMSG, 0, "", "", 0 },
	{ "[2001:db8::1", -EBADMSG, 0, "", "", 0 },
	{ "2001:db8::1]", -EBADMSG, 0, "", "", 0 },
	{ "256.0.0.1", -EBADMSG, 0, "", "", 0 },
	{ "192.0.2", -EBADMSG, 0, "", "", 0 },
	{ "192.0.2.01", -EBADMSG, 0, "", "", 0 },
	{ "192.0.2.1 ", -EBADMSG, 0, "", "", 0 },
	{ "example.com", -EBADMSG, 0, "", "", 0 },
	{ "localhost", -EBADMSG, 0, "", "", 0 },
	{ "fe80::1%eth0", -EBADMSG, 0, "", "", 0 },
	{ "::::", -EBADMSG, 0, "", "", 0 },
	{ "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff:0000",
		-EBADMSG, 0, "", "", 0 },
};

static unsigned flags_of(const struct stw_addr *addr)
{
	return (stw_addr_is_loopback(addr) ? LOOPBACK : 0) | (stw_addr_is_any(addr) ? ANY : 0) |
	       (stw_addr_is_unicast(addr) ? UNICAST : 0);
}

static void test_from_host(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		char buffer[STW_ADDR_TEXT_MAX];
		struct stw_addr addr = { .family = 9 };
		size_t len = strlen(cases[i].in);
		char *in = support_guarded(cases[i].in, len);
		int err = stw_addr_from_host((struct stw_str){ in, len }, 5060, &addr);

		support_guarded_free(in, len);
		assert_int_equal(err, cases[i].err);
		if (err < 0) {
			assert_int_equal(addr.family, 9);
			continue;
		}
		assert_int_equal(addr.family, cases[i].family);
		assert_str(stw_addr_ip_text(&addr, buffer), cases[i].ip);
		assert_str(stw_addr_text(&addr, buffer), cases[i].text);
		assert_int_equal(flags_of(&addr), cases[i].flags);
	}
}

static void test_nul_inside(void **state)
{
	struct stw_addr addr;

	assert_int_equal(
		stw_addr_from_host((struct stw_str){ "192.0.2.1\0x", 11 }, 1, &addr), -EBADMSG);
}

static void test_none(void **state)
{
	struct stw_addr none = { 0 };
	char buffer[STW_ADDR_TEXT_MAX];

	assert_int_equal(flags_of(&none), 0);
	assert_int_equal(stw_addr_ip_text(&none, buffer).len, 0);
	assert_int_equal(stw_addr_text(&none, buffer).len, 0);
}

/* From a socket a mapped address may come as family 6: it is judged as what it maps. */
static void test_mapped_family_6(void **state)
{
	struct stw_addr addr = { .family = 6, .ip = { [10] = 0xff, 0xff, 255, 255, 255, 255 } };

	assert_int_equal(flags_of(&addr), 0);
	memcpy(addr.ip + 12, (uint8_t[]){ 127, 0, 0, 1 }, 4);
	assert_int_equal(flags_of(&addr), UNICAST | LOOPBACK);
}

static void test_equal(void **state)
{
	struct stw_addr a, b;

	assert_int_equal(stw_addr_from_host(STW_STR("fe80::1"), 5060, &a), 0);
	b = a;
	assert_true(stw_addr_equal(&a, &b) && stw_addr_same_ip(&a, &b));
	b.port = 5061;
	assert_false(stw_addr_equal(&a, &b));
	assert_true(stw_addr_same_ip(&a, &b));
	b = a;
	b.scope = 2; /* unknown on one side */
	assert_false(stw_addr_equal(&a, &b));
	assert_true(stw_addr_same_ip(&a, &b));
	a.scope = 3;
	assert_false(stw_addr_same_ip(&a, &b));
	b = a;
	b.ip[15] = 2;
	assert_false(stw_addr_equal(&a, &b) || stw_addr_same_ip(&a, &b));
	b = (struct stw_addr){ .family = 4 };
	a = (struct stw_addr){ .family = 6 };
	assert_false(stw_addr_equal(&a, &b) || stw_addr_same_ip(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_host),
		cmocka_unit_test(test_nul_inside),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_mapped_family_6),
		cmocka_unit_test(test_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
