/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "ledger/audit.h"
#include "ledger/events.h"

#include <openssl/evp.h>

static void record(Ledger *l, const char *actor, const char *reason, const char *type, const char *data) {
        const Now now = at(3);

        assert_int_equal(ledger_record(l,
                                       &(Record){
                                               .actor = actor,
                                               .reason = reason,
                                               .type = type,
                                               .subject = "cabinet",
                                               .data = data,
                                       },
                                       &now, NULL),
                         0);
}

static void some_rows(Ledger *l) {
        for (int i = 0; i < 50; i++) {
                begin(l);
                record(l, "operator:anna", i % 2 ? "reason" : NULL, "slot.opened", "{\"slot\":\"1\"}");
                commit(l);
        }
}

static void test_audit_empty_ledger_verifies(void **state) {
        Place *p = *state;
        char head[AUDIT_HEAD_MAX], again[AUDIT_HEAD_MAX];
        uint64_t rows = 1;

        assert_int_equal(ledger_audit_head(p->ledger, head), 0);
        assert_int_equal(strncmp(head, "0:", 2), 0);
        assert_int_equal(strlen(head), 2 + 64);
        assert_int_equal(ledger_audit_verify_file(p->path, &rows, again, NULL), 0);
        assert_int_equal(rows, 0);
        assert_string_equal(head, again);
}

/* Requirement: F8, F10 */
static void test_audit_rows_verify_while_open_and_head_agrees(void **state) {
        Place *p = *state;
        char head[AUDIT_HEAD_MAX], again[AUDIT_HEAD_MAX];
        uint64_t rows = 0;

        some_rows(p->ledger);
        assert_int_equal(ledger_audit_head(p->ledger, head), 0);
        assert_int_equal(strncmp(head, "50:", 3), 0);
        assert_int_equal(ledger_audit_verify_file(p->path, &rows, again, NULL), 0);
        assert_int_equal(rows, 50);
        assert_string_equal(head, again);
        assert_int_equal(
                number(p->ledger,
                       "SELECT count(*) FROM audit WHERE actor = 'operator:anna' AND reason = 'reason'"),
                25);
}

/* The format, computed here a second time from its description. */
static void test_audit_hash_known_row_is_as_documented(void **state) {
        static const char bytes[] = "\0\0\0\0\0\0\0\1"
                                    "\0\0\0\0\0\0\0\2"
                                    "\1"
                                    "\0\0\0\3who"
                                    "\0\0\0\1t"
                                    "\0\0\0\1s"
                                    "\xff\xff\xff\xff"
                                    "\0\0\0\2{}";
        uint8_t message[HASH_SIZE + sizeof(bytes) - 1], expected[HASH_SIZE], previous[HASH_SIZE],
                got[HASH_SIZE];
        AuditRow row = {.sequence = 1,
                        .wall = 2,
                        .synced = true,
                        .type = "t",
                        .subject = "s",
                        .data = "{}",
                        .actor = "who"};

        memset(previous, 0xab, sizeof(previous));
        memcpy(message, previous, HASH_SIZE);
        memcpy(message + HASH_SIZE, bytes, sizeof(bytes) - 1);
        assert_int_equal(EVP_Digest(message, sizeof(message), expected, NULL, EVP_sha256(), NULL), 1);
        assert_int_equal(audit_hash(&row, previous, got), 0);
        assert_memory_equal(got, expected, HASH_SIZE);
        /* Absent and empty differ, and text does not move from one field into the next. */
        row.reason = "";
        assert_int_equal(audit_hash(&row, previous, got), 0);
        assert_memory_not_equal(got, expected, HASH_SIZE);
}

