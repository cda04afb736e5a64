/* SPDX-License-Identifier: Apache-2.0 */
#include "server/hook/hook.h"

#include <errno.h>
#include <stdlib.h>

static char *copy(struct stw_str text)
{
	char *bytes = malloc(text.len + 1);

	if (!bytes)
		return NULL;
	if (text.len)
		memcpy(bytes, text.ptr, text.len);
	bytes[text.len] = 0;
	return bytes;
}

int stw_hook_question_new(struct stw_str url, struct stw_str body, struct stw_hook_question **ret)
{
	struct stw_hook_question *question = calloc(1, sizeof(*question));

	if (!question)
		return -ENOMEM;
	question->url = copy(url);
	question->body = (struct stw_str){ copy(body), body.len };
	if (!question->url || !question->body.ptr) {
		stw_hook_question_free(question);
		return -ENOMEM;
	}
	*ret = question;
	return 0;
}

struct stw_hook_question *stw_hook_question_free(struct stw_hook_question *question)
{
	if (!question)
		return NULL;
	free(question->url);
	free((void *)(uintptr_t)question->body.ptr);
	free(question->answer);
	free(question);
	return NULL;
}
