/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 3261 §10.3 steps 6 and 7: the bindings that are and a request give the bindings that will be.
 */
#include <strowger/registrar.h>

#include <errno.h>
#include <stdlib.h>

#define DRAFT_FEW 8

/* The tentative bindings. */
struct draft {
	const struct stw_register *request;
	struct stw_binding *v, few[DRAFT_FEW];
	unsigned n, added;
	bool changed;
};

/* "If they are the same, the registrar compares the CSeq value": a late or repeated REGISTER. */
static bool out_of_order(const struct stw_binding *binding, const struct stw_register *request)
{
	return stw_str_equal(binding->call_id, request->call_id) && request->cseq <= binding->cseq;
}

/* A contact named twice in one request is not out of order with itself: the later one counts. */
static bool is_of_request(const struct draft *draft, const struct stw_binding *binding)
{
	return binding->call_id.ptr == draft->request->call_id.ptr;
}

static unsigned draft_find(const struct draft *draft, struct stw_str text)
{
	struct stw_uri uri, other;
	bool valid = stw_uri_parse(text, &uri) == 0;
	unsigned i;

	for (i = 0; i < draft->n; i++) {
		if (stw_str_equal(draft->v[i].uri, text))
			break;
		if (valid && stw_uri_parse(draft->v[i].uri, &other) == 0 &&
			stw_uri_equal(&other, &uri))
			break;
	}
	return i;
}

static void draft_remove(struct draft *draft, unsigned at)
{
	for (draft->n--; at < draft->n; at++)
		draft->v[at] = draft->v[at + 1];
	draft->changed = true;
}

/* Step 6: "Contact: *" removes each binding, if the request is in order for all of them. */
static const struct stw_cause *draft_wildcard(struct draft *draft)
{
	unsigned i;

	for (i = 0; i < draft->n; i++)
		if (out_of_order(&draft->v[i], draft->request))
			return &stw_cause_register_out_of_order;
	draft->changed = draft->changed || draft->n > 0;
	draft->n = 0;
	return NULL;
}

/* Step 7 for one contact. */
static const struct stw_cause *draft_contact(struct draft *draft, const struct stw_binding *wanted,
	uint32_t expires_s, struct stw_now now)
{
	unsigned at = draft_find(draft, wanted->uri);
	struct stw_binding *granted;

	if (at < draft->n && !is_of_request(draft, &draft->v[at]) &&
		out_of_order(&draft->v[at], draft->request))
		return &stw_cause_register_out_of_order;
	if (!expires_s) {
		if (at < draft->n)
			draft_remove(draft, at);
		return NULL;
	}
	if (at == draft->n) {
		draft->n++;
		draft->added++;
	}
	granted = &draft->v[at];
	*granted = *wanted;
	granted->call_id = draft->request->call_id;
	granted->cseq = draft->request->cseq;
	granted->updated_ms = now.wall_ms;
	granted->expires_ms = now.wall_ms + (int64_t)expires_s * 1000;
	draft->changed = true;
	return NULL;
}

/* Room for what is and what comes. */
static int draft_start(struct draft *draft, const struct stw_bindings *old, struct stw_now now)
{
	size_t room = (old ? old->n : 0) + (size_t)draft->request->n, cursor = 0;

	draft->v = room <= DRAFT_FEW ? draft->few : malloc(room * sizeof(*draft->v));
	if (!draft->v)
		return -ENOMEM;
	while (old && stw_bindings_next(old, &cursor, &draft->v[draft->n])) {
		if (draft->v[draft->n].expires_ms > now.wall_ms)
			draft->n++;
		else
			draft->changed = true;
	}
	return 0;
}

/* RFC 2543 §6.13: "proxy" or "redirect". */
static bool action_differs(struct stw_str a, struct stw_str b)
{
	struct stw_str left, right;

	return stw_param_find(a, STW_STR("action"), &left) &&
	       stw_param_find(b, STW_STR("action"), &right) && !stw_str_equal_nocase(left, right);
}

/* Each contact of a request is of the same device as the others. */
static const struct stw_cause *draft_conflict(
	const struct draft *draft, const struct stw_registrar_options *options)
{
	const struct stw_binding *first = NULL;
	unsigned i;

	for (i = 0; i < draft->n && !first; i++)
		if (is_of_request(draft, &draft->v[i]))
			first = &draft->v[i];
	for (i = 0; first && i < draft->n; i++) {
		const struct stw_binding *other = &draft->v[i];

		if (options->rfc2543 && action_differs(first->params, other->params))
			return &stw_cause_action_conflict;
		if (!options->exclusive || is_of_request(draft, other) ||
			(first->instance.len && stw_str_equal(first->instance, other->instance)))
			continue;
		return options->rfc2543 ? &stw_cause_device_conflict_legacy
					: &stw_cause_device_conflict;
	}
	return NULL;
}

static const struct stw_cause *draft_apply(
	struct draft *draft, const struct stw_registrar_options *options, struct stw_now now)
{
	const struct stw_register *request = draft->request;
	const struct stw_register_contact *contacts = request->contacts;
	const struct stw_cause *cause = NULL;
	unsigned removals = 0, i;

	if (request->wildcard)
		return draft_wildcard(draft);
	for (i = 0; i < request->n; i++)
		removals += !contacts[i].expires_s;
	for (i = 0; i < request->n && !cause; i++) {
		cause = draft_contact(draft, &contacts[i].binding, contacts[i].expires_s, now);
		removals -= !contacts[i].expires_s;
		/* As soon as it is sure, as comparing costs time. A limit that was lowered later
		 * does not stop a phone from refreshing what it has. */
		if (!cause && draft->added && draft->n > options->max_bindings + removals)
			cause = &stw_cause_too_many_bindings;
	}
	if (!cause && (options->exclusive || options->rfc2543))
		cause = draft_conflict(draft, options);
	return cause;
}

const struct stw_cause *stw_register_apply(const struct stw_bindings *old,
	const struct stw_register *request, const struct stw_registrar_options *options,
	struct stw_now now, struct stw_bindings **ret)
{
	struct draft draft = { .n = 0 };
	const struct stw_cause *cause;
	struct stw_bindings *bindings;

	draft.request = request;
	if (draft_start(&draft, old, now) < 0)
		return &stw_cause_register_no_memory;
	cause = draft_apply(&draft, options, now);
	if (!cause) {
		bindings = stw_bindings_make(
			request->aor, (old ? old->version : 0) + draft.changed, draft.v, draft.n);
		if (bindings)
			*ret = bindings;
		else
			cause = &stw_cause_register_no_memory;
	}
	if (draft.v != draft.few)
		free(draft.v);
	return cause;
}
