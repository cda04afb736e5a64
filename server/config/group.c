/* SPDX-License-Identifier: Apache-2.0 */
/* groups: several users behind one name. */
#include "server/config/internal.h"

enum {
	GROUP_NAME,
	GROUP_MEMBERS,
	GROUP_RING,
	GROUP_TIMEOUT,
	GROUP_OVERFLOW,
	GROUP_OPEN,
	GROUP_CLOSED,
	GROUP_KEYS
};

static const struct config_key group_keys[GROUP_KEYS] = {
	[GROUP_NAME] = { "name", .required = true },
	[GROUP_MEMBERS] = { "members", .required = true },
	[GROUP_RING] = { .name = "ring" },
	[GROUP_TIMEOUT] = { .name = "timeout" },
	[GROUP_OVERFLOW] = { .name = "overflow" },
	[GROUP_OPEN] = { .name = "open" },
	[GROUP_CLOSED] = { .name = "closed" },
};

#define TIMEOUT_STANDARD_MS 20000u
#define TIMEOUT_MIN_MS      1000u
#define TIMEOUT_MAX_MS      600000u

/* A user part without anything that would need escapes. */
static bool is_name(struct stw_str text)
{
	return text.len > 0 && text.len < 64 && stw_is_token(text);
}

static bool member_read(struct config_context *context, const struct config_field *field,
	struct stw_str text, struct stw_group *group)
{
	size_t at = stw_str_find(text, '@', 0);
	struct stw_group_member *member = &group->members[group->member_count];
	enum stw_host_kind kind;
	struct stw_str host;
	char quoted[96];

	if (group->member_count == STW_GROUP_MEMBERS_MAX) {
		config_error(context, field->mark, "groups: more than %d members",
			STW_GROUP_MEMBERS_MAX);
		return false;
	}
	member->user = stw_str_cut(text, 0, at);
	member->domain = stw_str_cut(text, at + 1, text.len);
	if (!is_name(member->user) ||
		(at < text.len && stw_host_parse(member->domain, &host, &kind) < 0)) {
		config_error(context, field->mark,
			"groups: %s is no user; allowed: bob, bob@example.com",
			config_quote(text, quoted));
		return false;
	}
	group->member_count++;
	return true;
}

static bool members_read(
	struct config_context *context, const struct config_field *field, struct stw_group *group)
{
	size_t from = 0, end;

	group->members_text = field->text;
	for (; from < field->text.len; from = end + 1) {
		end = stw_str_find(field->text, ',', from);
		if (!member_read(context, field, stw_str_trim(stw_str_cut(field->text, from, end)),
			    group))
			return false;
	}
	return true;
}

static bool ring_read(
	struct config_context *context, const struct config_field *field, struct stw_group *group)
{
	static const char *const words[] = { "all", "order", "q", "longest_idle" };
	char quoted[96];

	group->ring_text = field->text;
	for (unsigned i = 0; i < STW_ARRAY_SIZE(words); i++) {
		group->ring = (enum stw_group_ring)i;
		if (stw_str_equal(field->text, stw_str_from(words[i])))
			return true;
	}
	group->ring = STW_GROUP_ALL;
	if (!field->text.ptr)
		return true;
	config_error(context, field->mark,
		"groups: ring: %s is not known; allowed: all, order, q, longest_idle",
		config_quote(field->text, quoted));
	return false;
}

static bool timeout_read(
	struct config_context *context, const struct config_field *field, struct stw_group *group)
{
	char quoted[96];
	uint64_t ms;

	group->timeout_text = field->text;
	group->timeout_ms = TIMEOUT_STANDARD_MS;
	if (!field->text.ptr)
		return true;
	if (config_duration(field->text, &ms) < 0 || ms < TIMEOUT_MIN_MS || ms > TIMEOUT_MAX_MS) {
		config_error(context, field->mark,
			"groups: timeout: %s is no time; allowed: 1s to 10m",
			config_quote(field->text, quoted));
		return false;
	}
	group->timeout_ms = (uint32_t)ms;
	return true;
}

