/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence of who somebody is: a pickup code, or a credential of an enrolled person with the claim that it
 * belongs to. */
#include "people/verification.h"
#include "base/text.h"
#include "core/mask.h"
#include "people/lockouts.h"
#include "people/people.h"
#include "people/people_struct.h"
#include "ledger/codes.h"
#include "ledger/parcels.h"
#include "ledger/credentials.h"
#include "ledger/people.h"
#include "ledger/sessions.h"

#include <errno.h>
#include <stdio.h>

#define TAIL_LENGTH 4
#define NEAR_MAX    4

/* --- pickup codes --- */

typedef struct CodeClaim {
        Charge charges[3]; /* slot, phone, terminal: those that were named */
        size_t n;
} CodeClaim;

static bool tail_matches(const ParcelRow *p, const char *tail) {
        char digits[64] = "";

        if (!tail)
                return true;
        if (p->phone)
                phone_digits(p->phone, digits, sizeof(digits));
        size_t n = strlen(digits);
        bool same = n >= TAIL_LENGTH && streq(digits + n - TAIL_LENGTH, tail);
        explicit_bzero(digits, sizeof(digits));
        return same;
}

typedef struct Candidates {
        Ledger *ledger;
        const CodeEvidence *evidence;
        uint64_t codes;
} Candidates;

static int count_candidate(void *userdata, const ParcelRow *p) {
        Candidates *c = userdata;

        if (c->evidence->slot && !streq(c->evidence->slot, p->slot))
                return 0;
        if (!tail_matches(p, c->evidence->phone_tail))
                return 0;
        int r = ledger_code_exists(c->ledger, p->id);
        c->codes += r > 0 ? (uint64_t)r : 0;
        return MIN(r, 0);
}

/* With how many codes a guess is compared: that many times as likely it is right. */
static int count_candidates(People *p, const CodeEvidence *e, uint64_t *ret) {
        Candidates c = {.ledger = p->ledger, .evidence = e};
        int r;

        if (e->slot)
                r = ledger_parcel_each_in_slot(p->ledger, e->slot, count_candidate, &c);
        else if (e->phone_tail)
                r = ledger_parcel_each_of_phone_tail(p->ledger, e->phone_tail, count_candidate, &c);
        else
                r = ledger_code_count(p->ledger, &c.codes);
        *ret = MAX(c.codes, 1);
        return r;
}

static int read_claim(People *p, const Presented *by, const CodeEvidence *e, CodeClaim *c) {
        uint64_t right;

        c->n = 0;
        if (e->slot && cabinet_find_slot(p->records->cabinet, e->slot) < 0)
                return LOCKER_E_UNKNOWN_SLOT;
        if (e->phone_tail && (strlen(e->phone_tail) != TAIL_LENGTH || !text_is_digits(e->phone_tail)))
                return LOCKER_E_INVALID_ARGUMENT;
        if (!e->slot && !e->phone_tail && code_needs_claim(p->settings->code_alphabet))
                return LOCKER_E_CLAIM_NEEDED;
        int r = count_candidates(p, e, &right);
        if (r < 0)
                return r;
        uint64_t risk = lockout_risk(right, code_space(p->settings->code_alphabet));
        if (e->slot)
                charge_init(p, &c->charges[c->n++], risk, "claim:slot:%s", e->slot);
        if (e->phone_tail)
                charge_init(p, &c->charges[c->n++], risk, "claim:phone:%s", e->phone_tail);
        charge_init(p, &c->charges[c->n++], risk, "terminal:%s", by->terminal);
        return 0;
}

/* 0 with the parcel, -ENOENT, or another negative errno. Codes are unique among the parcels inside, so that
 * one look-up by keyed hash finds the parcel whose claim is then compared. */
static int find_by_code(People *p, const CodeEvidence *e, const char *code, ParcelRow *ret) {
        _cleanup_parcel_ ParcelRow row = {0};
        uint64_t id;
        int r = ledger_code_find(p->ledger, code, &id);

        if (r >= 0)
                r = ledger_parcel_get(p->ledger, id, &row);
        if (r < 0)
                return r;
        if (!ledger_code_matches(p->ledger, id, code) || (e->slot && !streq(e->slot, row.slot)) ||
            !tail_matches(&row, e->phone_tail))
                return -ENOENT;
        *ret = row;
        row = (ParcelRow){0};
        return 0;
}

/* The parcels whose code was nearly typed, whatever was claimed: those that a lockout concerns (D4). Nobody
 * outside sees which. */
