/* SPDX-License-Identifier: Apache-2.0 */
/* Bad lines: how long it takes until a door that is shut is reported shut, by the simulated line's own clock,
 * and that nothing is ever reported that was not so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS         USEC_PER_MSEC
#define CYCLES_MAX 20000
#define APART      (20 * USEC_PER_SEC)
#define DOOR       2
#define EXCHANGE   (100 * MS)

static uint64_t moved_at;          /* when the door of board 0 last moved */
static uint8_t before_move = 0xFF; /* what its inputs were before */
static bool told, online[FAKE_BOARDS];
static bool open_told; /* the daemon takes it for open, and it is shut */
static uint64_t delays[CYCLES_MAX], longest_open;
static unsigned cycles = 300, n_delays, wrong, outages;

/* Shut, or not known. */
static void no_longer_open(void) {
        if (open_told)
                longest_open = MAX(longest_open, fake.now - moved_at);
        open_told = false;
}

static void on_heard(WireType type, const void *message) {
        if (type == WIRE_BOARD_STATE) {
                const WireBoardState *m = message;
                bool now_online = board_health_is_online((BoardHealth)m->health);
                outages += online[m->board] && !now_online;
                online[m->board] = now_online;
                if (m->board == 0 && !now_online)
                        no_longer_open();
                return;
        }
        if (type != WIRE_INPUTS)
                return;
        const WireInputs *m = message;
        const FakeBoard *b = &fake.boards[m->board];
        if (m->bits[0] == b->inputs) {
                if (m->board == 0 && b->inputs == 0xFF)
                        no_longer_open();
                if (m->board == 0 && !told && b->inputs == 0xFF)
                        delays[n_delays++] = fake.now - moved_at;
                told = told || m->board == 0;
        } else if (m->board != 0 || m->bits[0] != before_move || fake.now > moved_at + EXCHANGE)
                wrong++; /* what was read may be as old as an exchange, and not older */
}

static void move_door(void) {
        before_move = fake.boards[0].inputs;
        open_told = told && before_move != 0xFF;
        fake.boards[0].inputs ^= 1u << DOOR;
        told = false;
        moved_at = fake.now;
        fake.next = fake.now + APART / 2 + fake_dice(APART);
}

static int by_size(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

static void run(unsigned n_boards, unsigned per_mille) {
        fake_reset(n_boards);
        fake.heard = on_heard;
        n_delays = wrong = outages = 0;
        longest_open = 0;
        open_told = false;
        uint64_t began = fake.now;
        memset(online, 0, sizeof(online));
        told = true;
        fake_run(fake.now + 10 * USEC_PER_SEC);
        fake.bad = per_mille;
        fake.happens = move_door;
        fake.next = fake.now + APART;
        while (n_delays < cycles && fake.now < (uint64_t)10 * cycles * APART)
                fake_run(fake.now + USEC_PER_SEC);
        assert_int_equal(n_delays, cycles);
        qsort(delays, n_delays, sizeof(delays[0]), by_size);
        printf("%u board%s, %4.1f %% bad: shut is reported after %.0f ms (median), %.0f (99 %%), %.0f "
               "(longest); "
               "reported open for %.0f at most; %u outages in %.0f h\n",
               n_boards, n_boards == 1 ? "" : "s", per_mille / 10.0, (double)delays[n_delays / 2] / 1000,
               (double)delays[n_delays * 99 / 100] / 1000, (double)delays[n_delays - 1] / 1000,
               (double)longest_open / 1000, outages, (double)(fake.now - began) / 3600e6);
}

/* Requirement: F4, F1 */
static void test_door_that_is_shut_is_not_reported_open_for_three_seconds(void **state) {
        static const unsigned bad[] = {0, 20, 50, 100, 150};

        for (unsigned boards = 1; boards <= 4; boards += 3)
                for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                        run(boards, bad[i]);
                        assert_true(longest_open <= 3 * USEC_PER_SEC);
                        assert_true(delays[n_delays * 99 / 100] <= 3 * USEC_PER_SEC);
                        assert_true(delays[n_delays - 1] <= 5 * USEC_PER_SEC);
                        assert_int_equal(wrong, 0);
                }
}

/* Far beyond what can be worked with: late, but never wrong.
 * Requirement: F1 */
static void test_nothing_is_reported_that_was_not_so(void **state) {
        for (unsigned bad = 200; bad <= 400; bad += 200) {
                run(2, bad);
                assert_int_equal(wrong, 0);
        }
}

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_door_that_is_shut_is_not_reported_open_for_three_seconds),
                cmocka_unit_test(test_nothing_is_reported_that_was_not_so),
        };

        if (argc > 1)
                cycles = (unsigned)MIN(atoi(argv[1]), CYCLES_MAX);
        return cmocka_run_group_tests_name("line_bad", tests, NULL, NULL);
}
