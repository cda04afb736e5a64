/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * route: who shall answer a request. The lists P, R and U of checks, each a table in the order of
 * the RFC; a check passes, refuses with a cause, or waits for the store.
 */
#ifndef STW_ROUTE_H
#define STW_ROUTE_H

#include <jansson.h>

#include "server/core_internal.h"
#include "server/hook/reply.h"

/* What the server says of itself in a 200 to OPTIONS, RFC 3261 §11.2, and in a 415. */
#define ROUTE_ACCEPT          "Accept: " STW_BODY_ACCEPT "\r\n"
#define ROUTE_ACCEPT_ENCODING "Accept-Encoding: " STW_BODY_ENCODINGS "\r\n"
#define ROUTE_ACCEPT_LANGUAGE "Accept-Language: " STW_BODY_LANGUAGES "\r\n"

enum stw_verdict {
	STW_PASS,   /* go on with the next row */
	STW_REFUSE, /* check->refusal says why */
	STW_DONE,   /* answered, forwarded or waiting: nothing more to do here */
};

struct stw_diverter;
struct stw_waiting; /* queue.c */

/** What the server does for a call beside forwarding it once; lies in the request's arena. */
struct stw_service {
	struct stw_str aor;    /* whose phones are tried; empty: none whose settings would matter */
	uint32_t no_answer_ms; /* for all of them together; 0: call.ring_timeout */
	struct stw_diverter *diverters;    /* who has forwarded the call, oldest first */
	struct stw_str diversion, history; /* lines of the forwarded request */
	struct stw_str group, group_domain, group_aor; /* whose members are tried; empty: none */
	unsigned member;                               /* the next of them */
	const uint8_t *turns;                          /* in which turn they come … */
	unsigned turn_count;                           /* … 0: as they are listed */
	struct stw_waiting *waiting;                   /* in a queue; NULL: no longer */
	bool goes_on;                    /* what was said so far counts beside what comes */
	struct stw_refusal announcement; /* to be told before the next group; cause NULL: none */
	bool open;                       /* stw_request_proxy() was called */
	struct stw_refusal end; /* whatever was tried comes to this; cause NULL: it counts itself */
	bool conveys_608;       /* the caller is told here what a 608 from below means */
	bool conveyed;          /* … and that was tried: what was said goes up */
	struct stw_str added;   /* lines for the forwarded request … */
	const struct stw_str *without; /* … and names of fields that do not go on */
	unsigned without_count;
};

/** What it has said; lies in the request's arena. */
struct stw_inquiry {
	bool answered;                 /* or known not to be */
	const struct stw_cause *cause; /* NULL: `reply` counts; else why there is none */
	struct stw_str why;            /* in words */
	struct stw_hook_reply reply;
};

/* What Request-Disposition may hold (RFC 3841 §9.1); the two of a type contradict each other. */
#define STW_DIRECTIVES(X)                                                                          \
	X(PROXY, "proxy")                                                                          \
	X(REDIRECT, "redirect")                                                                    \
	X(CANCEL, "cancel")                                                                        \
	X(NO_CANCEL, "no-cancel")                                                                  \
	X(FORK, "fork")                                                                            \
	X(NO_FORK, "no-fork")                                                                      \
	X(RECURSE, "recurse")                                                                      \
	X(NO_RECURSE, "no-recurse")                                                                \
	X(PARALLEL, "parallel")                                                                    \
	X(SEQUENTIAL, "sequential")                                                                \
	X(QUEUE, "queue")                                                                          \
	X(NO_QUEUE, "no-queue")

enum stw_directive {
#define DIRECTIVE(name, word) STW_DIRECTIVE_##name,
	STW_DIRECTIVES(DIRECTIVE)
#undef DIRECTIVE
};

