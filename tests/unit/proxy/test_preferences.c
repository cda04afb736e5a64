/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 3841 §7.2 with the features of RFC 3840 §9. */
#include "forward_support.h"

#include <errno.h>
#include <limits.h>

#define START                                                                                      \
	"INVITE sip:b@y.com SIP/2.0\r\nVia: SIP/2.0/UDP u1.example.com;branch=z9hG4bKu1\r\n"       \
	"From: <sip:a@x.com>;tag=a\r\nTo: <sip:b@y.com>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n"
#define OUT -1

static int parse(const char *headers, struct message *message, struct stw_arena *arena,
	struct stw_preferences **ret)
{
	char text[8192];

	snprintf(text, sizeof(text), "%s%s\r\n", START, headers);
	stw_arena_init(arena, 65536);
	message_parse(message, text);
	return stw_preferences_parse(&message->msg, arena, ret);
}

/* @return the score, or OUT */
static int score(const char *headers, const char *contact)
{
	struct stw_preferences *preferences;
	struct message message;
	struct stw_arena arena;
	unsigned value = UINT_MAX;
	int result;

	assert_int_equal(parse(headers, &message, &arena, &preferences), 0);
	assert_non_null(preferences);
	result = stw_preferences_match(preferences, stw_str_from(contact), &value) ? (int)value
										   : OUT;
	message_done(&message);
	stw_arena_done(&arena);
	return result;
}

static const struct {
	const char *headers, *contact;
	int score;
} cases[] = {
#define EXAMPLE                                                                                    \
	"Reject-Contact: *;actor=\"msg-taker\";video\r\nAccept-Contact: *;audio;require\r\n"       \
	"Accept-Contact: *;video;explicit\r\n"                                                     \
	"Accept-Contact: *;methods=\"BYE\";class=\"business\";q=1.0\r\n"
	/* §7.2.5 */
	{ EXAMPLE, ";audio;video;methods=\"INVITE,BYE\"", 833 },
	{ EXAMPLE, ";audio=\"FALSE\";methods=\"INVITE\";actor=\"msg-taker\"", OUT },
	{ EXAMPLE, ";audio;actor=\"msg-taker\";methods=\"INVITE\";video", OUT },
	{ EXAMPLE, ";audio;methods=\"INVITE,OPTIONS\"", 500 },
	{ EXAMPLE, "", 1000 },
	{ EXAMPLE, ";other=1;expires=3", 1000 }, /* no feature of RFC 3840: immune */
	/* Figure 1 */
	{ "a: *;video;require;explicit\r\n", ";audio", OUT },
	{ "a: *;video;require\r\n", ";audio", 0 },
	{ "a: *;video;require\r\n", ";video=\"FALSE\"", OUT },
	{ "a: *;video;audio;explicit\r\n", ";audio", 0 },
	{ "a: *;video;audio\r\n", ";audio", 500 },
	{ "a: *;video\r\n", ";video=\"FALSE\"", 0 },
	{ "a: *;video;require;explicit, *;audio\r\n", ";video", 500 },
	{ "a: *;require\r\n", ";audio", 1000 },
	{ "Accept-Contact: *;video;require;explicit\r\n", ";video=\"TRUE\"", 1000 },
	/* Reject-Contact only throws out what says so itself. */
	{ "j: *;video\r\n", ";audio", 1000 },
	{ "j: *;video\r\n", ";video;audio", OUT },
	{ "j: *;video;mobility=\"fixed\"\r\n", ";video", 1000 },
	{ "j: *\r\n", ";video", OUT },
	{ "j: *;require\r\n", ";video", OUT },
	/* names: "+" and "sip." */
	{ "a: *;+sip.audio;require\r\n", ";audio=\"FALSE\"", OUT },
	{ "a: *;+sip.message;require;explicit\r\n", ";+sip.message", 1000 },
	{ "a: *;+message;require;explicit\r\n", ";+sip.message", OUT },
	{ "a: *;language=\"de\";require\r\n", ";language=\"en,DE\"", 1000 },
	{ "a: *;+sip.language=\"de\";require;explicit\r\n", ";language=\"de\"", OUT },
	{ "a: *;AUDIO;require\r\n", ";Audio=\"false\"", OUT },
	/* values: words without case, strings with it, all but one, numbers */
	{ "a: *;description=\"<PC>\";require\r\n", ";description=\"<PC>\"", 1000 },
	{ "a: *;description=\"<PC>\";require\r\n", ";description=\"<pc>\"", OUT },
	{ "a: *;description=\"PC\";require\r\n", ";description=\"<PC>\"", OUT },
	{ "a: *;events=\"!presence\";require\r\n", ";events=\"presence\"", OUT },
	{ "a: *;events=\"!presence\";require\r\n", ";events=\"presence,dialog\"", 1000 },
	{ "a: *;events=\"!presence\";require\r\n", ";events=\"!dialog\"", 1000 },
	{ "a: *;audio=\"!TRUE\";require\r\n", ";audio", OUT },
	{ "a: *;audio=\"!TRUE\";require\r\n", ";audio=\"FALSE\"", 1000 },
	{ "a: *;+n=\"#>=4\";require\r\n", ";+n=\"#=3.99\"", OUT },
	{ "a: *;+n=\"#>=4\";require\r\n", ";+n=\"#=4\"", 1000 },
	{ "a: *;+n=\"#<=-1\";require\r\n", ";+n=\"#-2:5\"", 1000 },
	{ "a: *;+n=\"#<=-3\";require\r\n", ";+n=\"#-2:+5.125\"", OUT },
	{ "a: *;+n=\"!#1:5\";require\r\n", ";+n=\"#2:3\"", OUT },
	{ "a: *;+n=\"!#1:5\";require\r\n", ";+n=\"#2:6\"", 1000 },
	{ "a: *;+n=\"#2:3\";require\r\n", ";+n=\"!#1:5\"", OUT },
	{ "a: *;+n=\"#=3\";require\r\n", ";+n=\"three\"", OUT },
};

