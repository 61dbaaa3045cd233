/* SPDX-License-Identifier: Apache-2.0 */
/* Is anybody at the cabinet? The workers read its inputs more slowly when nobody is (core/pace.h). */
#include "cabinet/hardware.h"
#include "core/pace.h"
#include "locker/locker.h"
#include "locker/locker_struct.h"
#include "locker/session.h"

static bool is_open(const Locker *l) {
        for (int i = 0; i < l->cabinet->n_locks; i++)
                switch (l->hardware.doors[i].state) {
                case DOOR_RELEASING:
                case DOOR_OPEN:
                case DOOR_CLOSING:
                case DOOR_FORCED:
                        return true;
                case DOOR_LEFT_OPEN:
                case DOOR_UNKNOWN:
                case DOOR_LOCKED:
                case DOOR_JAMMED:
                case DOOR_STATE_MAX:
                        break;
                }
        return false;
}

bool locker_attend(Locker *l) {
        uint64_t now = l->now().boot_usec, open_usec = l->settings->door_open_usec;
        Presence p = {
                .moving = !hardware_is_still(&l->hardware), .moved_at = l->moved_at, .open_usec = open_usec};

        for (const Session *s = l->sessions; s; s = s->next)
                p.session = p.session || !s->gone;
        p.open = l->moved_at && now < l->moved_at + open_usec && is_open(l);
        attendance_look(&l->attendance, &p, now);
        if (l->hardware.locks)
                locks_attend(l->hardware.locks, l->attendance.attended);
        return l->attendance.attended;
}
