/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/seals.h"
#include "base/text.h"
#include "ledger/sql.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>

#define STATE_SIZE 72 /* u64 rows, sum, keyed hash of both */
#define NAMED_MAX  8  /* rows that are named */

enum { DOUBT_INBOX = 1 << 0, DOUBT_LOCKOUTS = 1 << 1, DOUBT_PARCELS = 1 << 2 };

/* Not in here: what is history (the audit chain has it); session, which decides nothing and grows with the
 * history; reminder and habit, which only decide when somebody is reminded.
 *
 * `decides`: where a row is missing or an old one was put back, nobody opens by any row of this table.
 * `since`: the migration that makes room for its seals. `live`: which rows are sealed; the others are
 * history. `doubts`: what is doubtful when rows of it are wrong. */
static const struct {
        const char *name;
        bool decides;
        int since;
        const char *live;
        unsigned doubts;
} tables[] = {
        {"meta", false, 10, NULL, 0},
        {"slot", false, 10, NULL, 0},
        {"position", false, 10, NULL, 0},
        {"person", true, 10, NULL, 0},
        {"credential", true, 10, NULL, 0},
        {"parcel", true, 10, NULL, DOUBT_PARCELS},
        {"pickup_code", true, 10, NULL, 0},
        {"renewed_code", true, 10, NULL, 0},
        {"lockout", false, 10, NULL, DOUBT_LOCKOUTS},
        {"lockout_parcel", false, 10, NULL, DOUBT_LOCKOUTS},
        {"inbox", false, 10, NULL, DOUBT_INBOX},
        {"setting", false, 10, NULL, DOUBT_INBOX}, /* it says what is remembered of forgotten commands */
        {"epoch", false, 10, NULL, 0},
        {"door", false, 11, NULL, 0},
        {"movement", false, 11, "outcome IS NULL", 0},
        {"consent", false, 13, NULL, 0},
};
#define N_TABLES ARRAY_SIZE(tables)

typedef struct Table {
        char *columns;     /* "id, state, …": all but the seal */
        char *olds, *news; /* the same of OLD and NEW */
        char *keys;        /* "slot, number" */
        char *where;       /* "slot = NEW.slot AND …" */
        char *is_key;      /* "slot = ?1 AND …" */
        sqlite3_stmt *ok;
        bool bad; /* as a whole */
} Table;

struct Seals {
        Table tables[N_TABLES];
        char *found;
        unsigned n_named;
        unsigned doubts;
};

static int table_of(const char *name) {
        for (size_t i = 0; name && i < N_TABLES; i++)
                if (streq(tables[i].name, name))
                        return (int)i;
        return -1;
}

const char *ledger_tampering(const Ledger *l) {
        return l->seals && l->seals->found ? l->seals->found : "";
}

int ledger_parcels_each_changed(Ledger *l, int (*each)(void *userdata, uint64_t id), void *userdata,
                                bool *ret_whole) {
        _cleanup_query_ Query q = {0};

        *ret_whole = false;
        if (!l->seals || !(l->seals->doubts & DOUBT_PARCELS))
                return 0;
        *ret_whole = l->seals->tables[table_of("parcel")].bad;
        int r = query_begin(&q, l, SQL_PARCEL_EACH_CHANGED);
        while (r >= 0 && (r = query_step(&q)) > 0)
                if ((r = each(userdata, column_u64(&q, 0))) < 0)
                        return r;
        return r;
}

bool ledger_lockouts_are_doubtful(const Ledger *l) {
        return l->seals && l->seals->doubts & DOUBT_LOCKOUTS;
}

bool ledger_inbox_is_doubtful(const Ledger *l) {
        return l->seals && l->seals->doubts & DOUBT_INBOX;
}

/* --- the hashes --- */

typedef struct Bytes {
        uint8_t *data;
        size_t n, room;
        bool failed;
} Bytes;

static void put(Bytes *b, const void *data, size_t n) {
        if (b->failed)
                return;
        if (b->n + n > b->room) {
                size_t room = 2 * (b->n + n) + 256;
                uint8_t *grown = realloc(b->data, room);
                if (!grown) {
                        b->failed = true;
                        return;
                }
                b->data = grown;
                b->room = room;
        }
        if (n)
                memcpy(b->data + b->n, data, n);
        b->n += n;
}

