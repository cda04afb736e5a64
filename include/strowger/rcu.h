/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * rcu: maps that many threads read and one thread changes (user-space RCU, QSBR flavour).
 *
 * A reader never waits: it registers its thread once, follows published pointers, and says between
 * two events, when it holds none of them, that it is quiescent. The writer publishes a new version,
 * waits with stw_rcu_synchronize() until every reader has been quiescent, then frees the old one.
 *
 *	reader:  map = STW_RCU_READ(shared); ... use map ...; stw_rcu_quiescent();
 *	writer:  old = shared; STW_RCU_PUBLISH(shared, new); stw_rcu_synchronize(); free(old);
 */
#ifndef STROWGER_RCU_H
#define STROWGER_RCU_H

/** Before the first STW_RCU_READ of a thread. The thread is online from then on. */
void stw_rcu_register_thread(void);
/** Before a registered thread ends; it must hold no published pointer. */
void stw_rcu_unregister_thread(void);

/** "I hold no published pointer now." Once per turn of the event loop; a few instructions. */
void stw_rcu_quiescent(void);
/** Before the thread sleeps: writers no longer wait for it. No STW_RCU_READ until online. */
void stw_rcu_offline(void);
/** After the sleep. */
void stw_rcu_online(void);

/**
 * Wait until every online thread has been quiescent or offline once: what was unpublished before
 * is then held by nobody. Blocks. The caller may be registered, and counts as quiescent itself.
 */
void stw_rcu_synchronize(void);

/** Make what `value` points to, complete as written so far, visible to readers (release). */
#define STW_RCU_PUBLISH(ptr_lvalue, value)                                                         \
	__atomic_store_n(&(ptr_lvalue), (value), __ATOMIC_RELEASE)

/** The published pointer; valid until this thread is next quiescent, offline or unregistered. */
#define STW_RCU_READ(ptr_lvalue) __atomic_load_n(&(ptr_lvalue), __ATOMIC_ACQUIRE)

#endif
