/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <strowger/transport.h>

#include <errno.h>

static const struct {
	const char *uri;
	int err;
	enum stw_transport transport;
	const char *host;
	uint16_t port;
	bool need_resolve;
} cases[] = {
	{ "sip:bob@192.0.2.1", 0, STW_TRANSPORT_UDP, "192.0.2.1", 5060, false },
	{ "sip:bob@192.0.2.1:5080", 0, STW_TRANSPORT_UDP, "192.0.2.1", 5080, false },
	{ "sip:bob@example.com", 0, STW_TRANSPORT_UDP, "example.com", 5060, true },
	{ "sip:bob@example.com;transport=tcp", 0, STW_TRANSPORT_TCP, "example.com", 5060, true },
	{ "sip:bob@example.com;transport=TCP;lr", 0, STW_TRANSPORT_TCP, "example.com", 5060, true },
	{ "sip:bob@[2001:db8::1]:5070;transport=udp", 0, STW_TRANSPORT_UDP, "2001:db8::1", 5070,
		false },
	{ "sip:bob@example.com;transport=tls", 0, STW_TRANSPORT_TLS, "example.com", 5061, true },
	{ "sip:bob@example.com;transport=ws", 0, STW_TRANSPORT_WS, "example.com", 80, true },
	{ "sip:bob@example.com;transport=wss", 0, STW_TRANSPORT_WSS, "example.com", 443, true },
	{ "sips:bob@example.com", 0, STW_TRANSPORT_TLS, "example.com", 5061, true },
	{ "sips:bob@192.0.2.1", 0, STW_TRANSPORT_TLS, "192.0.2.1", 5061, false },
	{ "sips:bob@example.com;transport=tcp", 0, STW_TRANSPORT_TLS, "example.com", 5061, true },
	{ "sips:bob@example.com:5070;transport=ws", 0, STW_TRANSPORT_WSS, "example.com", 5070,
		true },
	{ "sips:bob@example.com;transport=udp", -ENOTSUP, 0, "", 0, false },
	{ "sip:bob@example.com;transport=sctp", -ENOTSUP, 0, "", 0, false },
	{ "sip:bob@example.com;transport=carrier-pigeon", -ENOTSUP, 0, "", 0, false },
	{ "sip:bob@example.com;transport", -EBADMSG, 0, "", 0, false },
	{ "tel:+1234", -ENOTSUP, 0, "", 0, false },
	{ "urn:service:sos", -ENOTSUP, 0, "", 0, false },
	{ "http://example.com/", -ENOTSUP, 0, "", 0, false },
	{ "sip:bob@example.com;maddr=192.0.2.9", 0, STW_TRANSPORT_UDP, "192.0.2.9", 5060, false },
	{ "sip:bob@example.com:5080;maddr=[2001:db8::9]", 0, STW_TRANSPORT_UDP, "2001:db8::9", 5080,
		false },
	{ "sip:bob@192.0.2.1;maddr=example.org", 0, STW_TRANSPORT_UDP, "example.org", 5060, true },
	{ "sip:bob@example.com;maddr=", -EBADMSG, 0, "", 0, false },
	{ "sip:bob@example.com;maddr", -EBADMSG, 0, "", 0, false },
	{ "sip:bob@example.com;maddr=224.0.1.75", -EBADMSG, 0, "", 0, false },
	{ "sip:bob@255.255.255.255", -EBADMSG, 0, "", 0, false },
	{ "sip:bob@0.0.0.0", -EBADMSG, 0, "", 0, false },
	{ "sip:bob@[ff02::1]", -EBADMSG, 0, "", 0, false },
};

static void test_from_uri(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct stw_target target = { .port = 1 };
		struct stw_addr addr;
		struct stw_uri uri;
		int err = stw_uri_parse(stw_str_from(cases[i].uri), &uri);

		if (err == 0)
			err = stw_target_from_uri(&uri, &target);
		if (err != cases[i].err)
			fail_msg("%s: %d", cases[i].uri, err);
		if (err < 0) {
			assert_int_equal(target.port, 1);
			continue;
		}
		assert_int_equal(target.transport, cases[i].transport);
		assert_str(target.host, cases[i].host);
		assert_int_equal(target.port, cases[i].port);
		assert_int_equal(target.need_resolve, cases[i].need_resolve);
		if (target.need_resolve) {
			assert_int_equal(target.addr.family, 0);
			continue;
		}
		assert_int_equal(stw_addr_from_host(target.host, target.port, &addr), 0);
		assert_true(stw_addr_equal(&addr, &target.addr));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_from_uri) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
