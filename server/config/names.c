/* SPDX-License-Identifier: Apache-2.0 */
/* shared_names: names that several users go by. */
#include "server/config/internal.h"

enum { NAME_NAME, NAME_USERS, NAME_KEYS };

static const struct config_key name_keys[NAME_KEYS] = {
	[NAME_NAME] = { "name", .required = true },
	[NAME_USERS] = { "users", .required = true },
};

/* "bob", "bob@example.com", "Bob <bob>" */
static bool choice_read(struct config_context *context, const struct config_field *field,
	struct stw_str text, struct stw_shared_name *name)
{
	struct stw_name_choice *choice = &name->choices[name->choice_count];
	size_t open = stw_str_find(text, '<', 0), close = stw_str_find(text, '>', open);
	struct stw_str user = text, aor, host;
	struct stw_uri uri;
	char quoted[96];
	size_t at;

	if (name->choice_count == STW_NAME_CHOICES_MAX) {
		config_error(context, field->mark, "shared_names: more than %d users",
			STW_NAME_CHOICES_MAX);
		return false;
	}
	if (open < text.len) {
		choice->display = stw_str_trim(stw_str_cut(text, 0, open));
		user = stw_str_trim(stw_str_cut(text, open + 1, close));
	}
	at = stw_str_find(user, '@', 0);
	choice->user = stw_str_cut(user, 0, at);
	choice->domain = stw_str_cut(user, at + 1, user.len);
	host = choice->domain.len > 0 ? choice->domain : STW_STR("example.com");
	if (stw_arena_printf(&context->config->arena, &aor, "sip:%.*s@%.*s",
		    STW_STR_ARG(choice->user), STW_STR_ARG(host)) < 0) {
		context->no_memory = true;
		return false;
	}
	if ((open < text.len && close + 1 != text.len) || choice->user.len == 0 ||
		stw_str_find(choice->display, '"', 0) < choice->display.len ||
		stw_str_find(choice->display, '\\', 0) < choice->display.len ||
		stw_uri_parse(aor, &uri) < 0 || uri.params.len > 0 || uri.headers.len > 0) {
		config_error(context, field->mark,
			"shared_names: %s is no user; allowed: bob, bob@example.com, or Bob <bob>",
			config_quote(text, quoted));
		return false;
	}
	name->choice_count++;
	return true;
}

static void names_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_config *config = context->config;
	const struct config_field *users = &item->fields[NAME_USERS];
	struct stw_shared_name name = { .name = item->fields[NAME_NAME].text,
		.users_text = users->text };
	size_t from = 0, end;

	if (config->shared_name_count == STW_CONFIG_NAMES_MAX) {
		config_error(
			context, item->mark, "%s: more than %d", option->key, STW_CONFIG_NAMES_MAX);
		return;
	}
	for (; from < users->text.len; from = end + 1) {
		end = stw_str_find(users->text, ',', from);
		if (!choice_read(context, users, stw_str_trim(stw_str_cut(users->text, from, end)),
			    &name))
			return;
	}
	if (name.choice_count < 2) {
		config_error(context, users->mark,
			"%s: one user is no choice; give him the name as an alias", option->key);
		return;
	}
	config->shared_names = config_grow(context, config->shared_names, config->shared_name_count,
		sizeof(*config->shared_names));
	if (config->shared_names)
		config->shared_names[config->shared_name_count++] = name;
}

static bool names_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	if (index >= config->shared_name_count)
		return false;
	ret->entry = true;
	ret->fields[NAME_NAME].text = config->shared_names[index].name;
	ret->fields[NAME_USERS].text = config->shared_names[index].users_text;
	return true;
}

static void names_clear(struct stw_config *config)
{
	config->shared_name_count = 0;
}

const struct stw_option_form config_form_shared_names = {
	.add = names_add,
	.get = names_get,
	.clear = names_clear,
	.keys = name_keys,
	.key_count = NAME_KEYS,
	.only_entries = true,
};

void config_check_names(struct config_context *context)
{
	const struct stw_config *config = context->config;

	for (unsigned i = 0; i < config->shared_name_count; i++) {
		const struct stw_shared_name *name = &config->shared_names[i];

		for (unsigned k = 0; k < name->choice_count; k++) {
			const struct stw_name_choice *choice = &name->choices[k];

			if (choice->domain.len && !stw_config_domain(config, choice->domain).len)
				config_error(context, config_option_mark(context, "shared_names"),
					"shared_names: %.*s@%.*s of %.*s is of none of the domains "
					"of this server",
					STW_STR_ARG(choice->user), STW_STR_ARG(choice->domain),
					STW_STR_ARG(name->name));
		}
	}
}
