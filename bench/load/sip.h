/* SPDX-License-Identifier: Apache-2.0 */
/* Text and messages of the load generators: as much of SIP as they need. */
#ifndef BENCH_SIP_H
#define BENCH_SIP_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct str {
	const char *p;
	int n;
};
struct msg {
	int status;  /* 0: a request */
	char method; /* first letter, of the request or of CSeq */
	struct str callid, cseq, from, to, contact, challenge;
	struct str via[8], rr[8]; /* whole header lines, CRLF included */
	int nvia, nrr;
};

static char *str(char *d, const char *s)
{
	size_t n = strlen(s);
	memcpy(d, s, n);
	return d + n;
}

static char *mem(char *d, const char *s, int n)
{
	memcpy(d, s, (size_t)n);
	return d + n;
}

static char *dec(char *d, uint32_t v, int width)
{
	char t[12];
	int n = 0;
	do
		t[n++] = (char)('0' + v % 10);
	while ((v /= 10) || n < width);
	while (n)
		*d++ = t[--n];
	return d;
}

static char *hex(char *d, uint32_t v)
{
	char t[8];
	int n = 0;
	do
		t[n++] = "0123456789abcdef"[v & 15];
	while (v >>= 4);
	while (n)
		*d++ = t[--n];
	return d;
}

static int is(const char *p, int n, const char *name)
{
	return (int)strlen(name) == n && !strncasecmp(p, name, (size_t)n);
}

/* One header field: its name, its line with CRLF, its value. */
static void take_field(struct msg *m, const char *p, int n, struct str whole, struct str v)
{
	switch (*p | 32) {
	case 'v':
		if (is(p, n, "Via") || n == 1) {
			if (m->nvia < 8)
				m->via[m->nvia++] = whole;
		}
		break;
	case 'r':
		if (is(p, n, "Record-Route") && m->nrr < 8)
			m->rr[m->nrr++] = whole;
		break;
	case 'f':
		if (is(p, n, "From") || n == 1)
			m->from = v;
		break;
	case 't':
		if (is(p, n, "To") || n == 1)
			m->to = v;
		break;
	case 'i':
		if (n == 1)
			m->callid = v;
		break;
	case 'm':
		if (n == 1)
			m->contact = v;
		break;
	case 'c':
		if (is(p, n, "Call-ID"))
			m->callid = v;
		else if (is(p, n, "CSeq"))
			m->cseq = v;
		else if (is(p, n, "Contact"))
			m->contact = v;
		break;
	case 'w':
		if (is(p, n, "WWW-Authenticate") && !m->challenge.p)
			m->challenge = v;
		break;
	case 'p':
		if (is(p, n, "Proxy-Authenticate") && !m->challenge.p)
			m->challenge = v;
		break;
	}
}

static int parse(struct msg *m, const char *p, int len)
{
	const char *end = p + len, *nl = memchr(p, '\n', (size_t)len);
	memset(m, 0, sizeof *m);
	if (!nl || len < 20)
		return -1;
	if (!memcmp(p, "SIP/2.0 ", 8))
		m->status = atoi(p + 8);
	else
		m->method = *p;
	for (p = nl + 1; p < end && *p != '\r' && *p != '\n'; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			return -1;
		const char *c = memchr(p, ':', (size_t)(nl - p));
		if (!c)
			continue;
		int n = (int)(c - p);
		struct str whole = { p, (int)(nl + 1 - p) }, v = { c + 1, (int)(nl - c - 1) };
		while (v.n && (*v.p == ' '))
			v.p++, v.n--;
		if (v.n && v.p[v.n - 1] == '\r')
			v.n--;
		take_field(m, p, n, whole, v);
	}
	if (!m->callid.p || !m->cseq.p || !m->nvia)
		return -1;
	if (m->status) {
		const char *s = memchr(m->cseq.p, ' ', (size_t)m->cseq.n);
		m->method = s ? s[1] : 0;
	}
	return 0;
}

static void param(const struct str *h, const char *name, char *out, size_t cap)
{
	size_t n = strlen(name), k = 0;
	*out = 0;
	for (int i = 0; i + (int)n + 1 < h->n; i++) {
		if (strncasecmp(h->p + i, name, n) || h->p[i + (int)n] != '=')
			continue;
		if (i && h->p[i - 1] != ' ' && h->p[i - 1] != ',')
			continue;
		const char *p = h->p + i + n + 1, *end = h->p + h->n;
		char stop = ',';
		if (*p == '"')
			stop = '"', p++;
		while (p < end && *p != stop && k + 1 < cap)
			out[k++] = *p++;
		out[k] = 0;
		return;
	}
}

static const char SDP[] =
	"v=0\r\no=- 3896582211 3896582211 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 "
	"0\r\n"
	"m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
	"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

#endif
