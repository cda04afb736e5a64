/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>

/* CSeq = 1*DIGIT LWS Method, RFC 3261 §20.16. The number is below 2^31 (§8.1.1.5). */
int stw_cseq_parse(struct stw_str value, struct stw_cseq *ret)
{
	size_t digits = char_run(value, 0, CHAR_DIGIT), name = lws_skip(value, digits);
	uint64_t number = 0;
	int err;

	if (name == digits || !stw_is_token(str_part(value, name, value.len)))
		return -EBADMSG;
	err = stw_str_to_uint(str_part(value, 0, digits), INT32_MAX, &number);
	if (err < 0)
		return err;

	ret->number = (uint32_t)number;
	ret->name = str_part(value, name, value.len);
	ret->method = stw_method_from(ret->name);
	return 0;
}
