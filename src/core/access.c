/* SPDX-License-Identifier: Apache-2.0 */
#include "core/access.h"

#define KIOSK   CALLER_KIOSK
#define THERE   (CALLER_KIOSK | CALLER_HANDHELD) /* people in front of the cabinet */
#define ADMIN   CALLER_ADMIN
#define BACKEND (CALLER_BACKEND | CALLER_SIGNED) /* what changes nothing */
/* What opens doors, or makes somebody able to; and what may be used to that end or shuts people out, which
 * the migration key still lets through. */
#define SIGNED    CALLER_SIGNED
#define MIGRATING (CALLER_SIGNED | CALLER_UNSIGNED)
#define ANY       (PROOF_NOTHING | PROOF_COURIER | PROOF_CODE | PROOF_RECIPIENT)

static const struct {
        unsigned callers, proofs;
} rules[ACT_MAX] = {
        [ACT_START_SESSION] = {THERE, ANY},
        [ACT_AUTHENTICATE] = {THERE, ANY},
        [ACT_DEPOSIT] = {THERE | SIGNED, PROOF_COURIER},
        [ACT_COLLECT] = {THERE | SIGNED, PROOF_CODE | PROOF_RECIPIENT},
        [ACT_REOPEN] = {THERE | SIGNED, PROOF_COURIER | PROOF_CODE | PROOF_RECIPIENT},
        [ACT_TAKE_BACK] = {THERE | SIGNED, PROOF_COURIER},
        [ACT_LIFT_TERMINAL_LOCKOUT] = {KIOSK, PROOF_COURIER},
        [ACT_OWN_CREDENTIALS] = {KIOSK, PROOF_COURIER | PROOF_RECIPIENT},
        [ACT_END_SESSION] = {THERE | SIGNED, ANY},

        [ACT_OPEN_SLOT] = {ADMIN | SIGNED, ANY},
        [ACT_SERVICE_SLOT] = {ADMIN | MIGRATING, ANY},
        [ACT_RULE_PARCEL] = {ADMIN | MIGRATING, ANY},
        [ACT_NEW_CODE] = {ADMIN | SIGNED, ANY},
        [ACT_RULE_PEOPLE] = {ADMIN | SIGNED, ANY},
        [ACT_RULE_LOCKOUTS] = {ADMIN | SIGNED, ANY},
        [ACT_READ_EVENTS] = {ADMIN, ANY},
        [ACT_BACKUP] = {ADMIN, ANY},

        [ACT_ANNOUNCE] = {MIGRATING, ANY},
        [ACT_SET_THRESHOLDS] = {MIGRATING, ANY},
        [ACT_ASK] = {BACKEND, ANY},
};

Refusal access_of_caller(Act act, unsigned callers) {
        return (unsigned)act < ACT_MAX && rules[act].callers & callers ? REFUSAL_NONE
                                                                       : LOCKER_E_ACCESS_DENIED;
}

Refusal access_of_proof(Act act, Proof proof) {
        if ((unsigned)act < ACT_MAX && rules[act].proofs & proof)
                return REFUSAL_NONE;
        return proof == PROOF_NOTHING ? LOCKER_E_NOT_AUTHENTICATED : LOCKER_E_NOT_ALLOWED;
}

unsigned access_callers(Act act) {
        return (unsigned)act < ACT_MAX ? rules[act].callers : 0;
}
