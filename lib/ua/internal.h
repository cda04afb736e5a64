/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the user agent share. */
#ifndef STW_UA_INTERNAL_H
#define STW_UA_INTERNAL_H

#include <strowger/ua.h>
#include <strowger/uac.h>
#include <strowger/uas.h>

#define TEXT_MAX           512
#define LINES_MAX          8192 /* header lines of a request or response of ours */
#define MIN_SE_S           90   /* RFC 4028 §5 */
#define AUTH_TRIES         2    /* a proxy and the called side, or a nonce that was stale */
#define INTERVALS_MAX      5    /* of session timers that are asked for */
#define BYES_MAX           3    /* more of them after 500 */
#define SESSIONS_MAX       1000
#define FORKS_MAX          32  /* of an INVITE: early dialogs, and 2xx that are acknowledged */
#define SUBSCRIPTION_S     600 /* of a REFER: as long as a call may ring, or wait in a queue */
#define SUBSCRIPTION_MAX_S 86400
#define NOTIFY_WAIT_S      32 /* 64*T1: Timer N of RFC 6665 §4.1.2.4 */
#define GONE_MAX           64 /* dialogs that are over and still known by name */

struct exchange;
struct target;

/* Who waits for the answer to a request of ours. */
struct exchange_ops {
	void (*provisional)(struct exchange *exchange, const struct stw_msg *response);
	/* The last word; `response` NULL: none came, `cause` says why. Of an INVITE again for each
	 * further 2xx. */
	void (*final)(struct exchange *exchange, const struct stw_msg *response, unsigned code,
		const struct stw_cause *cause);
};

/* A request of ours with its repetitions: credentials, redirects, what 422 and 423 ask for. */
struct exchange {
	struct exchange *next, **link;
	struct stw_ua *ua;
	struct stw_session *session;           /* NULL: outside, or it has ended */
	struct stw_registration *registration; /* NULL: of no registration */
	struct referral *referral;             /* NULL: no REFER, no NOTIFY of one */
	struct stw_dialog *dialog;             /* NULL: outside of dialogs */
	bool owns_dialog;                      /* a BYE, when its session has ended */
	struct early *forks; /* of an INVITE: early dialogs that did not become the session's */
	const struct exchange_ops *ops;
	void *job;
	struct stw_client *client; /* NULL: nothing is under way */
	enum stw_method method;
	struct stw_str name, uri, to, route, headers, content_type, body; /* in `text` */
	struct stw_str other_type, other_body, contact_params;            /* likewise */
	struct stw_str target_headers; /* likewise: lines that the URI of a redirection has */
	char call_id[STW_CALL_ID_BYTES], tag[STW_TAG_BYTES];
	uint32_t cseq;
	unsigned auth_tries, changes;
	struct target *targets; /* of redirections; NULL: none yet */
	struct target *target;  /* the one that is asked */
	bool redirected;        /* `uri` is one of them */
	bool by_proxy;          /* after a 305 */
	bool anonymous, identity_allowed;
	bool finished;      /* the last word has been told */
	unsigned overtaken; /* BYE: how often 500 was the answer */
	unsigned acks;      /* of an INVITE */
	unsigned busy;      /* functions of it at work: not freed */
	bool dead;          /* nobody waits any more */
	char *text;
};

/* What is to be sent; all text is copied. */
struct exchange_options {
	struct stw_str method, uri, to, route, headers, content_type, body, contact_params;
	struct stw_str other_type, other_body; /* of the body when that one is not taken */
	struct stw_str target_headers;
	struct stw_session *session;
	struct stw_registration *registration;
	struct referral *referral;
	struct stw_dialog *dialog;
	bool owns_dialog, anonymous;
	bool identity_allowed;     /* anonymous: not any more after a 433 */
	const char *call_id, *tag; /* NULL: new ones */
	uint32_t cseq;             /* the last one that was used */
	const struct exchange_ops *ops;
	void *job;
};

/* An early dialog of a call of ours. */
struct early {
	struct early *next;
	struct stw_dialog *dialog;
	uint32_t rseq;               /* of the last reliable provisional response, 0: none */
	bool ended;                  /* 199 was said: only a 2xx of it counts (RFC 6228 §5) */
	bool refused;                /* what it has offered could not be taken */
	struct stw_sdp_session *sdp; /* agreed on with it, while another one is heard; or NULL */
};

