/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions between two agents of ours, and with a party that does as the test says. */
#include "lab.h"

static struct stw_ua_options alice(void)
{
	return (struct stw_ua_options){ .aor = STW_STR("sip:alice@192.0.2.1") };
}

static struct stw_ua_options bob(struct stw_ua_policy policy)
{
	return (struct stw_ua_options){ .aor = STW_STR("sip:bob@192.0.2.2"), .policy = policy };
}

static struct stw_session *call(struct agent *agent, const char *uri)
{
	struct stw_session_options options = { .uri = stw_str_from(uri) };
	struct stw_session *session = NULL;

	agent_begin(agent);
	assert_int_equal(stw_ua_call(agent->ua, &options, &session), 0);
	agent_end(agent);
	return session;
}

static void end(struct agent *agent, struct stw_session *session)
{
	agent_begin(agent);
	stw_session_end(session, STW_STR_NONE);
	agent_end(agent);
	net_settle(agent->net);
}

static void ends(struct net *net)
{
	net_is_idle(net);
	for (unsigned i = 0; i < net->count; i++)
		told_nothing(&net->agents[i]);
	raw_nothing(net);
	net_free(net);
}

/* Two agents, `answering` after ringing a second; the call stands. */
static struct net *standing_call(struct agent **ret_a, struct agent **ret_b)
{
	struct net *net = net_new();
	struct agent *a = agent_new(net, alice());
	struct agent *b =
		agent_new(net, bob((struct stw_ua_policy){ .automatic = true, .ring_ms = 1000 }));

	call(a, "sip:bob@192.0.2.2");
	net_wait(net, 1500);
	told(b, "incoming");
	told(b, "accepted 200 OK");
	told(b, "media");
	told(b, "established");
	told(a, "progress 180 Ringing");
	told(a, "media");
	told(a, "accepted 200 OK");
	told(a, "established");
	*ret_a = a;
	*ret_b = b;
	return net;
}

/* RFC 3665 §3.1 */
static void call_and_bye_of_the_caller(void **state)
{
	struct agent *a, *b;
	struct net *net = standing_call(&a, &b);
	const struct stw_sdp_stream *stream = stw_session_stream(a->session);

	(void)state;
	assert_non_null(stream);
	assert_true(stream->active && stream->direction == STW_SDP_SENDRECV);
	assert_string_equal(stream->address, "192.0.2.2");
	assert_string_equal(stw_session_stream(b->session)->address, "192.0.2.1");
	end(a, a->session);
	told(a, "ended 200 OK");
	assert_true(a->last.by_us);
	told(b, "ended 200 OK");
	assert_false(b->last.by_us);
	ends(net);
}

static void bye_of_the_called(void **state)
{
	struct agent *a, *b;
	struct net *net = standing_call(&a, &b);

	(void)state;
	end(b, b->session);
	told(b, "ended 200 OK");
	told(a, "ended 200 OK");
	ends(net);
}

/* Both at once: each answers the other's BYE with 481, for which nobody waits (§15.1.1). */
static void byes_cross(void **state)
{
	struct agent *a, *b;
	struct net *net = standing_call(&a, &b);

	(void)state;
	agent_begin(a);
	stw_session_end(a->session, STW_STR_NONE);
	agent_end(a);
	agent_begin(b);
	stw_session_end(b->session, STW_STR_NONE);
	agent_end(b);
	net_settle(net);
	told(a, "ended 200 OK");
	told(a, "refused 481 Call/Transaction Does Not Exist");
	told(b, "ended 200 OK");
	told(b, "refused 481 Call/Transaction Does Not Exist");
	ends(net);
}

/* ---- CANCEL ------------------------------------------------------------------------------- */

static void cancelled_while_it_rings(void **state)
{
	struct net *net = net_new();
	struct agent *a = agent_new(net, alice());
	struct agent *b =
		agent_new(net, bob((struct stw_ua_policy){ .automatic = true, .ring_ms = 60000 }));
	struct stw_session *session = call(a, "sip:bob@192.0.2.2");

	(void)state;
	net_wait(net, 100);
	told(b, "incoming");
	told(a, "progress 180 Ringing");
	end(a, session);
	told(b, "ended 487 Request Terminated");
	told(a, "ended 487 Request Terminated");
	assert_true(a->last.by_us);
	ends(net);
}

