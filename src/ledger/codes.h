/* SPDX-License-Identifier: Apache-2.0 */
/* Pickup codes: keyed hashes only. Errors as in ledger.h. */
#pragma once

#include "ledger/ledger.h"

/* Replaces; -EEXIST when another live parcel has this code, -ENOENT when the parcel is not live. `code` is
 * normalised. */
int ledger_code_set(Ledger *l, uint64_t parcel, const char *code);
/* A second one beside it, in a transaction; -EEXIST also when there is a second one already. */
int ledger_code_renew(Ledger *l, uint64_t parcel, const char *code);
int ledger_code_find(Ledger *l, const char *code, uint64_t *ret_parcel); /* -ENOENT */
bool ledger_code_matches(Ledger *l, uint64_t parcel, const char *code);  /* constant time */
int ledger_code_exists(Ledger *l, uint64_t parcel);                      /* how many: 0 to 2 */
int ledger_code_count(Ledger *l, uint64_t *ret);                         /* in all of the cabinet */
/* One that is void now: used, cancelled, replaced. -ENOENT: unknown, or long ago. */
int ledger_code_find_spent(Ledger *l, const char *code, uint64_t *ret_parcel);
int ledger_code_erase(Ledger *l, uint64_t parcel);
