/* SPDX-License-Identifier: Apache-2.0 */
/* Private to server location: locate.c, locate_order.c. */
#ifndef STW_TRANSPORT_LOCATE_H
#define STW_TRANSPORT_LOCATE_H

#include <strowger/locate.h>

#define LOCATE_SERVICES_MAX   4
#define LOCATE_HOST_ADDRS_MAX 16

/** One SRV record that will be followed. */
struct locate_srv {
	struct stw_str target;
	uint16_t priority, weight, port;
};

/** Put the records into the order of RFC 2782: by priority, then by chance as their weights say.
 * Records without a target are left out. @return how many of at most `max` are in `ret` */
unsigned locate_order_srv(const struct stw_dns_record *records, unsigned n,
	struct stw_random *random, struct locate_srv *ret, unsigned max);

/** Destination address selection (RFC 6724 §6) with our addresses as sources, then the families by
 * turns (RFC 8305 §4). */
void locate_order_addrs(
	struct stw_addr *addrs, unsigned n, const struct stw_addr *sources, unsigned source_count);

#endif
