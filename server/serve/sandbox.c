/* SPDX-License-Identifier: Apache-2.0 */
#include "server/serve/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <strowger/base.h>

#include "server/serve/sandbox_calls.h"

#define NUMBERS_MAX 1024 /* of system calls that have a name */

static const char *const role_names[SANDBOX_ROLES] = { "main", "worker", "store", "admin", "hook",
	"log" };

static struct {
	bool ready, journal;
	struct sock_fprog filters[SANDBOX_ROLES];
	const char *names[NUMBERS_MAX]; /* of system calls; borrowed for ever */
} sandbox;

static _Thread_local enum sandbox_role thread_role;

/* ---- a denied call ------------------------------------------------------------------------- */

/* In a signal handler nothing may be used but the stack and async-signal-safe calls. */
struct line {
	char text[256];
	size_t len;
};

static void line_text(struct line *line, const char *text)
{
	while (*text && line->len < sizeof(line->text))
		line->text[line->len++] = *text++;
}

static void line_number(struct line *line, uint64_t number, unsigned digits)
{
	char text[21];
	size_t at = sizeof(text) - 1;

	text[at] = 0;
	do {
		text[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (at > 0 && (number || sizeof(text) - 1 - at < digits));
	line_text(line, text + at);
}

/* Days since 1970 to a date of the Gregorian calendar, whose years begin in March here. */
static void line_date(struct line *line, uint64_t days)
{
	uint64_t shifted = days + 719468, era = shifted / 146097, of_era = shifted % 146097;
	uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	uint64_t month = (5 * of_year + 2) / 153;
	uint64_t day = of_year - (153 * month + 2) / 5 + 1;

	line_number(line, era * 400 + year + (month >= 10), 4);
	line_text(line, "-");
	line_number(line, month < 10 ? month + 3 : month - 9, 2);
	line_text(line, "-");
	line_number(line, day, 2);
}

static void line_time(struct line *line)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	line_date(line, (uint64_t)now.tv_sec / 86400);
	line_text(line, "T");
	line_number(line, (uint64_t)now.tv_sec / 3600 % 24, 2);
	line_text(line, ":");
	line_number(line, (uint64_t)now.tv_sec / 60 % 60, 2);
	line_text(line, ":");
	line_number(line, (uint64_t)now.tv_sec % 60, 2);
	line_text(line, ".");
	line_number(line, (uint64_t)now.tv_nsec / 1000000, 3);
	line_text(line, "Z");
}

/* Once for each role and call: who repeats a denied call does not fill the disk. */
static bool is_first(unsigned number)
{
	static atomic_uint seen[SANDBOX_ROLES][NUMBERS_MAX / 32];
	unsigned bit = 1u << (number % 32);

	return !(atomic_fetch_or(&seen[thread_role][number / 32], bit) & bit);
}

/* Who reads the log may stand still, and this thread does not wait for him: then the next time. */
static bool log_is_ready(void)
{
	struct pollfd log = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&log, 1, 0) == 1 && (log.revents & POLLOUT);
}

static void denied_log(unsigned number)
{
	const char *name = sandbox.names[number];
	struct line line = { .len = 0 };

	line_text(&line, sandbox.journal ? "<3>" : "");
	line_text(&line, "{\"event\":\"sandbox.denied\",\"level\":\"error\",");
	if (!sandbox.journal) {
		line_text(&line, "\"time\":\"");
		line_time(&line);
		line_text(&line, "\",");
	}
	line_text(&line, "\"syscall\":\"");
	if (name)
		line_text(&line, name);
	else
		line_number(&line, number, 1);
	line_text(&line, "\",\"thread\":\"");
	line_text(&line, role_names[thread_role]);
	line_text(&line, "\"}\n");
	(void)!write(STDERR_FILENO, line.text, line.len);
}

/* The call has not been made; its result is put where the thread finds it. */
static void result_set(ucontext_t *context, int result)
{
#if defined(__x86_64__)
	context->uc_mcontext.gregs[REG_RAX] = result;
#elif defined(__aarch64__)
	context->uc_mcontext.regs[0] = (unsigned long long)result;
#else
	(void)context;
	(void)result;
	abort(); /* nobody has said where this machine keeps it */
#endif
}

static void on_denied(int signal, siginfo_t *info, void *context)
{
	unsigned number = (unsigned)info->si_syscall % NUMBERS_MAX;
	int saved = errno;

	if (log_is_ready() && is_first(number))
		denied_log(number);
	if (SANDBOX_TESTED_BUILD)
		abort();
	errno = saved;
	result_set(context, -EPERM);
}

static int denied_catch(void)
{
	struct sigaction action = { .sa_sigaction = on_denied, .sa_flags = SA_SIGINFO };

	sigemptyset(&action.sa_mask);
	return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : 0;
}

static void names_fill(void)
{
	for (unsigned i = 0; i < NUMBERS_MAX; i++) {
		if (!sandbox.names[i])
			sandbox.names[i] =
				seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)i);
	}
}

/* ---- the filters ------------------------------------------------------------------------------
 */

static int allow(scmp_filter_ctx filter, int number, unsigned n, const struct scmp_arg_cmp *checks)
{
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, n, checks);
}

/* Each value of the argument is a rule. */
static int allow_values(scmp_filter_ctx filter, int number, unsigned argument,
	const unsigned long *values, unsigned n)
{
	struct scmp_arg_cmp check = { .arg = argument, .op = SCMP_CMP_EQ };
	int err = 0;

	for (unsigned i = 0; err == 0 && i < n; i++) {
		check.datum_a = values[i];
		err = allow(filter, number, 1, &check);
	}
	return err;
}

