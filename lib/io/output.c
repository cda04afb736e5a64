/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a flow sends: collected for as long as a batch of events lasts, up to a limit, and then
 * written at once. A write costs as much as several messages, however few bytes it takes.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_BYTES_MIN 4096
#define OUTPUT_BYTES_MAX 32768 /* of one piece, when no message is longer */
#define OUTPUT_IOVECS    64
#define OUTPUT_PUSH      65536 /* so much does not wait for the flush */

static int output_error(void)
{
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -errno;
}

static ssize_t iov_write(int fd, struct iovec *iov, unsigned n)
{
	struct msghdr header = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t written = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);

	return written < 0 ? output_error() : written;
}

/* ---- the queue ------------------------------------------------------------------ */

/* The more waits the larger, so that a slow reader of little costs little. */
static size_t capacity_for(const struct flow *flow, size_t len)
{
	size_t capacity = flow->output_bytes;

	if (capacity < OUTPUT_BYTES_MIN)
		capacity = OUTPUT_BYTES_MIN;
	if (capacity > OUTPUT_BYTES_MAX)
		capacity = OUTPUT_BYTES_MAX;
	return capacity < len ? len : capacity;
}

/* Room for `len` bytes behind what waits. */
static struct output *output_room(struct flow *flow, size_t len)
{
	struct output *last = flow->last;
	size_t capacity;

	if (last && last->capacity - last->end >= len)
		return last;
	capacity = capacity_for(flow, len);
	last = malloc(sizeof(*last) + capacity);
	if (!last)
		return NULL;
	*last = (struct output){ .capacity = capacity };
	if (flow->last)
		flow->last->next = last;
	else
		flow->first = last;
	flow->last = last;
	return last;
}

static void output_consumed(struct stw_io *io, struct flow *flow, size_t bytes)
{
	io->output_bytes -= bytes;
	flow->output_bytes -= bytes;
	while (flow->first) {
		struct output *first = flow->first;
		size_t waits = first->end - first->start;

		if (bytes < waits) {
			first->start += bytes;
			return;
		}
		bytes -= waits;
		flow->first = first->next;
		free(first);
	}
	flow->last = NULL;
}

/* While something waits the kernel has to take some of it now and then. One that closes has its own
 * time. */
static void output_wait(struct stw_io *io, struct flow *flow, bool taken)
{
	bool waits = flow->list == &io->stalled;

	if (!flow->full && waits) {
		flow_move(flow, NULL);
	} else if (flow->full && !flow->closing && (taken || !waits)) {
		flow->due_ms = clock_mono_ms() + io->options.output_timeout_ms;
		flow_move(flow, &io->stalled);
	}
}

/* @return bytes that the kernel took of the first pieces, or -errno */
static ssize_t output_write(struct stw_io *io, struct flow *flow)
{
	struct iovec iov[OUTPUT_IOVECS];
	size_t asked = 0;
	unsigned n = 0;
	ssize_t written;

	for (struct output *one = flow->first; one && n < OUTPUT_IOVECS; one = one->next) {
		iov[n].iov_base = one->data + one->start;
		iov[n].iov_len = one->end - one->start;
		asked += iov[n++].iov_len;
	}
	written = iov_write(flow->fd, iov, n);
	if (written < 0)
		return written;
	output_consumed(io, flow, (size_t)written);
	flow->full = (size_t)written < asked;
	return written;
}

int output_flush(struct stw_io *io, struct flow *flow)
{
	bool taken = false;

	flow->full = false;
	while (flow->first && !flow->full) {
		ssize_t written = output_write(io, flow);

		if (written < 0)
			return (int)written;
		taken |= written > 0;
	}
	output_wait(io, flow, taken);
	return 0;
}

void output_free(struct stw_io *io, struct flow *flow)
{
	output_consumed(io, flow, flow->output_bytes);
}

static bool output_blocked(const struct flow *flow)
{
	return flow->state != FLOW_OPEN || flow->full;
}

/* A fourth of what is left of the room for all: the more peers do not read, the less may wait for
 * each, and who reads finds some. What is written at once does not wait. */
static bool output_has_room(const struct stw_io *io, const struct flow *flow, size_t len)
{
	size_t bytes = flow->output_bytes + len;

	if (bytes > io->options.max_output_bytes)
		return false;
	return !output_blocked(flow) ||
	       io->output_bytes + 4 * bytes <= io->options.max_outputs_bytes;
}

int output_add(struct stw_io *io, struct flow *flow, struct stw_slices slices)
{
	size_t len = stw_slices_bytes(slices);
	struct output *last;
	int err = 0;

	if (flow->output_bytes + len > io->options.max_output_bytes && !output_blocked(flow))
		err = output_flush(io, flow);
	if (err < 0)
		return err;
	if (!output_has_room(io, flow, len))
		return -ENOBUFS;
	last = output_room(flow, len);
	if (!last)
		return -ENOMEM;
	stw_slices_flatten(slices, last->data + last->end);
	last->end += len;
	flow->output_bytes += len;
	io->output_bytes += len;
	if (flow->output_bytes < OUTPUT_PUSH || output_blocked(flow))
		return 0;
	return output_flush(io, flow);
}
