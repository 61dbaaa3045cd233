/* SPDX-License-Identifier: Apache-2.0 */
/* How unlike utterances are: the same at another pace is the same, another one is not. */
#include "voice/compare.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static Utterance a, b, c;

/* Something that moves smoothly, as cepstra do; pace: how fast it is said. */
static void say(Utterance *ret, unsigned phrase, double seconds, double pace) {
        *ret = (Utterance){.n = (unsigned)(seconds / pace * 62.5)};
        assert_in_range(ret->n, UTTERANCE_MIN, UTTERANCE_MAX);
        for (unsigned i = 0; i < ret->n; i++)
                for (unsigned k = 0; k < UTTERANCE_COEFFICIENTS; k++)
                        ret->cepstra[i][k] =
                                (int16_t)(1500 * sin((i * pace / 62.5 + phrase) * (3 + k + phrase)) /
                                          (k + 1));
}

static void test_an_utterance_is_like_itself(void **state) {
        static const double seconds[] = {0.4, 1, 2, 4};

        for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
                say(&a, 1, seconds[i], 1);
                assert_int_equal(compare_utterances(&a, &a), 0);
        }
}

static void test_the_pace_matters_little_and_the_phrase_much(void **state) {
        static const double paces[] = {0.8, 0.9, 1.1, 1.25};

        say(&a, 1, 2, 1);
        say(&c, 2, 2, 1);
        for (size_t i = 0; i < ARRAY_SIZE(paces); i++) {
                say(&b, 1, 2, paces[i]);
                assert_true(compare_utterances(&a, &b) < 20);
                assert_true(compare_utterances(&c, &b) > 60);
        }
}

static void test_it_is_the_same_both_ways(void **state) {
        for (unsigned i = 0; i < 6; i++) {
                say(&a, i % 3, 1.5, 1);
                say(&b, i % 2, 1.2, 1.1);
                assert_int_equal(compare_utterances(&a, &b), compare_utterances(&b, &a));
        }
}

/* By hand: one frame against many that are 3 and 4 away in two coefficients is 5 away. */
static void test_a_distance_is_the_mean_over_the_way(void **state) {
        a = (Utterance){.n = 100};
        b = (Utterance){.n = 100};
        for (unsigned i = 0; i < 100; i++) {
                b.cepstra[i][0] = 3 * UTTERANCE_SCALE;
                b.cepstra[i][11] = 4 * UTTERANCE_SCALE;
        }
        assert_int_equal(compare_utterances(&a, &b), 500);
        b.n = 70;
        assert_int_equal(compare_utterances(&a, &b), 500);
}

static void test_far_is_the_end_of_the_scale(void **state) {
        a = (Utterance){.n = UTTERANCE_MAX};
        b = (Utterance){.n = UTTERANCE_MAX};
        for (unsigned i = 0; i < UTTERANCE_MAX; i++)
                for (unsigned k = 0; k < UTTERANCE_COEFFICIENTS; k++) {
                        a.cepstra[i][k] = INT16_MAX;
                        b.cepstra[i][k] = INT16_MIN;
                }
        assert_int_equal(compare_utterances(&a, &b), COMPARE_FAR);
}

static void test_one_that_is_twice_as_long_is_another_one(void **state) {
        a = (Utterance){.n = 50};
        b = (Utterance){.n = 100};
        assert_int_equal(compare_utterances(&a, &b), 0);
        b.n = 101;
        assert_int_equal(compare_utterances(&a, &b), COMPARE_FAR);
        assert_int_equal(compare_utterances(&b, &a), COMPARE_FAR);
}

static void test_of_several_the_mean_counts(void **state) {
        static Utterance known[3];

        for (unsigned i = 0; i < 3; i++) {
                known[i] = (Utterance){.n = 60};
                for (unsigned k = 0; k < 60; k++)
                        known[i].cepstra[k][2] = (int16_t)(i * UTTERANCE_SCALE);
        }
        a = (Utterance){.n = 60};
        assert_int_equal(compare_with(&a, known, 3), 100);
        assert_int_equal(compare_with(&a, known, 1), 0);
        assert_int_equal(compare_with(&a, known, 0), COMPARE_FAR);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_an_utterance_is_like_itself),
                cmocka_unit_test(test_the_pace_matters_little_and_the_phrase_much),
                cmocka_unit_test(test_it_is_the_same_both_ways),
                cmocka_unit_test(test_a_distance_is_the_mean_over_the_way),
                cmocka_unit_test(test_far_is_the_end_of_the_scale),
                cmocka_unit_test(test_one_that_is_twice_as_long_is_another_one),
                cmocka_unit_test(test_of_several_the_mean_counts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
