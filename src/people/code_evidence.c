/* SPDX-License-Identifier: Apache-2.0 */
/* A pickup code as evidence: which parcel it opens, and why it opens none. */
#include "core/mask.h"
#include "people/lockouts.h"
#include "people/people.h"
#include "people/people_struct.h"
#include "base/text.h"
#include "ledger/codes.h"
#include "ledger/parcels.h"
#include "ledger/sessions.h"

#include <errno.h>
#include <stdio.h>

#define TAIL_LENGTH 4
#define NEAR_MAX    4

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
