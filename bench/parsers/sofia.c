/* SPDX-License-Identifier: Apache-2.0 */
/* sofia-sip: msg_make decodes every known header to a structure (default and
 * full are the same work; full only reads the results). */
#include <sofia-sip/msg_addr.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_parser.h>
#include "corpus.h"

static const msg_mclass_t *mc;
static void setup(void)
{
	mc = sip_default_mclass();
}

static int parse(const char *m, size_t n, int full)
{
	msg_t *msg = msg_make(mc, 0, m, (ssize_t)n);
	sip_t *s = msg ? sip_object(msg) : NULL;
	int r = -1;
	if (s && !s->sip_error && s->sip_via && s->sip_from && s->sip_to && s->sip_call_id &&
		s->sip_cseq && s->sip_content_length) {
		r = (int)(s->sip_cseq->cs_seq & 0xffff);
		if (full) {
			for (sip_via_t *v = s->sip_via; v; v = v->v_next)
				r += v->v_branch != NULL;
			for (sip_record_route_t *v = s->sip_record_route; v; v = v->r_next)
				r += v->r_url->url_host != NULL;
			for (sip_route_t *v = s->sip_route; v; v = v->r_next)
				r += v->r_url->url_host != NULL;
			for (sip_contact_t *c = s->sip_contact; c; c = c->m_next)
				r += c->m_url->url_host != NULL;
			if (s->sip_max_forwards)
				r += (int)s->sip_max_forwards->mf_count;
		}
	}
	msg_destroy(msg);
	return r;
}
