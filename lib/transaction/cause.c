/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/transaction.h>

#define CAUSE STW_CAUSE_DEFINE
#include <strowger/causes/transaction.def>
#undef CAUSE
