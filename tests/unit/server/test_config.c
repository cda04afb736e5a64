/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/config/config.h"
#include "server/suggest.h"

static struct stw_config_errors errors;

static struct stw_config *good(const char *text)
{
	struct stw_config *config = NULL;
	int err = stw_config_parse("/etc/strowger/t.yaml", text, strlen(text), &errors, &config);

	if (err < 0)
		fail_msg("%s\n-> %d %u:%u: %s", text, err, errors.v[0].line, errors.v[0].column,
			errors.n ? errors.v[0].text : "");
	assert_int_equal(errors.n, 0);
	return config;
}

/* Every message of these files, with its place. */
static const struct {
	const char *yaml, *expected;
} faults[] = {
	{ "registraton: {}\n",
		"1:1: unknown option \"registraton\"; did you mean registration?\n" },
	{ "registration:\n  max_binding: 3\n",
		"2:3: unknown option \"registration.max_binding\"; did you mean max_bindings?\n" },
	{ "max_bindings: 3\n",
		"1:1: unknown option \"max_bindings\"; did you mean registration.max_bindings?\n" },
	{ "zzzzzzzz: 3\n",
		"1:1: unknown option \"zzzzzzzz\"; `strowger config --defaults` lists all\n" },
	{ "auth.required: true\n",
		"1:1: auth.required: write the group and its option in two lines, or {…}\n" },
	{ "workers: 1\nworkers: 1\n", "2:1: workers stands twice; first in line 1\n" },
	{ "log: {level: debug}\n\nlog: {level: error}\n",
		"3:1: log stands twice; first in line 1\n" },
	{ "log:\n  level: debug\n  level: error\n",
		"3:3: log.level stands twice; first in line 2\n" },
	{ "workers: 65\n",
		"1:10: workers: \"65\" is not a number of threads; allowed: auto or 1 to 64\n" },
	{ "workers: 0\n",
		"1:10: workers: \"0\" is not a number of threads; allowed: auto or 1 to 64\n" },
	{ "workers: many\n",
		"1:10: workers: \"many\" is not a number of threads; allowed: auto or 1 to 64\n" },
	{ "workers: -1\n",
		"1:10: workers: \"-1\" is not a number of threads; allowed: auto or 1 to 64\n" },
	{ "call: {ring_timeout: 0}\n",
		"1:22: call.ring_timeout: \"0\" is out of range; allowed: 1s to 1h\n" },
	{ "workers:\n", "1:9: workers: has no value; leave the line out for the default\n" },
	{ "workers: [1]\n", "1:10: workers: a list is not allowed here, it takes a text; allowed: "
			    "auto or 1 to 64\n" },
	{ "registration: {max_bindings: 99999999999999999999}\n",
		"1:30: registration.max_bindings: \"99999999999999999999\" is out of range; "
		"allowed: 1 to 1000\n" },
	{ "registration:\n  min_expires: 60\n", "2:16: registration.min_expires: \"60\" has no "
						"unit; allowed: 1s to 7d (units d, h, m, s, ms; "
						"did you mean 60s?)\n" },
	{ "registration: {min_expires: 1500ms}\n", "1:29: registration.min_expires: \"1500ms\" is "
						   "not whole seconds; allowed: 1s to 7d\n" },
	{ "registration: {min_expires: 8d, max_expires: 30d}\n",
		"1:29: registration.min_expires: \"8d\" is out of range; allowed: 1s to 7d\n" },
	{ "registration: {min_expires: 1 hour}\n", "1:29: registration.min_expires: \"1 hour\" is "
						   "not a duration; write it like 60s, 1h, 3m1s or "
						   "500ms; allowed: 1s to 7d\n" },
	{ "registration: {min_expires: 1s2m}\n", "1:29: registration.min_expires: \"1s2m\" is not "
						 "a duration; write it like 60s, 1h, 3m1s or "
						 "500ms; allowed: 1s to 7d\n" },
	{ "registration: {min_expires: 2h}\n", "1:29: registration.min_expires (2h) is more than "
					       "registration.default_expires (1h)\n" },
	{ "registration:\n  default_expires: 10s\n", "2:20: registration.min_expires (1m) is more "
						     "than registration.default_expires (10s)\n" },
	{ "session_timer: {insert: 80s}\n", "1:25: session_timer.min_se (1m30s) is more than "
					    "session_timer.insert (1m20s)\n" },
	{ "session_timer:\n  insert: 1h\n  max: 30m\n",
		"2:11: session_timer.insert (1h) is more than session_timer.max (30m)\n" },
	{ "session_timer:\n  max: 1m\n", "2:8: session_timer.min_se (1m30s) is more than "
					 "session_timer.max (1m)\n" },
	{ "proxy: {timer_c: 3m}\n",
		"1:18: proxy.timer_c: \"3m\" is out of range; allowed: 3m1ms to 1d\n" },
	{ "limits: {max_output: 1MB}\n", "1:22: limits.max_output: \"1MB\" is not a number of "
					 "bytes (KiB and MiB may follow); "
					 "allowed: 64KiB to 1GiB\n" },
	{ "limits: {max_message: 1MiB}\n",
		"1:23: limits.max_message: \"1MiB\" is out of range; allowed: 2KiB to 65535\n" },
	{ "auth: {required: yes}\n",
		"1:18: auth.required: \"yes\" is not true or false; did you mean true?\n" },
	{ "auth: {required: flase}\n",
		"1:18: auth.required: \"flase\" is not true or false; did you mean false?\n" },
	{ "auth: {required: maybe}\n", "1:18: auth.required: \"maybe\" is not true or false\n" },
	{ "log: {level: warn}\n", "1:14: log.level: \"warn\" is not known; allowed: error, "
				  "warning, notice, debug; did you mean "
				  "warning?\n" },
	{ "log: debug\n", "1:1: log: is a group of options; write them below it, indented\n" },
	{ "auth: {algorithms: [md5, MD5]}\n", "1:26: auth.algorithms: \"MD5\" stands twice\n" },
	{ "auth: {algorithms: [SHA256]}\n", "1:21: auth.algorithms: \"SHA256\" is not known; "
					    "allowed: MD5, SHA-256, SHA-512-256; did you "
					    "mean SHA-256?\n" },
	{ "limits: {source_exempt: [192.0.2.0/33]}\n",
		"1:26: limits.source_exempt: \"192.0.2.0/33\" is no network; allowed: ADDRESS or "
		"ADDRESS/BITS, IPv6 too\n" },
	{ "auth: {algorithms: []}\n",
		"1:20: auth.algorithms: the list is empty; leave the line out for the default\n" },
	{ "auth:\n  required: false\n", "2:13: auth.required: false would let everyone use the "
					"listener on 0.0.0.0:5060; listen on "
					"loopback only, or say auth.insecure_listen: true\n" },
	{ "domains: [exa mple.com]\n", "1:11: domains: \"exa mple.com\" is not a host name; "
				       "allowed: names like example.com, without "
				       "port or sip:\n" },
	{ "domains: [a.example, A.Example]\n", "1:22: domains: \"A.Example\" stands twice\n" },
	{ "domains: [[a]]\n", "1:11: domains: an element must be a text\n" },
	{ "domains: {a: b}\n", "1:10: domains: a mapping is not allowed here, it takes a list; "
			       "allowed: host names\n" },
	{ "listen:\n  - udp:0.0.0.0:5060\n  - tls:0.0.0.0:5061\n",
		"3:5: listen: \"tls:0.0.0.0:5061\": encrypted and WebSocket listeners (tls, ws, "
		"wss) are not "
		"built yet; allowed: udp:HOST:PORT or tcp:HOST:PORT\n" },
	{ "listen: [0.0.0.0:5060]\n", "1:10: listen: \"0.0.0.0:5060\" does not start with a "
				      "transport; allowed: udp:HOST:PORT or "
				      "tcp:HOST:PORT; did you mean udp:...?\n" },
	{ "listen: [upd:0.0.0.0:5060]\n", "1:10: listen: \"upd:0.0.0.0:5060\" does not start with "
					  "a transport; allowed: udp:HOST:PORT or "
					  "tcp:HOST:PORT; did you mean udp?\n" },
	{ "listen: [udp:example.com:5060]\n", "1:10: listen: \"udp:example.com:5060\" has no IP "
					      "address and port; allowed: udp:HOST:PORT or "
					      "tcp:HOST:PORT, HOST an address of this machine "
					      "(0.0.0.0 or [::] for all, IPv6 in brackets)\n" },
	{ "listen: ['udp:::1:5060']\n", "1:10: listen: \"udp:::1:5060\" has no IP address and "
					"port; allowed: udp:HOST:PORT or "
					"tcp:HOST:PORT, HOST an address of this machine (0.0.0.0 "
					"or [::] for all, IPv6 in brackets)\n" },
	{ "listen: [udp:0.0.0.0:99999]\n", "1:10: listen: \"udp:0.0.0.0:99999\" has no IP address "
					   "and port; allowed: udp:HOST:PORT or "
					   "tcp:HOST:PORT, HOST an address of this machine "
					   "(0.0.0.0 or [::] for all, IPv6 in brackets)\n" },
	{ "listen: [udp:127.0.0.1:5060, udp:127.0.0.1:5060]\n",
		"1:30: listen: \"udp:127.0.0.1:5060\" stands twice\n" },
	{ "listen:\n  - adress: udp:127.0.0.1:5060\n",
		"2:5: listen: unknown key \"adress\"; allowed: address, advertise; did you mean "
		"address?\n" },
	{ "listen:\n  - advertise: a.example\n", "2:5: listen: the entry has no address\n" },
	{ "listen:\n  - address: udp:127.0.0.1:5060\n    advertise: a b\n",
		"3:16: advertise: \"a b\" is not an address; allowed: HOST or HOST:PORT, IPv6 in "
		"brackets\n" },
	{ "advertise: 'sip:a.example'\n", "1:12: advertise: \"sip:a.example\" is not an address; "
					  "allowed: HOST or HOST:PORT, IPv6 in "
					  "brackets\n" },
	{ "store: nats://127.0.0.1\n", "1:8: store: \"nats://127.0.0.1\": a shared store over NATS "
				       "is not built yet; allowed: "
				       "sqlite:PATH or memory\n" },
	{ "store: /var/lib/x.db\n", "1:8: store: \"/var/lib/x.db\" names no kind of store; "
				    "allowed: sqlite:PATH or memory; did you "
				    "mean sqlite:/var/lib/x.db?\n" },
	{ "store: postgres\n",
		"1:8: store: \"postgres\" is not known; allowed: sqlite:PATH or memory\n" },
	{ "tls:\n  certificate: /nonexistent/cert.pem\n",
		"2:16: tls.certificate: encrypted and WebSocket listeners (tls, ws, wss) are not "
		"built yet; leave the line out\n" },
	{ "tls:\n  certificate: /etc/passwd\n  key: /etc/passwd\n",
		"2:16: tls.certificate: encrypted and WebSocket listeners (tls, ws, wss) are not "
		"built yet; leave the line out\n"
		"3:8: tls.key: encrypted and WebSocket listeners (tls, ws, wss) are not built yet; "
		"leave the line out\n" },
	{ "admin: {listen: 0.0.0.0:8090}\n", "1:17: admin.listen: \"0.0.0.0:8090\" is not on "
					     "loopback; the administration is for this machine "
					     "only; allowed: like 127.0.0.1:8090\n" },
	{ "admin: {socket: admin.sock}\n", "1:17: admin.socket: \"admin.sock\" is not an absolute "
					   "path of at most 107 bytes\n" },
	{ "dns: {servers: [one.one]}\n", "1:17: dns.servers: \"one.one\" is not an IP address; "
					 "allowed: ADDRESS or ADDRESS:PORT, IPv6 in "
					 "brackets\n" },
	{ "user: \"a\\0b\"\n", "1:7: user: \"a?b\" contains a NUL byte\n" },
	/* The dial plan. */
	{ "dialplan:\n  - {match: 12y, to: user}\n",
		"2:13: dialplan: \"12y\" is no pattern at its character 3; allowed: digits, x "
		"(any digit), [2-5], . (one or more digits), + * #\n" },
	{ "dialplan: [{match: 12}]\n", "1:12: dialplan: the entry has no to\n" },
	{ "dialplan: [12]\n", "1:12: dialplan: an element must be a mapping, {key: value, ...}\n" },
	{ "dialplan: 12\n", "1:11: dialplan: a text is not allowed here, it takes a list; "
			    "allowed: {match, class, strip, prepend, to}\n" },
	{ "dialplan: [{math: 12, to: user}]\n",
		"1:13: dialplan: unknown key \"math\"; allowed: match, class, strip, prepend, to; "
		"did you mean match?\n" },
	{ "dialplan: [{match: 12, match: 13, to: user}]\n",
		"1:31: dialplan: match stands twice in this entry\n" },
	{ "dialplan: [{match: {a: b}, to: user}]\n", "1:13: dialplan: match must be a text\n" },
	{ "dialplan: [{match: 12, to: nowhere}]\n",
		"1:28: dialplan: \"nowhere\" leads nowhere; allowed: user, user NAME, group NAME, "
		"queue NAME, trunk NAME, reject CODE\n" },
	{ "dialplan: [{match: 12, to: group sales}]\n",
		"1:28: dialplan: there is no group \"sales\"; groups are listed under groups\n" },
	{ "dialplan: [{match: 12, to: queue sales}]\n",
		"1:28: dialplan: there is no queue \"sales\"; queues are listed under queues\n" },
	{ "queues: [{agents: bob}]\n", "1:10: queues: the entry has no name\n" },
	{ "queues: [{name: a b}]\n",
		"1:17: queues: \"a b\" is no name of at most 63 characters\n" },
	{ "queues: [{name: a}, {name: a}]\n", "1:28: queues: \"a\" stands twice\n" },
	{ "queues: [{name: a, agents: [bob, c d]}]\n",
		"1:28: queues: \"c d\" is no user; allowed: bob, bob@example.com\n" },
	{ "queues: [{name: a, announce: 2m}]\n",
		"1:30: queues: announce: \"2m\" is no time; allowed: 5s to 1m\n" },
	{ "queues: [{name: a, max_per_caller: many}]\n",
		"1:36: queues: max_per_caller: \"many\" is no length; allowed: 0 to 1000\n" },
	{ "queues: [{name: a, max_length: 1001}]\n",
		"1:32: queues: max_length: \"1001\" is no length; allowed: 0 to 1000\n" },
	{ "queues: [{name: a, priority: some}]\n",
		"1:30: queues: priority: \"some\" is not known; allowed: users, all, none\n" },
	{ "queues: [{name: a, overflow: 'a b c'}]\n",
		"1:30: queues: overflow: \"a b c\" cannot be called; allowed: a user, a number, a "
		"SIP URI, group:NAME, queue:NAME\n" },
	{ "queues: [{name: a, overflow: 'queue:a'}]\n",
		"1:9: queues: overflow of a leads to itself\n" },
	{ "queues: [{name: a, overflow: 'queue:b'}]\n",
		"1:9: queues: overflow of a: there is no queue b\n" },
	{ "queues: [{name: a, agents: bob@else.example}]\n",
		"1:9: queues: bob@else.example of a is of none of the domains of this server\n" },
	{ "groups: [{name: a, members: bob}]\nqueues: [{name: a}]\n",
		"2:9: queues: a is the name of a group, too\n" },
	{ "dialplan: [{match: 12, to: reject 401}]\n",
		"1:28: dialplan: \"reject 401\" names no code that can be given; allowed: reject "
		"403, 404, 410, 480, 484, 486, 603, 604\n" },
	{ "dialplan: [{match: 12, to: 'user @'}]\n", "1:28: dialplan: \"user @\" names no user\n" },
	{ "domains: [a.example]\ndialplan: [{match: 12, to: user bob@b.example}]\n",
		"2:28: dialplan: \"user bob@b.example\" is of none of the domains of this "
		"server\n" },
	{ "dialplan: [{match: 12, to: trunk ot}]\ntrunks: [{name: out, uri: sip:gw}]\n",
		"1:28: dialplan: there is no trunk \"ot\"; did you mean out?\n" },
	{ "dialplan: [{match: 12, strip: 3, to: user}]\n",
		"1:31: dialplan: \"3\" symbols are more than the shortest number that matches "
		"has\n" },
	{ "dialplan: [{match: 12, strip: x, to: user}]\n",
		"1:31: dialplan: \"x\" is no number of symbols to strip\n" },
	{ "dialplan: [{match: 12, prepend: x, to: user}]\n",
		"1:33: dialplan: \"x\" cannot be prepended; allowed: digits, + * #\n" },
	{ "dialplan:\n  - {match: x1, to: user}\n  - {match: '[0-9]1', to: reject 404}\n",
		"3:13: dialplan: \"[0-9]1\" matches the same numbers as \"x1\" in line 2\n" },
	{ "dialplan:\n  - {match: '[12]x', to: user}\n  - {match: '[23]x', to: reject 404}\n",
		"3:13: dialplan: \"[23]x\" and \"[12]x\" in line 2 both match 20, and neither is "
		"more specific\n" },
	{ "dialplan:\n  - {match: .5, to: user}\n  - {match: x., to: user}\n",
		"2:13: dialplan: \".5\" is never used: all its numbers belong to \"x.\" in line 3, "
		"which is more specific\n" },
	{ "ranges: [+49.]\n", "1:10: ranges: \"+49.\" has no end; write one x for each digit "
			      "that may follow\n" },
	{ "call: {redirect: [example.org]}\n",
		"1:18: call.redirect: \"example.org\" is none of domains\n" },
	{ "call: {classes: ['a b']}\n", "1:18: call.classes: \"a b\" is no word\n" },
	{ "trunks:\n  - {name: a, uri: sip:gw}\n  - {name: a, uri: sip:gw}\n",
		"3:12: trunks: \"a\" stands twice\n" },
	{ "trunks: [{name: a b, uri: sip:gw}]\n",
		"1:17: trunks: \"a b\" is no word of at most 63 characters\n" },
	{ "trunks: [{name: a, uri: gw.example.net}]\n",
		"1:25: trunks: \"gw.example.net\" is no SIP URI; allowed: like sip:gw.example.net "
		"or sip:192.0.2.7:5060;transport=tcp\n" },
	{ "trunks: [{name: a, uri: [sip:gw, sip:x@gw]}]\n",
		"1:25: trunks: \"sip:x@gw\" has a user or headers; the number that was dialled "
		"goes there\n" },
	{ "trunks: [{name: a, uri: sip:gw, next_on: [503, 600]}]\n",
		"1:42: trunks: \"503, 600\" are no response codes; allowed: a list of codes and "
		"ranges from 300 to 599, like [408, 500-599]\n" },
	{ "feature_codes: [{code: '*78', set: credit=5}]\n",
		"1:36: feature_codes: \"credit=5\" is nothing that a user may change by a code; "
		"allowed: dnd, reject_anonymous, block, allow, forward.…=VALUE, with $ for what is "
		"dialled, and queue.login|logout|pause=NAME\n" },
	{ "feature_codes: [{code: '*21*x.#', set: dnd=on}]\n",
		"1:40: feature_codes: \"dnd=on\" has no $ for the digits of the code "
		"\"*21*x.#\"\n" },
	{ "feature_codes: [{code: '*21#', set: forward.busy=$}]\n",
		"1:37: feature_codes: \"forward.busy=$\" takes digits, but the code \"*21#\" has "
		"none\n" },
	{ "feature_codes: [{code: '*21', set: dnd=perhaps}]\n",
		"1:36: feature_codes: \"dnd=perhaps\": dnd: \"perhaps\" is not right; allowed: "
		"on, "
		"off\n" },
	{ "feature_codes: [{code: '*[12]', set: block=$}, {code: '*[23]', set: block=$}]\n",
		"1:16: feature_codes: \"*[12]\" and \"*[23]\" can both be meant by one number\n" },
	{ "feature_codes: [{code: 'abc', set: dnd=on}]\n",
		"1:24: feature_codes: \"abc\" is no pattern at its character 1; allowed: digits, x "
		"(any digit), [2-5], . (one or more digits), + * #\n" },
	{ "trunks: [{name: a, uri: sip:gw, password: x}]\n",
		"1:43: trunks: \"a\" has a password or realm and no user: who are we there?\n" },
	{ "trunks: [{name: a, uri: sip:gw, user: u}]\n",
		"1:39: trunks: \"a\" has a user and no password; give password or "
		"password_file\n" },
	{ "trunks: [{name: a, uri: sip:gw, user: u, password: x, password_file: y}]\n",
		"1:70: trunks: \"a\" has a password and a password_file; give one of them\n" },
	{ "trunks: [{name: a, uri: sip:gw, user: u, password_file: /nowhere/at/all}]\n",
		"1:57: trunks: \"/nowhere/at/all\" cannot be read: No such file or directory\n" },
	{ "trunks: [{name: a, uri: sip:gw, direct: a b}]\n", "1:41: trunks: \"a b\" is no word\n" },
	{ "priority: {namespaces: [foo]}\n",
		"1:25: priority.namespaces: \"foo\" is not registered; allowed: dsn, drsn, q735, "
		"ets, wps, esnet, mcpttp, mcpttq, and dsn-00000N, drsn-00000N, rts-00000N, "
		"crts-00000N\n" },
	{ "priority: {sources: [there]}\n", "1:22: priority.sources: \"there\" is no network; "
					    "allowed: ADDRESS or ADDRESS/BITS, "
					    "IPv6 too\n" },
	{ "priority: {class: 'a b'}\n", "1:19: priority.class: \"a b\" is no word\n" },
	{ "analytics: {card_contacts: ['sip:a@example.com']}\n",
		"1:29: analytics.card_contacts: \"sip:a@example.com\" is no contact; allowed: "
		"mailto:, tel:, https: and http: URIs\n" },
	{ "analytics: {announcement: 'tel:+1'}\n",
		"1:27: analytics.announcement: \"tel:+1\" is no SIP URI\n" },
	{ "analytics:\n  card_key: /etc/hosts\n",
		"2:13: analytics.card_key: is set, but analytics.card_certificate is not\n"
		"2:13: analytics.card_key: is set, but analytics.card_contacts is empty\n"
		"2:13: analytics.card_key: \"/etc/hosts\" holds no private key for P-256 without a "
		"password\n" },
	/* Web servers. */
	{ "analytics: {url: ftp://example.net}\n",
		"1:18: analytics.url: \"ftp://example.net\" is no address of the web; allowed: "
		"like https://host.example.net/path, without user and fragment\n" },
	{ "analytics: {url: 'http://me@example.net/'}\n",
		"1:18: analytics.url: \"http://me@example.net/\" is no address of the web; "
		"allowed: like https://host.example.net/path, without user and fragment\n" },
	{ "analytics: {codes: [608, 200]}\n",
		"1:26: analytics.codes: \"200\" is not known; allowed: 403, 404, 410, 480, 486, "
		"603, 608\n" },
	{ "analytics: {codes: [608, 608]}\n", "1:26: analytics.codes: \"608\" stands twice\n" },
	{ "analytics: {methods: [CANCEL]}\n",
		"1:23: analytics.methods: \"CANCEL\" is no method to ask about; ACK, CANCEL and "
		"REGISTER are never\n" },
	{ "analytics: {headers: [Via]}\n",
		"1:23: analytics.headers: \"Via\" cannot be added; allowed: Alert-Info, Call-Info, "
		"and names that mean nothing to this server, like X-Reputation\n" },
	{ "trunks: [{name: a, uri: sip:gw, register: true}]\n",
		"1:43: trunks: \"a\" registers and has no user: as whom?\n" },
	{ "trunks: [{name: a, uri: sip:gw, register: maybe}]\n",
		"1:43: trunks: register: \"maybe\" is not known; allowed: true, false\n"
		"1:43: trunks: \"a\" registers and has no user: as whom?\n" },
	{ "trunks: [{name: a, uri: sip:gw, unregistered: refuse}]\n",
		"1:47: trunks: \"a\" is never registered, so no call would go there; register: "
		"true is missing\n" },
	{ "trunks: [{name: a, uri: sip:gw, user: u, password: p, aor: me, register: true}]\n",
		"1:60: trunks: aor: \"me\" is no address-of-record; allowed: like "
		"sip:4930555@example.net\n" },
	{ "trunks: [{name: a, uri: sip:gw, expires: 5s, user: u, password: p, register: true}]\n",
		"1:42: trunks: expires: \"5s\" is no time; allowed: 1m to 1d\n" },
	{ "trunks: [{name: a, uri: sip:gw, incoming: 'a b'}]\n",
		"1:43: trunks: incoming: \"a b\" cannot be called; allowed: a user, a number, a "
		"SIP URI, group:NAME\n" },
	{ "edge:\n  - {domain: a.test, registrar: sip:c}\n"
	  "  - {domain: A.test, registrar: sip:c}\n",
		"3:14: edge: domain: \"A.test\" stands twice\n" },
	{ "edge: [{domain: 'sip:a.test', registrar: sip:c}]\n",
		"1:17: edge: domain: \"sip:a.test\" is not a host name; allowed: names like "
		"example.com\n" },
	{ "edge: [{domain: a.test, registrar: 'sip:u@c'}]\n",
		"1:36: edge: registrar: \"sip:u@c\" is no SIP URI without user; allowed: like "
		"sip:core.example.net or sip:192.0.2.7:5060;transport=tcp\n" },
	{ "edge: [{domain: a.test, registrar: sip:c, path: perhaps}]\n",
		"1:49: edge: path: \"perhaps\" is not known; allowed: offer, require, never\n" },
	{ "domains: [a.test]\nedge: [{domain: A.test, registrar: sip:c}]\n",
		"2:7: edge: \"A.test\" is one of domains: its users live here, or with another "
		"registrar\n" },
	{ "domains: [c.test]\nedge: [{domain: a.test, registrar: 'sip:c.test'}]\n",
		"2:7: edge: registrar: \"sip:c.test\" is this server itself\n" },
	{ "emergency: {numbers: [help]}\n",
		"1:23: emergency.numbers: \"help\" is no number; allowed: digits, + * #\n" },
	{ "emergency: {route: psap}\n",
		"1:20: emergency.route: \"psap\" leads nowhere; allowed: a SIP URI without user, "
		"or trunk NAME\n" },
	{ "emergency: {route: trunk psap}\n",
		"1:20: emergency.route: there is no trunk \"psap\"; trunks are listed under "
		"trunks\n" },
	{ "groups: [{name: sales, members: bob, ring: longest}]\n",
		"1:44: groups: ring: \"longest\" is not known; allowed: all, order, q, "
		"longest_idle\n" },
	{ "groups: [{name: sales, members: bob, timeout: 20}]\n",
		"1:47: groups: timeout: \"20\" is no time; allowed: 1s to 10m\n" },
	{ "groups: [{name: sales, members: bob, open: [sun, mon 8-18]}]\n",
		"1:44: groups: open: \"mon 8-18\" is no time; allowed: days and times like mon-fri "
		"08:00-18:00, sat 22:00-02:00, sun\n" },
	{ "groups: [{name: sales, members: bob, closed: carol}]\n",
		"1:46: groups: closed without open: it is never closed\n" },
	{ "groups: [{name: sales, members: bob, open: sun, closed: 'a b@'}]\n",
		"1:57: groups: closed: \"a b@\" cannot be called; allowed: a user, a number, a SIP "
		"URI, group:NAME, queue:NAME\n" },
	{ "groups: [{name: sales, members: bob, open: sun, closed: 'group:sales'}]\n",
		"1:9: groups: closed of sales leads to itself\n" },
	{ "queues: [{name: a, open: sun, closed: 'group:x'}]\n",
		"1:9: queues: closed of a: there is no group x\n" },
	{ "queues: [{name: a, media: bob}]\n", "1:27: queues: media: \"bob\" is no SIP URI\n" },
	{ "time_zone: Europe/Nowhere\n",
		"1:12: time_zone: \"Europe/Nowhere\" is no time zone of /usr/share/zoneinfo/; "
		"allowed: local, UTC, a name like Europe/Berlin, a rule like "
		"CET-1CEST,M3.5.0,M10.5.0/3\n" },
	{ "time_zone: ../../../etc/passwd\n",
		"1:12: time_zone: \"../../../etc/passwd\" is no time zone; allowed: local, UTC, a "
		"name like Europe/Berlin, a rule like CET-1CEST,M3.5.0,M10.5.0/3\n" },
	{ "groups: [{name: sales, members: 'b b'}]\n",
		"1:33: groups: \"b b\" is no user; allowed: bob, bob@example.com\n" },
	{ "groups: [{name: sales, members: bob, overflow: 'group:x'}]\n",
		"1:9: groups: overflow of sales: there is no group x\n" },
	{ "groups: [{name: sales, members: bob, overflow: 'group:sales'}]\n",
		"1:9: groups: overflow of sales leads to itself\n" },
	{ "groups: [{name: sales, members: bob}, {name: sales, members: bob}]\n",
		"1:46: groups: \"sales\" stands twice\n" },
	{ "shared_names: [{name: lee, users: lee.s}]\n",
		"1:35: shared_names: one user is no choice; give him the name as an alias\n" },
	{ "shared_names: [{name: lee, users: [a, 'Lee <b']}]\n",
		"1:35: shared_names: \"Lee <b\" is no user; allowed: bob, bob@example.com, or Bob "
		"<bob>\n" },
	/* The YAML around it. */
	{ "workers: &a 1\n", "1:10: anchors (&name) and aliases (*name) are not used here; write "
			     "the value out\n" },
	{ "a: &a [x,x]\nb: [*a,*a]\n", "1:4: anchors (&name) and aliases (*name) are not used "
				       "here; write the value out\n" },
	{ "log: {level: *x}\n", "1:14: anchors (&name) and aliases (*name) are not used here; "
				"write the value out\n" },
	{ "- a\n- b\n", "1:1: the file must consist of lines \"option: value\"\n" },
	{ "just words\n", "1:1: the file must consist of lines \"option: value\"\n" },
	{ "workers: 1\n---\nworkers: 1\n",
		"2:1: the file has a second document (---); only one is allowed\n" },
	{ "? [a, b]\n: c\n", "1:3: a key must be the name of an option\n" },
	/* Errors are collected, in order. */
	{ "workers: 65\nlog: {level: x}\ncall: {ring_timeout: 5}\n",
		"1:10: workers: \"65\" is not a number of threads; allowed: auto or 1 to 64\n"
		"2:14: log.level: \"x\" is not known; allowed: error, warning, notice, debug\n"
		"3:22: call.ring_timeout: \"5\" has no unit; allowed: 1s to 1h (units d, h, m, s, "
		"ms; did you "
		"mean 5s?)\n" },
};

