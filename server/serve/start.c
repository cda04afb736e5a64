/* SPDX-License-Identifier: Apache-2.0 */
/* What a server needs before its first message, in this order, and its end in the other. */
#include "server/serve/internal.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include <strowger/rcu.h>

#include "server/folder.h"
#include "server/serve/sandbox.h"

#define LINES_BYTES_MAX (64u << 20)

int serve_fail(struct serve *serve, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(serve->error, sizeof(serve->error), format, args);
	va_end(args);
	return err;
}

static int start_config(struct serve *serve)
{
	struct stw_config_errors errors = { .n = 0 };
	const char *file = serve->options.config_file;
	int err;

	if (serve->options.trial)
		return trial_prepare(serve);
	err = serve_config_load(serve, &errors, &serve->config);
	if (err == -EINVAL && errors.n) {
		for (unsigned i = 0; i < errors.n; i++)
			fprintf(serve->options.err, "%s:%u:%u: %s\n", file, errors.v[i].line,
				errors.v[i].column, errors.v[i].text);
		return serve_fail(serve, err, "%s has errors", file);
	}
	return err < 0 ? serve_fail(serve, err, "%s: %s", file, strerror(-err)) : 0;
}

/* ---- whom we run as ------------------------------------------------------------------ */

static int start_user(struct serve *serve)
{
	const struct passwd *entry;

	serve->uid = geteuid();
	serve->gid = getegid();
	if (serve->uid != 0 || !serve->config->user.len)
		return 0;
	entry = getpwnam(serve->config->user.ptr);
	if (!entry)
		return serve_fail(serve, -ENOENT, "user: there is no system user %.*s",
			STW_STR_ARG(serve->config->user));
	serve->uid = entry->pw_uid;
	serve->gid = entry->pw_gid;
	return 0;
}

static bool store_is_file(const struct serve *serve)
{
	return !stw_str_equal(serve->config->store, STW_STR(":memory:"));
}

/* Files that root has left behind, by a start without `user` or by the command line. What a link
 * leads to is none of them. */
static int own_files(struct serve *serve)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", ".lock", SERVE_SECRET_SUFFIX };
	char path[PATH_MAX];

	for (unsigned i = 0; store_is_file(serve) && i < STW_ARRAY_SIZE(suffixes); i++) {
		snprintf(path, sizeof(path), "%.*s%s", STW_STR_ARG(serve->config->store),
			suffixes[i]);
		if (stw_file_give(path, S_IFREG, serve->uid, serve->gid) == -EMLINK)
			return serve_fail(serve, -EMLINK,
				"user: %s has a second name (a hard link) and another owner, and "
				"does not become that of %.*s; make it a file of its own",
				path, STW_STR_ARG(serve->config->user));
	}
	return 0;
}

/* No program that we might run gets them back; only root may say so. */
static void capabilities_bound(void)
{
	for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
		capability++)
		(void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
}

