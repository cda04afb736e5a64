/* uses: stw_ua */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user agent under a byte string of steps: what its user does, answers and requests of its peer
 * that belong together, datagrams, time. Whatever comes: after ten quiet minutes nothing is left. A
 * step is its kind, one argument, and for a datagram the length in two bytes and the text.
 */
#include "agent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 200

enum step { DATAGRAM, TIME, CALL, ACT, ANSWER, REQUEST, STEPS };

/* Bits: a late offer, anonymous, the user takes it back at once. */
static void step_call(uint8_t argument)
{
	struct stw_session_options options = { .uri = STW_STR("sip:peer@192.0.2.9"),
		.late_offer = argument & 1,
		.anonymous = argument & 2 };
	struct stw_session *session = NULL;

	if (stw_ua_call(world.ua, &options, &session) < 0 || !session)
		return;
	if (session_at(session) == SESSIONS && session_at(NULL) < SESSIONS)
		world.sessions[session_at(NULL)] = session;
	if (argument & 4)
		stw_session_end(session, STW_STR_NONE);
}

/* Bits: 3 for the session, 5 for what its user does. */
static void step_act(uint8_t argument)
{
	struct stw_session *session = world.sessions[argument & 7];
	struct stw_session *other = world.sessions[(argument + 1) & 7];

	if (!session)
		return;
	switch (argument >> 3) {
	case 0:
	case 1:
		stw_session_ring(session, argument >> 3 ? 183 : 180);
		break;
	case 2:
	case 3:
		stw_session_accept(session);
		break;
	case 4:
		stw_session_refuse(session, 486, STW_STR_NONE, STW_STR_NONE);
		break;
	case 5:
	case 6:
		stw_session_hold(session, argument & 8);
		break;
	case 7:
		stw_session_refer(session, STW_STR("sip:c@192.0.2.9"), NULL);
		break;
	case 8:
		if (other)
			stw_session_refer_to_session(session, other, NULL);
		break;
	case 9:
		stw_session_send(session, STW_STR("INFO"), STW_STR_NONE, STW_STR("text/plain"),
			STW_STR("x"), NULL);
		break;
	default:
		stw_session_end(session, STW_STR_NONE);
	}
}

/* The agent's last requests are answered, by one of two forks. */
static void step_answer(uint8_t argument)
{
	static const struct {
		unsigned code;
		const char *lines, *body;
	} answers[] = {
		{ 100, "", "" },
		{ 180, "", "" },
		{ 183, "Require: 100rel\r\nRSeq: 1\r\n", SDP },
		{ 183, "Require: 100rel\r\nRSeq: 2\r\n", "" },
		{ 199, "", "" },
		{ 200, "", "" },
		{ 200, "Session-Expires: 90;refresher=uac\r\nRequire: timer\r\nAllow: UPDATE\r\n",
			SDP },
		{ 200, "Session-Expires: 90;refresher=uas\r\nRequire: timer\r\n", SDP },
		{ 302, "Contact: <sip:d@192.0.2.9>;q=0.5\r\n", "" },
		{ 401, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n", "" },
		{ 408, "", "" },
		{ 422, "Min-SE: 200\r\n", "" },
		{ 481, "", "" },
		{ 487, "", "" },
		{ 491, "", "" },
		{ 503, "Retry-After: 5\r\n", "" },
	};
	unsigned which = argument % STW_ARRAY_SIZE(answers);

	peer_answer(argument >> 5 & 3, answers[which].code, argument & 16 ? "x" : "y",
		stw_str_from(answers[which].lines), stw_str_from(answers[which].body));
}

/* Bits: 4 for the request, 2 for the dialog or the Call-ID. */
static void step_request(uint8_t argument)
{
	static const struct {
		const char *method, *lines, *type, *body;
		bool outside;
	} requests[] = {
		{ "INVITE", "Supported: 100rel, timer\r\n", "application/sdp", SDP, true },
		{ "INVITE", "Session-Expires: 90;refresher=uac\r\nSupported: timer\r\n", "", "",
			true },
		{ "CANCEL", "", "", "", true },
		{ "ACK", "", "", "", false },
		{ "ACK", "", "application/sdp", SDP, false },
		{ "BYE", "", "", "", false },
		{ "INVITE", "", "application/sdp", SDP, false },
		{ "INVITE", "", "", "", false },
		{ "UPDATE", "", "application/sdp", SDP, false },
		{ "UPDATE", "Session-Expires: 90;refresher=uac\r\nSupported: timer\r\n", "", "",
			false },
		{ "PRACK", "", "", "", false },
		{ "PRACK", "", "application/sdp", SDP, false },
		{ "REFER", "Refer-To: <sip:c@192.0.2.9>\r\n", "", "", false },
		{ "NOTIFY", "Event: refer\r\nSubscription-State: active\r\n", "message/sipfrag",
			"SIP/2.0 180 Ringing\r\n", false },
		{ "INFO", "", "text/plain", "x", false },
		{ "REFER", "Refer-To: <sip:c@192.0.2.9>\r\nRefer-Sub: false\r\n", "", "", false },
	};
	unsigned which = argument & 15;
	struct link *link = &world.links[argument >> 4 & 3];
	struct stw_str lines = stw_str_from(requests[which].lines);
	char rack[80];

	if (!requests[which].outside && !link->call_id[0])
		return;
	if (strcmp(requests[which].method, "PRACK") == 0) {
		lines.ptr = rack;
		lines.len =
			(size_t)snprintf(rack, sizeof(rack), "RAck: %u 1 INVITE\r\n", link->rseq);
	}
	peer_request(requests[which].outside ? NULL : link, argument >> 4 & 3,
		requests[which].method, lines, requests[which].type,
		stw_str_from(requests[which].body));
}

static void step_own(enum step kind, uint8_t argument)
{
	stw_stack_begin(world.stack, world.now);
	if (kind == CALL)
		step_call(argument);
	else
		step_act(argument);
	stw_stack_end(world.stack);
}

static void run(const uint8_t *data, size_t size)
{
	unsigned steps = 0;
	size_t at = 0, len;

	while (at + 2 <= size && steps++ < STEPS_MAX) {
		enum step kind = data[at] % STEPS;
		uint8_t argument = data[at + 1];

		at += 2;
		if (kind == TIME) {
			advance((uint64_t)argument * argument * 4);
		} else if (kind == CALL || kind == ACT) {
			step_own(kind, argument);
		} else if (kind == ANSWER) {
			step_answer(argument);
		} else if (kind == REQUEST) {
			step_request(argument);
		} else if (at + 2 <= size) {
			len = (size_t)data[at] << 8 | data[at + 1];
			at += 2;
			len = len < size - at ? len : size - at;
			peer_sends(data + at, len);
			at += len;
		}
	}
}

/* The first byte is the policy of the agent. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stw_ua_policy policy = { 0 };

	if (!size)
		return 0;
	policy.automatic = data[0] & 1;
	policy.reliable = data[0] & 2;
	policy.early_media = data[0] & 4;
	policy.ring_ms = data[0] & 8 ? 1000 : 0;
	policy.recv_info = data[0] & 16 ? STW_STR("x") : STW_STR_NONE;
	world_begin(&policy);
	run(data + 1, size - 1);
	world_end();
	return 0;
}
