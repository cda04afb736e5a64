/* SPDX-License-Identifier: Apache-2.0 */
/* The client side: one branch of a forwarded request, from its target to its last response. */
#include <strowger/stack.h>

#include <errno.h>
#include <string.h>

#include "internal.h"

static struct stw_stack *branch_stack(const struct branch *branch)
{
	return branch->box->request.stack;
}

/* How the place was found, or the name that led nowhere. */
static void note_place(
	const struct branch *branch, struct stw_refusal *facts, char *buffer, size_t size)
{
	struct stw_writer writer;

	if (!branch->lookup.locate)
		return;
	if (!branch->place_next) {
		stw_refusal_fact(facts, "name", branch->lookup.where.host);
		return;
	}
	stw_writer_init(&writer, buffer, size);
	stw_place_rule(&branch->places[branch->place_next - 1], &writer);
	stw_refusal_fact(facts, "found", stw_writer_text(&writer));
}

static void branch_note(struct branch *branch, enum stw_note_kind kind,
	const struct stw_cause *cause, struct stw_str method)
{
	struct stw_refusal facts = { .cause = cause };
	char buffer[2 * STW_DNS_NAME_MAX + 64];
	struct stw_note note = { .kind = kind,
		.hop = &branch->hop,
		.msg = branch->box->request.msg,
		.cause = cause,
		.method = branch->box->request.msg->method,
		.method_name = method,
		.in_dialog = branch->box->request.routing.in_dialog,
		.routed = branch->box->request.routing.has_route,
		.uri = branch->target.uri,
		.target = &branch->target };

	if (!note.method_name.len)
		note.method_name = stw_msg_method_name(note.msg);
	note_place(branch, &facts, buffer, sizeof(buffer));
	if (facts.fact_count)
		note.refusal = &facts;
	stack_note(branch_stack(branch), &note);
}

static void branch_unlist(struct branch *branch)
{
	if (!branch->listed_link)
		return;
	*branch->listed_link = branch->listed_next;
	if (branch->listed_next)
		branch->listed_next->listed_link = branch->listed_link;
	branch->listed_link = NULL;
}

static struct branch **flow_list(struct stw_stack *stack, struct stw_flow_id flow)
{
	return &stack->on_flows[flow.slot % FLOW_LISTS];
}

/* Where an event of its flow or address looks. */
static void branch_list(struct branch *branch)
{
	struct stw_stack *stack = branch_stack(branch);
	struct branch **list = stw_transport_reliable(branch->hop.transport)
				       ? flow_list(stack, branch->hop.flow)
				       : &stack->on_datagrams;

	branch_unlist(branch);
	branch->listed_next = *list;
	branch->listed_link = list;
	if (*list)
		(*list)->listed_link = &branch->listed_next;
	*list = branch;
}

/* No event of a flow or address, and no timer, finds it any more. */
static void branch_withdraw(struct branch *branch)
{
	struct stw_stack *stack = branch_stack(branch);

	branch_unlist(branch);
	stw_timer_stop(&stack->wheel, &branch->timer_c);
	stw_timer_stop(&stack->wheel, &branch->fallback);
	stw_timer_stop(&stack->wheel, &branch->cancel_wait);
	stw_timer_stop(&stack->wheel, &branch->place_timer);
	lookup_end(&branch->lookup);
	if (branch->ack_waits)
		stack->ack_lookups--;
	branch->ack_waits = false;
}

/* The memory is the request's; only what was registered elsewhere is undone. */
struct branch *branch_free(struct branch *branch)
{
	branch_withdraw(branch);
	stw_block_release(branch->cancel, &branch_stack(branch)->large_bytes);
	ack_free(branch->ack);
	return NULL;
}

static void branch_end(struct branch *branch)
{
	branch->state = BRANCH_ENDED;
	branch_withdraw(branch);
	stack_dirty(branch->box);
}

/* The branch cannot go on: the context decides what that means for the call. */
void branch_fail(struct branch *branch, const struct stw_cause *cause)
{
	if (branch->state == BRANCH_ENDED)
		return;
	branch_note(branch, STW_NOTE_FAILURE, cause, STW_STR_NONE);
	branch_end(branch);
	if (branch->box->client)
		client_failed(branch->box, cause);
	if (!branch->box->context)
		return;
	stw_response_context_failed(branch->box->context, branch->index, cause);
	forward_run(branch->box);
}

/* ---- build and send -------------------------------------------------------------------- */

/* RFC 6665 §4.3: a NOTIFY may be what makes the dialog, but only where its SUBSCRIBE was ours too.
 */