/** A request on its way through a list. */
struct stw_check {
	struct stw_core *core;
	struct stw_request *request;
	const struct stw_config *config;
	struct stw_refusal refusal;
	const struct stw_uri *called; /* the Request-URI, or the user that the dial plan names */
	struct stw_str domain; /* the domain of ours that the Request-URI names; empty: foreign */
	struct stw_str caller_domain; /* the domain of ours that From names; empty: a stranger */
	bool emergency;
	struct stw_str emergency_number; /* that was dialled; empty: a URN, or no emergency */
	bool follows; /* what becomes of this call is known: it is an INVITE outside a dialog, and
			 somebody asks */
	bool left_dialog; /* it has our mark of one, and does not go where that goes */
	bool authenticated;
	bool nonce_ages;         /* the next one is due */
	struct stw_str user_aor; /* whose credentials were right */
	uint64_t removed_users;  /* stw_store_removed_users() before he was looked up */
	struct stw_credentials credentials;
	struct stw_register *registration;
	unsigned priority; /* that the caller is entitled to, 0 (usual) to STW_PRIORITY_RANK_MAX */
	struct stw_service *service;         /* NULL: none so far */
	const struct stw_check_row *row;     /* that is being run */
	struct stw_inquiry *inquiries;       /* one for each purpose; NULL: nobody was asked */
	struct stw_preferences *preferences; /* of the caller; NULL: none */
	bool unwanted;                       /* … and a phone was left out for them */
	bool directives_known;               /* the next was read */
	unsigned directives;                 /* of Request-Disposition, a bit each */
	const struct stw_edge *edge;         /* whose registrar is meant; NULL: none */
	struct stw_hop flow;                 /* of the phone that a Path of ours leads to */
	struct stw_str
		on_behalf; /* of whom the call is made that was forwarded; empty: the caller */
};

/** A check that goes on in a later batch: it borrows from its request alone. @return 0, -ENOMEM */
int stw_route_check_keep(const struct stw_check *check, struct stw_check *ret);

typedef enum stw_verdict stw_check_fn(struct stw_check *check);

/** One row: name as in the specification of checks ("P7"), and its function. */
struct stw_check_row {
	const char *name;
	stw_check_fn *run;
};

/** Run a list, or the rest of one. */
void stw_route_run(struct stw_check *check, const struct stw_check_row *rows);
/** Choose the list and run it. */
void stw_route_request(struct stw_core *core, struct stw_request *request);
/** The store has answered a REGISTER (R15, R16). */
void stw_route_registered(struct stw_core *core, struct stw_request *request, struct stw_job *job);

extern const struct stw_check_row stw_route_proxy_rows[];
extern const struct stw_check_row stw_route_ack_rows[];
extern const struct stw_check_row stw_route_registrar_rows[];
extern const struct stw_check_row stw_route_server_rows[];

/* proxy.c */
/** It goes where its dialog does: nobody is asked who he is. */
bool stw_route_stays_in_dialog(struct stw_check *check);

/* domain.c */
/** The domain of ours that host[:port] names, or empty. Our own addresses stand for the first
 * domain. */
struct stw_str stw_route_domain(const struct stw_core *core, const struct stw_uri *uri);
/** Canonical AOR of a user part in one of our domains, in the request's arena. @return 0, -EBADMSG,
 * -ENOMEM */
int stw_route_aor(struct stw_check *check, const struct stw_uri *uri, struct stw_str domain,
	struct stw_str *ret);

/* access.c */
enum stw_verdict stw_route_authenticate(
	struct stw_check *check, enum stw_header header, struct stw_str realm);
/** The caller who had proven who he is has been removed since: he is asked again (§22.3). */
enum stw_verdict stw_route_caller_gone(struct stw_check *check);
enum stw_verdict stw_route_refuse(struct stw_check *check, const struct stw_cause *cause);

/** The source of the request has proven an identity, or has a binding: its limit is the larger. */
void stw_route_proven(struct stw_core *core, const struct stw_request *request);

/* body.c */
/** U10: refuse with 415, or 400 for a multipart that cannot be read, what has to be understood. */
enum stw_verdict stw_route_body(struct stw_check *check);

/* server.c */
/** U9, R5: refuse with Unsupported when Require names a tag that is not `supported`; NULL: none is.
 */
enum stw_verdict stw_route_require(struct stw_check *check,
	bool (*supported)(const struct stw_check *check, struct stw_str tag),
	const struct stw_cause *cause);
/** What the server says of itself in a 200 to OPTIONS, behind these lines. @return 0; -ENOMEM */
int stw_route_capability_lines(struct stw_check *check, const char *lines, struct stw_str *ret);

/* dialog.c: calls to the server itself, in whose dialogs nothing can be changed */
#define ROUTE_CALL_ALLOW "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\n"
/** The 200 to OPTIONS, also when it has been forwarded before. */
enum stw_verdict stw_route_capabilities(struct stw_check *check);
/** A request other than INVITE, BYE, ACK and CANCEL there. */
enum stw_verdict stw_route_in_dialog(struct stw_check *check);
/** U6: any request in the early dialog that a 181 or 182 to `invite` has made. */
enum stw_verdict stw_route_early(struct stw_check *check, struct stw_request *invite);

