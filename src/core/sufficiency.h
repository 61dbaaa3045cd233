/* SPDX-License-Identifier: Apache-2.0 */
/* Which credentials suffice for which act of a person. A kind that suffices alone needs nothing beside it;
 * any other needs a second, different kind of the same person in the same session, and one of the two must be
 * of those that may suffice alone: a face and a voice together do not. A pickup code always
 * suffices for its one parcel. Which kinds suffice alone is the operator's choice (lockerd.conf, AloneFor…=).
 */
#pragma once

#include "core/access.h"
#include "core/credential.h"

/* The acts that open something, or let somebody go on guessing. What follows from them (Reopen, Accept, …)
 * needs no further look. */
typedef struct Sufficiency {
        /* Sets of kinds (credential_bit()) that suffice alone. */
        uint32_t deposit, collect, take_back, lift;
} Sufficiency;

Sufficiency sufficiency_default(void); /* the table of kinds, the same for every act */
/* May somebody who has presented these kinds do it? NOT_AUTHENTICATED: nothing was presented;
 * ANOTHER_NEEDED. Acts that have no rule need nothing. */
Refusal sufficiency_of(const Sufficiency *s, Act act, unsigned presented);
/* Whether all that this person has would do: else nobody can open for them, and a code is needed. */
bool sufficiency_possible(const Sufficiency *s, Act act, unsigned enrolled);
