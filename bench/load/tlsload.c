/* SPDX-License-Identifier: Apache-2.0 */
/* tlsload: many TLS connections, each with one registered user. One thread.
 *
 *   tlsload [-s IP:PORT] [-n CONNS] [-p PARALLEL] [-v 1.2|1.3] [-t SECS] [-r RATE -d SECS]
 *
 * It opens CONNS connections (full handshakes, no resumption, PARALLEL at a
 * time), sends REGISTER on each and awaits 200, prints {"phase":"connect",...}
 * and waits for a line on stdin. Then it refreshes registrations at RATE for
 * SECS over the open connections, prints {"phase":"refresh",...}, waits for a
 * line again and leaves. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IDLE, CONNECTING, HANDSHAKE, WAITING, READY, DEAD };
struct conn {
	int fd, state, cseq;
	SSL *ssl;
	uint64_t t0;
};

static struct conn *c;
static int ep, nconn = 1000, parallel = 50, port = 5071;
static char host[64] = "127.0.0.1";
static SSL_CTX *ctx;
static long ok, failed, pending;
static uint64_t latency_sum;
static uint32_t run;

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void watch(struct conn *k, uint32_t ev)
{
	struct epoll_event e = { .events = ev, .data.u32 = (uint32_t)(k - c) };
	epoll_ctl(ep, EPOLL_CTL_MOD, k->fd, &e);
}

static void dead(struct conn *k)
{
	failed++;
	pending--;
	k->state = DEAD;
	close(k->fd);
	if (k->ssl)
		SSL_free(k->ssl);
	k->ssl = NULL;
}

static void send_register(struct conn *k)
{
	char b[1024];
	int i = (int)(k - c),
	    n = snprintf(b, sizeof b,
		    "REGISTER sip:bench.test SIP/2.0\r\nVia: SIP/2.0/TLS "
		    "127.0.0.1:9;branch=z9hG4bK%x.%x.%x;rport\r\nMax-Forwards: 70\r\n"
		    "From: <sip:u%06d@bench.test>;tag=%x\r\nTo: <sip:u%06d@bench.test>\r\nCall-ID: "
		    "%x-%x@127.0.0.1\r\nCSeq: %d REGISTER\r\n"
		    "Contact: <sip:u%06d@127.0.0.1:9;transport=tls>\r\nExpires: 3600\r\nAllow: "
		    "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE, NOTIFY\r\n"
		    "Supported: replaces, timer\r\nUser-Agent: tlsload\r\nContent-Length: "
		    "0\r\n\r\n",
		    run, i, k->cseq, i, i, i, run, i, k->cseq, i);
	k->cseq++;
	k->t0 = now();
	k->state = WAITING;
	if (SSL_write(k->ssl, b, n) != n)
		dead(k);
	else
		watch(k, EPOLLIN);
}

static void begin(struct conn *k)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = inet_addr(host) };
	int one = 1;
	pending++;
	k->t0 = now();
	k->cseq = 1;
	k->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	struct epoll_event e = { .events = EPOLLOUT, .data.u32 = (uint32_t)(k - c) };
	epoll_ctl(ep, EPOLL_CTL_ADD, k->fd, &e);
	k->state = CONNECTING;
	if (connect(k->fd, (void *)&a, sizeof a) && errno != EINPROGRESS)
		dead(k);
}

static void step(struct conn *k)
{
	char b[4096];
	int r;
	switch (k->state) {
	case CONNECTING:
		k->ssl = SSL_new(ctx);
		SSL_set_fd(k->ssl, k->fd);
		k->state = HANDSHAKE; /* fall through */
	case HANDSHAKE:
		if ((r = SSL_connect(k->ssl)) == 1) {
			send_register(k);
			return;
		}
		r = SSL_get_error(k->ssl, r);
		if (r == SSL_ERROR_WANT_READ)
			watch(k, EPOLLIN);
		else if (r == SSL_ERROR_WANT_WRITE)
			watch(k, EPOLLOUT);
		else
			dead(k);
		return;
	case WAITING:
	case READY:
		while ((r = SSL_read(k->ssl, b, sizeof b)) > 0)
			if (k->state == WAITING) {
				if (r > 12 && !memcmp(b, "SIP/2.0 200", 11)) {
					ok++;
					pending--;
					latency_sum += now() - k->t0;
					k->state = READY;
				} else {
					dead(k);
					return;
				}
			}
		r = SSL_get_error(k->ssl, r);
		if (r != SSL_ERROR_WANT_READ) {
			if (k->state == READY)
				pending++;
			dead(k);
		}
	}
}

