/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever has the file and not the key changes nothing that counts: each column of each sealed table, rows
 * that are added, removed, moved, copied and put back. */
#include "support.h"
#include "ledger/codes.h"
#include "ledger/doors.h"
#include "ledger/inbox.h"
#include "ledger/lockouts.h"
#include "ledger/movements.h"
#include "ledger/parcels.h"
#include "ledger/credentials.h"
#include "ledger/people.h"
#include "ledger/settings.h"
#include "ledger/slots.h"

#define OFFLINE "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; "

static const char *const covered[] = {"meta",       "slot",           "position",    "person",
                                      "credential", "parcel",         "pickup_code", "renewed_code",
                                      "lockout",    "lockout_parcel", "inbox",       "setting",
                                      "epoch",      "door",           "movement",    "consent"};

/* At least two rows in each of them, and a change of each. */
static void fill(Ledger *l) {
        for (unsigned i = 1; i <= 3; i++) {
                char label[8], code[8], phone[24], number_[8];
                snprintf(label, sizeof(label), "0%u", i);
                snprintf(code, sizeof(code), "AAAAA%u", i);
                snprintf(phone, sizeof(phone), "+49 170 000000%u", i);
                snprintf(number_, sizeof(number_), "471%u", i);
                int64_t parcel = deposit(l, label, 1, code);
                assert_true(parcel > 0);
                snprintf(code, sizeof(code), "BBBBB%u", i);
                assert_int_equal(ledger_code_renew(l, (uint64_t)parcel, code), 0);
                PersonRow person = {.kind = PERSON_COURIER,
                                    .name = (char *)(uintptr_t) "Anna",
                                    .phone = phone,
                                    .enrolled = 1};
                snprintf(person.number, sizeof(person.number), "%s", number_);
                assert_int_equal(ledger_person_insert(l, &person), 0);
                assert_int_equal(
                        ledger_credential_set(l, person.id, "pin", (const uint8_t *)"hash", 4, NULL, 7), 0);
                const Consent consent = {"storage", "2026-11", "kiosk", "operator:anna"};
                assert_int_equal(
                        ledger_credential_set(l, person.id, "card", (const uint8_t *)"hash", 4, &consent, 7),
                        0);
                assert_int_equal(ledger_service_set(l, label, 0, SERVICE_DISABLED, "repair"), 0);
                assert_int_equal(ledger_service_set(l, label, 1, SERVICE_IN, NULL), 0);
                LockoutRow lockout = {.lockout = {.failures = i, .pace = 5}};
                snprintf(lockout.subject, sizeof(lockout.subject), "terminal:%u", i);
                assert_int_equal(ledger_lockout_put(l, &lockout), 0);
                assert_int_equal(ledger_lockout_concern(l, lockout.subject, (uint64_t)parcel), 0);
                InboxRow row = {.received = i, .expires = 100, .command = (char *)(uintptr_t) "{}"};
                snprintf(row.id, sizeof(row.id), "id%u", i);
                snprintf(row.name, sizeof(row.name), "open");
                assert_int_equal(ledger_inbox_store(l, &row), 0);
                assert_int_equal(ledger_inbox_answer(l, &row, "{}"), 0);
                assert_int_equal(ledger_setting_set(l, number_, 5), 0);
                MovementRow movement = {.parcel = (uint64_t)parcel,
                                        .position = i,
                                        .action = "unlock",
                                        .why = "operator",
                                        .actor = "operator:anna"};
                snprintf(movement.slot, sizeof(movement.slot), "%s", label);
                const Now then = at(1);
                assert_int_equal(ledger_movement_intend(l, &movement, &then), 0);
                assert_int_equal(ledger_door_set(l, label, 0, DOOR_SEEN_OPEN), 0);
                assert_int_equal(ledger_door_set(l, label, 1, DOOR_SEEN_SHUT), 0);
        }
        const Now now = at(1);
        begin(l);
        assert_int_equal(ledger_epoch_begin(l, EPOCH_BEHIND, 1, &now), 0);
        commit(l);
}

