/* SPDX-License-Identifier: Apache-2.0 */
/* The stack's own view of a request, its branches and its batch. */
#ifndef STW_STACK_INTERNAL_H
#define STW_STACK_INTERNAL_H

#include <strowger/locate.h>
#include <strowger/stack.h>

/* Timers of the stack; `owner` is the branch or the request. */
#define TIMER_C            300 /* branch: §16.6 step 11 */
#define TIMER_TCP_FALLBACK 301 /* branch: large request, TCP did not open in a second (§18.1.1) */
#define TIMER_NO_ANSWER    302 /* request: call.ring_timeout */
#define TIMER_EXPIRES      303 /* request: Expires of the INVITE (§13.3.1, §16.6) */
#define TIMER_CANCEL_WAIT  304 /* branch: no final 64*T1 after CANCEL (§9.1) */
#define TIMER_LOCATE       305 /* branch: enough asked, what is known has to do (RFC 3263) */
#define TIMER_NEXT_PLACE   306 /* branch, non-INVITE: another address gets its turn */
#define TIMER_MERGED       307 /* branch, INVITE: the next server has forgotten the first try */
#define TIMER_REPEAT       308 /* struct uas: a 2xx without ACK, a reliable 1xx without PRACK */
#define TIMER_ALARM        309 /* struct stw_alarm, of the user of the stack */
#define TIMER_LEFT         310 /* struct leave: all that came by a flow is answered */
#define TIMER_LEVEL        311 /* request, non-INVITE: targets of lower q get their turn */
#define TIMER_CLIENT_GONE  312 /* request, non-INVITE: its client has given up */
#define TIMER_UNHEARD      313 /* request: its sender hears no response; at once */

#define TCP_FALLBACK_MS      1000
#define NON_INVITE_MARGIN_MS 2000
#define LOCATE_PATIENCE_MS   STW_T1_MS /* for further addresses when one is known, RFC 8305 §3 */
#define NEXT_PLACE_MIN_MS    1000
#define MERGED_MS            (STW_T4_MS + STW_T1_MS) /* Timer I and a round trip */
#define OUTAGE_MAX_S         3600u
#define OUTAGES_MAX          4096u
#define FLOW_LISTS           256u
#define REQUEST_ARENA_BYTES  (256u * 1024u)
#define REQUEST_CHUNK_BYTES  3072u /* a request with one branch fits; freed when all is said */
#define ROOM_BYTES           1024u /* of large pieces have the room of a transaction */

enum branch_state {
	BRANCH_RESOLVING, /* a name is being asked */
	BRANCH_SENDING,   /* a client transaction runs */
	BRANCH_ENDED,     /* the context has been told; a transaction may still absorb */
};

/* Where a name leads. Lies in what waits for it, which must end it. */
struct lookup {
	struct stw_stack *stack;
	struct stw_target where;
	struct stw_locate *locate;      /* NULL: there was nothing to look up */
	struct stw_dns_waiter *waiters; /* one for each question */
	unsigned waiter_count;
	struct stw_timer timer;              /* TIMER_LOCATE, owner: this */
	uint64_t end_ms;                     /* of all patience */
	struct stw_random *random;           /* orders SRV records of equal priority */
	void (*done)(struct lookup *lookup); /* it is READY or FAILED */
};

/* An error of ICMP that does not say which datagram it is about is anybody's word: the next copy
 * has to be refused, too. */
struct refusal {
	bool last, before; /* the copy that was sent last, and that before it */
};

