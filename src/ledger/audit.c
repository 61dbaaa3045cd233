/* SPDX-License-Identifier: Apache-2.0 */
/* The audit chain: each row's hash covers the hash before it, its event, and who and why.
 *
 *   hash = SHA-256( hash of the row before (the first: meta's audit-genesis)
 *                   ‖ u64 sequence ‖ i64 wall µs ‖ u8 synced ‖ text actor ‖ text type ‖ text subject ‖ text
 * reason ‖ text data )
 *
 * Numbers are big-endian. A text is its length as u32 and its bytes; one that is absent is the length
 * 0xffffffff alone. It can be recomputed with standard tools; a rewritten end of the chain is detected by
 * comparison with a head that was kept elsewhere. */
#include "base/text.h"
#include "ledger/audit.h"
#include "ledger/sql.h"

#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <openssl/evp.h>
#include <stdio.h>

#define CHECKED_AT_START 32

static bool add(EVP_MD_CTX *ctx, const void *data, size_t n) {
        return EVP_DigestUpdate(ctx, data, n) == 1;
}

static bool add_u64(EVP_MD_CTX *ctx, uint64_t v) {
        uint64_t big = htobe64(v);

        return add(ctx, &big, sizeof(big));
}

static bool add_text(EVP_MD_CTX *ctx, const char *text) {
        size_t n = text ? strlen(text) : 0;
        uint32_t big = htobe32(text ? (uint32_t)n : UINT32_MAX);

        return add(ctx, &big, sizeof(big)) && (n == 0 || add(ctx, text, n));
}

int audit_hash(const AuditRow *row, const uint8_t previous[HASH_SIZE], uint8_t ret[HASH_SIZE]) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        const uint8_t synced = row->synced;

        if (!ctx)
                return -ENOMEM;
        bool ok = EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 && add(ctx, previous, HASH_SIZE) &&
                  add_u64(ctx, row->sequence) && add_u64(ctx, (uint64_t)row->wall) && add(ctx, &synced, 1) &&
                  add_text(ctx, row->actor) && add_text(ctx, row->type) && add_text(ctx, row->subject) &&
                  add_text(ctx, row->reason) && add_text(ctx, row->data) &&
                  EVP_DigestFinal_ex(ctx, ret, NULL) == 1;
        EVP_MD_CTX_free(ctx);
        return ok ? 0 : -EIO;
}

static int genesis(Ledger *l, uint8_t ret[HASH_SIZE]) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_META_GET);
        if (r < 0)
                return r;
        query_text(&q, 1, META_GENESIS);
        r = query_row(&q);
        if (r < 0)
                return r == -ENOENT ? -EUCLEAN : r;
        return column_bytes(&q, 0, ret, HASH_SIZE);
}

static int head(Ledger *l, uint64_t *ret_sequence, uint8_t ret_hash[HASH_SIZE]) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_AUDIT_HEAD);
        if (r >= 0)
                r = query_step(&q);
        if (r < 0)
                return r;
        if (r == 0) {
                *ret_sequence = 0;
                return genesis(l, ret_hash);
        }
        *ret_sequence = column_u64(&q, 0);
        return column_bytes(&q, 1, ret_hash, HASH_SIZE);
}

int audit_append(Ledger *l, const AuditRow *row) {
        _cleanup_query_ Query q = {0};
        uint8_t previous[HASH_SIZE], hash[HASH_SIZE];
        uint64_t sequence;

        int r = head(l, &sequence, previous);
        if (r < 0)
                return r;
        /* Every later verification would report a gap as a deletion. */
        if (sequence + 1 != row->sequence)
                return -EUCLEAN;
        r = audit_hash(row, previous, hash);
        if (r >= 0)
                r = query_begin(&q, l, SQL_AUDIT_INSERT);
        if (r < 0)
                return r;
        query_u64(&q, 1, row->sequence);
        query_text(&q, 2, row->actor);
        query_text(&q, 3, row->reason);
        query_blob(&q, 4, hash, sizeof(hash));
        return query_run(&q);
}

