/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strowger/message.h>

static struct stw_field fields[STW_MSG_FIELDS_MAX], more_fields[STW_MSG_FIELDS_MAX];

static void parse(struct stw_msg *msg, struct stw_field *room, struct stw_str text)
{
	struct stw_fault fault = { 0 };
	int err;

	*msg = (struct stw_msg){ .fields = room, .field_capacity = STW_MSG_FIELDS_MAX };
	err = stw_msg_parse(msg, text.ptr, text.len, NULL, &fault);
	if (err)
		fail_msg("%s at byte %zu", fault.cause->id, fault.offset);
}

/* The edited message in one piece; free() it. */
static struct stw_str apply(const struct stw_edit *edit)
{
	struct stw_str v[STW_EDIT_SLICES_MAX];
	int n = stw_edit_slices(edit, v);
	struct stw_slices slices = { v, (unsigned)n };
	char *text;

	assert_in_range(n, 1, STW_EDIT_SLICES_MAX);
	for (int i = 0; i < n; i++)
		assert_true(v[i].len > 0);
	text = malloc(stw_slices_bytes(slices) + 1);
	assert_non_null(text);
	stw_slices_flatten(slices, text);
	text[stw_slices_bytes(slices)] = '\0';
	return (struct stw_str){ text, stw_slices_bytes(slices) };
}

static void release(struct stw_str text)
{
	free((char *)(uintptr_t)text.ptr);
}

static void assert_edit(const struct stw_edit *edit, const char *expected)
{
	struct stw_str text = apply(edit);

	assert_str(text, expected);
	release(text);
}

#define START "INVITE sip:bob@example.com SIP/2.0\r\n"
#define TEXT  START "Via: SIP/2.0/UDP a\r\nMax-Forwards: 70\r\nSubject:\r\n\r\nbody"

static void each_operation(void **state)
{
	struct stw_edit edit;
	struct stw_msg msg;

	parse(&msg, fields, STW_STR(TEXT));
	stw_edit_init(&edit, &msg);
	assert_edit(&edit, TEXT);

	stw_edit_insert_before(&edit, &msg.fields[0], STW_STR("A: 1\r\n"));
	stw_edit_insert_before(&edit, &msg.fields[0], STW_STR("B: 2\r\n"));
	stw_edit_append_field(&edit, STW_STR("Y: 3\r\n"));
	stw_edit_append_field(&edit, STW_STR("Z: 4\r\n"));
	stw_edit_insert_before(&edit, stw_msg_find(&msg, STW_HDR_SUBJECT), STW_STR("X: 5\r\n"));
	stw_edit_set_value(&edit, stw_msg_find(&msg, STW_HDR_MAX_FORWARDS), STW_STR("69"));
	stw_edit_set_uri(&edit, STW_STR("sip:bob@192.0.2.1"));
	assert_edit(&edit,
		"INVITE sip:bob@192.0.2.1 SIP/2.0\r\nA: 1\r\nB: 2\r\nVia: SIP/2.0/UDP a\r\n"
		"Max-Forwards: 69\r\nX: 5\r\nSubject:\r\nY: 3\r\nZ: 4\r\n\r\nbody");
	assert_false(edit.overflow);
}

/* Order of the calls does not matter for different places; insertions and a cut may share one. */
static void insertion_beside_a_cut(void **state)
{
	struct stw_edit edit;
	struct stw_msg msg;

	parse(&msg, fields, STW_STR(TEXT));
	for (int order = 0; order < 2; order++) {
		stw_edit_init(&edit, &msg);
		if (order)
			stw_edit_remove_field(&edit, &msg.fields[0]);
		stw_edit_insert_before(&edit, &msg.fields[0], STW_STR("Via: SIP/2.0/TCP b\r\n"));
		stw_edit_insert_before(&edit, &msg.fields[1], STW_STR("X: 1\r\n"));
		if (!order)
			stw_edit_remove_field(&edit, &msg.fields[0]);
		assert_edit(&edit,
			START "Via: SIP/2.0/TCP b\r\nX: 1\r\nMax-Forwards: 70\r\nSubject:\r\n"
			      "\r\nbody");
	}
	stw_edit_init(&edit, &msg);
	stw_edit_append_field(&edit, STW_STR("Y: 1\r\n"));
	stw_edit_remove_field(&edit, &msg.fields[2]);
	assert_edit(&edit, START "Via: SIP/2.0/UDP a\r\nMax-Forwards: 70\r\nY: 1\r\n\r\nbody");
}