/* What the service manager lent us was for binding low ports. */
static int capabilities_drop(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

/* Who was started by root without `user` stays root, with all that root may do. */
static int start_drop(struct serve *serve)
{
	int err = 0;

	if (serve->uid == 0)
		return 0;
	if (geteuid() == 0) {
		err = own_files(serve);
		if (err < 0)
			return err;
		capabilities_bound();
		if (initgroups(serve->config->user.ptr, serve->gid) < 0 || setgid(serve->gid) < 0 ||
			setuid(serve->uid) < 0)
			err = -errno;
	}
	if (err == 0)
		err = capabilities_drop();
	return err < 0 ? serve_fail(serve, err, "user: cannot become %.*s: %s",
				 STW_STR_ARG(serve->config->user), strerror(-err))
		       : 0;
}

/* Before the first thread. A kernel without filters is no reason not to serve. */
static int start_sandbox(struct serve *serve)
{
	int err;

	if (serve->config->sandbox == STW_SANDBOX_OFF)
		return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* keys and HA1s stay out of core files */
	/* Whichever thread computes a hash first would read the file of OpenSSL, and who first
	 * writes a time that of the time zone. */
	(void)OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
	tzset();
	err = serve_sandbox_prepare(stw_log_writer_is_journal(serve->log_writer));
	if (err == -ENOMEM)
		return serve_fail(serve, err, "no memory is left");
	if (err < 0)
		stw_log_event(serve->log, STW_LOG_WARNING, "sandbox.off",
			json_pack("{s:s}", "reason",
				err == -ENOSYS ? "the kernel has no seccomp filters"
					       : strerror(-err)));
	return 0;
}

/* ---- log ------------------------------------------------------------------------------ */

/* Until start_log_thread() a line is written where it is logged. */
static int start_log(struct serve *serve)
{
	struct stw_log_writer_options options = { .fd = STDERR_FILENO,
		.queues = serve->worker_count };
	int err = stw_log_writer_new(&options, &serve->log_writer);

	if (err == 0)
		err = stw_log_new(serve->config->log.level, serve->log_writer, 0, &serve->log);
	serve->workers[0].log = serve->log;
	return err < 0 ? serve_fail(serve, err, "no memory is left") : 0;
}

static int start_log_thread(struct serve *serve)
{
	int err = stw_log_writer_start(serve->log_writer, serve_sandbox_log);

	return err < 0 ? serve_fail(serve, err, "the thread of the log: %s", strerror(-err)) : 0;
}

/* ---- store ------------------------------------------------------------------------------ */

static int start_lock(struct serve *serve)
{
	struct stw_str path = serve->config->store;
	int err = 0;

	if (store_is_file(serve))
		err = stw_folder_make(path.ptr, serve->uid, serve->gid, serve->error, ERROR_BYTES);
	if (err < 0)
		return err;
	serve->lock_fd = stw_store_lock(path);
	if (serve->lock_fd == -EBUSY)
		return serve_fail(serve, -EBUSY,
			"a server is running already: another process has the store %.*s. "
			"`strowger "
			"stop` stops it",
			STW_STR_ARG(path));
	return serve->lock_fd < 0 ? serve_fail(serve, serve->lock_fd, "store: %.*s: %s",
					    STW_STR_ARG(path), stw_store_lock_error(serve->lock_fd))
				  : 0;
}

static void serve_wake(void *context)
{
	stw_io_wake(context);
}

static void worker_wake(void *context, unsigned worker)
{
	const struct serve *serve = context;

	stw_io_wake(serve->workers[worker].io);
}

static int start_maps(struct serve *serve)
{
	struct stw_hash_key key = { stw_io_seed(), stw_io_seed() };
	int err = stw_directory_new(key, &serve->directory);

	if (err == 0)
		err = stw_location_new(key, &serve->location);
	if (err == 0)
		err = stw_sources_new(serve->config->limits.max_sources, key, &serve->sources);
	if (err == 0)
		err = stw_busy_new(key, serve->config->limits.max_calls, &serve->busy);
	return err < 0 ? serve_fail(serve, err, "no memory is left") : 0;
}

static int start_store(struct serve *serve)
{
	struct stw_store_options options = { .path = serve->config->store,
		.sync_full = serve->config->store_sync == STW_STORE_SYNC_FULL,
		.threaded = true,
		.queues = serve->worker_count,
		.wake = worker_wake,
		.wake_context = serve,
		.thread_start = serve_sandbox_store,
		.location = serve->location,
		.directory = serve->directory };

	return stw_store_open(&options, stw_io_now(), &serve->store, serve->error, ERROR_BYTES);
}

/* ---- web servers that are asked about calls -------------------------------------------------
 */

static int start_hook(struct serve *serve)
{
	const struct stw_config *config = serve->config;
	struct stw_hook_client_options options = { .queues = serve->worker_count,
		.connections = config->hook.connections,
		.max_waiting = config->hook.max_waiting,
		.max_answer_bytes = config->hook.max_answer_bytes,
		.ca = config->hook.ca.ptr,
		.dns_servers = config->dns.servers.ptr,
		.lines_url = config->cdr.url.ptr,
		.max_lines = config->cdr.max_waiting,
		.max_line_bytes = LINES_BYTES_MAX,
		.lines_timeout_ms = config->cdr.timeout_ms,
		.wake = worker_wake,
		.wake_context = serve,
		.thread_start = serve_sandbox_hook };
	int err;

	if (!config->analytics.url.len && !config->credit.url.len && !config->cdr.url.len)
		return 0;
	err = stw_hook_client_new(&options, &serve->hook);
	return err < 0 ? serve_fail(serve, err, "web servers cannot be asked: %s", strerror(-err))
		       : 0;
}

/* ---- records of calls -------------------------------------------------------------------- */

static void deliver(void *context, struct stw_str line)
{
	stw_hook_client_deliver(context, line);
}

static int start_records(struct serve *serve)
{
	struct stw_records_options options = { .path = serve->config->cdr.file,
		.queues = serve->worker_count,
		.threaded = true,
		.thread_start = serve_sandbox_store };

	if (serve->config->cdr.url.len) {
		options.take = deliver;
		options.take_context = serve->hook;
	}
	if (!options.path.len && !options.take)
		return 0;
	return stw_records_open(&options, &serve->records, serve->error, ERROR_BYTES);
}

/* ---- core -------------------------------------------------------------------------------- */

static int start_shared(struct serve *serve, const struct stw_core_options *core)
{
	struct stw_workers_options options = { .n = serve->worker_count,
		.key = core->key,
		.max_flows = serve->config->limits.max_connections,
		.wake = worker_wake,
		.wake_context = serve };
	const struct stw_queues_options queues = {
		.workers = serve->worker_count, .wake = worker_wake, .wake_context = serve
	};
	int err = stw_core_nonces_new(
		serve->config, core->nonce_secret, stw_io_now(), &serve->nonces);

	if (err == 0)
		err = stw_trunk_board_new(&serve->trunks);
	if (err == 0)
		err = stw_queues_new(&queues, &serve->queues);
	if (err == 0 && serve->worker_count > 1)
		err = stw_workers_new(&options, &serve->shared);
	return err;
}

static int start_worker(
	struct serve *serve, struct serve_worker *worker, struct stw_core_options options)
{
	int err = 0;

	if (!worker->log)
		err = stw_log_new(
			serve->config->log.level, serve->log_writer, worker->index, &worker->log);
	if (err < 0)
		return err;
	options.worker = worker->index;
	options.workers = serve->shared;
	options.nonces = serve->nonces;
	options.trunks = serve->trunks;
	options.queues = serve->queues;
	options.io_user = worker->io;
	options.log_context = worker->log;
	return stw_core_new(&options, stw_io_now(), &worker->core);
}

static int start_cores(struct serve *serve)
{
	struct stw_core_options options = {
		.config = serve->config,
		.store = serve->store,
		.location = serve->location,
		.directory = serve->directory,
		.sources = serve->sources,
		.busy = serve->busy,
		.records = serve->records,
		.io = stw_io_ops(),
		.hook = serve->hook ? &stw_hook_client_ops : NULL,
		.hook_user = serve->hook,
		.listeners = &serve->listeners,
		.seed = stw_io_seed(),
		.log = stw_log_note,
		.log_lost = stw_log_lost,
	};
	struct serve_secret secret;
	int err = serve_secret(serve, &secret);

	if (err < 0)
		return err;
	options.key = secret.key;
	memcpy(options.nonce_secret, secret.nonces, sizeof(options.nonce_secret));
	options.local_addr_count =
		stw_io_local_addrs(options.local_addrs, STW_ARRAY_SIZE(options.local_addrs));
	stw_listeners_set_local(options.local_addrs, options.local_addr_count);
	err = start_shared(serve, &options);
	explicit_bzero(&secret, sizeof(secret));
	explicit_bzero(options.nonce_secret, sizeof(options.nonce_secret));
	for (unsigned i = 0; err == 0 && i < serve->worker_count; i++)
		err = start_worker(serve, &serve->workers[i], options);
	return err < 0 ? serve_fail(serve, err, "the SIP core cannot be set up: %s", strerror(-err))
		       : 0;
}

/* ---- administration ------------------------------------------------------------------------ */

static int start_admin(struct serve *serve)
{
	struct stw_admin_options options = { .config = serve->config,
		.directory = serve->directory,
		.location = serve->location,
		.next_port = serve->options.trial,
		.wake = serve_wake,
		.wake_context = serve->workers[0].io,
		.thread_start = serve_sandbox_admin,
		.socket_owner = serve->uid,
		.socket_group = serve->gid };

	return stw_admin_new(&options, &serve->admin, serve->error, ERROR_BYTES);
}

json_t *serve_info(const struct serve *serve)
{
	json_t *listen = json_array();
	const struct stw_config *config = serve->config;
	char text[STW_ADDR_TEXT_MAX + 16], address[STW_ADDR_TEXT_MAX];

	for (unsigned i = 0; i < serve->listeners.n; i++) {
		snprintf(text, sizeof(text), "%s %.*s",
			serve->listeners.v[i].transport == STW_TRANSPORT_UDP ? "udp" : "tcp",
			STW_STR_ARG(stw_addr_text(&serve->listeners.v[i].bind, address)));
		json_array_append_new(listen, json_string(text));
	}
	return json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:s, s:s, s:I}", "version", STW_VERSION,
		"pid", (json_int_t)getpid(), "domains", stw_api_domains(config), "listen", listen,
		"socket", stw_json_text(config->admin.socket), "store",
		stw_json_text(config->store), "http", stw_admin_address(serve->admin), "config",
		config->file ? config->file : "default", "max_transactions",
		(json_int_t)config->limits.max_transactions);
}

