/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of our own, RFC 3261 §8.1. One is a box without a server transaction, whose message we
 * have written ourselves and whose branches tell the user of the stack instead of a response
 * context; where it goes, other places, CANCEL and the ACK of a refusal are those of any branch.
 */
#include <strowger/uac.h>

#include <errno.h>
#include <string.h>

#include "internal.h"

#define CALL_ID_TRIES 1000

/* Lies in the arena of its box. */
struct stw_client {
	struct box *box;
	const struct stw_client_ops *ops;
	void *user;
	struct stw_str next_hop; /* URI of the first Route or of an outbound proxy; empty: none */
	struct stw_addr prefer;  /* family 0: none */
	bool prefer_always;
	bool contact;
	struct stw_str contact_user, contact_uri_params, contact_params;
	bool failed;             /* that was told */
	struct stw_client *acks; /* of an INVITE: one for each 2xx that was acknowledged */
	/* of an ACK */
	struct stw_client *next, **link;
	struct stw_str tag;
};

/* ---- writing it ---------------------------------------------------------------------------- */

/* §12.2.1.1: without what is not allowed in a Request-URI. */
static void write_strict_uri(struct stw_writer *writer, const struct stw_uri *uri)
{
	size_t head = uri->params.len    ? (size_t)(uri->params.ptr - uri->text.ptr)
		      : uri->headers.len ? (size_t)(uri->headers.ptr - uri->text.ptr) - 1
					 : uri->text.len;
	struct stw_param param;
	size_t at = 0;

	stw_write_str(writer, stw_str_cut(uri->text, 0, head));
	while (stw_param_next(uri->params, &at, &param) == 1) {
		if (stw_str_equal_nocase(param.name, STW_STR("method")))
			continue;
		stw_write_char(writer, ';');
		stw_write_str(writer, param.name);
		if (param.value.ptr) {
			stw_write_char(writer, '=');
			stw_write_str(writer, param.value);
		}
	}
}

/* `strict`: the URI of the first Route, which becomes the Request-URI; `rest`: the others. */
static void job_write(struct stw_writer *writer, const struct stw_client_job *job,
	const struct stw_uri *strict, struct stw_str rest)
{
	stw_write_str(writer, job->method);
	stw_write_char(writer, ' ');
	if (strict)
		write_strict_uri(writer, strict);
	else
		stw_write_str(writer, job->uri);
	stw_write_format(writer, " SIP/2.0\r\nMax-Forwards: %u\r\n",
		job->max_forwards ? job->max_forwards : 70);
	if (strict)
		stw_write_format(writer, "Route: %.*s%s<%.*s>\r\n", STW_STR_ARG(rest),
			rest.len ? ", " : "", STW_STR_ARG(job->uri));
	else if (job->route.len)
		stw_write_format(writer, "Route: %.*s\r\n", STW_STR_ARG(job->route));
	stw_write_str(writer, job->headers);
	if (job->content_type.len)
		stw_write_format(writer, "Content-Type: %.*s\r\n", STW_STR_ARG(job->content_type));
	stw_write_text(writer, "Content-Length: ");
	stw_write_uint(writer, job->body.len);
	stw_write_text(writer, "\r\n\r\n");
	stw_write_str(writer, job->body);
}

/* Our own text is read as that of any other: what is not right in it is found here. Only the Via is
 * not there yet. */
static int job_parse(struct stw_stack *stack, const struct stw_client_job *job,
	const struct stw_uri *strict, struct stw_str rest, struct stw_msg *msg)
{
	size_t capacity = job->method.len + 2 * job->uri.len + 2 * job->route.len +
			  job->headers.len + job->content_type.len + job->body.len + 200;
	char *buffer = stw_arena_bytes(&stack->scratch, capacity);
	struct stw_msg_limits limits = stw_msg_limits_default;
	struct stw_fault fault = { 0 };
	struct stw_writer writer;

	if (!buffer)
		return -ENOMEM;
	stw_writer_init(&writer, buffer, capacity);
	job_write(&writer, job, strict, rest);
	limits.max_message = limits.max_body = UINT32_MAX;
	if (writer.overflow || stw_msg_parse(msg, buffer, writer.len, &limits, &fault) < 0 ||
		!msg->is_request)
		return -EINVAL;
	(void)stw_msg_check(msg, &fault);
	if (!msg->has_uri)
		return -EBADMSG;
	/* Further faults are not noted behind the first one. */
	return fault.cause == &stw_cause_missing_via && msg->has_from && msg->from.tag.ptr &&
			       msg->has_to && msg->has_call_id && msg->has_cseq &&
			       stw_str_equal(msg->cseq.name, stw_msg_method_name(msg))
		       ? 0
		       : -EINVAL;
}

