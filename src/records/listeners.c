/* SPDX-License-Identifier: Apache-2.0 */
/* Telling the doors (bus, backend) what has changed, always after the commit. */
#include "records/records.h"
#include "ledger/events.h"

#include <errno.h>

int records_add_listener(Records *rec, const LockerListener *listener, void *userdata) {
        for (size_t i = 0; i < LISTENERS_MAX; i++)
                if (!rec->listeners[i].listener) {
                        rec->listeners[i].listener = listener;
                        rec->listeners[i].userdata = userdata;
                        return 0;
                }
        return -ENOSPC;
}

void records_remove_listener(Records *rec, void *userdata) {
        for (size_t i = 0; i < LISTENERS_MAX; i++)
                if (rec->listeners[i].userdata == userdata)
                        rec->listeners[i].listener = NULL;
}

#define NOTIFY(rec, member, ...)                                                            \
        for (size_t _i = 0; _i < LISTENERS_MAX; _i++)                                       \
                if ((rec)->listeners[_i].listener && (rec)->listeners[_i].listener->member) \
        (rec)->listeners[_i].listener->member((rec)->listeners[_i].userdata __VA_OPT__(, ) __VA_ARGS__)

void notify_slot(Records *rec, int slot) {
        NOTIFY(rec, slot, slot);
}

void notify_parcel(Records *rec, uint64_t id) {
        NOTIFY(rec, parcel, id);
}

void notify_session(Records *rec, Session *s) {
        NOTIFY(rec, session, s);
}

void notify_prompt(Records *rec, Session *s, int slot, unsigned position, const char *what,
                   const char *sentence) {
        NOTIFY(rec, prompt, s, slot, position, what, sentence);
}

void notify_health(Records *rec) {
        NOTIFY(rec, health);
}

void notify_event(Records *rec, const EventRow *event) {
        NOTIFY(rec, event, event);
}
