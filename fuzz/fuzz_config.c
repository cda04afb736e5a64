/* uses: strowger_server */
/* SPDX-License-Identifier: Apache-2.0 */
/* Any file gives a configuration that prints and reads back, or an error with a place in the file.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "server/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_back(const struct stw_config *config)
{
	struct stw_config_errors errors;
	struct stw_config *again = NULL;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int err;

	if (!out)
		return;
	stw_config_print(out, config);
	fclose(out);
	err = stw_config_parse("printed", text, len, &errors, &again);
	if (err < 0)
		abort();
	if (stw_config_restart_needed(config, again, NULL))
		abort();
	stw_config_unref(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stw_config_errors errors;
	struct stw_config *config = NULL;
	int err = stw_config_parse("fuzz", (const char *)data, size, &errors, &config);

	if (err == 0)
		read_back(config);
	else if (err == -EINVAL && errors.n == 0)
		abort();
	stw_config_unref(config);
	return 0;
}
