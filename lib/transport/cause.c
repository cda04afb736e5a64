/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/transport.h>

#define CAUSE STW_CAUSE_DEFINE
#include <strowger/causes/transport.def>
#undef CAUSE
