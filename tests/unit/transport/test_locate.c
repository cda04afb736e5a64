/* SPDX-License-Identifier: Apache-2.0 */
/* The procedure of RFC 3263 with tables: what is known to the DNS, what is asked, where it leads.
 */
#include "support.h"

#include <strowger/locate.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A line of a zone: "example.com NAPTR 10 50 s SIP+D2U _sip._udp.example.com". */
struct zone {
	const char *const *lines;
	unsigned asked;
	char questions[2048]; /* "NAPTR example.com; …" in order */
};

static struct stw_listeners listeners;

static void listen_on(enum stw_transport transport, const char *ip)
{
	struct stw_listener *listener = &listeners.v[listeners.n++];

	*listener = (struct stw_listener){ .transport = transport };
	assert_int_equal(stw_addr_from_host(stw_str_from(ip), 5060, &listener->bind), 0);
}

static struct stw_locate_options options = {
	.listeners = &listeners, .max_places = 8, .max_srv = 8, .max_questions = 16
};

/* u and t: UDP and TCP over IPv4; U and T: over IPv6; s: TLS over IPv4; l: UDP on loopback; L:
 * names may lead there. */
static void listen_as(const char *letters)
{
	listeners.n = 0;
	options.loopback = false;
	for (; *letters; letters++) {
		switch (*letters) {
		case 'u':
			listen_on(STW_TRANSPORT_UDP, "192.0.2.100");
			break;
		case 't':
			listen_on(STW_TRANSPORT_TCP, "192.0.2.100");
			break;
		case 'U':
			listen_on(STW_TRANSPORT_UDP, "2001:db8::100");
			break;
		case 'T':
			listen_on(STW_TRANSPORT_TCP, "2001:db8::100");
			break;
		case 's':
			listen_on(STW_TRANSPORT_TLS, "192.0.2.100");
			break;
		case 'l':
			listen_on(STW_TRANSPORT_UDP, "127.0.0.1");
			break;
		case 'L':
			options.loopback = true;
			break;
		}
	}
}

static void zone_record(enum stw_dns_type type, const char *text, struct stw_dns_record *ret)
{
	static char names[STW_DNS_RECORDS_MAX * 4][2][128];
	static unsigned at;
	char flag[8];

	*ret = (struct stw_dns_record){ 0 };
	at = (at + 1) % STW_ARRAY_SIZE(names);
	names[at][0][0] = names[at][1][0] = '\0';
	if (type == STW_DNS_SRV) {
		assert_int_equal(sscanf(text, "%hu %hu %hu %127s", &ret->priority, &ret->weight,
					 &ret->port, names[at][0]),
			4);
	} else if (type == STW_DNS_NAPTR) {
		assert_int_equal(sscanf(text, "%hu %hu %7s %127s %127s", &ret->priority,
					 &ret->weight, flag, names[at][1], names[at][0]),
			5);
		ret->terminal_srv = strcmp(flag, "s") == 0;
	} else {
		assert_int_equal(stw_addr_from_host(stw_str_from(text), 0, &ret->addr), 0);
	}
	ret->target = strcmp(names[at][0], ".") == 0 ? STW_STR_NONE : stw_str_from(names[at][0]);
	ret->service = stw_str_from(names[at][1]);
}

static void zone_answer(struct zone *zone, struct stw_str name, enum stw_dns_type type,
	struct stw_dns_record *records, struct stw_dns_answer *ret)
{
	char key[300];
	size_t len;

	len = (size_t)snprintf(
		key, sizeof(key), "%.*s %s ", STW_STR_ARG(name), stw_dns_type_name(type));
	*ret = (struct stw_dns_answer){ .error = -ENOENT, .records = records };
	for (unsigned i = 0; zone->lines[i]; i++) {
		const char *value = zone->lines[i] + len;

		if (strncasecmp(zone->lines[i], key, len) != 0)
			continue;
		ret->error = strcmp(value, "timeout") == 0   ? -ETIMEDOUT
			     : strcmp(value, "failure") == 0 ? -EIO
							     : 0;
		if (!ret->error)
			zone_record(type, value, &records[ret->n++]);
	}
	len = strlen(zone->questions);
	snprintf(zone->questions + len, sizeof(zone->questions) - len, "%s%s %.*s", len ? "; " : "",
		stw_dns_type_name(type), STW_STR_ARG(name));
	zone->asked++;
}

static struct stw_random random_source;
static struct stw_arena arena;

static struct stw_locate *locate_begin(const char *uri_text)
{
	struct stw_locate *locate;
	struct stw_target target;
	struct stw_uri uri;

	stw_arena_init(&arena, 1 << 20);
	assert_int_equal(stw_uri_parse(stw_str_from(uri_text), &uri), 0);
	assert_int_equal(stw_target_from_uri(&uri, &target), 0);
	assert_int_equal(stw_locate_new(&options, &target, &random_source, &arena, &locate), 0);
	return locate;
}

