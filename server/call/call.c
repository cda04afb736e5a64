/* SPDX-License-Identifier: Apache-2.0 */
#include "server/call/internal.h"

#include <errno.h>
#include <stdlib.h>

#include <strowger/dialog.h>

/* A BYE that nobody answers has ended after Timer F of its transaction (RFC 3261 §17.1.2.2). */
#define BYE_MS (64u * STW_T1_MS)

#define SAME_CALL_ID_MAX 256u /* calls of it that are followed */
#define VIAS_MAX         70u  /* that are looked for: as many as Max-Forwards mostly allows */

#define CALL_BYTES_MAX                                                                             \
	(CALL_RECORD_MAX + CALL_PARTIES_MAX * (sizeof(struct party) + CALL_TEXT_MAX + 32) +        \
		CALL_DIALOGS_MAX * (sizeof(struct dialog) + 32))

struct stw_calls {
	struct stw_calls_options options;
	struct stw_now now;
	struct stw_wheel wheel;
	struct stw_table table;
	uint64_t unfollowed;
};

#define CAUSE(name, id, code, phrase, rfc, meaning, reason, remedy) STW_CAUSE_DECLARE(name);
#include "server/causes.def"
#undef CAUSE

int stw_calls_new(
	const struct stw_calls_options *options, struct stw_now now, struct stw_calls **ret)
{
	struct stw_calls *calls = calloc(1, sizeof(*calls));

	if (!calls)
		return -ENOMEM;
	calls->options = *options;
	calls->now = now;
	stw_wheel_init(&calls->wheel, now.mono_ms);
	stw_table_init(&calls->table);
	*ret = calls;
	return 0;
}

void stw_calls_max_age(struct stw_calls *calls, uint32_t max_age_s)
{
	calls->options.max_age_s = max_age_s;
}

void stw_calls_now(struct stw_calls *calls, struct stw_now now)
{
	calls->now = now;
}

size_t stw_calls_count(const struct stw_calls *calls)
{
	return calls->table.count;
}

uint64_t stw_calls_unfollowed(const struct stw_calls *calls)
{
	return calls->unfollowed;
}

uint64_t stw_calls_next(const struct stw_calls *calls)
{
	return calls->table.count ? stw_wheel_next(&calls->wheel) : UINT64_MAX;
}

/* ---- what its record says ------------------------------------------------------------------ */

static bool record_takes(struct call *call, size_t bytes)
{
	if (bytes > CALL_RECORD_MAX - call->record_bytes)
		return false;
	call->record_bytes += bytes;
	return true;
}

static struct stw_str text_keep(struct call *call, struct stw_str text)
{
	struct stw_str kept;

	text = stw_str_cut(text, 0, CALL_TEXT_MAX);
	if (!text.len || !record_takes(call, text.len + 1) ||
		stw_arena_copy(&call->arena, text, &kept) < 0)
		return STW_STR_NONE;
	return kept;
}

static void *record_zalloc(struct call *call, size_t bytes)
{
	return record_takes(call, bytes + _Alignof(max_align_t))
		       ? stw_arena_zalloc(&call->arena, bytes)
		       : NULL;
}

/* ---- who is in it ------------------------------------------------------------------------ */

static struct party *party_find(const struct call *call, struct stw_str aor)
{
	struct party *party = call->parties;

	while (party && !stw_str_equal(party->aor, aor))
		party = party->next;
	return party;
}

static struct party *party_add(struct call *call, struct stw_str aor)
{
	struct party *party;

	if (call->party_count == CALL_PARTIES_MAX || !aor.len || aor.len > CALL_TEXT_MAX)
		return NULL;
	party = stw_arena_zalloc(&call->arena, sizeof(*party));
	if (!party || stw_arena_copy(&call->arena, aor, &party->aor) < 0)
		return NULL;
	party->next = call->parties;
	call->parties = party;
	call->party_count++;
	return party;
}

/* A call that is not followed does not count, but his others do. */
static int limit_check(
	const struct stw_calls *calls, struct stw_str aor, unsigned limit, int otherwise)
{
	return limit && stw_busy_count(calls->options.busy, aor) >= limit ? -EBUSY : otherwise;
}