static void errors_text(char *buffer, size_t size)
{
	size_t len = 0;

	buffer[0] = '\0';
	for (unsigned i = 0; i < errors.n && len < size; i++)
		len += (size_t)snprintf(buffer + len, size - len, "%u:%u: %s\n", errors.v[i].line,
			errors.v[i].column, errors.v[i].text);
}

static void test_faults(void **state)
{
	static char text[30000];
	unsigned wrong = 0;

	for (size_t i = 0; i < STW_ARRAY_SIZE(faults); i++) {
		size_t len = strlen(faults[i].yaml);
		char *guarded = support_guarded(faults[i].yaml, len);
		struct stw_config *config = NULL;
		int err = stw_config_parse("t.yaml", guarded, len, &errors, &config);

		errors_text(text, sizeof(text));
		if (err != -EINVAL || config || strcmp(text, faults[i].expected) != 0) {
			print_error("%s-> %d\n%sexpected\n%s\n", faults[i].yaml, err, text,
				faults[i].expected);
			wrong++;
		}
		stw_config_unref(config);
		support_guarded_free(guarded, len);
	}
	assert_int_equal(wrong, 0);
}

static void test_syntax_errors_have_a_place(void **state)
{
	static const struct {
		const char *yaml;
		unsigned line;
	} cases[] = {
		{ "workers: 1\n\tlog: x\n", 2 },
		{ "a: [1\n", 2 },
		{ "a: b: c\n", 1 },
		{ "workers: 1\nx: \xff\n", 2 },
		{ "\"abc\n", 2 },
		{ "a: 1\n b: 2\n", 2 },
		{ "workers: 1\nuser: \x01\n", 2 },
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct stw_config *config = NULL;

		assert_int_equal(stw_config_parse("t", cases[i].yaml, strlen(cases[i].yaml),
					 &errors, &config),
			-EINVAL);
		assert_non_null(strstr(errors.v[errors.n - 1].text, "not valid YAML: "));
		assert_int_equal(errors.v[errors.n - 1].line, cases[i].line);
	}
}