/* One branch of a forwarded request: where it goes and its client transaction. */
struct branch {
	struct branch *next;                       /* of the request */
	struct branch *listed_next, **listed_link; /* of the stack, while it runs */
	struct branch *concerned_next;             /* while an event of a flow or address is told */
	struct box *box;
	unsigned index; /* as the response context counts */
	enum branch_state state;
	struct stw_proxy_target target;
	bool stateless; /* ACK: sent once, no transaction */
	bool ack_waits; /* it is one of stack.ack_lookups */
	bool unwanted;  /* the call is over for it: what was not sent yet is not sent any more */
	bool flow_gone; /* the binding's connection is gone, its Contact is tried */
	bool server;    /* the next hop is another server, not a phone */
	bool overdue;   /* Timer C ran out before any 1xx: the next one is answered with CANCEL */
	bool merged;    /* it was a copy to the next server once (482) */
	uint32_t max_breadth;
	struct stw_account *account; /* who answers for it; NULL: the caller */
	unsigned answers;            /* to challenges, so far */
	struct stw_str credentials;  /* lines, or empty */
	struct lookup lookup;
	struct stw_place *places, number; /* where it may go, in order; the second is of a number */
	unsigned place_count, place_next;
	struct stw_random random;             /* stateless: the order of its places */
	struct stw_hop hop;                   /* where it was sent */
	bool tcp_tried;                       /* sent by TCP only because it is large */
	struct refusal refusal;               /* of the datagrams to this place */
	struct stw_slices sent;               /* the request as sent */
	struct stw_record_route record_route; /* in it */
	struct stw_tx *tx, *cancel_tx;
	struct stw_timer timer_c, fallback, cancel_wait, place_timer;
	struct stw_block *cancel; /* bytes of the CANCEL, kept for its transaction */
	struct stw_str cancel_text;
	struct stw_block *ack; /* of its refusal, see remains.c */
	bool cancel_waits;     /* for the 1xx of the address that is tried now, with these lines */
	struct stw_str cancel_lines;
};

/* A block that was replaced while its bytes may still wait to be sent. */
struct retired {
	struct retired *next;
	struct stw_block *block;
};

/* Of a request that asks what comes when all has failed; lies in its arena. */
struct service {
	struct stw_str diversion, history;
	const struct stw_str *without;
	unsigned without_count;
	bool together; /* the time of ringing is for all targets of the group */
	bool expired;  /* and it was over */
	bool ended;    /* the core knows */
	struct box *box;
	struct stw_node early; /* in stack->early while our 181 or 182 has made a dialog */
	bool early_listed;
	bool hung_up;           /* a BYE has ended it: the INVITE ends with what is under way */
	struct stw_refusal end; /* in the place of the best response; cause NULL: none */
};

/* A request with the stack's part of it. */
struct box {
	struct stw_request request;
	struct box *live_next, **live_link;
	struct stw_block *kept;     /* the message when it outlives its batch */
	struct stw_hop reply;       /* where responses go */
	struct lookup reply_lookup; /* RFC 3263 §5: where else, when that fails */
	struct stw_place *reply_places;
	unsigned reply_count, reply_next;
	bool reply_is_name; /* maddr is a name: nothing can be sent before it was found */
	bool reply_moved;   /* reply.remote is one of the places */
	bool reply_gone;    /* nobody is where it came from any more */
	bool reply_asks;    /* reply_lookup is under way */
	struct refusal refusal;
	struct box *replying_next, **replying_link; /* `reply.flow` was opened for a response */
	struct box *asked_next, **asked_link; /* by the flow it came by, until its final response */
	struct leave *leave;                  /* … for which the end of that flow waits */
	struct stw_block *response;           /* last response, kept for its retransmission */
	struct stw_str response_text;
	struct stw_response_context *context;
	struct stw_client *client; /* a request of our own, which has no context; else NULL */
	struct uas *uas;           /* answered here, see uas.c; else NULL */
	struct stw_str to_tag;     /* of our responses; empty: derived from the request */
	struct service *service;   /* NULL: a plain call */
	struct branch *branches;
	struct stw_timer no_answer, expires; /* and for a non-INVITE: of all, of a level */
	struct stw_timer *unheard;           /* NULL: each response has found its way so far */
	uint32_t ring_timeout_ms;
	uint32_t session_s;                 /* stw_request_session() */
	const struct stw_cause *lost_cause; /* why the last branch found no place */
	const char *lost_key;               /* and which name or realm it was */
	struct stw_str lost_name;
	bool alive;    /* has state: freed by stw_stack_end(), not after its event */
	bool waiting;  /* the core will answer */
	bool held;     /* stw_request_hold() */
	bool tried;    /* 100 was sent */
	bool running;  /* forward_run() is at work */
	bool dirty;    /* may be dead or settled: look at the end of the batch */
	bool finished; /* the context wants nothing more */
	bool routed;   /* request.routing is filled, or routing_error says why not */
	int routing_error;
	struct box *dirty_next;
};

