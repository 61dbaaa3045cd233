/* SPDX-License-Identifier: Apache-2.0 */
/* The door machine, step by step: each test is a list of inputs with what must be reported and what the door
 * must be then. Random walks are in test_door_walk.c. Times are milliseconds: a release window of 3 s, open
 * at most 60 s. */
#include "core/door.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

typedef enum Input { COMMAND, FORCE, REFUSED, PULSED, NOT_SENT, FACTS, SEEN, TICK } Input;

typedef struct Step {
        Input input;
        uint64_t at_ms;
        Tri closed, locked;
        unsigned happened;
        DoorState state;
} Step;

#define N TRI_NO
#define Y TRI_YES
#define U TRI_UNKNOWN

static const DoorTimes times = {.release_usec = 3 * USEC_PER_SEC, .open_max_usec = 60 * USEC_PER_SEC};

static unsigned apply(Door *d, const Step *s) {
        uint64_t now = s->at_ms * USEC_PER_MSEC;

        switch (s->input) {
        case COMMAND:
                assert_true(door_command(d, false));
                return 0;
        case FORCE:
                assert_true(door_command(d, true));
                return 0;
        case REFUSED: {
                Door before = *d;
                assert_false(door_command(d, false));
                assert_memory_equal(d, &before, sizeof(before));
                return 0;
        }
        case PULSED:
                door_pulsed(d, now);
                return 0;
        case NOT_SENT:
                return door_command_failed(d);
        case FACTS:
                return door_facts(d, s->closed, s->locked, now);
        case SEEN:
                return door_seen(d, s->closed, s->locked, now);
        case TICK:
                return door_tick(d, now);
        }
        return 0;
}

static void walk(bool has_contact, bool has_latch, const Step *steps, size_t n) {
        Door d;

        door_init(&d, has_contact, has_latch, times);
        assert_int_equal(d.state, DOOR_UNKNOWN);
        for (size_t i = 0; i < n; i++) {
                DoorState before = d.state;
                unsigned happened = apply(&d, &steps[i]);

                if (happened != steps[i].happened || d.state != steps[i].state)
                        fail_msg("step %zu: happened %#x, expected %#x; %s, expected %s", i, happened,
                                 steps[i].happened, door_state_to_string(d.state),
                                 door_state_to_string(steps[i].state));
                if (d.state != before)
                        assert_true(door_may_become(before, d.state));
                assert_int_equal(door_is_shut(&d), d.state == DOOR_LOCKED);
        }
}

#define WALK_CONTACT(steps) walk(true, false, steps, ARRAY_SIZE(steps))
#define WALK_LATCH(steps)   walk(false, true, steps, ARRAY_SIZE(steps))
#define WALK_BOTH(steps)    walk(true, true, steps, ARRAY_SIZE(steps))

/* Requirement: F1 */
static void test_door_contact_only_opens_and_closes(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, N, DOOR_FOUND, DOOR_LOCKED}, /* the latch value of a door without latch is
                                                              ignored */
                {COMMAND, 100, 0, 0, 0, DOOR_RELEASING},
                {REFUSED, 110, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 200, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 300, N, N, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {FACTS, 400, N, Y, 0, DOOR_OPEN},
                {REFUSED, 500, 0, 0, 0, DOOR_OPEN},
                {TICK, 5000, 0, 0, 0, DOOR_OPEN},
                {FACTS, 9000, Y, N, DOOR_CLOSED, DOOR_LOCKED},
                {TICK, 99000, 0, 0, 0, DOOR_LOCKED},
        };
        WALK_CONTACT(steps);
}

/* Requirement: F1 */
static void test_door_latch_only_opens_and_closes(void **state) {
        static const Step steps[] = {
                {FACTS, 0, N, Y, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 100, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 200, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 300, U, N, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {FACTS, 9000, U, Y, DOOR_CLOSED, DOOR_LOCKED},
        };
        WALK_LATCH(steps);
}

/* Requirement: F1 */
static void test_door_with_both_sensors_tells_released_from_opened(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},     {COMMAND, 100, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 200, 0, 0, 0, DOOR_RELEASING},        {FACTS, 220, Y, N, DOOR_RELEASED, DOOR_OPEN},
                {FACTS, 280, N, N, DOOR_OPENED, DOOR_OPEN},    {FACTS, 9000, Y, N, 0, DOOR_CLOSING},
                {FACTS, 9100, Y, Y, DOOR_CLOSED, DOOR_LOCKED},
        };
        WALK_BOTH(steps);
}

static void test_door_bolt_thrown_while_open_is_open(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 100, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 200, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 280, N, N, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {FACTS, 300, N, Y, 0, DOOR_OPEN},
                {FACTS, 310, N, U, 0, DOOR_OPEN},
                {FACTS, 9000, Y, Y, DOOR_CLOSED, DOOR_LOCKED},
        };
        WALK_BOTH(steps);
}

/* Requirement: F1 */
static void test_door_leaned_on_is_released_but_not_opened(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 100, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 200, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 220, Y, N, DOOR_RELEASED, DOOR_OPEN},
                {TICK, 30000, 0, 0, 0, DOOR_OPEN},
                {TICK, 60220, 0, 0, DOOR_OPEN_TOO_LONG, DOOR_LEFT_OPEN},
                {TICK, 99000, 0, 0, 0, DOOR_LEFT_OPEN},
                {FACTS, 100000, N, N, DOOR_OPENED, DOOR_LEFT_OPEN},
                {FACTS, 101000, Y, N, 0, DOOR_CLOSING},
                {FACTS, 102000, N, N, 0, DOOR_LEFT_OPEN},
                {FACTS, 103000, Y, Y, DOOR_CLOSED, DOOR_LOCKED},
        };
        WALK_BOTH(steps);
}

