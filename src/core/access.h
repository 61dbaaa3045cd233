/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what, in one table. It depends on the calling program (its interface and groups) and on the
 * evidence that the person in the session has presented. Every interface of the cabinet asks here. */
#pragma once

#include "core/refusal.h"

typedef enum Caller {
        CALLER_KIOSK = 1 << 0,    /* programs that people stand in front of: group lockerd-kiosk */
        CALLER_ADMIN = 1 << 1,    /* operators' programs: group lockerd-admin */
        CALLER_BACKEND = 1 << 2,  /* whoever may publish at the broker */
        CALLER_SIGNED = 1 << 3,   /* a command signed by a key of the ring, for this cabinet */
        CALLER_UNSIGNED = 1 << 4, /* whoever may publish at the broker, where UnsignedCommands=yes: until a
                                     backend signs what it did not have to sign before */
        CALLER_HANDHELD = 1 << 5, /* whoever is in reach of the short-range link */
} Caller;

/* The evidence that a person has presented in this session. */
typedef enum Proof {
        PROOF_NOTHING = 1 << 0,
        PROOF_COURIER = 1 << 1,   /* an enrolled courier's number, and PIN or fingerprint */
        PROOF_CODE = 1 << 2,      /* a pickup code: this one parcel */
        PROOF_RECIPIENT = 1 << 3, /* an enrolled recipient's password or fingerprint: that person's parcels */
} Proof;

typedef enum Act {
        /* at the terminal, or in an app behind the backend */
        ACT_START_SESSION,
        ACT_AUTHENTICATE,
        ACT_DEPOSIT, /* with TooSmall, NotEmpty */
        ACT_COLLECT, /* with Accept, Reject */
        ACT_REOPEN,  /* with DoesNotOpen, Cancel: a slot that was opened for this session */
        ACT_TAKE_BACK,
        ACT_LIFT_TERMINAL_LOCKOUT,
        ACT_OWN_CREDENTIALS, /* enrol, revoke, list one's own */
        ACT_END_SESSION,
        /* operators */
        ACT_OPEN_SLOT,
        ACT_SERVICE_SLOT, /* disable, enable, reconcile */
        ACT_RULE_PARCEL,  /* recall, release */
        ACT_NEW_CODE,
        ACT_RULE_PEOPLE, /* enrol, revoke, list */
        ACT_RULE_LOCKOUTS,
        ACT_READ_EVENTS, /* events, history, audit */
        ACT_BACKUP,
        /* the backend */
        ACT_ANNOUNCE,
        ACT_SET_THRESHOLDS,
        ACT_ASK, /* snapshot, replay, recommend */
        ACT_MAX,
} Act;

/* May a program of these groups (Caller bits) ask for it at all? ACCESS_DENIED if not. */
Refusal access_of_caller(Act act, unsigned callers);
/* May a person with this evidence do it? NOT_AUTHENTICATED without evidence, NOT_ALLOWED with insufficient
 * evidence. */
Refusal access_of_proof(Act act, Proof proof);
unsigned access_callers(Act act); /* Caller bits, for messages */
