/* SPDX-License-Identifier: Apache-2.0 */
#include "core/bucket.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const BucketRules rules = {.burst = 3, .each_usec = 100};

static void test_bucket_burst_passes_and_then_one_each_time(void **state) {
        Bucket p = {0};

        for (int i = 0; i < 3; i++)
                assert_true(bucket_take(&p, &rules, 1000));
        assert_false(bucket_take(&p, &rules, 1000));
        assert_int_equal(bucket_next(&p, &rules, 1000), 1100);
        assert_false(bucket_take(&p, &rules, 1099));
        assert_true(bucket_take(&p, &rules, 1100));
        assert_false(bucket_take(&p, &rules, 1199));
        assert_true(bucket_take(&p, &rules, 1200));
}

static void test_bucket_rest_refills_up_to_the_burst_and_no_further(void **state) {
        Bucket p = {0};

        for (int i = 0; i < 3; i++)
                assert_true(bucket_take(&p, &rules, 1000));
        assert_int_equal(bucket_next(&p, &rules, 1000000), 1000000);
        for (int i = 0; i < 3; i++)
                assert_true(bucket_take(&p, &rules, 1000000));
        assert_false(bucket_take(&p, &rules, 1000000));
}

static void test_bucket_in_the_long_run_is_what_the_rules_say(void **state) {
        Bucket p = {0};
        unsigned n = 0;

        for (uint64_t t = 1; t <= 100000; t++)
                n += bucket_take(&p, &rules, t);
        assert_in_range(n, 1000, 1003);
}

static void test_bucket_refused_ones_cost_nothing(void **state) {
        Bucket p = {0};

        for (int i = 0; i < 1000; i++)
                (void)bucket_take(&p, &rules, 1000);
        assert_true(bucket_take(&p, &rules, 1100));
}

/* CLOCK_BOOTTIME does not, but two readings of one turn may be passed on in the wrong order. */
static void test_bucket_time_that_goes_back_gives_nothing(void **state) {
        Bucket p = {0};

        for (int i = 0; i < 3; i++)
                assert_true(bucket_take(&p, &rules, 1000));
        assert_false(bucket_take(&p, &rules, 500));
        assert_false(bucket_take(&p, &rules, 1099));
        assert_true(bucket_take(&p, &rules, 1100));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bucket_burst_passes_and_then_one_each_time),
                cmocka_unit_test(test_bucket_rest_refills_up_to_the_burst_and_no_further),
                cmocka_unit_test(test_bucket_in_the_long_run_is_what_the_rules_say),
                cmocka_unit_test(test_bucket_refused_ones_cost_nothing),
                cmocka_unit_test(test_bucket_time_that_goes_back_gives_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
