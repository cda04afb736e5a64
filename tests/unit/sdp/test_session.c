/* SPDX-License-Identifier: Apache-2.0 */
#include "session_test.h"

static struct stw_sdp_session alice, bob;

static int setup(void **state)
{
	stw_sdp_session_init(&alice, &alice_can, 100);
	stw_sdp_session_init(&bob, &bob_can, 200);
	return 0;
}

static void test_first(void **state)
{
	struct stw_str text;

	assert_int_equal(stw_sdp_offer(&alice, &text), 0);
	assert_str(text,
		"v=0\r\no=- 100 100 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
		"m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
		"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
		"a=sendrecv\r\n");
	assert_int_equal(alice.state, STW_SDP_OFFER_SENT);
	stw_sdp_rollback(&alice);
	exchange(&alice, &bob);
	assert_int_equal(alice.state, STW_SDP_STABLE);
	assert_int_equal(bob.state, STW_SDP_STABLE);
	assert_true(alice.stream.active && bob.stream.active);
	assert_string_equal(alice.stream.address, "192.0.2.2");
	assert_int_equal(alice.stream.rtp_port, 5000);
	assert_int_equal(bob.stream.rtp_port, 4000);
	assert_str(alice.stream.codec.codec.name, "PCMU");
	assert_int_equal(alice.stream.events.send_type, 101);
	assert_true(alice.stream.may_send && bob.stream.may_send);
}

/* RFC 6337 §5.3: who holds, what each does then. */
static void test_hold(void **state)
{
	static const struct {
		bool alice_offers;
		enum stw_sdp_direction alice_wish, bob_wish, alice_is, bob_is;
	} steps[] = {
		{ true, 3, 3, 3, 3 }, { true, 1, 3, 1, 2 }, /* alice holds */
		{ false, 1, 1, 0, 0 },                      /* bob too */
		{ true, 3, 1, 2, 1 },                       /* alice resumes: bob still holds */
		{ false, 3, 3, 3, 3 }, { true, 0, 3, 0, 0 },
		{ false, 3, 3, 3, 3 }, /* not stuck on hold */
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(steps); i++) {
		stw_sdp_session_wish(&alice, steps[i].alice_wish);
		stw_sdp_session_wish(&bob, steps[i].bob_wish);
		exchange(steps[i].alice_offers ? &alice : &bob,
			steps[i].alice_offers ? &bob : &alice);
		assert_int_equal(alice.stream.direction, steps[i].alice_is);
		assert_int_equal(bob.stream.direction, steps[i].bob_is);
		assert_int_equal(
			alice.stream.may_send, (steps[i].alice_is & STW_SDP_SENDONLY) != 0);
	}
}

/* o= grows by one when something changed, and only then (RFC 3264 §8). */
static void test_version(void **state)
{
	exchange(&alice, &bob);
	assert_int_equal(alice.version, 100);
	exchange(&alice, &bob);
	assert_int_equal(alice.version, 100);
	exchange(&bob, &alice);
	assert_int_equal(bob.version, 201); /* all codecs instead of the chosen one */
	assert_int_equal(alice.version, 101);
	exchange(&bob, &alice);
	assert_int_equal(bob.version, 201);
	stw_sdp_session_wish(&bob, STW_SDP_SENDONLY);
	exchange(&bob, &alice);
	assert_int_equal(bob.version, 202);
	assert_int_equal(alice.version, 102);
}

static void test_glare(void **state)
{
	struct stw_sdp_refusal refusal;
	struct stw_sdp_fault fault;
	struct stw_str text;
	char offer[STW_SDP_WRITTEN_MAX];

	exchange(&alice, &bob);
	assert_int_equal(stw_sdp_offer(&alice, &text), 0);
	snprintf(offer, sizeof(offer), "%.*s", STW_STR_ARG(text));
	assert_int_equal(stw_sdp_offer(&alice, &text), -EBUSY);
	assert_int_equal(stw_sdp_receive_offer(&alice, stw_str_from(offer), &refusal), -EBUSY);
	assert_int_equal(refusal.code, 0);
	assert_int_equal(stw_sdp_receive_offer(&bob, stw_str_from(offer), &refusal), 0);
	assert_int_equal(stw_sdp_offer(&bob, &text), -EBUSY);
	assert_int_equal(stw_sdp_receive_answer(&bob, stw_str_from(offer), &fault), -EINVAL);
	stw_sdp_rollback(&bob);
	assert_int_equal(stw_sdp_answer(&bob, &text), -EINVAL);
}

