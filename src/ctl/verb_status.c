/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/marks.h"

typedef struct Counts {
        unsigned slots, positions, free, parcels, to_take_back, unverified, doors_open, out_of_service,
                alarms;
} Counts;

static Counts count(const Snapshot *s) {
        Counts n = {.slots = (unsigned)json_array_size(s->slots)};
        const json_t *slot, *position, *parcel;
        size_t i, k;

        json_array_foreach(s->slots, i, slot) {
                _cleanup_json_ json_t *alarms = slot_alarms(slot);
                const char *door = json_text(slot, "door");
                n.alarms += json_array_size(alarms) > 0;
                n.doors_open += streq(door, "open") || streq(door, "left_open") || streq(door, "forced");
                json_array_foreach(json_object_get(slot, "positions"), k, position) {
                        n.positions++;
                        n.free += position_is_free(slot, position);
                        n.out_of_service += !streq(json_text(slot, "service"), "in") ||
                                            !streq(json_text(position, "service"), "in");
                }
        }
        json_array_foreach(s->parcels, i, parcel) {
                const char *state = json_text(parcel, "state");
                n.parcels += position_has_parcel(parcel);
                n.to_take_back += streq(state, "rejected") || streq(state, "recalled") ||
                                  (streq(state, "stored") && json_flag(parcel, "expired"));
                n.unverified += streq(state, "unverified");
        }
        return n;
}

static Style health_style(const char *state) {
        if (streq(state, "ok"))
                return STYLE_GREEN;
        return streq(state, "failed") ? STYLE_RED : STYLE_YELLOW;
}

static const char *health_worst(const json_t *health) {
        const char *worst = "ok";
        const json_t *row;
        size_t i;

        json_array_foreach(health, i, row) {
                const char *state = json_text(row, "state");
                if (streq(state, "failed"))
                        return state;
                if (!streq(state, "ok"))
                        worst = streq(worst, "degraded") ? worst : state;
        }
        return worst;
}

static void line(const Ctl *c, const char *heading, Style style, const char *text) {
        _cleanup_free_ char *shown = text_printable(text);
        printf("%s%11s%s  %s", style_on(c, STYLE_BOLD), heading, style_off(c, STYLE_BOLD),
               style_on(c, style));
        text_wrap(shown ? shown : "", 13, 13, wrap_width(c));
        fputs(style_off(c, style), stdout);
}

static void print_sizes(const Ctl *c, const json_t *cabinet) {
        const json_t *free = json_object_get(cabinet, "free_positions"), *size;
        char text[512] = "";
        size_t n = 0, i;

        json_array_foreach(json_object_get(cabinet, "sizes"), i, size) {
                const char *name = json_text(size, "name"), *label = json_text(size, "label");
                bool both = *label && !streq(label, name);
                int k = snprintf(text + n, sizeof(text) - n, "%s%s%s%s%s %llu", n ? ", " : "", name,
                                 both ? " (" : "", both ? label : "", both ? ")" : "",
                                 (unsigned long long)json_number(free, name));
                if (k < 0 || (size_t)k >= sizeof(text) - n)
                        break;
                n += (size_t)k;
        }
        if (n)
                line(c, "Free", STYLE_PLAIN, text);
}

static void print_counts(const Ctl *c, const Counts *n) {
        char text[256];

        snprintf(text, sizeof(text), "%u with %u position%s: %u free, %u out of service", n->slots,
                 n->positions, n->positions == 1 ? "" : "s", n->free, n->out_of_service);
        line(c, "Slots", STYLE_PLAIN, text);
        snprintf(text, sizeof(text), "%u inside", n->parcels);
        if (n->to_take_back)
                snprintf(text + strlen(text), sizeof(text) - strlen(text), ", %u to be taken back",
                         n->to_take_back);
        if (n->unverified)
                snprintf(text + strlen(text), sizeof(text) - strlen(text), ", %u unverified", n->unverified);
        line(c, "Parcels", n->unverified ? STYLE_YELLOW : STYLE_PLAIN, text);
        if (n->doors_open)
                snprintf(text, sizeof(text), "%u open", n->doors_open);
        else
                snprintf(text, sizeof(text), "none open");
        line(c, "Doors", n->doors_open ? STYLE_YELLOW : STYLE_PLAIN, text);
        if (n->alarms) {
                snprintf(text, sizeof(text), "%u slot%s to look at: lockerctl map", n->alarms,
                         n->alarms == 1 ? "" : "s");
                line(c, "Alarms", STYLE_RED, text);
        }
}

