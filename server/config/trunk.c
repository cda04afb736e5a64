/* SPDX-License-Identifier: Apache-2.0 */
/* Trunks: servers of others that numbers are handed to. */
#include "server/config/internal.h"

#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>

#include "server/directory/setting.h"
#include "server/suggest.h"

enum {
	TRUNK_NAME,
	TRUNK_URI,
	TRUNK_NEXT_ON,
	TRUNK_USER,
	TRUNK_PASSWORD,
	TRUNK_PASSWORD_FILE,
	TRUNK_REALM,
	TRUNK_DIRECT,
	TRUNK_REGISTER,
	TRUNK_AOR,
	TRUNK_EXPIRES,
	TRUNK_INCOMING,
	TRUNK_UNREGISTERED,
	TRUNK_KEYS
};

#define EXPIRES_STANDARD_S 3600
#define EXPIRES_MIN_MS     60000u
#define EXPIRES_MAX_MS     86400000u
#define NEXT_ON_STANDARD   "408, 500-599"

static const struct config_key trunk_keys[TRUNK_KEYS] = {
	[TRUNK_NAME] = { .name = "name", .required = true },
	[TRUNK_URI] = { .name = "uri", .required = true },
	[TRUNK_NEXT_ON] = { .name = "next_on" },
	[TRUNK_USER] = { .name = "user" },
	[TRUNK_PASSWORD] = { .name = "password", .secret = true },
	[TRUNK_PASSWORD_FILE] = { .name = "password_file" },
	[TRUNK_REALM] = { .name = "realm" },
	[TRUNK_DIRECT] = { .name = "direct" },
	[TRUNK_REGISTER] = { .name = "register" },
	[TRUNK_AOR] = { .name = "aor" },
	[TRUNK_EXPIRES] = { .name = "expires" },
	[TRUNK_INCOMING] = { .name = "incoming" },
	[TRUNK_UNREGISTERED] = { .name = "unregistered" },
};

static bool uri_read(struct config_context *context, struct config_mark mark, struct stw_str text,
	struct stw_trunk *trunk)
{
	struct stw_uri *uri = &trunk->parsed[trunk->uri_count];
	char quoted[96];

	config_quote(text, quoted);
	if (trunk->uri_count == STW_TRUNK_URIS_MAX) {
		config_error(context, mark, "trunks: more than %d URIs", STW_TRUNK_URIS_MAX);
		return false;
	}
	if (stw_uri_parse(text, uri) < 0 || uri->scheme != STW_SCHEME_SIP) {
		config_error(context, mark,
			"trunks: %s is no SIP URI; allowed: like sip:gw.example.net or "
			"sip:192.0.2.7:5060;transport=tcp",
			quoted);
		return false;
	}
	if (uri->user.ptr || uri->headers.len > 0) {
		config_error(context, mark,
			"trunks: %s has a user or headers; the number that was dialled goes there",
			quoted);
		return false;
	}
	if (!config_transport_read(context, mark, "trunks", uri))
		return false;
	trunk->uris[trunk->uri_count++] = text;
	return true;
}

static bool uris_read(
	struct config_context *context, const struct config_field *field, struct stw_trunk *trunk)
{
	size_t from = 0, end;

	trunk->uri_text = field->text;
	for (; from < field->text.len; from = end + 1) {
		end = stw_str_find(field->text, ',', from);
		if (!uri_read(context, field->mark,
			    stw_str_trim(stw_str_cut(field->text, from, end)), trunk))
			return false;
	}
	return true;
}

/* "408", "500-599". 6xx ends every search (RFC 3261 §16.7 step 5), 3xx is no failure. */
static bool codes_read(struct stw_str text, struct stw_code_set *set)
{
	size_t dash = stw_str_find(text, '-', 0);
	uint64_t from, to;

	if (stw_str_to_uint(stw_str_trim(stw_str_cut(text, 0, dash)), 599, &from) < 0 || from < 300)
		return false;
	to = from;
	if (dash < text.len && (stw_str_to_uint(stw_str_trim(stw_str_cut(text, dash + 1, text.len)),
					599, &to) < 0 ||
				       to < from))
		return false;
	for (; from <= to; from++)
		stw_code_set_add(set, (unsigned)from);
	return true;
}

