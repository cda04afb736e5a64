/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <assert.h>
#include <string.h>

#include "scan.h"

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

/* Filled from the list before main(), so that list and tables cannot differ. */
struct known_name known_names[STW_HEADERS];
uint8_t header_slots[HEADER_SLOTS];
uint8_t header_compacts[256];

_Static_assert(STW_HEADERS < 256, "a slot holds a header in one byte");

static void known_make(struct known_name *to, struct stw_str name)
{
	char word[NAME_BYTES_MAX] = { 0 }, mask[NAME_BYTES_MAX] = { 0 };
	size_t at;

	assert(name.len <= NAME_BYTES_MAX);
	for (at = 0; at < name.len; at++) {
		word[at] = name.ptr[at];
		mask[at] = char_is(name.ptr[at], CHAR_ALPHA) ? (char)~0x20 : (char)0xff;
	}
	memcpy(to->word, word, sizeof(word));
	memcpy(to->mask, mask, sizeof(mask));
	to->len = name.len;
}

static __attribute__((constructor)) void header_slots_fill(void)
{
	unsigned header, slot;
	char letter;

	for (header = 1; header < STW_HEADERS; header++) {
		known_make(&known_names[header], headers[header].name);
		slot = name_slot((const char *)known_names[header].word, known_names[header].len);
		while (header_slots[slot])
			slot = (slot + 1) % HEADER_SLOTS;
		header_slots[slot] = (uint8_t)header;
		letter = headers[header].compact;
		if (letter)
			header_compacts[(uint8_t)letter] =
				header_compacts[(uint8_t)(letter - 0x20)] = (uint8_t)header;
	}
}

/* §7.3.1, §7.3.3 */
enum stw_header stw_header_from(struct stw_str name)
{
	char padded[NAME_BYTES_MAX] = { 0 };

	if (name.len == 0 || name.len > NAME_BYTES_MAX)
		return STW_HDR_UNKNOWN;
	memcpy(padded, name.ptr, name.len);
	return header_of_name(padded, name.len);
}

struct stw_str stw_header_name(enum stw_header header)
{
	return (unsigned)header < STW_HEADERS ? headers[header].name : str_none();
}

unsigned stw_header_flags(enum stw_header header)
{
	return (unsigned)header < STW_HEADERS ? headers[header].flags : 0;
}
