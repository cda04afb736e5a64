/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * config: the option table and what it yields: an immutable snapshot of all options.
 * YAML in, errors with file, line, column and a suggestion out.
 */
#ifndef STW_CONFIG_H
#define STW_CONFIG_H

#include <stdio.h>

#include <strowger/auth.h>
#include <strowger/overload.h>
#include <strowger/proxy.h>
#include <strowger/transport.h>

#include "server/card/card.h"
#include "server/dialplan/dialplan.h"
#include "server/hours/hours.h"

#define STW_CONFIG_DOMAINS_MAX   64
#define STW_CONFIG_EXEMPT_MAX    64
#define STW_CONFIG_RULES_MAX     512 /* of the dial plan; also ranges */
#define STW_CONFIG_GROUPS_MAX    256
#define STW_GROUP_MEMBERS_MAX    32
#define STW_CONFIG_QUEUES_MAX    64
#define STW_QUEUE_AGENTS_MAX     64
#define STW_QUEUE_LENGTH_MAX     1000
#define STW_QUEUE_KEYS           14
#define STW_CONFIG_TRUNKS_MAX    64
#define STW_CONFIG_EDGES_MAX     64
#define STW_CONFIG_CLASSES_MAX   32
#define STW_CONFIG_NAMES_MAX     256
#define STW_NAME_CHOICES_MAX     16
#define STW_TRUNK_URIS_MAX       8
#define STW_CONFIG_FEATURES_MAX  64
#define STW_FEATURE_CHANGE_MAX   512
#define STW_CONFIG_EMERGENCY_MAX 16
#define STW_CONFIG_WORDS_MAX     16

enum stw_sandbox { STW_SANDBOX_ON, STW_SANDBOX_OFF };
enum stw_store_sync { STW_STORE_SYNC_NORMAL, STW_STORE_SYNC_FULL };
enum stw_use_source { STW_USE_SOURCE_AUTO, STW_USE_SOURCE_ALWAYS, STW_USE_SOURCE_NEVER };
enum stw_recurse { STW_RECURSE_FALSE, STW_RECURSE_TRUE, STW_RECURSE_ASKED };
enum stw_log_level { STW_LOG_ERROR, STW_LOG_WARNING, STW_LOG_NOTICE, STW_LOG_DEBUG };
enum stw_udp_oversize { STW_UDP_OVERSIZE_TCP, STW_UDP_OVERSIZE_SEND };

enum stw_dial_kind { STW_DIAL_USER, STW_DIAL_QUEUE, STW_DIAL_TRUNK, STW_DIAL_REJECT };

/** A rule of the dial plan: what becomes of the numbers that match. */
struct stw_dial_rule {
	struct stw_str match, to; /* as written */
	struct stw_str class;     /* that the caller needs; empty: none */
	unsigned strip;           /* symbols taken off the front … */
	struct stw_str prepend;   /* … and put there; ptr NULL: nothing */
	enum stw_dial_kind kind;
	struct stw_str user, domain; /* USER: this one; empty: whose number it is, of the domain
					that was called */
	struct stw_str queue;        /* QUEUE: its name */
	unsigned trunk;              /* TRUNK: index */
	unsigned code;               /* REJECT */
};

/** Patterns, sorted so that the first that matches wins. `value` is the index of the rule. */
struct stw_dial_table {
	struct stw_dial_entry *v;
	unsigned n;
};

enum stw_ambiguous { STW_AMBIGUOUS_485, STW_AMBIGUOUS_NOLIST, STW_AMBIGUOUS_404 };

/** One of the users who go by a name. */
struct stw_name_choice {
	struct stw_str display;      /* without quotes; empty: none */
	struct stw_str user, domain; /* domain empty: the one that was called */
};

/** A name that several users go by. */
struct stw_shared_name {
	struct stw_str name;
	struct stw_str users_text; /* as written */
	struct stw_name_choice choices[STW_NAME_CHOICES_MAX];
	unsigned choice_count;
};

/** Another server that numbers are handed to. */
struct stw_trunk {
	struct stw_str name;
	struct stw_str uri_text;                 /* as written */
	struct stw_str uris[STW_TRUNK_URIS_MAX]; /* tried in this order */
	struct stw_uri parsed[STW_TRUNK_URIS_MAX];
	unsigned uri_count;
	struct stw_str next_on_text;   /* as written */
	struct stw_code_set next_on;   /* responses behind which the next URI is tried */
	struct stw_str user, password; /* who we are there; user empty: nobody is asked */
	struct stw_str password_file;  /* that the password was read from; empty: none */
	struct stw_str realm;          /* the only one that is answered; empty: any */
	bool registers;                /* we register there, as `aor` */
	struct stw_str aor;            /* what it names us; with a user always set */
	struct stw_str aor_text;       /* as written; empty: made of user and uri */
	uint32_t expires_s;            /* that is asked for */
	struct stw_str expires_text;   /* as written */
	struct stw_str incoming; /* who is called by what comes to our Contact there; empty: whom To
				    names */
	bool only_registered;    /* no call goes there before we are registered */
	struct stw_str direct; /* class of those who may name its host themselves; empty: nobody */
};

