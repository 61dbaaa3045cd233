/* SPDX-License-Identifier: Apache-2.0 */
/* What is degraded, at a glance (F4). */
#include "locker/private.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <errno.h>
#include <stdio.h>

#define CLOCK_EVERY_USEC (60 * USEC_PER_SEC)

/* Looked at now and then: the kernel tells nobody when its clock is lost or found. */
void clock_tick(Locker *l, const Now *now) {
        if (now->boot_usec < l->clock_at)
                return;
        l->clock_at = now->boot_usec + CLOCK_EVERY_USEC;
        if (l->clock_known && l->clock_synced == now->synced)
                return;
        if (!now->synced)
                log_message(LOG_NOTICE, LOCKERD_MESSAGE_CLOCK_UNSYNCED, NULL,
                            "The wall clock is not synchronised; events say so, and codes are judged by it "
                            "all the same");
        else if (l->clock_known)
                log_notice("The wall clock is synchronised again");
        l->clock_known = true;
        l->clock_synced = now->synced;
        notify_health(&l->records);
}

static void say(Health *h, const char *kind, const char *name, const char *state, const char *sentence) {
        snprintf(h->component, sizeof(h->component), "%s%s%s", kind, name ? ":" : "", name ? name : "");
        h->state = state;
        snprintf(h->sentence, sizeof(h->sentence), "%s", sentence);
}

void locker_set_backend_health(Locker *l, const char *state, const char *sentence) {
        l->backend_state = state;
        snprintf(l->backend_sentence, sizeof(l->backend_sentence), "%s", sentence ? sentence : "");
        notify_health(&l->records);
}

void locker_set_keys_health(Locker *l, const char *state, const char *sentence) {
        l->keys_state = state;
        snprintf(l->keys_sentence, sizeof(l->keys_sentence), "%s", sentence);
        notify_health(&l->records);
}

void locker_set_ledger_health(Locker *l, const char *sentence) {
        l->records.lineage = sentence;
        notify_health(&l->records);
}

int locker_health(Locker *l, Health **ret, size_t *ret_n) {
        const Cabinet *c = l->cabinet;
        Now now = l->now();
        char wiring[160], parcels[128];
        size_t n = 0;
        Health *all = calloc((size_t)(6 + c->n_lines + c->n_boards + c->n_locks), sizeof(*all));

        if (!all)
                return -ENOMEM;
        say(&all[n++], "ledger", NULL,
            l->records.ledger_failing ? "failed"
            : l->records.lineage      ? "degraded"
                                      : "ok",
            l->records.ledger_failing ? "The last write failed; see the journal."
            : l->records.lineage      ? l->records.lineage
                                      : "");
        say(&all[n++], "storage", NULL, l->records.storage_low ? "degraded" : "ok",
            l->records.storage_low ? "The disk is nearly full: no deposits until space is freed." : "");
        say(&all[n++], "clock", NULL, now.synced ? "ok" : "degraded",
            now.synced ? "" : "The wall clock is not synchronised.");
        if (l->backend_state)
                say(&all[n++], "backend", NULL, l->backend_state, l->backend_sentence);
        if (l->n_homeless) {
                (void)snprintf(
                        parcels, sizeof(parcels),
                        "%u in slots that cabinet.conf does not have: see the journal; give them their "
                        "labels back, or release them.",
                        l->n_homeless);
                say(&all[n++], "parcels", NULL, "degraded", parcels);
        }
        if (l->keys_state)
                say(&all[n++], "signing-keys", NULL, l->keys_state, l->keys_sentence);
        for (int i = 0; i < c->n_lines; i++)
                say(&all[n++], "line", c->lines[i].name, l->hardware.lines[i] ? "ok" : "failed",
                    l->hardware.line_sentences[i]);
        for (int i = 0; i < c->n_boards; i++)
                say(&all[n++], "board", c->boards[i].name, board_health_word(l->hardware.boards[i]),
                    l->hardware.board_sentences[i]);
        for (int i = 0; i < c->n_locks; i++)
                if (lock_is_miswired(&l->hardware, i, wiring, sizeof(wiring)))
                        say(&all[n++], "slot", c->slots[c->locks[i].slot].label, "degraded", wiring);
                else if (l->hardware.doors[i].state == DOOR_JAMMED)
                        say(&all[n++], "slot", c->slots[c->locks[i].slot].label, "degraded",
                            c->locks[i].position < 0
                                    ? "Its door did not open when told to: look at lock and wires, then open "
                                      "it."
                                    : "A lid inside did not open when told to: look at lock and wires.");
        *ret = all;
        *ret_n = n;
        return 0;
}
