/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * io: the only system calls of the library. One epoll loop per worker, datagrams received and sent
 * in batches (recvmmsg, sendmmsg), TCP with bounded output queues, names resolved by c-ares, the
 * clock.
 */
#ifndef STROWGER_IO_H
#define STROWGER_IO_H

#include <strowger/dns.h>

struct stw_io;

/** A zero takes the default in brackets. */
struct stw_io_options {
	uint16_t worker;
	unsigned max_flows;          /* sockets of connections at most (1024, below 2^24) */
	size_t max_output_bytes;     /* queued per flow before a slow reader is cut off (1 MiB) */
	size_t max_outputs_bytes;    /* in all; for one peer a fourth of what is left of it, when
					that is less (256 MiB, or eight times the former) */
	uint32_t output_timeout_ms;  /* or when it takes nothing of it for so long (30000) */
	uint32_t connect_timeout_ms; /* (4000) */
	uint32_t dns_timeout_ms;     /* a name is answered within, whatever the servers do (4000) */
	struct stw_str dns_servers;  /* "127.0.0.1:5353,[::1]:53"; empty: the system's */
	const char *resolv_conf;     /* that names them, read again when it changes; lives as long
					as the io ("/etc/resolv.conf") */
	uint16_t workers;            /* that listen on the same addresses: SO_REUSEPORT (1) */
	uint32_t gather_us;          /* see stw_io_gather() (0: never) */
};

/** @return 0; -ENOMEM; -EINVAL dns_servers cannot be read or max_flows is too large; -errno */
int stw_io_new(const struct stw_io_options *options, struct stw_io **ret);
/** Descriptors that it may have open beside its connections. */
unsigned stw_io_descriptors(unsigned listeners);
/**
 * Bind one listener; fills its real port. The workers share the address; worker 0 has to listen
 * first and the others in their order, because the kernel is told by number whose queue is whose
 * (enum stw_queue), and worker 0 looks whether another process has the address already. IPv6
 * listeners take no IPv4 (V6ONLY): the two families are two listeners.
 * @return index of the listener; -EADDRINUSE, -EADDRNOTAVAIL, -EACCES …; -ENOBUFS more than
 *         STW_LISTENERS_MAX; -EPROTONOSUPPORT neither UDP nor TCP
 */
int stw_io_listen(struct stw_io *io, struct stw_listener *listener);
/**
 * The operations for stw_stack_new(); user pointer is the io. Datagrams borrow their slices until
 * stw_io_flush(); bytes for a flow are copied before `send` returns, and those of one batch of
 * events leave together: when the connection turns out to be broken then, CLOSED follows. The
 * source address of a datagram is hop.local when the listener is a wildcard. Besides what
 * transport.h says, `send` answers -EMSGSIZE for a datagram that IP cannot carry and -EINVAL when
 * hop.listener cannot reach hop.remote. An error in CLOSED and SEND_FAILED is a positive errno:
 * ETIMEDOUT no connection in time, ENOBUFS the peer reads too slowly. A peer that half-closes gets
 * what is queued; for us the flow is closed.
 */
const struct stw_io_ops *stw_io_ops(void);
/**
 * Wait until something happens or `deadline_ms` (monotonic; UINT64_MAX: none) and return events of
 * one batch. The events and their bytes are valid until the next call.
 * @return number of events; 0 at the deadline, or when a signal was caught; -errno
 */
int stw_io_poll(struct stw_io *io, uint64_t deadline_ms, const struct stw_io_event **ret_events);
/**
 * Under load, sleep until the time of 16 messages has passed since the last poll, at most
 * `gather_us` and at least half of it, so that the next poll finds a batch: to fall asleep and be
 * woken, here and at those who are sent to, costs as much as the kernel's whole part of a message.
 * With less than eight messages in `gather_us` it returns at once, and what comes is served without
 * delay. Nothing but a signal ends the sleep.
 */
void stw_io_gather(struct stw_io *io);
/** Hand what was collected to the kernel: one sendmmsg per listener, one sendmsg per flow. Call
 * before stw_stack_end(). */
void stw_io_flush(struct stw_io *io);
/** From any thread: make stw_io_poll return with WOKEN. */
void stw_io_wake(struct stw_io *io);
/**
 * Drain: the listening TCP sockets are closed, so new connections are refused. Flows go on, and so
 * do the datagram sockets in both directions: the responses, ACKs and BYEs of calls that live
 * arrive there.
 */
void stw_io_stop_listening(struct stw_io *io);
/** Both clocks, read now. */
struct stw_now stw_io_now(void);
/** Addresses of the interfaces of this machine. @return how many, at most `max` */
unsigned stw_io_local_addrs(struct stw_addr *addrs, unsigned max);
/** The address of this machine that the system sends from to `remote`; port 0. Sends nothing.
 * @return 0, -errno */
int stw_io_source_addr(const struct stw_addr *remote, struct stw_addr *ret);
/** A random seed from the kernel. */
uint64_t stw_io_seed(void);

/* ---- ports of RTP and RTCP ----------------------------------------------------------------------
 */

/** Two datagram sockets: an even port for RTP and the next one for RTCP (RFC 3550 §11). */
struct stw_io_rtp;

/**
 * Bind both. When something comes, stw_io_poll() returns with WOKEN until it is read.
 * @param addr  port 0: any free pair from 16384 on
 * @return 0; -EADDRINUSE; -EINVAL an odd port; -ENOMEM; -errno
 */
int stw_io_rtp_open(struct stw_io *io, const struct stw_addr *addr, struct stw_io_rtp **ret);
/** Of RTP. */
uint16_t stw_io_rtp_port(const struct stw_io_rtp *rtp);
/** A datagram from one of the ports; sent or lost. @return 0, -errno */
int stw_io_rtp_send(struct stw_io_rtp *rtp, bool rtcp, const struct stw_addr *to, const void *bytes,
	size_t len);
/** The next datagram of either port. @param ret_arrived_us  monotonic, when the kernel got it
 * @return its bytes, cut to `size`; -EAGAIN none waits */
int stw_io_rtp_receive(struct stw_io_rtp *rtp, void *buffer, size_t size, struct stw_addr *ret_from,
	uint64_t *ret_arrived_us);
/** Before its io is freed. Accepts NULL; returns NULL. */
struct stw_io_rtp *stw_io_rtp_close(struct stw_io_rtp *rtp);

/** Counters since the start. */
struct stw_io_stats {
	uint64_t datagrams_in, datagrams_out; /* messages */
	uint64_t receive_calls, send_calls;   /* recvmmsg and sendmmsg */
	uint64_t flows_accepted, flows_opened, flows_refused;
	uint64_t datagrams_dropped; /* the kernel had no room: lost, as on a network */
	uint64_t send_failures;     /* SEND_FAILED, also those that found no room */
	uint64_t flows_cut;         /* slow readers */
};
void stw_io_stats(const struct stw_io *io, struct stw_io_stats *ret);
/** Closes all sockets; no event follows. Accepts NULL; returns NULL. */
struct stw_io *stw_io_free(struct stw_io *io);

#endif
