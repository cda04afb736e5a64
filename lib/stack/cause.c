/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/stack.h>

#define CAUSE(name, id, code, phrase, rfc, meaning, reason, remedy)                                \
	STW_CAUSE_DEFINE(name, id, code, phrase, rfc, meaning, reason, remedy)
#include <strowger/causes/stack.def>
#undef CAUSE
