/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 3263 §5 and RFC 3261 §18.2.2: where else a response goes. When the connection of the request
 * is gone and a new one fails, or a datagram is refused, sent-by is looked up: its SRV records, or
 * its addresses when it has a port. Likewise a maddr that is a name. Only requests that had
 * a transaction are worth it: for others nothing is kept that could be sent again.
 */
#include <strowger/stack.h>

#include <errno.h>

#include "internal.h"

/* So many at a time: they are asked for strangers, too, and each holds what a name of a target may
 * need until a slow server has answered. */
#define LOOKUPS_MAX 16u

static void replying_unlist(struct box *box)
{
	if (!box->replying_link)
		return;
	*box->replying_link = box->replying_next;
	if (box->replying_next)
		box->replying_next->replying_link = box->replying_link;
	box->replying_link = NULL;
}

/* Another connection carries the response. Where it was asked for, whether it opens is not known:
 * the request stays until then, though its transaction may have ended (Timer J is zero on streams).
 */
void reply_takes(struct box *box, struct stw_flow_id flow)
{
	struct stw_stack *stack = box->request.stack;

	replying_unlist(box);
	box->reply.flow = flow;
	if (!box->alive || !stw_flows_is_opening(stack->flows, flow))
		return;
	box->replying_next = stack->replying;
	box->replying_link = &stack->replying;
	if (stack->replying)
		stack->replying->replying_link = &box->replying_next;
	stack->replying = box;
}

/* A connection is opening, or a name is asked for. */
bool reply_is_on_its_way(const struct box *box)
{
	return box->replying_link || stw_timer_running(&box->reply_lookup.timer);
}

static void reply_asks_no_more(struct box *box)
{
	if (box->reply_asks)
		box->request.stack->reply_lookups--;
	box->reply_asks = false;
}

void reply_place_end(struct box *box)
{
	replying_unlist(box);
	reply_asks_no_more(box);
	if (box->reply_lookup.stack)
		lookup_end(&box->reply_lookup);
}

/* ---- no way to the sender --------------------------------------------------------------------
 */

/* §17.2.4: the transaction is told. */
void reply_failed(struct box *box)
{
	struct stw_tx *tx = box->request.tx;
	unsigned actions;

	if (!tx)
		return;
	actions = stw_tx_transport_error(tx, box->request.stack->now);
	reply_tx_actions(tx, actions & ~(unsigned)STW_TX_SEND);
}

/* And so is its user, when nobody would hear what is still to come: behind what is being done now,
 * which may be his work. Without memory the next response finds it out. */
void reply_unheard(struct box *box)
{
	struct stw_stack *stack = box->request.stack;
	struct stw_tx *tx = box->request.tx;

	if (!tx || tx->method != STW_METHOD_INVITE || box->request.answered)
		return;
	if (!box->unheard) {
		box->unheard = stw_arena_alloc(&box->request.arena, sizeof(*box->unheard));
		if (!box->unheard)
			return;
		*box->unheard = (struct stw_timer){ .kind = TIMER_UNHEARD, .owner = box };
	}
	stw_timer_start(&stack->wheel, box->unheard, stack->now.mono_ms);
}

/* ---- the look-up --------------------------------------------------------------------------- */

static bool reply_next_place(struct box *box)
{
	while (box->reply_next < box->reply_count) {
		const struct stw_place *place = &box->reply_places[box->reply_next++];
		struct stw_hop hop = { .transport = place->transport, .remote = place->addr };

		if (stack_choose_listener(box->request.stack, &box->request.source, &hop) < 0)
			continue;
		replying_unlist(box); /* what opens is for the place before */
		box->reply = hop;
		box->refusal = (struct refusal){ 0 };
		box->reply_moved = true;
		box->reply_is_name = false;
		return true;
	}
	return false;
}

static void reply_nowhere(struct box *box)
{
	stack_drop(box->request.stack, &box->request.source, box->request.msg,
		&stw_cause_via_unusable);
	if (box->reply_is_name || box->reply_gone)
		reply_unheard(box);
}

/* A later response has opened a connection, or found one, while sent-by was looked up. */
static bool reply_has_connection(const struct box *box)
{
	struct stw_hop hop;

	return !box->reply_is_name && stw_transport_reliable(box->reply.transport) &&
	       stw_flows_hop(box->request.stack->flows, box->reply.flow, &hop);
}

