/* SPDX-License-Identifier: Apache-2.0 */
/* A flood: what is refused before it is read gets the answer that it would get otherwise, and what
 * must not be refused is read as ever. */
#include "lab.h"

#include <strowger/uas.h>

#define WAITED_US 60000
#define FLOOD     16 /* refusals, after which it is one */

static void receive_late(struct lab *lab, struct stw_hop hop, const char *text)
{
	struct stw_io_event event = { .kind = STW_IO_DATAGRAM,
		.hop = hop,
		.len = strlen(text),
		.waited_us = WAITED_US,
		.queue_stands = true };
	char *bytes = support_guarded(text, event.len);

	event.data = bytes;
	lab_event(lab, &event);
	support_guarded_free(bytes, event.len);
}

static uint64_t unrecorded(struct lab *lab)
{
	struct stw_stack_stats stats;

	stw_stack_stats(lab->stack, &stats);
	return stats.unrecorded;
}

/* The queue stands, and so much has been refused in this tenth of a second. */
static struct lab *lab_flooded(void)
{
	struct lab *lab = lab_new();

	lab->answers_options = true;
	receive_late(lab, caller(), request_text("OPTIONS", "o", 1, ""));
	lab_expect(lab, "SIP/2.0 200 ");
	lab_wait(lab, 200);
	for (unsigned i = 0; i <= FLOOD; i++) {
		receive_late(lab, caller(), request_text("OPTIONS", "o", 1, ""));
		lab_expect(lab, "SIP/2.0 503 ");
	}
	assert_int_equal(lab->overload_refused, FLOOD + 1);
	assert_int_equal(unrecorded(lab), 0);
	return lab;
}

#define FORM(vias)                                                                                 \
	"INVITE sip:bob@192.0.2.2 SIP/2.0\r\n" vias                                                \
	"From: Alice <sip:alice@example.test>;tag=a\r\nTo: <sip:bob@example.test>\r\n"             \
	"Call-ID: c1\r\nCSeq: 7 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"

/* With one of each source a second the reader sees the first copy and the short look the second. */
static void test_same_answer(void **state)
{
	static const char *const requests[] = {
		FORM("Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n"),
		FORM("Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport\r\n"),
		FORM("Via: SIP/2.0/UDP phone.example;branch=z9hG4bK1\r\n"),
		FORM("Via: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bK1;rport\r\n"
		     "Via: SIP/2.0/TCP h;branch=z9hG4bK2\r\n"),
	};
	struct lab *lab = lab_flooded();

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		uint64_t before = unrecorded(lab);
		struct stw_hop hop = caller();
		const struct sent *read, *shed;

		hop.remote.ip[3] = (uint8_t)(40 + i);
		receive_late(lab, hop, requests[i]);
		read = lab_expect(lab, "SIP/2.0 503 ");
		assert_int_equal(unrecorded(lab), before);
		receive_late(lab, hop, requests[i]);
		shed = lab_expect(lab, "SIP/2.0 503 ");
		assert_int_equal(unrecorded(lab), before + 1);
		assert_string_equal(shed->text, read->text);
		sent_to(shed, read->hop);
	}
	lab_is_idle(lab);
	lab_free(lab);
}

/* Its ACK ends here, before it is read; one with another tag is forwarded. */
static void test_acknowledged(void **state)
{
	struct lab *lab = lab_flooded();
	const struct sent *refusal;
	const char *tag;
	char ack[1024];

	receive_late(lab, caller(), request_text("INVITE", "i1", 1, ""));
	lab_wait(lab, 0);
	refusal = lab_expect(lab, "SIP/2.0 503 ");
	assert_int_equal(unrecorded(lab), 1);
	tag = strstr(refusal->text, ";tag=stw");
	assert_non_null(tag);
	snprintf(ack, sizeof(ack),
		"ACK sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.1:5060;branch=z9hG4bKi1\r\nFrom: <sip:alice@example.test>;tag=a\r\n"
		"To: <sip:bob@example.test>%.*s\r\nCall-ID: c1\r\nCSeq: 1 ACK\r\n\r\n",
		(int)strcspn(tag, "\r"), tag);
	receive_late(lab, caller(), ack);
	lab_expect_nothing(lab);
	assert_int_equal(unrecorded(lab), 2);
	strstr(ack, ";tag=stw")[8] ^= 1;
	receive_late(lab, caller(), ack);
	lab_expect(lab, "ACK ");
	assert_int_equal(unrecorded(lab), 2);
	lab_is_idle(lab);
	lab_free(lab);
}