static bool branch_records_route(const struct stw_request *request)
{
	enum stw_method method = request->msg->method;

	return method == STW_METHOD_INVITE || method == STW_METHOD_SUBSCRIBE ||
	       method == STW_METHOD_REFER ||
	       (method == STW_METHOD_NOTIFY && request->routing.in_dialog);
}

static int branch_record_route(
	struct branch *branch, struct stw_str sent_by, struct stw_str branch_id)
{
	struct stw_request *request = &branch->box->request;
	struct stw_record_route_options options = { .request = request->msg,
		.in = { .transport = request->source.transport },
		.out = { .transport = branch->hop.transport, .sent_by = sent_by },
		.branch = branch_id };
	struct place_check check = { .request = request, .caller = true };
	char buffer[300];

	if (!branch_records_route(request))
		return 0;
	options.bar = (struct stw_proxy_bar){ place_is_barred, &check };
	if (branch->target.flow_in || branch->target.flow_out)
		options.flow = branch->target.flow_in ? &request->source : &branch->hop;
	options.in.sent_by =
		stack_sent_by(request->stack, &request->source, buffer, sizeof(buffer));
	return stw_record_route_write(
		&request->stack->options.proxy, &options, &request->arena, &branch->record_route);
}

/* RFC 3327 §5.2 */
static int branch_path(struct branch *branch, struct stw_str sent_by, struct stw_str *ret)
{
	struct stw_request *request = &branch->box->request;
	struct stw_record_route_side out = { .transport = branch->hop.transport,
		.sent_by = sent_by };

	return stw_path_write(&request->stack->options.proxy, &request->source, &out,
		branch->target.path_require, &request->arena, ret);
}

/* Our Via value, §16.6 step 8. */
static int branch_via(const struct branch *branch, struct stw_str sent_by, struct stw_str branch_id,
	struct stw_str *ret)
{
	size_t bytes = sizeof("SIP/2.0/TLS-SCTP ;rport;branch=" STW_RESTRAINT_PARAMS) +
		       sent_by.len + branch_id.len;
	char *buffer = stw_arena_bytes(&branch->box->request.arena, bytes);
	struct stw_writer writer;

	if (!buffer)
		return -ENOMEM;
	stw_writer_init(&writer, buffer, bytes);
	stw_write_text(&writer, "SIP/2.0/");
	stw_write_str(&writer, stw_transport_name(branch->hop.transport));
	stw_write_char(&writer, ' ');
	stw_write_str(&writer, sent_by);
	if (branch->hop.transport == STW_TRANSPORT_UDP)
		stw_write_text(&writer, ";rport");
	stw_write_text(&writer, ";branch=");
	stw_write_str(&writer, branch_id);
	if (branch->server)
		stw_write_text(&writer, STW_RESTRAINT_PARAMS);
	*ret = stw_writer_text(&writer);
	return writer.overflow ? -ENOBUFS : 0;
}

/* The request for branch->hop, with our Via; `branch_id` names the transaction. */
static int branch_build(struct branch *branch, struct stw_str branch_id)
{
	struct stw_request *request = &branch->box->request;
	struct stw_forward_options options = { .proxy = &request->stack->options.proxy,
		.request = request->msg,
		.routing = &request->routing,
		.target = &branch->target,
		.stamp = &request->stamp,
		.max_breadth = branch->max_breadth };
	char buffer[300];
	struct stw_str sent_by =
		stack_sent_by(request->stack, &branch->hop, buffer, sizeof(buffer));
	int err;

	err = branch_via(branch, sent_by, branch_id, &options.via);
	if (branch->box->client)
		return err < 0 ? err : client_build(branch, options.via);
	if (err == 0)
		err = branch_record_route(branch, sent_by, branch_id);
	options.record_route = branch->record_route.lines;
	if (err == 0 && branch->target.add_path)
		err = branch_path(branch, sent_by, &options.path);
	if (branch->box->service) {
		options.diversion = branch->box->service->diversion;
		options.history = branch->box->service->history;
		options.without = branch->box->service->without;
		options.without_count = branch->box->service->without_count;
	}
	options.credentials = branch->credentials;
	options.consumed = request->consumed;
	if (err == 0)
		err = stw_forward_build(&options, &request->arena, &branch->sent);
	return err;
}

static bool branch_may_fall_back(const struct branch *branch)
{
	return branch->tcp_tried && branch->hop.transport == STW_TRANSPORT_TCP && branch->tx &&
	       branch->state == BRANCH_SENDING && branch->tx->last_code == 0;
}

/* TCP did not take the large request: the datagram goes after all, same transaction (§18.1.1).
 * @return 0; -ENOENT, -ENOMEM: that way is closed too */
