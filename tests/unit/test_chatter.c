/* SPDX-License-Identifier: Apache-2.0 */
/* Contacts that chatter: every way through the table, and days of it. */
#include "core/chatter.h"
#include "base/macros.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define START (1000 * USEC_PER_SEC)
#define DAY   (86400 * USEC_PER_SEC)

static Chatter c;
static uint64_t now;
static unsigned passed, begun, ended;

static void reset(void) {
        chatter_init(&c);
        now = START;
        passed = begun = ended = 0;
}

static unsigned happens(ChatterEvent event) {
        bool believed = chatter_is_believed(&c);
        unsigned effects = chatter_happened(&c, event, now);

        begun += effects & CHATTER_BEGINS ? 1 : 0;
        ended += effects & CHATTER_ENDS ? 1 : 0;
        passed += event == CHATTER_CHANGE && believed && chatter_is_believed(&c);
        /* What is told of it is what became of it, and each beginning has one end. */
        assert_int_equal(effects & CHATTER_BEGINS ? 1 : 0, believed && !chatter_is_believed(&c));
        assert_int_equal(effects & CHATTER_ENDS ? 1 : 0, !believed && chatter_is_believed(&c));
        assert_int_equal(begun - ended, !chatter_is_believed(&c));
        assert_true(c.level <= CHATTER_CHANGES);
        /* Somebody looks again exactly while it has to rest and its board says something. */
        assert_int_equal(chatter_next_deadline(&c) != USEC_INFINITY, c.state == CHATTER_HELD);
        if (c.state == CHATTER_HELD)
                assert_in_range(c.rest_usec, CHATTER_REST_FIRST, CHATTER_REST_MAX);
        return effects;
}

static void begin(void) {
        while (chatter_is_believed(&c))
                (void)happens(CHATTER_CHANGE);
}

static void rest(void) {
        now = chatter_next_deadline(&c);
        assert_int_equal(happens(CHATTER_TIME), CHATTER_ENDS);
}

static void test_door_in_use_is_believed(void **state) {
        reset();
        /* A busy day: a command, then door and bolt move, thrice when somebody pushes it shut badly. */
        for (unsigned i = 0; i < 2000; i++, now += 30 * USEC_PER_SEC) {
                (void)happens(CHATTER_COMMAND);
                for (unsigned k = 0; k < 12; k++)
                        assert_int_equal(happens(CHATTER_CHANGE), 0);
        }
        assert_int_equal(begun, 0);
}

static void test_chatter_is_told_once_and_again_when_it_rests(void **state) {
        reset();
        begin();
        assert_int_equal(passed, CHATTER_CHANGES);
        for (unsigned i = 0; i < 1000; i++, now += 250 * USEC_PER_MSEC)
                assert_int_equal(happens(CHATTER_CHANGE), 0);
        assert_int_equal(happens(CHATTER_TIME), 0); /* it has not rested */
        assert_int_equal(c.changes, CHATTER_CHANGES + 1 + 1000);
        assert_int_equal(chatter_next_deadline(&c), now - 250 * USEC_PER_MSEC + CHATTER_REST_FIRST);
        rest();
        assert_int_equal(c.changes, CHATTER_CHANGES + 1 + 1000);
        assert_int_equal(begun, 1);
}

static void test_rest_grows_when_it_begins_anew_and_shrinks_when_it_does_not(void **state) {
        uint64_t last = 0;

        reset();
        for (unsigned i = 0; i < 10; i++) {
                begin();
                assert_int_equal(c.rest_usec, MIN(CHATTER_REST_FIRST << i, CHATTER_REST_MAX));
                assert_true(c.rest_usec >= last);
                last = c.rest_usec;
                rest();
        }
        now += CHATTER_FORGET_USEC;
        begin();
        assert_int_equal(c.rest_usec, CHATTER_REST_FIRST);
}

