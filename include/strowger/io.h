/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * io: the only system calls of the library. One epoll loop per worker, datagrams received and sent in
 * batches (recvmmsg, sendmmsg), TCP with bounded output queues, names resolved by c-ares, the clock.
 */
#ifndef STROWGER_IO_H
#define STROWGER_IO_H

#include <strowger/transport.h>

struct stw_io;

struct stw_io_options {
	uint16_t worker;
	unsigned max_flows;             /* sockets of connections at most */
	size_t max_output_bytes;        /* queued per flow before a slow reader is cut off */
	uint32_t connect_timeout_ms;
	uint32_t dns_timeout_ms;
	struct stw_str dns_servers;     /* "127.0.0.1:5353,[::1]:53"; empty: the system's */
};

int stw_io_new(const struct stw_io_options *options, struct stw_io **ret);
/**
 * Bind one listener; fills its real port. With several workers SO_REUSEPORT is set.
 * @return index of the listener; -EADDRINUSE, -EADDRNOTAVAIL, -EACCES …
 */
int stw_io_listen(struct stw_io *io, struct stw_listener *listener);
/** The operations for stw_stack_new(); user pointer is the io. */
const struct stw_io_ops *stw_io_ops(void);
/**
 * Wait until something happens or `deadline_ms` (monotonic; UINT64_MAX: none) and return events of one
 * batch. The events and their bytes are valid until the next call.
 * @return number of events, 0 at the deadline, -errno
 */
int stw_io_poll(struct stw_io *io, uint64_t deadline_ms, const struct stw_io_event **ret_events);
/** Hand the collected datagrams to the kernel: one sendmmsg per listener. Call before stw_stack_end(). */
void stw_io_flush(struct stw_io *io);
/** From any thread: make stw_io_poll return with WOKEN. */
void stw_io_wake(struct stw_io *io);
/** Stop accepting and reading new datagrams (drain) while flows go on. */
void stw_io_stop_listening(struct stw_io *io);
struct stw_now stw_io_now(void);
/** Addresses of the interfaces of this machine. @return how many, at most `max` */
unsigned stw_io_local_addrs(struct stw_addr *addrs, unsigned max);
/** A random seed from the kernel. */
uint64_t stw_io_seed(void);

struct stw_io_stats {
	uint64_t datagrams_in, datagrams_out;   /* messages */
	uint64_t receive_calls, send_calls;     /* recvmmsg and sendmmsg */
	uint64_t flows_accepted, flows_opened, flows_refused;
};
void stw_io_stats(const struct stw_io *io, struct stw_io_stats *ret);
struct stw_io *stw_io_free(struct stw_io *io);

#endif
