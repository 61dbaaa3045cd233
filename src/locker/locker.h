/* SPDX-License-Identifier: Apache-2.0 */
/* The use cases: what can be asked of the cabinet, by whatever door the question came in (D-Bus, later MQTT
 * and the short-range link). Each loads, decides (core), commits (ledger), acts (locks) and answers. Nothing
 * here knows a bus.
 *
 * Synchronous calls return 0, a Refusal (> 0) or a negative errno. Asynchronous ones answer exactly once
 * through LockerReply, perhaps from inside the call. Whoever moves a lock is answered when the door is really
 * released or the failure is known. */
#pragma once

#include "core/cabinet.h"
#include "core/door.h"
#include "core/nearest.h"
#include "core/parcel_life.h"
#include "core/refusal.h"
#include "core/settings.h"
#include "ledger/audit.h"
#include "ledger/lineage.h"
#include "ledger/events.h"
#include "ledger/inbox.h"
#include "ledger/ledger.h"
#include "ledger/lockouts.h"
#include "ledger/parcels.h"
#include "ledger/credentials.h"
#include "ledger/people.h"
#include "ledger/slots.h"
#include "lock/locks.h"
#include "people/people.h"
#include "records/records.h"

typedef struct Locker Locker;

typedef enum SessionKind { SESSION_COURIER, SESSION_RECIPIENT } SessionKind;
typedef enum SessionState {
        SESSION_NEW,
        SESSION_INCOMPLETE, /* what was shown is right, but not enough by itself */
        SESSION_AUTHENTICATED,
        SESSION_OPENING, /* a lock is being moved */
        SESSION_OPEN,    /* a door is open */
        SESSION_CLOSING, /* shut: waits for an answer, or within the grace time */
        SESSION_ENDED,
} SessionState;

const char *session_kind_to_string(SessionKind k);
const char *session_state_to_string(SessionState s);

#define LOCKER_DETAIL_MAX PEOPLE_DETAIL_MAX

/* What a depositing courier gets in hand (D2). Strings live as long as the reply callback. */
typedef struct Receipt {
        const char *code; /* NULL: the recipient is enrolled and codes are not for everybody */
        int64_t expires_usec;
        unsigned bound;                /* kinds of the recipient's credentials that open it, too */
        const OfflineReceipt *offline; /* with which others compute the code; NULL: it is one of chance */
} Receipt;

typedef struct Placement {
        uint64_t parcel;
        int slot;
        unsigned position;
} Placement;

typedef struct LockerAnswer {
        int result;                     /* 0, Refusal or negative errno */
        char detail[LOCKER_DETAIL_MAX]; /* sentence with particulars; empty: the refusal's own */
        Placement place;                /* deposit, collect, … */
        const char *prompt;
        Receipt receipt;         /* deposit */
        const Placement *places; /* take back */
        size_t n_places;
        uint64_t person;  /* enrol */
        const char *card; /* enrol a credential: what the cabinet has made up; erased afterwards; NULL */
} LockerAnswer;

typedef void (*LockerReply)(void *userdata, const LockerAnswer *answer);

typedef struct LockerOptions {
        const Cabinet *cabinet;
        const Settings *settings;
        Ledger *ledger;
        Identity *identity;
        Now (*now)(void);
        uint8_t boot_id[16];
} LockerOptions;

int locker_new(Locker **ret, const LockerOptions *options);
Locker *locker_free(Locker *l);
DEFINE_CLEANUP(Locker *, locker_free);
/* listener must stay; members may be NULL. -ENOSPC: there are enough already. */
int locker_add_listener(Locker *l, const LockerListener *listener, void *userdata);
void locker_remove_listener(Locker *l, void *userdata);

/* Wiring: the lock side feeds facts in, the one timer asks when to tick next (boot µs). */
const LocksHandlers *locker_locks_handlers(void);
void *locker_locks_userdata(Locker *l); /* what those are called with */
void locker_attach_locks(Locker *l, Locks *locks);
void locker_tick(Locker *l);
uint64_t locker_next_deadline(const Locker *l);
/* After whatever has happened: lights the lamps of the slots that are open for somebody. */
void locker_light(Locker *l);
/* Likewise: tells the workers whether anybody is at the cabinet, and the caller. */
bool locker_attend(Locker *l);
/* The boards have been found (or given up on) and what a former run left open is settled. */
bool locker_is_settled(const Locker *l);

/* --- Sessions
 * ------------------------------------------------------------------------------------------------ */

/* terminal: who speaks, for lockouts and the ledger, e.g. "kiosk". */
int locker_start_session(Locker *l, SessionKind kind, const char *terminal, Session **ret);
void locker_end_session(Locker *l, Session *s, const char *how); /* "ended", "timed out", "gave way", … */
/* Nothing is lost when it ends: no request is under way, nobody is being verified, no slot is held. */
bool session_is_spare(const Session *s);
/* For one errand only: the session ends by itself when nothing is left to reopen, and gives way to a new
 * session (MaxSessions=) as soon as its errand is settled. */
