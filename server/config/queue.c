/* SPDX-License-Identifier: Apache-2.0 */
/* queues: callers who wait until one of several agents is free. */
#include "server/config/internal.h"

#include "server/directory/setting.h"

enum {
	QUEUE_NAME,
	QUEUE_AGENTS,
	QUEUE_AGENT_TIMEOUT,
	QUEUE_WRAP_UP,
	QUEUE_MAX_LENGTH,
	QUEUE_MAX_WAIT,
	QUEUE_OVERFLOW,
	QUEUE_ANNOUNCE,
	QUEUE_CALL_TIME,
	QUEUE_PRIORITY,
	QUEUE_OPEN,
	QUEUE_CLOSED,
	QUEUE_MEDIA,
	QUEUE_MAX_PER_CALLER,
	QUEUE_KEYS
};

static const struct config_key queue_keys[QUEUE_KEYS] = {
	[QUEUE_NAME] = { .name = "name", .required = true },
	[QUEUE_AGENTS] = { .name = "agents" },
	[QUEUE_AGENT_TIMEOUT] = { .name = "agent_timeout" },
	[QUEUE_WRAP_UP] = { .name = "wrap_up" },
	[QUEUE_MAX_LENGTH] = { .name = "max_length" },
	[QUEUE_MAX_WAIT] = { .name = "max_wait" },
	[QUEUE_OVERFLOW] = { .name = "overflow" },
	[QUEUE_ANNOUNCE] = { .name = "announce" },
	[QUEUE_CALL_TIME] = { .name = "call_time" },
	[QUEUE_PRIORITY] = { .name = "priority" },
	[QUEUE_OPEN] = { .name = "open" },
	[QUEUE_CLOSED] = { .name = "closed" },
	[QUEUE_MEDIA] = { .name = "media" },
	[QUEUE_MAX_PER_CALLER] = { .name = "max_per_caller" },
};

/* Keys that are times, with what they are when they are not given. */
static const struct {
	unsigned key;
	size_t offset;
	uint32_t standard_ms, min_ms, max_ms;
	const char *allowed;
} times[] = {
	{ QUEUE_AGENT_TIMEOUT, offsetof(struct stw_call_queue, agent_timeout_ms), 15000, 1000,
		600000, "1s to 10m" },
	{ QUEUE_WRAP_UP, offsetof(struct stw_call_queue, wrap_up_ms), 0, 0, 3600000, "0s to 1h" },
	{ QUEUE_MAX_WAIT, offsetof(struct stw_call_queue, max_wait_ms), 1800000, 1000, 43200000,
		"1s to 12h" },
	{ QUEUE_ANNOUNCE, offsetof(struct stw_call_queue, announce_ms), 30000, 5000, 60000,
		"5s to 1m" },
	{ QUEUE_CALL_TIME, offsetof(struct stw_call_queue, call_time_ms), 180000, 1000, 3600000,
		"1s to 1h" },
};

#define LENGTH_STANDARD     50
#define PER_CALLER_STANDARD 5

/* A user part without anything that would need escapes. */
static bool is_name(struct stw_str text)
{
	return text.len > 0 && text.len < 64 && stw_is_token(text);
}

static bool agent_read(struct config_context *context, const struct config_field *field,
	struct stw_str text, struct stw_call_queue *queue)
{
	size_t at = stw_str_find(text, '@', 0);
	struct stw_group_member *agent = &queue->agents[queue->agent_count];
	enum stw_host_kind kind;
	struct stw_str host;
	char quoted[96];

	if (queue->agent_count == STW_QUEUE_AGENTS_MAX) {
		config_error(
			context, field->mark, "queues: more than %d agents", STW_QUEUE_AGENTS_MAX);
		return false;
	}
	agent->user = stw_str_cut(text, 0, at);
	agent->domain = stw_str_cut(text, at + 1, text.len);
	if (!is_name(agent->user) ||
		(at < text.len && stw_host_parse(agent->domain, &host, &kind) < 0)) {
		config_error(context, field->mark,
			"queues: %s is no user; allowed: bob, bob@example.com",
			config_quote(text, quoted));
		return false;
	}
	queue->agent_count++;
	return true;
}

static bool agents_read(struct config_context *context, const struct config_field *field,
	struct stw_call_queue *queue)
{
	size_t from = 0, end;

	queue->texts[QUEUE_AGENTS] = field->text;
	for (; field->text.ptr && from < field->text.len; from = end + 1) {
		end = stw_str_find(field->text, ',', from);
		if (!agent_read(context, field, stw_str_trim(stw_str_cut(field->text, from, end)),
			    queue))
			return false;
	}
	return true;
}

