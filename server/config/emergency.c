/* SPDX-License-Identifier: Apache-2.0 */
/* emergency.numbers and emergency.route. */
#include "server/config/internal.h"

static const struct stw_str trunk_word = { "trunk ", 6 };

/* ---- numbers ---- */

static void numbers_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_config *config = context->config;
	char buffer[STW_NUMBER_MAX], quoted[96];
	struct stw_str number;

	if (stw_number_from_text(item->text, buffer, &number) < 0)
		config_error(context, item->mark, "%s: %s is no number; allowed: digits, + * #",
			option->key, config_quote(item->text, quoted));
	else if (config->emergency.number_count == STW_CONFIG_EMERGENCY_MAX)
		config_error(context, item->mark, "%s: more than %d", option->key,
			STW_CONFIG_EMERGENCY_MAX);
	else
		config_keep(context, number,
			&config->emergency.numbers[config->emergency.number_count++]);
}

static bool numbers_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	if (index >= config->emergency.number_count)
		return false;
	ret->text = config->emergency.numbers[index];
	return true;
}

static void numbers_clear(struct stw_config *config)
{
	config->emergency.number_count = 0;
}

const struct stw_option_form config_form_emergency_numbers = {
	.add = numbers_add, .get = numbers_get, .clear = numbers_clear
};

/* ---- route ---- */

static void route_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_config *config = context->config;
	struct stw_uri uri;
	char quoted[96];

	config_keep(context, item->text, &config->emergency.route);
	if (item->text.len == 0 || stw_str_starts(item->text, trunk_word))
		return;
	config->emergency.uri = config->emergency.route;
	if (stw_uri_parse(item->text, &uri) < 0 || uri.scheme != STW_SCHEME_SIP || uri.user.ptr ||
		uri.headers.len > 0)
		config_error(context, item->mark,
			"%s: %s leads nowhere; allowed: a SIP URI without user, or trunk NAME",
			option->key, config_quote(item->text, quoted));
	else
		config_transport_read(context, item->mark, option->key, &uri);
}

static bool route_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	if (index > 0)
		return false;
	ret->text = config->emergency.route;
	return true;
}

const struct stw_option_form config_form_emergency_route = { .add = route_add, .get = route_get };

void config_check_emergency(struct config_context *context)
{
	struct stw_config *config = context->config;
	struct stw_str route = config->emergency.route;

	if (route.len > 0 && config->emergency.uri.len == 0)
		config_trunk_find(context, "emergency.route",
			config_option_mark(context, "emergency.route"),
			stw_str_trim(stw_str_cut(route, trunk_word.len, route.len)),
			&config->emergency.trunk);
}