/* @return 0, also when he is in it already or there is no room; -EBUSY */
static int party_enter(
	struct stw_calls *calls, struct call *call, struct stw_str aor, unsigned limit)
{
	struct party *party = party_find(call, aor);
	int err;

	if (party && party->counted)
		return 0;
	if (!party)
		party = party_add(call, aor);
	if (!party)
		return limit_check(calls, aor, limit, 0);
	err = stw_busy_enter(calls->options.busy, aor, limit);
	party->counted = err == 0;
	return err == -EBUSY ? err : 0;
}

static void party_leave(struct stw_calls *calls, struct party *party)
{
	if (party->counted)
		stw_busy_leave(calls->options.busy, party->aor, calls->now.mono_ms);
	party->counted = false;
}

static bool party_talks(const struct call *call, const struct party *party)
{
	const struct dialog *dialog = call->dialogs;

	while (dialog && dialog->party != party)
		dialog = dialog->next;
	return dialog != NULL;
}

/* Of those who were called only who has answered is still in it. */
static void call_silence(struct stw_calls *calls, struct call *call)
{
	for (struct party *party = call->parties; party; party = party->next) {
		if (!party->caller && !party_talks(call, party))
			party_leave(calls, party);
	}
}

/* ---- which call ---------------------------------------------------------------------------- */

static uint64_t text_hash(const struct stw_calls *calls, struct stw_str text)
{
	return stw_hash(calls->options.key, text.ptr, text.len);
}

/* A dialog, or what shall make one, by its Call-ID and both tags (RFC 3261 §12). */
struct names {
	struct stw_node *first; /* of the Call-ID */
	uint64_t from_tag, to_tag;
};

static struct names names_of(const struct stw_calls *calls, const struct stw_msg *msg)
{
	return (struct names){ stw_table_first(&calls->table, text_hash(calls, msg->call_id)),
		text_hash(calls, msg->from.tag), text_hash(calls, msg->to.tag) };
}

static struct dialog *dialog_of_tag(struct dialog *dialog, uint64_t tag)
{
	while (dialog && dialog->tag != tag)
		dialog = dialog->next;
	return dialog;
}

/* Sent by one of the two who have it. */
static struct dialog *dialog_find(const struct call *call, const struct names *names)
{
	struct dialog *dialog = NULL;

	if (call->from_tag == names->from_tag)
		dialog = dialog_of_tag(call->dialogs, names->to_tag);
	if (!dialog && call->from_tag == names->to_tag)
		dialog = dialog_of_tag(call->dialogs, names->from_tag);
	return dialog;
}

/* One transaction: §17.2.3. */
static uint64_t via_hash(const struct stw_calls *calls, const struct stw_via *via)
{
	struct stw_hasher hasher;

	stw_hasher_init(&hasher, calls->options.key);
	stw_hasher_text(&hasher, via->branch);
	stw_hasher_text_nocase(&hasher, via->sent_by);
	return stw_hasher_value(&hasher);
}

/* What else tells it: who knows no branches has to be known by all of the Via. */
static uint64_t uri_hash(const struct stw_calls *calls, const struct stw_msg *request)
{
	struct stw_hasher hasher;

	stw_hasher_init(&hasher, calls->options.key);
	stw_hasher_text(&hasher, stw_msg_text(request, request->uri_at, request->uri_len));
	if (!stw_tx_has_cookie(request->via.branch))
		stw_hasher_text(&hasher, request->via.text);
	return stw_hasher_value(&hasher);
}

/* From this node on, the newest first: a fork above us makes several calls of one INVITE. */
static struct call *call_of_cseq(
	const struct names *names, struct stw_node *node, const struct stw_msg *msg)
{
	for (; node; node = stw_table_next_same(node)) {
		struct call *call = STW_CONTAINER_OF(node, struct call, node);

		if (call->from_tag == names->from_tag && call->cseq == msg->cseq.number)
			return call;
	}
	return NULL;
}

/* Is it that INVITE, or its CANCEL? */
static bool call_is_of(
	const struct stw_calls *calls, const struct call *call, const struct stw_msg *request)
{
	return call->via == via_hash(calls, &request->via) && call->uri == uri_hash(calls, request);
}

