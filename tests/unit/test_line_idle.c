/* SPDX-License-Identifier: Apache-2.0 */
/* A line at rest: how seldom its boards are asked, and how soon what happens is reported all the same, by the
 * simulated line's own clock. The daemon may hold back an opening that nobody has commanded for 150 ms more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_line.h"

#include <string.h>

#define MS       USEC_PER_MSEC
#define HOLD     (150 * MS) /* FACTS_HOLD_USEC */
#define DEBOUNCE 100        /* ms, of an inside release */
#define DOOR     2
#define RELEASE  7
#define HOUR     (3600 * USEC_PER_SEC)

static uint64_t told_at; /* inputs of board 0 as they are now; 0: not yet */

static void on_heard(WireType type, const void *message) {
        const WireInputs *m = message;

        if (type == WIRE_INPUTS && m->board == 0 && m->bits[0] == fake.boards[0].inputs && !told_at)
                told_at = fake.now;
}

static void come_online(unsigned n_boards) {
        fake_reset(n_boards);
        fake.heard = on_heard;
        for (unsigned i = 0; i < n_boards; i++) {
                Unit *u = &fake_worker.units[i];
                u->idle_ms = PACE_IDLE_DEFAULT;
                u->inputs.channels[RELEASE].debounce_ms = DEBOUNCE;
                u->inputs.unrest_off[RELEASE / 8] = 1 << RELEASE % 8;
        }
        poll_attend(&fake_worker, false);
        fake_run(fake.now + 60 * USEC_PER_SEC);
}

/* µs until it is told, from any moment of the idle interval on. */
static uint64_t longest_after(unsigned channel, unsigned tries, uint64_t silence) {
        uint64_t longest = 0;

        for (unsigned i = 0; i < tries; i++) {
                fake_run(fake.now + silence + fake_dice(USEC_PER_SEC));
                told_at = 0;
                uint64_t moved_at = fake.now;
                fake.boards[0].inputs ^= (uint8_t)(1u << channel);
                while (!told_at && fake.now < moved_at + 10 * USEC_PER_SEC)
                        fake_run(fake.now + 1);
                assert_true(told_at > 0);
                longest = MAX(longest, told_at - moved_at);
                fake_run(fake.now + 5 * USEC_PER_SEC);
                fake.boards[0].inputs ^= (uint8_t)(1u << channel);
                fake_run(fake.now + 5 * USEC_PER_SEC);
        }
        print_message("channel %u, at rest for %.0f s: %.0f ms at most\n", channel, (double)silence / 1e6,
                      (double)longest / 1000);
        return longest;
}

static uint64_t requests_in(uint64_t usec) {
        uint64_t before = fake.requests;

        fake_run(fake.now + usec);
        return fake.requests - before;
}

/* Requirement: P7 */
static void test_idle_line_is_asked_four_times_a_second(void **state) {
        come_online(1);
        uint64_t hour = requests_in(HOUR);
        assert_in_range(hour, 4 * 3600 - 4, 4 * 3600 + 4 + 150); /* and the coils twice a minute */
}

/* Requirement: P7, F1, F12 */
static void test_idle_line_reports_an_opening_in_time_after_hours(void **state) {
        come_online(1);
        fake_run(fake.now + 5 * HOUR);
        assert_true(longest_after(DOOR, 200, 10 * USEC_PER_SEC) + HOLD <= PACE_REPORT_USEC);
        assert_true(longest_after(RELEASE, 200, 10 * USEC_PER_SEC) <= PACE_REPORT_USEC);
        assert_true(longest_after(DOOR, 3, 3 * HOUR) + HOLD <= PACE_REPORT_USEC);
}

/* Requirement: P7, F1, F12 */
static void test_idle_loaded_line_reports_in_time(void **state) {
        come_online(FAKE_BOARDS);
        assert_true(longest_after(DOOR, 200, 5 * USEC_PER_SEC) + HOLD <= PACE_REPORT_USEC);
        assert_true(longest_after(RELEASE, 200, 5 * USEC_PER_SEC) <= PACE_REPORT_USEC);
}

/* Requirement: P7, F4, F12 */
static void test_idle_line_with_a_dead_board_reports_in_time(void **state) {
        come_online(4);
        fake.boards[2].silent = true;
        fake_run(fake.now + 60 * USEC_PER_SEC);
        assert_int_equal(fake_worker.units[2].health, BOARD_OFFLINE);
        assert_true(longest_after(DOOR, 500, USEC_PER_SEC) + HOLD <= PACE_REPORT_USEC);
        assert_true(longest_after(RELEASE, 500, USEC_PER_SEC) <= PACE_REPORT_USEC);
}

