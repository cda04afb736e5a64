/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the core share: server/core.c and server/route. */
#ifndef STW_CORE_INTERNAL_H
#define STW_CORE_INTERNAL_H

#include "server/call/refresh.h"
#include "server/core.h"
#include "server/hook/cache.h"
#include "server/hook/hook.h"

/* Questions to web servers since the start. */
struct stw_hook_stats {
	uint64_t asked, cached, late, down, nonsense;
};

struct stw_core {
	struct stw_core_options options;
	struct stw_config *config; /* the snapshot in force */
	struct stw_stack *stack;
	struct stw_decisions *decisions;
	struct stw_nonces *nonces; /* options.nonces or own_nonces */
	struct stw_nonces *own_nonces;
	struct stw_busy *busy; /* options.busy or own_busy */
	struct stw_busy *own_busy;
	struct stw_calls *calls;
	struct stw_refreshes *refreshes;
	struct stw_now now;
	struct stw_now started;
	struct stw_feature_call *feature_calls; /* server/route/feature.c */
	struct stw_trunk_board *trunks;         /* options.trunks or own_trunks */
	struct stw_trunk_board *own_trunks;
	struct stw_queues *queues; /* options.queues or own_queues */
	struct stw_queues *own_queues;
	struct stw_registrations *registrations; /* of worker 0 only */
	bool registrations_set;                  /* … as the configuration has them */
	bool draining;
	uint64_t sweep_due_ms;
	struct stw_job sweep;
	uint64_t removed_users; /* stw_store_removed_users() when the batch began */
	bool sweeping;
	unsigned pending_jobs;
	int64_t date_s; /* the second whose Date is `date`; empty: none was written yet */
	char date[STW_DATE_BYTES];
	unsigned open_questions; /* to web servers */
	struct stw_hook_cache *answers;
	struct stw_hook_stats hook_stats;
};

/* Does anybody read what is known of calls? Only then are they followed. */
bool core_follows_calls(const struct stw_core *core);

/* question.c: the store has committed (or refused) what a question asked for */
void core_question_committed(struct stw_core *core, struct stw_job *job);

#define CAUSE(name, id, code, phrase, rfc, meaning, reason, remedy) STW_CAUSE_DECLARE(name);
#include "server/causes.def"
#undef CAUSE

#endif
