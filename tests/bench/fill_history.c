/* SPDX-License-Identifier: Apache-2.0 */
#include "fill_history.h"
#include "ledger/audit.h"
#include "ledger/people.h"
#include "base/text.h"
#include "ledger/sql.h"

#include <errno.h>
#include <stdio.h>

#define PARCELS_PER_TRANSACTION 20000
#define COURIERS                10
#define RECIPIENTS              200
#define SLOTS                   60
#define MINUTE                  (60 * (int64_t)USEC_PER_SEC)

typedef enum Insert {
        INSERT_SESSION,
        INSERT_MOVEMENT,
        INSERT_EVENT,
        INSERT_AUDIT,
        INSERT_PARCEL,
        INSERT_MAX
} Insert;

/* Ids are given, so that nothing has to be asked back. */
static const char *const insert_sql[INSERT_MAX] = {
        [INSERT_SESSION] = "INSERT INTO session VALUES (?1, ?2, 'kiosk', ?3, ?4, ?5, ?6, 'ended')",
        [INSERT_MOVEMENT] = "INSERT INTO movement VALUES (?1, ?2, ?3, ?4, ?5, 'unlock', ?6, ?7, NULL, ?8, ?8 "
                            "+ 700000, 'released', NULL)",
        [INSERT_EVENT] = "INSERT INTO event VALUES (?1, ?2, 1, ?3, ?4, ?5)",
        [INSERT_AUDIT] = "INSERT INTO audit VALUES (?1, ?2, NULL, ?3)",
        [INSERT_PARCEL] = "INSERT INTO parcel_history VALUES (?1, ?2, ?3, 1, 'M', ?4, ?5, ?6, ?7, ?8, ?9, "
                          "?10, ?11, ?12, ?13, randomblob(32))",
};

typedef struct Filler {
        Ledger *ledger;
        sqlite3 *db;
        sqlite3_stmt *stmt[INSERT_MAX];
        int64_t parcel, session, movement, sequence;
        uint8_t hash[HASH_SIZE];
        uint64_t couriers[COURIERS], recipients[RECIPIENTS];
} Filler;

static int done(Filler *f, Insert i) {
        int rc = sqlite3_step(f->stmt[i]);

        sqlite3_reset(f->stmt[i]);
        return rc == SQLITE_DONE ? 0 : sql_errno(f->db, rc);
}

static void text(sqlite3_stmt *s, int i, const char *v) {
        sqlite3_bind_text(s, i, v, -1, SQLITE_STATIC);
}

static int add_session(Filler *f, const char *kind, int64_t wall, uint64_t person, const char *evidence) {
        sqlite3_stmt *s = f->stmt[INSERT_SESSION];

        sqlite3_bind_int64(s, 1, ++f->session);
        text(s, 2, kind);
        sqlite3_bind_int64(s, 3, wall);
        if (person)
                sqlite3_bind_int64(s, 4, (int64_t)person);
        else
                sqlite3_bind_null(s, 4);
        text(s, 5, evidence);
        sqlite3_bind_int64(s, 6, wall + MINUTE);
        return done(f, INSERT_SESSION);
}

static int add_movement(Filler *f, const char *slot, const char *why, const char *actor, int64_t wall) {
        sqlite3_stmt *s = f->stmt[INSERT_MOVEMENT];

        sqlite3_bind_int64(s, 1, ++f->movement);
        sqlite3_bind_int64(s, 2, f->session);
        sqlite3_bind_int64(s, 3, f->parcel);
        text(s, 4, slot);
        sqlite3_bind_int64(s, 5, 0);
        text(s, 6, why);
        text(s, 7, actor);
        sqlite3_bind_int64(s, 8, wall);
        return done(f, INSERT_MOVEMENT);
}

static int add_event(Filler *f, const char *type, const char *actor, const char *slot, int64_t wall) {
        char subject[32], data[160];
        sqlite3_stmt *s = f->stmt[INSERT_EVENT];

        snprintf(subject, sizeof(subject), "parcel:%lld", (long long)f->parcel);
        snprintf(data, sizeof(data),
                 "{\"parcel\":%lld,\"slot\":\"%s\",\"position\":1,\"phone\":\"+49 17******%04lld\"}",
                 (long long)f->parcel, slot, (long long)(f->parcel % 10000));
        const AuditRow row = {
                .sequence = (uint64_t)++f->sequence,
                .wall = wall,
                .synced = true,
                .type = type,
                .subject = subject,
                .data = data,
                .actor = actor,
        };
        int r = audit_hash(f->ledger->vault, &row, f->hash, f->hash);
        if (r < 0)
                return r;
        sqlite3_bind_int64(s, 1, f->sequence);
        sqlite3_bind_int64(s, 2, wall);
        text(s, 3, type);
        text(s, 4, subject);
        text(s, 5, data);
        r = done(f, INSERT_EVENT);
        s = f->stmt[INSERT_AUDIT];
        sqlite3_bind_int64(s, 1, f->sequence);
        text(s, 2, actor);
        sqlite3_bind_blob(s, 3, f->hash, HASH_SIZE, SQLITE_STATIC);
        return r < 0 ? r : done(f, INSERT_AUDIT);
}

