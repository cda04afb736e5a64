/* SPDX-License-Identifier: Apache-2.0 */
/* What no ladder shows: calls that never end stay within their bounds. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/call/call.h"

#include "support.h"

static const struct stw_hash_key key = { 1, 2 };
#define MARK 5u
#define BOB  STW_STR("sip:bob@example.com")

struct message {
	struct stw_msg msg;
	struct stw_field fields[STW_MSG_FIELDS_MAX];
	char text[1024];
};

static const struct stw_msg *message(struct message *m, const char *start, const char *to_tag,
	unsigned call, const char *cseq, const char *more)
{
	struct stw_fault fault = { 0 };

	m->msg = (struct stw_msg){ .fields = m->fields, .field_capacity = STW_MSG_FIELDS_MAX };
	snprintf(m->text, sizeof(m->text),
		"%s\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK%u\r\nMax-Forwards: 70\r\n"
		"From: <sip:eve@example.net>;tag=e%u\r\nTo: <sip:bob@example.com>%s\r\n"
		"Call-ID: call-%u\r\nCSeq: %s\r\n%sContent-Length: 0\r\n\r\n",
		start, call, call, to_tag, call, cseq, more);
	if (stw_msg_parse(&m->msg, m->text, strlen(m->text), &stw_msg_limits_default, &fault) < 0)
		fail_msg("%s: %s", fault.cause->id, m->text);
	if (stw_msg_check(&m->msg, &fault) < 0)
		fail_msg("%s", fault.cause->id);
	return &m->msg;
}

static const struct stw_msg *invite(struct message *m, unsigned call)
{
	return message(m, "INVITE sip:bob@example.com SIP/2.0", "", call, "1 INVITE",
		"Contact: <sip:eve@192.0.2.1>\r\n");
}

static void note(struct stw_calls *calls, enum stw_note_kind kind, const struct stw_msg *msg,
	unsigned code, const struct stw_msg *request, const struct stw_proxy_target *target)
{
	struct stw_note what = { .kind = kind,
		.msg = msg,
		.request = request,
		.method = msg->cseq.method,
		.method_name = msg->cseq.name,
		.code = code,
		.relayed = true,
		.in_dialog = kind == STW_NOTE_REQUEST_OUT,
		.target = target };

	stw_calls_note(calls, &what);
}

static void answer(struct stw_calls *calls, unsigned call, const char *tag, unsigned code)
{
	const struct stw_proxy_target target = { .uri = STW_STR("sip:bob@192.0.2.2"),
		.owner = BOB };
	struct message m, request;
	char start[40];

	snprintf(start, sizeof(start), "SIP/2.0 %u X", code);
	note(calls, STW_NOTE_RESPONSE_IN, message(&m, start, tag, call, "1 INVITE", ""), code,
		invite(&request, call), &target);
}

static struct stw_calls *calls_new(struct stw_busy *busy, size_t max, struct stw_now now)
{
	struct stw_calls_options options = {
		.key = key, .busy = busy, .max = max, .max_age_s = 3600
	};
	struct stw_calls *calls;

	assert_int_equal(stw_calls_new(&options, now, &calls), 0);
	return calls;
}

/* Many calls that never end: so many are followed and no more, the others still pass; their time
 * is over with call.max_age, all of them, and everybody is free again. */
static void test_bounded(void **state)
{
	struct stw_now now = { 1000, 1000 };
	struct stw_busy *busy;
	struct stw_calls *calls;
	struct message m;
	unsigned refused = 0;

	assert_int_equal(stw_busy_new(key, 100, &busy), 0);
	calls = calls_new(busy, 100, now);
	for (unsigned i = 0; i < 1000; i++) {
		int err = stw_calls_begin(calls, invite(&m, i), MARK, STW_STR_NONE, 0);

		refused += err == -ENOBUFS;
		assert_int_equal(stw_calls_callee(calls, invite(&m, i), BOB, 0), 0);
		answer(calls, i, ";tag=b", 200);
	}
	assert_int_equal(refused, 900);
	assert_int_equal(stw_calls_unfollowed(calls), 900);
	assert_int_equal(stw_calls_count(calls), 100);
	assert_int_equal(stw_busy_count(busy, BOB), 100);
	/* who is limited stays so for calls that are not followed */
	assert_int_equal(stw_calls_callee(calls, invite(&m, 999), BOB, 100), -EBUSY);
	assert_int_equal(stw_calls_begin(calls, invite(&m, 5000), MARK, BOB, 100), -EBUSY);
	now.mono_ms += 3599999;
	stw_calls_now(calls, now);
	stw_calls_timers(calls);
	assert_int_equal(stw_calls_count(calls), 100);
	assert_true(stw_calls_next(calls) <= now.mono_ms + 1);
	now.mono_ms += 1;
	stw_calls_now(calls, now);
	stw_calls_timers(calls);
	assert_int_equal(stw_calls_count(calls), 0);
	assert_int_equal(stw_busy_count(busy, BOB), 0);
	assert_int_equal(stw_busy_ended_ms(busy, BOB), now.mono_ms);
	stw_calls_free(calls);
	stw_busy_free(busy);
}

