/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * stack: the seam that joins the layers. Bytes and the time go in; the layers run; their actions
 * are performed through stw_io_ops; requests that belong to no transaction go up to the core of the
 * server.
 *
 * One thread owns one stack. A batch is: stw_stack_begin(), events and timers, (io flush),
 * stw_stack_end().
 */
#ifndef STROWGER_STACK_H
#define STROWGER_STACK_H

#include <strowger/auth.h>
#include <strowger/dns.h>
#include <strowger/overload.h>
#include <strowger/proxy.h>
#include <strowger/registrar.h>
#include <strowger/transaction.h>
#include <strowger/transport.h>

struct stw_stack;
struct stw_request;

/** The methods that the server itself serves (§20.5), for Allow. */
#define STW_STACK_ALLOW "ACK, CANCEL, OPTIONS, REGISTER"

/* ---- refusals and notes: every answer has a cause -------------------------------------- */

#define STW_FACTS_MAX 4

/** One key=value beside a cause: "user=bob", "limit=10". */
struct stw_fact {
	const char *key;
	struct stw_str value;
};

/** Why a request is refused, and what decided. Text lives until the request is answered. */
struct stw_refusal {
	const struct stw_cause *cause;
	struct stw_str phrase;  /* empty: that of the cause */
	struct stw_str headers; /* lines the response carries: challenges, Allow, Unsupported */
	struct stw_str content_type, body; /* empty: none */
	const char *option;                /* configuration option that decided, NULL: none */
	struct stw_fact facts[STW_FACTS_MAX];
	unsigned fact_count;
};

/** More than STW_FACTS_MAX are left out. `value` must live as the refusal does. */
void stw_refusal_fact(struct stw_refusal *refusal, const char *key, struct stw_str value);
/** Text that it borrows moves to the arena. @return 0; -ENOMEM: it is of the cause out-of-memory
 * now */
int stw_refusal_keep(struct stw_refusal *refusal, struct stw_arena *arena);

enum stw_note_kind {
	STW_NOTE_REQUEST_IN,  /* a request arrived (not a retransmission) */
	STW_NOTE_REQUEST_OUT, /* a request was sent: forwarded, ACK or CANCEL */
	STW_NOTE_RESPONSE_IN,
	STW_NOTE_RESPONSE_OUT,   /* relayed (cause NULL or why chosen) or our own (cause set) */
	STW_NOTE_TIMEOUT,        /* a transaction ended without an answer; cause */
	STW_NOTE_FAILURE,        /* could not be sent; cause */
	STW_NOTE_DROPPED,        /* dropped without an answer; cause */
	STW_NOTE_RETRANSMISSION, /* absorbed */
	STW_NOTE_DECISION,       /* where the request goes now, and why: cause, facts */
};

/** Something that happened, for the decision record and the counters. Borrowed: valid during the
 * call. */
struct stw_note {
	enum stw_note_kind kind;
	struct stw_now now;
	const struct stw_hop *hop; /* the peer; may be NULL */
	const struct stw_msg *msg; /* the message that names the call; may be NULL for DROPPED */
	const struct stw_msg *request; /* RESPONSE_IN: as it came in, what was forwarded and is
					  answered now; NULL: not kept so long */
	enum stw_method method;
	struct stw_str method_name;
	unsigned code; /* responses */
	struct stw_str phrase;
	const struct stw_cause *cause;
	const struct stw_refusal *refusal; /* facts and option of an own response; may be NULL */
	bool relayed;                      /* RESPONSE_OUT: passed on, not made by us */
	bool in_dialog;  /* REQUEST_OUT, RESPONSE_OUT: see struct stw_proxy_routing */
	bool routed;     /* REQUEST_OUT: a Route of others says where it goes */
	uint64_t dialog; /* RESPONSE_OUT: likewise */
	const struct stw_proxy_refresh *refresh; /* RESPONSE_IN: NULL: it is none */
	struct stw_str uri;                      /* REQUEST_OUT: Request-URI of the branch */
	bool misfit;        /* RESPONSE_IN: !stw_response_fits(): it counts as 502 */
	uint32_t session_s; /* RESPONSE_IN: the session interval that this 2xx gets here; 0: none */
	const struct stw_proxy_target
		*target; /* of the branch that it is about (REQUEST_OUT, RESPONSE_IN, TIMEOUT,
			    FAILURE); NULL: none, or it is over */
};

