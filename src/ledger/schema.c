/* SPDX-License-Identifier: Apache-2.0 */
/* Is the schema of the file the one that the migrations make? A trigger or a view that somebody has added
 * would be carried out by the daemon itself; an index that is missing would let two parcels into one place.
 */
#include "base/text.h"
#include "ledger/migrations.h"
#include "ledger/sql.h"

#include <ctype.h>
#include <errno.h>

/* Versions of SQLite may differ in blanks when they add a column. */
static bool same_text(const char *a, const char *b) {
        for (;;) {
                while (*a && isspace((unsigned char)*a))
                        a++;
                while (*b && isspace((unsigned char)*b))
                        b++;
                if (*a != *b)
                        return false;
                if (!*a)
                        return true;
                a++;
                b++;
        }
}

static int make_expected(int version, sqlite3 **ret) {
        int rc = sqlite3_open_v2(":memory:", ret,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

        for (int i = 0; rc == SQLITE_OK && i < version; i++)
                rc = sqlite3_exec(*ret, ledger_migrations[i].sql, NULL, NULL, NULL);
        return rc == SQLITE_OK ? 0 : -EUCLEAN;
}

#define OBJECTS "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"

/* What `has` has and `other` has not, or has in another form. */
static int compare(sqlite3 *has, sqlite3 *other, bool expected, char **ret_missing, char **ret_detail) {
        sqlite3_stmt *each = NULL, *find = NULL;
        int r = 0, rc = sqlite3_prepare_v2(has, OBJECTS, -1, &each, NULL);

        if (rc == SQLITE_OK)
                rc = sqlite3_prepare_v2(other, "SELECT sql FROM sqlite_schema WHERE type = ?1 AND name = ?2",
                                        -1, &find, NULL);
        while (r == 0 && rc == SQLITE_OK && (rc = sqlite3_step(each)) == SQLITE_ROW) {
                const char *type = (const char *)sqlite3_column_text(each, 0),
                           *name = (const char *)sqlite3_column_text(each, 1),
                           *sql = (const char *)sqlite3_column_text(each, 2);
                (void)sqlite3_bind_text(find, 1, type, -1, SQLITE_STATIC);
                (void)sqlite3_bind_text(find, 2, name, -1, SQLITE_STATIC);
                rc = sqlite3_step(find);
                const char *theirs = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(find, 0) : NULL;
                if (rc == SQLITE_ROW || rc == SQLITE_DONE)
                        rc = SQLITE_OK;
                if (rc == SQLITE_OK && !theirs && expected && streq(type, "trigger")) {
                        if (!*ret_missing)
                                *ret_missing = text_printf("the trigger %s is missing", name);
                } else if (rc == SQLITE_OK && (!theirs || !sql || !same_text(sql, theirs))) {
                        *ret_detail = text_printf("the %s %s %s", type, name,
                                                  theirs     ? "is not what lockerd has made"
                                                  : expected ? "is missing"
                                                             : "is not lockerd's");
                        r = -EUCLEAN;
                }
                sqlite3_reset(find);
        }
        if (r == 0 && rc != SQLITE_DONE && rc != SQLITE_OK)
                r = -EUCLEAN;
        sqlite3_finalize(each);
        sqlite3_finalize(find);
        return r;
}

/* A trigger that only guards the history may be missing: it is told, and the audit chain still finds changes.
 */
int schema_check(Ledger *l, int version, char **ret_missing, char **ret_detail) {
        sqlite3 *expected = NULL;
        int r = make_expected(version, &expected);

        if (r >= 0)
                r = compare(expected, l->db, true, ret_missing, ret_detail);
        if (r >= 0)
                r = compare(l->db, expected, false, ret_missing, ret_detail);
        sqlite3_close(expected);
        return r;
}
