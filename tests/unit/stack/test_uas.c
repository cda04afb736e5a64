/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are answered here: repeating until ACK and PRACK, CANCEL, own tags. */
#include "lab.h"

#include <strowger/uas.h>

#define TIMEOUT_MS 40000u

static struct {
	struct stw_request *request, *prack;
	unsigned cancelled, acked, pracked, unanswered, done;
	bool takes_pracks;
} told;

static void told_cancelled(void *user, struct stw_request *request, const struct stw_msg *cancel)
{
	struct stw_answer answer = { .code = 487 };

	(void)user;
	(void)cancel;
	told.cancelled++;
	assert_int_equal(stw_request_answer(request, &answer), 0);
}

static void told_acked(void *user, struct stw_request *request, const struct stw_msg *ack)
{
	(void)user;
	(void)request;
	(void)ack;
	told.acked++;
}

static void told_pracked(void *user, struct stw_request *request, struct stw_request *prack)
{
	struct stw_answer answer = { .code = 200, .headers = STW_STR("X-Mine: 1\r\n") };

	(void)user;
	(void)request;
	told.pracked++;
	assert_int_equal(stw_request_take(prack, NULL, NULL), 0);
	assert_int_equal(stw_request_answer(prack, &answer), 0);
}

static void told_unanswered(void *user, struct stw_request *request, unsigned code)
{
	struct stw_answer answer = { .code = 504, .cause = &stw_cause_prack_missing };

	(void)user;
	told.unanswered = code;
	if (code < 200)
		assert_int_equal(stw_request_answer(request, &answer), 0);
}

static void told_done(void *user, struct stw_request *request)
{
	(void)user;
	(void)request;
	told.done++;
	told.request = NULL;
}

static const struct stw_server_ops told_ops = { .cancelled = told_cancelled,
	.acked = told_acked,
	.pracked = told_pracked,
	.unanswered = told_unanswered,
	.done = told_done };
static const struct stw_server_ops careless_ops = { .done = told_done };

static bool takes_invite(struct lab *lab, struct stw_request *request)
{
	(void)lab;
	if (request->msg->method != STW_METHOD_INVITE)
		return false;
	assert_int_equal(stw_request_take(request, &told_ops, NULL), 0);
	told.request = request;
	return true;
}

static bool takes_invite_carelessly(struct lab *lab, struct stw_request *request)
{
	(void)lab;
	if (request->msg->method != STW_METHOD_INVITE)
		return false;
	assert_int_equal(stw_request_take(request, &careless_ops, NULL), 0);
	told.request = request;
	return true;
}

static struct lab *lab_with_invite(void)
{
	struct lab *lab = lab_new();
	struct stw_hop from = caller();

	memset(&told, 0, sizeof(told));
	lab->takes = takes_invite;
	from.local = lab->listeners.v[0].bind;
	lab_receive(lab, from,
		request_text("INVITE", "i1", 1, "Record-Route: <sip:192.0.2.40;lr>\r\n"));
	assert_non_null(told.request);
	return lab;
}

static int answer(struct lab *lab, struct stw_answer answer)
{
	int err;

	lab_begin(lab);
	err = stw_request_answer(told.request, &answer);
	lab_end(lab);
	return err;
}

static const char *in_dialog(const char *method, const char *branch, unsigned cseq,
	const struct sent *of, const char *rest)
{
	static char text[8192];
	const char *plain = request_text(method, branch, cseq, rest);
	const char *to = strstr(plain, "To: "), *end = strstr(to, "\r\n");
	const char *tag = strstr(strstr(of->text, "\r\nTo: "), ";tag=");

	snprintf(text, sizeof(text), "%.*s%.*s%s", (int)(end - plain), plain,
		(int)(strstr(tag, "\r\n") - tag), tag, end);
	return text;
}

static void ends(struct lab *lab)
{
	lab_wait(lab, TIMEOUT_MS);
	lab_expect_nothing(lab);
	lab_is_idle(lab);
	assert_int_equal(told.done, 1);
	lab_free(lab);
}

