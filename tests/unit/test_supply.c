/* SPDX-License-Identifier: Apache-2.0 */
/* F6: never more locks energised at once than a power supply allows. */
#include "core/supply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define MS USEC_PER_MSEC

static void test_supply_full_grants_no_place(void **state) {
        SupplyState s;

        supply_init(&s, 2, 0, 0);
        assert_true(supply_acquire(&s, 1, 10, 1000));
        assert_true(supply_acquire(&s, 2, 10, 2000));
        assert_false(supply_acquire(&s, 3, 10, 3000));
        assert_int_equal(supply_next_change(&s, 10), 1000);
}

static void test_supply_released_now_grants_a_place(void **state) {
        SupplyState s;

        supply_init(&s, 1, 0, 0);
        assert_true(supply_acquire(&s, 1, 10, 1000));
        supply_release(&s, 1, 20);
        assert_false(supply_acquire(&s, 2, 19, 1000));
        assert_true(supply_acquire(&s, 2, 20, 1000));
}

static void test_supply_pulse_ending_later_keeps_its_place_until_then(void **state) {
        SupplyState s;

        supply_init(&s, 1, 0, 0);
        assert_true(supply_acquire(&s, 1, 0, 9000));
        supply_release(&s, 1, 500);
        assert_int_equal(supply_next_change(&s, 100), 500);
        assert_false(supply_acquire(&s, 2, 499, 9000));
        assert_true(supply_acquire(&s, 2, 500, 9000));
}

static void test_supply_cooldown_starts_at_the_end_of_the_pulse(void **state) {
        SupplyState s;

        supply_init(&s, 4, 100 * MS, 0);
        assert_true(supply_acquire(&s, 1, 0, 5000 * MS));
        supply_release(&s, 1, 300 * MS);
        supply_tick(&s, 350 * MS);
        assert_int_equal(s.n_active, 0);
        assert_int_equal(supply_next_change(&s, 350 * MS), 400 * MS);
        assert_false(supply_acquire(&s, 2, 399 * MS, 5000 * MS));
        assert_true(supply_acquire(&s, 2, 400 * MS, 5000 * MS));
}

static void test_supply_without_answer_is_free_after_the_worst_end(void **state) {
        SupplyState s;

        supply_init(&s, 1, 50, 0);
        assert_true(supply_acquire(&s, 1, 0, 1000));
        assert_false(supply_acquire(&s, 2, 999, 5000));
        assert_false(supply_acquire(&s, 2, 1000, 5000)); /* over, but resting */
        assert_true(supply_acquire(&s, 2, 1050, 5000));
}

static void test_supply_pulse_that_never_was_needs_no_rest(void **state) {
        SupplyState s;

        supply_init(&s, 1, 100, 0);
        assert_true(supply_acquire(&s, 1, 5000, 9000));
        supply_release(&s, 1, 0);
        assert_true(supply_acquire(&s, 2, 5000, 9000));
}

static void test_supply_after_start_waits_for_a_former_pulse(void **state) {
        SupplyState s;

        supply_init(&s, 1, 0, 700);
        assert_false(supply_acquire(&s, 1, 699, 2000));
        assert_int_equal(supply_next_change(&s, 0), 700);
        assert_true(supply_acquire(&s, 1, 700, 2000));
}

static void test_supply_unknown_token_changes_nothing(void **state) {
        SupplyState s;

        supply_init(&s, 1, 0, 0);
        assert_true(supply_acquire(&s, 1, 0, 1000));
        supply_release(&s, 2, 0);
        assert_false(supply_acquire(&s, 3, 10, 1000));
}

static void test_supply_idle_has_nothing_to_wait_for(void **state) {
        SupplyState s;

        supply_init(&s, 1, 100, 0);
        assert_true(supply_next_change(&s, 0) == USEC_INFINITY);
}

static void test_supply_larger_than_the_table_is_cut(void **state) {
        SupplyState s;
        unsigned granted = 0;

        supply_init(&s, 1000, 0, 0);
        for (uint64_t i = 0; i < 100; i++)
                granted += supply_acquire(&s, i, 0, 1000);
        assert_int_equal(granted, SUPPLY_ACTIVE_MAX);
}

static void test_supply_any_history_never_exceeds_the_limit(void **state) {
        uint64_t random = 1, ends[SUPPLY_ACTIVE_MAX] = {0}, t = 0;
        SupplyState s;

        supply_init(&s, 3, 7, 0);
        for (uint64_t token = 1; token < 20000; token++) {
                random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
                t += random >> 60;
                uint64_t end = t + 1 + (random >> 40) % 50;
                if (supply_acquire(&s, token, t, end)) {
                        unsigned running = 0, place = 3;
                        for (unsigned i = 0; i < 3; i++)
                                if (ends[i] > t)
                                        running++;
                                else
                                        place = i;
                        assert_true(running < 3 && place < 3);
                        ends[place] = end;
                        if (random >> 33 & 1) {
                                ends[place] = t + 1 + (end - t) / 2;
                                supply_release(&s, token, ends[place]);
                        }
                }
                uint64_t next = supply_next_change(&s, t);
                assert_true(next >= t);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_supply_full_grants_no_place),
                cmocka_unit_test(test_supply_released_now_grants_a_place),
                cmocka_unit_test(test_supply_pulse_ending_later_keeps_its_place_until_then),
                cmocka_unit_test(test_supply_cooldown_starts_at_the_end_of_the_pulse),
                cmocka_unit_test(test_supply_without_answer_is_free_after_the_worst_end),
                cmocka_unit_test(test_supply_pulse_that_never_was_needs_no_rest),
                cmocka_unit_test(test_supply_after_start_waits_for_a_former_pulse),
                cmocka_unit_test(test_supply_unknown_token_changes_nothing),
                cmocka_unit_test(test_supply_idle_has_nothing_to_wait_for),
                cmocka_unit_test(test_supply_larger_than_the_table_is_cut),
                cmocka_unit_test(test_supply_any_history_never_exceeds_the_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
