/* SPDX-License-Identifier: Apache-2.0 */
/* Responses of name servers, good and bad, byte for byte. */
#include "support.h"

#include <strowger/dns.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct message {
	uint8_t data[65536];
	size_t len;
};

static void put8(struct message *message, unsigned value)
{
	message->data[message->len++] = (uint8_t)value;
}

static void put16(struct message *message, unsigned value)
{
	put8(message, value >> 8);
	put8(message, value);
}

static void put32(struct message *message, uint32_t value)
{
	put16(message, value >> 16);
	put16(message, value & 0xffff);
}

static void put_name(struct message *message, const char *name)
{
	while (*name) {
		size_t len = strcspn(name, ".");

		put8(message, (unsigned)len);
		memcpy(message->data + message->len, name, len);
		message->len += len;
		name += len + (name[len] == '.');
	}
	put8(message, 0);
}

/* Header and question; the name of the question lies at 12. */
static void begin(struct message *message, unsigned rcode, unsigned answers, unsigned authorities,
	const char *name, unsigned type)
{
	message->len = 0;
	put16(message, 4711);
	put16(message, 0x8180 | rcode);
	put16(message, 1);
	put16(message, answers);
	put16(message, authorities);
	put16(message, 0);
	put_name(message, name);
	put16(message, type);
	put16(message, 1);
}

/* An empty owner is the name of the question, by pointer. @return where the length stands */
static size_t put_record(struct message *message, const char *owner, unsigned type, uint32_t ttl_s)
{
	if (*owner)
		put_name(message, owner);
	else
		put16(message, 0xc00c);
	put16(message, type);
	put16(message, 1);
	put32(message, ttl_s);
	put16(message, 0);
	return message->len - 2;
}

static void put_end(struct message *message, size_t at)
{
	size_t len = message->len - at - 2;

	message->data[at] = (uint8_t)(len >> 8);
	message->data[at + 1] = (uint8_t)len;
}

static void put_a(struct message *message, const char *owner, uint32_t ttl_s, uint32_t addr)
{
	size_t at = put_record(message, owner, STW_DNS_A, ttl_s);

	put32(message, addr);
	put_end(message, at);
}

static void put_cname(struct message *message, const char *owner, uint32_t ttl_s, const char *to)
{
	size_t at = put_record(message, owner, 5, ttl_s);

	put_name(message, to);
	put_end(message, at);
}

static void put_srv(struct message *message, unsigned priority, unsigned weight, unsigned port,
	const char *target)
{
	size_t at = put_record(message, "", STW_DNS_SRV, 60);

	put16(message, priority);
	put16(message, weight);
	put16(message, port);
	put_name(message, target);
	put_end(message, at);
}

static void put_soa(struct message *message, uint32_t ttl_s, uint32_t minimum_s)
{
	size_t at = put_record(message, "test", 6, ttl_s);

	put_name(message, "ns.test");
	put_name(message, "admin.test");
	for (unsigned i = 0; i < 4; i++)
		put32(message, i);
	put32(message, minimum_s);
	put_end(message, at);
}

static struct message m;
static struct stw_dns_buffer buffer;

static struct stw_dns_answer parse(const char *name, enum stw_dns_type type)
{
	char *guarded = support_guarded((const char *)m.data, m.len);
	struct stw_dns_answer answer;

	stw_dns_parse((const uint8_t *)guarded, m.len, stw_str_from(name), type, &buffer, &answer);
	support_guarded_free(guarded, m.len);
	return answer;
}

