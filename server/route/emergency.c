/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emergency calls, RFC 5031: nothing keeps them back, neither load (F12) nor authentication (P7),
 * relaying (P9) or services (P10). They go to emergency.route and nowhere else.
 */
#include "server/dialplan/dialplan.h"
#include "server/route/route.h"

#include <errno.h>

#define IMS_TYPE "application/3gpp-ims+xml"
#define WORDS    "Emergency calls are not routed here. Use another network."

static const char ims_body[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			       "<ims-3gpp version=\"1\"><alternative-service><type>emergency</type>"
			       "<reason>" WORDS "</reason></alternative-service></ims-3gpp>\n";

static bool number_is_emergency(
	const struct stw_config *config, const struct stw_uri *uri, struct stw_str *ret_number)
{
	char buffer[STW_NUMBER_MAX];
	struct stw_str number;

	if (stw_number_from_uri(uri, buffer, &number) < 0)
		return false;
	for (unsigned i = 0; i < config->emergency.number_count; i++) {
		if (stw_str_equal(number, config->emergency.numbers[i])) {
			*ret_number = config->emergency.numbers[i];
			return true;
		}
	}
	return false;
}

bool stw_route_is_emergency(
	const struct stw_core *core, const struct stw_msg *request, struct stw_str *ret_number)
{
	const struct stw_uri *uri = &request->uri;

	*ret_number = STW_STR_NONE;
	if (uri->scheme == STW_SCHEME_URN ? !stw_uri_is_sos(uri) : uri->user.len == 0)
		return false;
	if (request->method == STW_METHOD_ACK || request->method == STW_METHOD_CANCEL ||
		request->method == STW_METHOD_REGISTER)
		return false;
	if (uri->scheme == STW_SCHEME_URN)
		return true;
	if (uri->scheme != STW_SCHEME_TEL && !stw_route_domain(core, uri).len)
		return false;
	return number_is_emergency(core->config, uri, ret_number);
}

/* ---- where it goes ---- */

/* A Route that the caller has preset would lead elsewhere. */
static void routes_forget(struct stw_request *request)
{
	struct stw_values values = stw_msg_values(request->msg, STW_HDR_ROUTE);
	struct stw_proxy_routing *routing = &request->routing;
	struct stw_str value;
	unsigned n = 0;

	while (stw_values_next(&values, &value))
		n++;
	routing->own_routes = n;
	routing->has_route = routing->strict_restored = routing->forged = false;
	routing->next_route = STW_STR_NONE;
	routing->uri = request->msg->uri;
	routing->uri_text = request->msg->uri.text;
}

/* A server that knows service URNs gets one as Request-URI, and is put into Route (RFC 6881). */
static enum stw_verdict emergency_to_server(struct stw_check *check)
{
	const struct stw_config *config = check->config;
	struct stw_proxy_target target = {
		.uri = check->request->msg->uri.text, .q = 1000, .granted = true
	};
	struct stw_proxy_job job = { .targets = &target, .n = 1, .no_recurse = true };
	struct stw_str lr;
	struct stw_uri uri;

	if (check->emergency_number.len)
		target.uri = STW_STR("urn:service:sos");
	stw_uri_parse(config->emergency.uri, &uri);
	if (stw_arena_printf(&check->request->arena, &target.path, "<%.*s%s>",
		    STW_STR_ARG(config->emergency.uri),
		    stw_uri_param(&uri, STW_STR("lr"), &lr) ? "" : ";lr") < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	stw_request_proxy(check->request, &job);
	return STW_DONE;
}

/* A gateway gets a number: the one that was dialled, or the first. */
static enum stw_verdict emergency_to_trunk(struct stw_check *check)
{
	const struct stw_config *config = check->config;
	const struct stw_trunk *trunk = &config->trunks[config->emergency.trunk];
	struct stw_proxy_target targets[STW_TRUNK_URIS_MAX] = { 0 };
	struct stw_proxy_job job = {
		.targets = targets, .n = trunk->uri_count, .no_recurse = true
	};
	struct stw_str number = check->emergency_number;
	struct stw_account *account;

	if (stw_route_trunk_account(check, trunk, &account) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	if (!number.len)
		number = config->emergency.number_count ? config->emergency.numbers[0]
							: STW_STR("112");
	for (unsigned i = 0; i < trunk->uri_count; i++) {
		if (stw_route_trunk_uri(check, &trunk->parsed[i], number, &targets[i].uri) < 0)
			return stw_route_refuse(check, &stw_cause_out_of_memory);
		targets[i].q = 1000 - i;
		targets[i].account = account;
		targets[i].granted = true;
	}
	stw_request_proxy(check->request, &job);
	return STW_DONE;
}

/* ---- or what the caller is told ---- */

/* The type of one value of Accept; without the header field words do no harm. */
static bool accepts(const struct stw_msg *request, struct stw_str type, struct stw_str range)
{
	struct stw_values values = stw_msg_values(request, STW_HDR_ACCEPT);
	struct stw_str value;
	bool any = false;

	while (stw_values_next(&values, &value)) {
		any = true;
		value = stw_str_trim(stw_str_cut(value, 0, stw_str_find(value, ';', 0)));
		if (stw_str_equal_nocase(value, type) || stw_str_equal_nocase(value, range))
			return true;
	}
	return !any && range.len;
}

static enum stw_verdict emergency_refuse(struct stw_check *check)
{
	const struct stw_msg *request = check->request->msg;
	struct stw_refusal *refusal = &check->refusal;

	if (accepts(request, STW_STR(IMS_TYPE), STW_STR_NONE)) {
		refusal->content_type = STW_STR(IMS_TYPE);
		refusal->body = STW_STR(ims_body);
	} else if (accepts(request, STW_STR("text/plain"), STW_STR("text/*")) ||
		   accepts(request, STW_STR("*/*"), STW_STR_NONE)) {
		refusal->content_type = STW_STR("text/plain");
		refusal->headers = STW_STR("Content-Language: en\r\n");
		refusal->body = STW_STR(WORDS "\r\n");
	}
	refusal->option = "emergency.route";
	return stw_route_refuse(check, &stw_cause_emergency_not_routed);
}

static enum stw_verdict emergency_route(struct stw_check *check)
{
	if (!check->config->emergency.route.len)
		return emergency_refuse(check);
	routes_forget(check->request);
	return check->config->emergency.uri.len ? emergency_to_server(check)
						: emergency_to_trunk(check);
}

const struct stw_check_row stw_route_emergency_rows[] = {
	{ "P2-P5", stw_route_validate },
	{ "P10", stw_route_call },
	{ "P12-P14", emergency_route },
	{ NULL, NULL },
};
