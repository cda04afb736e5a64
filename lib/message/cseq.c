/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>

/* CSeq = 1*DIGIT LWS Method, RFC 3261 §20.16. The number is below 2^31 (§8.1.1.5). */
static __attribute__((noinline)) int cseq_parse(struct stw_str value, struct stw_cseq *ret)
{
	size_t at, name;
	uint64_t number = 0;
	enum stw_method method;
	unsigned digit;

	for (at = 0; at < value.len && (digit = (unsigned)(value.ptr[at] - '0')) <= 9; at++)
		if (number <= INT32_MAX)
			number = number * 10 + digit;
	name = lws_skip(value, at);
	if (!at || name == at || name == value.len)
		return -EBADMSG;
	method = method_from(str_part(value, name, value.len));
	if (method == STW_METHOD_UNKNOWN && !stw_is_token(str_part(value, name, value.len)))
		return -EBADMSG;
	if (number > INT32_MAX)
		return -ERANGE;

	ret->number = (uint32_t)number;
	ret->name = str_part(value, name, value.len);
	ret->method = method;
	return 0;
}

/* Nearly all are of up to nine digits, one blank and a known method. */
int stw_cseq_parse(struct stw_str value, struct stw_cseq *ret)
{
	const char *at = value.ptr, *end = value.ptr + value.len;
	enum stw_method method;
	uint32_t number = 0;
	unsigned digit;
	struct stw_str name;

	for (; at < end && (digit = (unsigned)(*at - '0')) <= 9; at++)
		number = number * 10 + digit;
	if ((size_t)(at - value.ptr) - 1 >= 9 || at == end || *at != ' ')
		return cseq_parse(value, ret);
	name = (struct stw_str){ at + 1, (size_t)(end - at) - 1 };
	method = method_from(name);
	if (method == STW_METHOD_UNKNOWN)
		return cseq_parse(value, ret);
	ret->number = number;
	ret->name = name;
	ret->method = method;
	return 0;
}
