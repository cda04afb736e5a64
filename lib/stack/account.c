/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers where we have an account: their challenges are answered by the proxy (RFC 3261 §22.2,
 * §22.3), for the caller has no password there. The retry is a further branch with the CSeq of the
 * caller: docs/decisions/0017.
 */
#include <strowger/stack.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define ACCOUNT_PLACES 64
#define ACCOUNT_BYTES  8192    /* of the credentials for a request */
#define STALE_MAX      2       /* answers, when all that was wrong is the age of the nonce */
#define NAMED_MS       3600000 /* what its name has led to is held for its server so long … */
#define NAMED_AGAIN_MS 60000   /* … from then, as exact as this */

/* What the DNS names may change with each answer of it; who has answered us is at that address. */
struct account_place {
	struct stw_addr addr;
	uint64_t named_until_ms; /* it counts as where the name leads until then (monotonic) */
	bool answered;
};

struct stw_account {
	struct stw_account *next;
	struct stw_digest_client *client; /* NULL: no login, or only others have used it */
	struct account_place places[ACCOUNT_PLACES]; /* the oldest is replaced */
	unsigned place_count, place_next;
	size_t name_len;
	char name[];
};

/* ---- the accounts of a stack -------------------------------------------------------------- */

static struct stw_account *account_find(const struct stw_stack *stack, struct stw_str name)
{
	struct stw_account *account = stack->accounts;

	while (account &&
		!stw_str_equal((struct stw_str){ account->name, account->name_len }, name))
		account = account->next;
	return account;
}

static struct stw_account *account_new(struct stw_stack *stack, struct stw_str name)
{
	struct stw_account *account = calloc(1, sizeof(*account) + name.len);

	if (!account)
		return NULL;
	memcpy(account->name, name.ptr, name.len);
	account->name_len = name.len;
	account->next = stack->accounts;
	stack->accounts = account;
	return account;
}

const struct stw_account *stw_stack_account_find(const struct stw_stack *stack, struct stw_str name)
{
	return account_find(stack, name);
}

int stw_stack_account(struct stw_stack *stack, const struct stw_account_options *options,
	struct stw_account **ret)
{
	struct stw_account *account = account_find(stack, options->name);
	struct stw_digest_client *client = NULL;

	if (account && account->client && options->user.len &&
		stw_digest_client_is(
			account->client, options->user, options->password, options->realm)) {
		*ret = account;
		return 0;
	}
	if (options->user.len && stw_digest_client_new(options->user, options->password,
					 options->realm, &client) < 0)
		return -ENOMEM;
	if (!account)
		account = account_new(stack, options->name);
	if (!account) {
		stw_digest_client_free(client);
		return -ENOMEM;
	}
	stw_digest_client_free(account->client);
	account->client = client;
	*ret = account;
	return 0;
}

void accounts_free(struct stw_stack *stack)
{
	struct stw_account *account;

	while ((account = stack->accounts)) {
		stack->accounts = account->next;
		stw_digest_client_free(account->client);
		free(account);
	}
}

/* ---- where it leads ----------------------------------------------------------------------- */

/* @return place_count: it is none */
static unsigned place_find(const struct stw_account *account, const struct stw_addr *addr)
{
	unsigned i = 0;

	while (i < account->place_count && !stw_addr_equal(&account->places[i].addr, addr))
		i++;
	return i;
}

bool stw_account_leads_to(
	const struct stw_account *account, const struct stw_addr *addr, struct stw_now now)
{
	unsigned i = place_find(account, addr);

	return i < account->place_count && now.mono_ms < account->places[i].named_until_ms;
}

bool stw_account_answered_at(
	const struct stw_account *account, const struct stw_addr *addr, bool any_port)
{
	for (unsigned i = 0; i < account->place_count; i++) {
		const struct account_place *place = &account->places[i];

		if (place->answered && (any_port ? stw_addr_same_ip(&place->addr, addr)
						 : stw_addr_equal(&place->addr, addr)))
			return true;
	}
	return false;
}

static struct account_place *place_take(struct stw_account *account, const struct stw_addr *addr)
{
	unsigned i = place_find(account, addr);
	struct account_place *place;

