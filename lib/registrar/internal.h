/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/registrar. */
#ifndef STW_REGISTRAR_INTERNAL_H
#define STW_REGISTRAR_INTERNAL_H

#include <strowger/registrar.h>

/** A snapshot of these bindings in one allocation; the text is copied. NULL when no memory. */
struct stw_bindings *bindings_make(
	struct stw_str aor, uint64_t version, const struct stw_binding *const *v, unsigned n);

#endif
