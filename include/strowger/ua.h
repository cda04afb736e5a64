/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * ua: a user agent without sockets, threads and clock, on a stack (RFC 3261 §8, §10, §11, §13–15;
 * RFC 3262, 3311, 3428, 3515, 3891, 3911, 4028, 5373, 6086). It calls, answers, registers and asks;
 *what came of it is told as events.
 *
 * The stack belongs to the user of this library, who gives it requests for the agent:
 *
 *	static void requested(void *core, struct stw_request *request)
 *	{
 *		struct mine *mine = core;
 *
 *		if (!stw_ua_request(mine->ua, request))
 *			stw_request_drop(request, &stw_cause_ua_no_dialog);
 *	}
 *
 * All calls are made within a batch of the stack (uac.h), as all events come in one. A program
 *under a hundred lines: examples/call.c.
 */
#ifndef STROWGER_UA_H
#define STROWGER_UA_H

#include <strowger/dialog.h>
#include <strowger/sdp.h>
#include <strowger/stack.h>

struct stw_ua;
/** A session: the INVITE usage of a dialog, with its early dialogs (§13, RFC 5057). Valid until its
 * event ENDED has been told. */
struct stw_session;
/** The bindings of an AOR that are kept alive (§10.2). Valid until stw_registration_end(). */
struct stw_registration;

/* ---- what is told -------------------------------------------------------------------------- */

/* clang-format off */
#define STW_UA_EVENT_LIST(X)                                                                       \
	X(INCOMING, "incoming")                                                                    \
	X(PRECONDITIONS, "preconditions")                                                          \
	X(PROGRESS, "progress")                                                                    \
	X(INCOMPLETE, "incomplete")                                                                \
	X(REDIRECTED, "redirected")                                                                \
	X(FORKED, "forked")                                                                        \
	X(ACCEPTED, "accepted")                                                                    \
	X(ESTABLISHED, "established")                                                              \
	X(MEDIA, "media")                                                                          \
	X(CHANGED, "changed")                                                                      \
	X(REFRESHED, "refreshed")                                                                  \
	X(ENDED, "ended")                                                                          \
	X(TRANSFER, "transfer")                                                                    \
	X(TRANSFERRED, "transferred")                                                              \
	X(REPLACED, "replaced")                                                                    \
	X(JOINED, "joined")                                                                        \
	X(MESSAGE, "message")                                                                      \
	X(INFO, "info")                                                                            \
	X(OPTIONS, "options")                                                                      \
	X(REFUSED, "refused")                                                                      \
	X(RESPONSE, "response")                                                                    \
	X(REGISTERED, "registered")                                                                \
	X(UNREGISTERED, "unregistered")                                                            \
	X(BINDINGS, "bindings")                                                                    \
	X(FAULT, "fault")
/* clang-format on */

/**
 * Of a session: INCOMING an INVITE that passed all checks (the policy answers it, or who gets
 * this); PRECONDITIONS those of an incoming call are met, which could not ring or be accepted
 * before
 * (-EAGAIN, RFC 3312 §6); PROGRESS a 1xx to ours; INCOMPLETE a 484 asks for more digits; REDIRECTED
 * a 3xx, or a failure behind one, leads to the URI in `text`, also of what is asked outside of
 * sessions; ACCEPTED a 2xx sent (msg NULL) or received, then with its Answer-Mode in `text`;
 * ESTABLISHED the ACK was sent or has come; FORKED another fork has accepted, it gets ACK and BYE;
 * MEDIA what offer and answer have agreed on; CHANGED our hold, resume or renewal has ended with
 * this code, or a refresh of ours was refused with it; REFRESHED its timer, by us or them (RFC
 * 4028); TRANSFER a REFER to the URI in `text` is carried out, in or outside of a session;
 * TRANSFERRED a NOTIFY says how far ours has got, `final`: it was the last one (session NULL:
 * outside, or it is over already; `job` as given); REPLACED `other` takes its place (RFC 3891);
 * JOINED it belongs to the conversation of `other`: mix their sound (RFC 3911), both say isfocus;
 * ENDED the last of it, with code, `by_us`, and Reason in `text`; FAULT the peer did what it must
 * not, and what the RFC says was done. In a session or outside: MESSAGE, INFO (package in `text`)
 * and OPTIONS came and were answered; REFUSED another request was not taken. RESPONSE the final
 * answer to stw_ua_send() and the like. Of a registration: REGISTERED with the bindings in `msg`,
 * for expires_s; UNREGISTERED refused or lost, tried again after retry_s, or (code 200) removed as
 * was asked; BINDINGS a fetch was answered, with those that there are in `msg`, which may be none.
 */
