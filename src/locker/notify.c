/* SPDX-License-Identifier: Apache-2.0 */
/* Telling the doors (bus, backend) what has changed, always after the commit. */
#include "locker/private.h"

#include <errno.h>

int locker_add_listener(Locker *l, const LockerListener *listener, void *userdata) {
        for (size_t i = 0; i < LISTENERS_MAX; i++)
                if (!l->listeners[i].listener) {
                        l->listeners[i].listener = listener;
                        l->listeners[i].userdata = userdata;
                        return 0;
                }
        return -ENOSPC;
}

void locker_remove_listener(Locker *l, void *userdata) {
        for (size_t i = 0; i < LISTENERS_MAX; i++)
                if (l->listeners[i].userdata == userdata)
                        l->listeners[i].listener = NULL;
}

#define NOTIFY(l, member, ...)                                                          \
        for (size_t _i = 0; _i < LISTENERS_MAX; _i++)                                   \
                if ((l)->listeners[_i].listener && (l)->listeners[_i].listener->member) \
        (l)->listeners[_i].listener->member((l)->listeners[_i].userdata __VA_OPT__(, ) __VA_ARGS__)

void notify_slot(Locker *l, int slot) {
        NOTIFY(l, slot, slot);
}

void notify_parcel(Locker *l, uint64_t id) {
        NOTIFY(l, parcel, id);
}

void notify_session(Locker *l, Session *s) {
        NOTIFY(l, session, s);
}

void notify_prompt(Locker *l, Session *s, int slot, unsigned position, const char *what,
                   const char *sentence) {
        NOTIFY(l, prompt, s, slot, position, what, sentence);
}

void notify_health(Locker *l) {
        NOTIFY(l, health);
}

void notify_event(Locker *l, const EventRow *event) {
        NOTIFY(l, event, event);
}
