/* SPDX-License-Identifier: Apache-2.0 */
/* What verifies people, and what they have agreed to. Templates are sealed with the key of their person
 * (ledger/people.c): nothing of them can be read again once that is erased. */
#include "ledger/credentials.h"
#include "base/text.h"
#include "ledger/sql.h"

#include <errno.h>

#define LABEL_CREDENTIAL "credential." /* and its kind */

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

static int run_for_kind(Ledger *l, Statement s, uint64_t person, const char *kind, int64_t wall) {
        _cleanup_query_ Query q = {0};
        int r = query_begin(&q, l, s);

        if (r < 0)
                return r;
        query_u64(&q, 1, person);
        query_text(&q, 2, kind);
        if (s != SQL_CREDENTIAL_ERASE && s != SQL_CONSENT_DROP_WRONG)
                query_i64(&q, 3, wall);
        return query_run(&q);
}

int consents_withdraw(Ledger *l, uint64_t person, const char *kind, int64_t wall) {
        int r = run_for_kind(l, SQL_CONSENT_DROP_WRONG, person, kind, wall);

        return r < 0 ? r : run_for_kind(l, SQL_CONSENT_WITHDRAW, person, kind, wall);
}

/* 1, 0 or a negative errno. */
static int credential_exists(Ledger *l, uint64_t person, const char *kind) {
        _cleanup_query_ Query q = {0};
        int r = query_begin(&q, l, SQL_CREDENTIAL_GET);

        if (r < 0)
                return r;
        query_u64(&q, 1, person);
        query_text(&q, 2, kind);
        r = query_row(&q);
        return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

int ledger_credential_set(Ledger *l, uint64_t person, const char *kind, const uint8_t *data, size_t n,
                          const Consent *consent, int64_t wall) {
        uint8_t salt[SALT_SIZE];
        int replaces = 0;
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
        r = replaces = credential_exists(l, person, kind);
        if (r >= 0 && consent)
                r = put_consent(l, person, kind, consent, wall);
        if (r >= 0)
                r = put_credential(l, person, kind, sealed, n + VAULT_SEAL_EXTRA, consent, wall);
        if (r >= 0)
                r = run_for_kind(l, SQL_CONSENT_DROP_WRONG, person, kind, wall);
        r = scope_end(l, own, r);
        if (r >= 0 && replaces)
                l->scrub = SCRUB_SOON; /* the former template is in old pages of the log */
        return r;
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
                r = consents_withdraw(l, person, kind, wall);
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
