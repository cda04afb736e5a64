/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * proxy: RFC 3261 §16 as changed by RFC 5393, RFC 4320, RFC 6026. Validation, route preprocessing,
 * forwarding by splices, and the response context that decides what goes upstream. No I/O, no
 * clock: it returns actions, lib/stack performs them.
 */
#ifndef STROWGER_PROXY_H
#define STROWGER_PROXY_H

#include <strowger/transport.h>

/* ---- validate, §16.3: rows P2–P5 -------------------------------------------------- */

/** Policy of the proxy. Borrowed text and lists must outlive their use. */
struct stw_proxy_options {
	const struct stw_listeners *listeners;
	const struct stw_str *domains; /* names that a Route or maddr may give us by, without or
					  with the default port */
	unsigned domain_count;
	struct stw_hash_key
		key;          /* of loop detection and Record-Route marks; equal in all workers */
	uint32_t max_breadth; /* our maximum and what is added when absent (60) */
	bool serial_fallback; /* too many parallel targets are tried in turn instead of 440 */
	bool tel;             /* tel URIs are routed as well */
	bool recurse;         /* follow 3xx for URIs we are responsible for … */
	bool recurse_asked;   /* … when the caller wants that (RFC 3841 §9.1) */
	bool all_busy_600;
	bool priority; /* Resource-Priority is acted upon (RFC 4412) */
	uint32_t max_branches;
	uint32_t timer_c_ms; /* more than 3 minutes, §16.6 step 11 */
	bool marks_worker;   /* branches name the worker, so that their responses find it */
	uint16_t worker;     /* below 64 */
	size_t *large_bytes; /* where response contexts count what they keep; NULL: nowhere */
};

/** Is this the option tag of an extension that proxy, registrar and server understand (RFC 3261
 * §19.2)? `priority`: Resource-Priority is acted upon. */
bool stw_proxy_supports(struct stw_str tag, bool priority);
/** All of them as a line, §20.37; STW_SUPPORTED_BYTES are enough. */
void stw_proxy_write_supported(struct stw_writer *writer, bool priority);
#define STW_SUPPORTED_BYTES 64

/** Rows P2 scheme (416), P3 Max-Forwards (483), P4 loop (482), P5 Proxy-Require (420). NULL: pass.
 *  OPTIONS with Max-Forwards 0 gives stw_cause_options_final: answer 200 as its final recipient.
 *  `ret_headers` gets what the response must carry (Unsupported), whole lines, or is left empty. */
const struct stw_cause *stw_proxy_validate(const struct stw_proxy_options *options,
	const struct stw_msg *request, struct stw_arena *arena, struct stw_str *ret_headers);

/* ---- route preprocessing, §16.4 ------------------------------------------------------ */

/** What §16.4 makes of Request-URI and Route. Borrows from the request; a Request-URI that a maddr
 * of ours was taken out of lies in the arena. */
struct stw_proxy_routing {
	struct stw_str uri_text; /* Request-URI after preprocessing */
	struct stw_uri uri;
	unsigned own_routes;  /* Route values of ours on top that are removed (0, 1 or 2) */
	bool strict_restored; /* the Request-URI was our Record-Route; the last Route value became
				 it */
	bool has_route;       /* Route values remain: the next hop is theirs */
	bool in_dialog;       /* our mark verified: belongs to a dialog that passed through us */
	bool hop_known;       /* … and goes to where that dialog goes */
	bool by_callee;       /* … sent by who did not begin it */
	uint64_t hop;         /* where it goes, hashed for that dialog; 0: unknown */
	/* The dialog, hashed: the same for both sides, and each has proved which one it is. Of
	 * INVITE, UPDATE and BYE, and of what goes elsewhere; 0: unknown. */
	uint64_t dialog;
	bool forged;         /* a mark of ours is there but does not verify */
	struct stw_str flow; /* a URI of ours was used that leads to a phone: stw_proxy_flow() says
				where; empty: none */
	struct stw_str next_route; /* first remaining Route value (its URI decides the next hop) */
};