/* All with the same Call-ID: they are told by CSeq, one after the other, and are not too many. */
static void test_one_call_id(void **state)
{
	struct stw_now now = { 1000, 1000 };
	struct stw_busy *busy;
	struct stw_calls *calls;
	struct message m;
	char cseq[20];

	assert_int_equal(stw_busy_new(key, 100, &busy), 0);
	calls = calls_new(busy, 1000, now);
	for (unsigned i = 1; i <= 300; i++) {
		snprintf(cseq, sizeof(cseq), "%u INVITE", i);
		assert_int_equal(stw_calls_begin(calls,
					 message(&m, "INVITE sip:bob@example.com SIP/2.0", "", 1,
						 cseq, "Contact: <sip:eve@192.0.2.1>\r\n"),
					 MARK, STW_STR_NONE, 0),
			i <= 256 ? 0 : -ENOBUFS);
	}
	assert_int_equal(stw_calls_begin(calls, invite(&m, 2), MARK, STW_STR_NONE, 0), 0);
	assert_int_equal(stw_calls_count(calls), 257);
	stw_calls_free(calls);
	stw_busy_free(busy);
}

/* One call with countless answers, users and provisional responses. */
static void test_one_call(void **state)
{
	struct stw_now now = { 1000, 1000 };
	struct stw_busy *busy;
	struct stw_calls *calls;
	struct message m;
	char text[64];

	assert_int_equal(stw_busy_new(key, 100, &busy), 0);
	calls = calls_new(busy, 100, now);
	assert_int_equal(stw_calls_begin(calls, invite(&m, 1), MARK, BOB, 1), 0);
	assert_int_equal(stw_busy_count(busy, BOB), 1);
	for (unsigned i = 0; i < 10000; i++) {
		struct stw_str aor = { text,
			(size_t)snprintf(text, sizeof(text), "sip:u%u@example.com", i) };

		(void)stw_calls_callee(calls, invite(&m, 1), aor, 0);
		snprintf(text, sizeof(text), ";tag=t%u", i);
		answer(calls, 1, text, 180);
		answer(calls, 1, text, 200);
	}
	assert_int_equal(stw_calls_count(calls), 1);
	assert_int_equal(stw_busy_count(busy, BOB), 1);
	/* freed with all that it holds: the sanitizer looks at it */
	stw_calls_free(calls);
	assert_int_equal(stw_busy_count(busy, BOB), 0);
	stw_busy_free(busy);
}

/* Without memory a call is not followed; who has as many as he may gets no more for that. */
static void test_no_memory(void **state)
{
	struct stw_now now = { 1000, 1000 };
	struct stw_busy *busy;
	struct stw_calls *calls;
	struct message m;

	assert_int_equal(stw_busy_new(key, 100, &busy), 0);
	calls = calls_new(busy, 100, now);
	assert_int_equal(stw_busy_enter(busy, BOB, 0), 0);
	support_fail_allocation(1);
	assert_int_equal(stw_calls_begin(calls, invite(&m, 1), MARK, BOB, 1), -EBUSY);
	support_fail_allocation(1);
	assert_int_equal(stw_calls_begin(calls, invite(&m, 1), MARK, BOB, 2), -ENOMEM);
	support_fail_allocation(0);
	assert_int_equal(stw_busy_count(busy, BOB), 1);
	assert_int_equal(stw_calls_count(calls), 0);
	stw_calls_free(calls);
	stw_busy_free(busy);
}

/* What does not belong to it ends nothing: a BYE of a stranger, with wrong tags, a spiral's answer.
 */