/* Datagrams and streams of the Internet; main also tells the service manager (sd_notify(3)). */
static int allow_sockets(scmp_filter_ctx filter, int number, enum sandbox_role role)
{
	static const int families[] = { AF_INET, AF_INET6, AF_UNIX };
	static const int types[] = { SOCK_DGRAM, SOCK_STREAM };
	struct scmp_arg_cmp checks[2] = { { .arg = 0, .op = SCMP_CMP_EQ },
		{ .arg = 1, .op = SCMP_CMP_MASKED_EQ, .datum_a = 0xf } };
	int err = 0;

	for (unsigned i = 0; err == 0 && i < STW_ARRAY_SIZE(families) * 2; i++) {
		int family = families[i / 2], type = types[i % 2];

		if (family == AF_UNIX && (role != SANDBOX_MAIN || type != SOCK_DGRAM))
			continue;
		checks[0].datum_a = (scmp_datum_t)family;
		checks[1].datum_b = (scmp_datum_t)type;
		err = allow(filter, number, 2, checks);
	}
	return err;
}

static int allow_masked(
	scmp_filter_ctx filter, int number, unsigned argument, uint64_t mask, uint64_t value)
{
	struct scmp_arg_cmp check = {
		.arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value
	};

	return allow(filter, number, 1, &check);
}

static int allow_call(
	scmp_filter_ctx filter, const struct sandbox_call *call, enum sandbox_role role)
{
	static const unsigned long ioctls[] = { FIONBIO, FIONREAD, TCGETS };
	const unsigned long self[] = { (unsigned long)getpid() };
	int number = seccomp_syscall_resolve_name(call->name);

	if (number < 0)
		return 0; /* this machine has another call for it, which has its own row */
	switch (call->check) {
	case SANDBOX_ANY:
		return allow(filter, number, 0, NULL);
	case SANDBOX_NO_CODE:
		return allow_masked(filter, number, 2, PROT_EXEC, 0);
	case SANDBOX_READ_ONLY:
		return allow_masked(filter, number, 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY);
	case SANDBOX_SOCKETS:
		return allow_sockets(filter, number, role);
	case SANDBOX_IOCTLS:
		return allow_values(filter, number, 1, ioctls, STW_ARRAY_SIZE(ioctls));
	case SANDBOX_SELF:
		return allow_values(filter, number, 0, self, STW_ARRAY_SIZE(self));
	}
	return -EINVAL;
}

/* What libseccomp has compiled, as the kernel takes it: it goes through a file. */
static int filter_export(scmp_filter_ctx filter, struct sock_fprog *ret)
{
	int fd = memfd_create("seccomp", MFD_CLOEXEC);
	int err = fd < 0 ? -errno : seccomp_export_bpf(filter, fd);
	off_t size = err < 0 ? 0 : lseek(fd, 0, SEEK_END);

	ret->filter = size > 0 ? malloc((size_t)size) : NULL;
	if (err == 0 && (!ret->filter || pread(fd, ret->filter, (size_t)size, 0) != size))
		err = -ENOMEM;
	ret->len = (unsigned short)((size_t)size / sizeof(*ret->filter));
	if (fd >= 0)
		close(fd);
	return err;
}

static int filter_make(enum sandbox_role role, struct sock_fprog *ret)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
	const struct sandbox_call *calls;
	size_t n;
	int err = filter ? 0 : -ENOMEM;

	calls = sandbox_calls(&n);
	if (err == 0)
		err = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (err == 0)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
	for (size_t i = 0; err == 0 && i < n; i++) {
		if (calls[i].roles & (1u << role))
			err = allow_call(filter, &calls[i], role);
	}
	if (err == 0)
		err = filter_export(filter, ret);
	seccomp_release(filter);
	return err;
}

int serve_sandbox_prepare(bool journal)
{
	uint32_t action = SECCOMP_RET_TRAP;
	int err = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
		return -ENOSYS;
	sandbox.journal = journal;
	names_fill();
	for (unsigned i = 0; err == 0 && i < SANDBOX_ROLES; i++) {
		if (!sandbox.filters[i].filter)
			err = filter_make(i, &sandbox.filters[i]);
	}
	if (err == 0)
		err = denied_catch();
	sandbox.ready = err == 0;
	return err;
}

/* The processor's defence against reading ahead of a store is for foreign code, which is never run
 * here: taking it off saves the time of every store. */
static void sandbox_enter(enum sandbox_role role)
{
	static const unsigned flags[] = { SECCOMP_FILTER_FLAG_SPEC_ALLOW, 0 };
	sigset_t set;

	if (!sandbox.ready)
		return;
	thread_role = role;
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* or the first denied call would end us */
	for (unsigned i = 0; i < STW_ARRAY_SIZE(flags); i++) {
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags[i],
			    &sandbox.filters[role]) == 0)
			return;
	}
	abort();
}

void serve_sandbox_main(void)
{
	sandbox_enter(SANDBOX_MAIN);
}

void serve_sandbox_worker(void)
{
	sandbox_enter(SANDBOX_WORKER);
}

void serve_sandbox_store(void)
{
	sandbox_enter(SANDBOX_STORE);
}

void serve_sandbox_admin(void)
{
	sandbox_enter(SANDBOX_ADMIN);
}

void serve_sandbox_hook(void)
{
	sandbox_enter(SANDBOX_HOOK);
}

void serve_sandbox_log(void)
{
	sandbox_enter(SANDBOX_LOG);
}
