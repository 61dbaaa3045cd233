/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "shim.h"
#include "ledger/audit.h"
#include "ledger/events.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

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

static int verified(const char *path, const char *kept, uint64_t *ret_rows, char *ret_head,
                    char **ret_detail) {
        _cleanup_(vault_freep) Vault *v = test_vault(1);

        return ledger_audit_verify_file(path, v, kept, ret_rows, ret_head, ret_detail);
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
        assert_int_equal(verified(p->path, NULL, &rows, again, NULL), 0);
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
        assert_int_equal(verified(p->path, NULL, &rows, again, NULL), 0);
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
        uint8_t message[HASH_SIZE + sizeof(bytes) - 1], digest[HASH_SIZE], expected[HASH_SIZE],
                previous[HASH_SIZE], got[HASH_SIZE];
        _cleanup_(vault_freep) Vault *v = test_vault(1), *other = test_vault(2);
        unsigned n = 0;
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
        assert_int_equal(EVP_Digest(message, sizeof(message), digest, NULL, EVP_sha256(), NULL), 1);
        assert_int_equal(audit_digest(&row, previous, got), 0);
        assert_memory_equal(got, digest, HASH_SIZE);
        assert_non_null(HMAC(EVP_sha256(), vault_key(v, VAULT_AUDIT), 32, digest, HASH_SIZE, expected, &n));
        assert_int_equal(audit_hash(v, &row, previous, got), 0);
        assert_memory_equal(got, expected, HASH_SIZE);
        assert_int_equal(audit_hash(other, &row, previous, got), 0);
        assert_memory_not_equal(got, expected, HASH_SIZE);
        /* Absent and empty differ, and text does not move from one field into the next. */
        row.reason = "";
        assert_int_equal(audit_hash(v, &row, previous, got), 0);
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
                assert_int_equal(verified(copy, NULL, NULL, NULL, NULL), 0);
                assert_int_equal(raw_sql(copy, cases[i].sql, true), SQLITE_OK);
                if (verified(copy, NULL, NULL, NULL, &detail) != -EUCLEAN)
                        fail_msg("not found: %s", cases[i].sql);
                if (!detail || !strstr(detail, cases[i].detail))
                        fail_msg("%s\nfound as: %s", cases[i].sql, detail);
        }
}

/* Requirement: F10 */
static void test_audit_chain_written_anew_without_the_key_is_found(void **state) {
        Place *p = *state, q = *p;
        _cleanup_(vault_freep) Vault *mine = test_vault(77);

        some_rows(p->ledger);
        place_close(p);
        snprintf(q.path, sizeof(q.path), "%s/copy", p->directory);
        for (int keyed = 0; keyed < 2; keyed++) {
                _cleanup_free_ char *detail = NULL;
                copy_file(p->path, q.path);
                assert_int_equal(raw_sql(q.path, "UPDATE event SET data = '[]' WHERE sequence = 7", true),
                                 SQLITE_OK);
                audit_rewrite(q.path, keyed ? mine : NULL);
                assert_int_equal(verified(q.path, NULL, NULL, NULL, &detail), -EUCLEAN);
                assert_non_null(strstr(detail, "row 1 "));
                assert_refused(&q, 1, LEDGER_PROBLEM_DAMAGED);
        }
}

#define CUT_OFF                                                                           \
        "DELETE FROM outbox WHERE sequence > 40; DELETE FROM audit WHERE sequence > 40; " \
        "DELETE FROM event WHERE sequence > 40; UPDATE sqlite_sequence SET seq = 40 WHERE name = 'event'; "

/* Requirement: F10 */
static void test_audit_end_cut_off_with_counter_is_found(void **state) {
        static const char *const ends[] = {"", "DELETE FROM sealed WHERE name = 'audit'",
                                           "UPDATE sealed SET state = zeroblob(72) WHERE name = 'audit'"};
        Place *p = *state, q = *p;

        some_rows(p->ledger);
        place_close(p);
        snprintf(q.path, sizeof(q.path), "%s/copy", p->directory);
        for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
                _cleanup_free_ char *detail = NULL, *sql = text_printf(CUT_OFF "%s", ends[i]);
                copy_file(p->path, q.path);
                assert_int_equal(raw_sql(q.path, sql, true), SQLITE_OK);
                assert_int_equal(verified(q.path, NULL, NULL, NULL, &detail), -EUCLEAN);
                assert_non_null(strstr(detail, "chain ends"));
                assert_refused(&q, 1, LEDGER_PROBLEM_DAMAGED);
        }
}

