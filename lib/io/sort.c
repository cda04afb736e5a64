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
 * a place in that queue; the layers look properly. A response goes to the worker that its branch
 * names, everything else to one that follows from the address of its sender.
 */
#include "internal.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>

#define WORD(a, b, c, d)                                                                           \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
#define LOWER_CASE 0x20202020U
#define STEP_BYTES 16 /* between looks at the length; behind what is sought there are more */
/* Where a response may have the branch of its first Via. */
#define BRANCH_FROM  24
#define BRANCH_UNTIL 248

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

/* ---- responses go to the worker that their branch names ------------------------------ */

/* The cookie has seven bytes: one group of four lies in it. X is where the byte behind it is. */
static void put_cookie(struct program *p, uint32_t at, unsigned found)
{
	static const uint32_t parts[] = { WORD('z', '9', 'h', 'G'), WORD('9', 'h', 'G', '4'),
		WORD('h', 'G', '4', 'b'), WORD('G', '4', 'b', 'K') };

	put_load(p, BPF_W, at);
	for (unsigned i = 0; i < 4; i++) {
		put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 2, parts[i]);
		put(p, BPF_LDX | BPF_IMM, 0, 0, at + 7 - i);
		put(p, BPF_JMP | BPF_JA, 0, 0, found - p->n - 1);
	}
}

#define COOKIE_CODE 13
#define RANGE_CODE  4

/* A is a character from `first` on: of these `count`, the first one is worker `worker`. */
static void put_mark(struct program *p, char first, uint8_t count, unsigned worker, unsigned go)
{
	put(p, BPF_JMP | BPF_JGE | BPF_K, 0, RANGE_CODE - 1, (uint32_t)first);
	put(p, BPF_JMP | BPF_JGE | BPF_K, RANGE_CODE - 2, 0, (uint32_t)first + count);
	put(p, BPF_ALU | BPF_SUB | BPF_K, 0, 0, (uint32_t)first - worker);
	put(p, BPF_JMP | BPF_JA, 0, 0, go - p->n - 1);
}

/* STW_WORKER_MARKS. What is not ours gets the worker of its sender. */
static void put_marks(struct program *p, unsigned workers, uint8_t family)
{
	static const struct {
		char first;
		uint8_t count, worker;
	} ranges[] = { { '0', 10, 0 }, { 'a', 26, 10 }, { 'A', 26, 36 }, { '-', 1, 62 },
		{ '_', 1, 63 } };
	unsigned go = p->n + 1 + STW_ARRAY_SIZE(ranges) * RANGE_CODE + 11;

	put(p, BPF_LD | BPF_B | BPF_IND, 0, 0, 0);
	for (unsigned i = 0; i < STW_ARRAY_SIZE(ranges); i++)
		put_mark(p, ranges[i].first, ranges[i].count, ranges[i].worker, go);
	put_verdict(p, workers, family, STW_QUEUE_URGENT);
	put(p, BPF_JMP | BPF_JGE | BPF_K, 0, 11, workers);
	put_verdict(p, workers, family, STW_QUEUE_URGENT);
	put(p, BPF_ALU | BPF_MUL | BPF_K, 0, 0, STW_QUEUES);
	put(p, BPF_ALU | BPF_ADD | BPF_K, 0, 0, STW_QUEUE_URGENT);
	put(p, BPF_RET | BPF_A, 0, 0, 0);
}

static void put_responses(struct program *p, unsigned workers, uint8_t family)
{
	unsigned steps = (BRANCH_UNTIL - BRANCH_FROM) / STEP_BYTES,
		 none = p->n + steps * (3 + STEP_BYTES / 4 * COOKIE_CODE), found = none + 11;

	for (uint32_t at = BRANCH_FROM; at < BRANCH_UNTIL; at += STEP_BYTES) {
		put(p, BPF_LD | BPF_W | BPF_LEN, 0, 0, 0);
		put(p, BPF_JMP | BPF_JGE | BPF_K, 1, 0, at + STEP_BYTES + 8);
		put(p, BPF_JMP | BPF_JA, 0, 0, none - p->n - 1);
		for (uint32_t i = 0; i < STEP_BYTES; i += 4)
			put_cookie(p, at + i, found);
	}
	put_verdict(p, workers, family, STW_QUEUE_URGENT);
	put_marks(p, workers, family);
}

/* The verdicts stand at the end of what there is room for; the search fills what is left. */
#define TO_RESPONSES 3 /* the place of the jump to put_responses() */

int sort_attach(
	int fd, unsigned workers, uint8_t family, const struct stw_str *users, unsigned count)
{
	struct program p = { .n = 0 }, tail = { .n = 0 };
	struct sock_fprog program = { .filter = p.code };
	unsigned none, urgent, replies, steps, begin;

	put_verdict(&tail, workers, family, STW_QUEUE_NEW);
	urgent = tail.n;
	put_verdict(&tail, workers, family, STW_QUEUE_URGENT);
	replies = tail.n;
	if (workers > 1)
		put_responses(&tail, workers, family);
	else
		put_verdict(&tail, workers, family, STW_QUEUE_URGENT);
	put_load(&p, BPF_W, 0);
	put_if(&p, WORD('S', 'I', 'P', '/'), 1);
	put(&p, BPF_JMP | BPF_JA, 0, 0, 1);
	put(&p, BPF_JMP | BPF_JA, 0, 0, 0);
	put_methods(&p, workers, family);
	begin = p.n;
	put_emergency(&p, users, count, 0);
	if (p.n + tail.n + STEP_CODE > BPF_MAXINSNS)
		return -E2BIG;
	steps = (BPF_MAXINSNS - p.n - tail.n) / STEP_CODE;
	none = p.n + steps * STEP_CODE;
	urgent += none;
	p.code[TO_RESPONSES].k = none + replies - TO_RESPONSES - 1;

	p.n = begin;
	put_emergency(&p, users, count, urgent);
	put_search(&p, none, urgent);
	memcpy(&p.code[none], tail.code, tail.n * sizeof(tail.code[0]));
	program.len = (unsigned short)(none + tail.n);
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) < 0
		       ? -errno
		       : 0;
}
