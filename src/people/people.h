/* SPDX-License-Identifier: Apache-2.0 */
/* People: who is enrolled, whether evidence is good, what wrong evidence costs, pickup codes, and when
 * somebody is reminded. Evidence in, verdict out: there are no sessions and no doors here.
 *
 * Results are 0, a Refusal (> 0) or a negative errno. Times are boot µs. */
#pragma once

#include "core/code.h"
#include "core/offline_code.h"
#include "ledger/lockouts.h"
#include "ledger/parcels.h"
#include "ledger/people.h"
#include "core/refusal.h"
#include "identity/identity.h"
#include "records/records.h"

#define PEOPLE_DETAIL_MAX 256

typedef struct People People;
typedef struct Verification Verification; /* one that has not been answered yet */

typedef struct PeopleOptions {
        Records *records; /* outlives the People; its cabinet, settings, ledger and clock are used */
        Identity *identity;
        uint8_t boot_id[16];
        /* After the commit: whoever is signed in as this person is so no longer. */
        void (*revoked)(void *userdata, uint64_t person);
        void *userdata;
} PeopleOptions;

int people_new(People **ret, const PeopleOptions *o);
/* Whoever waits for an enrolment is told that it has not happened; verifications are dropped, not answered.
 */
People *people_free(People *p);
int people_adopt(People *p); /* once, when the ledger may be written: lockouts of another boot */
void people_tick(People *p, const Now *now);
uint64_t people_next_deadline(const People *p);

/* --- Verification (verification.c) */

/* Where the evidence was presented and by whom: for lockouts and the ledger. */
typedef struct Presented {
        uint64_t session;     /* in the ledger */
        const char *terminal; /* who called */
        const char *actor;
        bool apart; /* everybody in the street has this terminal: its claims are counted apart */
} Presented;

typedef struct CodeEvidence {
        const char *code, *slot, *phone_tail; /* as typed; slot and phone_tail may be NULL */
        const char *cabinet;                  /* for which it was given out, where that is known; NULL */
} CodeEvidence;

/* Who somebody says they are: exactly one of them. All but number and phone are those of a parcel that waits
 * here; its recipient is meant. */
typedef struct Claim {
        const char *number;               /* a courier's */
        const char *phone;                /* a recipient's, whole */
        const char *phone_tail, *waybill; /* NULL: not that */
        uint64_t parcel;                  /* 0: not that */
} Claim;
#define CLAIM_TAIL_MIN 4 /* last digits of a phone number */
#define CLAIM_TAIL_MAX 15

typedef struct CredentialEvidence {
        CredentialKind kind;
        bool courier; /* whom the claim names: a courier, or a recipient */
        Claim claim;
        const void *data; /* NULL: it comes from a reader of the cabinet */
        size_t n;
        IdentityProgress progress; /* of that reader: what the person is to do; may be NULL */
} CredentialEvidence;

/* Good: noted in the ledger for the session. */
typedef struct Verdict {
        int result;
        char detail[PEOPLE_DETAIL_MAX]; /* empty: the refusal's own */
        uint64_t parcel;                /* which a code opens; 0 */
        uint64_t person;                /* whose credential it is; 0 */
        PersonKind kind;
        unsigned credentials;       /* all that this person has: bits of CredentialKind */
        char number[LABEL_MAX + 1]; /* a courier's */
} Verdict;
typedef void (*VerdictDone)(void *userdata, const Verdict *verdict);

void people_check_code(People *p, const Presented *by, const CodeEvidence *e, Verdict *ret);
/* 0: `done` is called once, never from inside the call, unless cancelled; else the verdict's result, with
 * `detail`. */
int people_verify(People *p, const Presented *by, const CredentialEvidence *e, VerdictDone done,
                  void *userdata, Verification **ret, char detail[PEOPLE_DETAIL_MAX]);
void verification_cancel(Verification *v); /* NULL: nothing */

/* --- Enrolment (enrolment.c) */

/* What somebody has agreed to, as a request says it. */
typedef struct ConsentGiven {
        bool given;
        const char *text, *version; /* which text; NULL: ConsentText=, ConsentVersion= */
        const char *place;          /* the terminal, or "backend" */
        bool self;                  /* by the person, with nobody else there: the witness is "self" */
} ConsentGiven;

