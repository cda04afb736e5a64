/* SPDX-License-Identifier: Apache-2.0 */
/* The option table: the only place that knows an option. */
#include "server/config/config.h"

#include <string.h>

#include <strowger/locate.h>

#include "server/config/internal.h"

#define BOOL       STW_OPTION_BOOL
#define UINT       STW_OPTION_UINT
#define DURATION   STW_OPTION_DURATION
#define TEXT       STW_OPTION_TEXT
#define ENUM       STW_OPTION_ENUM
#define LIST       STW_OPTION_LIST
#define LIVE       true
#define RESTART    false
#define FORM(name) (&config_form_##name)
#define NO_FORM    NULL

#define MS_PER_S   1000u
#define MS_PER_DAY 86400000u
#define S_PER_DAY  86400u
/* Timer C must be larger than three minutes, RFC 3261 §16.6 step 11. */
#define TIMER_C_MIN_MS 180001u

/* OPTION(key, type, member, unit, min, max, allowed, default, change, form, help, RFC) */
#define OPTION_LIST(OPTION)                                                                        \
	OPTION("domains", LIST, domains, "", 1, STW_CONFIG_DOMAINS_MAX, "host names",              \
		"the name of this host", LIVE, FORM(domains),                                      \
		"Domains whose users live here. The first is the realm for requests to our own "   \
		"addresses.",                                                                      \
		"RFC 3261 §16.5")                                                                  \
	OPTION("listen", LIST, listen, "", 1, STW_LISTENERS_MAX, "udp:HOST:PORT or tcp:HOST:PORT", \
		"[udp:0.0.0.0:5060, tcp:0.0.0.0:5060]", RESTART, FORM(listen),                     \
		"Where SIP is received. HOST is an address of this machine, IPv6 in brackets. An " \
		"entry may "                                                                       \
		"also be {address: udp:HOST:PORT, advertise: HOST:PORT}.",                         \
		"RFC 3261 §18.2.1")                                                                \
	OPTION("advertise", TEXT, advertise, "", 0, 0, "HOST or HOST:PORT", "", RESTART,           \
		FORM(advertise),                                                                   \
		"What Via and Record-Route name instead of the address of a listener, for a "      \
		"server behind "                                                                   \
		"NAT. Listeners on loopback and entries with an advertise of their own do not "    \
		"use it.",                                                                         \
		"RFC 3261 §18.1.1")                                                                \
	OPTION("user", TEXT, user, "", 0, 0, "", "", RESTART, NO_FORM,                             \
		"System user to run as when started by root. Empty: stay who started it.", "")     \
	OPTION("sandbox", ENUM, sandbox, "", 0, 0, "on|off", "on", RESTART, NO_FORM,               \
		"Each thread may make only the system calls that it needs (seccomp); another one " \
		"fails and is logged. off also allows core dumps and debuggers.",                  \
		"")                                                                                \
	OPTION("workers", TEXT, workers, "", 0, 0, "auto or 1 to 64", "1", RESTART, FORM(workers), \
		"Worker threads, among which calls are shared by their Call-ID. auto: one for "    \
		"each CPU that the server may run on. Over streams several workers do not keep "   \
		"the order of requests with different Call-IDs.",                                  \
		"")                                                                                \
	OPTION("gather", DURATION, gather_ms, "ms", 0, 20, "", "2ms", RESTART, NO_FORM,            \
		"Under load a worker waits until 16 messages should have come, at most so long "   \
		"and at least half of it since it last looked, and then serves them all; to be "   \
		"woken for each message would cost more than the message. With fewer than eight "  \
		"messages in this time each is served at once. 0: always at once.",                \
		"")                                                                                \
	OPTION("store", TEXT, store, "", 0, 0, "sqlite:PATH or memory", "", RESTART, FORM(store),  \
		"Where users and bindings are kept. memory forgets everything at the end.", "")    \
	OPTION("store_sync", ENUM, store_sync, "", 0, 0, "normal|full", "normal", RESTART,         \
		NO_FORM,                                                                           \
		"normal survives a crash of the server, full also a loss of power, at the cost "   \
		"of speed.",                                                                       \
		"")                                                                                \
	OPTION("tls.certificate", TEXT, tls.certificate, "", 0, 0, "", "", RESTART, FORM(tls),     \
		"PEM file with the certificate chain of this server; refused until there are "     \
		"listeners that use it.",                                                          \
		"RFC 3261 §26.3.1")                                                                \
	OPTION("tls.key", TEXT, tls.key, "", 0, 0, "", "", RESTART, FORM(tls),                     \
		"PEM file with the private key of the certificate; refused until there are "       \
		"listeners that use it.",                                                          \
		"RFC 3261 §26.3.1")                                                                \
	OPTION("admin.listen", TEXT, admin.listen, "", 0, 0, "ADDRESS:PORT on loopback", "",       \
		RESTART, FORM(admin_listen),                                                       \
		"Where the administration over HTTP listens, on loopback only. Empty: nowhere.",   \
		"")                                                                                \
	OPTION("admin.socket", TEXT, admin.socket, "", 0, 0, "", "", RESTART, FORM(socket),        \
		"Unix socket through which the command line talks to the server.", "")             \
	OPTION("auth.required", BOOL, auth.required, "", 0, 0, "", "true", LIVE, NO_FORM,          \
		"Our own users prove who they are with their password.", "RFC 3261 §22")           \
	OPTION("auth.algorithms", LIST, auth.algorithms, "", 1, STW_DIGEST_ALGORITHMS,             \
		"MD5, SHA-256, SHA-512-256", "[MD5]", LIVE, FORM(algorithms),                      \
		"Digest algorithms that are offered, one challenge each, in this order. Many "     \
		"phones know "                                                                     \
		"MD5 only and give up on others.",                                                 \
		"RFC 8760 §2.4")                                                                   \
	OPTION("auth.insecure_listen", BOOL, auth.insecure_listen, "", 0, 0, "", "false", LIVE,    \
		NO_FORM, "Allow listening beyond loopback although auth.required is false.",       \
		"RFC 3261 §26.1")                                                                  \
	OPTION("auth.nonce_lifetime", DURATION, auth.nonce_lifetime_s, "s", 10, S_PER_DAY, "",     \
		"5m", RESTART, NO_FORM,                                                            \
		"How long a nonce is good. A later use is challenged again with stale=true.",      \
		"RFC 7616 §3.3")                                                                   \
	OPTION("registration.min_expires", DURATION, registration.min_expires_s, "s", 1,           \
		7 * S_PER_DAY, "", "60s", LIVE, NO_FORM,                                           \
		"Shortest life of a binding; less is refused with 423.", "RFC 3261 §10.3")         \
	OPTION("registration.max_expires", DURATION, registration.max_expires_s, "s", 1,           \
		30 * S_PER_DAY, "", "1h", LIVE, NO_FORM,                                           \
		"Longest life of a binding; more is shortened to it.", "RFC 3261 §10.3")           \
	OPTION("registration.default_expires", DURATION, registration.default_expires_s, "s", 1,   \
		30 * S_PER_DAY, "", "1h", LIVE, NO_FORM,                                           \
		"Life of a binding when the phone asks for none.", "RFC 3261 §10.2.1.1")           \
	OPTION("registration.max_bindings", UINT, registration.max_bindings, "", 1, 1000, "",      \
		"10", LIVE, NO_FORM, "Bindings that one user may have at a time.",                 \
		"RFC 3261 §10.3")                                                                  \
	OPTION("registration.exclusive", BOOL, registration.exclusive, "", 0, 0, "", "false",      \
		LIVE, NO_FORM,                                                                     \
		"One device for each user: another one (by +sip.instance, else by Contact) is "    \
		"refused while the first is registered.",                                          \
		"RFC 3261 §21.4.4")                                                                \
	OPTION("registration.use_source", ENUM, registration.use_source, "", 0, 0,                 \
		"auto|always|never", "auto", LIVE, NO_FORM,                                        \
		"Reach a phone at the address its REGISTER came from: auto when its Contact "      \
		"names another "                                                                   \
		"one (NAT), always, or never.",                                                    \
		"RFC 3581 §4")                                                                     \
	OPTION("call.ring_timeout", DURATION, call.ring_timeout_ms, "ms", MS_PER_S,                \
		3600 * MS_PER_S, "", "60s", LIVE, NO_FORM,                                         \
		"How long a phone may ring before the call ends with 408.", "RFC 3261 §16.7")      \
	OPTION("call.max_forwards", UINT, call.max_forwards, "", 1, 20, "", "5", LIVE, NO_FORM,    \
		"How often a call may be forwarded by users, those of other servers that name "    \
		"themselves in Diversion included; then 482.",                                     \
		"RFC 5806 §5")                                                                     \
	OPTION("call.max_age", DURATION, call.max_age_s, "s", 60, 30 * S_PER_DAY, "", "12h", LIVE, \
		NO_FORM,                                                                           \
		"A call whose end does not pass here counts as ended after so long. Nobody is "    \
		"told: the call itself goes on.",                                                  \
		"")                                                                                \
	OPTION("call.from_anyone", BOOL, call.from_anyone, "", 0, 0, "", "true", LIVE, NO_FORM,    \
		"Callers from other domains reach our users without a password. They never reach " \
		"others "                                                                          \
		"through us.",                                                                     \
		"RFC 3261 §22.1")                                                                  \
	OPTION("call.classes", LIST, call.classes, "", 0, STW_CONFIG_CLASSES_MAX, "words", "[]",   \
		LIVE, FORM(classes),                                                               \
		"Classes of service of our users that have none of their own (setting class): "    \
		"which rules of the dial plan that demand a class they may use.",                  \
		"")                                                                                \
	OPTION("call.redirect", LIST, call.redirect, "", 0, STW_CONFIG_DOMAINS_MAX, "domains",     \
		"[]", LIVE, FORM(redirect),                                                        \
		"Domains whose users are not called: who asks for one is told the addresses of "   \
		"his phones (300, 302). The setting mode of a user comes before it.",              \
		"RFC 3261 §8.3, §21.3")                                                            \
	OPTION("call.ambiguous", ENUM, call.ambiguous, "", 0, 0, "485|485-nolist|404", "485",      \
		LIVE, NO_FORM,                                                                     \
		"What a caller is told who calls a name of shared_names: the choices, only that "  \
		"there are some, or nothing.",                                                     \
		"RFC 3261 §21.4.23")                                                               \
	OPTION("shared_names", LIST, shared_names, "", 0, STW_CONFIG_NAMES_MAX, "{name, users}",   \
		"[]", LIVE, FORM(shared_names),                                                    \
		"Names that several users go by, such as a surname. A user is written bob, "       \
		"bob@example.com or Bob <bob>.",                                                   \
		"RFC 3261 §21.4.23")                                                               \
	OPTION("time_zone", TEXT, time_zone, "", 0, 0,                                             \
		"local, UTC, a name like Europe/Berlin, a rule like "                              \
		"CET-1CEST,M3.5.0,M10.5.0/3",                                                      \
		"local", LIVE, FORM(time_zone),                                                    \
		"In which zone the hours of groups and queues are meant; local is that of this "   \
		"machine.",                                                                        \
		"RFC 8536 §3.3")                                                                   \
	OPTION("groups", LIST, groups, "", 0, STW_CONFIG_GROUPS_MAX,                               \
		"{name, members, ring, timeout, overflow, open, closed}", "[]", LIVE,              \
		FORM(groups),                                                                      \
		"Several users behind one name. ring is all (at once), order (one after the "      \
		"other), longest_idle (the same, whose last call ended first before the others) "  \
		"or q (as the phones ask in q); timeout is how long all of them, or each "         \
		"in its turn, may ring (20s); overflow is who gets the call when nobody takes "    \
		"it: a user, a number, a URI or group:NAME; open is when it takes calls, like "    \
		"[mon-fri 08:00-18:00, sat 09:00-12:00] (always), and closed who gets them else "  \
		"(overflow).",                                                                     \
		"RFC 3261 §16.5")                                                                  \
	OPTION("queues", LIST, queues, "", 0, STW_CONFIG_QUEUES_MAX,                               \
		"{name, agents, agent_timeout, wrap_up, max_length, max_wait, overflow, "          \
		"announce, call_time, priority, open, closed, media, max_per_caller}",             \
		"[]", LIVE, FORM(queues),                                                          \
		"Callers who wait until an agent is free. agents is who may log in (`strowger "    \
		"queue login`; everybody); agent_timeout is how long one is rung (15s), wrap_up "  \
		"what he has to himself behind each call (0s), max_length how many may wait (50) " \
		"and max_wait how long (30m); overflow is who gets the others: a user, a number, " \
		"a URI, group:NAME or queue:NAME; announce is how often place and wait are told "  \
		"(30s), call_time what a call takes before any was measured (3m); priority is "    \
		"whose Priority counts: users, all, none; open and closed are as in groups; "      \
		"media "                                                                           \
		"is the SIP URI of a server that plays, in a 183, to who waits; max_per_caller "   \
		"is "                                                                              \
		"how many places one user, or one address of strangers, may have (5; 0: any).",    \
		"RFC 3261 §21.1.4")                                                                \
	OPTION("dialplan", LIST, rules, "", 0, STW_CONFIG_RULES_MAX,                               \
		"{match, class, strip, prepend, to}", "[]", LIVE, FORM(dialplan),                  \
		"What becomes of a number. In match, x is one digit, [2-5] a set, . one or more "  \
		"digits; the most specific pattern wins. class is what the caller needs, strip "   \
		"takes symbols off the front, prepend puts some there. to is user (whose number "  \
		"it is), user NAME, group NAME, queue NAME, trunk NAME, or reject CODE.",          \
		"RFC 3261 §16.5, RFC 3966")                                                        \
	OPTION("ranges", LIST, range_texts, "", 0, STW_CONFIG_RULES_MAX,                           \
		"patterns like +493012xx", "[]", LIVE, FORM(ranges),                               \
		"Numbers that are ours to assign, all of them: one that belongs to nobody exists " \
		"nowhere (604).",                                                                  \
		"RFC 3261 §21.6.3")                                                                \
	OPTION("feature_codes", LIST, features, "", 0, STW_CONFIG_FEATURES_MAX, "{code, set}",     \
		"[]", LIVE, FORM(features),                                                        \
		"What users dial to change their own settings: code is a pattern as in dialplan, " \
		"set is KEY=VALUE as of strowger user set, with $ for the digits that the "        \
		"pattern leaves open. Only who has proven who he is may do it.",                   \
		"RFC 3261 §8.2")                                                                   \
	OPTION("trunks", LIST, trunks, "", 0, STW_CONFIG_TRUNKS_MAX,                               \
		"{name, uri, next_on, user, password, password_file, realm, direct, register, "    \
		"aor, expires, incoming, unregistered}",                                           \
		"[]", LIVE, FORM(trunks),                                                          \
		"Servers of others that the dial plan hands numbers to. uri is one SIP URI "       \
		"without user, or a list that is tried in its order: the next one when one "       \
		"cannot be reached, is silent, or answers with a code in next_on (408, 500-599). " \
		"With user and password, or the first line of password_file, the server answers "  \
		"itself when the trunk asks who it is (401, 407); of realm only, when that is "    \
		"given. direct is the class of those who may name the host of the trunk "          \
		"themselves; nobody without it. With register: true the server registers there "   \
		"as aor (user at the host of uri) for expires (1h); what then comes to its "       \
		"Contact is for incoming, or whom To names; unregistered: refuse sends no call "   \
		"there before that, try does.",                                                    \
		"RFC 3261 §10.2, §16.5, §22")                                                      \
	OPTION("edge", LIST, edges, "", 0, STW_CONFIG_EDGES_MAX, "{domain, registrar, path}",      \
		"[]", LIVE, FORM(edge),                                                            \
		"Domains of others whose phones come by this server. What they send to domain "    \
		"goes to registrar, a SIP URI without user. path says whether the server puts "    \
		"itself into the Path of a REGISTER, so that calls come back by it: offer (when "  \
		"the phone knows Path), require (a phone that does not is refused with 421), "     \
		"never. offer without it.",                                                        \
		"RFC 3327 §5.2")                                                                   \
	OPTION("emergency.numbers", LIST, emergency.numbers, "", 0, STW_CONFIG_EMERGENCY_MAX,      \
		"numbers", "[112, 911]", LIVE, FORM(emergency_numbers),                            \
		"What people dial in an emergency, besides urn:service:sos.",                      \
		"RFC 5031, RFC 6881")                                                              \
	OPTION("emergency.route", TEXT, emergency.route, "", 0, 0, "SIP URI or trunk NAME", "",    \
		LIVE, FORM(emergency_route),                                                       \
		"Where emergency calls go, without authentication and also in overload: a server " \
		"that knows urn:service:sos, or a trunk that gets the number. Empty: they are "    \
		"answered with 380, so that phones try another network.",                          \
		"RFC 5031, RFC 6881")                                                              \
	OPTION("proxy.recurse", ENUM, proxy.recurse, "", 0, 0, "false|true|asked", "false", LIVE,  \
		NO_FORM,                                                                           \
		"Follow 3xx responses here instead of passing them to the caller; asked: for "     \
		"callers who want that (Request-Disposition: recurse).",                           \
		"RFC 3261 §16.5, RFC 3841 §9.1")                                                   \
	OPTION("proxy.serial_fallback", BOOL, proxy.serial_fallback, "", 0, 0, "", "true", LIVE,   \
		NO_FORM,                                                                           \
		"When Max-Breadth does not allow all branches at once, try them one after the "    \
		"other. Not for a request that has been here before: it gets 440.",                \
		"RFC 5393 §5.3.3")                                                                 \
	OPTION("proxy.all_busy_600", BOOL, proxy.all_busy_600, "", 0, 0, "", "false", LIVE,        \
		NO_FORM,                                                                           \
		"When every device of the called user was busy (486), answer 600 Busy "            \
		"Everywhere.",                                                                     \
		"RFC 4412 §4.6.6")                                                                 \
	OPTION("proxy.timer_c", DURATION, proxy.timer_c_ms, "ms", TIMER_C_MIN_MS, MS_PER_DAY, "",  \
		"3m1s", LIVE, NO_FORM,                                                             \
		"Timer C: how long a branch may stay without a final response after its last "     \
		"provisional "                                                                     \
		"one.",                                                                            \
		"RFC 3261 §16.6")                                                                  \
	OPTION("proxy.max_breadth", UINT, proxy.max_breadth, "", 1, 1000, "", "60", LIVE, NO_FORM, \
		"Max-Breadth of requests that carry none: branches at a time, over all proxies.",  \
		"RFC 5393 §5.3.3")                                                                 \
	OPTION("limits.max_message", UINT, limits.message.max_message, "bytes", 2048, 65535, "",   \
		"65535", RESTART, NO_FORM, "Longest message; more is answered with 513.",          \
		"RFC 3261 §21.5.7")                                                                \
	OPTION("limits.max_uri", UINT, limits.message.max_uri, "bytes", 64, 65535, "", "2048",     \
		RESTART, NO_FORM, "Longest Request-URI; more is answered with 414.",               \
		"RFC 3261 §21.4.12")                                                               \
	OPTION("limits.max_body", UINT, limits.message.max_body, "bytes", 0, 65535, "", "32768",   \
		RESTART, NO_FORM, "Longest message body; more is answered with 413.",              \
		"RFC 3261 §21.4.11")                                                               \
	OPTION("limits.max_headers", UINT, limits.message.max_headers, "", 16, STW_MSG_FIELDS_MAX, \
		"", "256", RESTART, NO_FORM,                                                       \
		"Header fields in a message; more is answered with 513.", "RFC 3261 §21.5.7")      \
	OPTION("limits.max_header_bytes", UINT, limits.message.max_field, "bytes", 256, 65535, "", \
		"8192", RESTART, NO_FORM,                                                          \
		"Longest single header field; more is answered with 513.", "RFC 3261 §21.5.7")     \
	OPTION("limits.max_transactions", UINT, limits.max_transactions, "", 100, 10000000, "",    \
		"one for each 4 KiB of memory", RESTART, FORM(max_transactions),                   \
		"Transactions at a time; new calls beyond it are answered with 503; what belongs " \
		"to a call has an eighth more room, with our mark a quarter, its end (BYE and "    \
		"PRACK with our mark) as much again, an emergency call an eighth more than that. " \
		"A call has four, of about 0.7 KB, and over UDP three of them stay for 32 s: a "   \
		"million is enough for 9,900 calls a second. A message of more than about 1.5 KB " \
		"that has to be kept counts as one more for each KiB. Memory is what the machine " \
		"has, or what its control group may use.",                                         \
		"RFC 3261 §21.5.4")                                                                \
	OPTION("limits.max_connections", UINT, limits.max_connections, "", 1, 1000000, "",         \
		"10000", RESTART, NO_FORM,                                                         \
		"Open connections in all; more are closed at once. Where the system grants too "   \
		"few descriptors (ulimit -n, LimitNOFILE=) it is lowered at the start, which is "  \
		"logged as connections.limited: some hundred are kept for all else.",              \
		"RFC 3261 §18")                                                                    \
	OPTION("limits.max_connections_per_source", UINT, limits.max_connections_per_source, "",   \
		1, 1000000, "", "64", RESTART, NO_FORM,                                            \
		"Open connections from one address (IPv6: /64).", "RFC 3261 §18")                  \
	OPTION("limits.connection_idle", DURATION, limits.connection_idle_ms, "ms", 10 * MS_PER_S, \
		MS_PER_DAY, "", "15m", RESTART, NO_FORM,                                           \
		"A connection that carried nothing for so long is closed. Phones behind NAT send " \
		"keep-alives about every two minutes.",                                            \
		"RFC 5626 §4.4.1")                                                                 \
	OPTION("limits.message_timeout", DURATION, limits.message_timeout_ms, "ms", MS_PER_S,      \
		300 * MS_PER_S, "", "10s", RESTART, NO_FORM,                                       \
		"A message begun on a connection must be complete within this time.",              \
		"RFC 3261 §18.3")                                                                  \
	OPTION("limits.max_output", UINT, limits.max_output_bytes, "bytes", 65536, 1u << 30, "",   \
		"1MiB", RESTART, NO_FORM,                                                          \
		"What may wait for a peer that reads slowly; beyond it, and when it takes "        \
		"nothing "                                                                         \
		"for 30 s, the connection is closed. In all 256 MiB (or eight times as much as "   \
		"for one) may wait in a worker; where many do not read it is less for each.",      \
		"RFC 3261 §18.4")                                                                  \
	OPTION("limits.max_branches", UINT, limits.max_branches, "", 1, 256, "", "32", RESTART,    \
		NO_FORM, "Branches of one call.", "RFC 5393 §5.3")                                 \
	OPTION("limits.source_rate", UINT, limits.source.stranger_rate, "", 0, 1000000, "", "100", \
		LIVE, NO_FORM,                                                                     \
		"Requests a second with which an address that has proven nothing may begin "       \
		"something; more is answered with 503. ACK and what belongs to a call does not "   \
		"count; a BYE of none is not answered then. 0: no limit.",                         \
		"RFC 3261 §26.3.2.4")                                                              \
	OPTION("limits.known_source_rate", UINT, limits.source.known_rate, "", 0, 1000000, "",     \
		"1000", LIVE, NO_FORM,                                                             \
		"The same for an address from which a user has proven his identity, or has "       \
		"registered, within the last hour.",                                               \
		"RFC 3261 §26.3.2.4")                                                              \
	OPTION("limits.source_drop_factor", UINT, limits.source.drop_factor, "", 2, 1000, "",      \
		"10", LIVE, NO_FORM,                                                               \
		"Beyond so many times its limit an address is not answered any more.",             \
		"RFC 3261 §26.3.2.4")                                                              \
	OPTION("limits.source_exempt", LIST, limits.exempt, "", 0, STW_CONFIG_EXEMPT_MAX,          \
		"ADDRESS or ADDRESS/BITS", "[127.0.0.0/8, '::1']", LIVE, FORM(exempt),             \
		"Networks without a limit for each source: servers you trust, this machine.",      \
		"RFC 3261 §26.3.2.4")                                                              \
	OPTION("limits.max_calls", UINT, limits.max_calls, "", 100, 10000000, "", "100000",        \
		RESTART, NO_FORM,                                                                  \
		"Calls that are followed at a time, for max_calls of users, queues and records; "  \
		"those beyond it pass, but do not count. Of as many dialogs it is remembered "     \
		"where a side has moved to.",                                                      \
		"")                                                                                \
	OPTION("limits.max_sources", UINT, limits.max_sources, "", 64, 10000000, "", "65536",      \
		RESTART, NO_FORM,                                                                  \
		"Addresses (IPv6: networks of 64 bits) whose requests are counted at a time.",     \
		"RFC 3261 §26.3.2.4")                                                              \
	OPTION("overload.target_delay", DURATION, overload.target_ms, "ms", 0, 10 * MS_PER_S, "",  \
		"25ms", LIVE, NO_FORM,                                                             \
		"A request that begins something and has waited longer than this before it is "    \
		"read is answered with 503 at once; registrations at twice the time. 0: never.",   \
		"RFC 3261 §21.5.4")                                                                \
	OPTION("overload.retry_after", DURATION, overload.retry_after_s, "s", 0, 3600, "", "10s",  \
		LIVE, NO_FORM,                                                                     \
		"Phones that are refused come back after 1 s to this time, each after another. "   \
		"0: they are not told when.",                                                      \
		"RFC 3261 §20.33")                                                                 \
	OPTION("overload.feedback", ENUM, overload.feedback, "", 0, 0, "off|loss|rate", "loss",    \
		LIVE, NO_FORM,                                                                     \
		"How servers that send to this one are asked for less: a share to keep back, or "  \
		"a rate (loss to those that know no rate). The rate is shared by address; those "  \
		"that have proven nothing have one part together.",                                \
		"RFC 7339, RFC 7415")                                                              \
	OPTION("overload.restrain", BOOL, overload.restrain, "", 0, 0, "", "true", LIVE, NO_FORM,  \
		"Offer overload control to other servers (never to phones) and keep back what "    \
		"they ask for.",                                                                   \
		"RFC 7339 §5.5")                                                                   \
	OPTION("dns.servers", LIST, dns.servers, "", 0, 8, "ADDRESS or ADDRESS:PORT", "[]",        \
		RESTART, FORM(servers),                                                            \
		"Name servers to ask. Empty: those of the system, also when they change.",         \
		"RFC 3263")                                                                        \
	OPTION("dns.timeout", DURATION, dns.timeout_ms, "ms", 100, 60 * MS_PER_S, "", "5s",        \
		RESTART, NO_FORM,                                                                  \
		"How long one question may take, with all the name servers together. After two "   \
		"fifths of it a NAPTR record is done without.",                                    \
		"RFC 3263 §4")                                                                     \
	OPTION("dns.max_time", DURATION, dns.max_time_ms, "ms", 100, 60 * MS_PER_S, "", "8s",      \
		LIVE, NO_FORM,                                                                     \
		"How long all questions of one request may take; then what is known has to do.",   \
		"RFC 3263 §4")                                                                     \
	OPTION("dns.max_questions", UINT, dns.max_questions, "", 4, 64, "", "16", LIVE, NO_FORM,   \
		"Questions for one target of a request.", "RFC 3263 §4")                           \
	OPTION("dns.max_srv", UINT, dns.max_srv, "", 1, STW_DNS_RECORDS_MAX, "", "8", LIVE,        \
		NO_FORM, "SRV records of a target that are followed.", "RFC 2782")                 \
	OPTION("dns.max_addresses", UINT, dns.max_addresses, "", 1, STW_PLACES_MAX, "", "8", LIVE, \
		NO_FORM,                                                                           \
		"Addresses of a target that are tried one after the other when they fail.",        \
		"RFC 3263 §4.3")                                                                   \
	OPTION("dns.failed_for", DURATION, dns.failed_for_ms, "ms", 0, 3600 * MS_PER_S, "", "1m",  \
		LIVE, NO_FORM,                                                                     \
		"An address that failed or was silent is tried behind the others of its name for " \
		"so long. A Retry-After in its 503 says so itself.",                               \
		"RFC 3263 §4.3")                                                                   \
	OPTION("dns.cache_names", UINT, dns.cache_names, "", 16, 1000000, "", "10000", LIVE,       \
		NO_FORM, "Answers of the DNS that are remembered for their time to live.",         \
		"RFC 1035 §3.2.1")                                                                 \
	OPTION("dns.cache_bytes", UINT, dns.cache_bytes, "bytes", 65536, 1u << 30, "", "4MiB",     \
		LIVE, NO_FORM, "Memory for them.", "RFC 1035 §3.2.1")                              \
	OPTION("hook.connections", UINT, hook.connections, "", 1, 256, "", "8", RESTART, NO_FORM,  \
		"Connections at a time to the web server of analytics, and as many to that of "    \
		"credit: one that hangs costs the other nothing.",                                 \
		"RFC 9112 §9.4")                                                                   \
	OPTION("hook.max_waiting", UINT, hook.max_waiting, "", 1, 10000, "", "1000", RESTART,      \
		NO_FORM,                                                                           \
		"Questions to each of them that may be open at a time. What is more counts as "    \
		"not answered, at once.",                                                          \
		"")                                                                                \
	OPTION("hook.max_answer", UINT, hook.max_answer_bytes, "bytes", 256, 1u << 20, "",         \
		"64KiB", RESTART, NO_FORM, "Longest answer of theirs that is read.", "")           \
	OPTION("hook.cache", UINT, hook.cache_answers, "", 0, 1000000, "", "10000", RESTART,       \
		NO_FORM, "Answers of theirs that are remembered for the time they say.", "")       \
	OPTION("hook.ca", TEXT, hook.ca, "", 0, 0, "", "", RESTART, FORM(path),                    \
		"PEM file with the certificates that those of https servers must lead to. Empty: " \
		"those of the system.",                                                            \
		"RFC 9110 §4.3.4")                                                                 \
	OPTION("analytics.url", TEXT, analytics.url, "", 0, 0, "http://… or https://…", "",        \
		RESTART, FORM(hook_url),                                                           \
		"Web server that is asked about each call: it may let it pass, refuse or "         \
		"redirect it, or add to it. Empty: nobody is asked.",                              \
		"RFC 8688 §3")                                                                     \
	OPTION("analytics.timeout", DURATION, analytics.timeout_ms, "ms", 50, 30 * MS_PER_S, "",   \
		"2s", LIVE, NO_FORM, "How long it may take to answer.", "")                        \
	OPTION("analytics.on_failure", ENUM, analytics.on_failure, "", 0, 0, "open|closed",        \
		"open", LIVE, NO_FORM,                                                             \
		"What happens to a call when it does not answer in time, or answers nonsense: "    \
		"open lets it pass, closed refuses it with 504 or 502.",                           \
		"RFC 3261 §21.5.5")                                                                \
	OPTION("analytics.cache", DURATION, analytics.cache_s, "s", 0, S_PER_DAY, "", "1h", LIVE,  \
		NO_FORM,                                                                           \
		"How long an answer may be used again at most; the answer says how long "          \
		"(ttl). 0: never.",                                                                \
		"")                                                                                \
	OPTION("analytics.about", ENUM, analytics.about, "", 0, 0, "all|strangers|users", "all",   \
		LIVE, NO_FORM,                                                                     \
		"Whose calls it is asked about: those of all, of callers from "                    \
		"elsewhere, or of our users.",                                                     \
		"")                                                                                \
	OPTION("analytics.methods", LIST, analytics.methods, "", 1, STW_CONFIG_WORDS_MAX,          \
		"methods", "[INVITE, MESSAGE]", LIVE, FORM(analytics_methods),                     \
		"Methods of the requests outside of dialogs that it is asked about.",              \
		"RFC 8688 §3.1")                                                                   \
	OPTION("analytics.codes", LIST, analytics.codes, "", 0, STW_CONFIG_WORDS_MAX,              \
		"403, 404, 410, 480, 486, 603, 608", "[403, 480, 603, 608]", LIVE,                 \
		FORM(analytics_codes), "Codes with which it may refuse a call.", "RFC 8688 §3.1")  \
	OPTION("analytics.headers", LIST, analytics.headers, "", 0, STW_CONFIG_WORDS_MAX,          \
		"names of header fields", "[]", LIVE, FORM(analytics_headers),                     \
		"Header fields that it may add to a call.", "RFC 3261 §16.6")                      \
	OPTION("analytics.announcement", TEXT, analytics.announcement, "", 0, 0, "SIP URI", "",    \
		LIVE, FORM(sip_uri),                                                               \
		"Media server that plays an announcement, in a 183, to callers who do not "        \
		"understand 608, given here or by a server below; then they get it. Empty: at "    \
		"once.",                                                                           \
		"RFC 8688 §3.4")                                                                   \
	OPTION("analytics.card_url", TEXT, analytics.card_url, "", 0, 0, "http://… or https://…",  \
		"", LIVE, FORM(hook_url),                                                          \
		"Where the operator publishes the signed card that a 608 names in Call-Info: "     \
		"what GET /v1/card of the administration gives.",                                  \
		"RFC 8688 §3.1")                                                                   \
	OPTION("analytics.card_key", TEXT, analytics.card_key, "", 0, 0, "", "", LIVE, FORM(path), \
		"PEM file with the private key (P-256, without password) that the card is signed " \
		"with.",                                                                           \
		"RFC 8688 §3.2.1")                                                                 \
	OPTION("analytics.card_certificate", TEXT, analytics.card_certificate, "", 0, 0,           \
		"http://… or https://…", "", LIVE, FORM(hook_url),                                 \
		"Where the operator publishes the certificate of the key (x5u).",                  \
		"RFC 8688 §3.2.1")                                                                 \
	OPTION("analytics.card_name", TEXT, analytics.card_name, "", 0, 0, "", "Call Rejection",   \
		LIVE, NO_FORM, "Name on the card.", "RFC 8688 §3.2.2")                             \
	OPTION("analytics.card_contacts", LIST, analytics.card_contacts, "", 0,                    \
		STW_CONFIG_WORDS_MAX, "mailto:, tel:, https: and http: URIs", "[]", LIVE,          \
		FORM(card_contacts), "How those are reached who can correct a rejection.",         \
		"RFC 8688 §3.2.2")                                                                 \
	OPTION("credit.url", TEXT, credit.url, "", 0, 0, "http://… or https://…", "", RESTART,     \
		FORM(hook_url),                                                                    \
		"Web server that is asked whether the one who pays for a call through a trunk "    \
		"may make it; 402 when it refuses. Empty: the setting credit of the user alone "   \
		"says so.",                                                                        \
		"RFC 3261 §21.4.3")                                                                \
	OPTION("credit.timeout", DURATION, credit.timeout_ms, "ms", 50, 30 * MS_PER_S, "", "2s",   \
		LIVE, NO_FORM, "How long it may take to answer.", "")                              \
	OPTION("credit.on_failure", ENUM, credit.on_failure, "", 0, 0, "open|closed", "closed",    \
		LIVE, NO_FORM,                                                                     \
		"What happens to a call when it does not answer in time, or answers nonsense: "    \
		"open lets it pass, closed refuses it with 504 or 502.",                           \
		"RFC 3261 §21.5.5")                                                                \
	OPTION("priority.namespaces", LIST, priority.namespaces, "", 0, STW_CONFIG_WORDS_MAX,      \
		"namespaces of Resource-Priority", "[]", LIVE, FORM(namespaces),                   \
		"Namespaces that the server acts upon, such as ets, wps or dsn: who may use them " \
		"is looked at (403), and who requires another one gets 417. Empty: it is "         \
		"forwarded as it is.",                                                             \
		"RFC 4412 §4.6")                                                                   \
	OPTION("priority.class", TEXT, priority.class, "", 0, 0, "a word", "priority", LIVE,       \
		FORM(class),                                                                       \
		"Class of service that a user needs for a priority, proven by his password.",      \
		"RFC 4412 §4.6.4")                                                                 \
	OPTION("priority.sources", LIST, priority.sources, "", 0, STW_CONFIG_WORDS_MAX,            \
		"ADDRESS or ADDRESS/BITS", "[]", LIVE, FORM(priority_sources),                     \
		"Networks whose requests may carry a priority: servers that have looked at it.",   \
		"RFC 4412 §11")                                                                    \
	OPTION("udp_oversize", ENUM, udp_oversize, "", 0, 0, "tcp|send", "tcp", LIVE, NO_FORM,     \
		"Requests above 1300 bytes to a UDP target: tcp tries TCP first, send sends them " \
		"over UDP.",                                                                       \
		"RFC 3261 §18.1.1")                                                                \
	OPTION("legacy.rfc2543", BOOL, limits.message.rfc2543, "", 0, 0, "", "false", RESTART,     \
		NO_FORM,                                                                           \
		"Refuse as RFC 2543 did: 409 when REGISTERs contradict each other, 411 without "   \
		"Content-Length over a connection.",                                               \
		"RFC 2543 §7.4.10, §7.4.12")                                                       \
	OPTION("log.level", ENUM, log.level, "", 0, 0, "error|warning|notice|debug", "notice",     \
		LIVE, NO_FORM, "How much is logged.", "")                                          \
	OPTION("session_timer.min_se", DURATION, session_timer.min_se_s, "s", 90, S_PER_DAY, "",   \
		"90s", LIVE, NO_FORM,                                                              \
		"Shortest session interval: who knows session timers and asks for less is told "   \
		"so "                                                                              \
		"with 422; for who does not, the interval is raised.",                             \
		"RFC 4028 §8.1")                                                                   \
	OPTION("session_timer.insert", DURATION, session_timer.insert_s, "s", 0, S_PER_DAY, "",    \
		"0s", LIVE, NO_FORM,                                                               \
		"Session interval that is asked for in each INVITE and UPDATE that has none. "     \
		"0s: calls need no refreshes unless their phones want them.",                      \
		"RFC 4028 §8.1")                                                                   \
	OPTION("session_timer.max", DURATION, session_timer.max_s, "s", 0, S_PER_DAY, "", "0s",    \
		LIVE, NO_FORM,                                                                     \
		"Longest session interval: more is reduced to it, never below the Min-SE of the "  \
		"request. 0s: any.",                                                               \
		"RFC 4028 §8.1")                                                                   \
	OPTION("cdr.url", TEXT, cdr.url, "", 0, 0, "http://… or https://…", "", RESTART,           \
		FORM(hook_url),                                                                    \
		"Web server that gets the records of calls, one JSON object a line, several in a " \
		"POST of application/x-ndjson; what it does not take is sent again. Empty: none.", \
		"")                                                                                \
	OPTION("cdr.max_waiting", UINT, cdr.max_waiting, "", 1, 1000000, "", "10000", RESTART,     \
		NO_FORM,                                                                           \
		"Records that may wait for it; beyond it the oldest are lost, and counted.", "")   \
	OPTION("cdr.timeout", DURATION, cdr.timeout_ms, "ms", 100, 60 * MS_PER_S, "", "10s",       \
		RESTART, NO_FORM, "How long it may take for a POST.", "")                          \
	OPTION("cdr.file", TEXT, cdr.file, "", 0, 0, "", "", RESTART, NO_FORM,                     \
		"Where the records of calls are written, one line of JSON for each answer and "    \
		"each end. strowger reload begins the file anew when it was renamed. Empty: none " \
		"are kept.",                                                                       \
		"")                                                                                \
	OPTION("decisions.keep_calls", UINT, decisions.keep_calls, "", 0, 10000000, "", "10000",   \
		RESTART, NO_FORM, "Calls that strowger why remembers; 0: none.", "")

