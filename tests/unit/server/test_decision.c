/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/decision/decision.h"
#include "server/cause.h"

static const struct stw_hash_key key = { 1, 2 };

/* A request as the stack has it in hand. */
struct request {
	char text[1200];
	struct stw_field fields[32];
	struct stw_msg msg;
};

static const struct stw_hop peer = {
	.transport = STW_TRANSPORT_UDP,
	.remote = { .family = 4, .ip = { 192, 0, 2, 7 }, .port = 5070 },
};

static const struct stw_msg *request_make(
	struct request *request, const char *method, const char *call_id, const char *to_tag)
{
	struct stw_fault fault;
	int len = snprintf(request->text, sizeof(request->text),
		"%s sip:bob@example.com SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK1\r\n"
		"From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>%s\r\n"
		"Call-ID: %s\r\nCSeq: 1 %s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
		method, to_tag, call_id, method);

	memset(&request->msg, 0, sizeof(request->msg));
	request->msg.fields = request->fields;
	request->msg.field_capacity = STW_ARRAY_SIZE(request->fields);
	assert_int_equal(stw_msg_parse(&request->msg, request->text, (size_t)len, NULL, &fault), 0);
	assert_int_equal(stw_msg_check(&request->msg, &fault), 0);
	return &request->msg;
}

static void note_request(struct stw_decisions *decisions, const char *method, const char *call_id,
	const char *to_tag, uint64_t at_ms)
{
	struct request request;
	struct stw_note note = { .kind = STW_NOTE_REQUEST_IN,
		.hop = &peer,
		.now = { at_ms, 1700000000000 + (int64_t)at_ms } };

	note.msg = request_make(&request, method, call_id, to_tag);
	note.method = note.msg->method;
	note.method_name = stw_msg_method_name(note.msg);
	stw_decisions_note(decisions, &note, STW_STR_NONE);
}

static void note_response(struct stw_decisions *decisions, const char *call_id, unsigned code,
	const struct stw_cause *cause, uint64_t at_ms)
{
	struct request request;
	struct stw_refusal refusal = { .cause = cause, .option = "call.from_anyone" };
	struct stw_note note = { .kind = STW_NOTE_RESPONSE_OUT,
		.hop = &peer,
		.code = code,
		.cause = cause,
		.relayed = !cause,
		.refusal = cause ? &refusal : NULL,
		.now = { at_ms, 1700000000000 + (int64_t)at_ms } };

	stw_refusal_fact(&refusal, "user",
		STW_STR("b\xff"
			"b"));
	note.msg = request_make(&request, "INVITE", call_id, "");
	note.method = STW_METHOD_INVITE;
	note.method_name = STW_STR("INVITE");
	note.phrase = cause ? stw_str_from(cause->phrase) : STW_STR("So It Goes");
	stw_decisions_note(decisions, &note, cause ? STW_STR("s.yaml:12") : STW_STR_NONE);
}

static bool remembers(const struct stw_decisions *decisions, const char *call_id)
{
	json_t *call = stw_decisions_call(decisions, stw_str_from(call_id));

	json_decref(call);
	return call != NULL;
}

static const char *text(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

static void test_a_call_is_told_as_it_went(void **state)
{
	struct stw_decisions *decisions;
	const json_t *records, *record;
	json_t *call, *list;

	assert_int_equal(stw_decisions_new(10, key, &decisions), 0);
	note_request(decisions, "INVITE", "one@a", "", 1000);
	note_response(decisions, "one@a", 403, &stw_cause_stranger_refused, 1250);
	call = stw_decisions_call(decisions, STW_STR("last"));
	assert_string_equal(text(call, "call_id"), "one@a");
	assert_string_equal(text(call, "from"), "sip:alice@example.com");
	assert_string_equal(text(call, "to"), "sip:bob@example.com");
	assert_string_equal(text(call, "started"), "2023-11-14T22:13:21.000Z");
	records = json_object_get(call, "records");
	assert_int_equal(json_array_size(records), 2);
	record = json_array_get(records, 0);
	assert_string_equal(text(record, "kind"), "request-in");
	assert_string_equal(text(record, "method"), "INVITE");
	assert_string_equal(text(record, "peer"), "udp 192.0.2.7:5070");
	record = json_array_get(records, 1);
	assert_int_equal(json_integer_value(json_object_get(record, "at_ms")), 250);
	assert_int_equal(json_integer_value(json_object_get(record, "code")), 403);
	assert_string_equal(text(record, "phrase"), stw_cause_stranger_refused.phrase);
	assert_string_equal(text(record, "cause"), "caller-from-elsewhere-refused");
	assert_string_equal(text(record, "option"), "call.from_anyone");
	assert_string_equal(text(record, "place"), "s.yaml:12");
	assert_false(json_is_true(json_object_get(record, "relayed")));
	/* Bytes that are not UTF-8 must not lose the record. */
	assert_string_equal(text(json_object_get(record, "facts"), "user"), "b\xef\xbf\xbd"
									    "b");
	json_decref(call);
	list = stw_decisions_list(decisions, 5);
	assert_int_equal(json_array_size(list), 1);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "code")), 403);
	json_decref(list);
	stw_decisions_free(decisions);
}

