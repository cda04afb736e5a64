/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/io. */
#ifndef STW_IO_INTERNAL_H
#define STW_IO_INTERNAL_H

#include <strowger/io.h>

#include <ares.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

#define READY_MAX         64   /* connections asked for at a time */
#define UDP_BATCH         64   /* datagrams in one recvmmsg or sendmmsg */
#define UDP_ERRORS        16   /* entries of the error queue read in one poll */
#define UDP_IOVECS        1024 /* slices of one sendmmsg batch */
#define UDP_SLOT_BYTES    65536
#define UDP_STRIDE_BYTES  (UDP_SLOT_BYTES + 2112) /* so that slots do not share cache sets */
#define UDP_CONTROL_BYTES 128
/* SO_RCVBUF, SO_SNDBUF: what waits too long is to be refused, not lost. */
#define UDP_SOCKET_BYTES (16 << 20)
/* SO_RCVBUF of a connection: what waits is to wait here, where its time is seen, and not at the
 * peer; but of a few busy connections not much more than is refused at once. */
#define TCP_WINDOW_BYTES (1 << 20)
#define ACCEPTS_MAX      16    /* connections accepted per listener in one poll */
#define FLOW_READ_BYTES  16384 /* read per flow in one poll */
/* Of all flows in one poll, and one read more: so much that what leaves in a turn is worth the
 * kernel's part of it; but while more than one batch of datagrams waits, some hundred messages. */
#define FLOWS_READ_BYTES  (1 << 19)
#define FLOWS_READ_BESIDE (1 << 16)
#define FAILURES_MAX      64   /* SEND_FAILED kept until the next poll */
#define QUOTE_BYTES       576  /* of what an error quotes; hosts send up to 520 by IPv4 */
#define QUERIES_MAX       1024 /* names being resolved */
#define CHANNELS_MAX      256  /* of them at a time asked of a server; the others wait */
#define CHANNELS_IDLE     8    /* kept for the next questions */
#define DOMAINS           1024 /* names are counted by their domain, in so many places */
#define LINGER_MS                                                                                  \
	5000 /* a flow we closed may take so long to be flushed and closed by the peer             \
	      */
#define LINGER_BYTES    (256 << 10) /* and may send so much more */
#define ACCEPT_PAUSE_MS 100

/* Descriptors reported in one poll beside connections: all queues, wake-up and names are. */
#define WATCHED_MAX (STW_LISTENERS_MAX * STW_QUEUES + CHANNELS_MAX + 2)

/* What the sockets can add in one poll, at most; what was pending before leaves them this room. */
#define EVENTS_PER_POLL                                                                            \
	(STW_LISTENERS_MAX * STW_QUEUES * UDP_BATCH + CHANNELS_MAX + 2 + READY_MAX * 2)
#define EVENTS_MAX 8192
_Static_assert(
	EVENTS_PER_POLL + 2 * FAILURES_MAX < EVENTS_MAX, "room for all that one poll brings");

