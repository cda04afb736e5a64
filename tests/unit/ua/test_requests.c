/* SPDX-License-Identifier: Apache-2.0 */
/* Requests outside of sessions: registration, MESSAGE, OPTIONS, INFO; what is done about each
 * answer. */
#include "lab.h"

static struct stw_ua_options alice(void)
{
	return (struct stw_ua_options){ .aor = STW_STR("sip:alice@192.0.2.9"),
		.auth_password = STW_STR("secret") };
}

static struct stw_registration *registers(
	struct agent *agent, struct stw_registration_options options)
{
	struct stw_registration *registration = NULL;

	agent_begin(agent);
	assert_int_equal(stw_ua_register(agent->ua, &options, &registration), 0);
	agent_end(agent);
	return registration;
}

static void leaves(struct agent *agent, struct stw_registration *registration)
{
	agent_begin(agent);
	stw_registration_end(registration);
	agent_end(agent);
}

static void ends(struct net *net)
{
	net_is_idle(net);
	told_nothing(&net->agents[0]);
	raw_nothing(net);
	net_free(net);
}

/* The number in a line of the message. */
static unsigned number(const char *text, const char *name)
{
	unsigned value = 0;

	assert_int_equal(sscanf(strstr(text, name) + strlen(name), "%u", &value), 1);
	return value;
}

/* ---- registration --------------------------------------------------------------------- */

/* §10.2.4: one Call-ID, rising CSeq, refreshed before its time, which the registrar may shorten. */
static void binding_is_refreshed_and_removed(void **state)
{
	struct net *net = net_new();
	struct agent *a = agent_new(net, alice());
	struct stw_registration *registration =
		registers(a, (struct stw_registration_options){
				     .expires_s = 600, .contact_params = STW_STR(";q=0.5") });
	const char *text = raw(net, "REGISTER sip:192.0.2.9 SIP/2.0\r\n");
	char call_id[128];

	(void)state;
	has(text, "To: <sip:alice@192.0.2.9>\r\n");
	has(text, "Contact: <sip:alice@192.0.2.1:5060>;expires=600;q=0.5\r\n");
	assert_int_equal(number(text, "CSeq: "), 1);
	assert_int_equal(sscanf(strstr(text, "Call-ID: "), "%*s %127s", call_id), 1);
	raw_answer(net, 1, text, "200 OK", "r",
		"Contact: <sip:other@192.0.2.8>;expires=900\r\n"
		"Contact: <sip:alice@192.0.2.1:5060>;expires=300\r\n");
	told(a, "registered 200 OK");
	assert_int_equal(a->last.expires_s, 300);
	net_wait(net, 269900);
	raw_nothing(net);
	net_wait(net, 300);
	text = raw(net, "REGISTER ");
	has(text, call_id);
	assert_int_equal(number(text, "CSeq: "), 2);
	raw_answer(net, 1, text, "200 OK", "r", "Expires: 600\r\n");
	told(a, "registered 200 OK");
	leaves(a, registration);
	text = raw(net, "REGISTER ");
	has(text, "Contact: <sip:alice@192.0.2.1:5060>;expires=0;q=0.5\r\n");
	assert_int_equal(number(text, "CSeq: "), 3);
	raw_answer(net, 1, text, "200 OK", "r", "");
	told(a, "unregistered 200 OK");
	ends(net);
}

