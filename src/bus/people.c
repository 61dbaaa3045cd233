/* SPDX-License-Identifier: Apache-2.0 */
/* The cabinet's object, part two: enrolled persons and lockouts, for operators. */
#include "bus/people.h"
#include "bus/args.h"
#include "bus/bus_struct.h"
#include "bus/cleanup.h"
#include "bus/handler.h"
#include "bus/names.h"
#include "bus/peer.h"
#include "bus/reply.h"
#include "base/log.h"
#include "core/mask.h"

#include <errno.h>

#define CONSENT_KEYS(type)                                                     \
        {"consent", 'b', false, offsetof(type, consent.given)},                \
                {"consent_text", 's', false, offsetof(type, consent.text)}, {  \
                "consent_version", 's', false, offsetof(type, consent.version) \
        }
#define N_CONSENT_KEYS 3

static int append_person_id(Bus *b, const LockerAnswer *a, sd_bus_message *reply) {
        return sd_bus_message_append(reply, "t", a->person);
}

/* To the caller alone: what somebody does at a reader is nobody else's to see. */
static void tell_prompt(void *userdata, uint64_t person, CredentialKind kind, const IdentityPrompt *prompt) {
        const Call *c = userdata;
        _cleanup_message_ sd_bus_message *m = NULL;

        if (!c->bus)
                return;
        int r = sd_bus_message_new_signal(c->bus->bus, &m, BUS_ROOT, BUS_CABINET, "EnrolmentPrompt");
        if (r >= 0)
                r = sd_bus_message_set_destination(m, sd_bus_message_get_sender(c->message));
        if (r >= 0)
                r = sd_bus_message_append(m, "tssuus", person, credential_kind_to_string(kind), prompt->what,
                                          prompt->taken, prompt->of, prompt->sentence);
        if (r >= 0)
                r = sd_bus_message_send(m);
        if (r < 0)
                log_error_errno(r, "Cannot send a prompt of an enrolment");
}

typedef struct Asked {
        Enrolment enrolment;                  /* the first: keys of both are read into it */
        bool at_reader[CREDENTIAL_KINDS_MAX]; /* the cabinet's reader takes it now */
} Asked;

int cabinet_enrol(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        enum { FIXED = 4 + N_CONSENT_KEYS };
        ArgKey keys[FIXED + CREDENTIAL_KINDS_MAX] = {
                {"kind", 's', true, offsetof(Enrolment, kind)},
                {"number", 's', false, offsetof(Enrolment, number)},
                {"name", 's', false, offsetof(Enrolment, name)},
                {"phone", 's', false, offsetof(Enrolment, phone)},
                CONSENT_KEYS(Enrolment),
        };
        Asked asked = {.enrolment = {.consent.place = peer_terminal(peer), .progress = tell_prompt}};
        const char *actor = peer_actor(peer);
        Call *call;
        int r;

        if (!actor || !asked.enrolment.consent.place)
                return -ENOMEM;
        for (CredentialKind k = 0; k < CREDENTIAL_KINDS_MAX; k++) {
                size_t offset = credential_has_reader(k)
                                        ? offsetof(Asked, at_reader) + k * sizeof(bool)
                                        : offsetof(Asked, enrolment.secrets) + k * sizeof(char *);
                keys[FIXED + k] = (ArgKey){credential_kind_to_string(k), credential_has_reader(k) ? 'b' : 's',
                                           false, offset};
        }
        r = args_read_dictionary(m, keys, FIXED + CREDENTIAL_KINDS_MAX, &asked, e);
        for (CredentialKind k = 0; k < CREDENTIAL_KINDS_MAX; k++)
                if (asked.at_reader[k])
                        asked.enrolment.secrets[k] = "";
        if (r >= 0)
                r = call_new(b, m, append_person_id, false, &call);
        if (r < 0)
                return r;
        call->enrols = true;
        locker_enrol(b->locker, &asked.enrolment, actor, call_answer, call);
        return 1;
}

int credential_read_kind(const char *word, CredentialKind *ret, sd_bus_error *e) {
        char known[160];

        *ret = credential_kind_from_string(word, strlen(word));
        if (*ret != CREDENTIAL_NONE)
                return 0;
        credential_names(credential_bit(CREDENTIAL_KINDS_MAX) - 1, " or ", known, sizeof(known));
        return args_invalid(e, "\"kind\" must be %s.", known);
}

