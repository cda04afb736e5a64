/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

static void test_flatten(void **state)
{
	const struct stw_str parts[] = { STW_STR("INVITE "), STW_STR_NONE, STW_STR("x"),
		STW_STR("") };
	struct stw_slices slices = { parts, STW_ARRAY_SIZE(parts) };
	char *buffer = support_guarded("........", 8);

	assert_int_equal(stw_slices_bytes(slices), 8);
	stw_slices_flatten(slices, buffer);
	assert_memory_equal(buffer, "INVITE x", 8);
	support_guarded_free(buffer, 8);
}

static void test_empty(void **state)
{
	struct stw_slices none = { NULL, 0 };

	assert_int_equal(stw_slices_bytes(none), 0);
	stw_slices_flatten(none, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flatten),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