static void test_door_springing_back_is_released_then_closed(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 100, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 150, Y, N, DOOR_RELEASED, DOOR_OPEN}, /* before the board's answer */
                {FACTS, 190, Y, Y, DOOR_CLOSED, DOOR_LOCKED},
                {PULSED, 200, 0, 0, 0, DOOR_LOCKED}, /* no second window, nothing wants a retry */
                {TICK, 9000, 0, 0, 0, DOOR_LOCKED},
        };
        WALK_BOTH(steps);
}

static void test_door_bouncing_contact_after_release_is_not_forced(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 100, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 200, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 300, N, U, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {FACTS, 320, Y, U, DOOR_CLOSED, DOOR_LOCKED},
                {FACTS, 340, N, U, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {FACTS, 3100, Y, U, DOOR_CLOSED, DOOR_LOCKED},
                {FACTS, 3201, N, U, DOOR_FORCED_OPEN, DOOR_FORCED}, /* the window is over */
        };
        WALK_CONTACT(steps);
}

/* Requirement: F1 */
static void test_door_that_does_not_open_is_retried_once_then_jammed(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 100, 0, 0, 0, DOOR_RELEASING},
                {TICK, 9000, 0, 0, 0, DOOR_RELEASING}, /* the window waits for the pulse */
                {PULSED, 10000, 0, 0, 0, DOOR_RELEASING},
                {TICK, 12999, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 13000, Y, Y, DOOR_WANTS_RETRY, DOOR_RELEASING},
                {TICK, 20000, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 21000, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 24000, Y, Y, DOOR_FAILED_TO_OPEN, DOOR_JAMMED},
                {TICK, 99000, 0, 0, 0, DOOR_JAMMED},
                {COMMAND, 99000, 0, 0, 0, DOOR_RELEASING}, /* everything from the beginning */
                {PULSED, 99000, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 102000, Y, Y, DOOR_WANTS_RETRY, DOOR_RELEASING},
                {PULSED, 103000, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 104000, N, N, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
        };
        WALK_BOTH(steps);
}

/* Requirement: F1 */
static void test_door_is_called_failed_only_after_a_look(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 100, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 3099, Y, U, 0, DOOR_RELEASING}, /* it may still let go */
                {TICK, 3100, 0, 0, DOOR_WANTS_LOOK, DOOR_RELEASING},
                {TICK, 3200, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 4300, Y, U, DOOR_WANTS_RETRY, DOOR_RELEASING},
                {SEEN, 4400, Y, U, 0, DOOR_RELEASING}, /* the retry has not been given yet */
                {PULSED, 5000, 0, 0, 0, DOOR_RELEASING},
                {TICK, 9000, 0, 0, DOOR_WANTS_LOOK, DOOR_RELEASING}, /* late, but asked all the same */
                {SEEN, 11999, Y, U, DOOR_FAILED_TO_OPEN, DOOR_JAMMED},
                {SEEN, 12100, Y, U, 0, DOOR_JAMMED}, /* it may let go late */
                {FACTS, 13000, N, U, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
        };
        WALK_CONTACT(steps);
}

/* Requirement: F1 */
static void test_door_opening_while_the_look_is_awaited_is_released(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 100, 0, 0, 0, DOOR_RELEASING},
                {TICK, 3100, 0, 0, DOOR_WANTS_LOOK, DOOR_RELEASING},
                {FACTS, 6000, N, N, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {SEEN, 6000, N, N, 0, DOOR_OPEN},
        };
        static const Step at_once[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 100, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 3100, N, N, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
        };
        WALK_BOTH(steps);
        WALK_BOTH(at_once);
}

/* Requirement: F1 */
static void test_door_that_nobody_could_see_is_unknown_not_failed_and_not_forced(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 0, 0, 0, 0, DOOR_RELEASING},
                {TICK, 3000, 0, 0, DOOR_WANTS_LOOK, DOOR_RELEASING},
                {TICK, 6000, 0, 0, DOOR_LOST, DOOR_UNKNOWN}, /* and no second pulse */
                {FACTS, 60000, N, U, DOOR_FOUND, DOOR_OPEN}, /* open by the command, whenever that was */
                {FACTS, 61000, Y, U, DOOR_CLOSED, DOOR_LOCKED},
        };
        static const Step locked[] = {
                {FACTS, 0, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 0, 0, 0, 0, DOOR_RELEASING},
                {TICK, 3000, 0, 0, DOOR_WANTS_LOOK, DOOR_RELEASING},
                {TICK, 6000, 0, 0, DOOR_LOST, DOOR_UNKNOWN},
                {SEEN, 6100, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {FACTS, 6200, N, U, DOOR_FORCED_OPEN, DOOR_FORCED},
        };
        WALK_CONTACT(steps);
        WALK_CONTACT(locked);
}

static void test_door_release_between_window_and_retry_is_released(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 100, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 200, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 3200, Y, Y, DOOR_WANTS_RETRY, DOOR_RELEASING},
                {FACTS, 3250, N, U, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {FACTS, 3300, Y, U, DOOR_CLOSED, DOOR_LOCKED},
                {PULSED, 3400, 0, 0, 0, DOOR_LOCKED}, /* the retry was on its way and opens it again */
                {FACTS, 3500, N, U, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
        };
        WALK_CONTACT(steps);
}

