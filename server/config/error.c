/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/internal.h"

#include <stdio.h>
#include <string.h>

#define QUOTED_MAX 64

void config_error(struct config_context *context, struct config_mark mark, const char *format, ...)
{
	struct stw_config_errors *errors = context->errors;
	struct stw_config_error *error;
	va_list args;

	if (errors->n == STW_ARRAY_SIZE(errors->v))
		return;
	error = &errors->v[errors->n++];
	error->line = mark.line;
	error->column = mark.column;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
}

const char *config_quote(struct stw_str text, char buffer[96])
{
	size_t len = text.len < QUOTED_MAX ? text.len : QUOTED_MAX;
	char *at = buffer;

	/* Never cut within a UTF-8 character. */
	while (len < text.len && len > 0 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
		len--;
	*at++ = '"';
	for (size_t i = 0; i < len; i++)
		*at++ = (unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f ? '?'
										 : text.ptr[i];
	strcpy(at, len < text.len ? "...\"" : "\"");
	return buffer;
}
