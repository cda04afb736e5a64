/* SPDX-License-Identifier: Apache-2.0 */
/* A request and its answer to a challenge, for the tests of auth. */
#ifndef STW_TESTS_AUTH_FIXTURE_H
#define STW_TESTS_AUTH_FIXTURE_H

#include <strowger/auth.h>

#include "support.h"

#include <stdio.h>
#include <string.h>

#define REALM    STW_STR("example.com")
#define USER     STW_STR("alice")
#define PASSWORD STW_STR("wonderland, \"or\" not")
#define URI      "sip:bob@example.com"
#define LIFETIME 300
#define PEER     UINT64_C(0xcb007107)
#define SCOPE    ((struct stw_nonce_scope){ REALM, PEER })
#define ALL      ((1u << STW_DIGEST_ALGORITHMS) - 1)

static const uint8_t secret[32] = "a secret of just thirty-two byte";
static const struct stw_now start = { 1000, 1700000000000 };

/* A parsed request in its own buffer. */
struct request {
	char text[4096];
	struct stw_field fields[32];
	struct stw_msg msg;
};

static inline struct stw_now later(int64_t ms)
{
	return (struct stw_now){ start.mono_ms + (uint64_t)ms, start.wall_ms + ms };
}

/* INVITE to `uri` with `lines` (each with CRLF) and `body`. */
static inline void request_make(
	struct request *request, const char *uri, struct stw_str lines, const char *body)
{
	struct stw_fault fault;
	int len = snprintf(request->text, sizeof(request->text),
		"INVITE %s SIP/2.0\r\n"
		"Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1\r\n"
		"From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\n"
		"Call-ID: c@a.example.com\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
		"%.*sContent-Length: %zu\r\n\r\n%s",
		uri, STW_STR_ARG(lines), strlen(body), body);

	assert_in_range(len, 1, sizeof(request->text) - 1);
	request->msg = (struct stw_msg){ .fields = request->fields, .field_capacity = 32 };
	assert_int_equal(stw_msg_parse(&request->msg, request->text, (size_t)len, NULL, &fault), 0);
	assert_int_equal(stw_msg_check(&request->msg, &fault), 0);
}

#endif