int credential_append_card(Bus *b, const LockerAnswer *a, sd_bus_message *reply) {
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        if (r >= 0 && a->card)
                r = sd_bus_message_append(reply, "{sv}", "card", "s", a->card);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int credential_read(sd_bus_message *m, const char *word, CredentialEnrolment *ret, sd_bus_error *e) {
        const ArgKey keys[] = {{word, 's', false, offsetof(CredentialEnrolment, secret)},
                               CONSENT_KEYS(CredentialEnrolment)};
        /* What a reader takes is not brought along. */
        size_t first = credential_has_reader(ret->kind);
        int r = args_read_dictionary(m, keys + first, ARRAY_SIZE(keys) - first, ret, e);

        if (first)
                ret->secret = "";
        return r;
}

int cabinet_enrol_credential(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        CredentialEnrolment enrolment = {.consent.place = peer_terminal(peer), .progress = tell_prompt};
        const char *actor = peer_actor(peer), *word;
        Call *call;
        int r;

        if (!actor || !enrolment.consent.place)
                return -ENOMEM;
        r = sd_bus_message_read(m, "ts", &enrolment.person, &word);
        if (r >= 0)
                r = credential_read_kind(word, &enrolment.kind, e);
        if (r >= 0)
                r = credential_read(m, word, &enrolment, e);
        if (r >= 0)
                r = call_new(b, m, credential_append_card, true, &call);
        if (r < 0)
                return r;
        call->enrols = true;
        locker_enrol_credential(b->locker, &enrolment, actor, call_answer, call);
        return 1;
}

int cabinet_cancel_enrolment(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        return bus_reply_result(m, calls_cancel_enrolments(b, peer->name) ? 0 : LOCKER_E_WRONG_STATE, e);
}

int cabinet_revoke_credential(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        const char *word, *reason, *actor = peer_actor(peer);
        CredentialKind kind;
        uint64_t person;
        int r;

        r = sd_bus_message_read(m, "tss", &person, &word, &reason);
        if (r >= 0)
                r = credential_read_kind(word, &kind, e);
        if (r >= 0)
                r = args_check_reason(reason, e);
        if (r < 0)
                return r;
        if (!actor)
                return -ENOMEM;
        return bus_reply_result(m, locker_revoke_credential(b->locker, person, kind, actor, reason), e);
}

static const char *or_empty(const char *s) {
        return s ? s : "";
}

int credential_append(void *userdata, const CredentialRow *c) {
        int r = sd_bus_message_append(userdata, "(sxxxssss)", c->kind, c->enrolled, c->used, c->given,
                                      or_empty(c->consent.text), or_empty(c->consent.version),
                                      or_empty(c->consent.place), or_empty(c->consent.witness));

        return r < 0 ? r : 0;
}

int cabinet_list_credentials(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        uint64_t person;
        int r;

        r = sd_bus_message_read(m, "t", &person);
        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sxxxssss)");
        if (r >= 0)
                r = locker_each_credential(b->locker, person, credential_append, reply);
        if (r > 0)
                return bus_failure(e, m, r, NULL);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

int cabinet_revoke(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        const char *reason, *actor = peer_actor(peer);
        uint64_t person;
        int r;

        r = sd_bus_message_read(m, "ts", &person, &reason);
        if (r >= 0)
                r = args_check_reason(reason, e);
        if (r < 0)
                return r;
        if (!actor)
                return -ENOMEM;
        return bus_reply_result(m, locker_revoke(b->locker, person, actor, reason), e);
}

static int append_credentials(sd_bus_message *reply, Ledger *l, uint64_t person) {
        int r = sd_bus_message_open_container(reply, 'a', "(sxxxssss)");

        if (r >= 0)
                r = ledger_credential_each(l, person, credential_append, reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

typedef struct PeopleList {
        sd_bus_message *reply;
        Ledger *whole; /* with what ListCredentials tells of each; NULL: kinds alone */
} PeopleList;

static int append_person(void *userdata, const PersonRow *p) {
        const PeopleList *list = userdata;
        sd_bus_message *reply = list->reply;
        _cleanup_free_ char *name = mask_name(p->name ? p->name : "");
        _cleanup_free_ char *phone = mask_phone(p->phone ? p->phone : "");
        int r;

        if (!name || !phone)
                return -ENOMEM;
        if (p->revoked != 0)
                return 0;
        r = sd_bus_message_open_container(reply, 'r', list->whole ? "tssssa(sxxxssss)" : "tssssas");
        if (r >= 0)
                r = sd_bus_message_append(reply, "tssss", p->id, person_kind_to_string(p->kind), p->number,
                                          name, phone);
        if (r >= 0)
                r = list->whole ? append_credentials(reply, list->whole, p->id)
                                : args_append_kinds(reply, p->credentials);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : 0;
}

static int list_people(const Bus *b, sd_bus_message *m, bool whole) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', whole ? "(tssssa(sxxxssss))" : "(tssssas)");
        if (r >= 0) {
                PeopleList list = {.reply = reply, .whole = whole ? b->ledger : NULL};
                r = ledger_person_each(b->ledger, append_person, &list);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

HANDLER(cabinet_list_people) {
        return list_people(b, m, false);
}

HANDLER(cabinet_list_enrolled) {
        return list_people(b, m, true);
}

typedef struct LockoutList {
        Locker *locker;
        sd_bus_message *reply;
} LockoutList;

static int append_lockout(void *userdata, const LockoutRow *row) {
        LockoutList *list = userdata;

        /* What only the budgets remember is nobody's wait. */
        if (!row->lockout.failures && !row->lockout.locked)
                return 0;
        int r = sd_bus_message_append(list->reply, "(sut)", row->subject, row->lockout.failures,
                                      locker_lockout_seconds(list->locker, row));
        return r < 0 ? r : 0;
}

int cabinet_list_lockouts(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sut)");
        if (r >= 0) {
                LockoutList list = {.locker = b->locker, .reply = reply};
                r = ledger_lockout_each(b->ledger, append_lockout, &list);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

int cabinet_lift_lockout(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        const char *subject, *reason, *actor = peer_actor(peer);
        int r;

        r = sd_bus_message_read(m, "ss", &subject, &reason);
        if (r >= 0)
                r = args_check_text("subject", subject, SUBJECT_MAX - 1, e);
        if (r >= 0)
                r = args_check_reason(reason, e);
        if (r < 0)
                return r;
        if (*subject == '\0')
                return args_invalid(e, "\"subject\" is empty: name one of ListLockouts, or \"*\" for all.");
        if (!actor)
                return -ENOMEM;
        return bus_reply_result(m, locker_lift_lockout(b->locker, subject, actor, reason), e);
}