static bool next_on_read(
	struct config_context *context, const struct config_field *field, struct stw_trunk *trunk)
{
	struct stw_str text = field->text.ptr ? field->text : STW_STR(NEXT_ON_STANDARD);
	size_t from = 0, end;
	char quoted[96];

	trunk->next_on_text = field->text;
	for (; from < text.len; from = end + 1) {
		end = stw_str_find(text, ',', from);
		if (codes_read(stw_str_trim(stw_str_cut(text, from, end)), &trunk->next_on))
			continue;
		config_error(context, field->mark,
			"trunks: %s are no response codes; allowed: a list of codes and ranges "
			"from 300 "
			"to 599, like [408, 500-599]",
			config_quote(field->text, quoted));
		return false;
	}
	return true;
}

/* The first line of a file, read once: when the configuration is. */
static void password_file_read(
	struct config_context *context, const struct config_field *field, struct stw_trunk *trunk)
{
	char path[CONFIG_TEXT_MAX + 1], line[256], quoted[96];
	FILE *file = NULL;

	snprintf(path, sizeof(path), "%.*s", STW_STR_ARG(field->text));
	if (field->text.len < sizeof(path))
		file = fopen(path, "re");
	if (file)
		setvbuf(file, NULL, _IONBF, 0); /* no other copy of the password */
	if (!file || !fgets(line, sizeof(line), file)) {
		config_error(context, field->mark, "trunks: %s cannot be read: %s",
			config_quote(field->text, quoted), file ? "it is empty" : strerror(errno));
	} else {
		line[strcspn(line, "\r\n")] = '\0';
		config_keep(context, stw_str_from(line), &trunk->password);
		explicit_bzero(line, sizeof(line));
	}
	if (file)
		fclose(file);
	OPENSSL_cleanse(line, sizeof(line));
}

/* Who we are there: all of it, or nothing. */
static void login_read(
	struct config_context *context, const struct config_item *item, struct stw_trunk *trunk)
{
	const struct config_field *user = &item->fields[TRUNK_USER],
				  *password = &item->fields[TRUNK_PASSWORD],
				  *file = &item->fields[TRUNK_PASSWORD_FILE],
				  *realm = &item->fields[TRUNK_REALM];
	const struct config_field *stray = password->text.ptr ? password
					   : file->text.ptr   ? file
							      : realm;
	char quoted[96];

	trunk->user = user->text;
	trunk->password = password->text;
	trunk->password_file = file->text;
	trunk->realm = realm->text;
	if (!user->text.len && stray->text.ptr)
		config_error(context, stray->mark,
			"trunks: %s has a password or realm and no user: who are we there?",
			config_quote(trunk->name, quoted));
	else if (user->text.len && !password->text.ptr && !file->text.ptr)
		config_error(context, user->mark,
			"trunks: %s has a user and no password; give password or password_file",
			config_quote(trunk->name, quoted));
	else if (password->text.ptr && file->text.ptr)
		config_error(context, file->mark,
			"trunks: %s has a password and a password_file; give one of them",
			config_quote(trunk->name, quoted));
	else if (file->text.ptr)
		password_file_read(context, file, trunk);
}

static void direct_read(
	struct config_context *context, const struct config_field *field, struct stw_trunk *trunk)
{
	char quoted[96];

	trunk->direct = field->text;
	if (field->text.ptr && !stw_is_token(field->text))
		config_error(context, field->mark, "trunks: %s is no word",
			config_quote(field->text, quoted));
}

/* ---- registration ---- */

/* "sip:4930555@example.net", or user and the host of the first URI. */
static void aor_read(
	struct config_context *context, const struct config_field *field, struct stw_trunk *trunk)
{
	const struct stw_uri *first = &trunk->parsed[0];
	bool ipv6 = first->host_kind == STW_HOST_IPV6;
	char quoted[96], made[CONFIG_TEXT_MAX];
	struct stw_uri uri;

