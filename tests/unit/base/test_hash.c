/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <string.h>

/* Key 00 01 .. 0f, as in appendix A of the SipHash paper. */
static const struct stw_hash_key key = {
	UINT64_C(0x0706050403020100),
	UINT64_C(0x0f0e0d0c0b0a0908),
};

/* SipHash-1-3 of the messages 00 01 .. of these lengths. */
static const struct {
	size_t len;
	uint64_t hash;
} vectors[] = {
	{ 0, UINT64_C(0xabac0158050fc4dc) },
	{ 1, UINT64_C(0xc9f49bf37d57ca93) },
	{ 7, UINT64_C(0xd3927d989bb11140) },
	{ 8, UINT64_C(0x369095118d299a8e) },
	{ 15, UINT64_C(0xd320d86d2a519956) },
	{ 63, UINT64_C(0x9d199062b7bbb3a8) },
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

/* SipHash-2-4 of 7, then of each text the length, its words, the rest below its length. */
static void test_parts(void **state)
{
	struct stw_hasher hasher, folded;

	stw_hasher_init(&hasher, key);
	stw_hasher_number(&hasher, 7);
	stw_hasher_text(&hasher, STW_STR("alice"));
	folded = hasher;
	stw_hasher_text(&hasher, STW_STR("atlanta.example.com"));
	stw_hasher_text_nocase(&folded, STW_STR("Atlanta.EXAMPLE.com"));
	assert_true(stw_hasher_value(&hasher) == UINT64_C(0x2e7df91a0ddb998c));
	assert_true(stw_hasher_value(&folded) == stw_hasher_value(&hasher));
	stw_hasher_number(&folded, 0);
	assert_true(stw_hasher_value(&folded) != stw_hasher_value(&hasher));
}

static void test_pair(void **state)
{
	const struct stw_str ab = STW_STR("ab"), c = STW_STR("c"), none = STW_STR_NONE;
	const struct stw_str long_one = STW_STR("a84b4c76e66710@pc33.atlanta.example.com");

	assert_true(stw_hash_pair(key, ab, c) != stw_hash_pair(key, STW_STR("a"), STW_STR("bc")));
	assert_true(stw_hash_pair(key, ab, none) != stw_hash_pair(key, none, ab));
	assert_true(stw_hash_pair(key, long_one, c) != stw_hash_pair(key, c, long_one));
	assert_true(stw_hash_pair(key, ab, c) == stw_hash_nocase_pair(key, ab, c));
	assert_true(stw_hash_nocase_pair(key, STW_STR("AB"), STW_STR("C")) ==
		    stw_hash_nocase_pair(key, ab, c));
	assert_true(stw_hash_pair(key, STW_STR("AB"), c) != stw_hash_pair(key, ab, c));
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
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_pair),
		cmocka_unit_test(test_key_and_length_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
