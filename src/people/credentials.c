/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials that go: revoked one by one, or ended because nobody has used them for long; and what becomes
 * of the parcels that they would have opened. */
#include "people/credentials.h"
#include "core/mask.h"
#include "people/people.h"
#include "people/people_struct.h"
#include "base/ids.h"
#include "base/log.h"
#include "ledger/codes.h"
#include "ledger/credentials.h"
#include "ledger/parcels.h"

#include <errno.h>
#include <stdio.h>

#define EVERY_USEC  (3600 * USEC_PER_SEC)
#define UNSURE_USEC (60 * USEC_PER_SEC)
#define AT_A_TIME   50

/* --- parcels --- */

static int collect_waiting(void *userdata, const ParcelRow *p) {
        bool waits = parcel_is_recipients(p) || p->state == PARCEL_DEPOSITING;

        return waits ? ids_add(userdata, p->id) : 0;
}

static int issue_codes(People *p, const Ids *w, const char *actor, const char *reason) {
        char code[CODE_LENGTH + 1] = "";
        int r = 0;

        for (size_t i = 0; r >= 0 && i < w->n; i++) {
                _cleanup_parcel_ ParcelRow row = {0};
                r = ledger_code_exists(p->ledger, w->ids[i]);
                if (r)
                        continue;
                r = ledger_parcel_get(p->ledger, w->ids[i], &row);
                if (r >= 0)
                        r = people_issue_code(p, &row, actor, reason, code);
        }
        explicit_bzero(code, sizeof(code));
        return r;
}

int codes_instead(People *p, uint64_t person, const char *actor) {
        _cleanup_person_ PersonRow row = {0};
        _cleanup_ids_ Ids waiting = {0};
        int r = ledger_person_get(p->ledger, person, &row);

        if (r < 0 && r != -ENOENT)
                return r;
        const char *reason = r >= 0 ? "what its recipient has does not open it any more"
                                    : "its recipient is not enrolled any more";
        /* C4: of somebody who is gone there is nothing left. */
        if (r >= 0 && sufficiency_possible(&p->settings->alone, ACT_COLLECT, row.credentials))
                return 0;
        r = ledger_parcel_each_of_person(p->ledger, person, collect_waiting, &waiting);
        return r < 0 ? r : issue_codes(p, &waiting, actor, reason);
}

/* --- which credentials open a parcel (C2) --- */

int people_bound(People *p, const ParcelRow *parcel, unsigned kinds, const char *actor) {
        json_t *names = json_array();
        char subject[SUBJECT_MAX];
        int r = names ? 0 : -1;

        for (CredentialKind k = 0; r >= 0 && k < CREDENTIAL_KINDS_MAX; k++)
                if (kinds & credential_bit(k))
                        r = json_array_append_new(names, json_string(credential_kind_to_string(k)));
        json_t *data =
                r < 0 ? NULL
                      : json_pack("{s:I, s:O}", "person", (json_int_t)parcel->person, "credentials", names);
        json_decref(names);
        snprintf(subject, sizeof(subject), "parcel:%llu", (unsigned long long)parcel->id);
        return data ? records_add(p->records, actor, NULL, "credential.bound", subject, data, NULL) : -ENOMEM;
}

int bindings_tell(People *p, uint64_t person, const char *actor) {
        _cleanup_person_ PersonRow row = {0};
        _cleanup_ids_ Ids waiting = {0};
        int r = ledger_person_get(p->ledger, person, &row);

        if (r < 0)
                return r;
        bool possible = sufficiency_possible(&p->settings->alone, ACT_COLLECT, row.credentials);
        r = ledger_parcel_each_of_person(p->ledger, person, collect_waiting, &waiting);
        for (size_t i = 0; r >= 0 && i < waiting.n; i++) {
                const ParcelRow parcel = {.id = waiting.ids[i], .person = person};
                r = people_bound(p, &parcel, possible ? row.credentials : 0, actor);
        }
        return r;
}

typedef struct SamePhone {
        char digits[64];
        Ids parcels;
} SamePhone;

static int collect_same_phone(void *userdata, const ParcelRow *p) {
        SamePhone *s = userdata;
        char digits[64] = "";

        if (p->person || !p->phone)
                return 0;
        phone_digits(p->phone, digits, sizeof(digits));
        bool same = streq(digits, s->digits);
        explicit_bzero(digits, sizeof(digits));
        return same ? collect_waiting(&s->parcels, p) : 0;
}

int parcels_adopt(People *p, const PersonRow *person) {
        SamePhone s = {.digits = ""};
        int r = 0;

        if (person->phone)
                phone_digits(person->phone, s.digits, sizeof(s.digits));
        size_t n = strlen(s.digits);
        if (person->kind == PERSON_RECIPIENT && n >= 4)
                r = ledger_parcel_each_of_phone_tail(p->ledger, s.digits + n - 4, collect_same_phone, &s);
        for (size_t i = 0; r >= 0 && i < s.parcels.n; i++) {
                _cleanup_parcel_ ParcelRow row = {0};
                r = ledger_parcel_get(p->ledger, s.parcels.ids[i], &row);
                row.person = person->id;
                if (r >= 0)
                        r = ledger_parcel_update(p->ledger, &row);
        }
        explicit_bzero(s.digits, sizeof(s.digits));
        ids_done(&s.parcels);
        return r;
}

/* --- revoked --- */

/* Of a credential that ends: terminal: where its person has said so; NULL: somebody else has. */
typedef struct Ending {
        const char *actor, *reason, *type, *terminal;
} Ending;

