/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger: the authoritative record of slots, parcels, persons and actions, in SQLite (WAL,
 * synchronous=FULL). A change, its audit row, its event and its outbox row are one transaction. Only this
 * folder knows SQL; rows go in and out as structs.
 *
 * Errors: negative errno. -ENOSPC: the disk is full and nothing was changed. -EUCLEAN: the file is damaged.
 * -EIO: the disk failed. -EEXIST: the place, code or number is taken. -EINVAL: a value that the rules
 * forbid. -ENOENT: no such row, or it refers to one that is not there. The last three leave an open
 * transaction as it was; after any other error it is lost: every call answers with the same error until
 * ledger_rollback(), or ledger_commit(), which then rolls back.
 *
 * Functions that change several rows may be called without a transaction; they take one of their own.
 * Callbacks: not 0 ends the walk and is returned. They may ask, and change the row they are given, but no
 * others of its table. Rows and their strings are the ledger's and live as long as the call. */
#pragma once

#include "base/clock.h"
#include "core/cabinet.h"
#include "core/credential.h"
#include "core/lockout.h"
#include "core/parcel_life.h"
#include "core/reminder.h"
#include "ledger/vault.h"

typedef struct Ledger Ledger;

#define LABEL_MAX 32

/* --- Opening
 * ------------------------------------------------------------------------------------------------- */

typedef enum LedgerProblem {
        LEDGER_PROBLEM_NONE,
        LEDGER_PROBLEM_DAMAGED,   /* quick_check failed or not a database */
        LEDGER_PROBLEM_NEWER,     /* written by a newer lockerd */
        LEDGER_PROBLEM_WRONG_KEY, /* sealed with another key */
        LEDGER_PROBLEM_FULL,
        LEDGER_PROBLEM_LOCKED, /* another process has it open */
        LEDGER_PROBLEM_IO,
} LedgerProblem;

/* Sentence with instructions for an operator. */
const char *ledger_problem_sentence(LedgerProblem p);

/* Creates, migrates and quick-checks (the tables of the present; history is checked by ledger_check_file in a
 * process of its own, because it takes as long as the history is). Takes the vault when it succeeds.
 * <path>.lock keeps a second daemon out. *ret_problem is always set, *ret_detail (fresh memory) on failure.
 */
int ledger_open(Ledger **ret, const char *path, Vault *vault, LedgerProblem *ret_problem, char **ret_detail);
Ledger *ledger_free(Ledger *l);
DEFINE_CLEANUP(Ledger *, ledger_free);
/* Checks the whole file, read-only: 0 or -EUCLEAN with a detail. */
int ledger_check_file(const char *path, char **ret_detail);
unsigned ledger_schema_version(void); /* what this lockerd writes */
Vault *ledger_vault(Ledger *l);
const char *ledger_path(const Ledger *l);

bool ledger_is_read_only(const Ledger *l); /* its file system is: nothing can be committed */
int ledger_begin(Ledger *l);               /* -EINVAL: one is open already; -EROFS: see above */
/* One sync of the disk. On failure nothing of the transaction stays and no transaction is open; except when
 * the file system became read-only meanwhile (-EROFS): then it stays until the power goes. */
int ledger_commit(Ledger *l);
void ledger_rollback(Ledger *l); /* does nothing outside a transaction */
/* Moves the WAL into the file; for idle moments. After something personal was erased it also empties the WAL.
 */
int ledger_checkpoint(Ledger *l);
/* True when enough was written since the last checkpoint to be worth one. */
bool ledger_wants_checkpoint(const Ledger *l);

/* Online copy to a file that must not exist (-EEXIST). Steps of `pages` of 4 KB (-1: all at once); call until
 * *ret_done. The daemon may write between the steps. Not in the middle of a transaction: such a step does
 * nothing. */
typedef struct LedgerBackup LedgerBackup;
int ledger_backup_begin(Ledger *l, const char *path, LedgerBackup **ret);
int ledger_backup_step(LedgerBackup *b, int pages, bool *ret_done);
/* Syncs and closes; removes the file unless it is complete (-ECANCELED). */
int ledger_backup_end(LedgerBackup *b, uint64_t *ret_bytes);

