/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <string.h>

static const struct stw_str method_names[STW_METHODS] = {
#define X(name, rfc) [STW_METHOD_##name] = { #name, sizeof(#name) - 1 },
	STW_METHOD_LIST(X)
#undef X
};

static enum stw_method method_if(struct stw_str token, enum stw_method method)
{
	struct stw_str name = method_names[method];

	return memcmp(token.ptr, name.ptr, name.len) ? STW_METHOD_UNKNOWN : method;
}

/* Length and first letter leave one candidate. Methods are case-sensitive (RFC 3261 §7.1). */
enum stw_method stw_method_from(struct stw_str token)
{
#define KEY(len, letter) ((len) << 8 | (letter))
	if (token.len < 3 || token.len > 9)
		return STW_METHOD_UNKNOWN;
	/* clang-format off */
	switch (KEY(token.len, (size_t)(uint8_t)token.ptr[0])) {
	case KEY(3, 'A'): return method_if(token, STW_METHOD_ACK);
	case KEY(3, 'B'): return method_if(token, STW_METHOD_BYE);
	case KEY(4, 'I'): return method_if(token, STW_METHOD_INFO);
	case KEY(5, 'P'): return method_if(token, STW_METHOD_PRACK);
	case KEY(5, 'R'): return method_if(token, STW_METHOD_REFER);
	case KEY(6, 'I'): return method_if(token, STW_METHOD_INVITE);
	case KEY(6, 'C'): return method_if(token, STW_METHOD_CANCEL);
	case KEY(6, 'N'): return method_if(token, STW_METHOD_NOTIFY);
	case KEY(6, 'U'): return method_if(token, STW_METHOD_UPDATE);
	case KEY(7, 'O'): return method_if(token, STW_METHOD_OPTIONS);
	case KEY(7, 'P'): return method_if(token, STW_METHOD_PUBLISH);
	case KEY(7, 'M'): return method_if(token, STW_METHOD_MESSAGE);
	case KEY(8, 'R'): return method_if(token, STW_METHOD_REGISTER);
	case KEY(9, 'S'): return method_if(token, STW_METHOD_SUBSCRIBE);
	default: return STW_METHOD_UNKNOWN;
	}
	/* clang-format on */
#undef KEY
}

struct stw_str stw_method_name(enum stw_method method)
{
	return (unsigned)method < STW_METHODS ? method_names[method] : str_none();
}