static void poll_once(int ms)
{
	struct epoll_event ev[256];
	int n = epoll_wait(ep, ev, 256, ms);
	for (int i = 0; i < n; i++)
		if (c[ev[i].data.u32].state != DEAD)
			step(&c[ev[i].data.u32]);
}

static void report(const char *phase, double secs)
{
	struct rusage ru;
	getrusage(RUSAGE_SELF, &ru);
	printf("{\"phase\":\"%s\",\"ok\":%ld,\"failed\":%ld,\"pending\":%ld,\"wall\":%.3f,\"per_"
	       "s\":%.1f,\"mean_ms\":%.3f,\"load_cpu\":%.2f}\n",
		phase, ok, failed, pending, secs, (double)ok / secs,
		ok ? (double)latency_sum / (double)ok / 1e6 : 0,
		(double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
			(double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
	fflush(stdout);
	char l[16];
	if (!fgets(l, sizeof l, stdin))
		exit(0);
	ok = failed = pending = 0;
	latency_sum = 0;
}

static void set_up(int v)
{
	signal(SIGPIPE, SIG_IGN);
	struct rlimit rl = { (rlim_t)nconn + 100, (rlim_t)nconn + 100 };
	if (setrlimit(RLIMIT_NOFILE, &rl)) {
		getrlimit(RLIMIT_NOFILE, &rl);
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	if (v) {
		SSL_CTX_set_min_proto_version(ctx, v);
		SSL_CTX_set_max_proto_version(ctx, v);
	}
}

int main(int argc, char **argv)
{
	double rate = 0, secs = 5;
	int v = 0, max_s = 120;
	for (int o; (o = getopt(argc, argv, "s:n:p:v:r:d:t:")) != -1;)
		switch (o) {
		case 's':
			sscanf(optarg, "%63[^:]:%d", host, &port);
			break;
		case 'n':
			nconn = atoi(optarg);
			break;
		case 'p':
			parallel = atoi(optarg);
			break;
		case 'v':
			v = !strcmp(optarg, "1.2") ? TLS1_2_VERSION : TLS1_3_VERSION;
			break;
		case 'r':
			rate = atof(optarg);
			break;
		case 'd':
			secs = atof(optarg);
			break;
		case 't':
			max_s = atoi(optarg);
			break;
		default:
			return 2;
		}
	set_up(v);
	ep = epoll_create1(0);
	c = calloc((size_t)nconn, sizeof *c);
	run = (uint32_t)now() ^ (uint32_t)getpid() << 8;
	uint64_t t0 = now();
	for (int next = 0; ok + failed < nconn && now() - t0 < (uint64_t)max_s * 1000000000u;) {
		while (pending < parallel && next < nconn)
			begin(&c[next++]);
		poll_once(100);
	}
	report("connect", (double)(now() - t0) / 1e9);
	if (rate > 0) {
		long sent = 0, total = (long)(rate * secs), k = 0;
		t0 = now();
		while (ok + failed < total && (double)(now() - t0) < (secs + 5) * 1e9) {
			for (uint64_t t = now();
				sent < total && t0 + (uint64_t)((double)sent * 1e9 / rate) <= t;
				sent++) {
				int tries = 0;
				while (c[k % nconn].state != READY && tries++ < nconn)
					k++;
				if (tries > nconn)
					break;
				pending++;
				send_register(&c[k++ % nconn]);
			}
			poll_once(1);
		}
		report("refresh", (double)(now() - t0) / 1e9);
	}
}