static struct call *call_of_top(
	const struct stw_calls *calls, const struct names *names, const struct stw_msg *request)
{
	struct call *call = call_of_cseq(names, names->first, request);
	uint64_t via = via_hash(calls, &request->via), uri = uri_hash(calls, request);

	while (call && (call->via != via || call->uri != uri))
		call = call_of_cseq(names, stw_table_next_same(&call->node), request);
	return call;
}

/* The Vias of a request, or those of a response that are below ours. */
struct way {
	unsigned n;
	uint64_t vias[VIAS_MAX], marks[VIAS_MAX]; /* a mark is 0: it does not look like ours */
};

static void way_read(const struct stw_calls *calls, const struct stw_msg *msg, struct way *ret)
{
	struct stw_values values =
		msg->is_request ? stw_msg_values(msg, STW_HDR_VIA) : stw_msg_vias_below(msg);
	struct stw_str value;
	struct stw_via via;

	for (ret->n = 0; ret->n < VIAS_MAX && stw_values_next(&values, &value); ret->n++) {
		ret->vias[ret->n] = ret->marks[ret->n] = 0;
		if (stw_via_parse(value, &via) < 0)
			continue;
		ret->vias[ret->n] = via_hash(calls, &via);
		(void)stw_proxy_branch_loop_hash(via.branch, &ret->marks[ret->n]);
	}
}

/* Below the top its Via says that the INVITE has come back to us only where one of ours, that the
 * call went out with, stands above it: anybody can add the others. @return VIAS_MAX: it is not
 * there */
static unsigned way_find(const struct way *way, const struct call *call, bool is_request)
{
	bool ours = !is_request; /* a response is of the transaction of its top one */

	for (unsigned i = 0; i < way->n; i++) {
		if (ours && way->vias[i] == call->via)
			return i;
		ours = (i > 0 && ours) || (way->marks[i] && way->marks[i] == call->mark);
	}
	return VIAS_MAX;
}

/* The one whose Via is nearest to the top (§16.3 step 4). */
static struct call *call_of_way(
	const struct stw_calls *calls, const struct names *names, const struct stw_msg *msg)
{
	struct call *call = call_of_cseq(names, names->first, msg), *found = NULL;
	unsigned nearest = VIAS_MAX, at;
	struct way way;

	way_read(calls, msg, &way);
	for (; call; call = call_of_cseq(names, stw_table_next_same(&call->node), msg)) {
		at = way_find(&way, call, msg->is_request);
		if (at >= nearest)
			continue;
		nearest = at;
		found = call;
	}
	return found;
}

/* Of the INVITE that has begun it, or its CANCEL. Of a response only where its request is not kept
 * so long: then its Vias have to do. */
static struct call *call_of_invite(
	const struct stw_calls *calls, const struct names *names, const struct stw_msg *msg)
{
	struct call *call = NULL;

	if (!call_of_cseq(names, names->first, msg))
		return NULL;
	if (msg->is_request)
		call = call_of_top(calls, names, msg);
	return call ? call : call_of_way(calls, names, msg);
}

static struct call *call_find(const struct stw_calls *calls, const struct stw_msg *invite)
{
	struct names names;

	if (!calls->table.count)
		return NULL;
	names = names_of(calls, invite);
	return call_of_invite(calls, &names, invite);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void call_schedule(struct stw_calls *calls, struct call *call)
{
	uint64_t due_ms = call->began.mono_ms + calls->options.max_age_s * UINT64_C(1000);

	for (const struct dialog *dialog = call->dialogs; dialog; dialog = dialog->next) {
		if (dialog->bye_due_ms && dialog->bye_due_ms < due_ms)
			due_ms = dialog->bye_due_ms;
		if (dialog->expires_ms && dialog->expires_ms < due_ms)
			due_ms = dialog->expires_ms;
	}
	stw_timer_start(&calls->wheel, &call->timer, due_ms);
}

static void call_tell(struct stw_calls *calls, const struct call *call)
{
	struct stw_record_line *line;

	if (!calls->options.records)
		return;
	line = call_line(call);
	stw_records_give(calls->options.records, calls->options.queue, line);
}

static void call_free(struct stw_calls *calls, struct call *call)
{
	for (struct party *party = call->parties; party; party = party->next)
		party_leave(calls, party);
	stw_timer_stop(&calls->wheel, &call->timer);
	stw_table_remove(&calls->table, &call->node);
	stw_arena_done(&call->arena);
	stw_memory_give(call, sizeof(*call));
}

static void call_end(struct stw_calls *calls, struct call *call, const char *ended_by)
{
	call->ended_by = ended_by;
	if (!call->end_ms)
		call->end_ms = calls->now.wall_ms;
	call_tell(calls, call);
	call_free(calls, call);
}

struct stw_calls *stw_calls_free(struct stw_calls *calls)
{
	struct stw_node *node;

