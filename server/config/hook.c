/* SPDX-License-Identifier: Apache-2.0 */
/* Web servers that are asked about calls (hook, analytics, credit), and priority. */
#include "server/config/internal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "server/priority/priority.h"

/* ---- addresses ---- */

static bool is_graphic(struct stw_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
			return false;
	}
	return true;
}

static bool is_web_address(struct stw_str text)
{
	size_t scheme = stw_str_starts(text, STW_STR("https://")) ? 8 : 7;
	struct stw_str host;
	uint16_t port;

	if (scheme == 7 && !stw_str_starts(text, STW_STR("http://")))
		return false;
	host = stw_str_cut(text, scheme, stw_str_find(text, '/', scheme));
	host = stw_str_cut(host, 0, stw_str_find(host, '?', 0));
	return is_graphic(text) && stw_str_find(text, '#', 0) == text.len &&
	       stw_str_find(host, '@', 0) == host.len && config_host_port(host, &host, &port) == 0;
}

static void url_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	char quoted[96];

	config_keep(context, item->text, config_member(context->config, option));
	if (item->text.len > 0 && !is_web_address(item->text))
		config_error(context, item->mark,
			"%s: %s is no address of the web; allowed: like "
			"https://host.example.net/path, without user and fragment",
			option->key, config_quote(item->text, quoted));
}

static bool text_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	if (index > 0)
		return false;
	ret->text = *(const struct stw_str *)config_member(config, option);
	return true;
}

const struct stw_option_form config_form_hook_url = { .add = url_add, .get = text_get };

/* ---- lists of words ---- */

static void word_keep(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_word_list *list = config_member(context->config, option);
	char quoted[96];

	for (unsigned i = 0; i < list->n; i++) {
		if (!stw_str_equal_nocase(list->v[i], item->text))
			continue;
		config_error(context, item->mark, "%s: %s stands twice", option->key,
			config_quote(item->text, quoted));
		return;
	}
	if (list->n == STW_CONFIG_WORDS_MAX)
		config_error(
			context, item->mark, "%s: more than %d", option->key, STW_CONFIG_WORDS_MAX);
	else
		config_keep(context, item->text, &list->v[list->n++]);
}

static bool word_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	const struct stw_word_list *list = config_member(config, option);

	if (index >= list->n)
		return false;
	ret->text = list->v[index];
	return true;
}

static void methods_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	enum stw_method method = stw_method_from(item->text);
	char quoted[96];

	if (!stw_is_token(item->text) || method == STW_METHOD_ACK || method == STW_METHOD_CANCEL ||
		method == STW_METHOD_REGISTER)
		config_error(context, item->mark,
			"%s: %s is no method to ask about; ACK, CANCEL and REGISTER are never",
			option->key, config_quote(item->text, quoted));
	else
		word_keep(context, option, item);
}

static void methods_clear(struct stw_config *config)
{
	config->analytics.methods.n = 0;
}

const struct stw_option_form config_form_analytics_methods = {
	.add = methods_add, .get = word_get, .clear = methods_clear
};

static void codes_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	static const char *const known[] = { "403", "404", "410", "480", "486", "603", "608" };
	char quoted[96];
	unsigned i = 0;

	while (i < STW_ARRAY_SIZE(known) && !stw_str_equal(item->text, stw_str_from(known[i])))
		i++;
	if (i == STW_ARRAY_SIZE(known))
		config_error(context, item->mark, "%s: %s is not known; allowed: %s", option->key,
			config_quote(item->text, quoted), option->allowed);
	else
		word_keep(context, option, item);
}

static void codes_clear(struct stw_config *config)
{
	config->analytics.codes.n = 0;
}

const struct stw_option_form config_form_analytics_codes = {
	.add = codes_add, .get = word_get, .clear = codes_clear
};

/* What a proxy works with is not for others to write. */
static void headers_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	static const enum stw_header allowed[] = { STW_HDR_UNKNOWN, STW_HDR_ALERT_INFO,
		STW_HDR_CALL_INFO };
	enum stw_header header = stw_header_from(item->text);
	char quoted[96];

	for (unsigned i = 0; stw_is_token(item->text) && i < STW_ARRAY_SIZE(allowed); i++) {
		if (header != allowed[i])
			continue;
		word_keep(context, option, item);
		return;
	}
	config_error(context, item->mark,
		"%s: %s cannot be added; allowed: Alert-Info, Call-Info, and names that mean "
		"nothing to this server, like X-Reputation",
		option->key, config_quote(item->text, quoted));
}

static void headers_clear(struct stw_config *config)
{
	config->analytics.headers.n = 0;
}

const struct stw_option_form config_form_analytics_headers = {
	.add = headers_add, .get = word_get, .clear = headers_clear
};

/* ---- what a 608 brings ---- */

