/* SPDX-License-Identifier: Apache-2.0 */
/* The smaller tables: service, lockouts, movements, sessions. */
#include "support.h"
#include "ledger/lockouts.h"
#include "ledger/movements.h"
#include "ledger/people.h"
#include "ledger/sessions.h"
#include "ledger/slots.h"

static int collect_service(void *userdata, const ServiceRow *r) {
        char *all = userdata;
        size_t n = strlen(all);

        snprintf(all + n, 200 - n, "%s/%u %s %s %llu;", r->slot, r->position, service_to_string(r->service),
                 r->reason ? r->reason : "-", (unsigned long long)r->last_used);
        return 0;
}

/* Requirement: F8 */
static void test_service_set_comes_back_with_reason(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        ServiceRow row = {0};
        char all[200] = "";

        assert_int_equal(ledger_service_get(l, "1", 0, &row), 0);
        assert_string_equal(row.slot, "1");
        assert_int_equal(row.service, SERVICE_IN);
        assert_null(row.reason);
        assert_int_equal(ledger_service_set(l, "2", 0, SERVICE_DISABLED, "hinge broken"), 0);
        assert_int_equal(ledger_position_used(l, "1", 2), 0);
        assert_int_equal(ledger_position_used(l, "1", 1), 0);
        assert_int_equal(ledger_service_set(l, "1", 2, SERVICE_QUARANTINED, "not empty"), 0);
        assert_int_equal(ledger_position_used(l, "1", 2), 0);
        assert_int_equal(ledger_service_get(l, "1", 2, &row), 0);
        assert_int_equal(row.service, SERVICE_QUARANTINED);
        assert_string_equal(row.reason, "not empty");
        assert_int_equal(row.last_used, 3);
        service_row_done(&row);
        assert_int_equal(ledger_service_each(l, collect_service, all), 0);
        assert_string_equal(all, "1/1 in - 2;1/2 quarantined not empty 3;2/0 disabled hinge broken 0;");
        assert_int_equal(ledger_service_set(l, "2", 0, SERVICE_IN, NULL), 0);
        assert_int_equal(ledger_service_get(l, "2", 0, &row), 0);
        assert_int_equal(row.service, SERVICE_IN);
        assert_null(row.reason);
}

static int count_lockout(void *userdata, const LockoutRow *r) {
        ++*(int *)userdata;
        return 0;
}

/* Requirement: D4 */
static void test_lockout_put_survives_restart_and_goes_when_reset(void **state) {
        Place *p = *state;
        LockoutRow row = {.subject = "terminal:kiosk",
                          .lockout = {.failures = 3, .locked = true, .until_boot = USEC_INFINITY}};
        LockoutRow out;
        int n = 0;

        row.lockout.remaining_usec = 1800 * USEC_PER_SEC;
        row.lockout.boot_id[15] = 9;
        assert_int_equal(ledger_lockout_get(p->ledger, row.subject, &out), 0);
        assert_false(out.lockout.locked);
        assert_int_equal(out.lockout.failures, 0);
        assert_string_equal(out.subject, row.subject);
        assert_int_equal(ledger_lockout_put(p->ledger, &row), 0);
        place_close(p);
        place_open(p);
        assert_int_equal(ledger_lockout_get(p->ledger, row.subject, &out), 0);
        assert_memory_equal(&out.lockout.boot_id, &row.lockout.boot_id, BOOT_ID_SIZE);
        assert_int_equal(out.lockout.failures, 3);
        assert_true(out.lockout.locked);
        assert_true(out.lockout.until_boot == USEC_INFINITY);
        assert_int_equal(out.lockout.remaining_usec, row.lockout.remaining_usec);
        assert_int_equal(ledger_lockout_each(p->ledger, count_lockout, &n), 0);
        assert_int_equal(n, 1);
        lockout_reset(&row.lockout);
        assert_int_equal(ledger_lockout_put(p->ledger, &row), 0);
        assert_int_equal(number(p->ledger, "SELECT count(*) FROM lockout"), 0);
}

static int open_movement(void *userdata, uint64_t id, const char *slot, unsigned position, uint64_t parcel,
                         const char *why) {
        char *all = userdata;
        size_t n = strlen(all);

        snprintf(all + n, 200 - n, "%llu %s/%u %llu;", (unsigned long long)id, slot, position,
                 (unsigned long long)parcel);
        return 0;
}

