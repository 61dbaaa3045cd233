/* SPDX-License-Identifier: Apache-2.0 */
/* A canvas of characters, each of which has up to four arms: outlines of doors are drawn over one
 * another, and a character with three or four arms becomes a junction. One row of the wall is two
 * lines. */
#include "ctl/map.h"
#include "ctl/marks.h"

#define GRID_MAX 200 /* columns or rows; a larger wall is not plausible */
#define LABEL_WIDTH_MIN                                                                                    \
        8U                 /* the minimum of a label that is shown, even if the columns have to be wrapped \
                            */
#define CELL_WIDTH_MAX 14U /* wider doors are harder to read */

enum { ARM_UP = 1, ARM_DOWN = 2, ARM_LEFT = 4, ARM_RIGHT = 8 };

typedef struct Pixel {
        unsigned char arms;
        char letter;
        Style style;
} Pixel;

typedef struct Canvas {
        Pixel *pixels;
        unsigned width, height;
} Canvas;

typedef struct Layout {
        unsigned columns, rows;
        unsigned label_width, cell_width; /* cell: without its outline */
        unsigned door_x;                  /* of the door's letter in the cell */
        unsigned per_band;
} Layout;

static Pixel *canvas_at(Canvas *v, unsigned x, unsigned y) {
        return &v->pixels[y * v->width + x];
}

static void draw_box(Canvas *v, unsigned x0, unsigned y0, unsigned x1, unsigned y1) {
        for (unsigned x = x0; x < x1; x++) {
                canvas_at(v, x, y0)->arms |= ARM_RIGHT;
                canvas_at(v, x + 1, y0)->arms |= ARM_LEFT;
                canvas_at(v, x, y1)->arms |= ARM_RIGHT;
                canvas_at(v, x + 1, y1)->arms |= ARM_LEFT;
        }
        for (unsigned y = y0; y < y1; y++) {
                canvas_at(v, x0, y)->arms |= ARM_DOWN;
                canvas_at(v, x0, y + 1)->arms |= ARM_UP;
                canvas_at(v, x1, y)->arms |= ARM_DOWN;
                canvas_at(v, x1, y + 1)->arms |= ARM_UP;
        }
}

static void draw_text(Canvas *v, unsigned x, unsigned y, unsigned room, const char *text, Style style) {
        for (unsigned i = 0; i < room && text[i]; i++) {
                canvas_at(v, x + i, y)->letter = text[i];
                canvas_at(v, x + i, y)->style = style;
        }
}

/* Text that does not fit is shortened in the middle: labels differ at their ends. */
static void draw_label(Canvas *v, unsigned x, unsigned y, unsigned room, const char *label) {
        unsigned n = (unsigned)strlen(label), tail = room / 2;

        if (n <= room) {
                draw_text(v, x, y, room, label, STYLE_BOLD);
                return;
        }
        draw_text(v, x, y, room - tail - 1, label, STYLE_BOLD);
        draw_text(v, x + room - tail - 1, y, 1, "~", STYLE_DIM);
        draw_text(v, x + room - tail, y, tail, label + n - tail, STYLE_BOLD);
}

static bool slot_on_wall(const json_t *slot) {
        uint64_t column = json_number(slot, "column"), row = json_number(slot, "row"),
                 height = json_number(slot, "height");

        return column >= 1 && column <= GRID_MAX && row >= 1 && height >= 1 && row <= GRID_MAX &&
               height <= GRID_MAX && row + height - 1 <= GRID_MAX;
}

/* One mark a position, over as many lines as the door has; the number of parcels when that does not
 * fit. */
static void draw_marks(Canvas *v, const json_t *slot, unsigned x, unsigned y, unsigned width,
                       unsigned lines) {
        const json_t *positions = json_object_get(slot, "positions"), *position;
        size_t n = json_array_size(positions), parcels = 0, i;

        if (n > (size_t)width * lines) {
                char text[32];
                json_array_foreach(positions, i, position) parcels += position_has_parcel(position);
                snprintf(text, sizeof(text), "%zu/%zu", parcels, n);
                draw_text(v, x, y, width, text, STYLE_BLUE);
                return;
        }
        json_array_foreach(positions, i, position) {
                const Mark *mark = mark_position(slot, position);
                Pixel *p = canvas_at(v, x + (unsigned)i % width, y + (unsigned)i / width);
                p->letter = mark->letter;
                p->style = mark->style;
        }
}

/* " label marks   note flag" – the note goes below in a tall door, and is omitted where it does not
 * fit. */
static void draw_slot(Canvas *v, const json_t *slot, unsigned x0, unsigned y0, unsigned y1, const Layout *l) {
        unsigned lines = y1 - y0 - 1, n = (unsigned)json_array_size(json_object_get(slot, "positions"));
        unsigned marks_x = x0 + 2 + l->label_width + 1, room = x0 + l->door_x - 1 - marks_x;
        const Mark *door = mark_door(slot);
        char buffer[32];

        draw_label(v, x0 + 2, y0 + 1, l->label_width, json_text(slot, "label"));
        draw_marks(v, slot, marks_x, y0 + 1, room, lines);
        if (door) {
                char letter[] = {door->letter, 0};
                draw_text(v, x0 + l->door_x, y0 + 1, 1, letter, door->style);
        }
        const char *note = slot_note(slot, buffer, sizeof(buffer));
        unsigned length = (unsigned)strlen(note), used = (n + room - 1) / MAX(room, 1U);
        if (lines > used && length <= l->cell_width - 2)
                draw_text(v, x0 + 2, y0 + 1 + used, length, note, STYLE_DIM);
        else if (used == 1 && length + n + 1 <= room)
                draw_text(v, marks_x + n + 1, y0 + 1, length, note, STYLE_DIM);
}

