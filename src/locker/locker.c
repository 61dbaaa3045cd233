/* SPDX-License-Identifier: Apache-2.0 */
#include "locker/locker.h"
#include "cabinet/hardware.h"
#include "core/errand.h"
#include "core/pace.h"
#include "locker/authenticate.h"
#include "locker/errand.h"
#include "locker/health.h"
#include "locker/locker_struct.h"
#include "locker/parcels.h"
#include "locker/places.h"
#include "locker/recover.h"
#include "locker/session.h"
#include "locker/sessions.h"
#include "ledger/events.h"
#include "ledger/inbox.h"
#include "base/log.h"

#include <errno.h>

#define CHECKPOINT_IDLE_USEC (2 * USEC_PER_SEC)

static int quarantine_slot(Locker *l, int slot, const char *why) {
        const Slot *k = &l->cabinet->slots[slot];
        int r = 0;

        for (int i = 0; r >= 0 && i < k->n_positions; i++)
                r = locker_quarantine(l, k->first_position + i, NULL, why);
        return r;
}

/* Nothing more is put where the wires are swapped, neither here nor there. */
static void miswired(Locker *l, int lock) {
        char why[160];
        int slot = l->cabinet->locks[lock].slot, other = l->cabinet->locks[l->hardware.miswired[lock]].slot;

        (void)lock_is_miswired(&l->hardware, lock, why, sizeof(why));
        int r = locker_begin(l);
        if (!r) {
                r = quarantine_slot(l, slot, why);
                if (r >= 0)
                        r = quarantine_slot(l, other, why);
                r = locker_end(l, r);
        }
        if (r < 0)
                log_error_errno(r, "Cannot take two slots with swapped wires out of service");
        notify_slot(&l->records, slot);
        notify_slot(&l->records, other);
}

/* The one way up from the cabinet: whose lock or sensor was it, and what does that mean? */
static void happened(void *userdata, int slot, int lock, unsigned what) {
        Locker *l = userdata;
        const Errand *e = slot < 0 ? NULL : l->holder[slot];

        if (what & HARDWARE_FORCED)
                parcels_exposed(l, lock, "forced open");
        if (what & HARDWARE_FOR_SAFETY)
                parcels_exposed(l, lock, "opened for safety");
        /* Whoever asked for it has been told that it does not open, or that it is shut. */
        if (what & HARDWARE_OPENED_LATE && !(e && errand_is_at_work(&e->m)))
                parcels_exposed(l, lock, "opened late");
        if (what & HARDWARE_OPEN_UNSEEN)
                parcels_watched(l, lock, "open while nobody could see it");
        if (what & HARDWARE_OPEN_TOO_LONG && e && e->session)
                notify_prompt(&l->records, e->session, slot, session_place(e->session).position, "door-open",
                              "The door has been open for a long time. Please close it.");
        if (what & HARDWARE_WRONG_DOOR)
                miswired(l, lock);
        if (what & HARDWARE_CHANGED) {
                l->moved_at = l->now().boot_usec;
                exposed_look(l, slot);
                errands_look(l, slot);
        }
        if (what & HARDWARE_SPOKE)
                locker_recover(l);
}

const LocksHandlers *locker_locks_handlers(void) {
        return &hardware_handlers;
}

void *locker_locks_userdata(Locker *l) {
        return &l->hardware;
}

static void reader_health_changed(void *userdata) {
        Locker *l = userdata;

        notify_health(&l->records);
}

int locker_new(Locker **ret, const LockerOptions *o) {
        _cleanup_(locker_freep) Locker *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        *l = (Locker){.cabinet = o->cabinet,
                      .settings = o->settings,
                      .ledger = o->ledger,
                      .now = o->now,
                      .recover_at = USEC_INFINITY,
                      .exposed_at = USEC_INFINITY,
                      .checkpoint_at = USEC_INFINITY};
        memcpy(l->boot_id, o->boot_id, sizeof(l->boot_id));
        l->records =
                (Records){.cabinet = o->cabinet, .settings = o->settings, .ledger = o->ledger, .now = o->now};
        l->holder = calloc((size_t)o->cabinet->n_slots + 1, sizeof(*l->holder));
        l->exposed = calloc((size_t)o->cabinet->n_locks + 1, sizeof(*l->exposed));
        int r = hardware_init(&l->hardware, &l->records, happened, l);
        if (r >= 0 && (!l->holder || !l->exposed))
                r = -ENOMEM;
        if (r < 0)
                return r;
        r = calendar_begin(&l->records, o->boot_id);
        if (r < 0)
                return r;
        PeopleOptions people = {.records = &l->records,
                                .identity = o->identity,
                                .revoked = locker_person_revoked,
                                .userdata = l};
        memcpy(people.boot_id, o->boot_id, sizeof(people.boot_id));
        r = people_new(&l->people, &people);
        if (r >= 0) {
                l->identity = o->identity;
                identity_on_health(l->identity, reader_health_changed, l);
        }
        if (r >= 0)
                r = locker_recover_begin(l);
        if (r < 0)
                return r;
        *ret = steal_ptr(l);
        return 0;
}

