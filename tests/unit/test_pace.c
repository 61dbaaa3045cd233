/* SPDX-License-Identifier: Apache-2.0 */
/* How often inputs are read, and whether anybody is at the cabinet: the tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/macros.h"
#include "core/pace.h"

#define MS    USEC_PER_MSEC
#define S     USEC_PER_SEC
#define START (1000 * S)

/* Requirement: P7 */
static void test_pace_is_slow_only_when_nothing_asks_for_more(void **state) {
        static const struct {
                bool attended, doubt;
                uint64_t fast_until;
                unsigned idle_ms;
                uint64_t began, now, next;
        } rows[] = {
                {false, false, 0, 250, START, START + 5 * MS, START + 250 * MS},
                {false, false, START + 5 * MS, 250, START, START + 5 * MS, START + 250 * MS},
                {false, false, START + 6 * MS, 250, START, START + 5 * MS, START + 10 * MS},
                {true, false, 0, 250, START, START + 5 * MS, START + 10 * MS},
                {false, true, 0, 250, START, START + 5 * MS, START + 10 * MS},
                {false, false, 0, 2000, START, START + 5 * MS, START + 2 * S},
                {false, false, 0, 10, START, START + 5 * MS, START + 10 * MS},
                /* The round took longer than the interval. */
                {false, false, 0, 250, START, START + 300 * MS, START + 300 * MS},
                {true, false, 0, 250, START, START + 30 * MS, START + 30 * MS},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                Pace p = {.attended = rows[i].attended, .fast_until = rows[i].fast_until};
                assert_int_equal(pace_next(&p, rows[i].idle_ms, rows[i].doubt, rows[i].began, rows[i].now),
                                 rows[i].next);
        }
}

static void test_pace_lingers_after_whatever_happened(void **state) {
        Pace p = {0};

        pace_stir(&p, START);
        assert_true(pace_is_fast(&p, false, START + PACE_LINGER_USEC - 1));
        assert_false(pace_is_fast(&p, false, START + PACE_LINGER_USEC));
        pace_stir(&p, START - S); /* earlier, told later */
        assert_true(pace_is_fast(&p, false, START + PACE_LINGER_USEC - 1));
        pace_attend(&p, true, START + 10 * S);
        assert_true(pace_is_fast(&p, false, START + 3600 * S));
        pace_attend(&p, true, START + 3600 * S);
        pace_attend(&p, false, START + 3600 * S);
        assert_true(pace_is_fast(&p, false, START + 3600 * S));
        assert_false(pace_is_fast(&p, false, START + 3600 * S + PACE_LINGER_USEC));
        pace_attend(&p, false, START + 7200 * S); /* nothing new */
        assert_false(pace_is_fast(&p, false, START + 7200 * S));
}

/* What is configured at most still leaves the room that the promise needs: two exchanges, the hold of an
 * opening that nobody has commanded, or the debounce time of an inside release. */
static void test_pace_at_rest_keeps_the_promise(void **state) {
        assert_true(PACE_SAFETY_MS * MS + 150 * MS + 2 * 50 * MS <= PACE_REPORT_USEC);
        assert_true(PACE_IDLE_DEFAULT <= PACE_SAFETY_MS);
}

static void test_attendance_follows_signs_of_people(void **state) {
        const uint64_t timeout = 120 * S;
        static const struct {
                uint64_t at; /* s */
                bool session, moving, open;
                uint64_t moved_at; /* s; 0: never */
                bool attended;
                uint64_t next; /* s; 0: none */
        } rows[] = {
                {1000, false, false, false, 0, false, 0},
                {1001, true, false, false, 0, true, 0},
                {1500, true, false, false, 0, true, 0},
                {1501, false, false, false, 0, true, 1511},
                {1505, false, false, false, 0, true, 1511},
                {1511, false, false, false, 0, false, 0},
                /* a lock that is moved */
                {1600, false, true, false, 0, true, 0},
                {1603, false, false, false, 0, true, 1613},
                {1613, false, false, false, 0, false, 0},
                /* a door that opens by itself, and is shut in time */
                {1700, false, false, true, 1700, true, 1820},
                {1750, false, false, true, 1700, true, 1820},
                {1760, false, false, false, 1760, true, 1820},
                {1820, false, false, false, 1760, false, 0},
                /* one that nobody shuts */
                {2000, false, false, true, 2000, true, 2120},
                {2120, false, false, true, 2000, false, 0},
                {9000, false, false, true, 2000, false, 0},
                /* … until somebody comes, to it or to another */
                {9001, false, false, true, 9001, true, 9121},
                {9121, false, false, true, 9001, false, 0},
                {9200, true, false, true, 9001, true, 0},
                {9300, false, false, true, 9001, true, 9310},
                {9310, false, false, true, 9001, false, 0},
        };
        Attendance a = {0};

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                Presence p = {.session = rows[i].session,
                              .moving = rows[i].moving,
                              .open = rows[i].open,
                              .moved_at = rows[i].moved_at * S,
                              .open_usec = timeout};
                attendance_look(&a, &p, rows[i].at * S);
                assert_int_equal(a.attended, rows[i].attended);
                assert_int_equal(attendance_next(&a), rows[i].next ? rows[i].next * S : USEC_INFINITY);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pace_is_slow_only_when_nothing_asks_for_more),
                cmocka_unit_test(test_pace_lingers_after_whatever_happened),
                cmocka_unit_test(test_pace_at_rest_keeps_the_promise),
                cmocka_unit_test(test_attendance_follows_signs_of_people),
        };

        return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