/* §9.1: the 2xx was faster: ACK, and BYE. */
static void cancel_against_200(void **state)
{
	struct net *net = net_new();
	struct agent *a = agent_new(net, alice());
	struct stw_session *session = call(a, "sip:x@192.0.2.9");
	const char *invite = raw(net, "INVITE ");

	(void)state;
	raw_answer(net, 1, invite, "180 Ringing", "t", "");
	told(a, "progress 180 Ringing");
	end(a, session);
	raw(net, "CANCEL ");
	raw_answer(net, 1, invite, "200 OK", "t",
		"Contact: <sip:x@192.0.2.9>\r\n" SDP_TYPE SDP_BODY("sendrecv"));
	raw(net, "ACK ");
	told(a, "media");
	raw_answer(net, 1, raw(net, "BYE "), "200 OK", "t", "");
	told(a, "ended 487 Request Terminated");
	net_wait(net, 40000);
	while (net->raw_seen < net->raw_count)
		raw(net, "CANCEL ");
	ends(net);
}

/* ---- forks ---------------------------------------------------------------------------------- */

static void second_fork_that_accepts_is_ended(void **state)
{
	struct net *net = net_new();
	struct agent *a = agent_new(net, alice());
	const char *invite, *ok = "Contact: <sip:x@192.0.2.9>\r\n" SDP_TYPE SDP_BODY("sendrecv");

	(void)state;
	call(a, "sip:x@192.0.2.9");
	invite = raw(net, "INVITE ");
	raw_answer(net, 1, invite, "180 Ringing", "t1", "");
	raw_answer(net, 1, invite, "180 Ringing", "t2", "");
	raw_answer(net, 1, invite, "200 OK", "t2", ok);
	has(raw(net, "ACK sip:x@192.0.2.9 "), ";tag=t2");
	raw_answer(net, 1, invite, "200 OK", "t1", ok);
	has(raw(net, "ACK sip:x@192.0.2.9 "), ";tag=t1");
	has(invite = raw(net, "BYE sip:x@192.0.2.9 "), ";tag=t1");
	raw_answer(net, 1, invite, "200 OK", "t1", "");
	told(a, "progress 180 Ringing");
	told(a, "progress 180 Ringing");
	told(a, "media");
	told(a, "accepted 200 OK");
	told(a, "established");
	told(a, "forked 200");
	end(a, a->session);
	has(invite = raw(net, "BYE "), ";tag=t2");
	raw_answer(net, 1, invite, "200 OK", "t2", "");
	told(a, "ended 200 OK");
	ends(net);
}

/* Early media of one fork, the answer of another: the second one counts. */
static void answer_of_the_fork_that_accepts_counts(void **state)
{
	struct net *net = net_new();
	struct agent *a = agent_new(net, alice());
	const char *invite;

	(void)state;
	call(a, "sip:x@192.0.2.9");
	invite = raw(net, "INVITE ");
	raw_answer(net, 1, invite, "183 Session Progress", "t1", SDP_TYPE SDP_BODY("sendonly"));
	told(a, "media");
	assert_int_equal(stw_session_stream(a->session)->direction, STW_SDP_RECVONLY);
	told(a, "progress 183 Session Progress");
	raw_answer(net, 1, invite, "200 OK", "t2",
		"Contact: <sip:x@192.0.2.9>\r\n" SDP_TYPE SDP_BODY("sendrecv"));
	raw(net, "ACK ");
	told(a, "media");
	assert_int_equal(stw_session_stream(a->session)->direction, STW_SDP_SENDRECV);
	told(a, "accepted 200 OK");
	told(a, "established");
	end(a, a->session);
	raw_answer(net, 1, raw(net, "BYE "), "200 OK", "t2", "");
	told(a, "ended 200 OK");
	ends(net);
}

/* ---- refusals ---------------------------------------------------------------------------------
 */

