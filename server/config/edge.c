/* SPDX-License-Identifier: Apache-2.0 */
/* edge: domains of others whose phones come by us. */
#include "server/config/internal.h"

enum { EDGE_DOMAIN, EDGE_REGISTRAR, EDGE_PATH, EDGE_KEYS };

static const struct config_key edge_keys[EDGE_KEYS] = {
	[EDGE_DOMAIN] = { .name = "domain", .required = true },
	[EDGE_REGISTRAR] = { .name = "registrar", .required = true },
	[EDGE_PATH] = { .name = "path" },
};

const struct stw_edge *stw_config_edge(const struct stw_config *config, struct stw_str domain)
{
	for (unsigned i = 0; i < config->edge_count; i++) {
		if (stw_str_equal_nocase(config->edges[i].domain, domain))
			return &config->edges[i];
	}
	return NULL;
}

static bool domain_read(
	struct config_context *context, const struct config_field *field, struct stw_edge *edge)
{
	enum stw_host_kind kind;
	char quoted[96];

	config_quote(field->text, quoted);
	if (stw_host_parse(field->text, &edge->domain, &kind) < 0 || edge->domain.len > 253)
		config_error(context, field->mark,
			"edge: domain: %s is not a host name; allowed: names like example.com",
			quoted);
	else if (stw_config_edge(context->config, edge->domain))
		config_error(context, field->mark, "edge: domain: %s stands twice", quoted);
	else
		return true;
	return false;
}

/* What is sent there has it as its Route (RFC 3261 §16.6 step 6), so it is a loose router. */
static bool registrar_read(
	struct config_context *context, const struct config_field *field, struct stw_edge *edge)
{
	char quoted[96], route[CONFIG_TEXT_MAX + sizeof("<;lr>")];
	struct stw_uri uri;
	struct stw_str lr;

	edge->registrar = field->text;
	if (stw_uri_parse(field->text, &uri) < 0 || uri.scheme != STW_SCHEME_SIP || uri.user.ptr ||
		uri.headers.len > 0) {
		config_error(context, field->mark,
			"edge: registrar: %s is no SIP URI without user; allowed: like "
			"sip:core.example.net or sip:192.0.2.7:5060;transport=tcp",
			config_quote(field->text, quoted));
		return false;
	}
	if (!config_transport_read(context, field->mark, "edge: registrar", &uri))
		return false;
	snprintf(route, sizeof(route), "<%.*s%s>", STW_STR_ARG(field->text),
		stw_uri_param(&uri, STW_STR("lr"), &lr) ? "" : ";lr");
	config_keep(context, stw_str_from(route), &edge->route);
	return true;
}

static const struct stw_str path_words[] = {
	[STW_EDGE_OFFER] = { "offer", 5 },
	[STW_EDGE_REQUIRE] = { "require", 7 },
	[STW_EDGE_NEVER] = { "never", 5 },
};

static bool path_read(
	struct config_context *context, const struct config_field *field, struct stw_edge *edge)
{
	char quoted[96];

	edge->path_text = field->text;
	if (!field->text.ptr)
		return true;
	for (unsigned i = 0; i < STW_ARRAY_SIZE(path_words); i++) {
		edge->path = (enum stw_edge_path)i;
		if (stw_str_equal(field->text, path_words[i]))
			return true;
	}
	config_error(context, field->mark,
		"edge: path: %s is not known; allowed: offer, require, never",
		config_quote(field->text, quoted));
	return false;
}

static void edge_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_config *config = context->config;
	struct stw_edge edge = { .path = STW_EDGE_OFFER };

	if (config->edge_count == STW_CONFIG_EDGES_MAX) {
		config_error(context, item->fields[EDGE_DOMAIN].mark, "%s: more than %d",
			option->key, STW_CONFIG_EDGES_MAX);
		return;
	}
	config->edges =
		config_grow(context, config->edges, config->edge_count, sizeof(*config->edges));
	if (config->edges && domain_read(context, &item->fields[EDGE_DOMAIN], &edge) &&
		registrar_read(context, &item->fields[EDGE_REGISTRAR], &edge) &&
		path_read(context, &item->fields[EDGE_PATH], &edge))
		config->edges[config->edge_count++] = edge;
}

static bool edge_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	if (index >= config->edge_count)
		return false;
	ret->entry = true;
	ret->fields[EDGE_DOMAIN].text = config->edges[index].domain;
	ret->fields[EDGE_REGISTRAR].text = config->edges[index].registrar;
	ret->fields[EDGE_PATH].text = config->edges[index].path_text;
	return true;
}

static void edge_clear(struct stw_config *config)
{
	config->edge_count = 0;
}

const struct stw_option_form config_form_edge = {
	.add = edge_add,
	.get = edge_get,
	.clear = edge_clear,
	.keys = edge_keys,
	.key_count = EDGE_KEYS,
	.only_entries = true,
};

void config_check_edges(struct config_context *context)
{
	const struct stw_config *config = context->config;
	struct stw_uri uri;
	char quoted[96];

	for (unsigned i = 0; i < config->edge_count; i++) {
		const struct stw_edge *edge = &config->edges[i];

		if (stw_config_domain(config, edge->domain).len)
			config_error(context, config_option_mark(context, "edge"),
				"edge: %s is one of domains: its users live here, or with another "
				"registrar",
				config_quote(edge->domain, quoted));
		if (stw_uri_parse(edge->registrar, &uri) == 0 &&
			stw_config_domain(config, uri.host).len)
			config_error(context, config_option_mark(context, "edge"),
				"edge: registrar: %s is this server itself",
				config_quote(edge->registrar, quoted));
	}
}
