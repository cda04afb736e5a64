/* SPDX-License-Identifier: Apache-2.0 */
#include "session_test.h"

static struct stw_sdp_session alice, bob;
static struct stw_sdp_abilities alice_qos, bob_qos;

static int setup(void **state)
{
	alice_qos = alice_can;
	bob_qos = bob_can;
	alice_qos.qos = STW_SDP_QOS_MANDATORY;
	bob_qos.qos = STW_SDP_QOS_SUPPORTED;
	stw_sdp_session_init(&alice, &alice_qos, 100);
	stw_sdp_session_init(&bob, &bob_qos, 200);
	return 0;
}

/* RFC 3312 §13.2: INVITE, 183, then both reserve; bob rings when alice's UPDATE says so. */
static void test_segmented(void **state)
{
	exchange(&alice, &bob);
	assert_non_null(strstr(media_of((struct stw_str){ bob.written, bob.written_bytes }),
		"a=curr:qos local none\r\na=curr:qos remote none\r\n"
		"a=des:qos mandatory local sendrecv\r\na=des:qos mandatory remote sendrecv\r\n"
		"a=conf:qos remote sendrecv\r\n"));
	assert_false(stw_sdp_qos_met(&alice));
	assert_false(stw_sdp_qos_met(&bob));
	assert_false(stw_sdp_qos_update_due(&alice));
	stw_sdp_qos_reserved(&bob, STW_SDP_SENDRECV);
	assert_false(stw_sdp_qos_met(&bob));
	stw_sdp_qos_reserved(&alice, STW_SDP_SENDRECV);
	assert_true(stw_sdp_qos_update_due(&alice));
	exchange(&alice, &bob); /* UPDATE */
	assert_true(stw_sdp_qos_met(&bob));
	assert_true(stw_sdp_qos_met(&alice));
	assert_false(stw_sdp_qos_update_due(&alice));
	assert_false(stw_sdp_qos_update_due(&bob));
}

static void test_end_to_end(void **state)
{
	struct stw_sdp_refusal refusal;
	struct stw_str text;

	assert_int_equal(stw_sdp_receive_offer(&bob,
				 STW_STR(HEAD "m=audio 9 RTP/AVP 0\r\na=curr:qos e2e recv\r\n"
					      "a=des:qos mandatory e2e send\r\n"),
				 &refusal),
		0);
	assert_false(stw_sdp_qos_met(&bob));
	assert_int_equal(stw_sdp_answer(&bob, &text), 0);
	assert_non_null(strstr(media_of(text), "a=curr:qos e2e send\r\na=des:qos mandatory e2e "
					       "recv\r\na=des:qos none e2e send\r\n"));
	stw_sdp_qos_reserved(&bob, STW_SDP_RECVONLY);
	assert_true(stw_sdp_qos_met(&bob));
}

/* §8: the 580 says with port 0 what cannot be had. */
static void test_failure(void **state)
{
	struct stw_sdp_refusal refusal;
	struct stw_str text;

	assert_int_equal(stw_sdp_qos_failure(&bob, &text), -EINVAL);
	assert_int_equal(stw_sdp_offer(&alice, &text), 0);
	assert_int_equal(stw_sdp_receive_offer(&bob, text, &refusal), 0);
	assert_int_equal(stw_sdp_qos_failure(&bob, &text), 0);
	assert_string_equal(
		media_of(text), "m=audio 0 RTP/AVP 0\r\na=des:qos failure local sendrecv\r\n");
	assert_int_equal(bob.state, STW_SDP_STABLE);
	assert_true(stw_sdp_qos_met(&bob));
}

/* Optional ones hold nothing up; who does not know them ignores them. */
static void test_not_mandatory(void **state)
{
	static const char offer[] = HEAD
		"m=audio 9 RTP/AVP 0\r\na=curr:qos e2e none\r\na=des:qos optional e2e sendrecv\r\n"
		"a=des:foo optional e2e sendrecv\r\na=des:qos\r\na=curr:qos e2e all\r\n";
	struct stw_sdp_refusal refusal;
	struct stw_str text;

	assert_int_equal(stw_sdp_receive_offer(&bob, stw_str_from(offer), &refusal), 0);
	assert_true(stw_sdp_qos_met(&bob));
	assert_true(stw_sdp_qos_possible(&bob));
	stw_sdp_session_init(&bob, &bob_can, 200);
	assert_int_equal(stw_sdp_offer(&alice, &text), 0);
	assert_int_equal(stw_sdp_receive_offer(&bob, text, &refusal), 0);
	assert_true(stw_sdp_qos_met(&bob));
	assert_int_equal(stw_sdp_answer(&bob, &text), 0);
	assert_null(strstr(media_of(text), "qos"));
}

/* §9: what is mandatory and not known is named in the 580, from our side. */
static void test_unknown(void **state)
{
	struct stw_sdp_refusal refusal;
	struct stw_str text;

	assert_int_equal(stw_sdp_receive_offer(&bob,
				 STW_STR(HEAD "m=audio 9 RTP/AVP 0\r\n"
					      "a=des:foo mandatory local send\r\n"),
				 &refusal),
		0);
	assert_false(stw_sdp_qos_possible(&bob));
	assert_int_equal(stw_sdp_qos_failure(&bob, &text), 0);
	assert_string_equal(
		media_of(text), "m=audio 0 RTP/AVP 0\r\na=des:foo unknown remote recv\r\n");
	assert_true(stw_sdp_qos_possible(&bob));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_segmented, setup),
		cmocka_unit_test_setup(test_end_to_end, setup),
		cmocka_unit_test_setup(test_failure, setup),
		cmocka_unit_test_setup(test_not_mandatory, setup),
		cmocka_unit_test_setup(test_unknown, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