enum stw_ua_event_kind {
#define X(name, text) STW_UA_##name,
	STW_UA_EVENT_LIST(X)
#undef X
		STW_UA_EVENTS
};

/** "incoming" … */
const char *stw_ua_event_name(enum stw_ua_event_kind kind);

/** Borrowed: valid during the call. */
struct stw_ua_event {
	enum stw_ua_event_kind kind;
	struct stw_session *session;
	struct stw_session *other; /* REPLACED, JOINED */
	struct stw_registration *registration;
	void *job;                 /* of stw_ua_send() and the like */
	const struct stw_msg *msg; /* the request or response that it is about; may be NULL */
	unsigned code;             /* of the response, or as good as (timeout 408, §8.1.3.1) */
	struct stw_str phrase;
	const struct stw_cause *cause; /* of our own refusal, timeout or fault */
	bool by_us;                    /* ENDED: we have ended it */
	struct stw_str text;
	const struct stw_sdp_stream *stream;
	uint32_t expires_s, retry_s; /* retry_s 0: nobody said when */
	bool final;                  /* TRANSFERRED */
};

/** What the agent asks of its user. */
struct stw_ua_ops {
	void (*event)(void *user, const struct stw_ua_event *event);
	/** A session needs a description: what we can do, where we receive. Borrowed until
	 * media_done(). NULL: sessions without descriptions (an offer gets 488). */
	const struct stw_sdp_abilities *(*media)(void *user, struct stw_session *session);
	/** The session that media() was asked for is over, also one that was refused before anybody
	 * was told of it: its port can be closed. May be NULL. */
	void (*media_done)(void *user, struct stw_session *session);
};

/* ---- what the called side does, as data -------------------------------------------------- */

/** Text is borrowed and lives as long as the agent; zero is a phone that rings until its user does
 * something. In the order in which requests are checked. */
struct stw_ua_policy {
	struct stw_str auth_realm; /* demand Digest credentials of `auth_user`: 401; empty: no */
	struct stw_str auth_user, auth_password;
	struct stw_str methods; /* Allow; empty: all that the agent can do. Others get 405 */
	struct stw_str
		extensions;   /* option tags that are supported; empty: all that the agent can do */
	struct stw_str users; /* user parts that are ours, "bob, 1234": others get 404, and the
				 first digits of a number 484; empty: any */
	struct stw_str accept;     /* body types; empty: application/sdp and those of the methods */
	uint32_t max_body;         /* 413 above; 0: no limit */
	struct stw_str require;    /* option tag that callers must support: 421 */
	struct stw_str priorities; /* Resource-Priority values that are known: 417 for who demands
				      others (RFC 4412); empty: no such extension */
	bool reject_anonymous;     /* 433, RFC 5079 */
	uint32_t min_se_s;         /* 422 below it, RFC 4028; 0: 90 */
	struct stw_str
		screen_via;       /* URI: 305 unless the request came by a Route or from its host */
	struct stw_str recv_info; /* Info packages: 469 for others, RFC 6086 */
	bool dnd;                 /* 480 */
	unsigned lines;           /* sessions at a time; 0: no limit. 486 above */
	bool busy_everywhere;     /* … or 600 */
	struct stw_str redirect;  /* Contact value: 302 */
	bool automatic;           /* what follows is done without the user */
	/** RFC 5373: Answer-Mode: Auto is obeyed; Priv-Answer-Mode, too, of who has shown the
	 * credentials of `auth_realm`; the 2xx says how it was answered. */
	bool auto_answer, auto_answer_privileged, tell_answer_mode;
	uint32_t ring_ms; /* 180 for so long; 0: none */
	bool early_media; /* 183 with our answer in place of 180 */
	bool reliable;    /* provisional responses by 100rel when the caller supports it */
	unsigned then;    /* final response; 0: 200 */
	struct stw_str then_phrase, then_headers; /* of it; empty: the usual ones */
	bool send_199; /* before a refusal of what has rung, to who supports it (RFC 6228 §5):
			  for proxies on the way that do not */
	bool refuse_transfer; /* REFER in a session: 603; else the target is called */
	bool obey_refer;      /* … and outside of sessions, of anybody; else 603 */
	bool refuse_takeover; /* Replaces and Join: 403; else who knows the dialog may */
	bool mixes;           /* the user mixes the sound of sessions: Join is accepted, not 488 */
	bool no_merge_check;  /* 482 is not sent */
	/** Preconditions (RFC 3312), with abilities that say so: our resources are there after
	 * `reserve_ms`, 0: from the beginning. Until they are met on both sides nobody is alerted.
	 */
	bool qos;
	uint32_t reserve_ms;
	bool qos_fails; /* … they cannot be had: mandatory preconditions of an offer are not met:
			   580 */
};

