/* SPDX-License-Identifier: Apache-2.0 */
/* `serve --try`: a server to look at, on loopback, that leaves nothing behind. */
#include "server/serve/internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "server/admin/account.h"

#define FIRST_PORT 5060
#define PORT_TRIES 200
#define WAIT_MS    5000

static int trial_config(struct serve *serve)
{
	struct stw_config_errors errors = { .n = 0 };
	char text[600];
	int len, err;

	len = snprintf(text, sizeof(text),
		"domains: [localhost]\n"
		"listen: ['udp:127.0.0.1:%d', 'tcp:127.0.0.1:%d', 'udp:[::1]:%d', 'tcp:[::1]:%d']\n"
		"store: 'sqlite:%s/strowger.db'\n"
		"admin: {listen: '127.0.0.1:8090'}\n",
		FIRST_PORT, FIRST_PORT, FIRST_PORT, FIRST_PORT, serve->folder);
	err = stw_config_parse("--try", text, (size_t)len, &errors, &serve->config);
	if (err < 0)
		return serve_fail(serve, err, "%s", errors.n ? errors.v[0].text : strerror(-err));
	if (serve->options.socket)
		serve->config->admin.socket = stw_str_from(serve->options.socket);
	return 0;
}

static int password_make(char password[11])
{
	static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789"; /* none to be mistaken */
	unsigned char bytes[64];
	size_t at = 0;

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return -EIO;
	for (size_t i = 0; i < sizeof(bytes) && at < 10; i++) {
		if (bytes[i] < 8 * (sizeof(letters) - 1)) /* 248: every letter equally likely */
			password[at++] = letters[bytes[i] % (sizeof(letters) - 1)];
	}
	password[at] = 0;
	return at == 10 ? 0 : -EIO;
}

int trial_prepare(struct serve *serve)
{
	const char *root = getenv("TMPDIR");

	snprintf(serve->folder, sizeof(serve->folder), "%s/strowger-try-XXXXXX",
		root && *root == '/' && strlen(root) < 90 ? root : "/tmp");
	if (!mkdtemp(serve->folder)) {
		serve->folder[0] = 0;
		return serve_fail(
			serve, -errno, "no temporary folder can be made: %s", strerror(errno));
	}
	serve->users[0].name = "alice";
	serve->users[1].name = "bob";
	for (unsigned i = 0; i < STW_ARRAY_SIZE(serve->users); i++) {
		if (password_make(serve->users[i].password) < 0)
			return serve_fail(serve, -EIO, "the kernel gives no random numbers");
	}
	return trial_config(serve);
}

/* All listeners on one port; without IPv6 on this machine the IPv4 ones are enough. */
static int trial_listen_port(struct serve *serve, uint16_t port)
{
	const struct stw_listeners *wanted = &serve->config->listen;
	struct stw_listener listener;
	int err = serve_io_new(serve, 0);

	serve->listeners.n = 0;
	for (unsigned i = 0; err >= 0 && i < wanted->n; i++) {
		listener = wanted->v[i];
		listener.bind.port = port;
		err = stw_io_listen(serve->workers[0].io, &listener);
		if (err >= 0)
			serve->listeners.v[serve->listeners.n++] = listener;
		else if (listener.bind.family == 6 && err != -EADDRINUSE)
			err = 0;
	}
	if (err < 0)
		serve->workers[0].io = stw_io_free(serve->workers[0].io);
	return err < 0 ? err : 0;
}

int trial_listen(struct serve *serve)
{
	int err = -EADDRINUSE;

	for (unsigned i = 0; i < PORT_TRIES && err == -EADDRINUSE; i++)
		err = trial_listen_port(serve, (uint16_t)(FIRST_PORT + i));
	return err < 0 ? serve_fail(serve, err, "cannot listen on 127.0.0.1, ports %d to %d: %s",
				 FIRST_PORT, FIRST_PORT + PORT_TRIES - 1, strerror(-err))
		       : 0;
}

int trial_users(struct serve *serve)
{
	struct stw_user_row rows[STW_ARRAY_SIZE(serve->users)];
	struct stw_job job = { .kind = STW_JOB_USER_SET,
		.now = stw_io_now(),
		.users = rows,
		.user_count = STW_ARRAY_SIZE(rows) };
	struct stw_account account;
	struct stw_arena arena;
	char why[200] = "no memory is left";
	int err = 0;

	stw_arena_init(&arena, 16384);
	for (unsigned i = 0; err == 0 && i < STW_ARRAY_SIZE(rows); i++) {
		err = stw_account_parse(
			serve->config, stw_str_from(serve->users[i].name), &arena, &account, why);
		if (err == 0)
			err = stw_account_row(&account, stw_str_from(serve->users[i].password),
				&arena, &rows[i], why);
	}
	if (err == 0)
		err = stw_store_submit(serve->store, &job);
	for (unsigned i = 0; err == 0 && !stw_store_result(serve->store, 0); i++) {
		if (i == WAIT_MS)
			err = -ETIMEDOUT;
		usleep(1000);
	}
	if (err == 0 && job.cause)
		err = -EIO;
	stw_arena_done(&arena);
	return err < 0 ? serve_fail(serve, err, "the users cannot be stored: %s", why) : 0;
}

void trial_print(const struct serve *serve)
{
	FILE *out = serve->options.out;
	unsigned port = serve->listeners.v[0].bind.port;
	const char *program =
		program_invocation_name; /* as it was typed, so that it can be again */

	fprintf(out, "\nTwo users to try it with:\n\n");
	for (unsigned i = 0; i < STW_ARRAY_SIZE(serve->users); i++)
		fprintf(out, "  sip:%s@127.0.0.1:%u%*s user %-5s  password %s\n",
			serve->users[i].name, port, i ? 2 : 0, "", serve->users[i].name,
			serve->users[i].password);
	fprintf(out, "\nFor baresip, one line each in ~/.baresip/accounts:\n\n");
	for (unsigned i = 0; i < STW_ARRAY_SIZE(serve->users); i++)
		fprintf(out, "  <sip:%s@127.0.0.1:%u>;auth_user=%s;auth_pass=%s\n",
			serve->users[i].name, port, serve->users[i].name, serve->users[i].password);
	fprintf(out,
		"\nIn another terminal:\n\n"
		"  %s options sip:127.0.0.1:%u   is the server there?\n"
		"  %s binding list                 who is registered, and from where\n"
		"  %s why last                     what happened in the last call, and why\n",
		program, port, program, program);
}

void trial_remove(struct serve *serve)
{
	const struct dirent *entry;
	DIR *folder;

	if (!serve->folder[0])
		return;
	folder = opendir(serve->folder);
	while (folder && (entry = readdir(folder)))
		(void)unlinkat(dirfd(folder), entry->d_name, 0);
	if (folder)
		closedir(folder);
	(void)rmdir(serve->folder);
	serve->folder[0] = 0;
}
