/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions and people: what becomes of a session when its evidence is good, or another door vouches for it;
 * and the calls about people, which are answered in src/people/. */
#include "locker/authenticate.h"
#include "core/access.h"
#include "locker/locker.h"
#include "locker/locker_struct.h"
#include "locker/session.h"
#include "locker/sessions.h"
#include "ledger/lockouts.h"
#include "ledger/parcels.h"
#include "ledger/people.h"
#include "ledger/sessions.h"

#include <errno.h>
#include <stdio.h>

static Presented presented(const Session *s) {
        return (Presented){.session = s->id, .terminal = s->terminal, .actor = s->actor, .apart = s->apart};
}

/* Whoever shows evidence now may be somebody else than before: what is kept for reopening was that one's.
 * presented: the kind of credential, 0 for other evidence. */
static void is_another(Session *s, uint64_t person, uint64_t code_parcel, const char *number,
                       unsigned presented) {
        bool same = person && s->person == person && !s->code_parcel;

        session_give_up_errand(s);
        s->presented = same ? s->presented | presented : presented;
        s->vouched = false;
        s->person = person;
        s->code_parcel = code_parcel;
        snprintf(s->courier_number, sizeof(s->courier_number), "%s", number);
        snprintf(s->actor, sizeof(s->actor), "%s", session_kind_to_string(s->kind));
}

/* What was shown is right, and not enough: which other kinds this person has. */
static void ask_for_another(Session *s, unsigned others) {
        char names[128], sentence[256];

        credential_names(others, " or ", names, sizeof(names));
        if (others)
                snprintf(sentence, sizeof(sentence), "That is not enough by itself. Please also show: %s.",
                         names);
        else
                snprintf(sentence, sizeof(sentence),
                         "That is not enough by itself, and nothing else is enrolled for you. Please %s.",
                         s->kind == SESSION_RECIPIENT ? "use a pickup code, or call the operator"
                                                      : "call the operator");
        notify_prompt(&s->locker->records, s, -1, 0, "another", sentence);
}

static void verified(void *userdata, const Verdict *v) {
        Session *s = userdata;
        unsigned presented = credential_bit(s->job_kind);

        s->job = NULL;
        s->idle_at = s->locker->now().boot_usec + s->locker->settings->session_idle_usec;
        if (!v->result) {
                is_another(s, v->person, 0, v->number, presented);
                if (v->kind == PERSON_COURIER)
                        snprintf(s->actor, sizeof(s->actor), "courier:%s", v->number);
                else
                        snprintf(s->actor, sizeof(s->actor), "recipient:%llu", (unsigned long long)v->person);
                session_refresh(s);
        }
        session_answer(s, v->result, v->detail);
        if (!v->result && session_state(s) == SESSION_INCOMPLETE)
                ask_for_another(s, v->credentials & ~s->presented);
}

/* What the person is to do at a reader; their terminal alone is told. */
static void shown(void *userdata, const IdentityPrompt *prompt) {
        Session *s = userdata;

        notify_prompt(&s->locker->records, s, -1, 0, prompt->what, prompt->sentence);
}

bool session_give_up_evidence(Session *s) {
        if (!s->job)
                return false;
        verification_cancel(steal_ptr(s->job));
        s->idle_at = s->locker->now().boot_usec + s->locker->settings->session_idle_usec;
        session_answer(s, LOCKER_E_CANCELLED, NULL);
        return true;
}

static void check_code(Session *s, const Evidence *e, LockerReply reply, void *userdata) {
        const Presented by = presented(s);
        Verdict v;

        people_check_code(s->locker->people, &by, &e->code, &v);
        if (!v.result) {
                is_another(s, 0, v.parcel, "", 0);
                session_refresh(s);
        }
        reply_refusal(reply, userdata, v.result, v.detail);
}

void locker_authenticate(Locker *l, Session *s, const Evidence *e, LockerReply reply, void *userdata) {
        char detail[LOCKER_DETAIL_MAX] = "";
        bool courier = s->kind == SESSION_COURIER;
        const Presented by = presented(s);
        int r = session_touch(s);

        if (!r && session_is_at_work(s))
                r = LOCKER_E_WRONG_STATE;
        if (!r && (e->kind == CREDENTIAL_NONE ? courier : !credential_may_be_of(e->kind, courier)))
                r = LOCKER_E_NOT_ALLOWED;
        if (!r && e->kind == CREDENTIAL_NONE) {
                check_code(s, e, reply, userdata);
                return;
        }
        if (!r)
                r = people_verify(l->people, &by,
                                  &(CredentialEvidence){.kind = e->kind,
                                                        .courier = courier,
                                                        .claim = e->claim,
                                                        .data = e->data,
                                                        .n = e->n_data,
                                                        .progress = shown},
                                  verified, s, &s->job, detail);
        if (r) {
                reply_refusal(reply, userdata, r, detail);
                return;
        }
        s->job_kind = e->kind;
        s->reply = reply;
        s->reply_userdata = userdata;
}

/* --- on another door's word --- */

static int vouch(Locker *l, Session *s, uint64_t person, const char *actor) {
        int r = ledger_session_person(l->ledger, s->id, person, "vouched");

        if (r < 0)
                return r;
        snprintf(s->actor, sizeof(s->actor), "%s", actor);
        s->vouched = true;
        session_refresh(s);
        return 0;
}

