/* SPDX-License-Identifier: Apache-2.0 */
/* The records of calls that the server has written, and the figures of RFC 6076 that they give. */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define USER_MAX 512

/* What the list is asked for. */
struct wish {
	char user[USER_MAX]; /* "sip:bob@example.com"; empty: all */
	char since[64];      /* RFC 3339, or the beginning of it; empty: all */
	struct stw_cli *cli;
};

/* RFC 6076 §4, of what a proxy sees. */
struct figures {
	unsigned requests, with_200, with_3xx, user_codes, ineffective, completed;
	unsigned srd_count, srd_failed_count, sdt_count;
	double srd_ms, srd_failed_ms, sdt_ms;
};

static const char *text(const json_t *record, const char *key)
{
	const char *value = json_string_value(json_object_get(record, key));

	return value ? value : "";
}

/* ---- reading --------------------------------------------------------------------------- */

static bool names(const struct wish *wish, const char *uri)
{
	size_t len = strlen(wish->user);

	return strncmp(uri, wish->user, len) == 0 && (!uri[len] || strchr(":;?", uri[len]));
}

static bool is_wanted(const struct wish *wish, const json_t *record)
{
	const json_t *diverted, *leg;
	size_t i;

	if (strcmp(text(record, "start"), wish->since) < 0)
		return false;
	if (!*wish->user || names(wish, text(record, "from")) || names(wish, text(record, "to")) ||
		names(wish, text(record, "request_uri")))
		return true;
	json_array_foreach(json_object_get(record, "diverted"), i, diverted)
	{
		if (names(wish, json_string_value(diverted)))
			return true;
	}
	json_array_foreach(json_object_get(record, "legs"), i, leg)
	{
		if (names(wish, text(leg, "user")))
			return true;
	}
	return false;
}

/* The last line of a call says most. What is no record (half a line of a crash) is passed over. */
static void record_take(const struct wish *wish, json_t *calls, const char *line)
{
	json_t *record = json_loads(line, 0, NULL);
	char key[1200];

	if (json_is_object(record) && *text(record, "call_id") && is_wanted(wish, record)) {
		snprintf(key, sizeof(key), "%s %s %s", text(record, "start"),
			text(record, "request_uri"), text(record, "call_id"));
		json_object_set(calls, key, record);
	}
	json_decref(record);
}

static int file_read(const struct wish *wish, const char *path, json_t *calls)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;

	if (!file)
		return stw_cli_fail(wish->cli, "%s: %s", path, strerror(errno));
	while (getline(&line, &size, file) > 0)
		record_take(wish, calls, line);
	free(line);
	fclose(file);
	return -1;
}

/* ---- figures --------------------------------------------------------------------------- */

/* "2026-01-31T12:00:00.123Z" in ms; negative: it is none. */
static double time_ms(const char *value)
{
	struct tm parts = { 0 };
	const char *end = strptime(value, "%Y-%m-%dT%H:%M:%S", &parts);

	return end ? (double)timegm(&parts) * 1000 + (*end == '.' ? atof(end) * 1000 : 0) : -1;
}

static void figures_failed(struct figures *figures, const json_t *record, json_int_t code)
{
	double start = time_ms(text(record, "start")), end = time_ms(text(record, "end"));

	figures->with_3xx += code / 100 == 3;
	figures->user_codes += code == 480 || code == 486 || code == 600 || code == 603;
	figures->ineffective += code == 408 || code == 500 || code == 503 || code == 504;
	if (start < 0 || end < 0)
		return;
	figures->srd_failed_ms += end - start;
	figures->srd_failed_count++;
}

static void figures_answered(struct figures *figures, const json_t *record)
{
	double start = time_ms(text(record, "start"));
	double heard =
		time_ms(*text(record, "ring") ? text(record, "ring") : text(record, "answer"));
	const char *by = text(record, "ended_by");

	figures->with_200++;
	if (start >= 0 && heard >= 0) {
		figures->srd_ms += heard - start;
		figures->srd_count++;
	}
	if (strcmp(by, "caller") != 0 && strcmp(by, "callee") != 0)
		return;
	figures->completed++;
	figures->sdt_ms += (double)json_integer_value(json_object_get(record, "duration_ms"));
	figures->sdt_count++;
}

static void figures_add(struct figures *figures, const json_t *record)
{
	json_int_t code = json_integer_value(json_object_get(record, "code"));

	figures->requests++;
	if (code / 100 == 2)
		figures_answered(figures, record);
	else
		figures_failed(figures, record, code);
}

static json_t *ratio(double part, double whole)
{
	return whole > 0 ? json_real((double)(long long)(part * 10000 / whole + 0.5) / 100)
			 : json_null();
}

static json_t *mean(double sum, unsigned count)
{
	return count ? json_integer((json_int_t)(sum / count + 0.5)) : json_null();
}

static json_t *figures_json(const struct figures *f)
{
	double asked = (double)f->requests - f->with_3xx;

	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "requests", (int)f->requests,
		"srd_ms", mean(f->srd_ms, f->srd_count), "failed_srd_ms",
		mean(f->srd_failed_ms, f->srd_failed_count), "sdt_ms",
		mean(f->sdt_ms, f->sdt_count), "ser", ratio(f->with_200, asked), "seer",
		ratio((double)f->with_200 + f->user_codes, asked), "isa",
		ratio(f->ineffective, f->requests), "scr", ratio(f->completed, f->requests));
}

/* ---- for people ------------------------------------------------------------------------ */

