/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <assert.h>
#include <string.h>

#include "scan.h"

static const struct {
	struct stw_str name;
	char compact;
} headers[STW_HEADERS] = {
#define X(id, name, compact, flags, rfc) [STW_HDR_##id] = { { name, sizeof(name) - 1 }, compact },
	STW_HEADER_LIST(X)
#undef X
};

const uint8_t header_flags[STW_HEADERS] = {
#define X(id, name, compact, flags, rfc) [STW_HDR_##id] = flags,
	STW_HEADER_LIST(X)
#undef X
};

/* Filled from the list before main(), so that list and tables cannot differ. */
struct name_tables name_tables;

_Static_assert(STW_HEADERS < 256, "a slot holds a header in one byte");

static void known_make(struct known_name *to, struct stw_str name)
{
	size_t at;

	assert(name.len <= NAME_BYTES_MAX);
	memset(to, 0xff, sizeof(*to));
	for (at = 0; at < name.len; at++) {
		to->fold[at] = char_is(name.ptr[at], CHAR_ALPHA) ? 0x20 : 0;
		to->text[at] = (uint8_t)name.ptr[at] | to->fold[at];
	}
	to->fold[at] = 0;
	to->text[at] = ':';
}

/* A name as it stands in a message: behind the end of a line, before its colon, and nothing that
 * may not be read. */
#define NAME_FRONT  2
#define NAME_PADDED (NAME_FRONT + NAME_BYTES_MAX + 1)

static void padded_make(char padded[NAME_PADDED], struct stw_str name)
{
	memset(padded, 0, NAME_PADDED);
	memcpy(padded, "\r\n", NAME_FRONT);
	memcpy(padded + NAME_FRONT, name.ptr, name.len);
	padded[NAME_FRONT + name.len] = ':';
}

static __attribute__((constructor)) void header_slots_fill(void)
{
	char padded[NAME_PADDED], letter;
	unsigned header;
	uint8_t *slots;
	size_t slot, len;

	/* No bytes are those of a free slot. */
	memset(name_tables.known[STW_HDR_UNKNOWN].fold, 0xff, NAME_BYTES_MAX + 1);
	for (header = 1; header < STW_HEADERS; header++) {
		len = headers[header].name.len;
		known_make(&name_tables.known[header], headers[header].name);
		padded_make(padded, headers[header].name);
		slots = len > NAME_BYTES_SHORT ? name_tables.long_slots : name_tables.slots;
		slot = name_slot(padded + NAME_FRONT, padded + NAME_FRONT + len);
		while (slots[slot])
			slot = (slot + 1) % HEADER_SLOTS;
		slots[slot] = (uint8_t)header;
		letter = headers[header].compact;
		if (letter)
			name_tables.compacts[(uint8_t)letter] =
				name_tables.compacts[(uint8_t)(letter - 0x20)] = (uint8_t)header;
	}
}

/* §7.3.1, §7.3.3 */
enum stw_header stw_header_from(struct stw_str name)
{
	char padded[NAME_PADDED], *start = padded + NAME_FRONT;
	bool is_long = name.len > NAME_BYTES_SHORT;
	const uint8_t *slots = is_long ? name_tables.long_slots : name_tables.slots;
	const struct known_name *known;
	size_t slot, header;

	if (name.len == 1)
		return (enum stw_header)name_tables.compacts[(uint8_t)name.ptr[0]];
	if (name.len == 0 || name.len > NAME_BYTES_MAX)
		return STW_HDR_UNKNOWN;
	padded_make(padded, name);
	for (slot = name_slot(start, start + name.len); (header = slots[slot]);
		slot = (slot + 1) % HEADER_SLOTS) {
		known = &name_tables.known[header];
		if (name_bytes_are(start, known, 0) &&
			(!is_long || name_bytes_are(start, known, 16)))
			break;
	}
	return (enum stw_header)header;
}

struct stw_str stw_header_name(enum stw_header header)
{
	return (unsigned)header < STW_HEADERS ? headers[header].name : str_none();
}

unsigned stw_header_flags(enum stw_header header)
{
	return (unsigned)header < STW_HEADERS ? header_flags[header] : 0;
}