static void locate_run(struct stw_locate *locate, struct zone *zone)
{
	struct stw_dns_record records[STW_DNS_RECORDS_MAX];
	struct stw_dns_answer answer;
	enum stw_dns_type type;
	struct stw_str name;
	unsigned question;

	while (stw_locate_ask(locate, &question, &name, &type)) {
		zone_answer(zone, name, type, records, &answer);
		stw_locate_answer(locate, question, &answer);
	}
}

/* "UDP 192.0.2.1:5060, TCP …", or the id of the cause */
static void locate_text(struct stw_locate *locate, char *text, size_t size)
{
	char buffer[STW_ADDR_TEXT_MAX];
	struct stw_place *places;
	struct stw_writer writer;
	unsigned count;

	stw_writer_init(&writer, text, size - 1);
	if (stw_locate_state(locate) == STW_LOCATE_FAILED) {
		stw_write_text(&writer, stw_locate_cause(locate)->id);
	} else {
		assert_int_equal(stw_locate_state(locate), STW_LOCATE_READY);
		places = stw_locate_places(locate, &count);
		for (unsigned i = 0; i < count; i++)
			stw_write_format(&writer, "%s%.*s %.*s", i ? ", " : "",
				STW_STR_ARG(stw_transport_name(places[i].transport)),
				STW_STR_ARG(stw_addr_text(&places[i].addr, buffer)));
	}
	text[writer.len] = '\0';
}

/* ---- the procedure ------------------------------------------------------------------- */

#define A1    "a.example.com A 192.0.2.1"
#define A2    "b.example.com A 192.0.2.2"
#define AHOST "example.com A 192.0.2.9"
#define UDP1  "_sip._udp.example.com SRV 10 1 5070 a.example.com"
#define UDP2  "_sip._udp.example.com SRV 20 1 5072 b.example.com"
#define TCP1  "_sip._tcp.example.com SRV 10 1 5071 a.example.com"
#define TLS1  "_sips._tcp.example.com SRV 10 1 5061 a.example.com"

