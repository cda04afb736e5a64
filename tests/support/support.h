/* SPDX-License-Identifier: Apache-2.0 */
/* What unit tests share: cmocka, guard pages, failing allocations, pauses, files. */
#ifndef STW_TESTS_SUPPORT_H
#define STW_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <strowger/base.h>

/** The nth allocation from now on (1 = the next) returns NULL, once. 0: none fails. */
void support_fail_allocation(unsigned nth);
/** Allocations counted since the last call of support_fail_allocation or of this function. */
unsigned support_allocations(void);

/** Pauses of this thread (nanosleep()) take no time. */
void support_sleepless(bool on);

/** A copy of the bytes that ends right before an inaccessible page: reading past it traps. */
char *support_guarded(const char *bytes, size_t len);
void support_guarded_free(char *guarded, size_t len);

/** Whole file below the source root, NUL behind it; fails the test when it cannot be read. free()
 * it. */
char *support_read_file(const char *path, size_t *ret_len);

/** assert that a stw_str holds exactly this text */
#define assert_str(actual, expected) support_assert_str(actual, expected, __FILE__, __LINE__)
void support_assert_str(struct stw_str actual, const char *expected, const char *file, int line);

#endif
