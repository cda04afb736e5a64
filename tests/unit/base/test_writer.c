/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <string.h>

static void test_all_forms(void **state)
{
	char buffer[128];
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, sizeof(buffer));
	assert_int_equal(stw_writer_text(&writer).len, 0);
	stw_write_str(&writer, STW_STR("Via"));
	stw_write_str(&writer, STW_STR_NONE);
	stw_write_char(&writer, ':');
	stw_write_text(&writer, " x ");
	stw_write_text(&writer, NULL);
	stw_write_uint(&writer, 0);
	stw_write_char(&writer, ' ');
	stw_write_uint(&writer, UINT64_MAX);
	stw_write_char(&writer, ' ');
	stw_write_hex(&writer, "\x00\x7f\xff", 3);
	stw_write_hex(&writer, NULL, 0);
	stw_write_hex(&writer, "\x01\x23\x45\x67\x89\xab\xcd\xef\x9a", 9);
	stw_write_format(&writer, "|%d|%.*s", -1, STW_STR_ARG(STW_STR("end")));
	assert_false(writer.overflow);
	assert_str(stw_writer_text(&writer),
		"Via: x 0 18446744073709551615 007fff0123456789abcdef9a|-1|end");
}

/* Each form needs `need` bytes: it is whole in a buffer of that size, and absent in any smaller. */
static void write_form(struct stw_writer *writer, unsigned form)
{
	switch (form) {
	case 0:
		stw_write_str(writer, STW_STR("1234"));
		break;
	case 1:
		stw_write_text(writer, "1234");
		break;
	case 2:
		stw_write_uint(writer, 1234);
		break;
	case 3:
		stw_write_hex(writer, "\x12\x34", 2);
		break;
	case 4:
		stw_write_format(writer, "%u", 1234u);
		break;
	default:
		stw_write_format(writer, "%s%c%d", "12", '3', 4);
	}
}

static void test_fits_or_is_dropped_whole(void **state)
{
	for (unsigned form = 0; form <= 5; form++) {
		for (size_t room = 0; room <= 6; room++) {
			char *buffer = support_guarded("........", 2 + room);
			struct stw_writer writer;

			stw_writer_init(&writer, buffer, 2 + room);
			stw_write_text(&writer, "ab");
			write_form(&writer, form);
			assert_int_equal(writer.overflow, room < 4);
			assert_str(stw_writer_text(&writer), room < 4 ? "ab" : "ab1234");
			support_guarded_free(buffer, 2 + room);
		}
	}
}

static void test_overflow_stays(void **state)
{
	char buffer[4];
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_write_text(&writer, "12345");
	stw_write_text(&writer, "ok");
	assert_true(writer.overflow);
	assert_str(stw_writer_text(&writer), "ok");
	stw_write_hex(&writer, "", SIZE_MAX);
	assert_str(stw_writer_text(&writer), "ok");
}

static void test_no_buffer(void **state)
{
	struct stw_writer writer;

	stw_writer_init(&writer, NULL, 0);
	stw_write_text(&writer, "");
	stw_write_format(&writer, "%s", "");
	assert_false(writer.overflow);
	stw_write_char(&writer, 'x');
	assert_true(writer.overflow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_forms),
		cmocka_unit_test(test_fits_or_is_dropped_whole),
		cmocka_unit_test(test_overflow_stays),
		cmocka_unit_test(test_no_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
