/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of our own: what is sent, where to, and what is told. */
#include "lab.h"

#include <strowger/uac.h>

#define TIMEOUT_MS 40000u

/* What was told. */
struct told {
	struct stw_client *client;
	unsigned responses, codes[16], failed, done;
	char tag[64];
	const struct stw_cause *cause;
};

static void told_response(void *user, struct stw_client *client, const struct stw_msg *response)
{
	struct told *told = user;

	told->client = client;
	told->codes[told->responses++ % 16] = response->code;
	snprintf(told->tag, sizeof(told->tag), "%.*s", STW_STR_ARG(response->to.tag));
}

static void told_failed(void *user, struct stw_client *client, const struct stw_cause *cause)
{
	struct told *told = user;

	told->client = client;
	told->failed++;
	told->cause = cause;
}

static void told_done(void *user, struct stw_client *client)
{
	struct told *told = user;

	(void)client;
	told->done++;
	told->client = NULL;
}

static const struct stw_client_ops told_ops = {
	.response = told_response, .failed = told_failed, .done = told_done
};

static struct stw_client_job job_of(struct told *told, const char *method, const char *headers)
{
	return (struct stw_client_job){ .method = stw_str_from(method),
		.uri = STW_STR("sip:bob@192.0.2.2"),
		.headers = stw_str_from(headers),
		.ops = &told_ops,
		.user = told };
}

#define LINES(cseq)                                                                                \
	"From: <sip:us@example.test>;tag=f1\r\nTo: <sip:bob@example.test>\r\nCall-ID: own1\r\n"    \
	"CSeq: " cseq "\r\n"

static int lab_originate(struct lab *lab, const struct stw_client_job *job, struct stw_client **ret)
{
	int err;

	lab_begin(lab);
	err = stw_stack_originate(lab->stack, job, ret);
	lab_end(lab);
	return err;
}

static const struct sent *originated(
	struct lab *lab, struct told *told, const char *method, const char *headers)
{
	struct stw_client_job job = job_of(told, method, headers);

	assert_int_equal(lab_originate(lab, &job, &told->client), 0);
	return lab_expect(lab, method);
}

static void ends(struct lab *lab, struct told *told)
{
	lab_wait(lab, TIMEOUT_MS);
	lab_expect_nothing(lab);
	lab_is_idle(lab);
	assert_int_equal(told->done, 1);
	lab_free(lab);
}

/* ---- one request, one response ------------------------------------------------------------ */

static void request_is_complete(void **state)
{
	struct lab *lab = lab_new();
	struct told told = { 0 };
	struct stw_client_job job = job_of(&told, "MESSAGE", LINES("7 MESSAGE"));
	const struct sent *sent;

	(void)state;
	job.content_type = STW_STR("text/plain");
	job.body = STW_STR("Hi");
	job.contact = true;
	job.contact_user = STW_STR("us");
	job.contact_params = STW_STR(";expires=60");
	assert_int_equal(lab_originate(lab, &job, NULL), 0);
	sent = lab_expect(lab, "MESSAGE sip:bob@192.0.2.2 SIP/2.0\r\n"
			       "Via: SIP/2.0/UDP 192.0.2.9:5060;rport;branch=z9hG4bK");
	sent_to(sent, callee());
	sent_has(sent, "\r\nMax-Forwards: 70\r\nFrom: <sip:us@example.test>;tag=f1\r\n"
		       "To: <sip:bob@example.test>\r\nCall-ID: own1\r\nCSeq: 7 MESSAGE\r\n"
		       "Content-Type: text/plain\r\nContent-Length: 2\r\n"
		       "Contact: <sip:us@192.0.2.9:5060>;expires=60\r\n\r\nHi");
	lab_receive(lab, callee(), response_text(sent, "100 Trying"));
	lab_receive(lab, callee(), response_text(sent, "200 OK"));
	lab_receive(lab, callee(), response_text(sent, "200 OK"));
	assert_int_equal(told.responses, 2);
	assert_int_equal(told.codes[1], 200);
	ends(lab, &told);
	assert_int_equal(told.responses, 2);
	assert_int_equal(told.failed, 0);
}

