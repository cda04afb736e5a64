/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STW_OVERLOAD_TEST_H
#define STW_OVERLOAD_TEST_H

#include <string.h>

#include "support.h"

#include <strowger/overload.h>

/** mono and wall, both `ms` after a start. */
static inline struct stw_now at_ms(uint64_t ms)
{
	return (struct stw_now){ 1000000 + ms, INT64_C(1282321615000) + (int64_t)ms };
}

static inline struct stw_via via_of(const char *params)
{
	static char text[4][300];
	static unsigned next;
	char *buffer = text[next++ % 4];
	struct stw_via via;

	snprintf(buffer, sizeof(text[0]), "SIP/2.0/UDP p1.example.net;branch=z9hG4bK1%s", params);
	assert_int_equal(stw_via_parse(stw_str_from(buffer), &via), 0);
	return via;
}

static inline struct stw_addr addr_of(const char *host)
{
	struct stw_addr addr;

	assert_int_equal(stw_addr_from_host(stw_str_from(host), 5060, &addr), 0);
	return addr;
}

#endif
