/* SPDX-License-Identifier: Apache-2.0 */
#include "server/route/route.h"

#include <errno.h>
#include <string.h>

#include "server/try.h"

enum stw_verdict stw_route_refuse(struct stw_check *check, const struct stw_cause *cause)
{
	check->refusal.cause = cause;
	return STW_REFUSE;
}

/* A call that was given to stw_request_proxy() ends otherwise than one that was not. */
static void route_refuse(struct stw_check *check)
{
	if (check->service && check->service->open)
		stw_request_settle(check->request, &check->refusal);
	else
		stw_request_refuse(check->request, &check->refusal);
}

void stw_route_run(struct stw_check *check, const struct stw_check_row *rows)
{
	struct stw_trial *trial = check->core->options.trial;
	const struct stw_check_row *row;
	enum stw_verdict verdict;

	for (row = rows; row->run; row++) {
		check->row = row;
		verdict = row->run(check);
		if (trial)
			trial->row(trial, row->name, verdict == STW_REFUSE);
		switch (verdict) {
		case STW_PASS:
			break;
		case STW_REFUSE:
			route_refuse(check);
			return;
		case STW_DONE:
			return;
		}
	}
}

/* After route preprocessing the Request-URI decides: the registrar, the server itself, or the
 * proxy. */
static const struct stw_check_row *route_choose(struct stw_check *check)
{
	const struct stw_request *request = check->request;

	if (request->msg->method == STW_METHOD_ACK)
		return stw_route_ack_rows;
	if (check->config->edge_count && (check->edge = stw_route_edge(check)))
		return stw_route_edge_rows;
	if (request->routing.has_route || !check->domain.len)
		return stw_route_proxy_rows;
	if (request->msg->method == STW_METHOD_REGISTER)
		return stw_route_registrar_rows;
	if (!request->routing.uri.user.ptr)
		return stw_route_server_rows;
	return stw_route_proxy_rows;
}

/* The domain that the Request-URI means us by. §16.5: with a maddr that is not ours it is the only
 * target, whatever its host. */
static struct stw_str route_domain(const struct stw_check *check)
{
	const struct stw_uri *uri = &check->request->routing.uri;
	struct stw_str maddr;

	if (uri->scheme == STW_SCHEME_TEL)
		return stw_route_tel_domain(check->config, uri);
	if ((uri->scheme == STW_SCHEME_SIP || uri->scheme == STW_SCHEME_SIPS) &&
		stw_uri_param(uri, STW_STR("maddr"), &maddr))
		return STW_STR_NONE;
	return stw_route_domain(check->core, uri);
}

int stw_route_check_keep(const struct stw_check *check, struct stw_check *ret)
{
	struct stw_arena *arena = &check->request->arena;

	*ret = *check;
	ret->refusal = (struct stw_refusal){ .cause = NULL };
	ret->credentials = (struct stw_credentials){ 0 };
	ret->preferences = NULL; /* are read anew from the message, which moves */
	if (stw_arena_copy(arena, check->user_aor, &ret->user_aor) < 0 ||
		stw_arena_copy(arena, check->domain, &ret->domain) < 0 ||
		stw_arena_copy(arena, check->caller_domain, &ret->caller_domain) < 0 ||
		stw_arena_copy(arena, check->on_behalf, &ret->on_behalf) < 0)
		return -ENOMEM;
	return 0;
}

/* It matches no transaction. §16.10 has it forwarded without state, for its request may have been:
 * but we forward none so save the ACK. What we send has the branch of a transaction of ours; a
 * CANCEL would have another one, and what it is to end below would not be found (§9.1, §17.2.3);
 * only who is there would be told, to anybody. So the answer is that of who is asked last, whoever
 * is meant (§9.2; docs/decisions/0026). */
static void route_cancel(struct stw_check *check)
{
	check->refusal.cause = &stw_cause_request_gone;
	stw_request_refuse(check->request, &check->refusal);
}

/* What does not go where its dialog goes begins something, and all that holds for what begins holds
 * for it. An ACK, of which nobody can be asked, may still find the other side that has moved
 * (docs/decisions/0013). */
static void leave_dialog(struct stw_check *check)
{
	struct stw_proxy_routing *routing = &check->request->routing;
	bool to_us = check->domain.len && !routing->has_route;

	if (!routing->in_dialog || stw_route_stays_in_dialog(check) ||
		(!to_us && check->request->msg->method == STW_METHOD_ACK))
		return;
	routing->in_dialog = false;
	check->left_dialog = true;
}

void stw_route_request(struct stw_core *core, struct stw_request *request)
{
	struct stw_check check = {
		.core = core,
		.request = request,
		.config = core->config,
		.removed_users = core->removed_users,
	};
	const struct stw_cause *cause;
	struct stw_str caller_domain;

	if (request->msg->method == STW_METHOD_CANCEL) {
		route_cancel(&check);
		return;
	}
	/* P8 is computed first because a verified Route mark spares P7; a broken Route is refused
	 * in its row. */
	cause = stw_request_preprocess(request);
	if (cause) {
		check.refusal.cause = cause;
		stw_request_refuse(request, &check.refusal);
		return;
	}
	caller_domain = stw_route_domain(core, &request->msg->from.uri);
	if (caller_domain.len)
		stw_request_consume(request, caller_domain);
	check.called = &request->routing.uri;
	check.emergency = stw_route_may_be_emergency(request->msg) && !request->routing.in_dialog &&
			  stw_route_is_emergency(core, request->msg, &check.emergency_number);
	if (check.emergency) {
		stw_route_run(&check, stw_route_emergency_rows);
		return;
	}
	if (request->routing.flow.len && stw_route_edge_flow(&check)) {
		stw_route_run(&check, stw_route_flow_rows);
		return;
	}
	check.domain = route_domain(&check);
	check.caller_domain = caller_domain;
	leave_dialog(&check);
	stw_route_run(&check, route_choose(&check));
}
