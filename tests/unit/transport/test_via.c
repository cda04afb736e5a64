/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <strowger/transport.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct stw_addr addr_of(const char *host, uint16_t port)
{
	struct stw_addr addr;

	assert_int_equal(stw_addr_from_host(stw_str_from(host), port, &addr), 0);
	return addr;
}

/* What stands in the Via, the source, and the Via that we pass on. */
static const struct {
	const char *via, *source;
	const char *received;
	bool rport;
	const char *expected;
} stamp_cases[] = {
	{ "SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bKa", "192.0.2.4", "", false,
		"SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bKa" },
	{ "SIP/2.0/UDP 192.0.2.4;branch=z9hG4bKa", "192.0.2.4", "", false,
		"SIP/2.0/UDP 192.0.2.4;branch=z9hG4bKa" },
	{ "SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKa", "192.0.2.4", "192.0.2.4", false,
		"SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKa;received=192.0.2.4" },
	{ "SIP/2.0/UDP bobspc.biloxi.com:5060", "192.0.2.4", "192.0.2.4", false,
		"SIP/2.0/UDP bobspc.biloxi.com:5060;received=192.0.2.4" },
	/* RFC 3581 §4: received also when it is the same */
	{ "SIP/2.0/UDP 192.0.2.4;rport;branch=z9hG4bKa", "192.0.2.4", "192.0.2.4", true,
		"SIP/2.0/UDP 192.0.2.4;rport=9988;branch=z9hG4bKa;received=192.0.2.4" },
	{ "SIP/2.0/UDP 192.0.2.4;branch=z9hG4bKa;rport", "192.0.2.4", "192.0.2.4", true,
		"SIP/2.0/UDP 192.0.2.4;branch=z9hG4bKa;rport=9988;received=192.0.2.4" },
	{ "SIP/2.0/TCP 10.1.1.1:4540;RPORT;branch=z9hG4bKa", "192.0.2.4", "192.0.2.4", true,
		"SIP/2.0/TCP 10.1.1.1:4540;RPORT=9988;branch=z9hG4bKa;received=192.0.2.4" },
	/* what the sender invents is replaced */
	{ "SIP/2.0/UDP 192.0.2.4;received=203.0.113.1;branch=z9hG4bKa", "192.0.2.4", "192.0.2.4",
		false, "SIP/2.0/UDP 192.0.2.4;received=192.0.2.4;branch=z9hG4bKa" },
	{ "SIP/2.0/UDP 192.0.2.4;rport=1;branch=z9hG4bKa", "192.0.2.4", "192.0.2.4", true,
		"SIP/2.0/UDP 192.0.2.4;rport=9988;branch=z9hG4bKa;received=192.0.2.4" },
	{ "SIP/2.0/UDP 10.0.0.1;received=203.0.113.1;rport", "192.0.2.4", "192.0.2.4", true,
		"SIP/2.0/UDP 10.0.0.1;received=192.0.2.4;rport=9988" },
	/* IPv6 by value; received without brackets (RFC 5118 §4.5) */
	{ "SIP/2.0/UDP [2001:DB8:0::9:1]:5060;branch=z9hG4bKa", "2001:db8::9:1", "", false,
		"SIP/2.0/UDP [2001:DB8:0::9:1]:5060;branch=z9hG4bKa" },
	{ "SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKa", "2001:db8::9:2",
		"2001:db8::9:2", false,
		"SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:2;branch=z9hG4bKa" },
	{ "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKa", "2001:db8::9:2", "2001:db8::9:2", false,
		"SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKa;received=2001:db8::9:2" },
	{ "SIP/2.0/UDP [::ffff:192.0.2.4];branch=z9hG4bKa", "192.0.2.4", "", false,
		"SIP/2.0/UDP [::ffff:192.0.2.4];branch=z9hG4bKa" },
};

static size_t write_request(char *buffer, size_t size, const char *via)
{
	int len = snprintf(buffer, size,
		"OPTIONS sip:example.com SIP/2.0\r\n"
		"Via: %s, SIP/2.0/UDP second.example.com\r\n"
		"Via: SIP/2.0/UDP third.example.com\r\n"
		"From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\n"
		"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n"
		"Content-Length: 0\r\n\r\n",
		via);

	assert_in_range(len, 1, size - 1);
	return (size_t)len;
}

