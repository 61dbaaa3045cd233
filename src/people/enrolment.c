/* SPDX-License-Identifier: Apache-2.0 */
/* Enrolment and revocation (C1, C6): who somebody is and what verifies them are stored apart; consent is
 * recorded; revoking erases. */
#include "people/private.h"
#include "base/ids.h"
#include "ledger/codes.h"
#include "ledger/inbox.h"
#include "ledger/parcels.h"
#include "ledger/people.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#define PHONE_DIGITS_MIN 7
#define PHONE_DIGITS_MAX 15

struct Enrolling {
        Enrolling *next;
        IdentityJob *job;
        People *people;
        PersonRow person;
        /* Of each kind: what was presented, until it has been processed, and what came of it. */
        char *secrets[CREDENTIAL_KINDS_MAX];
        struct {
                uint8_t *data;
                size_t n;
        } templates[CREDENTIAL_KINDS_MAX];
        CredentialKind at; /* under way */
        char *actor;
        InboxRow *command; /* of the backend, executed when the evidence has been processed; NULL */
        EnrolDone done;
        void *userdata;
};

static void enrolling_free(Enrolling *e) {
        for (Enrolling **p = &e->people->enrolling; *p; p = &(*p)->next)
                if (*p == e) {
                        *p = e->next;
                        break;
                }
        for (int k = 0; k < CREDENTIAL_KINDS_MAX; k++) {
                text_erase_free(e->secrets[k]);
                bytes_erase_free(e->templates[k].data, e->templates[k].n);
        }
        person_row_done(&e->person);
        free(e->actor);
        free(e);
}

static bool number_is_fine(const char *number) {
        size_t n = strlen(number);

        if (n < 1 || n > LABEL_MAX)
                return false;
        for (; *number; number++)
                if (!isalnum((unsigned char)*number) && *number != '-')
                        return false;
        return true;
}

void enrolments_give_up(People *p) {
        while (p->enrolling) {
                Enrolling *e = p->enrolling;
                identity_cancel(e->job);
                e->done(e->userdata, LOCKER_E_INTERNAL, "The cabinet is being shut down; nothing was stored.",
                        0);
                enrolling_free(e);
        }
}

static int write_person(Enrolling *e) {
        People *p = e->people;
        _cleanup_free_ char *name = mask_name(e->person.name ? e->person.name : "");
        char subject[SUBJECT_MAX];
        int r = ledger_person_insert(p->ledger, &e->person);

        for (CredentialKind k = 0; r >= 0 && k < CREDENTIAL_KINDS_MAX; k++)
                if (e->templates[k].data)
                        r = ledger_credential_set(p->ledger, e->person.id, credential_kind_to_string(k),
                                                  e->templates[k].data, e->templates[k].n);
        if (r < 0)
                return r;
        snprintf(subject, sizeof(subject), "person:%llu", (unsigned long long)e->person.id);
        return records_add(p->records, e->actor, NULL, "person.enrolled", subject,
                           json_pack("{s:s, s:s, s:s*, s:b}", "kind", person_kind_to_string(e->person.kind),
                                     "number", e->person.number, "name", name, "consent",
                                     e->person.consented != 0),
                           NULL);
}

static void store(Enrolling *e) {
        Records *rec = e->people->records;

        if (e->command)
                records_set_command(rec, e->command);
        int r = records_begin(rec);
        if (r >= 0) {
                r = write_person(e);
                r = records_end(rec, r);
        }
        records_unset_command(rec, e->command);
        e->done(e->userdata, r == -EEXIST ? LOCKER_E_ALREADY_ENROLLED : r, NULL, e->person.id);
        enrolling_free(e);
}

static int process_next(Enrolling *e);

/* One kind after the other; all of them are stored at once, or none. */
static void processed(void *userdata, IdentityResult result, const uint8_t *data, size_t n) {
        Enrolling *e = userdata;
        CredentialKind k = e->at;
        int r = result == IDENTITY_ENROLLED ? 0 : LOCKER_E_INTERNAL;

        e->job = NULL;
        if (!r) {
                e->templates[k].data = malloc(n + 1);
                r = e->templates[k].data ? 0 : -ENOMEM;
        }
        if (!r) {
                memcpy(e->templates[k].data, data, n);
                e->templates[k].n = n;
                r = process_next(e);
        }
        if (r > 0 || r == -ENOBUFS || r == -ENOMEM) {
                e->done(e->userdata, LOCKER_E_INTERNAL,
                        "The secret could not be processed; please try again.", 0);
                enrolling_free(e);
        } else if (r < 0) {
                e->done(e->userdata, r, NULL, 0);
                enrolling_free(e);
        }
}

