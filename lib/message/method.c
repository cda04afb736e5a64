/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <string.h>

static const struct stw_str method_names[STW_METHODS] = {
#define X(name, rfc) [STW_METHOD_##name] = { #name, sizeof(#name) - 1 },
	STW_METHOD_LIST(X)
#undef X
};

enum stw_method stw_method_from(struct stw_str token)
{
	return method_from(token);
}

struct stw_str stw_method_name(enum stw_method method)
{
	return (unsigned)method < STW_METHODS ? method_names[method] : str_none();
}
