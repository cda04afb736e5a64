/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/rcu.h>

#include <urcu/urcu-qsbr.h>

/*
 * ThreadSanitizer does not see into liburcu: tell it that what a reader did before it was quiescent
 * happens before the end of the grace period.
 */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RCU_TOLD 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define RCU_TOLD 1
#endif

#ifdef RCU_TOLD
#include <sanitizer/tsan_interface.h>
static char grace;
#define READER_DONE() __tsan_release(&grace)
#define GRACE_OVER()  __tsan_acquire(&grace)
#else
#define READER_DONE() ((void)0)
#define GRACE_OVER()  ((void)0)
#endif

void stw_rcu_register_thread(void)
{
	urcu_qsbr_register_thread();
}

void stw_rcu_unregister_thread(void)
{
	READER_DONE();
	urcu_qsbr_unregister_thread();
}

void stw_rcu_quiescent(void)
{
	READER_DONE();
	urcu_qsbr_quiescent_state();
}

void stw_rcu_offline(void)
{
	READER_DONE();
	urcu_qsbr_thread_offline();
}

void stw_rcu_online(void)
{
	urcu_qsbr_thread_online();
}

/* liburcu takes a registered caller offline while it waits, so one thread alone does not hang. */
void stw_rcu_synchronize(void)
{
	urcu_qsbr_synchronize_rcu();
	GRACE_OVER();
}