/* §13.3.1.4 */
static void success_is_repeated_until_ack(void **state)
{
	struct lab *lab = lab_with_invite();
	const struct sent *ok;

	(void)state;
	assert_int_equal(answer(lab, (struct stw_answer){ .code = 180, .dialog = true }), 0);
	sent_has(lab_expect(lab, "SIP/2.0 180 Ringing\r\n"), "Contact: <sip:192.0.2.9:5060>\r\n");
	assert_int_equal(answer(lab, (struct stw_answer){ .code = 183 }), 0);
	lab_expect(lab, "SIP/2.0 183 ");
	assert_int_equal(answer(lab, (struct stw_answer){ .code = 200,
					     .dialog = true,
					     .contact_user = STW_STR("us"),
					     .headers = STW_STR("X-Mine: 1\r\n"),
					     .content_type = STW_STR("text/plain"),
					     .body = STW_STR("Hi") }),
		0);
	ok = lab_expect(lab, "SIP/2.0 200 OK\r\n");
	sent_to(ok, caller());
	sent_has(ok, "Record-Route: <sip:192.0.2.40;lr>\r\n");
	sent_has(ok, "Contact: <sip:us@192.0.2.9:5060>\r\nX-Mine: 1\r\n"
		     "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nHi");
	lab_wait(lab, 500);
	assert_string_equal(lab_expect(lab, "SIP/2.0 200 ")->text, ok->text);
	lab_wait(lab, 999);
	lab_expect_nothing(lab);
	lab_wait(lab, 1);
	lab_expect(lab, "SIP/2.0 200 ");
	lab_receive(lab, caller(), in_dialog("ACK", "a1", 1, ok, ""));
	assert_int_equal(told.acked, 1);
	lab_receive(lab, caller(), in_dialog("ACK", "a1", 1, ok, ""));
	assert_int_equal(told.acked, 1);
	assert_int_equal(answer(lab, (struct stw_answer){ .code = 500 }), -EALREADY);
	ends(lab);
	assert_int_equal(told.unanswered, 0);
}

static void success_without_ack_is_told(void **state)
{
	struct lab *lab = lab_with_invite();

	(void)state;
	assert_int_equal(answer(lab, (struct stw_answer){ .code = 200, .dialog = true }), 0);
	lab_wait(lab, TIMEOUT_MS);
	/* At 0, 0.5, 1.5, 3.5, then each 4 s up to 31.5 s. */
	for (unsigned i = 0; i < 11; i++)
		lab_expect(lab, "SIP/2.0 200 ");
	assert_int_equal(told.unanswered, 200);
	ends(lab);
}

/* Another CSeq, another tag: not the ACK of this 2xx; the core gets it (here: forwards it). */
static void foreign_ack_does_not_count(void **state)
{
	struct lab *lab = lab_with_invite();
	const struct sent *ok;

	(void)state;
	assert_int_equal(answer(lab, (struct stw_answer){ .code = 200, .dialog = true }), 0);
	ok = lab_expect(lab, "SIP/2.0 200 ");
	lab_receive(lab, caller(), in_dialog("ACK", "a1", 2, ok, ""));
	lab_expect(lab, "ACK ");
	lab_receive(lab, caller(), request_text("ACK", "a2", 1, ""));
	assert_int_equal(told.acked, 0);
	lab_expect(lab, "ACK ");
	lab_receive(lab, caller(), in_dialog("ACK", "a3", 1, ok, ""));
	assert_int_equal(told.acked, 1);
	ends(lab);
}

/* RFC 3262 §3 */
static void reliable_provisional_waits_for_prack(void **state)
{
	struct lab *lab = lab_with_invite();
	struct stw_answer reliable = { .code = 183, .dialog = true, .reliable = true };
	const struct sent *ringing, *second;
	unsigned rseq;
	char rack[80];

	(void)state;
	assert_int_equal(answer(lab, reliable), 0);
	ringing = lab_expect(lab, "SIP/2.0 183 ");
	sent_has(ringing, "Require: 100rel\r\n");
	assert_int_equal(sscanf(strstr(ringing->text, "RSeq: "), "RSeq: %u", &rseq), 1);
	assert_true(stw_request_awaits_prack(told.request));
	assert_int_equal(answer(lab, reliable), -EBUSY);
	lab_wait(lab, 1500);
	lab_expect(lab, "SIP/2.0 183 ");
	lab_expect(lab, "SIP/2.0 183 ");
	snprintf(rack, sizeof(rack), "RAck: %u 1 INVITE\r\n", rseq + 1);
	lab_receive(lab, caller(), in_dialog("PRACK", "p1", 2, ringing, rack));
	assert_int_equal(told.pracked, 0); /* another number: the core got it, and forwards it */
	lab_receive(lab, callee(), response_text(lab_expect(lab, "PRACK "), "481 No"));
	lab_expect(lab, "SIP/2.0 481 ");
	snprintf(rack, sizeof(rack), "RAck: %u 1 INVITE\r\n", rseq);
	lab_receive(lab, caller(), in_dialog("PRACK", "p2", 3, ringing, rack));
	assert_int_equal(told.pracked, 1);
	sent_has(lab_expect(lab, "SIP/2.0 200 OK\r\n"), "X-Mine: 1\r\n");
	assert_false(stw_request_awaits_prack(told.request));
	assert_int_equal(answer(lab, reliable), 0);
	second = lab_expect(lab, "SIP/2.0 183 ");
	snprintf(rack, sizeof(rack), "RSeq: %u\r\n", rseq + 1);
	sent_has(second, rack);
	assert_int_equal(answer(lab, (struct stw_answer){ .code = 486 }), 0);
	lab_expect(lab, "SIP/2.0 486 ");
	lab_receive(lab, caller(), in_dialog("ACK", "i1", 1, ringing, ""));
	ends(lab);
}