/* Type, length, bytes: no two rows have the same spelling. */
static void put_value(Bytes *b, sqlite3_value *v) {
        const uint8_t type = (uint8_t)sqlite3_value_type(v);
        uint64_t number = htobe64((uint64_t)sqlite3_value_int64(v));
        const void *data = &number;
        size_t n = 0;

        switch (type) {
        case SQLITE_INTEGER:
                n = sizeof(number);
                break;
        case SQLITE_TEXT:
                data = sqlite3_value_text(v);
                n = (size_t)sqlite3_value_bytes(v);
                break;
        case SQLITE_NULL:
                break;
        default:
                data = sqlite3_value_blob(v);
                n = (size_t)sqlite3_value_bytes(v);
        }
        uint64_t length = htobe64(n);
        put(b, &type, 1);
        put(b, &length, sizeof(length));
        put(b, data, n);
}

/* lockerd_seal('parcel', id, state, …) */
static void sql_seal(sqlite3_context *ctx, int n, sqlite3_value **values) {
        const Ledger *l = sqlite3_user_data(ctx);
        uint8_t mac[VAULT_MAC_SIZE];
        Bytes b = {0};

        put(&b, "row", 3);
        for (int i = 0; i < n; i++)
                put_value(&b, values[i]);
        if (b.failed) {
                sqlite3_result_error_nomem(ctx);
        } else {
                vault_mac(l->vault, VAULT_ROW, b.data, b.n, mac);
                sqlite3_result_blob(ctx, mac, sizeof(mac), SQLITE_TRANSIENT);
        }
        free(b.data);
}

static void sign_state(const Ledger *l, const char *name, uint8_t state[STATE_SIZE]) {
        uint8_t text[96] = "sum";
        size_t n = strlen(name);

        memcpy(text + 3, state, 40);
        memcpy(text + 43, name, MIN(n, sizeof(text) - 43));
        vault_mac(l->vault, VAULT_ROW, text, 43 + MIN(n, sizeof(text) - 43), state + 40);
}

static bool state_is_signed(const Ledger *l, const char *name, const uint8_t state[STATE_SIZE]) {
        uint8_t mine[STATE_SIZE];

        memcpy(mine, state, 40);
        sign_state(l, name, mine);
        return CRYPTO_memcmp(mine, state, STATE_SIZE) == 0;
}

static void state_add(uint8_t state[STATE_SIZE], const void *seal, size_t n, int rows) {
        uint64_t count;

        if (!seal || n != VAULT_MAC_SIZE)
                return;
        memcpy(&count, state, 8);
        count = htobe64(be64toh(count) + (uint64_t)(int64_t)rows);
        memcpy(state, &count, 8);
        for (size_t i = 0; i < VAULT_MAC_SIZE; i++)
                state[8 + i] ^= ((const uint8_t *)seal)[i];
}

/* lockerd_sum(table, state, old seal, new seal): one whose own hash is wrong is not made right by this. */
static void sql_sum(sqlite3_context *ctx, int n, sqlite3_value **v) {
        const Ledger *l = sqlite3_user_data(ctx);
        const char *name = (const char *)sqlite3_value_text(v[0]);
        const void *stored = sqlite3_value_blob(v[1]);
        uint8_t state[STATE_SIZE];

        if (!name || !stored || sqlite3_value_bytes(v[1]) != STATE_SIZE ||
            !state_is_signed(l, name, stored)) {
                sqlite3_result_value(ctx, v[1]);
                return;
        }
        memcpy(state, stored, STATE_SIZE);
        state_add(state, sqlite3_value_blob(v[2]), (size_t)sqlite3_value_bytes(v[2]), -1);
        state_add(state, sqlite3_value_blob(v[3]), (size_t)sqlite3_value_bytes(v[3]), 1);
        sign_state(l, name, state);
        sqlite3_result_blob(ctx, state, STATE_SIZE, SQLITE_TRANSIENT);
}

/* --- may a row be believed? --- */

static int prepare_ok(Ledger *l, int i) {
        Table *t = &l->seals->tables[i];
        _cleanup_free_ char *sql = text_printf("SELECT seal IS lockerd_seal('%s', %s) FROM main.%s WHERE %s",
                                               tables[i].name, t->columns, tables[i].name, t->is_key);

        if (!sql)
                return SQLITE_NOMEM;
        return sqlite3_prepare_v3(l->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &t->ok, NULL);
}