static void test_addresses(void **state)
{
	struct stw_dns_answer answer;
	size_t at;

	begin(&m, 0, 3, 0, "Host.test", STW_DNS_A);
	put_a(&m, "", 300, 0xc0000201);
	put_a(&m, "other.test", 1, 0xc0000205);
	put_a(&m, "hOST.test", 200, 0xc0000202);
	answer = parse("host.TEST.", STW_DNS_A);
	assert_int_equal(answer.error, 0);
	assert_int_equal(answer.n, 2);
	assert_int_equal(answer.ttl_s, 200);
	assert_int_equal(answer.records[1].addr.ip[3], 2);
	begin(&m, 0, 1, 0, "host.test", STW_DNS_AAAA);
	at = put_record(&m, "", STW_DNS_AAAA, 0x80000000u); /* RFC 2181 §8 */
	for (unsigned i = 0; i < 16; i++)
		put8(&m, i);
	put_end(&m, at);
	answer = parse("host.test", STW_DNS_AAAA);
	assert_int_equal(answer.n, 1);
	assert_int_equal(answer.ttl_s, 0);
	assert_int_equal(answer.records[0].addr.family, 6);
	assert_int_equal(answer.records[0].addr.ip[15], 15);
}

static void test_services(void **state)
{
	struct stw_dns_answer answer;
	size_t at;

	begin(&m, 0, 3, 0, "_sip._udp.test", STW_DNS_SRV);
	put_srv(&m, 10, 20, 5060, "a.test");
	put_srv(&m, 0, 0, 0, "");
	put_srv(&m, 1, 1, 5060, "a b.test"); /* no host has that name */
	answer = parse("_sip._udp.test", STW_DNS_SRV);
	assert_int_equal(answer.n, 2);
	assert_str(answer.records[0].target, "a.test");
	assert_int_equal(answer.records[0].port, 5060);
	assert_int_equal(answer.records[1].target.len, 0);
	begin(&m, 0, 1, 0, "test", STW_DNS_NAPTR);
	at = put_record(&m, "", STW_DNS_NAPTR, 60);
	put16(&m, 50);
	put16(&m, 60);
	put8(&m, 1);
	put8(&m, 'S');
	put8(&m, 7);
	memcpy(m.data + m.len, "SIP+D2T", 7);
	m.len += 7;
	put8(&m, 0);
	put_name(&m, "_sip._tcp.test");
	put_end(&m, at);
	answer = parse("test", STW_DNS_NAPTR);
	assert_int_equal(answer.n, 1);
	assert_true(answer.records[0].terminal_srv);
	assert_str(answer.records[0].service, "SIP+D2T");
	assert_str(answer.records[0].target, "_sip._tcp.test");
	m.data[at + 2 + 4 + 1] = 'u';
	assert_false(parse("test", STW_DNS_NAPTR).records[0].terminal_srv);
}

static void test_absence(void **state)
{
	struct stw_dns_answer answer;

	begin(&m, 3, 0, 1, "gone.test", STW_DNS_A);
	put_soa(&m, 600, 17);
	answer = parse("gone.test", STW_DNS_A);
	assert_int_equal(answer.error, -ENOENT);
	assert_int_equal(answer.ttl_s, 17);
	begin(&m, 0, 0, 1, "gone.test", STW_DNS_A);
	put_soa(&m, 5, 17);
	assert_int_equal(parse("gone.test", STW_DNS_A).ttl_s, 5);
	begin(&m, 0, 0, 0, "gone.test", STW_DNS_A);
	answer = parse("gone.test", STW_DNS_A);
	assert_int_equal(answer.error, -ENOENT);
	assert_int_equal(answer.ttl_s, STW_DNS_NEGATIVE_S);
	begin(&m, 2, 0, 0, "gone.test", STW_DNS_A);
	assert_int_equal(parse("gone.test", STW_DNS_A).error, -EIO);
}

