/* SPDX-License-Identifier: Apache-2.0 */
/* After a restart. */
#pragma once

#include "locker/locker.h"

int locker_recover_begin(Locker *l);
int locker_adopt(Locker *l); /* if it is due: 0, or why the ledger does not take it */
void locker_recover(Locker *l);
void homeless_count(Locker *l); /* parcels in slots that are not configured; tells health */
