/* SPDX-License-Identifier: Apache-2.0 */
/* Against a real name server: dnsmasq of Debian, on a free port of loopback. */
#include "io_test.h"

#include <signal.h>
#include <sys/wait.h>

static const char *const dnsmasq_paths[] = { "/usr/sbin/dnsmasq", "/usr/bin/dnsmasq" };

static pid_t dnsmasq_pid;
static char dnsmasq_server[STW_ADDR_TEXT_MAX];

static void test_resolve(struct stw_io *io, const char *name, uint64_t id)
{
	assert_int_equal(stw_io_ops()->resolve(io, stw_str_from(name), STW_DNS_A, id), 0);
}

static const struct stw_dns_answer *test_asked(
	struct stw_io *io, const char *name, enum stw_dns_type type)
{
	static uint64_t id;
	const struct stw_io_event *event;

	assert_int_equal(stw_io_ops()->resolve(io, stw_str_from(name), type, ++id), 0);
	event = test_next(io, STW_IO_RESOLVED);
	assert_true(event->query == id);
	return event->answer;
}

static const struct stw_dns_answer *test_resolved(struct stw_io *io, const char *name)
{
	return test_asked(io, name, STW_DNS_A);
}

static bool has_addr(const struct stw_dns_answer *answer, const char *host)
{
	struct stw_addr addr = test_addr(host, 0);

	for (unsigned i = 0; i < answer->n; i++) {
		if (stw_addr_equal(&answer->records[i].addr, &addr))
			return true;
	}
	return false;
}

/* ---- the server ------------------------------------------------------------------ */

static void dnsmasq_exec(const char *path, uint16_t port)
{
	char port_arg[32];

	snprintf(port_arg, sizeof(port_arg), "--port=%u", port);
	if (!freopen("/dev/null", "w", stderr))
		_exit(126);
	execl(path, path, "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
		"--no-hosts", "--no-daemon", "--listen-address=127.0.0.1", "--bind-interfaces",
		port_arg, "--pid-file=", "--local=/test/", "--local-ttl=77",
		"--srv-host=_sip._udp.test,four.test,5070,10,3",
		"--naptr-record=dom.test,50,60,s,SIP+D2U,,_sip._udp.test",
		"--host-record=both.test,192.0.2.1,2001:db8::1",
		"--host-record=four.test,192.0.2.4", "--host-record=six.test,2001:db8::6",
		"--cname=alias.test,four.test", "--host-record=bare.suffix.test,192.0.2.9",
		(char *)NULL);
	_exit(127);
}

static bool dnsmasq_answers(void)
{
	struct stw_io_options options = { .dns_timeout_ms = 300,
		.dns_servers = stw_str_from(dnsmasq_server) };
	struct stw_io *io = test_io(&options);
	const struct stw_io_event *events;
	bool answers;

	test_resolve(io, "four.test", 1);
	answers = test_poll(io, 1000, &events) == 1 && events[0].answer->error == 0;
	stw_io_free(io);
	return answers;
}

/* The port is free for datagrams; for streams it may not be, so the next attempt takes another. */
static bool dnsmasq_try(const char *path)
{
	struct stw_addr addr;

	close(test_socket(SOCK_DGRAM, "127.0.0.1", &addr));
	snprintf(dnsmasq_server, sizeof(dnsmasq_server), "127.0.0.1:%u", addr.port);
	dnsmasq_pid = fork();
	if (dnsmasq_pid == 0)
		dnsmasq_exec(path, addr.port);
	while (waitpid(dnsmasq_pid, NULL, WNOHANG) == 0) {
		if (dnsmasq_answers())
			return true;
		usleep(20000);
	}
	dnsmasq_pid = 0;
	return false;
}

static int dnsmasq_start(void **state)
{
	const char *path = NULL;

	for (size_t i = 0; i < STW_ARRAY_SIZE(dnsmasq_paths); i++) {
		if (access(dnsmasq_paths[i], X_OK) == 0)
			path = dnsmasq_paths[i];
	}
	if (!path) {
		print_message("SKIP: dnsmasq is not installed (package dnsmasq-base)\n");
		return 0;
	}
	for (int i = 0; i < 10; i++) {
		if (dnsmasq_try(path))
			return 0;
	}
	print_error("dnsmasq does not start\n");
	return -1;
}

