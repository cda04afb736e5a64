/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * transaction: the four machines of RFC 3261 §17 with RFC 6026 (Accepted, timers L and M) and
 * RFC 4320, as tables. A step says what to do; it does nothing itself. lib/stack performs it.
 */
#ifndef STROWGER_TRANSACTION_H
#define STROWGER_TRANSACTION_H

#include <strowger/message.h>

#define STW_T1_MS      500u  /* round-trip time estimate, §17.1.1.1 */
#define STW_T2_MS      4000u /* longest interval between retransmissions */
#define STW_T4_MS      5000u /* how long a message stays in the network */
#define STW_TIMER_B_MS (64 * STW_T1_MS)

enum stw_tx_kind {
	STW_TX_INVITE_CLIENT,     /* §17.1.1, figure 5; RFC 6026 §8.4 */
	STW_TX_NON_INVITE_CLIENT, /* §17.1.2, figure 6 */
	STW_TX_INVITE_SERVER,     /* §17.2.1, figure 7; RFC 6026 §7.1 */
	STW_TX_NON_INVITE_SERVER, /* §17.2.2, figure 8; RFC 4320 */
};

enum stw_tx_state {
	STW_TX_NONE,
	STW_TX_CALLING,
	STW_TX_TRYING,
	STW_TX_PROCEEDING,
	STW_TX_ACCEPTED,
	STW_TX_COMPLETED,
	STW_TX_CONFIRMED,
	STW_TX_TERMINATED,
	STW_TX_STATES
};

/** Name as in the RFC: "Calling". */
const char *stw_tx_state_name(enum stw_tx_state state);

/** What a step asks the stack to do. Timers are the layer's own business. */
enum stw_tx_action {
	STW_TX_SEND = 1u << 0, /* send tx->message to its hop (first time or again) */
	STW_TX_SEND_ACK =
		1u << 1, /* client: build and send the ACK for this 300–699 (§17.1.1.3), or again */
	STW_TX_PASS_UP = 1u << 2, /* give the message to the core */
	STW_TX_TIMEOUT = 1u << 3, /* Timer B, F or H fired: tell the core (408 for B and F) */
	STW_TX_ERROR = 1u << 4,   /* transport error: tell the core (503) */
	STW_TX_SEND_100 =
		1u << 5, /* server: a 100 is due (INVITE 200 ms; non-INVITE 3.5 s, RFC 4320 §4.1) */
	STW_TX_ENDED = 1u << 6, /* Terminated: reaped by stw_tx_reap() after the event */
};

/** Timer kinds of this layer; `owner` is the struct stw_tx. */
#define STW_TIMER_TX_RETRANSMIT 200 /* A, E, G */
#define STW_TIMER_TX_END        201 /* B, D, F, H, I, J, K, L, M */
#define STW_TIMER_TX_100        202 /* provisional due */

struct stw_tx_layer;

/** One transaction. Read the members, change none but `user` and `user_kind`. */
struct stw_tx {
	enum stw_tx_kind kind : 8; /* small: hundreds of thousands absorb under load */
	enum stw_tx_state state : 8;
	enum stw_method method : 8;
	bool reliable;             /* transport */
	bool final_sent;           /* server: a final response has been given */
	uint8_t user_kind;         /* the stack's: what `user` is */
	uint16_t last_code;        /* last response sent or received, 0: none */
	void *user;                /* the stack's */
	struct stw_slices message; /* what STW_TX_SEND sends: the request, or the last response */
	struct stw_str branch;     /* key, kept by the transaction */
	uint64_t started_ms;
};

/** The wheel must outlive the layer. @return 0, -ENOMEM */
int stw_tx_layer_new(struct stw_wheel *wheel, struct stw_hash_key key, struct stw_tx_layer **ret);
/** Ends and frees all transactions without a word to their users. Accepts NULL; returns NULL. */
struct stw_tx_layer *stw_tx_layer_free(struct stw_tx_layer *layer);
/** All that have not been reaped yet. */
size_t stw_tx_count(const struct stw_tx_layer *layer);
/** Bytes of those of them that are large: their key is what the peer has sent. */
size_t stw_tx_large_bytes(const struct stw_tx_layer *layer);

/**
 * §17.2.3: the server transaction a request belongs to: its own (a retransmission), the INVITE's
 * for an ACK; by branch, sent-by and method, or by the RFC 2543 rules when the branch lacks the
 * cookie.
 */
struct stw_tx *stw_tx_match_request(
	const struct stw_tx_layer *layer, const struct stw_msg *request);
/** §9.2: the server transaction that a CANCEL is for (any method but ACK and CANCEL). NULL: none.
 */
struct stw_tx *stw_tx_match_cancel(const struct stw_tx_layer *layer, const struct stw_msg *cancel);
/** §17.1.3: by branch and CSeq method. */
struct stw_tx *stw_tx_match_response(
	const struct stw_tx_layer *layer, const struct stw_msg *response);

/**
 * New server transaction for a request that matched none; `reliable` as the transport it came by.
 * @return 0, -ENOMEM; -ENOBUFS: too many requests with one branch and sent-by (an attack: drop it)
 */
int stw_tx_server_new(struct stw_tx_layer *layer, const struct stw_msg *request, bool reliable,
	struct stw_now now, struct stw_tx **ret);
/** Does the branch identify a transaction (§8.1.1.7)? One of RFC 2543 does not. */
bool stw_tx_has_cookie(struct stw_str branch);
/** Of what a request is matched by, §17.2.3, but for its method: the same for a request, its CANCEL
 * and the ACK of its refusal. Not to be guessed by who does not know the key. */
