/* SPDX-License-Identifier: Apache-2.0 */
/* What only several options together can break. */
#include "server/config/internal.h"

#include <string.h>

/* The first of these options that the file sets, to point at. */
static struct config_mark mark_of_first(
	const struct config_context *context, const char *a, const char *b)
{
	struct config_mark mark = config_option_mark(context, a);

	return mark.line != 0 ? mark : config_option_mark(context, b);
}

/* Without authentication nobody listens beyond loopback by accident. */
static void check_open_listener(struct config_context *context)
{
	const struct stw_config *config = context->config;
	char address[STW_ADDR_TEXT_MAX];

	if (config->auth.required || config->auth.insecure_listen)
		return;
	for (unsigned i = 0; i < config->listen.n; i++) {
		const struct stw_listener *listener = &config->listen.v[i];

		if (stw_addr_is_loopback(&listener->bind))
			continue;
		config_error(context, config_option_mark(context, "auth.required"),
			"auth.required: false would let everyone use the listener on %.*s; listen "
			"on "
			"loopback only, or say auth.insecure_listen: true",
			STW_STR_ARG(stw_addr_text(&listener->bind, address)));
		return;
	}
}

static void check_order(struct config_context *context, const char *low_key, const char *high_key)
{
	const struct stw_option *low = stw_option_find(low_key), *high = stw_option_find(high_key);
	char low_text[32], high_text[32];
	uint32_t a, b;

	memcpy(&a, config_member(context->config, low), sizeof(a));
	memcpy(&b, config_member(context->config, high), sizeof(b));
	if (a <= b)
		return;
	config_error(context, mark_of_first(context, low_key, high_key),
		"%s (%.*s) is more than %s (%.*s)", low_key,
		STW_STR_ARG(config_number_text(low, a, low_text, sizeof(low_text))), high_key,
		STW_STR_ARG(config_number_text(high, b, high_text, sizeof(high_text))));
}

/* 0s switches an option off. */
static void check_session_timer(struct config_context *context)
{
	const struct stw_config *config = context->config;

	if (config->session_timer.insert_s)
		check_order(context, "session_timer.min_se", "session_timer.insert");
	if (config->session_timer.max_s) {
		check_order(context, "session_timer.min_se", "session_timer.max");
		check_order(context, "session_timer.insert", "session_timer.max");
	}
}

/* The option `advertise` holds for all listeners beyond loopback that have none of their own. */
static void advertise_apply(struct config_context *context)
{
	struct stw_config *config = context->config;
	struct stw_str host;
	uint16_t port;

	if (config->advertise.len == 0 || config_host_port(config->advertise, &host, &port) < 0)
		return;
	for (unsigned i = 0; i < config->listen.n; i++) {
		struct stw_listener *listener = &config->listen.v[i];

		if (listener->advertise.len > 0 || stw_addr_is_loopback(&listener->bind))
			continue;
		listener->advertise = host;
		listener->advertise_port = port;
	}
}

static void check_redirect(struct config_context *context)
{
	const struct stw_config *config = context->config;
	char quoted[96];

	for (unsigned i = 0; i < config->call.redirect_count; i++) {
		struct stw_str domain = config->call.redirect[i];
		unsigned k = 0;

		while (k < config->domain_count &&
			!stw_str_equal_nocase(config->domains[k], domain))
			k++;
		if (k == config->domain_count)
			config_error(context, config_option_mark(context, "call.redirect"),
				"call.redirect: %s is none of domains",
				config_quote(domain, quoted));
	}
}

void config_check(struct config_context *context)
{
	check_open_listener(context);
	check_order(context, "registration.min_expires", "registration.default_expires");
	check_order(context, "registration.default_expires", "registration.max_expires");
	check_order(context, "limits.max_connections_per_source", "limits.max_connections");
	check_session_timer(context);
	check_redirect(context);
	config_check_plan(context);
	config_check_groups(context);
	config_check_features(context);
	config_check_queues(context);
	config_check_names(context);
	config_check_trunks(context);
	config_check_emergency(context);
	config_check_hook(context);
	config_check_card(context);
	config_check_edges(context);
	advertise_apply(context);
}
