/* SPDX-License-Identifier: Apache-2.0 */
/* The door machine under everything that can happen in any order. The table of edges is written down a second
 * time here; random walks must use each edge and no other, and keep the promises of door.h. */
#include "core/door.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define ANSWERS  (DOOR_RELEASED | DOOR_FAILED_TO_OPEN | DOOR_LOST)
#define OPENINGS (DOOR_OPENED | DOOR_FORCED_OPEN)

/* One line a state, columns in the order of DoorState: may it become that? */
static const char *const edges[DOOR_STATE_MAX] = {
        /*                  U L R O C J F X */
        [DOOR_UNKNOWN] = "  . x x x x . x x", [DOOR_LOCKED] = "   x . x x x . x .",
        [DOOR_RELEASING] = "x x . x x x x x", [DOOR_OPEN] = "     x x x . x . . x",
        [DOOR_CLOSING] = "  x x x x . . x x", [DOOR_JAMMED] = "   x . x x x . x .",
        [DOOR_FORCED] = "   x x x . x . . .", [DOOR_LEFT_OPEN] = "x x x x x . x .",
};

static bool is_edge(int from, int to) {
        if (from < 0 || from >= DOOR_STATE_MAX || to < 0 || to >= DOOR_STATE_MAX)
                return false;
        return strpbrk(edges[from], ".x")[2 * to] == 'x';
}

static void test_door_table_has_every_edge_and_no_other(void **state) {
        for (int from = -2; from < DOOR_STATE_MAX + 3; from++)
                for (int to = -2; to < DOOR_STATE_MAX + 3; to++)
                        if (door_may_become((DoorState)from, (DoorState)to) != is_edge(from, to))
                                fail_msg("%d → %d", from, to);
}

/* A door, what the caller has to remember, and what the reports have said so far. */
typedef struct Walk {
        Door d;
        uint64_t random, now;
        unsigned due;        /* pulses to account for */
        bool asked;          /* a command waits for its answer */
        unsigned pulses;     /* of that command */
        unsigned retries;    /* of that command */
        uint64_t pulsed_at;  /* the last of them */
        uint64_t seen_at;    /* when the sensors were read */
        uint64_t look_since; /* they are asked for, 0: they are not */
        uint64_t work_until; /* an opening until then is the work of a command */
        bool opened, lost;
        unsigned since_shut;
        bool visited[DOOR_STATE_MAX][DOOR_STATE_MAX];
} Walk;

static uint64_t dice(Walk *w, uint64_t n) {
        w->random ^= w->random << 13;
        w->random ^= w->random >> 7;
        w->random ^= w->random << 17;
        return (w->random >> 11) % n;
}

static Tri any_tri(Walk *w) {
        return (Tri)((int)dice(w, 12) % 3 - 1);
}

static void check_answers(Walk *w, DoorState before, unsigned happened) {
        /* Never released without a command, and never two answers. */
        unsigned answers = happened & ANSWERS;
        if (answers == (DOOR_RELEASED | DOOR_LOST)) /* released first, and then the sensors were lost */
                answers = DOOR_RELEASED;
        assert_true(__builtin_popcount(answers) <= 1);
        if (happened & DOOR_RELEASED)
                assert_true(w->asked || w->now <= w->work_until);
        if (happened & DOOR_FAILED_TO_OPEN) {
                assert_true(w->asked && w->pulses > 0);
                w->work_until += DOOR_LATE_USEC;
        }
        if (happened & DOOR_WANTS_RETRY) {
                assert_true(w->asked && before == DOOR_RELEASING);
                assert_int_equal(w->retries, 0);
                w->retries++;
                w->due++;
        }
        /* What was read before the window ended is no verdict; but a retry that is never sent is a failure.
         */
        if (happened & DOOR_WANTS_RETRY || (happened & DOOR_FAILED_TO_OPEN && !w->retries))
                assert_true(w->seen_at >= w->pulsed_at + w->d.times.release_usec);
        if (happened & DOOR_WANTS_LOOK) {
                assert_true(w->asked && w->d.state == DOOR_RELEASING && !w->lost);
                assert_int_equal(w->look_since, 0);
                w->look_since = w->now;
                assert_true(door_next_deadline(&w->d) == w->now + DOOR_UNSEEN_USEC);
        }
        if (w->look_since && w->d.state == DOOR_RELEASING && happened & DOOR_LOST)
                fail_msg("lost and still under way");
        if (w->d.state != DOOR_RELEASING || happened & DOOR_WANTS_RETRY ||
            w->d.release_until == w->d.window_end)
                w->look_since = 0;
        if (happened & ANSWERS)
                w->asked = false;
}