static void each_policy_has_its_answer(void **state)
{
	const struct {
		struct stw_ua_policy policy;
		const char *code, *header;
	} cases[] = {
		{ { .dnd = true }, "480 Do Not Disturb", "" },
		{ { .redirect = STW_STR("<sip:c@192.0.2.3>") }, "302 Moved Temporarily",
			"Contact: <sip:c@192.0.2.3>\r\n" },
		{ { .screen_via = STW_STR("sip:192.0.2.7") }, "305 Use Proxy",
			"Contact: <sip:192.0.2.7>\r\n" },
		{ { .users = STW_STR("bert, bart") }, "404 Not Found", "" },
		{ { .methods = STW_STR("OPTIONS, MESSAGE") }, "405 Method Not Allowed",
			"Allow: OPTIONS, MESSAGE\r\n" },
		{ { .max_body = 10 }, "413 Request Entity Too Large", "" },
		{ { .accept = STW_STR("text/plain") }, "415 Unsupported Media Type",
			"Accept: text/plain\r\n" },
		{ { .require = STW_STR("100rel") }, "421 Extension Required",
			"Require: 100rel\r\n" },
		{ { .automatic = true, .then = 486 }, "486 Busy Here", "" },
		{ { .automatic = true, .then = 600 }, "600 Busy Everywhere", "" },
		{ { .automatic = true, .then = 603, .then_phrase = STW_STR("No") }, "603 No", "" },
		{ { .automatic = true, .then = 607 }, "607 Unwanted", "" },
		{ { .auth_realm = STW_STR("here"),
			  .auth_user = STW_STR("u"),
			  .auth_password = STW_STR("p") },
			"401 ", "WWW-Authenticate: Digest " },
	};

	(void)state;
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct net *net = net_new();
		struct agent *b = agent_new(net, bob(cases[i].policy));
		const char *text;
		char status[80];

		raw_send(net, 1, raw_request("INVITE", 1, "", SDP_TYPE SDP_BODY("sendrecv")));
		snprintf(status, sizeof(status), "SIP/2.0 %s", cases[i].code);
		text = raw(net, status);
		has(text, cases[i].header);
		raw_send(net, 1, raw_request("ACK", 1, tag_of(text), ""));
		b->told_seen = b->told_count;
		net_is_idle(net);
		net_free(net);
	}
}

/* What is wrong with the request itself. */
static void each_fault_has_its_answer(void **state)
{
	static const struct {
		const char *method, *tag, *more, *code, *header;
	} cases[] = {
		{ "INVITE", "", "Require: foo, 100rel, bar\r\n", "420 Bad Extension",
			"Unsupported: foo, bar\r\n" },
		{ "INVITE", "", "Content-Type: text/html\r\n\r\nx", "415 ",
			"Accept: application/sdp" },
		{ "INVITE", "", "Content-Encoding: gzip\r\n" SDP_TYPE "x", "415 ",
			"Accept-Encoding: identity\r\n" },
		{ "INVITE", "", "Accept: text/html\r\n", "406 Not Acceptable", "" },
		{ "INVITE", "", SDP_TYPE "nonsense", "400 Bad Session Description", "Warning: " },
		{ "INVITE", "",
			SDP_TYPE "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\n"
				 "t=0 0\r\nm=audio 6000 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\n",
			"488 Not Acceptable Here", "Content-Type: application/sdp\r\n" },
		{ "INVITE", "", "Supported: timer\r\nSession-Expires: 60\r\n",
			"422 Session Interval Too Small", "Min-SE: 90\r\n" },
		{ "INVITE", "nobody", "", "481 Call/Transaction Does Not Exist", "" },
		{ "BYE", "nobody", "", "481 ", "" },
		{ "CANCEL", "", "", "481 ", "" },
		{ "PRACK", "nobody", "RAck: 1 1 INVITE\r\n", "481 ", "" },
		{ "NOTIFY", "nobody", "Event: refer\r\n", "481 Subscription Does Not Exist", "" },
		{ "PUBLISH", "", "Event: presence\r\n", "405 ", "Allow: INVITE, ACK, BYE" },
		{ "SUBSCRIBE", "", "Event: presence\r\n", "489 ", "Allow-Events: refer" },
		{ "FROB", "", "", "501 Not Implemented", "Allow: INVITE, ACK, BYE" },
		{ "INVITE", "", "Replaces: none;to-tag=a;from-tag=b\r\n", "481 ", "" },
		{ "INVITE", "", "Replaces: none;to-tag=a\r\n", "400 Bad Replaces", "" },
	};

	(void)state;
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct net *net = net_new();
		struct agent *b = agent_new(net, bob((struct stw_ua_policy){ 0 }));
		const char *text;
		char status[80];

		raw_send(net, 1, raw_request(cases[i].method, 1, cases[i].tag, cases[i].more));
		snprintf(status, sizeof(status), "SIP/2.0 %s", cases[i].code);
		text = raw(net, status);
		has(text, cases[i].header);
		has(text, ";tag=");
		if (strcmp(cases[i].method, "INVITE") == 0)
			raw_send(net, 1, raw_request("ACK", 1, tag_of(text), ""));
		assert_int_equal(b->told_count, 1);
		assert_int_equal(strncmp(b->told[0], "refused ", 8), 0);
		net_is_idle(net);
		net_free(net);
	}
}

