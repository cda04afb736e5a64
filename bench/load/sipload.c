/* SPDX-License-Identifier: Apache-2.0 */
/* sipload: a SIP load generator for benchmarks. It plays both ends (caller and
 * callee) over UDP or TCP, open loop at a fixed rate, and knows nothing about the
 * server between them. One thread, recvmmsg/sendmmsg, thousands in flight.
 *
 *   sipload SCENARIO [options]     SCENARIO: register options message call
 *
 * Users are u000000, u000001, ... with passwords p000000, ...
 * It prints one JSON object. Exit status 0: every transaction was completed. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "digest.h"
#include "hist.h"
#include "sip.h"
#include "stream.h"

enum { BATCH = 32, MSG = 4096, MAXSOCK = 256, HDRS = 2048, HELD_BACK = 1 << 18 };
enum scenario { REGISTER, OPTIONS, MESSAGE, CALL };
enum state { FREE, TRYING, PROCEEDING, HOLDING, ENDING };
enum { Q_R1, Q_R2, Q_R3, Q_R4, Q_HOLD, Q_ANSWER, NQ };

struct sock {
	int fd, n, port, uas; /* TCP: the callee's listening socket */
	struct stream stream;
	struct mmsghdr mm[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in to[BATCH];
	char buf[BATCH][MSG];
};
struct slot {
	uint32_t gen, token, user, cseq;
	uint8_t state, tries, auth, uas_seen, uas_done;
	uint64_t t0;
};
struct auth {
	char realm[64], nonce[160], opaque[64];
	int sha256, qop, proxy;
};
struct dialog {
	char tag[96], target[192], routes[1024];
};
struct timer {
	uint64_t due;
	uint32_t slot, token;
};
struct queue {
	uint64_t delay;
	struct timer *v;
	uint32_t head, tail, cap;
};

/* options */
static enum scenario scen;
static const char *domain = "bench.test", *ip = "127.0.0.1";
static struct sockaddr_in server;
static double rate = 1000, secs = 10;
static long total = -1;
static int users = 1000, first_user, nsock = 16, forks = 1, uac_base = 20000, uas_base = 21000,
	   expires = 3600;
static uint32_t nslots = 20000;
static double hold_ms = 0, answer_ms = 0, warm_s = 0;
static int strict, cut, tcp;

static struct sock *uac, *uas;
static struct slot *slots;
static struct auth *auths;
static struct dialog *dialogs;
static char (*uas_hdr)[HDRS];
static struct sockaddr_in *uas_from;
static uint32_t *freelist, free_head, free_count, runid;
static struct queue q[NQ];
static const EVP_MD *md5, *sha256;
static uint64_t now, begun;
static struct counts {
	long started, completed, failed, rejected, retrans, dup_req, stray, challenged, cancels,
		acks_487, noslot, rx, tx, txerr, refused_within, refused_within_code;
	uint64_t maxlag, last_start, last_refused; /* the last two: ns since the first start */
} st, before;                                      /* before: what the warm-up has brought */

