/* SPDX-License-Identifier: Apache-2.0 */
#include "core/mask.h"

#include <stdbool.h>

#define INTERNATIONAL_MIN 10 /* digits: 00, country, number */

/* The bytes of the UTF-8 character at s, or 0 when there is none that is well-formed (cut, overlong,
 * surrogate). */
static size_t utf8_length(const unsigned char *s) {
        static const struct {
                unsigned char mask, lead, low, high; /* of the first byte; range of the second */
                size_t length;
        } forms[] = {
                {0x80, 0x00, 0x00, 0x00, 1}, {0xe0, 0xc0, 0x80, 0xbf, 2}, {0xff, 0xe0, 0xa0, 0xbf, 3},
                {0xff, 0xed, 0x80, 0x9f, 3}, {0xf0, 0xe0, 0x80, 0xbf, 3}, {0xff, 0xf0, 0x90, 0xbf, 4},
                {0xff, 0xf4, 0x80, 0x8f, 4}, {0xfc, 0xf0, 0x80, 0xbf, 4},
        };

        if (s[0] == 0xc0 || s[0] == 0xc1)
                return 0;
        for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
                if ((s[0] & forms[i].mask) != forms[i].lead)
                        continue;
                if (forms[i].length > 1 && (s[1] < forms[i].low || s[1] > forms[i].high))
                        return 0;
                for (size_t k = 2; k < forms[i].length; k++)
                        if ((s[k] & 0xc0) != 0x80)
                                return 0;
                return forms[i].length;
        }
        return 0;
}

/* The length of the character at s for walking on: a byte that belongs to none counts as one. */
static size_t step(const char *s) {
        size_t n = utf8_length((const unsigned char *)s);
        return n ? n : 1;
}

/* What may be shown as it is. Broken bytes and control characters are masked wherever they stand: the result
 * goes to the bus, which accepts only UTF-8, and to the log, which people read line by line. */
static bool may_show(const char *s) {
        const unsigned char *b = (const unsigned char *)s;
        bool control = b[0] < 0x20 || b[0] == 0x7f || (b[0] == 0xc2 && b[1] < 0xa0);

        return utf8_length(b) > 0 && !control;
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

        /* Six, in front of the last four; the first six where that leaves fewer than four. */
        size_t from = n > 10 ? n - 10 : 0, to = from + 6;
        char *out = masked;
        for (const char *p = phone; *p; p += step(p)) {
                if (is_digit(*p)) {
                        *out++ = i >= from && i < to ? '*' : *p;
                        i++;
                } else
                        /* Anything but a separator may be a name that somebody wrote next to the number. */
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
        /* 0049… is how +49… is dialled. Only where a whole number follows: last digits may begin with zeros.
         */
        if (n >= INTERNATIONAL_MIN && ret[0] == '0' && ret[1] == '0') {
                n -= 2;
                memmove(ret, ret + 2, n);
        }
        ret[n] = 0;
}
