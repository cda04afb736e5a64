/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>

/* generic-param = token [ EQUAL gen-value ], and uri-parameter, whose names may hold more (§25.1).
 */
int stw_param_next(struct stw_str params, size_t *at, struct stw_param *ret)
{
	size_t pos = lws_skip(params, *at), name, value, len;

	if (pos == params.len)
		return 0;
	if (params.ptr[pos] != ';')
		return -EBADMSG;
	name = lws_skip(params, pos + 1);
	len = char_run(params, name, CHAR_TOKEN | CHAR_PARAM);
	if (!len)
		return -EBADMSG;

	*ret = (struct stw_param){ str_part(params, name, name + len), str_none() };
	pos = lws_skip(params, name + len);
	if (char_at(params, pos, '=')) {
		value = lws_skip(params, pos + 1);
		len = quoted_length(params, value);
		if (!len)
			len = char_run(params, value, CHAR_VALUE);
		if (!len)
			return -EBADMSG;
		ret->value = str_part(params, value, value + len);
		pos = lws_skip(params, value + len);
	}
	if (pos < params.len && params.ptr[pos] != ';')
		return -EBADMSG;
	*at = pos;
	return 1;
}

bool stw_param_find(struct stw_str params, struct stw_str name, struct stw_str *ret_value)
{
	struct stw_param param;
	size_t at = 0;

	while (at < params.len && stw_param_next(params, &at, &param) > 0) {
		if (!stw_str_equal_nocase(param.name, name))
			continue;
		*ret_value = param.value;
		return true;
	}
	return false;
}

struct stw_str stw_unquote(struct stw_str value, char *buffer)
{
	size_t at, len = 0;

	if (value.len < 2 || value.ptr[0] != '"' || value.ptr[value.len - 1] != '"')
		return value;
	value = str_part(value, 1, value.len - 1);
	if (stw_str_find(value, '\\', 0) == value.len)
		return value;
	for (at = 0; at < value.len; at++) {
		if (value.ptr[at] == '\\' && at + 1 < value.len)
			at++;
		buffer[len++] = value.ptr[at];
	}
	return (struct stw_str){ buffer, len };
}

/* qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ) */
int stw_qvalue_parse(struct stw_str value, unsigned *ret)
{
	static const unsigned weight[] = { 100, 10, 1 };
	unsigned q;
	size_t at;

	if (value.len < 1 || value.len > 5 || (value.ptr[0] != '0' && value.ptr[0] != '1') ||
		(value.len > 1 && value.ptr[1] != '.'))
		return -EBADMSG;
	q = value.ptr[0] == '1' ? 1000 : 0;
	for (at = 2; at < value.len; at++) {
		if (!char_is(value.ptr[at], CHAR_DIGIT))
			return -EBADMSG;
		q += (unsigned)(value.ptr[at] - '0') * weight[at - 2];
	}
	if (q > 1000)
		return -EBADMSG;
	*ret = q;
	return 0;
}

int stw_delta_seconds_parse(struct stw_str value, uint32_t *ret)
{
	uint64_t number = 0;
	int err = stw_str_to_uint(value, UINT32_MAX, &number);

	if (err < 0 && err != -ERANGE)
		return -EBADMSG;
	*ret = err == -ERANGE ? UINT32_MAX : (uint32_t)number;
	return 0;
}
