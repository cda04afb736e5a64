/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static const char *home(void)
{
	const char *folder = getenv("HOME");

	return folder && *folder == '/' ? folder : "/tmp";
}

void stw_config_default_paths(char *socket, size_t socket_size, char *store, size_t store_size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR"), *state = getenv("XDG_STATE_HOME");

	if (geteuid() == 0) {
		snprintf(socket, socket_size, "/run/strowger/admin.sock");
		snprintf(store, store_size, "/var/lib/strowger/strowger.db");
		return;
	}
	if (runtime && *runtime == '/')
		snprintf(socket, socket_size, "%s/strowger/admin.sock", runtime);
	else
		snprintf(socket, socket_size, "/tmp/strowger-%u/admin.sock", (unsigned)geteuid());
	if (state && *state == '/')
		snprintf(store, store_size, "%s/strowger/strowger.db", state);
	else
		snprintf(store, store_size, "%s/.local/state/strowger/strowger.db", home());
}

static void standard_set(struct config_context *context, const struct stw_option *option)
{
	if (option->form && option->form->standard)
		option->form->standard(context, option);
	else if (option->type == STW_OPTION_TEXT)
		*(struct stw_str *)config_member(context->config, option) =
			stw_str_from(option->standard);
	else
		config_read_value(context, option, option->standard);
}

int config_defaults(struct config_context *context)
{
	const struct stw_option *option;
	size_t count;

	option = stw_option_all(&count);
	for (size_t i = 0; i < count; i++)
		standard_set(context, &option[i]);
	return context->no_memory ? -ENOMEM : 0;
}