static int dnsmasq_stop(void **state)
{
	if (dnsmasq_pid > 0) {
		kill(dnsmasq_pid, SIGTERM);
		waitpid(dnsmasq_pid, NULL, 0);
	}
	return 0;
}

static struct stw_io *io_with_dnsmasq(void)
{
	struct stw_io_options options = { .dns_servers = stw_str_from(dnsmasq_server) };

	if (dnsmasq_pid <= 0)
		skip();
	return test_io(&options);
}

/* ---- with it ------------------------------------------------------------------------ */

static void test_addresses(void **state)
{
	struct stw_io *io = io_with_dnsmasq();
	const struct stw_dns_answer *answer = test_resolved(io, "both.test");

	assert_int_equal(answer->error, 0);
	assert_int_equal(answer->n, 1);
	assert_true(has_addr(answer, "192.0.2.1"));
	assert_int_equal(answer->ttl_s, 77);
	answer = test_asked(io, "both.test", STW_DNS_AAAA);
	assert_int_equal(answer->n, 1);
	assert_true(has_addr(answer, "2001:db8::1"));
	assert_int_equal(test_resolved(io, "six.test.")->error, -ENOENT);
	answer = test_asked(io, "six.test.", STW_DNS_AAAA);
	assert_true(has_addr(answer, "2001:db8::6"));
	answer = test_resolved(io, "alias.TEST");
	assert_true(has_addr(answer, "192.0.2.4"));
	stw_io_free(io);
}

static void test_services(void **state)
{
	struct stw_io *io = io_with_dnsmasq();
	const struct stw_dns_answer *answer = test_asked(io, "_sip._udp.test", STW_DNS_SRV);

	assert_int_equal(answer->error, 0);
	assert_int_equal(answer->n, 1);
	assert_str(answer->records[0].target, "four.test");
	assert_int_equal(answer->records[0].priority, 10);
	assert_int_equal(answer->records[0].weight, 3);
	assert_int_equal(answer->records[0].port, 5070);
	answer = test_asked(io, "dom.test", STW_DNS_NAPTR);
	assert_int_equal(answer->error, 0);
	assert_int_equal(answer->n, 1);
	assert_str(answer->records[0].target, "_sip._udp.test");
	assert_str(answer->records[0].service, "SIP+D2U");
	assert_true(answer->records[0].terminal_srv);
	assert_int_equal(answer->records[0].priority, 50);
	assert_int_equal(answer->records[0].weight, 60);
	assert_int_equal(test_asked(io, "four.test", STW_DNS_SRV)->error, -ENOENT);
	stw_io_free(io);
}

static void test_no_such_name(void **state)
{
	struct stw_io *io = io_with_dnsmasq();
	const struct stw_dns_answer *answer = test_resolved(io, "absent.test");

	assert_int_equal(answer->error, -ENOENT);
	assert_int_equal(answer->n, 0);
	assert_int_equal(answer->ttl_s, STW_DNS_NEGATIVE_S);
	stw_io_free(io);
}

/* The host of a URI is a full name: a search list of the system is not tried. */
static void test_no_search_list(void **state)
{
	struct stw_io *io;

	setenv("LOCALDOMAIN", "suffix.test", 1);
	io = io_with_dnsmasq();
	unsetenv("LOCALDOMAIN");
	assert_true(test_resolved(io, "bare")->error < 0);
	assert_int_equal(test_resolved(io, "bare.suffix.test")->error, 0);
	stw_io_free(io);
}

static void test_many_at_once(void **state)
{
	enum { QUERIES = 300 };
	struct stw_io *io = io_with_dnsmasq();
	const struct stw_io_event *events;
	bool seen[QUERIES] = { false };

	for (uint64_t i = 0; i < QUERIES; i++)
		test_resolve(io, i % 2 ? "four.test" : "absent.test", i);
	for (int left = QUERIES; left > 0;) {
		int n = test_poll(io, TEST_WAIT_MS, &events);

		assert_true(n > 0);
		for (int i = 0; i < n; i++, left--) {
			assert_int_equal(events[i].kind, STW_IO_RESOLVED);
			assert_true(events[i].query < QUERIES && !seen[events[i].query]);
			seen[events[i].query] = true;
			assert_int_equal(
				events[i].answer->error, events[i].query % 2 ? 0 : -ENOENT);
		}
	}
	stw_io_free(io);
}

