/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include <strowger/media.h>

#include "support.h"

static void put(uint8_t *file, size_t at, const char *bytes, size_t len)
{
	memcpy(file + at, bytes, len);
}

static void test_written(void **state)
{
	uint8_t file[STW_WAV_HEADER_BYTES + 6];
	const uint8_t *samples;
	const char *why;
	size_t count;

	stw_wav_header(3, file);
	put(file, 44, "\1\0\xff\xff\0\x80", 6);
	assert_int_equal(stw_wav_parse(file, sizeof(file), &samples, &count, &why), 0);
	assert_int_equal(count, 3);
	assert_int_equal(stw_wav_sample(samples, 0), 1);
	assert_int_equal(stw_wav_sample(samples, 1), -1);
	assert_int_equal(stw_wav_sample(samples, 2), -32768);
	/* Cut off: what is there. */
	assert_int_equal(stw_wav_parse(file, sizeof(file) - 1, &samples, &count, &why), 0);
	assert_int_equal(count, 2);
	stw_wav_header(UINT64_C(1) << 40, file);
	assert_int_equal(file[43], 0xff);
}

static void test_faults(void **state)
{
	static const struct {
		size_t at;
		const char *byte, *why;
	} faults[] = {
		{ 0, "X", "it is not a WAV file" },
		{ 8, "X", "it is not a WAV file" },
		{ 20, "\7", "it is not PCM" },
		{ 22, "\2", "it is not mono" },
		{ 24, "\x44", "it has not 8000 samples a second" },
		{ 34, "\10", "it has not 16 bits a sample" },
		{ 12, "X", "its format chunk is missing" },
		{ 36, "X", "it holds no sound" },
		{ 16, "\2", "its format chunk is too short" },
	};
	uint8_t file[STW_WAV_HEADER_BYTES + 6] = { 0 };
	const uint8_t *samples;
	const char *why;
	size_t count;
	char *cut;

	for (size_t i = 0; i < STW_ARRAY_SIZE(faults); i++) {
		stw_wav_header(3, file);
		put(file, faults[i].at, faults[i].byte, 1);
		assert_int_equal(
			stw_wav_parse(file, sizeof(file), &samples, &count, &why), -EBADMSG);
		assert_string_equal(why, faults[i].why);
	}
	stw_wav_header(3, file);
	for (size_t i = 0; i < STW_WAV_HEADER_BYTES; i++) {
		cut = support_guarded((char *)file, i);
		assert_int_equal(stw_wav_parse(cut, i, &samples, &count, &why), -EBADMSG);
		support_guarded_free(cut, i);
	}
}

/* Chunks that are not known are skipped, with the byte that makes them even. */
static void test_chunks(void **state)
{
	uint8_t file[STW_WAV_HEADER_BYTES + 14];
	const uint8_t *samples;
	const char *why;
	size_t count;

	stw_wav_header(2, file);
	memmove(file + 46, file + 36, 8);
	put(file, 36, "LIST\1\0\0\0x\0", 10);
	put(file, 54, "\1\0\2\0", 4);
	assert_int_equal(stw_wav_parse(file, sizeof(file), &samples, &count, &why), 0);
	assert_int_equal(count, 2);
	assert_int_equal(stw_wav_sample(samples, 1), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_written),
		cmocka_unit_test(test_faults), cmocka_unit_test(test_chunks) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