/* Deep nesting is skipped without recursion; libyaml itself refuses what is deeper than its bound.
 */
static void test_depth_and_count(void **state)
{
	struct stw_config *config = NULL;
	char text[5000] = "domains: ";
	size_t len = strlen(text);

	memset(text + len, '[', 4000);
	assert_int_equal(stw_config_parse("t", text, len + 4000, &errors, &config), -EINVAL);
	for (len = 0; len < 4000; len += 4)
		memcpy(text + len, "q: 1", 4), text[len + 3] = '\n';
	assert_int_equal(stw_config_parse("t", text, len, &errors, &config), -EINVAL);
	assert_int_equal(errors.n, STW_ARRAY_SIZE(errors.v));
}

static void test_empty_file_gives_defaults(void **state)
{
	static const char *const empty[] = { "", "\n", "# nothing\n", "---\n", "{}\n", "log:\n",
		"~\n" };

	for (size_t i = 0; i < STW_ARRAY_SIZE(empty); i++) {
		struct stw_config *config = good(empty[i]);

		assert_int_equal(config->domain_count, 1);
		assert_true(config->domains[0].len > 0);
		assert_int_equal(config->listen.n, 2);
		assert_int_equal(config->listen.v[0].transport, STW_TRANSPORT_UDP);
		assert_int_equal(config->listen.v[1].transport, STW_TRANSPORT_TCP);
		assert_int_equal(config->listen.v[1].bind.port, 5060);
		assert_int_equal(config->workers, 1);
		assert_true(config->auth.required);
		assert_int_equal(config->auth.algorithm_count, 1);
		assert_int_equal(config->auth.nonce_lifetime_s, 300);
		assert_int_equal(config->registration.max_expires_s, 3600);
		assert_int_equal(config->call.ring_timeout_ms, 60000);
		assert_int_equal(config->proxy.timer_c_ms, 181000);
		assert_true(config->proxy.serial_fallback);
		assert_int_equal(config->limits.message.max_field, 8192);
		assert_int_equal(config->limits.max_output_bytes, 1 << 20);
		assert_in_range(config->limits.max_transactions, 100, 10000000);
		assert_int_equal(config->limits.connection_idle_ms, 900000);
		assert_int_equal(config->dns.servers.len, 0);
		assert_int_equal(config->log.level, STW_LOG_NOTICE);
		assert_int_equal(config->decisions.keep_calls, 10000);
		stw_config_unref(config);
	}
}