static int start_answering(struct serve *serve)
{
	int err = stw_admin_start(serve->admin, serve_info(serve));

	return err < 0 ? serve_fail(serve, err, "the administration cannot be started") : 0;
}

static int start_listen(struct serve *serve)
{
	int err = serve->options.trial ? trial_listen(serve) : serve_listen(serve);

	return err < 0 ? err : serve_listen_shared(serve);
}

static int start_trial_users(struct serve *serve)
{
	int err;

	if (!serve->options.trial)
		return 0;
	stw_rcu_offline();
	err = trial_users(serve);
	stw_rcu_online();
	return err;
}

static void start_workers(struct serve *serve)
{
	serve->bound = stw_config_ref(serve->config);
	serve->worker_count = serve_worker_count(serve->config);
	for (unsigned i = 0; i < serve->worker_count; i++) {
		serve->workers[i].serve = serve;
		serve->workers[i].index = i;
	}
}

int serve_start(struct serve *serve)
{
	static int (*const steps[])(struct serve *) = { serve_descriptors, start_user, start_lock,
		start_listen, start_maps, start_admin, start_drop, start_sandbox, start_log_thread,
		start_store, start_trial_users, start_hook, start_records, start_cores,
		serve_workers_start, start_answering };
	int err;

	umask(0027); /* what the store holds is as good as passwords */
	json_object_seed(0);
	err = start_config(serve);
	if (err == 0)
		start_workers(serve);
	if (err == 0)
		err = start_log(serve);
	if (err == 0)
		stw_rcu_register_thread();
	for (unsigned i = 0; err == 0 && i < STW_ARRAY_SIZE(steps); i++)
		err = steps[i](serve);
	return err;
}