static const struct {
	const char *uri, *listens;
	const char *zone[8];
	const char *questions, *result;
} cases[] = {
	/* Numbers and explicit ports: no NAPTR, no SRV. */
	{ "sip:x@192.0.2.7", "ut", { 0 }, "", "UDP 192.0.2.7:5060" },
	{ "sip:x@[2001:db8::7]:5080;transport=tcp", "ut", { 0 }, "", "TCP [2001:db8::7]:5080" },
	{ "sips:x@192.0.2.7", "ut", { 0 }, "", "TLS 192.0.2.7:5061" },
	{ "sip:x@192.0.2.7", "t", { 0 }, "", "TCP 192.0.2.7:5060" },
	{ "sip:x@example.com:5080", "ut", { AHOST, UDP1, A1 }, "A example.com",
		"UDP 192.0.2.9:5080" },
	{ "sip:x@example.com:5060;transport=tcp", "ut", { AHOST, TCP1, A1 }, "A example.com",
		"TCP 192.0.2.9:5060" },
	{ "sip:x@other.test;maddr=example.com:5060", "ut", { AHOST }, "", "name-not-found" },
	{ "sip:x@other.test:5066;maddr=example.com", "ut", { AHOST }, "A example.com",
		"UDP 192.0.2.9:5066" },
	/* A transport parameter: SRV of that transport, else the address. */
	{ "sip:x@example.com;transport=tcp", "ut", { TCP1, UDP1, A1 },
		"SRV _sip._tcp.example.com; A a.example.com", "TCP 192.0.2.1:5071" },
	{ "sip:x@example.com;transport=tcp", "ut", { AHOST, UDP1 },
		"SRV _sip._tcp.example.com; A example.com", "TCP 192.0.2.9:5060" },
	{ "sip:x@example.com;transport=tls", "ut", { AHOST }, "", "no-listener-for-transport" },
	{ "sip:x@example.com;transport=tls", "uts", { TLS1, A1 },
		"SRV _sips._tcp.example.com; A a.example.com", "TLS 192.0.2.1:5061" },
	{ "sips:x@example.com", "ut", { TLS1, A1 }, "", "no-listener-for-transport" },
	{ "sips:x@example.com", "uts", { TLS1, A1 },
		"NAPTR example.com; SRV _sips._tcp.example.com; A a.example.com",
		"TLS 192.0.2.1:5061" },
	{ "sips:x@example.com", "uts", { AHOST },
		"NAPTR example.com; SRV _sips._tcp.example.com; A example.com",
		"TLS 192.0.2.9:5061" },
	{ "sips:x@example.com;transport=tcp", "uts", { AHOST },
		"SRV _sips._tcp.example.com; A example.com", "TLS 192.0.2.9:5061" },
	/* No NAPTR: SRV of each transport that we have; then the address. */
	{ "sip:x@example.com", "ut", { UDP1, UDP2, A1, A2 },
		"NAPTR example.com; SRV _sip._udp.example.com; SRV _sip._tcp.example.com; "
		"A a.example.com; A b.example.com",
		"UDP 192.0.2.1:5070, UDP 192.0.2.2:5072" },
	{ "sip:x@example.com", "ut", { TCP1, A1 },
		"NAPTR example.com; SRV _sip._udp.example.com; SRV _sip._tcp.example.com; "
		"A a.example.com",
		"TCP 192.0.2.1:5071" },
	{ "sip:x@example.com", "u", { TCP1, A1, AHOST },
		"NAPTR example.com; SRV _sip._udp.example.com; A example.com",
		"UDP 192.0.2.9:5060" },
	{ "sip:x@example.com", "t", { AHOST },
		"NAPTR example.com; SRV _sip._tcp.example.com; A example.com",
		"TCP 192.0.2.9:5060" },
	{ "sip:x@example.com", "ut", { "example.com NAPTR failure", UDP1, A1 },
		"NAPTR example.com; SRV _sip._udp.example.com; SRV _sip._tcp.example.com; "
		"A a.example.com",
		"UDP 192.0.2.1:5070" },
	{ "sip:x@example.com", "ut", { "example.com NAPTR timeout", UDP1, A1 },
		"NAPTR example.com; SRV _sip._udp.example.com; SRV _sip._tcp.example.com; "
		"A a.example.com",
		"UDP 192.0.2.1:5070" },
	{ "sip:x@example.com", "ut", { "example.com NAPTR timeout", AHOST },
		"NAPTR example.com; SRV _sip._udp.example.com; SRV _sip._tcp.example.com; "
		"A example.com",
		"UDP 192.0.2.9:5060" },
	{ "sips:x@example.com", "uts", { "example.com NAPTR timeout", UDP1, TCP1, A1, AHOST },
		"NAPTR example.com; SRV _sips._tcp.example.com; A example.com",
		"TLS 192.0.2.9:5061" },
	/* There may be a record that leads somewhere. */
	{ "sip:x@example.com", "ut", { "example.com NAPTR failure" },
		"NAPTR example.com; SRV _sip._udp.example.com; SRV _sip._tcp.example.com; "
		"A example.com",
		"dns-timeout" },
	{ "sip:x@example.com", "ut", { "_sip._udp.example.com SRV timeout", AHOST },
		"NAPTR example.com; SRV _sip._udp.example.com; SRV _sip._tcp.example.com",
		"dns-timeout" },
	{ "sip:x@example.com", "ut", { "_sip._tcp.example.com SRV failure", AHOST },
		"NAPTR example.com; SRV _sip._udp.example.com; SRV _sip._tcp.example.com",
		"dns-timeout" },
	{ "sip:x@example.com", "ut", { "_sip._udp.example.com SRV failure", TCP1, A1 },
		"NAPTR example.com; SRV _sip._udp.example.com; SRV _sip._tcp.example.com; "
		"A a.example.com",
		"TCP 192.0.2.1:5071" },
	{ "sip:x@example.com", "ut", { 0 },
		"NAPTR example.com; SRV _sip._udp.example.com; SRV _sip._tcp.example.com; "
		"A example.com",
		"name-not-found" },
	{ "sip:x@example.com.", "u", { "example.com. A 192.0.2.9" },
		"NAPTR example.com.; SRV _sip._udp.example.com.; A example.com.",
		"UDP 192.0.2.9:5060" },
	{ "sip:x@example.com:1;transport=udp", "u", { "example.com A failure" }, "A example.com",
		"dns-timeout" },
	/* NAPTR: lowest order that we can use, by preference. */
	{ "sip:x@example.com", "ut",
		{ "example.com NAPTR 50 50 s SIPS+D2T _sips._tcp.example.com",
			"example.com NAPTR 90 50 s SIP+D2T _sip._tcp.example.com",
			"example.com NAPTR 100 50 s SIP+D2U _sip._udp.example.com", TCP1, UDP1,
			A1 },
		"NAPTR example.com; SRV _sip._tcp.example.com; A a.example.com",
		"TCP 192.0.2.1:5071" },
	{ "sip:x@example.com", "ut",
		{ "example.com NAPTR 50 60 s sip+d2t _sip._tcp.example.com",
			"example.com NAPTR 50 50 s sip+d2u _x._udp.other.test",
			"_x._udp.other.test SRV 1 1 5099 a.example.com", TCP1, UDP1, A1 },
		"NAPTR example.com; SRV _x._udp.other.test; A a.example.com",
		"UDP 192.0.2.1:5099" },
	{ "sip:x@example.com", "ut",
		{ "example.com NAPTR 50 60 s SIP+D2T _sip._tcp.example.com",
			"example.com NAPTR 50 50 s SIP+D2U _x._udp.other.test", TCP1, UDP1, A1 },
		"NAPTR example.com; SRV _x._udp.other.test; SRV _sip._tcp.example.com; "
		"A a.example.com",
		"TCP 192.0.2.1:5071" },
	{ "sip:x@example.com", "ut",
		{ "example.com NAPTR 50 60 s SIP+D2T _sip._tcp.example.com", AHOST },
		"NAPTR example.com; SRV _sip._tcp.example.com; A example.com",
		"TCP 192.0.2.9:5060" },
	{ "sip:x@example.com", "ut",
		{ "example.com NAPTR 50 60 s SIPS+D2T _sips._tcp.example.com", UDP1, A1 },
		"NAPTR example.com", "no-listener-for-transport" },
	{ "sip:x@example.com", "uts",
		{ "example.com NAPTR 50 60 s SIPS+D2T _sips._tcp.example.com", TLS1, A1 },
		"NAPTR example.com; SRV _sips._tcp.example.com; A a.example.com",
		"TLS 192.0.2.1:5061" },
	{ "sips:x@example.com", "uts",
		{ "example.com NAPTR 50 60 s SIP+D2U _sip._udp.example.com", UDP1, A1 },
		"NAPTR example.com", "no-listener-for-transport" },
	/* Records of other services, and such that are none of RFC 3263, do not count. */
	{ "sip:x@example.com", "u", { "example.com NAPTR 50 60 u E2U+sip example.com", UDP1, A1 },
		"NAPTR example.com; SRV _sip._udp.example.com; A a.example.com",
		"UDP 192.0.2.1:5070" },
	{ "sip:x@example.com", "u", { "example.com NAPTR 50 60 a SIP+D2U a.example.com", UDP1, A1 },
		"NAPTR example.com", "no-listener-for-transport" },
	/* "." is a word too. */
	{ "sip:x@example.com", "ut",
		{ "_sip._udp.example.com SRV 0 0 0 .", "_sip._tcp.example.com SRV 0 0 0 .", AHOST },
		"NAPTR example.com; SRV _sip._udp.example.com; SRV _sip._tcp.example.com",
		"service-not-offered" },
	{ "sip:x@example.com", "ut", { "_sip._udp.example.com SRV 0 0 0 .", TCP1, A1 },
		"NAPTR example.com; SRV _sip._udp.example.com; SRV _sip._tcp.example.com; "
		"A a.example.com",
		"TCP 192.0.2.1:5071" },
	/* SRV records whose hosts do not exist: the other transport, not the domain's address. */
	{ "sip:x@example.com", "ut", { UDP1, AHOST },
		"NAPTR example.com; SRV _sip._udp.example.com; SRV _sip._tcp.example.com; "
		"A a.example.com",
		"name-not-found" },
	{ "sip:x@example.com", "ut", { UDP2, TCP1, A1, AHOST },
		"NAPTR example.com; SRV _sip._udp.example.com; SRV _sip._tcp.example.com; "
		"A b.example.com; A a.example.com",
		"TCP 192.0.2.1:5071" },
	{ "sip:x@example.com;transport=udp", "u", { UDP1, "a.example.com A timeout", UDP2, A2 },
		"SRV _sip._udp.example.com; A a.example.com; A b.example.com",
		"UDP 192.0.2.2:5072" },
	/* Both families; only those we listen on (RFC 7984 §3.1). */
	{ "sip:x@example.com:5060", "uU",
		{ "example.com A 198.51.100.1", "example.com A 198.51.100.2",
			"example.com AAAA 2001:db8::1", "example.com AAAA 2001:db8::2" },
		"AAAA example.com; A example.com",
		"UDP [2001:db8::1]:5060, UDP 198.51.100.1:5060, UDP [2001:db8::2]:5060, "
		"UDP 198.51.100.2:5060" },
	{ "sip:x@example.com:5060", "u", { AHOST, "example.com AAAA 2001:db8::1" }, "A example.com",
		"UDP 192.0.2.9:5060" },
	{ "sip:x@example.com:5060", "U", { AHOST, "example.com AAAA 2001:db8::1" },
		"AAAA example.com", "UDP [2001:db8::1]:5060" },
	{ "sip:x@example.com:5060", "uU", { AHOST, "example.com AAAA timeout" },
		"AAAA example.com; A example.com", "UDP 192.0.2.9:5060" },
	/* RFC 7984 §4: the addresses of two SRV records are never mixed. */
	{ "sip:x@example.com;transport=udp", "uU",
		{ UDP1, UDP2, A1, "a.example.com AAAA 2001:db8::1", A2,
			"b.example.com AAAA 2001:db8::2" },
		"SRV _sip._udp.example.com; AAAA a.example.com; A a.example.com; "
		"AAAA b.example.com; A b.example.com",
		"UDP [2001:db8::1]:5070, UDP 192.0.2.1:5070, UDP [2001:db8::2]:5072, "
		"UDP 192.0.2.2:5072" },
	/* One question for a host that two records name; the same place once. */
	{ "sip:x@example.com;transport=udp", "u",
		{ UDP1, "_sip._udp.example.com SRV 11 0 5079 A.example.com",
			"_sip._udp.example.com SRV 12 0 5070 a.example.com", A1 },
		"SRV _sip._udp.example.com; A a.example.com",
		"UDP 192.0.2.1:5070, UDP 192.0.2.1:5079" },
	/* Not to be sent to. */
	{ "sip:x@example.com:5060", "u", { "example.com A 127.0.0.1" }, "A example.com",
		"name-is-loopback" },
	{ "sip:x@example.com:5060", "l", { "example.com A 127.0.0.1" }, "A example.com",
		"UDP 127.0.0.1:5060" },
	{ "sip:x@example.com:5060", "uL", { "example.com A 127.0.0.1" }, "A example.com",
		"UDP 127.0.0.1:5060" },
	{ "sip:x@example.com:5060", "u", { "example.com A 224.0.0.1", AHOST }, "A example.com",
		"UDP 192.0.2.9:5060" },
	{ "sip:x@example.com:5060", "u", { "example.com A 0.0.0.0" }, "A example.com",
		"name-not-found" },
	{ "sip:x@ex_ample.com:5060", "u", { "ex_ample.com A 192.0.2.5" }, NULL, NULL },
};

