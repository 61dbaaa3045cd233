/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: columns as wide as their widest cell (in terminal columns, not bytes), bold headings, numbers
 * right-aligned; colours only repeat the text. */
#pragma once

#include "ctl/ctl.h"

typedef enum Style {
        STYLE_PLAIN,
        STYLE_DIM,
        STYLE_BOLD,
        STYLE_GREEN,
        STYLE_BLUE,
        STYLE_YELLOW,
        STYLE_RED,
        STYLE_MAX
} Style;

const char *style_on(const Ctl *c, Style s); /* "" without colour */
const char *style_off(const Ctl *c, Style s);
unsigned text_width(const char *s); /* terminal columns */
/* Prints words up to the width, the first line from column x on, the others indented. A newline is
 * kept, and the output ends with one. Width 0: never wraps. */
void text_wrap(const char *text, unsigned x, unsigned indent, unsigned width);
/* The width to wrap at: that of a terminal; other output is not wrapped. */
static inline unsigned wrap_width(const Ctl *c) {
        return c->tty ? c->width : 0;
}

typedef struct Table Table;

/* headings: NULL-terminated. One that begins with '>' is right-aligned; one that begins with '~' (after
 * that) may be omitted, the last first, where a terminal is too narrow. */
Table *table_new(const char *const *headings);
Table *table_free(Table *t);
DEFINE_CLEANUP(Table *, table_free);
/* Cells of a row one after the other; text is copied. Out of memory is reported by table_print(). */
void table_cell(Table *t, Style style, const char *format, ...) _printf_(3, 4);
/* An exit status. */
int table_print(const Ctl *c, const Table *t);
