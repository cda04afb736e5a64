/* SPDX-License-Identifier: Apache-2.0 */
#include "server/directory/user.h"

#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct stw_hash_key key = { 1, 2 };

static struct stw_ha1 ha1_of(uint8_t byte)
{
	struct stw_ha1 ha1;

	memset(&ha1, byte, sizeof(ha1));
	return ha1;
}

static int put(struct stw_directory *directory, const char *user, const char *domain, uint8_t byte)
{
	struct stw_ha1 plain = ha1_of(byte), with_domain = ha1_of((uint8_t)(byte + 1));

	return stw_directory_put(
		directory, stw_str_from(user), stw_str_from(domain), &plain, &with_domain);
}

static bool count_visit(void *context, const struct stw_user *user)
{
	++*(unsigned *)context;
	return true;
}

static void put_find_remove(void **state)
{
	struct stw_directory *directory;
	const struct stw_user *user;
	struct stw_ha1 expected;
	unsigned count = 0;

	assert_int_equal(stw_directory_new(key, &directory), 0);
	assert_null(stw_directory_find(directory, STW_STR("sip:bob@example.com")));
	assert_int_equal(put(directory, "bob", "example.com", 1), 0);
	assert_int_equal(put(directory, "bob", "example.org", 3), 0);
	assert_int_equal(put(directory, "a b", "example.com", 5), 0);
	user = stw_directory_find(directory, STW_STR("sip:bob@example.com"));
	assert_non_null(user);
	assert_str(user->user, "bob");
	assert_str(user->domain, "example.com");
	assert_str(user->aor, "sip:bob@example.com");
	expected = ha1_of(1);
	assert_memory_equal(&user->ha1_user, &expected, sizeof(expected));
	expected = ha1_of(2);
	assert_memory_equal(&user->ha1_user_domain, &expected, sizeof(expected));
	assert_str(stw_directory_find(directory, STW_STR("sip:a%20b@example.com"))->user, "a b");
	assert_int_equal(put(directory, "bob", "example.com", 7), 0);
	stw_directory_reclaim(directory);
	assert_int_equal(stw_directory_count(directory), 3);
	expected = ha1_of(7);
	user = stw_directory_find(directory, STW_STR("sip:bob@example.com"));
	assert_memory_equal(&user->ha1_user, &expected, sizeof(expected));
	stw_directory_walk(directory, count_visit, &count);
	assert_int_equal(count, 3);
	assert_int_equal(stw_directory_remove(directory, STW_STR("sip:bob@example.com")), 0);
	assert_int_equal(stw_directory_remove(directory, STW_STR("sip:bob@example.com")), -ENOENT);
	assert_null(stw_directory_find(directory, STW_STR("sip:bob@example.com")));
	assert_non_null(stw_directory_find(directory, STW_STR("sip:bob@example.org")));
	assert_null(stw_directory_free(directory));
}

static void refusals(void **state)
{
	struct stw_directory *directory = NULL;
	unsigned nth;

	assert_int_equal(stw_directory_new(key, &directory), 0);
	assert_int_equal(put(directory, "", "example.com", 1), -EBADMSG);
	assert_int_equal(put(directory, "bob", "", 1), -EBADMSG);
	for (nth = 1; nth <= 2; nth++) {
		support_fail_allocation(nth);
		assert_int_equal(put(directory, "bob", "example.com", 1), -ENOMEM);
		support_fail_allocation(0);
	}
	assert_int_equal(stw_directory_count(directory), 0);
	stw_directory_free(directory);
}

/* ---- agents --------------------------------------------------------------------------------- */

static void change(struct stw_directory *directory, const char *name, const char *setting)
{
	struct stw_settings *settings;
	struct stw_setting_error error = { "" };
	struct stw_str change = stw_str_from(setting);
	struct stw_ha1 ha1 = ha1_of(1);
	struct stw_user *user;

	assert_int_equal(
		stw_user_new(stw_str_from(name), STW_STR("example.com"), &ha1, &ha1, &user), 0);
	assert_int_equal(stw_settings_change(NULL, &change, 1, &settings, &error), 0);
	assert_int_equal(stw_user_settle(user, settings), 0);
	assert_int_equal(stw_directory_publish(directory, user), 0);
}

