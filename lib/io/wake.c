/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

int wake_open(struct stw_io *io)
{
	io->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (io->wake_fd < 0)
		return -errno;
	/* Each write is an edge of its own, so the counter is never read back. */
	return watch_set(io, io->wake_fd, EPOLLIN | EPOLLET, watch_key(WATCH_WAKE, 0, 0));
}

/* Touches nothing but the descriptor, which never changes: any thread may call it. */
void stw_io_wake(struct stw_io *io)
{
	uint64_t one = 1;
	ssize_t written;

	do
		written = write(io->wake_fd, &one, sizeof(one));
	while (written < 0 && errno == EINTR);
}

void wake_ready(struct stw_io *io)
{
	event_add(io, STW_IO_WOKEN);
}
