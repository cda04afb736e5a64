/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of config share. */
#ifndef STW_CONFIG_INTERNAL_H
#define STW_CONFIG_INTERNAL_H

#include "server/config/config.h"

#define CONFIG_OPTIONS_MAX 160
#define CONFIG_ARENA_BYTES (16u << 20) /* more than any file that long can fill */
#define CONFIG_FILE_BYTES  (1u << 20)
#define CONFIG_TEXT_MAX    1024 /* bytes of one value */

/** A place in the file; 0: none. */
struct config_mark {
	unsigned line, column;
};

#define CONFIG_KEYS_MAX 16

/** A key of an entry, {key: value, …}: an element of a list that is a mapping. */
struct config_key {
	const char *name;
	bool required;
	bool secret; /* left out where values are shown, but not where they are saved */
};

/** The value of one key; a list is its elements with ", " between them. */
struct config_field {
	struct stw_str text; /* ptr NULL: not given */
	struct config_mark mark;
};

/** One value as written: a scalar, or one element of a list. */
struct config_item {
	struct stw_str text;
	struct config_mark mark;
	bool entry;                                  /* a mapping: `fields` count */
	struct config_field fields[CONFIG_KEYS_MAX]; /* in the order of the form's keys; the text
							of an entry that was read lasts as the
							snapshot does */
	char buffer[CONFIG_TEXT_MAX + 64];           /* holds what `get` writes */
};

/** A snapshot in the making. */
struct config_context {
	struct stw_config *config;
	struct stw_config_errors *errors;
	bool no_memory;
	struct config_mark at[CONFIG_OPTIONS_MAX]; /* where each value stands */
	struct config_mark listen_at[STW_LISTENERS_MAX];
	struct config_mark *rule_match_at, *rule_to_at, *range_at; /* in the arena */
};

/** Texts with a grammar of their own, and lists: how one value gets in and out. */
struct stw_option_form {
	/** Check and store; errors go to the context. */
	void (*add)(struct config_context *context, const struct stw_option *option,
		const struct config_item *item);
	/** Value `index`, as `add` takes it. False: there is none. */
	bool (*get)(const struct stw_config *config, const struct stw_option *option,
		unsigned index, struct config_item *ret);
	/** Lists: forget all values. */
	void (*clear)(struct stw_config *config);
	/** A default that depends on the machine. NULL: the text in the table. */
	void (*standard)(struct config_context *context, const struct stw_option *option);
	const struct config_key *keys; /* elements may be mappings with these keys; NULL: they may
					  not */
	unsigned key_count;
	bool only_entries; /* … and nothing else */
};

extern const struct stw_option_form config_form_domains, config_form_listen, config_form_algorithms,
	config_form_store, config_form_advertise, config_form_admin_listen, config_form_path,
	config_form_tls, config_form_socket, config_form_servers, config_form_workers,
	config_form_exempt, config_form_dialplan, config_form_ranges, config_form_trunks,
	config_form_classes, config_form_emergency_numbers, config_form_emergency_route,
	config_form_shared_names, config_form_groups, config_form_queues, config_form_features,
	config_form_redirect, config_form_hook_url, config_form_analytics_methods,
	config_form_analytics_codes, config_form_analytics_headers, config_form_namespaces,
	config_form_card_contacts, config_form_sip_uri, config_form_priority_sources,
	config_form_class, config_form_time_zone, config_form_edge, config_form_max_transactions;

/* form.c */
/** "[::1]:5060", "192.0.2.1:5060", "example.com": port 0 when none. @return 0, -EBADMSG */
int config_host_port(struct stw_str text, struct stw_str *ret_host, uint16_t *ret_port);
/** Can this server send by the transport that the URI names? False: an error was told */
bool config_transport_read(struct config_context *context, struct config_mark mark,
	const char *where, const struct stw_uri *uri);

/* option.c */
unsigned config_option_index(const struct stw_option *option);
struct config_mark config_option_mark(const struct config_context *context, const char *key);

