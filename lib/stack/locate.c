/* SPDX-License-Identifier: Apache-2.0 */
/* Where a branch goes: the flow or source address of its binding, or what its URI leads to by
 * RFC 3263. */
#include <strowger/stack.h>

#include <errno.h>

#include "internal.h"

static struct stw_stack *locate_stack(const struct branch *branch)
{
	return branch->box->request.stack;
}

/* ---- places that failed ------------------------------------------------------------------- */

static const struct stw_place *branch_place(const struct branch *branch)
{
	return branch->lookup.locate && branch->place_next ? &branch->places[branch->place_next - 1]
							   : NULL;
}

/* RFC 3263 §4.3: others that are sent by this name meet it last for a while, at any worker. */
void branch_place_failed(struct branch *branch, uint32_t for_ms)
{
	struct stw_stack *stack = locate_stack(branch);
	const struct stw_place *place = branch_place(branch);

	if (place && for_ms &&
		stw_outages_add(stack->outages, place->transport, &place->addr, for_ms, stack->now))
		stack_tell_outage(stack, place, for_ms);
}

void branch_place_answered(struct branch *branch)
{
	struct stw_stack *stack = locate_stack(branch);
	const struct stw_place *place = branch_place(branch);

	if (place && stw_outages_remove(stack->outages, place->transport, &place->addr))
		stack_tell_outage(stack, place, 0);
}

/* ---- the look-up --------------------------------------------------------------------------------
 */

void lookup_end(struct lookup *lookup)
{
	stw_timer_stop(&lookup->stack->wheel, &lookup->timer);
	for (unsigned i = 0; i < lookup->waiter_count; i++)
		stw_dns_waiter_withdraw(&lookup->waiters[i]);
}

/* What is kept, or a question to the world. */
static void lookup_ask(
	struct lookup *lookup, unsigned question, struct stw_str name, enum stw_dns_type type)
{
	struct stw_stack *stack = lookup->stack;
	struct stw_dns_waiter *waiter = &lookup->waiters[question];
	struct stw_dns_answer answer = { .error = -ENOBUFS };
	uint64_t query;
	int found =
		stw_dns_cache_find(stack->names, name, type, stack->now, waiter, &answer, &query);

	waiter->owner = lookup;
	waiter->question = question;
	if (found == STW_DNS_ASKED)
		return;
	if (found == STW_DNS_ASK) {
		if (stack->options.io->resolve(stack->options.io_user, name, type, query) == 0)
			return;
		stw_dns_waiter_withdraw(waiter);
		stw_dns_cache_answered(stack->names, query, &answer, stack->now);
	}
	stw_locate_answer(lookup->locate, question, &answer);
}

static void lookup_run(struct lookup *lookup)
{
	struct stw_stack *stack = lookup->stack;
	uint64_t patience_ms = stack->now.mono_ms + LOCATE_PATIENCE_MS;
	enum stw_dns_type type;
	struct stw_str name;
	unsigned question;

	while (stw_locate_ask(lookup->locate, &question, &name, &type))
		lookup_ask(lookup, question, name, type);
	if (stw_locate_state(lookup->locate) == STW_LOCATE_ASKING) {
		if (stw_locate_usable(lookup->locate) && lookup->timer.due_ms > patience_ms)
			stw_timer_start(&stack->wheel, &lookup->timer, patience_ms);
		return;
	}
	lookup_end(lookup);
	lookup->done(lookup);
}

void lookup_expire(struct lookup *lookup)
{
	struct stw_stack *stack = lookup->stack;

	if (stack->now.mono_ms < lookup->end_ms && !stw_locate_usable(lookup->locate)) {
		stw_locate_skip_naptr(lookup->locate);
		stw_timer_start(&stack->wheel, &lookup->timer, lookup->end_ms);
	} else {
		stw_locate_finish(lookup->locate);
	}
	lookup_run(lookup);
}

void stack_resolved(struct stw_stack *stack, const struct stw_io_event *event)
{
	struct stw_dns_waiter *waiter;

	stw_dns_cache_answered(stack->names, event->query, event->answer, stack->now);
	while ((waiter = stw_dns_cache_told(stack->names))) {
		struct lookup *lookup = waiter->owner;

		stw_locate_answer(lookup->locate, waiter->question, event->answer);
		lookup_run(lookup);
	}
}

/* `where`, `stack`, `random` and `done` are filled; `done` may be called at once. @return 0,
 * -ENOMEM
 */
int lookup_begin(struct lookup *lookup, struct stw_arena *arena)
{
	struct stw_stack *stack = lookup->stack;
	const struct stw_stack_dns *dns = &stack->options.dns;
	unsigned max = stack->locate.max_questions;

	lookup->waiters = stw_arena_zalloc(arena, max * sizeof(*lookup->waiters));
	if (!lookup->waiters)
		return -ENOMEM;
	lookup->waiter_count = max;
	if (stw_locate_new(&stack->locate, &lookup->where, lookup->random, arena, &lookup->locate) <
		0)
		return -ENOMEM;
	lookup->timer = (struct stw_timer){ .kind = TIMER_LOCATE, .owner = lookup };
	lookup->end_ms = stack->now.mono_ms + dns->time_ms;
	stw_timer_start(&stack->wheel, &lookup->timer,
		dns->naptr_ms && dns->naptr_ms < dns->time_ms ? stack->now.mono_ms + dns->naptr_ms
							      : lookup->end_ms);
	lookup_run(lookup);
	return 0;
}

