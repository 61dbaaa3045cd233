/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/table.h"
#include "base/text.h"

#include <limits.h>
#include <stdarg.h>
#include <wchar.h>

typedef struct Cell {
        char *text;
        Style style;
} Cell;

struct Table {
        const char *const *headings;
        unsigned n_columns;
        Cell *cells;
        size_t n_cells, room;
        bool failed;
};

const char *style_on(const Ctl *c, Style s) {
        static const char *const codes[STYLE_MAX] = {
                [STYLE_PLAIN] = "",         [STYLE_DIM] = "\x1b[2m",     [STYLE_BOLD] = "\x1b[1m",
                [STYLE_GREEN] = "\x1b[32m", [STYLE_BLUE] = "\x1b[1;34m", [STYLE_YELLOW] = "\x1b[33m",
                [STYLE_RED] = "\x1b[1;31m",
        };
        return c->color ? codes[s] : "";
}

const char *style_off(const Ctl *c, Style s) {
        return c->color && s != STYLE_PLAIN ? "\x1b[0m" : "";
}

unsigned text_width(const char *s) {
        mbstate_t state = {0};
        unsigned width = 0;

        while (*s) {
                wchar_t wide;
                size_t n = mbrtowc(&wide, s, MB_CUR_MAX, &state);
                if (n == (size_t)-1 || n == (size_t)-2) {
                        state = (mbstate_t){0};
                        n = 1;
                        width++;
                } else
                        width += (unsigned)MAX(wcwidth(wide), 0);
                s += n;
        }
        return width;
}

/* Bytes of the next word, and its columns. */
static size_t word_length(const char *text, unsigned *ret_width) {
        size_t n = strcspn(text, " \n");
        _cleanup_free_ char *word = strndup(text, n);

        *ret_width = word ? text_width(word) : (unsigned)n;
        return n;
}

void text_wrap(const char *text, unsigned x, unsigned indent, unsigned width) {
        for (bool first = true; *text; first = false) {
                unsigned columns;
                size_t n = word_length(text, &columns);
                if (!first && width && x > indent && x + 1 + columns > width) {
                        printf("\n%*s", (int)indent, "");
                        x = indent;
                } else if (!first && text[-1] == ' ') {
                        putchar(' ');
                        x++;
                }
                printf("%.*s", (int)n, text);
                x += columns;
                text += n;
                if (*text == '\n') {
                        printf("\n%*s", (int)indent, "");
                        x = indent;
                }
                text += *text != 0;
        }
        putchar('\n');
}

Table *table_new(const char *const *headings) {
        Table *t = calloc(1, sizeof(*t));
        if (!t)
                return NULL;
        t->headings = headings;
        while (headings[t->n_columns])
                t->n_columns++;
        return t;
}

Table *table_free(Table *t) {
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_cells; i++)
                free(t->cells[i].text);
        free(t->cells);
        free(t);
        return NULL;
}

void table_cell(Table *t, Style style, const char *format, ...) {
        va_list ap;

        if (!t || t->failed)
                return;
        va_start(ap, format);
        _cleanup_free_ char *text = text_vprintf(format, ap);
        va_end(ap);
        if (!text) {
                t->failed = true;
                return;
        }
        if (t->n_cells == t->room) {
                size_t room = t->room ? 2 * t->room : 64;
                Cell *cells = reallocarray(t->cells, room, sizeof(*cells));
                if (!cells) {
                        t->failed = true;
                        return;
                }
                t->cells = cells;
                t->room = room;
        }
        char *shown = text_printable(text);
        if (!shown)
                t->failed = true;
        else
                t->cells[t->n_cells++] = (Cell){.text = shown, .style = style};
}

static bool heading_is_right(const char *heading) {
        return heading[0] == '>';
}

static bool heading_may_go(const char *heading) {
        return heading[heading_is_right(heading)] == '~';
}

static const char *heading_text(const char *heading) {
        return heading + heading_is_right(heading) + heading_may_go(heading);
}

