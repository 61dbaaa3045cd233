/* SPDX-License-Identifier: Apache-2.0 */
/* Enrolment and revocation (C1, C6): who somebody is and what verifies them are stored apart; consent is
 * recorded; revoking erases. */
#include "people/enrolment.h"
#include "base/text.h"
#include "core/mask.h"
#include "people/credentials.h"
#include "people/people.h"
#include "people/people_struct.h"
#include "people/verification.h"
#include "ledger/inbox.h"
#include "ledger/credentials.h"
#include "ledger/people.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#define PHONE_DIGITS_MIN 7
#define PHONE_DIGITS_MAX 15
#define CARD_DIGITS      32 /* 106 bits */

struct Enrolling {
        Enrolling *next;
        IdentityJob *job;
        People *people;
        PersonRow person; /* id 0: not yet in the ledger */
        bool consented, self;
        char *text, *version, *place; /* of the consent */
        char *card;                   /* that the cabinet has made up; NULL */
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
        EnrolProgress progress; /* NULL: nobody looks */
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
        text_erase_free(e->card);
        free(e->text);
        free(e->version);
        free(e->place);
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
                        0, NULL);
                enrolling_free(e);
        }
}

bool people_cancel_enrolment(People *p, const void *userdata) {
        Enrolling *e = p->enrolling;

        while (e && e->userdata != userdata)
                e = e->next;
        if (!e)
                return false;
        identity_cancel(e->job);
        e->done(e->userdata, LOCKER_E_CANCELLED, NULL, 0, NULL);
        enrolling_free(e);
        return true;
}

static int write_credential(Enrolling *e, CredentialKind k) {
        const Consent consent = {e->text, e->version, e->place, e->self ? "self" : e->actor};
        const char *kind = credential_kind_to_string(k);
        People *p = e->people;
        char subject[SUBJECT_MAX];
        int r = ledger_credential_set(p->ledger, e->person.id, kind, e->templates[k].data, e->templates[k].n,
                                      e->consented ? &consent : NULL, people_wall(p));

        if (r < 0)
                return r;
        snprintf(subject, sizeof(subject), "person:%llu", (unsigned long long)e->person.id);
        json_t *data = json_pack("{s:s}", "kind", kind);
        if (data && e->consented)
                json_object_set_new(data, "consent",
                                    json_pack("{s:s, s:s}", "text", e->text, "version", e->version));
        if (data && e->self)
                json_object_set_new(data, "terminal", json_string(e->place));
        return data ? records_add(p->records, e->actor, NULL, "credential.enrolled", subject, data, NULL)
                    : -ENOMEM;
}

static int write_new_person(Enrolling *e) {
        People *p = e->people;
        _cleanup_free_ char *name = mask_name(e->person.name ? e->person.name : "");
        char subject[SUBJECT_MAX];
        int r = ledger_person_insert(p->ledger, &e->person);

        if (r < 0)
                return r;
        snprintf(subject, sizeof(subject), "person:%llu", (unsigned long long)e->person.id);
        return records_add(p->records, e->actor, NULL, "person.enrolled", subject,
                           json_pack("{s:s, s:s, s:s*, s:b}", "kind", person_kind_to_string(e->person.kind),
                                     "number", e->person.number, "name", name, "consent",
                                     e->person.consented != 0),
                           NULL);
}

static int write_all(Enrolling *e) {
        bool is_new = !e->person.id, some = false;
        int r = is_new ? write_new_person(e) : 0;

        for (CredentialKind k = 0; r >= 0 && k < CREDENTIAL_KINDS_MAX; k++)
                if (e->templates[k].data) {
                        r = write_credential(e, k);
                        some = true;
                }
        if (r >= 0 && is_new)
                r = parcels_adopt(e->people, &e->person);
        return r >= 0 && some ? bindings_tell(e->people, e->person.id, e->actor) : r;
}

static void store(Enrolling *e) {
        Records *rec = e->people->records;

        if (e->command)
                records_set_command(rec, e->command);
        int r = records_begin(rec);
        if (r >= 0) {
                r = write_all(e);
                r = records_end(rec, r);
        }
        records_unset_command(rec, e->command);
        if (r == -EEXIST)
                r = LOCKER_E_ALREADY_ENROLLED;
        if (r == -ENOENT)
                r = LOCKER_E_UNKNOWN_PERSON; /* revoked meanwhile */
        e->done(e->userdata, r, NULL, e->person.id, r ? NULL : e->card);
        enrolling_free(e);
}