/* §22.2, then §10.2.8: credentials with the next CSeq, then the time that is asked for. */
static void challenge_and_interval(void **state)
{
	struct net *net = net_new();
	struct agent *a = agent_new(net, alice());
	struct stw_registration *registration =
		registers(a, (struct stw_registration_options){ .expires_s = 60 });
	const char *text = raw(net, "REGISTER ");

	(void)state;
	has_not(text, "Authorization: ");
	raw_answer(net, 1, text, "401 Unauthorized", "r",
		"WWW-Authenticate: Digest realm=\"one\", nonce=\"n\", algorithm=FOO\r\n"
		"WWW-Authenticate: Digest realm=\"one\", nonce=\"n\", qop=\"auth\", "
		"algorithm=SHA-256\r\n"
		"Proxy-Authenticate: Digest realm=\"two\", nonce=\"m\"\r\n");
	text = raw(net, "REGISTER ");
	has(text, "\r\nAuthorization: Digest ");
	has(text, "realm=\"one\"");
	has(text, "algorithm=SHA-256");
	has(text, "\r\nProxy-Authorization: Digest ");
	assert_int_equal(number(text, "CSeq: "), 2);
	raw_answer(net, 1, text, "423 Interval Too Brief", "r", "Min-Expires: 1800\r\n");
	text = raw(net, "REGISTER ");
	has(text, ";expires=1800");
	has(text, "nc=00000002");
	assert_int_equal(number(text, "CSeq: "), 3);
	raw_answer(net, 1, text, "200 OK", "r", "");
	told(a, "registered 200 OK");
	assert_int_equal(a->last.expires_s, 1800);
	leaves(a, registration);
	raw_answer(net, 1, raw(net, "REGISTER "), "200 OK", "r", "");
	told(a, "unregistered 200 OK");
	ends(net);
}

/* Credentials that were refused are not repeated (§22.1). */
static void refused_password(void **state)
{
	struct net *net = net_new();
	struct agent *a = agent_new(net, alice());
	const char *challenge = "WWW-Authenticate: Digest realm=\"one\", nonce=\"n\"\r\n";
	struct stw_registration *registration =
		registers(a, (struct stw_registration_options){ .once = true });

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		raw_answer(net, 1, raw(net, "REGISTER "), "401 Unauthorized", "r", challenge);
	told(a, "unregistered 401 Unauthorized");
	raw_nothing(net);
	leaves(a, registration);
	raw_answer(net, 1, raw(net, "REGISTER "), "403 Forbidden", "r", "");
	told(a, "unregistered 403 Forbidden");
	ends(net);
}

/* By the retry column: what may help later is tried later, with growing pauses; the rest is not. */
static void failures_are_tried_again(void **state)
{
	static const struct {
		const char *status, *more;
		unsigned retry_s;
	} cases[] = {
		{ "503 Service Unavailable", "Retry-After: 120 (soon)\r\n", 120 },
		{ "500 Oh", "", 30 },
		{ "480 Temporarily Unavailable", "", 30 },
		{ "403 Forbidden", "", 0 },
		{ "404 Not Found", "", 0 },
		{ "400 Bad Request", "", 0 },
		{ "699 What", "", 30 },
	};

	(void)state;
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct net *net = net_new();
		struct agent *a = agent_new(net, alice());
		struct stw_registration *registration =
			registers(a, (struct stw_registration_options){ .expires_s = 600 });
		char line[80];

		raw_answer(net, 1, raw(net, "REGISTER "), cases[i].status, "r", cases[i].more);
		snprintf(line, sizeof(line), "unregistered %s", cases[i].status);
		told(a, line);
		assert_int_equal(a->last.retry_s, cases[i].retry_s);
		if (cases[i].retry_s) {
			net_wait(net, cases[i].retry_s * 1000 + 100);
			raw_answer(net, 1, raw(net, "REGISTER "), "200 OK", "r", "");
			told(a, "registered 200 OK");
		}
		leaves(a, registration);
		raw_answer(net, 1, raw(net, "REGISTER "), "200 OK", "r", "");
		told(a, "unregistered 200 OK");
		ends(net);
	}
}

static void all_bindings_removed_or_fetched(void **state)
{
	struct net *net = net_new();
	struct agent *a = agent_new(net, alice());
	struct stw_registration *registration =
		registers(a, (struct stw_registration_options){ .remove_all = true });
	const char *text = raw(net, "REGISTER ");

	(void)state;
	has(text, "Contact: *\r\nExpires: 0\r\n");
	raw_answer(net, 1, text, "200 OK", "r", "");
	told(a, "unregistered 200 OK");
	leaves(a, registration);
	told(a, "unregistered 200 OK");
	registration = registers(a, (struct stw_registration_options){ .fetch = true });
	text = raw(net, "REGISTER ");
	has_not(text, "Contact:");
	raw_answer(net, 1, text, "200 OK", "r", "Contact: <sip:alice@192.0.2.1>;expires=5\r\n");
	told(a, "bindings 200 OK");
	assert_int_equal(a->last.expires_s, 0);
	leaves(a, registration);
	told(a, "unregistered 200 OK");
	ends(net);
}