static bool times_read(struct config_context *context, const struct config_item *item,
	struct stw_call_queue *queue)
{
	char quoted[96];
	uint64_t ms;

	for (unsigned i = 0; i < STW_ARRAY_SIZE(times); i++) {
		const struct config_field *field = &item->fields[times[i].key];
		uint32_t *member = (uint32_t *)(void *)((char *)queue + times[i].offset);

		*member = times[i].standard_ms;
		queue->texts[times[i].key] = field->text;
		if (!field->text.ptr)
			continue;
		if (config_duration(field->text, &ms) < 0 || ms < times[i].min_ms ||
			ms > times[i].max_ms) {
			config_error(context, field->mark, "queues: %s: %s is no time; allowed: %s",
				queue_keys[times[i].key].name, config_quote(field->text, quoted),
				times[i].allowed);
			return false;
		}
		*member = (uint32_t)ms;
	}
	return true;
}

static bool number_read(struct config_context *context, const struct config_field *fields,
	unsigned key, struct stw_call_queue *queue, unsigned *ret)
{
	const struct config_field *field = &fields[key];
	uint64_t number = *ret;
	char quoted[96];

	queue->texts[key] = field->text;
	if (field->text.ptr && stw_str_to_uint(field->text, STW_QUEUE_LENGTH_MAX, &number) < 0) {
		config_error(context, field->mark, "queues: %s: %s is no length; allowed: 0 to %d",
			queue_keys[key].name, config_quote(field->text, quoted),
			STW_QUEUE_LENGTH_MAX);
		return false;
	}
	*ret = (unsigned)number;
	return true;
}

static bool lengths_read(struct config_context *context, const struct config_field *fields,
	struct stw_call_queue *queue)
{
	queue->max_length = LENGTH_STANDARD;
	queue->max_per_caller = PER_CALLER_STANDARD;
	return number_read(context, fields, QUEUE_MAX_LENGTH, queue, &queue->max_length) &&
	       number_read(context, fields, QUEUE_MAX_PER_CALLER, queue, &queue->max_per_caller);
}

static bool priority_read(struct config_context *context, const struct config_field *field,
	struct stw_call_queue *queue)
{
	static const char *const words[] = { "users", "all", "none" };
	char quoted[96];

	queue->texts[QUEUE_PRIORITY] = field->text;
	for (unsigned i = 0; i < STW_ARRAY_SIZE(words); i++) {
		queue->priority = (enum stw_queue_priority)i;
		if (stw_str_equal(field->text, stw_str_from(words[i])))
			return true;
	}
	queue->priority = STW_QUEUE_PRIORITY_USERS;
	if (!field->text.ptr)
		return true;
	config_error(context, field->mark,
		"queues: priority: %s is not known; allowed: users, all, none",
		config_quote(field->text, quoted));
	return false;
}

/* Who gets those whom no agent gets. */
static bool ways_read(struct config_context *context, const struct config_field *fields,
	struct stw_call_queue *queue)
{
	queue->texts[QUEUE_OVERFLOW] = fields[QUEUE_OVERFLOW].text;
	queue->texts[QUEUE_OPEN] = fields[QUEUE_OPEN].text;
	queue->texts[QUEUE_CLOSED] = fields[QUEUE_CLOSED].text;
	return config_target_read(
		       context, "queues", "overflow", &fields[QUEUE_OVERFLOW], &queue->overflow) &&
	       config_opening_read(context, "queues", &fields[QUEUE_OPEN], &fields[QUEUE_CLOSED],
		       &queue->opening);
}

static bool media_read(struct config_context *context, const struct config_field *field,
	struct stw_call_queue *queue)
{
	struct stw_uri uri;
	char quoted[96];

	queue->texts[QUEUE_MEDIA] = queue->media = field->text;
	if (!field->text.ptr)
		return true;
	if (stw_uri_parse(field->text, &uri) == 0 && uri.scheme == STW_SCHEME_SIP &&
		uri.headers.len == 0)
		return config_transport_read(context, field->mark, "queues: media", &uri);
	config_error(context, field->mark, "queues: media: %s is no SIP URI",
		config_quote(field->text, quoted));
	return false;
}

static bool name_read(struct config_context *context, const struct config_field *field,
	struct stw_call_queue *queue)
{
	const struct stw_config *config = context->config;
	char quoted[96];

