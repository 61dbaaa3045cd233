/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/sql.h"

#include <errno.h>

const char *sql_text(Statement s) {
        static const char *const texts[SQL_MAX] = {
#define X(name, sql) [SQL_##name] = sql,
                STATEMENTS(X)
#undef X
        };
        return texts[s];
}

/* The system error behind an I/O error; SQLite does not keep it when a COMMIT failed. A quota or a file
 * size limit counts as a full disk. */
static int io_errno(sqlite3 *db) {
        int e = sqlite3_system_errno(db);

        if (e == 0)
                e = errno;
        if (e == ENOSPC || e == EDQUOT || e == EFBIG)
                return -ENOSPC;
        return -EIO;
}

int sql_errno(sqlite3 *db, int rc) {
        switch (rc) {
        case SQLITE_OK:
        case SQLITE_ROW:
        case SQLITE_DONE:
                return 0;
        case SQLITE_CONSTRAINT_UNIQUE:
        case SQLITE_CONSTRAINT_PRIMARYKEY:
        case SQLITE_CONSTRAINT_ROWID:
                return -EEXIST;
        case SQLITE_CONSTRAINT_FOREIGNKEY:
                return -ENOENT;
        case SQLITE_IOERR_NOMEM:
                return -ENOMEM;
        case SQLITE_IOERR_CORRUPTFS:
                return -EUCLEAN;
        }
        switch (rc & 0xff) {
        case SQLITE_CONSTRAINT:
                return -EINVAL;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return -EUCLEAN;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return -EBUSY;
        case SQLITE_READONLY:
                return -EROFS;
        case SQLITE_TOOBIG:
                return -E2BIG;
        case SQLITE_PERM:
        case SQLITE_AUTH:
                return -EACCES;
        }
        return io_errno(db);
}

int sql_exec(sqlite3 *db, const char *sql) {
        errno = 0;
        return sql_errno(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

/* Invalid input leaves a transaction as it was; any other error invalidates it. */
static int query_failed(Ledger *l, int rc) {
        int r = sql_errno(l->db, rc);

        if (l->in_transaction && (rc & 0xff) != SQLITE_CONSTRAINT)
                l->failure = r;
        return r;
}

int query_begin(Query *q, Ledger *l, Statement s) {
        sqlite3_stmt **cached = &l->statements[s];

        if (!l->db)
                return -EIO;
        if (l->in_transaction) {
                /* SQLite may have rolled back by itself: later statements would be committed without
                 * the earlier ones. */
                if (l->failure >= 0 && sqlite3_get_autocommit(l->db))
                        l->failure = -EIO;
                if (l->failure < 0)
                        return l->failure;
        }
        if (!*cached || sqlite3_stmt_busy(*cached)) {
                sqlite3_stmt *stmt = NULL;
                int rc = sqlite3_prepare_v3(l->db, sql_text(s), -1, *cached ? 0 : SQLITE_PREPARE_PERSISTENT,
                                            &stmt, NULL);
                if (rc != SQLITE_OK)
                        return query_failed(l, rc);
                if (*cached) {
                        *q = (Query){.ledger = l, .stmt = stmt, .copy = true};
                        return 0;
                }
                *cached = stmt;
        }
        *q = (Query){.ledger = l, .stmt = *cached};
        return 0;
}

void query_end(Query *q) {
        if (!q->stmt)
                return;
        if (q->copy)
                sqlite3_finalize(q->stmt);
        else {
                sqlite3_reset(q->stmt);
                sqlite3_clear_bindings(q->stmt);
        }
        q->stmt = NULL;
}

int query_step(Query *q) {
        if (q->error < 0)
                return q->error;
        errno = 0;
        int rc = sqlite3_step(q->stmt);
        if (rc == SQLITE_ROW)
                return 1;
        if (rc == SQLITE_DONE)
                return 0;
        return query_failed(q->ledger, rc);
}

int query_run(Query *q) {
        int r = query_step(q);

        return r < 0 ? r : 0;
}

int query_row(Query *q) {
        int r = query_step(q);

        if (r < 0)
                return r;
        return r == 0 ? -ENOENT : 0;
}

static void bound(Query *q, int rc) {
        if (rc != SQLITE_OK && q->error >= 0)
                q->error = query_failed(q->ledger, rc);
}

void query_i64(Query *q, int i, int64_t v) {
        bound(q, sqlite3_bind_int64(q->stmt, i, v));
}

void query_u64(Query *q, int i, uint64_t v) {
        bound(q, sqlite3_bind_int64(q->stmt, i, (int64_t)v));
}

void query_time(Query *q, int i, int64_t v) {
        bound(q, v ? sqlite3_bind_int64(q->stmt, i, v) : sqlite3_bind_null(q->stmt, i));
}

void query_id(Query *q, int i, uint64_t v) {
        query_time(q, i, (int64_t)v);
}

void query_text(Query *q, int i, const char *v) {
        bound(q, sqlite3_bind_text(q->stmt, i, v, -1, SQLITE_STATIC));
}

void query_label(Query *q, int i, const char *v) {
        query_text(q, i, v && v[0] ? v : NULL);
}

void query_blob(Query *q, int i, const void *v, size_t n) {
        bound(q, sqlite3_bind_blob64(q->stmt, i, v, n, SQLITE_STATIC));
}

int64_t column_i64(const Query *q, int i) {
        return sqlite3_column_int64(q->stmt, i);
}

uint64_t column_u64(const Query *q, int i) {
        return (uint64_t)sqlite3_column_int64(q->stmt, i);
}

const char *column_text(const Query *q, int i) {
        return (const char *)sqlite3_column_text(q->stmt, i);
}

int column_dup(const Query *q, int i, char **ret) {
        const char *text = column_text(q, i);
        char *copy = NULL;

        if (text) {
                copy = strdup(text);
                if (!copy)
                        return -ENOMEM;
        }
        *ret = copy;
        return 0;
}

int column_label(const Query *q, int i, char *ret, size_t room) {
        const char *text = column_text(q, i);
        size_t n = text ? strlen(text) : 0;

        if (n >= room)
                return -EUCLEAN;
        memcpy(ret, text ? text : "", n + 1);
        return 0;
}

void column_label_cut(const Query *q, int i, char *ret, size_t room) {
        const char *text = column_text(q, i);
        size_t n = text ? strnlen(text, room - 1) : 0;

        memcpy(ret, text ? text : "", n);
        ret[n] = 0;
}

int column_bytes(const Query *q, int i, void *ret, size_t n) {
        const void *data = sqlite3_column_blob(q->stmt, i);

        if (!data || (size_t)sqlite3_column_bytes(q->stmt, i) != n)
                return -EUCLEAN;
        memcpy(ret, data, n);
        return 0;
}

int scope_begin(Ledger *l, bool *ret_own) {
        bool own = !l->in_transaction;

        if (own) {
                int r = ledger_begin(l);
                if (r < 0)
                        return r;
        }
        *ret_own = own;
        return 0;
}

int scope_end(Ledger *l, bool own, int r) {
        if (r < 0) {
                if (own)
                        ledger_rollback(l);
                else
                        l->failure = r;
                return r;
        }
        if (!own)
                return r;
        int k = ledger_commit(l);
        return k < 0 ? k : r;
}
