/* SPDX-License-Identifier: Apache-2.0 */
#include "core/nearest.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_distance_of_known_places(void **state) {
        static const struct {
                const char *what;
                double a[2], b[2], metres, within;
        } cases[] = {
                {"the same", {52.525, 13.369}, {52.525, 13.369}, 0, 0.001},
                {"across the street", {52.5250, 13.3690}, {52.5251, 13.3690}, 11.1, 0.1},
                {"Berlin to Munich", {52.5251, 13.3694}, {48.1402, 11.5600}, 504000, 3000},
                {"Shanghai to Beijing", {31.2304, 121.4737}, {39.9042, 116.4074}, 1067000, 6000},
                {"over the date line", {-16.8, 179.99}, {-16.8, -179.99}, 2129, 5},
                {"over the pole", {89.9, 0}, {89.9, 180}, 22239, 20},
                {"antipodes", {10, 20}, {-10, -160}, 20015115, 100},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const double *a = cases[i].a, *b = cases[i].b;
                double there = nearest_distance(a[0], a[1], b[0], b[1]);
                if (fabs(there - cases[i].metres) > cases[i].within)
                        fail_msg("%s: %f m", cases[i].what, there);
                assert_true(fabs(there - nearest_distance(b[0], b[1], a[0], a[1])) < 0.001);
        }
}

static const FreeKind small[] = {{1, TEMPERATURE_AMBIENT, false, 3}};
static const FreeKind all_but_small[] = {{1, TEMPERATURE_AMBIENT, false, 0},
                                         {2, TEMPERATURE_AMBIENT, false, 1},
                                         {3, TEMPERATURE_AMBIENT, true, 1},
                                         {2, TEMPERATURE_CHILLED, false, 1}};
static const FreeKind full[] = {{1, TEMPERATURE_AMBIENT, false, 0}, {3, TEMPERATURE_AMBIENT, true, 0}};

/* From north to south along one meridian; the residence is at 52.50. */
static const NearbyCabinet community[] = {
        {"C-1", 52.53, 13.4, true, small, ARRAY_SIZE(small)},
        {"C-2", 52.52, 13.4, true, all_but_small, ARRAY_SIZE(all_but_small)},
        {"C-3", 52.51, 13.4, true, full, ARRAY_SIZE(full)},
        {"C-4", 52.501, 13.4, false, small, ARRAY_SIZE(small)},
        {"C-5", NAN, NAN, true, small, ARRAY_SIZE(small)},
        {"C-6", 52.495, 13.4, true, small, ARRAY_SIZE(small)},
        {"C-7", 52.50, 13.4, true, NULL, 0},
};

/* Requirement: E6 */
static void test_nearest_that_fits_comes_first(void **state) {
        static const struct {
                const char *what;
                NearestRequest request;
                const char *order;
        } cases[] = {
                {"small", {1, false, TEMPERATURE_AMBIENT, 52.50, 13.4}, "621"},
                {"small, from the north", {1, false, TEMPERATURE_AMBIENT, 52.60, 13.4}, "126"},
                {"medium: only larger ones", {2, false, TEMPERATURE_AMBIENT, 52.50, 13.4}, "2"},
                {"accessible", {1, true, TEMPERATURE_AMBIENT, 52.50, 13.4}, "2"},
                {"chilled", {1, false, TEMPERATURE_CHILLED, 52.50, 13.4}, "2"},
                {"chilled and accessible", {1, true, TEMPERATURE_CHILLED, 52.50, 13.4}, ""},
                {"chilled and large", {3, false, TEMPERATURE_CHILLED, 52.50, 13.4}, ""},
                {"frozen", {1, false, TEMPERATURE_FROZEN, 52.50, 13.4}, ""},
                {"too large for all", {4, false, TEMPERATURE_AMBIENT, 52.50, 13.4}, ""},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                NearestChoice choices[ARRAY_SIZE(community)];
                char order[ARRAY_SIZE(community) + 1] = "";
                size_t n = nearest_choose(community, ARRAY_SIZE(community), &cases[i].request, choices);
                for (size_t k = 0; k < n; k++) {
                        order[k] = community[choices[k].cabinet].number[2];
                        assert_true(k == 0 || choices[k - 1].metres <= choices[k].metres);
                }
                if (strcmp(order, cases[i].order) != 0)
                        fail_msg("%s: \"%s\" instead of \"%s\"", cases[i].what, order, cases[i].order);
        }
}

static void test_nearest_of_equally_near_ones_is_the_first(void **state) {
        const NearbyCabinet two[] = {{"A", 1, 1, true, small, 1}, {"B", 1, 1, true, small, 1}};
        const NearestRequest request = {1, false, TEMPERATURE_AMBIENT, 2, 2};
        NearestChoice choices[2];

        assert_int_equal(nearest_choose(two, 2, &request, choices), 2);
        assert_int_equal(choices[0].cabinet, 0);
        assert_int_equal(nearest_choose(NULL, 0, &request, choices), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_distance_of_known_places),
                cmocka_unit_test(test_nearest_that_fits_comes_first),
                cmocka_unit_test(test_nearest_of_equally_near_ones_is_the_first),
        };

        return cmocka_run_group_tests_name("nearest", tests, NULL, NULL);
}