static void record_print(FILE *out, const json_t *record)
{
	json_t *duration = json_object_get(record, "duration_ms");
	char time[24], length[32] = "-";

	snprintf(time, sizeof(time), "%.19s", text(record, "start"));
	if (json_is_integer(duration))
		snprintf(length, sizeof(length), "%.1f s",
			(double)json_integer_value(duration) / 1000);
	fprintf(out, "%-19s  %3lld  %10s  %s -> %s%s%s\n", time,
		(long long)json_integer_value(json_object_get(record, "code")), length,
		text(record, "from"), text(record, "request_uri"),
		*text(record, "cause") ? "  " : "", text(record, "cause"));
}

static void figure_print(
	FILE *out, const json_t *figures, const char *key, const char *words, const char *unit)
{
	const json_t *value = json_object_get(figures, key);

	if (!json_is_null(value))
		fprintf(out, "  %-50s %.10g %s\n", words, json_number_value(value), unit);
}

static void figures_print(FILE *out, const json_t *figures)
{
	fprintf(out, "\nRFC 6076, of %lld session requests, as this proxy saw them:\n",
		(long long)json_integer_value(json_object_get(figures, "requests")));
	figure_print(out, figures, "srd_ms", "Session Request Delay (SRD), successful, mean", "ms");
	figure_print(
		out, figures, "failed_srd_ms", "Session Request Delay (SRD), failed, mean", "ms");
	figure_print(out, figures, "sdt_ms", "Session Duration Time (SDT), mean", "ms");
	figure_print(out, figures, "ser", "Session Establishment Ratio (SER)", "%");
	figure_print(out, figures, "seer", "Session Establishment Effectiveness Ratio (SEER)", "%");
	figure_print(out, figures, "isa", "Ineffective Session Attempts (ISA)", "%");
	figure_print(out, figures, "scr", "Session Completion Ratio (SCR)", "%");
}

static int list_tell(struct stw_cli *cli, json_t *calls)
{
	struct figures figures = { 0 };
	json_t *list = json_array(), *record, *sums;
	const char *key;

	json_object_foreach(calls, key, record)
	{
		figures_add(&figures, record);
		json_array_append(list, record);
		if (!cli->json)
			record_print(cli->out, record);
	}
	sums = figures_json(&figures);
	if (cli->json)
		return stw_cli_json(cli, json_pack("{s:o, s:o}", "records", list, "figures", sums));
	if (figures.requests)
		figures_print(cli->out, sums);
	json_decref(list);
	json_decref(sums);
	return STW_EXIT_DONE;
}

/* ---- the command ------------------------------------------------------------------------- */

/* "2h": so long ago; else a time, or the beginning of one: 2026-01-31. */
static int since_read(struct wish *wish, const char *value)
{
	static const char units[] = "smhd";
	static const long seconds[] = { 1, 60, 3600, 86400 };
	char *end;
	long number = strtol(value, &end, 10);
	const char *unit = *end ? strchr(units, *end) : NULL;
	struct tm parts;
	time_t then;

	if (end > value && unit && !end[1] && number >= 0 && number < 1000000) {
		then = time(NULL) - number * seconds[unit - units];
		gmtime_r(&then, &parts);
		strftime(wish->since, sizeof(wish->since), "%Y-%m-%dT%H:%M:%S", &parts);
		return -1;
	}
	if (strlen(value) < 4 || strlen(value) >= sizeof(wish->since) ||
		strspn(value, "0123456789-:T.Z") != strlen(value))
		return stw_cli_usage(wish->cli,
			"--since: %s is no time; allowed: 30m, 2h, 7d, 2026-01-31, "
			"2026-01-31T12:00:00",
			value);
	snprintf(wish->since, sizeof(wish->since), "%s", value);
	return -1;
}

static int user_read(struct wish *wish, const char *value, const struct stw_config *config)
{
	int len = snprintf(wish->user, sizeof(wish->user), "%s%s%s%.*s",
		strncmp(value, "sip:", 4) == 0 ? "" : "sip:", value, strchr(value, '@') ? "" : "@",
		strchr(value, '@') ? 0 : (int)config->domains[0].len, config->domains[0].ptr);

	return len < (int)sizeof(wish->user) ? -1
					     : stw_cli_usage(wish->cli, "--user: that is too long");
}

static int cdr_list(struct wish *wish, const char *path)
{
	json_t *calls = json_object();
	int status = file_read(wish, path, calls);

	if (status < 0)
		status = list_tell(wish->cli, calls);
	json_decref(calls);
	return status;
}

int stw_cmd_cdr(struct stw_cli *cli)
{
	const char *user = NULL, *since = NULL, *file = NULL;
	const struct stw_cli_option options[] = {
		{ "user", 'u', "AOR", "calls made, received or forwarded by this user", &user,
			NULL },
		{ "since", 's', "TIME", "calls that began since: 2h, 7d, 2026-01-31", &since,
			NULL },
		{ "file", 'f', "FILE", "read this file, not cdr.file of the configuration", &file,
			NULL },
	};
	struct wish wish = { .cli = cli };
	struct stw_config *config;
	int status = stw_cli_parse(cli, options, STW_ARRAY_SIZE(options), 1, 1);

	if (status < 0 && strcmp(cli->operands[0], "list") != 0)
		status = stw_cli_usage(cli, "%s is not known; allowed: list", cli->operands[0]);
	if (status < 0)
		status = stw_cli_config(cli, &config);
	if (status >= 0)
		return status;
	if (since)
		status = since_read(&wish, since);
	if (status < 0 && user)
		status = user_read(&wish, user, config);
	if (status < 0 && !file && !config->cdr.file.len)
		status = stw_cli_fail(cli, "no records are kept: cdr.file is not set");
	if (status < 0)
		status = cdr_list(&wish, file ? file : config->cdr.file.ptr);
	stw_config_unref(config);
	return status;
}
