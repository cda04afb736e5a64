/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scenario runner: plays a ladder (*.scn) in virtual time against the real server core.
 * Parties are raw SIP endpoints without logic of their own; see tests/scenario/README.md.
 *
 *	text.c     text kept in the scenario's arena, durations, lists
 *	world.c    time, network, names: the io of the core, simulated
 *	server.c   the core with its configuration, store, users and notes
 *	message.c  what a ladder can name in a message: "Via[2].branch"
 *	dialog.c   what a party has seen: calls, dialogs, route sets
 *	compose.c  the messages of the parties
 *	expect.c   comparison of a message with its line
 *	agent.c    a user agent in the place of the server
 *	printed.c  messages that an RFC prints
 *	hook.c     the web server that is asked about calls
 *	record.c   the records of calls
 *	play.c     the lines of a file, one after the other
 */
#ifndef STW_SCENARIO_RUNNER_H
#define STW_SCENARIO_RUNNER_H

#include "server/core.h"

#include <strowger/dns.h>

#define ROUTES_MAX  16
#define FIELDS_MAX  320
#define CHANGES_MAX 128
#define FLOWS_MAX   64
#define WORKERS_MAX 8

struct scenario;
struct party;
struct asked;

enum message_kind { MESSAGE_SIP, MESSAGE_PONG, MESSAGE_CLOSED };

/* One change or condition behind "|": "Via.count = 2", "+Route: <…>", "-Call-ID", "Route absent".
 */
struct change {
	char op; /* '=', '!' unequal, '~' contains, '^' contains not, '<', '>', '+', '-' absent, 'p'
		    present */
	struct stw_str name, value;
};

struct changes {
	struct change v[CHANGES_MAX];
	unsigned n;
};

/* A message on the ladder. */
struct message {
	enum message_kind kind;
	struct message *next;  /* waits for its line */
	struct message *older; /* of the same party, lines already played */
	struct party *party;   /* NULL: sent to nobody we know */
	bool from_server;
	bool parsed, well_formed; /* syntax; mandatory header fields too */
	struct stw_str text;
	struct stw_msg msg;
	struct stw_hop hop; /* as the server sees the party */
	uint64_t at_ms;
	unsigned order; /* of all that happened */
	struct stw_str uri;
	struct changes changes; /* how it was made, for a request that is sent once more */
};

/* What the party knows of one peer in a call (RFC 3261 §12). */
struct dialog {
	struct dialog *next;
	struct stw_str remote_tag, target, routes[ROUTES_MAX];
	unsigned route_count;
	bool confirmed;
};

struct call {
	struct call *next;
	struct stw_str id, local_tag, local, remote; /* addresses without tag */
	unsigned cseq;
	bool reliable;
	struct dialog *dialogs, *current;
	struct message *invite, *final; /* last INVITE sent and its final response */
};

struct party {
	struct party *next;
	struct stw_str name, password;
	struct stw_addr addr;
	bool user;       /* of our domain */
	int unreachable; /* what ICMP says of it; 0: nothing */
	bool unquoted, silent, connect_fails, connect_hangs, uses_tcp;
	struct message *pending, **pending_end;
	struct message *history; /* newest first */
	struct call *calls, *call;
	struct stw_str nonce; /* last answered */
	uint32_t nc;
};

enum flow_state { FLOW_FREE, FLOW_OPENING, FLOW_OPEN, FLOW_CLOSED };

struct sim_flow {
	enum flow_state state;
	struct stw_hop hop;
	struct party *party;
};

/* Something that the world tells the core when its time has come. */
struct happening {
	struct happening *next;
	uint64_t due_ms;
	unsigned worker; /* that hears of it */
	struct stw_io_event event;
	struct stw_dns_answer answer;
};

/* What the name server says to one question. */
struct dns_entry {
	struct dns_entry *next;
	struct stw_str name;
	enum stw_dns_type type;
	struct stw_dns_answer answer;
};

/* A note of the core, for "cause =" and for drops. */
struct note {
	struct note *older;
	enum stw_note_kind kind;
	enum stw_method method;
	unsigned code, order;
	uint64_t at_ms;
	struct stw_str call_id, option, place, facts;
	const struct stw_cause *cause;
	bool taken; /* a line has named it */
};

struct line {
	struct line *next;
	unsigned number;
	struct stw_str text;  /* continued lines joined */
	struct stw_str block; /* raw <<END */
};