/* ---- several workers --------------------------------------------------------------------- */

#define STW_WORKERS_MAX 64

/**
 * What the stacks of several threads share. A message is parsed where it arrives; when the hash of
 * its Call-ID names another worker it is handed over once, and all that belongs to one call is done
 * by one stack. A connection belongs to the worker that has accepted or opened it.
 */
struct stw_workers;

/** A zero takes the default in brackets. */
struct stw_workers_options {
	unsigned n;              /* 1 to STW_WORKERS_MAX */
	struct stw_hash_key key; /* which worker has which Call-ID */
	unsigned max_flows;      /* of all workers together */
	unsigned flow_slots;     /* slots in the names of a worker's flows are below (max_flows) */
	size_t ring_places;      /* of each ring, a power of two (4096; less when n is large) */
	void (*wake)(void *context, unsigned worker); /* the worker sleeps and has something to do;
							 any worker's thread. May be NULL */
	void *wake_context;
};

/** @return 0; -ENOMEM; -EINVAL */
int stw_workers_new(const struct stw_workers_options *options, struct stw_workers **ret);
unsigned stw_workers_count(const struct stw_workers *workers);
/** The worker that all requests with this Call-ID belong to. Responses go where their branch says.
 */
unsigned stw_workers_owner(const struct stw_workers *workers, struct stw_str call_id);
/** Before `worker` sleeps: true, who has something for it will wake it; false, something waits. */
bool stw_workers_rest(struct stw_workers *workers, unsigned worker);
/** After the sleep: it looks by itself. */
void stw_workers_rise(struct stw_workers *workers, unsigned worker);
/** Any thread: nothing lies in the rings between them, as of now. */
bool stw_workers_quiet(const struct stw_workers *workers);
/** After all stacks. What was under way is forgotten. Accepts NULL; returns NULL. */
struct stw_workers *stw_workers_free(struct stw_workers *workers);

/* ---- what the server above provides ------------------------------------------------------- */

/** What has come of a group of targets. Valid during the call. */
struct stw_outcome {
	unsigned code;                  /* that would go upstream; 0: none */
	const struct stw_cause *cause;  /* why the stack would give it; NULL: a phone said it */
	const struct stw_msg *response; /* of the phone; may be NULL */
	bool expired;                   /* ring_timeout_ms of all `together` was over */
	bool rang;                      /* a phone of the group has sent a 18x */
};

/** What the stack asks of its user. All are called in the thread of the stack, during an event. */
struct stw_core_ops {
	/** A request has arrived and is about to be noted: time to ask for memory that will be
	 * read. May be NULL. */
	void (*expect)(void *core, struct stw_msg *request);
	/** A request that passed the common front and matches no transaction (ACK for a 2xx, which
	 * is never answered, and a CANCEL of nothing included). The core answers, waits or
	 * forwards. */
	void (*request)(void *core, struct stw_request *request);
	/** Row F12: NULL, or why new work is refused now (maintenance), with whole header lines
	 * (Retry-After) that outlive the call. Not asked about what belongs to running calls
	 * (RFC 7339 §5.10.1). May be NULL. */
	const struct stw_cause *(*admit)(
		void *core, const struct stw_msg *request, struct stw_str *ret_headers);
	/** A forwarded request that asks (stw_proxy_job): all that was tried has failed. Answered
	 * with stw_request_more() or stw_request_settle(), now or later. */
	void (*next)(void *core, struct stw_request *request, const struct stw_outcome *outcome);
	/** A forwarded request that asks (stw_proxy_job) has its final response `code`; `response`:
	 * of the phone, NULL: made here; `target`: which one that was, NULL: not known. 0: it ends
	 * without one. Once. May be NULL. */
	void (*ended)(void *core, struct stw_request *request, unsigned code,
		const struct stw_msg *response, const struct stw_proxy_target *target);
	/** A forwarded request outside a dialog is about to go to `uri` (of the first Route, if
	 * there is one), or to `addr` that a name has led to; one of them is NULL. Not asked for
	 * targets that are granted. @return NULL, or why it may not. May be NULL. */
	const struct stw_cause *(*guard)(void *core, const struct stw_request *request,
		const struct stw_uri *uri, const struct stw_hop *hop);
	/** Is this an emergency call? Then row F12 lets it pass. May be NULL: urn:service:sos. */
	bool (*emergency)(void *core, const struct stw_msg *request);
	/** A request that waited ends (all its transactions are over); forget `request->user`. May
	 * be NULL. */
	void (*done)(void *core, struct stw_request *request);
	/** For the decision record. May be NULL. */
	void (*note)(void *core, const struct stw_note *note);
};

