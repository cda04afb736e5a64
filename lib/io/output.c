/* SPDX-License-Identifier: Apache-2.0 */
/* What a flow sends: straight to the kernel; only what it does not take is copied, up to a limit.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_BYTES_MIN 4096
#define OUTPUT_IOVECS    64

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

static int output_append(struct flow *flow, struct stw_str bytes)
{
	struct output *last = flow->last;
	size_t capacity = bytes.len < OUTPUT_BYTES_MIN ? OUTPUT_BYTES_MIN : bytes.len;

	if (!last || last->capacity - last->end < bytes.len) {
		last = malloc(sizeof(*last) + capacity);
		if (!last)
			return -ENOMEM;
		*last = (struct output){ .capacity = capacity };
		if (flow->last)
			flow->last->next = last;
		else
			flow->first = last;
		flow->last = last;
	}
	memcpy(last->data + last->end, bytes.ptr, bytes.len);
	last->end += bytes.len;
	flow->output_bytes += bytes.len;
	return 0;
}

/* The slices without their first `skip` bytes. */
static int output_queue(struct stw_io *io, struct flow *flow, struct stw_slices slices, size_t skip)
{
	if (flow->output_bytes + stw_slices_bytes(slices) - skip > io->options.max_output_bytes)
		return -ENOBUFS;
	for (unsigned i = 0; i < slices.n; i++) {
		struct stw_str rest = slices.v[i];

		if (skip >= rest.len) {
			skip -= rest.len;
			continue;
		}
		rest = (struct stw_str){ rest.ptr + skip, rest.len - skip };
		skip = 0;
		if (output_append(flow, rest) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void output_consumed(struct flow *flow, size_t bytes)
{
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

int output_flush(struct flow *flow)
{
	while (flow->first) {
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
			return (int)written;
		output_consumed(flow, (size_t)written);
		if ((size_t)written < asked)
			return 0;
	}
	return 0;
}

void output_free(struct flow *flow)
{
	output_consumed(flow, flow->output_bytes);
}

/* ---- slices ------------------------------------------------------------------------ */

/* Until the kernel takes no more. @return bytes it took, -errno */
static ssize_t slices_write(int fd, struct stw_slices slices)
{
	size_t total = 0;

	for (unsigned i = 0; i < slices.n;) {
		struct iovec iov[OUTPUT_IOVECS];
		size_t asked = 0;
		unsigned n = 0;
		ssize_t written;

		for (; i < slices.n && n < OUTPUT_IOVECS; i++) {
			iov[n].iov_base = (void *)(uintptr_t)slices.v[i].ptr;
			iov[n].iov_len = slices.v[i].len;
			asked += iov[n++].iov_len;
		}
		written = iov_write(fd, iov, n);
		if (written < 0)
			return written;
		total += (size_t)written;
		if ((size_t)written < asked)
			break;
	}
	return (ssize_t)total;
}

int output_write(struct stw_io *io, struct flow *flow, struct stw_slices slices)
{
	ssize_t written = 0;

	if (flow->state == FLOW_OPEN && !flow->first) {
		written = slices_write(flow->fd, slices);
		if (written < 0)
			return (int)written;
	}
	if ((size_t)written == stw_slices_bytes(slices))
		return 0;
	return output_queue(io, flow, slices, (size_t)written);
}
