/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

static size_t binding_text_bytes(const struct stw_binding *binding)
{
	return binding->uri.len + binding->params.len + binding->call_id.len + binding->path.len +
	       binding->user_agent.len + binding->instance.len;
}

static struct stw_str text_put(char **at, struct stw_str text)
{
	struct stw_str copy = { *at, text.len };

	if (text.len)
		memcpy(*at, text.ptr, text.len);
	*at += text.len;
	return copy;
}

static void binding_put(char **at, const struct stw_binding *from, struct stw_binding *to)
{
	*to = *from;
	to->uri = text_put(at, from->uri);
	to->params = text_put(at, from->params);
	to->call_id = text_put(at, from->call_id);
	to->path = text_put(at, from->path);
	to->user_agent = text_put(at, from->user_agent);
	to->instance = text_put(at, from->instance);
}

struct stw_bindings *bindings_make(
	struct stw_str aor, uint64_t version, const struct stw_binding *const *v, unsigned n)
{
	size_t bytes = sizeof(struct stw_bindings) + n * sizeof(struct stw_binding) + aor.len;
	struct stw_bindings *bindings;
	unsigned i;
	char *at;

	for (i = 0; i < n; i++)
		bytes += binding_text_bytes(v[i]);
	bindings = malloc(bytes);
	if (!bindings)
		return NULL;
	at = (char *)&bindings->v[n];
	bindings->aor = text_put(&at, aor);
	bindings->version = version;
	bindings->n = n;
	for (i = 0; i < n; i++)
		binding_put(&at, v[i], &bindings->v[i]);
	return bindings;
}

size_t stw_bindings_bytes(const struct stw_bindings *bindings)
{
	size_t bytes = sizeof(*bindings) + bindings->n * sizeof(bindings->v[0]) + bindings->aor.len;
	unsigned i;

	for (i = 0; i < bindings->n; i++)
		bytes += binding_text_bytes(&bindings->v[i]);
	return bytes;
}

struct stw_bindings *stw_bindings_copy(const struct stw_bindings *bindings)
{
	struct stw_bindings *copy = malloc(stw_bindings_bytes(bindings));
	unsigned i;
	char *at;

	if (!copy)
		return NULL;
	at = (char *)&copy->v[bindings->n];
	copy->aor = text_put(&at, bindings->aor);
	copy->version = bindings->version;
	copy->n = bindings->n;
	for (i = 0; i < bindings->n; i++)
		binding_put(&at, &bindings->v[i], &copy->v[i]);
	return copy;
}
