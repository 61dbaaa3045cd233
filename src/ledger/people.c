/* SPDX-License-Identifier: Apache-2.0 */
/* Persons. Personal data is sealed with a key derived from the cabinet's key and
 * a salt of the person: once the salt is erased it cannot be opened again, not even from an old copy of
 * the sealed value alone. */
#include "base/ids.h"
#include "base/text.h"
#include "ledger/parcels.h"
#include "ledger/credentials.h"
#include "ledger/people.h"
#include "core/mask.h"
#include "ledger/sql.h"

#include <errno.h>

#define LABEL_NAME         "person.name"
#define LABEL_PHONE        "person.phone"
#define LABEL_PARCEL_PHONE "parcel.phone"

static const char *const kind_names[] = {
        [PERSON_COURIER] = "courier",
        [PERSON_RECIPIENT] = "recipient",
};

const char *person_kind_to_string(PersonKind k) {
        return kind_names[k];
}

void person_row_done(PersonRow *p) {
        text_erase_free(p->name);
        text_erase_free(p->phone);
        *p = (PersonRow){0};
}

int ledger_person_insert(Ledger *l, PersonRow *p) {
        _cleanup_query_ Query q = {0};
        _cleanup_sealed_ Sealed name = {0}, phone = {0};
        uint8_t salt[SALT_SIZE], mac[VAULT_MAC_SIZE];

        int r = vault_random(salt, sizeof(salt));
        if (r >= 0)
                r = sealed_make(&name, l->vault, LABEL_NAME, salt, p->name);
        if (r >= 0)
                r = sealed_make(&phone, l->vault, LABEL_PHONE, salt, p->phone);
        if (r >= 0)
                r = query_begin(&q, l, SQL_PERSON_INSERT);
        if (r < 0)
                return r;
        bool has_phone = phone_mac(l->vault, p->phone, mac);
        query_text(&q, 1, person_kind_to_string(p->kind));
        query_label(&q, 2, p->number);
        query_blob(&q, 3, salt, sizeof(salt));
        query_blob(&q, 4, name.data, name.n);
        query_blob(&q, 5, phone.data, phone.n);
        query_blob(&q, 6, has_phone ? mac : NULL, sizeof(mac));
        query_i64(&q, 7, p->enrolled);
        query_time(&q, 8, p->consented);
        bool own;
        r = scope_begin(l, &own);
        if (r < 0)
                return r;
        r = query_run(&q);
        uint64_t id = r < 0 ? 0 : (uint64_t)sqlite3_last_insert_rowid(l->db);
        if (r >= 0)
                r = seals_person(l, id);
        query_end(&q);
        r = scope_end(l, own, r);
        if (r >= 0)
                p->id = id;
        return r;
}

/* "password,pin": kinds that this version does not know do not count. */
static unsigned credentials_read(const char *list) {
        unsigned credentials = 0;

        for (const char *p = list; p && *p;) {
                size_t n = strcspn(p, ",");
                CredentialKind k = credential_kind_from_string(p, n);
                if (k != CREDENTIAL_NONE)
                        credentials |= 1U << k;
                p += n + (p[n] == ',');
        }
        return credentials;
}

/* all: also rows that somebody else has written; they are shown without a name, so that they can be revoked.
 */
static int person_read(const Query *q, bool all, PersonRow *ret) {
        _cleanup_person_ PersonRow p = {
                .id = column_u64(q, 0),
                .enrolled = column_i64(q, 6),
                .revoked = column_i64(q, 7),
                .consented = column_i64(q, 8),
                .credentials = credentials_read(column_text(q, 9)),
        };
        uint8_t salt[SALT_SIZE];
        const char *kind = column_text(q, 1);

        if (!kind)
                return -EUCLEAN;
        p.kind = streq(kind, kind_names[PERSON_COURIER]) ? PERSON_COURIER : PERSON_RECIPIENT;
        column_label_cut(q, 2, p.number, sizeof(p.number));
        int r = column_bytes(q, 3, salt, sizeof(salt));
        if (r >= 0)
                r = sealed_read(q, 4, q->ledger->vault, LABEL_NAME, salt, &p.name);
        if (r >= 0)
                r = sealed_read(q, 5, q->ledger->vault, LABEL_PHONE, salt, &p.phone);
        if (r == -EUCLEAN && all)
                r = 0;
        if (r < 0)
                return r;
        *ret = p;
        p = (PersonRow){0};
        return 0;
}