/* What is to be changed by a re-INVITE as soon as nothing is in its way. */
enum change { CHANGE_NONE, CHANGE_HOLD, CHANGE_RESUME, CHANGE_RENEW };

struct stw_session {
	struct stw_session *next, **link;
	struct stw_ua *ua;
	void *user;
	enum stw_session_state state;
	bool caller;
	bool anonymous; /* RFC 3323: what we send in it does not say who we are */
	struct stw_dialog *dialog;
	struct early *earlies;
	struct stw_block *invite_block;
	struct stw_msg *invite;    /* ours or theirs */
	struct exchange *inviting; /* our INVITE or re-INVITE that has no final response */
	struct exchange *updating;
	struct stw_request *asked; /* their INVITE or re-INVITE: no ACK yet, or no final response */
	bool ringing;
	unsigned ring_code; /* waits for the PRACK of the one before */
	bool accept_waits;  /* likewise */
	/* descriptions */
	const struct stw_sdp_abilities *abilities; /* NULL: none */
	struct stw_sdp_session *sdp,
		*sdp_before;         /* the second: as it was before the first answer */
	struct stw_str answered_tag; /* whose answer that was, or whose offer we have answered */
	char answered_tag_text[128];
	bool late_offer;   /* our first INVITE had none */
	bool raw_body;     /* the user has given one */
	bool they_offered; /* in the INVITE that we have */
	bool we_answered;  /* that one, in a provisional response */
	bool agreed;       /* an offer has been answered */
	/* preconditions, RFC 3312 */
	bool suspended;      /* they are not met: nobody is alerted */
	bool reserving;      /* begun, or done */
	bool media_waits;    /* what was agreed on is not told before they are met */
	bool described_anew; /* before the 2xx, which does not repeat the first answer then */
	struct stw_alarm reserve;
	/* session timer, RFC 4028 */
	uint32_t expires_s, min_se_s; /* asked for */
	uint32_t interval_s;          /* agreed on, 0: none */
	bool refresher;               /* we are */
	struct stw_alarm refresh, expiry;
	/* changes */
	enum change change;
	bool focus;                         /* Contact says isfocus, RFC 4579 §4 */
	enum stw_sdp_direction wish_before; /* when that is refused */
	bool overlapped;                    /* it has been refused with 500 and Retry-After, once */
	uint32_t change_rseq; /* of the last reliable provisional response to it, 0: none */
	struct stw_alarm glare;
	/* the called side */
	struct stw_alarm ring;
	struct stw_alarm extend; /* the provisional response `rung` is due once more */
	unsigned rung;
	bool peer_update;             /* the peer takes UPDATE */
	bool automatic;               /* no human has answered it */
	struct referral *referred_by; /* a REFER has made this call, NULL: none that waits */
	struct stw_session *referrer; /* … in this session; NULL: none, or that one is over */
	bool cancelled, ending_by_us;
	unsigned intervals_raised;         /* after 422 */
	bool overlap, incomplete;          /* more digits may follow; a 484 has asked for them */
	struct stw_sdp_abilities narrowed; /* what the peer can do of ours, after 488 or 606 */
	struct stw_sdp_codec narrowed_codecs[STW_SDP_CODECS_MAX];
	unsigned busy; /* functions of it at work: not freed */
};

/* The subscription that a REFER has made. */
struct referral {
	struct referral *next, **link;
	struct stw_ua *ua;
	struct stw_session *session; /* in whose dialog it is; NULL: its own */
	struct stw_dialog *dialog;   /* its own; NULL: not known yet */
	bool ours;                   /* we have sent the REFER, and are told */
	bool unwanted;               /* a NOTIFY of ours has ended it */
	void *job;
	char call_id[STW_CALL_ID_BYTES], tag[STW_TAG_BYTES]; /* of our REFER outside of a session */
	uint32_t cseq;                                       /* of the REFER; 0: not answered yet */
	struct stw_session *made;                            /* the call that theirs has made */
	unsigned code;                                       /* what was told last */
	uint64_t expires_ms;                                 /* monotonic: when `expiry` is over */
	struct stw_alarm expiry;
};

struct stw_registration {
	struct stw_registration *next, **link;
	struct stw_ua *ua;
	struct exchange *exchange;
	struct stw_alarm again;
	struct stw_str registrar, contact_params, contacts; /* in `text` */
	uint32_t expires_s, cseq;
	unsigned failures;
	bool fetch, remove_all, once, ending;
	char call_id[STW_CALL_ID_BYTES];
	char text[TEXT_MAX * 2];
};