static void overlapping_changes_are_refused(void **state)
{
	static const struct {
		uint32_t at, cut, at2, cut2;
		bool overflow;
	} cases[] = {
		{ 10, 5, 10, 5, true },
		{ 10, 5, 14, 1, true },
		{ 10, 5, 15, 1, false },
		{ 10, 5, 15, 0, false },
		{ 10, 5, 10, 0, false },
		{ 10, 5, 12, 0, true },
		{ 12, 0, 10, 5, true },
		{ 10, 0, 10, 0, false },
		{ 10, 5, 5, 5, false },
		{ 10, 5, 5, 6, true },
		{ 10, 5, 5, 20, true },
		{ 0, 1, sizeof(TEXT), 0, true },
		{ 0, 1, sizeof(TEXT) - 1, 0, false },
		{ 0, 1, sizeof(TEXT) - 2, 2, true },
		{ 0, 1, 20, UINT32_MAX, true },
	};
	struct stw_str v[STW_EDIT_SLICES_MAX];
	struct stw_edit edit;
	struct stw_msg msg;

	parse(&msg, fields, STW_STR(TEXT));
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		stw_edit_init(&edit, &msg);
		stw_edit_splice(&edit, cases[i].at, cases[i].cut, STW_STR("x"));
		stw_edit_splice(&edit, cases[i].at2, cases[i].cut2, STW_STR("y"));
		assert_int_equal(edit.overflow, cases[i].overflow);
		assert_int_equal(stw_edit_slices(&edit, v) == -ENOBUFS, cases[i].overflow);
	}
}

static void too_many_changes_are_refused(void **state)
{
	struct stw_str v[STW_EDIT_SLICES_MAX];
	struct stw_edit edit;
	struct stw_msg msg;

	parse(&msg, fields, STW_STR(TEXT TEXT TEXT));
	stw_edit_init(&edit, &msg);
	for (uint32_t i = STW_EDIT_MAX; i > 0; i--)
		stw_edit_splice(&edit, i, 0, STW_STR("x"));
	assert_int_equal(stw_edit_slices(&edit, v), STW_EDIT_SLICES_MAX);
	stw_edit_splice(&edit, 170, 0, STW_STR("x"));
	assert_int_equal(stw_edit_slices(&edit, v), -ENOBUFS);
}

static void first_value_of_a_list(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "Via: SIP/2.0/UDP a\r\n", "" },
		{ "Via: SIP/2.0/UDP a, SIP/2.0/UDP b\r\n", "Via: SIP/2.0/UDP b\r\n" },
		{ "v:SIP/2.0/UDP a,SIP/2.0/UDP b,SIP/2.0/UDP c\r\n",
			"v:SIP/2.0/UDP b,SIP/2.0/UDP c\r\n" },
		{ "Via: SIP/2.0/UDP a,\r\n SIP/2.0/UDP b\r\n", "Via: SIP/2.0/UDP b\r\n" },
		{ "VIA:\r\n SIP/2.0/UDP a\r\n\t,  SIP/2.0/UDP b\r\n",
			"VIA:\r\n SIP/2.0/UDP b\r\n" },
		{ "Via: SIP/2.0/UDP a;x=\"1,2\", SIP/2.0/UDP b\r\n", "Via: SIP/2.0/UDP b\r\n" },
		{ "Via: SIP/2.0/UDP a\r\nX: 1\r\nv: SIP/2.0/UDP b\r\n",
			"X: 1\r\nv: SIP/2.0/UDP b\r\n" },
		{ "X: 1\r\nVia: SIP/2.0/UDP a\r\n ;branch=1\r\nv: SIP/2.0/UDP b\r\n",
			"X: 1\r\nv: SIP/2.0/UDP b\r\n" },
		{ "X: 1\r\n", "X: 1\r\n" },
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		char in[256], out[256];
		struct stw_edit edit;
		struct stw_msg msg;

		snprintf(in, sizeof(in), START "%s\r\n", cases[i].in);
		snprintf(out, sizeof(out), START "%s\r\n", cases[i].out);
		parse(&msg, fields, stw_str_from(in));
		stw_edit_init(&edit, &msg);
		stw_edit_remove_first_value(&edit, STW_HDR_VIA);
		assert_edit(&edit, out);
	}
}

