/* SPDX-License-Identifier: Apache-2.0 */
/* Two parties with their abilities, and descriptions to give them. */
#ifndef SESSION_TEST_H
#define SESSION_TEST_H

#include <errno.h>
#include <stdio.h>

#include <strowger/sdp.h>

#include "support.h"

#define HEAD "v=0\r\no=- 5 5 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"

static const struct stw_sdp_abilities alice_can = {
	.address = { "192.0.2.1", 9 },
	.rtp_port = 4000,
};
static const struct stw_sdp_abilities bob_can = {
	.address = { "192.0.2.2", 9 },
	.rtp_port = 5000,
};

/* What follows the c= and t= of a description, in a buffer of its own. */
static inline const char *media_of(struct stw_str text)
{
	static char buffer[STW_SDP_WRITTEN_MAX + 1];
	size_t at = 0;

	snprintf(buffer, sizeof(buffer), "%.*s", STW_STR_ARG(text));
	while (buffer[at] && strncmp(buffer + at, "m=", 2) != 0)
		at++;
	return buffer + at;
}

/* One offers, the other answers. */
static inline void exchange(struct stw_sdp_session *from, struct stw_sdp_session *to)
{
	struct stw_sdp_refusal refusal;
	struct stw_sdp_fault fault;
	struct stw_str text;

	assert_int_equal(stw_sdp_offer(from, &text), 0);
	if (stw_sdp_receive_offer(to, text, &refusal) < 0)
		fail_msg("%u %s\n%.*s", refusal.code, refusal.why, STW_STR_ARG(text));
	assert_int_equal(stw_sdp_answer(to, &text), 0);
	if (stw_sdp_receive_answer(from, text, &fault) < 0)
		fail_msg("line %u: %s\n%.*s", fault.line, fault.why, STW_STR_ARG(text));
}

#endif