static void die(const char *what)
{
	fprintf(stderr, "sipload: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- text ---- */
static char *aor(char *d, char kind, uint32_t u)
{
	d = str(d, "sip:");
	*d++ = kind;
	d = dec(d, u, 6);
	*d++ = '@';
	return str(d, domain);
}

/* ---- messages in ---- */
/* Call-ID is <slot>-<generation>-<run>@ip, all in hex */
static struct slot *find(const struct msg *m)
{
	char *e;
	unsigned long s = strtoul(m->callid.p, &e, 16), g, r;
	if (*e != '-')
		return NULL;
	g = strtoul(e + 1, &e, 16);
	if (*e != '-')
		return NULL;
	r = strtoul(e + 1, &e, 16);
	return r == runid && s < nslots && slots[s].gen == g ? &slots[s] : NULL;
}

static uint32_t index_of(const struct slot *s)
{
	return (uint32_t)(s - slots);
}

/* ---- digest ---- */
static char *put_auth(char *d, const struct slot *s, const char *method, const char *uri)
{
	const struct auth *a = &auths[index_of(s)];
	const EVP_MD *md = a->sha256 ? sha256 : md5;
	char h1[65], h2[65], r[65], user[16], pass[16];
	snprintf(user, sizeof user, "%c%06u", scen == CALL ? 'a' : 'u', s->user);
	snprintf(pass, sizeof pass, "p%06u", s->user);
	digest(md, h1, "%s:%s:%s", user, a->realm, pass);
	digest(md, h2, "%s:%s", method, uri);
	if (a->qop)
		digest(md, r, "%s:%s:00000001:0a4f113b:auth:%s", h1, a->nonce, h2);
	else
		digest(md, r, "%s:%s:%s", h1, a->nonce, h2);
	d += sprintf(d,
		"%s: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"%s\", "
		"response=\"%s\", algorithm=%s",
		a->proxy ? "Proxy-Authorization" : "Authorization", user, a->realm, a->nonce, uri,
		r, a->sha256 ? "SHA-256" : "MD5");
	if (a->qop)
		d = str(d, ", qop=auth, nc=00000001, cnonce=\"0a4f113b\"");
	if (*a->opaque)
		d += sprintf(d, ", opaque=\"%s\"", a->opaque);
	return str(d, "\r\n");
}

/* ---- messages out ---- */
static void flush(struct sock *k)
{
	for (int i = 0; tcp && i < k->n; i++) {
		int sent = stream_put(&k->stream, k->buf[i], k->iov[i].iov_len);
		st.tx += sent;
		st.txerr += !sent;
	}
	if (tcp) {
		stream_push(&k->stream);
		k->n = 0;
		return;
	}
	for (int i = 0; i < k->n;) {
		int r = sendmmsg(k->fd, k->mm + i, (unsigned)(k->n - i), 0);
		if (r < 0) {
			if (errno == EINTR)
				continue;
			st.txerr++;
			i++;
		} else
			i += r, st.tx += r;
	}
	k->n = 0;
}

static char *out(struct sock *k)
{
	if (k->n == BATCH)
		flush(k);
	return k->buf[k->n];
}

static void send_to(struct sock *k, const char *end, const struct sockaddr_in *to)
{
	k->iov[k->n].iov_len = (size_t)(end - k->buf[k->n]);
	k->to[k->n++] = *to;
}

static struct sock *uac_of(const struct slot *s)
{
	return &uac[index_of(s) % (uint32_t)nsock];
}

static char *put_contact(char *d, char kind, uint32_t user, int port)
{
	d = str(d, "Contact: <sip:");
	*d++ = kind;
	d = dec(d, user, 6);
	*d++ = '@';
	d = str(d, ip);
	*d++ = ':';
	d = dec(d, (uint32_t)port, 1);
	return str(d, tcp ? ";transport=tcp>\r\n" : ">\r\n");
}

static char *put_contacts(char *d, const struct slot *s, const char *method)
{
	if (*method == 'I')
		return put_contact(d, 'a', s->user, uac_of(s)->port);
	if (scen != REGISTER)
		return d;
	for (int f = 0; f < forks; f++)
		d = put_contact(
			d, 'u', s->user, uas[(int)(s->user % (uint32_t)nsock) * forks + f].port);
	d = str(d, "Expires: ");
	d = dec(d, (uint32_t)expires, 1);
	return str(d, "\r\n");
}

static char *put_content(char *d, const char *method)
{
	if (*method != 'A')
		d = str(d, "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE, "
			   "NOTIFY\r\nSupported: replaces, timer\r\nUser-Agent: sipload\r\n");
	if (*method == 'I') {
		d = str(d, "Content-Type: application/sdp\r\nContent-Length: ");
		d = dec(d, sizeof SDP - 1, 1);
		d = str(d, "\r\n\r\n");
		return str(d, SDP);
	}
	if (*method == 'M')
		return str(d, "Content-Type: text/plain\r\nContent-Length: "
			      "18\r\n\r\nHello, are you in?");
	return str(d, "Content-Length: 0\r\n\r\n");
}

/* one request of the slot; deterministic, so a retransmission rebuilds it */
static void send_request(struct slot *s, const char *method, uint32_t cseq, int in_dialog)
{
	uint32_t i = index_of(s);
	struct sock *k = uac_of(s);
	char *b = out(k), *d = str(b, method);
	char uri[192];
	struct dialog *dl = dialogs ? &dialogs[i] : NULL;
	if (in_dialog)
		strcpy(uri, dl->target);
	else if (scen == REGISTER || scen == OPTIONS)
		*str(str(uri, "sip:"), domain) = 0;
	else
		*aor(uri, 'u', s->user) = 0;
	*d++ = ' ';
	d = str(d, uri);
	d = str(d, tcp ? " SIP/2.0\r\nVia: SIP/2.0/TCP " : " SIP/2.0\r\nVia: SIP/2.0/UDP ");
	d = str(d, ip);
	*d++ = ':';
	d = dec(d, (uint32_t)k->port, 1);
	d = str(d, ";branch=z9hG4bK");
	d = hex(d, runid);
	*d++ = '.';
	d = hex(d, i);
	*d++ = '.';
	d = hex(d, s->gen);
	*d++ = '.';
	d = dec(d, cseq, 1);
	if (in_dialog && *method == 'A')
		*d++ = 'a';
	d = str(d, ";rport\r\nMax-Forwards: 70\r\nFrom: <");
	d = aor(d, scen == REGISTER ? 'u' : 'a', s->user);
	d = str(d, ">;tag=");
	d = hex(d, runid ^ (s->gen << 20) ^ i);
	d = str(d, "\r\nTo: <");
	d = scen == OPTIONS ? str(d, uri) : aor(d, 'u', s->user);
	*d++ = '>';
	if (dl && (in_dialog || *method == 'A') && *dl->tag) {
		d = str(d, ";tag=");
		d = str(d, dl->tag);
	}
	d = str(d, "\r\nCall-ID: ");
	d = hex(d, i);
	*d++ = '-';
	d = hex(d, s->gen);
	*d++ = '-';
	d = hex(d, runid);
	*d++ = '@';
	d = str(d, ip);
	d = str(d, "\r\nCSeq: ");
	d = dec(d, cseq, 1);
	*d++ = ' ';
	d = str(d, method);
	d = str(d, "\r\n");
	if (in_dialog)
		d = str(d, dl->routes);
	if (s->auth && *method != 'A' && !in_dialog)
		d = put_auth(d, s, method, uri);
	d = put_content(put_contacts(d, s, method), method);
	send_to(k, d, &server);
}

static const char *method_of(const struct slot *s)
{
	if (s->state == ENDING)
		return "BYE";
	return scen == REGISTER  ? "REGISTER"
	       : scen == OPTIONS ? "OPTIONS"
	       : scen == MESSAGE ? "MESSAGE"
				 : "INVITE";
}

static void resend(struct slot *s)
{
	send_request(s, method_of(s), s->cseq, s->state == ENDING);
}

/* the fields which every response to this request repeats */
static char *common(char *d, const struct msg *m, const char *tag)
{
	for (int i = 0; i < m->nvia; i++)
		d = mem(d, m->via[i].p, m->via[i].n);
	for (int i = 0; i < m->nrr; i++)
		d = mem(d, m->rr[i].p, m->rr[i].n);
	d = str(d, "From: ");
	d = mem(d, m->from.p, m->from.n);
	d = str(d, "\r\nTo: ");
	d = mem(d, m->to.p, m->to.n);
	if (!memmem(m->to.p, (size_t)m->to.n, ";tag=", 5)) {
		d = str(d, ";tag=");
		d = str(d, tag);
	}
	d = str(d, "\r\nCall-ID: ");
	d = mem(d, m->callid.p, m->callid.n);
	d = str(d, "\r\nCSeq: ");
	d = mem(d, m->cseq.p, m->cseq.n);
	return str(d, "\r\n");
}

static void respond(struct sock *k, const char *status, const char *hdrs, int n, int sdp,
	const struct sockaddr_in *to)
{
	char *b = out(k), *d = str(b, "SIP/2.0 ");
	d = str(d, status);
	d = str(d, "\r\n");
	d = mem(d, hdrs, n);
	if (sdp >= 0) {
		d = str(d, "Contact: <sip:callee@");
		d = str(d, ip);
		*d++ = ':';
		d = dec(d, (uint32_t)k->port, 1);
		d = str(d, tcp ? ";transport=tcp>\r\n" : ">\r\n");
	}
	if (sdp > 0) {
		d = str(d, "Content-Type: application/sdp\r\nContent-Length: ");
		d = dec(d, sizeof SDP - 1, 1);
		d = str(d, "\r\n\r\n");
		d = str(d, SDP);
	} else
		d = str(d, "Content-Length: 0\r\n\r\n");
	send_to(k, d, to);
}

/* ---- timers: one queue per constant delay ---- */
static void arm(int which, struct slot *s, uint32_t token)
{
	struct queue *t = &q[which];
	if (t->tail - t->head == t->cap) {
		uint32_t n = t->tail - t->head, cap = t->cap ? t->cap * 2 : 1024;
		struct timer *v = malloc(cap * sizeof *v);
		for (uint32_t i = 0; i < n; i++)
			v[i] = t->v[(t->head + i) & (t->cap - 1)];
		free(t->v);
		t->v = v;
		t->cap = cap;
		t->head = 0;
		t->tail = n;
	}
	t->v[t->tail++ & (t->cap - 1)] = (struct timer){ now + t->delay, index_of(s), token };
}

static void enter(struct slot *s, enum state to, int timer)
{
	s->state = (uint8_t)to;
	s->token++;
	s->tries = 0;
	arm(timer, s, s->token);
}

static void done(struct slot *s, int ok)
{
	if (ok)
		st.completed++;
	else
		st.failed++;
	s->state = FREE;
	s->token++;
	freelist[(free_head + free_count++) % nslots] = index_of(s);
}

static void latency(const struct slot *s)
{
	hist_add((now - s->t0) / 1000);
}

/* Does the server read so slowly that a caller would rather not begin? */
static int held_back(uint32_t i)
{
	return tcp && stream_waiting(&uac[i % (uint32_t)nsock].stream) > HELD_BACK;
}

static void start_one(void)
{
	if (!free_count || held_back(freelist[free_head])) {
		st.noslot++;
		st.failed++;
		return;
	}
	uint32_t i = freelist[free_head];
	free_head = (free_head + 1) % nslots;
	free_count--;
	struct slot *s = &slots[i];
	s->gen++;
	s->auth = s->uas_seen = s->uas_done = 0;
	s->cseq = 1;
	s->t0 = now;
	s->user = (uint32_t)first_user + (uint32_t)(st.started % users);
	if (dialogs)
		*dialogs[i].tag = 0;
	enter(s, TRYING, Q_R1);
	resend(s);
}

static void expire(int which, const struct timer *t)
{
	struct slot *s = &slots[t->slot];
	if (which == Q_ANSWER) {
		if (s->token != t->token && s->gen != t->token)
			return;
		if (s->gen != t->token || (s->uas_done & 1))
			return;
		s->uas_done |= 1;
		uint32_t k = t->slot * (uint32_t)forks;
		struct sock *u = &uas[ntohs(uas_from[k].sin_port) % 1 + (int)uas_hdr[k][HDRS - 1]];
		respond(u, "200 OK", uas_hdr[k], (int)strlen(uas_hdr[k]), 1, &uas_from[k]);
		return;
	}
	if (s->token != t->token)
		return;
	if (which == Q_HOLD) {
		s->cseq++;
		enter(s, ENDING, Q_R1);
		resend(s);
		return;
	}
	if (which == Q_R4 || s->state == PROCEEDING) {
		done(s, 0);
		return;
	}
	s->tries++;
	if (!tcp) {
		st.retrans++;
		resend(s);
	}
	arm(which + 1, s, s->token);
}

/* ---- the callee ---- */
static void on_request(struct sock *k, const struct msg *m, const struct sockaddr_in *from)
{
	struct slot *s = find(m);
	char h[HDRS], tag[24], *d = tag;
	int idx = (int)(k - uas), f = idx % forks;
	d = str(d, "b");
	d = dec(d, (uint32_t)f, 1);
	d = hex(d, s ? s->gen ^ index_of(s) << 8 : 0);
	*d = 0;
	if (m->method == 'A') {
		if (f)
			st.acks_487++;
		return;
	}
	int n = (int)(common(h, m, tag) - h);
	if (m->method != 'I' && m->method != 'C') {
		respond(k, "200 OK", h, n, -1, from);
		return;
	}
	if (!s) {
		st.stray++;
		return;
	}
	uint32_t u = index_of(s) * (uint32_t)forks + (uint32_t)f;
	if (m->method == 'C') {
		st.cancels++;
		respond(k, "200 OK", h, n, -1, from);
		if (!(s->uas_done & 1 << f) && s->uas_seen & 1 << f) {
			s->uas_done |= (uint8_t)(1 << f);
			respond(k, "487 Request Terminated", uas_hdr[u], (int)strlen(uas_hdr[u]),
				-1, &uas_from[u]);
		}
		return;
	}
	if (s->uas_seen & 1 << f) {
		st.dup_req++;
		return;
	}
	s->uas_seen |= (uint8_t)(1 << f);
	respond(k, "180 Ringing", h, n, 0, from);
	if (f == 0 && answer_ms == 0) {
		s->uas_done |= 1;
		respond(k, "200 OK", h, n, 1, from);
		return;
	}
	if (n > HDRS - 2) {
		st.stray++;
		return;
	}
	memcpy(uas_hdr[u], h, (size_t)n);
	uas_hdr[u][n] = 0;
	uas_hdr[u][HDRS - 1] = (char)idx;
	uas_from[u] = *from;
	if (f == 0)
		arm(Q_ANSWER, s, s->gen);
}

/* ---- the caller ---- */
static void learn_dialog(struct slot *s, const struct msg *m)
{
	struct dialog *dl = &dialogs[index_of(s)];
	const char *t = memmem(m->to.p, (size_t)m->to.n, ";tag=", 5);
	size_t n = 0;
	if (t)
		for (t += 5; t + n < m->to.p + m->to.n && t[n] != ';' && n < sizeof dl->tag - 1;
			n++)
			dl->tag[n] = t[n];
	dl->tag[n] = 0;
	const char *a = m->contact.p ? memchr(m->contact.p, '<', (size_t)m->contact.n) : NULL;
	const char *z = a ? memchr(a, '>', (size_t)(m->contact.p + m->contact.n - a)) : NULL;
	if (z && z - a - 1 < (long)sizeof dl->target)
		*mem(dl->target, a + 1, (int)(z - a - 1)) = 0;
	char *d = dl->routes;
	for (int i = m->nrr - 1; i >= 0; i--) /* "Record-Route: x" becomes "Route: x" */
		if (d + m->rr[i].n < dl->routes + sizeof dl->routes)
			d = mem(d, m->rr[i].p + 7, m->rr[i].n - 7);
	*d = 0;
}

static void on_response(const struct msg *m)
{
	struct slot *s = find(m);
	if (!s || s->state == FREE) {
		st.stray++;
		return;
	}
	const char *meth = method_of(s);
	if (m->method != *meth || (uint32_t)atoi(m->cseq.p) != s->cseq) {
		st.stray++;
		return;
	}
	if (m->status < 200) {
		if (*meth == 'I' && s->state == TRYING)
			enter(s, PROCEEDING, Q_R4);
		return;
	}
	if (*meth == 'I') {
		if (s->state == HOLDING) {
			st.stray++;
			return;
		}
		learn_dialog(s, m);
		send_request(s, "ACK", s->cseq, m->status < 300);
	}
	if ((m->status == 401 || m->status == 407) && !s->auth && m->challenge.p && auths) {
		struct auth *a = &auths[index_of(s)];
		char v[32];
		param(&m->challenge, "realm", a->realm, sizeof a->realm);
		param(&m->challenge, "nonce", a->nonce, sizeof a->nonce);
		param(&m->challenge, "opaque", a->opaque, sizeof a->opaque);
		param(&m->challenge, "algorithm", v, sizeof v);
		a->sha256 = !strcasecmp(v, "SHA-256");
		param(&m->challenge, "qop", v, sizeof v);
		a->qop = !!strstr(v, "auth");
		a->proxy = m->status == 407;
		st.challenged++;
		s->auth = 1;
		s->cseq++;
		enter(s, TRYING, Q_R1);
		resend(s);
		return;
	}
	if (m->status >= 300) {
		st.rejected++;
		st.last_refused = now - begun;
		if (*meth == 'B') {
			st.refused_within++;
			st.refused_within_code = m->status;
		}
		done(s, 0);
		return;
	}
	if (*meth != 'I') {
		if (*meth != 'B')
			latency(s);
		done(s, 1);
		return;
	}
	latency(s);
	if (hold_ms > 0) {
		enter(s, HOLDING, Q_HOLD);
		return;
	}
	s->cseq++;
	enter(s, ENDING, Q_R1);
	resend(s);
}

static void take(struct sock *k, const char *data, int len, const struct sockaddr_in *from)
{
	struct msg m;

	st.rx++;
	if (parse(&m, data, len))
		st.stray += len > 8;
	else if (!m.status)
		on_request(k, &m, from);
	else if (k->uas)
		st.stray++;
	else
		on_response(&m);
}

static void receive_stream(struct sock *k)
{
	static const struct sockaddr_in nobody;
	char *data;
	int len;

	if (!stream_read(&k->stream)) {
		stream_end(&k->stream);
		return;
	}
	while ((data = stream_next(&k->stream, &len))) {
		char saved = data[len];

		data[len] = 0;
		take(k, data, len, &nobody);
		data[len] = saved;
	}
}

static void receive(struct sock *k)
{
	static struct mmsghdr mm[64];
	static struct iovec iov[64];
	static struct sockaddr_in from[64];
	static char buf[64][MSG];
	for (int i = 0; i < 64; i++) {
		iov[i] = (struct iovec){ buf[i], MSG - 1 };
		mm[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i],
			.msg_iovlen = 1,
			.msg_name = &from[i],
			.msg_namelen = sizeof from[i] };
	}
	int n = recvmmsg(k->fd, mm, 64, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		buf[i][mm[i].msg_len] = 0;
		take(k, buf[i], (int)mm[i].msg_len, &from[i]);
	}
}

static void open_sock(struct sock *k, int ep, int port, int is_uas)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = inet_addr(ip) };
	int big = 8 << 20;
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = k };
	k->port = port;
	k->uas = is_uas;
	k->stream.fd = -1;
	for (int i = 0; i < BATCH; i++)
		k->iov[i].iov_base = k->buf[i];
	if (tcp) {
		k->fd = is_uas ? stream_listen(&a) : -1;
		if (is_uas ? k->fd < 0 : stream_connect(&k->stream, &server, &k->port))
			die("TCP");
		epoll_ctl(ep, EPOLL_CTL_ADD, is_uas ? k->fd : k->stream.fd, &e);
		return;
	}
	k->fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (setsockopt(k->fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big))
		setsockopt(k->fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
	if (bind(k->fd, (void *)&a, sizeof a))
		die("bind");
	for (int i = 0; i < BATCH; i++) {
		k->mm[i].msg_hdr = (struct msghdr){ .msg_iov = &k->iov[i],
			.msg_iovlen = 1,
			.msg_name = &k->to[i],
			.msg_namelen = sizeof k->to[i] };
	}
	epoll_ctl(ep, EPOLL_CTL_ADD, k->fd, &e);
}

