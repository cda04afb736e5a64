/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * transport: RFC 3261 §18 without a socket. Addresses, listeners, flows and their framing,
 * Via stamping (RFC 3581), where a response goes (§18.2.2), where a request goes (RFC 3263),
 * and the table of operations that lib/io (or a simulation) performs.
 */
#ifndef STROWGER_TRANSPORT_H
#define STROWGER_TRANSPORT_H

#include <strowger/message.h>

enum stw_transport {
	STW_TRANSPORT_NONE,
	STW_TRANSPORT_UDP,
	STW_TRANSPORT_TCP,
	STW_TRANSPORT_TLS,
	STW_TRANSPORT_WS,
	STW_TRANSPORT_WSS,
};

/** "udp", "TCP" … without case; STW_TRANSPORT_NONE for others. */
enum stw_transport stw_transport_from(struct stw_str name);
/** Upper case, as in Via. */
struct stw_str stw_transport_name(enum stw_transport transport);
/** All but UDP, §17.1.1.1. */
bool stw_transport_reliable(enum stw_transport transport);
/** 5060, 5061 for TLS, 80 and 443 for WebSocket. */
uint16_t stw_transport_default_port(enum stw_transport transport);

/* ---- addresses ---------------------------------------------------------------- */

/** An IP address and port. IPv4 uses the first 4 bytes; the rest is zero, so memcmp compares. */
struct stw_addr {
	uint8_t family; /* 4, 6; 0: none */
	uint8_t ip[16];
	uint16_t port;  /* host order */
	uint32_t scope; /* IPv6 link-local only */
};

/** What counts as one source: the IPv4 address, or the /64 of an IPv6 address, all of which one
 * host may have. */
uint64_t stw_addr_network(const struct stw_addr *addr);

#define STW_ADDR_TEXT_MAX 64

/** A numeric host without brackets, or with. @return 0, -EBADMSG */
int stw_addr_from_host(struct stw_str host, uint16_t port, struct stw_addr *ret);
/** Family, address, port and scope. */
bool stw_addr_equal(const struct stw_addr *a, const struct stw_addr *b);
/** Family and address, any port. A scope counts when both have one. */
bool stw_addr_same_ip(const struct stw_addr *a, const struct stw_addr *b);
/** 127.0.0.0/8 or ::1. */
bool stw_addr_is_loopback(const struct stw_addr *addr);
/** 0.0.0.0 or :: */
bool stw_addr_is_any(const struct stw_addr *addr);
/** Not multicast, broadcast or unspecified: may be sent to. */
bool stw_addr_is_unicast(const struct stw_addr *addr);
/** "192.0.2.1" or "2001:db8::1" (no brackets, RFC 5118 §4.5), for received= and logs. */
struct stw_str stw_addr_ip_text(const struct stw_addr *addr, char buffer[STW_ADDR_TEXT_MAX]);
/** "192.0.2.1:5060" or "[2001:db8::1]:5060". */
struct stw_str stw_addr_text(const struct stw_addr *addr, char buffer[STW_ADDR_TEXT_MAX]);

/** The addresses whose first `bits` bits are those of `addr`. */
struct stw_network {
	struct stw_addr addr; /* port 0 */
	uint8_t bits;
};

/** "192.0.2.0/24", "2001:db8::/32", or an address alone. @return 0, -EBADMSG */
int stw_network_parse(struct stw_str text, struct stw_network *ret);
bool stw_network_has(const struct stw_network *network, const struct stw_addr *addr);
/** Does one of them have it? */
bool stw_networks_have(const struct stw_network *networks, unsigned n, const struct stw_addr *addr);

/* ---- listeners, flows, hops ------------------------------------------------------ */

#define STW_LISTENERS_MAX 32