	if (i < account->place_count)
		return &account->places[i];
	place = &account->places[account->place_next];
	*place = (struct account_place){ .addr = *addr };
	account->place_next = (account->place_next + 1) % ACCOUNT_PLACES;
	if (account->place_count < ACCOUNT_PLACES)
		account->place_count++;
	return place;
}

/* @return true: that is news */
static bool account_learn(
	struct stw_account *account, const struct stw_addr *addr, bool answered, struct stw_now now)
{
	struct account_place *place = place_take(account, addr);
	uint64_t until_ms = now.mono_ms + NAMED_MS;

	if (answered ? place->answered : until_ms < place->named_until_ms + NAMED_AGAIN_MS)
		return false;
	if (answered)
		place->answered = true;
	else
		place->named_until_ms = until_ms;
	return true;
}

void account_told(
	struct stw_stack *stack, struct stw_str name, const struct stw_addr *addr, bool answered)
{
	struct stw_account *account = account_find(stack, name);

	if (!account)
		account = account_new(stack, name);
	if (account)
		account_learn(account, addr, answered, stack->now);
}

/* Here and at the other workers. */
static void account_learn_all(struct stw_stack *stack, struct stw_account *account,
	const struct stw_addr *addr, bool answered)
{
	if (account_learn(account, addr, answered, stack->now))
		stack_tell_account(stack, (struct stw_str){ account->name, account->name_len },
			addr, answered);
}

void stw_stack_account_moved(struct stw_stack *stack, struct stw_str name)
{
	struct stw_account *account = account_find(stack, name);

	if (account)
		account->place_count = account->place_next = 0;
}

/* All that its name leads to: who meets one of these addresses by another way is at the same
 * server.
 */
void branch_teach_account(struct branch *branch)
{
	struct stw_account *account = branch->target.account;

	for (unsigned i = 0; account && i < branch->place_count; i++)
		account_learn_all(
			branch->box->request.stack, account, &branch->places[i].addr, false);
}

/* In a dialog the target is what the peers have told one another: that it leads to the server of an
 * account is seen by its address. */
void branch_find_account(struct branch *branch)
{
	const struct stw_request *request = &branch->box->request;
	struct stw_account *account;

	if (branch->account || branch->stateless)
		return;
	if (branch->target.account && branch->target.account->client)
		branch->account = branch->target.account;
	if (branch->target.account || !request->routing.in_dialog || branch->target.has_hop)
		return;
	for (account = request->stack->accounts; account; account = account->next) {
		if (account->client &&
			place_find(account, &branch->hop.remote) < account->place_count)
			branch->account = account;
	}
}

/* ---- credentials -------------------------------------------------------------------------- */

/* The Request-URI as it is sent, after all that routing has done to it. */
static struct stw_str sent_uri(struct stw_slices sent, char *buffer, size_t size)
{
	size_t bytes = 0, from, n;

	for (unsigned i = 0; i < sent.n && bytes < size; i++) {
		n = sent.v[i].len < size - bytes ? sent.v[i].len : size - bytes;
		if (n)
			memcpy(buffer + bytes, sent.v[i].ptr, n);
		bytes += n;
	}
	from = stw_str_find((struct stw_str){ buffer, bytes }, ' ', 0) + 1;
	return stw_str_cut((struct stw_str){ buffer, bytes }, from,
		stw_str_find((struct stw_str){ buffer, bytes }, ' ', from));
}

/* @return 1: branch->credentials say who we are; 0: there is nothing to say, or no memory for it
 */
int branch_sign(struct branch *branch)
{
	struct stw_request *request = &branch->box->request;
	struct stw_stack *stack = request->stack;
	struct stw_digest_client *client = branch->account->client;
	size_t uri_max = stw_slices_bytes(branch->sent);
	struct stw_digest_request sign = { .request = request->msg,
		.method = stw_msg_method_name(request->msg),
		.random = &stack->random };
	struct stw_writer writer;
	char *buffer;

	branch->credentials = STW_STR_NONE;
	if (!client || !stw_digest_client_ready(client))
		return 0;
	if (uri_max > ACCOUNT_BYTES)
		uri_max = ACCOUNT_BYTES;
	buffer = stw_arena_bytes(&stack->scratch, uri_max + ACCOUNT_BYTES);
	if (!buffer)
		return 0;
	sign.uri = sent_uri(branch->sent, buffer, uri_max);
	stw_writer_init(&writer, buffer + uri_max, ACCOUNT_BYTES);
	if (stw_digest_client_write(client, &writer, &sign) < 0 || writer.overflow ||
		stw_arena_copy(&request->arena, stw_writer_text(&writer), &branch->credentials) < 0)
		branch->credentials = STW_STR_NONE;
	return branch->credentials.len > 0;
}

