/* SPDX-License-Identifier: Apache-2.0 */
#include "message/arguments.h"
#include "core/refusal.h"

#include <math.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

typedef struct Row {
        const char *command, *arguments;
        const char *says; /* NULL: taken */
} Row;

static void check(const Row *rows, size_t n) {
        for (size_t i = 0; i < n; i++) {
                _cleanup_json_ json_t *arguments = json_loads(rows[i].arguments, 0, NULL);
                char detail[MESSAGE_DETAIL_MAX] = "";

                assert_non_null(arguments);
                int r = arguments_check(rows[i].command, arguments, detail);
                if (r != (rows[i].says ? LOCKER_E_INVALID_ARGUMENT : 0) ||
                    (rows[i].says && !strstr(detail, rows[i].says)))
                        fail_msg("%s %s: %d %s", rows[i].command, rows[i].arguments, r, detail);
        }
}

static void test_arguments_that_fit_are_taken(void **state) {
        static const Row rows[] = {
                {"announce", "{\"size\":\"M\"}", NULL},
                {"announce",
                 "{\"size\":\"M\",\"recipient\":\"Łukasz 张\",\"phone\":\"+49 170 "
                 "1234567\",\"waybill\":\"JD-1\",\"accessible\":true,"
                 "\"temperature\":\"chilled\",\"larger\":false,\"reserve\":true}",
                 NULL},
                {"release", "{\"parcel\":1,\"reason\":\"r\"}", NULL},
                {"new-code", "{\"parcel\":9223372036854775807,\"reason\":\"lost\"}", NULL},
                {"revoke-code", "{\"parcel\":1,\"reason\":\"lost\"}", NULL},
                {"recall", "{\"parcel\":1,\"reason\":\"too long\"}", NULL},
                {"open", "{\"slot\":\"P1\",\"reason\":\"x\"}", NULL},
                {"open", "{\"slot\":\"12\",\"position\":0,\"reason\":\"x\"}", NULL},
                {"deposit", "{\"courier\":\"4711\",\"size\":\"S\"}", NULL},
                {"deposit", "{\"courier\":\"4711\",\"parcel\":3}", NULL},
                {"collect", "{\"parcel\":3,\"reason\":\"passport seen\"}", NULL},
                {"take-back", "{\"courier\":\"4711\"}", NULL},
                {"accept", "{\"session\":1}", NULL},
                {"reject", "{\"session\":2}", NULL},
                {"cancel", "{\"session\":3}", NULL},
                {"reopen", "{\"session\":4}", NULL},
                {"too-small", "{\"session\":5}", NULL},
                {"not-empty", "{\"session\":6}", NULL},
                {"does-not-open", "{\"session\":7}", NULL},
                {"end", "{\"session\":9223372036854775807}", NULL},
                {"disable", "{\"slot\":\"12\",\"position\":2,\"reason\":\"x\"}", NULL},
                {"enable", "{\"slot\":\"12\",\"reason\":\"x\"}", NULL},
                {"enrol", "{\"kind\":\"courier\",\"number\":\"4711\",\"pin\":\"830174\",\"name\":\"Ada\"}",
                 NULL},
                {"enrol", "{\"kind\":\"recipient\",\"phone\":\"(030) 123-4567\"}", NULL},
                {"enrol",
                 "{\"kind\":\"recipient\",\"phone\":\"1234567\",\"password\":\"pässword\",\"consent\":true}",
                 NULL},
                {"revoke", "{\"person\":4,\"reason\":\"left\"}", NULL},
                {"snapshot", "{}", NULL},
                {"replay", "{\"from\":1}", NULL},
                {"replay", "{\"from\":5,\"to\":5}", NULL},
                {"set-thresholds", "{\"reminder\":86400,\"recall\":259200}", NULL},
                {"set-thresholds", "{\"reminder\":0}", NULL},
                {"set-thresholds", "{\"reminder\":86400,\"recall\":0}", NULL},
                {"recommend", "{\"size\":\"S\"}", NULL},
                {"recommend",
                 "{\"size\":\"S\",\"accessible\":true,\"temperature\":\"frozen\",\"latitude\":-90,"
                 "\"longitude\":180.0}",
                 NULL},
        };

        check(rows, ARRAY_SIZE(rows));
}

