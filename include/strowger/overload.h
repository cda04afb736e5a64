/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * overload: what is refused when there is too much to do (RFC 6357). Admission by the time that a
 * request has waited, the feedback between servers in Via (RFC 7339 loss, RFC 7415 rate) in both
 * directions, and limits for each source. Pure: the time comes in, a decision goes out.
 */
#ifndef STROWGER_OVERLOAD_H
#define STROWGER_OVERLOAD_H

#include <strowger/transport.h>

/* ---- who is refused first ------------------------------------------------------ */

enum stw_overload_class {
	STW_OVERLOAD_NEW,      /* a new call, or another request outside a dialog */
	STW_OVERLOAD_REGISTER, /* a registration: refused when refusing new calls is not enough */
	STW_OVERLOAD_NEVER,    /* ACK, BYE, CANCEL, PRACK; in a dialog; emergency; priority */
};

/**
 * @param in_dialog  the request proved it (our Record-Route mark): a To tag alone says nothing
 * @param trusted    the source has proven who it is: its Resource-Priority counts (RFC 4412 §11)
 */
enum stw_overload_class stw_overload_classify(
	const struct stw_msg *request, bool in_dialog, bool trusted);
/** "urn:service:sos" or a service below it, RFC 5031 §4.2. */
bool stw_overload_is_emergency(const struct stw_msg *request);
/** A Resource-Priority that is to be kept: any of esnet (RFC 7135), ets and wps 0 to 2 (RFC 4412
 * §10.3, §10.4). */
bool stw_overload_has_priority(const struct stw_msg *request);

/* ---- admission at this server ----------------------------------------------------- */

enum stw_overload_feedback {
	STW_OVERLOAD_FEEDBACK_OFF,
	STW_OVERLOAD_FEEDBACK_LOSS, /* RFC 7339 §7 */
	STW_OVERLOAD_FEEDBACK_RATE, /* RFC 7415, to clients that have it; loss to others */
};

struct stw_overload_options {
	uint32_t target_ms; /* a request that has waited longer is refused; 0: none ever is */
	enum stw_overload_feedback feedback;
	unsigned workers;        /* that share the load evenly; a rate is told for all. 0: one */
	struct stw_hash_key key; /* secret: nobody chooses with whom he is counted */
};

enum stw_overload_verdict {
	STW_OVERLOAD_ADMIT,
	STW_OVERLOAD_REFUSE, /* 503 */
	STW_OVERLOAD_DROP,   /* even refusing costs too much */
};

/** One queue of the kernel; the first one of a listener has also what its connections bring. */
struct stw_overload_queue {
	uint8_t level;       /* what is refused now, but for connections */
	uint64_t above_ms;   /* since when it stands above the target; 0: it does not */
	uint64_t seen_ms;    /* above it, for the last time */
	uint64_t refused_ms; /* the last refusal; 0: none */
	uint32_t taken;      /* requests served in this interval */
	uint32_t taken_mean; /* in one of the last; 0: not known yet */
};
#define STW_OVERLOAD_QUEUES (STW_LISTENERS_MAX * STW_QUEUES)

/** How a request has come to be read. */
struct stw_overload_arrival {
	unsigned queue;     /* number of the listener times STW_QUEUES, and which one of its */
	uint32_t waited_us; /* in the queue */
	bool standing;      /* the queue was not emptied by what was read with it */
	bool cut;           /* no more may wait in it than stw_overload_room() says */
	bool stream;        /* that of one connection of many */
	/* What is known of the queue when it is one of another worker, zeroed before the first;
	 * NULL: it is ours. */
	struct stw_overload_queue *elsewhere;
};

/** The state of one server. Members are read by its owner, written by the functions below. */
struct stw_overload {
	struct stw_overload_options options;
	struct stw_overload_queue queues[STW_OVERLOAD_QUEUES];
	uint64_t interval_end_ms; /* counts since the last one */
	int64_t wall_ms;          /* of that end: the number of the feedback (oc-seq) */
	uint32_t requests, offered, refused;
	uint32_t answers[2]; /* refusals that may still be answered: of datagrams, of streams */
	/* A bit for each client under rate control, now and before: strangers and others. */
	uint64_t clients[2][2];
	uint32_t loss_permille; /* asked of upstream servers */
	uint32_t rate;          /* requests a second for all upstream servers; 0: no limit */
	uint32_t calm;          /* intervals since the last refusal */
	uint64_t refused_total, dropped_total;
};

/** Embedded. */
void stw_overload_init(struct stw_overload *overload, const struct stw_overload_options *options);
/**
 * A request of class `class` has come. Refused is only from a queue that stands above the target
 * for a tenth of a second, so that neither a burst nor a pause of the process counts; once it did,
 * at once for the next second. Those that are never refused are counted. What a stream has brought
 * is never dropped: beyond the refusals that are afforded it is served late, or refused when it has
 * waited for 64 times the target.
 */
