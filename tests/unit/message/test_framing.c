/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strowger/message.h>

static const struct stw_msg_limits small = {
	.max_message = 200,
	.max_uri = 20,
	.max_body = 50,
	.max_headers = 20,
	.max_field = 100,
};

#define FRAMES_MAX 1024

struct frames {
	struct stw_frame v[FRAMES_MAX];
	size_t n;
	size_t taken; /* bytes */
};

/* Bytes that come at a time: 0 all at once, otherwise 1 to `most` by chance. */
struct cutting {
	uint64_t most;
	struct stw_random random;
};

/* What a connection does: give what has come, take frames until more is asked for. */
static void feed(struct frames *frames, struct stw_str stream, struct cutting *cutting,
	const struct stw_msg_limits *limits)
{
	struct stw_framing framing;
	struct stw_frame frame;
	size_t come = 0;

	*frames = (struct frames){ 0 };
	stw_framing_init(&framing);
	while (come < stream.len) {
		come = cutting->most ? come + 1 + stw_random_below(&cutting->random, cutting->most)
				     : stream.len;
		if (come > stream.len)
			come = stream.len;
		for (;;) {
			size_t len = come - frames->taken;
			char *guarded = support_guarded(stream.ptr + frames->taken, len);

			frame = stw_framing_next(&framing, guarded, len, limits);
			support_guarded_free(guarded, len);
			if (frame.kind == STW_FRAME_MORE)
				break;
			assert_true(frame.bytes > 0 && frame.bytes <= len);
			assert_true(frames->n < FRAMES_MAX);
			frames->v[frames->n++] = frame;
			frames->taken += frame.bytes;
			if (frame.kind == STW_FRAME_BROKEN)
				return;
		}
	}
}

static void assert_same_frames(const struct frames *a, const struct frames *b)
{
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		assert_int_equal(a->v[i].kind, b->v[i].kind);
		assert_ptr_equal(a->v[i].cause, b->v[i].cause);
		if (a->v[i].kind != STW_FRAME_BROKEN)
			assert_int_equal(a->v[i].bytes, b->v[i].bytes);
	}
}

static void feed_all_ways(
	struct frames *whole, struct stw_str stream, const struct stw_msg_limits *limits)
{
	static const uint64_t most[] = { 1, 2, 7, 60 };
	struct cutting all = { 0 }, cutting = { 0 };
	struct frames *cut = malloc(sizeof(*cut));

	assert_non_null(cut);
	feed(whole, stream, &all, limits);
	for (size_t i = 0; i < STW_ARRAY_SIZE(most); i++) {
		cutting.most = most[i];
		stw_random_seed(&cutting.random, 4711 + i);
		feed(cut, stream, &cutting, limits);
		assert_same_frames(whole, cut);
	}
	free(cut);
}

#define LINE "OPTIONS sip:a@b.c SIP/2.0\r\n"

