/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * setting: what a user has chosen or was given: state, numbers, do-not-disturb, caller lists,
 * forwarding. Read and written as KEY=VALUE lines, in the store, by `strowger user set` and by the
 * administration; lists have commas. Pure.
 */
#ifndef STW_SETTING_H
#define STW_SETTING_H

#include <strowger/base.h>

#define STW_SETTING_TEXT_MAX 16384 /* bytes of all settings of one user */
#define STW_SETTING_LIST_MAX 128   /* elements of one list */

enum stw_user_state {
	STW_USER_ACTIVE,
	STW_USER_CLOSED, /* 410 */
	STW_USER_MOVED,  /* 301 to moved_to */
};

enum stw_forward_when {
	STW_FORWARD_ALWAYS,
	STW_FORWARD_BUSY,
	STW_FORWARD_NO_ANSWER,
	STW_FORWARD_UNREGISTERED,
	STW_FORWARD_DND,
	STW_FORWARD_KINDS,                      /* that users have settings for */
	STW_FORWARD_CLOSED = STW_FORWARD_KINDS, /* out of the hours of a group or queue */
};

enum stw_user_mode { STW_MODE_DEFAULT, STW_MODE_PROXY, STW_MODE_REDIRECT };

/** Elements of a comma list, in order. */
struct stw_setting_list {
	const struct stw_str *v;
	unsigned n;
};

/** The settings of one user: immutable, one allocation, borrowed by readers. */
struct stw_settings {
	struct stw_str
		text; /* canonical: KEY=VALUE lines in the order of the table, each ended by LF */
	enum stw_user_state state;
	struct stw_str moved_to;
	struct stw_setting_list alias, number;
	bool dnd;
	struct stw_setting_list block, allow; /* AORs, "@domain", number patterns, "anonymous" */
	unsigned block_code;                  /* 403; 607 when the user chose it */
	unsigned reject_anonymous;            /* 0: off; 433; 403 */
	unsigned max_calls;                   /* 0: no limit */
	struct stw_setting_list classes;      /* of service */
	bool has_credit;                      /* false: not prepaid */
	uint64_t credit;                      /* units left */
	enum stw_user_mode mode;
	struct stw_str forward[STW_FORWARD_KINDS]; /* empty: none */
	uint32_t no_answer_ms;                     /* of STW_FORWARD_NO_ANSWER */
	struct stw_setting_list queues;            /* in which he is logged in as an agent … */
	struct stw_setting_list queues_paused;     /* … and those that he is not rung for now */
};

enum stw_forward_kind {
	STW_FORWARD_TO_NAME,   /* a user of the same domain, or a number: "carol", "42" */
	STW_FORWARD_TO_NUMBER, /* no name: "+49 30 1234" */
	STW_FORWARD_TO_USER,   /* "carol@example.com" */
	STW_FORWARD_TO_URI,    /* with a scheme: sip, sips, tel */
	STW_FORWARD_TO_QUEUE,  /* text: its name */
	STW_FORWARD_TO_GROUP,  /* text: its name */
};

/** What a forwarding setting says. */
struct stw_forward_target {
	enum stw_forward_kind kind;
	struct stw_str text;
};

/** @return 0; -EBADMSG it is none */
int stw_forward_target_parse(struct stw_str value, struct stw_forward_target *ret);

/** One row of the table of settings: the only place that knows a key. */
struct stw_setting {
	const char *key;
	const char *allowed;  /* in words */
	const char *standard; /* the value without one; "": none */
	const char *help;
};

/** Row `index` of the table, NULL behind the last. */
const struct stw_setting *stw_setting_at(size_t index);

/** What is wrong with a setting, in words for the person who wrote it. */
struct stw_setting_error {
	char text[300];
};

/**
 * The settings with changes.
 * @param old      NULL: the defaults
 * @param changes  "KEY=VALUE"; an empty value clears; a later one of the same key wins.
 *                 "KEY+=VALUE" and "KEY-=VALUE" put one element into a list, or take it out
 * @param ret      free() it
 * @return 0; -EBADMSG with `error`; -ENOMEM
 */
int stw_settings_change(const struct stw_settings *old, const struct stw_str *changes, unsigned n,
	struct stw_settings **ret, struct stw_setting_error *error);
/** From the text of the store: what a former version wrote. As stw_settings_change. */
int stw_settings_parse(
	struct stw_str text, struct stw_settings **ret, struct stw_setting_error *error);
/** Is it one of the elements? */
bool stw_setting_list_has(const struct stw_setting_list *list, struct stw_str element);
/** The value of a key as written; empty when it has the default. */
struct stw_str stw_settings_value(const struct stw_settings *settings, const char *key);

#endif