static char *printed(const struct stw_config *config)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	stw_config_print(out, config);
	fclose(out);
	return text;
}

static void assert_same(const struct stw_config *a, const struct stw_config *b)
{
	char *text[2] = { printed(a), printed(b) };

	assert_string_equal(text[0], text[1]);
	assert_null(stw_config_restart_needed(a, b, NULL));
	free(text[0]);
	free(text[1]);
}

static void test_defaults_round_trip(void **state)
{
	struct stw_config *first = good(""), *second;
	char *text = printed(first);

	second = good(text);
	assert_same(first, second);
	assert_int_equal(first->registration.min_expires_s, second->registration.min_expires_s);
	assert_true(stw_str_equal(first->domains[0], second->domains[0]));
	assert_true(stw_str_equal(first->store, second->store));
	/* Every option stands in it. */
	for (size_t i = 0, count; i < (stw_option_all(&count), count); i++) {
		char buffer[64];

		assert_true(stw_config_place(
				    second, stw_option_all(&count)[i].key, buffer, sizeof(buffer))
				    .len > 7);
	}
	free(text);
	stw_config_unref(first);
	stw_config_unref(second);
}

/* One value for each option that is not its default, and how it reads back. */
static const struct {
	const char *key, *yaml, *text;
} values[] = {
	{ "domains", "[Example.COM, '[2001:DB8::1]']", "example.com" },
	{ "listen", "['udp:[::1]:5070']", "udp:[::1]:5070" },
	{ "advertise", "sip.example.com:5080", "sip.example.com:5080" },
	{ "user", "0049", "0049" },
	{ "sandbox", "off", "off" },
	{ "store", "'memory:'", "memory" },
	{ "store_sync", "full", "full" },
	{ "admin.listen", "'[::1]:8090'", "[::1]:8090" },
	{ "admin.socket", "/tmp/a b", "/tmp/a b" },
	{ "auth.required", "false", "false" },
	{ "auth.algorithms", "[sha-256, MD5]", "SHA-256" },
	{ "auth.insecure_listen", "true", "true" },
	{ "auth.nonce_lifetime", "1m30s", "1m30s" },
	{ "registration.min_expires", "90s", "1m30s" },
	{ "registration.max_expires", "2h", "2h" },
	{ "registration.default_expires", "30m", "30m" },
	{ "registration.max_bindings", "3", "3" },
	{ "registration.exclusive", "true", "true" },
	{ "registration.use_source", "never", "never" },
	{ "call.ring_timeout", "1500ms", "1s500ms" },
	{ "call.max_forwards", "7", "7" },
	{ "call.max_age", "2h", "2h" },
	{ "call.from_anyone", "false", "false" },
	{ "call.redirect", "[example.com]", "example.com" },
	{ "call.classes", "[national, international]", "national" },
	{ "call.ambiguous", "485-nolist", "485-nolist" },
	{ "groups",
		"[{name: sales, members: [bob, carol], ring: order, timeout: 15s, "
		"overflow: dave, open: [mon-fri 08:00-18:00, sat], closed: erin}]",
		"{name: sales, members: bob, carol, ring: order, timeout: 15s, overflow: dave, "
		"open: mon-fri 08:00-18:00, sat, closed: erin}" },
	{ "queues",
		"[{name: support, agents: [bob, carol], agent_timeout: 10s, wrap_up: 5s, "
		"max_length: 3, max_wait: 1m, overflow: dave, announce: 20s, call_time: 2m, "
		"priority: all, open: sun, closed: erin, media: 'sip:music@m.example.net', "
		"max_per_caller: 2}]",
		"{name: support, agents: bob, carol, agent_timeout: 10s, wrap_up: 5s, max_length: "
		"3, max_wait: 1m, overflow: dave, announce: 20s, call_time: 2m, priority: all, "
		"open: sun, closed: erin, media: sip:music@m.example.net, max_per_caller: 2}" },
	{ "shared_names", "[{name: lee, users: [Lee S <lee.s>, lee.j]}]",
		"{name: lee, users: Lee S <lee.s>, lee.j}" },
	{ "dialplan", "[{match: 0., class: national, strip: 1, prepend: +49, to: user}]",
		"{match: 0., class: national, strip: 1, prepend: +49, to: user}" },
	{ "ranges", "[+493012xx, 7xx]", "+493012xx" },
	{ "trunks", "[{name: out, uri: sip:gw, expires: 1h, register: false}]",
		"{name: out, uri: sip:gw, register: false, expires: 1h}" },
	{ "trunks", "[{name: out, uri: [sip:gw1.example.net, sip:192.0.2.7]}]",
		"{name: out, uri: sip:gw1.example.net, sip:192.0.2.7}" },
	{ "feature_codes", "[{code: '*21*.#', set: 'forward.always=$'}]",
		"{code: *21*.#, set: forward.always=$}" },
	{ "edge", "[{domain: a.example.net, registrar: 'sip:192.0.2.7', path: require}]",
		"{domain: a.example.net, registrar: sip:192.0.2.7, path: require}" },
	{ "emergency.numbers", "[110, 9-1-1]", "110" },
	{ "emergency.route", "'sip:psap.example.net'", "sip:psap.example.net" },
	{ "proxy.recurse", "asked", "asked" },
	{ "proxy.serial_fallback", "false", "false" },
	{ "proxy.all_busy_600", "true", "true" },
	{ "proxy.timer_c", "4m", "4m" },
	{ "proxy.max_breadth", "7", "7" },
	{ "limits.max_message", "4096", "4KiB" },
	{ "limits.max_uri", "100", "100" },
	{ "limits.max_body", "0", "0" },
	{ "limits.max_headers", "20", "20" },
	{ "limits.max_header_bytes", "1KiB", "1KiB" },
	{ "limits.max_transactions", "101", "101" },
	{ "limits.max_connections", "102", "102" },
	{ "limits.max_connections_per_source", "3", "3" },
	{ "limits.connection_idle", "1d", "1d" },
	{ "limits.message_timeout", "5s", "5s" },
	{ "limits.max_output", "2MiB", "2MiB" },
	{ "limits.max_branches", "4", "4" },
	{ "limits.source_rate", "0", "0" },
	{ "limits.known_source_rate", "12", "12" },
	{ "limits.source_drop_factor", "3", "3" },
	{ "limits.source_exempt", "[192.0.2.0/24, '2001:db8::/32', 192.0.2.7]", "192.0.2.0/24" },
	{ "limits.max_sources", "100", "100" },
	{ "limits.max_calls", "1000", "1000" },
	{ "time_zone", "'CET-1CEST,M3.5.0,M10.5.0/3'", "CET-1CEST,M3.5.0,M10.5.0/3" },
	{ "session_timer.min_se", "5m", "5m" },
	{ "session_timer.insert", "30m", "30m" },
	{ "session_timer.max", "2h", "2h" },
	{ "cdr.file", "/var/log/strowger/calls.json", "/var/log/strowger/calls.json" },
	{ "gather", "3ms", "3ms" },
	{ "overload.target_delay", "80ms", "80ms" },
	{ "overload.retry_after", "30s", "30s" },
	{ "overload.feedback", "rate", "rate" },
	{ "overload.restrain", "false", "false" },
	{ "dns.servers", "[127.0.0.1, '[::1]:53']", "127.0.0.1" },
	{ "dns.timeout", "250ms", "250ms" },
	{ "dns.max_time", "3s", "3s" },
	{ "dns.max_questions", "4", "4" },
	{ "dns.max_srv", "3", "3" },
	{ "dns.max_addresses", "2", "2" },
	{ "dns.failed_for", "90s", "1m30s" },
	{ "dns.failed_for", "0", "0s" },
	{ "dns.cache_names", "100", "100" },
	{ "dns.cache_bytes", "128KiB", "128KiB" },
	{ "hook.connections", "4", "4" },
	{ "hook.max_waiting", "50", "50" },
	{ "hook.max_answer", "4KiB", "4KiB" },
	{ "hook.cache", "0", "0" },
	{ "hook.ca", "tests/unit/server/card/certificate.pem",
		"tests/unit/server/card/certificate.pem" },
	{ "analytics.url", "'https://calls.example.net:8443/ask?of=us'",
		"https://calls.example.net:8443/ask?of=us" },
	{ "analytics.timeout", "500ms", "500ms" },
	{ "analytics.on_failure", "closed", "closed" },
	{ "analytics.cache", "10m", "10m" },
	{ "analytics.about", "strangers", "strangers" },
	{ "analytics.methods", "[INVITE, X-ODD]", "INVITE" },
	{ "analytics.codes", "[403, 608]", "403" },
	{ "analytics.announcement", "'sip:sorry@media.example.net'",
		"sip:sorry@media.example.net" },
	{ "analytics.card_url", "https://www.example.com/card", "https://www.example.com/card" },
	{ "analytics.card_key", "tests/unit/server/card/p256.pem",
		"tests/unit/server/card/p256.pem" },
	{ "analytics.card_certificate", "https://www.example.com/c.pem",
		"https://www.example.com/c.pem" },
	{ "analytics.card_name", "Appeals", "Appeals" },
	{ "analytics.card_contacts", "['mailto:a@example.com', 'tel:+4930']",
		"mailto:a@example.com" },
	{ "credit.url", "'http://127.0.0.1:8080'", "http://127.0.0.1:8080" },
	{ "credit.timeout", "3s", "3s" },
	{ "cdr.url", "'https://billing.example.net/cdr'", "https://billing.example.net/cdr" },
	{ "cdr.max_waiting", "100", "100" },
	{ "cdr.timeout", "5s", "5s" },
	{ "credit.on_failure", "open", "open" },
	{ "priority.namespaces", "[ets, dsn-000003]", "ets" },
	{ "priority.class", "gold", "gold" },
	{ "priority.sources", "[192.0.2.0/24, '2001:db8::1']", "192.0.2.0/24" },
	{ "analytics.headers", "[X-Reputation, Alert-Info]", "X-Reputation" },
	{ "udp_oversize", "send", "send" },
	{ "legacy.rfc2543", "true", "true" },
	{ "log.level", "debug", "debug" },
	{ "decisions.keep_calls", "0", "0" },
};