static int branch_fall_back(struct branch *branch)
{
	struct stw_stack *stack = branch_stack(branch);
	struct stw_hop hop = branch->hop;
	int err;

	stw_timer_stop(&stack->wheel, &branch->fallback);
	hop.transport = STW_TRANSPORT_UDP;
	hop.flow = (struct stw_flow_id){ 0 };
	err = stack_choose_listener(stack, &branch->box->request.source, &hop);
	if (err < 0)
		return err;
	branch_unlist(branch);
	branch->hop = hop;
	err = branch_build(branch, branch->tx->branch);
	if (err < 0)
		return err;
	branch_tx_actions(branch, branch->tx,
		stw_tx_resend(branch->tx, branch->sent, false, stack->now), NULL);
	return 0;
}

static void branch_transport_error(struct branch *branch, struct stw_tx *tx)
{
	if (tx == branch->tx && branch_may_fall_back(branch) && branch_fall_back(branch) == 0)
		return;
	branch_tx_actions(branch, tx, stw_tx_transport_error(tx, branch_stack(branch)->now), NULL);
}

static void branch_transmit(struct branch *branch, struct stw_tx *tx, struct stw_slices slices)
{
	struct stw_stack *stack = branch_stack(branch);

	stack->stats.requests_out++;
	if (tx && tx == branch->tx)
		refusal_sent(&branch->refusal);
	if (stack_send(stack, &branch->hop, slices) == 0) {
		/* A CANCEL may have opened another flow. */
		if (branch->state == BRANCH_SENDING &&
			(!branch->listed_link || stw_transport_reliable(branch->hop.transport)))
			branch_list(branch);
		return;
	}
	if (tx)
		branch_transport_error(branch, tx);
	else
		branch_note(branch, STW_NOTE_FAILURE, &stw_cause_transport_error, STW_STR_NONE);
}

/* A connection to the hop that is not known to be still opening takes the request at once. */
static bool branch_finds_open_flow(const struct stw_stack *stack, const struct stw_hop *hop)
{
	struct stw_flow_id flow;

	return stw_flows_find(stack->flows, hop->transport, &hop->remote, &flow) == 0 &&
	       !stw_flows_is_opening(stack->flows, flow);
}

/* A request that is too large for a datagram goes by TCP if we have it (§18.1.1). Without a
 * transaction only where a connection is open: nothing would notice that TCP did not take it. */
static bool branch_goes_large(struct branch *branch)
{
	struct stw_stack *stack = branch_stack(branch);
	struct stw_hop hop = branch->hop;

	if (branch->hop.transport != STW_TRANSPORT_UDP || !stack->options.udp_oversize_tcp ||
		branch->target.has_hop || branch->tcp_tried ||
		stw_slices_bytes(branch->sent) <= STW_UDP_REQUEST_BYTES_MAX)
		return false;
	hop.transport = STW_TRANSPORT_TCP;
	if (branch->stateless && !branch_finds_open_flow(stack, &hop))
		return false;
	if (stack_choose_listener(stack, &branch->box->request.source, &hop) < 0)
		return false;
	branch->hop = hop;
	branch->tcp_tried = true;
	return true;
}

/* RFC 4320 §4.1: the client waits 64*T1, however many addresses the name has. So each of them has
 * only its share of that time, or of its level's, to say something. */
static void branch_share_time(struct branch *branch)
{
	struct stw_stack *stack = branch_stack(branch);
	const struct box *box = branch->box;
	uint64_t end_ms = box->no_answer.due_ms, share_ms;

	if (stw_timer_running(&box->expires) && box->expires.due_ms < end_ms)
		end_ms = box->expires.due_ms;
	if (branch->tx->method == STW_METHOD_INVITE || branch->place_next >= branch->place_count ||
		!stw_timer_running(&box->no_answer) || end_ms <= stack->now.mono_ms)
		return;
	share_ms = (end_ms - stack->now.mono_ms) / (branch->place_count - branch->place_next + 1);
	if (share_ms < NEXT_PLACE_MIN_MS)
		share_ms = NEXT_PLACE_MIN_MS;
	stw_timer_start(&stack->wheel, &branch->place_timer, stack->now.mono_ms + share_ms);
}

static void branch_open_transaction(
	struct branch *branch, struct stw_str branch_id, uint64_t hash)
{
	struct stw_stack *stack = branch_stack(branch);
	const struct stw_msg *msg = branch->box->request.msg;
	struct stw_tx_client_options options = { .method = msg->method,
		.method_name = stw_msg_method_name(msg),
		.branch = branch_id,
		.hash = hash,
		.request = branch->sent,
		.reliable = stw_transport_reliable(branch->hop.transport) };
	bool may_hang = branch->tcp_tried && !branch_finds_open_flow(stack, &branch->hop);
	unsigned actions;