/* A board that dies at rest is missed as soon as it would be otherwise, but for the first request. */
static void test_idle_board_that_dies_is_noticed(void **state) {
        come_online(2);
        fake.boards[1].silent = true;
        uint64_t died_at = fake.now;
        while (fake_worker.units[1].health == BOARD_ONLINE && fake.now < died_at + 30 * USEC_PER_SEC)
                fake_run(fake.now + 1);
        assert_true(fake.now - died_at <= 4 * USEC_PER_SEC);
}

/* A response that was missing or damaged is made up for at once. */
static void test_idle_line_with_bad_responses_is_asked_again_at_once(void **state) {
        come_online(1);
        fake.bad = 20;
        uint64_t longest = longest_after(DOOR, 300, 5 * USEC_PER_SEC);
        assert_true(longest <= 3 * USEC_PER_SEC);
        fake.bad = 0;
        fake_run(fake.now + 60 * USEC_PER_SEC);
        assert_in_range(requests_in(60 * USEC_PER_SEC), 235, 245);
}

/* Where a response comes byte by byte, which it does on a wire, not every byte wakes the worker.
 * Requirement: P7 */
static void test_idle_line_wakes_the_worker_seldom(void **state) {
        come_online(1);
        fake.bytewise = true;
        fake_run(fake.now + USEC_PER_SEC);
        uint64_t waits = fake.waits, requests = requests_in(60 * USEC_PER_SEC);
        /* For the last byte and what may follow, and for the next turn; more now and then, for the coils. */
        assert_in_range(fake.waits - waits, 2 * requests, 2 * requests + 60);
        assert_true(longest_after(DOOR, 200, 10 * USEC_PER_SEC) + HOLD <= PACE_REPORT_USEC);
        poll_attend(&fake_worker, true);
        fake_run(fake.now + USEC_PER_SEC);
        waits = fake.waits;
        requests = requests_in(60 * USEC_PER_SEC);
        assert_true(fake.waits - waits > 6 * requests);
}

static void test_attended_line_is_as_fast_as_ever(void **state) {
        come_online(1);
        poll_attend(&fake_worker, true);
        /* Two exchanges at 9600 baud, and the one that had just begun. */
        assert_true(longest_after(DOOR, 200, 10 * USEC_PER_SEC) <= 75 * MS);
        assert_true(requests_in(10 * USEC_PER_SEC) > 300);
        poll_attend(&fake_worker, false);
        fake_run(fake.now + 2 * USEC_PER_SEC);
        assert_in_range(requests_in(10 * USEC_PER_SEC), 38, 43);
}

/* Whoever comes does not wait for the end of the idle interval, nor does a command or a look. */
static void test_idle_line_wakes_at_once(void **state) {
        for (unsigned how = 0; how < 3; how++) {
                come_online(1);
                fake_worker.units[0].idle_ms = PACE_IDLE_MAX;
                fake_run(fake.now + 10 * USEC_PER_SEC);
                while (fake_worker.units[0].due < fake.now + USEC_PER_SEC)
                        fake_run(fake.now + 1);
                uint64_t before = fake.boards[0].requests, at = fake.now;
                if (how == 0)
                        poll_attend(&fake_worker, true);
                else if (how == 1)
                        poll_look(&fake_worker, 0);
                else
                        poll_stir(&fake_worker);
                fake_run(at + 200 * MS);
                assert_true(fake.boards[0].requests >= before + 5);
        }
}

/* What happens on one board is soon followed by more on its neighbours: a door that opens instead. */
static void test_idle_line_is_fast_after_a_change(void **state) {
        come_online(2);
        fake.boards[1].inputs ^= 1;
        fake_run(fake.now + 400 * MS);
        assert_true(longest_after(DOOR, 1, 0) <= PACE_REPORT_USEC);
        uint64_t before = fake.boards[0].requests;
        fake.boards[1].inputs ^= 1;
        fake_run(fake.now + 400 * MS);
        assert_true(fake.boards[0].requests >= before + 6);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_idle_line_is_asked_four_times_a_second),
                cmocka_unit_test(test_idle_line_reports_an_opening_in_time_after_hours),
                cmocka_unit_test(test_idle_loaded_line_reports_in_time),
                cmocka_unit_test(test_idle_line_with_a_dead_board_reports_in_time),
                cmocka_unit_test(test_idle_board_that_dies_is_noticed),
                cmocka_unit_test(test_idle_line_with_bad_responses_is_asked_again_at_once),
                cmocka_unit_test(test_idle_line_wakes_the_worker_seldom),
                cmocka_unit_test(test_attended_line_is_as_fast_as_ever),
                cmocka_unit_test(test_idle_line_wakes_at_once),
                cmocka_unit_test(test_idle_line_is_fast_after_a_change),
        };

        return cmocka_run_group_tests_name("line_idle", tests, NULL, NULL);
}