	if (!calls)
		return NULL;
	while ((node = stw_table_walk(&calls->table, NULL)))
		call_free(calls, STW_CONTAINER_OF(node, struct call, node));
	stw_table_done(&calls->table);
	free(calls);
	return NULL;
}

static void call_fill(struct stw_calls *calls, struct call *call, const struct stw_msg *invite)
{
	call->from_tag = text_hash(calls, invite->from.tag);
	call->via = via_hash(calls, &invite->via);
	call->uri = uri_hash(calls, invite);
	call->cseq = invite->cseq.number;
	call->began = calls->now;
	call->legs_end = &call->legs;
	call->diverted_end = &call->diverted;
	if (!calls->options.records)
		return;
	call->call_id = text_keep(call, invite->call_id);
	call->from = text_keep(call, invite->from.uri.text);
	call->to = text_keep(call, invite->to.uri.text);
	call->request_uri = text_keep(call, invite->uri.text);
}

static struct call *call_new(struct stw_calls *calls, const struct stw_msg *invite)
{
	struct call *call = stw_memory_take_zeros(sizeof(*call));

	if (!call)
		return NULL;
	call->timer = (struct stw_timer){ .owner = call };
	stw_arena_init(&call->arena, CALL_BYTES_MAX);
	call->arena.next_chunk_bytes = calls->options.records ? 1024 : 256;
	call_fill(calls, call, invite);
	if (stw_table_insert(&calls->table, &call->node, text_hash(calls, invite->call_id)) < 0) {
		stw_arena_done(&call->arena);
		stw_memory_give(call, sizeof(*call));
		return NULL;
	}
	call_schedule(calls, call);
	return call;
}

/* Also of one Call-ID, because they are looked through one by one: a fork above us makes some, and
 * who makes more of them means no good. */
static bool is_full(const struct stw_calls *calls, const struct stw_msg *invite)
{
	struct names names = names_of(calls, invite);
	unsigned n = 0;

	for (struct stw_node *node = names.first; node && n < SAME_CALL_ID_MAX; n++)
		node = stw_table_next_same(node);
	return n == SAME_CALL_ID_MAX || calls->table.count >= calls->options.max;
}

/* He is in it until its end, also who has it come back to us. */
static int caller_enter(
	struct stw_calls *calls, struct call *call, struct stw_str caller, unsigned limit)
{
	struct party *party;
	int err;

	if (!caller.len)
		return 0;
	err = party_enter(calls, call, caller, limit);
	party = party_find(call, caller);
	if (party)
		party->caller = true;
	return err;
}

int stw_calls_begin(struct stw_calls *calls, const struct stw_msg *invite, uint64_t mark,
	struct stw_str caller, unsigned limit)
{
	struct call *call = call_find(calls, invite);