static const struct stw_option options[] = {
#define OPTION(key, type, member, unit, min, max, allowed, standard, live, form, help, rfc)        \
	{ key, type, offsetof(struct stw_config, member), unit, min, max, allowed, standard, live, \
		help, rfc, form },
	OPTION_LIST(OPTION)
#undef OPTION
};

_Static_assert(STW_ARRAY_SIZE(options) <= CONFIG_OPTIONS_MAX, "raise CONFIG_OPTIONS_MAX");

/* Numbers, durations and words are stored through one 32-bit access. */
#define OPTION(key, type, member, unit, min, max, allowed, standard, live, form, help, rfc)        \
	_Static_assert(type == TEXT || type == LIST || type == BOOL ||                             \
			       sizeof(((struct stw_config *)0)->member) == sizeof(uint32_t),       \
		key);
OPTION_LIST(OPTION)
#undef OPTION

const struct stw_option *stw_option_all(size_t *ret_count)
{
	*ret_count = STW_ARRAY_SIZE(options);
	return options;
}

const struct stw_option *stw_option_find(const char *key)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(options); i++) {
		if (options[i].key[0] == key[0] && strcmp(options[i].key, key) == 0)
			return &options[i];
	}
	return NULL;
}

unsigned config_option_index(const struct stw_option *option)
{
	return (unsigned)(option - options);
}

