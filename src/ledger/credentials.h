/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of people, and the consents that they rest on. Errors as in ledger.h. */
#pragma once

#include "core/credential.h"
#include "ledger/ledger.h"

/* What somebody has agreed to: a text by its name and version, where, and who was there. */
typedef struct Consent {
        const char *text, *version, *place, *witness;
} Consent;

/* Replaces. At most CREDENTIAL_DATA_MAX bytes, sealed with the person's key; with the consent, in one step.
 * wall: now. consent NULL: only for a PIN, else -EPERM. -ENOENT: no such person, or revoked. */
int ledger_credential_set(Ledger *l, uint64_t person, const char *kind, const uint8_t *data, size_t n,
                          const Consent *consent, int64_t wall);
/* It was right; recorded once an hour at most. */
int ledger_credential_used(Ledger *l, uint64_t person, const char *kind, int64_t wall);
/* Nothing of it can be read again; the consent stays, withdrawn. -ENOENT. */
int ledger_credential_erase(Ledger *l, uint64_t person, const char *kind, int64_t wall);

/* Of one credential, without its template. Texts are valid during the call; NULL without a consent. */
typedef struct CredentialRow {
        uint64_t person;
        const char *kind;
        int64_t enrolled, used, given; /* 0: not yet, none */
        Consent consent;
} CredentialRow;
typedef int (*CredentialEach)(void *userdata, const CredentialRow *row);
int ledger_credential_each(Ledger *l, uint64_t person, CredentialEach each, void *userdata);
/* At most so many that were enrolled and last used before this; of the row only person and kind. */
int ledger_credential_each_unused(Ledger *l, int64_t before, unsigned limit, CredentialEach each,
                                  void *userdata);
/* Into fresh memory, which the caller erases (bytes_erase_free()). -ENOENT. */
int ledger_credential_get(Ledger *l, uint64_t person, const char *kind, uint8_t **ret_data, size_t *ret_n);
static inline void bytes_erase_free(uint8_t *data, size_t n) {
        if (data)
                explicit_bzero(data, n);
        free(data);
}

/* For ledger_person_revoke(), in a transaction. kind NULL: of all kinds. */
int consents_withdraw(Ledger *l, uint64_t person, const char *kind, int64_t wall);