/* ---- without ------------------------------------------------------------------------ */

/* A name server that says nothing, but looks whether it is asked. */
static int silent_server(char *servers, size_t size)
{
	struct stw_addr addr;
	int fd = test_socket(SOCK_DGRAM, "127.0.0.1", &addr);
	size_t len = strlen(servers);

	snprintf(servers + len, size - len, "%s127.0.0.1:%u", len ? "," : "", addr.port);
	return fd;
}

/* @return has a question for a name that begins with this label (empty: any) come? What came is
 * gone. */
static bool is_asked(int server, const char *label)
{
	char wanted[70] = "", message[512];
	ssize_t bytes;
	bool asked = false;

	if (*label)
		snprintf(wanted, sizeof(wanted), "%c%s", (char)strlen(label), label);
	while ((bytes = recv(server, message, sizeof(message), MSG_DONTWAIT)) > 0)
		asked |= bytes > 12 && !memcmp(message + 12, wanted, strlen(wanted));
	return asked;
}

/* From the hosts file, or known without it; the network is not asked (RFC 6761 §6.3). */
static void test_localhost(void **state)
{
	static const char *const names[] = { "localhost", "LOCALHOST.", "any.localhost" },
				 *const absent[] = { "localhost", "_sip._udp.localhost",
					 "_sips._tcp.any.localhost." };
	char servers[64] = "";
	int server = silent_server(servers, sizeof(servers));
	struct stw_io *io =
		test_io(&(struct stw_io_options){ .dns_servers = stw_str_from(servers) });
	const struct stw_dns_answer *answer;

	for (size_t i = 0; i < STW_ARRAY_SIZE(names); i++) {
		answer = test_resolved(io, names[i]);
		assert_int_equal(answer->error, 0);
		assert_true(answer->local);
		assert_true(has_addr(answer, "127.0.0.1"));
	}
	answer = test_asked(io, "any.localhost", STW_DNS_AAAA);
	assert_int_equal(answer->n, 1);
	assert_true(answer->local);
	assert_true(has_addr(answer, "::1"));
	for (size_t i = 0; i < STW_ARRAY_SIZE(absent); i++) {
		assert_int_equal(test_asked(io, absent[i], STW_DNS_SRV)->error, -ENOENT);
		assert_int_equal(test_asked(io, absent[i], STW_DNS_NAPTR)->error, -ENOENT);
	}
	assert_false(is_asked(server, ""));
	test_resolve(io, "_sip.", 2);
	test_resolve(io, "notlocalhost", 1);
	assert_true(is_asked(server, "notlocalhost"));
	close(server);
	stw_io_free(io);
}

/* @return a name of the hosts file that is not localhost; empty: there is none */
static void name_of_hosts(char *ret, size_t size)
{
	FILE *file = fopen("/etc/hosts", "r");
	char line[512], name[128];

	*ret = '\0';
	while (file && !*ret && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*[0-9.] %127s", name) == 1 && !strstr(name, "localhost"))
			snprintf(ret, size, "%s", name);
	}
	if (file)
		fclose(file);
}

/* A name of the hosts file has these addresses, and no services. */
static void test_hosts_file(void **state)
{
	char servers[64] = "", name[128], service[160];
	int server = silent_server(servers, sizeof(servers));
	struct stw_io *io =
		test_io(&(struct stw_io_options){ .dns_servers = stw_str_from(servers) });

	name_of_hosts(name, sizeof(name));
	if (*name) {
		snprintf(service, sizeof(service), "_sip._udp.%s", name);
		assert_true(test_resolved(io, name)->local);
		assert_int_equal(test_asked(io, name, STW_DNS_NAPTR)->error, -ENOENT);
		assert_int_equal(test_asked(io, service, STW_DNS_SRV)->error, -ENOENT);
		assert_false(is_asked(server, ""));
	}
	close(server);
	stw_io_free(io);
	if (!*name)
		skip();
}

