/* SPDX-License-Identifier: Apache-2.0 */
#include "core/cabinet.h"

#include <errno.h>

static const char *const temperature_names[TEMPERATURE_MAX] = {
        [TEMPERATURE_AMBIENT] = "ambient",
        [TEMPERATURE_CHILLED] = "chilled",
        [TEMPERATURE_FROZEN] = "frozen",
};

static void refs_free(GpioRef *refs, unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                free(refs[i].name);
                free(refs[i].chip);
        }
        free(refs);
}

bool reader_opens_itself(const IdentityReader *r) {
        return r->usb || r->kind == CREDENTIAL_FACE || r->kind == CREDENTIAL_VOICE;
}

Cabinet *cabinet_free(Cabinet *c) {
        if (!c)
                return NULL;
        for (int i = 0; i < c->n_sizes; i++) {
                free(c->sizes[i].name);
                free(c->sizes[i].label);
        }
        for (int i = 0; i < c->n_slots; i++)
                free(c->slots[i].label);
        for (int i = 0; i < c->n_boards; i++) {
                free(c->boards[i].name);
                refs_free(c->boards[i].outputs, c->boards[i].n_outputs);
                refs_free(c->boards[i].inputs, c->boards[i].n_inputs);
        }
        for (int i = 0; i < c->n_profiles; i++) {
                free(c->profiles[i].name);
                free(c->profiles[i].title);
        }
        for (int i = 0; i < c->n_lines; i++) {
                free(c->lines[i].name);
                free(c->lines[i].device);
        }
        for (int i = 0; i < c->n_supplies; i++)
                free(c->supplies[i].name);
        for (int i = 0; i < c->n_alarms; i++) {
                free(c->alarms[i].name);
                free(c->alarms[i].slots);
        }
        for (int i = 0; i < c->n_readers; i++) {
                free(c->readers[i].device);
                free(c->readers[i].id);
                free(c->readers[i].setup);
        }
        free(c->readers);
        free(c->sizes);
        free(c->slots);
        free(c->positions);
        free(c->locks);
        free(c->boards);
        free(c->profiles);
        free(c->lines);
        free(c->supplies);
        free(c->alarms);
        free(c->number);
        free(c->name);
        free(c->address);
        free(c->timezone);
        free(c);
        return NULL;
}

unsigned cabinet_board_outputs(const Cabinet *c, int board) {
        const BoardProfile *p = &c->profiles[c->boards[board].profile];

        return p->protocol == BOARD_GPIO ? c->boards[board].n_outputs : p->outputs;
}

unsigned cabinet_board_inputs(const Cabinet *c, int board) {
        const BoardProfile *p = &c->profiles[c->boards[board].profile];

        return p->protocol == BOARD_GPIO ? c->boards[board].n_inputs : p->inputs;
}

int cabinet_find_slot(const Cabinet *c, const char *label) {
        for (int i = 0; i < c->n_slots; i++)
                if (streq(c->slots[i].label, label))
                        return i;
        return -1;
}

int cabinet_find_size(const Cabinet *c, const char *name) {
        for (int i = 0; i < c->n_sizes; i++)
                if (streq(c->sizes[i].name, name))
                        return i;
        return -1;
}

int cabinet_find_position(const Cabinet *c, int slot, unsigned number) {
        if (slot < 0 || slot >= c->n_slots)
                return -1;

        const Slot *s = &c->slots[slot];
        for (int i = s->first_position; i < s->first_position + s->n_positions; i++)
                if (c->positions[i].number == number)
                        return i;
        return -1;
}

const char *temperature_to_string(Temperature t) {
        return (unsigned)t < TEMPERATURE_MAX ? temperature_names[t] : NULL;
}

int temperature_from_string(const char *s, Temperature *ret) {
        for (int i = 0; i < TEMPERATURE_MAX; i++)
                if (streq(temperature_names[i], s)) {
                        *ret = (Temperature)i;
                        return 0;
                }
        return -EINVAL;
}
