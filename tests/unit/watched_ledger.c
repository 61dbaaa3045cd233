/* SPDX-License-Identifier: Apache-2.0 */
#include "watched_ledger.h"
#include "ledger/codes.h"
#include "ledger/events.h"
#include "ledger/lockouts.h"
#include "ledger/movements.h"
#include "ledger/parcels.h"
#include "ledger/reminders.h"
#include "ledger/sessions.h"
#include "ledger/settings.h"
#include "ledger/slots.h"

#include "base/text.h"
#include "ledger/sql.h"

#include <errno.h>
#include <stdio.h>

WatchedLedger watched;
uint64_t watched_random = 1;

uint64_t watched_dice(uint64_t n) {
        watched_random ^= watched_random << 13;
        watched_random ^= watched_random >> 7;
        watched_random ^= watched_random << 17;
        return (watched_random >> 11) % n;
}

/* The disk is full. Inside a transaction that is its end, as ledger.h says. */
static bool fails(Ledger *l) {
        if (!watched.full && (!watched.fail_one_in || watched_dice(watched.fail_one_in)))
                return false;
        watched.failures++;
        if (l->in_transaction && l->failure >= 0)
                l->failure = -ENOSPC;
        return true;
}

static void forget(void) {
        watched.now.open = false;
        watched.now.n_parcels = watched.now.n_intents = watched.now.n_settled = 0;
}

void watched_restart(void) {
        forget();
        for (int i = 0; i < watched.n_intents; i++)
                watched.intents[i].stale = true;
}

bool watched_has_intent(const char *slot, unsigned position, bool unlock) {
        for (int i = 0; i < watched.n_intents; i++) {
                const WatchedIntent *k = &watched.intents[i];
                if (!k->stale && streq(k->slot, slot) && k->position == position && k->unlock == unlock)
                        return true;
        }
        return false;
}

static void settle(uint64_t id) {
        for (int i = 0; i < watched.n_intents; i++)
                if (watched.intents[i].id == id) {
                        watched.intents[i] = watched.intents[--watched.n_intents];
                        return;
                }
}

static void apply(void) {
        watched.commits++;
        for (int i = 0; i < watched.now.n_intents; i++) {
                if (watched.n_intents == WATCHED_INTENTS_MAX) { /* what nobody could settle */
                        memmove(watched.intents, watched.intents + 1,
                                sizeof(watched.intents[0]) * (WATCHED_INTENTS_MAX - 1));
                        watched.n_intents--;
                }
                watched.intents[watched.n_intents++] = watched.now.intents[i];
        }
        for (int i = 0; i < watched.now.n_settled; i++)
                settle(watched.now.settled[i]);
        int n = watched.now.n_parcels;
        for (int i = 0; i < n; i++) {
                uint64_t id = watched.now.parcels[i].id;
                if (id >= WATCHED_PARCELS_MAX)
                        abort();
                WatchedParcel before = watched.parcels[id];
                watched.parcels[id] = watched.now.parcels[i].p;
                watched.changed(id, &before, &watched.parcels[id]);
        }
        forget();
}

static void note_parcel(Ledger *l, const ParcelRow *p) {
        WatchedParcel w = {.known = true,
                           .taking_back = p->taking_back,
                           .state = p->state,
                           .was = p->was,
                           .choice = p->choice,
                           .position = p->position};

        if (watched.now.n_parcels == (int)ARRAY_SIZE(watched.now.parcels))
                abort();
        snprintf(w.slot, sizeof(w.slot), "%.7s", p->slot);
        watched.now.parcels[watched.now.n_parcels].id = p->id;
        watched.now.parcels[watched.now.n_parcels++].p = w;
        if (!l->in_transaction)
                apply();
}

/* --- transactions --- */

int __real_ledger_begin(Ledger *l);
int __wrap_ledger_begin(Ledger *l);
int __wrap_ledger_begin(Ledger *l) {
        if (!l->in_transaction && fails(l))
                return -ENOSPC;
        int r = __real_ledger_begin(l);
        if (r >= 0) {
                forget();
                watched.now.open = true;
        }
        return r;
}

int __real_ledger_commit(Ledger *l);
int __wrap_ledger_commit(Ledger *l);
int __wrap_ledger_commit(Ledger *l) {
        (void)fails(l);
        int r = __real_ledger_commit(l);
        if (r >= 0)
                apply();
        else
                forget();
        return r;
}