static void anonymous_callers(void **state)
{
	struct net *net = net_new();
	struct agent *b = agent_new(net, bob((struct stw_ua_policy){ .reject_anonymous = true }));
	const char *text;

	(void)state;
	raw_send(net, 1, raw_request("INVITE", 1, "", "Privacy: header; id\r\n"));
	text = raw(net, "SIP/2.0 433 Anonymity Disallowed\r\n");
	raw_send(net, 1, raw_request("ACK", 1, tag_of(text), ""));
	told(b, "refused 433 Anonymity Disallowed");
	ends(net);
}

/* All lines in use: 486, or 600 when no other device will answer. */
static void lines_are_counted(void **state)
{
	(void)state;
	for (unsigned everywhere = 0; everywhere < 2; everywhere++) {
		struct net *net = net_new();
		struct agent *a = agent_new(net, alice());
		struct agent *b = agent_new(net,
			bob((struct stw_ua_policy){
				.automatic = true, .lines = 1, .busy_everywhere = everywhere }));
		struct agent *c = agent_new(
			net, (struct stw_ua_options){ .aor = STW_STR("sip:carol@192.0.2.3") });

		call(a, "sip:bob@192.0.2.2");
		net_wait(net, 100);
		call(c, "sip:bob@192.0.2.2");
		net_wait(net, 100);
		told(c, everywhere ? "ended 600 Busy Everywhere" : "ended 486 Busy Here");
		end(a, a->session);
		a->told_seen = a->told_count;
		b->told_seen = b->told_count;
		ends(net);
	}
}

/* ---- a peer that does wrong --------------------------------------------------------------------
 */

static void accepted_without_contact(void **state)
{
	struct net *net = net_new();
	struct agent *a = agent_new(net, alice());

	(void)state;
	call(a, "sip:x@192.0.2.9");
	raw_answer(net, 1, raw(net, "INVITE "), "200 OK", "t", SDP_TYPE SDP_BODY("sendrecv"));
	raw(net, "ACK sip:x@192.0.2.9 ");
	raw_answer(net, 1, raw(net, "BYE "), "200 OK", "t", "");
	told(a, "media");
	told(a, "accepted 200 OK");
	told(a, "fault 502 Response Without Contact");
	told(a, "ended 502 Response Without Contact");
	ends(net);
}

static void accepted_with_a_wrong_answer(void **state)
{
	static const char *const answers[] = { "", SDP_TYPE "v=1\r\n",
		SDP_TYPE "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
			 "m=audio 6000 RTP/AVP 0\r\nm=audio 6002 RTP/AVP 0\r\n" };

	(void)state;
	for (size_t i = 0; i < STW_ARRAY_SIZE(answers); i++) {
		struct net *net = net_new();
		struct agent *a = agent_new(net, alice());
		char more[1024];

		snprintf(more, sizeof(more), "Contact: <sip:x@192.0.2.9>\r\n%s", answers[i]);
		call(a, "sip:x@192.0.2.9");
		raw_answer(net, 1, raw(net, "INVITE "), "200 OK", "t", more);
		raw(net, "ACK ");
		raw_answer(net, 1, raw(net, "BYE "), "200 OK", "t", "");
		told(a, "accepted 200 OK");
		told(a, "fault 488 Bad Answer");
		told(a, "ended 488 Bad Answer");
		ends(net);
	}
}

static void no_ack_comes(void **state)
{
	struct net *net = net_new();
	struct agent *b = agent_new(net, bob((struct stw_ua_policy){ .automatic = true }));

	(void)state;
	raw_send(net, 1, raw_request("INVITE", 1, "", SDP_TYPE SDP_BODY("sendrecv")));
	net_wait(net, 32000);
	for (unsigned i = 0; i < 11; i++)
		raw(net, "SIP/2.0 200 OK\r\n");
	raw_answer(net, 1, raw(net, "BYE sip:raw@192.0.2.9 "), "200 OK", "raw", "");
	told(b, "incoming");
	told(b, "accepted 200 OK");
	told(b, "media");
	told(b, "ended 408 ACK missing");
	ends(net);
}