static void usage(void)
{
	fputs("usage: sipload register|options|message|call [options]\n"
	      "  -s IP:PORT  server (127.0.0.1:5060)       -r RATE  new ones per second (1000)\n"
	      "  -d SECS     duration (10)                 -n COUNT instead of -d\n"
	      "  -u USERS    distinct users (1000)         -U FIRST first user (0)\n"
	      "  -D DOMAIN   (bench.test)                  -c NSOCK source ports (16)\n"
	      "  -f FORKS    contacts per user (1); the first answers, the rest ring\n"
	      "  -a MS       ring before the answer (0)    -H MS    hold before BYE (0)\n"
	      "  -m MAX      most in flight (20000)        -b PORT  caller ports from (20000), "
	      "callee ports 1000 above\n"
	      "  -e SECS     Expires of REGISTER (3600)        -x  stop at the first failure or "
	      "retransmission\n"
	      "  -T          over TCP, one connection for each port\n"
	      "  -w          end with the last start: what is under way then counts as nothing\n"
	      "  -W SECS     of -d are a warm-up: a line says when it is over, and nothing before "
	      "counts\n",
		stderr);
	exit(2);
}

static const char *const names[] = { "register", "options", "message", "call" };

static void options(int argc, char **argv, const char **server_text)
{
	if (argc < 2)
		usage();
	for (scen = 0; scen <= CALL && strcmp(argv[1], names[scen]); scen++)
		;
	if (scen > CALL)
		usage();
	for (int o; (o = getopt(argc - 1, argv + 1, "s:r:d:n:u:U:D:c:f:a:H:m:b:e:xwTW:")) != -1;)
		switch (o) {
		case 's':
			*server_text = optarg;
			break;
		case 'r':
			rate = atof(optarg);
			break;
		case 'd':
			secs = atof(optarg);
			break;
		case 'n':
			total = atol(optarg);
			break;
		case 'u':
			users = atoi(optarg);
			break;
		case 'U':
			first_user = atoi(optarg);
			break;
		case 'D':
			domain = optarg;
			break;
		case 'c':
			nsock = atoi(optarg);
			break;
		case 'f':
			forks = atoi(optarg);
			break;
		case 'a':
			answer_ms = atof(optarg);
			break;
		case 'H':
			hold_ms = atof(optarg);
			break;
		case 'm':
			nslots = (uint32_t)atoi(optarg);
			break;
		case 'b':
			uac_base = atoi(optarg);
			uas_base = uac_base + 1000;
			break;
		case 'e':
			expires = atoi(optarg);
			break;
		case 'x':
			strict = 1;
			break;
		case 'T':
			tcp = 1;
			break;
		case 'w':
			cut = 1;
			break;
		case 'W':
			warm_s = atof(optarg);
			break;
		default:
			usage();
		}
	if (nsock < 1 || forks < 1 || forks > 8 || nsock * forks > 120 || rate <= 0)
		usage();
	if (total < 0)
		total = (long)(rate * secs);
}

