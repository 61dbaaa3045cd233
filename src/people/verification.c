/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence of who somebody is: a pickup code, or a credential of an enrolled person with the claim that it
 * belongs to. */
#include "people/verification.h"
#include "base/ids.h"
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

#define TAIL_LENGTH    4
#define NEAR_MAX       4
#define CLAIM_TEXT_MAX 160 /* "waybill:" and the longest one */

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

/* Where claims of this terminal are counted. */
static const char *claims(const Presented *by) {
        return by->apart ? CLAIMS_APART : "";
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
                charge_init(p, &c->charges[c->n++], risk, "%sclaim:slot:%s", claims(by), e->slot);
        if (e->phone_tail)
                charge_init(p, &c->charges[c->n++], risk, "%sclaim:phone:%s", claims(by), e->phone_tail);
        charge_init(p, &c->charges[c->n++], risk, "terminal:%s", by->terminal);
        return 0;
}

/* Where it is said for which cabinet it was given out, it opens nothing here. */
static bool is_for_another_cabinet(const People *p, const CodeEvidence *e) {
        return e->cabinet && !streq(e->cabinet, p->records->cabinet->number);
}

/* 0 with the parcel, -ENOENT, or another negative errno. Codes are unique among the parcels inside, so that
 * one look-up by keyed hash finds the parcel whose claim is then compared. */
