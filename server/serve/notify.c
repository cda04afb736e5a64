/* SPDX-License-Identifier: Apache-2.0 */
/* The readiness protocol of sd_notify(3): one datagram to $NOTIFY_SOCKET. */
#include "server/serve/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void serve_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (!len || len >= sizeof(name.sun_path) || (*path != '/' && *path != '@'))
		return;
	memcpy(name.sun_path, path, len);
	if (*path == '@')
		name.sun_path[0] = 0; /* abstract */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&name,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}
