/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks that step, batteries that are empty, and a network that comes at last. */
#include "core/believed_clock.h"
#include "base/macros.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SECOND ((int64_t)USEC_PER_SEC)
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)
#define YEAR   (365 * DAY)
#define T      (INT64_C(1772409600) * SECOND)

static Now at(int64_t wall, int64_t boot, bool synced) {
        return (Now){.wall_usec = wall, .boot_usec = (uint64_t)boot, .synced = synced};
}

static Moment later(const BelievedClock *c, int64_t usec) {
        return believed_clock_moment(c, c->boot + (uint64_t)usec);
}

/* Requirement: F16 */
static void test_clock_at_start_goes_on_from_what_was_believed(void **state) {
        static const struct {
                const char *what;
                int64_t wall, last;
                int64_t believed, ahead;
        } cases[] = {
                {"nothing is known from before", T, 0, T, 0},
                {"off for a week", T + 7 * DAY, T, T, 7 * DAY},
                {"off for longer than a battery lasts", T + 31 * DAY, T, T, 0},
                {"the battery is empty", 0, T, T, 0},
                {"years ahead", T + 3 * YEAR, T, T, 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                Now now = at(cases[i].wall, HOUR, false);
                BelievedClock c;
                int64_t step = 1;
                believed_clock_init(&c, &now, cases[i].last, true);
                now.boot_usec += (uint64_t)SECOND;
                now.wall_usec += SECOND;
                believed_clock_read(&c, &now, &step);
                Moment m = believed_clock_moment(&c, now.boot_usec);
                if (m.wall != cases[i].believed + SECOND || step || m.vouched || c.ahead != cases[i].ahead)
                        fail_msg("%s: %lld s off, step %lld s, vouched %d", cases[i].what,
                                 (long long)((m.wall - cases[i].believed) / SECOND),
                                 (long long)(step / SECOND), m.vouched);
                /* A fresh ledger's calendar bounds nothing. */
                assert_int_equal(m.not_before, cases[i].last ? m.wall : 0);
        }
}

/* Requirement: F16, E3 */
static void test_clock_that_leaps_unsynchronised_is_not_followed(void **state) {
        static const int64_t leaps[] = {3 * YEAR, -3 * YEAR, 2 * HOUR, -2 * HOUR, 40 * DAY, 59 * SECOND};

        for (size_t i = 0; i < ARRAY_SIZE(leaps); i++)
                for (int vouched = 0; vouched < 2; vouched++) {
                        Now now = at(T, HOUR, vouched);
                        BelievedClock c;
                        int64_t step;
                        believed_clock_init(&c, &now, T, true);
                        believed_clock_read(&c, &now, &step);
                        for (int64_t s = 1; s <= 100; s++) {
                                now = at(T + s * SECOND + leaps[i], HOUR + s * SECOND, false);
                                believed_clock_read(&c, &now, &step);
                                assert_int_equal(step, 0);
                                assert_int_equal(believed_clock_moment(&c, now.boot_usec).wall,
                                                 T + s * SECOND);
                                assert_int_equal(believed_clock_moment(&c, now.boot_usec).vouched, vouched);
                        }
                        /* The leap was right after all: the network says so. */
                        now.synced = true;
                        believed_clock_read(&c, &now, &step);
                        assert_int_equal(step, leaps[i]);
                        assert_int_equal(c.wall, now.wall_usec);
                }
}

/* Requirement: F16 */
static void test_clock_is_vouched_for_as_long_as_it_was_synchronised_not_too_long_ago(void **state) {
        Now now = at(T, HOUR, false);
        BelievedClock c;
        int64_t step;

        believed_clock_init(&c, &now, 0, false);
        assert_false(later(&c, 0).vouched);
        assert_int_equal(later(&c, YEAR).not_before, 0);
        now = at(T + 5 * DAY, 2 * HOUR, true);
        believed_clock_read(&c, &now, &step);
        assert_int_equal(step, 5 * DAY - HOUR);
        assert_true(later(&c, 30 * DAY - SECOND).vouched);
        assert_false(later(&c, 30 * DAY).vouched);
        /* Not any more, and yet it is not earlier than that. */
        assert_int_equal(later(&c, 40 * DAY).not_before, T + 45 * DAY);
        /* A synchronised clock is followed wherever it goes. */
        now = at(T - YEAR, 3 * HOUR, true);
        believed_clock_read(&c, &now, &step);
        assert_int_equal(step, -YEAR - 5 * DAY - HOUR);
        assert_int_equal(later(&c, 0).wall, T - YEAR);
}

/* Requirement: F16 */
static void test_clock_that_only_counts_is_never_ahead_of_the_true_time(void **state) {
        int64_t real = T, last = T, step;
        bool bound = true;

        /* Power cuts, and clock hardware that claims anything within a month. */
        for (int64_t i = 1; i < 500; i++) {
                real += i % 7 * HOUR;
                Now now = at(real + (i % 59 - 29) * DAY, i * SECOND, false);
                BelievedClock c;
                believed_clock_init(&c, &now, last, bound);
                believed_clock_read(&c, &now, &step);
                int64_t ran = i % 11 * HOUR;
                real += ran;
                assert_true(later(&c, ran).wall <= real);
                assert_true(later(&c, ran).wall >= last);
                last = later(&c, ran).wall;
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_clock_at_start_goes_on_from_what_was_believed),
                cmocka_unit_test(test_clock_that_leaps_unsynchronised_is_not_followed),
                cmocka_unit_test(test_clock_is_vouched_for_as_long_as_it_was_synchronised_not_too_long_ago),
                cmocka_unit_test(test_clock_that_only_counts_is_never_ahead_of_the_true_time),
        };

        return cmocka_run_group_tests_name("believed clock", tests, NULL, NULL);
}