/* What the `user` of a transaction is. */
enum user_kind {
	USER_REQUEST, /* server: a struct box, client: a struct branch */
	USER_REMAINS,
	USER_ACK, /* client: a block with the ACK for its refusal, or NULL */
};

/* From one worker to another; it lies in `block`, before what it carries. */
enum parcel_kind {
	PARCEL_MESSAGE, /* hop, msg: parsed; its Call-ID belongs to the worker that gets it */
	PARCEL_SEND,    /* hop, bytes: to leave on a flow of the worker that gets them */
	PARCEL_OPENED,  /* hop.flow of the sender of this has opened */
	PARCEL_CLOSED,  /* hop.flow of the sender of this is no more */
	PARCEL_LEAVES,  /* hop.flow of the sender of this is to be closed; goes back behind the
			   answers */
	PARCEL_LEFT,    /* that way back */
	PARCEL_FAILED,  /* hop, error: ICMP refused a datagram, nobody knows whose */
	PARCEL_OUTAGE,  /* hop: this place has failed for `for_ms`; 0: it has answered */
	PARCEL_ACCOUNT, /* hop.remote: the account of the name `bytes` was used there */
};

struct parcel {
	struct parcel *next;
	struct stw_block *block;
	enum parcel_kind kind;
	uint16_t from;
	struct stw_hop hop;
	struct stw_msg *msg;
	struct stw_str bytes;
	uint16_t port; /* SEND: of a response, where it goes when the flow is gone; else 0 */
	bool opens;    /* SEND: the flow was opening, its sender waits for a word */
	int error;
	uint32_t for_ms;
	bool answered;      /* ACCOUNT: its server did, there; else its name leads there */
	uint64_t handed_ms; /* when it was handed over … */
	struct stw_overload_arrival arrival; /* … and how it had come there */
};

/* Parcels for which a ring had no room. */
struct outbox {
	struct parcel *first, *last;
	unsigned count;
};

/* Sources of a flood that are told apart, by a hash, to give each a record now and then. */
#define SHED_SOURCES 64
#define SHED_ANSWERS 32
/* INVITEs of dialogs that were refused without state. They are of use for a round trip: a newer one
 * may take the place of an older one, whose ACK is forwarded then. */
#define REFUSED_MAX 2048

/* What stack_sent_by() has written last: most requests leave as the one before. */
struct sent_by {
	int listener;
	struct stw_addr local;
	struct stw_str text; /* empty: none yet */
	char buffer[300];
};

