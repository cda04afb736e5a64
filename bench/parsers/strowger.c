/* SPDX-License-Identifier: Apache-2.0 */
/* Our own layers. default: the index of header fields (stw_msg_parse). full: all that a proxy
 * needs: the checks of §8.1.1 (Request-URI, top Via, From, To, Call-ID, CSeq, Max-Forwards), and
 * each further Via, Route, Record-Route and Contact value decoded. */
#include <strowger/message.h>

#include "corpus.h"

static struct stw_field fields[STW_MSG_FIELDS_MAX];
static struct stw_msg msg = { .fields = fields, .field_capacity = STW_MSG_FIELDS_MAX };

static void setup(void)
{
}

static int addresses(enum stw_header header)
{
	struct stw_values values = stw_msg_values(&msg, header);
	struct stw_address address;
	struct stw_str value;
	int r = 0;

	while (stw_values_next(&values, &value)) {
		if (stw_address_parse(value, &address) < 0)
			return -1000000;
		r += address.wildcard || address.uri.host.ptr;
	}
	return r;
}

static int vias(void)
{
	struct stw_values values = stw_msg_vias_below(&msg); /* the topmost is decoded */
	struct stw_str value;
	struct stw_via via;
	int r = 1;

	while (stw_values_next(&values, &value)) {
		if (stw_via_parse(value, &via) < 0)
			return -1000000;
		r += via.branch.ptr != NULL;
	}
	return r;
}

static int parse(const char *m, size_t n, int full)
{
	struct stw_fault fault;
	int r;

	if (stw_msg_parse(&msg, m, n, NULL, &fault) < 0)
		return -1;
	if (!full)
		return msg.field_count + (int)msg.body_len;
	if (stw_msg_check(&msg, &fault) < 0)
		return -1;
	r = (int)(msg.cseq.number & 0xffff) + (int)msg.body_len;
	if (msg.is_request)
		r += msg.max_forwards;
	r += vias() + addresses(STW_HDR_ROUTE) + addresses(STW_HDR_RECORD_ROUTE) +
	     addresses(STW_HDR_CONTACT);
	return r < 0 ? -1 : r;
}
