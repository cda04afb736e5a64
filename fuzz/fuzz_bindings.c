/* uses: stw_registrar */
/* SPDX-License-Identifier: Apache-2.0 */
/* Stored bindings as a damaged disk gives them: refused, or a snapshot that stores the same. */
#include <strowger/registrar.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

/* Reads every byte that a snapshot has, so that one outside of it is seen. */
static uint64_t touch(struct stw_str text)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < text.len; i++)
		sum = sum * 31 + (unsigned char)text.ptr[i];
	return sum;
}

static volatile uint64_t sink; /* so that no read is left out */

static void walk(const struct stw_bindings *bindings)
{
	uint64_t sum = touch(stw_bindings_aor(bindings));
	struct stw_binding binding;
	size_t cursor = 0;
	unsigned n = 0;

	while (stw_bindings_next(bindings, &cursor, &binding)) {
		sum += touch(binding.uri) + touch(binding.params) + touch(binding.call_id) +
		       touch(binding.path) + touch(binding.user_agent) + touch(binding.instance);
		must(binding.q <= 1000);
		n++;
	}
	sink = sum;
	must(n == bindings->n);
}

static void again(const struct stw_bindings *bindings)
{
	size_t len = stw_bindings_stored_bytes(bindings), used = 0, len_again;
	uint8_t *stored = malloc(len ? len : 1), *twice;
	struct stw_bindings *read = NULL;

	must(stored != NULL);
	stw_bindings_store(bindings, stored);
	must(stw_bindings_load(stored, len, &used, &read) == 0 && used == len);
	len_again = stw_bindings_stored_bytes(read);
	must(len_again == len);
	twice = malloc(len ? len : 1);
	must(twice != NULL);
	stw_bindings_store(read, twice);
	must(memcmp(stored, twice, len) == 0);
	free(twice);
	free(stored);
	free(read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size ? size : 1);
	struct stw_bindings *bindings = NULL;
	size_t used = 0;
	int err;

	must(bytes != NULL);
	memcpy(bytes, data, size);
	err = stw_bindings_load(bytes, size, &used, &bindings);
	must(err == 0 || err == -EBADMSG);
	if (err == 0) {
		must(used <= size);
		walk(bindings);
		again(bindings);
	}
	free(bindings);
	free(bytes);
	return 0;
}
