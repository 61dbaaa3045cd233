/* SPDX-License-Identifier: Apache-2.0 */
#include "cabinet/hardware.h"
#include "ledger/doors.h"
#include "ledger/movements.h"

#include <errno.h>

const LocksHandlers hardware_handlers = {
        .fact = doors_fact,
        .seen = doors_seen,
        .chatter = contacts_chatter,
        .result = movements_result,
        .board = boards_health,
        .line = boards_line,
};

static int by_label(const void *a, const void *b, void *cabinet) {
        const Slot *slots = ((const Cabinet *)cabinet)->slots;

        return strcmp(slots[*(const int *)a].label, slots[*(const int *)b].label);
}

static int allocate(Hardware *h) {
        const Cabinet *c = h->cabinet;
        size_t locks = (size_t)c->n_locks + 1, slots = (size_t)c->n_slots + 1,
               boards = (size_t)c->n_boards + 1, lines = (size_t)c->n_lines + 1;

        h->doors = calloc(locks, sizeof(*h->doors));
        h->seen = calloc(locks, sizeof(*h->seen));
        h->remembered = calloc(locks, sizeof(*h->remembered));
        h->unrecorded = calloc(locks, sizeof(*h->unrecorded));
        h->moving = calloc(locks, sizeof(*h->moving));
        h->released = calloc(locks, sizeof(*h->released));
        h->miswired = calloc(locks, sizeof(*h->miswired));
        h->may_let_go = calloc(locks, sizeof(*h->may_let_go));
        h->lid_gave_up = calloc(locks, sizeof(*h->lid_gave_up));
        h->opening = calloc(slots, sizeof(*h->opening));
        h->safety = calloc(slots, sizeof(*h->safety));
        h->slots_by_label = calloc(slots, sizeof(*h->slots_by_label));
        h->chattering = calloc(slots, sizeof(*h->chattering));
        h->alarms_chatter = calloc((size_t)c->n_alarms + 1, sizeof(*h->alarms_chatter));
        h->boards = calloc(boards, sizeof(*h->boards));
        h->board_sentences = calloc(boards, sizeof(*h->board_sentences));
        h->lines = calloc(lines, sizeof(*h->lines));
        h->line_sentences = calloc(lines, sizeof(*h->line_sentences));
        return h->doors && h->seen && h->remembered && h->unrecorded && h->moving && h->released &&
                               h->miswired && h->may_let_go && h->lid_gave_up && h->opening && h->safety &&
                               h->slots_by_label && h->boards && h->board_sentences && h->lines &&
                               h->line_sentences && h->chattering && h->alarms_chatter
                       ? 0
                       : -ENOMEM;
}

static int remember(void *userdata, const char *slot, unsigned position, DoorSeen seen) {
        Hardware *h = userdata;
        int lock = hardware_find_lock(h, slot, position);

        if (lock < 0)
                return 0;
        h->seen[lock] = seen;
        h->remembered[lock] = true;
        h->may_let_go[lock] = seen == DOOR_SEEN_NEVER;
        door_remember(&h->doors[lock], seen);
        return 0;
}

/* Nobody saw what it did: if it is open now, that may be why. */
static int forget(void *userdata, uint64_t id, const char *slot, unsigned position, uint64_t parcel,
                  const char *why) {
        Hardware *h = userdata;
        int lock = hardware_find_lock(h, slot, position);

        if (lock >= 0 && why)
                door_remember(&h->doors[lock], DOOR_SEEN_NEVER);
        return 0;
}

int hardware_init(Hardware *h, Records *records, HardwareUp up, void *userdata) {
        const Cabinet *c = records->cabinet;

        *h = (Hardware){.cabinet = c,
                        .records = records,
                        .up = up,
                        .userdata = userdata,
                        .record_at = USEC_INFINITY,
                        .lids_at = USEC_INFINITY};
        int r = allocate(h);
        if (r < 0)
                return r;
        for (int i = 0; i < c->n_locks; i++) {
                const Lock *k = &c->locks[i];
                h->miswired[i] = -1;
                door_init(&h->doors[i], k->contact.board >= 0, k->latch.board >= 0,
                          (DoorTimes){.release_usec = k->release_ms * USEC_PER_MSEC,
                                      .open_max_usec = records->settings->door_open_usec});
        }
        for (int i = 0; i < c->n_slots; i++) {
                h->slots_by_label[i] = i;
                h->safety[i].at = USEC_INFINITY;
        }
        qsort_r(h->slots_by_label, (size_t)c->n_slots, sizeof(int), by_label, (void *)(uintptr_t)c);
        r = ledger_door_each(records->ledger, remember, h);
        return r < 0 ? r : ledger_movement_each_open(records->ledger, forget, h);
}

void hardware_done(Hardware *h) {
        for (int i = 0; h->moving && i < h->cabinet->n_locks; i++)
                movement_free(h->moving[i]);
        free(h->doors);
        free(h->seen);
        free(h->remembered);
        free(h->unrecorded);
        free(h->unsettled);
        free(h->moving);
        free(h->released);
        free(h->miswired);
        free(h->may_let_go);
        free(h->lid_gave_up);
        free(h->opening);
        free(h->safety);
        free(h->slots_by_label);
        free(h->chattering);
        free(h->alarms_chatter);
        free(h->boards);
        free(h->board_sentences);
        free(h->lines);
        free(h->line_sentences);
}

void hardware_tick(Hardware *h, const Now *now) {
        movements_tick(h, now);
        doors_tick(h, now);
        safety_tick(h, now);
        lids_tick(h, now);
}

uint64_t hardware_next_deadline(const Hardware *h) {
        return MIN(MIN(movements_next_deadline(h), doors_next_deadline(h)),
                   MIN(safety_next_deadline(h), h->lids_at));
}

bool hardware_is_still(const Hardware *h) {
        for (int i = 0; i < h->cabinet->n_locks; i++)
                if (h->moving[i])
                        return false;
        return true;
}

/* Not when the boards are found, but when all have told what their inputs say. A board that is offline may be
 * so only for now: after a crash the line is still held by the worker of the former run, which ends its
 * pulse. */
bool hardware_all_spoke(const Hardware *h) {
        const Cabinet *c = h->cabinet;

        for (int i = 0; i < c->n_boards; i++)
                if (!board_is_online(h, i))
                        return false;
        for (int i = 0; i < c->n_locks; i++)
                if ((c->locks[i].contact.board >= 0 || c->locks[i].latch.board >= 0) &&
                    h->doors[i].state == DOOR_UNKNOWN)
                        return false;
        for (int i = 0; i < c->n_positions; i++)
                if (c->positions[i].presence.board >= 0 && position_occupied(h, i) == TRI_UNKNOWN)
                        return false;
        return true;
}