	/* It has come back to us, or is sent again by who knows no branches (RFC 2543). Behind an
	 * answer it is for more than that call. */
	if (call && !call->answer_ms)
		return caller_enter(calls, call, caller, limit);
	if (is_full(calls, invite)) {
		calls->unfollowed++;
		return limit_check(calls, caller, limit, -ENOBUFS);
	}
	call = call_new(calls, invite);
	if (!call)
		return limit_check(calls, caller, limit, -ENOMEM);
	call->mark = mark;
	return caller_enter(calls, call, caller, limit);
}

int stw_calls_callee(struct stw_calls *calls, const struct stw_msg *invite, struct stw_str callee,
	unsigned limit)
{
	struct call *call = call_find(calls, invite);

	if (!call)
		return limit_check(calls, callee, limit, 0);
	return party_enter(calls, call, callee, limit);
}

void stw_calls_leave(struct stw_calls *calls, const struct stw_msg *invite, struct stw_str callee)
{
	struct call *call = call_find(calls, invite);
	struct party *party;

	if (!call)
		return;
	if (!callee.len) {
		call_silence(calls, call);
		return;
	}
	party = party_find(call, callee);
	if (party && !party->caller && !party_talks(call, party))
		party_leave(calls, party);
}

void stw_calls_diverted(struct stw_calls *calls, const struct stw_msg *invite, struct stw_str aor)
{
	struct call *call = call_find(calls, invite);
	struct diversion *diversion;

	if (!call || !calls->options.records)
		return;
	diversion = record_zalloc(call, sizeof(*diversion));
	if (!diversion)
		return;
	diversion->aor = text_keep(call, aor);
	*call->diverted_end = diversion;
	call->diverted_end = &diversion->next;
}

/* ---- its legs ------------------------------------------------------------------------------ */

static struct leg *leg_find(const struct call *call, struct stw_str target)
{
	struct leg *leg = call->legs;

	target = stw_str_cut(target, 0, CALL_TEXT_MAX);
	while (leg && (leg->code || !stw_str_equal(leg->target, target)))
		leg = leg->next;
	return leg;
}

static void leg_begin(const struct stw_calls *calls, struct call *call, const struct stw_note *note)
{
	struct leg *leg;

	if (!calls->options.records || !note->target || call->leg_count == CALL_LEGS_MAX ||
		!stw_str_equal(note->method_name, STW_STR("INVITE")) ||
		leg_find(call, note->target->uri))
		return;
	leg = record_zalloc(call, sizeof(*leg));
	if (!leg)
		return;
	leg->target = text_keep(call, note->target->uri);
	leg->user = text_keep(call, note->target->owner);
	*call->legs_end = leg;
	call->legs_end = &leg->next;
	call->leg_count++;
}

static void leg_end(struct call *call, const struct stw_note *note, unsigned code,
	const struct stw_cause *cause)
{
	struct leg *leg = note->target ? leg_find(call, note->target->uri) : NULL;

	if (!leg)
		return;
	leg->code = code;
	leg->cause = cause ? cause->id : NULL;
}

/* ---- its dialogs --------------------------------------------------------------------------- */

/* RFC 4028 §8.2: from the 2xx on, for as long as it says, or we say in it; else there is no end. */
static void dialog_refresh(
	struct stw_calls *calls, struct dialog *dialog, const struct stw_note *note)
{
	const struct stw_field *field = stw_msg_find(note->msg, STW_HDR_SESSION_EXPIRES);
	struct stw_str value = field ? stw_field_value(note->msg, field) : STW_STR_NONE;
	uint64_t interval_s;

	value = stw_str_trim(stw_str_cut(value, 0, stw_str_find(value, ';', 0)));
	dialog->expires_ms = 0;
	if (stw_str_to_uint(value, UINT32_MAX, &interval_s) < 0)
		interval_s = note->session_s;
	if (interval_s)
		dialog->expires_ms = calls->now.mono_ms + interval_s * 1000;
}

static struct dialog *dialog_add(struct stw_calls *calls, struct call *call, uint64_t tag)
{
	struct dialog *dialog;