static void test_successes_go_first_refusals_last(void **state)
{
	struct stw_decisions *decisions;
	char call_id[32];

	assert_int_equal(stw_decisions_new(3, key, &decisions), 0);
	note_request(decisions, "INVITE", "refused@a", "", 1);
	note_response(decisions, "refused@a", 403, &stw_cause_stranger_refused, 2);
	for (unsigned i = 0; i < 5; i++) {
		snprintf(call_id, sizeof(call_id), "good%u@a", i);
		note_request(decisions, "INVITE", call_id, "", 10 + i);
		note_response(decisions, call_id, 200, NULL, 10 + i);
	}
	assert_int_equal(stw_decisions_count(decisions), 3);
	assert_true(remembers(decisions, "refused@a"));
	assert_false(remembers(decisions, "good2@a"));
	assert_true(remembers(decisions, "good3@a"));
	assert_true(remembers(decisions, "good4@a"));
	for (unsigned i = 0; i < 3; i++) {
		snprintf(call_id, sizeof(call_id), "bad%u@a", i);
		note_request(decisions, "INVITE", call_id, "", 20 + i);
		note_response(decisions, call_id, 403, &stw_cause_stranger_refused, 20 + i);
	}
	assert_int_equal(stw_decisions_count(decisions), 3);
	assert_false(remembers(decisions, "good4@a"));
	assert_false(remembers(decisions, "refused@a"));
	assert_true(remembers(decisions, "bad2@a"));
	stw_decisions_free(decisions);
}

/* What the server sends for an INVITE is told by its own name. */
static void test_cancel_and_ack_have_their_names(void **state)
{
	static const char *const methods[] = { "INVITE", "CANCEL", "ACK", "X-ODD" };
	struct stw_decisions *decisions;
	json_t *call, *records;
	struct request request;

	assert_int_equal(stw_decisions_new(10, key, &decisions), 0);
	note_request(decisions, "INVITE", "one@a", "", 1000);
	for (unsigned i = 0; i < STW_ARRAY_SIZE(methods); i++) {
		struct stw_note note = { .kind = STW_NOTE_REQUEST_OUT,
			.hop = &peer,
			.msg = request_make(&request, "INVITE", "one@a", ""),
			.method = i < 3 ? STW_METHOD_INVITE : STW_METHOD_UNKNOWN,
			.method_name = stw_str_from(methods[i]) };

		stw_decisions_note(decisions, &note, STW_STR_NONE);
	}
	call = stw_decisions_call(decisions, STW_STR("last"));
	records = json_object_get(call, "records");
	assert_int_equal(json_array_size(records), 5);
	for (unsigned i = 0; i < STW_ARRAY_SIZE(methods); i++)
		assert_string_equal(text(json_array_get(records, i + 1), "method"), methods[i]);
	json_decref(call);
	stw_decisions_free(decisions);
}

static void test_a_challenge_is_no_failure(void **state)
{
	struct stw_decisions *decisions;

	assert_int_equal(stw_decisions_new(1, key, &decisions), 0);
	note_request(decisions, "INVITE", "first@a", "", 1);
	note_response(decisions, "first@a", 407, &stw_cause_credentials_missing_proxy, 2);
	note_response(decisions, "first@a", 200, NULL, 3);
	/* Counted as a success, it makes room for the next. */
	note_request(decisions, "INVITE", "second@a", "", 4);
	assert_false(remembers(decisions, "first@a"));
	assert_true(remembers(decisions, "second@a"));
	stw_decisions_free(decisions);
}

