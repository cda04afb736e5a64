/* uses: stw_ua */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a value that only a user agent reads: RAck, Replaces, Join, Session-Expires, Min-SE,
 * Refer-To, a message/sipfrag and the like, in a session that stands, or to begin one. The first
 * byte says which; the agent goes on, and nothing is left of it.
 */
#include "agent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct place {
	const char *name, *method;
	bool outside;
} places[] = {
	{ "RAck", "PRACK", false },
	{ "Replaces", "INVITE", true },
	{ "Join", "INVITE", true },
	{ "Session-Expires", "INVITE", true },
	{ "Session-Expires", "UPDATE", false },
	{ "Refer-To", "REFER", false },
	{ "Referred-By", "REFER", false },
	{ "Event", "NOTIFY", false },
	{ "Subscription-State", "NOTIFY", false },
	{ "Info-Package", "INFO", false },
	{ "Reason", "BYE", false },
	{ "Contact", "UPDATE", false },
	{ "Answer-Mode", "INVITE", true },
	{ "Target-Dialog", "REFER", true },
	{ "Require", "INVITE", true },
	{ "Privacy", "INVITE", true },
};

static const struct place answers[] = {
	{ "Session-Expires", "", false },
	{ "Min-SE", "", false },
	{ "RSeq", "", false },
	{ "Contact", "", false },
	{ "Record-Route", "", false },
	{ "Retry-After", "", false },
	{ "WWW-Authenticate", "", false },
	{ "Unsupported", "", false },
};

/* "Name: value", without what would end the line or the head. */
static struct stw_str line_write(const char *name, const uint8_t *data, size_t size, char *buffer)
{
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, 70000);
	stw_write_format(&writer, "%s: ", name);
	for (size_t i = 0; i < size; i++) {
		if (data[i] != '\r' && data[i] != '\n')
			stw_write_char(&writer, (char)data[i]);
	}
	stw_write_text(&writer, "\r\n");
	return writer.overflow ? STW_STR_NONE : stw_writer_text(&writer);
}

/* A session that the peer has begun; the agent has sent a reliable 183 before, for PRACK. */
static struct link *session_begin(bool confirmed)
{
	peer_request(NULL, 0, "INVITE", STW_STR("Supported: 100rel, timer\r\nAllow: UPDATE\r\n"),
		"application/sdp", STW_STR(SDP));
	if (!confirmed)
		return &world.links[0];
	peer_request(&world.links[0], 0, "PRACK", STW_STR_NONE, "", STW_STR_NONE);
	advance(2000);
	return &world.links[0];
}

static void try_request(const struct place *place, const uint8_t *data, size_t size, char *buffer)
{
	bool prack = strcmp(place->method, "PRACK") == 0;
	struct link *link = session_begin(!prack);
	struct stw_str lines = line_write(place->name, data, size, buffer);

	peer_request(place->outside ? NULL : link, 1, place->method, lines,
		place->outside ? "application/sdp" : "message/sipfrag",
		place->outside ? STW_STR(SDP) : STW_STR_NONE);
}

/* The body of a NOTIFY tells how far a transfer has got. */
static void try_sipfrag(const uint8_t *data, size_t size)
{
	struct link *link = session_begin(true);

	stw_stack_begin(world.stack, world.now);
	if (world.sessions[0])
		stw_session_refer(world.sessions[0], STW_STR("sip:c@192.0.2.9"), NULL);
	stw_stack_end(world.stack);
	peer_answer(0, 202, "", STW_STR_NONE, STW_STR_NONE);
	peer_request(link, 0, "NOTIFY",
		STW_STR("Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n"),
		"message/sipfrag", (struct stw_str){ (const char *)data, size });
}

/* Codes that make the agent look at what they bring. */
static void try_answer(
	const struct place *place, uint8_t which, const uint8_t *data, size_t size, char *buffer)
{
	static const unsigned codes[] = { 183, 200, 422, 401, 302, 503, 420, 491 };
	struct stw_session_options options = { .uri = STW_STR("sip:peer@192.0.2.9") };
	struct stw_str lines = line_write(place->name, data, size, buffer);

	stw_stack_begin(world.stack, world.now);
	(void)stw_ua_call(world.ua, &options, NULL);
	stw_stack_end(world.stack);
	peer_answer(0, codes[which % STW_ARRAY_SIZE(codes)], "x", lines,
		which & 8 ? STW_STR(SDP) : STW_STR_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stw_ua_policy policy = { .automatic = true,
		.reliable = true,
		.early_media = true,
		.ring_ms = 1000,
		.recv_info = STW_STR("x") };
	static char buffer[70000];
	unsigned which;

	if (size < 2)
		return 0;
	which = data[0] % (STW_ARRAY_SIZE(places) + STW_ARRAY_SIZE(answers) + 1);
	world_begin(&policy);
	if (which < STW_ARRAY_SIZE(places))
		try_request(&places[which], data + 2, size - 2, buffer);
	else if (which < STW_ARRAY_SIZE(places) + STW_ARRAY_SIZE(answers))
		try_answer(&answers[which - STW_ARRAY_SIZE(places)], data[1], data + 2, size - 2,
			buffer);
	else
		try_sipfrag(data + 2, size - 2);
	advance(3000);
	world_end();
	return 0;
}
