/* SPDX-License-Identifier: Apache-2.0 */
/* Years of synthetic history in a minute, for benchmarks: ended parcels with their sessions, movements,
 * events and audit rows, just as the ledger would have written them (the audit chain verifies), only without
 * a sync for each. */
#pragma once

#include "ledger/ledger.h"

/* Adds n parcels to an open ledger; not a transaction of its own: a ledger that was being filled when it
 * stopped is thrown away. */
int fill_history(Ledger *l, uint64_t n, void (*progress)(uint64_t done, uint64_t n));
