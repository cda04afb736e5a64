/* SPDX-License-Identifier: Apache-2.0 */
#include "server/directory/change.h"

#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct stw_directory *new_directory(void)
{
	static const struct stw_hash_key key = { 1, 2 };
	static const char *const users[] = { "ann", "bob", "carol" };
	struct stw_ha1 ha1;
	struct stw_directory *directory;

	memset(&ha1, 0, sizeof(ha1));
	assert_int_equal(stw_directory_new(key, &directory), 0);
	for (size_t i = 0; i < STW_ARRAY_SIZE(users); i++)
		assert_int_equal(stw_directory_put(directory, stw_str_from(users[i]),
					 STW_STR("example.com"), &ha1, &ha1),
			0);
	return directory;
}

static const struct stw_user *find(struct stw_directory *directory, const char *aor)
{
	return stw_directory_resolve(directory, stw_str_from(aor));
}

/* "ann", and what is to be changed; published when it is right. */
static int change(
	struct stw_directory *directory, const char *user, const char *text, char said[300])
{
	struct stw_str changes = stw_str_from(text);
	struct stw_setting_error error = { "" };
	struct stw_user *made;
	char aor[64];
	int err;

	snprintf(aor, sizeof(aor), "sip:%s@example.com", user);
	err = stw_directory_change(directory, stw_str_from(aor), &changes, 1, &made, &error);
	if (err == 0)
		assert_int_equal(stw_directory_publish(directory, made), 0);
	strcpy(said, error.text);
	return err;
}

static void good(struct stw_directory *directory, const char *user, const char *text)
{
	char said[300];

	if (change(directory, user, text, said) < 0)
		fail_msg("%s %s: %s", user, text, said);
}

static void bad(
	struct stw_directory *directory, const char *user, const char *text, const char *words)
{
	char said[300];

	assert_int_equal(change(directory, user, text, said), -EBADMSG);
	if (!strstr(said, words))
		fail_msg("%s %s: %s", user, text, said);
}

static void names_lead_to_the_user(void **state)
{
	struct stw_directory *directory = new_directory();

	good(directory, "bob", "alias=robert,rob");
	good(directory, "bob", "number=42,+49 (30) 12-34");
	assert_str(find(directory, "sip:rob@example.com")->aor, "sip:bob@example.com");
	assert_str(find(directory, "sip:42@example.com")->aor, "sip:bob@example.com");
	assert_str(find(directory, "sip:+49301234@example.com")->aor, "sip:bob@example.com");
	assert_str(find(directory, "tel:+49301234")->aor, "sip:bob@example.com");
	assert_null(find(directory, "tel:42"));
	assert_null(stw_directory_find(directory, STW_STR("sip:rob@example.com")));
	good(directory, "bob", "alias=bobby,robert");
	assert_null(find(directory, "sip:rob@example.com"));
	assert_non_null(find(directory, "sip:bobby@example.com"));
	assert_non_null(find(directory, "sip:robert@example.com"));
	stw_directory_reclaim(directory);
	assert_str(find(directory, "sip:robert@example.com")->aor, "sip:bob@example.com");
	assert_int_equal(stw_directory_remove(directory, STW_STR("sip:bob@example.com")), 0);
	assert_null(find(directory, "sip:robert@example.com"));
	assert_null(find(directory, "tel:+49301234"));
	good(directory, "ann", "alias=robert");
	stw_directory_reclaim(directory);
	assert_str(find(directory, "sip:robert@example.com")->aor, "sip:ann@example.com");
	stw_directory_free(directory);
}

static void a_name_has_one_owner(void **state)
{
	struct stw_directory *directory = new_directory();

	good(directory, "bob", "number=+4930123");
	bad(directory, "ann", "alias=bob", "sip:bob@example.com is a user");
	bad(directory, "ann", "number=+49-30-123", "is a name of sip:bob@example.com already");
	good(directory, "bob", "number=+49 30 123,+4930123");
	assert_int_equal(stw_user_name_count(find(directory, "sip:bob@example.com")), 2);
	stw_directory_free(directory);
}

static void forwardings_reach_somebody(void **state)
{
	struct stw_directory *directory = new_directory();

	good(directory, "bob", "number=42");
	good(directory, "ann", "forward.busy=42");
	good(directory, "ann", "forward.no_answer=+4989555");
	good(directory, "ann", "forward.always=someone@elsewhere.example");
	good(directory, "ann", "forward.dnd=queue:support");
	bad(directory, "ann", "forward.busy=karol", "forward.busy: there is no user karol");
	bad(directory, "ann", "forward.busy=karol@example.com", "there is no user karol@");
	bad(directory, "ann", "forward.busy=sip:karol@example.com", "there is no user sip:karol@");
	stw_directory_free(directory);
}

static void rings_are_shown(void **state)
{
	struct stw_directory *directory = new_directory();

	bad(directory, "ann", "forward.busy=ann", "a ring: ann busy -> ann");
	good(directory, "bob", "alias=rob");
	good(directory, "ann", "forward.busy=rob");
	good(directory, "carol", "number=+4930123");
	good(directory, "bob", "forward.no_answer=tel:+49-30-123");
	bad(directory, "carol", "forward.always=sip:ann@example.com",
		"a ring: carol always -> ann busy -> bob no_answer -> carol");
	good(directory, "carol", "forward.always=sip:ann@elsewhere.example");
	stw_directory_free(directory);
}

static void who_has_gone_is_found(void **state)
{
	struct stw_directory *directory = new_directory();
	struct stw_setting_error error = { "" };

	good(directory, "ann", "forward.busy=bob");
	assert_int_equal(
		stw_directory_check(directory, find(directory, "sip:ann@example.com"), &error), 0);
	assert_int_equal(stw_directory_remove(directory, STW_STR("sip:bob@example.com")), 0);
	assert_int_equal(
		stw_directory_check(directory, find(directory, "sip:ann@example.com"), &error),
		-EBADMSG);
	assert_string_equal(error.text, "forward.busy: there is no user bob");
	stw_directory_free(directory);
}

static void no_memory(void **state)
{
	struct stw_directory *directory = new_directory();
	struct stw_setting_error error;
	struct stw_str text = STW_STR("alias=a,b");
	struct stw_user *made = NULL;
	unsigned nth;
	int err = -ENOMEM;

	for (nth = 1; err < 0 && nth < 100; nth++) {
		support_fail_allocation(nth);
		err = stw_directory_change(
			directory, STW_STR("sip:ann@example.com"), &text, 1, &made, &error);
		support_fail_allocation(0);
		assert_true(err == 0 || err == -ENOMEM);
	}
	assert_true(nth > 5 && err == 0);
	assert_null(stw_user_free(made));
	stw_directory_free(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_lead_to_the_user),
		cmocka_unit_test(a_name_has_one_owner),
		cmocka_unit_test(forwardings_reach_somebody),
		cmocka_unit_test(rings_are_shown),
		cmocka_unit_test(who_has_gone_is_found),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