static void test_procedure(void **state)
{
	char result[1024];

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct zone zone = { .lines = cases[i].zone };
		struct stw_locate *locate;
		struct stw_uri uri;

		if (!cases[i].result ||
			strstr(cases[i].uri, "maddr=example.com:") != NULL) /* no URI at all */
			continue;
		assert_int_equal(stw_uri_parse(stw_str_from(cases[i].uri), &uri), 0);
		listen_as(cases[i].listens);
		stw_random_seed(&random_source, i);
		locate = locate_begin(cases[i].uri);
		locate_run(locate, &zone);
		locate_text(locate, result, sizeof(result));
		if (strcmp(result, cases[i].result) != 0 ||
			strcmp(zone.questions, cases[i].questions) != 0)
			fail_msg("case %zu %s: asked \"%s\", found \"%s\"", i, cases[i].uri,
				zone.questions, result);
		stw_arena_done(&arena);
	}
}

/* ---- order -------------------------------------------------------------------------------- */

/* RFC 2782: how often each of four records comes first, of 20,000 draws. */
static void test_weights(void **state)
{
	static const char *const lines[] = { "_sip._udp.w.test SRV 1 0 1 h.test",
		"_sip._udp.w.test SRV 1 10 2 h.test", "_sip._udp.w.test SRV 1 30 3 h.test",
		"_sip._udp.w.test SRV 1 60 4 h.test", "_sip._udp.w.test SRV 2 65535 5 h.test",
		"h.test A 192.0.2.1", NULL };
	/* Drawn from 0 to 100 inclusive: 1, 10, 30 and 60 of 101. */
	static const double share[] = { 1 / 101.0, 10 / 101.0, 30 / 101.0, 60 / 101.0 };
	unsigned first[6] = { 0 }, draws = 20000, count;

	listen_as("u");
	stw_random_seed(&random_source, 42);
	for (unsigned i = 0; i < draws; i++) {
		struct zone zone = { .lines = lines };
		struct stw_locate *locate = locate_begin("sip:x@w.test;transport=udp");
		const struct stw_place *places;

		locate_run(locate, &zone);
		places = stw_locate_places(locate, &count);
		assert_int_equal(count, 5);
		assert_int_equal(places[4].addr.port, 5);
		first[places[0].addr.port]++;
		stw_arena_done(&arena);
	}
	for (unsigned i = 0; i < 4; i++) {
		double expected = share[i] * draws;
		double spread = expected * (1 - share[i]);
		double off = first[i + 1] - expected;

		/* Five standard deviations. */
		if (off * off > 25 * spread)
			fail_msg("weight of record %u: %u of %u", i + 1, first[i + 1], draws);
	}
}