static void set_server(const char *text)
{
	char host[64] = "";
	int port = 5060;

	sscanf(text, "%63[^:]:%d", host, &port);
	server = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = inet_addr(host) };
}

static void set_up(int ep)
{
	const double delays[NQ] = { 500, 1000, 2000, 4000, hold_ms, answer_ms };
	int nuas = nsock * forks;

	md5 = EVP_MD_fetch(NULL, "MD5", NULL);
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	runid = (uint32_t)(clock_ns() ^ (uint64_t)getpid() << 12) | 1;
	slots = calloc(nslots, sizeof *slots);
	auths = calloc(nslots, sizeof *auths);
	freelist = calloc(nslots, sizeof *freelist);
	for (uint32_t i = 0; i < nslots; i++)
		freelist[i] = i;
	free_count = nslots;
	if (scen == CALL) {
		dialogs = calloc(nslots, sizeof *dialogs);
		uas_hdr = calloc((size_t)nslots * (size_t)forks, HDRS);
		uas_from = calloc((size_t)nslots * (size_t)forks, sizeof *uas_from);
	}
	for (int i = 0; i < NQ; i++)
		q[i].delay = (uint64_t)(delays[i] * 1e6);
	uac = calloc((size_t)nsock, sizeof *uac);
	uas = calloc((size_t)nuas, sizeof *uas);
	for (int i = 0; i < nsock; i++)
		open_sock(&uac[i], ep, uac_base + i, 0);
	for (int i = 0; i < nuas; i++)
		open_sock(&uas[i], ep, uas_base + i, 1);
}

