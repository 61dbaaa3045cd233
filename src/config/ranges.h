/* SPDX-License-Identifier: Apache-2.0 */
/* The short notations for large cabinets: "01-12", "P1-P4", "A:1-4,B:3". Syntax only: whether slots and
 * boards exist is checked elsewhere. Functions return NULL, or a sentence that names the error and the
 * allowed form. */
#pragma once

#include "base/macros.h"

#define LABEL_LENGTH_MAX 16
#define NAME_LENGTH_MAX  32
#define RANGE_COUNT_MAX  999
#define CHANNEL_MAX      256

/* One label, or labels that differ in their number at the end. Zero padding is kept: 01, 02, … 12. */
typedef struct LabelRange {
        char prefix[LABEL_LENGTH_MAX + 1]; /* the whole label when count is 1 and there is no number */
        unsigned first, count;
        int width; /* digits with zero padding; 0: none; -1: no number at all */
} LabelRange;

const char *label_range_parse(const char *text, size_t n, LabelRange *ret);
/* The nth label, from 0; n < count. */
void label_range_get(const LabelRange *range, unsigned nth, char ret[LABEL_LENGTH_MAX + 1]);

/* "3" or "1-6", counted from 1, at most `max`. */
const char *number_range_parse(const char *text, size_t n, unsigned max, unsigned *ret_first,
                               unsigned *ret_last);

typedef struct ChannelRange {
        char board[NAME_LENGTH_MAX + 1];
        unsigned first, last; /* counted from 1, as printed on boards */
} ChannelRange;

/* Takes the next item of a comma-separated list off *cursor, which becomes NULL with the last one. */
const char *channel_range_next(const char **cursor, ChannelRange *ret);
/* Likewise for plain items; the item is *ret_item, *ret_n without blanks around it. */
void list_next(const char **cursor, const char **ret_item, size_t *ret_n);
