/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that end at a bad moment: in an event of another one, or before an answer has come. */
#include "lab.h"

static struct agent *bob_new(struct net *net, struct stw_ua_policy policy)
{
	return agent_new(net,
		(struct stw_ua_options){ .aor = STW_STR("sip:bob@192.0.2.1"), .policy = policy });
}

/* The party calls the first agent, which answers at once. */
static void raw_calls(struct net *net, char tag[128])
{
	raw_send(net, 1, raw_request("INVITE", 1, "", SDP_TYPE SDP_BODY("sendrecv")));
	snprintf(tag, 128, "%s", tag_of(raw(net, "SIP/2.0 200 ")));
	raw_send(net, 1, raw_request("ACK", 1, tag, ""));
	told(&net->agents[0], "incoming");
	told(&net->agents[0], "accepted 200 OK");
	told(&net->agents[0], "media");
	told(&net->agents[0], "established");
}

static void ends(struct net *net)
{
	net_is_idle(net);
	told_nothing(&net->agents[0]);
	raw_nothing(net);
	net_free(net);
}

/* ---- in an event of another one ----------------------------------------------------------- */

static struct stw_session *other;

static void ends_the_other(struct agent *agent, const struct stw_ua_event *event)
{
	(void)agent;
	if (event->kind == STW_UA_INCOMING)
		stw_session_end(other, STW_STR_NONE);
}

/* RFC 3891 §3, RFC 3911 §4: the session that is named ends when its user hears of the new one,
 * which is a call like any other then. */
static void named_session_ends_in_the_event(void **state)
{
	static const char *const names[] = { "Replaces", "Join" };

	(void)state;
	for (size_t i = 0; i < STW_ARRAY_SIZE(names); i++) {
		struct net *net = net_new();
		struct agent *b =
			bob_new(net, (struct stw_ua_policy){ .automatic = true, .mixes = true });
		char tag[128], line[256];
		const char *request;

		raw_calls(net, tag);
		other = b->session;
		b->on_event = ends_the_other;
		snprintf(line, sizeof(line), "%s: raw1;to-tag=%s;from-tag=raw\r\n", names[i], tag);
		request = raw_request("INVITE", 2, "", line);
		*strstr(strstr(request, "Call-ID: raw1"), "raw1") = 'R';
		raw_send(net, 1, request);
		told(b, "incoming");
		told(b, "ended 200 OK");
		told(b, "accepted 200 OK");
		raw_answer(net, 1, raw(net, "BYE "), "200 OK", "raw", "");
		snprintf(tag, sizeof(tag), "%s", tag_of(raw(net, "SIP/2.0 200 ")));
		request = raw_request("ACK", 2, tag, SDP_TYPE SDP_BODY("sendrecv"));
		*strstr(strstr(request, "Call-ID: raw1"), "raw1") = 'R';
		raw_send(net, 1, request);
		told(b, "media");
		told(b, "established");
		agent_begin(b);
		stw_session_end(b->session, STW_STR_NONE);
		agent_end(b);
		raw_answer(net, 1, raw(net, "BYE "), "200 OK", "raw", "");
		told(b, "ended 200 OK");
		ends(net);
	}
}

/* ---- all of them -------------------------------------------------------------------------- */

static void ends_the_other_bridged(struct agent *agent, const struct stw_ua_event *event)
{
	struct stw_session *peer = stw_session_user(event->session);

	(void)agent;
	if (event->kind == STW_UA_ENDED && peer) {
		stw_session_set_user(peer, NULL);
		stw_session_end(peer, STW_STR_NONE);
	}
}

/* As a bridge does: who hears that one call is over ends the other. */
static void bridge_is_stopped(void **state)
{
	struct net *net = net_new();
	struct agent *a = bob_new(net, (struct stw_ua_policy){ 0 });
	struct stw_session_options options = { .uri = STW_STR("sip:x@192.0.2.9") };
	struct stw_session *calls[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		agent_begin(a);
		assert_int_equal(stw_ua_call(a->ua, &options, &calls[i]), 0);
		agent_end(a);
		raw_answer(net, 1, raw(net, "INVITE "), "200 OK", "t",
			"Contact: <sip:x@192.0.2.9>\r\n" SDP_TYPE SDP_BODY("sendrecv"));
		raw(net, "ACK ");
	}
	stw_session_set_user(calls[0], calls[1]);
	stw_session_set_user(calls[1], calls[0]);
	a->told_seen = a->told_count;
	a->on_event = ends_the_other_bridged;
	agent_begin(a);
	stw_ua_stop(a->ua);
	agent_end(a);
	for (unsigned i = 0; i < 2; i++) {
		told(a, "ended 200 OK");
		raw_answer(net, 1, raw(net, "BYE "), "200 OK", "t", "");
	}
	ends(net);
}