struct stw_stack {
	struct stw_stack_options options;
	struct sent_by sent_by;
	struct stw_proxy_options proxy_foreign; /* the same without recursion */
	struct stw_now now;
	struct stw_wheel wheel;
	struct stw_random random;
	struct stw_flows *flows;
	struct stw_tx_layer *transactions;
	struct stw_account *accounts;
	struct box *live;                    /* requests with state */
	struct branch *on_datagrams;         /* that run, … */
	struct branch *on_flows[FLOW_LISTS]; /* … by the slot of their flow */
	struct box *asked_on[FLOW_LISTS];    /* requests that wait for a final response, likewise */
	struct leave *leaves;
	struct box *replying; /* those whose response waits for a connection */
	struct box *dirty;
	struct stw_table answers; /* requests that wait for ACK or PRACK, see uas.c */
	struct stw_table early;   /* early dialogs of our own, see service.c */
	struct retired *retired;
	struct stw_arena scratch; /* of the batch */
	struct stw_msg *msg;      /* the message in hand: own_msg, or one that was handed over */
	struct stw_block *handed; /* that holds it then */
	struct stw_msg own_msg;   /* as parsed from the bytes of the event */
	bool msg_of_flow;         /* its bytes go with the next frame of its flow */
	struct stw_field fields[STW_MSG_FIELDS_MAX];
	struct stw_locate_options locate;
	struct stw_dns_cache *names;
	struct stw_outages *outages;
	struct stw_overload overload;
	struct stw_restraint *restraint;           /* NULL: next hops are not obeyed */
	struct stw_overload_arrival arrival;       /* of the message in hand */
	bool admitted;                             /* the message in hand, by shed.c */
	struct stw_str shed_answers[SHED_ANSWERS]; /* in the scratch memory, for one connection */
	unsigned shed_count;
	struct stw_hop shed_hop;
	struct stw_msg shed_msg;             /* what it has found out of one */
	uint32_t shed_noted[SHED_SOURCES];   /* by source: the second of its last note */
	uint64_t refused[REFUSED_MAX];       /* reply_refused(), by a hash of the request */
	uint64_t rooms_due_ms;               /* when the queues are looked at again */
	uint32_t rooms[STW_OVERLOAD_QUEUES]; /* what the kernel was told last */
	struct stw_stack_stats stats;
	unsigned live_count;
	size_t large_bytes;     /* blocks and arenas of requests, see stack_room_used() */
	unsigned reply_lookups; /* names in Vias that are asked for */
	unsigned ack_lookups;   /* ACKs that wait for a name */
	int64_t failure_steps; /* requests and branches that ICMP may still make us look at; stack.c
				*/
	uint64_t failure_ms;
	/* other workers */
	struct stw_overload_queue *queues_elsewhere; /* STW_OVERLOAD_QUEUES of each worker */
	size_t room_elsewhere; /* stack_room_used() of the others, as the batch began */
	struct parcel *taken;  /* of this batch: what they carry may still wait to be sent */
	uint64_t handed_to;    /* in this batch, a bit for each worker */
	unsigned outbox_count;
	bool holds; /* no stream is read while something waits in an outbox */
	struct outbox outboxes[STW_WORKERS_MAX];
};

static inline struct box *box_of(struct stw_request *request)
{
	return STW_CONTAINER_OF(request, struct box, request);
}

/* Each request has a block and an arena of usual size, which go with its transactions. What is
 * large, and was made by a peer that sends much, counts as more of them. */
static inline size_t stack_room_used(const struct stw_stack *stack)
{
	return stw_tx_count(stack->transactions) +
	       (stack->large_bytes + stw_tx_large_bytes(stack->transactions)) / ROOM_BYTES;
}

/* stack.c */
void stack_note(struct stw_stack *stack, struct stw_note *note);
void stack_drop(struct stw_stack *stack, const struct stw_hop *hop, const struct stw_msg *msg,
	const struct stw_cause *cause);
void stack_dirty(struct box *box);
int stack_retire(struct stw_stack *stack, struct stw_block *block);
void stack_close_flow(struct stw_stack *stack, struct stw_flow_id flow);
void stack_left_flow(struct stw_stack *stack, struct stw_flow_id flow);
bool stack_affords_failure(struct stw_stack *stack);
void stack_send_failed(struct stw_stack *stack, const struct stw_io_event *event);

/* receive.c */
bool stack_receive(
	struct stw_stack *stack, const struct stw_hop *hop, const char *data, size_t len);
void stack_receive_own(struct stw_stack *stack, const struct stw_hop *hop);
void stack_receive_new(struct stw_stack *stack, const struct stw_hop *hop);
void stack_receive_broken(struct stw_stack *stack, const struct stw_hop *hop, const char *data,
	size_t len, const struct stw_cause *cause);

/* workers.c: what the stacks share */
struct stw_ring *workers_ring(const struct stw_workers *workers, unsigned from, unsigned to);
unsigned workers_owner(const struct stw_workers *workers, const struct stw_msg *msg);
/* How much of the room for transactions a worker uses, and the others use. */
void workers_tell_room(struct stw_workers *workers, unsigned worker, size_t used);
size_t workers_room(const struct stw_workers *workers, unsigned but);
struct stw_flow_registry *workers_registry(const struct stw_workers *workers);
/* Wake those of the set that sleep. */
void workers_call(struct stw_workers *workers, uint64_t pushed_to);

