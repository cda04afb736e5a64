/* SPDX-License-Identifier: Apache-2.0 */
/* Private to simulate/: the world and its parts. */
#ifndef STW_SIMULATE_INTERNAL_H
#define STW_SIMULATE_INTERNAL_H

#include "simulate/simulate.h"

#include "server/core.h"
#include "server/core_internal.h"

#define NODES            3
#define USERS            6 /* of each node */
#define DEVICES_MAX      3 /* of each user */
#define DEVICES          (NODES * USERS * DEVICES_MAX)
#define ENDPOINTS        (2 * NODES) /* the nodes, then the access network of each */
#define CONNECTIONS      512
#define GROUPS           3 /* of each node */
#define QUEUES           2 /* of each node */
#define VALUES_MAX       24
#define TEXT_MAX         16384
#define LINES_REMEMBERED 60
#define TIMER_64T1_MS    32000

struct world;

/* ---- a table of things by a 64-bit key ------------------------------------------------------- */

/* First member of what is kept. */
struct keyed {
	struct keyed *next;
	uint64_t key;
};

struct keyed_table {
	struct keyed **buckets;
	size_t capacity, count;
};

void *keyed_find(const struct keyed_table *table, uint64_t key);
void keyed_add(struct keyed_table *table, uint64_t key, struct keyed *keyed);
void keyed_remove(struct keyed_table *table, struct keyed *keyed);
/* Frees what is left with `release`. */
void keyed_done(struct keyed_table *table, void (*release)(void *item));

/* ---- text.c: messages as the phones read and write them, without the message layer ------------
 */

struct sip {
	bool request, has_max_forwards;
	unsigned code, cseq, max_forwards;
	struct stw_str start, uri;
	struct stw_str method; /* of the CSeq, for requests of the start line */
	struct stw_str call_id, from, to, from_tag, to_tag, body;
	struct stw_str vias[VALUES_MAX], routes[VALUES_MAX], record_routes[VALUES_MAX],
		contacts[VALUES_MAX];
	unsigned via_count, route_count, record_route_count, contact_count;
	struct stw_str diversions[VALUES_MAX]; /* who has forwarded it, the newest first */
	unsigned diversion_count;
	struct stw_str branch, sent_by; /* of the top Via */
	unsigned rseq;                  /* 0: not reliable */
	unsigned expires_s;             /* 0: there is no Expires */
	struct stw_str priority, disposition;
	struct stw_str challenge;
	bool proxy_challenge;
};

/* @return false: no SIP, or a mandatory header field is missing */
bool sip_read(struct stw_str text, struct sip *ret);
/* ";name=value" behind a value's closing bracket, or in all of it. */
bool sip_param(struct stw_str value, const char *name, struct stw_str *ret);
/* What stands between < and >, or the value up to its parameters. */
struct stw_str sip_uri(struct stw_str value);
bool sip_is(struct stw_str text, const char *word);

/* ---- what is to come --------------------------------------------------------------------------
 */

enum happening_kind {
	/* to a node */
	NODE_DATAGRAM,
	NODE_OPENED,
	NODE_BYTES,
	NODE_CLOSED,
	NODE_SEND_FAILED,
	NODE_RESOLVED,
	NODE_DISK, /* the slow disk has let go */
	/* to a phone */
	DEVICE_MESSAGE,
	DEVICE_CLOSED,
	CLIENT_TIMER,
	SERVER_TIMER,
	SERVER_ANSWER,
	DIALOG_STEP,
	DEVICE_REGISTER,
	CALL_CANCEL,
	CALL_START,
	DEVICE_DIES,
	/* to the world */
	TROUBLE,
	NODE_RESTART,
	NODE_GONE, /* the end of an orderly stop */
	/* to user agents, see agents.h */
	PARTY_DATAGRAM,
	PARTY_CALLS,
	PARTY_TAKES,
	LEG_ACTS,
	QUEUES_TICK,
};

struct happening {
	uint64_t due_ms, order;
	enum happening_kind kind;
	unsigned who; /* node or device */
	unsigned number;
	unsigned boot; /* of the node it is for */
	int error;
	uint64_t key; /* of a client, server, dialog, or the query */
	struct stw_hop hop;
	struct stw_dns_answer answer;
	struct stw_dns_record records[2];
	char names[2][48]; /* targets of the records */
	char *data;
	size_t len;
	char *whole; /* the message that ends with these bytes */
	size_t whole_len;
};

/* What is to come, in the order of time; at the same time in the order in which it was made. */
struct agenda {
	struct happening **heap;
	unsigned count, capacity;
	uint64_t order;
};

