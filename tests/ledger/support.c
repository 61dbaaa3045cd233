/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "ledger/audit.h"
#include "ledger/codes.h"
#include "ledger/events.h"
#include "ledger/movements.h"
#include "ledger/parcels.h"
#include "ledger/slots.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

int setup_directory(void **state) {
        Place *p = calloc(1, sizeof(*p));
        const char *tmp = getenv("TMPDIR");

        if (!p)
                return -1;
        snprintf(p->directory, sizeof(p->directory), "%.40s/ledger-XXXXXX", tmp ? tmp : "/tmp");
        if (!mkdtemp(p->directory))
                return -1;
        snprintf(p->path, sizeof(p->path), "%s/ledger.db", p->directory);
        *state = p;
        return 0;
}

int setup_ledger(void **state) {
        if (setup_directory(state) < 0)
                return -1;
        place_open(*state);
        return 0;
}

int teardown(void **state) {
        Place *p = *state;

        place_close(p);
        DIR *d = opendir(p->directory);
        for (struct dirent *e; d && (e = readdir(d));)
                (void)unlinkat(dirfd(d), e->d_name, 0);
        if (d)
                closedir(d);
        int r = rmdir(p->directory);
        free(p);
        return r;
}

Vault *test_vault(uint8_t first_byte) {
        const uint8_t key[VAULT_KEY_SIZE] = {first_byte, 2, 3};
        Vault *v = NULL;

        assert_int_equal(vault_new(&v, key), 0);
        return v;
}

void place_open(Place *p) {
        LedgerProblem problem;
        _cleanup_free_ char *detail = NULL;

        int r = ledger_open(&p->ledger, p->path, test_vault(1), &problem, &detail);
        if (r < 0)
                fail_msg("%s: %s (%s)", strerror(-r), detail, ledger_problem_sentence(problem));
        assert_int_equal(problem, LEDGER_PROBLEM_NONE);
}

void place_close(Place *p) {
        ledger_free(p->ledger);
        p->ledger = NULL;
}

void assert_refused(Place *p, uint8_t key, LedgerProblem problem) {
        _cleanup_(vault_freep) Vault *v = test_vault(key);
        _cleanup_free_ char *detail = NULL;
        LedgerProblem got = LEDGER_PROBLEM_NONE;
        Ledger *l = NULL;

        assert_true(ledger_open(&l, p->path, v, &got, &detail) < 0);
        assert_null(l);
        if (got != problem)
                fail_msg("problem %d instead of %d: %s", (int)got, (int)problem, detail);
        assert_non_null(detail);
        assert_non_null(strstr(detail, p->directory));
}

Now at(int64_t seconds) {
        return (Now){
                .boot_usec = (uint64_t)seconds * USEC_PER_SEC,
                .wall_usec = INT64_C(1700000000000000) + seconds * (int64_t)USEC_PER_SEC,
                .synced = true,
        };
}

void begin(Ledger *l) {
        assert_int_equal(ledger_begin(l), 0);
}

void commit(Ledger *l) {
        assert_int_equal(ledger_commit(l), 0);
}

int raw_sql(const char *path, const char *sql, bool force) {
        sqlite3 *db = NULL;

        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        if (force)
                assert_int_equal(sqlite3_exec(db,
                                              "DROP TRIGGER event_no_update; DROP TRIGGER event_no_delete;"
                                              "DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete;",
                                              NULL, NULL, NULL),
                                 SQLITE_OK);
        sqlite3_exec(db, sql, NULL, NULL, NULL);
        int rc = sqlite3_extended_errcode(db);
        sqlite3_close(db);
        return rc;
}

