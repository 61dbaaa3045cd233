/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>

char *text_vprintf(const char *format, va_list ap) {
        char *s = NULL;

        return vasprintf(&s, format, ap) < 0 ? NULL : s;
}

char *text_printf(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        char *s = text_vprintf(format, ap);
        va_end(ap);
        return s;
}

int text_to_u64(const char *s, uint64_t max, uint64_t *ret) {
        char *end = NULL;

        if (!s || !isdigit((unsigned char)s[0]))
                return -EINVAL;
        errno = 0;
        unsigned long long v = strtoull(s, &end, s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 16 : 10);
        if (*end || end == s)
                return -EINVAL;
        if (errno == ERANGE || v > max)
                return -ERANGE;
        *ret = v;
        return 0;
}

int text_to_usec(const char *s, uint64_t default_unit_usec, uint64_t *ret) {
        static const struct {
                const char *suffix;
                uint64_t usec;
        } units[] = {
                {"us", 1},
                {"ms", USEC_PER_MSEC},
                {"s", USEC_PER_SEC},
                {"min", 60 * USEC_PER_SEC},
                {"h", 3600 * USEC_PER_SEC},
                {"d", 86400 * USEC_PER_SEC},
        };
        char *end = NULL;

        if (!s || !isdigit((unsigned char)s[0]))
                return -EINVAL;
        errno = 0;
        unsigned long long v = strtoull(s, &end, 10);
        if (errno == ERANGE)
                return -ERANGE;

        uint64_t unit = 0;
        if (!*end)
                unit = default_unit_usec;
        for (size_t i = 0; i < ARRAY_SIZE(units); i++)
                if (streq(end, units[i].suffix))
                        unit = units[i].usec;
        if (!unit)
                return -EINVAL;
        if (__builtin_mul_overflow((uint64_t)v, unit, ret))
                return -ERANGE;
        return 0;
}

int text_to_bool(const char *s, bool *ret) {
        static const char *const yes[] = {"yes", "true", "on", "1"}, *const no[] = {"no", "false", "off",
                                                                                    "0"};

        for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
                if (!strcasecmp(s, yes[i])) {
                        *ret = true;
                        return 0;
                }
                if (!strcasecmp(s, no[i])) {
                        *ret = false;
                        return 0;
                }
        }
        return -EINVAL;
}

bool text_is_digits(const char *s) {
        if (!*s)
                return false;
        for (; *s; s++)
                if (!isdigit((unsigned char)*s))
                        return false;
        return true;
}

void text_to_hex(const void *bytes, size_t n, char *ret) {
        static const char digits[] = "0123456789abcdef";
        const uint8_t *b = bytes;

        for (size_t i = 0; i < n; i++) {
                ret[2 * i] = digits[b[i] >> 4];
                ret[2 * i + 1] = digits[b[i] & 15];
        }
        ret[2 * n] = 0;
}

static int hex_value(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        c = (char)tolower((unsigned char)c);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int text_from_hex(const char *s, void *ret, size_t n) {
        uint8_t *b = ret;

        if (strlen(s) != 2 * n)
                return -EINVAL;
        for (size_t i = 0; i < n; i++) {
                int high = hex_value(s[2 * i]), low = hex_value(s[2 * i + 1]);
                if (high < 0 || low < 0)
                        return -EINVAL;
                b[i] = (uint8_t)(high << 4 | low);
        }
        return 0;
}

void text_erase_free(char *s) {
        if (!s)
                return;
        explicit_bzero(s, strlen(s));
        free(s);
}

size_t text_character(const char *s, size_t n) {
        /* The forms of RFC 3629, section 4: mask and value of the first byte, range of the second. */
        static const struct {
                unsigned char mask, lead, low, high;
                size_t length;
        } forms[] = {
                {0x80, 0x00, 0x00, 0x00, 1}, {0xe0, 0xc0, 0x80, 0xbf, 2}, {0xff, 0xe0, 0xa0, 0xbf, 3},
                {0xff, 0xed, 0x80, 0x9f, 3}, {0xf0, 0xe0, 0x80, 0xbf, 3}, {0xff, 0xf0, 0x90, 0xbf, 4},
                {0xff, 0xf4, 0x80, 0x8f, 4}, {0xfc, 0xf0, 0x80, 0xbf, 4},
        };
        const unsigned char *b = (const unsigned char *)s;

        if (n == 0 || b[0] == 0xc0 || b[0] == 0xc1)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
                if ((b[0] & forms[i].mask) != forms[i].lead)
                        continue;
                if (forms[i].length > n ||
                    (forms[i].length > 1 && (b[1] < forms[i].low || b[1] > forms[i].high)))
                        return 0;
                for (size_t k = 2; k < forms[i].length; k++)
                        if ((b[k] & 0xc0) != 0x80)
                                return 0;
                return forms[i].length;
        }
        return 0;
}

bool text_is_control(const char *s) {
        const unsigned char *b = (const unsigned char *)s;

        return b[0] < 0x20 || b[0] == 0x7f || (b[0] == 0xc2 && b[1] < 0xa0);
}

bool text_has_control(const char *s) {
        for (; *s; s++)
                if (text_is_control(s))
                        return true;
        return false;
}