/** @return 0; -EBADMSG when a Route value or the restored URI is broken (400) */
int stw_proxy_preprocess(const struct stw_proxy_options *options, const struct stw_msg *request,
	struct stw_arena *arena, struct stw_proxy_routing *ret);
/** The request was copied (stw_msg_keep()): borrow from the copy instead. */
void stw_proxy_routing_move(
	struct stw_proxy_routing *routing, const struct stw_msg *from, const struct stw_msg *to);

/** Who says in a Contact where he is may not name every place. */
struct stw_proxy_bar {
	bool (*bars)(void *user, const struct stw_uri *place); /* NULL: every place is right */
	void *user;
};

/** A target refresh (RFC 3261 §12.2.1.2, §12.2.2): where both sides of the dialog are from now on.
 */
struct stw_proxy_refresh {
	const struct stw_proxy_routing *routing; /* of the request */
	uint32_t cseq;
	/* Contact of the request and of the response, hashed as `hop` is; 0: it has none, or it is
	 * not known that the other side has answered. */
	uint64_t requester, answerer;
};
/**
 * @param bars  places that count as not said, of the request and of the response
 * @return false: the response to this request is none, or it is not known of which dialog
 */
bool stw_proxy_refresh_find(const struct stw_proxy_options *options, const struct stw_msg *request,
	const struct stw_proxy_routing *routing, const struct stw_msg *response,
	const struct stw_proxy_bar bars[2], struct stw_proxy_refresh *ret);

/** Where the flow token leads (RFC 5626 §5.3) that our Path or Record-Route had. False: there is
 * none. */
bool stw_proxy_flow(const struct stw_proxy_routing *routing, struct stw_hop *ret);

/* ---- forward, §16.6 --------------------------------------------------------------------- */

/** A set of response codes from 300 to 699. */
struct stw_code_set {
	uint64_t bits[7];
};
static inline void stw_code_set_add(struct stw_code_set *set, unsigned code)
{
	if (code >= 300 && code < 700)
		set->bits[(code - 300) / 64] |= UINT64_C(1) << (code - 300) % 64;
}
static inline bool stw_code_set_has(const struct stw_code_set *set, unsigned code)
{
	return code >= 300 && code < 700 && set->bits[(code - 300) / 64] >> (code - 300) % 64 & 1;
}

struct stw_account; /* stack.h */

/** One place to try. Text belongs to whoever made the target set. */
struct stw_proxy_target {
	struct stw_str uri; /* Request-URI of the branch */
	unsigned q;         /* thousandths; equal q are tried in parallel */
	struct stw_str
		path;  /* "<sip:…;lr>, <…>" to put before Route (RFC 3327 §5.3); empty: none */
	bool binding;  /* a phone that is registered here, not another server */
	bool has_hop;  /* send to `hop` instead of resolving the URI (RFC 5626, use_source) */
	bool loopback; /* it was named from this machine itself, whose addresses are no secret to it
			*/
	bool hop_only; /* when `hop` is gone, do not try the URI */
	struct stw_hop hop;
	struct stw_str instance;    /* +sip.instance, empty: none */
	struct stw_str instance_of; /* the AOR that it is an instance of */
	struct stw_str owner; /* whose phone it is, for the notes of the stack; empty: untold */
	/* Responses behind which targets of lower q are tried, as they are when it is silent or
	 * cannot be reached; another one is final. NULL: all but 6xx. */
	const struct stw_code_set *next_on;
	bool own_6xx; /* a 6xx ends its own group only, as a further one may be asked for
			 (stw_response_context_ask()): it speaks for one of several people */
	bool granted; /* that it may go there is decided: guard() of the core is not asked */
	/* An edge proxy (RFC 3327, RFC 5626 §5): */
	bool add_path;     /* REGISTER: our Path value leads to who has sent it … */
	bool path_require; /* … and the registrar must know Path (§5.2) */
	bool flow_in,
		flow_out; /* our Record-Route leads to who has sent the request, or to `hop` */
	struct stw_account
		*account; /* who answers the challenges of this server; NULL: the caller */
};

