/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <assert.h>

static const struct {
	struct stw_str name;
	char compact;
	uint8_t flags;
} headers[STW_HEADERS] = {
#define X(id, name, compact, flags, rfc)                                                           \
	[STW_HDR_##id] = { { name, sizeof(name) - 1 }, compact, flags },
	STW_HEADER_LIST(X)
#undef X
};

/* Open addressing. Filled from the list before main(), so that list and table cannot differ. */
#define HEADER_SLOTS 512u
#define NAME_MAX     24u
static uint8_t slots[HEADER_SLOTS];
static uint8_t compacts[26];

_Static_assert(STW_HEADERS < 256, "a slot holds a header in one byte");

static unsigned name_hash(struct stw_str name)
{
	unsigned first = stw_char_lower[(uint8_t)name.ptr[0]];
	unsigned middle = stw_char_lower[(uint8_t)name.ptr[name.len / 2]];
	unsigned last = stw_char_lower[(uint8_t)name.ptr[name.len - 1]];

	return (unsigned)name.len * 37 + first * 5 + middle * 71 + last * 19;
}

static __attribute__((constructor)) void header_slots_fill(void)
{
	unsigned header, slot;

	for (header = 1; header < STW_HEADERS; header++) {
		assert(headers[header].name.len <= NAME_MAX);
		slot = name_hash(headers[header].name) % HEADER_SLOTS;
		while (slots[slot])
			slot = (slot + 1) % HEADER_SLOTS;
		slots[slot] = (uint8_t)header;
		if (headers[header].compact)
			compacts[headers[header].compact - 'a'] = (uint8_t)header;
	}
}

static bool name_equal(struct stw_str name, struct stw_str known)
{
	size_t at;

	if (name.len != known.len)
		return false;
	for (at = 0; at < name.len; at++)
		if (char_lower(name.ptr[at]) != char_lower(known.ptr[at]))
			return false;
	return true;
}

/* §7.3.1, §7.3.3 */
enum stw_header stw_header_from(struct stw_str name)
{
	unsigned slot;
	char letter;

	if (name.len == 1) {
		letter = char_lower(name.ptr[0]);
		return letter >= 'a' && letter <= 'z' ? (enum stw_header)compacts[letter - 'a']
						      : STW_HDR_UNKNOWN;
	}
	if (name.len == 0 || name.len > NAME_MAX)
		return STW_HDR_UNKNOWN;
	for (slot = name_hash(name) % HEADER_SLOTS; slots[slot]; slot = (slot + 1) % HEADER_SLOTS)
		if (name_equal(name, headers[slots[slot]].name))
			return (enum stw_header)slots[slot];
	return STW_HDR_UNKNOWN;
}

struct stw_str stw_header_name(enum stw_header header)
{
	return (unsigned)header < STW_HEADERS ? headers[header].name : str_none();
}

unsigned stw_header_flags(enum stw_header header)
{
	return (unsigned)header < STW_HEADERS ? headers[header].flags : 0;
}
