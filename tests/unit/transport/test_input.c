/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "internal.h"

#include <errno.h>
#include <string.h>

static char byte_at(size_t i)
{
	return (char)('A' + i % 23);
}

static void assert_holds(const struct flow_input *input, size_t first, size_t len)
{
	assert_int_equal(flow_input_len(input), len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(input->bytes[input->start + i], byte_at(first + i));
}

/* Appended and dropped in steps of all sizes, the bytes stay in order and the buffer stays small.
 */
static void test_steps(void **state)
{
	static const size_t steps[] = { 1, 2, 3, 63, 64, 65, 500, 1, 4096, 7 };
	struct flow_input input = { 0 };
	size_t in = 0, out = 0;

	for (size_t round = 0; round < 2000; round++) {
		size_t len = steps[round % STW_ARRAY_SIZE(steps)], drop;
		char data[4096];

		for (size_t i = 0; i < len; i++)
			data[i] = byte_at(in + i);
		assert_int_equal(flow_input_append(&input, data, len), 0);
		in += len;
		drop = round % 7 == 0 ? in - out : (in - out) / 2;
		if (drop > 0)
			flow_input_drop(&input, drop);
		out += drop;
		assert_holds(&input, out, in - out);
		assert_in_range(input.capacity, in - out, 65536);
		assert_true((input.bytes != NULL) == (in != out));
	}
	flow_input_done(&input);
	assert_null(input.bytes);
}

/* Many small takes from one large read move nothing, and a small rest gives the memory back. */
static void test_shrinks(void **state)
{
	static char data[65536];
	struct flow_input input = { 0 };

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = byte_at(i);
	assert_int_equal(flow_input_append(&input, data, sizeof(data)), 0);
	assert_int_equal(input.capacity, sizeof(data));
	for (size_t out = 0; out < sizeof(data) - 16; out += 16)
		flow_input_drop(&input, 16);
	assert_holds(&input, sizeof(data) - 16, 16);
	assert_in_range(input.capacity, 16, 4096);
	flow_input_drop(&input, 16);
	assert_null(input.bytes);
}

static void test_no_memory(void **state)
{
	char data[200];
	struct flow_input input = { 0 };

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = byte_at(i);
	support_fail_allocation(1);
	assert_int_equal(flow_input_append(&input, data, 10), -ENOMEM);
	assert_int_equal(flow_input_len(&input), 0);
	assert_int_equal(flow_input_append(&input, data, 10), 0);
	support_fail_allocation(1);
	assert_int_equal(flow_input_append(&input, data + 10, 190), -ENOMEM);
	assert_holds(&input, 0, 10);
	support_fail_allocation(0);
	assert_int_equal(flow_input_append(&input, data + 10, 190), 0);
	assert_holds(&input, 0, 200);
	flow_input_done(&input);
}

/* Without memory to shrink, the rest stays where it is. */
static void test_no_memory_to_shrink(void **state)
{
	static char data[16384];
	struct flow_input input = { 0 };

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = byte_at(i);
	assert_int_equal(flow_input_append(&input, data, sizeof(data)), 0);
	support_fail_allocation(1);
	flow_input_drop(&input, sizeof(data) - 3);
	support_fail_allocation(0);
	assert_holds(&input, sizeof(data) - 3, 3);
	flow_input_done(&input);
}

static void test_begun(void **state)
{
	static const struct {
		const char *in;
		bool begun;
	} cases[] = { { "", false }, { "\r", false }, { "\r\n", false }, { "\r\n\r", false },
		{ "I", true }, { "\r\nI", true }, { "\n", true }, { "\r\r", true },
		{ "\n\n\n\n", true }, { "\r\n\r\r", true } };

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct flow_input input = { 0 };

		assert_int_equal(flow_input_append(&input, cases[i].in, strlen(cases[i].in)), 0);
		assert_int_equal(flow_input_begun(&input), cases[i].begun);
		flow_input_done(&input);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_shrinks),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_no_memory_to_shrink),
		cmocka_unit_test(test_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