/* Requirement: F10 */
static void test_audit_any_field_changed_found_at_that_row(void **state) {
        static const struct {
                const char *sql, *detail;
        } cases[] = {
                {"UPDATE event SET wall = wall + 1 WHERE sequence = 7", "row 7 "},
                {"UPDATE event SET synced = 0 WHERE sequence = 7", "row 7 "},
                {"UPDATE event SET type = 'slot.closed' WHERE sequence = 7", "row 7 "},
                {"UPDATE event SET subject = 'slot:2' WHERE sequence = 7", "row 7 "},
                {"UPDATE event SET data = '{}' WHERE sequence = 7", "row 7 "},
                {"UPDATE audit SET actor = 'operator:bert' WHERE sequence = 7", "row 7 "},
                {"UPDATE audit SET reason = 'other' WHERE sequence = 7", "row 7 "},
                {"UPDATE audit SET reason = '' WHERE sequence = 7", "row 7 "},
                {"UPDATE audit SET reason = NULL WHERE sequence = 8", "row 8 "},
                {"UPDATE audit SET hash = zeroblob(32) WHERE sequence = 7", "row 7 "},
                {"UPDATE audit SET hash = zeroblob(32) WHERE sequence = 50", "row 50 "},
                {"UPDATE event SET data = '{}' WHERE sequence = 1", "row 1 "},
                {"DELETE FROM audit WHERE sequence = 7", "row 7 "},
                {"DELETE FROM audit WHERE sequence = 7; DELETE FROM event WHERE sequence = 7", "row 7 "},
                {"DELETE FROM audit WHERE sequence = 1; DELETE FROM event WHERE sequence = 1", "row 1 "},
                {"DELETE FROM audit WHERE sequence = 50; DELETE FROM event WHERE sequence = 50", "49"},
                {"DELETE FROM audit; DELETE FROM event", "50 events were written"},
                {"INSERT INTO audit VALUES (51, 'x', NULL, zeroblob(32))", "51"},
                {"INSERT INTO event VALUES (51, 1, 1, 'x', 'x', '{}')", "row 51 "},
                {"INSERT INTO event VALUES (0, 1, 1, 'x', 'x', '{}'); INSERT INTO audit VALUES (0, 'x', "
                 "NULL, zeroblob(32))",
                 "row 1 "},
                {"UPDATE meta SET value = zeroblob(32) WHERE key = 'audit-genesis'", "row 1 "},
                {"DELETE FROM meta", ""},
                /* Two rows change places. */
                {"UPDATE event SET sequence = -1 WHERE sequence = 7; UPDATE event SET sequence = 7 WHERE "
                 "sequence = 9; "
                 "UPDATE event SET sequence = 9 WHERE sequence = -1; UPDATE event SET wall = 1 WHERE "
                 "sequence = 7",
                 "row 7 "},
        };
        Place *p = *state;
        char copy[112];

        some_rows(p->ledger);
        place_close(p);
        snprintf(copy, sizeof(copy), "%s2", p->path);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *detail = NULL;
                copy_file(p->path, copy);
                assert_int_equal(ledger_audit_verify_file(copy, NULL, NULL, NULL), 0);
                assert_int_equal(raw_sql(copy, cases[i].sql, true), SQLITE_OK);
                if (ledger_audit_verify_file(copy, NULL, NULL, &detail) != -EUCLEAN)
                        fail_msg("not found: %s", cases[i].sql);
                if (!detail || !strstr(detail, cases[i].detail))
                        fail_msg("%s\nfound as: %s", cases[i].sql, detail);
        }
}

/* Who rewrites the end completely is found by a head kept elsewhere. */
/* Requirement: F10 */
static void test_audit_end_cut_off_with_counter_head_differs(void **state) {
        Place *p = *state;
        char head[AUDIT_HEAD_MAX], after[AUDIT_HEAD_MAX];

        some_rows(p->ledger);
        assert_int_equal(ledger_audit_head(p->ledger, head), 0);
        place_close(p);
        assert_int_equal(
                raw_sql(p->path,
                        "DELETE FROM audit WHERE sequence > 40; DELETE FROM event WHERE sequence > 40; "
                        "DELETE FROM outbox WHERE sequence > 40; UPDATE sqlite_sequence SET seq = 40 WHERE "
                        "name = 'event'",
                        true),
                SQLITE_OK);
        assert_int_equal(ledger_audit_verify_file(p->path, NULL, after, NULL), 0);
        assert_string_not_equal(head, after);
}

static void test_audit_and_events_changed_by_sql_refused(void **state) {
        static const char *const cases[] = {
                "UPDATE event SET data = '{}'",
                "DELETE FROM event",
                "UPDATE audit SET actor = 'x'",
                "DELETE FROM audit",
        };
        Place *p = *state;

        some_rows(p->ledger);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_int_equal(raw_sql(p->path, cases[i], false), SQLITE_CONSTRAINT_TRIGGER);
}

static void test_open_newest_audit_rows_changed_refused(void **state) {
        static const char *const cases[] = {
                "UPDATE event SET data = '[]' WHERE sequence = 50",
                "UPDATE audit SET actor = 'x' WHERE sequence = 30",
                "DELETE FROM audit WHERE sequence = 50",
                "DELETE FROM audit WHERE sequence = 50; DELETE FROM event WHERE sequence = 50",
        };
        Place *p = *state, q = *p;

        some_rows(p->ledger);
        place_close(p);
        snprintf(q.path, sizeof(q.path), "%s/copy", p->directory);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                copy_file(p->path, q.path);
                assert_int_equal(raw_sql(q.path, cases[i], true), SQLITE_OK);
                assert_refused(&q, 1, LEDGER_PROBLEM_DAMAGED);
        }
}

static void test_audit_verify_not_a_ledger_says_so(void **state) {
        Place *p = *state;
        char path[128];
        _cleanup_free_ char *a = NULL, *b = NULL;

        snprintf(path, sizeof(path), "%s/absent", p->directory);
        assert_int_equal(ledger_audit_verify_file(path, NULL, NULL, &a), -ENOENT);
        assert_non_null(a);
        write_file(path, "something else, long enough to be no database at all", 50);
        assert_int_equal(ledger_audit_verify_file(path, NULL, NULL, &b), -EUCLEAN);
        assert_non_null(b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_ledger, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_audit_empty_ledger_verifies),
                TEST(test_audit_rows_verify_while_open_and_head_agrees),
                cmocka_unit_test(test_audit_hash_known_row_is_as_documented),
                TEST(test_audit_any_field_changed_found_at_that_row),
                TEST(test_audit_end_cut_off_with_counter_head_differs),
                TEST(test_audit_and_events_changed_by_sql_refused),
                TEST(test_open_newest_audit_rows_changed_refused),
                TEST(test_audit_verify_not_a_ledger_says_so),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
