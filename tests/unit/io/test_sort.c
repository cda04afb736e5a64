/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel puts into which queue, and what it loses when a queue is limited. */
#include "io_test.h"

#include <linux/capability.h>
#include <sys/syscall.h>

#define MARK_AT_MAX 1200 /* further back nothing is looked for */
#define FLOOD       150  /* what also a process without privileges has room for */

/* A message as `start` with something of `len` bytes before `middle`. */
static size_t compose(char *ret, size_t max, const char *start, size_t len, const char *middle)
{
	int n = snprintf(
		ret, max, "%s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKn", start);

	while ((size_t)n < len)
		ret[n++] = 'x';
	return (size_t)n + (size_t)snprintf(ret + n, max - (size_t)n, "%s\r\n\r\n", middle);
}

static enum stw_queue queue_of(struct stw_io *io, int fd, const struct stw_addr *to,
	const char *start, size_t len, const char *middle)
{
	char data[4096];

	test_send_to(fd, to, data, compose(data, sizeof(data), start, len, middle));
	return test_next(io, STW_IO_DATAGRAM)->queue;
}

#define PHRASE_OF_MARK "\r\nRoute: <sip:192.0.2.9;lr;stw=0123456789abcdef0123456789abcdef>"

static const struct {
	const char *start, *middle;
	enum stw_queue queue;
} cases[] = {
	{ "SIP/2.0 200 OK", "", STW_QUEUE_URGENT },
	{ "ACK sip:b@b.example", "", STW_QUEUE_URGENT },
	{ "BYE sip:b@b.example", "", STW_QUEUE_URGENT },
	{ "CANCEL sip:b@b.example", "", STW_QUEUE_URGENT },
	{ "PRACK sip:b@b.example", "", STW_QUEUE_URGENT },
	{ "INVITE urn:service:sos", "", STW_QUEUE_URGENT },
	{ "INVITE URN:service:sos.fire", "", STW_QUEUE_URGENT },
	{ "MESSAGE urn:service:sos", "", STW_QUEUE_URGENT },
	{ "INVITE sip:b@b.example", PHRASE_OF_MARK, STW_QUEUE_URGENT },
	{ "INFO sip:b@b.example", PHRASE_OF_MARK, STW_QUEUE_URGENT },
	{ "INVITE sip:b@b.example", "\r\nResource-Priority: ets.0", STW_QUEUE_URGENT },
	{ "INVITE sip:b@b.example", "\r\nRESOURCE-PRIORITY:esnet.1", STW_QUEUE_URGENT },
	{ "REGISTER sip:b.example", "", STW_QUEUE_REGISTER },
	{ "INVITE sip:b@b.example", "", STW_QUEUE_NEW },
	{ "INVITE sip:b@b.example", "\r\nRoute: <sip:192.0.2.9;lr>", STW_QUEUE_NEW },
	{ "INVITE sip:b@b.example", "\r\nTo: <sip:b@b.example>;tag=1", STW_QUEUE_NEW },
	{ "OPTIONS sip:b.example", "", STW_QUEUE_NEW },
	{ "INFO sip:b@b.example", "", STW_QUEUE_NEW },
	{ "BYEBYE sip:b@b.example", "", STW_QUEUE_NEW },
	{ "\r\n\r\n", "", STW_QUEUE_NEW },
};

static void test_queues(void **state)
{
	static const char *const hosts[] = { "127.0.0.1", "::1" };

	for (unsigned side = 0; side < 2; side++) {
		struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
		struct stw_listener ours = test_listen(io, STW_TRANSPORT_UDP, hosts[side]);
		struct stw_addr peer;
		int fd = test_socket(SOCK_DGRAM, hosts[side], &peer);

		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			/* Wherever it begins. */
			for (size_t at = 90; at < 96; at++)
				assert_int_equal(queue_of(io, fd, &ours.bind, cases[i].start, at,
							 cases[i].middle),
					cases[i].queue);
		}
		close(fd);
		stw_io_free(io);
	}
}

/* Numbers of emergency services, as they are configured; whole ones, except that of long ones the
 * first four bytes are enough. */
