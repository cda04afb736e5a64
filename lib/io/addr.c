/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

socklen_t sockaddr_from_addr(const struct stw_addr *addr, union sockaddr_any *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (addr->family == 4) {
		ret->in.sin_family = AF_INET;
		ret->in.sin_port = htons(addr->port);
		memcpy(&ret->in.sin_addr, addr->ip, 4);
		return sizeof(ret->in);
	}
	ret->in6.sin6_family = AF_INET6;
	ret->in6.sin6_port = htons(addr->port);
	ret->in6.sin6_scope_id = addr->scope;
	memcpy(&ret->in6.sin6_addr, addr->ip, 16);
	return sizeof(ret->in6);
}

void addr_from_sockaddr(const struct sockaddr *sa, struct stw_addr *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		ret->family = 4;
		ret->port = ntohs(in->sin_port);
		memcpy(ret->ip, &in->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;

		ret->family = 6;
		ret->port = ntohs(in6->sin6_port);
		memcpy(ret->ip, &in6->sin6_addr, 16);
		if (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
			ret->scope = in6->sin6_scope_id;
	}
}

static bool addr_listed(const struct stw_addr *addrs, unsigned n, const struct stw_addr *addr)
{
	for (unsigned i = 0; i < n; i++) {
		if (stw_addr_same_ip(&addrs[i], addr) && addrs[i].scope == addr->scope)
			return true;
	}
	return false;
}

unsigned stw_io_local_addrs(struct stw_addr *addrs, unsigned max)
{
	struct ifaddrs *all;
	unsigned n = 0;

	if (getifaddrs(&all) < 0)
		return 0;
	for (const struct ifaddrs *one = all; one && n < max; one = one->ifa_next) {
		if (!one->ifa_addr || !(one->ifa_flags & IFF_UP))
			continue;
		addr_from_sockaddr(one->ifa_addr, &addrs[n]);
		if (addrs[n].family && !addr_listed(addrs, n, &addrs[n]))
			n++;
	}
	freeifaddrs(all);
	return n;
}

int stw_io_source_addr(const struct stw_addr *remote, struct stw_addr *ret)
{
	union sockaddr_any name;
	socklen_t len = sockaddr_from_addr(remote, &name);
	int fd = socket(name.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, &name.sa, len) < 0)
		err = -errno;
	len = sizeof(name);
	if (err == 0 && getsockname(fd, &name.sa, &len) < 0)
		err = -errno;
	close(fd);
	if (err < 0)
		return err;
	addr_from_sockaddr(&name.sa, ret);
	ret->port = 0;
	return 0;
}
