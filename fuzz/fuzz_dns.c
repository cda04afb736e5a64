/* uses: stw_transport */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a name server may answer, of which the first byte chooses the question. */
#include <strowger/dns.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

static void text_must(const struct stw_dns_buffer *buffer, struct stw_str text, bool is_name)
{
	if (!text.len)
		return;
	must(text.ptr >= buffer->text &&
		text.ptr + text.len <= buffer->text + sizeof(buffer->text));
	must(!is_name || (text.len <= STW_DNS_NAME_MAX && stw_dns_name_valid(text)));
}

static void answer_must(const struct stw_dns_buffer *buffer, const struct stw_dns_answer *answer,
	enum stw_dns_type type)
{
	must(answer->n <= STW_DNS_RECORDS_MAX);
	must(answer->error == 0 || answer->error == -ENOENT || answer->error == -EIO);
	must((answer->n > 0) == (answer->error == 0));
	for (unsigned i = 0; i < answer->n; i++) {
		text_must(buffer, answer->records[i].target,
			type == STW_DNS_SRV || answer->records[i].terminal_srv);
		text_must(buffer, answer->records[i].service, false);
		must(type != STW_DNS_A || answer->records[i].addr.family == 4);
		must(type != STW_DNS_AAAA || answer->records[i].addr.family == 6);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum stw_dns_type types[] = { STW_DNS_A, STW_DNS_AAAA, STW_DNS_SRV,
		STW_DNS_NAPTR };
	enum stw_dns_type type = size ? types[data[0] % STW_ARRAY_SIZE(types)] : STW_DNS_A;
	struct stw_dns_buffer *buffer = malloc(sizeof(*buffer));
	struct stw_dns_answer answer;
	uint8_t *message;

	if (size < 1) {
		free(buffer);
		return 0;
	}
	message = malloc(size > 1 ? size - 1 : 1);
	must(message && buffer);
	memcpy(message, data + 1, size - 1);
	stw_dns_parse(message, size - 1, STW_STR("example.com"), type, buffer, &answer);
	answer_must(buffer, &answer, type);
	free(message);
	free(buffer);
	return 0;
}
