/* SPDX-License-Identifier: Apache-2.0 */
/* Where the administration listens. */
#include "server/admin/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/folder.h"

#define BACKLOG    64
#define PORT_TRIES 100

static int unix_connect(const struct sockaddr_un *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)name, sizeof(*name)) < 0 ? -errno : 0;
	close(fd);
	return err;
}

/* A path that nobody answers on was left by a server that died; a file that is no socket is left
 * alone. */
static int unix_clear(const struct sockaddr_un *name, char *ret_error, size_t error_size)
{
	struct stat info;
	int err;

	if (lstat(name->sun_path, &info) < 0)
		return 0;
	if (!S_ISSOCK(info.st_mode)) {
		snprintf(ret_error, error_size, "admin.socket: %s exists and is no socket",
			name->sun_path);
		return -EEXIST;
	}
	err = unix_connect(name);
	if (err == 0 || err == -EAGAIN) {
		snprintf(ret_error, error_size,
			"a server is running already: it answers on %s. Stop it with `strowger "
			"stop`, "
			"or give this one another --socket and another store",
			name->sun_path);
		return -EADDRINUSE;
	}
	if (unlink(name->sun_path) < 0) {
		err = -errno;
		snprintf(ret_error, error_size,
			"admin.socket: %s is left over from a dead server and cannot be removed: "
			"%s",
			name->sun_path, strerror(-err));
		return err;
	}
	return 0;
}

int admin_listen_unix(const struct stw_admin_options *options, const char *path, char *ret_error,
	size_t error_size)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, err;

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	err = stw_folder_make(
		path, options->socket_owner, options->socket_group, ret_error, error_size);
	if (err == 0)
		err = unix_clear(&name, ret_error, error_size);
	if (err < 0)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0117); /* 0660 from its first moment */
	err = fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ? -errno : 0;
	umask(mask);
	if (err == 0 && geteuid() == 0)
		err = stw_file_give(path, S_IFSOCK, options->socket_owner, options->socket_group);
	if (err == 0 && listen(fd, BACKLOG) < 0)
		err = -errno;
	if (err == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	snprintf(ret_error, error_size, "admin.socket: cannot listen on %s: %s", path,
		strerror(-err));
	return err;
}

static socklen_t sockaddr_of(const struct stw_addr *addr, struct sockaddr_storage *ret)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (addr->family == 4) {
		in->sin_family = AF_INET;
		in->sin_port = htons(addr->port);
		memcpy(&in->sin_addr, addr->ip, 4);
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(addr->port);
	memcpy(&in6->sin6_addr, addr->ip, 16);
	return sizeof(*in6);
}

static int tcp_bind(const struct stw_addr *addr)
{
	struct sockaddr_storage name;
	socklen_t len = sockaddr_of(addr, &name);
	int fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1, err;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&name, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int admin_listen_tcp(struct stw_str text, bool next_port, char address[STW_ADDR_TEXT_MAX],
	char *ret_error, size_t error_size)
{
	size_t colon = text.len;
	struct stw_addr addr;
	struct stw_str bound;
	uint64_t port = 0;
	int fd = -EINVAL;

	while (colon > 0 && text.ptr[colon - 1] != ':')
		colon--;
	if (colon < 2 || stw_str_to_uint(stw_str_cut(text, colon, text.len), 65535, &port) < 0 ||
		stw_addr_from_host(stw_str_cut(text, 0, colon - 1), (uint16_t)port, &addr) < 0 ||
		!stw_addr_is_loopback(&addr)) {
		snprintf(ret_error, error_size, "admin.listen: %.*s is no address on loopback",
			STW_STR_ARG(text));
		return -EINVAL;
	}
	for (unsigned i = 0; i < (next_port ? PORT_TRIES : 1); i++, addr.port++) {
		fd = tcp_bind(&addr);
		if (fd != -EADDRINUSE)
			break;
	}
	if (fd < 0) {
		snprintf(ret_error, error_size, "admin.listen: cannot listen on %.*s: %s",
			STW_STR_ARG(text), strerror(-fd));
		return fd;
	}
	bound = stw_addr_text(&addr, address);
	memmove(address, bound.ptr, bound.len);
	address[bound.len] = 0;
	return fd;
}