	if (stw_tx_client_new(stack->transactions, &options, stack->now, &branch->tx, &actions) <
		0) {
		branch->tx = NULL;
		branch_fail(branch, &stw_cause_out_of_memory);
		return;
	}
	branch->tx->user = branch;
	branch->state = BRANCH_SENDING;
	branch_note(branch, STW_NOTE_REQUEST_OUT, NULL, STW_STR_NONE);
	branch_share_time(branch);
	branch_tx_actions(branch, branch->tx, actions, NULL);
	if (may_hang && branch_may_fall_back(branch))
		stw_timer_start(
			&stack->wheel, &branch->fallback, stack->now.mono_ms + TCP_FALLBACK_MS);
}

/* ---- restraint, RFC 7339 §5.4, §5.5 ---------------------------------------------------- */

/* Another server: along a Route or Path, or to a domain that is not ours. A binding is a phone, and
 * so is most often who is named in a dialog without a Route. */
static bool branch_goes_to_server(const struct branch *branch)
{
	const struct stw_request *request = &branch->box->request;

	if (branch->target.path.len || request->routing.has_route)
		return true;
	return !branch->target.has_hop && !branch->target.binding && !request->routing.in_dialog;
}

static bool branch_admitted(const struct branch *branch)
{
	struct stw_request *request = &branch->box->request;
	struct stw_stack *stack = request->stack;

	return stw_restraint_admit(stack->restraint, &branch->hop.remote,
		stw_overload_classify(request->msg, request->routing.in_dialog, true), stack->now,
		&stack->random);
}

/* Nothing goes to this address: another one of the name may do (RFC 3263 §4.3, RFC 7339 §5.10). */
static void branch_skip_place(struct branch *branch, const struct stw_cause *cause)
{
	if (branch->place_next < branch->place_count)
		branch_next_place(branch);
	else
		branch_fail(branch, cause);
}

/* What the server at the other end of a client transaction says in our Via. */
void branch_heard(struct stw_tx *tx, const struct stw_via *via)
{
	const struct branch *branch = tx->user_kind == USER_REQUEST ? tx->user : NULL;

	if (via->has_oc && branch && branch->server)
		stw_restraint_response(branch_stack(branch)->restraint, &branch->hop.remote, via,
			branch_stack(branch)->now);
}

/* Gives the hop a listener. A phone that is reached where it came from is reached from where it
 * knows us: its address translation lets nothing else in. @return NULL, or why it is not sent there
 */
static const struct stw_cause *branch_unsendable(struct branch *branch)
{
	struct stw_request *request = &branch->box->request;
	struct stw_hop like = branch->target.has_hop ? branch->hop : request->source;
	const struct stw_cause *cause;

	if (stack_choose_listener(request->stack, &like, &branch->hop) < 0)
		return &stw_cause_no_listener;
	cause = branch_barred(branch, NULL, &branch->hop);
	if (cause)
		return cause;
	branch->server = request->stack->options.restrain && branch_goes_to_server(branch);
	if (!branch->server || branch_admitted(branch))
		return NULL;
	request->stack->stats.restrained++;
	return &stw_cause_next_hop_overloaded;
}

/* The hop is known: build, and send. */
void branch_send(struct branch *branch)
{
	struct stw_request *request = &branch->box->request;
	char buffer[STW_BRANCH_MAX];
	const struct stw_cause *cause = branch_unsendable(branch);
	struct stw_str id;
	uint64_t hash = 0;

	if (cause) {
		branch_skip_place(branch, cause);
		return;
	}
	if (branch->box->client)
		id = stw_proxy_own_branch(
			&request->stack->options.proxy, &request->stack->random, buffer);
	else if (branch->stateless)
		id = stw_proxy_stateless_branch(
			&request->stack->options.proxy, request->msg, buffer);
	else
		id = stw_proxy_branch(&request->stack->options.proxy, request->msg,
			&request->routing, &request->stack->random, buffer);
	if (!branch->stateless)
		hash = stw_tx_expect_client(request->stack->transactions, id);
	branch_find_account(branch);
	if (branch_build(branch, id) < 0 ||
		(branch->account && branch_sign(branch) > 0 && branch_build(branch, id) < 0) ||
		(branch_goes_large(branch) && branch_build(branch, id) < 0)) {
		branch_fail(branch, &stw_cause_out_of_memory);
		return;
	}
	if (!branch->stateless) {
		branch_open_transaction(branch, id, hash);
		return;
	}
	branch_note(branch, STW_NOTE_REQUEST_OUT, NULL, STW_STR_NONE);
	branch_end(branch);
	branch_transmit(branch, NULL, branch->sent);
}