union sockaddr_any {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* ---- listeners ------------------------------------------------------------ */

struct udp_received {
	struct mmsghdr messages[UDP_BATCH];
	struct iovec iov[UDP_BATCH];
	union sockaddr_any names[UDP_BATCH];
	_Alignas(8) char control[UDP_BATCH][UDP_CONTROL_BYTES];
};

/* Datagrams to be sent: they borrow their bytes until the flush. */
struct udp_batch {
	struct mmsghdr messages[UDP_BATCH];
	union sockaddr_any names[UDP_BATCH];
	_Alignas(8) char control[UDP_BATCH][UDP_CONTROL_BYTES];
	struct iovec iov[UDP_IOVECS];
	unsigned count, iov_count;
};

/* One queue of the kernel: a socket of its own with the address of the listener. */
struct udp_queue {
	int fd;
	int bytes, plain_bytes;        /* SO_RCVBUF as it was granted; without the privilege */
	uint32_t limit, message_bytes; /* messages that may wait; what the kernel counts for one */
	uint32_t drops;                /* as the kernel has counted them last */
	uint64_t lost;                 /* the same without end */
	struct udp_received in;
	char *slots; /* UDP_BATCH times UDP_STRIDE_BYTES */
};

struct udp {
	struct udp_queue queues[STW_QUEUES];
	unsigned queue_count; /* one, when the kernel cannot sort what arrives */
	struct udp_batch out; /* sent by the socket of the first queue */
};

struct io_listener {
	struct stw_listener bound;
	int fd; /* -1: stopped */
	bool wildcard;
	struct udp *udp; /* datagrams only */
};

/* ---- flows ------------------------------------------------------------------ */

struct output {
	struct output *next;
	size_t start, end, capacity; /* data[start, end) waits */
	char data[];
};

enum flow_state {
	FLOW_OPENING, /* connect is under way */
	FLOW_OPEN,
	FLOW_DEAD, /* socket closed, CLOSED to be told */
};

struct flow {
	TAILQ_ENTRY(flow) link; /* in `list` */
	struct flow_list *list; /* NULL: open, nothing to wait for */
	TAILQ_ENTRY(flow) push_link;
	bool pushed; /* in io->pushed: what it sends leaves with the next flush */
	TAILQ_ENTRY(flow) held_link;
	bool held; /* in io->held: what it has brought waits in the kernel */
	enum flow_state state;
	bool used;    /* something was sent on it */
	bool closing; /* gone for the layers; no event follows */
	bool shut;    /* our side has been shut down */
	bool ended;   /* the peer has shut down its side */
	bool full;    /* the kernel took no more when it was given something last */
	int fd, error;
	uint32_t watched; /* epoll events asked for */
	struct stw_hop hop;
	uint64_t due_ms; /* connect timeout, end of lingering, end of patience with who reads not */
	struct output *first, *last;
	size_t output_bytes, discarded_bytes;
	/* The end of what the kernel had at mark_us, counted like read_bytes; 0: it had nothing
	 * more. drain_us: what it took to read up to the mark before. */
	uint64_t read_bytes, mark_bytes, mark_us, drain_us;
};
TAILQ_HEAD(flow_list, flow);

/* What the kernel has reported last. */
struct flows_ready {
	struct epoll_event v[READY_MAX]; /* v[next, count) have still to be served */
	int next, count;
	bool split; /* it takes more than one poll */
};

struct flow_slot {
	struct flow *flow;   /* NULL: free */
	uint32_t generation; /* of the flow, or of the next one */
	uint32_t next_free;
};

/* ---- names -------------------------------------------------------------------- */

struct query {
	TAILQ_ENTRY(query) link;
	struct query_list *list; /* queued, waiting, done or shown */
	struct stw_io *io;
	struct dns_channel *channel; /* waiting: the one that asks */
	struct dns_domain *domain;   /* queued or waiting: where it counts */
	uint64_t id, due_ms;
	uint16_t type;
	char name[STW_DNS_NAME_MAX + 2]; /* with a final dot, and NUL */
	struct stw_dns_answer answer;    /* borrows from the buffer */
	struct stw_dns_buffer buffer;
};
TAILQ_HEAD(query_list, query);

/* A channel of c-ares that asks one question at a time. */
struct dns_channel {
	TAILQ_ENTRY(dns_channel) link;
	struct channel_list *list; /* busy or idle */
	struct stw_io *io;
	uint32_t index;
	ares_channel ares;
	struct query *query; /* NULL: it has been answered */
	bool ended;          /* c-ares has called back */
	bool stale;          /* opened before the system named other servers */
	uint64_t due_ms;     /* when c-ares wants to be called for its timers */
};
TAILQ_HEAD(channel_list, dns_channel);

/* The file in which the system names its servers, as it was when it was read. */
struct dns_system {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
	uint64_t look_ms; /* when it is looked at next */
};

/* How much of what there is the names of a domain use now. */
struct dns_domain {
	uint16_t queries, channels;
};

struct dns {
	char *servers; /* for c-ares; NULL: the system's */
	struct dns_channel *channels[CHANNELS_MAX];
	ares_channel reader; /* knows the servers, reads the hosts file, and asks nothing */
	struct channel_list busy, idle;
	unsigned server_count;
	struct dns_system system;
	struct dns_domain domains[DOMAINS];
	unsigned asked;          /* the channels of them all */
	struct stw_hash_key key; /* of the domains: nobody chooses with whom he shares a place */
	uint64_t due_ms;         /* earliest of the busy ones, or earlier */
};

/* ---- io --------------------------------------------------------------------------- */

struct send_failure {
	struct stw_hop hop;
	int error;
	char quote[QUOTE_BYTES]; /* of the datagram */
	size_t quote_len;
};

/* How long it pays to wait before the next poll. */
struct gather {
	uint64_t polled_us, counted_us; /* the last poll; since when messages are counted */
	uint32_t messages;
	uint32_t wait_us; /* until enough will have come; 0: too few come */
	bool stands;      /* more than one batch waits already */
};

struct stw_io {
	struct stw_io_options options;
	int epoll_fd, wake_fd;
	int flows_fd;             /* the epoll of the connections, watched by the other */
	int reserve_fd;           /* given up for a moment when no other is left, see tcp.c */
	uint64_t accept_again_ms; /* UINT64_MAX: not paused */
	struct stw_io_stats stats;
	struct io_listener listeners[STW_LISTENERS_MAX];
	unsigned listener_count;