static void test_same_seed_same_order(void **state)
{
	static const char *const lines[] = { "_sip._udp.w.test SRV 1 1 1 h.test",
		"_sip._udp.w.test SRV 1 1 2 h.test", "_sip._udp.w.test SRV 1 1 3 h.test",
		"_sip._udp.w.test SRV 1 1 4 h.test", "h.test A 192.0.2.1", NULL };
	char text[2][512];

	listen_as("u");
	for (unsigned i = 0; i < 2; i++) {
		struct zone zone = { .lines = lines };
		struct stw_locate *locate;

		stw_random_seed(&random_source, 7);
		locate = locate_begin("sip:x@w.test;transport=udp");
		locate_run(locate, &zone);
		locate_text(locate, text[i], sizeof(text[i]));
		stw_arena_done(&arena);
	}
	assert_string_equal(text[0], text[1]);
}

/* RFC 6724 §10.2, as far as the rules that we have go. */
static const struct {
	const char *sources[4], *dests[6];
	const char *order;
} orders[] = {
	{ { "2001:db8::2", "198.51.100.117" }, { "198.51.100.121", "2001:db8::1" },
		"2001:db8::1 198.51.100.121" },
	{ { "fe80::1", "198.51.100.117" }, { "2001:db8::1", "198.51.100.121" },
		"198.51.100.121 2001:db8::1" },
	{ { "fd00::1", "198.51.100.117" }, { "2001:db8::1", "198.51.100.121" },
		"198.51.100.121 2001:db8::1" },
	{ { "2001:db8::2", "fd00::5" }, { "fd00::1", "2001:db8::1" }, "2001:db8::1 fd00::1" },
	{ { "2001:db8::2", "2002:c633:6401::2" }, { "2002:c633:6401::1", "2001:db8::1" },
		"2001:db8::1 2002:c633:6401::1" },
	{ { "2001:db8::2", "192.0.2.2" },
		{ "192.0.2.1", "192.0.2.3", "2001:db8::1", "2001:db8::3", "2001:db8::4" },
		"2001:db8::1 192.0.2.1 2001:db8::3 192.0.2.3 2001:db8::4" },
	{ { "192.0.2.2" }, { "192.0.2.9", "192.0.2.1" }, "192.0.2.9 192.0.2.1" },
};

