/* SPDX-License-Identifier: Apache-2.0 */
/* Persons and their credentials. Personal data is sealed with a key derived from the cabinet's key and
 * a salt of the person: once the salt is erased it cannot be opened again, not even from an old copy of
 * the sealed value alone. */
#include "base/ids.h"
#include "base/text.h"
#include "ledger/parcels.h"
#include "ledger/people.h"
#include "core/mask.h"
#include "ledger/sql.h"

#include <errno.h>

#define LABEL_NAME         "person.name"
#define LABEL_PHONE        "person.phone"
#define LABEL_CREDENTIAL   "credential." /* and its kind */
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
        bool own = !l->in_transaction;
        r = own ? ledger_begin(l) : 0;
        if (r < 0)
                return r;
        r = query_run(&q);
        uint64_t id = r < 0 ? 0 : (uint64_t)sqlite3_last_insert_rowid(l->db);
        if (r >= 0)
                r = seals_person(l, id);
        query_end(&q);
        if (own && r >= 0)
                r = ledger_commit(l);
        else if (own)
                ledger_rollback(l);
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

static int person_read(const Query *q, PersonRow *ret) {
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
        int r = column_label(q, 2, p.number, sizeof(p.number));
        if (r >= 0)
                r = column_bytes(q, 3, salt, sizeof(salt));
        if (r >= 0)
                r = sealed_read(q, 4, q->ledger->vault, LABEL_NAME, salt, &p.name);
        if (r >= 0)
                r = sealed_read(q, 5, q->ledger->vault, LABEL_PHONE, salt, &p.phone);
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
        return r < 0 ? r : person_read(&q, ret);
}

int ledger_person_by_number(Ledger *l, const char *number, PersonRow *ret) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_PERSON_BY_NUMBER);
        if (r < 0)
                return r;
        query_text(&q, 1, number);
        r = query_row(&q);
        return r < 0 ? r : person_read(&q, ret);
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
        return r < 0 ? r : person_read(&q, ret);
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

static int withdraw_consents(Ledger *l, uint64_t id, int64_t wall) {
        _cleanup_query_ Query q = {0};
        int r = query_begin(&q, l, SQL_CONSENT_WITHDRAW);

        if (r < 0)
                return r;
        query_u64(&q, 1, id);
        query_text(&q, 2, NULL);
        query_i64(&q, 3, wall);
        return query_run(&q);
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
                r = withdraw_consents(l, id, wall);
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
                r = person_read(&q, &p);
                if (r >= 0)
                        r = each(userdata, &p);
                if (r != 0)
                        return r;
        }
        return r;
}

static int person_salt(Ledger *l, uint64_t id, uint8_t ret[SALT_SIZE]) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_PERSON_SALT);
        if (r < 0)
                return r;
        query_u64(&q, 1, id);
        r = query_row(&q);
        return r < 0 ? r : column_bytes(&q, 0, ret, SALT_SIZE);
}

static int put_consent(Ledger *l, uint64_t person, const char *kind, const Consent *c, int64_t wall) {
        _cleanup_query_ Query q = {0};
        int r = query_begin(&q, l, SQL_CONSENT_PUT);

        if (r < 0)
                return r;
        query_u64(&q, 1, person);
        query_text(&q, 2, kind);
        query_i64(&q, 3, wall);
        query_text(&q, 4, c->text);
        query_text(&q, 5, c->version);
        query_text(&q, 6, c->place);
        query_text(&q, 7, c->witness);
        return query_run(&q);
}

static int put_credential(Ledger *l, uint64_t person, const char *kind, const uint8_t *sealed, size_t n,
                          bool consented, int64_t wall) {
        _cleanup_query_ Query q = {0};
        int r = query_begin(&q, l, SQL_CREDENTIAL_SET);

        if (r < 0)
                return r;
        query_u64(&q, 1, person);
        query_text(&q, 2, kind);
        query_blob(&q, 3, sealed, n);
        query_i64(&q, 4, wall);
        /* Not query_time(), to which 0 is none. */
        if (consented)
                query_i64(&q, 5, wall);
        else
                query_text(&q, 5, NULL);
        return query_run(&q);
}

int ledger_credential_set(Ledger *l, uint64_t person, const char *kind, const uint8_t *data, size_t n,
                          const Consent *consent, int64_t wall) {
        uint8_t salt[SALT_SIZE];
        bool own;

        if (n > CREDENTIAL_DATA_MAX || !kind[0])
                return -EINVAL;
        if (!consent && !streq(kind, credential_kind_to_string(CREDENTIAL_PIN)))
                return -EPERM;
        _cleanup_free_ char *label = text_printf(LABEL_CREDENTIAL "%s", kind);
        _cleanup_free_ uint8_t *sealed = malloc(n + VAULT_SEAL_EXTRA);
        if (!label || !sealed)
                return -ENOMEM;
        int r = person_salt(l, person, salt);
        if (r >= 0)
                r = vault_seal(l->vault, label, salt, data, n, sealed);
        if (r >= 0)
                r = scope_begin(l, &own);
        if (r < 0)
                return r;
        if (consent)
                r = put_consent(l, person, kind, consent, wall);
        if (r >= 0)
                r = put_credential(l, person, kind, sealed, n + VAULT_SEAL_EXTRA, consent, wall);
        return scope_end(l, own, r);
}

