/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

char *text_printf(const char *format, ...) {
        va_list ap;
        char *s = NULL;

        va_start(ap, format);
        int r = vasprintf(&s, format, ap);
        va_end(ap);
        return r < 0 ? NULL : s;
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