void audit_rewrite(const char *path, const Vault *v) {
        sqlite3_stmt *s = NULL, *rows = NULL, *put = NULL;
        uint8_t hash[HASH_SIZE];
        sqlite3 *db = NULL;

        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, sql_text(SQL_META_GET), -1, &s, NULL), SQLITE_OK);
        sqlite3_bind_text(s, 1, META_GENESIS, -1, SQLITE_STATIC);
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        memcpy(hash, sqlite3_column_blob(s, 0), HASH_SIZE);
        sqlite3_finalize(s);
        assert_int_equal(sqlite3_prepare_v2(db, sql_text(SQL_AUDIT_ROWS), -1, &rows, NULL), SQLITE_OK);
        assert_int_equal(
                sqlite3_prepare_v2(db, "UPDATE audit SET hash = ?2 WHERE sequence = ?1", -1, &put, NULL),
                SQLITE_OK);
        sqlite3_bind_int64(rows, 1, 0);
        while (sqlite3_step(rows) == SQLITE_ROW) {
                const AuditRow row = {
                        .sequence = (uint64_t)sqlite3_column_int64(rows, 0),
                        .wall = sqlite3_column_int64(rows, 1),
                        .synced = sqlite3_column_int(rows, 2),
                        .type = (const char *)sqlite3_column_text(rows, 3),
                        .subject = (const char *)sqlite3_column_text(rows, 4),
                        .data = (const char *)sqlite3_column_text(rows, 5),
                        .actor = (const char *)sqlite3_column_text(rows, 6),
                        .reason = (const char *)sqlite3_column_text(rows, 7),
                };
                assert_int_equal(v ? audit_hash(v, &row, hash, hash) : audit_digest(&row, hash, hash), 0);
                sqlite3_bind_int64(put, 1, (sqlite3_int64)row.sequence);
                sqlite3_bind_blob(put, 2, hash, HASH_SIZE, SQLITE_STATIC);
                assert_int_equal(sqlite3_step(put), SQLITE_DONE);
                sqlite3_reset(put);
        }
        sqlite3_finalize(rows);
        sqlite3_finalize(put);
        sqlite3_close(db);
}

#define NO_UPDATE                                                                                        \
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit is " \
        "never "                                                                                         \
        "changed'); END"

void place_undo(Place *p, const char *sql) {
        _cleanup_(vault_freep) Vault *v = test_vault(1);
        uint8_t proof[VAULT_MAC_SIZE];
        char hex[2 * sizeof(proof) + 1];

        place_close(p);
        vault_mac(v, VAULT_CHECK, "lockerd ledger", 14, proof);
        text_to_hex(proof, sizeof(proof), hex);
        _cleanup_free_ char *proofs =
                text_printf("UPDATE meta SET value = x'%s' WHERE key = 'key-check'", hex);
        assert_int_equal(raw_sql(p->path, "DROP TRIGGER audit_no_update", false), SQLITE_OK);
        audit_rewrite(p->path, NULL);
        assert_int_equal(raw_sql(p->path, NO_UPDATE, false), SQLITE_OK);
        assert_int_equal(raw_sql(p->path, proofs, false), SQLITE_OK);
        assert_int_equal(raw_sql(p->path, sql, false), SQLITE_OK);
}

static int64_t number_of(sqlite3 *db, const char *sql) {
        sqlite3_stmt *s = NULL;

        if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK || sqlite3_step(s) != SQLITE_ROW)
                fail_msg("%s: %s", sql, sqlite3_errmsg(db));
        int64_t v = sqlite3_column_int64(s, 0);
        sqlite3_finalize(s);
        return v;
}

int64_t raw_number(const char *path, const char *sql) {
        sqlite3 *db = NULL;

        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        int64_t v = number_of(db, sql);
        sqlite3_close(db);
        return v;
}

int64_t number(Ledger *l, const char *sql) {
        return number_of(l->db, sql);
}

static bool one_file_contains(const char *path, const void *bytes, size_t n) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
                return false;
        _cleanup_free_ char *all = malloc((size_t)st.st_size);
        assert_non_null(all);
        assert_int_equal(read(fd, all, (size_t)st.st_size), st.st_size);
        return memmem(all, (size_t)st.st_size, bytes, n) != NULL;
}

bool file_contains(const char *path, const void *bytes, size_t n) {
        char wal[128];

        snprintf(wal, sizeof(wal), "%s-wal", path);
        return one_file_contains(path, bytes, n) || one_file_contains(wal, bytes, n);
}

void write_file(const char *path, const void *bytes, size_t n) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, bytes, n), n);
}

void copy_file(const char *from, const char *to) {
        _cleanup_close_ int fd = open(from, O_RDONLY | O_CLOEXEC);
        struct stat st;

        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        _cleanup_free_ char *all = malloc((size_t)st.st_size + 1);
        assert_non_null(all);
        assert_int_equal(read(fd, all, (size_t)st.st_size), st.st_size);
        write_file(to, all, (size_t)st.st_size);
}

static int record(Ledger *l, const char *type, uint64_t parcel, const char *secret) {
        char subject[32];
        const Now now = at(1);

        snprintf(subject, sizeof(subject), "parcel:%llu", (unsigned long long)parcel);
        return ledger_record(l,
                             &(Record){
                                     .actor = "courier:4711",
                                     .type = type,
                                     .subject = subject,
                                     .data = "{}",
                                     .secret = secret,
                             },
                             &now, NULL);
}

