/* SPDX-License-Identifier: Apache-2.0 */
/* What people may do about their own credentials, in a session in which they have shown who they are. */
#include "locker/own.h"
#include "core/access.h"
#include "locker/locker.h"
#include "locker/locker_struct.h"
#include "locker/session.h"
#include "locker/sessions.h"

#include <stdio.h>

/* Whoever a pickup code, or another door, vouches for has shown nothing that tells who they are. */
static int expect_own(Session *s, char detail[LOCKER_DETAIL_MAX]) {
        int r = session_expect(s, ACT_OWN_CREDENTIALS);

        *detail = 0;
        if (!r)
                r = session_expect(s, s->kind == SESSION_COURIER ? ACT_DEPOSIT : ACT_COLLECT);
        if (!r && session_is_at_work(s))
                r = LOCKER_E_WRONG_STATE;
        if (!r && s->vouched)
                r = LOCKER_E_NOT_ALLOWED;
        if (!r && !s->locker->settings->self_enrol) {
                snprintf(detail, LOCKER_DETAIL_MAX,
                         "This cabinet does not let people change their credentials themselves. Please ask "
                         "the "
                         "operator.");
                r = LOCKER_E_NOT_ALLOWED;
        }
        return r;
}

static int expect_kind(Session *s, CredentialKind kind, char detail[LOCKER_DETAIL_MAX]) {
        int r = expect_own(s, detail);
        char names[128];

        if (r || s->locker->settings->self_enrol & credential_bit(kind))
                return r;
        credential_names(s->locker->settings->self_enrol, " and ", names, sizeof(names));
        snprintf(detail, LOCKER_DETAIL_MAX,
                 "At this cabinet people enrol these themselves: %s. Please ask the operator for a %s.",
                 names, credential_kind_to_string(kind));
        return LOCKER_E_NOT_ALLOWED;
}

static void enrolled(void *userdata, int result, const char *detail, uint64_t person, const char *card) {
        Session *s = userdata;
        LockerReply reply = steal_ptr(s->reply);
        LockerAnswer answer = {.result = s->gone ? LOCKER_E_SESSION_ENDED : result,
                               .place.slot = -1,
                               .person = person,
                               .card = card};

        s->enrolling = false;
        session_idles_from_now(s);
        if (detail && !s->gone)
                snprintf(answer.detail, sizeof(answer.detail), "%s", detail);
        if (reply)
                reply(s->reply_userdata, &answer);
}

static void shown(void *userdata, uint64_t person, CredentialKind kind, const IdentityPrompt *prompt) {
        Session *s = userdata;
        char sentence[160];

        snprintf(sentence, sizeof(sentence), "%s", prompt->sentence);
        if (prompt->of > 1 && prompt->taken < prompt->of)
                snprintf(sentence, sizeof(sentence), "%s (%u of %u)", prompt->sentence, prompt->taken + 1,
                         prompt->of);
        notify_prompt(&s->locker->records, s, -1, 0, prompt->what, sentence);
}

void locker_enrol_own(Locker *l, Session *s, const CredentialEnrolment *e, LockerReply reply,
                      void *userdata) {
        CredentialEnrolment own = *e;
        char detail[LOCKER_DETAIL_MAX];
        int r = expect_kind(s, e->kind, detail);

        if (r) {
                reply_refusal(reply, userdata, r, detail);
                return;
        }
        own.person = s->person;
        own.progress = shown;
        own.consent.self = true;
        own.consent.place = s->terminal;
        s->enrolling = true;
        s->reply = reply;
        s->reply_userdata = userdata;
        people_enrol_credential(l->people, &own, s->actor, enrolled, s);
}

bool session_give_up_enrolment(Session *s) {
        return s->enrolling && people_cancel_enrolment(s->locker->people, s);
}

int locker_revoke_own(Locker *l, Session *s, CredentialKind kind, char detail[LOCKER_DETAIL_MAX]) {
        int r = expect_own(s, detail);

        return r ? r : people_revoke_own(l->people, s->person, kind, s->actor, s->terminal, detail);
}

int locker_each_own_credential(Locker *l, Session *s, CredentialEach each, void *userdata,
                               char detail[LOCKER_DETAIL_MAX]) {
        int r = expect_own(s, detail);

        return r ? r : locker_each_credential(l, s->person, each, userdata);
}
