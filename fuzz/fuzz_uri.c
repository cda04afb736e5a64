/* uses: stw_message */
/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a URI, an address and a Via value; two URIs around a newline are compared. */
#include <strowger/message.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static bool is_within(struct stw_str outer, struct stw_str text)
{
	return !text.ptr || (text.ptr >= outer.ptr && text.ptr + text.len <= outer.ptr + outer.len);
}

static void uri_require(struct stw_str text, const struct stw_uri *uri)
{
	char *buffer = malloc(text.len + 1);

	require(is_within(text, uri->user) && is_within(text, uri->password));
	require(is_within(text, uri->host) && is_within(text, uri->params));
	require(is_within(text, uri->headers) && is_within(text, uri->opaque));
	require(stw_uri_equal(uri, uri));
	if (!buffer)
		return;
	/* What the parser let pass has no broken escape. */
	require(stw_unescape(uri->user, buffer) >= 0);
	free(buffer);
}

static void uri_try(struct stw_str text)
{
	size_t split = stw_str_find(text, '\n', 0);
	struct stw_uri a, b;

	if (stw_uri_parse(stw_str_cut(text, 0, split), &a) < 0)
		return;
	uri_require(text, &a);
	if (stw_uri_parse(stw_str_cut(text, split + 1, text.len), &b) == 0)
		require(stw_uri_equal(&a, &b) == stw_uri_equal(&b, &a));
}

static void values_try(struct stw_str text)
{
	char *buffer = malloc(text.len + 1);
	struct stw_address address;
	struct stw_param param;
	struct stw_via via;
	size_t at = 0;

	if (stw_address_parse(text, &address) == 0 && !address.wildcard) {
		uri_require(text, &address.uri);
		require(is_within(text, address.display) && is_within(text, address.tag));
		while (buffer && stw_param_next(address.params, &at, &param) > 0)
			require(stw_unquote(param.value, buffer).len <= param.value.len);
	}
	if (stw_via_parse(text, &via) == 0) {
		require(via.host.len && is_within(text, via.sent_by) &&
			is_within(text, via.params));
		require(is_within(text, via.received) && is_within(text, via.maddr));
	}
	free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A buffer of its own, so that a read behind it is seen. */
	char *bytes = malloc(size ? size : 1);
	struct stw_str text = { bytes, size };

	if (!bytes)
		return 0;
	memcpy(bytes, data, size);
	uri_try(text);
	values_try(text);
	free(bytes);
	return 0;
}