static void flush_all(void)
{
	for (int i = 0; i < nsock; i++)
		if (uac[i].n || stream_waiting(&uac[i].stream))
			flush(&uac[i]);
	for (int i = 0; i < nsock * forks; i++)
		if (uas[i].n || stream_waiting(&uas[i].stream))
			flush(&uas[i]);
}

static uint64_t due_of(uint64_t t0, long number)
{
	return t0 + (uint64_t)((double)number * 1e9 / rate);
}

/* Those whose time has come, at most a burst. Returns when the last one was started. */
static void start_due(uint64_t t0, uint64_t *last)
{
	for (int burst = 0; st.started < total && burst < 64; burst++) {
		uint64_t due = due_of(t0, st.started);

		if (due > now)
			break;
		if (now - due > st.maxlag)
			st.maxlag = now - due;
		start_one();
		st.started++;
		*last = now;
		st.last_start = now - t0;
	}
}

/* Returns when the next timer is due, `next` at the latest. */
static uint64_t run_timers(uint64_t next)
{
	for (int i = 0; i < NQ; i++) {
		struct queue *t = &q[i];

		while (t->head != t->tail) {
			struct timer x = t->v[t->head & (t->cap - 1)];

			if (x.due > now) {
				if (x.due < next)
					next = x.due;
				break;
			}
			t->head++;
			expire(i, &x);
		}
	}
	return next;
}