/* --- Slots and positions -----------------------------------------------------------------------------------
 */

typedef enum Service { SERVICE_IN, SERVICE_DISABLED, SERVICE_QUARANTINED } Service;
const char *service_to_string(Service s);

/* position 0: the slot itself. Rows exist only for what is or was out of service or used. */
typedef struct ServiceRow {
        char slot[LABEL_MAX];
        unsigned position;
        Service service;
        char *reason;
        uint64_t last_used; /* counter, positions only */
} ServiceRow;
void service_row_done(ServiceRow *r);
int ledger_service_get(Ledger *l, const char *slot, unsigned position,
                       ServiceRow *ret); /* absent: SERVICE_IN, 0 */
int ledger_service_set(Ledger *l, const char *slot, unsigned position, Service service, const char *reason);
int ledger_position_used(Ledger *l, const char *slot, unsigned position);
int ledger_service_each(Ledger *l, int (*each)(void *userdata, const ServiceRow *r), void *userdata);

/* --- Parcels
 * ------------------------------------------------------------------------------------------------ */

typedef struct ParcelRow {
        uint64_t id;
        ParcelState state;
        char slot[LABEL_MAX]; /* "" without a position */
        unsigned position;
        char size[LABEL_MAX];
        char *waybill;           /* may be NULL */
        char *recipient, *phone; /* plaintext in memory, sealed in the file; may be NULL */
        uint64_t person;         /* the enrolled recipient, or 0 */
        uint64_t courier;        /* person id, or 0 */
        char courier_number[LABEL_MAX + 1];
        int64_t created, stored, expires, ended; /* wall µs; 0 = not (yet) */
        /* Of live parcels only. */
        ParcelChoice choice; /* what was said at the open door */
        bool taking_back;    /* a courier's take-back of it is under way */
        ParcelState was; /* stored, unverified, rejected, recalled: before it was being collected or became
                            unverified; PARCEL_ANNOUNCED: nothing to remember */
        /* Wishes for its position, kept from the announcement on; written by ledger_parcel_insert() alone. */
        Temperature temperature;
        bool accessible, larger;
} ParcelRow;
void parcel_row_done(ParcelRow *p);
static inline void parcel_row_donep(ParcelRow *p) {
        parcel_row_done(p);
}
/* May its recipient have it? Not what was rejected or recalled before it became unverified. */
bool parcel_is_recipients(const ParcelRow *p);
#define _cleanup_parcel_ _cleanup_(parcel_row_donep)

/* Sets id, which is never used again. State: one that may begin. Announced has no place, all others have one.
 * -EEXIST: taken. */
int ledger_parcel_insert(Ledger *l, ParcelRow *p);
int ledger_parcel_get(Ledger *l, uint64_t id, ParcelRow *ret);     /* live ones; -ENOENT */
int ledger_parcel_history(Ledger *l, uint64_t id, ParcelRow *ret); /* ended ones; -ENOENT */
int ledger_parcel_at(Ledger *l, const char *slot, unsigned position, ParcelRow *ret); /* live; -ENOENT */
/* Stores everything but id and created; of waybill, recipient and phone what is not NULL. A final state
 * stores no new recipient or phone, needs `ended` and moves the parcel to the history, with its code erased.
 * The transition is checked against the life-cycle table once more (-EINVAL). -EEXIST: the place is taken.
 * -ENOENT: not a live parcel. */
int ledger_parcel_update(Ledger *l, const ParcelRow *p);
/* Live parcels, oldest first. The rows' strings are filled. */
typedef int (*ParcelEach)(void *userdata, const ParcelRow *p);
int ledger_parcel_each(Ledger *l, ParcelEach each, void *userdata);
int ledger_parcel_each_of_person(Ledger *l, uint64_t person, ParcelEach each, void *userdata);
int ledger_parcel_each_of_phone_tail(Ledger *l, const char *tail4, ParcelEach each, void *userdata);
int ledger_parcel_each_in_slot(Ledger *l, const char *slot, ParcelEach each, void *userdata);
/* Only id, state, slot, position, expiry: for maps and allocation. NULL: all live parcels, announced ones
 * (slot "") too. */
