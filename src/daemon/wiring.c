/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/wiring.h"

#include <stdio.h>

#define USER_MAX 80

static void place_of(const Cabinet *c, int slot, int position, char *buffer, size_t size) {
        if (position < 0)
                snprintf(buffer, size, "slot %s", c->slots[slot].label);
        else
                snprintf(buffer, size, "position %s/%u", c->slots[slot].label, c->positions[position].number);
}

static void output_user(const Cabinet *c, int board, unsigned channel, char *ret, size_t size) {
        char place[48];

        snprintf(ret, size, "not used");
        for (int i = 0; i < c->n_locks; i++) {
                const Lock *l = &c->locks[i];
                bool opens = l->board == board && l->coil == channel,
                     secures = l->board == board && l->secure_coil == (int)channel;
                if (!opens && !secures)
                        continue;
                place_of(c, l->slot, l->position, place, sizeof(place));
                snprintf(ret, size, "%s of %s, %u ms", secures ? "Secure" : "Lock", place, l->pulse_ms);
        }
        for (int i = 0; i < c->n_slots; i++)
                if (c->slots[i].lamp.board == board && c->slots[i].lamp.channel == channel)
                        snprintf(ret, size, "Lamp of slot %s", c->slots[i].label);
}

static bool is_it(const InputRef *ref, int board, unsigned channel) {
        return ref->board == board && ref->channel == channel;
}

/* Use and meaning of the input. */
static void input_user(const Cabinet *c, int board, unsigned channel, char *ret, size_t size) {
        char place[48];

        snprintf(ret, size, "not used");
        for (int i = 0; i < c->n_locks; i++) {
                const Lock *l = &c->locks[i];
                place_of(c, l->slot, l->position, place, sizeof(place));
                if (is_it(&l->contact, board, channel))
                        snprintf(ret, size, "Door of %s, on: %s", place,
                                 l->contact.active ? "closed" : "open");
                if (is_it(&l->latch, board, channel))
                        snprintf(ret, size, "Latch of %s, on: %s", place,
                                 l->latch.active ? "locked" : "released");
        }
        for (int i = 0; i < c->n_slots; i++)
                if (is_it(&c->slots[i].release, board, channel))
                        snprintf(ret, size, "Release in slot %s, on: %s", c->slots[i].label,
                                 c->slots[i].release.active ? "pressed" : "not pressed");
        for (int i = 0; i < c->n_positions; i++)
                if (is_it(&c->positions[i].presence, board, channel))
                        snprintf(ret, size, "Presence in slot %s, position %u, on: %s",
                                 c->slots[c->positions[i].slot].label, c->positions[i].number,
                                 c->positions[i].presence.active ? "occupied" : "empty");
        for (int i = 0; i < c->n_alarms; i++)
                if (is_it(&c->alarms[i].input, board, channel))
                        snprintf(ret, size, "Alarm %s, on: %s", c->alarms[i].name,
                                 c->alarms[i].input.active ? "alarm" : "quiet");
}

static void print_line(const char *board, const char *kind, unsigned channel, const GpioRef *ref,
                       const char *user) {
        char line[64];

        if (ref->name)
                snprintf(line, sizeof(line), "%s", ref->name);
        else if (ref->chip)
                snprintf(line, sizeof(line), "%s:%u", ref->chip, ref->offset);
        else
                snprintf(line, sizeof(line), "-");
        printf("  %s:%-3u %-6s  %-24s  %-11s  %s\n", board, channel + 1, kind, line,
               ref->name || ref->chip ? ref->active_low ? "active-low" : "active-high" : "", user);
}

void wiring_print(const Cabinet *c) {
        char user[USER_MAX];

        for (int i = 0; i < c->n_boards; i++) {
                const Board *b = &c->boards[i];
                for (unsigned k = 0; k < b->n_outputs; k++) {
                        output_user(c, i, k, user, sizeof(user));
                        print_line(b->name, "output", k, &b->outputs[k], user);
                }
                for (unsigned k = 0; k < b->n_inputs; k++) {
                        input_user(c, i, k, user, sizeof(user));
                        print_line(b->name, "input", k, &b->inputs[k], user);
                }
        }
}
