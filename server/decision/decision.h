/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * decision: what happened in each call and why, for `strowger why`. A bounded memory per worker;
 * when it is full, the oldest calls that succeeded go first, refusals last.
 */
#ifndef STW_DECISION_H
#define STW_DECISION_H

#include <jansson.h>

#include <strowger/stack.h>

struct stw_decisions;

/** @param max_calls  how many Call-IDs are remembered, 0: none; also bounds the bytes */
int stw_decisions_new(size_t max_calls, struct stw_hash_key key, struct stw_decisions **ret);
/** A request was received that will be noted: its place shall be in the cache. Fills its
 * `call_hash`. */
void stw_decisions_expect(const struct stw_decisions *decisions, struct stw_msg *request);
/** Record one note. `place`: "strowger.yaml:12" of the option that decided, or empty. Never fails:
 * when no memory is left the note is counted as lost. At most 64 records a call; later ones are
 * counted. */
void stw_decisions_note(
	struct stw_decisions *decisions, const struct stw_note *note, struct stw_str place);
/**
 * A call as JSON: {"call_id", "from", "to", "started" (ISO 8601), "lost", "records": [{"at_ms"
 * (since the start), "kind", "peer" ("udp 127.0.0.1:5070"; absent when unknown), "method", "code",
 * "phrase", "cause", "rfc", "meaning", "reason", "remedy", "relayed", "uri", "option", "place",
 * "facts": {…}}]}. `call_id` "last": the newest call. New reference; NULL: none.
 */
json_t *stw_decisions_call(const struct stw_decisions *decisions, struct stw_str call_id);
/** The newest `n` calls, each {"call_id", "from", "to", "started", "code", "cause"}. New reference.
 */
json_t *stw_decisions_list(const struct stw_decisions *decisions, unsigned n);
size_t stw_decisions_count(const struct stw_decisions *decisions);
struct stw_decisions *stw_decisions_free(struct stw_decisions *decisions);

/* ---- text.c: what comes from the network, to be shown
 * --------------------------------------------- */

/** Bytes of the first character of a text that is not empty; one when that is not UTF-8.
 * `ret_plain`: it may be shown as it is. It neither steers a terminal nor hides. */
size_t stw_text_character(struct stw_str text, bool *ret_plain);
/** A JSON string; bytes that are not UTF-8 and controls become U+FFFD. New reference, NULL: no
 * memory. */
json_t *stw_json_text(struct stw_str text);
/** "2026-01-31T12:00:00.123Z" */
json_t *stw_json_time(int64_t wall_ms);

#endif
