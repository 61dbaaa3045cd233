/* SPDX-License-Identifier: Apache-2.0 */
#include "core/refusal.h"

#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <cmocka.h>

static void test_refusal_each_has_name_sentence_and_status(void **state) {
        for (int i = REFUSAL_NONE + 1; i < REFUSAL_MAX; i++) {
                Refusal r = (Refusal)i;
                const char *name = refusal_name(r), *sentence = refusal_sentence(r);

                /* A member name of a D-Bus error. */
                assert_true(isupper((unsigned char)name[0]));
                for (const char *p = name; *p; p++)
                        assert_true(isalnum((unsigned char)*p));
                assert_int_equal(sentence[strlen(sentence) - 1], '.');
                assert_in_range(refusal_exit_status(r), 2, 10);
        }
}

static void test_refusal_names_are_distinct(void **state) {
        for (int i = 0; i < REFUSAL_MAX; i++)
                for (int k = 0; k < i; k++)
                        assert_string_not_equal(refusal_name((Refusal)i), refusal_name((Refusal)k));
}

static void test_refusal_none_is_success(void **state) {
        assert_string_equal(refusal_name(REFUSAL_NONE), "None");
        assert_int_equal(refusal_exit_status(REFUSAL_NONE), 0);
        assert_string_equal(refusal_name(LOCKER_E_WRONG_CODE), "WrongCode");
        assert_string_equal(refusal_sentence(LOCKER_E_WRONG_CODE), "This code is wrong.");
        assert_int_equal(refusal_exit_status(LOCKER_E_WRONG_CODE), 6);
}

static void test_refusal_outside_the_table_is_internal(void **state) {
        const int wrong[] = {-1, REFUSAL_MAX, REFUSAL_MAX + 1000, -5};

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                assert_string_equal(refusal_name((Refusal)wrong[i]), "Internal");
                assert_int_equal(refusal_exit_status((Refusal)wrong[i]), 10);
        }
}

/* A full disk and a locked ledger say so, wherever somebody asks; other faults tell no details. */
static void test_refusal_of_an_error_says_what_to_do(void **state) {
        assert_int_equal(refusal_of(LOCKER_E_WRONG_CODE), LOCKER_E_WRONG_CODE);
        assert_null(refusal_why(LOCKER_E_WRONG_CODE));
        assert_int_equal(refusal_of(-ENOSPC), LOCKER_E_STORAGE_FULL);
        assert_non_null(strstr(refusal_why(-ENOSPC), "The disk is full"));
        assert_int_equal(refusal_of(-EBUSY), LOCKER_E_BUSY);
        assert_non_null(strstr(refusal_why(-EBUSY), "Another program"));
        assert_int_equal(refusal_of(-EIO), LOCKER_E_INTERNAL);
        assert_null(refusal_why(-EIO));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_refusal_each_has_name_sentence_and_status),
                cmocka_unit_test(test_refusal_names_are_distinct),
                cmocka_unit_test(test_refusal_none_is_success),
                cmocka_unit_test(test_refusal_outside_the_table_is_internal),
                cmocka_unit_test(test_refusal_of_an_error_says_what_to_do),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
