/* SPDX-License-Identifier: Apache-2.0 */
#include "server/directory/user.h"

#include "server/directory/map.h"

#include <strowger/registrar.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct stw_directory {
	struct stw_map map;
};

static struct stw_str user_key(const void *item)
{
	return ((const struct stw_user *)item)->aor;
}

static const struct stw_map_kind user_kind = { user_key, free };

struct stw_directory *stw_directory_free(struct stw_directory *directory)
{
	if (directory)
		stw_map_done(&directory->map);
	free(directory);
	return NULL;
}

int stw_directory_new(struct stw_hash_key key, struct stw_directory **ret)
{
	struct stw_directory *directory = calloc(1, sizeof(*directory));

	if (!directory)
		return -ENOMEM;
	if (stw_map_init(&directory->map, &user_kind, key) < 0) {
		stw_directory_free(directory);
		return -ENOMEM;
	}
	*ret = directory;
	return 0;
}

const struct stw_user *stw_directory_find(const struct stw_directory *directory, struct stw_str aor)
{
	return stw_map_find(&directory->map, aor);
}

static struct stw_str text_put(char **at, struct stw_str text)
{
	struct stw_str copy = { *at, text.len };

	memcpy(*at, text.ptr, text.len);
	*at += text.len;
	return copy;
}

/* One allocation, the text behind the structure. */
static struct stw_user *user_make(struct stw_str user, struct stw_str domain, struct stw_str aor)
{
	struct stw_user *made = malloc(sizeof(*made) + user.len + domain.len + aor.len);
	char *at;

	if (!made)
		return NULL;
	at = (char *)(made + 1);
	made->user = text_put(&at, user);
	made->domain = text_put(&at, domain);
	made->aor = text_put(&at, aor);
	return made;
}

int stw_user_new(struct stw_str user, struct stw_str domain, const struct stw_ha1 *ha1_user,
	const struct stw_ha1 *ha1_user_domain, struct stw_user **ret)
{
	struct stw_user *made = NULL;
	struct stw_arena arena;
	struct stw_str aor;
	int err;

	stw_arena_init(&arena, 3 * user.len + domain.len + 64);
	err = stw_aor_make(user, domain, &arena, &aor);
	if (err == 0) {
		made = user_make(user, domain, aor);
		err = made ? 0 : -ENOMEM;
	}
	stw_arena_done(&arena);
	if (err < 0)
		return err;
	made->ha1_user = *ha1_user;
	made->ha1_user_domain = *ha1_user_domain;
	*ret = made;
	return 0;
}

int stw_directory_publish(struct stw_directory *directory, struct stw_user *user)
{
	return stw_map_put(&directory->map, user);
}

int stw_directory_put(struct stw_directory *directory, struct stw_str user, struct stw_str domain,
	const struct stw_ha1 *ha1_user, const struct stw_ha1 *ha1_user_domain)
{
	struct stw_user *made;
	int err = stw_user_new(user, domain, ha1_user, ha1_user_domain, &made);

	return err < 0 ? err : stw_directory_publish(directory, made);
}

int stw_directory_load(struct stw_directory *directory, struct stw_str aor, struct stw_str user,
	struct stw_str domain, const struct stw_ha1 *ha1_user,
	const struct stw_ha1 *ha1_user_domain)
{
	struct stw_user *made;

	if (!aor.len || !user.len || !domain.len)
		return -EBADMSG;
	made = user_make(user, domain, aor);
	if (!made)
		return -ENOMEM;
	made->ha1_user = *ha1_user;
	made->ha1_user_domain = *ha1_user_domain;
	return stw_directory_publish(directory, made);
}

int stw_directory_remove(struct stw_directory *directory, struct stw_str aor)
{
	return stw_map_remove(&directory->map, aor);
}

int stw_directory_reserve(struct stw_directory *directory, size_t more)
{
	return stw_map_reserve(&directory->map, more);
}

void stw_directory_reclaim(struct stw_directory *directory)
{
	stw_map_reclaim(&directory->map);
}

struct visitor {
	bool (*visit)(void *context, const struct stw_user *user);
	void *context;
};

static bool visit_user(void *context, const void *item)
{
	struct visitor *visitor = context;

	return visitor->visit(visitor->context, item);
}

void stw_directory_walk(const struct stw_directory *directory,
	bool (*visit)(void *context, const struct stw_user *user), void *context)
{
	struct visitor visitor = { visit, context };

	stw_map_walk(&directory->map, visit_user, &visitor);
}

size_t stw_directory_count(const struct stw_directory *directory)
{
	return stw_map_count(&directory->map);
}