static void test_door_pulse_told_very_late_still_counts(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 100, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 200, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 3200, Y, Y, DOOR_WANTS_RETRY, DOOR_RELEASING},
                {FACTS, 3250, N, N, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {FACTS, 3300, Y, Y, DOOR_CLOSED, DOOR_LOCKED},
                {FACTS, 5000, Y, N, 0, DOOR_CLOSING},
                {TICK, 65000, 0, 0, DOOR_OPEN_TOO_LONG, DOOR_LEFT_OPEN},
                {PULSED, 66000, 0, 0, 0, DOOR_LEFT_OPEN}, /* the retry, only now */
                {FACTS, 66100, N, N, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
        };
        WALK_BOTH(steps);
}

static void test_door_release_after_the_deadline_before_the_tick_is_released(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 100, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 200, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 9000, N, U, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {TICK, 9000, 0, 0, 0, DOOR_OPEN},
        };
        WALK_CONTACT(steps);
}

/* Requirement: F1 */
static void test_door_jammed_letting_go_within_the_grace_is_opened(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 0, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 3000, Y, Y, DOOR_WANTS_RETRY, DOOR_RELEASING},
                {PULSED, 3000, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 6000, Y, Y, DOOR_FAILED_TO_OPEN, DOOR_JAMMED},
                {FACTS, 16000, N, N, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {FACTS, 16100, Y, Y, DOOR_CLOSED, DOOR_LOCKED},
                /* Once used, the grace is no longer than any release window. */
                {COMMAND, 100000, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 100000, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 103000, Y, Y, DOOR_WANTS_RETRY, DOOR_RELEASING},
                {PULSED, 103000, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 106000, Y, Y, DOOR_FAILED_TO_OPEN, DOOR_JAMMED},
                {FACTS, 107000, N, N, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {FACTS, 108000, Y, Y, DOOR_CLOSED, DOOR_LOCKED},
                {FACTS, 111000, N, N, DOOR_FORCED_OPEN, DOOR_FORCED},
        };
        WALK_BOTH(steps);
}

/* Requirement: F1 */
static void test_door_jammed_opening_after_the_grace_is_forced(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 0, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 3000, Y, Y, DOOR_WANTS_RETRY, DOOR_RELEASING},
                {PULSED, 3000, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 6000, Y, Y, DOOR_FAILED_TO_OPEN, DOOR_JAMMED},
                {FACTS, 16001, Y, N, 0, DOOR_CLOSING},
                {FACTS, 16050, N, N, DOOR_FORCED_OPEN, DOOR_FORCED},
        };
        WALK_BOTH(steps);
}

/* Requirement: F1 */
static void test_door_opened_without_command_is_forced(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {FACTS, 1000, N, N, DOOR_FORCED_OPEN, DOOR_FORCED},
                {REFUSED, 1100, 0, 0, 0, DOOR_FORCED},
                {TICK, 61000, 0, 0, DOOR_OPEN_TOO_LONG, DOOR_FORCED},
                {TICK, 99000, 0, 0, 0, DOOR_FORCED},
                {FACTS, 99100, Y, N, 0, DOOR_CLOSING},
                {FACTS, 99200, N, N, 0, DOOR_FORCED}, /* still the same opening */
                {FACTS, 99300, Y, Y, DOOR_CLOSED, DOOR_LOCKED},
        };
        WALK_BOTH(steps);
}

static void test_door_latch_letting_go_by_itself_is_closing_and_silent(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {FACTS, 1000, Y, N, 0, DOOR_CLOSING},
                {FACTS, 1100, Y, Y, 0, DOOR_LOCKED},
                {FACTS, 2000, Y, N, 0, DOOR_CLOSING},
                {TICK, 61999, 0, 0, 0, DOOR_CLOSING},
                {TICK, 62000, 0, 0, DOOR_OPEN_TOO_LONG, DOOR_LEFT_OPEN},
                {FACTS, 63000, N, N, DOOR_FORCED_OPEN, DOOR_FORCED},
                {FACTS, 64000, Y, Y, DOOR_CLOSED, DOOR_LOCKED},
        };
        WALK_BOTH(steps);
}

/* Requirement: F1 */
static void test_door_open_too_long_is_reported_once(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 0, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 1000, N, U, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {TICK, 60999, 0, 0, 0, DOOR_OPEN},
                {TICK, 61000, 0, 0, DOOR_OPEN_TOO_LONG, DOOR_LEFT_OPEN},
                {REFUSED, 62000, 0, 0, 0, DOOR_LEFT_OPEN},
                {TICK, 200000, 0, 0, 0, DOOR_LEFT_OPEN},
                {FACTS, 201000, Y, U, DOOR_CLOSED, DOOR_LOCKED},
        };
        WALK_CONTACT(steps);
}

static void test_door_closing_that_never_latches_is_left_open(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 0, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 1000, N, N, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {FACTS, 5000, Y, N, 0, DOOR_CLOSING},
                {FACTS, 6000, N, N, 0, DOOR_OPEN}, /* pulled again before the latch was home */
                {FACTS, 7000, Y, N, 0, DOOR_CLOSING},
                {TICK, 61000, 0, 0, DOOR_OPEN_TOO_LONG, DOOR_LEFT_OPEN},
                {FACTS, 62000, Y, Y, DOOR_CLOSED, DOOR_LOCKED},
        };
        WALK_BOTH(steps);
}

