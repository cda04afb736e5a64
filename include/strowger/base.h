/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * base: what every layer stands on, and nothing of SIP. Borrowed text, arenas,
 * hash tables, the timer wheel, rings between threads, seeded random numbers.
 *
 * Nothing here does I/O or reads a clock. Errors are negative errno values:
 * -ENOMEM no memory, -ENOBUFS a limit reached, -EBADMSG malformed input.
 */
#ifndef STROWGER_BASE_H
#define STROWGER_BASE_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define STW_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define STW_ARRAY_SIZE(array)               (sizeof(array) / sizeof((array)[0]))
#define STW_PRINTF(format_at, args_at)      __attribute__((format(printf, format_at, args_at)))

#define STW_CACHE_LINE_BYTES 64

/** Asks for memory that is needed soon and was not looked at for long. NULL: nothing. */
static inline void stw_fetch(const void *memory, size_t bytes)
{
	for (size_t at = 0; memory && at < bytes; at += STW_CACHE_LINE_BYTES)
		__builtin_prefetch((const char *)memory + at);
}

/** The time, as the caller read it. Timers use the first, Date and expiries the second. */
struct stw_now {
	uint64_t mono_ms; /* monotonic clock, milliseconds */
	int64_t wall_ms;  /* milliseconds since 1970-01-01 UTC */
};

/* ---- str: borrowed text ------------------------------------------------- */

/** Borrowed text: valid while the buffer or arena it points into lives. Not NUL-terminated. */
struct stw_str {
	const char *ptr;
	size_t len; /* bytes */
};

#define STW_STR(literal) ((struct stw_str){ (literal), sizeof(literal) - 1 })
#define STW_STR_NONE     ((struct stw_str){ NULL, 0 })
#define STW_STR_ARG(s)   (int)(s).len, (s).ptr /* for "%.*s" */

