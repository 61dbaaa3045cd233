/* SPDX-License-Identifier: Apache-2.0 */
/* Showing slots, and the operator's actions on them. */
#include "ctl/marks.h"

static void add_note(char *notes, size_t size, const char *note) {
        size_t n = strlen(notes);
        snprintf(notes + n, size - n, "%s%s", n ? ", " : "", note);
}

static void slot_notes(const json_t *slot, char *notes, size_t size) {
        const char *reason = json_text(slot, "service_reason"), *temperature = json_text(slot, "temperature");

        notes[0] = 0;
        if (!json_flag(slot, "board_online"))
                add_note(notes, size, "board offline");
        if (json_flag(slot, "in_use"))
                add_note(notes, size, "in use");
        if (json_flag(slot, "accessible"))
                add_note(notes, size, "accessible");
        if (*temperature && !streq(temperature, "ambient"))
                add_note(notes, size, temperature);
        if (*reason)
                add_note(notes, size, reason);
}

static Style door_style(const char *door) {
        if (streq(door, "locked") || streq(door, "none"))
                return STYLE_PLAIN;
        return streq(door, "open") || streq(door, "releasing") || streq(door, "closing") ? STYLE_YELLOW
                                                                                         : STYLE_RED;
}

static Style service_style(const char *service) {
        if (streq(service, "in"))
                return STYLE_PLAIN;
        return streq(service, "disabled") ? STYLE_DIM : STYLE_RED;
}

static int print_slots(const Ctl *c, const json_t *slots) {
        static const char *const headings[] = {"SLOT", "~SIZE",    "DOOR",   "SERVICE", ">FREE",
                                               ">~OF", ">PARCELS", "~BOARD", "NOTES",   NULL};
        _cleanup_(table_freep) Table *table = table_new(headings);
        const json_t *slot, *position;
        size_t i, k;

        json_array_foreach(slots, i, slot) {
                const char *door = json_text(slot, "door"), *service = json_text(slot, "service");
                const json_t *positions = json_object_get(slot, "positions");
                unsigned free = 0, parcels = 0;
                char notes[256];

                json_array_foreach(positions, k, position) {
                        free += position_is_free(slot, position);
                        parcels += position_has_parcel(position);
                }
                slot_notes(slot, notes, sizeof(notes));
                table_cell(table, STYLE_BOLD, "%s", json_text(slot, "label"));
                table_cell(table, STYLE_PLAIN, "%s", json_text(slot, "size"));
                table_cell(table, door_style(door), "%s", door);
                table_cell(table, service_style(service), "%s", service);
                table_cell(table, STYLE_PLAIN, "%u", free);
                table_cell(table, STYLE_PLAIN, "%zu", json_array_size(positions));
                table_cell(table, STYLE_PLAIN, "%u", parcels);
                table_cell(table, STYLE_PLAIN, "%s", json_text(slot, "board"));
                table_cell(table, STYLE_PLAIN, "%s", notes);
        }
        return table_print(c, table);
}

static int print_positions(const Ctl *c, const json_t *slot) {
        static const char *const headings[] = {"POSITION", "SERVICE", "LOCK",   "SENSOR",
                                               "STATE",    ">PARCEL", "REASON", NULL};
        _cleanup_(table_freep) Table *table = table_new(headings);
        const json_t *position;
        size_t i;

        json_array_foreach(json_object_get(slot, "positions"), i, position) {
                const char *lock = json_text(position, "lock"), *service = json_text(position, "service");
                unsigned long long parcel = json_number(position, "parcel");
                table_cell(table, STYLE_BOLD, "%s/%llu", json_text(slot, "label"),
                           (unsigned long long)json_number(position, "number"));
                table_cell(table, service_style(service), "%s", service);
                table_cell(table, door_style(lock), "%s", lock);
                table_cell(table, STYLE_PLAIN, "%s", json_text(position, "presence"));
                table_cell(table, mark_position(slot, position)->style, "%s", json_text(position, "state"));
                if (parcel)
                        table_cell(table, STYLE_PLAIN, "%llu", parcel);
                else
                        table_cell(table, STYLE_DIM, "-");
                table_cell(table, STYLE_PLAIN, "%s", json_text(position, "reason"));
        }
        return table_print(c, table);
}

static int run_slots(Ctl *c, const Args *a) {
        _cleanup_snapshot_ Snapshot s = {0};
        _cleanup_json_ json_t *wanted = NULL;
        json_t *slot;
        size_t i;

        int status = snapshot_read(c, false, &s);
        if (status)
                return status;
        if (!a->n_words)
                return c->json ? json_print(c, json_incref(s.slots), false) : print_slots(c, s.slots);
        json_array_foreach(s.slots, i, slot) {
                if (streq(json_text(slot, "label"), a->words[0]))
                        wanted = json_pack("[O]", slot);
        }
        if (!wanted)
                return ctl_fail(c, LOCKERCTL_UNKNOWN,
                                "There is no slot %s in this cabinet. See: lockerctl slots", a->words[0]);
        if (c->json)
                return json_print(c, json_incref(wanted), false);
        status = print_slots(c, wanted);
        putchar('\n');
        return status ? status : print_positions(c, json_array_get(wanted, 0));
}

