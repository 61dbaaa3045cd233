/* SPDX-License-Identifier: Apache-2.0 */
/* A ledger that does not know what lies in the cabinet. */
#pragma once

#include "locker/locker.h"

/* What opening has found of the ledger as a whole: contents are doubted, an epoch begins. 0, or why the
 * ledger does not take it. */
int locker_settle_finding(Locker *l);
