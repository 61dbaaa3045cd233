/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the ledger only: the connection, the statement cache, binding and reading. */
#pragma once

#include "ledger/audit.h"
#include "ledger/ledger.h"
#include "ledger/lineage.h"
#include "ledger/seals.h"
#include "ledger/statements.h"

#include <sqlite3.h>

#define SALT_SIZE 16
#define HASH_SIZE 32

typedef enum Scrub {
        SCRUB_NONE,
        SCRUB_NEXT, /* something sealed was deleted: the next checkpoint also empties the WAL */
        SCRUB_SOON, /* a person was erased: worth a checkpoint of its own */
} Scrub;

typedef struct Epoch {
        char name[EPOCH_LENGTH + 1];
        uint64_t since;
        EpochWhy why;
} Epoch;

struct Ledger {
        sqlite3 *db;
        Vault *vault;
        char *path;
        char *cabinet; /* whose it must be; NULL: anybody's */
        int lock_fd;
        bool cramped; /* no room for SQLite's shared index of the log: nobody else can read meanwhile */
        sqlite3_stmt *statements[SQL_MAX];
        bool in_transaction;
        int failure;   /* of the transaction: only a rollback is possible after it */
        int page_size; /* bytes */
        int wal_pages; /* in the WAL now, */
        int wal_done;  /* of which are in the file already, */
        int wal_force; /* and at which a commit moves them even if the daemon is not idle */
        Scrub scrub;
        Epoch *epochs; /* the oldest first, never empty */
        size_t n_epochs;
        bool epochs_stale; /* one began in the open transaction */
        bool had_wal;      /* before it was opened */
        int mark_fd;       /* the side file; -1: there is none */
        /* Events: recorded in the open transaction (0: none), in the ledger, in the side file. */
        uint64_t recorded, newest, marked;
        struct Seals *seals;    /* seals.c */
        bool locked, impatient; /* by another program; not to be waited for now */
        LedgerFinding finding;
        bool schema_is_right; /* was compared as a whole */
        bool unsettled;       /* no epoch has begun since */
        uint64_t told;
};

int ledger_wait_for_lock(void *userdata, int n); /* of SQLite, while another program has it locked */

#define WORTH_A_CHECKPOINT (800 * 1024)      /* bytes */
#define FORCED_CHECKPOINT  (4 * 1024 * 1024) /* bytes */
static inline int ledger_pages(const Ledger *l, int bytes) {
        return bytes / l->page_size;
}

/* schema.c: -EUCLEAN with a detail; *ret_missing (fresh memory): what is missing without harm. */
int schema_check(Ledger *l, int version, char **ret_missing, char **ret_detail);
void schema_remember(Ledger *l);

/* mark.c */
int mark_look(Ledger *l); /* before anything opens the file */
int mark_open(Ledger *l);
void mark_committed(Ledger *l);
void mark_close(Ledger *l);

/* lineage.c */
int lineage_found(Ledger *l); /* in the migration that brings epochs */
int lineage_load(Ledger *l);
void lineage_done(Ledger *l);

/* ledger.c: statements and connection; the lock stays. */
void ledger_disconnect(Ledger *l);
/* ledger.c: SQLite calls it after every commit. */
int ledger_committed(void *userdata, sqlite3 *db, const char *database, int pages);

const char *sql_text(Statement s);
/* The negative errno for the last error of SQLite. */
int sql_errno(sqlite3 *db, int rc);
int sql_exec(sqlite3 *db, const char *sql);

/* A statement borrowed from the cache for a scope; nested use of a statement (by a callback) gets a
 * copy. Binding errors are kept and come out of query_step(). */
typedef struct Query {
        Ledger *ledger;
        sqlite3_stmt *stmt;
        bool copy;
        int error;
} Query;

int query_begin(Query *q, Ledger *l, Statement s);
void query_end(Query *q);
#define _cleanup_query_ _cleanup_(query_end)
/* 1: a row; 0: done. */
int query_step(Query *q);
/* For statements without rows. */
int query_run(Query *q);
/* A row, or -ENOENT. */
int query_row(Query *q);

