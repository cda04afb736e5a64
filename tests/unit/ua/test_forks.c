/* SPDX-License-Identifier: Apache-2.0 */
/* An INVITE that many answer: what is kept of each fork, and how many there may be. */
#include "lab.h"

#define FORKS     40
#define FORKS_MAX 32

#define CONTACT  "Contact: <sip:x@192.0.2.9>\r\n"
#define RELIABLE CONTACT "Require: 100rel\r\nRSeq: 1\r\n"

/* @return its INVITE */
static const char *calls(struct net *net, bool late_offer)
{
	struct agent *a =
		agent_new(net, (struct stw_ua_options){ .aor = STW_STR("sip:alice@192.0.2.1") });
	struct stw_session_options options = { .uri = STW_STR("sip:x@192.0.2.9"),
		.late_offer = late_offer };

	agent_begin(a);
	assert_int_equal(stw_ua_call(a->ua, &options, NULL), 0);
	agent_end(a);
	return raw(net, "INVITE ");
}

static void hangs_up(struct net *net, const char *tag)
{
	struct agent *a = &net->agents[0];
	const char *bye;

	a->told_seen = a->told_count;
	agent_begin(a);
	stw_session_end(a->session, STW_STR_NONE);
	agent_end(a);
	bye = raw(net, "BYE ");
	has(bye, tag);
	raw_answer(net, 1, bye, "200 OK", "", "");
	told(a, "ended 200 OK");
	net_is_idle(net);
	raw_nothing(net);
	net_free(net);
}

/* ---- how many ----------------------------------------------------------------------------- */

static void early_dialogs_have_a_bound(void **state)
{
	struct net *net = net_new();
	const char *invite = calls(net, false);
	char tag[16];

	(void)state;
	for (unsigned i = 0; i < FORKS; i++) {
		snprintf(tag, sizeof(tag), "t%u", i);
		raw_answer(net, 1, invite, "180 Ringing", tag, RELIABLE);
		told(&net->agents[0], "progress 180 Ringing");
		if (i < FORKS_MAX)
			raw_answer(net, 1, raw(net, "PRACK "), "200 OK", tag, "");
		raw_nothing(net);
	}
	raw_answer(net, 1, invite, "200 OK", tag, CONTACT SDP_TYPE SDP_BODY("sendrecv"));
	has(raw(net, "ACK "), ";tag=t39");
	hangs_up(net, ";tag=t39");
}

/* §13.2.2.4: each is acknowledged; who makes them without end is not answered any more. */
static void accepted_forks_have_a_bound(void **state)
{
	struct net *net = net_new();
	const char *invite = calls(net, false);
	char tag[16];

	(void)state;
	for (unsigned i = 0; i < FORKS; i++) {
		snprintf(tag, sizeof(tag), "t%u", i);
		raw_answer(net, 1, invite, "200 OK", tag, CONTACT SDP_TYPE SDP_BODY("sendrecv"));
		if (i < FORKS_MAX)
			raw(net, "ACK ");
		if (i > 0 && i < FORKS_MAX)
			raw_answer(net, 1, raw(net, "BYE "), "200 OK", tag, "");
		raw_nothing(net);
	}
	hangs_up(net, ";tag=t0");
}

/* ---- which answer counts ------------------------------------------------------------------ */

/* One fork says what it will hear and send, and reliably so. */
static void fork_answers(struct net *net, const char *invite, const char *tag, const char *more)
{
	raw_answer(net, 1, invite, "183 Session Progress", tag, more);
	raw_answer(net, 1, raw(net, "PRACK "), "200 OK", tag, "");
	told(&net->agents[0], "media");
	told(&net->agents[0], "progress 183 Session Progress");
}

/* The call stands, as this fork has wanted it: we hear and do not send. */
static void fork_is_heard(struct net *net, const char *tag)
{
	struct agent *a = &net->agents[0];

	has(raw(net, "ACK "), tag);
	told(a, "media");
	told(a, "accepted 200 OK");
	told(a, "established");
	assert_int_equal(stw_session_stream(a->session)->direction, STW_SDP_RECVONLY);
	hangs_up(net, tag);
}

/* RFC 6337 §3.1: who has answered in a reliable provisional response need not do so in the 2xx; nor
 * does who has offered there, when the INVITE had no offer. */
static void answer_of_each_fork_is_kept(void **state)
{
	(void)state;
	for (unsigned late = 0; late < 2; late++) {
		struct net *net = net_new();
		const char *invite = calls(net, late);

		fork_answers(net, invite, "b", RELIABLE SDP_TYPE SDP_BODY("sendonly"));
		fork_answers(net, invite, "a", RELIABLE SDP_TYPE SDP_BODY("sendrecv"));
		raw_answer(net, 1, invite, "200 OK", "b", CONTACT);
		fork_is_heard(net, ";tag=b");
	}
}

/* What one fork has said cannot be an answer: that of another one counts all the same, whether it
 * was given before or comes now. */
static void bad_answer_of_a_fork(void **state)
{
	(void)state;
	for (unsigned late = 0; late < 2; late++) {
		struct net *net = net_new();
		const char *invite = calls(net, false);
		struct agent *a = &net->agents[0];

		if (!late)
			fork_answers(net, invite, "a", RELIABLE SDP_TYPE SDP_BODY("sendonly"));
		raw_answer(net, 1, invite, "183 Session Progress", "b",
			CONTACT SDP_TYPE "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nt=0 0\r\n");
		told(a, "fault 488 Bad Answer");
		told(a, "progress 183 Session Progress");
		raw_answer(net, 1, invite, "200 OK", "a",
			late ? CONTACT SDP_TYPE SDP_BODY("sendonly") : CONTACT);
		fork_is_heard(net, ";tag=a");
	}
}

