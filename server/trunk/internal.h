/* SPDX-License-Identifier: Apache-2.0 */
/* Private to server/trunk. */
#ifndef STW_TRUNK_INTERNAL_H
#define STW_TRUNK_INTERNAL_H

#include "server/trunk/registration.h"

void board_set(struct stw_trunk_board *board, struct stw_str trunk, uint64_t until_ms);

#endif