static void test_bad_names(void **state)
{
	struct stw_io *io =
		test_io(&(struct stw_io_options){ .dns_servers = STW_STR("127.0.0.1:9") });
	char name[300];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(test_resolved(io, name)->error, -ENOENT);
	assert_int_equal(test_resolved(io, "")->error, -ENOENT);
	name[100] = '\0'; /* a label above 63 octets */
	assert_int_equal(test_resolved(io, name)->error, -ENOENT);
	assert_int_equal(test_resolved(io, "a b.test")->error, -ENOENT);
	assert_int_equal(stw_io_ops()->resolve(io, (struct stw_str){ "a\0b", 3 }, STW_DNS_A, 1), 0);
	assert_int_equal(test_next(io, STW_IO_RESOLVED)->answer->error, -ENOENT);
	stw_io_free(io);
}

/* However many servers are silent, the answer comes in time; what c-ares says later does no harm.
 */
static void test_timeout(void **state)
{
	struct stw_io_options options = { .dns_timeout_ms = 400 };
	char servers[64];
	struct stw_addr one, two;
	int one_fd = test_socket(SOCK_DGRAM, "127.0.0.1", &one);
	int two_fd = test_socket(SOCK_DGRAM, "127.0.0.1", &two);
	struct stw_io *io;
	uint64_t start_ms = stw_io_now().mono_ms;

	snprintf(servers, sizeof(servers), "127.0.0.1:%u,127.0.0.1:%u", one.port, two.port);
	options.dns_servers = stw_str_from(servers);
	io = test_io(&options);
	assert_int_equal(test_resolved(io, "silent.test")->error, -ETIMEDOUT);
	assert_in_range(stw_io_now().mono_ms - start_ms, 400, 700);
	test_nothing(io, 800);
	test_resolve(io, "left.test", 1);
	close(one_fd);
	close(two_fd);
	stw_io_free(io);
}

/* Names that nobody answers, with a number between the parts. */
static void ask_silent(
	struct stw_io *io, int server, const char *before, const char *behind, unsigned count)
{
	char name[64];

	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s%u%s", before, i, behind);
		test_resolve(io, name, 1000 + i);
		is_asked(server, "");
	}
}

/* A question that was given up holds no channel: others are asked at once. */
static void test_given_up(void **state)
{
	enum { QUESTIONS = 300 };
	struct stw_io_options options = { .dns_timeout_ms = 400 };
	char servers[128] = "";
	int fds[3] = { silent_server(servers, sizeof(servers)),
		silent_server(servers, sizeof(servers)), silent_server(servers, sizeof(servers)) };
	const struct stw_io_event *events;
	struct stw_io *io;

	options.dns_servers = stw_str_from(servers);
	io = test_io(&options);
	ask_silent(io, fds[0], "x.n", ".test", QUESTIONS);
	for (int left = QUESTIONS; left > 0;) {
		int n = test_poll(io, TEST_WAIT_MS, &events);

		assert_true(n > 0);
		left -= n;
		is_asked(fds[0], "");
	}
	test_resolve(io, "next.test", 1);
	assert_true(is_asked(fds[0], "next"));
	for (unsigned i = 0; i < STW_ARRAY_SIZE(fds); i++)
		close(fds[i]);
	stw_io_free(io);
}

/* However many servers there are, the last one is asked while the question has time. */
static void test_last_server(void **state)
{
	struct stw_io_options options = { .dns_timeout_ms = 800 };

	for (unsigned count = 1; count <= 8; count++) {
		char servers[256] = "";
		struct stw_io *io;
		int fds[8];

		for (unsigned i = 0; i < count; i++)
			fds[i] = silent_server(servers, sizeof(servers));
		options.dns_servers = stw_str_from(servers);
		io = test_io(&options);
		assert_int_equal(test_resolved(io, "silent.test")->error, -ETIMEDOUT);
		for (unsigned i = 0; i < count; i++) {
			assert_true(is_asked(fds[i], "silent"));
			close(fds[i]);
		}
		stw_io_free(io);
	}
}