/** Does Path (RFC 3327) go into the REGISTER of a phone? */
enum stw_edge_path {
	STW_EDGE_OFFER,   /* when the phone knows it */
	STW_EDGE_REQUIRE, /* who does not know it is refused (421) */
	STW_EDGE_NEVER,
};

/** A domain of somebody else whose phones come by us. */
struct stw_edge {
	struct stw_str domain;
	struct stw_str registrar; /* as written: a SIP URI without user */
	struct stw_str route;     /* the same as a Route value: "<sip:…;lr>" */
	struct stw_str path_text; /* as written */
	enum stw_edge_path path;
};

/** A code that users dial to change their settings. */
struct stw_feature {
	struct stw_str code, set; /* as written: "*21*.#", "forward.always=$" */
	bool has_digits;
	unsigned before, behind; /* symbols of a number that are not the digits meant */
	unsigned queue_act;      /* of "queue.login=NAME": an enum stw_queue_act … */
	struct stw_str queue;    /* … and NAME; empty: it is about the user's other settings */
};
/** "forward.always=0171…": what the user who dials this number changes. */
struct stw_str stw_feature_change(const struct stw_feature *feature, struct stw_str number,
	char buffer[STW_FEATURE_CHANGE_MAX]);

enum stw_group_ring {
	STW_GROUP_ALL,   /* all members at once */
	STW_GROUP_ORDER, /* one after the other, as they are listed */
	STW_GROUP_Q,     /* as the phones say themselves: falling q, over all members */
	STW_GROUP_IDLE,  /* one after the other: whose last call has ended first; who talks, last */
};

struct stw_group_member {
	struct stw_str user, domain; /* domain empty: the one that was called */
};

/** When a group or queue takes calls. */
struct stw_opening {
	struct stw_str open; /* as written; empty: always */
	struct stw_hours hours;
	struct stw_str closed; /* who gets the call else; empty: whom overflow names */
};

/** Several users behind one name. */
struct stw_group {
	struct stw_str name;
	struct stw_str members_text, ring_text, timeout_text; /* as written */
	struct stw_group_member members[STW_GROUP_MEMBERS_MAX];
	unsigned member_count;
	enum stw_group_ring ring;
	uint32_t timeout_ms;     /* of a step: of all, or of each member */
	struct stw_str overflow; /* who gets the call when no member takes it; empty: nobody */
	struct stw_opening opening;
};

/** Whose Priority header field (RFC 3261 §20.26) counts. */
enum stw_queue_priority {
	STW_QUEUE_PRIORITY_USERS, /* that of our own users */
	STW_QUEUE_PRIORITY_ALL,
	STW_QUEUE_PRIORITY_NONE,
};

/** Callers who wait until an agent is free. */
struct stw_call_queue {
	struct stw_str name;
	struct stw_str texts[STW_QUEUE_KEYS];                 /* as written, by key */
	struct stw_group_member agents[STW_QUEUE_AGENTS_MAX]; /* who may log in; none: every user;
								  domain empty: the first one */
	unsigned agent_count;
	uint32_t agent_timeout_ms; /* how long one is rung */
	uint32_t wrap_up_ms;       /* that he has to himself behind a call of the queue */
	unsigned max_length;       /* callers who wait */
	unsigned max_per_caller;   /* places of one of them; 0: no limit */
	uint32_t max_wait_ms;
	uint32_t announce_ms;  /* between two 182 */
	uint32_t call_time_ms; /* of a call, before any has been measured */
	enum stw_queue_priority priority;
	struct stw_str overflow; /* who gets whom no agent gets; empty: nobody */
	struct stw_str media; /* URI of a server that callers hear while they wait; empty: none */
	struct stw_opening opening;
};

/** What happens to a call when a web server that is asked about it does not answer. */
enum stw_on_failure { STW_ON_FAILURE_OPEN, STW_ON_FAILURE_CLOSED };
enum stw_asked_about { STW_ASKED_ABOUT_ALL, STW_ASKED_ABOUT_STRANGERS, STW_ASKED_ABOUT_USERS };

/** A short list of words or numbers. */
struct stw_word_list {
	struct stw_str v[STW_CONFIG_WORDS_MAX];
	unsigned n;
};

/** One snapshot. Text belongs to its arena. Shared read-only; freed with the last reference. */
struct stw_config {
	struct stw_arena arena;
	atomic_uint refs;
	const char *file; /* name it was read from; NULL: defaults */