static int process_next(Enrolling *e);

/* Nothing is stored. */
static void fail(Enrolling *e, int r, IdentityResult result, const uint8_t *sentence, size_t n) {
        char detail[PEOPLE_DETAIL_MAX] = "The secret could not be processed; please try again.";
        int said = people_reader_said(result, sentence, n, detail);

        if (said)
                r = said;
        else if (r == -ENOMEM)
                r = LOCKER_E_INTERNAL;
        else if (r < 0) {
                *detail = 0;
                r = people_reader_refusal(r, detail);
        }
        e->done(e->userdata, r, *detail ? detail : NULL, 0, NULL);
        enrolling_free(e);
}

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
                if (!r)
                        return;
        }
        fail(e, r, result, data, n);
}

static void shown(void *userdata, const IdentityPrompt *prompt) {
        Enrolling *e = userdata;

        e->progress(e->userdata, e->person.id, e->at, prompt);
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
                                                 .progress = e->progress ? shown : NULL,
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

static int check_consent(CredentialKind k, const ConsentGiven *c, char detail[PEOPLE_DETAIL_MAX]) {
        if (k != CREDENTIAL_PIN && !c->given) {
                snprintf(detail, PEOPLE_DETAIL_MAX, "consent: must be true to store a %s",
                         credential_kind_to_string(k));
                return LOCKER_E_INVALID_ARGUMENT;
        }
        if (!c->text != !c->version || (c->text && (!*c->text || !*c->version))) {
                snprintf(detail, PEOPLE_DETAIL_MAX, "consent_text and consent_version belong together");
                return LOCKER_E_INVALID_ARGUMENT;
        }
        return 0;
}

/* All that came along must be acceptable; ret: their kinds. */
static int check_secrets(const People *p, const Enrolment *e, bool courier, unsigned *ret,
                         char detail[PEOPLE_DETAIL_MAX]) {
        *ret = 0;
        for (CredentialKind k = 0; k < CREDENTIAL_KINDS_MAX; k++) {
                if (!e->secrets[k])
                        continue;
                int r = check_secret(p, e->secrets[k], courier, k, detail);
                if (!r)
                        r = check_consent(k, &e->consent, detail);
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

static int check_recipient(const Enrolment *e, char detail[PEOPLE_DETAIL_MAX]) {
        char digits[64] = "";

        if (e->phone)
                phone_digits(e->phone, digits, sizeof(digits));
        size_t n = strlen(digits);
        explicit_bzero(digits, sizeof(digits));
        if (n < PHONE_DIGITS_MIN || n > PHONE_DIGITS_MAX)
                return refuse(detail, "phone: 7 to 15 digits");
        if (e->number && *e->number)
                return refuse(detail, "recipients have a phone, not a number");
        return 0;
}

static int check(const People *p, const Enrolment *e, bool courier, char detail[PEOPLE_DETAIL_MAX]) {
        unsigned kinds;
        int r = check_secrets(p, e, courier, &kinds, detail);

        if (!r)
                r = courier ? check_courier(e, kinds, detail) : check_recipient(e, detail);
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
        row->consented = e->consent.given ? row->enrolled : 0;
        if (courier)
                snprintf(row->number, sizeof(row->number), "%s", e->number);
        row->name = strdup(e->name ? e->name : "");
        row->phone = e->phone ? strdup(e->phone) : NULL;
        return row->name && (row->phone || !e->phone) ? 0 : -ENOMEM;
}

static int remember_consent(Enrolling *n, const ConsentGiven *c) {
        const Settings *s = n->people->settings;

        n->consented = c->given;
        n->self = c->self;
        n->place = strdup(c->place ? c->place : "unknown");
        if (!c->given)
                return n->place ? 0 : -ENOMEM;
        n->text = strdup(c->text ? c->text : s->consent_text);
        n->version = strdup(c->version ? c->version : s->consent_version);
        return n->text && n->version && n->place ? 0 : -ENOMEM;
}

static Enrolling *enrolling_new(People *p, const char *actor, EnrolProgress progress, EnrolDone done,
                                void *userdata) {
        Enrolling *n = calloc(1, sizeof(*n));

        if (!n)
                return NULL;
        *n = (Enrolling){.people = p,
                         .actor = strdup(actor),
                         .command = p->records->command,
                         .done = done,
                         .progress = progress,
                         .userdata = userdata,
                         .next = p->enrolling};
        p->enrolling = n;
        return n;
}

/* r: whether it could be made ready. */
static void start(Enrolling *n, int r) {
        if (r >= 0)
                r = process_next(n);
        if (r < 0)
                fail(n, r, IDENTITY_ENROLLED, NULL, 0);
}

static int prepare(Enrolling *n, const Enrolment *e, bool courier) {
        int r = n->actor ? fill_person(n->people, e, courier, &n->person) : -ENOMEM;

        if (r >= 0)
                r = remember_consent(n, &e->consent);
        for (int k = 0; r >= 0 && k < CREDENTIAL_KINDS_MAX; k++)
                if (e->secrets[k]) {
                        n->secrets[k] = strdup(e->secrets[k]);
                        r = n->secrets[k] ? 0 : -ENOMEM;
                }
        return r;
}

void people_enrol(People *p, const Enrolment *e, const char *actor, EnrolDone done, void *userdata) {
        bool courier = e->kind && streq(e->kind, person_kind_to_string(PERSON_COURIER));
        char detail[PEOPLE_DETAIL_MAX] = "";
        int r = courier || (e->kind && streq(e->kind, person_kind_to_string(PERSON_RECIPIENT)))
                        ? check(p, e, courier, detail)
                        : refuse(detail, "kind: \"courier\" or \"recipient\"");

        if (!r)
                r = already_enrolled(p, e, courier);
        Enrolling *n = r ? NULL : enrolling_new(p, actor, e->progress, done, userdata);
        if (n)
                start(n, prepare(n, e, courier));
        else
                done(userdata, r ? r : -ENOMEM, *detail ? detail : NULL, 0, NULL);
}

/* --- one more of somebody who is enrolled --- */

/* Digits alone: whatever layout the kiosk's keyboard has, a scanner types them as they are. */
static int make_card(char **ret) {
        char digits[CARD_DIGITS + 1] = "";
        size_t n = 0;

        while (n < CARD_DIGITS) {
                uint8_t random;
                int r = vault_random(&random, sizeof(random));
                if (r < 0)
                        return r;
                if (random < 250)
                        digits[n++] = (char)('0' + random % 10);
        }
        *ret = strdup(digits);
        explicit_bzero(digits, sizeof(digits));
        return *ret ? 0 : -ENOMEM;
}

static int check_one(const People *p, const CredentialEnrolment *e, char detail[PEOPLE_DETAIL_MAX]) {
        _cleanup_person_ PersonRow row = {0};
        int r = ledger_person_get(p->ledger, e->person, &row);

        if (r < 0)
                return r == -ENOENT ? LOCKER_E_UNKNOWN_PERSON : r;
        if (!e->secret && e->kind != CREDENTIAL_CARD) {
                snprintf(detail, PEOPLE_DETAIL_MAX, "%s is missing", credential_kind_to_string(e->kind));
                return LOCKER_E_INVALID_ARGUMENT;
        }
        if (e->secret)
                r = check_secret(p, e->secret, row.kind == PERSON_COURIER, e->kind, detail);
        return r ? r : check_consent(e->kind, &e->consent, detail);
}

static int prepare_one(Enrolling *n, const CredentialEnrolment *e) {
        int r = n->actor ? remember_consent(n, &e->consent) : -ENOMEM;

        n->person.id = e->person;
        if (r >= 0 && !e->secret)
                r = make_card(&n->card);
        if (r < 0)
                return r;
        n->secrets[e->kind] = strdup(e->secret ? e->secret : n->card);
        return n->secrets[e->kind] ? 0 : -ENOMEM;
}

void people_enrol_credential(People *p, const CredentialEnrolment *e, const char *actor, EnrolDone done,
                             void *userdata) {
        char detail[PEOPLE_DETAIL_MAX] = "";
        int r = check_one(p, e, detail);
        Enrolling *n = r ? NULL : enrolling_new(p, actor, e->progress, done, userdata);

        if (n)
                start(n, prepare_one(n, e));
        else
                done(userdata, r ? r : -ENOMEM, *detail ? detail : NULL, 0, NULL);
}

/* --- revocation --- */

static int write_revocation(People *p, uint64_t person, const char *actor, const char *reason) {
        char subject[SUBJECT_MAX];
        int r = ledger_person_revoke(p->ledger, person, people_wall(p));

        snprintf(subject, sizeof(subject), "person:%llu", (unsigned long long)person);
        if (r >= 0)
                r = records_add(p->records, actor, reason, "person.revoked", subject, json_object(), NULL);
        if (r >= 0)
                r = codes_instead(p, person, actor);
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
