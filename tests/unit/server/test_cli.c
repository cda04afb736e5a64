/* SPDX-License-Identifier: Apache-2.0 */
/* The executable beside this test, run as a user runs it: exit status, output, messages. */
#include "support.h"

#include "server/config/config.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char strowger[4096], folder[] = "/tmp/strowger-cli-XXXXXX";

struct result {
	int status;
	char text[200000];
};

/* `format` is the command line behind "strowger"; what is kept is chosen by the shell's
 * redirections. */
static void run(struct result *ret, const char *arguments)
{
	char line[6000];
	size_t len;
	FILE *out;

	if (access(strowger, X_OK) < 0)
		skip();
	snprintf(line, sizeof(line), "cd %s && unset STROWGER_CONFIG && %s %s", folder, strowger,
		arguments);
	out = popen(line, "r");
	assert_non_null(out);
	len = fread(ret->text, 1, sizeof(ret->text) - 1, out);
	ret->text[len] = '\0';
	ret->status = WEXITSTATUS(pclose(out));
}

static void file_write(const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static const struct {
	const char *arguments;
	int status;
	const char *part;
} cases[] = {
	{ "", 0, "usage: strowger COMMAND" },
	{ "help", 0, "explain" },
	{ "--help", 0, "explain" },
	{ "--version", 0, "strowger 0." },
	{ "help explain", 0, "usage: strowger explain [OPTIONS] [CODE|CAUSE|causes|settings]" },
	{ "explain --help", 0, "--output FORMAT" },
	{ "call --help", 0, "--password-file FILE\n                          its first line" },
	{ "call --help", 0, "--user AOR          who we are" },
	{ "help call", 0, "dial DIGITS" },
	{ "help simulate", 0, "[--seed N]" },
	{ "help help", 0, "usage: strowger COMMAND" },
	{ "help --help", 0, "usage: strowger COMMAND" },
	{ "help exlpain 2>&1", 2, "did you mean explain?" },
	{ "exlpain 2>&1", 2, "unknown command exlpain; did you mean explain?" },
	{ "--vresion 2>&1", 2, "unknown option --vresion" },
	{ "explain causes", 0, "\n481 Call/Transaction Does Not Exist\n  " },
	{ "cdr list --file cdr.json", 0,
		"Session Establishment Ratio (SER)                  40 %" },
	{ "cdr list --file cdr.json", 0, "Effectiveness Ratio (SEER)   60 %" },
	{ "cdr list --file cdr.json", 0,
		"Session Completion Ratio (SCR)                     16.67 %" },
	{ "cdr list --file cdr.json", 0,
		"Ineffective Session Attempts (ISA)                 16.67 %" },
	{ "cdr list --file cdr.json", 0, "(SRD), successful, mean      1500 ms" },
	{ "cdr list --file cdr.json", 0, "Duration Time (SDT), mean                  60000 ms" },
	{ "cdr list --file cdr.json --user bob@example.com -o json", 0, "\"requests\": 2" },
	{ "cdr list --file cdr.json --user rung02@example.com -o json", 0, "\"requests\": 1" },
	{ "cdr list --file cdr.json --since 2026-01-02 -o json", 0, "\"requests\": 1" },
	{ "cdr list --file cdr.json --since soon 2>&1", 2, "--since: soon is no time" },
	{ "cdr list --file none.json 2>&1", 1, "none.json: No such file" },
	{ "cdr show 2>&1", 2, "show is not known" },
	{ "explain causes", 0, "No response: what came is dropped" },
	{ "explain causes -o json", 0, "\"cause\": \"not-registered\"" },
	{ "explain 488", 0, "488 Not Acceptable Here  (4xx Request Failure)\n" },
	{ "explain 488", 0, "RFC 3261 §21.4.26" },
	{ "explain 499", 0, "treats it as 400 Bad Request\n(RFC 3261 §8.1.3.2)" },
	{ "explain 199 -o json", 0, "\"code\": 199" },
	{ "explain 302", 0, "yes, to another target that the response names\n" },
	{ "explain 485", 0, "yes, to another target that the response names\n" },
	{ "explain 430", 0, "yes, to another target\n" },
	{ "explain 502", 0, "yes, to another target\n" },
	{ "explain 413", 0, "body-too-large" },
	{ "explain body-too-large", 0, "413 Request Entity Too Large" },
	{ "explain not-sip", 0, "none: what came is dropped" },
	{ "explain body-to-large 2>&1", 1, "did you mean body-too-large?" },
	{ "explain 42 2>&1", 2, "42 is not a response code; they go from 100 to 699" },
	{ "explain 700 2>&1", 2, "not a response code" },
	{ "explain 4xx 2>&1", 2, "not a response code" },
	{ "explain 486 487 2>&1", 2, "unexpected argument 487" },
	{ "explain --outptu json 2>&1", 2, "did you mean --output?" },
	{ "explain -o xml 2>&1", 2, "allowed: text, json" },
	{ "explain -o 2>&1", 2, "needs a value" },
	{ "explain -z 2>&1", 2, "unknown option -z" },
	{ "register --user bob 2>&1", 2, "bob is no address-of-record, like sip:bob@example.com" },
	{ "call sip:bob@127.0.0.1:1 --user sip:127.0.0.1 2>&1", 2,
		"sip:127.0.0.1 is no address-of-record" },
	{ "register --user sippy@127.0.0.1:1 --timeout 2 2>&1", 1, "registration not done: 503" },
	{ "answer --lines 0 2>&1", 2, "--lines takes a number, 1 to 32" },
	{ "answer --lines 33 2>&1", 2, "--lines takes a number, 1 to 32" },
	{ "call sips:bob@127.0.0.1 2>&1", 1, "500: This telephone cannot send by the transport" },
	{ "options sips:bob@127.0.0.1 2>&1", 1, "This telephone cannot send by the transport" },
	{ "try INVITE sip:bob@example.com --source foo 2>&1", 2, "foo is no IP address" },
	{ "check 2>&1", 2, "an argument is missing" },
	{ "check missing.yaml 2>&1", 1, "missing.yaml: No such file or directory" },
	{ "check good.yaml", 0,
		"good.yaml: valid; domains example.com; listens on UDP 127.0.0.1:5070" },
	{ "check bad.yaml 2>&1 >/dev/null", 1,
		"bad.yaml:2:3: unknown option \"log.levle\"; did you mean level?" },
	{ "check nobody.yaml 2>&1", 1,
		"nobody.yaml:2:1: user: there is no system user nosuchuser" },
	{ "check -o json bad.yaml", 1, "\"valid\": false" },
	{ "config --config good.yaml", 0, "\n  - udp:127.0.0.1:5070\n" },
	{ "config --config missing.yaml 2>&1", 1, "missing.yaml: No such file or directory" },
	{ "config --config bad.yaml 2>&1", 1, "bad.yaml:2:3: " },
	{ "config --defaults > d.yaml", 0, "" },
	{ "check d.yaml", 0, "d.yaml: valid" },
	{ "explain > /dev/full", 1, "" },
};

#define CDR(id, day, from, ring, answer, end, duration, code, cause, by)                           \
	"{\"call_id\":\"" id "\",\"from\":\"sip:" from                                             \
	"@example.com\",\"to\":\"sip:x@example.com\","                                             \
	"\"request_uri\":\"sip:x@example.com\",\"start\":\"2026-01-" day                           \
	"T00:00:00.000Z\",\"ring\":" ring ",\"answer\":" answer ",\"end\":" end                    \
	",\"duration_ms\":" duration ",\"code\":" code ",\"cause\":" cause ",\"ended_by\":" by     \
	",\"diverted\":[],\"legs\":[{\"target\":\"sip:1@192.0.2.1\","                              \
	"\"user\":\"sip:rung" day "@example.com\",\"code\":" code ",\"cause\":null}]}\n"

/* Six calls: one completed, one lost, one busy, one redirected, one timed out, one unknown. */
static const char cdr_lines[] = CDR("1", "01", "bob", "\"2026-01-01T00:00:01.000Z\"",
	"\"2026-01-01T00:00:05.000Z\"", "null", "null", "200", "null",
	"null") "half a li\n" CDR("1", "01", "bob", "\"2026-01-01T00:00:01.000Z\"",
	"\"2026-01-01T00:00:05.000Z\"", "\"2026-01-01T00:01:05.000Z\"", "60000", "200", "null",
	"\"callee\"") CDR("2", "01", "bob", "null", "\"2026-01-01T00:00:02.000Z\"", "null", "null",
	"200", "\"lost\"", "null") CDR("3", "01", "bobby", "null", "null",
	"\"2026-01-01T00:00:02.000Z\"", "null", "486", "null", "\"callee\"") CDR("4", "01", "eve",
	"null", "null", "\"2026-01-01T00:00:02.000Z\"", "null", "302", "\"redirected\"",
	"\"server\"") CDR("5", "01", "eve", "null", "null", "\"2026-01-01T00:00:32.000Z\"", "null",
	"408", "\"no-response-downstream\"", "\"server\"") CDR("6", "02", "eve", "null", "null",
	"\"2026-01-02T00:00:00.000Z\"", "null", "404", "\"user-unknown\"", "\"server\"");

static void test_status_and_output(void **state)
{
	static struct result result;
	unsigned wrong = 0;

	file_write("cdr.json", cdr_lines);
	file_write("nobody.yaml", "domains: example.com\nuser: nosuchuser\n");
	file_write("good.yaml", "domains: example.com\nlisten: [udp:127.0.0.1:5070]\n");
	file_write("bad.yaml", "log:\n  levle: debug\n");
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		run(&result, cases[i].arguments);
		if (result.status == cases[i].status && strstr(result.text, cases[i].part))
			continue;
		print_error(
			"strowger %s: %d\n%s\n", cases[i].arguments, result.status, result.text);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

static void test_json_is_json(void **state)
{
	size_t options;
	const struct stw_option *first = stw_option_all(&options);
	const struct {
		const char *arguments;
		size_t elements;
	} lists[] = {
		{ "explain -o json", 77 },
		{ "config --defaults -o json", options },
	};
	static struct result result;
	json_error_t error;
	json_t *json;

	assert_non_null(first);
	for (size_t i = 0; i < STW_ARRAY_SIZE(lists); i++) {
		run(&result, lists[i].arguments);
		assert_int_equal(result.status, 0);
		json = json_loads(result.text, 0, &error);
		assert_non_null(json);
		assert_int_equal(json_array_size(json), lists[i].elements);
		json_decref(json);
	}
}

/* All 77 codes stand in the list, by class. */
static void test_explain_lists_all(void **state)
{
	static struct result result;
	unsigned codes = 0, classes = 0;

	run(&result, "explain");
	for (const char *line = result.text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		codes += line[0] == ' ' && line[2] >= '1' && line[2] <= '6' && line[5] == ' ';
		classes += strncmp(line + 1, "xx ", 3) == 0;
	}
	assert_int_equal(codes, 77);
	assert_int_equal(classes, 6);
}

static int setup(void **state)
{
	ssize_t len = readlink("/proc/self/exe", strowger, sizeof(strowger) - 16);
	char *slash;

	if (len < 0 || !mkdtemp(folder))
		return -1;
	strowger[len] = '\0';
	slash = strrchr(strowger, '/');
	strcpy(slash + 1, "strowger");
	return 0;
}

static int teardown(void **state)
{
	char line[64];

	snprintf(line, sizeof(line), "rm -r %s", folder);
	return system(line) == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_and_output),
		cmocka_unit_test(test_json_is_json),
		cmocka_unit_test(test_explain_lists_all),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
