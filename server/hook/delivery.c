/* SPDX-License-Identifier: Apache-2.0 */
#include "server/hook/delivery.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

struct line {
	TAILQ_ENTRY(line) link;
	size_t len;
	char text[];
};

struct stw_delivery {
	TAILQ_HEAD(, line) lines; /* oldest first */
	size_t max_lines, max_bytes;
	unsigned sending; /* so many of the first are on their way */
	uint64_t due_ms, retry_ms;
	struct stw_delivery_stats stats;
};

int stw_delivery_new(size_t max_lines, size_t max_bytes, struct stw_delivery **ret)
{
	struct stw_delivery *delivery = calloc(1, sizeof(*delivery));

	if (!delivery)
		return -ENOMEM;
	delivery->max_lines = max_lines;
	delivery->max_bytes = max_bytes;
	delivery->retry_ms = STW_DELIVERY_RETRY_MS;
	TAILQ_INIT(&delivery->lines);
	*ret = delivery;
	return 0;
}

static void line_remove(struct stw_delivery *delivery, struct line *line)
{
	TAILQ_REMOVE(&delivery->lines, line, link);
	delivery->stats.waiting--;
	delivery->stats.bytes -= line->len;
	free(line);
}

/* The oldest that is not on its way goes. */
static bool make_room(struct stw_delivery *delivery, size_t bytes)
{
	struct stw_delivery_stats *stats = &delivery->stats;
	struct line *line;

	if (bytes > delivery->max_bytes)
		return false;
	while (stats->waiting >= delivery->max_lines ||
		stats->bytes + bytes > delivery->max_bytes) {
		line = TAILQ_FIRST(&delivery->lines);
		for (unsigned i = 0; line && i < delivery->sending; i++)
			line = TAILQ_NEXT(line, link);
		if (!line)
			return false;
		line_remove(delivery, line);
		stats->lost++;
	}
	return true;
}

void stw_delivery_put(struct stw_delivery *delivery, struct stw_str text)
{
	struct line *line = NULL;

	if (make_room(delivery, text.len))
		line = malloc(sizeof(*line) + text.len);
	if (!line) {
		delivery->stats.lost++;
		return;
	}
	line->len = text.len;
	memcpy(line->text, text.ptr, text.len);
	TAILQ_INSERT_TAIL(&delivery->lines, line, link);
	delivery->stats.waiting++;
	delivery->stats.bytes += text.len;
}

uint64_t stw_delivery_due(const struct stw_delivery *delivery)
{
	return delivery->sending || TAILQ_EMPTY(&delivery->lines) ? UINT64_MAX : delivery->due_ms;
}

int stw_delivery_begin(struct stw_delivery *delivery, uint64_t now_ms, struct stw_str *ret)
{
	const struct line *line;
	size_t bytes = 0, at = 0;
	unsigned n = 0;
	char *text;

	if (stw_delivery_due(delivery) > now_ms)
		return -EAGAIN;
	TAILQ_FOREACH(line, &delivery->lines, link)
	{
		if (n && (n == STW_DELIVERY_BATCH_LINES ||
				 bytes + line->len > STW_DELIVERY_BATCH_BYTES))
			break;
		bytes += line->len;
		n++;
	}
	text = malloc(bytes ? bytes : 1);
	if (!text)
		return -ENOMEM;
	line = TAILQ_FIRST(&delivery->lines);
	for (unsigned i = 0; i < n; i++, line = TAILQ_NEXT(line, link)) {
		memcpy(text + at, line->text, line->len);
		at += line->len;
	}
	delivery->sending = n;
	*ret = (struct stw_str){ text, bytes };
	return 0;
}

void stw_delivery_end(struct stw_delivery *delivery, enum stw_delivery_end end, uint64_t now_ms)
{
	unsigned n = delivery->sending;

	delivery->sending = 0;
	if (end != STW_DELIVERY_TAKEN)
		delivery->stats.failures++;
	if (end == STW_DELIVERY_FAILED) {
		delivery->due_ms = now_ms + delivery->retry_ms;
		delivery->retry_ms *= 2;
		if (delivery->retry_ms > STW_DELIVERY_RETRY_MAX_MS)
			delivery->retry_ms = STW_DELIVERY_RETRY_MAX_MS;
		return;
	}
	for (unsigned i = 0; i < n; i++)
		line_remove(delivery, TAILQ_FIRST(&delivery->lines));
	if (end == STW_DELIVERY_TAKEN)
		delivery->stats.delivered += n;
	else
		delivery->stats.lost += n;
	delivery->due_ms = now_ms;
	delivery->retry_ms = STW_DELIVERY_RETRY_MS;
}

enum stw_delivery_end stw_delivery_end_of(unsigned status)
{
	if (status / 100 == 2)
		return STW_DELIVERY_TAKEN;
	return status / 100 == 4 && status != 408 && status != 429 ? STW_DELIVERY_REFUSED
								   : STW_DELIVERY_FAILED;
}

void stw_delivery_stats(const struct stw_delivery *delivery, struct stw_delivery_stats *ret)
{
	*ret = delivery->stats;
}

struct stw_delivery *stw_delivery_free(struct stw_delivery *delivery)
{
	while (delivery && !TAILQ_EMPTY(&delivery->lines))
		line_remove(delivery, TAILQ_FIRST(&delivery->lines));
	free(delivery);
	return NULL;
}
