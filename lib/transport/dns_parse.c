/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A DNS response from the wire, RFC 1035 §4. Every byte comes from the network: compression
 * pointers go backwards only, sections are walked once for each CNAME, all counts have a bound.
 */
#include <strowger/dns.h>

#include <errno.h>
#include <string.h>

#define HEADER_BYTES  12
#define WALK_MAX      2048 /* records of an answer that are looked at, those of all walks */
#define CNAMES_MAX    8
#define POINTERS_MAX  127u
#define LABEL_MAX     63
#define TYPE_CNAME    5
#define TYPE_SOA      6
#define CLASS_IN      1
#define RCODE_NXNAME  3
#define SERVICE_BYTES 32 /* longer ones are no service of SIP */

struct wire {
	const uint8_t *data;
	size_t len;
};

struct name {
	char text[STW_DNS_NAME_MAX + 1];
	size_t len;
	bool odd; /* bytes that no host name has */
};

struct rr {
	struct name owner;
	unsigned type;
	uint32_t ttl_s;
	size_t data_at, data_len;
	size_t end;
};

const char *stw_dns_type_name(enum stw_dns_type type)
{
	switch (type) {
	case STW_DNS_A:
		return "A";
	case STW_DNS_AAAA:
		return "AAAA";
	case STW_DNS_SRV:
		return "SRV";
	case STW_DNS_NAPTR:
		return "NAPTR";
	}
	return "";
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

static struct stw_str without_final_dot(struct stw_str name)
{
	return name.len && name.ptr[name.len - 1] == '.' ? stw_str_cut(name, 0, name.len - 1)
							 : name;
}

bool stw_dns_name_valid(struct stw_str name)
{
	size_t label = 0;

	name = without_final_dot(name);
	if (!name.len || name.len > STW_DNS_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] != '.' && (!is_name_char(name.ptr[i]) || ++label > LABEL_MAX))
			return false;
		if (name.ptr[i] == '.') {
			if (!label)
				return false;
			label = 0;
		}
	}
	return label > 0;
}

/* ---- pieces ------------------------------------------------------------------------ */

static unsigned read16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

static uint32_t read32(const uint8_t *at)
{
	return (uint32_t)read16(at) << 16 | read16(at + 2);
}

static bool name_add_label(struct name *name, const uint8_t *label, size_t len)
{
	if (name->len + (name->len > 0) + len > STW_DNS_NAME_MAX)
		return false;
	if (name->len)
		name->text[name->len++] = '.';
	for (size_t i = 0; i < len; i++) {
		name->odd |= !is_name_char((char)label[i]);
		name->text[name->len++] = (char)label[i];
	}
	return true;
}

/* §4.1.4. A pointer leads before the place where the part it ends began: no loop is possible.
 * @return the offset behind the name in the record; 0 when it is malformed */
static size_t name_read(const struct wire *wire, size_t at, struct name *ret)
{
	size_t behind = 0, start = at;
	unsigned pointers = 0;

	ret->len = 0;
	ret->odd = false;
	for (;;) {
		unsigned len;

		if (at >= wire->len)
			return 0;
		len = wire->data[at++];
		if (len == 0)
			return behind ? behind : at;
		if (len <= LABEL_MAX) {
			if (at + len > wire->len || !name_add_label(ret, wire->data + at, len))
				return 0;
			at += len;
			continue;
		}
		/* No more than a name has labels: a long chain would be followed for each record.
		 */
		if (len < 0xc0 || at >= wire->len || pointers++ == POINTERS_MAX)
			return 0;
		if (!behind)
			behind = at + 1;
		at = (len & 0x3f) << 8 | wire->data[at];
		if (at >= start)
			return 0;
		start = at;
	}
}

static bool name_is(const struct name *name, struct stw_str text)
{
	return stw_str_equal_nocase((struct stw_str){ name->text, name->len }, text);
}

static bool rr_read(const struct wire *wire, size_t at, struct rr *ret)
{
	uint32_t ttl_s;

	at = name_read(wire, at, &ret->owner);
	if (!at || at + 10 > wire->len)
		return false;
	ret->type = read16(wire->data + at);
	if (read16(wire->data + at + 2) != CLASS_IN)
		ret->type = 0;
	ttl_s = read32(wire->data + at + 4);
	ret->ttl_s = ttl_s >> 31 ? 0 : ttl_s; /* RFC 2181 §8 */
	ret->data_len = read16(wire->data + at + 8);
	ret->data_at = at + 10;
	ret->end = ret->data_at + ret->data_len;
	return ret->end <= wire->len;
}

/* ---- records ----------------------------------------------------------------------------- */

static struct stw_str text_keep(struct stw_dns_buffer *buffer, struct stw_str text)
{
	char *at = buffer->text + buffer->text_len;

	if (text.len)
		memcpy(at, text.ptr, text.len);
	buffer->text_len += text.len;
	return (struct stw_str){ at, text.len };
}