static void contacts_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	char quoted[96];

	if (!stw_card_is_contact(item->text))
		config_error(context, item->mark, "%s: %s is no contact; allowed: %s", option->key,
			config_quote(item->text, quoted), option->allowed);
	else
		word_keep(context, option, item);
}

static void contacts_clear(struct stw_config *config)
{
	config->analytics.card_contacts.n = 0;
}

const struct stw_option_form config_form_card_contacts = {
	.add = contacts_add, .get = word_get, .clear = contacts_clear
};

static void sip_uri_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_uri uri;
	char quoted[96];

	config_keep(context, item->text, config_member(context->config, option));
	if (item->text.len == 0)
		return;
	if (stw_uri_parse(item->text, &uri) < 0 || uri.scheme != STW_SCHEME_SIP ||
		uri.headers.len > 0)
		config_error(context, item->mark, "%s: %s is no SIP URI", option->key,
			config_quote(item->text, quoted));
	else
		config_transport_read(context, item->mark, option->key, &uri);
}

const struct stw_option_form config_form_sip_uri = { .add = sip_uri_add, .get = text_get };

static void card_load(struct config_context *context)
{
	struct stw_config *config = context->config;
	char path[CONFIG_TEXT_MAX + 1], quoted[96];
	int err;

	snprintf(path, sizeof(path), "%.*s", STW_STR_ARG(config->analytics.card_key));
	err = stw_card_key_load(path, &config->analytics.card);
	if (err == -EINVAL)
		config_error(context, config_option_mark(context, "analytics.card_key"),
			"analytics.card_key: %s holds no private key for P-256 without a password",
			config_quote(config->analytics.card_key, quoted));
	/* A file that cannot be read was told of where it stands. */
}

void config_check_card(struct config_context *context)
{
	const struct stw_config *config = context->config;

	if (!config->analytics.card_key.len)
		return;
	if (!config->analytics.card_certificate.len)
		config_error(context, config_option_mark(context, "analytics.card_key"),
			"analytics.card_key: is set, but analytics.card_certificate is not");
	if (!config->analytics.card_contacts.n)
		config_error(context, config_option_mark(context, "analytics.card_key"),
			"analytics.card_key: is set, but analytics.card_contacts is empty");
	card_load(context);
}

/* Does the file have certificates, and can all of them be read? */
static bool has_certificates(FILE *file)
{
	unsigned n = 0;
	X509 *certificate;

	ERR_clear_error();
	while ((certificate = PEM_read_X509_AUX(file, NULL, NULL, NULL))) {
		X509_free(certificate);
		n++;
	}
	return n && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

void config_check_hook(struct config_context *context)
{
	const struct stw_config *config = context->config;
	char path[CONFIG_TEXT_MAX + 1], quoted[96];
	struct stat about;
	FILE *file;

	snprintf(path, sizeof(path), "%.*s", STW_STR_ARG(config->hook.ca));
	/* A file that cannot be read was told of where it stands; a device has no end. */
	file = config->hook.ca.len ? fopen(path, "re") : NULL;
	if (!file)
		return;
	if (fstat(fileno(file), &about) < 0 || !S_ISREG(about.st_mode) || !has_certificates(file))
		config_error(context, config_option_mark(context, "hook.ca"),
			"hook.ca: %s holds no certificates (PEM), or a broken one",
			config_quote(config->hook.ca, quoted));
	ERR_clear_error();
	fclose(file);
}

/* ---- Resource-Priority ---- */

static void namespaces_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	char quoted[96];

	if (!stw_priority_find(item->text))
		config_error(context, item->mark,
			"%s: %s is not registered; allowed: dsn, drsn, q735, ets, wps, esnet, "
			"mcpttp, mcpttq, and dsn-00000N, drsn-00000N, rts-00000N, crts-00000N",
			option->key, config_quote(item->text, quoted));
	else
		word_keep(context, option, item);
}

static void namespaces_clear(struct stw_config *config)
{
	config->priority.namespaces.n = 0;
}

const struct stw_option_form config_form_namespaces = {
	.add = namespaces_add, .get = word_get, .clear = namespaces_clear
};

static void sources_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_network network;
	char quoted[96];

	if (stw_network_parse(item->text, &network) < 0)
		config_error(context, item->mark, "%s: %s is no network; allowed: %s, IPv6 too",
			option->key, config_quote(item->text, quoted), option->allowed);
	else
		word_keep(context, option, item);
}

static void sources_clear(struct stw_config *config)
{
	config->priority.sources.n = 0;
}

const struct stw_option_form config_form_priority_sources = {
	.add = sources_add, .get = word_get, .clear = sources_clear
};

static void class_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	char quoted[96];

	config_keep(context, item->text, config_member(context->config, option));
	if (!stw_is_token(item->text))
		config_error(context, item->mark, "%s: %s is no word", option->key,
			config_quote(item->text, quoted));
}

const struct stw_option_form config_form_class = { .add = class_add, .get = text_get };