static void test_address_order(void **state)
{
	static const char *lines[16];
	char line[6][64], result[1024], expected[1024], *word;

	for (size_t i = 0; i < STW_ARRAY_SIZE(orders); i++) {
		struct stw_addr sources[4];
		struct zone zone = { .lines = lines };
		struct stw_locate *locate;
		unsigned n = 0;

		listeners.n = 0;
		listen_on(STW_TRANSPORT_UDP, "0.0.0.0");
		listen_on(STW_TRANSPORT_UDP, "::");
		for (; n < 4 && orders[i].sources[n]; n++)
			stw_addr_from_host(stw_str_from(orders[i].sources[n]), 0, &sources[n]);
		options.local_addrs = sources;
		options.local_addr_count = n;
		for (n = 0; n < 6 && orders[i].dests[n]; n++) {
			snprintf(line[n], sizeof(line[n]), "h.test %s %s",
				strchr(orders[i].dests[n], ':') ? "AAAA" : "A", orders[i].dests[n]);
			lines[n] = line[n];
		}
		lines[n] = NULL;
		locate = locate_begin("sip:x@h.test:1");
		locate_run(locate, &zone);
		locate_text(locate, result, sizeof(result));
		expected[0] = '\0';
		snprintf(line[0], 0, "x");
		{
			char copy[256];

			snprintf(copy, sizeof(copy), "%s", orders[i].order);
			for (word = strtok(copy, " "); word; word = strtok(NULL, " "))
				snprintf(expected + strlen(expected),
					sizeof(expected) - strlen(expected),
					strchr(word, ':') ? "%sUDP [%s]:1" : "%sUDP %s:1",
					expected[0] ? ", " : "", word);
		}
		assert_string_equal(result, expected);
		stw_arena_done(&arena);
		options.local_addr_count = 0;
	}
}

/* ---- bounds ------------------------------------------------------------------------------------
 */

static void test_limits(void **state)
{
	static const char *const lines[] = { UDP1, UDP2,
		"_sip._udp.example.com SRV 30 0 5073 c.example.com", A1,
		"a.example.com A 192.0.2.11", "a.example.com A 192.0.2.12", A2,
		"c.example.com A 192.0.2.3", NULL };
	struct zone zone = { .lines = lines };
	struct stw_locate *locate;
	char result[512];

	listen_as("u");
	/* Each host behind keeps room for one address. */
	options.max_places = 4;
	locate = locate_begin("sip:x@example.com;transport=udp");
	locate_run(locate, &zone);
	locate_text(locate, result, sizeof(result));
	assert_string_equal(result, "UDP 192.0.2.1:5070, UDP 192.0.2.11:5070, "
				    "UDP 192.0.2.2:5072, UDP 192.0.2.3:5073");
	stw_arena_done(&arena);
	options.max_places = 8;
	options.max_srv = 2;
	zone.asked = 0;
	locate = locate_begin("sip:x@example.com;transport=udp");
	locate_run(locate, &zone);
	assert_int_equal(zone.asked, 3);
	stw_arena_done(&arena);
	options.max_srv = 8;
	options.max_questions = 1;
	locate = locate_begin("sip:x@example.com;transport=udp");
	locate_run(locate, &zone);
	locate_text(locate, result, sizeof(result));
	assert_string_equal(result, "dns-questions-used-up");
	stw_arena_done(&arena);
	options.max_questions = 16;
}

