/* SPDX-License-Identifier: Apache-2.0 */
/** @file The address of this machine that the system would send from. */
#ifndef STW_LOCAL_ADDR_H
#define STW_LOCAL_ADDR_H

#include <strowger/transport.h>

/** Port 0 in `ret`. Sends nothing. @return 0, -errno */
int stw_local_addr(const struct stw_addr *remote, struct stw_addr *ret);

#endif
