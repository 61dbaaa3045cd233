/* SPDX-License-Identifier: Apache-2.0 */
/* One small cabinet; each row of a table changes what is known of a position or what is asked for. */
#include "core/fit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static Size sizes[] = {{.name = (char *)"L", .ordinal = 30},
                       {.name = (char *)"S", .ordinal = 10},
                       {.name = (char *)"M", .ordinal = 20}};
enum { L, S, M };

/* Slots 0 and 1: small, the first accessible. 2: medium, shared by two. 3: medium. 4: large, accessible.
 * 5: small, chilled. */
static Slot slots[] = {
        {.size = S, .accessible = true, .first_position = 0, .n_positions = 1},
        {.size = S, .first_position = 1, .n_positions = 1},
        {.size = M, .first_position = 2, .n_positions = 2},
        {.size = M, .first_position = 4, .n_positions = 1},
        {.size = L, .accessible = true, .first_position = 5, .n_positions = 1},
        {.size = S, .temperature = TEMPERATURE_CHILLED, .first_position = 6, .n_positions = 1},
};
static Position positions[] = {
        {.slot = 0, .number = 1}, {.slot = 1, .number = 1}, {.slot = 2, .number = 1},
        {.slot = 2, .number = 2}, {.slot = 3, .number = 1}, {.slot = 4, .number = 1},
        {.slot = 5, .number = 1},
};
#define POSITIONS ARRAY_SIZE(positions)
enum { S_ACCESSIBLE, S_PLAIN, M_SHARED_1, M_SHARED_2, M_PLAIN, L_ACCESSIBLE, S_CHILLED, NONE = -1 };

static const Cabinet cabinet = {
        .sizes = sizes,
        .slots = slots,
        .positions = positions,
        .n_sizes = ARRAY_SIZE(sizes),
        .n_slots = ARRAY_SIZE(slots),
        .n_positions = POSITIONS,
};

static const PositionFacts free_facts = {.in_service = true, .board_online = true, .occupied = TRI_UNKNOWN};

static int choose(const PositionFacts *facts, FitRequest request) {
        int position = NONE;
        Refusal r = fit_choose(&cabinet, facts, &request, &position);

        assert_int_equal(r, position == NONE ? LOCKER_E_NO_FREE_POSITION : REFUSAL_NONE);
        return position;
}

static void all_free(PositionFacts facts[POSITIONS]) {
        for (size_t i = 0; i < POSITIONS; i++)
                facts[i] = free_facts;
}

