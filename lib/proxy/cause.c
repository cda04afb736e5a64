/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/proxy.h>

#define CAUSE STW_CAUSE_DEFINE
#include <strowger/causes/proxy.def>
#undef CAUSE
