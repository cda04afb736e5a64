/* SPDX-License-Identifier: Apache-2.0 */
/* Files that can be read, and could not work: told before a server starts. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/config/config.h"

static struct stw_config_errors errors;

static void check_says(const char *yaml, const char *expected)
{
	struct stw_config *config = NULL;
	char text[4000] = "";
	size_t len = 0;
	int err = stw_config_parse("t.yaml", yaml, strlen(yaml), &errors, &config);

	for (unsigned i = 0; i < errors.n && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%u:%u: %s\n",
			errors.v[i].line, errors.v[i].column, errors.v[i].text);
	if (err != (*expected ? -EINVAL : 0) || strcmp(text, expected) != 0)
		fail_msg("%s-> %d\n%sexpected\n%s", yaml, err, text, expected);
	stw_config_unref(config);
}

static void transports_that_are_not_served(void **state)
{
	(void)state;
	check_says("trunks: [{name: a, uri: 'sip:gw;transport=TCP'}]\n", "");
	check_says("trunks: [{name: a, uri: ['sip:gw', 'sip:gx;transport=tls']}]\n",
		"1:25: trunks: transport \"tls\" is not built yet; allowed: udp, tcp\n");
	check_says("edge: [{domain: a.test, registrar: 'sip:c;transport=ws'}]\n",
		"1:36: edge: registrar: transport \"ws\" is not built yet; allowed: udp, tcp\n");
	check_says("emergency: {route: 'sip:psap;transport=foo'}\n",
		"1:20: emergency.route: transport \"foo\" is not known; allowed: udp, tcp\n");
	check_says("analytics: {announcement: 'sip:a@m;transport=wss'}\n",
		"1:27: analytics.announcement: transport \"wss\" is not built yet; allowed: udp, "
		"tcp\n");
	check_says("queues: [{name: a, media: 'sip:m;transport=tls-sctp'}]\n",
		"1:27: queues: media: transport \"tls-sctp\" is not known; allowed: udp, tcp\n");
}

static void what_leads_nowhere(void **state)
{
	(void)state;
	check_says("trunks: [{name: a, uri: sip:gw, incoming: 'group:zed'}]\n",
		"1:9: trunks: incoming of a: there is no group zed\n");
	check_says("domains: [x.test]\nshared_names: [{name: lee, users: [a@X.test, b@y.test]}]\n",
		"2:15: shared_names: b@y.test of lee is of none of the domains of this server\n");
	check_says("dialplan: [{match: 0., class: 'a b', to: reject 403}]\n",
		"1:31: dialplan: \"a b\" is no word\n");
}

static void a_trunk_that_never_registers(void **state)
{
	(void)state;
	check_says("trunks: [{name: a, uri: sip:gw, user: u, password: p}]\n", "");
	check_says("trunks: [{name: a, uri: sip:gw, user: u, password: p, aor: 'sip:u@gw', "
		   "register: false}]\n",
		"");
	check_says("trunks: [{name: a, uri: sip:gw, user: u, password: p, aor: 'sip:u@gw'}]\n",
		"1:60: trunks: \"a\" is never registered, so aor and expires mean nothing; "
		"register: true is missing\n");
	check_says("trunks: [{name: a, uri: sip:gw, user: u, password: p, expires: 1h}]\n",
		"1:64: trunks: \"a\" is never registered, so aor and expires mean nothing; "
		"register: true is missing\n");
}

static void certificates_that_are_none(void **state)
{
	(void)state;
	check_says("hook: {ca: tests/unit/server/card/certificate.pem}\n", "");
	check_says("hook: {ca: /etc/passwd}\n",
		"1:12: hook.ca: \"/etc/passwd\" holds no certificates (PEM), or a broken one\n");
	check_says("hook: {ca: tests/unit/server/card/p256.pem}\n",
		"1:12: hook.ca: \"tests/unit/server/card/p256.pem\" holds no certificates (PEM), "
		"or a broken one\n");
	check_says("hook: {ca: /}\n",
		"1:12: hook.ca: \"/\" holds no certificates (PEM), or a broken one\n");
	check_says("hook: {ca: /dev/zero}\n",
		"1:12: hook.ca: \"/dev/zero\" holds no certificates (PEM), or a broken one\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transports_that_are_not_served),
		cmocka_unit_test(what_leads_nowhere),
		cmocka_unit_test(certificates_that_are_none),
		cmocka_unit_test(a_trunk_that_never_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