static void check_openings(Walk *w, DoorState before, unsigned happened) {
        if (happened & OPENINGS) {
                /* One name for one opening, and not again before it was shut or found. */
                assert_true((happened & OPENINGS) != OPENINGS);
                assert_false(w->opened);
                w->opened = true;
        }
        if (happened & DOOR_FORCED_OPEN) {
                assert_false(happened & DOOR_RELEASED);
                assert_int_not_equal(before, DOOR_RELEASING);
                assert_int_equal(w->d.state, DOOR_FORCED);
        }
        if (happened & DOOR_OPEN_TOO_LONG)
                assert_false(w->since_shut & DOOR_OPEN_TOO_LONG);
        if (happened & DOOR_RELEASED)
                w->since_shut &= ~(unsigned)DOOR_OPEN_TOO_LONG; /* a new command, a new time */
        w->since_shut |= happened;
        if (happened & (DOOR_CLOSED | DOOR_FOUND)) {
                /* Something must have been open, or at least not locked, for it to close. */
                if (happened & DOOR_CLOSED)
                        assert_true(w->since_shut &
                                    (DOOR_RELEASED | OPENINGS | DOOR_OPEN_TOO_LONG | DOOR_FOUND));
                w->opened = (happened & OPENINGS) && !(happened & DOOR_CLOSED);
                w->since_shut = happened & DOOR_CLOSED ? 0 : happened;
        }
}

static void check(Walk *w, DoorState before, unsigned happened) {
        DoorState after = w->d.state;

        if (after != before) {
                if (!door_may_become(before, after))
                        fail_msg("%s → %s", door_state_to_string(before), door_state_to_string(after));
                w->visited[before][after] = true;
        }
        check_answers(w, before, happened);
        check_openings(w, before, happened);
        if (happened & DOOR_FOUND) {
                assert_true(w->lost);
                w->lost = false;
        }
        if (happened & DOOR_LOST)
                w->lost = true;
        /* A closed door is called locked only when its sensors say so. */
        if (after == DOOR_LOCKED) {
                assert_true(!w->d.has_contact || w->d.closed == TRI_YES);
                assert_true(!w->d.has_latch || w->d.locked == TRI_YES);
        }
        if (w->d.has_contact && w->d.closed == TRI_NO)
                assert_true(after == DOOR_OPEN || after == DOOR_FORCED || after == DOOR_LEFT_OPEN ||
                            after == DOOR_RELEASING);
        /* An open door does not stay unnoticed. */
        if (after == DOOR_OPEN)
                assert_true(door_next_deadline(&w->d) != USEC_INFINITY);
}

static unsigned give(Walk *w, bool force) {
        DoorState before = w->d.state;
        bool accepted = door_command(&w->d, force);

        assert_int_equal(accepted, force || before == DOOR_LOCKED || before == DOOR_JAMMED ||
                                           before == DOOR_CLOSING || before == DOOR_UNKNOWN);
        if (accepted) {
                if (!w->asked)
                        w->pulses = w->retries = 0;
                w->asked = true;
                w->due++;
        }
        return 0;
}

static unsigned not_sent(Walk *w) {
        unsigned happened = door_command_failed(&w->d);

        w->due--;
        /* Given up before any pulse: the caller knows, no answer follows. */
        if (w->asked && w->d.state != DOOR_RELEASING && !(happened & ANSWERS)) {
                assert_int_equal(w->pulses, 0);
                w->asked = false;
        }
        return happened;
}

static void pulsed(Walk *w) {
        door_pulsed(&w->d, w->now);
        w->due--;
        w->pulses++;
        w->pulsed_at = w->now;
        w->look_since = 0;
        w->work_until = MAX(w->work_until, w->now + w->d.times.release_usec);
}