static void message_without_header_fields(void **state)
{
	struct stw_edit edit;
	struct stw_msg msg;

	parse(&msg, fields, STW_STR(START "\r\n"));
	stw_edit_init(&edit, &msg);
	stw_edit_append_field(&edit, STW_STR("B: 2\r\n"));
	stw_edit_splice(&edit, msg.headers_at, 0, STW_STR("C: 3\r\n"));
	stw_edit_remove_first_value(&edit, STW_HDR_ROUTE);
	assert_edit(&edit, START "B: 2\r\nC: 3\r\n\r\n");
}

static void assert_same_fields(const struct stw_msg *was, const struct stw_msg *is)
{
	assert_int_equal(is->field_count, was->field_count + 1);
	for (unsigned i = 0; i < was->field_count; i++) {
		const struct stw_field *a = &was->fields[i], *b = &is->fields[i + 1];

		assert_int_equal(a->header, b->header);
		assert_true(stw_str_equal(stw_field_name(was, a), stw_field_name(is, b)));
		if (a->header == STW_HDR_MAX_FORWARDS)
			assert_str(stw_field_value(is, b), "16");
		else
			assert_true(stw_str_equal(stw_field_value(was, a), stw_field_value(is, b)));
	}
}

/* What a proxy does to every message: a Via on top, Max-Forwards counted down, all else untouched.
 */
static void forward(struct stw_str text)
{
	static const char via[] = "Via: SIP/2.0/TCP proxy.example.com;branch=z9hG4bK-forwarded\r\n";
	const struct stw_field *hops;
	struct stw_msg was, is;
	struct stw_edit edit;
	struct stw_str out;

	parse(&was, fields, text);
	stw_edit_init(&edit, &was);
	out = apply(&edit);
	assert_int_equal(out.len, text.len);
	assert_memory_equal(out.ptr, text.ptr, text.len);
	release(out);

	stw_edit_insert_before(&edit, &was.fields[0], STW_STR(via));
	hops = stw_msg_find(&was, STW_HDR_MAX_FORWARDS);
	if (hops)
		stw_edit_set_value(&edit, hops, STW_STR("16"));
	out = apply(&edit);
	parse(&is, more_fields, out);
	assert_int_equal(is.start_len, was.start_len);
	assert_memory_equal(is.data, was.data, was.start_len);
	assert_same_fields(&was, &is);
	assert_true(stw_str_equal(stw_msg_body(&was), stw_msg_body(&is)));

	release(out);
}

static unsigned forward_folder(const char *folder_name)
{
	char path[512];
	struct dirent *entry;
	unsigned count = 0;
	DIR *folder;

	snprintf(path, sizeof(path), STW_SOURCE_ROOT "/%s", folder_name);
	folder = opendir(path);
	assert_non_null(folder);
	while ((entry = readdir(folder))) {
		char *text;
		size_t len;

		if (!strstr(entry->d_name, ".sip"))
			continue;
		snprintf(path, sizeof(path), "%.200s/%s", folder_name, entry->d_name);
		text = support_read_file(path, &len);
		forward((struct stw_str){ text, len });
		free(text);
		count++;
	}
	closedir(folder);
	return count;
}

static void flows_are_forwarded_unchanged(void **state)
{
	assert_int_equal(forward_folder("tests/torture/rfc3665"), 181);
	assert_int_equal(forward_folder("tests/torture/rfc5359"), 324);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_operation),
		cmocka_unit_test(insertion_beside_a_cut),
		cmocka_unit_test(overlapping_changes_are_refused),
		cmocka_unit_test(too_many_changes_are_refused),
		cmocka_unit_test(first_value_of_a_list),
		cmocka_unit_test(message_without_header_fields),
		cmocka_unit_test(flows_are_forwarded_unchanged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