void branch_next_place(struct branch *branch)
{
	const struct stw_place *place = &branch->places[branch->place_next++];

	/* Another server has nonces of its own, and no first try that a copy would be merged with.
	 */
	branch->answers = 0;
	branch->merged = false;
	branch_unlist(branch);
	branch->refusal = (struct refusal){ 0 };
	branch->hop = (struct stw_hop){ .transport = place->transport, .remote = place->addr };
	branch_send(branch);
}

/* ---- begin ----------------------------------------------------------------------------- */

static struct branch *branch_new(struct box *box, const struct stw_proxy_target *target)
{
	struct stw_stack *stack = box->request.stack;
	struct branch *branch = stw_arena_zalloc(&box->request.arena, sizeof(*branch));

	if (!branch)
		return NULL;
	branch->box = box;
	branch->lookup.stack = stack;
	branch->target = *target;
	branch->timer_c = (struct stw_timer){ .kind = TIMER_C, .owner = branch };
	branch->fallback = (struct stw_timer){ .kind = TIMER_TCP_FALLBACK, .owner = branch };
	branch->cancel_wait = (struct stw_timer){ .kind = TIMER_CANCEL_WAIT, .owner = branch };
	branch->place_timer = (struct stw_timer){ .kind = TIMER_NEXT_PLACE, .owner = branch };
	branch->next = box->branches;
	box->branches = branch;
	return branch;
}

void branch_start(struct box *box, const struct stw_proxy_action *action)
{
	struct branch *branch = branch_new(box, action->target);

	if (!branch) {
		stw_response_context_failed(box->context, action->branch, &stw_cause_out_of_memory);
		return;
	}
	branch->index = action->branch;
	branch->max_breadth = action->max_breadth;
	branch_locate(branch);
}

int branch_start_stateless(struct box *box, const struct stw_proxy_target *target)
{
	struct branch *branch = branch_new(box, target);

	if (!branch)
		return -ENOMEM;
	branch->stateless = true;
	/* RFC 5393 §5.3.3: all proxied requests have one; §5.4.1: in a CANCEL it says nothing. */
	if (box->request.msg->method != STW_METHOD_CANCEL)
		branch->max_breadth =
			stw_proxy_breadth(&box->request.stack->options.proxy, box->request.msg);
	branch_locate(branch);
	return 0;
}

/* A request of our own; `stateless`: the ACK of a 2xx. */
int branch_begin_own(struct box *box, const struct stw_proxy_target *target, bool stateless)
{
	struct branch *branch = branch_new(box, target);

	if (!branch)
		return -ENOMEM;
	branch->stateless = stateless;
	branch_locate(branch);
	return 0;
}

/* The same bytes once more. When it has not been sent yet that is still to come. */
void branch_send_again(struct branch *branch)
{
	if (!branch->sent.n)
		return;
	branch_note(branch, STW_NOTE_REQUEST_OUT, NULL, STW_STR_NONE);
	branch_transmit(branch, NULL, branch->sent);
}

/* ---- answers of the world ----------------------------------------------------------------------
 */

/* A transport error of one branch changes the list: take the concerned ones first. What is sent
 * meanwhile is not concerned: it goes another way. @return how many were looked at */
static unsigned branch_each(struct branch *list,
	bool (*concerned)(const struct branch *, const struct stw_io_event *),
	const struct stw_io_event *event)
{
	struct branch *branch, *first = NULL, **end = &first;
	unsigned seen = 0;

	for (branch = list; branch; branch = branch->listed_next) {
		seen++;
		if (!concerned(branch, event))
			continue;
		branch->concerned_next = NULL;
		*end = branch;
		end = &branch->concerned_next;
	}
	for (branch = first; branch; branch = branch->concerned_next) {
		if (concerned(branch, event))
			branch_transport_error(branch, branch->tx);
	}
	return seen;
}

static bool branch_uses_flow(const struct branch *branch, const struct stw_io_event *event)
{
	return branch->tx && branch->state == BRANCH_SENDING &&
	       stw_flow_id_equal(branch->hop.flow, event->hop.flow);
}

void branch_flow_closed(struct stw_stack *stack, const struct stw_io_event *event)
{
	branch_each(*flow_list(stack, event->hop.flow), branch_uses_flow, event);
}

static bool branch_waits_at(const struct branch *branch, const struct stw_io_event *event)
{
	return branch->tx && branch->state == BRANCH_SENDING && branch->tx->last_code == 0 &&
	       stw_addr_equal(&branch->hop.remote, &event->hop.remote);
}

static bool branch_was_refused(const struct branch *branch, const struct stw_io_event *event)
{
	return branch_waits_at(branch, event) &&
	       refusal_is_sure(&branch->refusal, branch->tx->branch, event);
}

