/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials that go, and the parcels that they would have opened. */
#pragma once

#include "people/people.h"

void credentials_tick(People *p, const Now *now); /* those that nobody uses end */
/* In a transaction, after credentials of this person have changed or gone: what waits for somebody who could
 * not open it gets a code. */
int codes_instead(People *p, uint64_t person, const char *actor);
/* In a transaction: what waits here for the phone of somebody who has just been enrolled is theirs. */
int parcels_adopt(People *p, const PersonRow *person);
/* In a transaction, likewise: says of what waits for this person what opens it now. */
int bindings_tell(People *p, uint64_t person, const char *actor);
