/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * dialog: RFC 3261 §12 as pure state: who talks to whom, along which route set, with which CSeq
 * numbers; and RFC 5057, what a response ends. No I/O, no clock, no transaction.
 */
#ifndef STROWGER_DIALOG_H
#define STROWGER_DIALOG_H

#include <strowger/message.h>

#define STW_DIALOG_TEXT_MAX 8192 /* identifiers, addresses and route set of one dialog, bytes */
#define STW_DIALOG_URI_MAX  1024 /* of the remote target */

/** A dialog, §12. Read the members; change none. */
struct stw_dialog {
	bool uac;       /* our request made it */
	bool confirmed; /* by a 2xx; else early */
	bool secure;    /* §12.1.1: made by sips over TLS */
	bool no_target; /* the peer has sent no usable Contact: `target` is where we began */
	bool cut;       /* no room for its Contact or route set: good for ACK and BYE at best */
	struct stw_str call_id, local_tag, remote_tag;
	struct stw_str local, remote; /* From and To of our requests, without their tags */
	struct stw_str route;         /* "<sip:a;lr>, <sip:b;lr>", in our order; or empty */
	struct stw_str target;        /* URI */
	uint32_t local_cseq;          /* of our last request; 0: none yet */
	uint32_t remote_cseq;         /* of theirs, if has_remote_cseq */
	bool has_remote_cseq;
	unsigned kept; /* by how many besides the first */
	char target_text[STW_DIALOG_URI_MAX];
	size_t text_len;
	char text[STW_DIALOG_TEXT_MAX];
};

/**
 * §12.1.2: the response to a request of ours begins one. A response without a To tag (RFC 2543) has
 * the empty one.
 * @param request   as we have sent it; its Via is not looked at
 * @param response  101 to 299
 * @return 0; -ENOMEM; -ENOBUFS the identifiers are too long; what else is leaves it `cut`, for a
 * 2xx is to be acknowledged in any case (§13.2.2.4)
 */
int stw_dialog_new_uac(
	const struct stw_msg *request, const struct stw_msg *response, struct stw_dialog **ret);
/**
 * §12.1.1: a request that we answer with a tag begins one.
 * @return 0; -ENOMEM; -ENOBUFS; -EBADMSG its Contact is missing or broken: 400
 */
int stw_dialog_new_uas(
	const struct stw_msg *request, struct stw_str local_tag, struct stw_dialog **ret);
/** One more that keeps it (a usage, a request that is under way), and frees it: all of them count
 * the same CSeq numbers (RFC 5057 §3). @return the dialog */
struct stw_dialog *stw_dialog_ref(struct stw_dialog *dialog);
/** Freed with the last that keeps it. Accepts NULL; returns NULL. */
struct stw_dialog *stw_dialog_free(struct stw_dialog *dialog);

/** The 2xx of an early dialog: target and route set are those of the 2xx (§13.2.2.4). */
void stw_dialog_confirm_uac(struct stw_dialog *dialog, const struct stw_msg *response);
/** We have sent a 2xx. */
void stw_dialog_confirm_uas(struct stw_dialog *dialog);
/** Does a request from the peer belong to it (Call-ID and both tags)? */
bool stw_dialog_has_request(const struct stw_dialog *dialog, const struct stw_msg *request);
/** Does a response to a request of ours belong to it? Its From tag and Call-ID are ours already. */
bool stw_dialog_has_response(const struct stw_dialog *dialog, const struct stw_msg *response);
/** By the ids of Replaces, Join and the like: as the peer of the message sees them. */
bool stw_dialog_is(const struct stw_dialog *dialog, struct stw_str call_id,
	struct stw_str local_tag, struct stw_str remote_tag);

/** §12.2.2: a request of the peer but ACK and CANCEL. @return 0, its number is the last one now;
 * -ESTALE it is not higher: 500 */
int stw_dialog_receive(struct stw_dialog *dialog, const struct stw_msg *request);
/** Does a method refresh the target (§12.2, RFC 3311, RFC 6665)? */
bool stw_method_refreshes_target(enum stw_method method);
/** Target refresh (RFC 6141): the Contact of a request that we accept, or of a 1xx or 2xx to one of
 * ours. @return 0; -ENOENT none there; -EBADMSG; -ENOBUFS: the target stays */
int stw_dialog_refresh(struct stw_dialog *dialog, const struct stw_msg *msg);
/** The CSeq number for our next request; counts it. */
uint32_t stw_dialog_next_cseq(struct stw_dialog *dialog);
/** The lines From, To, Call-ID and CSeq of a request of ours (§12.2.1.1). */
void stw_dialog_write(const struct stw_dialog *dialog, struct stw_writer *writer,
	struct stw_str method, uint32_t cseq);

/* ---- usages, RFC 5057 ------------------------------------------------------------------------ */

enum stw_dialog_effect {
	STW_DIALOG_STAYS,      /* only the transaction is over */
	STW_DIALOG_USAGE_ENDS, /* the usage that the request belonged to */
	STW_DIALOG_ENDS,       /* with all usages */
};

/**
 * What a final response to a request of an INVITE usage, in a confirmed dialog, ends: §5.1 of RFC
 * 5057, the same on both sides. A 3xx, which redirects the whole dialog, ends nothing when nobody
 * follows it (RFC 3261 §12.2.1.2, §14.1).
 * @param integral  the method belongs to the usage (INVITE, UPDATE, BYE, PRACK, ACK): an INFO or a
 *                  MESSAGE that is not known there ends nothing (note 3)
 */
enum stw_dialog_effect stw_dialog_effect(unsigned code, bool integral);
/** INVITE, UPDATE, BYE, PRACK. */
bool stw_method_is_integral(enum stw_method method);

#endif