/* What few records have: a method without a number, a phrase of its own, a peer by IPv6. */
static void test_what_is_rare_is_told_too(void **state)
{
	const struct stw_hop far = { .transport = STW_TRANSPORT_TCP,
		.remote = {
			.family = 6, .ip = { 0x20, 0x01, 0x0d, 0xb8, [15] = 9 }, .port = 5061 } };
	struct stw_note note = { .hop = &far };
	struct stw_decisions *decisions;
	struct request request;
	json_t *call, *records;

	assert_int_equal(stw_decisions_new(4, key, &decisions), 0);
	note.msg = request_make(&request, "FROBNICATE", "rare@a", "");
	note.kind = STW_NOTE_REQUEST_IN;
	note.method_name = stw_msg_method_name(note.msg);
	stw_decisions_note(decisions, &note, STW_STR_NONE);
	note.kind = STW_NOTE_RESPONSE_IN;
	note.code = 480;
	note.phrase = STW_STR("Gone Fishing");
	stw_decisions_note(decisions, &note, STW_STR_NONE);
	note.phrase = STW_STR("Temporarily Unavailable");
	stw_decisions_note(decisions, &note, STW_STR_NONE);
	call = stw_decisions_call(decisions, STW_STR("rare@a"));
	records = json_object_get(call, "records");
	assert_string_equal(text(json_array_get(records, 0), "method"), "FROBNICATE");
	assert_string_equal(text(json_array_get(records, 0), "peer"), "tcp [2001:db8::9]:5061");
	assert_null(json_object_get(json_array_get(records, 0), "phrase"));
	assert_string_equal(text(json_array_get(records, 1), "phrase"), "Gone Fishing");
	assert_string_equal(text(json_array_get(records, 2), "phrase"), "Temporarily Unavailable");
	json_decref(call);
	stw_decisions_free(decisions);
}

static void test_records_of_a_call_are_bounded(void **state)
{
	struct stw_decisions *decisions;
	json_t *call;

	assert_int_equal(stw_decisions_new(4, key, &decisions), 0);
	for (unsigned i = 0; i < 70; i++)
		note_request(decisions, "INFO", "long@a", ";tag=2", i);
	call = stw_decisions_call(decisions, STW_STR("long@a"));
	assert_int_equal(json_array_size(json_object_get(call, "records")), 64);
	assert_int_equal(json_integer_value(json_object_get(call, "lost")), 6);
	json_decref(call);
	stw_decisions_free(decisions);
}

/* RFC 3261 §10.2: all registrations of a phone should use one Call-ID; the newest must be seen. */
static void test_a_registration_of_days_is_told_anew(void **state)
{
	struct stw_decisions *decisions;
	json_t *call;
	size_t count;

	assert_int_equal(stw_decisions_new(4, key, &decisions), 0);
	for (unsigned i = 0; i < 500; i++)
		note_request(decisions, "REGISTER", "phone@a", "", i);
	call = stw_decisions_call(decisions, STW_STR("phone@a"));
	count = json_array_size(json_object_get(call, "records"));
	assert_in_range(count, 1, 32);
	assert_int_equal(json_integer_value(json_object_get(call, "lost")), 0);
	json_decref(call);
	assert_int_equal(stw_decisions_count(decisions), 1);
	stw_decisions_free(decisions);
}

static void test_bytes_are_bounded(void **state)
{
	struct stw_decisions *decisions;
	char call_id[64];

	assert_int_equal(stw_decisions_new(50, key, &decisions), 0);
	for (unsigned i = 0; i < 50; i++) {
		snprintf(call_id, sizeof(call_id), "call%u@a", i);
		for (unsigned k = 0; k < 60; k++)
			note_response(decisions, call_id, 403, &stw_cause_stranger_refused, k);
	}
	assert_in_range(stw_decisions_count(decisions), 2, 40);
	assert_true(remembers(decisions, "call49@a"));
	assert_false(remembers(decisions, "call0@a"));
	stw_decisions_free(decisions);
}