static size_t find_near(People *p, const char *code, uint64_t ret[NEAR_MAX]) {
        char meant[CODE_NEIGHBOURS_MAX][CODE_LENGTH + 1];
        size_t n = code_neighbours(p->settings->code_alphabet, code, meant), found = 0;

        for (size_t i = 0; i < n; i++) {
                uint64_t id;
                if (ledger_code_find(p->ledger, meant[i], &id) >= 0 && found < NEAR_MAX)
                        ret[found++] = id;
        }
        explicit_bzero(meant, sizeof(meant));
        return found;
}

static int accept_code(People *p, const Presented *by, const CodeClaim *claim, const ParcelRow *row) {
        int r = records_begin(p->records);

        if (r < 0)
                return r;
        r = lockouts_right(p, claim->charges, claim->n);
        if (r >= 0)
                r = ledger_session_person(p->ledger, by->session, row->person, "code");
        return records_end(p->records, r);
}

static int check_normalised(People *p, const Presented *by, const CodeEvidence *e, const char *code,
                            Verdict *v) {
        _cleanup_parcel_ ParcelRow row = {0};
        uint64_t near[NEAR_MAX];
        CodeClaim claim;

        int r = read_claim(p, by, e, &claim);
        if (!r)
                r = lockouts_check(p, claim.charges, claim.n, v->detail);
        if (r)
                return r;
        r = find_by_code(p, e, code, &row);
        if (r == -ENOENT) {
                size_t n_near = find_near(p, code, near);
                r = lockouts_wrong(p, by->actor, "code.wrong", claim.charges, claim.n, near, n_near,
                                   v->detail);
                return r < 0 ? r : LOCKER_E_WRONG_CODE;
        }
        if (r < 0)
                return r;
        if (people_code_expired(p, &row))
                return LOCKER_E_CODE_EXPIRED;
        if (!parcel_is_recipients(&row))
                return LOCKER_E_WRONG_STATE;
        r = accept_code(p, by, &claim, &row);
        if (!r)
                v->parcel = row.id;
        return r;
}

void people_check_code(People *p, const Presented *by, const CodeEvidence *e, Verdict *ret) {
        char code[CODE_LENGTH + 1] = "";

        *ret = (Verdict){.result = LOCKER_E_INVALID_ARGUMENT};
        if (e->code && code_normalise(p->settings->code_alphabet, e->code, code) >= 0)
                ret->result = check_normalised(p, by, e, code, ret);
        else
                snprintf(ret->detail, sizeof(ret->detail), "A code has %d %s.", CODE_LENGTH,
                         p->settings->code_alphabet == CODE_DIGITS ? "digits" : "letters and digits");
        explicit_bzero(code, sizeof(code));
}

/* --- credentials --- */

struct Verification {
        Verification *next;
        People *people;
        IdentityJob *job;
        CredentialKind kind;
        uint64_t candidate; /* 0: nobody */
        Charge charges[2];  /* the person's, all of this kind at the terminal */
        uint64_t session;
        char actor[LABEL_MAX + 16];
        VerdictDone done;
        IdentityProgress progress;
        void *userdata;
};