void __real_ledger_rollback(Ledger *l);
void __wrap_ledger_rollback(Ledger *l);
void __wrap_ledger_rollback(Ledger *l) {
        __real_ledger_rollback(l);
        forget();
}

/* --- writes --- */

#define WRITE(name, parameters, arguments)                           \
        int __real_##name parameters;                                \
        int __wrap_##name parameters;                                \
        int __wrap_##name parameters {                               \
                return fails(l) ? -ENOSPC : __real_##name arguments; \
        }

WRITE(ledger_record, (Ledger * l, const Record *r, const Now *now, EventRow *ret), (l, r, now, ret))
WRITE(ledger_service_set,
      (Ledger * l, const char *slot, unsigned position, Service service, const char *reason),
      (l, slot, position, service, reason))
WRITE(ledger_position_used, (Ledger * l, const char *slot, unsigned position), (l, slot, position))
WRITE(ledger_code_set, (Ledger * l, uint64_t parcel, const char *code), (l, parcel, code))
WRITE(ledger_code_erase, (Ledger * l, uint64_t parcel), (l, parcel))
WRITE(ledger_session_begin,
      (Ledger * l, const char *kind, const char *terminal, const Now *now, uint64_t *ret_id),
      (l, kind, terminal, now, ret_id))
WRITE(ledger_session_person, (Ledger * l, uint64_t id, uint64_t person, const char *evidence),
      (l, id, person, evidence))
WRITE(ledger_session_end, (Ledger * l, uint64_t id, const char *how, const Now *now), (l, id, how, now))
WRITE(ledger_lockout_put, (Ledger * l, const LockoutRow *row), (l, row))
WRITE(ledger_reminder_put, (Ledger * l, const ReminderRow *row), (l, row))
WRITE(ledger_habit_count, (Ledger * l, const ParcelRow *p, unsigned hour, int64_t wall), (l, p, hour, wall))
WRITE(ledger_setting_set, (Ledger * l, const char *name, int64_t value), (l, name, value))

int __real_ledger_parcel_insert(Ledger *l, ParcelRow *p);
int __wrap_ledger_parcel_insert(Ledger *l, ParcelRow *p);
int __wrap_ledger_parcel_insert(Ledger *l, ParcelRow *p) {
        int r = fails(l) ? -ENOSPC : __real_ledger_parcel_insert(l, p);
        if (r >= 0)
                note_parcel(l, p);
        return r;
}

int __real_ledger_parcel_update(Ledger *l, const ParcelRow *p);
int __wrap_ledger_parcel_update(Ledger *l, const ParcelRow *p);
int __wrap_ledger_parcel_update(Ledger *l, const ParcelRow *p) {
        int r = fails(l) ? -ENOSPC : __real_ledger_parcel_update(l, p);
        if (r >= 0)
                note_parcel(l, p);
        return r;
}

int __real_ledger_movement_intend(Ledger *l, MovementRow *m, const Now *now);
int __wrap_ledger_movement_intend(Ledger *l, MovementRow *m, const Now *now);
int __wrap_ledger_movement_intend(Ledger *l, MovementRow *m, const Now *now) {
        int r = fails(l) ? -ENOSPC : __real_ledger_movement_intend(l, m, now);
        if (r < 0)
                return r;
        WatchedIntent *k = &watched.now.intents[watched.now.n_intents++];
        *k = (WatchedIntent){.id = m->id, .position = m->position, .unlock = streq(m->action, "unlock")};
        snprintf(k->slot, sizeof(k->slot), "%.7s", m->slot);
        snprintf(k->why, sizeof(k->why), "%.15s", m->why);
        if (!l->in_transaction)
                apply();
        return r;
}

int __real_ledger_movement_settle(Ledger *l, uint64_t id, const char *outcome, const Now *now);
int __wrap_ledger_movement_settle(Ledger *l, uint64_t id, const char *outcome, const Now *now);
int __wrap_ledger_movement_settle(Ledger *l, uint64_t id, const char *outcome, const Now *now) {
        int r = fails(l) ? -ENOSPC : __real_ledger_movement_settle(l, id, outcome, now);
        if (r < 0)
                return r;
        if (watched.now.n_settled < (int)ARRAY_SIZE(watched.now.settled))
                watched.now.settled[watched.now.n_settled++] = id;
        if (!l->in_transaction)
                apply();
        return r;
}
