/* SPDX-License-Identifier: Apache-2.0 */
/* A credential as evidence of who somebody is: what was presented is compared with that of whoever is
 * claimed. */
#include "people/verification.h"
#include "people/claims.h"
#include "people/lockouts.h"
#include "people/people.h"
#include "people/people_struct.h"
#include "ledger/credentials.h"
#include "ledger/people.h"
#include "ledger/sessions.h"

#include <errno.h>
#include <stdio.h>

struct Verification {
        Verification *next;
        IdentityJob *job;
        Claimed who;
        uint64_t session;
        char actor[LABEL_MAX + 16];
        VerdictDone done;
        IdentityProgress progress;
        void *userdata;
};

static void verification_free(Verification *v) {
        for (Verification **at = &v->who.people->verifications; *at; at = &(*at)->next)
                if (*at == v) {
                        *at = v->next;
                        break;
                }
        free(v);
}

void verification_cancel(Verification *v) {
        if (!v)
                return;
        identity_cancel(v->job);
        verification_free(v);
}

void verifications_drop(People *p) {
        while (p->verifications)
                verification_cancel(p->verifications);
}

static int accept_person(Verification *v, uint64_t person, Verdict *ret) {
        _cleanup_person_ PersonRow row = {0};
        People *p = v->who.people;
        int r = ledger_person_get(p->ledger, person, &row); /* revoked meanwhile? */

        if (r == -ENOENT)
                return LOCKER_E_WRONG_CREDENTIAL;
        if (r >= 0)
                r = records_begin(p->records);
        if (r < 0)
                return r;
        r = lockouts_right(p, v->who.charges, CHARGE_CANDIDATES);
        if (r >= 0)
                r = ledger_session_person(p->ledger, v->session, row.id,
                                          credential_info(v->who.kind)->evidence);
        if (r >= 0)
                r = ledger_credential_used(p->ledger, row.id, credential_kind_to_string(v->who.kind),
                                           people_wall(p));
        r = records_end(p->records, r);
        if (r >= 0) {
                ret->person = row.id;
                ret->kind = row.kind;
                ret->credentials = row.credentials;
                snprintf(ret->number, sizeof(ret->number), "%s", row.number);
        }
        return r;
}

int people_reader_said(IdentityResult result, const uint8_t *sentence, size_t n,
                       char detail[PEOPLE_DETAIL_MAX]) {
        if (result != IDENTITY_READER_FAILED && result != IDENTITY_NO_SAMPLE)
                return 0;
        snprintf(detail, PEOPLE_DETAIL_MAX, "%.*s", (int)n, (const char *)sentence);
        return result == IDENTITY_NO_SAMPLE ? LOCKER_E_NO_SAMPLE : LOCKER_E_READER_FAILED;
}

/* No answer: nothing is counted, and nothing opens. */
static int unanswered(IdentityResult result, const uint8_t *data, size_t n, Verdict *ret) {
        int r = people_reader_said(result, data, n, ret->detail);

        return r ? r : LOCKER_E_INTERNAL;
}

/* matched: whom; -1: nobody. */
static int judge(Verification *v, int matched, Verdict *ret) {
        char unsaid[PEOPLE_DETAIL_MAX];
        People *p = v->who.people;

        /* Several may have asked at once: only as many answers as there are tries are given. */
        int r = lockouts_check(p, v->who.charges, CHARGE_CANDIDATES, ret->detail);
        if (!r && matched >= 0 && v->who.n_charges > CHARGE_CANDIDATES) {
                r = lockouts_check(p, &v->who.charges[CHARGE_CANDIDATES + matched], 1, unsaid);
                if (r > 0) {
                        matched = -1;
                        r = 0;
                }
        }
        if (r)
                return r;
        if (matched >= 0)
                return accept_person(v, v->who.candidates[matched], ret);
        r = lockouts_wrong(p, v->actor, "credential.wrong", NULL, v->who.charges, v->who.n_charges, NULL, 0,
                           ret->detail);
        return r < 0 ? r : LOCKER_E_WRONG_CREDENTIAL;
}

