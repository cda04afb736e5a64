/* SPDX-License-Identifier: Apache-2.0 */
/* The list of system calls, by role. Private to the sandbox. */
#ifndef STW_SERVE_SANDBOX_CALLS_H
#define STW_SERVE_SANDBOX_CALLS_H

#include <stddef.h>

enum sandbox_role {
	SANDBOX_MAIN,
	SANDBOX_WORKER,
	SANDBOX_STORE,
	SANDBOX_ADMIN,
	SANDBOX_HOOK,
	SANDBOX_LOG,
	SANDBOX_ROLES
};

/* What of the arguments is looked at. */
enum sandbox_check {
	SANDBOX_ANY,
	SANDBOX_NO_CODE,   /* memory that is not executable */
	SANDBOX_READ_ONLY, /* a file that is there, to be read */
	SANDBOX_SOCKETS,   /* families and types that the role uses */
	SANDBOX_IOCTLS,    /* questions and switches of a socket, is it a terminal */
	SANDBOX_SELF,      /* a signal to this process */
};

struct sandbox_call {
	const char *name;
	unsigned roles; /* set of 1 << enum sandbox_role */
	enum sandbox_check check;
};

const struct sandbox_call *sandbox_calls(size_t *ret_count);

/* The sanitizers make calls of their own, mostly at the end. Since every test runs under them, a
 * call that is denied there is a fault of the list, and ends the process. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_TESTED_BUILD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANDBOX_TESTED_BUILD 1
#endif
#endif
#ifndef SANDBOX_TESTED_BUILD
#define SANDBOX_TESTED_BUILD 0
#endif

#endif