/** What the called side can do. */
#define STW_UA_METHODS                                                                             \
	"INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, MESSAGE, REFER, NOTIFY, "         \
	"SUBSCRIBE"
#define STW_UA_EXTENSIONS "100rel, timer, replaces, join, norefersub, tdialog, 199, answermode"

/** Text is borrowed and lives as long as the agent. */
struct stw_ua_options {
	struct stw_stack *stack;
	const struct stw_ua_ops *ops;
	void *user;
	struct stw_str aor;          /* "sip:alice@example.com": From, and To of REGISTER */
	struct stw_str display;      /* before it, with quotes when needed; empty: none */
	struct stw_str contact_user; /* of our Contact; empty: that of the AOR */
	struct stw_str outbound;     /* URI of an outbound proxy; empty: none */
	struct stw_str auth_user, auth_password; /* for 401 and 407; empty user: that of the AOR */
	struct stw_str agent;                    /* User-Agent and Server; empty: none */
	/* what the answer to OPTIONS outside of sessions describes, §11.2; NULL: nothing */
	const struct stw_sdp_abilities *abilities;
	uint32_t session_expires_s; /* asked for in INVITE, RFC 4028: from 90 on; 0: none */
	bool follow_redirects; /* 3xx but 380: its Contacts are tried, by q (§8.1.3.4); in a dialog
				  too, with its route set (§12.2.1.2) */
	unsigned max_sessions; /* of all kinds: 503 above; 0: 1000 */
	struct stw_ua_policy policy;
};

/** @return 0; -ENOMEM; -EINVAL the AOR is no SIP URI */
int stw_ua_new(const struct stw_ua_options *options, struct stw_ua **ret);
/** Another policy, from the next request on. Copied; its text is borrowed. */
void stw_ua_set_policy(struct stw_ua *ua, const struct stw_ua_policy *policy);
/** A request that the core of the stack got. @return false: an ACK that is not for a session of the
 * agent; drop it. All others are answered. */
bool stw_ua_request(struct stw_ua *ua, struct stw_request *request);
/** Is it for a dialog of this agent? For a core that has other uses for its requests. */
bool stw_ua_has_dialog(const struct stw_ua *ua, const struct stw_msg *request);
/** End all sessions and registrations; their events follow. */
void stw_ua_stop(struct stw_ua *ua);
/** Sessions that have begun and not ended. */
unsigned stw_ua_sessions(const struct stw_ua *ua);
/** Nothing is left: no session, registration or transaction. */
bool stw_ua_idle(const struct stw_ua *ua);
/** Nothing is awaited any more: what is left only answers repetitions of the peers. */
bool stw_ua_quiet(const struct stw_ua *ua);
/** Before its stack is freed. Tells nothing any more. Accepts NULL; returns NULL. */
struct stw_ua *stw_ua_free(struct stw_ua *ua);