/* The value of a header field, to the end of its line. */
static struct stw_str value_of(const char *text, const char *start)
{
	const char *at = strstr(text, start) + strlen(start);

	return (struct stw_str){ at, strcspn(at, "\r") };
}

static void fork_updates(struct net *net, const char *invite, const char *tag)
{
	char text[2048];

	snprintf(text, sizeof(text),
		"UPDATE sip:alice@192.0.2.1 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKu%s\r\nMax-Forwards: 70\r\n"
		"From: %.*s;tag=%s\r\nTo: %.*s\r\nCall-ID: %.*s\r\nCSeq: 1 UPDATE\r\n" CONTACT
		"Content-Length: %zu\r\n" SDP_TYPE SDP_BODY("sendonly"),
		tag, STW_STR_ARG(value_of(invite, "\r\nTo: ")), tag,
		STW_STR_ARG(value_of(invite, "\r\nFrom: ")),
		STW_STR_ARG(value_of(invite, "\r\nCall-ID: ")), strlen(SDP_BODY("sendonly")));
	raw_send(net, 1, text);
}

/* RFC 3311 §5.2: what one fork asks for by UPDATE changes nothing of the other one, whichever is
 * heard; and who has not answered the offer of the INVITE makes none. */
static void update_of_a_fork(void **state)
{
	(void)state;
	for (unsigned other = 0; other < 2; other++) {
		struct net *net = net_new();
		const char *invite = calls(net, false), *tag = other ? "a" : "b";
		struct agent *a = &net->agents[0];

		fork_answers(net, invite, "b", RELIABLE SDP_TYPE SDP_BODY("sendrecv"));
		fork_answers(net, invite, "a", RELIABLE SDP_TYPE SDP_BODY("sendrecv"));
		raw_answer(net, 1, invite, "180 Ringing", "c", CONTACT);
		told(a, "progress 180 Ringing");
		fork_updates(net, invite, "c");
		raw(net, "SIP/2.0 491 ");
		told(a, "refused 491 Request Pending");
		fork_updates(net, invite, "b");
		has(raw(net, "SIP/2.0 200 "), "a=recvonly");
		told(a, "media"); /* that of the fork, and what it has become */
		told(a, "media");
		raw_answer(net, 1, invite, "200 OK", tag, CONTACT);
		raw(net, "ACK ");
		if (other)
			told(a, "media");
		told(a, "accepted 200 OK");
		told(a, "established");
		assert_int_equal(stw_session_stream(a->session)->direction,
			other ? STW_SDP_SENDRECV : STW_SDP_RECVONLY);
		hangs_up(net, other ? ";tag=a" : ";tag=b");
	}
}

/* ---- what is too long to be kept ---------------------------------------------------------- */

/* A Contact, or a route set, of which a dialog has no room. */
static const char *too_long(unsigned which)
{
	static char text[8192];
	int len = 0;

	if (which == 0) {
		snprintf(text, sizeof(text), "Contact: <sip:%01100d@192.0.2.9>\r\n", 1);
		return text;
	}
	len = snprintf(text, sizeof(text), CONTACT "Record-Route: <sip:192.0.2.9;lr>");
	for (unsigned i = 0; i < 64; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, ",<sip:192.0.2.9;lr>");
	snprintf(text + len, sizeof(text) - (size_t)len, "\r\n");
	return text;
}

/* §13.2.2.4: a 2xx is acknowledged in any case; BYE, and its repetitions get the same ACK. */
static void accepted_with_too_much(void **state)
{
	(void)state;
	for (unsigned which = 0; which < 2; which++) {
		struct net *net = net_new();
		const char *invite = calls(net, false);
		struct agent *a = &net->agents[0];
		char more[8192];

		snprintf(more, sizeof(more), "%s" SDP_TYPE SDP_BODY("sendrecv"), too_long(which));
		raw_answer(net, 1, invite, "200 OK", "t", more);
		raw(net, "ACK sip:x@192.0.2.9 ");
		raw_answer(net, 1, raw(net, "BYE sip:x@192.0.2.9 "), "200 OK", "t", "");
		raw_answer(net, 1, invite, "200 OK", "t", more);
		raw(net, "ACK sip:x@192.0.2.9 ");
		told(a, "media");
		told(a, "accepted 200 OK");
		told(a, "fault 513 Message Too Large");
		told(a, "ended 513 Message Too Large");
		net_is_idle(net);
		raw_nothing(net);
		net_free(net);
	}
}

/* §21.5.7: not for want of a Contact. */
static void called_with_too_much(void **state)
{
	(void)state;
	for (unsigned which = 0; which < 2; which++) {
		struct net *net = net_new();
		struct agent *b = agent_new(
			net, (struct stw_ua_options){ .aor = STW_STR("sip:bob@192.0.2.1") });
		char request[8192], *contact;

		snprintf(request, sizeof(request), "%s", raw_request("INVITE", 1, "", ""));
		contact = strstr(request, "Contact: ");
		snprintf(contact, sizeof(request) - (size_t)(contact - request),
			"%sContent-Length: 0\r\n\r\n", too_long(which));
		raw_send(net, 1, request);
		raw_send(net, 1,
			raw_request("ACK", 1, tag_of(raw(net, "SIP/2.0 513 Message Too Large\r\n")),
				""));
		told(b, "refused 513 Message Too Large");
		net_is_idle(net);
		raw_nothing(net);
		net_free(net);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(early_dialogs_have_a_bound),
		cmocka_unit_test(accepted_forks_have_a_bound),
		cmocka_unit_test(answer_of_each_fork_is_kept),
		cmocka_unit_test(bad_answer_of_a_fork),
		cmocka_unit_test(update_of_a_fork),
		cmocka_unit_test(accepted_with_too_much),
		cmocka_unit_test(called_with_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
