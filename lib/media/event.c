/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 4733 §2.3, table 3 of §3.2. */
#include "internal.h"

#include <errno.h>

static const char digits[] = "0123456789*#ABCD";

int stw_event_parse(const void *bytes, size_t len, struct stw_event *ret)
{
	const uint8_t *at = bytes;

	if (len < STW_EVENT_BYTES)
		return -EBADMSG;
	*ret = (struct stw_event){
		.event = at[0],
		.end = at[1] >> 7,
		.volume = at[1] & 63,
		.duration = get16(at + 2),
	};
	return 0;
}

void stw_event_write(const struct stw_event *event, uint8_t buffer[STW_EVENT_BYTES])
{
	buffer[0] = event->event;
	buffer[1] = (uint8_t)(event->end << 7 | (event->volume & 63));
	put16(buffer + 2, event->duration);
}

char stw_event_digit(uint8_t event)
{
	return event < sizeof(digits) - 1 ? digits[event] : '?';
}

int stw_event_of(char digit)
{
	const char *at;

	if (digit >= 'a' && digit <= 'd')
		digit = (char)(digit - 'a' + 'A');
	at = digit ? strchr(digits, digit) : NULL;
	return at ? (int)(at - digits) : -EINVAL;
}