static void test_door_command_in_closing_is_answered_by_released(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 0, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 1000, N, N, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {FACTS, 5000, Y, N, 0, DOOR_CLOSING},
                {COMMAND, 6000, 0, 0, 0, DOOR_RELEASING},
                {TICK, 9000, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 9000, 0, 0, 0, DOOR_RELEASING},
                {TICK, 9000, 0, 0, DOOR_WANTS_LOOK, DOOR_RELEASING},
                {SEEN, 9200, Y, N, DOOR_RELEASED, DOOR_OPEN}, /* nothing left to release */
                {FACTS, 9500, N, N, 0, DOOR_OPEN},            /* OPENED was reported and not CLOSED since */
                {FACTS, 9900, Y, Y, DOOR_CLOSED, DOOR_LOCKED},
        };
        WALK_BOTH(steps);
}

/* Requirement: F12 */
static void test_door_forced_command_on_an_open_door_is_answered(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {FACTS, 100, N, U, DOOR_FORCED_OPEN, DOOR_FORCED},
                {FORCE, 200, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 300, 0, 0, 0, DOOR_RELEASING},
                {TICK, 300, 0, 0, DOOR_WANTS_LOOK, DOOR_RELEASING},
                {SEEN, 310, N, U, DOOR_RELEASED, DOOR_OPEN},
                {FORCE, 400, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 450, N, U, 0, DOOR_RELEASING}, /* before the pulse: no evidence */
                {PULSED, 500, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 500, N, U, DOOR_RELEASED, DOOR_OPEN},
                {FACTS, 600, Y, U, DOOR_CLOSED, DOOR_LOCKED},
        };
        WALK_CONTACT(steps);
}

/* Its closing is told late, as on a bad line: a door that stays shut is not called released.
 * Requirement: F12, F1 */