static void test_arguments_that_do_not_fit_are_refused_precisely(void **state) {
        static const Row rows[] = {
                {"announce", "{}", "\"size\" is missing"},
                {"announce", "{\"size\":1}", "\"size\" must be a string"},
                {"announce", "{\"size\":\"\"}", "1 to 31 characters"},
                {"announce", "{\"size\":\"  \"}", "blank"},
                {"announce", "{\"size\":\"M\",\"sizes\":\"M\"}", "allowed are: size, recipient, phone"},
                {"announce", "{\"size\":\"M\",\"temperature\":\"warm\"}",
                 "\"ambient\", \"chilled\", \"frozen\""},
                {"announce", "{\"size\":\"M\",\"accessible\":\"yes\"}", "true or false"},
                {"announce", "{\"size\":\"M\",\"accessible\":1}", "true or false"},
                {"announce", "{\"size\":\"M\",\"waybill\":\"a\\nb\"}", "control"},
                {"announce", "{\"size\":\"M\",\"waybill\":\"a\\u007fb\"}", "control"},
                {"announce", "{\"size\":\"M\",\"waybill\":\"a\\u0085b\"}", "control"},
                {"announce", "{\"size\":\"M\",\"recipient\":null}", "must be a string"},
                {"release", "{\"parcel\":1}", "\"reason\" is missing"},
                {"release", "{\"parcel\":1,\"reason\":\"\"}", "\"reason\" must have 1 to 256"},
                {"release", "{\"parcel\":1,\"reason\":\"   \"}", "blank"},
                {"release", "{\"parcel\":0,\"reason\":\"r\"}", "from 1 to"},
                {"release", "{\"parcel\":-1,\"reason\":\"r\"}", "from 1 to"},
                {"release", "{\"parcel\":1.0,\"reason\":\"r\"}", "whole number"},
                {"release", "{\"parcel\":\"1\",\"reason\":\"r\"}", "whole number"},
                {"release", "{\"parcel\":true,\"reason\":\"r\"}", "whole number"},
                {"open", "{\"slot\":\"P1/3\",\"reason\":\"x\"}", "letters, digits or '-'"},
                {"open", "{\"slot\":12,\"reason\":\"x\"}", "must be a string"},
                {"open", "{\"slot\":\"12\",\"position\":256,\"reason\":\"x\"}", "from 0 to 255"},
                {"open", "{\"slot\":\"\",\"reason\":\"x\"}", "1 to 31"},
                {"deposit", "{\"size\":\"S\"}", "\"courier\" is missing"},
                {"deposit", "{\"courier\":\"4711\"}", "unless \"parcel\""},
                {"deposit", "{\"courier\":\"4 7\",\"size\":\"S\"}", "\"courier\" must be"},
                {"deposit", "{\"courier\":\"4711\",\"size\":\"S\",\"reserve\":true}",
                 "\"reserve\" is not known"},
                {"take-back", "{}", "\"courier\" is missing"},
                {"take-back", "{\"courier\":4711}", "must be a string"},
                {"take-back", "{\"courier\":\"4711\",\"parcel\":1}", "allowed are: courier."},
                {"accept", "{}", "\"session\" is missing"},
                {"reject", "{\"session\":0}", "from 1 to"},
                {"cancel", "{\"session\":\"1\"}", "whole number"},
                {"reopen", "{\"session\":1.0}", "whole number"},
                {"too-small", "{\"session\":true}", "whole number"},
                {"not-empty", "{\"session\":-1}", "from 1 to"},
                {"does-not-open", "{\"session\":1,\"slot\":\"12\"}", "allowed are: session."},
                {"end", "{\"session\":1,\"reason\":\"done\"}", "allowed are: session."},
                {"enrol", "{\"kind\":\"robot\"}", "\"courier\", \"recipient\""},
                {"enrol", "{\"kind\":\"courier\",\"number\":\"4711\"}", "\"pin\""},
                {"enrol", "{\"kind\":\"courier\",\"number\":\"4711\",\"pin\":\"12a4\"}", "digits"},
                {"enrol", "{\"kind\":\"courier\",\"number\":\"4711\",\"pin\":1234}", "must be a string"},
                {"enrol", "{\"kind\":\"courier\",\"number\":\"4711\",\"pin\":\"1234\",\"password\":\"x\"}",
                 "not a \"password\""},
                /* A finger is taken by the reader of the cabinet, in front of it. */
                {"enrol", "{\"kind\":\"courier\",\"number\":\"4711\",\"pin\":\"1234\",\"fingerprint\":true}",
                 "fingerprint"},
                {"enrol",
                 "{\"kind\":\"recipient\",\"phone\":\"0301234567\",\"consent\":true,\"fingerprint\":\"\"}",
                 "fingerprint"},
                {"enrol", "{\"kind\":\"recipient\"}", "\"phone\""},
                {"enrol", "{\"kind\":\"recipient\",\"phone\":\"123456\"}", "7 to 15 digits"},
                {"enrol", "{\"kind\":\"recipient\",\"phone\":\"1234567890123456\"}", "7 to 15 digits"},
                {"enrol", "{\"kind\":\"recipient\",\"phone\":\"1234567x\"}", "7 to 15 digits"},
                {"enrol", "{\"kind\":\"recipient\",\"phone\":\"1234567\",\"pin\":\"1\"}", "not a \"number\""},
                {"enrol", "{\"kind\":\"recipient\",\"phone\":\"1234567\",\"password\":\"secret99\"}",
                 "\"consent\""},
                {"enrol",
                 "{\"kind\":\"recipient\",\"phone\":\"1234567\",\"password\":\"secret99\",\"consent\":false}",
                 "\"consent\""},
                {"revoke", "{\"reason\":\"left\"}", "\"person\" is missing"},
                {"snapshot", "{\"now\":true}", "allowed are: none"},
                {"replay", "{}", "\"from\" is missing"},
                {"replay", "{\"from\":5,\"to\":4}", "smaller"},
                {"set-thresholds", "{}", "is needed"},
                {"set-thresholds", "{\"reminder\":-1}", "from 0 to"},
                {"set-thresholds", "{\"reminder\":1.5}", "whole number"},
                {"set-thresholds", "{\"reminder\":5,\"recall\":5}", "longer"},
                {"set-thresholds", "{\"recall\":99999999}", "from 0 to"},
                {"recommend", "{\"size\":\"S\",\"latitude\":1}", "belong together"},
                {"recommend", "{\"size\":\"S\",\"latitude\":91,\"longitude\":0}", "from -90 to 90"},
                {"recommend", "{\"size\":\"S\",\"latitude\":0,\"longitude\":-180.01}", "from -180 to 180"},
                {"recommend", "{\"size\":\"S\",\"latitude\":\"0\",\"longitude\":0}", "must be a number"},
        };

        check(rows, ARRAY_SIZE(rows));
}