/** A socket we receive on. */
struct stw_listener {
	enum stw_transport transport;
	struct stw_addr bind;     /* port is the real one, also when 0 was asked */
	struct stw_str advertise; /* host we name in Via and Record-Route; empty: the address */
	uint16_t advertise_port;  /* 0: bind.port */
};

/** All sockets that are listened on; a hop names one by its index. */
struct stw_listeners {
	struct stw_listener v[STW_LISTENERS_MAX];
	unsigned n;
};

/** Name of a flow (RFC 5626 §3): a connection, never a pointer. */
struct stw_flow_id {
	uint16_t worker;
	uint32_t slot;
	uint32_t generation; /* 0: no flow */
};

static inline bool stw_flow_id_set(struct stw_flow_id id)
{
	return id.generation != 0;
}
bool stw_flow_id_equal(struct stw_flow_id a, struct stw_flow_id b);

/** One hop on the network: where a message came from or goes to. */
struct stw_hop {
	enum stw_transport transport;
	struct stw_addr remote;
	struct stw_addr local;   /* received: the address it was sent to. sending: family 0 = any */
	uint16_t listener;       /* index */
	struct stw_flow_id flow; /* streams; not set: to be opened */
};

/** Which listener sends to an address: same transport, same family; prefers `like` when it fits.
 * -ENOENT */
int stw_listener_for(const struct stw_listeners *listeners, enum stw_transport transport,
	const struct stw_addr *remote, int like);
/** Do we listen on loopback? Then requests may lead there. */
bool stw_listeners_on_loopback(const struct stw_listeners *listeners, enum stw_transport transport);
/** host:port that we name for a listener: advertise, else `local` if known, else bind. IPv6 in
 * brackets. */
struct stw_str stw_listener_sent_by(const struct stw_listener *listener,
	const struct stw_addr *local, char *buffer, size_t size);
/** Is host[:port] of a URI or Via one of our listeners (address owned or advertised)? port 0 means
 * default. */
bool stw_listeners_own(const struct stw_listeners *listeners, struct stw_str host, uint16_t port);
/** The local addresses of this machine that a wildcard listener owns; set once by the owner. */
void stw_listeners_set_local(const struct stw_addr *addrs, unsigned n);

/* ---- Via: stamping and response target ------------------------------------------------ */

/** What the receiving side adds to the top Via: RFC 3261 §18.2.1, RFC 3581 §4. */
struct stw_via_stamp {
	char received_text[STW_ADDR_TEXT_MAX];
	struct stw_str received; /* empty: sent-by is the source address and there is no rport */
	uint16_t rport;          /* 0: rport was not asked */
};

/** `via` is the top Via of the request, `source` where it came from. */
void stw_via_stamp(
	const struct stw_via *via, const struct stw_addr *source, struct stw_via_stamp *ret);
/** The same as a splice of the request that is forwarded. `arena` keeps the text. @return 0,
 * -ENOMEM */
int stw_via_stamp_edit(
	struct stw_edit *edit, const struct stw_via_stamp *stamp, struct stw_arena *arena);

/** Take the client's overload control parameters out of the top Via of a request that is forwarded:
 * they are between it and us (RFC 7339 §5.6). */
void stw_via_oc_remove(struct stw_edit *edit);

/**
 * Where the response to a request goes, §18.2.2 and RFC 3581 §4. Streams: the flow it came on; when
 * that is gone (source->flow cleared by the caller), the received address and the port of sent-by.
 * Datagrams: maddr, or received/rport. A response we relay goes by its (now top) Via, read with the
 * same rules from `via` alone when source is NULL. A maddr on loopback is usable only when the
 * request came from there.
 * @return 0; -EBADMSG when the Via names no usable address (host name: -ENOENT, resolve it)
 */
int stw_response_target(
	const struct stw_via *via, const struct stw_hop *source, struct stw_hop *ret);

/* ---- where a request goes: RFC 3263; names are resolved by locate.h ---------------------- */