	trunk->aor_text = field->text;
	if (!field->text.ptr) {
		snprintf(made, sizeof(made), "sip:%.*s@%s%.*s%s", STW_STR_ARG(trunk->user),
			ipv6 ? "[" : "", STW_STR_ARG(first->host), ipv6 ? "]" : "");
		config_keep(context, stw_str_from(made), &trunk->aor);
		return;
	}
	trunk->aor = field->text;
	if (stw_uri_parse(field->text, &uri) < 0 || uri.scheme != STW_SCHEME_SIP || !uri.user.len ||
		uri.params.len || uri.headers.len)
		config_error(context, field->mark,
			"trunks: aor: %s is no address-of-record; allowed: like "
			"sip:4930555@example.net",
			config_quote(field->text, quoted));
}

static bool word_read(struct config_context *context, const struct config_field *field,
	const char *key, const char *yes, const char *no)
{
	char quoted[96];

	if (!field->text.ptr || stw_str_equal(field->text, stw_str_from(no)))
		return false;
	if (!stw_str_equal(field->text, stw_str_from(yes)))
		config_error(context, field->mark, "trunks: %s: %s is not known; allowed: %s, %s",
			key, config_quote(field->text, quoted), yes, no);
	return true;
}

static void expires_read(
	struct config_context *context, const struct config_field *field, struct stw_trunk *trunk)
{
	char quoted[96];
	uint64_t ms;

	trunk->expires_s = EXPIRES_STANDARD_S;
	trunk->expires_text = field->text;
	if (!field->text.ptr)
		return;
	if (config_duration(field->text, &ms) < 0 || ms < EXPIRES_MIN_MS || ms > EXPIRES_MAX_MS)
		config_error(context, field->mark,
			"trunks: expires: %s is no time; allowed: 1m to 1d",
			config_quote(field->text, quoted));
	else
		trunk->expires_s = (uint32_t)(ms / 1000);
}

static void incoming_read(
	struct config_context *context, const struct config_field *field, struct stw_trunk *trunk)
{
	struct stw_forward_target target;
	char quoted[96];

	trunk->incoming = field->text;
	if (field->text.ptr && stw_forward_target_parse(field->text, &target) < 0)
		config_error(context, field->mark,
			"trunks: incoming: %s cannot be called; allowed: a user, a number, a SIP "
			"URI, group:NAME",
			config_quote(field->text, quoted));
}

static const struct config_field *only_for_registration(const struct config_field *fields)
{
	if (fields[TRUNK_AOR].text.ptr)
		return &fields[TRUNK_AOR];
	return fields[TRUNK_EXPIRES].text.ptr ? &fields[TRUNK_EXPIRES] : NULL;
}

static void registration_read(
	struct config_context *context, const struct config_item *item, struct stw_trunk *trunk)
{
	const struct config_field *fields = item->fields;
	char quoted[96];

	trunk->registers = word_read(context, &fields[TRUNK_REGISTER], "register", "true", "false");
	trunk->only_registered =
		word_read(context, &fields[TRUNK_UNREGISTERED], "unregistered", "refuse", "try");
	aor_read(context, &fields[TRUNK_AOR], trunk);
	expires_read(context, &fields[TRUNK_EXPIRES], trunk);
	incoming_read(context, &fields[TRUNK_INCOMING], trunk);
	if (trunk->registers && !trunk->user.len)
		config_error(context, fields[TRUNK_REGISTER].mark,
			"trunks: %s registers and has no user: as whom?",
			config_quote(trunk->name, quoted));
	else if (!trunk->registers && trunk->only_registered)
		config_error(context, fields[TRUNK_UNREGISTERED].mark,
			"trunks: %s is never registered, so no call would go there; register: "
			"true is missing",
			config_quote(trunk->name, quoted));
	else if (!fields[TRUNK_REGISTER].text.ptr && only_for_registration(fields))
		config_error(context, only_for_registration(fields)->mark,
			"trunks: %s is never registered, so aor and expires mean nothing; "
			"register: true is missing",
			config_quote(trunk->name, quoted));
}