struct config_mark config_option_mark(const struct config_context *context, const char *key)
{
	return context->at[config_option_index(stw_option_find(key))];
}

const char *stw_option_type_name(const struct stw_option *option)
{
	static const char *const names[] = {
		[STW_OPTION_BOOL] = "true or false",
		[STW_OPTION_UINT] = "number",
		[STW_OPTION_DURATION] = "duration",
		[STW_OPTION_TEXT] = "text",
		[STW_OPTION_ENUM] = "word",
		[STW_OPTION_LIST] = "list",
	};

	return names[option->type];
}

static void words_write(struct stw_writer *writer, const char *words)
{
	for (; *words; words++) {
		if (*words == '|')
			stw_write_text(writer, ", ");
		else
			stw_write_char(writer, *words);
	}
}

struct stw_str stw_option_allowed(const struct stw_option *option, char *buffer, size_t size)
{
	struct stw_writer writer;
	char number[32];

	stw_writer_init(&writer, buffer, size);
	switch (option->type) {
	case STW_OPTION_UINT:
	case STW_OPTION_DURATION:
		stw_write_str(
			&writer, config_number_text(option, option->min, number, sizeof(number)));
		if (option->min == option->max) {
			stw_write_text(&writer, " only");
			break;
		}
		stw_write_text(&writer, " to ");
		stw_write_str(
			&writer, config_number_text(option, option->max, number, sizeof(number)));
		break;
	case STW_OPTION_BOOL:
		stw_write_text(&writer, "true, false");
		break;
	default:
		words_write(&writer, option->allowed);
	}
	return stw_writer_text(&writer);
}
