/* SPDX-License-Identifier: Apache-2.0 */
#include "session_test.h"

#define PCMU  "a=rtpmap:0 PCMU/8000\r\n"
#define PCMA  "a=rtpmap:8 PCMA/8000\r\n"
#define PTIME "a=ptime:20\r\n"

/* An offer's media, and the media of the answer to it; or what it is refused with. */
static const struct {
	const char *offer, *answer;
	unsigned code, warning;
} cases[] = {
	/* 488-2 of a plain device: one stream fits, so the other gets port 0 and no 488. */
	{ "m=audio 9 RTP/AVP 0\r\nm=video 7 RTP/AVP 31\r\n",
		"m=audio 5000 RTP/AVP 0\r\n" PCMU PTIME "a=sendrecv\r\nm=video 0 RTP/AVP 31\r\n", 0,
		0 },
	{ "m=video 7 RTP/AVP 31 32\r\nm=audio 9 RTP/AVP 8 0\r\na=sendonly\r\n",
		"m=video 0 RTP/AVP 31\r\nm=audio 5000 RTP/AVP 8\r\n" PCMA PTIME "a=recvonly\r\n", 0,
		0 },
	{ "m=audio 9 RTP/AVP 0\r\nm=audio 11 RTP/AVP 0\r\n",
		"m=audio 5000 RTP/AVP 0\r\n" PCMU PTIME "a=sendrecv\r\nm=audio 0 RTP/AVP 0\r\n", 0,
		0 },
	{ "m=audio 9 RTP/AVP 0\r\na=recvonly\r\n",
		"m=audio 5000 RTP/AVP 0\r\n" PCMU PTIME "a=sendonly\r\n", 0, 0 },
	{ "m=audio 9 RTP/AVP 0\r\na=inactive\r\n",
		"m=audio 5000 RTP/AVP 0\r\n" PCMU PTIME "a=inactive\r\n", 0, 0 },
	/* Hold of RFC 2543: the direction follows the attribute (RFC 6337 §5.4). */
	{ "m=audio 9 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n",
		"m=audio 5000 RTP/AVP 0\r\n" PCMU PTIME "a=sendrecv\r\n", 0, 0 },
	{ "m=audio 9 RTP/AVP 97 96 18\r\na=rtpmap:96 telephone-event/8000\r\n"
	  "a=rtpmap:97 pcma/8000/1\r\n",
		"m=audio 5000 RTP/AVP 97 96\r\na=rtpmap:97 PCMA/8000\r\n"
		"a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\n" PTIME "a=sendrecv\r\n",
		0, 0 },
	{ "m=audio 0 RTP/AVP 0\r\n", "m=audio 0 RTP/AVP 0\r\n", 0, 0 },
	{ "", "", 0, 0 },
	{ "m=video 7 RTP/AVP 31\r\n", NULL, 488, 304 },
	{ "m=audio 7 RTP/AVP 99\r\na=rtpmap:99 opus/48000/2\r\n", NULL, 488, 305 },
	{ "m=audio 7 RTP/AVP 0\r\na=rtpmap:0 opus/48000/2\r\n", NULL, 488, 305 },
	{ "m=audio 7 RTP/AVP 96\r\na=rtpmap:96 PCMU/16000\r\n", NULL, 488, 305 },
	{ "m=audio 7 RTP/AVP 96\r\na=rtpmap:96 PCMU/8000/2\r\n", NULL, 488, 305 },
	{ "m=audio 7 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n", NULL, 488, 305 },
	{ "m=video 7 RTP/AVP 31\r\nm=audio 7 RTP/AVP 99\r\n", NULL, 488, 305 },
	{ "m=audio 7 RTP/SAVP 0\r\n", NULL, 488, 302 },
	{ "m=audio 7 RTP/AVP 0\r\nc=IN IP6 ::1\r\n", NULL, 488, 301 },
	{ "m=audio 7 RTP/AVP 0\r\nc=ATM NSAP 47\r\n", NULL, 488, 300 },
	{ "m=audio 7 RTP/AVP 0\r\nb=AS:1000\r\n", NULL, 488, 370 },
	{ "m=audio seven RTP/AVP 0\r\n", NULL, 400, 0 },
	{ "m=a-very-long-kind-of-media 7 RTP/AVP 0\r\n", NULL, 488, 399 },
};