/* dialplan.c */
/** P12: what the dial plan says of a number: a user (then `called`), a trunk, or a refusal. */
enum stw_verdict stw_route_dialplan(struct stw_check *check);
/** The domain of ours that a tel URI belongs to (RFC 3966 §5.1.5), or empty. */
struct stw_str stw_route_tel_domain(const struct stw_config *config, const struct stw_uri *uri);

/* ambiguous.c */
/** P12: a name that several users go by: 485, or 404. */
enum stw_verdict stw_route_ambiguous(struct stw_check *check);
/* session.c */
/** P11: the session interval, as the options want it (RFC 4028 §8.1). */
enum stw_verdict stw_route_session(struct stw_check *check);

/* limit.c */
/** P10: the call begins; a caller who has as many as he may is refused. */
enum stw_verdict stw_route_call(struct stw_check *check);
/** Has the user as many calls as he may? If not, he is in this one from now on. */
bool stw_route_busy(struct stw_check *check, const struct stw_user *user);

/* called.c */
/** The user of ours who calls, as he has proven or as From says; NULL: a stranger. */
const struct stw_user *stw_route_caller(struct stw_check *check);
/** On whose behalf a call goes on: the user who has it forwarded, else the caller. */
const struct stw_user *stw_route_payer(struct stw_check *check);
/** P10, P12: what the called user's settings say of this caller: state, lists, anonymity. */
enum stw_verdict stw_route_called(struct stw_check *check, const struct stw_user *user);
/** Does the user not want to be disturbed by this call? */
bool stw_route_dnd(struct stw_check *check, const struct stw_user *user);
/** Are callers told the user's addresses instead of being connected? Not when a forwarding waits
 * for what his phones say: then they are called, and what is told is where it goes. */
bool stw_route_redirects(struct stw_check *check, const struct stw_user *user);
/** 300 or 302 with what is registered, 480 without. */
enum stw_verdict stw_route_redirect(struct stw_check *check, const struct stw_bindings *registered);

/* proxy.c */
/** P2 to P5. */
enum stw_verdict stw_route_validate(struct stw_check *check);

/** P8: a Route that looks like ours and is not. */
enum stw_verdict stw_route_mark(struct stw_check *check);

/* edge.c */
extern const struct stw_check_row stw_route_edge_rows[], stw_route_flow_rows[];
/** The domain of somebody else that the request is for and whose phones come by us; NULL: none. */
const struct stw_edge *stw_route_edge(const struct stw_check *check);
/** Does the request go to a phone behind us? Then `flow` says where. */
bool stw_route_edge_flow(struct stw_check *check);

/* emergency.c */
extern const struct stw_check_row stw_route_emergency_rows[];
/**
 * urn:service:sos and below (RFC 5031), or one of emergency.numbers as a tel URI or in a domain of
 * ours. Never in ACK, CANCEL and REGISTER.
 * @param ret_number  as it stands in emergency.numbers; empty for a URN
 */
bool stw_route_is_emergency(
	const struct stw_core *core, const struct stw_msg *request, struct stw_str *ret_number);
/** What every request pays for that: a name is no number, its first letter says so. */
static inline bool stw_route_may_be_emergency(const struct stw_msg *request)
{
	const struct stw_uri *uri = &request->uri;

	return uri->scheme == STW_SCHEME_URN || (uri->user.len > 0 && uri->user.ptr[0] <= '9');
}

/* dialplan.c */
/** Has the caller this class, or who forwards his call? His own ones, or those of all our users;
 * what the web server has granted is for the caller. Empty: everybody. */
bool stw_route_class_held(struct stw_check *check, struct stw_str class);

/* trunk.c */
/** The number goes to this trunk. */
enum stw_verdict stw_route_trunk(
	struct stw_check *check, const struct stw_trunk *trunk, struct stw_str number);
/** Who answers when the trunk asks who is calling; NULL: the caller. @return 0, -ENOMEM */
int stw_route_trunk_account(
	struct stw_check *check, const struct stw_trunk *trunk, struct stw_account **ret);
