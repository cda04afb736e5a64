/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * simulate: the whole system in one process and virtual time, from one seed. Several servers (the
 * real core, the real store on a real SQLite file) in a row, phones with their own transactions,
 * names, a network that loses, repeats, reorders, delays and parts, disks that are slow or refuse,
 * processes that crash and start again. What must hold whatever happens is looked at with each
 * message and at the end.
 */
#ifndef STW_SIMULATE_H
#define STW_SIMULATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** Text of a broken invariant. */
#define STW_SIMULATE_WRONG_MAX 500

struct stw_simulate_options {
	uint64_t seed;
	bool agents;        /* user agents of lib/ua that call each other, in place of servers and
			       phones */
	unsigned calls;     /* attempts of phones: calls, messages and other requests */
	const char *folder; /* for the stores; must exist. Not used with `agents` */
	FILE *ladder;       /* where the messages of `watch` are written; NULL: nowhere */
	const char *watch;  /* Call-ID; NULL or empty: the last messages before the fault */
	/** Makes the nth allocation from now on fail, 0: none; NULL: memory is always there. */
	void (*fail_allocation)(unsigned nth);
};

struct stw_simulate_result {
	char wrong[STW_SIMULATE_WRONG_MAX]; /* the first broken invariant; empty: none */
	char call_id[100];                  /* of the call it was seen in; may be empty */
	char weather[200];                  /* what this seed brings, in words */
	uint64_t trace;                     /* hash of all messages and their times */
	uint64_t messages, virtual_ms;
	uint64_t lost, crashes, answered, registrations;
};

/**
 * One run. The calling thread must be registered with stw_rcu_register_thread(). Not reentrant: it
 * makes its own file system the default of SQLite while it runs.
 * @return 0, also when an invariant is broken; -errno: it could not run
 */
int stw_simulate_run(const struct stw_simulate_options *options, struct stw_simulate_result *ret);

/** A folder for the stores, in memory when the system has such. @return 0, -errno */
int stw_simulate_folder_make(char *buffer, size_t size);
void stw_simulate_folder_remove(const char *folder);

/** Says what was broken, and plays the same seed again to write the ladder of the call. */
void stw_simulate_explain(const struct stw_simulate_options *options,
	const struct stw_simulate_result *result, FILE *out);

#endif