/* lockerd_row_ok(table, key, …): 1 or 0 */
static void sql_row_ok(sqlite3_context *ctx, int n, sqlite3_value **v) {
        Ledger *l = sqlite3_user_data(ctx);
        int i = table_of((const char *)sqlite3_value_text(v[0]));
        Table *t = i < 0 || !l->seals ? NULL : &l->seals->tables[i];

        if (!t || (!t->ok && prepare_ok(l, i) != SQLITE_OK)) {
                sqlite3_result_error(ctx, "the seal of a row cannot be looked at", -1);
                return;
        }
        for (int k = 1; k < n; k++)
                (void)sqlite3_bind_value(t->ok, k, v[k]);
        bool ok = sqlite3_step(t->ok) == SQLITE_ROW && sqlite3_column_int(t->ok, 0) == 1;
        sqlite3_reset(t->ok);
        sqlite3_result_int(ctx, ok && !(t->bad && tables[i].decides));
}

int seals_prepare(Ledger *l) {
        static const struct {
                const char *name;
                int n;
                void (*function)(sqlite3_context *, int, sqlite3_value **);
        } functions[] = {{"lockerd_seal", -1, sql_seal},
                         {"lockerd_sum", 4, sql_sum},
                         {"lockerd_row_ok", -1, sql_row_ok}};
        int rc = SQLITE_OK;

        for (size_t i = 0; rc == SQLITE_OK && i < ARRAY_SIZE(functions); i++)
                rc = sqlite3_create_function_v2(l->db, functions[i].name, functions[i].n, SQLITE_UTF8, l,
                                                functions[i].function, NULL, NULL, NULL);
        return sql_errno(l->db, rc);
}

/* --- the columns, as they are --- */

/* Of four words; *text NULL: no memory, or nothing yet. */
static void append(char **text, const char *separator, const char *a, const char *b, const char *c,
                   const char *d) {
        char *joined = text_printf("%s%s%s%s%s%s", *text ? *text : "", *text ? separator : "", a, b, c, d);

        free(*text);
        *text = joined;
}

static void table_done(Table *t) {
        sqlite3_finalize(t->ok);
        free(t->columns);
        free(t->olds);
        free(t->news);
        free(t->keys);
        free(t->where);
        free(t->is_key);
        *t = (Table){0};
}

static int read_columns(Ledger *l, int i) {
        Table *t = &l->seals->tables[i];
        sqlite3_stmt *stmt = NULL;
        bool bad = t->bad;
        int rc = sqlite3_prepare_v2(
                l->db, "SELECT name, pk FROM pragma_table_info(?1) WHERE name <> 'seal' ORDER BY cid", -1,
                &stmt, NULL);

        table_done(t);
        t->bad = bad;
        if (rc == SQLITE_OK)
                rc = sqlite3_bind_text(stmt, 1, tables[i].name, -1, SQLITE_STATIC);
        while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
                const char *name = (const char *)sqlite3_column_text(stmt, 0);
                char number[8];
                append(&t->columns, ", ", name, "", "", "");
                append(&t->olds, ", ", "OLD.", name, "", "");
                append(&t->news, ", ", "NEW.", name, "", "");
                rc = SQLITE_OK;
                if (sqlite3_column_int(stmt, 1) == 0)
                        continue;
                snprintf(number, sizeof(number), "?%d", sqlite3_column_int(stmt, 1));
                append(&t->keys, " || '/' || ", name, "", "", "");
                append(&t->where, " AND ", name, " = NEW.", name, "");
                append(&t->is_key, " AND ", name, " = ", number, "");
        }
        sqlite3_finalize(stmt);
        if (rc != SQLITE_DONE)
                return sql_errno(l->db, rc);
        return t->columns && t->olds && t->news && t->keys && t->where && t->is_key ? 0 : -ENOMEM;
}

/* Of the tables that there are in this version. */
static int read_all_columns(Ledger *l, int version) {
        int r = 0;

        if (!l->seals && !(l->seals = calloc(1, sizeof(*l->seals))))
                return -ENOMEM;
        for (int i = 0; r >= 0 && i < (int)N_TABLES; i++)
                if (tables[i].since <= version)
                        r = read_columns(l, i);
        return r;
}

void seals_disconnect(Ledger *l) {
        for (size_t i = 0; l->seals && i < N_TABLES; i++) {
                sqlite3_finalize(l->seals->tables[i].ok);
                l->seals->tables[i].ok = NULL;
        }
}

void seals_done(Ledger *l) {
        if (!l->seals)
                return;
        for (size_t i = 0; i < N_TABLES; i++)
                table_done(&l->seals->tables[i]);
        free(l->seals->found);
        free(l->seals);
        l->seals = NULL;
}

/* --- looking at all of them --- */

