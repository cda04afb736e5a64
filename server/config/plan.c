/* SPDX-License-Identifier: Apache-2.0 */
/* The dial plan, our ranges of numbers, and classes of service. */
#include "server/config/internal.h"

#include <errno.h>
#include <string.h>

#define PATTERN_ALLOWED "digits, x (any digit), [2-5], . (one or more digits), + * #"

void *config_grow(struct config_context *context, void *v, unsigned n, size_t element_bytes)
{
	void *larger;

	/* Full when n is 0 or a power of two from 8 on. */
	if (n != 0 && (n < 8 || (n & (n - 1)) != 0))
		return v;
	larger = stw_arena_alloc(&context->config->arena, (n ? 2 * n : 8) * element_bytes);
	if (!larger)
		context->no_memory = true;
	else if (n)
		memcpy(larger, v, n * element_bytes);
	return larger;
}

bool config_pattern_add(struct config_context *context, const struct stw_option *option,
	const struct config_field *field, struct stw_dial_table *table)
{
	struct stw_dial_entry *entry;
	char quoted[96];
	size_t at = 0;
	int err;

	table->v = config_grow(context, table->v, table->n, sizeof(*table->v));
	if (!table->v)
		return false;
	entry = &table->v[table->n];
	err = stw_pattern_parse(field->text, &entry->pattern, &at);
	if (err < 0) {
		config_error(context, field->mark,
			err == -ENOBUFS ? "%s: %s is longer than %d places"
					: "%s: %s is no pattern at its character %d; "
					  "allowed: " PATTERN_ALLOWED,
			option->key, config_quote(field->text, quoted),
			err == -ENOBUFS ? STW_PATTERN_ELEMENTS_MAX : (int)at + 1);
		return false;
	}
	entry->value = table->n++;
	return true;
}

/* ---- ranges ---- */

static bool has_repeat(const struct stw_pattern *pattern)
{
	for (unsigned i = 0; i < pattern->n; i++) {
		if (pattern->elements[i].repeats)
			return true;
	}
	return false;
}

static void ranges_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_config *config = context->config;
	const struct config_field field = { item->text, item->mark };
	unsigned n = config->range_count;
	char quoted[96];

	if (n == STW_CONFIG_RULES_MAX) {
		config_error(context, item->mark, "ranges: more than %d", STW_CONFIG_RULES_MAX);
		return;
	}
	config->range_texts =
		config_grow(context, config->range_texts, n, sizeof(*config->range_texts));
	context->range_at = config_grow(context, context->range_at, n, sizeof(*context->range_at));
	if (context->no_memory || !config_pattern_add(context, option, &field, &config->ranges))
		return;
	if (has_repeat(&config->ranges.v[n].pattern)) {
		config_error(context, item->mark,
			"ranges: %s has no end; write one x for each digit that may follow",
			config_quote(item->text, quoted));
		config->ranges.n--;
		return;
	}
	config_keep(context, item->text, &config->range_texts[n]);
	context->range_at[n] = item->mark;
	config->range_count++;
}

static bool ranges_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	if (index >= config->range_count)
		return false;
	ret->text = config->range_texts[index];
	return true;
}

static void ranges_clear(struct stw_config *config)
{
	config->range_count = config->ranges.n = 0;
}

const struct stw_option_form config_form_ranges = {
	.add = ranges_add, .get = ranges_get, .clear = ranges_clear
};

/* ---- call.classes ---- */

static void classes_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_config *config = context->config;
	char quoted[96];

	if (!stw_is_token(item->text))
		config_error(context, item->mark, "%s: %s is no word", option->key,
			config_quote(item->text, quoted));
	else if (config->call.class_count == STW_CONFIG_CLASSES_MAX)
		config_error(context, item->mark, "%s: more than %d", option->key,
			STW_CONFIG_CLASSES_MAX);
	else
		config_keep(context, item->text, &config->call.classes[config->call.class_count++]);
}

