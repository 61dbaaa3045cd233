/* SPDX-License-Identifier: Apache-2.0 */
#include "core/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <cmocka.h>

static bool is_terminal_act(Act act) {
        return act <= ACT_END_SESSION;
}

/* Requirement: F8 */
static void test_access_operators_acts_are_closed_to_kiosks(void **state) {
        for (unsigned act = 0; act < ACT_MAX; act++) {
                bool terminal = is_terminal_act((Act)act);
                assert_int_equal(access_of_caller((Act)act, CALLER_KIOSK), terminal ? REFUSAL_NONE : LOCKER_E_ACCESS_DENIED);
                assert_int_equal(access_of_caller((Act)act, CALLER_ADMIN), terminal ? LOCKER_E_ACCESS_DENIED : REFUSAL_NONE);
                assert_int_equal(access_of_caller((Act)act, CALLER_KIOSK | CALLER_ADMIN), REFUSAL_NONE);
                assert_int_equal(access_of_caller((Act)act, 0), LOCKER_E_ACCESS_DENIED);
                assert_true(access_callers((Act)act) == CALLER_KIOSK || access_callers((Act)act) == CALLER_ADMIN);
        }
}

/* Requirement: A4, D4 */
static void test_access_every_proof_opens_only_what_it_is_for(void **state) {
        static const struct {
                Act act;
                Proof proof;
                Refusal expected;
        } rows[] = {
                {ACT_DEPOSIT, PROOF_NOTHING, LOCKER_E_NOT_AUTHENTICATED},
                {ACT_DEPOSIT, PROOF_COURIER, REFUSAL_NONE},
                {ACT_DEPOSIT, PROOF_CODE, LOCKER_E_NOT_ALLOWED},
                {ACT_DEPOSIT, PROOF_RECIPIENT, LOCKER_E_NOT_ALLOWED},
                {ACT_COLLECT, PROOF_NOTHING, LOCKER_E_NOT_AUTHENTICATED},
                {ACT_COLLECT, PROOF_COURIER, LOCKER_E_NOT_ALLOWED},
                {ACT_COLLECT, PROOF_CODE, REFUSAL_NONE},
                {ACT_COLLECT, PROOF_RECIPIENT, REFUSAL_NONE},
                {ACT_TAKE_BACK, PROOF_NOTHING, LOCKER_E_NOT_AUTHENTICATED},
                {ACT_TAKE_BACK, PROOF_COURIER, REFUSAL_NONE},
                {ACT_TAKE_BACK, PROOF_CODE, LOCKER_E_NOT_ALLOWED},
                {ACT_TAKE_BACK, PROOF_RECIPIENT, LOCKER_E_NOT_ALLOWED},
                {ACT_LIFT_TERMINAL_LOCKOUT, PROOF_NOTHING, LOCKER_E_NOT_AUTHENTICATED},
                {ACT_LIFT_TERMINAL_LOCKOUT, PROOF_COURIER, REFUSAL_NONE},
                {ACT_LIFT_TERMINAL_LOCKOUT, PROOF_CODE, LOCKER_E_NOT_ALLOWED},
                {ACT_LIFT_TERMINAL_LOCKOUT, PROOF_RECIPIENT, LOCKER_E_NOT_ALLOWED},
                {ACT_REOPEN, PROOF_NOTHING, LOCKER_E_NOT_AUTHENTICATED},
                {ACT_REOPEN, PROOF_CODE, REFUSAL_NONE},
                {ACT_AUTHENTICATE, PROOF_NOTHING, REFUSAL_NONE},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_int_equal(access_of_proof(rows[i].act, rows[i].proof), rows[i].expected);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_access_operators_acts_are_closed_to_kiosks),
                cmocka_unit_test(test_access_every_proof_opens_only_what_it_is_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