int ledger_person_get(Ledger *l, uint64_t id, PersonRow *ret) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_PERSON_GET);
        if (r < 0)
                return r;
        query_u64(&q, 1, id);
        r = query_row(&q);
        return r < 0 ? r : person_read(&q, false, ret);
}

int ledger_person_by_number(Ledger *l, const char *number, PersonRow *ret) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_PERSON_BY_NUMBER);
        if (r < 0)
                return r;
        query_text(&q, 1, number);
        r = query_row(&q);
        return r < 0 ? r : person_read(&q, false, ret);
}

int ledger_person_by_phone(Ledger *l, const char *phone, PersonRow *ret) {
        _cleanup_query_ Query q = {0};
        uint8_t mac[VAULT_MAC_SIZE];

        if (!phone_mac(l->vault, phone, mac))
                return -ENOENT;
        int r = query_begin(&q, l, SQL_PERSON_BY_PHONE);
        if (r < 0)
                return r;
        query_blob(&q, 1, mac, sizeof(mac));
        r = query_row(&q);
        return r < 0 ? r : person_read(&q, false, ret);
}

static int run_for(Ledger *l, Statement s, uint64_t person) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, s);
        if (r < 0)
                return r;
        query_u64(&q, 1, person);
        return query_run(&q);
}

static int mark_revoked(Ledger *l, uint64_t id, int64_t wall) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_PERSON_REVOKE);
        if (r < 0)
                return r;
        query_u64(&q, 1, id);
        query_i64(&q, 2, wall);
        r = query_run(&q);
        if (r < 0)
                return r;
        return sqlite3_changes(l->db) > 0 ? seals_person(l, id) : -ENOENT;
}

/* --- what was sent to the same phone while nobody was enrolled with it --- */

typedef struct Unmarked {
        struct {
                uint64_t id;
                uint8_t mac[VAULT_MAC_SIZE];
        } * rows;
        size_t n, room;
} Unmarked;

static int find_unmarked(Ledger *l, Unmarked *u) {
        _cleanup_query_ Query q = {0};
        int r = query_begin(&q, l, SQL_HISTORY_UNMARKED);

        if (r < 0)
                return r;
        while ((r = query_step(&q)) > 0) {
                char *phone = NULL;
                if (u->n == u->room) {
                        u->room = 2 * u->room + 64;
                        void *grown = reallocarray(u->rows, u->room, sizeof(*u->rows));
                        if (!grown)
                                return -ENOMEM;
                        u->rows = grown;
                }
                r = sealed_read(&q, 1, l->vault, LABEL_PARCEL_PHONE, NULL, &phone);
                if (r < 0 && r != -EUCLEAN)
                        return r;
                u->rows[u->n].id = column_u64(&q, 0);
                /* One without digits, or that nobody can read, is nobody's number. */
                if (!phone || !phone_mac(l->vault, phone, u->rows[u->n].mac))
                        memset(u->rows[u->n].mac, 0, VAULT_MAC_SIZE);
                text_erase_free(phone);
                u->n++;
        }
        return r;
}

static int mark(Ledger *l, uint64_t id, const uint8_t mac[VAULT_MAC_SIZE]) {
        _cleanup_query_ Query q = {0};
        int r = query_begin(&q, l, SQL_HISTORY_MARK);

        if (r < 0)
                return r;
        query_u64(&q, 1, id);
        query_blob(&q, 2, mac, VAULT_MAC_SIZE);
        return query_run(&q);
}

