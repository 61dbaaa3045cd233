/* SPDX-License-Identifier: Apache-2.0 */
/* [Slot] and [Position] sections: their keys into drafts, their names into slots and positions. */
#include "config/array.h"
#include "config/cabinet_draft.h"
#include "config/keys.h"

#include <errno.h>
#include <strings.h>

#define RELEASE_MS_DEFAULT 1500

static const KeyChoice temperatures[] = {{"ambient", TEMPERATURE_AMBIENT},
                                         {"chilled", TEMPERATURE_CHILLED},
                                         {"frozen", TEMPERATURE_FROZEN},
                                         {}};
static const KeyChoice lock_kinds[] = {{"latch", LOCK_LATCH}, {"motor", LOCK_MOTOR}, {}};
static const KeyChoice on_off[] = {{"on", 1}, {"off", 0}, {}};
static const KeyChoice size_sentence[] = {{"the NAME of a [Size NAME]", 0}, {}};
static const KeyChoice channels_sentence[] = {{"BOARD:CHANNEL or a list such as A:1-4,B:3", 0}, {}};

#define WIRE_KEY(label, wire, ...) \
        CONFIG_KEY(label, key_entry, Draft, wires[wire].entry, .choices = channels_sentence, __VA_ARGS__)
#define WHEN_KEY(label, wire) CONFIG_KEY(label, key_choice, Draft, wires[wire].active, .choices = on_off)

/* Keys that a door and a lid have in common. */
#define LOCK_KEYS                                                                                            \
        CONFIG_KEY("LockType", key_choice, Draft, kind, .choices = lock_kinds),                              \
                WIRE_KEY("Secure", WIRE_SECURE), WIRE_KEY("Door", WIRE_DOOR), WIRE_KEY("Latch", WIRE_LATCH), \
                WIRE_KEY("Presence", WIRE_PRESENCE), WHEN_KEY("DoorClosedWhen", WIRE_DOOR),                  \
                WHEN_KEY("LatchLockedWhen", WIRE_LATCH), WHEN_KEY("PresenceOccupiedWhen", WIRE_PRESENCE),    \
                CONFIG_KEY("Pulse", key_msec, Draft, pulse_ms, .min = 10, .max = 10000),                     \
                CONFIG_KEY("ReleaseTime", key_msec, Draft, release_ms, .min = 100, .max = 30000)

/* clang-format off */
static const ConfigKey slot_keys[] = {
        CONFIG_KEY("Size", key_entry, Draft, size, .choices = size_sentence, .required = true),
        CONFIG_KEY("Accessible", key_bool, Draft, accessible),
        CONFIG_KEY("Temperature", key_choice, Draft, temperature, .choices = temperatures),
        CONFIG_KEY("Column", key_unsigned, Draft, column, .min = 1, .max = 200, .required = true),
        CONFIG_KEY("Row", key_unsigned, Draft, row, .min = 1, .max = 200, .required = true),
        CONFIG_KEY("Height", key_unsigned, Draft, height, .min = 1, .max = 50),
        CONFIG_KEY("Wrap", key_unsigned, Draft, wrap, .min = 1, .max = 200),
        WIRE_KEY("Lock", WIRE_LOCK, .required = true),
        WIRE_KEY("Release", WIRE_RELEASE),
        WIRE_KEY("Lamp", WIRE_LAMP),
        WHEN_KEY("ReleasePressedWhen", WIRE_RELEASE),
        CONFIG_KEY("ReleaseDebounce", key_msec, Draft, release_debounce_ms, .min = SAFETY_DEBOUNCE_MIN, .max = SAFETY_DEBOUNCE_MAX),
        LOCK_KEYS,
};
static const ConfigKey position_keys[] = {
        WIRE_KEY("Lock", WIRE_LOCK),
        LOCK_KEYS,
};
/* clang-format on */

static const Draft draft_default = {
        .height = 1,
        .release_ms = RELEASE_MS_DEFAULT,
        .release_debounce_ms = SAFETY_DEBOUNCE_DEFAULT,
        .wires = {[WIRE_LOCK].active = -1,
                  [WIRE_SECURE].active = -1,
                  [WIRE_DOOR].active = -1,
                  [WIRE_LATCH].active = -1,
                  [WIRE_RELEASE].active = -1,
                  [WIRE_PRESENCE].active = -1,
                  [WIRE_LAMP].active = -1},
};