/* The server has one connection to each callee: from now on only that is read. */
static void accept_stream(int ep, struct sock *k)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = k };
	int fd = accept(k->fd, NULL, NULL);

	if (fd < 0)
		return;
	stream_begin(&k->stream, fd);
	epoll_ctl(ep, EPOLL_CTL_DEL, k->fd, NULL);
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

static void wait_and_receive(int ep, uint64_t wait)
{
	struct timespec ts = { (time_t)(wait / 1000000000u), (long)(wait % 1000000000u) };
	struct epoll_event ev[MAXSOCK];
	int n = epoll_pwait2(ep, ev, MAXSOCK, &ts, NULL);

	now = clock_ns();
	for (int i = 0; i < n; i++) {
		struct sock *k = ev[i].data.ptr;

		if (!tcp)
			receive(k);
		else if (k->stream.fd < 0)
			accept_stream(ep, k);
		else
			receive_stream(k);
	}
}

/* What is under way when counting begins makes up for what is when it ends. */
static void warmed_up(void)
{
	before = st;
	printf("{\"warm\":true}\n");
	fflush(stdout);
	warm_s = 0;
}

/* Returns the seconds that it took. */
static double run(int ep)
{
	uint64_t t0 = begun = clock_ns(), last = 0, next, end;

	for (;;) {
		now = clock_ns();
		if (warm_s > 0 && now - t0 >= (uint64_t)(warm_s * 1e9))
			warmed_up();
		start_due(t0, &last);
		next = st.started < total ? due_of(t0, st.started) : now + 1000000000u;
		next = run_timers(next);
		flush_all();
		if (st.started >= total &&
			(cut || free_count == nslots || now - last > 12000000000u))
			break;
		if (strict && st.retrans + st.failed + st.dup_req)
			break;
		if (tcp && next > now + 1000000u)
			next = now + 1000000u; /* what could not be written is tried again */
		wait_and_receive(ep, next > now ? next - now : 0);
	}
	end = now;
	/* late CANCEL, 487 and ACK of the losing branches */
	while (forks > 1 && scen == CALL && (now = clock_ns()) < end + 300000000u) {
		wait_and_receive(ep, 50000000u);
		flush_all();
	}
	return (double)(end - t0) / 1e9;
}

