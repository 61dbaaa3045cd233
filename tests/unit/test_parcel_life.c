/* SPDX-License-Identifier: Apache-2.0 */
/* The life cycle is written down a second time here, as pairs, so that a slip in either shows. */
#include "core/parcel_life.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct {
        ParcelState from, to;
} edges[] = {
        {PARCEL_ANNOUNCED, PARCEL_RESERVED},    {PARCEL_ANNOUNCED, PARCEL_DEPOSITING},
        {PARCEL_ANNOUNCED, PARCEL_CANCELLED},   {PARCEL_RESERVED, PARCEL_ANNOUNCED},
        {PARCEL_RESERVED, PARCEL_DEPOSITING},   {PARCEL_RESERVED, PARCEL_CANCELLED},
        {PARCEL_DEPOSITING, PARCEL_STORED},     {PARCEL_DEPOSITING, PARCEL_CANCELLED},
        {PARCEL_DEPOSITING, PARCEL_UNVERIFIED}, {PARCEL_STORED, PARCEL_COLLECTING},
        {PARCEL_STORED, PARCEL_RECALLED},       {PARCEL_STORED, PARCEL_RETURNED},
        {PARCEL_STORED, PARCEL_UNVERIFIED},     {PARCEL_COLLECTING, PARCEL_COLLECTED},
        {PARCEL_COLLECTING, PARCEL_REJECTED},   {PARCEL_COLLECTING, PARCEL_STORED},
        {PARCEL_COLLECTING, PARCEL_UNVERIFIED}, {PARCEL_REJECTED, PARCEL_RETURNED},
        {PARCEL_REJECTED, PARCEL_UNVERIFIED},   {PARCEL_RECALLED, PARCEL_RETURNED},
        {PARCEL_RECALLED, PARCEL_UNVERIFIED},   {PARCEL_UNVERIFIED, PARCEL_STORED},
        {PARCEL_UNVERIFIED, PARCEL_COLLECTING}, {PARCEL_UNVERIFIED, PARCEL_RETURNED},
        {PARCEL_UNVERIFIED, PARCEL_CANCELLED},  {PARCEL_UNVERIFIED, PARCEL_RECALLED},
        {PARCEL_STORED, PARCEL_DEPOSITING},     {PARCEL_UNVERIFIED, PARCEL_REJECTED},
};

static bool is_edge(int from, int to) {
        for (size_t i = 0; i < ARRAY_SIZE(edges); i++)
                if ((int)edges[i].from == from && (int)edges[i].to == to)
                        return true;
        return false;
}

static void test_parcel_life_every_edge_is_allowed(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(edges); i++)
                if (!parcel_may_become(edges[i].from, edges[i].to))
                        fail_msg("%s → %s", parcel_state_to_string(edges[i].from),
                                 parcel_state_to_string(edges[i].to));
}

static void test_parcel_life_every_non_edge_is_refused(void **state) {
        /* Also from, to and between states that do not exist. */
        for (int from = -2; from < PARCEL_STATE_MAX + 3; from++)
                for (int to = -2; to < PARCEL_STATE_MAX + 3; to++)
                        if (parcel_may_become((ParcelState)from, (ParcelState)to) != is_edge(from, to))
                                fail_msg("%d → %d", from, to);
}

/* Requirement: D5 */
static void test_parcel_life_rejected_only_a_courier_ends_it(void **state) {
        for (int to = 0; to < PARCEL_STATE_MAX; to++)
                assert_int_equal(parcel_may_become(PARCEL_REJECTED, (ParcelState)to),
                                 to == PARCEL_RETURNED || to == PARCEL_UNVERIFIED);
        assert_false(parcel_is_collectable(PARCEL_REJECTED));
        assert_true(parcel_holds_position(PARCEL_REJECTED));
        assert_true(parcel_may_become(PARCEL_COLLECTING, PARCEL_REJECTED));
        assert_true(parcel_may_become(PARCEL_COLLECTING, PARCEL_COLLECTED));
}

/* Requirement: F11 */
static void test_parcel_life_rejected_recalled_and_expired_may_all_be_returned(void **state) {
        assert_true(parcel_may_become(PARCEL_REJECTED, PARCEL_RETURNED));
        assert_true(parcel_may_become(PARCEL_RECALLED, PARCEL_RETURNED));
        assert_true(parcel_may_become(PARCEL_STORED, PARCEL_RETURNED));
}

