/* SPDX-License-Identifier: Apache-2.0 */
#include "config/ranges.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>

#define DIGITS_MAX 6

/* The number at the end of a label: how many digits it has. */
static size_t trailing_digits(const char *text, size_t n) {
        size_t digits = 0;

        while (digits < n && isdigit((unsigned char)text[n - 1 - digits]))
                digits++;
        return digits;
}

static unsigned digits_value(const char *text, size_t n) {
        unsigned v = 0;

        for (size_t i = 0; i < n; i++)
                v = v * 10 + (unsigned)(text[i] - '0');
        return v;
}

static const char *label_check(const char *text, size_t n) {
        if (n == 0)
                return "the label is missing; letters, digits and \"-\" are allowed";
        for (size_t i = 0; i < n; i++)
                if (!isalnum((unsigned char)text[i]) && text[i] != '-')
                        return "a label has a character that is not allowed; letters, digits and \"-\" are";
        if (text[0] == '-' || text[n - 1] == '-')
                return "a label may not begin or end with \"-\"";
        return NULL;
}

static const char *label_range_fill(const char *text, size_t prefix, size_t left, const char *last,
                                    size_t right, LabelRange *ret) {
        const char *first = text + prefix;
        bool padded = (left > 1 && first[0] == '0') || (right > 1 && last[0] == '0');

        if (left > DIGITS_MAX || right > DIGITS_MAX)
                return "a range has a number of more than 6 digits";
        if (padded && left != right)
                return "the ends of a range with leading zeros must have the same number of digits, such as "
                       "01-12";
        if (prefix + right > LABEL_LENGTH_MAX)
                return "a label has more than 16 characters";
        unsigned a = digits_value(first, left), b = digits_value(last, right);
        if (a > b)
                return "the range runs backwards; the lower number comes first";
        if (b - a >= RANGE_COUNT_MAX)
                return "a range has more than 999 labels";

        LabelRange range = {.first = a, .count = b - a + 1, .width = padded ? (int)left : 0};
        memcpy(range.prefix, text, prefix);
        *ret = range;
        return NULL;
}

const char *label_range_parse(const char *text, size_t n, LabelRange *ret) {
        bool ambiguous = false;

        const char *wrong = label_check(text, n);
        if (wrong)
                return wrong;
        /* A '-' may also be part of a label ("A-1"): it makes a range only between two numbers with the same
         * prefix. */
        for (size_t i = 0; i < n; i++) {
                if (text[i] != '-')
                        continue;
                const char *right = text + i + 1;
                size_t n_right = n - i - 1, left_digits = trailing_digits(text, i),
                       right_digits = trailing_digits(right, n_right), prefix = i - left_digits;
                if (left_digits == 0 || right_digits == 0)
                        continue;
                if (n_right - right_digits == prefix && memcmp(text, right, prefix) == 0)
                        return label_range_fill(text, prefix, left_digits, right + prefix, right_digits, ret);
                ambiguous = ambiguous || n_right == right_digits;
        }
        if (ambiguous)
                return "this may mean a label or a range; write the prefix twice for a range, such as P1-P4";
        if (n > LABEL_LENGTH_MAX)
                return "a label has more than 16 characters";

        LabelRange single = {.count = 1, .width = -1};
        memcpy(single.prefix, text, n);
        *ret = single;
        return NULL;
}

void label_range_get(const LabelRange *range, unsigned nth, char ret[LABEL_LENGTH_MAX + 1]) {
        char digits[DIGITS_MAX];
        int n = 0;

        for (unsigned v = range->first + nth; range->width >= 0 && n < DIGITS_MAX; v /= 10) {
                digits[DIGITS_MAX - ++n] = (char)('0' + v % 10);
                if (v < 10 && n >= range->width)
                        break;
        }
        /* label_range_fill() has checked that both fit. */
        size_t prefix = strlen(range->prefix);
        memcpy(ret, range->prefix, prefix);
        memcpy(ret + prefix, digits + DIGITS_MAX - n, (size_t)n);
        ret[prefix + (size_t)n] = 0;
}

const char *number_range_parse(const char *text, size_t n, unsigned max, unsigned *ret_first,
                               unsigned *ret_last) {
        const char *dash = memchr(text, '-', n);
        size_t left = dash ? (size_t)(dash - text) : n, right = dash ? n - left - 1 : n;
        const char *last = dash ? dash + 1 : text;

        if (left == 0 || right == 0 || trailing_digits(text, left) != left ||
            trailing_digits(last, right) != right)
                return "not a number or a range of numbers such as 1-6";
        if (left > DIGITS_MAX || right > DIGITS_MAX)
                return "the number is too large";
        unsigned a = digits_value(text, left), b = digits_value(last, right);
        if (a == 0)
                return "numbers count from 1";
        if (a > b)
                return "the range runs backwards; the lower number comes first";
        if (b > max)
                return "the number is too large";
        *ret_first = a;
        *ret_last = b;
        return NULL;
}

void list_next(const char **cursor, const char **ret_item, size_t *ret_n) {
        const char *start = *cursor, *comma = strchr(start, ',');
        const char *end = comma ? comma : start + strlen(start);

        while (start < end && isblank((unsigned char)*start))
                start++;
        while (end > start && isblank((unsigned char)end[-1]))
                end--;
        *cursor = comma ? comma + 1 : NULL;
        *ret_item = start;
        *ret_n = (size_t)(end - start);
}

const char *channel_range_next(const char **cursor, ChannelRange *ret) {
        ChannelRange range = {};
        const char *item;
        size_t n;

        list_next(cursor, &item, &n);
        const char *colon = memchr(item, ':', n);
        size_t name = colon ? (size_t)(colon - item) : 0;
        if (name == 0)
                return "an item is not BOARD:CHANNEL or BOARD:FIRST-LAST, such as A:3 or A:1-4,B:3";
        if (name > NAME_LENGTH_MAX)
                return "the name of the board has more than 32 characters";
        memcpy(range.board, item, name);
        const char *wrong =
                number_range_parse(colon + 1, n - name - 1, CHANNEL_MAX, &range.first, &range.last);
        if (wrong)
                return wrong;
        *ret = range;
        return NULL;
}
