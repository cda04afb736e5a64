/* SPDX-License-Identifier: Apache-2.0 */
/* Which thread may make which system call, and what it needs it for. */
#include "server/serve/sandbox_calls.h"

#include <strowger/base.h>

#define MAIN  (1u << SANDBOX_MAIN)
#define STORE (1u << SANDBOX_STORE)
#define ADMIN (1u << SANDBOX_ADMIN)
#define HOOK  (1u << SANDBOX_HOOK)
#define LOG   (1u << SANDBOX_LOG)
#define SIP   (MAIN | 1u << SANDBOX_WORKER)
#define ALL   (SIP | STORE | ADMIN | HOOK | LOG)
#define FILES (SIP | STORE | HOOK) /* who opens files */
#define NET   (SIP | ADMIN | HOOK) /* who has connections */
#define CALLS (SIP | HOOK)         /* who opens them */

static const struct sandbox_call calls[] = {
	/* Memory: malloc, stacks of threads. */
	{ "brk", ALL, SANDBOX_ANY },
	{ "mmap", ALL, SANDBOX_NO_CODE },
	{ "mprotect", ALL, SANDBOX_NO_CODE },
	{ "mremap", ALL, SANDBOX_ANY },
	{ "munmap", ALL, SANDBOX_ANY },
	{ "madvise", ALL, SANDBOX_ANY },
	/* Threads: mutexes, conditions, the grace periods of liburcu, the end. */
	{ "futex", ALL, SANDBOX_ANY },
	{ "membarrier", ALL, SANDBOX_ANY },
	{ "sched_yield", ALL, SANDBOX_ANY },
	{ "getcpu", ALL, SANDBOX_ANY },
	{ "rseq", ALL, SANDBOX_ANY },
	{ "rt_sigprocmask", ALL, SANDBOX_ANY },
	{ "rt_sigaction", ALL, SANDBOX_ANY },
	{ "rt_sigreturn", ALL, SANDBOX_ANY },
	{ "restart_syscall", ALL, SANDBOX_ANY },
	{ "tgkill", ALL, SANDBOX_SELF }, /* abort(3) */
	{ "gettid", ALL, SANDBOX_ANY },
	{ "getpid", ALL, SANDBOX_ANY },
	{ "exit", ALL, SANDBOX_ANY },
	{ "exit_group", ALL, SANDBOX_ANY },
	/* Clocks and random numbers. */
	{ "clock_gettime", ALL, SANDBOX_ANY },
	{ "clock_getres", ALL, SANDBOX_ANY },
	{ "gettimeofday", ALL, SANDBOX_ANY },
	{ "time", ALL, SANDBOX_ANY },
	{ "nanosleep", ALL, SANDBOX_ANY },
	{ "clock_nanosleep", ALL, SANDBOX_ANY },
	{ "getrandom", ALL, SANDBOX_ANY },
	{ "sysinfo", ALL, SANDBOX_ANY }, /* qsort(3) */
	/* What is open: sockets, the wake-up, the log. */
	{ "read", ALL, SANDBOX_ANY },
	{ "write", ALL, SANDBOX_ANY },
	{ "readv", ALL, SANDBOX_ANY },
	{ "writev", ALL, SANDBOX_ANY },
	{ "close", ALL, SANDBOX_ANY },
	{ "fcntl", ALL, SANDBOX_ANY },
	{ "fstat", ALL, SANDBOX_ANY },
	{ "newfstatat", ALL, SANDBOX_ANY },
	{ "statx", ALL, SANDBOX_ANY },
	{ "lseek", FILES, SANDBOX_ANY },
	{ "ioctl", NET, SANDBOX_IOCTLS },
	{ "poll", ALL, SANDBOX_ANY },
	{ "ppoll", ALL, SANDBOX_ANY },
	{ "select", NET, SANDBOX_ANY },
	{ "pselect6", NET, SANDBOX_ANY },
	{ "epoll_wait", NET, SANDBOX_ANY },
	{ "epoll_pwait", NET, SANDBOX_ANY },
	{ "epoll_pwait2", NET, SANDBOX_ANY },
	{ "epoll_ctl", NET, SANDBOX_ANY },
	/* Sockets. */
	{ "socket", CALLS, SANDBOX_SOCKETS },
	{ "bind", CALLS, SANDBOX_ANY },
	{ "connect", CALLS, SANDBOX_ANY },
	{ "accept4", NET, SANDBOX_ANY },
	{ "accept", NET, SANDBOX_ANY },
	{ "shutdown", NET, SANDBOX_ANY },
	{ "getsockname", NET, SANDBOX_ANY },
	{ "getpeername", NET, SANDBOX_ANY },
	{ "getsockopt", NET, SANDBOX_ANY },
	{ "setsockopt", NET, SANDBOX_ANY },
	{ "sendto", NET, SANDBOX_ANY },
	{ "sendmsg", NET, SANDBOX_ANY },
	{ "sendmmsg", SIP, SANDBOX_ANY },
	{ "recvfrom", NET, SANDBOX_ANY },
	{ "recvmsg", NET, SANDBOX_ANY },
	{ "recvmmsg", SIP, SANDBOX_ANY },
	{ "sendfile", ADMIN, SANDBOX_ANY },
	/* Files to read: the configuration, resolv.conf, hosts, time zones, certificates. */
	{ "openat", CALLS, SANDBOX_READ_ONLY },
	/* malloc(3) of glibc, when a thread gives back a heap, reads
	 * /proc/sys/vm/overcommit_memory: in builds without jemalloc. */
	{ "openat", ADMIN | LOG, SANDBOX_READ_ONLY },
	{ "stat", FILES, SANDBOX_ANY },
	{ "lstat", FILES, SANDBOX_ANY },
	{ "access", FILES, SANDBOX_ANY },
	{ "faccessat", FILES, SANDBOX_ANY },
	{ "faccessat2", FILES, SANDBOX_ANY },
	{ "readlink", FILES, SANDBOX_ANY },
	{ "readlinkat", FILES, SANDBOX_ANY },
	{ "getcwd", FILES, SANDBOX_ANY },
	{ "geteuid", FILES, SANDBOX_ANY },
	{ "getuid", FILES, SANDBOX_ANY },
	{ "getegid", FILES, SANDBOX_ANY },
	{ "getgid", FILES, SANDBOX_ANY },
	{ "uname", CALLS, SANDBOX_ANY },
	/* The end: the socket of the administration, the folder of --try. */
	{ "unlink", MAIN | STORE, SANDBOX_ANY },
	{ "unlinkat", MAIN | STORE, SANDBOX_ANY },
	{ "rmdir", MAIN, SANDBOX_ANY },
	{ "getdents64", MAIN, SANDBOX_ANY },
	/* SQLite: the store, its journal, shared memory and temporary files. */
	{ "openat", STORE, SANDBOX_ANY },
	{ "pread64", STORE, SANDBOX_ANY },
	{ "pwrite64", STORE, SANDBOX_ANY },
	{ "fsync", STORE, SANDBOX_ANY },
	{ "fdatasync", STORE, SANDBOX_ANY },
	{ "ftruncate", STORE, SANDBOX_ANY },
	{ "fallocate", STORE, SANDBOX_ANY },
	{ "fchmod", STORE, SANDBOX_ANY },
	{ "fchown", STORE, SANDBOX_ANY },
#if SANDBOX_TESTED_BUILD
	{ "clone", ALL, SANDBOX_ANY },
	{ "ptrace", ALL, SANDBOX_ANY },
	{ "wait4", ALL, SANDBOX_ANY },
	{ "prctl", ALL, SANDBOX_ANY },
	{ "sigaltstack", ALL, SANDBOX_ANY },
	{ "getppid", ALL, SANDBOX_ANY },
	{ "getdents", ALL, SANDBOX_ANY },
	{ "getdents64", ALL, SANDBOX_ANY },
	{ "readlink", ALL, SANDBOX_ANY },
	{ "readlinkat", ALL, SANDBOX_ANY },
	{ "open", ALL, SANDBOX_ANY },
	{ "openat", ALL, SANDBOX_ANY },
	{ "lseek", ALL, SANDBOX_ANY },
	{ "stat", ALL, SANDBOX_ANY },
	{ "ioctl", ALL, SANDBOX_IOCTLS },
	{ "prlimit64", ALL, SANDBOX_ANY },
	{ "sched_getaffinity", ALL, SANDBOX_ANY },
	{ "pipe", ALL, SANDBOX_ANY },
	{ "pipe2", ALL, SANDBOX_ANY },
	{ "process_vm_readv", ALL, SANDBOX_ANY },
	{ "personality", ALL, SANDBOX_ANY },
	{ "arch_prctl", ALL, SANDBOX_ANY },
	{ "mincore", ALL, SANDBOX_ANY },
#endif
};

const struct sandbox_call *sandbox_calls(size_t *ret_count)
{
	*ret_count = STW_ARRAY_SIZE(calls);
	return calls;
}
