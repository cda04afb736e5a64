/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the transaction layer share. */
#ifndef STW_TRANSACTION_INTERNAL_H
#define STW_TRANSACTION_INTERNAL_H

#include <strowger/transaction.h>

/* RFC 3261 §17.2.1: a 100 unless the TU answers within this time. */
#define TX_INVITE_100_MS 200u
/* RFC 4320 §4.1: the time after which Timer E of the client is reset to T2: T1 + 2*T1 + 4*T1. */
#define TX_NON_INVITE_100_MS (7 * STW_T1_MS)
/* So many server transactions may share one key: more is no mistake but an attack on the table. */
#define TX_SAME_KEY_MAX 16

/* ---- machines.c ---------------------------------------------------------- */

/* clang-format off */
enum tx_event {
	EV_START,               /* the arrow that comes from outside the figure */
	EV_1XX, EV_2XX, EV_300_699,                     /* client: a response came */
	EV_REQUEST, EV_ACK,                             /* server: a retransmission, an ACK came */
	EV_TU_1XX, EV_TU_2XX, EV_TU_300_699,            /* server: the TU answers */
	EV_TU_ABANDON,                                  /* server: the TU will never answer */
	EV_TU_RESEND, EV_TU_FORGET,                     /* client */
	EV_TRANSPORT_ERROR,
	EV_TIMER_100,
	EV_TIMER_A, EV_TIMER_B, EV_TIMER_D, EV_TIMER_E, EV_TIMER_F, EV_TIMER_G,
	EV_TIMER_H, EV_TIMER_I, EV_TIMER_J, EV_TIMER_K, EV_TIMER_L, EV_TIMER_M,
	TX_EVENTS
};

/* Letters of the timer events, from EV_TIMER_A on. C is the proxy's. */
#define TX_TIMER_LETTERS "ABDEFGHIJKLM"

/* Beside enum stw_tx_action; what the layer does itself with its timers. */
enum tx_timer_action {
	ACT_START_A = 1u << 8,          /* T1, on unreliable transports only */
	ACT_START_E = ACT_START_A,
	ACT_START_G = ACT_START_A,
	ACT_DOUBLE_A = 1u << 9,         /* twice the last interval */
	ACT_DOUBLE_E = 1u << 10,        /* the same, T2 at most */
	ACT_DOUBLE_G = ACT_DOUBLE_E,
	ACT_RESET_E = 1u << 11,         /* T2 */
	ACT_STOP_A = 1u << 12,
	ACT_STOP_E = ACT_STOP_A,
	ACT_STOP_G = ACT_STOP_A,
	ACT_STOP_100 = ACT_STOP_A,
	ACT_START_100 = 1u << 13,
	ACT_START_B = 1u << 14,         /* 64*T1, on all transports */
	ACT_START_F = ACT_START_B,
	ACT_START_H = ACT_START_B,
	ACT_START_L = ACT_START_B,
	ACT_START_M = ACT_START_B,
	ACT_START_D = 1u << 15,         /* 64*T1 (32 s); zero on reliable transports */
	ACT_START_J = ACT_START_D,
	ACT_START_I = 1u << 16,         /* T4; zero on reliable transports */
	ACT_START_K = ACT_START_I,
	ACT_STOP_B = 1u << 17,
};
/* clang-format on */

#define ACT_ZERO_IF_RELIABLE (ACT_START_D | ACT_START_I)
#define ACT_PUBLIC           0xffu

struct tx_rule {
	enum stw_tx_state next; /* STW_TX_NONE: the event is ignored in this state */
	unsigned actions;       /* set of enum stw_tx_action and enum tx_timer_action */
};

const struct tx_rule *tx_rule_find(
	enum stw_tx_kind kind, enum stw_tx_state state, enum tx_event event);