static void single_frames(void **state)
{
	static const struct {
		const char *in;
		enum stw_frame_kind kind;
		size_t bytes;
		const struct stw_cause *cause;
	} cases[] = {
		{ "", STW_FRAME_MORE, 0, NULL },
		{ "\r", STW_FRAME_MORE, 0, NULL },
		{ "\r\n", STW_FRAME_MORE, 0, NULL },
		{ "\r\n\r", STW_FRAME_MORE, 0, NULL },
		{ "\r\n\r\n", STW_FRAME_PING, 4, NULL },
		{ "\r\nO", STW_FRAME_CRLF, 2, NULL },
		{ "\r\n\rO", STW_FRAME_CRLF, 2, NULL },
		{ LINE, STW_FRAME_MORE, 0, NULL },
		{ LINE "Content-Length: 0\r\n", STW_FRAME_MORE, 0, NULL },
		{ LINE "Content-Length: 0\r\n\r", STW_FRAME_MORE, 0, NULL },
		{ LINE "Content-Length: 0\r\n\r\n", STW_FRAME_MESSAGE, 48, NULL },
		{ LINE "Content-Length: 3\r\n\r\nab", STW_FRAME_MORE, 0, NULL },
		{ LINE "Content-Length: 3\r\n\r\nabcdef", STW_FRAME_MESSAGE, 51, NULL },
		{ LINE "l:3\r\n\r\nabc", STW_FRAME_MESSAGE, 37, NULL },
		{ LINE "L \t: \r\n\t 003 \r\n\r\nabc", STW_FRAME_MESSAGE, 47, NULL },
		{ LINE "X: \r\n l: 9\r\nl: 1\r\n\r\nabc", STW_FRAME_MESSAGE, 48, NULL },
		{ LINE "Subject: 1\r\ncOnTent-LENGTH:1\r\n\r\nabc", STW_FRAME_MESSAGE, 60, NULL },
		{ LINE "l: 1\r\nSubject: \n\r\n\r\nabc", STW_FRAME_MESSAGE, 48, NULL },
		{ LINE "l: 2\r\nl: 2\r\n\r\nabc", STW_FRAME_MESSAGE, 43, NULL },
		{ LINE "l: 2\r\nContent-Length: 3\r\n\r\nabc", STW_FRAME_BROKEN, 54,
			&stw_cause_content_length_twice },
		{ LINE "l: 2, 2\r\n\r\nabc", STW_FRAME_BROKEN, 38, &stw_cause_bad_content_length },
		{ LINE "l: -2\r\n\r\nabc", STW_FRAME_BROKEN, 36, &stw_cause_bad_content_length },
		{ LINE "l: +2\r\n\r\nabc", STW_FRAME_BROKEN, 36, &stw_cause_bad_content_length },
		{ LINE "l:\r\n\r\nabc", STW_FRAME_BROKEN, 33, &stw_cause_bad_content_length },
		{ LINE "l\r\n\r\nabc", STW_FRAME_BROKEN, 32, &stw_cause_content_length_missing },
		{ LINE "Subject: l: 3\r\n\r\nabc", STW_FRAME_BROKEN, 44,
			&stw_cause_content_length_missing },
		{ LINE "\r\n", STW_FRAME_BROKEN, 29, &stw_cause_content_length_missing },
		{ LINE " l: 3\r\n\r\nabc", STW_FRAME_BROKEN, 36,
			&stw_cause_content_length_missing },
		{ LINE "l: 51\r\n\r\nabc", STW_FRAME_BROKEN, 36, &stw_cause_body_too_large },
		{ LINE "l: 99999999999999999999999\r\n\r\nabc", STW_FRAME_BROKEN, 57,
			&stw_cause_body_too_large },
		{ LINE "l: 4294967296\r\n\r\nabc", STW_FRAME_BROKEN, 44,
			&stw_cause_body_too_large },
		{ "OPTIONS sip:aaaaaaaaaaaaaaaa SIP/2.0\r\nl: 0\r\n\r\n", STW_FRAME_MESSAGE, 46,
			NULL },
		{ "OPTIONS sip:aaaaaaaaaaaaaaaaa", STW_FRAME_BROKEN, 29, &stw_cause_uri_too_long },
		{ "SIP/2.0 200 A very long reason phrase\r\nl: 0\r\n\r\n", STW_FRAME_MESSAGE, 47,
			NULL },
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct stw_str in = stw_str_from(cases[i].in);
		struct stw_framing framing;
		struct stw_frame frame;
		char *guarded = support_guarded(in.ptr, in.len);

		stw_framing_init(&framing);
		frame = stw_framing_next(&framing, guarded, in.len, &small);
		if (frame.kind != cases[i].kind || frame.bytes != cases[i].bytes ||
			frame.cause != cases[i].cause)
			fail_msg("case %zu: kind %d, %zu bytes, %s", i, (int)frame.kind,
				frame.bytes, frame.cause ? frame.cause->id : "no cause");
		support_guarded_free(guarded, in.len);
	}
}

/* F7: judged as soon as more than max_message bytes have come without the end of the header. */
static void header_over_the_limit(void **state)
{
	char stream[260] = LINE "Subject: ";
	struct frames frames;

	memset(stream + strlen(stream), 'x', 164);
	feed_all_ways(&frames, (struct stw_str){ stream, strlen(stream) }, &small);
	assert_int_equal(frames.n, 0);
	memset(stream + strlen(stream), 'x', 1);
	feed_all_ways(&frames, (struct stw_str){ stream, strlen(stream) }, &small);
	assert_int_equal(frames.n, 1);
	assert_ptr_equal(frames.v[0].cause, &stw_cause_message_too_large);
}

/* The limit counts header and body; a message of exactly max_message passes. */
static void message_at_the_limit(void **state)
{
	char stream[300];
	struct frames frames;

	memset(stream, 'x', sizeof(stream));
	memcpy(stream, LINE "l: 10\r\nSubject: ", 43);
	memcpy(stream + 186, "\r\n\r\n", 4);
	feed_all_ways(&frames, (struct stw_str){ stream, 200 }, &small);
	assert_int_equal(frames.n, 1);
	assert_int_equal(frames.v[0].kind, STW_FRAME_MESSAGE);
	assert_int_equal(frames.v[0].bytes, 200);
	stream[31] = '1';
	feed_all_ways(&frames, (struct stw_str){ stream, 200 }, &small);
	assert_int_equal(frames.v[0].kind, STW_FRAME_BROKEN);
	assert_ptr_equal(frames.v[0].cause, &stw_cause_message_too_large);
}

