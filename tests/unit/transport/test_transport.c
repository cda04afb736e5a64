/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <strowger/transport.h>

static const struct {
	enum stw_transport transport;
	const char *in, *name;
	uint16_t port;
	bool reliable;
} cases[] = {
	{ STW_TRANSPORT_UDP, "udp", "UDP", 5060, false },
	{ STW_TRANSPORT_UDP, "UDP", "UDP", 5060, false },
	{ STW_TRANSPORT_TCP, "Tcp", "TCP", 5060, true },
	{ STW_TRANSPORT_TLS, "tls", "TLS", 5061, true },
	{ STW_TRANSPORT_WS, "ws", "WS", 80, true },
	{ STW_TRANSPORT_WSS, "Wss", "WSS", 443, true },
	{ STW_TRANSPORT_NONE, "sctp", "", 5060, false },
	{ STW_TRANSPORT_NONE, "TLS-SCTP", "", 5060, false },
	{ STW_TRANSPORT_NONE, "", "", 5060, false },
	{ STW_TRANSPORT_NONE, "tc", "", 5060, false },
	{ STW_TRANSPORT_NONE, "tcpx", "", 5060, false },
};

static void test_facts(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct stw_str in = stw_str_from(cases[i].in);
		enum stw_transport transport = stw_transport_from(in);

		assert_int_equal(transport, cases[i].transport);
		assert_str(stw_transport_name(transport), cases[i].name);
		assert_int_equal(stw_transport_default_port(transport), cases[i].port);
		assert_int_equal(stw_transport_reliable(transport), cases[i].reliable);
	}
}

static void test_causes(void **state)
{
	assert_int_equal(stw_cause_flow_limit.code, 0);
	assert_int_equal(stw_cause_flow_gone.code, 480);
	assert_int_equal(stw_cause_no_listener.code, 500);
	assert_int_equal(stw_cause_name_not_found.code, 500);
	assert_int_equal(stw_cause_name_timeout.code, 504);
	assert_string_equal(stw_cause_target_not_unicast.id, "target-not-unicast");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_causes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