/* leave.c: the end of a flow waits for answers */
void asked_begin(struct box *box);
void asked_end(struct box *box);
bool leave_begin(struct stw_stack *stack, struct stw_flow_id flow, struct parcel *parcel);
void leave_timer(struct leave *leave);
void leaves_free(struct stw_stack *stack);

/* hand.c: to and from other workers */
void parcel_free(struct parcel *parcel);
void parcel_left(struct stw_stack *stack, struct parcel *parcel);
/* Does the message in hand belong to another worker? */
bool stack_is_elsewhere(const struct stw_stack *stack, unsigned *ret_owner);
int stack_hand_message(struct stw_stack *stack, unsigned owner, const struct stw_hop *hop);
int stack_hand_bytes(struct stw_stack *stack, const struct stw_hop *hop, uint16_t port,
	struct stw_slices slices);
void stack_tell_opened(struct stw_stack *stack, struct stw_flow_id flow);
void stack_tell_closed(struct stw_stack *stack, struct stw_flow_id flow, uint64_t users);
bool stack_tell_leaves(struct stw_stack *stack, struct stw_flow_id flow, uint64_t handed);
unsigned stack_tell_failed(struct stw_stack *stack, const struct stw_io_event *event);
void stack_tell_outage(struct stw_stack *stack, const struct stw_place *place, uint32_t for_ms);
void stack_tell_account(
	struct stw_stack *stack, struct stw_str name, const struct stw_addr *addr, bool answered);
void stack_hand_end(struct stw_stack *stack);
void stack_hand_free(struct stw_stack *stack);
/* admit.c: row F12. NULL, or why the request is refused (code 0: dropped), all of it in `ret`;
 * `buffer` holds its text. */
#define ADMIT_BYTES 128
/* shed.c: a flood is refused before it is read. @return true: that was it */
bool stack_shed(struct stw_stack *stack, const struct stw_hop *hop, const char *data, size_t len);
/* One more of this source, where sources are limited. @return why it is too much, or NULL */
const struct stw_cause *shed_source(struct stw_stack *stack, const struct stw_addr *source);
/* What was answered on a connection goes out, before what came by it is forgotten. */
void stack_shed_flush(struct stw_stack *stack);

/* admit.c */
/* How what the event brings has come. */
struct stw_overload_arrival stack_arrival(
	const struct stw_stack *stack, const struct stw_io_event *event);
bool source_limited(const struct stw_stack *stack, const struct stw_addr *addr);
const struct stw_cause *admit_request(
	struct box *box, struct stw_refusal *ret, char buffer[ADMIT_BYTES]);

/* send.c: out of the house */
int stack_send(struct stw_stack *stack, struct stw_hop *hop, struct stw_slices slices);
/* A response, with the port it goes to where another worker finds that the flow has ended. */
int stack_send_response(
	struct stw_stack *stack, struct stw_hop *hop, uint16_t port, struct stw_slices slices);
int stack_choose_listener(
	struct stw_stack *stack, const struct stw_hop *source, struct stw_hop *hop);
struct stw_str stack_sent_by(
	struct stw_stack *stack, const struct stw_hop *hop, char *buffer, size_t size);

/* reply.c: responses to a request in hand */
void reply_own(struct box *box, const struct stw_refusal *refusal, unsigned code);
void reply_relay(struct box *box, const struct stw_msg *response, struct stw_str lines,
	const struct stw_cause *cause);
/* Its two halves: the text, in the scratch memory, and what sends it. */
int reply_write_own(struct box *box, const struct stw_refusal *refusal, unsigned code, bool dialog,
	struct stw_str *ret);
void reply_give_own(
	struct box *box, const struct stw_refusal *refusal, unsigned code, struct stw_str text);
