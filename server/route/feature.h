/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * feature: codes that users dial to change their own settings. The server is the callee: what was
 * dialled is in the store before the 200 leaves, and a second after the ACK it hangs up.
 */
#ifndef STW_FEATURE_H
#define STW_FEATURE_H

#include "server/route/route.h"

/** Before P7: a request in the dialog of such a call. */
enum stw_verdict stw_route_feature_dialog(struct stw_check *check);
/** P12: is a code called? */
enum stw_verdict stw_route_feature(struct stw_check *check);
/** The store has answered. */
void stw_route_feature_committed(struct stw_core *core, struct stw_job *job);
/** Calls that are left when the stack is gone. */
void stw_route_features_free(struct stw_core *core);

#endif