/* ---- MESSAGE, OPTIONS and others ---------------------------------------------------------- */

static void sends(struct agent *agent, struct stw_ua_message message)
{
	agent_begin(agent);
	assert_int_equal(stw_ua_send(agent->ua, &message), 0);
	agent_end(agent);
}

static void message_and_options_of_two_agents(void **state)
{
	struct net *net = net_new();
	struct agent *a = agent_new(net, alice());
	struct agent *b =
		agent_new(net, (struct stw_ua_options){ .aor = STW_STR("sip:bob@192.0.2.2"),
				       .agent = STW_STR("test/1"),
				       .policy = { .recv_info = STW_STR("foo") } });
	int job;

	(void)state;
	sends(a, (struct stw_ua_message){ .method = STW_STR("MESSAGE"),
			 .uri = STW_STR("sip:bob@192.0.2.2"),
			 .content_type = STW_STR("text/plain"),
			 .body = STW_STR("Hello"),
			 .job = &job });
	net_settle(net);
	told(b, "message 200 OK");
	assert_string_equal(b->text, "Hello");
	told(a, "response 200 OK");
	assert_ptr_equal(a->last.job, &job);
	sends(a, (struct stw_ua_message){
			 .method = STW_STR("OPTIONS"), .uri = STW_STR("sip:bob@192.0.2.2") });
	net_settle(net);
	told(b, "options 200");
	told(a, "response 200 OK");
	raw_send(net, 2, raw_request("OPTIONS", 1, "", ""));
	has(raw(net, "SIP/2.0 200 OK\r\n"),
		"Contact: <sip:bob@192.0.2.2:5060>\r\nServer: test/1\r\nAllow: INVITE, ACK, BYE");
	told(b, "options 200");
	ends(net);
}

/* RFC 5057 and the retry column have their word for each code; without what a second try would
 * need none is repeated by itself, but what lost its framing. */
static void each_code_is_told(void **state)
{
	size_t count;
	const struct stw_status *all = stw_status_all(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		struct net *net = net_new();
		struct agent *a = agent_new(net, alice());
		char status[80], line[96];

		if (all[i].code < 300) {
			net_free(net);
			continue;
		}
		sends(a, (struct stw_ua_message){
				 .method = STW_STR("MESSAGE"), .uri = STW_STR("sip:x@192.0.2.9") });
		snprintf(status, sizeof(status), "%u %s", all[i].code, all[i].phrase);
		raw_answer(net, 1, raw(net, "MESSAGE "), status, "t", "");
		if (all[i].code == 411)
			raw_answer(net, 1, raw(net, "MESSAGE "), status, "t", "");
		snprintf(line, sizeof(line), "response %s", status);
		told(a, line);
		ends(net);
	}
}

static void reactions_are_those_of_the_table(void **state)
{
	(void)state;
	assert_int_equal(stw_ua_retry(486), STW_UA_RETRY_DELAY);
	assert_int_equal(stw_ua_retry(401), STW_UA_RETRY_WITH_CHANGE);
	assert_int_equal(stw_ua_retry(302), STW_UA_RETRY_OTHER);
	assert_int_equal(stw_ua_retry(404), STW_UA_RETRY_NEVER);
	assert_int_equal(stw_ua_retry(400), STW_UA_RETRY_FIX);
	assert_int_equal(stw_ua_retry(499), stw_ua_retry(400));
	assert_int_equal(stw_ua_retry(799), STW_UA_RETRY_NEVER);
}

