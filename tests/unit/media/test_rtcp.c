/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include <strowger/media.h>

#include "support.h"

static const struct stw_rtcp full = {
	.ssrc = 0x11223344,
	.sender = true,
	.ntp = UINT64_C(0x0102030405060708),
	.timestamp = 99,
	.packets = 5,
	.octets = 800,
	.has_block = true,
	.block = { .ssrc = 7,
		.fraction_lost = 8,
		.lost = -2,
		.highest = 9,
		.jitter = 10,
		.last_sr = 11,
		.delay = 12 },
	.cname = { "alice@192.0.2.1", 15 },
	.bye = true,
};

static void test_both_ways(void **state)
{
	struct stw_rtcp back;
	uint8_t buffer[256];
	size_t len = stw_rtcp_write(&full, buffer, sizeof(buffer));

	assert_int_equal(len, 28 + 24 + 28 + 8);
	assert_int_equal(buffer[1], 200);
	assert_int_equal(stw_rtcp_parse(buffer, len, 7, &back), 0);
	assert_int_equal(back.ssrc, full.ssrc);
	assert_true(back.sender && back.bye && back.has_block);
	assert_true(back.ntp == full.ntp);
	assert_int_equal(back.timestamp, 99);
	assert_int_equal(back.packets, 5);
	assert_int_equal(back.octets, 800);
	assert_memory_equal(&back.block, &full.block, sizeof(back.block));
	assert_str(back.cname, "alice@192.0.2.1");
	assert_int_equal(stw_rtcp_parse(buffer, len, 8, &back), 0);
	assert_false(back.has_block);
	assert_int_equal(stw_rtcp_write(&full, buffer, len - 1), 0);
	/* Each CNAME ends in one to four zeros at a multiple of four. */
	for (size_t i = 0; i < 12; i++) {
		struct stw_rtcp small = { .ssrc = 1, .cname = { "abcdefghijkl", i } };

		len = stw_rtcp_write(&small, buffer, sizeof(buffer));
		assert_int_equal(len % 4, 0);
		assert_int_equal(stw_rtcp_parse(buffer, len, 0, &back), 0);
		assert_false(back.sender || back.bye);
		assert_int_equal(back.cname.len, i);
	}
}

/* Cut anywhere, it is refused or is a shorter compound packet. */
static void test_cut(void **state)
{
	struct stw_rtcp back;
	uint8_t buffer[256];
	size_t len = stw_rtcp_write(&full, buffer, sizeof(buffer));
	char *cut;

	for (size_t i = 0; i < len; i++) {
		bool whole = i == 52 || i == 80;

		cut = support_guarded((char *)buffer, i);
		if (stw_rtcp_parse(cut, i, 0, &back) != (whole ? 0 : -EBADMSG))
			fail_msg("cut at %zu", i);
		support_guarded_free(cut, i);
	}
	/* An item of SDES that goes beyond its packet, and one without a length. */
	for (size_t i = 0; i < 2; i++) {
		uint8_t before = buffer[i ? 79 : 61];

		buffer[i ? 79 : 61] = i ? 2 : 200;
		buffer[61] = i ? 17 : 200;
		cut = support_guarded((char *)buffer, 80);
		assert_int_equal(stw_rtcp_parse(cut, 80, 0, &back), -EBADMSG);
		assert_int_equal(back.cname.len, i ? 17 : 0);
		support_guarded_free(cut, 80);
		buffer[i ? 79 : 61] = before;
	}
	buffer[61] = 15;
	buffer[1] = 202; /* SDES is not first */
	assert_int_equal(stw_rtcp_parse(buffer, len, 0, &back), -EBADMSG);
	buffer[1] = 200;
	buffer[0] = 2 << 6 | 2; /* two blocks, but room for one */
	assert_int_equal(stw_rtcp_parse(buffer, len, 0, &back), -EBADMSG);
	buffer[0] = 1 << 6 | 1;
	assert_int_equal(stw_rtcp_parse(buffer, len, 0, &back), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_cut) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