/* Opens it, and says what it found; "" when it does not open at all, which is a finding too. */
static char *opened(const char *path, bool *ret_opens) {
        _cleanup_(vault_freep) Vault *v = test_vault(1);
        _cleanup_free_ char *detail = NULL;
        LedgerProblem problem;
        Ledger *l = NULL;

        *ret_opens = ledger_open(&l, path, v, &problem, &detail) >= 0;
        if (!*ret_opens)
                return strdup(detail ? detail : "");
        v = NULL;
        char *found = strdup(ledger_tampering(l));
        ledger_free(l);
        return found;
}

static void assert_found(Place *p, const char *table, const char *sql) {
        _cleanup_free_ char *copy = text_printf("%s/copy.db", p->directory),
                            *mark = text_printf("%s/copy.db.mark", p->directory);
        bool opens;

        place_close(p); /* folds the log into the file */
        (void)unlink(copy);
        (void)unlink(mark);
        copy_file(p->path, copy);
        _cleanup_free_ char *all = text_printf(OFFLINE "%s", sql);
        assert_int_equal(raw_sql(copy, all, false), SQLITE_OK);
        _cleanup_free_ char *found = opened(copy, &opens);
        if (opens && !strstr(found, table))
                fail_msg("%s: not found: \"%s\"", sql, found);
}

/* Requirement: F10, F14 */
static void test_every_column_of_every_sealed_table(void **state) {
        Place *p = *state;
        unsigned n = 0;

        fill(p->ledger);
        assert_string_equal(ledger_tampering(p->ledger), "");
        place_close(p);
        place_open(p); /* what was written by every function is whole */
        assert_string_equal(ledger_tampering(p->ledger), "");
        for (size_t t = 0; t < ARRAY_SIZE(covered); t++) {
                _cleanup_free_ char *sql =
                        text_printf("SELECT name, type FROM pragma_table_info('%s')", covered[t]);
                sqlite3_stmt *s = NULL;
                sqlite3 *db = NULL;
                assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
                assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
                _cleanup_free_ char *count = text_printf("SELECT count(*) FROM %s", covered[t]);
                assert_true(raw_number(p->path, count) >= 2);
                while (sqlite3_step(s) == SQLITE_ROW) {
                        const char *column = (const char *)sqlite3_column_text(s, 0),
                                   *type = (const char *)sqlite3_column_text(s, 1);
                        _cleanup_free_ char *change = text_printf(
                                "UPDATE %s SET \"%s\" = %s WHERE seal = (SELECT min(seal) FROM %s)",
                                covered[t], column,
                                streq(type, "INTEGER") ? "7777"
                                : streq(type, "TEXT")  ? "'tampered'"
                                                       : "zeroblob(32)",
                                covered[t]);
                        assert_found(p, covered[t], change);
                        n++;
                }
                sqlite3_finalize(s);
                sqlite3_close(db);
        }
        assert_true(n > 90);
}

/* Requirement: F10, F14 */
static void test_rows_that_are_removed_added_moved_copied_and_put_back(void **state) {
        Place *p = *state;

        fill(p->ledger);
        for (size_t t = 0; t < ARRAY_SIZE(covered); t++) {
                _cleanup_free_ char *one = text_printf(
                                            "DELETE FROM %s WHERE seal = (SELECT min(seal) FROM %s)",
                                            covered[t], covered[t]),
                                    *sum = text_printf("DELETE FROM sealed WHERE name = '%s'", covered[t]),
                                    *zero = text_printf(
                                            "UPDATE sealed SET state = zeroblob(72) WHERE name = '%s'",
                                            covered[t]);
                assert_found(p, covered[t], one);
                assert_found(p, covered[t], sum);
                assert_found(p, covered[t], zero);
        }
        assert_found(
                p, "pickup_code",
                "UPDATE pickup_code SET parcel = parcel + 100; UPDATE pickup_code SET parcel = 104 - parcel");
        assert_found(p, "pickup_code",
                     "INSERT INTO pickup_code SELECT 99, zeroblob(32), seal FROM pickup_code LIMIT 1");
        assert_found(p, "credential",
                     "INSERT INTO credential (person, kind, data, enrolled, seal) SELECT 99, kind, data, "
                     "enrolled, "
                     "seal FROM credential LIMIT 1");
        assert_found(p, "position", "INSERT INTO position (slot, number) VALUES ('77', 1)");
        assert_found(p, "parcel", "UPDATE parcel SET seal = NULL");
}

