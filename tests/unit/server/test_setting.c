/* SPDX-License-Identifier: Apache-2.0 */
#include "server/directory/setting.h"

#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct stw_settings *set(const struct stw_settings *old, const char *change)
{
	struct stw_str text = stw_str_from(change);
	struct stw_setting_error error = { "" };
	struct stw_settings *settings;
	int err = stw_settings_change(old, &text, 1, &settings, &error);

	if (err < 0)
		fail_msg("%s: %s", change, error.text);
	return settings;
}

static void without_settings_all_is_default(void **state)
{
	struct stw_settings *settings;
	struct stw_setting_error error;

	assert_int_equal(stw_settings_change(NULL, NULL, 0, &settings, &error), 0);
	assert_str(settings->text, "");
	assert_int_equal(settings->state, STW_USER_ACTIVE);
	assert_int_equal(settings->block_code, 403);
	assert_int_equal(settings->no_answer_ms, 20000);
	assert_false(settings->has_credit);
	free(settings);
}

static void each_key_is_read(void **state)
{
	static const char text[] =
		"state=moved\nmoved_to=sip:bob@example.org\nalias=robert, rob\n"
		"number=42,+49 30 1234\ndnd=on\nblock=@spam.example,+49900.\n"
		"allow=sip:ann@example.com\nblock_code=607\nreject_anonymous=433\n"
		"max_calls=3\nclass=national\ncredit=12\nmode=redirect\n"
		"forward.always=queue:support\nforward.busy=carol\n"
		"forward.no_answer=+49301234\nforward.no_answer_after=5s\n"
		"forward.unregistered=sip:v@example.com\nforward.dnd=c@example.com\n";
	struct stw_settings *settings;
	struct stw_setting_error error;

	assert_int_equal(stw_settings_parse(stw_str_from(text), &settings, &error), 0);
	assert_int_equal(settings->state, STW_USER_MOVED);
	assert_str(settings->moved_to, "sip:bob@example.org");
	assert_int_equal(settings->alias.n, 2);
	assert_str(settings->alias.v[1], "rob");
	assert_str(settings->number.v[1], "+49 30 1234");
	assert_true(settings->dnd);
	assert_str(settings->block.v[0], "@spam.example");
	assert_int_equal(settings->allow.n, 1);
	assert_int_equal(settings->block_code, 607);
	assert_int_equal(settings->reject_anonymous, 433);
	assert_int_equal(settings->max_calls, 3);
	assert_str(settings->classes.v[0], "national");
	assert_true(settings->has_credit);
	assert_int_equal(settings->credit, 12);
	assert_int_equal(settings->mode, STW_MODE_REDIRECT);
	assert_str(settings->forward[STW_FORWARD_ALWAYS], "queue:support");
	assert_str(settings->forward[STW_FORWARD_BUSY], "carol");
	assert_str(settings->forward[STW_FORWARD_NO_ANSWER], "+49301234");
	assert_int_equal(settings->no_answer_ms, 5000);
	assert_str(settings->forward[STW_FORWARD_UNREGISTERED], "sip:v@example.com");
	assert_str(settings->forward[STW_FORWARD_DND], "c@example.com");
	assert_str(settings->text, text);
	assert_str(stw_settings_value(settings, "credit"), "12");
	assert_str(stw_settings_value(settings, "forward.no_answer"), "+49301234");
	free(settings);
}

static void an_empty_value_clears(void **state)
{
	struct stw_settings *first = set(NULL, "dnd=on"),
			    *second = set(first, "forward.busy=carol"),
			    *third = set(second, "dnd=");

	assert_str(second->text, "dnd=on\nforward.busy=carol\n");
	assert_str(third->text, "forward.busy=carol\n");
	assert_false(third->dnd);
	free(first);
	free(second);
	free(third);
}

