/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a parcel and could not be written, because the disk was full: kept, and tried again until
 * the ledger takes it. Until then the parcel is what the ledger says, so that nobody can do anything with it.
 */
#include "locker/private.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <errno.h>
#include <stdio.h>

#define RETRY_USEC (5 * USEC_PER_SEC)

struct Owed {
        Owed *next;
        uint64_t parcel;
        ParcelState state;
        char actor[LABEL_MAX + 16];
        const char *why;
};

static int write_owed(Locker *l, const Owed *o) {
        _cleanup_parcel_ ParcelRow p = {0};
        Now now = l->now();
        int r = ledger_parcel_get(l->ledger, o->parcel, &p);

        /* Somebody (an operator) has settled it otherwise meanwhile. */
        if (r == -ENOENT || (r >= 0 && !parcel_may_become(p.state, o->state)))
                return 0;
        if (r >= 0)
                r = locker_begin(l);
        if (r < 0)
                return r;
        p.state = o->state;
        p.ended = parcel_is_final(o->state) ? locker_wall(l, &now) : 0;
        r = ledger_parcel_update(l->ledger, &p);
        if (r >= 0)
                r = locker_record_parcel(l, o->actor, o->why, &p, NULL);
        r = locker_end(l, r);
        if (r < 0)
                return r;
        if (o->state == PARCEL_UNVERIFIED)
                log_message(LOG_WARNING, LOCKERD_MESSAGE_UNVERIFIED,
                            (const char *const[]){"LOCKERD_SLOT", p.slot, NULL},
                            "Parcel %llu in slot %s position %u is unverified: look and reconcile",
                            (unsigned long long)p.id, p.slot, p.position);
        notify_parcel(l, o->parcel);
        return 0;
}

int parcel_owe(Locker *l, uint64_t parcel, ParcelState state, const char *actor, const char *why) {
        Owed now = {.parcel = parcel, .state = state, .why = why};

        snprintf(now.actor, sizeof(now.actor), "%s", actor);
        int r = write_owed(l, &now);
        if (r >= 0)
                return 0;
        Owed *kept = malloc(sizeof(*kept));
        log_error_errno(r, "Cannot record that parcel %llu is %s; %s", (unsigned long long)parcel,
                        parcel_state_to_string(state), kept ? "trying again" : "out of memory");
        if (!kept)
                return -ENOMEM;
        *kept = now;
        kept->next = l->owed;
        l->owed = kept;
        l->owed_at = l->now().boot_usec + RETRY_USEC;
        return r;
}

bool parcel_is_owed(const Locker *l, uint64_t parcel) {
        for (const Owed *o = l->owed; o; o = o->next)
                if (o->parcel == parcel)
                        return true;
        return false;
}

void owed_tick(Locker *l, const Now *now) {
        if (now->boot_usec < l->owed_at)
                return;
        l->owed_at = USEC_INFINITY;
        if (l->orphans_owed) {
                l->orphans_owed = false;
                settle_orphans(l, -1);
        }
        for (Owed **o = &l->owed; *o;) {
                Owed *this = *o;
                if (write_owed(l, this) < 0) {
                        l->owed_at = MIN(l->owed_at, now->boot_usec + RETRY_USEC);
                        o = &this->next;
                        continue;
                }
                *o = this->next;
                free(this);
        }
}

uint64_t owed_next_deadline(const Locker *l) {
        return l->owed_at;
}

void owed_forget(Locker *l) {
        while (l->owed) {
                Owed *o = l->owed;
                l->owed = o->next;
                free(o);
        }
}
