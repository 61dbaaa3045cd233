/* SPDX-License-Identifier: Apache-2.0 */
/* The audit chain: each row's hash covers the hash before it, its event, and who and why.
 *
 *   digest = SHA-256( hash of the row before (the first: meta's audit-genesis)
 *                     ‖ u64 sequence ‖ i64 wall µs ‖ u8 synced ‖ text actor ‖ text type ‖ text subject
 *                     ‖ text reason ‖ text data )
 *   hash   = HMAC-SHA-256( audit key, digest )
 *
 * Numbers are big-endian. A text is its length as u32 and its bytes; one that is absent is the length
 * 0xffffffff alone. Only who has the cabinet's key can write a row, or write one anew.
 *
 * Up to schema 10 the hash was the digest. These rows stay as they are, because their heads are kept
 * elsewhere; meta's audit-keyed says from which row on the chain is keyed, and is a keyed hash of the hash
 * before that row, so that what came before is fixed, too:
 *
 *   audit-keyed = u64 sequence ‖ HMAC( audit key, "since" ‖ u64 sequence ‖ hash before it )
 *
 * The row "audit" of table sealed says where the chain ends, so that an end that is cut off is found unless
 * an old copy of that row is put back:
 *
 *   state = u64 sequence ‖ hash ‖ HMAC( audit key, "head " ‖ u64 sequence ‖ hash )
 *
 * That is found by comparison with a head that was kept elsewhere. */
#include "base/text.h"
#include "ledger/audit.h"
#include "ledger/sql.h"

#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECKED_AT_START 32
#define ANCHOR_SIZE      (8 + VAULT_MAC_SIZE)
#define END_SIZE         (8 + HASH_SIZE + VAULT_MAC_SIZE)
#define NOT_KEYED        UINT64_MAX

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