static int find_by_code(People *p, const CodeEvidence *e, const char *code, ParcelRow *ret) {
        _cleanup_parcel_ ParcelRow row = {0};
        uint64_t id;
        int r = is_for_another_cabinet(p, e) ? -ENOENT : ledger_code_find(p->ledger, code, &id);

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

/* --- why a code does not open: for the ledger; outside there is one sentence --- */

/* Right codes that do not open cost whoever tries them nothing, so that their rows are bounded here. */
static const BucketRules refused_pace = {.burst = 30, .each_usec = 60 * USEC_PER_SEC};

/* What became of a parcel whose code this was. */
static const char *why_spent(People *p, uint64_t parcel) {
        _cleanup_parcel_ ParcelRow live = {0}, ended = {0};
        bool is_live = ledger_parcel_get(p->ledger, parcel, &live) >= 0;

        if (!is_live && ledger_parcel_history(p->ledger, parcel, &ended) < 0)
                return NULL;
        const ParcelRow *row = is_live ? &live : &ended;
        if (row->state == PARCEL_COLLECTED)
                return "used";
        if (row->state == PARCEL_CANCELLED || row->state == PARCEL_RETURNED ||
            row->state == PARCEL_REJECTED || row->state == PARCEL_RECALLED)
                return parcel_state_to_string(row->state);
        return "replaced";
}

/* NULL: nothing is known of it. */
static const char *why_wrong(People *p, const CodeEvidence *e, const char *code) {
        uint64_t parcel;

        if (is_for_another_cabinet(p, e))
                return "another-cabinet";
        if (ledger_code_find(p->ledger, code, &parcel) >= 0)
                return "another-claim";
        return ledger_code_find_spent(p->ledger, code, &parcel) >= 0 ? why_spent(p, parcel) : NULL;
}

/* Its code, but not now. Refusal, or a negative errno. */
static int refuse_right(People *p, const Presented *by, const ParcelRow *row, const char *why, int refusal) {
        char subject[SUBJECT_MAX];
        int r;

        if (!bucket_take(&p->refused, &refused_pace, people_now(p).boot_usec))
                return refusal;
        snprintf(subject, sizeof(subject), "parcel:%llu", (unsigned long long)row->id);
        r = records_begin(p->records);
        if (r >= 0)
                r = records_end(p->records,
                                records_add(p->records, by->actor, NULL, "code.refused", subject,
                                            json_pack("{s:s, s:s}", "why", why, "terminal", by->terminal),
                                            NULL));
        return r < 0 ? r : refusal;
}

static int judge_right(People *p, const Presented *by, const ParcelRow *row) {
        if (people_code_expired(p, row))
                return refuse_right(p, by, row, "expired", LOCKER_E_CODE_EXPIRED);
        if (!parcel_is_recipients(row))
                return refuse_right(p, by, row, row->doubted ? "doubted" : parcel_state_to_string(row->state),
                                    LOCKER_E_WRONG_STATE);
        return 0;
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
                r = lockouts_wrong(p, by->actor, "code.wrong", why_wrong(p, e, code), claim.charges, claim.n,
                                   near, n_near, v->detail);
                return r < 0 ? r : LOCKER_E_WRONG_CODE;
        }
        if (r < 0)
                return r;
        r = judge_right(p, by, &row);
        if (!r)
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

enum { CHARGE_CLAIM, CHARGE_TERMINAL, CHARGE_CANDIDATES };

struct Verification {
        Verification *next;
        People *people;
        IdentityJob *job;
        CredentialKind kind;
        uint64_t candidates[IDENTITY_CANDIDATES_MAX];
        unsigned n_candidates;
        /* The claim's (a person's own where it names one), all of this kind at the terminal, and each
         * candidate's where it names nobody. */
        Charge charges[CHARGE_CANDIDATES + IDENTITY_CANDIDATES_MAX];
        size_t n_charges;
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

static int accept_person(Verification *v, uint64_t person, Verdict *ret) {
        _cleanup_person_ PersonRow row = {0};
        People *p = v->people;
        int r = ledger_person_get(p->ledger, person, &row); /* revoked meanwhile? */

        if (r == -ENOENT)
                return LOCKER_E_WRONG_CREDENTIAL;
        if (r >= 0)
                r = records_begin(p->records);
        if (r < 0)
                return r;
        r = lockouts_right(p, v->charges, CHARGE_CANDIDATES);
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

/* matched: whom; -1: nobody. */
static int judge(Verification *v, int matched, Verdict *ret) {
        char unsaid[PEOPLE_DETAIL_MAX];
        People *p = v->people;

        /* Several may have asked at once: only as many answers as there are tries are given. */
        int r = lockouts_check(p, v->charges, CHARGE_CANDIDATES, ret->detail);
        if (!r && matched >= 0 && v->n_charges > CHARGE_CANDIDATES) {
                r = lockouts_check(p, &v->charges[CHARGE_CANDIDATES + matched], 1, unsaid);
                if (r > 0) {
                        matched = -1;
                        r = 0;
                }
        }
        if (r)
                return r;
        if (matched >= 0)
                return accept_person(v, v->candidates[matched], ret);
        r = lockouts_wrong(p, v->actor, "credential.wrong", NULL, v->charges, v->n_charges, NULL, 0, ret->detail);
        return r < 0 ? r : LOCKER_E_WRONG_CREDENTIAL;
}

static void compared(void *userdata, IdentityResult result, const uint8_t *data, size_t n_data) {
        Verification *v = userdata;
        VerdictDone done = v->done;
        void *whose = v->userdata;
        Verdict verdict = {0};

        if (result == IDENTITY_NO_MATCH)
                verdict.result = judge(v, -1, &verdict);
        else if (result == IDENTITY_MATCH && n_data == 1 && data[0] < v->n_candidates)
                verdict.result = judge(v, data[0], &verdict);
        else
                verdict.result = unanswered(result, data, n_data, &verdict);
        verification_free(v);
        done(whose, &verdict);
}

/* --- who is claimed to be here --- */

static int refuse_claim(char detail[PEOPLE_DETAIL_MAX], int refusal, const char *sentence) {
        snprintf(detail, PEOPLE_DETAIL_MAX, "%s", sentence);
        return refusal;
}

static int check_claim(const CredentialEvidence *e, char detail[PEOPLE_DETAIL_MAX]) {
        const Claim *c = &e->claim;
        const char *whole = e->courier ? c->number : c->phone;

        if (!!c->number + !!c->phone + !!c->phone_tail + !!c->waybill + (c->parcel != 0) != 1 ||
            (e->courier && !c->number) || (!e->courier && c->number))
                return refuse_claim(detail, LOCKER_E_INVALID_ARGUMENT,
                                    e->courier
                                            ? "A courier is claimed by \"number\"."
                                            : "A recipient is claimed by one of \"phone\", \"phone_tail\", "
                                              "\"parcel\" and \"waybill\".");
        if (whole && strlen(whole) > LABEL_MAX)
                return LOCKER_E_INVALID_ARGUMENT;
        if (c->waybill && !*c->waybill)
                return refuse_claim(detail, LOCKER_E_INVALID_ARGUMENT, "\"waybill\" is empty.");
        if (!c->phone_tail)
                return 0;
        size_t n = strlen(c->phone_tail);
        return n >= CLAIM_TAIL_MIN && n <= CLAIM_TAIL_MAX && text_is_digits(c->phone_tail)
                       ? 0
                       : refuse_claim(detail, LOCKER_E_INVALID_ARGUMENT,
                                      "\"phone_tail\" is the last 4 to 15 digits of the phone number.");
}

/* One person, who is named, and what a wrong entry costs them. Unknown numbers are counted like others, and
 * an unknown phone under a name that tells nobody's number. */
static int find_named(Verification *v, const CredentialEvidence *e, uint64_t risk) {
        const CredentialInfo *info = credential_info(e->kind);
        Charge *charge = &v->charges[CHARGE_CLAIM];
        _cleanup_person_ PersonRow row = {0};
        People *p = v->people;
        uint8_t mac[VAULT_MAC_SIZE];
        char digits[64] = "";
        int r;

        if (e->courier) {
                const char *number = e->claim.number;
                r = ledger_person_by_number(p->ledger, number, &row);
                vault_mac(ledger_vault(p->ledger), VAULT_PHONE, number, strlen(number), mac);
                /* A number is never taken for a recipient's id. */
                if (r >= 0)
                        charge_init(p, charge, risk, "%s:%s%s", info->name,
                                    info->holders & HOLDER_RECIPIENT ? "courier-" : "", number);
        } else {
                phone_digits(e->claim.phone, digits, sizeof(digits));
                r = ledger_person_by_phone(p->ledger, digits, &row);
                vault_mac(ledger_vault(p->ledger), VAULT_PHONE, digits, strlen(digits), mac);
                explicit_bzero(digits, sizeof(digits));
                if (r >= 0)
                        charge_init(p, charge, risk, "%s:%llu", info->name, (unsigned long long)row.id);
        }
        /* Whom nobody has enrolled: there is no end of numbers to invent, but of rows for them. */
        if (r < 0)
                charge_init(p, charge, risk, "%s:unknown:%02x%x", info->name, mac[0], mac[1] & 0xf);
        if (r >= 0 && row.kind == (e->courier ? PERSON_COURIER : PERSON_RECIPIENT))
                v->candidates[v->n_candidates++] = row.id;
        return r == -ENOENT ? 0 : r;
}

typedef struct Fitting {
        const Claim *claim;
        Ids people;
} Fitting;

static bool ends_with(const char *phone, const char *tail) {
        char digits[64] = "";

        if (phone)
                phone_digits(phone, digits, sizeof(digits));
        size_t n = strlen(digits), n_tail = strlen(tail);
        bool same = n >= n_tail && streq(digits + n - n_tail, tail);
        explicit_bzero(digits, sizeof(digits));
        return same;
}

static int collect_fitting(void *userdata, const ParcelRow *p) {
        Fitting *f = userdata;

        if (!p->person || !parcel_is_recipients(p) ||
            (f->claim->phone_tail && !ends_with(p->phone, f->claim->phone_tail)))
                return 0;
        for (size_t i = 0; i < f->people.n; i++)
                if (f->people.ids[i] == p->person)
                        return 0;
        return ids_add(&f->people, p->person);
}

static int find_fitting(People *p, Fitting *f) {
        const Claim *c = f->claim;

        if (c->phone_tail)
                return ledger_parcel_each_of_phone_tail(
                        p->ledger, c->phone_tail + strlen(c->phone_tail) - CLAIM_TAIL_MIN, collect_fitting,
                        f);
        if (c->waybill)
                return ledger_parcel_each_of_waybill(p->ledger, c->waybill, collect_fitting, f);
        _cleanup_parcel_ ParcelRow row = {0};
        int r = c->parcel > INT64_MAX ? -ENOENT : ledger_parcel_get(p->ledger, c->parcel, &row);
        return r == -ENOENT ? 0 : r < 0 ? r : collect_fitting(f, &row);
}

/* Each candidate's risk counts, by whatever claim a guess came. Somebody who is locked out is compared with
 * nobody: a refusal would tell that they are meant. */
static int add_candidates(Verification *v, const Ids *people, uint64_t risk, char detail[PEOPLE_DETAIL_MAX]) {
        const char *kind = credential_kind_to_string(v->kind);
        char unsaid[PEOPLE_DETAIL_MAX];
        unsigned fitting = 0;

        for (size_t i = 0; i < people->n; i++) {
                _cleanup_person_ PersonRow row = {0};
                int r = ledger_person_get(v->people->ledger, people->ids[i], &row);
                if (r == -ENOENT)
                        continue;
                if (r < 0)
                        return r;
                if (row.kind != PERSON_RECIPIENT || !person_has(&row, v->kind))
                        continue;
                if (++fitting > IDENTITY_CANDIDATES_MAX)
                        return refuse_claim(
                                detail, LOCKER_E_CLAIM_NEEDED,
                                "This fits more than four people. Please give more digits, or the "
                                "whole phone number.");
                Charge *own = &v->charges[CHARGE_CANDIDATES + v->n_candidates];
                charge_init_total(own, risk, "%s:%llu", kind, (unsigned long long)row.id);
                own->quiet = true;
                r = lockouts_check(v->people, own, 1, unsaid);
                if (r < 0)
                        return r;
                if (!r)
                        v->candidates[v->n_candidates++] = row.id;
        }
        v->n_charges += v->n_candidates;
        return 0;
}

/* Whose parcel waits here under this tail, number or waybill. The claim is counted the same, whether it fits
 * anybody or not, and under a name that tells nothing of it. */
static int find_by_parcel(Verification *v, const CredentialEvidence *e, uint64_t risk,
                          char detail[PEOPLE_DETAIL_MAX]) {
        const Claim *c = &e->claim;
        Fitting f = {.claim = c};
        char text[CLAIM_TEXT_MAX];
        uint8_t mac[VAULT_MAC_SIZE];

        int n = c->parcel ? snprintf(text, sizeof(text), "parcel:%llu", (unsigned long long)c->parcel)
                          : snprintf(text, sizeof(text), "%s:%s", c->waybill ? "waybill" : "tail",
                                     c->waybill ? c->waybill : c->phone_tail);
        vault_mac(ledger_vault(v->people->ledger), VAULT_PHONE, text, MIN((size_t)n, sizeof(text) - 1), mac);
        explicit_bzero(text, sizeof(text));
        charge_init(v->people, &v->charges[CHARGE_CLAIM], risk, "%s:claim:%02x%x",
                    credential_kind_to_string(v->kind), mac[0], mac[1] & 0xf);
        int r = lockouts_check(v->people, v->charges, CHARGE_CANDIDATES, detail);
        if (!r)
                r = find_fitting(v->people, &f);
        if (!r)
                r = add_candidates(v, &f.people, risk, detail);
        ids_done(&f.people);
        return r;
}

/* Refuses what is locked out before anybody is looked for. */
static int find_candidates(Verification *v, const Presented *by, const CredentialEvidence *e,
                           char detail[PEOPLE_DETAIL_MAX]) {
        uint64_t space = credential_space(e->kind, e->n, v->people->settings->min_length[e->kind]);
        uint64_t risk = lockout_risk(1, space);
        Charge *terminal = &v->charges[CHARGE_TERMINAL];
        bool named = e->claim.number || e->claim.phone;
        const char *budget = credential_kind_to_string(credential_info(e->kind)->budget);

        v->n_charges = CHARGE_CANDIDATES;
        charge_init_total(terminal, risk, "terminal-%s:%s", budget, by->terminal);
        int r = named ? find_named(v, e, risk) : find_by_parcel(v, e, risk, detail);
        if (r)
                return r;
        if (named)
                return lockouts_check(v->people, v->charges, CHARGE_CANDIDATES, detail);
        /* It may be right for each of them. */
        risk = lockout_risk(MAX(v->n_candidates, 1U), space);
        v->charges[CHARGE_CLAIM].rules.risk_usec = terminal->rules.risk_usec = risk;
        return 0;
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

        for (unsigned i = 0; r >= 0 && i < v->n_candidates; i++) {
                uint8_t *data = NULL;
                r = ledger_credential_get(v->people->ledger, v->candidates[i], kind, &data, &templates[n].n);
                templates[n].data = data;
                if (r >= 0)
                        n++;
                else if (r == -ENOENT && named)
                        r = 0;
        }
        if (r >= 0)
                r = identity_verify(v->people->identity,
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
        int r = check_claim(e, detail);
        if (r)
                return r;
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
        r = find_candidates(v, by, e, detail);
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