void reply_trying(struct box *box);
void reply_early_end(struct box *box, struct stw_str tag, unsigned code);
void reply_tx_actions(struct stw_tx *tx, unsigned actions);
/* To where responses go; the transaction hears of it only when that fails. */
uint16_t reply_port(const struct box *box);
/* Over the flow of the request, or when that is gone a new one to sent-by, which has `port`
 * (§18.2.2), which is `ret_flow`. @return 0, -errno */
int reply_send(struct stw_stack *stack, const struct stw_hop *reply, uint16_t port,
	struct stw_slices slices, struct stw_flow_id *ret_flow);
void reply_transmit(struct box *box, struct stw_slices slices);
void reply_again(struct box *box);
int reply_settle(struct stw_stack *stack, struct stw_slices *slices);
/** The INVITE has got another final response: a 2xx that comes behind it must still go up (RFC 3261
 * §16.7 step 5), but past the transaction, which has no use for it (step 9). */
static inline bool reply_is_refused(const struct stw_tx *tx)
{
	return tx->method == STW_METHOD_INVITE && tx->final_sent && tx->last_code / 100 != 2;
}
#define REPLY_TAG "stw" /* what it begins with */
struct stw_str reply_tag(struct stw_stack *stack, const struct stw_msg *request, char buffer[24]);
/** Is this the ACK of a refusal that was sent without state in a dialog, not long ago? */
bool reply_refused(struct stw_stack *stack, const struct stw_msg *ack);
int box_keep(struct box *box);
void box_make_alive(struct box *box);

/* client.c: requests of our own */
/* The URI that decides where it goes, §8.1.2: the first Route, an outbound proxy, or the
 * Request-URI, which makes each of them sips when it is. @return 0; as stw_uri_parse() */
int client_next_hop(const struct box *box, struct stw_uri *ret);
/* What the job prefers comes first. */
void client_prefer(const struct box *box, struct stw_place *places, unsigned n);
int client_build(struct branch *branch, struct stw_str via);
void client_response(struct box *box, const struct stw_msg *response);
void client_failed(struct box *box, const struct stw_cause *cause);
void client_done(struct box *box);

/* uas.c: requests that are answered here */
struct contact {
	struct stw_str user, uri_params, params;
};
/* A whole line that names the place of `hop` where we are. */
int contact_write(struct stw_stack *stack, const struct stw_hop *hop, const struct contact *contact,
	struct stw_arena *arena, struct stw_str *ret);
bool uas_receive(struct box *box);
/** Is this the ACK of a 2xx of ours that was not acknowledged yet? By its To tag. */
bool uas_awaits(struct stw_stack *stack, const struct stw_msg *ack, struct stw_str local_tag);
bool uas_cancelled(struct box *box, const struct stw_msg *cancel);
void uas_answered(struct uas *uas);
void uas_timer(struct stw_timer *timer);
void uas_done(struct box *box);

/* branch.c: client side */
int branch_begin_own(struct box *box, const struct stw_proxy_target *target, bool stateless);
void branch_send_again(struct branch *branch);
void branch_start(struct box *box, const struct stw_proxy_action *action);
int branch_start_stateless(struct box *box, const struct stw_proxy_target *target);
void branch_cancel(struct branch *branch, struct stw_str reason_lines);
void branch_unwant_all(struct box *box);
void branch_timer(struct branch *branch, struct stw_timer *timer);
void branch_tx_actions(
	struct branch *branch, struct stw_tx *tx, unsigned actions, const struct stw_msg *msg);
void branch_fail(struct branch *branch, const struct stw_cause *cause);
/* Why it could not be sent where it was to go. */
const struct stw_cause *branch_flow_cause(const struct branch *branch);
void branch_send(struct branch *branch);
struct branch *branch_replace(struct branch *branch);
void branch_next_place(struct branch *branch);
void branch_flow_closed(struct stw_stack *stack, const struct stw_io_event *event);
void branch_heard(struct stw_tx *tx, const struct stw_via *via);
unsigned branch_send_failed(struct stw_stack *stack, const struct stw_io_event *event);
struct branch *branch_free(struct branch *branch);