static void test_aliases(void **state)
{
	struct stw_dns_answer answer;
	char from[16], to[16];

	begin(&m, 0, 3, 0, "a.test", STW_DNS_A);
	put_a(&m, "c.test", 300, 0xc0000201);
	put_cname(&m, "", 100, "b.test");
	put_cname(&m, "B.test", 50, "c.test");
	answer = parse("a.test", STW_DNS_A);
	assert_int_equal(answer.error, 0);
	assert_int_equal(answer.n, 1);
	assert_int_equal(answer.ttl_s, 50);
	/* A circle, and a chain without end. */
	begin(&m, 0, 2, 0, "a.test", STW_DNS_A);
	put_cname(&m, "", 100, "b.test");
	put_cname(&m, "b.test", 50, "a.test");
	assert_int_equal(parse("a.test", STW_DNS_A).error, -EIO);
	begin(&m, 0, 30, 0, "n0.test", STW_DNS_A);
	for (int i = 0; i < 30; i++) {
		snprintf(from, sizeof(from), "n%d.test", i);
		snprintf(to, sizeof(to), "n%d.test", i + 1);
		put_cname(&m, from, 60, to);
	}
	assert_int_equal(parse("n0.test", STW_DNS_A).error, -EIO);
	/* The end of the chain is elsewhere. */
	begin(&m, 0, 1, 0, "a.test", STW_DNS_A);
	put_cname(&m, "", 100, "b.test");
	assert_int_equal(parse("a.test", STW_DNS_A).error, -ENOENT);
}

static void test_broken(void **state)
{
	size_t at;

	/* A pointer to itself, and two that point at one another. */
	begin(&m, 0, 1, 0, "a.test", STW_DNS_A);
	put16(&m, 0xc000 | (unsigned)m.len);
	put32(&m, 0x00010001);
	put32(&m, 60);
	put16(&m, 4);
	put32(&m, 1);
	assert_int_equal(parse("a.test", STW_DNS_A).error, -EIO);
	begin(&m, 0, 1, 0, "a.test", STW_DNS_A);
	at = m.len;
	put16(&m, 0xc000 | (unsigned)(at + 2));
	put16(&m, 0xc000 | (unsigned)at);
	put32(&m, 60);
	put32(&m, 60);
	assert_int_equal(parse("a.test", STW_DNS_A).error, -EIO);
	/* Not to our question; not a response; truncated; two questions. */
	begin(&m, 0, 1, 0, "b.test", STW_DNS_A);
	put_a(&m, "a.test", 60, 1);
	assert_int_equal(parse("a.test", STW_DNS_A).error, -EIO);
	begin(&m, 0, 1, 0, "a.test", STW_DNS_A);
	put_a(&m, "", 60, 1);
	assert_int_equal(parse("a.test", STW_DNS_AAAA).error, -EIO);
	assert_int_equal(parse("a.test", STW_DNS_A).error, 0);
	m.data[2] &= 0x7f;
	assert_int_equal(parse("a.test", STW_DNS_A).error, -EIO);
	m.data[2] |= 0x82;
	assert_int_equal(parse("a.test", STW_DNS_A).error, -EIO);
	m.data[2] &= (uint8_t)~0x02;
	m.data[5] = 2;
	assert_int_equal(parse("a.test", STW_DNS_A).error, -EIO);
}

/* The owner of a record at the end of a chain of pointers, which lies in the record before. */
static int parse_chained(unsigned pointers)
{
	size_t at;

	begin(&m, 0, 2, 0, "a.test", STW_DNS_A);
	at = put_record(&m, "", 4711, 60);
	put16(&m, 0xc00c);
	for (unsigned i = 2; i < pointers; i++)
		put16(&m, 0xc000 | (unsigned)(m.len - 2));
	put_end(&m, at);
	put16(&m, 0xc000 | (unsigned)(m.len - 2));
	put16(&m, STW_DNS_A);
	put16(&m, 1);
	put32(&m, 60);
	put16(&m, 4);
	put32(&m, 1);
	return parse("a.test", STW_DNS_A).error;
}

/* No more than a name has labels: each would be followed for each record. */
static void test_chain_of_pointers(void **state)
{
	assert_int_equal(parse_chained(127), 0);
	assert_int_equal(parse_chained(128), -EIO);
}

