/* SPDX-License-Identifier: Apache-2.0 */
/* Which kinds of credentials there are, and which of them suffice for what. */
#include "core/sufficiency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define PIN      (1U << CREDENTIAL_PIN)
#define PASSWORD (1U << CREDENTIAL_PASSWORD)
#define PATTERN  (1U << CREDENTIAL_PATTERN)
#define CARD     (1U << CREDENTIAL_CARD)
#define FACE     (1U << CREDENTIAL_FACE)
#define VOICE    (1U << CREDENTIAL_VOICE)

/* Requirement: C3 */
static void test_sufficiency_by_default_each_of_these_kinds_is_enough(void **state) {
        static const Act acts[] = {ACT_DEPOSIT, ACT_COLLECT, ACT_TAKE_BACK, ACT_LIFT_TERMINAL_LOCKOUT};
        const Sufficiency s = sufficiency_default();

        for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
                assert_int_equal(sufficiency_of(&s, acts[i], PIN), REFUSAL_NONE);
                assert_int_equal(sufficiency_of(&s, acts[i], PASSWORD), REFUSAL_NONE);
                assert_int_equal(sufficiency_of(&s, acts[i], PATTERN), REFUSAL_NONE);
                assert_int_equal(sufficiency_of(&s, acts[i], CARD), REFUSAL_NONE);
                assert_int_equal(sufficiency_of(&s, acts[i], 0), LOCKER_E_NOT_AUTHENTICATED);
        }
}

/* Whoever holds up a photograph has no more than half.
 *
 * Requirement: C3 */
static void test_sufficiency_a_face_is_never_enough(void **state) {
        static const Act acts[] = {ACT_DEPOSIT, ACT_COLLECT, ACT_TAKE_BACK, ACT_LIFT_TERMINAL_LOCKOUT};
        const Sufficiency s = sufficiency_default();

        for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
                assert_int_equal(sufficiency_of(&s, acts[i], FACE), LOCKER_E_ANOTHER_NEEDED);
                assert_int_equal(sufficiency_of(&s, acts[i], FACE | CARD), REFUSAL_NONE);
                assert_false(sufficiency_possible(&s, acts[i], FACE));
        }
}

/* It proves a phrase, and hardly who says it: beside something else it counts.
 *
 * Requirement: C3 */
static void test_sufficiency_a_voice_is_never_enough(void **state) {
        static const Act acts[] = {ACT_DEPOSIT, ACT_COLLECT, ACT_TAKE_BACK, ACT_LIFT_TERMINAL_LOCKOUT};
        const Sufficiency s = sufficiency_default();

        assert_true(credential_has_reader(CREDENTIAL_VOICE));
        for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
                assert_int_equal(sufficiency_of(&s, acts[i], VOICE), LOCKER_E_ANOTHER_NEEDED);
                assert_int_equal(sufficiency_of(&s, acts[i], VOICE | PATTERN), REFUSAL_NONE);
                assert_false(sufficiency_possible(&s, acts[i], VOICE));
                assert_true(sufficiency_possible(&s, acts[i], VOICE | PASSWORD));
                /* A photograph and a recording, say. */
                assert_int_equal(sufficiency_of(&s, acts[i], VOICE | FACE), LOCKER_E_ANOTHER_NEEDED);
                assert_false(sufficiency_possible(&s, acts[i], VOICE | FACE));
                assert_int_equal(sufficiency_of(&s, acts[i], VOICE | FACE | PATTERN), REFUSAL_NONE);
        }
}

/* Requirement: C3 */
static void test_sufficiency_a_kind_that_is_not_enough_needs_another_one(void **state) {
        const Sufficiency s = {.deposit = PIN, .collect = PASSWORD, .take_back = 0, .lift = PIN | CARD};
        const struct {
                Act act;
                unsigned presented;
                Refusal expected;
        } rows[] = {
                {ACT_DEPOSIT, PIN, REFUSAL_NONE},
                {ACT_DEPOSIT, PATTERN, LOCKER_E_ANOTHER_NEEDED},
                {ACT_DEPOSIT, CARD, LOCKER_E_ANOTHER_NEEDED},
                {ACT_DEPOSIT, PATTERN | CARD, REFUSAL_NONE},
                {ACT_COLLECT, PASSWORD, REFUSAL_NONE},
                {ACT_COLLECT, PATTERN, LOCKER_E_ANOTHER_NEEDED},
                {ACT_COLLECT, PATTERN | PASSWORD, REFUSAL_NONE},
                {ACT_COLLECT, 0, LOCKER_E_NOT_AUTHENTICATED},
                {ACT_TAKE_BACK, PIN, LOCKER_E_ANOTHER_NEEDED},
                {ACT_TAKE_BACK, PIN | CARD, REFUSAL_NONE},
                {ACT_LIFT_TERMINAL_LOCKOUT, CARD, REFUSAL_NONE},
                {ACT_LIFT_TERMINAL_LOCKOUT, PATTERN, LOCKER_E_ANOTHER_NEEDED},
                /* What follows from an act needs no further look. */
                {ACT_REOPEN, PATTERN, REFUSAL_NONE},
                {ACT_END_SESSION, 0, REFUSAL_NONE},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_int_equal(sufficiency_of(&s, rows[i].act, rows[i].presented), rows[i].expected);
        assert_true(sufficiency_possible(&s, ACT_COLLECT, PASSWORD));
        assert_false(sufficiency_possible(&s, ACT_COLLECT, PATTERN));
        assert_true(sufficiency_possible(&s, ACT_COLLECT, PATTERN | CARD));
        assert_false(sufficiency_possible(&s, ACT_COLLECT, 0));
}

static void test_credential_kinds_belong_to_couriers_recipients_or_both(void **state) {
        char names[64], few[8];

        assert_true(credential_may_be_of(CREDENTIAL_PIN, true));
        assert_false(credential_may_be_of(CREDENTIAL_PIN, false));
        assert_false(credential_may_be_of(CREDENTIAL_PASSWORD, true));
        assert_true(credential_may_be_of(CREDENTIAL_PATTERN, true) &&
                    credential_may_be_of(CREDENTIAL_PATTERN, false));
        assert_true(credential_may_be_of(CREDENTIAL_CARD, true) &&
                    credential_may_be_of(CREDENTIAL_CARD, false));
        credential_names(PIN | PATTERN | CARD, " or ", names, sizeof(names));
        assert_string_equal(names, "pin, pattern or card");
        credential_names(CARD, " or ", names, sizeof(names));
        assert_string_equal(names, "card");
        credential_names(0, " or ", names, sizeof(names));
        assert_string_equal(names, "");
        credential_names(PASSWORD | PATTERN, " or ", few, sizeof(few));
        assert_string_equal(few, "passwor");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sufficiency_by_default_each_of_these_kinds_is_enough),
                cmocka_unit_test(test_sufficiency_a_face_is_never_enough),
                cmocka_unit_test(test_sufficiency_a_voice_is_never_enough),
                cmocka_unit_test(test_sufficiency_a_kind_that_is_not_enough_needs_another_one),
                cmocka_unit_test(test_credential_kinds_belong_to_couriers_recipients_or_both),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
