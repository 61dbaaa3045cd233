/* SPDX-License-Identifier: Apache-2.0 */
/* The audit trail: a chain of hashes over all that was recorded. Errors as in ledger.h. */
#pragma once

#include "ledger/ledger.h"

#define AUDIT_HEAD_MAX 96 /* "<sequence>:<64 hex>"; sequence 0: nothing recorded yet */
int ledger_audit_head(Ledger *l, char ret[AUDIT_HEAD_MAX]);
/* Recomputes the chain, read-only, on the file (a process of its own). 0: valid; -EUCLEAN: detail says
 * from which row on it is broken, and rows and head are those of the last valid row. */
int ledger_audit_verify_file(const char *path, uint64_t *ret_rows, char ret_head[AUDIT_HEAD_MAX],
                             char **ret_detail);