static int resolve_size(Builder *b, const Draft *d) {
        if (!d->size)
                return -1;

        int size = cabinet_find_size(b->cabinet, d->size->value);
        if (size < 0) {
                Suggestion suggestion = {.typed = d->size->value};
                for (int i = 0; i < b->cabinet->n_sizes; i++)
                        suggestion_offer(&suggestion, b->cabinet->sizes[i].name);
                complain(b->complaints, d->section, d->size, "there is no [Size %s]" SUGGESTION_FORMAT,
                         d->size->value, SUGGESTION_ARGS(suggestion));
        }
        return size;
}

/* "01" and "01" are the same door; "a1" and "A1" cannot be distinguished when spoken. */
static bool label_is_taken(const Builder *b, const char *label, const IniSection **ret_first) {
        for (int i = 0; i < b->cabinet->n_slots; i++)
                if (strcasecmp(b->cabinet->slots[i].label, label) == 0) {
                        *ret_first = b->slot_drafts[b->slot_origins[i].draft].section;
                        return true;
                }
        return false;
}

/* False: stop expanding this section. */
static bool add_slot(Builder *b, size_t draft, unsigned nth, int size, const char *label) {
        const Draft *d = &b->slot_drafts[draft];
        Cabinet *c = b->cabinet;

        if (c->n_slots >= SLOTS_MAX) {
                complain(b->complaints, d->section, NULL,
                         "the cabinet has more than %d slots; that many are allowed", SLOTS_MAX);
                return false;
        }
        Slot *slot = ARRAY_PUSH(c->slots, c->n_slots);
        if (!slot) {
                complaints_broken(b->complaints, -ENOMEM);
                return false;
        }
        slot->label = strdup(label);
        Origin *origin = slot->label ? ARRAY_PUSH(b->slot_origins, b->n_slot_origins) : NULL;
        if (!origin) {
                complaints_broken(b->complaints, -ENOMEM);
                free(slot->label);
                c->n_slots--;
                return false;
        }
        *origin = (Origin){.draft = draft, .nth = nth};

        /* A column of a range takes Wrap rows, beginning at Row; without Wrap it takes them all. */
        unsigned per_column = d->wrap >= d->height ? d->wrap / d->height : UINT32_MAX;
        slot->size = size;
        slot->accessible = d->accessible;
        slot->temperature = d->temperature;
        slot->column = d->column + nth / per_column;
        slot->row = d->row + nth % per_column * d->height;
        slot->height = d->height;
        slot->lock = -1;
        slot->release.board = -1;
        slot->lamp.board = -1;
        return true;
}

static void read_slot(Builder *b, const IniSection *s) {
        Draft *d = ARRAY_PUSH(b->slot_drafts, b->n_slot_drafts);
        LabelRange labels;

        if (!d) {
                complaints_broken(b->complaints, -ENOMEM);
                return;
        }
        *d = draft_default;
        d->section = s;
        keys_apply(b->complaints, s, slot_keys, ARRAY_SIZE(slot_keys), d);
        if (d->wrap > 0 && d->wrap < d->height)
                complain(b->complaints, s, ini_section_find(s, "Wrap"),
                         "a column of %u rows has no room for a slot of %u; at least Height is allowed",
                         d->wrap, d->height);

        const char *wrong = label_range_parse(s->name, strlen(s->name), &labels);
        if (wrong) {
                complain(b->complaints, s, NULL, "%s; write [Slot 07] or [Slot 01-12]", wrong);
                return;
        }
        d->n = labels.count;
        int size = resolve_size(b, d);
        bool taken = false;
        for (unsigned i = 0; i < labels.count; i++) {
                char label[LABEL_LENGTH_MAX + 1];
                const IniSection *first;
                label_range_get(&labels, i, label);
                /* Once a section; the slot is added all the same, to avoid further errors. */
                if (!taken && label_is_taken(b, label, &first)) {
                        complain(b->complaints, s, NULL,
                                 "the label \"%s\" is already used by [%s] in line %u; labels must differ",
                                 label, first->title, first->line);
                        taken = true;
                }
                if (!add_slot(b, b->n_slot_drafts - 1, i, size, label))
                        return;
        }
}

static bool add_position(Builder *b, size_t draft, unsigned nth, int slot, unsigned number) {
        PositionDraft *p = ARRAY_PUSH(b->positions, b->n_positions);

        if (!p) {
                complaints_broken(b->complaints, -ENOMEM);
                return false;
        }
        *p = (PositionDraft){.slot = slot, .number = number, .origin = {.draft = draft, .nth = nth}};
        return true;
}

