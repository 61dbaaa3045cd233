/* SPDX-License-Identifier: Apache-2.0 */
#include "config/complaints.h"
#include "base/text.h"
#include "config/array.h"

#include <ctype.h>
#include <errno.h>

#define NAME_ROOM 48 /* longer names are not worth a suggestion */

void config_report_clear(ConfigReport *r) {
        for (size_t i = 0; i < r->n_lines; i++)
                free(r->lines[i]);
        free(r->lines);
        *r = (ConfigReport){};
}

/* Takes the line over. */
static void complaints_add(Complaints *c, char *line) {
        c->n++;
        char **slot = line ? ARRAY_PUSH(c->report->lines, c->report->n_lines) : NULL;
        if (!slot) {
                free(line);
                complaints_broken(c, -ENOMEM);
                return;
        }
        *slot = line;
}

void complain(Complaints *c, const IniSection *section, const IniEntry *entry, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        _cleanup_free_ char *what = text_vprintf(format, ap);
        va_end(ap);
        if (!what) {
                complaints_add(c, NULL);
                return;
        }
        if (entry)
                complaints_add(c, text_printf("%s:%u: [%s] %s=%s: %s", section->file, entry->line,
                                              section->title, entry->key, entry->value, what));
        else
                complaints_add(c, text_printf("%s:%u: [%s]: %s", section->file, section->line, section->title,
                                              what));
}

void complain_at(Complaints *c, const char *file, unsigned line, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        _cleanup_free_ char *what = text_vprintf(format, ap);
        va_end(ap);
        if (!what) {
                complaints_add(c, NULL);
                return;
        }
        complaints_add(c,
                       line ? text_printf("%s:%u: %s", file, line, what) : text_printf("%s: %s", file, what));
}

void complaints_broken(Complaints *c, int error) {
        if (!c->error)
                c->error = error;
}

int complaints_result(Complaints *c) {
        /* Every failure must give a line; out of memory is the only one that has none yet. */
        if (c->error && c->n == 0)
                complain_at(c, "configuration", 0, "cannot be read: %s", strerror(-c->error));
        if (c->error)
                return c->error;
        return c->n > 0 ? -EINVAL : 0;
}

/* Edit distance (insert, delete, replace) of two names, ignoring case. */
static unsigned name_distance(const char *a, const char *b) {
        size_t n = strlen(b);
        unsigned row[NAME_ROOM + 1];

        for (size_t j = 0; j <= n; j++)
                row[j] = (unsigned)j;
        for (size_t i = 0; a[i]; i++) {
                unsigned diagonal = row[0];
                row[0] = (unsigned)i + 1;
                for (size_t j = 0; j < n; j++) {
                        unsigned above = row[j + 1];
                        bool same = tolower((unsigned char)a[i]) == tolower((unsigned char)b[j]);
                        unsigned best = diagonal + (same ? 0 : 1);
                        best = MIN(best, MIN(above, row[j]) + 1);
                        row[j + 1] = best;
                        diagonal = above;
                }
        }
        return row[n];
}

void suggestion_offer(Suggestion *s, const char *name) {
        size_t typed = strlen(s->typed), length = strlen(name);

        if (typed > NAME_ROOM || length > NAME_ROOM)
                return;
        /* A third of the name may differ: "Adress" is a typing error, "Row" is not a misspelt "Lock".
         */
        unsigned distance = name_distance(s->typed, name), allowed = (unsigned)MAX(typed, length) / 3;
        if (distance > allowed || (s->best && distance >= s->distance))
                return;
        s->best = name;
        s->distance = distance;
}
