/* SPDX-License-Identifier: Apache-2.0 */
#include "server/cause.h"

#include <string.h>

/* Each layer defines its own rows; those of the server are defined here. */
#define CAUSE STW_CAUSE_DEFINE
#include "server/causes.def"
#undef CAUSE

#define CAUSE(name, id, code, phrase, rfc, meaning, reason, remedy) STW_CAUSE_DECLARE(name);
#include <strowger/causes/message.def>
#include <strowger/causes/auth.def>
#include <strowger/causes/transport.def>
#include <strowger/causes/transaction.def>
#include <strowger/causes/proxy.def>
#include <strowger/causes/registrar.def>
#include <strowger/causes/stack.def>
#include <strowger/causes/ua.def>
#undef CAUSE

static const struct stw_cause *const causes[] = {
#define CAUSE(name, id, code, phrase, rfc, meaning, reason, remedy) &stw_cause_##name,
#include <strowger/causes/message.def>
#include <strowger/causes/auth.def>
#include <strowger/causes/transport.def>
#include <strowger/causes/transaction.def>
#include <strowger/causes/proxy.def>
#include <strowger/causes/registrar.def>
#include <strowger/causes/stack.def>
#include <strowger/causes/ua.def>
#include "server/causes.def"
#undef CAUSE
};

static const struct {
	unsigned code;
	const char *element;
} senders[] = {
#define SENDER(code, element) { code, element },
#include "server/senders.def"
#undef SENDER
};

const struct stw_cause *const *stw_cause_all(size_t *ret_count)
{
	*ret_count = STW_ARRAY_SIZE(causes);
	return causes;
}

const struct stw_cause *stw_cause_find(const char *id)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(causes); i++) {
		if (strcmp(causes[i]->id, id) == 0)
			return causes[i];
	}
	return NULL;
}

const char *stw_status_sender(unsigned code)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(senders); i++) {
		if (senders[i].code == code)
			return senders[i].element;
	}
	return "";
}
