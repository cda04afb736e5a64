/* SPDX-License-Identifier: Apache-2.0 */
/* P12: the target set, RFC 3261 §16.5: the bindings of one of our users, or the Request-URI as it
 * is. */
#include "server/route/route.h"

/* Does the URI name an address, which takes no DNS to find? */
static bool target_is_address(const struct stw_uri *uri, struct stw_target *ret)
{
	return stw_target_from_uri(uri, ret) == 0 && !ret->need_resolve;
}

/* Where a binding, whose URI is `uri`, is reached: registration.use_source. */
static struct stw_proxy_target target_of(
	const struct stw_check *check, const struct stw_binding *binding, const struct stw_uri *uri)
{
	enum stw_use_source use = check->config->registration.use_source;
	const struct stw_hop *source = &binding->source;
	struct stw_target where;
	bool is_address = target_is_address(uri, &where);
	struct stw_proxy_target target = { .uri = binding->uri,
		.q = binding->q,
		.binding = true,
		.loopback = stw_addr_is_loopback(&source->remote),
		.path = binding->path,
		.instance = binding->instance };

	/* A gateway may be a trunk and have phones of ours. What it has registered from its own
	 * address leads to it without the dial plan; what a phone elsewhere writes does not
	 * (stw_route_guard()). */
	target.granted =
		is_address && !binding->path.len && stw_addr_equal(&where.addr, &source->remote);
	if (use == STW_USE_SOURCE_NEVER || binding->path.len || !source->remote.family)
		return target;
	/* A Contact at the host that the REGISTER came from can be reached as it is: only its port
	 * differs, because the phone registers from another one. A connection is always worth
	 * using while it lasts. */
	if (use == STW_USE_SOURCE_AUTO && is_address && source->transport == STW_TRANSPORT_UDP &&
		stw_addr_same_ip(&where.addr, &source->remote))
		return target;
	target.has_hop = true;
	target.hop_only = use == STW_USE_SOURCE_ALWAYS;
	target.hop = *source;
	return target;
}

/* §10.2.1 lets a Contact be any URI, but only what SIP can reach is a target of a proxy. */
static bool target_is_sip(const struct stw_binding *binding, struct stw_uri *ret)
{
	return stw_uri_parse(binding->uri, ret) == 0 &&
	       (ret->scheme == STW_SCHEME_SIP || ret->scheme == STW_SCHEME_SIPS);
}

static enum stw_verdict target_refuse_scheme(struct stw_check *check)
{
	if (check->called->scheme == STW_SCHEME_SIPS) {
		check->refusal.headers = STW_STR("Warning: 380 strowger \"SIPS Not Allowed\"\r\n");
		return stw_route_refuse(check, &stw_cause_sips_not_allowed);
	}
	check->refusal.headers = STW_STR("Warning: 381 strowger \"SIPS Required\"\r\n");
	return stw_route_refuse(check, &stw_cause_sips_required);
}

enum stw_verdict stw_route_forward(
	struct stw_check *check, const struct stw_proxy_target *targets, unsigned n)
{
	struct stw_proxy_job job = { .targets = targets, .n = n };

	if (!check->request->routing.in_dialog)
		job.ring_timeout_ms = check->config->call.ring_timeout_ms;
	return stw_route_submit(check, &job);
}

/* Of the user whom To names. */
static const struct stw_bindings *bindings_of_to(struct stw_check *check)
{
	const struct stw_uri *to = &check->request->msg->to.uri;
	struct stw_str domain = stw_route_domain(check->core, to), aor;

	if (!domain.len || stw_route_aor(check, to, domain, &aor) < 0)
		return NULL;
	return stw_location_find(check->core->options.location, aor);
}

/* The one whose URI is the Request-URI. */
static bool binding_find(
	struct stw_check *check, const struct stw_bindings *bindings, struct stw_proxy_target *ret)
{
	const struct stw_request *request = check->request;
	struct stw_binding binding;
	struct stw_uri contact;
	size_t cursor = 0;

	while (bindings && stw_bindings_next(bindings, &cursor, &binding)) {
		if (binding.expires_ms <= check->core->now.wall_ms ||
			stw_uri_parse_like(binding.uri, &request->routing.uri, &contact) < 0 ||
			!stw_uri_equal(&contact, &request->routing.uri))
			continue;
		*ret = target_of(check, &binding, &contact);
		ret->uri = request->routing.uri_text;
		return true;
	}
	return false;
}

bool stw_route_binding_of_to(struct stw_check *check, struct stw_proxy_target *ret)
{
	return binding_find(check, bindings_of_to(check), ret);
}

/* §12.2: a target refresh moves the remote target, which our mark does not cover then. Whose phone
 * is on this machine itself may move it there, by the transport that he has registered with. */
static bool moves_inside(struct stw_check *check, const struct stw_bindings *bindings)
{
	struct stw_binding binding;
	struct stw_target where;
	size_t cursor = 0;

	if (!bindings || !target_is_address(&check->request->routing.uri, &where) ||
		!stw_addr_is_loopback(&where.addr))
		return false;
	while (stw_bindings_next(bindings, &cursor, &binding)) {
		if (binding.expires_ms > check->core->now.wall_ms &&
			stw_addr_same_ip(&where.addr, &binding.source.remote) &&
			(!where.transport_given || where.transport == binding.source.transport))
			return true;
	}
	return false;
}

