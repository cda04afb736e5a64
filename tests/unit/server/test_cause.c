/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <ctype.h>
#include <string.h>

#include "server/cause.h"

static void assert_sentence(const char *id, const char *text)
{
	size_t len = strlen(text);

	if (len < 10 || text[len - 1] != '.' || !isupper((unsigned char)text[0]))
		fail_msg("%s: not a sentence: %s", id, text);
}

static void assert_id(const char *id)
{
	size_t len = strlen(id);

	if (len < 3 || len > 48 || !islower((unsigned char)id[0]) || id[len - 1] == '-')
		fail_msg("%s: not a name", id);
	for (size_t i = 0; i < len; i++) {
		if (!islower((unsigned char)id[i]) && !isdigit((unsigned char)id[i]) &&
			id[i] != '-')
			fail_msg("%s: not in lower case with hyphens", id);
	}
}

static void test_rows_are_complete(void **state)
{
	const struct stw_cause *const *causes;
	size_t count;

	causes = stw_cause_all(&count);
	assert_true(count > 20);
	for (size_t i = 0; i < count; i++) {
		const struct stw_cause *cause = causes[i];

		assert_id(cause->id);
		assert_sentence(cause->id, cause->meaning);
		assert_sentence(cause->id, cause->reason);
		assert_sentence(cause->id, cause->remedy);
		if (cause->code != 0 && strlen(cause->phrase) < 2)
			fail_msg("%s: no Reason-Phrase", cause->id);
		assert_null(strpbrk(cause->phrase, "\r\n"));
		if (*cause->rfc && strncmp(cause->rfc, "RFC ", 4) != 0)
			fail_msg("%s: %s", cause->id, cause->rfc);
		if (cause->code != 0 && !stw_status_find(cause->code))
			fail_msg("%s: %u is no registered code", cause->id, cause->code);
	}
}

static void test_ids_are_unique(void **state)
{
	const struct stw_cause *const *causes;
	unsigned twice = 0;
	size_t count;

	causes = stw_cause_all(&count);
	for (size_t i = 0; i < count; i++) {
		if (stw_cause_find(causes[i]->id) == causes[i])
			continue;
		print_error("%s stands twice\n", causes[i]->id);
		twice++;
	}
	assert_int_equal(twice, 0);
	assert_null(stw_cause_find("no-such-cause"));
	assert_null(stw_cause_find(""));
}

static void test_each_code_has_a_sender(void **state)
{
	const struct stw_status *status;
	size_t count;

	status = stw_status_all(&count);
	assert_int_equal(count, 77);
	for (size_t i = 0; i < count; i++) {
		if (!*stw_status_sender(status[i].code))
			fail_msg("%u: who sends it?", status[i].code);
	}
	assert_string_equal(stw_status_sender(499), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_are_complete),
		cmocka_unit_test(test_ids_are_unique),
		cmocka_unit_test(test_each_code_has_a_sender),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
