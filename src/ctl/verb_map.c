/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/map.h"
#include "ctl/marks.h"

static const char *letter_text(const Ctl *c, const Mark *m, char buffer[2]) {
        if (m->letter == '.' && c->utf8)
                return "·";
        buffer[0] = m->letter;
        buffer[1] = 0;
        return buffer;
}

/* Only the letters that occur; free and parcel always, so that the picture of an idle cabinet has a
 * legend too. */
static void print_legend(const Ctl *c, const json_t *slots) {
        bool used[32] = {[0] = true, [1] = true};
        const json_t *slot, *position;
        unsigned x = 0;
        size_t i, k;

        json_array_foreach(slots, i, slot) {
                const Mark *door = mark_door(slot);
                if (door)
                        used[door - marks] = true;
                json_array_foreach(json_object_get(slot, "positions"), k, position)
                        used[mark_position(slot, position) - marks] = true;
        }
        for (const Mark *m = marks; m->letter; m++) {
                char buffer[2];
                if (!used[m - marks])
                        continue;
                unsigned width = 2 + (unsigned)strlen(m->meaning);
                if (x && x + 3 + width > c->width) {
                        putchar('\n');
                        x = 0;
                }
                if (x)
                        fputs("   ", stdout);
                printf("%s%s%s %s", style_on(c, m->style), letter_text(c, m, buffer), style_off(c, m->style),
                       m->meaning);
                x += width + (x ? 3 : 0);
        }
        putchar('\n');
}

static int print_alarms(const Ctl *c, const json_t *slots) {
        bool first = true;
        const json_t *slot, *sentence;
        size_t i, k;

        json_array_foreach(slots, i, slot) {
                _cleanup_json_ json_t *alarms = slot_alarms(slot);
                if (!alarms)
                        return ctl_oom(c);
                json_array_foreach(alarms, k, sentence) {
                        _cleanup_free_ char *shown = text_printable(json_string_value(sentence));
                        if (first)
                                putchar('\n');
                        first = false;
                        unsigned indent = 3 + MAX((unsigned)strlen(json_text(slot, "label")), 4U);
                        printf("%s!%s %s%-4s%s ", style_on(c, STYLE_RED), style_off(c, STYLE_RED),
                               style_on(c, STYLE_BOLD), json_text(slot, "label"), style_off(c, STYLE_BOLD));
                        text_wrap(shown ? shown : "", indent, indent, wrap_width(c));
                }
        }
        return 0;
}

static void print_heading(const Ctl *c, const Snapshot *s) {
        unsigned n_free = 0, n_parcels = 0, n_positions = 0;
        const json_t *slot, *position;
        size_t i, k;

        json_array_foreach(s->slots, i, slot)
                json_array_foreach(json_object_get(slot, "positions"), k, position) {
                n_positions++;
                n_free += position_is_free(slot, position);
                n_parcels += position_has_parcel(position);
        }
        _cleanup_free_ char *number = text_printable(json_text(s->cabinet, "number"));
        _cleanup_free_ char *name = text_printable(json_text(s->cabinet, "name"));
        char counts[128];
        snprintf(counts, sizeof(counts), "%u free, %u with a parcel, of %u%s", n_free, n_parcels, n_positions,
                 n_positions == json_array_size(s->slots) ? "" : " positions");
        unsigned width = text_width(number ? number : "") + 2 + text_width(name ? name : "") + 2 +
                         (unsigned)strlen(counts);
        printf("%s%s%s  %s%s%s\n", style_on(c, STYLE_BOLD), number ? number : "", style_off(c, STYLE_BOLD),
               name ? name : "", width > c->width ? "\n" : ": ", counts);
}

static int run_map(Ctl *c, const Args *a) {
        _cleanup_snapshot_ Snapshot s = {0};

        int status = snapshot_read(c, !c->json && !c->no_legend, &s);
        if (status)
                return status;
        if (c->json)
                return json_print(c, json_incref(s.slots), false);
        if (!c->no_legend)
                print_heading(c, &s);
        status = map_draw(c, s.slots);
        if (status)
                return status;
        if (!c->no_legend)
                print_legend(c, s.slots);
        return print_alarms(c, s.slots);
}

const Verb verb_map = {
        .name = "map",
        .summary = "Draw the cabinet as seen from the front",
        .details =
                "Each door shows its label, one letter for each position inside and, at the right, how the "
                "door is. A legend explains the letters that occur; what needs attention is listed "
                "below it.",
        .run = run_map,
};