static void test_each_option_is_set_and_read(void **state)
{
	const struct stw_option *option;
	struct stw_config *config, *again;
	char yaml[512], buffer[256];
	struct stw_writer writer;
	char *text;
	size_t count;

	option = stw_option_all(&count);
	for (size_t i = 0; i < STW_ARRAY_SIZE(values); i++) {
		const char *dot = strchr(values[i].key, '.'), *more = "", *behind = "";

		if (strcmp(values[i].key, "auth.required") == 0)
			more = ", insecure_listen: true";
		if (strcmp(values[i].key, "analytics.card_key") == 0)
			more = ", card_certificate: 'https://a/', card_contacts: ['tel:+1']";
		if (strcmp(values[i].key, "call.redirect") == 0)
			behind = "domains: [example.com]\n";
		if (dot)
			snprintf(yaml, sizeof(yaml), "%.*s: {%s: %s%s}\n%s",
				(int)(dot - values[i].key), values[i].key, dot + 1, values[i].yaml,
				more, behind);
		else
			snprintf(yaml, sizeof(yaml), "%s: %s\n", values[i].key, values[i].yaml);
		config = good(yaml);
		stw_writer_init(&writer, buffer, sizeof(buffer));
		assert_non_null(stw_option_find(values[i].key));
		assert_true(stw_option_text(stw_option_find(values[i].key), config, 0, &writer));
		assert_str(stw_writer_text(&writer), values[i].text);
		assert_str(stw_config_place(config, values[i].key, buffer, sizeof(buffer)),
			"t.yaml:1");
		text = printed(config);
		again = good(text);
		assert_same(config, again);
		free(text);
		stw_config_unref(again);
		stw_config_unref(config);
	}
	/* Only these have no second value. */
	for (size_t i = 0, j; i < count; i++) {
		for (j = 0; j < STW_ARRAY_SIZE(values); j++) {
			if (strcmp(values[j].key, option[i].key) == 0)
				break;
		}
		assert_true(j < STW_ARRAY_SIZE(values) || strcmp(option[i].key, "workers") == 0 ||
			    strncmp(option[i].key, "tls.", 4) == 0);
	}
}

