/* SPDX-License-Identifier: Apache-2.0 */
/* Lamps of slots: outputs that stay as they are, and no load of a lock supply. A board that comes online has
 * all of them off. */
#include "lock/commands.h"

static void send_lamp(Locks *l, int slot) {
        const OutputRef *lamp = &l->cabinet->slots[slot].lamp;
        WireOutput m = {.board = (uint32_t)lamp->board, .channel = lamp->channel, .on = l->lamps[slot]};

        /* A worker that cannot be told is replaced, and its board comes online again. */
        (void)line_client_send(l->lines[l->cabinet->boards[lamp->board].line], WIRE_OUTPUT, &m);
}

void locks_lamp(Locks *l, int slot, bool on) {
        int board = l->cabinet->slots[slot].lamp.board;

        if (board < 0 || l->lamps[slot] == on)
                return;
        l->lamps[slot] = on;
        if (board_health_is_online(l->boards[board].health))
                send_lamp(l, slot);
}

void lamps_board_online(Locks *l, int board) {
        for (int i = 0; i < l->cabinet->n_slots; i++)
                if (l->cabinet->slots[i].lamp.board == board && l->lamps[i])
                        send_lamp(l, i);
}