const Verb verb_slots = {
        .name = "slots",
        .usage = "[SLOT]",
        .summary = "List the slots, or show one with its positions",
        .max_words = 1,
        .run = run_slots,
};

/* Everything an act on a slot needs. */
typedef struct Act {
        char *label, *path, *what, *reason;
        uint32_t position;
} Act;

static void act_done(Act *act) {
        free(act->label);
        free(act->path);
        free(act->what);
        free(act->reason);
}

static int act_prepare(Ctl *c, const Args *a, Act *act) {
        int status = parse_place(c, a->words[0], &act->label, &act->position);
        if (!status)
                status = args_reason(c, a, &act->reason);
        if (status)
                return status;
        if (sd_bus_path_encode(LOCKERD_PATH_SLOT, act->label, &act->path) < 0 ||
            asprintf(&act->what, "slot %s", act->label) < 0)
                return ctl_oom(c);
        return 0;
}

static int act_tell(const Ctl *c, const Act *act, const char *verb, const char *door_text,
                    const char *position_text) {
        if (c->json)
                return json_print(c,
                                  json_pack("{s:s, s:s, s:o}", "done", verb, "slot", act->label, "position",
                                            act->position ? json_integer(act->position) : json_null()),
                                  false);
        if (act->position)
                printf("Slot %s, position %u%s\n", act->label, act->position, position_text);
        else
                printf("Slot %s%s\n", act->label, door_text);
        return 0;
}

static int run_act(Ctl *c, const Args *a, const char *member, const char *door_text,
                   const char *position_text) {
        _cleanup_(act_done) Act act = {0};

        int status = act_prepare(c, a, &act);
        if (!status)
                status = ctl_call(c, act.path, LOCKERD_INTERFACE_SLOT, member, act.what, NULL, "us",
                                  act.position, act.reason);
        return status ? status : act_tell(c, &act, a->verb->name, door_text, position_text);
}

static int run_open(Ctl *c, const Args *a) {
        return run_act(c, a, "Open", " is open.", " is open.");
}

static int run_disable(Ctl *c, const Args *a) {
        return run_act(c, a, "Disable", " is out of service.", " is out of service.");
}

static int run_enable(Ctl *c, const Args *a) {
        return run_act(c, a, "Enable", " is in service.", " is in service.");
}

static int run_reconcile(Ctl *c, const Args *a) {
        _cleanup_(act_done) Act act = {0};
        const char *found = a->words[1];

        if (!streq(found, "parcel") && !streq(found, "empty"))
                return ctl_usage(c, a, "Say what you found: \"parcel\" or \"empty\".");
        int status = act_prepare(c, a, &act);
        if (status)
                return status;
        if (!act.position)
                return ctl_usage(c, a, "Which position? For example %s/1.", act.label);
        if (streq(found, "empty") &&
            !ask_confirm(c, "If the ledger has a parcel there, it ends now. Is the position really empty?"))
                return ctl_fail(c, LOCKERCTL_FAILED, "Given up.");
        status = ctl_call(c, act.path, LOCKERD_INTERFACE_SLOT, "Reconcile", act.what, NULL, "uss",
                          act.position, found, act.reason);
        return status ? status
                      : act_tell(c, &act, a->verb->name, "",
                                 streq(found, "parcel") ? ": the parcel is again what it was."
                                                        : " is empty.");
}

const Verb verb_open = {
        .name = "open",
        .usage = "SLOT[/POSITION] --reason TEXT",
        .summary = "Open a door, or a door and one position's lock",
        .details = "Returns when the door is really open; an acknowledgement of the lock board is not taken "
                   "for it.",
        .options = reason_options,
        .min_words = 1,
        .max_words = 1,
        .run = run_open,
};

const Verb verb_disable = {
        .name = "disable",
        .usage = "SLOT[/POSITION] --reason TEXT",
        .summary = "Take a slot or a position out of service",
        .details = "Nothing is deposited there any more; what lies there can still be collected.",
        .options = reason_options,
        .min_words = 1,
        .max_words = 1,
        .run = run_disable,
};

const Verb verb_enable = {
        .name = "enable",
        .usage = "SLOT[/POSITION] --reason TEXT",
        .summary = "Put a slot or a position back into service",
        .details = "Also ends a quarantine. For a slot this includes all its positions.",
        .options = reason_options,
        .min_words = 1,
        .max_words = 1,
        .run = run_enable,
};

const Verb verb_reconcile = {
        .name = "reconcile",
        .usage = "SLOT/POSITION parcel|empty --reason TEXT",
        .summary = "Record what lies in a position, after looking",
        .details = "With \"parcel\" an unverified parcel is again what it was: stored, rejected or recalled. "
                   "With "
                   "\"empty\" the parcel that the ledger has there ends as returned (a reservation as "
                   "cancelled), and a quarantine ends. Refused while an errand is under way there.",
        .options = reason_options,
        .min_words = 2,
        .max_words = 2,
        .run = run_reconcile,
};
