/* SPDX-License-Identifier: Apache-2.0 */
/* What is degraded, at a glance (F4). */
#include "locker/health.h"
#include "cabinet/hardware.h"
#include "locker/locker.h"
#include "locker/locker_struct.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <errno.h>
#include <stdio.h>

#define DAY_USEC (UINT64_C(86400) * USEC_PER_SEC)

/* Synchronised, followed, and so vouched for; else why not, or for how long still. */
static bool clock_sentence(const Locker *l, const Now *now, char *ret, size_t room) {
        const BelievedClock *c = &l->records.calendar.clock;
        bool synced = now->synced || l->settings->trust_clock, vouched = now->boot_usec < c->vouched_until;

        ret[0] = 0;
        if (synced && vouched)
                return true;
        if (vouched)
                (void)snprintf(ret, room, "Not synchronised any more; believed for %llu more days.",
                               (unsigned long long)((c->vouched_until - now->boot_usec) / DAY_USEC));
        else
                (void)snprintf(
                        ret, room,
                        "Not synchronised: nothing expires, commands that open need the state's nonce. "
                        "See timedatectl.");
        return false;
}

void clock_tick(Locker *l, const Now *now) {
        bool synced = now->synced || l->settings->trust_clock, vouched = records_moment(&l->records).vouched;

        if (l->clock_known && l->clock_synced == synced && l->clock_vouched == vouched)
                return;
        if (!vouched)
                log_message(LOG_NOTICE, LOCKERD_MESSAGE_CLOCK_UNSYNCED, NULL,
                            "The clock is not synchronised: no code expires, no command is forgotten, and "
                            "signed commands that open doors need the nonce of the cabinet's state");
        else if (!synced)
                log_notice("The clock is not synchronised any more; it is believed for %llu more days",
                           (unsigned long long)((l->records.calendar.clock.vouched_until - now->boot_usec) /
                                                DAY_USEC));
        else if (l->clock_known)
                log_notice("The clock is synchronised again");
        l->clock_known = true;
        l->clock_synced = synced;
        l->clock_vouched = vouched;
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

bool locker_backend_is_away(const Locker *l) {
        return !l->backend_state || !streq(l->backend_state, "ok");
}

void locker_set_bluetooth_health(Locker *l, const char *state, const char *sentence) {
        l->bluetooth_state = state;
        snprintf(l->bluetooth_sentence, sizeof(l->bluetooth_sentence), "%s", sentence);
        notify_health(&l->records);
}

void locker_set_link_health(Locker *l, const char *state, const char *sentence) {
        l->link_state = state;
        snprintf(l->link_sentence, sizeof(l->link_sentence), "%s", sentence);
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
        char wiring[160], parcels[128], clock[160];
        size_t n = 0;
        Health *all = calloc((size_t)(8 + c->n_lines + c->n_boards + c->n_locks + c->n_alarms + c->n_readers),
                             sizeof(*all));

        if (!all)
                return -ENOMEM;
        say(&all[n++], "ledger", NULL,
            l->records.ledger_failing || l->records.ledger_locked ? "failed"
            : l->records.lineage                                  ? "degraded"
                                                                  : "ok",
            l->records.ledger_locked    ? "Another program has locked the ledger: nothing can be recorded, "
                                          "nothing opens. The journal says how to find it."
            : l->records.ledger_failing ? "The last write failed; see the journal."
            : l->records.lineage        ? l->records.lineage
                                        : "");
        say(&all[n++], "storage", NULL, l->records.storage_low ? "degraded" : "ok",
            l->records.storage_low ? "The disk is nearly full: no deposits until space is freed." : "");
        bool clock_ok = clock_sentence(l, &now, clock, sizeof(clock));
        say(&all[n++], "clock", NULL, clock_ok ? "ok" : "degraded", clock);
        if (l->backend_state)
                say(&all[n++], "backend", NULL, l->backend_state, l->backend_sentence);
        if (l->link_state)
                say(&all[n++], "link", NULL, l->link_state, l->link_sentence);
        if (l->bluetooth_state)
                say(&all[n++], "bluetooth", NULL, l->bluetooth_state, l->bluetooth_sentence);
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
                else if (c->locks[i].position < 0 &&
                         slot_chatters(&l->hardware, c->locks[i].slot, wiring, sizeof(wiring)))
                        say(&all[n++], "slot", c->slots[c->locks[i].slot].label, "degraded", wiring);
        for (int i = 0; i < c->n_readers; i++) {
                IdentityHealth reader;
                identity_health(l->identity, c->readers[i].kind, &reader);
                say(&all[n++], "reader", credential_kind_to_string(c->readers[i].kind), reader.state,
                    reader.sentence);
        }
        for (int i = 0; i < c->n_alarms; i++)
                if (l->hardware.alarms_chatter[i])
                        say(&all[n++], "alarm", c->alarms[i].name, "degraded",
                            "Its input chatters, and opens what it is for now and then: look at the "
                            "contact.");
        *ret = all;
        *ret_n = n;
        return 0;
}