	queue->name = queue->texts[QUEUE_NAME] = field->text;
	config_quote(field->text, quoted);
	if (!is_name(field->text))
		config_error(context, field->mark, "queues: %s is no name of at most 63 characters",
			quoted);
	else if (stw_config_queue(config, field->text))
		config_error(context, field->mark, "queues: %s stands twice", quoted);
	else if (config->queue_count == STW_CONFIG_QUEUES_MAX)
		config_error(context, field->mark, "queues: more than %d", STW_CONFIG_QUEUES_MAX);
	else
		return true;
	return false;
}

static void queues_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_config *config = context->config;
	const struct config_field *fields = item->fields;
	struct stw_call_queue queue = { .max_length = 0 };

	if (!name_read(context, &fields[QUEUE_NAME], &queue) ||
		!agents_read(context, &fields[QUEUE_AGENTS], &queue) ||
		!times_read(context, item, &queue) || !lengths_read(context, fields, &queue) ||
		!priority_read(context, &fields[QUEUE_PRIORITY], &queue) ||
		!ways_read(context, fields, &queue) ||
		!media_read(context, &fields[QUEUE_MEDIA], &queue))
		return;
	config->queues =
		config_grow(context, config->queues, config->queue_count, sizeof(*config->queues));
	if (config->queues)
		config->queues[config->queue_count++] = queue;
}

static bool queues_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	_Static_assert(QUEUE_KEYS == STW_QUEUE_KEYS, "as written, one text for each key");

	if (index >= config->queue_count)
		return false;
	ret->entry = true;
	for (unsigned i = 0; i < QUEUE_KEYS; i++)
		ret->fields[i].text = config->queues[index].texts[i];
	return true;
}

static void queues_clear(struct stw_config *config)
{
	config->queue_count = 0;
}

const struct stw_option_form config_form_queues = {
	.add = queues_add,
	.get = queues_get,
	.clear = queues_clear,
	.keys = queue_keys,
	.key_count = QUEUE_KEYS,
	.only_entries = true,
};

const struct stw_call_queue *stw_config_queue(const struct stw_config *config, struct stw_str name)
{
	for (unsigned i = 0; i < config->queue_count; i++) {
		if (stw_str_equal(config->queues[i].name, name))
			return &config->queues[i];
	}
	return NULL;
}

bool stw_queue_admits(const struct stw_config *config, const struct stw_call_queue *queue,
	struct stw_str user, struct stw_str domain)
{
	for (unsigned i = 0; i < queue->agent_count; i++) {
		const struct stw_group_member *agent = &queue->agents[i];
		struct stw_str of = agent->domain.len ? agent->domain : config->domains[0];

		if (stw_str_equal(agent->user, user) && stw_str_equal_nocase(of, domain))
			return true;
	}
	return queue->agent_count == 0;
}

/* "queue:NAME", "group:NAME". */
bool config_check_target(struct config_context *context, struct stw_str text, struct stw_str ret[2])
{
	struct stw_forward_target target;

	ret[0] = STW_STR_NONE;
	if (!text.len || stw_forward_target_parse(text, &target) < 0)
		return true;
	ret[1] = target.text;
	if (target.kind == STW_FORWARD_TO_QUEUE) {
		ret[0] = STW_STR("queue");
		return stw_config_queue(context->config, target.text) != NULL;
	}
	if (target.kind == STW_FORWARD_TO_GROUP) {
		ret[0] = STW_STR("group");
		return stw_config_group(context->config, target.text) != NULL;
	}
	return true;
}

static void check_queue(struct config_context *context, const struct stw_call_queue *queue)
{
	struct config_mark mark = config_option_mark(context, "queues");
	struct config_way way = { "queues", "queue", "overflow", queue->name, queue->overflow };

	for (unsigned i = 0; i < queue->agent_count; i++) {
		struct stw_str domain = queue->agents[i].domain;

		if (domain.len && !stw_config_domain(context->config, domain).len)
			config_error(context, mark,
				"queues: %.*s@%.*s of %.*s is of none of the domains of this "
				"server",
				STW_STR_ARG(queue->agents[i].user),
				STW_STR_ARG(queue->agents[i].domain), STW_STR_ARG(queue->name));
	}
	if (stw_config_group(context->config, queue->name))
		config_error(context, mark, "queues: %.*s is the name of a group, too",
			STW_STR_ARG(queue->name));
	config_check_way(context, &way);
	way.key = "closed";
	way.target = queue->opening.closed;
	config_check_way(context, &way);
}

void config_check_queues(struct config_context *context)
{
	for (unsigned i = 0; i < context->config->queue_count; i++)
		check_queue(context, &context->config->queues[i]);
}