static int print_health(const Ctl *c, const json_t *cabinet) {
        static const char *const headings[] = {"", "", "", "", NULL};
        _cleanup_(table_freep) Table *table = table_new(headings);
        const json_t *health = json_object_get(cabinet, "health"), *row;
        const char *worst = health_worst(health);
        Ctl plain = *c;
        size_t i;

        line(c, "Health", health_style(worst), worst);
        if (streq(worst, "ok"))
                return 0;
        json_array_foreach(health, i, row) {
                const char *state = json_text(row, "state");
                if (streq(state, "ok"))
                        continue;
                table_cell(table, STYLE_PLAIN, "%11s", "");
                table_cell(table, STYLE_PLAIN, "%s", json_text(row, "component"));
                table_cell(table, health_style(state), "%s", state);
                table_cell(table, STYLE_PLAIN, "%s", json_text(row, "sentence"));
        }
        plain.no_legend = true;
        return table_print(&plain, table);
}

/* The signing keys are shown also when everything is ok. */
static void print_keys(const Ctl *c, const json_t *cabinet) {
        const json_t *row;
        size_t i;

        json_array_foreach(json_object_get(cabinet, "health"), i, row) {
                if (streq(json_text(row, "component"), "signing-keys") &&
                    streq(json_text(row, "state"), "ok"))
                        line(c, "Keys", STYLE_PLAIN, json_text(row, "sentence"));
        }
}

static int print_status(const Ctl *c, const Snapshot *s, const Counts *n) {
        const json_t *cabinet = s->cabinet, *latitude = json_object_get(cabinet, "latitude");
        char text[256];

        snprintf(text, sizeof(text), "%s  %s", json_text(cabinet, "number"), json_text(cabinet, "name"));
        line(c, "Cabinet", STYLE_BOLD, text);
        if (*json_text(cabinet, "address"))
                line(c, "Address", STYLE_PLAIN, json_text(cabinet, "address"));
        if (json_is_number(latitude)) {
                snprintf(text, sizeof(text), "%.5f, %.5f", json_number_value(latitude),
                         json_number_value(json_object_get(cabinet, "longitude")));
                line(c, "Place", STYLE_PLAIN, text);
        }
        line(c, "lockerd", STYLE_PLAIN, json_text(cabinet, "version"));
        print_counts(c, n);
        print_sizes(c, cabinet);
        unsigned long long waiting = json_number(cabinet, "outbox_length");
        if (waiting)
                snprintf(text, sizeof(text), "%llu event%s not yet acknowledged by the backend", waiting,
                         waiting == 1 ? "" : "s");
        line(c, "Outbox", STYLE_PLAIN, waiting ? text : "empty");
        print_keys(c, cabinet);
        line(c, "Audit head", STYLE_PLAIN, json_text(cabinet, "audit_head"));
        return print_health(c, cabinet);
}

static int run_status(Ctl *c, const Args *a) {
        _cleanup_snapshot_ Snapshot s = {0};

        int status = snapshot_read(c, true, &s);
        if (status)
                return status;
        Counts n = count(&s);
        if (!c->json)
                return print_status(c, &s, &n);
        return json_print(c,
                          json_pack("{s:O, s:s, s:{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}}", "cabinet",
                                    s.cabinet, "health", health_worst(json_object_get(s.cabinet, "health")),
                                    "counts", "slots", (int)n.slots, "positions", (int)n.positions, "free",
                                    (int)n.free, "out_of_service", (int)n.out_of_service, "parcels",
                                    (int)n.parcels, "to_take_back", (int)n.to_take_back, "unverified",
                                    (int)n.unverified, "doors_open", (int)n.doors_open, "slots_to_look_at",
                                    (int)n.alarms),
                          false);
}

const Verb verb_status = {
        .name = "status",
        .summary = "Show the cabinet's health at a glance",
        .run = run_status,
};