/* §12.2.2 */
static void replayed_cseq(void **state)
{
	struct net *net = net_new();
	struct agent *b = agent_new(net, bob((struct stw_ua_policy){ .automatic = true }));
	char tag[128];

	(void)state;
	raw_send(net, 1, raw_request("INVITE", 7, "", SDP_TYPE SDP_BODY("sendrecv")));
	snprintf(tag, sizeof(tag), "%s", tag_of(raw(net, "SIP/2.0 200 ")));
	raw_send(net, 1, raw_request("ACK", 7, tag, ""));
	raw_send(net, 1, raw_request("BYE", 6, tag, ""));
	raw(net, "SIP/2.0 500 ");
	raw_send(net, 1, raw_request("BYE", 8, tag, ""));
	raw(net, "SIP/2.0 200 ");
	b->told_seen = b->told_count;
	assert_string_equal(b->told[b->told_count - 1], "ended 200 OK");
	ends(net);
}

/* ---- credentials --------------------------------------------------------------------------------
 */

static void challenge_is_answered(void **state)
{
	struct net *net = net_new();
	struct stw_ua_options options = alice();
	struct stw_ua_policy policy = { .automatic = true,
		.auth_realm = STW_STR("here"),
		.auth_user = STW_STR("alice"),
		.auth_password = STW_STR("secret") };
	struct agent *a, *b;

	(void)state;
	options.auth_password = STW_STR("secret");
	a = agent_new(net, options);
	b = agent_new(net, bob(policy));
	call(a, "sip:bob@192.0.2.2");
	net_wait(net, 100);
	told(a, "media");
	told(a, "accepted 200 OK");
	told(a, "established");
	assert_string_equal(b->told[b->told_count - 1], "established");
	b->told_seen = b->told_count;
	end(a, a->session);
	told(a, "ended 200 OK");
	told(b, "ended 200 OK");
	ends(net);
}

static void wrong_password_is_told(void **state)
{
	struct net *net = net_new();
	struct stw_ua_options options = alice();
	struct stw_ua_policy policy = { .automatic = true,
		.auth_realm = STW_STR("here"),
		.auth_user = STW_STR("alice"),
		.auth_password = STW_STR("secret") };
	struct agent *a, *b;

	(void)state;
	options.auth_password = STW_STR("wrong");
	a = agent_new(net, options);
	b = agent_new(net, bob(policy));
	call(a, "sip:bob@192.0.2.2");
	net_wait(net, 1000);
	assert_int_equal(strncmp(a->told[a->told_count - 1], "ended 401", 9), 0);
	a->told_seen = a->told_count;
	b->told_seen = b->told_count;
	ends(net);
}

/* ---- changes ----------------------------------------------------------------------------------
 */

static void hold(struct agent *agent, bool on)
{
	agent_begin(agent);
	assert_int_equal(stw_session_hold(agent->session, on), 0);
	agent_end(agent);
}

static void hold_and_resume(void **state)
{
	struct agent *a, *b;
	struct net *net = standing_call(&a, &b);

	(void)state;
	hold(a, true);
	net_settle(net);
	told(b, "media");
	assert_int_equal(stw_session_stream(b->session)->direction, STW_SDP_RECVONLY);
	told(a, "media");
	told(a, "changed 200 OK");
	assert_int_equal(stw_session_stream(a->session)->direction, STW_SDP_SENDONLY);
	hold(a, false);
	net_settle(net);
	told(b, "media");
	told(a, "media");
	told(a, "changed 200 OK");
	assert_int_equal(stw_session_stream(b->session)->direction, STW_SDP_SENDRECV);
	end(b, b->session);
	told(b, "ended 200 OK");
	told(a, "ended 200 OK");
	ends(net);
}

/* RFC 3665 §3.7, RFC 4579 §4: on hold it moves and stays on hold, and becomes a focus once. */
static void move_and_mix(void **state)
{
	struct agent *a, *b;
	struct net *net = standing_call(&a, &b);

	(void)state;
	hold(a, true);
	agent_begin(a);
	assert_int_equal(stw_session_renew(a->session), -EBUSY);
	agent_end(a);
	net_settle(net);
	told(b, "media");
	told(a, "media");
	told(a, "changed 200 OK");
	a->abilities.address = STW_STR("192.0.2.77");
	a->abilities.rtp_port = 7070;
	agent_begin(a);
	assert_int_equal(stw_session_renew(a->session), 0);
	agent_end(a);
	net_settle(net);
	told(b, "media");
	assert_string_equal(stw_session_stream(b->session)->address, "192.0.2.77");
	assert_int_equal(stw_session_stream(b->session)->rtp_port, 7070);
	assert_int_equal(stw_session_stream(b->session)->direction, STW_SDP_RECVONLY);
	told(a, "media");
	told(a, "changed 200 OK");
	for (unsigned i = 0; i < 2; i++) {
		agent_begin(a);
		assert_int_equal(stw_session_focus(a->session), 0);
		agent_end(a);
		net_settle(net);
	}
	told(b, "media");
	told(a, "media");
	told(a, "changed 200 OK");
	told_nothing(a);
	end(a, a->session);
	told(a, "ended 200 OK");
	told(b, "ended 200 OK");
	ends(net);
}

