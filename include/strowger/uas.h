/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * uas, a part of stack: requests that are answered here, with full control (RFC 3261 §8.2, §13.3;
 * RFC 3262).
 *
 * A request that the core gets and neither refuses nor forwards is taken with stw_request_take()
 * and answered, then or later, with stw_request_answer(), as often as the RFC allows. The stack
 * repeats a 2xx to INVITE until its ACK comes, and a reliable provisional response until its PRACK
 * comes; both are matched by dialog and CSeq, and both find their request in this way only: an ACK
 * that matches nothing goes to stw_core_ops.request as ever.
 */
#ifndef STROWGER_UAS_H
#define STROWGER_UAS_H

#include <strowger/stack.h>

/** What is told about a request that was taken. Any may be NULL. */
struct stw_server_ops {
	/** CANCEL came and was answered 200 (§9.2): answer 487, unless a final response is out. */
	void (*cancelled)(void *user, struct stw_request *request, const struct stw_msg *cancel);
	/** The ACK of the 2xx, once. It may bring an answer to our offer. */
	void (*acked)(void *user, struct stw_request *request, const struct stw_msg *ack);
	/** Does the PRACK that is about to come with `pracked` count? false: it has been answered,
	 * and has done nothing. NULL: yes. */
	bool (*prack_passes)(void *user, struct stw_request *request, struct stw_request *prack);
	/** A PRACK for the reliable provisional response that waits for it: answer `prack` (200, or
	 * by its body), it is a request of its own. NULL: the stack answers 200. */
	void (*pracked)(void *user, struct stw_request *request, struct stw_request *prack);
	/** 64*T1 without ACK (end the dialog with BYE, §13.3.1.4), or without PRACK (`code` below
	 * 200: answer 5xx, RFC 3262 §3). */
	void (*unanswered)(void *user, struct stw_request *request, unsigned code);
	/** The request is about to be freed: its transaction is over. */
	void (*done)(void *user, struct stw_request *request);
};

/** A response of ours; text is borrowed during the call. */
struct stw_answer {
	unsigned code;
	const struct stw_cause *cause;     /* for the record: why; NULL for a plain success */
	const struct stw_refusal *refusal; /* facts and option beside it; may be NULL */
	struct stw_str phrase;             /* empty: that of the cause, else of the code */
	struct stw_str to_tag;  /* empty: the one that the stack derives from the request, or
				   that of an earlier answer. Fixed by the first answer but 100;
				   keep to it unless the dialogs are several */
	struct stw_str headers; /* whole lines */
	struct stw_str content_type, body; /* empty: none */
	bool dialog; /* Record-Route is copied (§12.1.1) and Contact written: 101 to 299 */
	struct stw_str contact_user, contact_uri_params, contact_params; /* as in uac.h */
	bool reliable; /* 101 to 199: Require: 100rel and RSeq are written (RFC 3262 §3) */
};

/**
 * Keep the request and make its server transaction: what comes of it is told. ACK cannot be taken;
 * stw_request_drop() it.
 * @return 0; -ENOMEM; -ENOBUFS
 */
int stw_request_take(struct stw_request *request, const struct stw_server_ops *ops, void *user);
/**
 * Answer a request that was taken, or give a provisional response (101 to 199) to an INVITE that
 * was given to stw_request_proxy(): then a PRACK for it is answered by the stack. A second 2xx or
 * other final response is not sent.
 * @return 0; -EBUSY: `reliable`, and the one before still waits for its PRACK, or the first one
 *         was followed by a final response; -ENOMEM; -ENOBUFS; -EALREADY: a final response is out
 */
int stw_request_answer(struct stw_request *request, const struct stw_answer *answer);
/** Tell nothing any more about a request that was taken, and repeat nothing that waits for an ACK:
 * its dialog is over. */
void stw_request_forget(struct stw_request *request);
/** §8.2.2.2: is it a copy, which came another way, of a request that was taken before? Asked once,
 * after stw_request_take(). */
bool stw_request_is_merged(struct stw_request *request);
/** A reliable provisional response waits for its PRACK. */
bool stw_request_awaits_prack(const struct stw_request *request);
/** The To tag that our responses carry; the request's own one if it has one. Lives as the request.
 */
struct stw_str stw_request_tag(struct stw_request *request);
/** NULL: it was not taken. */
void *stw_request_user(const struct stw_request *request);

#endif