/* A refused re-INVITE leaves what was agreed (RFC 6337 §3.4). */
static void test_refused(void **state)
{
	struct stw_sdp_refusal refusal;
	struct stw_str text;

	exchange(&alice, &bob);
	assert_int_equal(
		stw_sdp_receive_offer(&bob, STW_STR(HEAD "m=audio 7 RTP/AVP 99\r\n"), &refusal),
		-EBADMSG);
	assert_int_equal(refusal.code, 488);
	assert_true(bob.stream.active);
	assert_int_equal(stw_sdp_receive_offer(&bob, STW_STR(HEAD), &refusal), -EBADMSG);
	assert_int_equal(refusal.warning, 399);
	stw_sdp_session_wish(&alice, STW_SDP_SENDONLY);
	assert_int_equal(stw_sdp_offer(&alice, &text), 0);
	stw_sdp_rollback(&alice);
	assert_int_equal(alice.stream.direction, STW_SDP_SENDRECV);
	exchange(&alice, &bob);
	assert_int_equal(bob.stream.direction, STW_SDP_RECVONLY);
}

/* m= lines keep their places in later offers of either side, and events their payload type (§8). */
static void test_places(void **state)
{
	struct stw_sdp_refusal refusal;
	struct stw_str text;

	assert_int_equal(stw_sdp_receive_offer(&bob,
				 STW_STR(HEAD "m=video 7 RTP/AVP 31\r\nm=audio 9 RTP/AVP 8 96\r\n"
					      "a=rtpmap:96 telephone-event/8000\r\n"
					      "m=image 3 udptl t38\r\n"),
				 &refusal),
		0);
	assert_int_equal(stw_sdp_answer(&bob, &text), 0);
	assert_int_equal(stw_sdp_offer(&bob, &text), 0);
	assert_string_equal(media_of(text),
		"m=video 0 RTP/AVP 31\r\nm=audio 5000 RTP/AVP 0 8 96\r\na=rtpmap:0 PCMU/8000\r\n"
		"a=rtpmap:8 PCMA/8000\r\na=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\n"
		"a=ptime:20\r\na=sendrecv\r\nm=image 0 udptl t38\r\n");
}

static void test_answers(void **state)
{
	static const struct {
		const char *text;
		int err;
		const char *why;
	} answers[] = {
		{ HEAD "m=audio 9 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n", 0, "" },
		{ HEAD "m=audio 0 RTP/AVP 0\r\n", 0, "" },
		{ HEAD "m=audio 9 RTP/AVP 18\r\n", -EBADMSG, "names no codec" },
		{ HEAD, -EBADMSG, "not as many m= lines" },
		{ HEAD "m=audio 9 RTP/AVP 0\r\nm=audio 9 RTP/AVP 0\r\n", -EBADMSG,
			"not as many m= lines" },
		{ "v=0\r\n", -EBADMSG, "the second line is not o=" },
	};
	struct stw_sdp_fault fault;
	struct stw_str text;

	for (size_t i = 0; i < STW_ARRAY_SIZE(answers); i++) {
		setup(NULL);
		fault = (struct stw_sdp_fault){ 0, "" };
		assert_int_equal(stw_sdp_offer(&alice, &text), 0);
		assert_int_equal(
			stw_sdp_receive_answer(&alice, stw_str_from(answers[i].text), &fault),
			answers[i].err);
		assert_non_null(strstr(fault.why, answers[i].why));
		assert_int_equal(alice.state, STW_SDP_STABLE);
		assert_int_equal(alice.stream.active, i == 0);
		if (i == 0)
			assert_int_equal(alice.stream.codec.send_type, 8);
	}
}

