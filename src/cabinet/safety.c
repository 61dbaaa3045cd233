/* SPDX-License-Identifier: Apache-2.0 */
/* Alarm inputs and inside releases: what has to open at once opens first and is written second. */
#include "cabinet/hardware.h"
#include "ledger/movements.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <stdio.h>

/* While an alarm input or inside release is active, an unopened door is pulsed again this often. */
#define SAFETY_REPEAT_USEC  (5 * USEC_PER_SEC)
#define SAFETY_EXPIRES_USEC (30 * USEC_PER_SEC)
#define SAFETY_BUSY_USEC    (250 * USEC_PER_MSEC) /* its door is being moved: look again */
#define SAFETY_PULSES       3                     /* at least, also when the input is quiet again */

/* An input that comes and goes while doors are shut again and again (a loose wire, or a worker that somebody
 * has taken over) wears locks out and fills the disk: so many pulses of a door at once, and then as often as
 * while the input stays active. */
static const BucketRules pulse_pace = {.burst = 20, .each_usec = SAFETY_REPEAT_USEC};

static void safety_release(Hardware *h, int slot, const char *why) {
        int lock = h->cabinet->slots[slot].lock;
        Now now = h->records->now();
        Movement *m = NULL;

        if (h->moving[lock])
                return; /* already being opened; asked again while the input stays active */
        m = calloc(1, sizeof(*m));
        if (!m)
                return;
        *m = (Movement){.hardware = h,
                        .lock = lock,
                        .action = LOCK_ACTION_UNLOCK,
                        .urgent = true,
                        .safety = why,
                        .suspect = -1,
                        .secure_until = USEC_INFINITY,
                        .expires = now.boot_usec + SAFETY_EXPIRES_USEC};
        /* The one act that opens first and writes second. */
        if (movement_start(m, NULL, NULL) < 0) {
                free(m);
                return;
        }
        log_message(LOG_CRIT, LOCKERD_MESSAGE_SAFETY_RELEASE,
                    (const char *const[]){"LOCKERD_SLOT", h->cabinet->slots[slot].label, NULL},
                    "Slot %s is to open: %s", h->cabinet->slots[slot].label, why);
        if (records_begin(h->records) < 0)
                return;
        MovementRow row = {.action = "unlock", .why = "safety", .actor = "lockerd", .reason = why};
        snprintf(row.slot, sizeof(row.slot), "%s", h->cabinet->slots[slot].label);
        int r = ledger_movement_intend(h->records->ledger, &row, &now);
        if (r >= 0)
                r = record_commanded(h, lock, LOCK_ACTION_UNLOCK, NULL, why);
        if (r < 0) {
                records_rollback(h->records);
                log_error_errno(r, "Cannot record a safety release");
                return;
        }
        if (records_commit(h->records) >= 0)
                m->id = row.id;
}

static bool alarm_opens(const Alarm *a, int slot) {
        if (a->all_slots)
                return true;
        for (int i = 0; i < a->n_slots; i++)
                if (a->slots[i] == slot)
                        return true;
        return false;
}

/* Why the slot must be open now, or NULL. */
static const char *safety_reason(const Hardware *h, int slot) {
        const Cabinet *c = h->cabinet;

        if (c->slots[slot].release.board >= 0 && locks_fact(h->locks, FACT_RELEASE, slot) == TRI_YES)
                return "the inside release was pressed";
        for (int i = 0; i < c->n_alarms; i++)
                if (alarm_opens(&c->alarms[i], slot) && locks_fact(h->locks, FACT_ALARM, i) == TRI_YES)
                        return "the alarm input is active";
        return NULL;
}

/* A button that was pressed for a moment while its door was being moved is not forgotten: the request stands
 * until the door is open, or has had its pulses. */
static void safety_look(Hardware *h, int slot, const Now *now) {
        Safety *s = &h->safety[slot];
        int lock = h->cabinet->slots[slot].lock;
        const char *active = safety_reason(h, slot);
        bool is_open = door_is_open(&h->doors[lock]);

        if (active)
                s->why = active;
        if (active && !s->requested) {
                s->requested = true;
                s->left = SAFETY_PULSES;
        }
        if (is_open)
                s->left = 0;
        if (!active && !s->left) {
                s->requested = false;
                s->at = USEC_INFINITY;
                return;
        }
        s->at = now->boot_usec + SAFETY_REPEAT_USEC;
        if (is_open)
                return;
        if (h->moving[lock]) {
                s->at = now->boot_usec + SAFETY_BUSY_USEC;
                return;
        }
        if (!bucket_take(&s->pulses, &pulse_pace, now->boot_usec)) {
                s->at = bucket_next(&s->pulses, &pulse_pace, now->boot_usec);
                return;
        }
        if (s->left)
                s->left--;
        safety_release(h, slot, s->why);
}

void safety_tick(Hardware *h, const Now *now) {
        for (int slot = 0; slot < h->cabinet->n_slots; slot++)
                if (now->boot_usec >= h->safety[slot].at)
                        safety_look(h, slot, now);
}

void safety_fact(Hardware *h, const Fact *fact) {
        Now now = h->records->now();

        for (int slot = 0; slot < h->cabinet->n_slots; slot++)
                if ((fact->kind == FACT_RELEASE && slot == fact->index) ||
                    (fact->kind == FACT_ALARM && alarm_opens(&h->cabinet->alarms[fact->index], slot)))
                        h->safety[slot].at = now.boot_usec;
        safety_tick(h, &now);
}

uint64_t safety_next_deadline(const Hardware *h) {
        uint64_t next = USEC_INFINITY;

        for (int i = 0; i < h->cabinet->n_slots; i++)
                next = MIN(next, h->safety[i].at);
        return next;
}