/* Every prefix, and every byte turned round: no answer is ever more than there is. */
static void test_cut_and_bent(void **state)
{
	struct stw_dns_answer answer;
	size_t whole;

	begin(&m, 0, 3, 1, "_sip._udp.test", STW_DNS_SRV);
	put_cname(&m, "", 60, "x.test");
	put_srv(&m, 10, 20, 5060, "a.test");
	put_srv(&m, 11, 20, 5060, "b.test");
	put_soa(&m, 60, 60);
	whole = m.len;
	for (m.len = 0; m.len < whole; m.len++)
		assert_true(parse("_sip._udp.test", STW_DNS_SRV).n <= 2);
	for (size_t i = 0; i < whole; i++) {
		for (unsigned bits = 1; bits < 256; bits <<= 1) {
			m.data[i] ^= (uint8_t)bits;
			answer = parse("_sip._udp.test", STW_DNS_SRV);
			assert_true(answer.error || (answer.n > 0 && answer.n <= 3));
			m.data[i] ^= (uint8_t)bits;
		}
	}
}

/* Seven aliases, the last one first, and an address behind so many other records. */
static int chain_parse(unsigned others)
{
	char from[16], to[16];

	begin(&m, 0, others + 8, 0, "n0.test", STW_DNS_A);
	for (unsigned i = 0; i < others; i++)
		put_a(&m, "other.test", 60, i);
	for (int i = 6; i >= 0; i--) {
		snprintf(from, sizeof(from), "n%d.test", i);
		snprintf(to, sizeof(to), "n%d.test", i + 1);
		put_cname(&m, from, 60, to);
	}
	put_a(&m, "n7.test", 60, 1);
	return parse("n0.test", STW_DNS_A).error;
}

/* The walks look at 2048 records in all: eight times 256. What was not looked at is not absent. */
static void test_walks(void **state)
{
	assert_int_equal(chain_parse(248), 0);
	assert_int_equal(chain_parse(249), -EIO);
}

/* Thousands of records: those of the lowest priority, and no more than there is room for. */
static void test_many(void **state)
{
	struct stw_dns_answer answer;
	char target[256];
	unsigned n;

	begin(&m, 0, 0, 0, "s.test", STW_DNS_SRV);
	for (n = 0; m.len < 60000; n++)
		put_srv(&m, 3000 - n, 1, 5060, "host.test");
	m.data[6] = (uint8_t)(n >> 8);
	m.data[7] = (uint8_t)n;
	answer = parse("s.test", STW_DNS_SRV);
	assert_int_equal(answer.n, STW_DNS_RECORDS_MAX);
	assert_true(n > 2048);
	for (unsigned i = 0; i < answer.n; i++) /* of the 2048 that are looked at */
		assert_in_range(answer.records[i].priority, 3000 - 2047, 3000 - 2047 + 31);
	/* More are announced than there are. */
	begin(&m, 0, 65535, 0, "s.test", STW_DNS_SRV);
	put_srv(&m, 1, 1, 5060, "host.test");
	assert_int_equal(parse("s.test", STW_DNS_SRV).error, -EIO);
	/* Long names: as many as there is room for. */
	memset(target, 'a', sizeof(target));
	for (unsigned i = 50; i < 250; i += 50)
		target[i] = '.';
	target[250] = '\0';
	begin(&m, 0, 32, 0, "s.test", STW_DNS_SRV);
	for (n = 0; n < 32; n++)
		put_srv(&m, n, 1, 5060, target);
	answer = parse("s.test", STW_DNS_SRV);
	assert_int_equal(answer.n, STW_DNS_TEXT_BYTES / 250);
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		bool valid;
	} names[] = {
		{ "example.com", true },
		{ "example.com.", true },
		{ "_sip._udp.example.com", true },
		{ "xn--bcher-kva.example", true },
		{ "a", true },
		{ "", false },
		{ ".", false },
		{ ".example.com", false },
		{ "example..com", false },
		{ "exa mple.com", false },
		{ "exa\\mple.com", false },
		{ "ex\xc3\xa4mple.com", false },
		{ "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123.test", true },
		{ "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234.test", false },
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(names); i++)
		assert_int_equal(stw_dns_name_valid(stw_str_from(names[i].name)), names[i].valid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_absence),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_chain_of_pointers),
		cmocka_unit_test(test_cut_and_bent),
		cmocka_unit_test(test_walks),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