/* A silent question does not hold back what is known, nor the end. */
static void test_finish(void **state)
{
	struct stw_dns_record record = { 0 };
	struct stw_dns_answer answer = { .records = &record, .n = 1 };
	struct stw_locate *locate;
	enum stw_dns_type type;
	struct stw_str name;
	unsigned question;
	char result[128];

	listen_as("uU");
	locate = locate_begin("sip:x@example.com:5060");
	assert_true(stw_locate_ask(locate, &question, &name, &type));
	assert_int_equal(type, STW_DNS_AAAA);
	assert_true(stw_locate_ask(locate, &question, &name, &type));
	assert_false(stw_locate_ask(locate, &question, &name, &type));
	assert_false(stw_locate_usable(locate));
	stw_addr_from_host(STW_STR("192.0.2.1"), 0, &record.addr);
	stw_locate_answer(locate, question, &answer);
	assert_int_equal(stw_locate_state(locate), STW_LOCATE_ASKING);
	assert_true(stw_locate_usable(locate));
	stw_locate_answer(locate, question, &answer); /* twice is once */
	stw_locate_finish(locate);
	locate_text(locate, result, sizeof(result));
	assert_string_equal(result, "UDP 192.0.2.1:5060");
	stw_arena_done(&arena);
	locate = locate_begin("sip:x@example.com");
	stw_locate_finish(locate);
	locate_text(locate, result, sizeof(result));
	assert_string_equal(result, "dns-timeout");
	stw_arena_done(&arena);
}

/* A NAPTR that is not answered in its part of the time is done without, and what comes late changes
 * nothing; but when it has had all the time, so have the others. */
static void test_skip_naptr(void **state)
{
	static const char *const lines[] = { UDP1, A1, NULL };
	static const struct stw_dns_answer timeout = { .error = -ETIMEDOUT };
	struct stw_dns_record record = { .service = STW_STR("SIP+D2T"),
		.target = STW_STR("_sip._tcp.example.com"),
		.terminal_srv = true };
	struct stw_dns_answer late = { .records = &record, .n = 1 };
	struct zone zone = { .lines = lines };
	struct stw_locate *locate;
	enum stw_dns_type type;
	struct stw_str name;
	unsigned naptr, question;
	char result[128];

	listen_as("ut");
	for (int i = 0; i < 2; i++) {
		locate = locate_begin("sip:x@example.com");
		assert_true(stw_locate_ask(locate, &naptr, &name, &type));
		assert_int_equal(type, STW_DNS_NAPTR);
		stw_locate_skip_naptr(locate);
		assert_true(stw_locate_ask(locate, &question, &name, &type));
		assert_int_equal(type, STW_DNS_SRV);
		stw_locate_answer(locate, naptr, i ? &timeout : &late);
		if (i == 0) {
			stw_locate_answer(
				locate, question, &(struct stw_dns_answer){ .error = -ENOENT });
			locate_run(locate, &zone);
			assert_string_equal(
				zone.questions, "SRV _sip._tcp.example.com; A example.com");
		}
		locate_text(locate, result, sizeof(result));
		assert_string_equal(result, "dns-timeout");
		stw_arena_done(&arena);
	}
	/* Nothing is skipped where it is not waited for. */
	locate = locate_begin("sip:x@a.example.com:5060");
	stw_locate_skip_naptr(locate);
	locate_run(locate, &zone);
	locate_text(locate, result, sizeof(result));
	assert_string_equal(result, "UDP 192.0.2.1:5060");
	stw_locate_skip_naptr(locate);
	stw_arena_done(&arena);
}

static void test_no_memory(void **state)
{
	static const char *const lines[] = {
		"example.com NAPTR 1 1 s SIP+D2U _sip._udp.example.com", UDP1, UDP2, A1, A2, NULL
	};

	listen_as("u");
	for (size_t limit = 0; limit < 12000; limit += 64) {
		struct zone zone = { .lines = lines };
		struct stw_locate *locate;
		struct stw_target target;
		struct stw_uri uri;

		stw_uri_parse(STW_STR("sip:x@example.com"), &uri);
		stw_target_from_uri(&uri, &target);
		stw_arena_init(&arena, limit);
		if (stw_locate_new(&options, &target, &random_source, &arena, &locate) == 0) {
			locate_run(locate, &zone);
			if (stw_locate_state(locate) == STW_LOCATE_FAILED)
				assert_string_equal(
					stw_locate_cause(locate)->id, "locate-out-of-memory");
			else
				assert_int_equal(stw_locate_state(locate), STW_LOCATE_READY);
		}
		stw_arena_done(&arena);
	}
}