/* §8.1.3.3: one Via, ours; a response that names others is not for us. */
static void response_with_further_via_is_dropped(void **state)
{
	struct lab *lab = lab_new();
	struct told told = { 0 };
	const struct sent *sent = originated(lab, &told, "OPTIONS", LINES("1 OPTIONS"));
	const char *text = response_text(sent, "200 OK");
	const char *from = strstr(text, "From: ");
	char more[8192];

	(void)state;
	snprintf(more, sizeof(more), "%.*sVia: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKx\r\n%s",
		(int)(from - text), text, from);
	lab_receive(lab, callee(), more);
	assert_int_equal(told.responses, 0);
	assert_int_equal(lab->dropped, 1);
	lab_receive(lab, callee(), text);
	assert_int_equal(told.responses, 1);
	ends(lab, &told);
}

static void silence_is_told(void **state)
{
	struct lab *lab = lab_new();
	struct told told = { 0 };

	(void)state;
	originated(lab, &told, "OPTIONS", LINES("1 OPTIONS"));
	lab_wait(lab, TIMEOUT_MS);
	for (unsigned i = 0; i < 10; i++)
		lab_expect(lab, "OPTIONS ");
	assert_int_equal(told.failed, 1);
	assert_ptr_equal(told.cause, &stw_cause_timer_f);
	ends(lab, &told);
}

static void refused_connection_is_told(void **state)
{
	struct lab *lab = lab_new();
	struct told told = { 0 };
	struct stw_client_job job = job_of(&told, "OPTIONS", LINES("1 OPTIONS"));
	struct stw_io_event event = { .kind = STW_IO_CLOSED, .error = ECONNREFUSED };

	(void)state;
	job.uri = STW_STR("sip:bob@192.0.2.2;transport=tcp");
	assert_int_equal(lab_originate(lab, &job, NULL), 0);
	event.hop = lab_expect(lab, "OPTIONS ")->hop;
	lab_event(lab, &event);
	assert_int_equal(told.failed, 1);
	assert_ptr_equal(told.cause, &stw_cause_transport_error);
	ends(lab, &told);
}

/* The lines of the user are read as those of anybody. */
static void broken_requests_are_refused(void **state)
{
	static const struct {
		const char *method, *uri, *route, *headers;
		int err;
	} cases[] = {
		{ "OPTIONS", "sip:b@192.0.2.2", "", "From: <sip:a@x>;tag=1\r\n", -EINVAL },
		{ "OPTIONS", "sip:b@192.0.2.2", "", LINES("1 INVITE"), -EINVAL },
		{ "OPTIONS", "sip:b@192.0.2.2", "", LINES("1 OPTIONS") "Via: x\r\n", -EINVAL },
		{ "OPTIONS", "sip:b@192.0.2.2", "", LINES("1 OPTIONS") "no line\r\n", -EINVAL },
		{ "OPTIONS", "sip:b@[", "", LINES("1 OPTIONS"), -EBADMSG },
		{ "OPTIONS", "sip:b@192.0.2.2", "<<>", LINES("1 OPTIONS"), -EBADMSG },
		{ "ACK", "sip:b@192.0.2.2", "", LINES("1 ACK"), -EINVAL },
		{ "CANCEL", "sip:b@192.0.2.2", "", LINES("1 CANCEL"), -EINVAL },
	};
	struct lab *lab = lab_new();
	struct told told = { 0 };

	(void)state;
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct stw_client_job job = job_of(&told, cases[i].method, cases[i].headers);

		job.uri = stw_str_from(cases[i].uri);
		job.route = stw_str_from(cases[i].route);
		assert_int_equal(lab_originate(lab, &job, NULL), cases[i].err);
	}
	lab_expect_nothing(lab);
	lab_is_idle(lab);
	assert_int_equal(told.done + told.failed + told.responses, 0);
	lab_free(lab);
}

/* ---- where it goes ----------------------------------------------------------------------------
 */

static void route_decides(void **state)
{
	struct lab *lab = lab_new();
	struct told told = { 0 };
	struct stw_client_job job = job_of(&told, "BYE", LINES("1 BYE"));
	const struct sent *sent;

	(void)state;
	job.route = STW_STR("<sip:192.0.2.5;lr>, <sip:192.0.2.6>");
	assert_int_equal(lab_originate(lab, &job, NULL), 0);
	sent = lab_expect(lab, "BYE sip:bob@192.0.2.2 SIP/2.0\r\n");
	sent_to(sent, hop_at(STW_TRANSPORT_UDP, "192.0.2.5", 5060));
	sent_has(sent, "Route: <sip:192.0.2.5;lr>, <sip:192.0.2.6>\r\n");
	lab_receive(lab, sent->hop, response_text(sent, "200 OK"));
	ends(lab, &told);
}