/** A next hop as its URI gives it, before names are resolved. */
struct stw_target {
	enum stw_transport transport;
	struct stw_str host; /* borrowed from the URI; maddr when given */
	enum stw_host_kind host_kind;
	uint16_t port;        /* the transport's default when none is given */
	uint16_t port_given;  /* 0: the URI has none */
	bool transport_given; /* by a transport parameter */
	bool sips;
	bool need_resolve;    /* host is a name: see locate.h */
	struct stw_addr addr; /* when numeric */
};

/** transport=, maddr=, port and defaults of a sip, sips URI. @return 0; -ENOTSUP transport or
 * scheme; -EBADMSG */
int stw_target_from_uri(const struct stw_uri *uri, struct stw_target *ret);
/** Where a URI leads, RFC 3263 §4: its maddr parameter, which overrides the host (RFC 3261
 * §19.1.1), else its host. @return 0, -EBADMSG */
int stw_target_host(
	const struct stw_uri *uri, struct stw_str *ret_host, enum stw_host_kind *ret_kind);
/** Above this size a UDP request goes by a congestion controlled transport, §18.1.1. */
#define STW_UDP_REQUEST_BYTES_MAX 1300

/* ---- events from the outside, operations to the outside ---------------------------------------
 */

enum stw_io_event_kind {
	STW_IO_DATAGRAM, /* hop, data, len */
	STW_IO_OPENED,   /* hop: accepted (incoming) or connected */
	STW_IO_BYTES,    /* hop (flow set), data, len */
	STW_IO_ENDED,  /* hop: the peer sends no more, but still gets what is sent until close() */
	STW_IO_CLOSED, /* hop; error: 0 orderly, else errno of connect, read or write */
	/* hop without flow; error: a datagram was refused (ICMP); data, len: as much of it as the
	 * error quotes, from its first byte, or nothing */
	STW_IO_SEND_FAILED,
	STW_IO_RESOLVED, /* query, answer */
	STW_IO_WOKEN,    /* another thread called stw_io_wake */
};

struct stw_dns_answer;

/** With several workers the branches of the requests that a worker sends begin, behind the cookie,
 * with its character of these, by which the kernel gives it the responses. All may stand in a
 * token. */
#define STW_WORKER_MARKS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"

/**
 * What arrives at a listener for datagrams waits in one of these queues of the kernel, so that new
 * work that has to wait, or is too much, keeps nothing else back. In the order of
 * enum stw_overload_class; bytes of streams are all in the first.
 */
enum stw_queue {
	STW_QUEUE_NEW,
	STW_QUEUE_REGISTER,
	STW_QUEUE_URGENT, /* responses, and what is never to be refused */
	STW_QUEUES,
};

/** Something that came from the network; members as its kind says. */
struct stw_io_event {
	enum stw_io_event_kind kind;
	bool incoming; /* OPENED: they connected to us */
	int error;
	struct stw_hop hop;
	const char *data; /* valid until the next poll */
	size_t len;
	uint32_t waited_us; /* DATAGRAM, BYTES: since the kernel received it; 0: not known */
	bool queue_stands;  /* the same: more was waiting than was read at once */
	uint8_t queue;      /* DATAGRAM: which queue of its listener it waited in */
	uint64_t query;
	const struct stw_dns_answer *answer; /* dns.h */
};