static void scores(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		int result = score(cases[i].headers, cases[i].contact);

		if (result != cases[i].score)
			fail_msg("case %zu: %s with %s is %d", i, cases[i].headers,
				cases[i].contact, result);
	}
}

static void nothing_said(void **state)
{
	struct stw_preferences *preferences;
	struct message message;
	struct stw_arena arena;

	assert_int_equal(parse("", &message, &arena, &preferences), 0);
	assert_null(preferences);
	message_done(&message);
	stw_arena_done(&arena);
}

/* `first`, `n` times `before` with a number, and `last`. */
static int parse_many(const char *first, const char *before, const char *last, unsigned n)
{
	struct stw_preferences *preferences;
	struct message message;
	struct stw_arena arena;
	char text[4096];
	int len = snprintf(text, sizeof(text), "%s", first), err;

	for (unsigned i = 0; i < n; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%u", before, i);
	snprintf(text + len, sizeof(text) - (size_t)len, "%s", last);
	err = parse(text, &message, &arena, &preferences);
	message_done(&message);
	stw_arena_done(&arena);
	return err;
}

/* So many values, features and rules are taken, one more is not. */
static void bounds(void **state)
{
	assert_int_equal(parse_many("a: *;methods=\"A", ",B", "\"\r\n", 31), 0);
	assert_int_equal(parse_many("a: *;methods=\"A", ",B", "\"\r\n", 32), -E2BIG);
	assert_int_equal(parse_many("a: *", ";+f", "\r\n", 32), 0);
	assert_int_equal(parse_many("a: *", ";+f", "\r\n", 33), -E2BIG);
	assert_int_equal(parse_many("a: *", ",*;+r", "\r\n", 19), 0);
	assert_int_equal(parse_many("j: *\r\na: *", ",*;+r", "\r\n", 18), 0);
	assert_int_equal(parse_many("j: *\r\na: *", ",*;+r", "\r\n", 19), -E2BIG);
#define VALUES_20 "A,B,C,D,E,F,G,H,I,J,K,L,M,N,O,P,Q,R,S,T"
	assert_int_equal(parse_many("a: *;audio\r\nj: *;video", ",*;methods=\"" VALUES_20 "\";+r",
				 "\r\n", 6),
		0);
	assert_int_equal(parse_many("a: *;audio\r\nj: *;video;data",
				 ",*;methods=\"" VALUES_20 "\";+r", "\r\n", 6),
		-E2BIG);
#undef VALUES_20
}

static void malformed(void **state)
{
	static const char *const headers[] = { "a: audio\r\n", "a: <sip:b@y.com>;audio\r\n",
		"a: *;audio;audio\r\n", "a: *;audio;+sip.audio\r\n", "a: *;require;require\r\n",
		"a: *;explicit;audio;explicit\r\n", "a: *;methods=\"\"\r\n",
		"a: *;methods=\"A,,B\"\r\n", "a: *;+n=\"#\"\r\n", "a: *;+n=\"#=\"\r\n",
		"a: *;+n=\"#1\"\r\n", "a: *;+n=\"#1:\"\r\n", "a: *;+n=\"#>=1x\"\r\n", "a: *;=\r\n",
		"j: *;;\r\n" };

	for (size_t i = 0; i < STW_ARRAY_SIZE(headers); i++) {
		struct stw_preferences *preferences;
		struct message message;
		struct stw_arena arena;

		if (parse(headers[i], &message, &arena, &preferences) != -EBADMSG)
			fail_msg("%s is taken", headers[i]);
		assert_null(preferences);
		message_done(&message);
		stw_arena_done(&arena);
	}
}

static bool implied(const char *start, const char *headers, const char *contact)
{
	struct message message;
	char text[1024];
	bool result;

	snprintf(text, sizeof(text),
		"%s sip:b@y.com SIP/2.0\r\nVia: SIP/2.0/UDP u1.example.com;branch=z9hG4bKu1\r\n"
		"From: <sip:a@x.com>;tag=a\r\nTo: <sip:b@y.com>\r\nCall-ID: c1\r\nCSeq: 1 %s\r\n"
		"%s\r\n",
		start, start, headers);
	message_parse(&message, text);
	result = stw_preferences_implied(&message.msg, stw_str_from(contact));
	message_done(&message);
	return result;
}

static void what_a_request_implies(void **state)
{
	assert_true(implied("MESSAGE", "", ""));
	assert_true(implied("MESSAGE", "", ";audio"));
	assert_true(implied("MESSAGE", "", ";methods=\"INVITE,MESSAGE\""));
	assert_false(implied("MESSAGE", "", ";methods=\"INVITE,BYE\""));
	assert_true(implied("SUBSCRIBE", "Event: presence\r\n", ";methods=\"SUBSCRIBE\""));
	assert_true(
		implied("SUBSCRIBE", "Event: presence;id=1\r\n", ";events=\"dialog,presence\""));
	assert_false(implied("SUBSCRIBE", "Event: presence;id=1\r\n", ";events=\"dialog\""));
	assert_true(implied("NOTIFY", "Event: presence\r\n", ";events=\"dialog\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scores),
		cmocka_unit_test(nothing_said),
		cmocka_unit_test(bounds),
		cmocka_unit_test(malformed),
		cmocka_unit_test(what_a_request_implies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