/* While the servers of one domain are silent, the names of others are asked; and a domain has a
 * part of the room for questions. */
static void test_slow_domain(void **state)
{
	struct stw_io_options options = { .dns_timeout_ms = 60000 };
	const struct stw_io_event *events;
	char servers[64] = "";
	int server = silent_server(servers, sizeof(servers));
	struct stw_io *io;

	options.dns_servers = stw_str_from(servers);
	io = test_io(&options);
	ask_silent(io, server, "x", ".slow.test", 300);
	ask_silent(io, server, "_sip._udp.x", ".SLOW.test.", 200);
	test_nothing(io, 0);
	test_resolve(io, "good.test", 1);
	assert_true(is_asked(server, "good"));
	ask_silent(io, server, "y", ".slow.test", 200);
	assert_in_range(test_poll(io, 0, &events), 150, 200);
	assert_int_equal(events[0].answer->error, -ENOBUFS);
	test_resolve(io, "better.test", 2);
	assert_true(is_asked(server, "better"));
	close(server);
	stw_io_free(io);
}

/* Some silent domains leave channels to those who come later, however much they ask; and one below
 * a suffix that everybody may use is not all that are there. */
static void test_slow_domains(void **state)
{
	static const char *const domains[] = { ".a.test", ".b.test", ".c.test", ".d.test",
		".evil.co.uk" };
	struct stw_io_options options = { .dns_timeout_ms = 60000 };
	char servers[64] = "";
	int server = silent_server(servers, sizeof(servers));
	struct stw_io *io;

	options.dns_servers = stw_str_from(servers);
	io = test_io(&options);
	for (unsigned i = 0; i < STW_ARRAY_SIZE(domains); i++)
		ask_silent(io, server, "x", domains[i], 90);
	test_resolve(io, "good.test", 1);
	assert_true(is_asked(server, "good"));
	test_resolve(io, "better.co.uk", 2);
	assert_true(is_asked(server, "better"));
	/* Below a short name of its own nobody has more than one domain. */
	for (unsigned i = 0; i < 300; i++) {
		char name[64];

		snprintf(name, sizeof(name), "x.h%u.abc.de", i);
		test_resolve(io, name, 2000 + i);
		is_asked(server, "");
	}
	test_resolve(io, "best.test", 3);
	assert_true(is_asked(server, "best"));
	close(server);
	stw_io_free(io);
}

static void file_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* The port of name servers: resolv.conf can name no other. -1: it is not given to us */
static int server_at(const char *host)
{
	struct stw_addr addr = test_addr(host, 53);
	union test_name name;
	socklen_t len = test_name(&addr, &name);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_true(fd >= 0);
	if (bind(fd, &name.sa, len) == 0)
		return fd;
	close(fd);
	return -1;
}

/* When the system names other servers, those are asked within a second; until then, and while the
 * file is empty, the old ones. */
static void test_system_changes(void **state)
{
	char path[] = "/tmp/strowger-resolv-XXXXXX";
	struct stw_io_options options = { .dns_timeout_ms = 60000, .resolv_conf = path };
	int first = server_at("127.9.9.1"), second = server_at("127.9.9.2"), fd = mkstemp(path);
	struct stw_io *io;

	assert_true(fd >= 0);
	close(fd);
	file_write(path, "nameserver 127.9.9.1\n");
	io = test_io(&options);
	for (int i = 0; first >= 0 && second >= 0 && i < 2; i++) {
		int old = i ? second : first, new = i ? first : second;

		test_resolve(io, i ? "four.test" : "one.test", 1);
		assert_true(is_asked(old, i ? "four" : "one"));
		file_write(path, "");
		test_nothing(io, 1100);
		test_resolve(io, "two.test", 2);
		assert_true(is_asked(old, "two"));
		file_write(path, i ? "nameserver 127.9.9.1\n" : "nameserver 127.9.9.2\n");
		test_nothing(io, 1100);
		test_resolve(io, "three.test", 3);
		assert_true(is_asked(new, "three"));
		assert_false(is_asked(old, "three"));
	}
	unlink(path);
	stw_io_free(io);
	if (first < 0 || second < 0)
		skip();
	close(first);
	close(second);
}