static void groups_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_config *config = context->config;
	const struct config_field *fields = item->fields;
	struct stw_group group = { .name = fields[GROUP_NAME].text };
	char quoted[96];

	config_quote(group.name, quoted);
	if (!is_name(group.name)) {
		config_error(context, fields[GROUP_NAME].mark,
			"%s: %s is no name of at most 63 characters", option->key, quoted);
		return;
	}
	for (unsigned i = 0; i < config->group_count; i++) {
		if (!stw_str_equal(config->groups[i].name, group.name))
			continue;
		config_error(context, fields[GROUP_NAME].mark, "%s: %s stands twice", option->key,
			quoted);
		return;
	}
	if (config->group_count == STW_CONFIG_GROUPS_MAX) {
		config_error(context, item->mark, "%s: more than %d", option->key,
			STW_CONFIG_GROUPS_MAX);
		return;
	}
	if (!members_read(context, &fields[GROUP_MEMBERS], &group) ||
		!ring_read(context, &fields[GROUP_RING], &group) ||
		!timeout_read(context, &fields[GROUP_TIMEOUT], &group) ||
		!config_target_read(context, option->key, "overflow", &fields[GROUP_OVERFLOW],
			&group.overflow) ||
		!config_opening_read(context, option->key, &fields[GROUP_OPEN],
			&fields[GROUP_CLOSED], &group.opening))
		return;
	config->groups =
		config_grow(context, config->groups, config->group_count, sizeof(*config->groups));
	if (!config->groups)
		return;
	config->groups[config->group_count++] = group;
	config->group_idle = config->group_idle || group.ring == STW_GROUP_IDLE;
}

static bool groups_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	const struct stw_group *group;

	if (index >= config->group_count)
		return false;
	group = &config->groups[index];
	ret->entry = true;
	ret->fields[GROUP_NAME].text = group->name;
	ret->fields[GROUP_MEMBERS].text = group->members_text;
	ret->fields[GROUP_RING].text = group->ring_text;
	ret->fields[GROUP_TIMEOUT].text = group->timeout_text;
	ret->fields[GROUP_OVERFLOW].text = group->overflow;
	ret->fields[GROUP_OPEN].text = group->opening.open;
	ret->fields[GROUP_CLOSED].text = group->opening.closed;
	return true;
}

static void groups_clear(struct stw_config *config)
{
	config->group_count = 0;
	config->group_idle = false;
}

const struct stw_option_form config_form_groups = {
	.add = groups_add,
	.get = groups_get,
	.clear = groups_clear,
	.keys = group_keys,
	.key_count = GROUP_KEYS,
	.only_entries = true,
};

const struct stw_group *stw_config_group(const struct stw_config *config, struct stw_str name)
{
	for (unsigned i = 0; i < config->group_count; i++) {
		if (stw_str_equal(config->groups[i].name, name))
			return &config->groups[i];
	}
	return NULL;
}

static void check_group(struct config_context *context, const struct stw_group *group)
{
	struct config_mark mark = config_option_mark(context, "groups");
	struct config_way way = { "groups", "group", "overflow", group->name, group->overflow };

	for (unsigned i = 0; i < group->member_count; i++) {
		struct stw_str domain = group->members[i].domain;

		if (domain.len && !stw_config_domain(context->config, domain).len)
			config_error(context, mark,
				"groups: %.*s@%.*s of %.*s is of none of the domains of this "
				"server",
				STW_STR_ARG(group->members[i].user),
				STW_STR_ARG(group->members[i].domain), STW_STR_ARG(group->name));
	}
	config_check_way(context, &way);
	way.key = "closed";
	way.target = group->opening.closed;
	config_check_way(context, &way);
}

void config_check_groups(struct config_context *context)
{
	for (unsigned i = 0; i < context->config->group_count; i++)
		check_group(context, &context->config->groups[i]);
}