static void test_parcel_life_properties_match_each_state(void **state) {
        static const struct {
                const char *name;
                bool begins, final, holds, collectable, inside;
        } rows[PARCEL_STATE_MAX] = {
                [PARCEL_ANNOUNCED] = {"announced", true, false, false, false, false},
                [PARCEL_RESERVED] = {"reserved", true, false, true, false, false},
                [PARCEL_DEPOSITING] = {"depositing", true, false, true, false, true},
                [PARCEL_STORED] = {"stored", false, false, true, true, true},
                [PARCEL_COLLECTING] = {"collecting", false, false, true, false, true},
                [PARCEL_REJECTED] = {"rejected", false, false, true, false, true},
                [PARCEL_RECALLED] = {"recalled", false, false, true, false, true},
                [PARCEL_UNVERIFIED] = {"unverified", false, false, true, true, true},
                [PARCEL_COLLECTED] = {"collected", false, true, false, false, false},
                [PARCEL_RETURNED] = {"returned", false, true, false, false, false},
                [PARCEL_CANCELLED] = {"cancelled", false, true, false, false, false},
        };

        for (int i = 0; i < PARCEL_STATE_MAX; i++) {
                ParcelState s = (ParcelState)i, back = PARCEL_STATE_MAX;

                assert_string_equal(parcel_state_to_string(s), rows[i].name);
                assert_int_equal(parcel_state_from_string(rows[i].name, &back), 0);
                assert_int_equal(back, s);
                assert_int_equal(parcel_may_begin(s), rows[i].begins);
                assert_int_equal(parcel_is_final(s), rows[i].final);
                assert_int_equal(parcel_holds_position(s), rows[i].holds);
                assert_int_equal(parcel_is_collectable(s), rows[i].collectable);
                assert_int_equal(parcel_may_be_inside(s), rows[i].inside);
        }
}

static void test_parcel_life_what_may_be_inside_keeps_its_position(void **state) {
        for (int i = 0; i < PARCEL_STATE_MAX; i++)
                if (parcel_may_be_inside((ParcelState)i))
                        assert_true(parcel_holds_position((ParcelState)i));
}

static void test_parcel_life_every_state_reaches_an_end(void **state) {
        bool ends[PARCEL_STATE_MAX] = {0}, reached[PARCEL_STATE_MAX] = {0};

        for (int i = 0; i < PARCEL_STATE_MAX; i++) {
                ends[i] = parcel_is_final((ParcelState)i);
                reached[i] = parcel_may_begin((ParcelState)i);
        }
        for (int round = 0; round < PARCEL_STATE_MAX; round++)
                for (int from = 0; from < PARCEL_STATE_MAX; from++)
                        for (int to = 0; to < PARCEL_STATE_MAX; to++)
                                if (parcel_may_become((ParcelState)from, (ParcelState)to)) {
                                        ends[from] |= ends[to];
                                        reached[to] |= reached[from];
                                }
        for (int i = 0; i < PARCEL_STATE_MAX; i++) {
                assert_true(ends[i]);
                assert_true(reached[i]);
        }
}

static void test_parcel_life_unknown_word_is_refused(void **state) {
        static const char *const words[] = {"", "Stored", "stored ", "invalid", "lost"};
        ParcelState s = PARCEL_STORED;

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                assert_int_equal(parcel_state_from_string(words[i], &s), -EINVAL);
        assert_int_equal(parcel_state_from_string(NULL, &s), -EINVAL);
        assert_int_equal(s, PARCEL_STORED);
        assert_string_equal(parcel_state_to_string(PARCEL_STATE_MAX), "invalid");
        assert_false(parcel_is_final(PARCEL_STATE_MAX));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parcel_life_every_edge_is_allowed),
                cmocka_unit_test(test_parcel_life_every_non_edge_is_refused),
                cmocka_unit_test(test_parcel_life_rejected_only_a_courier_ends_it),
                cmocka_unit_test(test_parcel_life_rejected_recalled_and_expired_may_all_be_returned),
                cmocka_unit_test(test_parcel_life_properties_match_each_state),
                cmocka_unit_test(test_parcel_life_what_may_be_inside_keeps_its_position),
                cmocka_unit_test(test_parcel_life_every_state_reaches_an_end),
                cmocka_unit_test(test_parcel_life_unknown_word_is_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