	if (call->dialog_count == CALL_DIALOGS_MAX)
		return NULL;
	dialog =
		call->dialog_count ? stw_arena_zalloc(&call->arena, sizeof(*dialog)) : &call->first;
	if (!dialog)
		return NULL;
	dialog->tag = tag;
	dialog->next = call->dialogs;
	call->dialogs = dialog;
	call->dialog_count++;
	return dialog;
}

static void call_answered(struct stw_calls *calls, struct call *call, const struct stw_note *note)
{
	struct stw_str owner = note->target ? note->target->owner : STW_STR_NONE;
	bool first = !call->answer_ms;
	uint64_t tag = text_hash(calls, note->msg->to.tag);
	struct dialog *dialog = dialog_of_tag(call->dialogs, tag);

	/* RFC 3261 §13.3.1.4: until its ACK comes the 2xx is sent again, also behind a BYE. */
	if (!dialog && !dialog_of_tag(call->over, tag))
		dialog = dialog_add(calls, call, tag);
	if (!dialog)
		return;
	if (owner.len && !dialog->party) {
		(void)party_enter(calls, call, owner, 0);
		dialog->party = party_find(call, owner);
	}
	dialog_refresh(calls, dialog, note);
	call_schedule(calls, call);
	if (!first)
		return;
	call->answer_ms = calls->now.wall_ms;
	call->code = note->code;
	call_silence(calls, call);
	call_tell(calls, call);
}

static void dialog_remove(struct call *call, struct dialog *dialog)
{
	struct dialog **link = &call->dialogs;

	while (*link != dialog)
		link = &(*link)->next;
	*link = dialog->next;
	dialog->next = call->over;
	call->over = dialog;
}

/* The last one takes the call with it. */
static void dialog_end(
	struct stw_calls *calls, struct call *call, struct dialog *dialog, const char *ended_by)
{
	dialog_remove(call, dialog);
	if (dialog->bye_ms)
		call->end_ms = dialog->bye_ms;
	if (!call->dialogs) {
		call_end(calls, call, ended_by);
		return;
	}
	call_silence(calls, call);
	call_schedule(calls, call);
}

static void dialog_end_bye(struct stw_calls *calls, struct call *call, struct dialog *dialog)
{
	dialog_end(calls, call, dialog, dialog->bye_of_caller ? "caller" : "callee");
}

/* Without a BYE. */
static void dialog_end_for(struct stw_calls *calls, struct call *call, struct dialog *dialog,
	const struct stw_cause *cause)
{
	if (call->dialogs == dialog && !dialog->next)
		call->cause = cause->id;
	dialog_end(calls, call, dialog, "server");
}

/* ---- what the stack tells ------------------------------------------------------------------ */

static const char *refused_by(const struct call *call, const struct stw_note *note)
{
	if (call->cancelled)
		return "caller";
	return note->relayed ? "callee" : "server";
}

/* Who is asked for credentials comes again: that is the call. */
static bool is_challenge(unsigned code)
{
	return code == 401 || code == 407;
}

/* RFC 5057 §5.3, "any third party": what fails within the INVITE usage may end it, anything else
 * only with the whole dialog. A 481 to PRACK is about the provisional response (RFC 3262 §3). */
static bool ends_usage(enum stw_method method, unsigned code)
{
	bool within = method == STW_METHOD_INVITE || method == STW_METHOD_UPDATE ||
		      method == STW_METHOD_INFO;

	switch (stw_dialog_effect(code, stw_method_is_integral(method))) {
	case STW_DIALOG_USAGE_ENDS:
		return within;
	case STW_DIALOG_ENDS:
		return true;
	default:
		return false;
	}
}

static void invite_response_in(
	struct stw_calls *calls, struct call *call, const struct stw_note *note)
{
	const struct stw_cause *misfit = &stw_cause_bad_response_downstream;