static void test_cases(void **state)
{
	struct stw_sdp_abilities can = bob_can;
	struct stw_sdp_refusal refusal;
	struct stw_sdp_session session;
	struct stw_str text;
	char offer[1024];

	can.bandwidth_kbits = 100;
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		stw_sdp_session_init(&session, &can, 7);
		snprintf(offer, sizeof(offer), HEAD "%s", cases[i].offer);
		stw_sdp_receive_offer(&session, stw_str_from(offer), &refusal);
		if (refusal.code != cases[i].code || refusal.warning != cases[i].warning)
			fail_msg("%s-> %u, warning %u: %s", cases[i].offer, refusal.code,
				refusal.warning, refusal.why);
		if (refusal.code) {
			assert_int_equal(session.state, STW_SDP_STABLE);
			assert_int_equal(stw_sdp_answer(&session, &text), -EINVAL);
			continue;
		}
		assert_int_equal(stw_sdp_answer(&session, &text), 0);
		assert_string_equal(media_of(text), cases[i].answer);
	}
}

static void test_everywhere(void **state)
{
	struct stw_sdp_abilities can = bob_can;
	struct stw_sdp_refusal refusal;
	struct stw_sdp_session session;

	can.everywhere = true;
	stw_sdp_session_init(&session, &can, 7);
	stw_sdp_receive_offer(&session, STW_STR(HEAD "m=video 7 RTP/AVP 31\r\n"), &refusal);
	assert_int_equal(refusal.code, 606);
	assert_int_equal(refusal.warning, 304);
	stw_sdp_receive_offer(&session, STW_STR("v=1\r\n"), &refusal);
	assert_int_equal(refusal.code, 400);
	assert_string_equal(refusal.why, "session description, line 1: the version of v= is not 0");
}

/* What the peer is told to receive at. */
static void test_peer(void **state)
{
	static const struct {
		const char *media;
		unsigned rtp_port, rtcp_port, ptime_ms;
		bool may_send;
	} peers[] = {
		{ "m=audio 9000 RTP/AVP 0\r\n", 9000, 9001, 20, true },
		{ "m=audio 9000 RTP/AVP 0\r\na=rtcp:9100\r\na=ptime:30\r\n", 9000, 9100, 30, true },
		{ "m=audio 9000 RTP/AVP 0\r\na=rtcp:9100 IN IP4 192.0.2.9\r\na=ptime:500\r\n", 9000,
			9100, 20, true },
		{ "m=audio 9000 RTP/AVP 0\r\na=rtcp:x\r\na=ptime:0\r\n", 9000, 9001, 20, true },
		{ "m=audio 65535 RTP/AVP 0\r\n", 65535, 0, 20, true },
		{ "m=audio 9000 RTP/AVP 0\r\na=sendonly\r\n", 9000, 9001, 20, false },
		{ "m=audio 9000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n", 9000, 9001, 20, false },
		{ "m=audio 9000 RTP/AVP 0\r\nc=IN IP4 x.INVALID\r\n", 9000, 9001, 20, false },
		{ "m=audio 9000 RTP/AVP 0\r\nc=IN IP4 a.example\r\n", 9000, 9001, 20, true },
	};
	struct stw_sdp_refusal refusal;
	struct stw_sdp_session session;
	struct stw_str text;
	char offer[1024];

	for (size_t i = 0; i < STW_ARRAY_SIZE(peers); i++) {
		stw_sdp_session_init(&session, &bob_can, 7);
		snprintf(offer, sizeof(offer), HEAD "%s", peers[i].media);
		assert_int_equal(stw_sdp_receive_offer(&session, stw_str_from(offer), &refusal), 0);
		assert_int_equal(stw_sdp_answer(&session, &text), 0);
		assert_true(session.stream.active);
		assert_int_equal(session.stream.rtp_port, peers[i].rtp_port);
		assert_int_equal(session.stream.rtcp_port, peers[i].rtcp_port);
		assert_int_equal(session.stream.ptime_ms, peers[i].ptime_ms);
		assert_int_equal(session.stream.may_send, peers[i].may_send);
	}
}