void audit_head_format(uint64_t sequence, const uint8_t hash[HASH_SIZE], char ret[AUDIT_HEAD_MAX]) {
        int n = snprintf(ret, AUDIT_HEAD_MAX, "%llu:", (unsigned long long)sequence);

        text_to_hex(hash, HASH_SIZE, ret + n);
}

int ledger_audit_head(Ledger *l, char ret[AUDIT_HEAD_MAX]) {
        uint8_t hash[HASH_SIZE];
        uint64_t sequence;

        int r = head(l, &sequence, hash);
        if (r >= 0)
                audit_head_format(sequence, hash, ret);
        return r;
}

/* --- Verification: the same for the newest rows at start and for the whole file
 * -------------------------------------- */

typedef struct Chain {
        uint64_t next; /* sequence number of the next row */
        bool anchored; /* hash is that of the row before */
        uint8_t hash[HASH_SIZE];
} Chain;

_printf_(2, 3) static int broken(char **ret_detail, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        *ret_detail = text_vprintf(format, ap);
        va_end(ap);
        return -EUCLEAN;
}

/* stmt: AUDIT_ROWS on a row */
static int chain_row(Chain *c, sqlite3_stmt *stmt, char **ret_detail) {
        const AuditRow row = {
                .sequence = (uint64_t)sqlite3_column_int64(stmt, 0),
                .wall = sqlite3_column_int64(stmt, 1),
                .synced = sqlite3_column_int(stmt, 2) != 0,
                .type = (const char *)sqlite3_column_text(stmt, 3),
                .subject = (const char *)sqlite3_column_text(stmt, 4),
                .data = (const char *)sqlite3_column_text(stmt, 5),
                .actor = (const char *)sqlite3_column_text(stmt, 6),
                .reason = (const char *)sqlite3_column_text(stmt, 7),
        };
        const void *stored = sqlite3_column_blob(stmt, 8);
        uint8_t hash[HASH_SIZE];

        if (row.sequence != c->next)
                return broken(ret_detail, "row %llu is missing", (unsigned long long)c->next);
        if (!stored || sqlite3_column_bytes(stmt, 8) != HASH_SIZE)
                return broken(ret_detail, "row %llu has an event but no audit row",
                              (unsigned long long)c->next);
        if (c->anchored) {
                int r = audit_hash(&row, c->hash, hash);
                if (r < 0)
                        return r;
                if (memcmp(hash, stored, HASH_SIZE) != 0)
                        return broken(ret_detail, "row %llu is not what was written",
                                      (unsigned long long)c->next);
        }
        memcpy(c->hash, stored, HASH_SIZE);
        c->anchored = true;
        c->next++;
        return 0;
}

static int chain_walk(Chain *c, sqlite3 *db, sqlite3_stmt *stmt, char **ret_detail) {
        int rc;

        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
                int r = chain_row(c, stmt, ret_detail);
                if (r < 0)
                        return r;
        }
        return sql_errno(db, rc);
}

/* Columns of AUDIT_BOUNDS. Event and audit rows come in pairs, from 1 on, and the counter of sequence numbers
 * says how many there were. */
static int chain_bounds(sqlite3_stmt *stmt, uint64_t *ret_last, char **ret_detail) {
        uint64_t event = (uint64_t)sqlite3_column_int64(stmt, 0),
                 audit = (uint64_t)sqlite3_column_int64(stmt, 1);
        uint64_t first = (uint64_t)sqlite3_column_int64(stmt, 2),
                 given = (uint64_t)sqlite3_column_int64(stmt, 3);

        if (event != given)
                return broken(ret_detail, "%llu events were written, the last one here is %llu",
                              (unsigned long long)given, (unsigned long long)event);
        if (event != audit || first != 1)
                return broken(ret_detail, "events end at %llu, audit rows are %llu to %llu",
                              (unsigned long long)event, (unsigned long long)first,
                              (unsigned long long)audit);
        *ret_last = event;
        return 0;
}