	/* It is no answer: the one who is called has not taken this call. */
	if (note->misfit) {
		if (note->code >= 200)
			leg_end(call, note, misfit->code, misfit);
		return;
	}
	if (note->code >= 200)
		leg_end(call, note, note->code, NULL);
	else if (note->code >= 180 && !call->ring_ms)
		call->ring_ms = calls->now.wall_ms;
	if (note->code / 100 == 2)
		call_answered(calls, call, note);
}

/* What goes up to who has made the call: that of a copy that came back to us goes elsewhere. */
static void invite_response_out(
	struct stw_calls *calls, struct call *call, const struct stw_note *note)
{
	if (note->code < 200 || call->dialogs || (note->relayed && note->code < 300) ||
		!call_is_of(calls, call, note->msg))
		return;
	/* Answered here, or asked again: no call that has passed. */
	if (note->code < 300 || is_challenge(note->code)) {
		call_free(calls, call);
		return;
	}
	call->code = note->code;
	call->cause = note->cause ? note->cause->id : NULL;
	call_end(calls, call, refused_by(call, note));
}

static void note_invite(struct stw_calls *calls, struct call *call, const struct stw_note *note)
{
	if (note->method != STW_METHOD_INVITE) {
		call->cancelled |= note->kind == STW_NOTE_REQUEST_IN;
		return;
	}
	switch (note->kind) {
	case STW_NOTE_REQUEST_OUT:
		leg_begin(calls, call, note);
		break;
	case STW_NOTE_RESPONSE_IN:
		invite_response_in(calls, call, note);
		break;
	case STW_NOTE_RESPONSE_OUT:
		invite_response_out(calls, call, note);
		break;
	case STW_NOTE_TIMEOUT:
	case STW_NOTE_FAILURE:
		leg_end(call, note, note->cause ? note->cause->code : 408, note->cause);
		break;
	default:
		break;
	}
}

/* A place that has answered. */
static bool has_answered_at(const struct call *call, struct stw_str uri)
{
	const struct leg *leg = call->legs;

	while (leg && !(leg->code / 100 == 2 && stw_str_equal(leg->target, uri)))
		leg = leg->next;
	return leg;
}

/* It goes where the dialog does: by its mark; or a phone has lost that, and asks for the user. */
static bool bye_goes_there(const struct call *call, const struct stw_note *note)
{
	return note->in_dialog ||
	       (note->target && !note->routed && has_answered_at(call, note->target->uri));
}

/* Who knows its names may send a BYE of them to anywhere. */
static void dialog_request_out(struct stw_calls *calls, struct call *call, struct dialog *dialog,
	const struct stw_note *note)
{
	if (note->method != STW_METHOD_BYE || dialog->bye_ms || !bye_goes_there(call, note))
		return;
	dialog->bye_ms = calls->now.wall_ms;
	dialog->bye_due_ms = calls->now.mono_ms + BYE_MS;
	dialog->bye_of_caller = text_hash(calls, note->msg->from.tag) == call->from_tag;
	call_schedule(calls, call);
}

static void dialog_response_in(struct stw_calls *calls, struct call *call, struct dialog *dialog,
	const struct stw_note *note)
{
	if ((note->method != STW_METHOD_INVITE && note->method != STW_METHOD_UPDATE) ||
		note->code / 100 != 2 || note->misfit)
		return;
	dialog_refresh(calls, dialog, note);
	call_schedule(calls, call);
}

/* Only what went through within the dialog says something of it: who knows its names sends us what
 * we refuse, or what goes elsewhere. We speak for a phone only when it has said nothing. */
static bool ends_without_bye(const struct stw_note *note)
{
	bool silence =
		note->cause == &stw_cause_branch_timeout || note->cause == &stw_cause_timer_c;

	return note->in_dialog && (note->relayed || silence) &&
	       ends_usage(note->method, note->code);
}

/* Else it is as if none had come, and the call goes on at the other side (a challenge, a CSeq that
 * is too low). */
static bool bye_is_taken(unsigned code)
{
	return code / 100 == 2 || stw_dialog_effect(code, true) != STW_DIALOG_STAYS;
}

static void dialog_response_out(struct stw_calls *calls, struct call *call, struct dialog *dialog,
	const struct stw_note *note)
{
	bool bye = note->method == STW_METHOD_BYE;

	/* A BYE that was refused on its way has not ended it. */
	if (note->code < 200 || (bye ? !dialog->bye_ms : !ends_without_bye(note)))
		return;
	if (bye && !bye_is_taken(note->code))
		dialog->bye_ms = dialog->bye_due_ms = 0;
	else if (dialog->bye_ms)
		dialog_end_bye(calls, call, dialog);
	else
		dialog_end_for(calls, call, dialog, &stw_cause_dialog_lost);
}

static void note_dialog(struct stw_calls *calls, struct call *call, struct dialog *dialog,
	const struct stw_note *note)
{
	switch (note->kind) {
	case STW_NOTE_REQUEST_OUT:
		dialog_request_out(calls, call, dialog, note);
		break;
	case STW_NOTE_RESPONSE_IN:
		dialog_response_in(calls, call, dialog, note);
		break;
	case STW_NOTE_RESPONSE_OUT:
		dialog_response_out(calls, call, dialog, note);
		break;
	case STW_NOTE_TIMEOUT:
	case STW_NOTE_FAILURE:
		if (note->method == STW_METHOD_BYE && dialog->bye_ms)
			dialog_end_bye(calls, call, dialog);
		break;
	default:
		break;
	}
}

bool stw_calls_talk(const struct stw_calls *calls, const struct stw_msg *request)
{
	struct stw_str uri = stw_msg_text(request, request->uri_at, request->uri_len);
	struct names names;
	struct stw_node *node;

	if (!request->to.tag.len || !calls->table.count)
		return false;
	names = names_of(calls, request);
	for (node = names.first; node; node = stw_table_next_same(node)) {
		const struct call *call = STW_CONTAINER_OF(node, struct call, node);

		if (dialog_find(call, &names) &&
			(call->uri == uri_hash(calls, request) || has_answered_at(call, uri)))
			return true;
	}
	return false;
}

/* An element that hides where a request was before may have made several calls of one dialog. */
static void note_dialogs(
	struct stw_calls *calls, const struct names *names, const struct stw_note *note)
{
	struct stw_node *node = names->first, *next;

