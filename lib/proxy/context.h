/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the response context: context.c, context_target.c, context_best.c, context_build.c. */
#ifndef STW_PROXY_CONTEXT_H
#define STW_PROXY_CONTEXT_H

#include <strowger/proxy.h>

/** A final response stored in the context, or what the proxy made up for a branch (S408, S502,
 * S503). */
struct candidate {
	unsigned code;          /* 0: there is none */
	struct candidate *next; /* received later */
	bool has_retry_after;
	uint32_t retry_after_s;
	const struct stw_cause *cause; /* made up; NULL: received */
	struct stw_msg *msg;           /* received; NULL when it can never be sent on */
	struct stw_block *block;       /* holds `msg` */
};

/** An early dialog of a branch, RFC 6228. Kept only where a final response may have to wait. */
struct early {
	struct early *next;
	struct stw_str tag; /* of To */
};

enum branch_state { BRANCH_UNTRIED, BRANCH_PENDING, BRANCH_ENDED };

/** A member of the target set; a branch once it was started. */
struct branch {
	struct branch *next; /* untried: by group, then falling q; else: by index */
	struct stw_proxy_target target;
	enum branch_state state;
	unsigned index;
	unsigned group;   /* counts the calls that added targets */
	uint32_t breadth; /* its share of Max-Breadth while it is pending */
	bool chosen;      /* starts now; within context_start_targets() only */
	bool provisional; /* a 1xx was seen: CANCEL is possible, §9.1 */
	bool rang;        /* a 18x was seen */
	bool left;        /* nobody waits for its end any more, only a 2xx would still count */
	bool cancel_wanted, cancel_sent;
	bool timed_out;   /* no final response came in time */
	bool flow_failed; /* another flow of its instance may be tried, RFC 5626 §7 */
	struct stw_str cancel_lines;
	struct early *early; /* that have not ended */
	unsigned early_code; /* what has ended them */
	struct candidate received, own;
};

enum decision_kind { DECISION_NONE, DECISION_RELAY, DECISION_ANSWER, DECISION_ABANDON };

struct decision {
	enum decision_kind kind;
	const struct candidate *best;  /* RELAY */
	const struct stw_cause *cause; /* ANSWER */
};

enum entry_kind {
	ENTRY_START,
	ENTRY_TIMER_C,
	ENTRY_CANCEL,
	ENTRY_EVENT, /* relay the response that just came */
	ENTRY_EARLY, /* the early dialogs of a branch have ended, in the place of all else of it */
	ENTRY_NEXT,  /* all was tried: what now? Never beside FINAL */
	ENTRY_FINAL, /* what was decided */
	ENTRY_FINISHED,
};

struct entry {
	enum entry_kind kind;
	unsigned branch;
};

/* START, TIMER_C and CANCEL once for a branch; EVENT, its TIMER_C, NEXT or FINAL, FINISHED once. */
#define ENTRIES_FOR(targets) (3 * (targets) + 4)
#define ENTRIES_EMBEDDED     ENTRIES_FOR(2)
#define CONTEXT_BYTES_MAX    65536u
#define CONTEXT_BRANCHES_MAX 256u
#define LONG_TARGET_BYTES    2048u
#define EARLY_MAX            16u /* of a branch: their 199s are written in one go */

struct stw_response_context {
	const struct stw_proxy_options *options;
	const struct stw_msg *request;
	struct stw_arena arena;
	bool invite;
	uint32_t breadth_in, breadth_used;

	struct branch *untried;
	struct branch *started, **started_end;
	unsigned targets, groups, started_count, pending;
	unsigned left;                  /* of those that are pending */
	unsigned fresh, targets_before; /* branches and targets before it count no more */
	unsigned level_group, level_q;  /* what is being tried */

	bool asks;      /* before the best response goes, it is asked what else to try */
	bool asks_6xx;  /* … a 6xx, too */
	bool asked;     /* … and the answer is not there yet */
	bool closed;    /* no new branch ever */
	bool cancelled; /* by the caller */
	const struct stw_cause *refusal; /* goes up instead of the best response; NULL: none */
	bool decided, finished;
	bool preferences_known;
	struct stw_preferences *preferences; /* of the caller, for contacts of a 3xx; NULL: none */
	struct candidate *candidates, **candidates_end; /* first received first */
	struct candidate
		own; /* of the context itself: 440, or the end of a wait without a branch */

	struct decision decision;
	struct stw_str lines; /* with the decision */
	struct stw_block *lines_block, *merged_block;
	const struct stw_msg *response; /* of the decision */
	const struct stw_msg *event;    /* valid until the next input */

	struct entry *entries; /* actions not yet taken: [head, tail) */
	unsigned head, tail, capacity;
	struct entry embedded[ENTRIES_EMBEDDED];
};

/* ---- context.c ------------------------ */

void context_push(struct stw_response_context *context, enum entry_kind kind, unsigned branch);
/** Room for the actions of so many targets. @return 0, -ENOMEM */
int context_reserve(struct stw_response_context *context, unsigned targets);
/** Store what the proxy made up; nothing when the slot is taken. */
void candidate_own(struct stw_response_context *context, struct candidate *slot,
	const struct stw_cause *cause);

/* ---- context_target.c: the target set, §16.5 and §16.6 ------------------------ */

/** Put one target into the set with the group's number. @return 1; 0 a duplicate; -ENOBUFS; -ENOMEM
 */
int context_target_add(struct stw_response_context *context, const struct stw_proxy_target *target,
	unsigned group);
/** Start what may start now: the current q, the next one when nothing is pending, as breadth
 * allows. */
void context_start_targets(struct stw_response_context *context);

/** Branches that somebody waits for. */
static inline unsigned context_active(const struct stw_response_context *context)
{
	return context->pending - context->left;
}
/** Does what the branch said, or did not say, still count? */
static inline bool branch_counts(
	const struct stw_response_context *context, const struct branch *branch)
{
	return branch->index >= context->fresh;
}

/* ---- context_best.c: §16.7 steps 5 and 6 ------------------------ */

/** Lower is better; candidates of equal rank go by the order in which they came. */
unsigned candidate_rank(const struct candidate *candidate);
/** The candidates in the order in which they came; `at` starts at NULL. NULL at the end. */
const struct candidate *context_candidate_next(
	const struct stw_response_context *context, const struct candidate *at);
/** Could this one be sent on, or serve one that is, given what is stored already? */
bool context_worth_keeping(
	const struct stw_response_context *context, const struct candidate *candidate);
struct decision context_decide(const struct stw_response_context *context);

/* ---- context_build.c: §16.7 steps 4, 7 and 8 ------------------------ */

/** Fill response and lines of what was decided. */
void context_build(struct stw_response_context *context);
/**
 * Recurse on a 3xx: its contacts become targets. What is left of it is kept in `ret`.
 * @return 0; -ENOENT nothing is left of it; -ENOMEM
 */
int context_redirect(struct stw_response_context *context, const struct branch *branch,
	const struct stw_msg *response, struct candidate *ret);
/** A 416 to a URI that was sip: before us: add its sip: form. True when one was added. */
bool context_add_sip_form(struct stw_response_context *context, const struct branch *branch);

#endif
