/* uses: stw_registrar */
/* SPDX-License-Identifier: Apache-2.0 */
/* REGISTERs one after the other, each behind a byte for the seconds before it and two for its
 * length: what is granted keeps to the options, and what the 200 says can be read. */
#include <strowger/registrar.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct stw_field fields[STW_MSG_FIELDS_MAX];
static const struct stw_registrar_options options = { 60, 3600, 1800, 4, false, false };

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

static void contacts_must(const struct stw_bindings *bindings, struct stw_now now)
{
	static char text[400000];
	struct stw_writer writer;
	struct stw_str lines, value;
	struct stw_address address;
	size_t end, at = 0;
	unsigned n = 0;

	stw_writer_init(&writer, text, sizeof(text));
	stw_bindings_write_contacts(&writer, bindings, now);
	must(!writer.overflow);
	lines = stw_writer_text(&writer);
	for (; at < lines.len; at = end + 2) {
		end = stw_str_find(lines, '\r', at);
		must(end + 1 < lines.len && lines.ptr[end + 1] == '\n');
		value = stw_str_cut(lines, at, end);
		value = stw_str_trim(
			stw_str_cut(value, stw_str_find(value, ':', 0) + 1, value.len));
		must(stw_address_parse(value, &address) == 0 && !address.wildcard);
		n++;
	}
	must(n == bindings->n);
}

static void bindings_must(const struct stw_bindings *bindings, struct stw_now now)
{
	struct stw_binding binding;
	size_t cursor = 0;

	must(bindings->n <= options.max_bindings);
	while (stw_bindings_next(bindings, &cursor, &binding)) {
		must(binding.expires_ms > now.wall_ms);
		must(binding.expires_ms <= now.wall_ms + (int64_t)options.max_expires_s * 1000);
		must(binding.q <= 1000 && binding.uri.len);
	}
	contacts_must(bindings, now);
}

/* @return the bindings after it */
static struct stw_bindings *apply(
	struct stw_bindings *old, const struct stw_msg *msg, struct stw_now now)
{
	struct stw_hop source = { .transport = STW_TRANSPORT_UDP,
		.remote = { .family = 4, .ip = { 192, 0, 2, 7 }, .port = 5060 } };
	struct stw_str headers = STW_STR_NONE;
	struct stw_bindings *next = NULL;
	struct stw_register request;

	if (!stw_register_parse(
		    msg, STW_STR("sip:a@example.com"), &source, &options, &request, &headers) &&
		!stw_register_apply(old, &request, &options, now, &next)) {
		bindings_must(next, now);
		free(old);
		old = next;
	}
	stw_register_done(&request);
	return old;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stw_now now = { 1000, 1700000000000 };
	struct stw_bindings *bindings = NULL;
	struct stw_fault fault;
	size_t at = 0, len;

	while (at + 3 <= size) {
		struct stw_msg msg = { .fields = fields, .field_capacity = STW_MSG_FIELDS_MAX };
		char *text;

		now.wall_ms += data[at] * 10000;
		len = (size_t)data[at + 1] << 8 | data[at + 2];
		at += 3;
		len = len < size - at ? len : size - at;
		text = malloc(len ? len : 1);
		must(text != NULL);
		memcpy(text, data + at, len);
		at += len;
		if (stw_msg_parse(&msg, text, len, NULL, &fault) == 0 &&
			stw_msg_check(&msg, &fault) == 0 && msg.is_request)
			bindings = apply(bindings, &msg, now);
		free(text);
	}
	free(bindings);
	return 0;
}
