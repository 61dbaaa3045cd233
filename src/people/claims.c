/* SPDX-License-Identifier: Apache-2.0 */
#include "people/claims.h"
#include "base/ids.h"
#include "base/text.h"
#include "core/mask.h"
#include "people/people_struct.h"
#include "ledger/parcels.h"
#include "ledger/people.h"

#include <errno.h>
#include <stdio.h>

#define CLAIM_TEXT_MAX 160 /* "waybill:" and the longest one */

static int refuse_claim(char detail[PEOPLE_DETAIL_MAX], int refusal, const char *sentence) {
        snprintf(detail, PEOPLE_DETAIL_MAX, "%s", sentence);
        return refusal;
}

int claim_check(const CredentialEvidence *e, char detail[PEOPLE_DETAIL_MAX]) {
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
static int find_named(Claimed *who, const CredentialEvidence *e, uint64_t risk) {
        const CredentialInfo *info = credential_info(e->kind);
        Charge *charge = &who->charges[CHARGE_CLAIM];
        _cleanup_person_ PersonRow row = {0};
        People *p = who->people;
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
                who->candidates[who->n_candidates++] = row.id;
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
static int add_candidates(Claimed *who, const Ids *people, uint64_t risk, char detail[PEOPLE_DETAIL_MAX]) {
        const char *kind = credential_kind_to_string(who->kind);
        char unsaid[PEOPLE_DETAIL_MAX];
        unsigned fitting = 0;

        for (size_t i = 0; i < people->n; i++) {
                _cleanup_person_ PersonRow row = {0};
                int r = ledger_person_get(who->people->ledger, people->ids[i], &row);
                if (r == -ENOENT)
                        continue;
                if (r < 0)
                        return r;
                if (row.kind != PERSON_RECIPIENT || !person_has(&row, who->kind))
                        continue;
                if (++fitting > IDENTITY_CANDIDATES_MAX)
                        return refuse_claim(
                                detail, LOCKER_E_CLAIM_NEEDED,
                                "This fits more than four people. Please give more digits, or the "
                                "whole phone number.");
                Charge *own = &who->charges[CHARGE_CANDIDATES + who->n_candidates];
                charge_init_total(own, risk, "%s:%llu", kind, (unsigned long long)row.id);
                own->quiet = true;
                r = lockouts_check(who->people, own, 1, unsaid);
                if (r < 0)
                        return r;
                if (!r)
                        who->candidates[who->n_candidates++] = row.id;
        }
        who->n_charges += who->n_candidates;
        return 0;
}

/* Whose parcel waits here under this tail, number or waybill. The claim is counted the same, whether it fits
 * anybody or not, and under a name that tells nothing of it. */
static int find_by_parcel(Claimed *who, const CredentialEvidence *e, uint64_t risk,
                          char detail[PEOPLE_DETAIL_MAX]) {
        const Claim *c = &e->claim;
        Fitting f = {.claim = c};
        char text[CLAIM_TEXT_MAX];
        uint8_t mac[VAULT_MAC_SIZE];

        int n = c->parcel ? snprintf(text, sizeof(text), "parcel:%llu", (unsigned long long)c->parcel)
                          : snprintf(text, sizeof(text), "%s:%s", c->waybill ? "waybill" : "tail",
                                     c->waybill ? c->waybill : c->phone_tail);
        vault_mac(ledger_vault(who->people->ledger), VAULT_PHONE, text, MIN((size_t)n, sizeof(text) - 1),
                  mac);
        explicit_bzero(text, sizeof(text));
        charge_init(who->people, &who->charges[CHARGE_CLAIM], risk, "%s:claim:%02x%x",
                    credential_kind_to_string(who->kind), mac[0], mac[1] & 0xf);
        int r = lockouts_check(who->people, who->charges, CHARGE_CANDIDATES, detail);
        if (!r)
                r = find_fitting(who->people, &f);
        if (!r)
                r = add_candidates(who, &f.people, risk, detail);
        ids_done(&f.people);
        return r;
}

int claim_find(Claimed *who, const Presented *by, const CredentialEvidence *e,
               char detail[PEOPLE_DETAIL_MAX]) {
        uint64_t space = credential_space(e->kind, e->n, who->people->settings->min_length[e->kind]);
        uint64_t risk = lockout_risk(1, space);
        Charge *terminal = &who->charges[CHARGE_TERMINAL];
        bool named = e->claim.number || e->claim.phone;
        const char *budget = credential_kind_to_string(credential_info(e->kind)->budget);

        who->n_charges = CHARGE_CANDIDATES;
        charge_init_total(terminal, risk, "terminal-%s:%s", budget, by->terminal);
        int r = named ? find_named(who, e, risk) : find_by_parcel(who, e, risk, detail);
        if (r)
                return r;
        if (named)
                return lockouts_check(who->people, who->charges, CHARGE_CANDIDATES, detail);
        /* It may be right for each of them. */
        risk = lockout_risk(MAX(who->n_candidates, 1U), space);
        who->charges[CHARGE_CLAIM].rules.risk_usec = terminal->rules.risk_usec = risk;
        return 0;
}