struct stw_ua {
	struct stw_ua_options options;
	struct stw_stack *stack;
	struct stw_uri aor;
	struct stw_str contact_user;
	struct stw_digest_client *digest; /* NULL: no password */
	struct stw_nonces *nonces;        /* NULL: nobody is challenged */
	struct stw_session *sessions;
	struct stw_registration *registrations;
	struct referral *referrals;
	struct exchange *exchanges;
	unsigned session_count;
	struct stw_hash_key gone_key;
	uint64_t gone[GONE_MAX]; /* hashes of the names of dialogs that are over */
	unsigned gone_at;
	bool stopping;
};

/* ---- ua.c ---- */
void ua_tell(struct stw_ua *ua, const struct stw_ua_event *event);
void ua_tell_response(struct exchange *exchange, const struct stw_msg *response, unsigned code,
	const struct stw_cause *cause);
struct stw_str ua_methods(const struct stw_ua *ua);
struct stw_str ua_extensions(const struct stw_ua *ua);
/* Answer a request that is answered at once. */
void ua_answer(struct stw_ua *ua, struct stw_request *request, const struct stw_answer *answer);
/* With this cause, and header lines; the user is told. `session` may be NULL. */
void ua_refuse(struct stw_ua *ua, struct stw_request *request, const struct stw_cause *cause,
	struct stw_str lines, struct stw_session *session);
/* "sip:x@y;method=INVITE?Subject=z" as a Request-URI: neither belongs there (§19.1.1). Borrowed
 * from `uri` or `buffer`; empty: too long. */
struct stw_str ua_request_uri(const struct stw_uri *uri, char *buffer, size_t size);
/* "sip:x@y?Replaces=a%3Bto-tag%3Db&Require=replaces": the headers of the URI become those of our
 * INVITE. No others are taken: they would let who has sent it write our request (§19.1.5). */
void ua_uri_headers(const struct stw_uri *uri, struct stw_writer *writer);
unsigned ua_max_sessions(const struct stw_ua *ua);
/* Allow, Supported, Accept … as they go into each. */
void ua_write_abilities(const struct stw_ua *ua, struct stw_writer *writer);
struct stw_str cause_phrase(const struct stw_cause *cause);
unsigned cause_code(const struct stw_cause *cause);
/* Why a request has begun no dialog: an error of stw_dialog_new_uas(). */
const struct stw_cause *dialog_cause(int err);
uint32_t retry_after_s(const struct stw_msg *response);

/* ---- exchange.c ---- */
int exchange_begin(
	struct stw_ua *ua, const struct exchange_options *options, struct exchange **ret);
int exchange_send(struct exchange *exchange);
/* Its text as it is, to be changed and given to exchange_keep(): from the next exchange_send() on.
 */
struct exchange_options exchange_text(const struct exchange *exchange);
int exchange_keep(struct exchange *exchange, const struct exchange_options *options);
void exchange_orphan(struct exchange *exchange);
/* All of them (§12.3). */
void earlies_free(struct early **earlies);
void exchange_free_all(struct stw_ua *ua);

/* ---- again.c: what a refused request is sent once more with ---- */
/* `response` NULL: none came. @return true: it has been sent once more */
bool exchange_again(struct exchange *exchange, const struct stw_msg *response, unsigned code);
void targets_free(struct exchange *exchange);

/* ---- session.c ---- */
int session_new(struct stw_ua *ua, bool caller, struct stw_session **ret);
struct stw_session *session_find(const struct stw_ua *ua, const struct stw_msg *request);
/* The dialog of it that a request belongs to; NULL: none. */
struct stw_dialog *session_dialog_of(
	const struct stw_session *session, const struct stw_msg *request);
void session_tell(struct stw_session *session, struct stw_ua_event *event);
void session_fault(
	struct stw_session *session, const struct stw_msg *msg, const struct stw_cause *cause);
/* Tells ENDED and frees. `text`: Reason or the like. */
void session_over(struct stw_session *session, struct stw_ua_event *event);
void session_over_code(struct stw_session *session, const struct stw_msg *msg, unsigned code,
	const struct stw_cause *cause, bool by_us);