static void parse(struct stw_msg *msg, struct stw_field *fields, const char *data, size_t len)
{
	struct stw_fault fault;

	*msg = (struct stw_msg){ .fields = fields, .field_capacity = 32 };
	assert_int_equal(stw_msg_parse(msg, data, len, NULL, &fault), 0);
	assert_int_equal(stw_msg_check(msg, &fault), 0);
	assert_true(msg->has_via);
}

static void check_edit(
	const struct stw_msg *msg, const struct stw_via_stamp *stamp, const char *via)
{
	char expected[1024], actual[1024];
	struct stw_str slices[STW_EDIT_SLICES_MAX];
	struct stw_arena arena;
	struct stw_edit edit;
	size_t len;
	int n;

	stw_arena_init(&arena, 4096);
	stw_edit_init(&edit, msg);
	assert_int_equal(stw_via_stamp_edit(&edit, stamp, &arena), 0);
	n = stw_edit_slices(&edit, slices);
	assert_in_range(n, 1, STW_EDIT_SLICES_MAX);
	len = stw_slices_bytes((struct stw_slices){ slices, (unsigned)n });
	assert_in_range(len, 1, sizeof(actual) - 1);
	stw_slices_flatten((struct stw_slices){ slices, (unsigned)n }, actual);
	actual[len] = '\0';
	write_request(expected, sizeof(expected), via);
	assert_string_equal(actual, expected);
	stw_arena_done(&arena);
}

static void test_stamp(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(stamp_cases); i++) {
		struct stw_addr source = addr_of(stamp_cases[i].source, 9988);
		struct stw_via_stamp stamp;
		struct stw_field fields[32];
		struct stw_msg msg;
		char data[1024];

		parse(&msg, fields, data, write_request(data, sizeof(data), stamp_cases[i].via));
		stw_via_stamp(&msg.via, &source, &stamp);
		assert_str(stamp.received, stamp_cases[i].received);
		assert_int_equal(stamp.rport, stamp_cases[i].rport ? 9988 : 0);
		check_edit(&msg, &stamp, stamp_cases[i].expected);
	}
}

static void test_stamp_without_memory(void **state)
{
	struct stw_addr source = addr_of("192.0.2.4", 9988);
	struct stw_via_stamp stamp;
	struct stw_field fields[32];
	struct stw_msg msg;
	char data[1024];

	parse(&msg, fields, data,
		write_request(data, sizeof(data), "SIP/2.0/UDP a.example.com;rport"));
	stw_via_stamp(&msg.via, &source, &stamp);
	for (size_t limit = 0; limit < 3; limit++) {
		struct stw_arena arena;
		struct stw_edit edit;

		stw_arena_init(&arena, limit * 8); /* the first text fits in 8 bytes, both do not */
		stw_edit_init(&edit, &msg);
		assert_int_equal(stw_via_stamp_edit(&edit, &stamp, &arena), -ENOMEM);
		stw_arena_done(&arena);
	}
}