struct scenario {
	const char *path;
	struct stw_str covers; /* the line of that name */
	bool verbose;
	struct stw_arena arena;
	struct line *lines, *at;
	/* failure: the first */
	bool failed;
	struct stw_str failure;
	/* time */
	struct stw_now now;
	uint64_t previous_ms; /* of the line before */
	uint64_t mark_ms;     /* last thing that a party or the world did */
	unsigned order;
	/* world */
	struct party *parties, *nobody;
	struct sim_flow flows[FLOWS_MAX];
	struct happening *happenings;
	struct dns_entry *names;
	unsigned questions; /* asked since the last "dns asked" */
	struct note *notes;
	struct stw_random random;
	/* server */
	struct stw_str guide;    /* configuration that a guide shows, or empty */
	struct stw_str settings; /* the option lines of "server:" as YAML */
	struct stw_str domain;
	unsigned worker_count;
	struct worker {
		struct scenario *s;
		unsigned index;
		struct stw_core *core;
	} workers[WORKERS_MAX];
	struct stw_workers *shared; /* NULL: one worker */
	struct stw_nonces *nonces;
	struct stw_queues *queues;
	struct stw_trunk_board *trunks;
	bool store_waits; /* jobs lie there until it goes on */
	struct stw_config *config;
	struct stw_store *store;
	struct stw_location *location;
	struct stw_directory *directory;
	struct stw_busy *busy;
	struct stw_sources *sources;
	uint32_t waits_us; /* how long what is sent to the server waits in its kernel */
	void *store_lock;
	char store_dir[64]; /* when the file restarts the server or breaks its store */
	struct stw_listeners listeners;
	struct agent *agent;         /* a user agent in its place; NULL: the server */
	struct stw_records *records; /* NULL: not asked for */
	struct recorded *recorded;   /* oldest first */
	struct asked *asked;         /* what the web server was asked, oldest first */
	bool hook_busy;              /* it takes no more */
};

/* main.c: causes over all files */
void cause_seen(const struct stw_cause *cause, bool asserted);

/* text.c */
int fail(struct scenario *s, const char *format, ...) STW_PRINTF(2, 3);
struct stw_str keep(struct scenario *s, struct stw_str text);
struct stw_str print(struct scenario *s, const char *format, ...) STW_PRINTF(2, 3);
void *make(struct scenario *s, size_t bytes);
/* Cut the next word, quotes kept together. False at the end. */
bool next_word(struct stw_str *text, struct stw_str *ret);
/* Cut up to `separator` outside quotes and brackets; trimmed. False at the end. */
bool next_item(struct stw_str *text, char separator, struct stw_str *ret);
bool is_word(struct stw_str text, const char *word);
/* "500 ms", "32s", "3 min": takes one word or two. @return 0, -EBADMSG */
int next_duration(struct stw_str *text, uint64_t *ret_ms);
struct stw_str unquoted(struct stw_str text);
bool contains(struct stw_str text, struct stw_str part);
/* "192.0.2.1", "192.0.2.1:5070", "[2001:db8::1]:5060". @return 0, -EBADMSG */
int address_read(struct stw_str text, struct stw_addr *ret);
void tell(struct scenario *s, const char *format, ...) STW_PRINTF(2, 3);

/* world.c */
extern const struct stw_io_ops world_ops;
struct party *party_find(struct scenario *s, struct stw_str name);
struct party *party_add(struct scenario *s, const char *name, const char *addr, bool user);
void world_parties(struct scenario *s);
int world_send(
	struct scenario *s, struct party *party, bool reliable, const struct message *message);
int world_bytes(struct scenario *s, struct party *party, struct stw_str bytes);
void world_close(struct scenario *s, struct party *party);
/* What ICMP says of it from now on. @return false: these words do not tell */
bool world_reach(struct party *party, struct stw_str words);
void world_forget_flows(struct scenario *s);
void world_stop(struct scenario *s);
/* One step towards `limit_ms`: what is due, or the next moment at which something is. */
int world_step(struct scenario *s, uint64_t limit_ms);
/* Something waits for the workers that is no event of the network. */
int world_wake(struct scenario *s);
/* All that happens at this moment. */
int world_settle(struct scenario *s);
int world_advance(struct scenario *s, uint64_t until_ms);
bool world_quiet(const struct scenario *s);
struct message *message_new(struct scenario *s, struct party *party, struct stw_str text);

/* server.c */
int server_setting(struct scenario *s, struct stw_str item);
/** try.c: what would become of a request. */
int server_try(struct scenario *s, struct stw_str text);
/** Settings of a user, "KEY=VALUE KEY=VALUE". */
int server_user_settings(struct scenario *s, const struct party *party, struct stw_str text);
/** He is removed, or is a user (again, with nothing that was set before). */
int server_user(struct scenario *s, const struct party *party, bool removed);
int server_start(struct scenario *s);
int server_reload(struct scenario *s, struct stw_str item);
int server_restart(struct scenario *s);
int server_store_fails(struct scenario *s, bool fails);
/* Nothing is left: transactions, requests, connections. */
int server_check_empty(struct scenario *s);
void server_stop(struct scenario *s);
void server_drain(struct scenario *s);
bool server_idle(const struct scenario *s);

