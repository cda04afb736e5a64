/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <string.h>

/* Key 00 01 .. 0f, as in appendix A of the SipHash paper. */
static const struct stw_hash_key key = {
	UINT64_C(0x0706050403020100),
	UINT64_C(0x0f0e0d0c0b0a0908),
};

/* Messages 00 01 .. of these lengths; the one of 15 bytes is worked out in the paper. */
static const struct {
	size_t len;
	uint64_t hash;
} vectors[] = {
	{ 0, UINT64_C(0x726fdb47dd0e0e31) },
	{ 1, UINT64_C(0x74f839c593dc67fd) },
	{ 7, UINT64_C(0xab0200f58b01d137) },
	{ 8, UINT64_C(0x93f5f5799a932462) },
	{ 15, UINT64_C(0xa129ca6149be45e5) },
	{ 63, UINT64_C(0x958a324ceb064572) },
};

static void test_vectors(void **state)
{
	char message[64];

	for (unsigned i = 0; i < sizeof(message); i++)
		message[i] = (char)i;
	for (size_t i = 0; i < STW_ARRAY_SIZE(vectors); i++) {
		char *guarded = support_guarded(message, vectors[i].len);

		assert_true(stw_hash(key, guarded, vectors[i].len) == vectors[i].hash);
		support_guarded_free(guarded, vectors[i].len);
	}
	assert_true(stw_hash(key, NULL, 0) == vectors[0].hash);
}

/* Every byte value at every place of a word: as if folded first. */
static void test_nocase(void **state)
{
	for (size_t len = 1; len <= 17; len++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			char text[17], folded[17];

			memset(text, 'Q', sizeof(text));
			memset(folded, 'q', sizeof(folded));
			text[len - 1] = (char)byte;
			folded[len - 1] = (char)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
			assert_true(stw_hash_nocase(key, text, len) == stw_hash(key, folded, len));
		}
	}
}

static void test_key_and_length_matter(void **state)
{
	struct stw_hash_key other = { key.k0, key.k1 ^ 1 };

	assert_true(stw_hash(key, "alice", 5) != stw_hash(other, "alice", 5));
	assert_true(stw_hash(key, "a\0", 1) != stw_hash(key, "a\0", 2));
	assert_true(stw_hash(key, "Alice", 5) != stw_hash(key, "alice", 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_nocase),
		cmocka_unit_test(test_key_and_length_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
