/* SPDX-License-Identifier: Apache-2.0 */
/** One binding of a snapshot by its number, for tests. */
#ifndef SUPPORT_BINDINGS_H
#define SUPPORT_BINDINGS_H

#include <strowger/registrar.h>

#include <assert.h>

/** Good until the fourth call after this one. */
static inline const struct stw_binding *binding_at(const struct stw_bindings *bindings, unsigned at)
{
	static _Thread_local struct stw_binding views[4];
	static _Thread_local unsigned next;
	struct stw_binding *view = &views[next++ % 4];
	size_t cursor = 0;
	bool more;

	assert(at < bindings->n);
	do
		more = stw_bindings_next(bindings, &cursor, view);
	while (more && at--);
	assert(more);
	return view;
}

#endif