/* Room for so much text: what replaced records have left behind is squeezed out. */
static bool text_room(struct stw_dns_buffer *buffer, unsigned count, size_t bytes)
{
	char old[STW_DNS_TEXT_BYTES];

	if (bytes <= sizeof(buffer->text) - buffer->text_len)
		return true;
	memcpy(old, buffer->text, buffer->text_len);
	buffer->text_len = 0;
	for (unsigned i = 0; i < count; i++) {
		struct stw_str *const texts[] = { &buffer->records[i].target,
			&buffer->records[i].service };

		for (unsigned j = 0; j < STW_ARRAY_SIZE(texts); j++) {
			if (texts[j]->len)
				texts[j]->ptr = old + (texts[j]->ptr - buffer->text);
			*texts[j] = text_keep(buffer, *texts[j]);
		}
	}
	return bytes <= sizeof(buffer->text) - buffer->text_len;
}

static bool record_read_addr(
	const struct wire *wire, const struct rr *rr, struct stw_dns_record *ret)
{
	size_t bytes = rr->type == STW_DNS_A ? 4 : 16;

	if (rr->data_len != bytes)
		return false;
	ret->addr.family = rr->type == STW_DNS_A ? 4 : 6;
	memcpy(ret->addr.ip, wire->data + rr->data_at, bytes);
	return true;
}

static bool record_read_srv(const struct wire *wire, const struct rr *rr,
	struct stw_dns_record *ret, struct name *ret_name)
{
	const uint8_t *data = wire->data + rr->data_at;

	if (rr->data_len < 7 || name_read(wire, rr->data_at + 6, ret_name) != rr->end)
		return false;
	ret->priority = (uint16_t)read16(data);
	ret->weight = (uint16_t)read16(data + 2);
	ret->port = (uint16_t)read16(data + 4);
	return !ret_name->odd && (ret->port || !ret_name->len);
}

/* One <character-string>; @return the offset behind it, 0 when it does not fit. */
static size_t string_read(const struct wire *wire, size_t at, size_t end, struct stw_str *ret)
{
	size_t len;

	if (at >= end)
		return 0;
	len = wire->data[at++];
	if (at + len > end)
		return 0;
	*ret = (struct stw_str){ (const char *)wire->data + at, len };
	return at + len;
}

/* RFC 3403 §4.1; of interest are those that lead to SRV records (RFC 3263 §4.1). */
static bool record_read_naptr(const struct wire *wire, const struct rr *rr,
	struct stw_dns_record *ret, struct name *ret_name)
{
	const uint8_t *data = wire->data + rr->data_at;
	struct stw_str flags, regexp;
	size_t at = rr->data_at + 4;

	if (rr->data_len < 8)
		return false;
	ret->priority = (uint16_t)read16(data);
	ret->weight = (uint16_t)read16(data + 2);
	at = string_read(wire, at, rr->end, &flags);
	if (at)
		at = string_read(wire, at, rr->end, &ret->service);
	if (at)
		at = string_read(wire, at, rr->end, &regexp);
	if (!at || name_read(wire, at, ret_name) != rr->end)
		return false;
	ret->terminal_srv = stw_str_equal_nocase(flags, STW_STR("s")) && !regexp.len &&
			    ret_name->len && !ret_name->odd;
	return ret->service.len <= SERVICE_BYTES;
}

/* Where a record goes: behind the others, or in the place of a worse one. NULL: nowhere. */
static struct stw_dns_record *record_place(
	struct stw_dns_buffer *buffer, unsigned *count, const struct stw_dns_record *record)
{
	struct stw_dns_record *worst = &buffer->records[0];

	if (*count < STW_DNS_RECORDS_MAX)
		return &buffer->records[(*count)++];
	for (unsigned i = 1; i < *count; i++) {
		if (buffer->records[i].priority > worst->priority)
			worst = &buffer->records[i];
	}
	return worst->priority > record->priority ? worst : NULL;
}

static bool record_take(const struct wire *wire, const struct rr *rr, struct stw_dns_buffer *buffer,
	unsigned *count)
{
	struct stw_dns_record record = { .priority = 0 }, *place;
	struct name name = { .len = 0 };
	bool good;

	if (rr->type == STW_DNS_SRV)
		good = record_read_srv(wire, rr, &record, &name);
	else if (rr->type == STW_DNS_NAPTR)
		good = record_read_naptr(wire, rr, &record, &name);
	else
		good = record_read_addr(wire, rr, &record);
	if (!good)
		return false;
	place = record_place(buffer, count, &record);
	if (!place)
		return true;
	*place = (struct stw_dns_record){ 0 };
	if (!text_room(buffer, *count, name.len + record.service.len)) {
		*place = buffer->records[--*count];
		return false;
	}
	record.target = text_keep(buffer, (struct stw_str){ name.text, name.len });
	record.service = text_keep(buffer, record.service);
	*place = record;
	return true;
}