static void test_board_that_says_nothing_is_no_rest(void **state) {
        reset();
        begin();
        (void)happens(CHATTER_LOST);
        now += DAY;
        assert_int_equal(happens(CHATTER_TIME), 0);
        (void)happens(CHATTER_FOUND);
        assert_int_equal(chatter_next_deadline(&c), now + CHATTER_REST_FIRST);
        rest();
}

/* Whatever the rhythm: hours of it are a bounded number of changes that anybody hears of, and of reports.
 * Requirement: F4 */
static void test_day_of_any_rhythm_is_a_bounded_number_of_reports(void **state) {
        for (uint64_t every = 20 * USEC_PER_MSEC; every < 3600 * USEC_PER_SEC; every += every / 3 + 1) {
                reset();
                while (now < START + DAY) {
                        now += every;
                        if (chatter_next_deadline(&c) <= now)
                                (void)happens(CHATTER_TIME);
                        (void)happens(CHATTER_CHANGE);
                }
                assert_true(passed <= CHATTER_CHANGES + DAY / CHATTER_EACH_USEC + CHATTER_CHANGES * begun);
                assert_true(passed + begun + ended < 2200);
                if (every < USEC_PER_SEC)
                        assert_true(passed + begun + ended <= 30);
        }
}

/* Bursts with pauses of every length between, the most spiteful ones included. */
static void test_day_of_bursts_is_a_bounded_number_of_reports(void **state) {
        for (uint64_t pause = USEC_PER_SEC; pause < 4 * 3600 * USEC_PER_SEC; pause += pause / 4) {
                reset();
                while (now < START + DAY) {
                        for (unsigned i = 0; i < 100; i++, now += 100 * USEC_PER_MSEC)
                                (void)happens(CHATTER_CHANGE);
                        uint64_t until = now + pause;
                        if (chatter_next_deadline(&c) <= until) {
                                now = chatter_next_deadline(&c);
                                (void)happens(CHATTER_TIME);
                        }
                        now = until;
                }
                assert_true(passed + begun + ended < 1500);
        }
}

/* Every sequence of so many events, with time passing or not: what is true of each step is in happens(). */
static void explore(unsigned left, unsigned *ret_seen) {
        static const uint64_t passes[] = {0, CHATTER_EACH_USEC, CHATTER_REST_MAX};
        Chatter at = c;
        uint64_t then = now;
        unsigned was[] = {passed, begun, ended};

        *ret_seen |= 1u << c.state;
        for (unsigned event = 0; left > 0 && event < CHATTER_EVENT_MAX; event++)
                for (size_t i = 0; i < ARRAY_SIZE(passes); i++) {
                        c = at;
                        now = then + passes[i];
                        passed = was[0];
                        begun = was[1];
                        ended = was[2];
                        (void)happens((ChatterEvent)event);
                        explore(left - 1, ret_seen);
                }
}

static void test_every_sequence_of_events_keeps_the_promises(void **state) {
        unsigned seen = 0;

        reset();
        explore(5, &seen);
        assert_int_equal(seen, 1u << CHATTER_BELIEVED);
        for (unsigned i = 0; i < CHATTER_CHANGES - 2; i++)
                (void)happens(CHATTER_CHANGE);
        explore(6, &seen);
        assert_int_equal(seen, (1u << CHATTER_STATE_MAX) - 1);
        assert_string_equal(chatter_state_to_string(CHATTER_ASTRAY), "astray");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_door_in_use_is_believed),
                cmocka_unit_test(test_chatter_is_told_once_and_again_when_it_rests),
                cmocka_unit_test(test_rest_grows_when_it_begins_anew_and_shrinks_when_it_does_not),
                cmocka_unit_test(test_board_that_says_nothing_is_no_rest),
                cmocka_unit_test(test_day_of_any_rhythm_is_a_bounded_number_of_reports),
                cmocka_unit_test(test_day_of_bursts_is_a_bounded_number_of_reports),
                cmocka_unit_test(test_every_sequence_of_events_keeps_the_promises),
        };

        return cmocka_run_group_tests_name("chatter", tests, NULL, NULL);
}
