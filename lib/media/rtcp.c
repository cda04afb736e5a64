/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 3550 §6.1, §6.4, §6.5, §6.6. */
#include "internal.h"

#include <errno.h>

#define TYPE_SR     200
#define TYPE_RR     201
#define TYPE_SDES   202
#define TYPE_BYE    203
#define BLOCK_BYTES 24
#define CNAME       1

static void block_read(const uint8_t *at, struct stw_rtcp_block *ret)
{
	uint32_t lost = get32(at + 4) & 0xffffff;

	*ret = (struct stw_rtcp_block){
		.ssrc = get32(at),
		.fraction_lost = at[4],
		.lost = lost & 0x800000 ? (int32_t)lost - 0x1000000 : (int32_t)lost,
		.highest = get32(at + 8),
		.jitter = get32(at + 12),
		.last_sr = get32(at + 16),
		.delay = get32(at + 20),
	};
}

/* An SR or RR of `len` bytes. */
static int report_read(const uint8_t *at, size_t len, uint32_t about, struct stw_rtcp *ret)
{
	unsigned count = at[0] & 31;
	size_t head = at[1] == TYPE_SR ? 28 : 8;
	struct stw_rtcp_block block;

	if (len < head + (size_t)count * BLOCK_BYTES)
		return -EBADMSG;
	ret->ssrc = get32(at + 4);
	if (at[1] == TYPE_SR) {
		ret->sender = true;
		ret->ntp = (uint64_t)get32(at + 8) << 32 | get32(at + 12);
		ret->timestamp = get32(at + 16);
		ret->packets = get32(at + 20);
		ret->octets = get32(at + 24);
	}
	for (unsigned i = 0; i < count; i++) {
		block_read(at + head + (size_t)i * BLOCK_BYTES, &block);
		if ((about && block.ssrc != about) || (!about && ret->has_block))
			continue;
		ret->block = block;
		ret->has_block = true;
	}
	return 0;
}

/* The CNAME of the first chunk. */
static int sdes_read(const uint8_t *at, size_t len, struct stw_rtcp *ret)
{
	size_t item = 8;

	if (!(at[0] & 31))
		return 0;
	if (len < 12)
		return -EBADMSG;
	while (item < len && at[item]) {
		if (item + 2 > len || item + 2 + at[item + 1] > len)
			return -EBADMSG;
		if (at[item] == CNAME)
			ret->cname = (struct stw_str){ (const char *)at + item + 2, at[item + 1] };
		item += (size_t)at[item + 1] + 2;
	}
	return item < len ? 0 : -EBADMSG;
}

int stw_rtcp_parse(const void *bytes, size_t len, uint32_t about, struct stw_rtcp *ret)
{
	const uint8_t *at = bytes;
	bool first = true;
	size_t part;
	int err = 0;

	*ret = (struct stw_rtcp){ 0 };
	if (!len)
		return -EBADMSG;
	while (len) {
		if (len < 4 || at[0] >> 6 != 2)
			return -EBADMSG;
		part = ((size_t)get16(at + 2) + 1) * 4;
		if (part > len || (first && (part < 8 || (at[1] != TYPE_SR && at[1] != TYPE_RR))))
			return -EBADMSG;
		if (at[1] == TYPE_SR || at[1] == TYPE_RR)
			err = report_read(at, part, about, ret);
		else if (at[1] == TYPE_SDES)
			err = sdes_read(at, part, ret);
		else if (at[1] == TYPE_BYE)
			ret->bye = true;
		if (err < 0)
			return err;
		first = false;
		at += part;
		len -= part;
	}
	return 0;
}

static void block_write(const struct stw_rtcp_block *block, uint8_t *at)
{
	put32(at, block->ssrc);
	put32(at + 4, (uint32_t)block->lost & 0xffffff);
	at[4] = block->fraction_lost;
	put32(at + 8, block->highest);
	put32(at + 12, block->jitter);
	put32(at + 16, block->last_sr);
	put32(at + 20, block->delay);
}

static void part_head(uint8_t *at, unsigned count, unsigned type, size_t bytes)
{
	at[0] = (uint8_t)(2 << 6 | count);
	at[1] = (uint8_t)type;
	put16(at + 2, (unsigned)(bytes / 4 - 1));
}

size_t stw_rtcp_write(const struct stw_rtcp *rtcp, void *buffer, size_t size)
{
	size_t head = rtcp->sender ? 28 : 8, report = head + (rtcp->has_block ? BLOCK_BYTES : 0);
	size_t sdes = (8 + 2 + rtcp->cname.len) / 4 * 4 + 4, bye = rtcp->bye ? 8 : 0;
	uint8_t *at = buffer;

	if (rtcp->cname.len > 255 || size < report + sdes + bye)
		return 0;
	memset(at, 0, report + sdes + bye);
	part_head(at, rtcp->has_block, rtcp->sender ? TYPE_SR : TYPE_RR, report);
	put32(at + 4, rtcp->ssrc);
	if (rtcp->sender) {
		put32(at + 8, (uint32_t)(rtcp->ntp >> 32));
		put32(at + 12, (uint32_t)rtcp->ntp);
		put32(at + 16, rtcp->timestamp);
		put32(at + 20, rtcp->packets);
		put32(at + 24, rtcp->octets);
	}
	if (rtcp->has_block)
		block_write(&rtcp->block, at + head);
	at += report;
	part_head(at, 1, TYPE_SDES, sdes);
	put32(at + 4, rtcp->ssrc);
	at[8] = CNAME;
	at[9] = (uint8_t)rtcp->cname.len;
	if (rtcp->cname.len)
		memcpy(at + 10, rtcp->cname.ptr, rtcp->cname.len);
	if (bye) {
		part_head(at + sdes, 1, TYPE_BYE, 8);
		put32(at + sdes + 4, rtcp->ssrc);
	}
	return report + sdes + bye;
}