/* Which event the timer that ends `state` is; TX_EVENTS: none runs there. */
enum tx_event tx_end_event(enum stw_tx_kind kind, enum stw_tx_state state);
/* A, E or G; TX_EVENTS for the non-INVITE server, which repeats only when asked. */
enum tx_event tx_retransmit_event(enum stw_tx_kind kind);

/* ---- layer.c --------------------------------------------------------------- */

struct stw_tx_layer {
	struct stw_wheel *wheel;
	struct stw_hash_key key;
	struct stw_table servers, clients;
	struct stw_table requests; /* servers whose request is known by its own names, §8.2.2.2 */
	struct stw_node *ended;    /* Terminated, to be reaped */
	size_t count;              /* all that are not freed yet */
	size_t large_bytes;        /* of those of them that are large */
};

/* What RFC 3261 §17.2.3 compares when the branch of a request lacks the magic cookie. */
struct tx_legacy {
	struct stw_str uri, transport, via_params, to_tag, from_tag, call_id;
	uint32_t cseq;
	bool tag_known;
	uint64_t response_tag; /* hash of the To tag of our final response to an INVITE */
};

/* What its end looks at stands together: by then nothing of it is in a cache. */
struct tx {
	struct stw_tx pub;    /* first */
	struct stw_node node; /* in a table of the layer; Terminated: in its list `ended` */
	struct stw_timer end; /* all others */
	struct stw_tx_layer *layer;
	struct stw_timer retransmit; /* A, E or G; before the first response: a 100 is due */
	uint32_t interval_ms;        /* of A, E or G */
	uint32_t bytes;              /* of all this */
	uint32_t host_len, name_len; /* in `text`, behind the branch */
	uint16_t port;               /* sent-by, default filled in */
	bool is_legacy : 1;          /* `text` begins with a struct tx_legacy */
	bool may_merge : 1;          /* server, no To tag: a struct stw_node stands before that */
	bool is_known : 1;           /* … and is in the table of requests */
	bool forgotten : 1;          /* client: the TU wants to hear no more */
	_Alignas(uint64_t) char text[];
};

static inline struct tx *tx_of(const struct stw_tx *pub)
{
	return STW_CONTAINER_OF(pub, struct tx, pub);
}
static inline struct tx_legacy *tx_legacy(const struct tx *tx)
{
	size_t at = tx->may_merge ? sizeof(struct stw_node) : 0;

	return tx->is_legacy ? (struct tx_legacy *)(void *)(tx->text + at) : NULL;
}
/* Under which the request of a server transaction is known, if it may be. */
static inline struct stw_node *tx_request(struct tx *tx)
{
	return (struct stw_node *)(void *)tx->text;
}
static inline struct stw_str tx_host(const struct tx *tx)
{
	return (struct stw_str){ tx->pub.branch.ptr + tx->pub.branch.len, tx->host_len };
}
/* Of a method that is not in the list; empty otherwise. */
static inline struct stw_str tx_method_name(const struct tx *tx)
{
	return (struct stw_str){ tx->pub.branch.ptr + tx->pub.branch.len + tx->host_len,
		tx->name_len };
}
static inline bool tx_is_server(const struct tx *tx)
{
	return tx->pub.kind == STW_TX_INVITE_SERVER || tx->pub.kind == STW_TX_NON_INVITE_SERVER;
}

/* Terminated: out of its table at once, so that nothing matches it any more; freed when reaped. */
void tx_end(struct tx *tx);

/* ---- match.c --------------------------------------------------------------- */

uint16_t tx_sent_by_port(const struct stw_via *via);
uint64_t tx_merge_hash(const struct stw_tx_layer *layer, const struct stw_msg *request);
/* Remember the To tag of a response: an ACK of RFC 2543 is known by it. */
void tx_legacy_answered(struct tx *tx, struct stw_slices response);

/* ---- step.c ---------------------------------------------------------------- */

unsigned tx_step(struct tx *tx, enum tx_event event, struct stw_now now);

#endif
