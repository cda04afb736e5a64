/* uses: strowger_server */
/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as text of the log, and as a user that an administrator names: what is logged is JSON
 * that shows as it is; an address-of-record that is understood stays the same when read again. */
#include <stdlib.h>
#include <string.h>

#include "server/admin/account.h"
#include "server/decision/decision.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

/* Controls, separators, and what turns or hides text; the text is UTF-8 already. */
static bool is_shown(const unsigned char *text)
{
	unsigned code;

	if (text[0] < 0x80)
		return text[0] >= 0x20 && text[0] != 0x7f;
	if (text[0] == 0xc2)
		return text[1] >= 0xa0;
	if (text[0] == 0xd8)
		return text[1] != 0x9c;
	if ((text[0] & 0xf0) != 0xe0)
		return true;
	code = (text[0] & 15u) << 12 | (text[1] & 63u) << 6 | (text[2] & 63u);
	return !(code >= 0x200b && code <= 0x200f) && !(code >= 0x2028 && code <= 0x202e) &&
	       !(code >= 0x2060 && code <= 0x206f) && code != 0xfeff &&
	       !(code >= 0xd800 && code <= 0xdfff);
}

static void log_must(struct stw_str text)
{
	json_t *json = stw_json_text(text), *again;
	char *line;

	must(json != NULL);
	line = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
	must(line != NULL);
	for (size_t i = 0; line[i]; i++)
		must((line[i] & 0xc0) == 0x80 || is_shown((const unsigned char *)line + i));
	again = json_loads(line, JSON_DECODE_ANY, NULL);
	must(again && json_equal(json, again));
	free(line);
	json_decref(again);
	json_decref(json);
}

static void account_must(const struct stw_config *config, struct stw_str text)
{
	struct stw_account account, again;
	struct stw_arena arena;
	char why[200];

	stw_arena_init(&arena, 1u << 16);
	if (stw_account_parse(config, text, &arena, &account, why) == 0) {
		must(account.user.len && account.domain.len);
		must(stw_account_parse(config, account.aor, &arena, &again, why) == 0);
		must(stw_str_equal(account.aor, again.aor));
		must(stw_str_equal(account.user, again.user));
	}
	stw_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char yaml[] = "domains: [example.com, \"[2001:db8::1]\", 192.0.2.1]\n";
	static struct stw_config *config;
	struct stw_config_errors errors = { .n = 0 };
	char *bytes = malloc(size ? size : 1);
	struct stw_str text = { bytes, size };

	must(bytes != NULL);
	memcpy(bytes, data, size);
	if (!config)
		must(stw_config_parse("fuzz", yaml, sizeof(yaml) - 1, &errors, &config) == 0);
	log_must(text);
	if (size <= 4096)
		account_must(config, text);
	free(bytes);
	return 0;
}
