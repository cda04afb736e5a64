/* SPDX-License-Identifier: Apache-2.0 */
/* docs/rfc-index.md holds the lists of the code, row for row. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strowger/message.h>

static char *document;

static int document_read(void **state)
{
	size_t len;

	document = support_read_file("docs/rfc-index.md", &len);
	return 0;
}

static int document_free(void **state)
{
	free(document);
	return 0;
}

static void assert_row(const char *row)
{
	if (!strstr(document, row))
		fail_msg("docs/rfc-index.md lacks the row: %s", row);
}

static void every_method_has_its_row(void **state)
{
	static const char *const rows[] = {
#define X(name, rfc) "\n| " #name " | " rfc " |\n",
		STW_METHOD_LIST(X)
#undef X
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(rows); i++)
		assert_row(rows[i]);
}

static const char *form_of(unsigned flags)
{
	if (flags & STW_HDR_SINGLE)
		return "once";
	return flags & STW_HDR_LIST ? "list" : "";
}

static void every_header_field_has_its_row(void **state)
{
	static const struct {
		const char *name;
		char compact;
		unsigned flags;
		const char *rfc;
	} rows[] = {
#define X(id, name, compact, flags, rfc) { name, compact, flags, rfc },
		STW_HEADER_LIST(X)
#undef X
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(rows); i++) {
		char row[200], compact[2] = { rows[i].compact, '\0' };

		snprintf(row, sizeof(row), "\n| %s | %s | %s | %s |\n", rows[i].name, compact,
			form_of(rows[i].flags), rows[i].rfc);
		assert_row(row);
	}
}

static void every_response_code_has_its_row(void **state)
{
	size_t count = 0;
	const struct stw_status *all = stw_status_all(&count);

	for (size_t i = 0; i < count; i++) {
		char row[200];

		snprintf(row, sizeof(row), "\n| %u | %s | %s | %s |\n", all[i].code, all[i].phrase,
			all[i].rfc, all[i].status);
		assert_row(row);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_method_has_its_row),
		cmocka_unit_test(every_header_field_has_its_row),
		cmocka_unit_test(every_response_code_has_its_row),
	};

	return cmocka_run_group_tests(tests, document_read, document_free);
}