static void test_door_believed_open_and_shut_in_truth_is_released_by_its_pulse(void **state) {
        static const Step opens[] = {
                {FACTS, 0, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {FACTS, 100, N, U, DOOR_FORCED_OPEN, DOOR_FORCED},
                {FORCE, 200, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 300, 0, 0, 0, DOOR_RELEASING},
                {TICK, 300, 0, 0, DOOR_WANTS_LOOK, DOOR_RELEASING},
                {SEEN, 1000, Y, U, DOOR_CLOSED, DOOR_RELEASING},
                {TICK, 3200, 0, 0, 0, DOOR_RELEASING}, /* the whole window */
                {FACTS, 3300, N, U, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
        };
        static const Step stays_shut[] = {
                {FACTS, 0, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {FACTS, 100, N, U, DOOR_FORCED_OPEN, DOOR_FORCED},
                {FORCE, 200, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 300, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 1000, Y, U, DOOR_CLOSED, DOOR_RELEASING},
                {SEEN, 3300, Y, U, DOOR_WANTS_RETRY, DOOR_RELEASING},
                {PULSED, 3400, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 6400, Y, U, DOOR_FAILED_TO_OPEN, DOOR_JAMMED},
        };
        static const Step unseen[] = {
                {FACTS, 0, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {FACTS, 100, N, U, DOOR_FORCED_OPEN, DOOR_FORCED},
                {FORCE, 200, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 300, 0, 0, 0, DOOR_RELEASING},
                {TICK, 300, 0, 0, DOOR_WANTS_LOOK, DOOR_RELEASING},
                {TICK, 3300, 0, 0, DOOR_LOST, DOOR_UNKNOWN},
        };
        WALK_CONTACT(opens);
        WALK_CONTACT(stays_shut);
        WALK_CONTACT(unseen);
}

/* Requirement: F12 */
static void test_door_forced_command_on_a_door_shut_before_the_pulse_opens_it_again(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 0, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 100, N, N, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {FORCE, 5000, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 5100, Y, N, 0, DOOR_RELEASING},
                {FACTS, 5200, Y, Y, DOOR_CLOSED, DOOR_RELEASING},
                {PULSED, 5300, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 5400, N, N, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
        };
        WALK_BOTH(steps);
}

/* Requirement: F12 */
static void test_door_forced_command_joins_one_under_way(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {FORCE, 10, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 100, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 3100, Y, Y, 0, DOOR_RELEASING}, /* the other pulse is still to come: no retry */
                {PULSED, 4000, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 7000, Y, Y, DOOR_FAILED_TO_OPEN, DOOR_JAMMED},
                /* The second is never sent: the first one's window decides. */
                {COMMAND, 100000, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 100000, 0, 0, 0, DOOR_RELEASING},
                {FORCE, 100010, 0, 0, 0, DOOR_RELEASING},
                {NOT_SENT, 100020, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 103000, Y, Y, DOOR_WANTS_RETRY, DOOR_RELEASING},
                {PULSED, 103000, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 103100, N, U, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
        };
        WALK_CONTACT(steps);
}

static void test_door_command_never_sent_goes_back_silently(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {NOT_SENT, 100, 0, 0, 0, DOOR_LOCKED},
                {FACTS, 200, N, N, DOOR_FORCED_OPEN, DOOR_FORCED}, /* nothing was sent: nobody's command */
                {FORCE, 300, 0, 0, 0, DOOR_RELEASING},
                {NOT_SENT, 400, 0, 0, 0, DOOR_FORCED},
                {FACTS, 500, Y, N, 0, DOOR_CLOSING},
                {COMMAND, 600, 0, 0, 0, DOOR_RELEASING},
                {NOT_SENT, 700, 0, 0, 0, DOOR_CLOSING},
                {NOT_SENT, 710, 0, 0, 0, DOOR_CLOSING}, /* one too many harms nothing */
                {TICK, 60200, 0, 0, DOOR_OPEN_TOO_LONG, DOOR_LEFT_OPEN},
                {FORCE, 60300, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 60400, Y, Y, DOOR_CLOSED, DOOR_RELEASING},
                {NOT_SENT, 60500, 0, 0, 0, DOOR_LOCKED},
        };
        WALK_BOTH(steps);
}

static void test_door_retry_never_sent_is_a_failure(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 0, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 3000, Y, Y, DOOR_WANTS_RETRY, DOOR_RELEASING},
                {NOT_SENT, 3100, 0, 0, DOOR_FAILED_TO_OPEN, DOOR_JAMMED},
                {FACTS, 13000, N, U, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN}, /* the first pulse did happen */
        };
        WALK_CONTACT(steps);
}

/* Requirement: F1 */
static void test_door_sensors_lost_and_found_locked_is_only_found(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {FACTS, 100, Y, U, DOOR_LOST,
                 DOOR_UNKNOWN}, /* one of two silent is not enough to say locked */
                {FACTS, 200, U, U, 0, DOOR_UNKNOWN},
                {FACTS, 300, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 400, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 400, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 500, N, N, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {FACTS, 600, U, U, DOOR_LOST, DOOR_UNKNOWN},
                {FACTS, 9000, Y, Y, DOOR_FOUND,
                 DOOR_LOCKED}, /* the closing was not seen and is not invented */
        };
        WALK_BOTH(steps);
}

static void test_door_found_open_is_what_it_was_before(void **state) {
        static const Step opened[] = {
                {FACTS, 0, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 0, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 1000, N, U, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {FACTS, 2000, U, U, DOOR_LOST, DOOR_UNKNOWN},
                {TICK, 61000, 0, 0, 0, DOOR_UNKNOWN},
                {FACTS, 70000, N, U, DOOR_FOUND, DOOR_OPEN},
                {TICK, 70000, 0, 0, DOOR_OPEN_TOO_LONG, DOOR_LEFT_OPEN}, /* the time went on */
                {FACTS, 71000, U, U, DOOR_LOST, DOOR_UNKNOWN},
                {FACTS, 72000, N, U, DOOR_FOUND, DOOR_LEFT_OPEN},
                {FACTS, 73000, Y, U, DOOR_CLOSED, DOOR_LOCKED},
                {FACTS, 74000, N, U, DOOR_FORCED_OPEN, DOOR_FORCED},
                {FACTS, 75000, U, U, DOOR_LOST, DOOR_UNKNOWN},
                {FACTS, 76000, N, U, DOOR_FOUND, DOOR_FORCED},
                {FACTS, 77000, Y, U, DOOR_CLOSED, DOOR_LOCKED},
        };
        WALK_CONTACT(opened);
}

/* Requirement: F1 */
static void test_door_found_open_at_start_is_left_open_by_somebody(void **state) {
        static const Step steps[] = {
                {TICK, 0, 0, 0, 0, DOOR_UNKNOWN},        {FACTS, 100, N, N, DOOR_FOUND, DOOR_LEFT_OPEN},
                {TICK, 99000, 0, 0, 0, DOOR_LEFT_OPEN},  {FACTS, 99100, Y, N, 0, DOOR_CLOSING},
                {FACTS, 99150, N, N, 0, DOOR_LEFT_OPEN}, {FACTS, 99160, Y, N, 0, DOOR_CLOSING},
                {TICK, 199160, 0, 0, 0, DOOR_CLOSING},   {FACTS, 199200, Y, Y, DOOR_CLOSED, DOOR_LOCKED},
        };
        WALK_BOTH(steps);
}

static void test_door_found_unlatched_at_start_is_closing(void **state) {
        static const Step steps[] = {
                {FACTS, 100, Y, N, DOOR_FOUND, DOOR_CLOSING},
                {FACTS, 200, N, N, DOOR_OPENED,
                 DOOR_OPEN}, /* who unlatched it nobody knows: not called forced */
                {FACTS, 300, Y, N, 0, DOOR_CLOSING},
                {FACTS, 400, Y, Y, DOOR_CLOSED, DOOR_LOCKED},
        };
        WALK_BOTH(steps);
}

/* Requirement: F1 */
static void test_door_found_open_after_a_cut_cable_is_forced(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {FACTS, 100, U, U, DOOR_LOST, DOOR_UNKNOWN},
                {FACTS, 60000, N, N, DOOR_FOUND | DOOR_FORCED_OPEN, DOOR_FORCED},
        };
        WALK_BOTH(steps);
}

/* Requirement: F1 */
static void test_door_sensors_lost_during_a_command_leave_it_unknown(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 0, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 100, U, U, 0, DOOR_RELEASING},
                {TICK, 3000, 0, 0, DOOR_WANTS_LOOK, DOOR_RELEASING},
                {TICK, 5999, 0, 0, 0, DOOR_RELEASING},
                {TICK, 6000, 0, 0, DOOR_LOST, DOOR_UNKNOWN}, /* not retried blindly, not called failed */
                {FACTS, 99000, N, U, DOOR_FOUND, DOOR_OPEN}, /* the command may well have done it */
                {FACTS, 99100, Y, U, DOOR_CLOSED, DOOR_LOCKED},
                {FACTS, 99200, N, U, DOOR_FORCED_OPEN, DOOR_FORCED},
        };
        WALK_CONTACT(steps);
}

