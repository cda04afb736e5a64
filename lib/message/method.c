/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <string.h>

static const struct stw_str method_names[STW_METHODS] = {
#define X(name, rfc) [STW_METHOD_##name] = { #name, sizeof(#name) - 1 },
	STW_METHOD_LIST(X)
#undef X
};

/* Length and first letter leave one candidate. Methods are case-sensitive (RFC 3261 §7.1). */
enum stw_method stw_method_from(struct stw_str token)
{
#define KEY(len, letter) ((len) << 8 | (letter))
#define IF(name)                                                                                   \
	return memcmp(token.ptr, #name, sizeof(#name) - 1) ? STW_METHOD_UNKNOWN : STW_METHOD_##name
	if (token.len < 3 || token.len > 9)
		return STW_METHOD_UNKNOWN;
	/* clang-format off */
	switch (KEY(token.len, (size_t)(uint8_t)token.ptr[0])) {
	case KEY(3, 'A'): IF(ACK);
	case KEY(3, 'B'): IF(BYE);
	case KEY(4, 'I'): IF(INFO);
	case KEY(5, 'P'): IF(PRACK);
	case KEY(5, 'R'): IF(REFER);
	case KEY(6, 'I'): IF(INVITE);
	case KEY(6, 'C'): IF(CANCEL);
	case KEY(6, 'N'): IF(NOTIFY);
	case KEY(6, 'U'): IF(UPDATE);
	case KEY(7, 'O'): IF(OPTIONS);
	case KEY(7, 'P'): IF(PUBLISH);
	case KEY(7, 'M'): IF(MESSAGE);
	case KEY(8, 'R'): IF(REGISTER);
	case KEY(9, 'S'): IF(SUBSCRIBE);
	default: return STW_METHOD_UNKNOWN;
	}
	/* clang-format on */
#undef IF
#undef KEY
}

struct stw_str stw_method_name(enum stw_method method)
{
	return (unsigned)method < STW_METHODS ? method_names[method] : str_none();
}