static bool classes_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	if (index >= config->call.class_count)
		return false;
	ret->text = config->call.classes[index];
	return true;
}

static void classes_clear(struct stw_config *config)
{
	config->call.class_count = 0;
}

const struct stw_option_form config_form_classes = {
	.add = classes_add, .get = classes_get, .clear = classes_clear
};

/* ---- call.redirect ---- */

static void redirect_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_config *config = context->config;

	if (config->call.redirect_count == STW_CONFIG_DOMAINS_MAX)
		config_error(context, item->mark, "%s: more than %d", option->key,
			STW_CONFIG_DOMAINS_MAX);
	else
		config_keep(
			context, item->text, &config->call.redirect[config->call.redirect_count++]);
}

static bool redirect_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	if (index >= config->call.redirect_count)
		return false;
	ret->text = config->call.redirect[index];
	return true;
}

static void redirect_clear(struct stw_config *config)
{
	config->call.redirect_count = 0;
}

const struct stw_option_form config_form_redirect = {
	.add = redirect_add, .get = redirect_get, .clear = redirect_clear
};

/* ---- dialplan ---- */

enum { RULE_MATCH, RULE_CLASS, RULE_STRIP, RULE_PREPEND, RULE_TO, RULE_KEYS };

static const struct config_key rule_keys[RULE_KEYS] = {
	[RULE_MATCH] = { .name = "match", .required = true },
	[RULE_CLASS] = { .name = "class" },
	[RULE_STRIP] = { .name = "strip" },
	[RULE_PREPEND] = { .name = "prepend" },
	[RULE_TO] = { .name = "to", .required = true },
};

/* What `reject` may answer: codes that carry nothing and end the call. */
static const unsigned reject_codes[] = { 403, 404, 410, 480, 484, 486, 603, 604 };

static bool rule_error(
	struct config_context *context, const struct config_field *field, const char *what)
{
	char quoted[96];

	config_error(
		context, field->mark, "dialplan: %s %s", config_quote(field->text, quoted), what);
	return false;
}

static bool reject_read(struct config_context *context, const struct config_field *to,
	struct stw_str code, struct stw_dial_rule *rule)
{
	uint64_t number = 0;

	rule->kind = STW_DIAL_REJECT;
	stw_str_to_uint(code, 999, &number);
	rule->code = (unsigned)number;
	for (size_t i = 0; i < STW_ARRAY_SIZE(reject_codes); i++) {
		if (reject_codes[i] == number)
			return true;
	}
	return rule_error(context, to,
		"names no code that can be given; allowed: reject 403, 404, 410, 480, 484, 486, "
		"603, 604");
}

static bool user_read(struct config_context *context, const struct config_field *to,
	struct stw_str name, struct stw_dial_rule *rule)
{
	const struct stw_str sip = STW_STR("sip:");
	size_t at;

	rule->kind = STW_DIAL_USER;
	if (stw_str_starts(name, sip))
		name = stw_str_cut(name, sip.len, name.len);
	at = stw_str_find(name, '@', 0);
	rule->user = stw_str_cut(name, 0, at);
	rule->domain = stw_str_cut(name, at + 1, name.len);
	if (name.len > 0 && (rule->user.len == 0 || at + 1 == name.len))
		return rule_error(context, to, "names no user");
	return true;
}

/* Which trunk it is is looked up when all of them are known. */
static bool to_read(
	struct config_context *context, const struct config_field *to, struct stw_dial_rule *rule)
{
	size_t blank = stw_str_find(to->text, ' ', 0);
	struct stw_str word = stw_str_cut(to->text, 0, blank);
	struct stw_str rest = stw_str_trim(stw_str_cut(to->text, blank, to->text.len));