/* error.c */
void config_error(struct config_context *context, struct config_mark mark, const char *format, ...)
	STW_PRINTF(3, 4);
/** Text of the file for a message: in quotes, cut short, without control characters. */
const char *config_quote(struct stw_str text, char buffer[96]);

/* value.c: numbers, durations, words */
void config_value_set(struct config_context *context, const struct stw_option *option,
	const struct config_item *item);
struct stw_str config_value_get(const struct stw_config *config, const struct stw_option *option,
	char *buffer, size_t size);
/** "1m30s", "0". @return 0; -ENOENT no unit; -EBADMSG; -ERANGE */
int config_duration(struct stw_str text, uint64_t *ret_ms);
/** A number of the option's unit as it is written in the file. */
struct stw_str config_number_text(
	const struct stw_option *option, uint64_t number, char *buffer, size_t size);
void *config_member(const struct stw_config *config, const struct stw_option *option);
/** Copy into the arena of the snapshot. */
void config_keep(struct config_context *context, struct stw_str text, struct stw_str *ret);

/* yaml.c */
int config_read(struct config_context *context, const char *text, size_t len);
/** Set one option from its value as written in YAML. */
void config_read_value(
	struct config_context *context, const struct stw_option *option, const char *text);

/* defaults.c */
int config_defaults(struct config_context *context);

/* memory.c */
/** Bytes that this process may use: what the machine has, or less by its control group. */
uint64_t config_machine_memory(void);

/* plan.c: the elements of a list that grows in the arena of the snapshot */
void *config_grow(struct config_context *context, void *v, unsigned n, size_t element_bytes);
/* plan.c: patterns that contradict each other, rules that lead to nothing */
void config_check_plan(struct config_context *context);

/* plan.c: one more pattern of a table; its value is its number there. False: an error was told */
bool config_pattern_add(struct config_context *context, const struct stw_option *option,
	const struct config_field *field, struct stw_dial_table *table);
/* feature.c: codes that contradict each other */
void config_check_features(struct config_context *context);

/* group.c: members and overflow that lead nowhere */
void config_check_groups(struct config_context *context);
/* queue.c: the same for queues */
void config_check_queues(struct config_context *context);
/* Is there what "queue:NAME" or "group:NAME" names? Else `ret` says which kind and which name. */
bool config_check_target(
	struct config_context *context, struct stw_str text, struct stw_str ret[2]);

/* hours.c */
/** Whom `key` of a group or queue names. False: an error was told */
bool config_target_read(struct config_context *context, const char *list, const char *key,
	const struct config_field *field, struct stw_str *ret);
/** When it is open, and who gets the calls else. False: an error was told */
bool config_opening_read(struct config_context *context, const char *list,
	const struct config_field *open, const struct config_field *closed,
	struct stw_opening *ret);
/** Where calls of a group, queue or trunk go: "overflow" of "groups" … */
struct config_way {
	const char *list, *kind, *key; /* "groups", "group", "overflow" */
	struct stw_str name, target;
};
/** An error when it leads to nothing, or to itself. */
void config_check_way(struct config_context *context, const struct config_way *way);

/* names.c: users of other domains */
void config_check_names(struct config_context *context);
/* trunk.c: what comes from there and leads nowhere */
void config_check_trunks(struct config_context *context);
/* emergency.c: a route that names a trunk */
void config_check_emergency(struct config_context *context);
/* trunk.c: an error that there is no such trunk; else its index */
bool config_trunk_find(struct config_context *context, const char *key, struct config_mark mark,
	struct stw_str name, unsigned *ret);

/* edge.c: a domain that is ours as well */
void config_check_edges(struct config_context *context);
/* hook.c: certificates that nobody can read */
void config_check_hook(struct config_context *context);
/* hook.c: a card without its parts */
void config_check_card(struct config_context *context);

/* check.c: what only several options together can break */
void config_check(struct config_context *context);

#endif
