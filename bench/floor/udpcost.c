/* SPDX-License-Identifier: Apache-2.0 */
/* udpcost: CPU time of one UDP datagram on loopback without any wake-up: one
 * thread sends BATCH datagrams to itself, then receives them, many times.
 * Prints ns per datagram for the send and the receive, median of 9 rounds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

static double cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(void)
{
	static char buf[64][2048];
	struct mmsghdr tx[64], rx[64];
	struct iovec tv[64], rv[64];
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
			   from[64];
	socklen_t l = sizeof a;
	int r = socket(AF_INET, SOCK_DGRAM, 0), s = socket(AF_INET, SOCK_DGRAM, 0), big = 4 << 20;
	setsockopt(r, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
	if (bind(r, (void *)&a, l) || getsockname(r, (void *)&a, &l)) {
		perror("bind");
		return 1;
	}
	printf("bytes  call               batch  send ns  recv ns  both ns\n");
	for (int size = 200; size <= 1000; size += 400)
		for (int mode = 0; mode < 4; mode++) {
			int batch = mode < 2    ? 1
				    : mode == 2 ? 8
						: 32,
			    mm = mode > 0, rounds = 200000 / batch;
			double vs[9], vr[9], vb[9];
			for (int k = 0; k < 9; k++) {
				double ts = 0, tr = 0;
				for (int n = 0; n < rounds; n++) {
					for (int i = 0; i < batch; i++) {
						tv[i] = (struct iovec){ buf[i], (size_t)size };
						rv[i] = (struct iovec){ buf[i], sizeof buf[i] };
						tx[i].msg_hdr = (struct msghdr){ .msg_name = &a,
							.msg_namelen = l,
							.msg_iov = &tv[i],
							.msg_iovlen = 1 };
						rx[i].msg_hdr =
							(struct msghdr){ .msg_name = &from[i],
								.msg_namelen = l,
								.msg_iov = &rv[i],
								.msg_iovlen = 1 };
					}
					/* timing every call would cost as much as the call: time
					 * one in 16 */
					int t = n % 16 == 0;
					double t0 = t ? cpu_ns() : 0;
					if (mm ? sendmmsg(s, tx, (unsigned)batch, 0) != batch
					       : sendto(s, buf[0], (size_t)size, 0, (void *)&a, l) <
								0)
						return 1;
					double t1 = t ? cpu_ns() : 0;
					socklen_t fl = l;
					if (mm ? recvmmsg(r, rx, (unsigned)batch, MSG_DONTWAIT,
							 NULL) != batch
					       : recvfrom(r, buf[0], sizeof buf[0], MSG_DONTWAIT,
							 (void *)from, &fl) < 0)
						return 1;
					if (t) {
						double t2 = cpu_ns(), t3 = cpu_ns();
						ts += t1 - t0 - (t3 - t2);
						tr += t2 - t1 - (t3 - t2);
					}
				}
				double per = (double)(rounds + 15) / 16 * batch;
				vs[k] = ts / per;
				vr[k] = tr / per;
				vb[k] = vs[k] + vr[k];
			}
			qsort(vs, 9, sizeof *vs, cmp);
			qsort(vr, 9, sizeof *vr, cmp);
			qsort(vb, 9, sizeof *vb, cmp);
			printf("%5d  %-17s  %5d  %7.0f  %7.0f  %7.0f\n", size,
				mm ? "sendmmsg/recvmmsg" : "sendto/recvfrom", batch, vs[4], vr[4],
				vb[4]);
		}
}
