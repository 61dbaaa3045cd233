/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/report.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>

/* Limits the memory for the objections. */
#define OBJECTIONS_MAX 10000

int journal_open(Sim *s, const char *path) {
        s->journal = fopen(path, "ae");
        if (!s->journal)
                return -errno;
        setvbuf(s->journal, NULL, _IOLBF, 0);
        return 0;
}

void journal_close(Sim *s) {
        if (s->journal)
                fclose(s->journal);
        s->journal = NULL;
}

void journal_write(Sim *s, uint64_t at, const char *event, json_t *fields) {
        if (s->journal) {
                _cleanup_free_ char *text = NULL;
                json_t *line =
                        json_pack("{s:I, s:s}", "time_us", (json_int_t)(at / NSEC_PER_USEC), "event", event);
                if (line && fields)
                        json_object_update(line, fields);
                text = line ? json_dumps(line, JSON_COMPACT) : NULL;
                json_decref(line);
                if (!text || fprintf(s->journal, "%s\n", text) < 0) {
                        fprintf(stderr, "locksim: the journal cannot be written (%s) and ends here\n",
                                strerror(errno));
                        journal_close(s);
                }
        }
        json_decref(fields);
}

void journal_frame(Line *line, const char *event, uint64_t start, uint64_t end, const uint8_t *bytes,
                   size_t n) {
        if (!line->sim->journal)
                return;
        _cleanup_free_ char *hex = malloc(2 * n + 1);
        if (!hex)
                return;
        text_to_hex(bytes, n, hex);
        journal_write(line->sim, end, event,
                      json_pack("{s:s, s:I, s:s}", "line", line->name, "start_us",
                                (json_int_t)(start / NSEC_PER_USEC), "hex", hex));
}

static json_t *objection_json(const Objection *o) {
        json_t *j = json_pack("{s:I, s:s, s:s}", "time_us", (json_int_t)(o->at / NSEC_PER_USEC), "kind",
                              o->kind, "text", o->text);

        if (j && o->board)
                json_object_set_new(j, "board", json_string(o->board));
        return j;
}

void object(Sim *s, uint64_t at, const char *kind, const Board *board, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        char *text = text_vprintf(format, ap);
        va_end(ap);
        if (!text)
                return;
        Objection *grown = s->n_objections < OBJECTIONS_MAX
                                   ? reallocarray(s->objections, s->n_objections + 1, sizeof(*grown))
                                   : NULL;
        if (!grown) {
                free(text);
                return;
        }
        s->objections = grown;
        Objection *o = &grown[s->n_objections++];
        *o = (Objection){.at = at, .kind = kind, .text = text, .board = board ? strdup(board->name) : NULL};
        json_t *fields = objection_json(o);
        if (fields)
                json_object_del(fields, "time_us");
        journal_write(s, at, "objection", fields);
}

json_t *objections_json(const Sim *s) {
        json_t *list = json_array();

        for (size_t i = 0; list && i < s->n_objections; i++)
                json_array_append_new(list, objection_json(&s->objections[i]));
        return list;
}

void objections_clear(Sim *s) {
        for (size_t i = 0; i < s->n_objections; i++) {
                free(s->objections[i].text);
                free(s->objections[i].board);
        }
        free(s->objections);
        s->objections = NULL;
        s->n_objections = 0;
}
