/* SPDX-License-Identifier: Apache-2.0 */
/* A REGISTER from a few lines, parsed by the real parser. */
#ifndef STW_TESTS_REGISTRAR_REQUEST_H
#define STW_TESTS_REGISTRAR_REQUEST_H

#include <strowger/registrar.h>

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WATSON "sip:watson@example.com"

struct request {
	struct stw_msg msg;
	struct stw_field fields[64];
	char text[8192];
};

static const struct stw_registrar_options options = {
	.min_expires_s = 60, .max_expires_s = 7200, .default_expires_s = 3600, .max_bindings = 10
};

static const struct stw_hop source = {
	.transport = STW_TRANSPORT_UDP,
	.remote = { .family = 4, .ip = { 192, 0, 2, 7 }, .port = 5060 },
	.listener = 1,
};

/* `lines`: each with its CRLF */
static inline void request_read(
	struct request *request, const char *call_id, unsigned cseq, const char *lines)
{
	struct stw_fault fault;
	int len = snprintf(request->text, sizeof(request->text),
		"REGISTER sip:example.com SIP/2.0\r\n"
		"Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw\r\n"
		"From: <" WATSON ">;tag=DkfVg\r\nTo: <" WATSON ">\r\n"
		"Max-Forwards: 70\r\nCall-ID: %s\r\nCSeq: %u REGISTER\r\n%sContent-Length: "
		"0\r\n\r\n",
		call_id, cseq, lines);

	assert_true(len > 0 && (size_t)len < sizeof(request->text));
	request->msg = (struct stw_msg){ .fields = request->fields, .field_capacity = 64 };
	assert_int_equal(stw_msg_parse(&request->msg, request->text, (size_t)len, NULL, &fault), 0);
	assert_int_equal(stw_msg_check(&request->msg, &fault), 0);
}

/* With its own options; the result needs stw_register_done(). */
static inline const struct stw_cause *request_parse(const struct stw_registrar_options *with,
	const char *call_id, unsigned cseq, const char *lines, struct stw_register *ret)
{
	struct stw_str headers = STW_STR_NONE;
	static struct request request;

	request_read(&request, call_id, cseq, lines);
	return stw_register_parse(&request.msg, STW_STR(WATSON), &source, with, ret, &headers);
}

#endif
