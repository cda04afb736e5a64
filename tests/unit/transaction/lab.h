/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions in virtual time with a real wheel: scripts of events in, a line of what happened
 * out. */
#ifndef STW_TESTS_TRANSACTION_LAB_H
#define STW_TESTS_TRANSACTION_LAB_H

#include "internal.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAB_START_MS 1000000u

struct lab_msg {
	struct stw_msg msg;
	struct stw_field fields[32];
	char text[4096];
};

struct lab {
	struct stw_wheel wheel;
	struct stw_tx_layer *layer;
	struct stw_tx *tx;
	struct stw_now now;
	bool ended; /* STW_TX_ENDED was told */
	char log[4096];
	size_t log_len;
};

static const struct stw_str lab_slice = { "message", 7 };
static const struct stw_slices lab_slices = { &lab_slice, 1 };

static inline struct stw_hash_key lab_key(void)
{
	return (struct stw_hash_key){ 0x0123456789abcdef, 0xfedcba9876543210 };
}

static inline void lab_init(struct lab *lab)
{
	memset(lab, 0, sizeof(*lab));
	lab->now = (struct stw_now){ LAB_START_MS, 0 };
	stw_wheel_init(&lab->wheel, LAB_START_MS);
	assert_int_equal(stw_tx_layer_new(&lab->wheel, lab_key(), &lab->layer), 0);
}

static inline void lab_done(struct lab *lab)
{
	lab->layer = stw_tx_layer_free(lab->layer);
	assert_int_equal(lab->wheel.count, 0);
}

static inline struct stw_msg *lab_parse(struct lab_msg *ret, const char *text)
{
	struct stw_fault fault = { 0 };

	assert_true(strlen(text) < sizeof(ret->text));
	strcpy(ret->text, text);
	memset(&ret->msg, 0, sizeof(ret->msg));
	ret->msg.fields = ret->fields;
	ret->msg.field_capacity = STW_ARRAY_SIZE(ret->fields);
	if (stw_msg_parse(&ret->msg, ret->text, strlen(text), NULL, &fault) < 0 ||
		stw_msg_check(&ret->msg, &fault) < 0)
		fail_msg("%s: %s", text, fault.cause ? fault.cause->id : "?");
	return &ret->msg;
}

/* Parts of a request; NULL: what is usual. */
struct lab_request {
	const char *method, *uri, *via, *to, *from, *call_id;
	unsigned cseq;
	const char *cseq_method;
};

static inline struct stw_msg *lab_request(struct lab_msg *ret, struct lab_request parts)
{
	char text[2048];
	const char *method = parts.method ? parts.method : "INVITE";

	snprintf(text, sizeof(text),
		"%s %s SIP/2.0\r\nVia: %s\r\nMax-Forwards: 70\r\nTo: %s\r\nFrom: %s\r\n"
		"Call-ID: %s\r\nCSeq: %u %s\r\nContent-Length: 0\r\n\r\n",
		method, parts.uri ? parts.uri : "sip:bob@example.com",
		parts.via ? parts.via : "SIP/2.0/UDP pc33.example.com;branch=z9hG4bKabc",
		parts.to ? parts.to : "<sip:bob@example.com>",
		parts.from ? parts.from : "<sip:alice@example.com>;tag=1928",
		parts.call_id ? parts.call_id : "a84b4c76e66710", parts.cseq ? parts.cseq : 314159,
		method);
	return lab_parse(ret, text);
}

static inline struct stw_msg *lab_response(
	struct lab_msg *ret, unsigned code, const char *branch, const char *method)
{
	char text[2048];

	snprintf(text, sizeof(text),
		"SIP/2.0 %u Words\r\nVia: SIP/2.0/UDP us.example.com;branch=%s\r\n"
		"To: <sip:bob@example.com>;tag=9\r\nFrom: <sip:alice@example.com>;tag=1928\r\n"
		"Call-ID: a84b4c76e66710\r\nCSeq: 314159 %s\r\nContent-Length: 0\r\n\r\n",
		code, branch, method);
	return lab_parse(ret, text);
}

/* S send, K send ACK, P pass up, T time-out, E error, 1 send 100, X ended; "-": nothing. */
static inline void lab_log(struct lab *lab, const char *event, unsigned actions)
{
	static const char letters[] = "SKPTE1X";
	char text[16];
	size_t len = 0;

	for (unsigned i = 0; i < sizeof(letters) - 1; i++) {
		if (actions & 1u << i)
			text[len++] = letters[i];
	}
	if (len == 0)
		text[len++] = '-';
	text[len] = '\0';
	assert_int_equal(actions & ~0x7fu, 0);
	lab->ended |= (actions & STW_TX_ENDED) != 0;
	lab->log_len += (size_t)snprintf(lab->log + lab->log_len, sizeof(lab->log) - lab->log_len,
		"%s%s=%s", lab->log_len ? " " : "", event, text);
	assert_true(lab->log_len < sizeof(lab->log));
}