static int deposit_steps(Ledger *l, ParcelRow *p, const char *code) {
        const Now now = at(1);
        MovementRow m = {.action = "unlock", .why = "deposit", .actor = "courier:4711"};

        int r = ledger_parcel_insert(l, p);
        if (r < 0)
                return r;
        m.parcel = p->id;
        snprintf(m.slot, sizeof(m.slot), "%s", p->slot);
        r = ledger_movement_intend(l, &m, &now);
        if (r >= 0)
                r = ledger_position_used(l, p->slot, p->position);
        if (r >= 0)
                r = ledger_movement_settle(l, m.id, "released", &now);
        p->state = PARCEL_STORED;
        p->stored = now.wall_usec;
        if (r >= 0)
                r = ledger_parcel_update(l, p);
        if (r >= 0)
                r = ledger_code_set(l, p->id, code);
        return r < 0 ? r : record(l, "parcel.stored", p->id, "{\"code\":\"a secret\"}");
}

int64_t deposit(Ledger *l, const char *slot, unsigned position, const char *code) {
        ParcelRow p = {
                .state = PARCEL_DEPOSITING,
                .position = position,
                .size = "M",
                .recipient = (char *)"Wilhelmine Zauberberg",
                .phone = (char *)"+49 171 555 9876",
                .created = at(0).wall_usec,
                .expires = at(259200).wall_usec,
        };

        snprintf(p.slot, sizeof(p.slot), "%s", slot);
        int r = ledger_begin(l);
        if (r < 0)
                return r;
        r = deposit_steps(l, &p, code);
        if (r < 0) {
                ledger_rollback(l);
                return r;
        }
        r = ledger_commit(l);
        return r < 0 ? r : (int64_t)p.id;
}

int collect(Ledger *l, uint64_t parcel) {
        _cleanup_parcel_ ParcelRow p = {0};

        int r = ledger_begin(l);
        if (r < 0)
                return r;
        r = ledger_parcel_get(l, parcel, &p);
        if (r >= 0) {
                p.state = PARCEL_COLLECTING;
                r = ledger_parcel_update(l, &p);
        }
        if (r >= 0) {
                p.state = PARCEL_COLLECTED;
                p.ended = at(2).wall_usec;
                r = ledger_parcel_update(l, &p);
        }
        if (r >= 0)
                r = record(l, "parcel.collected", parcel, NULL);
        if (r < 0) {
                ledger_rollback(l);
                return r;
        }
        return ledger_commit(l);
}

void assert_consistent(const char *path) {
        _cleanup_free_ char *detail = NULL;
        char head[AUDIT_HEAD_MAX];
        uint64_t rows = 0;

        if (ledger_check_file(path, &detail) < 0)
                fail_msg("file: %s", detail);
        _cleanup_(vault_freep) Vault *v = test_vault(1);
        if (ledger_audit_verify_file(path, v, NULL, &rows, head, &detail) < 0)
                fail_msg("audit: %s", detail);
        /* Whoever is stored has exactly what was committed with it. */
        assert_int_equal(raw_number(path, "SELECT count(*) FROM parcel WHERE state <> 'stored'"), 0);
        assert_int_equal(
                raw_number(path,
                           "SELECT count(*) FROM parcel WHERE id NOT IN (SELECT parcel FROM pickup_code)"),
                0);
        assert_int_equal(
                raw_number(path,
                           "SELECT count(*) FROM pickup_code WHERE parcel NOT IN (SELECT id FROM parcel)"),
                0);
        assert_int_equal(raw_number(path, "SELECT count(*) FROM movement WHERE outcome IS NULL"), 0);
        assert_int_equal(
                raw_number(path,
                           "SELECT (SELECT count(*) FROM parcel) + (SELECT count(*) FROM parcel_history) - "
                           "(SELECT count(*) FROM movement)"),
                0);
        assert_int_equal(raw_number(path,
                                    "SELECT (SELECT count(*) FROM event WHERE type = 'parcel.stored') - "
                                    "(SELECT count(*) FROM movement)"),
                         0);
        assert_int_equal(raw_number(path,
                                    "SELECT (SELECT count(*) FROM event WHERE type = 'parcel.collected') - "
                                    "(SELECT count(*) FROM parcel_history)"),
                         0);
        assert_int_equal(
                raw_number(
                        path,
                        "SELECT count(*) FROM event WHERE sequence > coalesce((SELECT min(sequence) - 1 FROM "
                        "outbox), 0) AND sequence NOT IN (SELECT sequence FROM outbox)") *
                        raw_number(path, "SELECT count(*) > 0 FROM outbox"),
                0);
}