int audit_check_head(Ledger *l, char **ret_detail) {
        Chain c = {.next = 1};
        uint64_t last = 0;
        _cleanup_query_ Query bounds = {0}, rows = {0};

        int r = query_begin(&bounds, l, SQL_AUDIT_BOUNDS);
        if (r >= 0)
                r = query_row(&bounds);
        if (r >= 0)
                r = chain_bounds(bounds.stmt, &last, ret_detail);
        if (r < 0)
                return r;
        /* Starts with the hash of the row before the checked ones, or the genesis. */
        if (last > CHECKED_AT_START)
                c.next = last - CHECKED_AT_START;
        else {
                r = genesis(l, c.hash);
                if (r < 0)
                        return r;
                c.anchored = true;
        }
        r = query_begin(&rows, l, SQL_AUDIT_ROWS);
        if (r < 0)
                return r;
        query_u64(&rows, 1, c.next);
        return chain_walk(&c, l->db, rows.stmt, ret_detail);
}

static int prepare_row(sqlite3 *db, Statement s, const char *text, sqlite3_stmt **ret) {
        int rc = sqlite3_prepare_v2(db, sql_text(s), -1, ret, NULL);

        if (rc == SQLITE_OK && text)
                rc = sqlite3_bind_text(*ret, 1, text, -1, SQLITE_STATIC);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(*ret);
        return rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? -EUCLEAN : sql_errno(db, rc);
}

static int verify(sqlite3 *db, Chain *c, char **ret_detail) {
        sqlite3_stmt *bounds = NULL, *start = NULL, *rows = NULL;
        uint64_t last = 0;

        int r = prepare_row(db, SQL_META_GET, META_GENESIS, &start);
        if (r >= 0 && sqlite3_column_bytes(start, 0) != HASH_SIZE)
                r = broken(ret_detail, "the beginning of the chain is missing");
        if (r >= 0) {
                memcpy(c->hash, sqlite3_column_blob(start, 0), HASH_SIZE);
                int rc = sqlite3_prepare_v2(db, sql_text(SQL_AUDIT_ROWS), -1, &rows, NULL);
                if (rc == SQLITE_OK)
                        rc = sqlite3_bind_int64(rows, 1, INT64_MIN);
                r = rc == SQLITE_OK ? chain_walk(c, db, rows, ret_detail) : sql_errno(db, rc);
        }
        if (r >= 0)
                r = prepare_row(db, SQL_AUDIT_BOUNDS, NULL, &bounds);
        if (r >= 0)
                r = chain_bounds(bounds, &last, ret_detail);
        sqlite3_finalize(bounds);
        sqlite3_finalize(start);
        sqlite3_finalize(rows);
        return r;
}

int ledger_audit_verify_file(const char *path, uint64_t *ret_rows, char ret_head[AUDIT_HEAD_MAX],
                             char **ret_detail) {
        Chain c = {.next = 1, .anchored = true};
        _cleanup_free_ char *detail = NULL;
        sqlite3 *db = NULL;

        int r = check_open(path, &db, &detail);
        if (r >= 0) {
                r = verify(db, &c, &detail);
                if (r < 0 && !detail)
                        detail = text_printf("%s: %s", path, sqlite3_errmsg(db));
        }
        sqlite3_close(db);
        if (r < 0 && ret_detail)
                *ret_detail = steal_ptr(detail);
        /* A broken chain has a last valid row as well: it shows the operator how far the trail can be
         * trusted. */
        if (r < 0 && r != -EUCLEAN)
                return r;
        if (ret_rows)
                *ret_rows = c.next - 1;
        if (ret_head)
                audit_head_format(c.next - 1, c.hash, ret_head);
        return r;
}