/** What one branch is made of, §16.6. */
struct stw_forward_options {
	const struct stw_proxy_options *proxy;
	const struct stw_msg *request;
	const struct stw_proxy_routing *routing;
	const struct stw_proxy_target *target; /* NULL: by the Request-URI as it is (in-dialog) */
	const struct stw_via_stamp *stamp;
	struct stw_str via;          /* our Via value: "SIP/2.0/UDP host:port;rport;branch=…" */
	struct stw_str record_route; /* whole lines, or empty */
	struct stw_str path;         /* whole lines on top of Path, or empty */
	struct stw_str diversion; /* whole lines before those of the request (RFC 5806), or empty */
	struct stw_str history;   /* whole lines behind those of the request (RFC 7044), or empty */
	struct stw_str credentials; /* whole lines behind the last header field, or empty */
	uint32_t consumed; /* where the value of a field starts that does not go on; 0: none */
	const struct stw_str *without; /* names of header fields that do not go on, by full name */
	unsigned without_count;
	uint32_t max_breadth; /* of this branch; 0: leave the header field alone */
};

/* ---- caller preferences, RFC 3841 §7.2 ------------------------------------------------------ */

/** What Accept-Contact and Reject-Contact of a request say; borrowed from it and an arena. */
struct stw_preferences;
#define STW_PREFERENCE_MAX 1000 /* of a score */

/** @param ret  NULL: it says nothing
 *  @return 0; -EBADMSG: against §10; -E2BIG: more than 20 of them, 32 features in one, or 128
 *          values in all; -ENOMEM
 */
int stw_preferences_parse(
	const struct stw_msg *request, struct stw_arena *arena, struct stw_preferences **ret);
/** Does the Contact with these parameters (RFC 3840 §9) remain, and how well does it fit (Qa, in
 * thousandths)? One without features always remains. */
bool stw_preferences_match(const struct stw_preferences *preferences, struct stw_str contact_params,
	unsigned *ret_score);
/** §7.2.2, for a request without any: does the Contact know its method, and event package? */
bool stw_preferences_implied(const struct stw_msg *request, struct stw_str contact_params);

/** Where a forwarded request goes: the URI that decides, §16.6 steps 6 and 7. Parsed text is the
 * arena's or the request's. @return 0; -ENOMEM; -EBADMSG */
int stw_forward_next_hop(
	const struct stw_forward_options *options, struct stw_arena *arena, struct stw_uri *ret);
/**
 * The request of a branch as slices over the received bytes; new text lies in `arena`.
 * Request-URI, Max-Forwards − 1 (70 when absent), Route (own removed, Path prepended, strict
 * routing undone for a next hop without lr), Record-Route, Via, Max-Breadth.
 * @return 0; -ENOMEM; -ENOBUFS
 */
int stw_forward_build(
	const struct stw_forward_options *options, struct stw_arena *arena, struct stw_slices *ret);

/** A side of the proxy: host:port as it is named there. */
struct stw_record_route_side {
	enum stw_transport transport;
	struct stw_str sent_by;
};
/** What goes into our lines. Borrowed. */
struct stw_record_route_options {
	const struct stw_msg *request;
	struct stw_record_route_side in, out;
	const struct stw_hop *flow; /* of a phone that is reached by it alone; NULL: none */
	struct stw_str branch;      /* our own, of the request as it goes on */
	struct stw_proxy_bar bar;   /* where the caller is not believed to be */
};
/** What was written into a request on one branch: the response brings it back. */
struct stw_record_route {
	struct stw_str lines;
	uint64_t mark;   /* of the dialog, the same in all branches of the request */
	size_t side_at;  /* where in the value of the first line … */
	char secret[16]; /* … this stands, the callee's of this branch, */
	char proof[16];  /* and what the caller gets in its place */
};
/** Path for a REGISTER (RFC 3327 §5.2): ourselves as `out` names us, with a flow token of `source`;
 * `require`: and Require: path. The lines lie in `arena`. @return 0; -ENOMEM; -ENOBUFS */
