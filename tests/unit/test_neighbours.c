/* SPDX-License-Identifier: Apache-2.0 */
/* What other cabinets say of themselves, right or wrong, and what is recommended. */
#include "message/neighbours.h"
#include "core/refusal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define SMALL                "\"kinds\":[{\"ordinal\":1,\"temperature\":\"ambient\",\"accessible\":false,\"free\":1}]"
#define AT(lat, lon)         "\"place\":{\"latitude\":" lat ",\"longitude\":" lon "}"
#define ONLINE(number, rest) "{\"cabinet\":\"" number "\",\"presence\":\"online\"," rest "}"

static const NearestRequest small_at_52 = {1, false, TEMPERATURE_AMBIENT, 52.0, 13.0};
static const FreeKind one_small[] = {{1, TEMPERATURE_AMBIENT, false, 1}};
static const NearbyCabinet own = {"C-0012", 52.10, 13.0, true, one_small, 1},
                           own_full = {"C-0012", 52.10, 13.0, true, NULL, 0};

static bool say(Neighbours *n, const char *number, const char *payload) {
        for (size_t i = 0; i < neighbours_count(n); i++)
                if (streq(neighbours_number(n, i), number)) {
                        neighbours_hear(n, i, payload, strlen(payload));
                        return true;
                }
        return false;
}

/* "number number …" in the order of the answer. */
static void order(const Neighbours *n, const NearbyCabinet *self, const NearestRequest *request,
                  char ret[256]) {
        json_t *result = NULL, *row;
        size_t i;
        int r = neighbours_recommend(n, self, request, &result);

        ret[0] = 0;
        if (r) {
                assert_int_equal(r, LOCKER_E_NO_FREE_POSITION);
                return;
        }
        strcat(ret, json_string_value(json_object_get(result, "cabinet")));
        json_array_foreach(json_object_get(result, "alternatives"), i, row) {
                strcat(ret, " ");
                strcat(ret, json_string_value(json_object_get(row, "cabinet")));
        }
        json_decref(result);
}

/* Requirement: E6 */
static void test_recommendation_is_the_nearest_of_those_that_say_they_have_room(void **state) {
        _cleanup_(neighbours_freep) Neighbours *n = NULL;
        json_t *result = NULL;
        char all[256];

        assert_int_equal(neighbours_new(&n, "C-0012", " C-0013  C-0012 C-0014 C-0013"), 0);
        assert_int_equal(neighbours_count(n), 2);
        assert_string_equal(neighbours_number(n, 1), "C-0014");
        order(n, &own, &small_at_52, all);
        assert_string_equal(all, "C-0012"); /* the others have said nothing yet */
        assert_true(say(n, "C-0013", ONLINE("C-0013", SMALL "," AT("52.2", "13.0"))));
        assert_true(say(n, "C-0014", ONLINE("C-0014", SMALL "," AT("52.01", "13.0"))));
        assert_false(say(n, "C-0099", ONLINE("C-0099", SMALL "," AT("52.0", "13.0"))));
        order(n, &own, &small_at_52, all);
        assert_string_equal(all, "C-0014 C-0012 C-0013");
        order(n, &own_full, &small_at_52, all);
        assert_string_equal(all, "C-0014 C-0013");
        assert_int_equal(neighbours_recommend(n, &own, &small_at_52, &result), 0);
        assert_int_equal(json_integer_value(json_object_get(result, "distance")), 1112);
        json_decref(result);
        /* Without a residence: from here. */
        order(n, &own_full, &(NearestRequest){1, false, TEMPERATURE_AMBIENT, (double)NAN, (double)NAN}, all);
        assert_string_equal(all, "C-0014 C-0013");
        /* The nearest one leaves, is full, … */
        assert_true(say(n, "C-0014", "{\"cabinet\":\"C-0014\",\"presence\":\"offline\"}"));
        order(n, &own, &small_at_52, all);
        assert_string_equal(all, "C-0012 C-0013");
        neighbours_lost(n);
        order(n, &own, &small_at_52, all);
        assert_string_equal(all, "C-0012");
}

