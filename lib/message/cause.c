/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/message.h>

#define CAUSE STW_CAUSE_DEFINE
#include <strowger/causes/message.def>
#undef CAUSE