static const char *outline(unsigned arms, bool utf8) {
        static const char *const boxes[16] = {" ", "╵", "╷", "│", "╴", "┘", "┐", "┤",
                                              "╶", "└", "┌", "├", "─", "┴", "┬", "┼"};

        if (utf8)
                return boxes[arms];
        if (arms == (ARM_LEFT | ARM_RIGHT))
                return "-";
        return arms == (ARM_UP | ARM_DOWN) ? "|" : arms ? "+" : " ";
}

static bool pixel_is_blank(const Pixel *p) {
        return !p->arms && (!p->letter || p->letter == ' ');
}

static void canvas_print(const Ctl *c, Canvas *v) {
        for (unsigned y = 0; y < v->height; y++) {
                unsigned end = v->width;
                Style style = STYLE_PLAIN;

                while (end > 0 && pixel_is_blank(canvas_at(v, end - 1, y)))
                        end--;
                for (unsigned x = 0; x < end; x++) {
                        const Pixel *p = canvas_at(v, x, y);
                        Style wanted = p->letter ? p->style : p->arms ? STYLE_DIM : STYLE_PLAIN;
                        if (wanted != style) {
                                fputs(style_off(c, style), stdout);
                                fputs(style_on(c, wanted), stdout);
                                style = wanted;
                        }
                        if (p->letter == '.' && c->utf8)
                                fputs("·", stdout);
                        else if (p->letter)
                                putchar(p->letter);
                        else
                                fputs(outline(p->arms, c->utf8), stdout);
                }
                fputs(style_off(c, style), stdout);
                putchar('\n');
        }
}

static int draw_band(const Ctl *c, const json_t *slots, const Layout *l, unsigned first) {
        unsigned n = MIN(l->per_band, l->columns - first);
        Canvas v = {.width = n * (l->cell_width + 1) + 1, .height = 2 * l->rows + 1};
        _cleanup_free_ Pixel *pixels = calloc((size_t)v.width * v.height, sizeof(*pixels));
        const json_t *slot;
        size_t i;

        if (!pixels)
                return ctl_oom(c);
        v.pixels = pixels;
        json_array_foreach(slots, i, slot) {
                unsigned column = (unsigned)json_number(slot, "column") - 1;
                if (!slot_on_wall(slot) || column < first || column >= first + n)
                        continue;
                unsigned x0 = (column - first) * (l->cell_width + 1),
                         y0 = 2 * ((unsigned)json_number(slot, "row") - 1);
                unsigned y1 = y0 + 2 * (unsigned)json_number(slot, "height");
                draw_box(&v, x0, y0, x0 + l->cell_width + 1, y1);
                draw_slot(&v, slot, x0, y0, y1, l);
        }
        canvas_print(c, &v);
        return 0;
}

static Layout layout_for(const Ctl *c, const json_t *slots) {
        Layout l = {.label_width = 2};
        unsigned marks_width = 1;
        const json_t *slot;
        size_t i;

        json_array_foreach(slots, i, slot) {
                if (!slot_on_wall(slot))
                        continue;
                unsigned height = (unsigned)json_number(slot, "height"), lines = 2 * height - 1;
                unsigned n = (unsigned)json_array_size(json_object_get(slot, "positions"));
                l.columns = MAX(l.columns, (unsigned)json_number(slot, "column"));
                l.rows = MAX(l.rows, (unsigned)json_number(slot, "row") + height - 1);
                l.label_width = MAX(l.label_width, (unsigned)strlen(json_text(slot, "label")));
                marks_width = MAX(marks_width, MIN((n + lines - 1) / lines, 8U));
        }
        /* blank, label, blank, marks, blank, the door's letter; then a blank again where there is room */
        unsigned roomy = (c->width - MIN(c->width, 1U)) / MAX(l.columns, 1U),
                 fixed = 1 + 1 + marks_width + 1 + 1 + 1;
        l.label_width = MIN(l.label_width, MAX(roomy - MIN(roomy, fixed), LABEL_WIDTH_MIN));
        unsigned narrowest = 1 + l.label_width + 1 + marks_width + 1 + 1;
        l.per_band = MAX((MAX(c->width, 2U) - 1) / (narrowest + 1), 1U);
        if (l.columns > l.per_band) { /* bands of about the same width */
                unsigned bands = (l.columns + l.per_band - 1) / l.per_band;
                l.per_band = (l.columns + bands - 1) / bands;
        }
        unsigned room = (MAX(c->width, 2U) - 1) / MAX(MIN(l.columns, l.per_band), 1U);
        l.cell_width = MAX(narrowest, MIN(room ? room - 1 : 0, MAX(CELL_WIDTH_MAX, narrowest)));
        l.door_x = l.cell_width - (l.cell_width > narrowest);
        return l;
}

int map_draw(const Ctl *c, const json_t *slots) {
        Layout l = layout_for(c, slots);
        bool elsewhere = false;
        const json_t *slot;
        size_t i;

        for (unsigned first = 0; first < l.columns; first += l.per_band) {
                if (l.columns > l.per_band && !c->no_legend)
                        printf("%scolumns %u to %u\n", first ? "\n" : "", first + 1,
                               MIN(first + l.per_band, l.columns));
                int status = draw_band(c, slots, &l, first);
                if (status)
                        return status;
        }
        json_array_foreach(slots, i, slot) {
                if (slot_on_wall(slot))
                        continue;
                printf("%s %s", elsewhere ? "," : "Without a place on the wall:", json_text(slot, "label"));
                elsewhere = true;
        }
        if (elsewhere)
                putchar('\n');
        return 0;
}