/** P12: the caller names the host of a trunk himself. */
enum stw_verdict stw_route_trunk_direct(struct stw_check *check);
/** P12: what a trunk sends to our Contact there is for whom `incoming` or To names. */
enum stw_verdict stw_route_trunk_incoming(struct stw_check *check);
/** The trunk where the Request-URI is registered as our Contact; NULL: none. */
const struct stw_trunk *stw_route_trunk_of_contact(const struct stw_check *check);
/** The trunks of `config`, which comes in the place of the core's: calls under way have their
 * login.
 */
void stw_route_trunks_reload(struct stw_core *core, const struct stw_config *config);
/** Why a request may not go there: stw_core_ops.guard. */
const struct stw_cause *stw_route_guard(struct stw_core *core, const struct stw_request *request,
	const struct stw_uri *uri, const struct stw_hop *hop);
/** The trunk that the request came from, by its address; NULL: none. */
const struct stw_trunk *stw_route_trunk_of_source(struct stw_check *check);
/** "sip:NUMBER@gateway;user=phone" in the request's arena. @return 0, -ENOMEM */
int stw_route_trunk_uri(struct stw_check *check, const struct stw_uri *gateway,
	struct stw_str number, struct stw_str *ret);
#define STW_ROUTE_TARGETS_MAX 32

/** One act of forwarding, by a user or a group. Text lives as the request does. */
struct stw_diverting {
	struct stw_str aor, domain; /* who forwards */
	struct stw_str target;      /* as it was written in the settings */
	enum stw_forward_when when;
	const char *setting; /* that says so */
	const struct stw_cause *cause;
	bool redirects; /* the caller is told instead */
};

/* group.c */
/** A group is called, by this AOR. */
enum stw_verdict stw_route_group(
	struct stw_check *check, const struct stw_group *group, struct stw_str aor);
/** What rang has ended: the next member, or somebody else. */
void stw_route_group_next(struct stw_check *check, enum stw_forward_when when);

/* hours.c */
/** A group or queue that is called. */
struct stw_called_hours {
	const struct stw_opening *opening;
	const char *list, *kind, *closed, *overflow; /* "groups", "group", "groups.closed" … */
	struct stw_str name, aor, overflow_target;
};
/** When it takes no calls now: who gets them then, or 480. @return PASS: it does */
enum stw_verdict stw_route_hours(struct stw_check *check, const struct stw_called_hours *called);

/* queue.c */
/** A queue is called: a free agent is rung, or the caller waits. */
enum stw_verdict stw_route_queue(struct stw_check *check, const struct stw_call_queue *queue);
/** The agent who rang does not take the call. */
void stw_route_queue_next(struct stw_waiting *waiting, const struct stw_outcome *outcome);
/** A call that asks has ended, or has been answered: stw_core_ops.ended. */
void stw_route_ended(struct stw_core *core, struct stw_request *request, unsigned code,
	const struct stw_msg *response, const struct stw_proxy_target *target);
/** What is to be done for callers who wait. */
void stw_route_queues_work(struct stw_core *core);
/** What this worker knows of queues. */
struct stw_queue_view stw_route_queue_view(const struct stw_core *core);

/* ask.c: web servers */
/** A question, and how long its answer may be used again. */
struct stw_hook_ask {
	enum stw_purpose purpose;
	struct stw_str url;
	uint32_t timeout_ms, cache_s;
	json_t *facts; /* new reference; what differs from call to call is added */
};
/** NULL: no memory */
struct stw_inquiry *stw_route_inquiry(struct stw_check *check, enum stw_purpose purpose);
/** What is asked about this request, whatever the purpose; new reference. NULL: no memory */
json_t *stw_route_ask_facts(struct stw_check *check, const char *about);
/** Ask. @return STW_DONE: the answer comes later, and the row is run again; STW_PASS: the inquiry
 * is answered now */
enum stw_verdict stw_route_ask(struct stw_check *check, const struct stw_hook_ask *ask);
/** There is none that counts: a refusal, or a note of it; refusal.option is the caller's. */
enum stw_verdict stw_route_no_answer(struct stw_check *check, const struct stw_cause *cause,
	struct stw_str why, enum stw_on_failure on_failure);
/** An answer has come. Frees the question. */
void stw_route_answered(struct stw_core *core, struct stw_hook_question *question);

/* credit.c */
/** P12: has the one who pays for a call through a trunk what it costs? By his setting credit, and
 * by the web server of credit.url. Without a number: the one that stands in the request. */
enum stw_verdict stw_route_credit(
	struct stw_check *check, const struct stw_trunk *trunk, struct stw_str number);