/* §14.1: both at once: 491 to both, and they come again at times that differ. */
static void glare(void **state)
{
	struct agent *a, *b;
	struct net *net = standing_call(&a, &b);

	(void)state;
	hold(a, true);
	hold(b, true);
	net_settle(net);
	told(a, "refused 491 Request Pending");
	told(b, "refused 491 Request Pending");
	told_nothing(a);
	net_wait(net, 5000);
	assert_int_equal(a->told_count - a->told_seen, 3);
	assert_int_equal(b->told_count - b->told_seen, 3);
	a->told_seen = a->told_count;
	b->told_seen = b->told_count;
	end(b, b->session);
	told(b, "ended 200 OK");
	told(a, "ended 200 OK");
	ends(net);
}

/* RFC 5057: what a refusal of a re-INVITE ends. */
static void refused_change(void **state)
{
	static const struct {
		const char *status;
		bool ends;
	} cases[] = { { "488 Not Acceptable Here", false }, { "500 Oh", false },
		{ "603 Decline", false }, { "481 Gone", true }, { "408 Request Timeout", true },
		{ "404 Not Found", true } };

	(void)state;
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct net *net = net_new();
		struct agent *a = agent_new(net, alice());
		char line[80];

		call(a, "sip:x@192.0.2.9");
		raw_answer(net, 1, raw(net, "INVITE "), "200 OK", "t",
			"Contact: <sip:x@192.0.2.9>\r\n" SDP_TYPE SDP_BODY("sendrecv"));
		raw(net, "ACK ");
		hold(a, true);
		raw_answer(net, 1, raw(net, "INVITE "), cases[i].status, "t", "");
		raw(net, "ACK ");
		snprintf(line, sizeof(line), "%s %s", cases[i].ends ? "ended" : "changed",
			cases[i].status);
		a->told_seen = a->told_count - 1;
		told(a, line);
		if (!cases[i].ends)
			end(a, a->session);
		raw_answer(net, 1, raw(net, "BYE "), "200 OK", "t", "");
		a->told_seen = a->told_count;
		ends(net);
	}
}

/* ---- session timer
 * -------------------------------------------------------------------------------- */

static void session_is_refreshed(void **state)
{
	struct net *net = net_new();
	struct stw_ua_options options = alice();
	struct agent *a, *b;

	(void)state;
	options.session_expires_s = 90;
	a = agent_new(net, options);
	b = agent_new(net, bob((struct stw_ua_policy){ .automatic = true }));
	call(a, "sip:bob@192.0.2.2");
	net_wait(net, 1000);
	a->told_seen = a->told_count;
	b->told_seen = b->told_count;
	net_wait(net, 100000);
	told(a, "refreshed");
	told(b, "refreshed");
	told(a, "refreshed");
	end(a, a->session);
	a->told_seen = a->told_count;
	b->told_seen = b->told_count;
	ends(net);
}

static bool lose_all_of_a(struct net *net, const struct packet *packet)
{
	return stw_addr_equal(&packet->from, &net->agents[0].listeners.v[0].bind);
}

/* RFC 4028 §10: the refresher is gone; the other side ends the call. */
static void session_without_refresh_ends(void **state)
{
	struct net *net = net_new();
	struct stw_ua_options options = alice();
	struct agent *a, *b;

	(void)state;
	options.session_expires_s = 90;
	a = agent_new(net, options);
	b = agent_new(net, bob((struct stw_ua_policy){ .automatic = true }));
	call(a, "sip:bob@192.0.2.2");
	net_wait(net, 1000);
	b->told_seen = b->told_count;
	net->lose = lose_all_of_a;
	net_wait(net, 65000);
	told(b, "ended 408 Session Expired");
	net_wait(net, 100000);
	a->told_seen = a->told_count;
	ends(net);
}

static void interval_is_raised(void **state)
{
	struct net *net = net_new();
	struct stw_ua_options options = alice();
	struct agent *a, *b;

	(void)state;
	options.session_expires_s = 100;
	a = agent_new(net, options);
	b = agent_new(net, bob((struct stw_ua_policy){ .automatic = true, .min_se_s = 200 }));
	call(a, "sip:bob@192.0.2.2");
	net_wait(net, 100);
	told(b, "refused 422 Session Interval Too Small");
	assert_string_equal(a->told[a->told_count - 1], "established");
	end(a, a->session);
	a->told_seen = a->told_count;
	b->told_seen = b->told_count;
	ends(net);
}

