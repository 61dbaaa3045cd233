/* SPDX-License-Identifier: Apache-2.0 */
/* Which slots are lit: from the opening until the slot is shut and what was done there is settled. */
#include "locker/errand.h"
#include "locker/locker.h"
#include "locker/locker_struct.h"

static bool is_moving(const Locker *l, int slot) {
        const Slot *s = &l->cabinet->slots[slot];

        if (l->hardware.moving[s->lock])
                return true;
        for (int i = s->first_position; i < s->first_position + s->n_positions; i++)
                if (l->cabinet->positions[i].lock >= 0 && l->hardware.moving[l->cabinet->positions[i].lock])
                        return true;
        return false;
}

static bool is_open(const Locker *l, int slot) {
        switch (l->hardware.doors[l->cabinet->slots[slot].lock].state) {
        case DOOR_RELEASING:
        case DOOR_OPEN:
        case DOOR_CLOSING:
        case DOOR_FORCED:
        case DOOR_LEFT_OPEN:
                return true;
        case DOOR_UNKNOWN:
        case DOOR_LOCKED:
        case DOOR_JAMMED:
        case DOOR_STATE_MAX:
                return false;
        }
        return false;
}

void locker_light(Locker *l) {
        for (int i = 0; l->hardware.locks && i < l->cabinet->n_slots; i++) {
                if (l->cabinet->slots[i].lamp.board < 0)
                        continue;
                const Errand *e = l->holder[i];
                locks_lamp(l->hardware.locks, i,
                           is_moving(l, i) || is_open(l, i) || (e && errand_is_at_work(&e->m)));
        }
}
