/* SPDX-License-Identifier: Apache-2.0 */
/* Is this a build in which each piece of memory is watched? clang says it by a feature, gcc by a
 * macro. */
#ifndef STW_BASE_SANITIZE_H
#define STW_BASE_SANITIZE_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONED 1
#endif
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MEMORY_IS_WATCHED true
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONED    1
#define MEMORY_IS_WATCHED true
#elif defined(__SANITIZE_THREAD__)
#define MEMORY_IS_WATCHED true
#endif

#ifndef MEMORY_IS_WATCHED
#define MEMORY_IS_WATCHED false
#endif

#endif