/* Who changes one element of a list need not know the others. */
static void one_element_is_put_in_or_taken_out(void **state)
{
	struct stw_settings *one = set(NULL, "queues+=support"), *two = set(one, "queues+=sales"),
			    *same = set(two, "queues+=support"), *less = set(same, "queues-=sales"),
			    *none = set(less, "queues-=support");
	struct stw_str wrong[] = { STW_STR("dnd+=on"), STW_STR("queues+=a,b"), STW_STR("+=a") };
	struct stw_setting_error error;
	struct stw_settings *never;

	assert_str(one->text, "queues=support\n");
	assert_str(two->text, "queues=support,sales\n");
	assert_str(same->text, "queues=sales,support\n");
	assert_true(stw_setting_list_has(&same->queues, STW_STR("sales")));
	assert_false(stw_setting_list_has(&less->queues, STW_STR("sales")));
	assert_str(less->text, "queues=support\n");
	assert_str(none->text, "");
	for (size_t i = 0; i < STW_ARRAY_SIZE(wrong); i++)
		assert_int_equal(stw_settings_change(two, &wrong[i], 1, &never, &error), -EBADMSG);
	free(one);
	free(two);
	free(same);
	free(less);
	free(none);
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *change, *words;
	} cases[] = {
		{ "forward.bussy=carol", "did you mean forward.busy?" },
		{ "dnd=maybe", "allowed: on, off" },
		{ "dnd", "allowed: on, off" },
		{ "state=moved", "moved_to" },
		{ "moved_to=example.org", "URI" },
		{ "number=4x", "numbers" },
		{ "number=42,", "numbers" },
		{ "alias=a@b", "without @" },
		{ "block=@", "domain" },
		{ "block_code=600", "403, 607" },
		{ "reject_anonymous=404", "433" },
		{ "credit=-1", "units" },
		{ "max_calls=1001", "0, for no limit, to 1000" },
		{ "forward.no_answer_after=0s", "600s" },
		{ "forward.no_answer_after=601", "600s" },
		{ "forward.always=queue:", "queue:NAME" },
		{ "forward.always=mailto:a@b", "URI" },
		{ "forward.always=a\nstate=closed", "forward.always" },
	};
	struct stw_settings *settings;

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct stw_str change = stw_str_from(cases[i].change);
		struct stw_setting_error error = { "" };

		assert_int_equal(
			stw_settings_change(NULL, &change, 1, &settings, &error), -EBADMSG);
		if (!strstr(error.text, cases[i].words))
			fail_msg("%s: %s", cases[i].change, error.text);
	}
}

static void lists_and_texts_are_bounded(void **state)
{
	char text[STW_SETTING_TEXT_MAX + 64] = "block=1";
	struct stw_setting_error error = { "" };
	struct stw_settings *settings;
	struct stw_str change;

	for (unsigned i = 1; i < STW_SETTING_LIST_MAX; i++)
		strcat(text, ",1");
	settings = set(NULL, text);
	assert_int_equal(settings->block.n, STW_SETTING_LIST_MAX);
	free(settings);
	strcat(text, ",1");
	change = stw_str_from(text);
	assert_int_equal(stw_settings_change(NULL, &change, 1, &settings, &error), -EBADMSG);
	assert_string_equal(error.text, "block: more than 128 entries");

	memset(text, 'a', sizeof(text));
	memcpy(text, "alias=", 6);
	change = (struct stw_str){ text, sizeof(text) };
	assert_int_equal(stw_settings_change(NULL, &change, 1, &settings, &error), -EBADMSG);
	assert_non_null(strstr(error.text, "at most"));
}

static void no_memory_is_said(void **state)
{
	struct stw_str change = STW_STR("dnd=on");
	struct stw_setting_error error;
	struct stw_settings *settings;

	support_fail_allocation(1);
	assert_int_equal(stw_settings_change(NULL, &change, 1, &settings, &error), -ENOMEM);
	support_fail_allocation(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_settings_all_is_default),
		cmocka_unit_test(each_key_is_read),
		cmocka_unit_test(an_empty_value_clears),
		cmocka_unit_test(one_element_is_put_in_or_taken_out),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(lists_and_texts_are_bounded),
		cmocka_unit_test(no_memory_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
