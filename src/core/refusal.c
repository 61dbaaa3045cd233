/* SPDX-License-Identifier: Apache-2.0 */
#include "core/refusal.h"

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
