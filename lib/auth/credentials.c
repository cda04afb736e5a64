/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <openssl/crypto.h>

/* The parameters of digest-response, RFC 3261 §25.1 and RFC 7616 §3.4. */
enum part {
	PART_USERNAME,
	PART_USERNAME_EXT,
	PART_REALM,
	PART_NONCE,
	PART_URI,
	PART_RESPONSE,
	PART_ALGORITHM,
	PART_CNONCE,
	PART_OPAQUE,
	PART_QOP,
	PART_NC,
	PARTS
};

#define PART(text)                                                                                 \
	{                                                                                          \
		(text), sizeof(text) - 1                                                           \
	}

static const struct stw_str part_names[PARTS] = {
	[PART_USERNAME] = PART("username"),
	[PART_USERNAME_EXT] = PART("username*"),
	[PART_REALM] = PART("realm"),
	[PART_NONCE] = PART("nonce"),
	[PART_URI] = PART("uri"),
	[PART_RESPONSE] = PART("response"),
	[PART_ALGORITHM] = PART("algorithm"),
	[PART_CNONCE] = PART("cnonce"),
	[PART_OPAQUE] = PART("opaque"),
	[PART_QOP] = PART("qop"),
	[PART_NC] = PART("nc"),
};

static enum part part_from(struct stw_str name)
{
	unsigned part;

	for (part = 0; part < PARTS; part++) {
		if (name.len == part_names[part].len &&
			stw_str_equal_nocase(name, part_names[part]))
			break;
	}
	return (enum part)part;
}

/* A parameter that stands twice is refused: two readers could take different ones. */
static int parts_read(struct stw_str value, struct stw_str parts[PARTS])
{
	struct auth_param param;
	size_t at;
	int more = auth_scheme(value, &at);

	if (more < 0)
		return more;
	while ((more = auth_param_next(value, &at, &param)) > 0) {
		enum part part = part_from(param.name);

		if (part == PARTS)
			continue;
		if (parts[part].ptr)
			return -EBADMSG;
		parts[part] = param.value;
	}
	return more;
}

/* RFC 7616 §3.4: username*=UTF-8''… in the encoding of RFC 5987. */
static int username_decode(struct stw_str value, struct stw_credentials *ret)
{
	const struct stw_str charset = STW_STR("UTF-8'");
	size_t quote;
	int len;

	if (!stw_str_equal_nocase(stw_str_cut(value, 0, charset.len), charset))
		return -EBADMSG;
	quote = stw_str_find(value, '\'', charset.len);
	if (quote >= value.len)
		return -EBADMSG;
	value = stw_str_cut(value, quote + 1, value.len);
	if (value.len >= sizeof(ret->username_text))
		return -EBADMSG;
	len = stw_unescape(value, ret->username_text);
	if (len < 0)
		return len;
	ret->username = (struct stw_str){ ret->username_text, (size_t)len };
	return 0;
}

static int username_read(const struct stw_str parts[PARTS], struct stw_credentials *ret)
{
	struct stw_str name = parts[PART_USERNAME];
	int len;

	if (parts[PART_USERNAME_EXT].ptr && name.ptr)
		return -EBADMSG;
	if (parts[PART_USERNAME_EXT].ptr)
		return username_decode(parts[PART_USERNAME_EXT], ret);
	if (!name.ptr)
		return -EBADMSG;
	len = auth_unescape(name, ret->username_text, sizeof(ret->username_text) - 1);
	if (len < 0)
		return -EBADMSG;
	ret->username = name;
	if ((size_t)len < name.len)
		ret->username = (struct stw_str){ ret->username_text, (size_t)len };
	return 0;
}

/* auth-int and auth are all that we offer; a qop needs cnonce and nc (RFC 7616 §3.4). */
static int qop_check(const struct stw_credentials *credentials)
{
	uint32_t nc;

	if (!credentials->qop.ptr)
		return 0;
	if (!stw_str_equal_nocase(credentials->qop, STW_STR("auth")) &&
		!stw_str_equal_nocase(credentials->qop, STW_STR("auth-int")))
		return -EBADMSG;
	if (!credentials->cnonce.len)
		return -EBADMSG;
	return auth_nc_parse(credentials->nc, &nc);
}

static int response_check(const struct stw_credentials *credentials)
{
	struct stw_str response = credentials->response;

	if (response.len != 2 * stw_digest_bytes(credentials->algorithm))
		return -EBADMSG;
	for (size_t i = 0; i < response.len; i++) {
		if (OPENSSL_hexchar2int((unsigned char)response.ptr[i]) < 0)
			return -EBADMSG;
	}
	return 0;
}

/* `ret->realm` is set as far as it could be read, also on failure. */
static int credentials_read(struct stw_str value, struct stw_credentials *ret)
{
	struct stw_str parts[PARTS] = { 0 };
	int err = parts_read(value, parts);

	*ret = (struct stw_credentials){
		.algorithm = STW_DIGEST_MD5,
		.realm = parts[PART_REALM],
		.nonce = parts[PART_NONCE],
		.uri = parts[PART_URI],
		.response = parts[PART_RESPONSE],
		.cnonce = parts[PART_CNONCE],
		.opaque = parts[PART_OPAQUE],
		.qop = parts[PART_QOP],
		.nc = parts[PART_NC],
	};
	if (err < 0)
		return err;
	if (!ret->realm.ptr || !ret->nonce.len || !ret->uri.len || !ret->response.len)
		return -EBADMSG;
	if (parts[PART_ALGORITHM].ptr &&
		stw_digest_from(parts[PART_ALGORITHM], &ret->algorithm) < 0)
		return -ENOTSUP;
	err = username_read(parts, ret);
	if (err < 0)
		return err;
	err = qop_check(ret);
	if (err < 0)
		return err;
	return response_check(ret);
}

/* `username` may point into the structure itself. */
static void credentials_move(const struct stw_credentials *from, struct stw_credentials *to)
{
	*to = *from;
	if (from->username.ptr == from->username_text)
		to->username.ptr = to->username_text;
}

int stw_credentials_parse(struct stw_str value, struct stw_credentials *ret)
{
	struct stw_credentials read;
	int err = credentials_read(value, &read);

	if (err < 0)
		return err;
	credentials_move(&read, ret);
	return 0;
}

/* RFC 3261 §22.3: a request may carry credentials for several realms, one a line. */
int stw_credentials_find(const struct stw_msg *msg, enum stw_header header, struct stw_str realm,
	struct stw_credentials *ret)
{
	const struct stw_field *field = stw_msg_find(msg, header);
	int result = -ENOENT;

	for (; field; field = stw_msg_find_next(msg, field)) {
		struct stw_credentials read;
		int err = credentials_read(stw_field_value(msg, field), &read);

		if (err == -ENOENT || (read.realm.ptr && !auth_unescaped_equal(read.realm, realm)))
			continue;
		if (err == 0) {
			credentials_move(&read, ret);
			return 0;
		}
		if (result == -ENOENT)
			result = err;
	}
	return result;
}
