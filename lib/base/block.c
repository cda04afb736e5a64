/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/base.h>

#include <assert.h>
#include <errno.h>

int stw_block_new(size_t bytes, struct stw_block **ret)
{
	struct stw_block *block;

	if (bytes > SIZE_MAX - sizeof(*block))
		return -ENOMEM;
	block = stw_memory_take(sizeof(*block) + bytes);
	if (!block)
		return -ENOMEM;
	atomic_init(&block->refs, 1);
	block->bytes = bytes;
	*ret = block;
	return 0;
}

struct stw_block *stw_block_ref(struct stw_block *block)
{
	unsigned before = atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);

	assert(before > 0);
	(void)before;
	return block;
}

/* What each holder did with the bytes happens before the last one frees them. */
struct stw_block *stw_block_unref(struct stw_block *block)
{
	if (block && atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) == 1)
		stw_memory_give(block, sizeof(*block) + block->bytes);
	return NULL;
}
