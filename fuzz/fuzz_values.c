/* uses: stw_transport */
/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as each value that header fields are made of, one after the other. */
#include <strowger/message.h>
#include <strowger/transport.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

static bool is_within(struct stw_str outer, struct stw_str text)
{
	return !text.ptr || (text.ptr >= outer.ptr && text.ptr + text.len <= outer.ptr + outer.len);
}

static void try_numbers(struct stw_str text)
{
	struct stw_cseq cseq;
	uint32_t seconds;
	unsigned q;

	if (stw_cseq_parse(text, &cseq) == 0)
		must(cseq.number < UINT32_C(1) << 31 && stw_is_token(cseq.name) &&
			is_within(text, cseq.name));
	if (stw_qvalue_parse(text, &q) == 0)
		must(q <= 1000 && text.len <= 5);
	if (stw_delta_seconds_parse(text, &seconds) == 0) {
		for (size_t i = 0; i < text.len; i++)
			must(text.ptr[i] >= '0' && text.ptr[i] <= '9');
	}
}

/* A date that is understood is written as one that means the same; those before 1970 and beyond the
 * year 9999 (a leap second) are written as the nearest. */
static void try_date(struct stw_str text)
{
	char written[STW_DATE_BYTES];
	int64_t seconds, again;

	if (stw_date_parse(text, &seconds) < 0 || seconds < 0 || seconds > INT64_C(253402300799))
		return;
	stw_date_write(seconds, written);
	must(stw_date_parse(stw_str_from(written), &again) == 0 && again == seconds);
}

static void try_host(struct stw_str text)
{
	char written[STW_ADDR_TEXT_MAX];
	struct stw_addr addr, again;
	enum stw_host_kind kind;
	struct stw_target target;
	struct stw_str host;
	struct stw_uri uri;

	if (stw_host_parse(text, &host, &kind) == 0)
		must(host.len && is_within(text, host));
	if (stw_addr_from_host(text, 5060, &addr) == 0) {
		host = stw_addr_ip_text(&addr, written);
		must(stw_addr_from_host(host, 5060, &again) == 0 && stw_addr_equal(&addr, &again));
	}
	if (stw_uri_parse(text, &uri) == 0)
		(void)stw_target_from_uri(&uri, &target);
}

static void try_params(struct stw_str text)
{
	char *buffer = malloc(text.len + 1);
	struct stw_param param;
	struct stw_str value;
	size_t at = 0, before = 0;

	must(buffer != NULL);
	while (stw_param_next(text, &at, &param) > 0) {
		must(at > before && is_within(text, param.name) && is_within(text, param.value));
		must(param.name.len && stw_param_find(text, param.name, &value));
		must(stw_unquote(param.value, buffer).len <= param.value.len);
		before = at;
	}
	(void)stw_unescape(text, buffer);
	free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = malloc(size ? size : 1);
	struct stw_str text = { bytes, size };

	must(bytes != NULL);
	memcpy(bytes, data, size);
	try_numbers(text);
	try_date(text);
	try_host(text);
	try_params(text);
	for (size_t at = 0; at < size; at++)
		must(at + stw_lws_length(text, at) <= size);
	free(bytes);
	return 0;
}