/* ---- provisional responses ---------------------------------------------------------------------
 */

static void reliable_early_media(void **state)
{
	struct net *net = net_new();
	struct agent *a = agent_new(net, alice());
	struct agent *b = agent_new(net, bob((struct stw_ua_policy){ .automatic = true,
						 .ring_ms = 1000,
						 .early_media = true,
						 .reliable = true }));

	(void)state;
	call(a, "sip:bob@192.0.2.2");
	net_wait(net, 10);
	told(a, "media");
	told(a, "progress 183 Session Progress");
	told(b, "incoming");
	told(b, "media");
	net_wait(net, 1500);
	told(a, "accepted 200 OK");
	told(a, "established");
	told(b, "accepted 200 OK");
	told(b, "established");
	end(a, a->session);
	told(a, "ended 200 OK");
	told(b, "ended 200 OK");
	ends(net);
}

static void early_dialog_ends_by_199(void **state)
{
	struct net *net = net_new();
	struct agent *a = agent_new(net, alice());
	const char *invite;

	(void)state;
	call(a, "sip:x@192.0.2.9");
	invite = raw(net, "INVITE ");
	raw_answer(net, 1, invite, "180 Ringing", "t1", "");
	raw_answer(net, 1, invite, "199 Early Dialog Terminated", "t1", "");
	raw_answer(net, 1, invite, "486 Busy Here", "t2", "Retry-After: 7\r\n");
	raw(net, "ACK ");
	told(a, "progress 180 Ringing");
	told(a, "progress 199 Early Dialog Terminated");
	told(a, "ended 486 Busy Here");
	assert_int_equal(a->last.retry_s, 7);
	ends(net);
}

/* ---- late offer, redirect, silence --------------------------------------------------------------
 */

static void late_offer(void **state)
{
	struct net *net = net_new();
	struct agent *a = agent_new(net, alice());
	struct agent *b = agent_new(net, bob((struct stw_ua_policy){ .automatic = true }));
	struct stw_session_options options = { .uri = STW_STR("sip:bob@192.0.2.2"),
		.late_offer = true };

	(void)state;
	agent_begin(a);
	assert_int_equal(stw_ua_call(a->ua, &options, NULL), 0);
	agent_end(a);
	net_wait(net, 100);
	told(a, "media");
	told(a, "accepted 200 OK");
	told(a, "established");
	told(b, "incoming");
	told(b, "accepted 200 OK");
	told(b, "media");
	told(b, "established");
	assert_string_equal(stw_session_stream(b->session)->address, "192.0.2.1");
	end(b, b->session);
	told(a, "ended 200 OK");
	told(b, "ended 200 OK");
	ends(net);
}

static void redirect_is_followed(void **state)
{
	struct net *net = net_new();
	struct stw_ua_options options = alice();
	struct agent *a, *b;

	(void)state;
	options.follow_redirects = true;
	a = agent_new(net, options);
	b = agent_new(net, bob((struct stw_ua_policy){ .automatic = true }));
	call(a, "sip:x@192.0.2.9");
	raw_answer(net, 1, raw(net, "INVITE "), "302 Moved Temporarily", "t",
		"Contact: <sip:bob@192.0.2.2>\r\n");
	raw(net, "ACK ");
	told(a, "redirected 302 Moved Temporarily");
	told(a, "media");
	told(a, "accepted 200 OK");
	told(a, "established");
	end(a, a->session);
	told(a, "ended 200 OK");
	b->told_seen = b->told_count;
	ends(net);
}

static bool lose_all(struct net *net, const struct packet *packet)
{
	(void)net;
	(void)packet;
	return true;
}

static void silence_ends_it(void **state)
{
	struct net *net = net_new();
	struct agent *a = agent_new(net, alice());

	(void)state;
	net->lose = lose_all;
	call(a, "sip:bob@192.0.2.2");
	net_wait(net, 33000);
	told(a, "ended 408 Request Timeout");
	ends(net);
}

/* ---- transfer
 * -------------------------------------------------------------------------------------- */