/* ---- challenges ---------------------------------------------------------------------------- */

static struct stw_str response_realm(struct branch *branch, const struct stw_msg *response)
{
	struct stw_str value = stw_msg_value(response, STW_HDR_WWW_AUTHENTICATE), copy;

	if (!value.len)
		value = stw_msg_value(response, STW_HDR_PROXY_AUTHENTICATE);
	return stw_arena_copy(&branch->box->request.arena, value, &copy) < 0 ? STW_STR_NONE : copy;
}

static void account_fail(
	struct branch *branch, const struct stw_msg *response, const struct stw_cause *cause)
{
	if (branch->answers)
		stw_digest_client_refused(branch->account->client, response);
	branch->box->lost_cause = cause;
	branch->box->lost_key = "challenge";
	branch->box->lost_name = response_realm(branch, response);
	branch_fail(branch, cause);
}

static bool branch_is_over(const struct branch *branch)
{
	return branch->unwanted || branch->cancel || branch->cancel_waits;
}

/* The same branch once more, to the same address. NULL: it has failed */
static struct branch *branch_again(struct branch *branch)
{
	struct stw_hop hop = { .transport = branch->hop.transport, .remote = branch->hop.remote };
	struct branch *next = branch_replace(branch);

	if (next)
		next->hop = next->target.has_hop ? branch->hop : hop;
	else
		branch_fail(branch, &stw_cause_out_of_memory);
	return next;
}

static void answer_challenge(struct branch *branch, const struct stw_msg *response)
{
	struct branch *next;
	bool stale = false;
	int err = stw_digest_client_challenged(branch->account->client, response, &stale);

	if (branch_is_over(branch))
		branch_fail(branch, &stw_cause_cancelled);
	else if (err == -ENOMEM)
		branch_fail(branch, &stw_cause_out_of_memory);
	else if (branch->answers >= (stale ? STALE_MAX : 1))
		account_fail(branch, response, &stw_cause_account_refused);
	else if (err < 0)
		account_fail(branch, response, &stw_cause_account_challenge);
	else if ((next = branch_again(branch))) {
		next->answers++;
		branch_send(next);
	}
}

/* §8.2.2.2: the server still has the transaction of the first try, in Confirmed. When that is over
 * (Timer I) there is nothing left to be merged with. */
static bool is_merged(const struct branch *branch, const struct stw_msg *response)
{
	return response->code == 482 && branch->answers > 0 &&
	       branch->tx->method == STW_METHOD_INVITE && !branch->box->request.routing.in_dialog;
}

static void wait_and_repeat(struct branch *branch)
{
	struct stw_stack *stack = branch->box->request.stack;
	struct branch *next = branch_again(branch);

	if (!next)
		return;
	next->merged = true;
	next->place_timer.kind = TIMER_MERGED;
	stw_timer_start(&stack->wheel, &next->place_timer, stack->now.mono_ms + MERGED_MS);
}

bool branch_challenged(struct branch *branch, const struct stw_msg *response)
{
	/* Without a client the login was taken away meanwhile: what is asked for is the caller's.
	 */
	if (branch->state == BRANCH_ENDED || !branch->account->client)
		return false;
	/* What is only known by its address teaches no others. */
	if (branch->target.account)
		account_learn_all(
			branch->box->request.stack, branch->account, &branch->hop.remote, true);
	if (response->code == 401 || response->code == 407) {
		answer_challenge(branch, response);
		return true;
	}
	if (!is_merged(branch, response))
		return false;
	if (branch_is_over(branch))
		branch_fail(branch, &stw_cause_cancelled);
	else if (branch->merged)
		branch_fail(branch, &stw_cause_account_merged);
	else
		wait_and_repeat(branch);
	return true;
}

void branch_merged_over(struct branch *branch)
{
	branch->place_timer.kind = TIMER_NEXT_PLACE;
	if (branch->unwanted)
		branch_fail(branch, &stw_cause_cancelled);
	else
		branch_send(branch);
}