/* §12.2.1.1: the first one becomes the Request-URI, the remote target the last Route. */
static void strict_route_becomes_the_request_uri(void **state)
{
	struct lab *lab = lab_new();
	struct told told = { 0 };
	struct stw_client_job job = job_of(&told, "BYE", LINES("1 BYE"));
	const struct sent *sent;

	(void)state;
	job.route = STW_STR("\"A, B\" <sip:192.0.2.5;method=BYE;x=1?h=2>, <sip:192.0.2.6;lr>");
	assert_int_equal(lab_originate(lab, &job, NULL), 0);
	sent = lab_expect(lab, "BYE sip:192.0.2.5;x=1 SIP/2.0\r\n");
	sent_to(sent, hop_at(STW_TRANSPORT_UDP, "192.0.2.5", 5060));
	sent_has(sent, "\r\nRoute: <sip:192.0.2.6;lr>, <sip:bob@192.0.2.2>\r\n");
	lab_receive(lab, sent->hop, response_text(sent, "200 OK"));
	ends(lab, &told);
}

static void outbound_proxy_and_flow_go_before(void **state)
{
	struct lab *lab = lab_new();
	struct told told = { 0 }, other = { 0 };
	struct stw_client_job job = job_of(&told, "OPTIONS", LINES("1 OPTIONS"));
	struct stw_hop flow = hop_at(STW_TRANSPORT_UDP, "192.0.2.44", 6000);
	const struct sent *sent;

	(void)state;
	job.outbound = STW_STR("sip:192.0.2.8:5080");
	assert_int_equal(lab_originate(lab, &job, NULL), 0);
	sent = lab_expect(lab, "OPTIONS sip:bob@192.0.2.2 SIP/2.0\r\n");
	sent_to(sent, hop_at(STW_TRANSPORT_UDP, "192.0.2.8", 5080));
	lab_receive(lab, sent->hop, response_text(sent, "200 OK"));
	job.outbound = STW_STR_NONE;
	job.hop = &flow;
	job.user = &other;
	assert_int_equal(lab_originate(lab, &job, NULL), 0);
	sent = lab_expect(lab, "OPTIONS sip:bob@192.0.2.2 SIP/2.0\r\n");
	sent_to(sent, flow);
	lab_receive(lab, sent->hop, response_text(sent, "200 OK"));
	assert_int_equal(other.responses, 1);
	ends(lab, &told);
}

/* ---- INVITE ------------------------------------------------------------------------------------
 */

static void refusal_is_acknowledged(void **state)
{
	struct lab *lab = lab_new();
	struct told told = { 0 };
	const struct sent *invite = originated(lab, &told, "INVITE", LINES("1 INVITE"));

	(void)state;
	lab_receive(lab, callee(), response_text(invite, "486 Busy Here"));
	sent_has(lab_expect(lab, "ACK sip:bob@192.0.2.2 "), "CSeq: 1 ACK\r\n");
	lab_receive(lab, callee(), response_text(invite, "486 Busy Here"));
	lab_expect(lab, "ACK ");
	assert_int_equal(told.responses, 1);
	ends(lab, &told);
}

static const char *forked(const struct sent *invite, const char *tag)
{
	static char text[8192];
	const char *answer = response_text(invite, "200 OK"), *at = strstr(answer, ";tag=b");

	snprintf(text, sizeof(text), "%.*s;tag=%s%s", (int)(at - answer), answer, tag, at + 6);
	return text;
}

/* §13.2.2.4: each fork that accepts has an ACK of its own, which is sent for each copy. */
static void accepted_forks_are_acknowledged(void **state)
{
	struct lab *lab = lab_new();
	struct told told = { 0 };
	const struct sent *invite = originated(lab, &told, "INVITE", LINES("1 INVITE")), *ack;
	struct stw_client_job job = job_of(NULL, "", LINES("1 ACK"));
	const char *again;

	(void)state;
	lab_receive(lab, callee(), response_text(invite, "180 Ringing"));
	lab_receive(lab, callee(), forked(invite, "t1"));
	lab_receive(lab, callee(), forked(invite, "t1"));
	assert_int_equal(told.responses, 3); /* not acknowledged yet */
	job.uri = STW_STR("sip:fork1@192.0.2.21");
	lab_begin(lab);
	assert_int_equal(stw_client_ack(told.client, STW_STR("t1"), &job), 0);
	lab_end(lab);
	ack = lab_expect(lab, "ACK sip:fork1@192.0.2.21 ");
	sent_to(ack, hop_at(STW_TRANSPORT_UDP, "192.0.2.21", 5060));
	lab_receive(lab, callee(), forked(invite, "t2"));
	assert_int_equal(told.responses, 4);
	assert_string_equal(told.tag, "t2");
	again = ack->text;
	lab_receive(lab, callee(), forked(invite, "t1"));
	assert_string_equal(lab_expect(lab, "ACK sip:fork1@")->text, again);
	assert_int_equal(told.responses, 4);
	ends(lab, &told);
}

