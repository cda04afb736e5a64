/* SPDX-License-Identifier: Apache-2.0 */
/* One call, as server/call/call.c keeps it and server/call/line.c tells it. */
#ifndef STW_CALL_INTERNAL_H
#define STW_CALL_INTERNAL_H

#include "server/call/call.h"

#define CALL_TEXT_MAX    512u /* of one name or URI; the rest is cut off */
#define CALL_PARTIES_MAX 260u /* more than limits.max_branches can be */
#define CALL_LEGS_MAX    48u
#define CALL_DIALOGS_MAX 8u
#define CALL_RECORD_MAX                                                                            \
	16384u /* bytes for the record of one call; who counts has room beside them */

/* A user of ours who makes or gets the call. */
struct party {
	struct party *next;
	struct stw_str aor;
	bool caller;
	bool counted; /* in stw_busy */
};

/* A place that was tried. */
struct leg {
	struct leg *next;
	struct stw_str target, user; /* user: AOR of ours whose phone it is; NULL: nobody's */
	unsigned code;               /* its final response; 0: none so far */
	const char *cause; /* why we gave it up; NULL: it has answered, or nothing happened yet */
};

/* A 2xx makes one, another phone of a fork makes another. */
struct dialog {
	struct dialog *next;
	uint64_t tag;        /* hash of the callee's */
	struct party *party; /* whose phone; NULL: nobody's of ours */
	uint64_t expires_ms; /* session, monotonic; 0: never */
	uint64_t bye_ms;     /* when a BYE went through, wall; 0: none has */
	uint64_t bye_due_ms; /* monotonic: it counts, even if nobody answers it */
	bool bye_of_caller;
};

struct call {
	struct stw_node node;
	struct stw_timer timer;
	struct stw_arena arena;
	/* Keyed hashes, that of the Call-ID in the node: so that a peer's long names take no room.
	 */
	uint64_t from_tag;
	uint64_t via;  /* on top of the INVITE: what comes back to us has another above it, … */
	uint64_t mark; /* … that is ours and has this, see stw_request_mark() */
	uint64_t uri;  /* Request-URI of the INVITE, and more of who knows no branches */
	uint32_t cseq;
	bool cancelled;
	struct stw_now began;
	struct party *parties;
	struct dialog *dialogs; /* that have not ended */
	struct dialog *over;    /* that have; their 2xx may still be sent again */
	struct dialog first;    /* mostly the only one: there is always room for it */
	unsigned party_count, leg_count, dialog_count;
	/* for the records */
	size_t record_bytes;
	struct stw_str call_id, from, to, request_uri;
	struct leg *legs, **legs_end;
	struct diversion {
		struct diversion *next;
		struct stw_str aor;
	} * diverted, **diverted_end;
	uint64_t ring_ms, answer_ms, end_ms; /* wall; 0: not yet */
	unsigned code;
	const char *cause;    /* id; NULL: none of ours */
	const char *ended_by; /* NULL: it has not */
};

/** The call as one line of JSON, with its end of line. NULL: no memory */
struct stw_record_line *call_line(const struct call *call);

#endif
