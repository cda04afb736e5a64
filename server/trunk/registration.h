/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * registration: the server as a client of the registrars of its trunks (RFC 3261 §10.2, RFC 5626
 * §4.5). One worker does it; what has come of it is on a board that all workers read.
 */
#ifndef STW_TRUNK_REGISTRATION_H
#define STW_TRUNK_REGISTRATION_H

#include <jansson.h>

#include "server/config/config.h"

#include <strowger/uac.h>

/** Until when which trunk is registered. Shared by the workers, without a lock. */
struct stw_trunk_board;

/** @return 0, -ENOMEM */
int stw_trunk_board_new(struct stw_trunk_board **ret);
/** Is the trunk of this name registered now? */
bool stw_trunk_board_has(
	const struct stw_trunk_board *board, struct stw_str trunk, struct stw_now now);
/** Accepts NULL; returns NULL. */
struct stw_trunk_board *stw_trunk_board_free(struct stw_trunk_board *board);

#define STW_TRUNK_CONTACT_BYTES 18
/** The user part of our Contact at a trunk: nobody else can know it, and it is the same in all
 * workers. */
struct stw_str stw_trunk_contact(
	struct stw_hash_key key, struct stw_str trunk, char buffer[STW_TRUNK_CONTACT_BYTES]);

struct stw_registrations;

struct stw_registrations_options {
	struct stw_stack *stack;
	struct stw_trunk_board *board;
	struct stw_hash_key key;
	/** Something has come of a REGISTER. */
	void (*note)(void *user, const struct stw_note *note);
	void *user;
};

/** @return 0, -ENOMEM */
int stw_registrations_new(
	const struct stw_registrations_options *options, struct stw_registrations **ret);
/** These trunks from now on, within a batch: new ones are registered, those that are no more, or
 * have another login, are removed there, and what takes their place is registered behind that. */
void stw_registrations_set(struct stw_registrations *all, const struct stw_config *config);
/** The server ends: all are removed (Expires: 0), within a batch. */
void stw_registrations_leave(struct stw_registrations *all);
/** One object for each trunk that registers: name, registered, until_s, next_s, code, phrase,
 * cause.
 */
json_t *stw_registrations_report(const struct stw_registrations *all, struct stw_now now);
/** Before its stack. Sends nothing. Accepts NULL; returns NULL. */
struct stw_registrations *stw_registrations_free(struct stw_registrations *all);

#endif
