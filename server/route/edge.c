/* SPDX-License-Identifier: Apache-2.0 */
/*
 * List E: an edge proxy. Phones of other domains register through us (RFC 3327 §5.2), and what
 * comes to our Path goes to them by the flow that it names (RFC 5626 §5.3).
 */
#include "server/route/route.h"

static enum stw_verdict edge_submit(struct stw_check *check, const struct stw_proxy_target *target)
{
	struct stw_proxy_job job = { .targets = target, .n = 1, .no_recurse = true };

	if (check->request->msg->method != STW_METHOD_ACK)
		return stw_route_submit(check, &job);
	stw_request_forward_stateless(check->request, target);
	return STW_DONE;
}

/* ---- towards the registrar ---- */

static bool names_path(const struct stw_check *check, enum stw_header header)
{
	return stw_msg_has_token(check->request->msg, header, STW_STR("path"));
}

/* RFC 3327 §5.2: without a word that the phone knows Path there is none. */
static enum stw_verdict check_path(struct stw_check *check)
{
	if (check->edge->path != STW_EDGE_REQUIRE ||
		check->request->msg->method != STW_METHOD_REGISTER ||
		names_path(check, STW_HDR_SUPPORTED))
		return STW_PASS;
	check->refusal.option = "edge";
	check->refusal.headers = STW_STR("Require: path\r\n");
	return stw_route_refuse(check, &stw_cause_path_required);
}

static enum stw_verdict to_registrar(struct stw_check *check)
{
	const struct stw_edge *edge = check->edge;
	struct stw_proxy_target target = { .uri = check->request->routing.uri_text,
		.path = edge->route,
		.q = 1000,
		.granted = true };

	if (check->request->msg->method != STW_METHOD_REGISTER) {
		target.flow_in = true;
	} else if (edge->path != STW_EDGE_NEVER && names_path(check, STW_HDR_SUPPORTED)) {
		target.add_path = true;
		target.path_require =
			edge->path == STW_EDGE_REQUIRE && !names_path(check, STW_HDR_REQUIRE);
	}
	return edge_submit(check, &target);
}

const struct stw_check_row stw_route_edge_rows[] = {
	{ "P2-P5", stw_route_validate },
	{ "P8", stw_route_mark },
	{ "E1", check_path },
	{ "E2", to_registrar },
	{ NULL, NULL },
};

const struct stw_edge *stw_route_edge(const struct stw_check *check)
{
	const struct stw_proxy_routing *routing = &check->request->routing;
	struct stw_str maddr;

	if (routing->has_route || routing->in_dialog || check->domain.len ||
		(routing->uri.scheme != STW_SCHEME_SIP && routing->uri.scheme != STW_SCHEME_SIPS) ||
		stw_uri_param(&routing->uri, STW_STR("maddr"), &maddr))
		return NULL;
	return stw_config_edge(check->config, routing->uri.host);
}

/* ---- towards the phone ---- */

/* RFC 5626 §5.3.1: what comes by the flow itself is on its way out. */
bool stw_route_edge_flow(struct stw_check *check)
{
	const struct stw_hop *source = &check->request->source;

	return check->config->edge_count &&
	       stw_proxy_flow(&check->request->routing, &check->flow) &&
	       (check->flow.transport != source->transport ||
		       !stw_addr_equal(&check->flow.remote, &source->remote));
}

/* Nowhere else, whatever Route and Request-URI say: the token is no leave to relay. */
static enum stw_verdict to_phone(struct stw_check *check)
{
	struct stw_proxy_target target = { .uri = check->request->routing.uri_text,
		.q = 1000,
		.binding = true,
		.has_hop = true,
		.hop_only = true,
		.hop = check->flow,
		.flow_out = true };

	return edge_submit(check, &target);
}

const struct stw_check_row stw_route_flow_rows[] = {
	{ "P2-P5", stw_route_validate },
	{ "E3", to_phone },
	{ NULL, NULL },
};
