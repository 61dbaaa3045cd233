/* SPDX-License-Identifier: Apache-2.0 */
/* What is recorded, and who is told: transactions over the ledger in which a change, its event, its outbox
 * and its audit row are one; listeners, who hear of it after the commit; and the room that is kept on the
 * disk so that collections can be recorded.
 *
 * Errors: negative errno, as in ledger/ledger.h. */
#pragma once

#include "base/text.h"
#include "core/cabinet.h"
#include "core/mask.h"
#include "core/settings.h"
#include "ledger/events.h"
#include "ledger/inbox.h"
#include "ledger/ledger.h"
#include "ledger/lineage.h"
#include "ledger/parcels.h"
#include "records/calendar.h"
#include <jansson.h>

typedef struct Session Session;

/* What a failing ledger did not take is tried again this often. core/errand.c has the same for its outcomes.
 */
#define RECORDS_RETRY_USEC (5 * USEC_PER_SEC)

/* Told to whoever mirrors the cabinet outside (bus objects, the retained MQTT state). Called after the
 * commit. */
typedef struct LockerListener {
        void (*slot)(void *userdata, int slot);
        void (*parcel)(void *userdata, uint64_t id); /* appeared, changed or gone (ask locker_parcel) */
        void (*session)(void *userdata, Session *s); /* changed; state ended: forget it after this call */
        void (*prompt)(void *userdata, Session *s, int slot, unsigned position, const char *what,
                       const char *sentence);
        void (*health)(void *userdata);
        void (*event)(void *userdata, const EventRow *event);
} LockerListener;

#define LISTENERS_MAX 4

/* An event of the transaction under way; its listeners hear of it after the commit. */
typedef struct PendingEvent {
        EventRow row;
        char *type, *subject, *data;
} PendingEvent;

typedef struct Records {
        const Cabinet *cabinet;
        const Settings *settings;
        Ledger *ledger;
        Now (*now)(void);
        struct {
                const LockerListener *listener;
                void *userdata;
        } listeners[LISTENERS_MAX];
        PendingEvent *pending;
        size_t n_pending;
        bool in_transaction;
        InboxRow *command;   /* of the backend, being executed; NULL */
        bool storage_low;    /* no deposits */
        bool ledger_failing; /* the last write failed */
        bool ledger_locked;  /* because another program has the file locked */
        const char *lineage; /* a sentence: the ledger is not what the cabinet has had last; NULL: nothing is
                                known of that */
        Calendar calendar;   /* the believed clock */
        uint64_t storage_at; /* boot µs: look at the disk again */
} Records;

/* --- transactions (transaction.c) --- */
int records_begin(Records *rec);
/* Commits, then tells the listeners of the recorded events. */
int records_commit(Records *rec);
/* Commits when r is 0, else rolls back; returns what came of it. */
int records_end(Records *rec, int r);
void records_rollback(Records *rec);
/* In a transaction. Steals `data`; NULL is what json_pack() says when there is no memory: -ENOMEM. actor
 * NULL: "lockerd". */
int records_add(Records *rec, const char *actor, const char *reason, const char *type, const char *subject,
                json_t *data, const char *secret);
int records_add_parcel(Records *rec, const char *actor, const char *reason, const ParcelRow *p,
                       const char *secret);
/* While set, the next transaction also stores this command of the backend as begun. */
void records_set_command(Records *rec, InboxRow *row);
void records_unset_command(Records *rec, const InboxRow *row); /* unless it is another one that is set */

/* "slot:12" or "slot:P1/3" (number 0: the door). */
void subject_place(const Cabinet *c, int slot, unsigned number, char ret[SUBJECT_MAX]);
json_t *data_place(const Cabinet *c, int slot, unsigned number);
/* What an operator does says who and why also where events are read. Steals `data`, which may be NULL, as its
 * result. */
json_t *data_by(json_t *data, const char *actor, const char *reason);
json_t *data_parcel(const ParcelRow *p); /* personal data masked */

/* Takes the routine of after < sequence <= to out of the outbox and records how much it was (outbox.c). */
int records_summarise_outbox(Records *rec, uint64_t after, uint64_t to);

/* The ledger is not what this cabinet has had last, which has told events up to `told`: a new epoch begins in
 * a transaction of its own, with its event, and health says so until the next start (lineage.c). */
int records_begin_epoch(Records *rec, EpochWhy why, uint64_t told);

/* After a write that another program's lock has refused: whoever mirrors the cabinet, and the journal, is
 * told once. (storage.c) */
void records_locked(Records *rec);
void records_unlocked(Records *rec);

/* --- listeners (listeners.c) --- */
/* listener must stay; members may be NULL. -ENOSPC: there are enough already. */
int records_add_listener(Records *rec, const LockerListener *listener, void *userdata);
void records_remove_listener(Records *rec, void *userdata);
void notify_slot(Records *rec, int slot);
void notify_parcel(Records *rec, uint64_t id);
void notify_session(Records *rec, Session *s);
void notify_prompt(Records *rec, Session *s, int slot, unsigned position, const char *what,
                   const char *sentence);
void notify_health(Records *rec);
void notify_event(Records *rec, const EventRow *event);

/* --- storage (storage.c) --- */
void storage_check(Records *rec, const Now *now);
void storage_make_room(Records *rec);
bool storage_give_up_reserve(const char *ledger); /* true: there was one, and there is room now */