uint64_t stw_tx_request_hash(const struct stw_tx_layer *layer, const struct stw_msg *request);
/** A request has arrived: what it is looked for in shall be in the cache soon. The hashes are kept
 * in the message. */
void stw_tx_expect_request(const struct stw_tx_layer *layer, struct stw_msg *request);
/** The same for a response. */
void stw_tx_expect_response(const struct stw_tx_layer *layer, struct stw_msg *response);
/**
 * §8.2.2.2, merged requests: another transaction that was asked about and has not ended has a
 * request with the same From tag, Call-ID and CSeq, which came here another way. If not, that of
 * `tx` (whose request is given) is what later ones are compared with; nothing when it has a To tag.
 */
bool stw_tx_is_merged(struct stw_tx *tx, const struct stw_msg *request);
/** A retransmission or an ACK that matched `tx`. @return actions */
unsigned stw_tx_receive_request(
	struct stw_tx *tx, const struct stw_msg *request, struct stw_now now);
/**
 * The core answers. The slices must live as long as the transaction (or until the next response).
 * A final response after the first is ignored, but 2xx to INVITE in Accepted is sent (RFC 6026
 * §7.1). Non-INVITE: 1xx other than 100 is refused with 0 actions, as is 100 before 3.5 s on an
 * unreliable transport (RFC 4320 §4.1); 408 ends the transaction unsent, as stw_tx_abandon() does
 * (§4.2).
 * @return actions
 */
unsigned stw_tx_respond(
	struct stw_tx *tx, unsigned code, struct stw_slices response, struct stw_now now);
/**
 * The last response lies elsewhere now, byte for byte the same. In Accepted and Confirmed, where
 * none is repeated, it may be empty.
 */
void stw_tx_move_response(struct stw_tx *tx, struct stw_slices response);
/** Server, non-INVITE: end without a response (RFC 4320 §4.2: no 408), not before 64*T1. @return
 * actions */
unsigned stw_tx_abandon(struct stw_tx *tx, struct stw_now now);

/** A request of ours that is ready to be sent. */
struct stw_tx_client_options {
	enum stw_method method;
	struct stw_str method_name; /* for unknown methods */
	struct stw_str branch;      /* of our top Via; copied */
	uint64_t hash;              /* stw_tx_expect_client(); 0: not asked */
	struct stw_slices request;  /* must live as long as the transaction */
	bool reliable;
};

/** There will be a client transaction with this branch: what it is put into shall be in the cache
 * soon. @return its hash */
uint64_t stw_tx_expect_client(const struct stw_tx_layer *layer, struct stw_str branch);
/** New client transaction; the first step sends: `ret_actions`. @return 0, -ENOMEM */
int stw_tx_client_new(struct stw_tx_layer *layer, const struct stw_tx_client_options *options,
	struct stw_now now, struct stw_tx **ret, unsigned *ret_actions);
/** The transport changed before any response (UDP fall-back, §18.1.1): timers restart. @return
 * actions */
unsigned stw_tx_resend(
	struct stw_tx *tx, struct stw_slices request, bool reliable, struct stw_now now);
/** @return actions */
unsigned stw_tx_receive_response(
	struct stw_tx *tx, const struct stw_msg *response, struct stw_now now);
/**
 * Client: nothing more is of interest; end as soon as the machine allows it. Before a final
 * response that is at once (§9.1: none came after CANCEL); Completed still absorbs and sends ACK,
 * Accepted absorbs.
 */
void stw_tx_forget(struct stw_tx *tx);

/** The message could not be sent, or its flow broke. @return actions */
unsigned stw_tx_transport_error(struct stw_tx *tx, struct stw_now now);
/** A timer of kind STW_TIMER_TX_* expired. @return actions */
unsigned stw_tx_timer(struct stw_tx *tx, struct stw_timer *timer, struct stw_now now);
/** Its timer is due soon: what its end needs shall be in the cache. */
void stw_tx_expect(const struct stw_tx *tx);
/** Free what is Terminated; `user_done` is called with each tx->user before (may be NULL). */
void stw_tx_reap(struct stw_tx_layer *layer, void (*user_done)(void *context, struct stw_tx *tx),
	void *context);
/** End all at once without a word to anybody, for a shutdown: the next stw_tx_reap() frees them. */
void stw_tx_end_all(struct stw_tx_layer *layer);

/** Which of RFC 3261's timers runs, for traces: 'A' … 'M'; 0: none, or the time of the 100. */
char stw_tx_timer_letter(const struct stw_tx *tx, const struct stw_timer *timer);

/**
 * ACK for a 300–699 to an INVITE of ours, §17.1.1.3: Request-URI, top Via, Route, From, Call-ID,
 * CSeq number of the request as sent; To of the response. Written into `writer`.
 */
void stw_tx_write_ack(
	struct stw_writer *writer, const struct stw_msg *invite, const struct stw_msg *response);
/** CANCEL for a request of ours, §9.1; `reason_line` is empty or whole "Reason: …\r\n" lines. */
void stw_tx_write_cancel(
	struct stw_writer *writer, const struct stw_msg *invite, struct stw_str reason_line);

#define CAUSE(name, id, code, phrase, rfc, meaning, reason, remedy) STW_CAUSE_DECLARE(name);
#include <strowger/causes/transaction.def>
#undef CAUSE

#endif
