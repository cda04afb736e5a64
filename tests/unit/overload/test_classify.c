/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "overload_test.h"

static const struct {
	const char *method, *uri, *header;
	bool in_dialog, trusted;
	enum stw_overload_class class;
} cases[] = {
	{ "INVITE", "sip:b@x.com", "", false, false, STW_OVERLOAD_NEW },
	{ "INVITE", "sip:b@x.com", "", true, false, STW_OVERLOAD_NEVER },
	{ "MESSAGE", "sip:b@x.com", "", false, false, STW_OVERLOAD_NEW },
	{ "OPTIONS", "sip:x.com", "", false, false, STW_OVERLOAD_NEW },
	{ "SUBSCRIBE", "sip:b@x.com", "", false, false, STW_OVERLOAD_NEW },
	{ "NOTIFY", "sip:b@x.com", "", false, false, STW_OVERLOAD_NEW },
	{ "UPDATE", "sip:b@x.com", "", true, false, STW_OVERLOAD_NEVER },
	{ "UPDATE", "sip:b@x.com", "", false, false, STW_OVERLOAD_NEW },
	{ "REGISTER", "sip:x.com", "", false, false, STW_OVERLOAD_REGISTER },
	{ "ACK", "sip:b@x.com", "", false, false, STW_OVERLOAD_NEVER },
	{ "BYE", "sip:b@x.com", "", false, false, STW_OVERLOAD_NEVER },
	{ "CANCEL", "sip:b@x.com", "", false, false, STW_OVERLOAD_NEVER },
	{ "PRACK", "sip:b@x.com", "", false, false, STW_OVERLOAD_NEVER },
	{ "INVITE", "urn:service:sos", "", false, false, STW_OVERLOAD_NEVER },
	{ "INVITE", "URN:Service:SOS.fire", "", false, false, STW_OVERLOAD_NEVER },
	{ "INVITE", "urn:service:sosx", "", false, false, STW_OVERLOAD_NEW },
	{ "INVITE", "urn:service:counseling", "", false, false, STW_OVERLOAD_NEW },
	{ "INVITE", "sip:112@x.com", "", false, false, STW_OVERLOAD_NEW },
	{ "INVITE", "sip:b@x.com", "Resource-Priority: ets.0\r\n", false, true,
		STW_OVERLOAD_NEVER },
	{ "INVITE", "sip:b@x.com", "Resource-Priority: ets.0\r\n", false, false, STW_OVERLOAD_NEW },
	{ "INVITE", "sip:b@x.com", "Resource-Priority: ets.2\r\n", false, true,
		STW_OVERLOAD_NEVER },
	{ "INVITE", "sip:b@x.com", "Resource-Priority: ets.3\r\n", false, true, STW_OVERLOAD_NEW },
	{ "INVITE", "sip:b@x.com", "Resource-Priority: dsn.flash, WPS.1\r\n", false, true,
		STW_OVERLOAD_NEVER },
	{ "INVITE", "sip:b@x.com", "Resource-Priority: esnet.4\r\n", false, true,
		STW_OVERLOAD_NEVER },
	{ "INVITE", "sip:b@x.com", "Resource-Priority: esnet.5\r\n", false, true,
		STW_OVERLOAD_NEW },
	{ "INVITE", "sip:b@x.com", "Resource-Priority: esnet\r\n", false, true, STW_OVERLOAD_NEW },
	{ "INVITE", "sip:b@x.com", "Resource-Priority: dsn.flash\r\n", false, true,
		STW_OVERLOAD_NEW },
};

static void test_classes(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct stw_field fields[16];
		struct stw_msg msg = { .fields = fields, .field_capacity = 16 };
		struct stw_msg_limits limits = { 65535, 2048, 32768, 16, 8192, false };
		struct stw_fault fault;
		char text[600];
		int len = snprintf(text, sizeof(text),
			"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP a.com;branch=z9hG4bK1\r\n"
			"From: <sip:a@x.com>;tag=1\r\nTo: <sip:b@x.com>\r\nCall-ID: 1\r\n"
			"CSeq: 1 %s\r\nMax-Forwards: 70\r\n%s\r\n",
			cases[i].method, cases[i].uri, cases[i].method, cases[i].header);

		assert_int_equal(stw_msg_parse(&msg, text, (size_t)len, &limits, &fault), 0);
		assert_int_equal(stw_msg_check(&msg, &fault), 0);
		if (stw_overload_classify(&msg, cases[i].in_dialog, cases[i].trusted) !=
			cases[i].class)
			fail_msg("case %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_classes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