static void test_strangers(void **state)
{
	struct stw_now now = { 1000, 1000 };
	struct stw_busy *busy;
	struct stw_calls *calls;
	struct message m;

	assert_int_equal(stw_busy_new(key, 100, &busy), 0);
	calls = calls_new(busy, 100, now);
	assert_int_equal(stw_calls_begin(calls, invite(&m, 1), MARK, STW_STR_NONE, 0), 0);
	/* it comes back to us on its way, and that copy is refused */
	assert_int_equal(stw_calls_begin(calls, invite(&m, 1), MARK, STW_STR_NONE, 0), 0);
	assert_int_equal(stw_calls_count(calls), 1);
	/* who says that it is one of his counts for it */
	assert_int_equal(stw_calls_begin(calls, invite(&m, 1), MARK, BOB, 1), 0);
	assert_int_equal(stw_calls_begin(calls, invite(&m, 2), MARK, BOB, 1), -EBUSY);
	assert_int_equal(stw_calls_count(calls), 2);
	note(calls, STW_NOTE_RESPONSE_OUT, &m.msg, 403, NULL, NULL);
	invite(&m, 1);
	m.msg.via.branch = STW_STR("z9hG4bKother");
	note(calls, STW_NOTE_RESPONSE_OUT, &m.msg, 482, NULL, NULL);
	assert_int_equal(stw_calls_count(calls), 1);
	answer(calls, 1, ";tag=b", 200);
	note(calls, STW_NOTE_REQUEST_OUT,
		message(&m, "BYE sip:x SIP/2.0", ";tag=no", 1, "2 BYE", ""), 0, NULL, NULL);
	note(calls, STW_NOTE_RESPONSE_OUT, &m.msg, 200, NULL, NULL);
	assert_int_equal(stw_calls_count(calls), 1);
	/* an answer to a BYE that has not gone through */
	note(calls, STW_NOTE_RESPONSE_OUT,
		message(&m, "BYE sip:x SIP/2.0", ";tag=b", 1, "2 BYE", ""), 403, NULL, NULL);
	assert_int_equal(stw_calls_count(calls), 1);
	note(calls, STW_NOTE_REQUEST_OUT, &m.msg, 0, NULL, NULL);
	note(calls, STW_NOTE_RESPONSE_OUT, &m.msg, 200, NULL, NULL);
	assert_int_equal(stw_calls_count(calls), 0);
	assert_int_equal(stw_busy_count(busy, BOB), 0);
	stw_calls_free(calls);
	stw_busy_free(busy);
}

/* It comes back to us below the Via that it went out with, from somebody of ours who sends it on:
 * he is in it until its end, whoever answers. What only claims to be that is one more. */
static void test_comes_back(void **state)
{
	static const char *const branches[] = { "z9hG4bK0123456789abcdef.00000000000000ff",
		"z9hG4bK0123456789abcdef.0000000000000005" };
	const struct stw_proxy_target target = { .uri = STW_STR("sip:carol@192.0.2.3"),
		.owner = STW_STR("sip:carol@example.com") };
	struct stw_now now = { 1000, 1000 };
	struct stw_busy *busy;
	struct stw_calls *calls;
	struct message m, request;
	char vias[200];

	assert_int_equal(stw_busy_new(key, 100, &busy), 0);
	calls = calls_new(busy, 100, now);
	assert_int_equal(stw_calls_begin(calls, invite(&m, 1), MARK, STW_STR_NONE, 0), 0);
	for (unsigned i = 0; i < STW_ARRAY_SIZE(branches); i++) {
		snprintf(vias, sizeof(vias),
			"INVITE sip:carol@example.com SIP/2.0\r\n"
			"Via: SIP/2.0/UDP 192.0.2.11;branch=z9hG4bKk%u\r\n"
			"Via: SIP/2.0/UDP 192.0.2.100;branch=%s",
			i, branches[i]);
		assert_int_equal(stw_calls_begin(calls, message(&m, vias, "", 1, "1 INVITE", ""),
					 MARK + 1, BOB, 0),
			0);
		assert_int_equal(stw_calls_count(calls), 2);
	}
	assert_int_equal(stw_busy_count(busy, BOB), 2);
	note(calls, STW_NOTE_RESPONSE_IN, message(&m, "SIP/2.0 200 X", ";tag=c", 1, "1 INVITE", ""),
		200, invite(&request, 1), &target);
	assert_int_equal(stw_busy_count(busy, target.owner), 1);
	assert_int_equal(stw_busy_count(busy, BOB), 2);
	stw_calls_free(calls);
	stw_busy_free(busy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_one_call_id),
		cmocka_unit_test(test_one_call),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
