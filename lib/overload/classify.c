/* SPDX-License-Identifier: Apache-2.0 */
/* Which requests are refused first, and which never: RFC 7339 §5.10.1, RFC 5031, RFC 4412. */
#include <strowger/overload.h>

bool stw_overload_is_emergency(const struct stw_msg *request)
{
	return stw_uri_is_sos(&request->uri);
}

/* r-value = namespace "." r-priority; ETS and WPS: 0 is the highest. */
static bool resource_value_is_high(struct stw_str value)
{
	size_t dot = stw_str_find(value, '.', 0);
	struct stw_str space = stw_str_cut(value, 0, dot), level;

	level = stw_str_cut(value, dot + 1, value.len);
	if (stw_str_equal_nocase(space, STW_STR("esnet")))
		return level.len == 1 && level.ptr[0] >= '0' && level.ptr[0] <= '4';
	if (stw_str_equal_nocase(space, STW_STR("ets")) ||
		stw_str_equal_nocase(space, STW_STR("wps")))
		return level.len == 1 && level.ptr[0] >= '0' && level.ptr[0] <= '2';
	return false;
}

bool stw_overload_has_priority(const struct stw_msg *request)
{
	struct stw_values values = stw_msg_values(request, STW_HDR_RESOURCE_PRIORITY);
	struct stw_str value;

	while (stw_values_next(&values, &value)) {
		if (resource_value_is_high(stw_str_trim(value)))
			return true;
	}
	return false;
}

enum stw_overload_class stw_overload_classify(
	const struct stw_msg *request, bool in_dialog, bool trusted)
{
	switch (request->method) {
	case STW_METHOD_ACK:
	case STW_METHOD_BYE:
	case STW_METHOD_CANCEL:
	case STW_METHOD_PRACK:
		return STW_OVERLOAD_NEVER;
	default:
		break;
	}
	if (in_dialog || stw_overload_is_emergency(request) ||
		(trusted && stw_overload_has_priority(request)))
		return STW_OVERLOAD_NEVER;
	return request->method == STW_METHOD_REGISTER ? STW_OVERLOAD_REGISTER : STW_OVERLOAD_NEW;
}