unsigned branch_send_failed(struct stw_stack *stack, const struct stw_io_event *event)
{
	unsigned seen = branch_each(stack->on_datagrams, branch_was_refused, event);
	struct branch *branch;

	for (branch = event->len ? NULL : stack->on_datagrams; branch;
		branch = branch->listed_next) {
		seen++;
		if (branch_waits_at(branch, event))
			branch->refusal.last = true;
	}
	return seen;
}

/* ---- ACK and CANCEL: made from the request as it was sent
 * ---------------------------------------- */

/* It has grown since it was let in: no limit of what comes in is one for it. */
static struct stw_msg *branch_sent_msg(struct branch *branch)
{
	struct stw_arena *scratch = &branch_stack(branch)->scratch;
	size_t bytes = stw_slices_bytes(branch->sent);
	struct stw_msg *msg = stw_arena_zalloc(scratch, sizeof(*msg));
	char *text = stw_arena_bytes(scratch, bytes);
	struct stw_fault fault = { 0 };

	if (!msg || !text)
		return NULL;
	stw_slices_flatten(branch->sent, text);
	msg->field_capacity = stw_msg_lines(text, bytes);
	msg->fields = stw_arena_alloc(scratch, msg->field_capacity * sizeof(*msg->fields));
	if (!msg->fields)
		return NULL;
	if (stw_msg_parse(msg, text, bytes, &stw_msg_limits_none, &fault) < 0 ||
		stw_msg_check(msg, &fault) < 0)
		return NULL;
	return msg;
}

static int branch_build_ack(struct branch *branch, const struct stw_msg *response)
{
	struct stw_stack *stack = branch_stack(branch);
	struct stw_msg *sent = branch_sent_msg(branch);
	size_t capacity = sent ? sent->len + response->len : 0;
	char *buffer = sent ? stw_arena_bytes(&stack->scratch, capacity) : NULL;
	struct stw_writer writer;

	if (!buffer)
		return -ENOMEM;
	stw_writer_init(&writer, buffer, capacity);
	stw_tx_write_ack(&writer, sent, response);
	if (writer.overflow)
		return -ENOBUFS;
	return ack_keep(stack, &branch->hop, stw_writer_text(&writer), &branch->ack);
}

static void branch_ack(struct branch *branch, const struct stw_msg *response)
{
	if (!branch->ack && branch_build_ack(branch, response) < 0)
		return;
	branch_note(branch, STW_NOTE_REQUEST_OUT, NULL, STW_STR("ACK"));
	ack_send(branch->ack, response);
}

static int branch_build_cancel(struct branch *branch, struct stw_str reason_lines)
{
	struct stw_msg *sent = branch_sent_msg(branch);
	struct stw_writer writer;
	int err;

	if (!sent)
		return -ENOMEM;
	err = stw_block_new(sent->len + reason_lines.len + 64, &branch->cancel);
	if (err < 0)
		return err;
	stw_block_count(branch->cancel, &branch_stack(branch)->large_bytes);
	stw_writer_init(&writer, branch->cancel->data, branch->cancel->bytes);
	stw_tx_write_cancel(&writer, sent, reason_lines);
	branch->cancel_text = stw_writer_text(&writer);
	return writer.overflow ? -ENOBUFS : 0;
}

/* §9.1: CANCEL goes where the request went, in a transaction of its own with the same branch. */
void branch_cancel(struct branch *branch, struct stw_str reason_lines)
{
	struct stw_stack *stack = branch_stack(branch);
	struct stw_tx_client_options options = { .method = STW_METHOD_CANCEL,
		.method_name = STW_STR("CANCEL"),
		.reliable = stw_transport_reliable(branch->hop.transport) };
	unsigned actions;

	if (stw_timer_running(&branch->place_timer) && branch->place_timer.kind == TIMER_MERGED)
		branch_fail(branch, &stw_cause_cancelled);
	if (branch->state != BRANCH_SENDING || !branch->tx || branch->cancel)
		return;
	/* The 1xx was that of an address tried before. */
	branch->cancel_waits = branch->tx->last_code == 0;
	branch->cancel_lines = reason_lines;
	if (branch->cancel_waits)
		return;
	/* Also without memory for the CANCEL the branch ends then. */
	stw_timer_stop(&stack->wheel, &branch->timer_c);
	stw_timer_start(&stack->wheel, &branch->cancel_wait, stack->now.mono_ms + STW_TIMER_B_MS);
	if (branch_build_cancel(branch, reason_lines) < 0)
		return;
	options.branch = branch->tx->branch;
	options.request = (struct stw_slices){ &branch->cancel_text, 1 };
	if (stw_tx_client_new(
		    stack->transactions, &options, stack->now, &branch->cancel_tx, &actions) < 0) {
		branch->cancel_tx = NULL;
		return;
	}
	branch->cancel_tx->user = branch;
	branch_note(branch, STW_NOTE_REQUEST_OUT, NULL, STW_STR("CANCEL"));
	branch_tx_actions(branch, branch->cancel_tx, actions, NULL);
}