static void blind_transfer(void **state)
{
	struct agent *a, *b, *c;
	struct net *net = standing_call(&a, &b);

	(void)state;
	c = agent_new(net, (struct stw_ua_options){ .aor = STW_STR("sip:carol@192.0.2.3"),
				   .policy = { .automatic = true } });
	agent_begin(a);
	assert_int_equal(stw_session_refer(a->session, STW_STR("sip:carol@192.0.2.3"), NULL), 0);
	agent_end(a);
	net_wait(net, 1000);
	told(a, "response 200 OK");
	told(a, "transferred 100 Trying");
	told(a, "transferred 200 OK");
	assert_true(a->last.final);
	told(b, "transfer");
	assert_string_equal(c->told[c->told_count - 1], "established");
	end(a, a->session);
	told(a, "ended 200 OK");
	assert_string_equal(b->told[b->told_count - 1], "ended 200 OK");
	b->told_seen = b->told_count;
	end(c, c->session);
	c->told_seen = c->told_count;
	b->told_seen = b->told_count;
	ends(net);
}

/* RFC 5589 §7: bob is sent to carol's call with alice, which he replaces. */
static void attended_transfer(void **state)
{
	struct agent *a, *b, *c;
	struct net *net = standing_call(&a, &b);
	struct stw_session *first = a->session, *second;

	(void)state;
	c = agent_new(net, (struct stw_ua_options){ .aor = STW_STR("sip:carol@192.0.2.3"),
				   .policy = { .automatic = true } });
	second = call(a, "sip:carol@192.0.2.3");
	net_wait(net, 100);
	agent_begin(a);
	assert_int_equal(stw_session_refer_to_session(first, second, NULL), 0);
	agent_end(a);
	c->told_seen = c->told_count;
	net_wait(net, 1000);
	told(c, "incoming");
	told(c, "accepted 200 OK");
	told(c, "media");
	told(c, "replaced");
	told(c, "ended 200 OK");
	told(c, "established");
	assert_string_equal(a->told[a->told_count - 1], "transferred 200 OK");
	end(a, first);
	a->told_seen = a->told_count;
	b->told_seen = b->told_count;
	end(c, c->session);
	c->told_seen = c->told_count;
	b->told_seen = b->told_count;
	ends(net);
}

static void transfer_that_fails_leaves_the_call(void **state)
{
	struct agent *a, *b;
	struct net *net = standing_call(&a, &b);

	(void)state;
	agent_begin(a);
	assert_int_equal(stw_session_refer(a->session, STW_STR("sip:x@192.0.2.9"), NULL), 0);
	agent_end(a);
	raw_answer(net, 2, raw(net, "INVITE "), "486 Busy Here", "t", "");
	raw(net, "ACK ");
	told(a, "response 200 OK");
	told(a, "transferred 100 Trying");
	told(a, "transferred 486 Busy Here");
	told(b, "transfer");
	told(b, "ended 486 Busy Here");
	end(a, stw_session_dialog(a->session) ? a->session : NULL);
	a->told_seen = a->told_count;
	b->told_seen = b->told_count;
	ends(net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(call_and_bye_of_the_caller),
		cmocka_unit_test(bye_of_the_called),
		cmocka_unit_test(byes_cross),
		cmocka_unit_test(cancelled_while_it_rings),
		cmocka_unit_test(cancel_against_200),
		cmocka_unit_test(second_fork_that_accepts_is_ended),
		cmocka_unit_test(answer_of_the_fork_that_accepts_counts),
		cmocka_unit_test(each_policy_has_its_answer),
		cmocka_unit_test(each_fault_has_its_answer),
		cmocka_unit_test(anonymous_callers),
		cmocka_unit_test(lines_are_counted),
		cmocka_unit_test(accepted_without_contact),
		cmocka_unit_test(accepted_with_a_wrong_answer),
		cmocka_unit_test(no_ack_comes),
		cmocka_unit_test(replayed_cseq),
		cmocka_unit_test(challenge_is_answered),
		cmocka_unit_test(wrong_password_is_told),
		cmocka_unit_test(hold_and_resume),
		cmocka_unit_test(move_and_mix),
		cmocka_unit_test(glare),
		cmocka_unit_test(refused_change),
		cmocka_unit_test(session_is_refreshed),
		cmocka_unit_test(session_without_refresh_ends),
		cmocka_unit_test(interval_is_raised),
		cmocka_unit_test(reliable_early_media),
		cmocka_unit_test(early_dialog_ends_by_199),
		cmocka_unit_test(late_offer),
		cmocka_unit_test(redirect_is_followed),
		cmocka_unit_test(silence_ends_it),
		cmocka_unit_test(blind_transfer),
		cmocka_unit_test(attended_transfer),
		cmocka_unit_test(transfer_that_fails_leaves_the_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
