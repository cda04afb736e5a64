/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/transport.h>

#include <errno.h>

#define LOCAL_ADDRS_MAX 64

/* Written once before the workers start, read by all of them afterwards. */
static struct stw_addr local_addrs[LOCAL_ADDRS_MAX];
static unsigned local_addr_count;

void stw_listeners_set_local(const struct stw_addr *addrs, unsigned n)
{
	local_addr_count = n < LOCAL_ADDRS_MAX ? n : LOCAL_ADDRS_MAX;
	for (unsigned i = 0; i < local_addr_count; i++)
		local_addrs[i] = addrs[i];
}

static bool listener_fits(const struct stw_listener *listener, enum stw_transport transport,
	const struct stw_addr *remote)
{
	return listener->transport == transport && listener->bind.family == remote->family;
}

/* The kernel refuses to send from a loopback address to another machine. */
static bool listener_reaches(const struct stw_listener *listener, const struct stw_addr *remote)
{
	return stw_addr_is_any(&listener->bind) ||
	       stw_addr_is_loopback(&listener->bind) == stw_addr_is_loopback(remote);
}

int stw_listener_for(const struct stw_listeners *listeners, enum stw_transport transport,
	const struct stw_addr *remote, int like)
{
	int found = -ENOENT;

	/* Nothing leaves the machine from its loopback address. */
	if (like >= 0 && (unsigned)like < listeners->n &&
		listener_fits(&listeners->v[like], transport, remote) &&
		!(stw_addr_is_loopback(&listeners->v[like].bind) && !stw_addr_is_loopback(remote)))
		return like;

	for (unsigned i = 0; i < listeners->n; i++) {
		if (!listener_fits(&listeners->v[i], transport, remote))
			continue;
		if (listener_reaches(&listeners->v[i], remote))
			return (int)i;
		if (found < 0)
			found = (int)i;
	}
	return found;
}

bool stw_listeners_on_loopback(const struct stw_listeners *listeners, enum stw_transport transport)
{
	for (unsigned i = 0; i < listeners->n; i++) {
		if (listeners->v[i].transport == transport &&
			stw_addr_is_loopback(&listeners->v[i].bind))
			return true;
	}
	return false;
}

static void write_host(struct stw_writer *writer, struct stw_str host)
{
	bool bare_ipv6 = stw_str_find(host, ':', 0) < host.len && host.ptr[0] != '[';

	if (bare_ipv6)
		stw_write_char(writer, '[');
	stw_write_str(writer, host);
	if (bare_ipv6)
		stw_write_char(writer, ']');
}

struct stw_str stw_listener_sent_by(const struct stw_listener *listener,
	const struct stw_addr *local, char *buffer, size_t size)
{
	char ip[STW_ADDR_TEXT_MAX];
	struct stw_str host = listener->advertise;
	uint16_t port = listener->advertise_port ? listener->advertise_port : listener->bind.port;
	struct stw_writer writer;

	if (host.len == 0)
		host = stw_addr_ip_text(local && local->family ? local : &listener->bind, ip);

	stw_writer_init(&writer, buffer, size);
	write_host(&writer, host);
	stw_write_char(&writer, ':');
	stw_write_uint(&writer, port);
	return writer.overflow ? STW_STR_NONE : stw_writer_text(&writer);
}

static bool is_local(const struct stw_addr *addr)
{
	if (stw_addr_is_loopback(addr))
		return true;
	for (unsigned i = 0; i < local_addr_count; i++) {
		if (stw_addr_same_ip(&local_addrs[i], addr))
			return true;
	}
	return false;
}

static bool listener_owns_addr(const struct stw_listener *listener, const struct stw_addr *addr)
{
	if (stw_addr_is_any(&listener->bind))
		return listener->bind.family == addr->family && is_local(addr);
	return stw_addr_same_ip(&listener->bind, addr);
}

static bool listener_advertises(
	const struct stw_listener *listener, struct stw_str host, const struct stw_addr *addr)
{
	struct stw_addr advertised;

	if (listener->advertise.len == 0)
		return false;
	if (stw_addr_from_host(listener->advertise, 0, &advertised) == 0)
		return addr && stw_addr_same_ip(&advertised, addr);
	return stw_str_equal_nocase(
		stw_host_relative(listener->advertise), stw_host_relative(host));
}

bool stw_listeners_own(const struct stw_listeners *listeners, struct stw_str host, uint16_t port)
{
	struct stw_addr value;
	const struct stw_addr *addr = NULL;
	bool is_read = false;

	for (unsigned i = 0; i < listeners->n; i++) {
		const struct stw_listener *listener = &listeners->v[i];
		uint16_t bound = listener->bind.port;
		uint16_t advertised = listener->advertise_port ? listener->advertise_port : bound;
		uint16_t asked = port ? port : stw_transport_default_port(listener->transport);

		/* Most that are not ours have another port. */
		if (asked != bound && asked != advertised)
			continue;
		if (!is_read)
			addr = stw_addr_from_host(host, 0, &value) == 0 ? &value : NULL;
		is_read = true;
		if (addr && asked == bound && listener_owns_addr(listener, addr))
			return true;
		if (asked == advertised && listener_advertises(listener, host, addr))
			return true;
	}
	return false;
}
