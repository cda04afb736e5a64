/* uses: strowger_server */
/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as opening hours, as the rule of a time zone and as a file of the time zone database.
 */
#include <stdlib.h>
#include <string.h>

#include "server/hours/hours.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BEGIN_S INT64_C(1767225600) /* 1 January 2026 */
#define STEP_S  50021

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

/* What is closed opens when it is said to, and not a second before. */
static void hours_must(struct stw_str text)
{
	const struct stw_zone utc = { 0 };
	struct stw_hours hours;
	struct stw_str bad;

	if (stw_hours_parse(text, &hours, &bad) < 0)
		return;
	must(hours.n > 0 && hours.n <= STW_HOURS_SPANS_MAX);
	for (unsigned i = 0; i < 15; i++) {
		int64_t now_s = BEGIN_S + i * STEP_S;
		int64_t opens_s = now_s + stw_hours_wait_s(&hours, &utc, now_s * 1000);

		must(opens_s > now_s && opens_s <= now_s + 7 * 86400);
		must(stw_hours_hold(&hours, &utc, opens_s * 1000));
		if (!stw_hours_hold(&hours, &utc, now_s * 1000))
			must(!stw_hours_hold(&hours, &utc, opens_s * 1000 - 1));
	}
}

static void zone_must(const struct stw_zone *zone)
{
	for (int64_t i = 0; i < 50; i++) {
		int32_t offset_s = stw_zone_offset(zone, BEGIN_S + i * 61 * STEP_S);

		must(offset_s >= -26 * 3600 && offset_s <= 26 * 3600);
	}
	(void)stw_zone_offset(zone, -BEGIN_S);
	(void)stw_zone_offset(zone, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = malloc(size ? size : 1);
	struct stw_str text = { bytes, size };
	char buffer[STW_HOURS_TEXT_MAX];
	struct stw_arena arena;
	struct stw_zone zone;

	must(bytes != NULL);
	memcpy(bytes, data, size);
	hours_must(text);
	if (stw_zone_parse(text, &zone) == 0)
		zone_must(&zone);
	stw_arena_init(&arena, 1u << 20);
	if (stw_zone_read(bytes, size, &arena, &zone) == 0) {
		zone_must(&zone);
		must(stw_hours_text(&zone, BEGIN_S * 1000, buffer).len < STW_HOURS_TEXT_MAX);
	}
	stw_arena_done(&arena);
	free(bytes);
	return 0;
}
