/* SPDX-License-Identifier: Apache-2.0 */
/* Text from the network as JSON: what is not UTF-8 becomes U+FFFD, so that nothing is lost or
 * refused. */
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

json_t *stw_json_text(struct stw_str text)
{
	json_t *json = text.len ? json_stringn(text.ptr, text.len) : json_string("");
	size_t at = 0, used = 0, bytes;
	char *clean;

	if (json)
		return json;
	clean = malloc(3 * text.len);
	if (!clean)
		return NULL;
	while (at < text.len) {
		bytes = utf8_length((const unsigned char *)text.ptr + at, text.len - at);
		if (bytes > 0) {
			memcpy(clean + used, text.ptr + at, bytes);
			used += bytes;
			at += bytes;
		} else {
			memcpy(clean + used, "\xef\xbf\xbd", 3);
			used += 3;
			at++;
		}
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