/* The first Route decides where it goes; without lr it becomes the Request-URI.
 * @param ret_hop  its URI, borrowed from the job; empty: there is no Route */
static int job_route(struct stw_stack *stack, const struct stw_client_job *job, struct stw_msg *msg,
	struct stw_str *ret_hop)
{
	struct stw_values values = stw_msg_values(msg, STW_HDR_ROUTE);
	struct stw_str first, next, lr, rest = STW_STR_NONE;
	struct stw_address address;

	if (!stw_values_next(&values, &first))
		return 0;
	if (stw_address_parse(first, &address) < 0 || address.wildcard)
		return -EBADMSG;
	*ret_hop = address.uri.text;
	if (stw_uri_param(&address.uri, STW_STR("lr"), &lr))
		return 0;
	if (stw_values_next(&values, &next)) {
		struct stw_str line = stw_field_value(msg, values.field);

		rest = stw_str_cut(line, (size_t)(next.ptr - line.ptr), line.len);
	}
	return job_parse(stack, job, &address.uri, rest, msg);
}

/* ---- the box ------------------------------------------------------------------------------- */

static int client_copy(
	struct stw_client *client, const struct stw_client_job *job, struct stw_str next_hop)
{
	struct stw_arena *arena = &client->box->request.arena;
	int err = stw_arena_copy(
		arena, job->outbound.len ? job->outbound : next_hop, &client->next_hop);

	if (job->prefer)
		client->prefer = *job->prefer;
	client->prefer_always = job->prefer_always;
	client->contact = job->contact;
	if (err == 0)
		err = stw_arena_copy(arena, job->contact_user, &client->contact_user);
	if (err == 0)
		err = stw_arena_copy(arena, job->contact_uri_params, &client->contact_uri_params);
	if (err == 0)
		err = stw_arena_copy(arena, job->contact_params, &client->contact_params);
	return err;
}

static struct box *client_box(struct stw_stack *stack, const struct stw_msg *msg)
{
	struct box *box = stw_memory_take_zeros(sizeof(*box));

	if (!box)
		return NULL;
	box->request.stack = stack;
	stw_arena_init(&box->request.arena, REQUEST_ARENA_BYTES);
	box->request.arena.next_chunk_bytes = REQUEST_CHUNK_BYTES;
	box->request.arena.large_bytes = &stack->large_bytes;
	if (stw_msg_keep(msg, &box->kept, &box->request.msg) < 0)
		goto fail;
	stw_block_count(box->kept, &stack->large_bytes);
	box->client = stw_arena_zalloc(&box->request.arena, sizeof(*box->client));
	if (!box->client)
		goto fail;
	box->client->box = box;
	return box;
fail:
	stw_block_release(box->kept, &stack->large_bytes);
	stw_arena_done(&box->request.arena);
	stw_memory_give(box, sizeof(*box));
	return NULL;
}

/* @return 0; see stw_stack_originate() */
static int client_new(
	struct stw_stack *stack, const struct stw_client_job *job, struct stw_client **ret)
{
	struct stw_msg msg = { .field_capacity = STW_MSG_FIELDS_MAX };
	struct stw_str next_hop = STW_STR_NONE;
	struct stw_client *client;
	struct box *box;
	int err;

	msg.fields = stw_arena_alloc(&stack->scratch, STW_MSG_FIELDS_MAX * sizeof(*msg.fields));
	if (!msg.fields)
		return -ENOMEM;
	err = job_parse(stack, job, NULL, STW_STR_NONE, &msg);
	if (err == 0)
		err = job_route(stack, job, &msg, &next_hop);
	if (err < 0)
		return err;
	box = client_box(stack, &msg);
	if (!box)
		return -ENOMEM;
	client = box->client;
	client->ops = job->ops;
	client->user = job->user;
	box_make_alive(box);
	err = client_copy(client, job, next_hop);
	if (err < 0) {
		client->ops = NULL;
		stack_dirty(box);
		return err;
	}
	box->request.routing.uri_text =
		stw_msg_text(box->request.msg, box->request.msg->uri_at, box->request.msg->uri_len);
	*ret = client;
	return 0;
}

