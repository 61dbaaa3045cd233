/* SPDX-License-Identifier: Apache-2.0 */
/* Doors and lids: from the channels of a section to a lock for each of its slots or positions, and the
 * alarms. Refuses dangerous configurations: a lock without a sensor, a pulse that damages a coil. */
#include "config/array.h"
#include "config/cabinet_draft.h"
#include "config/keys.h"

#include <errno.h>

typedef struct AlarmDraft {
        const IniEntry *input, *slots;
        int active;
        unsigned debounce_ms;
} AlarmDraft;

static const KeyChoice on_off[] = {{"on", 1}, {"off", 0}, {}};
static const KeyChoice channel_sentence[] = {{"BOARD:CHANNEL such as A:14", 0}, {}};
static const KeyChoice slots_sentence[] = {{"all, or a list of labels and ranges such as 01-06,11", 0}, {}};

static const ConfigKey alarm_keys[] = {
        CONFIG_KEY("Input", key_entry, AlarmDraft, input, .choices = channel_sentence, .required = true),
        CONFIG_KEY("ActiveWhen", key_choice, AlarmDraft, active, .choices = on_off),
        CONFIG_KEY("Debounce", key_msec, AlarmDraft, debounce_ms, .min = SAFETY_DEBOUNCE_MIN,
                   .max = SAFETY_DEBOUNCE_MAX),
        CONFIG_KEY("Slots", key_entry, AlarmDraft, slots, .choices = slots_sentence),
};

static void check_feedback(Builder *b, const Draft *d) {
        const IniEntry *lock = d->wires[WIRE_LOCK].entry, *secure = d->wires[WIRE_SECURE].entry;

        if (!lock) {
                static const char *const keys[] = {"LockType", "Secure",         "Door",
                                                   "Latch",    "DoorClosedWhen", "LatchLockedWhen",
                                                   "Pulse",    "ReleaseTime"};
                /* [Slot] demands Lock= by itself. */
                for (size_t i = 0; i < ARRAY_SIZE(keys) && streq(d->section->kind, "Position"); i++) {
                        const IniEntry *e = ini_section_find(d->section, keys[i]);
                        if (e)
                                complain(b->complaints, d->section, e,
                                         "%s= belongs to a lock; Lock= is missing", keys[i]);
                }
                return;
        }
        if (!d->wires[WIRE_DOOR].entry && !d->wires[WIRE_LATCH].entry)
                complain(b->complaints, d->section, lock,
                         "this lock has no feedback, and an acknowledgement is not an opening; add Door= or "
                         "Latch=");
        if (d->kind == LOCK_MOTOR && !secure)
                complain(b->complaints, d->section, lock,
                         "LockType=motor needs Secure=, the output that locks again");
        if (d->kind == LOCK_LATCH && secure)
                complain(b->complaints, d->section, secure,
                         "LockType=latch locks by itself; Secure= belongs to LockType=motor");
}

static void check_when(Builder *b, const Draft *d) {
        static const struct {
                Wire wire;
                const char *when, *needs;
        } pairs[] = {{WIRE_DOOR, "DoorClosedWhen", "Door"},
                     {WIRE_LATCH, "LatchLockedWhen", "Latch"},
                     {WIRE_RELEASE, "ReleasePressedWhen", "Release"},
                     {WIRE_RELEASE, "ReleaseDebounce", "Release"},
                     {WIRE_PRESENCE, "PresenceOccupiedWhen", "Presence"}};

        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
                const IniEntry *e = ini_section_find(d->section, pairs[i].when);
                if (e && !d->wires[pairs[i].wire].entry && d->wires[WIRE_LOCK].entry)
                        complain(b->complaints, d->section, e, "%s= means nothing without %s=", pairs[i].when,
                                 pairs[i].needs);
        }
}

/* One complaint a section is enough: its locks share the key. */
static void check_pulse(Builder *b, const Draft *d) {
        const Channel *channels = d->wires[WIRE_LOCK].channels;
        const IniEntry *e = ini_section_find(d->section, "Pulse");

        for (unsigned i = 0; channels && d->pulse_ms && i < d->n; i++) {
                const BoardProfile *p = builder_profile(b, channels[i].board);
                if (d->pulse_ms < p->min_pulse_ms || d->pulse_ms > p->max_pulse_ms) {
                        complain(b->complaints, d->section, e,
                                 "outside what the profile %s allows: %ums to %ums", p->name, p->min_pulse_ms,
                                 p->max_pulse_ms);
                        return;
                }
                if (p->unlock == UNLOCK_FLASH && p->flash_unit_ms && d->pulse_ms % p->flash_unit_ms != 0) {
                        complain(b->complaints, d->section, e,
                                 "the profile %s makes multiples of %ums; only those are allowed", p->name,
                                 p->flash_unit_ms);
                        return;
                }
        }
}

