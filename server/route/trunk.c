/* SPDX-License-Identifier: Apache-2.0 */
/* Trunks: servers of others that numbers are handed to, and who may go there. */
#include <errno.h>

#include "server/route/route.h"

/* ---- calling one ---- */

/* §19.1.6 */
int stw_route_trunk_uri(struct stw_check *check, const struct stw_uri *gateway,
	struct stw_str number, struct stw_str *ret)
{
	size_t capacity = gateway->text.len + 3 * number.len + sizeof("@;user=phone");
	char *buffer = stw_arena_bytes(&check->request->arena, capacity);
	struct stw_writer writer;
	struct stw_str user;

	if (!buffer)
		return -ENOMEM;
	stw_writer_init(&writer, buffer, capacity);
	stw_write_str(&writer, gateway->scheme_name);
	stw_write_char(&writer, ':');
	for (size_t i = 0; i < number.len; i++) {
		if (number.ptr[i] == '#')
			stw_write_text(&writer, "%23");
		else
			stw_write_char(&writer, number.ptr[i]);
	}
	stw_write_char(&writer, '@');
	stw_write_str(&writer,
		stw_str_cut(gateway->text, gateway->scheme_name.len + 1, gateway->text.len));
	if (!stw_uri_param(gateway, STW_STR("user"), &user))
		stw_write_text(&writer, ";user=phone");
	*ret = stw_writer_text(&writer);
	return 0;
}

static int trunk_account(
	struct stw_stack *stack, const struct stw_trunk *trunk, struct stw_account **ret)
{
	struct stw_account_options options = { .name = trunk->name,
		.user = trunk->user,
		.password = trunk->password,
		.realm = trunk->realm };

	return stw_stack_account(stack, &options, ret);
}

int stw_route_trunk_account(
	struct stw_check *check, const struct stw_trunk *trunk, struct stw_account **ret)
{
	return trunk_account(check->request->stack, trunk, ret);
}

static bool config_has_uris(const struct stw_config *config, const struct stw_trunk *like)
{
	const struct stw_trunk *trunk;
	unsigned at = 0;

	while (at < config->trunk_count && !stw_str_equal(config->trunks[at].name, like->name))
		at++;
	if (at == config->trunk_count)
		return false;
	trunk = &config->trunks[at];
	if (trunk->uri_count != like->uri_count)
		return false;
	for (unsigned i = 0; i < like->uri_count; i++) {
		if (!stw_str_equal(trunk->uris[i], like->uris[i]))
			return false;
	}
	return true;
}

/* What its old URIs have led to is not this trunk. Without memory the next call sets the login. */
void stw_route_trunks_reload(struct stw_core *core, const struct stw_config *config)
{
	struct stw_account *account;

	for (unsigned i = 0; i < config->trunk_count; i++) {
		const struct stw_trunk *trunk = &config->trunks[i];

		if (!config_has_uris(core->config, trunk))
			stw_stack_account_moved(core->stack, trunk->name);
		if (stw_stack_account_find(core->stack, trunk->name))
			(void)trunk_account(core->stack, trunk, &account);
	}
}

enum stw_verdict stw_route_trunk(
	struct stw_check *check, const struct stw_trunk *trunk, struct stw_str number)
{
	struct stw_proxy_target targets[STW_TRUNK_URIS_MAX] = { 0 };
	struct stw_proxy_job job = { .targets = targets,
		.n = trunk->uri_count,
		.ring_timeout_ms = check->config->call.ring_timeout_ms,
		.no_recurse = true };
	struct stw_account *account;