typedef struct PlaceRow {
        uint64_t id;
        ParcelState state;
        char slot[LABEL_MAX];
        unsigned position;
        int64_t expires;
} PlaceRow;
int ledger_place_each(Ledger *l, const char *slot_or_null, int (*each)(void *userdata, const PlaceRow *p),
                      void *userdata);

/* --- Pickup codes: keyed hashes only
 * -------------------------------------------------------------------------- */

/* Replaces; -EEXIST when another live parcel has this code, -ENOENT when the parcel is not live. `code` is
 * normalised. */
int ledger_code_set(Ledger *l, uint64_t parcel, const char *code);
/* A second one beside it, in a transaction; -EEXIST also when there is a second one already. */
int ledger_code_renew(Ledger *l, uint64_t parcel, const char *code);
int ledger_code_find(Ledger *l, const char *code, uint64_t *ret_parcel); /* -ENOENT */
bool ledger_code_matches(Ledger *l, uint64_t parcel, const char *code);  /* constant time */
int ledger_code_exists(Ledger *l, uint64_t parcel);                      /* how many: 0 to 2 */
int ledger_code_count(Ledger *l, uint64_t *ret);                         /* in all of the cabinet */
int ledger_code_erase(Ledger *l, uint64_t parcel);

/* --- People and credentials
 * ---------------------------------------------------------------------------------- */

typedef enum PersonKind { PERSON_COURIER, PERSON_RECIPIENT } PersonKind;
const char *person_kind_to_string(PersonKind k);

typedef struct PersonRow {
        uint64_t id;
        PersonKind kind;
        char number[LABEL_MAX + 1]; /* couriers; "" for recipients */
        char *name, *phone;         /* sealed in the file with a key of the person's own */
        int64_t enrolled, revoked, consented;
        unsigned credentials; /* a bit for each CredentialKind */
} PersonRow;
void person_row_done(PersonRow *p);
static inline void person_row_donep(PersonRow *p) {
        person_row_done(p);
}
#define _cleanup_person_ _cleanup_(person_row_donep)

/* Sets id; -EEXIST: the number, or the phone for a person of the same kind, is enrolled. */
int ledger_person_insert(Ledger *l, PersonRow *p);
int ledger_person_get(Ledger *l, uint64_t id, PersonRow *ret); /* not revoked; -ENOENT */
int ledger_person_by_number(Ledger *l, const char *number, PersonRow *ret);
/* Compares digits. Prefers a recipient to a courier with the same phone. */
int ledger_person_by_phone(Ledger *l, const char *phone, PersonRow *ret);
/* Erases name, phone, their key, all credentials, and name and phone in this person's ended parcels, a
 * recipient's also in those that were sent to the same phone without belonging to an enrolled person; the row
 * and its number's history stay, and the number and phone may be enrolled again. Live parcels keep theirs
 * until they end. -ENOENT. */
int ledger_person_revoke(Ledger *l, uint64_t id, int64_t wall);
/* All who are not revoked. */
int ledger_person_each(Ledger *l, int (*each)(void *userdata, const PersonRow *p), void *userdata);

static inline bool person_has(const PersonRow *p, CredentialKind k) {
        return p->credentials & (1U << k);
}

/* Replaces. At most CREDENTIAL_DATA_MAX bytes, sealed with the person's key. -ENOENT: no such person, or
 * revoked. */
int ledger_credential_set(Ledger *l, uint64_t person, const char *kind, const uint8_t *data, size_t n);
/* Into fresh memory, which the caller erases (bytes_erase_free()). -ENOENT. */
int ledger_credential_get(Ledger *l, uint64_t person, const char *kind, uint8_t **ret_data, size_t *ret_n);
static inline void bytes_erase_free(uint8_t *data, size_t n) {
        if (data)
                explicit_bzero(data, n);
        free(data);
}