static void verification_free(Verification *v) {
        for (Verification **at = &v->people->verifications; *at; at = &(*at)->next)
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

static int accept_person(Verification *v, Verdict *ret) {
        _cleanup_person_ PersonRow row = {0};
        People *p = v->people;
        int r = ledger_person_get(p->ledger, v->candidate, &row); /* revoked meanwhile? */

        if (r == -ENOENT)
                return LOCKER_E_WRONG_CREDENTIAL;
        if (r >= 0)
                r = records_begin(p->records);
        if (r < 0)
                return r;
        r = lockouts_right(p, v->charges, ARRAY_SIZE(v->charges));
        if (r >= 0)
                r = ledger_session_person(p->ledger, v->session, row.id, credential_info(v->kind)->evidence);
        if (r >= 0)
                r = ledger_credential_used(p->ledger, row.id, credential_kind_to_string(v->kind),
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

static int judge(Verification *v, IdentityResult result, Verdict *ret) {
        People *p = v->people;

        /* Several may have asked at once: only as many answers as there are tries are given. */
        int r = lockouts_check(p, v->charges, ARRAY_SIZE(v->charges), ret->detail);
        if (r)
                return r;
        if (result == IDENTITY_MATCH)
                return accept_person(v, ret);
        r = lockouts_wrong(p, v->actor, "credential.wrong", v->charges, ARRAY_SIZE(v->charges), NULL, 0,
                           ret->detail);
        return r < 0 ? r : LOCKER_E_WRONG_CREDENTIAL;
}

static void compared(void *userdata, IdentityResult result, const uint8_t *data, size_t n_data) {
        Verification *v = userdata;
        VerdictDone done = v->done;
        void *whose = v->userdata;
        Verdict verdict = {0};

        verdict.result = result == IDENTITY_MATCH || result == IDENTITY_NO_MATCH
                                 ? judge(v, result, &verdict)
                                 : unanswered(result, data, n_data, &verdict);
        verification_free(v);
        done(whose, &verdict);
}

/* Who is claimed to be here, and what a wrong entry costs them. Unknown numbers are counted like others, and
 * an unknown phone under a name that tells nobody's number. */
static int find_candidate(Verification *v, const CredentialEvidence *e) {
        const CredentialInfo *info = credential_info(e->kind);
        _cleanup_person_ PersonRow row = {0};
        People *p = v->people;
        uint64_t risk = lockout_risk(1, credential_space(e->kind, e->n, p->settings->min_length[e->kind]));
        uint8_t mac[VAULT_MAC_SIZE];
        char digits[64] = "";
        int r;

        if (e->courier) {
                r = ledger_person_by_number(p->ledger, e->claim, &row);
                vault_mac(ledger_vault(p->ledger), VAULT_PHONE, e->claim, strlen(e->claim), mac);
                /* A number is never taken for a recipient's id. */
                if (r >= 0)
                        charge_init(p, &v->charges[0], risk, "%s:%s%s", info->name,
                                    info->holders & HOLDER_RECIPIENT ? "courier-" : "", e->claim);
        } else {
                phone_digits(e->claim, digits, sizeof(digits));
                r = ledger_person_by_phone(p->ledger, digits, &row);
                vault_mac(ledger_vault(p->ledger), VAULT_PHONE, digits, strlen(digits), mac);
                explicit_bzero(digits, sizeof(digits));
                if (r >= 0)
                        charge_init(p, &v->charges[0], risk, "%s:%llu", info->name,
                                    (unsigned long long)row.id);
        }
        /* Whom nobody has enrolled: there is no end of numbers to invent, but of rows for them. */
        if (r < 0)
                charge_init(p, &v->charges[0], risk, "%s:unknown:%02x%x", info->name, mac[0], mac[1] & 0xf);
        v->candidate = r >= 0 && row.kind == (e->courier ? PERSON_COURIER : PERSON_RECIPIENT) ? row.id : 0;
        return r == -ENOENT ? 0 : r;
}

static void progressed(void *userdata, const char *what, const char *sentence) {
        Verification *v = userdata;

        v->progress(v->userdata, what, sentence);
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
        uint8_t *template = NULL;
        size_t n = 0;
        int r = v->candidate ? ledger_credential_get(v->people->ledger, v->candidate,
                                                     credential_kind_to_string(e->kind), &template, &n)
                             : 0;

        if (r >= 0 || r == -ENOENT)
                r = identity_verify(v->people->identity,
                                    &(IdentityRequest){.kind = e->kind,
                                                       .evidence = e->data,
                                                       .n_evidence = e->n,
                                                       .template = template,
                                                       .n_template = n,
                                                       .done = compared,
                                                       .progress = v->progress ? progressed : NULL,
                                                       .userdata = v},
                                    &v->job);
        bytes_erase_free(template, n);
        return r;
}

int people_verify(People *p, const Presented *by, const CredentialEvidence *e, VerdictDone done,
                  void *userdata, Verification **ret, char detail[PEOPLE_DETAIL_MAX]) {
        const Verifier *verifier = identity_verifier(e->kind);

        if (!verifier || !(verifier->abilities & VERIFIER_VERIFIES)) {
                snprintf(detail, PEOPLE_DETAIL_MAX, "This cabinet cannot verify that kind of credential.");
                return LOCKER_E_INVALID_ARGUMENT;
        }
        if ((!e->data && !(verifier->abilities & VERIFIER_HAS_DEVICE)) || !e->claim ||
            strlen(e->claim) > LABEL_MAX)
                return LOCKER_E_INVALID_ARGUMENT;
        Verification *v = calloc(1, sizeof(*v));
        if (!v)
                return -ENOMEM;
        *v = (Verification){.people = p,
                            .kind = e->kind,
                            .session = by->session,
                            .done = done,
                            .progress = e->progress,
                            .userdata = userdata};
        snprintf(v->actor, sizeof(v->actor), "%s", by->actor);
        int r = find_candidate(v, e);
        charge_init_total(&v->charges[1], v->charges[0].rules.risk_usec, "terminal-%s:%s",
                          credential_kind_to_string(credential_info(e->kind)->budget), by->terminal);
        if (r >= 0)
                r = lockouts_check(p, v->charges, ARRAY_SIZE(v->charges), detail);
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