/** How names are looked up, RFC 3263. */
struct stw_stack_dns {
	unsigned max_places, max_srv, max_questions; /* of one request, see locate.h */
	uint32_t time_ms;                            /* for all questions of one request */
	uint32_t naptr_ms;  /* then SRV is asked without the NAPTR; 0: not before time_ms */
	uint32_t failed_ms; /* an address that failed comes last for so long */
	bool loopback;      /* see locate.h */
	struct stw_dns_limits cache;
};
/** 8 addresses, 8 SRV records, 16 questions, 8 s, 2 s, 60 s, 10,000 names, 4 MiB. */
extern const struct stw_stack_dns stw_stack_dns_default;

/** Copied; what it points to must outlive the stack. */
struct stw_stack_options {
	const struct stw_io_ops *io;
	void *io_user;
	const struct stw_core_ops *core;
	void *core_user;
	const struct stw_listeners *listeners; /* must outlive the stack */
	struct stw_addr local_addrs[16];       /* of this machine, for wildcard listeners */
	unsigned local_addr_count;
	struct stw_hash_key key; /* tags, loop detection, Record-Route marks */
	uint64_t seed;
	struct stw_workers
		*workers; /* NULL: this stack is the only one. Equal key in all of them */
	uint16_t worker;  /* which one it is, as in the names of its flows */
	struct stw_flow_limits flows; /* registry and worker are filled by the stack */
	uint32_t max_transactions;    /* a large request counts as more of them */
	bool udp_oversize_tcp;
	struct stw_stack_dns dns; /* max_places 0: the default */
	struct stw_overload_options overload;
	uint32_t retry_after_s; /* Retry-After of a refusal: 1 to this, at random */
	const struct stw_str
		*urgent_users; /* of Request-URIs: emergency numbers; outlive the stack */
	unsigned urgent_user_count;
	bool restrain; /* put `oc` into requests to other servers and obey (RFC 7339) */
	struct stw_sources *sources; /* shared by the stacks; NULL: no limits for each source */
	struct stw_source_limits source_limits;
	const struct stw_network *exempt; /* never limited as a source; outlives the stack */
	unsigned exempt_count;
	struct stw_proxy_options
		proxy; /* listeners, key, worker and large_bytes are filled by the stack */
};

/** @return 0, -ENOMEM */
int stw_stack_new(
	const struct stw_stack_options *options, struct stw_now now, struct stw_stack **ret);
/** Live options: message limits, proxy options. Takes effect with the next message. */
void stw_stack_reconfigure(struct stw_stack *stack, const struct stw_stack_options *options);
/** A batch begins: `now` is the time of all that happens in it. */
void stw_stack_begin(struct stw_stack *stack, struct stw_now now);
/** Data of the event need not outlive the call; what is sent is sent at the flush. */
void stw_stack_event(struct stw_stack *stack, const struct stw_io_event *event);
/** What other workers have handed over, a bounded number at a time. */
void stw_stack_handed(struct stw_stack *stack);
/** Run the timers that are due. */
void stw_stack_timers(struct stw_stack *stack);
/** Reap what has ended; forget the scratch memory of the batch. */
void stw_stack_end(struct stw_stack *stack);
/** The server ends: forwarded requests without a final response are answered with `cause` (503)
 * and their branches cancelled. Within a batch; what the peers still say is handled as ever. */
void stw_stack_stop(struct stw_stack *stack, const struct stw_cause *cause);
/** When the next timer is due (monotonic ms), UINT64_MAX: none. */
uint64_t stw_stack_next(const struct stw_stack *stack);

/**
 * Who this server is at another one, by user name and password. A target with an account
 * (stw_proxy_target) has its 401 and 407 answered here, once, by a further branch with credentials;
 * what it asked last is kept, so that later requests have them at once. Requests in a dialog that
 * go to an address where the account was used are answered for, too. The CSeq stays the caller's
 * (docs/decisions/0017). Without a user it answers nobody and only knows where its names lead to.
 */
struct stw_account_options {
	struct stw_str name, user, password;
	struct stw_str realm; /* the only one that is answered; empty: any */
};
/** The account of this name, made when there is none; it gets another login when that has changed.
 * Lives as long as the stack. @return 0, -ENOMEM */