/* A response that we relay: by its Via alone. */
static const struct {
	const char *via;
	int err;
	enum stw_transport transport;
	const char *remote;
} relay_cases[] = {
	{ "SIP/2.0/UDP 192.0.2.4", 0, STW_TRANSPORT_UDP, "192.0.2.4:5060" },
	{ "SIP/2.0/UDP 192.0.2.4:5070", 0, STW_TRANSPORT_UDP, "192.0.2.4:5070" },
	{ "SIP/2.0/UDP a.example.com:5070;received=192.0.2.4", 0, STW_TRANSPORT_UDP,
		"192.0.2.4:5070" },
	{ "SIP/2.0/UDP 10.0.0.1;received=192.0.2.4;rport=9988", 0, STW_TRANSPORT_UDP,
		"192.0.2.4:9988" },
	{ "SIP/2.0/UDP 10.0.0.1;received=192.0.2.4;rport", 0, STW_TRANSPORT_UDP, "192.0.2.4:5060" },
	/* rport counts with received only, RFC 3581 §4 */
	{ "SIP/2.0/UDP 192.0.2.4:5070;rport=9988", 0, STW_TRANSPORT_UDP, "192.0.2.4:5070" },
	{ "SIP/2.0/UDP 10.0.0.1:5070;maddr=192.0.2.9;received=192.0.2.4;rport=9", 0,
		STW_TRANSPORT_UDP, "192.0.2.9:5070" },
	{ "SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255]", 0, STW_TRANSPORT_UDP,
		"[2001:db8::9:255]:5060" },
	{ "SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255", 0, STW_TRANSPORT_UDP,
		"[2001:db8::9:255]:5060" },
	{ "SIP/2.0/TCP 10.0.0.1:5070;received=192.0.2.4;rport=9988;maddr=192.0.2.9", 0,
		STW_TRANSPORT_TCP, "192.0.2.4:5070" },
	{ "SIP/2.0/TCP 192.0.2.4", 0, STW_TRANSPORT_TCP, "192.0.2.4:5060" },
	{ "SIP/2.0/TLS 192.0.2.4", 0, STW_TRANSPORT_TLS, "192.0.2.4:5061" },
	{ "SIP/2.0/UDP a.example.com", -ENOENT, 0, "" },
	{ "SIP/2.0/TCP a.example.com", -ENOENT, 0, "" },
	{ "SIP/2.0/UDP 192.0.2.4;maddr=a.example.com", -ENOENT, 0, "" },
	{ "SIP/2.0/UDP a.example.com;received=b.example.com", -EBADMSG, 0, "" },
	{ "SIP/2.0/SCTP 192.0.2.4", -EBADMSG, 0, "" },
	/* RFC 4475 §3.3.10 */
	{ "SIP/2.0/UDP 255.255.255.255", -EBADMSG, 0, "" },
	{ "SIP/2.0/UDP 192.0.2.4;received=224.0.1.75", -EBADMSG, 0, "" },
	{ "SIP/2.0/UDP 192.0.2.4;maddr=224.0.1.75", -EBADMSG, 0, "" },
	{ "SIP/2.0/UDP 0.0.0.0", -EBADMSG, 0, "" },
	{ "SIP/2.0/UDP [ff02::1]", -EBADMSG, 0, "" },
	{ "SIP/2.0/UDP [::ffff:255.255.255.255]", -EBADMSG, 0, "" },
};

static void test_relay_target(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(relay_cases); i++) {
		char buffer[STW_ADDR_TEXT_MAX];
		struct stw_hop hop = { .listener = 7 };
		struct stw_via via;
		int err = stw_via_parse(stw_str_from(relay_cases[i].via), &via);

		if (err == 0)
			err = stw_response_target(&via, NULL, &hop);
		if (err != relay_cases[i].err)
			fail_msg("%s: %d", relay_cases[i].via, err);
		if (err < 0) {
			assert_int_equal(hop.listener, 7);
			continue;
		}
		assert_int_equal(hop.transport, relay_cases[i].transport);
		assert_str(stw_addr_text(&hop.remote, buffer), relay_cases[i].remote);
		assert_int_equal(hop.local.family, 0);
		assert_false(stw_flow_id_set(hop.flow));
	}
}

/* A request from this machine itself may be answered there. */
static void test_source_on_loopback(void **state)
{
	struct stw_hop hop = { 0 }, source = { .transport = STW_TRANSPORT_UDP,
		.remote = addr_of("127.0.0.1", 9988) };
	char buffer[STW_ADDR_TEXT_MAX];
	struct stw_via via;

	assert_int_equal(
		stw_via_parse(STW_STR("SIP/2.0/UDP 10.0.0.1:5070;maddr=127.0.0.2"), &via), 0);
	assert_int_equal(stw_response_target(&via, &source, &hop), 0);
	assert_str(stw_addr_text(&hop.remote, buffer), "127.0.0.2:5070");
}