/* The same for a lab in which something goes on, before the first retransmission is due. */
static void lab_flood(struct lab *lab)
{
	lab_wait(lab, 400);
	lab->answers_options = true;
	receive_late(lab, caller(), request_text("OPTIONS", "o", 1, ""));
	lab_expect(lab, "SIP/2.0 200 ");
	lab_wait(lab, 99);
	lab->now.mono_ms++;
	for (unsigned i = 0; i < FLOOD + 2; i++) {
		receive_late(lab, caller(), request_text("OPTIONS", "o", 1, ""));
		lab_expect(lab, "SIP/2.0 503 ");
	}
}

static struct stw_request *taken;
static unsigned acknowledged;

static void told_acked(void *user, struct stw_request *request, const struct stw_msg *ack)
{
	(void)user;
	(void)request;
	(void)ack;
	acknowledged++;
}

static void told_done(void *user, struct stw_request *request)
{
	(void)user;
	(void)request;
	taken = NULL;
}

static bool takes_invite(struct lab *lab, struct stw_request *request)
{
	static const struct stw_server_ops ops = { .acked = told_acked, .done = told_done };

	(void)lab;
	if (request->msg->method != STW_METHOD_INVITE)
		return false;
	assert_int_equal(stw_request_take(request, &ops, NULL), 0);
	taken = request;
	return true;
}

#define OLD(method, tag)                                                                           \
	method " sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=1\r\n"        \
	       "From: <sip:alice@example.test>;tag=a\r\nTo: <sip:bob@example.test>" tag            \
	       "\r\nCall-ID: c1\r\nCSeq: 7 " method "\r\n\r\n"

/* Of a client of RFC 2543 the ACK of our 200 looks like that of a refusal: it is read. */
static void test_ack_of_answer(void **state)
{
	struct lab *lab = lab_flooded();
	struct stw_answer answer = { .code = 200 };
	const struct sent *ok;
	char ack[1024];
	uint64_t before = unrecorded(lab);

	acknowledged = 0;
	lab->takes = takes_invite;
	lab_receive(lab, caller(), OLD("INVITE", ""));
	assert_non_null(taken);
	lab_begin(lab);
	assert_int_equal(stw_request_answer(taken, &answer), 0);
	lab_end(lab);
	ok = lab_expect(lab, "SIP/2.0 200 ");
	snprintf(ack, sizeof(ack), OLD("ACK", "%.*s"),
		(int)strcspn(strstr(ok->text, ";tag=stw"), "\r"), strstr(ok->text, ";tag=stw"));
	receive_late(lab, caller(), ack);
	assert_int_equal(acknowledged, 1);
	assert_int_equal(unrecorded(lab), before);
	lab_free(lab);
}

/* What is found by more than its branch is read: a repeated INVITE, the ACK of its refusal. */
static void test_old_client(void **state)
{
	struct lab *lab = lab_new();
	uint64_t before;

	lab_receive(lab, caller(), OLD("INVITE", ""));
	lab_expect(lab, "SIP/2.0 100 ");
	lab_expect(lab, "INVITE ");
	lab_flood(lab);
	before = unrecorded(lab);
	receive_late(lab, caller(), OLD("INVITE", ""));
	lab_expect(lab, "SIP/2.0 100 ");
	assert_int_equal(unrecorded(lab), before);
	lab_free(lab);
}

/* A retransmission is none; BYE and what may be an emergency is read. */
static void test_not_shed(void **state)
{
	struct lab *lab = lab_new();
	uint64_t before;

	lab_receive(lab, caller(), request_text("INVITE", "i1", 1, ""));
	lab_expect(lab, "SIP/2.0 100 ");
	lab_expect(lab, "INVITE ");
	lab_receive(lab, caller(), request_text("FROBNICATE", "f1", 3, ""));
	lab_expect(lab, "FROBNICATE ");
	lab_flood(lab);
	before = unrecorded(lab);
	assert_true(before > 0);
	receive_late(lab, caller(), request_text("INVITE", "i1", 1, ""));
	lab_expect(lab, "SIP/2.0 100 ");
	receive_late(lab, caller(), request_text("FROBNICATE", "f1", 3, ""));
	lab_expect_nothing(lab);
	receive_late(lab, caller(), request_text("BYE", "b1", 2, ""));
	lab_expect(lab, "BYE ");
	receive_late(lab, caller(),
		"INVITE sip:1-1-2@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;"
		"branch=z9hG4bK1\r\nFrom: <sip:alice@example.test>;tag=a\r\n"
		"To: <sip:112@example.test>\r\nCall-ID: c9\r\nCSeq: 7 INVITE\r\n\r\n");
	lab_expect(lab, "SIP/2.0 503 "); /* here nobody says that it is one */
	assert_int_equal(unrecorded(lab), before);
	lab_free(lab);
}