void session_end_with_errand(Session *s);
/* Everybody in the street has its terminal: what is claimed there is counted apart. */
void session_count_apart(Session *s);

uint64_t session_id(const Session *s);
const char *session_terminal(const Session *s);
const char *session_actor(const Session *s); /* as in the ledger */
SessionKind session_kind(const Session *s);
SessionState session_state(const Session *s);
Placement session_place(const Session *s); /* slot -1: none */
/* The parcels this person may collect or take back: ids into fresh memory. */
int session_parcels(Locker *l, const Session *s, uint64_t **ret, size_t *ret_n);
void session_set_userdata(Session *s, void *userdata);
void *session_userdata(const Session *s);
Session *locker_session(Locker *l, uint64_t id); /* NULL when unknown or ended */
/* ids of live sessions into fresh memory */
int locker_sessions(Locker *l, uint64_t **ret, size_t *ret_n);

/* For a door that has established by itself who it acts for (a signed command of the backend): the session of
 * a courier (number) or of whoever may have one parcel. actor: for the ledger, e.g. "backend:key-1".
 * UNKNOWN_PERSON, UNKNOWN_PARCEL, WRONG_STATE. */
int locker_vouch_courier(Locker *l, Session *s, const char *number, const char *actor);
int locker_vouch_parcel(Locker *l, Session *s, uint64_t parcel, const char *actor);

typedef struct Evidence {
        CredentialKind kind; /* CREDENTIAL_NONE: a pickup code */
        CodeEvidence code;
        Claim claim;      /* a credential's */
        const void *data; /* and its evidence */
        size_t n_data;
} Evidence;

void locker_authenticate(Locker *l, Session *s, const Evidence *evidence, LockerReply reply, void *userdata);

typedef struct DepositRequest {
        const char *size;                        /* NULL only with parcel */
        const char *recipient, *phone, *waybill; /* may be NULL */
        uint64_t parcel;                         /* announced before; 0: none */
        bool accessible, allow_larger;
        bool offline; /* the code is one that others can compute (docs/link.md) */
        Temperature temperature;
} DepositRequest;

void locker_deposit(Locker *l, Session *s, const DepositRequest *request, LockerReply reply, void *userdata);
void locker_too_small(Locker *l, Session *s, LockerReply reply, void *userdata);
void locker_not_empty(Locker *l, Session *s, LockerReply reply, void *userdata);
void locker_does_not_open(Locker *l, Session *s, LockerReply reply, void *userdata);
void locker_reopen(Locker *l, Session *s, LockerReply reply, void *userdata);
void locker_collect(Locker *l, Session *s, uint64_t parcel, LockerReply reply,
                    void *userdata); /* 0: the first */
int locker_accept(Locker *l, Session *s);
int locker_reject(Locker *l, Session *s);
void locker_take_back(Locker *l, Session *s, LockerReply reply, void *userdata);
/* LOCKED_OUT, with detail: this courier has lifted too many. */
int locker_lift_terminal_lockout(Locker *l, Session *s, char detail[LOCKER_DETAIL_MAX]);
int locker_cancel(Locker *l, Session *s);

/* Of their own, by SelfEnrol=, after what suffices to deposit or to collect. e: person, place and witness are
 * the session's. NOT_ALLOWED, with detail. */
void locker_enrol_own(Locker *l, Session *s, const CredentialEnrolment *e, LockerReply reply, void *userdata);
/* All sessions of this person end, also this one. As people_revoke_own(). */
int locker_revoke_own(Locker *l, Session *s, CredentialKind kind, char detail[LOCKER_DETAIL_MAX]);
int locker_each_own_credential(Locker *l, Session *s, CredentialEach each, void *userdata,
                               char detail[LOCKER_DETAIL_MAX]);

/* --- Operators. actor: who, e.g. "operator:anna"; reason: why, never empty (InvalidArgument).
 * -------------------- */

void locker_open_slot(Locker *l, int slot, unsigned position, const char *actor, const char *reason,
                      LockerReply reply, void *userdata);
int locker_set_service(Locker *l, int slot, unsigned position, bool in_service, const char *actor,
                       const char *reason);
int locker_reconcile(Locker *l, int slot, unsigned position, bool found_parcel, const char *actor,
                     const char *reason);
int locker_recall(Locker *l, uint64_t parcel, const char *actor, const char *reason);
/* Announced or reserved: cancelled. In a slot that is not configured any more: ended as returned. */
int locker_release(Locker *l, uint64_t parcel, const char *actor, const char *reason);
/* code: for CODE_LENGTH + 1 characters; the caller erases it. */
int locker_new_code(Locker *l, uint64_t parcel, const char *actor, const char *reason, char *ret_code);

/* Both: e->progress is called with this userdata, too. */
void locker_enrol(Locker *l, const Enrolment *e, const char *actor, LockerReply reply, void *userdata);
void locker_enrol_credential(Locker *l, const CredentialEnrolment *e, const char *actor, LockerReply reply,
                             void *userdata);