int audit_digest(const AuditRow *row, const uint8_t previous[HASH_SIZE], uint8_t ret[HASH_SIZE]) {
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

int audit_hash(const Vault *v, const AuditRow *row, const uint8_t previous[HASH_SIZE],
               uint8_t ret[HASH_SIZE]) {
        uint8_t digest[HASH_SIZE];
        int r = audit_digest(row, previous, digest);

        if (r >= 0)
                vault_mac(v, VAULT_AUDIT, digest, sizeof(digest), ret);
        return r;
}

/* number ‖ [hash ‖] HMAC( word ‖ number ‖ hash ): the beginning of what is keyed, and the end. */
static void sign_place(const Vault *v, const char word[5], uint64_t sequence, const uint8_t hash[HASH_SIZE],
                       uint8_t ret[VAULT_MAC_SIZE]) {
        uint8_t text[5 + 8 + HASH_SIZE];
        const uint64_t number = htobe64(sequence);

        memcpy(text, word, 5);
        memcpy(text + 5, &number, 8);
        memcpy(text + 13, hash, HASH_SIZE);
        vault_mac(v, VAULT_AUDIT, text, sizeof(text), ret);
}

static void make_anchor(const Vault *v, uint64_t since, const uint8_t before[HASH_SIZE],
                        uint8_t ret[ANCHOR_SIZE]) {
        const uint64_t number = htobe64(since);

        memcpy(ret, &number, 8);
        sign_place(v, "since", since, before, ret + 8);
}

static void make_end(const Vault *v, uint64_t sequence, const uint8_t hash[HASH_SIZE],
                     uint8_t ret[END_SIZE]) {
        const uint64_t number = htobe64(sequence);

        memcpy(ret, &number, 8);
        memcpy(ret + 8, hash, HASH_SIZE);
        sign_place(v, "head ", sequence, hash, ret + 8 + HASH_SIZE);
}

static uint64_t read_number(const void *bytes) {
        uint64_t number;

        memcpy(&number, bytes, sizeof(number));
        return be64toh(number);
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

int audit_mark_end(Ledger *l, uint64_t sequence, const uint8_t hash[HASH_SIZE]) {
        _cleanup_query_ Query q = {0};
        uint8_t end[END_SIZE];
        int r = query_begin(&q, l, SQL_AUDIT_END);

        if (r < 0)
                return r;
        make_end(l->vault, sequence, hash, end);
        query_blob(&q, 1, end, sizeof(end));
        return query_run(&q);
}

int audit_key(Ledger *l) {
        uint8_t hash[HASH_SIZE], anchor[ANCHOR_SIZE];
        uint64_t sequence;
        int r = head(l, &sequence, hash);

        if (r < 0)
                return r;
        make_anchor(l->vault, sequence + 1, hash, anchor);
        r = meta_set(l, META_AUDIT_KEYED, anchor, sizeof(anchor));
        return r < 0 ? r : audit_mark_end(l, sequence, hash);
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
        r = audit_hash(l->vault, row, previous, hash);
        if (r >= 0)
                r = query_begin(&q, l, SQL_AUDIT_INSERT);
        if (r < 0)
                return r;
        query_u64(&q, 1, row->sequence);
        query_text(&q, 2, row->actor);
        query_text(&q, 3, row->reason);
        query_blob(&q, 4, hash, sizeof(hash));
        r = query_run(&q);
        return r < 0 ? r : audit_mark_end(l, row->sequence, hash);
}

void audit_head_format(uint64_t sequence, const uint8_t hash[HASH_SIZE], char ret[AUDIT_HEAD_MAX]) {
        int n = snprintf(ret, AUDIT_HEAD_MAX, "%llu:", (unsigned long long)sequence);

        text_to_hex(hash, HASH_SIZE, ret + n);
}

static int audit_head_parse(const char *text, uint64_t *ret_sequence, uint8_t ret_hash[HASH_SIZE]) {
        char *end = NULL;

        errno = 0;
        if (!text || text[0] < '0' || text[0] > '9')
                return -EINVAL;
        unsigned long long sequence = strtoull(text, &end, 10);
        if (errno || *end != ':' || sequence > INT64_MAX || strlen(end + 1) != 2 * HASH_SIZE ||
            text_from_hex(end + 1, ret_hash, HASH_SIZE) < 0)
                return -EINVAL;
        *ret_sequence = sequence;
        return 0;
}

bool ledger_is_audit_head(const char *text) {
        uint8_t hash[HASH_SIZE];
        uint64_t sequence;

        return audit_head_parse(text, &sequence, hash) >= 0;
}

int ledger_audit_head(Ledger *l, char ret[AUDIT_HEAD_MAX]) {
        uint8_t hash[HASH_SIZE];
        uint64_t sequence;

        int r = head(l, &sequence, hash);
        if (r >= 0)
                audit_head_format(sequence, hash, ret);
        return r;
}

/* --- Verification: the same for the newest rows at start and for the whole file --- */

typedef struct Chain {
        sqlite3 *db;
        const Vault *vault;
        uint64_t next; /* sequence number of the next row */
        bool anchored; /* hash is that of the row before */
        uint8_t hash[HASH_SIZE];
        uint64_t keyed; /* the first keyed row; NOT_KEYED: none */
        uint8_t anchor[ANCHOR_SIZE];
        /* A head that was kept elsewhere: */
        bool compare;
        uint64_t kept;
        uint8_t kept_hash[HASH_SIZE];
} Chain;

_printf_(2, 3) static int broken(char **ret_detail, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        *ret_detail = text_vprintf(format, ap);
        va_end(ap);
        return -EUCLEAN;
}

/* After the row before c->next, or at the genesis. */
static int chain_compare(const Chain *c, char **ret_detail) {
        uint8_t mine[ANCHOR_SIZE];

        if (c->compare && c->kept == c->next - 1 && memcmp(c->hash, c->kept_hash, HASH_SIZE) != 0)
                return broken(
                        ret_detail,
                        "row %llu is not the one of the head that was given: the trail was written anew, "
                        "or an older ledger was restored since",
                        (unsigned long long)c->kept);
        if (c->next != c->keyed)
                return 0;
        make_anchor(c->vault, c->keyed, c->hash, mine);
        return CRYPTO_memcmp(mine, c->anchor, sizeof(mine)) == 0
                       ? 0
                       : broken(ret_detail, "what comes before row %llu is not what was written",
                                (unsigned long long)c->keyed);
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
                int r = c->next < c->keyed ? audit_digest(&row, c->hash, hash)
                                           : audit_hash(c->vault, &row, c->hash, hash);
                if (r < 0)
                        return r;
                if (CRYPTO_memcmp(hash, stored, HASH_SIZE) != 0)
                        return broken(ret_detail, "row %llu is not what was written",
                                      (unsigned long long)c->next);
        }
        memcpy(c->hash, stored, HASH_SIZE);
        c->anchored = true;
        c->next++;
        return chain_compare(c, ret_detail);
}

static int chain_walk(Chain *c, sqlite3_stmt *stmt, char **ret_detail) {
        int r = c->anchored ? chain_compare(c, ret_detail) : 0, rc = SQLITE_DONE;

        while (r >= 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
                r = chain_row(c, stmt, ret_detail);
        return r < 0 ? r : sql_errno(c->db, rc);
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

/* On a row, else -EUCLEAN. */
static int prepare_row(sqlite3 *db, Statement s, const char *text, sqlite3_stmt **ret) {
        int rc = sqlite3_prepare_v2(db, sql_text(s), -1, ret, NULL);

        if (rc == SQLITE_OK && text)
                rc = sqlite3_bind_text(*ret, 1, text, -1, SQLITE_STATIC);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(*ret);
        return rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? -EUCLEAN : sql_errno(db, rc);
}

static int read_blob(sqlite3 *db, Statement s, const char *text, void *ret, size_t n) {
        sqlite3_stmt *stmt = NULL;
        int r = prepare_row(db, s, text, &stmt);

        if (r >= 0 && (size_t)sqlite3_column_bytes(stmt, 0) != n)
                r = -EUCLEAN;
        if (r >= 0)
                memcpy(ret, sqlite3_column_blob(stmt, 0), n);
        sqlite3_finalize(stmt);
        return r;
}

/* What the meta rows say of the chain. */
static int chain_begin(Chain *c, int64_t version, char **ret_detail) {
        int r = read_blob(c->db, SQL_META_GET, META_GENESIS, c->hash, HASH_SIZE);

        if (r < 0)
                return r == -EUCLEAN ? broken(ret_detail, "the beginning of the chain is missing") : r;
        c->next = 1;
        c->anchored = true;
        c->keyed = NOT_KEYED;
        if (version < KEYED_SINCE)
                return 0;
        r = read_blob(c->db, SQL_META_GET, META_AUDIT_KEYED, c->anchor, ANCHOR_SIZE);
        if (r < 0)
                return r == -EUCLEAN
                               ? broken(ret_detail, "where the keyed part of the chain begins is missing")
                               : r;
        c->keyed = read_number(c->anchor);
        return 0;
}

/* After the last row. */
static int chain_end(const Chain *c, char **ret_detail) {
        uint8_t stored[END_SIZE], mine[END_SIZE];

        if (c->compare && c->kept >= c->next)
                return broken(
                        ret_detail,
                        "the trail ends at row %llu, before row %llu of the head that was given: its end "
                        "was cut off, or an older ledger was restored since",
                        (unsigned long long)c->next - 1, (unsigned long long)c->kept);
        if (c->keyed == NOT_KEYED)
                return 0;
        if (c->keyed > c->next)
                return broken(ret_detail, "what comes before row %llu is not what was written",
                              (unsigned long long)c->keyed);
        int r = read_blob(c->db, SQL_AUDIT_END_GET, NULL, stored, sizeof(stored));
        if (r < 0)
                return r == -EUCLEAN ? broken(ret_detail, "where the chain ends is missing") : r;
        make_end(c->vault, c->next - 1, c->hash, mine);
        if (CRYPTO_memcmp(mine, stored, sizeof(mine)) == 0)
                return 0;
        return broken(ret_detail, "the chain ends at row %llu, which is not where it was left (row %llu)",
                      (unsigned long long)c->next - 1, (unsigned long long)read_number(stored));
}

int audit_check_head(Ledger *l, char **ret_detail) {
        Chain c = {.db = l->db, .vault = l->vault};
        uint64_t last = 0;
        _cleanup_query_ Query bounds = {0}, rows = {0};

        int r = query_begin(&bounds, l, SQL_AUDIT_BOUNDS);
        if (r >= 0)
                r = query_row(&bounds);
        if (r >= 0)
                r = chain_bounds(bounds.stmt, &last, ret_detail);
        if (r >= 0)
                r = chain_begin(&c, ledger_schema_version(), ret_detail);
        if (r < 0)
                return r;
        /* Starts with the hash of the row before the checked ones, or the genesis. */
        if (last > CHECKED_AT_START) {
                c.next = last - CHECKED_AT_START;
                c.anchored = false;
        }
        r = query_begin(&rows, l, SQL_AUDIT_ROWS);
        if (r < 0)
                return r;
        query_u64(&rows, 1, c.next);
        r = chain_walk(&c, rows.stmt, ret_detail);
        return r < 0 ? r : chain_end(&c, ret_detail);
}

static int verify(Chain *c, char **ret_detail) {
        sqlite3_stmt *version = NULL, *bounds = NULL, *rows = NULL;
        uint64_t last = 0;

        int r = prepare_row(c->db, SQL_VERSION, NULL, &version);
        int64_t schema = r < 0 ? 0 : sqlite3_column_int64(version, 0);
        if (r >= 0)
                r = key_check_file(c->db, c->vault, schema, ret_detail);
        if (r >= 0)
                r = chain_begin(c, schema, ret_detail);
        if (r >= 0) {
                int rc = sqlite3_prepare_v2(c->db, sql_text(SQL_AUDIT_ROWS), -1, &rows, NULL);
                if (rc == SQLITE_OK)
                        rc = sqlite3_bind_int64(rows, 1, INT64_MIN);
                r = rc == SQLITE_OK ? chain_walk(c, rows, ret_detail) : sql_errno(c->db, rc);
        }
        if (r >= 0)
                r = prepare_row(c->db, SQL_AUDIT_BOUNDS, NULL, &bounds);
        if (r >= 0)
                r = chain_bounds(bounds, &last, ret_detail);
        if (r >= 0)
                r = chain_end(c, ret_detail);
        sqlite3_finalize(version);
        sqlite3_finalize(bounds);
        sqlite3_finalize(rows);
        return r;
}

int ledger_audit_verify_file(const char *path, const Vault *vault, const char *kept, uint64_t *ret_rows,
                             char ret_head[AUDIT_HEAD_MAX], char **ret_detail) {
        Chain c = {.vault = vault, .next = 1, .compare = kept};
        _cleanup_free_ char *detail = NULL;

        if (kept && audit_head_parse(kept, &c.kept, c.kept_hash) < 0)
                return -EINVAL;
        int r = check_open(path, &c.db, &detail);
        if (r >= 0) {
                r = verify(&c, &detail);
                if (r < 0 && !detail)
                        detail = text_printf("%s: %s", path, sqlite3_errmsg(c.db));
        }
        sqlite3_close(c.db);
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