struct happening *agenda_make(struct agenda *agenda, enum happening_kind kind, uint64_t due_ms);
/* Takes it. */
void agenda_add(struct agenda *agenda, struct happening *happening);
/* UINT64_MAX: nothing is to come. */
uint64_t agenda_next(const struct agenda *agenda);
struct happening *agenda_first(const struct agenda *agenda);
/* The caller frees it. */
struct happening *agenda_pop(struct agenda *agenda);
void happening_free(struct happening *happening);
void agenda_done(struct agenda *agenda);

/* ---- nodes ------------------------------------------------------------------------------------
 */

struct disk {
	bool refuses;
	unsigned writes_left; /* until the crash; UINT_MAX: no crash is coming */
	bool crashed;         /* nothing reaches it any more */
};

/* What the server has acknowledged of a user's settings. */
struct service_user {
	char forward[STW_FORWARD_KINDS][24];
	bool dnd;
	bool unknown; /* a crash came between a change and its answer */
};

struct service_group {
	const char *name, *ring;
	unsigned members; /* a bit for each user */
	unsigned timeout_s;
	int overflow; /* a user, -1: none */
};

struct queue_caller;

struct service_queue {
	const char *name;
	unsigned agents; /* who may log in, a bit for each user; 0: everybody */
	unsigned agent_timeout_s, wrap_up_s, max_length, max_wait_s, announce_s;
	int overflow; /* a user, -1: none */
};

/* A user as an agent of the queues. */
struct queue_agent {
	unsigned logged_in, paused; /* as acknowledged, a bit for each queue */
	unsigned changing;          /* changes that are not acknowledged */
	bool unknown;               /* a crash came between a change and its answer */
	bool let_pass;              /* was rung, and has not answered since */
	uint64_t changed_ms;
	uint64_t wrapped_ms, rests_ms; /* may not be rung before */
	uint64_t called_ms;            /* by anybody; no phone may have heard of it yet */
	struct queue_caller *talks;    /* with whom */
};

struct node {
	bool auth_chosen, auth_required;
	struct world *world;
	unsigned index, boots, stalls;
	bool up, leaving;
	bool held;      /* the disk is slow */
	bool changed;   /* options, since it was started */
	bool own_noted; /* a response of its own was noted, and comes now */
	struct stw_addr addr;
	struct stw_config *config;
	struct stw_listeners listeners;
	struct stw_location *location;
	struct stw_directory *directory;
	struct stw_store *store;
	struct stw_core *core;
	struct disk disk;
	uint64_t stalled_until_ms, stateless;
	struct service_user users[USERS];
	struct service_group groups[GROUPS];
	struct service_queue queues[QUEUES];
	struct queue_agent agents[USERS];
	struct queue_caller *callers; /* of queues, who are not history */
	uint64_t queue_batch;
	char path[300], domain[32];
};

int node_start(struct node *node);
/* The process is killed: what was not written is lost. */
void node_crash(struct node *node);
/* Frees it in good order. */
void node_end(struct node *node);
/* What the look-ups give is what was acknowledged. */
void node_check_bindings(struct node *node);
void node_check_empty(struct node *node);
void node_reload(struct node *node);
void node_ask(struct node *node);

/* Who has which settings, and which groups there are: once, before the first call. */
void services_choose(struct node *node);
/* The option of the groups, for its configuration. */
void services_yaml(const struct node *node, char *buffer, size_t size);
void services_begin(struct node *node);
/* What was not acknowledged before a crash is as the store says. */
void services_adopt(struct node *node);
/* A user changes what becomes of his calls. */
void services_change(struct node *node);
/* What was acknowledged is there. */
void services_check(struct node *node);

uint64_t queue_below(struct world *world, uint64_t bound);
bool queue_chance(struct world *world, unsigned per_mille);
void queues_choose(struct node *node);
void queues_yaml(const struct node *node, char *buffer, size_t size);
void queues_begin(struct node *node);
void queues_adopt(struct node *node);
void queues_forget(struct node *node);
/* What the server tells of its queues; `end`: nobody waits any more. */
void queues_check(struct node *node, bool end);
void queues_batch_end(struct node *node);
/* From now on agents come and go. */
void queues_play(struct world *world, uint64_t last_call_ms);
void queues_tick(struct world *world);
void queues_done(struct world *world);

/* A request comes that calls a queue. NULL: it does not */
struct queue_caller *queue_comes(struct node *node, const struct sip *sip);
/* A CANCEL has come, or no response gets to him; a BYE, or a response went out that ends the call
 * without one. */
