/* SPDX-License-Identifier: Apache-2.0 */
#include "lab.h"

static struct lab lab;

struct match_case {
	const char *what;
	struct lab_request request;
	bool same;
};

static struct stw_tx *server(struct lab_request parts)
{
	struct lab_msg msg;
	struct stw_tx *tx = NULL;

	assert_int_equal(
		stw_tx_server_new(lab.layer, lab_request(&msg, parts), false, lab.now, &tx), 0);
	/* The request may go away: the transaction has kept what it compares. */
	memset(&msg, 'x', sizeof(msg));
	return tx;
}

static struct stw_tx *match(struct lab_request parts)
{
	struct lab_msg msg;

	return stw_tx_match_request(lab.layer, lab_request(&msg, parts));
}

static void cases_run(const struct match_case *cases, size_t count, const struct stw_tx *tx)
{
	for (size_t i = 0; i < count; i++) {
		if (match(cases[i].request) != (cases[i].same ? tx : NULL))
			fail_msg("%s", cases[i].what);
	}
}

#define VIA "SIP/2.0/UDP pc33.example.com"

/* RFC 3261 §17.2.3 with the magic cookie: branch, sent-by, method and nothing else. */
static void test_cookie(void **state)
{
	static const struct match_case cases[] = {
		{ "the same", { 0 }, true },
		{ "other case of branch", { .via = VIA ";branch=Z9HG4BKABC" }, true },
		{ "other case of host", { .via = "SIP/2.0/UDP PC33.Example.Com;branch=z9hG4bKabc" },
			true },
		{ "default port", { .via = VIA ":5060;branch=z9hG4bKabc" }, true },
		{ "more parameters", { .via = VIA ";rport;branch=z9hG4bKabc;x=1" }, true },
		{ "all else differs",
			{ .uri = "sip:carol@example.net",
				.to = "<sip:c@example.net>;tag=7",
				.from = "<sip:d@example.net>;tag=8",
				.call_id = "other",
				.cseq = 9 },
			true },
		{ "its ACK", { .method = "ACK" }, true },
		{ "other branch", { .via = VIA ";branch=z9hG4bKabd" }, false },
		{ "longer branch", { .via = VIA ";branch=z9hG4bKabcd" }, false },
		{ "other port", { .via = VIA ":5061;branch=z9hG4bKabc" }, false },
		{ "other host", { .via = "SIP/2.0/UDP pc34.example.com;branch=z9hG4bKabc" },
			false },
		{ "TLS has another port",
			{ .via = "SIP/2.0/TLS pc33.example.com;branch=z9hG4bKabc" }, false },
		{ "other method", { .method = "OPTIONS" }, false },
		{ "unknown method", { .method = "FOO" }, false },
		{ "its CANCEL is its own", { .method = "CANCEL" }, false },
		{ "no branch", { .via = VIA }, false },
	};
	struct stw_tx *tx, *foo;

	lab_init(&lab);
	tx = server((struct lab_request){ 0 });
	cases_run(cases, STW_ARRAY_SIZE(cases), tx);
	assert_str(tx->branch, "z9hG4bKabc");

	foo = server((struct lab_request){ .method = "FOO" });
	assert_ptr_equal(match((struct lab_request){ .method = "FOO" }), foo);
	assert_null(match((struct lab_request){ .method = "foo" }));
	assert_null(match((struct lab_request){ .method = "BAR" }));
	assert_ptr_equal(match((struct lab_request){ 0 }), tx);
	assert_ptr_equal(match((struct lab_request){ .method = "ACK" }), tx);
	lab_done(&lab);
}

/* Only an INVITE has an ACK. */
static void test_ack_of_other_method(void **state)
{
	lab_init(&lab);
	server((struct lab_request){ .method = "OPTIONS" });
	assert_null(match((struct lab_request){ .method = "ACK" }));
	lab_done(&lab);
}

static void test_terminated_matches_nothing(void **state)
{
	lab_init(&lab);
	lab.tx = server((struct lab_request){ .method = "OPTIONS" });
	lab_play(&lab, "w32000 abandon");
	assert_null(match((struct lab_request){ .method = "OPTIONS" }));
	lab_done(&lab);
}