/* Requirement: F10, F14 */
static void test_old_row_that_is_put_back_is_found(void **state) {
        Place *p = *state;

        fill(p->ledger);
        assert_int_equal(ledger_service_set(p->ledger, "01", 0, SERVICE_QUARANTINED, "broken"), 0);
        place_close(p);
        assert_int_equal(raw_sql(p->path, "CREATE TABLE old AS SELECT * FROM slot", false), SQLITE_OK);
        sqlite3 *db = NULL;
        assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
        _cleanup_free_ char *reinsert = NULL;
        sqlite3_stmt *s = NULL;
        assert_int_equal(
                sqlite3_prepare_v2(
                        db,
                        "SELECT 'DELETE FROM slot WHERE label = ''01''; INSERT INTO slot VALUES (''01'', ' "
                        "|| "
                        "quote(service) || ', ' || quote(reason) || ', ' || quote(seal) || ')' FROM old "
                        "WHERE label = '01'",
                        -1, &s, NULL),
                SQLITE_OK);
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        reinsert = strdup((const char *)sqlite3_column_text(s, 0));
        sqlite3_finalize(s);
        sqlite3_close(db);
        assert_int_equal(raw_sql(p->path, "DROP TABLE old", false), SQLITE_OK);
        place_open(p);
        assert_int_equal(ledger_service_set(p->ledger, "01", 0, SERVICE_IN, NULL), 0);
        assert_found(p, "slot", reinsert);
}

/* Requirement: F10, F17 */
static void test_nobody_opens_by_a_changed_row(void **state) {
        Place *p = *state;
        uint64_t parcel;
        PersonRow person = {0};
        ParcelRow row = {0};
        ServiceRow service = {0};

        fill(p->ledger);
        assert_int_equal(ledger_code_find(p->ledger, "AAAAA1", &parcel), 0);
        place_close(p);
        /* The first parcel's code now opens the second one's place; the first courier gets another number;
         * the third parcel is somebody else's. */
        assert_int_equal(
                raw_sql(p->path,
                        OFFLINE
                        "UPDATE pickup_code SET mac = (SELECT mac FROM renewed_code ORDER BY parcel LIMIT 1) "
                        "WHERE parcel = 2; UPDATE person SET number = '9999' WHERE number = '4711'; "
                        "UPDATE parcel SET person = 2 WHERE id = 3; "
                        "UPDATE slot SET service = 'in' WHERE label = '02'",
                        false),
                SQLITE_OK);
        place_open(p);
        for (int round = 0; round < 2; round++) {
                Ledger *l = p->ledger;
                assert_non_null(strstr(ledger_tampering(l), "pickup_code 2"));
                assert_non_null(strstr(ledger_tampering(l), "person 1"));
                assert_non_null(strstr(ledger_tampering(l), "parcel 3"));
                assert_non_null(strstr(ledger_tampering(l), "slot 02"));
                assert_false(ledger_code_matches(l, 2, "BBBBB1"));
                assert_false(ledger_code_matches(l, 2, "AAAAA2"));
                assert_true(ledger_code_matches(l, 1, "AAAAA1"));
                assert_int_equal(ledger_person_by_number(l, "9999", &person), -ENOENT);
                assert_int_equal(ledger_person_by_number(l, "4712", &person), 0);
                person_row_done(&person);
                assert_int_equal(ledger_parcel_get(l, 3, &row), 0);
                assert_true(row.doubted);
                assert_int_equal(row.state, PARCEL_UNVERIFIED);
                assert_false(parcel_is_recipients(&row));
                /* What is written to it does not make it right. */
                assert_int_equal(ledger_parcel_update(l, &row), 0);
                parcel_row_done(&row);
                assert_int_equal(ledger_service_get(l, "02", 0, &service), 0);
                assert_int_equal(service.service, SERVICE_QUARANTINED);
                service_row_done(&service);
                place_close(p);
                place_open(p);
        }
        /* Whoever says what is so now puts it right. */
        assert_int_equal(ledger_service_set(p->ledger, "02", 0, SERVICE_IN, NULL), 0);
        place_close(p);
        place_open(p);
        assert_null(strstr(ledger_tampering(p->ledger), "slot 02"));
}

static int no_text(void *userdata, const CredentialRow *c) {
        *(bool *)userdata |= c->consent.text && streq(c->consent.text, "everything");
        return 0;
}