void queue_caller_gone(struct node *node, struct stw_str call_id);
void queue_call_ends(struct node *node, struct stw_str call_id);
/* `again`: the same response to the same request, sent once more */
void queue_response(
	struct node *node, struct queue_caller *caller, const struct sip *sip, bool again);
/* The server notes that it rings an agent, or does so no more. */
void queue_noted(struct node *node, struct stw_str call_id, const char *what);
/* A branch of his call is sent (@return false: not to an agent), has been answered, has ended.
 * `owner`: whose phone it is for */
bool queue_rings(struct node *node, struct queue_caller *caller, const struct sip *sip, int owner);
void queue_answered(struct node *node, struct queue_caller *caller, int owner);
/** `code`: that his phone has given; 0: none */
void queue_branch_ends(struct node *node, struct queue_caller *caller, int owner, unsigned code);

void disk_register(struct world *world);
void disk_unregister(void);

/* ---- network ----------------------------------------------------------------------------------
 */

enum side_kind { NOBODY, A_NODE, A_DEVICE };

/* One end of a connection. */
struct side {
	enum side_kind kind;
	unsigned who, boot;
	bool open;
	uint64_t in_ms; /* when the last byte on its way arrives: streams keep their order */
	struct stw_hop hop;
};

struct connection {
	uint32_t generation;
	struct side sides[2];
};

extern const struct stw_io_ops network_ops;

void network_datagram(struct world *world, const struct stw_addr *from, const struct stw_addr *to,
	const char *data, size_t len);
/* From a phone over its connection to `to`, which is opened when there is none. */
void network_stream(struct world *world, unsigned device, const struct stw_addr *to,
	const struct stw_hop *flow, const char *data, size_t len);
void network_node_lost(struct node *node);
/* Breaks a connection that is open. */
void network_break(struct world *world);
/* An event of a connection reaches a node or a phone. @return false: it is not for it any more */
bool network_arrives(struct world *world, struct happening *happening);
unsigned network_open_count(const struct node *node);
/* The device at an address, DEVICES: none. Likewise the node, NODES: none. */
unsigned device_at(const struct world *world, const struct stw_addr *addr);
unsigned node_at(const struct world *world, const struct stw_addr *addr);
bool network_cut(const struct world *world, unsigned a, unsigned b);

/* ---- phones -----------------------------------------------------------------------------------
 */

struct device {
	unsigned index, node, user, number;
	bool tcp, behind_nat, wrong_password;
	struct stw_addr addr;
	char name[16], contact[120], register_call_id[48];
	unsigned register_cseq;
	uint64_t registers_at_ms;
	/* What the server has acknowledged. */
	int64_t bound_until_ms; /* wall clock; 0: not bound */
	uint64_t bound_since_ms;
	unsigned pending;           /* REGISTERs that the node has and did not answer */
	bool uncertain;             /* a crash came between a REGISTER and its answer */
	uint64_t died_ms, lives_ms; /* it hung, and has forgotten everything then */
	unsigned dialogs, invites;  /* that are not over */
	uint64_t call_ms;           /* the last message that was none of a registration */
};

struct call {
	char call_id[64];
	unsigned device, node, user;
	bool cancelled, over, oracle;
	bool plain;      /* an INVITE to a user or a group, without oddities */
	bool redirected; /* a phone has named another address */
	bool given_up; /* a CANCEL has reached a server: the caller's, or that of his own server */
	bool anew;     /* the caller has begun it again, with credentials, after phones had rung */
	int group;     /* that is called; -1: a user */
	int queue;     /* likewise */
	bool died;     /* a phone that takes part in it did */
	uint64_t began_ms;
	unsigned settings_at; /* world->settings_changes when it began */
	uint32_t may_ring;    /* users that it may lead to, a bit for each */
	uint8_t reached_of[NODES * USERS];
	uint8_t owners[16]; /* whose phones have answered with `codes` */
	unsigned reached, successes, final;
	unsigned codes[16], code_count; /* what phones have answered */
	uint64_t messages;
};