/* §8.1.3.5: what was demanded and is not supported is demanded no more. */
static void demand_is_dropped(void **state)
{
	struct net *net = net_new();
	struct agent *a = agent_new(net, alice());

	(void)state;
	sends(a, (struct stw_ua_message){ .method = STW_STR("MESSAGE"),
			 .uri = STW_STR("sip:x@192.0.2.9"),
			 .headers = STW_STR("X-One: 1\r\nRequire: foo\r\nX-Two: 2\r\n") });
	raw_answer(net, 1, raw(net, "MESSAGE "), "420 Bad Extension", "t", "Unsupported: foo\r\n");
	has(a->told_count ? "" : raw(net, "MESSAGE "), "X-One: 1\r\nX-Two: 2\r\n");
	raw_answer(net, 1, net->raw[net->raw_seen - 1], "200 OK", "t", "");
	told(a, "response 200 OK");
	ends(net);
}

/* ---- INFO in a session ------------------------------------------------------------------------
 */

static void info_packages(void **state)
{
	struct net *net = net_new();
	struct agent *b = agent_new(
		net, (struct stw_ua_options){ .aor = STW_STR("sip:bob@192.0.2.1"),
			     .policy = { .automatic = true, .recv_info = STW_STR("foo, bar") } });
	char tag[128];

	(void)state;
	raw_send(net, 1, raw_request("INVITE", 1, "", SDP_TYPE SDP_BODY("sendrecv")));
	snprintf(tag, sizeof(tag), "%s", tag_of(raw(net, "SIP/2.0 200 ")));
	raw_send(net, 1, raw_request("ACK", 1, tag, ""));
	b->told_seen = b->told_count;
	raw_send(net, 1, raw_request("INFO", 2, tag, "Info-Package: bar\r\n"));
	raw(net, "SIP/2.0 200 OK\r\n");
	told(b, "info 200 OK");
	assert_string_equal(b->text, "bar");
	raw_send(net, 1, raw_request("INFO", 3, tag, "Info-Package: baz\r\n"));
	has(raw(net, "SIP/2.0 469 Bad Info Package\r\n"), "Recv-Info: foo, bar\r\n");
	told(b, "refused 469 Bad Info Package");
	raw_send(net, 1, raw_request("NOTIFY", 4, tag, "Event: presence\r\n"));
	has(raw(net, "SIP/2.0 489 Bad Event\r\n"), "Allow-Events: refer\r\n");
	told(b, "refused 489 Bad Event");
	raw_send(net, 1,
		raw_request("NOTIFY", 5, tag,
			"Event: refer\r\nSubscription-State: active\r\n"
			"Content-Type: message/sipfrag\r\n\r\nSIP/2.0 100 Trying"));
	raw(net, "SIP/2.0 481 Subscription Does Not Exist\r\n");
	told(b, "refused 481 Subscription Does Not Exist");
	raw_send(net, 1, raw_request("REFER", 6, tag, ""));
	raw(net, "SIP/2.0 400 Bad Refer-To\r\n");
	told(b, "refused 400 Bad Refer-To");
	raw_send(net, 1, raw_request("REFER", 7, tag, "Refer-To: <http://192.0.2.9/>\r\n"));
	raw(net, "SIP/2.0 403 ");
	told(b, "refused 403 Forbidden");
	raw_send(net, 1, raw_request("BYE", 8, tag, ""));
	raw(net, "SIP/2.0 200 ");
	told(b, "ended 200 OK");
	ends(net);
}

/* ---- Require ------------------------------------------------------------------------------
 */

/* §8.2.2.3: however many extensions are demanded, the line that lists them has an end. */
static void many_extensions_are_demanded(void **state)
{
	(void)state;
	for (unsigned count = 676; count < 683; count++) {
		struct net *net = net_new();
		struct agent *b = agent_new(
			net, (struct stw_ua_options){ .aor = STW_STR("sip:bob@192.0.2.1") });
		char require[2048] = "Require: a";
		const char *text;

		for (unsigned i = 1; i < count; i++)
			memcpy(require + 8 + 2 * i, ",a", 3);
		strcat(require, "\r\n");
		raw_send(net, 1, raw_request("OPTIONS", 1, "", require));
		text = raw(net, "SIP/2.0 420 Bad Extension\r\n");
		has(text, "\r\nUnsupported: a, a, ");
		has(text, "\r\nContent-Length: 0\r\n");
		has(text, ", a\r\n");
		told(b, "refused 420 Bad Extension");
		ends(net);
	}
}