/* ---- the message ---------------------------------------------------------------------------- */

struct reading {
	struct wire wire;
	struct stw_str wanted; /* the name, or where its CNAMEs have led */
	struct name alias;
	enum stw_dns_type type;
	unsigned answers, authorities, looked_at;
	size_t answers_at, authorities_at; /* 0: an answer before it is malformed */
	uint32_t ttl_s;
	unsigned count;
};

static bool message_begin(struct reading *reading, const uint8_t *message, size_t len)
{
	struct name question;
	size_t at;

	reading->wire = (struct wire){ message, len };
	/* A response (QR), whole (not TC), to one question. */
	if (len < HEADER_BYTES || !(message[2] & 0x80) || (message[2] & 0x02) ||
		read16(message + 4) != 1)
		return false;
	reading->answers = read16(message + 6);
	reading->authorities = read16(message + 8);
	at = name_read(&reading->wire, HEADER_BYTES, &question);
	if (!at || at + 4 > len || !name_is(&question, reading->wanted) ||
		read16(message + at) != (unsigned)reading->type)
		return false;
	reading->answers_at = at + 4;
	return true;
}

enum walk { WALK_BROKEN, WALK_NOTHING, WALK_ALIAS, WALK_RECORDS };

/* Once over the answers: the records of the wanted name, or its CNAME. */
static enum walk answers_walk(struct reading *reading, struct stw_dns_buffer *buffer)
{
	struct name alias = { .len = 0 };
	size_t at = reading->answers_at;
	uint32_t alias_ttl_s = 0;
	unsigned i;
	struct rr rr;

	for (i = 0; i < reading->answers && reading->looked_at < WALK_MAX; i++, at = rr.end) {
		reading->looked_at++;
		if (!rr_read(&reading->wire, at, &rr))
			return WALK_BROKEN;
		if (!name_is(&rr.owner, reading->wanted))
			continue;
		if (rr.type == TYPE_CNAME) {
			if (name_read(&reading->wire, rr.data_at, &alias) != rr.end)
				return WALK_BROKEN;
			alias_ttl_s = rr.ttl_s;
		} else if (rr.type == (unsigned)reading->type &&
			   record_take(&reading->wire, &rr, buffer, &reading->count)) {
			if (rr.ttl_s < reading->ttl_s)
				reading->ttl_s = rr.ttl_s;
		}
	}
	if (i == reading->answers)
		reading->authorities_at = at;
	if (reading->count)
		return WALK_RECORDS;
	if (!alias.len) /* what was not seen may hold it */
		return i == reading->answers ? WALK_NOTHING : WALK_BROKEN;
	if (alias_ttl_s < reading->ttl_s)
		reading->ttl_s = alias_ttl_s;
	reading->alias = alias;
	reading->wanted = (struct stw_str){ reading->alias.text, reading->alias.len };
	return WALK_ALIAS;
}

/* RFC 2308 §5: the lesser of the SOA's own time and its minimum field. */
static uint32_t negative_ttl_s(const struct reading *reading)
{
	size_t at = reading->authorities_at;
	uint32_t minimum_s;
	struct rr rr;

	for (unsigned i = 0; at && i < reading->authorities && i < CNAMES_MAX; i++, at = rr.end) {
		if (!rr_read(&reading->wire, at, &rr))
			break;
		if (rr.type != TYPE_SOA || rr.data_len < 22)
			continue;
		minimum_s = read32(reading->wire.data + rr.end - 4);
		return minimum_s < rr.ttl_s ? minimum_s : rr.ttl_s;
	}
	return STW_DNS_NEGATIVE_S;
}

void stw_dns_parse(const uint8_t *message, size_t len, struct stw_str name, enum stw_dns_type type,
	struct stw_dns_buffer *buffer, struct stw_dns_answer *ret)
{
	struct reading reading = {
		.wanted = without_final_dot(name), .type = type, .ttl_s = UINT32_MAX
	};
	enum walk walk = WALK_ALIAS;
	unsigned rcode;

	*ret = (struct stw_dns_answer){ .error = -EIO };
	buffer->text_len = 0;
	if (!message_begin(&reading, message, len))
		return;
	rcode = message[3] & 0x0f;
	if (rcode != 0 && rcode != RCODE_NXNAME)
		return;
	for (unsigned i = 0; walk == WALK_ALIAS && i <= CNAMES_MAX; i++)
		walk = answers_walk(&reading, buffer);
	if (walk == WALK_BROKEN || walk == WALK_ALIAS)
		return;
	if (walk == WALK_RECORDS && rcode == 0) {
		*ret = (struct stw_dns_answer){
			.ttl_s = reading.ttl_s, .records = buffer->records, .n = reading.count
		};
		return;
	}
	*ret = (struct stw_dns_answer){ .error = -ENOENT, .ttl_s = negative_ttl_s(&reading) };
	if (reading.ttl_s < ret->ttl_s)
		ret->ttl_s = reading.ttl_s;
}
