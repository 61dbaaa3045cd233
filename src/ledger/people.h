/* SPDX-License-Identifier: Apache-2.0 */
/* People. What verifies them: ledger/credentials.h. Errors as in ledger.h. */
#pragma once

#include "core/credential.h"
#include "ledger/ledger.h"

typedef enum PersonKind { PERSON_COURIER, PERSON_RECIPIENT } PersonKind;
const char *person_kind_to_string(PersonKind k);

typedef struct PersonRow {
        uint64_t id;
        PersonKind kind;
        char number[LABEL_MAX + 1]; /* couriers; "" for recipients */
        char *name, *phone;         /* sealed in the file with a key of the person's own */
        int64_t enrolled, revoked, consented;
        unsigned credentials; /* a bit for each CredentialKind */
} PersonRow;
void person_row_done(PersonRow *p);
static inline void person_row_donep(PersonRow *p) {
        person_row_done(p);
}
#define _cleanup_person_ _cleanup_(person_row_donep)

/* Sets id; -EEXIST: the number, or the phone for a person of the same kind, is enrolled. */
int ledger_person_insert(Ledger *l, PersonRow *p);
int ledger_person_get(Ledger *l, uint64_t id, PersonRow *ret); /* not revoked; -ENOENT */
int ledger_person_by_number(Ledger *l, const char *number, PersonRow *ret);
/* Compares digits. Prefers a recipient to a courier with the same phone. */
int ledger_person_by_phone(Ledger *l, const char *phone, PersonRow *ret);
/* Erases name, phone, their key, all credentials, and name and phone in this person's ended parcels, a
 * recipient's also in those that were sent to the same phone without belonging to an enrolled person; the row
 * and its number's history stay, and the number and phone may be enrolled again. Live parcels keep theirs
 * until they end. -ENOENT. */
int ledger_person_revoke(Ledger *l, uint64_t id, int64_t wall);
/* Names and phone numbers of at most so many parcels that ended before, the oldest first; ret_n: of how many.
 */
int ledger_history_forget(Ledger *l, int64_t before, unsigned limit, uint64_t *ret_n);
/* All who are not revoked. */
int ledger_person_each(Ledger *l, int (*each)(void *userdata, const PersonRow *p), void *userdata);

static inline bool person_has(const PersonRow *p, CredentialKind k) {
        return p->credentials & (1U << k);
}
