/* SPDX-License-Identifier: Apache-2.0 */
/* Each role in a process of its own: what it may do goes on, what it may not is denied by name. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/serve/sandbox.h"
#include "server/serve/sandbox_calls.h"

static void (*const enter[SANDBOX_ROLES])(void) = { serve_sandbox_main, serve_sandbox_worker,
	serve_sandbox_store, serve_sandbox_admin, serve_sandbox_hook, serve_sandbox_log };
static const char *const names[SANDBOX_ROLES] = { "main", "worker", "store", "admin", "hook",
	"log" };

#define MAIN   (1u << SANDBOX_MAIN)
#define WORKER (1u << SANDBOX_WORKER)
#define STORE  (1u << SANDBOX_STORE)
#define ADMIN  (1u << SANDBOX_ADMIN)
#define HOOK   (1u << SANDBOX_HOOK)
#define LOG    (1u << SANDBOX_LOG)
#define ALL    (MAIN | WORKER | STORE | ADMIN | HOOK | LOG)

/* ---- things to try: 0 or -errno ------------------------------------------------------------ */

static int result(long value)
{
	return value < 0 ? -errno : 0;
}

static int run_program(void)
{
	char word[] = "true", *words[] = { word, NULL };

	return result(execve("/bin/true", words, NULL));
}

static int run_program_at(void)
{
	char word[] = "true", *words[] = { word, NULL };

	return result(syscall(SYS_execveat, AT_FDCWD, "/bin/true", words, NULL, 0));
}