static void keep_alives_between_messages(void **state)
{
	static const char stream[] = "\r\n\r\n\r\n\r\n\r\n" LINE "l: 2\r\n\r\n\r\n"
				     "\r\n\r\n" LINE "l: 0\r\n\r\n"
				     "\r\n" LINE "l: 0\r\n\r\n";
	static const enum stw_frame_kind kinds[] = { STW_FRAME_PING, STW_FRAME_PING, STW_FRAME_CRLF,
		STW_FRAME_MESSAGE, STW_FRAME_PING, STW_FRAME_MESSAGE, STW_FRAME_CRLF,
		STW_FRAME_MESSAGE };
	struct frames frames;

	feed_all_ways(&frames, STW_STR(stream), NULL);
	assert_int_equal(frames.n, STW_ARRAY_SIZE(kinds));
	for (size_t i = 0; i < frames.n; i++)
		assert_int_equal(frames.v[i].kind, kinds[i]);
	assert_int_equal(frames.taken, sizeof(stream) - 1);
}

static void broken_streams_are_the_same_however_cut(void **state)
{
	static const char *const streams[] = {
		LINE "l: 2\r\nl: 3\r\n\r\nabc",
		LINE "l: x\r\n\r\n" LINE "l: 0\r\n\r\n",
		LINE "l: 0\r\n\r\n" LINE "Via: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"OPTIONS  sip:aaaaaaaaaaaaaaaaaaaaaaaaaaaaa SIP/2.0\r\nl: 0\r\n\r\n",
		"OPTIONS sip:aaaaaaaaaaaaaaaaaaaaaaaaaaaaa SIP/2.0\r\nl: 0\r\n\r\n",
		"\rOPTIONS\r\n\r\n",
		"\n\r\n\r\n",
		" \r\n\r\n",
		":\r\n:\r\n\r\n",
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(streams); i++) {
		struct frames frames;

		feed_all_ways(&frames, stw_str_from(streams[i]), &small);
		assert_true(frames.n > 0);
		assert_int_equal(frames.v[frames.n - 1].kind, STW_FRAME_BROKEN);
	}
}

/* 3.8-F19 is printed without Content-Length, which a stream does not allow. */
static struct stw_str flows_read(size_t *ret_count, size_t lengths[FRAMES_MAX])
{
	DIR *folder = opendir(STW_SOURCE_ROOT "/tests/torture/rfc3665");
	char *stream = malloc(512 * 1024);
	struct dirent *entry;
	size_t at = 0;

	assert_true(folder && stream);
	*ret_count = 0;
	while ((entry = readdir(folder))) {
		char path[512], *text;
		size_t len;

		if (!strstr(entry->d_name, ".sip") || strstr(entry->d_name, "3.8-F19"))
			continue;
		snprintf(path, sizeof(path), "tests/torture/rfc3665/%s", entry->d_name);
		text = support_read_file(path, &len);
		assert_true(at + len < 512 * 1024 && *ret_count < FRAMES_MAX);
		memcpy(stream + at, text, len);
		lengths[(*ret_count)++] = len;
		at += len;
		free(text);
	}
	closedir(folder);
	return (struct stw_str){ stream, at };
}

static void all_flows_of_rfc_3665_in_one_stream(void **state)
{
	static size_t lengths[FRAMES_MAX];
	size_t count;
	struct stw_str stream = flows_read(&count, lengths);
	struct frames *frames = malloc(sizeof(*frames));

	assert_non_null(frames);
	assert_true(count >= 180);
	feed_all_ways(frames, stream, NULL);
	assert_int_equal(frames->n, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(frames->v[i].kind, STW_FRAME_MESSAGE);
		assert_int_equal(frames->v[i].bytes, lengths[i]);
	}
	free(frames);
	free((char *)(uintptr_t)stream.ptr);
}

/* A second call must not look again at what the first has seen: those bytes may be spoilt. */
static void seen_bytes_are_not_scanned_again(void **state)
{
	char stream[] = LINE "Subject: a long one\r\nl: 3\r\n\r\nabc";
	struct stw_framing framing;
	struct stw_frame frame;

	stw_framing_init(&framing);
	frame = stw_framing_next(&framing, stream, 40, NULL);
	assert_int_equal(frame.kind, STW_FRAME_MORE);
	memcpy(stream + 30, "\r\n\r\n", 4);
	frame = stw_framing_next(&framing, stream, sizeof(stream) - 1, NULL);
	assert_int_equal(frame.kind, STW_FRAME_MESSAGE);
	assert_int_equal(frame.bytes, sizeof(stream) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_frames),
		cmocka_unit_test(header_over_the_limit),
		cmocka_unit_test(message_at_the_limit),
		cmocka_unit_test(keep_alives_between_messages),
		cmocka_unit_test(broken_streams_are_the_same_however_cut),
		cmocka_unit_test(all_flows_of_rfc_3665_in_one_stream),
		cmocka_unit_test(seen_bytes_are_not_scanned_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