/* Requirement: F1, F8 */
static void test_movement_intended_is_open_until_settled_once(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        const Now now = at(5);
        MovementRow a = {.slot = "1",
                         .action = "unlock",
                         .why = "operator",
                         .actor = "operator:anna",
                         .reason = "stuck"};
        MovementRow b = {.parcel = 7,
                         .slot = "1",
                         .position = 2,
                         .action = "secure",
                         .why = "secure",
                         .actor = "lockerd"};
        char all[200] = "";

        assert_int_equal(ledger_movement_intend(l, &a, &now), 0);
        assert_int_equal(ledger_movement_intend(l, &b, &now), 0);
        assert_int_equal(ledger_movement_each_open(l, open_movement, all), 0);
        assert_string_equal(all, "1 1/0 0;2 1/2 7;");
        assert_int_equal(ledger_movement_settle(l, a.id, "released", &now), 0);
        assert_int_equal(ledger_movement_settle(l, a.id, "failed", &now), -EALREADY);
        assert_int_equal(ledger_movement_settle(l, 99, "failed", &now), -ENOENT);
        assert_int_equal(ledger_movement_settle(l, b.id, "acknowledged", &now), -EINVAL);
        all[0] = 0;
        assert_int_equal(ledger_movement_each_open(l, open_movement, all), 0);
        assert_string_equal(all, "2 1/2 7;");
        assert_int_equal(
                number(l,
                       "SELECT count(*) FROM movement WHERE actor = 'operator:anna' AND reason = 'stuck' AND "
                       "outcome = 'released'"),
                1);
}

static void test_movement_every_word_of_the_contract_taken_others_refused(void **state) {
        static const char *const whys[] = {"deposit",   "collect",   "reopen",       "take-back",
                                           "operator",  "safety",    "retry",        "secure",
                                           "too-small", "not-empty", "does-not-open"};
        static const char *const outcomes[] = {"released", "failed",    "not-sent", "refused",
                                               "unknown",  "withdrawn", "secured"};
        Ledger *l = ((Place *)*state)->ledger;
        const Now now = at(5);
        MovementRow m = {.slot = "1", .action = "unlock", .actor = "lockerd"};

        for (size_t i = 0; i < ARRAY_SIZE(whys); i++) {
                m.why = whys[i];
                assert_int_equal(ledger_movement_intend(l, &m, &now), 0);
                assert_int_equal(ledger_movement_settle(l, m.id, outcomes[i % ARRAY_SIZE(outcomes)], &now),
                                 0);
        }
        m.why = "because";
        assert_int_equal(ledger_movement_intend(l, &m, &now), -EINVAL);
        m.why = "deposit";
        m.session = 99;
        assert_int_equal(ledger_movement_intend(l, &m, &now), -ENOENT);
}

static void test_session_begun_identified_ended(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        const Now now = at(5);
        PersonRow c = {.kind = PERSON_COURIER, .number = "1", .enrolled = 1};
        uint64_t a = 0, b = 0;

        assert_int_equal(ledger_person_insert(l, &c), 0);
        assert_int_equal(ledger_session_begin(l, "courier", "kiosk", &now, &a), 0);
        assert_int_equal(ledger_session_begin(l, "recipient", "kiosk", &now, &b), 0);
        assert_int_equal(ledger_session_person(l, a, c.id, "courier-pin"), 0);
        assert_int_equal(ledger_session_person(l, b, 0, "code"), 0);
        assert_int_equal(ledger_session_person(l, 99, 0, "code"), -ENOENT);
        assert_int_equal(ledger_session_end(l, a, "ended", &now), 0);
        assert_int_equal(ledger_session_end(l, a, "ended", &now), -ENOENT);
        assert_int_equal(ledger_session_end_all_open(l, "restart", &now), 0);
        assert_int_equal(number(l, "SELECT count(*) FROM session WHERE ended IS NULL"), 0);
        assert_int_equal(number(l, "SELECT count(*) FROM session WHERE how = 'restart'"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_ledger, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_service_set_comes_back_with_reason),
                TEST(test_lockout_put_survives_restart_and_goes_when_reset),
                TEST(test_movement_intended_is_open_until_settled_once),
                TEST(test_movement_every_word_of_the_contract_taken_others_refused),
                TEST(test_session_begun_identified_ended),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
