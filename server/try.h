/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * try: what would become of a request, for `strowger try`. A core of its own with the users,
 * bindings and configuration in force decides; nothing is sent, stored or remembered.
 */
#ifndef STW_TRY_H
#define STW_TRY_H

#include "server/core.h"

/** Rows of the lists of checks as they are passed, and whom the caller is taken for. */
struct stw_trial {
	struct stw_str as; /* this user has proven who he is; empty: nobody */
	int64_t at_ms;     /* the hours of groups and queues are judged by it; 0: by the clock */
	/** One row has been run. */
	void (*row)(struct stw_trial *trial, const char *name, bool refused);
};

/**
 * @param ask  {"method", "uri", "from", "source", "as", "at_ms", "headers": [lines]}; all but the
 *             first two may be left out
 * @param ret  new reference: {"request", "checks": [{"name", "about", "verdict"}], "passes",
 *             "code", "cause" …, "targets": [{"uri", "transport", "address"}], "names": [text]}
 * @return 0; -EINVAL with a sentence in `error`; -ENOMEM
 */
int stw_try(struct stw_core *core, const json_t *ask, json_t **ret, char error[200]);

/** "192.0.2.1", "192.0.2.1:5060", "[2001:db8::1]:5060". @return 0; -EINVAL, -EBADMSG */
int stw_try_source(const char *text, struct stw_addr *ret);

#endif
