/* SPDX-License-Identifier: Apache-2.0 */
/* The best response, RFC 3261 §16.7 step 6: when every branch has ended and nothing is left to try.
 */
#include "context.h"

/*
 * Lower is better. 6xx before all, then 3xx, 4xx, 5xx: §16.7 step 6. Within 4xx it asks for those
 * that help the client to send again; equal numbers go by the order of arrival.
 */
#define RANK_GLOBAL    0u /* 6xx */
#define RANK_3XX_OTHER 15u
#define RANK_4XX(row)  (100u + 10u * (row))
#define RANK_4XX_OTHER RANK_4XX(10)
#define RANK_500       302u
#define RANK_500_LATER 303u /* without Retry-After */

static const struct rank {
	unsigned code, rank;
} ranks[] = {
	{ 302, 10 },
	{ 300, 11 },
	{ 301, 12 },
	{ 380, 13 },
	{ 305, 14 },

	/* challenges: all of them are merged, RFC 8760 §2.5 */
	{ 401, RANK_4XX(1) },
	{ 407, RANK_4XX(1) },
	/* name what to leave out, what to send, ask for more digits */
	{ 420, RANK_4XX(2) },
	{ 415, RANK_4XX(3) },
	{ 484, RANK_4XX(4) },
	/* repairable by the client */
	{ 494, RANK_4XX(5) },
	{ 421, RANK_4XX(5) },
	{ 417, RANK_4XX(5) },
	{ 422, RANK_4XX(5) },
	{ 423, RANK_4XX(5) },
	{ 424, RANK_4XX(5) },
	{ 425, RANK_4XX(5) },
	{ 428, RANK_4XX(5) },
	{ 429, RANK_4XX(5) },
	{ 433, RANK_4XX(5) },
	{ 436, RANK_4XX(5) },
	{ 437, RANK_4XX(5) },
	{ 438, RANK_4XX(5) },
	{ 440, RANK_4XX(5) },
	{ 469, RANK_4XX(5) },
	{ 470, RANK_4XX(5) },
	{ 413, RANK_4XX(5) },
	{ 414, RANK_4XX(5) },
	{ 416, RANK_4XX(5) },
	{ 406, RANK_4XX(5) },
	{ 412, RANK_4XX(5) },
	{ 485, RANK_4XX(5) },
	{ 488, RANK_4XX(5) },
	{ 489, RANK_4XX(5) },
	{ 493, RANK_4XX(5) },
	/* state of the user */
	{ 486, RANK_4XX(6) },
	{ 480, RANK_4XX(7) },
	/* a decision */
	{ 403, RANK_4XX(8) },
	{ 402, RANK_4XX(8) },
	/* definite, but another branch knew the user */
	{ 410, RANK_4XX(9) },
	{ 404, RANK_4XX(9) },
	{ 405, RANK_4XX(9) },
	/* fault of one path: all other 4xx, RANK_4XX_OTHER */
	/* no information */
	{ 408, RANK_4XX(11) },
	{ 487, RANK_4XX(11) + 1 },
	/* another copy was served (RFC 5057 note 9); only for proxies (RFC 5626 §11.5) */
	{ 482, RANK_4XX(12) },
	{ 430, RANK_4XX(12) + 1 },

	{ 580, 300 },
	{ 513, 301 },
	{ 505, 301 },
	{ 501, 301 },
	{ 555, 301 },
	/* 500 and other 5xx: RANK_500 */
	{ 504, 304 },
	{ 502, 305 },
	{ 503, 306 },
};

unsigned candidate_rank(const struct candidate *candidate)
{
	size_t i;

	if (candidate->code >= 600)
		return RANK_GLOBAL;
	for (i = 0; i < STW_ARRAY_SIZE(ranks); i++)
		if (ranks[i].code == candidate->code)
			return ranks[i].rank;
	if (candidate->code >= 500)
		return candidate->has_retry_after ? RANK_500 : RANK_500_LATER;
	return candidate->code >= 400 ? RANK_4XX_OTHER : RANK_3XX_OTHER;
}

const struct candidate *context_candidate_next(
	const struct stw_response_context *context, const struct candidate *at)
{
	at = at ? at->next : context->candidates;
	while (at && !at->code)
		at = at->next;
	return at;
}

static const struct candidate *candidate_find(
	const struct stw_response_context *context, unsigned code)
{
	const struct candidate *at = NULL;

	while ((at = context_candidate_next(context, at)) && at->code != code)
		;
	return at;
}

/* Of all but those with the code `except`; 0: of all. */
static const struct candidate *candidate_best(
	const struct stw_response_context *context, unsigned except)
{
	const struct candidate *at = NULL, *best = NULL;

	while ((at = context_candidate_next(context, at)))
		if (at->code != except && (!best || candidate_rank(at) < candidate_rank(best)))
			best = at;
	return best;
}

/* 503 and 430 are never sent on; what is not better than what is there only if others need it. A
 * 430 may be replaced by another flow of the phone (RFC 5626 §11.5), and pushes nothing out. */
bool context_worth_keeping(
	const struct stw_response_context *context, const struct candidate *candidate)
{
	const struct candidate *best = candidate_best(context, 430);
	unsigned code = candidate->code;

	if (code == 503 || code == 430)
		return false;
	if (code < 400 || code == 401 || code == 407)
		return true; /* contacts and challenges are gathered */
	if (code == 487)
		return !candidate_find(context, 487); /* a cancelled call ends with it */
	return !best || candidate_rank(candidate) < candidate_rank(best);
}

/* RFC 4412 §4.6.6: every branch was busy. */
static bool all_busy(const struct stw_response_context *context)
{
	const struct branch *branch;

	bool any = false;

	if (!context->options->all_busy_600)
		return false;
	for (branch = context->started; branch; branch = branch->next) {
		if (!branch_counts(context, branch))
			continue;
		if (branch->received.code != 486 || branch->own.code)
			return false;
		any = true;
	}
	return any;
}

static bool any_timed_out(const struct stw_response_context *context)
{
	const struct branch *branch = context->started;

	while (branch && !(branch->timed_out && branch_counts(context, branch)))
		branch = branch->next;
	return branch != NULL;
}

static struct decision answer(const struct stw_cause *cause)
{
	return (struct decision){ .kind = DECISION_ANSWER, .cause = cause };
}

/* 408 never goes to a non-INVITE, RFC 4320 §4.2. */
static struct decision decide_nothing(const struct stw_response_context *context)
{
	if (context->invite)
		return answer(&stw_cause_branch_timeout);
	if (any_timed_out(context))
		return (struct decision){ .kind = DECISION_ABANDON };
	return answer(&stw_cause_no_target);
}

struct decision context_decide(const struct stw_response_context *context)
{
	const struct candidate *best = candidate_best(context, 0), *terminated;

	if (!best)
		return decide_nothing(context);
	terminated = candidate_find(context, 487);
	if (context->cancelled && terminated && candidate_rank(best) != RANK_GLOBAL)
		best = terminated;
	if (all_busy(context))
		return answer(&stw_cause_all_busy);
	/* RFC 7339 §5.10: what we kept back ourselves is the one 503 that is told. */
	if (best->cause == &stw_cause_next_hop_overloaded)
		return answer(best->cause);
	if (best->code == 503)
		return answer(&stw_cause_downstream_unavailable);
	/* RFC 5626 §11.5: no endpoint sees it. Our own, at the edge, goes to a proxy. */
	if (best->code == 430 && !best->cause)
		return answer(&stw_cause_flow_failed);
	if (best->cause)
		return answer(best->cause);
	return (struct decision){ .kind = DECISION_RELAY, .best = best };
}
