/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of sessions when evidence is good, or its person is revoked. */
#pragma once

#include "locker/locker.h"

void locker_person_revoked(void *locker, uint64_t person); /* ends the sessions of that person */
/* Nobody waits any more for what is being verified; false: nothing is. */
bool session_give_up_evidence(Session *s);