/* Who resolves no names takes none, neither in an offer nor in an answer. */
static void test_names(void **state)
{
	static const struct {
		const char *connection;
		bool taken;
	} peers[] = {
		{ "c=IN IP4 localhost\r\n", false },
		{ "c=IN IP4 192.0.2.300\r\n", false },
		{ "c=IN IP4 192.0.2.3\r\n", true },
		{ "c=IN IP4 0.0.0.0\r\n", true },
		{ "c=IN IP4 hold.invalid\r\n", true },
	};
	struct stw_sdp_abilities can = bob_can;
	struct stw_sdp_refusal refusal;
	struct stw_sdp_session session;
	struct stw_sdp_fault fault;
	struct stw_str text;
	char body[1024];

	can.addresses_only = true;
	for (size_t i = 0; i < STW_ARRAY_SIZE(peers); i++) {
		snprintf(body, sizeof(body), HEAD "m=audio 9000 RTP/AVP 0\r\n%s",
			peers[i].connection);
		stw_sdp_session_init(&session, &can, 7);
		stw_sdp_receive_offer(&session, stw_str_from(body), &refusal);
		assert_int_equal(refusal.code, peers[i].taken ? 0 : 488);
		assert_int_equal(refusal.warning, peers[i].taken ? 0 : 301);
		stw_sdp_session_init(&session, &can, 7);
		assert_int_equal(stw_sdp_offer(&session, &text), 0);
		assert_int_equal(stw_sdp_receive_answer(&session, stw_str_from(body), &fault),
			peers[i].taken ? 0 : -EBADMSG);
	}
	can.address = STW_STR("2001:db8::1");
	stw_sdp_session_init(&session, &can, 7);
	stw_sdp_receive_offer(&session,
		STW_STR(HEAD "m=audio 9000 RTP/AVP 0\r\nc=IN IP6 a.example\r\n"), &refusal);
	assert_int_equal(refusal.warning, 301);
	stw_sdp_receive_offer(&session,
		STW_STR(HEAD "m=audio 9000 RTP/AVP 0\r\nc=IN IP6 2001:db8::2\r\n"), &refusal);
	assert_int_equal(refusal.code, 0);
}

/* What a 488 says that the peer can do, in our order; events alone are no sound. */
static void test_common(void **state)
{
	static const struct {
		const char *text;
		unsigned count;
		const char *first;
	} peers[] = {
		{ HEAD "m=audio 0 RTP/AVP 18 8 0\r\n", 2, "PCMU" },
		{ HEAD "m=video 0 RTP/AVP 31\r\nm=audio 0 RTP/AVP 8\r\n", 1, "PCMA" },
		{ HEAD "m=audio 0 RTP/AVP 97 96\r\na=rtpmap:96 telephone-event/8000\r\n"
		       "a=rtpmap:97 PCMA/8000\r\n",
			2, "PCMA" },
		{ HEAD "m=audio 0 RTP/AVP 96\r\na=rtpmap:96 telephone-event/8000\r\n", 0, NULL },
		{ HEAD "m=audio 0 RTP/AVP 18\r\n", 0, NULL },
		{ HEAD, 0, NULL },
		{ "nonsense", 0, NULL },
	};
	struct stw_sdp_codec common[STW_SDP_CODECS_MAX];
	unsigned all;

	(void)state;
	for (size_t i = 0; i < STW_ARRAY_SIZE(peers); i++) {
		assert_int_equal(stw_sdp_codecs_common(
					 &alice_can, stw_str_from(peers[i].text), common, &all),
			peers[i].count);
		assert_int_equal(all, 3);
		if (peers[i].first)
			assert_true(stw_str_equal(common[0].name, stw_str_from(peers[i].first)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_common),
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_everywhere),
		cmocka_unit_test(test_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