static void test_door_sensors_back_within_the_window_answer_the_command(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 50, U, U, 0, DOOR_RELEASING},
                {PULSED, 100, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 2000, N, U, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
        };
        WALK_CONTACT(steps);
}

static void test_door_command_to_an_unknown_door(void **state) {
        static const Step steps[] = {
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {NOT_SENT, 10, 0, 0, 0, DOOR_UNKNOWN},
                {COMMAND, 20, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 30, 0, 0, 0, DOOR_RELEASING},
                {TICK, 3030, 0, 0, DOOR_LOST, DOOR_UNKNOWN}, /* the answer: the outcome is unknown */
                {COMMAND, 4000, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 4000, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 4100, N, N, DOOR_FOUND | DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
        };
        static const Step locked[] = {
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 0, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 100, Y, Y, DOOR_FOUND, DOOR_RELEASING},
                {SEEN, 3000, Y, Y, DOOR_WANTS_RETRY, DOOR_RELEASING},
                {PULSED, 3000, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 6000, Y, Y, DOOR_FAILED_TO_OPEN, DOOR_JAMMED},
                {FACTS, 7000, U, U, DOOR_LOST, DOOR_UNKNOWN},
                {FACTS, 99000, N, N, DOOR_FOUND, DOOR_OPEN}, /* lost within the grace */
        };
        WALK_BOTH(steps);
        WALK_BOTH(locked);
}

static void test_door_command_after_an_unseen_one_has_its_own_grace(void **state) {
        static const Step steps[] = {
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 0, 0, 0, 0, DOOR_RELEASING},
                {TICK, 3000, 0, 0, DOOR_LOST, DOOR_UNKNOWN},
                {COMMAND, 100000, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 100000, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 100100, Y, U, DOOR_FOUND, DOOR_RELEASING},
                {SEEN, 103000, Y, Y, DOOR_WANTS_RETRY, DOOR_RELEASING},
                {NOT_SENT, 103100, 0, 0, DOOR_FAILED_TO_OPEN, DOOR_JAMMED},
                {FACTS, 112000, N, U, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {FACTS, 113000, Y, U, DOOR_CLOSED, DOOR_LOCKED},
                {FACTS, 200000, N, U, DOOR_FORCED_OPEN, DOOR_FORCED},
        };
        WALK_CONTACT(steps);
}

static void test_door_retry_never_sent_to_a_silent_door_leaves_it_unknown(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, U, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 0, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 0, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 3000, Y, Y, DOOR_WANTS_RETRY, DOOR_RELEASING},
                {FACTS, 3050, U, U, 0, DOOR_RELEASING},
                {NOT_SENT, 3100, 0, 0, DOOR_LOST, DOOR_UNKNOWN},
                {FACTS, 99000, N, U, DOOR_FOUND, DOOR_OPEN}, /* the first pulse may have done it */
        };
        WALK_CONTACT(steps);
}

static void test_door_shut_unseen_during_a_command_is_not_reported_closed(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 100, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 200, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 250, N, N, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {FACTS, 1000, U, U, DOOR_LOST, DOOR_UNKNOWN},
                {COMMAND, 50000, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 50100, Y, Y, DOOR_FOUND, DOOR_RELEASING},
                {PULSED, 50200, 0, 0, 0, DOOR_RELEASING},
                {FACTS, 50250, N, N, DOOR_RELEASED | DOOR_OPENED, DOOR_OPEN},
                {FACTS, 51000, Y, Y, DOOR_CLOSED, DOOR_LOCKED},
        };
        WALK_BOTH(steps);
}

static void test_door_found_open_by_command_has_a_time_of_its_own(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, DOOR_FOUND, DOOR_LOCKED},
                {COMMAND, 100, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 200, 0, 0, 0, DOOR_RELEASING},
                {SEEN, 3200, Y, Y, DOOR_WANTS_RETRY, DOOR_RELEASING},
                {FACTS, 3250, Y, N, DOOR_RELEASED, DOOR_OPEN},
                {FACTS, 3300, Y, Y, DOOR_CLOSED, DOOR_LOCKED},
                {FACTS, 5000, Y, N, 0, DOOR_CLOSING},
                {TICK, 65000, 0, 0, DOOR_OPEN_TOO_LONG, DOOR_LEFT_OPEN},
                {PULSED, 66000, 0, 0, 0, DOOR_LEFT_OPEN},
                {FACTS, 66100, U, U, DOOR_LOST, DOOR_UNKNOWN},
                {FACTS, 66200, N, N, DOOR_FOUND, DOOR_OPEN},
                {TICK, 126199, 0, 0, 0, DOOR_OPEN},
                {TICK, 126200, 0, 0, DOOR_OPEN_TOO_LONG, DOOR_LEFT_OPEN},
        };
        WALK_BOTH(steps);
}

