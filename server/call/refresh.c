/* SPDX-License-Identifier: Apache-2.0 */
#include "server/call/refresh.h"

#include <errno.h>
#include <stdlib.h>

/* What crosses a BYE on its way, or repeats it, still arrives (RFC 3261 §17.1.2.2: Timer F). */
#define ENDING_MS (64u * STW_T1_MS)

struct stw_refreshes {
	struct stw_now now;
	size_t max;
	uint32_t max_age_s;
	struct stw_wheel wheel;
	struct stw_table table; /* by the hash of the dialog, which is keyed */
};

struct side {
	uint64_t place; /* 0: where the mark says */
	uint32_t cseq;  /* of its newest refresh: an older response that comes again is none */
};

struct refreshed {
	struct stw_node node;
	struct stw_timer timer;
	struct side caller, callee;
};

int stw_refreshes_new(
	size_t max, uint32_t max_age_s, struct stw_now now, struct stw_refreshes **ret)
{
	struct stw_refreshes *refreshes = calloc(1, sizeof(*refreshes));

	if (!refreshes)
		return -ENOMEM;
	refreshes->now = now;
	refreshes->max = max;
	refreshes->max_age_s = max_age_s;
	stw_wheel_init(&refreshes->wheel, now.mono_ms);
	stw_table_init(&refreshes->table);
	*ret = refreshes;
	return 0;
}

void stw_refreshes_max_age(struct stw_refreshes *refreshes, uint32_t max_age_s)
{
	refreshes->max_age_s = max_age_s;
}

void stw_refreshes_now(struct stw_refreshes *refreshes, struct stw_now now)
{
	refreshes->now = now;
}

size_t stw_refreshes_count(const struct stw_refreshes *refreshes)
{
	return refreshes->table.count;
}

uint64_t stw_refreshes_next(const struct stw_refreshes *refreshes)
{
	return refreshes->table.count ? stw_wheel_next(&refreshes->wheel) : UINT64_MAX;
}

static void refreshed_free(struct stw_refreshes *refreshes, struct refreshed *refreshed)
{
	stw_timer_stop(&refreshes->wheel, &refreshed->timer);
	stw_table_remove(&refreshes->table, &refreshed->node);
	stw_memory_give(refreshed, sizeof(*refreshed));
}

struct stw_refreshes *stw_refreshes_free(struct stw_refreshes *refreshes)
{
	struct stw_node *node;

	if (!refreshes)
		return NULL;
	while ((node = stw_table_walk(&refreshes->table, NULL)))
		refreshed_free(refreshes, STW_CONTAINER_OF(node, struct refreshed, node));
	stw_table_done(&refreshes->table);
	free(refreshes);
	return NULL;
}

static struct refreshed *refreshed_find(const struct stw_refreshes *refreshes, uint64_t dialog)
{
	struct stw_node *node = dialog && refreshes->table.count
					? stw_table_first(&refreshes->table, dialog)
					: NULL;

	return node ? STW_CONTAINER_OF(node, struct refreshed, node) : NULL;
}

static struct refreshed *refreshed_new(struct stw_refreshes *refreshes, uint64_t dialog)
{
	struct refreshed *refreshed;

	if (refreshes->table.count >= refreshes->max)
		return NULL;
	refreshed = stw_memory_take_zeros(sizeof(*refreshed));
	if (!refreshed)
		return NULL;
	refreshed->timer.owner = refreshed;
	if (stw_table_insert(&refreshes->table, &refreshed->node, dialog) < 0) {
		stw_memory_give(refreshed, sizeof(*refreshed));
		return NULL;
	}
	return refreshed;
}

bool stw_refreshes_lead(
	const struct stw_refreshes *refreshes, const struct stw_proxy_routing *routing)
{
	const struct refreshed *refreshed = refreshed_find(refreshes, routing->dialog);
	const struct side *other;

	if (!refreshed || !routing->in_dialog || !routing->hop)
		return false;
	other = routing->by_callee ? &refreshed->caller : &refreshed->callee;
	return other->place == routing->hop;
}

/* Only who reaches the other side may say where he is himself: else he could answer for it. */
static void refresh(struct stw_refreshes *refreshes, const struct stw_proxy_refresh *what)
{
	const struct stw_proxy_routing *routing = what->routing;
	struct refreshed *refreshed = refreshed_find(refreshes, routing->dialog);
	struct side *requester, *answerer;

	if (!routing->hop_known && !stw_refreshes_lead(refreshes, routing))
		return;
	/* The answerer is where the mark says, and the requester has not said where he is. */
	if (!refreshed && !what->requester && (!what->answerer || what->answerer == routing->hop))
		return;
	if (!refreshed)
		refreshed = refreshed_new(refreshes, routing->dialog);
	if (!refreshed)
		return;
	requester = routing->by_callee ? &refreshed->callee : &refreshed->caller;
	answerer = routing->by_callee ? &refreshed->caller : &refreshed->callee;
	if (what->cseq <= requester->cseq)
		return;
	requester->cseq = what->cseq;
	if (what->requester)
		requester->place = what->requester;
	if (what->answerer)
		answerer->place = what->answerer;
	stw_timer_start(&refreshes->wheel, &refreshed->timer,
		refreshes->now.mono_ms + refreshes->max_age_s * UINT64_C(1000));
}

/* RFC 3261 §15.1: the dialog is over, whatever answers the BYE, but not when it comes again with
 * credentials. */
static void dialog_ends(struct stw_refreshes *refreshes, const struct stw_note *note)
{
	struct refreshed *refreshed = refreshed_find(refreshes, note->dialog);

	if (refreshed && note->relayed && note->code != 401 && note->code != 407)
		stw_timer_start(
			&refreshes->wheel, &refreshed->timer, refreshes->now.mono_ms + ENDING_MS);
}

void stw_refreshes_note(struct stw_refreshes *refreshes, const struct stw_note *note)
{
	if (note->kind == STW_NOTE_RESPONSE_IN && note->refresh)
		refresh(refreshes, note->refresh);
	else if (note->kind == STW_NOTE_RESPONSE_OUT && note->method == STW_METHOD_BYE &&
		 note->code >= 200)
		dialog_ends(refreshes, note);
}

void stw_refreshes_timers(struct stw_refreshes *refreshes)
{
	struct stw_timer *timer;

	if (!refreshes->table.count)
		return;
	while ((timer = stw_wheel_expire(&refreshes->wheel, refreshes->now.mono_ms)))
		refreshed_free(refreshes, timer->owner);
}
