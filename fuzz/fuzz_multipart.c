/* uses: stw_message */
/* SPDX-License-Identifier: Apache-2.0 */
/* A line with a Content-Type, then a body: its parts stand in it one behind the other. */
#include <strowger/message.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

static void within(struct stw_str body, struct stw_str text)
{
	must(!text.ptr || (text.ptr >= body.ptr && text.ptr + text.len <= body.ptr + body.len));
}

static void walk(struct stw_str type, struct stw_str body)
{
	const char *end = body.ptr;
	struct stw_multipart multipart;
	struct stw_part part;
	size_t parts = 0;

	if (stw_multipart_begin(type, body, &multipart) < 0)
		return;
	while (stw_multipart_next(&multipart, &part) > 0) {
		must(++parts <= body.len);
		within(body, part.headers);
		within(body, part.content_type);
		within(body, part.content_disposition);
		within(body, part.body);
		must(!part.body.len || part.body.ptr >= end);
		if (part.body.len)
			end = part.body.ptr + part.body.len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = malloc(size ? size : 1);
	struct stw_str text = { bytes, size };
	size_t line;

	must(bytes != NULL);
	memcpy(bytes, data, size);
	line = stw_str_find(text, '\n', 0);
	walk(stw_str_cut(text, 0, line), stw_str_cut(text, line + 1, size));
	free(bytes);
	return 0;
}