/* ---- of a branch ----------------------------------------------------------------------------- */

static void branch_lost(struct branch *branch, const struct stw_cause *cause)
{
	branch->box->lost_cause = cause;
	branch->box->lost_key = "name";
	branch->box->lost_name = branch->lookup.where.host;
	branch_fail(branch, cause);
}

static void branch_located(struct lookup *lookup)
{
	struct branch *branch = STW_CONTAINER_OF(lookup, struct branch, lookup);
	struct stw_stack *stack = lookup->stack;

	if (branch->unwanted) {
		branch_fail(branch, &stw_cause_cancelled);
		return;
	}
	if (stw_locate_state(lookup->locate) == STW_LOCATE_FAILED) {
		branch_lost(branch, stw_locate_cause(lookup->locate));
		return;
	}
	branch->places = stw_locate_places(lookup->locate, &branch->place_count);
	branch_teach_account(branch);
	if (branch->box->client)
		client_prefer(branch->box, branch->places, branch->place_count);
	stw_outages_order(stack->outages, branch->places, branch->place_count, stack->now);
	branch_next_place(branch);
}

/* §4.4: without state the same request has to take the same way each time. */
static struct stw_random *branch_random(struct branch *branch)
{
	struct stw_stack *stack = locate_stack(branch);
	struct stw_str call_id = branch->box->request.msg->call_id;

	if (!branch->stateless)
		return &stack->random;
	stw_random_seed(&branch->random, stw_hash(stack->options.key, call_id.ptr, call_id.len));
	return &branch->random;
}

/* What the core guards (stw_core_ops.guard), by its name or its address. */
static bool is_guarded(
	const struct stw_request *request, const struct stw_uri *uri, const struct stw_hop *hop)
{
	const struct stw_stack_options *options = &request->stack->options;

	return options->core->guard(options->core_user, request, uri, hop);
}

/* A name may lead to there, a Contact is most often an address of his: nobody who calls from a
 * place is kept from being there. As a source and as a place: it is not known by both alike. */
static bool caller_may_be_at(const struct stw_request *request, const struct stw_target *where)
{
	struct stw_hop there = request->source;

	return where->need_resolve || stw_addr_same_ip(&where->addr, &request->source.remote) ||
	       is_guarded(request, NULL, &request->source) || is_guarded(request, NULL, &there);
}

bool branch_is_there(const struct branch *branch)
{
	const struct stw_request *request = &branch->box->request;

	if (branch->target.granted && !branch->target.binding)
		return true;
	return request->routing.in_dialog && request->stack->options.core->guard &&
	       (is_guarded(request, NULL, &branch->hop) ||
		       is_guarded(request, &request->routing.uri, NULL));
}

bool place_is_barred(void *user, const struct stw_uri *place)
{
	const struct place_check *check = user;
	const struct stw_request *request = check->request;
	struct stw_target where = { .need_resolve = true };
	struct stw_hop there = { 0 };

	if (check->there || !request->stack->options.core->guard)
		return false;
	if (stw_target_from_uri(place, &where) < 0)
		where.need_resolve = true;
	there.remote = where.addr;
	if (!is_guarded(request, place, NULL) &&
		(where.need_resolve || !is_guarded(request, NULL, &there)))
		return false;
	if (!check->branch)
		return !check->caller || !caller_may_be_at(request, &where);
	return !branch_is_there(check->branch) &&
	       (where.need_resolve || !stw_addr_same_ip(&where.addr, &check->branch->hop.remote));
}

const struct stw_cause *branch_barred(
	struct branch *branch, const struct stw_uri *uri, const struct stw_hop *hop)
{
	const struct stw_request *request = &branch->box->request;
	const struct stw_stack_options *options = &request->stack->options;
	const struct stw_cause *cause;

	if (!options->core->guard || branch->box->client || branch->target.granted ||
		branch->stateless || request->routing.in_dialog ||
		request->msg->method == STW_METHOD_BYE || (hop && branch->target.has_hop))
		return NULL;
	cause = options->core->guard(options->core_user, request, uri, hop);
	if (!cause)
		return NULL;
	branch->box->lost_cause = cause;
	branch->box->lost_key = "destination";
	branch->box->lost_name = uri ? uri->host : branch->lookup.where.host;
	return cause;
}

/* ---- where to
 * --------------------------------------------------------------------------------------- */

/* ACKs that wait for a name, of each worker: no limit counts them otherwise, for an ACK is no
 * transaction, and is never refused. */