/** Borrow a NUL-terminated string; NULL gives an empty one. */
static inline struct stw_str stw_str_from(const char *text)
{
	return (struct stw_str){ text, text ? strlen(text) : 0 };
}
/** Equal byte for byte. */
static inline bool stw_str_equal(struct stw_str a, struct stw_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
/** Equal when ASCII letters are compared without case (RFC 3261 §7.3.1). */
bool stw_str_equal_nocase(struct stw_str a, struct stw_str b);
/** Byte for byte. An empty prefix: true. */
bool stw_str_starts(struct stw_str text, struct stw_str prefix);
/** Without leading and trailing SP, HTAB, CR and LF. */
struct stw_str stw_str_trim(struct stw_str text);
/** First `byte` at or after `from`; `text.len` when there is none. */
size_t stw_str_find(struct stw_str text, char byte, size_t from);
/** The part [from, to); both are clamped to the text. */
static inline struct stw_str stw_str_cut(struct stw_str text, size_t from, size_t to)
{
	if (to > text.len)
		to = text.len;
	if (from > to)
		from = to;
	/* No arithmetic on the NULL of an empty text. */
	return (struct stw_str){ from ? text.ptr + from : text.ptr, to - from };
}
/**
 * Decimal digits only, the whole text.
 * @return 0; -EBADMSG when empty or not digits; -ERANGE when above `max`
 */
int stw_str_to_uint(struct stw_str text, uint64_t max, uint64_t *ret);

/* ---- large pieces ---------------------------------------------------------- */

/*
 * Where the number of things is limited, each has a share of the memory. Pieces that are larger
 * than this are beyond it: whoever limits counts their bytes. NULL: nobody does.
 */
#define STW_LARGE_BYTES 3072u

static inline void stw_large_add(size_t *large_bytes, size_t bytes)
{
	if (bytes > STW_LARGE_BYTES && large_bytes)
		*large_bytes += bytes;
}
static inline void stw_large_remove(size_t *large_bytes, size_t bytes)
{
	if (bytes > STW_LARGE_BYTES && large_bytes)
		*large_bytes -= bytes;
}

/* ---- arena: one owner for many small pieces ------------------------------ */

struct stw_arena_chunk;

/** Grows by chunks up to a limit; freed all at once. Poisoned for AddressSanitizer where unused. */
struct stw_arena {
	struct stw_arena_chunk *chunk; /* the newest */
	size_t used_bytes;             /* handed out, with padding */
	size_t limit_bytes;
	size_t next_chunk_bytes;
	size_t *large_bytes; /* its large chunks are counted there; set before the first use */
};

/** Embedded. Allocates nothing until the first use. */
void stw_arena_init(struct stw_arena *arena, size_t limit_bytes);
/** Aligned for any type, uninitialised. NULL when the limit is reached or no memory is left. */
void *stw_arena_alloc(struct stw_arena *arena, size_t bytes);
/** As alloc, filled with zeros. */
void *stw_arena_zalloc(struct stw_arena *arena, size_t bytes);
/** Bytes without alignment, for text. */
char *stw_arena_bytes(struct stw_arena *arena, size_t bytes);
/** Copy text; the copy is followed by a NUL that is not counted. @return 0, -ENOMEM */
int stw_arena_copy(struct stw_arena *arena, struct stw_str text, struct stw_str *ret);
/** printf into the arena. @return 0, -ENOMEM */
int stw_arena_printf(struct stw_arena *arena, struct stw_str *ret, const char *format, ...)
	STW_PRINTF(3, 4);
/** Forget all contents, keep the largest chunk for the next use. */
void stw_arena_reset(struct stw_arena *arena);
/** Free all. The arena may be used again. */
void stw_arena_done(struct stw_arena *arena);
/** The same for what holds passwords: nothing of it stays in memory. */
void stw_arena_wipe(struct stw_arena *arena);

/* ---- writer: text into a fixed buffer ------------------------------------ */

/** Appends text to a buffer; what does not fit sets `overflow` and is dropped whole. */
struct stw_writer {
	char *ptr;
	size_t len, capacity; /* bytes */
	bool overflow;
};

/** The buffer stays the caller's and must outlive the writer. No NUL is ever appended. */
static inline void stw_writer_init(struct stw_writer *writer, char *buffer, size_t capacity)
{
	*writer = (struct stw_writer){ .ptr = buffer, .capacity = capacity };
}
/* Each call is one piece: it fits whole, or nothing of it is written and `overflow` is set. */
static inline void stw_write_str(struct stw_writer *writer, struct stw_str text)
{
	if (text.len > writer->capacity - writer->len) {
		writer->overflow = true;
	} else if (text.len) {
		memcpy(writer->ptr + writer->len, text.ptr, text.len);
		writer->len += text.len;
	}
}
/** A NUL-terminated string. */
static inline void stw_write_text(struct stw_writer *writer, const char *text)
{
	stw_write_str(writer, stw_str_from(text));
}
static inline void stw_write_char(struct stw_writer *writer, char byte)
{
	if (writer->len == writer->capacity)
		writer->overflow = true;
	else
		writer->ptr[writer->len++] = byte;
}
/** Decimal. */
void stw_write_uint(struct stw_writer *writer, uint64_t number);
/** Two lower-case digits a byte, in the order of memory. */
void stw_write_hex(struct stw_writer *writer, const void *bytes, size_t len);
void stw_write_format(struct stw_writer *writer, const char *format, ...) STW_PRINTF(2, 3);
/** What has been written; borrowed from the buffer. */
static inline struct stw_str stw_writer_text(const struct stw_writer *writer)
{
	return (struct stw_str){ writer->ptr, writer->len };
}

/* ---- slice lists: what is sent ------------------------------------------- */

/** A list of borrowed byte ranges sent one after the other (scatter-gather). */
struct stw_slices {
	const struct stw_str *v;
	unsigned n;
};

/** Sum of the lengths. */
size_t stw_slices_bytes(struct stw_slices slices);
/** Copy all into `buffer` of at least stw_slices_bytes(). */
void stw_slices_flatten(struct stw_slices slices, char *buffer);

/* ---- memory of a thread ---------------------------------------------------- */

/**
 * Pieces for what lives as long as a transaction: each thread keeps some of those that it was given
 * back (of each size to 4 KiB at most 1 MiB) and takes them first, so that the road of a message
 * does not meet the allocator. Any thread may give what another took. @return NULL: none
 */
void *stw_memory_take(size_t bytes);
void *stw_memory_take_zeros(size_t bytes);
/** @param bytes as it was taken. Accepts NULL. */
void stw_memory_give(void *ptr, size_t bytes);
/** How many bytes of each size a thread keeps; 0: none. Before anything is given back. */
void stw_memory_keep(size_t bytes);
/** What has been free for a while goes back to the system, where the program's allocator is
 * jemalloc. Any thread, now and then. */
void stw_memory_return(void);

/* ---- hash and table ------------------------------------------------------- */

/** SipHash key: secret, so that a peer can neither aim at one bucket nor forge a mark. */
struct stw_hash_key {
	uint64_t k0, k1;
};

/** SipHash-1-3 of the bytes, for tables: what a peer must not forge takes a stw_hasher. */
uint64_t stw_hash(struct stw_hash_key key, const void *bytes, size_t len);
/** The same with ASCII letters folded to lower case. */
uint64_t stw_hash_nocase(struct stw_hash_key key, const void *bytes, size_t len);
/** One of two parts, so that ("ab", "c") and ("a", "bc") differ; also without case. */
uint64_t stw_hash_pair(struct stw_hash_key key, struct stw_str a, struct stw_str b);
uint64_t stw_hash_nocase_pair(struct stw_hash_key key, struct stw_str a, struct stw_str b);

/** One hash over several parts (SipHash-2-4), told apart likewise. Embedded. */
struct stw_hasher {
	uint64_t v0, v1, v2, v3;
};

void stw_hasher_init(struct stw_hasher *hasher, struct stw_hash_key key);
void stw_hasher_text(struct stw_hasher *hasher, struct stw_str text);
/** The same for texts that are equal without case. */
void stw_hasher_text_nocase(struct stw_hasher *hasher, struct stw_str text);
void stw_hasher_number(struct stw_hasher *hasher, uint64_t number);
/** The hash of what was added so far; more may be added. */
uint64_t stw_hasher_value(const struct stw_hasher *hasher);

/** Embedded in what a table holds. */
struct stw_node {
	struct stw_node *next;
	uint64_t hash;
};

struct stw_table_place;

/** Hash table of embedded nodes. Grows by itself; never shrinks. */
struct stw_table {
	struct stw_table_place *places;
	size_t mask;                    /* places - 1; 0 before the first insert */
	size_t used;                    /* places */
	size_t count;                   /* nodes */
	struct stw_node *overflow;      /* for which there was neither a place nor memory */
	struct stw_table_place *larger; /* twice as many, for the time to come; or NULL */
};

/** Allocates nothing. */
void stw_table_init(struct stw_table *table);
/** Frees the array, not the nodes. */
void stw_table_done(struct stw_table *table);
/** @return 0; -ENOMEM when there was no array and none could be made */
int stw_table_insert(struct stw_table *table, struct stw_node *node, uint64_t hash);
/** The node must be in the table. */
void stw_table_remove(struct stw_table *table, struct stw_node *node);
/** First node with this hash; go on with stw_table_next_same. NULL when none. */
struct stw_node *stw_table_first(const struct stw_table *table, uint64_t hash);
/** The node with this hash will be asked for or removed soon: its place shall be in the cache. */
void stw_table_expect(const struct stw_table *table, uint64_t hash);
/** Next node with the hash of `node`, NULL at the end. */
struct stw_node *stw_table_next_same(const struct stw_node *node);
/** Walk over all: start with NULL. The node just returned may be removed if `next` was asked first.
 */
struct stw_node *stw_table_walk(const struct stw_table *table, const struct stw_node *after);

/* ---- timer wheel ----------------------------------------------------------- */

/** Embedded in what waits. `kind` and `owner` belong to the user of the timer. */
struct stw_timer {
	struct stw_timer *next, *prev; /* NULL when not started */
	uint64_t due_ms;
	int kind;
	uint32_t started; /* of equal times the one started first comes first */
	void *owner;
};

#define STW_WHEEL_LEVELS 5
#define STW_WHEEL_SLOTS  256
#define STW_WHEEL_LANES  8

/** Hierarchical wheel, 1 ms resolution; start and cancel are O(1). Waits of a second to four
 * minutes stand in lanes while each is due after the one before, as those of equal length are. */
struct stw_wheel {
	struct stw_timer slots[STW_WHEEL_LEVELS][STW_WHEEL_SLOTS]; /* list heads */
	uint64_t occupied[STW_WHEEL_LEVELS][STW_WHEEL_SLOTS / 64]; /* bit per non-empty slot */
	struct stw_timer lanes[STW_WHEEL_LANES]; /* list heads, in order of due time */
	struct stw_timer expired;                /* due, not yet taken */
	uint64_t now_ms;
	size_t count;
	uint32_t started;
};

/** Embedded; the timers in it belong to their owners. */
void stw_wheel_init(struct stw_wheel *wheel, uint64_t now_ms);
/** Start or restart. A time that has passed is due at the next advance. */
void stw_timer_start(struct stw_wheel *wheel, struct stw_timer *timer, uint64_t due_ms);
/** No effect when not started. */
void stw_timer_stop(struct stw_wheel *wheel, struct stw_timer *timer);
/** Started, and neither stopped nor returned by stw_wheel_expire() since. */
bool stw_timer_running(const struct stw_timer *timer);
/** Move to `now_ms`, then take the timers that are due, one a call, in order of their time. NULL:
 * none. */
struct stw_timer *stw_wheel_expire(struct stw_wheel *wheel, uint64_t now_ms);
/** Without `after` what stw_wheel_expire() takes next, else what stands behind that one, due or
 * not. NULL: none. To be looked at only. */
const struct stw_timer *stw_wheel_due(const struct stw_wheel *wheel, const struct stw_timer *after);
/** When the next timer is due; UINT64_MAX when none runs. Never later than the truth, at most one
 * slot earlier. */
uint64_t stw_wheel_next(const struct stw_wheel *wheel);

/* ---- ring: single producer, single consumer ------------------------------- */

/** Bounded queue of pointers between two threads; no lock. */
struct stw_ring;

/** @param capacity a power of two. @return 0, -ENOMEM, -EINVAL */
int stw_ring_new(size_t capacity, struct stw_ring **ret);
/** @return 0; -ENOBUFS when full. Producer only. */
int stw_ring_push(struct stw_ring *ring, void *item);
/** The same, and no more than so many quarters of its room are taken then. */
int stw_ring_push_within(struct stw_ring *ring, void *item, unsigned quarters);
/** NULL when empty. Consumer only. */
void *stw_ring_pop(struct stw_ring *ring);
/** Nothing to pop now. Any thread. */
bool stw_ring_empty(const struct stw_ring *ring);
/** Half of its room or more is taken. Producer only. */
bool stw_ring_half_full(const struct stw_ring *ring);
/** Must be empty or its items unowned. Accepts NULL; returns NULL. */
struct stw_ring *stw_ring_free(struct stw_ring *ring);

/* ---- random ---------------------------------------------------------------- */

/** xoshiro256**: repeatable from its seed. Not for secrets that must resist an observer. */
struct stw_random {
	uint64_t state[4];
};

/** Equal seeds give equal sequences. */
void stw_random_seed(struct stw_random *random, uint64_t seed);
uint64_t stw_random_next(struct stw_random *random);
/** Uniform in [0, bound). */
uint64_t stw_random_below(struct stw_random *random, uint64_t bound);
/** `len` characters of [0-9a-zA-Z]: tags, branches. */
void stw_random_token(struct stw_random *random, char *buffer, size_t len);

/* ---- block: shared, right-sized bytes -------------------------------------- */

/** Reference-counted bytes. The count is atomic, so that a block may change threads. */
struct stw_block {
	atomic_uint refs;
	size_t bytes;
	_Alignas(max_align_t) char data[];
};

/** With one reference; the bytes are uninitialised. @return 0, -ENOMEM */
int stw_block_new(size_t bytes, struct stw_block **ret);
/** One reference more. @return `block` */
struct stw_block *stw_block_ref(struct stw_block *block);
/** One reference less; the last frees it. Accepts NULL; returns NULL. */
struct stw_block *stw_block_unref(struct stw_block *block);
/** Who keeps the block counts it, if it is large. Accepts NULL. */
static inline void stw_block_count(const struct stw_block *block, size_t *large_bytes)
{
	if (block)
		stw_large_add(large_bytes, block->bytes);
}
/** The end of that: it counts no more, and has one reference less. Accepts NULL; returns NULL. */
static inline struct stw_block *stw_block_release(struct stw_block *block, size_t *large_bytes)
{
	if (block)
		stw_large_remove(large_bytes, block->bytes);
	return stw_block_unref(block);
}

#endif
