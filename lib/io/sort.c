/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel sorts what arrives: each queue of a listener is a socket with the same address, and a
 * program of the classic filter machine (SO_ATTACH_REUSEPORT_CBPF, socket(7)) says whose a datagram
 * is. So what is urgent never stands behind new work, and when new work is more than can be done,
 * the kernel loses it without a cost to us, and loses nothing else.
 *
 * The program has no loops. It knows a request within a dialog by our mark in its Route, and
 * priority by the name of the header field, looking at each fourth byte for four bytes of text: a
 * text of seven holds one such group wherever it begins. What it takes for urgent gets no more than
 * a place in that queue; the layers look properly.
 */
#include "internal.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>

#define WORD(a, b, c, d)                                                                           \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
#define LOWER_CASE 0x20202020U
#define STEP_BYTES 16 /* between looks at the length; behind what is sought there are more */

struct program {
	struct sock_filter code[BPF_MAXINSNS];
	unsigned n;
};

static void put(struct program *p, int code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (p->n < BPF_MAXINSNS)
		p->code[p->n] = (struct sock_filter){ (uint16_t)code, jt, jf, k };
	p->n++;
}

static void put_load(struct program *p, int size, uint32_t at)
{
	put(p, BPF_LD | size | BPF_ABS, 0, 0, at);
}

/* ---- the verdict ---------------------------------------------------------------- */

/* The worker follows from the address of the sender, so that what he sends stays in order. */
static void put_worker(struct program *p, unsigned workers, uint8_t family)
{
	uint32_t net = (uint32_t)SKF_NET_OFF;

	put_load(p, BPF_H, net + (family == 4 ? 20 : 40)); /* his port */
	put(p, BPF_ALU | BPF_MUL | BPF_K, 0, 0, 0x9e3779b1U);
	put(p, BPF_MISC | BPF_TAX, 0, 0, 0);
	put_load(p, BPF_W, net + (family == 4 ? 12 : 20)); /* his address, or its end */
	put(p, BPF_ALU | BPF_XOR | BPF_X, 0, 0, 0);
	put(p, BPF_ALU | BPF_MUL | BPF_K, 0, 0, 0x85ebca6bU);
	put(p, BPF_ALU | BPF_RSH | BPF_K, 0, 0, 16);
	put(p, BPF_ALU | BPF_MOD | BPF_K, 0, 0, workers);
}

static void put_verdict(struct program *p, unsigned workers, uint8_t family, enum stw_queue queue)
{
	if (workers <= 1) {
		put(p, BPF_RET | BPF_K, 0, 0, queue);
		return;
	}
	put_worker(p, workers, family);
	put(p, BPF_ALU | BPF_MUL | BPF_K, 0, 0, STW_QUEUES);
	put(p, BPF_ALU | BPF_ADD | BPF_K, 0, 0, queue);
	put(p, BPF_RET | BPF_A, 0, 0, 0);
}

/* A jump over the next `skip` instructions; the verdict stands behind the comparisons. */
static void put_if(struct program *p, uint32_t word, uint8_t skip)
{
	put(p, BPF_JMP | BPF_JEQ | BPF_K, skip, 0, word);
}

/* ---- what is looked at ------------------------------------------------------------ */

static void put_methods(struct program *p, unsigned workers, uint8_t family)
{
	unsigned jump;

	put_load(p, BPF_W, 0);
	put_if(p, WORD('S', 'I', 'P', '/'), 5);
	put_if(p, WORD('A', 'C', 'K', ' '), 4);
	put_if(p, WORD('B', 'Y', 'E', ' '), 3);
	put_if(p, WORD('C', 'A', 'N', 'C'), 2);
	put_if(p, WORD('P', 'R', 'A', 'C'), 1);
	jump = p->n;
	put(p, BPF_JMP | BPF_JA, 0, 0, 0);
	put_verdict(p, workers, family, STW_QUEUE_URGENT);
	p->code[jump].k = p->n - jump - 1;

	jump = p->n;
	put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, WORD('R', 'E', 'G', 'I'));
	put_verdict(p, workers, family, STW_QUEUE_REGISTER);
	p->code[jump].jf = (uint8_t)(p->n - jump - 1);
}

/* One group of four bytes. On a hit the jump lands on the last instruction of the step. */
static void put_compare(struct program *p, uint32_t at, unsigned hit)
{
	/* "ce-Prio" of Resource-Priority and "lr;stw=" of our mark, sorted by their values. */
	static const uint32_t low[] = { WORD('-', 'p', 'r', 'i'), WORD(';', 's', 't', 'w'),
		WORD('c', 'e', '-', 'p'), WORD('e', '-', 'p', 'r') };
	static const uint32_t high[] = { WORD('l', 'r', ';', 's'), WORD('p', 'r', 'i', 'o'),
		WORD('r', ';', 's', 't'), WORD('s', 't', 'w', '=') };

	put_load(p, BPF_W, at);
	put(p, BPF_ALU | BPF_OR | BPF_K, 0, 0, LOWER_CASE);
	put(p, BPF_JMP | BPF_JGE | BPF_K, 4, 0, high[0]);
	for (unsigned i = 0; i < 4; i++)
		put(p, BPF_JMP | BPF_JEQ | BPF_K, (uint8_t)(hit - p->n - 1), i < 3 ? 0 : 4, low[i]);
	for (unsigned i = 0; i < 4; i++)
		put(p, BPF_JMP | BPF_JEQ | BPF_K, (uint8_t)(hit - p->n - 1), 0, high[i]);
}

