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

static void test_clock_at_start_is_believed_when_it_is_plausible(void **state) {
        static const struct {
                const char *what;
                int64_t wall, last;
                bool synced;
                int64_t believed;
        } cases[] = {
                {"synchronised, whatever was", T, T + 5 * YEAR, true, T},
                {"nothing is known from before", T, 0, false, T},
                {"off for a week", T + 7 * DAY, T, false, T + 7 * DAY},
                {"the battery is empty", 0, T, false, T},
                {"years ahead", T + 3 * YEAR, T, false, T},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                Now now = at(cases[i].wall, HOUR, cases[i].synced);
                BelievedClock c;
                int64_t step;
                believed_clock_init(&c, &now, cases[i].last);
                now.boot_usec += (uint64_t)SECOND;
                now.wall_usec += SECOND;
                if (believed_clock_read(&c, &now, &step) != cases[i].believed + SECOND || step)
                        fail_msg("%s: %lld s off, step %lld s", cases[i].what,
                                 (long long)((c.wall - cases[i].believed) / SECOND),
                                 (long long)(step / SECOND));
        }
}

/* Requirement: E3 */
static void test_clock_that_leaps_unsynchronised_is_not_followed(void **state) {
        static const int64_t leaps[] = {3 * YEAR, -3 * YEAR, 2 * HOUR, -2 * HOUR, 40 * DAY};

        for (size_t i = 0; i < ARRAY_SIZE(leaps); i++) {
                Now now = at(T, HOUR, false);
                BelievedClock c;
                int64_t step;
                believed_clock_init(&c, &now, T - DAY);
                for (int64_t s = 1; s <= 100; s++) {
                        now = at(T + s * SECOND + leaps[i], HOUR + s * SECOND, false);
                        assert_int_equal(believed_clock_read(&c, &now, &step), T + s * SECOND);
                        assert_int_equal(step, 0);
                }
                /* Over a restart, from what is known: what is plausible from the new clock alone is taken,
                 * years are not. */
                believed_clock_init(&c, &now, T + 100 * SECOND);
                if (leaps[i] > 30 * DAY || leaps[i] < 0)
                        assert_int_equal(c.wall, T + 100 * SECOND);
                /* The leap was right after all: the network says so. */
                now.synced = true;
                (void)believed_clock_read(&c, &now, &step);
                assert_int_equal(c.wall, now.wall_usec);
        }
}

static void test_clock_that_is_synchronised_is_followed_and_the_step_is_told(void **state) {
        Now now = at(T, HOUR, false);
        BelievedClock c;
        int64_t step;

        believed_clock_init(&c, &now, 0);
        now = at(T + 5 * DAY, 2 * HOUR, true);
        assert_int_equal(believed_clock_read(&c, &now, &step), T + 5 * DAY);
        assert_int_equal(step, 5 * DAY - HOUR);
        now = at(T - YEAR, 3 * HOUR, true);
        assert_int_equal(believed_clock_read(&c, &now, &step), T - YEAR);
        assert_int_equal(step, -YEAR - 5 * DAY - HOUR);
}

static void test_clock_that_wanders_is_followed(void **state) {
        Now now = at(T, HOUR, false);
        BelievedClock c;
        int64_t step;

        believed_clock_init(&c, &now, T);
        for (int64_t day = 1; day < 1000; day++) {
                now = at(T + day * (DAY + 60 * SECOND), HOUR + day * DAY, false);
                assert_int_equal(believed_clock_read(&c, &now, &step), now.wall_usec);
                assert_int_equal(step, 60 * SECOND);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_clock_at_start_is_believed_when_it_is_plausible),
                cmocka_unit_test(test_clock_that_leaps_unsynchronised_is_not_followed),
                cmocka_unit_test(test_clock_that_is_synchronised_is_followed_and_the_step_is_told),
                cmocka_unit_test(test_clock_that_wanders_is_followed),
        };

        return cmocka_run_group_tests_name("believed clock", tests, NULL, NULL);
}