/** What the layers may ask of the world. Performed by lib/io, or by a simulation. */
struct stw_io_ops {
	/** Datagram, or bytes on an open (or opening) flow. The slices are valid until the end of
	 * the current batch (stw_stack_end); whoever keeps them longer copies them.
	 *  @return 0; -ENOTCONN the flow is gone; -ENOBUFS the peer reads too slowly (the flow is
	 * closed) */
	int (*send)(void *io, const struct stw_hop *hop, struct stw_slices slices);
	/** Connect; answers with OPENED or CLOSED. @return 0, -ENOBUFS, -errno */
	int (*open)(void *io, const struct stw_hop *hop, struct stw_flow_id *ret);
	/** After what was sent has gone out. No event follows. */
	void (*close)(void *io, struct stw_flow_id flow);
	/** Ask the DNS; answers with RESOLVED, once, in bounded time. `type` is an enum
	 * stw_dns_type.
	 * @return 0, -ENOBUFS */
	int (*resolve)(void *io, struct stw_str name, unsigned type, uint64_t query);
	/** Not more than about so many messages are to wait in this queue, the rest is lost there;
	 * UINT32_MAX: as many as there is room for. May be NULL. */
	void (*limit)(void *io, unsigned listener, enum stw_queue queue, uint32_t messages);
	/** Nothing is read from flows until it is taken back: TCP keeps the peers back. Events that
	 * are told already are still to be taken. May be NULL. */
	void (*hold)(void *io, bool on);
	/** How many datagrams the kernel has lost before they were read, since the start. May be
	 * NULL.
	 */
	uint64_t (*lost)(void *io);
	/** Requests to these users (numbers of emergency services) are urgent, too. May be NULL. */
	void (*urgent)(void *io, const struct stw_str *users, unsigned count);
};

/* ---- flows: connections as the layers see them -------------------------------------------------
 */

/**
 * What the workers share about their flows: how many there are, in all and by source, and which
 * live. Atomics in tables of fixed size; no reader and no writer ever waits.
 */
struct stw_flow_registry;

/** @param slots      the slots in the names of a worker's flows are below
 *  @param max_flows  how many there may be in all
 *  @return 0, -ENOMEM */
int stw_flow_registry_new(unsigned workers, unsigned slots, unsigned max_flows,
	struct stw_hash_key key, struct stw_flow_registry **ret);
/** After all that use it. Accepts NULL; returns NULL. */
struct stw_flow_registry *stw_flow_registry_free(struct stw_flow_registry *registry);

/** Bounds of what peers can make us keep. */
struct stw_flow_limits {
	struct stw_flow_registry *registry; /* of all workers, outlives the flows; NULL: alone */
	uint16_t worker;         /* ours; the flows of others are known by the registry */
	unsigned max_flows;      /* in all */
	unsigned max_per_source; /* opened to us, per IP address */
	uint32_t idle_ms;        /* close when nothing was received or sent for so long; 0: never */
	uint32_t message_ms;     /* a message begun must be complete within; 0: no limit */
	struct stw_msg_limits message;
};

struct stw_flows;

/** Timers of flows have this kind range; `owner` is the flow. */
#define STW_TIMER_FLOW 100

/** The wheel must outlive the flows. @return 0, -ENOMEM */
int stw_flows_new(const struct stw_flow_limits *limits, struct stw_wheel *wheel,
	struct stw_hash_key key, struct stw_flows **ret);
/** Which limit a further flow would pass: flow_limit or flow_limit_source; NULL: none. */
const struct stw_cause *stw_flows_refusal(
	const struct stw_flows *flows, const struct stw_addr *remote, bool incoming);
/** OPENED. @return 0; -ENOBUFS: over a limit (stw_flows_refusal), the caller closes it; -ENOMEM
 * likewise */
int stw_flows_opened(
	struct stw_flows *flows, const struct stw_hop *hop, bool incoming, struct stw_now now);
/** An outgoing flow was asked for and is opening; later requests to the same hop reuse it. */
int stw_flows_opening(struct stw_flows *flows, const struct stw_hop *hop, struct stw_now now);
/** Flow to this transport and address, open or opening; ours, else one of another worker. @return
 * 0, -ENOENT */
int stw_flows_find(const struct stw_flows *flows, enum stw_transport transport,
	const struct stw_addr *remote, struct stw_flow_id *ret);
/** Still there? Fills transport, remote, local and listener when so; of a flow of another worker it
 * fills the name alone: the rest has who got a message by it. */
