/* SPDX-License-Identifier: Apache-2.0 */
/* libre (Debian's 1.1.0). default: sip_msg_decode (start line, top Via, From,
 * To, Call-ID, CSeq, Max-Forwards, Expires, Content-*; a list of all headers).
 * full: and the other Via, Contact, Route, Record-Route, and the URIs. */
#include <re.h>
#include "corpus.h"

static void setup(void)
{
	libre_init();
}

static bool addr(const struct sip_hdr *h, const struct sip_msg *m, void *arg)
{
	struct sip_addr a;
	(void)m;
	*(int *)arg += sip_addr_decode(&a, &h->val) == 0;
	return false;
}

static bool via(const struct sip_hdr *h, const struct sip_msg *m, void *arg)
{
	struct sip_via v;
	if (h->val.p != m->via.val.p)
		*(int *)arg += sip_via_decode(&v, &h->val) == 0;
	return false;
}

static int parse(const char *m, size_t n, int full)
{
	struct mbuf *mb = mbuf_alloc(n);
	struct sip_msg *s = NULL;
	int r = 0;
	mbuf_write_mem(mb, (const uint8_t *)m, n);
	mb->pos = 0;
	if (sip_msg_decode(&s, mb)) {
		mem_deref(mb);
		return -1;
	}
	r = (int)(s->cseq.num & 0xffff);
	if (full) {
		struct uri u;
		if (s->req)
			r += uri_decode(&u, &s->ruri) == 0;
		sip_msg_hdr_apply(s, true, SIP_HDR_VIA, via, &r);
		sip_msg_hdr_apply(s, true, SIP_HDR_CONTACT, addr, &r);
		sip_msg_hdr_apply(s, true, SIP_HDR_ROUTE, addr, &r);
		sip_msg_hdr_apply(s, true, SIP_HDR_RECORD_ROUTE, addr, &r);
		if (s->maxfwd.p)
			r += (int)pl_u32(&s->maxfwd);
	}
	mem_deref(s);
	mem_deref(mb);
	return r;
}
