/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/registrar.h>

#define CAUSE STW_CAUSE_DEFINE
#include <strowger/causes/registrar.def>
#undef CAUSE
