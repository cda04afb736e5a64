/* SPDX-License-Identifier: Apache-2.0 */
/* When the kernel received what is read: SO_TIMESTAMPNS, for datagrams and for the last byte of
 * what is read of a stream; and how much of a stream it has still. */
#include "internal.h"

#include <netinet/tcp.h>
#include <string.h>
#include <time.h>

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_US 1000

int64_t clock_stamp_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* A kernel that does not know it: nothing is known to have waited. */
void stamps_enable(int fd)
{
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
}

uint32_t stamp_waited_us(struct msghdr *header, int64_t now_ns)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
		struct timespec stamp;
		int64_t waited_us;

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&stamp, CMSG_DATA(part), sizeof(stamp));
		waited_us = (now_ns - (stamp.tv_sec * NS_PER_S + stamp.tv_nsec)) / NS_PER_US;
		/* Somebody may set the clock. */
		if (waited_us < 0)
			return 0;
		return waited_us > UINT32_MAX ? UINT32_MAX : (uint32_t)waited_us;
	}
	return 0;
}

size_t stamp_unread(struct msghdr *header)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
		int bytes;

		if (part->cmsg_level != IPPROTO_TCP || part->cmsg_type != TCP_CM_INQ)
			continue;
		memcpy(&bytes, CMSG_DATA(part), sizeof(bytes));
		return bytes > 0 ? (size_t)bytes : 0;
	}
	return 0;
}