/* 0: it has been given to its verifier, or everything is stored and e is gone. */
static int process_next(Enrolling *e) {
        CredentialKind k = 0;

        while (k < CREDENTIAL_KINDS_MAX && !e->secrets[k])
                k++;
        if (k == CREDENTIAL_KINDS_MAX) {
                store(e);
                return 0;
        }
        _cleanup_erase_ char *secret = steal_ptr(e->secrets[k]);
        e->at = k;
        return identity_enrol(e->people->identity,
                              &(IdentityRequest){.kind = k,
                                                 .evidence = secret,
                                                 .n_evidence = strlen(secret),
                                                 .done = processed,
                                                 .userdata = e},
                              &e->job);
}

/* --- what may be enrolled --- */

static int check_secret(const People *p, const char *secret, bool courier, CredentialKind k,
                        char detail[PEOPLE_DETAIL_MAX]) {
        const Verifier *v = identity_verifier(k);
        const char *sentence = NULL;

        if (!credential_may_be_of(k, courier)) {
                snprintf(detail, PEOPLE_DETAIL_MAX, "%s: %s have none", credential_kind_to_string(k),
                         courier ? "couriers" : "recipients");
                return LOCKER_E_INVALID_ARGUMENT;
        }
        if (!v || !(v->abilities & VERIFIER_ENROLS)) {
                snprintf(detail, PEOPLE_DETAIL_MAX, "%s: cannot be enrolled at this cabinet",
                         credential_kind_to_string(k));
                return LOCKER_E_INVALID_ARGUMENT;
        }
        int r = v->acceptable((const uint8_t *)secret, strlen(secret), p->settings->min_length[k], &sentence);
        if (r == -EDOM)
                return LOCKER_E_WEAK_SECRET;
        if (r < 0)
                snprintf(detail, PEOPLE_DETAIL_MAX, "%s", sentence ? sentence : credential_kind_to_string(k));
        return r < 0 ? LOCKER_E_INVALID_ARGUMENT : 0;
}

/* All that came along must be acceptable; ret: their kinds. */
static int check_secrets(const People *p, const Enrolment *e, bool courier, unsigned *ret,
                         char detail[PEOPLE_DETAIL_MAX]) {
        *ret = 0;
        for (CredentialKind k = 0; k < CREDENTIAL_KINDS_MAX; k++) {
                if (!e->secrets[k])
                        continue;
                int r = check_secret(p, e->secrets[k], courier, k, detail);
                if (r)
                        return r;
                *ret |= credential_bit(k);
        }
        return 0;
}

static int refuse(char detail[PEOPLE_DETAIL_MAX], const char *sentence) {
        snprintf(detail, PEOPLE_DETAIL_MAX, "%s", sentence);
        return LOCKER_E_INVALID_ARGUMENT;
}

static int check_courier(const Enrolment *e, unsigned kinds, char detail[PEOPLE_DETAIL_MAX]) {
        if (!e->number || !number_is_fine(e->number))
                return refuse(detail, "number: 1 to 32 letters, digits or '-'");
        /* Deposits are theirs alone: one who could not show who they are could not even begin. */
        if (!kinds)
                return refuse(detail, "a courier needs a credential, such as a pin (digits)");
        return 0;
}

static int check_recipient(const Enrolment *e, unsigned kinds, char detail[PEOPLE_DETAIL_MAX]) {
        char digits[64] = "";

        if (e->phone)
                phone_digits(e->phone, digits, sizeof(digits));
        size_t n = strlen(digits);
        explicit_bzero(digits, sizeof(digits));
        if (n < PHONE_DIGITS_MIN || n > PHONE_DIGITS_MAX)
                return refuse(detail, "phone: 7 to 15 digits");
        if (e->number && *e->number)
                return refuse(detail, "recipients have a phone, not a number");
        if (kinds && !e->consent)
                return refuse(detail, "consent: must be true to store a credential");
        return 0;
}

static int check(const People *p, const Enrolment *e, bool courier, char detail[PEOPLE_DETAIL_MAX]) {
        unsigned kinds;
        int r = check_secrets(p, e, courier, &kinds, detail);

        if (!r)
                r = courier ? check_courier(e, kinds, detail) : check_recipient(e, kinds, detail);
        return r;
}

static int already_enrolled(People *p, const Enrolment *e, bool courier) {
        _cleanup_person_ PersonRow row = {0};
        int r = courier ? ledger_person_by_number(p->ledger, e->number, &row)
                        : ledger_person_by_phone(p->ledger, e->phone, &row);

        return r >= 0 ? LOCKER_E_ALREADY_ENROLLED : r == -ENOENT ? 0 : r;
}