static void test_recommendation_without_any_place_is_this_cabinet(void **state) {
        _cleanup_(neighbours_freep) Neighbours *n = NULL;
        NearbyCabinet nowhere = own;
        NearestRequest request = {1, false, TEMPERATURE_AMBIENT, (double)NAN, (double)NAN};
        char all[256];

        nowhere.latitude = nowhere.longitude = (double)NAN;
        assert_int_equal(neighbours_new(&n, "C-0012", NULL), 0);
        order(n, &nowhere, &request, all);
        assert_string_equal(all, "C-0012");
        request.min_ordinal = 2;
        order(n, &nowhere, &request, all);
        assert_string_equal(all, "");
        /* Where the residence is said, a cabinet of unknown place is not the nearest. */
        order(n, &nowhere, &small_at_52, all);
        assert_string_equal(all, "");
}

static void test_state_that_makes_no_sense_is_no_cabinet(void **state) {
        static const char *const odd[] = {
                "",
                "null",
                "[]",
                "{",
                "\"online\"",
                "{\"cabinet\":\"C-0013\"}",
                ONLINE("C-0014", SMALL "," AT("52.0", "13.0")), /* speaks for another */
                ONLINE("C-0013", SMALL),                        /* nowhere */
                ONLINE("C-0013", SMALL "," AT("91", "13.0")),
                ONLINE("C-0013", SMALL "," AT("\"52\"", "13.0")),
                ONLINE("C-0013", AT("52.0", "13.0")),
                ONLINE("C-0013", "\"kinds\":{}," AT("52.0", "13.0")),
                ONLINE("C-0013", "\"kinds\":[1,null,{}]," AT("52.0", "13.0")),
                ONLINE("C-0013", "\"kinds\":[{\"ordinal\":1,\"free\":-1}]," AT("52.0", "13.0")),
                ONLINE("C-0013",
                       "\"kinds\":[{\"ordinal\":1,\"temperature\":\"hot\",\"free\":1}]," AT("52.0", "13.0")),
                ONLINE("C-0013", "\"kinds\":[],\"sizes\":[{\"ordinal\":1,\"free\":1}]," AT("52.0", "13.0")),
        };
        _cleanup_(neighbours_freep) Neighbours *n = NULL;
        char all[256];

        assert_int_equal(neighbours_new(&n, "C-0012", "C-0013"), 0);
        for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
                assert_true(say(n, "C-0013", ONLINE("C-0013", SMALL "," AT("52.0", "13.0"))));
                assert_true(say(n, "C-0013", odd[i]));
                order(n, &own_full, &small_at_52, all);
                if (*all)
                        fail_msg("%s → %s", odd[i], all);
        }
        assert_true(say(n, "C-0013", ONLINE("C-0013", SMALL "," AT("52.0", "13.0"))));
        neighbours_hear(n, 0, NULL, 0); /* too long */
        order(n, &own_full, &small_at_52, all);
        assert_string_equal(all, "");
        /* An older one tells its sizes only. */
        assert_true(say(n, "C-0013",
                        ONLINE("C-0013", "\"sizes\":[{\"ordinal\":1,\"free\":1}]," AT("52.0", "13.0"))));
        order(n, &own_full, &small_at_52, all);
        assert_string_equal(all, "C-0013");
}

static void test_community_is_bounded(void **state) {
        _cleanup_(neighbours_freep) Neighbours *n = NULL;
        char community[8 * 200 + 1] = "", all[256];

        for (int i = 0; i < 200; i++)
                snprintf(community + strlen(community), 9, "C-%04d ", i);
        assert_int_equal(neighbours_new(&n, "C-0012", community), 0);
        assert_int_equal(neighbours_count(n), COMMUNITY_MAX);
        for (int i = 0; i < 60; i++) {
                char number[16], payload[256];
                snprintf(number, sizeof(number), "C-%04d", i);
                snprintf(payload, sizeof(payload),
                         "{\"cabinet\":\"%s\",\"presence\":\"online\"," SMALL "," AT("52.0", "13.0") "}",
                         number);
                assert_int_equal(say(n, number, payload), i != 12);
        }
        order(n, &own, &small_at_52, all);
        assert_int_equal(strlen(all), (ALTERNATIVES_MAX + 1) * 7 - 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_recommendation_is_the_nearest_of_those_that_say_they_have_room),
                cmocka_unit_test(test_recommendation_without_any_place_is_this_cabinet),
                cmocka_unit_test(test_state_that_makes_no_sense_is_no_cabinet),
                cmocka_unit_test(test_community_is_bounded),
        };

        return cmocka_run_group_tests_name("neighbours", tests, NULL, NULL);
}