#define ACK_LOOKUPS_MAX 1024u

static void branch_ack_waits(struct branch *branch)
{
	struct stw_stack *stack = locate_stack(branch);

	if (stack->ack_lookups >= ACK_LOOKUPS_MAX) {
		branch_fail(branch, &stw_cause_acks_wait);
		return;
	}
	stack->ack_lookups++;
	branch->ack_waits = true;
}

static void branch_by_name(struct branch *branch)
{
	branch->state = BRANCH_RESOLVING;
	branch->lookup.random = branch_random(branch);
	branch->lookup.done = branch_located;
	if (lookup_begin(&branch->lookup, &branch->box->request.arena) < 0)
		branch_fail(branch, &stw_cause_out_of_memory);
	else if (branch->stateless && branch->state == BRANCH_RESOLVING && !branch->box->client)
		branch_ack_waits(branch);
}

/* What strangers write leads into this machine itself only where that is meant, as for names
 * (loopback_served() in transport/locate.c). In a dialog it is the Contact of the other side, which
 * our mark covers; after a target refresh the core knows (stw_route_target_of_to()). */
static bool branch_is_led_inside(const struct branch *branch)
{
	const struct stw_target *where = &branch->lookup.where;
	const struct stw_request *request = &branch->box->request;
	const struct stw_stack *stack = request->stack;

	return stw_addr_is_loopback(&where->addr) && !stack->locate.loopback &&
	       !stw_listeners_on_loopback(stack->options.listeners, where->transport) &&
	       !branch->box->client && !branch->target.granted && !branch->target.loopback &&
	       !request->routing.hop_known && !stw_addr_is_loopback(&request->source.remote);
}

/* RFC 3263 §4.1: a number without a transport is reached by UDP; another one only where we have not
 * even that, as for names (transport_by_default() in transport/locate.c). */
static void branch_choose_transport(struct branch *branch)
{
	const struct stw_listeners *listeners = locate_stack(branch)->options.listeners;
	struct stw_target *where = &branch->lookup.where;

	if (!where->transport_given && !where->sips &&
		stw_listener_for(listeners, STW_TRANSPORT_UDP, &where->addr, -1) < 0 &&
		stw_listener_for(listeners, STW_TRANSPORT_TCP, &where->addr, -1) >= 0)
		where->transport = STW_TRANSPORT_TCP;
}

static void branch_by_number(struct branch *branch)
{
	branch_choose_transport(branch);
	if (branch_is_led_inside(branch)) {
		branch_fail(branch, &stw_cause_target_is_loopback);
		return;
	}
	branch->number = (struct stw_place){ .transport = branch->lookup.where.transport,
		.addr = branch->lookup.where.addr };
	branch->places = &branch->number;
	branch->place_count = 1;
	branch_next_place(branch);
}

static void branch_by_uri(struct branch *branch)
{
	struct stw_request *request = &branch->box->request;
	struct stw_forward_options options = { .proxy = &request->stack->options.proxy,
		.request = request->msg,
		.routing = &request->routing,
		.target = &branch->target };
	const struct stw_cause *cause;
	struct stw_uri uri;
	int err;

	if (branch->box->client)
		err = client_next_hop(branch->box, &uri);
	else
		err = stw_forward_next_hop(&options, &request->arena, &uri);
	cause = err == 0 ? branch_barred(branch, &uri, NULL) : NULL;
	if (cause) {
		branch_fail(branch, cause);
		return;
	}
	if (err == 0)
		err = stw_target_from_uri(&uri, &branch->lookup.where);
	if (err < 0) {
		branch_fail(branch, err == -EBADMSG ? &stw_cause_target_not_unicast
						    : &stw_cause_transport_unsupported);
		return;
	}
	if (branch->lookup.where.need_resolve)
		branch_by_name(branch);
	else
		branch_by_number(branch);
}

void branch_locate(struct branch *branch)
{
	struct stw_stack *stack = locate_stack(branch);
	struct stw_hop hop;

	if (!branch->target.has_hop || branch->target.path.len) {
		branch_by_uri(branch);
		return;
	}
	if (!stw_transport_reliable(branch->target.hop.transport)) {
		branch->hop = branch->target.hop;
		branch_send(branch);
		return;
	}
	/* A flow token says which connection it is by its address. */
	if (branch->target.flow_out)
		stw_flows_find(stack->flows, branch->target.hop.transport,
			&branch->target.hop.remote, &branch->target.hop.flow);
	hop = branch->target.hop;
	if (stw_flows_hop(stack->flows, branch->target.hop.flow, &hop) &&
		!stw_flows_is_leaving(stack->flows, branch->target.hop.flow)) {
		branch->hop = hop;
		branch_send(branch);
		return;
	}
	/* The connection is gone: a Contact that accepts connections is still reached by a new one.
	 */
	branch->flow_gone = true;
	branch->target.has_hop = false;
	if (branch->target.hop_only)
		branch_fail(branch, branch_flow_cause(branch));
	else
		branch_by_uri(branch);
}
