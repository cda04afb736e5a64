/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trunk/internal.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A slot keeps its trunk for good: names come and go by reload only. */
struct slot {
	atomic_uint_least64_t name;     /* hash; 0: free */
	atomic_uint_least64_t until_ms; /* monotonic; 0: not registered */
};

#define SLOTS (4 * STW_CONFIG_TRUNKS_MAX)

struct stw_trunk_board {
	struct slot slots[SLOTS];
};

int stw_trunk_board_new(struct stw_trunk_board **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

static uint64_t name_hash(struct stw_str name)
{
	return stw_hash((struct stw_hash_key){ 0 }, name.ptr, name.len) | 1;
}

bool stw_trunk_board_has(
	const struct stw_trunk_board *board, struct stw_str trunk, struct stw_now now)
{
	uint64_t name = name_hash(trunk);

	for (unsigned i = 0; i < SLOTS; i++) {
		if (atomic_load_explicit(&board->slots[i].name, memory_order_acquire) == name)
			return atomic_load_explicit(&board->slots[i].until_ms,
				       memory_order_relaxed) > now.mono_ms;
	}
	return false;
}

void board_set(struct stw_trunk_board *board, struct stw_str trunk, uint64_t until_ms)
{
	uint64_t name = name_hash(trunk), there;

	for (unsigned i = 0; i < SLOTS; i++) {
		there = atomic_load_explicit(&board->slots[i].name, memory_order_relaxed);
		if (there && there != name)
			continue;
		atomic_store_explicit(&board->slots[i].until_ms, until_ms, memory_order_relaxed);
		atomic_store_explicit(&board->slots[i].name, name, memory_order_release);
		return;
	}
}

struct stw_trunk_board *stw_trunk_board_free(struct stw_trunk_board *board)
{
	free(board);
	return NULL;
}

struct stw_str stw_trunk_contact(
	struct stw_hash_key key, struct stw_str trunk, char buffer[STW_TRUNK_CONTACT_BYTES])
{
	struct stw_hasher hasher;
	struct stw_writer writer;
	uint64_t hash;

	stw_hasher_init(&hasher, key);
	stw_hasher_text(&hasher, STW_STR("trunk contact"));
	stw_hasher_text(&hasher, trunk);
	hash = stw_hasher_value(&hasher);
	stw_writer_init(&writer, buffer, STW_TRUNK_CONTACT_BYTES);
	stw_write_char(&writer, 't');
	stw_write_hex(&writer, &hash, sizeof(hash));
	return stw_writer_text(&writer);
}