/* --- Lockouts
 * ----------------------------------------------------------------------------------------------- */

#define SUBJECT_MAX 96
typedef struct LockoutRow {
        char subject[SUBJECT_MAX];
        Lockout lockout;
} LockoutRow;
int ledger_lockout_get(Ledger *l, const char *subject, LockoutRow *ret); /* absent: zeroes */
int ledger_lockout_put(Ledger *l, const LockoutRow *row);                /* nothing in it: the row goes */
/* Parcels that the wrong entries at this subject were about. */
int ledger_lockout_concern(Ledger *l, const char *subject, uint64_t parcel);
int ledger_lockout_concerned(Ledger *l, const char *subject, int (*each)(void *userdata, uint64_t parcel),
                             void *userdata);
int ledger_lockout_unconcern(Ledger *l, const char *subject);
int ledger_lockout_each(Ledger *l, int (*each)(void *userdata, const LockoutRow *r), void *userdata);

/* --- Movements: intents and outcomes
 * -------------------------------------------------------------------------- */

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
int ledger_movement_each_open(Ledger *l,
                              int (*each)(void *userdata, uint64_t id, const char *slot, unsigned position,
                                          uint64_t parcel),
                              void *userdata);

/* --- Sessions
 * ------------------------------------------------------------------------------------------------ */

/* On a session that has ended: -ENOENT. */
int ledger_session_begin(Ledger *l, const char *kind, const char *terminal, const Now *now, uint64_t *ret_id);
int ledger_session_person(Ledger *l, uint64_t id, uint64_t person, const char *evidence);
int ledger_session_end(Ledger *l, uint64_t id, const char *how, const Now *now);
int ledger_session_end_all_open(Ledger *l, const char *how, const Now *now); /* after a restart */

/* --- Events, outbox, audit
 * ------------------------------------------------------------------------------------- */

typedef struct EventRow {
        uint64_t sequence;
        int64_t wall_usec;
        const char *type;    /* "parcel.stored" … */
        const char *subject; /* "parcel:17", "slot:12", "slot:P1/3", "person:4", "cabinet" */
        const char *data;    /* JSON object, masked */
        bool synced;
} EventRow;

typedef struct Record {
        const char *actor;  /* "courier:4711" "recipient" "operator:anna" "lockerd" */
        const char *reason; /* may be NULL */
        const char *type, *subject, *data;
        const char *secret; /* JSON for the backend only (a code), sealed in the outbox and scrubbed on
                               acknowledgement; may be NULL */
} Record;
/* Writes the event, its outbox row and its audit row. Inside a transaction only (-EINVAL). ret->strings are
 * those of `r`; `ret` may be NULL. */
int ledger_record(Ledger *l, const Record *r, const Now *now, EventRow *ret);

/* limit 0: all */
int ledger_event_each(Ledger *l, uint64_t after, unsigned limit,
                      int (*each)(void *userdata, const EventRow *e), void *userdata);
int ledger_outbox_length(Ledger *l, uint64_t *ret);
/* The next events to send, in order; secret is opened: NULL when there is none, "" when it cannot be. */
int ledger_outbox_each(Ledger *l, uint64_t after, unsigned limit,
                       int (*each)(void *userdata, const EventRow *e, const char *secret), void *userdata);
/* Removes routine events (doors that open and close normally, boards that go offline and online, failed
 * attempts, prompts) with after < sequence <= to from the outbox; the events stay in the ledger. Events of
 * parcels, codes, persons and slots, and alarms, are never removed. Inside a transaction. */
int ledger_outbox_summarise(Ledger *l, uint64_t after, uint64_t to, uint64_t *ret_dropped);
/* after < sequence <= to leave, secrets are scrubbed. */
int ledger_outbox_acknowledge(Ledger *l, uint64_t after, uint64_t to);

/* --- Inbox: commands of the backend, by id
 * ------------------------------------------------------------------- */