/* ---- what the client transactions ask for
 * ----------------------------------------------------------- */

/* Nobody waits for these any more: a name that is still asked or a next address is not tried (§16.7
 * step 10). */
void branch_unwant_all(struct box *box)
{
	struct branch *branch;

	for (branch = box->branches; branch; branch = branch->next)
		branch->unwanted = true;
}

/* Another try of the same branch, to the places that are left. This one only absorbs from here on.
 * NULL: no memory */
struct branch *branch_replace(struct branch *branch)
{
	struct stw_stack *stack = branch_stack(branch);
	struct branch *next = branch_new(branch->box, &branch->target);

	if (!next)
		return NULL;
	next->index = branch->index;
	next->max_breadth = branch->max_breadth;
	next->flow_gone = branch->flow_gone;
	next->account = branch->account;
	next->answers = branch->answers;
	next->merged = branch->merged;
	next->lookup.stack = stack;
	next->lookup.where = branch->lookup.where;
	next->lookup.locate = branch->lookup.locate;
	next->places = branch->places;
	next->place_count = branch->place_count;
	next->place_next = branch->place_next;
	branch_end(branch);
	if (branch->tx->method == STW_METHOD_INVITE && branch->box->context)
		stw_timer_start(&stack->wheel, &next->timer_c,
			stack->now.mono_ms + stack->options.proxy.timer_c_ms);
	return next;
}

/* RFC 3263 §4.3: a server that says 503 is not the last word while its name has another address. A
 * new branch takes the place of this one, which still acknowledges the copies of its 503.
 * @return true when it is on its way */
static bool branch_try_elsewhere(struct branch *branch)
{
	struct branch *next;

	if (branch->state == BRANCH_ENDED || branch->unwanted || branch->cancel ||
		branch->cancel_waits || branch->place_next >= branch->place_count)
		return false;
	next = branch_replace(branch);
	if (!next)
		return false;
	branch_next_place(next);
	return true;
}

/* §16.8: the branch has had a 1xx. One that did not fit the request stopped Timer B and is none for
 * the context, which cancels nothing. */
static void branch_expire(struct branch *branch)
{
	branch->overdue = false;
	stw_response_context_timer_c(branch->box->context, branch->index);
	forward_run(branch->box);
	branch_cancel(branch, STW_STR_NONE);
}

/* Timer C without a 1xx: there is nothing to cancel. What was sent has the time of its Timer B, for
 * a 2xx that came to nobody would leave a call that one side alone believes in. */
static void branch_overdue(struct branch *branch)
{
	branch->unwanted = true;
	branch->overdue = true;
}

/* §21.5.4: nothing goes to the server for that time; without it the 503 is as a 500. */
static uint32_t branch_retry_after_ms(const struct stw_msg *response)
{
	struct stw_str value = stw_msg_value(response, STW_HDR_RETRY_AFTER);
	size_t digits = 0;
	uint64_t seconds = 0;

	while (digits < value.len && value.ptr[digits] >= '0' && value.ptr[digits] <= '9')
		digits++;
	if (stw_str_to_uint(stw_str_cut(value, 0, digits), OUTAGE_MAX_S, &seconds) == -ERANGE)
		seconds = OUTAGE_MAX_S;
	return (uint32_t)seconds * 1000;
}

static void branch_pass_up(struct branch *branch, const struct stw_msg *response)
{
	if (response->code == 503) {
		branch_place_failed(branch, branch_retry_after_ms(response));
		if (branch_try_elsewhere(branch))
			return;
	} else {
		branch_place_answered(branch);
	}
	if (branch->account && branch_challenged(branch, response))
		return;
	if (response->code >= 200 && branch->state != BRANCH_ENDED)
		branch_end(branch);
	if (branch->box->client) {
		if (response->code / 100 == 2 || response->code >= 600)
			branch_unwant_all(branch->box);
		client_response(branch->box, response);
	} else {
		if (stw_response_context_ends_others(branch->box->context, response))
			branch_unwant_all(branch->box);
		forward_response(branch->box, branch->index, response);
	}
	if (branch->cancel_waits && response->code < 200)
		branch_cancel(branch, branch->cancel_lines);
	else if (branch->overdue && response->code < 200)
		branch_expire(branch);
}

static void branch_leave_transaction(struct branch *branch)
{
	stw_timer_stop(&branch_stack(branch)->wheel, &branch->place_timer);
	branch->tx->user = NULL;
	branch->tx = NULL;
}

