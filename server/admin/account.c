/* SPDX-License-Identifier: Apache-2.0 */
#include "server/admin/account.h"

#include <errno.h>
#include <string.h>

static bool has_scheme(struct stw_str text)
{
	return stw_str_starts(text, STW_STR("sip:")) || stw_str_starts(text, STW_STR("sips:"));
}

static bool is_printable(struct stw_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
			return false;
	}
	return true;
}

static int account_uri(const struct stw_config *config, struct stw_str text,
	struct stw_arena *arena, struct stw_uri *ret)
{
	bool at = stw_str_find(text, '@', 0) < text.len;
	struct stw_str full;
	int err;

	err = stw_arena_printf(arena, &full, "%s%.*s%s%.*s",
		has_scheme(text) ? "" : "sip:", STW_STR_ARG(text), at ? "" : "@",
		at ? 0 : (int)config->domains[0].len, config->domains[0].ptr);
	if (err < 0)
		return err;
	if (stw_uri_parse(full, ret) < 0 || !ret->user.len || ret->password.ptr || ret->port ||
		ret->params.len || ret->headers.len)
		return -EINVAL;
	return 0;
}

/* As it may be written: each byte of the name escaped, behind a scheme. */
#define TEXT_MAX (3 * STW_ACCOUNT_NAME_MAX + sizeof("sips:"))

static int account_too_long(char ret_error[200])
{
	snprintf(ret_error, 200, "a user is 1 to %d printable characters: user or user@domain",
		STW_ACCOUNT_NAME_MAX);
	return -EINVAL;
}

int stw_account_parse(const struct stw_config *config, struct stw_str text, struct stw_arena *arena,
	struct stw_account *ret, char ret_error[200])
{
	struct stw_account account;
	struct stw_uri uri;
	char *user;
	int err, len;

	if (!text.len || text.len > TEXT_MAX || !is_printable(text))
		return account_too_long(ret_error);
	err = account_uri(config, text, arena, &uri);
	if (err < 0) {
		snprintf(ret_error, 200, "%.*s is no user of the form user or user@domain",
			STW_STR_ARG(text));
		return err;
	}
	account.domain = stw_config_domain(config, uri.host);
	if (!account.domain.len) {
		snprintf(ret_error, 200, "%.*s is none of the domains in the configuration",
			STW_STR_ARG(uri.host));
		return -EINVAL;
	}
	user = stw_arena_bytes(arena, uri.user.len);
	if (!user)
		return -ENOMEM;
	len = stw_unescape(uri.user, user);
	account.user = (struct stw_str){ user, len > 0 ? (size_t)len : 0 };
	if (len <= 0 || !is_printable(account.user)) {
		snprintf(ret_error, 200,
			"%.*s has an escape that stands for no printable character",
			STW_STR_ARG(text));
		return -EINVAL;
	}
	if (account.user.len + 1 + account.domain.len > STW_ACCOUNT_NAME_MAX)
		return account_too_long(ret_error);
	if (stw_aor_canonical(&uri, arena, &account.aor) < 0)
		return -ENOMEM;
	*ret = account;
	return 0;
}

int stw_account_row(const struct stw_account *account, struct stw_str password,
	struct stw_arena *arena, struct stw_user_row *ret, char ret_error[200])
{
	struct stw_str full;
	int err;

	if (!password.len || password.len > STW_PASSWORD_MAX || !is_printable(password)) {
		snprintf(ret_error, 200, "a password is 1 to %d printable characters",
			STW_PASSWORD_MAX);
		return -EINVAL;
	}
	err = stw_arena_printf(arena, &full, "%.*s@%.*s", STW_STR_ARG(account->user),
		STW_STR_ARG(account->domain));
	if (err < 0)
		return err;
	ret->user = account->user;
	ret->domain = account->domain;
	err = stw_ha1_make(account->user, account->domain, password, &ret->ha1_user);
	if (err == 0)
		err = stw_ha1_make(full, account->domain, password, &ret->ha1_user_domain);
	if (err < 0)
		snprintf(ret_error, 200, "the digest library failed");
	return err;
}
