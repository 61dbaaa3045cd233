/* SPDX-License-Identifier: Apache-2.0 */
/* Enrolment and revocation (C1, C6): who somebody is and what verifies them are stored apart; consent is
 * recorded; revoking erases. */
#include "locker/private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#define PHONE_DIGITS_MIN 7
#define PHONE_DIGITS_MAX 15

struct Enrolling {
        struct Enrolling *next;
        IdentityJob *job;
        Locker *locker;
        PersonRow person;
        const char *credential; /* "pin", "password" */
        char *actor;
        InboxRow *command; /* of the backend, executed when the secret has been hashed; NULL */
        LockerReply reply;
        void *userdata;
};

static void enrolling_free(Enrolling *e) {
        for (Enrolling **p = &e->locker->enrolling; *p; p = &(*p)->next)
                if (*p == e) {
                        *p = e->next;
                        break;
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

/* For the end of the daemon: whoever waits for an enrolment is told that it has not happened. */
void people_give_up(Locker *l) {
        while (l->enrolling) {
                Enrolling *e = l->enrolling;
                identity_cancel(e->job);
                reply_refusal(e->reply, e->userdata, LOCKER_E_INTERNAL,
                              "The cabinet is being shut down; nothing was stored.");
                enrolling_free(e);
        }
}

/* All the same digit, or a run up or down: the first things that anybody tries. */
static bool too_simple(const char *secret) {
        bool same = true, up = true, down = true;

        for (size_t i = 1; secret[i]; i++) {
                same = same && secret[i] == secret[i - 1];
                up = up && secret[i] == secret[i - 1] + 1;
                down = down && secret[i] == secret[i - 1] - 1;
        }
        return same || up || down;
}

static int write_person(Enrolling *e, const uint8_t *data, size_t n) {
        Locker *l = e->locker;
        _cleanup_free_ char *name = mask_name(e->person.name ? e->person.name : "");
        char subject[SUBJECT_MAX];
        int r = ledger_person_insert(l->ledger, &e->person);

        if (r >= 0 && n)
                r = ledger_credential_set(l->ledger, e->person.id, e->credential, data, n);
        if (r < 0)
                return r;
        snprintf(subject, sizeof(subject), "person:%llu", (unsigned long long)e->person.id);
        return locker_record(l, e->actor, NULL, "person.enrolled", subject,
                             json_pack("{s:s, s:s, s:s*, s:b}", "kind", person_kind_to_string(e->person.kind),
                                       "number", e->person.number, "name", name, "consent",
                                       e->person.consented != 0),
                             NULL);
}

static void store(Enrolling *e, const uint8_t *data, size_t n) {
        Locker *l = e->locker;
        LockerAnswer answer = {.place.slot = -1};

        if (e->command)
                locker_set_command(l, e->command);
        int r = locker_begin(l);
        if (r >= 0) {
                r = write_person(e, data, n);
                r = locker_end(l, r);
        }
        locker_unset_command(l, e->command);
        answer.result = r == -EEXIST ? LOCKER_E_ALREADY_ENROLLED : r;
        answer.person = e->person.id;
        e->reply(e->userdata, &answer);
        enrolling_free(e);
}

static void hashed(void *userdata, IdentityResult result, const uint8_t *data, size_t n) {
        Enrolling *e = userdata;

        if (result != IDENTITY_ENROLLED) {
                reply_refusal(e->reply, e->userdata, LOCKER_E_INTERNAL,
                              "The secret could not be processed; please try again.");
                enrolling_free(e);
                return;
        }
        store(e, data, n);
}

static int check_courier(Locker *l, const Enrolment *e, const char **ret_detail) {
        if (!e->number || !number_is_fine(e->number)) {
                *ret_detail = "number: 1 to 32 letters, digits or '-'";
                return LOCKER_E_INVALID_ARGUMENT;
        }
        if (e->password) {
                *ret_detail = "couriers have a pin, not a password";
                return LOCKER_E_INVALID_ARGUMENT;
        }
        if (!e->pin || !text_is_digits(e->pin)) {
                *ret_detail = "pin: digits";
                return LOCKER_E_INVALID_ARGUMENT;
        }
        return strlen(e->pin) < l->settings->min_pin_length || too_simple(e->pin) ? LOCKER_E_WEAK_SECRET : 0;
}

static int check_recipient(Locker *l, const Enrolment *e, const char **ret_detail) {
        char digits[64] = "";

        if (e->phone)
                phone_digits(e->phone, digits, sizeof(digits));
        if (strlen(digits) < PHONE_DIGITS_MIN || strlen(digits) > PHONE_DIGITS_MAX) {
                *ret_detail = "phone: 7 to 15 digits";
                return LOCKER_E_INVALID_ARGUMENT;
        }
        if (e->pin || (e->number && *e->number)) {
                *ret_detail = "recipients have a phone and a password, not a number and a pin";
                return LOCKER_E_INVALID_ARGUMENT;
        }
        if (e->password && !e->consent) {
                *ret_detail = "consent: must be true to store a credential";
                return LOCKER_E_INVALID_ARGUMENT;
        }
        return e->password && (strlen(e->password) < l->settings->min_password_length ||
                               too_simple(e->password))
                       ? LOCKER_E_WEAK_SECRET
                       : 0;
}

static int already_enrolled(Locker *l, const Enrolment *e, bool courier) {
        _cleanup_person_ PersonRow p = {0};
        int r = courier ? ledger_person_by_number(l->ledger, e->number, &p)
                        : ledger_person_by_phone(l->ledger, e->phone, &p);

        return r >= 0 ? LOCKER_E_ALREADY_ENROLLED : r == -ENOENT ? 0 : r;
}

static int fill_person(Locker *l, const Enrolment *e, bool courier, PersonRow *p) {
        Now now = l->now();

        p->kind = courier ? PERSON_COURIER : PERSON_RECIPIENT;
        p->enrolled = locker_wall(l, &now);
        p->consented = e->consent ? p->enrolled : 0;
        if (courier)
                snprintf(p->number, sizeof(p->number), "%s", e->number);
        p->name = strdup(e->name ? e->name : "");
        p->phone = e->phone ? strdup(e->phone) : NULL;
        return p->name && (p->phone || !e->phone) ? 0 : -ENOMEM;
}

void locker_enrol(Locker *l, const Enrolment *e, const char *actor, LockerReply reply, void *userdata) {
        bool courier = e->kind && streq(e->kind, "courier");
        const char *detail = NULL, *secret = courier ? e->pin : e->password;
        int r = courier || (e->kind && streq(e->kind, "recipient")) ? 0 : LOCKER_E_INVALID_ARGUMENT;

        if (r)
                detail = "kind: \"courier\" or \"recipient\"";
        if (!r)
                r = courier ? check_courier(l, e, &detail) : check_recipient(l, e, &detail);
        if (!r)
                r = already_enrolled(l, e, courier);
        if (r) {
                reply_refusal(reply, userdata, r, detail);
                return;
        }
        Enrolling *n = calloc(1, sizeof(*n));
        if (!n) {
                reply_refusal(reply, userdata, -ENOMEM, NULL);
                return;
        }
        *n = (Enrolling){.locker = l,
                         .credential = courier ? "pin" : "password",
                         .actor = strdup(actor),
                         .reply = reply,
                         .userdata = userdata};
        n->command = l->records.command;
        r = n->actor ? fill_person(l, e, courier, &n->person) : -ENOMEM;
        if (r >= 0 && !secret) {
                store(n, NULL, 0);
                return;
        }
        if (r >= 0)
                r = identity_enrol(l->identity, secret, hashed, n, &n->job);
        if (r >= 0) {
                n->next = l->enrolling;
                l->enrolling = n;
        } else {
                enrolling_free(n);
                reply_refusal(reply, userdata, r, NULL);
        }
}

typedef struct WaitingParcels {
        uint64_t *ids;
        size_t n;
} WaitingParcels;

static int collect_waiting(void *userdata, const ParcelRow *p) {
        WaitingParcels *w = userdata;

        if (!parcel_is_recipients(p) && p->state != PARCEL_DEPOSITING)
                return 0;
        uint64_t *grown = reallocarray(w->ids, w->n + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        w->ids = grown;
        w->ids[w->n++] = p->id;
        return 0;
}

/* C4: who is not enrolled any more gets a pickup code for what waits here. */
static int codes_instead(Locker *l, const WaitingParcels *w, const char *actor) {
        char code[CODE_LENGTH + 1];
        int r = 0;

        for (size_t i = 0; r >= 0 && i < w->n; i++) {
                _cleanup_parcel_ ParcelRow p = {0};
                r = ledger_code_exists(l->ledger, w->ids[i]);
                if (r)
                        continue;
                r = ledger_parcel_get(l->ledger, w->ids[i], &p);
                if (r >= 0)
                        r = code_issue(l, &p, actor, "its recipient is not enrolled any more", code);
        }
        explicit_bzero(code, sizeof(code));
        return r;
}

int locker_revoke(Locker *l, uint64_t person, const char *actor, const char *reason) {
        Now now = l->now();
        WaitingParcels waiting = {0};
        char subject[SUBJECT_MAX];

        if (!reason || !*reason)
                return LOCKER_E_INVALID_ARGUMENT;
        int r = locker_begin(l);
        if (r < 0)
                return r;
        r = ledger_parcel_each_of_person(l->ledger, person, collect_waiting, &waiting);
        if (r >= 0)
                r = ledger_person_revoke(l->ledger, person, locker_wall(l, &now));
        snprintf(subject, sizeof(subject), "person:%llu", (unsigned long long)person);
        if (r >= 0)
                r = locker_record(l, actor, reason, "person.revoked", subject, json_object(), NULL);
        if (r >= 0)
                r = codes_instead(l, &waiting, actor);
        free(waiting.ids);
        if (r < 0) {
                locker_rollback(l);
                return r == -ENOENT ? LOCKER_E_UNKNOWN_PERSON : r;
        }
        r = locker_commit(l);
        if (r < 0)
                return r;
        /* Whoever is signed in as this person is so no longer. */
        for (Session *s = l->sessions, *next; s; s = next) {
                next = s->next;
                if (s->person == person && !s->gone)
                        locker_end_session(l, s, "revoked");
        }
        return 0;
}