static void branch_leave_place(struct branch *branch)
{
	branch_leave_transaction(branch);
	branch->tcp_tried = false;
	branch_next_place(branch);
}

/* The connection of the binding had ended, which was told when the request was to leave on it. */
static bool branch_found_flow_gone(const struct branch *branch)
{
	struct stw_hop there = { 0 };

	return branch->target.has_hop && !branch->target.path.len &&
	       stw_transport_reliable(branch->hop.transport) && !branch->listed_link &&
	       !stw_flows_hop(branch_stack(branch)->flows, branch->hop.flow, &there);
}

/* The share is used up. */
static void branch_place_expired(struct branch *branch)
{
	struct stw_tx *tx = branch->tx;

	if (!tx || tx->last_code || branch->unwanted || branch->state != BRANCH_SENDING)
		return;
	branch_place_failed(branch, branch_stack(branch)->options.dns.failed_ms);
	stw_tx_forget(tx);
	branch_leave_place(branch);
}

static void branch_tell_timeout(struct branch *branch, const struct stw_cause *cause)
{
	if (branch->box->client) {
		client_failed(branch->box, cause);
		return;
	}
	stw_response_context_timeout(branch->box->context, branch->index);
	forward_run(branch->box);
}

const struct stw_cause *branch_flow_cause(const struct branch *branch)
{
	if (branch->target.flow_out)
		return &stw_cause_edge_flow_failed;
	return branch->flow_gone ? &stw_cause_flow_gone : &stw_cause_transport_error;
}

/* Nobody answered, or it could not be sent: the next address of the name, else the context hears of
 * it. */
static void branch_no_answer(struct branch *branch, bool timeout)
{
	const struct stw_cause *cause;

	if (branch->state == BRANCH_ENDED)
		return;
	if (branch->tx->last_code == 0)
		branch_place_failed(branch, branch_stack(branch)->options.dns.failed_ms);
	if (branch->place_next < branch->place_count && branch->tx->last_code == 0 &&
		!branch->unwanted) {
		branch_leave_place(branch);
		return;
	}
	if (!timeout && !branch->unwanted && branch_found_flow_gone(branch)) {
		branch_leave_transaction(branch);
		branch_locate(branch);
		return;
	}
	if (!timeout) {
		branch_fail(branch, branch_flow_cause(branch));
		return;
	}
	cause = branch->tx->method == STW_METHOD_INVITE ? &stw_cause_timer_b : &stw_cause_timer_f;
	branch_note(branch, STW_NOTE_TIMEOUT, cause, STW_STR_NONE);
	branch_end(branch);
	branch_tell_timeout(branch, cause);
}

void branch_tx_actions(
	struct branch *branch, struct stw_tx *tx, unsigned actions, const struct stw_msg *msg)
{
	if (!branch)
		return;
	if (actions & STW_TX_SEND)
		branch_transmit(branch, tx, tx->message);
	if ((actions & STW_TX_ENDED) || branch->box->finished)
		stack_dirty(branch->box);
	if (tx != branch->tx)
		return;
	if ((actions & STW_TX_SEND_ACK) && msg)
		branch_ack(branch, msg);
	if ((actions & STW_TX_PASS_UP) && msg)
		branch_pass_up(branch, msg);
	if (actions & (STW_TX_TIMEOUT | STW_TX_ERROR))
		branch_no_answer(branch, actions & STW_TX_TIMEOUT);
}

/* No answer will be waited for: the branch counts as ended. */
static void branch_give_up(struct branch *branch)
{
	if (branch->tx)
		stw_tx_forget(branch->tx);
	branch_end(branch);
	branch_tell_timeout(branch, &stw_cause_cancelled);
}

void branch_timer(struct branch *branch, struct stw_timer *timer)
{
	switch (timer->kind) {
	case TIMER_TCP_FALLBACK:
		/* Without a way back to UDP the connection has its full time. */
		if (branch_may_fall_back(branch) &&
			stw_flows_is_opening(branch_stack(branch)->flows, branch->hop.flow))
			(void)branch_fall_back(branch);
		break;
	case TIMER_C:
		if (!branch->tx)
			branch_give_up(branch);
		else if (branch->tx->last_code == 0)
			branch_overdue(branch);
		else
			branch_expire(branch);
		break;
	case TIMER_MERGED:
		branch_merged_over(branch);
		break;
	case TIMER_NEXT_PLACE:
		branch_place_expired(branch);
		break;
	case TIMER_CANCEL_WAIT:
		branch_give_up(branch); /* §9.1: no final within 64*T1 of the CANCEL */
		break;
	}
}