/* Send BYE in its dialog, then session_over(). */
void session_bye(struct stw_session *session, struct stw_str reason, struct stw_ua_event *event);
void session_free(struct stw_session *session);
void session_enter(struct stw_session *session);
void session_leave(struct stw_session *session);
int session_keep_invite(struct stw_session *session, const struct stw_msg *msg);
void session_established(struct stw_session *session);
/* Parameters of our Contact in it. */
struct stw_str session_contact_params(const struct stw_session *session);

/* ---- offer.c: descriptions ---- */
bool session_has_media(struct stw_session *session);
/* … unless preconditions are in the way. */
void session_tell_media(struct stw_session *session);
void session_media_is_there(struct stw_session *session);
/* @return 0, or why the description is refused: code, and lines for it */
struct offer_refusal {
	unsigned code;
	const struct stw_cause *cause;
	char warning[256];
	char body[2048];
	size_t body_len;
};
/* The response that says so; it borrows from `refusal`. */
void refusal_answer(const struct offer_refusal *refusal, struct stw_answer *answer);
/* A description where none belongs (RFC 3264 §4, RFC 6337 §2.2): not looked at, and told. */
void session_misplaced(struct stw_session *session, const struct stw_msg *msg);
int session_receive_offer(
	struct stw_session *session, const struct stw_msg *msg, struct offer_refusal *ret);
/* Only what a description of theirs names too is offered from now on; once.
 * @return false: nothing is in common, or it is all that was offered */
bool session_narrow(struct stw_session *session, const struct stw_msg *response);
/* The early dialog of a fork; NULL: none. */
struct early *session_early(const struct stw_session *session, struct stw_str tag);
/* Is there something agreed on with this one? */
bool session_fork_agreed(const struct stw_session *session, struct stw_str tag);
/* Another fork than the one that was heard before: what was agreed on with this one, if anything.
 */
void session_other_fork(struct stw_session *session, struct stw_str tag);
/* The same of the fork `tag`, in a response to our INVITE or an UPDATE: each makes its own. */
int session_receive_fork_offer(struct stw_session *session, const struct stw_msg *msg,
	struct stw_str tag, struct offer_refusal *ret);
/* The answer in a response of the fork `tag`. @return 0; -EBADMSG; -ENOENT there is none */
int session_receive_answer(
	struct stw_session *session, const struct stw_msg *msg, struct stw_str tag);

/* ---- caller.c ---- */
extern const struct exchange_ops invite_ops;
/* Of a 2xx that begins a dialog which nobody wants. */
void ack_and_bye(struct exchange *invite, const struct stw_msg *response);
void caller_end(struct stw_session *session, struct stw_str reason);
/* After a 422: ask for more. @return false: that is of no use */
bool session_raise_interval(struct stw_session *session, const struct stw_msg *response);
int session_ack(struct exchange *invite, struct stw_dialog *dialog, struct stw_str body);
/* Is this provisional response a reliable one (RFC 3262 §3)? */
bool is_reliable(const struct stw_msg *response, uint32_t *ret_rseq);
/* RFC 3262 §4: PRACK for a reliable provisional response, in order and without gaps; a repetition
 * is acknowledged by the transaction of its PRACK. `last`: RSeq of the one before, 0: none.
 * @return false: it is none that counts */
bool session_take_reliable(struct exchange *invite, struct stw_dialog *dialog, uint32_t *last,
	const struct stw_msg *response);

/* ---- called.c ---- */
void called_invite(struct stw_ua *ua, struct stw_request *request);
/* What the policy says about callers of which nothing else is wrong, list U19. `others`: sessions
 * besides. @param writer  lines for the refusal. @return NULL: nothing */
const struct stw_cause *called_refusal(const struct stw_ua *ua, unsigned others,
	const struct stw_msg *msg, struct stw_writer *writer);
int ring_now(struct stw_session *session, unsigned code);
void ring_by_policy(struct stw_session *session);
void called_end(struct stw_session *session);
void extend_fired(struct stw_alarm *alarm);

/* ---- check.c: the list U ---- */
struct ua_check {
	struct stw_ua *ua;
	struct stw_request *request;
	struct stw_session *session; /* of its dialog */
	struct stw_refusal refusal;
	struct stw_writer writer;
	char lines[2048];
};
/* NULL: pass */
const struct stw_cause *ua_check(struct ua_check *check);
/* The same of what Require says alone. */
const struct stw_cause *ua_check_require(struct ua_check *check);

