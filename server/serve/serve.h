/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * serve: the server as a process: sockets, store, administration, signals, and the loop that drives
 * the core.
 */
#ifndef STW_SERVE_H
#define STW_SERVE_H

#include <stdio.h>

#include "server/config/config.h"

struct stw_serve_options {
	const char *config_file; /* read at start and by a reload */
	bool config_optional;    /* the file may be missing at start: the defaults hold */
	const char *socket;      /* instead of admin.socket, or NULL */
	bool trial;              /* --try: no file, loopback, two users, a store that is removed */
	FILE *out, *err;         /* words for people */
};

/** Runs until it is stopped. @return exit status: 0 stopped in order, 1 it could not start or go on
 */
int stw_serve(const struct stw_serve_options *options);

#endif