#define COMPARE_CODE 11
#define STEP_CODE    (3 + STEP_BYTES / 4 * COMPARE_CODE + 2)

/* `none` and `urgent` are the places of the verdicts. */
static void put_search(struct program *p, unsigned none, unsigned urgent)
{
	for (uint32_t at = 0; p->n < none; at += STEP_BYTES) {
		unsigned hit = p->n + STEP_CODE - 1;

		put(p, BPF_LD | BPF_W | BPF_LEN, 0, 0, 0);
		put(p, BPF_JMP | BPF_JGE | BPF_K, 1, 0, at + STEP_BYTES);
		put(p, BPF_JMP | BPF_JA, 0, 0, none - p->n - 1);
		for (uint32_t i = 0; i < STEP_BYTES; i += 4)
			put_compare(p, at + i, hit);
		put(p, BPF_JMP | BPF_JA, 0, 0, 1);
		put(p, BPF_JMP | BPF_JA, 0, 0, urgent - p->n - 1);
	}
}

/* A user part begins at `at`: is it this one? Of long ones the first four bytes are enough. */
static void put_user(struct program *p, uint32_t at, struct stw_str user, unsigned urgent)
{
	static const char ends[] = { '@', ';', ' ', ':' };
	unsigned count = user.len < 4 ? sizeof(ends) : 1;
	uint32_t word = 0, mask = 0;

	for (unsigned i = 0; i < 4; i++) {
		word = word << 8 | (i < user.len ? (uint8_t)user.ptr[i] : 0);
		mask = mask << 8 | (i <= user.len ? 0xff : 0);
	}
	put_load(p, BPF_W, at);
	put(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);
	for (unsigned i = 0; i < count; i++)
		put(p, BPF_JMP | BPF_JEQ | BPF_K, (uint8_t)(count - i), 0,
			user.len < 4 ? word | (uint32_t)ends[i] << (24 - 8 * user.len) : word);
	put(p, BPF_JMP | BPF_JA, 0, 0, 1);
	put(p, BPF_JMP | BPF_JA, 0, 0, urgent - p->n - 1);
}

/* "INVITE urn:service:sos", "MESSAGE sip:112@": RFC 5031, and numbers of the configuration. */
static void put_emergency(
	struct program *p, const struct stw_str *users, unsigned count, unsigned urgent)
{
	for (uint32_t at = 7; at <= 8; at++) {
		unsigned jump;

		put_load(p, BPF_W, at);
		put(p, BPF_ALU | BPF_OR | BPF_K, 0, 0, LOWER_CASE);
		put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, WORD('u', 'r', 'n', ':'));
		put(p, BPF_JMP | BPF_JA, 0, 0, urgent - p->n - 1);
		put(p, BPF_JMP | BPF_JEQ | BPF_K, 2, 0, WORD('s', 'i', 'p', ':'));
		put(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, WORD('t', 'e', 'l', ':'));
		jump = p->n;
		put(p, BPF_JMP | BPF_JA, 0, 0, 0);
		for (unsigned i = 0; i < count; i++)
			put_user(p, at + 4, users[i], urgent);
		p->code[jump].k = p->n - jump - 1;
	}
}

/* The verdicts stand at the end of what there is room for; the search fills what is left. */
int sort_attach(
	int fd, unsigned workers, uint8_t family, const struct stw_str *users, unsigned count)
{
	struct program p = { .n = 0 }, tail = { .n = 0 };
	struct sock_fprog program = { .filter = p.code };
	unsigned none, urgent, steps, begin;

	put_verdict(&tail, workers, family, STW_QUEUE_NEW);
	urgent = tail.n;
	put_verdict(&tail, workers, family, STW_QUEUE_URGENT);
	put_methods(&p, workers, family);
	begin = p.n;
	put_emergency(&p, users, count, 0);
	if (p.n + tail.n + STEP_CODE > BPF_MAXINSNS)
		return -E2BIG;
	steps = (BPF_MAXINSNS - p.n - tail.n) / STEP_CODE;
	none = p.n + steps * STEP_CODE;
	urgent += none;

	p.n = begin;
	put_emergency(&p, users, count, urgent);
	put_search(&p, none, urgent);
	memcpy(&p.code[none], tail.code, tail.n * sizeof(tail.code[0]));
	program.len = (unsigned short)(none + tail.n);
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) < 0
		       ? -errno
		       : 0;
}
