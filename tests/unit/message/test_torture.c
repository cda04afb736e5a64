/* SPDX-License-Identifier: Apache-2.0 */
/* Every message of RFC 4475, 5118, 3665 and 5359, and of published faults of other servers, with
 * the verdict of tests/torture/verdicts.tsv.
 */
#include "support.h"

#include <strowger/message.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TORTURE STW_SOURCE_ROOT "/tests/torture/"

static struct stw_field fields[STW_MSG_FIELDS_MAX];

/* Parse and check as the front of every element does; NULL: no fault. */
static const struct stw_cause *judge(
	struct stw_msg *msg, const char *data, size_t len, struct stw_fault *fault)
{
	int err;

	msg->fields = fields;
	msg->field_capacity = STW_MSG_FIELDS_MAX;
	err = stw_msg_parse(msg, data, len, NULL, fault);
	if (err != -EAGAIN)
		err = stw_msg_check(msg, fault);
	return err < 0 ? fault->cause : NULL;
}

/* Touch all that the index points to. */
static void walk(const struct stw_msg *msg)
{
	struct stw_values values;
	struct stw_address address;
	struct stw_str value;
	unsigned header;

	for (header = 1; header < STW_HEADERS; header++) {
		values = stw_msg_values(msg, (enum stw_header)header);
		while (stw_values_next(&values, &value)) {
			assert_true(value.ptr >= msg->data);
			assert_true(value.ptr + value.len <= msg->data + msg->len);
			stw_address_parse(value, &address);
		}
	}
}

/* Judged whole, the message lies against a guard page; then each prefix of it. */
static const struct stw_cause *judge_file(const char *name, bool *ret_is_request)
{
	struct stw_msg msg;
	struct stw_fault fault;
	const struct stw_cause *cause;
	char path[1024], *data, *guarded;
	size_t len, prefix;

	snprintf(path, sizeof(path), "%s%s", TORTURE, name);
	data = support_read_file(path, &len);
	guarded = support_guarded(data, len);
	cause = judge(&msg, guarded, len, &fault);
	*ret_is_request = msg.is_request;
	walk(&msg);
	support_guarded_free(guarded, len);

	guarded = support_guarded(data, len);
	for (prefix = 0; prefix < len; prefix++) {
		/* The prefix ends where the guarded bytes end. */
		memmove(guarded + len - prefix, data, prefix);
		if (!judge(&msg, guarded + len - prefix, prefix, &fault))
			assert_true(prefix >= msg.body_at);
		walk(&msg);
	}
	support_guarded_free(guarded, len);
	free(data);
	return cause;
}

static unsigned files_in(const char *folder, const char *suffix)
{
	char path[1024];
	struct dirent *entry;
	unsigned count = 0;
	size_t len;
	DIR *dir;

	snprintf(path, sizeof(path), "%s%s", TORTURE, folder);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		len = strlen(entry->d_name);
		count += len > strlen(suffix) &&
			 !strcmp(entry->d_name + len - strlen(suffix), suffix);
	}
	closedir(dir);
	return count;
}

static void test_verdicts(void **state)
{
	char line[1024], *name, *verdict, *code, *save;
	const struct stw_cause *cause;
	unsigned rows = 0, failed = 0, expected;
	bool is_request;
	FILE *file = fopen(TORTURE "verdicts.tsv", "r");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (line[0] == '#')
			continue;
		name = strtok_r(line, "\t", &save);
		verdict = strtok_r(NULL, "\t", &save);
		code = strtok_r(NULL, "\t", &save);
		assert_non_null(code);
		cause = judge_file(name, &is_request);
		expected = cause && is_request ? cause->code : 0;
		if (strcmp(cause ? cause->id : "ok", verdict) ||
			(cause && (unsigned)atoi(code) != expected)) {
			print_error("%s: %s %u, not %s %s\n", name, cause ? cause->id : "ok",
				expected, verdict, code);
			failed++;
		}
		rows++;
	}
	fclose(file);
	assert_int_equal(failed, 0);
	assert_int_equal(rows, files_in("rfc4475", ".dat") + files_in("rfc4475/extra", ".dat") +
				       files_in("rfc5118", ".dat") + files_in("published", ".dat"));
}

/* Bare LF ends no line on the wire, but what can be read is, so that a 400 finds its way. */
static void test_bare_lf(void **state)
{
	struct stw_msg msg;
	struct stw_fault fault;
	size_t len;
	char *data = support_read_file(TORTURE "rfc5118/archive-lf/ipv6-good", &len);

	assert_ptr_equal(judge(&msg, data, len, &fault), &stw_cause_bad_header_syntax);
	assert_int_equal(fault.line, 1);
	assert_true(msg.has_via && msg.has_from && msg.has_to && msg.has_call_id && msg.has_cseq);
	free(data);
}

static void all_ok(const char *folder, unsigned expected)
{
	const struct stw_cause *cause;
	char path[1024];
	struct dirent *entry;
	unsigned count = 0, failed = 0;
	bool is_request;
	DIR *dir;

	snprintf(path, sizeof(path), "%s%s", TORTURE, folder);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (!strstr(entry->d_name, ".sip"))
			continue;
		snprintf(path, sizeof(path), "%s/%.200s", folder, entry->d_name);
		cause = judge_file(path, &is_request);
		if (cause) {
			print_error("%s: %s\n", path, cause->id);
			failed++;
		}
		count++;
	}
	closedir(dir);
	assert_int_equal(failed, 0);
	assert_int_equal(count, expected);
}

static void test_rfc3665(void **state)
{
	all_ok("rfc3665", 181);
}

static void test_rfc5359(void **state)
{
	all_ok("rfc5359", 324);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_bare_lf),
		cmocka_unit_test(test_rfc3665),
		cmocka_unit_test(test_rfc5359),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
