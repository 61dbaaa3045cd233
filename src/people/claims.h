/* SPDX-License-Identifier: Apache-2.0 */
/* Who is claimed to be here: whom a number, a phone, its end, a parcel or a waybill fits, and what a wrong
 * entry under that claim is charged to. */
#pragma once

#include "people/lockouts.h"
#include "people/people.h"

enum { CHARGE_CLAIM, CHARGE_TERMINAL, CHARGE_CANDIDATES };

typedef struct Claimed {
        People *people;
        CredentialKind kind;
        uint64_t candidates[IDENTITY_CANDIDATES_MAX];
        unsigned n_candidates;
        /* The claim's (a person's own where it names one), all of this kind at the terminal, and each
         * candidate's where it names nobody. */
        Charge charges[CHARGE_CANDIDATES + IDENTITY_CANDIDATES_MAX];
        size_t n_charges;
} Claimed;

/* Is it one claim, and one for that kind of person? A refusal before anything is looked for. */
int claim_check(const CredentialEvidence *e, char detail[PEOPLE_DETAIL_MAX]);
/* Fills in candidates and charges; people and kind are set. What is locked out is refused before anybody is
 * looked for. */
int claim_find(Claimed *who, const Presented *by, const CredentialEvidence *e,
               char detail[PEOPLE_DETAIL_MAX]);