/* What a reader wants the person to do, of whom (0: not yet enrolled) and of which kind. */
typedef void (*EnrolProgress)(void *userdata, uint64_t person, CredentialKind kind,
                              const IdentityPrompt *prompt);

typedef struct Enrolment {
        const char *kind; /* "courier", "recipient" */
        const char *number, *name, *phone;
        const char *secrets[CREDENTIAL_KINDS_MAX]; /* NULL: none of this kind; "": a reader takes it */
        ConsentGiven consent;
        EnrolProgress progress; /* may be NULL, here and below */
} Enrolment;

typedef struct CredentialEnrolment {
        uint64_t person;
        CredentialKind kind;
        const char *secret; /* NULL: a card, which the cabinet makes up; "": a reader takes it */
        ConsentGiven consent;
        EnrolProgress progress;
} CredentialEnrolment;

/* card: what the cabinet has made up, valid during the call; NULL: nothing. */
typedef void (*EnrolDone)(void *userdata, int result, const char *detail, uint64_t person, const char *card);

/* Both answer once, perhaps from inside. detail: NULL for the refusal's own. The witness is the actor. */
void people_enrol(People *p, const Enrolment *e, const char *actor, EnrolDone done, void *userdata);
/* Replaces one of the same kind. UNKNOWN_PERSON. */
void people_enrol_credential(People *p, const CredentialEnrolment *e, const char *actor, EnrolDone done,
                             void *userdata);
/* Whoever gave this userdata does not want it any more: nothing is stored, and it is answered with
 * CANCELLED. false: it has been answered already. */
bool people_cancel_enrolment(People *p, const void *userdata);
/* The template is erased; whoever is signed in as this person is so no longer; what waits for somebody who
 * cannot open it any more gets a code. UNKNOWN_PERSON, UNKNOWN_CREDENTIAL. */
int people_revoke_credential(People *p, uint64_t person, CredentialKind kind, const char *actor,
                             const char *reason);
/* Likewise, by the person at this terminal. NOT_ALLOWED, with detail: a courier's last way to sign in, or the
 * last one without a reader. */
int people_revoke_own(People *p, uint64_t person, CredentialKind kind, const char *actor,
                      const char *terminal, char detail[PEOPLE_DETAIL_MAX]);
int people_revoke(People *p, uint64_t person, const char *actor, const char *reason);

/* --- Lockouts (lockouts.c) */

/* By authority: everything that is remembered of this subject goes, "*": of all. */
int people_lift_lockout(People *p, const char *subject, const char *actor, const char *reason);
/* A courier, for the person at the terminal: waits of codes there end. LOCKED_OUT, with detail: has done so
 * too often. */
int people_lift_codes(People *p, const char *terminal, const char *number, const char *actor,
                      char detail[PEOPLE_DETAIL_MAX]);
uint64_t people_lockout_seconds(const People *p, const LockoutRow *row); /* 0: not locked */

/* --- Codes (codes.c); in a transaction. Makes a code that no other parcel here has; its plaintext leaves by
 * the caller's reply and, sealed, by the outbox. */
int people_issue_code(People *p, ParcelRow *parcel, const char *actor, const char *reason,
                      char ret_code[CODE_LENGTH + 1]);
/* Likewise, but made from the place and time of the deposit with a key that others may have (docs/link.md).
 */
typedef struct OfflineReceipt {
        uint8_t key[OFFLINE_KEY_SIZE];
        int64_t deposited_usec; /* the recorded time */
} OfflineReceipt;
int people_issue_offline_code(People *p, ParcelRow *parcel, const char *actor, const char *reason,
                              OfflineReceipt *ret, char ret_code[CODE_LENGTH + 1]);
/* Says in the ledger which kinds of this parcel's person open it from now on; none: no more. */
int people_bound(People *p, const ParcelRow *parcel, unsigned kinds, const char *actor);
/* A second one beside it. -EEXIST: it has two. */
int people_renew_code(People *p, ParcelRow *parcel, const char *reason);
bool people_code_expired(const People *p, const ParcelRow *parcel);

/* --- Reminders and recall (reminders.c) */
int people_parcel_moved(
        People *p, const ParcelRow *parcel); /* in the transaction in which it becomes stored or collected */
/* As locker_set_thresholds(). */
int people_set_thresholds(People *p, int64_t reminder_s, int64_t recall_s, const char *actor);