	for (; node; node = next) {
		struct call *call = STW_CONTAINER_OF(node, struct call, node);
		struct dialog *dialog = dialog_find(call, names);

		next = stw_table_next_same(node);
		if (dialog)
			note_dialog(calls, call, dialog, note);
	}
}

static bool is_invite(const struct stw_msg *request)
{
	return request->method == STW_METHOD_INVITE || request->method == STW_METHOD_CANCEL;
}

void stw_calls_note(struct stw_calls *calls, const struct stw_note *note)
{
	/* Whose call it is says the request, whatever a response names. */
	const struct stw_msg *msg = note->misfit ? note->request : note->msg, *request;
	struct call *call = NULL;
	struct names names;
	bool unknown;

	if (!msg || !msg->has_call_id || !msg->has_from || !msg->has_to)
		return;
	names = names_of(calls, msg);
	if (!names.first)
		return;
	request = msg->is_request ? msg : note->request;
	unknown = !request && msg->cseq.method == STW_METHOD_INVITE;
	if (unknown || (request && is_invite(request)))
		call = call_of_invite(calls, &names, request ? request : msg);
	if (call)
		note_invite(calls, call, note);
	else if (!request || !is_invite(request) || request->to.tag.len)
		note_dialogs(calls, &names, note);
}

/* ---- time ---------------------------------------------------------------------------------- */

static void call_end_for(struct stw_calls *calls, struct call *call, const struct stw_cause *cause)
{
	call->cause = cause->id;
	call_end(calls, call, "server");
}

/* @return true: the call is gone */
static bool dialogs_expire(struct stw_calls *calls, struct call *call)
{
	struct dialog *dialog = call->dialogs, *next;

	for (; dialog; dialog = next) {
		bool last = call->dialogs == dialog && !dialog->next;

		next = dialog->next;
		if (dialog->bye_due_ms && dialog->bye_due_ms <= calls->now.mono_ms) {
			dialog_end_bye(calls, call, dialog);
		} else if (dialog->expires_ms && dialog->expires_ms <= calls->now.mono_ms) {
			dialog_end_for(calls, call, dialog, &stw_cause_session_expired);
		} else {
			continue;
		}
		if (last)
			return true;
	}
	return false;
}

void stw_calls_timers(struct stw_calls *calls)
{
	struct stw_timer *timer;

	if (!calls->table.count)
		return;
	while ((timer = stw_wheel_expire(&calls->wheel, calls->now.mono_ms))) {
		struct call *call = timer->owner;

		if (dialogs_expire(calls, call))
			continue;
		if (call->began.mono_ms + calls->options.max_age_s * UINT64_C(1000) <=
			calls->now.mono_ms)
			call_end_for(calls, call, &stw_cause_call_max_age);
		else
			call_schedule(calls, call);
	}
}