	struct flow_slot *slots; /* options.max_flows */
	uint32_t slots_used, free_slot;
	struct flow_list opening, closing, stalled, dead; /* the first three in order of due_ms */
	struct flow_list pushed, held;
	size_t output_bytes; /* of all flows */
	struct flows_ready ready;
	bool holds;           /* no flow is read */
	bool crowded;         /* more connections may be ready than one poll serves */
	bool urgent_stands;   /* more than one batch of what is urgent waited */
	bool datagrams_stand; /* the same of any queue */
	unsigned turns;
	char *bytes; /* FLOWS_READ_BYTES and one read */
	size_t bytes_used;

	struct gather gather;
	struct dns dns;
	struct query_list queued, waiting, done, shown; /* the first two in order of due_ms */
	unsigned query_count;

	struct send_failure failures[FAILURES_MAX];
	unsigned failure_count,
		failures_told;       /* of them, in this poll: their quotes are borrowed */
	struct stw_io_event *events; /* EVENTS_MAX */
	unsigned event_count;
};

/* What epoll hands back: which kind, and which one of it. */
enum watch_kind {
	WATCH_WAKE,
	WATCH_LISTENER, /* index; datagrams: which queue */
	WATCH_FLOWS,    /* some connections are ready */
	WATCH_FLOW,     /* slot and generation; in the epoll of the connections */
	WATCH_DNS,      /* channel and descriptor */
	WATCH_RTP,
};

uint64_t watch_key(enum watch_kind kind, uint32_t slot, uint32_t value);
/* Add (was 0), change or drop (events 0). @return 0, -errno */
int watch_set(struct stw_io *io, int fd, uint32_t events, uint64_t key);
/* A zeroed event at the end of the list; there is always room. */
struct stw_io_event *event_add(struct stw_io *io, enum stw_io_event_kind kind);

void buffer_raise(int fd, int force, int plain, int bytes);
/* A socket with the address of the listener, which others of ours may share.
 * @return descriptor, -errno */
int listener_socket(const struct stw_listener *listener, bool share);

/* The poll has read what there was. */
void gather_polled(struct stw_io *io, uint64_t now_us);

/* sort.c */
/* Which arriving datagram goes into which queue, told to the kernel. Requests to `users` are
 * urgent.
 * @return 0, -errno */
int sort_attach(
	int fd, unsigned workers, uint8_t family, const struct stw_str *users, unsigned count);

/* addr.c */
socklen_t sockaddr_from_addr(const struct stw_addr *addr, union sockaddr_any *ret);
void addr_from_sockaddr(const struct sockaddr *sa, struct stw_addr *ret);

/* clock.c */
uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
/* By the clock of the kernel's time stamps, ns since 1970. */
int64_t clock_stamp_ns(void);
/* Have the kernel say when it received what is read from the socket. */
void stamps_enable(int fd);
/* How long what was read has waited in the kernel, us; 0 when it does not say. */
uint32_t stamp_waited_us(struct msghdr *header, int64_t now_ns);
/* What is left of the stream in the kernel behind what was read; 0 when it does not say. */
size_t stamp_unread(struct msghdr *header);

/* wake.c */
int wake_open(struct stw_io *io);
void wake_ready(struct stw_io *io);

/* udp.c */
int udp_open(struct stw_io *io, struct io_listener *listener);
int udp_watch(struct stw_io *io, uint16_t index);
void udp_close(struct io_listener *listener);
void udp_ready(struct stw_io *io, uint16_t index, enum stw_queue queue, uint32_t ready);
void udp_sort(struct stw_io *io, const struct stw_str *users, unsigned count);
void udp_limit(struct io_listener *listener, enum stw_queue queue, uint32_t messages);
uint64_t udp_lost(struct io_listener *listener);
int udp_send(struct stw_io *io, const struct stw_hop *hop, struct stw_slices slices);
void udp_flush(struct stw_io *io, uint16_t index);

/* tcp.c */
int tcp_listen(struct stw_io *io, struct io_listener *listener);
void tcp_accept(struct stw_io *io, uint16_t index);
void tcp_accept_again(struct stw_io *io, uint64_t now_ms);
int tcp_open(struct stw_io *io, const struct stw_hop *hop, struct stw_flow_id *ret);
int reserve_open(struct stw_io *io);

/* flow.c */
int flow_new(struct stw_io *io, int fd, const struct stw_hop *hop, struct flow **ret);
struct flow *flow_find(struct stw_io *io, uint32_t slot, uint32_t generation);
void flow_move(struct flow *flow, struct flow_list *list);
void flow_drop(struct stw_io *io, struct flow *flow, int error);
void flow_release(struct stw_io *io, struct flow *flow);
void flow_ready(struct stw_io *io, struct flow *flow, uint32_t ready);
int flow_send(struct stw_io *io, struct flow *flow, struct stw_slices slices);
void flows_push(struct stw_io *io);
/* Until it is taken back nothing is read, and TCP keeps the peers back. */
void flows_hold(struct stw_io *io, bool on);
void flow_close(struct stw_io *io, struct flow *flow);
/* Makes room: the flow closed first need not see its peer's end. @return was there one? */
bool flow_drop_lingering(struct stw_io *io);
void flows_expire(struct stw_io *io, uint64_t now_ms);
void flows_tell_closed(struct stw_io *io, unsigned events_max);
uint64_t flows_due_ms(const struct stw_io *io);
void flows_done(struct stw_io *io);

/* output.c */
/* @return 0; -ENOBUFS more than may wait, for this peer or for all; -ENOMEM; -errno of the
 * connection */
int output_add(struct stw_io *io, struct flow *flow, struct stw_slices slices);
/* Write what the kernel takes. @return 0, -errno */
int output_flush(struct stw_io *io, struct flow *flow);
void output_free(struct stw_io *io, struct flow *flow);

/* dns.c */
int dns_open(struct stw_io *io);
int dns_resolve(struct stw_io *io, struct stw_str name, unsigned type, uint64_t id);
void dns_ready(struct stw_io *io, uint32_t channel, int fd, uint32_t ready);
void dns_expire(struct stw_io *io, uint64_t now_ms);
void dns_tell(struct stw_io *io, unsigned events_max);
void dns_forget_shown(struct stw_io *io);
uint64_t dns_due_ms(const struct stw_io *io);
void dns_done(struct stw_io *io);

#endif