/* Where the machine has /etc/localtime, even one of UTC, there is a rule. */
static void test_the_default_time_zone_is_that_of_the_machine(void **state)
{
	struct stw_config *config = good(""), *local = good("time_zone: local\n");

	assert_int_equal(config->zone.has_rule, local->zone.has_rule);
	assert_int_equal(config->zone.count, local->zone.count);
	for (int64_t unix_s = 0; unix_s < INT64_C(4000000000); unix_s += 10000000)
		assert_int_equal(stw_zone_offset(&config->zone, unix_s),
			stw_zone_offset(&local->zone, unix_s));
	stw_config_unref(config);
	stw_config_unref(local);
}

/* `n` entries, each with a list of `m` words behind `key`. */
static char *lists_write(const char *list, const char *key, unsigned n, unsigned m)
{
	char *yaml = NULL;
	size_t size;
	FILE *file = open_memstream(&yaml, &size);

	fprintf(file, "%s:\n", list);
	for (unsigned i = 0; i < n; i++) {
		fprintf(file, "  - name: n%u\n    %s:\n", i, key);
		for (unsigned j = 0; j < m; j++)
			fprintf(file, "      - extension%05u\n", i * m + j);
	}
	fclose(file);
	return yaml;
}

static void test_lists_as_long_as_they_may_be(void **state)
{
	char *groups =
		lists_write("groups", "members", STW_CONFIG_GROUPS_MAX, STW_GROUP_MEMBERS_MAX);
	char *queues = lists_write("queues", "agents", STW_CONFIG_QUEUES_MAX, STW_QUEUE_AGENTS_MAX);
	struct stw_config *config = good(groups);
	const struct stw_group *group = &config->groups[STW_CONFIG_GROUPS_MAX - 1];

	assert_int_equal(config->group_count, STW_CONFIG_GROUPS_MAX);
	assert_int_equal(group->member_count, STW_GROUP_MEMBERS_MAX);
	assert_str(group->members[STW_GROUP_MEMBERS_MAX - 1].user, "extension08191");
	stw_config_unref(config);
	config = good(queues);
	assert_int_equal(config->queue_count, STW_CONFIG_QUEUES_MAX);
	assert_int_equal(config->queues[0].agent_count, STW_QUEUE_AGENTS_MAX);
	stw_config_unref(config);
	free(groups);
	free(queues);
}

