/* SPDX-License-Identifier: Apache-2.0 */
/* The audit trail: a keyed chain of hashes over all that was recorded. Errors as in ledger.h. */
#pragma once

#include "ledger/ledger.h"

#define AUDIT_HEAD_MAX 96 /* "<sequence>:<64 hex>"; sequence 0: nothing recorded yet */
bool ledger_is_audit_head(const char *text);
int ledger_audit_head(Ledger *l, char ret[AUDIT_HEAD_MAX]);
/* Recomputes the chain, read-only, on the file (a process of its own). kept: a head of this ledger from
 * earlier, which the chain must lead through; NULL: none. 0: valid; -EUCLEAN: detail says from which row on
 * it is broken, and rows and head are those of the last valid row; -EINVAL: kept is not a head;
 * -EKEYREJECTED: the vault has another key. */
int ledger_audit_verify_file(const char *path, const Vault *vault, const char *kept, uint64_t *ret_rows,
                             char ret_head[AUDIT_HEAD_MAX], char **ret_detail);