static int write_end(People *p, uint64_t person, CredentialKind kind, const Ending *e) {
        const char *name = credential_kind_to_string(kind);
        char subject[SUBJECT_MAX];
        int r = ledger_credential_erase(p->ledger, person, name, people_wall(p));

        snprintf(subject, sizeof(subject), "person:%llu", (unsigned long long)person);
        if (r >= 0)
                r = records_add(p->records, e->actor, e->reason, e->type, subject,
                                json_pack("{s:s, s:s*}", "kind", name, "terminal", e->terminal), NULL);
        if (r >= 0)
                r = bindings_tell(p, person, e->actor);
        return r < 0 ? r : codes_instead(p, person, e->actor);
}

static int end_credential(People *p, uint64_t person, CredentialKind kind, const Ending *e) {
        int r = records_begin(p->records);

        if (r < 0)
                return r;
        r = records_end(p->records, MIN(write_end(p, person, kind, e), 0));
        if (r >= 0)
                p->revoked(p->userdata, person);
        return r;
}

static int revoke_one(People *p, uint64_t person, CredentialKind kind, const Ending *e) {
        int r = end_credential(p, person, kind, e);

        return r == -ENOENT ? LOCKER_E_UNKNOWN_CREDENTIAL : r;
}

int people_revoke_credential(People *p, uint64_t person, CredentialKind kind, const char *actor,
                             const char *reason) {
        _cleanup_person_ PersonRow row = {0};

        if (!reason || !*reason)
                return LOCKER_E_INVALID_ARGUMENT;
        int r = ledger_person_get(p->ledger, person, &row);
        if (r < 0)
                return r == -ENOENT ? LOCKER_E_UNKNOWN_PERSON : r;
        return revoke_one(p, person, kind, &(Ending){actor, reason, "credential.revoked", NULL});
}

/* A recipient without credentials gets codes; a courier would have no way in, or none for whom the reader
 * does not work. */
static int may_drop(const People *p, const PersonRow *row, CredentialKind kind,
                    char detail[PEOPLE_DETAIL_MAX]) {
        const Sufficiency *alone = &p->settings->alone;
        unsigned left = row->credentials & ~credential_bit(kind), without = left;

        if (row->kind != PERSON_COURIER || !(row->credentials & credential_bit(kind)))
                return 0;
        for (CredentialKind k = 0; k < CREDENTIAL_KINDS_MAX; k++)
                if (credential_has_reader(k))
                        without &= ~credential_bit(k);
        if (!sufficiency_possible(alone, ACT_DEPOSIT, left))
                snprintf(detail, PEOPLE_DETAIL_MAX,
                         "With what is left you could not sign in any more. Please ask the operator.");
        else if (!credential_has_reader(kind) && !sufficiency_possible(alone, ACT_DEPOSIT, without))
                snprintf(
                        detail, PEOPLE_DETAIL_MAX,
                        "One way to sign in that needs no reader has to stay. Please enrol another first, or "
                        "ask the operator.");
        else
                return 0;
        return LOCKER_E_NOT_ALLOWED;
}

int people_revoke_own(People *p, uint64_t person, CredentialKind kind, const char *actor,
                      const char *terminal, char detail[PEOPLE_DETAIL_MAX]) {
        _cleanup_person_ PersonRow row = {0};

        *detail = 0;
        int r = ledger_person_get(p->ledger, person, &row);
        if (r < 0)
                return r == -ENOENT ? LOCKER_E_UNKNOWN_PERSON : r;
        r = may_drop(p, &row, kind, detail);
        return r ? r
                 : revoke_one(p, person, kind,
                              &(Ending){actor, "by the person's own wish", "credential.revoked", terminal});
}

/* --- unused --- */

typedef struct Unused {
        struct {
                uint64_t person;
                CredentialKind kind;
        } found[AT_A_TIME];
        size_t n;
} Unused;

static int remember_unused(void *userdata, const CredentialRow *row) {
        CredentialKind kind = credential_kind_from_string(row->kind, strlen(row->kind));
        Unused *u = userdata;

        /* One of a kind that only a later version knows is that version's. */
        if (kind != CREDENTIAL_NONE && u->n < AT_A_TIME) {
                u->found[u->n].person = row->person;
                u->found[u->n++].kind = kind;
        }
        return 0;
}

void credentials_tick(People *p, const Now *now) {
        uint64_t keep = p->settings->end_unused_usec;
        Unused u = {.n = 0};

        if (now->boot_usec < p->unused_at)
                return;
        if (!keep) {
                p->unused_at = USEC_INFINITY;
                return;
        }
        /* A clock that is years ahead, and that nobody vouches for, would end everybody's. */
        const Moment moment = records_moment(p->records);
        p->unused_at = now->boot_usec + (moment.vouched ? EVERY_USEC : UNSURE_USEC);
        if (!moment.vouched)
                return;
        int r = ledger_credential_each_unused(p->ledger, moment.wall - (int64_t)keep, AT_A_TIME,
                                              remember_unused, &u);
        for (size_t i = 0; r >= 0 && i < u.n; i++)
                r = end_credential(p, u.found[i].person, u.found[i].kind,
                                   &(Ending){NULL, "not used for long", "credential.ended", NULL});
        if (r < 0)
                log_error_errno(r, "Cannot end credentials that nobody has used for long");
        if (u.n == AT_A_TIME)
                p->unused_at = now->boot_usec + UNSURE_USEC;
}
