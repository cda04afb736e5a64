/* SPDX-License-Identifier: Apache-2.0 */
/* Private to server/decision. */
#ifndef STW_DECISION_INTERNAL_H
#define STW_DECISION_INTERNAL_H

#include "server/decision/decision.h"

#include <sys/queue.h>

#define RECORDS_MAX      64          /* of one call */
#define TEXT_MAX         256         /* bytes kept of one text of a peer */
#define CALL_ID_MAX      512         /* longer ones are told apart by their first bytes */
#define CALL_BYTES_MAX   (64u << 10) /* text and records of one call */
#define CALL_BYTES_FIRST 984u        /* for a call that succeeds; with its heads a round size */
#define CALL_BYTES_MEAN  4096u       /* times max_calls: bytes of all */

/** Where the phrase of a record stands. */
enum phrase { PHRASE_NONE, PHRASE_STANDARD, PHRASE_OF_CAUSE, PHRASE_OWN };

/** What few records have. */
struct record_more {
	const char *option;
	const struct stw_fact *facts;
	struct stw_str method, phrase, place; /* method: of one that is not known by number */
	uint8_t fact_count;
};

/** There are thirteen for a call that succeeds: no byte more than needed. */
struct record {
	struct record *next;
	const struct stw_cause *cause;
	const struct record_more *more; /* NULL: nothing of that */
	uint32_t at_ms;                 /* since the call began */
	uint16_t code, port, uri_len;
	uint8_t kind, transport, method; /* enum stw_method */
	uint8_t family;                  /* of the peer; 0: unknown */
	uint8_t phrase;                  /* enum phrase */
	bool relayed;
	uint8_t ip[]; /* 4 bytes, or 16 and the scope; behind it the URI */
};

static inline size_t record_ip_bytes(unsigned family)
{
	return family == 0 ? 0 : family == 4 ? 4 : 16 + sizeof(uint32_t);
}
static inline struct stw_str record_uri(const struct record *record)
{
	return (struct stw_str){ (const char *)record->ip + record_ip_bytes(record->family),
		record->uri_len };
}

struct call {
	struct stw_node node;
	TAILQ_ENTRY(call) age;   /* in order of their beginning */
	TAILQ_ENTRY(call) queue; /* of `list` */
	struct call_list *list;
	struct stw_arena arena;
	struct stw_str call_id, from, to;
	struct stw_now started;
	struct record *first, *last;
	const struct record *outcome; /* last final response to the caller, or failure */
	uint32_t bytes;               /* as counted in decisions->bytes */
	uint32_t lost;
	uint16_t count;
};
TAILQ_HEAD(call_list, call);

struct stw_decisions {
	struct stw_hash_key key;
	struct stw_table table;
	struct call_list ages, succeeded, others;
	struct call *recent; /* of the note before: what a message causes is noted in a row */
	size_t max_calls, max_bytes, bytes;
	uint64_t lost; /* notes for which no memory was left */
};

struct stw_str decision_method(const struct record *record);
struct call *decision_find(const struct stw_decisions *decisions, struct stw_str call_id);

#endif
