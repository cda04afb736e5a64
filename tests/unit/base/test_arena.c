/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define POISONED 1
#endif
#ifdef POISONED
#include <sanitizer/asan_interface.h>
#endif

static void test_alignment_and_contents(void **state)
{
	struct stw_arena arena;
	unsigned char *pieces[200];

	stw_arena_init(&arena, 1 << 20);
	for (unsigned i = 0; i < 200; i++) {
		char *text = stw_arena_bytes(&arena, i % 7);

		assert_non_null(text);
		memset(text, 0xee, i % 7);
		pieces[i] = stw_arena_alloc(&arena, i * 3 + 1);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
		memset(pieces[i], (int)i, i * 3 + 1);
	}
	for (unsigned i = 0; i < 200; i++) {
		for (unsigned k = 0; k < i * 3 + 1; k++)
			assert_int_equal(pieces[i][k], (unsigned char)i);
	}
	stw_arena_done(&arena);
}

static void test_zalloc(void **state)
{
	struct stw_arena arena;
	unsigned char *piece;

	stw_arena_init(&arena, 4096);
	piece = stw_arena_alloc(&arena, 512);
	memset(piece, 0xff, 512);
	stw_arena_reset(&arena);
	piece = stw_arena_zalloc(&arena, 512);
	for (unsigned i = 0; i < 512; i++)
		assert_int_equal(piece[i], 0);
	assert_null(stw_arena_zalloc(&arena, 4096));
	stw_arena_done(&arena);
}

static void test_limit_is_exact(void **state)
{
	struct stw_arena arena;

	for (size_t limit = 0; limit < 5000; limit += 7) {
		size_t got = 0;

		stw_arena_init(&arena, limit);
		assert_null(stw_arena_bytes(&arena, limit + 1));
		while (stw_arena_bytes(&arena, 1))
			got++;
		assert_int_equal(got, limit);
		assert_int_equal(arena.used_bytes, limit);
		stw_arena_reset(&arena);
		assert_int_equal(arena.used_bytes, 0);
		assert_non_null(stw_arena_alloc(&arena, limit));
		assert_null(stw_arena_bytes(&arena, 1));
		stw_arena_done(&arena);
	}
	stw_arena_init(&arena, SIZE_MAX);
	assert_non_null(stw_arena_bytes(&arena, 1));
	assert_null(stw_arena_alloc(&arena, SIZE_MAX));
	assert_null(stw_arena_alloc(&arena, SIZE_MAX - 8));
	stw_arena_done(&arena);
}

static void test_chunks_grow(void **state)
{
	struct stw_arena arena;

	stw_arena_init(&arena, 1 << 20);
	support_allocations();
	assert_int_equal(support_allocations(), 0);
	for (unsigned i = 0; i < (1 + 2 + 4 + 8 + 16 + 16) * 1024 / 64; i++)
		assert_non_null(stw_arena_alloc(&arena, 64));
	assert_int_equal(support_allocations(), 6);
	assert_non_null(stw_arena_alloc(&arena, 100000));
	assert_int_equal(support_allocations(), 1);

	/* The largest chunk stays: the same again needs no memory. */
	stw_arena_reset(&arena);
	assert_non_null(stw_arena_alloc(&arena, 100000));
	assert_int_equal(support_allocations(), 0);
	stw_arena_done(&arena);
	assert_non_null(stw_arena_alloc(&arena, 1));
	assert_int_equal(support_allocations(), 1);
	stw_arena_done(&arena);
	stw_arena_done(&arena);
	stw_arena_reset(&arena);
}

static void test_copy_and_printf(void **state)
{
	struct stw_arena arena;
	struct stw_str text = STW_STR("old");

	stw_arena_init(&arena, 16);
	assert_int_equal(stw_arena_copy(&arena, STW_STR("12345678901234567"), &text), -ENOMEM);
	assert_int_equal(stw_arena_copy(&arena, STW_STR("1234567890123456"), &text), -ENOMEM);
	assert_int_equal(stw_arena_copy(&arena, (struct stw_str){ "x", SIZE_MAX }, &text), -ENOMEM);
	assert_str(text, "old");
	assert_int_equal(stw_arena_copy(&arena, STW_STR("a\0b"), &text), 0);
	assert_int_equal(text.len, 3);
	assert_memory_equal(text.ptr, "a\0b", 4);
	assert_int_equal(stw_arena_copy(&arena, STW_STR_NONE, &text), 0);
	assert_int_equal(text.ptr[0], '\0');
	assert_int_equal(arena.used_bytes, 5);

	assert_int_equal(stw_arena_printf(&arena, &text, "%s;%u", "12345678", 10u), -ENOMEM);
	assert_int_equal(stw_arena_printf(&arena, &text, "%s;%u", "12345678", 1u), 0);
	assert_str(text, "12345678;1");
	assert_int_equal(text.ptr[text.len], '\0');
	stw_arena_done(&arena);
}

