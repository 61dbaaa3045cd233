/* SPDX-License-Identifier: Apache-2.0 */
/* Is the schema of the file the one that the migrations make? A trigger or a view that somebody has added
 * would be carried out by the daemon itself; an index that is missing would let two parcels into one place.
 */
#include "base/text.h"
#include "ledger/migrations.h"
#include "ledger/sql.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>

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

/* --- a schema that was compared before --- */

/* Making the expected one takes longer than all the rest of opening. A keyed hash of the schema that was
 * found right, and of the migrations that make it, says that it is still that. */
static int remembered(const Ledger *l, int version, uint8_t ret[VAULT_MAC_SIZE]) {
        sqlite3_stmt *each = NULL;
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);

        if (!f)
                return -ENOMEM;
        fputs("schema", f);
        for (int i = 0; i < version; i++)
                fprintf(f, "%d:%s", i, ledger_migrations[i].sql);
        int rc = sqlite3_prepare_v2(l->db, OBJECTS " ORDER BY type, name", -1, &each, NULL);
        while (rc == SQLITE_OK && (rc = sqlite3_step(each)) == SQLITE_ROW) {
                for (int i = 0; i < 3; i++)
                        fprintf(f, "%d:%s", sqlite3_column_bytes(each, i),
                                sqlite3_column_bytes(each, i) ? (const char *)sqlite3_column_text(each, i)
                                                              : "");
                rc = SQLITE_OK;
        }
        sqlite3_finalize(each);
        bool written = fclose(f) == 0;
        if (rc == SQLITE_DONE && written)
                vault_mac(l->vault, VAULT_ROW, text, n, ret);
        free(text);
        return rc != SQLITE_DONE ? sql_errno(l->db, rc) : written ? 0 : -ENOMEM;
}

static bool is_remembered(Ledger *l, int version) {
        uint8_t mine[VAULT_MAC_SIZE], stored[VAULT_MAC_SIZE];
        _cleanup_query_ Query q = {0};

        if (remembered(l, version, mine) < 0 || query_begin(&q, l, SQL_META_GET) < 0)
                return false;
        query_text(&q, 1, META_SCHEMA);
        return query_row(&q) >= 0 && column_bytes(&q, 0, stored, sizeof(stored)) >= 0 &&
               CRYPTO_memcmp(mine, stored, sizeof(mine)) == 0;
}

/* After it was compared, once what is written is sealed. It is only a short cut. */
void schema_remember(Ledger *l) {
        const int version = (int)ledger_schema_version();
        uint8_t mine[VAULT_MAC_SIZE];

        if (l->schema_is_right && !is_remembered(l, version) && remembered(l, version, mine) >= 0)
                (void)meta_set(l, META_SCHEMA, mine, sizeof(mine));
}

/* A trigger that only guards the history may be missing: it is told, and the audit chain still finds changes.
 */
int schema_check(Ledger *l, int version, char **ret_missing, char **ret_detail) {
        sqlite3 *expected = NULL;

        if (is_remembered(l, version))
                return 0;
        int r = make_expected(version, &expected);

        if (r >= 0)
                r = compare(expected, l->db, true, ret_missing, ret_detail);
        if (r >= 0)
                r = compare(l->db, expected, false, ret_missing, ret_detail);
        sqlite3_close(expected);
        l->schema_is_right = r >= 0 && !*ret_missing && version == (int)ledger_schema_version();
        return r;
}