int stw_path_write(const struct stw_proxy_options *options, const struct stw_hop *source,
	const struct stw_record_route_side *out, bool require, struct stw_arena *arena,
	struct stw_str *ret_lines);
/**
 * Record-Route for a request that goes from one side to the other: one line, or two when transport
 * or host and port differ (RFC 5658). Carries the mark (lr;stw=…) of the dialog, of where the
 * caller is, and what proves the callee to be him; with `flow` also a flow token of it (RFC 5626
 * §5.2). The lines lie in `arena`.
 * @return 0; -ENOMEM; -ENOBUFS
 */
int stw_record_route_write(const struct stw_proxy_options *proxy,
	const struct stw_record_route_options *options, struct stw_arena *arena,
	struct stw_record_route *ret);

/** The incoming Max-Breadth, RFC 5393 §5.3.3: of the request, at most ours; ours when it has none.
 */
uint32_t stw_proxy_breadth(const struct stw_proxy_options *options, const struct stw_msg *request);

#define STW_BRANCH_MAX 64
/** z9hG4bK + unique part + "." + loop hash (§16.6 step 8, RFC 5393 §4.2). */
struct stw_str stw_proxy_branch(const struct stw_proxy_options *options,
	const struct stw_msg *request, const struct stw_proxy_routing *routing,
	struct stw_random *random, char buffer[STW_BRANCH_MAX]);
/** The loop hash of all branches of this request. */
uint64_t stw_proxy_loop_hash(const struct stw_proxy_options *options, const struct stw_msg *request,
	const struct stw_proxy_routing *routing);
/** The loop hash in a branch of ours, or in one that looks like ours. False: there is none. */
bool stw_proxy_branch_loop_hash(struct stw_str branch, uint64_t *ret);
/** For a request of our own (§8.1.1.7). */
struct stw_str stw_proxy_own_branch(const struct stw_proxy_options *options,
	struct stw_random *random, char buffer[STW_BRANCH_MAX]);
/** The worker in a branch of ours that has one, or in one that looks like ours. False: none. */
bool stw_proxy_branch_worker(struct stw_str branch, unsigned *ret);
/** §16.11: the same branch for the same request (the ACK of a 2xx is forwarded without state). */
struct stw_str stw_proxy_stateless_branch(const struct stw_proxy_options *options,
	const struct stw_msg *request, char buffer[STW_BRANCH_MAX]);

/** Via branch and the method of CSeq have matched (§17.1.3): are Call-ID, From tag, CSeq number
 * and, in a dialog, To tag those of the request, too (§8.2.6.2)? */
bool stw_response_fits(const struct stw_msg *request, const struct stw_msg *response);
/** A 2xx to INVITE or UPDATE without Session-Expires: who has sent it does not know session timers
 * (RFC 4028 §8.2). */
bool stw_relay_wants_session(const struct stw_msg *response);
/** Put Session-Expires with this interval (seconds, 0: none), refresher=uac and Require: timer
 * before `lines`, when the response wants it. New text lies in `arena`. @return 0, -ENOMEM */
int stw_relay_session(const struct stw_msg *response, uint32_t interval_s, struct stw_arena *arena,
	struct stw_str *lines);
