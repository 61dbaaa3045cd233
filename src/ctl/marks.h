/* SPDX-License-Identifier: Apache-2.0 */
/* Maps the facts of a slot to a letter, a short word, a colour and, where an operator must look, a
 * sentence. Pure. Colours only repeat the information of the letters. */
#pragma once

#include "ctl/table.h"

#include <jansson.h>

typedef struct Mark {
        char letter; /* '.' is drawn as a middle dot where the terminal has it */
        Style style;
        const char *meaning; /* for the legend */
} Mark;

/* What is in a position. Never NULL. */
const Mark *mark_position(const json_t *slot, const json_t *position);
/* State of the door; NULL when it is shut and normal. */
const Mark *mark_door(const json_t *slot);
/* "left open", "in use", "#17" …; `buffer` may be used. "" for none. */
const char *slot_note(const json_t *slot, char *buffer, size_t size);
/* All marks in the order of the legend, NULL-terminated by letter 0. */
extern const Mark marks[];

/* A sentence for everything in this slot that an operator should check: array of strings. NULL when out
 * of memory. */
json_t *slot_alarms(const json_t *slot);
/* Free for a deposit, judged by the published state. */
bool position_is_free(const json_t *slot, const json_t *position);
bool position_has_parcel(const json_t *position);