static void test_emergency_numbers(void **state)
{
	static const struct {
		const char *start;
		bool urgent;
	} calls[] = {
		{ "INVITE sip:112@b.example", true },
		{ "INVITE sip:112;phone-context=+49@b.example", true },
		{ "INVITE SIP:112:x@b.example", true },
		{ "INVITE tel:112", true },
		{ "MESSAGE sip:112@b.example", true },
		{ "INVITE sip:15@b.example", true },
		{ "INVITE sip:+1911@b.example", true },
		{ "INVITE sip:+1912@b.example", true },
		{ "INVITE sip:1123@b.example", false },
		{ "INVITE sip:111@b.example", false },
		{ "INVITE sip:150@b.example", false },
		{ "INVITE sip:b@b.example", false },
	};
	const struct stw_str numbers[] = { STW_STR("112"), STW_STR("15"), STW_STR("+1911") };
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_UDP, "127.0.0.1");
	struct stw_addr peer;
	int fd = test_socket(SOCK_DGRAM, "127.0.0.1", &peer);

	stw_io_ops()->urgent(io, numbers, 3);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		assert_int_equal(queue_of(io, fd, &ours.bind, calls[i].start, 0, ""),
			calls[i].urgent ? STW_QUEUE_URGENT : STW_QUEUE_NEW);
	stw_io_ops()->urgent(io, NULL, 0);
	assert_int_equal(queue_of(io, fd, &ours.bind, calls[0].start, 0, ""), STW_QUEUE_NEW);
	close(fd);
	stw_io_free(io);
}

static void test_far_behind(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_UDP, "127.0.0.1");
	struct stw_addr peer;
	int fd = test_socket(SOCK_DGRAM, "127.0.0.1", &peer);

	for (size_t at = 100; at < MARK_AT_MAX; at += 37)
		assert_int_equal(
			queue_of(io, fd, &ours.bind, "INVITE sip:b@b.example", at, PHRASE_OF_MARK),
			STW_QUEUE_URGENT);
	assert_int_equal(
		queue_of(io, fd, &ours.bind, "INVITE sip:b@b.example", 2000, PHRASE_OF_MARK),
		STW_QUEUE_NEW);
	/* Shorter than what is looked at. */
	test_send_to(fd, &ours.bind, "AC", 2);
	assert_int_equal(test_next(io, STW_IO_DATAGRAM)->queue, STW_QUEUE_NEW);
	test_send_to(fd, &ours.bind, "INVITE", 6);
	assert_int_equal(test_next(io, STW_IO_DATAGRAM)->queue, STW_QUEUE_NEW);
	close(fd);
	stw_io_free(io);
}

/* What came last and is urgent is told first. */
static void test_order(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_UDP, "127.0.0.1");
	const struct stw_io_event *events;
	struct stw_addr peer;
	int fd = test_socket(SOCK_DGRAM, "127.0.0.1", &peer);

	test_send_to(fd, &ours.bind, "INVITE sip:b@b.example", 22);
	test_send_to(fd, &ours.bind, "REGISTER sip:b.example", 22);
	test_send_to(fd, &ours.bind, "BYE sip:b@b.example", 19);
	assert_int_equal(test_poll(io, TEST_WAIT_MS, &events), 3);
	assert_int_equal(events[0].queue, STW_QUEUE_URGENT);
	assert_int_equal(events[1].queue, STW_QUEUE_REGISTER);
	assert_int_equal(events[2].queue, STW_QUEUE_NEW);
	close(fd);
	stw_io_free(io);
}

static unsigned count_events(struct stw_io *io, enum stw_queue queue)
{
	const struct stw_io_event *events;
	unsigned count = 0;
	int n;

	while ((n = test_poll(io, 20, &events)) > 0) {
		for (int i = 0; i < n; i++)
			count += events[i].queue == queue;
	}
	return count;
}

static void flood(struct stw_io *io, int fd, const struct stw_addr *to, const char *text)
{
	char data[1024];
	size_t len = compose(data, sizeof(data), text, 700, "");

	for (unsigned i = 0; i < FLOOD; i++)
		test_send_to(fd, to, data, len);
	test_send_to(fd, to, "BYE sip:b@b.example", 19);
}