static void found(Ledger *l, const char *what, const char *detail) {
        append(&l->seals->found, ", ", what, detail, "", "");
}

int seals_found(Ledger *l, const char *what) {
        if (!l->seals && !(l->seals = calloc(1, sizeof(*l->seals))))
                return -ENOMEM;
        found(l, what, "");
        return 0;
}

static const char *live(int i) {
        return tables[i].live ? tables[i].live : "true";
}

static int stored_state(Ledger *l, int i, uint8_t ret[STATE_SIZE], bool *ret_signed) {
        sqlite3_stmt *stmt = NULL;
        int rc = sqlite3_prepare_v2(l->db, "SELECT state FROM sealed WHERE name = ?1", -1, &stmt, NULL);

        if (rc == SQLITE_OK)
                rc = sqlite3_bind_text(stmt, 1, tables[i].name, -1, SQLITE_STATIC);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(stmt);
        *ret_signed = rc == SQLITE_ROW && sqlite3_column_bytes(stmt, 0) == STATE_SIZE;
        if (*ret_signed) {
                memcpy(ret, sqlite3_column_blob(stmt, 0), STATE_SIZE);
                *ret_signed = state_is_signed(l, tables[i].name, ret);
        }
        sqlite3_finalize(stmt);
        return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : sql_errno(l->db, rc);
}

static int check_table(Ledger *l, int i) {
        Table *t = &l->seals->tables[i];
        _cleanup_free_ char *sql =
                text_printf("SELECT seal, seal IS lockerd_seal('%s', %s), %s FROM main.%s WHERE %s",
                            tables[i].name, t->columns, t->keys, tables[i].name, live(i));
        uint8_t stored[STATE_SIZE] = {0}, all[STATE_SIZE] = {0}, good[STATE_SIZE] = {0};
        sqlite3_stmt *stmt = NULL;
        bool is_signed, some = false;
        int r = sql ? stored_state(l, i, stored, &is_signed) : -ENOMEM;

        if (r < 0)
                return r;
        int rc = sqlite3_prepare_v2(l->db, sql, -1, &stmt, NULL);
        while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
                const void *seal = sqlite3_column_blob(stmt, 0);
                size_t n = (size_t)sqlite3_column_bytes(stmt, 0);
                rc = SQLITE_OK;
                state_add(all, seal, n, 1);
                if (sqlite3_column_int(stmt, 1) == 1) {
                        state_add(good, seal, n, 1);
                        continue;
                }
                some = true;
                if (l->seals->n_named++ < NAMED_MAX) {
                        _cleanup_free_ char *row =
                                text_printf("%s %s", tables[i].name, sqlite3_column_text(stmt, 2));
                        found(l, row ? row : tables[i].name, "");
                }
        }
        sqlite3_finalize(stmt);
        if (rc != SQLITE_DONE)
                return sql_errno(l->db, rc);
        /* With the rows that are wrong, or without them, the sum must be the one that was written: else
         * something is missing, or an old row was put back. */
        t->bad = !is_signed || (memcmp(all, stored, 40) != 0 && memcmp(good, stored, 40) != 0);
        if (t->bad)
                found(l, tables[i].name, " as a whole: rows are missing, or old ones were put back");
        if (t->bad || some)
                l->seals->doubts |= tables[i].doubts;
        return 0;
}

int seals_check(Ledger *l, int version) {
        int r = read_all_columns(l, version);

        for (int i = 0; r >= 0 && i < (int)N_TABLES; i++)
                if (tables[i].since <= version)
                        r = check_table(l, i);
        return r;
}

/* --- making them --- */

static int make_table(Ledger *l, int i) {
        const Table *t = &l->seals->tables[i];
        _cleanup_free_ char *seal = text_printf("UPDATE main.%s SET seal = lockerd_seal('%s', %s) WHERE %s",
                                                tables[i].name, tables[i].name, t->columns, live(i)),
                            *read = text_printf("SELECT seal FROM main.%s WHERE %s", tables[i].name, live(i));
        uint8_t state[STATE_SIZE] = {0};
        sqlite3_stmt *stmt = NULL;
        int r = seal && read ? sql_exec(l->db, seal) : -ENOMEM;

        if (r < 0)
                return r;
        int rc = sqlite3_prepare_v2(l->db, read, -1, &stmt, NULL);
        while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
                state_add(state, sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0), 1);
                rc = SQLITE_OK;
        }
        sqlite3_finalize(stmt);
        if (rc != SQLITE_DONE)
                return sql_errno(l->db, rc);
        sign_state(l, tables[i].name, state);
        rc = sqlite3_prepare_v2(l->db, "INSERT OR REPLACE INTO sealed (name, state) VALUES (?1, ?2)", -1,
                                &stmt, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_bind_text(stmt, 1, tables[i].name, -1, SQLITE_STATIC);
        if (rc == SQLITE_OK)
                rc = sqlite3_bind_blob(stmt, 2, state, STATE_SIZE, SQLITE_STATIC);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(stmt);
        sqlite3_finalize(stmt);
        return rc == SQLITE_DONE ? 0 : sql_errno(l->db, rc);
}