static void trunks_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_config *config = context->config;
	struct stw_trunk trunk = { .name = item->fields[TRUNK_NAME].text };
	struct config_mark mark = item->fields[TRUNK_NAME].mark;
	char quoted[96];

	config_quote(trunk.name, quoted);
	if (!stw_is_token(trunk.name) || trunk.name.len > 63) {
		config_error(context, mark, "%s: %s is no word of at most 63 characters",
			option->key, quoted);
		return;
	}
	for (unsigned i = 0; i < config->trunk_count; i++) {
		if (!stw_str_equal(config->trunks[i].name, trunk.name))
			continue;
		config_error(context, mark, "%s: %s stands twice", option->key, quoted);
		return;
	}
	if (config->trunk_count == STW_CONFIG_TRUNKS_MAX) {
		config_error(context, mark, "%s: more than %d", option->key, STW_CONFIG_TRUNKS_MAX);
		return;
	}
	config->trunks =
		config_grow(context, config->trunks, config->trunk_count, sizeof(*config->trunks));
	if (!config->trunks || !uris_read(context, &item->fields[TRUNK_URI], &trunk) ||
		!next_on_read(context, &item->fields[TRUNK_NEXT_ON], &trunk))
		return;
	login_read(context, item, &trunk);
	registration_read(context, item, &trunk);
	direct_read(context, &item->fields[TRUNK_DIRECT], &trunk);
	config->trunks[config->trunk_count++] = trunk;
}

void config_check_trunks(struct config_context *context)
{
	const struct stw_config *config = context->config;

	for (unsigned i = 0; i < config->trunk_count; i++) {
		const struct stw_trunk *trunk = &config->trunks[i];
		struct config_way way = { "trunks", "trunk", "incoming", trunk->name,
			trunk->incoming };

		config_check_way(context, &way);
	}
}

bool config_trunk_find(struct config_context *context, const char *key, struct config_mark mark,
	struct stw_str name, unsigned *ret)
{
	const struct stw_config *config = context->config;
	struct stw_suggestion suggestion;
	char names[STW_CONFIG_TRUNKS_MAX][64], quoted[96];

	stw_suggest_begin(&suggestion, name);
	for (unsigned i = 0; i < config->trunk_count; i++) {
		if (stw_str_equal(config->trunks[i].name, name)) {
			*ret = i;
			return true;
		}
		snprintf(names[i], sizeof(names[i]), "%.*s", STW_STR_ARG(config->trunks[i].name));
		stw_suggest_try(&suggestion, names[i]);
	}
	config_error(context, mark, "%s: there is no trunk %s%s%s%s", key,
		config_quote(name, quoted),
		suggestion.best ? "; did you mean " : "; trunks are listed under trunks",
		suggestion.best ? suggestion.best : "", suggestion.best ? "?" : "");
	return false;
}

static bool trunks_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	const struct stw_trunk *trunk;

	if (index >= config->trunk_count)
		return false;
	trunk = &config->trunks[index];
	ret->entry = true;
	ret->fields[TRUNK_NAME].text = trunk->name;
	ret->fields[TRUNK_URI].text = trunk->uri_text;
	ret->fields[TRUNK_NEXT_ON].text = trunk->next_on_text;
	ret->fields[TRUNK_USER].text = trunk->user;
	if (!trunk->password_file.ptr)
		ret->fields[TRUNK_PASSWORD].text = trunk->password;
	ret->fields[TRUNK_PASSWORD_FILE].text = trunk->password_file;
	ret->fields[TRUNK_REALM].text = trunk->realm;
	ret->fields[TRUNK_DIRECT].text = trunk->direct;
	if (trunk->registers)
		ret->fields[TRUNK_REGISTER].text = STW_STR("true");
	else if (trunk->aor_text.ptr || trunk->expires_text.ptr) /* not forgotten */
		ret->fields[TRUNK_REGISTER].text = STW_STR("false");
	ret->fields[TRUNK_AOR].text = trunk->aor_text;
	ret->fields[TRUNK_EXPIRES].text = trunk->expires_text;
	ret->fields[TRUNK_INCOMING].text = trunk->incoming;
	if (trunk->only_registered)
		ret->fields[TRUNK_UNREGISTERED].text = STW_STR("refuse");
	return true;
}

static void trunks_clear(struct stw_config *config)
{
	config->trunk_count = 0;
}

const struct stw_option_form config_form_trunks = {
	.add = trunks_add,
	.get = trunks_get,
	.clear = trunks_clear,
	.keys = trunk_keys,
	.key_count = TRUNK_KEYS,
	.only_entries = true,
};
