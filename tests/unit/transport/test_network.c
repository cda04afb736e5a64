/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>

#include <strowger/transport.h>

static const struct {
	const char *network, *addr;
	bool has;
} cases[] = {
	{ "192.0.2.0/24", "192.0.2.255", true },
	{ "192.0.2.0/24", "192.0.3.0", false },
	{ "192.0.2.7", "192.0.2.7", true },
	{ "192.0.2.7", "192.0.2.6", false },
	{ "192.0.2.4/30", "192.0.2.7", true },
	{ "192.0.2.4/30", "192.0.2.8", false },
	{ "0.0.0.0/0", "203.0.113.1", true },
	{ "0.0.0.0/0", "::1", false },
	{ "2001:db8::/33", "2001:db8:7fff::1", true },
	{ "2001:db8::/33", "2001:db8:8000::1", false },
	{ "::1", "::1", true },
	{ "::1", "::2", false },
	{ "::/0", "2001:db8::1", true },
};

static void test_has(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct stw_network network;
		struct stw_addr addr;

		assert_int_equal(stw_network_parse(stw_str_from(cases[i].network), &network), 0);
		assert_int_equal(stw_addr_from_host(stw_str_from(cases[i].addr), 5060, &addr), 0);
		if (stw_network_has(&network, &addr) != cases[i].has)
			fail_msg("%s %s", cases[i].network, cases[i].addr);
	}
}

static void test_malformed(void **state)
{
	static const char *const texts[] = { "", "/", "example.com", "192.0.2.0/33", "192.0.2.0/",
		"192.0.2.0/x", "::/129", "192.0.2/24", "192.0.2.0/-1" };

	for (size_t i = 0; i < STW_ARRAY_SIZE(texts); i++) {
		struct stw_network network;

		if (stw_network_parse(stw_str_from(texts[i]), &network) != -EBADMSG)
			fail_msg("%s", texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_has),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