/* ---- sessions -------------------------------------------------------------------------------- */

enum stw_session_state {
	STW_SESSION_CALLING,   /* INVITE sent */
	STW_SESSION_INCOMING,  /* INVITE received, no final response yet */
	STW_SESSION_ACCEPTED,  /* 2xx sent, no ACK yet */
	STW_SESSION_CONFIRMED, /* §13 is done */
	STW_SESSION_ENDED,
};

/** Text is copied. */
struct stw_session_options {
	struct stw_str uri;
	struct stw_str headers; /* whole lines besides: Subject, Replaces, Answer-Mode … */
	struct stw_str content_type, body; /* in place of a description of ours; empty: none */
	bool late_offer; /* no offer in the INVITE: theirs is answered in the ACK */
	bool anonymous;  /* RFC 3323: From without identity, Privacy: id */
	bool overlap;    /* digits are dialled one by one: a 484 does not end it, §21.4.22 */
	bool focus;      /* as stw_session_focus() says */
	/* anonymous: the user agrees that after a 433 it is sent openly (RFC 5079 §4) */
	bool identity_allowed;
	void *user;
};

/** Place a call (§13.2). @return 0; -EINVAL, -EBADMSG, -ENOMEM as stw_stack_originate(); -ENOBUFS
 * too many sessions */
int stw_ua_call(
	struct stw_ua *ua, const struct stw_session_options *options, struct stw_session **ret);
/** After INCOMPLETE: more digits, behind those that the Request-URI has. @return 0; -EINVAL none
 * are asked for; -errno */
int stw_session_dial(struct stw_session *session, struct stw_str digits);
/** INCOMING: a provisional response, 180 or 183 (with our answer). */
int stw_session_ring(struct stw_session *session, unsigned code);
/** INCOMING: 200, with our answer or offer. @return 0; -EINVAL not incoming; -errno */
int stw_session_accept(struct stw_session *session);
/** INCOMING: a refusal, 300 to 699; the event ENDED follows during the call. */
int stw_session_refuse(
	struct stw_session *session, unsigned code, struct stw_str phrase, struct stw_str headers);
/** End it in any state: CANCEL, 487 (as 480), BYE. `reason` is a whole Reason line, or empty. */
void stw_session_end(struct stw_session *session, struct stw_str reason);
/** CONFIRMED: hold or resume by re-INVITE; after 491 it is tried again (§14.1); CHANGED tells.
 * @return 0; -EBUSY an exchange is under way; -EINVAL */
int stw_session_hold(struct stw_session *session, bool hold);
/** CONFIRMED: re-INVITE with the description that `media` gives now and the Contact of where we are
 * now, after a change of address (§14.1, RFC 3665 §3.7). What is on hold stays so; CHANGED tells.
 * @return as stw_session_hold() */
int stw_session_renew(struct stw_session *session);
/** The user mixes its sound with that of other sessions: its Contact says isfocus from now on (RFC
 * 4579 §4), when CONFIRMED by a re-INVITE. Of what JOINED tells that is done already.
 * @return as stw_session_hold(); 0 before it is CONFIRMED */
int stw_session_focus(struct stw_session *session);
/** Blind transfer (RFC 5589 §6): REFER to `uri`; RESPONSE and TRANSFERRED tell. */
int stw_session_refer(struct stw_session *session, struct stw_str uri, void *job);
/** Attended transfer (RFC 5589 §7): the peer of `session` is to replace us in `other`. */
int stw_session_refer_to_session(struct stw_session *session, struct stw_session *other, void *job);
/** Text is copied. */
struct stw_refer_options {
	struct stw_str uri;      /* who is asked */
	struct stw_str refer_to; /* whom he is to call */
	struct stw_str headers;  /* whole lines besides */
	bool no_subscription;    /* Refer-Sub: false (RFC 4488): do not tell how far it has got */
	void *job;
};
/** REFER outside of a session (RFC 3515): RESPONSE, then TRANSFERRED up to `final` unless the 2xx
 * grants `no_subscription`. @return as stw_stack_originate() */