static void check_secure(Builder *b, const Draft *d) {
        const Channel *open = d->wires[WIRE_LOCK].channels, *secure = d->wires[WIRE_SECURE].channels;

        for (unsigned i = 0; d->kind == LOCK_MOTOR && open && secure && i < d->n; i++)
                if (open[i].board != secure[i].board) {
                        complain(b->complaints, d->section, d->wires[WIRE_SECURE].entry,
                                 "%s:%u locks what %s:%u opens; both must be on the same board",
                                 b->cabinet->boards[secure[i].board].name, secure[i].channel + 1,
                                 b->cabinet->boards[open[i].board].name, open[i].channel + 1);
                        return;
                }
}

/* A lamp stays lit while the slot is open, and a Modbus relay keeps its state when lockerd terminates.
 */
static void check_lamp(Builder *b, const Draft *d) {
        const Channel *lamps = d->wires[WIRE_LAMP].channels;

        for (unsigned i = 0; lamps && i < d->n; i++) {
                const BoardProfile *p = builder_profile(b, lamps[i].board);
                if (p->protocol == BOARD_GPIO)
                        continue;
                complain(b->complaints, d->section, d->wires[WIRE_LAMP].entry,
                         "board %s is no group of GPIO lines, and only GPIO lines can be lamps; an output of "
                         "a board "
                         "on a "
                         "line with Device=gpio is allowed",
                         b->cabinet->boards[lamps[i].board].name);
                return;
        }
}

static bool is_output(int w) {
        return w == WIRE_LOCK || w == WIRE_SECURE || w == WIRE_LAMP;
}

static void wire_draft(Builder *b, Draft *d) {
        for (int w = 0; w < WIRE_MAX; w++) {
                WireDraft *wire = &d->wires[w];
                if (wire->entry)
                        wire->channels =
                                builder_resolve_channels(b, d->section, wire->entry, is_output(w), d->n);
        }
        check_feedback(b, d);
        check_when(b, d);
        check_pulse(b, d);
        check_secure(b, d);
        check_lamp(b, d);
}

static InputRef draft_input(const Builder *b, const Draft *d, Wire w, unsigned nth) {
        const Channel *channels = d->wires[w].channels;

        return builder_input(b, channels ? &channels[nth] : NULL, d->wires[w].active);
}

/* Index of the new lock, -1 when there is none. */
static int add_lock(Builder *b, const Draft *d, unsigned nth, int slot, int position) {
        const Channel *open = d->wires[WIRE_LOCK].channels, *secure = d->wires[WIRE_SECURE].channels;
        Cabinet *c = b->cabinet;

        if (!open)
                return -1;
        const BoardProfile *profile = builder_profile(b, open[nth].board);
        Lock *lock = ARRAY_PUSH(c->locks, c->n_locks);
        if (!lock) {
                complaints_broken(b->complaints, -ENOMEM);
                return -1;
        }
        *lock = (Lock){
                .slot = slot,
                .position = position,
                .kind = d->kind,
                .board = open[nth].board,
                .coil = open[nth].channel,
                .secure_coil = d->kind == LOCK_MOTOR && secure ? (int)secure[nth].channel : -1,
                .pulse_ms = d->pulse_ms ? d->pulse_ms : profile->pulse_ms,
                .release_ms = d->release_ms,
                .contact = draft_input(b, d, WIRE_DOOR, nth),
                .latch = draft_input(b, d, WIRE_LATCH, nth),
        };
        return c->n_locks - 1;
}

/* In a slot with several positions every recipient reaches all positions without a lock. */
static void check_neighbours(Builder *b, const Slot *slot, const PositionDraft *p, const Draft *d) {
        if (slot->n_positions > 1 && !d->wires[WIRE_LOCK].entry)
                complain(b->complaints, d->section, NULL,
                         "position %s/%u has no Lock=, and slot %s has %d positions; each needs a lock of "
                         "its own",
                         slot->label, p->number, slot->label, slot->n_positions);
}

static void wire_positions(Builder *b) {
        Cabinet *c = b->cabinet;
        size_t next = 0;

        for (int i = 0; i < c->n_positions; i++) {
                Position *position = &c->positions[i];
                const Slot *slot = &c->slots[position->slot];
                const Draft *of_slot = &b->slot_drafts[b->slot_origins[position->slot].draft];

                /* Drafts have the same order; a slot that is not among them has one plain position. */
                if (next >= b->n_positions || b->positions[next].slot != position->slot) {
                        position->presence =
                                draft_input(b, of_slot, WIRE_PRESENCE, b->slot_origins[position->slot].nth);
                        continue;
                }
                const PositionDraft *p = &b->positions[next++];
                const Draft *d = &b->position_drafts[p->origin.draft];
                check_neighbours(b, slot, p, d);
                position->presence = draft_input(b, d, WIRE_PRESENCE, p->origin.nth);
                position->lock = add_lock(b, d, p->origin.nth, position->slot, i);
                if (p->number == 1 && of_slot->wires[WIRE_PRESENCE].entry)
                        complain(b->complaints, of_slot->section, of_slot->wires[WIRE_PRESENCE].entry,
                                 "slot %s has [Position] sections; Presence= belongs there", slot->label);
        }
}

