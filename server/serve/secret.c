/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has to be the same after a restart, in a file beside the store: the key of the marks in
 * Record-Route, so that calls that live go on, and that of the nonces.
 */
#include "server/serve/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static int secret_fill(struct serve_secret *secret)
{
	return getrandom(secret, sizeof(*secret), 0) == (ssize_t)sizeof(*secret) ? 0 : -EIO;
}

/* @return 0; -ENOENT; -EBADMSG another size; -errno */
static int secret_read(const char *path, struct serve_secret *ret)
{
	struct serve_secret secret;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, &secret, sizeof(secret));
	close(fd);
	if (len != (ssize_t)sizeof(secret))
		return len < 0 ? -EIO : -EBADMSG;
	*ret = secret;
	explicit_bzero(&secret, sizeof(secret));
	return 0;
}

/* Written whole before it gets its name: a crash leaves the old one or none. */
static int secret_write(const char *path, const struct serve_secret *secret)
{
	char draft[PATH_MAX];
	int fd, err = 0;

	if (snprintf(draft, sizeof(draft), "%s.new", path) >= (int)sizeof(draft))
		return -ENAMETOOLONG;
	fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, secret, sizeof(*secret)) != (ssize_t)sizeof(*secret) || fsync(fd) < 0)
		err = -EIO;
	close(fd);
	if (err == 0 && rename(draft, path) < 0)
		err = -errno;
	return err;
}

int serve_secret(struct serve *serve, struct serve_secret *ret)
{
	struct stw_str store = serve->config->store;
	char path[PATH_MAX];
	int err;

	if (secret_fill(ret) < 0)
		return serve_fail(serve, -EIO, "the kernel gives no random numbers");
	if (stw_str_equal(store, STW_STR(":memory:")))
		return 0;
	snprintf(path, sizeof(path), "%.*s" SERVE_SECRET_SUFFIX, STW_STR_ARG(store));
	err = secret_read(path, ret);
	if (err == -ENOENT || err == -EBADMSG)
		err = secret_write(path, ret);
	return err < 0 ? serve_fail(serve, err, "%s: %s", path, strerror(-err)) : 0;
}
