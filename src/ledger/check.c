/* SPDX-License-Identifier: Apache-2.0 */
/* Checks whose time grows with the history: read-only, on a separate connection, for use in another
 * process. */
#include "base/text.h"
#include "ledger/sql.h"

#include <errno.h>

int check_pragma(sqlite3 *db, const char *pragma, char **ret_detail) {
        sqlite3_stmt *stmt = NULL;
        int r = 0;

        int rc = sqlite3_prepare_v2(db, pragma, -1, &stmt, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW)
                r = rc == SQLITE_DONE ? -EIO : sql_errno(db, rc);
        else {
                const char *answer = (const char *)sqlite3_column_text(stmt, 0);
                if (!answer || !streq(answer, "ok")) {
                        r = -EUCLEAN;
                        *ret_detail = text_printf("%s", answer ? answer : "no answer");
                }
        }
        if (r < 0 && r != -EUCLEAN)
                *ret_detail = text_printf("%s", sqlite3_errmsg(db));
        else if (r < 0 && !*ret_detail)
                *ret_detail = text_printf("%s", sqlite3_errmsg(db));
        sqlite3_finalize(stmt);
        return r;
}

static int open_readonly(const char *path, const char *options, sqlite3 **ret) {
        /* In a URI '?', '#' and '%' mean something. */
        char *uri = sqlite3_mprintf("file:");
        sqlite3 *db = NULL;

        for (const char *p = path; uri && *p; p++) {
                char *longer = strchr("?#%", *p) ? sqlite3_mprintf("%z%%%02x", uri, (unsigned char)*p)
                                                 : sqlite3_mprintf("%z%c", uri, *p);
                uri = longer;
        }
        if (uri)
                uri = sqlite3_mprintf("%z%s", uri, options);
        if (!uri)
                return -ENOMEM;
        int rc =
                sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
        sqlite3_free(uri);
        if (rc == SQLITE_OK) {
                sqlite3_extended_result_codes(db, 1);
                sqlite3_busy_timeout(db, 5000);
                rc = sqlite3_exec(db,
                                  "PRAGMA cache_size = -1024; PRAGMA mmap_size = 0; BEGIN; SELECT count(*) "
                                  "FROM sqlite_schema",
                                  NULL, NULL, NULL);
        }
        if (rc == SQLITE_OK) {
                *ret = db;
                return 0;
        }
        int r = db ? sql_errno(db, rc) : -ENOMEM;
        if ((rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_READONLY)
                r = -EROFS;
        sqlite3_close(db);
        return r;
}

int check_open(const char *path, sqlite3 **ret, char **ret_detail) {
        if (access(path, R_OK) < 0) {
                int r = -errno;
                *ret_detail = text_printf("%s: %s", path, strerror(-r));
                return r;
        }
        /* A copy that nobody has open needs no locks, and must get no files beside it, which a reader could
         * not remove again; it may lie on a read-only medium. In that mode SQLite ignores a WAL, but where
         * the daemon runs there is one. */
        _cleanup_free_ char *wal = text_printf("%s-wal", path);
        if (!wal)
                return -ENOMEM;
        int r = open_readonly(path, access(wal, F_OK) < 0 ? "?immutable=1" : "", ret);
        if (r < 0)
                *ret_detail = text_printf("%s: %s", path,
                                          r == -EUCLEAN ? "not a ledger, or damaged at its beginning"
                                                        : strerror(-r));
        return r;
}

int ledger_check_file(const char *path, char **ret_detail) {
        _cleanup_free_ char *detail = NULL;
        sqlite3 *db = NULL;

        int r = check_open(path, &db, &detail);
        if (r >= 0)
                r = check_pragma(db, "PRAGMA integrity_check(1)", &detail);
        if (r >= 0) {
                sqlite3_stmt *stmt = NULL;
                int rc = sqlite3_prepare_v2(db, "PRAGMA foreign_key_check", -1, &stmt, NULL);
                if (rc == SQLITE_OK)
                        rc = sqlite3_step(stmt);
                if (rc == SQLITE_ROW) {
                        detail = text_printf("row %lld of table %s refers to a row that is not there",
                                             (long long)sqlite3_column_int64(stmt, 1),
                                             sqlite3_column_text(stmt, 0));
                        r = -EUCLEAN;
                } else if (rc != SQLITE_DONE)
                        r = sql_errno(db, rc);
                sqlite3_finalize(stmt);
        }
        sqlite3_close(db);
        if (r < 0 && ret_detail)
                *ret_detail = steal_ptr(detail);
        return r;
}