static int make_process(void)
{
	return result(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int trace_another(void)
{
	return result(ptrace(PTRACE_ATTACH, 1, NULL, NULL));
}

static int signal_another(void)
{
	return result(syscall(SYS_kill, 1, 0));
}

static int code_in_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? -errno
		       : 0;
}

static int memory_to_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? -ENOMEM : result(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

static int socket_packet(void)
{
	return result(socket(AF_PACKET, SOCK_RAW, 0));
}

static int socket_netlink(void)
{
	return result(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int socket_raw(void)
{
	return result(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 1));
}

static int socket_local_stream(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int socket_notify(void)
{
	return result(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int socket_udp(void)
{
	return result(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

static int socket_tcp(void)
{
	return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int listen_anew(void)
{
	return result(syscall(SYS_listen, 0, 5));
}

static int file_read(void)
{
	return result(open("/etc/hosts", O_RDONLY | O_CLOEXEC));
}

static int file_write(void)
{
	return result(open("/dev/null", O_WRONLY));
}

static int file_create(void)
{
	char name[] = "/tmp/strowger-test-XXXXXX";
	int fd = mkstemp(name);

	if (fd >= 0)
		unlink(name);
	return result(fd);
}

static int file_mode(void)
{
	return result(syscall(SYS_chmod, "/nowhere", 0777));
}

static int file_rename(void)
{
	return result(rename("/nowhere/a", "/nowhere/b"));
}

static int become(void)
{
	return result(syscall(SYS_setuid, 65534));
}

static int another_root(void)
{
	return result(syscall(SYS_chroot, "/"));
}

static int memory(void)
{
	void *block = malloc(1u << 20);
	int err = block ? 0 : -ENOMEM;

	free(block);
	return err;
}

static int log_line(void)
{
	return result(write(STDERR_FILENO, "\n", 1));
}

static const struct {
	const char *syscall; /* its name in the log */
	int (*act)(void);
	unsigned allowed; /* roles */
	bool sanitizers;  /* need it themselves, at the end */
} acts[] = {
	{ "execve", run_program, 0, false },
	{ "execveat", run_program_at, 0, false },
	{ "mmap", code_in_memory, 0, false },
	{ "mprotect", memory_to_code, 0, false },
	{ "kill", signal_another, 0, false },
	{ "socket", socket_packet, 0, false },
	{ "socket", socket_netlink, 0, false },
	{ "socket", socket_raw, 0, false },
	{ "socket", socket_local_stream, 0, false },
	{ "socket", socket_notify, MAIN, false },
	{ "socket", socket_udp, MAIN | WORKER | HOOK, false },
	{ "socket", socket_tcp, MAIN | WORKER | HOOK, false },
	{ "listen", listen_anew, 0, false },
	{ "chmod", file_mode, 0, false },
	{ "rename", file_rename, 0, false },
	{ "setuid", become, 0, false },
	{ "chroot", another_root, 0, false },
	{ "", memory, ALL, false },
	{ "", log_line, ALL, false },
	{ "clone", make_process, 0, true },
	{ "ptrace", trace_another, 0, true },
	{ "openat", file_read, ALL, true },
	{ "openat", file_write, STORE, true },
	{ "openat", file_create, STORE, true },
};

/* ---- a process for each ------------------------------------------------------------------------
 */

static int child(const char *name, enum sandbox_role role, int (*act)(void), int error_fd)
{
	int err;

	(void)name;
	dup2(error_fd, STDERR_FILENO);
	signal(SIGABRT, SIG_DFL);
	if (serve_sandbox_prepare(false) < 0)
		return 100;
	enter[role]();
	err = act();
	act(); /* a second time is not logged again */
	return err == -EPERM ? 1 : err == 0 ? 0 : 101;
}

static int child_status(enum sandbox_role role, unsigned act, char *log, size_t size)
{
	int status = 0, ends[2];
	size_t len = 0;
	ssize_t got;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ends[0]);
		_exit(child(acts[act].syscall, role, acts[act].act, ends[1]));
	}
	close(ends[1]);
	while ((got = read(ends[0], log + len, size - 1 - len)) > 0)
		len += (size_t)got;
	close(ends[0]);
	log[len] = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_denied(enum sandbox_role role, unsigned act, int status, const char *log)
{
	char expected[200];
	const char *line =
		strstr(log, "{\"event\":\"sandbox.denied\",\"level\":\"error\",\"time\":\"20");

	snprintf(expected, sizeof(expected), "Z\",\"syscall\":\"%s\",\"thread\":\"%s\"}\n",
		acts[act].syscall, names[role]);
	if (!line || !strstr(line, expected))
		fail_msg("%s, row %u: no line %s in: %s", names[role], act, expected, log);
	if (strstr(line + 1, "{\"event\""))
		fail_msg("%s, row %u: logged twice: %s", names[role], act, log);
	if (SANDBOX_TESTED_BUILD) {
		if (!WIFSIGNALED(status))
			fail_msg("%s, row %u: the process goes on: %x", names[role], act, status);
	} else if (!WIFEXITED(status) || WEXITSTATUS(status) != 1) {
		fail_msg("%s, row %u: not EPERM: %x", names[role], act, status);
	}
}

static void test_each_role(void **state)
{
	char log[4096];

	if (prctl(PR_GET_SECCOMP) < 0)
		skip();
	for (unsigned act = 0; act < STW_ARRAY_SIZE(acts); act++) {
		if (SANDBOX_TESTED_BUILD && acts[act].sanitizers)
			continue;
		for (enum sandbox_role role = 0; role < SANDBOX_ROLES; role++) {
			int status = child_status(role, act, log, sizeof(log));

			if (!(acts[act].allowed & (1u << role)))
				assert_denied(role, act, status, log);
			else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
				fail_msg(
					"%s, row %u: status %x: %s", names[role], act, status, log);
		}
	}
}

/* ---- one process, a role for each thread --------------------------------------------------------
 */

static void *store_thread(void *context)
{
	serve_sandbox_store();
	*(int *)context = socket_udp();
	return NULL;
}

static int child_two_roles(int error_fd)
{
	pthread_t thread;
	int of_store = 0;

	dup2(error_fd, STDERR_FILENO);
	if (serve_sandbox_prepare(true) < 0)
		return 100;
	if (pthread_create(&thread, NULL, store_thread, &of_store) != 0)
		return 101;
	pthread_join(thread, NULL);
	serve_sandbox_main();
	return of_store == -EPERM && socket_udp() == 0 ? 0 : 1;
}

static void test_threads_differ(void **state)
{
	char log[4096] = "";
	int status, ends[2];
	pid_t pid;

	if (SANDBOX_TESTED_BUILD)
		skip(); /* the first denied call ends the process */
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child_two_roles(ends[1]));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(read(ends[0], log, sizeof(log) - 1) > 0);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(status, 0);
	assert_string_equal(log, "<3>{\"event\":\"sandbox.denied\",\"level\":\"error\","
				 "\"syscall\":\"socket\",\"thread\":\"store\"}\n");
}

/* Without preparation nothing is taken away. */
static void test_off(void **state)
{
	serve_sandbox_worker();
	assert_int_equal(prctl(PR_GET_SECCOMP), 0);
	assert_int_equal(file_write(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_each_role),
		cmocka_unit_test(test_threads_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
