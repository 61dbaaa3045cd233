/* SPDX-License-Identifier: Apache-2.0 */
/* Movements of locks: intents and outcomes. Errors as in ledger.h. */
#pragma once

#include "ledger/ledger.h"

typedef struct MovementRow {
        uint64_t id, session, parcel; /* 0: none */
        char slot[LABEL_MAX];
        unsigned position;  /* 0: the door, else the position's lock */
        const char *action; /* "unlock", "secure" */
        const char *why;    /* "deposit" "collect" "reopen" "take-back" "operator" "safety" "retry" "secure"
                             * "too-small" "not-empty" "does-not-open" */
        const char *actor;
        const char *reason; /* operators; may be NULL */
} MovementRow;
int ledger_movement_intend(Ledger *l, MovementRow *m, const Now *now); /* sets id */
/* outcome: "released" "failed" "not-sent" "refused" "unknown" "withdrawn" "secured" */
/* -EALREADY: settled before (the first outcome stands); -ENOENT. */
int ledger_movement_settle(Ledger *l, uint64_t id, const char *outcome, const Now *now);
/* Those without outcome. why NULL: somebody else has written it, it explains nothing. */
int ledger_movement_each_open(Ledger *l,
                              int (*each)(void *userdata, uint64_t id, const char *slot, unsigned position,
                                          uint64_t parcel, const char *why),
                              void *userdata);