	struct stw_str domains[STW_CONFIG_DOMAINS_MAX];
	unsigned domain_count;       /* at least 1: the host's own name by default */
	struct stw_listeners listen; /* default udp and tcp 0.0.0.0:5060 */
	struct stw_str advertise;    /* empty: none */
	struct stw_str user;         /* run as; empty: stay */
	unsigned workers;            /* 0: as many as there are CPUs */
	uint32_t gather_ms;          /* 0: never */
	struct stw_str
		store; /* path of the SQLite file (behind "sqlite:"), or ":memory:" for "memory:" */
	enum stw_store_sync store_sync;
	enum stw_sandbox sandbox;
	struct {
		struct stw_str certificate, key;
	} tls;
	struct {
		struct stw_str listen, socket;
	} admin;
	struct {
		bool required, insecure_listen;
		enum stw_digest_algorithm algorithms[STW_DIGEST_ALGORITHMS];
		unsigned algorithm_count;
		uint32_t nonce_lifetime_s;
	} auth;
	struct {
		uint32_t min_expires_s, max_expires_s, default_expires_s;
		uint32_t max_bindings;
		bool exclusive;
		enum stw_use_source use_source;
	} registration;
	struct {
		uint32_t ring_timeout_ms;
		uint32_t max_forwards;
		uint32_t max_age_s;
		bool from_anyone;
		struct stw_str classes[STW_CONFIG_CLASSES_MAX];
		unsigned class_count;
		enum stw_ambiguous ambiguous;
		struct stw_str redirect[STW_CONFIG_DOMAINS_MAX];
		unsigned redirect_count;
	} call;
	struct stw_str time_zone; /* as written */
	struct stw_zone zone;
	struct stw_shared_name *shared_names;
	unsigned shared_name_count;
	struct stw_group *groups;
	unsigned group_count;
	bool group_idle; /* one of them asks who is idle since when */
	struct stw_call_queue *queues;
	unsigned queue_count;
	struct stw_dial_rule *rules; /* of the dial plan, in the order of the file */
	unsigned rule_count;
	struct stw_dial_table dialplan, ranges; /* ranges: value is the index of range_texts */
	struct stw_str *range_texts;
	unsigned range_count;
	struct stw_feature *features;
	unsigned feature_count;
	struct stw_dial_table feature_table; /* value: index of features */
	struct stw_trunk *trunks;
	unsigned trunk_count;
	struct stw_edge *edges;
	unsigned edge_count;
	struct {
		struct stw_str numbers[STW_CONFIG_EMERGENCY_MAX]; /* without separators */
		unsigned number_count;
		struct stw_str route; /* as written; empty: none */
		struct stw_str uri;   /* … of a server; empty: a trunk */
		unsigned trunk;       /* index */
	} emergency;
	struct {
		enum stw_recurse recurse;
		bool serial_fallback; /* default true (RFC 5393 §5.3.3) */
		bool all_busy_600;
		uint32_t timer_c_ms;
		uint32_t max_breadth;
	} proxy;
	struct {
		struct stw_msg_limits
			message; /* max_message, max_uri, max_body, max_headers, max_header_bytes */
		uint32_t max_transactions; /* in all */
		uint32_t max_connections, max_connections_per_source;
		uint32_t connection_idle_ms, message_timeout_ms;
		uint32_t max_output_bytes; /* per connection */
		uint32_t max_branches;
		struct stw_source_limits source;
		struct stw_network exempt[STW_CONFIG_EXEMPT_MAX];
		unsigned exempt_count;
		uint32_t max_sources, max_calls;
	} limits;
	struct {
		uint32_t target_ms, retry_after_s;
		enum stw_overload_feedback feedback;
		bool restrain;
	} overload;
	struct {
		struct stw_str servers;
		uint32_t timeout_ms;                                         /* of one question */
		uint32_t max_time_ms, max_questions, max_srv, max_addresses; /* of one request */
		uint32_t failed_for_ms;
		uint32_t cache_names, cache_bytes;
	} dns;
	struct {
		uint32_t connections, max_waiting, max_answer_bytes, cache_answers;
		struct stw_str ca; /* PEM file; empty: those of the system */
	} hook;
	struct {
		struct stw_str url; /* empty: nobody is asked */
		uint32_t timeout_ms, cache_s;
		enum stw_on_failure on_failure;
		enum stw_asked_about about;
		struct stw_word_list methods, codes, headers;
		struct stw_str announcement; /* URI; empty: none */
		struct stw_str card_url, card_key, card_certificate, card_name;
		struct stw_word_list card_contacts;
		struct stw_card_key *card; /* of card_key; NULL: none */
	} analytics;
	struct {
		struct stw_str url; /* empty: nobody is asked */
		uint32_t timeout_ms;
		enum stw_on_failure on_failure;
	} credit;
	struct {
		struct stw_word_list namespaces, sources; /* networks, as written */
		struct stw_str class;
	} priority;
	enum stw_udp_oversize udp_oversize;
	struct {
		enum stw_log_level level;
	} log;
	struct {
		struct stw_str file, url; /* empty: none */
		uint32_t max_waiting, timeout_ms;
	} cdr;
	struct {
		uint32_t min_se_s;
		uint32_t insert_s; /* 0: none is inserted */
		uint32_t max_s;    /* 0: any */
	} session_timer;
	struct {
		uint32_t keep_calls;
	} decisions; /* calls that `why` remembers */

