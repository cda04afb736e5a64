/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory in large pages. The first touch of a page of 4 KiB costs about as much as a request,
 * several times that below some hypervisors, and a busy server touches many: each transaction stays
 * for 32 s. The heap grows by large steps of addresses, and the kernel is asked to fill them by
 * large pages. Where the C library is another one, or the kernel has none, nothing is lost.
 */
#include "server/serve/internal.h"

#include <limits.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __GLIBC__

#define STEP_BYTES  (8u << 20)
#define MMAP_BYTES  (32u << 20) /* from here on memory has a mapping of its own */
#define ARENA_BYTES ((uintptr_t)64 << 20)
#define PIECE_BYTES (16u << 20)
#define PAGE_BYTES  ((uintptr_t)4096)

static uintptr_t advised; /* the end of the heap, as it was asked for */

void serve_pages_prepare(void)
{
	advised = (uintptr_t)sbrk(0);
	mallopt(M_TOP_PAD, STEP_BYTES);
	mallopt(M_TRIM_THRESHOLD, INT_MAX); /* the store gives back what is free, now and then */
	mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
	serve_pages_expect(STEP_BYTES / 8);
}

/* The heap grows before it is needed, and what it has grown by is asked for. */
void serve_pages_expect(size_t bytes)
{
	struct piece {
		struct piece *next;
	} *pieces = NULL, *piece;
	size_t each = bytes < PIECE_BYTES ? bytes : PIECE_BYTES, sum;

	for (sum = 0; each > sizeof(*piece) && sum < bytes && (piece = malloc(each)); sum += each) {
		piece->next = pieces;
		pieces = piece;
	}
	serve_pages_advise();
	while ((piece = pieces)) {
		pieces = piece->next;
		free(piece);
	}
}

void serve_pages_advise(void)
{
	uintptr_t end = (uintptr_t)sbrk(0), from = advised & ~(PAGE_BYTES - 1);

	if (end == advised)
		return;
	if (end > advised)
		(void)madvise((void *)from, end - from, MADV_HUGEPAGE);
	advised = end;
}

/* The heap of another thread lies in a range of so many addresses, and begins where they do. */
void serve_pages_thread(void)
{
	void *probe = malloc(1);
	uintptr_t heap = (uintptr_t)probe & ~(ARENA_BYTES - 1);

	if (heap)
		(void)madvise((void *)heap, ARENA_BYTES, MADV_HUGEPAGE);
	free(probe);
}

#else

void serve_pages_prepare(void)
{
}
void serve_pages_expect(size_t bytes)
{
}
void serve_pages_advise(void)
{
}
void serve_pages_thread(void)
{
}

#endif
