/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/local_addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union any {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t any_from(const struct stw_addr *addr, union any *ret)
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

int stw_local_addr(const struct stw_addr *remote, struct stw_addr *ret)
{
	union any name;
	socklen_t len = any_from(remote, &name);
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
	*ret = (struct stw_addr){ .family = remote->family };
	if (remote->family == 4) {
		memcpy(ret->ip, &name.in.sin_addr, 4);
	} else {
		memcpy(ret->ip, &name.in6.sin6_addr, 16);
		ret->scope = name.in6.sin6_scope_id;
	}
	return 0;
}
