/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * uac, a part of stack: requests of our own (RFC 3261 §8.1, §9.1, §13.2, §17.1).
 *
 * The user of the stack gives a method, a Request-URI, a route set and whole header lines; the
 * stack computes the next hop, locates it by RFC 3263 (and the next place, with a new branch, when
 * one fails or says 503), writes Via, Max-Forwards, Contact and Content-Length, sends, and tells
 * each response. All calls are made within a batch: from a function of stw_core_ops, of the tables
 * below or of an alarm, or between stw_stack_begin() and stw_stack_end(). Whatever is told, is told
 * later than the call returns or during it: a name that cannot be sent to fails at once.
 *
 *	static void responded(void *user, struct stw_client *client, const struct stw_msg
 **response); static void failed(void *user, struct stw_client *client, const struct stw_cause
 **cause); static const struct stw_client_ops ops = { .response = responded, .failed = failed };
 *
 *	stw_stack_call_id(stack, call_id);
 *	stw_arena_printf(&arena, &headers, "From: <sip:a@x>;tag=1\r\nTo: <sip:a@x>\r\n"
 *		"Call-ID: %s\r\nCSeq: 1 REGISTER\r\nExpires: 300\r\n", call_id);
 *	stw_stack_originate(stack, &(struct stw_client_job){ .method = STW_STR("REGISTER"),
 *		.uri = STW_STR("sip:registrar.example.com"), .headers = headers, .contact = true,
 *		.ops = &ops, .user = mine }, &client);
 */
#ifndef STROWGER_UAC_H
#define STROWGER_UAC_H

#include <strowger/stack.h>

/** A request of ours that is on its way. Valid until done(). */
struct stw_client;

/** What is told about a request of ours. Any may be NULL. */
struct stw_client_ops {
	/** Each 1xx, the final response, and of an INVITE each further 2xx that was not
	 * acknowledged yet: its forks have other To tags (§13.2.2.4). `response` is valid during
	 * the call. */
	void (*response)(void *user, struct stw_client *client, const struct stw_msg *response);
	/** Nobody answered, or it could not be sent: the cause says which code that is as good as
	 * (§8.1.3.1: 408, 503; RFC 3263 §4.3 has been tried). Code 0 counts as 408. The last word
	 * but done(). */
	void (*failed)(void *user, struct stw_client *client, const struct stw_cause *cause);
	/** The client is about to be freed: its transactions are over. Nothing else follows. */
	void (*done)(void *user, struct stw_client *client);
};

/** What is to be sent; all text is copied. */
struct stw_client_job {
	struct stw_str method;
	struct stw_str uri;   /* the remote target: Request-URI, unless the first Route is strict */
	struct stw_str route; /* "<sip:a;lr>, <sip:b;lr>", or empty. A first one without lr becomes
				 the Request-URI (§12.2.1.1) */
	/** Whole lines: From (with tag), To, Call-ID, CSeq, and what else there is; not Via, Route,
	 * Content-Length, nor what the members below say. */
	struct stw_str headers;
	struct stw_str content_type, body; /* empty: none */
	unsigned max_forwards;             /* 0: 70 */
	/** Contact of the place that it is sent from: "<sip:USER@HOST:PORT;transport=tcp>PARAMS".
	 */
	bool contact;
	struct stw_str contact_user;       /* escaped; empty: none */
	struct stw_str contact_uri_params; /* ";ob", or empty */
	struct stw_str contact_params;     /* ";expires=300;q=0.5", or empty */
	/** Where it goes instead of the first Route or the Request-URI; at most one of the two. */
	struct stw_str outbound;   /* URI of an outbound proxy that is not in the route set */
	const struct stw_hop *hop; /* a flow or address: that of a binding, or where a request
				      came from */
	bool hop_only;             /* when its connection is gone: fail, do not try the URI */
	/** Of the places that a name leads to the one that is tried first, unless it has failed, or
	 * the DNS has one of better priority: who knows us there. NULL: as the DNS says. */
	const struct stw_addr *prefer;
	bool prefer_always; /* whatever its priority: it has asked for this request */
	const struct stw_client_ops *ops;
	void *user;
};

/**
 * Send a request (any method but CANCEL; ACK by stw_client_ack()).
 * @param ret  may be NULL. Written before anything is told
 * @return 0; -EINVAL a line is broken, or From, To, Call-ID or CSeq are missing; -EBADMSG a URI or
 *         Route is broken; -ENOMEM. After an error nothing is told
 */
int stw_stack_originate(
	struct stw_stack *stack, const struct stw_client_job *job, struct stw_client **ret);
/** End an INVITE, §9.1: at once after a 1xx, or as soon as one comes; when it has not been sent yet
 * failed() follows. `reason_lines` are whole "Reason: …\r\n" lines, or empty. What still comes is
 * told, a 2xx too. After 64*T1 without a final response: failed(). */
void stw_client_cancel(struct stw_client *client, struct stw_str reason_lines);
/**
 * ACK for a 2xx to an INVITE, §13.2.2.4: sent without a transaction by `job` (route set and remote
 * target of the dialog; its ops and user are not used), and again by the stack each time this 2xx
 * comes again, which then is not told any more.
 * @param to_tag  of the 2xx
 * @return as stw_stack_originate()
 */
int stw_client_ack(
	struct stw_client *client, struct stw_str to_tag, const struct stw_client_job *job);
/** Tell nothing any more. Not before the final response of an INVITE: who would end it? */
void stw_client_forget(struct stw_client *client);
/** The request as it was given, without Via; lives as the client does. */
const struct stw_msg *stw_client_request(const struct stw_client *client);
/** Where it was sent last, or is about to be. */
const struct stw_hop *stw_client_hop(const struct stw_client *client);
void *stw_client_user(const struct stw_client *client);

#define STW_CALL_ID_BYTES 25
/** A new Call-ID, 24 characters and a NUL, whose requests come to this worker. */
void stw_stack_call_id(struct stw_stack *stack, char buffer[STW_CALL_ID_BYTES]);
#define STW_TAG_BYTES 17
/** A new tag, 16 characters and a NUL (§19.3). */
void stw_stack_tag(struct stw_stack *stack, char buffer[STW_TAG_BYTES]);
/** The generator of the stack. */
struct stw_random *stw_stack_random(struct stw_stack *stack);
/** The time of the batch. */
struct stw_now stw_stack_now(const struct stw_stack *stack);

/* ---- alarms: timers of the user of the stack ------------------------------------------------ */

/** Embedded in what waits; zero at first. */
struct stw_alarm {
	struct stw_timer timer; /* the stack's */
	void (*fired)(struct stw_alarm *alarm);
};

/** Start or start anew; `fired` is called once, in a batch of the stack. */
void stw_alarm_start(struct stw_stack *stack, struct stw_alarm *alarm, uint64_t after_ms);
/** No effect when it does not run. Whoever frees an alarm stops it before. */
void stw_alarm_stop(struct stw_stack *stack, struct stw_alarm *alarm);

#endif