enum stw_overload_verdict stw_overload_admit(struct stw_overload *overload,
	enum stw_overload_class class, const struct stw_overload_arrival *arrival,
	struct stw_now now);
/**
 * So much is refused, and so soon again, that it pays to look before reading: a request from this
 * queue would likely be refused.
 */
bool stw_overload_floods(
	const struct stw_overload *overload, const struct stw_overload_arrival *arrival);
/** Requests are being refused, or were a moment ago. */
bool stw_overload_refuses(const struct stw_overload *overload);
/** Requests have been refused within the last one and a half seconds. */
bool stw_overload_active(struct stw_overload *overload, struct stw_now now);
/**
 * How many messages may wait in a queue: what is served in little more than the target. More would
 * have to be read only to be refused, which takes the time of those that are served.
 * @param queue  as in an arrival
 * @return UINT32_MAX: no limit, nothing has been refused lately
 */
uint32_t stw_overload_room(const struct stw_overload *overload, unsigned queue, struct stw_now now);

#define STW_OVERLOAD_PARAMS_MAX 96

/**
 * What the topmost Via of a response gets when its client has put `oc` into it (RFC 7339 §5.2):
 * `;oc=20;oc-algo="loss";oc-validity=500;oc-seq=1282321615.782`.
 * @param via     of the request
 * @param source  where it came from
 * @param known   the source has proven who it is; all strangers together have the part of one
 * @return empty when the client does not take part, or feedback is off
 */
struct stw_str stw_overload_params(struct stw_overload *overload, const struct stw_via *via,
	const struct stw_addr *source, bool known, struct stw_now now,
	char buffer[STW_OVERLOAD_PARAMS_MAX]);

/* ---- restraint towards an overloaded next hop -------------------------------------- */

/** Put behind our Via of a request to another server, RFC 7339 §4.1, RFC 7415 §3.3. */
#define STW_RESTRAINT_PARAMS ";oc;oc-algo=\"loss,rate\""

struct stw_restraint;

/** @param hops     next hops remembered at most; the one whose word ends first makes room
 *  @param workers  that share the load evenly: each keeps to its part of a rate
 *  @return 0, -ENOMEM */
int stw_restraint_new(unsigned hops, unsigned workers, struct stw_restraint **ret);
/** The topmost Via of a response from `remote`: takes what it asks (RFC 7339 §5.4). */
void stw_restraint_response(struct stw_restraint *restraint, const struct stw_addr *remote,
	const struct stw_via *via, struct stw_now now);
/**
 * May the request be sent? Counts it. RFC 7339 §7.2 and RFC 7415 §3.5.2, both with priority. Of
 * STW_OVERLOAD_NEVER nothing is kept back: it is made up for with others.
 */
bool stw_restraint_admit(struct stw_restraint *restraint, const struct stw_addr *remote,
	enum stw_overload_class class, struct stw_now now, struct stw_random *random);
/** Next hops that ask for restraint now. */
unsigned stw_restraint_count(const struct stw_restraint *restraint, struct stw_now now);
/** Accepts NULL; returns NULL. */
struct stw_restraint *stw_restraint_free(struct stw_restraint *restraint);

/* ---- limits for each source ---------------------------------------------------------- */

/** Requests that begin something, a second; 0: no limit. Bursts of two seconds are free. */
struct stw_source_limits {
	uint32_t stranger_rate;
	uint32_t known_rate;  /* a source that has proven an identity or has a binding */
	uint32_t drop_factor; /* a flood of so many times the rate is not answered any more */
};

/** Sources: IPv4 addresses, IPv6 /64 networks. Shared by all workers, without locks; bounded. */
struct stw_sources;

/** @return 0, -ENOMEM */
int stw_sources_new(unsigned sources, struct stw_hash_key key, struct stw_sources **ret);
/** One more request that begins something. @return what to do with it */
enum stw_overload_verdict stw_sources_admit(struct stw_sources *sources,
	const struct stw_source_limits *limits, const struct stw_addr *source, struct stw_now now);
/** The source has proven an identity, or has a binding, for the next hour. */
void stw_sources_prove(
	struct stw_sources *sources, const struct stw_addr *source, struct stw_now now);
bool stw_sources_known(
	const struct stw_sources *sources, const struct stw_addr *source, struct stw_now now);

/** One source whose requests are refused. */
struct stw_source_state {
	struct stw_addr addr; /* port 0; IPv6: the first address of its /64 */
	bool known;
	uint64_t until_ms; /* monotonic: when its next request would be taken */
	uint64_t refused, dropped;
};
/** Sources that are limited now; false from `visit` ends the walk. @return how many */
unsigned stw_sources_limited(const struct stw_sources *sources, struct stw_now now,
	bool (*visit)(void *context, const struct stw_source_state *state), void *context);
/** Accepts NULL; returns NULL. */
struct stw_sources *stw_sources_free(struct stw_sources *sources);

#endif
