/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The causes of all layers and of the server as one table, for `explain` and for the checks.
 */
#ifndef STW_SERVER_CAUSE_H
#define STW_SERVER_CAUSE_H

#include <strowger/message.h>

#define CAUSE(name, id, code, phrase, rfc, meaning, reason, remedy) STW_CAUSE_DECLARE(name);
#include "server/causes.def"
#undef CAUSE

/** All causes, in the order of the layers. */
const struct stw_cause *const *stw_cause_all(size_t *ret_count);
/** By id, NULL when there is none. */
const struct stw_cause *stw_cause_find(const char *id);
/** Which element sends a response code: "proxy"; "" when the code is not registered. */
const char *stw_status_sender(unsigned code);

#endif