int stw_stack_account(struct stw_stack *stack, const struct stw_account_options *options,
	struct stw_account **ret);
/** NULL: there is none of this name. */
const struct stw_account *stw_stack_account_find(
	const struct stw_stack *stack, struct stw_str name);
/** Its server has other names now: what the old ones led to, and who answered there, is nobody. */
void stw_stack_account_moved(struct stw_stack *stack, struct stw_str name);
/** Has a name of it led there within the last hour? */
bool stw_account_leads_to(
	const struct stw_account *account, const struct stw_addr *addr, struct stw_now now);
/** Has its server answered there to who has a login? @param any_port  … or at another port there */
bool stw_account_answered_at(
	const struct stw_account *account, const struct stw_addr *addr, bool any_port);

/** Counters since the start; the last line are numbers of now. */
struct stw_stack_stats {
	uint64_t requests_in, requests_out, responses_in, responses_out;
	uint64_t retransmissions, dropped, faults, stateless;
	uint64_t handed_in, handed_out,
		handed_lost; /* messages of other workers; no room for them */
	uint64_t overload_refused, overload_dropped; /* because they had waited too long */
	uint64_t unrecorded; /* refused or dropped in a flood without a note, and the ACKs of such
				refusals: one of each source a second has one */
	uint64_t source_refused, source_dropped; /* because of the limit of their source */
	uint64_t room_refused;                   /* because there were `max_transactions` */
	uint64_t restrained;                     /* kept back from a next hop that is overloaded */
	size_t transactions, requests, flows, timers;
	size_t handing;         /* what waits here until another worker has room for it */
	size_t large_bytes;     /* of requests: what is beyond the room that each transaction has */
	size_t room_used;       /* of `max_transactions`: they, and one for each KiB of that */
	bool overloaded;        /* requests were refused in the last one and a half seconds */
	unsigned overload_loss; /* percent asked of upstream servers */
	unsigned restraint_next_hops; /* that ask us to keep requests back */
};
void stw_stack_stats(struct stw_stack *stack, struct stw_stack_stats *ret);
/** Datagrams that the kernel has lost before they were read, because no room was left or too many
 * waited. Asks for it. */
uint64_t stw_stack_lost(const struct stw_stack *stack);
/** Ends all without a message to anybody. Accepts NULL; returns NULL. */
struct stw_stack *stw_stack_free(struct stw_stack *stack);

/* ---- a request in hand ----------------------------------------------------------------------- */

/** A request on its way through the server. Members are read by the core; it may change only
 * `user`.
 */
struct stw_request {
	struct stw_stack *stack;
	struct stw_msg *msg;   /* borrowed from the batch until kept */
	struct stw_hop source; /* where it came from: never taken from the message */
	struct stw_via_stamp stamp;
	struct stw_arena arena;           /* text that lives as long as the request */
	struct stw_proxy_routing routing; /* filled by stw_request_preprocess() */
	struct stw_tx *tx;                /* server transaction, NULL: stateless so far */
	void *user;                       /* the core's */
	uint32_t consumed; /* where in the message the credentials are that end here; 0: none */
	bool answered;     /* a final response was given */
};

/** The generator of the stack. */
struct stw_random *stw_request_random(struct stw_request *request);
/** Rows P2–P5. NULL: pass; else the refusal's cause with its header lines in `ret`. */
const struct stw_cause *stw_request_validate(struct stw_request *request, struct stw_refusal *ret);
/** Row P8, fills `routing`. NULL: pass. */
const struct stw_cause *stw_request_preprocess(struct stw_request *request);
/** The proxy credentials for this realm are for us (§22.3), and are not shown to who comes next. */
void stw_request_consume(struct stw_request *request, struct stw_str realm);

/** Answer with the refusal's cause. Stateless when the request has no transaction (a challenge, a
 * fault); ACK is never answered: it is dropped with the cause noted. */
void stw_request_refuse(struct stw_request *request, const struct stw_refusal *refusal);

/** A response that is no refusal: 200 to REGISTER, OPTIONS … `headers` are whole lines. */
void stw_request_respond(struct stw_request *request, unsigned code, struct stw_str headers,
	const struct stw_cause *cause);

/** Keep the request and make its server transaction: the core will answer later. @return 0;
 * -ENOMEM; -ENOBUFS */