static void report(double wall)
{
	struct rusage ru;
	getrusage(RUSAGE_SELF, &ru);
	double cpu = (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
		     (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
	printf("{\"scenario\":\"%s\",\"rate\":%.0f,\"started\":%ld,\"completed\":%ld,\"failed\":%"
	       "ld,\"rejected\":%ld,\"retrans\":%ld,"
	       "\"dup_requests\":%ld,\"stray\":%ld,\"challenged\":%ld,\"cancels\":%ld,\"acks_487\":"
	       "%ld,\"no_slot\":%ld,\"rx\":%ld,\"tx\":%ld,\"tx_err\":%ld,"
	       "\"wall\":%.3f,\"lag_ms\":%.1f,\"p50_us\":%.0f,\"p99_us\":%.0f,\"p999_us\":%.0f,"
	       "\"refused_within\":%ld,\"refused_within_code\":%ld,\"sent_s\":%.3f,"
	       "\"last_refused_s\":%.3f,\"load_cpu\":%.2f}\n",
		names[scen], rate, st.started - before.started, st.completed - before.completed,
		st.failed - before.failed, st.rejected - before.rejected,
		st.retrans - before.retrans, st.dup_req, st.stray, st.challenged, st.cancels,
		st.acks_487, st.noslot - before.noslot, st.rx, st.tx, st.txerr, wall,
		(double)st.maxlag / 1e6, quantile(.5), quantile(.99), quantile(.999),
		st.refused_within, st.refused_within_code,
		(double)(st.last_start - before.last_start) / 1e9, (double)st.last_refused / 1e9,
		cpu);
}

int main(int argc, char **argv)
{
	const char *server_text = "127.0.0.1:5060";
	int ep = epoll_create1(0);

	options(argc, argv, &server_text);
	set_server(server_text);
	set_up(ep);
	report(run(ep));
	return st.completed == total ? 0 : 1;
}