static void test_arguments_of_an_unknown_command_are_refused_as_that(void **state) {
        static const char *const names[] = {"", "close", "Open", "open ", "opens"};
        _cleanup_json_ json_t *none = json_object();
        char detail[MESSAGE_DETAIL_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                assert_int_equal(arguments_check(names[i], none, detail), LOCKER_E_UNKNOWN_COMMAND);
}

static void test_arguments_never_repeats_a_value(void **state) {
        static const char *const arguments[] = {
                "{\"kind\":\"courier\",\"number\":\"4711\",\"pin\":\"hunter2\"}",
                "{\"kind\":\"hunter2\"}",
                "{\"kind\":\"recipient\",\"phone\":\"hunter2\"}",
                "{\"kind\":\"recipient\",\"phone\":\"1234567\",\"password\":\"hunter2\"}",
                "{\"kind\":\"recipient\",\"phone\":\"1234567\",\"password\":\"hunter2\\n\"}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(arguments); i++) {
                _cleanup_json_ json_t *a = json_loads(arguments[i], 0, NULL);
                char detail[MESSAGE_DETAIL_MAX] = "";
                assert_int_equal(arguments_check("enrol", a, detail), LOCKER_E_INVALID_ARGUMENT);
                assert_null(strstr(detail, "hunter2"));
        }
}

static void test_arguments_every_row_makes_sense(void **state) {
        size_t n;
        const CommandRow *rows = command_rows(&n);

        for (size_t i = 0; i < n; i++) {
                assert_ptr_equal(command_row(rows[i].name), &rows[i]);
                for (size_t k = 0; k < rows[i].n_arguments; k++) {
                        const ArgumentRow *a = &rows[i].arguments[k];
                        assert_true(a->min <= a->max);
                        assert_int_equal(a->type == ARGUMENT_WORD, a->words != NULL);
                        for (size_t j = 0; j < k; j++)
                                assert_string_not_equal(a->key, rows[i].arguments[j].key);
                }
        }
        for (size_t i = 0; i < n; i++)
                assert_int_equal(command_must_be_signed(&rows[i]), !streq(rows[i].name, "snapshot") &&
                                                                           !streq(rows[i].name, "replay") &&
                                                                           !streq(rows[i].name, "recommend"));
        assert_null(command_row("close"));
}

static void test_arguments_are_read_with_their_defaults(void **state) {
        _cleanup_json_ json_t *a =
                json_pack("{s:s, s:I, s:b, s:f}", "t", "x", "n", (json_int_t)5, "b", 0, "d", 1.5);

        assert_string_equal(argument_text(a, "t"), "x");
        assert_null(argument_text(a, "none"));
        assert_int_equal(argument_number(a, "n", 7), 5);
        assert_int_equal(argument_number(a, "none", 7), 7);
        assert_false(argument_boolean(a, "b", true));
        assert_true(argument_boolean(a, "none", true));
        assert_true(argument_degrees(a, "d") > 1.4 && isnan(argument_degrees(a, "none")));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_arguments_that_fit_are_taken),
                cmocka_unit_test(test_arguments_that_do_not_fit_are_refused_precisely),
                cmocka_unit_test(test_arguments_of_an_unknown_command_are_refused_as_that),
                cmocka_unit_test(test_arguments_never_repeats_a_value),
                cmocka_unit_test(test_arguments_every_row_makes_sense),
                cmocka_unit_test(test_arguments_are_read_with_their_defaults),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