static int client_begin(struct stw_client *client, const struct stw_client_job *job, bool stateless)
{
	struct stw_proxy_target target = { .uri = client->box->request.routing.uri_text,
		.q = 1000,
		.has_hop = job->hop != NULL,
		.hop_only = job->hop_only };

	if (job->hop)
		target.hop = *job->hop;
	return branch_begin_own(client->box, &target, stateless);
}

int stw_stack_originate(
	struct stw_stack *stack, const struct stw_client_job *job, struct stw_client **ret)
{
	struct stw_client *client;
	int err = client_new(stack, job, &client);

	if (err < 0)
		return err;
	if (client->box->request.msg->method == STW_METHOD_ACK ||
		client->box->request.msg->method == STW_METHOD_CANCEL) {
		client->ops = NULL;
		stack_dirty(client->box);
		return -EINVAL;
	}
	if (ret)
		*ret = client;
	err = client_begin(client, job, false);
	if (err < 0) {
		client->ops = NULL;
		stack_dirty(client->box);
	}
	return err;
}

/* ---- what branch.c and locate.c ask --------------------------------------------------------- */

int client_next_hop(const struct box *box, struct stw_uri *ret)
{
	struct stw_uri asked;
	int err = stw_uri_parse(box->request.routing.uri_text, &asked);
	bool secure = err == 0 && asked.scheme == STW_SCHEME_SIPS;

	if (box->client->next_hop.len)
		err = stw_uri_parse(box->client->next_hop, ret);
	else
		*ret = asked;
	if (err == 0 && secure && ret->scheme == STW_SCHEME_SIP)
		ret->scheme = STW_SCHEME_SIPS;
	return err;
}

/* RFC 2782: a server of better priority is the one to use as soon as it can be reached. */
static bool client_may_prefer(
	const struct box *box, const struct stw_place *place, const struct stw_place *first)
{
	return stw_addr_equal(&place->addr, &box->client->prefer) &&
	       (box->client->prefer_always || (place->priority == first->priority &&
						      place->transport == first->transport));
}

void client_prefer(const struct box *box, struct stw_place *places, unsigned n)
{
	struct stw_place first;

	for (unsigned i = 1; i < n; i++) {
		if (!client_may_prefer(box, &places[i], &places[0]))
			continue;
		first = places[i];
		memmove(places + 1, places, i * sizeof(*places));
		places[0] = first;
		return;
	}
}

/* Contact names the place that the request leaves from. */
static int client_contact(
	const struct stw_client *client, const struct branch *branch, struct stw_str *ret)
{
	struct stw_stack *stack = client->box->request.stack;
	struct stw_arena *arena = &client->box->request.arena;
	struct contact contact = { .user = client->contact_user,
		.uri_params = client->contact_uri_params,
		.params = client->contact_params };

	*ret = STW_STR_NONE;
	return client->contact ? contact_write(stack, &branch->hop, &contact, arena, ret) : 0;
}

/* The request as it was given, with our Via. */
int client_build(struct branch *branch, struct stw_str via)
{
	struct stw_client *client = branch->box->client;
	struct stw_arena *arena = &branch->box->request.arena;
	const struct stw_msg *msg = branch->box->request.msg;
	struct stw_str *v = stw_arena_alloc(arena, 5 * sizeof(*v));
	uint32_t end = msg->body_at - 2;
	int err;

	if (!v)
		return -ENOMEM;
	v[0] = stw_msg_text(msg, 0, msg->headers_at);
	v[2] = stw_msg_text(msg, msg->headers_at, end - msg->headers_at);
	v[4] = stw_msg_text(msg, end, msg->len - end);
	err = stw_arena_printf(arena, &v[1], "Via: %.*s\r\n", STW_STR_ARG(via));
	if (err == 0)
		err = client_contact(client, branch, &v[3]);
	branch->sent = (struct stw_slices){ v, 5 };
	return err;
}

/* ---- what is told ---------------------------------------------------------------------------- */

static struct stw_client *client_find_ack(const struct stw_client *client, struct stw_str tag)
{
	struct stw_client *ack = client->acks;

	while (ack && !stw_str_equal(ack->tag, tag))
		ack = ack->next;
	return ack;
}

void client_response(struct box *box, const struct stw_msg *response)
{
	struct stw_client *client = box->client, *ack = NULL;

	if (response->code / 100 == 2)
		ack = client_find_ack(client, response->to.tag);
	if (ack)
		branch_send_again(ack->box->branches);
	else if (client->ops && client->ops->response)
		client->ops->response(client->user, client, response);
}

