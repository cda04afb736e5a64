/* SPDX-License-Identifier: Apache-2.0 */
/* floor: the kernel's part of a SIP server, and nothing else. Each datagram is
 * received and one is sent; no byte is parsed beyond the first letter.
 *   R... O...      (REGISTER, OPTIONS) back to the sender, first line overlaid by "SIP/2.0 200 OK"
 *   anything else  from ports 20000-20999 to port+1000, from 21000-21999 to port-1000 (sipload's
 * two ends) I...           (INVITE) as above, and a 300-byte 100 back to the sender usage: floor
 * plain|mmsg|poll PORT      plain: recvfrom/sendto, blocking poll:  epoll_wait, then
 * recvfrom/sendto until EAGAIN mmsg:  epoll_wait, recvmmsg, sendmmsg */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { N = 64, MSG = 4096 };
static char in[N][MSG], trying[300] = "SIP/2.0 100 Trying\r\n";
static struct sockaddr_in from[2 * N];
static struct mmsghdr rx[N], tx[2 * N];
static struct iovec riov[N], tiov[2 * N];

static int route(char *b, int n, const struct sockaddr_in *src, struct sockaddr_in *dst)
{
	int p = ntohs(src->sin_port);
	*dst = *src;
	if (n > 20 && (*b == 'R' || *b == 'O')) {
		char *e = memchr(b, '\r', (size_t)n);
		memset(b, ' ', (size_t)(e - b));
		memcpy(b, "SIP/2.0 200 OK", 14);
	} else
		dst->sin_port = htons((uint16_t)(p >= 21000 ? p - 1000 : p + 1000));
	return *b == 'I';
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(argv[2])),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), big = 4 << 20, plain = !strcmp(argv[1], "plain"),
	    mmsg = !strcmp(argv[1], "mmsg");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
	if (bind(fd, (void *)&a, sizeof a)) {
		perror("bind");
		return 1;
	}
	int ep = epoll_create1(0);
	struct epoll_event e = { .events = EPOLLIN };
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
	for (int i = 0; i < N; i++) {
		riov[i] = (struct iovec){ in[i], MSG };
		rx[i].msg_hdr = (struct msghdr){
			.msg_iov = &riov[i], .msg_iovlen = 1, .msg_name = &from[i]
		};
	}
	static struct sockaddr_in to[2 * N];
	for (int i = 0; i < 2 * N; i++)
		tx[i].msg_hdr = (struct msghdr){ .msg_iov = &tiov[i],
			.msg_iovlen = 1,
			.msg_name = &to[i],
			.msg_namelen = sizeof to[i] };
	for (;;) {
		if (!plain && epoll_wait(ep, &e, 1, -1) < 1)
			continue;
		if (!mmsg) {
			for (;;) {
				socklen_t l = sizeof from[0];
				ssize_t n = recvfrom(fd, in[0], MSG, plain ? 0 : MSG_DONTWAIT,
					(void *)&from[0], &l);
				if (n < 0)
					break;
				if (route(in[0], (int)n, &from[0], &to[0]))
					sendto(fd, trying, sizeof trying, 0, (void *)&from[0], l);
				sendto(fd, in[0], (size_t)n, 0, (void *)&to[0], l);
			}
			continue;
		}
		for (int i = 0; i < N; i++)
			rx[i].msg_hdr.msg_namelen = sizeof from[i];
		int n = recvmmsg(fd, rx, N, MSG_DONTWAIT, NULL), m = 0;
		for (int i = 0; i < n; i++) {
			int t = m++;
			tiov[t] = (struct iovec){ in[i], rx[i].msg_len };
			if (route(in[i], (int)rx[i].msg_len, &from[i], &to[t])) {
				tiov[m] = (struct iovec){ trying, sizeof trying };
				to[m++] = from[i];
			}
		}
		for (int i = 0; i < m;) {
			int r = sendmmsg(fd, tx + i, (unsigned)(m - i), 0);
			i += r > 0 ? r : 1;
		}
	}
}
