/* SPDX-License-Identifier: Apache-2.0 */
/* status, reload, drain, stop: of a running server. */
#include "cli/client.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STOP_WAIT_MS 30000
#define STOP_STEP_MS 20

/* The part that all four share: no operands, one request. @return -1 with the answer, else the exit
 * status */
static int ask_server(struct stw_cli *cli, struct stw_client *client, const char *method,
	const char *path, json_t **ret)
{
	int status = stw_cli_parse(cli, NULL, 0, 0, 0);

	if (status >= 0)
		return status;
	status = stw_client_open(cli, client);
	if (status >= 0)
		return status;
	status = stw_client_ask(client, method, path, NULL, ret);
	if (status >= 0)
		stw_client_close(client);
	return status;
}

static json_int_t number(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

static void duration_print(FILE *out, json_int_t seconds)
{
	if (seconds >= 86400)
		fprintf(out, "%lldd ", (long long)(seconds / 86400));
	if (seconds >= 3600)
		fprintf(out, "%lldh ", (long long)(seconds / 3600 % 24));
	if (seconds >= 60)
		fprintf(out, "%lldm ", (long long)(seconds / 60 % 60));
	fprintf(out, "%llds", (long long)(seconds % 60));
}

static void list_print(FILE *out, const char *label, const json_t *list)
{
	const json_t *value;
	size_t i;

	json_array_foreach(list, i, value)
		fprintf(out, "  %-18s %s\n", i ? "" : label, json_string_value(value));
}

static void transactions_print(FILE *out, const json_t *json);
static void overload_print(FILE *out, const json_t *overload);

/* Call records that are delivered, and what was lost of all. Nothing when all is well without. */
static void records_print(FILE *out, const json_t *records)
{
	json_int_t lost = number(records, "lost") + number(records, "undelivered");

	if (!number(records, "delivered") && !number(records, "waiting") &&
		!number(records, "unwritten") && !lost)
		return;
	fprintf(out,
		"  %-18s %lld delivered, %lld wait (%lld POSTs failed); %lld lost, %lld not "
		"written\n",
		"call records", (long long)number(records, "delivered"),
		(long long)number(records, "waiting"), (long long)number(records, "failed_posts"),
		(long long)lost, (long long)number(records, "unwritten"));
}

/* Web servers that are asked about calls. Nothing when there are none. */
static void hook_print(FILE *out, const json_t *hook)
{
	if (!number(hook, "asked") && !number(hook, "cached"))
		return;
	fprintf(out,
		"  %-18s %lld questions, %lld answered from memory, %lld wait; %lld without an "
		"answer in time, %lld not reached, %lld not understood\n",
		"web hook", (long long)number(hook, "asked"), (long long)number(hook, "cached"),
		(long long)number(hook, "waiting"), (long long)number(hook, "late"),
		(long long)number(hook, "unreachable"), (long long)number(hook, "nonsense"));
}

static const char *text(const json_t *json, const char *key)
{
	const char *value = json_string_value(json_object_get(json, key));

	return value ? value : "";
}

/* "registered for 12m 3s; again in 11m" or "not registered (403 Forbidden, cause); again in 5m" */
static void trunks_print(FILE *out, const json_t *trunks)
{
	const json_t *trunk;
	size_t i;

	json_array_foreach(trunks, i, trunk)
	{
		bool registered = json_is_true(json_object_get(trunk, "registered"));

		fprintf(out, "  %-18s %s: %s", i ? "" : "trunks", text(trunk, "name"),
			registered ? "registered for " : "not registered");
		if (registered)
			duration_print(out, number(trunk, "until_s"));
		if (*text(trunk, "cause")) {
			fputs("; last answer: ", out);
			if (number(trunk, "code"))
				fprintf(out, "%lld %s, ", (long long)number(trunk, "code"),
					text(trunk, "phrase"));
			else
				fputs("none, ", out);
			fputs(text(trunk, "cause"), out);
		}
		if (number(trunk, "next_s")) {
			fputs("; again in ", out);
			duration_print(out, number(trunk, "next_s"));
		}
		fputc('\n', out);
	}
}

static void status_print(FILE *out, const json_t *json)
{
	static const struct {
		const char *key, *label;
	} counters[] = {
		{ "workers", "worker threads" },
		{ "users", "users" },
		{ "addresses_bound", "users registered" },
		{ "connections", "connections" },
		{ "calls_remembered", "calls remembered" },
		{ "requests_in", "requests received" },
		{ "requests_out", "requests sent" },
		{ "responses_in", "responses received" },
		{ "responses_out", "responses sent" },
		{ "retransmissions", "retransmissions" },
		{ "dropped", "dropped" },
		{ "faults", "malformed" },
		{ "handed_out", "given to other workers" },
	};
	bool draining = json_is_true(json_object_get(json, "draining"));

	fprintf(out, "Strowger %s, process %lld, %s since ",
		json_string_value(json_object_get(json, "version")), (long long)number(json, "pid"),
		draining ? "draining (new requests get 503), running" : "running");
	duration_print(out, number(json, "uptime_s"));
	fputs("\n\n", out);
	list_print(out, "domains", json_object_get(json, "domains"));
	list_print(out, "listens on", json_object_get(json, "listen"));
	fprintf(out, "  %-18s %s\n", "configuration",
		json_string_value(json_object_get(json, "config")));
	fprintf(out, "  %-18s %s\n", "store", json_string_value(json_object_get(json, "store")));
	for (size_t i = 0; i < STW_ARRAY_SIZE(counters); i++)
		fprintf(out, "  %-18s %lld\n", counters[i].label,
			(long long)number(json, counters[i].key));
	transactions_print(out, json);
	trunks_print(out, json_object_get(json, "trunks"));
	overload_print(out, json_object_get(json, "overload"));
	hook_print(out, json_object_get(json, "hook"));
	records_print(out, json_object_get(json, "records"));
	if (number(json, "log_lost"))
		fprintf(out, "  %-18s %lld lines lost: they were not read, or not written\n", "log",
			(long long)number(json, "log_lost"));
}

static void transactions_print(FILE *out, const json_t *json)
{
	json_int_t refused = number(json_object_get(json, "overload"), "room_refused");
	json_int_t transactions = number(json, "transactions"), used = number(json, "room_used");

	fprintf(out, "  %-18s %lld", "transactions", (long long)transactions);
	if (used > transactions)
		fprintf(out, ", for large requests counted as %lld,", (long long)used);
	fprintf(out, " of at most %lld", (long long)number(json, "max_transactions"));
	if (refused)
		fprintf(out, "; %lld requests refused because there was no room",
			(long long)refused);
	fputc('\n', out);
}

/* One line when all is well; else what is refused, and to whom. */
static void overload_print(FILE *out, const json_t *overload)
{
	const json_t *source;
	size_t i;

	fprintf(out, "  %-18s %s; %lld refused, %lld dropped since the start\n", "overload",
		json_is_true(json_object_get(overload, "overloaded")) ? "yes, refusing new calls"
								      : "no",
		(long long)number(overload, "refused"), (long long)number(overload, "dropped"));
	if (number(overload, "unrecorded"))
		fprintf(out,
			"  %-18s %lld of them without a record: in a flood only some have one\n",
			"", (long long)number(overload, "unrecorded"));
	if (number(overload, "lost_unread"))
		fprintf(out, "  %-18s %lld datagrams were lost before they were read\n", "",
			(long long)number(overload, "lost_unread"));
	if (number(overload, "asked_to_keep_back_percent"))
		fprintf(out, "  %-18s servers that send here are asked to keep back %lld %%\n", "",
			(long long)number(overload, "asked_to_keep_back_percent"));
	if (number(overload, "next_hops_overloaded") || number(overload, "kept_back"))
		fprintf(out, "  %-18s %lld next hops ask for restraint; %lld requests kept back\n",
			"", (long long)number(overload, "next_hops_overloaded"),
			(long long)number(overload, "kept_back"));
	fprintf(out, "  %-18s %lld limited now; %lld requests refused, %lld dropped\n", "sources",
		(long long)number(overload, "sources_limited"),
		(long long)number(overload, "source_refused"),
		(long long)number(overload, "source_dropped"));
	json_array_foreach(json_object_get(overload, "sources"), i, source)
		fprintf(out, "  %-18s %s%s: for %lld ms more; %lld refused, %lld dropped\n", "",
			json_string_value(json_object_get(source, "source")),
			json_is_true(json_object_get(source, "known")) ? " (known)" : "",
			(long long)number(source, "limited_for_ms"),
			(long long)number(source, "refused"), (long long)number(source, "dropped"));
}

int stw_cmd_status(struct stw_cli *cli)
{
	struct stw_client client;
	json_t *json;
	int status = ask_server(cli, &client, "GET", "/v1/status", &json);

	if (status >= 0)
		return status;
	if (cli->json) {
		status = stw_cli_json(cli, json);
	} else {
		status_print(cli->out, json);
		json_decref(json);
		status = STW_EXIT_DONE;
	}
	stw_client_close(&client);
	return status;
}

/* ---- reload -------------------------------------------------------------------------------- */

static void errors_print(struct stw_cli *cli, const json_t *list)
{
	const json_t *error;
	size_t i;

	json_array_foreach(list, i, error)
	{
		fprintf(cli->err, "%s:", json_string_value(json_object_get(error, "file")));
		if (number(error, "line"))
			fprintf(cli->err, "%lld:%lld:", (long long)number(error, "line"),
				(long long)number(error, "column"));
		fprintf(cli->err, " %s\n", json_string_value(json_object_get(error, "text")));
	}
}

static int reload_say(struct stw_cli *cli, struct stw_client_reply *reply)
{
	const char *error = json_string_value(json_object_get(reply->json, "error"));
	const char *file = json_string_value(json_object_get(reply->json, "file"));
	int status = reply->status == 200 ? STW_EXIT_DONE : STW_EXIT_FAILED;

	if (cli->json) {
		stw_cli_json(cli, reply->json);
		return status;
	}
	if (status != STW_EXIT_DONE) {
		errors_print(cli, json_object_get(reply->json, "errors"));
		stw_cli_fail(cli, "%s", error ? error : "refused without a reason");
	} else if (file && *file) {
		fprintf(cli->out, "Reloaded; %s is in force.\n", file);
	} else {
		fputs("Reloaded; the defaults are in force.\n", cli->out);
	}
	json_decref(reply->json);
	return status;
}

int stw_cmd_reload(struct stw_cli *cli)
{
	struct stw_client_reply reply = { 0 };
	struct stw_client client = { .cli = cli };
	int status = stw_cli_parse(cli, NULL, 0, 0, 0);
	int err;

	if (status >= 0)
		return status;
	/* A broken file names no socket, and that of another server is not a good guess. */
	status = stw_client_open(cli, &client);
	if (status >= 0)
		return stw_cli_fail(
			cli, "the server was not asked; its configuration stays in force");
	err = stw_client_send(&client, "POST", "/v1/reload", NULL, &reply);
	status = err < 0 ? stw_client_unreachable(&client, err) : reload_say(cli, &reply);
	stw_client_close(&client);
	return status;
}

int stw_cmd_drain(struct stw_cli *cli)
{
	struct stw_client client;
	json_t *json;
	int status = ask_server(cli, &client, "POST", "/v1/drain", &json);

	if (status >= 0)
		return status;
	if (cli->json) {
		status = stw_cli_json(cli, json);
	} else {
		fprintf(cli->out,
			"Draining: new requests get 503, %lld transactions under way go on. "
			"`strowger stop` ends the server.\n",
			(long long)number(json, "transactions"));
		json_decref(json);
		status = STW_EXIT_DONE;
	}
	stw_client_close(&client);
	return status;
}

/* ---- stop ------------------------------------------------------------------------------------ */

/* The server removes its socket as the last thing; one that is killed meanwhile is gone as a
 * process. */
static bool has_ended(const struct stw_client *client, pid_t pid)
{
	return access(client->socket, F_OK) < 0 || (kill(pid, 0) < 0 && errno == ESRCH);
}

static int stop_wait(struct stw_cli *cli, const struct stw_client *client, pid_t pid)
{
	const struct timespec step = { .tv_nsec = STOP_STEP_MS * 1000000L };

	for (int waited = 0; waited < STOP_WAIT_MS; waited += STOP_STEP_MS) {
		if (has_ended(client, pid)) {
			if (cli->json)
				return stw_cli_json(cli, json_pack("{s:b, s:I}", "stopped", 1,
								 "pid", (json_int_t)pid));
			fprintf(cli->out, "Stopped.\n");
			return STW_EXIT_DONE;
		}
		nanosleep(&step, NULL);
	}
	return stw_cli_fail(
		cli, "process %ld has not ended within %d s", (long)pid, STOP_WAIT_MS / 1000);
}

int stw_cmd_stop(struct stw_cli *cli)
{
	struct stw_client client;
	json_t *json;
	int status = ask_server(cli, &client, "POST", "/v1/stop", &json);
	pid_t pid;

	if (status >= 0)
		return status;
	pid = (pid_t)number(json, "pid");
	json_decref(json);
	status = stop_wait(cli, &client, pid);
	stw_client_close(&client);
	return status;
}