/* ---- change.c: re-INVITE, UPDATE, session timer ---- */
void change_asked(struct stw_session *session, struct stw_request *request);
void update_asked(struct stw_session *session, struct stw_request *request);
int change_begin(struct stw_session *session, enum change change);
void timer_lines(const struct stw_session *session, struct stw_writer *writer);
void timer_answer(
	struct stw_session *session, const struct stw_msg *request, struct stw_writer *writer);
void timer_agreed(struct stw_session *session, const struct stw_msg *response);
void timer_start(struct stw_session *session);
void timer_stop(struct stw_session *session);
/* §14.1: before it is tried again after a 491. */
uint64_t glare_wait_ms(const struct stw_session *session);
void change_fired(struct stw_alarm *alarm);
void refresh_fired(struct stw_alarm *alarm);
void expiry_fired(struct stw_alarm *alarm);

/* ---- refer.c ---- */
/* `session` NULL: outside of sessions. */
void refer_asked(struct stw_ua *ua, struct stw_session *session, struct stw_request *request);
void notify_asked(struct stw_ua *ua, struct stw_session *session, struct stw_request *request);
void subscribe_asked(struct stw_ua *ua, struct stw_session *session, struct stw_request *request);

/* ---- referral.c: the subscription of a REFER ---- */
struct referral *referral_new(struct stw_ua *ua, struct stw_session *session, bool ours);
void referral_free(struct referral *referral);
/* Whose NOTIFY is this (of ours), or whose SUBSCRIBE (of theirs)? */
struct referral *referral_find(const struct stw_ua *ua, const struct stw_msg *request);
int referral_receive(struct referral *referral, const struct stw_msg *request);
void referral_told(struct referral *referral, const struct stw_msg *notify);
/* A NOTIFY of theirs is due within, or ours is the last one. */
void referral_await(struct referral *referral, uint32_t seconds);
/* Ours: the first one is, unless it is here already. */
void referral_await_first(struct referral *referral);
/* Theirs: this has come of it; from 200 on it is the last word, and it is freed. */
void referral_notify(struct referral *referral, unsigned code, struct stw_str phrase);
/* … refreshed, or with 0 ended, and told how far it has got. */
void referral_extend(struct referral *referral, const struct stw_msg *subscribe, uint32_t seconds);
/* Something has happened to the call that a REFER has made. */
void refer_progress(struct stw_session *made, unsigned code, struct stw_str phrase);
/* Is a REFER of theirs being carried out? Also when nobody wants to hear of it. */
bool referral_is_open(const struct stw_session *session);
void referrals_leave(struct stw_session *session, struct stw_dialog *dialog);
void referrals_end(struct stw_ua *ua);

/* ---- qos.c: preconditions ---- */
void qos_prepare(struct stw_session *session);
void qos_begin(struct stw_session *session);
void qos_step(struct stw_session *session);
/* NULL: go on; `suspended` says whether with qos_suspend() */
const struct stw_cause *qos_refusal(
	struct stw_session *session, bool named, struct stw_str *ret_lines);
void qos_suspend(struct stw_session *session);

/* ---- mode.c: Answer-Mode ---- */
/* May it be answered without its user, as was asked? */
bool answers_at_once(const struct stw_session *session);
/* NULL: the way that was demanded is possible, or none was */
const struct stw_cause *mode_refusal(const struct stw_ua *ua, const struct stw_msg *invite);
void mode_write(const struct stw_session *session, struct stw_writer *writer);
/* What the called side says of it in its 2xx; empty: nothing. */
struct stw_str mode_told(const struct stw_msg *response);

/* ---- named.c: Replaces and Join ---- */
struct named {
	struct stw_session *session;   /* NULL: none is named, or `cause` says what is wrong */
	bool join;                     /* else it is to be replaced */
	const struct stw_cause *cause; /* NULL: nothing is wrong */
};
void named_find(struct stw_ua *ua, const struct stw_msg *invite, struct named *ret);
/* One of them in a request where it does not belong; NULL: none. */
const struct stw_cause *named_misplaced(const struct stw_msg *request);
/* The dialog is over: who names it later is told so. */
void named_forget(struct stw_ua *ua, const struct stw_dialog *dialog);

/* ---- register.c ---- */
void registration_free(struct stw_registration *registration);

#endif