void server_log(void *context, const struct stw_note *what, struct stw_str place);

/* agent.c */
int agent_setting(struct scenario *s, struct stw_str items);
int agent_start(struct scenario *s);
void agent_batch(struct scenario *s, const struct stw_io_event *event);
uint64_t agent_next(const struct scenario *s);
bool agent_idle(const struct scenario *s);
int agent_check_empty(struct scenario *s);
void agent_stop(struct scenario *s);
int agent_tells(struct scenario *s, struct stw_str text);
/* "calls sip:…", "ends", "holds" … */
bool agent_lacks(struct scenario *s, struct stw_str verb);
int agent_does(struct scenario *s, struct stw_str verb, struct stw_str text);

/* message.c */
/* What a line calls a message: "INVITE", "486", "pong", "closed". */
struct stw_str message_name(struct scenario *s, const struct message *message);
/* The same with Request-URI or Reason-Phrase, for the ladder as it happened. */
struct stw_str message_title(struct scenario *s, const struct message *message);
bool message_is(const struct message *message, struct stw_str name);
struct message *message_last(const struct party *party, struct stw_str name, int from_server);
/* Value of "Via[2].branch", "URI", "To.tag" … False: absent. */
bool message_value(struct scenario *s, const struct message *message, struct stw_str path,
	struct stw_str *ret);
/* "bob.tag", "INVITE.branch", "alice.INVITE.Call-ID". False: no such thing. */
bool reference_value(
	struct scenario *s, struct party *self, struct stw_str path, struct stw_str *ret);
/* A value as written: "…" unquoted, a lone reference, {references} within text, {*300}. */
struct stw_str expand(struct scenario *s, struct party *self, struct stw_str text);
int changes_read(struct scenario *s, struct stw_str text, struct changes *ret);

/* dialog.c */
struct call *call_find(struct party *party, struct stw_str id);
struct call *call_new(struct scenario *s, struct party *party, struct stw_str id);
/* The call of the party of that name, from here on for this party too. */
int call_share(struct scenario *s, struct party *party, struct stw_str name);
struct dialog *dialog_find(const struct call *call, struct stw_str remote_tag);
/* The party has got or sent this message: its line was played. */
void dialog_note(struct scenario *s, struct message *message);
struct stw_str party_contact(struct scenario *s, const struct party *party, bool reliable);
struct stw_str party_address(struct scenario *s, const struct party *party);
struct stw_str token(struct scenario *s, const char *prefix);

/* compose.c */
struct order {
	struct stw_str what, uri; /* INVITE, 486 */
	struct stw_str to, with;  /* response: to which request; request: which peer of a fork */
	struct stw_str auth;      /* the words behind "auth" */
	bool authenticate, again, tcp, udp;
	struct changes printed, changes;
};
int compose(
	struct scenario *s, struct party *party, const struct order *order, struct message **ret);

/* expect.c */
struct expectation {
	struct party *party;
	struct stw_str what, uri;
	bool again, tcp, udp;
	bool has_at; /* not before at_ms */
	uint64_t at_ms, until_ms;
	struct changes changes;
};
/* NULL: it is this message; else what differs. */
const char *expect_differs(
	struct scenario *s, const struct expectation *expectation, const struct message *message);
struct note *expect_note(
	struct scenario *s, enum stw_note_kind kind, const struct changes *changes, bool take);

bool condition_holds(char op, bool found, struct stw_str value, struct stw_str wanted);

/* hook.c: the web server that is asked about calls */
extern const struct stw_hook_ops hook_ops;
/* When the next question is over without an answer; UINT64_MAX: never. */
uint64_t hook_due(const struct scenario *s);
/* @return true: the time of one is over */
bool hook_expire(struct scenario *s);
/* All questions stand in the ladder. */
bool hook_quiet(const struct scenario *s);
void hook_forget(struct scenario *s);
int hook_expect(struct scenario *s, struct stw_str text);
int hook_reply(struct scenario *s, struct stw_str text);

/* record.c: the records of calls */
int record_start(struct scenario *s);
void record_end(struct scenario *s);
int record_expect(struct scenario *s, struct stw_str text);

/* printed.c: what message number N of the flow that is covered has to have, as an RFC prints it */
int printed_changes(struct scenario *s, unsigned number, struct changes *ret);

/* play.c */
struct stw_str file_read(struct scenario *s, const char *path);
int play_read(struct scenario *s);
int play(struct scenario *s);

#endif