/* The last column is not padded: no trailing blanks. */
static void print_cell(const Ctl *c, const char *text, Style style, unsigned width, bool right, bool last) {
        unsigned pad = width - MIN(width, text_width(text));

        if (right)
                printf("%*s", (int)pad, "");
        printf("%s%s%s", style_on(c, style), text, style_off(c, style));
        if (!right && !last)
                printf("%*s", (int)pad, "");
        fputs(last ? "\n" : "  ", stdout);
}

static const Cell *cell_at(const Table *t, size_t row, unsigned column) {
        return &t->cells[row * t->n_columns + column];
}

#define HIDDEN            UINT_MAX
#define WRAPPED_WIDTH_MIN 20U

static bool rest_is_empty(const Table *t, const unsigned *widths, size_t row, unsigned from) {
        for (unsigned i = from; i < t->n_columns; i++)
                if (widths[i] != HIDDEN && cell_at(t, row, i)->text[0])
                        return false;
        return true;
}

static bool is_last(const Table *t, const unsigned *widths, unsigned column) {
        for (unsigned i = column + 1; i < t->n_columns; i++)
                if (widths[i] != HIDDEN)
                        return false;
        return true;
}

static unsigned total_width(const Table *t, const unsigned *widths) {
        unsigned total = 0;

        for (unsigned i = 0; i < t->n_columns; i++)
                if (widths[i] != HIDDEN) /* the last one can be wrapped */
                        total += (i + 1 == t->n_columns ? MIN(widths[i], WRAPPED_WIDTH_MIN) : widths[i]) + 2;
        return MAX(total, 2U) - 2;
}

/* Omits optional columns until the rest fits, and names them. */
static void fit(const Ctl *c, const Table *t, unsigned *widths, char *left_out, size_t size) {
        for (unsigned i = t->n_columns; c->tty && i-- > 0 && total_width(t, widths) > c->width;) {
                if (!heading_may_go(t->headings[i]))
                        continue;
                widths[i] = HIDDEN;
                size_t n = strlen(left_out);
                snprintf(left_out + n, size - n, "%s%s", n ? ", " : "", heading_text(t->headings[i]));
        }
}

static void print_row(const Ctl *c, const Table *t, const unsigned *widths, size_t row) {
        unsigned x = 0;

        for (unsigned i = 0; i < t->n_columns; i++) {
                bool last = rest_is_empty(t, widths, row, i + 1);
                const Cell *cell = cell_at(t, row, i);
                if (widths[i] == HIDDEN)
                        continue;
                if (i + 1 == t->n_columns && c->tty && x + WRAPPED_WIDTH_MIN <= c->width) {
                        fputs(style_on(c, cell->style), stdout);
                        text_wrap(cell->text, x, x, c->width);
                        fputs(style_off(c, cell->style), stdout);
                        break;
                }
                print_cell(c, cell->text, cell->style, widths[i], heading_is_right(t->headings[i]), last);
                if (last)
                        break;
                x += widths[i] + 2;
        }
}

int table_print(const Ctl *c, const Table *t) {
        char left_out[256] = "";

        if (!t || t->failed)
                return ctl_oom(c);
        size_t rows = t->n_cells / t->n_columns;
        _cleanup_free_ unsigned *widths = calloc(t->n_columns, sizeof(*widths));
        if (!widths)
                return ctl_oom(c);
        for (unsigned i = 0; i < t->n_columns; i++) {
                widths[i] = c->no_legend ? 0 : text_width(heading_text(t->headings[i]));
                for (size_t row = 0; row < rows; row++)
                        widths[i] = MAX(widths[i], text_width(cell_at(t, row, i)->text));
        }
        fit(c, t, widths, left_out, sizeof(left_out));
        for (unsigned i = 0; !c->no_legend && i < t->n_columns; i++)
                if (widths[i] != HIDDEN)
                        print_cell(c, heading_text(t->headings[i]), STYLE_BOLD, widths[i],
                                   heading_is_right(t->headings[i]), is_last(t, widths, i));
        for (size_t row = 0; row < rows; row++)
                print_row(c, t, widths, row);
        if (*left_out && !c->no_legend)
                printf("%sNot shown in %u columns: %s.%s\n", style_on(c, STYLE_DIM), c->width, left_out,
                       style_off(c, STYLE_DIM));
        return 0;
}
