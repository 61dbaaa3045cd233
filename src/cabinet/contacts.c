/* SPDX-License-Identifier: Apache-2.0 */
/* Contacts that chatter: told once when it begins and once when it is over. What they do meanwhile, nobody
 * hears of: src/lock says that nothing is known, so that their slot is out of service by itself. */
#include "cabinet/hardware.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <stdio.h>

static const struct {
        const char *word, *sentence;
} contacts[] = {
        [FACT_CONTACT] = {"door", "door contact"},         [FACT_LATCH] = {"latch", "latch contact"},
        [FACT_PRESENCE] = {"presence", "presence sensor"}, [FACT_RELEASE] = {"release", "inside release"},
        [FACT_ALARM] = {"alarm", "alarm input"},
};

/* -1: none, an alarm's. */
static int slot_of(const Cabinet *c, const FactChatter *chatter, unsigned *ret_position) {
        const Lock *k;

        *ret_position = 0;
        switch (chatter->kind) {
        case FACT_CONTACT:
        case FACT_LATCH:
                k = &c->locks[chatter->index];
                *ret_position = k->position < 0 ? 0 : c->positions[k->position].number;
                return k->slot;
        case FACT_PRESENCE:
                *ret_position = c->positions[chatter->index].number;
                return c->positions[chatter->index].slot;
        case FACT_RELEASE:
                return chatter->index;
        case FACT_ALARM:
                break;
        }
        return -1;
}

bool slot_chatters(const Hardware *h, int slot, char *ret, size_t size) {
        for (size_t kind = 0; kind < ARRAY_SIZE(contacts); kind++)
                if (h->chattering[slot] & 1u << kind) {
                        (void)snprintf(ret, size, "Its %s chatters: look at the contact and its wires.%s",
                                       contacts[kind].sentence,
                                       kind == FACT_RELEASE ? ""
                                                            : " The slot is not used until it has rested.");
                        return true;
                }
        return false;
}

static json_t *data_of(const Hardware *h, const FactChatter *chatter, int slot, unsigned position) {
        json_t *data = json_pack("{s:s, s:I, s:I}", "contact", contacts[chatter->kind].word, "changes",
                                 (json_int_t)chatter->changes, "seconds",
                                 (json_int_t)(chatter->usec / USEC_PER_SEC));

        if (data && slot < 0)
                (void)json_object_set_new(data, "alarm",
                                          json_string(h->cabinet->alarms[chatter->index].name));
        else if (data) {
                (void)json_object_set_new(data, "slot", json_string(h->cabinet->slots[slot].label));
                (void)json_object_set_new(data, "position", json_integer((json_int_t)position));
        }
        return data;
}

void contacts_chatter(void *userdata, const FactChatter *chatter) {
        Hardware *h = userdata;
        const Cabinet *c = h->cabinet;
        unsigned position;
        int slot = slot_of(c, chatter, &position);
        char subject[SUBJECT_MAX];

        if (slot < 0) {
                h->alarms_chatter[chatter->index] = !chatter->over;
                snprintf(subject, sizeof(subject), "alarm:%s", c->alarms[chatter->index].name);
        } else {
                if (chatter->over)
                        h->chattering[slot] &= ~(1u << chatter->kind);
                else
                        h->chattering[slot] |= 1u << chatter->kind;
                subject_place(c, slot, position, subject);
        }
        if (records_begin(h->records) >= 0)
                (void)records_end(h->records,
                                  records_add(h->records, NULL, NULL,
                                              chatter->over ? "contact.rested" : "contact.chattering",
                                              subject, data_of(h, chatter, slot, position), NULL));
        if (!chatter->over)
                log_message(LOG_WARNING, LOCKERD_MESSAGE_CHATTER, NULL,
                            "The %s of %s %s chatters: %llu changes in %llu s",
                            contacts[chatter->kind].sentence, slot < 0 ? "alarm" : "slot",
                            slot < 0 ? c->alarms[chatter->index].name : c->slots[slot].label,
                            (unsigned long long)chatter->changes,
                            (unsigned long long)(chatter->usec / USEC_PER_SEC));
        notify_health(h->records);
        if (slot >= 0)
                notify_slot(h->records, slot);
}