/* Requirement: F2 */
static void test_fit_free_needs_ledger_and_sensors_to_agree(void **state) {
        static const struct {
                PositionFacts facts;
                bool is_free;
        } rows[] = {
                {{.in_service = true, .board_online = true, .occupied = TRI_UNKNOWN}, true},
                {{.in_service = true, .board_online = true, .occupied = TRI_NO, .has_presence = true}, true},
                {{.in_service = true, .board_online = true, .occupied = TRI_YES, .has_presence = true},
                 false},
                /* The sensor that is there does not answer. */
                {{.in_service = true, .board_online = true, .occupied = TRI_UNKNOWN, .has_presence = true},
                 false},
                {{.in_service = true, .board_online = true, .occupied = TRI_YES}, false},
                {{.in_service = true, .board_online = true, .taken = true}, false},
                {{.in_service = true, .board_online = true, .held = true}, false},
                {{.in_service = true, .board_online = true, .tried = true}, false},
                {{.in_service = true, .board_online = true, .inner_unlocked = true}, false},
                {{.in_service = true, .board_online = false}, false},
                {{.in_service = false, .board_online = true}, false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (fit_is_free(&rows[i].facts) != rows[i].is_free)
                        fail_msg("row %zu", i);
}

/* Requirement: A2, F7 */
static void test_fit_chooses_the_smallest_that_fits_the_request(void **state) {
        static const struct {
                FitRequest request;
                int position;
        } rows[] = {
                {{.min_ordinal = 10}, S_PLAIN},
                {{.min_ordinal = 10, .allow_larger = true}, S_PLAIN},
                {{.min_ordinal = 10, .accessible = true}, S_ACCESSIBLE},
                {{.min_ordinal = 20}, M_SHARED_1},
                {{.min_ordinal = 20, .accessible = true}, NONE},
                {{.min_ordinal = 20, .accessible = true, .allow_larger = true}, L_ACCESSIBLE},
                {{.min_ordinal = 30}, L_ACCESSIBLE},
                {{.min_ordinal = 31, .allow_larger = true}, NONE},
                {{.min_ordinal = 15}, NONE}, /* between two sizes: only larger ones hold it */
                {{.min_ordinal = 15, .allow_larger = true}, M_SHARED_1},
                {{.min_ordinal = 10, .temperature = TEMPERATURE_CHILLED}, S_CHILLED},
                {{.min_ordinal = 20, .temperature = TEMPERATURE_CHILLED, .allow_larger = true}, NONE},
                {{.min_ordinal = 10, .temperature = TEMPERATURE_FROZEN, .allow_larger = true}, NONE},
        };
        PositionFacts facts[POSITIONS];

        all_free(facts);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (choose(facts, rows[i].request) != rows[i].position)
                        fail_msg("row %zu: %d", i, choose(facts, rows[i].request));
}

/* Requirement: F7 */
static void test_fit_filling_up_leaves_the_accessible_of_a_size_for_last(void **state) {
        static const int order[] = {S_PLAIN, S_ACCESSIBLE, M_SHARED_1, M_SHARED_2,
                                    M_PLAIN, L_ACCESSIBLE, NONE};
        PositionFacts facts[POSITIONS];

        all_free(facts);
        for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
                int position = choose(facts, (FitRequest){.min_ordinal = 10, .allow_larger = true});

                assert_int_equal(position, order[i]);
                if (position == NONE)
                        break;
                facts[position].taken = true;
                for (size_t k = 0; k < POSITIONS; k++)
                        facts[k].slot_load += positions[k].slot == positions[position].slot;
        }
}

/* Requirement: A6 */
static void test_fit_slot_in_use_by_another_session_is_passed_over(void **state) {
        PositionFacts facts[POSITIONS];

        all_free(facts);
        facts[M_SHARED_1].held = facts[M_SHARED_2].held = true;
        assert_int_equal(choose(facts, (FitRequest){.min_ordinal = 20}), M_PLAIN);
        facts[M_PLAIN].held = true;
        assert_int_equal(choose(facts, (FitRequest){.min_ordinal = 20}), NONE);
}

/* Requirement: F3 */
static void test_fit_tried_position_is_not_offered_again(void **state) {
        PositionFacts facts[POSITIONS];

        all_free(facts);
        facts[S_PLAIN].tried = true;
        assert_int_equal(choose(facts, (FitRequest){.min_ordinal = 10}), S_ACCESSIBLE);
        facts[S_ACCESSIBLE].tried = true;
        assert_int_equal(choose(facts, (FitRequest){.min_ordinal = 10}), NONE);
        assert_int_equal(choose(facts, (FitRequest){.min_ordinal = 10, .allow_larger = true}), M_SHARED_1);
}

static void test_fit_among_equals_fuller_slot_then_longest_unused(void **state) {
        PositionFacts facts[POSITIONS];

        all_free(facts);
        facts[M_SHARED_1].last_used = 7;
        facts[M_SHARED_2].last_used = 5;
        facts[M_PLAIN].last_used = 6;
        assert_int_equal(choose(facts, (FitRequest){.min_ordinal = 20}), M_SHARED_2);
        facts[M_SHARED_2].last_used = 8;
        assert_int_equal(choose(facts, (FitRequest){.min_ordinal = 20}), M_PLAIN);
        facts[M_SHARED_1].taken = true;
        facts[M_SHARED_1].slot_load = facts[M_SHARED_2].slot_load = 1;
        assert_int_equal(choose(facts, (FitRequest){.min_ordinal = 20}), M_SHARED_2);
}

static void test_fit_empty_cabinet_has_nothing(void **state) {
        const Cabinet none = {0};
        const FitRequest request = {.allow_larger = true};
        int position = 77;

        assert_int_equal(fit_choose(&none, NULL, &request, &position), LOCKER_E_NO_FREE_POSITION);
        assert_int_equal(position, 77);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fit_free_needs_ledger_and_sensors_to_agree),
                cmocka_unit_test(test_fit_chooses_the_smallest_that_fits_the_request),
                cmocka_unit_test(test_fit_filling_up_leaves_the_accessible_of_a_size_for_last),
                cmocka_unit_test(test_fit_slot_in_use_by_another_session_is_passed_over),
                cmocka_unit_test(test_fit_tried_position_is_not_offered_again),
                cmocka_unit_test(test_fit_among_equals_fuller_slot_then_longest_unused),
                cmocka_unit_test(test_fit_empty_cabinet_has_nothing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