/* In a dialog the Request-URI is the Contact of the user whom To names. When he is registered with
 * it and is reached by his source (behind a translator, over his connection: has_hop), the request
 * goes there too. */
bool stw_route_target_of_to(struct stw_check *check, struct stw_proxy_target *ret)
{
	const struct stw_proxy_routing *routing = &check->request->routing;
	const struct stw_bindings *bindings;

	if (!routing->in_dialog)
		return false;
	bindings = bindings_of_to(check);
	if (binding_find(check, bindings, ret) && ret->has_hop)
		return true;
	*ret = (struct stw_proxy_target){ .uri = routing->uri_text, .q = 1000, .loopback = true };
	return moves_inside(check, bindings);
}

unsigned stw_route_bindings(struct stw_check *check, struct stw_str aor,
	struct stw_proxy_target *targets, unsigned max, unsigned *ret_live)
{
	const struct stw_bindings *bindings = stw_location_find(check->core->options.location, aor);
	unsigned scores[STW_ROUTE_TARGETS_MAX], n = 0;
	struct stw_binding binding;
	struct stw_uri uri;
	size_t cursor = 0;

	/* Behind what failed the request comes here again; what is malformed was refused at first.
	 */
	if (bindings && !check->preferences)
		stw_preferences_parse(
			check->request->msg, &check->request->arena, &check->preferences);
	*ret_live = 0;
	while (bindings && n < max && stw_bindings_next(bindings, &cursor, &binding)) {
		if (binding.expires_ms <= check->core->now.wall_ms ||
			!target_is_sip(&binding, &uri))
			continue;
		(*ret_live)++;
		/* RFC 5630 §5.3: a request for sips goes to a sips Contact only; the other way
		 * takes TLS, which is not served. A number (tel) goes where sip goes. */
		if ((uri.scheme == STW_SCHEME_SIPS) != (check->called->scheme == STW_SCHEME_SIPS) ||
			!stw_route_wants(check, &binding, &scores[n]))
			continue;
		targets[n] = target_of(check, &binding, &uri);
		targets[n].instance_of = aor;
		targets[n++].owner = check->follows ? aor : STW_STR_NONE;
	}
	return stw_route_prefer(check, targets, scores, n);
}

/* No user has the name. */
static enum stw_verdict target_no_user(struct stw_check *check, struct stw_str aor)
{
	const struct stw_group *group = NULL;
	const struct stw_call_queue *queue = NULL;

	if (check->config->queue_count)
		queue = stw_config_queue(check->config, check->called->user);
	if (queue)
		return stw_route_queue(check, queue);
	if (check->config->group_count)
		group = stw_config_group(check->config, check->called->user);
	return group ? stw_route_group(check, group, aor)
		     : stw_route_refuse(check, &stw_cause_user_unknown);
}

enum stw_verdict stw_route_target_set(struct stw_check *check)
{
	const struct stw_request *request = check->request;
	struct stw_proxy_target targets[STW_ROUTE_TARGETS_MAX];
	const struct stw_user *user;
	enum stw_verdict verdict;
	unsigned n, live;
	struct stw_str aor;

	if (request->routing.has_route)
		return stw_route_forward(check, NULL, 0);
	if (!check->domain.len)
		return stw_route_forward(check, targets, stw_route_target_of_to(check, targets));
	if (stw_route_aor(check, check->called, check->domain, &aor) < 0)
		return stw_route_refuse(check, &stw_cause_bad_request_uri);
	verdict = stw_route_preferences(check);
	if (verdict != STW_PASS)
		return verdict;
	stw_refusal_fact(&check->refusal, "user", aor);
	user = stw_directory_resolve(check->core->options.directory, aor);
	if (!user)
		return target_no_user(check, aor);
	verdict = stw_route_called(check, user);
	if (verdict != STW_PASS || stw_route_divert(check, user, STW_FORWARD_ALWAYS, &verdict))
		return verdict;
	if (stw_route_dnd(check, user))
		return stw_route_divert(check, user, STW_FORWARD_DND, &verdict)
			       ? verdict
			       : stw_route_refuse(check, &stw_cause_do_not_disturb);
	if (stw_route_redirects(check, user))
		return stw_route_redirect(
			check, stw_location_find(check->core->options.location, user->aor));
	n = stw_route_bindings(check, user->aor, targets, STW_ROUTE_TARGETS_MAX, &live);
	if (live && !n)
		return check->unwanted ? stw_route_refuse(check, &stw_cause_unpreferred)
				       : target_refuse_scheme(check);
	if (!n && stw_route_divert(check, user, STW_FORWARD_UNREGISTERED, &verdict))
		return verdict;
	if (!n)
		return stw_route_refuse(check, &stw_cause_not_registered);
	if (stw_route_busy(check, user)) {
		check->refusal.option = NULL;
		return stw_route_divert(check, user, STW_FORWARD_BUSY, &verdict)
			       ? verdict
			       : stw_route_refuse(check, &stw_cause_user_max_calls);
	}
	if (user->settings && stw_route_divert_watch(check, user) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	return stw_route_forward(check, targets, n);
}
