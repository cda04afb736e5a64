/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include <strowger/media.h>

#include "support.h"

#define BYTES(text) (text), sizeof(text) - 1
#define HEAD(first) first "\x80\x12\x34\0\0\1\2\x11\x22\x33\x44"

static const struct {
	const char *in;
	size_t len;
	int err;
	const char *payload;
} cases[] = {
	{ BYTES(HEAD("\x80") "abc"), 0, "abc" },
	{ BYTES(HEAD("\x80")), 0, "" },
	{ BYTES(HEAD("\x82") "cccccccc"
			     "abc"),
		0, "abc" },
	{ BYTES(HEAD("\x90") "\0\0\0\1"
			     "eeee"
			     "abc"),
		0, "abc" },
	{ BYTES(HEAD("\xa0") "abc\0\0\3"), 0, "abc" },
	{ BYTES(HEAD("\x40") "abc"), -EBADMSG, "" },
	{ BYTES("\x80\0\0\0\0\0\0\0\0\0\0"), -EBADMSG, "" },
	{ BYTES(HEAD("\x82") "ccccccc"), -EBADMSG, "" },
	{ BYTES(HEAD("\x90") "\0\0\0"), -EBADMSG, "" },
	{ BYTES(HEAD("\x90") "\0\0\0\2"
			     "eeee"),
		-EBADMSG, "" },
	{ BYTES(HEAD("\xa0") "abc\4"), 0, "" },
	{ BYTES(HEAD("\xa0") "abc\5"), -EBADMSG, "" },
	{ BYTES(HEAD("\xa0") "abc\0"), -EBADMSG, "" },
};

static void test_parse(void **state)
{
	struct stw_rtp rtp;
	char *bytes;
	int err;

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		bytes = support_guarded(cases[i].in, cases[i].len);
		err = stw_rtp_parse(bytes, cases[i].len, &rtp);
		if (err != cases[i].err)
			fail_msg("case %zu: %d", i, err);
		if (!err) {
			assert_true(rtp.marker);
			assert_int_equal(rtp.payload_type, 0);
			assert_int_equal(rtp.sequence, 0x1234);
			assert_int_equal(rtp.timestamp, 258);
			assert_int_equal(rtp.ssrc, 0x11223344);
			assert_int_equal(rtp.payload_bytes, strlen(cases[i].payload));
			assert_memory_equal(rtp.payload, cases[i].payload, rtp.payload_bytes);
		}
		support_guarded_free(bytes, cases[i].len);
	}
}

static void test_write(void **state)
{
	struct stw_rtp rtp, back;
	uint8_t buffer[32];

	assert_int_equal(stw_rtp_parse(cases[0].in, cases[0].len, &rtp), 0);
	assert_int_equal(stw_rtp_write(&rtp, buffer, sizeof(buffer)), cases[0].len);
	assert_memory_equal(buffer, cases[0].in, cases[0].len);
	assert_int_equal(stw_rtp_parse(buffer, cases[0].len, &back), 0);
	assert_int_equal(stw_rtp_write(&rtp, buffer, cases[0].len - 1), 0);
	assert_int_equal(stw_rtp_write(&rtp, buffer, 11), 0);
	assert_false(stw_rtp_is_rtcp(buffer, cases[0].len));
	buffer[1] = 200;
	assert_true(stw_rtp_is_rtcp(buffer, cases[0].len));
}

static bool feed(struct stw_rtp_source *source, unsigned sequence, uint32_t arrival)
{
	const struct stw_rtp rtp = {
		.sequence = (uint16_t)sequence, .timestamp = sequence * 160, .ssrc = 7
	};

	return stw_rtp_source_receive(source, &rtp, arrival);
}

/* RFC 3550 A.3: over the turn of the sequence number, with a loss, a double and a late one. */
static void test_losses(void **state)
{
	struct stw_rtp_source source = { 0 };
	struct stw_rtcp_block block;

	assert_int_equal(stw_rtp_source_expected(&source), 0);
	for (unsigned i = 65530; i < 65546; i++)
		if (i != 65533 && i != 65540 && i != 65541)
			assert_int_equal(feed(&source, i, i * 160), i == 65530);
	assert_int_equal(stw_rtp_source_expected(&source), 16);
	assert_int_equal(stw_rtp_source_lost(&source), 3);
	feed(&source, 65533, 0);
	assert_int_equal(source.reordered, 1);
	assert_int_equal(stw_rtp_source_lost(&source), 2);
	stw_rtp_source_block(&source, &block);
	assert_int_equal(block.ssrc, 7);
	assert_int_equal(block.lost, 2);
	assert_int_equal(block.fraction_lost, 2 * 256 / 16);
	assert_int_equal(block.highest, 65545);
	feed(&source, 65546, 65546 * 160);
	feed(&source, 65546, 65546 * 160);
	feed(&source, 65546, 65546 * 160);
	feed(&source, 65546, 65546 * 160);
	assert_int_equal(stw_rtp_source_lost(&source), 0);
	stw_rtp_source_block(&source, &block);
	assert_int_equal(block.lost, -1);
	assert_int_equal(block.fraction_lost, 0);
	assert_true(feed(&source, 65546 + 20000, 0));
	assert_int_equal(stw_rtp_source_expected(&source), 1);
}

/* §6.4.1: J += (|D| - J) / 16. */
static void test_jitter(void **state)
{
	struct stw_rtp_source source = { 0 };

	for (unsigned i = 1; i < 5; i++)
		feed(&source, i, 5000 + i * 160);
	assert_true(source.jitter == 0);
	feed(&source, 5, 5000 + 5 * 160 + 32);
	assert_true(source.jitter == 2);
	feed(&source, 6, 5000 + 6 * 160);
	assert_true(source.jitter == 2 + 30.0 / 16);
	assert_true(source.jitter_max == source.jitter);
	for (unsigned i = 7; i < 200; i++)
		feed(&source, i, 5000 + i * 160);
	assert_true(source.jitter < 0.01);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_parse),
		cmocka_unit_test(test_write), cmocka_unit_test(test_losses),
		cmocka_unit_test(test_jitter) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