/* A request that came from 192.0.2.4:9988. */
static const struct {
	const char *via;
	enum stw_transport transport;
	bool flow;
	int err;
	const char *remote;
} source_cases[] = {
	{ "SIP/2.0/UDP 10.0.0.1", STW_TRANSPORT_UDP, false, 0, "192.0.2.4:5060" },
	{ "SIP/2.0/UDP 10.0.0.1:5070", STW_TRANSPORT_UDP, false, 0, "192.0.2.4:5070" },
	{ "SIP/2.0/UDP 10.0.0.1:5070;rport", STW_TRANSPORT_UDP, false, 0, "192.0.2.4:9988" },
	{ "SIP/2.0/UDP a.example.com;received=203.0.113.1", STW_TRANSPORT_UDP, false, 0,
		"192.0.2.4:5060" },
	{ "SIP/2.0/UDP 10.0.0.1:5070;maddr=192.0.2.9;rport", STW_TRANSPORT_UDP, false, 0,
		"192.0.2.9:5070" },
	{ "SIP/2.0/UDP 10.0.0.1;maddr=224.0.1.75", STW_TRANSPORT_UDP, false, -EBADMSG, "" },
	{ "SIP/2.0/UDP 10.0.0.1;maddr=0.0.0.0", STW_TRANSPORT_UDP, false, -EBADMSG, "" },
	{ "SIP/2.0/UDP 10.0.0.1;maddr=127.0.0.1", STW_TRANSPORT_UDP, false, -EBADMSG, "" },
	{ "SIP/2.0/UDP 10.0.0.1;maddr=[::1];rport", STW_TRANSPORT_UDP, false, -EBADMSG, "" },
	{ "SIP/2.0/UDP 10.0.0.1;maddr=[::ffff:127.1.2.3]", STW_TRANSPORT_UDP, false, -EBADMSG, "" },
	{ "SIP/2.0/UDP 10.0.0.1;maddr=m.example.com", STW_TRANSPORT_UDP, false, -ENOENT, "" },
	{ "SIP/2.0/TCP 10.0.0.1:5070;maddr=224.0.1.75", STW_TRANSPORT_TCP, true, 0,
		"192.0.2.4:9988" },
	/* the flow is gone: a new one to sent-by's port, not to the ephemeral one */
	{ "SIP/2.0/TCP 10.0.0.1:5070;rport", STW_TRANSPORT_TCP, false, 0, "192.0.2.4:5070" },
	{ "SIP/2.0/TCP 10.0.0.1", STW_TRANSPORT_TCP, false, 0, "192.0.2.4:5060" },
	{ "SIP/2.0/TLS 10.0.0.1", STW_TRANSPORT_TLS, false, 0, "192.0.2.4:5061" },
};

static void test_source_target(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(source_cases); i++) {
		char buffer[STW_ADDR_TEXT_MAX];
		struct stw_hop hop = { 0 }, source = {
			.transport = source_cases[i].transport,
			.remote = addr_of("192.0.2.4", 9988),
			.local = addr_of("192.0.2.1", 5060),
			.listener = 3,
			.flow = { 1, 2, source_cases[i].flow ? 3 : 0 },
		};
		struct stw_via via;

		assert_int_equal(stw_via_parse(stw_str_from(source_cases[i].via), &via), 0);
		assert_int_equal(stw_response_target(&via, &source, &hop), source_cases[i].err);
		if (source_cases[i].err < 0)
			continue;
		assert_str(stw_addr_text(&hop.remote, buffer), source_cases[i].remote);
		assert_int_equal(stw_flow_id_set(hop.flow), source_cases[i].flow);
		/* from the address it was received on, RFC 3581 §4 */
		assert_int_equal(hop.listener, 3);
		assert_true(stw_addr_equal(&hop.local, &source.local));
	}
}

/* RFC 4475 §3.3.10: a response whose second Via is the broadcast address is not relayed. */
static void test_torture_bcast(void **state)
{
	size_t len;
	char *data = support_read_file("tests/torture/rfc4475/bcast.dat", &len);
	struct stw_field fields[32];
	struct stw_values values;
	struct stw_str value;
	struct stw_via via;
	struct stw_hop hop;
	struct stw_msg msg;

	parse(&msg, fields, data, len);
	values = stw_msg_values(&msg, STW_HDR_VIA);
	assert_true(stw_values_next(&values, &value));
	assert_true(stw_values_next(&values, &value));
	assert_int_equal(stw_via_parse(value, &via), 0);
	assert_str(via.host, "255.255.255.255");
	assert_int_equal(stw_response_target(&via, NULL, &hop), -EBADMSG);
	free(data);
}

/* RFC 5118 §4.5: received with and without brackets names the same place. */
static void test_torture_received(void **state)
{
	static const char *const files[] = {
		"tests/torture/rfc5118/via-received-param-with-delim.dat",
		"tests/torture/rfc5118/via-received-param-no-delim.dat"
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(files); i++) {
		char buffer[STW_ADDR_TEXT_MAX];
		size_t len;
		char *data = support_read_file(files[i], &len);
		struct stw_field fields[32];
		struct stw_hop hop;
		struct stw_msg msg;

		parse(&msg, fields, data, len);
		assert_int_equal(stw_response_target(&msg.via, NULL, &hop), 0);
		assert_str(stw_addr_text(&hop.remote, buffer), "[2001:db8::9:255]:5060");
		free(data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stamp),
		cmocka_unit_test(test_stamp_without_memory),
		cmocka_unit_test(test_relay_target),
		cmocka_unit_test(test_source_target),
		cmocka_unit_test(test_source_on_loopback),
		cmocka_unit_test(test_torture_bcast),
		cmocka_unit_test(test_torture_received),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
