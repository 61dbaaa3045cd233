/* SPDX-License-Identifier: Apache-2.0 */
#include "core/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <cmocka.h>

typedef struct Row {
        Act act;
        bool kiosk, admin, backend, signed_backend, migrating, handheld;
} Row;

static const Row rows_of_callers[] = {
        {ACT_START_SESSION, true, false, false, false, false, true},
        {ACT_AUTHENTICATE, true, false, false, false, false, true},
        {ACT_DEPOSIT, true, false, false, true, false, true},
        {ACT_COLLECT, true, false, false, true, false, true},
        {ACT_REOPEN, true, false, false, true, false, true},
        {ACT_TAKE_BACK, true, false, false, true, false, true},
        {ACT_LIFT_TERMINAL_LOCKOUT, true, false, false, false, false, false},
        {ACT_OWN_CREDENTIALS, true, false, false, false, false, false},
        {ACT_END_SESSION, true, false, false, true, false, true},
        {ACT_OPEN_SLOT, false, true, false, true, false, false},
        {ACT_SERVICE_SLOT, false, true, false, true, true, false},
        {ACT_RULE_PARCEL, false, true, false, true, true, false},
        {ACT_NEW_CODE, false, true, false, true, false, false},
        {ACT_RULE_PEOPLE, false, true, false, true, false, false},
        {ACT_RULE_LOCKOUTS, false, true, false, true, false, false},
        {ACT_READ_EVENTS, false, true, false, false, false, false},
        {ACT_BACKUP, false, true, false, false, false, false},
        {ACT_ANNOUNCE, false, false, false, true, true, false},
        {ACT_SET_THRESHOLDS, false, false, false, true, true, false},
        {ACT_ASK, false, false, true, true, false, false},
};

static void assert_caller(Act act, unsigned callers, bool may) {
        assert_int_equal(access_of_caller(act, callers), may ? REFUSAL_NONE : LOCKER_E_ACCESS_DENIED);
}

/* Requirement: F8 */
static void test_access_every_caller_may_only_its_own_acts(void **state) {
        assert_int_equal(ARRAY_SIZE(rows_of_callers), ACT_MAX);
        for (size_t i = 0; i < ARRAY_SIZE(rows_of_callers); i++) {
                const Row *row = &rows_of_callers[i];
                assert_int_equal(row->act, i);
                assert_caller(row->act, 0, false);
                assert_caller(row->act, CALLER_KIOSK, row->kiosk);
                assert_caller(row->act, CALLER_ADMIN, row->admin);
                assert_caller(row->act, CALLER_BACKEND, row->backend);
                assert_caller(row->act, CALLER_SIGNED, row->signed_backend);
                assert_caller(row->act, CALLER_UNSIGNED, row->migrating);
                assert_caller(row->act, CALLER_HANDHELD, row->handheld);
                assert_caller(row->act, CALLER_KIOSK | CALLER_ADMIN, row->kiosk || row->admin);
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
                {ACT_OWN_CREDENTIALS, PROOF_NOTHING, LOCKER_E_NOT_AUTHENTICATED},
                {ACT_OWN_CREDENTIALS, PROOF_COURIER, REFUSAL_NONE},
                {ACT_OWN_CREDENTIALS, PROOF_CODE, LOCKER_E_NOT_ALLOWED},
                {ACT_OWN_CREDENTIALS, PROOF_RECIPIENT, REFUSAL_NONE},
                {ACT_REOPEN, PROOF_NOTHING, LOCKER_E_NOT_AUTHENTICATED},
                {ACT_REOPEN, PROOF_CODE, REFUSAL_NONE},
                {ACT_AUTHENTICATE, PROOF_NOTHING, REFUSAL_NONE},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_int_equal(access_of_proof(rows[i].act, rows[i].proof), rows[i].expected);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_access_every_caller_may_only_its_own_acts),
                cmocka_unit_test(test_access_every_proof_opens_only_what_it_is_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