static int add_parcel_row(Filler *f, const char *slot, uint64_t courier, uint64_t person, bool returned,
                          int64_t wall) {
        sqlite3_stmt *s = f->stmt[INSERT_PARCEL];
        char name[48], phone[32], waybill[32], number[16];
        uint8_t sealed_name[sizeof(name) + VAULT_SEAL_EXTRA], sealed_phone[sizeof(phone) + VAULT_SEAL_EXTRA];

        snprintf(name, sizeof(name), "Recipient Synthetic %lld", (long long)f->parcel);
        snprintf(phone, sizeof(phone), "+49 1700%07lld", (long long)(f->parcel % 10000000));
        snprintf(waybill, sizeof(waybill), "SYN%012lld", (long long)f->parcel);
        snprintf(number, sizeof(number), "%llu", (unsigned long long)(9000 + courier));
        int r = vault_seal(f->ledger->vault, "parcel.recipient", NULL, name, strlen(name), sealed_name);
        if (r >= 0)
                r = vault_seal(f->ledger->vault, "parcel.phone", NULL, phone, strlen(phone), sealed_phone);
        if (r < 0)
                return r;
        sqlite3_bind_int64(s, 1, f->parcel);
        text(s, 2, returned ? "returned" : "collected");
        text(s, 3, slot);
        text(s, 4, waybill);
        sqlite3_bind_blob(s, 5, sealed_name, (int)(strlen(name) + VAULT_SEAL_EXTRA), SQLITE_STATIC);
        sqlite3_bind_blob(s, 6, sealed_phone, (int)(strlen(phone) + VAULT_SEAL_EXTRA), SQLITE_STATIC);
        if (person)
                sqlite3_bind_int64(s, 7, (int64_t)person);
        else
                sqlite3_bind_null(s, 7);
        sqlite3_bind_int64(s, 8, (int64_t)courier);
        text(s, 9, number);
        sqlite3_bind_int64(s, 10, wall);
        sqlite3_bind_int64(s, 11, wall + MINUTE);
        sqlite3_bind_int64(s, 12, wall + 4320 * MINUTE);
        sqlite3_bind_int64(s, 13, wall + 600 * MINUTE);
        return done(f, INSERT_PARCEL);
}

/* One parcel's whole life: two sessions, three movements, four events with their audit rows. */
static int add_life(Filler *f) {
        const int64_t wall = INT64_C(1600000000000000) + f->parcel * 3 * MINUTE;
        const uint64_t courier = f->couriers[f->parcel % COURIERS];
        const uint64_t person = f->parcel % 4 ? 0 : f->recipients[f->parcel / 4 % RECIPIENTS];
        const bool returned = f->parcel % 50 == 0;
        char slot[8], actor[32];

        f->parcel++;
        snprintf(slot, sizeof(slot), "%lld", (long long)(f->parcel % SLOTS + 1));
        snprintf(actor, sizeof(actor), "courier:%llu", (unsigned long long)(9000 + courier));
        const char *taker = returned ? actor : "recipient";
        int r = add_session(f, "courier", wall, courier, "courier-pin");
        if (r >= 0)
                r = add_movement(f, slot, "deposit", actor, wall);
        if (r >= 0)
                r = add_event(f, "parcel.depositing", actor, slot, wall);
        if (r >= 0)
                r = add_event(f, "parcel.stored", actor, slot, wall + MINUTE);
        if (r >= 0)
                r = add_session(f, returned ? "courier" : "recipient", wall + 599 * MINUTE,
                                returned ? courier : person, returned ? "courier-pin" : "code");
        if (r >= 0)
                r = add_movement(f, slot, returned ? "take-back" : "collect", taker, wall + 599 * MINUTE);
        if (r >= 0)
                r = add_movement(f, slot, "reopen", taker, wall + 599 * MINUTE);
        if (r >= 0)
                r = add_event(f, "slot.opened", taker, slot, wall + 599 * MINUTE);
        if (r >= 0)
                r = add_event(f, returned ? "parcel.returned" : "parcel.collected", taker, slot,
                              wall + 600 * MINUTE);
        return r < 0 ? r : add_parcel_row(f, slot, courier, person, returned, wall);
}

