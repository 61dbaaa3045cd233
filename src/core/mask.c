/* SPDX-License-Identifier: Apache-2.0 */
#include "core/mask.h"
#include "base/text.h"

#include <stdbool.h>

#define INTERNATIONAL_MIN 10 /* digits: 00, country, number */

/* The length of the character at s for iteration: an invalid byte counts as one. */
static size_t step(const char *s) {
        size_t n = text_character(s, strnlen(s, 4));
        return n ? n : 1;
}

/* Whether the character may be shown. Invalid bytes and control characters are always masked: the result
 * goes to the bus, which accepts only UTF-8, and to the log, which has one line a message. */
static bool may_show(const char *s) {
        return text_character(s, strnlen(s, 4)) > 0 && !text_is_control(s);
}

char *mask_name(const char *name) {
        size_t n = 0, i = 0;

        char *masked = malloc(strlen(name) + 1);
        if (!masked)
                return NULL;
        for (const char *p = name; *p; p += step(p))
                n++;

        char *out = masked;
        for (const char *p = name; *p; p += step(p), i++) {
                bool shown = (i == 0 && n >= 2) || (i == n - 1 && n >= 3);
                if (shown && may_show(p)) {
                        memcpy(out, p, step(p));
                        out += step(p);
                } else
                        *out++ = '*';
        }
        *out = 0;
        return masked;
}

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

char *mask_phone(const char *phone) {
        size_t n = 0, i = 0;

        char *masked = malloc(strlen(phone) + 1);
        if (!masked)
                return NULL;
        for (const char *p = phone; *p; p++)
                n += is_digit(*p);

        /* Six digits before the last four; the first six where fewer than ten exist. */
        size_t from = n > 10 ? n - 10 : 0, to = from + 6;
        char *out = masked;
        for (const char *p = phone; *p; p += step(p)) {
                if (is_digit(*p)) {
                        *out++ = i >= from && i < to ? '*' : *p;
                        i++;
                } else
                        /* Anything but a separator may be part of a name that was entered with the number.
                         */
                        *out++ = strchr("+-()/. ", *p) ? *p : '*';
        }
        *out = 0;
        return masked;
}

void phone_digits(const char *phone, char *ret, size_t room) {
        size_t n = 0;

        if (room == 0)
                return;
        for (const char *p = phone; *p && n < room - 1; p++)
                if (is_digit(*p))
                        ret[n++] = *p;
        /* 0049… is dialled for +49…. Only before a whole number: last digits may begin with zeros. */
        if (n >= INTERNATIONAL_MIN && ret[0] == '0' && ret[1] == '0') {
                n -= 2;
                memmove(ret, ret + 2, n);
        }
        ret[n] = 0;
}
