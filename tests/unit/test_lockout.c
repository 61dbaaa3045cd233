/* SPDX-License-Identifier: Apache-2.0 */
#include "core/lockout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define MINUTES(n) ((uint64_t)(n)*60 * USEC_PER_SEC)

static const LockoutRules rules = {.attempts = 3, .duration_usec = MINUTES(30)};
static const uint8_t boot_a[BOOT_ID_SIZE] = {0xa}, boot_b[BOOT_ID_SIZE] = {0xb};

static Lockout locked_at(uint64_t now) {
        Lockout l = {0};

        assert_false(lockout_fail(&l, &rules, boot_a, now));
        assert_false(lockout_fail(&l, &rules, boot_a, now));
        assert_true(lockout_fail(&l, &rules, boot_a, now));
        return l;
}

/* Requirement: D4 */
static void test_lockout_third_failure_locks_for_half_an_hour(void **state) {
        uint64_t now = MINUTES(5);
        Lockout l = locked_at(now);

        assert_true(lockout_is_locked(&l, now));
        assert_int_equal(lockout_remaining(&l, now), MINUTES(30));
        assert_int_equal(lockout_remaining(&l, now + MINUTES(29)), MINUTES(1));
        assert_true(lockout_is_locked(&l, now + MINUTES(30) - 1));
        assert_false(lockout_is_locked(&l, now + MINUTES(30)));
        assert_int_equal(lockout_remaining(&l, now + MINUTES(99)), 0);
}

static void test_lockout_two_failures_do_not_lock(void **state) {
        Lockout l = {0};

        for (int i = 0; i < 2; i++) {
                assert_false(lockout_fail(&l, &rules, boot_a, 1));
                assert_false(lockout_is_locked(&l, 1));
        }
        assert_int_equal(l.failures, 2);
}

/* Requirement: D4 */
static void test_lockout_success_in_between_starts_the_count_again(void **state) {
        Lockout l = {0};

        for (int round = 0; round < 5; round++) {
                assert_false(lockout_fail(&l, &rules, boot_a, 1));
                assert_false(lockout_fail(&l, &rules, boot_a, 1));
                lockout_reset(&l);
                assert_int_equal(l.failures, 0);
        }
        assert_false(lockout_is_locked(&l, 1));
}

/* Requirement: D4 */
static void test_lockout_reset_lifts_the_lock(void **state) {
        Lockout l = locked_at(MINUTES(1));

        lockout_reset(&l);
        assert_false(lockout_is_locked(&l, MINUTES(1)));
        assert_false(lockout_fail(&l, &rules, boot_a, MINUTES(1)));
        assert_int_equal(l.failures, 1);
}

/* Requirement: D4 */
static void test_lockout_after_the_wait_three_more_entries_are_allowed(void **state) {
        uint64_t now = MINUTES(1);
        Lockout l = locked_at(now);

        now += MINUTES(30);
        assert_false(lockout_fail(&l, &rules, boot_a, now));
        assert_int_equal(l.failures, 1);
        assert_false(lockout_fail(&l, &rules, boot_a, now));
        assert_true(lockout_fail(&l, &rules, boot_a, now));
        assert_int_equal(lockout_remaining(&l, now), MINUTES(30));
}

static void test_lockout_failure_while_locked_changes_nothing(void **state) {
        Lockout l = locked_at(MINUTES(1)), before = l;

        assert_false(lockout_fail(&l, &rules, boot_a, MINUTES(20)));
        assert_memory_equal(&l, &before, sizeof(l));
}

/* Requirement: D4 */
static void test_lockout_restart_keeps_what_was_left(void **state) {
        Lockout l = locked_at(MINUTES(100));

        lockout_refresh(&l, MINUTES(110));
        Lockout row = l;
        /* Another boot: its clock begins at zero, wherever the calendar stands. */
        lockout_adopt(&row, boot_b, MINUTES(1));
        assert_int_equal(lockout_remaining(&row, MINUTES(1)), MINUTES(20));
        assert_memory_equal(row.boot_id, boot_b, BOOT_ID_SIZE);
        assert_int_equal(row.failures, 3);

        /* The daemon alone was restarted: not a second is gained or lost. */
        row = l;
        lockout_adopt(&row, boot_a, MINUTES(111));
        assert_int_equal(lockout_remaining(&row, MINUTES(111)), MINUTES(19));
}

/* Requirement: D4 */
static void test_lockout_restart_keeps_the_count(void **state) {
        Lockout l = {0};

        assert_false(lockout_fail(&l, &rules, boot_a, MINUTES(90)));
        assert_false(lockout_fail(&l, &rules, boot_a, MINUTES(90)));
        lockout_adopt(&l, boot_b, 0);
        assert_false(lockout_is_locked(&l, 0));
        assert_true(lockout_fail(&l, &rules, boot_b, 0));
        assert_true(lockout_is_locked(&l, MINUTES(30) - 1));
}

/* Requirement: D4 */
static void test_lockout_many_restarts_without_refresh_never_shorten_it(void **state) {
        Lockout l = locked_at(MINUTES(100));

        for (uint8_t i = 1; i < 50; i++) {
                uint8_t boot[BOOT_ID_SIZE] = {0xc, i};

                lockout_adopt(&l, boot, MINUTES(1));
                assert_int_equal(lockout_remaining(&l, MINUTES(1)), MINUTES(30));
        }
}

static void test_lockout_row_of_an_expired_lock_stays_expired(void **state) {
        Lockout l = locked_at(MINUTES(100));

        lockout_refresh(&l, MINUTES(131));
        lockout_adopt(&l, boot_b, MINUTES(1));
        assert_false(lockout_is_locked(&l, MINUTES(1)));
        assert_false(lockout_fail(&l, &rules, boot_b, MINUTES(1)));
        assert_int_equal(l.failures, 1);
}

static void test_lockout_absurd_numbers_do_not_wrap(void **state) {
        const LockoutRules forever = {.attempts = 1, .duration_usec = UINT64_MAX};
        Lockout l = {.failures = UINT32_MAX};

        assert_true(lockout_fail(&l, &forever, boot_a, MINUTES(5)));
        assert_int_equal(l.failures, UINT32_MAX);
        assert_true(lockout_is_locked(&l, UINT64_MAX - 1));
        lockout_adopt(&l, boot_b, MINUTES(5));
        assert_true(lockout_is_locked(&l, UINT64_MAX - 1));

        const LockoutRules none = {.attempts = 0, .duration_usec = MINUTES(1)};
        l = (Lockout){0};
        assert_true(lockout_fail(&l, &none, boot_a, 0));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lockout_third_failure_locks_for_half_an_hour),
                cmocka_unit_test(test_lockout_two_failures_do_not_lock),
                cmocka_unit_test(test_lockout_success_in_between_starts_the_count_again),
                cmocka_unit_test(test_lockout_reset_lifts_the_lock),
                cmocka_unit_test(test_lockout_after_the_wait_three_more_entries_are_allowed),
                cmocka_unit_test(test_lockout_failure_while_locked_changes_nothing),
                cmocka_unit_test(test_lockout_restart_keeps_what_was_left),
                cmocka_unit_test(test_lockout_restart_keeps_the_count),
                cmocka_unit_test(test_lockout_many_restarts_without_refresh_never_shorten_it),
                cmocka_unit_test(test_lockout_row_of_an_expired_lock_stays_expired),
                cmocka_unit_test(test_lockout_absurd_numbers_do_not_wrap),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
