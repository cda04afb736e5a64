/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <strowger/transport.h>

#include <errno.h>
#include <string.h>

static struct stw_addr addr_of(const char *host, uint16_t port)
{
	struct stw_addr addr;

	assert_int_equal(stw_addr_from_host(stw_str_from(host), port, &addr), 0);
	return addr;
}

static void add(struct stw_listeners *listeners, enum stw_transport transport, const char *host,
	uint16_t port)
{
	listeners->v[listeners->n++] =
		(struct stw_listener){ .transport = transport, .bind = addr_of(host, port) };
}

static void some_listeners(struct stw_listeners *ret)
{
	*ret = (struct stw_listeners){ 0 };
	add(ret, STW_TRANSPORT_UDP, "127.0.0.1", 5060);   /* 0 */
	add(ret, STW_TRANSPORT_UDP, "192.0.2.1", 5060);   /* 1 */
	add(ret, STW_TRANSPORT_UDP, "192.0.2.1", 5070);   /* 2 */
	add(ret, STW_TRANSPORT_TCP, "0.0.0.0", 5060);     /* 3 */
	add(ret, STW_TRANSPORT_UDP, "2001:db8::1", 5060); /* 4 */
	add(ret, STW_TRANSPORT_TLS, "2001:db8::1", 5061); /* 5 */
}

static const struct {
	enum stw_transport transport;
	const char *remote;
	int like, expected;
} for_cases[] = {
	{ STW_TRANSPORT_UDP, "198.51.100.7", -1, 1 },
	{ STW_TRANSPORT_UDP, "198.51.100.7", 2, 2 },
	{ STW_TRANSPORT_UDP, "198.51.100.7", 3, 1 }, /* like is TCP */
	{ STW_TRANSPORT_UDP, "198.51.100.7", 4, 1 }, /* like is IPv6 */
	{ STW_TRANSPORT_UDP, "198.51.100.7", 99, 1 },
	{ STW_TRANSPORT_UDP, "198.51.100.7", 0, 1 }, /* nothing leaves from loopback */
	{ STW_TRANSPORT_UDP, "127.0.0.1", -1, 0 },
	{ STW_TRANSPORT_UDP, "127.0.0.1", 1, 1 },
	{ STW_TRANSPORT_TCP, "127.0.0.1", -1, 3 },
	{ STW_TRANSPORT_TCP, "2001:db8::9", -1, -ENOENT },
	{ STW_TRANSPORT_UDP, "2001:db8::9", -1, 4 },
	{ STW_TRANSPORT_UDP, "::1", -1, 4 }, /* better than none */
	{ STW_TRANSPORT_TLS, "198.51.100.7", 5, -ENOENT },
	{ STW_TRANSPORT_WS, "198.51.100.7", -1, -ENOENT },
	{ STW_TRANSPORT_WSS, "2001:db8::9", -1, -ENOENT },
};

static void test_on_loopback(void **state)
{
	struct stw_listeners listeners;

	some_listeners(&listeners);
	assert_true(stw_listeners_on_loopback(&listeners, STW_TRANSPORT_UDP));
	assert_false(stw_listeners_on_loopback(&listeners, STW_TRANSPORT_TCP)); /* of any address */
	assert_false(stw_listeners_on_loopback(&listeners, STW_TRANSPORT_TLS));
}

static void test_for(void **state)
{
	struct stw_listeners listeners;

	some_listeners(&listeners);
	for (size_t i = 0; i < STW_ARRAY_SIZE(for_cases); i++) {
		struct stw_addr remote = addr_of(for_cases[i].remote, 5060);

		assert_int_equal(stw_listener_for(&listeners, for_cases[i].transport, &remote,
					 for_cases[i].like),
			for_cases[i].expected);
	}
}

static const struct {
	const char *bind, *advertise;
	uint16_t advertise_port;
	const char *local;
	const char *expected;
} sent_by_cases[] = {
	{ "192.0.2.1", "", 0, NULL, "192.0.2.1:5060" },
	{ "0.0.0.0", "", 0, "192.0.2.7", "192.0.2.7:5060" },
	{ "::", "", 0, "2001:db8::7", "[2001:db8::7]:5060" },
	{ "2001:db8::1", "", 0, NULL, "[2001:db8::1]:5060" },
	{ "0.0.0.0", "sip.example.com", 0, "192.0.2.7", "sip.example.com:5060" },
	{ "0.0.0.0", "sip.example.com", 5080, "192.0.2.7", "sip.example.com:5080" },
	{ "0.0.0.0", "", 5080, "192.0.2.7", "192.0.2.7:5080" },
	{ "::", "2001:db8::2", 0, NULL, "[2001:db8::2]:5060" },
	{ "::", "[2001:db8::2]", 0, NULL, "[2001:db8::2]:5060" },
};