static int number(sqlite3 *db, const char *sql, int64_t *ret) {
        sqlite3_stmt *s = NULL;
        int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);

        if (rc == SQLITE_OK)
                rc = sqlite3_step(s);
        if (rc == SQLITE_ROW)
                *ret = sqlite3_column_int64(s, 0);
        sqlite3_finalize(s);
        return rc == SQLITE_ROW ? 0 : sql_errno(db, rc);
}

/* Where the ledger is now. */
static int continue_from(Filler *f) {
        char head[AUDIT_HEAD_MAX];

        int r = number(f->db, "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'parcel'), 0)",
                       &f->parcel);
        if (r >= 0)
                r = number(f->db, "SELECT coalesce(max(id), 0) FROM session", &f->session);
        if (r >= 0)
                r = number(f->db, "SELECT coalesce(max(id), 0) FROM movement", &f->movement);
        if (r >= 0)
                r = ledger_audit_head(f->ledger, head);
        if (r < 0)
                return r;
        f->sequence = strtoll(head, NULL, 10);
        return text_from_hex(strchr(head, ':') + 1, f->hash, HASH_SIZE);
}

static int find_or_add(Ledger *l, PersonKind kind, unsigned i, uint64_t *ret) {
        char digits[24];
        _cleanup_person_ PersonRow found = {0};
        PersonRow p = {.kind = kind, .enrolled = 1600000000000000, .consented = 1600000000000000};

        snprintf(digits, sizeof(digits), "%s%05u", kind == PERSON_COURIER ? "99" : "+49 1600", i);
        p.name = (char *)"Synthetic Person";
        p.phone = digits;
        if (kind == PERSON_COURIER)
                snprintf(p.number, sizeof(p.number), "syn-%u", i);
        int r = kind == PERSON_COURIER ? ledger_person_by_number(l, p.number, &found)
                                       : ledger_person_by_phone(l, digits, &found);
        if (r == -ENOENT) {
                r = ledger_person_insert(l, &p);
                found.id = p.id;
        }
        if (r >= 0)
                *ret = found.id;
        return r;
}

static int add_people(Filler *f) {
        int r = 0;

        for (unsigned i = 0; i < COURIERS && r >= 0; i++)
                r = find_or_add(f->ledger, PERSON_COURIER, i, &f->couriers[i]);
        for (unsigned i = 0; i < RECIPIENTS && r >= 0; i++)
                r = find_or_add(f->ledger, PERSON_RECIPIENT, i, &f->recipients[i]);
        return r;
}

static int add_all(Filler *f, uint64_t n, void (*progress)(uint64_t done, uint64_t n)) {
        int r = 0;

        for (uint64_t i = 0; i < n && r >= 0;) {
                r = sql_exec(f->db, "BEGIN");
                for (unsigned k = 0; k < PARCELS_PER_TRANSACTION && i < n && r >= 0; k++, i++)
                        r = add_life(f);
                if (r >= 0)
                        r = audit_mark_end(f->ledger, (uint64_t)f->sequence, f->hash);
                if (r >= 0)
                        r = sql_exec(f->db, "COMMIT");
                if (r >= 0 && progress)
                        progress(i, n);
        }
        return r;
}

int fill_history(Ledger *l, uint64_t n, void (*progress)(uint64_t done, uint64_t n)) {
        Filler f = {.ledger = l, .db = l->db};
        char sequence[160];

        int r = add_people(&f);
        if (r >= 0)
                r = continue_from(&f);
        if (r >= 0)
                r = sql_exec(
                        l->db,
                        "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536");
        for (int i = 0; i < INSERT_MAX && r >= 0; i++)
                r = sql_errno(l->db, sqlite3_prepare_v2(l->db, insert_sql[i], -1, &f.stmt[i], NULL));
        if (r >= 0)
                r = add_all(&f, n, progress);
        for (int i = 0; i < INSERT_MAX; i++)
                sqlite3_finalize(f.stmt[i]);
        snprintf(sequence, sizeof(sequence),
                 "DELETE FROM sqlite_sequence WHERE name = 'parcel'; INSERT INTO sqlite_sequence VALUES "
                 "('parcel', %lld)",
                 (long long)f.parcel);
        if (r >= 0)
                r = sql_exec(l->db, sequence);
        if (r >= 0)
                r = sql_exec(
                        l->db,
                        "PRAGMA cache_size = -1024; PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL");
        return r;
}