	if (trunk->only_registered &&
		!stw_trunk_board_has(check->core->trunks, trunk->name, check->core->now)) {
		stw_refusal_fact(&check->refusal, "trunk", trunk->name);
		check->refusal.option = "trunks";
		return stw_route_refuse(check, &stw_cause_trunk_unregistered);
	}
	if (stw_route_trunk_account(check, trunk, &account) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	for (unsigned i = 0; i < trunk->uri_count; i++) {
		if (stw_route_trunk_uri(check, &trunk->parsed[i], number, &targets[i].uri) < 0)
			return stw_route_refuse(check, &stw_cause_out_of_memory);
		targets[i].q = 1000 - i;
		targets[i].next_on = &trunk->next_on;
		targets[i].account = account;
		targets[i].granted = true;
	}
	/* Where calls cost money nobody else says where they go. */
	return stw_route_submit(check, &job);
}

/* ---- who may go there without the dial plan ---- */

static uint16_t port_of(const struct stw_uri *uri)
{
	return uri->port ? uri->port : 5060;
}

/* By the host that each leads to. A name is the trunk at any port, an address at its own one. */
static bool uri_is_trunk(const struct stw_uri *uri, const struct stw_uri *trunk)
{
	enum stw_host_kind kind, trunk_kind;
	struct stw_str host, trunk_host;

	if (stw_target_host(uri, &host, &kind) < 0 ||
		stw_target_host(trunk, &trunk_host, &trunk_kind) < 0)
		return false;
	return stw_str_equal_nocase(stw_host_relative(host), stw_host_relative(trunk_host)) &&
	       (trunk_kind == STW_HOST_NAME || port_of(uri) == port_of(trunk));
}

static bool addr_is_trunk(const struct stw_addr *addr, bool any_port, const struct stw_uri *trunk)
{
	struct stw_target where;

	return stw_target_from_uri(trunk, &where) == 0 && !where.need_resolve &&
	       (any_port ? stw_addr_same_ip(&where.addr, addr) : stw_addr_equal(&where.addr, addr));
}

/* Where the names of the trunk lead. The DNS alone makes nobody the trunk: from where it has
 * answered to our login, it calls us. */
static bool account_is_at(const struct stw_request *request, const struct stw_trunk *trunk,
	const struct stw_addr *addr, bool is_source, bool any_port)
{
	const struct stw_account *account = stw_stack_account_find(request->stack, trunk->name);

	if (!account)
		return false;
	return is_source ? trunk->user.len && stw_account_answered_at(account, addr, any_port)
			 : stw_account_leads_to(account, addr, stw_stack_now(request->stack));
}

/* By one of the two, the other is NULL. A connection of theirs comes from any port. */
static const struct stw_trunk *trunk_find(const struct stw_config *config,
	const struct stw_request *request, const struct stw_uri *uri, const struct stw_addr *addr)
{
	bool is_source = addr == &request->source.remote;
	bool any_port = is_source && request->source.transport != STW_TRANSPORT_UDP;

	for (unsigned i = 0; i < config->trunk_count; i++) {
		const struct stw_trunk *trunk = &config->trunks[i];

		for (unsigned u = 0; u < trunk->uri_count; u++) {
			if (uri ? uri_is_trunk(uri, &trunk->parsed[u])
				: addr_is_trunk(addr, any_port, &trunk->parsed[u]))
				return trunk;
		}
		if (addr && account_is_at(request, trunk, addr, is_source, any_port))
			return trunk;
	}
	return NULL;
}

/* What leads to a trunk by another way than the dial plan: a Route, a forwarding, a Contact,
 * another name of its address. */
const struct stw_cause *stw_route_guard(struct stw_core *core, const struct stw_request *request,
	const struct stw_uri *uri, const struct stw_hop *hop)
{
	return core->config->trunk_count &&
			       trunk_find(core->config, request, uri, hop ? &hop->remote : NULL)
		       ? &stw_cause_trunk_direct
		       : NULL;
}

const struct stw_trunk *stw_route_trunk_of_source(struct stw_check *check)
{
	return check->config->trunk_count ? trunk_find(check->config, check->request, NULL,
						    &check->request->source.remote)
					  : NULL;
}

static enum stw_verdict direct_refuse(
	struct stw_check *check, const struct stw_trunk *trunk, const struct stw_cause *cause)
{
	stw_refusal_fact(&check->refusal, "trunk", trunk->name);
	check->refusal.option = "trunks";
	return stw_route_refuse(check, cause);
}

/* The URI that a Route or the Request-URI leads to. */
static bool next_uri(const struct stw_request *request, struct stw_uri *ret)
{
	struct stw_address address;

	if (!request->routing.has_route) {
		*ret = request->routing.uri;
		return true;
	}
	if (stw_address_parse(request->routing.next_route, &address) < 0 || address.wildcard)
		return false;
	*ret = address.uri;
	return true;
}

enum stw_verdict stw_route_trunk_direct(struct stw_check *check)
{
	const struct stw_request *request = check->request;
	const struct stw_trunk *trunk;
	struct stw_proxy_target target = {
		.uri = request->routing.uri_text, .q = 1000, .granted = true
	};
	enum stw_verdict verdict;
	struct stw_uri uri;

	/* A BYE begins nothing, and may find a gateway that has moved. */
	if (!check->config->trunk_count || request->routing.in_dialog ||
		request->msg->method == STW_METHOD_BYE ||
		(check->domain.len && !request->routing.has_route) || !next_uri(request, &uri))
		return STW_PASS;
	trunk = trunk_find(check->config, request, &uri, NULL);
	if (!trunk)
		return STW_PASS;
	if (!check->caller_domain.len)
		return direct_refuse(check, trunk, &stw_cause_trunk_stranger);
	if (!trunk->direct.len || !stw_route_class_held(check, trunk->direct))
		return direct_refuse(check, trunk, &stw_cause_trunk_direct);
	verdict = stw_route_credit(check, trunk, uri.user);
	if (verdict == STW_REFUSE)
		stw_refusal_fact(&check->refusal, "trunk", trunk->name);
	return verdict == STW_PASS ? stw_route_forward(check, &target, 1) : verdict;
}

/* ---- what comes from there ---- */

const struct stw_trunk *stw_route_trunk_of_contact(const struct stw_check *check)
{
	const struct stw_config *config = check->config;
	struct stw_str user = check->request->routing.uri.user;
	char buffer[STW_TRUNK_CONTACT_BYTES];

	if (!check->domain.len || user.len != STW_TRUNK_CONTACT_BYTES - 1 || user.ptr[0] != 't')
		return NULL;
	for (unsigned i = 0; i < config->trunk_count; i++) {
		if (config->trunks[i].registers &&
			stw_str_equal(user, stw_trunk_contact(check->core->options.key,
						    config->trunks[i].name, buffer)))
			return &config->trunks[i];
	}
	return NULL;
}

enum stw_verdict stw_route_trunk_incoming(struct stw_check *check)
{
	const struct stw_request *request = check->request;
	const struct stw_trunk *trunk = stw_route_trunk_of_contact(check);
	struct stw_uri *called;
	struct stw_str text;

	if (!trunk || request->routing.has_route || request->routing.in_dialog)
		return STW_PASS;
	text = trunk->incoming.len ? trunk->incoming : request->msg->to.uri.user;
	called = stw_arena_zalloc(&check->request->arena, sizeof(*called));
	if (!called || stw_route_target_uri(check, text, check->config->domains[0], &text) < 0 ||
		stw_uri_parse(text, called) < 0)
		return stw_route_refuse(check, &stw_cause_bad_request_uri);
	check->called = called;
	check->domain = stw_route_domain(check->core, called);
	return check->domain.len ? STW_PASS : stw_route_refuse(check, &stw_cause_forward_target);
}