/* refused.c */
struct stw_str refused_branch(struct stw_str quote);
void refusal_sent(struct refusal *refusal);
bool refusal_is_sure(
	const struct refusal *refusal, struct stw_str branch, const struct stw_io_event *event);

/* account.c: challenges of servers where we have an account */
void branch_find_account(struct branch *branch);
void branch_teach_account(struct branch *branch);
int branch_sign(struct branch *branch);
/* True: that was it, the response goes no further. */
bool branch_challenged(struct branch *branch, const struct stw_msg *response);
void branch_merged_over(struct branch *branch);
void accounts_free(struct stw_stack *stack);
void account_told(
	struct stw_stack *stack, struct stw_str name, const struct stw_addr *addr, bool answered);

/* reply_place.c: where else a response goes (RFC 3263 §5) */
void reply_takes(struct box *box, struct stw_flow_id flow);
bool reply_is_on_its_way(const struct box *box);
void reply_flow_opened(struct stw_stack *stack, struct stw_flow_id flow);
bool reply_try_elsewhere(struct box *box, bool gone);
void reply_failed(struct box *box);
void reply_unheard(struct box *box);
void reply_find_maddr(struct box *box);
void reply_flow_closed(struct stw_stack *stack, struct stw_flow_id flow);
unsigned reply_send_failed(struct stw_stack *stack, const struct stw_io_event *event);
void reply_place_end(struct box *box);

/* remains.c: requests about which all has been said */
int ack_keep(struct stw_stack *stack, const struct stw_hop *hop, struct stw_str text,
	struct stw_block **ret);
void ack_send(struct stw_block *ack, const struct stw_msg *response);
/* Accepts NULL. */
void ack_free(struct stw_block *ack);
bool box_settle(struct box *box);
void remains_tx_actions(struct stw_tx *tx, unsigned actions, const struct stw_msg *msg);
/** The session interval that its 2xx gets here; 0: none. */
uint32_t remains_session(const struct stw_tx *tx);
struct remains;
/** stw_response_fits() with what is left of the request. */
bool remains_fits(const struct remains *remains, const struct stw_msg *response);
void remains_tx_done(struct stw_tx *tx);

/* locate.c: where a branch goes */
void branch_locate(struct branch *branch);
/* NULL, or why it may not go there. */
const struct stw_cause *branch_barred(
	struct branch *branch, const struct stw_uri *uri, const struct stw_hop *hop);
int lookup_begin(struct lookup *lookup, struct stw_arena *arena);
void lookup_end(struct lookup *lookup);
void lookup_expire(struct lookup *lookup);
void branch_place_failed(struct branch *branch, uint32_t for_ms);
void branch_place_answered(struct branch *branch);
/* Where somebody says that he is: is it a place that the core guards, where he is not? For
 * stw_proxy_bar. */
struct place_check {
	const struct stw_request *request;
	bool caller;                 /* who sent the request says it */
	const struct branch *branch; /* who answered on it says it */
	bool there;                  /* he is */
};
bool place_is_barred(void *user, const struct stw_uri *place);
/* The core, or the dialog, has let the request go to what the core guards, and not to a phone. */
bool branch_is_there(const struct branch *branch);
void stack_resolved(struct stw_stack *stack, const struct stw_io_event *event);

/* service.c: requests that ask what comes next */
int service_open(struct box *box, const struct stw_proxy_job *job);
void service_next(struct box *box, const struct stw_proxy_action *action);
/* The final response is out, or none will come (code 0). */
void service_ended(struct box *box, unsigned code, const struct stw_msg *response);
void service_expire(struct box *box);

/* forward.c: the context's actions */
void forward_response(struct box *box, unsigned index, const struct stw_msg *response);
void forward_run(struct box *box);
void request_end_held(struct box *box, const struct stw_cause *cause);
void forward_cancel(struct box *box, const struct stw_msg *cancel);
void forward_unheard(struct box *box);
void forward_timer(struct box *box, struct stw_timer *timer);
void forward_stop_no_answer(struct box *box);

#endif