/* RFC 3264 §6.1: who answers with several codecs may send each of them. */
static void test_others(void **state)
{
	const struct stw_sdp_stream *stream = &alice.stream;
	struct stw_sdp_fault fault;
	struct stw_str text;

	assert_int_equal(stw_sdp_offer(&alice, &text), 0);
	assert_int_equal(
		stw_sdp_receive_answer(&alice,
			STW_STR(HEAD
				"m=audio 9 RTP/AVP 8 77 101 0 8 97\r\na=rtpmap:97 PCMU/8000\r\n"
				"a=rtpmap:77 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"),
			&fault),
		0);
	assert_int_equal(stream->codec.send_type, 8);
	assert_int_equal(stream->other_count, 1);
	assert_str(stream->others[0].codec.name, "PCMU");
	assert_int_equal(stream->others[0].receive_type, 0);
	exchange(&bob, &alice);
	assert_int_equal(stream->other_count, 0); /* we have answered with one */
}

/* What an answer may not do does not happen: we offered to send only. */
static void test_bounded(void **state)
{
	struct stw_sdp_refusal refusal;
	struct stw_sdp_fault fault;
	struct stw_str text;

	stw_sdp_session_wish(&alice, STW_SDP_SENDONLY);
	assert_int_equal(stw_sdp_offer(&alice, &text), 0);
	assert_int_equal(
		stw_sdp_receive_answer(&alice, STW_STR(HEAD "m=audio 9 RTP/AVP 0\r\n"), &fault), 0);
	assert_int_equal(alice.stream.direction, STW_SDP_SENDONLY);
	/* The stream does not move to an m= line that we rejected before. */
	assert_int_equal(
		stw_sdp_receive_offer(&bob,
			STW_STR(HEAD "m=video 7 RTP/AVP 31\r\nm=audio 9 RTP/AVP 0\r\n"), &refusal),
		0);
	assert_int_equal(stw_sdp_answer(&bob, &text), 0);
	assert_int_equal(
		stw_sdp_receive_offer(&bob,
			STW_STR(HEAD "m=audio 7 RTP/AVP 0\r\nm=audio 9 RTP/AVP 0\r\n"), &refusal),
		0);
	assert_int_equal(stw_sdp_answer(&bob, &text), 0);
	assert_ptr_equal(
		strstr(media_of(text), "m=audio 0 RTP/AVP 0\r\nm=audio 5000 "), media_of(text));
}

static void test_abilities(void **state)
{
	const struct stw_sdp_abilities can = { .address = STW_STR("2001:db8::1"),
		.rtp_port = 4000 };
	char buffer[512], small[64];
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, sizeof(buffer));
	assert_int_equal(stw_sdp_abilities_write(&can, 9, &writer), 0);
	assert_str(stw_writer_text(&writer),
		"v=0\r\no=- 9 9 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\n"
		"m=audio 0 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
		"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n");
	stw_writer_init(&writer, small, sizeof(small));
	assert_int_equal(stw_sdp_abilities_write(&can, 9, &writer), -ENOBUFS);
}

/* RFC 3264 §6: each stream keeps its place. */
static void test_reject(void **state)
{
	static const char offer[] =
		"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\n"
		"t=0 0\r\nm=audio 4000 RTP/AVP 9 101\r\na=sendonly\r\n"
		"m=video 4002 RTP/SAVP 31\r\n";
	char buffer[512], small[64];
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, sizeof(buffer));
	assert_int_equal(stw_sdp_reject(stw_str_from(offer), 7, &writer), 0);
	assert_str(stw_writer_text(&writer),
		"v=0\r\no=- 7 7 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
		"m=audio 0 RTP/AVP 9 101\r\nm=video 0 RTP/SAVP 31\r\n");
	stw_writer_init(&writer, small, sizeof(small));
	assert_int_equal(stw_sdp_reject(stw_str_from(offer), 7, &writer), -ENOBUFS);
	assert_int_equal(stw_sdp_reject(STW_STR("m=audio"), 7, &writer), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_first, setup),
		cmocka_unit_test_setup(test_hold, setup),
		cmocka_unit_test_setup(test_version, setup),
		cmocka_unit_test_setup(test_glare, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_places, setup),
		cmocka_unit_test(test_answers),
		cmocka_unit_test_setup(test_others, setup),
		cmocka_unit_test_setup(test_bounded, setup),
		cmocka_unit_test(test_abilities),
		cmocka_unit_test(test_reject),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