/* §13.2.2.4: also the ACK for who sends no To tag, as in RFC 2543. */
static void accepted_without_tag_is_acknowledged(void **state)
{
	struct lab *lab = lab_new();
	struct told told = { 0 };
	const struct sent *invite = originated(lab, &told, "INVITE", LINES("1 INVITE"));
	struct stw_client_job job = job_of(NULL, "", LINES("1 ACK"));
	const char *answer = response_text(invite, "200 OK"), *at = strstr(answer, ";tag=b");
	char text[8192];

	(void)state;
	snprintf(text, sizeof(text), "%.*s%s", (int)(at - answer), answer, at + 6);
	lab_receive(lab, callee(), text);
	assert_int_equal(told.responses, 1);
	lab_begin(lab);
	assert_int_equal(stw_client_ack(told.client, STW_STR_NONE, &job), 0);
	lab_end(lab);
	lab_expect(lab, "ACK ");
	lab_receive(lab, callee(), text);
	lab_expect(lab, "ACK ");
	assert_int_equal(told.responses, 1);
	ends(lab, &told);
}

static void cancel_waits_for_a_provisional(void **state)
{
	struct lab *lab = lab_new();
	struct told told = { 0 };
	const struct sent *invite = originated(lab, &told, "INVITE", LINES("1 INVITE")), *cancel;

	(void)state;
	lab_begin(lab);
	stw_client_cancel(told.client, STW_STR("Reason: SIP;cause=26\r\n"));
	lab_end(lab);
	lab_expect_nothing(lab);
	lab_receive(lab, callee(), response_text(invite, "180 Ringing"));
	cancel = lab_expect(lab, "CANCEL sip:bob@192.0.2.2 ");
	sent_has(cancel, "Reason: SIP;cause=26\r\n");
	lab_receive(lab, callee(), response_text(cancel, "200 OK"));
	lab_receive(lab, callee(), response_text(invite, "487 Request Terminated"));
	lab_expect(lab, "ACK ");
	assert_int_equal(told.responses, 2);
	assert_int_equal(told.codes[1], 487);
	ends(lab, &told);
}

/* §9.1: who answers the CANCEL and not the INVITE is given up. */
static void cancelled_without_answer_fails(void **state)
{
	struct lab *lab = lab_new();
	struct told told = { 0 };
	const struct sent *invite = originated(lab, &told, "INVITE", LINES("1 INVITE"));

	(void)state;
	lab_receive(lab, callee(), response_text(invite, "180 Ringing"));
	lab_begin(lab);
	stw_client_cancel(told.client, STW_STR_NONE);
	lab_end(lab);
	lab_receive(lab, callee(), response_text(lab_expect(lab, "CANCEL "), "200 OK"));
	lab_wait(lab, 32000);
	assert_int_equal(told.failed, 1);
	assert_ptr_equal(told.cause, &stw_cause_cancelled);
	ends(lab, &told);
}

/* ---- names, alarms, workers --------------------------------------------------------------------
 */

static void answer_of_dns(struct lab *lab, const char *first, const char *second)
{
	struct stw_dns_record records[2] = { 0 };
	struct stw_dns_answer answer = { .ttl_s = 60, .records = records, .n = 2 };
	struct stw_io_event event = { .kind = STW_IO_RESOLVED, .answer = &answer };

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(
			stw_addr_from_host(stw_str_from(i ? second : first), 0, &records[i].addr),
			0);
	event.query = lab->query;
	lab_event(lab, &event);
}

