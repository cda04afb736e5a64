/* SPDX-License-Identifier: Apache-2.0 */
#include "server/admin/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A question beside the thread that waits for it. */
struct waiting {
	struct stw_ask *ask;
	struct stw_admin *admin;
	bool done;
};

/* ---- threads of the daemons ------------------------------------------------------------- */

static int admin_ask(void *context, struct stw_ask *ask)
{
	struct stw_admin *admin = context;
	struct waiting waiting = { .ask = ask, .admin = admin };
	int err;

	ask->question.context = &waiting;
	pthread_mutex_lock(&admin->mutex);
	err = admin->closed ? -ESHUTDOWN : stw_ring_push(admin->ring, ask);
	if (err == 0) {
		admin->options.wake(admin->options.wake_context);
		while (!waiting.done)
			pthread_cond_wait(&admin->answered, &admin->mutex);
	}
	pthread_mutex_unlock(&admin->mutex);
	return err;
}

static bool admin_ended(void *context)
{
	struct stw_admin *admin = context;
	bool closed;

	pthread_mutex_lock(&admin->mutex);
	closed = admin->closed;
	pthread_mutex_unlock(&admin->mutex);
	return closed;
}

/* ---- worker --------------------------------------------------------------------------------- */

void stw_admin_answer(struct stw_admin *admin, struct stw_ask *ask)
{
	struct waiting *waiting = ask->question.context;

	pthread_mutex_lock(&admin->mutex);
	waiting->done = true;
	pthread_cond_broadcast(&admin->answered);
	pthread_mutex_unlock(&admin->mutex);
}

static void question_answered(struct stw_question *question)
{
	struct waiting *waiting = question->context;

	stw_admin_answer(waiting->admin, waiting->ask);
}

struct stw_ask *stw_admin_next(struct stw_admin *admin)
{
	struct stw_ask *ask = stw_ring_pop(admin->ring);

	if (ask)
		ask->question.answered = question_answered;
	return ask;
}

void stw_admin_close(struct stw_admin *admin)
{
	pthread_mutex_lock(&admin->mutex);
	admin->closed = true;
	pthread_mutex_unlock(&admin->mutex);
}

bool stw_admin_busy(const struct stw_admin *admin)
{
	return atomic_load(&admin->requests) > 0;
}

void stw_admin_set_config(struct stw_admin *admin, struct stw_config *config)
{
	pthread_mutex_lock(&admin->mutex);
	stw_config_unref(admin->config);
	admin->config = stw_config_ref(config);
	pthread_mutex_unlock(&admin->mutex);
}

const char *stw_admin_address(const struct stw_admin *admin)
{
	return admin->address;
}

/* ---- life --------------------------------------------------------------------------------------
 */

int stw_admin_new(const struct stw_admin_options *options, struct stw_admin **ret, char *ret_error,
	size_t error_size)
{
	struct stw_admin *admin = calloc(1, sizeof(*admin));
	int err = -ENOMEM;

	snprintf(ret_error, error_size, "no memory is left");
	if (!admin)
		return -ENOMEM;
	admin->options = *options;
	admin->unix_fd = admin->tcp_fd = -1;
	pthread_mutex_init(&admin->mutex, NULL);
	pthread_cond_init(&admin->answered, NULL);
	admin->config = stw_config_ref(options->config);
	snprintf(admin->socket, sizeof(admin->socket), "%.*s",
		STW_STR_ARG(options->config->admin.socket));
	admin->api = (struct stw_api){ .directory = options->directory,
		.location = options->location,
		.read_rcu = true,
		.ended = admin_ended,
		.ask = admin_ask,
		.context = admin };
	err = stw_ring_new(ADMIN_RING, &admin->ring);
	if (err < 0)
		goto fail;
	err = admin_listen_unix(options, admin->socket, ret_error, error_size);
	if (err < 0)
		goto fail;
	admin->unix_fd = err;
	if (options->config->admin.listen.len) {
		err = admin_listen_tcp(options->config->admin.listen, options->next_port,
			admin->address, ret_error, error_size);
		if (err < 0)
			goto fail;
		admin->tcp_fd = err;
	}
	*ret = admin;
	return 0;
fail:
	if (admin->unix_fd >= 0)
		stw_admin_unlink(admin);
	stw_admin_free(admin);
	return err;
}

int stw_admin_start(struct stw_admin *admin, json_t *info)
{
	admin->info = info;
	admin->api.info = info;
	admin->unix_daemon = admin_serve(admin, admin->unix_fd, false);
	if (!admin->unix_daemon)
		return -EIO;
	admin->unix_fd = -1;
	if (admin->tcp_fd < 0)
		return 0;
	admin->tcp_daemon = admin_serve(admin, admin->tcp_fd, true);
	if (!admin->tcp_daemon)
		return -EIO;
	admin->tcp_fd = -1;
	return 0;
}

void stw_admin_stop(struct stw_admin *admin)
{
	stw_admin_close(admin);
	if (admin->unix_daemon)
		MHD_stop_daemon(admin->unix_daemon);
	if (admin->tcp_daemon)
		MHD_stop_daemon(admin->tcp_daemon);
	admin->unix_daemon = admin->tcp_daemon = NULL;
}

void stw_admin_unlink(const struct stw_admin *admin)
{
	unlink(admin->socket);
}

struct stw_admin *stw_admin_free(struct stw_admin *admin)
{
	if (!admin)
		return NULL;
	stw_admin_stop(admin);
	if (admin->unix_fd >= 0)
		close(admin->unix_fd);
	if (admin->tcp_fd >= 0)
		close(admin->tcp_fd);
	stw_ring_free(admin->ring);
	stw_config_unref(admin->config);
	json_decref(admin->info);
	pthread_cond_destroy(&admin->answered);
	pthread_mutex_destroy(&admin->mutex);
	free(admin);
	return NULL;
}
