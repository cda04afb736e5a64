/* SPDX-License-Identifier: Apache-2.0 */
/* Text from the network to be shown: what is not UTF-8, what would steer a terminal and what nobody
 * can see is told apart; in JSON it becomes U+FFFD, so that nothing is refused. */
#include "server/decision/decision.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bytes of the UTF-8 sequence at `text`, RFC 3629 §4; 0: none. */
static size_t utf8_length(const unsigned char *text, size_t len)
{
	static const struct {
		unsigned char first, last, low, high; /* first byte, and range of the second */
		size_t bytes;
	} forms[] = {
		{ 0x00, 0x7f, 0x00, 0xff, 1 },
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(forms); i++) {
		if (text[0] < forms[i].first || text[0] > forms[i].last)
			continue;
		if (forms[i].bytes > len)
			return 0;
		if (forms[i].bytes > 1 && (text[1] < forms[i].low || text[1] > forms[i].high))
			return 0;
		for (size_t k = 2; k < forms[i].bytes; k++) {
			if ((text[k] & 0xc0) != 0x80)
				return 0;
		}
		return forms[i].bytes;
	}
	return 0;
}

/* C0 and C1 controls (U+0080 to U+009F) and DEL: escape sequences begin with them. */
static bool is_control(const unsigned char *text, size_t bytes)
{
	return bytes == 1 ? *text < 0x20 || *text == 0x7f
			  : bytes == 2 && text[0] == 0xc2 && text[1] < 0xa0;
}

/* What no reader sees, or what turns the direction of what follows: a line could be made to look
 * like another one. Zero width, marks, embeddings, overrides and isolates (Unicode TR 36 §2.10),
 * line and paragraph separators, the byte order mark. */
static bool is_hidden(const unsigned char *text, size_t bytes)
{
	if (bytes == 2)
		return text[0] == 0xd8 && text[1] == 0x9c; /* U+061C */
	if (bytes != 3)
		return false;
	if (text[0] == 0xef)
		return text[1] == 0xbb && text[2] == 0xbf; /* U+FEFF */
	if (text[0] != 0xe2)
		return false;
	return (text[1] == 0x80 && ((text[2] >= 0x8b && text[2] <= 0x8f) ||          /* U+200B… */
					   (text[2] >= 0xa8 && text[2] <= 0xae))) || /* U+2028… */
	       (text[1] == 0x81 && text[2] >= 0xa0 && text[2] <= 0xaf);              /* U+2060… */
}

size_t stw_text_character(struct stw_str text, bool *ret_plain)
{
	const unsigned char *first = (const unsigned char *)text.ptr;
	size_t bytes = utf8_length(first, text.len);

	*ret_plain = bytes > 0 && !is_control(first, bytes) && !is_hidden(first, bytes);
	return bytes ? bytes : 1;
}

json_t *stw_json_text(struct stw_str text)
{
	size_t used = 0, bytes;
	bool plain;
	json_t *json;
	char *clean;

	if (!text.len)
		return json_string("");
	clean = malloc(3 * text.len);
	if (!clean)
		return NULL;
	for (; text.len; text = stw_str_cut(text, bytes, text.len)) {
		bytes = stw_text_character(text, &plain);
		memcpy(clean + used, plain ? text.ptr : "\xef\xbf\xbd", plain ? bytes : 3);
		used += plain ? bytes : 3;
	}
	json = json_stringn(clean, used);
	free(clean);
	return json;
}

json_t *stw_json_time(int64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm parts;
	char text[64];
	size_t len;

	if (wall_ms < 0 || !gmtime_r(&seconds, &parts))
		return json_string("");
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(text + len, sizeof(text) - len, ".%03dZ", (int)(wall_ms % 1000));
	return json_string(text);
}