static void spread_positions(Builder *b, Draft *d, const LabelRange *labels, unsigned first, unsigned last) {
        unsigned per_slot = last - first + 1;

        d->n = labels->count * per_slot;
        if (b->n_positions + d->n > POSITIONS_MAX) {
                complain(b->complaints, d->section, NULL,
                         "the cabinet has more than %d positions; that many are allowed", POSITIONS_MAX);
                return;
        }
        for (unsigned i = 0; i < labels->count; i++) {
                char label[LABEL_LENGTH_MAX + 1];
                label_range_get(labels, i, label);
                int slot = cabinet_find_slot(b->cabinet, label);
                if (slot < 0) {
                        complain(b->complaints, d->section, NULL,
                                 "there is no slot \"%s\"; positions need a [Slot %s]", label, label);
                        return;
                }
                for (unsigned n = first; n <= last; n++)
                        if (!add_position(b, b->n_position_drafts - 1, i * per_slot + n - first, slot, n))
                                return;
        }
}

static void read_position(Builder *b, const IniSection *s) {
        Draft *d = ARRAY_PUSH(b->position_drafts, b->n_position_drafts);
        LabelRange labels;
        unsigned first, last;

        if (!d) {
                complaints_broken(b->complaints, -ENOMEM);
                return;
        }
        *d = draft_default;
        d->section = s;
        keys_apply(b->complaints, s, position_keys, ARRAY_SIZE(position_keys), d);

        const char *slash = strchr(s->name, '/');
        const char *wrong = slash ? label_range_parse(s->name, (size_t)(slash - s->name), &labels)
                                  : "the number of the position is missing";
        if (!wrong)
                wrong = number_range_parse(slash + 1, strlen(slash + 1), SLOT_POSITIONS_MAX, &first, &last);
        if (wrong)
                complain(b->complaints, s, NULL, "%s; write [Position P1/1-6], with numbers from 1 to %d",
                         wrong, SLOT_POSITIONS_MAX);
        else
                spread_positions(b, d, &labels, first, last);
}

static int compare_positions(const void *a, const void *b) {
        const PositionDraft *x = a, *y = b;

        if (x->slot != y->slot)
                return x->slot < y->slot ? -1 : 1;
        if (x->number != y->number)
                return x->number < y->number ? -1 : 1;
        /* Equal ones are reported in the order of the file. */
        return x->origin.draft < y->origin.draft ? -1 : x->origin.draft > y->origin.draft;
}

static bool push_position(Builder *b, int slot, unsigned number) {
        Cabinet *c = b->cabinet;
        Position *p = ARRAY_PUSH(c->positions, c->n_positions);

        if (!p) {
                complaints_broken(b->complaints, -ENOMEM);
                return false;
        }
        *p = (Position){.slot = slot, .number = number, .lock = -1, .presence = {.board = -1}};
        c->slots[slot].n_positions++;
        return true;
}

/* Grouped by slot, in the order of slots; a slot without a section of positions has one plain position.
 * The drafts of the others stay in b->positions, in the same order, so that wiring finds them again. */
static void place_positions(Builder *b) {
        Cabinet *c = b->cabinet;
        size_t next = 0;

        if (b->n_positions > 1)
                qsort(b->positions, b->n_positions, sizeof(*b->positions), compare_positions);
        for (int slot = 0; slot < c->n_slots; slot++) {
                unsigned expected = 1;
                c->slots[slot].first_position = c->n_positions;
                for (; next < b->n_positions && b->positions[next].slot == slot; next++) {
                        const PositionDraft *p = &b->positions[next];
                        const IniSection *s = b->position_drafts[p->origin.draft].section;
                        if (p->number < expected)
                                complain(b->complaints, s, NULL,
                                         "position %s/%u is already described; once is allowed",
                                         c->slots[slot].label, p->number);
                        else if (p->number > expected)
                                complain(b->complaints, s, NULL,
                                         "position %s/%u is missing; the positions of a slot count from 1 "
                                         "without a gap",
                                         c->slots[slot].label, expected);
                        expected = p->number + 1;
                        if (!push_position(b, slot, p->number))
                                return;
                }
                if (expected == 1 && !push_position(b, slot, 1))
                        return;
        }
}

void builder_read_slots(Builder *b) {
        for (size_t i = 0; i < b->file->n_sections; i++)
                if (streq(b->file->sections[i].kind, "Slot"))
                        read_slot(b, &b->file->sections[i]);
        /* Positions may stand above the slots they belong to. */
        for (size_t i = 0; i < b->file->n_sections; i++)
                if (streq(b->file->sections[i].kind, "Position"))
                        read_position(b, &b->file->sections[i]);
        if (b->cabinet->n_slots == 0 && ini_file_count(b->file, "Slot") == 0)
                complain_at(b->complaints, b->file->path, 0,
                            "the cabinet has no [Slot …]; at least one is required");
        place_positions(b);
}
