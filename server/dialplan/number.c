/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>

#include "server/dialplan/dialplan.h"

/* RFC 3966 §3: visual-separator; people also write spaces. */
static bool separator(char c)
{
	return c == '-' || c == '.' || c == '(' || c == ')' || c == ' ';
}

static bool symbol(char c)
{
	return isdigit((unsigned char)c) || c == '+' || c == '*' || c == '#';
}

int stw_number_from_text(struct stw_str text, char *buffer, struct stw_str *ret)
{
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (separator(text.ptr[i]))
			continue;
		if (!symbol(text.ptr[i]))
			return -EBADMSG;
		if (len == STW_NUMBER_MAX)
			return -ENOBUFS;
		buffer[len++] = text.ptr[i];
	}
	*ret = (struct stw_str){ buffer, len };
	return len > 0 ? 0 : -EBADMSG;
}

int stw_number_from_uri(const struct stw_uri *uri, char *buffer, struct stw_str *ret)
{
	/* Escapes and separators make a number longer, but not without end. */
	char plain[STW_NUMBER_MAX * 6];
	struct stw_str user = uri->user;
	int len;

	if (!user.ptr)
		return -EBADMSG;
	/* A telephone-subscriber in a SIP URI carries its parameters in the user part, RFC 3261
	 * §19.1.6. */
	user = stw_str_cut(user, 0, stw_str_find(user, ';', 0));
	if (user.len > sizeof(plain))
		return -ENOBUFS;
	len = stw_unescape(user, plain);
	if (len < 0)
		return len;
	return stw_number_from_text((struct stw_str){ plain, (size_t)len }, buffer, ret);
}