void phones_begin(struct world *world);
void phones_end(struct world *world);
void phones_noise(struct world *world);
void call_start(struct world *world, unsigned number);
void call_cancel(struct world *world, uint64_t key);
void device_registers(struct world *world, unsigned device);
void device_gets(struct world *world, const struct happening *happening);
/* It hangs for so long. */
void device_dies(struct world *world, unsigned device, uint64_t ms);
bool device_is_dead(const struct world *world, unsigned device);
void client_timer(struct world *world, uint64_t key);
void server_timer(struct world *world, uint64_t key);
void server_answer(struct world *world, uint64_t key, unsigned code);
void dialog_step(struct world *world, uint64_t key, unsigned what);
/* One of his phones is registered, has been since then and will be for a while. */
bool user_bound(const struct world *world, unsigned id, uint64_t since_ms);
/* A call begins: to a group instead of a user, perhaps; and whom it may lead to. */
void service_call(struct world *world, struct call *call, char *uri, size_t uri_size);
/* … or to a queue; what stands in the request for it. */
void queue_call(struct world *world, struct call *call, char *uri, size_t uri_size);
void queue_lines(struct world *world, const struct call *call, char *lines, size_t size);
/* A phone gets the call of a queue. */
void queue_reaches(struct world *world, const struct call *call, unsigned device);
/* One of his phones gets the call. */
void service_rings(struct world *world, struct call *call, unsigned id);
/* Has the called user no settings? */
bool service_plain(const struct world *world, unsigned id);
/* The caller has his answer. */
void service_final(struct world *world, const struct call *call, unsigned code);
/* The call that a Call-ID belongs to, NULL: none. */
struct call *call_of(struct world *world, struct stw_str call_id);

/* ---- rules ------------------------------------------------------------------------------------
 */

void rules_in(struct node *node, struct stw_str text, const struct stw_hop *hop);
void rules_out(struct node *node, struct stw_str text, const struct stw_hop *hop);
void rules_note(struct node *node, const struct stw_note *note);
void rules_batch_end(struct node *node);
/* An address did not take datagrams. */
void rules_refused(struct node *node, const struct stw_addr *remote, struct stw_str message);
/* A connection of a node is gone. */
void rules_flow_gone(struct node *node, struct stw_flow_id flow);
/* What is old enough is looked at for the last time. */
void rules_expire(struct world *world, bool all);
void rules_done(struct world *world);

/* ---- the world --------------------------------------------------------------------------------
 */

struct record;
struct record_list {
	struct record *first, **last;
};

struct world {
	const struct stw_simulate_options *options;
	struct stw_simulate_result *result;
	struct stw_random random;
	struct stw_random service_random; /* apart: what a seed brings stays without services */
	struct stw_random queue_random;   /* likewise */
	struct stw_now now;
	/* weather */
	bool srv, naptr; /* the names of the servers have such records */
	bool services;   /* users forward their calls, and there are groups */
	bool queues;     /* there are queues */
	bool phones_die; /* those of agents hang now and then */
	bool calm, mutate, starve, crashes, disks, parts, breaks, loops, slow_names;
	unsigned loss, repeat, jitter_ms; /* per mille */
	bool quiet;                       /* nothing new begins */
	struct node nodes[NODES];
	struct device devices[DEVICES];
	struct connection connections[CONNECTIONS];
	uint64_t cut_until_ms[ENDPOINTS][ENDPOINTS];
	struct agenda agenda;
	uint64_t serial;
	unsigned settings_changes;
	struct queue_caller *queue_callers; /* all of them */
	uint64_t queues_until_ms;
	struct call *calls;
	struct keyed_table call_ids, clients, servers, dialogs, records, notes;
	struct record_list short_records, long_records;
	struct record *sent; /* responses of this batch whose note is awaited */
	struct keyed_table batch_notes;
	char lines[LINES_REMEMBERED][240];
	unsigned line_count;
};

uint64_t below(struct world *world, uint64_t bound);
bool chance(struct world *world, unsigned per_mille);
void *must_alloc(size_t bytes);
char *must_copy(const void *data, size_t len);
uint64_t text_hash(const void *data, size_t len);
/* No mutation and no lack of memory: the whole list of rules holds. */
bool strict(const struct world *world);
void wrong(struct world *world, struct stw_str call_id, const char *format, ...) STW_PRINTF(3, 4);
struct happening *happen(struct world *world, enum happening_kind kind, uint64_t delay_ms);
/* Takes it. */
void plan(struct world *world, struct happening *happening);
uint64_t network_ms(struct world *world);
/* A message on its way, for the trace. `how`: "", "lost" … */
void trace_message(struct world *world, const struct stw_addr *from, const struct stw_addr *to,
	struct stw_str text, const char *how);
void trace_note(struct node *node, const struct stw_note *note);
void trace_line(struct world *world, struct stw_str call_id, const char *format, ...)
	STW_PRINTF(3, 4);

#endif