/* RFC 3261 §17.2.3 without the cookie: an INVITE of RFC 2543. */
static void test_legacy(void **state)
{
	static const struct match_case cases[] = {
		{ "the same", { .via = VIA }, true },
		{ "equal URI", { .via = VIA, .uri = "sip:bob@EXAMPLE.com" }, true },
		{ "default port", { .via = VIA ":5060" }, true },
		{ "other case of tag",
			{ .via = VIA, .from = "\"A\" <sip:alice@example.com>;tag=1928" }, true },
		{ "other URI", { .via = VIA, .uri = "sip:Bob@example.com" }, false },
		{ "To tag", { .via = VIA, .to = "<sip:bob@example.com>;tag=1" }, false },
		{ "other From tag", { .via = VIA, .from = "<sip:alice@example.com>;tag=1929" },
			false },
		{ "no From tag", { .via = VIA, .from = "<sip:alice@example.com>" }, false },
		{ "other Call-ID", { .via = VIA, .call_id = "A84b4c76e66710" }, false },
		{ "other CSeq", { .via = VIA, .cseq = 314160 }, false },
		{ "other sent-by", { .via = VIA ":5070" }, false },
		{ "other transport", { .via = "SIP/2.0/TCP pc33.example.com" }, false },
		{ "other parameters", { .via = VIA ";branch=1" }, false },
		{ "with the cookie", { .via = VIA ";branch=z9hG4bK1" }, false },
		{ "other method", { .via = VIA, .method = "OPTIONS" }, false },
		{ "ACK before a final response", { .via = VIA, .method = "ACK" }, false },
	};
	struct stw_tx *tx, *options;

	lab_init(&lab);
	tx = server((struct lab_request){ .via = VIA });
	cases_run(cases, STW_ARRAY_SIZE(cases), tx);
	options = server((struct lab_request){ .via = VIA, .method = "OPTIONS" });
	assert_ptr_equal(match((struct lab_request){ .via = VIA, .method = "OPTIONS" }), options);
	assert_ptr_equal(match((struct lab_request){ .via = VIA }), tx);
	lab_done(&lab);
}

/* RFC 4475 §3.2.1: the cookie alone is no branch, nor is a shorter or another one. */
static void test_weak_branches(void **state)
{
	static const char *const vias[] = { VIA ";branch=z9hG4b", VIA ";branch=1",
		VIA ";branch=xz9hG4bK1" };

	assert_false(stw_tx_has_cookie(STW_STR_NONE));
	assert_false(stw_tx_has_cookie(STW_STR("z9hG4bK")));
	assert_true(stw_tx_has_cookie(STW_STR("Z9hG4bk-")));
	for (size_t i = 0; i < STW_ARRAY_SIZE(vias); i++) {
		struct stw_tx *tx;

		lab_init(&lab);
		tx = server((struct lab_request){ .via = vias[i] });
		assert_ptr_equal(match((struct lab_request){ .via = vias[i] }), tx);
		assert_null(match((struct lab_request){ .via = vias[i], .call_id = "another" }));
		lab_done(&lab);
	}
}

/* The To tag of an ACK is that of the response, wherever slices cut it. */
static void test_legacy_ack(void **state)
{
	static const char *const responses[] = {
		"SIP/2.0 486 Busy Here\r\nVia: x\r\nTo: <sip:bob@example.com;x=1>;tag=b-7\r\n\r\n",
		"SIP/2.0 486 Busy Here\r\nTOO: <sip:b@a>;tag=1\r\nt : "
		"sip:bob@example.com;tag=B-7\r\nTo: x\r\n\r\n",
		"SIP/2.0 486 Busy Here\nTo:\r\n \"Bob ;tag=3\" "
		"<sip:bob@example.com>\r\n\t;x=2;\r\n tag=b-7\r\n\r\n",
	};
	static const struct match_case cases[] = {
		{ "ACK", { .via = VIA, .method = "ACK", .to = "<sip:bob@example.com>;tag=b-7" },
			true },
		{ "other tag",
			{ .via = VIA, .method = "ACK", .to = "<sip:bob@example.com>;tag=b-8" },
			false },
		{ "no tag", { .via = VIA, .method = "ACK" }, false },
		{ "other CSeq",
			{ .via = VIA,
				.method = "ACK",
				.to = "sip:bob@example.com;tag=b-7",
				.cseq = 1 },
			false },
		{ "INVITE", { .via = VIA }, true },
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(responses); i++) {
		size_t len = strlen(responses[i]);

		for (size_t cut = 0; cut <= len; cut++) {
			struct stw_str parts[] = { { responses[i], cut }, STW_STR_NONE,
				{ responses[i] + cut, len - cut } };

			lab_init(&lab);
			lab.tx = server((struct lab_request){ .via = VIA });
			stw_tx_respond(lab.tx, 486, (struct stw_slices){ parts, 3 }, lab.now);
			cases_run(cases, STW_ARRAY_SIZE(cases), lab.tx);
			lab_done(&lab);
		}
	}
}

/* A response whose To cannot be read, or is too long, takes any ACK of its INVITE. */
static void test_legacy_ack_of_unread_tag(void **state)
{
	char longer[2000];
	const char *texts[] = { "", "SIP/2.0 486 Busy\r\n\r\nTo: <sip:bob@example.com>;tag=1\r\n",
		"SIP/2.0 486 Busy\r\nTo: <<<\r\n\r\n", longer };

	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	memcpy(longer, "SIP/2.0 486 Busy\r\nTo: ", 22);
	for (size_t i = 0; i < STW_ARRAY_SIZE(texts); i++) {
		struct stw_str text = stw_str_from(texts[i]);
		struct lab_request ack = { .via = VIA, .method = "ACK", .to = "<sip:b@a>;tag=zz" };

		lab_init(&lab);
		lab.tx = server((struct lab_request){ .via = VIA });
		stw_tx_respond(lab.tx, 486, (struct stw_slices){ &text, 1 }, lab.now);
		assert_ptr_equal(match(ack), lab.tx);
		lab_done(&lab);
	}
}