/* RFC 3263 §4.3: a server that says 503 is not the last word; the next place has a new branch. */
static void next_place_of_a_name_is_tried(void **state)
{
	struct lab *lab = lab_new();
	struct told told = { 0 };
	struct stw_client_job job = job_of(&told, "OPTIONS", LINES("1 OPTIONS"));
	const struct sent *first, *second;

	(void)state;
	job.uri = STW_STR("sip:bob@servers.example.test:5080;transport=udp");
	assert_int_equal(lab_originate(lab, &job, &told.client), 0);
	answer_of_dns(lab, "192.0.2.31", "192.0.2.32");
	first = lab_expect(lab, "OPTIONS sip:bob@servers.example.test:5080;transport=udp ");
	lab_receive(lab, first->hop, response_text(first, "503 Service Unavailable"));
	second = lab_expect(lab, "OPTIONS ");
	assert_int_equal(told.responses, 0);
	assert_false(stw_addr_equal(&first->hop.remote, &second->hop.remote));
	assert_string_not_equal(strstr(first->text, "branch="), strstr(second->text, "branch="));
	lab_receive(lab, second->hop, response_text(second, "200 OK"));
	assert_int_equal(told.codes[0], 200);
	ends(lab, &told);
}

static unsigned alarms;

static void alarm_fired(struct stw_alarm *alarm)
{
	(void)alarm;
	alarms++;
}

static void alarms_fire_once(void **state)
{
	struct lab *lab = lab_new();
	struct stw_alarm one = { .fired = alarm_fired }, two = { .fired = alarm_fired };

	(void)state;
	alarms = 0;
	stw_alarm_start(lab->stack, &one, 500);
	stw_alarm_start(lab->stack, &two, 500);
	stw_alarm_stop(lab->stack, &two);
	lab_wait(lab, 499);
	assert_int_equal(alarms, 0);
	lab_wait(lab, 1000);
	assert_int_equal(alarms, 1);
	lab_free(lab);
}

/* What a worker begins comes back to it: responses by their branch, requests by the Call-ID. */
static void own_calls_stay_with_their_worker(void **state)
{
	struct stw_workers_options options = { .n = 3, .key = { 3, 4 }, .max_flows = 16 };
	struct stw_workers *workers;
	struct lab *lab;
	char call_id[STW_CALL_ID_BYTES];
	struct told told = { 0 };
	const struct sent *sent;

	(void)state;
	assert_int_equal(stw_workers_new(&options, &workers), 0);
	lab = lab_new_worker(workers, 2, 64);
	for (unsigned i = 0; i < 20; i++) {
		stw_stack_call_id(lab->stack, call_id);
		assert_int_equal(stw_workers_owner(workers, stw_str_from(call_id)), 2);
	}
	sent = originated(lab, &told, "OPTIONS", LINES("1 OPTIONS"));
	sent_has(sent, ";branch=z9hG4bK2");
	lab_receive(lab, callee(), response_text(sent, "200 OK"));
	assert_int_equal(told.responses, 1);
	ends(lab, &told);
	stw_workers_free(workers);
}

/* Whatever cannot be had: an error, or a failure that is told; nothing stays behind. */
static void without_memory(void **state)
{
	(void)state;
	for (unsigned nth = 1; nth < 60; nth++) {
		struct lab *lab = lab_new();
		struct told told = { 0 };
		struct stw_client_job job = job_of(&told, "INVITE", LINES("1 INVITE"));
		int err;

		stw_memory_keep(0);
		lab_begin(lab);
		support_fail_allocation(nth);
		err = stw_stack_originate(lab->stack, &job, &told.client);
		support_fail_allocation(0);
		lab_end(lab);
		lab_wait(lab, TIMEOUT_MS);
		lab_is_idle(lab);
		assert_true(err < 0 ? told.done == 0 : told.failed == 1 && told.done == 1);
		lab_free(lab);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_is_complete),
		cmocka_unit_test(response_with_further_via_is_dropped),
		cmocka_unit_test(silence_is_told),
		cmocka_unit_test(refused_connection_is_told),
		cmocka_unit_test(broken_requests_are_refused),
		cmocka_unit_test(route_decides),
		cmocka_unit_test(strict_route_becomes_the_request_uri),
		cmocka_unit_test(outbound_proxy_and_flow_go_before),
		cmocka_unit_test(refusal_is_acknowledged),
		cmocka_unit_test(accepted_forks_are_acknowledged),
		cmocka_unit_test(accepted_without_tag_is_acknowledged),
		cmocka_unit_test(cancel_waits_for_a_provisional),
		cmocka_unit_test(cancelled_without_answer_fails),
		cmocka_unit_test(next_place_of_a_name_is_tried),
		cmocka_unit_test(alarms_fire_once),
		cmocka_unit_test(own_calls_stay_with_their_worker),
		cmocka_unit_test(without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