int stw_request_wait(struct stw_request *request);
/** The same for a while that a person notices: an INVITE gets its 100, and a CANCEL ends it with
 * 487, without a word to the core: `answered` says so. In each case the core comes back, with an
 * answer or with stw_request_leave(). @return as stw_request_wait() */
int stw_request_hold(struct stw_request *request);
/** What was held has been answered meanwhile: the core needs it no more. */
void stw_request_leave(struct stw_request *request);

/** What the core has decided about a request that is to be forwarded. */
struct stw_proxy_job {
	const struct stw_proxy_target
		*targets; /* copied; n 0: by Route or Request-URI as they are */
	unsigned n;
	uint32_t ring_timeout_ms; /* 0: none; INVITE only */
	bool asks;                /* what comes when all has failed is asked: next() */
	bool asks_6xx;            /* of stw_request_proxy(), with `asks`: also behind a 6xx */
	bool together; /* with `asks`: ring_timeout_ms is for all targets together, and nothing is
			  waited for behind it */
	bool hold;     /* with `asks`: nothing is tried yet, stw_request_more() will come */
	bool fresh;    /* of stw_request_more(): what was said so far counts no more */
	struct stw_str diversion, history; /* header lines for the branches; must live as the
					      request does */
	const struct stw_str *without;     /* names of header fields that do not go on; likewise */
	unsigned without_count;
	bool no_recurse; /* a 3xx is passed on, whatever the options say */
};
/** P14: make the server transaction, send 100 to an INVITE, open branches. Answers by itself from
 * here on. */
void stw_request_proxy(struct stw_request *request, const struct stw_proxy_job *job);
/** From next(), or after stw_request_proxy() with `hold`: these targets now. Nothing happens when
 * the call is over. */
void stw_request_more(struct stw_request *request, const struct stw_proxy_job *job);
/** The other answer: the best response goes up, or `refusal` in its place. What rings is ended. */
void stw_request_settle(struct stw_request *request, const struct stw_refusal *refusal);
/** Do more() and expire() have an effect, or is the call over: cancelled by the caller, answered,
 * or about to be? */
bool stw_request_goes_on(struct stw_request *request);
/** What rings is given up, as if ring_timeout_ms with `together` were over: next() comes. */
void stw_request_expire(struct stw_request *request);
/** A provisional response of our own to an INVITE that was given to stw_request_proxy() (181, 182):
 * an early dialog of its own, with Contact and Record-Route. When the INVITE requires 100rel it is
 * a reliable one, whose PRACK is answered here; left out without an offer (RFC 3262 §5: it would
 * have to bring one), while the one before waits for its PRACK, and when the INVITE has been
 * answered. @return false: left out */
bool stw_request_progress(struct stw_request *request, const struct stw_refusal *refusal);
/** The INVITE in whose early dialog, of a stw_request_progress(), this request is; NULL: none. */
struct stw_request *stw_request_early(const struct stw_request *request);
/** A BYE in that dialog has been answered (§15): the dialog is over. Where no branch has made
 * another one it ends the INVITE as a CANCEL does. */
void stw_request_hang_up(struct stw_request *invite, const struct stw_msg *bye);
/** What is in all branches it goes on with, and nobody can guess before: stw_proxy_loop_hash(). */
uint64_t stw_request_mark(const struct stw_request *request);
/** The request as it goes on asks for a session of this interval, and its sender knows session
 * timers: a 2xx without Session-Expires, of somebody who does not know them, gets it on its way up
 * with the sender as the refresher (RFC 4028 §8.2). 0: none does. */
void stw_request_session(struct stw_request *request, uint32_t interval_s);
/** Will stw_request_progress() never give this one? */
bool stw_request_progress_barred(const struct stw_request *request);
/** Tell the decision record where the request goes and why. */
void stw_request_note(struct stw_request *request, const struct stw_refusal *refusal);
/** ACK: forward once without state to one target (NULL: by Route or Request-URI). */
void stw_request_forward_stateless(
	struct stw_request *request, const struct stw_proxy_target *target);
/** Drop without an answer; the cause is noted. */
void stw_request_drop(struct stw_request *request, const struct stw_cause *cause);

#define CAUSE(name, id, code, phrase, rfc, meaning, reason, remedy) STW_CAUSE_DECLARE(name);
#include <strowger/causes/stack.def>
#undef CAUSE

#endif