void client_failed(struct box *box, const struct stw_cause *cause)
{
	struct stw_client *client = box->client;

	if (client->failed)
		return;
	client->failed = true;
	if (client->ops && client->ops->failed)
		client->ops->failed(client->user, client, cause);
}

static void ack_unlink(struct stw_client *ack)
{
	if (!ack->link)
		return;
	*ack->link = ack->next;
	if (ack->next)
		ack->next->link = ack->link;
	ack->link = NULL;
	ack->box->waiting = false;
}

/* The box is about to be freed. */
void client_done(struct box *box)
{
	struct stw_client *client = box->client;

	ack_unlink(client);
	while (client->acks) {
		struct box *ack = client->acks->box;

		ack_unlink(client->acks);
		stack_dirty(ack);
	}
	if (client->ops && client->ops->done)
		client->ops->done(client->user, client);
}

/* ---- what the user may ask ---------------------------------------------------------------------
 */

void stw_client_cancel(struct stw_client *client, struct stw_str reason_lines)
{
	struct stw_str lines = STW_STR_NONE;
	struct branch *branch;

	if (client->box->request.msg->method != STW_METHOD_INVITE)
		return;
	(void)stw_arena_copy(&client->box->request.arena, reason_lines, &lines);
	branch_unwant_all(client->box);
	for (branch = client->box->branches; branch; branch = branch->next) {
		if (branch->state == BRANCH_RESOLVING)
			branch_fail(branch, &stw_cause_cancelled);
		else
			branch_cancel(branch, lines);
	}
}

int stw_client_ack(
	struct stw_client *client, struct stw_str to_tag, const struct stw_client_job *job)
{
	struct stw_client_job own = *job;
	struct stw_client *ack;
	int err;

	own.method = STW_STR("ACK");
	own.ops = NULL;
	err = client_new(client->box->request.stack, &own, &ack);
	if (err < 0)
		return err;
	err = stw_arena_copy(&ack->box->request.arena, to_tag, &ack->tag);
	if (err < 0) {
		stack_dirty(ack->box);
		return err;
	}
	/* It lives as long as the 2xx may come again. */
	ack->box->waiting = true;
	ack->next = client->acks;
	ack->link = &client->acks;
	if (client->acks)
		client->acks->link = &ack->next;
	client->acks = ack;
	err = client_begin(ack, job, true);
	if (err < 0) {
		ack_unlink(ack);
		stack_dirty(ack->box);
	}
	return err;
}

void stw_client_forget(struct stw_client *client)
{
	client->ops = NULL;
}

const struct stw_msg *stw_client_request(const struct stw_client *client)
{
	return client->box->request.msg;
}

const struct stw_hop *stw_client_hop(const struct stw_client *client)
{
	return &client->box->branches->hop;
}

void *stw_client_user(const struct stw_client *client)
{
	return client->user;
}

/* ---- names, time -------------------------------------------------------------------------------
 */

/* Among n workers each n-th one is ours. */
void stw_stack_call_id(struct stw_stack *stack, char buffer[STW_CALL_ID_BYTES])
{
	struct stw_str call_id = { buffer, STW_CALL_ID_BYTES - 1 };
	unsigned tries = 0;

	do {
		stw_random_token(&stack->random, buffer, call_id.len);
		buffer[call_id.len] = '\0';
	} while (stack->options.workers && ++tries < CALL_ID_TRIES &&
		 stw_workers_owner(stack->options.workers, call_id) != stack->options.worker);
}

void stw_stack_tag(struct stw_stack *stack, char buffer[STW_TAG_BYTES])
{
	stw_random_token(&stack->random, buffer, STW_TAG_BYTES - 1);
	buffer[STW_TAG_BYTES - 1] = '\0';
}

struct stw_random *stw_stack_random(struct stw_stack *stack)
{
	return &stack->random;
}

struct stw_now stw_stack_now(const struct stw_stack *stack)
{
	return stack->now;
}

void stw_alarm_start(struct stw_stack *stack, struct stw_alarm *alarm, uint64_t after_ms)
{
	alarm->timer.kind = TIMER_ALARM;
	alarm->timer.owner = alarm;
	stw_timer_start(&stack->wheel, &alarm->timer, stack->now.mono_ms + after_ms);
}

void stw_alarm_stop(struct stw_stack *stack, struct stw_alarm *alarm)
{
	stw_timer_stop(&stack->wheel, &alarm->timer);
}