/* Requirement: F1 */
static void test_door_without_sensors_is_never_more_than_unknown(void **state) {
        static const Step steps[] = {
                {FACTS, 0, Y, Y, 0, DOOR_UNKNOWN},           {COMMAND, 10, 0, 0, 0, DOOR_RELEASING},
                {PULSED, 20, 0, 0, 0, DOOR_RELEASING},       {FACTS, 30, N, N, 0, DOOR_RELEASING},
                {TICK, 3020, 0, 0, DOOR_LOST, DOOR_UNKNOWN},
        };
        walk(false, false, steps, ARRAY_SIZE(steps));
}

static void test_door_next_deadline_is_the_moment_of_the_next_change(void **state) {
        Door d;

        door_init(&d, true, false, times);
        assert_true(door_next_deadline(&d) == USEC_INFINITY);
        door_facts(&d, TRI_YES, TRI_UNKNOWN, 0);
        assert_true(door_next_deadline(&d) == USEC_INFINITY);
        assert_true(door_command(&d, false));
        assert_true(door_next_deadline(&d) == USEC_INFINITY);
        door_pulsed(&d, 1000);
        assert_int_equal(door_next_deadline(&d), 1000 + times.release_usec);
        door_facts(&d, TRI_NO, TRI_UNKNOWN, 2000);
        assert_int_equal(door_next_deadline(&d), 2000 + times.open_max_usec);
        door_facts(&d, TRI_YES, TRI_UNKNOWN, 3000);
        assert_true(door_next_deadline(&d) == USEC_INFINITY);
}

/* What was remembered before the daemon stopped, and what the first sensor values make of it. */
static void test_door_remembered_over_a_restart(void **state) {
        static const struct {
                DoorSeen seen;
                Tri closed;
                unsigned happened;
                DoorState state;
                DoorSeen then;
        } rows[] = {
                {DOOR_SEEN_NEVER, TRI_YES, DOOR_FOUND, DOOR_LOCKED, DOOR_SEEN_SHUT},
                {DOOR_SEEN_NEVER, TRI_NO, DOOR_FOUND, DOOR_LEFT_OPEN, DOOR_SEEN_OPEN},
                {DOOR_SEEN_SHUT, TRI_YES, DOOR_FOUND, DOOR_LOCKED, DOOR_SEEN_SHUT},
                {DOOR_SEEN_SHUT, TRI_NO, DOOR_FOUND | DOOR_FORCED_OPEN, DOOR_FORCED, DOOR_SEEN_FORCED},
                {DOOR_SEEN_OPEN, TRI_YES, DOOR_FOUND, DOOR_LOCKED, DOOR_SEEN_SHUT},
                {DOOR_SEEN_OPEN, TRI_NO, DOOR_FOUND, DOOR_OPEN, DOOR_SEEN_OPEN},
                {DOOR_SEEN_FORCED, TRI_YES, DOOR_FOUND, DOOR_LOCKED, DOOR_SEEN_SHUT},
                {DOOR_SEEN_FORCED, TRI_NO, DOOR_FOUND, DOOR_FORCED, DOOR_SEEN_FORCED},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                Door d;
                door_init(&d, true, false, (DoorTimes){.release_usec = 500, .open_max_usec = 10000});
                door_remember(&d, rows[i].seen);
                assert_int_equal(door_seen_last(&d), rows[i].seen);
                assert_int_equal(door_facts(&d, rows[i].closed, TRI_UNKNOWN, 1000), rows[i].happened);
                assert_int_equal(d.state, rows[i].state);
                assert_int_equal(door_seen_last(&d), rows[i].then);
                /* What it says later follows from that. */
                if (rows[i].closed == TRI_NO)
                        assert_int_equal(door_facts(&d, TRI_YES, TRI_UNKNOWN, 2000), DOOR_CLOSED);
        }
}

/* A command that nobody saw the end of: the next start does not call its opening forced. */
static void test_door_remembers_nothing_while_a_command_is_unseen(void **state) {
        Door d;

        door_init(&d, true, false, (DoorTimes){.release_usec = 500, .open_max_usec = 10000});
        (void)door_facts(&d, TRI_YES, TRI_UNKNOWN, 0);
        assert_true(door_command(&d, false));
        door_pulsed(&d, 10);
        (void)door_facts(&d, TRI_UNKNOWN, TRI_UNKNOWN, 20);
        assert_int_equal(door_tick(&d, USEC_PER_SEC), DOOR_WANTS_LOOK);
        assert_int_equal(door_tick(&d, USEC_PER_SEC + DOOR_UNSEEN_USEC), DOOR_LOST);
        assert_int_equal(door_seen_last(&d), DOOR_SEEN_NEVER);
}

/* Nor one of a latch that lets go late: as long as it would belong to the command without a restart. */
static void test_door_remembers_nothing_while_a_jammed_latch_may_let_go(void **state) {
        const uint64_t until = 1000 + DOOR_LATE_USEC;
        Door d;

        door_init(&d, true, false, (DoorTimes){.release_usec = 500, .open_max_usec = 10000});
        (void)door_facts(&d, TRI_YES, TRI_UNKNOWN, 0);
        assert_true(door_command(&d, false));
        door_pulsed(&d, 0);
        assert_int_equal(door_seen(&d, TRI_YES, TRI_UNKNOWN, 500), DOOR_WANTS_RETRY);
        door_pulsed(&d, 500);
        assert_int_equal(door_seen(&d, TRI_YES, TRI_UNKNOWN, 1000), DOOR_FAILED_TO_OPEN);
        assert_int_equal(door_seen_last(&d), DOOR_SEEN_NEVER);
        assert_int_equal(door_tick(&d, until), 0);
        assert_int_equal(door_seen_last(&d), DOOR_SEEN_NEVER);
        uint64_t next = door_next_deadline(&d);
        assert_true(next > until && next <= until + USEC_PER_SEC);
        assert_int_equal(door_tick(&d, next), 0);
        assert_int_equal(d.state, DOOR_JAMMED);
        assert_int_equal(door_seen_last(&d), DOOR_SEEN_SHUT);
        assert_true(door_next_deadline(&d) == USEC_INFINITY);
        assert_int_equal(door_facts(&d, TRI_NO, TRI_UNKNOWN, next + 1), DOOR_FORCED_OPEN);
}

