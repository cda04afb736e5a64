/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/message.h>

static const struct stw_status statuses[] = {
#define STATUS(code, phrase, rfc, status, methods, summary, reason, remedy, retry)                 \
	{ code, phrase, rfc, status, methods, summary, reason, remedy, retry },
#include "status.def"
#undef STATUS
};

const struct stw_status *stw_status_find(unsigned code)
{
	size_t low = 0, high = STW_ARRAY_SIZE(statuses);

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (statuses[middle].code < code)
			low = middle + 1;
		else
			high = middle;
	}
	return low < STW_ARRAY_SIZE(statuses) && statuses[low].code == code ? &statuses[low] : NULL;
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
