/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/message.h>

static const struct stw_status statuses[] = {
#define STATUS(code, phrase, rfc, status, methods, summary, reason, remedy, retry)                 \
	{ code, phrase, rfc, status, methods, summary, reason, remedy, retry },
#include "status.def"
#undef STATUS
};

/* The place of each row, in the order of the list. */
enum {
#define STATUS(code, phrase, rfc, status, methods, summary, reason, remedy, retry) PLACE_##code,
#include "status.def"
#undef STATUS
};

/* Place + 1 by code; 0: none. */
static const uint8_t places[700] = {
#define STATUS(code, phrase, rfc, status, methods, summary, reason, remedy, retry)                 \
	[code] = PLACE_##code + 1,
#include "status.def"
#undef STATUS
};

_Static_assert(STW_ARRAY_SIZE(statuses) < 256, "a place is held in one byte");

const struct stw_status *stw_status_find(unsigned code)
{
	unsigned place = code < STW_ARRAY_SIZE(places) ? places[code] : 0;

	return place ? &statuses[place - 1] : NULL;
}

const struct stw_status *stw_status_or_class(unsigned code)
{
	const struct stw_status *status = stw_status_find(code);

	if (status || code < 100 || code > 699)
		return status;
	return stw_status_find(code < 200 ? 183 : code - code % 100);
}

const struct stw_status *stw_status_all(size_t *ret_count)
{
	*ret_count = STW_ARRAY_SIZE(statuses);
	return statuses;
}

const char *stw_status_phrase(unsigned code)
{
	const struct stw_status *status = stw_status_find(code);

	return status ? status->phrase : "";
}
