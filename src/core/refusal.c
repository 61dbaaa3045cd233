/* SPDX-License-Identifier: Apache-2.0 */
#include "core/refusal.h"

#include <errno.h>
#include <stddef.h>

typedef struct RefusalRow {
        const char *name;
        int exit_status;
        const char *sentence;
} RefusalRow;

static const RefusalRow rows[REFUSAL_MAX] = {[REFUSAL_NONE] = {"None", 0, "Done."},
#define X(constant, name, status, sentence) [LOCKER_E_##constant] = {name, status, sentence},
                                             REFUSALS(X)
#undef X
};

/* A number outside the table is a programming error and is reported as Internal. */
static const RefusalRow *refusal_row(Refusal r) {
        return &rows[(unsigned)r < REFUSAL_MAX ? r : LOCKER_E_INTERNAL];
}

const char *refusal_name(Refusal r) {
        return refusal_row(r)->name;
}

const char *refusal_sentence(Refusal r) {
        return refusal_row(r)->sentence;
}

int refusal_exit_status(Refusal r) {
        return refusal_row(r)->exit_status;
}

Refusal refusal_of(int result) {
        return result == -ENOSPC  ? LOCKER_E_STORAGE_FULL
               : result == -EBUSY ? LOCKER_E_BUSY
               : result < 0       ? LOCKER_E_INTERNAL
                                  : (Refusal)result;
}

const char *refusal_why(int result) {
        /* Not the sentence for a deposit, which says that collecting still works. */
        if (result == -ENOSPC)
                return "The disk is full: nothing can be recorded, so nothing is opened. The operator must "
                       "free some space.";
        if (result == -EBUSY)
                return "Another program has locked the ledger: nothing can be recorded, so nothing is "
                       "opened. Please try again in a moment.";
        return NULL;
}