static void test_rule(void **state)
{
	static const char *const lines[] = { UDP1, A1, NULL };
	struct zone zone = { .lines = lines };
	struct stw_locate *locate;
	struct stw_writer writer;
	char text[256];
	unsigned count;

	listen_as("u");
	locate = locate_begin("sip:x@example.com;transport=udp");
	locate_run(locate, &zone);
	stw_writer_init(&writer, text, sizeof(text));
	stw_place_rule(stw_locate_places(locate, &count), &writer);
	assert_str(stw_writer_text(&writer),
		"SRV _sip._udp.example.com priority 10 weight 1, A of a.example.com");
	stw_arena_done(&arena);
}

/* ---- places that failed
 * ---------------------------------------------------------------------------- */

static struct stw_place place(uint16_t port)
{
	struct stw_place ret = { .transport = STW_TRANSPORT_UDP };

	stw_addr_from_host(STW_STR("192.0.2.1"), port, &ret.addr);
	return ret;
}

static void test_outages(void **state)
{
	struct stw_place places[3] = { place(1), place(2), place(3) };
	struct stw_now now = { .mono_ms = 1000 };
	struct stw_outages *outages;

	assert_int_equal(stw_outages_new(2, (struct stw_hash_key){ 1, 2 }, &outages), 0);
	assert_int_equal(stw_outages_order(outages, places, 3, now), 0);
	stw_outages_add(outages, STW_TRANSPORT_UDP, &places[0].addr, 500, now);
	assert_false(stw_outages_has(outages, STW_TRANSPORT_TCP, &places[0].addr, now));
	assert_int_equal(stw_outages_order(outages, places, 3, now), 1);
	assert_int_equal(places[0].addr.port, 2);
	assert_int_equal(places[1].addr.port, 3);
	assert_int_equal(places[2].addr.port, 1);
	/* All of them: the order stays. */
	stw_outages_add(outages, STW_TRANSPORT_UDP, &places[0].addr, 500, now);
	assert_int_equal(stw_outages_order(outages, places, 1, now), 1);
	/* The oldest goes when there are more than may be remembered. */
	stw_outages_add(outages, STW_TRANSPORT_UDP, &places[1].addr, 900, now);
	assert_int_equal(stw_outages_count(outages), 2);
	assert_false(stw_outages_has(outages, STW_TRANSPORT_UDP, &places[2].addr, now));
	now.mono_ms += 500;
	assert_false(stw_outages_has(outages, STW_TRANSPORT_UDP, &places[0].addr, now));
	assert_true(stw_outages_has(outages, STW_TRANSPORT_UDP, &places[1].addr, now));
	stw_outages_remove(outages, STW_TRANSPORT_UDP, &places[1].addr);
	assert_false(stw_outages_has(outages, STW_TRANSPORT_UDP, &places[1].addr, now));
	for (unsigned nth = 1; nth < 3; nth++) {
		support_fail_allocation(nth);
		stw_outages_add(outages, STW_TRANSPORT_UDP, &places[2].addr, 900, now);
		support_fail_allocation(0);
	}
	stw_outages_free(outages);
	assert_null(stw_outages_free(NULL));
}

/* What the other workers have to be told: each change by a second at least, since they were told.
 */
static void test_outages_news(void **state)
{
	struct stw_now now = { 1000000, 0 };
	struct stw_addr addr = place(5060).addr;
	struct stw_outages *outages;
	unsigned i, news = 0;

	assert_int_equal(stw_outages_new(2, (struct stw_hash_key){ 1, 2 }, &outages), 0);
	assert_false(stw_outages_add(outages, STW_TRANSPORT_UDP, &addr, 0, now));
	assert_false(stw_outages_remove(outages, STW_TRANSPORT_UDP, &addr));
	assert_true(stw_outages_add(outages, STW_TRANSPORT_UDP, &addr, 60000, now));
	for (i = 0; i < 1000; i++, now.mono_ms += 3)
		news += stw_outages_add(outages, STW_TRANSPORT_UDP, &addr, 60000, now);
	assert_int_equal(news, 2);
	assert_true(stw_outages_add(outages, STW_TRANSPORT_UDP, &addr, 30000, now));
	assert_true(stw_outages_add(outages, STW_TRANSPORT_UDP, &addr, 0, now));
	assert_true(stw_outages_add(outages, STW_TRANSPORT_UDP, &addr, 60000, now));
	assert_true(stw_outages_remove(outages, STW_TRANSPORT_UDP, &addr));
	stw_outages_free(outages);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_procedure),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_same_seed_same_order),
		cmocka_unit_test(test_address_order),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_finish),
		cmocka_unit_test(test_skip_naptr),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_rule),
		cmocka_unit_test(test_outages),
		cmocka_unit_test(test_outages_news),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
