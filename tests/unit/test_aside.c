/* SPDX-License-Identifier: Apache-2.0 */
/* Events that were refused: which of them is tried when, and in which order. */
#include "sync/aside.h"
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static int set_up(void **state) {
        Asides *a = calloc(1, sizeof(*a));

        a->all = calloc(ASIDE_MAX, sizeof(*a->all));
        *state = a;
        return 0;
}

static int tear_down(void **state) {
        Asides *a = *state;

        free(a->all);
        free(a);
        return 0;
}

/* As the drain does it: queued, and handed over. */
static uint64_t try_next(Asides *a, uint64_t now) {
        Aside *entry = aside_next(a, now);

        if (!entry)
                return 0;
        entry->state = ASIDE_QUEUED;
        aside_left(a, true);
        return entry->sequence;
}

static void refuse(Asides *a, uint64_t sequence, const char *type, uint64_t now) {
        AsideTopic *t = aside_block(a, type, false, "Not authorized", now);

        assert_non_null(t);
        assert_true(aside_add(a, sequence, t));
}

/* Requirement: B4 */
static void test_one_of_each_topic_is_tried_at_growing_distance(void **state) {
        Asides *a = *state;
        uint64_t now = USEC_PER_SEC, waits[12], first = 0;

        refuse(a, 7, "x", now);
        refuse(a, 5, "x", now);
        refuse(a, 6, "y", now);
        refuse(a, 5, "x", now); /* twice is once */
        assert_int_equal(a->n, 3);
        assert_null(aside_next(a, now));
        for (size_t i = 0; i < 12; i++) {
                uint64_t due = aside_next_deadline(a);
                waits[i] = due - now;
                now = due;
                uint64_t s1 = try_next(a, now), s2 = try_next(a, now);
                assert_int_equal(s1, 5); /* the oldest of each */
                assert_int_equal(s2, 6);
                assert_int_equal(try_next(a, now), 0);
                aside_find(a, 5)->state = aside_find(a, 6)->state = ASIDE_KEPT;
                refuse(a, 5, "x", now);
                refuse(a, 6, "y", now);
                assert_true(waits[i] >= first);
                first = waits[i];
        }
        assert_int_equal(waits[0], 2 * USEC_PER_SEC);
        assert_int_equal(waits[1], 4 * USEC_PER_SEC);
        assert_int_equal(waits[11], 15 * 60 * USEC_PER_SEC);
}

/* Requirement: B4 */
static void test_delivered_one_frees_its_topic_and_the_rest_follows_in_order(void **state) {
        Asides *a = *state;

        for (uint64_t s = 30; s > 20; s--)
                refuse(a, s, s % 2 ? "odd" : "even", 0);
        uint64_t now = aside_next_deadline(a);
        assert_int_equal(try_next(a, now), 21);
        assert_int_equal(try_next(a, now), 22);
        assert_true(aside_delivered(a, aside_find(a, 21)));
        assert_null(aside_find(a, 21));
        assert_null(aside_blocked(a, "odd"));
        assert_non_null(aside_blocked(a, "even"));
        for (uint64_t s = 23; s < 30; s += 2)
                assert_int_equal(try_next(a, now), s);
        assert_int_equal(try_next(a, now), 0);
        assert_false(aside_delivered(a, aside_find(a, 23)));
        assert_int_equal(a->n_done, 2);
        aside_forget_done(a);
        assert_int_equal(a->n, 8);
        /* What was under way with the link is tried again. */
        aside_link(a, now);
        assert_int_equal(try_next(a, now), 22);
        assert_int_equal(try_next(a, now), 25);
}

static void test_what_did_not_leave_is_next_again(void **state) {
        Asides *a = *state;

        refuse(a, 1, "x", 0);
        aside_link(a, 9);
        Aside *entry = aside_next(a, 9);
        entry->state = ASIDE_QUEUED;
        aside_left(a, false);
        assert_ptr_equal(aside_next(a, 9), entry);
}

static void test_bounds(void **state) {
        Asides *a = *state;
        char type[16];

        for (uint64_t s = 1; s <= ASIDE_MAX; s++) {
                snprintf(type, sizeof(type), "t%u", (unsigned)(s % ASIDE_TOPICS));
                refuse(a, s, type, 0);
        }
        assert_false(aside_add(a, ASIDE_MAX + 1, aside_blocked(a, "t1")));
        assert_null(aside_block(a, "another", false, "", 0));
        /* A topic that is well again and has nothing left makes room for another. */
        for (size_t i = 0; i < a->n; i++)
                if (a->all[i].sequence % ASIDE_TOPICS == 1)
                        (void)aside_delivered(a, &a->all[i]);
        aside_forget_done(a);
        assert_null(aside_blocked(a, "t1"));
        assert_non_null(aside_block(a, "another", true, "", 0));
        assert_true(aside_add(a, 5000, aside_blocked(a, "another")));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(test_one_of_each_topic_is_tried_at_growing_distance),
                TEST(test_delivered_one_frees_its_topic_and_the_rest_follows_in_order),
                TEST(test_what_did_not_leave_is_next_again),
                TEST(test_bounds),
        };

        return cmocka_run_group_tests_name("aside", tests, NULL, NULL);
}