bool stw_flows_hop(const struct stw_flows *flows, struct stw_flow_id id, struct stw_hop *ret);
/** Is it one that is not open yet, of any worker? */
bool stw_flows_is_opening(const struct stw_flows *flows, struct stw_flow_id id);
/** Something was sent on it: idle time starts anew. */
void stw_flows_sent(struct stw_flows *flows, struct stw_flow_id id, struct stw_now now);
/**
 * Bytes arrived. They are borrowed until stw_flows_next() answers MORE or BROKEN, or the flow is
 * closed or left. Behind a BROKEN frame they are dropped.
 * @return 0; -ENOENT; -ENOBUFS: those before were not taken by stw_flows_next(), or too many came
 * to a flow that is left: close it
 */
int stw_flows_bytes(struct stw_flows *flows, struct stw_flow_id id, const char *data, size_t len,
	struct stw_now now);
/** Next frame of the flow; `ret_data` is valid until the next call for this flow. MORE: nothing.
 *  PING: as many as came together, each of four bytes and each to be answered.
 *  BROKEN comes once, without a byte or a cause when there was no memory for half a message; the
 * caller answers, closes, and calls stw_flows_closed(). */
struct stw_frame stw_flows_next(
	struct stw_flows *flows, struct stw_flow_id id, const char **ret_data, struct stw_now now);
/** Is it there to be read from? Also when nothing leaves on it any more. Fills *ret. */
bool stw_flows_reads(const struct stw_flows *flows, struct stw_flow_id id, struct stw_hop *ret);
/** send() has answered -ENOTCONN: nothing more leaves on it, and its CLOSED is on the way. */
void stw_flows_lost(struct stw_flows *flows, struct stw_flow_id id);
/** This worker has requests of the flow: one they were handed to, or ours when it has some that
 * wait for an answer. */
void stw_flows_handed(struct stw_flows *flows, struct stw_flow_id id, unsigned worker);
/**
 * The flow is to be closed as soon as the workers that have requests of it have answered them:
 * nothing is read from it any more, and no new request leaves on it.
 * @param until_ms  then it is closed in any case (stw_flows_timer()); UINT64_MAX: when it is idle
 * @param ret_ask  false: the workers to ask, a bit each, and those that have sent on it;
 * stw_flows_left() for each of them follows
 * @return true: close it now
 */
bool stw_flows_leave(
	struct stw_flows *flows, struct stw_flow_id id, uint64_t until_ms, uint64_t *ret_ask);
/** No new request leaves on it, of whichever worker it is. */
bool stw_flows_is_leaving(const struct stw_flows *flows, struct stw_flow_id id);
/** One of them has said all that it had to say. @return true: that was the last one */
bool stw_flows_left(struct stw_flows *flows, struct stw_flow_id id);
/** Another worker sends on a flow of ours: it has to hear when it opens, and of its end. */
void stw_flows_used_by(struct stw_flows *flows, struct stw_flow_id id, unsigned worker);
/** Those that have, a bit each. */
uint64_t stw_flows_users(const struct stw_flows *flows, struct stw_flow_id id);
/** CLOSED, or closed by us. @return the workers that have sent on it, a bit each */
uint64_t stw_flows_closed(struct stw_flows *flows, struct stw_flow_id id);
/** A flow timer expired: true when the flow is to be closed now; `ret` names it, `ret_half` whether
 * half a message was waiting. */
bool stw_flows_timer(struct stw_flows *flows, struct stw_timer *timer, struct stw_now now,
	struct stw_flow_id *ret, bool *ret_half);
/** Open and opening ones. */
unsigned stw_flows_count(const struct stw_flows *flows);
struct stw_flows *stw_flows_free(struct stw_flows *flows);

#define CAUSE(name, id, code, phrase, rfc, meaning, reason, remedy) STW_CAUSE_DECLARE(name);
#include <strowger/causes/transport.def>
#undef CAUSE

#endif
