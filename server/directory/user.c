/* SPDX-License-Identifier: Apache-2.0 */
#include "server/directory/user.h"

#include "server/dialplan/dialplan.h"
#include "server/directory/map.h"

#include <strowger/registrar.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Another name and whose it is: an item of its own in the map of names. */
struct name {
	struct stw_str key, aor;
	char text[];
};

/* The keys stay with the user, who takes his names out of the map with them. */
struct stw_user_names {
	size_t n;
	struct name **items; /* until they are published; then NULL */
	struct stw_str keys[];
};

struct stw_directory {
	struct stw_map map;
	struct stw_map names;
	_Atomic size_t limited; /* users with max_calls */
	struct stw_map agents;  /* names of users who are logged in to a queue; aor is empty */
};

static struct stw_str user_key(const void *item)
{
	return ((const struct stw_user *)item)->aor;
}

static struct stw_str name_key(const void *item)
{
	return ((const struct name *)item)->key;
}

static void user_free(void *item)
{
	stw_user_free(item);
}

static const struct stw_map_kind user_kind = { user_key, user_free };
static const struct stw_map_kind name_kind = { name_key, free };

struct stw_directory *stw_directory_free(struct stw_directory *directory)
{
	if (directory) {
		stw_map_done(&directory->map);
		stw_map_done(&directory->names);
		stw_map_done(&directory->agents);
	}
	free(directory);
	return NULL;
}