static void reply_located(struct lookup *lookup)
{
	struct box *box = STW_CONTAINER_OF(lookup, struct box, reply_lookup);

	reply_asks_no_more(box);
	if (stw_locate_state(lookup->locate) == STW_LOCATE_READY)
		box->reply_places = stw_locate_places(lookup->locate, &box->reply_count);
	stack_dirty(box);
	if (reply_has_connection(box))
		return;
	if (reply_next_place(box))
		reply_again(box);
	else
		reply_nowhere(box);
}

/* Once for each request. @return false: there is nothing to look up */
static bool reply_look_up(struct box *box, struct stw_str name, uint16_t port)
{
	struct lookup *lookup = &box->reply_lookup;
	struct stw_stack *stack = box->request.stack;

	if (lookup->stack || !box->alive || !stw_dns_name_valid(name) ||
		stack->reply_lookups >= LOOKUPS_MAX)
		return false;
	stack->reply_lookups++;
	box->reply_asks = true;
	lookup->stack = stack;
	lookup->random = &lookup->stack->random;
	lookup->done = reply_located;
	lookup->where = (struct stw_target){ .transport = box->request.source.transport,
		.transport_given = true,
		.host = name,
		.host_kind = STW_HOST_NAME,
		.port = port,
		.port_given = port,
		.need_resolve = true };
	if (lookup_begin(lookup, &box->request.arena) == 0)
		return true;
	reply_asks_no_more(box);
	return false;
}

/* What was tried has failed; `gone`: and will fail again. @return true: another place is tried, or
 * looked for */
bool reply_try_elsewhere(struct box *box, bool gone)
{
	const struct stw_via *via = &box->request.msg->via;

	box->reply_gone = box->reply_gone || gone;
	if (reply_next_place(box)) {
		reply_again(box);
		return true;
	}
	return stw_timer_running(&box->reply_lookup.timer) ||
	       (via->host_kind == STW_HOST_NAME && reply_look_up(box, via->host, via->port));
}

/* §18.2.2: maddr has the port of sent-by, or the default one: there is no SRV record to ask for. */
void reply_find_maddr(struct box *box)
{
	const struct stw_via *via = &box->request.msg->via;
	uint16_t port = stw_transport_default_port(box->request.source.transport);

	if (!box->reply_lookup.stack &&
		!reply_look_up(box, via->maddr, via->port ? via->port : port))
		reply_nowhere(box);
}

/* ---- what the network says ------------------------------------------------------------------ */

void reply_flow_opened(struct stw_stack *stack, struct stw_flow_id flow)
{
	struct box *box, *next;

	for (box = stack->replying; box; box = next) {
		next = box->replying_next;
		if (!stw_flow_id_equal(box->reply.flow, flow))
			continue;
		replying_unlist(box);
		stack_dirty(box);
	}
}

void reply_flow_closed(struct stw_stack *stack, struct stw_flow_id flow)
{
	struct box *box, *next;

	for (box = stack->replying; box; box = next) {
		next = box->replying_next;
		if (!stw_flow_id_equal(box->reply.flow, flow))
			continue;
		replying_unlist(box);
		if (!reply_try_elsewhere(box, true)) {
			reply_failed(box);
			reply_unheard(box);
		}
		stack_dirty(box);
	}
}

/* A datagram was refused: the responses that went there. That nobody has the port is the word of
 * the host itself (RFC 1122 §3.2.2.1), while a way there may come back. */
unsigned reply_send_failed(struct stw_stack *stack, const struct stw_io_event *event)
{
	bool nobody = event->error == ECONNREFUSED || event->error == -ECONNREFUSED;
	unsigned seen = 0;
	struct box *box;

	for (box = stack->live; box; box = box->live_next) {
		seen++;
		if (!box->response || box->reply.transport != event->hop.transport ||
			!stw_addr_equal(&box->reply.remote, &event->hop.remote))
			continue;
		if (!refusal_is_sure(&box->refusal, box->request.msg->via.branch, event)) {
			box->refusal.last |= event->len == 0;
		} else if (!reply_try_elsewhere(box, nobody) && nobody && !box->request.answered) {
			reply_failed(box);
			reply_unheard(box);
		}
	}
	return seen;
}