int stw_ua_refer(struct stw_ua *ua, const struct stw_refer_options *options);
/** INFO (RFC 6086; `package` empty: the old use) or MESSAGE in the dialog. RESPONSE tells. */
int stw_session_send(struct stw_session *session, struct stw_str method, struct stw_str headers,
	struct stw_str content_type, struct stw_str body, void *job);

enum stw_session_state stw_session_state(const struct stw_session *session);
/** NULL before there is one. */
const struct stw_dialog *stw_session_dialog(const struct stw_session *session);
/** What was agreed on last; NULL: nothing yet. */
const struct stw_sdp_stream *stw_session_stream(const struct stw_session *session);
/** Did we place the call? */
bool stw_session_is_caller(const struct stw_session *session);
/** The INVITE: ours or theirs. */
const struct stw_msg *stw_session_invite(const struct stw_session *session);
void stw_session_set_user(struct stw_session *session, void *user);
void *stw_session_user(const struct stw_session *session);

/* ---- requests outside of sessions ------------------------------------------------------------ */

/** Text is copied. */
struct stw_ua_message {
	struct stw_str method; /* OPTIONS, MESSAGE, or any other but INVITE, ACK, CANCEL */
	struct stw_str uri;
	struct stw_str headers; /* whole lines besides */
	struct stw_str content_type, body;
	/* sent in its place after a 413, if smaller, or a 415 whose Accept has this type */
	struct stw_str other_type, other_body;
	void *job; /* comes back with RESPONSE */
};

/** Send it; redirects, and what single codes ask for, are seen to (lib/ua/again.c). @return as
 * stw_stack_originate() */
int stw_ua_send(struct stw_ua *ua, const struct stw_ua_message *message);

/** Text is copied. */
struct stw_registration_options {
	struct stw_str registrar;      /* URI; empty: the domain of the AOR */
	uint32_t expires_s;            /* asked for; 0: 3600 */
	struct stw_str contact_params; /* ";q=0.5;+sip.instance=…", or empty */
	/** Bound besides ours and removed with it: "<mailto:alice@example.com>, <sip:…>;q=0.1".
	 * Without expires parameters; empty: none. */
	struct stw_str contacts;
	bool fetch;      /* ask for the bindings only: one REGISTER without Contact */
	bool remove_all; /* Contact: * with Expires: 0 */
	bool once;       /* no refresh */
};

/** Bind our Contact to the AOR and keep it so: refreshed in time, with a larger time after 423,
 * with credentials after 401 and 407, again after a failure (RFC 5626 §4.5: 30 s, doubled up to
 * 1800). */
int stw_ua_register(struct stw_ua *ua, const struct stw_registration_options *options,
	struct stw_registration **ret);
/** Remove the binding and forget; UNREGISTERED is the last of it. */
void stw_registration_end(struct stw_registration *registration);

/* ---- reactions ---------------------------------------------------------------------------------
 */

/** May a request that got this answer be sent again, and how: column `retry` of the status table.
 */
enum stw_ua_retry {
	STW_UA_RETRY_NEVER,
	STW_UA_RETRY_WITH_CHANGE, /* at once, with what the response asks for */
	STW_UA_RETRY_DELAY,       /* later, or after Retry-After */
	STW_UA_RETRY_OTHER,       /* to another target */
	STW_UA_RETRY_FIX,         /* by a human who repairs it */
};
enum stw_ua_retry stw_ua_retry(unsigned code);

#define CAUSE(name, id, code, phrase, rfc, meaning, reason, remedy) STW_CAUSE_DECLARE(name);
#include <strowger/causes/ua.def>
#undef CAUSE

#endif