int stw_directory_new(struct stw_hash_key key, struct stw_directory **ret)
{
	struct stw_directory *directory = calloc(1, sizeof(*directory));

	if (!directory)
		return -ENOMEM;
	if (stw_map_init(&directory->map, &user_kind, key) < 0 ||
		stw_map_init(&directory->names, &name_kind, key) < 0 ||
		stw_map_init(&directory->agents, &name_kind, key) < 0) {
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

const struct stw_user *stw_directory_resolve(
	const struct stw_directory *directory, struct stw_str aor)
{
	const struct stw_user *user = stw_map_find(&directory->map, aor);
	const struct name *name = user ? NULL : stw_map_find(&directory->names, aor);

	return name ? stw_map_find(&directory->map, name->aor) : user;
}

bool stw_directory_leads_to(
	const struct stw_directory *directory, struct stw_str name, const struct stw_user *user)
{
	const struct stw_user *found = stw_directory_resolve(directory, name);

	return found && stw_str_equal(found->aor, user->aor);
}

bool stw_directory_is_gone(
	const struct stw_directory *directory, struct stw_str aor, uint64_t removed_users)
{
	const struct stw_user *user = stw_directory_find(directory, aor);

	return !user || user->birth > removed_users;
}

/* ---- a user ------------------------------------------------------------------------------ */

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
	struct stw_user *made = calloc(1, sizeof(*made) + user.len + domain.len + aor.len);
	char *at;

	if (!made)
		return NULL;
	at = (char *)(made + 1);
	made->user = text_put(&at, user);
	made->domain = text_put(&at, domain);
	made->aor = text_put(&at, aor);
	return made;
}

int stw_user_load(struct stw_str aor, struct stw_str user, struct stw_str domain,
	const struct stw_ha1 *ha1_user, const struct stw_ha1 *ha1_user_domain,
	struct stw_user **ret)
{
	struct stw_user *made;

	if (!aor.len || !user.len || !domain.len)
		return -EBADMSG;
	made = user_make(user, domain, aor);
	if (!made)
		return -ENOMEM;
	made->ha1_user = *ha1_user;
	made->ha1_user_domain = *ha1_user_domain;
	*ret = made;
	return 0;
}

int stw_user_new(struct stw_str user, struct stw_str domain, const struct stw_ha1 *ha1_user,
	const struct stw_ha1 *ha1_user_domain, struct stw_user **ret)
{
	struct stw_arena arena;
	struct stw_str aor;
	int err;

	stw_arena_init(&arena, 3 * user.len + domain.len + 64);
	err = stw_aor_make(user, domain, &arena, &aor);
	if (err == 0)
		err = stw_user_load(aor, user, domain, ha1_user, ha1_user_domain, ret);
	stw_arena_done(&arena);
	return err;
}

static void names_free(struct stw_user_names *names)
{
	for (size_t i = 0; names && i < names->n; i++) {
		if (names->items)
			free(names->items[i]);
	}
	if (names)
		free(names->items);
	free(names);
}

struct stw_user *stw_user_free(struct stw_user *user)
{
	if (!user)
		return NULL;
	names_free(user->names);
	free((void *)(uintptr_t)user->settings);
	free(user->agent);
	free(user);
	return NULL;
}

/* ---- names --------------------------------------------------------------------------------- */

size_t stw_user_name_count(const struct stw_user *user)
{
	return user->names ? user->names->n : 0;
}

struct stw_str stw_user_name(const struct stw_user *user, size_t index)
{
	return user->names->keys[index];
}

/* Names while they are collected. */
struct collection {
	const struct stw_user *user;
	struct stw_arena arena;
	struct stw_str keys[3 * STW_SETTING_LIST_MAX];
	size_t n, bytes;
};

static int collect(struct collection *collection, struct stw_str key)
{
	if (stw_str_equal(key, collection->user->aor))
		return 0;
	for (size_t i = 0; i < collection->n; i++) {
		if (stw_str_equal(collection->keys[i], key))
			return 0;
	}
	collection->keys[collection->n++] = key;
	collection->bytes += key.len;
	return 0;
}

static int collect_alias(struct collection *collection, struct stw_str alias)
{
	struct stw_str key;
	int err = stw_aor_make(alias, collection->user->domain, &collection->arena, &key);

	return err < 0 ? err : collect(collection, key);
}

/* A number with + is the same in all domains. */
static int collect_number(struct collection *collection, struct stw_str text)
{
	char buffer[STW_NUMBER_MAX];
	struct stw_str number, key;
	int err = stw_number_from_text(text, buffer, &number);

	if (err == 0)
		err = stw_aor_make(number, collection->user->domain, &collection->arena, &key);
	if (err == 0)
		err = collect(collection, key);
	if (err == 0 && number.ptr[0] == '+')
		err = stw_arena_printf(&collection->arena, &key, "tel:%.*s", STW_STR_ARG(number));
	else
		return err;
	return err < 0 ? err : collect(collection, key);
}

static struct name *name_new(struct stw_str key, struct stw_str aor)
{
	struct name *name = malloc(sizeof(*name) + key.len + aor.len);
	char *at;

	if (!name)
		return NULL;
	at = name->text;
	name->key = text_put(&at, key);
	name->aor = text_put(&at, aor);
	return name;
}

static int names_make(const struct collection *collection, struct stw_user_names **ret)
{
	size_t n = collection->n;
	struct stw_user_names *names =
		calloc(1, sizeof(*names) + n * sizeof(*names->keys) + collection->bytes);
	char *at;

	if (!names)
		return -ENOMEM;
	at = (char *)(names->keys + n);
	names->n = n;
	names->items = calloc(n, sizeof(struct name *));
	for (size_t i = 0; names->items && i < n; i++) {
		names->keys[i] = text_put(&at, collection->keys[i]);
		names->items[i] = name_new(names->keys[i], collection->user->aor);
		if (!names->items[i])
			break;
	}
	if (!names->items || !names->items[n - 1]) {
		names_free(names);
		return -ENOMEM;
	}
	*ret = names;
	return 0;
}

static int collect_all(struct collection *collection, const struct stw_settings *settings)
{
	int err = 0;

	for (unsigned i = 0; err == 0 && i < settings->alias.n; i++)
		err = collect_alias(collection, settings->alias.v[i]);
	for (unsigned i = 0; err == 0 && i < settings->number.n; i++)
		err = collect_number(collection, settings->number.v[i]);
	return err;
}

int stw_user_settle(struct stw_user *user, struct stw_settings *settings)
{
	struct collection *collection = NULL;
	int err = 0;

	if (settings->alias.n || settings->number.n) {
		collection = calloc(1, sizeof(*collection));
		if (!collection)
			return -ENOMEM;
		collection->user = user;
		stw_arena_init(&collection->arena,
			8 * STW_SETTING_TEXT_MAX + 2 * STW_SETTING_LIST_MAX * user->domain.len);
		err = collect_all(collection, settings);
		if (err == 0 && collection->n)
			err = names_make(collection, &user->names);
		stw_arena_done(&collection->arena);
		free(collection);
	}
	if (err == 0 && settings->queues.n) {
		user->agent = name_new(user->aor, STW_STR(""));
		err = user->agent ? 0 : -ENOMEM;
	}
	if (err == 0)
		user->settings = settings;
	return err;
}

/* ---- the writer ---------------------------------------------------------------------------- */

static bool has_name(const struct stw_user *user, struct stw_str key)
{
	for (size_t i = 0; user && i < stw_user_name_count(user); i++) {
		if (stw_str_equal(user->names->keys[i], key))
			return true;
	}
	return false;
}

/* What `old` was called and `user` is not, unless somebody else has it by now. */
static void names_remove(
	struct stw_directory *directory, const struct stw_user *old, const struct stw_user *user)
{
	for (size_t i = 0; old && i < stw_user_name_count(old); i++) {
		struct stw_str key = old->names->keys[i];
		const struct name *name = stw_map_find(&directory->names, key);

		if (name && stw_str_equal(name->aor, old->aor) && !has_name(user, key))
			stw_map_remove(&directory->names, key);
	}
}

static int names_publish(struct stw_directory *directory, const struct stw_user *user)
{
	struct stw_user_names *names = user->names;
	int err = 0;

	for (size_t i = 0; names && err == 0 && i < names->n; i++) {
		err = stw_map_put(&directory->names, names->items[i]);
		names->items[i] = NULL;
	}
	return err;
}

static bool is_limited(const struct stw_user *user)
{
	return user && user->settings && user->settings->max_calls;
}

static void limited_count(
	struct stw_directory *directory, const struct stw_user *old, const struct stw_user *user)
{
	if (is_limited(user))
		atomic_fetch_add(&directory->limited, 1);
	if (is_limited(old))
		atomic_fetch_sub(&directory->limited, 1);
}

bool stw_directory_limited(const struct stw_directory *directory)
{
	return atomic_load_explicit(&directory->limited, memory_order_relaxed) > 0;
}

static bool is_agent(const struct stw_user *user)
{
	return user && user->settings && user->settings->queues.n;
}

static int agents_publish(struct stw_directory *directory, struct stw_user *user)
{
	void *agent = user->agent;

	user->agent = NULL;
	if (agent)
		return stw_map_put(&directory->agents, agent);
	if (is_agent(stw_map_find(&directory->map, user->aor)))
		stw_map_remove(&directory->agents, user->aor);
	return 0;
}

/* The old snapshot is the last to go: its names are read until then. */
int stw_directory_publish(struct stw_directory *directory, struct stw_user *user)
{
	if (names_publish(directory, user) < 0 || agents_publish(directory, user) < 0) {
		stw_user_free(user);
		return -ENOMEM;
	}
	names_remove(directory, stw_map_find(&directory->map, user->aor), user);
	limited_count(directory, stw_map_find(&directory->map, user->aor), user);
	return stw_map_put(&directory->map, user);
}

int stw_directory_put(struct stw_directory *directory, struct stw_str user, struct stw_str domain,
	const struct stw_ha1 *ha1_user, const struct stw_ha1 *ha1_user_domain)
{
	struct stw_user *made;
	int err = stw_user_new(user, domain, ha1_user, ha1_user_domain, &made);

	return err < 0 ? err : stw_directory_publish(directory, made);
}

int stw_directory_remove(struct stw_directory *directory, struct stw_str aor)
{
	const struct stw_user *user = stw_map_find(&directory->map, aor);

	names_remove(directory, user, NULL);
	if (is_agent(user))
		stw_map_remove(&directory->agents, aor);
	limited_count(directory, user, NULL);
	return stw_map_remove(&directory->map, aor);
}

int stw_directory_reserve(struct stw_directory *directory, size_t more, size_t names)
{
	int err = stw_map_reserve(&directory->map, more);

	if (err == 0)
		err = stw_map_reserve(&directory->agents, more);
	return err < 0 ? err : stw_map_reserve(&directory->names, names);
}

void stw_directory_reclaim(struct stw_directory *directory)
{
	stw_map_reclaim(&directory->map);
	stw_map_reclaim(&directory->names);
	stw_map_reclaim(&directory->agents);
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

const struct stw_map *stw_directory_map(const struct stw_directory *directory)
{
	return &directory->map;
}

struct agent_visitor {
	const struct stw_directory *directory;
	bool (*visit)(void *context, const struct stw_user *user);
	void *context;
};

static bool visit_agent(void *context, const void *item)
{
	const struct agent_visitor *visitor = context;
	const struct stw_user *user = stw_map_find(&visitor->directory->map, name_key(item));

	return !is_agent(user) || visitor->visit(visitor->context, user);
}

void stw_directory_agents(const struct stw_directory *directory,
	bool (*visit)(void *context, const struct stw_user *user), void *context)
{
	struct agent_visitor visitor = { directory, visit, context };

	stw_map_walk(&directory->agents, visit_agent, &visitor);
}

size_t stw_directory_count(const struct stw_directory *directory)
{
	return stw_map_count(&directory->map);
}
