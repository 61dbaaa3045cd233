/* SPDX-License-Identifier: Apache-2.0 */
/* What the sensors say of locks, slots and positions. */
#include "cabinet/hardware.h"

#include <stdio.h>

int hardware_find_slot(const Hardware *h, const char *label) {
        int low = 0, high = h->cabinet->n_slots;

        while (low < high) {
                int middle = (low + high) / 2, slot = h->slots_by_label[middle];
                int order = strcmp(label, h->cabinet->slots[slot].label);
                if (order == 0)
                        return slot;
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return -1;
}

int hardware_find_lock(const Hardware *h, const char *label, unsigned position) {
        int slot = hardware_find_slot(h, label);

        if (slot < 0 || position > (unsigned)h->cabinet->slots[slot].n_positions)
                return -1;
        const Slot *k = &h->cabinet->slots[slot];
        return position ? h->cabinet->positions[k->first_position + (int)position - 1].lock : k->lock;
}

bool board_is_online(const Hardware *h, int board) {
        return board_health_is_online(h->boards[board]);
}

bool place_online(const Hardware *h, int slot, int position) {
        int inner = position < 0 ? -1 : h->cabinet->positions[position].lock;

        return board_is_online(h, h->cabinet->locks[h->cabinet->slots[slot].lock].board) &&
               (inner < 0 || board_is_online(h, h->cabinet->locks[inner].board));
}

bool lock_is_shut(const Hardware *h, int lock) {
        return lock < 0 || door_is_shut(&h->doors[lock]);
}

bool slot_is_shut(const Hardware *h, int slot) {
        return lock_is_shut(h, h->cabinet->slots[slot].lock);
}

bool slot_is_left_open(const Hardware *h, int slot) {
        const Door *d = &h->doors[h->cabinet->slots[slot].lock];

        /* Also one that was pushed home then, and does not latch. */
        return lid_is_open(h, h->cabinet->slots[slot].lock) && d->reported & DOOR_OPEN_TOO_LONG;
}

bool slot_is_closed(const Hardware *h, int slot) {
        int lock = h->cabinet->slots[slot].lock;

        return slot_is_shut(h, slot) || (h->doors[lock].state == DOOR_JAMMED && !h->moving[lock]);
}

Tri position_occupied(const Hardware *h, int position) {
        if (h->cabinet->positions[position].presence.board < 0 || !h->locks)
                return TRI_UNKNOWN;
        return locks_fact(h->locks, FACT_PRESENCE, position);
}

bool lock_is_miswired(const Hardware *h, int lock, char *ret, size_t size) {
        int other = h->miswired[lock];

        if (other < 0)
                return false;
        (void)snprintf(ret, size, "The lock of %s opened %s: check the wiring, then open it.",
                       h->cabinet->slots[h->cabinet->locks[lock].slot].label,
                       h->cabinet->slots[h->cabinet->locks[other].slot].label);
        return true;
}

bool lid_is_open(const Hardware *h, int lock) {
        const Door *d = &h->doors[lock];

        return door_is_open(d) || d->state == DOOR_CLOSING;
}

bool slot_is_moving(const Hardware *h, int slot) {
        const Slot *k = &h->cabinet->slots[slot];

        for (int i = 0; i < k->n_positions; i++) {
                int lock = h->cabinet->positions[k->first_position + i].lock;
                if (lock >= 0 && h->moving[lock])
                        return true;
        }
        return h->moving[k->lock];
}

static ErrandDoor door_view(const Hardware *h, int lock) {
        switch (h->doors[lock].state) {
        case DOOR_LOCKED:
                return ERRAND_DOOR_SHUT;
        case DOOR_JAMMED:
                return h->moving[lock] ? ERRAND_DOOR_OPEN : ERRAND_DOOR_STUCK;
        case DOOR_UNKNOWN:
                return h->moving[lock] ? ERRAND_DOOR_OPEN : ERRAND_DOOR_LOST;
        case DOOR_RELEASING:
        case DOOR_OPEN:
        case DOOR_CLOSING:
        case DOOR_FORCED:
        case DOOR_LEFT_OPEN:
        case DOOR_STATE_MAX:
                break;
        }
        return ERRAND_DOOR_OPEN;
}

static ErrandLid lid_view(const Hardware *h, int lock) {
        if (lock < 0)
                return ERRAND_LID_LOCKED;
        if (h->moving[lock])
                return ERRAND_LID_MOVING;
        /* One that was told to open and did not is as shut as it was. */
        return door_is_shut(&h->doors[lock]) || h->doors[lock].state == DOOR_JAMMED ? ERRAND_LID_LOCKED
                                                                                    : ERRAND_LID_LOOSE;
}

ErrandView place_view(const Hardware *h, int slot, int position) {
        return (ErrandView){
                .door = door_view(h, h->cabinet->slots[slot].lock),
                .lid = lid_view(h, position < 0 ? -1 : h->cabinet->positions[position].lock),
                .occupied = position < 0 ? TRI_UNKNOWN : position_occupied(h, position),
        };
}