static void done_worker(struct serve_worker *worker)
{
	stw_io_free(worker->io);
	stw_ring_free(worker->questions);
	stw_log_free(worker->log);
}

void serve_done(struct serve *serve)
{
	serve_workers_end(serve);
	/* The store thread waits for readers; this one no longer reads. The cores go first: what
	 * the store has in hand is their own, and who asked for it still waits in the
	 * administration.
	 */
	if (serve->log)
		stw_rcu_offline();
	for (unsigned i = 0; i < serve->worker_count; i++)
		stw_core_free(serve->workers[i].core);
	/* The records of the last calls go to the web server before that is left. */
	serve->records = stw_records_close(serve->records);
	stw_hook_client_free(serve->hook);
	stw_workers_free(serve->shared);
	stw_nonces_free(serve->nonces);
	stw_trunk_board_free(serve->trunks);
	stw_queues_free(serve->queues);
	if (serve->admin)
		stw_admin_stop(serve->admin);
	stw_store_close(serve->store);
	if (serve->log)
		stw_rcu_online();
	stw_location_free(serve->location);
	stw_directory_free(serve->directory);
	stw_sources_free(serve->sources);
	stw_records_close(serve->records);
	stw_busy_free(serve->busy);
	if (serve->log)
		stw_rcu_unregister_thread();
	for (unsigned i = 0; i < serve->worker_count; i++)
		done_worker(&serve->workers[i]);
	trial_remove(serve);
	if (serve->admin)
		stw_admin_unlink(serve->admin);
	stw_admin_free(serve->admin);
	if (serve->lock_fd >= 0)
		stw_store_unlock(serve->lock_fd);
	stw_config_unref(serve->bound);
	stw_config_unref(serve->config);
	stw_log_writer_close(serve->log_writer);
}
