/* SPDX-License-Identifier: Apache-2.0 */
/* Which values of a board's inputs are believed: agreement, debounce, unrest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/cabinet.h"
#include "line/input.h"

#define MS    USEC_PER_MSEC
#define START (1000 * USEC_PER_SEC)
#define DOOR  0
#define FIRE  9
#define POLL  (10 * MS)

static Inputs in;
static uint64_t now;

static void setup(unsigned fire_ms, bool active) {
        WireBoard b = {.inputs_used = {1, 2}};

        b.debounce_ms[FIRE] = (uint16_t)fire_ms;
        (active ? b.unrest_on : b.unrest_off)[FIRE / 8] = 1u << FIRE % 8;
        inputs_init(&in, &b, 16);
        now = START;
}

/* Reads both once and goes on to the next poll. */
static unsigned take(bool door, bool fire) {
        static const uint8_t mask[WIRE_CHANNELS / 8] = {0xFF, 0xFF};
        uint8_t bits[WIRE_CHANNELS / 8] = {door, (uint8_t)(fire << (FIRE - 8))};
        unsigned taken = inputs_take(&in, bits, mask, 2, now);

        now += POLL;
        return taken;
}

static bool believed(unsigned n) {
        return wire_bit(in.believed, n);
}

/* At rest, and known to be. */
static void rest(bool door, bool fire) {
        for (unsigned i = 0; i < 60; i++)
                (void)take(door, fire);
        assert_true(inputs_are_known(&in));
}

static void test_value_counts_when_responses_agree(void **state) {
        setup(100, true);
        rest(true, false);
        assert_int_equal(take(false, false), INPUTS_UNSETTLED);
        assert_true(believed(DOOR));
        assert_int_equal(take(false, false), INPUTS_CHANGED);
        assert_false(believed(DOOR));
        assert_int_equal(take(false, false), 0);
}

static void test_damaged_response_begins_the_agreement_anew(void **state) {
        setup(100, true);
        rest(true, false);
        (void)take(false, false);
        inputs_break(&in);
        assert_int_equal(take(false, false), INPUTS_UNSETTLED);
        assert_int_equal(take(false, false), INPUTS_CHANGED);
}

/* Requirement: F12 */
static void test_spike_on_a_safety_input_is_told_to_nobody(void **state) {
        for (unsigned ms = SAFETY_DEBOUNCE_MIN; ms <= SAFETY_DEBOUNCE_MAX; ms += 20)
                for (unsigned active = 0; active < 2; active++) {
                        setup(ms, active);
                        rest(true, !active);
                        for (unsigned spike = 0; spike < 50; spike++) {
                                for (unsigned i = 0; i <= 30 * MS / POLL; i++)
                                        assert_false(take(true, active) & INPUTS_CHANGED);
                                for (unsigned i = 0; i < 1 + ms * MS / POLL; i++)
                                        assert_false(take(true, !active) & INPUTS_CHANGED);
                        }
                        assert_int_equal(believed(FIRE), !active);
                }
}

/* Requirement: F12 */
static void test_alarm_that_lasts_is_told_after_its_debounce_time(void **state) {
        for (unsigned ms = SAFETY_DEBOUNCE_MIN; ms <= SAFETY_DEBOUNCE_MAX; ms += 20) {
                setup(ms, true);
                rest(true, false);
                uint64_t since = now;
                while (!(take(true, true) & INPUTS_CHANGED))
                        assert_true(now < since + 2 * USEC_PER_SEC);
                assert_true(believed(FIRE));
                assert_in_range(now - POLL - since, ms * MS, ms * MS + POLL);
        }
}

/* Whatever rhythm a contact has, and whatever is configured: an alarm is not debounced away.
 * Requirement: F12 */
static void test_alarm_that_chatters_is_told_within_a_second_and_a_half(void **state) {
        for (unsigned ms = SAFETY_DEBOUNCE_MIN; ms <= SAFETY_DEBOUNCE_MAX; ms += 20)
                for (unsigned period = 2; period * POLL < ms * MS; period++)
                        for (unsigned active = 0; active < 2; active++) {
                                setup(ms, active);
                                rest(true, !active);
                                uint64_t since = now;
                                for (unsigned i = 0; believed(FIRE) != active; i++) {
                                        (void)take(true, i / period % 2 ? !active : active);
                                        assert_true(now < since + 1500 * MS);
                                }
                        }
}

/* One that has chattered is quiet again when it has rested. */
static void test_alarm_that_has_chattered_comes_to_rest(void **state) {
        setup(100, true);
        rest(true, false);
        for (unsigned i = 0; i < 300; i++)
                (void)take(true, i % 2);
        assert_true(believed(FIRE));
        rest(true, false);
        assert_false(believed(FIRE));
}

static void test_debounce_of_one_input_delays_no_other(void **state) {
        setup(500, true);
        rest(true, false);
        (void)take(true, true);
        (void)take(true, true);
        assert_int_equal(take(false, true), INPUTS_UNSETTLED);
        assert_int_equal(take(false, true), INPUTS_CHANGED);
        assert_false(believed(DOOR));
        assert_false(believed(FIRE));
        assert_in_range(inputs_rest_at(&in), now, now + 500 * MS);
}

static void test_chattering_door_delays_no_alarm(void **state) {
        setup(100, true);
        rest(true, false);
        uint64_t since = now;
        for (unsigned i = 0; !believed(FIRE); i++) {
                (void)take(i % 2, true);
                assert_true(now <= since + 130 * MS);
        }
}

static void test_nothing_is_known_before_it_has_rested(void **state) {
        setup(100, true);
        (void)take(true, true);
        (void)take(true, true);
        assert_false(inputs_are_known(&in));
        rest(true, true);
        inputs_forget(&in);
        assert_false(inputs_are_known(&in));
        assert_int_equal(inputs_rest_at(&in), USEC_INFINITY);
        rest(true, false);
        assert_false(believed(FIRE));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_value_counts_when_responses_agree),
                cmocka_unit_test(test_damaged_response_begins_the_agreement_anew),
                cmocka_unit_test(test_spike_on_a_safety_input_is_told_to_nobody),
                cmocka_unit_test(test_alarm_that_lasts_is_told_after_its_debounce_time),
                cmocka_unit_test(test_alarm_that_chatters_is_told_within_a_second_and_a_half),
                cmocka_unit_test(test_alarm_that_has_chattered_comes_to_rest),
                cmocka_unit_test(test_debounce_of_one_input_delays_no_other),
                cmocka_unit_test(test_chattering_door_delays_no_alarm),
                cmocka_unit_test(test_nothing_is_known_before_it_has_rested),
        };

        return cmocka_run_group_tests_name("line_inputs", tests, NULL, NULL);
}