Locker *locker_free(Locker *l) {
        if (!l)
                return NULL;
        if (l->identity)
                identity_on_health(l->identity, NULL, NULL);
        /* Whoever still waits for an answer gets one; their movements stay open in the ledger for the next
         * start. */
        while (l->errands) {
                errand_answer(l->errands, LOCKER_E_SESSION_ENDED, NULL);
                errand_free(l->errands);
        }
        while (l->sessions) {
                if (l->sessions->reply)
                        session_answer(l->sessions, LOCKER_E_SESSION_ENDED, NULL);
                session_unlink(l->sessions);
        }
        l->people = people_free(l->people);
        hardware_done(&l->hardware);
        locker_rollback(l);
        free(l->holder);
        free(l->exposed);
        free(l);
        return NULL;
}

void locker_attach_locks(Locker *l, Locks *locks) {
        l->hardware.locks = locks;
}

static bool quiet(const Locker *l) {
        for (const Session *s = l->sessions; s; s = s->next)
                if (s->reply || s->job)
                        return false;
        for (const Errand *e = l->errands; e; e = e->next)
                if (e->reply)
                        return false;
        return hardware_is_still(&l->hardware);
}

/* Checkpoints belong into idle moments: they take time and are where a lying disk does its harm. */
static void checkpoint_tick(Locker *l, const Now *now) {
        if (!ledger_wants_checkpoint(l->ledger)) {
                l->checkpoint_at = USEC_INFINITY;
                return;
        }
        if (l->checkpoint_at == USEC_INFINITY || !quiet(l)) {
                l->checkpoint_at = now->boot_usec + CHECKPOINT_IDLE_USEC;
                return;
        }
        if (now->boot_usec < l->checkpoint_at)
                return;
        l->checkpoint_at = USEC_INFINITY;
        int r = ledger_checkpoint(l->ledger);
        if (r < 0)
                log_error_errno(r, "Cannot checkpoint the ledger");
}

void locker_tick(Locker *l) {
        Now now = l->now();

        calendar_tick(&l->records, &now);
        locker_recover(l);
        hardware_tick(&l->hardware, &now);
        errands_tick(l, &now);
        sessions_tick(l, &now);
        exposed_tick(l, &now);
        people_tick(l->people, &now);
        if (now.boot_usec >= l->records.storage_at)
                storage_check(&l->records, &now);
        clock_tick(l, &now);
        checkpoint_tick(l, &now);
}

/* What a request has erased is in the log until then: whoever asks for the next deadline after it gets it. */
static uint64_t checkpoint_next(const Locker *l) {
        return l->checkpoint_at == USEC_INFINITY && ledger_wants_checkpoint(l->ledger) ? 0 : l->checkpoint_at;
}

uint64_t locker_next_deadline(const Locker *l) {
        uint64_t next = hardware_next_deadline(&l->hardware);

        next = MIN(next, MIN(sessions_next_deadline(l), errands_next_deadline(l)));
        next = MIN(next, MIN(people_next_deadline(l->people), l->records.storage_at));
        next = MIN(next, calendar_next_deadline(&l->records));
        next = MIN(next, MIN(checkpoint_next(l), l->exposed_at));
        next = MIN(next, attendance_next(&l->attendance));
        return l->recovered ? next : MIN(next, l->recover_at);
}

bool locker_is_settled(const Locker *l) {
        return l->recovered;
}

const Cabinet *locker_cabinet(const Locker *l) {
        return l->cabinet;
}

const Settings *locker_settings(const Locker *l) {
        return l->settings;
}

Ledger *locker_ledger(Locker *l) {
        return l->ledger;
}

DoorState locker_door(const Locker *l, int lock) {
        return l->hardware.doors[lock].state;
}

Tri locker_presence(const Locker *l, int position) {
        return position_occupied(&l->hardware, position);
}

bool locker_slot_in_use(const Locker *l, int slot) {
        return l->holder[slot] != NULL;
}

bool locker_board_online(const Locker *l, int board) {
        return board_is_online(&l->hardware, board);
}

/* --- what other doors need of the records --- */

Now locker_now(const Locker *l) {
        return l->now();
}

Moment locker_moment(Locker *l) {
        calendar_look(&l->records);
        return records_moment(&l->records);
}

int locker_add_listener(Locker *l, const LockerListener *listener, void *userdata) {
        return records_add_listener(&l->records, listener, userdata);
}

void locker_remove_listener(Locker *l, void *userdata) {
        records_remove_listener(&l->records, userdata);
}

void locker_set_command(Locker *l, InboxRow *row) {
        records_set_command(&l->records, row);
}

void locker_unset_command(Locker *l, const InboxRow *row) {
        records_unset_command(&l->records, row);
}

int locker_summarise_outbox(Locker *l, uint64_t after, uint64_t to) {
        return records_summarise_outbox(&l->records, after, to);
}

int locker_begin_epoch(Locker *l, EpochWhy why, uint64_t told) {
        return records_begin_epoch(&l->records, why, told);
}