static void publish(struct stw_directory *directory, const char *name, const char *setting)
{
	change(directory, name, setting);
	stw_directory_reclaim(directory);
}

struct names {
	char text[64];
};

static bool name_visit(void *context, const struct stw_user *user)
{
	struct names *names = context;
	size_t len = strlen(names->text);

	snprintf(names->text + len, sizeof(names->text) - len, "%.*s ", STW_STR_ARG(user->user));
	return true;
}

static bool first_only(void *context, const struct stw_user *user)
{
	++*(unsigned *)context;
	return false;
}

static bool is_agent(const struct stw_directory *directory, const char *name)
{
	struct names names = { "" };

	stw_directory_agents(directory, name_visit, &names);
	return strstr(names.text, name) != NULL;
}

/* Who is logged in to any queue, and nobody else; as he is now. */
static void agents(void **state)
{
	struct stw_directory *directory;
	unsigned count = 0;

	assert_int_equal(stw_directory_new(key, &directory), 0);
	stw_directory_agents(directory, count_visit, &count);
	assert_int_equal(count, 0);
	publish(directory, "alice", "dnd=on");
	publish(directory, "bob", "queues=support,sales");
	publish(directory, "carol", "queues=sales");
	assert_int_equal(put(directory, "dave", "example.com", 1), 0);
	stw_directory_agents(directory, count_visit, &count);
	assert_int_equal(count, 2);
	assert_true(is_agent(directory, "bob") && is_agent(directory, "carol"));

	count = 0;
	stw_directory_agents(directory, first_only, &count);
	assert_int_equal(count, 1);

	/* He logs out, she is removed, another one comes; who is put again is still there once. */
	publish(directory, "bob", "queues=");
	assert_int_equal(stw_directory_remove(directory, STW_STR("sip:carol@example.com")), 0);
	publish(directory, "alice", "queues=support");
	publish(directory, "alice", "queues=sales");
	count = 0;
	stw_directory_agents(directory, count_visit, &count);
	assert_int_equal(count, 1);
	assert_true(is_agent(directory, "alice"));
	stw_directory_free(directory);
}

/* ---- names ---------------------------------------------------------------------------------- */

/* A number leads to him also when his settings have changed since he was looked up. */
static void number_leads_to_whom_it_did(void **state)
{
	static const struct stw_str number = { "sip:4711@example.com", 20 };
	struct stw_directory *directory;
	const struct stw_user *seen, *other;

	assert_int_equal(stw_directory_new(key, &directory), 0);
	publish(directory, "alice", "number=4711");
	publish(directory, "bob", "number=4712");
	seen = stw_directory_find(directory, STW_STR("sip:alice@example.com"));
	other = stw_directory_find(directory, STW_STR("sip:bob@example.com"));
	assert_true(stw_directory_leads_to(directory, number, seen));
	assert_true(stw_directory_leads_to(directory, seen->aor, seen));
	assert_false(stw_directory_leads_to(directory, number, other));
	assert_false(stw_directory_leads_to(directory, STW_STR("sip:1@example.com"), seen));
	change(directory, "alice", "number=4711");
	assert_ptr_not_equal(stw_directory_resolve(directory, number), seen);
	assert_true(stw_directory_leads_to(directory, number, seen));
	change(directory, "alice", "number=4713");
	assert_false(stw_directory_leads_to(directory, number, seen));
	stw_directory_reclaim(directory);
	stw_directory_free(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_find_remove),
		cmocka_unit_test(refusals),
		cmocka_unit_test(agents),
		cmocka_unit_test(number_leads_to_whom_it_did),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