static int mark_history(Ledger *l) {
        Unmarked u = {0};
        int r = find_unmarked(l, &u);

        for (size_t i = 0; r >= 0 && i < u.n; i++)
                r = mark(l, u.rows[i].id, u.rows[i].mac);
        free(u.rows);
        return r;
}

typedef struct SamePhone {
        const Ledger *ledger;
        uint8_t mac[VAULT_MAC_SIZE];
        Ids parcels;
} SamePhone;

static int same_phone(void *userdata, const ParcelRow *p) {
        SamePhone *s = userdata;
        uint8_t mac[VAULT_MAC_SIZE];

        if (p->person || !phone_mac(s->ledger->vault, p->phone, mac) || memcmp(mac, s->mac, sizeof(mac)) != 0)
                return 0;
        return ids_add(&s->parcels, p->id);
}

static int forget_phone(Ledger *l, SamePhone *s, const char *phone) {
        char digits[64] = "";
        phone_digits(phone, digits, sizeof(digits));
        size_t n = strlen(digits);
        int r = n < 4 ? 0 : ledger_parcel_each_of_phone_tail(l, digits + n - 4, same_phone, s);

        explicit_bzero(digits, sizeof(digits));
        for (size_t i = 0; r >= 0 && i < s->parcels.n; i++)
                r = run_for(l, SQL_PARCEL_FORGET, s->parcels.ids[i]);
        ids_done(&s->parcels);
        if (r >= 0)
                r = mark_history(l);
        if (r < 0)
                return r;
        _cleanup_query_ Query q = {0};
        r = query_begin(&q, l, SQL_HISTORY_FORGET_PHONE);
        if (r < 0)
                return r;
        query_blob(&q, 1, s->mac, sizeof(s->mac));
        return query_run(&q);
}

int ledger_history_forget(Ledger *l, int64_t before, unsigned limit, uint64_t *ret_n) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_HISTORY_FORGET_OLD);
        if (r < 0)
                return r;
        query_i64(&q, 1, before);
        query_i64(&q, 2, limit);
        r = query_run(&q);
        if (r < 0)
                return r;
        *ret_n = (uint64_t)sqlite3_changes(l->db);
        if (*ret_n)
                l->scrub = MAX(l->scrub, SCRUB_NEXT);
        return 0;
}

/* A courier's phone is no reason to forget what a recipient has received. */
static int forget_same_phone(Ledger *l, uint64_t id) {
        _cleanup_person_ PersonRow p = {0};
        SamePhone s = {.ledger = l};
        int r = ledger_person_get(l, id, &p);

        if (r == -EUCLEAN || r == -ENOENT)
                return 0; /* erasing must be possible also when reading is not */
        if (r < 0 || p.kind != PERSON_RECIPIENT || !phone_mac(l->vault, p.phone, s.mac))
                return r;
        return forget_phone(l, &s, p.phone);
}

int ledger_person_revoke(Ledger *l, uint64_t id, int64_t wall) {
        bool own;

        int r = scope_begin(l, &own);
        if (r < 0)
                return r;
        r = forget_same_phone(l, id);
        if (r >= 0)
                r = mark_revoked(l, id, wall);
        if (r == -ENOENT && !own)
                return r; /* nothing was changed: the caller's transaction is still valid */
        if (r >= 0)
                r = run_for(l, SQL_PERSON_FORGET_CREDENTIALS, id);
        if (r >= 0)
                r = consents_withdraw(l, id, NULL, wall);
        if (r >= 0)
                r = run_for(l, SQL_PERSON_FORGET_HISTORY, id);
        r = scope_end(l, own, r);
        if (r >= 0)
                l->scrub = SCRUB_SOON;
        return r;
}

int ledger_person_each(Ledger *l, int (*each)(void *userdata, const PersonRow *p), void *userdata) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_PERSON_EACH);
        if (r < 0)
                return r;
        while ((r = query_step(&q)) > 0) {
                _cleanup_person_ PersonRow p = {0};
                r = person_read(&q, true, &p);
                if (r >= 0)
                        r = each(userdata, &p);
                if (r != 0)
                        return r;
        }
        return r;
}