	rule->to = to->text;
	if (stw_str_equal(word, STW_STR("user")))
		return user_read(context, to, rest, rule);
	if (stw_str_equal(word, STW_STR("reject")))
		return reject_read(context, to, rest, rule);
	if (stw_str_equal(word, STW_STR("group")) && rest.len > 0)
		return user_read(context, to, rest, rule);
	if (stw_str_equal(word, STW_STR("queue")) && rest.len > 0) {
		rule->kind = STW_DIAL_QUEUE;
		rule->queue = rest;
		return true;
	}
	rule->kind = STW_DIAL_TRUNK;
	if (stw_str_equal(word, STW_STR("trunk")) && rest.len > 0)
		return true;
	return rule_error(context, to,
		"leads nowhere; allowed: user, user NAME, group NAME, queue NAME, trunk NAME, "
		"reject CODE");
}

static bool rewrite_read(
	struct config_context *context, const struct config_item *item, struct stw_dial_rule *rule)
{
	const struct config_field *strip = &item->fields[RULE_STRIP];
	const struct config_field *prepend = &item->fields[RULE_PREPEND];
	char buffer[STW_NUMBER_MAX];
	uint64_t number = 0;

	if (strip->text.ptr && stw_str_to_uint(strip->text, STW_NUMBER_MAX, &number) < 0)
		return rule_error(context, strip, "is no number of symbols to strip");
	rule->strip = (unsigned)number;
	if (!prepend->text.ptr)
		return true;
	if (stw_number_from_text(prepend->text, buffer, &rule->prepend) < 0)
		return rule_error(context, prepend, "cannot be prepended; allowed: digits, + * #");
	config_keep(context, rule->prepend, &rule->prepend);
	return !context->no_memory;
}

static void dialplan_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_config *config = context->config;
	const struct config_field *match = &item->fields[RULE_MATCH];
	unsigned n = config->rule_count;
	struct stw_dial_rule rule = { .match = match->text,
		.class = item->fields[RULE_CLASS].text };

	if (n == STW_CONFIG_RULES_MAX) {
		config_error(
			context, item->mark, "dialplan: more than %d rules", STW_CONFIG_RULES_MAX);
		return;
	}
	config->rules = config_grow(context, config->rules, n, sizeof(*config->rules));
	context->rule_match_at =
		config_grow(context, context->rule_match_at, n, sizeof(*context->rule_match_at));
	context->rule_to_at =
		config_grow(context, context->rule_to_at, n, sizeof(*context->rule_to_at));
	if (rule.class.ptr && !stw_is_token(rule.class)) {
		rule_error(context, &item->fields[RULE_CLASS], "is no word");
		return;
	}
	if (context->no_memory || !rewrite_read(context, item, &rule) ||
		!to_read(context, &item->fields[RULE_TO], &rule) ||
		!config_pattern_add(context, option, match, &config->dialplan))
		return;
	if (rule.strip > config->dialplan.v[n].pattern.n) {
		rule_error(context, &item->fields[RULE_STRIP],
			"symbols are more than the shortest number that matches has");
		config->dialplan.n--;
		return;
	}
	context->rule_match_at[n] = match->mark;
	context->rule_to_at[n] = item->fields[RULE_TO].mark;
	config->rules[n] = rule;
	config->rule_count++;
}

static bool dialplan_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	const struct stw_dial_rule *rule;

	if (index >= config->rule_count)
		return false;
	rule = &config->rules[index];
	ret->entry = true;
	ret->fields[RULE_MATCH].text = rule->match;
	ret->fields[RULE_CLASS].text = rule->class;
	ret->fields[RULE_PREPEND].text = rule->prepend;
	ret->fields[RULE_TO].text = rule->to;
	if (rule->strip)
		ret->fields[RULE_STRIP].text = (struct stw_str){ ret->buffer,
			(size_t)snprintf(ret->buffer, sizeof(ret->buffer), "%u", rule->strip) };
	return true;
}

static void dialplan_clear(struct stw_config *config)
{
	config->rule_count = config->dialplan.n = 0;
}