	/* Where each option was set: line of the file, 0 = default. Indexed by option row. */
	uint32_t *lines;
};

enum stw_option_type {
	STW_OPTION_BOOL,
	STW_OPTION_UINT,
	STW_OPTION_DURATION,
	STW_OPTION_TEXT,
	STW_OPTION_ENUM,
	STW_OPTION_LIST, /* domains, listen, algorithms */
};

struct stw_option_form;

/** One row of the option table: the only place that knows an option. */
struct stw_option {
	const char *key; /* "registration.min_expires" */
	enum stw_option_type type;
	size_t offset;        /* in struct stw_config */
	const char *unit;     /* "s", "ms", "bytes", "" */
	uint64_t min, max;    /* numbers and durations (in the unit of the member) */
	const char *allowed;  /* enums: "auto|always|never" */
	const char *standard; /* default as written in YAML */
	bool live;            /* false: a change needs a restart */
	const char *help;     /* one or two sentences */
	const char *rfc;      /* section, or "" */
	const struct stw_option_form
		*form; /* texts and lists with a grammar of their own, or NULL */
};

const struct stw_option *stw_option_all(size_t *ret_count);
/** Row by key, NULL if unknown. */
const struct stw_option *stw_option_find(const char *key);

/**
 * Value of an option as it may be written in YAML, without quotes. Lists: element `index`; else
 * index 0.
 * @return false when there is no such element, or it does not fit
 */
bool stw_option_text(const struct stw_option *option, const struct stw_config *config,
	unsigned index, struct stw_writer *writer);
/** What is allowed, in words: "1s to 7d", "auto, always, never". Empty when anything is. */
struct stw_str stw_option_allowed(const struct stw_option *option, char *buffer, size_t size);
/** "duration", "number", "word" … */
const char *stw_option_type_name(const struct stw_option *option);

/** What is wrong in a file, and where. */
struct stw_config_error {
	unsigned line, column; /* 0: not tied to a place */
	char text[400];        /* what is wrong, what is allowed, "did you mean …" */
};

struct stw_config_errors {
	struct stw_config_error v[64];
	unsigned n;
};

/** The domain of this name as it is kept, in lower case; empty: it is none of ours. */
struct stw_str stw_config_domain(const struct stw_config *config, struct stw_str name);
/** NULL: its phones do not come by us. */
const struct stw_edge *stw_config_edge(const struct stw_config *config, struct stw_str domain);
/** NULL: there is none of this name. */
const struct stw_group *stw_config_group(const struct stw_config *config, struct stw_str name);
/** NULL: there is none of this name. */
const struct stw_call_queue *stw_config_queue(const struct stw_config *config, struct stw_str name);
/** May this user log in as an agent? */
bool stw_queue_admits(const struct stw_config *config, const struct stw_call_queue *queue,
	struct stw_str user, struct stw_str domain);

/** Read a file; every error is collected. @return 0; -ENOENT …; -EINVAL with `errors` */
int stw_config_load(const char *path, struct stw_config_errors *errors, struct stw_config **ret);
/** The same from memory; `name` is used in messages. An empty text gives the defaults. */
int stw_config_parse(const char *name, const char *text, size_t len,
	struct stw_config_errors *errors, struct stw_config **ret);
struct stw_config *stw_config_ref(struct stw_config *config);
struct stw_config *stw_config_unref(struct stw_config *config);
/** Next restart option behind `after` (NULL: the first) that differs; NULL when there is none, and
 * a reload may go on if that was the first. */
const struct stw_option *stw_config_restart_needed(const struct stw_config *old,
	const struct stw_config *new_, const struct stw_option *after);
/** The line of the file in which an option stands; 0: in none. */
unsigned stw_config_line(const struct stw_config *config, const char *key);
/** "strowger.yaml:12" of an option, or "default"; for causes. */
struct stw_str stw_config_place(
	const struct stw_config *config, const char *key, char *buffer, size_t size);
/** All options with values (or defaults), unit, range and help as a valid YAML file. */
void stw_config_print(FILE *out, const struct stw_config *config);
/** Default paths: root /run/strowger/admin.sock and /var/lib/strowger/strowger.db, else XDG. */
void stw_config_default_paths(char *socket, size_t socket_size, char *store, size_t store_size);

#endif
