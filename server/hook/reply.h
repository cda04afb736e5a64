/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * reply: what a web server says of a call, as JSON, read strictly: an unknown action, a wrong
 * type, a text that could not stand in a SIP message make all of it nonsense. Members that nobody
 * knows are let be, so that a server may say more to later versions.
 */
#ifndef STW_HOOK_REPLY_H
#define STW_HOOK_REPLY_H

#include <strowger/base.h>

#define STW_HOOK_HEADERS_MAX  16
#define STW_HOOK_CONTACTS_MAX 8
#define STW_HOOK_CLASSES_MAX  16
#define STW_HOOK_TEXT_MAX     512 /* of a header value, a URI, a phrase */

enum stw_hook_action { STW_HOOK_PASS, STW_HOOK_REFUSE, STW_HOOK_REDIRECT };

struct stw_hook_header {
	struct stw_str name, value;
};

/** Text lies in the arena. */
struct stw_hook_reply {
	enum stw_hook_action action;
	uint32_t ttl_s; /* how long it holds; 0: for this call only */
	unsigned code;  /* REFUSE; 0: the usual one */
	bool no_card;   /* REFUSE with 608: the caller would misuse the address on it */
	struct stw_str phrase, reason; /* REFUSE; empty: none. `reason` is for the record */
	struct stw_str contacts[STW_HOOK_CONTACTS_MAX]; /* REDIRECT: SIP, SIPS or tel URIs */
	unsigned contact_count;
	struct stw_hook_header headers[STW_HOOK_HEADERS_MAX]; /* PASS: to be added */
	unsigned header_count;
	struct stw_str classes[STW_HOOK_CLASSES_MAX]; /* PASS: of service, for this call */
	unsigned class_count;
};

/**
 * @param ret_why  on -EBADMSG what is wrong, a text that lives for ever
 * @return 0; -EBADMSG; -ENOMEM
 */
int stw_hook_reply_read(struct stw_str text, struct stw_arena *arena, struct stw_hook_reply *ret,
	const char **ret_why);

#endif