int seals_make(Ledger *l, int version, bool only_new) {
        int r = read_all_columns(l, version);

        for (int i = 0; r >= 0 && i < (int)N_TABLES; i++)
                if (tables[i].since <= version && !(only_new && tables[i].since < version))
                        r = make_table(l, i);
        return r;
}

int ledger_lockouts_begin_anew(Ledger *l) {
        static const char *const names[] = {"lockout", "lockout_parcel"};
        int r = l->in_transaction ? 0 : -EINVAL;

        for (size_t k = 0; r >= 0 && k < ARRAY_SIZE(names); k++) {
                const Table *t = &l->seals->tables[table_of(names[k])];
                _cleanup_free_ char *sql = text_printf("DELETE FROM main.%s WHERE seal IS NOT "
                                                       "lockerd_seal('%s', %s)",
                                                       names[k], names[k], t->columns);
                r = sql ? sql_exec(l->db, sql) : -ENOMEM;
                if (r >= 0)
                        r = make_table(l, table_of(names[k]));
        }
        if (r < 0)
                l->failure = r;
        return r;
}

int seals_person(Ledger *l, uint64_t id) {
        int i = table_of("person");
        _cleanup_free_ char *sql =
                text_printf("UPDATE person SET seal = lockerd_seal('person', %s) WHERE id = ?1 AND NOT "
                            "lockerd_row_ok('person', id)",
                            l->seals->tables[i].columns);
        sqlite3_stmt *stmt = NULL;
        int rc = sql ? sqlite3_prepare_v2(l->db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;

        if (rc == SQLITE_OK)
                rc = sqlite3_bind_int64(stmt, 1, (sqlite3_int64)id);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(stmt);
        sqlite3_finalize(stmt);
        int r = rc == SQLITE_DONE ? 0 : sql_errno(l->db, rc);
        if (r < 0)
                l->failure = r;
        return r;
}

static int watch_table(Ledger *l, int i) {
        const char *n = tables[i].name, *when = tables[i].live ? tables[i].live : "true";
        const Table *t = &l->seals->tables[i];
        _cleanup_free_ char *sql = text_printf(
                "CREATE TEMP TRIGGER seal_%s_new AFTER INSERT ON main.%s BEGIN "
                "UPDATE %s SET seal = lockerd_seal('%s', %s) WHERE %s AND %s; END;"
                /* What was wrong stays wrong. What becomes history has no seal any more. */
                "CREATE TEMP TRIGGER seal_%s_put AFTER UPDATE OF %s ON main.%s "
                "WHEN OLD.seal IS lockerd_seal('%s', %s) BEGIN "
                "UPDATE %s SET seal = iif(%s, lockerd_seal('%s', %s), NULL) WHERE %s; END;"
                "CREATE TEMP TRIGGER seal_%s_sum AFTER UPDATE OF seal ON main.%s BEGIN "
                "UPDATE sealed SET state = lockerd_sum('%s', state, OLD.seal, NEW.seal) WHERE name = '%s'; "
                "END;"
                "CREATE TEMP TRIGGER seal_%s_gone AFTER DELETE ON main.%s BEGIN "
                "UPDATE sealed SET state = lockerd_sum('%s', state, OLD.seal, NULL) WHERE name = '%s'; END;",
                n, n, n, n, t->news, t->where, when, n, t->columns, n, n, t->olds, n, when, n, t->news,
                t->where, n, n, n, n, n, n, n, n);

        int r = sql ? sql_exec(l->db, sql) : -ENOMEM;
        return r >= 0 && streq(n, "person") ? sql_exec(l->db, "DROP TRIGGER temp.seal_person_new") : r;
}

int seals_watch(Ledger *l) {
        int r = read_all_columns(l, INT_MAX);

        for (int i = 0; r >= 0 && i < (int)N_TABLES; i++)
                r = watch_table(l, i);
        return r;
}
