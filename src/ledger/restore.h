/* SPDX-License-Identifier: Apache-2.0 */
/* Putting a backup in the place of the ledger, while no daemon runs. Errors as in ledger.h. */
#pragma once

#include "ledger/ledger.h"

typedef struct RestorePlace {
        const char *slot;
        unsigned position;
} RestorePlace;

typedef struct Restore {
        const char *ledger; /* which is replaced; need not be there */
        const char *backup; /* stays as it is; may be the ledger itself, to begin a new epoch */
        const char *cabinet;
        const char *actor, *reason;
        const RestorePlace *places; /* all positions of the cabinet */
        size_t n_places;
        bool nothing_since; /* nothing was put in or taken out since the backup was made */
        bool renumber;      /* the backup may be that of another number, which this cabinet had */
        /* What came of it: */
        char *aside;   /* where the former ledger is now; NULL: there was none */
        uint64_t last; /* the last event of the backup */
        uint64_t lost; /* events of the present ledger that the backup does not have, as far as it can be read
                        */
        uint64_t doubted; /* parcels that nobody opens until an operator has found them */
        char epoch[17];
        LedgerProblem problem;
        char *detail; /* why not */
} Restore;
void restore_done(Restore *r);
static inline void restore_donep(Restore *r) {
        restore_done(r);
}

/* Takes the vault, and frees it. Checks everything before it changes anything: -EBUSY: a
 * daemon has the ledger; -EEXIST: `nothing_since` cannot be true, because the present ledger goes on after
 * the backup; else as ledger_open_for() and ledger_audit_verify_file(). The former ledger is kept. The new
 * one belongs to the owner of the directory. Until the last step the former one is in place. */
int ledger_restore(Restore *r, Vault *vault, const Now *now);