static void test_server_gone(void **state)
{
	struct stw_io_options options = { .dns_timeout_ms = 500 };
	char server[STW_ADDR_TEXT_MAX];
	struct stw_addr addr;
	struct stw_io *io;
	int error;

	close(test_socket(SOCK_DGRAM, "127.0.0.1", &addr));
	options.dns_servers = stw_addr_text(&addr, server);
	io = test_io(&options);
	error = test_resolved(io, "any.test")->error;
	assert_true(error == -EIO || error == -ETIMEDOUT);
	stw_io_free(io);
}

static void test_limits(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	const struct stw_io_event *events;
	int err = 0, asked = 0, told = 0;

	support_fail_allocation(1);
	assert_int_equal(stw_io_ops()->resolve(io, STW_STR("localhost"), STW_DNS_A, 1), -ENOBUFS);
	support_fail_allocation(0);
	for (; err == 0 && asked < 10000; asked += err == 0)
		err = stw_io_ops()->resolve(io, STW_STR("not a name"), STW_DNS_A, 1);
	assert_int_equal(err, -ENOBUFS);
	while (told < asked)
		told += test_poll(io, TEST_WAIT_MS, &events);
	test_nothing(io, 0);
	assert_int_equal(test_resolved(io, "localhost")->error, 0);
	stw_io_free(io);
}

/* RFC 5452 §9: each question has a port and an id of its own, and nobody can tell the next. */
static void test_ports_and_ids(void **state)
{
	enum { QUESTIONS = 400 };
	struct stw_io_options options = { .dns_timeout_ms = 10000 };
	struct stw_addr addr;
	int server = test_socket(SOCK_DGRAM, "127.0.0.1", &addr);
	char text[STW_ADDR_TEXT_MAX], name[32];
	unsigned ports[QUESTIONS], ids[QUESTIONS], same_ports = 0, same_ids = 0, near = 0;
	const struct stw_io_event *events;
	struct stw_io *io;

	options.dns_servers = stw_addr_text(&addr, text);
	io = test_io(&options);
	for (unsigned i = 0; i < QUESTIONS; i++) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		uint8_t message[512];
		ssize_t bytes;

		snprintf(name, sizeof(name), "n%u.test", i);
		test_resolve(io, name, i);
		bytes = recvfrom(
			server, message, sizeof(message), 0, (struct sockaddr *)&from, &len);
		assert_true(bytes > 12);
		ports[i] = ntohs(from.sin_port);
		ids[i] = (unsigned)message[0] << 8 | message[1];
		/* Every second one is answered, so that used channels ask as well as new ones. */
		if (i % 2) {
			message[2] |= 0x80;
			message[3] = 3;
			sendto(server, message, (size_t)bytes, 0, (struct sockaddr *)&from, len);
			assert_int_equal(test_poll(io, TEST_WAIT_MS, &events), 1);
		}
	}
	for (unsigned i = 0; i < QUESTIONS; i++) {
		for (unsigned j = 0; j < i; j++) {
			same_ports += ports[i] == ports[j];
			same_ids += ids[i] == ids[j];
		}
		near += i > 0 && ((ids[i] - ids[i - 1] + 8) & 0xffff) < 16;
	}
	/* By chance: 400*399/2 pairs over 28,232 ports are 2.8, over 65,536 ids 1.2. */
	assert_in_range(same_ports, 0, 30);
	assert_in_range(same_ids, 0, 12);
	assert_in_range(near, 0, 5);
	close(server);
	stw_io_free(io);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_no_such_name),
		cmocka_unit_test(test_no_search_list),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_localhost),
		cmocka_unit_test(test_hosts_file),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_last_server),
		cmocka_unit_test(test_slow_domain),
		cmocka_unit_test(test_slow_domains),
		cmocka_unit_test(test_system_changes),
		cmocka_unit_test(test_server_gone),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_ports_and_ids),
	};

	return cmocka_run_group_tests(tests, dnsmasq_start, dnsmasq_stop);
}