static int fill_person(const People *p, const Enrolment *e, bool courier, PersonRow *row) {
        row->kind = courier ? PERSON_COURIER : PERSON_RECIPIENT;
        row->enrolled = people_wall(p);
        row->consented = e->consent ? row->enrolled : 0;
        if (courier)
                snprintf(row->number, sizeof(row->number), "%s", e->number);
        row->name = strdup(e->name ? e->name : "");
        row->phone = e->phone ? strdup(e->phone) : NULL;
        return row->name && (row->phone || !e->phone) ? 0 : -ENOMEM;
}

static int begin(People *p, const Enrolment *e, bool courier, Enrolling *n) {
        int r = n->actor ? fill_person(p, e, courier, &n->person) : -ENOMEM;

        for (int k = 0; r >= 0 && k < CREDENTIAL_KINDS_MAX; k++)
                if (e->secrets[k]) {
                        n->secrets[k] = strdup(e->secrets[k]);
                        r = n->secrets[k] ? 0 : -ENOMEM;
                }
        if (r < 0)
                return r;
        n->next = p->enrolling;
        p->enrolling = n;
        return process_next(n);
}

void people_enrol(People *p, const Enrolment *e, const char *actor, EnrolDone done, void *userdata) {
        bool courier = e->kind && streq(e->kind, person_kind_to_string(PERSON_COURIER));
        char detail[PEOPLE_DETAIL_MAX] = "";
        int r = courier || (e->kind && streq(e->kind, person_kind_to_string(PERSON_RECIPIENT)))
                        ? check(p, e, courier, detail)
                        : refuse(detail, "kind: \"courier\" or \"recipient\"");

        if (!r)
                r = already_enrolled(p, e, courier);
        Enrolling *n = r ? NULL : calloc(1, sizeof(*n));
        if (!n) {
                done(userdata, r ? r : -ENOMEM, *detail ? detail : NULL, 0);
                return;
        }
        *n = (Enrolling){.people = p,
                         .actor = strdup(actor),
                         .command = p->records->command,
                         .done = done,
                         .userdata = userdata};
        r = begin(p, e, courier, n);
        if (r < 0) {
                enrolling_free(n);
                done(userdata, r, NULL, 0);
        }
}

/* --- revocation --- */

static int collect_waiting(void *userdata, const ParcelRow *p) {
        bool waits = parcel_is_recipients(p) || p->state == PARCEL_DEPOSITING;

        return waits ? ids_add(userdata, p->id) : 0;
}

/* C4: who is not enrolled any more gets a pickup code for what waits here. */
static int codes_instead(People *p, const Ids *w, const char *actor) {
        char code[CODE_LENGTH + 1] = "";
        int r = 0;

        for (size_t i = 0; r >= 0 && i < w->n; i++) {
                _cleanup_parcel_ ParcelRow row = {0};
                r = ledger_code_exists(p->ledger, w->ids[i]);
                if (r)
                        continue;
                r = ledger_parcel_get(p->ledger, w->ids[i], &row);
                if (r >= 0)
                        r = people_issue_code(p, &row, actor, "its recipient is not enrolled any more", code);
        }
        explicit_bzero(code, sizeof(code));
        return r;
}

static int write_revocation(People *p, uint64_t person, const char *actor, const char *reason) {
        _cleanup_ids_ Ids waiting = {0};
        char subject[SUBJECT_MAX];
        int r = ledger_parcel_each_of_person(p->ledger, person, collect_waiting, &waiting);

        if (r >= 0)
                r = ledger_person_revoke(p->ledger, person, people_wall(p));
        snprintf(subject, sizeof(subject), "person:%llu", (unsigned long long)person);
        if (r >= 0)
                r = records_add(p->records, actor, reason, "person.revoked", subject, json_object(), NULL);
        if (r >= 0)
                r = codes_instead(p, &waiting, actor);
        return MIN(r, 0);
}

int people_revoke(People *p, uint64_t person, const char *actor, const char *reason) {
        if (!reason || !*reason)
                return LOCKER_E_INVALID_ARGUMENT;
        int r = records_begin(p->records);
        if (r < 0)
                return r;
        r = records_end(p->records, write_revocation(p, person, actor, reason));
        if (r >= 0)
                p->revoked(p->userdata, person);
        return r == -ENOENT ? LOCKER_E_UNKNOWN_PERSON : r;
}