static void stops(struct agent *agent, const struct stw_ua_event *event)
{
	if (event->kind == STW_UA_ENDED && event->code == 504)
		stw_ua_stop(agent->ua);
}

/* The call that a REFER asks for is over before stw_ua_call() returns, and who hears that stops
 * all: the subscription is ended once. */
static void stopped_when_a_refer_fails(void **state)
{
	struct net *net = net_new();
	struct agent *b = bob_new(net, (struct stw_ua_policy){ .automatic = true });
	const char *notify;
	char tag[128];

	(void)state;
	raw_calls(net, tag);
	b->on_event = stops;
	raw_send(net, 1, raw_request("REFER", 2, tag, "Refer-To: <sip:x@nowhere.example>\r\n"));
	raw(net, "SIP/2.0 200 ");
	raw_answer(net, 1, raw(net, "NOTIFY "), "200 OK", "raw", "");
	told(b, "transfer");
	told(b, "ended 504 DNS Timeout");
	told(b, "ended 200 OK");
	raw_answer(net, 1, raw(net, "BYE "), "200 OK", "raw", "");
	notify = raw(net, "NOTIFY ");
	has(notify, "Subscription-State: terminated;reason=giveup");
	raw_answer(net, 1, notify, "200 OK", "raw", "");
	ends(net);
}

static struct stw_registration *fetches[2];

static void ends_the_other_fetch(struct agent *agent, const struct stw_ua_event *event)
{
	(void)agent;
	stw_registration_end(fetches[event->registration == fetches[0]]);
}

static void registrations_are_stopped(void **state)
{
	struct net *net = net_new();
	struct agent *a = bob_new(net, (struct stw_ua_policy){ 0 });
	struct stw_registration_options options = { .registrar = STW_STR("sip:192.0.2.9"),
		.fetch = true };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		agent_begin(a);
		assert_int_equal(stw_ua_register(a->ua, &options, &fetches[i]), 0);
		agent_end(a);
	}
	a->on_event = ends_the_other_fetch;
	agent_begin(a);
	stw_ua_stop(a->ua);
	agent_end(a);
	told(a, "unregistered 200 OK");
	told(a, "unregistered 200 OK");
	net_wait(net, 40000);
	net->raw_seen = net->raw_count;
	ends(net);
}

/* ---- before an answer has come ------------------------------------------------------------ */

/* RFC 5057 §3, RFC 6665 §4.1.2.4: the subscription of a REFER outlives the session; when neither an
 * answer nor a NOTIFY comes it ends by itself. */
static void session_ends_before_its_refer_is_answered(void **state)
{
	static const char *const answers[] = { NULL, "481 Gone", "603 Decline", "202 Accepted" };

	(void)state;
	for (size_t i = 0; i < STW_ARRAY_SIZE(answers); i++) {
		struct net *net = net_new();
		struct agent *b = bob_new(net, (struct stw_ua_policy){ .automatic = true });
		char tag[128];
		const char *refer;

		raw_calls(net, tag);
		agent_begin(b);
		assert_int_equal(
			stw_session_refer(b->session, STW_STR("sip:x@192.0.2.9"), NULL), 0);
		stw_session_end(b->session, STW_STR_NONE);
		agent_end(b);
		told(b, "ended 200 OK");
		refer = raw(net, "REFER ");
		raw_answer(net, 1, raw(net, "BYE "), "200 OK", "raw", "");
		if (answers[i])
			raw_answer(net, 1, refer, answers[i], "raw", "");
		net_wait(net, 33000);
		told(b, "transferred 408 No Notification");
		assert_true(b->last.final);
		net->raw_seen = net->raw_count;
		ends(net);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(named_session_ends_in_the_event),
		cmocka_unit_test(bridge_is_stopped),
		cmocka_unit_test(registrations_are_stopped),
		cmocka_unit_test(stopped_when_a_refer_fails),
		cmocka_unit_test(session_ends_before_its_refer_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
