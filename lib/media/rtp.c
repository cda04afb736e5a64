/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 3550 §5.1 and §5.3.1; appendices A.1, A.3, A.8. */
#include "internal.h"

#include <errno.h>

#define HEADER_BYTES  12
#define DROPOUT_MAX   3000 /* A.1: a larger jump begins anew */
#define MISORDER_MAX  100
#define CYCLE         65536u
#define RTCP_TYPE_MIN 192 /* RFC 5761 §4 */
#define RTCP_TYPE_MAX 223

int stw_rtp_parse(const void *bytes, size_t len, struct stw_rtp *ret)
{
	const uint8_t *at = bytes;
	size_t head, padding = 0;

	if (len < HEADER_BYTES || at[0] >> 6 != 2)
		return -EBADMSG;
	head = HEADER_BYTES + (size_t)(at[0] & 15) * 4;
	if (at[0] & 0x10) {
		if (len < head + 4)
			return -EBADMSG;
		head += 4 + (size_t)get16(at + head + 2) * 4;
	}
	if (len < head)
		return -EBADMSG;
	if (at[0] & 0x20) {
		padding = at[len - 1];
		if (!padding || padding > len - head)
			return -EBADMSG;
	}
	*ret = (struct stw_rtp){
		.marker = at[1] >> 7,
		.payload_type = at[1] & 127,
		.sequence = get16(at + 2),
		.timestamp = get32(at + 4),
		.ssrc = get32(at + 8),
		.payload = at + head,
		.payload_bytes = len - head - padding,
	};
	return 0;
}

size_t stw_rtp_write(const struct stw_rtp *rtp, void *buffer, size_t size)
{
	uint8_t *at = buffer;

	if (size < HEADER_BYTES || rtp->payload_bytes > size - HEADER_BYTES)
		return 0;
	at[0] = 2 << 6;
	at[1] = (uint8_t)(rtp->marker << 7 | rtp->payload_type);
	put16(at + 2, rtp->sequence);
	put32(at + 4, rtp->timestamp);
	put32(at + 8, rtp->ssrc);
	if (rtp->payload_bytes)
		memcpy(at + HEADER_BYTES, rtp->payload, rtp->payload_bytes);
	return HEADER_BYTES + rtp->payload_bytes;
}

bool stw_rtp_is_rtcp(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	return len >= 8 && at[0] >> 6 == 2 && at[1] >= RTCP_TYPE_MIN && at[1] <= RTCP_TYPE_MAX;
}

static bool source_begin(struct stw_rtp_source *source, const struct stw_rtp *rtp, uint32_t arrival)
{
	*source = (struct stw_rtp_source){
		.begun = true,
		.ssrc = rtp->ssrc,
		.first = rtp->sequence,
		.highest = rtp->sequence,
		.received = 1,
		.transit = arrival - rtp->timestamp,
	};
	return true;
}

bool stw_rtp_source_receive(
	struct stw_rtp_source *source, const struct stw_rtp *rtp, uint32_t arrival)
{
	uint16_t ahead = (uint16_t)(rtp->sequence - source->highest);
	uint32_t transit = arrival - rtp->timestamp;
	int32_t change = (int32_t)(transit - source->transit);

	if (!source->begun || rtp->ssrc != source->ssrc)
		return source_begin(source, rtp, arrival);
	if (ahead && ahead < DROPOUT_MAX)
		source->highest += ahead;
	else if (ahead && ahead <= CYCLE - MISORDER_MAX)
		return source_begin(source, rtp, arrival);
	else if (ahead)
		source->reordered++;
	source->received++;
	source->transit = transit;
	source->jitter += ((change < 0 ? -(double)change : (double)change) - source->jitter) / 16;
	if (source->jitter > source->jitter_max)
		source->jitter_max = source->jitter;
	return false;
}

uint64_t stw_rtp_source_expected(const struct stw_rtp_source *source)
{
	return source->begun ? (uint64_t)(source->highest - source->first) + 1 : 0;
}

uint64_t stw_rtp_source_lost(const struct stw_rtp_source *source)
{
	uint64_t expected = stw_rtp_source_expected(source);

	return expected > source->received ? expected - source->received : 0;
}

void stw_rtp_source_block(struct stw_rtp_source *source, struct stw_rtcp_block *ret)
{
	uint64_t expected = stw_rtp_source_expected(source);
	int64_t lost = (int64_t)(expected - source->received);
	uint64_t interval = expected - source->expected_prior;
	int64_t missing = (int64_t)interval - (int64_t)(source->received - source->received_prior);

	source->expected_prior = expected;
	source->received_prior = source->received;
	if (lost > 0x7fffff)
		lost = 0x7fffff;
	*ret = (struct stw_rtcp_block){
		.ssrc = source->ssrc,
		.fraction_lost = interval && missing > 0
					 ? (uint8_t)((uint64_t)missing * 256 / interval > 255
							     ? 255
							     : (uint64_t)missing * 256 / interval)
					 : 0,
		.lost = lost < -0x800000 ? -0x800000 : (int32_t)lost,
		.highest = source->highest,
		.jitter = (uint32_t)source->jitter,
	};
}