static void test_none_are_kept_when_so_configured(void **state)
{
	struct stw_decisions *decisions;

	assert_int_equal(stw_decisions_new(0, key, &decisions), 0);
	note_request(decisions, "INVITE", "one@a", "", 1);
	assert_int_equal(stw_decisions_count(decisions), 0);
	assert_null(stw_decisions_call(decisions, STW_STR("last")));
	stw_decisions_free(decisions);
}

static void test_what_names_no_call_is_passed_over(void **state)
{
	struct stw_note note = { .kind = STW_NOTE_DROPPED, .hop = &peer };
	struct stw_decisions *decisions;

	assert_int_equal(stw_decisions_new(2, key, &decisions), 0);
	stw_decisions_note(decisions, &note, STW_STR_NONE);
	assert_int_equal(stw_decisions_count(decisions), 0);
	stw_decisions_free(decisions);
}

static void test_no_memory_loses_a_record_never_more(void **state)
{
	struct stw_decisions *decisions;
	json_t *call;

	for (unsigned nth = 1; nth < 12; nth++) {
		support_fail_allocation(nth);
		if (stw_decisions_new(4, key, &decisions) < 0)
			continue;
		note_request(decisions, "INVITE", "one@a", "", 1);
		note_response(decisions, "one@a", 403, &stw_cause_stranger_refused, 2);
		support_fail_allocation(0);
		call = stw_decisions_call(decisions, STW_STR("one@a"));
		assert_true(stw_decisions_count(decisions) <= 1);
		json_decref(call);
		stw_decisions_free(decisions);
	}
}

static void test_the_last_call_is_no_options(void **state)
{
	struct stw_decisions *decisions;
	json_t *call;

	assert_int_equal(stw_decisions_new(10, key, &decisions), 0);
	note_request(decisions, "OPTIONS", "ping@a", "", 1);
	call = stw_decisions_call(decisions, STW_STR("last"));
	assert_string_equal(text(call, "call_id"), "ping@a");
	json_decref(call);
	note_request(decisions, "INVITE", "one@a", "", 2);
	note_request(decisions, "OPTIONS", "ping@b", "", 3);
	call = stw_decisions_call(decisions, STW_STR("last"));
	assert_string_equal(text(call, "call_id"), "one@a");
	json_decref(call);
	stw_decisions_free(decisions);
}

static void test_text_of_the_network_is_always_json(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "\xc3\xa4", "\xc3\xa4" },
		{ "\xc3", "\xef\xbf\xbd" },
		{ "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xed\xa0\x80x", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx" },
		{ "a\xf0\x9f\x98\x80z\xff", "a\xf0\x9f\x98\x80z\xef\xbf\xbd" },
		{ "a\x1b[31m\x7f", "a\xef\xbf\xbd[31m\xef\xbf\xbd" },
		{ "\xc2\x9b\xc2\xa0\r", "\xef\xbf\xbd\xc2\xa0\xef\xbf\xbd" },
		{ "\x9b\n\xe2\x80\xae", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		size_t len = strlen(cases[i].in);
		char *guarded = support_guarded(cases[i].in, len);
		json_t *json = stw_json_text((struct stw_str){ guarded, len });

		assert_string_equal(json_string_value(json), cases[i].out);
		json_decref(json);
		support_guarded_free(guarded, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_call_is_told_as_it_went),
		cmocka_unit_test(test_successes_go_first_refusals_last),
		cmocka_unit_test(test_cancel_and_ack_have_their_names),
		cmocka_unit_test(test_a_challenge_is_no_failure),
		cmocka_unit_test(test_what_is_rare_is_told_too),
		cmocka_unit_test(test_records_of_a_call_are_bounded),
		cmocka_unit_test(test_a_registration_of_days_is_told_anew),
		cmocka_unit_test(test_bytes_are_bounded),
		cmocka_unit_test(test_none_are_kept_when_so_configured),
		cmocka_unit_test(test_what_names_no_call_is_passed_over),
		cmocka_unit_test(test_no_memory_loses_a_record_never_more),
		cmocka_unit_test(test_the_last_call_is_no_options),
		cmocka_unit_test(test_text_of_the_network_is_always_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
