/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of the simulator: the journal (one JSON line an event) and the objections, actions that no
 * correct master does to real locks. */
#pragma once

#include "sim/model.h"
#include <jansson.h>

int journal_open(Sim *s, const char *path);
void journal_close(Sim *s);
/* Takes `fields` (an object, may be NULL when out of memory) and adds the time and the kind of event. */
void journal_write(Sim *s, uint64_t at, const char *event, json_t *fields);
void journal_frame(Line *line, const char *event, uint64_t start, uint64_t end, const uint8_t *bytes,
                   size_t n);

/* `kind` is a fixed word; board may be NULL. Also goes to the journal. */
void object(Sim *s, uint64_t at, const char *kind, const Board *board, const char *format, ...)
        _printf_(5, 6);
json_t *objections_json(const Sim *s);
void objections_clear(Sim *s);
