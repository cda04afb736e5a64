/* uses: strowger_server */
/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what a web server says of a call: what is understood could stand in a SIP message.
 */
#include <errno.h>
#include <stdlib.h>

#include <strowger/message.h>

#include "server/hook/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void require_line(struct stw_str text)
{
	require(text.len <= STW_HOOK_TEXT_MAX);
	for (size_t i = 0; i < text.len; i++)
		require((unsigned char)text.ptr[i] >= ' ' && text.ptr[i] != 0x7f);
}

static void require_reply(const struct stw_hook_reply *reply)
{
	struct stw_uri uri;

	require(reply->code == 0 || (reply->code >= 400 && reply->code <= 699));
	require(reply->ttl_s <= 86400);
	require_line(reply->phrase);
	require_line(reply->reason);
	require(reply->action != STW_HOOK_REDIRECT || reply->contact_count > 0);
	for (unsigned i = 0; i < reply->contact_count; i++) {
		require_line(reply->contacts[i]);
		require(stw_uri_parse(reply->contacts[i], &uri) == 0);
		require(stw_str_find(reply->contacts[i], '>', 0) == reply->contacts[i].len);
	}
	for (unsigned i = 0; i < reply->header_count; i++) {
		require(stw_is_token(reply->headers[i].name));
		require_line(reply->headers[i].value);
	}
	for (unsigned i = 0; i < reply->class_count; i++)
		require(stw_is_token(reply->classes[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stw_hook_reply reply;
	struct stw_arena arena;
	const char *why = NULL;
	int err;

	stw_arena_init(&arena, 256 * 1024);
	err = stw_hook_reply_read(
		(struct stw_str){ (const char *)data, size }, &arena, &reply, &why);
	require(err == 0 || err == -ENOMEM || why);
	if (err == 0)
		require_reply(&reply);
	stw_arena_done(&arena);
	return 0;
}
