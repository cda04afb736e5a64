/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/transport.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

/* The IPv4 address that an address is or maps (::ffff:192.0.2.1, RFC 4291 §2.5.5.2), else NULL. */
static const uint8_t *ipv4_of(const struct stw_addr *addr)
{
	if (addr->family == 4)
		return addr->ip;
	if (addr->family == 6 && memcmp(addr->ip, mapped_prefix, sizeof(mapped_prefix)) == 0)
		return addr->ip + sizeof(mapped_prefix);
	return NULL;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	while (len > 0 && bytes[len - 1] == 0)
		len--;
	return len == 0;
}

/* The grammar of RFC 3261 allows [2001:db8:::192.0.2.1]; RFC 5118 §4.10 asks us to tolerate it. */
static void drop_third_colon(char *text)
{
	char *colons = strstr(text, ":::");

	if (colons)
		memmove(colons, colons + 1, strlen(colons));
}

/* IPv4address of RFC 3261 §25.1 as inet_pton() reads it: four numbers up to 255, none with a zero
 * before it. */
static bool ipv4_read(struct stw_str text, uint8_t ip[4])
{
	const char *at = text.ptr, *end;

	if (text.len < sizeof("0.0.0.0") - 1 || text.len > sizeof("255.255.255.255") - 1)
		return false;
	end = at + text.len;
	for (unsigned part = 0; part < 4; part++) {
		unsigned number, digit;

		if (part && (at == end || *at++ != '.'))
			return false;
		if (at == end || (number = (unsigned)(*at++ - '0')) > 9)
			return false;
		for (; at < end && (digit = (unsigned)(*at - '0')) <= 9; at++) {
			if (!number || (number = number * 10 + digit) > 255)
				return false;
		}
		ip[part] = (uint8_t)number;
	}
	return at == end;
}

int stw_addr_from_host(struct stw_str host, uint16_t port, struct stw_addr *ret)
{
	struct stw_addr addr = { .family = 6, .port = port };
	char text[STW_ADDR_TEXT_MAX];
	bool brackets = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';

	if (ipv4_read(host, addr.ip)) {
		addr.family = 4;
		*ret = addr;
		return 0;
	}
	if (!brackets && !memchr(host.ptr ? host.ptr : "", ':', host.len))
		return -EBADMSG;
	if (brackets)
		host = stw_str_cut(host, 1, host.len - 1);
	if (host.len == 0 || host.len >= sizeof(text) || memchr(host.ptr, '\0', host.len))
		return -EBADMSG;
	memcpy(text, host.ptr, host.len);
	text[host.len] = '\0';
	drop_third_colon(text);

	if (inet_pton(AF_INET6, text, addr.ip) != 1)
		return -EBADMSG;

	/* A mapped address names an IPv4 node: one address has one value. */
	if (addr.family == 6 && ipv4_of(&addr)) {
		memmove(addr.ip, ipv4_of(&addr), 4);
		memset(addr.ip + 4, 0, sizeof(addr.ip) - 4);
		addr.family = 4;
	}
	*ret = addr;
	return 0;
}

uint64_t stw_addr_network(const struct stw_addr *addr)
{
	uint64_t net = 0;

	memcpy(&net, addr->ip, addr->family == 4 ? 4 : sizeof(net));
	return net;
}

bool stw_addr_equal(const struct stw_addr *a, const struct stw_addr *b)
{
	return a->family == b->family && a->port == b->port && a->scope == b->scope &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool stw_addr_same_ip(const struct stw_addr *a, const struct stw_addr *b)
{
	/* Text names no scope: fe80::1 in a Via is the fe80::1 that the packet came from. */
	bool same_scope = a->scope == b->scope || a->scope == 0 || b->scope == 0;

	return a->family == b->family && same_scope && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool stw_addr_is_loopback(const struct stw_addr *addr)
{
	const uint8_t *ipv4 = ipv4_of(addr);

	if (ipv4)
		return ipv4[0] == 127;
	return addr->family == 6 && is_zero(addr->ip, 15) && addr->ip[15] == 1;
}

bool stw_addr_is_any(const struct stw_addr *addr)
{
	static const uint8_t none[sizeof(addr->ip)];

	return addr->family != 0 && memcmp(addr->ip, none, sizeof(none)) == 0;
}

bool stw_addr_is_unicast(const struct stw_addr *addr)
{
	static const uint8_t broadcast[4] = { 255, 255, 255, 255 };
	const uint8_t *ipv4 = ipv4_of(addr);

	/* 0/8 is "this network" and never a destination, RFC 1122 §3.2.1.3. */
	if (ipv4)
		return ipv4[0] != 0 && (ipv4[0] & 0xf0) != 224 && memcmp(ipv4, broadcast, 4) != 0;
	return addr->family == 6 && addr->ip[0] != 0xff && !stw_addr_is_any(addr);
}

/* 0 to 255, without zeros before it. @return the byte behind */
static char *octet_write(char *at, unsigned octet)
{
	if (octet >= 100)
		*at++ = (char)('0' + octet / 100);
	if (octet >= 10)
		*at++ = (char)('0' + octet / 10 % 10);
	*at++ = (char)('0' + octet % 10);
	return at;
}

struct stw_str stw_addr_ip_text(const struct stw_addr *addr, char buffer[STW_ADDR_TEXT_MAX])
{
	char *at = buffer;

	if (addr->family == 0)
		return STW_STR_NONE;
	if (addr->family == 6)
		return stw_str_from(inet_ntop(AF_INET6, addr->ip, buffer, STW_ADDR_TEXT_MAX));
	for (unsigned part = 0; part < 4; part++) {
		at = octet_write(at, addr->ip[part]);
		*at++ = '.';
	}
	return (struct stw_str){ buffer, (size_t)(at - 1 - buffer) };
}

struct stw_str stw_addr_text(const struct stw_addr *addr, char buffer[STW_ADDR_TEXT_MAX])
{
	char ip[STW_ADDR_TEXT_MAX];
	struct stw_str text = stw_addr_ip_text(addr, ip);
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, STW_ADDR_TEXT_MAX);
	if (addr->family == 6)
		stw_write_char(&writer, '[');
	stw_write_str(&writer, text);
	if (addr->family == 6)
		stw_write_char(&writer, ']');
	if (addr->family != 0) {
		stw_write_char(&writer, ':');
		stw_write_uint(&writer, addr->port);
	}
	return stw_writer_text(&writer);
}