/* What somebody else has written into a consent proves nothing, and what rests on it opens nothing; a new
 * consent, or none any more, puts it right. */
/* Requirement: C6, F10, F17 */
static void test_consent_that_was_changed_proves_nothing(void **state) {
        Place *p = *state;
        const Consent consent = {"storage", "2026-11", "kiosk", "operator:anna"};
        bool shown = false;
        uint8_t *data;
        size_t n;

        fill(p->ledger);
        place_close(p);
        assert_int_equal(raw_sql(p->path,
                                 "UPDATE consent SET text = 'everything' WHERE person = 1; "
                                 "UPDATE consent SET withdrawn = 5 WHERE person = 2",
                                 false),
                         SQLITE_OK);
        place_open(p);
        assert_non_null(strstr(ledger_tampering(p->ledger), "consent 1/card/7, consent 2/card/7"));
        for (uint64_t person = 1; person <= 2; person++) {
                assert_int_equal(ledger_credential_get(p->ledger, person, "card", &data, &n), -ENOENT);
                assert_int_equal(ledger_credential_get(p->ledger, person, "pin", &data, &n), 0);
                bytes_erase_free(data, n);
        }
        assert_int_equal(ledger_credential_each(p->ledger, 1, no_text, &shown), 0);
        assert_false(shown);
        assert_int_equal(ledger_credential_get(p->ledger, 3, "card", &data, &n), 0);
        bytes_erase_free(data, n);
        assert_int_equal(ledger_credential_set(p->ledger, 1, "card", (const uint8_t *)"hash", 4, &consent, 9),
                         0);
        assert_int_equal(ledger_credential_erase(p->ledger, 2, "card", 9), 0);
        place_close(p);
        place_open(p);
        assert_string_equal(ledger_tampering(p->ledger), "");
        assert_int_equal(ledger_credential_get(p->ledger, 1, "card", &data, &n), 0);
        bytes_erase_free(data, n);
        assert_int_equal(number(p->ledger, "SELECT count(*) FROM consent"), 2);
}

static int find_why(void *userdata, uint64_t id, const char *slot, unsigned position, uint64_t parcel,
                    const char *why) {
        char *all = userdata;

        snprintf(all + strlen(all), 64 - strlen(all), "%s=%s ", slot, why ? why : "-");
        return 0;
}

/* A movement that somebody has invented explains no open door. */
/* Requirement: F10, F12 */
static void test_movement_that_was_invented_explains_nothing(void **state) {
        Place *p = *state;
        char all[64] = "";
        MovementRow m = {.slot = "01", .action = "unlock", .why = "operator", .actor = "operator:anna"};
        const Now now = at(1);

        assert_int_equal(ledger_movement_intend(p->ledger, &m, &now), 0);
        assert_int_equal(ledger_movement_settle(p->ledger, m.id, "released", &now), 0);
        assert_int_equal(ledger_movement_intend(p->ledger, &m, &now), 0);
        place_close(p);
        assert_int_equal(raw_sql(p->path,
                                 "INSERT INTO movement (slot, position, action, why, actor, intended) VALUES "
                                 "('02', 0, 'unlock', 'operator', 'x', 1); "
                                 "UPDATE movement SET reason = 'history' WHERE id = 1",
                                 false),
                         SQLITE_OK);
        place_open(p);
        assert_string_equal(ledger_tampering(p->ledger), "movement 3");
        assert_int_equal(ledger_movement_each_open(p->ledger, find_why, all), 0);
        assert_string_equal(all, "01=operator 02=- ");
        assert_int_equal(ledger_movement_settle(p->ledger, 2, "unknown", &now), 0);
        assert_int_equal(ledger_movement_settle(p->ledger, 3, "unknown", &now), 0);
        place_close(p);
        place_open(p);
        assert_string_equal(ledger_tampering(p->ledger), "");
        /* One that is removed is missed. */
        assert_int_equal(ledger_movement_intend(p->ledger, &m, &now), 0);
        place_close(p);
        assert_int_equal(raw_sql(p->path, "DELETE FROM movement WHERE outcome IS NULL", false), SQLITE_OK);
        place_open(p);
        assert_non_null(strstr(ledger_tampering(p->ledger), "movement as a whole"));
}