/* The one with this userdata: nothing is stored, and it is answered with CANCELLED. false: there is none. */
bool locker_cancel_enrolment(Locker *l, const void *userdata);
/* All of this person's, without templates. UNKNOWN_PERSON. */
int locker_each_credential(Locker *l, uint64_t person, CredentialEach each, void *userdata);
int locker_revoke_credential(Locker *l, uint64_t person, CredentialKind kind, const char *actor,
                             const char *reason);
int locker_revoke(Locker *l, uint64_t person, const char *actor, const char *reason);
int locker_lift_lockout(Locker *l, const char *subject, const char *actor, const char *reason); /* "*": all */
/* Announces a parcel (E1's local side: the backend will use it) → its id. reserve: keep a position for it
 * now. */
int locker_announce(Locker *l, const DepositRequest *request, bool reserve, const char *actor,
                    uint64_t *ret_parcel);

/* --- Commands of the backend
 * ------------------------------------------------------------------------------------ */

/* While set, the transaction of the next use case also stores this command of the inbox as begun, so that a
 * restart neither repeats nor forgets it, and sets row->begun when that is committed. The caller sets it
 * before the call and unsets it after; the row stays valid until the use case has answered. */
void locker_set_command(Locker *l, InboxRow *row);
void locker_unset_command(Locker *l, const InboxRow *row); /* unless it is another one that is set */
/* Takes the routine of after < sequence <= to out of the outbox and records how much it was (see
 * ledger_outbox_summarise). */
int locker_summarise_outbox(Locker *l, uint64_t after, uint64_t to);
/* The ledger is not what this cabinet has had last (records_begin_epoch). */
int locker_begin_epoch(Locker *l, EpochWhy why, uint64_t told);
/* Whatever may be inside becomes unverified, and nobody opens it until an operator has looked; places that
 * are empty in the ledger are quarantined. But for what an errand has in hand now, whose end is seen. */
int locker_doubt_contents(Locker *l, const char *reason);
/* A sentence that the health of the ledger says until the next start; it stays where it is. */
void locker_set_ledger_health(Locker *l, const char *sentence);
/* Records a prompt as an event, for clients that listeners do not reach; in a transaction of its own, not
 * inside another one. slot -1: none. Not retried: no state depends on it. */
int locker_record_prompt(Locker *l, const Session *s, int slot, unsigned position, const char *what,
                         const char *sentence);
/* A new code for a parcel without telling it to the caller is not possible; voiding one is. */
int locker_revoke_code(Locker *l, uint64_t parcel, const char *actor, const char *reason);

/* After how many seconds a waiting parcel produces a reminder and a recall request. 0: never; negative: as it
 * is. Wins over the configuration, also after a restart. INVALID_ARGUMENT unless the recall comes after the
 * reminder. */
int locker_set_thresholds(Locker *l, int64_t reminder_s, int64_t recall_s, const char *actor);

/* --- Looking
 * -------------------------------------------------------------------------------------------------- */

const Cabinet *locker_cabinet(const Locker *l);
const Settings *locker_settings(const Locker *l);
Ledger *locker_ledger(Locker *l);
Now locker_now(const Locker *l);
/* The time that is believed, and whether anything may expire by it. Looks at the clock first. */
Moment locker_moment(Locker *l);
DoorState locker_door(const Locker *l, int lock);
Tri locker_presence(const Locker *l, int position); /* TRI_UNKNOWN also where there is no sensor */
bool locker_slot_in_use(const Locker *l, int slot);
bool locker_board_online(const Locker *l, int board);
typedef struct Health {
        char component[48];
        const char *state; /* "ok" "degraded" "failed" "starting" */
        char sentence[160];
} Health;
/* Fills fresh memory. */
int locker_health(Locker *l, Health **ret, size_t *ret_n);
/* What the backend's door says of itself, for the list of health: "ok", "degraded"; NULL: there is no
 * backend. */
void locker_set_backend_health(Locker *l, const char *state, const char *sentence);
/* Likewise of the short-range link. */
void locker_set_bluetooth_health(Locker *l, const char *state, const char *sentence);
bool locker_backend_is_away(const Locker *l); /* or there is none */
void locker_set_link_health(Locker *l, const char *state, const char *sentence);
/* Whose signatures count. */
void locker_set_keys_health(Locker *l, const char *state, const char *sentence);
/* Free positions by size, temperature and accessibility: every kind that this cabinet has, also those of
 * which none is free. Fills fresh memory. */
int locker_free_kinds(Locker *l, FreeKind **ret, size_t *ret_n);
int locker_free_positions(Locker *l, unsigned *ret_by_size /* [n_sizes] */);
uint64_t locker_lockout_seconds(const Locker *l, const LockoutRow *row); /* 0: not locked */
bool locker_expired(const Locker *l, const ParcelRow *p);
