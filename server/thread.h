/* SPDX-License-Identifier: Apache-2.0 */
/* Threads beside the workers: signals belong to the main thread, so they start with all blocked. */
#ifndef STW_SERVER_THREAD_H
#define STW_SERVER_THREAD_H

#include <pthread.h>
#include <signal.h>

/** @return 0; -EAGAIN when there may be no more threads */
static inline int stw_thread_start(pthread_t *ret, void *(*run)(void *), void *context)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(ret, NULL, run, context);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

#endif