static inline void lab_log_timer(struct lab *lab, char letter, unsigned actions)
{
	char event[32];

	snprintf(
		event, sizeof(event), "%c@%u", letter, (unsigned)(lab->now.mono_ms - LAB_START_MS));
	lab_log(lab, event, actions);
}

/* '0' for the time of the 100. */
static inline char lab_letter(const struct stw_tx *tx, const struct stw_timer *timer)
{
	enum tx_event event = timer->kind == STW_TIMER_TX_END ? tx_end_event(tx->kind, tx->state)
							      : tx_retransmit_event(tx->kind);

	if (timer->kind == STW_TIMER_TX_100)
		return '0';
	assert_true(event != TX_EVENTS);
	return TX_TIMER_LETTERS[event - EV_TIMER_A];
}

static inline void lab_wait(struct lab *lab, uint64_t ms)
{
	uint64_t until_ms = lab->now.mono_ms + ms, next_ms;
	struct stw_timer *timer;

	while ((next_ms = stw_wheel_next(&lab->wheel)) <= until_ms) {
		lab->now.mono_ms = next_ms;
		while ((timer = stw_wheel_expire(&lab->wheel, next_ms))) {
			char letter = lab_letter(timer->owner, timer);

			lab_log_timer(lab, letter, stw_tx_timer(timer->owner, timer, lab->now));
		}
	}
	lab->now.mono_ms = until_ms;
}

static inline void lab_new(struct lab *lab, enum stw_tx_kind kind, bool reliable)
{
	bool is_invite = kind == STW_TX_INVITE_CLIENT || kind == STW_TX_INVITE_SERVER;
	struct stw_tx_client_options options = {
		.method = is_invite ? STW_METHOD_INVITE : STW_METHOD_OPTIONS,
		.branch = STW_STR("z9hG4bKours"),
		.request = lab_slices,
		.reliable = reliable,
	};
	struct lab_msg request;
	unsigned actions = 0;

	if (kind == STW_TX_INVITE_CLIENT || kind == STW_TX_NON_INVITE_CLIENT) {
		assert_int_equal(
			stw_tx_client_new(lab->layer, &options, lab->now, &lab->tx, &actions), 0);
		assert_int_equal(actions, STW_TX_SEND);
	} else {
		lab_request(&request,
			(struct lab_request){ .method = is_invite ? "INVITE" : "OPTIONS" });
		assert_int_equal(
			stw_tx_server_new(lab->layer, &request.msg, reliable, lab->now, &lab->tx),
			0);
	}
	assert_int_equal(lab->tx->kind, kind);
}

/*
 * One event: w500 wait; 486 a response comes; r486 the TU answers; req, ack come; err transport
 * error; abandon; forget; resend and resend-tcp.
 */
static inline void lab_event(struct lab *lab, const char *event)
{
	struct stw_tx *tx = lab->tx;
	struct stw_msg msg = { 0 };

	if (event[0] == 'w') {
		lab_wait(lab, strtoul(event + 1, NULL, 10));
	} else if (event[0] >= '1' && event[0] <= '6') {
		msg.code = (uint16_t)strtoul(event, NULL, 10);
		lab_log(lab, event, stw_tx_receive_response(tx, &msg, lab->now));
	} else if (event[0] == 'r' && event[1] >= '1' && event[1] <= '6') {
		lab_log(lab, event,
			stw_tx_respond(
				tx, (unsigned)strtoul(event + 1, NULL, 10), lab_slices, lab->now));
	} else if (!strcmp(event, "req") || !strcmp(event, "ack")) {
		msg.is_request = true;
		msg.method = !strcmp(event, "ack") ? STW_METHOD_ACK : tx->method;
		lab_log(lab, event, stw_tx_receive_request(tx, &msg, lab->now));
	} else if (!strcmp(event, "err")) {
		lab_log(lab, event, stw_tx_transport_error(tx, lab->now));
	} else if (!strcmp(event, "abandon")) {
		lab_log(lab, event, stw_tx_abandon(tx, lab->now));
	} else if (!strncmp(event, "resend", 6)) {
		lab_log(lab, event, stw_tx_resend(tx, lab_slices, event[6] != '\0', lab->now));
	} else if (!strcmp(event, "forget")) {
		stw_tx_forget(tx);
		lab_log(lab, event, tx->state == STW_TX_TERMINATED ? STW_TX_ENDED : 0);
	} else {
		fail_msg("event %s", event);
	}
}

static inline void lab_play(struct lab *lab, const char *script)
{
	char copy[1024], *at = copy, *event;

	assert_true(strlen(script) < sizeof(copy));
	strcpy(copy, script);
	while ((event = strsep(&at, " "))) {
		if (*event)
			lab_event(lab, event);
	}
}

#endif