const struct stw_option_form config_form_dialplan = {
	.add = dialplan_add,
	.get = dialplan_get,
	.clear = dialplan_clear,
	.keys = rule_keys,
	.key_count = RULE_KEYS,
	.only_entries = true,
};

/* ---- all rules together ---- */

static void check_trunk(struct config_context *context, unsigned index)
{
	struct stw_dial_rule *rule = &context->config->rules[index];

	config_trunk_find(context, "dialplan", context->rule_to_at[index],
		stw_str_trim(stw_str_cut(rule->to, 5, rule->to.len)), &rule->trunk);
}

static void check_rule_queue(struct config_context *context, unsigned index)
{
	struct stw_str name = context->config->rules[index].queue;
	char quoted[96];

	if (!stw_config_queue(context->config, name))
		config_error(context, context->rule_to_at[index],
			"dialplan: there is no queue %s; queues are listed under queues",
			config_quote(name, quoted));
}

static void check_user(struct config_context *context, unsigned index)
{
	const struct stw_config *config = context->config;
	const struct stw_dial_rule *rule = &config->rules[index];
	char quoted[96];

	if (stw_str_starts(rule->to, STW_STR("group ")) && !stw_config_group(config, rule->user))
		config_error(context, context->rule_to_at[index],
			"dialplan: there is no group %s; groups are listed under groups",
			config_quote(rule->user, quoted));
	if (rule->domain.len > 0 && !stw_config_domain(config, rule->domain).len)
		config_error(context, context->rule_to_at[index],
			"dialplan: %s is of none of the domains of this server",
			config_quote(rule->to, quoted));
}

static void check_pair(struct config_context *context, const struct stw_dial_entry *a,
	const struct stw_dial_entry *b)
{
	const struct stw_dial_rule *rules = context->config->rules;
	char example[STW_NUMBER_MAX], quoted[2][96];
	struct config_mark mark = context->rule_match_at[a->value];
	unsigned line = context->rule_match_at[b->value].line;
	struct stw_str number = STW_STR("");
	enum stw_pattern_order order =
		stw_pattern_compare(&a->pattern, &b->pattern, example, &number);

	config_quote(rules[a->value].match, quoted[0]);
	config_quote(rules[b->value].match, quoted[1]);
	if (order == STW_PATTERN_EQUAL)
		config_error(context, mark,
			"dialplan: %s matches the same numbers as %s in line %u", quoted[0],
			quoted[1], line);
	else if (order == STW_PATTERN_AMBIGUOUS)
		config_error(context, mark,
			"dialplan: %s and %s in line %u both match %.*s, and neither is more "
			"specific",
			quoted[0], quoted[1], line, STW_STR_ARG(number));
	else if (order == STW_PATTERN_SHADOWED)
		config_error(context, mark,
			"dialplan: %s is never used: all its numbers belong to %s in line %u, "
			"which is more specific",
			quoted[0], quoted[1], line);
}

void config_check_plan(struct config_context *context)
{
	struct stw_config *config = context->config;
	const struct stw_dial_entry *v = config->dialplan.v;

	for (unsigned i = 0; i < config->rule_count; i++) {
		if (config->rules[i].kind == STW_DIAL_TRUNK)
			check_trunk(context, i);
		else if (config->rules[i].kind == STW_DIAL_USER)
			check_user(context, i);
		else if (config->rules[i].kind == STW_DIAL_QUEUE)
			check_rule_queue(context, i);
	}
	for (unsigned i = 0; i < config->dialplan.n; i++) {
		for (unsigned j = 0; j < i; j++) {
			bool a_first = stw_pattern_prefer(&v[i].pattern, &v[j].pattern) < 0;

			check_pair(context, &v[a_first ? j : i], &v[a_first ? i : j]);
		}
	}
	stw_dialplan_sort(config->dialplan.v, config->dialplan.n);
	stw_dialplan_sort(config->ranges.v, config->ranges.n);
}