static void test_cancel(void **state)
{
	struct lab_request cancel = { .method = "CANCEL" },
			   old = { .method = "CANCEL", .via = VIA };
	struct stw_tx *invite, *legacy, *own, *options;
	struct lab_msg msg;

	lab_init(&lab);
	assert_null(stw_tx_match_cancel(lab.layer, lab_request(&msg, cancel)));
	own = server(cancel);
	assert_null(stw_tx_match_cancel(lab.layer, lab_request(&msg, cancel)));
	invite = server((struct lab_request){ 0 });
	legacy = server((struct lab_request){ .via = VIA });
	assert_ptr_equal(stw_tx_match_cancel(lab.layer, lab_request(&msg, cancel)), invite);
	assert_ptr_equal(match(cancel), own);
	assert_ptr_equal(stw_tx_match_cancel(lab.layer, lab_request(&msg, old)), legacy);
	old.to = "<sip:bob@example.com>;tag=1";
	assert_null(stw_tx_match_cancel(lab.layer, lab_request(&msg, old)));

	cancel.via = "SIP/2.0/UDP other.example.com;branch=z9hG4bKabc";
	assert_null(stw_tx_match_cancel(lab.layer, lab_request(&msg, cancel)));
	cancel.via = VIA ";branch=z9hG4bKopt";
	options = server((struct lab_request){ .method = "OPTIONS", .via = cancel.via });
	assert_ptr_equal(stw_tx_match_cancel(lab.layer, lab_request(&msg, cancel)), options);
	lab_done(&lab);
}

static struct stw_tx *client(enum stw_method method, const char *name, const char *branch)
{
	struct stw_tx_client_options options = {
		.method = method,
		.method_name = stw_str_from(name),
		.branch = stw_str_from(branch),
		.request = lab_slices,
	};
	struct stw_tx *tx = NULL;
	unsigned actions;

	assert_int_equal(stw_tx_client_new(lab.layer, &options, lab.now, &tx, &actions), 0);
	return tx;
}

/* RFC 3261 §17.1.3: branch and the method of CSeq. */
static void test_response(void **state)
{
	struct stw_tx *invite, *cancel, *foo;
	struct lab_msg msg;

	lab_init(&lab);
	invite = client(STW_METHOD_INVITE, "INVITE", "z9hG4bK1");
	cancel = client(STW_METHOD_CANCEL, "CANCEL", "z9hG4bK1");
	foo = client(STW_METHOD_UNKNOWN, "FOO", "z9hG4bK1");
	assert_ptr_equal(
		stw_tx_match_response(lab.layer, lab_response(&msg, 200, "z9hG4bK1", "INVITE")),
		invite);
	assert_ptr_equal(
		stw_tx_match_response(lab.layer, lab_response(&msg, 200, "Z9hg4bK1", "CANCEL")),
		cancel);
	assert_ptr_equal(
		stw_tx_match_response(lab.layer, lab_response(&msg, 200, "z9hG4bK1", "FOO")), foo);
	assert_null(stw_tx_match_response(lab.layer, lab_response(&msg, 200, "z9hG4bK1", "BAR")));
	assert_null(
		stw_tx_match_response(lab.layer, lab_response(&msg, 200, "z9hG4bK1", "OPTIONS")));
	assert_null(
		stw_tx_match_response(lab.layer, lab_response(&msg, 200, "z9hG4bK2", "INVITE")));
	msg.msg.has_via = false;
	assert_null(stw_tx_match_response(lab.layer, &msg.msg));

	lab.tx = invite;
	lab_play(&lab, "forget");
	assert_null(
		stw_tx_match_response(lab.layer, lab_response(&msg, 200, "z9hG4bK1", "INVITE")));
	/* A server transaction of the same branch is something else. */
	server((struct lab_request){ .via = VIA ";branch=z9hG4bK1" });
	assert_null(
		stw_tx_match_response(lab.layer, lab_response(&msg, 200, "z9hG4bK1", "INVITE")));
	lab_done(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cookie),
		cmocka_unit_test(test_ack_of_other_method),
		cmocka_unit_test(test_terminated_matches_nothing),
		cmocka_unit_test(test_legacy),
		cmocka_unit_test(test_weak_branches),
		cmocka_unit_test(test_legacy_ack),
		cmocka_unit_test(test_legacy_ack_of_unread_tag),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_response),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