static int run_for_kind(Ledger *l, Statement s, uint64_t person, const char *kind, int64_t wall) {
        _cleanup_query_ Query q = {0};
        int r = query_begin(&q, l, s);

        if (r < 0)
                return r;
        query_u64(&q, 1, person);
        query_text(&q, 2, kind);
        if (s != SQL_CREDENTIAL_ERASE)
                query_i64(&q, 3, wall);
        return query_run(&q);
}

int ledger_credential_used(Ledger *l, uint64_t person, const char *kind, int64_t wall) {
        return run_for_kind(l, SQL_CREDENTIAL_USED, person, kind, wall);
}

int ledger_credential_erase(Ledger *l, uint64_t person, const char *kind, int64_t wall) {
        bool own;
        int r = scope_begin(l, &own);

        if (r < 0)
                return r;
        r = run_for_kind(l, SQL_CREDENTIAL_ERASE, person, kind, wall);
        if (r >= 0 && sqlite3_changes(l->db) == 0)
                r = -ENOENT;
        if (r == -ENOENT && !own)
                return r; /* nothing was changed: the caller's transaction is still valid */
        if (r >= 0)
                r = run_for_kind(l, SQL_CONSENT_WITHDRAW, person, kind, wall);
        r = scope_end(l, own, r);
        if (r >= 0)
                l->scrub = SCRUB_SOON;
        return r;
}

int ledger_credential_each(Ledger *l, uint64_t person, CredentialEach each, void *userdata) {
        _cleanup_query_ Query q = {0};
        int r = query_begin(&q, l, SQL_CREDENTIAL_EACH);

        if (r < 0)
                return r;
        query_u64(&q, 1, person);
        while ((r = query_step(&q)) > 0) {
                const CredentialRow row = {.person = column_u64(&q, 0),
                                           .kind = column_text(&q, 1),
                                           .enrolled = column_i64(&q, 2),
                                           .used = column_i64(&q, 3),
                                           .given = column_i64(&q, 4),
                                           .consent = {.text = column_text(&q, 5),
                                                       .version = column_text(&q, 6),
                                                       .place = column_text(&q, 7),
                                                       .witness = column_text(&q, 8)}};
                r = each(userdata, &row);
                if (r != 0)
                        return r;
        }
        return r;
}

int ledger_credential_each_unused(Ledger *l, int64_t before, unsigned limit, CredentialEach each,
                                  void *userdata) {
        _cleanup_query_ Query q = {0};
        int r = query_begin(&q, l, SQL_CREDENTIAL_UNUSED);

        if (r < 0)
                return r;
        query_i64(&q, 1, before);
        query_i64(&q, 2, limit);
        while ((r = query_step(&q)) > 0) {
                const CredentialRow row = {.person = column_u64(&q, 0), .kind = column_text(&q, 1)};
                r = each(userdata, &row);
                if (r != 0)
                        return r;
        }
        return r;
}

int ledger_credential_get(Ledger *l, uint64_t person, const char *kind, uint8_t **ret_data, size_t *ret_n) {
        _cleanup_query_ Query q = {0};
        uint8_t salt[SALT_SIZE];
        _cleanup_free_ char *label = text_printf(LABEL_CREDENTIAL "%s", kind);

        if (!label)
                return -ENOMEM;
        int r = query_begin(&q, l, SQL_CREDENTIAL_GET);
        if (r < 0)
                return r;
        query_u64(&q, 1, person);
        query_text(&q, 2, kind);
        r = query_row(&q);
        if (r >= 0)
                r = column_bytes(&q, 1, salt, sizeof(salt));
        if (r < 0)
                return r;
        size_t n = (size_t)sqlite3_column_bytes(q.stmt, 0);
        if (n < VAULT_SEAL_EXTRA || n > CREDENTIAL_DATA_MAX + VAULT_SEAL_EXTRA)
                return -EUCLEAN;
        uint8_t *data = malloc(n - VAULT_SEAL_EXTRA + 1);
        if (!data)
                return -ENOMEM;
        r = vault_open(l->vault, label, salt, sqlite3_column_blob(q.stmt, 0), n, data);
        if (r < 0) {
                bytes_erase_free(data, n - VAULT_SEAL_EXTRA);
                return r == -EBADMSG ? -EUCLEAN : r;
        }
        *ret_data = data;
        *ret_n = n - VAULT_SEAL_EXTRA;
        return 0;
}