static void test_listen_and_advertise(void **state)
{
	struct stw_config *config =
		good("advertise: '[2001:db8::5]:6000'\n"
		     "listen:\n"
		     "  - udp:0.0.0.0:5060\n"
		     "  - tcp:127.0.0.1:5060\n"
		     "  - {address: 'tcp:[::]:5062', advertise: sip.example.com}\n");

	assert_int_equal(config->listen.n, 3);
	assert_str(config->listen.v[0].advertise, "[2001:db8::5]");
	assert_int_equal(config->listen.v[0].advertise_port, 6000);
	assert_int_equal(config->listen.v[1].advertise.len, 0);
	assert_str(config->listen.v[2].advertise, "sip.example.com");
	assert_int_equal(config->listen.v[2].advertise_port, 0);
	assert_int_equal(config->listen.v[2].bind.family, 6);
	stw_config_unref(config);
}

static void test_insecure_is_allowed_on_loopback_or_when_said(void **state)
{
	stw_config_unref(good("auth: {required: false}\nlisten: [udp:127.0.0.1:5060]\n"));
	stw_config_unref(good("auth: {required: false, insecure_listen: true}\n"));
}

static void test_restart_needed(void **state)
{
	struct stw_config *old = good(""),
			  *live = good("log: {level: debug}\ndomains: [a.example]\n");
	struct stw_config *restart = good("log: {level: debug}\nlisten: [udp:127.0.0.1:5060]\n"
					  "store_sync: full\n");
	const struct stw_option *option;
	char place[16];

	assert_null(stw_config_restart_needed(old, live, NULL));
	option = stw_config_restart_needed(old, restart, NULL);
	assert_string_equal(option->key, "listen");
	option = stw_config_restart_needed(old, restart, option);
	assert_string_equal(option->key, "store_sync");
	assert_null(stw_config_restart_needed(old, restart, option));
	assert_str(stw_config_place(restart, "listen", place, 7), ""); /* too small */
	assert_str(stw_config_place(restart, "workers", place, sizeof(place)), "default");
	assert_ptr_equal(stw_config_ref(old), old);
	stw_config_unref(old);
	stw_config_unref(old);
	stw_config_unref(live);
	stw_config_unref(restart);
}