static void test_door_names_are_read_back(void **state) {
        static const char *const names[DOOR_STATE_MAX] = {"unknown", "locked", "releasing", "open",
                                                          "closing", "jammed", "forced",    "left_open"};
        DoorState s = DOOR_STATE_MAX;

        for (int i = 0; i < DOOR_STATE_MAX; i++) {
                assert_string_equal(door_state_to_string((DoorState)i), names[i]);
                assert_int_equal(door_state_from_string(names[i], &s), 0);
                assert_int_equal(s, i);
        }
        assert_int_equal(door_state_from_string("ajar", &s), -EINVAL);
        assert_int_equal(door_state_from_string(NULL, &s), -EINVAL);
        assert_int_equal(s, DOOR_LEFT_OPEN);
        assert_string_equal(door_state_to_string(DOOR_STATE_MAX), "invalid");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_door_contact_only_opens_and_closes),
                cmocka_unit_test(test_door_latch_only_opens_and_closes),
                cmocka_unit_test(test_door_with_both_sensors_tells_released_from_opened),
                cmocka_unit_test(test_door_bolt_thrown_while_open_is_open),
                cmocka_unit_test(test_door_leaned_on_is_released_but_not_opened),
                cmocka_unit_test(test_door_springing_back_is_released_then_closed),
                cmocka_unit_test(test_door_bouncing_contact_after_release_is_not_forced),
                cmocka_unit_test(test_door_that_does_not_open_is_retried_once_then_jammed),
                cmocka_unit_test(test_door_is_called_failed_only_after_a_look),
                cmocka_unit_test(test_door_opening_while_the_look_is_awaited_is_released),
                cmocka_unit_test(test_door_that_nobody_could_see_is_unknown_not_failed_and_not_forced),
                cmocka_unit_test(test_door_release_between_window_and_retry_is_released),
                cmocka_unit_test(test_door_pulse_told_very_late_still_counts),
                cmocka_unit_test(test_door_release_after_the_deadline_before_the_tick_is_released),
                cmocka_unit_test(test_door_jammed_letting_go_within_the_grace_is_opened),
                cmocka_unit_test(test_door_jammed_opening_after_the_grace_is_forced),
                cmocka_unit_test(test_door_opened_without_command_is_forced),
                cmocka_unit_test(test_door_latch_letting_go_by_itself_is_closing_and_silent),
                cmocka_unit_test(test_door_open_too_long_is_reported_once),
                cmocka_unit_test(test_door_closing_that_never_latches_is_left_open),
                cmocka_unit_test(test_door_command_in_closing_is_answered_by_released),
                cmocka_unit_test(test_door_forced_command_on_an_open_door_is_answered),
                cmocka_unit_test(test_door_believed_open_and_shut_in_truth_is_released_by_its_pulse),
                cmocka_unit_test(test_door_forced_command_on_a_door_shut_before_the_pulse_opens_it_again),
                cmocka_unit_test(test_door_forced_command_joins_one_under_way),
                cmocka_unit_test(test_door_command_never_sent_goes_back_silently),
                cmocka_unit_test(test_door_retry_never_sent_is_a_failure),
                cmocka_unit_test(test_door_sensors_lost_and_found_locked_is_only_found),
                cmocka_unit_test(test_door_found_open_is_what_it_was_before),
                cmocka_unit_test(test_door_found_open_at_start_is_left_open_by_somebody),
                cmocka_unit_test(test_door_found_unlatched_at_start_is_closing),
                cmocka_unit_test(test_door_found_open_after_a_cut_cable_is_forced),
                cmocka_unit_test(test_door_sensors_lost_during_a_command_leave_it_unknown),
                cmocka_unit_test(test_door_sensors_back_within_the_window_answer_the_command),
                cmocka_unit_test(test_door_command_to_an_unknown_door),
                cmocka_unit_test(test_door_command_after_an_unseen_one_has_its_own_grace),
                cmocka_unit_test(test_door_retry_never_sent_to_a_silent_door_leaves_it_unknown),
                cmocka_unit_test(test_door_shut_unseen_during_a_command_is_not_reported_closed),
                cmocka_unit_test(test_door_found_open_by_command_has_a_time_of_its_own),
                cmocka_unit_test(test_door_without_sensors_is_never_more_than_unknown),
                cmocka_unit_test(test_door_next_deadline_is_the_moment_of_the_next_change),
                cmocka_unit_test(test_door_remembered_over_a_restart),
                cmocka_unit_test(test_door_remembers_nothing_while_a_command_is_unseen),
                cmocka_unit_test(test_door_remembers_nothing_while_a_jammed_latch_may_let_go),
                cmocka_unit_test(test_door_names_are_read_back),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