int locker_vouch_courier(Locker *l, Session *s, const char *number, const char *actor) {
        _cleanup_person_ PersonRow p = {0};
        int r = session_touch(s);

        if (!r)
                r = ledger_person_by_number(l->ledger, number, &p);
        if (r)
                return r == -ENOENT ? LOCKER_E_UNKNOWN_PERSON : r;
        is_another(s, p.id, 0, p.number, 0);
        return vouch(l, s, p.id, actor);
}

int locker_vouch_parcel(Locker *l, Session *s, uint64_t parcel, const char *actor) {
        _cleanup_parcel_ ParcelRow p = {0};
        int r = session_touch(s);

        if (!r)
                r = ledger_parcel_get(l->ledger, parcel, &p);
        if (r)
                return r == -ENOENT ? LOCKER_E_UNKNOWN_PARCEL : r;
        if (!parcel_is_recipients(&p))
                return LOCKER_E_WRONG_STATE;
        is_another(s, 0, parcel, "", 0);
        return vouch(l, s, p.person, actor);
}

/* --- people, by src/people/ --- */

struct Enrolled {
        Enrolled *next;
        Locker *locker;
        LockerReply reply;
        EnrolProgress progress;
        void *userdata;
};

static void enrolled_free(Enrolled *e) {
        Enrolled **at = &e->locker->enrolling;

        while (*at != e)
                at = &(*at)->next;
        *at = e->next;
        free(e);
}

static void enrolled(void *userdata, int result, const char *detail, uint64_t person, const char *card) {
        Enrolled *e = userdata;
        LockerAnswer answer = {.result = result, .place.slot = -1, .person = person, .card = card};

        if (detail)
                snprintf(answer.detail, sizeof(answer.detail), "%s", detail);
        e->reply(e->userdata, &answer);
        enrolled_free(e);
}

static void enrolment_shown(void *userdata, uint64_t person, CredentialKind kind,
                            const IdentityPrompt *prompt) {
        Enrolled *e = userdata;

        e->progress(e->userdata, person, kind, prompt);
}

static Enrolled *enrolled_new(Locker *l, EnrolProgress progress, LockerReply reply, void *userdata) {
        Enrolled *waiting = malloc(sizeof(*waiting));

        if (!waiting) {
                reply_refusal(reply, userdata, -ENOMEM, NULL);
                return NULL;
        }
        *waiting = (Enrolled){l->enrolling, l, reply, progress, userdata};
        l->enrolling = waiting;
        return waiting;
}

void locker_enrol(Locker *l, const Enrolment *e, const char *actor, LockerReply reply, void *userdata) {
        Enrolled *waiting = enrolled_new(l, e->progress, reply, userdata);
        Enrolment own = *e;

        own.progress = e->progress ? enrolment_shown : NULL;
        if (waiting)
                people_enrol(l->people, &own, actor, enrolled, waiting);
}

void locker_enrol_credential(Locker *l, const CredentialEnrolment *e, const char *actor, LockerReply reply,
                             void *userdata) {
        Enrolled *waiting = enrolled_new(l, e->progress, reply, userdata);
        CredentialEnrolment own = *e;

        own.progress = e->progress ? enrolment_shown : NULL;
        if (waiting)
                people_enrol_credential(l->people, &own, actor, enrolled, waiting);
}

bool locker_cancel_enrolment(Locker *l, const void *userdata) {
        Enrolled *e = l->enrolling;

        while (e && e->userdata != userdata)
                e = e->next;
        return e && people_cancel_enrolment(l->people, e);
}

int locker_each_credential(Locker *l, uint64_t person, CredentialEach each, void *userdata) {
        _cleanup_person_ PersonRow row = {0};
        int r = ledger_person_get(l->ledger, person, &row);

        if (r < 0)
                return r == -ENOENT ? LOCKER_E_UNKNOWN_PERSON : r;
        return ledger_credential_each(l->ledger, person, each, userdata);
}

int locker_revoke_credential(Locker *l, uint64_t person, CredentialKind kind, const char *actor,
                             const char *reason) {
        return people_revoke_credential(l->people, person, kind, actor, reason);
}

void locker_person_revoked(void *locker, uint64_t person) {
        Locker *l = locker;

        for (Session *s = l->sessions, *next; s; s = next) {
                next = s->next;
                if (s->person == person && !s->gone)
                        locker_end_session(l, s, "revoked");
        }
}

int locker_revoke(Locker *l, uint64_t person, const char *actor, const char *reason) {
        return people_revoke(l->people, person, actor, reason);
}

int locker_lift_lockout(Locker *l, const char *subject, const char *actor, const char *reason) {
        return people_lift_lockout(l->people, subject, actor, reason);
}

int locker_lift_terminal_lockout(Locker *l, Session *s, char detail[LOCKER_DETAIL_MAX]) {
        int r = session_expect(s, ACT_LIFT_TERMINAL_LOCKOUT);

        *detail = 0;
        return r ? r : people_lift_codes(l->people, s->terminal, s->courier_number, s->actor, detail);
}

uint64_t locker_lockout_seconds(const Locker *l, const LockoutRow *row) {
        return people_lockout_seconds(l->people, row);
}

int locker_set_thresholds(Locker *l, int64_t reminder_s, int64_t recall_s, const char *actor) {
        return people_set_thresholds(l->people, reminder_s, recall_s, actor);
}

bool locker_expired(const Locker *l, const ParcelRow *p) {
        return people_code_expired(l->people, p);
}