static void test_files(void **state)
{
	char path[] = "/tmp/strowger-config-XXXXXX";
	struct stw_config *config = NULL;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_true(write(fd, "workers: 1\n", 11) == 11);
	assert_int_equal(stw_config_load(path, &errors, &config), 0);
	assert_string_equal(config->file, path);
	stw_config_unref(config);
	assert_int_equal(ftruncate(fd, (1 << 20) + 1), 0);
	assert_int_equal(stw_config_load(path, &errors, &config), -EFBIG);
	close(fd);
	unlink(path);
	assert_int_equal(stw_config_load(path, &errors, &config), -ENOENT);
	assert_int_equal(stw_config_load("/tmp", &errors, &config), -EISDIR);
}

static void test_no_memory(void **state)
{
	static const char text[] =
		"domains: [a.example, b.example]\nuser: x\ndns: {servers: 127.0.0.1}\n"
		"ranges: [7x]\ncall: {classes: [a]}\ntrunks: [{name: t, uri: [sip:a, sip:b]}]\n"
		"dialplan: [{match: 0., to: trunk t, prepend: 4}, {match: 1, to: user}]\n";
	struct stw_config *config;
	unsigned count;

	support_fail_allocation(0);
	stw_config_unref(good(text));
	count = support_allocations();
	for (unsigned n = 1; n <= count; n++) {
		config = NULL;
		support_fail_allocation(n);
		assert_int_equal(
			stw_config_parse("t", text, strlen(text), &errors, &config), -ENOMEM);
		assert_null(config);
	}
	support_fail_allocation(0);
}

static void test_edit_distance(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned distance;
	} cases[] = {
		{ "", "", 0 },
		{ "abc", "abc", 0 },
		{ "abc", "ABC", 0 },
		{ "abc", "acb", 1 },
		{ "abc", "ab", 1 },
		{ "abc", "axbc", 1 },
		{ "kitten", "sitting", 3 },
		{ "", "ab", 2 },
	};
	struct stw_suggestion suggestion;

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++)
		assert_int_equal(
			stw_edit_distance(stw_str_from(cases[i].a), stw_str_from(cases[i].b)),
			cases[i].distance);
	stw_suggest_begin(&suggestion, STW_STR("udd"));
	stw_suggest_try(&suggestion, "tcp");
	assert_null(suggestion.best);
	stw_suggest_try(&suggestion, "udp");
	assert_string_equal(suggestion.best, "udp");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_syntax_errors_have_a_place),
		cmocka_unit_test(test_depth_and_count),
		cmocka_unit_test(test_empty_file_gives_defaults),
		cmocka_unit_test(test_defaults_round_trip),
		cmocka_unit_test(test_each_option_is_set_and_read),
		cmocka_unit_test(test_lists_as_long_as_they_may_be),
		cmocka_unit_test(test_the_default_time_zone_is_that_of_the_machine),
		cmocka_unit_test(test_listen_and_advertise),
		cmocka_unit_test(test_insecure_is_allowed_on_loopback_or_when_said),
		cmocka_unit_test(test_restart_needed),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_edit_distance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