static int find_open(void *userdata, const char *slot, unsigned position, DoorSeen seen) {
        if (seen == DOOR_SEEN_OPEN && position == 0)
                strcat(userdata, slot);
        return 0;
}

static void assert_open(Ledger *l, const char *expected) {
        char all[32] = "";

        assert_int_equal(ledger_door_each(l, find_open, all), 0);
        assert_string_equal(all, expected);
}

/* A door that somebody has noted as open, to force it meanwhile, counts as shut: finding it open is news. */
/* Requirement: F10, F12 */
static void test_door_that_was_noted_as_open_by_somebody_else_counts_as_shut(void **state) {
        Place *p = *state;

        for (unsigned i = 1; i <= 3; i++) {
                char label[8];
                snprintf(label, sizeof(label), "0%u", i);
                assert_int_equal(
                        ledger_door_set(p->ledger, label, 0, i == 3 ? DOOR_SEEN_OPEN : DOOR_SEEN_SHUT), 0);
        }
        place_close(p);
        assert_int_equal(raw_sql(p->path, "UPDATE door SET seen = 'open'", false), SQLITE_OK);
        place_open(p);
        assert_non_null(strstr(ledger_tampering(p->ledger), "door 01/0, door 02/0"));
        assert_open(p->ledger, "03");
        /* What is seen replaces it. */
        assert_int_equal(ledger_door_set(p->ledger, "01", 0, DOOR_SEEN_OPEN), 0);
        assert_int_equal(ledger_door_set(p->ledger, "02", 0, DOOR_SEEN_SHUT), 0);
        place_close(p);
        place_open(p);
        assert_string_equal(ledger_tampering(p->ledger), "");
        assert_open(p->ledger, "0103");
}

/* Requirement: F10, F17 */
static void test_schema_that_is_not_the_one_that_was_made(void **state) {
        static const struct {
                const char *sql, *says;
                bool opens;
        } rows[] = {
                {"CREATE TRIGGER evil AFTER INSERT ON event BEGIN DELETE FROM lockout; END",
                 "trigger evil is not lockerd's", false},
                {"CREATE VIEW evil AS SELECT * FROM parcel", "view evil is not lockerd's", false},
                {"CREATE TABLE evil (a)", "table evil is not lockerd's", false},
                {"DROP INDEX parcel_place", "index parcel_place is missing", false},
                {"DROP TRIGGER reminder_begin; CREATE TRIGGER reminder_begin AFTER UPDATE OF state ON parcel "
                 "BEGIN "
                 "DELETE FROM lockout; END",
                 "trigger reminder_begin is not what", false},
                {"DROP TRIGGER audit_no_update", "trigger audit_no_update is missing", true},
        };
        Place *p = *state;

        place_close(p);
        for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *copy = text_printf("%s/copy.db", p->directory);
                bool opens;

                /* It is compared as a whole once, and by its hash from then on. */
                if (i == ARRAY_SIZE(rows)) {
                        assert_int_equal(
                                raw_number(p->path, "SELECT count(*) FROM meta WHERE key = 'schema'"), 0);
                        place_open(p);
                        place_close(p);
                        assert_int_equal(
                                raw_number(p->path, "SELECT count(*) FROM meta WHERE key = 'schema'"), 1);
                }

                const __typeof__(rows[0]) *row = &rows[i % ARRAY_SIZE(rows)];
                (void)unlink(copy);
                copy_file(p->path, copy);
                assert_int_equal(raw_sql(copy, row->sql, false), SQLITE_OK);
                _cleanup_free_ char *found = opened(copy, &opens);
                assert_int_equal(opens, row->opens);
                if (!strstr(found, row->says))
                        fail_msg("\"%s\" instead of \"%s\"", found, row->says);
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_ledger, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_every_column_of_every_sealed_table),
                TEST(test_rows_that_are_removed_added_moved_copied_and_put_back),
                TEST(test_old_row_that_is_put_back_is_found),
                TEST(test_nobody_opens_by_a_changed_row),
                TEST(test_consent_that_was_changed_proves_nothing),
                TEST(test_door_that_was_noted_as_open_by_somebody_else_counts_as_shut),
                TEST(test_movement_that_was_invented_explains_nothing),
                TEST(test_schema_that_is_not_the_one_that_was_made),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