struct stw_relay_options {
	const struct stw_proxy_options *proxy;
	const struct stw_msg *response;
	const struct stw_record_route *ours; /* on its branch; NULL: not kept, found anew */
	struct stw_str lines;                /* go behind the last header field; may be empty */
	struct stw_str via_params;  /* ";oc=…", behind the Via below ours; may be empty */
	const struct stw_uri *from; /* of the request; NULL: that of the response is the same */
	struct stw_proxy_bar bar;   /* where the callee is not believed to be */
};
/** The response as it goes upstream: top Via removed, our Record-Route values marked with where
 * the callee is, and with the proof where the secret was. New text lies in `arena`. @return 0;
 * -ENOMEM; -ENOBUFS */
int stw_relay_build(
	const struct stw_relay_options *options, struct stw_arena *arena, struct stw_slices *ret);

/* ---- response context, §16.7–16.10 --------------------------------------------------------- */

enum stw_proxy_action_kind {
	STW_PROXY_NOTHING,
	STW_PROXY_START,   /* open branch `branch` to `target`, with `max_breadth` */
	STW_PROXY_CANCEL,  /* CANCEL branch `branch` with `lines` (Reason), now: a 1xx has been seen
			    */
	STW_PROXY_TIMER_C, /* (re)start Timer C of branch `branch` */
	STW_PROXY_RELAY, /* send `response` upstream, `lines` added (merged challenges, contacts) */
	STW_PROXY_EARLY_END, /* 199 upstream: the early dialog `tag` has ended with `code` (RFC
				6228) */
	STW_PROXY_NEXT,   /* all was tried, `code` would go upstream: stw_response_context_more() or
			     …_settle(), now or later */
	STW_PROXY_ANSWER, /* answer with our own `cause`, `lines` added */
	STW_PROXY_ABANDON,  /* non-INVITE: the server transaction ends without a response */
	STW_PROXY_FINISHED, /* nothing will follow but late 2xx; free when the branches have ended
			     */
};

/** One thing to do; borrowed from the context until the next input. */
struct stw_proxy_action {
	enum stw_proxy_action_kind kind;
	unsigned branch;
	const struct stw_proxy_target *target; /* START */
	uint32_t max_breadth;                  /* START */
	const struct stw_msg *response;        /* RELAY: the event's, or one the context has kept */
	const struct stw_cause *cause; /* ANSWER; RELAY: why this one was chosen, may be NULL */
	struct stw_str lines;          /* whole header lines, or empty; the context's */
	unsigned code;      /* NEXT: with `response` or `cause`; 0: nobody has said anything */
	struct stw_str tag; /* EARLY_END: of To */
	bool rang;          /* NEXT: a phone had a 18x */
};

struct stw_response_context;

/** `request` must outlive the context (it is kept by the stack). @return 0, -ENOMEM */
int stw_response_context_new(const struct stw_proxy_options *options, const struct stw_msg *request,
	struct stw_response_context **ret);
/** Add a group of targets (copied). They are ordered by q behind what is there; duplicates by URI
 * are dropped, and so are some for which there is no memory.
 *  @return 0; -ENOBUFS over max_branches; -ENOMEM: none of them is there */
int stw_response_context_add(
	struct stw_response_context *context, const struct stw_proxy_target *targets, unsigned n);
/** What is to be done when all was tried is asked (NEXT) before the best response goes up. A 6xx,
 * the end of Expires and a CANCEL of the caller need no question. */
void stw_response_context_ask(struct stw_response_context *context);
/** … and before a 6xx goes up, which ends what is being tried all the same. */
void stw_response_context_ask_6xx(struct stw_response_context *context);
/** Other options from here on, with the same limits. Borrowed as of stw_response_context_new(). */
void stw_response_context_options(
	struct stw_response_context *context, const struct stw_proxy_options *options);
/** The answer to NEXT: another group, begun at once. `fresh`: what was said so far counts no more,
 * and what was tried may be tried again. @return as stw_response_context_add() */
int stw_response_context_more(struct stw_response_context *context,
	const struct stw_proxy_target *targets, unsigned n, bool fresh);
/** The other answer: the best response goes up, as soon as those that were left have ended. Before
 * NEXT: nothing will be asked. */
