/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * api: what an administrator may ask, as method, path and JSON. Independent of HTTP: the daemon
 *serves it on its socket, and the command line serves it to itself when no server runs.
 *
 *	GET    /v1/status                 GET  /v1/calls?n=N        GET  /v1/why/CALL-ID
 *	GET    /v1/users[/AOR]            POST /v1/users            DELETE /v1/users/AOR
 *	PATCH  /v1/users/AOR              GET  /v1/rules
 *	GET    /v1/card                   (server/card/card.h; not JSON)
 *	GET    /v1/bindings[/AOR]         DELETE /v1/bindings/AOR?contact=URI
 *	GET    /v1/queues[/NAME]          POST /v1/queues/NAME
 *	POST   /v1/try                    (server/try.h)
 *	POST   /v1/reload  /v1/drain  /v1/stop
 *
 * POST /v1/users: {"mode": "add"|"passwd"|"set", "users": [{"aor": …, "password": …}]}; all or
 * nothing. PATCH /v1/users/AOR: {"KEY": "VALUE", …}, settings of a user
 * (server/directory/setting.h); an empty value clears; the answer is that of GET. An answer other
 * than 200 is {"error": "a sentence"}.
 * POST /v1/queues/NAME: {"agent": AOR, "act": "login"|"logout"|"pause"}.
 * GET /v1/rules: [{"aor": …, "error": "a sentence"}], users whose settings have become wrong.
 */
#ifndef STW_API_H
#define STW_API_H

#include "server/core.h"

enum stw_ask_kind {
	STW_ASK_CORE, /* a question for stw_core_question() */
	STW_ASK_RELOAD,
	STW_ASK_STOP,
};

/** A question on its way to the worker and back. */
struct stw_ask {
	enum stw_ask_kind kind;
	struct stw_question question; /* CORE; the answer of RELOAD is put here too */
};

struct stw_api {
	const struct stw_directory *directory;
	const struct stw_location *location;
	bool read_rcu; /* the thread is no RCU reader and has to become one for a look-up */
	/** Is the server ending? A long answer is then given up. NULL: never */
	bool (*ended)(void *context);
	/** Returns when the answer is there. @return 0; -ESHUTDOWN: the server is ending */
	int (*ask)(void *context, struct stw_ask *ask);
	void *context;
	const json_t *info; /* added to status; may be NULL */
};

struct stw_api_request {
	const char *method, *path;
	const char *contact; /* ?contact=, or NULL */
	const char *number;  /* ?n=, or NULL */
	const json_t *body;  /* POST, PATCH; NULL: none */
	const struct stw_config *config;
	bool read_only; /* changes are refused with 403 */
};

struct stw_api_reply {
	unsigned status; /* of HTTP */
	json_t *json;    /* new reference */
	const char
		*type;  /* of the content; NULL: JSON, else `json` is a text and is sent as it is */
	char allow[48]; /* of a 405: the methods that the path has (RFC 9110 §15.5.6) */
};

void stw_api_handle(const struct stw_api *api, const struct stw_api_request *request,
	struct stw_api_reply *ret);
/** ["example.com", …] */
json_t *stw_api_domains(const struct stw_config *config);
/** {"error": text} */
void stw_api_error(struct stw_api_reply *ret, unsigned status, const char *format, ...)
	STW_PRINTF(3, 4);

#endif