typedef struct InboxRow {
        char id[65], name[33];
        int64_t received, expires;          /* wall µs */
        char *command;                      /* as read: JSON of the arguments */
        char *answer;                       /* NULL: not executed yet, or interrupted */
        bool begun;                         /* execution began; without answer: a restart interrupted it */
        char *response_topic, *correlation; /* may be NULL; correlation in hex */
} InboxRow;
void inbox_row_done(InboxRow *r);
int ledger_inbox_get(Ledger *l, const char *id, InboxRow *ret); /* -ENOENT */
int ledger_inbox_store(Ledger *l, const InboxRow *r);           /* -EEXIST: this id is there already */
/* In the transaction that executes it: one durable commit for both, when it was not stored before. -EEXIST:
 * it has its answer, and must not be executed. */
int ledger_inbox_begin(Ledger *l, const InboxRow *r);
/* Also of one that was never stored; what is kept of the command is from then on what r says. -EEXIST: it has
 * an answer, which stays. */
int ledger_inbox_answer(Ledger *l, const InboxRow *r, const char *answer);
int ledger_inbox_each_open(Ledger *l, int (*each)(void *userdata, const InboxRow *r),
                           void *userdata);         /* without answer, oldest first */
int ledger_inbox_count(Ledger *l, uint64_t *ret);   /* walks all of them */
int ledger_inbox_forget(Ledger *l, int64_t before); /* answered ones whose expiry is older; as long as they
                                                       are kept, a repeat gets the stored answer */

/* --- Reminders, habits, settings
 * ------------------------------------------------------------------------------- */

/* A row for each live parcel that has been stored; created and deleted automatically. Times are those
 * of the believed clock. */
typedef struct ReminderRow {
        uint64_t parcel;
        int64_t since;              /* 0: not looked at yet */
        bool synced;                /* was the clock, when `since` was written? */
        int64_t look;               /* INT64_MAX: never again */
        int64_t reminded, recalled; /* when that was sent; 0: not yet */
} ReminderRow;
/* The rows that are due, earliest first. */
int ledger_reminder_each(Ledger *l, unsigned limit, int (*each)(void *userdata, const ReminderRow *r),
                         void *userdata);
int ledger_reminder_put(Ledger *l, const ReminderRow *r); /* -ENOENT: the parcel has ended */
int ledger_reminder_look_again(Ledger *l);                /* makes all of them due at once */
int ledger_reminder_adopt(
        Ledger *l,
        int64_t now); /* rows of a former run that were never examined wait since they were stored */
int ledger_reminder_shift(
        Ledger *l, int64_t by); /* `since` of those that were written while the clock was not synchronised */

/* The habits of a parcel's recipient, by person or else by phone; zeroes when there are none. */
int ledger_habit_get(Ledger *l, const ParcelRow *p, uint8_t ret[HABIT_HOURS]);
int ledger_habit_count(Ledger *l, const ParcelRow *p, unsigned hour,
                       int64_t wall); /* recipients without both: nothing is counted */
int ledger_habit_forget(Ledger *l, int64_t before);

int ledger_setting_get(Ledger *l, const char *name, int64_t *ret); /* -ENOENT */
int ledger_setting_set(Ledger *l, const char *name, int64_t value);

#define AUDIT_HEAD_MAX 96 /* "<sequence>:<64 hex>"; sequence 0: nothing recorded yet */
int ledger_audit_head(Ledger *l, char ret[AUDIT_HEAD_MAX]);
/* Recomputes the chain, read-only, on the file (a process of its own). 0: valid; -EUCLEAN: detail says
 * from which row on it is broken, and rows and head are those of the last valid row. */
int ledger_audit_verify_file(const char *path, uint64_t *ret_rows, char ret_head[AUDIT_HEAD_MAX],
                             char **ret_detail);

/* Latest event time: a floor for the wall clock when it is not synchronised. 0: no event yet. */
int ledger_last_wall(Ledger *l, int64_t *ret);