static void step(Walk *w) {
        DoorState before = w->d.state;
        unsigned happened = 0;

        w->now += dice(w, 40) == 0 ? dice(w, 70) * USEC_PER_SEC : dice(w, 8) * 200 * USEC_PER_MSEC;
        switch (dice(w, 16)) {
        case 0:
        case 1:
                happened = give(w, false);
                break;
        case 2:
                happened = dice(w, 4) == 0 ? give(w, true) : 0;
                break;
        case 3:
        case 4:
        case 5:
                if (w->due > 0)
                        pulsed(w);
                break;
        case 6:
                if (w->due > 0)
                        happened = not_sent(w);
                break;
        case 7:
        case 8:
        case 9:
        case 10:
                happened = door_tick(&w->d, w->now);
                assert_false(happened & DOOR_RELEASED); /* that is seen, never concluded */
                break;
        case 11: /* the same again is no news */
                if (w->d.state != DOOR_RELEASING) {
                        happened = door_facts(&w->d, w->d.closed, w->d.locked, w->now);
                        assert_int_equal(happened, 0);
                }
                break;
        case 12: /* locked is the usual thing */
                w->seen_at = w->now;
                happened = door_seen(&w->d, TRI_YES, TRI_YES, w->now);
                break;
        default:
                happened = door_facts(&w->d, any_tri(w), any_tri(w), w->now);
                break;
        }
        check(w, before, happened);
}

/* Whatever is under way comes to its end when the pulses are accounted for and time passes. */
static void finish(Walk *w) {
        for (int i = 0; i < 20 && (w->due > 0 || w->asked); i++) {
                DoorState before = w->d.state;

                if (w->due > 0) {
                        pulsed(w);
                        check(w, before, 0);
                }
                before = w->d.state;
                w->now += w->d.times.release_usec;
                unsigned happened = door_tick(&w->d, w->now);
                assert_false(happened & DOOR_RELEASED);
                check(w, before, happened);
        }
        assert_false(w->asked);
        assert_int_not_equal(w->d.state, DOOR_RELEASING);
}

/* Requirement: F1 */
static void test_door_random_walks_keep_every_promise_and_use_every_edge(void **state) {
        static const DoorTimes times = {.release_usec = 3 * USEC_PER_SEC, .open_max_usec = 30 * USEC_PER_SEC};
        bool visited[DOOR_STATE_MAX][DOOR_STATE_MAX] = {0};

        /* Too rare for chance; walked by test_door_pulse_told_very_late_still_counts. */
        visited[DOOR_LEFT_OPEN][DOOR_OPEN] = true;
        for (unsigned seed = 1; seed <= 3000; seed++) {
                Walk w = {.random = seed * UINT64_C(0x9e3779b97f4a7c15), .now = 1000, .lost = true};
                unsigned sensors = seed % 3 + 1;

                door_init(&w.d, sensors & 1, sensors & 2, times);
                for (int i = 0; i < 200; i++)
                        step(&w);
                finish(&w);
                for (int from = 0; from < DOOR_STATE_MAX; from++)
                        for (int to = 0; to < DOOR_STATE_MAX; to++)
                                visited[from][to] |= w.visited[from][to];
        }
        for (int from = 0; from < DOOR_STATE_MAX; from++)
                for (int to = 0; to < DOOR_STATE_MAX; to++)
                        if (visited[from][to] != is_edge(from, to))
                                fail_msg("%s → %s is in the table but was never used",
                                         door_state_to_string((DoorState)from),
                                         door_state_to_string((DoorState)to));
}

/* Times at the end of the clock's range must not wrap around into the past. */
static void test_door_endless_times_do_not_wrap(void **state) {
        static const DoorTimes endless = {.release_usec = USEC_INFINITY, .open_max_usec = USEC_INFINITY};
        Door d;

        door_init(&d, true, true, endless);
        door_facts(&d, TRI_YES, TRI_YES, 1000);
        assert_true(door_command(&d, false));
        door_pulsed(&d, 2000);
        assert_int_equal(door_tick(&d, 3000), 0);
        assert_int_equal(door_facts(&d, TRI_NO, TRI_NO, 4000), DOOR_RELEASED | DOOR_OPENED);
        assert_int_equal(door_tick(&d, USEC_INFINITY - 1), 0);
        assert_int_equal(d.state, DOOR_OPEN);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_door_table_has_every_edge_and_no_other),
                cmocka_unit_test(test_door_random_walks_keep_every_promise_and_use_every_edge),
                cmocka_unit_test(test_door_endless_times_do_not_wrap),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
