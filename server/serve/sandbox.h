/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * sandbox: what each thread of the server may ask of the kernel once the sockets are bound
 * (seccomp(2)). Whoever takes over a thread by a fault of ours finds no way to run a program, look
 * into another process, load code or open a socket that the server has no use for.
 *
 * A call that is not on the list of the thread's role fails with EPERM and is told in the log once
 * for each role and name: {"event":"sandbox.denied","syscall":"execve","thread":"store"}.
 */
#ifndef STW_SERVE_SANDBOX_H
#define STW_SERVE_SANDBOX_H

#include <stdbool.h>

/**
 * Before the first thread is started and after the privileges are dropped: makes the filters and
 * catches denied calls (SIGSYS). Sets no_new_privs for the process, also when the filters cannot be
 * had.
 *
 * @param journal  lines begin with the priority that journald reads
 * @return 0; -ENOSYS the kernel has no filters; -ENOMEM; -errno: then what follows has no effect
 */
int serve_sandbox_prepare(bool journal);

/**
 * The calling thread takes its filter, for ever; so do threads that it starts afterwards. To be
 * called once by each thread itself, before it reads the first byte of a peer. Without a successful
 * serve_sandbox_prepare() nothing happens; a filter that the kernel refuses ends the process, since
 * nobody expects a thread without one.
 */
void serve_sandbox_main(void);   /* a worker that also reloads, starts and stops the others */
void serve_sandbox_worker(void); /* sockets, timers; reads files of the system (resolver) */
void serve_sandbox_store(void);  /* SQLite's files; no socket */
void serve_sandbox_admin(void);  /* connections that are accepted; no file, no new socket */
void serve_sandbox_hook(void);   /* connections to web servers; reads hosts and certificates */
void serve_sandbox_log(void);    /* writes to what is open */

#endif