/* Text and blobs must live until the step. */
void query_i64(Query *q, int i, int64_t v);
void query_u64(Query *q, int i, uint64_t v);
void query_time(Query *q, int i, int64_t v);               /* 0 → NULL */
void query_id(Query *q, int i, uint64_t v);                /* 0 → NULL */
void query_text(Query *q, int i, const char *v);           /* NULL → NULL */
void query_label(Query *q, int i, const char *v);          /* NULL or "" → NULL */
void query_blob(Query *q, int i, const void *v, size_t n); /* NULL → NULL */

/* NULL reads as 0. */
int64_t column_i64(const Query *q, int i);
uint64_t column_u64(const Query *q, int i);
const char *column_text(const Query *q, int i);                  /* until the next step; NULL → NULL */
int column_dup(const Query *q, int i, char **ret);               /* NULL → NULL */
int column_label(const Query *q, int i, char *ret, size_t room); /* NULL → ""; -EUCLEAN: does not fit */
/* Of rows that are sealed: whatever is too long somebody else has written. Their row is not believed, and
 * must keep nobody from reading the others. */
void column_label_cut(const Query *q, int i, char *ret, size_t room);
int column_bytes(const Query *q, int i, void *ret, size_t n); /* -EUCLEAN unless exactly n */

/* Several statements as one: they join the open transaction, or get their own. After a failure in
 * between, the joined transaction can only be rolled back. scope_end() returns r or the commit's error.
 */
int scope_begin(Ledger *l, bool *ret_own);
int scope_end(Ledger *l, bool own, int r);

/* Personal data as stored in the file. NULL stays NULL. */
typedef struct Sealed {
        uint8_t *data;
        size_t n;
} Sealed;
void sealed_done(Sealed *s);
#define _cleanup_sealed_ _cleanup_(sealed_done)
int sealed_make(Sealed *ret, const Vault *v, const char *label, const uint8_t *salt, const char *text);
int sealed_read(const Query *q, int i, const Vault *v, const char *label, const uint8_t *salt, char **ret);
/* The keyed hashes by which phone numbers are found; false: too few digits. */
bool phone_mac(const Vault *v, const char *phone, uint8_t ret[VAULT_MAC_SIZE]);
bool phone_tail_mac(const Vault *v, const char *phone, uint8_t ret[VAULT_MAC_SIZE]);

/* The audit chain. `row` has AUDIT_COLUMNS. */
typedef struct AuditRow {
        uint64_t sequence;
        int64_t wall;
        bool synced;
        const char *type, *subject, *data, *actor, *reason;
} AuditRow;
/* Of a row from before the chain was keyed, and since. */
int audit_digest(const AuditRow *row, const uint8_t previous[HASH_SIZE], uint8_t ret[HASH_SIZE]);
int audit_hash(const Vault *v, const AuditRow *row, const uint8_t previous[HASH_SIZE],
               uint8_t ret[HASH_SIZE]);
/* In the migration to KEYED_SINCE: from here on the chain is keyed. */
int audit_key(Ledger *l);
int audit_mark_end(Ledger *l, uint64_t sequence, const uint8_t hash[HASH_SIZE]);
int audit_append(Ledger *l, const AuditRow *row);
/* Checks the newest rows; -EUCLEAN with a detail. */
int audit_check_head(Ledger *l, char **ret_detail);
void audit_head_format(uint64_t sequence, const uint8_t hash[HASH_SIZE], char ret[AUDIT_HEAD_MAX]);

/* check.c: runs a pragma that returns "ok" or errors, e.g. "PRAGMA quick_check(parcel)". */
int check_pragma(sqlite3 *db, const char *pragma, char **ret_detail);
int check_open(const char *path, sqlite3 **ret, char **ret_detail);
#define APPLICATION_ID   0x4c6b7244 /* "LkrD" */
#define META_KEY_CHECK   "key-check"
#define META_GENESIS     "audit-genesis"
#define META_CABINET     "cabinet"
#define META_SCHEMA      "schema"
#define META_AUDIT_KEYED "audit-keyed"
#define KEYED_SINCE      11 /* the migration that makes the audit chain keyed */

/* Whose key, and is the version the one that was written? -EKEYREJECTED, -EUCLEAN with a detail. */
int key_check_file(sqlite3 *db, const Vault *v, int64_t version, char **ret_detail);

int meta_set(Ledger *l, const char *key, const void *value, size_t n);
int meta_get_text(Ledger *l, const char *key, char **ret); /* -ENOENT */
