/* SPDX-License-Identifier: Apache-2.0 */
/* How a slot's facts become one letter, a short word, a colour and, where somebody has to look, a sentence.
 * Pure. The letters carry everything: colour only repeats what they say. */
#pragma once

#include "ctl/table.h"

#include <jansson.h>

typedef struct Mark {
        char letter; /* '.' is drawn as a middle dot where the terminal can */
        Style style;
        const char *meaning; /* for the legend */
} Mark;

/* What is in a position. Never NULL. */
const Mark *mark_position(const json_t *slot, const json_t *position);
/* How the door is; NULL when it is shut and nothing is to be said. */
const Mark *mark_door(const json_t *slot);
/* "left open", "in use", "#17" …; `buffer` may be used. "" when there is nothing to say. */
const char *slot_note(const json_t *slot, char *buffer, size_t size);
/* All marks in the order of the legend, NULL-terminated by letter 0. */
extern const Mark marks[];

/* Sentences for everything in this slot that somebody should look at: array of strings. NULL when out of
 * memory. */
json_t *slot_alarms(const json_t *slot);
/* Free for a deposit as far as can be told from outside. */
bool position_is_free(const json_t *slot, const json_t *position);
bool position_has_parcel(const json_t *position);