/* An old copy of the whole file is right in itself. */
/* Requirement: F10 */
static void test_audit_head_from_earlier_must_be_in_the_chain(void **state) {
        Place *p = *state;
        char first[AUDIT_HEAD_MAX], middle[AUDIT_HEAD_MAX], last[AUDIT_HEAD_MAX], forged[AUDIT_HEAD_MAX];
        _cleanup_free_ char *old = text_printf("%s/old", p->directory), *detail = NULL, *other = NULL;

        assert_int_equal(ledger_audit_head(p->ledger, first), 0);
        some_rows(p->ledger);
        assert_int_equal(ledger_audit_head(p->ledger, middle), 0);
        place_close(p);
        copy_file(p->path, old);
        place_open(p);
        some_rows(p->ledger);
        assert_int_equal(ledger_audit_head(p->ledger, last), 0);
        const char *const kept[] = {first, middle, last};
        for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
                char head[AUDIT_HEAD_MAX];
                assert_int_equal(verified(p->path, kept[i], NULL, head, NULL), 0);
                assert_string_equal(head, last);
        }
        assert_int_equal(verified(old, NULL, NULL, NULL, NULL), 0);
        assert_int_equal(verified(old, middle, NULL, NULL, NULL), 0);
        assert_int_equal(verified(old, last, NULL, NULL, &detail), -EUCLEAN);
        assert_non_null(strstr(detail, "ends at row 50, before row 100"));
        for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
                _cleanup_free_ char *why = NULL;
                memcpy(forged, kept[i], sizeof(forged));
                char *end = forged + strlen(forged) - 1;
                *end = *end == '0' ? '1' : '0';
                assert_int_equal(verified(p->path, forged, NULL, NULL, &why), -EUCLEAN);
                assert_non_null(strstr(why, "is not the one of the head that was given"));
        }
        static const char *const nonsense[] = {"", ":", "1", "1:", "1:ab", "x:", "99999999999999999999:"};
        for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++)
                assert_int_equal(verified(p->path, nonsense[i], NULL, NULL, NULL), -EINVAL);
        other = text_printf("%s0", last);
        assert_false(ledger_is_audit_head(other));
        assert_true(ledger_is_audit_head(last));
}

static void test_audit_another_key_verifies_nothing(void **state) {
        Place *p = *state;
        _cleanup_(vault_freep) Vault *v = test_vault(2);
        _cleanup_free_ char *detail = NULL;

        some_rows(p->ledger);
        assert_int_equal(ledger_audit_verify_file(p->path, v, NULL, NULL, NULL, &detail), -EKEYREJECTED);
        assert_non_null(strstr(detail, "another key"));
}

static void assert_upgraded(Place *p, const char *kept) {
        _cleanup_free_ char *detail = NULL;
        uint64_t rows = 0;

        place_open(p);
        assert_string_equal(ledger_tampering(p->ledger), "");
        assert_int_equal(number(p->ledger, "PRAGMA user_version"), ledger_schema_version());
        if (verified(p->path, kept, &rows, NULL, &detail) < 0)
                fail_msg("%s", detail);
        assert_true(rows >= 50);
}

/* Heads that were kept before are still those of these rows, what was written then is fixed, and what comes
 * is keyed. */
/* Requirement: F10 */
static void test_audit_chain_of_before_is_anchored_by_the_upgrade(void **state) {
        static const struct {
                const char *sql, *detail;
        } cases[] = {
                {"UPDATE event SET data = '[]' WHERE sequence = 7", "what comes before row 51 "},
                {"DELETE FROM meta WHERE key = 'audit-keyed'", "keyed part"},
                {"UPDATE meta SET value = CAST(x'0000000000000001' || substr(value, 9) AS BLOB) WHERE key = "
                 "'audit-keyed'",
                 ""},
                {"UPDATE meta SET value = CAST(x'0000000000000065' || substr(value, 9) AS BLOB) WHERE key = "
                 "'audit-keyed'",
                 ""},
                {"UPDATE meta SET value = CAST(x'00000000000000ff' || substr(value, 9) AS BLOB) WHERE key = "
                 "'audit-keyed'",
                 ""},
        };
        Place *p = *state, q = *p;
        char kept[AUDIT_HEAD_MAX];

        some_rows(p->ledger);
        place_undo(p, UNDO_SEALS "PRAGMA user_version = 9");
        assert_int_equal(verified(p->path, NULL, NULL, kept, NULL), 0);
        snprintf(q.path, sizeof(q.path), "%s/copy", p->directory);
        for (int more = 0; more < 2; more++) {
                assert_upgraded(p, kept);
                if (more)
                        some_rows(p->ledger);
                place_close(p);
                assert_upgraded(p, kept);
                place_close(p);
                for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                        _cleanup_free_ char *detail = NULL;
                        copy_file(p->path, q.path);
                        assert_int_equal(raw_sql(q.path, cases[i].sql, true), SQLITE_OK);
                        if (i == 0) /* and all hashes up to the first keyed row are made to fit */
                                audit_rewrite(q.path, NULL);
                        assert_int_equal(verified(q.path, NULL, NULL, NULL, &detail), -EUCLEAN);
                        if (!strstr(detail, cases[i].detail))
                                fail_msg("%s: %s", cases[i].sql, detail);
                }
        }
}

