/* SPDX-License-Identifier: Apache-2.0 */
/* libosip2. default: osip_message_parse, which decodes the start line, all Via,
 * From, To, Call-ID, CSeq, Contact, Route, Record-Route, Content-*, credentials.
 * full: and Max-Forwards and Expires, which it keeps as text. */
#include <osipparser2/osip_parser.h>
#include "corpus.h"

static void setup(void)
{
	parser_init();
}

static int parse(const char *m, size_t n, int full)
{
	osip_message_t *s;
	osip_header_t *h;
	int r = 0;
	osip_message_init(&s);
	if (osip_message_parse(s, m, n)) {
		osip_message_free(s);
		return -1;
	}
	if (!s->from || !s->to || !s->call_id || !s->cseq || !s->content_length)
		r = -1;
	else
		r = atoi(s->cseq->number) + osip_list_size(&s->vias);
	if (full) {
		if (osip_message_header_get_byname(s, "max-forwards", 0, &h) >= 0)
			r += atoi(h->hvalue);
		if (osip_message_header_get_byname(s, "expires", 0, &h) >= 0)
			r += atoi(h->hvalue);
	}
	osip_message_free(s);
	return r;
}