static void compared(void *userdata, IdentityResult result, const uint8_t *data, size_t n_data) {
        Verification *v = userdata;
        VerdictDone done = v->done;
        void *whose = v->userdata;
        Verdict verdict = {0};

        if (result == IDENTITY_NO_MATCH)
                verdict.result = judge(v, -1, &verdict);
        else if (result == IDENTITY_MATCH && n_data == 1 && data[0] < v->who.n_candidates)
                verdict.result = judge(v, data[0], &verdict);
        else
                verdict.result = unanswered(result, data, n_data, &verdict);
        verification_free(v);
        done(whose, &verdict);
}

static void progressed(void *userdata, const IdentityPrompt *prompt) {
        Verification *v = userdata;

        v->progress(v->userdata, prompt);
}

int people_reader_refusal(int r, char detail[PEOPLE_DETAIL_MAX]) {
        if (r != -ENODEV && r != -EBUSY && r != -ENOBUFS)
                return r;
        snprintf(detail, PEOPLE_DETAIL_MAX, "%s",
                 r == -ENODEV  ? "This cabinet has no such reader."
                 : r == -EBUSY ? "The reader is in use by somebody else."
                               : "Too much is asked at once. Please try again.");
        return r == -ENODEV ? LOCKER_E_READER_FAILED : LOCKER_E_BUSY;
}

static int compare(Verification *v, const CredentialEvidence *e) {
        IdentityTemplate templates[IDENTITY_CANDIDATES_MAX] = {{0}};
        const char *kind = credential_kind_to_string(e->kind);
        bool named = e->claim.number || e->claim.phone;
        unsigned n = 0;
        int r = 0;

        for (unsigned i = 0; r >= 0 && i < v->who.n_candidates; i++) {
                uint8_t *data = NULL;
                r = ledger_credential_get(v->who.people->ledger, v->who.candidates[i], kind, &data,
                                          &templates[n].n);
                templates[n].data = data;
                if (r >= 0)
                        n++;
                else if (r == -ENOENT && named)
                        r = 0;
        }
        if (r >= 0)
                r = identity_verify(v->who.people->identity,
                                    &(IdentityRequest){.kind = e->kind,
                                                       .evidence = e->data,
                                                       .n_evidence = e->n,
                                                       .templates = templates,
                                                       .n_templates = n,
                                                       .comparisons = named ? 1 : IDENTITY_CANDIDATES_MAX,
                                                       .done = compared,
                                                       .progress = v->progress ? progressed : NULL,
                                                       .userdata = v},
                                    &v->job);
        for (unsigned i = 0; i < n; i++)
                bytes_erase_free((uint8_t *)(uintptr_t)templates[i].data, templates[i].n);
        return r;
}

int people_verify(People *p, const Presented *by, const CredentialEvidence *e, VerdictDone done,
                  void *userdata, Verification **ret, char detail[PEOPLE_DETAIL_MAX]) {
        const Verifier *verifier = identity_verifier(e->kind);

        if (!verifier || !(verifier->abilities & VERIFIER_VERIFIES)) {
                snprintf(detail, PEOPLE_DETAIL_MAX, "This cabinet cannot verify that kind of credential.");
                return LOCKER_E_INVALID_ARGUMENT;
        }
        if (!e->data && !(verifier->abilities & VERIFIER_HAS_DEVICE))
                return LOCKER_E_INVALID_ARGUMENT;
        int r = claim_check(e, detail);
        if (r)
                return r;
        Verification *v = calloc(1, sizeof(*v));
        if (!v)
                return -ENOMEM;
        *v = (Verification){.who = {.people = p, .kind = e->kind},
                            .session = by->session,
                            .done = done,
                            .progress = e->progress,
                            .userdata = userdata};
        snprintf(v->actor, sizeof(v->actor), "%s", by->actor);
        r = claim_find(&v->who, by, e, detail);
        if (!r)
                r = people_reader_refusal(compare(v, e), detail);
        if (r) {
                free(v);
                return r;
        }
        v->next = p->verifications;
        p->verifications = v;
        *ret = v;
        return 0;
}
