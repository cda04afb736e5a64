/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX (256u << 20)
#define TIMEOUT_S  60L

struct answer {
	char *text;
	size_t len;
};

int stw_client_open(struct stw_cli *cli, struct stw_client *ret)
{
	int status;

	*ret = (struct stw_client){ .cli = cli };
	if (!cli->socket) {
		status = stw_cli_config(cli, &ret->config);
		if (status >= 0)
			return status;
	}
	snprintf(ret->socket, sizeof(ret->socket), "%s", stw_cli_socket(cli, ret->config));
	return -1;
}

void stw_client_close(struct stw_client *client)
{
	stw_config_unref(client->config);
}

/* Passwords go through it: below /tmp the folder has to be ours. */
static bool socket_is_foreign(const char *path)
{
	char folder[256];
	struct stat info;
	char *slash;

	if (strncmp(path, "/tmp/strowger-", 14) != 0)
		return false;
	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	*slash = 0;
	return stat(folder, &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid != 0 &&
	       info.st_uid != geteuid() && strcmp(folder, "/tmp") != 0;
}

/* Does somebody listen? libcurl does not say why it could not connect. @return 0, -errno */
static int socket_probe(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(name.sun_path))
		return -ENAMETOOLONG;
	if (socket_is_foreign(path))
		return -EPERM;
	strcpy(name.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ? -errno : 0;
	close(fd);
	return err == -ENOENT || err == -ENOTDIR ? -ECONNREFUSED : err;
}

static size_t answer_add(char *data, size_t size, size_t count, void *context)
{
	struct answer *answer = context;
	size_t len = size * count;
	char *text;

	if (len > ANSWER_MAX - answer->len)
		return 0;
	text = realloc(answer->text, answer->len + len + 1);
	if (!text)
		return 0;
	answer->text = text;
	memcpy(answer->text + answer->len, data, len);
	answer->len += len;
	return len;
}

static CURLcode transfer(struct stw_client *client, CURL *curl, const char *method,
	const char *path, const char *body, struct answer *answer)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	char *url = NULL;
	CURLcode code = CURLE_OUT_OF_MEMORY;

	if (asprintf(&url, "http://localhost%s", path) < 0)
		url = NULL;
	if (url && headers) {
		curl_easy_setopt(curl, CURLOPT_URL, url);
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket);
		curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
		curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, answer_add);
		curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
		if (body)
			curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
		code = curl_easy_perform(curl);
	}
	curl_slist_free_all(headers);
	free(url);
	return code;
}

static int reply_read(struct stw_client *client, CURL *curl, const struct answer *answer,
	struct stw_client_reply *ret)
{
	json_error_t error;
	long status = 0;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	ret->status = (unsigned)status;
	ret->json = answer->len ? json_loadb(answer->text, answer->len, 0, &error) : NULL;
	if (ret->json)
		return 0;
	stw_cli_fail(client->cli, "%s: the server's answer cannot be read", client->socket);
	return -EIO;
}

int stw_client_send(struct stw_client *client, const char *method, const char *path, json_t *body,
	struct stw_client_reply *ret)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct answer answer = { 0 };
	int err = socket_probe(client->socket);
	CURL *curl = NULL;
	CURLcode code;

	json_decref(body);
	if (err == 0) {
		curl = curl_easy_init();
		if (!curl)
			err = -ENOMEM;
	}
	if (curl) {
		code = transfer(client, curl, method, path, text, &answer);
		if (code == CURLE_OK)
			err = reply_read(client, curl, &answer, ret);
		else {
			stw_cli_fail(
				client->cli, "%s: %s", client->socket, curl_easy_strerror(code));
			err = -EIO;
		}
		curl_easy_cleanup(curl);
	}
	free(answer.text);
	free(text);
	return err;
}

/* What came back, for commands: 200, or the sentence of the refusal. */
static int reply_judge(struct stw_client *client, struct stw_client_reply *reply, json_t **ret)
{
	const char *error = json_string_value(json_object_get(reply->json, "error"));

	if (reply->status == 200) {
		*ret = reply->json;
		return -1;
	}
	if (client->cli->json)
		stw_cli_json(client->cli, reply->json);
	else {
		stw_cli_fail(
			client->cli, "%s", error ? error : "the server refused without a reason");
		json_decref(reply->json);
	}
	return STW_EXIT_FAILED;
}

int stw_client_unreachable(struct stw_client *client, int err)
{
	if (err == -EIO)
		return STW_EXIT_FAILED;
	if (err == -ECONNREFUSED)
		return stw_cli_fail(client->cli,
			"no server is running: nobody answers on %s. `strowger serve` starts one",
			client->socket);
	if (err == -EPERM)
		return stw_cli_fail(client->cli,
			"%s lies in a folder of another user and is not trusted", client->socket);
	return stw_cli_fail(client->cli, "%s: %s", client->socket, strerror(-err));
}

int stw_client_ask(
	struct stw_client *client, const char *method, const char *path, json_t *body, json_t **ret)
{
	struct stw_client_reply reply = { 0 };
	int err = stw_client_send(client, method, path, body, &reply);

	return err < 0 ? stw_client_unreachable(client, err) : reply_judge(client, &reply, ret);
}

int stw_client_ask_or_store(
	struct stw_client *client, const char *method, const char *path, json_t *body, json_t **ret)
{
	struct stw_client_reply reply = { 0 };
	int err = stw_client_send(client, method, path, json_incref(body), &reply);

	if (err == -ECONNREFUSED && client->config) {
		err = client_local(client, method, path, json_incref(body), &reply);
		if (err < 0)
			err = -EIO;
	}
	json_decref(body);
	return err < 0 ? stw_client_unreachable(client, err) : reply_judge(client, &reply, ret);
}

char *stw_client_path(const char *endpoint, const char *part)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t len = strlen(endpoint);
	char *path = malloc(len + 3 * strlen(part) + 1), *at;

	if (!path)
		return NULL;
	memcpy(path, endpoint, len);
	at = path + len;
	for (; *part; part++) {
		unsigned char byte = (unsigned char)*part;

		if ((byte >= '0' && byte <= '9') ||
			((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z')) {
			*at++ = (char)byte;
			continue;
		}
		*at++ = '%';
		*at++ = digits[byte >> 4];
		*at++ = digits[byte & 15];
	}
	*at = 0;
	return path;
}
