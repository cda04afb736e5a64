/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/priority/priority.h"

static int rank(const char *space_name, const char *value)
{
	const struct stw_priority_namespace *space = stw_priority_find(stw_str_from(space_name));
	int level = space ? stw_priority_level(space, stw_str_from(value)) : -ENOENT;

	return level < 0 ? level : (int)stw_priority_rank(space, (unsigned)level);
}

/* RFC 4412 §10, RFC 5478, RFC 7135, RFC 8101: the lowest and the highest of each, and what is none.
 */
static void test_registered(void **state)
{
	static const struct {
		const char *space, *value;
		int rank;
	} rows[] = {
		{ "dsn", "routine", 0 },
		{ "dsn", "priority", 250 },
		{ "DSN", "Flash-Override", 1000 },
		{ "drsn", "routine", 0 },
		{ "drsn", "flash-override", 800 },
		{ "drsn", "flash-override-override", 1000 },
		{ "q735", "4", 0 },
		{ "q735", "0", 1000 },
		{ "ets", "4", 0 },
		{ "ets", "0", 1000 },
		{ "wps", "4", 0 },
		{ "wps", "2", 500 },
		{ "wps", "0", 1000 },
		{ "esnet", "0", 0 },
		{ "esnet", "4", 1000 },
		{ "mcpttp", "15", 1000 },
		{ "mcpttq", "0", 0 },
		{ "dsn-000000", "0", 0 },
		{ "drsn-000009", "9", 1000 },
		{ "RTS-000004", "9", 1000 },
		{ "crts-000001", "0", 0 },
		{ "dsn", "flash-override-override", -ENOENT },
		{ "dsn", "", -ENOENT },
		{ "dsn", "routine priority", -ENOENT },
		{ "ets", "5", -ENOENT },
		{ "ets", "00", -ENOENT },
		{ "mcpttp", "16", -ENOENT },
		{ "dsn-000010", "0", -ENOENT },
		{ "dsn-00000", "0", -ENOENT },
		{ "dsn-00000a", "0", -ENOENT },
		{ "ets-000001", "0", -ENOENT },
		{ "dsn-000000", "routine", -ENOENT },
		{ "", "", -ENOENT },
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(rows); i++) {
		int got = rank(rows[i].space, rows[i].value);

		if (got != rows[i].rank)
			fail_msg("%s.%s: %d, not %d", rows[i].space, rows[i].value, got,
				rows[i].rank);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