/* What has to be read after all is judged, and counted, once. */
static void test_judged_once(void **state)
{
	struct lab *lab = lab_flooded();
	struct stw_stack_stats stats;
	char text[1024];

	for (unsigned i = 0; i < 10; i++) {
		snprintf(text, sizeof(text),
			"INVITE sip:bob@192.0.2.2 SIP/2.0\r\n"
			"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK%u;oc;oc-algo=\"loss\"\r\n"
			"From: <sip:alice@example.test>;tag=a\r\nTo: <sip:bob@example.test>\r\n"
			"Call-ID: c%u\r\nCSeq: 7 INVITE\r\nMax-Forwards: 70\r\n\r\n",
			i, i);
		receive_late(lab, caller(), text);
		lab_expect(lab, "SIP/2.0 503 ");
	}
	stw_stack_stats(lab->stack, &stats);
	assert_int_equal(stats.overload_refused, FLOOD + 1 + 10);
	lab_free(lab);
}

/* Beyond what is answered all are dropped, until the next tenth of a second. */
static void test_dropped(void **state)
{
	struct lab *lab = lab_flooded();
	unsigned answered = FLOOD + 1;

	for (unsigned i = 0; i < 200; i++) {
		receive_late(lab, caller(), request_text("INVITE", "i1", 1, ""));
		if (lab->sent_seen < lab->sent_count) {
			lab_expect(lab, "SIP/2.0 503 ");
			answered++;
		}
	}
	assert_int_equal(answered, 64 + 1); /* and one for what was served */
	lab_wait(lab, 100);
	receive_late(lab, caller(), request_text("INVITE", "i1", 1, ""));
	lab_expect(lab, "SIP/2.0 503 ");
	lab_is_idle(lab);
	lab_free(lab);
}

/* By a connection all answers to what came at once go out at once, each whole. */
static void test_connection(void **state)
{
	struct lab *lab = lab_flooded();
	struct stw_io_event event = { .kind = STW_IO_OPENED, .incoming = true };
	const struct sent *sent;
	unsigned answers = 0;
	char text[8192] = "";

	event.hop = hop_at(STW_TRANSPORT_TCP, "192.0.2.1", 40000);
	event.hop.flow = (struct stw_flow_id){ .slot = 1, .generation = 1 };
	lab_event(lab, &event);
	/* Of the same listener: its queue stands. */
	for (unsigned i = 0; i < 3; i++)
		strcat(text, request_text("OPTIONS", "t1", 1, ""));
	event.kind = STW_IO_BYTES;
	event.data = text;
	event.len = strlen(text);
	event.waited_us = WAITED_US;
	event.queue_stands = true;
	lab_event(lab, &event);
	sent = lab_expect(lab, "SIP/2.0 503 ");
	for (const char *at = sent->text; (at = strstr(at, "SIP/2.0 503 ")); at++)
		answers++;
	assert_int_equal(answers, 3);
	assert_int_equal(sent->hop.flow.slot, 1);
	lab_expect_nothing(lab);
	/* They are not lost when what follows them ends the connection. */
	strcat(text, "nonsense\r\n\r\n");
	event.len = strlen(text);
	lab_event(lab, &event);
	sent = lab_expect(lab, "SIP/2.0 503 ");
	assert_int_equal(sent->hop.flow.slot, 1);
	lab_free(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_answer),
		cmocka_unit_test(test_acknowledged),
		cmocka_unit_test(test_ack_of_answer),
		cmocka_unit_test(test_old_client),
		cmocka_unit_test(test_not_shed),
		cmocka_unit_test(test_judged_once),
		cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