static void test_sent_by(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(sent_by_cases); i++) {
		const char *expected = sent_by_cases[i].expected;
		const char *local_text = sent_by_cases[i].local;
		struct stw_addr local = addr_of(local_text ? local_text : "::", 40000);
		struct stw_listener listener = {
			.transport = STW_TRANSPORT_UDP,
			.bind = addr_of(sent_by_cases[i].bind, 5060),
			.advertise = stw_str_from(sent_by_cases[i].advertise),
			.advertise_port = sent_by_cases[i].advertise_port,
		};
		char buffer[80];
		size_t len = strlen(expected);

		assert_str(stw_listener_sent_by(&listener, local_text ? &local : NULL, buffer, len),
			expected);
		assert_int_equal(
			stw_listener_sent_by(&listener, local_text ? &local : NULL, buffer, len - 1)
				.len,
			0);
	}
}

/* A local address that is not known (family 0) says nothing. */
static void test_sent_by_unknown_local(void **state)
{
	struct stw_listener listener = { .transport = STW_TRANSPORT_UDP,
		.bind = addr_of("192.0.2.1", 5060) };
	struct stw_addr unknown = { 0 };
	char buffer[80];

	assert_str(stw_listener_sent_by(&listener, &unknown, buffer, sizeof(buffer)),
		"192.0.2.1:5060");
}

static const struct {
	const char *host;
	uint16_t port;
	bool expected;
} own_cases[] = {
	{ "192.0.2.1", 0, true },
	{ "192.0.2.1", 5060, true },
	{ "192.0.2.1", 5070, true },
	{ "192.0.2.1", 5061, false },
	{ "192.0.2.2", 5060, true }, /* by the TCP wildcard: a local address */
	{ "192.0.2.3", 5060, false },
	{ "127.0.0.1", 0, true },
	{ "127.0.0.99", 5060, true }, /* wildcard */
	{ "127.0.0.99", 5070, false },
	{ "0.0.0.0", 5060, false },
	{ "2001:db8::1", 0, true },
	{ "[2001:0DB8:0:0:0:0:0:1]", 5060, true },
	{ "2001:db8::1", 5061, true },  /* TLS */
	{ "2001:db8::2", 5060, false }, /* local, but no IPv6 wildcard */
	{ "::1", 5060, false },
	{ "::ffff:192.0.2.1", 5060, true },
	{ "SIP.example.com", 0, true }, /* advertised, default port */
	{ "sip.example.com.", 5060, true },
	{ "sip.example.com", 5070, false },
	{ "sip.example.co", 0, false },
	{ "203.0.113.5", 6000, true }, /* advertised address and port */
	{ "203.0.113.5", 5090, false },
	{ "192.0.2.1", 5090, true },
	{ "192.0.2.1", 6000, false },
	{ "localhost", 5060, false },
	{ "", 5060, false },
};

static void test_own(void **state)
{
	struct stw_addr local[2] = { addr_of("192.0.2.2", 0), addr_of("2001:db8::2", 0) };
	struct stw_listeners listeners;

	some_listeners(&listeners);
	listeners.v[0].advertise = STW_STR("sip.Example.com");
	add(&listeners, STW_TRANSPORT_UDP, "192.0.2.1", 5090);
	listeners.v[listeners.n - 1].advertise = STW_STR("203.0.113.5");
	listeners.v[listeners.n - 1].advertise_port = 6000;
	stw_listeners_set_local(local, 2);
	for (size_t i = 0; i < STW_ARRAY_SIZE(own_cases); i++) {
		bool own = stw_listeners_own(
			&listeners, stw_str_from(own_cases[i].host), own_cases[i].port);

		if (own != own_cases[i].expected)
			fail_msg("%s port %u: %d", own_cases[i].host, own_cases[i].port, own);
	}
}

static void test_own_wildcard_6(void **state)
{
	struct stw_addr local[80];
	struct stw_listeners listeners = { 0 };

	add(&listeners, STW_TRANSPORT_UDP, "::", 5060);
	for (unsigned i = 0; i < 80; i++) {
		local[i] = addr_of("2001:db8::", 0);
		local[i].ip[15] = (uint8_t)i;
	}
	stw_listeners_set_local(local, 80);
	assert_true(stw_listeners_own(&listeners, STW_STR("[::1]"), 0));
	assert_true(stw_listeners_own(&listeners, STW_STR("[2001:db8::3f]"), 0));
	assert_false(stw_listeners_own(&listeners, STW_STR("127.0.0.1"), 0));
	stw_listeners_set_local(NULL, 0);
	assert_false(stw_listeners_own(&listeners, STW_STR("[2001:db8::3f]"), 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_for),
		cmocka_unit_test(test_on_loopback),
		cmocka_unit_test(test_sent_by),
		cmocka_unit_test(test_sent_by_unknown_local),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_own_wildcard_6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