static void test_no_memory(void **state)
{
	struct stw_arena arena;
	struct stw_str text = STW_STR("old");

	stw_arena_init(&arena, 100000);
	for (unsigned i = 0; i < 4; i++) {
		support_fail_allocation(1);
		switch (i) {
		case 0:
			assert_null(stw_arena_alloc(&arena, 1));
			break;
		case 1:
			assert_null(stw_arena_bytes(&arena, 1));
			break;
		case 2:
			assert_int_equal(stw_arena_copy(&arena, STW_STR("x"), &text), -ENOMEM);
			break;
		default:
			assert_int_equal(stw_arena_printf(&arena, &text, "%d", 1), -ENOMEM);
		}
	}
	assert_str(text, "old");
	assert_int_equal(arena.used_bytes, 0);
	assert_non_null(stw_arena_alloc(&arena, 1));
	support_fail_allocation(1);
	assert_null(stw_arena_alloc(&arena, 2000));
	assert_non_null(stw_arena_alloc(&arena, 1));
	assert_non_null(stw_arena_alloc(&arena, 2000));
	support_fail_allocation(0);
	stw_arena_done(&arena);
}

static void test_poison(void **state)
{
#ifdef POISONED
	struct stw_arena arena;
	char *piece;

	stw_arena_init(&arena, 4096);
	piece = stw_arena_bytes(&arena, 10);
	assert_false(__asan_address_is_poisoned(piece + 9));
	assert_true(__asan_address_is_poisoned(piece + 10));
	assert_non_null(stw_arena_alloc(&arena, 24));
	assert_false(__asan_address_is_poisoned(piece + 16));
	assert_true(__asan_address_is_poisoned(piece + 12));
	stw_arena_reset(&arena);
	assert_true(__asan_address_is_poisoned(piece));
	assert_true(__asan_address_is_poisoned(piece + 16));
	stw_arena_done(&arena);
#else
	skip();
#endif
}

/* Chunks of 1, 2, 4 and 8 KiB: the last two are large. */
static void test_large_chunks_are_counted(void **state)
{
	size_t large_bytes = 0;
	struct stw_arena arena;

	(void)state;
	stw_arena_init(&arena, 65536);
	arena.large_bytes = &large_bytes;
	assert_non_null(stw_arena_bytes(&arena, 1024));
	assert_non_null(stw_arena_bytes(&arena, 2048));
	assert_int_equal(large_bytes, 0);
	assert_non_null(stw_arena_bytes(&arena, 100));
	assert_int_equal(large_bytes, 4096);
	assert_non_null(stw_arena_bytes(&arena, 4096));
	assert_int_equal(large_bytes, 4096 + 8192);
	stw_arena_reset(&arena);
	assert_int_equal(large_bytes, 8192);
	stw_arena_done(&arena);
	assert_int_equal(large_bytes, 0);
	assert_non_null(stw_arena_bytes(&arena, 5000));
	assert_int_equal(large_bytes, 5000);
	stw_arena_done(&arena);
	assert_int_equal(large_bytes, 0);
}

/* What is kept for the next one has nothing of the last. */
static void test_wipe(void **state)
{
	static const char secret[] = "correct horse battery staple";
	struct stw_arena arena;
	char *piece;

	stw_arena_init(&arena, 1 << 20);
	for (unsigned i = 0; i < 8; i++)
		memcpy(stw_arena_bytes(&arena, 1000), secret, sizeof(secret));
	stw_arena_wipe(&arena);
	assert_int_equal(arena.used_bytes, 0);
	piece = stw_arena_bytes(&arena, 1000);
	assert_null(memmem(piece, 1000, secret, sizeof(secret)));
	stw_arena_wipe(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alignment_and_contents),
		cmocka_unit_test(test_zalloc),
		cmocka_unit_test(test_limit_is_exact),
		cmocka_unit_test(test_chunks_grow),
		cmocka_unit_test(test_copy_and_printf),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_large_chunks_are_counted),
		cmocka_unit_test(test_poison),
		cmocka_unit_test(test_wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
