/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/ua.h>

#define CAUSE STW_CAUSE_DEFINE
#include <strowger/causes/ua.def>
#undef CAUSE