static void add_alarm_slot(Builder *b, const IniSection *s, const IniEntry *e, Alarm *alarm,
                           const char *label) {
        int slot = cabinet_find_slot(b->cabinet, label);

        if (slot < 0) {
                complain(b->complaints, s, e, "there is no slot \"%s\"", label);
                return;
        }
        for (int i = 0; i < alarm->n_slots; i++)
                if (alarm->slots[i] == slot)
                        return;
        int *element = ARRAY_PUSH(alarm->slots, alarm->n_slots);
        if (element)
                *element = slot;
        else
                complaints_broken(b->complaints, -ENOMEM);
}

static void read_alarm_slots(Builder *b, const IniSection *s, const IniEntry *e, Alarm *alarm) {
        alarm->all_slots = !e || streq(e->value, "all");
        for (const char *cursor = alarm->all_slots ? NULL : e->value; cursor;) {
                const char *item;
                size_t n;
                LabelRange labels;

                list_next(&cursor, &item, &n);
                const char *wrong = label_range_parse(item, n, &labels);
                if (wrong) {
                        complain(b->complaints, s, e, "%s; all, or a list such as 01-06,11 is allowed",
                                 wrong);
                        return;
                }
                for (unsigned i = 0; i < labels.count; i++) {
                        char label[LABEL_LENGTH_MAX + 1];
                        label_range_get(&labels, i, label);
                        add_alarm_slot(b, s, e, alarm, label);
                }
        }
}

static void read_alarm(Builder *b, const IniSection *s) {
        Cabinet *c = b->cabinet;
        AlarmDraft draft = {.active = -1, .debounce_ms = SAFETY_DEBOUNCE_DEFAULT};
        _cleanup_free_ Channel *channels = NULL;
        Alarm *alarm = ARRAY_PUSH(c->alarms, c->n_alarms);

        if (!alarm) {
                complaints_broken(b->complaints, -ENOMEM);
                return;
        }
        alarm->name = strdup(s->name);
        if (!alarm->name) {
                c->n_alarms--;
                complaints_broken(b->complaints, -ENOMEM);
                return;
        }
        if (!name_is_valid(s->name, NAME_LENGTH_MAX))
                complain(b->complaints, s, NULL,
                         "write [Alarm NAME]; letters, digits, \"-\", \"_\" and \".\" are allowed in the "
                         "name");
        for (int i = 0; i < c->n_alarms - 1; i++)
                if (streq(c->alarms[i].name, s->name))
                        complain(b->complaints, s, NULL, "there already is an [Alarm %s]; names must differ",
                                 s->name);

        keys_apply(b->complaints, s, alarm_keys, ARRAY_SIZE(alarm_keys), &draft);
        if (draft.input)
                channels = builder_resolve_channels(b, s, draft.input, false, 1);
        alarm->input = builder_input(b, channels, draft.active);
        alarm->input.debounce_ms = draft.debounce_ms;
        read_alarm_slots(b, s, draft.slots, alarm);
}

void builder_wire(Builder *b) {
        Cabinet *c = b->cabinet;

        b->board_uses = calloc(c->n_boards > 0 ? (size_t)c->n_boards : 1, sizeof(*b->board_uses));
        if (!b->board_uses) {
                complaints_broken(b->complaints, -ENOMEM);
                return;
        }
        for (size_t i = 0; i < b->n_slot_drafts; i++)
                wire_draft(b, &b->slot_drafts[i]);
        for (size_t i = 0; i < b->n_position_drafts; i++)
                wire_draft(b, &b->position_drafts[i]);
        for (int i = 0; i < c->n_slots; i++) {
                const Origin *origin = &b->slot_origins[i];
                const Draft *d = &b->slot_drafts[origin->draft];
                c->slots[i].lock = add_lock(b, d, origin->nth, i, -1);
                c->slots[i].release = draft_input(b, d, WIRE_RELEASE, origin->nth);
                c->slots[i].release.debounce_ms = d->release_debounce_ms;
                const Channel *lamps = d->wires[WIRE_LAMP].channels;
                if (lamps)
                        c->slots[i].lamp = (OutputRef){lamps[origin->nth].board, lamps[origin->nth].channel};
        }
        wire_positions(b);
        for (size_t i = 0; i < b->file->n_sections; i++)
                if (streq(b->file->sections[i].kind, "Alarm"))
                        read_alarm(b, &b->file->sections[i]);
}