static void provisional_without_prack_is_refused(void **state)
{
	struct lab *lab = lab_with_invite();
	const struct sent *ringing;

	(void)state;
	assert_int_equal(
		answer(lab, (struct stw_answer){ .code = 180, .dialog = true, .reliable = true }),
		0);
	ringing = lab_expect(lab, "SIP/2.0 180 ");
	lab_wait(lab, 32000);
	/* At 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s. */
	for (unsigned i = 0; i < 6; i++)
		lab_expect(lab, "SIP/2.0 180 ");
	assert_int_equal(told.unanswered, 180);
	lab_expect(lab, "SIP/2.0 504 ");
	lab_receive(lab, caller(), in_dialog("ACK", "i1", 1, ringing, ""));
	ends(lab);
}

static void stack_answers_prack_for_the_careless(void **state)
{
	struct lab *lab = lab_new();
	const struct sent *ringing;
	unsigned rseq;
	char rack[80];

	(void)state;
	memset(&told, 0, sizeof(told));
	lab->takes = takes_invite_carelessly;
	lab_receive(lab, caller(), request_text("INVITE", "i1", 1, ""));
	assert_int_equal(answer(lab, (struct stw_answer){ .code = 180, .reliable = true }), 0);
	ringing = lab_expect(lab, "SIP/2.0 180 ");
	assert_int_equal(sscanf(strstr(ringing->text, "RSeq: "), "RSeq: %u", &rseq), 1);
	snprintf(rack, sizeof(rack), "RAck: %u 1 INVITE\r\n", rseq);
	lab_receive(lab, caller(), in_dialog("PRACK", "p2", 2, ringing, rack));
	lab_expect(lab, "SIP/2.0 200 OK\r\n");
	lab_receive(lab, caller(), in_dialog("PRACK", "p2", 2, ringing, rack));
	lab_expect(lab, "SIP/2.0 200 OK\r\n");
	assert_int_equal(answer(lab, (struct stw_answer){ .code = 603 }), 0);
	lab_expect(lab, "SIP/2.0 603 ");
	lab_receive(lab, caller(), in_dialog("ACK", "i1", 1, ringing, ""));
	ends(lab);
}

/* §9.2: the 200 to CANCEL has the To tag of the responses to the INVITE, also when it is our own.
 */
static void cancel_is_told(void **state)
{
	struct lab *lab = lab_with_invite();

	(void)state;
	assert_int_equal(
		answer(lab, (struct stw_answer){ .code = 180, .to_tag = STW_STR("mine") }), 0);
	sent_has(lab_expect(lab, "SIP/2.0 180 "), "To: <sip:bob@example.test>;tag=mine\r\n");
	lab_receive(lab, caller(), request_text("CANCEL", "i1", 1, ""));
	sent_has(lab_expect(lab, "SIP/2.0 200 "), "To: <sip:bob@example.test>;tag=mine\r\n");
	sent_has(lab_expect(lab, "SIP/2.0 487 "), "To: <sip:bob@example.test>;tag=mine\r\n");
	assert_int_equal(told.cancelled, 1);
	lab_receive(lab, caller(), request_text("CANCEL", "i1", 1, ""));
	lab_expect(lab, "SIP/2.0 200 ");
	assert_int_equal(told.cancelled, 1);
	lab_receive(lab, caller(), request_text("ACK", "i1", 1, ""));
	ends(lab);
}

static void without_memory(void **state)
{
	(void)state;
	for (unsigned nth = 1; nth < 12; nth++) {
		struct lab *lab = lab_with_invite();

		lab_begin(lab);
		stw_memory_keep(0);
		support_fail_allocation(nth);
		(void)stw_request_answer(
			told.request, &(struct stw_answer){ .code = 200, .dialog = true });
		support_fail_allocation(0);
		if (!told.request->answered)
			stw_request_answer(told.request, &(struct stw_answer){ .code = 500 });
		lab_end(lab);
		lab_wait(lab, TIMEOUT_MS);
		lab_is_idle(lab);
		assert_int_equal(told.done, 1);
		lab_free(lab);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(success_is_repeated_until_ack),
		cmocka_unit_test(success_without_ack_is_told),
		cmocka_unit_test(foreign_ack_does_not_count),
		cmocka_unit_test(reliable_provisional_waits_for_prack),
		cmocka_unit_test(provisional_without_prack_is_refused),
		cmocka_unit_test(stack_answers_prack_for_the_careless),
		cmocka_unit_test(cancel_is_told),
		cmocka_unit_test(without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
