/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The response context, RFC 3261 §16.7 to §16.10: what happens on each event of a branch. Inputs
 * change the state and put entries into a queue; stw_response_context_next() turns entries into
 * actions.
 */
#include "context.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* ---- the queue of actions ------------------------ */

void context_push(struct stw_response_context *context, enum entry_kind kind, unsigned branch)
{
	assert(context->tail < context->capacity);
	context->entries[context->tail++] = (struct entry){ kind, branch };
}

/* What belongs to the last input is gone with it; START, CANCEL and the final response stay. */
static void queue_begin(struct stw_response_context *context, const struct stw_msg *event)
{
	unsigned from, to = 0;

	for (from = context->head; from < context->tail; from++)
		if (context->entries[from].kind != ENTRY_EVENT)
			context->entries[to++] = context->entries[from];
	context->head = 0;
	context->tail = to;
	context->event = event;
}

/* A Timer C that still waits in the queue need not stand there twice. */
static void queue_timer_c(struct stw_response_context *context, unsigned branch)
{
	unsigned i;

	for (i = context->head; i < context->tail; i++)
		if (context->entries[i].kind == ENTRY_TIMER_C &&
			context->entries[i].branch == branch)
			return;
	context_push(context, ENTRY_TIMER_C, branch);
}

int context_reserve(struct stw_response_context *context, unsigned targets)
{
	unsigned capacity = context->capacity;
	struct entry *entries;

	while (capacity < ENTRIES_FOR(targets))
		capacity *= 2;
	if (capacity == context->capacity)
		return 0;
	entries = stw_arena_alloc(&context->arena, capacity * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	memcpy(entries, context->entries, context->tail * sizeof(*entries));
	context->entries = entries;
	context->capacity = capacity;
	return 0;
}

static struct branch *branch_find(const struct stw_response_context *context, unsigned index)
{
	struct branch *branch = context->started;

	while (branch && branch->index != index)
		branch = branch->next;
	return branch;
}

static struct stw_proxy_action final_action(const struct stw_response_context *context)
{
	struct stw_proxy_action action = { .lines = context->lines };

	switch (context->decision.kind) {
	case DECISION_RELAY:
		action.kind = STW_PROXY_RELAY;
		action.response = context->response;
		break;
	case DECISION_ANSWER:
		action.kind = STW_PROXY_ANSWER;
		action.cause = context->decision.cause;
		break;
	case DECISION_ABANDON:
		action.kind = STW_PROXY_ABANDON;
		break;
	case DECISION_NONE:
		break;
	}
	return action;
}

/* NOTHING when the branch has ended since the entry was made. */
static struct stw_proxy_action branch_action(
	const struct stw_response_context *context, const struct entry *entry)
{
	const struct branch *branch = branch_find(context, entry->branch);
	struct stw_proxy_action action = { .branch = entry->branch };

	if (!branch || branch->state != BRANCH_PENDING)
		return action;
	if (entry->kind == ENTRY_START) {
		action.kind = STW_PROXY_START;
		action.target = &branch->target;
		action.max_breadth = branch->breadth;
	} else if (entry->kind == ENTRY_TIMER_C) {
		action.kind = STW_PROXY_TIMER_C;
	} else {
		action.kind = STW_PROXY_CANCEL;
		action.lines = branch->cancel_lines;
	}
	return action;
}

/* What would go upstream now. */
static struct stw_proxy_action next_action(const struct stw_response_context *context)
{
	struct decision decision = context_decide(context);
	struct stw_proxy_action action = { .kind = STW_PROXY_NEXT, .cause = decision.cause };
	const struct branch *branch;

	if (decision.kind == DECISION_RELAY) {
		action.code = decision.best->code;
		action.response = decision.best->msg;
	} else if (decision.cause) {
		action.code = decision.cause->code;
	}
	for (branch = context->started; branch; branch = branch->next)
		if (branch_counts(context, branch) && branch->rang)
			action.rang = true;
	return action;
}

/* One dialog at a time: the entry stays until all are told. */
static struct stw_proxy_action early_action(struct stw_response_context *context, unsigned index)
{
	struct branch *branch = branch_find(context, index);
	struct stw_proxy_action action = { .branch = index };

	if (!branch || !branch->early || context->decided)
		return action;
	action.kind = STW_PROXY_EARLY_END;
	action.code = branch->early_code;
	action.tag = branch->early->tag;
	branch->early = branch->early->next;
	context->head -= branch->early != NULL;
	return action;
}

struct stw_proxy_action stw_response_context_next(struct stw_response_context *context)
{
	struct stw_proxy_action action = { .kind = STW_PROXY_NOTHING };

	while (action.kind == STW_PROXY_NOTHING && context->head < context->tail) {
		const struct entry *entry = &context->entries[context->head++];

		switch (entry->kind) {
		case ENTRY_EVENT:
			action.kind = STW_PROXY_RELAY;
			action.branch = entry->branch;
			action.response = context->event;
			break;
		case ENTRY_FINAL:
			action = final_action(context);
			break;
		case ENTRY_EARLY:
			action = early_action(context, entry->branch);
			break;
		case ENTRY_NEXT:
			if (!context->decided)
				action = next_action(context);
			break;
		case ENTRY_FINISHED:
			action.kind = STW_PROXY_FINISHED;
			break;
		case ENTRY_START:
		case ENTRY_TIMER_C:
		case ENTRY_CANCEL:
			action = branch_action(context, entry);
			break;
		}
	}
	return action;
}

/* ---- life ------------------------ */

int stw_response_context_new(const struct stw_proxy_options *options, const struct stw_msg *request,
	struct stw_response_context **ret)
{
	struct stw_response_context *context = stw_memory_take_zeros(sizeof(*context));

	if (!context)
		return -ENOMEM;
	stw_arena_init(&context->arena, CONTEXT_BYTES_MAX);
	context->arena.large_bytes = options->large_bytes;
	context->options = options;
	context->request = request;
	context->invite = request->method == STW_METHOD_INVITE;
	context->breadth_in = stw_proxy_breadth(options, request);
	context->started_end = &context->started;
	context->candidates_end = &context->candidates;
	context->entries = context->embedded;
	context->capacity = ENTRIES_EMBEDDED;
	*ret = context;
	return 0;
}

void stw_response_context_fetch(const struct stw_response_context *context)
{
	stw_fetch(context, sizeof(*context));
	if (context)
		stw_fetch(context->started, sizeof(*context->started));
}

struct stw_response_context *stw_response_context_free(struct stw_response_context *context)
{
	struct branch *branch;

	if (!context)
		return NULL;
	for (branch = context->started; branch; branch = branch->next)
		stw_block_release(branch->received.block, context->arena.large_bytes);
	stw_block_release(context->lines_block, context->arena.large_bytes);
	stw_block_release(context->merged_block, context->arena.large_bytes);
	stw_arena_done(&context->arena);
	stw_memory_give(context, sizeof(*context));
	return NULL;
}

/* ---- going on: start, decide, finish ------------------------ */

static void context_close(struct stw_response_context *context)
{
	context->closed = true;
	context->untried = NULL;
}

static void context_finish(struct stw_response_context *context)
{
	if (!context->decided || context->pending || context->finished)
		return;
	context->finished = true;
	context_push(context, ENTRY_FINISHED, 0);
}

/* FINAL stands in the place of NEXT. */
static void queue_drop_next(struct stw_response_context *context)
{
	unsigned from, to = context->head;

	for (from = context->head; from < context->tail; from++)
		if (context->entries[from].kind != ENTRY_NEXT)
			context->entries[to++] = context->entries[from];
	context->tail = to;
}

static void context_conclude(struct stw_response_context *context)
{
	if (context->asked)
		queue_drop_next(context);
	if (context->refusal)
		context->decision =
			(struct decision){ .kind = DECISION_ANSWER, .cause = context->refusal };
	else
		context->decision = context_decide(context);
	context->decided = true;
	context_close(context);
	if (!context->refusal)
		context_build(context);
	context_push(context, ENTRY_FINAL, 0);
}

/* Nothing was ever tried: targets are still to come. */
static bool context_waits(const struct stw_response_context *context)
{
	return !context->closed && !context->own.code && !context->started_count;
}

/* What was left has been told to end: a 2xx may cross the CANCEL, and must not come behind another
 * final response (§16.7 step 6). */
static void context_exhausted(struct stw_response_context *context)
{
	if (!context->asks || context->closed) {
		if (!context->left)
			context_conclude(context);
	} else if (!context->asked) {
		context->asked = true;
		context_push(context, ENTRY_NEXT, 0);
	}
}

static void context_advance(struct stw_response_context *context)
{
	if (!context->closed)
		context_start_targets(context);
	if (!context->decided && !context_active(context) && !context->untried &&
		!context_waits(context))
		context_exhausted(context);
	context_finish(context);
}

static void branch_end(struct stw_response_context *context, struct branch *branch)
{
	branch->state = BRANCH_ENDED;
	context->breadth_used -= branch->breadth;
	branch->breadth = 0;
	context->pending--;
	context->left -= branch->left;
}

/* Two slots of a branch, one of the context: none is ever used twice. */
static void candidate_put(struct stw_response_context *context, struct candidate *slot,
	const struct candidate *candidate)
{
	*slot = *candidate;
	slot->next = NULL;
	stw_block_count(candidate->block, context->arena.large_bytes);
	*context->candidates_end = slot;
	context->candidates_end = &slot->next;
}

void candidate_own(
	struct stw_response_context *context, struct candidate *slot, const struct stw_cause *cause)
{
	/* S503: that it will be a 500 when it is sent changes nothing in its rank. */
	bool unavailable = cause == &stw_cause_downstream_unavailable;
	struct candidate candidate = { .code = unavailable ? 503 : cause->code, .cause = cause };

	if (!slot->code)
		candidate_put(context, slot, &candidate);
}

/* Behind the first those with a long URI and Path get half of what is left: else one user's phones
 * would leave nothing for those of the next, and for what they answer. */
static bool is_too_long(const struct stw_response_context *context,
	const struct stw_proxy_target *target, size_t used_before)
{
	size_t bytes = target->uri.len + target->path.len + target->instance.len;
	size_t used = context->arena.used_bytes - used_before;

	return bytes > LONG_TARGET_BYTES && used &&
	       used + bytes > (CONTEXT_BYTES_MAX - used_before) / 2;
}

int stw_response_context_add(
	struct stw_response_context *context, const struct stw_proxy_target *targets, unsigned n)
{
	size_t used_before = context->arena.used_bytes;
	unsigned i, lost = 0;
	int err;

	if (context->closed)
		return 0;
	context->groups++;
	for (i = 0; i < n; i++) {
		err = is_too_long(context, &targets[i], used_before)
			      ? -ENOMEM
			      : context_target_add(context, &targets[i], context->groups);
		if (err == -ENOBUFS)
			return err;
		lost += err < 0;
	}
	return lost && lost == n ? -ENOMEM : 0;
}

void stw_response_context_ask(struct stw_response_context *context)
{
	context->asks = true;
}

bool stw_response_context_is_closed(const struct stw_response_context *context)
{
	return context->closed;
}

void stw_response_context_ask_6xx(struct stw_response_context *context)
{
	context->asks_6xx = true;
}

void stw_response_context_options(
	struct stw_response_context *context, const struct stw_proxy_options *options)
{
	context->options = options;
}

/* What was said until now lies in the slots of its branches, which are not looked at any more. */
static void context_freshen(struct stw_response_context *context)
{
	context->candidates = NULL;
	context->candidates_end = &context->candidates;
	context->own.code = 0;
	context->fresh = context->started_count;
	context->targets_before = context->targets;
}

int stw_response_context_more(struct stw_response_context *context,
	const struct stw_proxy_target *targets, unsigned n, bool fresh)
{
	int err;

	queue_begin(context, NULL);
	if (context->closed)
		return 0;
	queue_drop_next(context);
	context->asked = false;
	if (fresh)
		context_freshen(context);
	err = stw_response_context_add(context, targets, n);
	/* Nothing of it may be new: then the question comes again. */
	context_advance(context);
	return err;
}

void stw_response_context_settle(struct stw_response_context *context)
{
	queue_begin(context, NULL);
	context->asks = false;
	if (!context->asked)
		return;
	context_advance(context);
}

void stw_response_context_start(struct stw_response_context *context)
{
	queue_begin(context, NULL);
	context_advance(context);
}

/* ---- CANCEL, §16.10 and §9.1 ------------------------ */

static void branch_cancel_now(struct stw_response_context *context, struct branch *branch)
{
	if (!branch->cancel_wanted || branch->cancel_sent || !branch->provisional)
		return;
	branch->cancel_sent = true;
	context_push(context, ENTRY_CANCEL, branch->index);
}

/* A branch without a 1xx waits for one (§9.1); only an INVITE is ever cancelled. */
static void branch_cancel(
	struct stw_response_context *context, struct branch *branch, struct stw_str lines)
{
	if (!context->invite || branch->state != BRANCH_PENDING || branch->cancel_wanted)
		return;
	branch->cancel_wanted = true;
	branch->cancel_lines = lines;
	branch_cancel_now(context, branch);
}

static void context_cancel_pending(struct stw_response_context *context, struct stw_str lines)
{
	struct branch *branch;

	for (branch = context->started; branch; branch = branch->next)
		branch_cancel(context, branch, lines);
}

void stw_response_context_cancel(struct stw_response_context *context, struct stw_str reason_lines)
{
	struct stw_str lines = STW_STR_NONE;

	queue_begin(context, NULL);
	if (context->decided || context->cancelled || !context->invite)
		return;
	/* Without memory the CANCEL goes down all the same, only without its Reason. */
	if (reason_lines.len && stw_arena_copy(&context->arena, reason_lines, &lines) < 0)
		lines = STW_STR_NONE;
	context->cancelled = true;
	/* §9.2: what was tried has ended; what it said would have gone up only without other
	 * targets. */
	if (!context_active(context))
		context->refusal = &stw_cause_cancelled;
	context_close(context);
	context_cancel_pending(context, lines);
	context_advance(context);
}

/* ---- responses ------------------------ */

static bool tag_same(struct stw_str ours, struct stw_str theirs)
{
	return !ours.ptr || stw_str_equal_nocase(ours, theirs);
}

/* Another Call-ID or From tag would speak for another dialog, and our mark in Record-Route hold
 * there. */
bool stw_response_fits(const struct stw_msg *request, const struct stw_msg *response)
{
	return response->has_call_id && response->has_from && response->has_to &&
	       stw_str_equal(request->call_id, response->call_id) &&
	       request->cseq.number == response->cseq.number &&
	       stw_str_equal_nocase(request->from.tag, response->from.tag) &&
	       tag_same(request->to.tag, response->to.tag);
}

/* RFC 3841 §9.1 */
static bool may_cancel(const struct stw_response_context *context)
{
	return !stw_msg_has_token(
		context->request, STW_HDR_REQUEST_DISPOSITION, STW_STR("no-cancel"));
}

bool stw_response_context_ends_others(
	const struct stw_response_context *context, const struct stw_msg *response)
{
	if (response->code / 100 != 2 && response->code < 600)
		return false;
	return stw_response_fits(context->request, response) &&
	       (response->code >= 600 || may_cancel(context));
}

/* What there is no room for gets no 199. */
static void early_add(
	struct stw_response_context *context, struct branch *branch, struct stw_str tag)
{
	struct early *early;
	unsigned n = 0;

	for (early = branch->early; early; early = early->next, n++)
		if (stw_str_equal(early->tag, tag))
			return;
	if (n == EARLY_MAX)
		return;
	early = stw_arena_zalloc(&context->arena, sizeof(*early));
	if (!early || stw_arena_copy(&context->arena, tag, &early->tag) < 0)
		return;
	early->next = branch->early;
	branch->early = early;
}

bool stw_response_context_has_early(const struct stw_response_context *context)
{
	const struct branch *branch = context->started;

	while (branch && (branch->state != BRANCH_PENDING || branch->left || !branch->early))
		branch = branch->next;
	return branch != NULL;
}

/* The branch has told of its end itself. */
static void early_remove(struct branch *branch, struct stw_str tag)
{
	struct early **at = &branch->early;

	while (*at && !stw_str_equal((*at)->tag, tag))
		at = &(*at)->next;
	if (*at)
		*at = (*at)->next;
}

/* A lone branch ends with the call: nobody has to be told before. */
static void early_note(
	struct stw_response_context *context, struct branch *branch, const struct stw_msg *response)
{
	if ((context->targets < 2 && !context->asks) || !response->to.tag.len ||
		context->request->to.tag.len)
		return;
	if (response->code == 199)
		early_remove(branch, response->to.tag);
	else
		early_add(context, branch, response->to.tag);
}

/* RFC 6228 §6: for who understands it, and does not require that it be acknowledged. */
static bool early_is_wanted(const struct stw_response_context *context)
{
	static const struct stw_str reliable = { "100rel", 6 };

	return stw_msg_has_token(context->request, STW_HDR_SUPPORTED, STW_STR("199")) &&
	       !stw_msg_has_token(context->request, STW_HDR_REQUIRE, reliable) &&
	       !stw_msg_has_token(context->request, STW_HDR_PROXY_REQUIRE, reliable);
}

/* The branch has ended, and the caller will not hear of it yet. */
static void early_end(struct stw_response_context *context, struct branch *branch, unsigned code)
{
	unsigned from, to = context->head;

	if (!branch->early || context->decided || context->cancelled || !early_is_wanted(context))
		return;
	for (from = context->head; from < context->tail; from++)
		if (context->entries[from].kind > ENTRY_CANCEL ||
			context->entries[from].branch != branch->index)
			context->entries[to++] = context->entries[from];
	context->tail = to;
	branch->early_code = code;
	context_push(context, ENTRY_EARLY, branch->index);
}

static void response_provisional(
	struct stw_response_context *context, struct branch *branch, const struct stw_msg *response)
{
	if (branch->state != BRANCH_PENDING || !stw_response_fits(context->request, response))
		return;
	branch->provisional = true;
	branch->rang = branch->rang || response->code / 10 == 18;
	/* RFC 4320 §4.1: no 1xx to a non-INVITE goes up; §16.7 step 2: 100 moves no Timer C. */
	if (context->invite && response->code > 100 && !branch->left) {
		if (!context->decided)
			context_push(context, ENTRY_EVENT, branch->index);
		early_note(context, branch, response);
		queue_timer_c(context, branch->index);
	}
	branch_cancel_now(context, branch);
}

/* §16.7 step 5: every 2xx to an INVITE goes up at once, also after another final response. */
static void response_success(struct stw_response_context *context, struct branch *branch)
{
	static const char reason[] = "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n";

	if (branch->state == BRANCH_PENDING)
		branch_end(context, branch);
	else if (!context->invite)
		return;
	if (context->invite || !context->decided)
		context_push(context, ENTRY_EVENT, branch->index);
	context_close(context);
	if (may_cancel(context))
		context_cancel_pending(context, STW_STR(reason));
	if (!context->decided)
		context->decision.kind = DECISION_RELAY;
	context->decided = true;
	context_finish(context);
}

static struct candidate candidate_of(const struct stw_msg *response)
{
	struct stw_str value = stw_msg_value(response, STW_HDR_RETRY_AFTER);
	struct candidate candidate = { .code = response->code };
	uint64_t seconds = 0;
	size_t digits = 0;

	/* Retry-After = delta-seconds [ comment ] *( SEMI retry-param ), §20.33 */
	while (digits < value.len && value.ptr[digits] >= '0' && value.ptr[digits] <= '9')
		digits++;
	if (digits && stw_str_to_uint(stw_str_cut(value, 0, digits), UINT32_MAX, &seconds) == 0) {
		candidate.has_retry_after = true;
		candidate.retry_after_s = (uint32_t)seconds;
	}
	return candidate;
}

/* Without memory for the copy it counts as a failure of our own. */
static void response_store(
	struct stw_response_context *context, struct branch *branch, const struct stw_msg *response)
{
	struct candidate candidate = candidate_of(response);

	if (context_worth_keeping(context, &candidate) &&
		stw_msg_keep(response, &candidate.block, &candidate.msg) < 0)
		candidate_own(context, &branch->received, &stw_cause_downstream_unavailable);
	else
		candidate_put(context, &branch->received, &candidate);
}

/* What is pending is cancelled and not waited for, what was not tried is not tried. */
static void context_leave_pending(struct stw_response_context *context, struct stw_str lines)
{
	struct branch *branch;

	context->untried = NULL;
	for (branch = context->started; branch; branch = branch->next) {
		if (branch->state != BRANCH_PENDING || branch->left)
			continue;
		candidate_own(context, &branch->own, &stw_cause_no_answer);
		branch_cancel(context, branch, lines);
		branch->left = true;
		context->left++;
	}
}

static void response_global(
	struct stw_response_context *context, struct branch *branch, const struct stw_msg *response)
{
	struct stw_str reason = STW_STR_NONE;
	const char *phrase = stw_status_phrase(response->code);
	int err;

	response_store(context, branch, response);
	branch_end(context, branch);
	err = stw_arena_printf(&context->arena, &reason, "Reason: SIP;cause=%u%s%s%s\r\n",
		(unsigned)response->code, *phrase ? ";text=\"" : "", phrase, *phrase ? "\"" : "");
	if ((branch->target.own_6xx || context->asks_6xx) && context->asks) {
		context_leave_pending(context, err < 0 ? STW_STR_NONE : reason);
		return;
	}
	context_close(context);
	context_cancel_pending(context, err < 0 ? STW_STR_NONE : reason);
}

/* RFC 3841 §9.1: the caller may want to follow it himself, or that we do. */
static bool context_recurses(const struct stw_response_context *context)
{
	if (stw_msg_has_token(context->request, STW_HDR_REQUEST_DISPOSITION, STW_STR("no-recurse")))
		return false;
	return context->options->recurse ||
	       (context->options->recurse_asked &&
		       stw_msg_has_token(
			       context->request, STW_HDR_REQUEST_DISPOSITION, STW_STR("recurse")));
}

static void response_redirection(
	struct stw_response_context *context, struct branch *branch, const struct stw_msg *response)
{
	struct candidate candidate = candidate_of(response);
	int err;

	if (context->closed || response->code == 305 || response->code == 380 ||
		!context_recurses(context)) {
		response_store(context, branch, response);
		return;
	}
	err = context_redirect(context, branch, response, &candidate);
	if (err == -ENOMEM)
		response_store(context, branch, response);
	else if (err == 0)
		candidate_put(context, &branch->received, &candidate);
}

static void response_failure(
	struct stw_response_context *context, struct branch *branch, const struct stw_msg *response)
{
	bool silent = response->code == 408;

	branch->flow_failed = silent || response->code == 430;
	if (silent && !context->invite)
		branch->timed_out = true; /* RFC 4320 §4.2: it may not go to a non-INVITE */
	else if (response->code == 416 && !context->closed && context_add_sip_form(context, branch))
		;
	else if (response->code < 400)
		response_redirection(context, branch, response);
	else
		response_store(context, branch, response);
	if (branch->target.next_on && !stw_code_set_has(branch->target.next_on, response->code))
		context->untried = NULL;
	branch_end(context, branch);
}

/* Whom nobody waits for any more says something. A 2xx counts in any case; what a non-INVITE gets
 * late counts as if it had been waited for. */
static void branch_recall(struct stw_response_context *context, struct branch *branch)
{
	if (!branch->left || context->invite || !branch_counts(context, branch))
		return;
	branch->left = branch->timed_out = false;
	context->left--;
}

static void response_final(
	struct stw_response_context *context, struct branch *branch, const struct stw_msg *response)
{
	bool fits = stw_response_fits(context->request, response);

	if (fits && response->code < 300) {
		response_success(context, branch);
		return;
	}
	if (branch->state != BRANCH_PENDING)
		return;
	branch_recall(context, branch);
	if (branch->left) {
		branch_end(context, branch);
	} else if (!fits) {
		if (context->invite)
			candidate_own(context, &branch->own, &stw_cause_bad_response_downstream);
		branch_end(context, branch);
	} else if (response->code >= 600) {
		response_global(context, branch, response);
	} else {
		response_failure(context, branch, response);
	}
	context_advance(context);
	early_end(context, branch, response->code);
}

void stw_response_context_response(
	struct stw_response_context *context, unsigned branch, const struct stw_msg *response)
{
	struct branch *from = branch_find(context, branch);

	queue_begin(context, response);
	if (!from)
		return;
	if (response->code < 200)
		response_provisional(context, from, response);
	else
		response_final(context, from, response);
}

/* ---- what happens without a response ------------------------ */

static struct branch *branch_pending(const struct stw_response_context *context, unsigned index)
{
	struct branch *branch = branch_find(context, index);

	return branch && branch->state == BRANCH_PENDING ? branch : NULL;
}

/* RFC 4320 §4.2: the silence of a non-INVITE leaves no candidate. */
static void branch_silent(
	struct stw_response_context *context, struct branch *branch, const struct stw_cause *cause)
{
	branch->timed_out = true;
	branch->flow_failed = !branch->own.code;
	if (context->invite)
		candidate_own(context, &branch->own, cause);
	branch_end(context, branch);
	context_advance(context);
}

void stw_response_context_timeout(struct stw_response_context *context, unsigned branch)
{
	struct branch *from = branch_pending(context, branch);

	queue_begin(context, NULL);
	if (from)
		branch_silent(context, from, &stw_cause_branch_timeout);
}

void stw_response_context_failed(
	struct stw_response_context *context, unsigned branch, const struct stw_cause *cause)
{
	struct branch *from = branch_pending(context, branch);

	queue_begin(context, NULL);
	if (!from)
		return;
	if (!cause || !cause->code)
		cause = &stw_cause_downstream_unavailable;
	if (cause->code == 408) {
		branch_silent(context, from, cause);
		return;
	}
	from->flow_failed = true;
	candidate_own(context, &from->own, cause);
	branch_end(context, from);
	context_advance(context);
}

/* §16.8. A branch that was asked to end before, and did not, is given up. */
void stw_response_context_timer_c(struct stw_response_context *context, unsigned branch)
{
	struct branch *from = branch_pending(context, branch);

	queue_begin(context, NULL);
	if (!from || !context->invite)
		return;
	if (!from->provisional || from->cancel_sent) {
		branch_silent(context, from, &stw_cause_timer_c);
		return;
	}
	candidate_own(context, &from->own, &stw_cause_timer_c);
	branch_cancel(context, from, STW_STR_NONE);
}

/* Each pending branch counts as S408 and is cancelled; its 487 ranks below that. */
static void context_end_pending(struct stw_response_context *context, const struct stw_cause *cause)
{
	struct branch *branch;

	if (!context_active(context))
		candidate_own(context, &context->own, cause);
	for (branch = context->started; branch; branch = branch->next) {
		if (branch->state == BRANCH_PENDING) {
			candidate_own(context, &branch->own, cause);
			branch_cancel(context, branch, STW_STR_NONE);
		}
	}
}

void stw_response_context_no_answer(struct stw_response_context *context)
{
	queue_begin(context, NULL);
	if (context->decided || context->cancelled || !context->invite)
		return;
	context_end_pending(context, &stw_cause_no_answer);
	context_advance(context);
}

void stw_response_context_leave(struct stw_response_context *context)
{
	static const char reason[] = "Reason: SIP;cause=408;text=\"Request Timeout\"\r\n";

	queue_begin(context, NULL);
	if (context->closed || !context->invite || context->asked)
		return;
	context_leave_pending(context, STW_STR(reason));
	context_advance(context);
}

void stw_response_context_expired(struct stw_response_context *context)
{
	queue_begin(context, NULL);
	if (context->decided || context->cancelled || !context->invite)
		return;
	/* As when it is cancelled: what was said before does not count any more. */
	if (context->asks && !context_active(context)) {
		if (!context->refusal)
			context->refusal = &stw_cause_invite_expired;
	} else {
		context_end_pending(context, &stw_cause_invite_expired);
	}
	context_close(context);
	context_advance(context);
}

void stw_response_context_stop(struct stw_response_context *context, const struct stw_cause *cause)
{
	queue_begin(context, NULL);
	if (context->decided)
		return;
	context->decision = (struct decision){ .kind = DECISION_ANSWER, .cause = cause };
	context->decided = true;
	context_close(context);
	queue_drop_next(context);
	context_push(context, ENTRY_FINAL, 0);
	context_cancel_pending(context, STW_STR_NONE);
	context_finish(context);
}

void stw_response_context_refuse(
	struct stw_response_context *context, const struct stw_cause *cause)
{
	queue_begin(context, NULL);
	if (context->decided)
		return;
	if (context_active(context)) {
		stw_response_context_stop(context, cause);
		return;
	}
	if (!context->refusal)
		context->refusal = cause;
	context_close(context);
	queue_drop_next(context);
	context_advance(context);
}

void stw_response_context_level_over(struct stw_response_context *context)
{
	struct branch *branch;

	queue_begin(context, NULL);
	if (context->closed || context->invite)
		return;
	for (branch = context->started; branch; branch = branch->next) {
		if (branch->state != BRANCH_PENDING || branch->left)
			continue;
		branch->timed_out = true;
		branch->left = true;
		context->left++;
	}
	context_advance(context);
}

void stw_response_context_give_up_silent(struct stw_response_context *context)
{
	queue_begin(context, NULL);
	if (context->decided || context->invite)
		return;
	context_close(context);
	if (context_candidate_next(context, NULL))
		context_conclude(context);
	context_advance(context);
}

void stw_response_context_abandon(struct stw_response_context *context)
{
	queue_begin(context, NULL);
	if (context->decided || context->invite)
		return;
	context->decision = (struct decision){ .kind = DECISION_ABANDON };
	context->decided = true;
	context_close(context);
	queue_drop_next(context);
	context_push(context, ENTRY_FINAL, 0);
	context_finish(context);
}
