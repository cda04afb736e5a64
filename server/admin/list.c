/* SPDX-License-Identifier: Apache-2.0 */
#include "server/admin/list.h"

#include <errno.h>

#include <strowger/io.h>
#include <strowger/rcu.h>

#include "server/directory/change.h"
#include "server/directory/keys.h"
#include "server/directory/location.h"

/* Adds what there is to say of a user. @return 0, -ENOMEM */
typedef int list_add(const struct stw_api *api, struct stw_str aor, json_t *list);

static int add_user(const struct stw_api *api, struct stw_str aor, json_t *list)
{
	return json_array_append_new(list, stw_json_text(aor)) < 0 ? -ENOMEM : 0;
}

/* What was right when it was set and is no longer: a target has gone. */
static int add_rule(const struct stw_api *api, struct stw_str aor, json_t *list)
{
	const struct stw_user *user = stw_directory_find(api->directory, aor);
	struct stw_setting_error error = { "no memory is left" };
	json_t *rule;

	if (!user || !user->settings || stw_directory_check(api->directory, user, &error) == 0)
		return 0;
	rule = json_pack("{s:o, s:o}", "aor", stw_json_text(aor), "error",
		stw_json_text(stw_str_from(error.text)));
	return json_array_append_new(list, rule) < 0 ? -ENOMEM : 0;
}

static int add_bindings(const struct stw_api *api, struct stw_str aor, json_t *list)
{
	const struct stw_bindings *bindings = stw_location_find(api->location, aor);

	return bindings ? stw_bindings_report(bindings, stw_io_now(), list) : 0;
}

static bool list_goes_on(void *context)
{
	const struct stw_api *api = context;

	if (api->read_rcu)
		stw_rcu_quiescent();
	return !api->ended || !api->ended(api->context);
}

static int list_fill(
	const struct stw_api *api, const struct stw_keys *aors, list_add *add, json_t *list)
{
	int err = 0;

	for (size_t i = 0; i < aors->n && err == 0; i++) {
		err = add(api, aors->v[i], list);
		if (err == 0 && !list_goes_on((void *)(uintptr_t)api))
			err = -ECANCELED;
	}
	return err;
}

static int list_make(
	const struct stw_api *api, const struct stw_map *map, list_add *add, json_t **ret)
{
	const struct stw_pause pause = { list_goes_on, (void *)(uintptr_t)api };
	json_t *list = json_array();
	struct stw_keys aors;
	int err;

	if (api->read_rcu)
		stw_rcu_register_thread();
	err = stw_keys_collect(map, &pause, &aors);
	if (err == 0)
		err = list_fill(api, &aors, add, list);
	stw_keys_done(&aors);
	if (api->read_rcu)
		stw_rcu_unregister_thread();
	if (err < 0)
		json_decref(list);
	else
		*ret = list;
	return err == -ECANCELED ? -ESHUTDOWN : err;
}

int stw_list_users(const struct stw_api *api, json_t **ret)
{
	return list_make(api, stw_directory_map(api->directory), add_user, ret);
}

int stw_list_rules(const struct stw_api *api, json_t **ret)
{
	return list_make(api, stw_directory_map(api->directory), add_rule, ret);
}

int stw_list_bindings(const struct stw_api *api, json_t **ret)
{
	return list_make(api, stw_location_map(api->location), add_bindings, ret);
}