/* Requirement: F10, F4 */
static void test_power_cut_anywhere_in_the_upgrade_leaves_a_chain_that_holds(void **state) {
        Place *p = *state, q = *p;
        char kept[AUDIT_HEAD_MAX], wal[128];
        int n, hits = 1, upgraded = 0;

        some_rows(p->ledger);
        place_undo(p, UNDO_SEALS "PRAGMA user_version = 9");
        assert_int_equal(verified(p->path, NULL, NULL, kept, NULL), 0);
        q.ledger = NULL;
        snprintf(q.path, sizeof(q.path), "%s/copy", p->directory);
        snprintf(wal, sizeof(wal), "%s-wal", q.path);
        for (n = 1; hits > 0; n++) {
                _cleanup_(vault_freep) Vault *v = test_vault(1);
                LedgerProblem problem;

                (void)unlink(wal);
                copy_file(p->path, q.path);
                fault = (Fault){.countdown = n, .error = SQLITE_IOERR, .torn = true, .lasting = true};
                if (ledger_open(&q.ledger, q.path, v, &problem, NULL) >= 0)
                        v = NULL;
                /* As it lies there when the power goes. */
                hits = fault.hits;
                place_close(&q);
                fault = (Fault){0};
                if (raw_number(q.path, "PRAGMA user_version") == 9) {
                        char head[AUDIT_HEAD_MAX];
                        assert_int_equal(verified(q.path, NULL, NULL, head, NULL), 0);
                        assert_string_equal(head, kept);
                } else {
                        upgraded++;
                }
                assert_upgraded(&q, kept);
                some_rows(q.ledger);
                place_close(&q);
                assert_int_equal(verified(q.path, kept, NULL, NULL, NULL), 0);
        }
        assert_true(n > 10);
        assert_true(upgraded > 0 && upgraded < n - 1);
}

/* Requirement: F10 */
static void test_ledger_that_is_made_to_look_older_is_refused(void **state) {
        Place *p = *state;
        _cleanup_free_ char *detail = NULL;

        some_rows(p->ledger);
        place_close(p);
        assert_int_equal(raw_sql(p->path, UNDO_IDENTITY UNDO_KEYED "PRAGMA user_version = 10", true),
                         SQLITE_OK);
        audit_rewrite(p->path, NULL);
        assert_int_equal(verified(p->path, NULL, NULL, NULL, &detail), -EUCLEAN);
        assert_non_null(strstr(detail, "version"));
        assert_refused(p, 1, LEDGER_PROBLEM_DAMAGED);
        assert_int_equal(raw_number(p->path, "PRAGMA user_version"), 10);
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
        assert_int_equal(verified(path, NULL, NULL, NULL, &a), -ENOENT);
        assert_non_null(a);
        write_file(path, "something else, long enough to be no database at all", 50);
        assert_int_equal(verified(path, NULL, NULL, NULL, &b), -EUCLEAN);
        assert_non_null(b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_ledger, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_audit_empty_ledger_verifies),
                TEST(test_audit_rows_verify_while_open_and_head_agrees),
                cmocka_unit_test(test_audit_hash_known_row_is_as_documented),
                TEST(test_audit_any_field_changed_found_at_that_row),
                TEST(test_audit_chain_written_anew_without_the_key_is_found),
                TEST(test_audit_end_cut_off_with_counter_is_found),
                TEST(test_audit_head_from_earlier_must_be_in_the_chain),
                TEST(test_audit_another_key_verifies_nothing),
                TEST(test_audit_chain_of_before_is_anchored_by_the_upgrade),
                TEST(test_power_cut_anywhere_in_the_upgrade_leaves_a_chain_that_holds),
                TEST(test_ledger_that_is_made_to_look_older_is_refused),
                TEST(test_audit_and_events_changed_by_sql_refused),
                TEST(test_open_newest_audit_rows_changed_refused),
                TEST(test_audit_verify_not_a_ledger_says_so),
        };

        return cmocka_run_group_tests(tests, install_shim, NULL);
}