void stw_response_context_settle(struct stw_response_context *context);
/** The third answer: `cause` goes up at that time instead of the best response; at once when
 * something is being tried. */
void stw_response_context_refuse(
	struct stw_response_context *context, const struct stw_cause *cause);
/** Time is up for what is being tried: it is cancelled, counts as S408 and is not waited for; NEXT.
 * Of what it still says only a 2xx counts. */
void stw_response_context_leave(struct stw_response_context *context);
/** Begin, or go on with targets added later. P13: 440 may come out. */
void stw_response_context_start(struct stw_response_context *context);
/** No new branch ever: a 2xx or 6xx was there, the caller has cancelled, or it was refused. */
bool stw_response_context_is_closed(const struct stw_response_context *context);
/** Has a branch that runs made an early dialog (§12.1.1)? Known where what comes next is asked. */
bool stw_response_context_has_early(const struct stw_response_context *context);
/** Does this response end the other branches: a 2xx or 6xx of this call (§16.7 step 10), unless the
 * caller wants none to be cancelled (RFC 3841 §9.1)? */
bool stw_response_context_ends_others(
	const struct stw_response_context *context, const struct stw_msg *response);
/** Row of (c) c1 for a response of a branch. Finals that are to be kept are copied. */
void stw_response_context_response(
	struct stw_response_context *context, unsigned branch, const struct stw_msg *response);
/** Timer B or F of a branch. */
void stw_response_context_timeout(struct stw_response_context *context, unsigned branch);
/** The branch could not be sent, or its transport failed: S503 or the given cause's code (500, 504,
 * 480). */
void stw_response_context_failed(
	struct stw_response_context *context, unsigned branch, const struct stw_cause *cause);
/** Timer C of a branch fired. */
void stw_response_context_timer_c(struct stw_response_context *context, unsigned branch);
/** The no-answer timer (call.ring_timeout) or the INVITE's Expires: end all pending branches; 408.
 */
void stw_response_context_no_answer(struct stw_response_context *context);
/** The server itself ends: `cause` is answered now, what is pending is cancelled. */
void stw_response_context_stop(struct stw_response_context *context, const struct stw_cause *cause);
/** The time in Expires of the INVITE ran out: as no_answer, and nothing new is tried. */
void stw_response_context_expired(struct stw_response_context *context);
/** How often it will begin with further targets when those that it has now are all silent: levels
 * of q, further flows of a phone (RFC 5626 §7), what breadth lets start later. */
unsigned stw_response_context_levels_left(const struct stw_response_context *context);
/** Non-INVITE: what is being tried has had its share of the time and stays silent: what comes next
 * begins beside it. What it still says counts. */
void stw_response_context_level_over(struct stw_response_context *context);
/** Non-INVITE shortly before 64*T1 of its arrival: answer from what is stored, if anything (RFC
 * 4321 §1.5). Nothing new is tried. */
void stw_response_context_give_up_silent(struct stw_response_context *context);
/** Non-INVITE after 64*T1: its client has gone, and nothing goes up any more (RFC 4320 §4.2). */
void stw_response_context_abandon(struct stw_response_context *context);
/** CANCEL from upstream; `reason_lines` of the CANCEL are copied to those that go down. */
void stw_response_context_cancel(struct stw_response_context *context, struct stw_str reason_lines);
/** stw_fetch() of it and of its first branch. Accepts NULL. */
void stw_response_context_fetch(const struct stw_response_context *context);
/** Take the actions one by one, in order; NOTHING at the end. Valid until the next input. */
struct stw_proxy_action stw_response_context_next(struct stw_response_context *context);
/** Accepts NULL; returns NULL. */
struct stw_response_context *stw_response_context_free(struct stw_response_context *context);

#define CAUSE(name, id, code, phrase, rfc, meaning, reason, remedy) STW_CAUSE_DECLARE(name);
#include <strowger/causes/proxy.def>
#undef CAUSE

#endif