/* ---- transfer -----------------------------------------------------------------------------
 */

/* The party calls the agent. */
static struct agent *called(struct net *net, char tag[128])
{
	struct agent *b =
		agent_new(net, (struct stw_ua_options){ .aor = STW_STR("sip:bob@192.0.2.1"),
				       .policy = { .automatic = true } });

	raw_send(net, 1, raw_request("INVITE", 1, "", SDP_TYPE SDP_BODY("sendrecv")));
	snprintf(tag, 128, "%s", tag_of(raw(net, "SIP/2.0 200 ")));
	raw_send(net, 1, raw_request("ACK", 1, tag, ""));
	b->told_seen = b->told_count;
	return b;
}

static void hangs_up(struct net *net, unsigned cseq, const char *tag)
{
	raw_send(net, 1, raw_request("BYE", cseq, tag, ""));
	raw(net, "SIP/2.0 200 ");
	told(&net->agents[0], "ended 200 OK");
	ends(net);
}

/* RFC 3515 §2.4.4: the last NOTIFY comes, however much the target had to say. */
static void long_phrase_is_cut(void **state)
{
	struct net *net = net_new();
	char tag[128], status[600], cut[300];
	struct agent *b = called(net, tag);
	const char *invite;

	(void)state;
	raw_send(net, 1, raw_request("REFER", 2, tag, "Refer-To: <sip:x@192.0.2.9>\r\n"));
	raw(net, "SIP/2.0 200 ");
	raw_answer(net, 1, raw(net, "NOTIFY "), "200 OK", "raw", "");
	invite = raw(net, "INVITE ");
	snprintf(status, sizeof(status), "486 %0500d", 1);
	raw_answer(net, 1, invite, status, "t", "");
	raw(net, "ACK ");
	invite = raw(net, "NOTIFY ");
	snprintf(cut, sizeof(cut), "\r\n\r\nSIP/2.0 486 %0200d\r\n", 0);
	has(invite, cut);
	has(invite, "Subscription-State: terminated");
	raw_answer(net, 1, invite, "200 OK", "raw", "");
	b->told_seen = b->told_count;
	hangs_up(net, 3, tag);
}

/* RFC 3261 §7.3.1: tokens are compared without case. */
static void end_of_the_subscription_in_capitals(void **state)
{
	struct net *net = net_new();
	char tag[128];
	struct agent *b = called(net, tag);

	(void)state;
	agent_begin(b);
	assert_int_equal(stw_session_refer(b->session, STW_STR("sip:x@192.0.2.9"), NULL), 0);
	agent_end(b);
	raw_answer(net, 1, raw(net, "REFER "), "202 Accepted", "raw", "");
	told(b, "response 202 Accepted");
	raw_send(net, 1,
		raw_request("NOTIFY", 2, tag,
			"Event: refer\r\nSubscription-State: TERMINATED ;reason=noresource\r\n"
			"Content-Type: message/sipfrag\r\n\r\nSIP/2.0 200 OK"));
	raw(net, "SIP/2.0 200 ");
	told(b, "transferred 200 OK");
	assert_true(b->last.final);
	hangs_up(net, 3, tag);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(binding_is_refreshed_and_removed),
		cmocka_unit_test(challenge_and_interval),
		cmocka_unit_test(refused_password),
		cmocka_unit_test(failures_are_tried_again),
		cmocka_unit_test(all_bindings_removed_or_fetched),
		cmocka_unit_test(message_and_options_of_two_agents),
		cmocka_unit_test(each_code_is_told),
		cmocka_unit_test(reactions_are_those_of_the_table),
		cmocka_unit_test(demand_is_dropped),
		cmocka_unit_test(info_packages),
		cmocka_unit_test(many_extensions_are_demanded),
		cmocka_unit_test(long_phrase_is_cut),
		cmocka_unit_test(end_of_the_subscription_in_capitals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
