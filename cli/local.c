/* SPDX-License-Identifier: Apache-2.0 */
/* Without a server: the store is opened here, and the same core answers the same questions. */
#include "cli/client.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <strowger/io.h>
#include <strowger/rcu.h>

#include "server/admin/api.h"
#include "server/folder.h"

struct local {
	struct stw_config *config;
	int lock_fd;
	struct stw_directory *directory;
	struct stw_location *location;
	struct stw_store *store;
	struct stw_io *io;
	struct stw_core *core;
	struct stw_listeners listeners; /* none */
	char error[512];
};

static void answered(struct stw_question *question)
{
	*(bool *)question->context = true;
}

static int local_ask(void *context, struct stw_ask *ask)
{
	struct local *local = context;
	bool done = false;

	ask->question.context = &done;
	ask->question.answered = answered;
	if (ask->kind != STW_ASK_CORE)
		return -ESHUTDOWN;
	stw_core_begin(local->core, stw_io_now());
	stw_core_question(local->core, &ask->question);
	stw_core_work(local->core);
	stw_core_end(local->core);
	return done ? 0 : -EIO;
}

/* As root act as the user that the server runs as, so that its files stay its own. */
static int local_user(struct local *local)
{
	const struct passwd *entry;
	const char *name = local->config->user.ptr;

	if (geteuid() != 0 || !local->config->user.len)
		return 0;
	entry = getpwnam(name);
	if (!entry) {
		snprintf(local->error, sizeof(local->error), "user: there is no system user %s",
			name);
		return -ENOENT;
	}
	if (stw_folder_make(local->config->store.ptr, entry->pw_uid, entry->pw_gid, local->error,
		    sizeof(local->error)) < 0)
		return -EIO;
	if (initgroups(name, entry->pw_gid) < 0 || setgid(entry->pw_gid) < 0 ||
		setuid(entry->pw_uid) < 0) {
		snprintf(local->error, sizeof(local->error), "user: cannot become %s: %s", name,
			strerror(errno));
		return -EPERM;
	}
	return 0;
}

static int local_lock(struct local *local)
{
	struct stw_str path = local->config->store;

	if (stw_str_equal(path, STW_STR(":memory:"))) {
		snprintf(local->error, sizeof(local->error),
			"no server is running, and its store is in memory: there is nothing to "
			"look at");
		return -ENOENT;
	}
	if (stw_folder_make(path.ptr, geteuid(), getegid(), local->error, sizeof(local->error)) < 0)
		return -EIO;
	local->lock_fd = stw_store_lock(path);
	if (local->lock_fd == -EBUSY)
		snprintf(local->error, sizeof(local->error),
			"another process has the store %.*s, but no server answers on its socket; "
			"--socket names the right one",
			STW_STR_ARG(path));
	else if (local->lock_fd < 0)
		snprintf(local->error, sizeof(local->error), "store: %.*s: %s", STW_STR_ARG(path),
			stw_store_lock_error(local->lock_fd));
	return local->lock_fd < 0 ? local->lock_fd : 0;
}

static int local_store(struct local *local)
{
	struct stw_hash_key key = { stw_io_seed(), stw_io_seed() };
	struct stw_store_options options = { .path = local->config->store,
		.sync_full = local->config->store_sync == STW_STORE_SYNC_FULL };
	int err = stw_directory_new(key, &local->directory);

	if (err == 0)
		err = stw_location_new(key, &local->location);
	options.location = local->location;
	options.directory = local->directory;
	if (err == 0)
		err = stw_store_open(
			&options, stw_io_now(), &local->store, local->error, sizeof(local->error));
	return err;
}

static int local_core(struct local *local)
{
	struct stw_io_options io = { .max_flows = 1 };
	struct stw_core_options options = { .config = local->config,
		.store = local->store,
		.location = local->location,
		.directory = local->directory,
		.io = stw_io_ops(),
		.listeners = &local->listeners,
		.seed = stw_io_seed() };
	int err = stw_io_new(&io, &local->io);

	options.io_user = local->io;
	if (err == 0)
		err = stw_core_new(&options, stw_io_now(), &local->core);
	return err;
}

static void local_done(struct local *local)
{
	stw_store_close(local->store);
	stw_core_free(local->core);
	stw_io_free(local->io);
	stw_location_free(local->location);
	stw_directory_free(local->directory);
	if (local->lock_fd >= 0)
		stw_store_unlock(local->lock_fd);
}

static int hex_digit(char byte)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *at = byte ? strchr(digits, byte) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* What stw_client_path() has written: path without escapes, "?contact=" behind it. */
static void path_read(const char *path, char plain[1024], struct stw_api_request *ret)
{
	size_t len = 0;

	ret->path = plain;
	for (; *path && len < 1022; path++) {
		if (*path == '%' && hex_digit(path[1]) >= 0 && hex_digit(path[2]) >= 0) {
			plain[len++] = (char)(hex_digit(path[1]) * 16 + hex_digit(path[2]));
			path += 2;
		} else if (strncmp(path, "?contact=", 9) == 0) {
			plain[len++] = 0;
			path += 8;
			ret->contact = plain + len;
		} else {
			plain[len++] = *path;
		}
	}
	plain[len] = 0;
}

int client_local(struct stw_client *client, const char *method, const char *path, json_t *body,
	struct stw_client_reply *ret)
{
	struct local local = {
		.config = client->config, .lock_fd = -1, .error = "no memory is left"
	};
	struct stw_api api = { .ask = local_ask, .context = &local };
	struct stw_api_request request = {
		.method = method, .body = body, .config = client->config
	};
	struct stw_api_reply reply = { 0 };
	char plain[1024];
	int err;

	umask(0027); /* what the store holds is as good as passwords */
	err = local_user(&local);
	stw_rcu_register_thread();
	if (err == 0)
		err = local_lock(&local);
	if (err == 0)
		err = local_store(&local);
	if (err == 0)
		err = local_core(&local);
	if (err == 0) {
		path_read(path, plain, &request);
		api.directory = local.directory;
		api.location = local.location;
		stw_api_handle(&api, &request, &reply);
		*ret = (struct stw_client_reply){ reply.status, reply.json };
	} else {
		stw_cli_fail(client->cli, "%s", local.error);
	}
	local_done(&local);
	stw_rcu_unregister_thread();
	json_decref(body);
	return err;
}