/* Beyond the limit new work is lost, and nothing else; without it all is there. */
static void test_limit(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_UDP, "127.0.0.1");
	struct stw_addr peer;
	int fd = test_socket(SOCK_DGRAM, "127.0.0.1", &peer);

	flood(io, fd, &ours.bind, "INVITE sip:b@b.example");
	assert_int_equal(count_events(io, STW_QUEUE_NEW), FLOOD);
	stw_io_ops()->limit(io, 0, STW_QUEUE_NEW, 64);
	flood(io, fd, &ours.bind, "INVITE sip:b@b.example");
	assert_in_range(count_events(io, STW_QUEUE_NEW), 40, 100);
	flood(io, fd, &ours.bind, "INFO sip:b@b.example");
	assert_int_equal(count_events(io, STW_QUEUE_URGENT), 1);
	flood(io, fd, &ours.bind, "REGISTER sip:b.example");
	assert_int_equal(count_events(io, STW_QUEUE_REGISTER), FLOOD);
	flood(io, fd, &ours.bind, "ACK sip:b@b.example");
	assert_int_equal(count_events(io, STW_QUEUE_URGENT), FLOOD + 1);
	stw_io_ops()->limit(io, 0, STW_QUEUE_NEW, UINT32_MAX);
	flood(io, fd, &ours.bind, "INVITE sip:b@b.example");
	assert_int_equal(count_events(io, STW_QUEUE_NEW), FLOOD);
	close(fd);
	stw_io_free(io);
}

/* @return could the process do what needs it? */
static bool admin_of_network(bool on)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct own[_LINUX_CAPABILITY_U32S_3];
	uint32_t bit = 1u << CAP_NET_ADMIN;
	bool before;

	assert_int_equal(syscall(SYS_capget, &header, own), 0);
	before = own[0].effective & bit;
	own[0].effective = on ? own[0].effective | bit : own[0].effective & ~bit;
	assert_int_equal(syscall(SYS_capset, &header, own), 0);
	return before;
}

/* More than a process without privileges has room for where the system has its defaults. */
static unsigned count_large(struct stw_io *io, int fd, const struct stw_addr *to)
{
	static char data[8000];
	size_t len = compose(data, sizeof(data), "INFO sip:b@b.example", 7000, "");

	for (unsigned i = 0; i < 1200; i++)
		test_send_to(fd, to, data, len);
	return count_events(io, STW_QUEUE_NEW);
}

/* Once the privilege is gone with which a buffer was made wide, it is not cut: it would stay so. */
static void test_limit_without_privilege(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_UDP, "127.0.0.1");
	struct stw_addr peer;
	int fd = test_socket(SOCK_DGRAM, "127.0.0.1", &peer);
	unsigned before = count_large(io, fd, &ours.bind);
	bool privileged = admin_of_network(false);

	stw_io_ops()->limit(io, 0, STW_QUEUE_NEW, 64);
	stw_io_ops()->limit(io, 0, STW_QUEUE_NEW, UINT32_MAX);
	assert_int_equal(count_large(io, fd, &ours.bind), before);
	if (privileged) {
		admin_of_network(true);
		stw_io_ops()->limit(io, 0, STW_QUEUE_NEW, 64);
		assert_in_range(count_large(io, fd, &ours.bind), 20, 200);
		stw_io_ops()->limit(io, 0, STW_QUEUE_NEW, UINT32_MAX);
		assert_int_equal(count_large(io, fd, &ours.bind), 1200);
	}
	close(fd);
	stw_io_free(io);
}

/* What one peer sends comes to one worker, whatever it is; and all have something to do. */
static void test_workers(void **state)
{
	struct stw_io_options options = { .workers = 2 };
	struct stw_io *io[2] = { test_io(&options), NULL };
	struct stw_listener ours = test_listen(io[0], STW_TRANSPORT_UDP, "127.0.0.1"), same = ours;
	const struct stw_io_event *events;
	unsigned got[2] = { 0, 0 };

	options.worker = 1;
	io[1] = test_io(&options);
	assert_int_equal(stw_io_listen(io[1], &same), 0);
	for (unsigned i = 0; i < 64; i++) {
		struct stw_addr peer;
		int fd = test_socket(SOCK_DGRAM, "127.0.0.1", &peer), first;

		test_send_to(fd, &ours.bind, "INVITE sip:b@b.example", 22);
		test_send_to(fd, &ours.bind, "REGISTER sip:b.example", 22);
		test_send_to(fd, &ours.bind, "BYE sip:b@b.example", 19);
		first = test_poll(io[0], 0, &events);
		assert_true(first == 0 || first == 3);
		if (!first)
			assert_int_equal(test_poll(io[1], 0, &events), 3);
		assert_int_equal(events[0].queue, STW_QUEUE_URGENT);
		assert_int_equal(events[2].queue, STW_QUEUE_NEW);
		got[first == 0]++;
		close(fd);
	}
	assert_true(got[0] > 8 && got[1] > 8);
	stw_io_free(io[1]);
	stw_io_free(io[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queues),
		cmocka_unit_test(test_emergency_numbers),
		cmocka_unit_test(test_far_behind),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_limit_without_privilege),
		cmocka_unit_test(test_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