/* priority.c */
/** P10: Resource-Priority: 400, 417, 403, or it counts: check->priority. */
enum stw_verdict stw_route_priority(struct stw_check *check);
/** U9: as far as it is for who asks what is known here: 400, 417. */
enum stw_verdict stw_route_priority_known(struct stw_check *check);
/** Accept-Resource-Priority with all values that are acted upon; empty: none, or no memory. */
struct stw_str stw_route_priority_line(struct stw_check *check);

/* analytics.c */
/** P10: what the web server of analytics.url says of the call. */
enum stw_verdict stw_route_analytics(struct stw_check *check);
/* rejection.c: 608 for callers who do not understand it, RFC 8688 §3.4 */
/** Does he, as analytics.announcement is set, hear an announcement before a 608? */
bool stw_route_hears_rejection(const struct stw_check *check);
/** Of the media server, and then check->refusal, which names the card; `cause`: why. */
enum stw_verdict stw_route_announce(struct stw_check *check, const struct stw_cause *cause);
/** P10: a caller who does not understand 608 will hear an announcement here: the request says so.
 */
enum stw_verdict stw_route_rejection(struct stw_check *check);
/** A phone, or a server below, has given a 6xx. */
void stw_route_rejected(struct stw_check *check, const struct stw_outcome *outcome);

/* divert.c */
/** The URI of a forwarding's target: a user, a number, a group of the domain, or a URI. @return 0;
 * -ENOMEM; -EBADMSG */
int stw_route_target_uri(
	struct stw_check *check, struct stw_str text, struct stw_str domain, struct stw_str *ret);
/** The service of the call, made when there is none. NULL: no memory */
struct stw_service *stw_route_service(struct stw_check *check);
/** These fields of the request, too, do not go on. Names are not copied. @return 0, -ENOMEM */
int stw_route_leave_out(struct stw_check *check, const struct stw_str *names, unsigned n);
enum stw_verdict stw_route_divert_to(
	struct stw_check *check, const struct stw_diverting *diverting);
/** Does the user have calls forwarded in this case? @return true: `ret` says what came of it */
bool stw_route_divert(struct stw_check *check, const struct stw_user *user,
	enum stw_forward_when when, enum stw_verdict *ret);
/** The phones of the user are about to be tried: his rules are asked when they have ended. @return
 * 0, -ENOMEM */
int stw_route_divert_watch(struct stw_check *check, const struct stw_user *user);
/** The call is given to the stack, and nothing rings yet; who has forwarded it is told. @return
 * false: it is over */
bool stw_route_hold(struct stw_check *check);
/** P14: the targets of a request, or further ones of a call that was forwarded. */
enum stw_verdict stw_route_submit(struct stw_check *check, struct stw_proxy_job *job);
/** All that was tried has ended. */
void stw_route_next(
	struct stw_core *core, struct stw_request *request, const struct stw_outcome *outcome);

/* preferences.c */
/** P12: read Accept-Contact, Reject-Contact and Request-Disposition (RFC 3841). */
enum stw_verdict stw_route_preferences(struct stw_check *check);
/** Does Request-Disposition name this directive? */
bool stw_route_directive(struct stw_check *check, enum stw_directive directive);
/** May the request go to this phone, and how well does that suit the caller? */
bool stw_route_wants(
	struct stw_check *check, const struct stw_binding *binding, unsigned *ret_score);
/** Order the phones of a user, and take out those that he does not want. @return how many remain */
unsigned stw_route_prefer(struct stw_check *check, struct stw_proxy_target *targets,
	unsigned scores[STW_ROUTE_TARGETS_MAX], unsigned n);

/* target_set.c */
/** P14 to these targets. */
enum stw_verdict stw_route_forward(
	struct stw_check *check, const struct stw_proxy_target *targets, unsigned n);
enum stw_verdict stw_route_target_set(struct stw_check *check);
/** The bindings of an AOR that the request may go to. `ret_live`: and those of another scheme.
 * @return how many */
unsigned stw_route_bindings(struct stw_check *check, struct stw_str aor,
	struct stw_proxy_target *targets, unsigned max, unsigned *ret_live);
/* In a dialog: the binding of the user whom To names that has the Request-URI as its Contact, and
 * how it is reached. */
bool stw_route_binding_of_to(struct stw_check *check, struct stw_proxy_target *ret);
/* In a dialog: the Request-URI, where it is not reached as any other would be. */
bool stw_route_target_of_to(struct stw_check *check, struct stw_proxy_target *ret);

#endif
